// `reeve agents …` (alias `sessions`) and `reeve drain`: one request to a running daemon each, or one for
// each agent that is named. Also for agents that look after agents: server and token come by the environment.
#pragma once

#include <string>
#include <vector>

#include "control/cli/client.h"

namespace CLI {
class App;
}

namespace reeve {

struct AgentsOptions {
  Client::Options client;
  std::string command;  // "list", "status", …; empty: none of ours
  std::vector<std::string> ids;
  bool json = false;  // one JSON object a line
  // list
  std::string state;
  std::string label;  // key=value
  // wake
  std::string message;  // "-": stdin
  std::string delay;
  std::string at;
  bool steer = false;
  std::string dedupe_key;
  // stop, restart
  std::string grace;
  // rm
  bool purge = false;
  // drain
  std::string timeout;
};

// Adds the commands and their options; parsing sets `options.command`.
void AddAgents(CLI::App& app, AgentsOptions& options);

// The exit code for the shell: of several agents the first that is not 0.
int RunAgents(const AgentsOptions& options);

}  // namespace reeve
