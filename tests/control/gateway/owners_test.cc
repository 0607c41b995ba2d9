// With ticks of a millisecond, so that a grace of 20 s lasts less than a tenth of one.
#include "control/gateway/owners.h"

#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <string>

#include "orchestrator/agent/agent.h"
#include "process/timer.h"
#include "tests/support/town_api.h"

namespace reeve {
namespace {

class OwnersTest : public ::testing::Test {
 protected:
  static constexpr int64_t kTestTickMs = 1;
  static constexpr int64_t kGraceTicks = Owners::kGraceMs / Owners::kTickMs;

  // A program with turns, in a run from its first message until `gate` is there.
  Agent& MakeAgent(const std::string& id, const std::string& connection = "c1") {
    return town_.MakeAgent(
        R"({"id":")" + id +
            R"(","kind":"jsonl","kind_options":{"turns":true},"close_on_disconnect":true,"command":["/bin/sh","-c",
        "read -r line; echo '{\"type\":\"run.started\"}'; until [ -e )" +
            gate_.path() +
            R"(/gate ]; do sleep 0.02; done; echo '{\"type\":\"run.completed\"}'; read -r line"]})",
        connection);
  }
  void BeginRun(Agent& agent) {
    Message message;
    message.text = "go";
    agent.Send(std::move(message), [](const Result<Agent::Accepted>& sent) { EXPECT_TRUE(sent.ok()); });
    ASSERT_TRUE(RunUntil(town_.loop(), [&agent] { return agent.runs().open().has_value(); }));
  }
  bool UntilEnded(const Agent& agent) {
    return RunUntil(town_.loop(), [&agent] { return agent.ended(); });
  }
  // Waits until the timer had enough ticks to end any grace that began before.
  void PassGrace() {
    int64_t ticks = 0;
    Timer timer(town_.loop(), [&ticks] { ++ticks; });
    timer.Start(kTestTickMs, kTestTickMs);
    ASSERT_TRUE(RunUntil(town_.loop(), [&ticks] { return ticks > 2 * kGraceTicks; }));
  }
  std::string EventsOf(const std::string& agent) {
    std::string all;
    auto log = town_.town().Find(agent)->log();
    EXPECT_TRUE((*log)->Commit().ok());
    auto scanned = (*log)->Scan(*(*log)->PositionAfter(0), [&all](const FrameView& frame, std::string_view) {
      all.append(frame.envelope).append("\n");
      return true;
    });
    EXPECT_TRUE(scanned.ok());
    return all;
  }

  TempDir gate_;
  TownApi town_;
  Owners owners_{town_.loop(), town_.town(), kTestTickMs};
};

TEST_F(OwnersTest, AnIdleAgentIsStoppedAfterTheGrace) {
  Agent& agent = MakeAgent("a1");
  Agent& other = MakeAgent("b2", "c2");
  Agent& free = town_.MakeAgent(R"({"id":"d4","kind":"process","command":["sleep","600"]})");
  owners_.Came("c1");
  owners_.Came("c2");
  EXPECT_FALSE(owners_.counting());
  EXPECT_EQ(owners_.Went("c1").ending, 1u);
  EXPECT_TRUE(owners_.counting());
  ASSERT_TRUE(UntilEnded(agent));
  EXPECT_EQ(agent.state(), AgentState::kExited);
  EXPECT_FALSE(agent.deleted());
  EXPECT_NE(EventsOf("a1").find(R"("by":"daemon")"), std::string::npos) << EventsOf("a1");
  ASSERT_TRUE(RunUntil(town_.loop(), [this] { return !owners_.counting(); }));
  EXPECT_TRUE(other.has_process());
  EXPECT_TRUE(free.has_process());
}

TEST_F(OwnersTest, NotBeforeTheGraceIsOver) {
  Agent& agent = MakeAgent("a1");
  owners_.Came("c1");
  const int64_t left_ms = town_.loop().NowMs();
  owners_.Went("c1");
  ASSERT_TRUE(RunUntil(town_.loop(), [&agent] { return !agent.has_process() || agent.ended(); }));
  EXPECT_GE(town_.loop().NowMs() - left_ms, kGraceTicks * kTestTickMs);
}

TEST_F(OwnersTest, WhoeverContinuesTheConnectionKeepsTheAgents) {
  Agent& agent = MakeAgent("a1");
  owners_.Came("c1");
  owners_.Went("c1");
  owners_.Came("c1");
  PassGrace();
  EXPECT_TRUE(agent.has_process());
  EXPECT_FALSE(owners_.counting());
  // The end of a connection may be noticed late.
  owners_.Came("c1");
  owners_.Went("c1");
  PassGrace();
  EXPECT_TRUE(agent.has_process());
  owners_.Went("c1");
  EXPECT_TRUE(UntilEnded(agent));
}

