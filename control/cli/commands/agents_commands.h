// The larger commands of `reeve agents`, each in its own file; agents.cc has the small ones.
#pragma once

#include "control/cli/line/command_line.h"

namespace reeve {

void AddAgentsAttach(Command agents);
void AddAgentsExport(Command agents);  // also as `reeve export`
void AddAgentsList(Command agents);
void AddAgentsLogs(Command agents);
void AddAgentsWatch(Command agents);

}  // namespace reeve
