#include "orchestrator/adapters/codex.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "orchestrator/adapters/codex_events.h"
#include "orchestrator/adapters/json_rpc.h"
#include "orchestrator/adapters/output_lines.h"
#include "orchestrator/agent_spec.h"

namespace reeve {

namespace {

constexpr size_t kMaxModels = 1'000;

class CodexAdapter final : public Adapter {
 public:
  CodexAdapter(AgentHost& host, std::string session)
      : host_(host),
        resume_(std::move(session)),
        lines_(host, kMaxProtocolLine,
               [this](std::string_view line) {
                 rpc_.Take(line);
                 Advance();
               }),
        rpc_({[this](std::string_view line) { return WriteOrBreak(host_, line); },
              [this](std::string_view method, const JsonValue& params) { events_.Take(method, params); },
              [this](const std::string& id, std::string_view method, const JsonValue& params) {
                if (!events_.TakeRequest(id, method, params)) {
                  rpc_.Refuse(id, JsonRpc::kMethodNotFound, "reeve does not do this");
                }
              },
              [this](std::string_view line) { lines_.TellStray(line); }}),
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

 private:
  using Models = std::vector<std::string>;
  using OnModels = std::function<void(Result<std::string>)>;

  void OpenThread();
  void AdoptThread(const JsonValue& thread);
  [[nodiscard]] JsonObject ThreadParams() const;
  void Demand(std::string_view method, std::string_view params, JsonRpc::OnAnswer answered);
  void AskForModels(const std::string& cursor, Models models, const OnModels& done);
  void Advance();
  void EmitError(const char* code, const std::string& message);

  AgentHost& host_;
  const std::string resume_;
  std::string cwd_;
  bool policy_configured_ = false;  // by the command line: then we leave it alone
  OutputLines lines_;
  JsonRpc rpc_;
  CodexEvents events_;