TEST_F(OwnersTest, AnOpenRunGoesOn) {
  Agent& agent = MakeAgent("a1");
  BeginRun(agent);
  owners_.Came("c1");
  owners_.Went("c1");
  PassGrace();
  EXPECT_TRUE(agent.runs().open());
  EXPECT_TRUE(owners_.counting());
  WriteFile(gate_.path() + "/gate", "");
  ASSERT_TRUE(UntilEnded(agent));
  EXPECT_EQ(agent.runs().last()->status, Run::Status::kCompleted);
  EXPECT_TRUE(RunUntil(town_.loop(), [this] { return !owners_.counting(); }));
}

TEST_F(OwnersTest, AMessageThatWaitsIsRunFirst) {
  Agent& agent = MakeAgent("a1");
  WriteFile(gate_.path() + "/gate", "");
  Message message;
  message.text = "go";
  owners_.Came("c1");
  agent.Send(std::move(message), [](const Result<Agent::Accepted>&) {});
  owners_.Went("c1");
  ASSERT_TRUE(UntilEnded(agent));
  ASSERT_TRUE(agent.runs().last());
  EXPECT_EQ(agent.runs().last()->status, Run::Status::kCompleted);
}

TEST_F(OwnersTest, AConnectionThatComesBackDuringTheLastRunKeepsTheAgent) {
  Agent& agent = MakeAgent("a1");
  BeginRun(agent);
  owners_.Came("c1");
  owners_.Went("c1");
  PassGrace();
  owners_.Came("c1");
  WriteFile(gate_.path() + "/gate", "");
  ASSERT_TRUE(RunUntil(town_.loop(), [&agent] { return agent.idle(); }));
  PassGrace();
  EXPECT_TRUE(agent.has_process());
}

TEST_F(OwnersTest, AnAgentThatIsStartedInTheMeantimeIsStoppedAfterTheNextAbsence) {
  Agent& agent = MakeAgent("a1");
  owners_.Came("c1");
  owners_.Went("c1");
  ASSERT_TRUE(UntilEnded(agent));
  agent.Start([](const Status&) {});
  ASSERT_TRUE(RunUntil(town_.loop(), [&agent] { return agent.has_process(); }));
  PassGrace();
  EXPECT_TRUE(agent.has_process());
  owners_.Came("c1");
  owners_.Went("c1");
  EXPECT_TRUE(UntilEnded(agent));
}

// The time for which the loop was busy is one tick.
TEST_F(OwnersTest, ABusyLoopCountsAgainstNobody) {
  Agent& agent = MakeAgent("a1");
  owners_.Came("c1");
  owners_.Went("c1");
  bool was_busy = false;
  Timer busy(town_.loop(), [&was_busy] {
    const auto until =
        std::chrono::steady_clock::now() + std::chrono::milliseconds(10 * kGraceTicks * kTestTickMs);
    while (std::chrono::steady_clock::now() < until) continue;
    was_busy = true;
  });
  busy.Start(1);
  ASSERT_TRUE(RunUntil(town_.loop(), [&was_busy] { return was_busy; }));
  EXPECT_EQ(agent.state(), AgentState::kIdle);
  owners_.Came("c1");
  PassGrace();
  EXPECT_TRUE(agent.has_process());
}

TEST_F(OwnersTest, ADeletedOrPurgedAgentIsForgotten) {
  BeginRun(MakeAgent("a1"));
  BeginRun(MakeAgent("b2"));
  owners_.Came("c1");
  EXPECT_EQ(owners_.Went("c1").ending, 2u);
  PassGrace();
  EXPECT_TRUE(owners_.counting());
  town_.town().Delete("a1", true, [](const Status&) {});
  town_.town().Delete("b2", false, [](const Status&) {});
  EXPECT_TRUE(RunUntil(town_.loop(), [this] { return !owners_.counting() && !town_.town().Find("a1"); }));
  owners_.Came("c1");
  EXPECT_EQ(owners_.Went("c1").ending, 0u);
}

TEST_F(OwnersTest, ConnectionsWithoutAgentsLeaveNothing) {
  for (int i = 0; i < 1'000; ++i) {
    owners_.Came("c" + std::to_string(i));
    owners_.Went("c" + std::to_string(i));
  }
  EXPECT_TRUE(RunUntil(town_.loop(), [this] { return !owners_.counting(); }));
}

TEST(Owners, AgentsKnowTheirConnectionsAfterARestart) {
  TownApi town;
  town.MakeAgent(
      R"({"id":"a1","kind":"jsonl","kind_options":{"turns":true},"close_on_disconnect":true,
          "restart":{"policy":"always"},"command":["sleep","600"]})",
      "c1");
  town.Restart();
  const Agent* agent = town.town().Find("a1");
  ASSERT_NE(agent, nullptr);
  EXPECT_EQ(agent->connection(), "c1");
  EXPECT_TRUE(agent->spec().close_on_disconnect);
  Owners owners(town.loop(), town.town(), 1);
  owners.AfterStart();
  EXPECT_TRUE(owners.counting());
  ASSERT_TRUE(RunUntil(town.loop(), [agent] { return agent->ended(); }));
  EXPECT_TRUE(RunUntil(town.loop(), [&owners] { return !owners.counting(); }));
}

}  // namespace
}  // namespace reeve
