// Inbox: the messages that wait for one agent, in order. A value of its Agent; what is on disk is the
// Store's.
//
// After a run that failed or that a person cancelled the inbox is paused: what waited goes on waiting, only
// messages that arrive later still run, first; when one of those completes the rest follow.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <string>

namespace reeve {

struct Message {
  enum class Mode { kFollowUp, kSteer, kInterrupt };
  std::string id;
  std::string text;
  Mode mode = Mode::kFollowUp;
  bool through_pause = false;  // it arrived while the inbox was paused
  std::string model = {};      // what its turn and those after it shall use; empty: as before

  // The record's body, and back. Nothing for a body that is not one.
  [[nodiscard]] std::string ToJson() const;
  static std::optional<Message> FromJson(const std::string& id, const std::string& body);
};

const char* NameOf(Message::Mode mode);

class Inbox {
 public:
  // control/API.md
  static constexpr size_t kMaxWaiting = 100;
  static constexpr size_t kMaxSteers = 5;

  [[nodiscard]] bool paused() const { return paused_; }
  [[nodiscard]] size_t size() const { return waiting_.size(); }
  [[nodiscard]] bool Has(const std::string& id) const;
  [[nodiscard]] size_t steers() const;

  // In order; steer and interrupt go before the follow-ups, as does what goes through a pause.
  void Add(Message message);
  // The next one that may run now; it leaves the inbox.
  std::optional<Message> Take();
  [[nodiscard]] bool HasNext() const;
  [[nodiscard]] bool HasInterrupt() const;
  // A message that was taken could not be begun: back to where it was, the first of its precedence.
  void PutBack(Message message);

  void Pause();
  void Resume() { paused_ = false; }

 private:
  std::deque<Message> waiting_;
  bool paused_ = false;
};

}  // namespace reeve
