#include "tests/support/raw_client.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstdlib>

namespace reeve {

namespace {

Fd Connect(const sockaddr* address, socklen_t size, int receive_bytes) {
  Fd fd(socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  // After the connection is made it would be too late: the kernel has promised room for more.
  if (receive_bytes > 0) setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
  if (!fd.valid() || connect(fd.get(), address, size) != 0) return {};
  fcntl(fd.get(), F_SETFL, O_NONBLOCK);
  return fd;
}

Fd ConnectTo(const std::string& address, int receive_bytes) {
  if (address.front() == '/') {
    sockaddr_un local{};
    local.sun_family = AF_UNIX;
    address.copy(local.sun_path, sizeof local.sun_path - 1);
    return Connect(reinterpret_cast<sockaddr*>(&local), sizeof local, receive_bytes);
  }
  std::string rest = address.substr(std::string_view("http://").size());
  size_t colon = rest.rfind(':');
  auto port = htons(static_cast<uint16_t>(std::atoi(rest.c_str() + colon + 1)));
  if (rest.front() == '[') {
    sockaddr_in6 six{};
    six.sin6_family = AF_INET6;
    six.sin6_port = port;
    inet_pton(AF_INET6, rest.substr(1, colon - 2).c_str(), &six.sin6_addr);
    return Connect(reinterpret_cast<sockaddr*>(&six), sizeof six, receive_bytes);
  }
  sockaddr_in four{};
  four.sin_family = AF_INET;
  four.sin_port = port;
  inet_pton(AF_INET, rest.substr(0, colon).c_str(), &four.sin_addr);
  return Connect(reinterpret_cast<sockaddr*>(&four), sizeof four, receive_bytes);
}

std::string Lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

RawAnswer ParseHead(std::string_view head) {
  RawAnswer answer;
  answer.status = std::atoi(std::string(head.substr(0, 13)).c_str() + 9);
  size_t at = head.find("\r\n") + 2;
  while (at < head.size()) {
    size_t end = head.find("\r\n", at);
    std::string_view line = head.substr(at, end - at);
    size_t colon = line.find(": ");
    answer.headers.emplace_back(Lower(std::string(line.substr(0, colon))), line.substr(colon + 2));
    at = end + 2;
  }
  return answer;
}

}  // namespace

std::string RawAnswer::Header(std::string_view lower_case_name) const {
  for (const auto& [name, value] : headers) {
    if (name == lower_case_name) return value;
  }
  return {};
}

RawClient::RawClient(const std::string& address, int receive_bytes)
    : fd_(ConnectTo(address, receive_bytes)) {}

void RawClient::Send(std::string_view bytes) {
  unsent_ += bytes;
  while (sent_ < unsent_.size()) {
    ssize_t sent = send(fd_.get(), unsent_.data() + sent_, unsent_.size() - sent_, MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN) return;
    if (sent < 0) break;  // Poll() finds out
    sent_ += static_cast<size_t>(sent);
  }
  unsent_.clear();
  sent_ = 0;
}

void RawClient::EndSending() { shutdown(fd_.get(), SHUT_WR); }

void RawClient::Poll() {
  if (!fd_.valid() || ended_ || reset_) return;
  Send("");
  char buffer[65536];
  for (;;) {
    ssize_t got = recv(fd_.get(), buffer, sizeof buffer, 0);
    if (got > 0) {
      received_.append(buffer, static_cast<size_t>(got));
      continue;
    }
    ended_ = got == 0;
    reset_ = got < 0 && errno != EAGAIN;
    return;
  }
}

std::vector<RawAnswer> RawClient::Answers(bool heads) const {
  std::vector<RawAnswer> answers;
  std::string_view rest = received_;
  for (;;) {
    size_t end = rest.find("\r\n\r\n");
    if (end == std::string_view::npos) return answers;
    RawAnswer answer = ParseHead(rest.substr(0, end + 2));
    size_t size = heads ? 0 : static_cast<size_t>(std::atoll(answer.Header("content-length").c_str()));
    if (rest.size() < end + 4 + size) return answers;
    answer.body = rest.substr(end + 4, size);
    rest.remove_prefix(end + 4 + size);
    answers.push_back(std::move(answer));
  }
}

}  // namespace reeve
