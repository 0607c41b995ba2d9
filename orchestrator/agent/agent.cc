// Advance(), the one place that examines the whole agent, and the begin and end of its process and runs.
// Commands are in agent_commands.cc, the rules of messages in agent_messages.cc, the rules of the process's
// reports in agent_facts.cc, the saved state in agent_saved.cc, the recovery after a daemon's death in
// agent_recovery.cc, and the API's view in agent_json.cc.
#include "orchestrator/agent/agent.h"

#include <cstdlib>
#include <utility>

#include "orchestrator/agent/agent_facts.h"
#include "orchestrator/agent/agent_messages.h"
#include "orchestrator/config/units.h"
#include "orchestrator/handover/crash_page.h"
#include "orchestrator/json/json.h"
#include "orchestrator/log/event_types.h"
#include "process/clock.h"
#include "process/log.h"
#include "process/loop.h"
#include "process/process_parent.h"
#include "process/random.h"

namespace reeve {

namespace {

std::string WindowWords(int64_t window_ms) {
  constexpr int64_t kMinuteMs = 60'000;
  if (window_ms % kMinuteMs != 0) return FormatDuration(window_ms);
  return std::to_string(window_ms / kMinuteMs) + (window_ms == kMinuteMs ? " minute" : " minutes");
}

std::string LastEndWords(const std::optional<ExitStatus>& exit) {
  if (!exit) return {};
  return exit->signal != 0 ? ", last by signal " + std::to_string(exit->signal)
                           : ", last with code " + std::to_string(exit->code);
}

}  // namespace

Agent::Agent(AgentContext& context, AgentSpec spec)
    : context_(context),
      spec_(std::move(spec)),
      kind_(*context.find_kind(spec_.kind)),
      has_turns_(kind_.can.turns || spec_.turns),
      journal_(context, id(), [this] { TouchAll(); }),
      writer_(context.loop, context.store,
              {[this] {
                 const AgentSpec& next = updates_.writing() && !deleted() ? *updates_.writing() : spec_;
                 // The store's worker may be quicker than the end of this turn; but what the record takes to
                 // be over must be over in the log, or nobody would look there. Where that cannot be written
                 // "alive" stays.
                 if (journal_.log()) (void)journal_.CommitNow();
                 return RecordWriter::Content{
                     {id(), next.ToJson(AgentSpec::Secrets::kKeep), StateJson(), deleted()},
                     wish_ == Wish::kAlive};
               },
               [this] { return StateJson(); }, [this] { Advance(); }}),
      secrets_(context, spec_,
               {[this](const std::string& secret) { process_.Hide(secret); }, [this] { Advance(); }}),
      workspace_(context, spec_,
                 [this](std::string_view type, const std::string& data) { journal_.Append(type, data); }),
      history_(context.store, id(), runs_),
      mailbox_(has_turns_),
      clocks_(context.loop, spec_.limits,
              {[this](int64_t silent_ms) { facts_->OnStalled(silent_ms); },
               [this](int64_t silent_ms) { facts_->OnResumed(silent_ms); },
               [this] { facts_->OnWallTimeOver(); }, [this] { facts_->OnIdleTooLong(); }}),
      approvals_(context.loop, context.clock, id(), spec_.permissions, context.question_bytes,
                 {[this](std::string_view type, const std::string& data, bool now) -> Status {
                    if (!now) return journal_.Append(type, data), Status();
                    auto appended = journal_.AppendNow({{type, data}});
                    return appended ? Status() : appended.error();
                  },
                  [this](const std::string& approval, const ApprovalAnswer& answer) {
                    process_.Decide(approval, answer);
                  },
                  [this](const std::string& elicitation, const ElicitationAnswer& answer) {
                    process_.Answer(elicitation, answer);
                  },
                  [this] { Advance(); },
                  [this](const std::string& run, const ResolvedApproval& resolved) {
                    if (runs_.open() && runs_.open()->id == run) runs_.Resolved(resolved);
                  }}),
      backoff_(context.loop, [this] { Advance(); }),
      updates_({[this](const SpecUpdates::Change& change) { return MakeSpec(change); },
                [this](Done done) { writer_.Save(std::move(done)); },
                [this](const AgentSpec& written, const SpecUpdates::Fields& fields, const std::string& by) {
                  return ApplySpec(written, fields, by);
                }}),
      messages_(std::make_unique<Messages>(*this)),
      facts_(std::make_unique<Facts>(*this)),
      process_(context, spec_, kind_, *facts_) {}

// Parts that end with it may report changes, which nobody will commit.
Agent::~Agent() { touched_ = true; }

Result<std::unique_ptr<Agent>> Agent::Create(AgentContext& context, AgentSpec spec, std::string made_by,
                                             Done done, std::string connection) {
  std::map<std::string, std::string> files = std::exchange(spec.files, {});
  std::unique_ptr<Agent> made(new Agent(context, std::move(spec)));
  Agent* agent = made.get();
  agent->made_by_ = std::move(made_by);
  agent->connection_ = std::move(connection);
  if (auto opened = agent->journal_.Open(); !opened) return opened.error();
  agent->created_ms_ = context.clock.WallMs();
  agent->wish_ = Wish::kAlive;
  agent->state_ = State::kStarting;
  agent->writer_.AwaitFirst();
  agent->secrets_.WriteFirst(std::move(files), [agent, done = std::move(done)](const Status& written) {
    if (!written) return done(written);
    std::optional<MessageRecord> record;
    if (!agent->spec_.prompt.empty() && !agent->deleted()) {
      Message first{"m" + RandomHex(8), agent->spec_.prompt};
      first.queued_ms = agent->created_ms_;
      record = MessageRecord{first.id, agent->id(), first.ToJson(), "queued"};
      const std::string message_id = first.id;
      (void)agent->mailbox_.Accept(std::move(first));
      agent->mailbox_.Queue(message_id);
    }
    agent->writer_.SaveFirst(std::move(record), done);
  });
  return made;
}

Result<EventLog*> Agent::log() {
  if (auto opened = journal_.Open(); !opened) return opened.error();
  return journal_.log();
}

bool Agent::idle() const {
  return !runs_.open() && !mailbox_.HasNext() && !mailbox_.claimed() && !mailbox_.ArrivingNow();
}

// ------------------------------------------------------------------------------------------------- Advance

Agent::State Agent::Derive() const {
  if (process_.alive()) {
    if (process_.stopping()) return State::kStopping;
    if (!process_.ready()) return State::kStarting;
    if (!approvals_.pending().empty()) return State::kNeedsInput;
    if (!runs_.open()) return State::kIdle;
    return clocks_.stalled() ? State::kStalled : State::kRunning;
  }
  if (wish_ == Wish::kAlive && !draining()) return backoff_.active() ? State::kBackoff : State::kStarting;
  return process_.failure() ? State::kFailed : State::kExited;
}

void Agent::Advance() {
  if (advancing_ != Advancing::kNo) {
    advancing_ = Advancing::kAgain;  // the current round is followed by one that sees the new facts
    return;
  }
  do {
    advancing_ = Advancing::kYes;
    if (draining() && !process_.stopping() && !turn_open()) EndWithDaemon();
    if (wish_ != Wish::kAlive && process_.running()) StopProcess(kDefaultGraceMs, EndReason::kDaemon);
    if (wish_ != Wish::kAlive || draining()) workspace_.Cancel();
    const bool may_start = wish_ == Wish::kAlive && !draining() && !process_.alive() && !backoff_.active() &&
                           writer_.alive_on_disk() && checkpointed() && !secrets_.due() &&
                           !workspace_.preparing();
    if (may_start && !spawn_wanted_) {
      spawn_wanted_ = true;
      context_.want_spawn(*this);
    }
    messages_->ClaimNext();
    UpdateClocks();
    ApplyBackPressure();
    state_ = Derive();
    if (!damaged()) writer_.SaveIfChanged();
  } while (advancing_ == Advancing::kAgain);
  advancing_ = Advancing::kNo;
  if (context_.parent.keeps()) TouchAll();
  NotifyListeners();
}

void Agent::Touch() {
  if (!std::exchange(touched_, true)) context_.dirty(*this);
}

void Agent::TouchAll() {
  touched_all_ = true;
  Touch();
}

// The record in the store is enough for an agent that has no process and wants none.
bool Agent::NeedsCheckpoint() const {
  return context_.parent.keeps() && (process_.alive() || wish_ == Wish::kAlive);
}

// A process may start only then. Each write of the record commits the log first, so the log may be ahead of
// the turn. Without a checkpoint, the next daemon could not cut it, and would find a process there that had
// no turn.
bool Agent::checkpointed() const { return !context_.parent.keeps() || (checkpoint_ && checkpoint_->valid()); }

void Agent::DropCheckpoint() {
  if (!checkpoint_) return;
  context_.parent.Drop(checkpoint_->key());
  checkpoint_.reset();
  touched_all_ = true;
}

Status Agent::WriteCheckpoint() {
  const bool changed = std::exchange(touched_all_, false) || !checkpoint_->valid();
#if defined(REEVE_SANITIZED)
  const std::string before = std::exchange(settled_text_, SettledText());
  if (!changed && before != settled_text_) {
    log::Failure("agent {}: a change was not told: {} is now {}", id(), before, settled_text_);
    std::abort();
  }
#endif
  if (changed) {
    if (Status written = checkpoint_->Write(0, SettledText()); !written) {
      touched_all_ = true;
      return written;
    }
  }
  return checkpoint_->Write(1, FlowingText(), process_.last_words());
}

Status Agent::Commit() {
  if (std::exchange(rests_, false)) {
    journal_.EndTurn();
    if (!touched_) {
      ApplyBackPressure();
      return {};
    }
  }
  touched_ = false;
  const bool needed = NeedsCheckpoint();
  Status committed;
  if (needed && !checkpoint_) {
    auto made = Checkpoint::Make(context_.parent, ProcessParent::Purpose::kAgentCheckpoint);
    if (made) checkpoint_ = std::move(*made);
    if (!made) committed = made.error();
  }
  if (committed && needed) committed = WriteCheckpoint();
  if (committed && journal_.log()) committed = journal_.CommitNow();
  const bool first = needed && !checkpointed();
  if (committed && needed) committed = checkpoint_->Commit();  // from here on the turn has happened
  if (committed && !needed) DropCheckpoint();
  if (committed && context_.crash_page && process_.TakeHandledOutput()) context_.crash_page->Committed(id());
  if (committed) process_.Publish();
  rests_ = committed && journal_.share_used();
  if (rests_) {
    context_.dirty(*this);
  } else if (journal_.log()) {
    journal_.EndTurn();
  }
  ApplyBackPressure();
  if (committed && first) Advance();
  return committed;
}

void Agent::UpdateClocks() {
  using Doing = AgentClocks::Doing;
  if (!process_.ready()) return clocks_.Set(Doing::kNothing);
  const bool waits = !approvals_.pending().empty();
  if (runs_.open()) return clocks_.Set(waits ? Doing::kWaiting : Doing::kRunning);
  clocks_.Set(idle() && !waits ? Doing::kIdle : Doing::kNothing);
}

// --------------------------------------------------------------------------------------------------- runs

// A run that began without a message of ours.
void Agent::BeginRun() {
  OnRunBegun(journal_.next_seq(), "");
  journal_.Append(event_type::kRunStarted, "{}");
  // A turn that an agent begins by itself while it is being stopped ends with the process, by nobody's fault.
  if (process_.stopping() && !process_.failure()) runs_.RequestEnd(EndReason::kDaemon);
}

// `number` is that of its run.started.
void Agent::OnRunBegun(uint64_t number, const std::string& message_id) {
  runs_.Begin(number, message_id, context_.clock.WallMs());
  journal_.SetRun(Run::IdOf(number));
  clocks_.BeginRun();
}

void Agent::EndRun(RunEnding ending) {
  approvals_.WithdrawRun(runs_.open()->id);
  process_.OnTurnOver();
  const Run& ended = runs_.End(std::move(ending), context_.clock.WallMs());
  journal_.Append("run." + std::string(NameOf(ended.status)), ended.EndJson());
  if (ended.status == Run::Status::kFailed && model_.OnFailed()) {
    JsonObject back;
    model().empty() ? back.SetRaw("model", "null") : back.Set("model", model());
    journal_.Append(event_type::kAgentUpdated, back.Take());
  }
  journal_.SetRun("");
  open_content_.EndRun();
  auto put = [this, record = RunRecord{id(), ended.number(), ended.ToJson()}](Store::Done done) {
    context_.store.PutRun(record, std::move(done));
  };
  // The end of this run's message is written next, so it is not known to be in the store yet.
  writer_.WriteEventually(std::move(put), [this, number = ended.number()] {
    if (writer_.refused()) return;  // something older may be missing
    runs_.StoredBefore(number);
    if (context_.parent.keeps()) TouchAll();
  });
  mailbox_.OnRunEnded(ended, wish_ != Wish::kAlive && process_.stopping());
  if (!ended.message_id.empty()) messages_->Finish(ended.message_id, ended.status, ended.id);
}

// If the turn does not end because of it, the process is replaced. A process whose life is the run may react
// to the signal as it likes.
void Agent::InterruptRun() {
  if (process_.alive()) process_.InterruptTurn();
  if (turn_open()) process_.AwaitTurnEnd();
}

void Agent::AppendError(const Error& error, bool fatal) {
  journal_.Append(
      event_type::kAgentError,
      JsonObject().Set("code", error.code).Set("message", error.message).Set("fatal", fatal).Take());
}

// ------------------------------------------------------------------------------------ start, stop, restart

void Agent::Spawn() {
  spawn_wanted_ = false;
  if (process_.alive() || wish_ != Wish::kAlive || draining()) return Advance();
  process_.ForgetFailure();
  mailbox_.OnProcessStart();
  auto failed = [this](const Error& error) {
    process_.Fail(error);
    PlanRestart(true, 0);
    Advance();
  };
  if (!workspace_.there()) {
    workspace_.Prepare([this, failed](const Status& made) { made ? Advance() : failed(made.error()); });
    return Advance();
  }
  process_.ForgetLast();
  Status status = secrets_.MakeFolder();
  if (status) status = workspace_.Check();
  if (status) status = process_.Spawn();
  if (!status) return failed(status.error());
  workspace_.OnProcessStarted();
  journal_.Append(event_type::kAgentStarting,
                  JsonObject().Set("pid", int64_t{process_.pid()}).Set("restarts", restarts_.total()).Take());
  if (!has_turns_) BeginRun();
  process_.Begin();
  Advance();
}

// `reason`: why the open run ends. `by`: the caller who asked for it, if one did.
void Agent::StopProcess(int64_t grace_ms, EndReason reason, std::string_view by) {
  runs_.RequestEnd(reason);
  if (process_.running()) {
    JsonObject data;
    data.Set("grace_ms", grace_ms);
    SetBy(data, by);
    journal_.Append(event_type::kAgentStopping, data.Take());
  }
  process_.Stop(grace_ms);
}

void Agent::ReplaceProcess(const char* code, const char* why) {
  if (!process_.running()) return;
  log::Warning("agent {}: replacing its process: {}", id(), why);
  AppendError({code, why}, true);
  replace_ = true;
  StopProcess(kDefaultGraceMs, EndReason::kDaemon);
  Advance();
}

// Called after a process ended by itself or could not be started.
void Agent::PlanRestart(bool failed, int64_t lived_ms) {
  using What = Restarts::Decision::What;
  // Waiting messages need a process too. But a process that cannot even become ready is not retried for them.
  const bool messages_wait = !process_.failure() && mailbox_.WantsProcess();
  const Restarts::Decision next =
      restarts_.Next(spec_.restart, context_.clock.MonotonicMs(), lived_ms, failed, messages_wait);
  if (next.what == What::kAfter) {
    journal_.Append(event_type::kAgentRestarting,
                    JsonObject().Set("attempt", restarts_.total()).Set("delay_ms", next.delay_ms).Take());
    backoff_.Start(next.delay_ms);
    return;
  }
  wish_ = Wish::kStopped;
  if (next.what == What::kGiveUp) {
    process_.Fail({"crash_loop", "gave up: ended " + std::to_string(restarts_.recent() + 1) + " times in " +
                                     WindowWords(spec_.restart.window_ms) + LastEndWords(process_.exit())});
  }
  if (!process_.failure()) return messages_->FailNotTaken();
  process_.AddOutputToFailure();
  const AgentProcess::Failure& failure = *process_.failure();
  JsonObject data;
  data.Set("code", failure.error.code).Set("message", failure.error.message);
  if (!failure.output.empty()) data.Set("output", failure.output);
  journal_.Append(event_type::kAgentFailed, data.Take());
  messages_->FailNotTaken();
}

void Agent::Drain(int64_t grace_ms) {
  drain_grace_ms_ = grace_ms;
  if (process_.stopping() && !turn_open()) EndWithDaemon();  // a stop under way may have more time
  Advance();
}

void Agent::Shutdown(int64_t grace_ms) {
  drain_grace_ms_ = grace_ms;
  EndWithDaemon();
  Advance();
}

void Agent::EndWithDaemon() {
  replace_ = false;
  backoff_.Stop();
  if (wish_ == Wish::kAlive && spec_.restart.when == RestartPolicy::When::kNever) wish_ = Wish::kStopped;
  StopProcess(*drain_grace_ms_, EndReason::kDaemon);
}

AgentWorkspace::WipState Agent::SaveWip(bool begin, int64_t timeout_ms) {
  if (deleted()) return AgentWorkspace::WipState::kNothing;
  return workspace_.SaveWip(begin && !process_.alive(), timeout_ms);
}

}  // namespace reeve
