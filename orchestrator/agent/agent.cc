// The life of an agent's process: wishes, start, stop, end, restart. Its runs are in agent_runs.cc, its
// approvals in agent_approvals.cc, its record and its faces in agent_record.cc, what follows a crash of the
// daemon in agent_recovery.cc.
#include "orchestrator/agent/agent.h"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <utility>

#include "process/clock.h"
#include "process/log.h"
#include "process/loop.h"
#include "process/random.h"

namespace reeve {

namespace {

constexpr int64_t kBackoffMinMs = 1'000;
constexpr int64_t kBackoffMaxMs = 60'000;
// Kept of what a process printed, for those who ask why it failed.
constexpr size_t kLastWords = 4096;
constexpr size_t kLastLines = 10;
constexpr int64_t kHealthyMs = 60'000;  // lived this long: the next restart's backoff begins anew

// What a child gets of the daemon's own environment; everything else is the spec's.
constexpr const char* kInherited[] = {
    "PATH",     "HOME", "USER",   "LOGNAME", "SHELL",           "LANG",          "LC_ALL",
    "LC_CTYPE", "TZ",   "TMPDIR", "TERM",    "XDG_RUNTIME_DIR", "SSL_CERT_FILE", "SSL_CERT_DIR"};

std::string LastLines(std::string_view text) {
  while (!text.empty() && text.back() == '\n') text.remove_suffix(1);
  text.remove_prefix(text.size() - std::min(text.size(), kLastWords));
  size_t begin = text.size();
  for (size_t line = 0; line < kLastLines && begin > 0 && begin != std::string_view::npos; ++line) {
    begin = text.rfind('\n', begin - 1);
  }
  return std::string(begin == std::string_view::npos || begin == 0 ? text : text.substr(begin + 1));
}

}  // namespace

Agent::Agent(AgentContext& context, AgentSpec spec)
    : context_(context),
      spec_(std::move(spec)),
      kind_(context.find_kind(spec_.kind)),
      has_turns_(kind_->can.turns || spec_.turns),
      session_(spec_.resume),
      folder_(context.loop, context.private_dir, spec_.id),
      ready_deadline_(
          context.loop,
          [this] {
            OnBroken({"not_ready", "not ready within " + std::to_string(spec_.readiness_timeout_ms) + " ms"});
          }),
      stop_deadline_(context.loop,
                     [this] {
                       if (child_) child_->Stop(grace_ms_);
                     }),
      backoff_(context.loop, [this] { Advance(); }),
      approval_deadline_(context.loop, [this] { WatchDeadlines(); }),
      interrupt_deadline_(context.loop,
                          [this] { ReplaceProcess("interrupt_ignored", "the run was to end and went on"); }),
      save_again_(context.loop,
                  [this] {
                    for (const auto& write : std::exchange(unwritten_, {})) Insist(write);
                    Advance();
                  }),
      due_(context.loop,
           [this] {
             TakeDueMessages();
             Advance();
           }),
      clocks_(context.loop, spec_.limits,
              {[this](int64_t silent_ms) { OnStalled(silent_ms); },
               [this](int64_t silent_ms) {
                 Append("agent.resumed", JsonObject().Set("silent_ms", silent_ms).Take());
                 Advance();
               },
               [this] {
                 OverLimit("wall_ms", {"limit_exceeded", "the run took longer than limits.wall_ms, " +
                                                             std::to_string(spec_.limits.wall_ms)});
               },
               [this] { StopIdle(); }}) {
  if (spec_.workspace) workspace_ = std::make_unique<Workspace>(*context.shop, id(), spec_.workspace);
  if (!spec_.record) return;
  std::vector<std::string> secrets;
  for (const auto& [name, value] : spec_.env) secrets.push_back(value);
  transcript_ = std::make_unique<Transcript>(context.clock, context.transcripts_dir + "/" + id(), secrets);
}

Agent::~Agent() {
  child_.reset();
}  // before the adapter: what is read for one that has gone has no place to go

Result<std::unique_ptr<Agent>> Agent::Create(AgentContext& context, AgentSpec spec, std::string made_by,
                                             Done done) {
  std::unique_ptr<Agent> agent(new Agent(context, std::move(spec)));
  agent->made_by_ = std::move(made_by);
  if (auto opened = agent->OpenLog(); !opened) return opened.error();
  agent->created_ms_ = context.clock.WallMs();
  agent->wanted_ = true;
  agent->state_ = State::kStarting;
  Agent* made = agent.get();
  made->WriteFirstFiles(std::move(done));
  return agent;
}

void Agent::MakeRecord(Done done) {
  std::optional<Message> first;
  if (!spec_.prompt.empty()) {
    first = Message{"m" + RandomHex(8), spec_.prompt};
    first->queued_ms = created_ms_;
  }
  Save(std::move(done), first ? &*first : nullptr);
  if (first) inbox_.Add(std::move(*first));
}

Status Agent::OpenLog() {
  if (log_) return {};
  auto opened = EventLog::Open(context_.clock, context_.events_dir + "/" + id(), id(), context_.next_epoch(),
                               context_.log_limits);
  if (!opened) return opened.error();
  log_ = std::move(*opened);
  log_->OnDirty([this] { context_.dirty(*this); });
  return {};
}

Result<EventLog*> Agent::log() {
  if (auto opened = OpenLog(); !opened) return opened.error();
  return log_.get();
}

// --------------------------------------------------------------------------------------------- commands

Status Agent::Start(Done done) {
  if (deleted_) return Error{"agent_deleted", "agent " + id() + " has been deleted"};
  if (auto opened = OpenLog(); !opened) return opened;
  inbox_.Resume();
  if (stopping_) restart_ = true;
  if (!child_) {
    backoff_.Stop();
    backoff_step_ = 0;
    restart_times_.clear();
    broken_.reset();
  }
  wanted_ = true;
  Save(std::move(done));
  return {};
}

Status Agent::Stop(int64_t grace_ms, Done done) {
  if (deleted_) return Error{"agent_deleted", "agent " + id() + " has been deleted"};
  if (ended()) return Error{"not_running", "agent " + id() + " has no process and none is to come"};
  wanted_ = restart_ = false;
  // No process is there to say that it has gone: whoever waits for that is told here.
  if (!child_) Append("agent.exited", JsonObject().Set("reason", "stopped").Take());
  backoff_.Stop();
  if (run_ && cancel_ != Cancel::kLimit) cancel_ = Cancel::kPerson;
  // What waits goes on waiting: the stop was not asked for so that the next message starts it again. What
  // comes from here on is no part of it.
  if ((run_ && has_turns_) || inbox_.size() + steering_.size() + (taken_ ? 1 : 0) > 0) inbox_.Pause();
  BeginStop(grace_ms);
  Save(std::move(done));
  return {};
}

Status Agent::Restart(int64_t grace_ms, Done done) {
  if (!child_) return Start(std::move(done));
  if (deleted_) return Error{"agent_deleted", "agent " + id() + " has been deleted"};
  wanted_ = restart_ = true;
  if (run_ && cancel_ == Cancel::kNo) CancelByPerson();
  BeginStop(grace_ms);
  Save(std::move(done));
  return {};
}

Status Agent::Delete(bool purge, Done done) {
  // For those who look at many: of one that has ended nothing else would tell.
  if (!deleted_ && OpenLog()) Append("agent.updated", R"({"deleted":true})");
  wanted_ = restart_ = false;
  deleted_ = true;
  ForgetSecrets();
  purge_ = purge_ || purge;
  backoff_.Stop();
  if (run_ && cancel_ == Cancel::kNo) cancel_ = Cancel::kPerson;
  CancelMessages();
  BeginStop(kDefaultGraceMs);
  Save(std::move(done));
  return {};
}

void Agent::Drain(int64_t grace_ms) {
  draining_ = true;
  grace_ms_ = grace_ms;
  Advance();
}

void Agent::Shutdown(int64_t grace_ms) {
  draining_ = shutdown_ = true;
  restart_ = false;
  backoff_.Stop();
  if (spec_.restart.when == RestartPolicy::When::kNever) wanted_ = false;
  if (run_ && cancel_ == Cancel::kNo)
    cancel_ = Cancel::kMessage;  // no person's doing: the queue goes on later
  BeginStop(grace_ms);
  Advance();
}

// ------------------------------------------------------------------------------------------ the one place

Agent::State Agent::Derive() const {
  if (child_) {
    if (stopping_) return State::kStopping;
    if (!ready_) return State::kStarting;
    if (!approvals_.pending().empty()) return State::kNeedsInput;
    if (!run_) return State::kIdle;
    return clocks_.stalled() ? State::kStalled : State::kRunning;
  }
  if (wanted_ && !shutdown_) return backoff_.active() ? State::kBackoff : State::kStarting;
  return broken_ ? State::kFailed : State::kExited;
}

void Agent::Advance() {
  again_ = true;
  if (advancing_) return;  // what follows sees the new facts too
  advancing_ = true;
  while (std::exchange(again_, false)) {
    if (draining_ && !shutdown_ && !(has_turns_ && run_)) Shutdown(grace_ms_);
    if (child_ && !wanted_ && !stopping_) BeginStop(kDefaultGraceMs);
    const bool preparing = workspace_ && workspace_->preparing();
    if (preparing && (!wanted_ || shutdown_)) workspace_->Cancel();
    if (!child_ && wanted_ && saved_ && !files_due_ && !preparing && !shutdown_ && !spawn_wanted_ &&
        !backoff_.active()) {
      spawn_wanted_ = true;
      context_.want_spawn(*this);
    }
    TakeNextMessage();
    TellClocks();
    state_ = Derive();
    SaveIfChanged();
  }
  advancing_ = false;
  TellListeners();
}

void Agent::TellListeners() {
  const auto told = listeners_;  // one may leave while it is told
  for (const auto& [listener, changed] : told) {
    if (listeners_.count(listener) != 0) changed();
  }
}

void Agent::TellClocks() {
  using Doing = AgentClocks::Doing;
  if (!child_ || !ready_ || stopping_) return clocks_.Set(Doing::kNothing);
  if (run_) return clocks_.Set(approvals_.pending().empty() ? Doing::kRunning : Doing::kWaiting);
  clocks_.Set(idle() && arriving_ == 0 && approvals_.pending().empty() ? Doing::kIdle : Doing::kNothing);
}

uint64_t Agent::Listen(std::function<void()> changed) {
  listeners_.emplace(next_listener_, std::move(changed));
  return next_listener_++;
}

// ----------------------------------------------------------------------------------------------- process

std::string Agent::TreeMarker() const { return "REEVE_TREE=" + context_.town_id + "/" + id(); }

SpawnSpec Agent::BaseSpawn() const {
  SpawnSpec spawn;
  spawn.argv = spec_.command;
  spawn.cwd = WorkingFolder();
  for (const char* name : kInherited) {
    if (const char* value = std::getenv(name); value && spec_.env.count(name) == 0) {
      spawn.env.push_back(std::string(name).append("=").append(value));
    }
  }
  for (const auto& [name, value] : spec_.env)
    spawn.env.push_back(std::string(name).append("=").append(value));
  spawn.env.push_back("REEVE_AGENT_ID=" + id());
  spawn.env.push_back("REEVE_TOWN_ID=" + context_.town_id);
  spawn.env.push_back(TreeMarker());
  spawn.env.push_back("REEVE_FILES=" + folder_.files_path());
  if (spec_.api != AgentSpec::Api::kNone) {
    spawn.env.push_back("REEVE_SERVER=" + context_.server);
    spawn.env.push_back("REEVE_TOKEN_FILE=" + folder_.token_path());
  }
  return spawn;
}

void Agent::Spawn() {
  spawn_wanted_ = false;
  if (child_ || !wanted_ || shutdown_) return Advance();
  broken_.reset();
  if (!WorkspaceReady()) return Advance();
  exit_.reset();
  last_words_.clear();
  failure_output_.clear();
  ready_ = stopping_ = false;
  adapter_ = kind_->make(*this, session_);
  SpawnSpec spawn = BaseSpawn();
  Status prepared = folder_.Make();
  if (prepared && workspace_) prepared = workspace_->CheckFolder(spec_.cwd);
  if (prepared) prepared = adapter_->Prepare(spawn);
  if (!prepared) {
    broken_ = prepared.error();
  } else {
    auto child = Child::Start({context_.loop, context_.reaper, context_.cgroups}, spawn, TreeMarker(),
                              {[this](Child::Output from, std::string_view bytes) { OnOutput(from, bytes); },
                               [this](const ExitStatus& exit) { OnChildDone(exit); }});
    if (child) {
      child_ = std::move(*child);
    } else {
      broken_ = child.error();
    }
  }
  started_ms_ = context_.clock.WallMs();
  if (broken_) {
    adapter_.reset();
    PlanRestart(true);
    return Advance();
  }
  if (workspace_) work_ = Work::kUnsaved;
  Append("agent.starting", JsonObject().Set("pid", int64_t{child_->pid()}).Set("restarts", restarts_).Take());
  if (!has_turns_) BeginRun("");
  ready_deadline_.Start(spec_.readiness_timeout_ms);
  if (!log_->writable()) child_->PauseReading(true);
  adapter_->OnSpawned();
  Advance();
}

// Found by the agent's own marker when its tree is ended; ended alone by one of its own.
Result<std::unique_ptr<Child>> Agent::SpawnBeside(SpawnSpec spawn, Child::Handlers handlers) {
  if (!child_ || stopping_) return Error{"not_running", "agent " + id() + " is not running"};
  for (const std::string& entry : BaseSpawn().env) {
    const size_t equals = entry.find('=');
    spawn.SetEnv(entry.substr(0, equals), entry.substr(equals + 1), SpawnSpec::IfSet::kKeep);
  }
  const std::string marker =
      "REEVE_BESIDE=" + context_.town_id + "/" + id() + "/" + std::to_string(++spawned_beside_);
  spawn.env.push_back(marker);
  return Child::Start({context_.loop, context_.reaper, context_.cgroups}, std::move(spawn), marker,
                      std::move(handlers));
}

Result<std::unique_ptr<Child>> Agent::AdoptBeside(ChildState state, Child::Handlers handlers) {
  return Child::Adopt({context_.loop, context_.reaper, context_.cgroups}, std::move(state),
                      std::move(handlers));
}

void Agent::OnOutput(Child::Output from, std::string_view bytes) {
  if (transcript_) transcript_->Heard(from, bytes);
  last_words_.append(bytes.substr(bytes.size() - std::min(bytes.size(), kLastWords)));
  if (last_words_.size() > 2 * kLastWords) last_words_.erase(0, last_words_.size() - kLastWords);
  clocks_.Heard();
  adapter_->OnOutput(from, bytes);
}

void Agent::StopIdle() {
  if (!child_ || stopping_ || !idle()) return;
  log::Info("agent {}: idle for {} ms: stopped until a message wakes it", id(), spec_.limits.idle_ms);
  wanted_ = false;
  BeginStop(kDefaultGraceMs);
  Advance();
}

// A message has arrived for an agent whose process has gone, and is not to come back by itself: a new try.
void Agent::Wake() {
  if (child_ || wanted_ || deleted_ || draining_) return;
  broken_.reset();
  restart_times_.clear();
  backoff_step_ = 0;
  wanted_ = true;
  saved_ = false;
}

void Agent::OnCommit(bool committed) {
  if (child_) child_->PauseReading(!committed && !log_->writable());
}

// Politely first, by the kind's own way; then TERM to the tree, grace, KILL.
void Agent::BeginStop(int64_t grace_ms) {
  grace_ms_ = grace_ms;
  if (!child_) return;
  if (stopping_) {
    child_->Stop(grace_ms_);  // asked again: no more politeness
    return;
  }
  stopping_ = true;
  ready_deadline_.Stop();
  Append("agent.stopping", JsonObject().Set("grace_ms", grace_ms).Take());
  stop_deadline_.Start(std::min(grace_ms, kPoliteMs));
  if (adapter_->PrepareStop()) OnStopPrepared();
}

void Agent::OnStopPrepared() {
  if (stop_deadline_.active()) stop_deadline_.Start(0);
}

void Agent::OnBroken(Error error) {
  if (!child_ || broken_ || stopping_) return;
  log::Warning("agent {}: {}: {}", id(), error.code, error.message);
  Append("agent.error",
         JsonObject().Set("code", error.code).Set("message", error.message).Set("fatal", true).Take());
  broken_ = std::move(error);
  BeginStop(kDefaultGraceMs);
  Advance();
}

void Agent::OnChildDone(const ExitStatus& exit) {
  adapter_->OnExited();
  if (transcript_) transcript_->EndProcess();
  for (Timer* timer : {&ready_deadline_, &stop_deadline_, &interrupt_deadline_}) timer->Stop();
  const std::string how =
      exit.signal != 0 ? "signal " + std::to_string(exit.signal) : "code " + std::to_string(exit.code);
  const std::optional<int> code = exit.signal == 0 ? std::optional<int>(exit.code) : std::nullopt;
  if (!ready_ && !stopping_ && !broken_ && !restart_) {
    broken_ = Error{"not_ready", "the process ended with " + how + " before it was ready"};
  }
  const bool asked = stopping_ && !broken_;
  if (!exit.tree_empty) {
    Append("agent.error", JsonObject()
                              .Set("code", "tree_not_empty")
                              .Set("message", "some process of this agent could not be killed")
                              .Set("fatal", false)
                              .Take());
  }
  if (run_) {
    if (cancel_ == Cancel::kLimit) {
      EndRun(Run::Status::kFailed, limit_error_, code);
    } else if (broken_ && cancel_ == Cancel::kNo) {
      EndRun(Run::Status::kFailed, *broken_, code);
    } else if (asked || cancel_ != Cancel::kNo) {
      EndRun(Run::Status::kCancelled, {}, code);
    } else if (!has_turns_ && exit.code == 0) {
      EndRun(Run::Status::kCompleted, {}, code);
    } else {
      EndRun(Run::Status::kFailed, {has_turns_ ? "agent_exited" : "exit", "the process ended with " + how},
             code);
    }
  }
  // What it was given and never said to have taken waits for the next process.
  for (auto& [message_id, message] : std::exchange(steering_, {}))
    Requeue(std::move(message), "the process ended");
  WithdrawApprovals([](const PendingApproval&) { return true; });
  JsonObject data;
  data.Set("code", code);
  if (exit.signal != 0) data.Set("signal", exit.signal);
  data.Set("oom", exit.oom);
  Append("agent.exited", data.Take());

  exit_ = exit;
  exited_ms_ = context_.clock.WallMs();
  adapter_.reset();
  child_.reset();
  if (deleted_) ForgetSecrets();
  ready_ = stopping_ = false;
  if (!std::exchange(restart_, false) && wanted_ && !shutdown_)
    PlanRestart(broken_ || exit.signal != 0 || exit.code != 0);
  // What came while it was ending wants a process; what a person's stop holds does not.
  if (!broken_ && inbox_.HasNext()) Wake();
  Advance();
}

// What follows a process that ended by itself, or could not be started.
void Agent::PlanRestart(bool failed) {
  using When = RestartPolicy::When;
  const RestartPolicy& policy = spec_.restart;
  const bool by_policy = policy.when == When::kAlways || (policy.when == When::kOnFailure && failed);
  // What still waits wants a process too; but one that cannot even get ready is not tried again for it.
  const bool for_messages = !broken_ && (inbox_.HasNext() || taken_);
  if (!by_policy && !for_messages) {
    wanted_ = false;
  } else {
    const int64_t now = context_.clock.MonotonicMs();
    while (!restart_times_.empty() && restart_times_.front() <= now - policy.window_ms)
      restart_times_.pop_front();
    if (restart_times_.size() >= static_cast<size_t>(policy.max_restarts)) {
      wanted_ = false;
      broken_ = Error{"crash_loop", "ended " + std::to_string(restart_times_.size() + 1) + " times within " +
                                        std::to_string(policy.window_ms) + " ms"};
    } else {
      if (context_.clock.WallMs() - started_ms_ >= kHealthyMs) backoff_step_ = 0;
      // Jitter: agents that fell together rise apart.
      const int64_t base = kBackoffMinMs << std::min(backoff_step_++, 6);
      const int64_t delay = std::min(kBackoffMaxMs, base + std::rand() % (base / 2));
      restart_times_.push_back(now);
      ++restarts_;
      Append("agent.restarting", JsonObject().Set("attempt", restarts_).Set("delay_ms", delay).Take());
      backoff_.Start(delay);
    }
  }
  if (!wanted_ && broken_) TellFailed();
}

void Agent::TellFailed() {
  failure_output_ = LastLines(last_words_);
  JsonObject data;
  data.Set("code", broken_->code).Set("message", broken_->message);
  if (!failure_output_.empty()) data.Set("output", failure_output_);
  Append("agent.failed", data.Take());
}

}  // namespace reeve
