// Room agent/: one managed agent, the parts that own its state, and the words that agents and adapters share.
//
// Agent: one managed agent. It outlives its processes, and also the daemon, which may be killed at any
// moment: its spec and state are in the Store, and everything that happened is in its EventLog.
//
// It coordinates parts that own their state and their rules; the parts do not know each other. Each fact (a
// command, a report of the adapter, a timer) goes to the parts that it concerns, by a short rule here. Then
// Advance() examines all parts, does everything that is possible now, and derives the State.
//
// Owned by the Town; on the loop's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "orchestrator/agent/agent_clocks.h"
#include "orchestrator/agent/agent_context.h"
#include "orchestrator/agent/agent_process.h"
#include "orchestrator/agent/agent_secrets.h"
#include "orchestrator/agent/agent_spec.h"
#include "orchestrator/agent/agent_state.h"
#include "orchestrator/agent/agent_workspace.h"
#include "orchestrator/agent/approvals.h"
#include "orchestrator/agent/journal.h"
#include "orchestrator/agent/listeners.h"
#include "orchestrator/agent/mailbox.h"
#include "orchestrator/agent/model_choice.h"
#include "orchestrator/agent/open_content.h"
#include "orchestrator/agent/record_writer.h"
#include "orchestrator/agent/restarts.h"
#include "orchestrator/agent/run_history.h"
#include "orchestrator/agent/runs.h"
#include "orchestrator/agent/spec_updates.h"
#include "orchestrator/handover/checkpoint.h"
#include "process/lifetime.h"

namespace reeve {

class JsonObject;

class Agent {
 public:
  using State = AgentState;
  // The intended future of the agent. Deleted: it never starts again; its log stays. Purged: its log and its
  // id are deleted too, once it has ended.
  enum class Wish { kAlive, kStopped, kDeleted, kPurged };
  // Every command ends with one call: its effect is on disk, or the Error says why it was refused or could
  // not be stored.
  using Done = std::function<void(Status)>;

  static constexpr int64_t kDefaultGraceMs = AgentProcess::kDefaultGraceMs;
  static constexpr int64_t LongestStopMs(int64_t grace_ms) { return AgentProcess::LongestStopMs(grace_ms); }

  // A new agent with the wish alive. Its log is made here. `done` is called once the record is on disk, and
  // only then is the process started. `made_by` identifies the request, and `connection` the gateway
  // connection by which it came; both may be empty.
  static Result<std::unique_ptr<Agent>> Create(AgentContext& context, AgentSpec spec, std::string made_by,
                                               Done done, std::string connection = {});
  // An agent of an earlier daemon, whose processes must have been killed before. Closes everything that was
  // open in the log (run.failed daemon_restarted, agent.exited), and starts the agent again if its policy
  // says so.
  static Result<std::unique_ptr<Agent>> Load(AgentContext& context, const AgentRecord& record,
                                             const std::vector<MessageRecord>& messages);
  // In place of Load, for a record or log that Load refused with `why`: an agent in state failed, of which
  // the rest of the daemon needs to know no more than its id. It can be looked at and deleted; every other
  // command gets that error. Its record stays as it is, for a later daemon to try again.
  static std::unique_ptr<Agent> Damaged(AgentContext& context, const AgentRecord& record, Error why);
  // Called after Load: it has failed, and is not started again by itself.
  void SetAside(Error why);
  ~Agent();
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

