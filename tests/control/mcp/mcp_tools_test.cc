#include "control/mcp/mcp_tools.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "orchestrator/json/json.h"

namespace reeve {
namespace {

std::set<std::string> NamesFor(Scope scope) {
  std::set<std::string> names;
  const auto tools = JsonDocument::Parse(ListMcpTools(scope));
  for (const JsonValue& tool : tools->root().Elements()) names.emplace(tool["name"].StringOr(""));
  return names;
}

TEST(McpTools, ACallerSeesTheToolsThatItMayUse) {
  const auto view = NamesFor(Scope::kView);
  const auto operate = NamesFor(Scope::kOperate);
  const auto admin = NamesFor(Scope::kAdmin);
  EXPECT_TRUE(view.contains("list_agents"));
  EXPECT_FALSE(view.contains("send_message"));
  EXPECT_TRUE(operate.contains("send_message"));
  EXPECT_FALSE(operate.contains("start_agent"));
  EXPECT_TRUE(admin.contains("start_agent"));
  EXPECT_EQ(admin.size(), McpTools().size());
}

TEST(McpTools, NamesAreUnique) {
  std::set<std::string_view> names;
  for (const McpTool& one : McpTools()) {
    EXPECT_TRUE(names.insert(one.tool().name).second) << one.tool().name;
    EXPECT_EQ(FindMcpTool(one.tool().name), &one);
  }
  EXPECT_EQ(FindMcpTool("no_such_tool"), nullptr);
  EXPECT_EQ(FindMcpTool(""), nullptr);
}

// The declaration of a tool names parameters, which are those of the operation.
TEST(McpTools, DeclarationsFitTheirOperations) {
  for (const McpTool& one : McpTools()) {
    SCOPED_TRACE(one.tool().name);
    for (const std::string_view name : one.tool().parameters)
      EXPECT_NE(one.operation->Find(name), nullptr) << name;
    const auto defaults = JsonDocument::Parse("{" + std::string(one.tool().defaults) + "}");
    ASSERT_TRUE(defaults.ok());
    for (const auto& [name, value] : defaults->root().Members())
      EXPECT_NE(one.operation->Find(name), nullptr) << name;
    if (!one.tool().wait.empty()) {
      ASSERT_NE(one.operation->Find(one.tool().wait), nullptr);
      EXPECT_FALSE(one.tool().nothing.empty());
    }
  }
}

TEST(McpTools, SchemasAreCompleteObjects) {
  for (const McpTool& one : McpTools()) {
    SCOPED_TRACE(one.tool().name);
    const auto json = JsonDocument::Parse(one.json);
    ASSERT_TRUE(json.ok());
    EXPECT_EQ((*json)["inputSchema"]["type"].StringOr(""), "object");
    EXPECT_EQ((*json)["outputSchema"]["type"].StringOr(""), "object");
    EXPECT_EQ(one.json.find("$ref"), std::string::npos);
    EXPECT_FALSE((*json)["description"].StringOr("").empty());
    for (const char* hint : {"readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"})
      EXPECT_TRUE((*json)["annotations"][hint].AsBool()) << hint;
  }
}

TEST(McpTools, HintsSayWhetherACallMayBeRepeated) {
  const auto idempotent = [](const char* name) {
    return JsonDocument::Parse(FindMcpTool(name)->json)->root()["annotations"]["idempotentHint"].AsBool();
  };
  for (const char* name : {"list_agents", "stop_agent", "decide_approval"}) EXPECT_EQ(idempotent(name), true);
  for (const char* name : {"start_agent", "send_message", "interrupt_agent"})
    EXPECT_EQ(idempotent(name), false);
}

TEST(McpTools, AWaitMayBeLongerThanThatOfTheOperation) {
  const auto json = JsonDocument::Parse(FindMcpTool("wait_for_agent")->json);
  EXPECT_EQ((*json)["inputSchema"]["properties"]["timeout_ms"]["maximum"].AsInt(), kMaxToolWaitMs);
}

}  // namespace
}  // namespace reeve
