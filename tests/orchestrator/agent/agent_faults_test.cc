// An agent's queue where it once went wrong: sequences that the walk (agent_model_test.cc) found.
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "tests/orchestrator/agent/agent_fixture.h"
#include "tests/orchestrator/agent/puppet.h"

namespace reeve {
namespace {

class AgentFaults : public AgentFixture {
 protected:
  using Mode = Message::Mode;

  AgentFaults() {
    auto json = JsonDocument::Parse(R"({"id":"a1","kind":"deaf-puppet"})");
    auto agent = Agent::Create(*context_, *AgentSpec::FromJson(json->root()), "", [](const Status&) {});
    agent_ = std::move(*agent);
    EXPECT_TRUE(RunUntil(loop_, [this] { return agent_->has_process(); }));
  }

  Agent* Find(const std::string&) override { return agent_.get(); }
  AgentHost& host() { return Puppet::Of("a1")->host; }

  // Returns once the agent has it, with its disposition.
  std::string Send(const std::string& id, Mode mode) {
    std::string how;
    Message message;
    message.id = id;
    message.text = "x";
    message.mode = mode;
    agent_->Send(message, [&how](const Result<Agent::Accepted>& accepted) {
      how = accepted.ok() ? accepted->disposition : accepted.error().code;
    });
    EXPECT_TRUE(RunUntil(loop_, [&how] { return !how.empty(); }));
    return how;
  }
  bool UntilRuns(const std::string& id) {
    return RunUntil(loop_, [&] { return agent_->runs().open() && agent_->runs().open()->message_id == id; });
  }
  void End(TurnEnd::Outcome outcome) { host().OnTurnEnded({outcome, {}}); }

  SystemClock clock_;
  std::unique_ptr<AgentContext> context_ = MakeContext(clock_);
  std::unique_ptr<Agent> agent_;
};

// API.md: a run that fails pauses what waited; a new message still runs.
TEST_F(AgentFaults, ANewMessageRunsThoughAPauseHoldsOneToSteerBy) {
  host().OnReady();
  Send("m1", Mode::kFollowUp);
  ASSERT_TRUE(UntilRuns("m1"));
  Send("m2", Mode::kSteer);  // this kind cannot: it waits
  End(TurnEnd::Outcome::kFailed);
  ASSERT_TRUE(agent_->mailbox().paused());
  Send("m3", Mode::kFollowUp);
  ASSERT_TRUE(UntilRuns("m3"));
  End(TurnEnd::Outcome::kCompleted);
  ASSERT_TRUE(UntilRuns("m2")) << "when it completes the rest follow";
}

TEST_F(AgentFaults, ANewMessageRunsThoughAPauseHoldsOneThatInterrupts) {
  Send("m1", Mode::kInterrupt);  // the process is not ready yet
  agent_->Stop(0, [](const Status& status) { EXPECT_TRUE(status.ok()); });
  ASSERT_TRUE(RunUntil(loop_, [this] { return !agent_->has_process(); }));
  Send("m2", Mode::kFollowUp);
  ASSERT_TRUE(RunUntil(loop_, [this] { return agent_->has_process(); }));
  host().OnReady();
  ASSERT_TRUE(UntilRuns("m2"));
}

// The agent claimed the first, gave it back as one that interrupts waited, and claimed it again, for ever.
TEST_F(AgentFaults, AnInterruptBehindOneToSteerByBegins) {
  Send("m1", Mode::kSteer);
  Send("m2", Mode::kInterrupt);
  host().OnReady();
  ASSERT_TRUE(UntilRuns("m2"));
  End(TurnEnd::Outcome::kCompleted);
  ASSERT_TRUE(UntilRuns("m1"));
}

TEST_F(AgentFaults, AnInterruptBehindOneThatGoesThroughBegins) {
  host().OnReady();
  Send("m1", Mode::kFollowUp);
  ASSERT_TRUE(UntilRuns("m1"));
  agent_->Interrupt([](const Status& status) { EXPECT_TRUE(status.ok()); });
  Send("m2", Mode::kFollowUp);
  Send("m3", Mode::kInterrupt);
  End(TurnEnd::Outcome::kCancelled);
  ASSERT_TRUE(UntilRuns("m3"));
  End(TurnEnd::Outcome::kCancelled);
  ASSERT_TRUE(UntilRuns("m2"));
}

// The answer to a message says what happened to it.
TEST_F(AgentFaults, ADispositionIsStartedBesideMessagesThatAPauseHolds) {
  host().OnReady();
  EXPECT_EQ(Send("m1", Mode::kFollowUp), "started");
  ASSERT_TRUE(UntilRuns("m1"));
  EXPECT_EQ(Send("m2", Mode::kFollowUp), "queued");
  End(TurnEnd::Outcome::kFailed);
  EXPECT_EQ(Send("m3", Mode::kFollowUp), "started");
  EXPECT_TRUE(UntilRuns("m3"));
}

// The agent begins a turn by itself while it is being stopped: nobody is to blame for its end.
TEST_F(AgentFaults, ATurnThatBeginsDuringAStopIsCancelled) {
  host().OnReady();
  agent_->Stop(1'000, [](const Status& status) { EXPECT_TRUE(status.ok()); });
  ASSERT_TRUE(agent_->has_process());
  host().OnTurnStarted();
  ASSERT_TRUE(agent_->runs().open());
  ASSERT_TRUE(RunUntil(loop_, [this] { return !agent_->has_process() && agent_->settled(); }));
  ASSERT_NE(agent_->runs().last(), nullptr);
  EXPECT_EQ(agent_->runs().last()->status, Run::Status::kCancelled);
  EXPECT_FALSE(agent_->mailbox().paused());
}

}  // namespace
}  // namespace reeve
