#include "process/keeper/wire.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>

namespace reeve::keeper {

namespace {

struct alignas(cmsghdr) ControlBuffer {
  char bytes[CMSG_SPACE(sizeof(int) * kBatch)];
};

}  // namespace

std::optional<Type> Packet::type() const {
  uint32_t number = 0;
  if (size < sizeof number) return {};
  std::memcpy(&number, bytes.data(), sizeof number);
  return static_cast<Type>(number);
}

void Receive(int socket, Packet& packet, int flags) {
  packet.fds.clear();
  packet.size = 0;
  iovec part{packet.bytes.data(), packet.bytes.size()};
  ControlBuffer control;
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control.bytes;
  header.msg_controllen = sizeof control.bytes;
  ssize_t got = 0;
  do {
    got = recvmsg(socket, &header, flags | MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  if (got < 0) {
    packet.result =
        errno == EAGAIN || errno == EWOULDBLOCK ? Packet::Result::kNothing : Packet::Result::kClosed;
    return;
  }
  for (cmsghdr* item = CMSG_FIRSTHDR(&header); item != nullptr; item = CMSG_NXTHDR(&header, item)) {
    if (item->cmsg_level != SOL_SOCKET || item->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (item->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(item) + i * sizeof fd, sizeof fd);
      packet.fds.emplace_back(fd);
    }
  }
  packet.too_long = (header.msg_flags & MSG_TRUNC) != 0;
  packet.lost_fds = (header.msg_flags & MSG_CTRUNC) != 0;
  packet.size = static_cast<size_t>(got);
  // An empty packet looks like the end, and no message is empty.
  packet.result = got == 0 ? Packet::Result::kClosed : Packet::Result::kMessage;
}

bool SendBytes(int socket, std::string_view message, std::string_view tail, std::span<const int> fds) {
  iovec parts[2] = {{const_cast<char*>(message.data()), message.size()},
                    {const_cast<char*>(tail.data()), tail.size()}};
  ControlBuffer control;
  msghdr header{};
  header.msg_iov = parts;
  header.msg_iovlen = tail.empty() ? 1 : 2;
  if (fds.size() > kBatch) {
    errno = EINVAL;
    return false;
  }
  if (!fds.empty()) {
    std::memset(&control, 0, sizeof control);
    header.msg_control = control.bytes;
    header.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* item = CMSG_FIRSTHDR(&header);
    item->cmsg_level = SOL_SOCKET;
    item->cmsg_type = SCM_RIGHTS;
    item->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(item), fds.data(), fds.size_bytes());
  }
  ssize_t sent = 0;
  do {
    sent = sendmsg(socket, &header, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  return sent == static_cast<ssize_t>(message.size() + tail.size());
}

}  // namespace reeve::keeper
