// A log that a daemon's death cuts anywhere: its tail names exactly what was under way.
#include "orchestrator/agent/log_tail.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "orchestrator/json/json.h"
#include "orchestrator/log/event_log.h"
#include "tests/support/loop_fixture.h"

namespace reeve {
namespace {

struct Line {
  std::string type, run, data;
};

// The life of an agent with turns: three processes, five runs, steering, approvals, a withdrawn message, a
// failure at the end.
const std::vector<Line> kScript = {
    {"agent.updated", "", R"({"title":"x"})"},
    {"agent.starting", "", R"({"pid":10,"restarts":0})"},
    {"message.queued", "", R"({"message_id":"m1","mode":"followup"})"},
    {"agent.ready", "", R"({"pid":10})"},
    {"run.started", "r5", R"({"message_id":"m1"})"},
    {"message.started", "r5", R"({"message_id":"m1","mode":"followup"})"},
    {"user.message", "r5", R"({"message_id":"m1","text":"run.completed"})"},
    {"usage.updated", "r5", R"({"input_tokens":1})"},
    {"approval.requested", "r5", R"({"id":"p1"})"},
    {"approval.requested", "r5", R"({"id":"p2"})"},
    {"approval.resolved", "r5", R"({"id":"p1","decision":"deny","by":"person"})"},
    {"message.queued", "r5", R"({"message_id":"m2","mode":"followup"})"},
    {"user.message", "r5", R"({"message_id":"s1","text":"x","steer":true})"},
    {"message.done", "r5", R"({"message_id":"s1"})"},
    {"usage.updated", "r5", R"({"input_tokens":2})"},
    {"message.cancelled", "r5", R"({"message_id":"m2"})"},
    {"elicitation.requested", "r5", R"({"id":"e1"})"},
    {"approval.resolved", "r5", R"({"id":"p2","decision":"withdrawn","by":"daemon"})"},
    {"elicitation.resolved", "r5", R"({"id":"e1","action":"accept","by":"person"})"},
    {"run.completed", "r5", R"({"message_id":"m1","duration_ms":0,"usage":{"input_tokens":2}})"},
    {"message.done", "", R"({"message_id":"m1"})"},
    {"approval.requested", "", R"({"id":"p3"})"},  // of no run
    {"run.started", "r23", "{}"},                  // which nobody's message began
    {"agent.output", "r23", R"({"text":"run.failed"})"},
    {"run.cancelled", "r23", R"({"duration_ms":5})"},
    {"approval.resolved", "", R"({"id":"p3","decision":"withdrawn","by":"daemon"})"},
    {"agent.stopping", "", R"({"grace_ms":5000})"},
    {"agent.exited", "", R"({"code":0,"oom":false})"},
    {"agent.restarting", "", R"({"attempt":1,"delay_ms":1000})"},
    {"agent.starting", "", R"({"pid":11,"restarts":1})"},
    {"agent.ready", "", R"({"pid":11})"},
    {"run.started", "r32", R"({"message_id":"m3"})"},
    {"user.message", "r32", R"({"message_id":"m3","text":"x"})"},
    {"elicitation.requested", "r32", R"({"id":"e2"})"},
    {"elicitation.resolved", "r32", R"({"id":"e2","action":"withdrawn","by":"daemon"})"},
    {"run.failed", "r32",
     R"({"message_id":"m3","error":{"code":"agent_exited","message":"gone"},"duration_ms":1})"},
    {"agent.exited", "", R"({"signal":9,"oom":true})"},
    {"agent.restarting", "", R"({"attempt":2,"delay_ms":1000})"},
    {"agent.starting", "", R"({"pid":12,"restarts":2})"},
    {"agent.exited", "", R"({"code":1,"oom":false})"},
    {"agent.failed", "", R"({"code":"not_ready","message":"no","output":"last words"})"},
    {"agent.updated", "", R"({"starred":true})"},
};

std::string MemberOf(const std::string& data, const std::string& name) {
  auto json = JsonDocument::Parse(data);
  return std::string((*json)[name].StringOr(""));
}

// The expected tail after the first `count` lines, computed in the plain way: the effect of each line in
// turn.
struct Expected {
  bool alive = false;
  std::string run, message, usage;
  std::map<std::string, bool> pending;
  std::set<std::string> resolved, cancelled;
  std::map<std::string, std::string> begun;
  std::vector<std::string> ended;
  size_t exited = 0, failed = 0;  // the numbers of the events
};

Expected After(size_t count) {
  Expected now;
  for (size_t i = 0; i < count; ++i) {
    const Line& line = kScript[i];
    const std::string id = MemberOf(line.data, "id"), message = MemberOf(line.data, "message_id");
    now.failed = 0;
    if (line.type == "agent.starting") now.alive = true;
    if (line.type == "agent.exited") now.alive = false, now.exited = i + 1;
    if (line.type == "agent.failed") now.failed = i + 1;
    if (line.type == "run.started") {
      now.run = line.run, now.message = message, now.usage = "";
      if (!message.empty()) now.begun[message] = line.run;
    }
    if (line.type == "usage.updated") now.usage = line.data;
    if (line.type == "run.completed" || line.type == "run.failed" || line.type == "run.cancelled") {
      now.ended.push_back(line.run + line.type.substr(3));
      now.run = now.message = now.usage = "";
    }
    if (line.type == "user.message") now.begun[message] = line.run;
    if (line.type == "message.cancelled") now.cancelled.insert(message);
    if (line.type.ends_with(".requested")) now.pending[id] = line.type == "elicitation.requested";
    if (line.type.ends_with(".resolved")) now.pending.erase(id), now.resolved.insert(id);
  }
  return now;
}

class LogTailTest : public ::testing::Test {
 protected:
  // A log of its own with these events, committed.
  std::unique_ptr<EventLog> Write(const std::vector<Line>& lines) {
    auto log = EventLog::Open(clock, dir.path() + "/" + std::to_string(++logs), "a1", 1, {});
    EXPECT_TRUE(log.ok());
    for (const Line& line : lines) {
      clock.Advance(1);
      (*log)->Append(line.type, line.run, line.data);
    }
    EXPECT_TRUE((*log)->Commit().ok());
    return std::move(*log);
  }
  static LogTail Read(const EventLog& log, bool was_alive = false, uint64_t taken_seq = 0) {
    auto tail = LogTail::Read(log, was_alive, taken_seq);
    EXPECT_TRUE(tail.ok());
    return tail.ok() ? *tail : LogTail{};
  }
  static std::vector<Line> Talk(size_t count, const std::string& run) {
    return std::vector<Line>(count, {"agent.output", run, R"({"text":"x"})"});
  }
  static uint64_t SeqOf(const std::string& envelope) {
    if (envelope.empty()) return 0;
    auto json = JsonDocument::Parse(envelope);
    return static_cast<uint64_t>((*json)["seq"].AsInt().value_or(0));
  }

