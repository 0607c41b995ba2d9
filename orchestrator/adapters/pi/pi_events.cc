#include "orchestrator/adapters/pi/pi_events.h"

#include <algorithm>

#include "orchestrator/adapters/edits.h"
#include "orchestrator/agent/tool_names.h"
#include "orchestrator/log/event_data.h"
#include "orchestrator/log/event_types.h"

namespace reeve {

namespace {

using Text = TurnContent::Text;

// These tell a reader nothing new (KINDS.md).
constexpr std::string_view kHousekeeping[] = {"turn_start", "turn_end", "queue_update",
                                              "session_info_changed", "thinking_level_changed"};

std::string CommonName(std::string_view tool) { return tool == "find" ? "glob" : ToolName(tool); }

std::string TextOf(const JsonValue& result) {
  std::string text;
  for (const JsonValue& block : result["content"].Elements()) text += block["text"].StringOr("");
  return text;
}

std::string ErrorJson(const char* code, std::string_view message) {
  return JsonObject().Set("code", code).Set("message", message).Set("fatal", false).Take();
}

TurnEnd EndOf(const JsonValue& message) {
  const std::string_view reason = message["stopReason"].StringOr("");
  if (reason == "aborted") return {TurnEnd::Outcome::kCancelled, {}};
  if (reason == "error") {
    return {TurnEnd::Outcome::kFailed,
            {"model_error", std::string(message["errorMessage"].StringOr("the model failed"))}};
  }
  if (reason == "length") return {TurnEnd::Outcome::kFailed, {"max_tokens", "the answer reached its limit"}};
  return {};
}

}  // namespace

void PiEvents::BeginTurn() {
  in_turn_ = true;
  started_ = interrupted_ = retrying_ = false;
  ending_.reset();
  last_ = {};
  usage_ = {};
}

// Also for a turn that an extension begins.
void PiEvents::Start() {
  if (!in_turn_) BeginTurn();
  ending_.reset();
  if (!std::exchange(started_, true)) host_.OnTurnStarted();
}

bool PiEvents::Take(std::string_view type, const JsonValue& event) {
  if (type == "agent_start") {
    Start();
  } else if (type == "agent_end") {
    content_.EndTexts();
    if (in_turn_) Ending(last_);
  } else if (type == "message_start" || type == "message_end") {
    return TakeMessage(type, event["message"]);
  } else if (type == "message_update") {
    return TakeUpdate(event["assistantMessageEvent"]);
  } else if (type.starts_with("tool_execution_")) {
    return TakeTool(type, event);
  } else if (type == "auto_retry_start") {
    retrying_ = true;
    ending_.reset();
    host_.Emit(event_type::kAgentError, ErrorJson("retry", event["errorMessage"].StringOr("")));
  } else if (type == "auto_retry_end") {
    TakeRetryEnd(event);
  } else if (type == "compaction_start") {
    ending_.reset();
  } else if (type == "compaction_end") {
    const std::string_view error = event["errorMessage"].StringOr("");
    if (!error.empty()) host_.Emit(event_type::kAgentError, ErrorJson("compaction_failed", error));
    if (in_turn_ && !event["willRetry"].AsBool().value_or(false)) Ending(last_);
  } else if (type == "extension_error") {
    host_.Emit(event_type::kAgentError, ErrorJson("extension_error", event["error"].StringOr("")));
  } else {
    return std::find(std::begin(kHousekeeping), std::end(kHousekeeping), type) != std::end(kHousekeeping);
  }
  return true;
}

void PiEvents::TakeRetryEnd(const JsonValue& event) {
  retrying_ = false;
  // Where the wait before a retry is interrupted, no agent_end follows.
  if (event["success"].AsBool().value_or(false) || ending_ || !in_turn_) return;
  Ending({TurnEnd::Outcome::kFailed, {"model_error", std::string(event["finalError"].StringOr(""))}});
}

void PiEvents::Ending(TurnEnd end) {
  if (interrupted_) end = {TurnEnd::Outcome::kCancelled, {}};
  ending_ = std::move(end);
  wants_state_ = true;
}

// A prompt that is a command of an extension is over without an agent_start.
void PiEvents::TakeState(const JsonValue& state) {
  const bool busy =
      state["isStreaming"].AsBool().value_or(false) || state["isCompacting"].AsBool().value_or(false);
  if (!in_turn_ || busy || retrying_) return;
  if (ending_) {
    EndTurn(*std::exchange(ending_, std::nullopt));
  } else if (!started_ || interrupted_) {
    EndTurn({interrupted_ ? TurnEnd::Outcome::kCancelled : TurnEnd::Outcome::kCompleted, {}});
  }
}

void PiEvents::EndTurn(const TurnEnd& end) {
  if (!in_turn_) return;
  in_turn_ = started_ = false;
  ending_.reset();
  content_.EndTurn();
  host_.OnTurnEnded(end);
}

// --- content

// pi gives texts no ids. The time of the answer is unique in a session.
std::string PiEvents::TextId(const JsonValue& index) const {
  return message_ + "-" + std::to_string(index.AsInt().value_or(0));
}

bool PiEvents::TakeMessage(std::string_view type, const JsonValue& message) {
  const std::string_view role = message["role"].StringOr("");
  if (role == "user" || role == "toolResult") return true;  // reported by their own events
  if (role != "assistant") return false;
  message_ = "m" + std::to_string(message["timestamp"].AsInt().value_or(0));
  if (type == "message_start") return true;
  int64_t index = 0;
  for (const JsonValue& block : message["content"].Elements()) {
    const std::string id = message_ + "-" + std::to_string(index++);
    const bool thought = block["type"].StringOr("") == "thinking";
    const std::string_view text = block[thought ? "thinking" : "text"].StringOr("");
    if (!text.empty() && !content_.Done(id))
      content_.Message(thought ? Text::kReasoning : Text::kAssistant, id, text);
  }
  content_.EndTexts();
  last_ = EndOf(message);
  TakeUsage(message["usage"]);
  return true;
}

bool PiEvents::TakeUpdate(const JsonValue& update) {
  const std::string_view type = update["type"].StringOr("");
  const bool thought = type.starts_with("thinking_");
  if (!thought && !type.starts_with("text_")) return true;  // calls are reported when they run
  const Text kind = thought ? Text::kReasoning : Text::kAssistant;
  const std::string id = TextId(update["contentIndex"]);
  if (type.ends_with("_delta")) {
    const std::string_view delta = update["delta"].StringOr("");
    if (!delta.empty()) content_.Delta(kind, id, delta);
  } else if (type.ends_with("_end")) {
    const std::string_view text = update["content"].StringOr("");
    if (!text.empty() && !content_.Done(id)) content_.Message(kind, id, text);
  }
  return true;
}

void PiEvents::TakeUsage(const JsonValue& usage) {
  auto count = [&usage](const char* name) { return CountIn(usage[name]); };
  const Usage more{count("input") + count("cacheRead") + count("cacheWrite"), count("output"),
                   CostIn(usage["cost"]["total"])};
  if (more.input_tokens == 0 && more.output_tokens == 0) return;
  usage_.Add(more);
  host_.Emit(event_type::kUsageUpdated, usage_.ToJson());
}

// --- tools

bool PiEvents::TakeTool(std::string_view type, const JsonValue& event) {
  const std::string id(event["toolCallId"].StringOr(""));
  if (type == "tool_execution_start") {
    const JsonValue args = event["args"];
    content_.EndTexts();
    content_.Start(
        {id, CommonName(event["toolName"].StringOr("")), args.Is(JsonType::kObject) ? args.Raw() : "{}", ""});
  } else if (type == "tool_execution_update") {
    // The whole output so far. If its beginning was cut away, the end of the call brings the rest.
    const std::string output = TextOf(event["partialResult"]);
    const std::string_view known = content_.OutputOf(id);
    if (output.size() > known.size() && output.starts_with(known))
      content_.Output(id, output.substr(known.size()));
  } else if (type == "tool_execution_end") {
    EndCall(event);
  } else {
    return false;
  }
  return true;
}

void PiEvents::EndCall(const JsonValue& event) {
  const std::string id(event["toolCallId"].StringOr(""));
  const TurnContent::Call* call = content_.Find(id);
  if (!call) return;
  const bool failed = event["isError"].AsBool().value_or(false);
  auto input = JsonDocument::Parse(call->input);
  const std::string name = call->name;
  content_.End(id, failed ? TurnContent::Outcome::kFailed : TurnContent::Outcome::kCompleted,
               TextOf(event["result"]));
  if (failed || !input || (name != "edit" && name != "write")) return;
  const std::string_view path = (*input)["path"].StringOr("");
  std::string diff;
  for (const JsonValue& edit : (*input)["edits"].Elements())
    diff += DiffOf(edit["oldText"].StringOr(""), edit["newText"].StringOr(""));
  if (name == "write") diff = WholeFileDiff((*input)["content"].StringOr(""), '+');
  if (!path.empty()) EmitEdit(host_, path, diff);
}

}  // namespace reeve
