#include "orchestrator/adapters/claude/claude.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "orchestrator/adapters/adapter.h"
#include "orchestrator/adapters/claude/claude_events.h"
#include "orchestrator/adapters/output_lines.h"
#include "orchestrator/adapters/own_tools.h"
#include "orchestrator/adapters/questions.h"
#include "orchestrator/agent/agent_spec.h"
#include "orchestrator/agent/tool_names.h"
#include "orchestrator/handover/saved_state.h"
#include "orchestrator/log/event_types.h"
#include "process/random.h"

namespace reeve {

namespace {

// The largest number of requests that may wait for a person. More are refused.
constexpr size_t kMaxPending = 1'000;
constexpr std::string_view kQuestionTool = "AskUserQuestion";

struct Flag {
  std::string_view name;  // also in the form name=value
  std::string_view must;  // the required value, where another would break the protocol
  const char* why;        // set: the flag is refused, for this reason
};
constexpr Flag kTheirs[] = {
    {"--output-format", "stream-json", nullptr},
    {"--input-format", "stream-json", nullptr},
    {"--permission-prompt-tool", "stdio", nullptr},
    {"--resume", "", "use `resume`: an agent continues its own session"},
    {"--continue", "", "use `resume`: an agent continues its own session"},
    {"--fork-session", "", "use `resume`: an agent continues its own session"},
    {"--session-id", "", "claude chooses the id"},
    {"--bg", "", "the process must stay in the foreground"},
    {"--background", "", "the process must stay in the foreground"},
};

// The position of a flag in a command, or 0.
size_t Find(const std::vector<std::string>& argv, std::string_view flag) {
  for (size_t i = 1; i < argv.size(); ++i) {
    const std::string_view argument = argv[i];
    if (argument.substr(0, flag.size()) == flag &&
        (argument.size() == flag.size() || (argument[flag.size()] == '=' && flag.substr(0, 2) == "--"))) {
      return i;
    }
  }
  return 0;
}

// RFC 9562 section 5.4, version 4.
std::string MakeUuid() {
  std::string hex = RandomHex(16);
  hex[12] = '4';
  hex[16] = "89ab"[hex[16] & 3];
  for (size_t at : {20U, 16U, 12U, 8U}) hex.insert(at, 1, '-');
  return hex;
}

std::string UserMessage(const std::string& uuid, std::string_view text) {
  const std::string block = JsonObject().Set("type", "text").Set("text", text).Take();
  const std::string message = JsonObject().Set("role", "user").SetRaw("content", "[" + block + "]").Take();
  return JsonObject()
      .Set("type", "user")
      .Set("uuid", uuid)
      .SetRaw("message", message)
      .SetRaw("parent_tool_use_id", "null")
      .Set("session_id", "")
      .Take();
}

std::string Allow(std::string_view input) {
  return JsonObject().Set("behavior", "allow").SetRaw("updatedInput", input).Take();
}
std::string Deny(std::string_view reason) {
  return JsonObject().Set("behavior", "deny").Set("message", reason).Take();
}

// The program asks through its tool AskUserQuestion, as a call to be permitted. The answers go into the input
// with which the call is permitted.
void AskQuestions(const JsonValue& questions, ApprovalRequest& request) {
  if (questions.size() == 0) return;
  request.elicitation = true;
  request.message = QuestionMessage(questions);
  request.schema = QuestionSchema(questions, "multiSelect");
  request.suggestions = true;
}

std::string WithAnswers(std::string_view input, std::string_view content) {
  JsonObject answered;
  JsonObject answers;
  auto asked = JsonDocument::Parse(input);
  auto given = JsonDocument::Parse(content);
  if (!asked || !given) return std::string(input);
  for (const JsonValue& question : (*asked)["questions"].Elements()) {
    std::string all;
    for (const std::string& one : QuestionAnswers(question, given->root())) {
      if (!all.empty()) all += ", ";
      all += one;
    }
    if (!all.empty()) answers.Set(question["question"].StringOr(""), all);
  }
  for (const auto& [key, value] : asked->root().Members()) {
    if (key != "answers") answered.SetRaw(key, value.Raw());
  }
  return answered.SetRaw("answers", answers.Take()).Take();
}

// Passes on a question of an MCP server.
void AskElicitation(const JsonValue& asked, ApprovalRequest& request) {
  request.elicitation = true;
  request.tool = asked["mcp_server_name"].StringOr("");
  request.message = asked["message"].StringOr("");
  const std::string_view url = asked["url"].StringOr("");  // where the question is to be answered
  if (!url.empty()) request.message.append(" ").append(url);
  request.input = "{}";
  const JsonValue schema = asked["requested_schema"];
  request.schema = schema.Is(JsonType::kObject) ? schema.Raw() : R"({"type":"object","properties":{}})";
}

class ClaudeAdapter final : public Adapter {
 public:
  ClaudeAdapter(AgentHost& host, const std::string& session)
      : host_(host),
        resume_(session),
        events_(host, session),
        lines_(host, {.on_line = [this](Child::Output, std::string_view line) { TakeLine(line); }}) {}

