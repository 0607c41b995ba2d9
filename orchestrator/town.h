// Town: the registry of this daemon's agents. It owns them: it makes, finds, changes and forgets them, and
// lets them start a few at a time. Its parts look after their logs (LogCommitter) and their end (Drain).
//
// Owned by the Daemon; on the loop's thread. What it is given outlives it.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "orchestrator/agent/agent_context.h"
#include "orchestrator/drain.h"
#include "orchestrator/log_committer.h"
#include "orchestrator/store/trash.h"
#include "process/disk_sync.h"
#include "process/result.h"
#include "process/timer.h"

namespace reeve {

class Agent;

class Town {
 public:
  using Done = std::function<void(Status)>;
  struct Options {
    std::string data_dir;  // ours alone; has "events/"
    std::string name;
    size_t max_agents = 10'000;  // each costs a record, a log folder and, alive, some descriptors
    EventLog::Limits log;
    bool sync = true;  // fdatasync written logs once a second
    ApiAccess api = {};
    Git::Options git = {};
  };

  Town(Loop& loop, const Clock& clock, HttpClient& http, Store& store, Reaper& reaper, CgroupRoot* cgroups,
       Options options);
  ~Town();
  Town(const Town&) = delete;
  Town& operator=(const Town&) = delete;

  // Sweeps what an earlier daemon left behind, then brings its agents back. Blocks; before the loop runs.
  Status Load();

  // --- handover to a new binary (HANDOVER.md)
  // One line for each agent (Agent::HandOver); descriptors that must stay open are added to `keep`.
  [[nodiscard]] std::vector<std::string> HandOver(std::vector<int>& keep) const;
  // In place of Load: the agents of those lines, with their processes. One that cannot be taken over is
  // brought back as after a crash, with what the store has of it.
  Status Adopt(const std::vector<std::string>& lines);
  // After Adopt, once everything is in its place.
  void Resume();

  // Error "agent_exists", "agent_deleted" (the id is taken until it is purged), "too_many_agents",
  // "draining", "invalid_request" (no such kind, no such program). `done` once the agent is on disk. One that
  // was made by the same request before (Request::key; empty: by any other) is there, and that is all.
  Result<Agent*> Create(AgentSpec spec, const std::string& made_by, Done done);
  // Changes the spec by a JSON Merge Patch (RFC 7396) of the fields that may change: kChangeable. `done`
  // tells whether some of it waits for the next start. Errors as Create's.
  void Update(Agent& agent, const JsonValue& patch, std::function<void(Result<bool>)> done);
  static const std::vector<std::string_view> kChangeable;
  // Null: never was, or purged. Deleted agents are found, and say so.
  [[nodiscard]] Agent* Find(const std::string& id) const;
  [[nodiscard]] const std::map<std::string, std::unique_ptr<Agent>>& agents() const { return agents_; }
  // Stops the agent, then forgets it; with `purge` also its log and its id. `done` once the wish is on disk.
  void Delete(const std::string& id, bool purge, Done done);

  [[nodiscard]] LogCommitter& logs() { return logs_; }
  [[nodiscard]] Drain& drain() { return drain_; }
  [[nodiscard]] bool draining() const { return drain_.begun(); }

  // Where agents that may use the API reach this daemon. Before the loop runs.
  void SetServer(const std::string& address) { context_.server = address; }
  // How logs are kept from now on: new ones, open ones and those opened later.
  void SetLogging(EventLog::Limits limits, bool sync);
  // Called when an agent was made, and when one was deleted or is about to be destroyed (purged).
  enum class Change { kMade, kDeleted, kPurged };
  void OnChange(std::function<void(Agent&, Change)> told) { on_change_ = std::move(told); }

  struct Stats {
    size_t agents = 0;
    std::map<std::string, size_t> by_state;
    LogCommitter::Stats logs;
    size_t messages_waiting = 0;  // due ones
    size_t messages_scheduled = 0;
    size_t message_bytes = 0;  // of both
    size_t approvals = 0;      // and elicitations that wait for a person
    Git::Stats git;
  };
  [[nodiscard]] Stats stats() const;
  [[nodiscard]] const std::string& name() const { return options_.name; }

 private:
  Status Open();
  [[nodiscard]] std::string MirrorsFolder() const { return options_.data_dir + "/mirrors"; }
  Status LoadRecords();
  void Add(std::unique_ptr<Agent> agent);
  uint64_t NextEpoch();
  void SpawnSome();
  void PurgeOnceEnded(const std::string& id);
  void FinishDeletion(Agent& agent);

  Loop& loop_;
  const Clock& clock_;
  Store& store_;
  Options options_;
  Trash trash_;
  Git git_;
  Mirrors mirrors_;
  DiskSync disk_;
  Workspace::WorkspaceContext workspace_context_;
  AgentContext context_;

  uint64_t epoch_ = 0;      // the last one given out
  uint64_t epoch_end_ = 0;  // reserved on disk up to here
  bool reserving_ = false;  // more of them
  std::map<std::string, std::unique_ptr<Agent>> agents_;
  std::map<std::string, uint64_t> purging_;  // agents that go once they have no process: id → listener
  std::deque<std::string> spawn_queue_;      // ids: an agent may be gone by its turn
  LogCommitter logs_;
  Drain drain_;
  Timer spawn_;
  std::function<void(Agent&, Change)> on_change_;
};

}  // namespace reeve
