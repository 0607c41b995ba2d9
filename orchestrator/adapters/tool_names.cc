#include "orchestrator/adapters/tool_names.h"

#include <algorithm>
#include <array>
#include <utility>

namespace reeve {

namespace {

struct Alias {
  std::string_view own;  // lower case, without - and _
  std::string_view common;
};

// Claude Code's tools, codex's item types, ACP's kinds (agentclientprotocol.com, "Tool Calls"), opencode's
// and kilo's tools.
constexpr Alias kAliases[] = {
    {"bash", "bash"},
    {"shell", "bash"},
    {"shellcommand", "bash"},
    {"execcommand", "bash"},
    {"commandexecution", "bash"},
    {"execute", "bash"},
    {"edit", "edit"},
    {"multiedit", "edit"},
    {"notebookedit", "edit"},
    {"patch", "edit"},
    {"applypatch", "edit"},
    {"filechange", "edit"},
    {"write", "write"},
    {"read", "read"},
    {"glob", "glob"},
    {"grep", "grep"},
    {"list", "list"},
    {"ls", "list"},
    {"webfetch", "fetch"},
    {"fetch", "fetch"},
    {"websearch", "search"},
    {"search", "search"},
    {"task", "task"},
    {"agent", "task"},
    {"subtask", "task"},
    {"spawnagent", "task"},
    {"todowrite", "plan"},
    {"question", "question"},
    {"askuserquestion", "question"},
    {"requestuserinput", "question"},
};

// Where the argument is, the first that is there.
struct Argument {
  std::string_view name;
  std::array<std::string_view, 5> members;
};
constexpr Argument kArguments[] = {
    {"bash", {"command", "cmd", "", ""}},
    {"edit", {"file_path", "filePath", "path", "notebook_path", "filepath"}},
    {"write", {"file_path", "filePath", "path", "filepath", ""}},
    {"read", {"file_path", "filePath", "path", "abs_path"}},
    {"glob", {"pattern", "", "", ""}},
    {"grep", {"pattern", "", "", ""}},
    {"list", {"path", "", "", ""}},
    {"fetch", {"url", "", "", ""}},
    {"search", {"query", "pattern", "", ""}},
    {"task", {"description", "prompt", "", ""}},
};

const Alias* Find(std::string_view own_name) {
  std::string plain;
  for (char c : own_name) {
    if (c == '-' || c == '_') continue;
    plain += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  const auto* alias = std::find_if(std::begin(kAliases), std::end(kAliases),
                                   [&plain](const Alias& one) { return one.own == plain; });
  return alias == std::end(kAliases) ? nullptr : alias;
}

}  // namespace

std::string ToolName(std::string_view own_name) {
  const Alias* alias = Find(own_name);
  return std::string(alias ? alias->common : own_name);
}

bool IsToolName(std::string_view own_name) { return Find(own_name) != nullptr; }

std::string ToolArgument(std::string_view name, const JsonValue& input) {
  const auto* argument = std::find_if(std::begin(kArguments), std::end(kArguments),
                                      [name](const Argument& one) { return one.name == name; });
  if (argument == std::end(kArguments)) return {};
  for (std::string_view member : argument->members) {
    if (member.empty()) break;
    const JsonValue value = input[member];
    if (auto text = value.AsString()) return std::string(*text);
    if (!value.Is(JsonType::kArray)) continue;
    std::string words;  // a command as its words
    for (const JsonValue& word : value.Elements()) {
      if (!words.empty()) words += ' ';
      words += word.StringOr("");
    }
    return words;
  }
  return {};
}

}  // namespace reeve
