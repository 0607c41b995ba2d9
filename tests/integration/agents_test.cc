// The agents' routes (api.md §2), against the real daemon.
#include <gtest/gtest.h>

#include "tests/support/daemon.h"

namespace reeve {
namespace {

TEST(Agents, AProgramRunsAndItsLastWordsComeBeforeItsExit) {
  Daemon daemon;
  const std::string id = daemon.Create(
      R"({"id":"a1","kind":"process","command":["/bin/sh","-c","echo one; echo two >&2; printf last; exit 3"]})");
  EXPECT_EQ(id, "a1");
  HttpAnswer ended = daemon.WaitFor("a1");
  EXPECT_EQ(ended.status, 200);
  EXPECT_EQ(ended.Field("state"), "exited");
  EXPECT_EQ(ended.Field("exit.code"), "3");
  std::vector<std::string> events = daemon.Events("a1");
  ASSERT_GE(events.size(), 3U);
  EXPECT_EQ(JsonField(events.back(), "type"), "agent.exited");
  auto stream = daemon.Stream("/agents/a1/stream?after=0");
  EXPECT_TRUE(stream->UntilEnd());
  EXPECT_EQ(stream->events(), daemon.LogFiles("a1"));
  EXPECT_EQ(stream->count(), events.size());
  EXPECT_EQ(stream->malformed(), "");
}

}  // namespace
}  // namespace reeve
