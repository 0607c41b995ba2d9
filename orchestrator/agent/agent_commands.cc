// The commands of an agent. Each checks whether it may be done, notes the wish in the parts that it concerns,
// saves the record, and lets Advance() do what follows.
#include <algorithm>
#include <utility>

#include "orchestrator/agent/agent_messages.h"
#include "orchestrator/json/json.h"
#include "orchestrator/log/event_types.h"
#include "process/process_details.h"

namespace reeve {

namespace {

// Fields of a spec that a process gets when it starts.
constexpr std::string_view kAtStart[] = {"env",       "system_prompt", "cwd",          "command",
                                         "readiness", "api",           "kind_options", "mcp"};
constexpr std::string_view kOfSecrets[] = {"api", "record"};

// The result of a command that has acted although the record could not be written.
Agent::Done ActedAnyway(const std::string& what, Agent::Done done) {
  return [what, done = std::move(done)](const Status& written) {
    if (written) return done(written);
    done(Error{written.error().code, what + ", but this cannot be stored yet: " + written.error().message});
  };
}

}  // namespace

Status Agent::CheckExists() const {
  if (deleted()) return Error{"agent_deleted", "agent " + id() + " has been deleted"};
  return damage_ ? Status(*damage_) : Status();
}

void Agent::Send(Message message, std::function<void(Result<Accepted>)> done) {
  const std::string model = message.model;
  CheckModel(model, [this, message = std::move(message), done = std::move(done)](const Status& good) mutable {
    good ? messages_->Send(std::move(message), std::move(done)) : done(good.error());
  });
}

void Agent::CheckModel(const std::string& model, Done done) {
  if (!model.empty() && !kind_.can.model) {
    return done(Error{"not_supported", "model: kind " + spec_.kind + " has no choice of models"});
  }
  // A model that cannot be checked now is on trial in its first turn (ModelChoice).
  if (model.empty() || !kind_.can.list_models || !process_.ready()) return done({});
  process_.ListModels(alive_.Guard([this, model, done = std::move(done)](const Result<std::string>& models) {
    auto list = models ? JsonDocument::Parse(*models) : Result<JsonDocument>(models.error());
    if (!list || list->root().size() == 0) return done({});
    for (const JsonValue& one : list->root().Elements()) {
      if (one["id"].StringOr("") == model) return done({});
    }
    done(Error{"invalid_request", "model: agent " + id() + " has no model " + model + "; GET /agents/" +
                                      id() + "/models lists them"});
  }));
}

void Agent::Send(std::vector<Message> messages, bool only_if_idle,
                 std::function<void(Result<std::vector<Accepted>>)> done) {
  std::vector<std::string> models;
  models.reserve(messages.size());
  for (const Message& message : messages) models.push_back(message.model);
  CheckModels(std::move(models), [this, messages = std::move(messages), only_if_idle,
                                  done = std::move(done)](const Status& good) mutable {
    good ? messages_->SendAll(std::move(messages), only_if_idle, std::move(done)) : done(good.error());
  });
}

void Agent::CheckModels(std::vector<std::string> models, Done done) {
  if (models.empty()) return done({});
  const std::string model = std::move(models.back());
  models.pop_back();
  CheckModel(model, [this, models = std::move(models), done = std::move(done)](const Status& good) mutable {
    good ? CheckModels(std::move(models), std::move(done)) : done(good);
  });
}

void Agent::Withdraw(const std::string& message_id, const Done& done) {
  messages_->Withdraw(message_id, done);
}

Status Agent::CheckMayBegin() const {
  if (draining()) return Error{"draining", "the daemon is shutting down"};
  return CheckExists();
}

void Agent::Start(Done done) {
  if (Status may = CheckMayBegin(); !may) return done(may);
  if (auto opened = journal_.Open(); !opened) return done(opened);
  mailbox_.OnStart();
  if (process_.stopping()) replace_ = true;
  if (!process_.alive()) {
    backoff_.Stop();
    restarts_.Forgive();
    process_.ForgetFailure();
  }
  wish_ = Wish::kAlive;
  writer_.Save(std::move(done));
  Advance();
}

void Agent::Stop(int64_t grace_ms, Done done, std::string_view by) {
  if (Status exists = CheckExists(); !exists) return done(exists);
  if (ended()) {
    return done(Error{"not_running", "agent " + id() + " is already stopped"});
  }
  wish_ = Wish::kStopped;
  replace_ = false;
  // No process will report its end, so this event does.
  if (!process_.alive())
    journal_.Append(event_type::kAgentExited, JsonObject().Set("reason", "stopped").Take());
  backoff_.Stop();
  mailbox_.OnStop(runs_.open().has_value());
  StopProcess(grace_ms, EndReason::kPerson, by);
  writer_.Save(ActedAnyway("agent " + id() + " is stopped", std::move(done)));
  Advance();
}

void Agent::Restart(int64_t grace_ms, Done done, std::string_view by) {
  if (!process_.alive()) return Start(std::move(done));
  if (Status may = CheckMayBegin(); !may) return done(may);
  wish_ = Wish::kAlive;
  replace_ = true;
  // A message that interrupts the run is what shall be done after the restart.
  if (runs_.open() && runs_.end_reason() == EndReason::kNone) mailbox_.OnInterrupt();
  StopProcess(grace_ms, EndReason::kPerson, by);
  writer_.Save(std::move(done));
  Advance();
}

void Agent::Interrupt(Done done) {
  if (!process_.alive() || !runs_.open()) {
    return done(Error{"not_running", "agent " + id() + " has no run to interrupt"});
  }
  if (runs_.RequestEnd(EndReason::kPerson)) mailbox_.OnInterrupt();
  InterruptRun();
  writer_.Save(std::move(done));  // the pause must outlive the daemon
  Advance();
}

void Agent::Delete(bool purge, Done done, std::string_view by) {
  // If the agent has ended, no other event would tell viewers of many agents about the deletion.
  if (!deleted() && journal_.Open()) {
    JsonObject data;
    data.Set("deleted", true);
    SetBy(data, by);
    journal_.Append(event_type::kAgentUpdated, data.Take());
  }
  wish_ = purge || this->purge() ? Wish::kPurged : Wish::kDeleted;
  replace_ = false;
  ForgetSecrets();
  backoff_.Stop();
  messages_->CancelAll();
  StopProcess(kDefaultGraceMs, EndReason::kPerson, by);
  writer_.Save(ActedAnyway("agent " + id() + " is deleted", std::move(done)));
  Advance();
}

// The signal comes first: a full disk must not protect a process that fills it.
Result<std::string> Agent::SignalProcess(pid_t pid, int signum, std::string_view by) {
  const Error none{"process_not_found", "agent " + id() + " has no process " + std::to_string(pid)};
  const std::vector<ProcessId> processes = Processes();
  const auto process = std::find_if(processes.begin(), processes.end(),
                                    [pid](const ProcessId& one) { return one.pid == pid; });
  const auto details = process == processes.end() ? std::nullopt : DescribeProcess(*process);
  if (!details) return none;
  if (Status opened = journal_.Open(); !opened) return opened.error();
  if (!reeve::SignalProcess(*process, signum)) {
    if (StartTime(pid) != process->start_time) return none;
    return Error{"os_error", "signal process " + std::to_string(pid) + ": it may not be signalled"};
  }
  std::string data = JsonObject()
                         .Set("pid", int64_t{pid})
                         .Set("command", details->command)
                         .Set("signal", NameOfSignal(signum))
                         .Set("by", by)
                         .Take();
  journal_.Append(event_type::kProcessKilled, data);
  return data;
}

Result<uint64_t> Agent::WriteInput(std::optional<uint64_t> offset, std::string_view bytes, bool close) {
  const auto& options = kind_.options;
  if (std::find(options.begin(), options.end(), "stdin") == options.end()) {
    return Error{"not_supported", "kind " + spec_.kind + " takes messages only: its stdin is its protocol"};
  }
  return process_.WriteInput(offset, bytes, close);
}

void Agent::Decide(const std::string& approval_id, Decision decision, const std::string& reason,
                   const std::string& input, Done done, std::string_view by) {
  if (!input.empty() && !kind_.can.change_input && approvals_.Find(approval_id)) {
    return done(Error{"not_supported", "input: kind " + spec_.kind + " cannot change the input of a tool"});
  }
  const Status decided = approvals_.Decide(approval_id, decision, reason, input, by);
  if (decided && decision != Decision::kAllowOnce && decision != Decision::kDeny) {
    writer_.Save(std::move(done));
  } else if (!decided) {
    FindResolved("approval", approval_id, decided, std::move(done));
  } else {
    done(decided);
  }
  Advance();
}

// A question of an earlier run is no longer in memory.
void Agent::FindResolved(const char* what, const std::string& id, Status unknown, Done done) {
  if (unknown.error().code != "approval_not_found") return done(unknown);
  history_.OfApproval(id, [what, unknown = std::move(unknown),
                           done = std::move(done)](const Result<std::optional<ResolvedApproval>>& found) {
    if (!found) return done(found.error());
    done(*found ? Status(Approvals::AlreadyResolved(what, **found)) : unknown);
  });
}

void Agent::Answer(const std::string& elicitation_id, const ElicitationAnswer& answer, const Done& done,
                   std::string_view by) {
  const Status answered = approvals_.Answer(elicitation_id, answer, by);
  answered ? done(answered) : FindResolved("elicitation", elicitation_id, answered, done);
  Advance();
}

void Agent::PutFile(const std::string& name, std::string content, Done done) {
  if (Status exists = CheckExists(); !exists) return done(exists);
  secrets_.Put(name, std::move(content), std::move(done));
}

void Agent::RemoveFile(const std::string& name, Done done) {
  if (Status exists = CheckExists(); !exists) return done(exists);
  secrets_.Remove(name, std::move(done));
}

void Agent::ListModels(std::function<void(Result<std::string>)> done) {
  if (!kind_.can.model) {
    return done(Error{"not_supported", "kind " + spec_.kind + " has no choice of models"});
  }
  if (!process_.ready()) return done(Error{"not_running", "agent " + id() + " is not running"});
  process_.ListModels(alive_.Guard([this, done = std::move(done)](const Result<std::string>& models) {
    if (!models) {
      const bool never = models.error().code == "not_supported";
      return done(Error{never ? "not_supported" : "models_unavailable", models.error().message});
    }
    const std::string model = this->model().empty() ? process_.OwnModel() : this->model();
    JsonObject answer;
    answer.SetRaw("models", *models);
    if (!model.empty()) answer.Set("model", model);
    done(answer.Take());
  }));
}

void Agent::Update(SpecUpdates::Change change, SpecUpdates::Fields fields, SpecUpdates::Done done,
                   std::string_view by) {
  if (auto opened = journal_.Open(); !opened) return done(opened.error());
  updates_.Add(std::move(change), std::move(fields), std::move(done), std::string(by));
}

Result<AgentSpec> Agent::MakeSpec(const SpecUpdates::Change& change) {
  if (Status exists = CheckExists(); !exists) return exists.error();
  auto spec = change(spec_);
  if (!spec) return spec;
  for (const auto& [name, value] : spec->env) process_.Hide(value);
  return spec;
}

Result<bool> Agent::ApplySpec(const AgentSpec& spec, const SpecUpdates::Fields& fields,
                              const std::string& by) {
  if (Status exists = CheckExists(); !exists) return exists.error();
  spec_ = spec;
  if (std::find(fields.begin(), fields.end(), "model") != fields.end()) model_.Clear();
  process_.SetTranscript();
  if (std::find_first_of(fields.begin(), fields.end(), std::begin(kOfSecrets), std::end(kOfSecrets)) !=
      fields.end())
    secrets_.OnSpecChanged();
  approvals_.JudgeAgain();
  clocks_.LookAgain();
  auto json = JsonDocument::Parse(spec_.ToJson(AgentSpec::Secrets::kNamesOnly));
  JsonObject data;
  bool next_start = false;
  for (const std::string& field : fields) {
    data.SetRaw(field, (*json)[field].Raw());
    next_start =
        next_start || std::find(std::begin(kAtStart), std::end(kAtStart), field) != std::end(kAtStart);
  }
  SetBy(data, by);
  journal_.Append(event_type::kAgentUpdated, data.Take());
  return next_start && process_.alive();
}

}  // namespace reeve
