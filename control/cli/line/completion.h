// What the shells complete: the scripts of `reeve completion SHELL` ask `reeve complete -- WORD…`.
#pragma once

#include <string>
#include <vector>

#include "control/cli/line/command_line.h"

namespace reeve {

struct Candidate {
  std::string value;  // the whole word; empty: what the shell itself knows, of the kind that `about` names
  std::string about;  // a few words; or FILE, DIR, COMMAND
};
// For the last of `words`, those after "reeve"; it may be empty. Asks the daemon that the words name for what
// only that knows, and is content without one.
std::vector<Candidate> Complete(const CommandDoc& root, const std::vector<std::string>& words);

}  // namespace reeve
