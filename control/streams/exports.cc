#include "control/streams/exports.h"

#include <fmt/core.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "control/streams/agent_export.h"
#include "process/loop.h"
#include "process/watch.h"

namespace reeve {

namespace {

constexpr int64_t kScanMs = 250;
// From the last byte to the end of the connection: closing on unread bytes could destroy what was sent.
constexpr int64_t kLingerMs = 2'000;
// Whoever says more than this while it downloads is not a client of ours.
constexpr size_t kMaxUpload = size_t{64} << 10;

}  // namespace

class Exports::Download {
 public:
  Download(Exports& hub, std::unique_ptr<Watch> socket, std::vector<std::string> ids, uint64_t opened_by,
           std::string head)
      : token(opened_by),
        hub_(hub),
        socket_(std::move(socket)),
        ids_(std::move(ids)),
        out_(std::move(head)),
        progress_ms_(hub.loop_.NowMs()) {
    // What the reader has not room for stays in the log, not in the kernel.
    const int low_water = 128 << 10;
    (void)setsockopt(socket_->fd(), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &low_water, sizeof low_water);
    socket_->SetReady([this](int events) { OnReady(events); });
    socket_->Want(Watch::kRead | Watch::kWrite);
  }

  // Its end; the object goes later.
  void Close() {
    gone_ = true;
    export_.reset();
    socket_.reset();
  }
  [[nodiscard]] bool Overdue(int64_t now_ms) const {
    return now_ms - progress_ms_ > (state_ == State::kSent ? kLingerMs : hub_.limits_.stall_ms);
  }

  const uint64_t token;

 private:
  enum class State {
    kSending,
    kLast,  // the last chunk is made
    kSent,  // and gone: waits for the reader's end
  };
  enum class Sent { kAll, kSome, kGone };

  void OnReady(int events) {
    if (events & Watch::kRead) Listen();
    if (!gone_ && (events & Watch::kWrite)) Pump();
  }

  // Nothing is to be heard but its end.
  void Listen() {
    char ignored[4096];
    const ssize_t got = recv(socket_->fd(), ignored, sizeof ignored, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got > 0) uploaded_ += static_cast<size_t>(got);
    if (got <= 0 || uploaded_ > kMaxUpload) hub_.Remove(*this);
  }

  void Pump() {
    for (int pieces = 0; pieces < hub_.limits_.pieces_a_turn; ++pieces) {
      if (out_.empty() && state_ == State::kLast) {
        state_ = State::kSent;
        shutdown(socket_->fd(), SHUT_WR);
        return socket_->Want(Watch::kRead);
      }
      if (out_.empty() && !Fill()) return socket_->Want(Watch::kRead);  // the disk is waited for
      switch (Send()) {
        case Sent::kGone:
          return;
        case Sent::kSome:
          return socket_->Want(Watch::kRead | Watch::kWrite);
        case Sent::kAll:
          break;
      }
    }
    socket_->Want(Watch::kRead | Watch::kWrite);
  }

  // Makes the next chunk. False: not now.
  bool Fill() {
    std::string lines;
    bool waiting = false;
    while (lines.size() < hub_.limits_.piece_bytes && !waiting) {
      if (!export_ && next_ == ids_.size()) break;
      if (!export_) {
        export_ = std::make_unique<AgentExport>(hub_.loop_, hub_.town_, hub_.store_, ids_[next_++], [this] {
          progress_ms_ = hub_.loop_.NowMs();  // it was the disk that was slow
          Pump();
        });
      }
      const auto progress = export_->Fill(lines, hub_.limits_.piece_bytes);
      if (progress == AgentExport::Progress::kDone) export_.reset();
      waiting = progress == AgentExport::Progress::kWaiting;
    }
    if (lines.empty() && waiting) return false;
    if (!lines.empty()) out_ = fmt::format("{:x}\r\n{}\r\n", lines.size(), lines);
    if (!export_ && next_ == ids_.size()) {
      out_ += "0\r\n\r\n";
      state_ = State::kLast;
    }
    return true;
  }

  Sent Send() {
    const ssize_t sent =
        send(socket_->fd(), out_.data() + sent_, out_.size() - sent_, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) {
      if (errno == EAGAIN || errno == EINTR) return Sent::kSome;
      hub_.Remove(*this);
      return Sent::kGone;
    }
    progress_ms_ = hub_.loop_.NowMs();
    sent_ += static_cast<size_t>(sent);
    if (sent_ < out_.size()) return Sent::kSome;
    out_.clear();
    sent_ = 0;
    return Sent::kAll;
  }

  Exports& hub_;
  std::unique_ptr<Watch> socket_;
  const std::vector<std::string> ids_;
  size_t next_ = 0;
  std::unique_ptr<AgentExport> export_;  // of the present one
  std::string out_;                      // the head, or one chunk
  size_t sent_ = 0;
  State state_ = State::kSending;
  bool gone_ = false;
  int64_t progress_ms_;
  size_t uploaded_ = 0;
};

Exports::Exports(Loop& loop, Town& town, Store& store, Limits limits)
    : loop_(loop), town_(town), store_(store), limits_(limits), scan_(loop, [this] { CheckTimeouts(); }) {}

Exports::~Exports() = default;

Status Exports::Open(Reply& reply, std::vector<std::string> ids, const Headers& headers,
                     const std::string& request_id, uint64_t token) {
  if (all_.size() >= limits_.downloads) {
    return Error{"too_many_exports",
                 std::to_string(limits_.downloads) + " downloads are under way already, which is the most"};
  }
  std::unique_ptr<Watch> socket = reply.TakeSocket();
  if (!socket) return {};  // the client has left meanwhile
  Headers all = {
      {"Content-Type", "application/x-ndjson"}, {"Transfer-Encoding", "chunked"}, {"Connection", "close"}};
  all.insert(all.end(), headers.begin(), headers.end());
  all_.push_back(std::make_unique<Download>(*this, std::move(socket), std::move(ids), token,
                                            FormatHead(200, all, request_id)));
  if (!scan_.active()) scan_.Start(kScanMs, kScanMs);
  return {};
}

void Exports::Remove(Download& download) {
  auto found =
      std::find_if(all_.begin(), all_.end(), [&download](const auto& one) { return one.get() == &download; });
  if (found == all_.end()) return;
  gone_.push_back(std::move(*found));
  all_.erase(found);
  gone_.back()->Close();
}

void Exports::CloseByToken(uint64_t token) {
  std::vector<Download*> theirs;
  for (auto& download : all_) {
    if (download->token == token) theirs.push_back(download.get());
  }
  for (Download* download : theirs) Remove(*download);
}

void Exports::CheckTimeouts() {
  gone_.clear();
  std::vector<Download*> overdue;
  for (auto& download : all_) {
    if (download->Overdue(loop_.NowMs())) overdue.push_back(download.get());
  }
  for (Download* download : overdue) Remove(*download);
  if (all_.empty() && gone_.empty()) scan_.Stop();
}

}  // namespace reeve
