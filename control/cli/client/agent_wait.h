// AgentWait: waits until something holds of an agent, without polling, whatever happens to the connection or
// the daemon in between. Once the daemon has answered somebody: the first request may already fall into a
// restart. Owned by a command, on its loop.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "control/cli/client/client.h"
#include "process/timer.h"

namespace reeve {

class AgentWait {
 public:
  struct What {
    std::string agent;  // its id
    // "ready", "terminal", "idle" or "exited" (control/api/API.md). terminal: of the run that is open as this
    // begins, else of the last one, else of the first to come; none that follows is taken for it.
    std::string until = "terminal";
    std::string message;      // with "terminal": of this message's run
    int64_t timeout_ms = -1;  // of all of it; negative: none
  };
  // The run (terminal) or the agent; or why there is neither: "timed_out", the lack of a daemon for a minute,
  // or what the daemon refused. Called once, and may destroy the wait.
  using Done = std::function<void(Result<JsonDocument> answer)>;

  // How long a daemon may be away. One that drains is there.
  static constexpr int64_t kGiveUpMs = 60'000;

  AgentWait(Loop& loop, HttpClient& http, const Client& client, What what, Done done);

  void Begin();
  [[nodiscard]] const std::string& agent() const { return what_.agent; }

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
  const What what_;
  const Done done_;
  std::string run_;            // that this waits for; empty: it is not known yet, or does not matter
  int64_t deadline_ms_ = 0;    // loop time
  int64_t down_since_ms_ = 0;  // 0: it is not
  Timer retry_;
  std::unique_ptr<HttpCall> call_;
};

// How it ended, in words and as an exit code (control/api/API.md, "Command line").
struct Outcome {
  int code = 0;
  std::string state;  // "completed"
  std::string rest;   // " after 3.2 s"; Plain
};
Outcome OutcomeOfRun(const JsonValue& run);
// Of an agent that was waited for until it is "ready", "idle" or "exited": as its last run did.
Outcome OutcomeOfAgent(const JsonValue& agent, const std::string& until);

}  // namespace reeve
