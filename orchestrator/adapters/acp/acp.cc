#include "orchestrator/adapters/acp/acp.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "orchestrator/adapters/acp/acp_events.h"
#include "orchestrator/adapters/acp/acp_terminals.h"
#include "orchestrator/adapters/adapter.h"
#include "orchestrator/adapters/json_rpc.h"
#include "orchestrator/adapters/output_lines.h"
#include "orchestrator/adapters/own_tools.h"
#include "orchestrator/agent/agent_spec.h"
#include "orchestrator/handover/saved_state.h"
#include "orchestrator/log/event_types.h"
#include "process/confined_files.h"
#include "process/random.h"

namespace reeve {

namespace {

constexpr int kProtocolVersion = 1;
constexpr const char* kAuthRequired = "-32000";  // the protocol's error
constexpr const char* kUnknown = "?";  // the session offers models, and does not say which one it uses
constexpr int kRefused = -32603;
constexpr size_t kMaxFileBytes = size_t{4} << 20;

// The models that a session offers, in one of the two forms that the protocol has had.
struct Models {
  std::string option;   // the id of a configuration option; empty: session/set_model
  std::string current;  // empty: the session offers none
  std::string own;      // the agent's own choice, from the beginning of the session
  std::string list = "[]";

  static void Members(auto& self, auto& state) {
    state("option", self.option);
    state("current", self.current);
    state("own", self.own);
    state.Json("list", self.list);
  }
};

// The options may be in groups.
void AddChoices(JsonArray& list, const JsonValue& options) {
  for (const JsonValue& option : options.Elements()) {
    if (option["options"].Is(JsonType::kArray)) {
      AddChoices(list, option["options"]);
      continue;
    }
    list.AddRaw(JsonObject()
                    .Set("id", option["value"].StringOr(option["modelId"].StringOr("")))
                    .Set("name", option["name"].AsString())
                    .Take());
  }
}

Models ModelsOf(const JsonValue& session) {
  Models models;
  JsonArray list;
  for (const JsonValue& option : session["configOptions"].Elements()) {
    if (option["category"].StringOr("") != "model" || option["id"].StringOr("").empty()) continue;
    models.option = option["id"].StringOr("");
    models.current = option["currentValue"].StringOr(kUnknown);
    AddChoices(list, option["options"]);
    models.list = list.Take();
    return models;
  }
  if (session["models"].Is(JsonType::kObject)) {
    models.current = session["models"]["currentModelId"].StringOr(kUnknown);
    AddChoices(list, session["models"]["availableModels"]);
    models.list = list.Take();
  }
  return models;
}

// The list of MCP servers of a session.
std::string OwnServers(const OwnTools& tools) {
  JsonArray env;
  for (const auto& [name, value] : tools.env)
    env.AddRaw(JsonObject().Set("name", name).Set("value", value).Take());
  JsonObject server;
  server.Set("name", OwnTools::kName).Set("command", tools.command).SetRaw("args", R"(["mcp"])");
  return "[" + server.SetRaw("env", env.Take()).Take() + "]";
}

class AcpAdapter final : public Adapter {
 public:
  AcpAdapter(AgentHost& host, std::string session, std::string text_prefix)
      : host_(host),
        resume_(std::move(session)),
        lines_(host, {.on_line =
                          [this](Child::Output, std::string_view line) {
                            rpc_.Take(line);
                            Advance();
                          }}),
        rpc_({[this](std::string_view line) { return WriteOrBreak(host_, line); },
              [this](std::string_view method, const JsonValue& params) { TakeNotification(method, params); },
              [this](const std::string& id, std::string_view method, const JsonValue& params) {
                TakeRequest(id, method, params);
              },
              [this](const JsonRpc::Request& request, const JsonRpcAnswer& answer) {
                TakeAnswer(request, answer);
              },
              [this](std::string_view) { lines_.EmitJsonLine(); }}),
        events_(host, std::move(text_prefix)) {}

