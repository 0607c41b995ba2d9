#include "control/cli/show/agent_state.h"

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
constexpr std::array kSteps = {Step{"starting", "agent.starting", Process::kStarting},
                               Step{"", "agent.ready", Process::kUp},
                               Step{"stopping", "agent.stopping", Process::kStopping},
                               Step{"backoff", "agent.restarting", Process::kBackoff},
                               Step{"failed", "agent.failed", Process::kFailed},
                               Step{"exited", "agent.exited", Process::kExited}};

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
  if (type == "agent.stalled" || type == "agent.resumed") {
    stalled = type == "agent.stalled";
  } else if (type == "run.started") {
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
