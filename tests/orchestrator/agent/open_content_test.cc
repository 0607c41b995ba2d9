#include "orchestrator/agent/open_content.h"

#include <gtest/gtest.h>

#include <string>

#include "orchestrator/handover/saved_state.h"
#include "orchestrator/json/json.h"

namespace reeve {
namespace {

std::string Delta(const std::string& id, const std::string& text) {
  JsonObject data;
  if (!id.empty()) data.Set("message_id", id);
  return data.Set("text", text).Take();
}

std::string Texts(const OpenContent& content) {
  auto json = JsonDocument::Parse(content.ToJson());
  return json ? (*json)["texts"].Raw() : "";
}

TEST(OpenContent, TextsThatInterleaveKeepTheirIds) {
  OpenContent content;
  content.Take("assistant.delta", Delta("a", "one "), 1, 0);
  content.Take("reasoning.delta", Delta("a", "why "), 1, 0);
  content.Take("assistant.delta", Delta("b", "two "), 1, 0);
  content.Take("assistant.delta", Delta("a", "more"), 1, 0);
  EXPECT_EQ(Texts(content), R"([{"message_id":"a","kind":"assistant","text":"one more"},)"
                            R"({"message_id":"a","kind":"reasoning","text":"why "},)"
                            R"({"message_id":"b","kind":"assistant","text":"two "}])");
  content.Take("assistant.message", Delta("a", "one more!"), 1, 0);
  EXPECT_EQ(Texts(content), R"([{"message_id":"a","kind":"reasoning","text":"why "},)"
                            R"({"message_id":"b","kind":"assistant","text":"two "}])");
  content.EndRun();
  EXPECT_EQ(Texts(content), "[]");
}

TEST(OpenContent, ATextWithoutAnIdEndsWithTheNextMessage) {
  OpenContent content;
  content.Take("assistant.delta", Delta("", "half"), 1, 0);
  content.Take("reasoning.message", Delta("r", "done"), 1, 0);
  EXPECT_EQ(Texts(content), R"([{"kind":"assistant","text":"half"}])");
  content.Take("assistant.message", Delta("m", "half and half"), 1, 0);
  EXPECT_EQ(Texts(content), "[]");
}

TEST(OpenContent, CallsAreOpenUntilTheyEnd) {
  OpenContent content;
  content.Take("tool.started", R"({"call_id":"c1","name":"bash","input":{"command":"ls"}})", 1, 1'000);
  content.Take("tool.started", R"({"call_id":"c2","name":"read","input":{}})", 1, 2'000);
  content.Take("tool.output", R"({"call_id":"c1","output":"a\n"})", 1, 3'000);
  content.Take("tool.output", R"({"call_id":"c1","output":"b\n"})", 1, 3'000);
  content.Take("tool.output", R"({"call_id":"other","output":"x"})", 1, 3'000);
  content.Take("tool.completed", R"({"call_id":"c2","output":""})", 1, 4'000);
  EXPECT_EQ(content.ToJson(),
            R"({"texts":[],"calls":[{"call_id":"c1","name":"bash","input":{"command":"ls"},)"
            R"("output":"a\nb\n","started_at":"1970-01-01T00:00:01.000Z"}],"plan":null})");
  content.Take("tool.failed", R"({"call_id":"c1"})", 1, 5'000);
  EXPECT_EQ(content.ToJson(), R"({"texts":[],"calls":[],"plan":null})");
}

TEST(OpenContent, ThePlanIsTheLastOneAndOutlivesItsRun) {
  OpenContent content;
  content.Take("plan.updated", R"({"entries":[1]})", 1, 0);
  content.Take("plan.updated", R"({"entries":[2]})", 1, 0);
  content.EndRun();
  EXPECT_EQ(content.ToJson(), R"({"texts":[],"calls":[],"plan":{"entries":[2]}})");
  content.EndProcess();
  EXPECT_EQ(content.ToJson(), R"({"texts":[],"calls":[],"plan":null})");
}

TEST(OpenContent, NothingGrowsWithoutBound) {
  OpenContent content;
  const std::string piece(100'000, 'x');
  for (int i = 0; i < 30; ++i) content.Take("assistant.delta", Delta("a", piece + "\u00e9"), 1, 0);
  auto json = JsonDocument::Parse(content.ToJson());
  ASSERT_TRUE(json.ok());
  const JsonValue text = (*json)["texts"].Elements().at(0);
  EXPECT_LE(text["text"].StringOr("").size(), OpenContent::kMaxBytes);
  EXPECT_GE(text["text"].StringOr("").size(), OpenContent::kMaxBytes / 2 - 4);
  EXPECT_TRUE(text["truncated"].AsBool().value_or(false));
  for (int i = 0; i < 2000; ++i) {
    content.Take("assistant.delta", Delta("t" + std::to_string(i), "x"), 1, 0);
    content.Take("tool.started", JsonObject().Set("call_id", "c" + std::to_string(i)).Take(), 1, 0);
  }
  json = JsonDocument::Parse(content.ToJson());
  EXPECT_EQ((*json)["texts"].size(), OpenContent::kMaxTexts);
  EXPECT_EQ((*json)["calls"].size(), OpenContent::kMaxCalls);
}

TEST(OpenContent, IsTakenFromTheLogAgainAfterARestore) {
  OpenContent content;
  auto take = [](OpenContent& by) {
    by.Take("assistant.delta", Delta("a", "half"), 5, 0);
    by.Take("tool.started", R"({"call_id":"c1","name":"bash","input":{"command":"ls"}})", 6, 1'000);
    by.Take("tool.output", R"({"call_id":"c1","output":"x"})", 7, 1'000);
  };
  content.Take("plan.updated", R"({"entries":[1]})", 3, 0);
  EXPECT_EQ(content.since(), 0U);
  take(content);
  EXPECT_EQ(content.since(), 5U);
  const std::string text = SaveState(content);
  auto json = JsonDocument::Parse(text);
  ASSERT_TRUE(json.ok()) << text;
  OpenContent next;
  ASSERT_TRUE(RestoreState(json->root(), next).ok());
  EXPECT_EQ(next.since(), 5U);
  take(next);
  EXPECT_EQ(next.ToJson(), content.ToJson());
  content.EndRun();
  EXPECT_EQ(content.since(), 0U);
}

}  // namespace
}  // namespace reeve
