// Every event that was appended is delivered to each viewer, filtered or in a gap, and the metrics count it
// once.
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/daemon.h"

namespace reeve {
namespace {

uint64_t Metric(const Daemon& daemon, const std::string& name) {
  const std::string text = daemon.Get("/metrics").body;
  const size_t at = text.find("\n" + name + " ");
  EXPECT_NE(at, std::string::npos) << name;
  return at == std::string::npos ? 0 : std::stoull(text.substr(at + name.size() + 2));
}

TEST(Deliveries, AppendedTimesViewersIsDeliveredFilteredAndInGaps) {
  Daemon::Options options;
  options.arguments = {"--segment-bytes", "65536", "--retain-bytes", "262144"};
  Daemon daemon(options);
  daemon.Create(
      R"({"id":"a1","kind":"process","command":["/bin/sh","-c","while read n; do seq -f '%.0f with some text to make it longer' 1 $n; done"]})");
  daemon.WaitFor("a1", "until=ready");
  std::vector<std::unique_ptr<StreamClient>> reading;
  for (const char* query : {"after=0", "after=0", "after=0&types=agent.output", "after=0&types=message.*"})
    reading.push_back(daemon.Stream(std::string("/agents/a1/stream?") + query));
  for (auto& stream : reading) ASSERT_TRUE(stream->UntilEvent("stream.synced"));
  // This one reads nothing until the log has lost most of its events.
  StreamClient::Options small;
  small.receive_buffer = 4096;
  auto stalled = daemon.Stream("/agents/a1/stream?after=0", small);
  ASSERT_TRUE(stalled->UntilEvent("stream.synced"));

  EXPECT_EQ(daemon.Post("/agents/a1/message", R"({"text":"60000"})").status, 202);
  const std::string last = "60000 with some text";
  auto read_on = [](const std::unique_ptr<StreamClient>& stream, const std::function<bool()>& enough) {
    return Eventually([&] {
      stream->Poll();
      return enough();
    });
  };
  ASSERT_TRUE(Eventually([&] {
    for (auto& stream : reading) stream->Poll();
    return reading[0]->events().find(last) != std::string::npos;
  }));
  ASSERT_TRUE(read_on(stalled, [&] { return stalled->events().find(last) != std::string::npos; }));
  // Several deletions, one gap: nothing was sent in between.
  const auto gaps = stalled->All("stream.gap");
  ASSERT_FALSE(gaps.empty());
  for (size_t i = 1; i < gaps.size(); ++i) EXPECT_NE(gaps[i].Field("from"), gaps[i - 1].Field("to"));
  EXPECT_EQ(stalled->malformed(), "");

  EXPECT_EQ(daemon.Post("/agents/a1/stop").status, 202);
  for (auto& stream : reading) EXPECT_TRUE(read_on(stream, [&] { return stream->ended(); }));
  ASSERT_TRUE(read_on(stalled, [&] { return stalled->ended(); }));
  ASSERT_TRUE(Eventually([&] { return Metric(daemon, "reeve_viewers") == 0; }));
  const uint64_t viewers = reading.size() + 1;
  EXPECT_EQ(Metric(daemon, "reeve_events_total") * viewers,
            Metric(daemon, "reeve_events_delivered_total") + Metric(daemon, "reeve_events_filtered_total") +
                Metric(daemon, "reeve_viewer_gap_events_total"));
  EXPECT_GT(Metric(daemon, "reeve_viewer_gap_bytes_total"), 262144U);
  uint64_t received = stalled->count();
  for (auto& stream : reading) received += stream->count();
  EXPECT_EQ(Metric(daemon, "reeve_events_delivered_total"), received);
}

}  // namespace
}  // namespace reeve
