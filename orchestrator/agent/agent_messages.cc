#include "orchestrator/agent/agent_messages.h"

#include <algorithm>
#include <utility>

#include "orchestrator/agent/agent_facts.h"
#include "orchestrator/json/json.h"
#include "orchestrator/log/event_types.h"
#include "process/clock.h"
#include "process/log.h"
#include "process/random.h"

namespace reeve {

namespace {

constexpr int64_t kRetryMs = 1'000;
constexpr const char* kNotTaken = "the program ended before it took the message";

using Stage = Mailbox::Stage;

// The data of user.message.
JsonObject UserMessage(const Message& message) {
  JsonObject data;
  data.Set("message_id", message.id).Set("text", message.text);
  SetBy(data, message.by);
  return data;
}

}  // namespace

Agent::Messages::Messages(Agent& agent)
    : agent_(agent), due_(agent.context_.loop, [this] {
        TakeDue();
        agent_.Advance();
      }) {}

// ------------------------------------------------------------------------------------------------ arriving

void Agent::Messages::Send(Message message, std::function<void(Result<Accepted>)> done) {
  if (Status may = agent_.CheckMayBegin(); !may) return done(may.error());
  const bool named = !message.id.empty();
  if (Status prepared = Prepare(message); !prepared) return done(prepared.error());
  if (auto opened = agent_.journal_.Open(); !opened) return done(opened.error());

  // A line of input that nothing holds back. A message that may be sent again (with an Idempotency-Key) goes
  // through the store, which then knows it.
  const bool line = !agent_.has_turns_ && message.mode != Message::Mode::kInterrupt && message.run_at_ms == 0;
  if (line && !named && agent_.process_.ready() && agent_.mailbox_.depth() == 0 &&
      !agent_.mailbox_.ArrivingNow()) {
    return DeliverLine(message, std::move(done));
  }
  if (named && agent_.mailbox_.Find(message.id)) {
    const std::string message_id = message.id;
    return agent_.context_.store.FindMessage(
        message_id, agent_.alive_.Guard([this, message = std::move(message), done = std::move(done)](
                                            Result<std::optional<MessageRecord>> there) mutable {
          if (!there) return done(there.error());
          if (*there) return SentBefore(**there, std::move(message), std::move(done));
          done(Error{"request_under_way", "message " + message.id + " is still being accepted"});
        }));
  }
  auto accepted = agent_.mailbox_.Accept(std::move(message));
  if (!accepted) {
    return done(Error{accepted.error().code, "agent " + agent_.id() + ": " + accepted.error().message});
  }
  const Message& arriving = **accepted;
  agent_.TouchAll();
  agent_.context_.store.AddMessage(
      {arriving.id, agent_.id(), arriving.ToJson(), "queued"},
      agent_.alive_.Guard([this, message_id = arriving.id,
                           done = std::move(done)](const Result<std::optional<MessageRecord>>& there) {
        OnStored(message_id, there, done);
      }));
}

// Checks a new message, and fills in its id and its time.
Status Agent::Messages::Prepare(Message& message) const {
  if (!message.model.empty() && !agent_.kind_.can.model) {
    return Error{"not_supported", "model: kind " + agent_.spec_.kind + " has no choice of models"};
  }
  const int64_t now = agent_.context_.clock.WallMs();
  if (message.run_at_ms <= now) message.run_at_ms = 0;
  message.queued_ms = now;
  if (message.id.empty()) message.id = "m" + RandomHex(8);
  return {};
}

void Agent::Messages::SendAll(std::vector<Message> messages, bool only_if_idle, AllDone done) {
  if (only_if_idle && !agent_.idle()) {
    const std::string first = messages.front().id;
    const Error busy{"busy", "agent " + agent_.id() +
                                 (agent_.runs_.open() ? " is in run " + agent_.runs_.open()->id
                                                      : std::string(" has a message that is due"))};
    if (first.empty()) return done(busy);
    // A repeated request is not refused because of its own messages.
    return agent_.context_.store.FindMessage(
        first, agent_.alive_.Guard([this, busy, messages = std::move(messages), done = std::move(done)](
                                       Result<std::optional<MessageRecord>> there) mutable {
          if (!there || !*there) return done(there ? busy : there.error());
          SendAll(std::move(messages), false, std::move(done));
        }));
  }
  if (messages.size() > 1) return AcceptAll(std::move(messages), std::move(done));
  Send(std::move(messages.front()), [done = std::move(done)](Result<Accepted> accepted) {
    if (!accepted) return done(accepted.error());
    done(std::vector<Accepted>{std::move(*accepted)});
  });
}

void Agent::Messages::AcceptAll(std::vector<Message> messages, AllDone done) {
  if (Status may = agent_.CheckMayBegin(); !may) return done(may.error());
  for (Message& message : messages) {
    if (Status prepared = Prepare(message); !prepared) return done(prepared.error());
  }
  if (auto opened = agent_.journal_.Open(); !opened) return done(opened.error());
  const std::string first = messages.front().id;
  if (agent_.mailbox_.Find(first)) {  // by a request that is repeated
    return agent_.context_.store.FindMessage(
        first, agent_.alive_.Guard([this, messages = std::move(messages), done = std::move(done)](
                                       Result<std::optional<MessageRecord>> there) mutable {
          if (!there) return done(there.error());
          if (*there) return AllSentBefore(**there, std::move(messages), done);
          done(Error{"request_under_way", "message " + messages.front().id + " is still being accepted"});
        }));
  }
  std::vector<MessageRecord> records;
  for (const Message& message : messages) {
    if (auto accepted = agent_.mailbox_.Accept(message); !accepted) {
      for (const MessageRecord& record : records) agent_.mailbox_.Remove(record.id);
      return done(Error{accepted.error().code, "agent " + agent_.id() + ": " + accepted.error().message});
    }
    records.push_back(
        {message.id, agent_.id(), agent_.mailbox_.Find(message.id)->message.ToJson(), "queued"});
  }
  agent_.TouchAll();
  agent_.context_.store.AddMessages(
      std::move(records), agent_.alive_.Guard([this, messages = std::move(messages), done = std::move(done)](
                                                  const Result<std::optional<MessageRecord>>& there) {
        OnAllStored(messages, there, done);
      }));
}

void Agent::Messages::OnAllStored(std::vector<Message> messages,
                                  const Result<std::optional<MessageRecord>>& there, const AllDone& done) {
  if (!there || *there || agent_.deleted()) {
    for (const Message& message : messages) agent_.mailbox_.Remove(message.id);
    agent_.TouchAll();
  }
  if (!there) return done(there.error());
  if (*there) return AllSentBefore(**there, std::move(messages), done);
  if (agent_.deleted()) {
    for (const Message& message : messages) Finish(message.id, Run::Status::kCancelled, "");
    return done(agent_.CheckExists().error());
  }
  std::vector<Accepted> all;
  all.reserve(messages.size());
  for (const Message& message : messages) all.push_back({message.id, "", Place(message)});
  (void)agent_.journal_.CommitNow();  // they are in the store; their events follow once the disk has room
  agent_.Advance();
  for (size_t i = 0; i < messages.size(); ++i) all[i].disposition = DispositionOf(messages[i]);
  done(std::move(all));
}

// As SentBefore.
void Agent::Messages::AllSentBefore(const MessageRecord& there, std::vector<Message> messages,
                                    const AllDone& done) {
  auto earlier = Message::FromJson(there.id, there.body);
  if (!earlier || messages.front().queued_ms - earlier->queued_ms >= Store::kAnswerMs) {
    for (Message& message : messages) message.id.clear();
    return AcceptAll(std::move(messages), done);
  }
  if (earlier->text != messages.front().text) {
    return done(Error{"key_reused", "this Idempotency-Key was used before with another message"});
  }
  std::vector<Accepted> all;
  all.reserve(messages.size());
  for (const Message& message : messages) all.push_back({message.id, "queued", 0});
  done(std::move(all));
}

// A full disk must be reported before the program gets the line, not afterwards.
void Agent::Messages::DeliverLine(const Message& message, std::function<void(Result<Accepted>)> done) {
  if (Status committed = agent_.journal_.CommitNow(); !committed) return done(committed.error());
  if (Status taken = agent_.process_.Prompt(message.text); !taken) return done(taken.error());
  const Cursor at = agent_.journal_.Append(event_type::kUserMessage, UserMessage(message).Take());
  (void)agent_.journal_.CommitNow();
  // For requests about its run. The message was delivered, whatever the result of this write.
  const MessageRecord record{message.id, agent_.id(), message.ToJson(), "done",
                             agent_.runs_.open() ? agent_.runs_.open()->id : ""};
  agent_.context_.store.PutMessage(record, [this, record, alive = agent_.alive_.Watch(),
                                            accepted = Accepted{message.id, "delivered", at.seq},
                                            done = std::move(done)](const Status& status) {
    if (!status && !alive.expired()) {
      agent_.writer_.WriteEventually(
          [this, record](Store::Done again) { agent_.context_.store.PutMessage(record, std::move(again)); });
    }
    done(accepted);
  });
}

void Agent::Messages::OnStored(const std::string& message_id,
                               const Result<std::optional<MessageRecord>>& there,
                               const std::function<void(Result<Accepted>)>& done) {
  const Message message = agent_.mailbox_.Find(message_id)->message;
  if (!there || *there) {
    agent_.mailbox_.Remove(message_id);
    agent_.TouchAll();
    return there ? SentBefore(**there, message, done) : done(there.error());
  }
  if (agent_.deleted()) {
    agent_.mailbox_.Remove(message_id);
    Finish(message_id, Run::Status::kCancelled, "");
    return done(agent_.CheckExists().error());
  }
  const uint64_t seq = Place(message);
  (void)agent_.journal_.CommitNow();  // it is in the store; its event follows once the disk has room
  agent_.Advance();
  done(Accepted{message_id, DispositionOf(message), seq});
}

// A message that is on disk now takes its place. Returns the number of the event that reports it.
uint64_t Agent::Messages::Place(const Message& message) {
  const bool later = message.run_at_ms != 0;
  JsonObject data;
  data.Set("message_id", message.id).Set("mode", NameOf(message.mode));
  if (later) data.Set("run_at", FormatTime(message.run_at_ms));
  SetBy(data, message.by);
  const uint64_t seq = agent_.journal_.Append(event_type::kMessageQueued, data.Take()).seq;
  if (later) {
    agent_.mailbox_.Schedule(message.id);
    WatchDue();
  } else {
    Arrive(message.id);
  }
  return seq;
}

// The disposition of a message that has just arrived.
const char* Agent::Messages::DispositionOf(const Message& message) const {
  const Mailbox::Entry* entry = agent_.mailbox_.Find(message.id);
  if (!entry) return message.mode == Message::Mode::kSteer ? "steered" : "queued";
  if (entry->stage == Stage::kSteering) return "steered";
  if (entry->stage == Stage::kScheduled) return "scheduled";
  return entry->stage == Stage::kClaimed && agent_.has_turns_ ? "started" : "queued";
}

// Its id, which is derived from an idempotency key, is known. Within the key's day it is the same message,
// whose answer was lost. Later it is a different message.
void Agent::Messages::SentBefore(const MessageRecord& there, Message message,
                                 std::function<void(Result<Accepted>)> done) {
  auto earlier = Message::FromJson(there.id, there.body);
  if (!earlier || message.queued_ms - earlier->queued_ms >= Store::kAnswerMs) {
    message.id.clear();
    return Send(std::move(message), std::move(done));
  }
  if (earlier->text != message.text) {
    return done(Error{"key_reused", "this Idempotency-Key was used before with another message"});
  }
  done(Accepted{there.id, "queued", 0});
}

// The message is due: it goes into the open turn or into the queue.
void Agent::Messages::Arrive(const std::string& message_id) {
  const Message& message = agent_.mailbox_.Find(message_id)->message;
  const bool interrupts = message.mode == Message::Mode::kInterrupt;
  const bool steers = message.mode == Message::Mode::kSteer && message.model.empty() &&
                      agent_.kind_.can.steer && agent_.process_.ready() && agent_.runs_.open() &&
                      agent_.runs_.end_reason() == EndReason::kNone;
  if (steers) {
    // The message stays here until the agent confirms or refuses it.
    agent_.mailbox_.Steer(message_id);
    agent_.process_.Steer(message_id, std::string(message.text));
  } else {
    agent_.mailbox_.Queue(message_id);
  }
  Wake();
  if (interrupts && agent_.runs_.open()) {
    agent_.runs_.RequestEnd(EndReason::kMessage);
    agent_.InterruptRun();
  }
}

// A message arrived for an agent whose process has ended and would not start again by itself: tries to start
// it.
void Agent::Messages::Wake() {
  if (agent_.process_.alive() || agent_.wish_ != Wish::kStopped || agent_.draining()) return;
  agent_.process_.ForgetFailure();
  agent_.restarts_.Forgive();
  agent_.wish_ = Wish::kAlive;
}

// It is recorded that these messages are due. So a message that a person's stop holds from then on is not
// released by a restart of the daemon.
void Agent::Messages::TakeDue() {
  if (agent_.deleted() || agent_.draining() || agent_.mailbox_.next_due_ms() == 0) return;
  if (!agent_.journal_.Open()) return due_.Start(kRetryMs);
  while (const Message* message = agent_.mailbox_.TakeDue(agent_.context_.clock.WallMs())) {
    const std::string message_id = message->id;
    agent_.context_.store.PutMessage({message_id, agent_.id(), message->ToJson(), "queued"},
                                     [](const Status&) {});
    Arrive(message_id);
  }
  WatchDue();
}

void Agent::Messages::WatchDue() {
  const int64_t next = agent_.mailbox_.next_due_ms();
  if (next == 0) return due_.Stop();
  due_.Start(std::clamp<int64_t>(next - agent_.context_.clock.WallMs(), 0, kWallClockLookMs));
}

// ----------------------------------------------------------------------------------------------- beginning

// Claims the next message once the process can take it. The claim is first written to disk, so that the
// message does not begin a second time after a crash.
void Agent::Messages::ClaimNext() {
  if (!agent_.process_.ready() || agent_.draining() || agent_.turn_open()) return;
  if (agent_.writer_.waits_for_room()) return;  // the disk is full, so the claim would fail
  const Message* claimed = agent_.mailbox_.Claim(agent_.journal_.next_seq() - 1);
  if (!claimed) return;
  agent_.context_.store.PutMessage({claimed->id, agent_.id(), claimed->ToJson(), "running"},
                                   agent_.alive_.Guard([this](const Status& status) {
                                     if (status) return BeginClaimed();
                                     log::Warning("agent {}: {}", agent_.id(), status.error().message);
                                     GiveBackClaimed();
                                     agent_.writer_.RetryLater();
                                     agent_.Advance();
                                   }));
}

void Agent::Messages::BeginClaimed() {
  const Message message = *agent_.mailbox_.claimed();
  const bool too_late = !agent_.process_.ready() || agent_.draining() || agent_.turn_open() ||
                        agent_.deleted() || agent_.mailbox_.Overtaken();
  if (too_late) {
    GiveBackClaimed();
    return agent_.Advance();
  }
  const std::string text = UserMessage(message).Take();
  const uint64_t number = agent_.journal_.next_seq();
  // Written to disk before the agent gets it, so that after a crash in between it does not begin again. If
  // the disk is full nothing has happened, and the message waits.
  Status recorded;
  if (agent_.has_turns_) {
    const std::string run = Run::IdOf(number);
    const std::string started =
        JsonObject().Set("message_id", message.id).Set("mode", NameOf(message.mode)).Take();
    auto appended = agent_.journal_.AppendNow(
        {{event_type::kRunStarted, JsonObject().Set("message_id", message.id).Take()},
         {event_type::kMessageStarted, started},
         {event_type::kUserMessage, text}},
        run);
    if (!appended) recorded = appended.error();
  } else if (auto appended = agent_.journal_.AppendNow({{event_type::kUserMessage, text}}); !appended) {
    recorded = appended.error();
  }
  if (!recorded) {
    GiveBackClaimed();
    agent_.writer_.RetryLater();
    return agent_.Advance();
  }
  agent_.mailbox_.Remove(message.id);
  if (!message.model.empty()) agent_.model_.Choose(message.model, agent_.spec_.model);
  if (agent_.has_turns_) agent_.OnRunBegun(number, message.id);
  const Status taken = agent_.process_.Prompt(message.text);
  if (!agent_.has_turns_) {
    if (taken) {
      Finish(message.id, Run::Status::kCompleted, agent_.runs_.open() ? agent_.runs_.open()->id : "");
    } else {
      Fail(message.id, taken.error().message);
    }
    agent_.mailbox_.OnLineDelivered();
  } else if (!taken) {
    agent_.facts_->OnTurnEnded({TurnEnd::Outcome::kFailed, taken.error()});
  }
  agent_.Advance();
}

// The message was claimed too early and waits for the next opportunity.
void Agent::Messages::GiveBackClaimed() {
  const std::string message_id = agent_.mailbox_.claimed()->id;
  if (agent_.deleted()) {
    agent_.mailbox_.Remove(message_id);
    return Finish(message_id, Run::Status::kCancelled, "");
  }
  if (agent_.mailbox_.claimed()->started && !agent_.process_.alive() && agent_.wish_ == Wish::kStopped &&
      !agent_.mailbox_.paused()) {
    agent_.mailbox_.Remove(message_id);
    return Fail(message_id, kNotTaken);
  }
  agent_.mailbox_.GiveBack();
  agent_.context_.store.PutMessage(
      {message_id, agent_.id(), agent_.mailbox_.Find(message_id)->message.ToJson(), "queued"},
      [](const Status&) {});
}

void Agent::Messages::OnSteered(const std::string& message_id, const Status& taken) {
  if (!agent_.mailbox_.Has(message_id, Stage::kSteering)) return;
  if (taken) {
    JsonObject data = UserMessage(agent_.mailbox_.Find(message_id)->message);
    agent_.mailbox_.Remove(message_id);
    agent_.journal_.Append(event_type::kUserMessage, data.Set("steer", true).Take());
    if (agent_.runs_.open()) agent_.runs_.Steered(message_id);
    Finish(message_id, Run::Status::kCompleted, agent_.runs_.open() ? agent_.runs_.open()->id : "");
  } else {
    Requeue(message_id, taken.error().message);
  }
  agent_.Advance();
}

// A steering message becomes a turn of its own, the next one.
void Agent::Messages::Requeue(const std::string& message_id, const std::string& reason) {
  if (agent_.deleted()) {
    agent_.mailbox_.Remove(message_id);
    return Finish(message_id, Run::Status::kCancelled, "");
  }
  agent_.journal_.Append(event_type::kMessageQueued,
                         JsonObject()
                             .Set("message_id", message_id)
                             .Set("mode", NameOf(agent_.mailbox_.Find(message_id)->message.mode))
                             .Set("reason", "not steered: " + reason)
                             .Take());
  agent_.mailbox_.Queue(message_id);
}

// -------------------------------------------------------------------------------------------------- ending

void Agent::Messages::Withdraw(const std::string& message_id, const Done& done) {
  const Mailbox::Entry* entry = agent_.mailbox_.Find(message_id);
  const bool waits = entry && (entry->stage == Stage::kWaiting || entry->stage == Stage::kScheduled);
  if ((entry && !waits && entry->stage != Stage::kArriving) || agent_.runs_.OfMessage(message_id)) {
    return done(Error{"already_started", "message " + message_id + " has already begun"});
  }
  if (auto opened = agent_.journal_.Open(); !opened) return done(opened);
  if (!waits) {
    return done(Error{"message_not_found", "agent " + agent_.id() + " has no waiting message " + message_id});
  }
  // Where the store cannot follow at once, a restart reads it in the log.
  auto recorded = agent_.journal_.AppendNow(
      {{event_type::kMessageCancelled, JsonObject().Set("message_id", message_id).Take()}});
  if (!recorded) return done(recorded.error());
  agent_.mailbox_.Remove(message_id);
  WatchDue();
  EndInStore(message_id, Run::Status::kCancelled, "");
  done({});
  agent_.Advance();
}

void Agent::Messages::Finish(const std::string& message_id, Run::Status how, const std::string& run_id) {
  agent_.journal_.Append(how == Run::Status::kCancelled && run_id.empty() ? event_type::kMessageCancelled
                                                                          : event_type::kMessageDone,
                         JsonObject().Set("message_id", message_id).Take());
  EndInStore(message_id, how, run_id);
}

// The agent stays as its run left it: a message starts a process at most once.
void Agent::Messages::FailNotTaken() {
  const auto& failure = agent_.process_.failure();
  for (const std::string& message_id : agent_.mailbox_.NotTaken()) {
    agent_.mailbox_.Remove(message_id);
    Fail(message_id, failure ? failure->error.message : kNotTaken);
  }
}

void Agent::Messages::Fail(const std::string& message_id, const std::string& reason) {
  agent_.journal_.Append(
      event_type::kMessageDone,
      JsonObject().Set("message_id", message_id).Set("status", "failed").Set("reason", reason).Take());
  agent_.writer_.WriteEventually([this, message_id, reason](Store::Done done) {
    agent_.context_.store.FailMessage(message_id, reason, std::move(done));
  });
}

void Agent::Messages::EndInStore(const std::string& message_id, Run::Status how, const std::string& run_id) {
  agent_.writer_.WriteEventually([this, message_id, how, run_id](Store::Done done) {
    agent_.context_.store.EndMessage(message_id, MessageState(how), run_id, std::move(done));
  });
}

// Ends the waiting messages of a deleted agent. A claimed, arriving or steering message ends when the store
// or the agent has answered.
void Agent::Messages::CancelAll() {
  for (const Mailbox::Entry* entry : agent_.mailbox_.All()) {
    if (entry->stage != Stage::kWaiting && entry->stage != Stage::kScheduled) continue;
    const std::string message_id = entry->message.id;
    agent_.mailbox_.Remove(message_id);
    Finish(message_id, Run::Status::kCancelled, "");
  }
  WatchDue();
}

}  // namespace reeve
