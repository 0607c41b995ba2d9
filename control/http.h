// Request and Reply: what a handler gets, and how it answers.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "process/result.h"
#include "process/watch.h"

namespace reeve {

enum class Scope { kView, kOperate, kAdmin };  // each with those before it

// A request that has arrived whole and passed the front's checks. A value.
struct Request {
  std::string method;
  std::string path;  // percent-decoded, without query
  std::vector<std::pair<std::string, std::string>> query;    // decoded, in order
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string body;
  std::string id;  // request id: ours, on every answer and error
  std::vector<std::string> params;  // what the route's {…} matched, in order
  bool from_unix_socket = false;

  // Filled in by auth, before the handler runs.
  struct Caller {
    Scope scope = Scope::kView;
    uint64_t token = 0;  // names the bearer token; never its text
  };
  std::optional<Caller> caller;

  [[nodiscard]] std::string_view Header(std::string_view lower_case_name) const;  // the first, or empty
  [[nodiscard]] bool HasHeader(std::string_view lower_case_name) const;
  [[nodiscard]] std::optional<std::string_view> Query(std::string_view name) const;  // the first
};

struct Response {
  int status = 200;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;

  static Response Json(int status, std::string body);
  // RFC 9457. The status comes from the code (control/problem.cc has the one table); "request_id" is added when
  // the answer is sent. 429 and 503 get Retry-After.
  static Response Problem(const Error& error);
};

// The one answer to a request. Move-only; may be kept and used in a later turn, when the connection may have
// gone: then answering does nothing. Dropped without an answer, it says 500.
class Reply {
 public:
  // What a Reply talks to; the connection implements it. Held weakly.
  class Sink {
   public:
    virtual ~Sink() = default;
    virtual void Answer(Response response) = 0;
    // Gives the socket away, with a head to send first; the connection ends without closing it. Null when it
    // has gone.
    virtual std::unique_ptr<Watch> TakeSocket() = 0;
  };
  explicit Reply(std::weak_ptr<Sink> sink) : sink_(std::move(sink)) {}
  Reply(Reply&&) = default;
  Reply& operator=(Reply&&) = default;
  ~Reply();

  void Send(Response response);
  // For a stream: the socket is the caller's now, and writes its own head.
  std::unique_ptr<Watch> TakeSocket();
  // The client has gone, or the answer has been given.
  [[nodiscard]] bool gone() const { return sink_.expired(); }

 private:
  std::weak_ptr<Sink> sink_;
};

using Handler = std::function<void(const Request&, Reply)>;

}  // namespace reeve
