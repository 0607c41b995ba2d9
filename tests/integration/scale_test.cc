// Large numbers: fast, slow and sleeping viewers on one log, and thousands of agents. The received events are
// compared with the log's files, and the daemon's resources with those before.
#include <gtest/gtest.h>
#include <poll.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>
#include <random>
#include <vector>

#include "tests/support/daemon.h"
#include "tests/support/sanitized.h"

namespace reeve {
namespace {

using Streams = std::vector<std::unique_ptr<StreamClient>>;

// An agent that prints `events` objects of some 200 bytes, `burst` at a time with a breath in between, once
// it is told to.
std::string Source(const Daemon& daemon, const std::string& id, int events, int burst) {
  const std::string path = daemon.data_dir() + "/source.sh";
  WriteFile(path, "read go\ni=0\nwhile test $i -lt " + std::to_string(events) +
                      "; do\n  awk -v from=$i -v n=" + std::to_string(burst) +
                      R"( 'BEGIN { for (i = from; i < from + n; ++i)
    printf "{\"type\":\"assistant.delta\",\"n\":%d,\"text\":\"%.*s\"}\n", i, 40 + i % 61,
           "the quick brown fox jumps over the lazy dog and thinks no more of it than of any other thing that day" }'
  i=$((i + )" + std::to_string(burst) +
                      "))\ndone\necho done\nread end\n");
  return R"({"id":")" + id + R"(","kind":"jsonl","command":["/bin/sh",")" + path + "\"]}";
}

// Reads all of them as they come, each as much as `allow` says, until `done`; false after the deadline.
bool ReadUntil(const Streams& streams, const std::function<size_t(size_t)>& allow,
               const std::function<bool()>& done) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(kSanitized ? 5 : 2);
  while (!done()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::vector<pollfd> waiting;
    for (const auto& stream : streams) waiting.push_back({stream->fd(), POLLIN, 0});
    poll(waiting.data(), waiting.size(), 10);
    for (size_t i = 0; i < streams.size(); ++i) {
      if (waiting[i].revents != 0) streams[i]->Poll(allow(i));
    }
  }
  return true;
}

bool AllEnded(const Streams& streams) {
  return std::all_of(streams.begin(), streams.end(), [](const auto& stream) { return stream->ended(); });
}

TEST(Scale, AViewerThatNeverReadsCostsTheOthersNothingAndGetsEverythingLater) {
  const int kEvents = kSanitized ? 20'000 : 100'000;
  Daemon daemon;
  daemon.Create(Source(daemon, "a1", kEvents, kEvents));
  daemon.WaitFor("a1", "until=ready");
  Streams readers;
  for (int i = 0; i < 100; ++i) readers.push_back(daemon.Stream("/agents/a1/stream?after=0", {{}, 0, false}));
  for (auto& reader : readers) ASSERT_TRUE(reader->UntilEvent("stream.synced"));
  auto stalled = daemon.Stream("/agents/a1/stream?after=0", {{}, 0, false});
  ASSERT_TRUE(stalled->UntilEvent("stream.synced"));
  const size_t before = daemon.ResidentBytes();

  daemon.Post("/agents/a1/message", R"({"text":"go"})");
  size_t most = 0;
  const auto whole = static_cast<uint64_t>(kEvents) + 5;  // three at its start, the message, and "done"
  ASSERT_TRUE(ReadUntil(
      readers, [](size_t) { return size_t{256} << 10; },
      [&] {
        most = std::max(most, daemon.ResidentBytes());
        return std::all_of(readers.begin(), readers.end(),
                           [&](const auto& one) { return one->count() >= whole; });
      }));
  const std::string log = daemon.LogFiles("a1");
  for (const auto& reader : readers) {
    EXPECT_EQ(reader->count(), whole);
    EXPECT_EQ(reader->digest(), Digest(log));
  }
  ASSERT_GT(log.size(), size_t{kSanitized ? 4 : 20} << 20);
  if (!kSanitized) {
    EXPECT_LT(most - std::min(most, before), size_t{16} << 20);
  }

  EXPECT_LT(stalled->count(), whole);
  EXPECT_TRUE(stalled->Until([&] { return stalled->count() >= whole; }));
  EXPECT_EQ(stalled->digest(), Digest(log));
  EXPECT_EQ(stalled->malformed(), "");
}