  // --- properties and state
  [[nodiscard]] const AgentSpec& spec() const { return spec_; }
  [[nodiscard]] const std::string& id() const { return spec_.id; }
  [[nodiscard]] const std::string& made_by() const { return made_by_; }
  // The gateway connection that made it, and that it belongs to with close_on_disconnect.
  [[nodiscard]] const std::string& connection() const { return connection_; }
  [[nodiscard]] const Kind& kind() const { return kind_; }
  [[nodiscard]] bool has_turns() const { return has_turns_; }  // otherwise each process is one run
  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] bool deleted() const { return wish_ >= Wish::kDeleted; }
  [[nodiscard]] bool purge() const { return wish_ == Wish::kPurged; }
  [[nodiscard]] bool damaged() const { return damage_.has_value(); }
  [[nodiscard]] bool made() const { return writer_.stored(); }  // its record is on disk
  [[nodiscard]] bool ready() const { return process_.ready(); }
  // Why it has no process, if it could not be started or is not started again.
  [[nodiscard]] const std::optional<AgentProcess::Failure>& failure() const { return process_.failure(); }
  [[nodiscard]] bool has_process() const { return process_.alive(); }
  // It has no process and none will start. Its streams end when everything is delivered.
  [[nodiscard]] bool ended() const { return !process_.alive() && wish_ != Wish::kAlive; }
  // It has no run, and no due message can begin one.
  [[nodiscard]] bool idle() const;
  [[nodiscard]] int64_t created_ms() const { return created_ms_; }                  // wall clock
  [[nodiscard]] int64_t last_event_ms() const { return journal_.last_event_ms(); }  // wall clock
  [[nodiscard]] const Approvals& approvals() const { return approvals_; }
  [[nodiscard]] const Mailbox& mailbox() const { return mailbox_; }
  [[nodiscard]] const Runs& runs() const { return runs_; }
  [[nodiscard]] const RunHistory& history() const { return history_; }
  // The log, opened on first use; and the log if it is open.
  Result<EventLog*> log();
  [[nodiscard]] EventLog* open_log() const { return journal_.log(); }

  [[nodiscard]] std::string ToJson() const;
  // {rss_bytes, cpu_ms} of its process, read from /proc now. Empty without a process.
  [[nodiscard]] std::string ResourcesJson() const;
  // Its clone, or the folder in which its process works: where its changes are. Absolute.
  [[nodiscard]] std::string WorkspaceRoot() const { return workspace_.Root(); }
  // Its live processes, and those as {processes: […]}; read from /proc now.
  [[nodiscard]] std::vector<ProcessId> Processes() const { return process_.Tree(); }
  [[nodiscard]] std::string ProcessesJson() const;
  // {agent, run, pending, open, cursor}, all at one log position; `open` is that of OpenContent. Commits the
  // log first.
  Result<std::string> Snapshot();
  // {paused, messages}: the queued messages in order.
  [[nodiscard]] std::string QueueJson() const;
  // The files of its transcript, the oldest first. Empty if nothing is recorded.
  [[nodiscard]] std::vector<std::string> TranscriptFiles() const;

  // --- commands. `by`: the caller, as events name it.
  void Start(Done done);
  void Stop(int64_t grace_ms, Done done, std::string_view by = kUnnamedCaller);
  void Restart(int64_t grace_ms, Done done, std::string_view by = kUnnamedCaller);
  // Ends the open run. The process stays if the kind supports that.
  void Interrupt(Done done);
  void Delete(bool purge, Done done, std::string_view by = kUnnamedCaller);
  struct Accepted {
    std::string message_id;
    const char* disposition = "";  // delivered, started, queued, steered, scheduled
    uint64_t seq = 0;              // the event that records it; 0: it was accepted earlier
  };
  // A message without an id gets one. A message whose id this agent has had is not accepted a second time.
  void Send(Message message, std::function<void(Result<Accepted>)> done);
  // Writes bytes to its process's stdin, as AgentProcess::WriteInput. Error "not_supported" for kinds whose
  // stdin is their protocol.
  Result<uint64_t> WriteInput(std::optional<uint64_t> offset, std::string_view bytes, bool close);
  // Several messages, in their order: all are accepted or none. With `only_if_idle` an agent that has a run
  // or a message that is due refuses them: error "busy".
  void Send(std::vector<Message> messages, bool only_if_idle,
            std::function<void(Result<std::vector<Accepted>>)> done);
  // Withdraws a message that has not begun. Errors "already_started", "message_not_found".
  void Withdraw(const std::string& message_id, const Done& done);
  void Update(SpecUpdates::Change change, SpecUpdates::Fields fields, SpecUpdates::Done done,
              std::string_view by = kUnnamedCaller);
  // Sends a signal to one of its processes, and returns the data of the event that says so. Error
  // "process_not_found": no live process of this agent has that pid.
  Result<std::string> SignalProcess(pid_t pid, int signum, std::string_view by = kUnnamedCaller);
  // `input` is a JSON object that replaces the tool's input, or empty.
  void Decide(const std::string& approval_id, Decision decision, const std::string& reason,
              const std::string& input, Done done, std::string_view by = kUnnamedCaller);
  void Answer(const std::string& elicitation_id, const ElicitationAnswer& answer, const Done& done,
              std::string_view by = kUnnamedCaller);
  // Replaces or makes the file. The process sees it at once.
  void PutFile(const std::string& name, std::string content, Done done);
  void RemoveFile(const std::string& name, Done done);

