// LogCursor: the place of one viewer in one agent's log, and its part in the account of deliveries. It holds
// no events.
//
// Owned by a Viewer, which may add to it, and which moves `position` as it sends events. The agent outlives
// it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "orchestrator/log/event.h"
#include "orchestrator/log/event_log.h"
#include "process/result.h"

namespace reeve {

class Agent;
class Town;

// The events of a log, once for each viewer that shows it, are delivered, filtered (its filter excludes them)
// or in a gap. They are counted when a viewer reaches the head of the log, and when it ends.
struct Deliveries {
  uint64_t delivered = 0;
  uint64_t filtered = 0;
  uint64_t gaps = 0;
  uint64_t gap_events = 0;
  uint64_t gap_bytes = 0;   // of the gaps that opened while the viewer was connected
  uint64_t disk_reads = 0;  // reads from segments instead of the shared tail
};

class LogCursor : private EventLog::Reader {
 public:
  // ReadEvents processes about this much of the log.
  static constexpr size_t kReadBytes = size_t{64} << 10;

  class Owner {
   public:
    // There is more to read.
    virtual void OnCommit(LogCursor& cursor) = 0;
    // The log is about to delete the event at the cursor's position. An owner that has sent a part of it
    // reads the rest now, and moves `position` behind it.
    virtual void OnTrim(LogCursor& cursor) = 0;
    // A gap has opened, see TakeGap.
    virtual void OnGap(LogCursor& cursor) = 0;
    // The cursor cannot continue, because the log cannot be read.
    virtual void OnLost(LogCursor& cursor, const Error& error) = 0;

   protected:
    ~Owner() = default;
  };

  // The agent's log, and the position in it at which a viewer begins.
  struct Place {
    Agent* agent;
    EventLog* log;
    EventLog::Start start;
  };
  // After the cursor, or at the head if there is none. Error "agent_not_found", or that of a log that cannot
  // be read.
  static Result<Place> Find(const Town& town, const std::string& agent, std::optional<Cursor> after);

  LogCursor(Owner& owner, Deliveries& account, const Place& place);
  virtual ~LogCursor();
  LogCursor(const LogCursor&) = delete;
  LogCursor& operator=(const LogCursor&) = delete;

  [[nodiscard]] Agent& agent() const { return agent_; }
  [[nodiscard]] EventLog& log() const { return log_; }
  [[nodiscard]] bool at_end() const { return position == log_.end_position(); }

  // Calls take(frame, its bytes) for the next events that `types` matches, and moves behind them. Returns how
  // much of the log that was. Errors as EventLog::Read; events that are damaged are in a gap instead.
  Result<uint64_t> ReadEvents(const TypeFilter& types, std::string& scratch,
                              const std::function<void(const FrameView&, std::string_view)>& take);
  // The event at `position` is damaged: moves behind the damage. Returns false if that is not possible.
  bool SkipDamaged();

  // The events that the viewer cannot get, since the last call. They must be reported before the next event,
  // so several deletions in a row are one gap.
  std::optional<EventLog::Start::Gap> TakeGap();
  [[nodiscard]] bool has_gap() const { return gap_.has_value(); }

  // The events up to `last` are sent.
  void Delivered(Cursor last);
  // The events before `position` are sent, for a viewer that ends here.
  void DeliveredToHere();

  uint64_t position;
  bool synced = false;   // the viewer knows that the history is complete
  bool in_turn = false;  // is in the viewer's list of those with unsent events

 private:
  void OnCommit() override;
  void OnTrim(uint64_t kept_from) override;
  void Miss(const EventLog::Start::Gap& gap, uint64_t next);

  Owner& owner_;
  Deliveries& account_;
  Agent& agent_;
  EventLog& log_;
  Cursor counted_;  // the last event that the account contains
  std::optional<EventLog::Start::Gap> gap_;
};

}  // namespace reeve
