#include "orchestrator/agent/agent_spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

namespace reeve {
namespace {

using testing::HasSubstr;

Result<AgentSpec> Read(const std::string& json) {
  Result<JsonDocument> document = JsonDocument::Parse(json);
  if (!document.ok()) return document.error();
  return AgentSpec::FromJson(document->root());
}

// A spec of kind "process" with `members` beside it.
Result<AgentSpec> With(const std::string& members) { return Read(R"({"kind":"process",)" + members + "}"); }

// Why it is refused; empty: it is not.
std::string Refusal(const Result<AgentSpec>& spec) {
  if (spec.ok()) return "";
  EXPECT_EQ(spec.error().code, "invalid_request");
  return spec.error().message;
}

std::string Strings(size_t count, const std::string& text) {
  JsonArray array;
  for (size_t i = 0; i < count; ++i) array.Add(text);
  return array.Take();
}

constexpr const char* kEverything = R"JSON({
  "id": "a1", "kind": "jsonl", "command": ["/bin/sh", "-c", "echo \"hi\""], "cwd": "/tmp/wörk",
  "env": {"PATH": "/bin", "_X1": "se=cret\nline"}, "title": "A \"title\"", "labels": {"team": "blue", "tier/x": ""},
  "model": "provider/model:free", "prompt": "do\nit", "resume": "ses_01AB.c:d-e",
  "restart": {"policy": "on_failure", "max_restarts": 7, "window_ms": 1234},
  "system_prompt": "be brief", "record": true, "close_on_disconnect": true, "files": {"key.pem": "-----cret", "_x-1": ""}, "api": "operate",
  "permissions": {"default": "deny", "allow": ["bash(git *)", "read"], "ask": ["bash(git push*)"], "deny": ["fetch"],
                  "timeout_ms": 60000, "on_timeout": "allow"},
  "limits": {"wall_ms": 1, "max_tokens": 2, "max_cost_usd": 0.5, "stall_ms": 3, "on_stall": "restart", "idle_ms": 4},
  "readiness": {"timeout_ms": 5000},
  "kind_options": {"turns": true, "port": 0, "flags": ["a", {"b": null}]}})JSON";