  Status Prepare(SpawnSpec& spawn) override;
  void OnSpawned() override;
  void OnOutput(Child::Output from, std::string_view bytes) override { lines_.Take(from, bytes); }
  void OnExited() override;
  Status Prompt(const std::string& text) override;
  void Interrupt() override;
  bool PrepareStop() override;
  void Decide(const std::string& approval_id, const ApprovalAnswer& answer) override;
  void Answer(const std::string& elicitation_id, const ElicitationAnswer& answer) override;
  void ListModels(std::function<void(Result<std::string>)> done) override;
  [[nodiscard]] std::string OwnModel() const override { return events_.own_model(); }

  [[nodiscard]] std::string Save() const override { return SaveState(*this); }
  Status Restore(const JsonValue& state) override { return RestoreState(state, *this); }
  static void Members(auto& self, auto& state) {
    state("resume", self.resume_);
    state("events", self.events_);
    state("lines", self.lines_);
    state.Enum("state", self.state_, kStates);
    state("model", self.model_);
    state.Json("models", self.models_);
    state("held", self.held_);
    state("requests", self.requests_);
    state("awaited", self.awaited_);
    state("interrupting", self.interrupting_);
    state("pending", self.pending_);
    state("turns", self.turns_);
  }

 private:
  enum class State {
    kStarting,  // it has not answered the handshake yet
    kReady,
    kStopping,  // its turn is being ended
    kClosed,    // its stdin is closed, so it will end by itself
  };
  static constexpr const char* kStates[] = {"starting", "ready", "stopping", "closed"};
  // A request that waits for a person.
  struct Pending {
    bool call = false;  // a tool call; false: an elicitation of an MCP server
    std::string call_id;
    std::string input;

    static void Members(auto& self, auto& state) {
      state("call", self.call);
      state("call_id", self.call_id);
      state.Json("input", self.input);
    }
  };
  // A request of ours that waits for its response.
  struct Awaited {
    std::string name;
    std::string model;  // of set_model

    static void Members(auto& self, auto& state) {
      state("name", self.name);
      state("model", self.model);
    }
  };
  // A prompt that waits until the model has changed.
  struct Held {
    std::string request;  // the request that changes the model
    std::string uuid;
    std::string text;

    static void Members(auto& self, auto& state) {
      state("request", self.request);
      state("uuid", self.uuid);
      state("text", self.text);
    }
  };

  void TakeLine(std::string_view line);
  bool TakeResponse(const JsonValue& line);
  void TakeRequest(const JsonValue& line);
  void TakeReady(const JsonValue& response);
  void TakeModel(const std::string& request_id, const std::string& model, const JsonValue& response);
  void TakeFailedStart(const JsonValue& result);
  void ForgetEnded();
  [[nodiscard]] std::optional<Pending> Take(const std::string& id);

  Status Send(const std::string& line) { return WriteOrBreak(host_, line + "\n"); }
  Result<std::string> Request(const char* name, JsonObject request, std::string model = {});
  void Respond(const std::string& id, const std::string& response);
  void Refuse(std::string_view id, const std::string& error);
  Status SendPrompt(const std::string& uuid, const std::string& text);
  void Close();

  AgentHost& host_;
  std::string resume_;
  ClaudeEvents events_;
  OutputLines lines_;

