// Measurements of processes and of the machine's sockets, from the kernel, and the processes that this
// benchmark starts.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "process/result.h"

namespace reeve::bench {

int64_t NowNs();  // CLOCK_MONOTONIC
// CPU time of all threads of `pid`, those that have ended too, but not of its children; user and kernel, to
// the nanosecond (/proc/<pid>/stat counts in ticks of 10 ms).
int64_t CpuNs(pid_t pid);
int64_t RssBytes(pid_t pid);
// The part of it that no other process can share: without the pages of programs and libraries.
int64_t OwnBytes(pid_t pid);
// The pages that only this process has (smaps_rollup, Private_Clean and Private_Dirty). 0: not allowed,
// because the process hides its memory from all but root.
int64_t PrivateBytes(pid_t pid);
// How often it has waited and was woken up, in its main thread.
int64_t Wakeups(pid_t pid);
// Kernel memory of all TCP sockets of this network namespace: both ends of what runs over loopback. Cheap,
// but the kernel keeps up to 1 MiB a CPU out of the sum.
int64_t SocketBytes();
// The same of the connections to `port` of this machine, to the byte: those of the server, and those of its
// clients. Looks at every socket there is.
struct SocketEnds {
  int64_t server = 0;
  int64_t clients = 0;
};
SocketEnds SocketBytesOf(uint16_t port);

// The path of this very program: it is also the source of events.
std::string SelfPath();
// The soft limit on descriptors becomes the hard one, for us and for what we start. The new limit.
uint64_t RaiseDescriptorLimit();

// A process of ours: killed and awaited by the destructor, and by the kernel when we die.
class Process {
 public:
  // Runs `argv`; a descriptor of -1 is /dev/null, except stderr: ours.
  static Result<Process> Run(const std::vector<std::string>& argv, int stdin_fd, int stdout_fd,
                             int stderr_fd = -1);
  // Runs `body` in a fork of this process, then exits.
  static Result<Process> Fork(const std::function<void()>& body);
  Process() = default;
  Process(Process&& other) noexcept : pid_(other.pid_) { other.pid_ = -1; }
  Process& operator=(Process&& other) noexcept;
  ~Process() { End(0); }

  [[nodiscard]] pid_t pid() const { return pid_; }
  // TERM and up to `grace_ms` to end, then KILL. False when it had to be killed.
  bool End(int64_t grace_ms);

 private:
  explicit Process(pid_t pid) : pid_(pid) {}
  pid_t pid_ = -1;
};

}  // namespace reeve::bench
