// Room store/: everything on disk that is not an event: the database, the data folder, private folders.
//
// Store: the data that must survive a restart and is not an event: agents, messages, runs, answers to
// requests that may be repeated, counters. It uses SQLite (WAL, synchronous=FULL) on a worker thread of its
// own, and has the only <sqlite3.h>. Owned by the Daemon; call it on the loop.
//
// Writes are queued in order and committed in groups: one transaction and one fsync for all writes that were
// requested meanwhile, which succeed or fail together. `done` runs on the loop, in the order of the requests,
// once the write is on disk, or with an Error that carries SQLite's reason: "disk_full", after which a later
// write may succeed, or "store_failed". A 2xx waits for it.
//
// The end of an agent can be written to a full disk too: room is kept for it (DiskReserve). A spec that was
// replaced or deleted, which may hold secrets, is on no page of the files any more when `done` runs.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "process/result.h"

namespace reeve {

class Loop;

struct AgentRecord {
  std::string id;
  std::string spec;      // JSON, AgentSpec::ToJson with secrets
  std::string state;     // JSON: the state that Agent saves of itself
  bool deleted = false;  // its log stays readable and its id taken until it is purged
};

struct MessageRecord {
  std::string id;
  std::string agent;
  std::string body;      // JSON
  std::string state;     // queued, running, done, failed, cancelled
  std::string run = {};  // the run that it began or joined; empty: none yet
  int64_t made = 0;      // set by the store: later messages have greater numbers
};

// A run that has ended.
struct RunRecord {
  std::string agent;
  uint64_t number = 0;  // of its run.started in the agent's log: later runs have greater numbers
  std::string body;     // JSON, Run::ToJson
};

// The answer to a request with an Idempotency-Key.
struct AnswerRecord {
  std::string key;      // a digest of the caller, the operation and the key
  std::string request;  // a digest of its body
  std::string answer;   // JSON
  int64_t made_ms = 0;  // wall clock
  uint64_t token = 0;   // the caller's
};

class Store {
 public:
  using Done = std::function<void(Status)>;

  // Opens or makes `path` (0600), and upgrades an older schema. Blocks: call it before the loop runs. Error
  // "store_failed" with SQLite's reason, also for a file that is not ours or newer than we know.
  static Result<std::unique_ptr<Store>> Open(Loop& loop, const std::string& path);
  // Commits the queued writes, then ends the worker. Callbacks that have not run are dropped.
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // Whether this binary could open the file at `path`. Only reads. Errors as in Open.
  static Status Check(const std::string& path);
  // Waits until all queued writes are committed and runs their callbacks, which may queue more writes, until
  // nothing is left. Blocks the loop. Error "busy" when that takes longer than `timeout_ms`.
  Status Settle(int64_t timeout_ms);

  // --- before the loop runs; these block
  Result<std::vector<AgentRecord>> LoadAgents();
  // The unfinished messages (queued, running) in the order in which they were made.
  Result<std::vector<MessageRecord>> LoadMessages();
  // Adds `count` to the named counter, durably, and returns its value before that.
  Result<uint64_t> Reserve(const std::string& counter, uint64_t count);

  // --- at any time; the write is on disk when `done` reports success
  // kReserve: the write may use the room that is kept on the disk.
  enum class Room { kFree, kReserve };
  void PutAgent(AgentRecord record, Done done, Room room = Room::kFree);
  // Writes both an agent and its first message, or neither.
  void PutAgent(AgentRecord record, MessageRecord first, Done done);
  void DeleteAgent(std::string id, Done done);  // also its messages and runs; may use the reserve
  // Adds messages, all or none. If there is already one with the id of the first, that one is returned and
  // nothing changes; otherwise returns nothing.
  void AddMessages(std::vector<MessageRecord> records,
                   std::function<void(Result<std::optional<MessageRecord>>)> done);
  void AddMessage(MessageRecord record, std::function<void(Result<std::optional<MessageRecord>>)> done);
  void PutMessage(MessageRecord record, Done done);  // also for one that has ended, as below
  // Records the end of a message: its state, and the run that it was in. The newest kMaxEnded of an agent are
  // kept.
  void EndMessage(std::string id, std::string state, std::string run, Done done);
  // The same for a message that failed without a run, with the reason.
  void FailMessage(std::string id, std::string reason, Done done);
  void PutRun(RunRecord record, Done done);  // the newest kMaxEnded of an agent are kept
  void AddRun(RunRecord record, Done done);  // unless it is there already
  // Deletes answers older than kAnswerMs, the oldest beyond kMaxAnswers, and the oldest of a token beyond
  // kMaxTokenAnswers. It does so after some writes, or some bytes, not each time.
  void PutAnswer(AnswerRecord record, Done done);
  void ReserveLater(std::string counter, uint64_t count, std::function<void(Result<uint64_t>)> done);

  // --- reading, off the loop; sees every write that was queued before
  // Lists ended runs with numbers below `before`, the newest first.
  void ListRuns(std::string agent, uint64_t before, size_t limit,
                std::function<void(Result<std::vector<RunRecord>>)> done);
  // The newest ended run of an agent whose body contains `text`. Looks at all of them.
  void FindRun(std::string agent, std::string text,
               std::function<void(Result<std::optional<RunRecord>>)> done);
  // Lists the kept messages of an agent that were made after `after`, in the order in which they were made;
  // the first `limit` of them.
  void ListMessages(std::string agent, int64_t after, size_t limit,
                    std::function<void(Result<std::vector<MessageRecord>>)> done);
  void FindMessage(std::string id, std::function<void(Result<std::optional<MessageRecord>>)> done);
  void FindAnswer(std::string key, std::function<void(Result<std::optional<AnswerRecord>>)> done);

  static constexpr size_t kMaxEnded = 1'000;
  static constexpr int64_t kAnswerMs = 86'400'000;  // a day (control/api/API.md)
  static constexpr size_t kMaxAnswers = 1'000'000;
  static constexpr size_t kMaxTokenAnswers = size_t{16} << 20;  // bytes

 private:
  struct State;
  explicit Store(std::unique_ptr<State> state);
  // Runs `read` on the worker, after the writes that were queued before, and passes its result to `done`.
  template <typename Found, typename Read>
  void Ask(Read read, std::function<void(Result<Found>)> done);
  std::unique_ptr<State> state_;
};

}  // namespace reeve
