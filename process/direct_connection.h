// DirectConnection: a connection to an HTTP server on which the caller itself speaks, because it goes on with
// another protocol. By TCP, TLS or a Unix socket, as HttpClient makes it.
//
// Owned by the speaker, who waits for the descriptor. Nothing but Open blocks.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "process/http_client.h"
#include "process/result.h"

namespace reeve {

class DirectConnection {
 public:
  // Connects to the server of the request, within its connect_timeout_ms, and sends nothing. Blocks. Errors
  // as those of HttpClient, also for headers that HttpClient does not send.
  static Result<std::unique_ptr<DirectConnection>> Open(const HttpRequest& request);
  ~DirectConnection();
  DirectConnection(const DirectConnection&) = delete;
  DirectConnection& operator=(const DirectConnection&) = delete;

  // The number of bytes that were taken. 0: wait until the descriptor is writable, and then call it with the
  // same bytes at the same place, which TLS demands.
  Result<size_t> Write(std::string_view bytes);
  // The number of bytes; 0 at the end. Nothing: wait until the descriptor is readable, which may be wrong
  // while Read still returns bytes.
  Result<std::optional<size_t>> Read(char* to, size_t room);
  [[nodiscard]] int fd() const;  // only to wait for
  // The server in error messages: its host and port, or the path of its Unix socket.
  [[nodiscard]] const std::string& server() const;
  // The value of a header `Host` (RFC 9112 section 3.2).
  [[nodiscard]] const std::string& host() const;

 private:
  struct State;
  explicit DirectConnection(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace reeve
