// PendingCalls: requests that run at the same time. Owned by a command or a part of one; destroying it
// cancels them.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>

#include "control/cli/client/client.h"
#include "orchestrator/json/json.h"
#include "process/http_client.h"
#include "process/result.h"

namespace reeve {

class PendingCalls {
 public:
  // The JSON of a 2xx answer ({} if it has no body), the daemon's problem, or the transport's error.
  using Done = std::function<void(const Result<JsonDocument>& answer)>;

  explicit PendingCalls(HttpClient& http) : http_(http) {}

  void Send(HttpRequest request, Done done);
  [[nodiscard]] bool empty() const { return calls_.empty(); }

 private:
  HttpClient& http_;
  uint64_t next_ = 0;
  std::map<uint64_t, std::unique_ptr<HttpCall>> calls_;
};

}  // namespace reeve
