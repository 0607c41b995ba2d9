// reeve_bench: the daemon's costs beside those of a minimal server. See README.md.
#include <fmt/format.h>
#include <getopt.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "tests/bench/benchmarks.h"
#include "tests/bench/measure.h"
#include "tests/bench/source.h"

namespace {

using namespace reeve::bench;  // the whole program is this

using Benchmark = reeve::Status (*)(const Options&, Report&);
struct Named {
  const char* name;
  const char* what;
  Benchmark run;
};
constexpr Named kBenchmarks[] = {
    {"fanout", "N viewers, one source: reeve beside two epoll servers", RunFanout},
    {"ingest", "one child that prints as fast as it can", RunIngest},
    {"stalled", "viewers that stop reading beside viewers that do not", RunStalled},
    {"idle", "memory, heartbeats, time to be ready", RunIdle},
    {"spawn", "starting children, beside posix_spawn", RunSpawn},
    {"turns", "from an agent's last line of a turn to the viewer's sight of its end", RunTurns},
    {"crash_loop", "an agent that works beside a hundred that crash and are restarted", RunCrashLoop},
    {"keeper", "deaths of the daemon: how soon a viewer goes on; memory beside many agents", RunKeeper},
    {"gateway", "200 subscriptions on one connection, while one agent floods", RunGateway},
    {"scan", "viewers beside requests that read far in a large log", RunScan},
};

constexpr const char* kUsage =
    "Usage: reeve_bench [OPTION]... BENCHMARK\n"
    "  --reeve FILE      the daemon's binary (default: the one built beside this)\n"
    "  --rounds N        rounds, 1 to 100; medians are printed (default: 5)\n"
    "  --seconds N       length of a steady row, 1 to 600 (default: 5)\n"
    "  --rows A,B        rows of the fan-out: 100x200/s, 1000x50/s, 5000x10/s, 1000x200/s, burst, overload\n"
    "  --servers A,B     servers of the fan-out: each, batch, reeve, gateway (default: all)\n"
    "  --json            one JSON object a line\n"
    "Benchmarks:\n";

int Usage() {
  fmt::print(stderr, "{}", kUsage);
  for (const Named& benchmark : kBenchmarks)
    fmt::print(stderr, "  {:<16}  {}\n", benchmark.name, benchmark.what);
  fmt::print(stderr, "  {:<16}  {}\n", "all", "all of them");
  return 64;
}

// False unless `text` is a number in the range.
bool ReadNumber(const char* text, int least, int most, int& number) {
  char* end = nullptr;
  const long value = std::strtol(text, &end, 10);
  if (end == text || *end != '\0' || value < least || value > most) return false;
  number = static_cast<int>(value);
  return true;
}

// False unless `text` lists only known words.
bool ReadWords(const char* text, const std::vector<std::string>& known, std::vector<std::string>& words) {
  words.clear();
  std::istringstream stream(text);
  for (std::string word; std::getline(stream, word, ',');) {
    if (std::find(known.begin(), known.end(), word) == known.end()) return false;
    words.push_back(word);
  }
  return !words.empty();
}

bool ReadOptions(int argc, char** argv, Options& options, bool& json) {
  const option names[] = {{"reeve", required_argument, nullptr, 'b'},
                          {"rounds", required_argument, nullptr, 'r'},
                          {"seconds", required_argument, nullptr, 's'},
                          {"rows", required_argument, nullptr, 'w'},
                          {"servers", required_argument, nullptr, 'v'},
                          {"json", no_argument, nullptr, 'j'},
                          {nullptr, 0, nullptr, 0}};
  for (int name = 0; (name = getopt_long(argc, argv, "", names, nullptr)) != -1;) {
    bool good = name == 'b' || name == 'j';
    if (name == 'b') options.reeve = optarg;
    if (name == 'j') json = true;
    if (name == 'r') good = ReadNumber(optarg, 1, 100, options.rounds);
    if (name == 's') good = ReadNumber(optarg, 1, 600, options.seconds);
    if (name == 'w') {
      good = ReadWords(optarg, {"100x200/s", "1000x50/s", "5000x10/s", "1000x200/s", "burst", "overload"},
                       options.rows);
    }
    if (name == 'v') good = ReadWords(optarg, {"each", "batch", "reeve", "gateway"}, options.servers);
    if (!good) return false;
  }
  return optind < argc;
}

int Run(const Benchmark benchmark, const Options& options, bool json) {
  Report report(json);
  if (reeve::Status status = benchmark(options, report); !status) {
    fmt::print(stderr, "{}\n", status.error().message);
    return 1;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  // Two children of the benchmarks: the agent of `turns`, with the words that its kind appends, and the
  // source of events.
  const std::string_view child = argc > 1 ? argv[1] : "";
  if (child == "turn-agent" && argc > 2) return RunTurnAgent(argv[2]);
  if (child == "source") {
    int line_bytes = kLineBytes;
    const bool given = argc == 4 && std::string_view(argv[2]) == "--line-bytes";
    if (given && !ReadNumber(argv[3], 1, 1 << 30, line_bytes)) return Usage();
    return RunSource(line_bytes);
  }
  Options options{.reeve = REEVE_BINARY};
  bool json = false;
  if (!ReadOptions(argc, argv, options, json)) return Usage();
  std::signal(SIGPIPE, SIG_IGN);
  RaiseDescriptorLimit();
  bool known = false;
  int failed = 0;
  for (int i = optind; i < argc; ++i) {
    for (const Named& benchmark : kBenchmarks) {
      if (std::string_view(argv[i]) != "all" && std::string_view(argv[i]) != benchmark.name) continue;
      known = true;
      failed |= Run(benchmark.run, options, json);
    }
  }
  return known ? failed : Usage();
}
