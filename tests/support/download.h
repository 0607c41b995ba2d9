// Download: an answer of JSON Lines that comes in chunks, read as slowly as the test likes.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/daemon.h"

namespace reeve {

class Download {
 public:
  // With the daemon's token. `receive_buffer`: SO_RCVBUF, 0: the system's.
  Download(const Daemon& daemon, std::string_view method, std::string_view target, std::string_view body = {},
           int receive_buffer = 0);

  // Takes what is there, at most `max_bytes`.
  void Poll(size_t max_bytes = size_t{1} << 20);
  // Reads until `condition` holds; false if the deadline or the connection's end comes first.
  bool Until(const std::function<bool()>& condition, int64_t deadline_ms = kPatienceMs);
  bool UntilEnd();  // of the answer or the connection
  void Leave() { fd_.Close(); }
  // Whether the daemon still has its end of the connection; bytes and an end that wait in the kernel are
  // nobody's.
  [[nodiscard]] bool Held() const;

  [[nodiscard]] int status() const { return status_; }  // 0: no head yet
  [[nodiscard]] const std::string& head() const { return head_; }
  [[nodiscard]] const std::string& body() const { return body_; }  // without the chunks' frames
  [[nodiscard]] bool whole() const { return chunks_.whole(); }     // the last chunk has come
  [[nodiscard]] std::vector<std::string> Lines() const;

 private:
  void Decode();

  Fd fd_;
  std::string received_;  // not decoded yet
  Chunks chunks_;
  std::string head_;
  std::string body_;
  int status_ = 0;
  bool ended_ = false;
};

}  // namespace reeve
