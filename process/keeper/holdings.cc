#include "process/keeper/holdings.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "process/proc.h"

namespace reeve::keeper {

namespace {

constexpr int kMostPasses = 100;  // of one look: one costs less than a fork and an exit
// Children are made by the only thread, and the kernel gives orphans to it.
constexpr char kOwnChildren[] = "/proc/thread-self/children";

uint64_t Microseconds(const timeval& time) {
  return static_cast<uint64_t>(time.tv_sec) * 1'000'000 + static_cast<uint64_t>(time.tv_usec);
}

}  // namespace

bool Holdings::Keep(uint64_t key, Fd fd) {
  if (fds.size() >= most_fds && fds.count(key) == 0) return false;
  fds[key] = std::move(fd);
  next_key = std::max(next_key, key + 1);
  return true;
}

std::optional<Holdings::End> Holdings::EndOf(pid_t pid) const {
  if (children.count(pid) == 0) return {};
  siginfo_t info{};
  rusage used{};
  // glibc's waitid does not return the used time.
  const long result = syscall(SYS_waitid, P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT, &used);
  End end;
  if (result == 0 && info.si_pid == 0) return end;
  // An error would mean that the status is gone, which no code here allows. Then the child has ended as well.
  end.exited = true;
  if (result == 0 && info.si_code == CLD_EXITED) {
    end.code = info.si_status;
  } else {
    end.signal = info.si_status;
  }
  end.user_us = Microseconds(used.ru_utime);
  end.system_us = Microseconds(used.ru_stime);
  return end;
}

bool Holdings::Reap(pid_t pid) {
  if (children.erase(pid) == 0) return false;
  siginfo_t info{};
  (void)waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG);
  return true;
}

bool Holdings::ReapOrphans(pid_t daemon) {
  for (int pass = 0; pass < kMostPasses; ++pass) {
    bool complete = true;
    for (const pid_t pid : ParsePids(ReadSmallFile(kOwnChildren))) {
      if (pid == daemon || children.count(pid) != 0) continue;
      siginfo_t info{};
      if (waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG) == 0 && info.si_pid == pid) {
        complete = false;
        ++reaped;
      }
    }
    if (complete) return true;
  }
  return false;
}

}  // namespace reeve::keeper
