#include "control/api/event_pages.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>

#include "orchestrator/agent/agent.h"
#include "orchestrator/json/json.h"
#include "orchestrator/log/event_log.h"
#include "orchestrator/town.h"
#include "process/loop.h"

namespace reeve {

namespace {

void MakeLower(std::string& text) {
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

// Finds a text in events as they are written, without a difference between upper and lower case of ASCII.
class TextFilter {
 public:
  explicit TextFilter(const std::string& text) : pattern_(Escaped(text)) {}

  [[nodiscard]] bool Matches(std::string_view envelope) {
    if (pattern_.empty()) return true;
    const size_t data = envelope.find(R"("data":)");
    if (data == std::string_view::npos) return false;
    lower_ = envelope.substr(data);
    MakeLower(lower_);
    return ::memmem(lower_.data(), lower_.size(), pattern_.data(), pattern_.size()) != nullptr;
  }

 private:
  // As JSON has it, without the quotation marks.
  static std::string Escaped(const std::string& text) {
    std::string json;
    AppendJsonString(json, text);
    MakeLower(json);
    return json.substr(1, json.size() - 2);
  }

  const std::string pattern_;
  std::string lower_;  // of the present event
};

}  // namespace

// One request. While it is read, only the pool uses it.
struct EventPages::Page {
  Page(std::string of, Range wanted, Reply to)
      : agent(std::move(of)), range(std::move(wanted)), text(range.text), reply(std::move(to)) {}

  Status Find(EventLog& log);
  Status FindBefore(EventLog& log);
  void Scan();
  void ScanBefore();
  [[nodiscard]] bool Matches(const FrameView& frame) {
    return range.types.Matches(frame.type) && text.Matches(frame.envelope);
  }
  [[nodiscard]] Response Answer() const;

  const std::string agent;
  const Range range;
  TextFilter text;
  Reply reply;

  EventLog::Start start;
  EventLog::Files files;
  uint64_t first = 0;  // the number of the first event that the page covers
  Cursor cursor;       // after the last event that was read
  uint64_t last = 0;   // backwards: the number of the last event that the page covers
  bool older = false;  // backwards: the log has events before the window
  std::string events;
  bool hole = false;  // damaged events follow the cursor. The next page begins with this gap
  bool more = false;
  Status scanned;
};

Status EventPages::Page::Find(EventLog& log) {
  if (range.before != 0) return FindBefore(log);
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
  first = cursor.seq + 1;
  files = log.FilesFrom(start.position, kMaxScanBytes);
  return {};
}

// The window that ends with the last event before `before`. Without a filter it needs no more events than the
// page has; with one it is as large as allowed.
Status EventPages::Page::FindBefore(EventLog& log) {
  const uint64_t oldest = log.oldest().seq;
  last = std::min(range.before - 1, log.committed().seq);
  first = last + 1;
  cursor = log.oldest();
  if (last <= oldest) return {};
  const auto end = log.PositionAfter(last);
  if (!end) return end.error();
  const bool all = range.types.all() && range.text.empty();
  const uint64_t size = all ? std::min<uint64_t>(range.max_bytes, kMaxBackBytes) : kMaxBackBytes;
  auto begin = log.FrameEnd(*end - std::min(size, *end - log.begin_position()));
  if (!begin) return begin.error();
  auto nearest = log.PositionAfter(last - 1);  // an event that is larger than the window is a page
  if (all && last - oldest > range.limit) {
    const auto least = log.PositionAfter(last - range.limit);
    if (!least) return least.error();
    begin = std::max(*begin, *least);
  }
  if (!nearest) return nearest.error();
  start.position = std::min(*begin, *nearest);
  older = start.position > log.begin_position();
  auto at = log.CursorAt(start.position);
  if (!at) return at.error();
  cursor = *at;
  first = std::min(cursor.seq + 1, last);  // behind damage the window may be empty
  files = log.FilesFrom(start.position, *end - start.position);
  return {};
}

void EventPages::Page::ScanBefore() {
  std::deque<std::pair<uint64_t, std::string>> found;  // the newest ones, with their numbers
  size_t bytes = 0;
  if (last < first) return;
  auto end = files.Scan(start.position, [&](const FrameView& frame, std::string_view) {
    if (frame.id.seq > last || reply.gone()) return false;
    cursor = frame.id;
    if (!Matches(frame)) return true;
    found.emplace_back(frame.id.seq, frame.envelope);
    bytes += frame.envelope.size();
    while (found.size() > 1 && (found.size() > range.limit || bytes > range.max_bytes)) {
      bytes -= found.front().second.size();
      found.pop_front();
      first = found.front().first;
      older = true;
    }
    return cursor.seq < last;
  });
  scanned = end ? Status() : Status(end.error());
  more = older;
  for (const auto& [seq, envelope] : found) events.append(events.empty() ? "" : ",").append(envelope);
}

void EventPages::Page::Scan() {
  if (range.before != 0) return ScanBefore();
  const uint64_t most = range.tail != 0 ? range.tail : range.limit;
  uint64_t count = 0;
  uint64_t read = 0;
  auto end = files.Scan(start.position, [&](const FrameView& frame, std::string_view bytes) {
    hole = frame.id.seq > cursor.seq + 1;
    if (hole || reply.gone()) return false;
    cursor = frame.id;
    read += bytes.size();
    if (Matches(frame)) {
      if (!events.empty()) events += ',';
      events += frame.envelope;
      ++count;
    }
    return count < most && events.size() < range.max_bytes && read < kMaxScanBytes;
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
                                 .Set("first", first)
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
