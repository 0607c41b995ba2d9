// The benchmarks. Each returns an Error when it could not measure, or when a server lost an event: times
// never fail it.
#pragma once

#include <string>
#include <vector>

#include "process/result.h"
#include "tests/bench/report.h"

namespace reeve::bench {

struct Options {
  std::string reeve;  // the daemon's binary
  int rounds = 5;
  int seconds = 5;                     // of a steady row
  std::vector<std::string> rows = {};  // of the fan-out; empty: all
  std::vector<std::string> servers = {"each", "batch", "reeve", "gateway"};
};

Status RunFanout(const Options& options, Report& report);
Status RunIngest(const Options& options, Report& report);
Status RunStalled(const Options& options, Report& report);
Status RunIdle(const Options& options, Report& report);
Status RunSpawn(const Options& options, Report& report);
Status RunTurns(const Options& options, Report& report);
Status RunCrashLoop(const Options& options, Report& report);
Status RunKeeper(const Options& options, Report& report);
Status RunGateway(const Options& options, Report& report);
Status RunScan(const Options& options, Report& report);

// The child of `turns`: an agent that ends each turn as soon as it is asked for one.
int RunTurnAgent(const std::string& kind);

}  // namespace reeve::bench