  // The model of the next turn; empty: the program's own.
  [[nodiscard]] const std::string& model() const { return model_.Or(spec_.model); }
  // Whether the kind can use this model, if it can know. Errors "not_supported", "invalid_request".
  void CheckModel(const std::string& model, Done done);
  // {models, model}: the choices, and the present one if it is known.
  void ListModels(std::function<void(Result<std::string>)> done);

  // --- for the town
  void Spawn();
  // The end of a turn: writes the checkpoint and the log, then lets the turn's effects happen. Error: the
  // disk does not take the events now (full); then the turn stays uncommitted, and output stays in its pipes.
  Status Commit();
  // The daemon is about to end. No message begins any more, and once no turn is open the process is stopped
  // with this grace time. The next daemon starts the agent again if its policy says so.
  void Drain(int64_t grace_ms);
  // Stops the process now, even within a run.
  void Shutdown(int64_t grace_ms);
  // For a drain, called once the agent has no process: saves uncommitted work of its workspace, if that is
  // configured (Git::Options::wip). `begin` permits it to begin now.
  AgentWorkspace::WipState SaveWip(bool begin, int64_t timeout_ms);

  // Calls `changed` after every change of the agent, until Unlisten.
  uint64_t Listen(std::function<void()> changed) { return listeners_.Add(std::move(changed)); }
  void Unlisten(uint64_t listener) { listeners_.Remove(listener); }
  // Calls all listeners; for the town, when this agent can no longer be found.
  void NotifyListeners() { listeners_.Notify(); }

  // --- checkpoints (KEEPER.md)
  // The whole state as one line of JSON.
  [[nodiscard]] std::string HandOver() const;
  // The same from a checkpoint.
  static Result<std::string> HandOverOf(const Checkpoint& checkpoint);
  [[nodiscard]] bool has_checkpoint() const { return checkpoint_.has_value(); }
  // The agent is about to be destroyed for good.
  void DropCheckpoint();
  // No part of it waits for the store.
  [[nodiscard]] bool settled() const;
  // The process outlives this object, as if the daemon had died; for tests.
  void Abandon() { process_.Abandon(); }
  // Whether Adopt would accept the line; has no effect. Error "handover_state".
  static Status TryAdopt(Loop& loop, HttpClient& http, const JsonValue& saved);
  // In place of Load, for an agent whose process outlived its daemon: it continues. On an error that process
  // has been killed. `checkpoint`: the one that contained `saved`.
  static Result<std::unique_ptr<Agent>> Adopt(AgentContext& context, const JsonValue& saved,
                                              std::optional<Checkpoint> checkpoint);
  // Called after Adopt, once the whole daemon is assembled. `messages`: the store's records of its unfinished
  // messages, which may be older or newer than the checkpoint.
  void Activate(const std::vector<MessageRecord>& messages);

 private:
  class Facts;
  class Messages;
  class Recovery;

  Agent(AgentContext& context, AgentSpec spec);

