#include "orchestrator/agent/agent_process.h"

#include <algorithm>
#include <utility>

#include "orchestrator/adapters/adapter.h"
#include "orchestrator/adapters/output_lines.h"
#include "orchestrator/agent/agent_context.h"
#include "orchestrator/handover/crash_page.h"
#include "orchestrator/handover/saved_state.h"
#include "orchestrator/json/json.h"
#include "orchestrator/log/event_data.h"
#include "orchestrator/log/transcript.h"
#include "process/clock.h"
#include "process/listener.h"
#include "process/log.h"
#include "process/process_parent.h"

namespace reeve {

namespace {

// The end of a process's output, kept to explain a failure.
constexpr size_t kLastWords = 4096;
constexpr size_t kLastLines = 10;

std::string LastLines(std::string_view text) {
  while (!text.empty() && text.back() == '\n') text.remove_suffix(1);
  text.remove_prefix(text.size() - std::min(text.size(), kLastWords));
  size_t begin = text.size();
  for (size_t line = 0; line < kLastLines && begin > 0 && begin != std::string_view::npos; ++line) {
    begin = text.rfind('\n', begin - 1);
  }
  return std::string(begin == std::string_view::npos || begin == 0 ? text : text.substr(begin + 1));
}

}  // namespace

AgentProcess::AgentProcess(AgentContext& context, const AgentSpec& spec, const Kind& kind, Owner& owner)
    : context_(context),
      spec_(spec),
      kind_(kind),
      owner_(owner),
      session_(spec.resume),
      queue_(context.parent, [this] { owner_.OnChanged(); }),
      ready_deadline_(context.loop,
                      [this] {
                        OnBroken({"not_ready", "the process was not ready within " +
                                                   std::to_string(spec_.readiness_timeout_ms) + " ms"});
                      }),
      stop_deadline_(context.loop,
                     [this] {
                       if (child_) child_->Stop(grace_ms_);
                     }),
      interrupt_deadline_(context.loop, [this] { owner_.OnInterruptIgnored(); }) {
  SetTranscript();
}

void AgentProcess::SetTranscript() {
  if (spec_.record == (transcript_ != nullptr)) return;
  if (!spec_.record) {
    transcript_->EndProcess();
    transcript_.reset();
    return;
  }
  std::vector<std::string> secrets;
  for (const auto& [name, value] : spec_.env) secrets.push_back(value);
  transcript_ =
      std::make_unique<Transcript>(context_.clock, context_.transcripts_dir + "/" + spec_.id, secrets);
}

AgentProcess::~AgentProcess() = default;

int AgentProcess::pid() const { return child_ ? child_->pid() : 0; }

Loop& AgentProcess::loop() { return context_.loop; }
HttpClient& AgentProcess::http() { return context_.http; }
const std::string& AgentProcess::model() const { return owner_.model(); }

// -------------------------------------------------------------------------------------------------- start

std::string AgentProcess::Marker() const { return "REEVE_TREE=" + context_.town_id + "/" + spec_.id; }

ChildContext AgentProcess::ForChild() {
  return {context_.loop, context_.parent, context_.cgroups, context_.parent.keeps() ? &queue_ : nullptr};
}

Child::Handlers AgentProcess::ChildHandlers() {
  return {[this](Child::Output from, std::string_view bytes) { OnOutput(from, bytes); },
          [this](const ExitStatus& exit) { OnChildDone(exit); }};
}

void AgentProcess::ForgetLast() {
  failure_.reset();
  exit_.reset();
  last_words_.clear();
  input_bytes_ = 0;
  started_ms_ = context_.clock.WallMs();
}

Status AgentProcess::Spawn() {
  ForgetLast();
  adapter_ = kind_.make(*this, session_);
  SpawnSpec spawn = owner_.BaseSpawn();
  spawn.env.push_back(Marker());
  Status status = adapter_->Prepare(spawn);
  if (status) {
    auto child = Child::Start(ForChild(), spawn, Marker(), ChildHandlers());
    if (child) child_ = std::move(*child);
    if (!child) status = child.error();
  }
  if (!status) {
    adapter_.reset();
    Fail(status.error());
    return status;
  }
  phase_ = Phase::kStarting;
  return {};
}

void AgentProcess::Begin() {
  ready_deadline_.Start(spec_.readiness_timeout_ms);
  adapter_->OnSpawned();
}

void AgentProcess::Fail(Error error, std::string output) { failure_ = {std::move(error), std::move(output)}; }

void AgentProcess::AddOutputToFailure() { failure_->output = LastLines(last_words_); }

void AgentProcess::SetEnd(const ExitStatus& exit, int64_t exited_ms) {
  exit_ = exit;
  exited_ms_ = exited_ms;
}

// ------------------------------------------------------------------------------------------------- ending

void AgentProcess::Stop(int64_t grace_ms) {
  if (!child_) return;
  grace_ms_ = grace_ms;
  if (stopping()) {
    child_->Stop(grace_ms_);
    return;
  }
  phase_ = Phase::kStopping;
  ready_deadline_.Stop();
  stop_deadline_.Start(std::min(grace_ms, kPoliteMs));
  if (adapter_->PrepareStop()) OnStopPrepared();
}

void AgentProcess::OnStopPrepared() {
  if (stop_deadline_.active()) stop_deadline_.Start(0);
}

void AgentProcess::OnBroken(Error error) {
  if (!running() || failure_) return;
  log::Warning("agent {}: {}: {}", spec_.id, error.code, error.message);
  Fail(error);
  owner_.OnBroken(std::move(error));
}

void AgentProcess::OnChildDone(const ExitStatus& exit) {
  adapter_->OnExited();
  if (transcript_) transcript_->EndProcess();
  for (Timer* timer : {&ready_deadline_, &stop_deadline_, &interrupt_deadline_}) timer->Stop();
  const std::string how =
      exit.signal != 0 ? "signal " + std::to_string(exit.signal) : "code " + std::to_string(exit.code);
  const End end{exit, phase_ == Phase::kStarting, stopping(), how};
  SetEnd(exit, context_.clock.WallMs());
  phase_ = Phase::kNone;
  adapter_.reset();
  child_.reset();
  owner_.OnExited(end);
}

Status AgentProcess::Prompt(const std::string& text) { return adapter_->Prompt(text); }

void AgentProcess::Steer(const std::string& id, const std::string& text) { adapter_->Steer(id, text); }

void AgentProcess::InterruptTurn() { adapter_->Interrupt(); }

void AgentProcess::ListModels(std::function<void(Result<std::string>)> done) {
  adapter_->ListModels(std::move(done));
}

std::string AgentProcess::OwnModel() const { return adapter_ ? adapter_->OwnModel() : ""; }

void AgentProcess::AwaitTurnEnd() {
  if (running() && !interrupt_deadline_.active()) interrupt_deadline_.Start(kInterruptMs);
}

void AgentProcess::Signal(int signum) {
  if (child_) child_->Signal(signum);
}

// --------------------------------------------------------------------------------------------- forwarding

void AgentProcess::OnOutput(Child::Output from, std::string_view bytes) {
  if (transcript_) transcript_->Received(from, bytes);
  last_words_.append(bytes.substr(bytes.size() - std::min(bytes.size(), kLastWords)));
  if (last_words_.size() > 2 * kLastWords) last_words_.erase(0, last_words_.size() - kLastWords);
  owner_.OnReceived();
  if (context_.crash_page) context_.crash_page->Handling(spec_.id);
  adapter_->OnOutput(from, bytes);
  if (context_.crash_page) context_.crash_page->Done();
  handled_output_ = true;
}

void AgentProcess::OnReady() {
  if (phase_ != Phase::kStarting) return;
  phase_ = Phase::kReady;
  ready_ms_ = context_.clock.WallMs();
  ready_deadline_.Stop();
  owner_.OnReady();
}

void AgentProcess::OnSession(std::string id) {
  session_ = std::move(id);
  owner_.OnSession(session_);
}

void AgentProcess::OnChanged() {
  adapter_changed_ = true;
  owner_.OnChanged();
}

void AgentProcess::Publish() {
  queue_.Publish();
  if (std::exchange(adapter_changed_, false) && adapter_) adapter_->OnCommitted();
}

void AgentProcess::OnReceived(std::string_view text) {
  owner_.OnReceived();
  if (transcript_) transcript_->ReceivedMessage(text);
}

void AgentProcess::OnSent(std::string_view text) {
  if (transcript_) transcript_->Sent(text);
}

void AgentProcess::Hide(const std::string& secret) {
  if (transcript_) transcript_->AddSecret(secret);
}

Status AgentProcess::WriteStdin(std::string_view bytes) {
  if (!child_) return Error{"not_running", "agent " + spec_.id + " has no process"};
  Status written = child_->WriteStdin(bytes);
  if (written && transcript_) transcript_->Sent(bytes);
  return written;
}

void AgentProcess::CloseStdin() {
  if (child_) child_->CloseStdin();
}

Result<uint64_t> AgentProcess::WriteInput(std::optional<uint64_t> offset, std::string_view bytes,
                                          bool close) {
  if (!ready()) return Error{"not_running", "agent " + spec_.id + " has no process that takes input"};
  if (offset.value_or(input_bytes_) > input_bytes_) {
    return Error{"conflict",
                 "offset: this process has been given " + std::to_string(input_bytes_) + " bytes"};
  }
  bytes.remove_prefix(std::min<uint64_t>(input_bytes_ - offset.value_or(input_bytes_), bytes.size()));
  if (!bytes.empty()) {
    if (Status written = WriteStdin(bytes); !written) return written.error();
    input_bytes_ += bytes.size();
  }
  if (close) CloseStdin();
  return input_bytes_;
}

// Children that the adapter started have trees of their own; their processes carry the agent's marker too.
std::vector<ProcessId> AgentProcess::Tree() const {
  if (!child_) return {};
  std::vector<ProcessId> tree = child_->Tree();
  if (helpers_ == 0) return tree;
  for (const ProcessId& marked : AllWithMarker(Marker())) {
    if (std::find(tree.begin(), tree.end(), marked) == tree.end()) tree.push_back(marked);
  }
  return tree;
}

Status AgentProcess::CheckListener(uint16_t port) {
  if (child_ && OnlyTheseListen(port, child_->Tree())) return {};
  return Error{"foreign_listener", "no process of agent " + spec_.id + " listens on port " +
                                       std::to_string(port) + ", or not it alone; nothing was sent there"};
}

// A kind without turns passes on what its program wrote, and has checked it as it read it.
void AgentProcess::Emit(std::string_view type, std::string_view data) {
  if (!kind_.can.turns || HasItsShape(type, data)) return owner_.Emit(type, data);
  log::Debug("agent {}: {} has members of wrong types", spec_.id, type);
  EmitJsonOutput(*this, "stdout", data);
}

void AgentProcess::PauseReading(bool paused) {
  if (child_) child_->PauseReading(paused);
  if (adapter_) adapter_->PauseReading(paused);
}

void AgentProcess::Decide(const std::string& id, const ApprovalAnswer& answer) {
  if (adapter_) adapter_->Decide(id, answer);
}

void AgentProcess::Answer(const std::string& id, const ElicitationAnswer& answer) {
  if (adapter_) adapter_->Answer(id, answer);
}

// The helper is found by the agent's own marker when the agent's tree is killed. Its second marker allows
// killing it alone.
Result<std::unique_ptr<Child>> AgentProcess::SpawnHelper(SpawnSpec spawn, Child::Handlers handlers) {
  if (!running()) return Error{"not_running", "agent " + spec_.id + " is not running"};
  SpawnSpec base = owner_.BaseSpawn();
  base.env.push_back(Marker());
  for (const std::string& entry : base.env) {
    const size_t equals = entry.find('=');
    spawn.SetEnv(entry.substr(0, equals), entry.substr(equals + 1), SpawnSpec::IfSet::kKeep);
  }
  const std::string marker =
      "REEVE_BESIDE=" + context_.town_id + "/" + spec_.id + "/" + std::to_string(++helpers_);
  spawn.env.push_back(marker);
  return Child::Start(ForChild(), std::move(spawn), marker, std::move(handlers));
}

Result<std::unique_ptr<Child>> AgentProcess::AdoptHelper(ChildState state, Child::Handlers handlers) {
  return Child::Adopt(ForChild(), std::move(state), std::move(handlers));
}

}  // namespace reeve
