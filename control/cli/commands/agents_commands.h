// The commands of `reeve agents` that have files of their own; agents.cc has the small ones.
#pragma once

#include "control/cli/line/command_line.h"

namespace reeve {

void AddAgentsAttach(Command agents);
void AddAgentsExport(Command agents);  // also as `reeve export`
void AddAgentsList(Command agents);
void AddAgentsLogs(Command agents);
void AddAgentsWatch(Command agents);

}  // namespace reeve
