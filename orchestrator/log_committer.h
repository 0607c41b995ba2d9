// LogCommitter: writes the checkpoints and event logs of a town's agents. It commits the changed agents at
// the end of each turn of the loop, retries failed commits, syncs and trims logs, and releases the memory of
// quiet logs.
//
// Owned by the Town; on the loop's thread. The map of agents outlives it; an agent that leaves the map is
// forgotten first (Forget).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "process/fd.h"
#include "process/lifetime.h"
#include "process/result.h"
#include "process/timer.h"

namespace reeve {

class Agent;
class Clock;
class Loop;

class LogCommitter {
 public:
  using Agents = std::map<std::string, std::unique_ptr<Agent>>;  // by id

  // With `sync`, an fdatasync once a second makes committed bytes durable. Without it, the kernel decides
  // when.
  LogCommitter(Loop& loop, const Clock& clock, const Agents& agents, bool sync);
  LogCommitter(const LogCommitter&) = delete;
  LogCommitter& operator=(const LogCommitter&) = delete;

  // This agent has something to commit.
  void MarkDirty(Agent& agent) { dirty_.push_back(&agent); }
  void Forget(const Agent& agent);
  // Commit has something to do.
  [[nodiscard]] bool dirty() const { return !dirty_.empty(); }
  // Commits all changed agents. Called at the end of every turn, before
  // viewers are served. A log that cannot be written (a full disk) is retried after a while.
  void Commit();
  void SetSync(bool sync) { sync_ = sync; }

  // For an upgrade: makes everything durable, so that another daemon can open the logs. Blocks. Error
  // "disk_full" if something cannot be written or is still being written to the store.
  Status Settle();
  // True if nothing was appended since Settle.
  [[nodiscard]] bool settled() const { return dirty_.empty() && blocked_.empty(); }

  struct Stats {
    uint64_t commits = 0;
    size_t blocked = 0;  // logs that could not be written at the last try
    std::string blocked_reason;
    // These concern the open logs:
    uint64_t events = 0;  // appended since the log was opened
    int64_t max_commit_us = 0;
    uint64_t bytes_on_disk = 0;
    size_t tail_bytes = 0;  // in memory
    size_t damaged_blocks = 0;
  };
  [[nodiscard]] Stats stats() const;

 private:
  void MaintainLogs();
  void SyncInBackground(std::vector<Fd> written);

  Loop& loop_;
  const Clock& clock_;
  const Agents& agents_;
  bool sync_;
  std::vector<Agent*> dirty_;
  std::vector<Agent*> blocked_;  // the last commit failed; retry_ makes them dirty again
  std::string blocked_reason_;
  uint64_t commits_ = 0;
  int upkeep_round_ = 0;
  bool syncing_ = false;
  Timer retry_;
  Timer upkeep_;
  Lifetime alive_;
};

}  // namespace reeve
