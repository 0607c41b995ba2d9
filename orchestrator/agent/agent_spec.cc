#include "orchestrator/agent/agent_spec.h"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <string>
#include <utility>

#include "orchestrator/store/private_folder.h"
#include "process/random.h"

namespace reeve {

namespace {

// Linux takes no argument or variable beyond 128 KiB, and argv and environment together must fit a quarter of
// the stack's limit (execve(2), "Limits on size of arguments and environment").
constexpr size_t kMaxArguments = 256;
constexpr size_t kMaxCommandBytes = size_t{128} << 10;
constexpr size_t kMaxEnv = 1024;
constexpr size_t kMaxEnvBytes = size_t{512} << 10;
constexpr size_t kMaxVariableBytes = (size_t{128} << 10) - 1;
constexpr size_t kMaxPathBytes = 4095;  // PATH_MAX without its NUL
constexpr size_t kMaxPromptBytes = size_t{1} << 20;
// These are shown in lists and kept for every agent, so they must be small.
constexpr size_t kMaxTitleBytes = 512;
constexpr size_t kMaxLabels = 64;
constexpr size_t kMaxLabelBytes = 256;
constexpr size_t kMaxNameBytes = 256;  // names of models, ids of upstream sessions
constexpr size_t kMaxRules = 256;      // every rule is compared with every call
constexpr size_t kMaxRuleBytes = 4096;
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

bool IsVariableName(std::string_view name) {
  return !name.empty() && !IsDigit(name[0]) &&
         std::all_of(name.begin(), name.end(), [](char c) { return IsLetter(c) || IsDigit(c) || c == '_'; });
}

// The value becomes an argument or a part of a URL, so it must not look like an option or a path.
bool IsSessionId(std::string_view id) {
  auto fits = [](char c) {
    return IsLetter(c) || IsDigit(c) || c == '_' || c == '-' || c == '.' || c == ':';
  };
  return (IsLetter(id[0]) || IsDigit(id[0]) || id[0] == '_') && std::all_of(id.begin(), id.end(), fits);
}

// The mistakes of a spec. Reports the first wrong value and all unknown fields.
struct Problems {
  std::vector<std::string> unknown;
  std::string first;

  void Add(const std::string& field, std::string_view reason) {
    if (first.empty()) first = field + ": " + std::string(reason);
  }
  [[nodiscard]] bool any() const { return !unknown.empty() || !first.empty(); }
  [[nodiscard]] Error ToError() const {
    if (unknown.empty()) return {"invalid_request", first};
    constexpr size_t kNamed = 20;
    std::string names;
    for (size_t i = 0; i < std::min(unknown.size(), kNamed); ++i) names += (i == 0 ? "" : ", ") + unknown[i];
    if (unknown.size() > kNamed) names += " and " + std::to_string(unknown.size() - kNamed) + " more";
    return {"invalid_request", "unknown field " + names};
  }
};

// Reads the members of one object into variables. A variable keeps its value if its member is absent or null.
class Fields {
 public:
  Fields(JsonValue json, std::string path, Problems& problems)
      : json_(json), path_(std::move(path)), problems_(problems) {}

  // Every member must be one of `known`. `later` are fields of the API that this version does not support
  // yet.
  void Only(std::initializer_list<std::string_view> known,
            std::initializer_list<std::string_view> later = {}) {
    for (const JsonValue::Member& member : json_.Members()) {
      auto is_it = [&member](std::string_view name) { return name == member.key; };
      if (std::any_of(known.begin(), known.end(), is_it)) continue;
      if (std::none_of(later.begin(), later.end(), is_it)) {
        problems_.unknown.push_back(Path(member.key));
      } else if (!member.value.Is(JsonType::kNull)) {
        problems_.Add(Path(member.key), "not supported in this version");
      }
    }
  }

  // The member is absent if it is null.
  [[nodiscard]] JsonValue Get(std::string_view name) const {
    JsonValue value = json_[name];
    return value.Is(JsonType::kNull) ? JsonValue() : value;
  }
  void Fail(std::string_view name, std::string_view reason) { problems_.Add(Path(name), reason); }

