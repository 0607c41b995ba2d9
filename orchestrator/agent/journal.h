// Journal: the event log of one agent, as its parts write it: each event gets the id of the open run. The one
// place that says when the agent's output must wait because the disk does not take it.
//
// Owned by its Agent; on the loop's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>

#include "orchestrator/log/event.h"
#include "orchestrator/log/event_log.h"
#include "process/result.h"

namespace reeve {

struct AgentContext;

class Journal {
 public:
  struct Event {
    std::string_view type;
    std::string_view data;  // a JSON object on one line
  };

  // `dirty`: the log is to be committed at the end of this turn.
  Journal(AgentContext& context, std::string agent, std::function<void()> dirty);

  // Opens the log on first use. Errors of EventLog::Open.
  Status Open();
  // Null: it is not open.
  [[nodiscard]] EventLog* log() const { return log_.get(); }

  // --- only while it is open
  Cursor Append(std::string_view type, std::string_view data);
  // All of these are on disk, with the id of `run` (empty: the open one), or none is in the log.
  Result<Cursor> AppendNow(std::initializer_list<Event> events, std::string_view run = {});
  // Error: the disk does not take it now. It is tried again at the end of each turn.
  Status CommitNow();
  [[nodiscard]] uint64_t next_seq() const { return log_->head().seq + 1; }
  // Events from here on belong to this run; empty: to none.
  void SetRun(std::string run) { run_ = std::move(run); }

  // --- any time
  [[nodiscard]] bool dirty() const { return log_ && log_->dirty(); }
  // Too much waits for the disk: the agent's output is to stay in its pipes.
  [[nodiscard]] bool blocked() const { return log_ && !log_->writable(); }
  // The last committed event; of a log that is not open, its last one of an earlier daemon.
  [[nodiscard]] Cursor cursor() const { return log_ ? log_->committed() : cursor_; }
  [[nodiscard]] int64_t last_event_ms() const { return last_event_ms_; }  // wall clock

  // What the record in the store keeps of one without a process; otherwise the log itself tells.
  static void Record(auto& self, auto& state) {
    Cursor cursor = self.cursor();
    state("cursor", cursor);
    self.RestoreCursor(cursor);
    state("last_event_ms", self.last_event_ms_);
  }
  static void Members(auto& self, auto& state) {
    Record(self, state);
    state("run", self.run_);
  }

 private:
  void RestoreCursor(Cursor cursor) { cursor_ = cursor; }
  void RestoreCursor(Cursor) const {}  // Record: writing changes nothing

  AgentContext& context_;
  const std::string agent_;
  const std::function<void()> dirty_;
  std::unique_ptr<EventLog> log_;
  Cursor cursor_;  // until it is open
  std::string run_;
  int64_t last_event_ms_ = 0;
};

}  // namespace reeve
