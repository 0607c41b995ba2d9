// AgentLog: an agent's past events, a page at a time, however long its log is; a deleted agent's, too.
// Blocks.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "control/cli/client/client.h"
#include "control/cli/show/event_printer.h"

namespace reeve {

class AgentLog {
 public:
  struct Range {
    std::optional<int64_t> since_ms;  // wall clock
    uint64_t tail = 0;                // the last ones only; 0: all
    std::string types;                // as the API has them; empty: all
    // Whether an event is one of those that `tail` counts.
    std::function<bool(std::string_view type)> counts = [](std::string_view) { return true; };
  };
  static constexpr uint64_t kMaxTail = 10'000;

  AgentLog(const Client& client, std::string agent, Range range, size_t page_events);

  // The first page. Before anything else.
  Status Open();
  // The next event, absent at the end; good until Next.
  [[nodiscard]] JsonValue event() const { return at_ < events_.size() ? events_[at_] : JsonValue(); }
  Status Next();
  // Events that nobody has any more, before event(); each is told once.
  std::optional<JsonDocument> TakeGap() { return std::exchange(gap_, std::nullopt); }

  [[nodiscard]] const std::string& agent() const { return agent_; }
  // Behind all that was read.
  [[nodiscard]] const std::string& cursor() const { return cursor_; }

 private:
  Status Fetch(const std::string& where, size_t limit);
  // To the next event that is wanted, over as many pages as it takes.
  Status Settle();
  [[nodiscard]] uint64_t Count() const;  // of this page's events those that count
  Result<uint64_t> CountAll();
  [[nodiscard]] bool TooOld(const JsonValue& event) const;

  const Client& client_;
  const std::string agent_;
  const Range range_;
  const size_t page_events_;
  std::optional<JsonDocument> page_;
  std::vector<JsonValue> events_;  // of the page
  size_t at_ = 0;
  uint64_t skip_ = 0;  // that count, and are before the last `tail`
  bool cut_ = false;   // the page: there was more than it may hold
  std::string cursor_;
  std::optional<JsonDocument> gap_;
};

// Prints what `range` says of these agents' past, of several by their times: each has its own order, which
// stays. Returns where each of them goes on.
Result<std::map<std::string, std::string>> PrintPast(const Client& client,
                                                     const std::vector<std::string>& agents,
                                                     const AgentLog::Range& range, EventPrinter& printer);
// What a person sees as something of its own, for Range::counts: the parts of messages are not.
bool CountsForPeople(std::string_view type);

}  // namespace reeve
