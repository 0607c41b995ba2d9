#include "tests/support/test_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "process/fd.h"

namespace reeve {

namespace {

void Check(bool holds) {
  if (!holds) std::abort();
}

TestServer::Request ParseHead(std::string_view head) {
  TestServer::Request request;
  size_t space = head.find(' ');
  request.method = head.substr(0, space);
  head.remove_prefix(space + 1);
  request.target = head.substr(0, head.find(' '));
  head.remove_prefix(head.find("\r\n") + 2);
  while (!head.empty()) {
    size_t end = head.find("\r\n");
    std::string_view line = head.substr(0, end);
    std::string name(line.substr(0, line.find(':')));
    for (char& c : name) c = static_cast<char>(std::tolower(c));
    std::string_view value = line.substr(line.find(':') + 1);
    if (value.starts_with(' ')) value.remove_prefix(1);
    request.headers[name] = value;
    head.remove_prefix(end == std::string_view::npos ? head.size() : end + 2);
  }
  return request;
}

}  // namespace

TestServer::TestServer(Loop& loop, Handler handler, const std::string& unix_path)
    : loop_(loop), handler_(std::move(handler)) {
  Fd fd(socket(unix_path.empty() ? AF_INET : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (unix_path.empty()) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    Check(bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    socklen_t size = sizeof address;
    Check(getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
    port_ = ntohs(address.sin_port);
  } else {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, unix_path.c_str(), sizeof address.sun_path - 1);
    Check(bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  }
  Check(listen(fd.get(), 64) == 0);
  auto watch = Watch::Make(loop_, std::move(fd), [this](int) { Accept(); });
  Check(watch.ok());
  listener_ = std::move(*watch);
  listener_->Want(Watch::kRead);
}

TestServer::~TestServer() = default;

std::string TestServer::Url(std::string_view target) const {
  return "http://127.0.0.1:" + std::to_string(port_) + std::string(target);
}

TestServer::Connection* TestServer::Find(int id) {
  auto found = connections_.find(id);
  return found == connections_.end() ? nullptr : found->second.get();
}

void TestServer::Accept() {
  Fd fd(accept4(listener_->fd(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!fd.valid()) return;
  const int on = 1;  // what a test says is heard at once (a Unix socket needs, and takes, no such option)
  (void)setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  auto connection = std::make_unique<Connection>();
  connection->server_ = this;
  connection->id_ = next_id_++;
  Connection* raw = connection.get();
  auto watch = Watch::Make(loop_, std::move(fd), [raw](int events) { raw->OnReady(events); });
  Check(watch.ok());
  connection->watch_ = std::move(*watch);
  connection->watch_->Want(Watch::kRead);
  connections_[raw->id_] = std::move(connection);
}

void TestServer::Drop(int id) { connections_.erase(id); }

void TestServer::Connection::Send(std::string_view bytes) {
  out_ += bytes;
  watch_->Want(Watch::kRead | Watch::kWrite);
}

void TestServer::Connection::Answer(int status, std::string_view body, std::string_view headers) {
  Send("HTTP/1.1 " + std::to_string(status) + " X\r\nContent-Length: " + std::to_string(body.size()) +
       "\r\n" + std::string(headers) + "\r\n" + std::string(body));
}

void TestServer::Connection::Close() {
  closing_ = true;
  watch_->Want(Watch::kRead | Watch::kWrite);
}

void TestServer::Connection::OnReady(int events) {
  TestServer* server = server_;
  int id = id_;
  if (events & Watch::kRead) {
    bool open = ReadAll();
    TakeRequests();
    if (!open) return server->Drop(id);
  }
  WriteAll();
  if (closing_ && out_.empty()) server->Drop(id);
}

bool TestServer::Connection::ReadAll() {
  char buffer[65536];
  for (;;) {
    ssize_t got = read(watch_->fd(), buffer, sizeof buffer);
    if (got < 0 && errno == EAGAIN) return true;
    if (got <= 0) return false;
    in_.append(buffer, static_cast<size_t>(got));
  }
}

void TestServer::Connection::WriteAll() {
  while (!out_.empty()) {
    ssize_t sent = send(watch_->fd(), out_.data(), out_.size(), MSG_NOSIGNAL);
    if (sent < 0) break;
    out_.erase(0, static_cast<size_t>(sent));
  }
  watch_->Want(out_.empty() ? Watch::kRead : Watch::kRead | Watch::kWrite);
}

void TestServer::Connection::TakeRequests() {
  for (;;) {
    size_t end = in_.find("\r\n\r\n");
    if (end == std::string::npos) return;
    Request request = ParseHead(std::string_view(in_).substr(0, end));
    auto length = request.headers.find("content-length");
    size_t body = length == request.headers.end() ? 0 : std::stoul(length->second);
    if (in_.size() < end + 4 + body) return;
    request.body = in_.substr(end + 4, body);
    in_.erase(0, end + 4 + body);
    server_->handler_(*this, request);
  }
}

}  // namespace reeve
