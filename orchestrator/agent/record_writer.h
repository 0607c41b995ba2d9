// RecordWriter: writes the record of one agent to the store. The agent's record is written as
// a whole, one write at a time: everything requested during a write goes into the next one. So a
// record on disk is always one that the agent once had, and of two requests the later one never loses.
//
// Owned by its Agent; on the loop's thread. Destroying it drops what waits for a full disk to have room. The
// callbacks of a write that was handed to the store still run; those of the write after it get the Error
// "agent_deleted" at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "orchestrator/store/store.h"
#include "process/result.h"
#include "process/timer.h"

namespace reeve {

class Loop;

class RecordWriter {
 public:
  using Done = std::function<void(Status)>;
  // A record, and whether it says that a process lives.
  struct Content {
    AgentRecord record;
    bool alive = false;
  };
  struct Handlers {
    std::function<Content()> content;    // the agent as it is now
    std::function<std::string()> state;  // the record's `state` alone
    std::function<void()> changed;       // a write has ended, or may be tried again
  };

  RecordWriter(Loop& loop, Store& store, Handlers handlers);
  ~RecordWriter();
  RecordWriter(const RecordWriter&) = delete;
  RecordWriter& operator=(const RecordWriter&) = delete;

  // `done` once the agent as it is now is on disk, or with the store's Error.
  void Save(Done done);
  // The first record of a new agent, with the message that is made with it: both or neither.
  void SaveFirst(std::optional<MessageRecord> first, Done done);
  // SaveFirst will follow: until then every other save waits.
  void AwaitFirst() {
    writing_ = true;
    stored_ = false;
  }
  // The agent has a record on disk.
  [[nodiscard]] bool stored() const { return stored_; }
  // Saves if the state differs from what the store has. Not while the disk is full: `changed` will tell.
  void SaveIfChanged();
  // Sets the stored state without a write, for an agent that was restored from its checkpoint.
  void SetStored(std::string state, bool alive);

  // A write of something other than the record. It is repeated until it succeeds; then `written` is called.
  void WriteEventually(std::function<void(Store::Done)> write, std::function<void()> written = {});
  // Such a write was refused, and has not succeeded since.
  [[nodiscard]] bool refused() const { return refused_ != 0; }
  // The disk refused a write: nothing new may begin until a retry is possible.
  void RetryLater();
  [[nodiscard]] bool waits_for_room() const { return retry_.active(); }

  // The newest record on disk says that a process lives. After a crash the next daemon looks for that
  // process.
  [[nodiscard]] bool alive_on_disk() const { return !writing_ && alive_on_disk_; }
  [[nodiscard]] const std::string& stored_state() const { return stored_state_; }
  // Nothing is being written or waits to be.
  [[nodiscard]] bool settled() const { return !writing_ && next_.empty() && eventual_ == 0; }

 private:
  void Write(std::optional<MessageRecord> first, std::vector<Done> dones);
  void OnWritten(const Status& status, bool alive);
  void WriteNext();
  struct Eventual {
    std::function<void(Store::Done)> write;
    std::function<void()> written;
    bool refused = false;
  };
  void Try(const std::shared_ptr<Eventual>& eventual);

  Store& store_;
  const Handlers handlers_;
  std::string stored_state_;  // on disk, or being written; empty: unknown
  bool alive_on_disk_ = false;
  bool stored_ = true;
  bool writing_ = false;
  size_t eventual_ = 0;                              // writes of WriteEventually that have not succeeded yet
  size_t refused_ = 0;                               // those of them that were refused
  std::vector<Done> next_;                           // want a write after the present one
  std::deque<std::shared_ptr<Eventual>> unwritten_;  // refused, to be repeated
  Timer retry_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace reeve
