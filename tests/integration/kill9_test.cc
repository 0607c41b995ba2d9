// The guarantees when the daemon is killed with -9: an event that a viewer saw is never missing or changed,
// numbers have no hole, every run ends once, and no process of the killed daemon is left.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <iostream>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "orchestrator/log/event.h"
#include "process/proc.h"
#include "tests/support/daemon.h"
#include "tests/support/sanitized.h"

namespace reeve {
namespace {

using testing::AnyOf;

constexpr int kKills = kSanitized ? 20 : 50;
constexpr uint64_t kSeed = 20'260'731;

// Those that print now and then, in bursts of half a megabyte, that end by themselves, and that print
// objects.
const std::map<std::string, std::string> kAgents = {
    {"steady", R"("kind":"process","command":["/bin/sh","-c",
      "i=0; while :; do i=$((i+1)); echo line $i; echo oops $i >&2; sleep 0.01; done"])"},
    {"bursts", R"("kind":"process","command":["/bin/sh","-c",
      "while :; do seq -f 'a line of the burst, number %.0f, of some length' 1 2000; sleep 0.2; done"])"},
    {"brief", R"("kind":"process","command":["/bin/sh","-c",
      "for i in 1 2 3 4 5 6 7 8; do echo line $i; sleep 0.02; done; exit 3"])"},
    {"objects", R"("kind":"jsonl","command":["/bin/sh","-c",
      "i=0; while :; do i=$((i+1)); echo '{\"type\":\"assistant.delta\",\"text\":\"word '$i'\"}'; echo no object; sleep 0.01; done"])"},
};

// Reads one agent's stream from its first event on, across the deaths of the daemon, and keeps every byte.
struct Viewer {
  std::string agent;
  bool by_header = false;             // resumes by Last-Event-ID, else by after=
  size_t appetite = size_t{1} << 20;  // bytes at a time
  std::unique_ptr<StreamClient> stream;
  std::string seen;  // all events, byte for byte
  std::string last_id = "0";
  std::string gaps;
  std::string malformed;

  void Connect(const Daemon& daemon) {
    StreamClient::Options options;
    std::string target = "/agents/" + agent + "/stream";
    if (by_header && last_id != "0") {
      options.headers.emplace_back("Last-Event-ID", last_id);
    } else {
      target += "?after=" + last_id;
    }
    stream = daemon.Stream(target, options);
  }
  // The connection is gone: what was read of it is kept.
  void Leave() {
    seen += stream->events();
    for (const StreamFrame& gap : stream->All("stream.gap")) gaps += gap.data;
    malformed += stream->malformed();
    if (!stream->last_id().empty()) last_id = stream->last_id();
    stream.reset();
  }
};

// A message whose acceptance was answered: it must be found under this number.
struct Accepted {
  std::string agent;
  std::string message_id;
  uint64_t seq;
};

class Kill9 : public testing::Test {
 protected:
  static Daemon::Options Options() {
    Daemon::Options options;
    options.arguments = {"--segment-bytes", "65536", "--log-level", "warning"};
    return options;
  }

  void ReadFor(int64_t ms) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(ms);
    while (std::chrono::steady_clock::now() < end) {
      for (Viewer& viewer : viewers_) viewer.stream->Poll(viewer.appetite);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }

  // Things that people do, which a kill may meet half done.
  void Disturb() {
    auto agent = kAgents.begin();
    std::advance(agent, Below(kAgents.size()));
    const std::string path = "/agents/" + agent->first;
    switch (Below(4)) {
      case 0:
        // 409: it has ended by itself, and waits for nothing.
        EXPECT_THAT(daemon_.Post(path + "/stop", R"({"grace_ms":100})").status, AnyOf(202, 409));
        break;
      case 1:
        EXPECT_EQ(daemon_.Post(path + "/restart").status, 202);
        break;
      default: {
        HttpAnswer answer = daemon_.Post(path + "/message", R"({"text":"a line for its stdin"})");
        ASSERT_EQ(answer.status, 202) << answer.wire;
        accepted_.push_back({agent->first, answer.Field("message_id"), std::stoull(answer.Field("seq"))});
      }
    }
  }

  // Every process of this town is a child of the daemon that lives now.
  [[nodiscard]] bool NothingIsLeftOfTheEarlierDaemon() const {
    const uint64_t start = StartTime(daemon_.keeper());
    for (pid_t pid : ProcessesWith("REEVE_TOWN_ID=" + daemon_.town_id())) {
      auto process = StatProcess(pid);
      if (process && !process->zombie && process->id.start_time < start) return false;
    }
    return true;
  }

  size_t Below(size_t n) { return random_() % n; }

  std::mt19937_64 random_{kSeed};
  Daemon daemon_{Options()};
  std::vector<Viewer> viewers_;
  std::vector<Accepted> accepted_;
};

