// The commands of an agent, and the one place where everything is looked at: Advance(). Its process's reports
// are in agent_facts.cc, its messages in agent_messages.cc, the state that it keeps in agent_state.cc, what
// follows the death of a daemon in agent_recovery.cc, what the API sees in agent_json.cc.
#include "orchestrator/agent/agent.h"

#include <cstdlib>
#include <utility>

#include "orchestrator/json/json.h"
#include "orchestrator/log/event_types.h"
#include "process/clock.h"
#include "process/log.h"
#include "process/loop.h"
#include "process/random.h"

namespace reeve {

Agent::Agent(AgentContext& context, AgentSpec spec)
    : context_(context),
      spec_(std::move(spec)),
      kind_(*context.find_kind(spec_.kind)),
      has_turns_(kind_.can.turns || spec_.turns),
      journal_(context, id(), [this] { context_.dirty(*this); }),
      writer_(context.loop, context.store,
              {[this] {
                 const bool changing = !updates_.empty() && updates_.front().spec;
                 const AgentSpec& next = changing ? *updates_.front().spec : spec_;
                 // The store's worker may be quicker than the end of this turn; but what the record takes to
                 // be over must be over in the log, or nobody would look there. Where that cannot be written
                 // "alive" stays.
                 if (journal_.log()) (void)journal_.CommitNow();
                 return RecordWriter::Content{
                     {id(), next.ToJson(AgentSpec::Secrets::kKeep), StateJson(), deleted()},
                     wish_ == Wish::kAlive};
               },
               [this] { return StateJson(); }, [this] { Advance(); }}),
      secrets_(context, id(), spec_.api,
               {spec_.record ? [this](const std::string& secret) { process_.Hide(secret); }
                             : std::function<void(const std::string&)>(),
                [this] { Advance(); }}),
      workspace_(context, spec_,
                 [this](std::string_view type, const std::string& data) { journal_.Append(type, data); }),
      mailbox_(has_turns_),
      clocks_(context.loop, spec_.limits,
              {[this](int64_t silent_ms) { OnStalled(silent_ms); },
               [this](int64_t silent_ms) {
                 journal_.Append(event_type::kAgentResumed, JsonObject().Set("silent_ms", silent_ms).Take());
                 Advance();
               },
               [this] {
                 OnOverLimit("wall_ms", {"limit_exceeded", "the run took longer than limits.wall_ms, " +
                                                               std::to_string(spec_.limits.wall_ms)});
               },
               [this] { OnIdleTooLong(); }}),
      approvals_(context.loop, context.clock, id(), spec_.permissions,
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
                  [this] { Advance(); }}),
      backoff_(context.loop, [this] { Advance(); }),
      due_(context.loop,
           [this] {
             TakeDueMessages();
             Advance();
           }),
      process_(context, spec_, kind_, *this) {}

// Those who wait for an update are told that it will not come.
Agent::~Agent() {
  for (const PendingUpdate& update : updates_) {
    update.done(Error{"agent_deleted", "agent " + id() + " has been deleted"});
  }
}

