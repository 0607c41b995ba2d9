// Agent: one managed agent. It outlives its process, which comes and goes, and the daemon, which may be
// killed at any moment: spec and state are in the Store, everything that happened is in its EventLog.
//
// State is decided in one place: commands and facts (the child lives, the adapter is ready, a run is open,
// approvals wait) are noted where they occur, then Advance() looks at all of them, acts, and derives the
// State. Each process has its own Child and Adapter, which own everything that could call back: what is late
// from an earlier process has nobody to reach.
//
// Owned by the Town; on the loop's thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "orchestrator/adapters/adapter.h"
#include "orchestrator/agent/agent_clocks.h"
#include "orchestrator/agent/agent_spec.h"
#include "orchestrator/agent/approvals.h"
#include "orchestrator/agent/inbox.h"
#include "orchestrator/agent/run.h"
#include "orchestrator/log/event_log.h"
#include "orchestrator/log/transcript.h"
#include "orchestrator/store/private_folder.h"
#include "orchestrator/store/store.h"
#include "orchestrator/workspace/workspace.h"
#include "process/child.h"
#include "process/result.h"
#include "process/timer.h"

namespace reeve {

class Agent;
class CgroupRoot;
class Clock;
class Reaper;

// How agents come to use the API, which is a layer above: main puts it in.
struct ApiAccess {
  // This token of that agent's is good, or no agent's token of that id is any more.
  std::function<void(const std::string& agent, const std::string& token, AgentSpec::Api scope)> grant;
  std::function<void(const std::string& agent)> revoke;
};

// What an agent needs of the town. Everything here outlives it.
struct AgentContext {
  Loop& loop;
  const Clock& clock;
  HttpClient& http;
  Store& store;
  Reaper& reaper;
  CgroupRoot* cgroups = nullptr;  // null: process_tree.h does what it can
  std::string events_dir;         // holds one folder an agent
  std::string transcripts_dir;    // holds the files of those that are recorded
  std::string private_dir;        // holds their private folders
  ApiAccess api;
  std::string server;               // where a child reaches this daemon; empty: it does not listen yet
  Workspace::Shop* shop = nullptr;  // where workspaces are made
  std::string town_id;              // random, of this data folder: marks all its children's environments
  EventLog::Limits log_limits;
  std::function<uint64_t()> next_epoch;
  std::function<void(Agent&)> want_spawn;                // call Spawn() when it is this agent's turn
  std::function<void(Agent&)> dirty;                     // its log is to be committed at the end of this turn
  std::function<void(const std::string& path)> discard;  // a folder is to go
  const Kind* (*find_kind)(std::string_view name) = FindKind;  // a test has a kind of its own
};

class Agent final : private AgentHost {
 public:
  enum class State {
    kStarting,    // its process is being made, or is not ready yet
    kIdle,        // ready, no run
    kRunning,     // a run is open
    kNeedsInput,  // waits for a person, mostly within a run
    kStalled,     // a run is open and nothing has been heard for limits.stall_ms
    kStopping,    // the process is being ended
    kBackoff,     // the process has gone and is started again after a while
    kExited,      // no process, none wanted
    kFailed,      // no process: it could not be started, never became ready, or crashed too often
  };
  using Done = std::function<void(Status)>;  // on disk, or why not
  // What a stop gets before KILL when nobody says; kilo takes 3 s to end by itself.
  static constexpr int64_t kDefaultGraceMs = 5'000;
  // The polite part of a stop (abort the turn, say goodbye) takes at most this long; then the tree gets its
  // TERM.
  static constexpr int64_t kPoliteMs = 3'000;
  // From the order to stop to the end of the process at the latest: politeness, grace, KILL.
  static constexpr int64_t LongestStopMs(int64_t grace_ms) {
    return std::min(grace_ms, kPoliteMs) + grace_ms + Child::kKillForMs;
  }
  // What the end of a turn gets after an interrupt; then the process is stopped, and started again.
  static constexpr int64_t kInterruptMs = 10'000;

