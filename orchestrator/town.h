// Town: the registry of this daemon's agents. It owns them: it makes, finds, changes and deletes them, and
// starts a few at a time. Its parts write their logs (LogCommitter) and end them (Drain).
//
// Owned by the Daemon; on the loop's thread. All constructor arguments outlive it.
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
#include "orchestrator/log/event_data.h"
#include "orchestrator/log_committer.h"
#include "orchestrator/store/store.h"
#include "orchestrator/store/trash.h"
#include "orchestrator/workspace/changes.h"
#include "process/disk_sync.h"
#include "process/lifetime.h"
#include "process/result.h"
#include "process/timer.h"

namespace reeve {

class Agent;
class CrashPage;

class Town {
 public:
  using Done = std::function<void(Status)>;
  struct Options {
    std::string data_dir;  // used by this daemon alone; holds "events/"
    std::string name;
    size_t max_agents = 10'000;  // each costs a record, a log folder and, while alive, some descriptors
    EventLog::Limits log;
    bool sync = true;  // fdatasync written logs once a second
    ApiAccess api = {};
    Git::Options git = {};
    CrashPage* crash_page = nullptr;  // with a keeper
    std::string binary = {};  // the path of this program, which agents get on their PATH; empty: they do not
  };

  // `helpers`: the parent of the daemon's own processes (git). `agents`: the parent of the agents'.
  Town(Loop& loop, const Clock& clock, HttpClient& http, Store& store, ProcessParent& helpers,
       ProcessParent& agents, CgroupRoot* cgroups, Options options);
  ~Town();
  Town(const Town&) = delete;
  Town& operator=(const Town&) = delete;

  // Kills the processes that an earlier daemon left behind, then restores its agents. Blocks; called before
  // the loop runs.
  Status Load();

  // --- after the death of the daemon (KEEPER.md)
  // One line for each agent that has a checkpoint (Agent::HandOver).
  [[nodiscard]] std::vector<std::string> HandOver() const;
  // In place of Load: adopts the agents whose processes outlived the earlier daemon, from their checkpoints.
  // An agent that cannot be adopted is restored from the store, as after the death of its process.
  Status Adopt();
  // Called after Adopt, once the whole daemon is assembled.
  void Resume();

  // Makes an agent. `done` is called once it is on disk. Errors: "agent_exists" (also while a deleted agent
  // with that id is not purged), "too_many_agents", "draining", "invalid_request" (no such kind, no such
  // program). If the same request made the agent before, that agent is returned; `made_by` is its
  // Request::key, or empty. `connection`: the gateway connection by which the call came, or empty.
  Result<Agent*> Create(AgentSpec spec, const std::string& made_by, Done done,
                        const std::string& connection = {});
  // Changes the spec by a JSON Merge Patch (RFC 7396) of the fields in kChangeable. `done` gets true if some
  // of the change takes effect only at the next start. Errors as for Create.
  void Update(Agent& agent, const JsonValue& patch, std::function<void(Result<bool>)> done,
              std::string by = std::string(kUnnamedCaller));
  static const std::vector<std::string_view> kChangeable;
  // Null: it never existed or was purged. A deleted agent is returned, and deleted() is true.
  [[nodiscard]] Agent* Find(const std::string& id) const;
  [[nodiscard]] const std::map<std::string, std::unique_ptr<Agent>>& agents() const { return agents_; }
  // The live processes that carry this town's marker and are neither an agent's nor the daemon's own. Reads
  // /proc.
  [[nodiscard]] std::vector<ProcessId> Strays() const;
  // Stops the agent, then deletes it; with `purge` also its log and its id. `done` is called once the wish is
  // on disk.
  void Delete(const std::string& id, bool purge, Done done, std::string_view by = kUnnamedCaller);

  [[nodiscard]] LogCommitter& logs() { return logs_; }
  [[nodiscard]] Drain& drain() { return drain_; }
  [[nodiscard]] Changes& changes() { return changes_; }
  [[nodiscard]] bool draining() const { return drain_.begun(); }

  // The address at which agents that may use the API reach this daemon. Set before the loop runs.
  void SetServer(const std::string& address) { context_.server = address; }
  // Changes how logs are kept: those that are open now, and all later ones.
  void SetLogging(EventLog::Limits limits, bool sync);
  // Calls `told` when an agent was made or deleted, and when one is about to be destroyed (purged).
  enum class Change { kMade, kDeleted, kPurged };
  void OnChange(std::function<void(Agent&, Change)> told) { on_change_ = std::move(told); }

  struct Stats {
    size_t agents = 0;
    std::map<std::string, size_t> by_state;
    LogCommitter::Stats logs;
    size_t messages_waiting = 0;  // messages that are due
    size_t messages_scheduled = 0;
    size_t message_bytes = 0;  // size of both
    size_t approvals = 0;      // approvals and elicitations that wait for a person
    Git::Stats git;
  };
  [[nodiscard]] Stats stats() const;
  [[nodiscard]] const std::string& name() const { return options_.name; }

 private:
  Status Open();
  [[nodiscard]] std::string MirrorsFolder() const { return options_.data_dir + "/mirrors"; }
  [[nodiscard]] std::string PoisonFolder() const { return options_.data_dir + "/poisoned"; }
  Status LoadRecords();
  void AdoptFrom(uint64_t key, const std::string& poisoned);
  void SetAside(const JsonValue& saved);
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
  Changes changes_{workspace_context_};
  AgentContext context_;

  uint64_t epoch_ = 0;      // the last one that was used
  uint64_t epoch_end_ = 0;  // the last one that is reserved on disk
  bool reserving_ = false;  // more epochs are being reserved
  std::map<std::string, std::unique_ptr<Agent>> agents_;
  std::map<std::string, std::vector<MessageRecord>> unfinished_;  // messages of adopted agents, until Resume
  std::map<std::string, uint64_t> purging_;  // agents to purge once they have no process: id → listener
  std::deque<std::string> spawn_queue_;      // ids, because an agent may be gone by its turn
  LogCommitter logs_;
  Drain drain_;
  Timer spawn_;
  std::function<void(Agent&, Change)> on_change_;
  Lifetime alive_;
};

}  // namespace reeve
