#include "orchestrator/agent/restarts.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <set>
#include <string>

#include "orchestrator/handover/saved_state.h"
#include "orchestrator/json/json.h"

namespace reeve {
namespace {

using What = Restarts::Decision::What;
using When = RestartPolicy::When;

constexpr int64_t kDay = 86'400'000;
constexpr int64_t kHealthy = 60'000;

RestartPolicy Policy(When when, int max_restarts = 1'000'000, int64_t window_ms = kDay) {
  return {when, max_restarts, window_ms};
}

TEST(Restarts, ThePolicySaysWhetherThereIsAnother) {
  struct Case {
    When when;
    bool failed, messages_wait;
    What what;
  };
  for (const Case& one : {
           Case{When::kNever, false, false, What::kNone},
           Case{When::kNever, true, false, What::kNone},
           Case{When::kNever, false, true, What::kAfter},
           Case{When::kNever, true, true, What::kAfter},
           Case{When::kOnFailure, false, false, What::kNone},
           Case{When::kOnFailure, true, false, What::kAfter},
           Case{When::kOnFailure, false, true, What::kAfter},
           Case{When::kAlways, false, false, What::kAfter},
           Case{When::kAlways, true, false, What::kAfter},
       }) {
    SCOPED_TRACE(static_cast<int>(one.when) * 100 + one.failed * 10 + one.messages_wait);
    Restarts restarts;
    const auto decision = restarts.Next(Policy(one.when), 0, 0, one.failed, one.messages_wait);
    EXPECT_EQ(decision.what, one.what);
    EXPECT_EQ(restarts.total(), one.what == What::kAfter ? 1 : 0);
  }
}

// 1 s, doubled up to a minute (control/api/API.md), and up to half as much again at random.
TEST(Restarts, TheDelayDoublesToAMinuteAndVaries) {
  std::set<int64_t> first;
  for (int round = 0; round < 50; ++round) {
    Restarts restarts;
    int64_t base = 1'000;
    for (int step = 0; step < 12; ++step) {
      const auto decision = restarts.Next(Policy(When::kAlways), step, 0, true, false);
      ASSERT_EQ(decision.what, What::kAfter);
      EXPECT_GE(decision.delay_ms, std::min<int64_t>(base, 60'000));
      EXPECT_LE(decision.delay_ms, std::min<int64_t>(base * 3 / 2, 60'000));
      if (step == 0) first.insert(decision.delay_ms);
      base *= 2;
    }
  }
  EXPECT_GT(first.size(), 1U) << "agents that ended together do not start together";
}

TEST(Restarts, AfterAProcessThatLivedLongTheDelayBeginsAnew) {
  Restarts restarts;
  for (int i = 0; i < 5; ++i) (void)restarts.Next(Policy(When::kAlways), i, kHealthy - 1, true, false);
  EXPECT_GE(restarts.Next(Policy(When::kAlways), 5, kHealthy - 1, true, false).delay_ms, 32'000);
  EXPECT_LE(restarts.Next(Policy(When::kAlways), 6, kHealthy, true, false).delay_ms, 1'500);
  EXPECT_EQ(restarts.recent(), 7U) << "it counts in the window all the same";
}

TEST(Restarts, OneMoreThanThePolicyAllowsInItsWindowIsGivenUp) {
  Restarts restarts;
  const RestartPolicy policy = Policy(When::kAlways, 3, 10'000);
  for (int64_t now : {0, 100, 200}) {
    EXPECT_EQ(restarts.Next(policy, now, 0, true, false).what, What::kAfter);
  }
  const auto decision = restarts.Next(policy, 9'999, 0, true, false);
  EXPECT_EQ(decision.what, What::kGiveUp);
  EXPECT_EQ(decision.delay_ms, 0);
  EXPECT_EQ(restarts.recent(), 3U);
  EXPECT_EQ(restarts.total(), 3) << "what is given up is no restart";
  // The window moves on: the first restart has left it.
  EXPECT_EQ(restarts.Next(policy, 10'000, 0, true, false).what, What::kAfter);
  EXPECT_EQ(restarts.Next(policy, 10'001, 0, true, false).what, What::kGiveUp);
}

TEST(Restarts, MessagesThatWaitAreNoReasonToGoOnForEver) {
  Restarts restarts;
  const RestartPolicy policy = Policy(When::kNever, 2, 10'000);
  EXPECT_EQ(restarts.Next(policy, 0, 0, true, true).what, What::kAfter);
  EXPECT_EQ(restarts.Next(policy, 1, 0, true, true).what, What::kAfter);
  EXPECT_EQ(restarts.Next(policy, 2, 0, true, true).what, What::kGiveUp);
}

TEST(Restarts, APolicyWithoutRestartsGivesUpAtOnce) {
  Restarts restarts;
  EXPECT_EQ(restarts.Next(Policy(When::kAlways, 0), 0, 0, true, false).what, What::kGiveUp);
  EXPECT_EQ(restarts.recent(), 0U);
}

TEST(Restarts, WhatWasBeforeIsForgivenButCounted) {
  Restarts restarts;
  const RestartPolicy policy = Policy(When::kAlways, 3, 10'000);
  for (int64_t now : {0, 1, 2}) (void)restarts.Next(policy, now, 0, true, false);
  restarts.Forgive();
  EXPECT_EQ(restarts.recent(), 0U);
  const auto decision = restarts.Next(policy, 3, 0, true, false);
  EXPECT_EQ(decision.what, What::kAfter);
  EXPECT_LE(decision.delay_ms, 1'500) << "the first delay again";
  EXPECT_EQ(restarts.total(), 4) << "since the agent was made";
}

TEST(Restarts, AHandoverKeepsTheWindowAndTheDelay) {
  Restarts restarts;
  const RestartPolicy policy = Policy(When::kAlways, 3, 10'000);
  for (int64_t now : {5'000, 6'000, 7'000}) (void)restarts.Next(policy, now, 0, true, false);
  const std::string text = SaveState(restarts);
  auto json = JsonDocument::Parse(text);
  Restarts next;
  ASSERT_TRUE(RestoreState(json->root(), next).ok());
  EXPECT_EQ(SaveState(next), text);
  EXPECT_EQ(next.Next(policy, 8'000, 0, true, false).what, What::kGiveUp);
  EXPECT_GE(next.Next(policy, 15'000, 0, true, false).delay_ms, 8'000) << "the fourth delay";
}

TEST(Restarts, AStepThatCannotBeIsRefused) {
  auto json = JsonDocument::Parse(R"({"total":1,"times":[],"step":-1})");
  Restarts restarts;
  EXPECT_FALSE(RestoreState(json->root(), restarts).ok());
}

TEST(Restarts, TheRecordKeepsTheirNumberAlone) {
  Restarts restarts;
  (void)restarts.Next(Policy(When::kAlways), 0, 0, true, false);
  StateWriter writer;
  Restarts::Record(restarts, writer);
  EXPECT_EQ(writer.Take(), R"({"restarts":1})");
}

}  // namespace
}  // namespace reeve
