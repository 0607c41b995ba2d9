// Pages of a large log: a request reads a bounded part of it, and the cursor in its answer continues.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/support/daemon.h"

namespace reeve {
namespace {

TEST(EventPages, OfAFilterThatFindsNothingAreBoundedAndContinue) {
  Daemon daemon;
  // Some 45 MiB of log.
  daemon.Create(
      R"({"id":"a1","kind":"process","command":["/bin/sh","-c","yes $(printf %01000d 7) | head -n 40000"]})");
  EXPECT_EQ(daemon.WaitFor("a1").Field("exit.code"), "0");
  HttpAnswer first = daemon.Get("/agents/a1/events?after=0&types=run.completed");
  EXPECT_EQ(first.status, 200);
  EXPECT_EQ(first.Field("events"), "[]");
  EXPECT_EQ(first.Field("more"), "true");
  HttpAnswer second = daemon.Get("/agents/a1/events?types=run.completed&after=" + first.Field("cursor"));
  EXPECT_EQ(JsonDocument::Parse(second.Field("events"))->root().size(), 1U) << second.body;
  EXPECT_EQ(second.Field("more"), "false");
  EXPECT_EQ(second.Field("cursor"), daemon.Get("/agents/a1").Field("cursor"));
  // Many at once take turns.
  std::vector<std::unique_ptr<HttpConnection>> connections;
  for (int i = 0; i < 8; ++i) {
    connections.push_back(std::make_unique<HttpConnection>(daemon.address()));
    connections.back()->Send("GET", "/agents/a1/events?after=0&types=run.completed", "",
                             {{"Authorization", "Bearer " + daemon.token()}});
  }
  for (auto& one : connections) EXPECT_EQ(one->Receive().Field("cursor"), first.Field("cursor"));
}

TEST(EventPages, ReadTheSameAcrossSegments) {
  Daemon::Options options;
  options.arguments = {"--segment-bytes", "4096"};
  Daemon daemon(options);
  daemon.Create(
      R"({"id":"a1","kind":"process","command":["/bin/sh","-c","for i in 1 2 3 4 5 6; do seq 100; sleep 0.02; done"]})");
  daemon.WaitFor("a1");
  std::string joined;
  for (const std::string& event : daemon.Events("a1")) joined += event + "\n";
  std::string expected;
  const std::string files = daemon.LogFiles("a1");
  for (size_t at = files.find("data: "); at != std::string::npos; at = files.find("\ndata: ", at)) {
    at += files[at] == '\n' ? 7 : 6;
    expected += files.substr(at, files.find('\n', at) + 1 - at);
  }
  EXPECT_TRUE(joined == expected) << joined.size() << " bytes, not " << expected.size();
  const std::string tail = daemon.Get("/agents/a1/events?tail=1").body;
  EXPECT_NE(tail.find("agent.exited"), std::string::npos) << tail;
}

}  // namespace
}  // namespace reeve
