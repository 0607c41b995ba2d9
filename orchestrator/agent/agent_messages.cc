// The messages of an agent: how they arrive, begin and end. Their order and the pause are the Mailbox's.
#include <algorithm>
#include <utility>

#include "orchestrator/agent/agent.h"
#include "orchestrator/json/json.h"
#include "orchestrator/log/event_types.h"
#include "process/clock.h"
#include "process/log.h"
#include "process/random.h"

namespace reeve {

namespace {

// The wall clock may be set: nobody who waits for it sleeps longer.
constexpr int64_t kLookAgainMs = 30'000;
constexpr int64_t kRetryMs = 1'000;

using Stage = Mailbox::Stage;

}  // namespace

// ------------------------------------------------------------------------------------------------- coming

void Agent::Send(Message message, std::function<void(Result<Accepted>)> done) {
  if (Status exists = CheckExists(); !exists) return done(exists.error());
  if (draining()) return done(Error{"draining", "the daemon is shutting down"});
  if (!message.model.empty() && !kind_.can.model) {
    return done(Error{"invalid_request", "model: kind " + spec_.kind + " has no choice of models"});
  }
  if (auto opened = journal_.Open(); !opened) return done(opened.error());
  const int64_t now = context_.clock.WallMs();
  if (message.run_at_ms <= now) message.run_at_ms = 0;
  message.queued_ms = now;
  const bool named = !message.id.empty();
  if (!named) message.id = "m" + RandomHex(8);

  // A line of input that nothing holds up; one that may be sent again goes by the store, which knows it then.
  const bool line = !has_turns_ && message.mode != Message::Mode::kInterrupt && message.run_at_ms == 0;
  if (line && !named && process_.ready() && mailbox_.depth() == 0 && !mailbox_.ArrivingNow()) {
    return DeliverLine(std::move(message), std::move(done));
  }
  if (named && mailbox_.Find(message.id)) {
    const std::string message_id = message.id;
    return context_.store.FindMessage(
        message_id, Guarded([this, message = std::move(message),
                             done = std::move(done)](Result<std::optional<MessageRecord>> there) mutable {
          if (!there) return done(there.error());
          if (*there) return SentBefore(**there, std::move(message), std::move(done));
          done(Error{"request_under_way", "message " + message.id + " is being accepted"});
        }));
  }
  auto accepted = mailbox_.Accept(std::move(message));
  if (!accepted) {
    return done(Error{accepted.error().code, "agent " + id() + ": " + accepted.error().message});
  }
  const Message& arriving = **accepted;
  context_.store.AddMessage({arriving.id, id(), arriving.ToJson(), "queued"},
                            Guarded([this, message_id = arriving.id, done = std::move(done)](
                                        const Result<std::optional<MessageRecord>>& there) {
                              OnMessageStored(message_id, there, done);
                            }));
}

// A full disk is told before the program has the line, not after.
void Agent::DeliverLine(Message message, std::function<void(Result<Accepted>)> done) {
  if (Status committed = journal_.CommitNow(); !committed) return done(committed.error());
  if (Status taken = process_.Prompt(message.text); !taken) return done(taken.error());
  const Cursor at = journal_.Append(
      event_type::kUserMessage, JsonObject().Set("message_id", message.id).Set("text", message.text).Take());
  (void)journal_.CommitNow();
  // For those who ask for its run. It was delivered, however that goes.
  const MessageRecord record{message.id, id(), message.ToJson(), "done",
                             runs_.open() ? runs_.open()->id : ""};
  context_.store.PutMessage(record, [this, record, alive = std::weak_ptr<bool>(alive_),
                                     accepted = Accepted{message.id, "delivered", at.seq},
                                     done = std::move(done)](const Status& status) {
    if (!status && !alive.expired()) {
      writer_.WriteEventually(
          [this, record](Store::Done again) { context_.store.PutMessage(record, std::move(again)); });
    }
    done(accepted);
  });
}

void Agent::OnMessageStored(const std::string& message_id, const Result<std::optional<MessageRecord>>& there,
                            const std::function<void(Result<Accepted>)>& done) {
  const Message message = mailbox_.Find(message_id)->message;
  if (!there || *there) {
    mailbox_.Remove(message_id);
    return there ? SentBefore(**there, message, done) : done(there.error());
  }
  if (deleted()) {
    mailbox_.Remove(message_id);
    FinishMessage(message_id, Run::Status::kCancelled, "");
    return done(CheckExists().error());
  }
  const bool later = message.run_at_ms != 0;
  JsonObject data;
  data.Set("message_id", message_id).Set("mode", NameOf(message.mode));
  if (later) data.Set("run_at", FormatTime(message.run_at_ms));
  const uint64_t seq = journal_.Append(event_type::kMessageQueued, data.Take()).seq;
  if (later) {
    mailbox_.Schedule(message_id);
    WatchDue();
  } else {
    Arrive(message_id);
  }
  (void)journal_.CommitNow();  // it is in the store: the event follows, however full the disk is
  Advance();
  done(Accepted{message_id, DispositionOf(message), seq});
}

// What has become of a message that has just arrived.
const char* Agent::DispositionOf(const Message& message) const {
  const Mailbox::Entry* entry = mailbox_.Find(message.id);
  if (!entry || entry->stage == Stage::kSteering) return "steered";
  if (entry->stage == Stage::kScheduled) return "scheduled";
  return entry->stage == Stage::kClaimed && has_turns_ ? "started" : "queued";
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

// It is due: into the turn that runs, or into the queue.
void Agent::Arrive(const std::string& message_id) {
  const Message& message = mailbox_.Find(message_id)->message;
  const bool interrupts = message.mode == Message::Mode::kInterrupt;
  const bool steers = message.mode == Message::Mode::kSteer && message.model.empty() && kind_.can.steer &&
                      process_.ready() && runs_.open() && runs_.end_reason() == EndReason::kNone;
  if (steers) {
    // Until the agent says that it has the words, or refuses them, they are ours.
    mailbox_.Steer(message_id);
    process_.Steer(message_id, std::string(message.text));
  } else {
    mailbox_.Queue(message_id);
  }
  Wake();
  if (interrupts && runs_.open()) {
    runs_.RequestEnd(EndReason::kMessage);
    InterruptRun();
  }
}

// A message has arrived for an agent whose process has gone and is not to come back by itself: a new try.
void Agent::Wake() {
  if (process_.alive() || wish_ != Wish::kStopped || draining()) return;
  process_.ForgetFailure();
  restarts_.Forgive();
  wish_ = Wish::kAlive;
}

// That they are due is remembered: a message that a person's stop holds from then on is not set free by a
// restart of the daemon.
void Agent::TakeDueMessages() {
  if (deleted() || draining() || mailbox_.next_due_ms() == 0) return;
  if (!journal_.Open()) return due_.Start(kRetryMs);
  while (const Message* message = mailbox_.TakeDue(context_.clock.WallMs())) {
    const std::string message_id = message->id;
    context_.store.PutMessage({message_id, id(), message->ToJson(), "queued"}, [](const Status&) {});
    Arrive(message_id);
  }
  WatchDue();
}

void Agent::WatchDue() {
  const int64_t next = mailbox_.next_due_ms();
  if (next == 0) return due_.Stop();
  due_.Start(std::clamp<int64_t>(next - context_.clock.WallMs(), 0, kLookAgainMs));
}

// -------------------------------------------------------------------------------------------------- begun

// Claims the next message once the process can have it. That it is claimed is on disk first: after a crash it
// is not begun a second time.
void Agent::ClaimNext() {
  if (!process_.ready() || draining() || turn_open()) return;
  if (writer_.waits_for_room()) return;  // the disk is full: it would only be given back
  const Message* claimed = mailbox_.Claim(journal_.next_seq() - 1);
  if (!claimed) return;
  context_.store.PutMessage({claimed->id, id(), claimed->ToJson(), "running"},
                            Guarded([this](const Status& status) {
                              if (status) return BeginClaimed();
                              log::Warning("agent {}: {}", id(), status.error().message);
                              GiveBackClaimed();
                              writer_.RetryLater();
                              Advance();
                            }));
}

void Agent::BeginClaimed() {
  const Message message = *mailbox_.claimed();
  const bool too_late = !process_.ready() || draining() || turn_open() || deleted() || mailbox_.Overtaken();
  if (too_late) {
    GiveBackClaimed();
    return Advance();
  }
  const std::string text = JsonObject().Set("message_id", message.id).Set("text", message.text).Take();
  const uint64_t number = journal_.next_seq();
  // On disk before the agent has it: killed in between, nobody begins it again. On a full disk nothing has
  // happened, and it waits.
  Status recorded;
  if (has_turns_) {
    const std::string run = Run::IdOf(number);
    const std::string started =
        JsonObject().Set("message_id", message.id).Set("mode", NameOf(message.mode)).Take();
    auto appended =
        journal_.AppendNow({{event_type::kRunStarted, JsonObject().Set("message_id", message.id).Take()},
                            {event_type::kMessageStarted, started},
                            {event_type::kUserMessage, text}},
                           run);
    if (!appended) recorded = appended.error();
  } else if (auto appended = journal_.AppendNow({{event_type::kUserMessage, text}}); !appended) {
    recorded = appended.error();
  }
  if (!recorded) {
    GiveBackClaimed();
    writer_.RetryLater();
    return Advance();
  }
  mailbox_.Remove(message.id);
  if (!message.model.empty()) spec_.model = message.model;
  if (has_turns_) OnRunBegun(number, message.id);
  const Status taken = process_.Prompt(message.text);
  if (!has_turns_) {
    if (!taken) AppendError(taken.error(), false);
    FinishMessage(message.id, taken ? Run::Status::kCompleted : Run::Status::kFailed,
                  taken && runs_.open() ? runs_.open()->id : "");
    mailbox_.OnLineDelivered();
  } else if (!taken) {
    OnTurnEnded({TurnEnd::Outcome::kFailed, taken.error()});
  }
  Advance();
}

// It was claimed too early, and waits for the next chance.
void Agent::GiveBackClaimed() {
  const std::string message_id = mailbox_.claimed()->id;
  if (deleted()) {
    mailbox_.Remove(message_id);
    return FinishMessage(message_id, Run::Status::kCancelled, "");
  }
  mailbox_.GiveBack();
  context_.store.PutMessage({message_id, id(), mailbox_.Find(message_id)->message.ToJson(), "queued"},
                            [](const Status&) {});
}

void Agent::OnSteered(const std::string& message_id, const Status& taken) {
  if (!mailbox_.Has(message_id, Stage::kSteering)) return;
  if (taken) {
    const std::string text = mailbox_.Find(message_id)->message.text;
    mailbox_.Remove(message_id);
    journal_.Append(event_type::kUserMessage,
                    JsonObject().Set("message_id", message_id).Set("text", text).Set("steer", true).Take());
    if (runs_.open()) runs_.Steered(message_id);
    FinishMessage(message_id, Run::Status::kCompleted, runs_.open() ? runs_.open()->id : "");
  } else {
    Requeue(message_id, taken.error().message);
  }
  Advance();
}

// It was to steer by, and is a turn of its own now, the next.
void Agent::Requeue(const std::string& message_id, const std::string& reason) {
  if (deleted()) {
    mailbox_.Remove(message_id);
    return FinishMessage(message_id, Run::Status::kCancelled, "");
  }
  journal_.Append(event_type::kMessageQueued,
                  JsonObject()
                      .Set("message_id", message_id)
                      .Set("mode", NameOf(mailbox_.Find(message_id)->message.mode))
                      .Set("reason", "not steered: " + reason)
                      .Take());
  mailbox_.Queue(message_id);
}

// -------------------------------------------------------------------------------------------------- ended

void Agent::FinishMessage(const std::string& message_id, Run::Status how, const std::string& run_id) {
  journal_.Append(how == Run::Status::kCancelled && run_id.empty() ? event_type::kMessageCancelled
                                                                   : event_type::kMessageDone,
                  JsonObject().Set("message_id", message_id).Take());
  writer_.WriteEventually([this, message_id, how, run_id](Store::Done done) {
    context_.store.EndMessage(message_id, MessageState(how), run_id, std::move(done));
  });
}

// Of a deleted agent nothing waits any more. A claimed message, one that is arriving and one to steer by end
// when their store or agent has answered.
void Agent::CancelMessages() {
  for (const Mailbox::Entry* entry : mailbox_.All()) {
    if (entry->stage != Stage::kWaiting && entry->stage != Stage::kScheduled) continue;
    const std::string message_id = entry->message.id;
    mailbox_.Remove(message_id);
    FinishMessage(message_id, Run::Status::kCancelled, "");
  }
  WatchDue();
}

}  // namespace reeve
