#include "control/streams/viewers.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "control/http/answer_stream.h"
#include "control/http/http.h"
#include "orchestrator/agent/agent.h"
#include "orchestrator/json/json.h"
#include "orchestrator/log/event_log.h"
#include "orchestrator/town.h"
#include "process/log.h"
#include "process/loop.h"

namespace reeve {

namespace {

// CheckTimeouts visits all viewers once a second, a twentieth at a time.
constexpr int64_t kScanMs = 50;
constexpr size_t kScanParts = 20;
constexpr int64_t kScanSliceUs = 1'000;
// From the goodbye to the end of the connection.
constexpr int64_t kCloseMs = 5'000;
// With several agents on one connection, each agent's turn has at most this many bytes.
constexpr uint64_t kTurnBytes = uint64_t{64} << 10;
// A filter processes at most this much of the log at a time.
constexpr size_t kFilterBytes = size_t{64} << 10;
// Attributes of the resume cookie. A browser sends it for a page of another site only with the second ones,
// and accepts these only over TLS (RFC 6265bis section 5.6.7.2).
constexpr char kSameSite[] = "; HttpOnly; SameSite=Strict";
constexpr char kCrossSite[] = "; HttpOnly; SameSite=None; Secure";
// A disk that loses a page so many times in a row, before it can be used, is treated as unreadable.
constexpr int kMaxCold = 4;
// A chunk that lacks bytes is completed in steps of this size.
constexpr size_t kMaxPadding = size_t{64} << 10;

int64_t NowUs() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

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

// One open stream. It sends pending_ first, then the log of active_.front() from its position on. Only
// active_.front() may have a position within a frame: a switch to another agent, and every control frame,
// happens between two frames.
class Viewers::Viewer {
 public:
  struct Source final : EventLog::Reader {
    Source(Viewer& of, Agent& shown, EventLog& read) : viewer(of), agent(shown), log(read) {
      log.AddReader(this);
    }
    ~Source() { log.RemoveReader(this); }
    void OnTrim(uint64_t kept_from) override { viewer.Trimmed(*this, kept_from); }
    void OnCommit() override {
      if (!active) viewer.Activate(*this);
      viewer.hub_.Enqueue(viewer);
    }

    Viewer& viewer;
    Agent& agent;
    EventLog& log;
    uint64_t position = 0;
    Cursor counted;  // the last event that the statistics contain
    // Events that were deleted before they were sent, or are damaged. They are reported when the next event
    // is sent, so that several deletions in a row are one gap.
    std::optional<EventLog::Start::Gap> gap;
    bool synced = false;
    bool active = false;  // is in active_
  };

  Viewer(Viewers& hub, std::unique_ptr<AnswerStream> answer, const StreamRequest& request)
      : hub_(hub),
        stream_(hub.next_stream_++),
        several_(request.several),
        all_agents_(request.all_agents),
        follow_(request.follow),
        token_(request.grant.token),
        types_(request.types),
        answer_(std::move(answer)),
        last_write_ms_(hub.loop_.NowMs()) {}

  // An agent to show, and the position in its log at which to begin.
  struct Shown {
    Agent* agent;
    EventLog* log;
    EventLog::Start start;
  };
  static Result<Shown> Find(const Town& town, const StreamRequest::From& from);
  void Begin(const StreamRequest& request, const std::vector<Shown>& shown);
  void Show(const Shown& shown, const std::string& resume);

  // Writes pending bytes, at most its share. Returns true if there are more and the socket takes them.
  bool Pump();
  void Bye(const char* reason);
  void Leave(Agent& agent);
  void Drop() { hub_.Remove(*this); }
  void Close();
  void CheckTimeouts(int64_t now_ms);

  [[nodiscard]] bool Shows(const Agent& agent) const {
    return std::any_of(sources_.begin(), sources_.end(),
                       [&agent](const auto& source) { return &source->agent == &agent; });
  }

