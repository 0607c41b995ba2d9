// AgentState: the state of an agent's process and of its run, from the API's object and the events after it.
// A value.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "orchestrator/json/json.h"

namespace reeve {

struct AgentState {
  enum class Process { kStarting, kUp, kStopping, kBackoff, kFailed, kExited };

  Process process = Process::kExited;
  bool stalled = false;
  std::string run;             // id of the open run; empty: none
  int64_t run_started_ms = 0;  // wall clock

  // An agent's object, as GET /agents/{id} returns it.
  void TakeAgent(const JsonValue& agent);
  // An event's envelope. False if it does not change the state.
  bool TakeEvent(const JsonValue& event);

  // The API's name of the state, "needs_input" for instance, which depends on pending requests.
  [[nodiscard]] std::string_view Name(bool has_pending) const;
  [[nodiscard]] bool busy() const { return !run.empty(); }
  [[nodiscard]] bool over() const { return process == Process::kFailed || process == Process::kExited; }
};

// The wall clock's time in a JSON string; 0 if there is none.
int64_t WallMsOf(const JsonValue& time);

}  // namespace reeve
