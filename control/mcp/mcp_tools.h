// Room mcp/: the operations as tools of the Model Context Protocol (https://modelcontextprotocol.io), for
// language models. MCP.md in this folder describes it to callers.
//
// The tools are the operations that declare one (Tool in control/api/operation.h). Their schemas come from
// the declarations of the parameters and answers, so this room knows no operation by name.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "control/api/operation.h"
#include "control/http/http.h"

namespace reeve {

// The longest wait that a tool takes. It consists of shorter waits of the operation.
inline constexpr int64_t kMaxToolWaitMs = 86'400'000;

struct McpTool {
  const Operation* operation;
  std::string json;  // as in the answer to tools/list

  [[nodiscard]] const Tool& tool() const { return operation->tool; }
};

// Made at the first call, in the order of the operations.
const std::vector<McpTool>& McpTools();
const McpTool* FindMcpTool(std::string_view name);  // null if there is none
// A JSON array of the tools that a caller with that scope may use.
std::string ListMcpTools(Scope scope);

}  // namespace reeve