  TempDir dir;
  MockClock clock;
  int logs = 0;
};

TEST_F(LogTailTest, CutAnywhereItNamesExactlyWhatIsUnderWay) {
  for (size_t count = 0; count <= kScript.size(); ++count) {
    SCOPED_TRACE("after " + (count == 0 ? "nothing" : std::to_string(count) + " " + kScript[count - 1].type));
    auto log = Write({kScript.begin(), kScript.begin() + static_cast<ptrdiff_t>(count)});
    // A log that is read from its beginning knows better than the record.
    for (bool was_alive : {false, true}) {
      const LogTail tail = Read(*log, was_alive);
      const Expected expected = After(count);
      EXPECT_EQ(tail.alive, expected.alive);
      EXPECT_EQ(tail.open.id, expected.run);
      EXPECT_EQ(tail.open.message_id, expected.message);
      EXPECT_EQ(expected.run.empty() ? "" : tail.open.usage, expected.usage);
      EXPECT_EQ(tail.pending, expected.pending);
      std::set<std::string> resolved;
      for (const auto& [id, how] : tail.resolved) {
        resolved.insert(id);
        EXPECT_EQ(how.id, id);
        EXPECT_NE(how.decision, "");
        EXPECT_NE(how.by, "");
      }
      EXPECT_EQ(resolved, expected.resolved);
      EXPECT_EQ(tail.cancelled, expected.cancelled);
      EXPECT_EQ(tail.begun, expected.begun);
      std::vector<std::string> ended;
      for (const auto& run : tail.ended) ended.push_back(run.id + "." + NameOf(run.status));
      EXPECT_EQ(ended, expected.ended);
      EXPECT_EQ(SeqOf(tail.exited), expected.exited);
      EXPECT_EQ(SeqOf(tail.failed), expected.failed);
    }
  }
}

TEST_F(LogTailTest, TheOpenRunBeganWhenItsFirstEventSays) {
  auto log = Write({{"agent.starting", "", "{}"}, {"run.started", "r2", R"({"message_id":"m1"})"}});
  const int64_t began = clock.WallMs();
  EXPECT_EQ(Read(*log).open.started_ms, began);
}

TEST_F(LogTailTest, AnOpenRunIsFoundHoweverLongAgoItBegan) {
  std::vector<Line> lines = {{"agent.starting", "", "{}"},
                             {"run.started", "r2", R"({"message_id":"m1"})"},
                             {"user.message", "r2", R"({"message_id":"m1","text":"x"})"}};
  const std::vector<Line> talk = Talk(5'000, "r2");
  lines.insert(lines.end(), talk.begin(), talk.end());
  auto log = Write(lines);
  const LogTail tail = Read(*log, true);
  EXPECT_EQ(tail.open.id, "r2");
  EXPECT_EQ(tail.open.message_id, "m1");
  EXPECT_NE(tail.open.started_ms, 0);
  EXPECT_EQ(tail.begun.at("m1"), "r2");
}

TEST_F(LogTailTest, WhetherALongLivedProcessLivesTheRecordSays) {
  std::vector<Line> lines = {{"agent.starting", "", "{}"}};
  const std::vector<Line> talk = Talk(5'000, "");
  lines.insert(lines.end(), talk.begin(), talk.end());
  auto log = Write(lines);
  EXPECT_TRUE(Read(*log, true).alive);
  EXPECT_FALSE(Read(*log, false).alive);
  lines.push_back({"agent.exited", "", "{}"});
  EXPECT_FALSE(Read(*Write(lines), true).alive) << "unless an event says otherwise";
}

// A talkative program says thousands while the store notes that it has the message.
TEST_F(LogTailTest, ItReachesBackToTheEventAtWhichAMessageWasClaimed) {
  std::vector<Line> lines = {{"agent.starting", "", "{}"},
                             {"run.started", "r2", "{}"},
                             {"user.message", "r2", R"({"message_id":"m1","text":"x"})"}};
  const std::vector<Line> talk = Talk(5'000, "r2");
  lines.insert(lines.end(), talk.begin(), talk.end());
  auto log = Write(lines);
  EXPECT_EQ(Read(*log, true, 0).begun.count("m1"), 0U);
  EXPECT_EQ(Read(*log, true, 3).begun.count("m1"), 0U) << "it was claimed after that";
  EXPECT_EQ(Read(*log, true, 2).begun.at("m1"), "r2");
}

// control/api/API.md: retention trims the oldest events away.
TEST_F(LogTailTest, ARunWhoseBeginningIsTrimmedAwayIsOpenAllTheSame) {
  EventLog::Limits limits;
  limits.segment_bytes = 10'000;
  limits.retain_bytes = 50'000;
  auto log = EventLog::Open(clock, dir.path() + "/trimmed", "a1", 1, limits);
  ASSERT_TRUE(log.ok());
  (*log)->Append("run.started", "r1", R"({"message_id":"m1"})");
  for (int i = 0; i < 2'000; ++i) {
    clock.Advance(1);
    (*log)->Append("message.done", "r1", R"({"message_id":"s1"})");
    ASSERT_TRUE((*log)->Commit().ok());
  }
  ASSERT_GT((*log)->oldest().seq, 0U) << "something was trimmed";
  auto tail = LogTail::Read(**log, true, 0);
  ASSERT_TRUE(tail.ok()) << tail.error().message;
  EXPECT_TRUE(tail->alive);
  EXPECT_EQ(tail->open.id, "r1");
  EXPECT_EQ(tail->open.message_id, "") << "nobody knows";
  EXPECT_EQ(tail->open.started_ms, clock.WallMs() - 2'000 + static_cast<int64_t>((*log)->oldest().seq))
      << "at the latest";
}

}  // namespace
}  // namespace reeve
