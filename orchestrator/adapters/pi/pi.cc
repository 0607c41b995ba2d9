#include "orchestrator/adapters/pi/pi.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "orchestrator/adapters/output_lines.h"
#include "orchestrator/adapters/pi/pi_events.h"
#include "orchestrator/agent/agent_spec.h"
#include "orchestrator/handover/saved_state.h"
#include "orchestrator/json/json.h"
#include "orchestrator/log/event_types.h"

namespace reeve {

namespace {

constexpr size_t kMaxCalls = 256;    // requests that pi has not answered, or questions that nobody has
constexpr size_t kKeptErrors = 512;  // of stderr before it is ready
constexpr std::string_view kNoSession = "No session found";
// reeve decides which session continues and in which mode pi runs.
constexpr std::string_view kRefused[] = {"--resume", "-r",      "--continue", "-c",          "--session",
                                         "--fork",   "--print", "-p",         "--no-session"};

// The only answer of an elicitation that comes from a dialog of an extension.
constexpr const char* kAnswer = "answer";

class PiAdapter final : public Adapter {
 public:
  PiAdapter(AgentHost& host, std::string session)
      : host_(host),
        resume_(std::move(session)),
        lines_(host, {.on_line = [this](Child::Output, std::string_view line) { TakeLine(line); }}),
        events_(host) {}

  Status Prepare(SpawnSpec& spawn) override;
  void OnSpawned() override { (void)Call("get_state"); }
  void OnOutput(Child::Output from, std::string_view bytes) override;
  void OnExited() override;
  Status Prompt(const std::string& text) override;
  void Interrupt() override;
  bool PrepareStop() override;
  void Steer(const std::string& id, const std::string& text) override;
  void Answer(const std::string& elicitation_id, const ElicitationAnswer& answer) override;
  void ListModels(std::function<void(Result<std::string>)> done) override;
  [[nodiscard]] std::string OwnModel() const override { return own_model_; }

  [[nodiscard]] std::string Save() const override { return SaveState(*this); }
  Status Restore(const JsonValue& state) override { return RestoreState(state, *this); }
  static void Members(auto& self, auto& state) {
    state("resume", self.resume_);
    state("lines", self.lines_);
    state("events", self.events_);
    state("ready", self.ready_);
    state.Bytes("errors", self.errors_);
    state("session", self.session_);
    state("session_told", self.session_told_);
    state("last_call", self.last_call_);
    state("calls", self.calls_);
    state("dialogs", self.dialogs_);
    state("held", self.held_);
    state("own_model", self.own_model_);
    state("model", self.model_);
    state("stopping", self.stopping_);
  }

 private:
  struct Awaited {
    std::string command;
    std::string about;  // prompt: its text; steer: the caller's id; set_model: the model

    static void Members(auto& self, auto& state) {
      state("command", self.command);
      state("about", self.about);
    }
  };

  Status Call(const char* command, JsonObject arguments = {}, const std::string& about = {});
  Status Write(JsonObject message) { return WriteOrBreak(host_, message.Take() + "\n"); }
  void TakeLine(std::string_view line);
  void TakeResponse(const JsonValue& response);
  void TakeDialog(const JsonValue& dialog);
  void TakeModels(const Result<std::string>& models);
  void SendPrompt(const std::string& text);
  void CloseDialogs();
  void Advance();

