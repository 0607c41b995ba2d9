// Retry: repeats a request while the daemon is away, as it is during a restart, until it has been away for
// too long. Owned by the sender of the request; the loop must outlive it.
#pragma once

#include <cstdint>
#include <functional>

#include "process/result.h"
#include "process/timer.h"

namespace reeve {

class Retry {
 public:
  // `again` sends the request.
  Retry(Loop& loop, std::function<void()> again);

  // The daemon has answered.
  void Answered() { away_since_ms_ = 0; }
  // The request failed with a temporary error: calls `again` after a moment. Returns false if the daemon has
  // been away for a minute. A daemon that drains, or whose queue is full, is not away.
  [[nodiscard]] bool After(const Error& error);
  void Stop() { timer_.Stop(); }

 private:
  Loop& loop_;
  Timer timer_;
  int64_t away_since_ms_ = 0;  // loop time; 0: it is not away
};

}  // namespace reeve
