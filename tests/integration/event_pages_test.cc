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

// All pages from the end of the log to its beginning, joined in the order of the log.
std::vector<std::string> ReadBackwards(const Daemon& daemon, const std::string& query, size_t& pages) {
  std::vector<std::string> all;
  std::string before = "1000000";
  for (pages = 0; pages < 10'000; ++pages) {
    const HttpAnswer page = daemon.Get("/agents/a1/events?before=" + before + query);
    EXPECT_EQ(page.status, 200) << page.body;
    std::vector<std::string> events;
    const auto json = JsonDocument::Parse(page.body);
    for (const JsonValue& event : (*json)["events"].Elements()) events.emplace_back(event.Raw());
    all.insert(all.begin(), events.begin(), events.end());
    if (page.status != 200 || page.Field("more") == "false") break;
    EXPECT_NE(page.Field("first"), before) << "no progress";
    before = page.Field("first");
  }
  return all;
}

TEST(EventPages, BackwardsHaveEachEventOnce) {
  Daemon::Options options;
  options.arguments = {"--segment-bytes", "4096"};
  Daemon daemon(options);
  daemon.Create(
      R"({"id":"a1","kind":"process","command":["/bin/sh","-c","seq 300; printf %05000d 7; seq 300"]})");
  daemon.WaitFor("a1");
  const std::vector<std::string> all = daemon.Events("a1");
  size_t pages = 0;
  EXPECT_EQ(ReadBackwards(daemon, "&limit=7", pages), all);
  EXPECT_EQ(pages, (all.size() - 1) / 7);
  EXPECT_EQ(ReadBackwards(daemon, "&max_bytes=2048", pages), all);  // one event is larger than a page
  EXPECT_GT(pages, 40U);
  EXPECT_EQ(ReadBackwards(daemon, "", pages), all);
  EXPECT_EQ(pages, 0U);
  EXPECT_EQ(ReadBackwards(daemon, "&types=agent.output&limit=50", pages),
            daemon.Events("a1", "types=agent.output"));
}

TEST(EventPages, BackwardsWithAFilterReadABoundedPart) {
  Daemon daemon;
  // Some 12 MiB of log.
  daemon.Create(
      R"({"id":"a1","kind":"process","command":["/bin/sh","-c","echo Needle; yes $(printf %01000d 7) | head -n 10000"]})");
  EXPECT_EQ(daemon.WaitFor("a1").Field("exit.code"), "0");
  const HttpAnswer newest = daemon.Get("/agents/a1/events?before=1000000&text=needle");
  EXPECT_EQ(newest.Field("events"), "[]");
  EXPECT_EQ(newest.Field("more"), "true");
  size_t pages = 0;
  const std::vector<std::string> found = ReadBackwards(daemon, "&text=nEEDLE&types=agent.output", pages);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(JsonField(found[0], "data.text"), "Needle");
  EXPECT_GE(pages, 2U);
  EXPECT_EQ(ReadBackwards(daemon, "&text=a1&types=agent.output", pages).size(), 0U) << "only data counts";
  const std::string longest(256, '7');
  EXPECT_EQ(daemon.Get("/agents/a1/events?limit=1&text=" + longest).status, 200);
  const HttpAnswer refused = daemon.Get("/agents/a1/events?text=7" + longest);
  EXPECT_EQ(refused.status, 400);
  EXPECT_NE(refused.body.find("text: must have at most 256 bytes"), std::string::npos) << refused.body;
}

}  // namespace
}  // namespace reeve
