// For tests of children: command lines, and what is left of a process.
#pragma once

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <sstream>
#include <string>
#include <vector>

#include "process/fd.h"
#include "process/proc.h"
#include "process/spawn.h"

namespace reeve {

inline SpawnSpec Shell(std::string script, std::vector<std::string> env = {}) {
  SpawnSpec spec;
  spec.argv = {"/bin/sh", "-c", std::move(script)};
  spec.env = std::move(env);
  spec.env.push_back("PATH=/usr/local/bin:/usr/bin:/bin");
  return spec;
}

inline bool Lives(const ProcessId& process) {
  auto stat = StatProcess(process.pid);
  return stat && stat->id == process && !stat->zombie;
}

// The processes whose pids stand in `text`, one a line.
inline std::vector<ProcessId> ProcessesIn(const std::string& text) {
  std::vector<ProcessId> processes;
  std::istringstream lines(text);
  for (pid_t pid = 0; lines >> pid;) processes.push_back({pid, StartTime(pid)});
  return processes;
}

// All that comes out of `fd` to its end, without a loop.
inline std::string ReadToEnd(int fd) {
  std::string text;
  char buffer[4096];
  for (;;) {
    pollfd waiting{fd, POLLIN, 0};
    if (poll(&waiting, 1, 20'000) == 0) return text + "<timed out>";
    ssize_t got = read(fd, buffer, sizeof buffer);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got <= 0) return text;
    text.append(buffer, static_cast<size_t>(got));
  }
}

// Waits for a child that nobody else owns: its exit code, or minus the signal.
inline int Wait(pid_t pid) {
  siginfo_t info{};
  while (waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED) != 0 && errno == EINTR) continue;
  return info.si_code == CLD_EXITED ? info.si_status : -info.si_status;
}

}  // namespace reeve