  Status Prepare(SpawnSpec& spawn) override;
  void OnSpawned() override;
  void OnOutput(Child::Output from, std::string_view bytes) override { lines_.Take(from, bytes); }
  void OnExited() override;
  Status Prompt(const std::string& text) override;
  void Interrupt() override;
  bool PrepareStop() override;
  void Decide(const std::string& approval_id, const ApprovalAnswer& answer) override;
  void ListModels(std::function<void(Result<std::string>)> done) override;
  [[nodiscard]] std::string OwnModel() const override { return models_.own == kUnknown ? "" : models_.own; }

  [[nodiscard]] std::string Save() const override { return SaveState(*this); }
  Status Restore(const JsonValue& state) override {
    if (state["terminals"].Is(JsonType::kObject)) MakeTerminals();
    return RestoreState(state, *this);
  }
  void Resume() override {
    if (terminals_) terminals_->Resume();
  }
  static void Members(auto& self, auto& state) {
    state("resume", self.resume_);
    state("cwd", self.cwd_);
    state.Json("mcp_servers", self.mcp_servers_);
    state("files", self.files_);
    state("terminals", self.terminals_);
    state("lines", self.lines_);
    state("rpc", self.rpc_);
    state("events", self.events_);
    state("can_load", self.can_load_);
    state("login", self.login_);
    state("loading", self.loading_);
    state("session", self.session_);
    state("session_told", self.session_told_);
    state("models", self.models_);
    state("held", self.held_);
    state("prompted", self.prompted_);
    state("interrupted", self.interrupted_);
    state("stopping", self.stopping_);
  }

 private:
  // A prompt that waits until the model is set.
  struct Held {
    std::string model;
    std::string text;

    static void Members(auto& self, auto& state) {
      state("model", self.model);
      state("text", self.text);
    }
  };

  void MakeTerminals();
  void TakeAnswer(const JsonRpc::Request& request, const JsonRpcAnswer& answer);
  void Initialized(const JsonValue& result);
  void OpenSession();
  void Loaded(const JsonRpcAnswer& answer);
  void ModelSet(const JsonRpcAnswer& answer);
  void PromptAnswered(const JsonRpcAnswer& answer);
  void NewSession();
  void Adopt(std::string session, const JsonValue& result);
  void Demand(std::string_view method, const std::string& params);
  void Refused(const std::string& what, const JsonRpcAnswer& answer);
  void SetModel(const std::string& model, const std::string& text);
  void SendPrompt(const std::string& text);
  void TakeNotification(std::string_view method, const JsonValue& params);
  void TakeRequest(const std::string& id, std::string_view method, const JsonValue& params);
  void ReadFile(const std::string& id, const JsonValue& params);
  void WriteFile(const std::string& id, const JsonValue& params);
  void EmitOther(std::string_view method, const JsonValue& params);
  void Advance();
  void EmitError(const char* code, const std::string& message);

  AgentHost& host_;
  std::string resume_;
  std::string cwd_;
  std::string mcp_servers_ = "[]";           // JSON
  bool files_ = false;                       // the agent may ask us to read and write files of its folder
  std::unique_ptr<AcpTerminals> terminals_;  // if the agent may have us run commands
  OutputLines lines_;
  JsonRpc rpc_;
  AcpEvents events_;

  bool can_load_ = false;
  std::string login_;  // the ways to log in, as text for a person
  bool loading_ = false;
  std::string session_;
  bool session_told_ = false;
  Models models_;

