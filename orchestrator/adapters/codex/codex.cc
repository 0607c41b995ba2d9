#include "orchestrator/adapters/codex/codex.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "orchestrator/adapters/adapter.h"
#include "orchestrator/adapters/codex/codex_events.h"
#include "orchestrator/adapters/json_rpc.h"
#include "orchestrator/adapters/output_lines.h"
#include "orchestrator/adapters/own_tools.h"
#include "orchestrator/agent/agent_spec.h"
#include "orchestrator/handover/saved_state.h"
#include "orchestrator/log/event_types.h"

namespace reeve {

namespace {

constexpr size_t kMaxModels = 1'000;

class CodexAdapter final : public Adapter {
 public:
  CodexAdapter(AgentHost& host, std::string session)
      : host_(host),
        resume_(std::move(session)),
        lines_(host, {.on_line =
                          [this](Child::Output, std::string_view line) {
                            rpc_.Take(line);
                            Advance();
                          }}),
        rpc_({[this](std::string_view line) { return WriteOrBreak(host_, line); },
              [this](std::string_view method, const JsonValue& params) { events_.Take(method, params); },
              [this](const std::string& id, std::string_view method, const JsonValue& params) {
                if (!events_.TakeRequest(id, method, params)) {
                  rpc_.Refuse(id, JsonRpc::kMethodNotFound, "reeve does not support this method");
                }
              },
              [this](const JsonRpc::Request& request, const JsonRpcAnswer& answer) {
                TakeAnswer(request, answer);
              },
              [this](std::string_view) { lines_.EmitJsonLine(); }}),
        events_(host) {}

  Status Prepare(SpawnSpec& spawn) override;
  void OnSpawned() override;
  void OnOutput(Child::Output from, std::string_view bytes) override { lines_.Take(from, bytes); }
  void OnExited() override;
  Status Prompt(const std::string& text) override;
  void Interrupt() override;
  bool PrepareStop() override;
  void Steer(const std::string& id, const std::string& text) override;
  void Decide(const std::string& approval_id, const ApprovalAnswer& answer) override;
  void Answer(const std::string& elicitation_id, const ElicitationAnswer& answer) override;
  void ListModels(std::function<void(Result<std::string>)> done) override;
  [[nodiscard]] std::string OwnModel() const override { return own_model_; }

  [[nodiscard]] std::string Save() const override { return SaveState(*this); }
  Status Restore(const JsonValue& state) override { return RestoreState(state, *this); }
  static void Members(auto& self, auto& state) {
    state("resume", self.resume_);
    state("cwd", self.cwd_);
    state("policy_configured", self.policy_configured_);
    state("lines", self.lines_);
    state("rpc", self.rpc_);
    state("events", self.events_);
    state("models_asked", self.models_asked_);
    state("models", self.models_);
    state("own_model", self.own_model_);
    state("model_changed", self.model_changed_);
    state("interrupt_wanted", self.interrupt_wanted_);
    state("stopping", self.stopping_);
  }

 private:
  void TakeAnswer(const JsonRpc::Request& request, const JsonRpcAnswer& answer);
  static void AddOwnTools(SpawnSpec& spawn);
  void OpenThread();
  void StartThread();
  void AdoptThread(const JsonValue& thread);
  [[nodiscard]] JsonObject ThreadParams() const;
  void Demand(std::string_view method, std::string_view params);
  void AskForModels(const std::string& cursor);
  void TakeModels(const JsonRpcAnswer& answer);
  void AnswerModels(const Result<std::string>& models);
  void Advance();
  void EmitError(const char* code, const std::string& message);

  AgentHost& host_;
  std::string resume_;
  std::string cwd_;
  bool policy_configured_ = false;  // the command line sets the policy, so we leave it alone
  OutputLines lines_;
  JsonRpc rpc_;
  CodexEvents events_;

  std::vector<std::function<void(Result<std::string>)>> models_wanted_;  // one request answers them all
  std::string own_model_;                                                // that of the thread; empty: unknown
  bool model_changed_ = false;  // the last turn had another model than own_model_
  bool models_asked_ = false;
  std::vector<std::string> models_;  // JSON, from the pages received so far

