// Runs: the open run of one agent, why it shall end, how it ended, and the runs before it. A value of its
// Agent; long-ended runs are in the Store.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "orchestrator/agent/run.h"
#include "process/result.h"

namespace reeve {

// Why the open run shall end. The strongest request wins; they are in the order of their strength.
enum class EndReason {
  kNone,     // nobody wants it to end
  kDaemon,   // the daemon ends, or its process has to be replaced
  kMessage,  // a message of mode "interrupt"
  kPerson,   // interrupt, stop, restart, delete
  kLimit,    // a limit of the spec; Runs keeps which, and the error
};

// What ended a run.
struct RunEnding {
  enum class How {
    kCompleted,     // the agent completed its turn
    kCancelled,     // the agent says that the turn was cancelled
    kFailed,        // the agent says that the turn failed
    kExited,        // its process ended, with success where the process's life is the run
    kExitedFailed,  // its process ended otherwise, or could not go on
  };
  How how = How::kCompleted;
  Error error{};  // of the failed ones
  std::optional<int> exit_code{};
};

class Runs {
 public:
  [[nodiscard]] const std::optional<Run>& open() const { return open_; }
  [[nodiscard]] const Run* last() const { return ended_.empty() ? nullptr : &ended_.back(); }
  // The open one, or one of the last kKept. Null: unknown here.
  [[nodiscard]] const Run* Find(const std::string& run_id) const;
  [[nodiscard]] const Run* OfMessage(const std::string& message_id) const;
  // Of all ended runs and the open one.
  [[nodiscard]] Usage usage() const;

  // `number`: of the event that tells of its start.
  void Begin(uint64_t number, const std::string& message_id, int64_t now_ms);
  // A run that an earlier daemon left open.
  void Reopen(Run run) { open_ = std::move(run); }
  // A message went into the open run.
  void Steered(const std::string& message_id) { open_->steered.push_back(message_id); }
  void SetUsage(std::string_view json) { open_->usage = json; }

  [[nodiscard]] EndReason end_reason() const { return end_reason_; }
  // The open run shall end. True: this reason is stronger than those before it.
  bool RequestEnd(EndReason reason);
  // A limit of the spec has passed. `error` is the run's.
  void RequestEndByLimit(const std::string& limit, Error error);
  // Ends the open run, and gives it. Which status it gets is decided here alone.
  const Run& End(RunEnding ending, int64_t now_ms);
  // A run that ended while this agent was not watched.
  void AddEnded(Run run);

  // --- partial text: what the agent has said of its present message
  // An assistant.message is complete; what follows it is another's.
  void MessageComplete(uint64_t seq) { partial_after_ = seq; }
  // Its deltas come after this event.
  [[nodiscard]] uint64_t partial_after() const { return partial_after_; }

  static constexpr size_t kKept = 100;  // ended runs in memory, for requests that ask late

  // What the record in the store keeps.
  static void Record(auto& self, auto& state) {
    std::optional<Run> last = self.ended_.empty() ? std::nullopt : std::optional(self.ended_.back());
    state.Value("last_run", last);
    self.RestoreLast(std::move(last));
    state("usage", self.usage_);
  }
  static void Members(auto& self, auto& state) {
    state("open", self.open_);
    state("ended", self.ended_);
    state("usage", self.usage_);
    state.Enum("end_reason", self.end_reason_, kEndReasons);
    state("limit_error", self.limit_error_);
    state("partial_after", self.partial_after_);
  }

 private:
  static constexpr const char* kEndReasons[] = {"none", "daemon", "message", "person", "limit"};

  void RestoreLast(std::optional<Run> last);
  void RestoreLast(const std::optional<Run>&) const {}  // Record: writing changes nothing

  std::optional<Run> open_;
  EndReason end_reason_ = EndReason::kNone;
  Error limit_error_{};
  std::deque<Run> ended_;  // the newest last
  Usage usage_;            // of all ended ones
  uint64_t partial_after_ = 0;
};

}  // namespace reeve
