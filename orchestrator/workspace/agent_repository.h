// AgentRepository: the repository that an agent's folder is in, and its part that is the agent's. An agent
// may have written anything into it, and those who look at its changes may not read the daemon's other files;
// so git neither looks for the repository nor says where its parts are.
#pragma once

#include <string>
#include <vector>

#include "process/result.h"

namespace reeve {

struct AgentRepository {
  std::string top;      // the folder of its files
  std::string git_dir;  // gitrepository-layout(5)
  std::string common;   // the folder of its refs and objects: `git_dir`, except in a linked worktree
  std::vector<std::string> pathspec;  // the agent's folder, without the daemon's data; gitglossary(7)
};

// Finds the repository whose .git is in `folder`, or else in the nearest folder above. Errors:
// "repository_not_found"; "changes_unavailable" if the repository's refs are not in its own .git, or in that
// of which it is a linked worktree, and if `folder` is within `data`, the daemon's data folder, and not
// `own`, the agent's clone there. Blocks.
Result<AgentRepository> FindAgentRepository(const std::string& folder, const std::string& data,
                                            const std::string& own);

}  // namespace reeve
