#include "orchestrator/agent/message.h"

#include <iterator>

#include "orchestrator/handover/saved_state.h"
#include "orchestrator/json/json.h"
#include "process/clock.h"

namespace reeve {

const char* NameOf(Message::Mode mode) { return Message::kModes[static_cast<size_t>(mode)]; }

std::optional<Message::Mode> ParseMode(std::string_view name) {
  for (size_t i = 0; i < std::size(Message::kModes); ++i) {
    if (name == Message::kModes[i]) return static_cast<Message::Mode>(i);
  }
  return std::nullopt;
}

std::string Message::ToJson() const { return SaveState(*this); }

std::optional<Message> Message::FromJson(const std::string& id, const std::string& body) {
  auto json = JsonDocument::Parse(body);
  if (!json || !(*json)["text"].AsString()) return std::nullopt;
  Message message;
  if (!RestoreState(json->root(), message)) return std::nullopt;
  message.id = id;
  return message;
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

}  // namespace reeve
