// Proc: functions that read about other processes in /proc, and that signal a process without hitting another
// one. They report the kernel's state of the moment: any answer may be out of date when it arrives.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace reeve {

// The lasting identity of a process: the kernel reuses pids, but never a pid with the same start time.
struct ProcessId {
  pid_t pid = 0;
  uint64_t start_time = 0;  // field 22 of /proc/<pid>/stat: clock ticks since boot
  bool operator==(const ProcessId&) const = default;

  // For the next daemon (orchestrator/handover/saved_state.h).
  static void Members(auto& self, auto& state) {
    state("pid", self.pid);
    state("start_time", self.start_time);
  }
};

// Some fields of /proc/<pid>/stat (proc(5)).
struct ProcessStat {
  ProcessId id;
  pid_t ppid = 0;
  pid_t group = 0;
  bool zombie = false;  // all its threads have ended; only its exit status is left
  bool ending = false;  // a zombie, or about to be one: it has no memory any more, and so no environment
  std::string name;     // at most 15 bytes
};
std::optional<ProcessStat> StatProcess(pid_t pid);

// The start time of `pid`, or 0 when there is no such process.
uint64_t StartTime(pid_t pid);

// The children of all threads of `pid`, including zombies. Needs CONFIG_PROC_CHILDREN, which distributions
// set. The answer is exact for our own process; for another process that is reaping children at this moment,
// some may be missing.
std::vector<pid_t> ChildrenOf(pid_t pid);

// `root` and all its descendants, without zombies.
std::vector<ProcessId> Descendants(pid_t root);

// Whether the environment that `pid` was started with holds `marker` (NAME=value).
bool HasMarker(pid_t pid, const std::string& marker);

// Every process of this machine that we may read and whose environment holds `marker`, except ourselves. The
// sweep at start uses it to find the processes that a killed daemon left behind. Scans /proc once.
std::vector<ProcessId> AllWithMarker(const std::string& marker);

// Signals `process` through a pidfd, after checking its start time, so that it never hits a recycled pid.
// False when the process is gone or we may not signal it.
bool SignalProcess(const ProcessId& process, int signum);

// The whole content of a file of /proc or of a cgroup; empty when it cannot be read.
std::string ReadSmallFile(const std::string& path);
// The pids in such a text, separated by spaces or newlines, up to the first word that is no pid.
std::vector<pid_t> ParsePids(const std::string& text);

}  // namespace reeve
