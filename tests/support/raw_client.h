// RawClient: a socket and nothing else, for tests that must say exactly what goes over the wire. Never
// blocks: the server under test runs on the same thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "control/http/http.h"
#include "process/fd.h"

namespace reeve {

struct RawAnswer {
  int status = 0;
  Headers headers;  // names in lower case
  std::string body;
  [[nodiscard]] std::string Header(std::string_view lower_case_name) const;
};

class RawClient {
 public:
  // `address` is what Server::Listen gave: "http://127.0.0.1:PORT", "http://[::1]:PORT" or a socket's path.
  // With `receive_bytes` its kernel takes hardly more than so much that it does not read.
  explicit RawClient(const std::string& address, int receive_bytes = 0);

  [[nodiscard]] bool connected() const { return fd_.valid(); }
  [[nodiscard]] int fd() const { return fd_.get(); }

  // Sends as much as the kernel takes; the rest goes at the next Poll().
  void Send(std::string_view bytes);
  void EndSending();
  void Close() { fd_.Close(); }

  // Sends what waits, and reads all there is.
  void Poll();
  [[nodiscard]] size_t unsent() const { return unsent_.size() - sent_; }
  [[nodiscard]] const std::string& received() const { return received_; }
  [[nodiscard]] bool ended() const { return ended_; }  // by an orderly close
  [[nodiscard]] bool reset() const { return reset_; }

  // The whole answers among what was received; those to a HEAD (`heads`) have no body.
  [[nodiscard]] std::vector<RawAnswer> Answers(bool heads = false) const;

 private:
  Fd fd_;
  std::string unsent_;
  size_t sent_ = 0;  // of unsent_
  std::string received_;
  bool ended_ = false;
  bool reset_ = false;
};

}  // namespace reeve
