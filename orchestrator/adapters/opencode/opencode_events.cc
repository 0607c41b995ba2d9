#include "orchestrator/adapters/opencode/opencode_events.h"

#include <algorithm>
#include <iterator>

#include "orchestrator/adapters/output_lines.h"
#include "orchestrator/adapters/questions.h"
#include "orchestrator/agent/tool_names.h"
#include "orchestrator/log/event_data.h"
#include "orchestrator/log/event_types.h"
#include "process/clock.h"

namespace reeve {

namespace {

// Limits of the approvals that wait, and of those that are remembered because they must not be offered again.
constexpr size_t kMaxPending = 1'000;
constexpr size_t kMaxClosed = 1'000;

// Events about the server rather than the agent, or repeated elsewhere; they are not reported. Every other
// one without an event type of its own becomes agent.output.
constexpr std::string_view kHousekeeping[] = {
    // signs of life
    "server.connected",
    "server.heartbeat",
    "server.instance.disposed",
    // copies: of persistent events, of edits that tools report with their counts, of a turn's end
    "sync",
    "session.diff",
    "file.watcher.updated",
    "session.queue.changed",
    "session.drained",
    "session.drain.interrupted",
    // bookkeeping: text that was sent cannot be unsent
    "message.part.removed",
    "message.removed",
    // other state of the program
    "catalog.updated",
    "global.config.updated",
    "indexing.status",
    "installation.update-available",
    "installation.updated",
    "integration.connection.updated",
    "integration.updated",
    "lsp.client.diagnostics",
    "lsp.updated",
    "mcp.tools.changed",
    "memory.status",
    "models-dev.refreshed",
    "plugin.added",
    "project.directories.updated",
    "project.updated",
    "reference.updated",
    "sandbox.status.changed",
};
// Events that repeat the same turn in the form of the next interface.
constexpr std::string_view kNextForm = "session.next.";

bool IsHousekeeping(std::string_view type) {
  return type.substr(0, kNextForm.size()) == kNextForm ||
         std::find(std::begin(kHousekeeping), std::end(kHousekeeping), type) != std::end(kHousekeeping);
}

// The session that an event is about, from any place where its id can be; empty if there is none.
std::string_view SessionOf(const JsonValue& properties) {
  for (const JsonValue& id :
       {properties["sessionID"], properties["info"]["sessionID"], properties["part"]["sessionID"],
        properties["session"]["id"], properties["session"]}) {
    if (auto text = id.AsString()) return *text;
  }
  const std::string_view info =
      properties["info"]["id"].StringOr("");  // the id of a message, a process or a session
  return info.substr(0, 4) == "ses_" ? info : std::string_view();
}

// {"name":"APIError","data":{"message":…}}
Error ErrorOf(const JsonValue& error) {
  std::string_view name = error["name"].StringOr("");
  if (name.empty()) name = "UnknownError";
  return {std::string(name), std::string(error["data"]["message"].StringOr(name))};
}
bool IsAbort(const Error& error) { return error.code == "MessageAbortedError"; }

}  // namespace

void OpencodeEvents::SetSession(const JsonValue& info, int64_t horizon_ms) {
  session_ = info["id"].StringOr("");
  title_ = info["title"].StringOr("");
  catching_up_ = false;  // nothing was missed in breaks of the stream before now
  messages_.SetSession(session_, horizon_ms);
}

bool OpencodeEvents::Ours(std::string_view session) const {
  return session == session_ || children_.find(session) != children_.end();
}

void OpencodeEvents::Take(const JsonValue& event) {
  const std::string_view type = event["type"].StringOr("");
  if (IsHousekeeping(type)) return;
  const JsonValue properties = event["properties"];
  if (type == "session.created" || type == "session.updated") return TakeSession(type, properties["info"]);
  const std::string_view session = SessionOf(properties);
  if (!session.empty() && !Ours(session)) return;

  if (type == "message.part.delta") return messages_.TakeDelta(properties);
  if (type == "message.part.updated") {
    messages_.TakePart(properties["part"], true);
    return OfferHeld(true);
  }
  if (type == "message.updated") return void(TakeMessage(properties["info"]));
  if (type == "session.status") return TakeStatus(session, properties["status"]);
  if (type == "session.error") return TakeError(session, properties["error"]);
  if (type == "permission.asked" || type == "question.asked") return TakeRequest(properties);
  if (type == "permission.replied" || type == "question.replied" || type == "question.rejected") {
    return TakeReply(properties);
  }
  if (type == "file.edited") {
    // After a break the snapshot may have reported it already.
    if (!catching_up_) messages_.FileEdited(properties["file"].StringOr(""));
    return;
  }
  if (session != session_ && TakeChilds(type, session)) return;
  if (session == session_) {
    if (type == "session.idle" || type == "session.turn.open" || type == "session.turn.close") {
      return TakeTurn(type, properties);
    }
    if (type == "todo.updated") {
      std::string entries = properties["todos"].Raw();
      if (!catching_up_) return TakeTodos(std::move(entries));
      held_todos_ = std::move(entries);  // may be older than the snapshot's
      return;
    }
  }
  EmitOther(host_, event);
}

// --- sessions

void OpencodeEvents::TakeSession(std::string_view type, const JsonValue& info) {
  const std::string_view id = info["id"].StringOr("");
  const std::string_view title = info["title"].StringOr("");
  if (id == session_) {
    const int64_t updated_ms = CountIn(info["time"]["updated"]);
    if (title.empty() || title == title_ || updated_ms < title_ms_) return;
    title_ms_ = updated_ms;
    const bool first = title_.empty() && type == "session.created";
    title_ = title;
    if (!first) host_.Emit(event_type::kTitleUpdated, JsonObject().Set("title", title).Take());
    return;
  }
  const std::string_view parent = info["parentID"].StringOr("");
  if (id.empty() || parent.empty() || !Ours(parent) || children_.find(id) != children_.end()) return;
  auto child = children_.emplace(id, Child{std::string(title)}).first;
  ChildRuns(child->first, child->second, true);
}

// Takes the other events about a known sub-agent. False: not one of those.
bool OpencodeEvents::TakeChilds(std::string_view type, std::string_view session) {
  auto child = children_.find(session);
  if (child == children_.end()) return false;
  if (type == "session.idle") ChildRuns(child->first, child->second, false);
  return type == "session.idle" || type == "session.turn.open" || type == "session.turn.close" ||
         type == "todo.updated";
}

void OpencodeEvents::ChildRuns(const std::string& id, Child& child, bool running) {
  child.heard = true;
  child.idle_assumed = false;
  if (child.running == running) return;
  child.running = running;
  host_.Emit(running ? event_type::kSubagentStarted : event_type::kSubagentCompleted,
             JsonObject().Set("session", id).Set("title", child.title).Take());
}

void OpencodeEvents::TakeStatus(std::string_view session, const JsonValue& status) {
  const std::string_view type = status["type"].StringOr("");
  if (session != session_) {
    auto child = children_.find(session);
    if (child != children_.end()) ChildRuns(child->first, child->second, type != "idle");
    return;
  }
  edge_seen_ = true;
  if (type == "idle") return Idle();
  Busy();
  if (type == "busy") return;
  // The session waits: for a retry, or for the network to come back.
  JsonObject data;
  data.Set("code", type.empty() ? "waits" : type).Set("message", status["message"].StringOr(""));
  if (status["attempt"]) data.Set("attempt", CountIn(status["attempt"]));
  if (status["next"]) data.Set("retry_at", FormatTime(CountIn(status["next"])));
  host_.Emit(event_type::kAgentError, data.Set("fatal", false).Take());
}

// The end of the turn reports the error that ended it. We do not know yet whether the first error is that
// one.
void OpencodeEvents::TakeError(std::string_view session, const JsonValue& json) {
  Error error = ErrorOf(json);
  if (session == session_ && turn_ != Turn::kNone && !error_) {
    error_ = std::move(error);
  } else {
    EmitError(error, session == session_ ? "" : session);
  }
}

void OpencodeEvents::EmitError(const Error& error, std::string_view child) {
  if (IsAbort(error)) return;
  JsonObject data;
  data.Set("code", error.code).Set("message", error.message).Set("fatal", false);
  if (!child.empty()) data.Set("session", child);
  host_.Emit(event_type::kAgentError, data.Take());
}

bool OpencodeEvents::TakeMessage(const JsonValue& info) {
  const std::string_view session = info["sessionID"].StringOr("");
  if (!Ours(session) || !messages_.TakeInfo(info)) return false;
  if (session != session_ || turn_ == Turn::kNone || info["role"].StringOr("") != "assistant") return true;
  if (info["error"] && !error_) error_ = ErrorOf(info["error"]);
  const std::string_view finish = info["finish"].StringOr("");
  finished_ = !finish.empty() && finish != "tool-calls";
  return true;
}

void OpencodeEvents::TakeTodos(std::string entries) {
  if (entries == todos_) return;
  todos_ = std::move(entries);
  auto json = JsonDocument::Parse(todos_);
  if (!json || !IsPlan(json->root()))
    return EmitJsonOutput(host_, "events", JsonObject().SetRaw("todos", todos_).Take());
  host_.Emit(event_type::kPlanUpdated, JsonObject().SetRaw("entries", todos_).Take());
}

// --- approvals

void OpencodeEvents::TakeRequest(const JsonValue& request) {
  const std::string id(request["id"].StringOr(""));
  if (id.empty() || closed_.count(id) != 0 || pending_.count(id) != 0) return;
  if (pending_.size() >= kMaxPending) return EmitOther(host_, request);
  pending_[id].json = request.Raw();
  Offer(id, true);
}

// The call that asks is reported before its approval: from its own part, which may come a little later than
// the request, or else from the content of the request.
void OpencodeEvents::Offer(const std::string& id, bool call_may_come) {
  Request& pending = pending_.at(id);
  const auto json = JsonDocument::Parse(pending.json);
  if (!json) return;
  const JsonValue request = json->root();
  ApprovalRequest approval;
  approval.id = id;
  approval.call_id = request["tool"]["callID"].StringOr("");
  approval.elicitation = request["questions"].present();
  const std::string_view message_id = request["tool"]["messageID"].StringOr("");
  const std::string_view session = request["sessionID"].StringOr("");
  approval.tool = approval.elicitation ? "question" : ToolName(request["permission"].StringOr(""));
  if (approval.elicitation) {
    approval.input = JsonObject().SetRaw("questions", request["questions"].Raw()).Take();
    approval.message = QuestionMessage(request["questions"]);
    approval.schema = QuestionSchema(request["questions"], "multiple");
    approval.suggestions = true;
  } else if (const JsonValue metadata = request["metadata"]; metadata.size() > 0) {
    approval.input = metadata.Is(JsonType::kObject) ? metadata.Raw() : "{}";
  } else {
    approval.input = JsonObject().SetRaw("patterns", request["patterns"].Raw()).Take();
  }
  if (!approval.call_id.empty()) {
    const auto* call = messages_.FindCall(message_id, approval.call_id);
    if (messages_.HasEnded(message_id, approval.call_id)) return void(pending_.erase(id));
    if (!call) {
      if (call_may_come && !approval.elicitation) return;
      call = &messages_.Announce(
          message_id,
          {approval.call_id, std::string(session == session_ ? "" : session), approval.tool, approval.input});
    }
    approval.call_id = call->id;
    if (approval.tool == "edit" || approval.tool == call->name) {
      // The approval names the call, unless the request asks for something else that the call needs (such as
      // a folder outside). For all tools that change files the permission is `edit`.
      approval.tool = call->name;
      approval.input = call->input;
    }
  }
  pending.offered = true;
  host_.OnApproval(std::move(approval));  // may answer it at once
}

void OpencodeEvents::OfferHeld(bool call_may_come) {
  std::vector<std::string> held;
  for (const auto& [id, request] : pending_) {
    if (!request.offered) held.push_back(id);
  }
  for (const std::string& id : held) {
    if (pending_.count(id) != 0) Offer(id, call_may_come);
  }
}

void OpencodeEvents::TakeReply(const JsonValue& reply) {
  const std::string id(reply["requestID"].StringOr(""));
  closed_.erase(id);
  Withdraw(id);  // someone else's answer: a request that we answer is not pending
}

void OpencodeEvents::Withdraw(const std::string& id) {
  const auto gone = pending_.extract(id);
  if (gone && gone.mapped().offered) host_.OnApprovalGone(id);
}

bool OpencodeEvents::Answer(const std::string& id) {
  if (pending_.erase(id) == 0) return false;
  Close(id);
  return true;
}

std::string OpencodeEvents::ReplyTo(const std::string& question_id, std::string_view content) const {
  auto pending = pending_.find(question_id);
  if (pending == pending_.end()) return {};
  const auto request = JsonDocument::Parse(pending->second.json);
  const auto answers = JsonDocument::Parse(content);
  if (!request || !answers) return {};
  JsonArray list;
  for (const JsonValue& question : (*request)["questions"].Elements()) {
    JsonArray chosen;
    for (const std::string& answer : QuestionAnswers(question, answers->root())) chosen.Add(answer);
    list.AddRaw(chosen.Take());
  }
  return JsonObject().SetRaw("answers", list.Take()).Take();
}

void OpencodeEvents::Close(const std::string& id) {
  closed_.insert(id);
  if (closed_.size() > kMaxClosed) closed_.erase(closed_.begin());  // ids ascend, so this is the oldest
}

// Takes the requests that wait according to a snapshot: offers the new ones, and withdraws the missing ones,
// which were answered elsewhere.
void OpencodeEvents::TakeRequests(const Snapshot& snapshot) {
  std::set<std::string, std::less<>> listed;
  for (const JsonValue& list : {snapshot.permissions, snapshot.questions}) {
    for (const JsonValue& request : list.Elements()) {
      listed.emplace(request["id"].StringOr(""));
      if (Ours(request["sessionID"].StringOr(""))) TakeRequest(request);
    }
  }
  std::vector<std::string> gone;
  for (const auto& [id, request] : pending_) {
    if (listed.count(id) == 0) gone.push_back(id);
  }
  for (const std::string& id : gone) Withdraw(id);
  std::erase_if(closed_, [&listed](const std::string& id) { return listed.count(id) == 0; });
}

// --- turns

void OpencodeEvents::TakeTurn(std::string_view type, const JsonValue& properties) {
  if (type == "session.idle") {
    if (turn_ == Turn::kOpen) Idle();  // session.status has reported it before, where there is one
    return;
  }
  edge_seen_ = true;
  if (type == "session.turn.close") {
    if (turn_ != Turn::kNone) End(properties["reason"].StringOr(""));
    return;
  }
  if (turn_ != Turn::kNone && opened_) End(std::nullopt);  // we missed its close
  if (turn_ == Turn::kNone) Start();
  opened_ = true;
}

void OpencodeEvents::Busy() {
  if (turn_ == Turn::kIdle) {
    if (closes_turns_ || idle_assumed_) {
      turn_ = Turn::kOpen;  // still the same turn: it was not closed, or is not idle yet
      return;
    }
    End(std::nullopt);
  }
  if (turn_ == Turn::kNone) Start();
}

// The server is idle. After an error or an abort it says so twice, and writes the rest of the turn in
// between.
void OpencodeEvents::Idle() {
  if (turn_ == Turn::kNone) return;
  const bool first = turn_ == Turn::kOpen || std::exchange(idle_assumed_, false);
  if (first && (closes_turns_ || error_)) {
    turn_ = Turn::kIdle;
  } else if (!closes_turns_) {
    End(std::nullopt);
  }
}

OpencodeEvents::Wait OpencodeEvents::wait() const {
  if (turn_ != Turn::kIdle) {
    const bool held = std::any_of(pending_.begin(), pending_.end(),
                                  [](const auto& entry) { return !entry.second.offered; });
    return held ? Wait::kForCall : Wait::kNone;
  }
  return closes_turns_ && !idle_assumed_ ? Wait::kForClose : Wait::kForRest;
}

void OpencodeEvents::Settle() {
  if (turn_ == Turn::kIdle) return End(std::nullopt);
  OfferHeld(false);
}

void OpencodeEvents::Start() {
  turn_ = Turn::kOpen;
  opened_ = awaiting_turn_ = finished_ = idle_assumed_ = false;
  error_.reset();
  messages_.BeginTurn();
  host_.OnTurnStarted();
}

TurnEnd OpencodeEvents::Outcome(std::optional<std::string_view> reason) const {
  using Outcome = TurnEnd::Outcome;
  if (reason == "completed" || reason == "superseded") return {Outcome::kCompleted, {}};
  if (reason == "interrupted" || (error_ && IsAbort(*error_))) return {Outcome::kCancelled, {}};
  if (error_) return {Outcome::kFailed, *error_};
  if (reason == "error")
    return {Outcome::kFailed, {"UnknownError", "the turn ended with an error that has no name"}};
  // An abort while the server waits to retry leaves no error behind.
  if (interrupted_ && !finished_) return {Outcome::kCancelled, {}};
  return {Outcome::kCompleted, {}};
}

void OpencodeEvents::End(std::optional<std::string_view> reason) {
  const TurnEnd end = Outcome(reason);
  messages_.EndTurn();
  if (error_ && end.outcome != TurnEnd::Outcome::kFailed) EmitError(*error_, "");
  for (auto& [id, child] : children_) {
    if (child.idle_assumed) ChildRuns(id, child, false);
  }
  turn_ = Turn::kNone;
  opened_ = interrupted_ = false;
  error_.reset();
  for (const auto& [id, request] : std::exchange(pending_, {})) {
    Close(id);
    if (request.offered) host_.OnApprovalGone(id);
  }
  host_.OnTurnEnded(end);  // may bring the next prompt
}

void OpencodeEvents::PromptEnded(const TurnEnd& end) {
  if (!std::exchange(awaiting_turn_, false) || turn_ != Turn::kNone) return;
  interrupted_ = false;
  host_.OnTurnEnded(end);
}

// --- after a break

void OpencodeEvents::StreamBroke() {
  catching_up_ = true;
  edge_seen_ = false;
  for (auto& [id, child] : children_) child.heard = child.idle_assumed = false;
  messages_.StreamBroke();
}

bool OpencodeEvents::Follows(const JsonValue& child) const {
  auto known = children_.find(child["id"].StringOr(""));
  if (known != children_.end()) return known->second.running;
  return CountIn(child["time"]["created"]) > messages_.horizon_ms();
}

void OpencodeEvents::TakeSnapshot(const Snapshot& snapshot) {
  for (const auto& [session, messages] : snapshot.messages) {
    // A turn began, and perhaps ended, while the stream was broken.
    if (session == session_ && turn_ == Turn::kNone && messages_.HasNewAnswer(messages)) Start();
  }
  TakeSession("session.updated", snapshot.session);
  for (const JsonValue& child : snapshot.children) {
    if (Follows(child)) TakeSession("session.created", child);
  }
  for (auto& [id, child] : children_) child.heard = false;
  for (const auto& [session, messages] : snapshot.messages) {
    for (const JsonValue& message : messages.Elements()) {
      if (!TakeMessage(message["info"])) continue;
      for (const JsonValue& part : message["parts"].Elements()) messages_.TakePart(part, false);
    }
  }
  if (snapshot.todos) TakeTodos(snapshot.todos.Raw());
  TakeRequests(snapshot);
  OfferHeld(true);
}

// If the stream has reported anything about a turn since it is open again, it knows better than the snapshot.
// If not, its report of an end may still be on its way.
void OpencodeEvents::Reconcile(const JsonValue& statuses) {
  auto idle = [&statuses](const std::string& session) {
    return statuses[session]["type"].StringOr("idle") == "idle";
  };
  catching_up_ = false;
  if (!held_todos_.empty()) TakeTodos(std::exchange(held_todos_, {}));
  if (!edge_seen_ && !idle(session_)) {
    Busy();
  } else if (!edge_seen_ && turn_ != Turn::kNone) {
    turn_ = Turn::kIdle;
    idle_assumed_ = true;
  }
  for (auto& [id, child] : children_) {
    if (!child.running || child.heard || !idle(id)) continue;
    if (turn_ == Turn::kNone) {
      ChildRuns(id, child, false);
    } else {
      child.idle_assumed = true;  // reported at the end of the turn, unless the stream reports it earlier
    }
  }
}

}  // namespace reeve
