// Reports the edits of an agent as file.edited events.
#pragma once

#include <string>
#include <string_view>

#include "orchestrator/adapters/agent_host.h"

namespace reeve {

// Emits an edit, given its unified diff (or only the hunks): the event has the line counts, and the diff
// itself unless it is long.
void EmitEdit(AgentHost& host, std::string_view path, std::string_view diff);

// A diff of two texts: one hunk, from the first line that differs to the last.
std::string DiffOf(std::string_view before, std::string_view after);

// The diff of a whole file that was created ('+') or deleted ('-').
std::string WholeFileDiff(std::string_view content, char sign);

}  // namespace reeve
