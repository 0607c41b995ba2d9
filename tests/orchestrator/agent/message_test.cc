// The forms of a message and of a run on disk and in the API. Records of earlier versions must stay readable:
// those here were written by 0.1.0 before Mailbox and Runs were parts of their own.
#include "orchestrator/agent/message.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "orchestrator/agent/run.h"
#include "orchestrator/json/json.h"

namespace reeve {
namespace {

using Mode = Message::Mode;

TEST(MessageForms, ModesHaveTheNamesOfTheApi) {
  for (auto [mode, name] :
       {std::pair{Mode::kFollowUp, "followup"}, {Mode::kSteer, "steer"}, {Mode::kInterrupt, "interrupt"}}) {
    EXPECT_STREQ(NameOf(mode), name);
    EXPECT_EQ(ParseMode(name), mode);
  }
  EXPECT_EQ(ParseMode("Steer"), std::nullopt);
  EXPECT_EQ(ParseMode(""), std::nullopt);
}

TEST(MessageForms, ARecordOfAnEarlierVersionIsRead) {
  auto least = Message::FromJson("m1", R"({"text":"hello","mode":"followup","queued_ms":1795170414684})");
  ASSERT_TRUE(least);
  EXPECT_EQ(least->id, "m1");
  EXPECT_EQ(least->text, "hello");
  EXPECT_EQ(least->mode, Mode::kFollowUp);
  EXPECT_EQ(least->queued_ms, 1'795'170'414'684);
  EXPECT_EQ(least->model, "");
  EXPECT_EQ(least->run_at_ms, 0);
  EXPECT_EQ(least->through_pause, 0U);
  EXPECT_EQ(least->taken_seq, 0U);

  auto most = Message::FromJson("m2", R"({"text":"a\n\"b\"","mode":"interrupt","queued_ms":5,"model":"big",)"
                                      R"("run_at_ms":1795170500000,"through_pause":3,"taken_seq":1042})");
  ASSERT_TRUE(most);
  EXPECT_EQ(most->text, "a\n\"b\"");
  EXPECT_EQ(most->mode, Mode::kInterrupt);
  EXPECT_EQ(most->model, "big");
  EXPECT_EQ(most->run_at_ms, 1'795'170'500'000);
  EXPECT_EQ(most->through_pause, 3U);
  EXPECT_EQ(most->taken_seq, 1'042U);
}

TEST(MessageForms, ARecordIsReadAsItWasWritten) {
  Message message{"m1", "text \xE2\x82\xAC", Mode::kSteer, "small", 7, 8, 9, true, 10, "alice"};
  auto read = Message::FromJson("m1", message.ToJson());
  ASSERT_TRUE(read);
  EXPECT_EQ(read->ToJson(), message.ToJson());
  EXPECT_EQ(read->id, "m1");
  EXPECT_EQ(read->mode, Mode::kSteer);
  EXPECT_EQ(read->taken_seq, 10U);
  EXPECT_EQ(read->by, "alice");
  EXPECT_EQ(Message::FromJson("m1", R"({"text":"hi"})")->by, "person") << "written by an older daemon";
  // Its id is the record's.
  EXPECT_EQ(Message::FromJson("m2", message.ToJson())->id, "m2");
}

TEST(MessageForms, ABodyThatIsNoMessageIsNone) {
  for (const char* body : {"", "{", "null", "[]", "{}", R"({"mode":"steer"})", R"({"text":5})"}) {
    EXPECT_FALSE(Message::FromJson("m1", body)) << body;
  }
}

TEST(MessageForms, TheApiShowsWhatThereIs) {
  Message message{"m1", "hi"};
  EXPECT_EQ(message.Describe("arriving", ""),
            R"({"message_id":"m1","mode":"followup","state":"arriving","text":"hi"})");
  message.queued_ms = 1'795'170'414'684;
  message.run_at_ms = 1'795'170'415'000;
  message.model = "big";
  EXPECT_EQ(message.Describe("done", "r7"),
            R"({"message_id":"m1","mode":"followup","state":"done","queued_at":"2026-11-20T10:26:54.684Z",)"
            R"("run_at":"2026-11-20T10:26:55.000Z","model":"big","run":"r7","text":"hi"})");
}

// --------------------------------------------------------------------------------------------------- runs

std::optional<Run> ReadRun(const std::string& text) {
  auto json = JsonDocument::Parse(text);
  return json ? Run::FromJson(json->root()) : std::nullopt;
}

TEST(RunForms, IdsAreNumbers) {
  EXPECT_EQ(Run::IdOf(1'042), "r1042");
  EXPECT_EQ(Run::NumberOf("r1042"), 1'042U);
  for (const char* id : {"", "r", "1042", "m1042", "r10x", "r-1", "r 1", "r99999999999999999999"}) {
    EXPECT_EQ(Run::NumberOf(id), 0U) << id;
  }
}

TEST(RunForms, StatusesHaveTheNamesOfTheApi) {
  using Status = Run::Status;
  for (auto [status, name, message] : {std::tuple{Status::kRunning, "running", "done"},
                                       {Status::kCompleted, "completed", "done"},
                                       {Status::kFailed, "failed", "failed"},
                                       {Status::kCancelled, "cancelled", "cancelled"}}) {
    EXPECT_STREQ(NameOf(status), name);
    EXPECT_EQ(ParseRunStatus(name), status);
    EXPECT_STREQ(MessageState(status), message);
  }
  EXPECT_EQ(ParseRunStatus("done"), std::nullopt);
}

// Each byte: the API shows these records as they are.
TEST(RunForms, ARecordIsReadAndWrittenAsByEarlierVersions) {
  for (
      const char* record : {
          R"({"run_id":"r3","status":"running","started_at":"2026-11-20T15:36:54.123Z"})",
          R"({"run_id":"r3","status":"completed","message_id":"m1",)"
          R"("usage":{"input_tokens":10,"output_tokens":2,"cost_usd":0.25,"model":"big"},)"
          R"("started_at":"2026-11-20T15:36:54.123Z","ended_at":"2026-11-20T15:36:55.123Z","duration_ms":1000})",
          R"({"run_id":"r9","status":"failed","message_id":"m1","exit_code":3,)"
          R"("error":{"code":"limit_exceeded","message":"the run used more than limits.max_tokens"},)"
          R"("limit":"max_tokens","steered":["m2","m3"],)"
          R"("started_at":"2026-11-20T15:36:54.123Z","ended_at":"2026-11-20T15:36:54.223Z","duration_ms":100})",
      }) {
    auto run = ReadRun(record);
    ASSERT_TRUE(run) << record;
    EXPECT_EQ(run->ToJson(), record);
  }
  auto failed = ReadRun(
      R"({"run_id":"r9","status":"failed","exit_code":3,"error":{"code":"e","message":"text"},)"
      R"("steered":["m2"],"started_at":"2026-11-20T15:36:54.123Z","ended_at":"2026-11-20T15:36:54.223Z"})");
  EXPECT_EQ(failed->status, Run::Status::kFailed);
  EXPECT_EQ(failed->exit_code, 3);
  EXPECT_EQ(failed->error.code, "e");
  EXPECT_EQ(failed->error.message, "text");
  EXPECT_TRUE(failed->Has("m2"));
  EXPECT_FALSE(failed->Has("m1"));
  EXPECT_EQ(failed->ended_ms - failed->started_ms, 100);
  EXPECT_FALSE(ReadRun("{}"));
  EXPECT_FALSE(ReadRun(R"({"status":"failed"})"));
}

TEST(RunForms, TheEventThatEndsARunTellsOfIt) {
  reeve::Run run;
  run.id = "r9";
  run.message_id = "m1";
  run.status = Run::Status::kFailed;
  run.exit_code = 3;
  run.error = {"stalled", "nothing was heard"};
  run.limit = "stall_ms";
  run.usage = R"({"input_tokens":4})";
  run.started_ms = 1'795'170'414'000;
  run.ended_ms = 1'795'170'414'684;
  const std::string data = run.EndJson();
  EXPECT_EQ(data,
            R"({"message_id":"m1","exit_code":3,"error":{"code":"stalled","message":"nothing was heard"},)"
            R"("limit":"stall_ms","duration_ms":684,"usage":{"input_tokens":4}})");

  auto envelope = JsonDocument::Parse(R"({"agent":"a1","epoch":1,"seq":20,"time":"2026-11-20T10:26:54.684Z",)"
                                      R"("type":"run.failed","run":"r9","data":)" +
                                      data + "}");
  ASSERT_TRUE(envelope.ok());
  EXPECT_EQ(Run::FromEnd(envelope->root()).ToJson(), run.ToJson());
}

TEST(RunForms, ARunThatDidNotFailShowsNoError) {
  reeve::Run run;
  run.id = "r1";
  run.status = Run::Status::kCancelled;
  run.started_ms = 10;
  run.ended_ms = 30;
  EXPECT_EQ(run.EndJson(), R"({"duration_ms":20})");
  auto envelope = JsonDocument::Parse(
      R"({"time":"1970-01-01T00:00:00.030Z","type":"run.cancelled","run":"r1","data":{"duration_ms":20}})");
  EXPECT_EQ(Run::FromEnd(envelope->root()).ToJson(), run.ToJson());
}

TEST(UsageForms, ItIsTheDataOfAnEvent) {
  const Usage usage = Usage::Parse(R"({"input_tokens":3,"output_tokens":4,"cost_usd":0.5,"model":"x"})");
  EXPECT_EQ(usage.ToJson(), R"({"input_tokens":3,"output_tokens":4,"cost_usd":0.5})");
  EXPECT_EQ(Usage::Parse("").input_tokens, 0);
  EXPECT_EQ(Usage::Parse("[]").output_tokens, 0);
  Usage sum = usage;
  sum.Add(usage);
  EXPECT_EQ(sum.ToJson(), R"({"input_tokens":6,"output_tokens":8,"cost_usd":1})");
}

}  // namespace
}  // namespace reeve
