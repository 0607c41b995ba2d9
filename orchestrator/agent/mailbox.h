// Mailbox: the messages of one agent that have not ended, each in one stage, and all rules of their order:
// which may begin, how many may wait, and when the queue pauses. A value of its Agent; the Store keeps a copy
// of each message on disk.
//
// After a run that failed or that a person cancelled, the queue is paused, and its messages keep waiting.
// Messages that arrive or become due during the pause still run, before the others. When one of them
// completes, the pause ends.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "orchestrator/agent/message.h"
#include "orchestrator/agent/run.h"
#include "process/result.h"

namespace reeve {

class Mailbox {
 public:
  enum class Stage {
    kClaimed,    // begins as soon as the claim is in the store
    kSteering,   // sent to the agent for its current turn, and neither taken nor refused yet
    kWaiting,    // due
    kScheduled,  // not due before its run_at_ms
    kArriving,   // not on disk yet
  };
  static constexpr const char* kStages[] = {"claimed", "steering", "waiting", "scheduled", "arriving"};
  struct Entry {
    Message message;
    Stage stage = Stage::kArriving;
    static void Members(auto& self, auto& state) {
      state("message", self.message);
      state.Enum("stage", self.stage, kStages);
    }
  };

  // control/api/API.md
  static constexpr size_t kMaxWaiting = 100;
  static constexpr size_t kMaxSteers = 5;
  static constexpr size_t kMaxScheduled = 10'000;
  static constexpr size_t kMaxBytes = size_t{64} << 20;  // limit of all texts, which are in memory

  // `has_turns`: runs are turns of one process. Otherwise each process is one run and messages are lines of
  // its input; then the end of a run does not pause the queue.
  explicit Mailbox(bool has_turns) : has_turns_(has_turns) {}
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  // --- contents
  // The number of steering, claimed and waiting messages: the API's queue_depth.
  [[nodiscard]] size_t depth() const;
  [[nodiscard]] size_t count(Stage stage) const { return counts_[static_cast<size_t>(stage)]; }
  [[nodiscard]] size_t bytes() const { return bytes_; }  // size of all texts
  // Null: there is no message with that id.
  [[nodiscard]] const Entry* Find(const std::string& id) const;
  [[nodiscard]] bool Has(const std::string& id, Stage stage) const;
  // The claimed message, or null.
  [[nodiscard]] const Message* claimed() const;
  // A due message is being written to disk.
  [[nodiscard]] bool ArrivingNow() const;
  [[nodiscard]] std::vector<std::string> Arriving() const;  // their ids
  // In the order of the API's queue, without arriving messages.
  [[nodiscard]] std::vector<const Entry*> All() const;
  // The wall-clock time when the next scheduled message is due; 0: none is scheduled.
  [[nodiscard]] int64_t next_due_ms() const;

  // --- stages
  // Accepts a message that is not on disk yet. Error "queue_full" names the limit.
  Result<const Message*> Accept(Message message);
  // Restores a message of an earlier daemon from the store, as waiting or scheduled. The limits do not apply.
  void Restore(Message message);
  // Into the queue, from any stage. Interrupting and steering messages go before the others; so do, during a
  // pause, those that it does not hold.
  void Queue(const std::string& id);
  // Schedules an arriving message that is not due yet.
  void Schedule(const std::string& id);
  // Moves the first scheduled message that is due back to arriving. Null: none is due.
  const Message* TakeDue(int64_t now_ms);
  // Claims the message that may begin now, if there is one. `taken_seq` is the number of the last event.
  [[nodiscard]] bool HasNext() const;
  // A message may begin that a process can be started for: one that has started none yet.
  [[nodiscard]] bool WantsProcess() const;
  // A process is being started. The message that may begin first is the one that it is started for.
  void OnProcessStart();
  // The waiting messages for which a process was started that did not take them.
  [[nodiscard]] std::vector<std::string> NotTaken() const;
  const Message* Claim(uint64_t taken_seq);
  // An interrupting message arrived after the claimed one and goes first.
  [[nodiscard]] bool Overtaken() const;
  // The claimed message could not begin. It becomes the next one of its precedence again.
  void GiveBack();
  // Sends the message into the current turn.
  void Steer(const std::string& id);
  // Removes a message that has ended or has begun. False: there is no such message.
  bool Remove(const std::string& id);

  // --- the pause. These functions are all the reasons for which it begins or ends.
  [[nodiscard]] bool paused() const { return paused_; }
  // A person or another program wants the agent to continue.
  void OnStart() { paused_ = false; }
  // A person stops the agent. Without a run and without messages there is nothing to pause.
  void OnStop(bool in_run);
  // A person ends the current turn. The pause begins now and not at the end of the turn, because a message
  // that arrives in between is meant to run instead.
  void OnInterrupt();
  // `stopped`: a person's stop ended the run, and the queue stays as the stop left it. A run that ended
  // because the daemon ended changes nothing.
  void OnRunEnded(const Run& run, bool stopped);
  // A line of input was delivered.
  void OnLineDelivered() { paused_ = false; }

  // The members that the record in the store contains. The messages have records of their own.
  static void Record(auto& self, auto& state) {
    state("paused", self.paused_);
    state("pauses", self.pauses_);
  }
  // Without the scheduled messages, of which there may be 10,000: the store has them. The same holds for
  // waiting ones once they are more than kMaxWaiting.
  static void Members(auto& self, auto& state) {
    Record(self, state);
    Entries entries = self.NotInStore();
    state("entries", entries);
    self.TakeEntries(std::move(entries));
  }

 private:
  using Entries = std::list<Entry>;

  [[nodiscard]] bool IsHeld(const Message& message) const {
    return paused_ && message.through_pause != pauses_;
  }
  [[nodiscard]] bool HasPrecedence(const Message& message) const {
    return message.mode != Message::Mode::kFollowUp || (paused_ && !IsHeld(message));
  }
  [[nodiscard]] Entries::iterator At(const std::string& id);
  [[nodiscard]] Entries::const_iterator Next() const;
  void Enqueue(Entries::iterator entry);
  void EnterSchedule(Entries::iterator entry);
  void Insert(Message message);
  // Moves an entry before `before`, and into a stage.
  void Move(Entries::iterator entry, Entries::const_iterator before, Stage stage);
  // The first entry of a stage; if there is none, that of the next stage which has one.
  [[nodiscard]] Entries::const_iterator BeginOf(Stage stage) const;
  void Pause();
  [[nodiscard]] Entries NotInStore() const;
  void TakeEntries(Entries entries);
  void TakeEntries(const Entries&) const {}  // for Members, which only read
  void Recount();

  const bool has_turns_;
  Entries entries_;  // by stage; scheduled ones by time
  std::unordered_map<std::string, Entries::iterator> by_id_;
  std::array<size_t, std::size(kStages)> counts_{};
  size_t bytes_ = 0;
  bool paused_ = false;
  uint64_t pauses_ = 0;  // the number of the current or last pause
};

}  // namespace reeve