  // A new agent, wanted alive. Its log is made here; the record is on disk when `done` says so, and only then
  // is the process started. `made_by` names the request, or is empty.
  static Result<std::unique_ptr<Agent>> Create(AgentContext& context, AgentSpec spec, std::string made_by,
                                               Done done);
  // One that an earlier daemon knew. Its processes must have been swept before. Ends what that daemon left
  // open in the log (run.failed daemon_restarted, agent.exited) and starts it again if its policy says so.
  static Result<std::unique_ptr<Agent>> Load(AgentContext& context, const AgentRecord& record,
                                             const std::vector<MessageRecord>& messages);
  ~Agent();
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

  // --- what it is
  [[nodiscard]] const AgentSpec& spec() const override { return spec_; }
  [[nodiscard]] const std::string& id() const { return spec_.id; }
  [[nodiscard]] const std::string& made_by() const { return made_by_; }
  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] bool deleted() const { return deleted_; }
  [[nodiscard]] bool purge() const { return purge_; }  // its log and its id go too, once it has ended
  [[nodiscard]] bool has_turns() const { return has_turns_; }
  [[nodiscard]] const Kind& kind() const { return *kind_; }
  [[nodiscard]] bool ready() const { return ready_; }
  [[nodiscard]] bool has_process() const { return child_ != nullptr; }
  // No process, none to come: its streams end when all is delivered.
  [[nodiscard]] bool ended() const { return !child_ && !wanted_; }
  [[nodiscard]] int64_t created_ms() const { return created_ms_; }        // wall clock
  [[nodiscard]] int64_t last_event_ms() const { return last_event_ms_; }  // wall clock
  [[nodiscard]] const Approvals& approvals() const { return approvals_; }
  [[nodiscard]] const Inbox& inbox() const { return inbox_; }
  [[nodiscard]] const std::optional<Run>& run() const { return run_; }
  [[nodiscard]] const Run* LastRun() const { return runs_.empty() ? nullptr : &runs_.back(); }
  [[nodiscard]] const Run* FindRun(const std::string& run_id) const;           // also the present one
  [[nodiscard]] const Run* RunOfMessage(const std::string& message_id) const;  // also the present one
  [[nodiscard]] bool Waits(const std::string& message_id) const;               // queued or being begun
  // No run, and nothing that is due may begin one.
  [[nodiscard]] bool idle() const { return !run_ && !taken_ && arriving_ == 0 && !inbox_.HasNext(); }
  [[nodiscard]] std::string ToJson() const;
  // {rss_bytes, cpu_ms} of its process, read from /proc now; empty without one.
  [[nodiscard]] std::string ResourcesJson() const;
  // {agent, run, pending, partial_text, cursor}, all of one log position; commits the log first.
  Result<std::string> Snapshot();

  // The log, opened on first use.
  Result<EventLog*> log();
  // The log if it is open.
  [[nodiscard]] EventLog* open_log() const { return log_.get(); }

