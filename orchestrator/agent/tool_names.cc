#include "orchestrator/agent/tool_names.h"

#include <algorithm>
#include <array>
#include <filesystem>
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

// The members that may hold the argument; the first one that exists is used.
struct Argument {
  std::string_view name;
  bool files;  // the arguments are paths; more may be in `changes`, `files` and patches
  std::array<std::string_view, 5> members;
};
constexpr Argument kArguments[] = {
    {"bash", false, {"command", "cmd", "", ""}},
    {"edit", true, {"file_path", "filePath", "filepath", "path", "notebook_path"}},
    {"write", true, {"file_path", "filePath", "filepath", "path", ""}},
    {"read", true, {"file_path", "filePath", "filepath", "path", "abs_path"}},
    {"glob", false, {"pattern", "", "", ""}},
    {"grep", false, {"pattern", "", "", ""}},
    {"list", true, {"path", "", "", ""}},
    {"fetch", false, {"url", "", "", ""}},
    {"search", false, {"query", "pattern", "", ""}},
    {"task", false, {"description", "prompt", "", ""}},
};

// A string, or the words of a command.
std::string TextOf(const JsonValue& value) {
  if (auto text = value.AsString()) return std::string(*text);
  std::string words;
  for (const JsonValue& word : value.Elements()) {
    if (!words.empty()) words += ' ';
    words += word.StringOr("");
  }
  return words;
}

// The files of a patch in the format that Codex introduced ("*** Update File: path").
void AddPatched(std::string_view patch, std::vector<std::string>& paths) {
  while (!patch.empty()) {
    const size_t end = patch.find('\n');
    const std::string_view line = patch.substr(0, end);
    for (std::string_view head :
         {"*** Add File: ", "*** Update File: ", "*** Delete File: ", "*** Move to: "}) {
      if (line.substr(0, head.size()) == head) paths.emplace_back(line.substr(head.size()));
    }
    patch.remove_prefix(end == std::string_view::npos ? patch.size() : end + 1);
  }
}

// A file in a list of files: the element itself or a member of it, and the target of a move.
void AddFile(std::string_view key, const JsonValue& file, std::vector<std::string>& paths) {
  std::string_view path = file.StringOr(key);
  for (std::string_view member : {"path", "file_path", "filePath", "file"})
    path = file[member].StringOr(path);
  if (!path.empty()) paths.emplace_back(path);
  for (const JsonValue& moved : {file["move_path"], file["kind"]["move_path"], file["update"]["move_path"]}) {
    if (const std::string_view to = moved.StringOr(""); !to.empty()) paths.emplace_back(to);
  }
}

void AddFiles(const JsonValue& input, std::vector<std::string>& paths) {
  for (std::string_view list : {"changes", "files"}) {
    for (const JsonValue& file : input[list].Elements()) AddFile("", file, paths);
    for (const auto& [path, change] : input[list].Members()) AddFile(path, change, paths);
  }
  for (std::string_view patch : {"patchText", "patch", "input"}) AddPatched(input[patch].StringOr(""), paths);
}

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

std::vector<std::string> ToolArguments(std::string_view name, const JsonValue& input,
                                       const std::string& cwd) {
  const auto* argument = std::find_if(std::begin(kArguments), std::end(kArguments),
                                      [name](const Argument& one) { return one.name == name; });
  if (argument == std::end(kArguments)) return {};
  std::vector<std::string> found;
  for (std::string_view member : argument->members) {
    if (member.empty()) break;
    if (std::string text = TextOf(input[member]); !text.empty()) found.push_back(std::move(text));
    if (!found.empty() && !argument->files) break;
  }
  if (!argument->files) return found;
  AddFiles(input, found);
  for (std::string& path : found) path = (std::filesystem::path(cwd) / path).lexically_normal().string();
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

bool SaysNoOther(const std::string& known, const std::string& asked) {
  auto theirs = JsonDocument::Parse(known);
  auto request = JsonDocument::Parse(asked);
  if (!theirs || !request) return false;
  const std::vector<JsonValue::Member> members = request->root().Members();
  return std::all_of(members.begin(), members.end(), [&theirs](const JsonValue::Member& member) {
    return (*theirs)[member.key].Raw() == member.value.Raw();
  });
}

}  // namespace reeve
