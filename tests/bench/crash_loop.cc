// Agents that crash as soon as they are started, again and again, beside one that works: what they cost its
// viewers. The two halves of a round follow one another at once, so that the ratio is of one minute.
#include <fmt/format.h>

#include <algorithm>

#include "tests/bench/benchmarks.h"
#include "tests/bench/load_client.h"
#include "tests/bench/servers.h"

namespace reeve::bench {

namespace {

constexpr int kCrashing = 100;
constexpr int kViewers = 5;  // of which one is timed
constexpr int64_t kBurst = 2'000'000;
constexpr int64_t kRate = 1'000;
// Restarts are soon a minute apart; the first seconds are the worst, and they are measured.
constexpr int64_t kSteadySeconds = 10;

Status AddCrashing(Daemon& daemon) {
  for (int i = 0; i < kCrashing; ++i) {
    // In a window of a millisecond there is never more than one restart: they go on for ever.
    auto made =
        daemon.Request("POST", "/agents",
                       fmt::format(R"({{"id":"crash{}","kind":"process","command":["/bin/false"],)"
                                   R"("restart":{{"policy":"always","max_restarts":1000,"window_ms":1}}}})",
                                   i));
    if (!made) return made.error();
  }
  return {};
}

// The sum over all crashing agents.
Result<int64_t> Restarts(Daemon& daemon) {
  int64_t restarts = 0;
  for (int i = 0; i < kCrashing; ++i) {
    auto agent = daemon.Request("GET", fmt::format("/agents/crash{}", i));
    if (!agent) return agent.error();
    constexpr std::string_view kMember = "\"restarts\":";
    const size_t at = agent->find(kMember);
    if (at != std::string::npos) restarts += std::strtol(agent->c_str() + at + kMember.size(), nullptr, 10);
  }
  return restarts;
}

Result<Metrics> Measure(const Options& options, int64_t rate, bool crashing) {
  auto started = Daemon::Start(options.reeve);
  if (!started) return started.error();
  Daemon& daemon = **started;
  if (Status added = daemon.AddSource("bench"); !added) return added.error();
  const int64_t events = rate == 0 ? kBurst : rate * kSteadySeconds;
  auto client = LoadClient::Start({.port = daemon.port(),
                                   .request = daemon.StreamRequest("bench"),
                                   .viewers = kViewers,
                                   .events = events});
  if (!client) return client.error();
  if (crashing) {
    if (Status added = AddCrashing(daemon); !added) return added.error();
  }
  int64_t cpu = CpuNs(daemon.pid());
  const int64_t begin = NowNs();
  if (Status ordered = daemon.Send("bench", SourceOrder(events, rate)); !ordered) return ordered.error();
  const Seen seen = (*client)->Await(120'000);
  cpu = CpuNs(daemon.pid()) - cpu;
  const int64_t missing = events * kViewers - seen.events;
  if (missing != 0 || seen.breaks != 0) {
    return Error{"short", fmt::format("crash_loop: {} events missing, {} breaks in the numbers", missing,
                                      seen.breaks)};
  }
  auto restarts = crashing ? Restarts(daemon) : Result<int64_t>(int64_t{0});
  if (!restarts) return restarts.error();
  const double took_s = static_cast<double>(seen.last_ns - begin) / 1e9;
  return Metrics{
      {"took_s", took_s, 3, rate == 0},
      {"per_s", static_cast<double>(seen.events) / took_s, 0, rate == 0},
      {"p50_ms", static_cast<double>(seen.p50_us) / 1000, 3, rate != 0},
      {"p99_ms", static_cast<double>(seen.p99_us) / 1000, 3, rate != 0},
      {"cpu_s", static_cast<double>(cpu) / 1e9, 2, true},
      {"restarts", static_cast<double>(*restarts), 0},
      {"missing", static_cast<double>(missing), 0},
  };
}

Status RunRow(const Options& options, Report& report, const std::string& name, int64_t rate) {
  std::vector<Metrics> with;
  std::vector<Metrics> without;
  for (int i = 0; i < options.rounds; ++i) {
    for (int turn = 0; turn < 2; ++turn) {
      const bool crashing = (i + turn) % 2 == 1;
      auto round = Measure(options, rate, crashing);
      if (!round) return round.error();
      Report::Note(fmt::format("crash_loop round {} {} {}: {:.2f} s, p99 {:.2f} ms, {} restarts", i + 1, name,
                               crashing ? "beside" : "alone", (*round)[0].value, (*round)[3].value,
                               (*round)[5].value));
      (crashing ? with : without).push_back(std::move(*round));
    }
  }
  report.Begin("crash_loop", name);
  report.Add("alone", Median(without));
  report.Add(fmt::format("beside {} that crash", kCrashing), Median(with));
  report.Add("ratio", MedianRatio(with, without));
  report.End();
  return {};
}

}  // namespace

Status RunCrashLoop(const Options& options, Report& report) {
  if (Status ran = RunRow(options, report, fmt::format("{}/s to {}", kRate, kViewers), kRate); !ran)
    return ran;
  return RunRow(options, report, fmt::format("burst of {} to {}", kBurst, kViewers), 0);
}

}  // namespace reeve::bench