  State state_ = State::kStarting;
  std::string model_;   // the model that the program was set to
  std::string models_;  // the models that the program offers, a JSON array
  std::optional<Held> held_;
  int requests_ = 0;
  std::map<std::string, Awaited, std::less<>> awaited_;  // by the request's id
  bool interrupting_ = false;
  std::map<std::string, Pending> pending_;
  uint64_t turns_ = 0;  // turns that have ended and were handled
};

// --- process

Status ClaudeAdapter::Prepare(SpawnSpec& spawn) {
  std::vector<std::string>& argv = spawn.argv;
  if (argv.empty()) argv.emplace_back("claude");
  for (const Flag& flag : kTheirs) {
    const size_t at = Find(argv, flag.name);
    if (at == 0) continue;
    const std::string value = argv[at].size() > flag.name.size() ? argv[at].substr(flag.name.size() + 1)
                              : at + 1 < argv.size()             ? argv[at + 1]
                                                                 : "";
    if (flag.why || value != flag.must) {
      return Error{"invalid_request",
                   "command: " + argv[at] + ": " +
                       (flag.why ? flag.why : "reeve needs the value " + std::string(flag.must))};
    }
  }
  auto add = [&argv](std::string_view flag, std::string_view value) {
    if (Find(argv, flag) != 0) return;
    argv.emplace_back(flag);
    if (!value.empty()) argv.emplace_back(value);
  };
  add("--print", "");
  add("--input-format", "stream-json");
  add("--output-format", "stream-json");
  add("--verbose", "");
  add("--include-partial-messages", "");
  add("--permission-prompt-tool", "stdio");
  if (Find(argv, "--dangerously-skip-permissions") == 0) add("--permission-mode", "default");
  // In the form with =, because a value may begin with a dash.
  if (!host_.model().empty() && Find(argv, "--model") == 0) {
    model_ = host_.model();
    argv.push_back("--model=" + model_);
  }
  if (!resume_.empty()) argv.push_back("--resume=" + resume_);
  if (host_.spec().mcp) {
    const OwnTools tools = OwnTools::For(spawn);
    JsonObject server;
    server.Set("type", "stdio").Set("command", tools.command).SetRaw("args", R"(["mcp"])");
    const std::string servers =
        JsonObject().SetRaw(OwnTools::kName, server.SetRaw("env", tools.EnvJson()).Take()).Take();
    argv.push_back("--mcp-config=" + JsonObject().SetRaw("mcpServers", servers).Take());
  }
  const std::string& system_prompt = host_.spec().system_prompt;
  if (!system_prompt.empty()) argv.push_back("--append-system-prompt=" + system_prompt);
  for (const char* name : {"DISABLE_AUTOUPDATER", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
                           "CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS"}) {
    spawn.SetEnv(name, "1", SpawnSpec::IfSet::kKeep);
  }
  spawn.stdin_pipe = true;
  return {};
}

void ClaudeAdapter::OnSpawned() {
  (void)Request("initialize", std::move(JsonObject().SetRaw("hooks", "null")));
}

void ClaudeAdapter::OnExited() {
  lines_.Finish();
  events_.Exited();
  state_ = State::kClosed;
  awaited_.clear();
  pending_.clear();
}

// --- lines

void ClaudeAdapter::TakeLine(std::string_view text) {
  ForgetEnded();
  auto line = JsonDocument::Parse(text);
  if (!line || !line->root().Is(JsonType::kObject)) return lines_.EmitLine();
  const JsonValue root = line->root();
  const std::string_view type = root["type"].StringOr("");
  if (type.empty()) return lines_.EmitJsonLine();  // no message of the protocol
  if (type == "control_response") {
    if (!TakeResponse(root["response"])) EmitClaudeOutput(host_, root);
  } else if (type == "control_request") {
    TakeRequest(root);
  } else if (type == "control_cancel_request") {
    const std::string id(root["request_id"].StringOr(""));
    if (pending_.erase(id) > 0) host_.OnApprovalGone(id);
  } else if (state_ == State::kStarting && type == "result" && !events_.in_turn() &&
             root["is_error"].AsBool().value_or(false)) {
    TakeFailedStart(root);
  } else {
    events_.Take(root);
  }
  ForgetEnded();
  if (state_ == State::kStopping && !events_.in_turn()) Close();
}

bool ClaudeAdapter::TakeResponse(const JsonValue& response) {
  auto awaited = awaited_.find(response["request_id"].StringOr(""));
  if (awaited == awaited_.end()) return response["subtype"].StringOr("") == "success";
  const auto [id, request] = std::move(*awaited);
  awaited_.erase(awaited);
  if (request.name == "initialize") {
    TakeReady(response);
  } else if (request.name == "set_model") {
    TakeModel(id, request.model, response);
  } else if (request.name == "interrupt") {
    interrupting_ = false;
    events_.InterruptTaken();
  }
  return true;
}

void ClaudeAdapter::TakeReady(const JsonValue& response) {
  if (response["subtype"].StringOr("") != "success") {
    return host_.OnBroken(
        {"handshake_failed",
         "claude: initialize: " + std::string(response["error"].StringOr("no reason given"))});
  }
  JsonArray models;
  for (const JsonValue& model : response["response"]["models"].Elements()) {
    const std::string_view id = model["value"].StringOr("");
    if (!id.empty()) {
      models.AddRaw(JsonObject().Set("id", id).Set("name", model["displayName"].StringOr(id)).Take());
    }
  }
  models_ = models.Take();
  if (state_ != State::kStarting) return;
  state_ = State::kReady;
  host_.OnReady();
}

// The program prints the reason and exits. If its session is gone, the session is forgotten, so that the next
// process begins a new one.
void ClaudeAdapter::TakeFailedStart(const JsonValue& result) {
  const Error error = ClaudeTurnEnd(result).error;
  const bool lost = !resume_.empty() && (error.message.find("No conversation found") != std::string::npos ||
                                         error.message.find("--resume requires") != std::string::npos);
  if (!lost) return host_.OnBroken({"start_failed", "claude: " + error.message});
  const std::string message =
      "session " + resume_ + " cannot be resumed; the next start begins a new session: " + error.message;
  host_.Emit(event_type::kAgentError,
             JsonObject().Set("code", "session_lost").Set("message", message).Set("fatal", false).Take());
  host_.OnSession("");
}

// Returns the request's id.
Result<std::string> ClaudeAdapter::Request(const char* name, JsonObject request, std::string model) {
  std::string id = std::string(name) + "-" + std::to_string(++requests_);
  Status sent = Send(JsonObject()
                         .Set("type", "control_request")
                         .Set("request_id", id)
                         .SetRaw("request", request.Set("subtype", name).Take())
                         .Take());
  if (!sent) return sent.error();
  awaited_.emplace(id, Awaited{name, std::move(model)});
  return id;
}

void ClaudeAdapter::Respond(const std::string& id, const std::string& response) {
  const std::string inner =
      JsonObject().Set("subtype", "success").Set("request_id", id).SetRaw("response", response).Take();
  (void)Send(JsonObject().Set("type", "control_response").SetRaw("response", inner).Take());
}

void ClaudeAdapter::Refuse(std::string_view id, const std::string& error) {
  const std::string inner =
      JsonObject().Set("subtype", "error").Set("request_id", id).Set("error", error).Take();
  (void)Send(JsonObject().Set("type", "control_response").SetRaw("response", inner).Take());
}

// --- turns

Status ClaudeAdapter::Prompt(const std::string& text) {
  const std::string uuid = MakeUuid();
  if (host_.model() == model_) return SendPrompt(uuid, text);
  JsonObject request;
  const std::string model = host_.model();
  model.empty() ? request.SetRaw("model", "null")
                : request.Set("model", model);  // null: the program's default
  auto sent = Request("set_model", std::move(request), model);
  if (!sent) return sent.error();
  held_ = Held{*sent, uuid, text};
  events_.PromptSent(uuid);
  return {};
}

void ClaudeAdapter::TakeModel(const std::string& request_id, const std::string& model,
                              const JsonValue& response) {
  const bool set = response["subtype"].StringOr("") == "success";
  if (set) model_ = model;
  if (!held_ || held_->request != request_id) return;
  const Held held = std::move(*std::exchange(held_, std::nullopt));
  Status prompted =
      set ? SendPrompt(held.uuid, held.text)
          : Status(Error{"model_refused",
                         "model " + model + ": " + std::string(response["error"].StringOr("refused"))});
  if (!prompted) events_.PromptEnded({TurnEnd::Outcome::kFailed, prompted.error()});
}

Status ClaudeAdapter::SendPrompt(const std::string& uuid, const std::string& text) {
  Status sent = Send(UserMessage(uuid, text));
  if (sent) events_.PromptSent(uuid);
  return sent;
}

// The program itself withdraws the requests that wait for a person, and ends its sub-agents.
void ClaudeAdapter::Interrupt() {
  if (held_) {
    held_.reset();
    events_.PromptEnded({TurnEnd::Outcome::kCancelled, {}});
    return;
  }
  if (interrupting_ || state_ == State::kClosed) return;
  // This also cancels a prompt that the program has not begun.
  interrupting_ = Request("interrupt", std::move(JsonObject().Set("cancel_queued", true))).ok();
}

// An idle program exits as soon as its stdin is closed, but a running tool would keep it alive. Asks for TERM
// only when the program would not exit by itself.
bool ClaudeAdapter::PrepareStop() {
  if (state_ != State::kReady) {
    Close();
    return true;
  }
  state_ = State::kStopping;
  if (events_.in_turn()) Interrupt();
  if (!events_.in_turn()) Close();
  return false;
}

void ClaudeAdapter::Close() {
  if (state_ == State::kClosed) return;
  state_ = State::kClosed;
  host_.CloseStdin();
  if (events_.has_background()) host_.OnStopPrepared();
}

// --- requests that wait for a person

void ClaudeAdapter::TakeRequest(const JsonValue& line) {
  const std::string id(line["request_id"].StringOr(""));
  const JsonValue request = line["request"];
  const std::string_view subtype = request["subtype"].StringOr("");
  const bool call = subtype == "can_use_tool";
  if (id.empty() || (!call && subtype != "elicitation")) {
    EmitClaudeOutput(host_, line);
    if (!id.empty()) Refuse(id, "not supported: " + std::string(subtype));
    return;
  }
  if (pending_.count(id) != 0) return;
  if (pending_.size() >= kMaxPending) return Refuse(id, "too many requests wait");
  events_.Asked();
  ApprovalRequest asked;
  asked.id = id;
  if (call) {
    const std::string_view tool = request["tool_name"].StringOr("");
    asked.tool = ToolName(tool);
    asked.input = request["input"].Is(JsonType::kObject) ? request["input"].Raw() : "{}";
    asked.call_id = request["tool_use_id"].StringOr("");
    asked.input = events_.BeginCall(asked.call_id,
                                    {asked.tool, asked.input, std::string(request["agent_id"].StringOr(""))});
    if (tool == kQuestionTool) AskQuestions(request["input"]["questions"], asked);
  } else {
    AskElicitation(request, asked);
  }
  pending_.emplace(id, Pending{call, asked.call_id, asked.input});
  host_.OnApproval(std::move(asked));  // may be decided at once
}

// The requests that waited for a person end with their turn.
void ClaudeAdapter::ForgetEnded() {
  if (std::exchange(turns_, events_.ended()) != events_.ended()) pending_.clear();
}

std::optional<ClaudeAdapter::Pending> ClaudeAdapter::Take(const std::string& id) {
  auto found = pending_.find(id);
  if (found == pending_.end()) return std::nullopt;
  Pending pending = std::move(found->second);
  pending_.erase(found);
  return pending;
}

void ClaudeAdapter::Decide(const std::string& approval_id, const ApprovalAnswer& answer) {
  const std::optional<Pending> pending = Take(approval_id);
  if (!pending) return;
  if (!answer.allow) {
    return Respond(approval_id, Deny(answer.reason.empty() ? "The user does not want this." : answer.reason));
  }
  if (!answer.input.empty()) events_.ChangeInput(pending->call_id, answer.input);
  Respond(approval_id, Allow(answer.input.empty() ? pending->input : answer.input));
}

void ClaudeAdapter::Answer(const std::string& elicitation_id, const ElicitationAnswer& answer) {
  using Action = ElicitationAnswer::Action;
  const std::optional<Pending> pending = Take(elicitation_id);
  if (!pending) return;
  const bool accepted = answer.action == Action::kAccept;
  if (!pending->call) {
    JsonObject response;
    response.Set("action", accepted ? "accept" : answer.action == Action::kDecline ? "decline" : "cancel");
    if (accepted) response.SetRaw("content", answer.content);
    return Respond(elicitation_id, response.Take());
  }
  if (!accepted) return Respond(elicitation_id, Deny("The user does not want to answer."));
  const std::string answered = WithAnswers(pending->input, answer.content);
  Respond(elicitation_id, Allow(answered));
}

void ClaudeAdapter::ListModels(std::function<void(Result<std::string>)> done) {
  if (models_.empty()) return done(Error{"not_ready", "claude has not reported its models yet"});
  done(models_);
}

}  // namespace

std::unique_ptr<Adapter> MakeClaudeAdapter(AgentHost& host, const std::string& session) {
  return std::make_unique<ClaudeAdapter>(host, session);
}

}  // namespace reeve
