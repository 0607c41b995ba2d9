#include "control/streams/viewers.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <utility>

#include "control/http/http.h"
#include "orchestrator/agent/agent.h"
#include "orchestrator/json/json.h"
#include "orchestrator/log/event_log.h"
#include "orchestrator/town.h"
#include "process/log.h"
#include "process/loop.h"

namespace reeve {

namespace {

// The looking-after goes once round all viewers in a second, a twentieth at a time.
constexpr int64_t kScanMs = 50;
constexpr size_t kScanParts = 20;
constexpr int64_t kScanSliceUs = 1'000;
// From the goodbye to the end of the connection.
constexpr int64_t kCloseMs = 5'000;
// Several agents on one connection take turns after so much.
constexpr uint64_t kTurnBytes = uint64_t{64} << 10;
// A filter is applied to so much of the log at a time.
constexpr size_t kFilterBytes = size_t{64} << 10;
// A client has nothing to say on a stream; one that says more than this is not one of ours.
constexpr size_t kMaxUpload = size_t{64} << 10;

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

void AppendCursor(std::string& out, Cursor cursor) { out += "id: " + cursor.ToString() + "\n\n"; }

}  // namespace

// One open stream. Its bytes are, in this order: what stands in pending_, then the log of the first of
// active_ from its position on. Only the first of active_ may stand within a frame: between two agents'
// events, and before a control frame, every position is a frame's first byte.
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
    bool synced = false;
    bool active = false;  // stands in active_
  };

  Viewer(Viewers& hub, std::unique_ptr<Watch> socket, const StreamRequest& request)
      : hub_(hub),
        stream_(hub.next_stream_++),
        several_(request.several),
        all_agents_(request.all_agents),
        follow_(request.follow),
        token_(request.grant.token),
        types_(request.types),
        socket_(std::move(socket)),
        last_write_ms_(hub.loop_.NowMs()) {}

  // An agent to show, and where in its log to begin.
  struct Shown {
    Agent* agent;
    EventLog* log;
    EventLog::Start start;
  };
  void Begin(const StreamRequest& request, const std::vector<Shown>& shown);
  void Show(const Shown& shown, const std::string& resume);

  // Writes what there is to write, at most its share. True: there is more and the socket takes it.
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
  bool queued_ = false;   // stands in the hub's ready_
  bool blocked_ = false;  // the socket is full: waits for kWrite
  bool gone_ = false;

 private:
  enum class Sent { kAll, kSome, kGone };

  void OnReady(int events);
  void Activate(Source& source);
  [[nodiscard]] std::string& Control();
  bool Fill();
  bool FillFiltered(Source& source);
  Sent Send();
  void NextAfter(const Source& last);
  void Shut();
  [[nodiscard]] const char* EndReason() const;
  void Trimmed(Source& source, uint64_t kept_from);
  void Gap(const Source& source, Cursor from, Cursor to, const char* reason);
  void Failed(const Source& source, const Error& error);

  const TypeFilter types_;
  std::unique_ptr<Watch> socket_;
  std::vector<std::unique_ptr<Source>> sources_;
  std::vector<Source*> active_;  // those that are not at their log's end, the one being sent first
  std::string pending_;          // control frames, and what a filter let through
  size_t pending_sent_ = 0;
  int64_t share_ = 0;  // bytes that may still be sent, or looked at, in this turn
  int64_t last_write_ms_;
  int64_t blocked_since_ms_ = 0;
  int64_t bye_ms_ = 0;  // when we said goodbye; 0: we have not
  bool shut_ = false;   // nothing more will be written
  bool warming_ = false;
  size_t uploaded_ = 0;

  // What the present sendmsg is made of.
  struct Piece {
    Source* source;
    size_t bytes;
  };
  static constexpr int kMaxPieces = 16;
};

// ------------------------------------------------------------------------------------------------ a viewer

