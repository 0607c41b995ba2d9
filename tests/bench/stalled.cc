// Viewers that stop reading during a burst: what they cost the others, the daemon and the kernel; and that
// they get everything when they read again.
#include <fmt/format.h>

#include <algorithm>

#include "tests/bench/benchmarks.h"
#include "tests/bench/load_client.h"
#include "tests/bench/servers.h"

namespace reeve::bench {

namespace {

constexpr int64_t kEvents = 200'000;
constexpr int kReading = 90;
constexpr int kStalled = 10;

Result<Metrics> Round(const Options& options, int stalled) {
  auto started = StartReeve(options.reeve);
  if (!started) return started.error();
  Server& server = **started;
  auto client = LoadClient::Start({.port = server.port(),
                                   .request = server.StreamRequest(),
                                   .viewers = kReading + stalled,
                                   .stalled = stalled,
                                   .events = kEvents});
  if (!client) return client.error();
  int64_t rss = RssBytes(server.pid());
  SocketEnds before = SocketBytesOf(server.port());
  int64_t most_rss = rss;
  int64_t cpu = CpuNs(server.pid());
  int64_t begin = NowNs();
  if (Status ordered = server.Order(SourceOrder(kEvents, 0)); !ordered) return ordered.error();
  auto watch = [&] { most_rss = std::max(most_rss, RssBytes(server.pid())); };
  Seen seen = (*client)->Await(300'000, watch);
  watch();
  cpu = CpuNs(server.pid()) - cpu;
  int64_t took_ns = seen.last_ns - begin;
  SocketEnds held = SocketBytesOf(server.port());  // the others have emptied theirs

  int64_t resumed = NowNs();
  Seen all = seen;
  if (stalled > 0) {
    (*client)->Resume();
    all = (*client)->Await(120'000, watch);
  }
  int64_t missing = kEvents * (kReading + stalled) - all.events;
  if (missing != 0 || all.breaks != 0) {
    return Error{"short",
                 fmt::format("stalled: {} events missing, {} breaks in the numbers, {} connections lost",
                             missing, all.breaks, all.lost)};
  }
  auto mib = [](int64_t bytes) { return static_cast<double>(bytes) / (1 << 20); };
  return Metrics{
      {"took_s", static_cast<double>(took_ns) / 1e9, 2, true},
      {"cpu_us", static_cast<double>(cpu) / 1000 / static_cast<double>(seen.events), 3, true},
      {"grown_mib", mib(most_rss - rss), 1},
      {"server_mib", stalled > 0 ? mib(held.server - before.server) / stalled : 0, 2},
      {"client_mib", stalled > 0 ? mib(held.clients - before.clients) / stalled : 0, 2},
      {"resume_s", stalled > 0 ? static_cast<double>(all.last_ns - resumed) / 1e9 : 0, 2},
      {"missing", static_cast<double>(missing), 0},
  };
}

}  // namespace

Status RunStalled(const Options& options, Report& report) {
  std::vector<Metrics> with;
  std::vector<Metrics> without;
  for (int i = 0; i < options.rounds; ++i) {
    for (int turn = 0; turn < 2; ++turn) {
      bool stall = (i + turn) % 2 == 1;
      auto round = Round(options, stall ? kStalled : 0);
      if (!round) return round.error();
      Report::Note(
          fmt::format("stalled round {} {}: {:.2f} s", i + 1, stall ? "with" : "without", (*round)[0].value));
      (stall ? with : without).push_back(std::move(*round));
    }
  }
  report.Begin("stalled", fmt::format("burst of {} to {}", kEvents, kReading));
  report.Add("alone", Median(without));
  report.Add(fmt::format("beside {} stalled", kStalled), Median(with));
  report.Add("ratio", MedianRatio(with, without));
  report.End();
  return {};
}

}  // namespace reeve::bench
