// Records that 0.1.0 wrote before the parts of an agent kept their state themselves are still read.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "orchestrator/agent/agent.h"
#include "orchestrator/json/json.h"
#include "tests/orchestrator/agent/agent_fixture.h"

namespace reeve {
namespace {

constexpr char kDigest[] =
    "4cf29611a66934862f29acfcc817e30b905c1ab73d5e65831413eb6b454d49db";  // of {"command":"ls"}

class AgentLoad : public AgentFixture {
 protected:
  Agent* Find(const std::string&) override { return agent.get(); }

  // The events that an earlier daemon wrote.
  void WriteLog(const std::vector<std::vector<std::string>>& events) {
    auto log = EventLog::Open(clock, context->events_dir + "/a1", "a1", ++epoch_, {});
    ASSERT_TRUE(log.ok());
    for (const auto& event : events) (*log)->Append(event[0], event[1], event[2]);
    ASSERT_TRUE((*log)->Commit().ok());
  }
  void Load(const std::string& state, const std::vector<MessageRecord>& messages = {}, bool deleted = false,
            const std::string& policy = "never") {
    const AgentRecord record{"a1", R"({"id":"a1","kind":"puppet","restart":{"policy":")" + policy + R"("}})",
                             state, deleted};
    auto loaded = Agent::Load(*context, record, messages);
    ASSERT_TRUE(loaded.ok()) << loaded.error().message;
    agent = std::move(*loaded);
    shown_text = agent->ToJson();
    shown = std::make_unique<JsonDocument>(std::move(*JsonDocument::Parse(shown_text)));
  }
  [[nodiscard]] std::string Shown(const char* name) const { return (*shown)[name].Raw(); }
  [[nodiscard]] std::vector<std::string> Events(uint64_t after) {
    std::vector<std::string> events;
    EXPECT_TRUE(agent->open_log()->Commit().ok());
    auto from = agent->open_log()->PositionAfter(after);
    auto scanned = agent->open_log()->Scan(*from, [&events](const FrameView& frame, std::string_view) {
      auto json = JsonDocument::Parse(frame.envelope);
      events.push_back(std::string(frame.type) + " " + (*json)["data"].Raw());
      return true;
    });
    EXPECT_TRUE(scanned.ok());
    return events;
  }

