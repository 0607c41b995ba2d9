#include "orchestrator/agent/open_content.h"

#include <algorithm>
#include <utility>

#include "orchestrator/json/json.h"
#include "orchestrator/log/event_types.h"
#include "process/clock.h"

namespace reeve {

namespace {

// Appends and keeps the newest `most` bytes, cut at a character of UTF-8. Returns true if it had to cut.
bool AppendBounded(std::string& text, std::string_view more, size_t most) {
  text += more;
  if (text.size() <= most) return false;
  size_t cut = text.size() - most / 2;  // not at each append
  while (cut < text.size() && (static_cast<unsigned char>(text[cut]) & 0xc0U) == 0x80U) ++cut;
  text.erase(0, cut);
  return true;
}

}  // namespace

uint64_t OpenContent::since() const {
  if (since_ != 0) return since_;
  uint64_t oldest = 0;
  for (const Text& one : texts_) oldest = oldest == 0 ? one.seq : std::min(oldest, one.seq);
  for (const Call& one : calls_) oldest = oldest == 0 ? one.seq : std::min(oldest, one.seq);
  return oldest;
}

void OpenContent::Take(std::string_view type, std::string_view data, uint64_t seq, int64_t now_ms) {
  since_ = 0;
  using namespace event_type;
  const bool delta = type == kAssistantDelta || type == kReasoningDelta;
  const bool whole = type == kAssistantMessage || type == kReasoningMessage;
  const bool ends = type == kToolCompleted || type == kToolFailed;
  if (type == kPlanUpdated) plan_ = data;
  if (!delta && !whole && !ends && type != kToolStarted && type != kToolOutput) return;
  auto json = JsonDocument::Parse(data);
  if (!json) return;
  const std::string_view call = (*json)["call_id"].StringOr("");
  if (delta) {
    TakeDelta(type == kReasoningDelta, json->root(), seq);
  } else if (whole) {
    EndText(type == kReasoningMessage, (*json)["message_id"].StringOr(""));
  } else if (ends) {
    EndCall(call);
  } else if (type == kToolStarted) {
    StartCall(json->root(), seq, now_ms);
  } else {
    auto running =
        std::find_if(calls_.begin(), calls_.end(), [call](const Call& one) { return one.id == call; });
    if (running == calls_.end()) return;
    running->truncated |= AppendBounded(running->output, (*json)["output"].StringOr(""), kMaxBytes);
  }
}

void OpenContent::TakeDelta(bool reasoning, const JsonValue& data, uint64_t seq) {
  const std::string_view id = data["message_id"].StringOr("");
  auto text = std::find_if(texts_.begin(), texts_.end(), [reasoning, id](const Text& one) {
    return one.reasoning == reasoning && one.id == id;
  });
  if (text == texts_.end()) {
    if (texts_.size() == kMaxTexts) texts_.pop_front();
    texts_.push_back({reasoning, std::string(id), {}, false, seq});
    text = texts_.end() - 1;
  }
  text->truncated |= AppendBounded(text->text, data["text"].StringOr(""), kMaxBytes);
}

// A text without an id is complete with the next message of its kind.
void OpenContent::EndText(bool reasoning, std::string_view id) {
  texts_.erase(std::remove_if(texts_.begin(), texts_.end(),
                              [reasoning, id](const Text& one) {
                                return one.reasoning == reasoning && (one.id == id || one.id.empty());
                              }),
               texts_.end());
}

void OpenContent::StartCall(const JsonValue& data, uint64_t seq, int64_t now_ms) {
  const std::string_view id = data["call_id"].StringOr("");
  EndCall(id);
  if (calls_.size() == kMaxCalls) calls_.pop_front();
  const JsonValue input = data["input"];
  calls_.push_back({std::string(id),
                    std::string(data["name"].StringOr("")),
                    std::string(input ? input.Raw() : "null"),
                    {},
                    false,
                    now_ms,
                    seq});
}

void OpenContent::EndCall(std::string_view id) {
  calls_.erase(std::remove_if(calls_.begin(), calls_.end(), [id](const Call& one) { return one.id == id; }),
               calls_.end());
}

void OpenContent::EndRun() {
  texts_.clear();
  calls_.clear();
}

std::string OpenContent::ToJson() const {
  JsonArray texts;
  for (const Text& one : texts_) {
    JsonObject json;
    if (!one.id.empty()) json.Set("message_id", one.id);
    json.Set("kind", one.reasoning ? "reasoning" : "assistant").Set("text", one.text);
    if (one.truncated) json.Set("truncated", true);
    texts.AddRaw(json.Take());
  }
  JsonArray calls;
  for (const Call& one : calls_) {
    JsonObject json;
    json.Set("call_id", one.id).Set("name", one.name).SetRaw("input", one.input);
    if (!one.output.empty()) json.Set("output", one.output);
    if (one.truncated) json.Set("truncated", true);
    calls.AddRaw(json.Set("started_at", FormatTime(one.started_ms)).Take());
  }
  return JsonObject()
      .SetRaw("texts", texts.Take())
      .SetRaw("calls", calls.Take())
      .SetRaw("plan", plan_.empty() ? "null" : plan_)
      .Take();
}

}  // namespace reeve
