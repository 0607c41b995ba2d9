// What an agent edited, as file.edited events.
#pragma once

#include <string>
#include <string_view>

#include "orchestrator/adapters/agent_host.h"

namespace reeve {

// Tells of an edit by its unified diff (or its hunks alone): the counts, and the diff itself unless it is
// long.
void TellEdit(AgentHost& host, std::string_view path, std::string_view diff);

// A diff of two texts: one hunk, from the first line that differs to the last.
std::string DiffOf(std::string_view before, std::string_view after);

// The diff of a file that was made ('+') or deleted ('-') as a whole.
std::string WholeFileDiff(std::string_view content, char sign);

}  // namespace reeve
