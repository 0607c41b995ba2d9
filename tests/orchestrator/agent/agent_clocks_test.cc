#include "orchestrator/agent/agent_clocks.h"

#include <gtest/gtest.h>

#include "orchestrator/handover/saved_state.h"
#include "process/loop.h"
#include "tests/support/loop_fixture.h"

namespace reeve {
namespace {

class Clocks : public ::testing::Test {
 protected:
  AgentClocks::Handlers Count() {
    return {[this](int64_t) { ++stalled; }, [this](int64_t) { ++resumed; }, [this] { ++too_long; },
            [this] { ++idle; }};
  }

  Loop loop;
  Limits limits;
  int stalled = 0, resumed = 0, too_long = 0, idle = 0;
};

TEST_F(Clocks, AHandoverKeepsTheirTimesAndTheTimer) {
  limits.wall_ms = 60'000;
  limits.stall_ms = 20;
  AgentClocks first(loop, limits, Count());
  first.BeginRun();
  first.Set(AgentClocks::Doing::kRunning);
  first.Received();
  first.Progressed();
  const std::string text = SaveState(first);
  auto json = JsonDocument::Parse(text);
  ASSERT_TRUE(json.ok()) << text;
  first.Set(AgentClocks::Doing::kNothing);  // its own timer stops

  AgentClocks second(loop, limits, Count());
  ASSERT_TRUE(RestoreState(json->root(), second).ok());
  EXPECT_EQ(SaveState(second), text);
  ASSERT_TRUE(RunUntil(loop, [this] { return stalled == 1; }));
  EXPECT_TRUE(second.stalled());
  second.Received();
  EXPECT_EQ(resumed, 1);
  EXPECT_EQ(too_long, 0);
  EXPECT_EQ(idle, 0);
}

TEST_F(Clocks, ALimitThatPassedDuringAHandoverIsNoticedAtOnce) {
  limits.wall_ms = 60'000;
  AgentClocks clocks(loop, limits, Count());
  auto json = JsonDocument::Parse(R"({"doing":"running","run_began_ms":-60000,"timer":0})");
  ASSERT_TRUE(RestoreState(json->root(), clocks).ok());
  EXPECT_EQ(too_long, 0);  // not before the loop runs
  EXPECT_TRUE(RunUntil(loop, [this] { return too_long == 1; }));
}

}  // namespace
}  // namespace reeve
