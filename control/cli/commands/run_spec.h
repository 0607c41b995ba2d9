// What `reeve run` was told, and the spec (control/api/API.md) that comes of it.
#pragma once

#include <string>
#include <vector>

#include "control/cli/terminal/console.h"

namespace reeve {

struct RunOptions : CommonOptions {
  std::string spec_file;  // JSON; the rest wins over it
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
  std::vector<std::string> env;     // NAME=value, or NAME: as it is here
  std::vector<std::string> env_files;
  std::vector<std::string> command;
  bool remove = false;
  bool detach = false;
};

// JSON. Errors "invalid_request", "file_not_found": which option, and why. Reads stdin where that is asked
// for.
Result<std::string> RunSpec(const RunOptions& options);

}  // namespace reeve
