// One source, N viewers, four servers, round by round in turn: two epoll servers, reeve with event streams,
// and reeve with its gateway.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>

#include "tests/bench/benchmarks.h"
#include "tests/bench/load_client.h"
#include "tests/bench/servers.h"
#include "tests/bench/source.h"

namespace reeve::bench {

namespace {

struct Row {
  const char* name;
  int viewers;
  int64_t rate;    // events a second; 0: as fast as the server takes them
  int64_t events;  // of a burst; steady rows last Options::seconds
};

constexpr Row kRows[] = {
    {"100x200/s", 100, 200, 0},   {"1000x50/s", 1000, 50, 0}, {"5000x10/s", 5000, 10, 0},
    {"1000x200/s", 1000, 200, 0}, {"burst", 100, 0, 20'000},  {"overload", 5000, 200, 0},
};

// In a burst *each* writes every event by itself. A client that finds more than this many in a read comes
// late and makes those writes cheaper than they are: such a round says nothing.
constexpr double kMaxEventsPerRead = 1.25;

struct Sample {
  Metrics metrics;
  double events_per_read = 0;
};

Result<std::unique_ptr<Server>> StartServer(const std::string& name, const Options& options) {
  if (name == "each") return StartEpollServer(Writes::kEach);
  if (name == "batch") return StartEpollServer(Writes::kBatch);
  return StartReeve(options.reeve, name == "gateway" ? Viewing::kGateway : Viewing::kStream);
}

Result<Sample> Measure(const std::string& name, const Row& row, const Options& options) {
  auto started = StartServer(name, options);
  if (!started) return started.error();
  Server& server = **started;
  int64_t events = row.rate > 0 ? row.rate * options.seconds : row.events;
  int64_t rss = RssBytes(server.pid());
  int64_t sockets = SocketBytes();
  auto client = LoadClient::Start({.port = server.port(),
                                   .request = server.StreamRequest(),
                                   .web_socket = server.web_socket(),
                                   .viewers = row.viewers,
                                   .events = events});
  if (!client) return client.error();
  int64_t viewers_rss = RssBytes(server.pid()) - rss;

  int64_t cpu = CpuNs(server.pid());
  int64_t begin = NowNs();
  if (Status ordered = server.Order(SourceOrder(events, row.rate)); !ordered) return ordered.error();
  int64_t most_sockets = SocketBytes();
  Seen seen = (*client)->Await(120'000, [&] { most_sockets = std::max(most_sockets, SocketBytes()); });
  cpu = CpuNs(server.pid()) - cpu;

  int64_t missing = events * row.viewers - seen.events;
  if (missing != 0 || seen.breaks != 0) {
    return Error{"short",
                 fmt::format("{} {}: {} events missing, {} breaks in the numbers, {} connections lost", name,
                             row.name, missing, seen.breaks, seen.lost)};
  }
  auto deliveries = static_cast<double>(seen.events);
  Sample sample;
  sample.events_per_read = deliveries / static_cast<double>(seen.reads);
  sample.metrics = {
      {"cpu_us", static_cast<double>(cpu) / 1000 / deliveries, 3, true},
      {"per_s", deliveries * 1e9 / static_cast<double>(seen.last_ns - begin), 0, true},
      {"p50_ms", static_cast<double>(seen.p50_us) / 1000, 2, true},
      {"p99_ms", static_cast<double>(seen.p99_us) / 1000, 2, true},
      {"missing", static_cast<double>(missing), 0},
      {"per_read", sample.events_per_read, 2},
      {"bytes", static_cast<double>(seen.bytes) / deliveries, 0},
      {"viewer_kib", static_cast<double>(viewers_rss) / 1024 / row.viewers, 2},
      {"sockets_mib", static_cast<double>(most_sockets - sockets) / (1 << 20), 1},
  };
  return sample;
}

// One round: every server once, beginning with another each time. Empty when it must be thrown out.
Result<std::map<std::string, Metrics>> Round(const Row& row, size_t number, const Options& options) {
  std::map<std::string, Metrics> round;
  bool valid = true;
  for (size_t i = 0; i < options.servers.size(); ++i) {
    const std::string& name = options.servers[(i + number) % options.servers.size()];
    auto sample = Measure(name, row, options);
    if (!sample) return sample.error();
    Report::Note(fmt::format("fanout {} round {} {}: {:.3f} us, {:.0f}/s, {:.2f} events a read", row.name,
                             number + 1, name, sample->metrics[0].value, sample->metrics[1].value,
                             sample->events_per_read));
    if (name == "each" && row.rate == 0 && sample->events_per_read > kMaxEventsPerRead) {
      Report::Note("  thrown out: the client was too busy to read each event by itself");
      valid = false;
    }
    round[name] = std::move(sample->metrics);
  }
  if (!valid) round.clear();
  return round;
}

}  // namespace

Status RunFanout(const Options& options, Report& report) {
  for (const Row& row : kRows) {
    if (!options.rows.empty() &&
        std::find(options.rows.begin(), options.rows.end(), row.name) == options.rows.end()) {
      continue;
    }
    std::map<std::string, std::vector<Metrics>> rounds;
    auto wanted = static_cast<size_t>(options.rounds);
    size_t valid = 0;
    for (size_t number = 0; valid < wanted && number < 2 * wanted; ++number) {
      auto round = Round(row, number, options);
      if (!round) return round.error();
      for (auto& [name, metrics] : *round) rounds[name].push_back(std::move(metrics));
      if (!round->empty()) ++valid;
    }
    if (valid == 0) {
      Report::Note(fmt::format("fanout {}: no round was valid", row.name));
      continue;
    }
    report.Begin("fanout", row.name);
    for (const std::string& name : options.servers) report.Add(name, Median(rounds[name]));
    if (rounds.count("reeve") && rounds.count("gateway"))
      report.Add("gateway/reeve", MedianRatio(rounds["gateway"], rounds["reeve"]));
    for (const char* other : {"each", "batch"}) {
      if (!rounds.count("reeve") || !rounds.count(other)) continue;
      report.Add(std::string("reeve/") + other, MedianRatio(rounds["reeve"], rounds[other]));
    }
    report.End();
  }
  return {};
}

}  // namespace reeve::bench
