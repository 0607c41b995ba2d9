#include "process/reaper.h"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "process/log.h"
#include "process/loop.h"

namespace reeve {

namespace {

// One look serves all SIGCHLDs of this long. Nobody waits for an orphan to be reaped.
constexpr int64_t kReapDelayMs = 50;
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

Result<Started> Reaper::Start(const SpawnSpec& spec, const std::array<int, 3>& stdio) {
  auto started = SpawnWith(spec, stdio);
  if (started) Own(started->pid);
  return started;
}

Result<std::optional<ProcessParent::Exit>> Reaper::ExitOf(pid_t pid) {
  siginfo_t info{};
  // WNOWAIT leaves the child unreaped, so that its pid keeps naming its process group while its owner looks
  // for the rest of its tree.
  if (pid <= 0 || waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) != 0) {
    return Error{"not_ours", "process " + std::to_string(pid) + " is no child of this daemon"};
  }
  if (info.si_pid == 0) return std::optional<Exit>();
  Exit exit;
  (info.si_code == CLD_EXITED ? exit.code : exit.signal) = info.si_status;
  return std::optional<Exit>(exit);
}

void Reaper::Bury(pid_t pid) {
  siginfo_t info{};
  waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG);
  Disown(pid);
}

bool Reaper::LookForOrphans(std::vector<ProcessStat>& adopted) {
  bool complete = false;
  for (int pass = 0; pass < kMostPasses && !complete; ++pass) {
    adopted.clear();
    complete = true;
    for (pid_t pid : ParsePids(ReadSmallFile(kOwnChildren))) {
      if (owns(pid)) continue;
      siginfo_t info{};
      const bool reaped =
          waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG) == 0 && info.si_pid == pid;
      if (reaped) complete = false;
      if (auto stat = reaped ? std::nullopt : StatProcess(pid)) adopted.push_back(std::move(*stat));
    }
  }
  return complete;
}

}  // namespace reeve
