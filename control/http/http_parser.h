// HttpParser: splits the bytes of one connection into requests (RFC 9112), strictly and within limits. llhttp
// does the parsing and framing. This class refuses input that llhttp accepts and that an intermediary might
// read differently.
//
// A head is collected whole and checked line by line before llhttp sees it, so an answer never depends on how
// the bytes were split. Between requests the parser holds nothing. Owned by its connection.
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
    size_t header_bytes;  // the request line and all headers together
    size_t target_bytes;
  };
  static constexpr size_t kMaxHeaders = 100;  // each costs two strings; no API client sends more
  // Chunk extensions of one request. No known client sends any, and llhttp would read them without end.
  static constexpr size_t kMaxChunkExtensions = 256;

  enum class State {
    kEmpty,    // no byte of a request has arrived
    kHead,     // the head is arriving
    kBody,     // the head was valid; the body is arriving
    kWhole,    // the request is complete: call Take()
    kRefused,  // final: the bytes that follow cannot be trusted
  };

  explicit HttpParser(const Limits& limits);
  ~HttpParser();
  HttpParser(const HttpParser&) = delete;
  HttpParser& operator=(const HttpParser&) = delete;

  // Consumes bytes up to the end of a head or the end of a request, and returns their number. Consumes none
  // in kWhole and kRefused.
  size_t Feed(std::string_view bytes);
  [[nodiscard]] State state() const;

  // In kBody and kWhole: the request without its body, which may be filled in. Null after the first call.
  Request* TakeHead();
  // Bytes that the request in progress makes this object keep, with those that its head announces.
  [[nodiscard]] size_t held() const;
  // Forgets the message, which is of no more use. Nothing may be fed any more.
  void Forget();
  // Whether the request in progress is a HEAD, as far as has arrived.
  [[nodiscard]] bool head_only() const;

  // In kBody: true if the client waits for "100 Continue" before it sends the body. Returns true only once.
  bool TakeExpectation();

  // In kWhole: the request, and whether the connection may continue after it. The parser is empty afterwards.
  struct Taken {
    Request request;
    bool keep_alive;
  };
  Taken Take();

  // In kRefused: the reason. Its code is one of "invalid_request", "too_large", "headers_too_large",
  // "target_too_long", "http_version", "not_implemented" and "expectation_failed".
  [[nodiscard]] const Error& refusal() const;

 private:
  struct Message;
  const Limits& limits_;
  std::unique_ptr<Message> message_;
};

}  // namespace reeve
