#include "tests/support/download.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>

namespace reeve {

Download::Download(const Daemon& daemon, std::string_view method, std::string_view target,
                   std::string_view body, int receive_buffer)
    : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  const std::string& address = daemon.address();  // "http://127.0.0.1:PORT"
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  to.sin_port = htons(static_cast<uint16_t>(std::atoi(address.c_str() + address.rfind(':') + 1)));
  if (receive_buffer > 0) {
    setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
  }
  std::string request = std::string(method) + " " + std::string(target) + " HTTP/1.1\r\nHost: localhost\r\n";
  request += "Authorization: Bearer " + daemon.token() + "\r\n";
  request += "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
  ended_ = connect(fd_.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0 ||
           send(fd_.get(), request.data(), request.size(), MSG_NOSIGNAL) < 0;
  fcntl(fd_.get(), F_SETFL, O_NONBLOCK);
}

void Download::Poll(size_t max_bytes) {
  char piece[65536];
  while (!ended_ && max_bytes > 0) {
    const ssize_t got = recv(fd_.get(), piece, std::min(sizeof piece, max_bytes), 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) break;
    if (got <= 0) {
      ended_ = true;
      break;
    }
    max_bytes -= static_cast<size_t>(got);
    received_.append(piece, static_cast<size_t>(got));
  }
  Decode();
}

void Download::Decode() {
  if (status_ == 0) {
    const size_t end = received_.find("\r\n\r\n");
    if (end == std::string::npos) return;
    head_ = received_.substr(0, end + 2);
    status_ = std::atoi(head_.c_str() + head_.find(' '));
    received_.erase(0, end + 4);
  }
  if (head_.find("Transfer-Encoding: chunked\r\n") == std::string::npos) {
    body_ += received_;
    received_.clear();
    return;
  }
  (void)chunks_.Take(received_, body_);
  received_.clear();
}

bool Download::Until(const std::function<bool()>& condition, int64_t deadline_ms) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(deadline_ms);
  while (!condition()) {
    if (ended_ || std::chrono::steady_clock::now() > deadline) return false;
    pollfd readable{fd_.get(), POLLIN, 0};
    (void)poll(&readable, 1, 100);
    Poll();
  }
  return true;
}

bool Download::UntilEnd() {
  return Until([this] { return ended_ || whole(); });
}

bool Download::Held() const {
  sockaddr_in ours{};
  sockaddr_in theirs{};
  socklen_t size = sizeof ours;
  if (getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&ours), &size) != 0) return false;
  if (getpeername(fd_.get(), reinterpret_cast<sockaddr*>(&theirs), &size) != 0) return false;
  // proc(5): an end of a connection a line, with its own port, the other's, and an inode: 0 when no process
  // has it.
  std::ifstream table("/proc/net/tcp");
  for (std::string line; std::getline(table, line);) {
    unsigned own = 0;
    unsigned other = 0;
    unsigned long inode = 0;
    const char* format = "%*s %*x:%x %*x:%x %*x %*s %*s %*x %*u %*u %lu";
    if (std::sscanf(line.c_str(), format, &own, &other, &inode) != 3) continue;
    if (own == ntohs(theirs.sin_port) && other == ntohs(ours.sin_port)) return inode != 0;
  }
  return false;
}

std::vector<std::string> Download::Lines() const {
  std::vector<std::string> lines;
  for (size_t at = 0; at < body_.size();) {
    const size_t end = std::min(body_.find('\n', at), body_.size());
    lines.push_back(body_.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

}  // namespace reeve
