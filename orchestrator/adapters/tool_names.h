// What tools are called, whichever agent has them: `bash` is Claude Code's Bash, codex's commandExecution,
// ACP's kind execute. Rules of permissions and viewers see these names; control/API.md lists them.
#pragma once

#include <string>
#include <string_view>

#include "orchestrator/json.h"

namespace reeve {

// The common name of a tool, or its own where it has none.
std::string ToolName(std::string_view own_name);
// Whether this is what some agent calls a tool of a common name.
bool IsToolName(std::string_view own_name);

// What a call of a tool (by its common name) is about, the argument that a rule's pattern is held against: a
// shell's command, a file's path, a URL, a query. Empty where the tool has no such argument.
std::string ToolArgument(std::string_view name, const JsonValue& input);

}  // namespace reeve
