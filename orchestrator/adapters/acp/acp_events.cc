#include "orchestrator/adapters/acp/acp_events.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "orchestrator/adapters/edits.h"
#include "orchestrator/adapters/output_lines.h"
#include "orchestrator/agent/tool_names.h"
#include "orchestrator/log/event_data.h"
#include "orchestrator/log/event_types.h"

namespace reeve {

namespace {

// Limits of one turn; agents were seen with dozens.
constexpr size_t kMaxCalls = 1'000;
constexpr size_t kMaxPending = 256;
constexpr size_t kMaxName = 100;  // bytes of a title that serves as a name

// Updates that a viewer has no use for: menus, settings, the size of the context, the person's own words.
constexpr std::string_view kHousekeeping[] = {"available_commands_update", "config_option_update",
                                              "usage_update", "user_message_chunk"};

// The common name of a call. Its kind says what it does. The title may be any text, also the model's own
// words, so it only tells apart the tools of that kind.
std::string NameOf(const JsonValue& call) {
  struct Family {
    std::string_view kind, name;
    std::array<std::string_view, 4> members;
  };
  static constexpr Family kFamilies[] = {
      {"execute", "bash", {}},
      {"edit", "edit", {"edit", "write"}},
      {"delete", "edit", {}},
      {"move", "edit", {}},
      {"read", "read", {"read", "list"}},
      {"search", "search", {"search", "glob", "grep", "list"}},
      {"fetch", "fetch", {"fetch", "search"}},
  };
  const std::string_view kind = call["kind"].StringOr("other");
  const std::string_view title = call["title"].StringOr("");
  const std::string named = ToolName(title.substr(0, kMaxName));
  for (const Family& family : kFamilies) {
    if (family.kind != kind) continue;
    const bool member =
        std::find(family.members.begin(), family.members.end(), named) != family.members.end();
    return std::string(member && !named.empty() ? std::string_view(named) : family.name);
  }
  return title.empty() ? ToolName(kind) : named;
}

std::string InputOf(const JsonValue& call) {
  if (call["rawInput"].Is(JsonType::kObject)) return call["rawInput"].Raw();
  JsonObject input;
  if (auto title = call["title"].AsString()) input.Set("title", *title);
  if (call["locations"].size() == 1) input.Set("path", call["locations"].At(0)["path"].AsString());
  return input.Take();
}

// The texts in a call's content.
std::string TextOf(const JsonValue& content) {
  std::string text;
  for (const JsonValue& part : content.Elements()) {
    if (part["type"].StringOr("") != "content") continue;
    if (!text.empty()) text += '\n';
    const JsonValue block = part["content"];
    if (auto words = block["text"].AsString()) {
      text += *words;
    } else {
      text += block.Raw();
    }
  }
  return text;
}

// The tool's own output, for a call without any content to show.
std::string RawOutput(const JsonValue& output) {
  if (!output || output.Is(JsonType::kNull)) return {};
  for (const JsonValue& text : {output, output["output"], output["error"]}) {
    if (auto words = text.AsString()) return std::string(*words);
  }
  return output.Raw();
}

}  // namespace

// --- turns

void AcpEvents::BeginTurn() {
  in_turn_ = true;
  interrupted_ = false;
  cost_before_ = cost_;
}

void AcpEvents::EndTurn(const JsonValue& result) {
  content_.EndTexts();
  const JsonValue usage = result["usage"];
  auto count = [&usage](const char* member) { return CountIn(usage[member]); };
  const int64_t input = count("inputTokens") + count("cachedReadTokens") + count("cachedWriteTokens");
  const int64_t output = count("outputTokens") + count("thoughtTokens");
  if (input + output > 0) {  // kilo counts nothing for a cancelled turn
    JsonObject data;
    data.Set("input_tokens", input).Set("output_tokens", output);
    if (has_cost_) data.Set("cost_usd", std::max(cost_ - cost_before_, 0.0));
    host_.Emit(event_type::kUsageUpdated, data.Take());
  }
  using Outcome = TurnEnd::Outcome;
  const std::string_view reason = result["stopReason"].StringOr("end_turn");
  if (reason == "end_turn") return EndTurn({Outcome::kCompleted, {}});
  if (reason == "cancelled") return EndTurn({Outcome::kCancelled, {}});
  EndTurn({Outcome::kFailed, {std::string(reason), "the agent stopped: " + std::string(reason)}});
}

void AcpEvents::EndTurn(const TurnEnd& end) {
  if (!std::exchange(in_turn_, false)) return;
  open_.reset();
  content_.EndTurn();
  calls_.clear();
  // Permissions that were asked for outside the turn still wait.
  std::erase_if(pending_, [](const auto& one) { return one.second.of_turn; });
  // The protocol demands `cancelled` here, but some agents say that the turn failed, and kilo says that it
  // ended (while it waited to retry).
  const bool cancelled = std::exchange(interrupted_, false);
  host_.OnTurnEnded(cancelled ? TurnEnd{TurnEnd::Outcome::kCancelled, {}}
                              : end);  // may bring the next prompt
}

// --- content

void AcpEvents::TakeUpdate(const JsonValue& update) {
  const std::string_view kind = update["sessionUpdate"].StringOr("");
  if (kind == "usage_update" && update["cost"]["currency"].StringOr("") == "USD") {
    has_cost_ = true;
    if (update["cost"]["amount"].AsDouble()) cost_ = CostIn(update["cost"]["amount"]);
    if (std::exchange(cost_unknown_, false)) cost_before_ = cost_;
  }
  if (std::find(std::begin(kHousekeeping), std::end(kHousekeeping), kind) != std::end(kHousekeeping)) return;
  if (kind == "agent_message_chunk") return TakeChunk(TurnContent::Text::kAssistant, update);
  if (kind == "agent_thought_chunk") return TakeChunk(TurnContent::Text::kReasoning, update);
  if (kind == "tool_call" || kind == "tool_call_update") return TakeCall(update, false);
  if (kind == "plan" && IsPlan(update["entries"])) return EmitPlan(update["entries"]);
  if (kind == "session_info_update") {
    const std::string_view title = update["title"].StringOr("");
    if (title.empty() || title == title_) return;
    title_ = title;
    return host_.Emit(event_type::kTitleUpdated, JsonObject().Set("title", title).Take());
  }
  EmitOther(update);
}

void AcpEvents::EmitPlan(const JsonValue& entries) {
  if (!IsPlan(entries) || entries.Raw() == plan_) return;
  plan_ = entries.Raw();
  host_.Emit(event_type::kPlanUpdated, JsonObject().SetRaw("entries", plan_).Take());
}

void AcpEvents::EmitOther(const JsonValue& update) { EmitJsonOutput(host_, "stdout", update.Raw()); }

// The protocol does not mark the end of a text: it ends where something else begins.
void AcpEvents::TakeChunk(TurnContent::Text kind, const JsonValue& update) {
  const auto text = update["content"]["text"].AsString();
  if (!text) return EmitOther(update);  // an image, a resource
  if (text->empty()) return;
  const std::string theirs(update["messageId"].StringOr(""));
  if (!open_ || open_->kind != kind || open_->theirs != theirs) {
    content_.EndTexts();
    ++texts_;
    const bool again = theirs.empty() || kind == TurnContent::Text::kReasoning || content_.Done(theirs);
    open_ = {kind, theirs,
             again ? (theirs.empty() ? prefix_ : theirs) + "-" + std::to_string(texts_) : theirs};
  }
  content_.Delta(kind, open_->id, *text);
  if (in_turn_) return;
  content_.EndTexts();  // it came outside a turn, so nothing else will end it
  open_.reset();
}

// Adds to what is known of a call: each update holds only what has changed.
void AcpEvents::Learn(Call& known, const JsonValue& call) {
  if (known.name.empty()) known.name = NameOf(call);
  if (call["rawInput"].Is(JsonType::kObject) || known.input == "{}") known.input = InputOf(call);
  const JsonValue content = call["content"];
  if (!content.Is(JsonType::kArray)) return;
  known.output = TextOf(content);
  known.edits.clear();
  for (const JsonValue& part : content.Elements()) {
    if (part["type"].StringOr("") != "diff") continue;
    known.edits.emplace_back(part["path"].StringOr(""),
                             DiffOf(part["oldText"].StringOr(""), part["newText"].StringOr("")));
  }
}

void AcpEvents::TakeCall(const JsonValue& call, bool asked) {
  const std::string id(call["toolCallId"].StringOr(""));
  if (id.empty()) return EmitOther(call);
  if (content_.Done(id)) return;
  auto found = calls_.find(id);
  if (found == calls_.end()) {
    if (calls_.size() >= kMaxCalls) return EmitOther(call);
    found = calls_.try_emplace(id).first;
    content_.EndTexts();
    open_.reset();
  }
  Call& known = found->second;
  Learn(known, call);
  // While a call is pending, its input may still be incomplete.
  const std::string_view status = call["status"].StringOr("");
  const bool ends = !asked && (status == "completed" || status == "failed");
  if (!asked && !ends && status != "in_progress" && !content_.Find(id)) return;
  content_.Start({id, known.name, known.input, {}});
  if (!ends) {
    const std::string_view told = content_.OutputOf(id);  // or the beginning of it
    if (known.output.size() > known.told && known.output.compare(0, told.size(), told) == 0) {
      content_.Output(id, std::string_view(known.output).substr(known.told));
      known.told = known.output.size();
    }
    return;
  }
  const Call ended = std::move(known);
  calls_.erase(found);
  const bool completed = status == "completed";
  content_.End(id, completed ? TurnContent::Outcome::kCompleted : TurnContent::Outcome::kFailed,
               ended.output.empty() ? RawOutput(call["rawOutput"]) : ended.output);
  if (!completed) return;
  if (ended.name == "plan") {  // kilo makes a plan by a tool, and does not report it otherwise
    auto input = JsonDocument::Parse(ended.input);
    if (input) EmitPlan((*input)["todos"]);
  }
  for (const auto& [path, diff] : ended.edits) EmitEdit(host_, path, diff);
}

// --- approvals

bool AcpEvents::TakePermission(const std::string& rpc_id, const JsonValue& params) {
  const JsonValue call = params["toolCall"];
  const std::string id(call["toolCallId"].StringOr(""));
  if (pending_.size() >= kMaxPending) return false;
  if (!content_.Find(id)) TakeCall(call, true);  // asked before the call was announced
  Pending pending{rpc_id, {}, {}, in_turn_};
  // Prefers the options for this one call: the person looked at one call only.
  for (const char* kind : {"allow_always", "allow_once", "reject_always", "reject_once"}) {
    for (const JsonValue& option : params["options"].Elements()) {
      if (option["kind"].StringOr("") != kind) continue;
      (kind[0] == 'a' ? pending.allow : pending.reject) = option["optionId"].StringOr("");
    }
  }
  ApprovalRequest request;
  request.id = id;
  for (char c : "-" + rpc_id) {
    if (c != '"') request.id += c;
  }
  request.call_id = id;
  const TurnContent::Call* open = content_.Find(id);
  // The permission is judged by its own content, unless that only repeats the call.
  const bool same = open && (!call["kind"] || NameOf(call) == open->name) &&
                    (!call["rawInput"].Is(JsonType::kObject) || SaysNoOther(open->input, InputOf(call)));
  request.tool = same ? open->name : NameOf(call);
  request.input = same ? open->input : InputOf(call);
  if (!pending_.emplace(request.id, std::move(pending)).second) return false;
  host_.OnApproval(std::move(request));
  return true;
}

namespace {

constexpr const char* kCancelled = R"({"outcome":{"outcome":"cancelled"}})";

}  // namespace

std::optional<AcpEvents::Reply> AcpEvents::Decide(const std::string& approval_id, bool allow) {
  auto found = pending_.find(approval_id);
  if (found == pending_.end()) return std::nullopt;
  const Pending pending = std::move(found->second);
  pending_.erase(found);
  const std::string& option = allow ? pending.allow : pending.reject;
  if (option.empty()) return Reply{pending.rpc_id, kCancelled};
  const std::string outcome = JsonObject().Set("outcome", "selected").Set("optionId", option).Take();
  return Reply{pending.rpc_id, JsonObject().SetRaw("outcome", outcome).Take()};
}

std::vector<AcpEvents::Reply> AcpEvents::Withdraw() {
  const auto withdrawn = std::exchange(pending_, {});
  std::vector<Reply> replies;
  for (const auto& [id, pending] : withdrawn) {
    replies.push_back({pending.rpc_id, kCancelled});
    host_.OnApprovalGone(id);
  }
  return replies;
}

}  // namespace reeve