  Viewers& hub_;
  const uint64_t stream_;
  const bool several_;
  const bool all_agents_;
  const bool follow_;
  const uint64_t token_;
  bool queued_ = false;   // is in the hub's ready_
  bool blocked_ = false;  // the socket is full; waits for kWrite
  bool gone_ = false;

 private:
  enum class Sent { kAll, kSome, kGone };

  void OnReady(int events);
  void Activate(Source& source);
  [[nodiscard]] std::string& Control();
  void Block();
  bool Fill();
  bool FillFiltered(Source& source);
  Sent Send();
  void NextAfter(const Source& last);
  void End();
  [[nodiscard]] const char* EndReason() const;
  void Trimmed(Source& source, uint64_t kept_from);
  void ReportGap(const Source& source, const EventLog::Start::Gap& gap);
  void ReportOpenGaps();
  void Count(Source& source, Cursor last);
  void Miss(Source& source, const EventLog::Start::Gap& gap, uint64_t position);
  void CountSent(Source& source);
  void Failed(Source& source, const Error& error);

  const TypeFilter types_;
  std::unique_ptr<AnswerStream> answer_;
  std::vector<std::unique_ptr<Source>> sources_;
  std::vector<Source*> active_;  // sources with unsent events; the first one is being sent
  std::string pending_;          // control frames, and events that passed a filter
  size_t pending_sent_ = 0;
  size_t open_gaps_ = 0;  // sources with a gap
  int64_t share_ = 0;     // bytes that may still be sent or filtered in this turn
  int64_t last_write_ms_;
  int64_t blocked_since_ms_ = 0;
  int64_t bye_ms_ = 0;  // when the goodbye was queued; 0: it was not
  bool ended_ = false;  // the end of the answer is sent; the client closes the connection
  bool warming_ = false;
  bool torn_ = false;  // the rest of a frame that was sent in part cannot be read

