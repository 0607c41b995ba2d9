#include "orchestrator/agent/permissions.h"

#include <algorithm>
#include <cstddef>
#include <string>

#include "orchestrator/agent/tool_names.h"

namespace reeve {

namespace {

constexpr std::string_view kSeparators = ";&|<>`\n\r";

// The position of the first text that could start another command, or npos.
size_t FindSeparator(std::string_view text) {
  return std::min(text.find_first_of(kSeparators), text.find("$("));
}

// A glob with `*` only. Linear in practice: after a mismatch it returns only to the last star.
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

bool IsSpace(char c) { return c == ' ' || c == '\t'; }

bool IsAssignment(std::string_view word) {
  const size_t equals = word.find('=');
  if (equals == 0 || equals == std::string_view::npos) return false;
  return std::all_of(word.begin(), word.begin() + static_cast<std::ptrdiff_t>(equals), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

// One command of a compound one, without the shell syntax around it.
std::string_view Bare(std::string_view command) {
  static constexpr std::string_view kAround = " \t(){}!";
  static constexpr std::string_view kWords[] = {"then", "do", "else", "elif", "if", "while", "until", "time"};
  for (;;) {
    const size_t begin = command.find_first_not_of(kAround);
    if (begin == std::string_view::npos) return {};
    command.remove_prefix(begin);
    const std::string_view word = command.substr(0, command.find_first_of(" \t"));
    const bool skipped =
        word.size() < command.size() &&
        (IsAssignment(word) || std::find(std::begin(kWords), std::end(kWords), word) != std::end(kWords));
    if (!skipped) break;
    command.remove_prefix(word.size());
  }
  return command.substr(0, command.find_last_not_of(kAround) + 1);
}

// The first rule that matches. Sets `*unsure` if a rule might match.
const PermissionRule* FindWide(const std::vector<PermissionRule>& rules, std::string_view tool,
                               const std::vector<std::string>& arguments, const PermissionRule** unsure) {
  for (const PermissionRule& rule : rules) {
    if (!rule.IsAbout(tool)) continue;
    const auto matches = [&rule](const std::string& argument) { return rule.MatchesWidely(argument); };
    if (rule.any_call || std::any_of(arguments.begin(), arguments.end(), matches)) return &rule;
    if (arguments.empty() && !*unsure) *unsure = &rule;
  }
  return nullptr;
}

// The rule that allows the first argument, if rules allow all the others too.
const PermissionRule* FindAllowing(const std::vector<PermissionRule>& rules, std::string_view tool,
                                   const std::vector<std::string>& arguments) {
  const PermissionRule* first = nullptr;
  for (const PermissionRule& rule : rules) {
    if (rule.any_call && rule.IsAbout(tool)) return &rule;
  }
  for (const std::string& argument : arguments) {
    auto rule = std::find_if(rules.begin(), rules.end(), [tool, &argument](const PermissionRule& one) {
      return one.IsAbout(tool) && one.Allows(argument);
    });
    if (rule == rules.end()) return nullptr;
    if (!first) first = &*rule;
  }
  return first;
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
    return Error{"invalid_request", "is not a rule, which is tool or tool(pattern)"};
  }
  if (rule.tool.find('*') == std::string::npos) rule.tool = ToolName(rule.tool);
  if (open == std::string_view::npos) return rule;
  if (text.back() != ')')
    return Error{"invalid_request", "is not a rule, because its parenthesis is not closed"};
  rule.any_call = false;
  rule.pattern = text.substr(open + 1, text.size() - open - 2);
  return rule;
}

bool PermissionRule::IsAbout(std::string_view tool_name) const { return Glob(tool, tool_name, false); }

bool PermissionRule::Allows(std::string_view argument) const {
  return any_call || Glob(pattern, argument, true);
}

bool PermissionRule::MatchesWidely(std::string_view argument) const {
  if (any_call) return true;
  std::string plain(argument);
  std::replace_if(plain.begin(), plain.end(), IsSpace, ' ');
  if (Glob(pattern, plain, false)) return true;
  for (std::string_view rest = plain; !rest.empty();) {
    const size_t end = FindSeparator(rest);
    if (Glob(pattern, Bare(rest.substr(0, end)), false)) return true;
    if (end == std::string_view::npos) return false;
    rest.remove_prefix(end + (rest[end] == '$' ? 2 : 1));
  }
  return false;
}

Permissions::Judgement Permissions::Judge(std::string_view tool,
                                          const std::vector<std::string>& arguments) const {
  const PermissionRule* unsure = nullptr;
  if (const PermissionRule* rule = FindWide(deny, tool, arguments, &unsure))
    return {Verdict::kDeny, rule->ToString()};
  if (const PermissionRule* rule = FindWide(ask, tool, arguments, &unsure))
    return {Verdict::kAsk, rule->ToString()};
  if (unsure && fallback != Verdict::kDeny) return {Verdict::kAsk, unsure->ToString(), true};
  if (const PermissionRule* rule = FindAllowing(allow, tool, arguments))
    return {Verdict::kAllow, rule->ToString()};
  return {fallback, "permissions.default"};
}

}  // namespace reeve