  // --- commands. The Status returned refuses; `done` comes only after an accepted one.
  Status Start(Done done);
  Status Stop(int64_t grace_ms, Done done);
  Status Restart(int64_t grace_ms, Done done);
  Status Interrupt();
  Status Delete(bool purge, Done done);
  // The end of the daemon draws near: no message begins, and once no turn is open the process is ended, with
  // so much grace. It stays wanted if its policy brings it back.
  void Drain(int64_t grace_ms);
  // Ends it now, whatever it does.
  void Shutdown(int64_t grace_ms);
  struct Accepted {
    std::string message_id;
    const char* disposition = "";  // delivered, started, queued, steered, scheduled
    uint64_t seq = 0;              // of the event that records it; 0: it was accepted before
  };
  // A message without an id gets one; one whose id this agent has had is not taken a second time.
  void Send(Message message, std::function<void(Result<Accepted>)> done);
  // Takes back what has not begun. Errors "already_started", "message_not_found".
  Status Cancel(const std::string& message_id, const Done& done);
  // {paused, messages}: what waits, in order.
  [[nodiscard]] std::string QueueJson() const;
  // Takes over a changed spec; `changed` names the fields. Returns whether some of it waits for the next
  // start.
  Result<bool> Update(AgentSpec spec, const std::vector<std::string>& changed, Done done);
  // `input`: a JSON object that takes the place of the tool's, or empty.
  Status Decide(const std::string& approval_id, Decision decision, const std::string& reason,
                const std::string& input, Done done);
  Status Answer(const std::string& elicitation_id, const ElicitationAnswer& answer);
  // The files of its transcript, oldest first; none where nothing is recorded.
  [[nodiscard]] std::vector<std::string> TranscriptFiles() const;
  // One of its runs as JSON, also long after; empty: no such run, or nobody remembers.
  void FindRunRecord(const std::string& run_id, std::function<void(Result<std::string>)> done);
  // Its runs with numbers below `before`, the newest first, as JSON; the present one among them.
  void ListRuns(uint64_t before, size_t limit, std::function<void(Result<std::vector<std::string>>)> done);
  // The run that a message began, or went into, as JSON, also long after, or while it goes on; of one that
  // never had one its {message_id, status}. Empty: no such message, or nobody remembers.
  void FindRunOfMessage(const std::string& message_id, std::function<void(Result<std::string>)> done);
  // {models, model}: the choices, and the present one where it is known.
  void ListModels(std::function<void(Result<std::string>)> done);

  // The file is replaced, or made; the process sees it at once. On disk when `done` says so.
  void PutFile(const std::string& name, std::string content, Done done);
  void RemoveFile(const std::string& name, Done done);

  // --- handover to a new binary (HANDOVER.md)
  // All of it as one line of JSON, as of now; descriptors that must stay open are added to `keep`. Complete
  // once the store has answered all that was asked of it. It goes on as before if the handover is given up.
  [[nodiscard]] std::string HandOver(std::vector<int>& keep) const;
  // Nothing of it waits for the store.
  [[nodiscard]] bool settled() const {
    return unwritten_.empty() && !taken_ && arriving_ + arriving_later_ == 0;
  }
  // Its process is no longer its own and outlives it: what exec does, for tests.
  void Release();
  // Whether Adopt would understand that line. Touches nothing. Error "handover_state".
  static Status TryAdopt(Loop& loop, HttpClient& http, const JsonValue& saved);
  // In place of Load: its process goes on. On an error that process has been ended.
  static Result<std::unique_ptr<Agent>> Adopt(AgentContext& context, const JsonValue& saved);
  // Of an adopted one, once everything is in its place.
  void Resume();

  // --- for the town
  void Spawn();
  // For a drain, once it has no process: what it has not committed in its workspace is kept, where that is
  // configured (Git::Options::wip). `begin` says that it may begin. kWaits: it did not yet, for the process
  // or for `begin`. kPushes: it is committed, and only the network is waited for.
  enum class Keeping { kNothing, kWaits, kSaves, kPushes };
  Keeping KeepWork(bool begin, int64_t timeout_ms);
  // The log was committed, or could not be (disk full): the child's output is read or left in the pipe.
  void OnCommit(bool committed);

  // Calls `changed` after anything about it has changed, until Unlisten.
  uint64_t Listen(std::function<void()> changed);
  void Unlisten(uint64_t listener) { listeners_.erase(listener); }
  // Tells them; for the town, when this agent can be found no more.
  void TellListeners();

 private:
  Agent(AgentContext& context, AgentSpec spec);

