// Commands that do the same with each of several agents.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "control/cli/client/client.h"
#include "control/cli/commands/input.h"
#include "control/cli/line/command_line.h"
#include "control/cli/terminal/console.h"
#include "process/result.h"

namespace reeve {

struct EachAgentOptions : CommonOptions {
  std::string command;  // "agents stop", for error messages
  std::vector<std::string> agents;
};

// Acts on one agent. Returns the text to print, without its last line end; empty: nothing is printed.
using ToAgent = std::function<Result<std::string>(const Client& client, const std::string& id)>;

// Acts on all agents that the options name, on each once. A failure does not end the command; the first one
// gives the exit code.
int ForEachAgentOf(const EachAgentOptions& options, const ToAgent& act);

// Declares a command of `to`, with the argument AGENT…; returns it with the options that its action gets.
template <typename Options>
std::pair<Command, std::shared_ptr<Options>> AddForAgents(Command to, const char* name, const char* summary) {
  auto options = std::make_shared<Options>();
  Command command = to.Add(name, summary);
  options->command = command.doc().Path().substr(sizeof "reeve");
  command.Argument("AGENT", options->agents, kAgentsHelp).Required();
  return {command, options};
}

}  // namespace reeve
