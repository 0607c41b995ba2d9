#include "process/timer.h"

#include <utility>

#include "process/loop.h"

namespace reeve {

Timer::Timer(Loop& loop, std::function<void()> fire)
    : fire_(std::move(fire)), handle_(MakeUvHandle<uv_timer_t>(this, [&loop](uv_timer_t* handle) {
        return uv_timer_init(loop.uv(), handle);  // cannot fail
      })) {}

Timer::~Timer() = default;

void Timer::Start(int64_t delay_ms, int64_t repeat_ms) {
  uv_timer_start(
      handle_.get(),
      [](uv_timer_t* due) {
        auto* timer = OwnerOf<Timer>(due);
        if (!timer) return;
        auto fire = timer->fire_;  // the call may destroy the timer, and with it the function
        fire();
      },
      static_cast<uint64_t>(delay_ms > 0 ? delay_ms : 0), static_cast<uint64_t>(repeat_ms));
}

void Timer::StartAt(int64_t at_ms) {
  const auto now_ms = static_cast<int64_t>(uv_now(handle_->loop));
  Start(at_ms > now_ms ? at_ms - now_ms : 0);
}

void Timer::Stop() { uv_timer_stop(handle_.get()); }
bool Timer::active() const { return uv_is_active(reinterpret_cast<const uv_handle_t*>(handle_.get())) != 0; }

std::optional<int64_t> Timer::due_ms() const {
  if (!active()) return std::nullopt;
  const uint64_t due = uv_now(handle_->loop) + uv_timer_get_due_in(handle_.get());
  return static_cast<int64_t>(due);
}

}  // namespace reeve
