#include "control/cli/commands/run_spec.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <utility>

#include "control/cli/commands/input.h"
#include "control/cli/show/text.h"
#include "orchestrator/adapters/kind.h"
#include "orchestrator/config/config.h"
#include "orchestrator/json/json.h"

namespace reeve {

namespace {

using Variables = std::map<std::string, std::string>;

Error Invalid(const std::string& reason) { return {"invalid_request", reason}; }

Error InvalidFile(const std::string& reason) { return {"invalid_file", reason}; }

// A file that is too large is there.
Error FileError(const char* option, const Error& error) {
  return {error.code == "invalid_request" ? "invalid_file" : "file_not_found", option + error.message};
}

// The names that files of variables use. execve(2) takes any name without '='; -e and the API do too.
bool IsUsualName(const std::string& name) {
  auto letter = [](char c) { return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  return !name.empty() && letter(name[0]) && std::all_of(name.begin(), name.end(), [&letter](char c) {
    return letter(c) || (c >= '0' && c <= '9') || c == '.' || c == '-';
  });
}

// `entry`: "NAME=value", or "NAME" for the value in this process's environment.
Status AddVariable(Variables& variables, const std::string& entry) {
  const size_t equals = entry.find('=');
  const std::string name = entry.substr(0, equals);
  if (name.empty()) return Invalid("neither NAME=value nor a NAME");
  const char* value = equals == std::string::npos ? std::getenv(name.c_str()) : entry.c_str() + equals + 1;
  if (!value) return Invalid(name + " is not set");
  if (!IsUtf8(value)) return Invalid("the value of " + name + " is not UTF-8");
  variables[name] = value;
  return {};
}

// Reads such entries from the lines of a file. Values are not unquoted; "#" begins a comment.
Status AddVariables(Variables& variables, const std::string& path) {
  auto text = ReadConfigFile(path, kMaxSpecBytes);
  if (!text) return FileError("--env-file ", text.error());
  size_t number = 0;
  for (size_t at = 0; at < text->size();) {
    const size_t end = std::min(text->find('\n', at), text->size());
    std::string line = text->substr(at, end - at);
    at = end + 1;
    ++number;
    if (!line.empty() && line.back() == '\r') line.pop_back();
    line.erase(0, line.find_first_not_of(" \t"));
    if (line.empty() || line[0] == '#') continue;
    // The error does not repeat the line: it may be part of a secret, such as the second line of a key.
    const std::string name = line.substr(0, line.find('='));
    const bool known = name.size() < line.size() || std::getenv(name.c_str());
    std::string wrong;
    if (line.find('\0') != std::string::npos) {
      wrong = "it holds a NUL character";
    } else if (!IsUtf8(line)) {
      wrong = "it is not UTF-8";
    } else if (!IsUsualName(name) || !known) {
      wrong = "neither NAME=value nor a NAME that is set";
    } else if (Status added = AddVariable(variables, line); !added) {
      wrong = added.error().message;
    }
    if (!wrong.empty()) return InvalidFile(fmt::format("--env-file {}, line {}: {}", path, number, wrong));
  }
  return {};
}

Result<std::string> Pairs(const std::vector<std::string>& entries, const char* option) {
  std::map<std::string, std::string> pairs;
  for (const std::string& entry : entries) {
    const size_t equals = entry.find('=');
    if (equals == std::string::npos || equals == 0)
      return Error{"invalid_request", std::string(option) + ": '" + entry + "' is not KEY=VALUE"};
    pairs[entry.substr(0, equals)] = entry.substr(equals + 1);
  }
  JsonObject object;
  for (const auto& [key, value] : pairs) object.Set(key, value);
  return object.Take();
}

Result<JsonDocument> ReadSpec(const std::string& path) {
  if (path.empty()) return JsonDocument::Parse("{}");
  auto text = ReadConfigFile(path, kMaxSpecBytes);
  if (!text) return FileError("--spec ", text.error());
  auto spec = JsonDocument::Parse(*text);
  if (!spec) return InvalidFile("--spec " + path + ": " + spec.error().message);
  if (!spec->root().Is(JsonType::kObject)) return InvalidFile("--spec " + path + ": not a JSON object");
  return spec;
}

// Relative to the workspace if there is one, else to the current directory.
Result<std::string> FolderOf(const RunOptions& options) {
  if (!options.workspace.empty()) return options.cwd;
  std::error_code error;
  std::filesystem::path folder(options.cwd);
  if (!folder.is_absolute()) {
    const std::filesystem::path here = std::filesystem::current_path(error);
    if (error) return Invalid("the current directory: " + error.message() + "; give --cwd");
    folder = folder.empty() ? here : here / folder;
  }
  std::string path = folder.lexically_normal().string();
  if (!IsUtf8(path)) return Invalid("the directory " + Escaped(path) + " is not UTF-8");
  return path;
}

// Sets the program's stdin in the spec, and decides what becomes of ours. Only kind `process` has a stdin
// that is not its protocol.
void ChooseInput(const RunOptions& options, bool terminal, const JsonValue& base, JsonObject& spec,
                 RunRequest& request) {
  const std::string kind =
      !options.kind.empty() ? options.kind : std::string(base["kind"].StringOr("process"));
  if (kind != "process") return;
  const JsonValue chosen = base["kind_options"]["stdin"];
  const bool open = options.interactive || options.detach || !options.prompt.empty();
  const bool none =
      options.no_stdin || (!open && !chosen && terminal) || (chosen && !chosen.AsBool().value_or(true));
  if (none) {
    spec.SetRaw("kind_options", R"({"stdin":false})");
    return;
  }
  request.sends_input = !terminal && !options.detach && options.prompt.empty();
  request.keeps_open = open;
}

}  // namespace

Result<RunRequest> MakeRunRequest(const RunOptions& options, bool terminal) {
  auto base = ReadSpec(options.spec_file);
  if (!base) return base.error();
  JsonObject spec;
  auto set = [&spec](const char* field, const std::string& value) {
    if (!value.empty()) spec.Set(field, value);
  };
  set("kind", !options.kind.empty() ? options.kind : (*base)["kind"] ? "" : "process");
  set("id", options.id);
  set("title", options.title);
  set("model", options.model);
  const bool elsewhere = (*base)["cwd"] || (*base)["workspace"];
  if (!options.cwd.empty() || !elsewhere) {
    auto folder = FolderOf(options);
    if (!folder) return folder.error();
    set("cwd", *folder);
  }
  if (options.no_stdin && !options.prompt.empty())
    return Invalid("--no-stdin: the prompt of a program is a line on its stdin");
  auto prompt = ReadText("--prompt -", options.prompt);
  if (!prompt) return prompt.error();
  if (prompt->empty() && !options.prompt.empty())
    return Error{"invalid_request", "--prompt -: stdin is empty"};
  set("prompt", *prompt);
  if (!options.command.empty()) {
    JsonArray command;
    for (const std::string& word : options.command) command.Add(word);
    spec.SetRaw("command", command.Take());
  }
  Variables variables;
  for (const std::string& path : options.env_files) {
    if (Status added = AddVariables(variables, path); !added) return added.error();
  }
  for (const std::string& entry : options.env) {
    if (Status added = AddVariable(variables, entry); !added)
      return Invalid("--env: " + added.error().message);
  }
  JsonObject env;
  for (const auto& [name, value] : variables) env.Set(name, value);
  if (!env.empty()) spec.SetRaw("env", env.Take());
  if (!options.labels.empty()) {
    auto labels = Pairs(options.labels, "--label");
    if (!labels) return labels.error();
    spec.SetRaw("labels", *labels);
  }
  if (!options.restart.empty()) spec.SetRaw("restart", JsonObject().Set("policy", options.restart).Take());
  if (!options.permission.empty())
    spec.SetRaw("permissions", JsonObject().Set("default", options.permission).Take());
  if (!options.workspace.empty()) {
    const size_t hash = options.workspace.rfind('#');
    JsonObject workspace;
    workspace.Set("git", options.workspace.substr(0, hash));
    if (hash != std::string::npos) workspace.Set("branch", options.workspace.substr(hash + 1));
    spec.SetRaw("workspace", workspace.Take());
  }
  RunRequest request;
  ChooseInput(options, terminal, base->root(), spec, request);
  auto given = JsonDocument::Parse(spec.Take());
  if (!given) return given.error();
  const Kind* kind = FindKind((*given)["kind"].StringOr((*base)["kind"].StringOr("")));
  if (kind && !kind->program && !(*given)["command"] && !(*base)["command"])
    return Error{"invalid_request",
                 kind->name == std::string_view("process")
                     ? "say what to run: reeve run -- PROGRAM, or --kind claude --prompt TEXT"
                     : std::string("kind ") + kind->name + " needs a program: reeve run --kind " +
                           kind->name + " -- PROGRAM"};
  request.spec = MergePatch(base->root(), given->root());
  return request;
}

}  // namespace reeve
