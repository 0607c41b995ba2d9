// Request, Response and Reply: the input of a handler, its answer, and the one way to send it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "process/result.h"

namespace reeve {

class AnswerStream;
struct Route;
struct TakenSocket;

using Headers = std::vector<std::pair<std::string, std::string>>;

enum class Scope { kView, kOperate, kAdmin };  // each scope includes those before it

// A request that has arrived whole and passed the parser's checks. A value.
struct Request {
  std::string method;
  // Without the query and, in absolute form, without scheme and host. It is normalized (RFC 3986 section
  // 6.2.2.2), so two spellings of a path are equal: only what cannot stand for itself is percent-encoded, for
  // instance "%2F", which is not a slash. The router decodes it segment by segment. It can be decoded,
  // without a NUL.
  std::string path;
  std::vector<std::pair<std::string, std::string>> query;  // decoded ('+' is a space), in order of appearance
  // Names are in lower case. The host of a target in absolute form has replaced that of "host".
  Headers headers;
  std::string body;
  std::string id;                   // request id, made by us; every answer and error carries it
  std::vector<std::string> params;  // values of the route's {…}, decoded, in order
  bool from_unix_socket = false;
  bool http_1_0 = false;  // the client knows no chunks and no other protocol
  // A hex digest that identifies a request with an Idempotency-Key (idempotency.h); otherwise empty. An
  // object that the request creates can derive its id from it, so a repetition finds that object.
  std::string key = {};

  // --- filled in by auth at the end of the head
  struct Caller {
    Scope scope = Scope::kView;
    uint64_t token = 0;      // identifies the bearer token; not its text
    std::string agent = {};  // the agent that owns the token; empty: none
    // The caller's name in events: that of the token, "agent:<id>" for the token of an agent, else "person".
    std::string by = "person";
    // The gateway connection through which it calls, and each that continues it; empty: none.
    std::string connection = {};
  };
  std::optional<Caller> caller;
  const Route* route = nullptr;
  // Served when the server is full: a probe, or an operator's request.
  bool urgent = false;

  [[nodiscard]] std::string_view Header(std::string_view lower_case_name) const;  // the first one, or empty
  [[nodiscard]] bool HasHeader(std::string_view lower_case_name) const;
  [[nodiscard]] std::optional<std::string_view> Query(std::string_view name) const;  // the first one
};

struct Response {
  int status = 200;
  Headers headers;  // without the common headers, which FormatHead adds
  std::string body;

  static Response Json(int status, std::string body);
  // A problem document (RFC 9457). The status follows from the code (the one table is in
  // control/http/problem.cc). "request_id" is added when the answer is sent. 429 and 503 get Retry-After.
  static Response Problem(const Error& error);
};

// The head of an HTTP/1.1 answer with its final blank line: `headers`, then the common headers (X-Request-Id,
// Cache-Control: no-store, X-Content-Type-Options, Referrer-Policy) that `headers` does not contain. Control
// characters in values become spaces.
std::string FormatHead(int status, const Headers& headers, std::string_view request_id);

// Decodes %XX. Returns nothing if an escape is malformed.
std::optional<std::string> PercentDecode(std::string_view text);
bool EqualsIgnoringCase(std::string_view a, std::string_view b);  // ASCII

// The one answer to a request. Move-only. It may be kept and used in a later turn; if the connection has
// ended by then, answering does nothing. A Reply that is destroyed without an answer sends a 500.
class Reply {
 public:
  // The receiver of an answer, implemented by the connection. A Reply holds it weakly.
  class Sink {
   public:
    virtual ~Sink() = default;
    virtual void Answer(Response response) = 0;
    // Gives the socket away until the answer has ended. Nothing has been sent and nothing is watched: the new
    // owner first sets a callback of its own.
    virtual std::unique_ptr<AnswerStream> OpenStream() = 0;
    // Gives the socket away for good. A sink that has none returns nothing.
    virtual TakenSocket TakeSocket();
    virtual void OnGone(const std::function<void()>& /*gone*/) {}
  };
  explicit Reply(std::weak_ptr<Sink> sink) : sink_(std::move(sink)) {}
  Reply(Reply&&) = default;
  Reply& operator=(Reply&& other) noexcept;
  ~Reply();

  // Adds a header to whatever answer is sent, including the 500 of a dropped Reply.
  void AddHeader(std::string name, std::string value);
  void Send(Response response);
  // Answers with the error's problem document.
  void Refuse(const Error& error) { Send(Response::Problem(error)); }
  // For an answer without a known length: the caller writes its head and its body. Returns null when the
  // client has gone.
  std::unique_ptr<AnswerStream> OpenStream();
  // For another protocol (taken_socket.h): the caller owns the socket from now on, and writes the answer
  // itself. The socket is null when the client has gone.
  TakenSocket TakeSocket();
  // For an answer that may take long: calls `gone`, at most once, when the client goes before the answer.
  // From here on a client that ends its half of the connection has gone, too.
  void OnGone(const std::function<void()>& gone);
  // The added headers. A stream puts them into its own head.
  [[nodiscard]] const Headers& headers() const { return headers_; }
  // True when the client has gone or the answer has been given.
  [[nodiscard]] bool gone() const { return sink_.expired(); }

 private:
  std::weak_ptr<Sink> sink_;
  Headers headers_;
};

using Handler = std::function<void(const Request&, Reply)>;

}  // namespace reeve
