// What an agent does while its process lives: runs, and what its adapter tells.
#include <algorithm>
#include <csignal>
#include <utility>

#include "orchestrator/agent/agent.h"
#include "process/clock.h"
#include "process/log.h"
#include "process/loop.h"
#include "process/random.h"

namespace reeve {

namespace {

constexpr size_t kMaxRuns = 100;  // ended ones kept in memory for late askers of /wait

std::string ErrorJson(const Error& error) {
  return JsonObject().Set("code", error.code).Set("message", error.message).Take();
}

}  // namespace

// --------------------------------------------------------------------------------------------------- runs

void Agent::BeginRun(const std::string& message_id) {
  run_.emplace();
  run_->id = "r" + std::to_string(log_->head().seq + 1);
  run_->message_id = message_id;
  run_->started_ms = context_.clock.WallMs();
  cancel_ = Cancel::kNo;
  clocks_.BeginRun();
  JsonObject data;
  if (!message_id.empty()) data.Set("message_id", message_id);
  partial_after_ = Append("run.started", data.Take()).seq;
}

void Agent::EndRun(Run::Status status, Error error, std::optional<int> exit_code) {
  WithdrawApprovals([this](const PendingApproval& approval) { return approval.run == run_->id; });
  interrupt_deadline_.Stop();
  run_->status = status;
  run_->error = std::move(error);
  run_->exit_code = exit_code;
  run_->ended_ms = context_.clock.WallMs();
  JsonObject data;
  if (!run_->message_id.empty()) data.Set("message_id", run_->message_id);
  data.Set("exit_code", exit_code);
  if (status == Run::Status::kFailed) data.SetRaw("error", ErrorJson(run_->error));
  if (!run_->limit.empty()) data.Set("limit", run_->limit);
  data.Set("duration_ms", run_->ended_ms - run_->started_ms).SetRaw("usage", run_->usage);
  Append("run." + std::string(NameOf(status)), data.Take());

  if (auto usage = JsonDocument::Parse(run_->usage)) usage_.Add(Usage::FromJson(usage->root()));
  runs_.push_back(std::move(*run_));
  if (runs_.size() > kMaxRuns) runs_.pop_front();
  run_.reset();
  partial_after_ = log_->head().seq;
  const Run& ended = runs_.back();
  Insist([this, record = RunRecord{id(), ended.number(), ended.ToJson()}](Store::Done done) {
    context_.store.PutRun(record, std::move(done));
  });
  if (!ended.message_id.empty()) FinishMessage(ended.message_id, status, ended.id);
  if (has_turns_) {
    if (status == Run::Status::kFailed) inbox_.Pause();
    if (status == Run::Status::kCompleted && (wanted_ || !stopping_)) inbox_.Resume();
  }
}

const Run* Agent::FindRun(const std::string& run_id) const {
  if (run_ && run_->id == run_id) return &*run_;
  auto found =
      std::find_if(runs_.rbegin(), runs_.rend(), [&run_id](const Run& run) { return run.id == run_id; });
  return found == runs_.rend() ? nullptr : &*found;
}

const Run* Agent::RunOfMessage(const std::string& message_id) const {
  if (run_ && run_->Has(message_id)) return &*run_;
  auto found = std::find_if(runs_.rbegin(), runs_.rend(),
                            [&message_id](const Run& run) { return run.Has(message_id); });
  return found == runs_.rend() ? nullptr : &*found;
}

Status Agent::Interrupt() {
  if (!child_ || !run_) return Error{"not_running", "agent " + id() + " has no run to interrupt"};
  if (cancel_ != Cancel::kLimit && cancel_ != Cancel::kPerson) CancelByPerson();
  InterruptTurn();
  return {};
}

// What waits is paused at the word, not at the end that follows: a message that comes in between is what
// shall be done instead.
void Agent::CancelByPerson() {
  cancel_ = Cancel::kPerson;
  if (has_turns_) inbox_.Pause();
}

// Where a turn does not end by it, its process does. A process whose life is the run may take the signal as
// it likes.
void Agent::InterruptTurn() {
  adapter_->Interrupt();
  const bool watched = has_turns_ && run_ && child_ && !stopping_;
  if (watched && !interrupt_deadline_.active()) interrupt_deadline_.Start(kInterruptMs);
}

void Agent::ReplaceProcess(const char* code, const char* why) {
  if (!child_ || stopping_) return;
  log::Warning("agent {}: {}: its process is replaced", id(), why);
  Append("agent.error", JsonObject().Set("code", code).Set("message", why).Set("fatal", true).Take());
  restart_ = true;
  BeginStop(kDefaultGraceMs);
  Advance();
}

// A limit of the spec has passed: the run ends as failed, whatever the agent makes of the interrupt.
void Agent::OverLimit(const char* limit, Error error) {
  if (!run_ || !child_ || stopping_) return;
  if (cancel_ == Cancel::kLimit || (has_turns_ && cancel_ != Cancel::kNo)) return;  // it is ending already
  cancel_ = Cancel::kLimit;
  limit_error_ = std::move(error);
  run_->limit = limit;
  if (has_turns_) {
    InterruptTurn();
  } else {
    BeginStop(kDefaultGraceMs);
  }
  Advance();
}

void Agent::OnStalled(int64_t silent_ms) {
  using OnStall = Limits::OnStall;
  Append("agent.stalled", JsonObject().Set("silent_ms", silent_ms).Take());
  if (spec_.limits.on_stall != OnStall::kTell) {
    const bool restart = spec_.limits.on_stall == OnStall::kRestart;
    OverLimit("stall_ms", {"stalled", "nothing was heard for " + std::to_string(silent_ms) + " ms"});
    if (restart) ReplaceProcess("stalled", "nothing was heard of it");
  }
  Advance();
}

// --------------------------------------------------------------------------------- what the adapter tells

Cursor Agent::Append(std::string_view type, std::string_view data) {
  last_event_ms_ = context_.clock.WallMs();
  return log_->Append(type, run_ ? std::string_view(run_->id) : std::string_view(), data);
}

void Agent::Emit(std::string_view type, std::string_view data) {
  Cursor at = Append(type, data);
  if (type == "assistant.message") {
    partial_after_ = at.seq;
  } else if (type == "usage.updated" && run_) {
    TakeUsage(data);
  }
  if (type != "agent.output" && type != "agent.error") clocks_.Progressed();
  if (!log_->writable() && child_) child_->PauseReading(true);
}

void Agent::TakeUsage(std::string_view data) {
  run_->usage = data;
  const Limits& limits = spec_.limits;
  if (limits.max_tokens == 0 && limits.max_cost_usd == 0) return;
  auto json = JsonDocument::Parse(data);
  if (!json) return;
  const Usage usage = Usage::FromJson(json->root());
  const char* limit = nullptr;
  if (limits.max_tokens != 0 && usage.input_tokens + usage.output_tokens > limits.max_tokens) {
    limit = "max_tokens";
  } else if (limits.max_cost_usd > 0 && usage.cost_usd > limits.max_cost_usd) {
    limit = "max_cost_usd";
  }
  if (!limit) return;
  // In a turn of the loop's own: the adapter is in the middle of telling us something.
  context_.loop.Post(Guarded([this, limit, run = run_->id] {
    if (run_ && run_->id == run) {
      OverLimit(limit, {"limit_exceeded", std::string("the run used more than limits.") + limit});
    }
  }));
}

void Agent::OnReady() {
  if (ready_ || !child_ || stopping_) return;
  ready_ = true;
  ready_ms_ = context_.clock.WallMs();
  ready_deadline_.Stop();
  Append("agent.ready", JsonObject().Set("pid", int64_t{child_->pid()}).Take());
  Advance();
}

void Agent::OnTurnStarted() {
  if (!run_) BeginRun("");
  Advance();
}

void Agent::OnTurnEnded(const TurnEnd& end) {
  if (!run_) return;
  using Outcome = TurnEnd::Outcome;
  // An agent may take the interrupt for an error; and what a limit ended has failed, though it calls it
  // cancelled.
  if (cancel_ == Cancel::kLimit) {
    EndRun(Run::Status::kFailed, limit_error_, {});
  } else if (end.outcome == Outcome::kCompleted) {
    EndRun(Run::Status::kCompleted, {}, {});
  } else if (end.outcome == Outcome::kCancelled || cancel_ != Cancel::kNo) {
    EndRun(Run::Status::kCancelled, {}, {});
  } else {
    EndRun(Run::Status::kFailed, end.error, {});
  }
  Advance();
}

void Agent::OnSession(std::string session) {
  session_ = std::move(session);
  // It cannot be gone on with, and the process that was to ends of it: the next one begins anew.
  if (session_.empty() && !ready_ && wanted_ && !stopping_) restart_ = true;
  Advance();
}

Status Agent::WriteStdin(std::string_view bytes) {
  if (!child_) return Error{"not_running", "agent " + id() + " has no process"};
  Status written = child_->WriteStdin(bytes);
  if (written && transcript_) transcript_->Told(bytes);
  return written;
}

void Agent::CloseStdin() {
  if (child_) child_->CloseStdin();
}

void Agent::OnHeard(std::string_view text) {
  clocks_.Heard();
  if (transcript_) transcript_->HeardMessage(text);
}

void Agent::OnTold(std::string_view text) {
  if (transcript_) transcript_->Told(text);
}

void Agent::ListModels(std::function<void(Result<std::string>)> done) {
  if (!kind_->can.model) {
    return done(Error{"not_supported", "kind " + spec_.kind + " has no choice of models"});
  }
  if (!child_ || !ready_ || stopping_) return done(Error{"not_running", "agent " + id() + " is not running"});
  adapter_->ListModels([model = spec_.model, done = std::move(done)](const Result<std::string>& models) {
    if (!models) return done(Error{"models_unavailable", models.error().message});
    JsonObject answer;
    answer.SetRaw("models", *models);
    if (!model.empty()) answer.Set("model", model);
    done(answer.Take());
  });
}

void Agent::Signal(int signum) {
  if (child_) child_->Signal(signum);
}

}  // namespace reeve
