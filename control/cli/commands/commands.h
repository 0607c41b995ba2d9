// Room commands/: one file for each command or group of commands.
//
// The commands of `reeve`. Each adds itself to the command line with its options, examples and action.
#pragma once

#include <string>
#include <vector>

#include "control/cli/line/command_line.h"

namespace reeve {

// The command line of this process.
struct Invocation {
  std::string program;             // the path of its binary
  std::vector<std::string> words;  // after the command
};

// Runs the daemon. `invocation` must outlive the command line, and be complete before the command runs.
void AddServe(Command root, const Invocation& invocation);
void AddAgents(Command root);      // agents list, status, wake, …; also without the word agents
void AddApprovals(Command root);   // approvals list, allow, deny
void AddRun(Command root);         // starts an agent and follows it
void AddOpen(Command root);        // opens the dashboard in a browser
void AddTicket(Command root);      // prints a URL that opens a stream once
void AddRpc(Command root);         // relays JSON-RPC between stdin and stdout and the daemon
void AddMcp(Command root);         // serves the Model Context Protocol on stdin and stdout
void AddTop(Command root);         // shows the town live on the whole terminal
void AddReplay(Command root);      // plays a transcript back
void AddDoctor(Command root);      // checks the installation
void AddUpgrade(Command root);     // replaces the binary of a running daemon
void AddDrain(Command root);       // stops the agents, then the daemon
void AddReload(Command root);      // reads the configuration again
void AddVersion(Command root);     // prints the version
void AddCompletion(Command root);  // prints the completion scripts

}  // namespace reeve