  // AgentHost
  Loop& loop() override { return context_.loop; }
  HttpClient& http() override { return context_.http; }
  void Emit(std::string_view type, std::string_view data) override;
  void OnReady() override;
  void OnTurnStarted() override;
  void OnTurnEnded(const TurnEnd& end) override;
  void OnApproval(ApprovalRequest request) override;
  void OnApprovalGone(const std::string& id) override;
  void OnSteered(const std::string& message_id, const Status& status) override;
  void OnSession(std::string id) override;
  void OnBroken(Error error) override;
  [[nodiscard]] const std::string& model() const override { return spec_.model; }
  void OnHeard(std::string_view text) override;
  void OnTold(std::string_view text) override;
  Status WriteStdin(std::string_view bytes) override;
  void CloseStdin() override;
  void OnStopPrepared() override;
  Result<std::unique_ptr<Child>> SpawnBeside(SpawnSpec spawn, Child::Handlers handlers) override;
  Result<std::unique_ptr<Child>> AdoptBeside(ChildState state, Child::Handlers handlers) override;
  void Signal(int signum) override;

  void SaveRuns(JsonObject& json) const;
  void SaveMessages(JsonObject& json) const;
  void SaveApprovals(JsonObject& json) const;
  void AdoptState(const JsonValue& saved);
  Status AdoptProcess(const JsonValue& saved);

  void Advance();
  [[nodiscard]] State Derive() const;
  Status OpenLog();
  struct LeftOver;
  [[nodiscard]] Result<LeftOver> ReadLeftOver(bool was_alive,
                                              const std::vector<MessageRecord>& messages) const;
  void CatchUp(const LeftOver& left);
  void TakeRunEnd(Run run);
  void TakeOver(const MessageRecord& record, const LeftOver& left);
  void CloseLeftOver(const LeftOver& left);
  [[nodiscard]] SpawnSpec BaseSpawn() const;
  void WriteFirstFiles(Done done);
  void MakeRecord(Done done);
  bool WorkspaceReady();
  [[nodiscard]] std::string WorkingFolder() const;
  void LoadSecrets();
  void RenewToken();
  void ForgetSecrets();
  void HideInTranscript(const std::string& secret);
  [[nodiscard]] std::string TreeMarker() const;
  void BeginStop(int64_t grace_ms);
  void StopIdle();
  void Wake();
  void OnOutput(Child::Output from, std::string_view bytes);
  void TellClocks();
  void OnChildDone(const ExitStatus& exit);
  void PlanRestart(bool failed);
  void TellFailed();
  void SentBefore(const MessageRecord& there, Message message, std::function<void(Result<Accepted>)> done);
  const char* Arrive(Message message);
  void TakeDueMessages();
  void WatchDue();
  void TakeNextMessage();
  void BeginTaken();
  void PutBack(Message message);
  void FinishMessage(const std::string& message_id, Run::Status how, const std::string& run_id);
  void CancelMessages();
  void Insist(const std::function<void(Store::Done)>& write);
  void Steer(const Message& message);
  [[nodiscard]] bool CanSteer(const Message& message) const;
  void Requeue(Message message, const std::string& reason);
  void WithdrawApprovals(const std::function<bool(const PendingApproval&)>& which);
  void CancelByPerson();
  void InterruptTurn();
  void ReplaceProcess(const char* code, const char* why);
  void BeginRun(const std::string& message_id);
  void EndRun(Run::Status status, Error error, std::optional<int> exit_code);
  bool Resolve(const std::string& approval_id, const std::string& decision, const char* by,
               const std::string& reason);
  [[nodiscard]] Status WhyNotPending(const std::string& approval_id, bool elicitation) const;
  [[nodiscard]] Permissions::Judgement Judge(const ApprovalRequest& request) const;
  void OverLimit(const char* limit, Error error);
  void OnStalled(int64_t silent_ms);
  void TakeUsage(std::string_view data);
  void WatchDeadlines();
  void Save(Done done, const Message* first = nullptr);
  void SaveIfChanged();
  [[nodiscard]] std::string StateJson() const;
  void LoadState(const JsonValue& state);
  [[nodiscard]] static ExitStatus ExitFromJson(const JsonValue& json);
  Cursor Append(std::string_view type, std::string_view data);
  // Wraps a callback that comes from outside (store, pool): it runs only if the agent still exists.
  template <typename Call>
  auto Guarded(Call call) {
    return [alive = std::weak_ptr<bool>(alive_), call = std::move(call)](auto&&... args) mutable {
      if (!alive.expired()) call(std::forward<decltype(args)>(args)...);
    };
  }

