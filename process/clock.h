// Clock: a source of the time, passed in so that tests can set it. It does not use libuv, because tickets/
// uses it too.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace reeve {

class Clock {
 public:
  virtual ~Clock() = default;
  // CLOCK_MONOTONIC in milliseconds: for deadlines and durations.
  [[nodiscard]] virtual int64_t MonotonicMs() const = 0;
  // Milliseconds since the Unix epoch: for people, and for times that must survive a restart.
  [[nodiscard]] virtual int64_t WallMs() const = 0;
};

class SystemClock : public Clock {
 public:
  [[nodiscard]] int64_t MonotonicMs() const override;
  [[nodiscard]] int64_t WallMs() const override;
};

// Somebody may set the wall clock, and timers stop while the machine sleeps. So whoever waits for a moment of
// this clock looks at it at least this often.
inline constexpr int64_t kWallClockLookMs = 30'000;

// RFC 3339 in UTC with milliseconds: "2026-11-20T15:36:54.123Z".
std::string FormatTime(int64_t wall_ms);
// The inverse of FormatTime. Accepts every time of RFC 3339, section 5.6, and drops digits finer than a
// millisecond. Returns nothing for any other text.
std::optional<int64_t> ParseTime(const std::string& text);

}  // namespace reeve