  bool interrupt_wanted_ = false;
  bool stopping_ = false;
};

std::string TextInput(const std::string& text) {
  return JsonArray().AddRaw(JsonObject().Set("type", "text").Set("text", text).Take()).Take();
}

// --- process

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
  cwd_ = spawn.cwd;
  spawn.stdin_pipe = true;
  return {};
}

void CodexAdapter::OnSpawned() {
  const std::string client =
      JsonObject().Set("name", "reeve").Set("title", "reeve").Set("version", "1").Take();
  // Without it, codex does not ask a person (item/tool/requestUserInput).
  const std::string capabilities = JsonObject().Set("experimentalApi", true).Take();
  Demand("initialize", JsonObject().SetRaw("clientInfo", client).SetRaw("capabilities", capabilities).Take(),
         [this](const JsonRpcAnswer&) {
           (void)rpc_.Notify("initialized", "{}");
           OpenThread();
         });
}

// A call without which nothing goes on.
void CodexAdapter::Demand(std::string_view method, std::string_view params, JsonRpc::OnAnswer answered) {
  const std::string what(method);
  Status sent =
      rpc_.Call(method, params, [this, what, answered = std::move(answered)](const JsonRpcAnswer& answer) {
        if (answer.ok()) return answered(answer);
        if (answer.error->code == "closed") return;
        host_.OnBroken({"handshake_failed", "codex: " + what + ": " + answer.error->message});
      });
  if (!sent) host_.OnBroken(sent.error());
}

JsonObject CodexAdapter::ThreadParams() const {
  JsonObject params;
  if (!cwd_.empty()) params.Set("cwd", cwd_);
  if (!policy_configured_) params.Set("approvalPolicy", "untrusted");
  if (!host_.model().empty()) params.Set("model", host_.model());
  const std::string& instructions = host_.spec().system_prompt;
  if (!instructions.empty()) params.Set("developerInstructions", instructions);
  return params;
}

void CodexAdapter::OpenThread() {
  auto start = [this] {
    Demand("thread/start", ThreadParams().Take(),
           [this](const JsonRpcAnswer& answer) { AdoptThread(answer.result["thread"]); });
  };
  if (resume_.empty()) return start();
  Status sent = rpc_.Call(
      "thread/resume", ThreadParams().Set("threadId", resume_).Set("excludeTurns", true).Take(),
      [this, start](const JsonRpcAnswer& answer) {
        if (answer.ok()) return AdoptThread(answer.result["thread"]);
        if (answer.error->code == "closed") return;
        EmitError("session_lost",
                  "thread " + resume_ + " cannot be resumed, a new one is begun: " + answer.error->message);
        start();
      });
  if (!sent) host_.OnBroken(sent.error());
}

void CodexAdapter::AdoptThread(const JsonValue& thread) {
  const std::string id(thread["id"].StringOr(""));
  if (id.empty()) return host_.OnBroken({"handshake_failed", "codex: its thread has no id"});
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
  if (!host_.model().empty()) params.Set("model", host_.model());
  interrupt_wanted_ = false;
  Status sent = rpc_.Call("turn/start", params.Take(), [this](const JsonRpcAnswer& answer) {
    if (answer.ok() || answer.error->code == "closed") return;
    events_.PromptRefused({"prompt_refused", "codex: " + answer.error->message});
  });
  if (sent) events_.PromptSent();
  return sent;
}

void CodexAdapter::Interrupt() {
  if (!events_.awaiting_turn() && !events_.in_turn()) return;
  interrupt_wanted_ = true;
  Advance();
}

void CodexAdapter::Steer(const std::string& id, const std::string& text) {
  if (events_.turn().empty()) return host_.OnSteered(id, Error{"no_turn", "codex: no turn runs"});
  const std::string params = JsonObject()
                                 .Set("threadId", events_.thread())
                                 .Set("expectedTurnId", events_.turn())
                                 .SetRaw("input", TextInput(text))
                                 .Take();
  Status sent = rpc_.Call("turn/steer", params, [this, id](const JsonRpcAnswer& answer) {
    host_.OnSteered(id, answer.ok() ? Status() : Error{"not_steered", "codex: " + answer.error->message});
  });
  if (!sent) host_.OnSteered(id, sent);
}

bool CodexAdapter::PrepareStop() {
  stopping_ = true;
  Interrupt();
  Advance();
  return false;  // until it has exited
}

// What follows from what is now so.
void CodexAdapter::Advance() {
  // Between a prompt's acceptance and its turn there is nothing to interrupt: codex refuses it.
  if (!events_.awaiting_turn() && std::exchange(interrupt_wanted_, false)) {
    // The sub-agents too: they would go on.
    for (const auto& [thread, turn] : events_.Running()) {
      const std::string params = JsonObject().Set("threadId", thread).Set("turnId", turn).Take();
      (void)rpc_.Call("turn/interrupt", params, [this](const JsonRpcAnswer& answer) {
        if (answer.ok() || answer.error->code == "closed" || !events_.in_turn()) return;
        EmitError("interrupt_failed", "codex: " + answer.error->message);
      });
    }
  }
  // At the end of its input codex leaves by itself, at once.
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

void CodexAdapter::ListModels(std::function<void(Result<std::string>)> done) { AskForModels("", {}, done); }

void CodexAdapter::AskForModels(const std::string& cursor, Models models, const OnModels& done) {
  JsonObject params;
  if (!cursor.empty()) params.Set("cursor", cursor);
  Status sent = rpc_.Call(
      "model/list", params.Take(),
      [this, models = std::move(models), done](const JsonRpcAnswer& answer) mutable {
        if (!answer.ok()) return done(Error{"models_unknown", "codex: " + answer.error->message});
        for (const JsonValue& model : answer.result["data"].Elements()) {
          const std::string_view id = model["model"].StringOr(model["id"].StringOr(""));
          models.push_back(JsonObject().Set("id", id).Set("name", model["displayName"].AsString()).Take());
        }
        const std::string next(answer.result["nextCursor"].StringOr(""));
        const bool page = answer.result["data"].size() > 0;
        if (page && !next.empty() && models.size() < kMaxModels)
          return AskForModels(next, std::move(models), done);
        JsonArray all;
        for (const std::string& model : models) all.AddRaw(model);
        done(all.Take());
      });
  if (!sent) done(sent.error());
}

void CodexAdapter::EmitError(const char* code, const std::string& message) {
  host_.Emit("agent.error",
             JsonObject().Set("code", code).Set("message", message).Set("fatal", false).Take());
}

}  // namespace

std::unique_ptr<Adapter> MakeCodexAdapter(AgentHost& host, const std::string& session) {
  return std::make_unique<CodexAdapter>(host, session);
}

}  // namespace reeve
