#include "orchestrator/adapters/opencode/opencode_messages.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "orchestrator/adapters/output_lines.h"
#include "orchestrator/agent/tool_names.h"
#include "orchestrator/log/event_data.h"
#include "orchestrator/log/event_types.h"

namespace reeve {

namespace {

// More of a diff than a person reads. A longer diff is left out, and only its counts are reported.
constexpr size_t kMaxDiffBytes = size_t{64} << 10;
// Messages of one turn that are remembered: one per step of the model. The limit keeps a turn without end
// small.
constexpr size_t kMaxMessages = 2'000;
constexpr size_t kMaxCallIds = 10'000;  // of one turn that are remembered

std::string CallKey(std::string_view message_id, std::string_view call_id) {
  return std::string(message_id).append("/").append(call_id);
}

// A command that was aborted or failed is "completed" too, and so is a question that a person dismissed.
bool Failed(const JsonValue& state) {
  const JsonValue exit = state["metadata"]["exit"];
  return state["status"].StringOr("") == "error" || (exit && exit.AsInt() != 0) ||
         state["metadata"]["dismissed"].AsBool().value_or(false);
}

// A text is one message, with its part's id. Text in the same part after a tool call is another message.
std::string TextId(const std::string& part_id, int messages) {
  return messages == 0 ? part_id : part_id + "." + std::to_string(messages);
}

JsonObject CallData(const OpencodeMessages::Call& call) {
  JsonObject data;
  data.Set("call_id", call.id);
  if (!call.session.empty()) data.Set("session", call.session);
  return data;
}

}  // namespace

void EmitOther(AgentHost& host, const JsonValue& value) { EmitJsonOutput(host, "events", value.Raw()); }

void OpencodeMessages::SetSession(std::string session, int64_t horizon_ms) {
  session_ = std::move(session);
  horizon_ms_ = horizon_ms;
}

void OpencodeMessages::BeginTurn() {
  EndWhatIsOpen();
  usage_ = {};
  call_ids_.clear();
  // Messages that have become history were kept for events that come late.
  std::erase_if(messages_, [this](const auto& entry) { return entry.second.created_ms <= horizon_ms_; });
}

void OpencodeMessages::EndTurn() {
  EndWhatIsOpen();
  EmitHeldEdits();
  for (const auto& [id, message] : messages_) {
    if (message.assistant) horizon_ms_ = std::max(horizon_ms_, message.created_ms);
  }
}

void OpencodeMessages::EndWhatIsOpen() {
  for (auto& [id, message] : messages_) {
    for (auto& [part_id, part] : message.parts) {
      if (part.done) continue;
      if (!part.call.empty()) {
        part.done = true;
        if (auto call = calls_.extract(part.call)) EmitCutShort(call.mapped());
      } else if (!part.sent.empty()) {
        part.done = true;
        EmitWhole(part_id, part, part.sent);
      }
    }
  }
  for (const auto& [key, call] : std::exchange(calls_, {})) EmitCutShort(call);
}

void OpencodeMessages::StreamBroke() {
  for (auto& [id, message] : messages_) {
    for (auto& [part_id, part] : message.parts) part.gapped = !part.done;
  }
}

bool OpencodeMessages::ReachesBack(const JsonValue& messages) const {
  if (messages.size() == 0) return true;
  const JsonValue oldest = messages.At(0)["info"];
  return CountIn(oldest["time"]["created"]) <= horizon_ms_ ||
         messages_.find(oldest["id"].StringOr("")) != messages_.end();
}

bool OpencodeMessages::HasNewAnswer(const JsonValue& messages) const {
  const auto all = messages.Elements();
  return std::any_of(all.begin(), all.end(), [this](const JsonValue& message) {
    const JsonValue info = message["info"];
    return info["role"].StringOr("") == "assistant" && CountIn(info["time"]["created"]) > horizon_ms_ &&
           messages_.find(info["id"].StringOr("")) == messages_.end();
  });
}

bool OpencodeMessages::HasPrompt() const {
  return std::any_of(messages_.begin(), messages_.end(), [this](const auto& entry) {
    const Message& message = entry.second;
    return !message.assistant && !message.sub_agent && message.created_ms > horizon_ms_;
  });
}

bool OpencodeMessages::TakeInfo(const JsonValue& info) {
  const std::string_view id = info["id"].StringOr("");
  if (messages_.find(id) != messages_.end()) return true;
  Message message;
  message.assistant = info["role"].StringOr("") == "assistant";
  message.sub_agent = info["sessionID"].StringOr("") != session_;
  message.created_ms = CountIn(info["time"]["created"]);
  if (id.empty() || message.created_ms <= horizon_ms_) return false;
  if (messages_.size() >= kMaxMessages) {
    auto oldest = messages_.begin();  // ids ascend
    horizon_ms_ = std::max(horizon_ms_, oldest->second.created_ms);
    messages_.erase(oldest);
  }
  messages_.emplace(id, std::move(message));
  return true;
}

void OpencodeMessages::TakePart(const JsonValue& part, bool live) {
  auto message = messages_.find(part["messageID"].StringOr(""));
  if (message == messages_.end() || !message->second.assistant)
    return;  // the daemon itself reports what a user said
  const bool sub_agent = message->second.sub_agent;
  auto [entry, fresh] = message->second.parts.try_emplace(std::string(part["id"].StringOr("")));
  Part& known = entry->second;
  if (fresh) {
    known.type = part["type"].StringOr("");
    known.gapped = !live;
    known.done = part["synthetic"].AsBool().value_or(false);  // the program's own text: progress, spinners
  }
  if (known.done) return;
  if (known.type == "text" || known.type == "reasoning") {
    // A sub-agent's texts are its report to our session: the output of the tool call that asked for it.
    if (!sub_agent) TakeText(part, known, live);
    return;
  }
  if (known.type == "tool") return TakeTool(part, known, message->second);
  known.done = true;
  if (known.type == "step-start") {
    reported_.clear();
  } else if (known.type == "step-finish") {
    EmitHeldEdits();
    TakeUsage(part);
  } else if (known.type == "patch") {  // all files changed in the step, by any tool
    for (const JsonValue& file : part["files"].Elements()) edited_.emplace(file.StringOr(""));
    EmitHeldEdits();
  } else if (known.type != "snapshot" && known.type != "retry") {  // session.status reports retries
    EmitOther(host_, part);
  }
}

void OpencodeMessages::TakeDelta(const JsonValue& delta) {
  auto message = messages_.find(delta["messageID"].StringOr(""));
  if (message == messages_.end() || message->second.sub_agent || delta["field"].StringOr("") != "text")
    return;
  auto part = message->second.parts.find(delta["partID"].StringOr(""));
  if (part == message->second.parts.end()) return;
  Part& known = part->second;
  if (known.done || known.gapped || (known.type != "text" && known.type != "reasoning")) return;
  EmitDelta(part->first, known, delta["delta"].StringOr(""));
}

void OpencodeMessages::EmitDelta(const std::string& id, Part& known, std::string_view more) {
  if (more.empty()) return;
  known.sent += more;
  host_.Emit(known.type == "text" ? event_type::kAssistantDelta : event_type::kReasoningDelta,
             JsonObject().Set("message_id", TextId(id, known.messages)).Set("text", more).Take());
}

// Takes a part that holds all of its text so far. A message may have several texts, with tool calls between
// them; each becomes a message of ours.
void OpencodeMessages::TakeText(const JsonValue& part, Part& known, bool live) {
  const std::string id(part["id"].StringOr(""));
  const std::string_view text = part["text"].StringOr("");
  if (text.substr(0, known.sent.size()) == known.sent) {
    if (live) known.gapped = false;
    EmitDelta(id, known, text.substr(known.sent.size()));
  }
  if (part["time"] && !part["time"]["end"]) return;
  EmitWhole(id, known, text);
  known.done = true;
  known.sent = {};
}

// `text`: the whole text of the part in the server's words, or as much of it as there is.
void OpencodeMessages::EmitWhole(const std::string& id, Part& known, std::string_view text) {
  const size_t before = std::exchange(known.whole, known.sent.size());
  std::string_view rest = text.substr(std::min(before, text.size()));
  if (rest.empty()) rest = std::string_view(known.sent).substr(std::min(before, known.sent.size()));
  if (rest.empty()) return;
  host_.Emit(known.type == "text" ? event_type::kAssistantMessage : event_type::kReasoningMessage,
             JsonObject().Set("message_id", TextId(id, known.messages++)).Set("text", rest).Take());
}

const OpencodeMessages::Call* OpencodeMessages::FindCall(std::string_view message_id,
                                                         std::string_view call_id) const {
  auto found = calls_.find(CallKey(message_id, call_id));
  return found == calls_.end() ? nullptr : &found->second;
}

bool OpencodeMessages::HasEnded(std::string_view message_id, std::string_view call_id) const {
  auto message = messages_.find(message_id);
  if (message == messages_.end()) return false;
  const auto& parts = message->second.parts;
  return std::any_of(parts.begin(), parts.end(), [key = CallKey(message_id, call_id)](const auto& entry) {
    return entry.second.done && entry.second.call == key;
  });
}

const OpencodeMessages::Call& OpencodeMessages::Announce(std::string_view message_id, const Call& call) {
  const std::string key = CallKey(message_id, call.id);
  auto [entry, fresh] = calls_.try_emplace(key, call);
  Call& begun = entry->second;
  if (!fresh) return begun;
  if (call_ids_.size() >= kMaxCallIds) call_ids_.clear();
  if (!call_ids_.insert(begun.id).second) begun.id = key;
  EndTexts(message_id);
  host_.Emit(event_type::kToolStarted,
             CallData(begun).Set("name", begun.name).SetRaw("input", begun.input).Take());
  return begun;
}

// The server ends a text only with its step. The text before a call ends here, unless we missed some of it.
void OpencodeMessages::EndTexts(std::string_view message_id) {
  auto message = messages_.find(message_id);
  if (message == messages_.end()) return;
  for (auto& [id, part] : message->second.parts) {
    const bool text = part.type == "text" || part.type == "reasoning";
    if (text && !part.done && !part.gapped) EmitWhole(id, part, part.sent);
  }
}

void OpencodeMessages::EmitCutShort(const Call& call) {
  host_.Emit(event_type::kToolFailed, CallData(call)
                                          .Set("name", call.name)
                                          .SetRaw("input", call.input)
                                          .Set("output", "the turn ended before the tool did")
                                          .Take());
}

void OpencodeMessages::TakeTool(const JsonValue& part, Part& known, const Message& message) {
  const JsonValue state = part["state"];
  const std::string_view status = state["status"].StringOr("");
  if (status != "running" && status != "completed" && status != "error")
    return;  // pending: the input may be incomplete
  const std::string_view message_id = part["messageID"].StringOr("");
  Call now;
  now.id = part["callID"].StringOr("");
  if (message.sub_agent) now.session = part["sessionID"].StringOr("");
  now.name = ToolName(part["tool"].StringOr(""));
  now.input = state["input"].Is(JsonType::kObject) ? state["input"].Raw() : "{}";
  if (!std::exchange(known.started, true)) {
    // Some models give all calls of an answer the same id, or none.
    const std::string key = CallKey(message_id, now.id);
    const bool taken = std::any_of(message.parts.begin(), message.parts.end(),
                                   [&key](const auto& entry) { return entry.second.call == key; });
    if (taken || now.id.empty()) now.id = part["id"].StringOr("");
    known.call = CallKey(message_id, now.id);
    const Call& begun = Announce(message_id, now);
    now.id = begun.id;
    now.name = begun.name;
  } else if (auto begun = calls_.find(known.call); begun != calls_.end()) {
    now.id = begun->second.id;
    now.name = begun->second.name;
  }
  if (status == "running") {
    const std::string_view output = state["metadata"]["output"].StringOr("");
    if (output.size() <= known.sent.size() || output.substr(0, known.sent.size()) != known.sent) return;
    const std::string_view more = output.substr(known.sent.size());
    host_.Emit(event_type::kToolOutput, CallData(now).Set("output", more).Take());
    known.sent = output;
    return;
  }
  known.done = true;
  known.sent = {};
  calls_.erase(known.call);
  const bool failed = Failed(state);
  JsonObject end = CallData(now);
  end.Set("name", now.name).SetRaw("input", now.input);
  end.Set("output", state[status == "error" ? "error" : "output"].StringOr(""));
  end.Set("exit_code", state["metadata"]["exit"].AsInt());  // of a command
  const JsonValue time = state["time"];
  if (time["end"])
    end.Set("duration_ms", std::max<int64_t>(CountIn(time["end"]) - CountIn(time["start"]), 0));
  host_.Emit(failed ? event_type::kToolFailed : event_type::kToolCompleted, end.Take());
  if (status == "completed") EmitEdits(state["metadata"]);
}

void OpencodeMessages::TakeUsage(const JsonValue& part) {
  const JsonValue tokens = part["tokens"];
  const JsonValue cache = tokens["cache"];
  AddCount(usage_.input_tokens, CountIn(tokens["input"]) + CountIn(cache["read"]) + CountIn(cache["write"]));
  AddCount(usage_.output_tokens, CountIn(tokens["output"]) + CountIn(tokens["reasoning"]));
  AddCost(usage_.cost_usd, CostIn(part["cost"]));
  host_.Emit(event_type::kUsageUpdated, JsonObject()
                                            .Set("input_tokens", usage_.input_tokens)
                                            .Set("output_tokens", usage_.output_tokens)
                                            .Set("cost_usd", usage_.cost_usd)
                                            .Take());
}

// Reports the files that a tool says it edited: one (`filediff`) or several (`files`), with counts.
void OpencodeMessages::EmitEdits(const JsonValue& metadata) {
  if (metadata["filediff"]) EmitEdit(metadata["filediff"], metadata["diff"].StringOr(""));
  for (const JsonValue& file : metadata["files"].Elements()) EmitEdit(file, file["diff"].StringOr(""));
}

void OpencodeMessages::EmitEdit(const JsonValue& file, std::string_view diff) {
  const std::string_view path = file["file"].StringOr(file["filePath"].StringOr(""));
  if (path.empty()) return;
  if (auto held = edited_.find(path); held != edited_.end()) edited_.erase(held);
  reported_.emplace(path);
  if (diff.empty()) diff = file["patch"].StringOr("");
  JsonObject data;
  data.Set("path", path);
  data.Set("additions", CountIn(file["additions"])).Set("deletions", CountIn(file["deletions"]));
  if (!diff.empty() && diff.size() <= kMaxDiffBytes) data.Set("diff", diff);
  host_.Emit(event_type::kFileEdited, data.Take());
}

void OpencodeMessages::EmitHeldEdits() {
  const auto held = std::exchange(edited_, {});
  for (const std::string& path : held) {
    if (path.empty() || !reported_.insert(path).second) continue;
    host_.Emit(event_type::kFileEdited, JsonObject().Set("path", path).Take());
  }
}

}  // namespace reeve
