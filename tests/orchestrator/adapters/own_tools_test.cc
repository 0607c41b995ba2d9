// An agent with `mcp` gets reeve's own tools in its program's configuration.
#include "orchestrator/adapters/own_tools.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "orchestrator/adapters/acp/acp.h"
#include "orchestrator/adapters/adapter.h"
#include "orchestrator/adapters/claude/claude.h"
#include "orchestrator/adapters/codex/codex.h"
#include "orchestrator/adapters/opencode/opencode.h"
#include "orchestrator/json/json.h"
#include "process/loop.h"
#include "process/spawn.h"
#include "tests/support/recording_host.h"

namespace reeve {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;

class OwnToolsTest : public ::testing::Test {
 protected:
  OwnToolsTest() {
    host_.spec().mcp = true;
    spawn_.cwd = "/w";
    spawn_.env = {"PATH=/nowhere", "REEVE_SERVER=http://127.0.0.1:1", "REEVE_TOKEN_FILE=/p/token", "KEY=x"};
  }
  // The value of a variable of the process, parsed.
  JsonDocument Variable(const std::string& name) {
    for (const std::string& entry : spawn_.env) {
      if (entry.starts_with(name + "=")) return JsonDocument::Parse(entry.substr(name.size() + 1)).value();
    }
    return JsonDocument::Parse("{}").value();
  }

  Loop loop_;
  RecordingHost host_{loop_};
  SpawnSpec spawn_;
};

TEST_F(OwnToolsTest, HasTheAgentsServerAndTheFileOfItsToken) {
  const OwnTools tools = OwnTools::For(spawn_);
  EXPECT_EQ(tools.command, "reeve");
  EXPECT_EQ(tools.EnvJson(), R"({"REEVE_SERVER":"http://127.0.0.1:1","REEVE_TOKEN_FILE":"/p/token"})");
}

TEST_F(OwnToolsTest, ClaudeGetsAConfiguration) {
  ASSERT_TRUE(MakeClaudeAdapter(host_, "")->Prepare(spawn_).ok());
  EXPECT_THAT(spawn_.argv,
              Contains(R"(--mcp-config={"mcpServers":{"reeve":{"type":"stdio","command":"reeve",)"
                       R"("args":["mcp"],"env":)" +
                       OwnTools::For(spawn_).EnvJson() + "}}}"));
}

TEST_F(OwnToolsTest, CodexGetsOptions) {
  ASSERT_TRUE(MakeCodexAdapter(host_, "")->Prepare(spawn_).ok());
  for (const char* option :
       {R"(mcp_servers.reeve.command="reeve")", R"(mcp_servers.reeve.args=["mcp"])",
        R"(mcp_servers.reeve.env.REEVE_TOKEN_FILE="/p/token")", "mcp_servers.reeve.tool_timeout_sec=90000"})
    EXPECT_THAT(spawn_.argv, Contains(option));
}

TEST_F(OwnToolsTest, OpencodeGetsAServerBesideThoseOfTheSpec) {
  spawn_.env.emplace_back(R"(OPENCODE_CONFIG_CONTENT={"mcp":{"mine":{}},"theme":"t"})");
  ASSERT_TRUE(MakeOpencodeAdapter(host_, "")->Prepare(spawn_).ok());
  const JsonDocument config = Variable("OPENCODE_CONFIG_CONTENT");
  EXPECT_EQ(config["theme"].StringOr(""), "t");
  EXPECT_TRUE(config["mcp"]["mine"]);
  EXPECT_EQ(config["mcp"]["reeve"]["command"].Raw(), R"(["reeve","mcp"])");
  EXPECT_EQ(config["mcp"]["reeve"]["environment"]["REEVE_TOKEN_FILE"].StringOr(""), "/p/token");
  spawn_.env = {"OPENCODE_CONFIG_CONTENT=no json"};
  EXPECT_FALSE(MakeOpencodeAdapter(host_, "")->Prepare(spawn_).ok());
}

TEST_F(OwnToolsTest, KiloGetsAServer) {
  ASSERT_TRUE(MakeKiloAdapter(host_, "")->Prepare(spawn_).ok());
  EXPECT_TRUE(Variable("KILO_CONFIG_CONTENT")["mcp"]["reeve"]);
}

// The session is made by another adapter than the one that prepared the process.
TEST_F(OwnToolsTest, AcpGetsAServerInItsSessionAlsoFromTheNextDaemon) {
  auto first = MakeAcpAdapter(host_, "", "text");
  ASSERT_TRUE(first->Prepare(spawn_).ok());
  first->OnSpawned();
  const JsonDocument state = JsonDocument::Parse(first->Save()).value();
  auto second = MakeAcpAdapter(host_, "", "text");
  ASSERT_TRUE(second->Restore(state.root()).ok());
  second->Resume();
  second->OnOutput(
      Child::Output::kStdout,
      "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"protocolVersion\":1,\"agentCapabilities\":{}}}\n");
  EXPECT_THAT(host_.Text(), HasSubstr("session/new"));
  EXPECT_THAT(host_.Text(), HasSubstr(R"({"name":"REEVE_TOKEN_FILE","value":"/p/token"})"));
}

TEST_F(OwnToolsTest, WithoutMcpNothingIsAdded) {
  host_.spec().mcp = false;
  ASSERT_TRUE(MakeClaudeAdapter(host_, "")->Prepare(spawn_).ok());
  EXPECT_THAT(spawn_.argv, Not(Contains(HasSubstr("mcp-config"))));
}

}  // namespace
}  // namespace reeve
