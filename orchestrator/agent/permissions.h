// Permissions: decides which tool calls of an agent need the approval of a person. A value of the agent's
// spec.
//
// A rule is `tool` or `tool(pattern)`: the tool's common name (tool_names.h) and a pattern for the arguments
// of a call. `*` in a pattern stands for any text. Deny beats ask and ask beats allow, in whatever order the
// rules stand.
//
// The matching is strict or generous, so that a mistake is safe. A `*` of an allow rule does not match ; & |
// < > $( ` or a line break, so that "bash(git *)" does not allow "git log; rm -rf .". An allow rule must
// match each of several arguments, and a pattern allows nothing if the arguments of the call are unknown. A
// `*` of a deny or ask rule matches anything; such a rule matches if one argument does, or one command of a
// compound command. A call that a deny rule might match needs an approval. No pattern helps against an agent
// that hides its actions from its own shell.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "process/result.h"

namespace reeve {

struct PermissionRule {
  std::string tool;
  std::string pattern;  // empty: any call of the tool
  bool any_call = true;

  // Error "invalid_request" names the mistake. A tool's own name ("Bash") becomes its common one.
  static Result<PermissionRule> Parse(std::string_view text);
  [[nodiscard]] std::string ToString() const { return any_call ? tool : tool + "(" + pattern + ")"; }

  [[nodiscard]] bool IsAbout(std::string_view tool_name) const;
  // `argument` is one of those that ToolArguments returns. The first function matches as an allow rule does,
  // the second as a deny or ask rule does.
  [[nodiscard]] bool Allows(std::string_view argument) const;
  [[nodiscard]] bool MatchesWidely(std::string_view argument) const;
};

struct Permissions {
  enum class Verdict { kAsk, kAllow, kDeny };
  Verdict fallback = Verdict::kAsk;  // applies if no rule matches
  std::vector<PermissionRule> allow;
  std::vector<PermissionRule> ask;
  std::vector<PermissionRule> deny;
  // How long to wait for an answer to an approval or elicitation; 0: as long as the run lasts. An hour: an
  // agent that nobody attends continues without the permission and does not hang for ever.
  int64_t timeout_ms = 3'600'000;
  bool allow_on_timeout = false;

  struct Judgement {
    Verdict verdict;
    std::string why;      // the rule, or "permissions.default"
    bool unsure = false;  // a deny rule might match: only a look at this very call can tell
  };
  [[nodiscard]] Judgement Judge(std::string_view tool, const std::vector<std::string>& arguments) const;
  [[nodiscard]] bool any() const {  // something was requested
    return fallback != Verdict::kAsk || !allow.empty() || !ask.empty() || !deny.empty();
  }
};

}  // namespace reeve
