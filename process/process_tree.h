// Which processes belong to a child: found from outside, as each may have left its group, its session and its
// parent. Reads /proc; on a thousand children it stays cheap, as it follows "children" files and does not scan.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "process/result.h"

namespace reeve {

class Loop;

struct ProcessId {
  pid_t pid = 0;
  uint64_t start_time = 0;  // field 22 of /proc/<pid>/stat
  bool operator==(const ProcessId&) const = default;
};

// Start time of `pid`, or 0 when there is none.
uint64_t StartTime(pid_t pid);

// `root` and all its descendants, zombies left out.
std::vector<ProcessId> Descendants(pid_t root);

// Direct children of this process, zombies left out, whose environment holds `marker` (NAME=value): what
// escaped a tree and was adopted by us as subreaper or PID 1.
std::vector<ProcessId> AdoptedWithMarker(const std::string& marker);

// Signals `process` through a pidfd, after checking its start time: a recycled pid is never hit.
void SignalProcess(const ProcessId& process, int signum);

// Every process of this machine that we may read and whose environment holds `marker`, except ourselves: for
// the sweep at start, of what a daemon that was killed left behind. One scan of /proc.
std::vector<ProcessId> AllWithMarker(const std::string& marker);

// Makes this process the subreaper of its descendants (PID 1 is one already) and reaps, on SIGCHLD, children
// that no Child owns. Call once, before the first spawn. Child registers its own pids.
Status AdoptOrphans(Loop& loop);

}  // namespace reeve
