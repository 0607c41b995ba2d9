// Reaper: the foster parent. Makes this process the subreaper of its descendants (PID 1 is one already), so
// that what loses its parent becomes our child, and reaps on SIGCHLD every child that nobody owns. Made once,
// by the Daemon (or a test), before the first spawn; outlives every Child; on the loop's thread.
//
// While it lives, no other code may wait for a child of its own: its exit status would be taken.
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

  // Between these two calls `pid` is left alone: its owner waits for it.
  void Own(pid_t pid) { owned_.insert(pid); }
  void Disown(pid_t pid) { owned_.erase(pid); }

  // Our living children that nobody owns: what lost its parent. One look at /proc serves all who ask within
  // some milliseconds or until Forget(), as a thousand children may exit or be stopped in one turn.
  const std::vector<ProcessStat>& Adopted();
  // Something has exited, so what Adopted() knew is out of date.
  void Forget() { look_again_at_ = 0; }
  // Looks now, and reaps what has exited.
  void Look();

 private:
  std::unordered_set<pid_t> owned_;
  std::vector<ProcessStat> adopted_;
  SystemClock clock_;  // not the loop's, which stands still during a turn
  int64_t look_again_at_ = 0;
  Timer soon_;
  UvHandle<uv_signal_t> signal_;
};

}  // namespace reeve