void Viewers::Viewer::Begin(const StreamRequest& request, const std::vector<Shown>& shown) {
  // Unsent bytes beyond this stay in the log instead of in the kernel, where a stalled viewer would cost
  // megabytes.
  const int low_water = 128 << 10;
  (void)setsockopt(socket_->fd(), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &low_water, sizeof low_water);

  std::string resume = hub_.tickets_.OpenStream(stream_, request.grant, request.url_ticket);
  Headers headers = {
      {"Content-Type", "text/event-stream; charset=utf-8"},
      {"Cache-Control", "no-store, no-transform"},
      {"X-Accel-Buffering", "no"},
      {"Connection", "close"},
  };
  if (!request.url_ticket.empty() && !several_) {
    headers.emplace_back("Set-Cookie", TicketStore::CookieName(request.url_ticket) + "=" + resume +
                                           "; HttpOnly; SameSite=Strict; Path=" + request.cookie_path);
  }
  headers.insert(headers.end(), request.headers.begin(), request.headers.end());
  pending_ = FormatHead(200, headers, request.request_id);
  // Reconnections spread out, so that a restart is not followed by a stampede.
  pending_ += "retry: " + std::to_string(2000 + stream_ * 7919 % 1000) + "\n\n";
  if (shown.empty())
    AppendControl(pending_, "stream.hello",
                  JsonObject().Set("heartbeat_ms", hub_.limits_.heartbeat_ms).Set("resume", resume).Take());
  for (const Shown& one : shown) Show(one, resume);
  socket_->SetReady([this](int events) { OnReady(events); });
  socket_->Want(Watch::kRead);
}

// Adds an agent: hello, what was lost, and where it goes on.
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
    Gap(*source, gap->from, gap->to, gap->reason);
  } else if (auto cursor = log.CursorAt(source->position); cursor && !several_) {
    AppendCursor(pending_, *cursor);
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
  active_.clear();
  sources_.clear();
  socket_.reset();
  std::string().swap(pending_);
}

// Where control frames are appended. A frame that was sent in part is finished first.
std::string& Viewers::Viewer::Control() {
  if (active_.empty()) return pending_;
  Source& source = *active_.front();
  auto end = source.log.FrameEnd(source.position);
  while (end && source.position < *end) {
    auto view = source.log.Read(source.position, *end - source.position, hub_.scratch_);
    if (!view && view.error().code == "cold") {
      source.log.Warm(source.position)();  // rare: one frame, here and now
      continue;
    }
    if (!view || view->bytes == 0) break;
    for (int i = 0; i < view->count; ++i) {
      pending_.append(static_cast<const char*>(view->pieces[i].iov_base), view->pieces[i].iov_len);
    }
    source.position += view->bytes;
  }
  return pending_;
}

bool Viewers::Viewer::Pump() {
  if (gone_ || blocked_ || shut_ || warming_) return false;
  share_ = static_cast<int64_t>(hub_.limits_.share_bytes);
  bool again = true;  // after a partial write once more, then wait
  while (share_ > 0) {
    if (!Fill()) return share_ <= 0;  // nothing to send, or nothing found in all that could be looked at
    switch (Send()) {
      case Sent::kGone:
        return false;
      case Sent::kAll:
        continue;  // Fill knows what follows: perhaps the goodbye
      case Sent::kSome:
        break;
    }
    if (again) {
      again = false;
      continue;
    }
    blocked_ = true;
    blocked_since_ms_ = hub_.loop_.NowMs();
    socket_->Want(Watch::kRead | Watch::kWrite);
    return false;
  }
  return true;
}

