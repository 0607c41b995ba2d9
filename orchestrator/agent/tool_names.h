// What tools are called, whichever agent has them: `bash` is Claude Code's Bash, codex's commandExecution,
// ACP's kind execute. Rules of permissions and viewers see these names; control/api/API.md lists them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "orchestrator/json/json.h"

namespace reeve {

// The common name of a tool, or its own where it has none.
std::string ToolName(std::string_view own_name);

// Whether `known` holds every member of `asked` as it is there: it is the same call, told with more words.
bool SaysNoOther(const std::string& known, const std::string& asked);

// What a call of a tool (by its common name) is about, the arguments that a rule's pattern is held against: a
// shell's command, a URL, a query; all files of an edit, those moved to included, as absolute paths without
// "..". Empty where that cannot be told. `cwd` is what relative paths are relative to.
std::vector<std::string> ToolArguments(std::string_view name, const JsonValue& input, const std::string& cwd);

}  // namespace reeve
