// Journal: the event log of one agent, for the agent's parts to write to. Each event gets the id of the open
// run. Only this class decides when the agent's output must wait: because the disk is full, or because the
// agent has had its share of this turn of the loop.
//
// Owned by its Agent; on the loop's thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "orchestrator/log/event.h"
#include "orchestrator/log/event_log.h"
#include "process/result.h"

namespace reeve {

struct AgentContext;

class Journal {
 public:
  // Bytes of events that an agent's output may append in one turn of the loop, so that an agent that prints
  // without end delays the others by some 0.1 ms. The rest is read in later turns, each after one of the
  // others (Agent::Commit). Each turn is a write to each viewer of the agent, so with many of them the share
  // is larger, up to twice that: writes would cost more than events.
  static constexpr uint64_t kTurnBytes = uint64_t{16} << 10;
  static constexpr uint64_t kViewerBytes = 160;

  struct Event {
    std::string_view type;
    std::string_view data;  // a JSON object on one line
  };

  // `dirty` is called when the log must be committed at the end of this turn, and at each Append.
  Journal(AgentContext& context, std::string agent, std::function<void()> dirty);

  // Opens the log on first use. Errors of EventLog::Open.
  Status Open();
  // Null: the log is not open.
  [[nodiscard]] EventLog* log() const { return log_.get(); }

  // --- only while the log is open
  Cursor Append(std::string_view type, std::string_view data);
  // An event of what the agent said, not of a change of the agent.
  void AppendContent(std::string_view type, std::string_view data);
  // On success all these events are on disk with the id of `run` (empty: the open run); otherwise none is in
  // the log.
  Result<Cursor> AppendNow(std::initializer_list<Event> events, std::string_view run = {});
  // An error: the disk does not take the events now. The commit is retried at the end of each turn.
  Status CommitNow();
  [[nodiscard]] uint64_t next_seq() const { return log_->head().seq + 1; }
  // The turn's events were committed, or refused by the disk: the agent's next share begins.
  void EndTurn() { turn_begin_ = log_->appended_position(); }
  // Later events belong to this run; empty: to no run.
  void SetRun(std::string run) { run_ = std::move(run); }

  // --- any time
  [[nodiscard]] bool dirty() const { return log_ && log_->dirty(); }
  // Too much waits for the disk, or the share of this turn is used up, so the agent's output must stay in its
  // pipes.
  [[nodiscard]] bool blocked() const { return share_used() || (log_ && !log_->writable()); }
  [[nodiscard]] bool share_used() const {
    if (!log_) return false;
    const uint64_t more = std::min(log_->readers().size() * kViewerBytes, kTurnBytes);
    return log_->appended_position() - turn_begin_ > kTurnBytes + more;
  }
  // The last committed event. If the log is not open, the last event of an earlier daemon.
  [[nodiscard]] Cursor cursor() const { return log_ ? log_->committed() : cursor_; }
  [[nodiscard]] int64_t last_event_ms() const { return last_event_ms_; }  // wall clock

  // The members that the record in the store contains for an agent without a process. Otherwise the log
  // itself has them.
  static void Record(auto& self, auto& state) {
    Cursor cursor = self.cursor();
    state("cursor", cursor);
    self.RestoreCursor(cursor);
    state("last_event_ms", self.last_event_ms_);
  }
  static void Members(auto& self, auto& state) {
    Record(self, state);
    state("run", self.run_);
    std::optional<uint64_t> last = self.last();
    state("last", last);
    self.RestoreLast(last);
  }

 private:
  void RestoreCursor(Cursor cursor) { cursor_ = cursor; }
  void RestoreCursor(Cursor) const {}  // for Record, which only reads
  // The number of the last event of this turn, which a checkpoint of it includes.
  [[nodiscard]] std::optional<uint64_t> last() const {
    return log_ ? std::optional(log_->head().seq) : last_;
  }
  void RestoreLast(std::optional<uint64_t> last) { last_ = last; }
  void RestoreLast(std::optional<uint64_t>) const {}

  AgentContext& context_;
  const std::string agent_;
  const std::function<void()> dirty_;
  std::unique_ptr<EventLog> log_;
  uint64_t turn_begin_ = 0;       // position in the log
  Cursor cursor_;                 // used until the log is open
  std::optional<uint64_t> last_;  // of the checkpoint that this was restored from, until the log is open
  std::string run_;
  int64_t last_event_ms_ = 0;
};

}  // namespace reeve
