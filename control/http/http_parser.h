// HttpParser: cuts the bytes of one connection into requests (RFC 9112), strictly and bounded. llhttp does
// the parsing and framing; this refuses what llhttp lets through and an intermediary might read otherwise.
//
// A head is collected whole and checked line by line before llhttp sees it, so that an answer never depends
// on how the bytes were split. Between requests a parser holds nothing. Owned by its connection.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

#include "control/http/http.h"
#include "process/result.h"

namespace reeve {

class HttpParser {
 public:
  struct Limits {
    size_t body_bytes;
    size_t header_bytes;  // of the request line and all headers together
    size_t target_bytes;
  };
  static constexpr size_t kMaxHeaders = 100;  // each costs two strings: more than this is no API's client
  // Chunk extensions of one request: nobody uses any, and llhttp would read them without end.
  static constexpr size_t kMaxChunkExtensions = 256;

  enum class State {
    kEmpty,    // no byte of a request has come
    kHead,     // a request has begun
    kBody,     // its head was in order
    kWhole,    // Take() it
    kRefused,  // for good: nothing that follows can be trusted
  };

  explicit HttpParser(const Limits& limits);
  ~HttpParser();
  HttpParser(const HttpParser&) = delete;
  HttpParser& operator=(const HttpParser&) = delete;

  // Takes bytes up to the end of one request, and says how many. Takes none when kWhole or kRefused.
  size_t Feed(std::string_view bytes);
  [[nodiscard]] State state() const;

  // In kBody: the client waits for "100 Continue" before it sends the body. True once.
  bool TakeExpectation();

  // In kWhole: the request, and whether the connection may go on after it. The parser is empty again.
  struct Taken {
    Request request;
    bool keep_alive;
  };
  Taken Take();

  // In kRefused: why. "invalid_request", "too_large", "headers_too_large", "target_too_long", "http_version",
  // "not_implemented", "expectation_failed".
  [[nodiscard]] const Error& refusal() const;

 private:
  struct Message;
  const Limits& limits_;
  std::unique_ptr<Message> message_;
};

}  // namespace reeve
