// Room gateway/: other ways to call the operations than one HTTP request for each.
//
// Rpc: the JSON-RPC 2.0 calls of one connection (https://www.jsonrpc.org/specification, without batches). It
// knows no operation by name: methods, checks, scopes and answers come from the table
// (control/api/operation.h), and from a table of the methods that only this connection has. It knows no
// transport: it gets messages and sends answers, in any order. control/api/API.md describes the messages to
// callers.
//
// Owned by the connection, on the loop's thread. All that the constructor refers to outlives it. When it is
// destroyed, calls in progress lose their replies, and OnGone is called.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "control/api/operation.h"
#include "control/http/http.h"
#include "process/result.h"

namespace reeve {

class Idempotency;
class JsonValue;
struct ApiContext;

// The caller on whose behalf the messages of a connection are run. A value.
struct RpcCaller {
  Request::Caller caller;
  std::string origin = {};  // of the page; empty: none
  bool from_unix_socket = false;
  // A connection that a ticket for some agents opened may call only methods whose path begins with
  // /agents/{id}. Without a value it may call all. The connection's own methods look at this by themselves.
  std::optional<std::vector<std::string>> agents = {};
};

class Rpc {
 public:
  static constexpr size_t kMaxInFlight =
      1'000;  // calls that are not answered yet; beyond it: too_many_requests

  // Runs a method of `extras`. It may answer later.
  using RunExtra = std::function<void(const Operation& method, const Call& call, Reply reply)>;
  // Sends a message, which is one line. It must not destroy the Rpc.
  using Send = std::function<void(std::string message)>;
  // `extras` are the methods that only this connection has, such as "events.subscribe": operations without
  // path and `run`, whose parameters are members of a body.
  Rpc(ApiContext& api, Idempotency& idempotency, RpcCaller caller, std::span<const Operation> extras,
      RunExtra run_extra, Send send);
  ~Rpc();
  Rpc(const Rpc&) = delete;
  Rpc& operator=(const Rpc&) = delete;

  // Takes one message: a call, or a notification, which is run and not answered.
  void Receive(std::string_view message);

  [[nodiscard]] size_t in_flight() const { return in_flight_.size(); }
  struct Counts {
    uint64_t messages = 0;
    uint64_t parse_errors = 0;
    uint64_t crashes = 0;  // of handlers
  };
  [[nodiscard]] const Counts& counts() const { return counts_; }

 private:
  class Exchange;
  friend class Exchange;

  [[nodiscard]] const Operation* FindMethod(std::string_view name) const;
  [[nodiscard]] Error UnknownMethod(std::string_view name) const;
  [[nodiscard]] std::string NextRequestId();
  // Runs the method. `id` is the JSON text of the call's id; nothing: a notification.
  void Begin(const Operation& method, const JsonValue& params, std::optional<std::string> id);
  [[nodiscard]] Status CheckCaller(const Operation& method, const JsonValue& params) const;
  [[nodiscard]] Handler HandlerOf(const Operation& method);
  void Finish(const Exchange& exchange, Response response);
  void SendError(std::string_view id, int code, Response problem, const std::string& request_id);

  ApiContext& api_;
  Idempotency& idempotency_;
  const RpcCaller caller_;
  const std::span<const Operation> extras_;
  const RunExtra run_extra_;
  const Send send_;
  const std::string id_prefix_;  // of request ids
  uint64_t last_id_ = 0;
  std::map<std::string, std::shared_ptr<Exchange>> in_flight_;  // by request id
  Counts counts_;
};

}  // namespace reeve
