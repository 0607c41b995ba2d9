// AgentLog: reads the past events of an agent, deleted agents included, one page at a time. Blocks. Owned by
// a command; the client must outlive it.
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
#include "control/cli/terminal/console.h"

namespace reeve {

class AgentLog {
 public:
  struct Range {
    std::optional<int64_t> since_ms;  // wall clock
    uint64_t tail = 0;                // only the last events; 0: all
    std::string types;                // of events, as in the API; empty: all
    // Whether `tail` counts events of this type.
    std::function<bool(std::string_view type)> counts = [](std::string_view) { return true; };
  };
  static constexpr uint64_t kMaxTail = 10'000;

  AgentLog(const Client& client, std::string agent, Range range, size_t page_events);

  // Reads the first page. Must be called first.
  Status Open();
  // The current event, absent at the end; valid until Next.
  [[nodiscard]] JsonValue event() const { return at_ < events_.size() ? events_[at_] : JsonValue(); }
  Status Next();
  // Missing events in front of event(), or at the end of the log, as in stream.gap. Each gap is returned
  // once.
  std::optional<JsonDocument> TakeGap() { return std::exchange(gap_, std::nullopt); }

  [[nodiscard]] const std::string& agent() const { return agent_; }
  // The position behind everything read so far.
  [[nodiscard]] const std::string& cursor() const { return cursor_; }

 private:
  Status Fetch(const std::string& where, size_t limit);
  Status FetchPage(const std::string& where, size_t limit);
  // Moves to the next event in the range; reads further pages if necessary.
  Status Settle();
  [[nodiscard]] uint64_t Count() const;  // events of this page that `tail` counts
  Result<uint64_t> CountAll();
  [[nodiscard]] bool TooOld(const JsonValue& event) const;

  const Client& client_;
  const std::string agent_;
  const Range range_;
  const size_t page_events_;
  std::optional<JsonDocument> page_;
  std::vector<JsonValue> events_;  // of the page
  size_t at_ = 0;
  uint64_t skip_ = 0;  // counted events in front of the last `tail`
  bool more_ = false;  // the page does not reach the end of the log
  bool cut_ = false;   // the page reached its size limit, so that events may be missing
  std::string cursor_;
  std::optional<JsonDocument> gap_;
};

// Prints the past events of these agents, merged by time; the events of each agent keep their order. Returns
// the cursors behind them, by agent. An agent whose log cannot be read has no cursor; `console` reports it,
// and the others are printed.
std::map<std::string, std::string> PrintPast(const Client& client, const std::vector<std::string>& agents,
                                             const AgentLog::Range& range, EventPrinter& printer,
                                             Console& console);
// For Range::counts: false for the parts of messages, which a person does not see as events.
bool CountsForPeople(std::string_view type);

}  // namespace reeve
