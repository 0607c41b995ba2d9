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
  // Called when the daemon has been away for two seconds (true), and when it is back after that (false).
  using Tell = std::function<void(bool away)>;

  // `again` sends the request. `tell` may be empty.
  Retry(Loop& loop, std::function<void()> again, Tell tell = {});

  // The daemon has answered.
  void Answered();
  // The request failed with a temporary error: calls `again` after a moment. Returns false if the daemon has
  // been away for a minute. A daemon that drains, or whose queue is full, is not away.
  [[nodiscard]] bool After(const Error& error);
  void Stop();

 private:
  Loop& loop_;
  Timer timer_;
  const Tell tell_;
  Timer notice_;  // of its absence
  bool told_ = false;
  int64_t away_since_ms_ = 0;  // loop time; 0: it is not away
};

}  // namespace reeve
