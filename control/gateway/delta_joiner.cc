#include "control/gateway/delta_joiner.h"

#include <utility>

#include "orchestrator/json/json.h"
#include "orchestrator/log/event_types.h"

namespace reeve {

void DeltaJoiner::Add(const FrameView& frame) {
  if (frame.type == event_type::kAssistantDelta || frame.type == event_type::kReasoningDelta) {
    const auto json = JsonDocument::Parse(frame.envelope);
    const JsonValue event = json ? json->root() : JsonValue();
    const JsonValue data = event["data"];
    const auto text = data["text"].AsString();
    // Other members of the data would be lost.
    if (text && data.size() == (data["message_id"] ? 2U : 1U)) {
      const std::string_view run = event["run"].StringOr("");
      const std::string_view message_id = data["message_id"].StringOr("");
      if (count_ > 0 && (frame.type != type_ || run != run_ || message_id != message_id_)) Flush();
      if (count_ == 0) {
        first_ = frame.envelope;
        agent_ = event["agent"].StringOr("");
        type_ = frame.type;
        run_ = run;
        message_id_ = message_id;
        text_.clear();
      }
      ++count_;
      text_ += *text;
      last_ = frame.id;
      time_ = event["time"].StringOr("");
      return;
    }
  }
  Flush();
  take_(frame.envelope);
}

void DeltaJoiner::Flush() {
  const uint64_t count = std::exchange(count_, 0);
  if (count == 0) return;
  if (count == 1) return take_(first_);
  JsonObject data;
  if (!message_id_.empty()) data.Set("message_id", message_id_);
  JsonObject event;
  event.Set("agent", agent_)
      .Set("epoch", last_.epoch)
      .Set("seq", last_.seq)
      .Set("time", time_)
      .Set("type", type_);
  if (!run_.empty()) event.Set("run", run_);
  take_(event.Set("joined", count).SetRaw("data", data.Set("text", text_).Take()).Take());
}

}  // namespace reeve
