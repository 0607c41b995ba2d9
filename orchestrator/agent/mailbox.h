// Mailbox: the messages of one agent that have not ended, each in one stage, and every rule of their order:
// which may begin, how many may wait, and when the queue pauses. A value of its Agent; the Store keeps a copy
// of each message on disk.
//
// After a run that failed or that a person cancelled the queue is paused: the messages that waited go on
// waiting. Messages that arrive or become due during the pause still run, before the others. When one of
// them completes, the pause ends.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <string>
#include <unordered_map>
#include <vector>

#include "orchestrator/agent/message.h"
#include "orchestrator/agent/run.h"
#include "process/result.h"

namespace reeve {

class Mailbox {
 public:
  enum class Stage {
    kClaimed,    // begins as soon as the store knows it
    kSteering,   // given to the agent for its present turn; the agent has not taken or refused it yet
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
  static constexpr size_t kMaxBytes = size_t{64} << 20;  // of all texts: they are in memory

  // `has_turns`: runs are turns of one process. Otherwise the process's life is the run, and messages are
  // lines of its input: the end of a run does not pause the queue.
  explicit Mailbox(bool has_turns) : has_turns_(has_turns) {}
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  // --- what is here
  // Steering, claimed and waiting ones: the API's queue_depth.
  [[nodiscard]] size_t depth() const;
  [[nodiscard]] size_t count(Stage stage) const { return counts_[static_cast<size_t>(stage)]; }
  [[nodiscard]] size_t bytes() const { return bytes_; }  // of all texts
  // Null: no message of that id is here.
  [[nodiscard]] const Entry* Find(const std::string& id) const;
  [[nodiscard]] bool Has(const std::string& id, Stage stage) const;
  // The one that is claimed, or null.
  [[nodiscard]] const Message* claimed() const;
  // A due one is on its way to disk.
  [[nodiscard]] bool ArrivingNow() const;
  // In the order of the API's queue, without arriving ones.
  [[nodiscard]] std::vector<const Entry*> All() const;
  // When the next scheduled one is due, wall clock; 0: none is scheduled.
  [[nodiscard]] int64_t next_due_ms() const;

  // --- stages
  // Takes in a message that is not on disk yet. Error "queue_full" names the limit.
  Result<const Message*> Accept(Message message);
  // One that the store has, of an earlier daemon: waiting or scheduled, whatever the limits.
  void Restore(Message message);
  // Into the queue, from any stage. Interrupting and steering messages go before the others; so do, during a
  // pause, those that it does not hold.
  void Queue(const std::string& id);
  // An arriving one that is not due yet.
  void Schedule(const std::string& id);
  // The first scheduled one that is due by now is arriving again. Null: none is due.
  const Message* TakeDue(int64_t now_ms);
  // Whether a message may begin now, and that message, claimed. `taken_seq` is the last event's number.
  [[nodiscard]] bool HasNext() const;
  const Message* Claim(uint64_t taken_seq);
  // An interrupting message arrived after the claimed one, and goes first.
  [[nodiscard]] bool Overtaken() const;
  // The claimed one could not begin: it is the next of its precedence again.
  void GiveBack();
  // Goes into the present turn.
  void Steer(const std::string& id);
  // It has ended, or has begun: it leaves the mailbox. False: it is not here.
  bool Remove(const std::string& id);

  // --- the pause. These are all the reasons for which it begins or ends.
  [[nodiscard]] bool paused() const { return paused_; }
  // A person, or the policy of another program, wants the agent to go on.
  void OnStart() { paused_ = false; }
  // A person stops the agent. Without a run and without messages there is nothing to hold.
  void OnStop(bool in_run);
  // A person ends the present turn. The pause begins now, not with the end of the turn: a message that
  // arrives in between is meant to be done instead.
  void OnInterrupt();
  // `stopped`: a person's stop ended the run; the queue stays as the stop left it. A run that the daemon's
  // own end cut off changes nothing.
  void OnRunEnded(const Run& run, bool stopped);
  // A line of input was delivered.
  void OnLineDelivered() { paused_ = false; }

  // What the record in the store keeps of it: the messages have records of their own.
  static void Record(auto& self, auto& state) {
    state("paused", self.paused_);
    state("pauses", self.pauses_);
  }
  // A settled mailbox has no arriving and no claimed messages.
  static void Members(auto& self, auto& state) {
    Record(self, state);
    state("entries", self.entries_);
    self.Recount();
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
  // Moves an entry before `before`, into a stage.
  void Move(Entries::iterator entry, Entries::const_iterator before, Stage stage);
  // The first entry of a stage, or of a later one where there is none.
  [[nodiscard]] Entries::const_iterator BeginOf(Stage stage) const;
  void Pause();
  void Recount();
  void Recount() const {}  // Members: writing changes nothing

  const bool has_turns_;
  Entries entries_;  // by stage; scheduled ones by time
  std::unordered_map<std::string, Entries::iterator> by_id_;
  std::array<size_t, std::size(kStages)> counts_{};
  size_t bytes_ = 0;
  bool paused_ = false;
  uint64_t pauses_ = 0;  // the number of the present pause, or of the last one
};

}  // namespace reeve
