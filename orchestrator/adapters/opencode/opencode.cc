#include "orchestrator/adapters/opencode/opencode.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <utility>

#include "orchestrator/adapters/adapter.h"
#include "orchestrator/adapters/opencode/opencode_catch_up.h"
#include "orchestrator/adapters/opencode/opencode_events.h"
#include "orchestrator/adapters/output_lines.h"
#include "orchestrator/adapters/own_tools.h"
#include "orchestrator/agent/agent_spec.h"
#include "orchestrator/handover/saved_state.h"
#include "orchestrator/log/event_types.h"
#include "process/http_client.h"
#include "process/log.h"
#include "process/loop.h"
#include "process/random.h"
#include "process/sse_parser.h"
#include "process/timer.h"

namespace reeve {

namespace {

constexpr int kMaxFailures =
    10;  // consecutive failures of the event stream; after these the server is given up
constexpr size_t kMaxMessagesBytes = size_t{32} << 20;
constexpr size_t kMaxModelsBytes = size_t{16} << 20;  // a few hundred providers with all their details
constexpr int kLooks = 3;  // for the turn of an accepted prompt that the stream never reported
// The same when the server may or may not have the prompt: it must not get the prompt twice.
constexpr int kDoubtfulLooks = 30;

// The port in "kilo server listening on http://127.0.0.1:4096", 0 for any other line. We take only the port,
// because a process's output must not make us send our password elsewhere.
int PortIn(std::string_view line) {
  constexpr std::string_view kListening = "server listening on http://";
  const size_t at = line.find(kListening);
  if (at == std::string_view::npos) return 0;
  line.remove_prefix(at + kListening.size());
  const size_t colon = line.rfind(':');
  if (colon == std::string_view::npos) return 0;
  line.remove_prefix(colon + 1);
  uint16_t port = 0;
  auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), port);
  return error == std::errc() ? port : 0;
}

bool Good(const Result<HttpResponse>& response) {
  return response.ok() && response->status >= 200 && response->status < 300;
}

// The reason why a call failed, in the server's words if it gave any.
std::string WhyNot(const Result<HttpResponse>& response) {
  if (!response.ok()) return response.error().message;
  std::string why = "HTTP " + std::to_string(response->status);
  if (auto body = JsonDocument::Parse(response->body)) {
    const std::string_view words = (*body)["data"]["message"].StringOr((*body)["message"].StringOr(""));
    if (!words.empty()) why.append(": ").append(words);
  }
  return why;
}

// GET /config/providers as [{id, name}].
Result<std::string> ModelsIn(const std::string& providers_json) {
  auto json = JsonDocument::Parse(providers_json);
  if (!json) return json.error();
  JsonArray models;
  for (const JsonValue& provider : (*json)["providers"].Elements()) {
    const std::string prefix = std::string(provider["id"].StringOr("")) + "/";
    for (const auto& model : provider["models"].Members()) {
      JsonObject entry;
      entry.Set("id", prefix + std::string(model.key));
      models.AddRaw(entry.Set("name", model.value["name"].StringOr(model.key)).Take());
    }
  }
  return models.Take();
}

// The default of the first provider, which the server uses if its configuration names no model.
std::string DefaultModelIn(const std::string& providers_json) {
  auto json = JsonDocument::Parse(providers_json);
  if (!json) return {};
  for (const JsonValue& provider : (*json)["providers"].Elements()) {
    const std::string id(provider["id"].StringOr(""));
    const std::string_view model = (*json)["default"][id].StringOr("");
    if (!model.empty()) return id + "/" + std::string(model);
  }
  return {};
}

class OpencodeAdapter final : public Adapter {
 public:
  OpencodeAdapter(AgentHost& host, std::string session, const OpencodeFlavour& flavour,
                  const OpencodeTiming& timing)
      : host_(host),
        flavour_(flavour),
        timing_(timing),
        resume_(std::move(session)),
        password_(RandomHex(32)),
        // Until the port is known, whole lines are awaited.
        lines_(host, {.on_line = [this](Child::Output, std::string_view line) { TakeLine(line); },
                      .max_bytes = Lines::kMaxLineBytes,
                      .may_be = [this](std::string_view) { return state_ == State::kLaunching; },
                      .on_stderr = true}),
        events_(host, flavour.closes_turns),
        again_(host.loop(), [this] { state_ == State::kProbing ? Probe() : OpenStream(); }),
        silence_(host.loop(), [this] { Broke("nothing arrived, not even a heartbeat"); }),
        settle_(host.loop(), [this] { Settle(); }) {}

