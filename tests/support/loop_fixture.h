// For tests: a real loop, conditions with a deadline instead of sleeps, a folder that goes away, a clock to
// set.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <string>

#include "process/clock.h"
#include "process/loop.h"

namespace reeve {

// Turns `loop` until `condition` holds; false if that takes longer than `deadline_ms`.
bool RunUntil(Loop& loop, const std::function<bool()>& condition, int64_t deadline_ms = 20'000);

class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

class MockClock : public Clock {
 public:
  [[nodiscard]] int64_t MonotonicMs() const override { return monotonic_ms; }
  [[nodiscard]] int64_t WallMs() const override { return wall_ms; }
  void Advance(int64_t ms) { monotonic_ms += ms, wall_ms += ms; }
  int64_t monotonic_ms = 1'000'000;
  int64_t wall_ms = 1'795'170'414'684;
};

std::string ReadFile(const std::string& path);
void WriteFile(const std::string& path, const std::string& bytes);
size_t OpenDescriptors();

}  // namespace reeve
