#include "control/cli/commands/run_spec.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <utility>

#include "control/cli/commands/input.h"
#include "orchestrator/adapters/kind.h"
#include "orchestrator/config/config.h"
#include "orchestrator/json/json.h"

namespace reeve {

namespace {

using Variables = std::map<std::string, std::string>;

bool IsVariableName(const std::string& name) {
  auto letter = [](char c) { return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  return !name.empty() && letter(name[0]) && std::all_of(name.begin(), name.end(), [&letter](char c) {
    return letter(c) || (c >= '0' && c <= '9');
  });
}

// `entry`: "NAME=value", or "NAME" for the value in this process's environment.
Status AddVariable(Variables& variables, const std::string& entry) {
  const size_t equals = entry.find('=');
  const std::string name = entry.substr(0, equals);
  if (!IsVariableName(name)) return Error{"invalid_request", "--env: neither NAME=value nor a NAME"};
  if (equals != std::string::npos) {
    variables[name] = entry.substr(equals + 1);
    return {};
  }
  const char* value = std::getenv(name.c_str());
  if (!value) return Error{"invalid_request", "--env: " + name + " is not set"};
  variables[name] = value;
  return {};
}

// Reads such entries from the lines of a file. Values are not unquoted; "#" begins a comment.
Status AddVariables(Variables& variables, const std::string& path) {
  auto text = ReadConfigFile(path);
  if (!text) return Error{"file_not_found", "--env-file " + text.error().message};
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
    if (AddVariable(variables, line)) continue;
    return Error{"invalid_request", "--env-file " + path + ", line " + std::to_string(number) +
                                        ": neither NAME=value nor a NAME that is set"};
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
  auto text = ReadConfigFile(path);
  if (!text) return Error{"file_not_found", "--spec " + text.error().message};
  auto spec = JsonDocument::Parse(*text);
  if (!spec) return Error{"invalid_request", "--spec " + path + ": " + spec.error().message};
  if (!spec->root().Is(JsonType::kObject))
    return Error{"invalid_request", "--spec " + path + ": not a JSON object"};
  return spec;
}

// Relative to the workspace if there is one, else to the current directory.
std::string FolderOf(const RunOptions& options) {
  if (!options.workspace.empty()) return options.cwd;
  std::error_code error;
  if (options.cwd.empty()) return std::filesystem::current_path(error).string();
  return std::filesystem::absolute(options.cwd, error).lexically_normal().string();
}

}  // namespace

Result<std::string> RunSpec(const RunOptions& options) {
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
  if (!options.cwd.empty() || !elsewhere) set("cwd", FolderOf(options));
  auto prompt = ReadText("--prompt -", options.prompt);
  if (!prompt) return prompt;
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
    if (Status added = AddVariable(variables, entry); !added) return added.error();
  }
  JsonObject env;
  for (const auto& [name, value] : variables) env.Set(name, value);
  if (!env.empty()) spec.SetRaw("env", env.Take());
  if (!options.labels.empty()) {
    auto labels = Pairs(options.labels, "--label");
    if (!labels) return labels;
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
  auto given = JsonDocument::Parse(spec.Take());
  if (!given) return given.error();
  const Kind* kind = FindKind((*given)["kind"].StringOr((*base)["kind"].StringOr("")));
  if (kind && !kind->program && !(*given)["command"] && !(*base)["command"])
    return Error{"invalid_request", "say what to run: reeve run -- PROGRAM, or --kind claude --prompt TEXT"};
  return MergePatch(base->root(), given->root());
}

}  // namespace reeve
