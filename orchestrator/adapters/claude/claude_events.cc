#include "orchestrator/adapters/claude/claude_events.h"

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "orchestrator/log/event_data.h"
#include "orchestrator/log/event_types.h"
#include "process/clock.h"

namespace reeve {

namespace {

// The largest number of sub-agents at work: more than the program allows.
constexpr size_t kMaxTasks = 1'000;

// Lines about the program itself, or repeated elsewhere; they are not reported. Every other line without an
// event type of its own becomes agent.output. KINDS.md has the same list.
constexpr std::string_view kHousekeeping[] = {
    "keep_alive",     // signs of life
    "tool_progress",  // a tool is still running
};
constexpr std::string_view kSystemHousekeeping[] = {
    "status",                    // it is asking the model, or compacting
    "thinking_tokens",           // an estimate, for a spinner
    "background_tasks_changed",  // the list that task_started and task_notification report one by one
    "task_progress",
    "task_summary",
    "permission_denied",  // the failure of the call reports it
    "hook_started",
    "hook_progress",
    "commands_changed",
    "files_persisted",
    "control_request_progress",
};
// Notices that carry a text.
constexpr std::string_view kNotices[] = {
    "model_fallback",
    "model_refusal_fallback",
    "model_refusal_no_fallback",
    "model_consent_fallback",
};

template <size_t N>
bool IsAmong(const std::string_view (&list)[N], std::string_view name) {
  return std::find(std::begin(list), std::end(list), name) != std::end(list);
}

std::string ErrorJson(std::string_view code, std::string_view message) {
  return JsonObject().Set("code", code).Set("message", message).Set("fatal", false).Take();
}

}  // namespace

TurnEnd ClaudeTurnEnd(const JsonValue& result) {
  using Outcome = TurnEnd::Outcome;
  const std::string_view reason = result["terminal_reason"].StringOr("");
  if (reason == "aborted_streaming" || reason == "aborted_tools") return {Outcome::kCancelled, {}};
  if (!result["is_error"].AsBool().value_or(false)) return {Outcome::kCompleted, {}};
  Error error;
  error.code = reason.empty() || reason == "completed" ? result["subtype"].StringOr("error") : reason;
  error.message = result["result"].StringOr("");
  for (const JsonValue& one : result["errors"].Elements()) {
    if (!error.message.empty()) error.message += "; ";
    error.message += one.StringOr("");
  }
  return {Outcome::kFailed, std::move(error)};
}

ClaudeEvents::ClaudeEvents(AgentHost& host, std::string session)
    : host_(host), messages_(host), session_(std::move(session)) {
  if (!session_.empty()) messages_.ForgetCost();
}

void ClaudeEvents::Take(const JsonValue& line) {
  const std::string_view type = line["type"].StringOr("");
  if (IsAmong(kHousekeeping, type)) return;
  if (!TakeKnown(type, line)) EmitClaudeOutput(host_, line);
}

bool ClaudeEvents::TakeKnown(std::string_view type, const JsonValue& line) {
  if (type == "stream_event") return messages_.TakeStream(line);
  if (type == "assistant") return messages_.TakeAssistant(line);
  if (type == "user") return messages_.TakeUser(line);
  if (type == "system") return TakeSystem(line);
  if (type == "result") {
    TakeResult(line);
  } else if (type == "command_lifecycle") {
    TakeLifecycle(line);
  } else if (type == "rate_limit_event") {
    TakeRateLimit(line["rate_limit_info"]);
  } else {
    return false;
  }
  return true;
}

bool ClaudeEvents::TakeSystem(const JsonValue& line) {
  const std::string_view subtype = line["subtype"].StringOr("");
  if (subtype == "init") {
    TakeInit(line);
  } else if (subtype == "session_state_changed") {
    if (line["state"].StringOr("") == "idle") EndIdle(held_.value_or(TurnEnd{}));
  } else if (subtype == "api_retry") {
    TakeRetry(line);
  } else if (subtype == "session_title_changed") {
    host_.Emit(event_type::kTitleUpdated, JsonObject().Set("title", line["title"].StringOr("")).Take());
  } else if (subtype == "local_command_output") {
    messages_.EmitText(true, line["uuid"].StringOr(""), line["content"].StringOr(""));
  } else if (subtype == "informational" && line["level"].StringOr("") == "warning") {
    host_.Emit(event_type::kAgentError, ErrorJson("warning", line["content"].StringOr("")));
  } else if (IsAmong(kNotices, subtype)) {
    host_.Emit(event_type::kAgentError, ErrorJson(subtype, line["content"].StringOr("")));
  } else {
    return IsAmong(kSystemHousekeeping, subtype) || TakeTask(subtype, line);
  }
  return true;
}

void ClaudeEvents::TakeRetry(const JsonValue& line) {
  std::string message(line["error"].StringOr("unknown"));
  if (auto status = line["error_status"].AsInt()) message += ", HTTP " + std::to_string(*status);
  message += "; try " + std::to_string(CountIn(line["attempt"]) + 1) + " of " +
             std::to_string(CountIn(line["max_retries"]) + 1) + " in " +
             std::to_string(CountIn(line["retry_delay_ms"])) + " ms";
  host_.Emit(event_type::kAgentError, JsonObject()
                                          .Set("code", "retry")
                                          .Set("message", message)
                                          .Set("attempt", CountIn(line["attempt"]))
                                          .Set("fatal", false)
                                          .Take());
}

void ClaudeEvents::TakeRateLimit(const JsonValue& info) {
  const std::string_view status = info["status"].StringOr("");
  if (status == "allowed") return;
  std::string message(info["rateLimitType"].StringOr("rate limit"));
  message.append(": ").append(status);
  JsonObject data;
  data.Set("code", "rate_limit").Set("message", message).Set("fatal", false);
  if (info["resetsAt"]) {  // in seconds
    data.Set("retry_at", FormatTime(std::min(CountIn(info["resetsAt"]), int64_t{100'000'000'000}) * 1000));
  }
  host_.Emit(event_type::kAgentError, data.Take());
}

// --- sub-agents

// A task is a sub-agent, or a shell in the background. A shell's tool call reported its beginning already;
// its end is news.
bool ClaudeEvents::TakeTask(std::string_view subtype, const JsonValue& line) {
  const std::string id(line["task_id"].StringOr(""));
  if (subtype == "task_started") {
    if (id.empty() || sub_agents_.size() + shells_.size() >= kMaxTasks) return false;
    if (line["task_type"].StringOr("local_agent") != "local_agent") {
      shells_.insert(id);
      return true;
    }
    if (sub_agents_.find(id) != sub_agents_.end()) return false;
    auto parent = sub_agents_.find(line["parent_task_id"].StringOr(""));
    SubAgent started{std::string(line["description"].StringOr("")),
                     line["is_backgrounded"].AsBool().value_or(false) ||
                         (parent != sub_agents_.end() && parent->second.background)};
    host_.Emit(event_type::kSubagentStarted,
               JsonObject().Set("session", id).Set("title", started.title).Take());
    sub_agents_.emplace(id, std::move(started));
    return true;
  }
  if (subtype == "task_updated") {
    const JsonValue patch = line["patch"];
    auto known = sub_agents_.find(id);
    if (known == sub_agents_.end()) return true;
    if (patch["is_backgrounded"].AsBool().value_or(false)) known->second.background = true;
    const std::string_view status = patch["status"].StringOr("");
    if (status == "completed" || status == "failed" || status == "killed") EndSubAgent(id);
    return true;
  }
  if (subtype != "task_notification" || shells_.erase(id) > 0) return false;
  if (sub_agents_.find(id) != sub_agents_.end()) EndSubAgent(id);
  return true;
}

void ClaudeEvents::EndSubAgent(const std::string& session) {
  const auto ended = sub_agents_.extract(session);  // `session` may refer into the entry itself
  host_.Emit(event_type::kSubagentCompleted,
             JsonObject().Set("session", ended.key()).Set("title", ended.mapped().title).Take());
}

bool ClaudeEvents::has_background_agents() const {
  return std::any_of(sub_agents_.begin(), sub_agents_.end(),
                     [](const auto& entry) { return entry.second.background; });
}

bool ClaudeEvents::has_background() const { return !shells_.empty() || has_background_agents(); }

// --- turns

// This line comes once per turn. A turn without a prompt begins when a sub-agent in the background reports.
void ClaudeEvents::TakeInit(const JsonValue& line) {
  const std::string_view session = line["session_id"].StringOr("");
  if (!session.empty() && session != session_) {
    session_ = session;
    host_.OnSession(session_);
  }
  if (host_.model().empty()) own_model_ = line["model"].StringOr("");
  working_ = true;
  Open();
}

void ClaudeEvents::Open() {
  if (open_) return;
  open_ = true;
  messages_.BeginTurn();
  host_.OnTurnStarted();
}

std::string ClaudeEvents::BeginCall(const std::string& call_id, const ClaudeMessages::Call& call) {
  if (!call_id.empty()) messages_.BeginCall(call_id, call);
  return messages_.ReportedInput(call_id, call.input);
}

void ClaudeEvents::PromptSent(std::string uuid) {
  open_ = true;
  prompt_ = std::move(uuid);
  queued_ = false;
  messages_.BeginTurn();
}

void ClaudeEvents::PromptEnded(const TurnEnd& end) {
  if (!prompt_.empty()) End(end);
}

// Takes the state of a prompt, by its uuid: queued, started, completed, cancelled.
void ClaudeEvents::TakeLifecycle(const JsonValue& line) {
  if (prompt_.empty() || line["command_uuid"].StringOr("") != prompt_) return;
  const std::string_view state = line["state"].StringOr("");
  if (state == "queued") {
    queued_ = true;
  } else if (state == "cancelled") {
    End({TurnEnd::Outcome::kCancelled, {}});  // an interrupt cancelled it before it began
  } else {
    working_ = true;
    prompt_.clear();
  }
}

// A turn lasts until the sub-agents that it left in the background are done. They report in turns that begin
// by themselves.
void ClaudeEvents::TakeResult(const JsonValue& result) {
  working_ = false;
  if (open_) messages_.TakeUsage(result);
  // A turn that began by itself has ended while our prompt waited, so the prompt's turn is still to come.
  if (!prompt_.empty() && (queued_ || result["origin"].Is(JsonType::kObject))) return;
  TurnEnd end = ClaudeTurnEnd(result);
  if (held_ && held_->outcome == TurnEnd::Outcome::kFailed) end = *held_;
  if (end.outcome == TurnEnd::Outcome::kCancelled || !has_background_agents()) return End(end);
  if (open_) held_ = std::move(end);
}

// The program is idle, or was told to be, so no result will come.
void ClaudeEvents::EndIdle(const TurnEnd& end) {
  if (open_ && !working_ && prompt_.empty()) End(end);
}

void ClaudeEvents::InterruptTaken() { EndIdle({TurnEnd::Outcome::kCancelled, {}}); }

void ClaudeEvents::Exited() { EndContent({}); }

void ClaudeEvents::EndContent(std::string_view error) {
  messages_.EndTurn(error);
  while (!sub_agents_.empty()) EndSubAgent(sub_agents_.begin()->first);
}

void ClaudeEvents::End(const TurnEnd& end) {
  EndContent(end.error.message);
  prompt_.clear();
  queued_ = false;
  held_.reset();
  if (!std::exchange(open_, false)) return;
  ++ended_;
  host_.OnTurnEnded(end);  // may bring the next prompt
}

}  // namespace reeve
