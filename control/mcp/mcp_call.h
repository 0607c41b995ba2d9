// McpCall: one call of a tool in progress. It runs the operation with the rights of the caller, and again as
// long as a wait has time left.
//
// Owned by a request of McpServer, on the loop's thread. All that the constructor refers to outlives it. If
// it is destroyed before its end, the operation's client has gone.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "control/http/http.h"
#include "control/mcp/mcp_tools.h"
#include "orchestrator/json/json.h"
#include "process/result.h"
#include "process/timer.h"

namespace reeve {

class Idempotency;
struct ApiContext;

class McpCall {
 public:
  struct Outcome {
    std::string result;               // of tools/call, a JSON object
    bool over_time = false;           // a wait ended because its time was over
    std::optional<Error> error = {};  // that the result describes
    // The same call may succeed later.
    [[nodiscard]] bool temporary() const;
  };
  // May destroy the call.
  using Done = std::function<void(Outcome outcome)>;

  // `from` tells who calls and from where. `key` is the call's own Idempotency-Key; empty: none.
  McpCall(ApiContext& api, Idempotency& idempotency, const McpTool& tool, const Request& from,
          const std::string& key, Done done);
  ~McpCall();
  McpCall(const McpCall&) = delete;
  McpCall& operator=(const McpCall&) = delete;

  // The time that a call with these arguments may wait, in milliseconds; 0: the tool does not wait. Error:
  // the argument is wrong.
  static Result<int64_t> WaitMs(const McpTool& tool, const JsonValue& arguments);

  // The arguments of a wait, which say what it waits for, so that all of its parts wait for the same.
  static std::string WithTarget(const ApiContext& api, const McpTool& tool, const JsonValue& arguments);

  // Runs it. `wait_ms` is that of WaitMs, or less. Done may be called from within.
  void Begin(const JsonValue& arguments, int64_t wait_ms);
  // In place of Begin: its outcome is this error.
  void Refuse(const Error& error) { Fail(error); }

 private:
  class Sink;

  void Run();
  void Take(Response response);
  void Fail(const Error& error);
  void Finish(std::string_view text, std::string_view structured, Outcome outcome);
  [[nodiscard]] std::string ArgumentsNow(int64_t left_ms) const;

  ApiContext& api_;
  Idempotency& idempotency_;
  const McpTool& tool_;
  Request request_;  // without its body
  const Done done_;
  std::string arguments_;  // JSON members, without the one of the time
  int64_t until_ms_ = 0;   // of the loop's clock
  std::shared_ptr<Sink> sink_;
  Timer again_;
};

}  // namespace reeve
