// ChildState::Members: a child is handed over whole.
#include "process/child_state.h"

#include <gtest/gtest.h>

#include "orchestrator/handover/saved_state.h"

namespace reeve {
namespace {

// Every member has a value that is not its default: one that is not restored is seen.
TEST(ChildStateMembers, RestoreEveryMember) {
  ChildState state;
  state.pid = 17;
  state.start_time = 2'427'682;
  state.marker = "REEVE_TREE=town/a\"b";
  state.cgroup = "/sys/fs/cgroup/reeve-1/x-2";
  state.terminated = {{18, 5}, {19, 6}};
  state.pidfd = 7;
  state.input = 8;
  state.outbox = 11;
  state.staged = 12;
  state.outputs = {ChildState::Output{9, 13, 14, 0}, ChildState::Output{10, 15, 16, ChildState::kNoEnd - 1}};
  state.close_input = state.paused = state.exited = true;
  state.stage = ChildState::Stage::kKilling;
  state.kill_at = 123'456'789'012;
  state.give_up_at = 5;
  state.status = {3, 9, true, false};
  const std::string text = SaveState(state);
  auto json = JsonDocument::Parse(text);
  ASSERT_TRUE(json.ok());
  ChildState read;
  const Status restored = RestoreState(json->root(), read);
  ASSERT_TRUE(restored.ok()) << restored.error().message;
  EXPECT_EQ(SaveState(read), text);
  EXPECT_EQ(read.terminated, state.terminated);
  EXPECT_EQ(read.outputs[1].left, ChildState::kNoEnd - 1);
  EXPECT_EQ(read.stage, state.stage);
}

TEST(ChildStateMembers, RefuseAPidOrAStageThatCannotBe) {
  auto reason = [](const std::string& text) {
    ChildState state;
    const Status read = RestoreState(JsonDocument::Parse(text)->root(), state);
    return read ? "" : read.error().message;
  };
  EXPECT_EQ(reason(R"({"pid":4})"), "");
  EXPECT_EQ(reason("{}"), "pid: out of bounds");
  EXPECT_EQ(reason(R"({"pid":-1})"), "pid: out of bounds");
  EXPECT_EQ(reason(R"({"pid":4,"stage":"gone"})"), "stage: out of bounds");
  EXPECT_EQ(reason(R"({"pid":4,"input":"~"})"), "input: not a whole number");
}

}  // namespace
}  // namespace reeve