  void String(std::string_view name, size_t max_bytes, std::string& out) {
    if (JsonValue value = Get(name)) Text(Path(name), value, max_bytes, out);
  }
  void Int(std::string_view name, int64_t min, int64_t max, int64_t& out) {
    JsonValue value = Get(name);
    if (!value) return;
    std::optional<int64_t> number = value.AsInt();
    if (number && *number >= min && *number <= max) {
      out = *number;
    } else {
      Fail(name, "must be a whole number from " + std::to_string(min) + " to " + std::to_string(max));
    }
  }
  void Number(std::string_view name, double min, double max, double& out) {
    JsonValue value = Get(name);
    if (!value) return;
    std::optional<double> number = value.AsDouble();
    if (!number || !(*number >= min && *number <= max))
      return Fail(name, "must be a number that is not negative");
    out = *number;
  }
  void Bool(std::string_view name, bool& out) {
    JsonValue value = Get(name);
    if (!value) return;
    if (!value.AsBool()) return Fail(name, "must be true or false");
    out = *value.AsBool();
  }
  template <typename Enum, size_t N>
  void Choice(std::string_view name, const std::array<const char*, N>& words, Enum& out) {
    JsonValue value = Get(name);
    if (!value) return;
    auto word = std::find(words.begin(), words.end(), value.StringOr(""));
    if (word != words.end()) {
      out = static_cast<Enum>(word - words.begin());
    } else {
      std::string list;
      for (const char* choice : words) list += (list.empty() ? "" : ", ") + std::string(choice);
      Fail(name, "must be one of " + list);
    }
  }
  void List(std::string_view name, std::vector<std::string>& out) {
    JsonValue value = Get(name);
    if (!value) return;
    if (!value.Is(JsonType::kArray)) return Fail(name, "must be an array of strings");
    if (value.size() == 0) return Fail(name, "must not be empty");
    if (value.size() > kMaxArguments)
      return Fail(name, "has more than " + std::to_string(kMaxArguments) + " arguments");
    size_t bytes = 0;
    for (JsonValue element : value.Elements()) {
      out.emplace_back();
      Text(Path(name) + "[" + std::to_string(out.size() - 1) + "]", element, kMaxCommandBytes, out.back());
      bytes += out.back().size() + 1;
    }
    if (bytes > kMaxCommandBytes) Fail(name, "is larger than 128 KiB");
    if (out.front().empty()) Fail(name, "its program must not be empty");
  }
  void Rules(std::string_view name, std::vector<PermissionRule>& out) {
    JsonValue value = Get(name);
    if (!value) return;
    if (!value.Is(JsonType::kArray)) return Fail(name, "must be an array of rules");
    if (value.size() > kMaxRules) return Fail(name, "has more than " + std::to_string(kMaxRules) + " rules");
    for (JsonValue element : value.Elements()) {
      const std::string path = Path(name) + "[" + std::to_string(out.size()) + "]";
      std::string text;
      Text(path, element, kMaxRuleBytes, text);
      auto rule = PermissionRule::Parse(text);
      if (!rule) problems_.Add(path, rule.error().message);
      out.push_back(rule ? std::move(*rule) : PermissionRule{});
    }
  }
  // Reads an object of strings. `check` returns the mistake in a name, or nullptr.
  void Map(std::string_view name, size_t max_members, size_t max_bytes,
           const char* (*check)(std::string_view), std::map<std::string, std::string>& out) {
    Fields members = Object(name);
    if (members.json_.size() > max_members) return Fail(name, "has more than " + std::to_string(max_members));
    for (const JsonValue::Member& member : members.json_.Members()) {
      if (const char* wrong = check(member.key)) members.Fail(member.key, wrong);
      members.Text(members.Path(member.key), member.value, max_bytes, out[std::string(member.key)]);
    }
  }
  [[nodiscard]] Fields Object(std::string_view name) {
    JsonValue value = Get(name);
    if (value && !value.Is(JsonType::kObject)) Fail(name, "must be an object");
    return {value, Path(name) + ".", problems_};
  }

 private:
  // For messages: a name from outside, cut to a readable length.
  [[nodiscard]] std::string Path(std::string_view name) const {
    return path_ + std::string(name.substr(0, 64));
  }

  void Text(const std::string& path, JsonValue value, size_t max_bytes, std::string& out) {
    std::optional<std::string_view> text = value.AsString();
    if (!text) return problems_.Add(path, "must be a string");
    if (text->size() > max_bytes)
      return problems_.Add(path, "is longer than " + std::to_string(max_bytes) + " bytes");
    if (text->find('\0') != std::string_view::npos) return problems_.Add(path, "contains a NUL character");
    out = *text;
  }

  JsonValue json_;
  std::string path_;
  Problems& problems_;
};

const char* WhyNotVariable(std::string_view name) {
  if (!IsVariableName(name) || name.size() > kMaxNameBytes)
    return "is not a name ([A-Za-z_][A-Za-z0-9_]*, 256 bytes)";
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
constexpr std::array kApi = {"none", "view", "operate"};
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
  if (fields.Get("id") && !IsAgentId(spec.id)) fields.Fail("id", "must match [a-z0-9][a-z0-9_-]{0,63}");
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
  size_t env_bytes = 0;
  for (const auto& [name, value] : spec.env) {
    env_bytes += name.size() + value.size() + 2;
    if (name.size() + value.size() + 1 > kMaxVariableBytes)
      fields.Fail("env", "has a variable of more than 128 KiB");
  }
  if (env_bytes > kMaxEnvBytes) fields.Fail("env", "is larger than 512 KiB");

  fields.Map("files", PrivateFolder::kMaxFiles, PrivateFolder::kMaxFileBytes, WhyNotFile, spec.files);
  fields.Choice("api", kApi, spec.api);
}

void ReadModel(Fields& fields, AgentSpec& spec) {
  fields.String("model", kMaxNameBytes, spec.model);
  if (!spec.model.empty() && !IsModelName(spec.model)) {
    fields.Fail("model", "must not begin with '-' or hold control characters");
  }
  // For some kinds it becomes an argument of the program.
  fields.String("system_prompt", kMaxCommandBytes - 1, spec.system_prompt);
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
  fields.Only({"id",     "kind",      "command",       "cwd",          "env",    "title",   "starred",
               "labels", "model",     "system_prompt", "prompt",       "resume", "restart", "permissions",
               "limits", "readiness", "record",        "kind_options", "files",  "api",     "workspace"},
              {"user", "close_on_disconnect"});
  ReadIdentity(fields, spec);
  ReadProgram(fields, spec);
  ReadModel(fields, spec);
  ReadPolicies(fields, spec);
  ReadLimits(fields, spec);
  fields.Bool("record", spec.record);
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
  if (record) json.Set("record", true);
  json.SetRaw("readiness", JsonObject().Set("timeout_ms", readiness_timeout_ms).Take());
  json.SetRaw("kind_options", options.Take());
  return json.Take();
}

}  // namespace reeve