Result<std::unique_ptr<Agent>> Agent::Create(AgentContext& context, AgentSpec spec, std::string made_by,
                                             Done done) {
  std::map<std::string, std::string> files = std::exchange(spec.files, {});
  std::unique_ptr<Agent> made(new Agent(context, std::move(spec)));
  Agent* agent = made.get();
  agent->made_by_ = std::move(made_by);
  if (auto opened = agent->journal_.Open(); !opened) return opened.error();
  agent->created_ms_ = context.clock.WallMs();
  agent->wish_ = Wish::kAlive;
  agent->state_ = State::kStarting;
  agent->secrets_.WriteFirst(std::move(files), [agent, done = std::move(done)](const Status& written) {
    if (!written) return done(written);
    std::optional<MessageRecord> record;
    if (!agent->spec_.prompt.empty()) {
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

// ----------------------------------------------------------------------------------------------- commands

Status Agent::CheckExists() const {
  if (deleted()) return Error{"agent_deleted", "agent " + id() + " has been deleted"};
  return {};
}

void Agent::Start(Done done) {
  if (Status exists = CheckExists(); !exists) return done(exists);
  if (draining()) return done(Error{"draining", "the daemon is shutting down"});
  if (auto opened = journal_.Open(); !opened) return done(opened);
  mailbox_.OnStart();
  if (process_.stopping()) replace_ = true;
  if (!process_.alive()) {
    backoff_.Stop();
    restarts_.Forgive();
    process_.ForgetFailure();
  }
  wish_ = Wish::kAlive;
  writer_.Save(std::move(done));
  Advance();
}

void Agent::Stop(int64_t grace_ms, Done done) {
  if (Status exists = CheckExists(); !exists) return done(exists);
  if (ended()) {
    return done(Error{"not_running", "agent " + id() + " has no process and none is to come"});
  }
  wish_ = Wish::kStopped;
  replace_ = false;
  // No process is there to report its end: those who wait for that are told here.
  if (!process_.alive())
    journal_.Append(event_type::kAgentExited, JsonObject().Set("reason", "stopped").Take());
  backoff_.Stop();
  mailbox_.OnStop(runs_.open().has_value());
  StopProcess(grace_ms, EndReason::kPerson);
  writer_.Save(std::move(done));
  Advance();
}

void Agent::Restart(int64_t grace_ms, Done done) {
  if (!process_.alive()) return Start(std::move(done));
  if (Status exists = CheckExists(); !exists) return done(exists);
  if (draining()) return done(Error{"draining", "the daemon is shutting down"});
  wish_ = Wish::kAlive;
  replace_ = true;
  if (runs_.RequestEnd(EndReason::kPerson)) mailbox_.OnInterrupt();
  StopProcess(grace_ms, EndReason::kPerson);
  writer_.Save(std::move(done));
  Advance();
}

void Agent::Interrupt(Done done) {
  if (!process_.alive() || !runs_.open()) {
    return done(Error{"not_running", "agent " + id() + " has no run to interrupt"});
  }
  if (runs_.RequestEnd(EndReason::kPerson)) mailbox_.OnInterrupt();
  InterruptRun();
  writer_.Save(std::move(done));  // the pause is to outlive the daemon
  Advance();
}

void Agent::Delete(bool purge, Done done) {
  // Those who watch many agents: of one that has ended nothing else would tell them.
  if (!deleted() && journal_.Open()) journal_.Append(event_type::kAgentUpdated, R"({"deleted":true})");
  wish_ = purge || this->purge() ? Wish::kPurged : Wish::kDeleted;
  replace_ = false;
  for (auto& [name, value] : spec_.env) value.clear();
  secrets_.Forget(process_.alive());
  backoff_.Stop();
  CancelMessages();
  StopProcess(kDefaultGraceMs, EndReason::kPerson);
  writer_.Save(std::move(done));
  Advance();
}

void Agent::Withdraw(const std::string& message_id, const Done& done) {
  const Mailbox::Entry* entry = mailbox_.Find(message_id);
  const bool waits =
      entry && (entry->stage == Mailbox::Stage::kWaiting || entry->stage == Mailbox::Stage::kScheduled);
  if ((entry && !waits && entry->stage != Mailbox::Stage::kArriving) || runs_.OfMessage(message_id)) {
    return done(Error{"already_started", "message " + message_id + " has been started"});
  }
  if (auto opened = journal_.Open(); !opened) return done(opened);
  if (!waits) {
    return done(Error{"message_not_found", "agent " + id() + " has no message " + message_id + " waiting"});
  }
  mailbox_.Remove(message_id);
  WatchDue();
  FinishMessage(message_id, Run::Status::kCancelled, "");
  done(journal_.CommitNow());  // where the store cannot follow at once, a restart reads it there
  Advance();
}

void Agent::Decide(const std::string& approval_id, Decision decision, const std::string& reason,
                   const std::string& input, Done done) {
  if (!input.empty() && !kind_.can.change_input && approvals_.Find(approval_id)) {
    return done(Error{"invalid_request", "input: kind " + spec_.kind + " cannot change what a tool gets"});
  }
  const Status decided = approvals_.Decide(approval_id, decision, reason, input);
  if (decided && decision == Decision::kAllowAlways) {
    writer_.Save(std::move(done));
  } else {
    done(decided);
  }
  Advance();
}

void Agent::Answer(const std::string& elicitation_id, const ElicitationAnswer& answer, const Done& done) {
  done(approvals_.Answer(elicitation_id, answer));
  Advance();
}

void Agent::PutFile(const std::string& name, std::string content, Done done) {
  if (Status exists = CheckExists(); !exists) return done(exists);
  secrets_.Put(name, std::move(content), std::move(done));
}

void Agent::RemoveFile(const std::string& name, Done done) {
  if (Status exists = CheckExists(); !exists) return done(exists);
  secrets_.Remove(name, std::move(done));
}

void Agent::ListModels(std::function<void(Result<std::string>)> done) {
  if (!kind_.can.model) {
    return done(Error{"not_supported", "kind " + spec_.kind + " has no choice of models"});
  }
  if (!process_.ready()) return done(Error{"not_running", "agent " + id() + " is not running"});
  process_.ListModels([model = spec_.model, done = std::move(done)](const Result<std::string>& models) {
    if (!models) return done(Error{"models_unavailable", models.error().message});
    JsonObject answer;
    answer.SetRaw("models", *models);
    if (!model.empty()) answer.Set("model", model);
    done(answer.Take());
  });
}

// ----------------------------------------------------------------------------------------------- updates

void Agent::Update(SpecChange change, std::vector<std::string> fields,
                   std::function<void(Result<bool>)> done) {
  if (Status exists = CheckExists(); !exists) return done(exists.error());
  if (auto opened = journal_.Open(); !opened) return done(opened.error());
  updates_.push_back({std::move(change), std::move(fields), std::move(done), std::nullopt});
  if (updates_.size() == 1) NextUpdate();
}

// The spec changes in memory only once the change is on disk: nobody finds it done who is told that it
// failed.
void Agent::NextUpdate() {
  while (!updates_.empty()) {
    PendingUpdate& update = updates_.front();
    Status exists = CheckExists();
    Result<AgentSpec> spec = exists ? update.change(spec_) : exists.error();
    if (spec) {
      update.spec = std::move(*spec);
      for (const auto& [name, value] : update.spec->env) process_.Hide(value);
      return writer_.Save(Guarded([this](const Status& status) { OnUpdateWritten(status); }));
    }
    const PendingUpdate refused = std::move(update);
    updates_.pop_front();
    refused.done(spec.error());
  }
}

void Agent::OnUpdateWritten(const Status& status) {
  const PendingUpdate update = std::move(updates_.front());
  updates_.pop_front();
  const Status written = status && deleted() ? CheckExists() : status;
  bool next_start = false;
  if (written) {
    spec_ = *update.spec;
    clocks_.LookAgain();
    auto json = JsonDocument::Parse(spec_.ToJson(AgentSpec::Secrets::kNamesOnly));
    JsonObject data;
    for (const std::string& field : update.fields) {
      data.SetRaw(field, (*json)[field].Raw());
      next_start = next_start || field == "env" || field == "system_prompt";
    }
    journal_.Append(event_type::kAgentUpdated, data.Take());
  }
  update.done(written ? Result<bool>(next_start && process_.alive()) : written.error());
  NextUpdate();
}

// ------------------------------------------------------------------------------------------ the one place

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
    advancing_ = Advancing::kAgain;  // the round under way is followed by one that sees the new facts
    return;
  }
  do {
    advancing_ = Advancing::kYes;
    if (draining() && !process_.stopping() && !turn_open()) EndWithDaemon();
    if (wish_ != Wish::kAlive && process_.running()) StopProcess(kDefaultGraceMs, EndReason::kDaemon);
    if (wish_ != Wish::kAlive || draining()) workspace_.Cancel();
    const bool may_start = wish_ == Wish::kAlive && !draining() && !process_.alive() && !backoff_.active() &&
                           writer_.alive_on_disk() && !secrets_.due() && !workspace_.preparing();
    if (may_start && !spawn_wanted_) {
      spawn_wanted_ = true;
      context_.want_spawn(*this);
    }
    ClaimNext();
    UpdateClocks();
    ApplyBackPressure();
    state_ = Derive();
    writer_.SaveIfChanged();
  } while (advancing_ == Advancing::kAgain);
  advancing_ = Advancing::kNo;
  NotifyListeners();
}

void Agent::NotifyListeners() {
  const auto told = listeners_;  // one may leave while it is called
  for (const auto& [listener, changed] : told) {
    if (listeners_.count(listener) != 0) changed();
  }
}

uint64_t Agent::Listen(std::function<void()> changed) {
  listeners_.emplace(next_listener_, std::move(changed));
  return next_listener_++;
}

void Agent::UpdateClocks() {
  using Doing = AgentClocks::Doing;
  if (!process_.ready()) return clocks_.Set(Doing::kNothing);
  const bool waits = !approvals_.pending().empty();
  if (runs_.open()) return clocks_.Set(waits ? Doing::kWaiting : Doing::kRunning);
  clocks_.Set(idle() && !waits ? Doing::kIdle : Doing::kNothing);
}

// ------------------------------------------------------------------------------------ start, stop, restart

void Agent::Spawn() {
  spawn_wanted_ = false;
  if (process_.alive() || wish_ != Wish::kAlive || draining()) return Advance();
  process_.ForgetFailure();
  auto failed = [this](const Error& error) {
    process_.Fail(error);
    PlanRestart(true, 0);
    Advance();
  };
  if (!workspace_.there()) {
    workspace_.Prepare([this, failed](const Status& made) { made ? Advance() : failed(made.error()); });
    return Advance();
  }
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

// `reason`: why the open run ends.
void Agent::StopProcess(int64_t grace_ms, EndReason reason) {
  runs_.RequestEnd(reason);
  if (process_.running()) {
    journal_.Append(event_type::kAgentStopping, JsonObject().Set("grace_ms", grace_ms).Take());
  }
  process_.Stop(grace_ms);
}

void Agent::ReplaceProcess(const char* code, const char* why) {
  if (!process_.running()) return;
  log::Warning("agent {}: {}: its process is replaced", id(), why);
  AppendError({code, why}, true);
  replace_ = true;
  StopProcess(kDefaultGraceMs, EndReason::kDaemon);
  Advance();
}

// After a process that ended by itself, or could not be started.
void Agent::PlanRestart(bool failed, int64_t lived_ms) {
  using What = Restarts::Decision::What;
  // Waiting messages want a process too; but one that cannot even get ready is not tried again for them.
  const bool messages_wait = !process_.failure() && (mailbox_.HasNext() || mailbox_.claimed());
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
    process_.Fail({"crash_loop", "ended " + std::to_string(restarts_.recent() + 1) + " times within " +
                                     std::to_string(spec_.restart.window_ms) + " ms"});
  }
  if (!process_.failure()) return;
  process_.AddOutputToFailure();
  const AgentProcess::Failure& failure = *process_.failure();
  JsonObject data;
  data.Set("code", failure.error.code).Set("message", failure.error.message);
  if (!failure.output.empty()) data.Set("output", failure.output);
  journal_.Append(event_type::kAgentFailed, data.Take());
}

void Agent::Drain(int64_t grace_ms) {
  drain_grace_ms_ = grace_ms;
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

AgentWorkspace::Saving Agent::SaveWork(bool begin, int64_t timeout_ms) {
  if (deleted()) return AgentWorkspace::Saving::kNothing;
  return workspace_.SaveWork(begin && !process_.alive(), timeout_ms);
}

}  // namespace reeve
