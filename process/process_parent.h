// ProcessParent: the process whose children the agents are, as the rest of the daemon sees it: either the
// daemon itself (Reaper) or the keeper (keeper/keeper_parent.h), which outlives the daemon. It makes
// children, tells how they ended, adopts and buries orphans. The keeper also keeps descriptors for the next
// daemon.
//
// Owned by the Daemon or a test; on the loop's thread. It outlives its children.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <optional>
#include <unordered_set>
#include <vector>

#include "process/clock.h"
#include "process/fd.h"
#include "process/proc.h"
#include "process/result.h"
#include "process/spawn.h"

namespace reeve {

class ProcessParent {
 public:
  struct Exit {
    int code = -1;   // exit code, or -1 when a signal ended it
    int signal = 0;  // that signal, or 0
  };

  ProcessParent() = default;
  virtual ~ProcessParent() = default;
  ProcessParent(const ProcessParent&) = delete;
  ProcessParent& operator=(const ProcessParent&) = delete;

  // Makes a child, as SpawnWith does, and owns it until Bury.
  virtual Result<Started> Start(const SpawnSpec& spec, const std::array<int, 3>& stdio) = 0;
  // How a child of Start ended; nothing while it runs. It stays a zombie, so that its pid keeps naming its
  // process group. Error "not_ours": there is no such child.
  virtual Result<std::optional<Exit>> ExitOf(pid_t pid) = 0;
  // Lets go of a child that has ended, or that cannot be ended.
  virtual void Bury(pid_t pid) = 0;
  // Between these two calls the child is no orphan: its owner waits for it. Start and Bury call them.
  void Own(pid_t pid) { owned_.insert(pid); }
  void Disown(pid_t pid) { owned_.erase(pid); }

  // --- descriptors that outlive the daemon
  // Whether children and descriptors outlive the daemon. If not, these functions do nothing.
  [[nodiscard]] virtual bool keeps() const { return false; }
  enum class Purpose : uint8_t { kChild, kAgentCheckpoint, kTownCheckpoint, kLock, kListener, kCrashPage };
  // Keeps a duplicate of `fd`. The key names it for the next daemon; it is never 0.
  virtual uint64_t Keep(int fd, Purpose purpose) {
    (void)fd, (void)purpose;
    return 0;
  }
  // The keys of the descriptors that an earlier daemon kept for this purpose and that nobody has taken.
  [[nodiscard]] virtual std::vector<uint64_t> Kept(Purpose purpose) const {
    (void)purpose;
    return {};
  }
  // The descriptor that an earlier daemon kept; close-on-exec; invalid if there is none.
  virtual Fd Take(uint64_t key) {
    (void)key;
    return {};
  }
  virtual void Drop(uint64_t key) { (void)key; }

  // --- orphans
  // The parent's living children that nobody owns: the processes that lost their parent. One scan of /proc
  // serves all callers for some milliseconds or until Forget(), because a thousand children may exit or be
  // stopped in one turn.
  const std::vector<ProcessStat>& Adopted();
  // Whether that answer was complete when it was made. It is not if processes fork and exit faster than we
  // look.
  [[nodiscard]] bool complete() const { return complete_; }
  // Drops the cached answer of Adopted(), because a process has exited.
  void Forget() { look_again_at_ = 0; }
  // Looks now, and buries the orphans that have exited. Repeats that while it buries one, because a process
  // that exits leaves its own children to the parent.
  void Look();

 protected:
  // Buries the orphans that have exited, and adds the living to `adopted`. Returns whether the list is
  // complete.
  virtual bool LookForOrphans(std::vector<ProcessStat>& adopted) = 0;
  [[nodiscard]] bool owns(pid_t pid) const { return owned_.count(pid) != 0; }

 private:
  std::unordered_set<pid_t> owned_;
  std::vector<ProcessStat> adopted_;
  bool complete_ = true;
  SystemClock clock_;  // not the loop's clock, which stands still during a turn
  int64_t look_again_at_ = 0;
};

}  // namespace reeve
