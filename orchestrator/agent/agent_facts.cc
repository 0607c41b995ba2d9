// What the process of an agent reports, and what its clocks say: the rules that cross its parts.
#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <utility>

#include "orchestrator/agent/agent.h"
#include "orchestrator/json/json.h"
#include "orchestrator/log/event_types.h"
#include "process/clock.h"
#include "process/log.h"
#include "process/loop.h"
#include "process/spawn.h"

namespace reeve {

namespace {

// What a child gets of the daemon's own environment; everything else is the spec's.
constexpr const char* kInherited[] = {
    "PATH",     "HOME", "USER",   "LOGNAME", "SHELL",           "LANG",          "LC_ALL",
    "LC_CTYPE", "TZ",   "TMPDIR", "TERM",    "XDG_RUNTIME_DIR", "SSL_CERT_FILE", "SSL_CERT_DIR"};

}  // namespace

SpawnSpec Agent::BaseSpawn() const {
  SpawnSpec spawn;
  spawn.argv = spec_.command;
  spawn.cwd = workspace_.Folder();
  for (const char* name : kInherited) {
    if (const char* value = std::getenv(name); value && spec_.env.count(name) == 0) {
      spawn.env.push_back(std::string(name).append("=").append(value));
    }
  }
  for (const auto& [name, value] : spec_.env) {
    spawn.env.push_back(std::string(name).append("=").append(value));
  }
  spawn.env.push_back("REEVE_AGENT_ID=" + id());
  spawn.env.push_back("REEVE_TOWN_ID=" + context_.town_id);
  secrets_.AddEnvironment(spawn);
  return spawn;
}

// --------------------------------------------------------------------------------------------------- runs

// A run that no message of ours began.
void Agent::BeginRun() {
  OnRunBegun(journal_.next_seq(), "");
  journal_.Append(event_type::kRunStarted, "{}");
}

// `number`: of its run.started.
void Agent::OnRunBegun(uint64_t number, const std::string& message_id) {
  runs_.Begin(number, message_id, context_.clock.WallMs());
  journal_.SetRun(Run::IdOf(number));
  clocks_.BeginRun();
}

void Agent::EndRun(RunEnding ending) {
  approvals_.WithdrawRun(runs_.open()->id);
  process_.OnTurnOver();
  const Run& ended = runs_.End(std::move(ending), context_.clock.WallMs());
  journal_.Append("run." + std::string(NameOf(ended.status)), ended.EndJson());
  journal_.SetRun("");
  writer_.WriteEventually([this, record = RunRecord{id(), ended.number(), ended.ToJson()}](Store::Done done) {
    context_.store.PutRun(record, std::move(done));
  });
  mailbox_.OnRunEnded(ended, wish_ != Wish::kAlive && process_.stopping());
  if (!ended.message_id.empty()) FinishMessage(ended.message_id, ended.status, ended.id);
}

// A turn that does not end by it costs its process. A process whose life is the run may take the signal as it
// likes.
void Agent::InterruptRun() {
  if (process_.alive()) process_.InterruptTurn();
  if (turn_open()) process_.AwaitTurnEnd();
}

void Agent::OnInterruptIgnored() { ReplaceProcess("interrupt_ignored", "the run was to end and went on"); }

// --------------------------------------------------------------------------------- the process's reports

void Agent::Emit(std::string_view type, std::string_view data) {
  const Cursor at = journal_.Append(type, data);
  if (type == event_type::kAssistantMessage) {
    runs_.MessageComplete(at.seq);
  } else if (type == event_type::kUsageUpdated && runs_.open()) {
    OnUsage(data);
  }
  if (type != event_type::kAgentOutput && type != event_type::kAgentError) clocks_.Progressed();
  if (journal_.blocked()) ApplyBackPressure();
}

void Agent::OnReady() {
  journal_.Append(event_type::kAgentReady, JsonObject().Set("pid", int64_t{process_.pid()}).Take());
  Advance();
}

void Agent::OnTurnStarted() {
  if (!runs_.open()) BeginRun();
  Advance();
}

void Agent::OnTurnEnded(const TurnEnd& end) {
  if (!runs_.open()) return;
  switch (end.outcome) {
    case TurnEnd::Outcome::kCompleted:
      EndRun({RunEnding::How::kCompleted});
      break;
    case TurnEnd::Outcome::kCancelled:
      EndRun({RunEnding::How::kCancelled});
      break;
    case TurnEnd::Outcome::kFailed:
      EndRun({RunEnding::How::kFailed, end.error});
      break;
  }
  Advance();
}

void Agent::OnApproval(ApprovalRequest request) {
  std::string folder = workspace_.Folder();
  if (folder.empty()) {
    std::error_code error;
    folder = std::filesystem::current_path(error).string();
  }
  approvals_.Ask(std::move(request), runs_.open() ? runs_.open()->id : "", folder);
  Advance();
}

void Agent::OnApprovalGone(const std::string& approval_id) {
  approvals_.Retract(approval_id);
  Advance();
}

void Agent::OnSession(std::string session) {
  // The process that was to go on with it ends: the next one begins anew.
  if (session.empty() && process_.phase() == AgentProcess::Phase::kStarting && wish_ == Wish::kAlive) {
    replace_ = true;
  }
  Advance();
}

void Agent::OnBroken(Error error) {
  AppendError(error, true);
  StopProcess(kDefaultGraceMs, EndReason::kNone);  // the run fails with the error
  Advance();
}

void Agent::OnExited(const AgentProcess::End& end) {
  if (end.in_start && !process_.failure() && !replace_) {
    process_.Fail({"not_ready", "the process ended with " + end.how + " before it was ready"});
  }
  if (!end.exit.tree_empty)
    AppendError({"tree_not_empty", "some process of this agent could not be killed"}, false);
  const bool clean = end.exit.signal == 0 && end.exit.code == 0;
  const std::optional<int> code = end.exit.signal == 0 ? std::optional<int>(end.exit.code) : std::nullopt;
  if (runs_.open()) {
    if (process_.failure()) {
      EndRun({RunEnding::How::kExitedFailed, process_.failure()->error, code});
    } else if (clean && !has_turns_) {
      EndRun({RunEnding::How::kExited, {}, code});
    } else {
      EndRun({RunEnding::How::kExitedFailed,
              {has_turns_ ? "agent_exited" : "exit", "the process ended with " + end.how},
              code});
    }
  }
  // A message that it was given and never said to have taken waits for the next process.
  for (const Mailbox::Entry* entry : mailbox_.All()) {
    const std::string message_id = entry->message.id;
    if (entry->stage == Mailbox::Stage::kSteering) Requeue(message_id, "the process ended");
  }
  approvals_.WithdrawAll();
  JsonObject data;
  data.Set("code", code);
  if (end.exit.signal != 0) data.Set("signal", end.exit.signal);
  data.Set("oom", end.exit.oom);
  journal_.Append(event_type::kAgentExited, data.Take());

  if (deleted()) secrets_.Forget(false);
  if (!std::exchange(replace_, false) && wish_ == Wish::kAlive && !draining()) {
    PlanRestart(process_.failure() || !clean, process_.exited_ms() - process_.started_ms());
  }
  // A message that came while it was ending wants a process; one that a person's stop holds does not.
  if (!process_.failure() && mailbox_.HasNext()) Wake();
  Advance();
}

void Agent::AppendError(const Error& error, bool fatal) {
  journal_.Append(
      event_type::kAgentError,
      JsonObject().Set("code", error.code).Set("message", error.message).Set("fatal", fatal).Take());
}

// ------------------------------------------------------------------------------------- limits and clocks

void Agent::OnUsage(std::string_view data) {
  runs_.SetUsage(data);
  const Limits& limits = spec_.limits;
  if (limits.max_tokens == 0 && limits.max_cost_usd == 0) return;
  const Usage usage = Usage::Parse(std::string(data));
  const char* limit = nullptr;
  if (limits.max_tokens != 0 && usage.input_tokens + usage.output_tokens > limits.max_tokens) {
    limit = "max_tokens";
  } else if (limits.max_cost_usd > 0 && usage.cost_usd > limits.max_cost_usd) {
    limit = "max_cost_usd";
  }
  if (!limit) return;
  // In a turn of the loop's own: the adapter is in the middle of its report.
  context_.loop.Post(Guarded([this, limit, run = runs_.open()->id] {
    if (runs_.open() && runs_.open()->id == run) {
      OnOverLimit(limit, {"limit_exceeded", std::string("the run used more than limits.") + limit});
    }
  }));
}

// The run ends as failed, whatever the agent makes of the interrupt. A turn that is ending already is left to
// end as it was meant to; a process that is its run may have ignored the reason before.
void Agent::OnOverLimit(const char* limit, Error error) {
  if (!runs_.open() || !process_.running()) return;
  if (runs_.end_reason() == EndReason::kLimit || (has_turns_ && runs_.end_reason() != EndReason::kNone)) {
    return;
  }
  runs_.RequestEndByLimit(limit, std::move(error));
  if (has_turns_) {
    InterruptRun();
  } else {
    StopProcess(kDefaultGraceMs, EndReason::kLimit);
  }
  Advance();
}

void Agent::OnStalled(int64_t silent_ms) {
  using OnStall = Limits::OnStall;
  journal_.Append(event_type::kAgentStalled, JsonObject().Set("silent_ms", silent_ms).Take());
  if (spec_.limits.on_stall != OnStall::kTell) {
    const bool restart = spec_.limits.on_stall == OnStall::kRestart;
    OnOverLimit("stall_ms", {"stalled", "nothing was heard for " + std::to_string(silent_ms) + " ms"});
    if (restart) ReplaceProcess("stalled", "nothing was heard of it");
  }
  Advance();
}

void Agent::OnIdleTooLong() {
  if (!process_.running() || !idle()) return;
  log::Info("agent {}: idle for {} ms: stopped until a message wakes it", id(), spec_.limits.idle_ms);
  wish_ = Wish::kStopped;
  StopProcess(kDefaultGraceMs, EndReason::kNone);
  Advance();
}

}  // namespace reeve
