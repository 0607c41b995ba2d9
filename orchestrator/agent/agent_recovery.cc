// What follows the end of an earlier daemon: an agent is made from its record, and what the log shows to have
// been under way is closed there, once.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "orchestrator/agent/agent.h"
#include "process/clock.h"

namespace reeve {

namespace {

int64_t TimeOf(const JsonValue& envelope) {
  return ParseTime(std::string(envelope["time"].StringOr(""))).value_or(0);
}

// What the event of its end tells of a run.
Run RunOf(const JsonValue& envelope) {
  const JsonValue data = envelope["data"];
  Run run;
  run.id = envelope["run"].StringOr("");
  run.message_id = data["message_id"].StringOr("");
  run.status = ParseRunStatus(envelope["type"].StringOr("").substr(std::strlen("run.")))
                   .value_or(Run::Status::kFailed);
  if (auto code = data["exit_code"].AsInt()) run.exit_code = static_cast<int>(*code);
  run.error = {std::string(data["error"]["code"].StringOr("")),
               std::string(data["error"]["message"].StringOr(""))};
  run.limit = data["limit"].StringOr("");
  if (data["usage"]) run.usage = data["usage"].Raw();
  run.ended_ms = TimeOf(envelope);
  run.started_ms = run.ended_ms - data["duration_ms"].AsInt().value_or(0);
  return run;
}

}  // namespace

// What an earlier daemon left open in the log.
struct Agent::LeftOver {
  bool alive = false;  // a process whose end the log does not tell
  std::string run;     // open; empty: none
  std::string message_id;
  int64_t run_started_ms = 0;
  std::map<std::string, bool> pending;       // approvals; true: an elicitation
  std::set<std::string> resolved;            // of late
  std::string usage;                         // of that run, so far
  std::set<std::string> cancelled;           // messages that somebody took back
  std::map<std::string, std::string> begun;  // messages that reached the process, and their runs
  // As envelopes: they may be newer than the record.
  std::string exited;                 // the last one
  std::vector<std::string> run_ends;  // oldest first
  std::string failed;                 // agent.failed, where that was the last word
};

Result<std::unique_ptr<Agent>> Agent::Load(AgentContext& context, const AgentRecord& record,
                                           const std::vector<MessageRecord>& messages) {
  auto spec_json = JsonDocument::Parse(record.spec);
  if (!spec_json)
    return Error{"store_failed", "agent " + record.id + ": its spec on disk: " + spec_json.error().message};
  auto spec = AgentSpec::FromJson(spec_json->root());
  if (!spec)
    return Error{"store_failed", "agent " + record.id + ": its spec on disk: " + spec.error().message};
  if (!context.find_kind(spec->kind))
    return Error{"store_failed", "agent " + record.id + ": unknown kind " + spec->kind};
  auto state_json = JsonDocument::Parse(record.state);
  if (!state_json)
    return Error{"store_failed", "agent " + record.id + ": its state on disk: " + state_json.error().message};
  const JsonValue state = state_json->root();

  std::unique_ptr<Agent> agent(new Agent(context, std::move(*spec)));
  agent->deleted_ = record.deleted;
  agent->LoadState(state);
  agent->folder_.Sweep();
  agent->LoadSecrets();

  LeftOver left;
  const bool was_wanted = agent->wanted_;
  if (was_wanted || state["alive"].AsBool().value_or(false) || !messages.empty()) {
    if (auto opened = agent->OpenLog(); !opened) return opened.error();
    auto read = agent->ReadLeftOver(state["alive"].AsBool().value_or(true), messages);
    if (!read) return read.error();
    left = std::move(*read);
    for (const auto& [asked, elicitation] : state["pending"].Members()) {
      if (left.resolved.count(std::string(asked)) == 0) {
        left.pending.emplace(asked, elicitation.AsBool().value_or(false));
      }
    }
  }
  agent->CatchUp(left);
  agent->CloseLeftOver(left);
  std::vector<std::pair<int64_t, const MessageRecord*>> in_order;  // by when they came, or fell due
  for (const MessageRecord& message : messages) {
    auto parsed = Message::FromJson(message.id, message.body);
    in_order.emplace_back(parsed ? parsed->queued_ms : 0, &message);
  }
  std::stable_sort(in_order.begin(), in_order.end(),
                   [](const auto& one, const auto& other) { return one.first < other.first; });
  for (const auto& [queued_ms, message] : in_order) agent->TakeOver(*message, left);
  agent->TakeDueMessages();
  const bool for_messages = agent->inbox_.HasNext() && !agent->deleted_ && !agent->broken_;
  agent->wanted_ =
      for_messages || (agent->wanted_ && agent->spec_.restart.when != RestartPolicy::When::kNever);
  agent->state_ = agent->Derive();
  agent->Save([](const Status&) {});
  return agent;
}

// A message that had not ended: it waits on, unless the log tells that the process had it.
void Agent::TakeOver(const MessageRecord& record, const LeftOver& left) {
  auto message = Message::FromJson(record.id, record.body);
  auto begun = left.begun.find(record.id);
  if (message && !deleted_ && begun == left.begun.end() && left.cancelled.count(record.id) == 0) {
    message->run_at_ms == 0 ? inbox_.Add(std::move(*message)) : inbox_.Schedule(std::move(*message));
    return;
  }
  const std::string run_id = begun == left.begun.end() ? "" : begun->second;
  const Run* run = FindRun(run_id);
  const bool never = begun == left.begun.end();
  context_.store.EndMessage(record.id,
                            never ? "cancelled"
                            : run ? MessageState(run->status)
                                  : "done",
                            run_id, [](const Status&) {});
}

Result<Agent::LeftOver> Agent::ReadLeftOver(bool was_alive,
                                            const std::vector<MessageRecord>& messages) const {
  // What matters was said within so many events, or is found by its number; or it follows what was there when
  // a message was taken: a talkative program says thousands while the store notes that it has the message.
  constexpr uint64_t kLookBack = 4096;
  LeftOver left;
  const uint64_t head = log_->head().seq;
  if (head == 0) return left;
  uint64_t after = head > kLookBack ? head - kLookBack : 0;
  for (const MessageRecord& record : messages) {
    const auto message = Message::FromJson(record.id, record.body);
    if (message && message->taken_seq != 0) after = std::min(after, message->taken_seq);
  }
  auto from = log_->PositionAfter(after);
  if (!from) return from.error();
  left.alive = after != 0 && was_alive;  // unless it is told otherwise
  std::string last;
  bool run_ended = false;
  auto scanned = log_->Scan(*from, [&left, &last, &run_ended](const FrameView& frame, std::string_view) {
    const std::string_view type = frame.type;
    last = frame.envelope;
    run_ended = type == "run.completed" || type == "run.failed" || type == "run.cancelled";
    if (type == "agent.starting") left.alive = true;
    if (type == "agent.exited" || type == "agent.failed") left.alive = false;
    if (type == "agent.exited") left.exited = last;
    if (type == "run.started") left.usage.clear();
    if (type == "usage.updated") {
      if (auto json = JsonDocument::Parse(frame.envelope)) left.usage = (*json)["data"].Raw();
    }
    if (run_ended) left.run_ends.push_back(last);
    left.failed = type == "agent.failed" ? last : "";
    const bool approval = type == "approval.requested" || type == "approval.resolved";
    const bool elicitation = type == "elicitation.requested" || type == "elicitation.resolved";
    const bool cancelled = type == "message.cancelled";
    if (!approval && !elicitation && !run_ended && !cancelled && type != "user.message") return true;
    auto json = JsonDocument::Parse(frame.envelope);
    if (!json) return true;
    const JsonValue data = (*json)["data"];
    const std::string id(data["id"].StringOr(""));
    if (type == "approval.requested" || type == "elicitation.requested")
      left.pending.emplace(id, elicitation);
    if (type == "approval.resolved" || type == "elicitation.resolved") {
      left.pending.erase(id);
      left.resolved.insert(id);
    }
    if (cancelled) left.cancelled.emplace(data["message_id"].StringOr(""));
    if (type == "user.message" || run_ended) {
      left.begun[std::string(data["message_id"].StringOr(""))] = (*json)["run"].StringOr("");
    }
    return true;
  });
  if (!scanned) return scanned.error();
  // Every event of an open run carries it, so the last event tells.
  auto json = JsonDocument::Parse(last);
  if (!json || run_ended) return left;
  left.run = (*json)["run"].StringOr("");
  if (left.run.empty()) return left;
  // Its id is the number of its first event.
  auto begin = log_->PositionAfter(std::strtoull(left.run.c_str() + 1, nullptr, 10) - 1);
  if (!begin) return begin.error();
  scanned = log_->Scan(*begin, [&left](const FrameView& frame, std::string_view) {
    auto started = JsonDocument::Parse(frame.envelope);
    if (!started || (*started)["run"].StringOr("") != left.run) return false;  // trimmed away
    left.message_id = (*started)["data"]["message_id"].StringOr("");
    left.run_started_ms = TimeOf(started->root());
    return false;
  });
  if (!scanned) return scanned.error();
  if (!left.message_id.empty()) left.begun[left.message_id] = left.run;
  return left;
}

// The log is written before the record: where a run or the process ended in between, it knows better.
void Agent::CatchUp(const LeftOver& left) {
  const uint64_t known = LastRun() ? LastRun()->number() : 0;
  for (const std::string& envelope : left.run_ends) {
    auto json = JsonDocument::Parse(envelope);
    if (!json) continue;
    Run run = RunOf(json->root());
    // Where the disk was full the record may have gone on without it.
    context_.store.AddRun({id(), run.number(), run.ToJson()}, [](const Status&) {});
    if (run.number() > known) TakeRunEnd(std::move(run));
  }
  auto failed = JsonDocument::Parse(left.failed);
  const bool unknown =
      failed && static_cast<uint64_t>((*failed)["seq"].AsInt().value_or(0)) > last_cursor_.seq;
  if (unknown) {
    const JsonValue data = (*failed)["data"];
    broken_ = Error{std::string(data["code"].StringOr("")), std::string(data["message"].StringOr(""))};
    failure_output_ = data["output"].StringOr("");
    wanted_ = false;
  }
  auto exited = JsonDocument::Parse(left.exited);
  if (!exited || TimeOf(exited->root()) <= exited_ms_) return;
  const JsonValue data = (*exited)["data"];
  if (!data["code"] && !data["signal"]) return;  // there was no process, or its end was not seen
  exit_ = ExitFromJson(data);
  exited_ms_ = TimeOf(exited->root());
  const bool content = exit_->signal == 0 && exit_->code == 0;
  if (spec_.restart.when == RestartPolicy::When::kOnFailure && content) wanted_ = false;
}

// A run that ended without the record's knowing.
void Agent::TakeRunEnd(Run run) {
  if (auto usage = JsonDocument::Parse(run.usage)) usage_.Add(Usage::FromJson(usage->root()));
  const bool ours = run.error.code == "daemon_restarted";  // and no fault of the agent's
  if (has_turns_ && run.status == Run::Status::kFailed && !ours) inbox_.Pause();
  if (has_turns_ && run.status == Run::Status::kCompleted) inbox_.Resume();
  runs_.push_back(std::move(run));
}

void Agent::CloseLeftOver(const LeftOver& left) {
  if (!left.run.empty()) {
    run_.emplace();
    run_->id = left.run;
    run_->message_id = left.message_id;
    run_->started_ms = left.run_started_ms != 0 ? left.run_started_ms : context_.clock.WallMs();
    run_->usage = left.usage;
  }
  for (const auto& [asked, elicitation] : left.pending) {
    Append(elicitation ? "elicitation.resolved" : "approval.resolved",
           JsonObject()
               .Set("id", asked)
               .Set(elicitation ? "action" : "decision", "withdrawn")
               .Set("by", "daemon")
               .Take());
  }
  if (!left.run.empty()) {
    const bool paused = inbox_.paused();
    const uint64_t pauses = inbox_.pauses();
    EndRun(Run::Status::kFailed, {"daemon_restarted", "the daemon ended in the middle of this run"}, {});
    inbox_.RestorePause(paused, pauses);  // no fault of the agent's: what waits goes on
  }
  if (!left.alive) return;
  Append("agent.exited", JsonObject().Set("reason", "daemon_restarted").Take());
  exited_ms_ = context_.clock.WallMs();
}

}  // namespace reeve
