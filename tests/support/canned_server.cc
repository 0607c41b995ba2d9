#include "tests/support/canned_server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <utility>
#include <vector>

namespace reeve {

CannedServer::CannedServer(std::map<std::string, std::string> answers)
    : answers_(std::move(answers)), listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* where = reinterpret_cast<sockaddr*>(&address);
  EXPECT_EQ(bind(listener_.get(), where, size), 0);
  EXPECT_EQ(listen(listener_.get(), 8), 0);
  EXPECT_EQ(getsockname(listener_.get(), where, &size), 0);
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { Serve(); });
}

CannedServer::~CannedServer() {
  shutdown(listener_.get(), SHUT_RDWR);
  thread_.join();
}

std::string CannedServer::Json(const std::string& body, const std::string& status) {
  return "HTTP/1.1 " + status +
         "\r\nX-Request-Id: req-1\r\nContent-Type: application/json\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\nConnection: close\r\n\r\n" + body;
}

void CannedServer::Serve() const {
  std::vector<Fd> open;
  for (;;) {
    Fd client(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!client.valid()) return;
    std::string request;
    char piece[4096];
    while (request.find("\r\n\r\n") == std::string::npos) {
      const ssize_t got = recv(client.get(), piece, sizeof piece, 0);
      if (got <= 0) break;
      request.append(piece, static_cast<size_t>(got));
    }
    const auto found = answers_.find(request.substr(0, request.find(" HTTP/")));
    const std::string answer = found == answers_.end() ? Json("{}", "404 Not Found") : found->second;
    (void)send(client.get(), answer.data(), answer.size(), MSG_NOSIGNAL);
    if (answer.find("Connection: stay") != std::string::npos) open.push_back(std::move(client));
  }
}

}  // namespace reeve
