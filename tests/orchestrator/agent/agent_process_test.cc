// The phases of an agent's process, and how it is stopped. agent_process_work_test.cc has its work.
#include "orchestrator/agent/agent_process.h"

#include <gtest/gtest.h>

#include <csignal>
#include <string>

#include "orchestrator/handover/saved_state.h"
#include "orchestrator/log/transcript.h"
#include "tests/orchestrator/agent/agent_process_fixture.h"
#include "tests/support/paths.h"
#include "tests/support/test_server.h"

namespace reeve {
namespace {

using Phase = AgentProcess::Phase;

class AgentProcessTest : public AgentProcessFixture {};

// ------------------------------------------------------------------------------------------------- phases

TEST_F(AgentProcessTest, ItStartsIsReadyAndEnds) {
  EXPECT_EQ(process->phase(), Phase::kNone);
  EXPECT_FALSE(process->alive());
  EXPECT_EQ(process->pid(), 0);
  EXPECT_EQ(process->started_ms(), 0);
  owner.command = {"/bin/sh", "-c", "read line; echo ready; read line; exit 3"};
  ASSERT_TRUE(process->Spawn().ok());
  EXPECT_EQ(process->phase(), Phase::kStarting);
  EXPECT_TRUE(process->alive());
  EXPECT_TRUE(process->running());
  EXPECT_GT(process->pid(), 0);
  EXPECT_EQ(process->started_ms(), clock.WallMs());
  EXPECT_EQ(adapter().calls, "") << "its start is recorded first";
  process->Begin();
  EXPECT_EQ(adapter().calls, "spawned ");

  clock.Advance(10);
  ASSERT_TRUE(process->Prompt("go").ok());
  ASSERT_TRUE(RunUntil(loop_, [this] { return process->ready(); }));
  EXPECT_EQ(process->phase(), Phase::kReady);
  EXPECT_EQ(process->ready_ms(), clock.WallMs());
  EXPECT_GE(owner.heard, 1) << "output is a sign of life";
  adapter().host.OnReady();
  EXPECT_EQ(owner.told, "ready;") << "once";

  clock.Advance(10);
  ASSERT_TRUE(process->Prompt("end").ok());
  owner.on_exited = [this] { EXPECT_EQ(process->phase(), Phase::kNone) << "already"; };
  ASSERT_TRUE(UntilExited());
  EXPECT_EQ(owner.told, "ready; emit agent.output; exited code 3;") << "the adapter's rest comes first";
  EXPECT_EQ(process->exit()->code, 3);
  EXPECT_EQ(process->exited_ms(), clock.WallMs());
  EXPECT_EQ(process->pid(), 0);
  EXPECT_FALSE(process->failure()) << "why it ended is for the agent to say";
}

TEST_F(AgentProcessTest, OneThatEndsByItselfBeforeItIsReadySaysSo) {
  Start("exit 0");
  ASSERT_TRUE(UntilExited());
  EXPECT_TRUE(owner.Has("exited code 0 in start"));
}

TEST_F(AgentProcessTest, OneThatIsStoppedBeforeItIsReadyDidNotEndByItself) {
  Start("exec sleep 600");
  process->Stop(2'000);
  EXPECT_EQ(process->phase(), Phase::kStopping);
  ASSERT_TRUE(UntilExited());
  EXPECT_TRUE(owner.Has("exited signal 15"));
}

TEST_F(AgentProcessTest, ASignalIsNamed) {
  StartReady(kSleeps);
  process->Signal(SIGKILL);
  ASSERT_TRUE(UntilExited());
  EXPECT_TRUE(owner.Has("exited signal 9"));
  EXPECT_EQ(process->exit()->signal, 9);
}

TEST_F(AgentProcessTest, ThereIsAnotherAfterIt) {
  Start("exit 3");
  ASSERT_TRUE(UntilExited());
  StartReady(kSleeps);
  EXPECT_FALSE(process->exit()) << "of the last one, while there is none";
  owner.told = "";
  process->Stop(0);
  ASSERT_TRUE(UntilExited());
  EXPECT_TRUE(owner.Has("exited signal 9"));
}

TEST_F(AgentProcessTest, OneThatCannotBeStartedIsAFailure) {
  owner.command = {"/nowhere/program"};
  const Status spawned = process->Spawn();
  ASSERT_FALSE(spawned.ok());
  EXPECT_EQ(spawned.error().code, "spawn_failed");
  EXPECT_EQ(process->phase(), Phase::kNone);
  ASSERT_TRUE(process->failure());
  EXPECT_EQ(process->failure()->error.code, "spawn_failed");
  EXPECT_EQ(ShellAdapter::present(), nullptr);
  owner.command = {};
  EXPECT_EQ(process->Spawn().error().code, "invalid_spec") << "the adapter's reason";
  process->ForgetFailure();
  EXPECT_FALSE(process->failure());
  EXPECT_EQ(owner.told, "");
}

TEST_F(AgentProcessTest, OneThatIsNotReadyInTimeIsBroken) {
  spec.readiness_timeout_ms = 20;
  Start("exec sleep 600");
  ASSERT_TRUE(RunUntil(loop_, [this] { return owner.Has("broken not_ready"); }));
  EXPECT_EQ(process->failure()->error.message, "the process was not ready within 20 ms");
  EXPECT_EQ(process->phase(), Phase::kStarting) << "to be stopped by its agent";
  process->Stop(2'000);
  ASSERT_TRUE(UntilExited());
}

TEST_F(AgentProcessTest, OneThatIsReadyInTimeIsNotBroken) {
  spec.readiness_timeout_ms = 60'000;
  StartReady(kSleeps);
  EXPECT_NE(SaveState(*process).find(R"("ready_deadline":null)"), std::string::npos);
}

TEST_F(AgentProcessTest, ItIsBrokenOnceAndNotWhileItStops) {
  StartReady(kSleeps);
  adapter().host.OnBroken({"protocol", "nonsense"});
  adapter().host.OnBroken({"again", "nonsense"});
  EXPECT_EQ(owner.told, "ready; broken protocol;");
  EXPECT_EQ(process->failure()->error.code, "protocol");
  process->ForgetFailure();
  process->Stop(2'000);
  adapter().host.OnBroken({"late", "nonsense"});
  EXPECT_FALSE(process->failure());
  ASSERT_TRUE(UntilExited());
}

// --------------------------------------------------------------------------------------------------- stop

TEST_F(AgentProcessTest, AStopIsPoliteFirst) {
  StartReady("echo ready; read line; exit 7");
  adapter().polite = true;
  process->Stop(5'000);
  EXPECT_EQ(process->phase(), Phase::kStopping);
  EXPECT_TRUE(process->alive());
  EXPECT_FALSE(process->running());
  ASSERT_TRUE(UntilExited());
  EXPECT_TRUE(owner.Has("exited code 7")) << "it said goodbye: " << owner.told;
}

TEST_F(AgentProcessTest, OnePolitelyAskedInVainGetsTerm) {
  StartReady(kSleeps);
  adapter().polite = true;  // sleep does not read its stdin
  process->Stop(50);
  ASSERT_TRUE(UntilExited());
  EXPECT_TRUE(owner.Has("exited signal 15"));
}

TEST_F(AgentProcessTest, OneWhosePolitePartIsOverGetsTermAtOnce) {
  StartReady(kSleeps);
  adapter().polite = true;
  process->Stop(600'000);
  adapter().host.OnStopPrepared();
  ASSERT_TRUE(UntilExited());
  EXPECT_TRUE(owner.Has("exited signal 15"));
}

TEST_F(AgentProcessTest, OneThatIgnoresTermIsKilled) {
  StartReady(kDeaf);
  process->Stop(50);
  ASSERT_TRUE(UntilExited());
  EXPECT_TRUE(owner.Has("exited signal 9"));
}

TEST_F(AgentProcessTest, ASecondStopIsNotPolite) {
  StartReady(kDeaf);
  adapter().polite = true;
  process->Stop(600'000);
  adapter().calls = "";
  process->Stop(50);
  EXPECT_EQ(adapter().calls, "") << "it is not asked twice";
  ASSERT_TRUE(UntilExited());
  EXPECT_TRUE(owner.Has("exited signal 9"));
}

TEST_F(AgentProcessTest, AStopWithoutAProcessDoesNothing) {
  process->Stop(0);
  process->Signal(SIGTERM);
  process->PauseReading(true);
  EXPECT_EQ(process->phase(), Phase::kNone);
  EXPECT_EQ(owner.told, "");
}

TEST(AgentProcessTimes, TheLongestStopIsPoliteTermAndKill) {
  EXPECT_EQ(AgentProcess::LongestStopMs(1'000), 1'000 + 1'000 + Child::kKillForMs);
  EXPECT_EQ(AgentProcess::LongestStopMs(60'000), AgentProcess::kPoliteMs + 60'000 + Child::kKillForMs);
}

TEST_F(AgentProcessTest, DestroyedItsProcessEndsAndNothingIsTold) {
  StartReady(kSleeps);
  const int pid = process->pid();
  owner.told = "";
  process.reset();
  EXPECT_TRUE(RunUntil(loop_, [pid] { return kill(pid, 0) != 0; }));
  EXPECT_EQ(owner.told, "");
}

// Any program that listens will do: here a daemon, behind a shell.
TEST_F(AgentProcessTest, ItKnowsWhetherItsOwnProcessesListenOnAPort) {
  StartReady("echo ready; " + std::string(kReeveBinary) + " serve --listen tcp://127.0.0.1:0 --data " +
             dir_.path() + "/data; true");
  const std::string before = "listening on http://127.0.0.1:";
  ASSERT_TRUE(RunUntil(loop_, [&] {
    const size_t at = adapter().output.find(before);
    return at != std::string::npos && adapter().output.find('\n', at) != std::string::npos;
  }));
  const auto own = static_cast<uint16_t>(
      std::stoul(adapter().output.substr(adapter().output.find(before) + before.size())));
  EXPECT_TRUE(adapter().host.CheckListener(own).ok());
  TestServer impostor(loop_, [](TestServer::Connection&, const TestServer::Request&) {});
  const Status foreign = adapter().host.CheckListener(impostor.port());
  ASSERT_FALSE(foreign.ok());
  EXPECT_EQ(foreign.error().code, "foreign_listener");
  EXPECT_NE(foreign.error().message.find("agent a1"), std::string::npos);
  EXPECT_NE(foreign.error().message.find(std::to_string(impostor.port())), std::string::npos);
}

// An adapter may hear its agent in another way than by the child's pipes.
TEST_F(AgentProcessTest, BackPressureReachesTheAdapter) {
  StartReady(kSleeps);
  adapter().calls.clear();
  process->PauseReading(true);
  process->PauseReading(false);
  EXPECT_EQ(adapter().calls, "pause read ");
}

// A viewer relies on the types of the vocabulary, so an item that has others becomes agent.output.
TEST_F(AgentProcessTest, AnItemWithMembersOfWrongTypesIsOutput) {
  Kind turns = Shell();
  turns.can.turns = true;
  process = std::make_unique<AgentProcess>(*context, spec, turns, owner);
  StartReady(kSleeps);
  owner.told = "";
  adapter().host.Emit("plan.updated", R"({"entries":[{"content":"a"}]})");
  adapter().host.Emit("usage.updated", R"({"input_tokens":1,"output_tokens":2,"cost_usd":0.5})");
  EXPECT_EQ(owner.told, "emit plan.updated; emit usage.updated;");
  for (const auto& [type, data] : std::vector<std::pair<std::string, std::string>>{
           {"plan.updated", R"({"entries":[null]})"},
           {"plan.updated", R"({"entries":{}})"},
           {"assistant.delta", R"({"text":7})"},
           {"tool.started", R"({"call_id":"c","name":"bash","input":[]})"},
           {"usage.updated", R"({"input_tokens":null})"},
           {"file.edited", "{\"path\":\n\"a\"}"},
           {"title.updated", "no JSON"}}) {
    owner.told = "";
    adapter().host.Emit(type, data);
    EXPECT_EQ(owner.told, "emit agent.output;") << type << " " << data;
  }
}

}  // namespace
}  // namespace reeve
