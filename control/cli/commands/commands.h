// The commands of `reeve`: each adds itself to the command line, with its options, examples and action. One
// file each, or a few.
#pragma once

#include <string>
#include <vector>

#include "control/cli/line/command_line.h"

namespace reeve {

// How this process was started.
struct Invocation {
  std::string program;             // the path of its binary
  std::vector<std::string> words;  // those after the command
};

// Runs the daemon. `invocation` outlives the command line, and is complete before the command runs.
void AddServe(Command root, const Invocation& invocation);
void AddAgents(Command root);      // agents list, status, wake, …
void AddApprovals(Command root);   // approvals list, allow, deny
void AddRun(Command root);         // starts an agent, follows it, exits as it did
void AddTicket(Command root);      // a URL that opens a stream once
void AddTop(Command root);         // the town live, on a whole terminal
void AddExport(Command root);      // all that is kept of agents
void AddReplay(Command root);      // plays a transcript back
void AddDoctor(Command root);      // checks the installation
void AddUpgrade(Command root);     // another binary takes the daemon's place
void AddDrain(Command root);       // ends the daemon, and its agents first
void AddVersion(Command root);     // the version
void AddCompletion(Command root);  // what the shells complete

}  // namespace reeve
