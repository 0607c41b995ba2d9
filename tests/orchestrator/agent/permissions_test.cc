#include "orchestrator/agent/permissions.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "orchestrator/agent/tool_names.h"
#include "orchestrator/json/json.h"

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
  EXPECT_TRUE(git.IsAbout("bash"));
  EXPECT_FALSE(git.IsAbout("edit"));
  EXPECT_TRUE(git.Allows("git log"));
  EXPECT_TRUE(git.Allows("git "));
  EXPECT_TRUE(git.Allows("git log --format=$x %h"));
  EXPECT_FALSE(git.Allows("git"));
  for (const char* command :
       {"git log; rm -rf .", "git log && rm x", "git log | sh", "git log > /etc/x", "git log < x",
        "git log $(rm x)", "git log `rm x`", "git log\nrm x", "git log\rrm x", "git log & rm x"}) {
    EXPECT_FALSE(git.Allows(command)) << command;
    EXPECT_TRUE(git.MatchesWidely(command)) << command;
  }
  // The rule allows exactly the text that it spells out.
  EXPECT_TRUE(Rule("bash(make | tee *)").Allows("make | tee log"));
  EXPECT_FALSE(Rule("bash(make | tee *)").Allows("make | tee log | sh"));
  EXPECT_TRUE(Rule("bash(*)").Allows("a b c"));
  EXPECT_FALSE(Rule("bash(*)").Allows("a;b"));
  EXPECT_TRUE(Rule("bash").Allows("a;b"));
}

TEST(PermissionRuleTest, ADenyRuleMatchesOneCommandOfACompoundOne) {
  const PermissionRule rm = Rule("bash(rm *)");
  for (const char* command : {"rm -rf .", "ls; rm -rf .", "ls &&rm x", "(rm x)", "echo $(rm x)",
                              "echo `rm x`", "a\nrm x", "rm\t-rf x", "{ rm x; }", "if true; then rm x; fi",
                              "FOO=1 rm x", "! rm x", "while :; do rm x; done"}) {
    EXPECT_TRUE(rm.MatchesWidely(command)) << command;
  }
  for (const char* command : {"ls", "echo rm x", "charm x", "rmdir"}) {
    EXPECT_FALSE(rm.MatchesWidely(command)) << command;
  }
}

