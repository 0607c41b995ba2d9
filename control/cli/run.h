// `reeve run`: starts an agent in a running daemon, follows its stream, exits as its run did.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "control/cli/client.h"

namespace reeve {

struct RunOptions {
  Client::Options client;
  std::string kind = "process";
  std::string id;
  std::string cwd;
  std::string prompt;
  std::string model;
  std::vector<std::string> env;  // NAME=value
  std::vector<std::string> command;
};

// The exit code for the shell. Output of the agent goes to stdout and stderr, everything else to stderr.
int RunAgent(const RunOptions& options);

}  // namespace reeve
