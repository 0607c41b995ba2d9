#include "orchestrator/inbox.h"

#include <algorithm>
#include <utility>

#include "orchestrator/json.h"

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

std::string Message::ToJson() const {
  JsonObject json;
  json.Set("text", text).Set("mode", NameOf(mode));
  if (!model.empty()) json.Set("model", model);
  if (through_pause) json.Set("through_pause", true);
  return json.Take();
}

std::optional<Message> Message::FromJson(const std::string& id, const std::string& body) {
  auto json = JsonDocument::Parse(body);
  if (!json || !(*json)["text"].AsString()) return std::nullopt;
  Message message;
  message.id = id;
  message.text = (*json)["text"].StringOr("");
  std::string_view mode = (*json)["mode"].StringOr("followup");
  message.mode = mode == "steer" ? Mode::kSteer : mode == "interrupt" ? Mode::kInterrupt : Mode::kFollowUp;
  message.model = (*json)["model"].StringOr("");
  message.through_pause = (*json)["through_pause"].AsBool().value_or(false);
  return message;
}

namespace {
bool HasPrecedence(const Message& message) {
  return message.through_pause || message.mode != Message::Mode::kFollowUp;
}
}  // namespace

void Inbox::Add(Message message) {
  if (!HasPrecedence(message)) {
    waiting_.push_back(std::move(message));
    return;
  }
  // Before the first that has no precedence; those that have it keep their order.
  auto at = std::find_if_not(waiting_.begin(), waiting_.end(), HasPrecedence);
  waiting_.insert(at, std::move(message));
}

void Inbox::PutBack(Message message) {
  auto at = HasPrecedence(message) ? waiting_.begin()
                                   : std::find_if_not(waiting_.begin(), waiting_.end(), HasPrecedence);
  waiting_.insert(at, std::move(message));
}

// What came through an earlier pause waits in this one.
void Inbox::Pause() {
  paused_ = true;
  for (Message& message : waiting_) message.through_pause = false;
}

bool Inbox::HasInterrupt() const {
  return std::any_of(waiting_.begin(), waiting_.end(),
                     [](const Message& message) { return message.mode == Message::Mode::kInterrupt; });
}

bool Inbox::Has(const std::string& id) const {
  return std::any_of(waiting_.begin(), waiting_.end(),
                     [&id](const Message& message) { return message.id == id; });
}

size_t Inbox::steers() const {
  return static_cast<size_t>(std::count_if(waiting_.begin(), waiting_.end(), [](const Message& message) {
    return message.mode == Message::Mode::kSteer;
  }));
}

bool Inbox::HasNext() const { return !waiting_.empty() && (!paused_ || waiting_.front().through_pause); }

std::optional<Message> Inbox::Take() {
  if (!HasNext()) return std::nullopt;
  Message message = std::move(waiting_.front());
  waiting_.pop_front();
  return message;
}

}  // namespace reeve
