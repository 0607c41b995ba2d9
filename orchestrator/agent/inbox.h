// Inbox: the messages that wait for one agent: those that are due, in order, and those whose time is to come.
// A value of its Agent; what is on disk is the Store's.
//
// After a run that failed or that a person cancelled the inbox is paused: what waited goes on waiting, only
// messages that arrive or fall due later still run, first; when one of those completes the rest follow.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace reeve {

struct Message {
  enum class Mode { kFollowUp, kSteer, kInterrupt };
  std::string id;
  std::string text;
  Mode mode = Mode::kFollowUp;
  std::string model = {};      // what its turn and those after it shall use; empty: as before
  int64_t run_at_ms = 0;       // wall clock; not before then. 0: it is due
  int64_t queued_ms = 0;       // wall clock: when it came, or fell due
  uint64_t through_pause = 0;  // it arrived in that pause, and goes through it (Inbox::pauses)
  uint64_t taken_seq = 0;      // on its way to the process: the log tells of it after this event, if at all

  // The record's body, and back. Nothing for a body that is not one.
  [[nodiscard]] std::string ToJson() const;
  static std::optional<Message> FromJson(const std::string& id, const std::string& body);
  // As the API shows it (control/api/API.md).
  [[nodiscard]] std::string Describe(std::string_view state, const std::string& run) const;
};

const char* NameOf(Message::Mode mode);
std::optional<Message::Mode> ParseMode(std::string_view name);

class Inbox {
 public:
  // control/api/API.md
  static constexpr size_t kMaxWaiting = 100;
  static constexpr size_t kMaxSteers = 5;
  static constexpr size_t kMaxScheduled = 10'000;
  static constexpr size_t kMaxBytes = size_t{64} << 20;  // of all of them: they are in memory

  [[nodiscard]] bool paused() const { return paused_; }
  // Counts the pauses: the present one's number, or the last one's.
  [[nodiscard]] uint64_t pauses() const { return pauses_; }
  [[nodiscard]] size_t size() const { return waiting_.size(); }  // of those that are due
  [[nodiscard]] size_t scheduled() const { return scheduled_.size(); }
  [[nodiscard]] size_t bytes() const { return bytes_; }  // of their texts, the scheduled ones' too
  [[nodiscard]] bool Has(const std::string& id) const;
  [[nodiscard]] size_t steers() const;

  // Among those that are due, in order; steer and interrupt go before the follow-ups, as does what goes
  // through the pause.
  void Add(Message message);
  // Until its run_at_ms.
  void Schedule(Message message);
  // When the next scheduled one is due; 0: there is none.
  [[nodiscard]] int64_t next_due_ms() const { return scheduled_.empty() ? 0 : scheduled_.begin()->first; }
  // The first that is due by now; it leaves the inbox.
  std::optional<Message> TakeDue(int64_t now_ms);

  // The next one that may run now; it leaves the inbox.
  std::optional<Message> Take();
  [[nodiscard]] bool HasNext() const;
  [[nodiscard]] bool HasInterrupt() const;
  // A message that was taken could not be begun: back to where it was, the first of its precedence.
  void PutBack(Message message);
  // Somebody does not want it any more. False: it is not here.
  bool Remove(const std::string& id);
  // All of them, the due ones first.
  [[nodiscard]] std::vector<const Message*> All() const;

  void Pause();
  void Resume() { paused_ = false; }
  // What a restarted daemon knows of it.
  void RestorePause(bool paused, uint64_t pauses) { paused_ = paused, pauses_ = pauses; }

  // For a handover: those that are due, in order, and back.
  [[nodiscard]] const std::deque<Message>& waiting() const { return waiting_; }
  void Restore(std::deque<Message> waiting);

 private:
  Message Out(Message& message);
  [[nodiscard]] bool GoesThrough(const Message& message) const {
    return paused_ && message.through_pause == pauses_;
  }
  [[nodiscard]] bool HasPrecedence(const Message& message) const {
    return GoesThrough(message) || message.mode != Message::Mode::kFollowUp;
  }

  std::deque<Message> waiting_;
  std::multimap<int64_t, Message> scheduled_;  // by run_at_ms; of one time in the order of their coming
  size_t bytes_ = 0;
  bool paused_ = false;
  uint64_t pauses_ = 0;
};

}  // namespace reeve
