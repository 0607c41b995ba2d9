// EventPages: reads pages of agents' logs (GET /agents/{id}/events) on the pool, because a filter may have to
// read far before it finds something. A request reads at most kMaxScanBytes, or kMaxBackBytes if it reads
// backwards; its answer has the position at which the next one continues.
//
// Owned by the Daemon; on the loop's thread. The loop and the town outlive it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "control/http/http.h"
#include "orchestrator/log/event.h"
#include "process/lifetime.h"

namespace reeve {

class Loop;
class Town;

class EventPages {
 public:
  static constexpr uint64_t kMaxScanBytes = uint64_t{32} << 20;
  // Backwards, a request reads a whole window although it may find enough near the window's end.
  static constexpr uint64_t kMaxBackBytes = uint64_t{4} << 20;
  // A page ends with the event that takes it past this size, which bounds the memory of one answer.
  static constexpr size_t kMaxPageBytes = size_t{8} << 20;
  // The pool has few threads, and viewers need them too. Other requests wait in their order.
  static constexpr size_t kMaxReading = 2;

  struct Range {
    std::optional<Cursor> after;  // nothing: from the oldest event
    uint64_t tail = 0;            // in place of `after`: the last events; 0: no tail
    uint64_t before = 0;          // in place of `after`: the last events with smaller numbers; 0: none
    uint64_t limit = 0;           // of the events in the answer
    size_t max_bytes = kMaxPageBytes;
    TypeFilter types;
    std::string text;  // only events whose data contains it, in upper or lower case; empty: all
  };

  EventPages(Loop& loop, Town& town) : loop_(loop), town_(town) {}
  EventPages(const EventPages&) = delete;
  EventPages& operator=(const EventPages&) = delete;

  // Answers `reply` with {events, first, cursor, more, gap}. Errors: "agent_not_found", and those of
  // EventLog.
  void Read(std::string agent, Range range, Reply reply);

 private:
  struct Page;
  void Begin(std::shared_ptr<Page> page);
  void Finish(const std::shared_ptr<Page>& page);

  Loop& loop_;
  Town& town_;
  size_t reading_ = 0;
  std::deque<std::shared_ptr<Page>> waiting_;
  Lifetime alive_;
};

}  // namespace reeve
