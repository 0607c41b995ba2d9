#include "process/heap_trim.h"

#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <utility>

#include "process/loop.h"

namespace reeve {

size_t ResidentBytes() {
  std::ifstream file("/proc/self/statm");
  size_t total = 0;
  size_t resident = 0;
  file >> total >> resident;
  return resident * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

HeapTrim::HeapTrim(Loop& loop) : timer_(loop, [this] { Look(); }), settled_(ResidentBytes()) {
  loop.BeforeSleep([this] {
    // The turn of the timer itself is no activity.
    if (!std::exchange(looked_, false) && !timer_.active()) timer_.Start(wait_ms_);
    return false;
  });
}

void HeapTrim::Look() {
  looked_ = true;
  const size_t before = ResidentBytes();
  if (before >= settled_ + kWorthBytes) {
#ifdef __GLIBC__
    malloc_trim(0);
#endif
    const bool gained = ResidentBytes() + kWorthBytes <= before;
    wait_ms_ = gained ? kLeastMs : std::min(2 * wait_ms_, kMostMs);
  } else {
    wait_ms_ = kLeastMs;
  }
  settled_ = std::min(settled_, ResidentBytes());
}

}  // namespace reeve
