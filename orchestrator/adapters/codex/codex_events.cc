#include "orchestrator/adapters/codex/codex_events.h"

#include <algorithm>
#include <iterator>

#include "orchestrator/adapters/edits.h"
#include "orchestrator/adapters/output_lines.h"
#include "orchestrator/adapters/questions.h"
#include "orchestrator/agent/tool_names.h"
#include "orchestrator/log/event_data.h"
#include "orchestrator/log/event_types.h"

namespace reeve {

namespace {

constexpr size_t kMaxThreads = 256;
constexpr size_t kMaxPending = 256;
constexpr size_t kMaxWarned = 100;
constexpr size_t kMaxTitle = 200;  // bytes of a sub-agent's title, taken from its task

// Notifications about the program itself, or repeated elsewhere; they are not reported. Every other one
// without an event type of its own becomes agent.output.
constexpr std::string_view kHousekeeping[] = {
    // state of the thread: its turns report it
    "thread/started",
    "thread/status/changed",
    "thread/readState/changed",
    "thread/closed",
    "thread/settings/updated",
    "thread/queue/changed",
    "thread/section/changed",
    "thread/prediction/updated",
    "thread/goal/cleared",  // sent for every thread that is resumed
    "thread/environment/connected",
    "thread/environment/disconnected",
    // copies: of the edits that items report one by one, and of a file change in progress
    "turn/diff/updated",
    "item/fileChange/patchUpdated",
    "item/reasoning/summaryPartAdded",
    "turn/moderationMetadata",
    // other state of the program
    "account/updated",
    "account/rateLimits/updated",
    "app/list/updated",
    "fs/changed",
    "project/changed",
    "remoteControl/status/changed",
    "skills/changed",
};

bool IsHousekeeping(std::string_view method) {
  return std::find(std::begin(kHousekeeping), std::end(kHousekeeping), method) != std::end(kHousekeeping);
}

// The text of a single shell word, quoted as a shell's join does it; nothing if `text` is more than one word.
std::optional<std::string> UnquotedWord(std::string_view text) {
  std::string word;
  for (size_t at = 0; at < text.size();) {
    const char c = text[at];
    if (c == '\'') {
      const size_t end = text.find('\'', at + 1);
      if (end == std::string_view::npos) return std::nullopt;
      word += text.substr(at + 1, end - at - 1);
      at = end + 1;
    } else if (c == '"') {
      for (++at; at < text.size() && text[at] != '"'; ++at) {
        const bool escape = text[at] == '\\' && at + 1 < text.size() &&
                            std::string_view("\"\\$`").find(text[at + 1]) != std::string_view::npos;
        if (escape) ++at;
        word += text[at];
      }
      if (at++ >= text.size()) return std::nullopt;
    } else if (c == '\\' && at + 1 < text.size()) {
      word += text[at + 1];
      at += 2;
    } else if (c == ' ' || c == '\t' || c == '\n') {
      return std::nullopt;
    } else {
      word += c;
      ++at;
    }
  }
  return word;
}

// codex wraps the model's command in a shell: /bin/bash -lc 'mkdir a'. This returns mkdir a.
std::string PlainCommand(std::string_view command) {
  const size_t first = command.find(' ');
  if (first == std::string_view::npos) return std::string(command);
  std::string_view shell = command.substr(0, first);
  // Only the system's own shells count: a program in the workspace may have the same name.
  for (std::string_view folder : {"/bin/", "/usr/bin/", "/usr/local/bin/"}) {
    if (shell.substr(0, folder.size()) == folder) shell.remove_prefix(folder.size());
  }
  if (shell != "bash" && shell != "sh" && shell != "zsh") return std::string(command);
  for (std::string_view flag : {" -lc ", " -c "}) {
    if (command.substr(first, flag.size()) != flag) continue;
    return UnquotedWord(command.substr(first + flag.size())).value_or(std::string(command));
  }
  return std::string(command);
}

std::string CommandInput(const JsonValue& item) {
  JsonObject input;
  input.Set("command", PlainCommand(item["command"].StringOr("")));
  input.Set("cwd", item["cwd"].AsString());
  return input.Take();
}

// {"changes":[…]}, and "path" if there is only one file: the pattern of a rule is matched against it.
std::string ChangesInput(const JsonValue& changes) {
  JsonObject input;
  if (changes.size() == 1) input.Set("path", changes.At(0)["path"].StringOr(""));
  return input.SetRaw("changes", changes.Raw()).Take();
}

std::string ObjectOr(const JsonValue& value, const char* otherwise) {
  return value.Is(JsonType::kObject) ? value.Raw() : otherwise;
}

// The texts of MCP content blocks, and the JSON of all other blocks.
std::string ContentText(const JsonValue& content) {
  std::string text;
  for (const JsonValue& block : content.Elements()) {
    if (!text.empty()) text += '\n';
    if (auto words = block["text"].AsString()) {
      text += *words;
    } else {
      text += block.Raw();
    }
  }
  return text;
}

std::string Joined(const JsonValue& texts) {
  std::string joined;
  for (const JsonValue& text : texts.Elements()) {
    if (!joined.empty()) joined += "\n\n";
    joined += text.StringOr("");
  }
  return joined;
}

// Reads {"message":…,"codexErrorInfo":"other" or {"httpConnectionFailed":{…}}}. For a provider's error, the
// message is the error's whole JSON.
Error ErrorOf(const JsonValue& error) {
  const JsonValue info = error["codexErrorInfo"];
  std::string code(info.StringOr("other"));
  if (info.Is(JsonType::kObject) && info.size() > 0) code = info.Members().front().key;
  if (code.empty()) code = "other";
  const std::string_view message = error["message"].StringOr("");
  auto inner = JsonDocument::Parse(message);
  if (!inner) return {std::move(code), std::string(message)};
  return {std::move(code), std::string((*inner)["error"]["message"].StringOr(message))};
}

struct Tool {
  std::string name;  // empty: the item is no tool call
  std::string input;
};

// The tool call that an item stands for.
Tool ToolOf(const JsonValue& item) {
  const std::string_view type = item["type"].StringOr("");
  if (type == "commandExecution") return {ToolName(type), CommandInput(item)};
  if (type == "fileChange") return {ToolName(type), ChangesInput(item["changes"])};
  if (type == "mcpToolCall") {
    return {
        "mcp__" + std::string(item["server"].StringOr("")) + "__" + std::string(item["tool"].StringOr("")),
        ObjectOr(item["arguments"], "{}")};
  }
  if (type == "dynamicToolCall") {
    return {ToolName(item["tool"].StringOr("")), ObjectOr(item["arguments"], "{}")};
  }
  if (type == "collabAgentToolCall") {
    JsonObject input;
    for (const char* member : {"prompt", "model"}) {
      if (!item[member].StringOr("").empty()) input.Set(member, item[member].StringOr(""));
    }
    if (item["receiverThreadIds"].size() > 0) input.SetRaw("agents", item["receiverThreadIds"].Raw());
    return {ToolName(item["tool"].StringOr("")), input.Take()};
  }
  if (type == "webSearch") {
    JsonObject input;
    input.Set("query", item["query"].StringOr(""));
    if (item["action"].Is(JsonType::kObject)) input.SetRaw("action", item["action"].Raw());
    return {ToolName(type), input.Take()};
  }
  if (type == "imageView") return {"view_image", JsonObject().Set("path", item["path"].StringOr("")).Take()};
  return {};
}

// The output of a finished call.
std::string OutputOf(const JsonValue& item, std::string_view told) {
  const std::string_view type = item["type"].StringOr("");
  const std::string_view status = item["status"].StringOr("");
  if (type == "commandExecution") {
    std::string output(item["aggregatedOutput"].StringOr(told));
    if (!output.empty()) return output;
    if (status == "declined") return "declined";
    const int64_t code = item["exitCode"].AsInt().value_or(0);
    return code == 0 ? "" : "exit code " + std::to_string(code);
  }
  if (type == "mcpToolCall") {
    if (auto error = item["error"]["message"].AsString()) return std::string(*error);
    return ContentText(item["result"]["content"]);
  }
  if (type == "dynamicToolCall") return ContentText(item["contentItems"]);
  if (type == "collabAgentToolCall") return item["agentsStates"].size() > 0 ? item["agentsStates"].Raw() : "";
  if (type == "webSearch") return item["results"].size() > 0 ? item["results"].Raw() : "";
  if (status == "declined") return "declined";
  return std::string(told);
}

}  // namespace

void CodexEvents::SetThread(std::string id) {
  threads_ = {{id, {}}};
  thread_ = std::move(id);
}

std::string CodexEvents::turn() const {
  auto ours = threads_.find(thread_);
  return ours == threads_.end() ? "" : ours->second.turn;
}

std::string CodexEvents::SessionOf(std::string_view thread) const {
  return std::string(Ours(thread) ? std::string_view() : thread);
}

std::vector<std::pair<std::string, std::string>> CodexEvents::Running() const {
  std::vector<std::pair<std::string, std::string>> running;
  for (const auto& [id, thread] : threads_) {
    if (!thread.turn.empty()) running.emplace_back(id, thread.turn);
  }
  return running;
}

void CodexEvents::Take(std::string_view method, const JsonValue& params) {
  if (IsHousekeeping(method)) return;
  const std::string_view thread = params["threadId"].StringOr(thread_);
  if (method == "turn/started") return TurnStarted(thread, params["turn"]["id"].StringOr(""));
  if (method == "turn/completed") return TurnCompleted(thread, params["turn"]);
  if (method == "item/started") return TakeItem(thread, params["item"], false);
  if (method == "item/completed") return TakeItem(thread, params["item"], true);
  if (TakeDelta(thread, method, params)) return;
  if (method == "thread/tokenUsage/updated") return TakeUsage(thread, params["tokenUsage"]);
  if (method == "serverRequest/resolved") return Resolved(params["requestId"].Raw());
  if (method == "error") return TakeError(thread, params);
  if (method == "warning" || method == "guardianWarning") {
    return TakeWarning("warning", params["message"].StringOr(""));
  }
  if (method == "configWarning" || method == "deprecationNotice") {
    return TakeWarning("warning", params["summary"].StringOr(""));
  }
  if (method == "mcpServer/startupStatus/updated") {
    const std::string_view error = params["error"].StringOr("");
    if (params["status"].StringOr("") != "failed") return;
    return TakeWarning("mcp_server_failed",
                       std::string(params["name"].StringOr("")).append(": ").append(error));
  }
  if (method == "turn/plan/updated" && Ours(thread)) {
    JsonArray entries;
    for (const JsonValue& step : params["plan"].Elements()) {
      const std::string_view status = step["status"].StringOr("");
      entries.AddRaw(JsonObject()
                         .Set("content", step["step"].StringOr(""))
                         .Set("status", status == "inProgress" ? "in_progress" : status)
                         .Take());
    }
    return host_.Emit(event_type::kPlanUpdated, JsonObject().SetRaw("entries", entries.Take()).Take());
  }
  if (method == "thread/name/updated" && Ours(thread)) {
    const std::string_view name = params["threadName"].StringOr("");
    if (!name.empty()) host_.Emit(event_type::kTitleUpdated, JsonObject().Set("title", name).Take());
    return;
  }
  EmitOther(method, params);
}

void CodexEvents::EmitOther(std::string_view method, const JsonValue& params) {
  const std::string json = JsonObject().Set("method", method).SetRaw("params", params.Raw()).Take();
  EmitJsonOutput(host_, "stdout", json);
}

// --- turns

void CodexEvents::PromptRefused(Error error) {
  if (std::exchange(awaiting_turn_, false)) host_.OnTurnEnded({TurnEnd::Outcome::kFailed, std::move(error)});
}

void CodexEvents::TurnStarted(std::string_view thread, std::string_view turn) {
  if (turn.empty()) return;
  auto known = threads_.find(thread);
  if (known == threads_.end()) {
    if (threads_.size() >= kMaxThreads) {
      std::erase_if(threads_,
                    [this](const auto& one) { return !Ours(one.first) && one.second.turn.empty(); });
    }
    if (threads_.size() >= kMaxThreads) return;
    known = threads_.try_emplace(std::string(thread)).first;
  }
  const bool begins = known->second.turn.empty();
  known->second.turn = turn;
  if (!std::exchange(in_turn_, true)) {
    told_.reset();
    for (auto& [id, one] : threads_) one.base = one.total;
    host_.OnTurnStarted();
  }
  if (Ours(thread)) {
    awaiting_turn_ = false;
    end_.reset();
    // Reported only now, because a thread that never had a turn cannot be resumed.
    if (!std::exchange(session_told_, true)) host_.OnSession(thread_);
  } else if (begins) {
    host_.Emit(event_type::kSubagentStarted,
               JsonObject().Set("session", thread).Set("title", known->second.title).Take());
  }
}

void CodexEvents::TurnCompleted(std::string_view thread, const JsonValue& turn) {
  auto known = threads_.find(thread);
  if (known == threads_.end()) return;
  const std::string_view id = turn["id"].StringOr("");
  if (Ours(thread) && awaiting_turn_) TurnStarted(thread, id);  // it failed before it began
  if (known->second.turn.empty() || known->second.turn != id) return;
  known->second.turn.clear();
  if (!Ours(thread)) {
    host_.Emit(event_type::kSubagentCompleted,
               JsonObject().Set("session", thread).Set("title", known->second.title).Take());
    return EndIfDone();
  }
  const std::string_view status = turn["status"].StringOr("");
  end_.emplace();
  if (status == "interrupted") {
    end_->outcome = TurnEnd::Outcome::kCancelled;
  } else if (status != "completed") {
    end_->outcome = TurnEnd::Outcome::kFailed;
    end_->error = ErrorOf(turn["error"]);
  }
  EndIfDone();
}

void CodexEvents::EndIfDone() {
  if (!in_turn_ || awaiting_turn_ || !Running().empty()) return;
  content_.EndTurn();
  // Requests that were made outside the turn still wait.
  std::erase_if(pending_, [](const auto& one) { return one.second.of_turn; });
  in_turn_ = false;
  const TurnEnd end = std::exchange(end_, std::nullopt).value_or(TurnEnd{});
  host_.OnTurnEnded(end);  // may bring the next prompt
}

// --- content

void CodexEvents::TakeItem(std::string_view thread, const JsonValue& item, bool completed) {
  const std::string_view type = item["type"].StringOr("");
  const std::string_view id = item["id"].StringOr("");
  if (type == "userMessage") return;  // the daemon itself reports what a person said
  if (type == "agentMessage" || type == "plan" || type == "reasoning") {
    // A sub-agent's texts are its report to our thread: the result of waiting for it.
    if (!Ours(thread)) return;
    if (!completed) return content_.EndTexts(id);  // a text that was broken off is never completed
    if (type == "reasoning") return TakeReasoning(item);
    return content_.Message(TurnContent::Text::kAssistant, id, item["text"].StringOr(""));
  }
  if (type == "collabAgentToolCall" && completed) {
    for (const JsonValue& agent : item["receiverThreadIds"].Elements()) {
      if (threads_.size() >= kMaxThreads) break;
      Thread& child = threads_[std::string(agent.StringOr(""))];
      if (child.title.empty()) child.title = item["prompt"].StringOr("").substr(0, kMaxTitle);
    }
  }
  if (ToolOf(item).name.empty()) {
    if (completed) EmitOther("item/completed", item);
    return;
  }
  // The subject of a web search is known only when the search is done.
  if (completed || type != "webSearch") StartCall(thread, item);
  if (completed) EndCall(item);
}

void CodexEvents::StartCall(std::string_view thread, const JsonValue& item) {
  Tool tool = ToolOf(item);
  content_.Start(
      {std::string(item["id"].StringOr("")), std::move(tool.name), std::move(tool.input), SessionOf(thread)});
}

void CodexEvents::EndCall(const JsonValue& item) {
  const std::string_view id = item["id"].StringOr("");
  if (!content_.Find(id)) return;
  const std::string_view status = item["status"].StringOr("completed");
  const bool completed = status == "completed";
  content_.End(id, completed ? TurnContent::Outcome::kCompleted : TurnContent::Outcome::kFailed,
               OutputOf(item, content_.OutputOf(id)), item["durationMs"].AsInt(), item["exitCode"].AsInt());
  if (completed && item["type"].StringOr("") == "fileChange") EmitEdits(item["changes"]);
}

// Reports the summary, and the raw reasoning if codex was configured to show it, as two texts.
void CodexEvents::TakeReasoning(const JsonValue& item) {
  const std::string id(item["id"].StringOr(""));
  content_.Message(TurnContent::Text::kReasoning, id, Joined(item["summary"]));
  content_.Message(TurnContent::Text::kReasoning, id + "-raw", Joined(item["content"]));
}

bool CodexEvents::TakeDelta(std::string_view thread, std::string_view method, const JsonValue& params) {
  const std::string id(params["itemId"].StringOr(""));
  const std::string_view delta = params["delta"].StringOr("");
  if (method == "item/agentMessage/delta" || method == "item/plan/delta") {
    if (Ours(thread)) content_.Delta(TurnContent::Text::kAssistant, id, delta);
  } else if (method == "item/reasoning/summaryTextDelta") {
    if (Ours(thread)) content_.Delta(TurnContent::Text::kReasoning, id, delta);
  } else if (method == "item/reasoning/textDelta") {
    if (Ours(thread)) content_.Delta(TurnContent::Text::kReasoning, id + "-raw", delta);
  } else if (method == "item/commandExecution/outputDelta" || method == "item/fileChange/outputDelta") {
    content_.Output(id, delta);
  } else if (method == "item/mcpToolCall/progress") {
    content_.Output(id, std::string(params["message"].StringOr("")) + "\n");
  } else {
    return false;
  }
  return true;
}

void CodexEvents::EmitEdits(const JsonValue& changes) {
  for (const JsonValue& change : changes.Elements()) {
    const std::string_view kind = change["kind"]["type"].StringOr("");
    const std::string_view path = change["kind"]["move_path"].StringOr(change["path"].StringOr(""));
    const std::string_view diff = change["diff"].StringOr("");
    // For a created or deleted file, codex gives the content instead of a diff.
    if (kind == "add") {
      EmitEdit(host_, path, WholeFileDiff(diff, '+'));
    } else if (kind == "delete") {
      EmitEdit(host_, path, WholeFileDiff(diff, '-'));
    } else {
      EmitEdit(host_, path, diff);
    }
  }
}

void CodexEvents::TakeUsage(std::string_view thread, const JsonValue& usage) {
  auto known = threads_.find(thread);
  if (known == threads_.end()) return;
  auto read = [&usage](const char* which) {
    auto count = [tokens = usage[which]](const char* member) { return CountIn(tokens[member]); };
    return Usage{count("inputTokens"), count("outputTokens")};
  };
  Thread& it = known->second;
  const Usage total = read("total"), last = read("last");
  if (it.total == Usage{}) {  // usage from before a resumed thread does not belong to this turn
    it.base = {total.input_tokens - last.input_tokens, total.output_tokens - last.output_tokens};
  }
  it.total = total;
  if (!in_turn_) return;
  Usage sum;
  for (const auto& [id, one] : threads_) {
    AddCount(sum.input_tokens, one.total.input_tokens - one.base.input_tokens);
    AddCount(sum.output_tokens, one.total.output_tokens - one.base.output_tokens);
  }
  if (told_ == sum) return;
  told_ = sum;
  host_.Emit(
      event_type::kUsageUpdated,
      JsonObject().Set("input_tokens", sum.input_tokens).Set("output_tokens", sum.output_tokens).Take());
}

// The end of the turn reports an error that codex does not recover from.
void CodexEvents::TakeError(std::string_view thread, const JsonValue& params) {
  if (!params["willRetry"].AsBool().value_or(false) && Ours(thread)) return;
  const Error error = ErrorOf(params["error"]);
  JsonObject data;
  data.Set("code", error.code).Set("message", error.message).Set("fatal", false);
  if (!Ours(thread)) data.Set("session", thread);
  host_.Emit(event_type::kAgentError, data.Take());
}

void CodexEvents::TakeWarning(const std::string& code, std::string_view message) {
  if (warned_.find(message) != warned_.end()) return;
  if (warned_.size() >= kMaxWarned) warned_.clear();
  warned_.emplace(message);
  host_.Emit(event_type::kAgentError,
             JsonObject().Set("code", code).Set("message", message).Set("fatal", false).Take());
}

// --- approvals and questions

bool CodexEvents::TakeRequest(const std::string& rpc_id, std::string_view method, const JsonValue& params) {
  if (pending_.size() >= kMaxPending) return false;
  if (method == "item/commandExecution/requestApproval" || method == "item/fileChange/requestApproval") {
    OfferCommand(rpc_id, method, params);
  } else if (method == "item/permissions/requestApproval") {
    OfferPermissions(rpc_id, params);
  } else if (method == "item/tool/requestUserInput") {
    OfferQuestions(rpc_id, params);
  } else if (method == "mcpServer/elicitation/request") {
    OfferForm(rpc_id, params);
  } else {
    EmitOther(method, params);
    return false;
  }
  return true;
}

// An item may ask more than once, and the ids of requests begin again with each process. The id of the item
// and the id of the request are unique only together.
void CodexEvents::Offer(ApprovalRequest request, Pending pending, std::string_view about) {
  request.id = about;
  for (char c : "-" + pending.rpc_id) {
    if (c != '"') request.id += c;
  }
  pending.of_turn = in_turn_;
  if (!pending_.emplace(request.id, std::move(pending)).second) return;
  host_.OnApproval(std::move(request));
}

// A rule judges what the request says; the call only says the same at greater length. A request for more than
// one command or edit (a folder to write to from now on, the network) gets a tool name of its own, so that
// rules for the shell do not cover it.
void CodexEvents::OfferCommand(const std::string& rpc_id, std::string_view method, const JsonValue& params) {
  const std::string_view id = params["itemId"].StringOr("");
  const bool edits = method == "item/fileChange/requestApproval";
  const bool beyond = params["grantRoot"].Is(JsonType::kString) ||
                      params["networkApprovalContext"].Is(JsonType::kObject) ||
                      params["kind"].StringOr("command") != "command";
  ApprovalRequest request;
  request.tool = beyond ? "request_permissions" : edits ? "edit" : "bash";
  request.input = beyond                                    ? params.Raw()
                  : params["command"].Is(JsonType::kString) ? CommandInput(params)
                                                            : "{}";
  const TurnContent::Call* call = content_.Find(id);
  if (!call && !beyond) {  // asked before the call was announced
    content_.Start(
        {std::string(id), request.tool, request.input, SessionOf(params["threadId"].StringOr(thread_))});
  } else if (call && !beyond && call->name == request.tool && SaysNoOther(call->input, request.input)) {
    request.input = call->input;
  }
  request.call_id = id;
  request.message = params["reason"].StringOr("");
  Offer(std::move(request), {rpc_id, Wants::kDecision, {}, {}}, id);
}

void CodexEvents::OfferPermissions(const std::string& rpc_id, const JsonValue& params) {
  const std::string asked = ObjectOr(params["permissions"], "{}");
  ApprovalRequest request;
  request.tool = "request_permissions";
  request.input = JsonObject().SetRaw("permissions", asked).Set("cwd", params["cwd"].AsString()).Take();
  request.message = params["reason"].StringOr("");
  Offer(std::move(request), {rpc_id, Wants::kPermissions, asked, {}}, params["itemId"].StringOr(""));
}

void CodexEvents::OfferQuestions(const std::string& rpc_id, const JsonValue& params) {
  const JsonValue questions = params["questions"];
  const std::string call_id(params["itemId"].StringOr(""));
  content_.Start({call_id, "question", JsonObject().SetRaw("questions", questions.Raw()).Take(),
                  SessionOf(params["threadId"].StringOr(thread_))});
  ApprovalRequest request;
  request.call_id = call_id;
  request.elicitation = true;
  request.tool = "question";
  request.message = QuestionMessage(questions);
  request.schema = QuestionSchema(questions, "multiple");
  request.suggestions = true;
  Offer(std::move(request), {rpc_id, Wants::kAnswers, questions.Raw(), call_id}, call_id);
}

// Offers a question of an MCP server, or codex's own question whether one of the server's tools may be used.
void CodexEvents::OfferForm(const std::string& rpc_id, const JsonValue& params) {
  const std::string_view server = params["serverName"].StringOr("");
  const JsonValue meta = params["_meta"];
  ApprovalRequest request;
  request.message = params["message"].StringOr("");
  if (meta["codex_approval_kind"].StringOr("") == "mcp_tool_call") {
    request.tool = "mcp__" + std::string(server) + "__" + std::string(meta["tool_name"].StringOr(""));
    request.input = ObjectOr(meta["tool_params"], "{}");
    if (const TurnContent::Call* call = content_.FindSame(request.tool, request.input)) {
      request.call_id = call->id;
    }
    return Offer(std::move(request), {rpc_id, Wants::kToolConsent, {}, {}},
                 params["turnId"].StringOr(server));
  }
  request.elicitation = true;
  request.tool = "mcp__" + std::string(server);
  if (auto url = params["url"].AsString()) request.message.append("\n").append(*url);
  request.schema = ObjectOr(params["requestedSchema"], R"({"type":"object","properties":{}})");
  Offer(std::move(request), {rpc_id, Wants::kForm, {}, {}}, params["turnId"].StringOr(server));
}

std::optional<CodexEvents::Reply> CodexEvents::Decide(const std::string& approval_id,
                                                      const ApprovalAnswer& answer) {
  auto found = pending_.find(approval_id);
  if (found == pending_.end()) return std::nullopt;
  const Pending pending = std::move(found->second);
  pending_.erase(found);
  JsonObject result;
  if (pending.wants == Wants::kPermissions) {
    result.SetRaw("permissions", answer.allow ? pending.asked : "{}").Set("scope", "turn");
  } else if (pending.wants == Wants::kToolConsent) {
    result.Set("action", answer.allow ? "accept" : "decline");
    if (answer.allow) result.SetRaw("content", "{}");
  } else {
    result.Set("decision", answer.allow ? "accept" : "decline");
  }
  return Reply{pending.rpc_id, result.Take()};
}

std::optional<CodexEvents::Reply> CodexEvents::Answer(const std::string& elicitation_id,
                                                      const ElicitationAnswer& answer) {
  using Action = ElicitationAnswer::Action;
  auto found = pending_.find(elicitation_id);
  if (found == pending_.end()) return std::nullopt;
  const Pending pending = std::move(found->second);
  pending_.erase(found);
  const bool accepted = answer.action == Action::kAccept;
  JsonObject result;
  if (pending.wants == Wants::kAnswers) {
    JsonObject answers;
    JsonObject shown;  // for viewers: without the answers to secret questions
    auto asked = JsonDocument::Parse(pending.asked), content = JsonDocument::Parse(answer.content);
    if (accepted && asked && content) {
      for (const JsonValue& question : asked->root().Elements()) {
        JsonArray said;
        for (const std::string& one : QuestionAnswers(question, content->root())) said.Add(one);
        const std::string_view id = question["id"].StringOr("");
        const std::string one = JsonObject().SetRaw("answers", said.Take()).Take();
        answers.SetRaw(id, one);
        shown.SetRaw(id, question["isSecret"].AsBool().value_or(false) ? R"({"answers":["***"]})" : one);
      }
    }
    content_.End(pending.call_id, accepted ? TurnContent::Outcome::kCompleted : TurnContent::Outcome::kFailed,
                 accepted ? shown.Take() : "declined");
    result.SetRaw("answers", answers.Take());
  } else {
    result.Set("action", accepted ? "accept" : answer.action == Action::kDecline ? "decline" : "cancel");
    if (accepted) result.SetRaw("content", answer.content);
  }
  return Reply{pending.rpc_id, result.Take()};
}

// The request does not wait any more. If we answered it, it is not pending; otherwise codex withdrew it.
void CodexEvents::Resolved(const std::string& rpc_id) {
  auto gone = std::find_if(pending_.begin(), pending_.end(),
                           [&rpc_id](const auto& one) { return one.second.rpc_id == rpc_id; });
  if (gone == pending_.end()) return;
  const std::string id = gone->first, call_id = gone->second.call_id;
  pending_.erase(gone);
  content_.End(call_id, TurnContent::Outcome::kFailed, "withdrawn");
  host_.OnApprovalGone(id);
}

}  // namespace reeve