  Status Prepare(SpawnSpec& spawn) override;
  void OnSpawned() override {}  // its output will announce the port
  void OnOutput(Child::Output from, std::string_view bytes) override { lines_.Take(from, bytes); }
  void OnExited() override;
  void PauseReading(bool paused) override;
  Status Prompt(const std::string& text) override;
  void Interrupt() override;
  bool PrepareStop() override;
  void Decide(const std::string& approval_id, const ApprovalAnswer& answer) override;
  void Answer(const std::string& elicitation_id, const ElicitationAnswer& answer) override;
  void ListModels(std::function<void(Result<std::string>)> done) override;
  [[nodiscard]] std::string OwnModel() const override { return own_model_; }

  [[nodiscard]] std::string Save() const override { return SaveState(*this); }
  Status Restore(const JsonValue& state) override { return RestoreState(state, *this); }
  void Resume() override;
  void OnCommitted() override;
  // Connections end with the daemon, and whatever they were doing is begun again. For that reason failures
  // are counted from zero, and timers follow from the other members.
  static void Members(auto& self, auto& state) {
    state("resume", self.resume_);
    state("password", self.password_);
    state("directory", self.directory_);
    state("port", self.port_);
    state.Check("port", self.port_ >= 0 && self.port_ <= 65'535);
    OutputLines::Members(self.lines_, state);
    state.Enum("state", self.state_, kStates);
    state("events", self.events_);
    state("ready", self.ready_);
    state("prompt", self.prompt_);
    state("posting", self.posting_);
    state("own_model", self.own_model_);
    state("model_changed", self.model_changed_);
    state("doubtful", self.doubtful_);
    state("abort_wanted", self.abort_wanted_);
    state("aborting", self.aborting_);
    state("replies", self.replies_);
    state("stopping", self.stopping_);
    state("stop_told", self.stop_told_);
  }

 private:
  enum class State {
    kLaunching,   // its port is not known yet
    kProbing,     // it does not answer yet
    kOpening,     // we have asked for the event stream
    kAdopting,    // the stream is open; we are finding or making the session
    kCatchingUp,  // the stream is open again; we are asking for what we missed
    kLive,
    kWaiting,  // before we open the stream again
    kEnded,    // it has exited, or was given up
  };
  static constexpr const char* kStates[] = {"launching",   "probing", "opening", "adopting",
                                            "catching_up", "live",    "waiting", "ended"};
  // A person's decision on its way to the server.
  struct Decided {
    std::string what;  // text for a person
    std::string body;

    static void Members(auto& self, auto& state) {
      state("what", self.what);
      state("body", self.body);
    }
  };
  using Calls = std::map<uint64_t, std::unique_ptr<HttpCall>>;
  using OnAnswer = std::function<void(Result<HttpResponse>)>;

  [[nodiscard]] HttpRequest Request(const char* method, const std::string& path) const;
  void Call(Calls& calls, HttpRequest request, OnAnswer done);
  void Command(const std::string& path, std::string body, OnAnswer done);
  void Reply(const std::string& what, const std::string& path, const std::string& body);
  void TakeLine(std::string_view line);

  void Probe();
  void OpenStream();
  void PauseStream();
  void OnStreamBytes(std::string_view bytes);
  void TakeEvent(const std::string& data);
  void Broke(const std::string& reason);

  void Adopt();
  void MakeSession();
  void FindHistory(const std::string& session_json);
  void Adopted(const std::string& session_json, int64_t horizon_ms);
  void BeginCatchUp();
  void Ask(const std::string& path, OpencodeCatchUp::Keep keep);
  void FinishCatchUp();
  void Live();

  [[nodiscard]] Status CheckModel() const;
  Status AddOwnTools(SpawnSpec& spawn) const;
  void SendPrompt(const std::string& text);
  void PostPrompt(const std::string& text, const std::string& model);
  void FindOwnModel(const std::optional<std::string>& providers, const std::function<void()>& then);
  void SendAbort();
  void Settle();
  void NoTurn();
  [[nodiscard]] int64_t WaitMs() const;
  void Advance();
  void EmitError(const char* code, const std::string& message);
  void AnswerModels(const Result<std::string>& models);

  AgentHost& host_;
  const OpencodeFlavour flavour_;
  const OpencodeTiming timing_;
  std::string resume_;
  std::string password_;
  std::string directory_;
  int port_ = 0;
  OutputLines lines_;

  State state_ = State::kLaunching;
  OpencodeEvents events_;
  bool ready_ = false;
  int failures_ = 0;       // consecutive failures of the stream
  int64_t opened_ms_ = 0;  // when the first event came on the present stream
  std::unique_ptr<SseParser> parser_;
  bool paused_ = false;  // the agent takes no more now
  // The stream is not read until the session is set or the snapshot taken. These events came in the piece of
  // it that was read last before that.
  std::vector<std::string> held_;
  std::unique_ptr<OpencodeCatchUp> catch_up_;
  bool unheard_ = false;  // the turn of an accepted prompt may have passed while the stream was broken
  int looks_ = 0;         // how often we looked for that turn

  std::optional<std::string> prompt_;    // accepted while the stream was down
  std::optional<std::string> posting_;   // on its way to the server, which has not answered
  std::optional<std::string> due_;       // the body of its request, until that may be sent
  std::optional<std::string> doubtful_;  // the same from an earlier daemon: the server may or may not have it
  bool abort_wanted_ = false;
  int aborting_ = 0;
  std::map<std::string, Decided> replies_;  // by path; the server has not answered them yet
  bool stopping_ = false;
  bool stop_told_ = false;
  std::string own_model_;       // the server's; empty: unknown
  bool model_changed_ = false;  // the session's last prompt had another model
  std::vector<std::function<void(Result<std::string>)>> models_wanted_;  // one request answers them all

  OpencodeEvents::Wait waiting_for_ = OpencodeEvents::Wait::kNone;  // the reason why settle_ runs
  Timer again_;
  Timer silence_;
  Timer settle_;
  // The adapter owns these calls, so that no answer reaches a destroyed adapter. fetches_ belong to the
  // present stream.
  uint64_t next_call_ = 0;
  Calls commands_;
  Calls fetches_;
  std::unique_ptr<HttpCall> stream_;
};

// --- process

Status OpencodeAdapter::CheckModel() const {
  const std::string& model = host_.model();
  if (model.empty() || (model.find('/') != 0 && model.find('/') < model.size() - 1)) return {};
  return Error{"invalid_request",
               "model: " + std::string(flavour_.name) + " needs provider/model, not " + model};
}

Status OpencodeAdapter::Prepare(SpawnSpec& spawn) {
  if (Status model = CheckModel(); !model.ok()) return model;
  if (spawn.argv.empty()) spawn.argv.emplace_back(flavour_.name);
  for (const std::string& argument : spawn.argv) {
    for (std::string_view ours : {"--port", "--hostname"}) {
      if (argument.substr(0, ours.size()) == ours) {
        return Error{"invalid_request",
                     "command: " + argument + ": reeve chooses the address its servers listen on"};
      }
    }
  }
  if (std::find(spawn.argv.begin() + 1, spawn.argv.end(), "serve") == spawn.argv.end()) {
    spawn.argv.emplace_back("serve");
  }
  spawn.argv.insert(spawn.argv.end(), {"--hostname", "127.0.0.1", "--port", "0"});

  const std::string prefix = flavour_.prefix;
  for (const char* what : {"AUTOUPDATE", "MODELS_FETCH", "LSP_DOWNLOAD", "DEFAULT_PLUGINS"}) {
    spawn.SetEnv(prefix + "_DISABLE_" + what, "1", SpawnSpec::IfSet::kKeep);
  }
  spawn.SetEnv(prefix + "_SERVER_USERNAME", flavour_.name, SpawnSpec::IfSet::kReplace);
  spawn.SetEnv(prefix + "_SERVER_PASSWORD", password_, SpawnSpec::IfSet::kReplace);
  spawn.stdin_pipe = false;
  directory_ = spawn.cwd;
  return host_.spec().mcp ? AddOwnTools(spawn) : Status();
}

// Adds them to the configuration that the spec's environment may have.
Status OpencodeAdapter::AddOwnTools(SpawnSpec& spawn) const {
  const std::string variable = std::string(flavour_.prefix) + "_CONFIG_CONTENT";
  std::string given = "{}";
  for (const std::string& entry : spawn.env) {
    if (entry.starts_with(variable + "=")) given = entry.substr(variable.size() + 1);
  }
  const auto config = JsonDocument::Parse(given);
  if (!config || !config->root().Is(JsonType::kObject))
    return Error{"invalid_request", "env: " + variable + ": must be a JSON object, because mcp adds to it"};
  const OwnTools tools = OwnTools::For(spawn);
  JsonArray command;
  command.Add(tools.command).Add("mcp");
  JsonObject server;
  server.Set("type", "local").SetRaw("command", command.Take()).SetRaw("environment", tools.EnvJson());
  server.Set("enabled", true).Set("timeout", OwnTools::kTimeoutS * 1'000);
  const std::string servers = JsonObject().SetRaw(OwnTools::kName, server.Take()).Take();
  const auto ours = JsonDocument::Parse(JsonObject().SetRaw("mcp", servers).Take());
  spawn.SetEnv(variable, MergePatch(config->root(), ours->root()), SpawnSpec::IfSet::kReplace);
  return {};
}

void OpencodeAdapter::TakeLine(std::string_view line) {
  if (state_ == State::kLaunching) {
    port_ = PortIn(line);
    if (port_ != 0) return Probe();
  }
  lines_.EmitLine();
}

void OpencodeAdapter::OnExited() {
  state_ = State::kEnded;
  stream_.reset();
  fetches_.clear();
  commands_.clear();
  AnswerModels(Error{"not_running", std::string(flavour_.name) + " has exited"});
  for (Timer* timer : {&again_, &silence_, &settle_}) timer->Stop();
  lines_.Finish();
  events_.ServerGone();
}

// --- HTTP

HttpRequest OpencodeAdapter::Request(const char* method, const std::string& path) const {
  HttpRequest request;
  request.method = method;
  request.url = "http://127.0.0.1:" + std::to_string(port_) + path;
  // The server keeps events, states and approvals by directory, exactly as it is spelled here.
  if (!directory_.empty()) {
    request.url += path.find('?') == std::string::npos ? '?' : '&';
    request.url += "directory=" + PercentEncode(directory_);
  }
  request.headers = {{"Content-Type", "application/json"}};
  request.user = flavour_.name;
  request.password = password_;
  request.may_send = [this] { return host_.CheckListener(static_cast<uint16_t>(port_)); };
  return request;
}

void OpencodeAdapter::Call(Calls& calls, HttpRequest request, OnAnswer done) {
  const uint64_t id = next_call_++;
  calls[id] = host_.http().Send(std::move(request),
                                [&calls, id, done = std::move(done)](Result<HttpResponse> answer) {
                                  calls.erase(id);
                                  done(std::move(answer));
                                });
}

// Sends a person's command by POST, and records it in the transcript.
void OpencodeAdapter::Command(const std::string& path, std::string body, OnAnswer done) {
  HttpRequest request = Request("POST", path);
  request.timeout_ms = 60'000;  // the first prompt may wait for a snapshot of the folder
  request.body = std::move(body);
  host_.OnSent("POST " + path + (request.body.empty() ? "" : " " + request.body));
  Call(commands_, std::move(request), std::move(done));
}

void OpencodeAdapter::Probe() {
  state_ = State::kProbing;
  HttpRequest request = Request("GET", "/global/health");
  request.timeout_ms = timing_.probe_ms;
  Call(fetches_, std::move(request), [this](const Result<HttpResponse>& answer) {
    if (Good(answer)) return OpenStream();
    if (!answer && answer.error().code == "foreign_listener") {
      state_ = State::kEnded;
      host_.OnBroken({answer.error().code, std::string(flavour_.name) + ": " + answer.error().message});
      return Advance();
    }
    again_.Start(timing_.probe_again_ms);
  });
}

// --- the event stream

void OpencodeAdapter::OpenStream() {
  state_ = State::kOpening;
  opened_ms_ = 0;
  parser_ = std::make_unique<SseParser>();
  silence_.Start(timing_.open_ms);
  HttpRequest request = Request("GET", "/event");
  request.timeout_ms = 0;
  HttpClient::Stream stream;
  stream.on_head = [this](const HttpResponse& head) {
    if (head.status != 200) Broke("HTTP " + std::to_string(head.status));
  };
  stream.on_body = [this](std::string_view bytes) { OnStreamBytes(bytes); };
  stream.on_end = [this](const Status& how) {
    Broke(how.ok() ? "the server closed it" : how.error().message);
  };
  stream_ = host_.http().Open(std::move(request), std::move(stream));
  PauseStream();
}

// A stream that is not read cannot be known to be silent.
void OpencodeAdapter::PauseStream() {
  if (!stream_) return;
  const bool pause = paused_ || state_ == State::kAdopting || state_ == State::kCatchingUp;
  stream_->PauseReading(pause);
  if (pause) {
    silence_.Stop();
  } else if (!silence_.active()) {
    silence_.Start(state_ == State::kOpening ? timing_.open_ms : timing_.silence_ms);
  }
}

void OpencodeAdapter::PauseReading(bool paused) {
  paused_ = paused;
  PauseStream();
}

void OpencodeAdapter::OnStreamBytes(std::string_view bytes) {
  if (state_ != State::kOpening) silence_.Start(timing_.silence_ms);
  const bool fits = parser_->Feed(bytes, [this](const SseEvent& event) {
    if (!stream_ || event.data.empty()) return;  // an earlier event may have broken the stream
    if (event.data.find(R"("type":"server.heartbeat")") == std::string::npos) host_.OnReceived(event.data);
    TakeEvent(event.data);
  });
  if (!fits && stream_) Broke("an event larger than 16 MiB");
}

void OpencodeAdapter::TakeEvent(const std::string& data) {
  if (state_ == State::kAdopting || state_ == State::kCatchingUp) {
    held_.push_back(data);
    return;
  }
  auto event = JsonDocument::Parse(data);
  if (!event) return EmitOutput(host_, "events", data);
  if (state_ == State::kOpening) {
    if ((*event)["type"].StringOr("") != "server.connected") return;
    opened_ms_ = host_.loop().NowMs();
    silence_.Start(timing_.silence_ms);
    return events_.session().empty() ? Adopt() : BeginCatchUp();
  }
  events_.Take(event->root());
  Advance();
}

void OpencodeAdapter::Broke(const std::string& reason) {
  if (state_ == State::kEnded || state_ == State::kWaiting) return;
  stream_.reset();
  fetches_.clear();
  catch_up_.reset();
  held_.clear();
  silence_.Stop();
  events_.StreamBroke();
  unheard_ = events_.awaiting_turn() && !prompt_;
  state_ = State::kWaiting;
  if (stopping_) return Advance();
  if (opened_ms_ != 0 && host_.loop().NowMs() - opened_ms_ >= timing_.sound_ms) failures_ = 0;
  ++failures_;
  if (failures_ >= kMaxFailures) {
    state_ = State::kEnded;
    host_.OnBroken(
        {"stream_lost", std::string(flavour_.name) + ": the event stream keeps breaking: " + reason});
    return Advance();
  }
  const int64_t full = std::min(timing_.backoff_max_ms, timing_.backoff_min_ms << (failures_ - 1));
  const int64_t delay = full / 2 + full / 2 * static_cast<unsigned char>(RandomBytes(1)[0]) / 255;
  log::Info("agent {}: the event stream broke: {}; opening it again in {} ms", host_.spec().id, reason,
            delay);
  again_.Start(delay);
  Advance();
}

// --- the session

void OpencodeAdapter::Adopt() {
  state_ = State::kAdopting;
  PauseStream();
  if (resume_.empty()) return MakeSession();
  Call(fetches_, Request("GET", "/session/" + PercentEncode(resume_)),
       [this](const Result<HttpResponse>& answer) {
         if (Good(answer)) return FindHistory(answer->body);
         if (!answer.ok()) return Broke("resume session " + resume_ + ": " + WhyNot(answer));
         EmitError("session_lost",
                   "session " + resume_ + " cannot be resumed; a new session begins: " + WhyNot(answer));
         MakeSession();
       });
}

void OpencodeAdapter::MakeSession() {
  HttpRequest request = Request("POST", "/session");
  request.timeout_ms = 60'000;  // the first call for a folder loads its configuration and plugins
  JsonObject body;
  if (!host_.spec().title.empty()) body.Set("title", host_.spec().title);
  // Denied, because only a person at the program's own screen could answer these. The turn would wait for
  // ever.
  JsonArray denied;
  for (const char* what : {"suggest", "plan_enter", "plan_exit"}) {
    denied.AddRaw(JsonObject().Set("permission", what).Set("pattern", "*").Set("action", "deny").Take());
  }
  request.body = body.SetRaw("permission", denied.Take()).Take();
  Call(fetches_, std::move(request), [this](const Result<HttpResponse>& answer) {
    if (!Good(answer)) return Broke("make a session: " + WhyNot(answer));
    Adopted(answer->body, 0);
  });
}

// Finds the end of a resumed session's past, which is not reported again.
void OpencodeAdapter::FindHistory(const std::string& session_json) {
  HttpRequest request = Request("GET", "/session/" + PercentEncode(resume_) + "/message?limit=1");
  request.max_body_bytes = kMaxMessagesBytes;
  Call(fetches_, std::move(request), [this, session_json](const Result<HttpResponse>& answer) {
    if (!Good(answer)) return Broke("resume session " + resume_ + ": " + WhyNot(answer));
    auto messages = JsonDocument::Parse(answer->body);
    if (!messages) return Broke("resume session " + resume_ + ": " + messages.error().message);
    Adopted(session_json, messages->root().At(0)["info"]["time"]["created"].AsInt().value_or(0));
  });
}

void OpencodeAdapter::Adopted(const std::string& session_json, int64_t horizon_ms) {
  auto session = JsonDocument::Parse(session_json);
  if (!session || (*session)["id"].StringOr("").empty()) return Broke("the server's session has no id");
  events_.SetSession(session->root(), horizon_ms);
  host_.OnSession(events_.session());
  Live();
}

void OpencodeAdapter::BeginCatchUp() {
  state_ = State::kCatchingUp;
  PauseStream();
  catch_up_ = std::make_unique<OpencodeCatchUp>(
      events_, [this](const std::string& path, OpencodeCatchUp::Keep keep) { Ask(path, std::move(keep)); },
      [this] { FinishCatchUp(); });
  catch_up_->Begin();
}

void OpencodeAdapter::Ask(const std::string& path, OpencodeCatchUp::Keep keep) {
  HttpRequest request = Request("GET", path);
  request.max_body_bytes = kMaxMessagesBytes;
  Call(fetches_, std::move(request),
       [this, path, keep = std::move(keep)](const Result<HttpResponse>& answer) {
         if (!Good(answer)) return Broke("catch up by " + path + ": " + WhyNot(answer));
         auto json = JsonDocument::Parse(answer->body);
         if (!json) return Broke("catch up by " + path + ": " + json.error().message);
         keep(std::move(*json));
       });
}

void OpencodeAdapter::FinishCatchUp() {
  const auto got = std::move(catch_up_);
  events_.TakeSnapshot(got->snapshot());
  Live();
  events_.Reconcile(got->statuses());
  Advance();
}

// The stream is open, and we have missed nothing before it.
void OpencodeAdapter::Live() {
  state_ = State::kLive;
  PauseStream();
  const std::vector<std::string> held = std::exchange(held_, {});
  for (const std::string& data : held) TakeEvent(data);
  if (!std::exchange(ready_, true)) host_.OnReady();
  if (prompt_ && state_ == State::kLive) SendPrompt(*std::exchange(prompt_, std::nullopt));
  Advance();
}

// --- commands

Status OpencodeAdapter::Prompt(const std::string& text) {
  if (state_ == State::kEnded)
    return Error{"not_running", std::string(flavour_.name) + " takes no more prompts"};
  if (prompt_ || posting_)
    return Error{"busy", std::string(flavour_.name) + " has not accepted the last prompt yet"};
  if (Status model = CheckModel(); !model.ok()) return model;
  events_.PromptSent();
  doubtful_.reset();
  abort_wanted_ = false;  // it was meant for an earlier turn
  unheard_ = false;
  looks_ = 0;
  if (state_ == State::kLive) {
    SendPrompt(text);
  } else {
    prompt_ = text;  // we would miss a turn that begins now, so the prompt waits for the stream
  }
  return {};
}

// A prompt without a model gets that of the session's last prompt, so a chosen model is undone by naming the
// server's own.
void OpencodeAdapter::SendPrompt(const std::string& text) {
  posting_ = text;
  const bool undo = model_changed_ && host_.model().empty();
  model_changed_ = undo || !host_.model().empty();
  if (!undo) return PostPrompt(text, host_.model());
  FindOwnModel({}, [this, text] { PostPrompt(text, host_.model().empty() ? own_model_ : host_.model()); });
}

// `providers`: the answer to GET /config/providers, if it is known. `then` is called in any case.
void OpencodeAdapter::FindOwnModel(const std::optional<std::string>& providers,
                                   const std::function<void()>& then) {
  if (!own_model_.empty()) return then();
  Call(commands_, Request("GET", "/config"), [this, providers, then](const Result<HttpResponse>& answer) {
    auto config = JsonDocument::Parse(Good(answer) ? answer->body : "{}");
    if (config) own_model_ = (*config)["model"].StringOr("");
    if (own_model_.empty() && providers) own_model_ = DefaultModelIn(*providers);
    if (!own_model_.empty() || providers) return then();
    HttpRequest request = Request("GET", "/config/providers");
    request.max_body_bytes = kMaxModelsBytes;
    Call(commands_, std::move(request), [this, then](const Result<HttpResponse>& listed) {
      if (Good(listed)) own_model_ = DefaultModelIn(listed->body);
      then();
    });
  });
}

void OpencodeAdapter::PostPrompt(const std::string& text, const std::string& model) {
  JsonObject body;
  body.SetRaw("parts", JsonArray().AddRaw(JsonObject().Set("type", "text").Set("text", text).Take()).Take());
  if (const size_t slash = model.find('/'); slash != std::string::npos) {
    body.SetRaw("model", JsonObject()
                             .Set("providerID", model.substr(0, slash))
                             .Set("modelID", model.substr(slash + 1))
                             .Take());
  }
  if (!host_.spec().system_prompt.empty()) body.Set("system", host_.spec().system_prompt);
  if (flavour_.asks_about_snapshots) body.Set("snapshotInitialization", "wait");
  due_ = body.Take();
  host_.OnChanged();
}

// The prompt leaves only when the next daemon would know of it. Otherwise that would send it again.
void OpencodeAdapter::OnCommitted() {
  const auto body = std::exchange(due_, std::nullopt);
  if (!body) return;
  Command("/session/" + PercentEncode(events_.session()) + "/prompt_async", *body,
          [this](const Result<HttpResponse>& answer) {
            posting_.reset();
            if (!Good(answer)) {
              const char* code = answer.ok() ? "prompt_refused" : "prompt_failed";
              events_.PromptEnded(
                  {TurnEnd::Outcome::kFailed, {code, std::string(flavour_.name) + ": " + WhyNot(answer)}});
            }
            Advance();
          });
}

void OpencodeAdapter::Interrupt() {
  if (prompt_) {
    prompt_.reset();
    events_.PromptEnded({TurnEnd::Outcome::kCancelled, {}});
    return;
  }
  if (!events_.in_turn() && !events_.awaiting_turn()) return;
  events_.Interrupted();
  abort_wanted_ = true;
  Advance();
}

void OpencodeAdapter::SendAbort() {
  abort_wanted_ = false;
  ++aborting_;
  Command("/session/" + PercentEncode(events_.session()) + "/abort", "",
          [this](const Result<HttpResponse>& answer) {
            --aborting_;
            if (!Good(answer)) {
              EmitError("interrupt_failed", std::string(flavour_.name) + ": " + WhyNot(answer));
            }
            Advance();
          });
}

bool OpencodeAdapter::PrepareStop() {
  stopping_ = true;
  Interrupt();
  Advance();
  return false;
}

void OpencodeAdapter::Decide(const std::string& approval_id, const ApprovalAnswer& answer) {
  if (!events_.Answer(approval_id)) return;
  // Never answers "always", which would allow more than the one call that the person looked at.
  JsonObject body;
  body.Set("reply", answer.allow ? "once" : "reject");
  if (!answer.allow && !answer.reason.empty()) body.Set("message", answer.reason);
  Reply("approval " + approval_id, "/permission/" + PercentEncode(approval_id) + "/reply", body.Take());
}

void OpencodeAdapter::Answer(const std::string& elicitation_id, const ElicitationAnswer& answer) {
  const std::string reply = events_.ReplyTo(elicitation_id, answer.content);
  if (!events_.Answer(elicitation_id)) return;
  const bool accept = answer.action == ElicitationAnswer::Action::kAccept;
  const std::string path = "/question/" + PercentEncode(elicitation_id) + (accept ? "/reply" : "/reject");
  Reply("question " + elicitation_id, path, accept ? reply : "");
}

void OpencodeAdapter::Reply(const std::string& what, const std::string& path, const std::string& body) {
  replies_[path] = {what, body};
  Command(path, body, [this, what, path](const Result<HttpResponse>& answer) {
    replies_.erase(path);
    if (Good(answer) || (answer.ok() && answer->status == 404))
      return;  // 404: the server no longer waits for this answer
    EmitError("approval_failed", std::string(flavour_.name) + ": " + what + ": " + WhyNot(answer));
  });
}

void OpencodeAdapter::ListModels(std::function<void(Result<std::string>)> done) {
  if (port_ == 0 || state_ == State::kEnded) {
    return done(Error{"not_running", std::string(flavour_.name) + " is not running"});
  }
  models_wanted_.push_back(std::move(done));
  if (models_wanted_.size() > 1) return;
  HttpRequest request = Request("GET", "/config/providers");
  request.max_body_bytes = kMaxModelsBytes;
  Call(commands_, std::move(request), [this](const Result<HttpResponse>& answer) {
    if (!Good(answer)) {
      return AnswerModels(Error{"models_failed", std::string(flavour_.name) + ": " + WhyNot(answer)});
    }
    FindOwnModel(answer->body, [this, models = ModelsIn(answer->body)] { AnswerModels(models); });
  });
}

void OpencodeAdapter::AnswerModels(const Result<std::string>& models) {
  for (const auto& done : std::exchange(models_wanted_, {})) done(models);
}

void OpencodeAdapter::Settle() {
  if (events_.in_turn() || events_.wait() != OpencodeEvents::Wait::kNone) {
    events_.Settle();
  } else {
    if (++looks_ >= (doubtful_ && !events_.HasPrompt() ? kDoubtfulLooks : kLooks)) {
      NoTurn();
    } else {
      events_.StreamBroke();
      return BeginCatchUp();
    }
  }
  Advance();
}

// The server begins no turn for its prompt. If the end of the daemon cut the prompt off on its way, it is
// sent again.
void OpencodeAdapter::NoTurn() {
  const std::optional<std::string> doubtful = std::exchange(doubtful_, std::nullopt);
  if (!doubtful || events_.HasPrompt()) {
    events_.PromptEnded({TurnEnd::Outcome::kFailed,
                         {"no_turn", std::string(flavour_.name) + " took the prompt but began no turn"}});
  } else if (abort_wanted_) {
    events_.PromptEnded({TurnEnd::Outcome::kCancelled, {}});
  } else {
    looks_ = 0;
    unheard_ = false;
    SendPrompt(*doubtful);
  }
}

// How long to wait for the rest of a turn that seems to be over, for the call of an approval, or for a turn
// that should have begun; 0: nothing to wait for.
int64_t OpencodeAdapter::WaitMs() const {
  if (state_ != State::kLive) return 0;
  switch (events_.wait()) {
    case OpencodeEvents::Wait::kForClose:
      return timing_.close_ms;
    case OpencodeEvents::Wait::kForCall:
    case OpencodeEvents::Wait::kForRest:
      return timing_.rest_ms;
    case OpencodeEvents::Wait::kNone:
      break;
  }
  return unheard_ && !posting_ && !events_.in_turn() && events_.awaiting_turn() ? timing_.rest_ms : 0;
}

// Does whatever the present state allows.
void OpencodeAdapter::Advance() {
  host_.OnChanged();
  if (abort_wanted_ && !posting_) {
    // Between the acceptance of a prompt and its turn there is nothing to abort yet, so we wait for the
    // turn's first event.
    if (events_.in_turn()) SendAbort();
    if (!events_.in_turn() && !events_.awaiting_turn()) abort_wanted_ = false;
  }
  if (const int64_t wait_ms = WaitMs(); wait_ms == 0) {
    settle_.Stop();
  } else if (!settle_.active() || waiting_for_ != events_.wait()) {
    waiting_for_ = events_.wait();
    settle_.Start(wait_ms);
  }
  const bool deaf = state_ != State::kLive && state_ != State::kCatchingUp && aborting_ == 0;
  const bool quiet = !events_.in_turn() && !events_.awaiting_turn();
  if (stopping_ && (quiet || deaf) && !std::exchange(stop_told_, true)) host_.OnStopPrepared();
}

// --- an earlier daemon

// Works as after a break of the stream, except that we do not know whether the messages on their way have
// arrived. We may send an abort or a reply twice: the server ignores the second one.
void OpencodeAdapter::Resume() {
  if (state_ == State::kLaunching || state_ == State::kEnded) return;
  if (posting_) doubtful_ = std::exchange(posting_, std::nullopt);
  if (std::exchange(aborting_, 0) > 0) abort_wanted_ = true;
  for (const auto& [path, reply] : std::exchange(replies_, {})) Reply(reply.what, path, reply.body);
  if (state_ == State::kProbing) return Probe();
  events_.StreamBroke();
  unheard_ = events_.awaiting_turn() && !prompt_;
  state_ = State::kWaiting;
  if (!stop_told_) OpenStream();
  Advance();
}

void OpencodeAdapter::EmitError(const char* code, const std::string& message) {
  host_.Emit(event_type::kAgentError,
             JsonObject().Set("code", code).Set("message", message).Set("fatal", false).Take());
}

}  // namespace

std::unique_ptr<Adapter> MakeServerAdapter(AgentHost& host, const std::string& session,
                                           const OpencodeFlavour& flavour, const OpencodeTiming& timing) {
  return std::make_unique<OpencodeAdapter>(host, session, flavour, timing);
}
std::unique_ptr<Adapter> MakeOpencodeAdapter(AgentHost& host, const std::string& session) {
  return MakeServerAdapter(host, session, kOpencode, {});
}
std::unique_ptr<Adapter> MakeKiloAdapter(AgentHost& host, const std::string& session) {
  return MakeServerAdapter(host, session, kKilo, {});
}

}  // namespace reeve
