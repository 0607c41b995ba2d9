// ProcessDetails: a process as people know it from ps(1), read from /proc. A value.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "process/proc.h"

namespace reeve {

struct ProcessDetails {
  static constexpr size_t kMaxCommandBytes = 4'096;  // a command line may have megabytes

  pid_t pid = 0;
  pid_t ppid = 0;
  std::string command;     // the arguments, separated by spaces; "[name]" if it has none
  int64_t started_ms = 0;  // wall clock; exact to a tick of the kernel (10 ms)
  uint64_t cpu_ms = 0;     // user and system time of all its threads, without its children
  int64_t rss_bytes = 0;
  const char* state = "";  // running, sleeping, waiting (for a disk), stopped, zombie, unknown
};

// Nothing if the process has ended.
std::optional<ProcessDetails> DescribeProcess(const ProcessId& process);

// The signal of a name ("TERM", "SIGTERM") or a number. Nothing if there is no such signal.
std::optional<int> ParseSignal(std::string_view text);
// "TERM"; the number of a signal without a name.
std::string NameOfSignal(int signum);

}  // namespace reeve
