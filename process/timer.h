// Timer: calls a function once, or repeatedly, on the loop. Its owner may destroy it at any time, also from
// within that function; that stops it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "process/handle.h"

namespace reeve {

class Loop;

class Timer {
 public:
  Timer(Loop& loop, std::function<void()> fire);
  ~Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  // Fires after `delay_ms`, then every `repeat_ms` if that is not 0. Restarts a timer that already runs.
  void Start(int64_t delay_ms, int64_t repeat_ms = 0);
  // Fires once when Loop::NowMs() reaches `at_ms`, or at once if that has passed. Restarts a timer that
  // already runs.
  void StartAt(int64_t at_ms);
  void Stop();
  [[nodiscard]] bool active() const;
  // The time when it fires next, on the clock of Loop::NowMs(); nothing while it is not active.
  [[nodiscard]] std::optional<int64_t> due_ms() const;

 private:
  std::function<void()> fire_;
  UvHandle<uv_timer_t> handle_;
};

}  // namespace reeve
