// Keeper: the main object of the program reeve-keeper. It starts the daemon, starts it again when it dies,
// and holds all that must outlive it (Holdings). Made by main; one in a process, which has one thread.
//
// It waits in one poll for signals (signalfd), for the daemon's end (pidfd), for its messages and for the
// next deadline. While nothing happens it does not wake up.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "process/clock.h"
#include "process/fd.h"
#include "process/keeper/holdings.h"
#include "process/keeper/keeper_log.h"
#include "process/keeper/keeper_state.h"
#include "process/keeper/service_manager.h"
#include "process/keeper/session.h"
#include "process/proc.h"

namespace reeve::keeper {

// The present daemon.
struct RunningDaemon {
  pid_t pid = -1;
  Fd pidfd;
  std::unique_ptr<Session> session;
  bool ready = false;
  bool told_to_stop = false;
  int64_t ready_since_ms = 0;
  int64_t kill_at_ms = -1;    // it has closed its connection, and must end until then
  uint64_t pings = 0;         // how many were sent
  int64_t pinged_at_ms = -1;  // when the last of them was sent
};
// Everything is ending: descendants are stopped until none is left.
struct Ending {
  int code = 0;
  int64_t kill_at_ms = 0;             // TERM before, KILL from then on
  int64_t took_at_ms = 0;             // when a descendant last took a signal
  std::vector<ProcessId> terminated;  // those that TERM was sent to
};

class Keeper {
 public:
  struct Options {
    int64_t orphan_timeout_ms = 60'000;
    std::vector<std::string> program;  // the daemon's words; "--keeper 3" is added to them
    int64_t restart_delay_ms = 5'000;  // the longest time between a death of the daemon and its next start
    std::vector<int> inherited;        // descriptors to hold, under their numbers as keys
    uint64_t soft_limit = 0;           // RLIMIT_NOFILE that the daemon gets
  };

  explicit Keeper(Options options);
  Keeper(const Keeper&) = delete;
  Keeper& operator=(const Keeper&) = delete;

  // Continues with the state that an earlier keeper in this process saved.
  void Restore(const KeeperState& state);

  // Runs until everything has ended. Returns the exit code of this process.
  int Run();

 private:
  void StartDaemon();
  void OnDaemonEnd(int code, int signal);
  void RestartLater(int code, int signal);
  void Become(const std::string& path);
  [[nodiscard]] Status TryOut(const std::string& path, int state) const;
  [[nodiscard]] KeeperState State() const;

  void Wait();
  [[nodiscard]] int64_t NextDeadline() const;
  void OnSignals();
  void OnSignal(int signum);
  void OnMessages();
  void OnReady();
  void OnDeadlines();
  void CheckWatchdog();
  void CheckExit();

  void End(int code, int64_t grace_ms);
  void ContinueEnding();
  bool SignalDescendants();

  KeeperLog log_;
  const SystemClock clock_;
  const ServiceManager manager_;
  Options options_;
  std::vector<std::string> env_;  // of the daemon
  Holdings holdings_;
  Fd signals_;

  std::optional<RunningDaemon> daemon_;
  uint64_t restarts_ = 0;
  int last_code_ = 0;  // see Welcome
  int last_signal_ = 0;
  int delay_level_ = 0;
  int stop_signal_ = 0;         // TERM or INT, once it has arrived
  bool was_ready_ = false;      // some daemon has said Ready
  std::string program_before_;  // of the daemon before the present upgrade, until the new one is ready
  uint64_t lost_ = 0;  // descriptors of this daemon that could not be held, as far as the log says so

  // Deadlines on CLOCK_MONOTONIC; -1 is never.
  int64_t restart_at_ms_ = -1;
  int64_t orphan_at_ms_ = -1;
  int64_t reap_at_ms_ = -1;
  int64_t watchdog_at_ms_ = -1;
  int64_t end_again_at_ms_ = -1;

  std::optional<Ending> ending_;
  std::optional<int> exit_code_;  // everything has ended
};

}  // namespace reeve::keeper
