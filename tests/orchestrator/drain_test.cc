#include "orchestrator/drain.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "orchestrator/agent/agent.h"
#include "process/clock.h"
#include "process/log.h"
#include "tests/support/puppets.h"

namespace reeve {
namespace {

using Names = std::vector<std::string>;

constexpr int64_t kTimeoutMs = 60'000;

// Time as the test sets it; knows how often the drain has looked at it.
class WatchedClock : public MockClock {
 public:
  [[nodiscard]] int64_t MonotonicMs() const override {
    ++looks;
    return MockClock::MonotonicMs();
  }
  mutable int looks = 0;
};

// The drain goes by that clock, the agents' processes by the real one.
class DrainTest : public testing::Test {
 protected:
  DrainTest() { log::SetLevel(log::Level::kError); }

  void Begin() {
    drain_.Begin(kTimeoutMs, [this](Names unfinished) { unfinished_ = std::move(unfinished); });
  }
  bool Finishes() {
    return RunUntil(puppets_.loop(), [this] { return unfinished_.has_value(); });
  }
  // The drain has seen the present time, and goes on waiting.
  bool StillWaits() {
    const int seen = clock_.looks;
    EXPECT_TRUE(RunUntil(puppets_.loop(), [&] { return unfinished_ || clock_.looks >= seen + 2; }));
    return !unfinished_;
  }

  SystemClock system_clock_;
  WatchedClock clock_;
  Puppets puppets_{system_clock_};
  Drain drain_{puppets_.loop(), clock_, puppets_.agents(), puppets_.logs()};
  std::optional<Names> unfinished_;
};

TEST_F(DrainTest, WithoutAgentsItFinishesAtOnce) {
  EXPECT_FALSE(drain_.begun());
  Begin();
  EXPECT_TRUE(drain_.begun());
  EXPECT_FALSE(drain_.finished());
  ASSERT_TRUE(Finishes());
  EXPECT_TRUE(drain_.finished());
  EXPECT_EQ(*unfinished_, Names());
}

TEST_F(DrainTest, AnAgentWithoutARunIsStoppedAtOnce) {
  Agent& agent = puppets_.Make("a1");
  Begin();
  ASSERT_TRUE(Finishes());
  EXPECT_FALSE(agent.has_process());
  EXPECT_FALSE(agent.open_log()->dirty());
  EXPECT_EQ(*unfinished_, Names());
}

TEST_F(DrainTest, AnOpenTurnMayEnd) {
  Agent& agent = puppets_.Make("a1");
  puppets_.Make("a2");
  puppets_.BeginTurn("a1");
  Begin();
  ASSERT_TRUE(RunUntil(puppets_.loop(), [&] { return drain_.waits_for() == Names{"a1"}; }));
  clock_.Advance(kTimeoutMs - 1);
  EXPECT_TRUE(StillWaits());
  EXPECT_TRUE(agent.runs().open());
  puppets_.EndTurn("a1");
  ASSERT_TRUE(Finishes());
  EXPECT_EQ(agent.runs().last()->status, Run::Status::kCompleted);
  EXPECT_EQ(*unfinished_, Names());
  EXPECT_EQ(drain_.waits_for(), Names());
}

TEST_F(DrainTest, ATurnThatDoesNotEndInTimeIsStoppedAndNamed) {
  Agent& agent = puppets_.Make("a1");
  puppets_.BeginTurn("a1");
  const std::string run = agent.runs().open()->id;
  Begin();
  EXPECT_TRUE(StillWaits());
  clock_.Advance(kTimeoutMs);
  ASSERT_TRUE(Finishes());
  EXPECT_FALSE(agent.has_process());
  EXPECT_EQ(agent.runs().last()->status, Run::Status::kCancelled);
  EXPECT_EQ(*unfinished_, Names{"agent a1: its run " + run + " did not end in time"});
}

TEST_F(DrainTest, AStubbornAgentHasTheTimeOfItsLongestStop) {
  puppets_.Make("a1", Puppets::Nature::kStubborn);
  puppets_.BeginTurn("a1");
  Begin();
  clock_.Advance(kTimeoutMs);
  EXPECT_TRUE(StillWaits());
  // It is killed after 3 s of politeness and 5 s of grace.
  clock_.Advance(8'000);
  EXPECT_TRUE(StillWaits());
  clock_.Advance(Agent::LongestStopMs(Agent::kDefaultGraceMs) - 8'000);
  ASSERT_TRUE(Finishes());
  ASSERT_EQ(unfinished_->size(), 2u);
  EXPECT_EQ(unfinished_->back(), "agent a1: its process did not end in time");
}

// The longest stop is what an agent says it is: its polite part, its grace, and a KILL, which works at once.
TEST(LongestStop, AnAgentThatTakesNoNoticeIsKilledWithinIt) {
  log::SetLevel(log::Level::kError);
  constexpr int64_t kGraceMs = 300;
  SystemClock clock;
  Puppets puppets(clock);
  Agent& agent = puppets.Make("a1", Puppets::Nature::kStubborn);
  const int64_t begun = clock.MonotonicMs();
  agent.Stop(kGraceMs, [](const Status& stopped) { EXPECT_TRUE(stopped.ok()); });
  ASSERT_TRUE(RunUntil(puppets.loop(), [&agent] { return !agent.has_process(); }));
  const int64_t took_ms = clock.MonotonicMs() - begun;
  EXPECT_GE(took_ms, 2 * kGraceMs);
  EXPECT_LE(took_ms, Agent::LongestStopMs(kGraceMs));
  EXPECT_GT(Agent::LongestStopMs(Agent::kDefaultGraceMs), 8'000);
}

}  // namespace
}  // namespace reeve
