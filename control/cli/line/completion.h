// Shell completion: the scripts of `reeve completion SHELL` ask `reeve complete -- WORD…` for candidates.
#pragma once

#include <string>
#include <vector>

#include "control/cli/line/command_line.h"

namespace reeve {

struct Candidate {
  std::string value;  // the whole word; empty: the shell completes it itself, as `about` says
  std::string about;  // a few words; or FILE, DIR, COMMAND
};
// Candidates for the last of `words`, those after "reeve"; it may be empty. Asks the daemon that the words
// name about agents and approvals, for at most a second; without a daemon there are no such candidates.
std::vector<Candidate> Complete(const CommandDoc& root, const std::vector<std::string>& words);

// The text of `reeve completion`. `shell`: bash, zsh or fish.
const char* CompletionScript(const std::string& shell);

}  // namespace reeve
