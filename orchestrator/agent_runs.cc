// What an agent does while its process lives: messages, runs, events, approvals.
#include <algorithm>
#include <csignal>
#include <utility>

#include "orchestrator/agent.h"
#include "process/clock.h"
#include "process/log.h"
#include "process/random.h"

namespace reeve {

namespace {

constexpr size_t kMaxRuns = 100;  // ended ones kept in memory for late askers of /wait

std::string ErrorJson(const Error& error) {
  return JsonObject().Set("code", error.code).Set("message", error.message).Take();
}

}  // namespace

// ----------------------------------------------------------------------------------------------- messages

void Agent::Send(std::string text, Message::Mode mode, std::function<void(Result<Accepted>)> done) {
  if (deleted_) return done(Error{"agent_deleted", "agent " + id() + " has been deleted"});
  if (inbox_.size() + arriving_ >= Inbox::kMaxWaiting) {
    return done(Error{"queue_full", "agent " + id() + ": " + std::to_string(Inbox::kMaxWaiting) +
                                        " messages wait already"});
  }
  if (auto opened = OpenLog(); !opened) return done(opened.error());
  Message message{"m" + RandomHex(8), std::move(text), mode, inbox_.paused()};

  if (!has_turns_ && child_ && ready_ && !stopping_ && inbox_.size() == 0 && !taken_) {
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
    Message arrived = message;
    arrived.through_pause = arrived.through_pause || inbox_.paused();
    inbox_.Add(std::move(arrived));
    if (!child_) broken_.reset();  // a new message is a new try
    if (message.mode == Message::Mode::kInterrupt && run_) {
      cancel_ = Cancel::kMessage;
      adapter_->Interrupt();
    }
    if (Status committed = log_->Commit(); !committed) {
      done(committed.error());
    } else {
      done(Accepted{message.id, at_once ? "started" : "queued", at.seq});
    }
    if (!child_ && !wanted_) {
      (void)Start([](const Status&) {});
    } else {
      Advance();
    }
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
  if (!child_ || !ready_ || stopping_ || (has_turns_ && run_)) {  // too late: it waits for the next chance
    context_.store.PutMessage({message.id, id(), message.ToJson(), "queued"}, [](const Status&) {});
    inbox_.PutBack(std::move(message));
    return Advance();
  }
  const std::string data =
      JsonObject().Set("message_id", message.id).Set("mode", NameOf(message.mode)).Take();
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
  } else if (!taken) {
    OnTurnEnded({TurnEnd::Outcome::kFailed, taken.error()});
  }
  Advance();
}

void Agent::FinishMessage(const std::string& message_id) {
  Append("message.done", JsonObject().Set("message_id", message_id).Take());
  context_.store.DeleteMessage(message_id, [](const Status&) {});
}

bool Agent::Waits(const std::string& message_id) const {
  return inbox_.Has(message_id) || (taken_ && taken_->id == message_id);
}

// --------------------------------------------------------------------------------------------------- runs

void Agent::BeginRun(const std::string& message_id) {
  run_.emplace();
  run_->id = "r" + std::to_string(log_->head().seq + 1);
  run_->message_id = message_id;
  run_->started_ms = context_.clock.WallMs();
  cancel_ = Cancel::kNo;
  JsonObject data;
  if (!message_id.empty()) data.Set("message_id", message_id);
  partial_after_ = Append("run.started", data.Take()).seq;
}

void Agent::EndRun(Run::Status status, Error error, std::optional<int> exit_code) {
  while (!approvals_.pending().empty()) {
    Resolve(approvals_.pending().front().request.id, "withdrawn", "daemon", "the run has ended");
  }
  run_->status = status;
  run_->error = std::move(error);
  run_->exit_code = exit_code;
  run_->ended_ms = context_.clock.WallMs();
  JsonObject data;
  if (!run_->message_id.empty()) data.Set("message_id", run_->message_id);
  data.Set("exit_code", exit_code);
  if (status == Run::Status::kFailed) data.SetRaw("error", ErrorJson(run_->error));
  data.Set("duration_ms", run_->ended_ms - run_->started_ms).SetRaw("usage", run_->usage);
  Append("run." + std::string(NameOf(status)), data.Take());

  runs_.push_back(std::move(*run_));
  if (runs_.size() > kMaxRuns) runs_.pop_front();
  run_.reset();
  partial_after_ = log_->head().seq;
  if (const std::string& message = runs_.back().message_id; !message.empty()) FinishMessage(message);
  if (has_turns_) {
    const bool by_person = status == Run::Status::kCancelled && cancel_ == Cancel::kPerson;
    if (status == Run::Status::kFailed || by_person) inbox_.Pause();
    if (status == Run::Status::kCompleted) inbox_.Resume();
  }
}

const Run* Agent::FindRun(const std::string& run_id) const {
  if (run_ && run_->id == run_id) return &*run_;
  auto found =
      std::find_if(runs_.rbegin(), runs_.rend(), [&run_id](const Run& run) { return run.id == run_id; });
  return found == runs_.rend() ? nullptr : &*found;
}

const Run* Agent::RunOfMessage(const std::string& message_id) const {
  if (run_ && run_->message_id == message_id) return &*run_;
  auto found = std::find_if(runs_.rbegin(), runs_.rend(),
                            [&message_id](const Run& run) { return run.message_id == message_id; });
  return found == runs_.rend() ? nullptr : &*found;
}

Status Agent::Interrupt() {
  if (!child_ || !run_) return Error{"not_running", "agent " + id() + " has no run to interrupt"};
  cancel_ = Cancel::kPerson;
  adapter_->Interrupt();
  return {};
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
    run_->usage = data;
  }
  if (!log_->writable() && child_) child_->PauseReading(true);
}

