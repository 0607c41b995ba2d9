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
  bool interactive = false;  // -i
  bool no_stdin = false;
  bool remove = false;
  bool detach = false;
};

struct RunRequest {
  std::string spec;  // JSON
  // Our stdin goes to the program. Its end is passed on, unless the program's stdin stays open for messages.
  bool sends_input = false;
  bool keeps_open = false;
};

// Errors: "invalid_request", "file_not_found"; they name the option. Reads stdin for a prompt of "-".
// `terminal`: our stdin is one.
Result<RunRequest> MakeRunRequest(const RunOptions& options, bool terminal);

}  // namespace reeve
