// reeve_bench: what the daemon costs, beside the least that a server can cost. See README.md.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstring>

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
};

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
  // The child of `turns`, with whatever its kind appends.
  if (argc > 2 && std::strcmp(argv[1], "turn-agent") == 0) return RunTurnAgent(argv[2]);
  Options options{.reeve = REEVE_BINARY};
  bool json = false;
  int line_bytes = kLineBytes;
  CLI::App app{"Benchmarks of reeve"};
  app.require_subcommand(1);
  app.fallthrough();
  app.add_option("--reeve", options.reeve, "The daemon's binary")->capture_default_str();
  app.add_option("--rounds", options.rounds, "Rounds; medians are printed")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  app.add_option("--seconds", options.seconds, "Length of a steady row")
      ->check(CLI::Range(1, 600))
      ->capture_default_str();
  app.add_option("--rows", options.rows, "Rows of the fan-out; default: all")
      ->delimiter(',')
      ->check(CLI::IsMember({"100x200/s", "1000x50/s", "5000x10/s", "1000x200/s", "burst", "overload"}));
  app.add_option("--servers", options.servers, "Servers of the fan-out")
      ->delimiter(',')
      ->check(CLI::IsMember({"each", "batch", "reeve"}))
      ->capture_default_str();
  app.add_flag("--json", json, "One JSON object a line");
  for (const Named& benchmark : kBenchmarks) app.add_subcommand(benchmark.name, benchmark.what);
  app.add_subcommand("all", "All of them");
  auto* source = app.add_subcommand("source", "The child that prints events")->group("");
  source->add_option("--line-bytes", line_bytes);
  CLI11_PARSE(app, argc, argv);

  if (source->parsed()) return RunSource(line_bytes);
  std::signal(SIGPIPE, SIG_IGN);
  RaiseDescriptorLimit();
  int failed = 0;
  for (const Named& benchmark : kBenchmarks) {
    if (app.got_subcommand(benchmark.name) || app.got_subcommand("all"))
      failed |= Run(benchmark.run, options, json);
  }
  return failed;
}
