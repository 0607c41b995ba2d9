// reeve's Spawn beside plain posix_spawn, each with three pipes, by turns in one process: with little memory,
// and with 1 GiB of it. And, for the whole, what the daemon spends on an agent that only starts and exits.
#include "process/spawn.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <functional>

#include "tests/bench/benchmarks.h"
#include "tests/bench/servers.h"

namespace reeve::bench {

namespace {

constexpr int kSpawns = 100;  // of each kind a round
constexpr int kAgents = 100;
constexpr size_t kLargeBytes = size_t{1} << 30;
constexpr char kProgram[] = "/bin/true";

using SpawnFunction = std::function<Result<pid_t>()>;

Result<pid_t> SpawnPlain() {
  std::array<std::array<int, 2>, 3> pipes{};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  for (size_t i = 0; i < pipes.size(); ++i) {
    if (pipe2(pipes[i].data(), O_CLOEXEC) != 0) return OsError("pipe", errno);
    posix_spawn_file_actions_adddup2(&actions, pipes[i][i == 0 ? 0 : 1], static_cast<int>(i));
  }
  char* argv[] = {const_cast<char*>(kProgram), nullptr};
  char* env[] = {const_cast<char*>("PATH=/usr/bin:/bin"), nullptr};
  pid_t pid = -1;
  int error = posix_spawn(&pid, kProgram, &actions, nullptr, argv, env);
  posix_spawn_file_actions_destroy(&actions);
  for (auto& ends : pipes) {
    close(ends[0]);
    close(ends[1]);
  }
  if (error != 0) return OsError("posix_spawn", error);
  return pid;
}

Result<pid_t> SpawnOurs() {
  SpawnSpec spec;
  spec.argv = {kProgram};
  spec.env = {"PATH=/usr/bin:/bin"};
  spec.stdin_pipe = true;
  auto spawned = Spawn(spec);
  if (!spawned) return spawned.error();
  return spawned->pid;
}

// kSpawns children, one after another. CPU and wall time are those of the call: so long the daemon's loop
// stands.
Result<Metrics> Measure(const SpawnFunction& spawn) {
  int64_t cpu = 0;
  int64_t held = 0;
  int64_t begin = NowNs();
  for (int i = 0; i < kSpawns; ++i) {
    int64_t cpu_before = CpuNs(getpid());
    int64_t before = NowNs();
    auto pid = spawn();
    held += NowNs() - before;
    cpu += CpuNs(getpid()) - cpu_before;
    if (!pid) return pid.error();
    waitpid(*pid, nullptr, 0);
  }
  return Metrics{
      {"cpu_us", static_cast<double>(cpu) / 1000 / kSpawns, 1, true},
      {"held_us", static_cast<double>(held) / 1000 / kSpawns, 1, true},
      {"per_s", kSpawns * 1e9 / static_cast<double>(NowNs() - begin), 0, true},
  };
}

Status Compare(const Options& options, Report& report, const std::string& row) {
  std::vector<Metrics> plain;
  std::vector<Metrics> ours;
  for (int i = 0; i < options.rounds; ++i) {
    for (int turn = 0; turn < 2; ++turn) {
      bool our_turn = (i + turn) % 2 == 1;
      auto round = Measure(our_turn ? SpawnOurs : SpawnPlain);
      if (!round) return round.error();
      (our_turn ? ours : plain).push_back(std::move(*round));
    }
  }
  report.Begin("spawn", row);
  report.Add("posix_spawn", Median(plain));
  report.Add("reeve::Spawn", Median(ours));
  report.Add("ratio", MedianRatio(ours, plain));
  report.End();
  return {};
}

// Everything counts here: the request, the store, the log, the child's exit.
Result<Metrics> MeasureAgents(const Options& options) {
  auto started = Daemon::Start(options.reeve);
  if (!started) return started.error();
  Daemon& daemon = **started;
  const auto cpu_of_all = [&daemon] {
    return CpuNs(daemon.pid()) + (daemon.parent() != daemon.pid() ? CpuNs(daemon.parent()) : 0);
  };
  int64_t cpu = cpu_of_all();
  int64_t begin = NowNs();
  for (int i = 0; i < kAgents; ++i) {
    if (Status added = daemon.AddAgent(fmt::format("a{}", i), "process", {kProgram}); !added)
      return added.error();
  }
  for (int i = 0; i < kAgents; ++i) {
    if (Status exited = daemon.AwaitState(fmt::format("a{}", i), "exited"); !exited) return exited.error();
  }
  return Metrics{
      {"cpu_us", static_cast<double>(cpu_of_all() - cpu) / 1000 / kAgents, 0},
      {"per_s", kAgents * 1e9 / static_cast<double>(NowNs() - begin), 0},
  };
}

}  // namespace

Status RunSpawn(const Options& options, Report& report) {
  if (Status small = Compare(options, report, "small parent"); !small) return small;
  void* memory = mmap(nullptr, kLargeBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return OsError("1 GiB of memory", errno);
  madvise(memory, kLargeBytes, MADV_NOHUGEPAGE);  // many small pages, as a heap that grew
  std::fill_n(static_cast<char*>(memory), kLargeBytes, 'x');
  Status large = Compare(options, report, "parent of 1 GiB");
  munmap(memory, kLargeBytes);
  if (!large) return large;

  std::vector<Metrics> rounds;
  for (int i = 0; i < options.rounds; ++i) {
    auto round = MeasureAgents(options);
    if (!round) return round.error();
    rounds.push_back(std::move(*round));
  }
  report.Begin("spawn", fmt::format("{} agents", kAgents));
  report.Add("reeve, whole", Median(rounds));
  report.End();
  return {};
}

}  // namespace reeve::bench
