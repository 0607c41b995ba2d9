#include "control/http/web_socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "process/loop.h"
#include "process/tcp_state.h"

namespace reeve {

namespace {

// Bytes for which the peer has no room stay with their owner instead of in the kernel (AnswerStream does the
// same).
constexpr int kLowWater = 128 << 10;
constexpr size_t kJoinBytes = 2048;  // for the kernel a small copy in one piece costs less than two pieces

ssize_t SendBoth(int fd, std::string_view first, std::string_view second) {
  constexpr int kFlags = MSG_NOSIGNAL | MSG_DONTWAIT;
  if (first.empty()) return send(fd, second.data(), second.size(), kFlags);
  if (second.empty()) return send(fd, first.data(), first.size(), kFlags);
  if (first.size() + second.size() <= kJoinBytes) {
    char joined[kJoinBytes];
    std::memcpy(joined, first.data(), first.size());
    std::memcpy(joined + first.size(), second.data(), second.size());
    return send(fd, joined, first.size() + second.size(), kFlags);
  }
  iovec pieces[] = {{const_cast<char*>(first.data()), first.size()},
                    {const_cast<char*>(second.data()), second.size()}};
  msghdr message{};
  message.msg_iov = pieces;
  message.msg_iovlen = 2;
  return sendmsg(fd, &message, kFlags);
}

}  // namespace

WebSocket::WebSocket(TakenSocket socket, std::string head, Limits limits, Listener& listener, Loop& loop)
    : listener_(listener),
      loop_(loop),
      limits_(limits),
      socket_(std::move(socket.socket)),
      reader_(WebSocketReader::Peer::kClient, limits.message_bytes, *this),
      input_(std::move(socket.input)),
      out_(std::move(head)) {
  const int on = 1;
  (void)setsockopt(socket_->fd(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // fails for a Unix socket
  (void)setsockopt(socket_->fd(), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &kLowWater, sizeof kLowWater);
  input_.shrink_to_fit();
  socket_->SetReady([this](int events) { OnReady(events); });
  UpdateWatch();
}

WebSocket::~WebSocket() { (void)Hold(0); }

// ------------------------------------------------------------------------------------------------ the owner

void WebSocket::Queue(std::string_view text) {
  if (!sends()) return;
  AppendFrame(out_, FrameType::kText, text);
  held_ = true;
  ++counts_.queued;
}

void WebSocket::QueuePing(std::string_view payload) {
  if (state_ != State::kOpen) return;
  AppendFrame(out_, FrameType::kPing, payload);
  held_ = true;
}

WebSocket::Sent WebSocket::Send(std::string_view frames) {
  held_ = false;
  if (!sends()) {
    SendOwn();
    UpdateWatch();
    return Sent::kGone;
  }
  const Sent sent = frames.empty() && unsent() == 0 ? Sent::kAll : Write(frames);
  promised_ = sent == Sent::kSome;
  UpdateWatch();
  return sent;
}

void WebSocket::Close(uint16_t code, std::string_view reason) {
  Answered();
  if (state_ != State::kOpen) return;
  end_ = End{code, std::string(reason), false};
  AppendFrame(out_, FrameType::kClose, ClosePayload(code, reason));
  Enter(State::kClosing);
  UpdateWatch();
}

void WebSocket::Answered() {
  if (state_ != State::kAnswering) return;
  AppendFrame(out_, FrameType::kClose, ClosePayload(end_->code, end_->by_peer ? "" : end_->reason));
  Enter(State::kFlushing);
  UpdateWatch();
}

void WebSocket::Drop() {
  if (!end_) end_ = End{};
  Finish();
}

void WebSocket::SetReading(bool on) {
  reading_ = on;
  UpdateWatch();
}

void WebSocket::CheckTime(int64_t now_ms) {
  if (state_ == State::kEnded) return;
  if (state_ == State::kLingering) {
    if (Waited(entered_ms_, now_ms) >= kLingerMs) Finish();
    return;
  }
  CheckPeer(now_ms);
  CheckMessage(now_ms);
  if (state_ == State::kClosing) {
    if (unsent() > 0) {
      entered_ms_.reset();
    } else if (Waited(entered_ms_, now_ms) >= kCloseMs) {
      Finish();
    }
  }
  if (state_ != State::kOpen || Waited(pinged_ms_, now_ms) < limits_.ping_ms) return;
  pinged_ms_ = now_ms;
  if (unsent() > 0) return;  // the peer has enough to confirm
  AppendFrame(out_, FrameType::kPing, {});
  SendOwn();
  UpdateWatch();
}

// ------------------------------------------------------------------------------------------------ the peer

void WebSocket::OnReady(int events) {
  if (!input_.empty()) Feed(std::exchange(input_, {}));
  if (events & Watch::kWrite) {
    blocked_ = false;
    if (!sends() && held_) {
      // The owner queued these messages before it closed. They may be of this turn, which is not on disk yet.
      // The next event is of a later one.
      held_ = false;
      return UpdateWatch();
    }
    if (sends() && std::exchange(promised_, false)) listener_.OnWritable();
  }
  if (events & Watch::kRead) Read();
  if (events & Watch::kHangUp) OnHangUp();
  SendOwn();
  UpdateWatch();
}

void WebSocket::Read() {
  if (state_ == State::kEnded) return;
  char bytes[kReadBytes];
  const ssize_t got = recv(socket_->fd(), bytes, sizeof bytes, MSG_DONTWAIT);
  if (got < 0) {
    if (errno != EAGAIN && errno != EINTR) Lost(errno);
    return;
  }
  if (got == 0) return Lost(0);
  const auto size = static_cast<size_t>(got);
  counts_.received_bytes += size;
  if (state_ != State::kLingering) return Feed({bytes, size});
  lingered_bytes_ += size;
  if (lingered_bytes_ > kLingerBytes) Finish();
}

// Returns false if all connections together hold too much.
bool WebSocket::Hold(size_t partial) {
  if (!limits_.budget) return true;
  size_t& used = limits_.budget->used;
  used = used - std::exchange(partial_, partial) + partial;
  return partial == 0 || used <= limits_.budget_bytes;
}

void WebSocket::Feed(std::string_view bytes) {
  auto failure = reader_.Feed(bytes);
  if (!Hold(reader_.partial()) && !failure)
    failure =
        WebSocketReader::Failure{close_code::kTryAgainLater, "the calls that are arriving hold too much"};
  if (failure) EndInput(failure->code, failure->reason, false);
}

// The peer has closed the connection, or broken a rule.
void WebSocket::EndInput(uint16_t code, std::string_view reason, bool by_peer) {
  if (state_ == State::kClosing) Enter(State::kFlushing);
  if (state_ != State::kOpen) return;
  end_ = End{code, std::string(reason), by_peer};
  Enter(State::kAnswering);
  listener_.OnLast();
}

void WebSocket::OnText(std::string_view message) {
  if (state_ != State::kOpen) return;
  ++counts_.received;
  listener_.OnText(message);
}

void WebSocket::OnPing(std::string_view payload) {
  if (state_ != State::kOpen) return;  // nothing follows a close frame
  if (pongs_ < kMaxPongs) {
    AppendFrame(out_, FrameType::kPong, payload);
    ++pongs_;
  } else {
    late_pong_ = payload;
  }
}

void WebSocket::OnPong(std::string_view payload) {
  if (!payload.empty() && state_ == State::kOpen) listener_.OnPong(payload);
}

void WebSocket::OnClose(uint16_t code, std::string_view reason) { EndInput(code, reason, true); }

// Nothing is read, so the end may be behind bytes that are wanted later.
void WebSocket::OnHangUp() {
  if (state_ == State::kEnded) return;
  hung_up_ = true;
  int broken = 0;
  socklen_t size = sizeof broken;
  if (getsockopt(socket_->fd(), SOL_SOCKET, SO_ERROR, &broken, &size) != 0 || broken != 0) Lost(broken);
}

// ------------------------------------------------------------------------------------------------ the socket

// Sends what may go without the owner, and ends a close whose frames are sent.
void WebSocket::SendOwn() {
  if (state_ == State::kLingering || state_ == State::kEnded) return;
  if (unsent() > 0 && !held_ && !blocked_ && Write({}) == Sent::kGone) return;
  if (state_ != State::kFlushing || unsent() > 0) return;
  if (shutdown(socket_->fd(), SHUT_WR) != 0) return Lost(errno);
  Enter(State::kLingering);
}

WebSocket::Sent WebSocket::Write(std::string_view frames) {
  const size_t left = unsent();
  const ssize_t result = SendBoth(socket_->fd(), std::string_view(out_).substr(out_sent_), frames);
  if (result < 0 && errno != EAGAIN && errno != EINTR) {
    ++counts_.send_failures;
    Lost(errno);
    return Sent::kGone;
  }
  const size_t took = result < 0 ? 0 : static_cast<size_t>(result);
  counts_.sent_bytes += took;
  out_sent_ += std::min(took, left);
  frames.remove_prefix(took - std::min(took, left));
  if (unsent() == 0) {
    std::string().swap(out_);  // an idle connection keeps no buffer
    out_sent_ = 0;
    pongs_ = 0;
  } else if (out_sent_ > out_.size() / 2) {
    out_.erase(0, out_sent_);
    out_sent_ = 0;
  }
  out_ += frames;
  if (unsent() == 0 && late_pong_ && sends()) {
    AppendFrame(out_, FrameType::kPong, *late_pong_);
    late_pong_.reset();
  }
  blocked_ = unsent() > 0;
  return blocked_ ? Sent::kSome : Sent::kAll;
}

// Ends the connection if the peer is dead. Bytes that wait for the socket must be taken now and then, however
// slowly. While none wait, a peer that takes nothing may pause, but its machine must confirm what was sent.
void WebSocket::CheckPeer(int64_t now_ms) {
  const auto tcp = TcpState::Read(socket_->fd());
  const bool blocked = unsent() > 0;
  const uint64_t sign = !tcp ? counts_.sent_bytes : blocked ? tcp->confirmed_bytes : tcp->segments_in;
  if (std::exchange(last_sign_, sign) != sign) stalled_ms_ = now_ms;
  if (!blocked && !(tcp && tcp->in_flight > 0)) return stalled_ms_.reset();
  if (Waited(stalled_ms_, now_ms) < limits_.write_ms) return;
  if (!end_) end_ = End{close_code::kInternalError, "the peer takes nothing", false};
  Finish();
}

// A message must not take for ever to arrive.
void WebSocket::CheckMessage(int64_t now_ms) {
  const bool another = std::exchange(checked_messages_, counts_.received) != counts_.received;
  if (state_ != State::kOpen || reader_.partial() == 0 || another) {
    message_ms_.reset();
  } else if (Waited(message_ms_, now_ms) >= limits_.message_ms) {
    Close(close_code::kPolicy,
          "a message did not arrive within " + std::to_string(limits_.message_ms) + " ms");
    SendOwn();
  }
}

int64_t WebSocket::Waited(std::optional<int64_t>& since, int64_t now_ms) const {
  if (!since) since = now_ms;
  return now_ms - *since;
}

void WebSocket::Enter(State state) {
  state_ = state;
  entered_ms_.reset();
}

// The peer has gone: it broke the connection (`error` says how), or closed it (0).
void WebSocket::Lost(int error) {
  if (!end_) end_ = End{close_code::kAbnormal, error == 0 ? "" : std::strerror(error), true};
  Finish();
}

// Calls OnEnd in a later turn, because functions of this object and of the owner may be on the stack.
void WebSocket::Finish() {
  if (state_ == State::kEnded) return;
  Enter(State::kEnded);
  socket_->Want(0);
  ending_ = std::make_unique<Timer>(loop_, [this] {
    socket_.reset();
    const End end = std::move(*end_);
    listener_.OnEnd(end);
  });
  ending_->Start(0);
}

void WebSocket::UpdateWatch() {
  if (state_ == State::kEnded) return;
  const bool read =
      state_ == State::kClosing || state_ == State::kLingering || (state_ == State::kOpen && reading_);
  const bool closing = state_ == State::kClosing || state_ == State::kFlushing;
  const bool write = blocked_ || !input_.empty() || (closing && unsent() > 0);
  socket_->Want((read ? Watch::kRead : 0) | (write ? Watch::kWrite : 0) |
                (read || hung_up_ ? 0 : Watch::kHangUp));
}

}  // namespace reeve
