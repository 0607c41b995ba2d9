#include "orchestrator/adapters/claude/claude_messages.h"

#include <algorithm>
#include <utility>

#include "orchestrator/adapters/output_lines.h"
#include "orchestrator/agent/tool_names.h"
#include "orchestrator/log/event_data.h"
#include "orchestrator/log/event_types.h"

namespace reeve {

namespace {

// More of a diff than a person reads. A longer diff is left out, and only its counts are reported.
constexpr size_t kMaxDiffBytes = size_t{64} << 10;
// Limits of one text, and of the calls that run at a time: more than any model produces. Anything beyond them
// is reported as it comes and not remembered.
constexpr size_t kMaxTextBytes = size_t{16} << 20;
constexpr size_t kMaxCalls = 1'000;
// The program's own note about an interrupt; the end of the turn reports it.
constexpr std::string_view kInterruptNote = "[Request interrupted by user";

bool OfSubAgent(const JsonValue& line) { return !line["parent_tool_use_id"].StringOr("").empty(); }

std::string_view SessionOf(const JsonValue& line) {
  return line["agent_id"].StringOr(line["parent_tool_use_id"].StringOr(""));
}

// The text of a tool's result, which is a string or a list of blocks.
std::string TextOf(const JsonValue& content) {
  if (auto text = content.AsString()) return std::string(*text);
  std::string all;
  for (const JsonValue& block : content.Elements()) {
    const std::string_view type = block["type"].StringOr("");
    if (!all.empty()) all += '\n';
    if (type == "text") {
      all += block["text"].StringOr("");
    } else {
      all.append("[").append(type).append("]");  // an image does not belong in a log
    }
  }
  return all;
}

struct Edit {
  int64_t additions = 0;
  int64_t deletions = 0;
  std::string diff;  // unified
};

void AddLine(Edit& edit, std::string_view line) {
  if (line.substr(0, 1) == "+") ++edit.additions;
  if (line.substr(0, 1) == "-") ++edit.deletions;
  if (edit.diff.size() <= kMaxDiffBytes) edit.diff.append(line).append("\n");
}

Edit NewFile(std::string_view path, std::string_view content) {
  Edit edit;
  std::string lines;
  while (!content.empty()) {
    const size_t end = std::min(content.find('\n'), content.size());
    AddLine(edit, std::string("+").append(content.substr(0, end)));
    content.remove_prefix(std::min(end + 1, content.size()));
  }
  edit.diff = "--- /dev/null\n+++ " + std::string(path) + "\n@@ -0,0 +1," + std::to_string(edit.additions) +
              " @@\n" + edit.diff;
  return edit;
}

Edit Patched(std::string_view path, const JsonValue& hunks) {
  Edit edit;
  edit.diff = "--- " + std::string(path) + "\n+++ " + std::string(path) + "\n";
  for (const JsonValue& hunk : hunks.Elements()) {
    auto range = [&hunk](const char* start, const char* lines) {
      return std::to_string(CountIn(hunk[start])) + "," + std::to_string(CountIn(hunk[lines]));
    };
    edit.diff += "@@ -" + range("oldStart", "oldLines") + " +" + range("newStart", "newLines") + " @@\n";
    for (const JsonValue& line : hunk["lines"].Elements()) AddLine(edit, line.StringOr(""));
  }
  return edit;
}

}  // namespace

void EmitClaudeOutput(AgentHost& host, const JsonValue& value) {
  EmitJsonOutput(host, "stdout", value.Raw());
}

// --- texts

// A message may have several texts and thoughts. Each becomes a message of ours; the first has the message's
// own id.
std::string ClaudeMessages::NextId(std::string_view message_id) {
  if (numbered_ != message_id) {
    numbered_ = message_id;
    texts_ = 0;
  }
  ++texts_;
  return texts_ == 1 ? numbered_ : numbered_ + "-" + std::to_string(texts_);
}

void ClaudeMessages::EmitDelta(Text& text, std::string_view more) {
  if (more.empty()) return;
  if (text.said.size() + more.size() <= kMaxTextBytes) text.said += more;
  host_.Emit(text.spoken ? event_type::kAssistantDelta : event_type::kReasoningDelta,
             JsonObject().Set("message_id", text.id).Set("text", more).Take());
}

// The whole text never came: the request was cut and is being tried again, or the turn has ended.
void ClaudeMessages::CloseText() {
  if (!open_) return;
  const Text text = std::move(*std::exchange(open_, std::nullopt));
  if (text.said.empty()) return;
  host_.Emit(text.spoken ? event_type::kAssistantMessage : event_type::kReasoningMessage,
             JsonObject().Set("message_id", text.id).Set("text", text.said).Take());
}

void ClaudeMessages::EmitText(bool spoken, std::string_view message_id, std::string_view whole) {
  if (!open_ || open_->message != message_id || open_->spoken != spoken) {
    CloseText();
    if (whole.empty()) return;
    open_ = Text{std::string(message_id), NextId(message_id), spoken, {}};
  }
  if (whole.substr(0, open_->said.size()) == open_->said) EmitDelta(*open_, whole.substr(open_->said.size()));
  if (!whole.empty()) open_->said = whole;  // the whole text wins over its deltas
  CloseText();
}

bool ClaudeMessages::TakeStream(const JsonValue& line) {
  if (OfSubAgent(line)) return true;
  const JsonValue event = line["event"];
  const std::string_view type = event["type"].StringOr("");
  if (type == "message_start") {
    CloseText();
    const JsonValue message = event["message"];
    message_ = message["id"].StringOr("");
    const JsonValue usage = message["usage"];
    prompt_tokens_ = CountIn(usage["input_tokens"]) + CountIn(usage["cache_read_input_tokens"]) +
                     CountIn(usage["cache_creation_input_tokens"]);
  } else if (type == "content_block_start") {
    CloseText();
    const std::string_view block = event["content_block"]["type"].StringOr("");
    if (block == "text" || block == "thinking") {
      open_ = Text{message_, NextId(message_), block == "text", {}};
      EmitDelta(*open_, event["content_block"][block].StringOr(""));
    }
  } else if (type == "content_block_delta") {
    const JsonValue delta = event["delta"];
    const std::string_view kind = delta["type"].StringOr("");
    if (open_ && kind == "text_delta" && open_->spoken) EmitDelta(*open_, delta["text"].StringOr(""));
    if (open_ && kind == "thinking_delta" && !open_->spoken)
      EmitDelta(*open_, delta["thinking"].StringOr(""));
  } else if (type == "message_delta") {
    AddCount(running_.input_tokens, std::exchange(prompt_tokens_, 0));
    AddCount(running_.output_tokens, CountIn(event["usage"]["output_tokens"]));
    Usage so_far = turn_;
    AddCount(so_far.input_tokens, running_.input_tokens);
    AddCount(so_far.output_tokens, running_.output_tokens);
    if (so_far.input_tokens + so_far.output_tokens > 0) EmitUsage(so_far);
  } else {
    return type == "content_block_stop" || type == "message_stop" || type == "ping";
  }
  return true;
}

bool ClaudeMessages::TakeAssistant(const JsonValue& line) {
  const JsonValue message = line["message"];
  const JsonValue content = message["content"];
  if (!content.Is(JsonType::kArray)) return false;
  // The program's report of a failed request; it has the form of an answer.
  if (line["is_api_error_message"].AsBool().value_or(false)) {
    Error error{std::string(line["api_error_type"].StringOr("api_error")), TextOf(content)};
    if (OfSubAgent(line)) {
      EmitApiError(error, SessionOf(line));
    } else {
      if (api_error_) EmitApiError(*api_error_, "");
      api_error_ = std::move(error);
    }
    return true;
  }
  for (const JsonValue& block : content.Elements()) {
    if (!TakeBlock(line, block)) EmitClaudeOutput(host_, block);
  }
  return true;
}

bool ClaudeMessages::TakeBlock(const JsonValue& line, const JsonValue& block) {
  const std::string_view type = block["type"].StringOr("");
  if (type == "text" || type == "thinking") {
    // A sub-agent's texts are its report: they are the output of the call that asked for it.
    if (!OfSubAgent(line)) {
      EmitText(type == "text", line["message"]["id"].StringOr(""), block[type].StringOr(""));
    }
    return true;
  }
  if (type == "redacted_thinking") return true;
  const std::string call_id(block["id"].StringOr(""));
  if (type == "tool_use" || type == "server_tool_use" || type == "mcp_tool_use") {
    if (call_id.empty()) return false;
    if (!OfSubAgent(line)) CloseText();
    BeginCall(call_id, {ToolName(block["name"].StringOr("")),
                        block["input"].Is(JsonType::kObject) ? block["input"].Raw() : "{}",
                        std::string(SessionOf(line))});
    return true;
  }
  return block["tool_use_id"] && FinishCall(block, {});  // of a tool that ran on the model's side
}

// --- calls

void ClaudeMessages::BeginCall(const std::string& call_id, Call call) {
  if (calls_.find(call_id) != calls_.end()) return;
  JsonObject data;
  data.Set("call_id", call_id);
  if (!call.session.empty()) data.Set("session", call.session);
  host_.Emit(event_type::kToolStarted, data.Set("name", call.name).SetRaw("input", call.input).Take());
  if (calls_.size() < kMaxCalls) calls_.emplace(call_id, std::move(call));
}

std::string ClaudeMessages::ReportedInput(const std::string& call_id, std::string input) const {
  auto call = calls_.find(call_id);
  if (call == calls_.end()) return input;
  auto told = JsonDocument::Parse(call->second.input);
  auto asked = JsonDocument::Parse(input);
  if (!told || !asked || told->root().size() != asked->root().size()) return input;
  for (const auto& [key, value] : told->root().Members()) {
    if ((*asked)[key].Raw() != value.Raw()) return input;  // a hook of the program changed the input
  }
  return call->second.input;
}

void ClaudeMessages::ChangeInput(const std::string& call_id, const std::string& input) {
  if (auto call = calls_.find(call_id); call != calls_.end()) call->second.input = input;
}

bool ClaudeMessages::TakeUser(const JsonValue& line) {
  if (line["isReplay"].AsBool().value_or(false)) return true;
  const JsonValue content = line["message"]["content"];
  if (content.Is(JsonType::kString)) return OfSubAgent(line);
  if (!content.Is(JsonType::kArray)) return false;
  const auto blocks = content.Elements();
  bool known = true;
  for (const JsonValue& block : blocks) {
    const std::string_view type = block["type"].StringOr("");
    if (type == "tool_result") {
      known = FinishCall(block, blocks.size() == 1 ? line["tool_use_result"] : JsonValue()) && known;
    } else if (type != "text" || (!OfSubAgent(line) && block["text"].StringOr("").substr(
                                                           0, kInterruptNote.size()) != kInterruptNote)) {
      known = false;
    }
  }
  return known;
}

bool ClaudeMessages::FinishCall(const JsonValue& result, const JsonValue& structured) {
  auto found = calls_.find(result["tool_use_id"].StringOr(""));
  if (found == calls_.end()) return closed_.erase(std::string(result["tool_use_id"].StringOr(""))) > 0;
  const auto [call_id, call] = std::move(*found);
  calls_.erase(found);
  const bool failed = result["is_error"].AsBool().value_or(false);
  JsonObject data;
  data.Set("call_id", call_id);
  if (!call.session.empty()) data.Set("session", call.session);
  data.Set("name", call.name).SetRaw("input", call.input).Set("output", TextOf(result["content"]));
  host_.Emit(failed ? event_type::kToolFailed : event_type::kToolCompleted, data.Take());
  if (failed) return true;
  if (call.name == "edit" || call.name == "write") EmitEdit(call, structured);
  if (call.name == "plan" && call.session.empty()) {
    JsonArray entries;
    if (auto input = JsonDocument::Parse(call.input)) {
      for (const JsonValue& todo : (*input)["todos"].Elements()) {
        entries.AddRaw(JsonObject()
                           .Set("content", todo["content"].StringOr(""))
                           .Set("status", todo["status"].StringOr(""))
                           .Take());
      }
    }
    host_.Emit(event_type::kPlanUpdated, JsonObject().SetRaw("entries", entries.Take()).Take());
  }
  return true;
}

// Only the path is known of a sub-agent's edits.
void ClaudeMessages::EmitEdit(const Call& call, const JsonValue& result) {
  auto input = JsonDocument::Parse(call.input);
  std::string path(result["filePath"].StringOr(""));
  if (path.empty() && input) path = (*input)["file_path"].StringOr((*input)["notebook_path"].StringOr(""));
  if (path.empty()) return;
  JsonObject data;
  data.Set("path", path);
  const JsonValue patch = result["structuredPatch"];
  const bool created = patch.size() == 0 && result["type"].StringOr("") == "create";
  if (created || patch.size() > 0) {
    const Edit edit = created ? NewFile(path, result["content"].StringOr("")) : Patched(path, patch);
    data.Set("additions", edit.additions).Set("deletions", edit.deletions);
    if (edit.diff.size() <= kMaxDiffBytes) data.Set("diff", edit.diff);
  }
  host_.Emit(event_type::kFileEdited, data.Take());
}

// --- turns

void ClaudeMessages::BeginTurn() {
  turn_ = {};
  running_ = {};
}

void ClaudeMessages::EmitApiError(const Error& error, std::string_view session) {
  JsonObject data;
  data.Set("code", error.code).Set("message", error.message).Set("fatal", false);
  if (!session.empty()) data.Set("session", session);
  host_.Emit(event_type::kAgentError, data.Take());
}

void ClaudeMessages::EndTurn(std::string_view error) {
  CloseText();
  if (api_error_ && api_error_->message != error) EmitApiError(*api_error_, "");
  api_error_.reset();
  closed_.clear();
  for (const auto& [call_id, call] : std::exchange(calls_, {})) {
    JsonObject data;
    data.Set("call_id", call_id);
    if (!call.session.empty()) data.Set("session", call.session);
    data.Set("name", call.name).SetRaw("input", call.input).Set("output", "the turn has ended");
    host_.Emit(event_type::kToolFailed, data.Take());
    closed_.insert(call_id);
  }
}

void ClaudeMessages::TakeUsage(const JsonValue& result) {
  running_ = {};
  prompt_tokens_ = 0;
  std::optional<double> total;
  if (result["total_cost_usd"].AsDouble()) total = CostIn(result["total_cost_usd"]);
  const JsonValue models = result["model_usage_since_last_result"];
  if (models.Is(JsonType::kObject)) {
    for (const auto& [model, usage] : models.Members()) {
      AddCount(turn_.input_tokens, CountIn(usage["inputTokens"]) + CountIn(usage["cacheReadInputTokens"]) +
                                       CountIn(usage["cacheCreationInputTokens"]));
      AddCount(turn_.output_tokens, CountIn(usage["outputTokens"]));
      AddCost(turn_.cost_usd, CostIn(usage["costUSD"]));
    }
    turn_.has_cost = true;
  } else {
    const JsonValue usage = result["usage"];
    AddCount(turn_.input_tokens, CountIn(usage["input_tokens"]) + CountIn(usage["cache_read_input_tokens"]) +
                                     CountIn(usage["cache_creation_input_tokens"]));
    AddCount(turn_.output_tokens, CountIn(usage["output_tokens"]));
    turn_.has_cost = total && total_cost_usd_;
    if (turn_.has_cost) AddCost(turn_.cost_usd, std::max(0.0, *total - *total_cost_usd_));
  }
  if (total) total_cost_usd_ = total;
  EmitUsage(turn_);
}

void ClaudeMessages::EmitUsage(const Usage& usage) {
  JsonObject data;
  data.Set("input_tokens", usage.input_tokens).Set("output_tokens", usage.output_tokens);
  if (usage.has_cost) data.Set("cost_usd", usage.cost_usd);
  host_.Emit(event_type::kUsageUpdated, data.Take());
}

}  // namespace reeve
