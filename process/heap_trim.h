// HeapTrim: gives memory back to the system after a burst. The allocator keeps what was freed, so a daemon
// that was flooded once would stay large for good.
//
// It looks at the process a while after the loop did something, so an idle loop stays idle. Owned by the
// Daemon; on the loop's thread. No loop turn may follow its destruction.
#pragma once

#include <cstddef>
#include <cstdint>

#include "process/timer.h"

namespace reeve {

class Loop;

// Resident memory of this process; 0 if it is unknown.
size_t ResidentBytes();

class HeapTrim {
 public:
  static constexpr int64_t kLeastMs = 2'000;
  static constexpr int64_t kMostMs = 64'000;              // while trims give nothing back
  static constexpr size_t kWorthBytes = size_t{8} << 20;  // less is not worth a trim

  explicit HeapTrim(Loop& loop);
  HeapTrim(const HeapTrim&) = delete;
  HeapTrim& operator=(const HeapTrim&) = delete;

 private:
  void Look();

  Timer timer_;
  bool looked_ = false;  // in this turn
  int64_t wait_ms_ = kLeastMs;
  size_t settled_ = 0;  // the smallest resident size so far
};

}  // namespace reeve