  MockClock clock;
  std::unique_ptr<AgentContext> context = MakeContext(clock);
  std::unique_ptr<Agent> agent;
  std::unique_ptr<JsonDocument> shown;
  std::string shown_text;
};

TEST_F(AgentLoad, AnAgentThatHadFailed) {
  Load(
      R"({"wanted":false,"alive":false,"purge":false,"session":"s-1","restarts":5,"paused":true,"pauses":3,)"
      R"("created_ms":1795170414000,"started_ms":1795170415000,"exited_ms":1795170416000,)"
      R"("cursor":"7-1042","last_event_ms":1795170416500,"made_by":"key-1","connection":"c-1","exit":{"code":3,"oom":false},)"
      R"("last_run":{"run_id":"r900","status":"failed","message_id":"m1","exit_code":3,)"
      R"("error":{"code":"exit","message":"the process ended with code 3"},"steered":["m2"],)"
      R"("usage":{"input_tokens":10,"output_tokens":2,"cost_usd":0.25},)"
      R"("started_at":"2026-11-20T10:26:54.000Z","ended_at":"2026-11-20T10:26:55.000Z","duration_ms":1000},)"
      R"("usage":{"input_tokens":110,"output_tokens":22,"cost_usd":1.5},)"
      R"("always":[{"tool":"bash","digest":"0123abcd"}],)"
      R"("failure":{"code":"crash_loop","message":"ended 6 times within 600000 ms","output":"last\nwords"}})");
  EXPECT_EQ(agent->state(), Agent::State::kFailed);
  EXPECT_EQ(agent->made_by(), "key-1");
  EXPECT_EQ(agent->connection(), "c-1");
  EXPECT_EQ(Shown("state"), R"("failed")");
  EXPECT_EQ(Shown("session"), R"("s-1")");
  EXPECT_EQ(Shown("restarts"), "5");
  EXPECT_EQ(Shown("queue_paused"), "true");
  EXPECT_EQ(Shown("created_at"), R"("2026-11-20T10:26:54.000Z")");
  EXPECT_EQ(Shown("started_at"), R"("2026-11-20T10:26:55.000Z")");
  EXPECT_EQ(Shown("exited_at"), R"("2026-11-20T10:26:56.000Z")");
  EXPECT_EQ(Shown("last_event_at"), R"("2026-11-20T10:26:56.500Z")");
  EXPECT_EQ(Shown("cursor"), R"("7-1042")");
  EXPECT_EQ(Shown("exit"), R"({"code":3,"oom":false})");
  EXPECT_EQ(Shown("usage"), R"({"input_tokens":110,"output_tokens":22,"cost_usd":1.5})");
  EXPECT_EQ(Shown("reason"), R"("ended 6 times within 600000 ms")");
  EXPECT_EQ(Shown("last_output"), R"("last\nwords")");
  const auto* run = agent->runs().OfMessage("m2");
  ASSERT_NE(run, nullptr);
  EXPECT_EQ(run->id, "r900");
  EXPECT_EQ(run->exit_code, 3);
  EXPECT_EQ(agent->open_log(), nullptr) << "nothing was under way: its log is not read";
}

TEST_F(AgentLoad, AnAgentThatASignalEnded) {
  Load(R"({"wanted":false,"alive":false,"purge":false,"session":"","restarts":0,"paused":false,"pauses":0,)"
       R"("created_ms":1,"started_ms":2,"exited_ms":3,"cursor":"1-9","last_event_ms":3,)"
       R"("exit":{"signal":9,"oom":true},"usage":{"input_tokens":0,"output_tokens":0,"cost_usd":0.0}})");
  EXPECT_EQ(agent->state(), Agent::State::kExited);
  EXPECT_EQ(Shown("exit"), R"({"signal":9,"oom":true})");
  EXPECT_FALSE((*shown)["session"]);
  EXPECT_FALSE((*shown)["last_run"]);
}

// Nothing but what a very young agent has.
TEST_F(AgentLoad, AnAgentWithoutHistory) {
  Load(R"({"wanted":true,"alive":false,"purge":false,"session":"","restarts":0,"paused":false,"pauses":0,)"
       R"("created_ms":1795170414000,"started_ms":0,"exited_ms":0,"cursor":"0-0","last_event_ms":0,)"
       R"("usage":{"input_tokens":0,"output_tokens":0,"cost_usd":0.0}})");
  EXPECT_EQ(agent->state(), Agent::State::kStarting) << "it was made, and has not begun";
  EXPECT_FALSE((*shown)["exit"]);
  Load(R"({"wanted":true,"alive":false,"purge":false,"cursor":"1-4"})");
  EXPECT_EQ(agent->state(), Agent::State::kExited) << "its policy does not bring it back";
  Load("{}");
  EXPECT_EQ(agent->state(), Agent::State::kExited);
}

TEST_F(AgentLoad, AnAgentThatIsToComeBack) {
  Load(R"({"wanted":true,"alive":false,"purge":false,"restarts":2})", {}, false, "always");
  EXPECT_EQ(agent->state(), Agent::State::kStarting);
  ASSERT_TRUE(RunUntil(loop_, [this] { return agent->has_process(); }));
}

TEST_F(AgentLoad, ADeletedAgent) {
  Load(R"({"wanted":true,"alive":false,"purge":false})", {}, true);
  EXPECT_TRUE(agent->deleted());
  EXPECT_FALSE(agent->purge());
  Load(R"({"wanted":false,"alive":false,"purge":true})", {}, true);
  EXPECT_TRUE(agent->purge());
}

// The daemon was killed in the middle of a run. The approval p0 was asked longer ago than the log is read.
TEST_F(AgentLoad, AnAgentThatWasAtWork) {
  WriteLog({{"agent.starting", "", R"({"pid":10,"restarts":0})"},
            {"agent.ready", "", R"({"pid":10})"},
            {"run.started", "r3", R"({"message_id":"m1"})"},
            {"user.message", "r3", R"({"message_id":"m1","text":"x"})"},
            {"elicitation.requested", "r3", R"({"id":"e1"})"},
            {"usage.updated", "r3", R"({"input_tokens":7})"}});
  auto message = [](const std::string& id, int64_t queued_ms, const std::string& more) {
    return MessageRecord{id, "a1",
                         R"({"text":"do )" + id + R"(","mode":"followup","queued_ms":)" +
                             std::to_string(queued_ms) + more + "}",
                         "queued"};
  };
  Load(R"({"wanted":true,"alive":true,"purge":false,"session":"s-1","restarts":0,"paused":false,"pauses":1,)"
       R"("created_ms":1,"started_ms":2,"exited_ms":0,"pending":{"p0":false,"e1":true},)"
       R"("usage":{"input_tokens":0,"output_tokens":0,"cost_usd":0.0}})",
       {message("m1", 10, R"(,"taken_seq":2)"), message("m3", 30, ""), message("m2", 20, ""),
        message("m4", 5, R"(,"run_at_ms":1795999999999)")});
  const std::vector<std::string> events = Events(6);
  ASSERT_EQ(events.size(), 5U);
  EXPECT_EQ(events[0], R"(elicitation.resolved {"id":"e1","action":"withdrawn","by":"daemon"})");
  EXPECT_EQ(events[1], R"(approval.resolved {"id":"p0","decision":"withdrawn","by":"daemon"})");
  EXPECT_EQ(events[2].substr(0, 76),
            R"(run.failed {"message_id":"m1","error":{"code":"daemon_restarted","message":")");
  EXPECT_EQ(events[3], R"(message.done {"message_id":"m1"})");
  EXPECT_EQ(events[4], R"(agent.exited {"reason":"daemon_restarted"})");
  EXPECT_EQ(Shown("usage"), R"({"input_tokens":7,"output_tokens":0,"cost_usd":0})");

  std::string waiting;
  for (const Mailbox::Entry* entry : agent->mailbox().All()) waiting += entry->message.id + " ";
  EXPECT_EQ(waiting, "m2 m3 m4 ") << "by when they arrived; m4 is scheduled";
  ASSERT_TRUE(RunUntil(loop_, [this] { return agent->has_process(); })) << "for them";
}

TEST_F(AgentLoad, CallsThatWereAllowedForGoodAreAllowed) {
  Load(R"({"wanted":true,"alive":false,"purge":false,"always":[{"tool":"bash","digest":")" +
           std::string(kDigest) + R"("}]})",
       {}, false, "always");
  ASSERT_TRUE(RunUntil(loop_, [this] { return agent->has_process(); }));
  Puppet& puppet = *Puppet::Of("a1");
  puppet.host.OnReady();
  puppet.host.OnTurnStarted();
  puppet.host.OnApproval(AskForBash("p1"));
  EXPECT_TRUE(puppet.told.at("p1"));
}

// A record that something else has spoiled is named, and the daemon does not go on without the agent.
TEST_F(AgentLoad, ARecordThatCannotBeReadIsAnError) {
  for (const char* state : {"", "[]", R"({"restarts":"many"})", R"({"exit":5})", R"({"last_run":{}})"}) {
    auto loaded = Agent::Load(*context, {"a1", R"({"id":"a1","kind":"puppet"})", state, false}, {});
    ASSERT_FALSE(loaded.ok()) << state;
    EXPECT_EQ(loaded.error().code, "store_failed");
    EXPECT_EQ(loaded.error().message.substr(0, 29), "agent a1: its state on disk: ");
  }
}

}  // namespace
}  // namespace reeve
