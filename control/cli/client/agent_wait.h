// AgentWait: waits until an agent meets a condition, without polling, across lost connections and restarts of
// the daemon. Owned by a command; the loop and the HTTP client must outlive it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "control/cli/client/client.h"
#include "control/cli/client/retry.h"

namespace reeve {

class AgentWait {
 public:
  struct Condition {
    std::string agent;  // its id
    // "ready", "terminal", "idle" or "exited" (control/api/API.md). "terminal" means the run that is open
    // when the wait begins, else the last run, else the first one to come. It never means a later run.
    std::string until = "terminal";
    std::string message;      // with "terminal": the run of this message
    int64_t timeout_ms = -1;  // for the whole wait; negative: none
  };
  // The run ("terminal") or the agent; or the error "timed_out", the daemon's refusal, or that the daemon has
  // been away for a minute. Called once; it may destroy the wait.
  using Done = std::function<void(Result<JsonDocument> answer)>;

  AgentWait(Loop& loop, HttpClient& http, const Client& client, Condition condition, Done done,
            Retry::Tell tell = {});

  void Begin();
  [[nodiscard]] const std::string& agent() const { return condition_.agent; }

 private:
  void Next();
  void LookUp();
  void Ask();
  void Send(const std::string& path, int64_t timeout_ms, void (AgentWait::*take)(const HttpResponse& answer));
  void Lost(const Error& error);
  void TakeAgent(const HttpResponse& answer);
  void TakeAnswer(const HttpResponse& answer);
  void End(Result<JsonDocument> answer);
  [[nodiscard]] int64_t LeftMs(int64_t most) const;

  Loop& loop_;
  HttpClient& http_;
  const Client& client_;
  const Condition condition_;
  const Done done_;
  std::string run_;          // the run to wait for; empty: not known yet, or irrelevant
  int64_t deadline_ms_ = 0;  // loop time
  Retry retry_;
  std::unique_ptr<HttpCall> call_;
};

}  // namespace reeve
