// ScriptedAgent: an agent that says and waits for what a test writes down: `reeve replay` of a script, in the
// words of a kind that speaks on stdio.
#pragma once

#include <string>
#include <vector>

#include "tests/support/daemon.h"

namespace reeve {

// The script consists of "< text", which the agent prints, and "> text", for which it waits for a line (any
// line; the text is for the reader).
std::string ScriptAsRecording(const std::vector<std::string>& script);

// POST /agents: an agent of this kind that plays the script, its conversation recorded; `more` are further
// members of its spec, each with a comma before it.
void CreateScripted(const Daemon& daemon, const std::string& id, const std::string& kind,
                    const std::vector<std::string>& script, const std::string& more = "");

}  // namespace reeve
