// The work of an agent's process, and what is left of it: what passes through, the end of a turn, last words,
// its session, and a handover.
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "orchestrator/agent/agent_process.h"
#include "orchestrator/handover/saved_state.h"
#include "orchestrator/json/json.h"
#include "orchestrator/log/transcript.h"
#include "tests/orchestrator/agent/agent_process_fixture.h"

namespace reeve {
namespace {

class AgentProcessWork : public AgentProcessFixture {
 protected:
  void Restore(const std::string& state) {
    auto json = JsonDocument::Parse(state);
    ASSERT_TRUE(json.ok());
    ASSERT_TRUE(RestoreState(json->root(), *process).ok());
  }
};

TEST_F(AgentProcessWork, TheAdapterDoesWhatTheAgentAsks) {
  StartReady("echo ready; read line; echo heard $line; exec sleep 600");
  adapter().calls = "";
  process->Steer("m1", "x");
  process->InterruptTurn();
  process->Decide("p1", {true, "", ""});
  process->Answer("e1", {ElicitationAnswer::Action::kDecline, ""});
  EXPECT_EQ(adapter().calls, "steer m1x interrupt decide p1 allow answer e1 decline ");
  ASSERT_TRUE(process->Prompt("hello").ok());
  EXPECT_TRUE(RunUntil(loop_, [] { return adapter().output.find("heard hello\n") != std::string::npos; }));
}

TEST_F(AgentProcessWork, TheAgentHearsWhatTheAdapterReports) {
  StartReady(kSleeps);
  AgentHost& host = adapter().host;
  owner.told = "";
  host.Emit("tool.started", "{}");
  host.OnTurnStarted();
  host.OnApproval({"p1", "bash", "{}", "", false, "", ""});
  host.OnApprovalGone("p1");
  host.OnSteered("m1", {});
  host.OnTurnEnded({});
  EXPECT_EQ(owner.told, "emit tool.started; turn started; asked p1; gone p1; steered m1; turn ended;");
  const int heard = owner.heard;
  host.OnReceived("{}");
  EXPECT_EQ(owner.heard, heard + 1);
}

TEST_F(AgentProcessWork, WithoutAProcessAnswersReachNobody) {
  process->Decide("p1", {true, "", ""});
  process->Answer("e1", {});
  EXPECT_EQ(process->pid(), 0);
}

// ------------------------------------------------------------------------------------------ end of a turn

TEST_F(AgentProcessWork, ATurnThatGoesOnAfterAnInterruptIsReported) {
  StartReady(kSleeps);
  process->AwaitTurnEnd();
  EXPECT_FALSE(owner.Has("interrupt ignored"));
  Restore(R"({"interrupt_deadline":1})");  // long passed
  EXPECT_TRUE(RunUntil(loop_, [this] { return owner.Has("interrupt ignored"); }));
}

TEST_F(AgentProcessWork, ATurnThatEndsInTimeIsNot) {
  StartReady(kSleeps);
  process->AwaitTurnEnd();
  const std::string armed = SaveState(*process);
  EXPECT_EQ(armed.find(R"("interrupt_deadline":null)"), std::string::npos);
  process->AwaitTurnEnd();
  EXPECT_EQ(SaveState(*process), armed) << "a second interrupt gives it no more time";
  process->OnTurnOver();
  EXPECT_NE(SaveState(*process).find(R"("interrupt_deadline":null)"), std::string::npos);
}

TEST_F(AgentProcessWork, OneThatStopsIsNotWaitedFor) {
  StartReady(kSleeps);
  process->Stop(2'000);
  process->AwaitTurnEnd();
  EXPECT_NE(SaveState(*process).find(R"("interrupt_deadline":null)"), std::string::npos);
  ASSERT_TRUE(UntilExited());
}

// ------------------------------------------------------------------------------------------- its last words

TEST_F(AgentProcessWork, TheLastTenLinesBelongToAFailure) {
  Start("for i in 1 2 3 4 5 6 7 8 9 10 11 12; do echo line $i; done; exit 1");
  ASSERT_TRUE(UntilExited());
  process->Fail({"crash_loop", "too often"});
  EXPECT_EQ(process->failure()->output, "") << "only a final one has them";
  process->AddOutputToFailure();
  EXPECT_EQ(process->failure()->output,
            "line 3\nline 4\nline 5\nline 6\nline 7\nline 8\nline 9\nline 10\nline 11\nline 12");
}

TEST_F(AgentProcessWork, TheyAreLimitedAndOfThePresentProcess) {
  Start("head -c 100000 /dev/zero | tr '\\0' x; echo; exit 1");
  ASSERT_TRUE(UntilExited());
  process->Fail({"e", ""});
  process->AddOutputToFailure();
  const std::string& output = process->failure()->output;
  EXPECT_LE(output.size(), 4'096U);
  EXPECT_GE(output.size(), 4'000U);
  EXPECT_EQ(output.find_first_not_of('x'), std::string::npos);
  Start("echo oops >&2; exit 1");
  EXPECT_FALSE(process->failure());
  ASSERT_TRUE(UntilExited());
  process->Fail({"e", ""});
  process->AddOutputToFailure();
  EXPECT_EQ(process->failure()->output, "oops");
}

TEST_F(AgentProcessWork, AnEndThatAnEarlierDaemonSawIsRemembered) {
  ExitStatus exit;
  exit.signal = 9;
  process->SetEnd(exit, 77);
  EXPECT_EQ(process->exit()->signal, 9);
  EXPECT_EQ(process->exited_ms(), 77);
  process->SetExitedMs(99);
  EXPECT_EQ(process->exited_ms(), 99);
}

// ------------------------------------------------------------------------------------------------ session

TEST_F(AgentProcessWork, ASessionIsKeptForTheNextProcess) {
  spec.resume = "s-0";
  Make();
  EXPECT_EQ(process->session(), "s-0");
  StartReady("echo ready; read line");
  EXPECT_EQ(adapter().calls, "resume s-0 spawned ");
  adapter().host.OnSession("s-1");
  EXPECT_EQ(process->session(), "s-1");
  EXPECT_TRUE(owner.Has("session s-1"));
  ASSERT_TRUE(process->Prompt("").ok());
  ASSERT_TRUE(UntilExited());
  StartReady(kSleeps);
  EXPECT_EQ(adapter().calls, "resume s-1 spawned ");
}

// ------------------------------------------------------------------------------------------- back-pressure

TEST_F(AgentProcessWork, OutputStaysInThePipesWhileReadingIsPaused) {
  const std::string said = dir_.path() + "/said";
  StartReady("echo ready; read line; echo more; touch " + said + "; exec sleep 600");
  process->PauseReading(true);
  ASSERT_TRUE(process->Prompt("go").ok());
  ASSERT_TRUE(RunUntil(loop_, [&said] { return std::filesystem::exists(said); }));
  EXPECT_EQ(adapter().output.find("more"), std::string::npos);
  process->PauseReading(false);
  EXPECT_TRUE(RunUntil(loop_, [] { return adapter().output.find("more\n") != std::string::npos; }));
}

// ---------------------------------------------------------------------------------------- other processes

TEST_F(AgentProcessWork, AnotherProcessOfItsTreeHasItsEnvironment) {
  StartReady(kSleeps);
  std::string printed;
  bool done = false;
  SpawnSpec spawn;
  spawn.argv = {"/bin/sh", "-c", "echo $OWN $PATH; env | grep -o '^REEVE_[A-Z]*' | sort"};
  spawn.env = {"OWN=mine"};
  auto child = adapter().host.SpawnHelper(
      std::move(spawn), {[&printed](Child::Output, std::string_view bytes) { printed.append(bytes); },
                         [&done](const ExitStatus&) { done = true; }});
  ASSERT_TRUE(child.ok()) << child.error().message;
  ASSERT_TRUE(RunUntil(loop_, [&done] { return done; }));
  EXPECT_EQ(printed, "mine /usr/bin:/bin\nREEVE_BESIDE\nREEVE_TREE\n")
      << "a marker of its own, and the tree's";
}

TEST_F(AgentProcessWork, NoOtherProcessIsStartedOnceItStops) {
  StartReady(kSleeps);
  process->Stop(2'000);
  auto child = adapter().host.SpawnHelper({}, {});
  ASSERT_FALSE(child.ok());
  EXPECT_EQ(child.error().code, "not_running");
  ASSERT_TRUE(UntilExited());
}

// ----------------------------------------------------------------------------------------------- handover

TEST_F(AgentProcessWork, ALivingProcessGoesOnAfterAHandover) {
  StartReady("echo ready; read line; echo heard $line; exit 5");
  const int pid = process->pid();
  adapter().host.OnSession("s-1");
  StateWriter writer;
  AgentProcess::Members(*process, writer);
  process->SaveChild(writer);
  auto json = JsonDocument::Parse(writer.Take());
  ASSERT_TRUE(json.ok());
  EXPECT_TRUE(AgentProcess::TryAdopt(loop_, http_, spec, Shell(), "s-1", json->root()).ok());
  process->Abandon();
  owner.told = "";

  Make();
  ASSERT_TRUE(RestoreState(json->root(), *process).ok());
  ASSERT_TRUE(process->AdoptChild(json->root()).ok());
  process->SetLastWords("ready\n");
  process->Activate();
  EXPECT_TRUE(process->ready());
  EXPECT_EQ(process->pid(), pid);
  EXPECT_EQ(process->session(), "s-1");
  ASSERT_TRUE(process->Prompt("you").ok());
  ASSERT_TRUE(UntilExited());
  EXPECT_EQ(owner.last_end.exit.code, 5);
  process->Fail({"e", ""});
  process->AddOutputToFailure();
  EXPECT_EQ(process->failure()->output, "ready\nheard you") << "what it printed before, too";
}

TEST_F(AgentProcessWork, ATrialOfSomethingElseIsRefused) {
  for (const char* saved : {"{}", R"({"child":{}})", R"({"child":{"pid":-1},"adapter":"{}"})"}) {
    auto json = JsonDocument::Parse(saved);
    const Status tried = AgentProcess::TryAdopt(loop_, http_, spec, Shell(), "", json->root());
    ASSERT_FALSE(tried.ok()) << saved;
    EXPECT_EQ(tried.error().code, "handover_state");
  }
  EXPECT_EQ(owner.told, "");
}

TEST_F(AgentProcessWork, TheRecordKeepsHowTheLastOneEnded) {
  Start("echo sorry; exit 3");
  clock.Advance(5);
  ASSERT_TRUE(UntilExited());
  process->Fail({"not_ready", "it ended"});
  process->AddOutputToFailure();
  StateWriter writer;
  AgentProcess::Record(*process, writer);
  const std::string text = writer.Take();
  auto json = JsonDocument::Parse(text);
  Make();
  StateReader reader(json->root());
  AgentProcess::Record(*process, reader);
  ASSERT_TRUE(reader.status().ok());
  StateWriter again;
  AgentProcess::Record(*process, again);
  EXPECT_EQ(again.Take(), text);
  EXPECT_EQ(process->exit()->code, 3);
  EXPECT_EQ(process->failure()->output, "sorry");
  EXPECT_EQ(process->exited_ms() - process->started_ms(), 5);
  EXPECT_FALSE(process->alive());
}

}  // namespace
}  // namespace reeve
