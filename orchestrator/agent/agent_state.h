// AgentState: the state of an agent, as the API shows it. Agent derives it from facts in one place.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

namespace reeve {

enum class AgentState {
  kStarting,    // its process is being started, or is not ready yet
  kIdle,        // ready, no run
  kRunning,     // a run is open
  kNeedsInput,  // waits for a person, usually within a run
  kStalled,     // a run is open, and there was no output for limits.stall_ms
  kStopping,    // the process is being ended
  kBackoff,     // the process has ended and is started again after a while
  kExited,      // no process, none wanted
  kFailed,      // no process: it could not be started, never became ready, or crashed too often
};

const char* NameOf(AgentState state);
std::optional<AgentState> ParseAgentState(std::string_view name);
std::vector<std::string_view> AgentStateNames();

}  // namespace reeve
