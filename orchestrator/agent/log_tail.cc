#include "orchestrator/agent/log_tail.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "orchestrator/json/json.h"
#include "orchestrator/log/event_log.h"
#include "orchestrator/log/event_types.h"
#include "process/clock.h"

namespace reeve {

namespace {

// Everything important is within this many events, or is found by its number, or follows the event at which a
// message was claimed: a program may print thousands of lines while the store records the claim.
constexpr uint64_t kLookBack = 4096;

void TakeEvent(LogTail& tail, const FrameView& frame) {
  using namespace event_type;
  const std::string_view type = frame.type;
  if (type == kAgentStarting) tail.alive = true;
  if (type == kAgentExited || type == kAgentFailed) tail.alive = false;
  if (type == kAgentExited) tail.exited = frame.envelope;
  tail.failed = type == kAgentFailed ? std::string(frame.envelope) : "";
  if (type == kRunStarted) {
    tail.open.usage.clear();
    tail.open.approvals.clear();
  }
  const bool asked = type == kApprovalRequested || type == kElicitationRequested;
  const bool resolved = type == kApprovalResolved || type == kElicitationResolved;
  const bool ends = EndsRun(type);
  const bool cancelled = type == kMessageCancelled;
  const bool begun = type == kUserMessage || ends;
  if (!asked && !resolved && !cancelled && !begun && type != kUsageUpdated) return;
  auto json = JsonDocument::Parse(frame.envelope);
  if (!json) return;
  const JsonValue data = (*json)["data"];
  const std::string id(data["id"].StringOr("")), message(data["message_id"].StringOr(""));
  if (type == kUsageUpdated) tail.open.usage = data.Raw();
  const std::string run((*json)["run"].StringOr(""));
  if (ends) {
    tail.ended.push_back(Run::FromEnd(json->root()));
    tail.ended.back().approvals = std::exchange(tail.open.approvals, {});
  }
  if (asked) tail.pending.emplace(id, type == kElicitationRequested);
  if (resolved) {
    tail.pending.erase(id);
    const bool elicitation = type == kElicitationResolved;
    const ResolvedApproval ended{id, std::string(data[elicitation ? "action" : "decision"].StringOr("")),
                                 std::string(data["by"].StringOr(""))};
    tail.resolved[id] = ended;
    if (!run.empty()) tail.open.approvals.push_back(ended);
  }
  if (cancelled) tail.cancelled.insert(message);
  if (begun && !message.empty()) tail.begun[message] = run;
}

// The first event of the open run, whose number is in the run's id.
Status FindStart(const EventLog& log, LogTail& tail) {
  auto begin = log.PositionAfter(std::max<uint64_t>(tail.open.number(), 1) - 1);
  if (!begin) return begin.error();
  auto scanned = log.Scan(*begin, [&tail](const FrameView& frame, std::string_view) {
    auto started = JsonDocument::Parse(frame.envelope);
    if (!started || (*started)["run"].StringOr("") != tail.open.id) return false;  // trimmed away
    // Where run.started is trimmed away, the oldest event that is kept of the run says when it began at the
    // latest.
    if (frame.type == event_type::kRunStarted) {
      tail.open.message_id = (*started)["data"]["message_id"].StringOr("");
    }
    tail.open.started_ms = ParseTime(std::string((*started)["time"].StringOr(""))).value_or(0);
    return false;
  });
  if (!scanned) return scanned.error();
  if (!tail.open.message_id.empty()) tail.begun[tail.open.message_id] = tail.open.id;
  return {};
}

}  // namespace

Result<LogTail> LogTail::Read(const EventLog& log, bool was_alive, uint64_t taken_seq) {
  LogTail tail;
  const uint64_t head = log.head().seq;
  if (head == 0) return tail;
  uint64_t after = head > kLookBack ? head - kLookBack : 0;
  if (taken_seq != 0) after = std::min(after, taken_seq);
  auto from = log.PositionAfter(after);
  if (!from) return from.error();
  const bool whole = after == 0 && log.oldest().seq == 0;
  tail.alive = !whole && was_alive;  // unless an event says otherwise
  std::string last;
  bool run_ended = false;
  auto scanned = log.Scan(*from, [&tail, &last, &run_ended](const FrameView& frame, std::string_view) {
    last = frame.envelope;
    run_ended = event_type::EndsRun(frame.type);
    TakeEvent(tail, frame);
    return true;
  });
  if (!scanned) return scanned.error();
  // Every event of an open run carries its id, so the last event shows it.
  auto json = JsonDocument::Parse(last);
  if (json && !run_ended) tail.open.id = (*json)["run"].StringOr("");
  if (tail.open.id.empty()) return tail;
  if (Status found = FindStart(log, tail); !found) return found.error();
  return tail;
}

}  // namespace reeve
