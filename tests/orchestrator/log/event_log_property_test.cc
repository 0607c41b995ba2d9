// Random operations on an EventLog and on a list of events, side by side (tests/support/log_model.h).
#include <gtest/gtest.h>

#include <random>

#include "process/log.h"
#include "tests/support/log_model.h"
#include "tests/support/loop_fixture.h"

namespace reeve {
namespace {

class EventLogProperty : public testing::TestWithParam<uint64_t> {};

TEST_P(EventLogProperty, TheLogIsTheListOfItsEvents) {
  log::SetLevel(log::Level::kOff);  // torn tails are no news here
  TempDir dir;
  std::mt19937_64 random(GetParam());
  LogModel model(dir.path(), [&random](uint64_t below) { return random() % below; });
  for (int step = 0; step < 5'000; ++step) {
    ASSERT_TRUE(model.Step()) << "seed " << GetParam() << ", step " << step << ": " << model.complaint();
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, EventLogProperty, testing::Range<uint64_t>(1, 13));

}  // namespace
}  // namespace reeve
