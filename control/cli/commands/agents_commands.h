// The commands of `reeve agents`, each file with those of one subject; agents.cc has the small ones.
#pragma once

#include "control/cli/line/command_line.h"

namespace reeve {

void AddAgentsAttach(Command agents);
void AddAgentsExport(Command agents);
void AddAgentsFiles(Command agents);  // files, transcript
void AddAgentsList(Command agents);
void AddAgentsLogs(Command agents);
void AddAgentsProcesses(Command agents);
void AddAgentsQueue(Command agents);  // queue, runs
void AddAgentsSet(Command agents);    // set, models
void AddAgentsStatus(Command agents);
void AddAgentsWatch(Command agents);

}  // namespace reeve
