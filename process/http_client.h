// HttpClient: all outbound HTTP, by libcurl's multi interface on the loop. Each user of HTTP has its own
// client, which must outlive its calls. Destroying an HttpCall cancels it; none of its functions is called
// after that.
//
// It ignores proxies in the environment, follows no redirect and keeps no cookie.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "process/result.h"

namespace reeve {

class Loop;

struct HttpRequest {
  std::string method = "GET";
  std::string url;          // http:// or https://
  std::string unix_socket;  // path of a socket to connect to instead of the URL's host
  std::vector<std::pair<std::string, std::string>> headers;
  std::string user;  // with `password`: HTTP Basic
  std::string password;
  std::string body;
  int64_t connect_timeout_ms = 5'000;
  int64_t timeout_ms = 30'000;               // of the whole call; 0: no limit (streams)
  size_t max_body_bytes = size_t{16} << 20;  // of the answer, when Send collects it
  // Asked once the connection is there, before anything is sent on it; it must not use the client. An Error
  // ends the call with that error. It is copied with the request.
  std::function<Status()> may_send = {};
};

struct HttpResponse {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string body;
  // The first header of that (lower-case) name, or empty.
  [[nodiscard]] std::string_view Header(std::string_view name) const;
};

// Encodes a segment of a path or a value of a query: all but unreserved characters (RFC 3986 section 2.3)
// become %XX.
std::string PercentEncode(std::string_view text);

class HttpCall {
 public:
  virtual ~HttpCall() = default;

  // For calls by Open: pauses or resumes the delivery of the body, and of the end after it: back-pressure.
  // May be called from within on_body. The server has to wait once some 64 KiB are held here.
  virtual void PauseReading(bool paused) = 0;
};

class HttpClient {
 public:
  // A body is delivered in pieces of at most 4 KiB, so that an on_body that pauses gets few more bytes than
  // it wants, and some 64 KiB in one turn of the loop, so that a fast server does not delay everybody else.
  struct Stream {
    std::function<void(const HttpResponse& head)> on_head;  // with an empty body
    std::function<void(std::string_view bytes)> on_body;
    std::function<void(const Status& how)> on_end;  // ok: the body is complete
  };

  explicit HttpClient(Loop& loop);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // Any HTTP status is a response; an Error ("unreachable", "unknown_host", "tls_failed", "timeout",
  // "too_large", or that of may_send) means that no response came. The functions are called from the loop,
  // never from within Send or Open, and they may destroy the call.
  // The request leaves at the end of the turn, after the steps that were added before the first request
  // (Loop::BeforeSleep).
  [[nodiscard]] std::unique_ptr<HttpCall> Send(HttpRequest request,
                                               std::function<void(Result<HttpResponse>)> done);
  [[nodiscard]] std::unique_ptr<HttpCall> Open(HttpRequest request, Stream stream);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace reeve
