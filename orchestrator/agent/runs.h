// Runs: the open run of one agent, the reason why it must end, how it ended, and the runs before it. A value
// of its Agent; runs that ended long ago are in the Store.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "orchestrator/agent/run.h"
#include "process/result.h"

namespace reeve {

// The reason why the open run must end. The strongest request wins; the list goes from weak to strong.
enum class EndReason {
  kNone,     // nothing requests its end
  kDaemon,   // the daemon ends, or the process must be replaced
  kMessage,  // a message of mode "interrupt"
  kPerson,   // interrupt, stop, restart, delete
  kLimit,    // a limit of the spec; Runs keeps its name and the error
};

// The event that ended a run.
struct RunEnding {
  enum class How {
    kCompleted,     // the agent completed its turn
    kCancelled,     // the agent reported that the turn was cancelled
    kFailed,        // the agent reported that the turn failed
    kExited,        // its process ended, with success if the process's life is the run
    kExitedFailed,  // its process ended otherwise, or could not continue
  };
  How how = How::kCompleted;
  Error error{};  // for the failed ones
  std::optional<int> exit_code{};
  std::optional<int> signal{};  // that ended the process
};

class Runs {
 public:
  [[nodiscard]] const std::optional<Run>& open() const { return open_; }
  [[nodiscard]] const Run* last() const { return ended_.empty() ? nullptr : &ended_.back(); }
  [[nodiscard]] const std::deque<Run>& ended() const { return ended_; }  // the last kKept, the newest last
  // The open run, or one of the last kKept runs. Null: it is unknown here.
  [[nodiscard]] const Run* Find(const std::string& run_id) const;
  [[nodiscard]] const Run* OfMessage(const std::string& message_id) const;
  // The sum of all ended runs and the open one.
  [[nodiscard]] Usage usage() const;

  // `number` is that of the event which reports its start.
  void Begin(uint64_t number, const std::string& message_id, int64_t now_ms);
  // Restores a run that an earlier daemon left open.
  void Reopen(Run run) { open_ = std::move(run); }
  // A message joined the open run.
  void Steered(const std::string& message_id) { open_->steered.push_back(message_id); }
  void SetUsage(std::string_view json) { open_->usage = json; }
  // A question of the open run has ended. The newest kMaxResolved of a run are kept.
  void Resolved(ResolvedApproval approval);

  [[nodiscard]] EndReason end_reason() const { return end_reason_; }
  // Requests the end of the open run. True: this reason is stronger than the earlier ones.
  bool RequestEnd(EndReason reason);
  // A limit of the spec has passed. The run gets `error`.
  void RequestEndByLimit(const std::string& limit, Error error);
  // Ends the open run and returns it. Only this function decides its status.
  const Run& End(RunEnding ending, int64_t now_ms);
  // Adds a run that ended while this agent was not running in a daemon.
  void AddEnded(Run run);
  // The store has all ended runs before this one, and everything about their messages.
  void StoredBefore(uint64_t number) { stored_before_ = std::max(stored_before_, number); }

  static constexpr size_t kKept = 100;  // ended runs in memory, for late requests
  static constexpr size_t kMaxResolved = 256;

  // The members that the record in the store contains.
  static void Record(auto& self, auto& state) {
    std::optional<Run> last = self.ended_.empty() ? std::nullopt : std::optional(self.ended_.back());
    state.Value("last_run", last);
    self.RestoreLast(std::move(last));
    state("usage", self.usage_);
  }
  static void Members(auto& self, auto& state) {
    state("open", self.open_);
    std::deque<Run> ended = self.NotInStore();
    state("ended", ended);
    self.TakeEnded(std::move(ended));
    state("stored_before", self.stored_before_);
    state("usage", self.usage_);
    state.Enum("end_reason", self.end_reason_, kEndReasons);
    state("limit_error", self.limit_error_);
  }

 private:
  static constexpr const char* kEndReasons[] = {"none", "daemon", "message", "person", "limit"};

  void RestoreLast(std::optional<Run> last);
  void RestoreLast(const std::optional<Run>&) const {}  // for Record, which only reads

  // The newest ended run, and those about which the store may lack something.
  [[nodiscard]] std::deque<Run> NotInStore() const;
  void TakeEnded(std::deque<Run> ended) { ended_ = std::move(ended); }
  void TakeEnded(const std::deque<Run>&) const {}  // for Members, which only reads

  std::optional<Run> open_;
  EndReason end_reason_ = EndReason::kNone;
  Error limit_error_{};
  std::deque<Run> ended_;  // the newest last
  uint64_t stored_before_ = 0;
  Usage usage_;  // sum of all ended runs
};

}  // namespace reeve
