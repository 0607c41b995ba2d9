// The daemon dies and its keeper starts the next one: how soon a viewer that reconnects at once has an event
// again. And the cost of the two processes with no, with some and with very many agents
// (orchestrator/handover/KEEPER.md).
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/bench/benchmarks.h"
#include "tests/bench/servers.h"

namespace reeve::bench {

namespace {

constexpr int kDeaths = 20;             // of each round
constexpr int64_t kRate = 200;          // events per second of the agent that is watched
constexpr unsigned kQuietSeconds = 10;  // in which wake-ups are counted
constexpr int kPatienceMs = 60'000;

double InKib(int64_t bytes) { return static_cast<double>(bytes) / 1024; }

// One blocking viewer, which reconnects with the cursor of its last event.
class CutViewer {
 public:
  explicit CutViewer(const Daemon& daemon) : daemon_(daemon) {}

  // Reads until an event has come that was not there before; over as many connections as that takes.
  Status Next() {
    const std::string before = cursor_;
    while (cursor_ == before) {
      if (!socket_.valid()) {
        if (Status connected = Connect(); !connected) return connected;
      }
      pollfd readable{socket_.get(), POLLIN, 0};
      if (poll(&readable, 1, kPatienceMs) != 1) return Error{"timeout", "a viewer got nothing"};
      char piece[65536];
      const ssize_t got = recv(socket_.get(), piece, sizeof piece, 0);
      if (got <= 0) {
        socket_.Close();
        continue;
      }
      Take({piece, static_cast<size_t>(got)});
    }
    return {};
  }
  // Reads until its connection ends.
  void UntilCut() {
    char piece[65536];
    for (ssize_t got = 1; got > 0;) {
      got = recv(socket_.get(), piece, sizeof piece, 0);
      if (got > 0) Take({piece, static_cast<size_t>(got)});
    }
    socket_.Close();
  }

 private:
  Status Connect() {
    rest_.clear();
    socket_ = Fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(daemon_.port());
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
      return OsError("a viewer connects", errno);
    const std::string request = daemon_.StreamRequest("bench", cursor_);
    if (send(socket_.get(), request.data(), request.size(), MSG_NOSIGNAL) < 0) socket_.Close();
    return {};
  }
  // Keeps the id of the last whole event.
  void Take(std::string_view bytes) {
    rest_ += bytes;
    const size_t end = rest_.rfind("\n\n");
    if (end == std::string::npos) return;
    const size_t block = rest_.rfind("id: ", end);
    if (block != std::string::npos) cursor_ = rest_.substr(block + 4, rest_.find('\n', block) - block - 4);
    rest_.erase(0, end + 2);
  }

  const Daemon& daemon_;
  Fd socket_;
  std::string rest_;
  std::string cursor_;
};

struct Row {
  int running;
  int exited;
};

Status AddAgents(Daemon& daemon, const Row& row) {
  for (int i = 0; i < row.running; ++i) {
    if (Status added = daemon.AddAgent(fmt::format("run{}", i), "process", {"/bin/cat"}); !added)
      return added;
  }
  for (int i = 0; i < row.exited; ++i) {
    if (Status added = daemon.AddAgent(fmt::format("end{}", i), "process", {"/bin/true"}); !added)
      return added;
  }
  for (int i = 0; i < row.running; ++i) {
    if (Status runs = daemon.AwaitState(fmt::format("run{}", i), "running"); !runs) return runs;
  }
  for (int i = 0; i < row.exited; ++i) {
    if (Status ended = daemon.AwaitState(fmt::format("end{}", i), "exited"); !ended) return ended;
  }
  return {};
}

struct Deaths {
  std::vector<double> waits_ms;  // from the death of the daemon to the event
  std::vector<double> cpu_ms;  // of the next daemon until then: does not depend on what else the machine does
};

Result<Deaths> TimeDeaths(Daemon& daemon) {
  Deaths deaths;
  CutViewer viewer(daemon);
  for (int i = 0; i < kDeaths; ++i) {
    if (Status seen = viewer.Next(); !seen) return seen.error();
    usleep(static_cast<useconds_t>(50'000 + i * 7'000));  // deaths at different moments
    const int64_t begin = NowNs();
    daemon.Crash();
    viewer.UntilCut();
    if (Status seen = viewer.Next(); !seen) return seen.error();
    deaths.waits_ms.push_back(static_cast<double>(NowNs() - begin) / 1e6);
    if (Status next = daemon.AwaitNext(); !next) return next.error();
    deaths.cpu_ms.push_back(static_cast<double>(CpuNs(daemon.pid())) / 1e6);
  }
  std::sort(deaths.waits_ms.begin(), deaths.waits_ms.end());
  std::sort(deaths.cpu_ms.begin(), deaths.cpu_ms.end());
  return deaths;
}

Result<Metrics> MeasureRow(const Options& options, const Row& row) {
  auto started = Daemon::Start(options.reeve, {"--restart-delay", "0"});
  if (!started) return started.error();
  Daemon& daemon = **started;
  if (Status added = AddAgents(daemon, row); !added) return added.error();
  // The keeper ends with a daemon that dies before it was ready.
  if (auto health = daemon.Request("GET", "/health"); !health) return health.error();
  daemon.Crash();  // memory is that of a daemon which took the agents over
  if (Status next = daemon.AwaitNext(); !next) return next.error();
  if (auto health = daemon.Request("GET", "/health"); !health) return health.error();
  sleep(1);  // the keeper looks for orphans once more after a death
  const int64_t keeper_wakeups = Wakeups(daemon.parent());
  const int64_t daemon_wakeups = Wakeups(daemon.pid());
  sleep(kQuietSeconds);
  const int64_t quiet_keeper = Wakeups(daemon.parent()) - keeper_wakeups;
  const int64_t quiet_daemon = Wakeups(daemon.pid()) - daemon_wakeups;
  const int64_t keeper_bytes = PrivateBytes(daemon.parent());
  const int64_t daemon_bytes = PrivateBytes(daemon.pid());

  if (Status added = daemon.AddSource("bench"); !added) return added.error();
  if (Status ordered = daemon.Send("bench", SourceOrder(1'000'000, kRate)); !ordered) return ordered.error();
  const auto deaths = TimeDeaths(daemon);
  if (!deaths) return deaths.error();
  return Metrics{
      {"event_ms", deaths->waits_ms[kDeaths / 2], 1},
      {"event_max_ms", deaths->waits_ms.back(), 1},
      {"cpu_ms", deaths->cpu_ms[kDeaths / 2], 1},
      {"keeper_kib", InKib(keeper_bytes), 0},
      {"daemon_kib", InKib(daemon_bytes), 0},
      {"keeper_wakes", static_cast<double>(quiet_keeper), 0},
      {"daemon_wakes", static_cast<double>(quiet_daemon), 0},
  };
}

}  // namespace

Status RunKeeper(const Options& options, Report& report) {
  for (const Row& row : {Row{0, 0}, Row{100, 0}, Row{100, 9'899}}) {
    std::vector<Metrics> rounds;
    for (int i = 0; i < options.rounds; ++i) {
      auto round = MeasureRow(options, row);
      if (!round) return round.error();
      Report::Note(fmt::format("keeper round {}, {} agents: {:.1f} ms to the first event", i + 1,
                               row.running + row.exited, (*round)[0].value));
      rounds.push_back(std::move(*round));
    }
    report.Begin("keeper", fmt::format("{} running agents, {} exited", row.running, row.exited));
    report.Add("reeve", Median(rounds));
    report.End();
  }
  return {};
}

}  // namespace reeve::bench