TEST(Scale, EveryViewerGetsTheSameBytesHoweverItReads) {
  const int kEvents = kSanitized ? 20'000 : 60'000;
  Daemon::Options options;
  options.arguments = {"--segment-bytes",
                       "1000000"};  // and the tail in memory is 1 MiB: chunks, files and both
  Daemon daemon(options);
  daemon.Create(Source(daemon, "a1", kEvents, 2'000));
  daemon.WaitFor("a1", "until=ready");
  std::minstd_rand random(4711);
  Streams streams;
  auto open = [&](int receive_buffer) {
    streams.push_back(daemon.Stream("/agents/a1/stream?after=0", {{}, receive_buffer, false}));
  };
  for (int i = 0; i < 6; ++i) open(0);
  for (int i = 0; i < 6; ++i) open(2048);   // tiny windows
  for (int i = 0; i < 6; ++i) open(16384);  // these sleep now and then
  std::vector<int> asleep(1000, 0);
  auto allow = [&](size_t i) -> size_t {
    if (i < 12 || i % 2 == 0) return size_t{64} << 10;
    if (asleep[i] == 0 && random() % 50 == 0) asleep[i] = 20;
    if (asleep[i] > 0 && --asleep[i] > 0) return 0;
    return 1 + random() % 5'000;  // stops within an event
  };
  daemon.Post("/agents/a1/message", R"({"text":"go"})");
  size_t joined = 0;
  bool told = false;
  ASSERT_TRUE(ReadUntil(streams, allow, [&] {
    // Latecomers, all along the way.
    const uint64_t head = streams[0]->count();
    if (head > (joined + 1) * static_cast<uint64_t>(kEvents) / 14 && joined < 12) {
      open(joined++ % 3 == 0 ? 4096 : 0);
    }
    if (!told && head >= static_cast<uint64_t>(kEvents) + 5) {
      told = true;
      daemon.Post("/agents/a1/message", R"({"text":"end"})");
    }
    return AllEnded(streams);
  }));
  EXPECT_EQ(joined, 12U);
  const std::string log = daemon.LogFiles("a1");
  for (size_t i = 0; i < streams.size(); ++i) {
    EXPECT_EQ(streams[i]->digest(), Digest(log))
        << "viewer " << i << " got " << streams[i]->count() << " events";
    EXPECT_EQ(streams[i]->malformed(), "") << i;
  }
  EXPECT_NE(daemon.Get("/metrics").body.find("reeve_viewer_disk_reads_total "), std::string::npos);
}

// The children of one process, zombies included.
std::vector<pid_t> ChildrenOf(pid_t parent) {
  std::vector<pid_t> children;
  std::error_code gone;
  for (const auto& folder : std::filesystem::directory_iterator("/proc", gone)) {
    const std::string name = folder.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const std::string stat = ReadFile(folder.path() / "stat");
    const size_t after_name = stat.rfind(')');
    if (after_name == std::string::npos || stat.size() < after_name + 5) continue;
    if (std::atoi(stat.c_str() + after_name + 4) == parent) children.push_back(std::atoi(name.c_str()));
  }
  return children;
}

TEST(Scale, AThousandAgentsAtOnceLeaveWholeLogsAndNothingElse) {
  const int kAgents = kSanitized ? 300 : 1'000;
  Daemon daemon;
  daemon.Create(R"({"id":"warm-up","kind":"process","command":["true"]})");
  daemon.WaitFor("warm-up");
  ASSERT_TRUE(
      Eventually([&] { return daemon.LogFiles("warm-up").find("agent.exited") != std::string::npos; }));
  const size_t descriptors = daemon.OpenDescriptors();

  const Headers bearer = {{"Authorization", "Bearer " + daemon.token()}};
  std::vector<std::unique_ptr<HttpConnection>> clients;
  for (int i = 0; i < 10; ++i) clients.push_back(std::make_unique<HttpConnection>(daemon.address()));
  auto name = [](int i) { return "a" + std::to_string(i); };
  for (int i = 0; i < kAgents; ++i) {
    clients[static_cast<size_t>(i) % clients.size()]->Send(
        "POST", "/agents",
        R"({"id":")" + name(i) + R"(","kind":"process","command":["/bin/sh","-c","seq 1 20; echo )" +
            name(i) + R"( >&2; exit )" + std::to_string(i % 7) + "\"]}",
        bearer);
  }
  for (int i = 0; i < kAgents; ++i) {
    HttpAnswer made = clients[static_cast<size_t>(i) % clients.size()]->Receive();
    ASSERT_EQ(made.status, 201) << made.wire;
  }
  clients.clear();
  const std::string all_done = "reeve_agents{state=\"exited\"} " + std::to_string(kAgents + 1) + "\n";
  ASSERT_TRUE(Eventually([&] { return daemon.Get("/metrics").body.find(all_done) != std::string::npos; },
                         5 * kPatienceMs));

  for (int i = 0; i < kAgents; ++i) {
    SCOPED_TRACE(name(i));
    const std::vector<std::string> events = daemon.Events(name(i));
    ASSERT_EQ(events.size(), 3U + 21U + 2U);
    int lines = 0;
    bool told = false;
    for (size_t seq = 1; seq <= events.size(); ++seq) {
      ASSERT_EQ(JsonField(events[seq - 1], "seq"), std::to_string(seq));
      if (JsonField(events[seq - 1], "data.stream") == "stdout") {
        ASSERT_EQ(JsonField(events[seq - 1], "data.text"), std::to_string(++lines));
      }
      if (JsonField(events[seq - 1], "data.stream") == "stderr") {
        told = JsonField(events[seq - 1], "data.text") == name(i);
      }
    }
    EXPECT_EQ(lines, 20);
    EXPECT_TRUE(told);
    EXPECT_EQ(JsonField(events.back(), "type"), "agent.exited");
    ASSERT_EQ(JsonField(events.back(), "data.code"), std::to_string(i % 7));
  }
  EXPECT_EQ(ChildrenOf(daemon.keeper()), std::vector<pid_t>{daemon.pid()});
  // Logs of agents that have ended are let go after a while; the connection that asks is there too.
  EXPECT_TRUE(Eventually([&] { return daemon.OpenDescriptors() <= descriptors; }))
      << daemon.OpenDescriptors() << " descriptors, before " << descriptors;
  // They are opened again when there is something to say.
  EXPECT_EQ(daemon.Post("/agents/a0/start").status, 202);
  ASSERT_TRUE(Eventually([&] { return daemon.Events("a0").size() == 2 * 26U; }));
  auto stream = daemon.Stream("/agents/a0/stream?after=0");
  EXPECT_TRUE(stream->UntilEnd());
  EXPECT_EQ(stream->events(), daemon.LogFiles("a0"));
}

TEST(Scale, ClosedSegmentsAreLetGoHoweverTheyAreSynced) {
  for (const char* sync : {"never", "interval", "always"}) {
    SCOPED_TRACE(sync);
    Daemon::Options options;
    options.arguments = {"--segment-bytes", "4096", "--retain-bytes", "100000", "--fsync", sync};
    Daemon daemon(options);
    daemon.Create(Source(daemon, "a1", 4'000, 20));
    daemon.WaitFor("a1", "until=ready");
    const size_t descriptors = daemon.OpenDescriptors();
    daemon.Post("/agents/a1/message", R"({"text":"go"})");
    ASSERT_TRUE(Eventually([&] { return daemon.LogFiles("a1").find("\"done\"") != std::string::npos; }));
    EXPECT_TRUE(Eventually([&] { return daemon.OpenDescriptors() <= descriptors + 2; }))
        << daemon.OpenDescriptors() << " descriptors, before " << descriptors;
  }
}

}  // namespace
}  // namespace reeve
