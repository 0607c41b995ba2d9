#include "control/http/answer_stream.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <string_view>
#include <utility>

namespace reeve {

namespace {

constexpr std::string_view kChunkEnd = "\r\n";
constexpr std::string_view kLastChunk = "0\r\n\r\n";

void AppendChunkSize(std::string& out, size_t size) {
  char digits[sizeof size * 2];
  const auto end = std::to_chars(std::begin(digits), std::end(digits), size, 16).ptr;
  out.append(digits, static_cast<size_t>(end - digits)).append(kChunkEnd);
}

iovec Piece(std::string_view bytes) { return {const_cast<char*>(bytes.data()), bytes.size()}; }

// One system call. For the kernel a small copy in one piece costs less than a chunk in three.
ssize_t SendPieces(int fd, iovec* iov, int count, size_t most) {
  constexpr int kFlags = MSG_NOSIGNAL | MSG_DONTWAIT;
  char joined[2048];
  if (most <= sizeof joined) {
    size_t size = 0;
    for (int i = 0; i < count; ++i) {
      std::memcpy(joined + size, iov[i].iov_base, iov[i].iov_len);
      size += iov[i].iov_len;
    }
    return send(fd, joined, size, kFlags);
  }
  msghdr message{};
  message.msg_iov = iov;
  message.msg_iovlen = static_cast<size_t>(count);
  return sendmsg(fd, &message, kFlags);
}

}  // namespace

AnswerStream::AnswerStream(std::unique_ptr<Watch> socket, bool chunked, std::string input, GiveBack give_back)
    : socket_(std::move(socket)),
      chunked_(chunked),
      give_back_(std::move(give_back)),
      input_(std::move(input)) {
  // Bytes for which the reader has no room stay in the log instead of in the kernel, where a stalled reader
  // would cost megabytes.
  const int low_water = 128 << 10;
  (void)setsockopt(socket_->fd(), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &low_water, sizeof low_water);
}

void AnswerStream::Begin(int status, Headers headers, std::string_view request_id) {
  if (chunked_) headers.emplace_back("Transfer-Encoding", "chunked");
  if (!give_back_) headers.emplace_back("Connection", "close");
  framing_ = FormatHead(status, headers, request_id);
}

AnswerStream::Sent AnswerStream::Send(const iovec* pieces, int count) {
  size_t total = 0;
  for (int i = 0; i < count; ++i) total += pieces[i].iov_len;
  if (chunked_ && owed_ == 0 && total > 0) {
    AppendChunkSize(framing_, total);
    owed_ = total;
  }
  iovec iov[kMaxPieces + 2];
  int used = 0;
  const size_t framing = framing_.size() - framing_sent_;
  if (framing > 0) iov[used++] = Piece(std::string_view(framing_).substr(framing_sent_));
  for (int i = 0; i < count; ++i) iov[used++] = pieces[i];
  const bool closes = chunked_ && total > 0 && total == owed_;
  if (closes) iov[used++] = Piece(kChunkEnd);
  if (used == 0) return {0, true, false};

  const ssize_t took = SendPieces(socket_->fd(), iov, used, framing + total + kChunkEnd.size());
  if (took < 0) return {0, false, errno != EAGAIN && errno != EINTR};
  auto left = static_cast<size_t>(took);
  const size_t framing_took = std::min(left, framing);
  left -= framing_took;
  framing_sent_ += framing_took;
  if (framing_sent_ < framing_.size()) return {};
  std::string().swap(framing_);
  framing_sent_ = 0;
  const size_t content = std::min(left, total);
  left -= content;
  if (!chunked_) return {content, content == total, false};
  owed_ -= content;
  if (closes && content == total && left < kChunkEnd.size()) {
    framing_ = kChunkEnd.substr(left);
    return {content, false, false};
  }
  return {content, content == total, false};
}

bool AnswerStream::End() {
  if (!std::exchange(ending_, true) && chunked_) framing_ += kLastChunk;
  if (unsent() && !Send(nullptr, 0).all) return false;
  if (give_back_) {
    socket_->Want(0);
    give_back_(std::move(socket_), std::move(input_));
  } else {
    shutdown(socket_->fd(), SHUT_WR);
  }
  return true;
}

bool AnswerStream::Receive() {
  char bytes[4096];
  const ssize_t got = recv(socket_->fd(), bytes, sizeof bytes, MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return true;
  if (got <= 0 || input_.size() + static_cast<size_t>(got) > kMaxInput) return false;
  input_.append(bytes, static_cast<size_t>(got));
  return true;
}

}  // namespace reeve
