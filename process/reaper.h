// Reaper: makes this process the subreaper of its descendants (PID 1 is one already), so that descendants
// that lose their parent become our children, and reaps on SIGCHLD every child that nobody owns. Made once,
// by the Daemon (or a test), before the first spawn. It outlives every Child. On the loop's thread.
//
// While it lives, no other code may wait for a child that it does not own: the Reaper would take the exit
// status.
#pragma once

#include <sys/types.h>

#include <unordered_set>
#include <vector>

#include "process/clock.h"
#include "process/handle.h"
#include "process/proc.h"
#include "process/timer.h"

namespace reeve {

class Loop;

class Reaper {
 public:
  explicit Reaper(Loop& loop);
  ~Reaper();
  Reaper(const Reaper&) = delete;
  Reaper& operator=(const Reaper&) = delete;

  // Between these two calls the Reaper leaves `pid` alone, because its owner waits for it.
  void Own(pid_t pid) { owned_.insert(pid); }
  void Disown(pid_t pid) { owned_.erase(pid); }

  // Our living children that nobody owns: the processes that lost their parent. One scan of /proc serves all
  // callers for some milliseconds or until Forget(), because a thousand children may exit or be stopped in
  // one turn.
  const std::vector<ProcessStat>& Adopted();
  // Whether that answer was complete when it was made. It is not if processes fork and exit faster than we
  // look.
  [[nodiscard]] bool complete() const { return complete_; }
  // Drops the cached answer of Adopted(), because a process has exited.
  void Forget() { look_again_at_ = 0; }
  // Looks now, and reaps the children that have exited. Repeats that while it reaps one, because a process
  // that exits leaves its own children to us.
  void Look();

 private:
  std::unordered_set<pid_t> owned_;
  std::vector<ProcessStat> adopted_;
  bool complete_ = true;
  SystemClock clock_;  // not the loop's clock, which stands still during a turn
  int64_t look_again_at_ = 0;
  Timer soon_;
  UvHandle<uv_signal_t> signal_;
};

}  // namespace reeve
