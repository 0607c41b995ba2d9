// The options of `reeve run`, and the agent's spec (control/api/API.md) that follows from them.
#pragma once

#include <string>
#include <vector>

#include "control/cli/terminal/console.h"

namespace reeve {

struct RunOptions : CommonOptions {
  std::string spec_file;  // JSON; the other options take precedence
  std::string kind;
  std::string id;
  std::string title;
  std::string cwd;
  std::string prompt;  // "-": stdin
  std::string model;
  std::string restart;
  std::string permission;
  std::string workspace;            // GIT[#BRANCH]
  std::vector<std::string> labels;  // key=value
  std::vector<std::string> env;     // NAME=value; or NAME, from this environment
  std::vector<std::string> env_files;
  std::vector<std::string> command;
  bool remove = false;
  bool detach = false;
};

// The spec as JSON. Errors: "invalid_request", "file_not_found"; they name the option. Reads stdin for a
// prompt of "-".
Result<std::string> RunSpec(const RunOptions& options);

}  // namespace reeve
