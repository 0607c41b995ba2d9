// An agent as one line of JSON, for a handover to a new binary (HANDOVER.md), and back. What it keeps in the
// store is in there too: a record is written when something has changed, the line tells what is now.
//
// JSON that is not ours (what an adapter says, a tool's input) stands in strings: however deep it is, the
// line can be read.
#include <utility>

#include "orchestrator/agent/agent.h"
#include "orchestrator/handover/saved_state.h"
#include "process/log.h"
#include "process/loop.h"

namespace reeve {

namespace {

Error NotUnderstood(const std::string& agent, const std::string& reason) {
  return {"handover_state", "agent " + agent + ": " + reason};
}

std::string Text(const JsonValue& json) { return std::string(json.StringOr("")); }
bool Flag(const JsonValue& json) { return json.AsBool().value_or(false); }
int64_t Number(const JsonValue& json, int64_t otherwise = 0) { return json.AsInt().value_or(otherwise); }

std::string MessageJson(const Message& message) {
  return JsonObject().Set("id", message.id).Set("body", message.ToJson()).Take();
}

std::optional<Message> MessageFromJson(const JsonValue& json) {
  return Message::FromJson(Text(json["id"]), Text(json["body"]));
}

std::optional<Run> RunFromText(const JsonValue& text) {
  auto json = JsonDocument::Parse(text.StringOr(""));
  return json ? Run::FromJson(json->root()) : std::nullopt;
}

std::string PendingJson(const PendingApproval& pending) {
  const ApprovalRequest& request = pending.request;
  return JsonObject()
      .Set("id", request.id)
      .Set("tool", request.tool)
      .Set("input", request.input)
      .Set("call_id", request.call_id)
      .Set("elicitation", request.elicitation)
      .Set("message", request.message)
      .Set("schema", request.schema)
      .Set("run", pending.run)
      .Set("requested_at_ms", pending.requested_at_ms)
      .Set("deadline_ms", pending.deadline_ms)
      .Take();
}

PendingApproval PendingFromJson(const JsonValue& json) {
  return {{Text(json["id"]), Text(json["tool"]), Text(json["input"]), Text(json["call_id"]),
           Flag(json["elicitation"]), Text(json["message"]), Text(json["schema"])},
          Text(json["run"]),
          Number(json["requested_at_ms"]),
          Number(json["deadline_ms"])};
}

// What an adapter talks to where nothing may happen: in a trial.
class NoHost final : public AgentHost {
 public:
  NoHost(Loop& loop, HttpClient& http, const AgentSpec& spec) : loop_(loop), http_(http), spec_(spec) {}
  Loop& loop() override { return loop_; }
  HttpClient& http() override { return http_; }
  [[nodiscard]] const AgentSpec& spec() const override { return spec_; }
  [[nodiscard]] const std::string& model() const override { return spec_.model; }
  void Emit(std::string_view, std::string_view) override {}
  void OnReady() override {}
  void OnTurnStarted() override {}
  void OnTurnEnded(const TurnEnd&) override {}
  void OnApproval(ApprovalRequest) override {}
  void OnApprovalGone(const std::string&) override {}
  void OnSteered(const std::string&, const Status&) override {}
  void OnSession(std::string) override {}
  void OnBroken(Error) override {}
  void OnHeard(std::string_view) override {}
  void OnTold(std::string_view) override {}
  void OnStopPrepared() override {}
  Result<std::unique_ptr<Child>> SpawnBeside(SpawnSpec, Child::Handlers) override { return Refusal(); }
  Result<std::unique_ptr<Child>> AdoptBeside(ChildState, Child::Handlers) override { return Refusal(); }
  Status WriteStdin(std::string_view) override { return Refusal(); }
  void CloseStdin() override {}
  void Signal(int) override {}

