#include "control/mcp/mcp_tools.h"

#include <algorithm>

#include "control/access/auth.h"
#include "control/api/openapi.h"
#include "orchestrator/json/json.h"

namespace reeve {

namespace {

std::string Describe(const Operation& operation) {
  const Tool& tool = operation.tool;
  Operation shown = operation;
  for (Parameter& parameter : shown.parameters) {
    if (parameter.name == tool.wait) parameter.most = kMaxToolWaitMs;
  }
  const bool reads = operation.access == Access::kView;
  JsonObject hints;
  hints.Set("readOnlyHint", reads).Set("destructiveHint", tool.destructive);
  hints.Set("idempotentHint", reads || tool.idempotent).Set("openWorldHint", !reads);
  return JsonObject()
      .Set("name", tool.name)
      .Set("title", operation.text.substr(0, operation.text.find('.')))
      .Set("description", tool.text)
      .SetRaw("inputSchema", ParamsSchema(shown, tool.parameters))
      .SetRaw("outputSchema", AnswerSchema(operation))
      .SetRaw("annotations", hints.Take())
      .Take();
}

}  // namespace

const std::vector<McpTool>& McpTools() {
  static const std::vector<McpTool> all = [] {
    std::vector<McpTool> tools;
    for (const Operation& one : Operations()) {
      if (!one.tool.name.empty()) tools.push_back({&one, Describe(one)});
    }
    return tools;
  }();
  return all;
}

const McpTool* FindMcpTool(std::string_view name) {
  const auto& all = McpTools();
  const auto found =
      std::find_if(all.begin(), all.end(), [name](const McpTool& one) { return one.tool().name == name; });
  return found == all.end() ? nullptr : &*found;
}

std::string ListMcpTools(Scope scope) {
  JsonArray tools;
  for (const McpTool& one : McpTools()) {
    if (CheckScope(one.operation->access, scope)) tools.AddRaw(one.json);
  }
  return tools.Take();
}

}  // namespace reeve
