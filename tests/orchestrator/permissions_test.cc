#include "orchestrator/permissions.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "orchestrator/adapters/tool_names.h"
#include "orchestrator/json.h"

namespace reeve {
namespace {

using Verdict = Permissions::Verdict;

PermissionRule Rule(const char* text) {
  auto rule = PermissionRule::Parse(text);
  EXPECT_TRUE(rule.ok()) << text;
  return rule ? *rule : PermissionRule{};
}

TEST(PermissionRuleTest, ReadsToolsAndPatterns) {
  for (const char* text : {"bash", "bash(git *)", "bash()", "mcp__x__y", "mcp:*", "edit(/src/(a)/*)", "*"}) {
    EXPECT_EQ(Rule(text).ToString(), text);
  }
  for (const char* text : {"", "(x)", "bash(git", "bash)x(", "ba sh", "bash (x)", "bash(x) "}) {
    EXPECT_FALSE(PermissionRule::Parse(text).ok()) << text;
  }
}

TEST(PermissionRuleTest, AStarOfAnAllowRuleStopsAtWhatCouldBeginAnotherCommand) {
  const PermissionRule git = Rule("bash(git *)");
  EXPECT_TRUE(git.Allows("bash", "git log"));
  EXPECT_TRUE(git.Allows("bash", "git "));
  EXPECT_TRUE(git.Allows("bash", "git log --format=$x %h"));
  EXPECT_FALSE(git.Allows("bash", "git"));
  EXPECT_FALSE(git.Allows("edit", "git log"));
  for (const char* command :
       {"git log; rm -rf .", "git log && rm x", "git log | sh", "git log > /etc/x", "git log < x",
        "git log $(rm x)", "git log `rm x`", "git log\nrm x", "git log\rrm x", "git log & rm x"}) {
    EXPECT_FALSE(git.Allows("bash", command)) << command;
    EXPECT_TRUE(git.MatchesWidely("bash", command)) << command;
  }
  // What the rule itself spells out is allowed.
  EXPECT_TRUE(Rule("bash(make | tee *)").Allows("bash", "make | tee log"));
  EXPECT_FALSE(Rule("bash(make | tee *)").Allows("bash", "make | tee log | sh"));
  EXPECT_TRUE(Rule("bash(*)").Allows("bash", "a b c"));
  EXPECT_FALSE(Rule("bash(*)").Allows("bash", "a;b"));
  EXPECT_TRUE(Rule("bash").Allows("bash", "a;b"));
}

TEST(PermissionRuleTest, ADenyRuleMatchesOneCommandOfACompoundOne) {
  const PermissionRule rm = Rule("bash(rm *)");
  for (const char* command :
       {"rm -rf .", "ls; rm -rf .", "ls &&rm x", "(rm x)", "echo $(rm x)", "echo `rm x`", "a\nrm x"}) {
    EXPECT_TRUE(rm.MatchesWidely("bash", command)) << command;
  }
  for (const char* command : {"ls", "echo rm x", "charm x", "rmdir"}) {
    EXPECT_FALSE(rm.MatchesWidely("bash", command)) << command;
  }
}

TEST(PermissionRuleTest, ManyStarsTakeNoLongTime) {
  std::string pattern = "bash(";
  for (int i = 0; i < 200; ++i) pattern += "*a";
  pattern += "*b)";
  EXPECT_FALSE(Rule(pattern.c_str()).Allows("bash", std::string(20'000, 'a')));
}

TEST(PermissionsTest, DenyBeatsAskBeatsAllow) {
  Permissions permissions;
  permissions.fallback = Verdict::kAllow;
  permissions.allow = {Rule("bash"), Rule("edit(/src/*)")};
  permissions.ask = {Rule("bash(git push*)"), Rule("write")};
  permissions.deny = {Rule("bash(git push --force*)"), Rule("bash(rm *)")};
  auto verdict = [&permissions](const char* tool, const char* argument) {
    return permissions.Judge(tool, argument).verdict;
  };
  EXPECT_EQ(verdict("bash", "ls"), Verdict::kAllow);
  EXPECT_EQ(verdict("bash", "git push origin"), Verdict::kAsk);
  EXPECT_EQ(verdict("bash", "git push --force origin"), Verdict::kDeny);
  EXPECT_EQ(verdict("bash", "git status && rm -rf ."), Verdict::kDeny);
  EXPECT_EQ(verdict("write", "/src/x"), Verdict::kAsk);
  EXPECT_EQ(verdict("fetch", "http://x"), Verdict::kAllow);
  EXPECT_EQ(permissions.Judge("fetch", "").why, "permissions.default");
  EXPECT_EQ(permissions.Judge("bash", "rm x").why, "bash(rm *)");
}

TEST(ToolNamesTest, TheSameToolHasOneName) {
  for (const char* own : {"Bash", "bash", "shell", "commandExecution", "execute"})
    EXPECT_EQ(ToolName(own), "bash") << own;
  for (const char* own : {"Edit", "MultiEdit", "apply_patch", "fileChange"})
    EXPECT_EQ(ToolName(own), "edit") << own;
  EXPECT_EQ(ToolName("mcp__Server__Do-It"), "mcp__Server__Do-It");
  EXPECT_EQ(ToolName(""), "");
}

TEST(ToolNamesTest, TheArgumentIsWhatACallIsAbout) {
  auto argument = [](const char* tool, const char* input) {
    auto json = JsonDocument::Parse(input);
    return ToolArgument(tool, json->root());
  };
  EXPECT_EQ(argument("bash", R"({"command":"ls -l"})"), "ls -l");
  EXPECT_EQ(argument("bash", R"({"command":["git","log"]})"), "git log");
  EXPECT_EQ(argument("edit", R"({"file_path":"/a"})"), "/a");
  EXPECT_EQ(argument("edit", R"({"path":"/b"})"), "/b");
  EXPECT_EQ(argument("bash", R"({"command":7})"), "");
  EXPECT_EQ(argument("mcp__x", R"({"command":"ls"})"), "");
  EXPECT_EQ(argument("bash", "[]"), "");
}

}  // namespace
}  // namespace reeve
