// The messages of an agent: how they come, wait, are begun and end.
#include <algorithm>
#include <utility>

#include "orchestrator/agent/agent.h"
#include "orchestrator/config/units.h"
#include "process/clock.h"
#include "process/log.h"
#include "process/random.h"

namespace reeve {

namespace {

// The wall clock may be set: nobody who waits for it sleeps longer.
constexpr int64_t kLookAgainMs = 30'000;
constexpr int64_t kRetryMs = 1'000;

}  // namespace

const char* MessageState(Run::Status status) {
  switch (status) {
    case Run::Status::kFailed:
      return "failed";
    case Run::Status::kCancelled:
      return "cancelled";
    default:
      return "done";
  }
}

// ------------------------------------------------------------------------------------------------- coming

void Agent::Send(Message message, std::function<void(Result<Accepted>)> done) {
  if (deleted_) return done(Error{"agent_deleted", "agent " + id() + " has been deleted"});
  const int64_t now = context_.clock.WallMs();
  const bool later = message.run_at_ms > now;
  if (!later) message.run_at_ms = 0;
  const size_t most = later ? Inbox::kMaxScheduled : Inbox::kMaxWaiting;
  if ((later ? inbox_.scheduled() + arriving_later_ : inbox_.size() + arriving_) >= most) {
    return done(
        Error{"queue_full", "agent " + id() + ": " + std::to_string(most) +
                                (later ? " messages are scheduled already" : " messages wait already")});
  }
  if (inbox_.bytes() + arriving_bytes_ + message.text.size() > Inbox::kMaxBytes) {
    return done(Error{"queue_full", "agent " + id() + ": with this one, more than " +
                                        FormatSize(Inbox::kMaxBytes) + " of messages would wait"});
  }
  if (message.mode == Message::Mode::kSteer && inbox_.steers() + steering_.size() >= Inbox::kMaxSteers) {
    return done(Error{"queue_full", "agent " + id() + ": " + std::to_string(Inbox::kMaxSteers) +
                                        " messages to steer by wait already"});
  }
  if (!message.model.empty() && !kind_->can.model) {
    return done(Error{"invalid_request", "model: kind " + spec_.kind + " has no choice of models"});
  }
  if (auto opened = OpenLog(); !opened) return done(opened.error());
  const bool named = !message.id.empty();
  if (!named) message.id = "m" + RandomHex(8);
  message.queued_ms = now;
  message.through_pause = inbox_.paused() ? inbox_.pauses() : 0;

  const bool nothing_waits = inbox_.size() == 0 && arriving_ == 0 && !taken_;
  // One that may be sent again goes by the store, which knows it then.
  const bool only_a_line = message.mode != Message::Mode::kInterrupt;
  if (!named && !later && only_a_line && !has_turns_ && child_ && ready_ && !stopping_ && nothing_waits) {
    // A full disk is told before the program has the line, not after.
    if (Status committed = log_->Commit(); !committed) return done(committed.error());
    if (Status taken = adapter_->Prompt(message.text); !taken) return done(taken.error());
    Cursor at =
        Append("user.message", JsonObject().Set("message_id", message.id).Set("text", message.text).Take());
    (void)log_->Commit();
    // For those who ask for its run. It was delivered, however that goes.
    const MessageRecord record{message.id, id(), message.ToJson(), "done", run_ ? run_->id : ""};
    context_.store.PutMessage(record, [this, record, alive = std::weak_ptr<bool>(alive_),
                                       accepted = Accepted{message.id, "delivered", at.seq},
                                       done = std::move(done)](const Status& status) {
      if (!status && !alive.expired()) {
        Insist([this, record](Store::Done again) { context_.store.PutMessage(record, std::move(again)); });
      }
      done(accepted);
    });
    return;
  }

  MessageRecord record{message.id, id(), message.ToJson(), "queued"};
  ++(later ? arriving_later_ : arriving_);
  arriving_bytes_ += message.text.size();
  auto on_disk = [this, later, message = std::move(message),
                  done = std::move(done)](const Result<std::optional<MessageRecord>>& there) mutable {
    --(later ? arriving_later_ : arriving_);
    arriving_bytes_ -= message.text.size();
    if (!there) return done(there.error());
    if (*there) return SentBefore(**there, std::move(message), std::move(done));
    if (deleted_) {
      FinishMessage(message.id, Run::Status::kCancelled, "");
      return done(Error{"agent_deleted", "agent " + id() + " has been deleted"});
    }
    JsonObject data;
    data.Set("message_id", message.id).Set("mode", NameOf(message.mode));
    if (later) data.Set("run_at", FormatTime(message.run_at_ms));
    Accepted accepted{message.id, "scheduled", Append("message.queued", data.Take()).seq};
    if (later) {
      inbox_.Schedule(std::move(message));
      WatchDue();
    } else {
      const bool at_once = has_turns_ && ready_ && !stopping_ && !run_ && !taken_ && inbox_.size() == 0;
      const char* how = Arrive(std::move(message));
      accepted.disposition = at_once ? "started" : how;
    }
    (void)log_->Commit();  // it is in the store: the event follows, however full the disk is
    done(std::move(accepted));
    Advance();
  };
  context_.store.AddMessage(std::move(record), Guarded(std::move(on_disk)));
}

// Its id, made of an idempotency key, is known. Within the key's day it is the same message, whose answer was
// lost; later it is another.
void Agent::SentBefore(const MessageRecord& there, Message message,
                       std::function<void(Result<Accepted>)> done) {
  auto earlier = Message::FromJson(there.id, there.body);
  if (!earlier || message.queued_ms - earlier->queued_ms >= Store::kAnswerMs) {
    message.id.clear();
    return Send(std::move(message), std::move(done));
  }
  if (earlier->text != message.text) {
    return done(Error{"key_reused", "this Idempotency-Key came with another message before"});
  }
  done(Accepted{there.id, "queued", 0});
}

// It is due: into the turn that runs, or among those that wait.
const char* Agent::Arrive(Message message) {
  const Message::Mode mode = message.mode;
  const std::string message_id = message.id;
  message.through_pause = inbox_.paused() ? inbox_.pauses() : 0;
  if (CanSteer(message)) {
    Steer(message);
  } else {
    inbox_.Add(std::move(message));
  }
  // It may have been refused on the spot.
  const bool steered = mode == Message::Mode::kSteer && !inbox_.Has(message_id);
  Wake();
  if (mode == Message::Mode::kInterrupt && run_) {
    if (cancel_ == Cancel::kNo) cancel_ = Cancel::kMessage;
    InterruptTurn();
  }
  return steered ? "steered" : "queued";
}

// Their time has come. That is remembered: what a person's stop holds from then on, no restart sets free.
void Agent::TakeDueMessages() {
  if (deleted_ || draining_ || inbox_.next_due_ms() == 0) return;
  if (!OpenLog()) return due_.Start(kRetryMs);
  while (std::optional<Message> message = inbox_.TakeDue(context_.clock.WallMs())) {
    message->through_pause = inbox_.paused() ? inbox_.pauses() : 0;
    context_.store.PutMessage({message->id, id(), message->ToJson(), "queued"}, [](const Status&) {});
    Arrive(std::move(*message));
  }
  WatchDue();
}

void Agent::WatchDue() {
  const int64_t next = inbox_.next_due_ms();
  if (next == 0) return due_.Stop();
  due_.Start(std::clamp<int64_t>(next - context_.clock.WallMs(), 0, kLookAgainMs));
}

// ------------------------------------------------------------------------------------------------ waiting

bool Agent::Waits(const std::string& message_id) const {
  return inbox_.Has(message_id) || steering_.count(message_id) != 0 || (taken_ && taken_->id == message_id);
}

std::string Agent::QueueJson() const {
  JsonArray messages;
  if (taken_) messages.AddRaw(taken_->Describe("starting", ""));
  for (const auto& [message_id, message] : steering_) {
    messages.AddRaw(message.Describe("starting", run_ ? run_->id : ""));
  }
  for (const Message* message : inbox_.All()) messages.AddRaw(message->Describe("queued", ""));
  return JsonObject().Set("paused", inbox_.paused()).SetRaw("messages", messages.Take()).Take();
}

Status Agent::Cancel(const std::string& message_id, const Done& done) {
  const bool begun = (run_ && run_->Has(message_id)) || RunOfMessage(message_id) ||
                     steering_.count(message_id) != 0 || (taken_ && taken_->id == message_id);
  if (begun) return Error{"already_started", "message " + message_id + " has been started"};
  if (auto opened = OpenLog(); !opened) return opened;
  if (!inbox_.Remove(message_id)) {
    return Error{"message_not_found", "agent " + id() + " has no message " + message_id + " waiting"};
  }
  WatchDue();
  FinishMessage(message_id, Run::Status::kCancelled, "");
  done(log_->Commit());  // where the store cannot follow at once, a restart reads it there
  Advance();
  return {};
}

// Of an agent that goes, nothing waits any more.
void Agent::CancelMessages() {
  for (const Message* message : inbox_.All()) {
    FinishMessage(message->id, Run::Status::kCancelled, "");
  }
  const bool paused = inbox_.paused();
  const uint64_t pauses = inbox_.pauses();
  inbox_ = {};
  inbox_.RestorePause(paused, pauses);
  WatchDue();
}

// -------------------------------------------------------------------------------------------------- begun

// Takes the next message out of the inbox once the process can have it. That it is taken is on disk first:
// after a crash it is not begun a second time.
void Agent::TakeNextMessage() {
  if (!child_ || !ready_ || stopping_ || draining_ || taken_ || (has_turns_ && run_)) return;
  if (save_again_.active()) return;  // the disk is full: it would only be put back
  taken_ = inbox_.Take();
  if (!taken_) return;
  taken_->taken_seq = log_->head().seq;
  context_.store.PutMessage({taken_->id, id(), taken_->ToJson(), "running"},
                            Guarded([this](const Status& status) {
                              if (status) return BeginTaken();
                              log::Warning("agent {}: {}", id(), status.error().message);
                              PutBack(std::move(*std::exchange(taken_, std::nullopt)));
                              save_again_.Start(kRetryMs);
                              Advance();
                            }));
}

void Agent::BeginTaken() {
  Message message = std::move(*std::exchange(taken_, std::nullopt));
  const bool overtaken = message.mode != Message::Mode::kInterrupt && inbox_.HasInterrupt();
  const bool too_late = !child_ || !ready_ || stopping_ || draining_ || (has_turns_ && run_) || overtaken;
  if (too_late || !log_->Commit()) {
    PutBack(std::move(message));
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
  // On disk before the agent has it: killed in between, nobody begins it again.
  Status taken = log_->Commit();
  if (taken) taken = adapter_->Prompt(message.text);
  if (!has_turns_) {
    if (!taken)
      Emit("agent.error", JsonObject()
                              .Set("code", taken.error().code)
                              .Set("message", taken.error().message)
                              .Set("fatal", false)
                              .Take());
    FinishMessage(message.id, taken ? Run::Status::kCompleted : Run::Status::kFailed,
                  taken && run_ ? run_->id : "");
    inbox_.Resume();
  } else if (!taken) {
    OnTurnEnded({TurnEnd::Outcome::kFailed, taken.error()});
  }
  Advance();
}

// It was taken too early, and waits for the next chance.
void Agent::PutBack(Message message) {
  if (deleted_) {
    FinishMessage(message.id, Run::Status::kCancelled, "");
    return;
  }
  message.taken_seq = 0;
  context_.store.PutMessage({message.id, id(), message.ToJson(), "queued"}, [](const Status&) {});
  inbox_.PutBack(std::move(message));
}

void Agent::FinishMessage(const std::string& message_id, Run::Status how, const std::string& run_id) {
  Append(how == Run::Status::kCancelled && run_id.empty() ? "message.cancelled" : "message.done",
         JsonObject().Set("message_id", message_id).Take());
  Insist([this, message_id, how, run_id](Store::Done done) {
    context_.store.EndMessage(message_id, MessageState(how), run_id, std::move(done));
  });
}

// A write that must come to pass, however long the disk is full.
void Agent::Insist(const std::function<void(Store::Done)>& write) {
  write(Guarded([this, write](const Status& status) {
    if (status) return;
    unwritten_.push_back(write);
    save_again_.Start(kRetryMs);
  }));
}

// ----------------------------------------------------------------------------------------------- steering

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
    FinishMessage(message.id, Run::Status::kCompleted, run_ ? run_->id : "");
  } else {
    Requeue(std::move(message), status.error().message);
  }
  Advance();
}