  AgentHost& host_;
  std::string resume_;
  OutputLines lines_;
  PiEvents events_;
  bool ready_ = false;
  std::string errors_;  // the end of stderr, until it is ready
  std::string session_;
  bool session_told_ = false;
  uint64_t last_call_ = 0;
  std::map<uint64_t, Awaited> calls_;           // pi has not answered them yet
  std::map<std::string, std::string> dialogs_;  // id → method: they wait for a person
  std::optional<std::string> held_;             // a prompt that waits until the model is set
  std::string own_model_;                       // the model of the session's beginning
  std::string model_;                           // the present one
  bool stopping_ = false;
  std::vector<std::function<void(Result<std::string>)>> models_wanted_;  // one request answers them all
};

// --- process

Status PiAdapter::Prepare(SpawnSpec& spawn) {
  if (spawn.argv.empty()) spawn.argv.emplace_back("pi");
  bool mode = false;
  for (size_t i = 1; i < spawn.argv.size(); ++i) {
    const std::string& argument = spawn.argv[i];
    if (std::find(std::begin(kRefused), std::end(kRefused), argument) != std::end(kRefused))
      return Error{"invalid_request",
                   "command: " + argument + ": reeve decides which session continues, and how"};
    if (argument != "--mode") continue;
    mode = true;
    if (i + 1 == spawn.argv.size() || spawn.argv[i + 1] != "rpc")
      return Error{"invalid_request", "command: --mode: reeve needs rpc"};
  }
  if (!mode) spawn.argv.insert(spawn.argv.end(), {"--mode", "rpc"});
  if (!resume_.empty()) spawn.argv.insert(spawn.argv.end(), {"--session", resume_});
  const std::string& system_prompt = host_.spec().system_prompt;
  if (!system_prompt.empty()) spawn.argv.insert(spawn.argv.end(), {"--append-system-prompt", system_prompt});
  for (const char* name : {"PI_SKIP_VERSION_CHECK", "PI_OFFLINE"})
    spawn.SetEnv(name, "1", SpawnSpec::IfSet::kKeep);
  spawn.stdin_pipe = true;
  return {};
}

void PiAdapter::OnOutput(Child::Output from, std::string_view bytes) {
  if (from == Child::Output::kStderr && !ready_) {
    errors_ += bytes;
    if (errors_.size() > kKeptErrors) errors_.erase(0, errors_.size() - kKeptErrors);
  }
  lines_.Take(from, bytes);
}

void PiAdapter::OnExited() {
  lines_.Finish();
  events_.Exited();
  for (const auto& [id, call] : std::exchange(calls_, {})) {
    if (call.command == "steer") host_.OnSteered(call.about, Error{"not_running", "pi has exited"});
  }
  TakeModels(Error{"not_running", "pi has exited"});
  if (ready_ || resume_.empty() || errors_.find(kNoSession) == std::string::npos) return;
  host_.Emit(event_type::kAgentError, JsonObject()
                                          .Set("code", "session_lost")
                                          .Set("message", "pi no longer has session " + resume_)
                                          .Set("fatal", false)
                                          .Take());
  host_.OnSession("");
}

Status PiAdapter::Call(const char* command, JsonObject arguments, const std::string& about) {
  if (calls_.size() >= kMaxCalls) return Error{"busy", "pi does not answer"};
  const uint64_t id = ++last_call_;
  Status sent = Write(std::move(arguments.Set("id", std::to_string(id)).Set("type", command)));
  if (sent) calls_[id] = {command, about};
  return sent;
}

void PiAdapter::TakeLine(std::string_view line) {
  auto json = JsonDocument::Parse(line);
  const std::string_view type = json ? (*json)["type"].StringOr("") : "";
  if (type == "response") {
    TakeResponse(json->root());
  } else if (type == "extension_ui_request") {
    TakeDialog(json->root());
  } else if (type.empty() || !events_.Take(type, json->root())) {
    lines_.EmitJsonLine();
  }
  Advance();
}

void PiAdapter::TakeResponse(const JsonValue& response) {
  uint64_t id = 0;
  for (char c : response["id"].StringOr("")) {
    if (c < '0' || c > '9' || id > last_call_) return;
    id = id * 10 + static_cast<uint64_t>(c - '0');
  }
  const auto found = calls_.find(id);
  if (found == calls_.end()) return;
  const Awaited call = std::move(found->second);
  calls_.erase(found);
  const JsonValue data = response["data"];
  const bool good = response["success"].AsBool().value_or(false);
  const std::string why = "pi: " + std::string(response["error"].StringOr("refused"));
  if (call.command == "get_state" && !ready_) {
    if (!good) return host_.OnBroken({"handshake_failed", why});
    session_ = data["sessionId"].StringOr("");
    if (const JsonValue model = data["model"]; model.Is(JsonType::kObject)) {
      own_model_ = std::string(model["provider"].StringOr("")) + "/" + std::string(model["id"].StringOr(""));
      model_ = own_model_;
    }
    ready_ = true;
    errors_.clear();
    host_.OnReady();
  } else if (call.command == "get_state") {
    // A later request asks about a later moment.
    const bool last = std::none_of(calls_.begin(), calls_.end(),
                                   [](const auto& other) { return other.second.command == "get_state"; });
    if (last) events_.TakeState(data);
  } else if (call.command == "prompt") {
    if (!good) return events_.EndTurn({TurnEnd::Outcome::kFailed, {"prompt_refused", why}});
    if (call.about.starts_with("/")) events_.WantState();  // perhaps a command, which begins no work
  } else if (call.command == "set_model") {
    const std::optional<std::string> text = std::exchange(held_, std::nullopt);
    if (good) model_ = call.about;
    if (!text) return;
    good ? SendPrompt(*text)
         : events_.EndTurn({TurnEnd::Outcome::kFailed, {"model_refused", call.about + ": " + why}});
  } else if (call.command == "steer") {
    host_.OnSteered(call.about, good ? Status() : Error{"not_steered", why});
  } else if (call.command == "abort") {
    events_.WantState();
  } else if (call.command == "get_available_models") {
    JsonArray models;
    for (const JsonValue& model : data["models"].Elements()) {
      const std::string name =
          std::string(model["provider"].StringOr("")) + "/" + std::string(model["id"].StringOr(""));
      models.AddRaw(JsonObject().Set("id", name).Set("name", model["name"].AsString()).Take());
    }
    TakeModels(good ? Result<std::string>(models.Take()) : Result<std::string>(Error{"models_unknown", why}));
  }
}

// --- turns

Status PiAdapter::Prompt(const std::string& text) {
  const std::string model = host_.model().empty() ? own_model_ : host_.model();
  const size_t slash = model.find('/');
  if (!host_.model().empty() && (slash == std::string::npos || slash == 0 || slash + 1 == model.size()))
    return Error{"invalid_request", "model: pi needs provider/model, not " + model};
  events_.BeginTurn();
  if (model == model_ || model.empty()) {
    SendPrompt(text);
    return {};
  }
  held_ = text;
  JsonObject arguments;
  arguments.Set("provider", model.substr(0, slash)).Set("modelId", model.substr(slash + 1));
  if (Status sent = Call("set_model", std::move(arguments), model); !sent) {
    held_.reset();
    events_.EndTurn({TurnEnd::Outcome::kFailed, sent.error()});
  }
  return {};
}

void PiAdapter::SendPrompt(const std::string& text) {
  // Reported only now, because pi does not keep a session that never had a prompt.
  if (!session_.empty() && !std::exchange(session_told_, true)) host_.OnSession(session_);
  if (Status sent = Call("prompt", std::move(JsonObject().Set("message", text)), text.substr(0, 1)); !sent)
    events_.EndTurn({TurnEnd::Outcome::kFailed, sent.error()});
}

void PiAdapter::Interrupt() {
  if (!events_.in_turn()) return;
  events_.Interrupted();
  if (std::exchange(held_, std::nullopt)) return events_.EndTurn({TurnEnd::Outcome::kCancelled, {}});
  CloseDialogs();
  (void)Call("abort");
}

void PiAdapter::Steer(const std::string& id, const std::string& text) {
  if (!events_.in_turn()) return host_.OnSteered(id, Error{"no_turn", "pi: no turn is running"});
  if (Status sent = Call("steer", std::move(JsonObject().Set("message", text)), id); !sent)
    host_.OnSteered(id, sent);
}

bool PiAdapter::PrepareStop() {
  stopping_ = true;
  Interrupt();
  Advance();
  return false;  // wait until it has exited
}

// Does whatever the present state allows.
void PiAdapter::Advance() {
  if (events_.TakeWish()) (void)Call("get_state");
  if (!stopping_ || events_.in_turn()) return;
  stopping_ = false;
  host_.CloseStdin();  // pi exits when its input ends
}

void PiAdapter::ListModels(std::function<void(Result<std::string>)> done) {
  models_wanted_.push_back(std::move(done));
  if (models_wanted_.size() > 1) return;
  if (Status sent = Call("get_available_models"); !sent) TakeModels(sent.error());
}

void PiAdapter::TakeModels(const Result<std::string>& models) {
  for (const auto& done : std::exchange(models_wanted_, {})) done(models);
}

// --- questions

// An extension asks a person. The other requests only decorate pi's own terminal.
void PiAdapter::TakeDialog(const JsonValue& dialog) {
  const std::string_view method = dialog["method"].StringOr("");
  const std::string id(dialog["id"].StringOr(""));
  if (method == "notify") return lines_.EmitJsonLine();
  const bool asks = method == "select" || method == "confirm" || method == "input" || method == "editor";
  if (!asks || id.empty() || dialogs_.size() >= kMaxCalls) return;
  JsonObject answer;
  answer.Set("type", method == "confirm" ? "boolean" : "string");
  if (method == "select") {
    JsonArray choices;
    for (const JsonValue& option : dialog["options"].Elements()) choices.Add(option.StringOr(""));
    answer.SetRaw("enum", choices.Take());
  }
  ApprovalRequest request;
  request.id = id;
  request.elicitation = true;
  request.tool = "question";
  request.message = dialog["title"].StringOr("");
  const std::string_view more = dialog["message"].StringOr("");
  if (!more.empty()) request.message.append("\n").append(more);
  request.schema = JsonObject()
                       .Set("type", "object")
                       .SetRaw("properties", JsonObject().SetRaw(kAnswer, answer.Take()).Take())
                       .SetRaw("required", JsonArray().Add(kAnswer).Take())
                       .Take();
  dialogs_[id] = method;
  host_.OnApproval(std::move(request));
}

void PiAdapter::Answer(const std::string& elicitation_id, const ElicitationAnswer& answer) {
  const auto found = dialogs_.find(elicitation_id);
  if (found == dialogs_.end()) return;
  const bool confirm = found->second == "confirm";
  dialogs_.erase(found);
  JsonObject reply;
  reply.Set("type", "extension_ui_response").Set("id", elicitation_id);
  auto content = JsonDocument::Parse(answer.content.empty() ? "{}" : answer.content);
  if (answer.action != ElicitationAnswer::Action::kAccept || !content) {
    reply.Set("cancelled", true);
  } else if (confirm) {
    reply.Set("confirmed", (*content)[kAnswer].AsBool().value_or(false));
  } else {
    reply.Set("value", (*content)[kAnswer].StringOr(""));
  }
  (void)Write(std::move(reply));
}

// An interrupted extension would wait for its answer.
void PiAdapter::CloseDialogs() {
  for (const auto& [id, method] : std::exchange(dialogs_, {})) {
    (void)Write(
        std::move(JsonObject().Set("type", "extension_ui_response").Set("id", id).Set("cancelled", true)));
    host_.OnApprovalGone(id);
  }
}

}  // namespace

std::unique_ptr<Adapter> MakePiAdapter(AgentHost& host, const std::string& session) {
  return std::make_unique<PiAdapter>(host, session);
}

}  // namespace reeve
