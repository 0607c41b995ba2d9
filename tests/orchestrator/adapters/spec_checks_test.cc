#include "orchestrator/adapters/spec_checks.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <string>

#include "orchestrator/adapters/kind.h"
#include "orchestrator/agent/agent_spec.h"
#include "orchestrator/workspace/git.h"
#include "process/loop.h"
#include "process/reaper.h"
#include "tests/support/loop_fixture.h"

namespace reeve {
namespace {

class SpecChecks : public ::testing::Test {
 protected:
  static AgentSpec Spec(const std::string& json) {
    auto parsed = JsonDocument::Parse(json);
    EXPECT_TRUE(parsed.ok()) << json;
    auto spec = AgentSpec::FromJson(parsed->root());
    EXPECT_TRUE(spec.ok()) << json << ": " << spec.error().message;
    return spec.ok() ? *spec : AgentSpec();
  }
  // The refusal of a new agent, or "" where it may be made.
  std::string Check(const std::string& json) {
    const Status checked = CheckNewAgent(Spec(json), git_);
    if (checked) return "";
    code_ = checked.error().code;
    return checked.error().message;
  }

  std::string code_;  // of the last refusal
  TempDir dir_;
  Loop loop_;
  Reaper reaper_{loop_};
  Git git_{{loop_, reaper_}, {}};
};

TEST_F(SpecChecks, AKindIsRefusedThatDoesNotExist) {
  EXPECT_EQ(
      Check(R"({"kind":"abacus","command":["true"]})"),
      "kind: there is no kind abacus; there are process, jsonl, opencode, kilo, claude, codex, acp, pi");
}

TEST_F(SpecChecks, AKindWithoutAProgramOfItsOwnNeedsACommand) {
  EXPECT_EQ(Check(R"({"kind":"acp"})"), "command: kind acp needs a command");
  EXPECT_EQ(code_, "invalid_request");
}

TEST_F(SpecChecks, FieldsThatTheKindWouldIgnoreAreRefused) {
  const std::string process = R"({"kind":"process","command":["true"],)";
  EXPECT_EQ(Check(process + R"("model":"m"})"), "model: kind process does not offer a choice of models");
  EXPECT_EQ(Check(process + R"("system_prompt":"be brief"})"),
            "system_prompt: kind process takes no system prompt");
  EXPECT_EQ(Check(process + R"("api":"view","mcp":true})"), "mcp: kind process starts no MCP servers");
  EXPECT_EQ(Check(process + R"("permissions":{"default":"allow"}})"),
            "permissions: kind process asks for no approvals");
  EXPECT_EQ(Check(process + R"("resume":"s1"})"), "resume: kind process has no sessions to resume");
  EXPECT_EQ(code_, "not_supported");
  EXPECT_EQ(Check(R"({"kind":"acp","command":["true"],"model":"m","resume":"s1"})"), "");
}

TEST_F(SpecChecks, AChangedSpecIsHeldAgainstTheAbilitiesOfTheKindOnly) {
  const AgentSpec gone = Spec(R"({"kind":"process","command":["/no/such/program"]})");
  EXPECT_TRUE(CheckChangedAgent(*FindKind("process"), gone, gone).ok());
}

TEST_F(SpecChecks, AChangedCommandMustBeThere) {
  const Kind& process = *FindKind("process");
  const AgentSpec before = Spec(R"({"kind":"process","command":["true"]})");
  EXPECT_TRUE(CheckChangedAgent(process, before, Spec(R"({"kind":"process","command":["false"]})")).ok());
  for (const char* wrong :
       {R"({"kind":"process","command":["/no/such/program"]})", R"({"kind":"process"})"}) {
    const Status checked = CheckChangedAgent(process, before, Spec(wrong));
    ASSERT_FALSE(checked.ok()) << wrong;
    EXPECT_EQ(checked.error().code, "invalid_request");
  }
  const AgentSpec turns = Spec(R"({"kind":"jsonl","command":["true"],"kind_options":{"turns":true}})");
  const Status changed =
      CheckChangedAgent(*FindKind("jsonl"), Spec(R"({"kind":"jsonl","command":["true"]})"), turns);
  ASSERT_FALSE(changed.ok());
  EXPECT_EQ(changed.error().code, "not_supported");
}

TEST_F(SpecChecks, OptionsAreThoseOfTheKindAndTrueOrFalse) {
  const std::string acp = R"({"kind":"acp","command":["true"],"kind_options":)";
  EXPECT_EQ(Check(acp + R"({"fs":true,"terminal":false}})"), "");
  EXPECT_EQ(Check(acp + R"({"stdin":true}})"), "kind_options.stdin: kind acp has no such option");
  EXPECT_EQ(Check(acp + R"({"fs":1}})"), "kind_options.fs: must be true or false");
  EXPECT_EQ(Check(R"({"kind":"process","command":["true"],"kind_options":{"turns":true}})"),
            "kind_options.turns: kind process has no such option");
}

TEST_F(SpecChecks, AWorkspaceNeedsAProtocolThatTheDaemonAllows) {
  const std::string process = R"({"kind":"process","command":["true"],)";
  EXPECT_EQ(Check(process + R"("workspace":{"git":"https://example.com/a.git"}})"), "");
  EXPECT_EQ(
      Check(process + R"("workspace":{"git":"file:///srv/a.git"}})"),
      "workspace.git: the daemon does not allow the protocol file; `reeve serve --workspace-protocol file` does");
}

TEST_F(SpecChecks, TheProgramIsLookedUpWhereTheAgentWillRun) {
  const std::string program = dir_.path() + "/tool";
  WriteFile(program, "#!/bin/sh\n");
  ASSERT_EQ(chmod(program.c_str(), 0700), 0);
  auto process = [](const std::string& command, const std::string& more) {
    return R"({"kind":"process","command":[")" + command + "\"]" + more + "}";
  };
  const std::string in_folder = R"(,"cwd":")" + dir_.path() + "\"";
  const std::string on_path = R"(,"env":{"PATH":")" + dir_.path() + "\"}";
  EXPECT_EQ(Check(process(program, "")), "");
  EXPECT_EQ(Check(process("./tool", in_folder)), "");
  EXPECT_EQ(Check(process("tool", on_path)), "");
  EXPECT_EQ(Check(process("tool", "")), "command: program tool was not found");
  EXPECT_EQ(Check(process("./sub", in_folder)), "command: program ./sub was not found");
  ASSERT_EQ(mkdir((dir_.path() + "/sub").c_str(), 0700), 0);
  WriteFile(dir_.path() + "/plain", "#!/bin/sh\n");
  EXPECT_EQ(Check(process("./sub", in_folder)), "command: program ./sub is a directory");
  EXPECT_EQ(Check(process("plain", on_path)),
            "command: program plain is not executable; chmod +x " + dir_.path() + "/plain makes it so");
  // The clone is made later: only the start can tell.
  EXPECT_EQ(Check(process("./tool", R"(,"workspace":{"git":"https://example.com/a.git"})")), "");
}

TEST_F(SpecChecks, AProgramThatIsNotThereComesWithTheWayToInstallIt) {
  EXPECT_EQ(Check(R"({"kind":"codex","env":{"PATH":"/nowhere"}})"),
            "command: program codex was not found; to install: npm install -g @openai/codex");
}

}  // namespace
}  // namespace reeve
