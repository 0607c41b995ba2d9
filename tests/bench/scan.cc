// Requests that read far in a large log, beside viewers of another agent: what they cost those.
#include <fmt/format.h>

#include "tests/bench/benchmarks.h"
#include "tests/bench/load_client.h"
#include "tests/bench/servers.h"

namespace reeve::bench {

namespace {

constexpr int kViewers = 100;
constexpr int64_t kRate = 200;
// Lines of 1,000 bytes: about 290 MB of log.
constexpr const char* kBigLog = "yes $(printf %01000d 7) | head -n 250000";

// Reads the log from its beginning, again and again, by a filter that finds nothing, and takes a snapshot
// after each page. Runs in a process of its own until that is ended.
void ReadForEver(Daemon& daemon) {
  if (!daemon.Reconnect()) return;
  for (std::string after = "0";;) {
    auto page = daemon.Request("GET", "/agents/big/events?types=rare&after=" + after);
    auto snapshot = page ? daemon.Request("GET", "/agents/big/snapshot") : page;
    if (!snapshot) return;
    const bool more = page->find("\"more\":true") != std::string::npos;
    after = more ? std::string(Member(*page, "cursor")) : "0";
  }
}

Result<Metrics> Measure(const Options& options, bool scanning) {
  auto started = Daemon::Start(options.reeve);
  if (!started) return started.error();
  Daemon& daemon = **started;
  if (Status added = daemon.AddAgent("big", "process", {"/bin/sh", "-c", kBigLog}); !added)
    return added.error();
  if (Status ended = daemon.AwaitState("big", "exited"); !ended) return ended.error();
  if (Status added = daemon.AddSource("bench"); !added) return added.error();
  const int64_t events = kRate * options.seconds;
  auto client = LoadClient::Start({.port = daemon.port(),
                                   .request = daemon.StreamRequest("bench"),
                                   .viewers = kViewers,
                                   .events = events});
  if (!client) return client.error();
  Process reader;
  if (scanning) {
    auto forked = Process::Fork([&daemon] { ReadForEver(daemon); });
    if (!forked) return forked.error();
    reader = std::move(*forked);
  }
  int64_t cpu = CpuNs(daemon.pid());
  if (Status ordered = daemon.Send("bench", SourceOrder(events, kRate)); !ordered) return ordered.error();
  const Seen seen = (*client)->Await(120'000);
  cpu = CpuNs(daemon.pid()) - cpu;
  const int64_t missing = events * kViewers - seen.events;
  if (missing != 0 || seen.breaks != 0) {
    return Error{"short",
                 fmt::format("scan: {} events missing, {} breaks in the numbers", missing, seen.breaks)};
  }
  return Metrics{
      {"p50_ms", static_cast<double>(seen.p50_us) / 1000, 2, true},
      {"p99_ms", static_cast<double>(seen.p99_us) / 1000, 2, true},
      {"cpu_s", static_cast<double>(cpu) / 1e9, 2},
      {"missing", static_cast<double>(missing), 0},
  };
}

}  // namespace

Status RunScan(const Options& options, Report& report) {
  std::vector<Metrics> with;
  std::vector<Metrics> without;
  for (int i = 0; i < options.rounds; ++i) {
    for (int turn = 0; turn < 2; ++turn) {
      const bool scanning = (i + turn) % 2 == 1;
      auto round = Measure(options, scanning);
      if (!round) return round.error();
      Report::Note(fmt::format("scan round {} {}: p99 {:.2f} ms", i + 1, scanning ? "beside" : "alone",
                               (*round)[1].value));
      (scanning ? with : without).push_back(std::move(*round));
    }
  }
  report.Begin("scan", fmt::format("{}x{}/s", kViewers, kRate));
  report.Add("alone", Median(without));
  report.Add("beside scans", Median(with));
  report.Add("ratio", MedianRatio(with, without));
  report.End();
  return {};
}

}  // namespace reeve::bench
