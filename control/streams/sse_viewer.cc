#include "control/streams/sse_viewer.h"

#include <algorithm>
#include <utility>

#include "control/http/http.h"
#include "control/streams/viewers.h"
#include "orchestrator/agent/agent.h"
#include "orchestrator/json/json.h"
#include "orchestrator/log/event_log.h"
#include "orchestrator/town.h"
#include "process/loop.h"

namespace reeve {

namespace {

// From the goodbye to the end of the connection.
constexpr int64_t kCloseMs = 5'000;
// With several agents on one connection, each agent's turn has at most this many bytes.
constexpr uint64_t kTurnBytes = uint64_t{64} << 10;
// Attributes of the resume cookie. A browser sends it for a page of another site only with the second ones,
// and accepts these only over TLS (RFC 6265bis section 5.6.7.2).
constexpr char kSameSite[] = "; HttpOnly; SameSite=Strict";
constexpr char kCrossSite[] = "; HttpOnly; SameSite=None; Secure";
// A disk that loses a page so many times in a row, before it can be used, is treated as unreadable.
constexpr int kMaxCold = 4;
// A chunk that lacks bytes is completed in steps of this size.
constexpr size_t kMaxPadding = size_t{64} << 10;

void AppendControl(std::string& out, std::string_view type, std::string_view data) {
  out += "event: ";
  out += type;
  out += "\ndata: ";
  out += data;
  out += "\n\n";
}

// A comment of exactly `size` bytes, or blank lines, which mean nothing either.
void AppendPadding(std::string& out, size_t size) {
  if (size < 4) {
    out.append(size, '\n');
  } else {
    out.append(":").append(size - 3, ' ').append("\n\n");
  }
}

void AppendCursor(std::string& out, Cursor cursor) { out += "id: " + cursor.ToString() + "\n\n"; }

}  // namespace

SseViewer::SseViewer(Viewers& hub, std::unique_ptr<AnswerStream> answer, const StreamRequest& request)
    : Viewer(hub, request.grant.token),
      several_(request.several),
      all_agents_(request.all_agents),
      follow_(request.follow),
      types_(request.types),
      answer_(std::move(answer)),
      last_write_ms_(hub.loop().NowMs()) {}

Status SseViewer::Open(Viewers& hub, Reply& reply, StreamRequest request, uint64_t replaces) {
  std::vector<LogCursor::Place> places;
  bool over = !request.follow && !request.all_agents;
  Status first_failure;
  for (const StreamRequest::From& from : request.agents) {
    auto found = LogCursor::Find(hub.town(), from.agent, from.after);
    if (!found) {
      if (first_failure) first_failure = found.error();
      request.missing.push_back(from.agent);
      continue;
    }
    const EventLog& log = *found->log;
    over = over && found->agent->ended() && from.after && !found->start.gap &&
           found->start.position == log.end_position() && !log.dirty();
    places.push_back(*found);
  }
  if (!first_failure && (!request.several || places.empty())) return first_failure;
  if (over) return Error{"stream_ended", "everything has been delivered"};
  std::unique_ptr<AnswerStream> answer = reply.OpenStream();
  if (!answer) return {};  // the client left meanwhile
  std::unique_ptr<SseViewer> viewer(new SseViewer(hub, std::move(answer), request));
  SseViewer& added = *viewer;
  hub.Add(std::move(viewer), replaces);
  added.Begin(request, places);
  return {};
}

void SseViewer::Begin(const StreamRequest& request, const std::vector<LogCursor::Place>& places) {
  std::string resume = hub_.tickets().OpenStream(stream(), request.grant, request.url_ticket);
  Headers headers = {
      {"Content-Type", "text/event-stream; charset=utf-8"},
      {"Cache-Control", "no-store, no-transform"},
      {"X-Accel-Buffering", "no"},
  };
  if (!request.url_ticket.empty() && !several_) {
    headers.emplace_back("Set-Cookie", TicketStore::CookieName(request.url_ticket) + "=" + resume +
                                           (request.cross_site ? kCrossSite : kSameSite) +
                                           "; Path=" + request.cookie_path);
  }
  headers.insert(headers.end(), request.headers.begin(), request.headers.end());
  answer_->Begin(200, std::move(headers), request.request_id);
  // Reconnections are spread out, to avoid a stampede after a restart.
  pending_ = "retry: " + std::to_string(2000 + stream() * 7919 % 1000) + "\n\n";
  if (places.empty())
    AppendControl(pending_, "stream.hello",
                  JsonObject().Set("heartbeat_ms", hub_.limits().heartbeat_ms).Set("resume", resume).Take());
  for (const LogCursor::Place& place : places) Show(place, resume);
  for (const std::string& agent : request.missing) {
    const bool gone = !hub_.town().Find(agent);
    AppendControl(
        Control(), "stream.bye",
        JsonObject().Set("agent", agent).Set("reason", gone ? "agent_deleted" : "unreadable").Take());
  }
  answer_->socket().SetReady([this](int events) { OnReady(events); });
  answer_->socket().Want(Watch::kRead);
  Enqueue();
}

// Adds an agent: the hello, a gap if events were lost, and the start position.
void SseViewer::Show(const LogCursor::Place& place, const std::string& resume) {
  const EventLog& log = *place.log;
  JsonObject hello;
  if (several_) hello.Set("agent", place.agent->id());
  hello.Set("epoch", log.epoch())
      .Set("oldest", log.oldest().ToString())
      .Set("head", log.committed().ToString())
      .Set("heartbeat_ms", hub_.limits().heartbeat_ms);
  if (!resume.empty()) hello.Set("resume", resume);
  AppendControl(Control(), "stream.hello", hello.Take());

  auto cursor = std::make_unique<LogCursor>(*this, hub_.counts(), place);
  if (cursor->has_gap()) {
    ++open_gaps_;
    Report(*cursor);
  } else if (auto start = log.CursorAt(cursor->position); start && !several_) {
    AppendCursor(pending_, *start);
  }
  TakeTurn(*cursor);
  cursors_.push_back(std::move(cursor));
  Enqueue();
}

void SseViewer::TakeTurn(LogCursor& cursor) {
  cursor.in_turn = true;
  active_.push_back(&cursor);
}

void SseViewer::OnCommit(LogCursor& cursor) {
  if (!cursor.in_turn) TakeTurn(cursor);
  Enqueue();
}

void SseViewer::OnTrim(LogCursor& cursor) {
  if (!active_.empty() && active_.front() == &cursor)
    (void)Control();  // completes a frame that was sent in part
}

void SseViewer::OnGap(LogCursor&) { ++open_gaps_; }

void SseViewer::Close() {
  if (types_.all()) {
    for (const auto& cursor : cursors_) cursor->DeliveredToHere();
  }
  active_.clear();
  cursors_.clear();
  answer_.reset();
  std::string().swap(pending_);
}

// Returns the buffer for control frames. First completes a frame that was sent in part.
std::string& SseViewer::Control() {
  if (active_.empty() || !types_.all()) return pending_;  // a filter has taken whole frames
  LogCursor& cursor = *active_.front();
  EventLog& log = cursor.log();
  auto end = log.FrameEnd(cursor.position);
  int cold = 0;  // reads in a row
  while (end && cursor.position < *end) {
    auto view = log.Read(cursor.position, *end - cursor.position, hub_.scratch());
    if (!view && view.error().code == "cold" && ++cold <= kMaxCold) {
      log.Warm(cursor.position)();  // rare, and only one frame, so it may block
      continue;
    }
    if (!view || view->bytes == 0) {
      end = view ? Error{"internal", "the log ends within an event"} : view.error();
      break;
    }
    cold = 0;
    for (int i = 0; i < view->count; ++i) {
      pending_.append(static_cast<const char*>(view->pieces[i].iov_base), view->pieces[i].iov_len);
    }
    cursor.position += view->bytes;
  }
  // A frame whose first part was sent cannot be completed. A frame of which nothing was sent can be skipped.
  if (!end) torn_ = torn_ || !log.Skip(cursor.position);
  return pending_;
}

bool SseViewer::Pump() {
  if (gone() || blocked() || ended_ || warming()) return false;
  if (torn_) {
    Drop();  // it may reconnect with its cursor and is told then
    return false;
  }
  share_ = static_cast<int64_t>(hub_.limits().share_bytes);
  bool again = true;  // after a partial write try once more, then wait
  while (share_ > 0) {
    const bool filled = Fill();
    if (torn_ && !gone()) {  // the frames in pending_ would follow a part of another
      Drop();
      return false;
    }
    if (!filled) return share_ <= 0;  // nothing to send, or the filter used up the share
    switch (Send()) {
      case Sent::kGone:
        return false;
      case Sent::kAll:
        continue;  // Fill decides what follows, for example the goodbye
      case Sent::kSome:
        break;
    }
    if (again) {
      again = false;
      continue;
    }
    WaitForSocket();
    return false;
  }
  return true;
}

void SseViewer::WaitForSocket() {
  Block();
  answer_->socket().Want(Watch::kRead | Watch::kWrite);
}

// Ensures that there is something to send, and removes cursors at the end of their log from active_. Returns
// false if there is nothing to send, now or ever, or if this turn's share is used up.
bool SseViewer::Fill() {
  while (!gone() && !warming() && share_ > 0) {
    if (open_gaps_ > 0) ReportOpenGaps();
    while (bye_ms_ == 0 && !active_.empty() && active_.front()->at_end()) {
      LogCursor& cursor = *active_.front();
      cursor.Delivered(cursor.log().committed());
      active_.erase(active_.begin());
      cursor.in_turn = false;
      if (std::exchange(cursor.synced, true)) continue;
      JsonObject synced;
      if (several_) synced.Set("agent", cursor.agent().id());
      AppendControl(pending_, "stream.synced", synced.Take());
    }
    if (pending_.size() > pending_sent_ || answer_->unsent()) return true;
    const bool at_end = bye_ms_ != 0 || active_.empty();
    if (at_end && answer_->owed() > 0) {
      // Retention or a purge took the bytes that the current chunk needs.
      AppendPadding(pending_, std::min(answer_->owed(), kMaxPadding));
      return true;
    }
    if (bye_ms_ != 0) {
      End();
      return false;
    }
    if (active_.empty()) {
      const char* reason = EndReason();
      if (!reason) return false;
      Bye(reason);
    } else if (types_.all()) {
      return true;
    } else if (!FillFiltered(*active_.front())) {
      return false;
    }
  }
  return false;
}

// Adds the events of the next part of the log that pass the filter.
bool SseViewer::FillFiltered(LogCursor& cursor) {
  const auto read = cursor.ReadEvents(
      types_, hub_.scratch(), [this](const FrameView&, std::string_view bytes) { pending_ += bytes; });
  if (!read) {
    ReadFailed(cursor, read.error());
    return false;
  }
  share_ -= static_cast<int64_t>(*read);  // filtering is work too
  return true;
}

// Everything is delivered. Returns the reason why nothing can follow, or null if something can.
const char* SseViewer::EndReason() const {
  if (cursors_.empty() || all_agents_) return nullptr;
  bool deleted = true;
  for (const auto& cursor : cursors_) {
    if (!cursor->agent().ended() || cursor->log().dirty()) return nullptr;
    deleted = deleted && cursor->agent().deleted();
  }
  if (deleted) return "agent_deleted";
  return follow_ ? nullptr : "agent_exited";
}

// The goodbye has been sent. The connection continues without this viewer, or the client closes it, or
// CheckTimeouts does.
void SseViewer::End() {
  ended_ = answer_->End();
  if (!ended_) return WaitForSocket();
  if (!answer_->open()) Drop();
}

SseViewer::Sent SseViewer::Send() {
  // Each piece is a part of a log, or of pending_ if it has no cursor.
  struct Piece {
    LogCursor* cursor;
    size_t bytes;
  };
  iovec iov[AnswerStream::kMaxPieces];
  Piece plan[AnswerStream::kMaxPieces];
  int count = 0;
  size_t total = 0;
  // A chunk whose size was sent must get exactly that many bytes.
  const size_t most = answer_->owed() > 0 ? answer_->owed() : SIZE_MAX;
  if (pending_.size() > pending_sent_) {
    total = std::min(pending_.size() - pending_sent_, most);
    iov[count] = {pending_.data() + pending_sent_, total};
    plan[count++] = {nullptr, total};
  }
  if (types_.all() && bye_ms_ == 0) {
    bool from_disk = false;
    for (LogCursor* cursor : active_) {
      if (total == most) break;
      EventLog& log = cursor->log();
      const uint64_t end = log.end_position();
      uint64_t stop = end;
      if (active_.size() > 1 && end - cursor->position > kTurnBytes) {
        if (auto frame_end = log.FrameEnd(cursor->position + kTurnBytes)) stop = *frame_end;
      }
      const bool in_memory = log.InMemory(cursor->position);
      if (from_disk && !in_memory) break;  // there is only one scratch buffer
      auto view = log.Read(cursor->position, std::min<uint64_t>(stop - cursor->position, most - total),
                           hub_.scratch());
      if (!view) {
        if (total == 0) ReadFailed(*cursor, view.error());
        break;
      }
      if (!in_memory) {
        from_disk = true;
        ++hub_.counts().disk_reads;
      }
      if (count + view->count > AnswerStream::kMaxPieces) break;
      for (int i = 0; i < view->count; ++i) {
        iov[count] = view->pieces[i];
        plan[count++] = {cursor, view->pieces[i].iov_len};
      }
      total += view->bytes;
      if (cursor->position + view->bytes != end) break;  // the next agent's turn begins at the end of a frame
    }
  }
  if (total == 0 && !answer_->unsent()) return gone() || warming() ? Sent::kGone : Sent::kAll;

  const AnswerStream::Sent sent = answer_->Send(iov, count);
  if (sent.gone) {
    Drop();
    return Sent::kGone;
  }
  ++hub_.counts().writes;
  hub_.counts().bytes += sent.content;
  share_ -= static_cast<int64_t>(sent.content);
  if (sent.content > 0) last_write_ms_ = hub_.loop().NowMs();
  size_t left = sent.content;
  LogCursor* last = nullptr;
  for (int i = 0; i < count && left > 0; ++i) {
    const size_t part = std::min(left, plan[i].bytes);
    left -= part;
    if (plan[i].cursor) {
      last = plan[i].cursor;
      last->position += part;
    } else {
      pending_sent_ += part;
    }
  }
  if (pending_sent_ == pending_.size() && !pending_.empty()) {
    std::string().swap(pending_);  // an idle viewer keeps no buffer
    pending_sent_ = 0;
  }
  if (last && active_.size() > 1) NextAfter(*last);
  return sent.all ? Sent::kAll : Sent::kSome;
}

// `last` was sent last. If its position is within a frame, it continues; otherwise the others go first.
void SseViewer::NextAfter(const LogCursor& last) {
  auto next = std::find(active_.begin(), active_.end(), &last);
  auto frame_end = last.log().FrameEnd(last.position);
  if (frame_end && *frame_end == last.position) ++next;
  std::rotate(active_.begin(), next, active_.end());
}

void SseViewer::OnReady(int events) {
  if (events & Watch::kWrite) {
    answer_->socket().Want(Watch::kRead);
    Unblock();
  }
  if ((events & Watch::kRead) && !answer_->Receive()) Drop();
}

void SseViewer::Report(LogCursor& cursor) {
  const auto gap = cursor.TakeGap();
  if (!gap) return;
  --open_gaps_;
  JsonObject json;
  if (several_) json.Set("agent", cursor.agent().id());
  json.Set("from", gap->from.ToString()).Set("to", gap->to.ToString()).Set("reason", gap->reason);
  AppendControl(Control(), "stream.gap", json.Take());
  if (!several_) AppendCursor(pending_, gap->to);
}

void SseViewer::ReportOpenGaps() {
  for (const auto& cursor : cursors_) Report(*cursor);
}

void SseViewer::Bye(const char* reason) {
  if (gone() || bye_ms_ != 0) return;
  AppendControl(Control(), "stream.bye", JsonObject().Set("reason", reason).Take());
  bye_ms_ = hub_.loop().NowMs();
  Enqueue();
}

bool SseViewer::Shows(const Agent& agent) const {
  return std::any_of(cursors_.begin(), cursors_.end(),
                     [&agent](const auto& cursor) { return &cursor->agent() == &agent; });
}

void SseViewer::AgentMade(Agent& agent, EventLog& log) {
  if (all_agents_) Show({&agent, &log, {log.begin_position(), {}}}, "");
}

void SseViewer::AgentDeleted(Agent& agent) {
  if (Shows(agent)) Enqueue();
}

void SseViewer::AgentPurged(Agent& agent) {
  if (!Shows(agent)) return;
  if (!several_) {
    Bye("agent_deleted");
  } else {
    AppendControl(Control(), "stream.bye",
                  JsonObject().Set("agent", agent.id()).Set("reason", "agent_deleted").Take());
    Enqueue();
  }
  for (const auto& cursor : cursors_) {
    if (&cursor->agent() != &agent) continue;
    if (types_.all()) cursor->DeliveredToHere();
    if (cursor->has_gap()) --open_gaps_;
  }
  std::erase_if(active_, [&agent](const LogCursor* cursor) { return &cursor->agent() == &agent; });
  std::erase_if(cursors_, [&agent](const auto& cursor) { return &cursor->agent() == &agent; });
}

void SseViewer::CheckTimeouts(int64_t now_ms) {
  if (bye_ms_ != 0) {
    if (now_ms - bye_ms_ > kCloseMs) Drop();
    return;
  }
  if (blocked()) {
    if (now_ms - blocked_since_ms() > hub_.limits().stall_ms) {
      ++hub_.counts().too_slow;
      Bye("too_slow");
    }
    return;
  }
  if (queued() || !active_.empty() || !pending_.empty()) return;
  if (now_ms - last_write_ms_ < hub_.limits().heartbeat_ms) return;
  pending_ = ": keepalive\n\n";
  for (const auto& cursor : cursors_) {
    JsonObject beat;
    if (several_) beat.Set("agent", cursor->agent().id());
    AppendControl(pending_, "stream.heartbeat",
                  beat.Set("head", cursor->log().committed().ToString()).Take());
  }
  if (cursors_.empty()) AppendControl(pending_, "stream.heartbeat", "{}");
  if (!several_ && !cursors_.empty()) AppendCursor(pending_, cursors_.front()->log().committed());
  (void)Pump();
}

}  // namespace reeve
