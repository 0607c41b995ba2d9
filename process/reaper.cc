#include "process/reaper.h"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <utility>

#include "process/log.h"
#include "process/loop.h"

namespace reeve {

namespace {

// One look serves all SIGCHLDs of this long. Nobody waits for an orphan to be reaped.
constexpr int64_t kReapDelayMs = 50;
constexpr int64_t kShareLookMs = 5;
constexpr int kMostPasses = 100;  // of one look: one costs less than a fork and an exit
// Children are made on the loop's thread, which is the main thread, and the kernel gives orphans to the main
// thread.
constexpr char kOwnChildren[] = "/proc/thread-self/children";

}  // namespace

Reaper::Reaper(Loop& loop) : soon_(loop, [this] { Look(); }) {
  if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) {
    log::Warning("cannot adopt orphans: {}; a process that loses its parent escapes its agent",
                 std::strerror(errno));
  }
  if (access(kOwnChildren, R_OK) != 0) {
    log::Warning(
        "this kernel does not list children (CONFIG_PROC_CHILDREN): only cgroups show the processes of an "
        "agent");
  }
  signal_ = MakeUvHandle<uv_signal_t>(
      this, [&loop](uv_signal_t* handle) { return uv_signal_init(loop.uv(), handle); });
  if (!signal_) return;  // no memory: the loop could not have been made either
  uv_signal_start(
      signal_.get(),
      [](uv_signal_t* arrived, int) {
        auto* reaper = OwnerOf<Reaper>(arrived);
        if (reaper && !reaper->soon_.active()) reaper->soon_.Start(kReapDelayMs);
      },
      SIGCHLD);
}

Reaper::~Reaper() = default;

const std::vector<ProcessStat>& Reaper::Adopted() {
  if (clock_.MonotonicMs() >= look_again_at_) Look();
  return adopted_;
}

void Reaper::Look() {
  complete_ = false;
  for (int pass = 0; pass < kMostPasses && !complete_; ++pass) {
    adopted_.clear();
    complete_ = true;
    for (pid_t pid : ParsePids(ReadSmallFile(kOwnChildren))) {
      if (owned_.count(pid) != 0) continue;
      siginfo_t info{};
      const bool reaped =
          waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG) == 0 && info.si_pid == pid;
      if (reaped) complete_ = false;
      if (auto stat = reaped ? std::nullopt : StatProcess(pid)) adopted_.push_back(std::move(*stat));
    }
  }
  look_again_at_ = clock_.MonotonicMs() + kShareLookMs;
}

}  // namespace reeve
