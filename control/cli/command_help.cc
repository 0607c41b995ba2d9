// What --help prints.
#include <algorithm>
#include <sstream>

#include "control/cli/command_line.h"

namespace reeve {

namespace {

constexpr size_t kWidth = 80;
constexpr size_t kIndent = 24;  // of what an option is for

// Appends the paragraphs of `text`, from column `at` on, broken at spaces. A line that begins with a space
// stays as it is.
void Wrap(std::string& out, const std::string& text, size_t indent, size_t at) {
  std::istringstream lines(text);
  bool first = true;
  for (std::string line; std::getline(lines, line); first = false) {
    if (!first) {
      out += '\n';
      at = 0;
    }
    if (line.rfind(' ', 0) == 0) {
      out += line;
      continue;
    }
    std::istringstream words(line);
    bool begun = false;
    for (std::string word; words >> word; begun = true) {
      if (begun && at + 1 + word.size() > kWidth) {
        out += '\n';
        at = 0;
      } else if (begun) {
        out += ' ';
        ++at;
      }
      if (at < indent) {
        out.append(indent - at, ' ');
        at = indent;
      }
      out += word;
      at += word.size();
    }
  }
  out += '\n';
}

std::string Left(const OptionDoc& option) {
  if (option.argument) return option.names + (option.many ? "..." : "");
  std::string names;
  for (char c : option.names) names += c == ',' ? std::string(", ") : std::string(1, c);
  // Short names stand before, so that the long ones are below each other.
  if (names.rfind("--", 0) == 0) names.insert(0, "    ");
  if (option.type.empty()) return names;
  return names + (option.optional_value ? "[=" + option.type + "]" : " " + option.type);
}

void Describe(std::string& out, const OptionDoc& option) {
  const std::string left = "  " + Left(option);
  out += left;
  size_t at = left.size();
  if (at + 2 > kIndent) {
    out += '\n';
    at = 0;
  }
  std::string help = option.help;
  if (!option.fallback.empty()) help += ". Default: " + option.fallback;
  Wrap(out, help, kIndent, at);
}

}  // namespace

std::string UsageLine(const CommandDoc& command) {
  std::string line = command.Path();
  if (!command.commands.empty()) return line + " COMMAND";
  bool others = false;
  std::string arguments;
  for (const OptionDoc& option : command.options) {
    if (option.argument) {
      const std::string name = option.names + (option.many ? "..." : "");
      arguments += option.required ? " " + name : " [" + name + "]";
    } else if (option.required) {
      line += " " + option.names.substr(option.names.find_last_of(',') + 1) + " " + option.type;
    } else {
      others |= !option.hidden;
    }
  }
  return line + (others ? " [OPTION]..." : "") + arguments;
}

std::string HelpText(const CommandDoc& command) {
  std::string out = "Usage: " + UsageLine(command) + "\n\n";
  Wrap(out, command.summary, 0, 0);
  if (!command.details.empty()) {
    out += '\n';
    Wrap(out, command.details, 0, 0);
  }
  if (!command.commands.empty()) {
    out += "\nCommands:\n";
    for (const auto& one : command.commands) {
      if (one->hidden) continue;
      std::string left = "  " + one->name + (one->alias.empty() ? "" : ", " + one->alias);
      out += left;
      Wrap(out, one->summary, kIndent, left.size());
    }
  }
  std::vector<std::string> groups;  // in the order in which they come up
  for (const OptionDoc& option : command.options) {
    if (option.hidden) continue;
    const std::string group = option.argument ? "Arguments" : option.group.empty() ? "Options" : option.group;
    if (std::find(groups.begin(), groups.end(), group) == groups.end()) groups.push_back(group);
  }
  for (const std::string& group : groups) {
    out += "\n" + group + ":\n";
    for (const OptionDoc& option : command.options) {
      const std::string its = option.argument ? "Arguments" : option.group.empty() ? "Options" : option.group;
      if (its == group && !option.hidden) Describe(out, option);
    }
  }
  if (!command.examples.empty()) out += "\nExamples:\n";
  for (const auto& [typed, what] : command.examples) {
    out += "  " + typed + "\n";
    out += "      ";
    Wrap(out, what, 6, 6);
  }
  return out;
}

}  // namespace reeve
