// One child prints as fast as it is read; nobody watches. How fast do its events reach the log?
#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>

#include "tests/bench/benchmarks.h"
#include "tests/bench/servers.h"

namespace reeve::bench {

namespace {

constexpr int64_t kEvents = 500'000;
constexpr int kBytes = 300;  // a line

// The agent's last committed event, by number.
Result<int64_t> HeadOf(Daemon& daemon, const std::string& agent) {
  auto record = daemon.Request("GET", "/agents/" + agent);
  if (!record) return record.error();
  std::string cursor(Member(*record, "cursor"));
  size_t dash = cursor.find('-');
  return dash == std::string::npos ? 0 : std::strtoll(cursor.c_str() + dash + 1, nullptr, 10);
}

Result<Metrics> Round(const Options& options) {
  auto started = Daemon::Start(options.reeve);
  if (!started) return started.error();
  Daemon& daemon = **started;
  if (Status added = daemon.AddSource("ingest", kBytes); !added) return added.error();
  auto head = HeadOf(daemon, "ingest");
  if (!head) return head.error();
  int64_t last = *head + kEvents;

  int64_t cpu = CpuNs(daemon.pid());
  int64_t begin = NowNs();
  if (Status ordered = daemon.Send("ingest", SourceOrder(kEvents, 0)); !ordered) return ordered.error();
  // Asked every 10 ms: half a percent of the time, and of the CPU.
  while (head && *head < last) {
    if (NowNs() - begin > 120'000'000'000) {
      return Error{"short", fmt::format("ingest: only {} of {} events in 120 s", *head, last)};
    }
    usleep(10'000);
    head = HeadOf(daemon, "ingest");
  }
  if (!head) return head.error();
  auto took_ns = static_cast<double>(NowNs() - begin);
  cpu = CpuNs(daemon.pid()) - cpu;
  return Metrics{
      {"per_s", kEvents * 1e9 / took_ns, 0},
      {"cpu_us", static_cast<double>(cpu) / 1000 / kEvents, 3},
      {"rss_mib", static_cast<double>(RssBytes(daemon.pid())) / (1 << 20), 1},
  };
}

}  // namespace

Status RunIngest(const Options& options, Report& report) {
  std::vector<Metrics> rounds;
  for (int i = 0; i < options.rounds; ++i) {
    auto round = Round(options);
    if (!round) return round.error();
    Report::Note(fmt::format("ingest round {}: {:.0f}/s", i + 1, (*round)[0].value));
    rounds.push_back(std::move(*round));
  }
  report.Begin("ingest", fmt::format("{} lines of {} bytes", kEvents, kBytes));
  report.Add("reeve", Median(rounds));
  report.End();
  return {};
}

}  // namespace reeve::bench