  AgentContext& context_;
  AgentSpec spec_;
  std::string made_by_;
  const Kind* const kind_;
  const bool has_turns_;  // otherwise the process's life is the run

  // wishes
  bool wanted_ = false;  // a process shall live
  bool deleted_ = false;
  bool purge_ = false;
  bool restart_ = false;  // start again once the present process has gone
  bool draining_ = false;
  bool shutdown_ = false;
  int64_t grace_ms_ = 0;

  // facts
  std::unique_ptr<Adapter> adapter_;  // of the present process
  std::unique_ptr<Child> child_;
  bool saved_ = false;         // the wish to live is on disk: it may be spawned
  bool spawn_wanted_ = false;  // asked the town for our turn
  bool ready_ = false;
  bool stopping_ = false;
  std::optional<Error> broken_;  // why the present process is of no more use, or the last start failed
  std::optional<Run> run_;
  enum class Cancel { kNo, kPerson, kMessage, kLimit } cancel_ = Cancel::kNo;  // of the open run
  Error limit_error_{};                                                        // of kLimit
  std::deque<Run> runs_;  // ended ones, the newest last, kMaxRuns of them
  Inbox inbox_;
  size_t arriving_ = 0;                      // messages on their way to disk and then to the inbox
  size_t arriving_later_ = 0;                // likewise those that are not due yet
  size_t arriving_bytes_ = 0;                // of both
  std::optional<Message> taken_;             // out of the inbox, its state "running" on its way to disk
  std::map<std::string, Message> steering_;  // given to the agent, which has not said yet that it has them
  Approvals approvals_;
  std::string session_;  // upstream

  std::string last_words_;      // the end of what the present process printed, or the last one
  std::string failure_output_;  // the last lines of one that is not started again

  State state_ = State::kExited;
  std::optional<ExitStatus> exit_;
  Cursor last_cursor_;  // where its log ended when an earlier daemon did; until it is opened
  int64_t created_ms_ = 0, started_ms_ = 0, ready_ms_ = 0, exited_ms_ = 0, last_event_ms_ = 0;
  int restarts_ = 0;
  std::deque<int64_t> restart_times_;  // monotonic, within the policy's window
  int backoff_step_ = 0;
  uint64_t spawned_beside_ = 0;
  Usage usage_;                 // of all its ended runs
  uint64_t partial_after_ = 0;  // the present message's deltas come after this event

  PrivateFolder folder_;
  std::unique_ptr<Workspace> workspace_;                             // where the spec wants one
  enum class Work { kNone, kUnsaved, kSaving } work_ = Work::kNone;  // in it, of a process of this daemon's
  bool files_due_ = false;  // the spec's files are on their way to disk
  std::unique_ptr<EventLog> log_;
  Timer ready_deadline_;
  Timer stop_deadline_;  // of the polite part of a stop
  Timer backoff_;
  Timer approval_deadline_;
  Timer interrupt_deadline_;
  Timer save_again_;
  Timer due_;  // of the next scheduled message
  AgentClocks clocks_;
  std::unique_ptr<Transcript> transcript_;  // where the spec wants one
  bool advancing_ = false, again_ = false;
  std::string saved_state_;                                 // what the store has
  std::deque<std::function<void(Store::Done)>> unwritten_;  // what it must still have, once the disk has room
  std::map<uint64_t, std::function<void()>> listeners_;
  uint64_t next_listener_ = 1;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

const char* NameOf(Agent::State state);
std::optional<Agent::State> ParseAgentState(std::string_view name);

}  // namespace reeve
