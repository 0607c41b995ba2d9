// The agent owns its clone and may have written anything into its .git.
#pragma once

#include <string>

#include "process/result.h"

namespace reeve {

// Whether all that git adds to this clone stays in it: its .git is a folder, neither a link nor a file that
// names another one, and so is every folder of its objects, refs and reflogs. Error "workspace_failed" names
// the first that is not. Blocks; the agent must have no process, which could change it afterwards.
Status CheckConfined(const std::string& clone);

}  // namespace reeve
