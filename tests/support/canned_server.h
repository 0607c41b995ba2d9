// CannedServer: answers requests, byte for byte as a test wrote them down, and closes: what a real daemon
// does not do on demand. On a thread of its own, on 127.0.0.1; for commands that run beside the test.
#pragma once

#include <map>
#include <string>
#include <thread>

#include "process/fd.h"

namespace reeve {

class CannedServer {
 public:
  // Answers by "GET /target", as in the request line. A request without an answer gets 404. The connection of
  // an answer with the header "Connection: stay" stays open until this object ends.
  explicit CannedServer(std::map<std::string, std::string> answers);
  ~CannedServer();
  CannedServer(const CannedServer&) = delete;
  CannedServer& operator=(const CannedServer&) = delete;

  [[nodiscard]] std::string address() const { return "http://127.0.0.1:" + std::to_string(port_); }
  // A whole answer of JSON.
  static std::string Json(const std::string& body, const std::string& status = "200 OK");

 private:
  void Serve() const;

  const std::map<std::string, std::string> answers_;
  Fd listener_;
  int port_ = 0;
  std::thread thread_;
};

}  // namespace reeve
