#include "orchestrator/permissions.h"

#include <algorithm>
#include <cstddef>

namespace reeve {

namespace {

constexpr std::string_view kSeparators = ";&|<>`\n\r";

// Where text begins that could start another command, or npos.
size_t FindSeparator(std::string_view text) {
  return std::min(text.find_first_of(kSeparators), text.find("$("));
}

// Glob with `*` only. Linear in practice: on a mismatch it goes back to the last star alone.
bool Glob(std::string_view pattern, std::string_view text, bool star_stops) {
  size_t p = 0;
  size_t t = 0;
  size_t star = std::string_view::npos;
  size_t star_text = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      star_text = t;
    } else if (p < pattern.size() && pattern[p] == text[t]) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      if (star_stops && FindSeparator(text.substr(star_text, text[star_text] == '$' ? 2 : 1)) == 0)
        return false;
      p = star + 1;
      t = ++star_text;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t' || text.front() == '('))
    text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == ')'))
    text.remove_suffix(1);
  return text;
}

const PermissionRule* FindWide(const std::vector<PermissionRule>& rules, std::string_view tool,
                               std::string_view argument) {
  auto found = std::find_if(rules.begin(), rules.end(), [tool, argument](const PermissionRule& rule) {
    return rule.MatchesWidely(tool, argument);
  });
  return found == rules.end() ? nullptr : &*found;
}

}  // namespace

Result<PermissionRule> PermissionRule::Parse(std::string_view text) {
  PermissionRule rule;
  const size_t open = text.find('(');
  rule.tool = text.substr(0, open);
  auto of_name = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.' || c == ':' || c == '/' || c == '*';
  };
  if (rule.tool.empty() || !std::all_of(rule.tool.begin(), rule.tool.end(), of_name)) {
    return Error{"invalid_request", "not a rule: tool or tool(pattern)"};
  }
  if (open == std::string_view::npos) return rule;
  if (text.back() != ')') return Error{"invalid_request", "not a rule: its parenthesis is not closed"};
  rule.any_call = false;
  rule.pattern = text.substr(open + 1, text.size() - open - 2);
  return rule;
}

bool PermissionRule::Allows(std::string_view tool_name, std::string_view argument) const {
  return Glob(tool, tool_name, false) && (any_call || Glob(pattern, argument, true));
}

bool PermissionRule::MatchesWidely(std::string_view tool_name, std::string_view argument) const {
  if (!Glob(tool, tool_name, false)) return false;
  if (any_call || Glob(pattern, argument, false)) return true;
  for (std::string_view rest = argument; !rest.empty();) {
    const size_t end = FindSeparator(rest);
    if (Glob(pattern, Trim(rest.substr(0, end)), false)) return true;
    if (end == std::string_view::npos) return false;
    rest.remove_prefix(end + (rest[end] == '$' ? 2 : 1));
  }
  return false;
}

Permissions::Judgement Permissions::Judge(std::string_view tool, std::string_view argument) const {
  if (const PermissionRule* rule = FindWide(deny, tool, argument)) return {Verdict::kDeny, rule->ToString()};
  if (const PermissionRule* rule = FindWide(ask, tool, argument)) return {Verdict::kAsk, rule->ToString()};
  for (const PermissionRule& rule : allow) {
    if (rule.Allows(tool, argument)) return {Verdict::kAllow, rule.ToString()};
  }
  return {fallback, "permissions.default"};
}

}  // namespace reeve
