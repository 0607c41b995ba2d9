// TestServer: an HTTP server for tests on the test's own loop, as raw as they need it: whole requests come
// in, any bytes go out, whenever the test likes. Listens on 127.0.0.1 (a port of the system's) or a Unix
// socket.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "process/loop.h"
#include "process/watch.h"

namespace reeve {

class TestServer {
 public:
  struct Request {
    std::string method;
    std::string target;
    std::map<std::string, std::string> headers;  // names in lower case
    std::string body;
  };

  // One client's connection: lives until either side closes it.
  class Connection {
   public:
    void Send(std::string_view bytes);
    // A whole answer with its Content-Length.
    void Answer(int status, std::string_view body, std::string_view headers = {});
    void Close();  // after what was sent
    [[nodiscard]] int id() const { return id_; }

   private:
    friend class TestServer;
    void OnReady(int events);
    bool ReadAll();
    void WriteAll();
    void TakeRequests();

    TestServer* server_ = nullptr;
    int id_ = 0;
    std::unique_ptr<Watch> watch_;
    std::string in_;
    std::string out_;
    bool closing_ = false;
  };
  using Handler = std::function<void(Connection&, const Request&)>;

  TestServer(Loop& loop, Handler handler, const std::string& unix_path = {});
  ~TestServer();
  TestServer(const TestServer&) = delete;
  TestServer& operator=(const TestServer&) = delete;

  [[nodiscard]] std::string Url(std::string_view target) const;
  [[nodiscard]] uint16_t port() const { return port_; }
  [[nodiscard]] size_t accepted() const { return static_cast<size_t>(next_id_); }
  [[nodiscard]] size_t open() const { return connections_.size(); }
  // Null once it has gone.
  [[nodiscard]] Connection* Find(int id);

 private:
  void Accept();
  void Drop(int id);

  Loop& loop_;
  Handler handler_;
  uint16_t port_ = 0;
  int next_id_ = 0;
  std::unique_ptr<Watch> listener_;
  std::map<int, std::unique_ptr<Connection>> connections_;
};

}  // namespace reeve