// Makes sure that there is something to send, and takes those out of active_ that are at the end of their
// log. False when there is nothing to send, now or any more, or when this turn's share is used up.
bool Viewers::Viewer::Fill() {
  while (!gone_ && !warming_ && share_ > 0) {
    while (bye_ms_ == 0 && !active_.empty() &&
           active_.front()->position == active_.front()->log.end_position()) {
      Source& source = *active_.front();
      active_.erase(active_.begin());
      source.active = false;
      if (std::exchange(source.synced, true)) continue;
      JsonObject synced;
      if (several_) synced.Set("agent", source.agent.id());
      AppendControl(pending_, "stream.synced", synced.Take());
    }
    if (pending_.size() > pending_sent_) return true;
    if (bye_ms_ != 0) {
      Shut();
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

// Takes what the filter lets through of the next part of the log.
bool Viewers::Viewer::FillFiltered(Source& source) {
  const uint64_t from = source.position;
  if (!source.log.InMemory(from)) {
    ++hub_.stats_.disk_reads;
    if (auto warm = source.log.Read(from, kFilterBytes, hub_.scratch_); !warm) {
      Failed(source, warm.error());
      return false;
    }
  }
  auto next =
      source.log.Scan(from, [this, read = size_t{0}](const FrameView& frame, std::string_view bytes) mutable {
        if (types_.Matches(frame.type)) pending_ += bytes;
        read += bytes.size();
        return read < kFilterBytes;
      });
  if (!next) {
    Failed(source, next.error());
    return false;
  }
  share_ -= static_cast<int64_t>(*next - from);  // looked at is work, too
  source.position = *next;
  return true;
}

// All is delivered: why nothing more can come, or null if something can.
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

// The goodbye has been sent. The client closes now, or CheckTimeouts does.
void Viewers::Viewer::Shut() {
  shut_ = true;
  shutdown(socket_->fd(), SHUT_WR);
}

Viewers::Viewer::Sent Viewers::Viewer::Send() {
  iovec iov[kMaxPieces];
  Piece plan[kMaxPieces];
  int count = 0;
  size_t total = 0;
  if (pending_.size() > pending_sent_) {
    iov[count] = {pending_.data() + pending_sent_, pending_.size() - pending_sent_};
    total += iov[count].iov_len;
    plan[count++] = {nullptr, iov[0].iov_len};
  }
  if (types_.all() && bye_ms_ == 0) {
    bool from_disk = false;
    for (Source* source : active_) {
      const uint64_t end = source->log.end_position();
      uint64_t stop = end;
      if (active_.size() > 1 && end - source->position > kTurnBytes) {
        if (auto frame_end = source->log.FrameEnd(source->position + kTurnBytes)) stop = *frame_end;
      }
      const bool in_memory = source->log.InMemory(source->position);
      if (from_disk && !in_memory) break;  // there is one scratch
      auto view = source->log.Read(source->position, stop - source->position, hub_.scratch_);
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
      if (source->position + view->bytes != end) break;  // the next agent's turn comes at a frame's end
    }
  }
  if (total == 0) return gone_ ? Sent::kGone : warming_ ? Sent::kGone : Sent::kAll;

  msghdr message{};
  message.msg_iov = iov;
  message.msg_iovlen = static_cast<size_t>(count);
  ssize_t sent = sendmsg(socket_->fd(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent < 0) {
    if (errno == EAGAIN || errno == EINTR) return Sent::kSome;
    Drop();  // it has left
    return Sent::kGone;
  }
  ++hub_.stats_.writes;
  hub_.stats_.bytes += static_cast<uint64_t>(sent);
  share_ -= sent;
  last_write_ms_ = hub_.loop_.NowMs();
  auto left = static_cast<size_t>(sent);
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
  return static_cast<size_t>(sent) < total ? Sent::kSome : Sent::kAll;
}

// `last` was sent last: if it stands within a frame it goes on with that, else it lets the others go first.
void Viewers::Viewer::NextAfter(const Source& last) {
  auto next = std::find(active_.begin(), active_.end(), &last);
  auto frame_end = last.log.FrameEnd(last.position);
  if (frame_end && *frame_end == last.position) ++next;
  std::rotate(active_.begin(), next, active_.end());
}

void Viewers::Viewer::OnReady(int events) {
  if (events & Watch::kWrite) {
    blocked_ = false;
    socket_->Want(Watch::kRead);
    hub_.Enqueue(*this);
  }
  if (!(events & Watch::kRead)) return;
  char ignored[4096];
  ssize_t got = recv(socket_->fd(), ignored, sizeof ignored, MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got > 0) uploaded_ += static_cast<size_t>(got);
  if (got <= 0 || uploaded_ > kMaxUpload) Drop();
}

// The log is about to let go of everything before `kept_from`.
void Viewers::Viewer::Trimmed(Source& source, uint64_t kept_from) {
  if (gone_ || source.position >= kept_from) return;
  if (!active_.empty() && active_.front() == &source) (void)Control();  // the rest of a frame sent in part
  if (source.position >= kept_from) return;
  auto from = source.log.CursorAt(source.position);
  auto to = source.log.CursorAt(kept_from);
  source.position = kept_from;
  if (!from || !to) {
    log::Failure("a viewer of agent {}: {}", source.agent.id(), (from ? to : from).error().message);
    return Drop();  // it may come back with its cursor, and is told there
  }
  Gap(source, *from, *to, "expired");
}

void Viewers::Viewer::Gap(const Source& source, Cursor from, Cursor to, const char* reason) {
  ++hub_.stats_.gaps;
  JsonObject gap;
  if (several_) gap.Set("agent", source.agent.id());
  gap.Set("from", from.ToString()).Set("to", to.ToString()).Set("reason", reason);
  AppendControl(Control(), "stream.gap", gap.Take());
  if (!several_) AppendCursor(pending_, to);
}

// The log cannot be read on. A part that is not in the page cache is fetched off the loop; anything else is
// told to the log of the daemon, and the viewer may come back with its cursor.
void Viewers::Viewer::Failed(const Source& source, const Error& error) {
  if (error.code != "cold") {
    log::Failure("a viewer of agent {}: {}", source.agent.id(), error.message);
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

// An agent's log goes away.
void Viewers::Viewer::Leave(Agent& agent) {
  if (!several_) {
    Bye("agent_deleted");
  } else {
    AppendControl(Control(), "stream.bye",
                  JsonObject().Set("agent", agent.id()).Set("reason", "agent_deleted").Take());
    hub_.Enqueue(*this);
  }
  auto shows = [&agent](const Source* source) { return &source->agent == &agent; };
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

// ------------------------------------------------------------------------------------------------ all of
// them

Viewers::Viewers(Loop& loop, Town& town, TicketStore& tickets, Limits limits)
    : loop_(loop), town_(town), tickets_(tickets), limits_(limits), scan_(loop, [this] {
        CheckTimeouts();
      }) {}

Viewers::~Viewers() = default;

Status Viewers::Open(Reply& reply, const StreamRequest& request, uint64_t replaces) {
  std::vector<Viewer::Shown> shown;
  bool over = !request.follow && !request.all_agents;
  for (const StreamRequest::From& from : request.agents) {
    Agent* agent = town_.Find(from.agent);
    if (!agent) return Error{"agent_not_found", "there is no agent " + from.agent};
    auto log = agent->log();
    if (!log) return log.error();
    EventLog::Start start{(*log)->end_position(), {}};
    if (from.after) {
      auto found = (*log)->Find(*from.after);
      if (!found) return found.error();
      start = *found;
    }
    over = over && agent->ended() && from.after && !start.gap && start.position == (*log)->end_position() &&
           !(*log)->dirty();
    shown.push_back({agent, *log, start});
  }
  if (over) return Error{"stream_ended", "everything has been delivered"};
  std::unique_ptr<Watch> socket = reply.TakeSocket();
  if (!socket) return {};  // the client has left meanwhile
  if (Viewer* old = FindStream(replaces)) old->Bye("replaced");
  if (!scan_.active()) scan_.Start(kScanMs, kScanMs);
  all_.push_back(std::make_unique<Viewer>(*this, std::move(socket), request));
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
  const size_t end = ready_.size();  // who is put back waits for the next turn
  for (size_t served = 0; next_ < end; ++served) {
    if (served % 16 == 15 && NowUs() - begin > limits_.slice_ms * 1000) break;
    Viewer& viewer = *ready_[next_++];
    viewer.queued_ = false;
    if (viewer.Pump()) Enqueue(viewer);
  }
  // Under overload the list is never empty: what has been served is cut off now and then.
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
    if (looked_at_ >= all_.size()) looked_at_ = 0;
    // A viewer that leaves is replaced by the last one, which is then looked at in the next round.
    all_[looked_at_++]->CheckTimeouts(now_ms);
    if (NowUs() - begin > kScanSliceUs) break;
  }
  if (closed_ && (all_.empty() || now_ms > close_deadline_ms_)) {
    auto closed = std::exchange(closed_, nullptr);
    closed();
  }
  if (all_.empty() && !closed_) scan_.Stop();  // nobody is there: an idle daemon sleeps
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