void Agent::OnReady() {
  if (ready_ || !child_) return;
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
  switch (end.outcome) {
    case TurnEnd::Outcome::kCompleted:
      EndRun(Run::Status::kCompleted, {}, {});
      break;
    case TurnEnd::Outcome::kFailed:
      EndRun(Run::Status::kFailed, end.error, {});
      break;
    case TurnEnd::Outcome::kCancelled:
      EndRun(Run::Status::kCancelled, {}, {});
      break;
  }
  Advance();
}

void Agent::OnSession(std::string session) {
  session_ = std::move(session);
  Advance();
}

Status Agent::WriteStdin(std::string_view bytes) {
  if (!child_) return Error{"not_running", "agent " + id() + " has no process"};
  return child_->WriteStdin(bytes);
}

void Agent::CloseStdin() {
  if (child_) child_->CloseStdin();
}

void Agent::OnHeard(std::string_view) {}
void Agent::OnTold(std::string_view) {}

void Agent::Signal(int signum) {
  if (child_) child_->Signal(signum);
}

// ---------------------------------------------------------------------------------------------- approvals

void Agent::OnApproval(ApprovalRequest request) {
  using Default = AgentSpec::Permissions::Default;
  if (approvals_.Find(request.id)) return;  // told again, after a reconnect
  if (!run_) BeginRun("");
  const AgentSpec::Permissions& permissions = spec_.permissions;
  PendingApproval pending{std::move(request), run_->id, context_.clock.WallMs(), 0};
  if (permissions.timeout_ms != 0) pending.deadline_ms = pending.requested_at_ms + permissions.timeout_ms;
  const std::string approval = pending.request.id;
  Append("approval.requested", pending.ToJson());
  approvals_.Add(std::move(pending));
  if (permissions.fallback != Default::kAsk) {
    const Decision decision =
        permissions.fallback == Default::kAllow ? Decision::kAllowOnce : Decision::kDeny;
    Resolve(approval, NameOf(decision), "policy", "permissions.default");
    adapter_->Decide(approval, {decision != Decision::kDeny, "", ""});
  }
  WatchDeadlines();
  Advance();
}

void Agent::OnApprovalGone(const std::string& approval_id) {
  Resolve(approval_id, "withdrawn", "agent", "");
  Advance();
}

Status Agent::Decide(const std::string& approval_id, Decision decision, const std::string& reason) {
  if (!approvals_.Find(approval_id)) {
    if (const ResolvedApproval* before = approvals_.FindResolved(approval_id)) {
      return Error{"already_resolved",
                   "approval " + approval_id + ": " + before->decision + " by " + before->by};
    }
    return Error{"approval_not_found", "agent " + id() + " has no approval " + approval_id};
  }
  Resolve(approval_id, NameOf(decision), "person", reason);
  Status committed = log_->Commit();  // decided means on disk, also when the agent dies of the news
  adapter_->Decide(approval_id, {decision != Decision::kDeny, reason, ""});
  Advance();
  return committed;
}

void Agent::Resolve(const std::string& approval_id, const std::string& decision, const char* by,
                    const std::string& reason) {
  if (!approvals_.Resolve({approval_id, decision, by})) return;
  JsonObject data;
  data.Set("id", approval_id).Set("decision", decision).Set("by", by);
  if (!reason.empty()) data.Set("reason", reason);
  Append("approval.resolved", data.Take());
}

// Decides what nobody decided in time, and sets the timer for the next one.
void Agent::WatchDeadlines() {
  const int64_t now = context_.clock.WallMs();
  int64_t next = 0;
  const std::vector<PendingApproval> pending = approvals_.pending();
  for (const PendingApproval& approval : pending) {
    if (approval.deadline_ms == 0) continue;
    if (approval.deadline_ms > now) {
      next = next == 0 ? approval.deadline_ms : std::min(next, approval.deadline_ms);
      continue;
    }
    const bool allow = spec_.permissions.allow_on_timeout;
    Resolve(approval.request.id, allow ? "allow_once" : "expired", "deadline", "nobody answered in time");
    adapter_->Decide(approval.request.id, {allow, "nobody answered in time", ""});
    Advance();
  }
  if (next != 0) approval_deadline_.Start(next - now);
}

}  // namespace reeve
