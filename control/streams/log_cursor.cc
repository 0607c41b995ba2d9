#include "control/streams/log_cursor.h"

#include <utility>

#include "orchestrator/agent/agent.h"
#include "orchestrator/town.h"

namespace reeve {

Result<LogCursor::Place> LogCursor::Find(const Town& town, const std::string& agent,
                                         std::optional<Cursor> after) {
  Agent* found = town.Find(agent);
  if (!found) return Error{"agent_not_found", "there is no agent " + agent};
  auto log = found->log();
  if (!log) return log.error();
  EventLog::Start start{(*log)->end_position(), {}};
  if (after) {
    auto place = (*log)->Find(*after);
    if (!place) return place.error();
    start = *place;
  }
  return Place{found, *log, start};
}

LogCursor::LogCursor(Owner& owner, Deliveries& account, const Place& place)
    : position(place.start.position),
      owner_(owner),
      account_(account),
      agent_(*place.agent),
      log_(*place.log),
      gap_(place.start.gap) {
  if (gap_) {
    ++account_.gaps;
    if (gap_->to.seq > gap_->from.seq) account_.gap_events += gap_->to.seq - gap_->from.seq;
    counted_ = gap_->to;
  } else if (auto cursor = log_.CursorAt(position)) {
    counted_ = *cursor;
  }
  log_.AddReader(this);
}

LogCursor::~LogCursor() { log_.RemoveReader(this); }

void LogCursor::OnCommit() { owner_.OnCommit(*this); }

void LogCursor::OnTrim(uint64_t kept_from) {
  if (position >= kept_from) return;
  owner_.OnTrim(*this);
  if (position >= kept_from) return;
  const auto from = log_.CursorAt(position);
  const auto to = log_.CursorAt(kept_from);
  if (!from || !to) return owner_.OnLost(*this, (from ? to : from).error());
  Delivered(*from);
  Miss({*from, *to, "expired"}, kept_from);
}

void LogCursor::Miss(const EventLog::Start::Gap& gap, uint64_t next) {
  account_.gap_events += gap.to.seq - gap.from.seq;
  account_.gap_bytes += next - position;
  counted_ = gap.to;
  position = next;
  if (gap_) {
    gap_->to = gap.to;
    return;
  }
  gap_ = gap;
  ++account_.gaps;
  owner_.OnGap(*this);
}

std::optional<EventLog::Start::Gap> LogCursor::TakeGap() { return std::exchange(gap_, std::nullopt); }

Result<uint64_t> LogCursor::ReadEvents(const TypeFilter& types, std::string& scratch,
                                       const std::function<void(const FrameView&, std::string_view)>& take) {
  const uint64_t from = position;
  if (!log_.InMemory(from)) {
    ++account_.disk_reads;
    auto warm = log_.Read(from, kReadBytes, scratch);
    if (!warm && warm.error().code != "damaged") return warm.error();  // Scan leaves out what is damaged
  }
  size_t read = 0;
  auto visit = [&](const FrameView& frame, std::string_view bytes) {
    if (frame.id.seq > counted_.seq + 1) return false;  // damaged events are missing before it
    const bool matches = types.Matches(frame.type);
    if (matches) take(frame, bytes);
    ++(matches ? account_.delivered : account_.filtered);
    counted_ = frame.id;
    read += bytes.size();
    return read < kReadBytes;
  };
  const auto next = log_.Scan(from, std::ref(visit));
  if (!next) {
    // The events before the failure are taken. The next call reports it.
    if (read == 0) return next.error();
    position = from + read;
    return read;
  }
  const auto there = log_.CursorAt(*next);
  if (there && there->seq == counted_.seq) {
    position = *next;
    return *next - from;
  }
  const auto found = log_.Find(counted_);
  if (!found) return found.error();
  if (!found->gap) return Error{"internal", "events were skipped"};
  Miss(*found->gap, found->position);
  return *next - from;
}

bool LogCursor::SkipDamaged() {
  const auto next = log_.Skip(position);
  if (!next) return false;
  Delivered(next->gap->from);
  Miss(*next->gap, next->position);
  return true;
}

void LogCursor::Delivered(Cursor last) {
  if (last.seq <= counted_.seq) return;
  account_.delivered += last.seq - counted_.seq;
  counted_ = last;
}

void LogCursor::DeliveredToHere() {
  const auto end = log_.FrameEnd(position);
  const auto cursor = end ? log_.CursorAt(*end) : Result<Cursor>(end.error());
  if (!cursor) return;
  const bool within_frame = *end != position;
  Delivered({cursor->epoch, cursor->seq - (within_frame && cursor->seq > 0 ? 1 : 0)});
}

}  // namespace reeve
