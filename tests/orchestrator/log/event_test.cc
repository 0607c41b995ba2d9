#include "orchestrator/log/event.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "orchestrator/json/json.h"

namespace reeve {
namespace {

EventHead Head(Cursor id, std::string_view run = "r3") {
  return {"a1", id, "2026-11-20T15:36:54.123Z", "tool.started", run};
}

std::string Frame(const EventHead& head, std::string_view data) {
  std::string frame;
  AppendFrame(frame, head, data);
  return frame;
}

TEST(Cursor, IsReadAsItIsWritten) {
  for (Cursor cursor : {Cursor{}, Cursor{1, 0}, Cursor{3, 1042}, Cursor{UINT64_MAX, UINT64_MAX}}) {
    EXPECT_EQ(Cursor::Parse(cursor.ToString()), cursor) << cursor.ToString();
  }
  EXPECT_EQ((Cursor{3, 1042}.ToString()), "3-1042");
  EXPECT_EQ(Cursor::Parse("0"), Cursor{});
  EXPECT_EQ(Cursor::Parse("18446744073709551615-0"), (Cursor{UINT64_MAX, 0}));
}

TEST(Cursor, NothingElseIsACursor) {
  for (const char* text : {"",
                           "-",
                           "1",
                           "00",
                           "0-",
                           "-0",
                           "1-",
                           "-1",
                           "1-2-3",
                           "1--2",
                           "+1-2",
                           "1-+2",
                           "01-2",
                           "1-02",
                           "1-00",
                           " 1-2",
                           "1-2 ",
                           "1 -2",
                           "1-2\n",
                           "a-1",
                           "1-a",
                           "1-2a",
                           "0x1-2",
                           "1.0-2",
                           "1e3-2",
                           "$",
                           "18446744073709551616-1",
                           "1-18446744073709551616",
                           "99999999999999999999999999-1"}) {
    EXPECT_EQ(Cursor::Parse(text), std::nullopt) << '"' << text << '"';
  }
  EXPECT_EQ(Cursor::Parse(std::string_view("1-2\0", 4)), std::nullopt);
}

TEST(Cursor, CursorsAreOrderedByEpochThenSequence) {
  EXPECT_LT((Cursor{1, 900}), (Cursor{2, 3}));
  EXPECT_LT((Cursor{2, 3}), (Cursor{2, 10}));
}

TEST(Frame, IsAnSseEventWithTheEnvelopeOnOneLine) {
  EXPECT_EQ(Frame(Head({3, 1042}), R"({"call_id":"c1"})"),
            "id: 3-1042\n"
            "event: tool.started\n"
            "data: {\"agent\":\"a1\",\"epoch\":3,\"seq\":1042,\"time\":\"2026-11-20T15:36:54.123Z\","
            "\"type\":\"tool.started\",\"run\":\"r3\",\"data\":{\"call_id\":\"c1\"}}\n"
            "\n");
}

TEST(Frame, TheEnvelopeIsJsonThatSaysWhatTheFrameSays) {
  auto json = JsonDocument::Parse([] {
    const std::string frame = Frame(Head({3, 1042}), R"({"text":"two\nlines"})");
    size_t size = 0;
    return std::string(ParseFrame(frame, &size)->envelope);
  }());
  ASSERT_TRUE(json.ok());
  EXPECT_EQ((*json)["agent"].AsString(), "a1");
  EXPECT_EQ((*json)["epoch"].AsInt(), 3);
  EXPECT_EQ((*json)["seq"].AsInt(), 1042);
  EXPECT_EQ((*json)["time"].AsString(), "2026-11-20T15:36:54.123Z");
  EXPECT_EQ((*json)["type"].AsString(), "tool.started");
  EXPECT_EQ((*json)["run"].AsString(), "r3");
  EXPECT_EQ((*json)["data"]["text"].AsString(), "two\nlines");
}

TEST(Frame, WithoutARunTheEnvelopeNamesNone) {
  EXPECT_EQ(Frame(Head({1, 1}, ""), "{}").find("run"), std::string::npos);
}

TEST(Frame, IsReadAsItWasWritten) {
  for (size_t bytes : {size_t{0}, size_t{1}, size_t{100}, size_t{3} << 20}) {
    const std::string data = "{\"text\":\"" + std::string(bytes, 'x') + "\"}";
    const std::string frame = Frame(Head({7, 8}), data);
    size_t size = 0;
    const std::string stream = frame + "id: 7-9\nevent: torn";
    auto parsed = ParseFrame(stream, &size);
    ASSERT_TRUE(parsed) << bytes;
    EXPECT_EQ(size, frame.size());
    EXPECT_EQ(parsed->id, (Cursor{7, 8}));
    EXPECT_EQ(parsed->type, "tool.started");
    EXPECT_EQ(parsed->envelope.substr(parsed->envelope.size() - data.size() - 1), data + "}");
  }
}

// A line break in the data would end the line, and with a second one the frame: the log would be cut there.
TEST(Frame, AnObjectOfSeveralLinesIsPutOnOne) {
  const std::string frame = Frame(Head({1, 1}), "{\n\r\n \"a\": 1,\n\n \"b\": 2\r}");
  size_t size = 0;
  auto parsed = ParseFrame(frame, &size);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(size, frame.size());
  EXPECT_EQ(frame.find('\r'), std::string::npos);
  auto json = JsonDocument::Parse(parsed->envelope);
  ASSERT_TRUE(json.ok());
  EXPECT_EQ((*json)["data"]["b"].AsInt(), 2);
}

TEST(Frame, NoPrefixOfAFrameIsAFrame) {
  const std::string frame = Frame(Head({3, 1042}), "{}");
  size_t size = 0;
  for (size_t length = 0; length < frame.size(); ++length) {
    EXPECT_FALSE(ParseFrame(std::string_view(frame).substr(0, length), &size)) << length;
  }
  EXPECT_TRUE(ParseFrame(frame, &size));
}

TEST(Frame, WhatIsNotWrittenSoIsNoFrame) {
  size_t size = 0;
  for (const char* text :
       {"\n\n", "data: {}\n\n", "id: 1-1\n\n", "id: 1-1\nevent: a\n\n", "id: 1-1\ndata: {}\nevent: a\n\n",
        "id: 01-1\nevent: a\ndata: {}\n\n", "id: 1-1 \nevent: a\ndata: {}\n\n",
        "id: 1\nevent: a\ndata: {}\n\n", "id: 1-1\nevent: a\ndata: {}\ndata: {}\n\n",
        "id: 1-1\r\nevent: a\r\ndata: {}\r\n\r\n", " id: 1-1\nevent: a\ndata: {}\n\n",
        "id: 1-99999999999999999999\nevent: a\ndata: {}\n\n", ": comment\nid: 1-1\nevent: a\ndata: {}\n\n"}) {
    EXPECT_FALSE(ParseFrame(text, &size)) << text;
  }
}

TEST(TypeFilter, EmptyLetsAllThrough) {
  EXPECT_TRUE(TypeFilter().all());
  EXPECT_TRUE(TypeFilter("").Matches("tool.started"));
}

TEST(TypeFilter, NamesTypesAndFamilies) {
  const TypeFilter filter("run.failed,tool.*,agent.exited");
  EXPECT_FALSE(filter.all());
  for (const char* type : {"run.failed", "tool.started", "tool.output", "agent.exited"}) {
    EXPECT_TRUE(filter.Matches(type)) << type;
  }
  for (const char* type : {"run.completed", "run", "tool", "toolbox.opened", "agent.exited.twice",
                           "my.tool.started", "agent.exite", ""}) {
    EXPECT_FALSE(filter.Matches(type)) << type;
  }
}

TEST(TypeFilter, RefusesTypesThatCannotExist) {
  auto why = [](const char* list) {
    auto filter = TypeFilter::Parse(list);
    return filter ? std::string() : filter.error().message;
  };
  // A program of kind jsonl may use types of content that nobody knows.
  for (const char* good : {"", "*", ",", "run.failed,tool.*", "agent.output,*", "tool.progress", "file.*"})
    EXPECT_EQ(why(good), "") << good;
  EXPECT_EQ(why("run.complete"),
            "types: there is no event type 'run.complete'; did you mean 'run.completed'?");
  EXPECT_EQ(why("tool.*,tool.fail"),
            "types: there is no event type 'tool.fail'; did you mean 'tool.failed'?");
  EXPECT_EQ(why("agnt.*"), "types: there is no event type 'agnt.*'; did you mean 'agent.*'?");
  EXPECT_EQ(why("output"), "types: there is no event type 'output'; run.* and tool.failed are examples");
  EXPECT_TRUE(TypeFilter::Parse("run.*")->Matches("run.failed"));
}

TEST(TypeFilter, AStarLetsAllThrough) {
  EXPECT_TRUE(TypeFilter("*").Matches("tool.started"));
  EXPECT_TRUE(TypeFilter("run.failed,*").Matches("tool.started"));
}

TEST(TypeFilter, EmptyNamesMatchNothing) {
  const TypeFilter filter(",run.failed,,");
  EXPECT_TRUE(filter.Matches("run.failed"));
  EXPECT_FALSE(filter.Matches("tool.started"));
  EXPECT_FALSE(TypeFilter(",").Matches("tool.started"));
  EXPECT_FALSE(TypeFilter(".*").Matches("tool.started"));
}

}  // namespace
}  // namespace reeve
