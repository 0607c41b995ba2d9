// What an agent does while its process lives: messages, runs, events.
#include <algorithm>
#include <csignal>
#include <utility>

#include "orchestrator/agent.h"
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

// ----------------------------------------------------------------------------------------------- messages

void Agent::Send(std::string text, Message::Mode mode, std::string new_model,
                 std::function<void(Result<Accepted>)> done) {
  if (deleted_) return done(Error{"agent_deleted", "agent " + id() + " has been deleted"});
  if (inbox_.size() + arriving_ >= Inbox::kMaxWaiting) {
    return done(Error{"queue_full", "agent " + id() + ": " + std::to_string(Inbox::kMaxWaiting) +
                                        " messages wait already"});
  }
  if (mode == Message::Mode::kSteer && inbox_.steers() + steering_.size() >= Inbox::kMaxSteers) {
    return done(Error{"queue_full", "agent " + id() + ": " + std::to_string(Inbox::kMaxSteers) +
                                        " messages to steer by wait already"});
  }
  if (!new_model.empty() && !kind_->can.model) {
    return done(Error{"invalid_request", "model: kind " + spec_.kind + " has no choice of models"});
  }
  if (auto opened = OpenLog(); !opened) return done(opened.error());
  Message message{"m" + RandomHex(8), std::move(text), mode, inbox_.paused(), std::move(new_model)};

  if (!has_turns_ && child_ && ready_ && !stopping_ && inbox_.size() == 0 && arriving_ == 0 && !taken_) {
    if (Status taken = adapter_->Prompt(message.text); !taken) return done(taken.error());
    Cursor at =
        Append("user.message", JsonObject().Set("message_id", message.id).Set("text", message.text).Take());
    if (Status committed = log_->Commit(); !committed) return done(committed.error());
    return done(Accepted{message.id, "delivered", at.seq});
  }

  MessageRecord record{message.id, id(), message.ToJson(), "queued"};
  ++arriving_;
  auto on_disk = [this, message = std::move(message), done = std::move(done)](const Status& status) {
    --arriving_;
    if (!status) return done(status.error());
    const bool at_once = has_turns_ && ready_ && !stopping_ && !run_ && !taken_ && inbox_.size() == 0;
    Cursor at = Append("message.queued",
                       JsonObject().Set("message_id", message.id).Set("mode", NameOf(message.mode)).Take());
    if (CanSteer(message)) {
      Steer(message);
    } else {
      Message arrived = message;
      arrived.through_pause = arrived.through_pause || inbox_.paused();
      inbox_.Add(std::move(arrived));
    }
    // It may have been refused on the spot.
    const bool steered = message.mode == Message::Mode::kSteer && !inbox_.Has(message.id);
    Wake();
    if (message.mode == Message::Mode::kInterrupt && run_) {
      if (cancel_ == Cancel::kNo) cancel_ = Cancel::kMessage;
      InterruptTurn();
    }
    if (Status committed = log_->Commit(); !committed) {
      done(committed.error());
    } else {
      done(Accepted{message.id, steered ? "steered" : at_once ? "started" : "queued", at.seq});
    }
    Advance();
  };
  context_.store.PutMessage(std::move(record), Guarded(std::move(on_disk)));
}

// Takes the next message out of the inbox once the process can have it. That it is taken is on disk first:
// after a crash it is not begun a second time.
void Agent::TakeNextMessage() {
  if (!child_ || !ready_ || stopping_ || taken_ || (has_turns_ && run_)) return;
  taken_ = inbox_.Take();
  if (!taken_) return;
  context_.store.PutMessage({taken_->id, id(), taken_->ToJson(), "running"},
                            Guarded([this](const Status& status) {
                              if (!status) log::Warning("agent {}: {}", id(), status.error().message);
                              BeginTaken();
                            }));
}

void Agent::BeginTaken() {
  Message message = std::move(*std::exchange(taken_, std::nullopt));
  const bool overtaken = message.mode != Message::Mode::kInterrupt && inbox_.HasInterrupt();
  // Too late: it waits for the next chance.
  if (!child_ || !ready_ || stopping_ || (has_turns_ && run_) || overtaken) {
    context_.store.PutMessage({message.id, id(), message.ToJson(), "queued"}, [](const Status&) {});
    inbox_.PutBack(std::move(message));
    return Advance();
  }
  const std::string data =
      JsonObject().Set("message_id", message.id).Set("mode", NameOf(message.mode)).Take();
  if (!message.model.empty()) spec_.model = message.model;
  if (has_turns_) {
    BeginRun(message.id);
    Append("message.started", data);
  }
  Append("user.message", JsonObject().Set("message_id", message.id).Set("text", message.text).Take());
  Status taken = adapter_->Prompt(message.text);
  if (!has_turns_) {
    if (!taken)
      Emit("agent.error", JsonObject()
                              .Set("code", taken.error().code)
                              .Set("message", taken.error().message)
                              .Set("fatal", false)
                              .Take());
    FinishMessage(message.id);
    inbox_.Resume();
  } else if (!taken) {
    OnTurnEnded({TurnEnd::Outcome::kFailed, taken.error()});
  }
  Advance();
}

void Agent::FinishMessage(const std::string& message_id) {
  Append("message.done", JsonObject().Set("message_id", message_id).Take());
  context_.store.DeleteMessage(message_id, [](const Status&) {});
}

bool Agent::CanSteer(const Message& message) const {
  return message.mode == Message::Mode::kSteer && message.model.empty() && kind_->can.steer && child_ &&
         ready_ && !stopping_ && run_ && cancel_ == Cancel::kNo;
}

// Into the present turn. Until the agent says that it has the words, or would not have them, they are ours:
// one that it refuses, because its turn was over, is the next turn of its own.
void Agent::Steer(const Message& message) {
  steering_.emplace(message.id, message);
  adapter_->Steer(message.id, message.text);
}

void Agent::OnSteered(const std::string& message_id, const Status& status) {
  auto found = steering_.find(message_id);
  if (found == steering_.end()) return;
  Message message = std::move(found->second);
  steering_.erase(found);
  if (status) {
    Append("user.message",
           JsonObject().Set("message_id", message.id).Set("text", message.text).Set("steer", true).Take());
    if (run_) run_->steered.push_back(message.id);
    FinishMessage(message.id);
  } else {
    Requeue(std::move(message), status.error().message);
  }
  Advance();
}

// It was to steer by and is a turn of its own now, the next.
void Agent::Requeue(Message message, const std::string& reason) {
  Append("message.queued", JsonObject()
                               .Set("message_id", message.id)
                               .Set("mode", NameOf(message.mode))
                               .Set("reason", "not steered: " + reason)
                               .Take());
  inbox_.Add(std::move(message));
}

bool Agent::Waits(const std::string& message_id) const {
  return inbox_.Has(message_id) || steering_.count(message_id) != 0 || (taken_ && taken_->id == message_id);
}

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
  if (const std::string& message = runs_.back().message_id; !message.empty()) FinishMessage(message);
  if (has_turns_) {
    const bool by_person = status == Run::Status::kCancelled && cancel_ == Cancel::kPerson;
    if (status == Run::Status::kFailed || by_person) inbox_.Pause();
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
  if (cancel_ != Cancel::kLimit) cancel_ = Cancel::kPerson;
  InterruptTurn();
  return {};
}

// Where a turn does not end by it, its process does. A process whose life is the run may take the signal as
// it likes.
void Agent::InterruptTurn() {
  adapter_->Interrupt();
  if (has_turns_ && run_ && child_ && !stopping_) interrupt_deadline_.Start(kInterruptMs);
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