  void Advance();
  // It has changed in this turn, and must be committed at the turn's end.
  void Touch();
  // The same, and the change concerns the part of its state that Settled saves.
  void TouchAll();
  [[nodiscard]] bool NeedsCheckpoint() const;
  [[nodiscard]] bool checkpointed() const;
  Status WriteCheckpoint();
  void TakeOpenContentAgain();
  [[nodiscard]] State Derive() const;
  [[nodiscard]] bool draining() const { return drain_grace_ms_.has_value(); }
  [[nodiscard]] bool turn_open() const { return has_turns_ && runs_.open(); }
  void ApplyBackPressure() { process_.PauseReading(journal_.blocked()); }
  void UpdateClocks();
  [[nodiscard]] std::string SpecJson() const;
  void CheckModels(std::vector<std::string> models, Done done);
  // Adds {waiting_for, waiting_since, open_call}: the thing that the open run waits for now.
  void SetWaitingFor(JsonObject& json) const;
  void StopProcess(int64_t grace_ms, EndReason reason, std::string_view by = kUnnamedCaller);
  void ReplaceProcess(const char* code, const char* why);
  void PlanRestart(bool failed, int64_t lived_ms);
  void EndWithDaemon();
  void BeginRun();
  void OnRunBegun(uint64_t number, const std::string& message_id);
  void EndRun(RunEnding ending);
  void InterruptRun();
  // A question is not pending: the result is the error of a decision about it.
  void FindResolved(const char* what, const std::string& id, Status unknown, Done done);
  void AppendError(const Error& error, bool fatal);
  [[nodiscard]] Status CheckExists() const;    // Error "agent_deleted", or its damage
  [[nodiscard]] Status CheckMayBegin() const;  // also Error "draining"
  void ForgetSecrets();
  [[nodiscard]] Result<AgentSpec> MakeSpec(const SpecUpdates::Change& change);
  Result<bool> ApplySpec(const AgentSpec& spec, const SpecUpdates::Fields& fields, const std::string& by);

  void LoadSecrets();
  [[nodiscard]] std::string StateJson() const;
  Status LoadState(const JsonValue& state);
  static void Record(auto& self, auto& state);
  // The two parts of a checkpoint: members that output does not change, and those that it does.
  static void Settled(auto& self, auto& state);
  static void Flowing(auto& self, auto& state);
  [[nodiscard]] std::string SettledText() const;
  [[nodiscard]] std::string FlowingText() const;

  AgentContext& context_;
  AgentSpec spec_;
  std::string made_by_;
  std::string connection_;
  const Kind& kind_;
  const bool has_turns_;
  int64_t created_ms_ = 0;
  std::optional<Error> damage_;  // why it could not be loaded

  Wish wish_ = Wish::kStopped;
  bool replace_ = false;                   // start again at once when the current process has ended
  std::optional<int64_t> drain_grace_ms_;  // set once the daemon is about to end
  bool spawn_wanted_ = false;              // the town was asked for a turn
  State state_ = State::kExited;

  bool touched_ = false;
  // Its output used up its share of a turn. The next turn is for the others: with a share in each turn, an
  // event of theirs would wait for that of the turn in which it comes, and for the next one, too.
  bool rests_ = false;
  bool touched_all_ = true;
  std::optional<Checkpoint> checkpoint_;  // while its process should outlive the daemon
  std::string settled_text_;              // in the checkpoint; kept by builds with sanitizers, to check it

  Journal journal_;
  RecordWriter writer_;
  AgentSecrets secrets_;
  AgentWorkspace workspace_;
  Runs runs_;
  ModelChoice model_;
  OpenContent open_content_;
  const RunHistory history_;
  Restarts restarts_;
  Mailbox mailbox_;
  AgentClocks clocks_;
  Approvals approvals_;
  Timer backoff_;
  SpecUpdates updates_;
  enum class Advancing { kNo, kYes, kAgain } advancing_ = Advancing::kNo;
  Listeners listeners_;
  Lifetime alive_;
  std::unique_ptr<Messages> messages_;
  std::unique_ptr<Facts> facts_;
  // The last member: it reports to the others while it is destroyed, so they must outlive it.
  AgentProcess process_;
};

}  // namespace reeve