 private:
  static Error Refusal() { return {"not_running", "this is a trial"}; }
  Loop& loop_;
  HttpClient& http_;
  const AgentSpec& spec_;
};

constexpr const char* kCancels[] = {"no", "person", "message", "limit"};  // by Agent::Cancel

struct SavedSpec {
  AgentSpec spec;
  const Kind* kind;
};

Result<SavedSpec> ReadSpec(const JsonValue& saved, decltype(AgentContext::find_kind) find_kind) {
  const std::string id = Text(saved["id"]);
  auto json = JsonDocument::Parse(saved["spec"].StringOr(""));
  if (!json) return NotUnderstood(id, "its spec: " + json.error().message);
  auto spec = AgentSpec::FromJson(json->root());
  if (!spec) return NotUnderstood(id, "its spec: " + spec.error().message);
  const Kind* kind = find_kind(spec->kind);
  if (!kind) return NotUnderstood(id, "there is no kind " + spec->kind);
  return SavedSpec{std::move(*spec), kind};
}

Status RestoreAdapter(Adapter& adapter, const std::string& agent, const JsonValue& saved) {
  auto json = JsonDocument::Parse(saved.StringOr(""));
  if (!json) return NotUnderstood(agent, "its adapter: " + json.error().message);
  if (Status restored = adapter.Restore(json->root()); !restored) {
    return NotUnderstood(agent, "its adapter: " + restored.error().message);
  }
  return {};
}

}  // namespace

std::string Agent::HandOver(std::vector<int>& keep) const {
  JsonObject json;
  json.Set("id", id()).Set("spec", spec_.ToJson(AgentSpec::Secrets::kKeep)).Set("deleted", deleted_);
  const std::string state = StateJson();
  json.Set("state", state).Set("stored", state == saved_state_).Set("saved", saved_);
  json.Set("ready", ready_).Set("stopping", stopping_).Set("restart", restart_).Set("grace_ms", grace_ms_);
  json.Set("cursor", (log_ ? log_->committed() : last_cursor_).ToString());
  json.Set("ready_ms", ready_ms_).Set("last_event_ms", last_event_ms_);
  json.Set("last_words", Base64(last_words_)).Set("failure_output", Base64(failure_output_));
  SaveRuns(json);
  SaveMessages(json);
  SaveApprovals(json);
  JsonArray restart_times;
  for (int64_t at : restart_times_) restart_times.AddRaw(std::to_string(at));
  json.SetRaw("restart_times", restart_times.Take()).Set("backoff_step", backoff_step_);
  json.Set("spawned_beside", spawned_beside_).Set("unsaved_work", work_ != Work::kNone);
  // On the monotonic clock, which goes on. The other timers follow from the rest.
  json.SetRaw("due", JsonObject()
                         .Set("ready", ready_deadline_.due_ms())
                         .Set("stop", stop_deadline_.due_ms())
                         .Set("backoff", backoff_.due_ms())
                         .Set("interrupt", interrupt_deadline_.due_ms())
                         .Take());
  json.SetRaw("clocks", SaveState(clocks_));
  if (transcript_) json.SetRaw("transcript", SaveState(*transcript_));
  if (child_) json.SetRaw("child", SaveState(child_->Save(keep))).Set("adapter", adapter_->Save(keep));
  return json.Take();
}

void Agent::SaveRuns(JsonObject& json) const {
  if (run_) json.Set("run", run_->ToJson()).Set("cancel", kCancels[static_cast<int>(cancel_)]);
  if (cancel_ == Cancel::kLimit) {
    json.SetRaw("limit_error",
                JsonObject().Set("code", limit_error_.code).Set("message", limit_error_.message).Take());
  }
  JsonArray runs;
  for (const Run& run : runs_) runs.Add(run.ToJson());
  json.SetRaw("runs", runs.Take()).Set("partial_after", partial_after_);
}

void Agent::SaveMessages(JsonObject& json) const {
  JsonArray waiting;
  for (const Message& message : inbox_.waiting()) waiting.AddRaw(MessageJson(message));
  JsonArray scheduled;
  const std::vector<const Message*> all = inbox_.All();
  for (size_t i = inbox_.size(); i < all.size(); ++i) scheduled.AddRaw(MessageJson(*all[i]));
  json.SetRaw("waiting", waiting.Take()).SetRaw("scheduled", scheduled.Take());
  JsonArray steering;
  for (const auto& [id, message] : steering_) steering.AddRaw(MessageJson(message));
  json.SetRaw("steering", steering.Take());
}

void Agent::SaveApprovals(JsonObject& json) const {
  JsonArray pending;
  for (const PendingApproval& one : approvals_.pending()) pending.AddRaw(PendingJson(one));
  JsonArray resolved;
  for (const ResolvedApproval& one : approvals_.resolved()) {
    resolved.AddRaw(JsonObject().Set("id", one.id).Set("decision", one.decision).Set("by", one.by).Take());
  }
  json.SetRaw("pending", pending.Take()).SetRaw("resolved", resolved.Take());
}

Status Agent::TryAdopt(Loop& loop, HttpClient& http, const JsonValue& saved) {
  auto read = ReadSpec(saved, FindKind);
  if (!read) return read.error();
  auto state = JsonDocument::Parse(saved["state"].StringOr(""));
  if (!state) return NotUnderstood(read->spec.id, "its state: " + state.error().message);
  if (!saved["child"]) return {};
  ChildState child;
  if (Status restored = RestoreState(saved["child"], child); !restored) {
    return NotUnderstood(read->spec.id, "child." + restored.error().message);
  }
  NoHost host(loop, http, read->spec);
  auto adapter = read->kind->make(host, Text((*state)["session"]));
  return RestoreAdapter(*adapter, read->spec.id, saved["adapter"]);
}

void Agent::Release() {
  if (child_) child_->Release();
}

Result<std::unique_ptr<Agent>> Agent::Adopt(AgentContext& context, const JsonValue& saved) {
  auto read = ReadSpec(saved, context.find_kind);
  if (!read) return read.error();
  auto state = JsonDocument::Parse(saved["state"].StringOr(""));
  if (!state) return NotUnderstood(read->spec.id, "its state: " + state.error().message);
  std::unique_ptr<Agent> agent(new Agent(context, std::move(read->spec)));
  agent->deleted_ = Flag(saved["deleted"]);
  agent->LoadState(state->root());
  agent->AdoptState(saved);
  Status restored = saved["clocks"] ? RestoreState(saved["clocks"], agent->clocks_) : Status();
  if (restored && agent->transcript_ && saved["transcript"]) {
    restored = RestoreState(saved["transcript"], *agent->transcript_);
  }
  if (!restored) return NotUnderstood(agent->id(), restored.error().message);
  const bool busy = saved["child"] || agent->wanted_ || !agent->inbox_.All().empty();
  if (busy) {
    if (auto opened = agent->OpenLog(); !opened) return opened.error();
  }
  if (saved["child"]) {
    if (Status adopted = agent->AdoptProcess(saved); !adopted) return adopted.error();
  }
  agent->LoadSecrets();
  agent->state_ = agent->Derive();
  if (Flag(saved["stored"])) agent->saved_state_ = agent->StateJson();
  return agent;
}

// Everything but the process.
void Agent::AdoptState(const JsonValue& saved) {
  saved_ = Flag(saved["saved"]);
  ready_ = Flag(saved["ready"]);
  stopping_ = Flag(saved["stopping"]);
  restart_ = Flag(saved["restart"]);
  grace_ms_ = Number(saved["grace_ms"]);
  last_cursor_ = Cursor::Parse(Text(saved["cursor"])).value_or(last_cursor_);
  ready_ms_ = Number(saved["ready_ms"]);
  last_event_ms_ = Number(saved["last_event_ms"]);
  last_words_ = FromBase64(saved["last_words"].StringOr("")).value_or("");
  failure_output_ = FromBase64(saved["failure_output"].StringOr("")).value_or("");
  run_ = RunFromText(saved["run"]);
  for (int i = 0; i < 4; ++i) {
    if (saved["cancel"].StringOr("no") == kCancels[i]) cancel_ = static_cast<enum Cancel>(i);
  }
  limit_error_ = {Text(saved["limit_error"]["code"]), Text(saved["limit_error"]["message"])};
  if (saved["runs"]) runs_.clear();  // the state's last one is among them
  for (const JsonValue& text : saved["runs"].Elements()) {
    if (auto run = RunFromText(text)) runs_.push_back(std::move(*run));
  }
  partial_after_ = static_cast<uint64_t>(Number(saved["partial_after"]));
  std::deque<Message> waiting;
  for (const JsonValue& json : saved["waiting"].Elements()) {
    if (auto message = MessageFromJson(json)) waiting.push_back(std::move(*message));
  }
  inbox_.Restore(std::move(waiting));
  for (const JsonValue& json : saved["scheduled"].Elements()) {
    if (auto message = MessageFromJson(json)) inbox_.Schedule(std::move(*message));
  }
  for (const JsonValue& json : saved["steering"].Elements()) {
    if (auto message = MessageFromJson(json)) steering_.emplace(message->id, *message);
  }
  for (const JsonValue& json : saved["pending"].Elements()) approvals_.Add(PendingFromJson(json));
  for (const JsonValue& json : saved["resolved"].Elements()) {
    approvals_.Remember({Text(json["id"]), Text(json["decision"]), Text(json["by"])});
  }
  for (const JsonValue& at : saved["restart_times"].Elements()) restart_times_.push_back(Number(at));
  backoff_step_ = static_cast<int>(Number(saved["backoff_step"]));
  spawned_beside_ = static_cast<uint64_t>(Number(saved["spawned_beside"]));
  if (Flag(saved["unsaved_work"])) work_ = Work::kUnsaved;
  auto start = [this, due = saved["due"]](Timer& timer, const char* name) {
    if (auto at = due[name].AsInt()) timer.Start(*at - context_.loop.NowMs());
  };
  start(ready_deadline_, "ready");
  start(stop_deadline_, "stop");
  start(backoff_, "backoff");
  start(interrupt_deadline_, "interrupt");
}

Status Agent::AdoptProcess(const JsonValue& saved) {
  ChildState state;
  if (Status restored = RestoreState(saved["child"], state); !restored) {
    return NotUnderstood(id(), "child." + restored.error().message);
  }
  auto child = Child::Adopt({context_.loop, context_.reaper, context_.cgroups}, std::move(state),
                            {[this](Child::Output from, std::string_view bytes) { OnOutput(from, bytes); },
                             [this](const ExitStatus& exit) { OnChildDone(exit); }});
  if (!child) return child.error();
  child_ = std::move(*child);
  adapter_ = kind_->make(*this, session_);
  return RestoreAdapter(*adapter_, id(), saved["adapter"]);
}

void Agent::Resume() {
  if (child_) child_->PauseReading(!log_->writable());
  if (adapter_) adapter_->Resume();
  TakeDueMessages();
  WatchDeadlines();  // and what follows from all of it
}

}  // namespace reeve
