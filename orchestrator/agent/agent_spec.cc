#include "orchestrator/agent/agent_spec.h"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <string>
#include <utility>

#include "orchestrator/agent/spec_fields.h"
#include "orchestrator/store/private_folder.h"
#include "process/random.h"

namespace reeve {

namespace {

using Fields = SpecFields;
using Problems = SpecProblems;

// As for arguments (spec_fields.h). Their number is bounded by the size of a request.
constexpr size_t kMaxEnv = size_t{1} << 20;
constexpr size_t kMaxVariableBytes = (size_t{128} << 10) - 1;
constexpr size_t kMaxPathBytes = 4095;  // PATH_MAX without its NUL
constexpr size_t kMaxPromptBytes = size_t{1} << 20;
// These are shown in lists and kept for every agent, so they must be small.
constexpr size_t kMaxTitleBytes = 512;
constexpr size_t kMaxLabels = 64;
constexpr size_t kMaxLabelBytes = 256;
constexpr size_t kMaxNameBytes = 256;  // names of models, ids of upstream sessions
constexpr size_t kMaxKindOptions = 64;
constexpr size_t kMaxKindOptionBytes = size_t{64} << 10;
constexpr int64_t kDayMs = 86'400'000;

bool IsLower(char c) { return c >= 'a' && c <= 'z'; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsLetter(char c) { return IsLower(c) || (c >= 'A' && c <= 'Z'); }
bool IsControl(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

bool IsKindName(std::string_view name) {
  return !name.empty() && name.size() <= 32 && IsLower(name[0]) &&
         std::all_of(name.begin(), name.end(),
                     [](char c) { return IsLower(c) || IsDigit(c) || c == '_' || c == '-'; });
}

// execve(2) passes on any name without '='. Spaces and control characters are mistakes.
bool IsVariableName(std::string_view name) {
  return !name.empty() &&
         std::none_of(name.begin(), name.end(), [](char c) { return c == '=' || c == ' ' || IsControl(c); });
}

// The value becomes an argument or a part of a URL, so it must not look like an option or a path.
bool IsSessionId(std::string_view id) {
  auto fits = [](char c) {
    return IsLetter(c) || IsDigit(c) || c == '_' || c == '-' || c == '.' || c == ':';
  };
  return (IsLetter(id[0]) || IsDigit(id[0]) || id[0] == '_') && std::all_of(id.begin(), id.end(), fits);
}

const char* WhyNotVariable(std::string_view name) {
  if (!IsVariableName(name) || name.size() > kMaxNameBytes)
    return "is not a name (1 to 256 bytes without '=', space and control characters)";
  if (name.starts_with("REEVE_")) return "names that begin with REEVE_ are reserved for the daemon";
  return nullptr;
}

const char* WhyNotLabel(std::string_view name) {
  const bool good = !name.empty() && name.size() <= 64 && name.find(':') == std::string_view::npos &&
                    std::none_of(name.begin(), name.end(), IsControl);
  return good ? nullptr : "is not a label (1 to 64 bytes, no colon, no control characters)";
}

const char* WhyNotFile(std::string_view name) {
  return IsFileName(name) ? nullptr : "is not a file's name ([A-Za-z0-9_-][A-Za-z0-9._-]{0,63})";
}

// In the order of the enums.
constexpr std::array kWhen = {"never", "on_failure", "always"};
constexpr std::array kDefault = {"ask", "allow", "deny"};
constexpr std::array kOnTimeout = {"deny", "allow"};
constexpr std::array kApi = {"none", "view", "operate", "admin"};
constexpr std::array kOnStall = {"tell", "interrupt", "restart"};

// Six characters of 5 bits make a billion ids, so an id of the caller's own choice is not hit by chance.
std::string RandomSuffix() {
  static constexpr char kBase32[] = "abcdefghijklmnopqrstuvwxyz234567";
  std::string suffix;
  for (char c : RandomBytes(6)) suffix += kBase32[static_cast<unsigned char>(c) & 31];
  return suffix;
}

void ReadIdentity(Fields& fields, AgentSpec& spec) {
  fields.String("kind", 32, spec.kind);
  if (!IsKindName(spec.kind)) fields.Fail("kind", "must name a kind of agent, such as \"process\"");
  fields.String("id", 64, spec.id);
  if (fields.Get("id") && !IsAgentId(spec.id))
    fields.Fail("id", "'" + spec.id.substr(0, 80) +
                          "' is not an id: up to 64 of a-z, 0-9, - and _, first a letter or digit");
  if (spec.id.empty()) spec.id = spec.kind + "-" + RandomSuffix();
  fields.String("title", kMaxTitleBytes, spec.title);
  fields.Bool("starred", spec.starred);
  fields.Map("labels", kMaxLabels, kMaxLabelBytes, WhyNotLabel, spec.labels);
}

void ReadWorkspace(Fields& fields, AgentSpec& spec) {
  if (!fields.Get("workspace")) return;
  Fields workspace = fields.Object("workspace");
  workspace.Only({"git", "branch", "base"});
  workspace.String("git", kMaxPathBytes, spec.workspace.git);
  if (const char* wrong = WhyNotRepository(spec.workspace.git)) workspace.Fail("git", wrong);
  for (auto [name, ref] :
       {std::pair{"branch", &spec.workspace.branch}, std::pair{"base", &spec.workspace.base}}) {
    workspace.String(name, kMaxNameBytes, *ref);
    if (workspace.Get(name) && !IsRefName(*ref))
      workspace.Fail(name, "is not a ref's name (git-check-ref-format)");
  }
}

void ReadProgram(Fields& fields, AgentSpec& spec) {
  fields.List("command", spec.command);
  fields.String("cwd", kMaxPathBytes, spec.cwd);
  ReadWorkspace(fields, spec);
  if (spec.workspace && !spec.cwd.empty() && !IsPathBelow(spec.cwd)) {
    fields.Fail("cwd", "must be a path below the workspace, without \"..\"");
  } else if (!spec.workspace && !spec.cwd.empty() && spec.cwd[0] != '/') {
    fields.Fail("cwd", "must be an absolute path");
  }

  fields.Map("env", kMaxEnv, kMaxVariableBytes, WhyNotVariable, spec.env);
  for (const auto& [name, value] : spec.env) {
    if (name.size() + value.size() + 1 > kMaxVariableBytes)
      fields.Fail("env", "has a variable of more than 128 KiB");
  }

  fields.Map("files", PrivateFolder::kMaxFiles, PrivateFolder::kMaxFileBytes, WhyNotFile, spec.files);
  fields.Choice("api", kApi, spec.api);
  fields.Bool("mcp", spec.mcp);
  if (spec.mcp && spec.api == AgentSpec::Api::kNone) fields.Fail("mcp", "needs api: view, operate or admin");
}

void ReadModel(Fields& fields, AgentSpec& spec) {
  fields.String("model", kMaxNameBytes, spec.model);
  if (!spec.model.empty() && !IsModelName(spec.model)) {
    fields.Fail("model", "must not begin with '-' or hold control characters");
  }
  // For some kinds it becomes an argument of the program.
  fields.String("system_prompt", Fields::kMaxArgumentBytes, spec.system_prompt);
  fields.String("prompt", kMaxPromptBytes, spec.prompt);
  fields.String("resume", kMaxNameBytes, spec.resume);
  if (!spec.resume.empty() && !IsSessionId(spec.resume)) {
    fields.Fail("resume", "must match [A-Za-z0-9_][A-Za-z0-9_.:-]*");
  }
}

void ReadPolicies(Fields& fields, AgentSpec& spec) {
  Fields restart = fields.Object("restart");
  restart.Only({"policy", "max_restarts", "window_ms"});
  restart.Choice("policy", kWhen, spec.restart.when);
  int64_t max_restarts = spec.restart.max_restarts;
  restart.Int("max_restarts", 0, 1000, max_restarts);
  spec.restart.max_restarts = static_cast<int>(max_restarts);
  restart.Int("window_ms", 1, kDayMs, spec.restart.window_ms);

  Fields permissions = fields.Object("permissions");
  permissions.Only({"default", "allow", "ask", "deny", "timeout_ms", "on_timeout"});
  permissions.Rules("allow", spec.permissions.allow);
  permissions.Rules("ask", spec.permissions.ask);
  permissions.Rules("deny", spec.permissions.deny);
  permissions.Choice("default", kDefault, spec.permissions.fallback);
  permissions.Int("timeout_ms", 0, 7 * kDayMs, spec.permissions.timeout_ms);
  permissions.Choice("on_timeout", kOnTimeout, spec.permissions.allow_on_timeout);

  Fields readiness = fields.Object("readiness");
  readiness.Only({"timeout_ms"});
  readiness.Int("timeout_ms", 1, kDayMs, spec.readiness_timeout_ms);
}

void ReadLimits(Fields& fields, AgentSpec& spec) {
  Fields limits = fields.Object("limits");
  limits.Only({"wall_ms", "max_tokens", "max_cost_usd", "stall_ms", "on_stall", "idle_ms"},
              {"memory_bytes", "cpu_percent", "pids"});
  limits.Int("wall_ms", 0, 30 * kDayMs, spec.limits.wall_ms);
  limits.Int("max_tokens", 0, int64_t{1} << 53, spec.limits.max_tokens);
  limits.Number("max_cost_usd", 0, 1e9, spec.limits.max_cost_usd);
  limits.Int("stall_ms", 0, 30 * kDayMs, spec.limits.stall_ms);
  limits.Choice("on_stall", kOnStall, spec.limits.on_stall);
  limits.Int("idle_ms", 0, 30 * kDayMs, spec.limits.idle_ms);
}

void ReadKindOptions(Fields& fields, AgentSpec& spec) {
  Fields options = fields.Object("kind_options");
  options.Bool("turns", spec.turns);
  const JsonValue json = fields.Get("kind_options");
  if (json.size() > kMaxKindOptions) return fields.Fail("kind_options", "has more than 64 members");
  for (const JsonValue::Member& member : json.Members()) {
    if (member.key == "turns") continue;
    if (std::any_of(member.key.begin(), member.key.end(), IsControl))
      options.Fail(member.key, "is not a name");
    std::string text = member.value.Raw();
    if (text.size() > kMaxKindOptionBytes) options.Fail(member.key, "is longer than 65536 bytes");
    spec.kind_options[std::string(member.key)] = std::move(text);
  }
}

void SetIfAny(JsonObject& object, std::string_view name, const std::string& value) {
  if (!value.empty()) object.Set(name, value);
}

std::string MapToJson(const std::map<std::string, std::string>& map) {
  JsonObject object;
  for (const auto& [name, value] : map) object.Set(name, value);
  return object.Take();
}

}  // namespace

bool IsAgentId(std::string_view id) {
  return !id.empty() && id.size() <= 64 && (IsLower(id[0]) || IsDigit(id[0])) &&
         std::all_of(id.begin(), id.end(),
                     [](char c) { return IsLower(c) || IsDigit(c) || c == '_' || c == '-'; });
}

bool IsModelName(std::string_view name) {
  return !name.empty() && name.size() <= kMaxNameBytes && name[0] != '-' &&
         std::none_of(name.begin(), name.end(), IsControl);
}

Result<AgentSpec> AgentSpec::FromJson(const JsonValue& json) {
  if (!json.Is(JsonType::kObject)) return Error{"invalid_request", "an agent's spec must be a JSON object"};
  AgentSpec spec;
  Problems problems;
  Fields fields(json, "", problems);
  fields.Only({"id",           "kind",    "command",     "cwd",       "close_on_disconnect", "env",
               "title",        "starred", "labels",      "model",     "system_prompt",       "prompt",
               "resume",       "restart", "permissions", "limits",    "readiness",           "record",
               "kind_options", "files",   "api",         "workspace", "allow_setuid",        "mcp"},
              {"user"});
  ReadIdentity(fields, spec);
  ReadProgram(fields, spec);
  ReadModel(fields, spec);
  ReadPolicies(fields, spec);
  ReadLimits(fields, spec);
  fields.Bool("record", spec.record);
  fields.Bool("allow_setuid", spec.allow_setuid);
  fields.Bool("close_on_disconnect", spec.close_on_disconnect);
  ReadKindOptions(fields, spec);
  if (problems.any()) return problems.ToError();
  return spec;
}

std::string AgentSpec::ToJson(Secrets secrets) const {
  JsonArray arguments;
  for (const std::string& argument : command) arguments.Add(argument);
  JsonArray names;
  for (const auto& [name, value] : env) names.Add(name);

  JsonObject restart_json;
  restart_json.Set("policy", kWhen[static_cast<size_t>(restart.when)]);
  restart_json.Set("max_restarts", restart.max_restarts).Set("window_ms", restart.window_ms);
  JsonObject permissions_json;
  permissions_json.Set("default", kDefault[static_cast<size_t>(permissions.fallback)]);
  for (auto [name, rules] :
       {std::pair{"allow", &permissions.allow}, {"ask", &permissions.ask}, {"deny", &permissions.deny}}) {
    JsonArray list;
    for (const PermissionRule& rule : *rules) list.Add(rule.ToString());
    if (!rules->empty()) permissions_json.SetRaw(name, list.Take());
  }
  permissions_json.Set("timeout_ms", permissions.timeout_ms);
  permissions_json.Set("on_timeout", kOnTimeout[permissions.allow_on_timeout ? 1 : 0]);
  JsonObject limits_json;
  for (auto [name, limit] : {std::pair{"wall_ms", limits.wall_ms},
                             {"max_tokens", limits.max_tokens},
                             {"stall_ms", limits.stall_ms},
                             {"idle_ms", limits.idle_ms}}) {
    if (limit != 0) limits_json.Set(name, limit);
  }
  if (limits.max_cost_usd > 0) limits_json.Set("max_cost_usd", limits.max_cost_usd);
  if (limits.stall_ms != 0) limits_json.Set("on_stall", kOnStall[static_cast<size_t>(limits.on_stall)]);
  JsonObject options;
  if (turns) options.Set("turns", true);
  for (const auto& [name, value] : kind_options) options.SetRaw(name, value);

  JsonObject json;
  json.Set("id", id).Set("kind", kind);
  if (!command.empty()) json.SetRaw("command", arguments.Take());
  SetIfAny(json, "cwd", cwd);
  if (workspace) {
    JsonObject clone;
    clone.Set("git", workspace.git);
    SetIfAny(clone, "branch", workspace.branch);
    SetIfAny(clone, "base", workspace.base);
    json.SetRaw("workspace", clone.Take());
  }
  json.SetRaw("env", secrets == Secrets::kKeep ? MapToJson(env) : names.Take());
  json.Set("api", kApi[static_cast<size_t>(api)]);
  SetIfAny(json, "title", title);
  if (starred) json.Set("starred", true);
  json.SetRaw("labels", MapToJson(labels));
  SetIfAny(json, "model", model);
  SetIfAny(json, "system_prompt", system_prompt);
  SetIfAny(json, "prompt", prompt);
  SetIfAny(json, "resume", resume);
  json.SetRaw("restart", restart_json.Take()).SetRaw("permissions", permissions_json.Take());
  json.SetRaw("limits", limits_json.Take());
  if (mcp) json.Set("mcp", true);
  if (record) json.Set("record", true);
  if (allow_setuid) json.Set("allow_setuid", true);
  if (close_on_disconnect) json.Set("close_on_disconnect", true);
  json.SetRaw("readiness", JsonObject().Set("timeout_ms", readiness_timeout_ms).Take());
  json.SetRaw("kind_options", options.Take());
  return json.Take();
}

}  // namespace reeve
