#include "orchestrator/agent/runs.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "orchestrator/handover/saved_state.h"
#include "orchestrator/json/json.h"

namespace reeve {
namespace {

using How = RunEnding::How;
using Status = Run::Status;

constexpr EndReason kReasons[] = {EndReason::kNone, EndReason::kDaemon, EndReason::kMessage,
                                  EndReason::kPerson, EndReason::kLimit};

// A run that was to end for this reason, and ended so.
Run Ended(EndReason reason, How how) {
  Runs runs;
  runs.Begin(7, "m1", 1'000);
  if (reason == EndReason::kLimit) {
    runs.RequestEndByLimit("max_tokens", {"limit_exceeded", "the limit's"});
  } else {
    runs.RequestEnd(reason);
  }
  return runs.End({how, {"agent_error", "the agent's"}, 3}, 1'500);
}

TEST(Runs, HowARunEndsFollowsFromTheReasonAndTheEnding) {
  struct Row {
    EndReason reason;
    Status completed, cancelled, failed, exited, exited_failed;
  };
  constexpr Status kC = Status::kCompleted, kX = Status::kCancelled, kF = Status::kFailed;
  for (const Row& row :
       {Row{EndReason::kNone, kC, kX, kF, kC, kF}, Row{EndReason::kDaemon, kC, kX, kX, kX, kX},
        Row{EndReason::kMessage, kC, kX, kX, kX, kX}, Row{EndReason::kPerson, kC, kX, kX, kX, kX},
        Row{EndReason::kLimit, kF, kF, kF, kF, kF}}) {
    SCOPED_TRACE(static_cast<int>(row.reason));
    EXPECT_EQ(Ended(row.reason, How::kCompleted).status, row.completed);
    EXPECT_EQ(Ended(row.reason, How::kCancelled).status, row.cancelled);
    EXPECT_EQ(Ended(row.reason, How::kFailed).status, row.failed);
    EXPECT_EQ(Ended(row.reason, How::kExited).status, row.exited);
    EXPECT_EQ(Ended(row.reason, How::kExitedFailed).status, row.exited_failed);
  }
}

TEST(Runs, OnlyAFailedRunHasAnErrorAndALimitGivesItsOwn) {
  EXPECT_EQ(Ended(EndReason::kNone, How::kFailed).error.code, "agent_error");
  EXPECT_EQ(Ended(EndReason::kNone, How::kFailed).limit, "");
  EXPECT_EQ(Ended(EndReason::kNone, How::kCompleted).error.code, "");
  EXPECT_EQ(Ended(EndReason::kPerson, How::kFailed).error.code, "");
  for (How how : {How::kCompleted, How::kCancelled, How::kFailed, How::kExited, How::kExitedFailed}) {
    const reeve::Run run = Ended(EndReason::kLimit, how);
    EXPECT_EQ(run.error.code, "limit_exceeded");
    EXPECT_EQ(run.error.message, "the limit's");
    EXPECT_EQ(run.limit, "max_tokens");
  }
}

TEST(Runs, AStrongerReasonReplacesAWeakerOneOnly) {
  for (EndReason first : kReasons) {
    for (EndReason second : kReasons) {
      Runs runs;
      runs.Begin(1, "m1", 0);
      EXPECT_EQ(runs.RequestEnd(first), first != EndReason::kNone);
      EXPECT_EQ(runs.RequestEnd(second), second > first);
      EXPECT_EQ(runs.end_reason(), std::max(first, second));
    }
  }
}

TEST(Runs, AReasonIsForTheOpenRunAlone) {
  Runs runs;
  EXPECT_FALSE(runs.RequestEnd(EndReason::kPerson)) << "none is open";
  EXPECT_EQ(runs.end_reason(), EndReason::kNone);
  runs.Begin(1, "m1", 0);
  runs.RequestEndByLimit("wall_ms", {"limit_exceeded", "too long"});
  runs.End({How::kCancelled}, 1);
  EXPECT_EQ(runs.end_reason(), EndReason::kNone);
  runs.Begin(2, "m2", 2);
  EXPECT_EQ(runs.end_reason(), EndReason::kNone);
  const reeve::Run& second = runs.End({How::kFailed, {"own", "its own"}}, 3);
  EXPECT_EQ(second.error.code, "own");
  EXPECT_EQ(second.limit, "");
}

TEST(Runs, TheFirstLimitThatPassesIsTheRunsLimit) {
  Runs runs;
  runs.Begin(1, "m1", 0);
  runs.RequestEndByLimit("wall_ms", {"limit_exceeded", "too long"});
  runs.RequestEndByLimit("max_tokens", {"limit_exceeded", "too many"});
  const reeve::Run& run = runs.End({How::kCancelled}, 1);
  EXPECT_EQ(run.limit, "wall_ms");
  EXPECT_EQ(run.error.message, "too long");
}

TEST(Runs, ARunKnowsItsNumberItsMessagesAndItsTimes) {
  Runs runs;
  EXPECT_EQ(runs.last(), nullptr);
  runs.Begin(42, "m1", 1'000);
  ASSERT_TRUE(runs.open());
  EXPECT_EQ(runs.open()->id, "r42");
  EXPECT_EQ(runs.open()->number(), 42U);
  EXPECT_EQ(runs.open()->status, Status::kRunning);
  runs.Steered("m2");
  EXPECT_EQ(runs.OfMessage("m2"), &*runs.open());
  EXPECT_EQ(runs.Find("r42"), &*runs.open());
  const reeve::Run& ended = runs.End({How::kExited, {}, 0}, 1'250);
  EXPECT_FALSE(runs.open());
  EXPECT_EQ(&ended, runs.last());
  EXPECT_EQ(ended.exit_code, 0);
  EXPECT_EQ(ended.started_ms, 1'000);
  EXPECT_EQ(ended.ended_ms, 1'250);
  EXPECT_EQ(runs.OfMessage("m1"), &ended);
  EXPECT_EQ(runs.OfMessage("m2"), &ended);
  EXPECT_EQ(runs.OfMessage("m3"), nullptr);
  EXPECT_EQ(runs.Find("r43"), nullptr);
}

TEST(Runs, TheNewestRunsAreKept) {
  Runs runs;
  for (uint64_t number = 1; number <= Runs::kKept + 1; ++number) {
    runs.Begin(number, "m" + std::to_string(number), 0);
    runs.SetUsage(R"({"input_tokens":1})");
    runs.End({}, 1);
  }
  EXPECT_EQ(runs.Find("r1"), nullptr);
  EXPECT_NE(runs.Find("r2"), nullptr);
  EXPECT_EQ(runs.last()->id, reeve::Run::IdOf(Runs::kKept + 1));
  EXPECT_EQ(runs.usage().input_tokens, static_cast<int64_t>(Runs::kKept + 1)) << "of those forgotten, too";
}

TEST(Runs, UsageIsOfAllEndedRunsAndTheOpenOne) {
  Runs runs;
  EXPECT_EQ(runs.usage().input_tokens, 0);
  runs.Begin(1, "m1", 0);
  runs.SetUsage(R"({"input_tokens":5,"output_tokens":1,"cost_usd":0.5})");
  runs.SetUsage(R"({"input_tokens":10,"output_tokens":2,"cost_usd":0.75})");  // of the run so far
  EXPECT_EQ(runs.usage().input_tokens, 10);
  runs.End({}, 1);
  EXPECT_EQ(runs.usage().input_tokens, 10);
  runs.Begin(2, "m2", 2);
  runs.SetUsage(R"({"input_tokens":1,"output_tokens":1})");
  EXPECT_EQ(runs.usage().input_tokens, 11);
  EXPECT_EQ(runs.usage().output_tokens, 3);
  EXPECT_DOUBLE_EQ(runs.usage().cost_usd, 0.75);
  reeve::Run missed;
  missed.id = "r3";
  missed.usage = R"({"input_tokens":100})";
  runs.AddEnded(missed);
  EXPECT_EQ(runs.usage().input_tokens, 111);
}

TEST(Runs, ARunThatAnEarlierDaemonLeftOpenIsOpenAgain) {
  Runs runs;
  reeve::Run left;
  left.id = "r9";
  left.message_id = "m9";
  left.started_ms = 50;
  runs.Reopen(left);
  EXPECT_EQ(runs.OfMessage("m9")->id, "r9");
  EXPECT_EQ(runs.End({How::kExitedFailed, {kDaemonRestarted, "cut off"}}, 60).error.code, kDaemonRestarted);
}

TEST(Runs, AHandoverKeepsAllOfThem) {
  Runs runs;
  runs.Begin(1, "m1", 10);
  runs.SetUsage(R"({"input_tokens":4})");
  runs.End({How::kFailed, {"e", "text"}, 2}, 20);
  runs.Begin(5, "m2", 30);
  runs.Steered("m3");
  runs.Resolved({"p1", "deny", "person"});
  runs.RequestEndByLimit("stall_ms", {"stalled", "silent"});

  const std::string text = SaveState(runs);
  auto json = JsonDocument::Parse(text);
  ASSERT_TRUE(json.ok()) << text;
  Runs next;
  ASSERT_TRUE(RestoreState(json->root(), next).ok());
  EXPECT_EQ(SaveState(next), text);
  EXPECT_EQ(next.end_reason(), EndReason::kLimit);
  EXPECT_EQ(next.open()->approvals.at(0).decision, "deny");
  EXPECT_EQ(next.last()->error.code, "e");
  const reeve::Run& ended = next.End({How::kCompleted}, 40);
  EXPECT_EQ(ended.error.code, "stalled");
  EXPECT_EQ(ended.limit, "stall_ms");
  EXPECT_EQ(ended.steered, std::vector<std::string>{"m3"});
}

TEST(Runs, TheRecordKeepsTheLastOneAndTheUsage) {
  Runs runs;
  for (uint64_t number : {1U, 2U}) {
    runs.Begin(number, "m", 10);
    runs.SetUsage(R"({"input_tokens":4})");
    runs.End({}, 20);
  }
  StateWriter writer;
  Runs::Record(runs, writer);
  auto json = JsonDocument::Parse(writer.Take());
  Runs next;
  StateReader reader(json->root());
  Runs::Record(next, reader);
  ASSERT_TRUE(reader.status().ok());
  ASSERT_NE(next.last(), nullptr);
  EXPECT_EQ(next.last()->id, "r2");
  EXPECT_EQ(next.Find("r1"), nullptr);
  EXPECT_EQ(next.usage().input_tokens, 8);
}

// The checkpoint of an agent with many runs stays small.
TEST(Runs, OnlyThoseThatTheStoreMayLackAreSaved) {
  Runs runs;
  for (uint64_t number = 1; number <= 5; ++number) {
    runs.Begin(number, "m" + std::to_string(number), 10);
    runs.End({}, 20);
  }
  const auto saved = [&runs] {
    auto json = JsonDocument::Parse(SaveState(runs));
    Runs next;
    EXPECT_TRUE(RestoreState(json->root(), next));
    std::string ids;
    for (const reeve::Run& run : next.ended()) ids += run.id + " ";
    return ids;
  };
  EXPECT_EQ(saved(), "r1 r2 r3 r4 r5 ");
  runs.StoredBefore(4);
  EXPECT_EQ(saved(), "r4 r5 ");
  runs.StoredBefore(2);  // it is told late, because the disk was full
  EXPECT_EQ(saved(), "r4 r5 ");
  runs.StoredBefore(9);
  EXPECT_EQ(saved(), "r5 ");
  EXPECT_EQ(runs.ended().size(), 5u);
}

}  // namespace
}  // namespace reeve
