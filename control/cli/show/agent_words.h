// Agents and runs in words: how a run ended, what became of an agent, and its state in sentences. All text is
// Plain, and so safe on a terminal.
#pragma once

#include <cstdint>
#include <string>

#include "orchestrator/json/json.h"

namespace reeve {

// The end of a run or agent, in words and as an exit code (control/api/API.md, "Command line").
struct Outcome {
  int code = 0;
  std::string state;  // "completed"
  std::string rest;   // " after 3.2 s"
};
Outcome OutcomeOfRun(const JsonValue& run);
// For an agent that is "ready", "idle" or "exited"; with the latter two its last run gives the code.
Outcome OutcomeOfAgent(const JsonValue& agent, const std::string& until);
// The exit code for a run that failed, of its object or the data of its run.failed: that of the program, 128
// + the signal that ended it, or kFailed.
int CodeOfFailedRun(const JsonValue& run);

// The most important thing about an agent beside its state, in few words: "failed with code 3 · 2 messages
// wait". Empty: there is nothing to say. `now_ms`: the wall clock.
std::string AgentNote(const JsonValue& agent, int64_t now_ms);
// The program and its arguments; empty: the kind's own program.
std::string CommandOf(const JsonValue& agent);
// The state of an agent in sentences, one or more lines.
std::string AgentSentences(const JsonValue& agent, int64_t now_ms);

}  // namespace reeve
