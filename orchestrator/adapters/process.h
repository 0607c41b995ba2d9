// Kind `process`: any program. Its run lasts as long as the process; its output becomes agent.output; a
// prompt is a line on its stdin; an interrupt is INT.
#pragma once

#include <memory>
#include <string>

#include "orchestrator/adapters/kind.h"

namespace reeve {

std::unique_ptr<Adapter> MakeProcessAdapter(AgentHost& host, const std::string& session);

}  // namespace reeve
