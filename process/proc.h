// Proc: what /proc tells about other processes, and how to signal one without hitting another. Free functions
// over the kernel's state of the moment: any answer may be out of date when it arrives.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace reeve {

// A process for good: pids are used again, a pid together with its start time is not.
struct ProcessId {
  pid_t pid = 0;
  uint64_t start_time = 0;  // field 22 of /proc/<pid>/stat: clock ticks since boot
  bool operator==(const ProcessId&) const = default;

  // For a handover (orchestrator/handover/saved_state.h).
  static void Members(auto& self, auto& state) {
    state("pid", self.pid);
    state("start_time", self.start_time);
  }
};

// Some of /proc/<pid>/stat (proc(5)).
struct ProcessStat {
  ProcessId id;
  pid_t ppid = 0;
  pid_t group = 0;
  bool zombie = false;  // all its threads have ended; only its exit status is left
  std::string name;     // at most 15 bytes
};
std::optional<ProcessStat> StatProcess(pid_t pid);

// Start time of `pid`, or 0 when there is none.
uint64_t StartTime(pid_t pid);

// The children of all threads of `pid`, zombies too. Needs CONFIG_PROC_CHILDREN, which distributions set.
// Exact for ourselves; of another process that reaps children just now, some may be missing.
std::vector<pid_t> ChildrenOf(pid_t pid);

// `root` and all its descendants, zombies left out.
std::vector<ProcessId> Descendants(pid_t root);

// Whether the environment that `pid` was started with holds `marker` (NAME=value).
bool HasMarker(pid_t pid, const std::string& marker);

// Every process of this machine that we may read and whose environment holds `marker`, except ourselves: for
// the sweep at start, of what a daemon that was killed left behind. One scan of /proc.
std::vector<ProcessId> AllWithMarker(const std::string& marker);

// Signals `process` through a pidfd, after checking its start time: a recycled pid is never hit. False when
// it is gone or may not be signalled.
bool SignalProcess(const ProcessId& process, int signum);

// A file of /proc or of a cgroup, whole; empty when it cannot be read.
std::string ReadSmallFile(const std::string& path);
// The pids in such a text, between spaces or newlines; up to the first thing that is none.
std::vector<pid_t> ParsePids(const std::string& text);

}  // namespace reeve