  // One part of a sendmsg; a null source means pending_.
  struct Piece {
    Source* source;
    size_t bytes;
  };
  static constexpr int kMaxPieces = AnswerStream::kMaxPieces;
};

// ------------------------------------------------------------------------------------------------ a viewer

void Viewers::Viewer::Begin(const StreamRequest& request, const std::vector<Shown>& shown) {
  std::string resume = hub_.tickets_.OpenStream(stream_, request.grant, request.url_ticket);
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
  pending_ = "retry: " + std::to_string(2000 + stream_ * 7919 % 1000) + "\n\n";
  if (shown.empty())
    AppendControl(pending_, "stream.hello",
                  JsonObject().Set("heartbeat_ms", hub_.limits_.heartbeat_ms).Set("resume", resume).Take());
  for (const Shown& one : shown) Show(one, resume);
  for (const std::string& agent : request.missing) {
    const bool gone = !hub_.town_.Find(agent);
    AppendControl(
        Control(), "stream.bye",
        JsonObject().Set("agent", agent).Set("reason", gone ? "agent_deleted" : "unreadable").Take());
  }
  answer_->socket().SetReady([this](int events) { OnReady(events); });
  answer_->socket().Want(Watch::kRead);
}

// Adds an agent: the hello, a gap if events were lost, and the start position.
void Viewers::Viewer::Show(const Shown& shown, const std::string& resume) {
  const EventLog& log = *shown.log;
  JsonObject hello;
  if (several_) hello.Set("agent", shown.agent->id());
  hello.Set("epoch", log.epoch())
      .Set("oldest", log.oldest().ToString())
      .Set("head", log.committed().ToString())
      .Set("heartbeat_ms", hub_.limits_.heartbeat_ms);
  if (!resume.empty()) hello.Set("resume", resume);
  AppendControl(Control(), "stream.hello", hello.Take());

  auto source = std::make_unique<Source>(*this, *shown.agent, *shown.log);
  source->position = shown.start.position;
  if (const auto& gap = shown.start.gap) {
    ++hub_.stats_.gaps;
    if (gap->to.seq > gap->from.seq) hub_.stats_.gap_events += gap->to.seq - gap->from.seq;
    source->counted = gap->to;
    ReportGap(*source, *gap);
  } else if (auto cursor = log.CursorAt(source->position)) {
    source->counted = *cursor;
    if (!several_) AppendCursor(pending_, *cursor);
  }
  Activate(*source);
  sources_.push_back(std::move(source));
  hub_.Enqueue(*this);
}

void Viewers::Viewer::Activate(Source& source) {
  source.active = true;
  active_.push_back(&source);
}

void Viewers::Viewer::Close() {
  for (const auto& source : sources_) CountSent(*source);
  active_.clear();
  sources_.clear();
  answer_.reset();
  std::string().swap(pending_);
}

// Returns the buffer for control frames. First completes a frame that was sent in part.
std::string& Viewers::Viewer::Control() {
  if (active_.empty() || !types_.all()) return pending_;  // a filter has taken whole frames
  Source& source = *active_.front();
  auto end = source.log.FrameEnd(source.position);
  int cold = 0;  // reads in a row
  while (end && source.position < *end) {
    auto view = source.log.Read(source.position, *end - source.position, hub_.scratch_);
    if (!view && view.error().code == "cold" && ++cold <= kMaxCold) {
      source.log.Warm(source.position)();  // rare, and only one frame, so it may block
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
    source.position += view->bytes;
  }
  // A frame whose first part was sent cannot be completed. A frame of which nothing was sent can be skipped.
  if (!end) torn_ = torn_ || !source.log.Skip(source.position);
  return pending_;
}

bool Viewers::Viewer::Pump() {
  if (gone_ || blocked_ || ended_ || warming_) return false;
  if (torn_) {
    Drop();  // it may reconnect with its cursor and is told then
    return false;
  }
  share_ = static_cast<int64_t>(hub_.limits_.share_bytes);
  bool again = true;  // after a partial write try once more, then wait
  while (share_ > 0) {
    const bool filled = Fill();
    if (torn_ && !gone_) {  // the frames in pending_ would follow a part of another
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
    Block();
    return false;
  }
  return true;
}

void Viewers::Viewer::Block() {
  blocked_ = true;
  blocked_since_ms_ = hub_.loop_.NowMs();
  answer_->socket().Want(Watch::kRead | Watch::kWrite);
}

// Ensures that there is something to send, and removes sources at the end of their log from active_. Returns
// false if there is nothing to send, now or ever, or if this turn's share is used up.
bool Viewers::Viewer::Fill() {
  while (!gone_ && !warming_ && share_ > 0) {
    if (open_gaps_ > 0) ReportOpenGaps();
    while (bye_ms_ == 0 && !active_.empty() &&
           active_.front()->position == active_.front()->log.end_position()) {
      Source& source = *active_.front();
      Count(source, source.log.committed());
      active_.erase(active_.begin());
      source.active = false;
      if (std::exchange(source.synced, true)) continue;
      JsonObject synced;
      if (several_) synced.Set("agent", source.agent.id());
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
bool Viewers::Viewer::FillFiltered(Source& source) {
  const uint64_t from = source.position;
  if (!source.log.InMemory(from)) {
    ++hub_.stats_.disk_reads;
    auto warm = source.log.Read(from, kFilterBytes, hub_.scratch_);
    if (!warm && warm.error().code != "damaged") {  // Scan leaves out what is damaged
      Failed(source, warm.error());
      return false;
    }
  }
  auto next = source.log.Scan(
      from, [this, &source, read = size_t{0}](const FrameView& frame, std::string_view bytes) mutable {
        if (frame.id.seq > source.counted.seq + 1) return false;  // damaged events are missing before it
        const bool matches = types_.Matches(frame.type);
        if (matches) pending_ += bytes;
        ++(matches ? hub_.stats_.delivered : hub_.stats_.filtered);
        source.counted = frame.id;
        read += bytes.size();
        return read < kFilterBytes;
      });
  if (!next) {
    Failed(source, next.error());
    return false;
  }
  share_ -= static_cast<int64_t>(*next - from);  // filtering is work too
  auto there = source.log.CursorAt(*next);
  if (there && there->seq == source.counted.seq) {
    source.position = *next;
    return true;
  }
  auto found = source.log.Find(source.counted);
  if (!found || !found->gap) {
    Failed(source, found ? Error{"internal", "events were skipped"} : found.error());
    return false;
  }
  Miss(source, *found->gap, found->position);
  return true;
}

// Everything is delivered. Returns the reason why nothing can follow, or null if something can.
const char* Viewers::Viewer::EndReason() const {
  if (sources_.empty() || all_agents_) return nullptr;
  bool deleted = true;
  for (const auto& source : sources_) {
    if (!source->agent.ended() || source->log.dirty()) return nullptr;
    deleted = deleted && source->agent.deleted();
  }
  if (deleted) return "agent_deleted";
  return follow_ ? nullptr : "agent_exited";
}

// The goodbye has been sent. The connection continues without this viewer, or the client closes it, or
// CheckTimeouts does.
void Viewers::Viewer::End() {
  ended_ = answer_->End();
  if (!ended_) return Block();
  if (!answer_->open()) Drop();
}

Viewers::Viewer::Sent Viewers::Viewer::Send() {
  iovec iov[kMaxPieces];
  Piece plan[kMaxPieces];
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
    for (Source* source : active_) {
      if (total == most) break;
      const uint64_t end = source->log.end_position();
      uint64_t stop = end;
      if (active_.size() > 1 && end - source->position > kTurnBytes) {
        if (auto frame_end = source->log.FrameEnd(source->position + kTurnBytes)) stop = *frame_end;
      }
      const bool in_memory = source->log.InMemory(source->position);
      if (from_disk && !in_memory) break;  // there is only one scratch buffer
      auto view = source->log.Read(source->position,
                                   std::min<uint64_t>(stop - source->position, most - total), hub_.scratch_);
      if (!view) {
        if (total == 0) Failed(*source, view.error());
        break;
      }
      if (!in_memory) {
        from_disk = true;
        ++hub_.stats_.disk_reads;
      }
      if (count + view->count > kMaxPieces) break;
      for (int i = 0; i < view->count; ++i) {
        iov[count] = view->pieces[i];
        plan[count++] = {source, view->pieces[i].iov_len};
      }
      total += view->bytes;
      if (source->position + view->bytes != end) break;  // the next agent's turn begins at the end of a frame
    }
  }
  if (total == 0 && !answer_->unsent()) return gone_ || warming_ ? Sent::kGone : Sent::kAll;

  const AnswerStream::Sent sent = answer_->Send(iov, count);
  if (sent.gone) {
    Drop();
    return Sent::kGone;
  }
  ++hub_.stats_.writes;
  hub_.stats_.bytes += sent.content;
  share_ -= static_cast<int64_t>(sent.content);
  if (sent.content > 0) last_write_ms_ = hub_.loop_.NowMs();
  size_t left = sent.content;
  Source* last = nullptr;
  for (int i = 0; i < count && left > 0; ++i) {
    const size_t part = std::min(left, plan[i].bytes);
    left -= part;
    if (plan[i].source) {
      last = plan[i].source;
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
void Viewers::Viewer::NextAfter(const Source& last) {
  auto next = std::find(active_.begin(), active_.end(), &last);
  auto frame_end = last.log.FrameEnd(last.position);
  if (frame_end && *frame_end == last.position) ++next;
  std::rotate(active_.begin(), next, active_.end());
}

void Viewers::Viewer::OnReady(int events) {
  if (events & Watch::kWrite) {
    blocked_ = false;
    answer_->socket().Want(Watch::kRead);
    hub_.Enqueue(*this);
  }
  if ((events & Watch::kRead) && !answer_->Receive()) Drop();
}

// The log is about to delete everything before `kept_from`.
void Viewers::Viewer::Trimmed(Source& source, uint64_t kept_from) {
  if (gone_ || source.position >= kept_from) return;
  if (!active_.empty() && active_.front() == &source)
    (void)Control();  // completes a frame that was sent in part
  if (source.position >= kept_from) return;
  auto from = source.log.CursorAt(source.position);
  auto to = source.log.CursorAt(kept_from);
  if (!from || !to) {
    log::Failure("closing a viewer of agent {}: {}", source.agent.id(), (from ? to : from).error().message);
    return Drop();  // it may reconnect with its cursor and is told then
  }
  Count(source, *from);
  Miss(source, {*from, *to, "expired"}, kept_from);
}

// The viewer cannot have these events. It continues at `position`.
void Viewers::Viewer::Miss(Source& source, const EventLog::Start::Gap& gap, uint64_t position) {
  hub_.stats_.gap_events += gap.to.seq - gap.from.seq;
  hub_.stats_.gap_bytes += position - source.position;
  source.counted = gap.to;
  source.position = position;
  if (source.gap) {
    source.gap->to = gap.to;
  } else {
    source.gap = gap;
    ++open_gaps_;
    ++hub_.stats_.gaps;
  }
}

void Viewers::Viewer::ReportGap(const Source& source, const EventLog::Start::Gap& gap) {
  JsonObject json;
  if (several_) json.Set("agent", source.agent.id());
  json.Set("from", gap.from.ToString()).Set("to", gap.to.ToString()).Set("reason", gap.reason);
  AppendControl(Control(), "stream.gap", json.Take());
  if (!several_) AppendCursor(pending_, gap.to);
}

void Viewers::Viewer::ReportOpenGaps() {
  for (const auto& source : sources_) {
    if (auto gap = std::exchange(source->gap, std::nullopt)) ReportGap(*source, *gap);
  }
  open_gaps_ = 0;
}

// The events up to `last` are sent.
void Viewers::Viewer::Count(Source& source, Cursor last) {
  if (last.seq <= source.counted.seq) return;
  hub_.stats_.delivered += last.seq - source.counted.seq;
  source.counted = last;
}

// Counts the events that were sent to a viewer which ends behind the head of the log.
void Viewers::Viewer::CountSent(Source& source) {
  const auto end = source.log.FrameEnd(source.position);
  const auto cursor = end ? source.log.CursorAt(*end) : Result<Cursor>(end.error());
  if (!cursor || !types_.all()) return;
  const bool within_frame = *end != source.position;
  Count(source, {cursor->epoch, cursor->seq - (within_frame && cursor->seq > 0 ? 1 : 0)});
}

// Reading the log failed. A part that is not in the page cache is fetched off the loop, and damaged events
// are skipped. Any other error is logged; the viewer is closed and may reconnect with its cursor.
void Viewers::Viewer::Failed(Source& source, const Error& error) {
  if (error.code == "damaged") {
    if (const auto next = source.log.Skip(source.position)) {
      Count(source, next->gap->from);
      return Miss(source, *next->gap, next->position);
    }
  }
  if (error.code != "cold") {
    log::Failure("closing a viewer of agent {}: {}", source.agent.id(), error.message);
    Drop();
    return;
  }
  warming_ = true;
  hub_.loop_.Offload(
      source.log.Warm(source.position),
      [&hub = hub_, stream = stream_] {
        if (Viewer* viewer = hub.FindStream(stream)) {
          viewer->warming_ = false;
          hub.Enqueue(*viewer);
        }
      },
      Loop::Loss::kHarmless);
}

void Viewers::Viewer::Bye(const char* reason) {
  if (gone_ || bye_ms_ != 0) return;
  AppendControl(Control(), "stream.bye", JsonObject().Set("reason", reason).Take());
  bye_ms_ = hub_.loop_.NowMs();
  hub_.Enqueue(*this);
}

// The log of an agent is about to be destroyed.
void Viewers::Viewer::Leave(Agent& agent) {
  if (!several_) {
    Bye("agent_deleted");
  } else {
    AppendControl(Control(), "stream.bye",
                  JsonObject().Set("agent", agent.id()).Set("reason", "agent_deleted").Take());
    hub_.Enqueue(*this);
  }
  auto shows = [&agent](const Source* source) { return &source->agent == &agent; };
  for (const auto& source : sources_) {
    if (!shows(source.get())) continue;
    CountSent(*source);
    if (source->gap) --open_gaps_;
  }
  active_.erase(std::remove_if(active_.begin(), active_.end(), shows), active_.end());
  sources_.erase(std::remove_if(sources_.begin(), sources_.end(),
                                [&shows](const auto& source) { return shows(source.get()); }),
                 sources_.end());
}

void Viewers::Viewer::CheckTimeouts(int64_t now_ms) {
  if (bye_ms_ != 0) {
    if (now_ms - bye_ms_ > kCloseMs) Drop();
    return;
  }
  if (blocked_) {
    if (now_ms - blocked_since_ms_ > hub_.limits_.stall_ms) {
      ++hub_.stats_.too_slow;
      Bye("too_slow");
    }
    return;
  }
  if (queued_ || !active_.empty() || !pending_.empty()) return;
  if (now_ms - last_write_ms_ < hub_.limits_.heartbeat_ms) return;
  pending_ = ": keepalive\n\n";
  for (const auto& source : sources_) {
    JsonObject beat;
    if (several_) beat.Set("agent", source->agent.id());
    AppendControl(pending_, "stream.heartbeat", beat.Set("head", source->log.committed().ToString()).Take());
  }
  if (sources_.empty()) AppendControl(pending_, "stream.heartbeat", "{}");
  if (!several_ && !sources_.empty()) AppendCursor(pending_, sources_.front()->log.committed());
  (void)Pump();
}

// --------------------------------------------------------------------------------------------- all viewers

Viewers::Viewers(Loop& loop, Town& town, TicketStore& tickets, Limits limits)
    : loop_(loop), town_(town), tickets_(tickets), limits_(limits), scan_(loop, [this] {
        CheckTimeouts();
      }) {}

Viewers::~Viewers() = default;

// Where a viewer of this agent begins.
Result<Viewers::Viewer::Shown> Viewers::Viewer::Find(const Town& town, const StreamRequest::From& from) {
  Agent* agent = town.Find(from.agent);
  if (!agent) return Error{"agent_not_found", "there is no agent " + from.agent};
  auto log = agent->log();
  if (!log) return log.error();
  EventLog::Start start{(*log)->end_position(), {}};
  if (from.after) {
    auto found = (*log)->Find(*from.after);
    if (!found) return found.error();
    start = *found;
  }
  return Shown{agent, *log, start};
}

Status Viewers::Open(Reply& reply, StreamRequest request, uint64_t replaces) {
  std::vector<Viewer::Shown> shown;
  bool over = !request.follow && !request.all_agents;
  Status first_failure;
  for (const StreamRequest::From& from : request.agents) {
    auto found = Viewer::Find(town_, from);
    if (!found) {
      if (first_failure) first_failure = found.error();
      request.missing.push_back(from.agent);
      continue;
    }
    const EventLog& log = *found->log;
    over = over && found->agent->ended() && from.after && !found->start.gap &&
           found->start.position == log.end_position() && !log.dirty();
    shown.push_back(*found);
  }
  if (!first_failure && (!request.several || shown.empty())) return first_failure;
  if (over) return Error{"stream_ended", "everything has been delivered"};
  std::unique_ptr<AnswerStream> answer = reply.OpenStream();
  if (!answer) return {};  // the client left meanwhile
  if (Viewer* old = FindStream(replaces)) old->Bye("replaced");
  if (!scan_.active()) scan_.Start(kScanMs, kScanMs);
  all_.push_back(std::make_unique<Viewer>(*this, std::move(answer), request));
  all_.back()->Begin(request, shown);
  ++stats_.opened;
  return {};
}

void Viewers::Enqueue(Viewer& viewer) {
  if (viewer.queued_ || viewer.gone_ || viewer.blocked_) return;
  viewer.queued_ = true;
  ready_.push_back(&viewer);
}

bool Viewers::Serve() {
  const int64_t begin = NowUs();
  const size_t end = ready_.size();  // a viewer that is added now waits for the next turn
  for (size_t served = 0; next_ < end; ++served) {
    if (served % 16 == 15 && NowUs() - begin > limits_.slice_ms * 1000) break;
    Viewer& viewer = *ready_[next_++];
    viewer.queued_ = false;
    if (viewer.Pump()) Enqueue(viewer);
  }
  // Under overload the list is never empty, so its served part is removed now and then.
  if (next_ == ready_.size() || next_ > 65'536) {
    ready_.erase(ready_.begin(), ready_.begin() + static_cast<std::ptrdiff_t>(next_));
    next_ = 0;
  }
  gone_.erase(std::remove_if(gone_.begin(), gone_.end(), [](const auto& viewer) { return !viewer->queued_; }),
              gone_.end());
  return next_ < ready_.size();
}

void Viewers::Remove(Viewer& viewer) {
  if (viewer.gone_) return;
  viewer.gone_ = true;
  tickets_.CloseStream(viewer.stream_);
  auto found =
      std::find_if(all_.begin(), all_.end(), [&viewer](const auto& one) { return one.get() == &viewer; });
  gone_.push_back(std::move(*found));
  *found = std::move(all_.back());
  all_.pop_back();
  gone_.back()->Close();
}

Viewers::Viewer* Viewers::FindStream(uint64_t stream) const {
  auto found =
      std::find_if(all_.begin(), all_.end(), [stream](const auto& one) { return one->stream_ == stream; });
  return stream == 0 || found == all_.end() ? nullptr : found->get();
}

void Viewers::CheckTimeouts() {
  const int64_t begin = NowUs();
  const int64_t now_ms = loop_.NowMs();
  size_t share = all_.size() / kScanParts + 1;
  for (; share > 0 && !all_.empty(); --share) {
    if (checked_ >= all_.size()) checked_ = 0;
    // The last viewer takes the place of a removed one, and is then checked in the next round.
    all_[checked_++]->CheckTimeouts(now_ms);
    if (NowUs() - begin > kScanSliceUs) break;
  }
  if (closed_ && (all_.empty() || now_ms > close_deadline_ms_)) {
    auto closed = std::exchange(closed_, nullptr);
    closed();
  }
  if (all_.empty() && !closed_) scan_.Stop();  // no viewers: an idle daemon sleeps
}

void Viewers::Shutdown(int64_t timeout_ms, std::function<void()> closed) {
  for (auto& viewer : all_) viewer->Bye("shutdown");
  close_deadline_ms_ = loop_.NowMs() + timeout_ms;
  closed_ = std::move(closed);
  scan_.Start(kScanMs, kScanMs);
}

void Viewers::CloseByToken(uint64_t token) {
  std::vector<Viewer*> theirs;
  for (auto& viewer : all_) {
    if (viewer->token_ == token) theirs.push_back(viewer.get());
  }
  for (Viewer* viewer : theirs) viewer->Drop();
}

void Viewers::AgentMade(Agent& agent) {
  auto log = agent.log();
  if (!log) return;
  for (auto& viewer : all_) {
    if (viewer->all_agents_) viewer->Show({&agent, *log, {(*log)->begin_position(), {}}}, "");
  }
}

void Viewers::AgentDeleted(Agent& agent) {
  for (auto& viewer : all_) {
    if (viewer->Shows(agent)) Enqueue(*viewer);
  }
}

void Viewers::AgentPurged(Agent& agent) {
  for (auto& viewer : all_) {
    if (viewer->Shows(agent)) viewer->Leave(agent);
  }
}

Viewers::Stats Viewers::stats() const {
  Stats stats = stats_;
  stats.viewers = all_.size();
  stats.blocked = static_cast<size_t>(
      std::count_if(all_.begin(), all_.end(), [](const auto& viewer) { return viewer->blocked_; }));
  return stats;
}

}  // namespace reeve