TEST(AgentSpec, ReadsEveryField) {
  Result<AgentSpec> spec = Read(kEverything);
  ASSERT_TRUE(spec.ok()) << spec.error().message;
  EXPECT_EQ(spec->id, "a1");
  EXPECT_EQ(spec->kind, "jsonl");
  EXPECT_THAT(spec->command, testing::ElementsAre("/bin/sh", "-c", "echo \"hi\""));
  EXPECT_EQ(spec->cwd, "/tmp/wörk");
  EXPECT_EQ(spec->env.at("_X1"), "se=cret\nline");
  EXPECT_EQ(spec->title, "A \"title\"");
  EXPECT_EQ(spec->labels.at("tier/x"), "");
  EXPECT_EQ(spec->model, "provider/model:free");
  EXPECT_EQ(spec->prompt, "do\nit");
  EXPECT_EQ(spec->resume, "ses_01AB.c:d-e");
  EXPECT_EQ(spec->restart.when, RestartPolicy::When::kOnFailure);
  EXPECT_EQ(spec->restart.max_restarts, 7);
  EXPECT_EQ(spec->restart.window_ms, 1234);
  EXPECT_EQ(spec->permissions.fallback, Permissions::Verdict::kDeny);
  ASSERT_EQ(spec->permissions.allow.size(), 2u);
  EXPECT_EQ(spec->permissions.allow[0].ToString(), "bash(git *)");
  EXPECT_EQ(spec->permissions.ask[0].ToString(), "bash(git push*)");
  EXPECT_EQ(spec->permissions.deny[0].ToString(), "fetch");
  EXPECT_EQ(spec->system_prompt, "be brief");
  EXPECT_TRUE(spec->record);
  EXPECT_TRUE(spec->close_on_disconnect);
  EXPECT_EQ(spec->files.at("key.pem"), "-----cret");
  EXPECT_EQ(spec->files.at("_x-1"), "");
  EXPECT_EQ(spec->api, AgentSpec::Api::kOperate);
  EXPECT_EQ(spec->limits.wall_ms, 1);
  EXPECT_EQ(spec->limits.max_tokens, 2);
  EXPECT_EQ(spec->limits.max_cost_usd, 0.5);
  EXPECT_EQ(spec->limits.stall_ms, 3);
  EXPECT_EQ(spec->limits.on_stall, Limits::OnStall::kRestart);
  EXPECT_EQ(spec->limits.idle_ms, 4);
  EXPECT_EQ(spec->permissions.timeout_ms, 60'000);
  EXPECT_TRUE(spec->permissions.allow_on_timeout);
  EXPECT_EQ(spec->readiness_timeout_ms, 5000);
  EXPECT_TRUE(spec->turns);
  EXPECT_EQ(spec->kind_options.size(), 2u);
  EXPECT_EQ(spec->kind_options.at("flags"), R"(["a", {"b": null}])");
}

TEST(AgentSpec, AWorkspaceIsReadAndKept) {
  const char* members = R"("workspace":{"git":"git@host:a/b.git","branch":"x/y","base":"v1"},"cwd":"sub")";
  Result<AgentSpec> spec = With(members);
  ASSERT_TRUE(spec.ok()) << spec.error().message;
  Result<AgentSpec> again = Read(spec->ToJson(AgentSpec::Secrets::kKeep));
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_EQ(again->workspace.git, "git@host:a/b.git");
  EXPECT_EQ(again->workspace.branch, "x/y");
  EXPECT_EQ(again->workspace.base, "v1");
  EXPECT_EQ(again->cwd, "sub");
}

TEST(AgentSpec, AKindIsEnough) {
  for (const char* json :
       {R"({"kind":"opencode"})",
        R"({"kind":"opencode","id":null,"command":null,"env":null,"restart":null,"user":null})"}) {
    Result<AgentSpec> spec = Read(json);
    ASSERT_TRUE(spec.ok()) << spec.error().message;
    EXPECT_TRUE(spec->command.empty());
    EXPECT_EQ(spec->restart.when, RestartPolicy::When::kNever);
    EXPECT_EQ(spec->permissions.fallback, Permissions::Verdict::kAsk);
    EXPECT_FALSE(spec->permissions.allow_on_timeout);
    EXPECT_EQ(spec->readiness_timeout_ms, 60'000);
  }
}

TEST(AgentSpec, AnIdIsMadeFromTheKindWhereNoneIsGiven) {
  std::set<std::string> ids;
  for (int i = 0; i < 100; ++i) {
    std::string id = Read(R"({"kind":"process"})")->id;
    EXPECT_TRUE(IsAgentId(id)) << id;
    EXPECT_THAT(id, testing::MatchesRegex("process-[a-z2-7]{6}"));
    ids.insert(id);
  }
  EXPECT_EQ(ids.size(), 100u);
}

TEST(AgentSpec, AgentIds) {
  for (const std::string& good :
       {std::string("a"), std::string("0"), std::string("a-b_9"), std::string(64, 'z')})
    EXPECT_TRUE(IsAgentId(good)) << good;
  for (const std::string& bad : {std::string(), std::string("A"), std::string("-a"), std::string("_a"),
                                 std::string("a.b"), std::string("a/b"), std::string("ä"), std::string("a b"),
                                 std::string(".."), std::string("a\0", 2), std::string(65, 'z')}) {
    EXPECT_FALSE(IsAgentId(bad)) << bad;
  }
}

TEST(AgentSpec, WhatIsKeptInTheStoreReadsBackTheSame) {
  for (const char* json : {kEverything, R"({"kind":"process","id":"x"})"}) {
    AgentSpec spec = *Read(json);
    const std::string kept = spec.ToJson(AgentSpec::Secrets::kKeep);
    Result<AgentSpec> again = Read(kept);
    ASSERT_TRUE(again.ok()) << again.error().message;
    EXPECT_EQ(again->ToJson(AgentSpec::Secrets::kKeep), kept);
    EXPECT_EQ(again->env, spec.env);
    EXPECT_TRUE(again->files.empty());  // they are in the private folder, and nowhere else
    EXPECT_EQ(again->api, spec.api);
    EXPECT_EQ(again->kind_options, spec.kind_options);
    EXPECT_EQ(again->turns, spec.turns);
    EXPECT_EQ(again->restart.when, spec.restart.when);
    EXPECT_EQ(again->permissions.fallback, spec.permissions.fallback);
    EXPECT_EQ(again->permissions.allow_on_timeout, spec.permissions.allow_on_timeout);
  }
}

TEST(AgentSpec, TheApiShowsTheEnvironmentByNameOnly) {
  const std::string shown = Read(kEverything)->ToJson(AgentSpec::Secrets::kNamesOnly);
  EXPECT_EQ(shown.find("cret"), std::string::npos) << shown;
  JsonDocument document = *JsonDocument::Parse(shown);
  EXPECT_EQ(document["env"].Raw(), R"(["PATH","_X1"])");
  EXPECT_FALSE(document["files"]);
  EXPECT_EQ(document["api"].AsString(), "operate");
  EXPECT_EQ(document["restart"]["policy"].AsString(), "on_failure");
  EXPECT_EQ(document["permissions"]["on_timeout"].AsString(), "allow");
  EXPECT_EQ(document["kind_options"]["turns"].AsBool(), true);
  EXPECT_EQ(document["command"].size(), 3u);
}

TEST(AgentSpec, UnknownFieldsAreAllNamed) {
  EXPECT_EQ(Refusal(With(R"("comand":["x"],"restart":{"polcy":1},"zebra":null,"title":7)")),
            "unknown field comand, zebra, restart.polcy");
  std::string many;
  for (int i = 0; i < 30; ++i) many += (i > 0 ? ",\"f" : "\"f") + std::to_string(i) + "\":1";
  EXPECT_THAT(Refusal(With(many)), testing::EndsWith("f19 and 10 more"));
  EXPECT_LT(Refusal(With("\"" + std::string(100'000, 'x') + "\":1")).size(), 200u);
}

TEST(AgentSpec, FieldsOfLaterVersionsSaySo) {
  for (const char* field : {"user"}) {
    EXPECT_EQ(Refusal(With("\"" + std::string(field) + "\":{}")),
              std::string(field) + ": not supported in this version");
  }
  for (const char* limit : {"memory_bytes", "cpu_percent", "pids"}) {
    EXPECT_EQ(Refusal(With(R"("limits":{")" + std::string(limit) + R"(":1})")),
              "limits." + std::string(limit) + ": not supported in this version");
  }
}

TEST(AgentSpec, RefusalsNameTheFieldAndTheReason) {
  EXPECT_EQ(Refusal(Read("[]")), "an agent's spec must be a JSON object");
  EXPECT_THAT(Refusal(Read("{}")), HasSubstr("kind: must name a kind"));
  EXPECT_THAT(Refusal(Read(R"({"kind":3})")), HasSubstr("kind: must be a string"));
  EXPECT_THAT(Refusal(Read(R"({"kind":"../x"})")), HasSubstr("kind: "));

  const std::pair<const char*, const char*> cases[] = {
      {R"("id":"A")", "id: 'A' is not an id: up to 64 of a-z"},
      {R"("id":"")", "id: '' is not an id"},
      {R"("id":7)", "id: must be a string"},
      {R"("command":"ls")", "command: must be an array of strings"},
      {R"("command":[])", "command: must not be empty"},
      {R"("command":["ls",1])", "command[1]: must be a string"},
      {R"("command":["ls","a\u0000b"])", "command[1]: contains a NUL character"},
      {R"("command":["","x"])", "command: its program must not be empty"},
      {R"("cwd":"tmp")", "cwd: must be an absolute path"},
      {R"("workspace":"https://host/x")", "workspace: must be an object"},
      {R"("workspace":{})", "workspace.git: must be an address"},
      {R"("workspace":{"git":"https://u:p@host/x"})", "workspace.git: must not contain credentials"},
      {R"("workspace":{"git":"https://host/x","branch":"-f"})", "workspace.branch: is not a ref's name"},
      {R"("workspace":{"git":"https://host/x"},"cwd":"/tmp")", "cwd: must be a path below the workspace"},
      {R"("env":["A"])", "env: must be an object"},
      {R"("env":{"A":1})", "env.A: must be a string"},
      {R"("env":{"A":null})", "env.A: must be a string"},
      {R"("env":{"A":"\u0000"})", "env.A: contains a NUL"},
      {R"("env":{"":"x"})", "env.: is not a name"},
      {R"("env":{"A=B":"x"})", "env.A=B: is not a name"},
      {R"("env":{"REEVE_TOKEN":"x"})",
       "env.REEVE_TOKEN: names that begin with REEVE_ are reserved for the daemon"},
      {R"("files":["a"])", "files: must be an object"},
      {R"("files":{"a":1})", "files.a: must be a string"},
      {R"("files":{"a":"\u0000"})", "files.a: contains a NUL"},
      {R"("files":{"../a":"x"})", "files.../a: is not a file's name"},
      {R"("files":{".new-1":"x"})", "files..new-1: is not a file's name"},
      {R"("mcp":true)", "mcp: needs api: view, operate or admin"},
      {R"("api":"root")", "api: must be one of none, view, operate, admin"},
      {R"("labels":{"a:b":"x"})", "labels.a:b: is not a label"},
      {R"("labels":{"a\nb":"x"})", "is not a label"},
      {R"("labels":{"a":1})", "labels.a: must be a string"},
      {R"("model":"--help")", "model: must not begin with '-'"},
      {R"("resume":"-x")", "resume: must match"},
      {R"("resume":"../x")", "resume: must match"},
      {R"("prompt":["x"])", "prompt: must be a string"},
      {R"("restart":"always")", "restart: must be an object"},
      {R"("restart":{"policy":"sometimes"})", "restart.policy: must be one of never, on_failure, always"},
      {R"("restart":{"max_restarts":-1})", "restart.max_restarts: must be a whole number from 0 to 1000"},
      {R"("restart":{"max_restarts":1.5})", "restart.max_restarts: must be a whole number"},
      {R"("restart":{"window_ms":0})", "restart.window_ms: "},
      {R"("permissions":{"default":true})", "permissions.default: must be one of ask, allow, deny"},
      {R"("permissions":{"timeout_ms":"5s"})", "permissions.timeout_ms: must be a whole number"},
      {R"("permissions":{"on_timeout":"ask"})", "permissions.on_timeout: must be one of deny, allow"},
      {R"("permissions":{"allow":"bash"})", "permissions.allow: must be an array of rules"},
      {R"("permissions":{"deny":["bash",7]})", "permissions.deny[1]: must be a string"},
      {R"("permissions":{"ask":["bash(x"]})", "permissions.ask[0]: is not a rule"},
      {R"("limits":{"wall_ms":-1})", "limits.wall_ms: must be a whole number from 0"},
      {R"("limits":{"max_cost_usd":"1"})", "limits.max_cost_usd: must be a number"},
      {R"("limits":{"on_stall":"kill"})", "limits.on_stall: must be one of tell, interrupt, restart"},
      {R"("limits":{"wall":1})", "unknown field limits.wall"},
      {R"("record":"yes")", "record: must be true or false"},
      {R"("system_prompt":1)", "system_prompt: must be a string"},
      {R"("readiness":{"timeout_ms":0})", "readiness.timeout_ms: "},
      {R"("kind_options":[])", "kind_options: must be an object"},
      {R"("kind_options":{"turns":1})", "kind_options.turns: must be true or false"},
  };
  for (const auto& [members, reason] : cases)
    EXPECT_THAT(Refusal(With(members)), HasSubstr(reason)) << members;
}

TEST(AgentSpec, SizesAreLimited) {
  auto text = [](size_t size) { return "\"" + std::string(size, 'x') + "\""; };
  const std::tuple<std::string, std::string, const char*> cases[] = {
      {R"("command":)" + Strings(3, std::string(131'071, 'x')),
       R"("command":)" + Strings(1, std::string(131'072, 'x')), "command[0]: is longer than 131071"},
      {R"("files":{"a":)" + text(262'144) + "}", R"("files":{"a":)" + text(262'145) + "}",
       "files.a: is longer than 262144"},
      {R"("title":)" + text(512), R"("title":)" + text(513), "title: is longer than 512"},
      {R"("prompt":)" + text(1 << 20), R"("prompt":)" + text((1 << 20) + 1),
       "prompt: is longer than 1048576"},
      {R"("labels":{"a":)" + text(256) + "}", R"("labels":{"a":)" + text(257) + "}",
       "labels.a: is longer than 256"},
      {R"("labels":{)" + text(64) + R"(:""})", R"("labels":{)" + text(65) + R"(:""})", "is not a label"},
      {R"("env":{"A":)" + text(131'069) + "}", R"("env":{"A":)" + text(131'070) + "}",
       "env: has a variable of more than 128 KiB"},
      {R"("cwd":"/)" + text(4094).substr(1), R"("cwd":"/)" + text(4095).substr(1),
       "cwd: is longer than 4095"},
      {R"("kind_options":{"a":)" + text(65'534) + "}", R"("kind_options":{"a":)" + text(65'535) + "}",
       "kind_options.a: is longer than 65536"},
  };
  for (const auto& [good, bad, reason] : cases) {
    EXPECT_EQ(Refusal(With(good)), "");
    EXPECT_THAT(Refusal(With(bad)), HasSubstr(reason));
  }
  EXPECT_EQ(Refusal(With("\"command\":" + Strings(3'000, "x"))), "") << "the kernel takes that many";
  JsonObject labels;
  for (int i = 0; i < 65; ++i) labels.Set("l" + std::to_string(i), "");
  EXPECT_THAT(Refusal(With("\"labels\":" + labels.Take())), HasSubstr("labels: has more than 64"));
  JsonObject files;
  for (int i = 0; i < 65; ++i) files.Set("f" + std::to_string(i), "");
  EXPECT_THAT(Refusal(With("\"files\":" + files.Take())), HasSubstr("files: has more than 64"));
}

// execve(2) knows no rule for names but that "=" ends them.
TEST(AgentSpec, VariablesMayHaveAnyNameThatAProcessMayHave) {
  for (const char* name : {"a.b", "npm_config-x", "1", "BASH_FUNC_f%%", "\xc3\xa4"})
    EXPECT_EQ(Refusal(With(std::string("\"env\":{\"") + name + "\":\"x\"}")), "") << name;
  for (const char* name : {"", "a=b", "a b", "a\\n"})
    EXPECT_THAT(Refusal(With(std::string("\"env\":{\"") + name + "\":\"x\"}")), HasSubstr("is not a name"))
        << name;
}

}  // namespace
}  // namespace reeve