// It was to steer by and is a turn of its own now, the next.
void Agent::Requeue(Message message, const std::string& reason) {
  if (deleted_) return FinishMessage(message.id, Run::Status::kCancelled, "");
  Append("message.queued", JsonObject()
                               .Set("message_id", message.id)
                               .Set("mode", NameOf(message.mode))
                               .Set("reason", "not steered: " + reason)
                               .Take());
  inbox_.Add(std::move(message));
}

// --------------------------------------------------------------------------------------------------- past

void Agent::ListRuns(uint64_t before, size_t limit,
                     std::function<void(Result<std::vector<std::string>>)> done) {
  std::vector<std::string> found;
  if (run_ && run_->number() < before) found.push_back(run_->ToJson());
  if (found.size() == limit) return done(std::move(found));
  const size_t ended_ones = limit - found.size();
  context_.store.ListRuns(
      id(), before, ended_ones,
      [found = std::move(found), done = std::move(done)](Result<std::vector<RunRecord>> ended) mutable {
        if (!ended) return done(ended.error());
        for (RunRecord& run : *ended) found.push_back(std::move(run.body));
        done(std::move(found));
      });
}

void Agent::FindRunRecord(const std::string& run_id, std::function<void(Result<std::string>)> done) {
  if (const Run* run = FindRun(run_id)) return done(run->ToJson());
  const uint64_t number = Run::NumberOf(run_id);
  if (number == 0 || run_id != "r" + std::to_string(number)) return done(std::string());
  context_.store.ListRuns(
      id(), number + 1, 1, [number, done = std::move(done)](Result<std::vector<RunRecord>> runs) {
        if (!runs) return done(runs.error());
        done(!runs->empty() && runs->front().number == number ? runs->front().body : std::string());
      });
}

void Agent::FindRunOfMessage(const std::string& message_id, std::function<void(Result<std::string>)> done) {
  if (const Run* run = RunOfMessage(message_id)) return done(run->ToJson());
  auto found = [this, done = std::move(done)](Result<std::optional<MessageRecord>> message) {
    if (!message) return done(message.error());
    if (!*message || (*message)->agent != id()) return done(std::string());
    if ((*message)->run.empty()) {
      return done(JsonObject().Set("message_id", (*message)->id).Set("status", (*message)->state).Take());
    }
    FindRunRecord((*message)->run, done);
  };
  context_.store.FindMessage(message_id, Guarded(std::move(found)));
}

}  // namespace reeve
