#include "control/cli/show/agent_state.h"
#include "orchestrator/log/event_types.h"

#include <array>
#include <utility>

#include "process/clock.h"

namespace reeve {

namespace {

struct Step {
  std::string_view state;  // of the API
  std::string_view event;  // that leads to it
  AgentState::Process process;
};
using Process = AgentState::Process;
constexpr std::array kSteps = {Step{"starting", event_type::kAgentStarting, Process::kStarting},
                               Step{"", event_type::kAgentReady, Process::kUp},
                               Step{"stopping", event_type::kAgentStopping, Process::kStopping},
                               Step{"backoff", event_type::kAgentRestarting, Process::kBackoff},
                               Step{"failed", event_type::kAgentFailed, Process::kFailed},
                               Step{"exited", event_type::kAgentExited, Process::kExited}};

}  // namespace

void AgentState::TakeAgent(const JsonValue& agent) {
  const std::string_view state = agent["state"].StringOr("");
  process = Process::kUp;
  for (const Step& step : kSteps) {
    if (step.state == state) process = step.process;
  }
  stalled = state == "stalled";
  run = agent["run"]["run_id"].StringOr("");
  run_started_ms = WallMsOf(agent["run"]["started_at"]);
}

bool AgentState::TakeEvent(const JsonValue& event) {
  const std::string_view type = event["type"].StringOr("");
  for (const Step& step : kSteps) {
    if (step.event != type) continue;
    process = step.process;
    return true;
  }
  if (type == event_type::kAgentStalled || type == event_type::kAgentResumed) {
    stalled = type == event_type::kAgentStalled;
  } else if (type == event_type::kRunStarted) {
    run = event["run"].StringOr("");
    run_started_ms = WallMsOf(event["time"]);
    stalled = false;
  } else if (type.starts_with("run.")) {
    run.clear();
  } else {
    return false;
  }
  return true;
}

std::string_view AgentState::Name(bool has_pending) const {
  for (const Step& step : kSteps) {
    if (step.process == process && process != Process::kUp) return step.state;
  }
  if (has_pending) return "needs_input";
  if (run.empty()) return "idle";
  return stalled ? "stalled" : "running";
}

int64_t WallMsOf(const JsonValue& time) { return ParseTime(std::string(time.StringOr(""))).value_or(0); }

}  // namespace reeve
