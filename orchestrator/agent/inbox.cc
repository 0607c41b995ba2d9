#include "orchestrator/agent/inbox.h"

#include <algorithm>
#include <utility>

#include "orchestrator/json/json.h"
#include "process/clock.h"

namespace reeve {

const char* NameOf(Message::Mode mode) {
  switch (mode) {
    case Message::Mode::kFollowUp:
      return "followup";
    case Message::Mode::kSteer:
      return "steer";
    case Message::Mode::kInterrupt:
      return "interrupt";
  }
  return "";
}

std::optional<Message::Mode> ParseMode(std::string_view name) {
  for (auto mode : {Message::Mode::kFollowUp, Message::Mode::kSteer, Message::Mode::kInterrupt}) {
    if (name == NameOf(mode)) return mode;
  }
  return std::nullopt;
}

std::string Message::ToJson() const {
  JsonObject json;
  json.Set("text", text).Set("mode", NameOf(mode)).Set("queued_ms", queued_ms);
  if (!model.empty()) json.Set("model", model);
  if (run_at_ms != 0) json.Set("run_at_ms", run_at_ms);
  if (through_pause != 0) json.Set("through_pause", through_pause);
  if (taken_seq != 0) json.Set("taken_seq", taken_seq);
  return json.Take();
}

std::string Message::Describe(std::string_view state, const std::string& run) const {
  JsonObject json;
  json.Set("message_id", id).Set("mode", NameOf(mode)).Set("state", state);
  if (queued_ms != 0) json.Set("queued_at", FormatTime(queued_ms));
  if (run_at_ms != 0) json.Set("run_at", FormatTime(run_at_ms));
  if (!model.empty()) json.Set("model", model);
  if (!run.empty()) json.Set("run", run);
  return json.Set("text", text).Take();
}

std::optional<Message> Message::FromJson(const std::string& id, const std::string& body) {
  auto json = JsonDocument::Parse(body);
  if (!json || !(*json)["text"].AsString()) return std::nullopt;
  Message message;
  message.id = id;
  message.text = (*json)["text"].StringOr("");
  message.mode = ParseMode((*json)["mode"].StringOr("")).value_or(Mode::kFollowUp);
  message.model = (*json)["model"].StringOr("");
  message.run_at_ms = (*json)["run_at_ms"].AsInt().value_or(0);
  message.queued_ms = (*json)["queued_ms"].AsInt().value_or(0);
  message.through_pause = static_cast<uint64_t>((*json)["through_pause"].AsInt().value_or(0));
  message.taken_seq = static_cast<uint64_t>((*json)["taken_seq"].AsInt().value_or(0));
  return message;
}

void Inbox::Add(Message message) {
  bytes_ += message.text.size();
  if (!HasPrecedence(message)) {
    waiting_.push_back(std::move(message));
    return;
  }
  // Before the first that has no precedence; those that have it keep their order.
  auto at = std::find_if_not(waiting_.begin(), waiting_.end(),
                             [this](const Message& other) { return HasPrecedence(other); });
  waiting_.insert(at, std::move(message));
}

void Inbox::Schedule(Message message) {
  const int64_t at = message.run_at_ms;
  bytes_ += message.text.size();
  scheduled_.emplace(at, std::move(message));
}

std::optional<Message> Inbox::TakeDue(int64_t now_ms) {
  if (scheduled_.empty() || scheduled_.begin()->first > now_ms) return std::nullopt;
  Message message = Out(scheduled_.begin()->second);
  scheduled_.erase(scheduled_.begin());
  message.queued_ms = std::exchange(message.run_at_ms, 0);  // that is since when it waits
  return message;
}

void Inbox::PutBack(Message message) {
  bytes_ += message.text.size();
  auto at = HasPrecedence(message)
                ? waiting_.begin()
                : std::find_if_not(waiting_.begin(), waiting_.end(),
                                   [this](const Message& other) { return HasPrecedence(other); });
  waiting_.insert(at, std::move(message));
}

// What came through an earlier pause waits in this one.
void Inbox::Pause() {
  paused_ = true;
  ++pauses_;
}

bool Inbox::HasInterrupt() const {
  return std::any_of(waiting_.begin(), waiting_.end(),
                     [](const Message& message) { return message.mode == Message::Mode::kInterrupt; });
}

bool Inbox::Has(const std::string& id) const {
  return std::any_of(waiting_.begin(), waiting_.end(),
                     [&id](const Message& message) { return message.id == id; }) ||
         std::any_of(scheduled_.begin(), scheduled_.end(),
                     [&id](const auto& entry) { return entry.second.id == id; });
}

bool Inbox::Remove(const std::string& id) {
  auto waits = std::find_if(waiting_.begin(), waiting_.end(),
                            [&id](const Message& message) { return message.id == id; });
  if (waits != waiting_.end()) {
    (void)Out(*waits);
    waiting_.erase(waits);
    return true;
  }
  auto later = std::find_if(scheduled_.begin(), scheduled_.end(),
                            [&id](const auto& entry) { return entry.second.id == id; });
  if (later == scheduled_.end()) return false;
  (void)Out(later->second);
  scheduled_.erase(later);
  return true;
}

std::vector<const Message*> Inbox::All() const {
  std::vector<const Message*> all;
  all.reserve(waiting_.size() + scheduled_.size());
  for (const Message& message : waiting_) all.push_back(&message);
  for (const auto& [at, message] : scheduled_) all.push_back(&message);
  return all;
}

size_t Inbox::steers() const {
  return static_cast<size_t>(std::count_if(waiting_.begin(), waiting_.end(), [](const Message& message) {
    return message.mode == Message::Mode::kSteer;
  }));
}

bool Inbox::HasNext() const { return !waiting_.empty() && (!paused_ || GoesThrough(waiting_.front())); }

std::optional<Message> Inbox::Take() {
  if (!HasNext()) return std::nullopt;
  Message message = Out(waiting_.front());
  waiting_.pop_front();
  return message;
}

void Inbox::Restore(std::deque<Message> waiting) {
  waiting_ = std::move(waiting);
  for (const Message& message : waiting_) bytes_ += message.text.size();
}

// Its place is left for the caller to remove.
Message Inbox::Out(Message& message) {
  bytes_ -= message.text.size();
  return std::move(message);
}

}  // namespace reeve
