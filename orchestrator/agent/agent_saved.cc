// The saved state of an agent: its record in the store, which is enough to continue after a crash, and the
// whole state for a handover to a new binary (HANDOVER.md).
#include <utility>

#include "orchestrator/agent/agent_messages.h"
#include "orchestrator/handover/saved_state.h"
#include "orchestrator/json/json.h"
#include "orchestrator/log/transcript.h"

namespace reeve {

namespace {

constexpr const char* kWishes[] = {"alive", "stopped", "deleted", "purged"};

Error SavedNotUnderstood(const std::string& agent, const Error& error) {
  return {"handover_state", "agent " + agent + ": " + error.message};
}

Result<AgentSpec> ReadSpec(const JsonValue& saved) {
  auto json = JsonDocument::Parse(saved["spec"].StringOr(""));
  if (!json) return Error{"handover_state", "its spec: " + json.error().message};
  auto spec = AgentSpec::FromJson(json->root());
  if (!spec) return Error{"handover_state", "its spec: " + spec.error().message};
  return spec;
}

}  // namespace

// ------------------------------------------------------------------------------------ the store's record

void Agent::Record(auto& self, auto& state) {
  state("made_by", self.made_by_);
  state("created_ms", self.created_ms_);
  AgentProcess::Record(self.process_, state);
  Restarts::Record(self.restarts_, state);
  Mailbox::Record(self.mailbox_, state);
  Runs::Record(self.runs_, state);
  Approvals::Record(self.approvals_, state);
  AgentWorkspace::Record(self.workspace_, state);
  state("model", self.model_);
}

std::string Agent::StateJson() const {
  StateWriter state;
  state("wanted", wish_ == Wish::kAlive);
  state("purge", purge());
  state("alive", process_.alive() || journal_.dirty());
  Record(*this, state);
  if (!process_.alive()) Journal::Record(journal_, state);  // while the process lives, the log has the rest
  return state.Take();
}

// The wish must already be `deleted` if the record says so.
Status Agent::LoadState(const JsonValue& state) {
  if (deleted()) {
    if (state["purge"].AsBool().value_or(false)) wish_ = Wish::kPurged;
  } else {
    wish_ = state["wanted"].AsBool().value_or(false) ? Wish::kAlive : Wish::kStopped;
  }
  StateReader reader(state);
  Record(*this, reader);
  Journal::Record(journal_, reader);
  return reader.status();
}

void Agent::LoadSecrets() { deleted() ? ForgetSecrets() : secrets_.Load(); }

// A deleted agent never starts again.
void Agent::ForgetSecrets() {
  for (auto& [name, value] : spec_.env) value.clear();
  secrets_.Forget(process_.alive());
}

// ----------------------------------------------------------------------------------------------- handover

void Agent::Members(auto& self, auto& state) {
  state("made_by", self.made_by_);
  state("created_ms", self.created_ms_);
  state.Enum("wish", self.wish_, kWishes);
  state("replace", self.replace_);
  state("journal", self.journal_);
  state("process", self.process_);
  state("workspace", self.workspace_);
  state("runs", self.runs_);
  state("model", self.model_);
  state("open_content", self.open_content_);
  state("restarts", self.restarts_);
  state("mailbox", self.mailbox_);
  state("clocks", self.clocks_);
  state("approvals", self.approvals_);
  state("backoff", self.backoff_);
}

bool Agent::settled() const {
  return writer_.settled() && updates_.empty() && !mailbox_.claimed() &&
         mailbox_.count(Mailbox::Stage::kArriving) == 0;
}

std::string Agent::HandOver(std::vector<int>& keep) const {
  StateWriter state;
  state("id", id());
  state("spec", spec_.ToJson(AgentSpec::Secrets::kKeep));
  state("stored", writer_.stored_state() == StateJson());
  state("alive_on_disk", writer_.alive_on_disk());
  Members(*this, state);
  process_.SaveChild(state, keep);
  return state.Take();
}

Status Agent::TryAdopt(Loop& loop, HttpClient& http, const JsonValue& saved) {
  const std::string id(saved["id"].StringOr(""));
  auto spec = ReadSpec(saved);
  if (!spec) return SavedNotUnderstood(id, spec.error());
  const Kind* kind = FindKind(spec->kind);
  if (!kind) return SavedNotUnderstood(id, {"", "there is no kind " + spec->kind});
  Runs runs;
  Restarts restarts;
  Mailbox mailbox(true);
  StateReader state(saved);
  state("runs", runs);
  state("restarts", restarts);
  state("mailbox", mailbox);
  if (!state.status()) return SavedNotUnderstood(id, state.status().error());
  const bool lives = saved["process"]["phase"].StringOr("none") != "none";
  if (lives != static_cast<bool>(saved["child"]))
    return SavedNotUnderstood(id, {"", "process.phase: out of bounds"});
  if (!lives) return {};
  const std::string session(saved["process"]["session"].StringOr(""));
  Status tried = AgentProcess::TryAdopt(loop, http, *spec, *kind, session, saved);
  return tried ? tried : SavedNotUnderstood(id, tried.error());
}

Result<std::unique_ptr<Agent>> Agent::Adopt(AgentContext& context, const JsonValue& saved) {
  const std::string id(saved["id"].StringOr(""));
  auto spec = ReadSpec(saved);
  if (!spec) return SavedNotUnderstood(id, spec.error());
  if (!context.find_kind(spec->kind)) return SavedNotUnderstood(id, {"", "there is no kind " + spec->kind});
  std::unique_ptr<Agent> agent(new Agent(context, std::move(*spec)));
  StateReader state(saved);
  Members(*agent, state);
  if (!state.status()) return SavedNotUnderstood(id, state.status().error());
  const bool lives = static_cast<bool>(saved["child"]);
  if (lives != agent->process_.alive()) return SavedNotUnderstood(id, {"", "process.phase: out of bounds"});
  if (lives || agent->wish_ == Wish::kAlive || !agent->mailbox_.All().empty()) {
    if (auto opened = agent->journal_.Open(); !opened) return opened.error();
  }
  if (lives) {
    if (Status adopted = agent->process_.AdoptChild(saved); !adopted)
      return SavedNotUnderstood(id, adopted.error());
  }
  agent->LoadSecrets();
  agent->state_ = agent->Derive();
  const bool stored = saved["stored"].AsBool().value_or(false);
  agent->writer_.SetStored(stored ? agent->StateJson() : "", saved["alive_on_disk"].AsBool().value_or(false));
  return agent;
}

void Agent::Activate() {
  ApplyBackPressure();
  process_.Activate();
  messages_->TakeDue();
  approvals_.CheckDeadlines();
  Advance();
}

}  // namespace reeve
