#include "orchestrator/handover/child_json.h"

#include <gtest/gtest.h>

namespace reeve {
namespace {

// Every member with a value that is not its default: what is forgotten is seen.
TEST(ChildJson, CarriesEverything) {
  ChildState state;
  state.pid = 17;
  state.start_time = 2'427'682;
  state.marker = "REEVE_TREE=town/a\"b";
  state.cgroup = "/sys/fs/cgroup/reeve-1/x-2";
  state.told = {{18, 5}, {19, 6}};
  state.pidfd = 7;
  state.stdin_fd = 8;
  state.outputs = {ChildState::Output{9, 0}, ChildState::Output{10, 65'536}};
  state.input = std::string("\0\xff line\n", 8);
  state.close_input = state.paused = state.exited = true;
  state.stage = ChildState::Stage::kKilling;
  state.kill_at = 123'456'789'012;
  state.give_up_at = 5;
  state.status = {3, 9, true, false};
  const std::string text = ToJson(state);
  auto json = JsonDocument::Parse(text);
  ASSERT_TRUE(json.ok());
  auto read = ChildStateFromJson(json->root());
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(ToJson(*read), text);
  EXPECT_EQ(read->input, state.input);
  EXPECT_EQ(read->told, state.told);
  EXPECT_EQ(read->stage, state.stage);
}

TEST(ChildJson, WhatIsNotThereHasItsDefault) {
  auto json = JsonDocument::Parse(R"({"pid":4,"later":{"x":1}})");
  auto read = ChildStateFromJson(json->root());
  ASSERT_TRUE(read.ok());
  ChildState plain;
  plain.pid = 4;
  EXPECT_EQ(ToJson(*read), ToJson(plain));
}

TEST(ChildJson, NamesWhatCannotBe) {
  for (const char* text : {"{}", R"({"pid":-1})", R"({"pid":4,"stage":6})", R"({"pid":4,"input":"~"})"}) {
    auto json = JsonDocument::Parse(text);
    auto read = ChildStateFromJson(json->root());
    ASSERT_FALSE(read.ok()) << text;
    EXPECT_EQ(read.error().code, "handover_state");
  }
}

}  // namespace
}  // namespace reeve