  bool interrupt_wanted_ = false;
  bool stopping_ = false;
};

std::string TextInput(const std::string& text) {
  return JsonArray().AddRaw(JsonObject().Set("type", "text").Set("text", text).Take()).Take();
}

// --- process

// Options with values of TOML, whose strings are those of JSON.
void CodexAdapter::AddOwnTools(SpawnSpec& spawn) {
  const OwnTools tools = OwnTools::For(spawn);
  const auto quoted = [](std::string_view text) {
    std::string out;
    AppendJsonString(out, text);
    return out;
  };
  const auto add = [&spawn](const std::string& key, const std::string& value) {
    spawn.argv.insert(spawn.argv.end(),
                      {"-c", "mcp_servers." + std::string(OwnTools::kName) + "." + key + "=" + value});
  };
  add("command", quoted(tools.command));
  add("args", R"(["mcp"])");
  add("tool_timeout_sec", std::to_string(OwnTools::kTimeoutS));
  for (const auto& [name, value] : tools.env) add("env." + name, quoted(value));
}

Status CodexAdapter::Prepare(SpawnSpec& spawn) {
  if (spawn.argv.empty()) spawn.argv.emplace_back("codex");
  if (std::find(spawn.argv.begin() + 1, spawn.argv.end(), "app-server") == spawn.argv.end()) {
    spawn.argv.emplace_back("app-server");
  }
  policy_configured_ = std::any_of(spawn.argv.begin(), spawn.argv.end(), [](std::string_view argument) {
    for (std::string_view flag : {"-c", "--config="}) {
      if (argument.substr(0, flag.size()) == flag) argument.remove_prefix(flag.size());
    }
    return argument.substr(0, 16) == "approval_policy=";
  });
  if (host_.spec().mcp) AddOwnTools(spawn);
  cwd_ = spawn.cwd;
  spawn.stdin_pipe = true;
  return {};
}

void CodexAdapter::OnSpawned() {
  const std::string client =
      JsonObject().Set("name", "reeve").Set("title", "reeve").Set("version", "1").Take();
  // Without experimentalApi, codex does not ask a person (item/tool/requestUserInput).
  const std::string capabilities = JsonObject().Set("experimentalApi", true).Take();
  Demand("initialize", JsonObject().SetRaw("clientInfo", client).SetRaw("capabilities", capabilities).Take());
}

// Makes a call that the handshake cannot do without.
void CodexAdapter::Demand(std::string_view method, std::string_view params) {
  if (Status sent = rpc_.Call(method, params); !sent) host_.OnBroken(sent.error());
}

void CodexAdapter::TakeAnswer(const JsonRpc::Request& request, const JsonRpcAnswer& answer) {
  const std::string& method = request.method;
  const std::string why = answer.ok() ? "" : "codex: " + answer.error->message;
  if (method == "turn/steer") {
    return host_.OnSteered(request.about, answer.ok() ? Status() : Error{"not_steered", why});
  }
  if (method == "model/list") return TakeModels(answer);
  if (!answer.ok() && answer.error->code == "closed") return;
  if (method == "turn/start") {
    if (!answer.ok()) events_.PromptRefused({"prompt_refused", why});
  } else if (method == "turn/interrupt") {
    if (!answer.ok() && events_.in_turn()) EmitError("interrupt_failed", why);
  } else if (method == "thread/resume" && !answer.ok()) {
    EmitError("session_lost",
              "thread " + resume_ + " cannot be resumed; a new thread begins: " + answer.error->message);
    StartThread();
  } else if (!answer.ok()) {
    host_.OnBroken({"handshake_failed", "codex: " + method + ": " + answer.error->message});
  } else if (method == "initialize") {
    (void)rpc_.Notify("initialized", "{}");
    OpenThread();
  } else if (method == "thread/start" || method == "thread/resume") {
    own_model_ = answer.result["model"].StringOr("");  // turns name every other model, the thread does not
    AdoptThread(answer.result["thread"]);
  }
}

JsonObject CodexAdapter::ThreadParams() const {
  JsonObject params;
  if (!cwd_.empty()) params.Set("cwd", cwd_);
  if (!policy_configured_) params.Set("approvalPolicy", "untrusted");
  const std::string& instructions = host_.spec().system_prompt;
  if (!instructions.empty()) params.Set("developerInstructions", instructions);
  return params;
}

void CodexAdapter::OpenThread() {
  if (resume_.empty()) return StartThread();
  Demand("thread/resume", ThreadParams().Set("threadId", resume_).Set("excludeTurns", true).Take());
}

void CodexAdapter::StartThread() { Demand("thread/start", ThreadParams().Take()); }

void CodexAdapter::AdoptThread(const JsonValue& thread) {
  const std::string id(thread["id"].StringOr(""));
  if (id.empty()) return host_.OnBroken({"handshake_failed", "codex: the thread has no id"});
  events_.SetThread(id);
  host_.OnReady();
}

void CodexAdapter::OnExited() {
  lines_.Finish();
  rpc_.Close();
  events_.Exited();
}

// --- turns

Status CodexAdapter::Prompt(const std::string& text) {
  JsonObject params;
  params.Set("threadId", events_.thread()).SetRaw("input", TextInput(text));
  // A turn's model stays for the next turns of the thread.
  const std::string& model = host_.model().empty() ? own_model_ : host_.model();
  if (!model.empty() && (!host_.model().empty() || model_changed_)) params.Set("model", model);
  model_changed_ = !host_.model().empty();
  interrupt_wanted_ = false;
  Status sent = rpc_.Call("turn/start", params.Take());
  if (sent) events_.PromptSent();
  return sent;
}

void CodexAdapter::Interrupt() {
  if (!events_.awaiting_turn() && !events_.in_turn()) return;
  interrupt_wanted_ = true;
  Advance();
}

void CodexAdapter::Steer(const std::string& id, const std::string& text) {
  if (events_.turn().empty()) return host_.OnSteered(id, Error{"no_turn", "codex: no turn is running"});
  const std::string params = JsonObject()
                                 .Set("threadId", events_.thread())
                                 .Set("expectedTurnId", events_.turn())
                                 .SetRaw("input", TextInput(text))
                                 .Take();
  if (Status sent = rpc_.Call("turn/steer", params, id); !sent) host_.OnSteered(id, sent);
}

bool CodexAdapter::PrepareStop() {
  stopping_ = true;
  Interrupt();
  Advance();
  return false;  // wait until it has exited
}

// Does whatever the present state allows.
void CodexAdapter::Advance() {
  // Between the acceptance of a prompt and its turn there is nothing to interrupt, and codex refuses it.
  if (!events_.awaiting_turn() && std::exchange(interrupt_wanted_, false)) {
    // Interrupts the sub-agents too, because they would continue.
    for (const auto& [thread, turn] : events_.Running()) {
      const std::string params = JsonObject().Set("threadId", thread).Set("turnId", turn).Take();
      (void)rpc_.Call("turn/interrupt", params);
    }
  }
  // codex exits by itself, at once, when its input ends.
  if (stopping_ && !events_.awaiting_turn() && !events_.in_turn()) {
    stopping_ = false;
    host_.CloseStdin();
  }
}

// --- answers

void CodexAdapter::Decide(const std::string& approval_id, const ApprovalAnswer& answer) {
  if (auto reply = events_.Decide(approval_id, answer)) rpc_.Answer(reply->rpc_id, reply->result);
}

void CodexAdapter::Answer(const std::string& elicitation_id, const ElicitationAnswer& answer) {
  if (auto reply = events_.Answer(elicitation_id, answer)) rpc_.Answer(reply->rpc_id, reply->result);
}

void CodexAdapter::ListModels(std::function<void(Result<std::string>)> done) {
  models_wanted_.push_back(std::move(done));
  if (std::exchange(models_asked_, true)) return;
  models_.clear();
  AskForModels("");
}

void CodexAdapter::AskForModels(const std::string& cursor) {
  JsonObject params;
  if (!cursor.empty()) params.Set("cursor", cursor);
  if (Status sent = rpc_.Call("model/list", params.Take()); !sent) AnswerModels(sent.error());
}

void CodexAdapter::TakeModels(const JsonRpcAnswer& answer) {
  if (!answer.ok()) return AnswerModels(Error{"models_unknown", "codex: " + answer.error->message});
  for (const JsonValue& model : answer.result["data"].Elements()) {
    const std::string_view id = model["model"].StringOr(model["id"].StringOr(""));
    models_.push_back(JsonObject().Set("id", id).Set("name", model["displayName"].AsString()).Take());
  }
  const std::string next(answer.result["nextCursor"].StringOr(""));
  const bool page = answer.result["data"].size() > 0;
  if (page && !next.empty() && models_.size() < kMaxModels) return AskForModels(next);
  JsonArray all;
  for (const std::string& model : models_) all.AddRaw(model);
  AnswerModels(all.Take());
}

void CodexAdapter::AnswerModels(const Result<std::string>& models) {
  models_asked_ = false;
  models_.clear();
  for (const auto& done : std::exchange(models_wanted_, {})) done(models);
}

void CodexAdapter::EmitError(const char* code, const std::string& message) {
  host_.Emit(event_type::kAgentError,
             JsonObject().Set("code", code).Set("message", message).Set("fatal", false).Take());
}

}  // namespace

std::unique_ptr<Adapter> MakeCodexAdapter(AgentHost& host, const std::string& session) {
  return std::make_unique<CodexAdapter>(host, session);
}

}  // namespace reeve
