// Request, Response and Reply: what a handler gets, what it says, and the one way to say it.
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
#include "process/watch.h"

namespace reeve {

using Headers = std::vector<std::pair<std::string, std::string>>;

enum class Scope { kView, kOperate, kAdmin };  // each with those before it

// A request that has arrived whole and passed the front's checks. A value.
struct Request {
  std::string method;
  // Without the query, as it was sent: "%2F" is not a slash. The router decodes it segment by segment; that
  // it can be decoded, and holds no NUL, has been checked.
  std::string path;
  std::vector<std::pair<std::string, std::string>> query;  // decoded ('+' is a space), in order
  Headers headers;                                         // names in lower case
  std::string body;
  std::string id;                   // request id: ours, on every answer and error
  std::vector<std::string> params;  // what the route's {…} matched, decoded, in order
  bool from_unix_socket = false;
  // Of one with an Idempotency-Key (idempotency.h): a digest that names the request, in hex; what it makes
  // can have an id of it, and be known again. Else empty.
  std::string key = {};

  // Filled in by auth, before the handler runs.
  struct Caller {
    Scope scope = Scope::kView;
    uint64_t token = 0;      // names the bearer token; never its text
    std::string agent = {};  // whose own token it is; empty: no agent's
  };
  std::optional<Caller> caller;

  [[nodiscard]] std::string_view Header(std::string_view lower_case_name) const;  // the first, or empty
  [[nodiscard]] bool HasHeader(std::string_view lower_case_name) const;
  [[nodiscard]] std::optional<std::string_view> Query(std::string_view name) const;  // the first
};

struct Response {
  int status = 200;
  Headers headers;  // without those that every answer gets: FormatHead
  std::string body;

  static Response Json(int status, std::string body);
  // RFC 9457. The status comes from the code (control/http/problem.cc has the one table); "request_id" is
  // added when the answer is sent. 429 and 503 get Retry-After.
  static Response Problem(const Error& error);
};

// The head of an HTTP/1.1 answer, blank line included: `headers`, then those of every answer (X-Request-Id,
// Cache-Control: no-store, X-Content-Type-Options, Referrer-Policy) that are not among them. For streams too,
// which add their own Content-Type and "Connection: close". Control characters in values become spaces.
std::string FormatHead(int status, const Headers& headers, std::string_view request_id);

// Decodes %XX; nothing if one is malformed.
std::optional<std::string> PercentDecode(std::string_view text);
bool EqualsIgnoringCase(std::string_view a, std::string_view b);  // ASCII

// The one answer to a request. Move-only; may be kept and used in a later turn, when the connection may have
// gone: then answering does nothing. Dropped without an answer, it says 500.
class Reply {
 public:
  // What a Reply talks to; the connection implements it. Held weakly.
  class Sink {
   public:
    virtual ~Sink() = default;
    virtual void Answer(Response response) = 0;
    // Gives the socket away; the connection ends without closing it. Nothing was sent and is watched: its new
    // owner sets a function of its own first. Null when the client has gone.
    virtual std::unique_ptr<Watch> TakeSocket() = 0;
  };
  explicit Reply(std::weak_ptr<Sink> sink) : sink_(std::move(sink)) {}
  Reply(Reply&&) = default;
  Reply& operator=(Reply&& other) noexcept;
  ~Reply();

  // Goes out with whatever is sent, the 500 of a dropped Reply included.
  void AddHeader(std::string name, std::string value);
  void Send(Response response);
  // For a stream: the socket is the caller's now, and writes its own head.
  std::unique_ptr<Watch> TakeSocket();
  // What was added: who takes the socket puts it into its own head.
  [[nodiscard]] const Headers& headers() const { return headers_; }
  // The client has gone, or the answer has been given.
  [[nodiscard]] bool gone() const { return sink_.expired(); }

 private:
  std::weak_ptr<Sink> sink_;
  Headers headers_;
};

using Handler = std::function<void(const Request&, Reply)>;

}  // namespace reeve
