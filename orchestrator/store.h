// Store: what must survive a restart and is not an event: agents, messages, counters. SQLite (WAL,
// synchronous=FULL) on a worker thread of its own; the only <sqlite3.h>. Owned by main; calls are made on
// the loop.
//
// Writes are handed over in order and committed in groups: one transaction, one fsync, for everything that
// was asked for meanwhile, which succeeds or fails as one. `done` runs on the loop, in the order of asking,
// once it is on disk, or with the Error: "disk_full", after which a later write may succeed, or
// "store_failed"; both with SQLite's reason. A 2xx waits for it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
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
  std::string body;   // JSON
  std::string state;  // queued, starting, running, done, failed, cancelled
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

  // --- before the loop runs; these block
  Result<std::vector<AgentRecord>> LoadAgents();
  // Unfinished ones (queued, starting, running) in the order of their making.
  Result<std::vector<MessageRecord>> LoadMessages();
  // Adds `count` to the named counter, durably, and gives the value before.
  Result<uint64_t> Reserve(const std::string& counter, uint64_t count);

  // --- any time; on disk when `done` runs with success
  void PutAgent(AgentRecord record, Done done);
  void DeleteAgent(std::string id, Done done);  // and its messages
  void PutMessage(MessageRecord record, Done done);
  void DeleteMessage(std::string id, Done done);  // one that has ended: what happened is in the log
  void ReserveLater(std::string counter, uint64_t count, std::function<void(Result<uint64_t>)> done);

 private:
  struct State;
  explicit Store(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace reeve
