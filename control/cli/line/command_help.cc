// The text of --help.
#include <algorithm>
#include <cctype>
#include <sstream>

#include "control/cli/line/command_line.h"

namespace reeve {

namespace {

constexpr size_t kWidth = 80;
// The right column begins behind the longest entry of the left one, within these limits.
constexpr size_t kLeastIndent = 12;
constexpr size_t kMostIndent = 32;
// The right column lists the choices if there are more.
constexpr size_t kMostChoices = 5;

// The help texts are our own: they have no wide and no combining characters.
size_t Width(const std::string& text) {
  return static_cast<size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

// Appends `text`, from column `at` on. Lines are broken at spaces and continue at `indent`; a line that
// begins with a space is copied as it is.
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
      if (begun && at + 1 + Width(word) > kWidth) {
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
      at += Width(word);
    }
  }
  out += '\n';
}

std::string Left(const OptionDoc& option) {
  if (option.argument) return "  " + option.names + (option.many ? "..." : "");
  std::string names;
  for (const std::string& name : option.Names()) names += (names.empty() ? "" : ", ") + name;
  // Without a short name, a long one is indented, so that the long names are aligned.
  std::string left = (names.rfind("--", 0) == 0 ? "      " : "  ") + names;
  const std::string type = ShownType(option);
  if (type.empty()) return left;
  return left + (!option.implied.empty() ? " [" + type + "]" : " " + type);
}

// Two columns. An entry that is too long for the left one gets a line of its own.
using Rows = std::vector<std::pair<std::string, std::string>>;

size_t IndentOf(const Rows& rows) {
  size_t indent = 0;
  for (const auto& [left, right] : rows) {
    if (left.size() + 2 <= kMostIndent) indent = std::max(indent, left.size() + 2);
  }
  return indent;
}

void Show(std::string& out, const Rows& rows, size_t indent) {
  for (const auto& [left, right] : rows) {
    out += left;
    size_t at = left.size();
    if (at + 2 > indent) {
      out += '\n';
      at = 0;
    }
    Wrap(out, right, indent, at);
  }
}

}  // namespace

std::string ShownType(const OptionDoc& option) {
  const std::vector<std::string> choices = option.Choices();
  if (option.argument || choices.size() <= kMostChoices) return option.type;
  std::string type = option.Name().substr(2);
  for (char& c : type) c = c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return type;
}

std::string HelpOf(const OptionDoc& option) {
  std::string help = option.help;
  if (ShownType(option) != option.type) {
    std::string all;
    for (const std::string& choice : option.Choices()) all += (all.empty() ? ": " : ", ") + choice;
    help += all;
  }
  std::string more = option.many && !option.argument ? "may be repeated" : "";
  if (!option.fallback.empty()) more += (more.empty() ? "default: " : "; default: ") + option.fallback;
  return help + (more.empty() ? "" : " (" + more + ")");
}

std::string UsageLine(const CommandDoc& command) {
  std::string line = command.Path();
  if (!command.commands.empty()) return line + " COMMAND [OPTION]... [ARGUMENT]...";
  bool others = false;
  std::string arguments;
  for (const OptionDoc& option : command.options) {
    if (option.argument) {
      const std::string name = option.names + (option.many ? "..." : "");
      arguments += option.required ? " " + name : " [" + name + "]";
    } else if (option.required) {
      line += " " + option.Name() + " " + ShownType(option);
    } else {
      others |= !option.hidden;
    }
  }
  return line + (others ? " [OPTION]..." : "") + arguments;
}

std::vector<OptionGroup> OptionGroups(const CommandDoc& command) {
  std::vector<OptionGroup> groups = {{"Arguments", {}}, {"Options", {}}};
  auto group = [&groups](const std::string& name) -> OptionGroup& {
    const auto found = std::find_if(groups.begin(), groups.end(),
                                    [&name](const OptionGroup& one) { return one.name == name; });
    if (found != groups.end()) return *found;
    groups.push_back({name, {}});
    return groups.back();
  };
  for (const OptionDoc& option : command.options) {
    if (option.hidden) continue;
    group(option.argument        ? "Arguments"
          : option.group.empty() ? "Options"
                                 : option.group)
        .options.push_back(option);
  }
  const bool prints =
      std::any_of(groups.begin(), groups.end(), [](const OptionGroup& one) { return one.name == "Output"; });
  OptionDoc help;
  help.names = "-h,--help";
  help.help = "Print this help";
  group(prints ? "Output" : "Options").options.push_back(help);
  if (!command.parent) {
    OptionDoc version;
    version.names = "--version";
    version.help = "Print the version";
    group("Options").options.push_back(version);
  }
  groups.erase(std::remove_if(groups.begin(), groups.end(),
                              [](const OptionGroup& one) { return one.options.empty(); }),
               groups.end());
  return groups;
}

std::string NamesOf(const CommandDoc& command) {
  std::string names = command.name;
  for (const std::string& alias : command.aliases) names += ", " + alias;
  return names;
}

std::string HelpText(const CommandDoc& command) {
  std::string out = "Usage: " + command.Path();
  const size_t usage_at = out.size();
  Wrap(out, UsageLine(command).substr(command.Path().size()), usage_at + 1, usage_at);
  out += '\n';
  Wrap(out, command.summary, 0, 0);
  if (!command.details.empty()) {
    out += '\n';
    Wrap(out, command.details, 0, 0);
  }
  // All sections share one indent.
  std::vector<std::pair<std::string, Rows>> sections;
  if (!command.commands.empty()) sections.push_back({"Commands", {}});
  for (const auto& one : command.commands) {
    if (one->hidden) continue;
    sections.back().second.emplace_back("  " + NamesOf(*one), one->summary);
  }
  for (const auto& one : command.commands) {
    if (!one->open || one->hidden) continue;
    sections.push_back({"Commands of " + one->name + ", whose name may be omitted", {}});
    for (const auto& inner : one->commands) {
      if (!inner->hidden) sections.back().second.emplace_back("  " + NamesOf(*inner), inner->summary);
    }
  }
  for (const OptionGroup& group : OptionGroups(command)) {
    sections.push_back({group.name, {}});
    for (const OptionDoc& option : group.options) {
      sections.back().second.emplace_back(Left(option), HelpOf(option));
    }
  }
  size_t indent = kLeastIndent;
  for (const auto& [name, rows] : sections) indent = std::max(indent, IndentOf(rows));
  for (const auto& [name, rows] : sections) {
    out += "\n" + name + ":\n";
    Show(out, rows, indent);
  }
  if (!command.examples.empty()) out += "\nExamples:\n";
  for (const auto& [typed, what] : command.examples) {
    out += "  " + typed + "\n      ";
    Wrap(out, what, 6, 6);
  }
  if (!command.commands.empty()) out += "\n`" + command.Path() + " COMMAND --help` describes a command.\n";
  return out;
}

}  // namespace reeve
