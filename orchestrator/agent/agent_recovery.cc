// Recovery after the death of an earlier daemon: an agent is made from its record, and everything that its
// log shows as unfinished is closed there, once.
#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "orchestrator/agent/agent_messages.h"
#include "orchestrator/agent/agent_recovery.h"
#include "orchestrator/agent/log_tail.h"
#include "orchestrator/json/json.h"
#include "orchestrator/log/event_types.h"
#include "process/clock.h"
#include "process/log.h"

namespace reeve {

namespace {

constexpr const char* kProcessKind = "process";  // stands in for a kind that is not known

// The lowest taken_seq of the messages that an earlier daemon had claimed; 0: it had claimed none.
uint64_t LowestTakenSeq(const std::vector<std::pair<MessageRecord, std::optional<Message>>>& messages) {
  uint64_t lowest = 0;
  for (const auto& [record, message] : messages) {
    if (!message || message->taken_seq == 0) continue;
    lowest = lowest == 0 ? message->taken_seq : std::min(lowest, message->taken_seq);
  }
  return lowest;
}

}  // namespace

Result<std::unique_ptr<Agent>> Agent::Load(AgentContext& context, const AgentRecord& record,
                                           const std::vector<MessageRecord>& messages) {
  auto failed = [&record](const std::string& what) {
    return Error{"store_failed", "agent " + record.id + ": " + what};
  };
  auto spec_json = JsonDocument::Parse(record.spec);
  if (!spec_json) return failed("its spec on disk: " + spec_json.error().message);
  auto spec = AgentSpec::FromJson(spec_json->root());
  if (!spec) return failed("its spec on disk: " + spec.error().message);
  if (spec->id != record.id) return failed("its spec on disk is that of agent " + spec->id);
  if (!context.find_kind(spec->kind)) return failed("unknown kind " + spec->kind);
  auto state_json = JsonDocument::Parse(record.state);
  if (!state_json) return failed("its state on disk: " + state_json.error().message);
  const JsonValue state = state_json->root();

  std::unique_ptr<Agent> agent(new Agent(context, std::move(*spec)));
  if (record.deleted) agent->wish_ = Wish::kDeleted;
  if (Status loaded = agent->LoadState(state); !loaded) {
    return failed("its state on disk: " + loaded.error().message);
  }
  agent->secrets_.Sweep();
  agent->LoadSecrets();

  std::vector<std::pair<MessageRecord, std::optional<Message>>>
      in_order;  // by the time when they arrived or were due
  in_order.reserve(messages.size());
  for (const MessageRecord& message : messages) {
    in_order.emplace_back(message, Message::FromJson(message.id, message.body));
  }
  std::stable_sort(in_order.begin(), in_order.end(), [](const auto& one, const auto& other) {
    return (one.second ? one.second->queued_ms : 0) < (other.second ? other.second->queued_ms : 0);
  });

  LogTail tail;
  const Cursor recorded = agent->journal_.cursor();
  if (agent->wish_ == Wish::kAlive || state["alive"].AsBool().value_or(false) || !messages.empty()) {
    if (auto opened = agent->journal_.Open(); !opened) return opened.error();
    auto read = LogTail::Read(*agent->journal_.log(), state["alive"].AsBool().value_or(true),
                              LowestTakenSeq(in_order));
    if (!read) return read.error();
    tail = std::move(*read);
    // Questions that are older than the tail are withdrawn too.
    for (const auto& [asked, elicitation] : state["pending"].Members()) {
      if (tail.resolved.count(std::string(asked)) == 0) {
        tail.pending.emplace(asked, elicitation.AsBool().value_or(false));
      }
    }
  }
  const EventLog* log = agent->journal_.log();
  const bool never_began = recorded.seq == 0 && log && log->head().seq == 0;
  Recovery recovery(*agent);
  recovery.ApplyLogTail(tail, recorded);
  recovery.CloseOpenEnds(tail);
  for (auto& [message_record, message] : in_order) {
    recovery.RestoreMessage(message_record, std::move(message), tail);
  }
  agent->messages_->TakeDue();
  if (!agent->deleted()) {
    const bool for_messages = agent->mailbox_.HasNext() && !agent->process_.failure();
    // One that was made and has not begun begins now, because that is no restart.
    const bool by_policy = agent->wish_ == Wish::kAlive &&
                           (never_began || agent->spec_.restart.when != RestartPolicy::When::kNever);
    agent->wish_ = for_messages || by_policy ? Wish::kAlive : Wish::kStopped;
  }
  agent->state_ = agent->Derive();
  agent->writer_.Save([](const Status&) {});
  return agent;
}

std::unique_ptr<Agent> Agent::Damaged(AgentContext& context, const AgentRecord& record, Error why) {
  auto spec_json = JsonDocument::Parse(record.spec);
  auto spec = spec_json ? AgentSpec::FromJson(spec_json->root()) : Result<AgentSpec>(spec_json.error());
  if (!spec || spec->id != record.id || !context.find_kind(spec->kind)) {
    spec = AgentSpec();
    spec->id = record.id;
    spec->kind = kProcessKind;
  }
  std::unique_ptr<Agent> agent(new Agent(context, std::move(*spec)));
  if (record.deleted) agent->wish_ = Wish::kDeleted;
  agent->process_.Fail(why);
  agent->damage_ = std::move(why);
  agent->state_ = agent->Derive();
  return agent;
}

void Agent::SetAside(Error why) {
  wish_ = Wish::kStopped;
  process_.Fail(std::move(why));
  const AgentProcess::Failure& failure = *process_.failure();
  if (journal_.Open()) {
    journal_.Append(
        event_type::kAgentFailed,
        JsonObject().Set("code", failure.error.code).Set("message", failure.error.message).Take());
  }
  state_ = Derive();
  writer_.Save([](const Status&) {});
}

// The log is written before the record, so it is right about a run or process that ended in between.
// `recorded` is the log's end when the record was written.
void Agent::Recovery::ApplyLogTail(LogTail& tail, const Cursor& recorded) {
  const uint64_t known = agent_.runs_.last() ? agent_.runs_.last()->number() : 0;
  for (Run& run : tail.ended) {
    // If the disk was full, the record may be newer than the log.
    agent_.context_.store.AddRun({agent_.id(), run.number(), run.ToJson()}, [](const Status&) {});
    if (run.number() <= known) continue;
    agent_.mailbox_.OnRunEnded(run, false);
    agent_.runs_.AddEnded(std::move(run));
  }
  auto failed = JsonDocument::Parse(tail.failed);
  if (failed && static_cast<uint64_t>((*failed)["seq"].AsInt().value_or(0)) > recorded.seq) {
    const JsonValue data = (*failed)["data"];
    agent_.process_.Fail({std::string(data["code"].StringOr("")), std::string(data["message"].StringOr(""))},
                         std::string(data["output"].StringOr("")));
    if (!agent_.deleted()) agent_.wish_ = Wish::kStopped;
  }
  auto exited = JsonDocument::Parse(tail.exited);
  if (!exited) return;
  const int64_t exited_ms = ParseTime(std::string((*exited)["time"].StringOr(""))).value_or(0);
  const JsonValue data = (*exited)["data"];
  if (exited_ms <= agent_.process_.exited_ms()) return;
  if (!data["code"] && !data["signal"]) return;  // there was no process, or its end was not recorded
  ExitStatus exit;
  exit.code = static_cast<int>(data["code"].AsInt().value_or(-1));
  exit.signal = static_cast<int>(data["signal"].AsInt().value_or(0));
  exit.oom = data["oom"].AsBool().value_or(false);
  agent_.process_.SetEnd(exit, exited_ms);
  const bool content = exit.signal == 0 && exit.code == 0;
  if (content && agent_.spec_.restart.when == RestartPolicy::When::kOnFailure &&
      agent_.wish_ == Wish::kAlive) {
    agent_.wish_ = Wish::kStopped;
  }
}

void Agent::Recovery::CloseOpenEnds(const LogTail& tail) {
  const bool run_open = !tail.open.id.empty();
  if (run_open) {
    Run run = tail.open;
    if (run.started_ms == 0) run.started_ms = agent_.context_.clock.WallMs();
    agent_.journal_.SetRun(run.id);
    agent_.runs_.Reopen(std::move(run));
  }
  for (const auto& [asked, resolved] : tail.resolved) agent_.approvals_.Remember(resolved);
  for (const auto& [asked, elicitation] : tail.pending) {
    const ResolvedApproval withdrawn{asked, "withdrawn", "daemon"};
    agent_.approvals_.Remember(withdrawn);
    if (run_open) agent_.runs_.Resolved(withdrawn);
    agent_.journal_.Append(elicitation ? event_type::kElicitationResolved : event_type::kApprovalResolved,
                           JsonObject()
                               .Set("id", asked)
                               .Set(elicitation ? "action" : "decision", "withdrawn")
                               .Set("by", "daemon")
                               .Take());
  }
  if (run_open) {
    agent_.EndRun({RunEnding::How::kExitedFailed, {kDaemonRestarted, "cut off: the daemon was killed"}, {}});
  }
  if (!tail.alive) return;
  agent_.journal_.Append(event_type::kAgentExited, JsonObject().Set("reason", kDaemonRestarted).Take());
  agent_.process_.SetExitedMs(agent_.context_.clock.WallMs());
}

// A message that had not ended keeps waiting, unless the log shows that the process had it.
void Agent::Recovery::RestoreMessage(const MessageRecord& record, std::optional<Message> message,
                                     const LogTail& tail) {
  const auto begun = tail.begun.find(record.id);
  const bool never = begun == tail.begun.end();
  if (message && !agent_.deleted() && never && tail.cancelled.count(record.id) == 0) {
    message->taken_seq = 0;
    agent_.mailbox_.Restore(std::move(*message));
    return;
  }
  const std::string run_id = never ? "" : begun->second;
  const Run* run = agent_.runs_.Find(run_id);
  const char* state = never ? "cancelled" : run ? MessageState(run->status) : "done";
  agent_.context_.store.EndMessage(record.id, state, run_id, [](const Status&) {});
}

// A daemon that was killed may have written to the store what its last checkpoint does not know, and the
// other way round. Nobody was told of the former. The checkpoint is right about everything that it knows.
void Agent::Recovery::FollowStore(const std::vector<MessageRecord>& messages) {
  if (agent_.mailbox_.claimed()) agent_.messages_->GiveBackClaimed();
  std::set<std::string> stored;
  std::vector<std::pair<MessageRecord, std::optional<Message>>> unknown;
  for (const MessageRecord& record : messages) {
    stored.insert(record.id);
    const Mailbox::Entry* entry = agent_.mailbox_.Find(record.id);
    const Run* run = agent_.runs_.OfMessage(record.id);
    if (!entry && run) {  // it has begun; it ends with its run, at the latest
      const bool open = agent_.runs_.open() && agent_.runs_.open()->id == run->id;
      if (!open)
        agent_.context_.store.EndMessage(record.id, MessageState(run->status), run->id, [](const Status&) {});
    } else if (!entry) {
      unknown.emplace_back(record, Message::FromJson(record.id, record.body));
    } else if (entry->stage == Mailbox::Stage::kArriving) {
      (void)agent_.messages_->Place(Message(entry->message));
    }
  }
  for (const std::string& id : agent_.mailbox_.Arriving()) {
    if (stored.count(id) == 0) agent_.mailbox_.Remove(id);
  }
  if (!unknown.empty() && agent_.journal_.Open()) {
    auto tail = LogTail::Read(*agent_.journal_.log(), true, LowestTakenSeq(unknown));
    if (!tail) log::Failure("agent {}: {}", agent_.id(), tail.error().message);
    for (auto& [record, message] : unknown) {
      if (tail) RestoreMessage(record, std::move(message), *tail);
    }
  }
  for (const Run& run : agent_.runs_.ended()) {
    agent_.context_.store.AddRun({agent_.id(), run.number(), run.ToJson()}, [](const Status&) {});
  }
}

}  // namespace reeve