// Numbers without a hole; between run.started and its one end, events of that run only.
void ExpectWhole(const std::string& agent, const std::string& log) {
  uint64_t seq = 0;
  std::string run;
  std::string before;
  size_t runs = 0;
  size_t size = 0;
  std::string_view rest = log;
  for (; !rest.empty(); rest.remove_prefix(size)) {
    auto frame = ParseFrame(rest, &size);
    ASSERT_TRUE(frame) << agent << " after event " << seq;
    ASSERT_EQ(frame->id.seq, ++seq) << agent;
    const bool begins = frame->type == "run.started";
    const bool ends =
        frame->type == "run.completed" || frame->type == "run.failed" || frame->type == "run.cancelled";
    const std::string of = JsonField(frame->envelope, "run");
    if (begins) {
      ASSERT_EQ(run, "") << agent << ": run " << run << " has no end before event " << seq;
      run = of;
      ++runs;
    }
    ASSERT_EQ(of, run) << agent << ": event " << seq << " is of another run:\n" << before << frame->envelope;
    if (ends) {
      ASSERT_NE(run, "") << agent << ": event " << seq << " ends what has ended";
      run.clear();
    }
    before = std::string(frame->envelope) + "\n";
  }
  EXPECT_EQ(run, "") << agent;
  EXPECT_GT(runs, size_t{kKills} / 2) << agent;
}

TEST_F(Kill9, NothingThatWasSeenIsMissingOrChanged) {
  std::cout << "seed " << kSeed << "\n";
  for (const auto& [id, program] : kAgents) {
    daemon_.Create(R"({"id":")" + id + R"(","restart":{"policy":"always","max_restarts":1000},)" + program +
                   "}");
    for (bool fast : {true, false}) {
      Viewer viewer;
      viewer.agent = id;
      viewer.by_header = fast;
      if (!fast) viewer.appetite = 3'000;
      viewers_.push_back(std::move(viewer));
    }
  }
  for (int kill = 0; kill < kKills; ++kill) {
    for (Viewer& viewer : viewers_) viewer.Connect(daemon_);
    for (const auto& [id, program] : kAgents) {
      // One that was stopped, or that waits to be restarted, runs again.
      EXPECT_EQ(daemon_.Post("/agents/" + id + "/start").status, 202);
    }
    ReadFor(static_cast<int64_t>(Below(300)));
    if (Below(2) == 0) Disturb();
    ReadFor(static_cast<int64_t>(Below(30)));
    daemon_.Kill();
    for (Viewer& viewer : viewers_) {
      viewer.stream->UntilEnd();  // what the kernel still had
      viewer.Leave();
    }
    daemon_.Start();
    ASSERT_TRUE(daemon_.listening());
    EXPECT_TRUE(Eventually([this] { return NothingIsLeftOfTheEarlierDaemon(); })) << "after kill " << kill;
  }

  for (const auto& [id, program] : kAgents) daemon_.Post("/agents/" + id + "/stop", R"({"grace_ms":100})");
  for (const auto& [id, program] : kAgents) EXPECT_EQ(daemon_.WaitFor(id).Field("state"), "exited");
  std::map<std::string, std::string> logs;
  std::map<std::string, std::vector<std::string>> events;
  for (const auto& [id, program] : kAgents) {
    logs[id] = daemon_.LogFiles(id);
    ExpectWhole(id, logs[id]);
    events[id] = daemon_.Events(id);
    std::string served;
    for (const std::string& envelope : events[id]) served += envelope + "\n";
    std::string kept;
    size_t size = 0;
    for (std::string_view rest = logs[id]; !rest.empty(); rest.remove_prefix(size)) {
      kept += ParseFrame(rest, &size)->envelope;
      kept += '\n';
    }
    EXPECT_TRUE(served == kept) << id << ": GET …/events differs from the segment files";
  }
  for (Viewer& viewer : viewers_) {
    viewer.Connect(daemon_);
    viewer.appetite = size_t{1} << 20;
    const StreamClient& stream = *viewer.stream;
    // 204: it had everything before.
    viewer.stream->Until([&stream] { return stream.ended() || stream.status() == 204; });
    EXPECT_TRUE(stream.status() == 204 || stream.Find("stream.bye")) << viewer.agent;
    viewer.Leave();
    EXPECT_TRUE(viewer.seen == logs[viewer.agent])
        << "a viewer of " << viewer.agent << " saw " << viewer.seen.size() << " bytes of "
        << logs[viewer.agent].size();
    EXPECT_EQ(viewer.gaps, "") << viewer.agent;
    EXPECT_EQ(viewer.malformed, "") << viewer.agent;
  }
  EXPECT_GT(accepted_.size(), 5u);
  for (const Accepted& message : accepted_) {
    const auto& all = events[message.agent];
    ASSERT_GE(all.size(), message.seq);
    EXPECT_EQ(JsonField(all[message.seq - 1], "data.message_id"), message.message_id) << all[message.seq - 1];
  }
}

}  // namespace
}  // namespace reeve
