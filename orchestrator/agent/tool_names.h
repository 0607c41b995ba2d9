// The common names of tools, for all agents: `bash` is Claude Code's Bash, Codex's commandExecution and ACP's
// kind execute. Rules of permissions and viewers see these names; control/api/API.md lists them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "orchestrator/json/json.h"

namespace reeve {

// The common name of a tool, or its own name if it has none.
std::string ToolName(std::string_view own_name);

// Whether `known` contains every member of `asked` unchanged: then it is the same call with more details.
bool SaysNoOther(const std::string& known, const std::string& asked);

// The arguments of a tool call (by the tool's common name) that the pattern of a rule is compared with: a
// shell's command, a URL, a query, or all files of an edit, including the targets of moves, as absolute paths
// without "..". Empty if they are unknown. Relative paths are relative to `cwd`.
std::vector<std::string> ToolArguments(std::string_view name, const JsonValue& input, const std::string& cwd);

}  // namespace reeve