TEST(PermissionRuleTest, ManyStarsTakeNoLongTime) {
  std::string pattern = "bash(";
  for (int i = 0; i < 200; ++i) pattern += "*a";
  pattern += "*b)";
  EXPECT_FALSE(Rule(pattern.c_str()).Allows(std::string(20'000, 'a')));
}

TEST(PermissionsTest, DenyBeatsAskBeatsAllow) {
  Permissions permissions;
  permissions.fallback = Verdict::kAllow;
  permissions.allow = {Rule("bash"), Rule("edit(/src/*)")};
  permissions.ask = {Rule("bash(git push*)"), Rule("write")};
  permissions.deny = {Rule("bash(git push --force*)"), Rule("bash(rm *)")};
  auto verdict = [&permissions](const char* tool, const char* argument) {
    return permissions.Judge(tool, {argument}).verdict;
  };
  EXPECT_EQ(verdict("bash", "ls"), Verdict::kAllow);
  EXPECT_EQ(verdict("bash", "git push origin"), Verdict::kAsk);
  EXPECT_EQ(verdict("bash", "git push --force origin"), Verdict::kDeny);
  EXPECT_EQ(verdict("bash", "git status && rm -rf ."), Verdict::kDeny);
  EXPECT_EQ(verdict("write", "/src/x"), Verdict::kAsk);
  EXPECT_EQ(verdict("fetch", "http://x"), Verdict::kAllow);
  EXPECT_EQ(permissions.Judge("fetch", {""}).why, "permissions.default");
  EXPECT_EQ(permissions.Judge("bash", {"rm x"}).why, "bash(rm *)");
}

TEST(ToolNamesTest, TheSameToolHasOneName) {
  for (const char* own : {"Bash", "bash", "shell", "commandExecution", "execute"})
    EXPECT_EQ(ToolName(own), "bash") << own;
  for (const char* own : {"Edit", "MultiEdit", "apply_patch", "fileChange"})
    EXPECT_EQ(ToolName(own), "edit") << own;
  EXPECT_EQ(ToolName("mcp__Server__Do-It"), "mcp__Server__Do-It");
  EXPECT_EQ(ToolName(""), "");
}

TEST(PermissionsTest, EveryFileOfAnEditMustBeAllowedAndOneIsEnoughToDeny) {
  Permissions permissions;
  permissions.allow = {Rule("edit(/work/*)"), Rule("edit(/tmp/*)")};
  permissions.deny = {Rule("edit(/etc/*)")};
  auto verdict = [&permissions](const std::vector<std::string>& files) {
    return permissions.Judge("edit", files).verdict;
  };
  EXPECT_EQ(verdict({"/work/a", "/tmp/b"}), Verdict::kAllow);
  EXPECT_EQ(verdict({"/work/a", "/home/b"}), Verdict::kAsk);
  EXPECT_EQ(verdict({"/work/a", "/etc/passwd"}), Verdict::kDeny);
}

TEST(PermissionsTest, WhatACallIsAboutMayBeUnknown) {
  Permissions permissions;
  permissions.fallback = Verdict::kAllow;
  permissions.allow = {Rule("edit(*)")};
  EXPECT_EQ(permissions.Judge("edit", {}).verdict, Verdict::kAllow);  // by default, not by the rule
  EXPECT_EQ(permissions.Judge("edit", {}).why, "permissions.default");
  permissions.deny = {Rule("edit(/etc/*)")};
  EXPECT_EQ(permissions.Judge("edit", {}).verdict, Verdict::kAsk);
  EXPECT_EQ(permissions.Judge("read", {}).verdict, Verdict::kAllow);
  permissions.fallback = Verdict::kDeny;
  EXPECT_EQ(permissions.Judge("edit", {}).verdict, Verdict::kDeny);
}

TEST(PermissionsTest, ARuleMayCallAToolByItsOwnName) {
  Permissions permissions;
  permissions.deny = {Rule("Bash(rm *)")};
  EXPECT_EQ(permissions.Judge("bash", {"rm x"}).verdict, Verdict::kDeny);
}

TEST(ToolNamesTest, TheArgumentsAreWhatACallIsAbout) {
  using Strings = std::vector<std::string>;
  auto arguments = [](const char* tool, const char* input) {
    auto json = JsonDocument::Parse(input);
    return ToolArguments(tool, json->root(), "/work");
  };
  EXPECT_EQ(arguments("bash", R"({"command":"ls -l"})"), Strings{"ls -l"});
  EXPECT_EQ(arguments("bash", R"({"command":["git","log"]})"), Strings{"git log"});
  EXPECT_EQ(arguments("fetch", R"({"url":"http://x/../y"})"), Strings{"http://x/../y"});
  EXPECT_EQ(arguments("edit", R"({"file_path":"/a"})"), Strings{"/a"});
  EXPECT_EQ(arguments("edit", R"({"path":"src/../../etc/passwd"})"), Strings{"/etc/passwd"});
  EXPECT_EQ(arguments("read", R"({"filePath":"./x"})"), Strings{"/work/x"});
  EXPECT_EQ(
      arguments("edit",
                R"({"changes":[{"path":"/a","kind":{"type":"update","move_path":"/etc/b"}},{"path":"c"}]})"),
      (Strings{"/a", "/etc/b", "/work/c"}));
  EXPECT_EQ(arguments("edit", R"({"changes":{"/a":{"update":{"move_path":"/b"}},"/c":{"add":{}}}})"),
            (Strings{"/a", "/b", "/c"}));
  EXPECT_EQ(
      arguments(
          "edit",
          R"({"patchText":"*** Begin Patch\n*** Update File: a\n*** Move to: /etc/b\n+*** Add File: no"})"),
      (Strings{"/etc/b", "/work/a"}));
  for (const char* nothing : {R"({"command":7})", "[]", "{}", "7"}) {
    EXPECT_EQ(arguments("bash", nothing), Strings{}) << nothing;
    EXPECT_EQ(arguments("edit", nothing), Strings{}) << nothing;
  }
  EXPECT_EQ(arguments("mcp__x", R"({"command":"ls"})"), Strings{});
}

}  // namespace
}  // namespace reeve
