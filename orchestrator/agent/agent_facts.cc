#include "orchestrator/agent/agent_facts.h"

#include <cstdlib>
#include <optional>
#include <utility>

#include "orchestrator/agent/agent_messages.h"
#include "orchestrator/json/json.h"
#include "orchestrator/log/event_types.h"
#include "process/clock.h"
#include "process/log.h"
#include "process/loop.h"
#include "process/spawn.h"

namespace reeve {

namespace {

// The variables that a child inherits from the daemon's environment. All others come from the spec.
constexpr const char* kInherited[] = {
    "PATH",     "HOME", "USER",   "LOGNAME", "SHELL",           "LANG",          "LC_ALL",
    "LC_CTYPE", "TZ",   "TMPDIR", "TERM",    "XDG_RUNTIME_DIR", "SSL_CERT_FILE", "SSL_CERT_DIR"};

bool IsClean(const ExitStatus& exit) { return exit.signal == 0 && exit.code == 0; }

std::optional<int> CodeOf(const ExitStatus& exit) {
  return exit.signal == 0 ? std::optional<int>(exit.code) : std::nullopt;
}

}  // namespace

SpawnSpec Agent::Facts::BaseSpawn() const {
  SpawnSpec spawn;
  spawn.argv = agent_.spec_.command;
  spawn.cwd = agent_.workspace_.Folder();
  spawn.no_new_privs = !agent_.spec_.allow_setuid;
  for (const char* name : kInherited) {
    if (const char* value = std::getenv(name); value && agent_.spec_.env.count(name) == 0) {
      spawn.env.push_back(std::string(name).append("=").append(value));
    }
  }
  for (const auto& [name, value] : agent_.spec_.env) {
    spawn.env.push_back(std::string(name).append("=").append(value));
  }
  spawn.env.push_back("REEVE_AGENT_ID=" + agent_.id());
  spawn.env.push_back("REEVE_TOWN_ID=" + agent_.context_.town_id);
  agent_.secrets_.AddEnvironment(spawn);
  return spawn;
}

// --------------------------------------------------------------------------------- the process's reports

void Agent::Facts::Emit(std::string_view type, std::string_view data) {
  agent_.journal_.AppendContent(type, data);
  agent_.Touch();
  agent_.open_content_.Take(type, data, agent_.journal_.next_seq() - 1, agent_.context_.clock.WallMs());
  if (type == event_type::kUsageUpdated && agent_.runs_.open()) OnUsage(data);
  if (type != event_type::kAgentOutput && type != event_type::kAgentError) agent_.clocks_.Progressed();
  if (type.starts_with("assistant.") || type.starts_with("reasoning.") || type.starts_with("tool."))
    if (agent_.model_.OnContent()) agent_.TouchAll();
  if (agent_.journal_.blocked()) agent_.ApplyBackPressure();
}

void Agent::Facts::OnInterruptIgnored() {
  agent_.ReplaceProcess("interrupt_ignored", "the run did not end after an interrupt");
}

void Agent::Facts::OnSteered(const std::string& message_id, const Status& taken) {
  agent_.messages_->OnSteered(message_id, taken);
}

void Agent::Facts::OnReady() {
  agent_.journal_.Append(event_type::kAgentReady,
                         JsonObject().Set("pid", int64_t{agent_.process_.pid()}).Take());
  agent_.Advance();
}

void Agent::Facts::OnTurnStarted() {
  if (!agent_.runs_.open()) agent_.BeginRun();
  agent_.Advance();
}

void Agent::Facts::OnTurnEnded(const TurnEnd& end) {
  if (!agent_.runs_.open()) return;
  switch (end.outcome) {
    case TurnEnd::Outcome::kCompleted:
      agent_.EndRun({RunEnding::How::kCompleted});
      break;
    case TurnEnd::Outcome::kCancelled:
      agent_.EndRun({RunEnding::How::kCancelled});
      break;
    case TurnEnd::Outcome::kFailed:
      agent_.EndRun({RunEnding::How::kFailed, end.error});
      break;
  }
  agent_.Advance();
}

void Agent::Facts::OnApproval(ApprovalRequest request) {
  agent_.approvals_.Ask(std::move(request), agent_.runs_.open() ? agent_.runs_.open()->id : "",
                        agent_.workspace_.Folder(), agent_.process_.session());
  agent_.Advance();
}

void Agent::Facts::OnApprovalGone(const std::string& approval_id) {
  agent_.approvals_.Retract(approval_id);
  agent_.Advance();
}

void Agent::Facts::OnSession(std::string session) {
  // The process that should have continued the session ends, so the next process begins a new one.
  if (session.empty() && agent_.process_.phase() == AgentProcess::Phase::kStarting &&
      agent_.wish_ == Wish::kAlive) {
    agent_.replace_ = true;
  }
  agent_.Advance();
}

void Agent::Facts::OnBroken(Error error) {
  agent_.AppendError(error, true);
  agent_.StopProcess(kDefaultGraceMs, EndReason::kNone);  // the run fails with the error
  agent_.Advance();
}

void Agent::Facts::OnExited(const AgentProcess::End& end) {
  if (end.in_start && !agent_.process_.failure() && !agent_.replace_) {
    agent_.process_.Fail({"not_ready", "the process ended with " + end.how + " before it was ready"});
  }
  if (!end.exit.tree_empty) {
    agent_.AppendError({"tree_not_empty", "some process of this agent could not be killed"}, false);
  }
  if (agent_.runs_.open()) EndRunWithProcess(end);
  // A message that it was given and never said to have taken waits for the next process.
  for (const Mailbox::Entry* entry : agent_.mailbox_.All()) {
    const std::string message_id = entry->message.id;
    if (entry->stage == Mailbox::Stage::kSteering) agent_.messages_->Requeue(message_id, "the process ended");
  }
  agent_.approvals_.WithdrawAll();
  agent_.open_content_.EndProcess();
  JsonObject data;
  data.Set("code", CodeOf(end.exit));
  if (end.exit.signal != 0) data.Set("signal", end.exit.signal);
  data.Set("oom", end.exit.oom);
  agent_.journal_.Append(event_type::kAgentExited, data.Take());
  FollowExit(end);
  agent_.Advance();
}

void Agent::Facts::EndRunWithProcess(const AgentProcess::End& end) {
  const std::optional<int> code = CodeOf(end.exit);
  const std::optional<int> signal = code ? std::nullopt : std::optional<int>(end.exit.signal);
  if (agent_.process_.failure()) {
    agent_.EndRun({RunEnding::How::kExitedFailed, agent_.process_.failure()->error, code, signal});
  } else if (IsClean(end.exit) && !agent_.has_turns_) {
    agent_.EndRun({RunEnding::How::kExited, {}, code});
  } else {
    const char* error = agent_.has_turns_ ? "agent_exited" : "exit";
    agent_.EndRun(
        {RunEnding::How::kExitedFailed, {error, "the process ended with " + end.how}, code, signal});
  }
}

// Whether another process follows.
void Agent::Facts::FollowExit(const AgentProcess::End& end) {
  const AgentProcess& process = agent_.process_;
  if (agent_.deleted()) agent_.secrets_.Forget(false);
  const bool replace = std::exchange(agent_.replace_, false);
  const bool by_drain = agent_.draining() && end.asked && !process.failure();
  if (!replace && agent_.wish_ == Wish::kAlive && !by_drain) {
    agent_.PlanRestart(process.failure() || !IsClean(end.exit), process.exited_ms() - process.started_ms());
  }
  // A message that came while it was ending wants a process; one that a person's stop holds does not.
  if (!process.failure() && agent_.mailbox_.WantsProcess()) agent_.messages_->Wake();
}

// ------------------------------------------------------------------------------------- limits and clocks

void Agent::Facts::OnUsage(std::string_view data) {
  agent_.runs_.SetUsage(data);
  agent_.TouchAll();
  const Limits& limits = agent_.spec_.limits;
  if (limits.max_tokens == 0 && limits.max_cost_usd == 0) return;
  const Usage usage = Usage::Parse(std::string(data));
  const char* limit = nullptr;
  if (limits.max_tokens != 0 && usage.input_tokens + usage.output_tokens > limits.max_tokens) {
    limit = "max_tokens";
  } else if (limits.max_cost_usd > 0 && usage.cost_usd > limits.max_cost_usd) {
    limit = "max_cost_usd";
  }
  if (!limit) return;
  // Runs in a turn of its own, because the adapter is in the middle of its report.
  agent_.context_.loop.Post(agent_.alive_.Guard([this, limit, run = agent_.runs_.open()->id] {
    if (agent_.runs_.open() && agent_.runs_.open()->id == run) {
      OnOverLimit(limit, {"limit_exceeded", std::string("the run used more than limits.") + limit});
    }
  }));
}

// The run ends as failed, however the agent reacts to the interrupt. A turn that is already ending keeps its
// reason; but a process that is its own run may have ignored that reason, so it is asked again.
void Agent::Facts::OnOverLimit(const char* limit, Error error) {
  if (!agent_.runs_.open() || !agent_.process_.running()) return;
  if (agent_.runs_.end_reason() == EndReason::kLimit ||
      (agent_.has_turns_ && agent_.runs_.end_reason() != EndReason::kNone)) {
    return;
  }
  agent_.runs_.RequestEndByLimit(limit, std::move(error));
  if (agent_.has_turns_) {
    agent_.InterruptRun();
  } else {
    agent_.StopProcess(kDefaultGraceMs, EndReason::kLimit);
  }
  agent_.Advance();
}

void Agent::Facts::OnStalled(int64_t silent_ms) {
  using OnStall = Limits::OnStall;
  JsonObject stalled;
  stalled.Set("silent_ms", silent_ms);
  agent_.SetWaitingFor(stalled);
  agent_.journal_.Append(event_type::kAgentStalled, stalled.Take());
  if (agent_.spec_.limits.on_stall != OnStall::kTell) {
    const bool restart = agent_.spec_.limits.on_stall == OnStall::kRestart;
    OnOverLimit("stall_ms", {"stalled", "there was no output for " + std::to_string(silent_ms) + " ms"});
    if (restart) agent_.ReplaceProcess("stalled", "it produced no output");
  }
  agent_.Advance();
}

void Agent::Facts::OnResumed(int64_t silent_ms) {
  agent_.journal_.Append(event_type::kAgentResumed, JsonObject().Set("silent_ms", silent_ms).Take());
  agent_.Advance();
}

void Agent::Facts::OnWallTimeOver() {
  OnOverLimit("wall_ms", {"limit_exceeded", "the run took longer than limits.wall_ms, " +
                                                std::to_string(agent_.spec_.limits.wall_ms)});
}

void Agent::Facts::OnIdleTooLong() {
  if (!agent_.process_.running() || !agent_.idle()) return;
  log::Info("agent {}: stopping it after {} ms without a run; a message wakes it", agent_.id(),
            agent_.spec_.limits.idle_ms);
  agent_.wish_ = Wish::kStopped;
  agent_.StopProcess(kDefaultGraceMs, EndReason::kNone);
  agent_.Advance();
}

}  // namespace reeve
