#include "control/api/event_pages.h"

#include <utility>

#include "orchestrator/agent/agent.h"
#include "orchestrator/json/json.h"
#include "orchestrator/log/event_log.h"
#include "orchestrator/town.h"
#include "process/loop.h"

namespace reeve {

// One request. While it is read, only the pool uses it.
struct EventPages::Page {
  Page(std::string of, Range wanted, Reply to)
      : agent(std::move(of)), range(std::move(wanted)), reply(std::move(to)) {}

  Status Find(EventLog& log);
  void Scan();
  [[nodiscard]] Response Answer() const;

  const std::string agent;
  const Range range;
  Reply reply;

  EventLog::Start start;
  EventLog::Files files;
  Cursor cursor;  // after the last event that was read
  std::string events;
  bool hole = false;  // damaged events follow the cursor. The next page begins with this gap
  bool more = false;
  Status scanned;
};

Status EventPages::Page::Find(EventLog& log) {
  auto found = log.Find(range.after.value_or(Cursor{}));
  if (!found) return found.error();
  start = *found;
  if (range.tail != 0) {
    const uint64_t head = log.committed().seq;
    auto position = log.PositionAfter(head > range.tail ? head - range.tail : 0);
    if (!position) return position.error();
    start.position = *position;
  }
  auto at = log.CursorAt(start.position);
  if (!at) return at.error();
  cursor = *at;
  files = log.FilesFrom(start.position, kMaxScanBytes);
  return {};
}

void EventPages::Page::Scan() {
  const uint64_t most = range.tail != 0 ? range.tail : range.limit;
  uint64_t count = 0;
  uint64_t read = 0;
  auto end = files.Scan(start.position, [&](const FrameView& frame, std::string_view bytes) {
    hole = frame.id.seq > cursor.seq + 1;
    if (hole) return false;
    cursor = frame.id;
    read += bytes.size();
    if (range.types.Matches(frame.type)) {
      if (!events.empty()) events += ',';
      events += frame.envelope;
      ++count;
    }
    return count < most && events.size() < kMaxPageBytes && read < kMaxScanBytes;
  });
  scanned = end ? Status() : Status(end.error());
  more = end && (hole || *end < files.log_end || cursor.seq < files.log_head.seq);
}

Response EventPages::Page::Answer() const {
  if (!scanned) return Response::Problem(scanned.error());
  std::string gap = "null";
  if (start.gap) {
    gap = JsonObject()
              .Set("from", start.gap->from.ToString())
              .Set("to", start.gap->to.ToString())
              .Set("reason", start.gap->reason)
              .Take();
  }
  std::string list = "[";
  list.append(events).append("]");
  return Response::Json(200, JsonObject()
                                 .SetRaw("events", list)
                                 .Set("cursor", cursor.ToString())
                                 .Set("more", more)
                                 .SetRaw("gap", gap)
                                 .Take());
}

void EventPages::Read(std::string agent, Range range, Reply reply) {
  Begin(std::make_shared<Page>(std::move(agent), std::move(range), std::move(reply)));
}

void EventPages::Begin(std::shared_ptr<Page> page) {
  if (reading_ == kMaxReading) return waiting_.push_back(std::move(page));
  Agent* agent = town_.Find(page->agent);
  if (!agent) {
    return page->reply.Send(Response::Problem({"agent_not_found", "there is no agent " + page->agent}));
  }
  auto log = agent->log();
  const Status found = log ? page->Find(**log) : Status(log.error());
  if (!found) return page->reply.Send(Response::Problem(found.error()));
  ++reading_;
  loop_.Offload([page] { page->Scan(); }, alive_.Guard([this, page] { Finish(page); }),
                Loop::Loss::kHarmless);
}

void EventPages::Finish(const std::shared_ptr<Page>& page) {
  --reading_;
  if (!page->scanned && page->scanned.error().code == "expired" && page->events.empty()) {
    Begin(page);  // retention was quicker; now the log knows where it begins
  } else {
    page->reply.Send(page->Answer());
  }
  while (!waiting_.empty() && reading_ < kMaxReading) {
    std::shared_ptr<Page> next = std::move(waiting_.front());
    waiting_.pop_front();
    if (!next->reply.gone()) Begin(std::move(next));
  }
}

}  // namespace reeve