  std::optional<Held> held_;
  bool prompted_ = false;     // session/prompt was sent and not answered
  bool interrupted_ = false;  // before the prompt was sent
  bool stopping_ = false;
};

// --- process

Status AcpAdapter::Prepare(SpawnSpec& spawn) {
  auto granted = [this](const char* name) {
    auto option = host_.spec().kind_options.find(name);
    return option != host_.spec().kind_options.end() && option->second == "true";
  };
  files_ = granted("fs");
  cwd_ = spawn.cwd;
  if (cwd_.empty()) {  // the protocol demands an absolute path
    std::error_code error;
    cwd_ = std::filesystem::current_path(error).string();
  }
  if (granted("terminal")) MakeTerminals();
  if (host_.spec().mcp) mcp_servers_ = OwnServers(OwnTools::For(spawn));
  spawn.stdin_pipe = true;
  return {};
}

void AcpAdapter::MakeTerminals() {
  terminals_ = std::make_unique<AcpTerminals>(
      host_, cwd_, [this](const std::string& id, const Result<std::string>& result) {
        result ? rpc_.Answer(id, *result) : rpc_.Refuse(id, kRefused, result.error().message);
      });
}

void AcpAdapter::OnSpawned() {
  const std::string fs = JsonObject().Set("readTextFile", files_).Set("writeTextFile", files_).Take();
  const std::string can = JsonObject().SetRaw("fs", fs).Set("terminal", terminals_ != nullptr).Take();
  const std::string us = JsonObject().Set("name", "reeve").Set("title", "reeve").Set("version", "1").Take();
  const std::string params = JsonObject()
                                 .Set("protocolVersion", kProtocolVersion)
                                 .SetRaw("clientCapabilities", can)
                                 .SetRaw("clientInfo", us)
                                 .Take();
  Demand("initialize", params);
}

// Makes a call that the handshake cannot do without.
void AcpAdapter::Demand(std::string_view method, const std::string& params) {
  if (Status sent = rpc_.Call(method, params); !sent) host_.OnBroken(sent.error());
}

void AcpAdapter::TakeAnswer(const JsonRpc::Request& request, const JsonRpcAnswer& answer) {
  const std::string& method = request.method;
  if (method == "session/prompt") return PromptAnswered(answer);
  if (method == "session/set_model" || method == "session/set_config_option") return ModelSet(answer);
  if (method == "session/load") return Loaded(answer);
  if (!answer.ok()) return Refused(method, answer);
  if (method == "initialize") return Initialized(answer.result);
  if (method != "session/new") return;
  std::string id(answer.result["sessionId"].StringOr(""));
  if (id.empty()) return host_.OnBroken({"handshake_failed", "session/new: the session has no id"});
  Adopt(std::move(id), answer.result);
}

void AcpAdapter::Initialized(const JsonValue& result) {
  const int64_t version = result["protocolVersion"].AsInt().value_or(0);
  if (version != kProtocolVersion) {
    return host_.OnBroken({"protocol_version", "the agent speaks version " + std::to_string(version) +
                                                   " of the Agent Client Protocol, not 1"});
  }
  can_load_ = result["agentCapabilities"]["loadSession"].AsBool().value_or(false);
  for (const JsonValue& method : result["authMethods"].Elements()) {
    login_ += login_.empty() ? "; it offers: " : ", ";
    login_ += method["name"].StringOr("");
    const std::string_view how = method["description"].StringOr("");
    if (!how.empty()) login_.append(" (").append(how).append(")");
  }
  OpenSession();
}

// The agent refused a call of the handshake, so the handshake cannot continue.
void AcpAdapter::Refused(const std::string& what, const JsonRpcAnswer& answer) {
  if (answer.error->code == "closed") return;
  const bool login = answer.error->code == kAuthRequired;
  host_.OnBroken({login ? "auth_required" : "handshake_failed",
                  what + ": " + answer.error->message + (login ? login_ : std::string())});
}

void AcpAdapter::OpenSession() {
  if (resume_.empty()) return NewSession();
  if (!can_load_) {
    EmitError("session_lost", "this agent cannot load session " + resume_ + "; a new session begins");
    return NewSession();
  }
  loading_ = true;
  Demand("session/load",
         JsonObject().Set("sessionId", resume_).Set("cwd", cwd_).SetRaw("mcpServers", mcp_servers_).Take());
}

void AcpAdapter::Loaded(const JsonRpcAnswer& answer) {
  loading_ = false;
  if (answer.ok()) {
    events_.Resumed();
    return Adopt(resume_, answer.result);
  }
  if (answer.error->code == "closed" || answer.error->code == kAuthRequired) {
    return Refused("session/load", answer);
  }
  EmitError("session_lost",
            "session " + resume_ + " cannot be resumed; a new session begins: " + answer.error->message);
  NewSession();
}

void AcpAdapter::NewSession() {
  Demand("session/new", JsonObject().Set("cwd", cwd_).SetRaw("mcpServers", mcp_servers_).Take());
}

void AcpAdapter::Adopt(std::string session, const JsonValue& result) {
  session_ = std::move(session);
  models_ = ModelsOf(result);
  models_.own = models_.current;
  host_.OnReady();
}

void AcpAdapter::OnExited() {
  lines_.Finish();
  rpc_.Close();
  if (terminals_) terminals_->Close();
  events_.Exited();
}

// --- turns

Status AcpAdapter::Prompt(const std::string& text) {
  const std::string model = host_.model().empty() ? models_.own : host_.model();
  if (!model.empty() && models_.current.empty()) {
    return Error{"not_supported", "this agent does not offer a choice of models"};
  }
  interrupted_ = false;
  events_.BeginTurn();
  if (!model.empty() && model != kUnknown && model != models_.current) {
    SetModel(model, text);
  } else {
    SendPrompt(text);
  }
  return {};
}

void AcpAdapter::SetModel(const std::string& model, const std::string& text) {
  held_ = Held{model, text};
  JsonObject params;
  params.Set("sessionId", session_);
  if (models_.option.empty()) {
    params.Set("modelId", model);
  } else {
    params.Set("configId", models_.option).Set("value", model);
  }
  Status sent =
      rpc_.Call(models_.option.empty() ? "session/set_model" : "session/set_config_option", params.Take());
  if (sent) return;
  held_.reset();
  events_.EndTurn(TurnEnd{TurnEnd::Outcome::kFailed, sent.error()});
}

void AcpAdapter::ModelSet(const JsonRpcAnswer& answer) {
  const Held held = std::exchange(held_, std::nullopt).value_or(Held{});
  if (answer.ok()) {
    models_.current = held.model;
    SendPrompt(held.text);
  } else if (answer.error->code != "closed") {
    events_.EndTurn(
        TurnEnd{TurnEnd::Outcome::kFailed, {"model_refused", held.model + ": " + answer.error->message}});
  }
}

void AcpAdapter::SendPrompt(const std::string& text) {
  if (interrupted_) return events_.EndTurn(TurnEnd{TurnEnd::Outcome::kCancelled, {}});
  const std::string prompt =
      JsonArray().AddRaw(JsonObject().Set("type", "text").Set("text", text).Take()).Take();
  prompted_ = true;
  // Reported only now, because an agent need not keep a session that never had a prompt.
  if (!std::exchange(session_told_, true)) host_.OnSession(session_);
  Status sent =
      rpc_.Call("session/prompt", JsonObject().Set("sessionId", session_).SetRaw("prompt", prompt).Take());
  if (sent) return;
  prompted_ = false;
  events_.EndTurn(TurnEnd{TurnEnd::Outcome::kFailed, sent.error()});
}

void AcpAdapter::PromptAnswered(const JsonRpcAnswer& answer) {
  prompted_ = false;
  if (answer.ok()) return events_.EndTurn(answer.result);
  if (answer.error->code == "closed") return;
  Error error = *answer.error;
  error.code = answer.data["errorName"].StringOr(error.code == kAuthRequired ? "auth_required" : error.code);
  events_.EndTurn(TurnEnd{TurnEnd::Outcome::kFailed, std::move(error)});
}

void AcpAdapter::Interrupt() {
  if (!events_.in_turn()) return;
  interrupted_ = true;
  if (!prompted_) return;  // the model is being set, so the prompt will not be sent
  events_.Interrupted();
  (void)rpc_.Notify("session/cancel", JsonObject().Set("sessionId", session_).Take());
  // The protocol demands an answer to each permission after the cancel.
  for (const AcpEvents::Reply& reply : events_.Withdraw()) rpc_.Answer(reply.rpc_id, reply.result);
}

bool AcpAdapter::PrepareStop() {
  stopping_ = true;
  Interrupt();
  Advance();
  return false;  // wait until it has exited
}

void AcpAdapter::Advance() {
  // Most agents exit by themselves when their input ends.
  if (!stopping_ || events_.in_turn()) return;
  stopping_ = false;
  host_.CloseStdin();
}

void AcpAdapter::Decide(const std::string& approval_id, const ApprovalAnswer& answer) {
  if (auto reply = events_.Decide(approval_id, answer.allow)) rpc_.Answer(reply->rpc_id, reply->result);
}

void AcpAdapter::ListModels(std::function<void(Result<std::string>)> done) {
  if (models_.current.empty()) {
    if (session_.empty()) return done(Error{"not_ready", "the agent is not ready yet"});
    return done(Error{"not_supported", "this agent does not offer a choice of models"});
  }
  done(models_.list);
}

// --- notifications and requests

void AcpAdapter::TakeNotification(std::string_view method, const JsonValue& params) {
  if (method != "session/update") return EmitOther(method, params);
  // A session that is being loaded repeats its past. Before a session exists, only its menus may come.
  if (loading_) return;
  if (params["sessionId"].StringOr(session_) == session_ || session_.empty()) {
    return events_.TakeUpdate(params["update"]);
  }
  EmitOther(method, params);
}

void AcpAdapter::TakeRequest(const std::string& id, std::string_view method, const JsonValue& params) {
  if (method == "session/request_permission") {
    if (interrupted_ && events_.in_turn()) {  // the request and our cancel crossed
      rpc_.Answer(id, R"({"outcome":{"outcome":"cancelled"}})");
    } else if (!events_.TakePermission(id, params)) {
      rpc_.Refuse(id, kRefused, "too many requests are waiting");
    }
  } else if (files_ && method == "fs/read_text_file") {
    ReadFile(id, params);
  } else if (files_ && method == "fs/write_text_file") {
    WriteFile(id, params);
  } else if (terminals_ && method.substr(0, 9) == "terminal/") {
    terminals_->Take(id, method, params);
  } else {
    // kilo asks to write every file that it edits, granted or not, and writes it itself when we refuse.
    if (method.substr(0, 3) != "fs/") EmitOther(method, params);
    rpc_.Refuse(id, JsonRpc::kMethodNotFound, "reeve does not support this method");
  }
}

void AcpAdapter::EmitOther(std::string_view method, const JsonValue& params) {
  const std::string json = JsonObject().Set("method", method).SetRaw("params", params.Raw()).Take();
  EmitJsonOutput(host_, "stdout", json);
}

// Answers with at most `limit` lines, from `line` (the first is 1).
void AcpAdapter::ReadFile(const std::string& id, const JsonValue& params) {
  auto content = ReadFileWithin(cwd_, std::string(params["path"].StringOr("")), kMaxFileBytes);
  if (!content) return rpc_.Refuse(id, kRefused, content.error().message);
  std::string_view rest = *content;
  for (int64_t line = params["line"].AsInt().value_or(1); line > 1 && !rest.empty(); --line) {
    rest.remove_prefix(
        std::min(rest.size(), rest.find('\n') == std::string_view::npos ? rest.size() : rest.find('\n') + 1));
  }
  size_t end = rest.size();
  if (const auto limit = params["limit"].AsInt()) {
    end = 0;
    for (int64_t line = 0; line < *limit && end < rest.size(); ++line) {
      const size_t at = rest.find('\n', end);
      end = at == std::string_view::npos ? rest.size() : at + 1;
    }
  }
  rpc_.Answer(id, JsonObject().Set("content", rest.substr(0, end)).Take());
}

void AcpAdapter::WriteFile(const std::string& id, const JsonValue& params) {
  const auto content = params["content"].AsString();
  if (!content) return rpc_.Refuse(id, kRefused, "no content");
  Status written = WriteFileWithin(cwd_, std::string(params["path"].StringOr("")), *content);
  if (!written) return rpc_.Refuse(id, kRefused, written.error().message);
  rpc_.Answer(id, "{}");
}

void AcpAdapter::EmitError(const char* code, const std::string& message) {
  host_.Emit(event_type::kAgentError,
             JsonObject().Set("code", code).Set("message", message).Set("fatal", false).Take());
}

}  // namespace

std::unique_ptr<Adapter> MakeAcpAdapter(AgentHost& host, const std::string& session) {
  return MakeAcpAdapter(host, session, RandomHex(4));
}
std::unique_ptr<Adapter> MakeAcpAdapter(AgentHost& host, const std::string& session,
                                        const std::string& text_prefix) {
  return std::make_unique<AcpAdapter>(host, session, text_prefix);
}

}  // namespace reeve
