#include "orchestrator/adapters/turn_content.h"
#include "orchestrator/json/json.h"
#include "orchestrator/log/event_data.h"
#include "orchestrator/log/event_types.h"

#include <algorithm>
#include <utility>

namespace reeve {

namespace {

// The largest number of texts, or of calls, that are open at a time; one more ends the oldest. Agents were
// seen with a handful.
constexpr size_t kMaxOpen = 256;
// The largest number of ended ids that are remembered in one turn.
constexpr size_t kMaxDone = 10'000;
// The part of a text or an output that is kept, to be reported again as a whole. Its deltas continue beyond
// this.
constexpr size_t kMaxKept = size_t{4} << 20;

// Appends to the beginning that is kept, without a hole and without cutting a character.
void Keep(std::string& kept, std::string_view more) {
  constexpr size_t kLongestCharacter = 4;
  if (kept.size() + kLongestCharacter > kMaxKept) return;
  size_t fits = std::min(more.size(), kMaxKept - kept.size());
  while (fits > 0 && fits < more.size() && (static_cast<unsigned char>(more[fits]) & 0xC0U) == 0x80U) --fits;
  kept += more.substr(0, fits);
}

std::string_view DeltaOf(TurnContent::Text kind) {
  return kind == TurnContent::Text::kAssistant ? event_type::kAssistantDelta : event_type::kReasoningDelta;
}
std::string_view MessageOf(TurnContent::Text kind) {
  return kind == TurnContent::Text::kAssistant ? event_type::kAssistantMessage
                                               : event_type::kReasoningMessage;
}

}  // namespace

void TurnContent::Finished(std::string_view id) {
  if (done_.size() < kMaxDone) done_.emplace(id);
}

// --- texts

void TurnContent::Delta(Text kind, std::string_view id, std::string_view text) {
  if (text.empty() || Done(id)) return;
  auto open = std::find_if(texts_.begin(), texts_.end(), [id](const OpenText& one) { return one.id == id; });
  if (open == texts_.end()) {
    if (texts_.size() >= kMaxOpen) {
      Emit(texts_.front());
      texts_.erase(texts_.begin());
    }
    open = texts_.insert(texts_.end(), OpenText{kind, std::string(id), {}});
  }
  Keep(open->text, text);
  host_.Emit(DeltaOf(open->kind), JsonObject().Set("message_id", id).Set("text", text).Take());
}

void TurnContent::Message(Text kind, std::string_view id, std::string_view text) {
  if (Done(id)) return;
  auto open = std::find_if(texts_.begin(), texts_.end(), [id](const OpenText& one) { return one.id == id; });
  OpenText whole{kind, std::string(id), std::string(text)};
  if (open != texts_.end()) {
    whole.kind = open->kind;
    if (text.empty()) whole.text = std::move(open->text);
    texts_.erase(open);
  }
  Emit(whole);
}

void TurnContent::EndTexts(std::optional<std::string_view> still_open) {
  std::erase_if(texts_, [this, still_open](const OpenText& one) {
    if (one.id == still_open) return false;
    Emit(one);
    return true;
  });
}

void TurnContent::Emit(const OpenText& text) {
  Finished(text.id);
  if (text.text.empty()) return;
  host_.Emit(MessageOf(text.kind), JsonObject().Set("message_id", text.id).Set("text", text.text).Take());
}

// --- tool calls

bool TurnContent::Start(Call call) {
  if (Done(call.id) || Find(call.id)) return false;
  if (calls_.size() >= kMaxOpen)
    End(std::string(calls_.front().call.id), Outcome::kFailed, "the agent never reported its end");
  JsonObject data;
  data.Set("call_id", call.id);
  if (!call.session.empty()) data.Set("session", call.session);
  host_.Emit(event_type::kToolStarted, data.Set("name", call.name).SetRaw("input", call.input).Take());
  calls_.push_back({std::move(call), {}});
  return true;
}

const TurnContent::Call* TurnContent::Find(std::string_view call_id) const {
  auto open = std::find_if(calls_.begin(), calls_.end(),
                           [call_id](const OpenCall& one) { return one.call.id == call_id; });
  return open == calls_.end() ? nullptr : &open->call;
}

const TurnContent::Call* TurnContent::FindSame(std::string_view name, std::string_view input) const {
  auto same = std::find_if(calls_.rbegin(), calls_.rend(), [name, input](const OpenCall& one) {
    return one.call.name == name && one.call.input == input;
  });
  return same == calls_.rend() ? nullptr : &same->call;
}

std::string_view TurnContent::OutputOf(std::string_view call_id) const {
  auto open = std::find_if(calls_.begin(), calls_.end(),
                           [call_id](const OpenCall& one) { return one.call.id == call_id; });
  return open == calls_.end() ? std::string_view() : std::string_view(open->output);
}

void TurnContent::Output(std::string_view call_id, std::string_view more) {
  auto open = std::find_if(calls_.begin(), calls_.end(),
                           [call_id](const OpenCall& one) { return one.call.id == call_id; });
  if (open == calls_.end() || more.empty()) return;
  Keep(open->output, more);
  JsonObject data;
  data.Set("call_id", call_id);
  if (!open->call.session.empty()) data.Set("session", open->call.session);
  host_.Emit(event_type::kToolOutput, data.Set("output", more).Take());
}

void TurnContent::End(std::string_view call_id, Outcome outcome, std::string_view output,
                      std::optional<int64_t> duration_ms, std::optional<int64_t> exit_code) {
  auto open = std::find_if(calls_.begin(), calls_.end(),
                           [call_id](const OpenCall& one) { return one.call.id == call_id; });
  if (open == calls_.end()) return;
  const Call call = std::move(open->call);
  calls_.erase(open);
  Finished(call.id);
  if (duration_ms) duration_ms = std::clamp<int64_t>(*duration_ms, 0, kMaxCount);
  JsonObject data;
  data.Set("call_id", call.id);
  if (!call.session.empty()) data.Set("session", call.session);
  data.Set("name", call.name)
      .SetRaw("input", call.input)
      .Set("output", output)
      .Set("exit_code", exit_code)
      .Set("duration_ms", duration_ms);
  host_.Emit(outcome == Outcome::kCompleted ? event_type::kToolCompleted : event_type::kToolFailed,
             data.Take());
}

void TurnContent::EndTurn() {
  done_.clear();
  EndTexts();
  while (!calls_.empty()) {
    const std::string id = calls_.front().call.id;
    const std::string output = calls_.front().output;
    End(id, Outcome::kFailed, output.empty() ? "the turn ended before the tool did" : output);
  }
}

}  // namespace reeve
