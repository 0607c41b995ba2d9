// Room store/: everything on disk that is not an event: the database, the data folder, private folders.
//
// Store: what must survive a restart and is not an event: agents, messages, runs, answers to requests that
// may be made again, counters. SQLite (WAL, synchronous=FULL) on a worker thread of its own; the only
// <sqlite3.h>. Owned by the Daemon; calls are made on the loop.
//
// Writes are handed over in order and committed in groups: one transaction, one fsync, for everything that
// was asked for meanwhile, which succeeds or fails as one. `done` runs on the loop, in the order of asking,
// once it is on disk, or with the Error: "disk_full", after which a later write may succeed, or
// "store_failed"; both with SQLite's reason. A 2xx waits for it.
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
  std::string state;     // JSON: what Agent keeps of itself
  bool deleted = false;  // its log stays readable and its id taken, until purged
};

struct MessageRecord {
  std::string id;
  std::string agent;
  std::string body;      // JSON
  std::string state;     // queued, running, done, failed, cancelled
  std::string run = {};  // that it began, or went into; empty: none yet
  int64_t made = 0;      // given by the store: later ones have greater numbers
};

// A run that has ended.
struct RunRecord {
  std::string agent;
  uint64_t number = 0;  // of its run.started in the agent's log: later runs have greater ones
  std::string body;     // JSON, Run::ToJson
};

// What a request with an Idempotency-Key was answered.
struct AnswerRecord {
  std::string key;      // a digest of who asked, what, and with which key
  std::string request;  // a digest of its body
  std::string answer;   // JSON
  int64_t made_ms = 0;  // wall clock
};

class Store {
 public:
  using Done = std::function<void(Status)>;

  // Opens or makes `path` (0600), and upgrades an older schema. Blocks: call before the loop runs. Errors:
  // "store_failed" with SQLite's reason; a file that is not ours or newer than we know is one.
  static Result<std::unique_ptr<Store>> Open(Loop& loop, const std::string& path);
  // Commits what was handed over, then ends the worker. `done`s that have not run are dropped.
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // Whether a file at `path` could be opened by this binary. Only reads. Error as of Open.
  static Status Check(const std::string& path);
  // Waits until all that was handed over is committed and runs its `done`s, which may hand over more, until
  // nothing is left. Blocks the loop. Error "busy" when that takes longer than `timeout_ms`.
  Status Settle(int64_t timeout_ms);

  // --- before the loop runs; these block
  Result<std::vector<AgentRecord>> LoadAgents();
  // Unfinished ones (queued, running) in the order of their making.
  Result<std::vector<MessageRecord>> LoadMessages();
  // Adds `count` to the named counter, durably, and gives the value before.
  Result<uint64_t> Reserve(const std::string& counter, uint64_t count);

  // --- any time; on disk when `done` runs with success
  void PutAgent(AgentRecord record, Done done);
  // Both or neither: an agent and its first message.
  void PutAgent(AgentRecord record, MessageRecord first, Done done);
  void DeleteAgent(std::string id, Done done);  // with its messages and runs
  // Nothing, or the message of that id that is there already, and stays as it is.
  void AddMessage(MessageRecord record, std::function<void(Result<std::optional<MessageRecord>>)> done);
  void PutMessage(MessageRecord record, Done done);  // also one that has ended, as below
  // Ended: its state, and the run that it was in. The newest kMaxEnded of an agent are kept.
  void EndMessage(std::string id, std::string state, std::string run, Done done);
  void PutRun(RunRecord record, Done done);  // the newest kMaxEnded of an agent are kept
  void AddRun(RunRecord record, Done done);  // unless it is there
  // Those older than kAnswerMs go; likewise the oldest beyond kMaxAnswers.
  void PutAnswer(AnswerRecord record, Done done);
  void ReserveLater(std::string counter, uint64_t count, std::function<void(Result<uint64_t>)> done);

  // --- reading, off the loop; sees all that was handed over before
  // Ended runs with numbers below `before`, the newest first.
  void ListRuns(std::string agent, uint64_t before, size_t limit,
                std::function<void(Result<std::vector<RunRecord>>)> done);
  // Of those that are kept of an agent's messages the first `limit` that were made after `after`, in the
  // order of their making.
  void ListMessages(std::string agent, int64_t after, size_t limit,
                    std::function<void(Result<std::vector<MessageRecord>>)> done);
  void FindMessage(std::string id, std::function<void(Result<std::optional<MessageRecord>>)> done);
  void FindAnswer(std::string key, std::function<void(Result<std::optional<AnswerRecord>>)> done);

  static constexpr size_t kMaxEnded = 1'000;
  static constexpr int64_t kAnswerMs = 86'400'000;  // a day (control/api/API.md)
  static constexpr size_t kMaxAnswers = 1'000'000;

 private:
  struct State;
  explicit Store(std::unique_ptr<State> state);
  // Runs `read` on the worker, behind what was handed over before, and gives `done` what it found.
  template <typename Found, typename Read>
  void Ask(Read read, std::function<void(Result<Found>)> done);
  std::unique_ptr<State> state_;
};

}  // namespace reeve
