// The saved state of an agent: its record in the store, which is enough to continue after a crash, and the
// whole state for a checkpoint (KEEPER.md).
#include <utility>

#include "orchestrator/agent/agent_messages.h"
#include "orchestrator/agent/agent_recovery.h"
#include "orchestrator/handover/saved_state.h"
#include "orchestrator/json/json.h"
#include "orchestrator/log/transcript.h"
#include "process/clock.h"
#include "process/log.h"

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

// The two parts are JSON objects. They and the last words become one object.
std::string Joined(std::string settled, std::string_view flowing, const std::string& last_words) {
  StateWriter words;
  words.Bytes("last_words", last_words);
  settled.back() = ',';
  (settled += flowing.substr(1)).back() = ',';
  return settled += words.Take().substr(1);
}

}  // namespace

// ------------------------------------------------------------------------------------ the store's record

void Agent::Record(auto& self, auto& state) {
  state("made_by", self.made_by_);
  state("connection", self.connection_);
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

// --------------------------------------------------------------------------------------------- checkpoint

void Agent::Settled(auto& self, auto& state) {
  state("made_by", self.made_by_);
  state("connection", self.connection_);
  state("created_ms", self.created_ms_);
  state.Enum("wish", self.wish_, kWishes);
  state("replace", self.replace_);
  state("workspace", self.workspace_);
  state("runs", self.runs_);
  state("model", self.model_);
  state("restarts", self.restarts_);
  state("mailbox", self.mailbox_);
  state("approvals", self.approvals_);
  state("backoff", self.backoff_);
}

void Agent::Flowing(auto& self, auto& state) {
  state("journal", self.journal_);
  state("process", self.process_);
  state("open_content", self.open_content_);
  state("clocks", self.clocks_);
}

bool Agent::settled() const {
  return writer_.settled() && updates_.empty() && !mailbox_.claimed() &&
         mailbox_.count(Mailbox::Stage::kArriving) == 0;
}

std::string Agent::SettledText() const {
  StateWriter state;
  state("id", id());
  state("spec", spec_.ToJson(AgentSpec::Secrets::kKeep));
  state("alive_on_disk", writer_.alive_on_disk());
  Settled(*this, state);
  return state.Take();
}

std::string Agent::FlowingText() const {
  StateWriter state;
  Flowing(*this, state);
  process_.SaveChild(state);
  return state.Take();
}

std::string Agent::HandOver() const {
  return Joined(SettledText(), FlowingText(), std::string(process_.last_words()));
}

Result<std::string> Agent::HandOverOf(const Checkpoint& checkpoint) {
  std::string last_words;
  auto settled = checkpoint.Read(0);
  auto flowing = checkpoint.Read(1, &last_words);
  if (!settled || !flowing) return settled ? flowing : settled;
  if (!settled->starts_with('{') || !flowing->starts_with('{'))
    return Error{"handover_state", "a checkpoint is damaged"};
  return Joined(std::move(*settled), *flowing, last_words);
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

Result<std::unique_ptr<Agent>> Agent::Adopt(AgentContext& context, const JsonValue& saved,
                                            std::optional<Checkpoint> checkpoint) {
  const std::string id(saved["id"].StringOr(""));
  auto spec = ReadSpec(saved);
  if (!spec) return SavedNotUnderstood(id, spec.error());
  if (!context.find_kind(spec->kind)) return SavedNotUnderstood(id, {"", "there is no kind " + spec->kind});
  std::unique_ptr<Agent> agent(new Agent(context, std::move(*spec)));
  agent->checkpoint_ = std::move(checkpoint);
  StateReader state(saved);
  Settled(*agent, state);
  Flowing(*agent, state);
  std::string last_words;
  state.Bytes("last_words", last_words);
  agent->process_.SetLastWords(std::move(last_words));
  if (!state.status()) return SavedNotUnderstood(id, state.status().error());
  const bool lives = static_cast<bool>(saved["child"]);
  if (lives != agent->process_.alive()) return SavedNotUnderstood(id, {"", "process.phase: out of bounds"});
  if (lives || agent->wish_ == Wish::kAlive || !agent->mailbox_.All().empty()) {
    if (auto opened = agent->journal_.Open(); !opened) return opened.error();
  }
  agent->TakeOpenContentAgain();
  if (lives) {
    if (Status adopted = agent->process_.AdoptChild(saved); !adopted)
      return SavedNotUnderstood(id, adopted.error());
  }
  agent->LoadSecrets();
  agent->state_ = agent->Derive();
  // The store may be ahead of the checkpoint by something that nobody was told of: the record is written
  // anew.
  agent->writer_.SetStored("", saved["alive_on_disk"].AsBool().value_or(false));
  return agent;
}

void Agent::TakeOpenContentAgain() {
  const uint64_t since = open_content_.since();
  const EventLog* log = journal_.log();
  if (since == 0 || !log) return;
  auto from = log->PositionAfter(since - 1);
  const uint64_t end = log->end_position();
  if (from && end - *from > OpenContent::kMostAgain) from = log->FrameEnd(end - OpenContent::kMostAgain);
  auto scanned =
      from ? log->Scan(*from,
                       [this](const FrameView& frame, std::string_view) {
                         auto event = JsonDocument::Parse(frame.envelope);
                         if (!event) return true;
                         const int64_t time_ms =
                             ParseTime(std::string((*event)["time"].StringOr(""))).value_or(0);
                         open_content_.Take(frame.type, (*event)["data"].Raw(), frame.id.seq, time_ms);
                         return true;
                       })
           : from;
  if (!scanned) log::Warning("agent {}: its open content is not known: {}", id(), scanned.error().message);
}

void Agent::Activate(const std::vector<MessageRecord>& messages) {
  Recovery(*this).FollowStore(messages);
  ApplyBackPressure();
  process_.Activate();
  messages_->TakeDue();
  approvals_.CheckDeadlines();
  Advance();
}

}  // namespace reeve
