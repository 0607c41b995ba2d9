#include "control/cli/client/agent_log.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <queue>
#include <utility>

#include "control/cli/client/agent_names.h"
#include "orchestrator/log/event_types.h"
#include "process/clock.h"

namespace reeve {

namespace {

// The daemon's limit for a page; only its last event may exceed it.
constexpr size_t kPageBytes = size_t{8} << 20;
constexpr size_t kMaxBodyBytes = size_t{64} << 20;
// Shared by all agents that are read at the same time.
constexpr size_t kPageEvents = 1'000;
constexpr size_t kLeastPageEvents = 20;

}  // namespace

AgentLog::AgentLog(const Client& client, std::string agent, Range range, size_t page_events)
    : client_(client), agent_(std::move(agent)), range_(std::move(range)), page_events_(page_events) {}

Status AgentLog::Open() {
  if (range_.tail != 0 || range_.since_ms) {
    // Try the end of the log before reading all of it; mostly the first attempt is enough. With many agents
    // it is small, as the pages of all of them are in memory.
    size_t looked = 0;
    for (const size_t back : {std::max<size_t>(page_events_, range_.tail), kPageEvents, size_t{kMaxTail}}) {
      if (back <= looked) continue;
      looked = back;
      gap_.reset();  // of a shorter attempt
      if (Status fetched = Fetch("tail=" + std::to_string(back), 0); !fetched) return fetched;
      const uint64_t counted = Count();
      const bool enough =
          range_.tail != 0 ? counted >= range_.tail && !cut_ : !events_.empty() && TooOld(events_.front());
      if (!enough) continue;
      skip_ = range_.tail != 0 ? counted - range_.tail : 0;
      return Settle();
    }
  }
  if (range_.tail != 0) {
    auto counted = CountAll();
    if (!counted) return counted.error();
    skip_ = *counted > range_.tail ? *counted - range_.tail : 0;
  }
  gap_.reset();
  if (Status fetched = Fetch("after=0", page_events_); !fetched) return fetched;
  return Settle();
}

Status AgentLog::Next() {
  ++at_;
  return Settle();
}

Status AgentLog::Settle() {
  while (!events_.empty()) {
    for (; at_ < events_.size(); ++at_) {
      if (skip_ == 0 && !TooOld(events_[at_])) return {};
      gap_.reset();  // it is in front of events that are not shown
      if (skip_ > 0 && range_.counts(events_[at_]["type"].StringOr(""))) --skip_;
    }
    if (Status fetched = Fetch("after=" + cursor_, page_events_); !fetched) return fetched;
  }
  return {};
}

Status AgentLog::Fetch(const std::string& where, size_t limit) {
  // A filter may have to read far: an empty page with `more` is not the end.
  const bool tail = where.rfind("tail=", 0) == 0;
  Status fetched = FetchPage(where, limit);
  while (fetched && !tail && events_.empty() && more_) fetched = FetchPage("after=" + cursor_, limit);
  if (tail) cut_ = cut_ || more_;
  return fetched;
}

Status AgentLog::FetchPage(const std::string& where, size_t limit) {
  std::string target = AgentPath(agent_) + "/events?" + where;
  if (limit != 0) target += "&limit=" + std::to_string(limit);
  if (!range_.types.empty()) target += "&types=" + PercentEncode(range_.types);
  HttpRequest request = client_.Request("GET", target);
  request.max_body_bytes = kMaxBodyBytes;
  auto answer = client_.Ask(std::move(request));
  if (!answer) return answer.error();
  auto page = JsonDocument::Parse(answer->body);
  if (!page) return Error{"no_json", "agent " + agent_ + ": the page of events is not JSON"};
  page_ = std::move(*page);
  events_ = (*page_)["events"].Elements();
  at_ = 0;
  cut_ = answer->body.size() >= kPageBytes;
  cursor_ = (*page_)["cursor"].StringOr("");
  more_ = (*page_)["more"].AsBool().value_or(false);
  if (const JsonValue gap = (*page_)["gap"]; gap.Is(JsonType::kObject)) {
    // An earlier page without events may have had one: they are one gap.
    const JsonValue from = gap_ ? (*gap_)["from"] : gap["from"];
    const JsonValue reason = gap_ ? (*gap_)["reason"] : gap["reason"];
    auto joined = JsonDocument::Parse(JsonObject()
                                          .Set("from", from.StringOr(""))
                                          .Set("to", gap["to"].StringOr(""))
                                          .Set("reason", reason.StringOr(""))
                                          .Take());
    if (joined) gap_ = std::move(*joined);
  }
  return {};
}

uint64_t AgentLog::Count() const {
  uint64_t count = 0;
  for (const JsonValue& event : events_) count += range_.counts(event["type"].StringOr("")) ? 1 : 0;
  return count;
}

Result<uint64_t> AgentLog::CountAll() {
  uint64_t count = 0;
  Status fetched = Fetch("after=0", kMaxTail);
  for (; fetched && !events_.empty(); fetched = Fetch("after=" + cursor_, kMaxTail)) count += Count();
  if (!fetched) return fetched.error();
  gap_.reset();  // the pages are read again
  return count;
}

bool AgentLog::TooOld(const JsonValue& event) const {
  if (!range_.since_ms) return false;
  const auto time = ParseTime(std::string(event["time"].StringOr("")));
  return time && *time < *range_.since_ms;
}

std::map<std::string, std::string> PrintPast(const Client& client, const std::vector<std::string>& agents,
                                             const AgentLog::Range& range, EventPrinter& printer,
                                             Console& console) {
  std::vector<std::unique_ptr<AgentLog>> logs;
  const size_t page = std::max(kLeastPageEvents, kPageEvents / std::max<size_t>(agents.size(), 1));
  std::map<std::string, std::string> cursors;
  // The time of each agent's next event; at equal times the agent that was named first wins.
  using Waiting = std::pair<std::string, size_t>;
  std::priority_queue<Waiting, std::vector<Waiting>, std::greater<>> waiting;
  auto wait = [&](size_t i, const Status& read) {
    if (!read) return (void)console.Fail(read.error(), agents[i]);
    if (const JsonValue event = logs[i]->event()) {
      waiting.emplace(event["time"].StringOr(""), i);
    } else {
      if (auto gap = logs[i]->TakeGap()) printer.Gap(agents[i], gap->root());
      cursors[agents[i]] = logs[i]->cursor();
    }
  };
  for (size_t i = 0; i < agents.size(); ++i) {
    logs.push_back(std::make_unique<AgentLog>(client, agents[i], range, page));
    wait(i, logs.back()->Open());
  }
  while (!waiting.empty()) {
    const size_t i = waiting.top().second;
    waiting.pop();
    AgentLog& next = *logs[i];
    if (auto gap = next.TakeGap()) printer.Gap(next.agent(), gap->root());
    printer.Print(next.event());
    wait(i, next.Next());
  }
  return cursors;
}

bool CountsForPeople(std::string_view type) {
  return type != event_type::kAssistantDelta && type != event_type::kReasoningDelta &&
         type != event_type::kToolOutput && type != event_type::kUsageUpdated &&
         type != event_type::kMessageStarted && type != event_type::kMessageDone;
}

}  // namespace reeve
