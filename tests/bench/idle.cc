// A daemon with nothing to do: how soon it is ready, how much it keeps for itself and for each idle viewer,
// what a round of heartbeats costs.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <functional>

#include "tests/bench/benchmarks.h"
#include "tests/bench/load_client.h"
#include "tests/bench/servers.h"

namespace reeve::bench {

namespace {

constexpr int kViewers = 5000;
constexpr int64_t kBeatSeconds = 15;  // control/api/API.md

double Mib(int64_t bytes) { return static_cast<double>(bytes) / (1 << 20); }

// The daemon's CPU in ns over one interval of heartbeats. `probe`, if there is one, runs again and again
// meanwhile.
Result<int64_t> CpuOfInterval(Daemon& daemon, const std::function<Status()>& probe) {
  int64_t cpu = CpuNs(daemon.pid());
  for (int64_t end = NowNs() + kBeatSeconds * 1'000'000'000; NowNs() < end;) {
    if (!probe) {
      sleep(static_cast<unsigned>(kBeatSeconds));
    } else if (Status probed = probe(); !probed) {
      return probed.error();
    }
  }
  return CpuNs(daemon.pid()) - cpu;
}

Result<Metrics> Round(const Options& options) {
  auto started = Daemon::Start(options.reeve);
  if (!started) return started.error();
  Daemon& daemon = **started;
  int64_t empty_rss = RssBytes(daemon.pid());
  int64_t empty_own = OwnBytes(daemon.pid());
  if (Status added = daemon.AddSource("bench"); !added) return added.error();
  auto alone = CpuOfInterval(daemon, {});
  if (!alone) return alone.error();

  int64_t rss = RssBytes(daemon.pid());
  auto client = LoadClient::Start(
      {.port = daemon.port(), .request = daemon.StreamRequest("bench"), .viewers = kViewers});
  if (!client) return client.error();
  int64_t viewers_rss = RssBytes(daemon.pid()) - rss;
  // Once through an interval, so that each viewer has had its first beat and the next is due in the same
  // order.
  if (auto first = CpuOfInterval(daemon, {}); !first) return first.error();
  int64_t beats = (*client)->Ask().heartbeats;
  auto cpu = CpuOfInterval(daemon, {});
  if (!cpu) return cpu.error();
  Seen seen = (*client)->Ask();
  beats = seen.heartbeats - beats;

  // How long does the loop not answer? A probe is there all the time during a third interval: the longest
  // wait is the longest turn and what the machine does besides.
  std::vector<double> waits_ms;
  auto probed = CpuOfInterval(daemon, [&]() -> Status {
    int64_t asked = NowNs();
    auto health = daemon.Request("GET", "/health");
    if (!health) return health.error();
    waits_ms.push_back(static_cast<double>(NowNs() - asked) / 1e6);
    usleep(1000);
    return {};
  });
  if (!probed) return probed.error();
  std::sort(waits_ms.begin(), waits_ms.end());
  if (seen.lost > 0) return Error{"short", fmt::format("idle: {} viewers were disconnected", seen.lost)};
  return Metrics{
      {"ready_ms", static_cast<double>(daemon.ready_us()) / 1000, 1},
      {"empty_mib", Mib(empty_rss), 1},
      {"own_mib", Mib(empty_own), 1},
      {"viewer_kib", Mib(viewers_rss) * 1024 / kViewers, 2},
      {"beats", static_cast<double>(beats), 0},
      {"round_cpu_ms", static_cast<double>(*cpu - *alone) / 1e6 * kViewers / static_cast<double>(beats), 1},
      {"idle_cpu_ms", static_cast<double>(*alone) / 1e6, 1},
      {"wait_p99_ms", waits_ms[waits_ms.size() * 99 / 100], 2},
      {"wait_max_ms", waits_ms.back(), 2},
  };
}

}  // namespace

Status RunIdle(const Options& options, Report& report) {
  std::vector<Metrics> rounds;
  for (int i = 0; i < options.rounds; ++i) {
    auto round = Round(options);
    if (!round) return round.error();
    Report::Note(fmt::format("idle round {}: {:.2f} KiB a viewer, {:.1f} ms CPU a round of beats", i + 1,
                             (*round)[3].value, (*round)[5].value));
    rounds.push_back(std::move(*round));
  }
  report.Begin("idle", fmt::format("{} viewers", kViewers));
  report.Add("reeve", Median(rounds));
  report.End();
  return {};
}

}  // namespace reeve::bench
