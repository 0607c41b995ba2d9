// Kind `process`: any program. Its run lasts as long as the process; lines of stdout and stderr become
// agent.output; a prompt is a line on its stdin; an interrupt is INT.
#pragma once

#include <memory>
#include <string>

#include "orchestrator/adapters/kind.h"
#include "process/child.h"

namespace reeve {

std::unique_ptr<Adapter> MakeProcessAdapter(AgentHost& host, const std::string& session);

// One line of output as agent.output data: {stream, text}, with encoding "base64" where it is not UTF-8.
std::string OutputJson(const char* stream, std::string_view line, bool truncated);
const char* NameOf(Child::Output from);

}  // namespace reeve
