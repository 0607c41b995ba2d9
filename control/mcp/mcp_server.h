// McpServer: the Model Context Protocol over HTTP (POST /mcp; the transport "Streamable HTTP"). It serves all
// revisions at one address, and keeps nothing between two requests: a session is a name that a client repeats
// so that it can cancel its calls.
//
// Owned by the Daemon, on the loop's thread. All that the constructor refers to outlives it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "control/http/http.h"
#include "process/timer.h"

namespace reeve {

class Idempotency;
class Router;
struct ApiContext;

class McpServer {
 public:
  static constexpr size_t kMaxBatch = 100;
  // Beyond it, a call that waits is answered without a stream, so without progress.
  static constexpr size_t kMaxStreams = 1'000;
  // Tasks that their clients have cancelled, and that are still said to be.
  static constexpr size_t kMaxCancelled = 1'000;
  static constexpr int64_t kProgressMs = 5'000;
  static constexpr int64_t kTaskPollMs = 2'000;

  McpServer(ApiContext& api, Idempotency& idempotency);
  ~McpServer();
  McpServer(const McpServer&) = delete;
  McpServer& operator=(const McpServer&) = delete;

  void Serve(const Request& request, Reply reply);
  // Ends the requests of a token that is no longer valid.
  void CloseByToken(uint64_t token);

 private:
  class Exchange;
  friend class Exchange;

  void Retire(Exchange& exchange);
  void Cancel(const Request& request, std::string_view id);
  void CancelTask(const std::string& task);
  void Tick();

  ApiContext& api_;
  Idempotency& idempotency_;
  size_t streams_ = 0;
  std::list<std::unique_ptr<Exchange>> exchanges_;
  std::list<std::unique_ptr<Exchange>> retired_;  // over; may still be on the stack
  std::set<std::string, std::less<>> cancelled_;
  std::deque<std::string> cancelled_order_;
  Timer sweep_;  // destroys the retired ones
  Timer tick_;   // progress and time-outs of streams
};

void AddMcpRoute(Router& router, McpServer& server);

}  // namespace reeve
