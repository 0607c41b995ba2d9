// Permissions: what an agent's calls of tools get without asking a person. A value of the agent's spec.
//
// A rule is `tool` or `tool(pattern)`, by the tool's common name (adapters/tool_names.h) and the argument
// that a call is about; `*` in a pattern stands for any text. Deny beats ask beats allow, whatever their
// order.
//
// What `*` may stand for depends on which way a mistake would go. In an allow rule it matches no ; & | < > $(
// ` or line break, so that "bash(git *)" does not allow "git log; rm -rf .". A deny or ask rule matches those
// too, and also when any one command of a compound one matches.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "process/result.h"

namespace reeve {

struct PermissionRule {
  std::string tool;
  std::string pattern;  // without one: any call of the tool
  bool any_call = true;

  // Error "invalid_request": what is wrong with it.
  static Result<PermissionRule> Parse(std::string_view text);
  [[nodiscard]] std::string ToString() const { return any_call ? tool : tool + "(" + pattern + ")"; }

  // `argument` as ToolArgument gives it. Widely: as a deny or ask rule.
  [[nodiscard]] bool Allows(std::string_view tool_name, std::string_view argument) const;
  [[nodiscard]] bool MatchesWidely(std::string_view tool_name, std::string_view argument) const;
};

struct Permissions {
  enum class Verdict { kAsk, kAllow, kDeny };
  Verdict fallback = Verdict::kAsk;  // where no rule matches
  std::vector<PermissionRule> allow;
  std::vector<PermissionRule> ask;
  std::vector<PermissionRule> deny;
  // Until somebody answers, for approvals and elicitations; 0: as long as the run lasts. An hour: an agent
  // that nobody looks after goes on without what it asked for, rather than hang for ever.
  int64_t timeout_ms = 3'600'000;
  bool allow_on_timeout = false;

  struct Judgement {
    Verdict verdict;
    std::string why;  // the rule, or "permissions.default"
  };
  [[nodiscard]] Judgement Judge(std::string_view tool, std::string_view argument) const;
};

}  // namespace reeve
