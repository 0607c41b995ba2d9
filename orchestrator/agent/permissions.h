// Permissions: what an agent's calls of tools get without asking a person. A value of the agent's spec.
//
// A rule is `tool` or `tool(pattern)`, by the tool's common name (adapters/tool_names.h) and the arguments
// that a call is about; `*` in a pattern stands for any text. Deny beats ask beats allow, whatever their
// order.
//
// What matches depends on which way a mistake would go. A `*` of an allow rule matches no ; & | < > $( ` or
// line break, so that "bash(git *)" does not allow "git log; rm -rf ."; each of several arguments must be
// allowed; and where nobody can tell what a call is about, no pattern allows it. A `*` of a deny or ask rule
// matches anything; one argument will do, or one command of a compound one; and a call that may be what a
// deny rule means is asked about. Against an agent that hides what it does from its own shell no pattern
// helps.
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

  // Error "invalid_request": what is wrong with it. A tool's own name ("Bash") becomes its common one.
  static Result<PermissionRule> Parse(std::string_view text);
  [[nodiscard]] std::string ToString() const { return any_call ? tool : tool + "(" + pattern + ")"; }

  [[nodiscard]] bool IsAbout(std::string_view tool_name) const;
  // One of a call's arguments, as ToolArguments gives them. Widely: as a deny or ask rule.
  [[nodiscard]] bool Allows(std::string_view argument) const;
  [[nodiscard]] bool MatchesWidely(std::string_view argument) const;
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
  [[nodiscard]] Judgement Judge(std::string_view tool, const std::vector<std::string>& arguments) const;
  [[nodiscard]] bool any() const {  // something was asked for
    return fallback != Verdict::kAsk || !allow.empty() || !ask.empty() || !deny.empty();
  }
};

}  // namespace reeve
