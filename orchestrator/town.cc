#include "orchestrator/town.h"

#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <unordered_set>
#include <utility>

#include "orchestrator/adapters/spec_checks.h"
#include "orchestrator/agent/agent.h"
#include "orchestrator/handover/crash_page.h"
#include "orchestrator/handover/saved_state.h"
#include "orchestrator/log/transcript.h"
#include "orchestrator/store/data_folder.h"
#include "process/clock.h"
#include "process/log.h"
#include "process/loop.h"
#include "process/proc.h"
#include "process/process_parent.h"
#include "process/random.h"
#include "process/regular_file.h"

namespace reeve {

namespace {

// vfork holds the loop for about 0.6 ms. So each turn starts at most this many agents, and serves viewers in
// between.
constexpr int kSpawnsPerTurn = 2;
// Epochs are reserved on disk this many at a time, so that opening a log does not wait for the disk. Half of
// them must be enough for all logs of a full town, because a client that reads every agent opens all logs in
// one turn.
constexpr uint64_t kEpochBlock = 32'768;
constexpr int64_t kSweepMs = 2'000;
constexpr int64_t kSweepLookMs = 10;
constexpr size_t kPoisonBytes = size_t{1} << 20;  // copied in one call

// The town's identity: random, made once, stored in the data folder. It marks the environments of its
// children.
Result<std::string> TownId(const std::string& path) {
  auto fd = OpenRegularFile(path, O_RDWR | O_CREAT);
  if (!fd) return fd.error();
  char buffer[64];
  ssize_t n = read(fd->get(), buffer, sizeof buffer);
  if (n == 32) return std::string(buffer, 32);
  std::string id = RandomHex(16);
  if (ftruncate(fd->get(), 0) != 0 ||
      pwrite(fd->get(), id.data(), id.size(), 0) != static_cast<ssize_t>(id.size()) ||
      fsync(fd->get()) != 0) {
    return OsError("write " + path, errno);
  }
  return id;
}

// Kills the processes that an earlier daemon left behind. Checks again until none is left, because a killed
// process may just have forked. Blocks for at most kSweepMs.
void SweepLeftovers(const std::string& marker) {
  for (int64_t waited_ms = 0;; waited_ms += kSweepLookMs) {
    const std::vector<ProcessId> left = AllWithMarker(marker);
    if (left.empty()) return;
    if (waited_ms >= kSweepMs)
      return log::Failure("process {} of an earlier daemon cannot be killed", left[0].pid);
    for (const ProcessId& process : left) {
      if (waited_ms == 0) log::Warning("killing process {} that an earlier daemon left behind", process.pid);
      SignalProcess(process, SIGKILL);
    }
    usleep(kSweepLookMs * 1000);
  }
}

// Agents work in other folders, so paths for them must be absolute.
std::string Absolute(const std::string& path) {
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(path, error);
  return error ? path : absolute.lexically_normal().string();
}

}  // namespace

Town::Town(Loop& loop, const Clock& clock, HttpClient& http, Store& store, ProcessParent& helpers,
           ProcessParent& agents, CgroupRoot* cgroups, Options options)
    : loop_(loop),
      clock_(clock),
      store_(store),
      options_(std::move(options)),
      trash_(loop, options_.data_dir + "/trash"),
      git_({loop, helpers, cgroups}, options_.git),
      mirrors_(loop, git_, Absolute(options_.data_dir) + "/mirrors"),
      disk_(loop, {Absolute(options_.data_dir) + "/mirrors", Absolute(options_.data_dir) + "/workspaces"}),
      workspace_context_{loop,
                         git_,
                         mirrors_,
                         disk_,
                         Absolute(options_.data_dir) + "/workspaces",
                         [this](const std::string& path) { trash_.Take(path); }},
      context_{loop,
               clock,
               http,
               store,
               agents,
               cgroups,
               options_.data_dir + "/events",
               options_.data_dir + "/transcripts",
               options_.data_dir + "/agents",
               options_.api,
               "",
               &workspace_context_,
               "",
               options_.log,
               [this] { return NextEpoch(); },
               [this](Agent& agent) {
                 spawn_queue_.push_back(agent.id());
                 if (!spawn_.active()) spawn_.Start(0);
               },
               [this](Agent& agent) { logs_.MarkDirty(agent); },
               [this](const std::string& path) { trash_.Take(path); },
               FindKind,
               {},
               {},
               options_.crash_page},
      logs_(loop, clock, agents_, options_.sync),
      drain_(loop, clock, agents_, logs_),
      spawn_(loop, [this] { SpawnSome(); }) {}

Town::~Town() = default;

Status Town::Load() {
  if (Status opened = Open(); !opened) return opened;
  SweepLeftovers("REEVE_TOWN_ID=" + context_.town_id);
  return LoadRecords();
}

// Makes the folders, the town's id, and the first epochs.
Status Town::Open() {
  for (const std::string& folder : {context_.events_dir, context_.transcripts_dir, context_.private_dir,
                                    workspace_context_.folder, MirrorsFolder()}) {
    if (mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) return OsError("make " + folder, errno);
  }
  if (!options_.binary.empty()) {
    if (Status linked = LinkProgram(options_.data_dir, options_.binary); !linked) return linked;
    context_.programs_dir = ProgramFolderIn(options_.data_dir);
  }
  if (Status opened = trash_.Open(); !opened) return opened;
  auto id = TownId(options_.data_dir + "/town-id");
  if (!id) return id.error();
  context_.town_id = *id;
  git_.SetTown(*id);
  auto epoch = store_.Reserve("epoch", kEpochBlock);
  if (!epoch) return epoch.error();
  epoch_ = *epoch;
  epoch_end_ = *epoch + kEpochBlock;
  return {};
}

// Loads all agents of the store that are not in memory yet.
Status Town::LoadRecords() {
  auto records = store_.LoadAgents();
  if (!records) return records.error();
  auto messages = store_.LoadMessages();
  if (!messages) return messages.error();
  std::map<std::string, std::vector<MessageRecord>> by_agent;
  for (MessageRecord& message : *messages) by_agent[message.agent].push_back(std::move(message));
  for (const AgentRecord& record : *records) {
    if (agents_.count(record.id) != 0) {
      unfinished_[record.id] = std::move(by_agent[record.id]);
      continue;
    }
    if (!IsAgentId(record.id)) {
      log::Failure("a record of the store has no valid id and is left alone");
      continue;
    }
    auto agent = Agent::Load(context_, record, by_agent[record.id]);
    if (!agent) log::Failure("agent {} cannot be loaded: {}", record.id, agent.error().message);
    Add(agent ? std::move(*agent) : Agent::Damaged(context_, record, agent.error()));
  }
  std::vector<std::string> known;
  std::vector<std::string> repositories;
  bool all_known = true;
  for (const auto& [name, agent] : agents_) {
    known.push_back(name);
    all_known = all_known && !agent->damaged();
    if (agent->spec().workspace) repositories.push_back(Mirrors::NameOf(agent->spec().workspace.git));
  }
  std::sort(repositories.begin(), repositories.end());
  trash_.TakeUnknown(context_.private_dir, known);
  trash_.TakeUnknown(workspace_context_.folder, known);
  if (all_known) trash_.TakeUnknown(MirrorsFolder(), repositories);
  return {};
}

void Town::Add(std::unique_ptr<Agent> agent) {
  const std::string id = agent->id();
  const bool purge = agent->purge();
  agents_.emplace(id, std::move(agent));
  if (purge) PurgeOnceEnded(id);
}

// -------------------------------------------------------------------------------------------- checkpoints

std::vector<std::string> Town::HandOver() const {
  std::vector<std::string> lines;
  for (const auto& [id, agent] : agents_) {
    if (agent->has_checkpoint()) lines.push_back(agent->HandOver());
  }
  return lines;
}

Status Town::Adopt() {
  if (Status opened = Open(); !opened) return opened;
  SweepLeftovers(Git::Marker(context_.town_id));  // nobody waits for these gits; workspaces start again
  const std::string poisoned = options_.crash_page ? options_.crash_page->TakePoisoned() : "";
  std::vector<uint64_t> keys = context_.parent.Kept(ProcessParent::Purpose::kAgentCheckpoint);
  std::sort(keys.rbegin(), keys.rend());  // the newest of an id first
  for (const uint64_t key : keys) AdoptFrom(key, poisoned);
  if (Status loaded = LoadRecords(); !loaded) return loaded;
  if (Agent* agent = Find(poisoned); agent && !agent->has_checkpoint() && !agent->damaged()) {
    agent->SetAside({"poisoned", "the daemon died three times in a row of its output, which is kept in " +
                                     PoisonFolder() + "/" + poisoned + ".stdout and .stderr"});
  }
  return {};
}

void Town::AdoptFrom(uint64_t key, const std::string& poisoned) {
  auto checkpoint = Checkpoint::Open(context_.parent.Take(key), key);
  if (checkpoint && !checkpoint->valid())
    return context_.parent.Drop(key);  // its first turn was not committed
  auto text = checkpoint ? Agent::HandOverOf(*checkpoint) : Result<std::string>(checkpoint.error());
  auto saved = text ? JsonDocument::Parse(*text) : Result<JsonDocument>(text.error());
  if (!saved) {
    log::Failure("a checkpoint cannot be read: {}", saved.error().message);
    return context_.parent.Drop(key);
  }
  const std::string id((*saved)["id"].StringOr(""));
  if (Find(id)) return context_.parent.Drop(key);
  if (!poisoned.empty() && id == poisoned) {
    SetAside(saved->root());
    return context_.parent.Drop(key);
  }
  auto agent = Agent::Adopt(context_, saved->root(), std::move(*checkpoint));
  if (agent) return Add(std::move(*agent));
  log::Failure("agent {} could not be adopted and is restored as after the death of its process: {}", id,
               agent.error().message);
  context_.parent.Drop(key);
  SweepLeftovers("REEVE_TREE=" + context_.town_id + "/" + id);
}

// Kills a poisoned agent's process, and keeps the output that was not handled for whoever looks for the
// fault.
void Town::SetAside(const JsonValue& saved) {
  const std::string id(saved["id"].StringOr(""));
  log::Failure("agent {} is set aside: the daemon died three times in a row of its output", id);
  ChildState child;
  (void)RestoreState(saved["child"], child);
  (void)mkdir(PoisonFolder().c_str(), 0700);
  for (size_t i = 0; i < child.outputs.size(); ++i) {
    const std::string path = PoisonFolder() + "/" + id + (i == 0 ? ".stdout" : ".stderr");
    Fd from = context_.parent.Take(child.outputs[i].capture);
    auto into = OpenRegularFile(path, O_WRONLY | O_CREAT | O_TRUNC);
    auto at = static_cast<off_t>(child.outputs[i].consumed);
    while (into && from.valid() && sendfile(into->get(), from.get(), &at, kPoisonBytes) > 0) continue;
    context_.parent.Drop(child.outputs[i].capture);
  }
  SweepLeftovers("REEVE_TREE=" + context_.town_id + "/" + id);
}

void Town::Resume() {
  for (auto& [id, agent] : agents_) {
    if (agent->has_checkpoint()) agent->Activate(unfinished_[id]);
  }
  unfinished_.clear();
}

uint64_t Town::NextEpoch() {
  if (epoch_end_ <= epoch_ + kEpochBlock / 2 && !std::exchange(reserving_, true)) {
    store_.ReserveLater("epoch", kEpochBlock, [this](Result<uint64_t> before) {
      reserving_ = false;  // if that failed, the next call tries again
      if (before) epoch_end_ = *before + kEpochBlock;
    });
  }
  if (epoch_ >= epoch_end_) log::Failure("epochs are used faster than they are reserved on disk");
  return ++epoch_;
}

// ------------------------------------------------------------------------------------------------- agents

Result<Agent*> Town::Create(AgentSpec spec, const std::string& made_by, Done done,
                            const std::string& connection) {
  if (Agent* there = Find(spec.id); there && !made_by.empty() && there->made_by() == made_by &&
                                    !there->deleted() &&
                                    clock_.WallMs() - there->created_ms() < Store::kAnswerMs) {
    done({});
    return there;
  }
  if (draining()) return Error{"draining", "the daemon is shutting down"};
  if (agents_.size() >= options_.max_agents) {
    return Error{"too_many_agents",
                 "this town already has its limit of " + std::to_string(options_.max_agents) + " agents"};
  }
  if (const Agent* there = Find(spec.id)) {
    if (!there->deleted()) return Error{"agent_exists", "agent " + spec.id + " exists"};
    return Error{"agent_exists", "agent " + spec.id + " was deleted; its id is free once it is purged"};
  }
  if (Status checked = CheckNewAgent(spec, git_); !checked) return checked.error();
  std::string id = spec.id;
  // An agent that could not be put on disk was never made.
  auto on_disk = [this, id, done = std::move(done)](const Status& status) {
    if (!status) {
      purging_.emplace(id, 0);
      loop_.Post(alive_.Guard([this, id] {
        if (Agent* unmade = Find(id)) FinishDeletion(*unmade);
      }));
    }
    done(status);
  };
  auto agent = Agent::Create(context_, std::move(spec), made_by, std::move(on_disk), connection);
  if (!agent) return agent.error();
  Agent* made = agent->get();
  agents_.emplace(std::move(id), std::move(*agent));
  if (on_change_) on_change_(*made, Change::kMade);
  return made;
}

const std::vector<std::string_view> Town::kChangeable = {
    "title",   "starred", "labels",  "model",     "system_prompt", "env",    "permissions",  "limits",
    "restart", "cwd",     "command", "readiness", "api",           "record", "kind_options", "mcp"};

void Town::Update(Agent& agent, const JsonValue& patch, std::function<void(Result<bool>)> done,
                  std::string by) {
  auto change = [&kind = agent.kind(), patch = patch.Raw()](const AgentSpec& spec) -> Result<AgentSpec> {
    auto changes = JsonDocument::Parse(patch);
    auto present = JsonDocument::Parse(spec.ToJson(AgentSpec::Secrets::kKeep));
    if (!changes || !present) return changes ? present.error() : changes.error();
    auto merged = JsonDocument::Parse(MergePatch(present->root(), changes->root()));
    if (!merged) return merged.error();
    auto changed = AgentSpec::FromJson(merged->root());
    if (!changed) return changed.error();
    if (Status checked = CheckChangedAgent(kind, spec, *changed); !checked) return checked.error();
    return changed;
  };
  std::vector<std::string> fields;
  for (const JsonValue::Member& member : patch.Members()) fields.emplace_back(member.key);
  agent.CheckModel(std::string(patch["model"].StringOr("")),
                   [&agent, change = std::move(change), fields = std::move(fields), done = std::move(done),
                    by = std::move(by)](const Status& known) mutable {
                     if (!known) return done(known.error());
                     agent.Update(std::move(change), std::move(fields), std::move(done), by);
                   });
}

Agent* Town::Find(const std::string& id) const {
  auto found = agents_.find(id);
  return found == agents_.end() ? nullptr : found->second.get();
}

std::vector<ProcessId> Town::Strays() const {
  std::vector<ProcessId> strays = AllWithMarker("REEVE_TOWN_ID=" + context_.town_id);
  std::unordered_set<pid_t> owned;
  for (const auto& [id, agent] : agents_) {
    for (const ProcessId& process : agent->Processes()) owned.insert(process.pid);
  }
  std::erase_if(strays, [&](const ProcessId& process) {
    return owned.count(process.pid) != 0 || HasMarker(process.pid, Git::Marker(context_.town_id));
  });
  return strays;
}

void Town::Delete(const std::string& id, bool purge, Done done, std::string_view by) {
  Agent* agent = Find(id);
  if (!agent) return done(Error{"agent_not_found", "there is no agent " + id});
  if (agent->deleted() && !purge) {
    return done(Error{"agent_deleted", "agent " + id + " has been deleted"});
  }
  if (purge) {
    done = [this, id, done = std::move(done)](const Status& status) {
      done(status);
      const Agent* there = status ? Find(id) : nullptr;
      if (there && there->purge()) PurgeOnceEnded(id);  // it may be a new agent with the same id
    };
  }
  agent->Delete(purge, std::move(done), by);
  if (on_change_) on_change_(*agent, Change::kDeleted);
}

void Town::PurgeOnceEnded(const std::string& id) {
  Agent* agent = Find(id);
  if (!agent || purging_.count(id) != 0) return;
  auto look = [this, agent] {
    if (agent->has_process()) return;
    loop_.Post(alive_.Guard([this, gone = agent->id()] {
      if (Agent* still = Find(gone)) FinishDeletion(*still);
    }));
  };
  purging_[id] = agent->Listen(look);
  look();
}

// Deletes a purged agent: its record, its log, and the object.
void Town::FinishDeletion(Agent& agent) {
  if (agent.has_process() || purging_.count(agent.id()) == 0) return;
  const std::string id = agent.id();
  if (on_change_) on_change_(agent, Change::kPurged);
  store_.DeleteAgent(id, [id](const Status& status) {
    if (!status) log::Failure("purge agent {}: {}", id, status.error().message);
  });
  Transcript::Remove(context_.transcripts_dir + "/" + id);
  trash_.Take(context_.private_dir + "/" + id);
  trash_.Take(workspace_context_.folder + "/" + id);
  trash_.Take(context_.events_dir + "/" + id);  // a large log takes a while
  logs_.Forget(agent);
  agent.DropCheckpoint();
  purging_.erase(id);
  const std::unique_ptr<Agent> gone = std::move(agents_[id]);
  agents_.erase(id);
  gone->NotifyListeners();  // listeners learn that the agent is gone
}

void Town::SpawnSome() {
  for (int spawned = 0; spawned < kSpawnsPerTurn && !spawn_queue_.empty(); ++spawned) {
    std::string id = std::move(spawn_queue_.front());
    spawn_queue_.pop_front();
    if (Agent* agent = Find(id)) agent->Spawn();
  }
  if (!spawn_queue_.empty()) spawn_.Start(0);
}

void Town::SetLogging(EventLog::Limits limits, bool sync) {
  context_.log_limits = limits;
  logs_.SetSync(sync);
  for (auto& [id, agent] : agents_) {
    if (EventLog* log = agent->open_log()) log->SetLimits(limits);
  }
}

Town::Stats Town::stats() const {
  Stats stats;
  stats.agents = agents_.size();
  stats.logs = logs_.stats();
  stats.git = git_.stats();
  for (const auto& [id, agent] : agents_) {
    ++stats.by_state[NameOf(agent->state())];
    stats.messages_waiting += agent->mailbox().count(Mailbox::Stage::kWaiting);
    stats.messages_scheduled += agent->mailbox().count(Mailbox::Stage::kScheduled);
    stats.message_bytes += agent->mailbox().bytes();
    stats.approvals += agent->approvals().pending().size();
  }
  return stats;
}

}  // namespace reeve
