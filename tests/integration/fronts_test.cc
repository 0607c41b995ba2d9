// Every operation by every front: HTTP, the gateway, and `reeve rpc`. Each front has a daemon of its own, on
// which the same calls must have the same results and errors.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "control/api/api.h"
#include "control/gateway/rpc_codes.h"
#include "tests/support/command.h"
#include "tests/support/gateway_client.h"
#include "tests/support/paths.h"

namespace reeve {
namespace {

// Operations that answer with an agent while its process begins or ends.
const std::set<std::string, std::less<>> kMoving = {"agents.start", "agents.stop", "agents.restart",
                                                    "agents.interrupt", "agents.delete"};
constexpr const char* kScopes[] = {"view", "operate", "admin"};

std::string TokenOf(const std::string& scope) { return scope + "-token-0123456789"; }

// The end of a call: the JSON of its result, or that of its problem document. Parts that no two daemons
// have in common are replaced.
struct Outcome {
  bool failed = false;
  std::string json;

  // Only this is certain of an agent that is on its way to another state.
  void KeepId() { json = failed ? json : JsonField(json, "id"); }
  [[nodiscard]] std::string code() const { return failed ? JsonField(json, "code") : ""; }
};

// A long answer, /openapi.json, has no such parts, and these searches would take seconds.
constexpr size_t kLongBytes = 64 << 10;

std::string Common(std::string json) {
  static const std::vector<std::pair<std::regex, std::string>> kReplaced = {
      {std::regex(R"re(,"request_id":"[^"]*")re"), ""},
      {std::regex(R"re(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)re"), "TIME"},
      {std::regex(R"re("m[0-9a-f]{16}")re"), "\"MESSAGE\""},
      {std::regex(R"re("ticket":"[^"]*"|\?ticket=[^"]*)re"), "TICKET"},
      {std::regex(R"re("(pid|ppid|cpu_ms|rss_bytes|uptime_ms|duration_ms|viewers|seq)":\d+)re"), R"("$1":N)"},
      {std::regex(R"re(/tmp/[^" ]*)re"), "FOLDER"},
      {std::regex(R"re((\n[a-z_]+(\{[^}]*\})? )\d+)re"), "$1N"},
  };
  if (json.size() > kLongBytes) return json;
  for (const auto& [pattern, text] : kReplaced) json = std::regex_replace(json, pattern, text);
  return json;
}

class Front {
 public:
  virtual ~Front() = default;
  virtual Outcome Call(const Operation& operation, const std::string& params) = 0;
};

// Makes the request from the operation's declaration.
class HttpFront final : public Front {
 public:
  HttpFront(const support::Daemon& daemon, std::string token)
      : address_(daemon.address()), token_(std::move(token)) {}

  Outcome Call(const Operation& operation, const std::string& params) override {
    const auto json = JsonDocument::Parse(params);
    std::string target(operation.path);
    std::string query;
    std::string body = operation.params_are_whole() ? params : "";
    JsonObject members;
    for (const Parameter& parameter : operation.parameters) {
      const JsonValue value = (*json)[parameter.name];
      if (!value || operation.params_are_whole()) continue;
      const std::string text(value.AsString().value_or(value.Raw()));
      switch (parameter.in) {
        case Parameter::In::kPath: {
          const std::string hole = "{" + std::string(parameter.name) + "}";
          target.replace(target.find(hole), hole.size(), text);
          break;
        }
        case Parameter::In::kQuery:
          if (value.Is(JsonType::kArray)) {
            const bool list = parameter.type == Parameter::Type::kTypes;  // others may be repeated
            if (list) query.append("&").append(parameter.name).append("=");
            for (const JsonValue& one : value.Elements()) {
              if (!list) query.append("&").append(parameter.name).append("=");
              query.append(one.StringOr("")).append(list ? "," : "");
            }
            if (list) query.pop_back();
          } else {
            query.append("&").append(parameter.name).append("=").append(text);
          }
          break;
        case Parameter::In::kBody:
          members.SetRaw(parameter.name, value.Raw());
          break;
        case Parameter::In::kWhole:
          body = parameter.type == Parameter::Type::kBytes ? text : value.Raw();
          break;
      }
    }
    if (operation.reads_members()) body = members.Take();
    if (!query.empty()) target += "?" + query.substr(1);
    HttpConnection connection(address_);
    const HttpAnswer answer =
        connection.Call(operation.method, target, body, {{"Authorization", "Bearer " + token_}});
    EXPECT_NE(answer.status, 0) << operation.name << " has no answer";
    if (answer.status >= 400) return {true, Common(answer.body)};
    if (answer.body.empty()) return {false, "null"};
    const std::string media = answer.Header("content-type");
    if (media.starts_with("application/json")) return {false, Common(answer.body)};
    std::string result;
    if (media.starts_with("application/x-ndjson")) {
      result = "[" + answer.body + "]";
      for (size_t at = 0; (at = result.find("}\n", at)) != std::string::npos;)
        result.replace(at, 2, result.compare(at, 3, "}\n]") == 0 ? "}" : "},");
    } else {
      AppendJsonString(result, Common(answer.body));
    }
    return {false, Common(result)};
  }

 private:
  const std::string address_;
  const std::string token_;
};

// The outcome of a call by JSON-RPC. Its number must be that of the problem.
Outcome OutcomeOf(const std::string& answer, const Operation& operation) {
  EXPECT_NE(answer, "") << operation.name << " has no answer";
  EXPECT_EQ(JsonField(answer, "jsonrpc"), "2.0");
  const auto json = JsonDocument::Parse(answer);
  if (const JsonValue result = (*json)["result"]) {
    if (const auto text = result.AsString()) {
      std::string common;
      AppendJsonString(common, Common(std::string(*text)));
      return {false, Common(common)};
    }
    return {false, Common(result.Raw())};
  }
  const std::string problem = (*json)["error"]["data"].Raw();
  EXPECT_EQ(JsonField(answer, "error.code"),
            std::to_string(RpcCodeOf(FindProblem(JsonField(problem, "code")))))
      << answer;
  EXPECT_EQ(JsonField(answer, "error.message"), JsonField(problem, "detail")) << answer;
  EXPECT_NE(JsonField(problem, "request_id"), "") << answer;
  return {true, Common(problem)};
}

class GatewayFront final : public Front {
 public:
  GatewayFront(const support::Daemon& daemon, const std::string& token)
      : client_(daemon.address(), GatewayClient::WithToken(token)) {}
  Outcome Call(const Operation& operation, const std::string& params) override {
    return OutcomeOf(client_.Call(operation.name, params), operation);
  }

 private:
  GatewayClient client_;
};

class StdioFront final : public Front {
 public:
  StdioFront(const support::Daemon& daemon, const std::string& token)
      : command_(Command::Program{.words = {kReeveBinary, "rpc"}, .keeps_input = true},
                 {"REEVE_SERVER=" + daemon.address(), "REEVE_TOKEN=" + token}) {}
  Outcome Call(const Operation& operation, const std::string& params) override {
    const std::string id = std::to_string(++last_);
    command_.Write(R"({"jsonrpc":"2.0","id":)" + id + R"(,"method":")" + std::string(operation.name) +
                   R"(","params":)" + params + "}\n");
    for (;;) {
      const std::string line = command_.ReadLine();
      if (line.empty() || JsonField(line, "id") == id) return OutcomeOf(line, operation);
    }
  }

 private:
  Command command_;
  int last_ = 0;
};

class Fronts : public testing::Test {
 protected:
  Fronts() {
    std::string tokens;
    for (const std::string scope : kScopes) tokens += scope + " " + TokenOf(scope) + " " + scope + "-name\n";
    WriteFile(folder_.path() + "/tokens", tokens);
    for (const char* name : {"http", "gateway", "stdio"}) {
      support::Daemon::Options options;
      options.arguments = {"--token-file", folder_.path() + "/tokens"};
      daemons_[name] = std::make_unique<support::Daemon>(options);
    }
  }

  void Connect(const std::string& token) {
    fronts_.clear();
    fronts_["http"] = std::make_unique<HttpFront>(*daemons_["http"], token);
    fronts_["gateway"] = std::make_unique<GatewayFront>(*daemons_["gateway"], token);
    fronts_["stdio"] = std::make_unique<StdioFront>(*daemons_["stdio"], token);
  }

  // Calls by each front, and expects the outcomes to be equal. Returns that over HTTP.
  Outcome Call(std::string_view name, const std::string& params) {
    const Operation* operation = FindOperation(name);
    EXPECT_NE(operation, nullptr) << name;
    if (!operation) return {};
    const bool moves = kMoving.contains(name);
    Outcome expected = fronts_["http"]->Call(*operation, params);
    if (moves) expected.KeepId();
    (expected.failed ? failed_ : worked_).emplace(name);
    for (const char* front : {"gateway", "stdio"}) {
      Outcome outcome = fronts_[front]->Call(*operation, params);
      if (moves) outcome.KeepId();
      EXPECT_EQ(outcome.failed, expected.failed) << front << ": " << name << ' ' << params;
      EXPECT_EQ(outcome.json, expected.json) << front << ": " << name << ' ' << params;
    }
    return expected;
  }

  TempDir folder_;
  std::map<std::string, std::unique_ptr<support::Daemon>> daemons_;
  std::map<std::string, std::unique_ptr<Front>> fronts_;
  std::set<std::string, std::less<>> worked_;
  std::set<std::string, std::less<>> failed_;
};

TEST_F(Fronts, HaveTheSameResultsAndErrors) {
  Connect(TokenOf("admin"));
  const std::vector<std::pair<const char*, const char*>> calls = {
      {"town.health", "{}"},
      {"town.ready", "{}"},
      {"town.metrics", "{}"},
      {"town.openapi", "{}"},
      {"kinds.list", "{}"},
      {"agents.create",
       R"({"id":"a1","kind":"process","command":["cat"],"labels":{"team":"web"},"record":true,"files":{"key":"1"}})"},
      {"agents.wait", R"({"id":"a1","until":"ready"})"},
      {"agents.create", R"({"id":"a1","kind":"process","command":["cat"]})"},
      {"agents.create", R"({"id":"a2","kind":"nothing"})"},
      {"agents.create", R"({"id":"a2","kind":"process","no such member":1})"},
      {"agents.get", R"({"id":"a1"})"},
      {"agents.get", R"({"id":"nobody"})"},
      {"agents.status", R"({"id":"a1"})"},
      {"agents.status", R"({"id":"nobody"})"},
      {"agents.list", R"({"limit":1,"label":["team:web"],"state":"running"})"},
      {"agents.list", R"({"label":"team:none"})"},
      {"agents.list", R"({"limit":0})"},
      {"agents.list", R"({"state":"nothing"})"},
      {"agents.update", R"({"id":"a1","patch":{"title":"new","labels":{"team":null}}})"},
      {"agents.update", R"({"id":"a1","patch":{"id":"other"}})"},
      {"agents.message", R"({"id":"a1","text":"hello"})"},
      {"agents.message", R"({"id":"a1","text":7})"},
      {"agents.message", R"({"id":"a1","text":"later","delay_ms":3600000})"},
      {"agents.message", R"({"id":"nobody","text":"x"})"},
      {"queue.list", R"({"id":"a1"})"},
      {"queue.list", R"({"id":"nobody"})"},
      {"queue.withdraw", R"({"id":"a1","message":"m0000000000000000"})"},
      {"agents.stdin", R"({"id":"a1","bytes":"more\n"})"},
      {"agents.stdin", R"({"id":"a1","bytes":"","offset":1000})"},
      {"agents.wait", R"({"id":"a1","until":"never"})"},
      {"agents.wait_any", R"({"until":"idle","timeout_ms":0,"label":"team:web"})"},
      {"agents.wait_any", R"({"until":"idle","timeout_ms":-1})"},
      {"agents.snapshot", R"({"id":"nobody"})"},
      {"processes.list", R"({"id":"a1"})"},
      {"processes.list", R"({"id":"nobody"})"},
      {"processes.kill", R"({"id":"a1","pid":"1"})"},
      {"processes.strays", "{}"},
      {"agents.changes", R"({"id":"a1"})"},
      {"agents.changes", R"({"id":"nobody"})"},
      {"approvals.list", "{}"},
      {"approvals.list", R"({"agent":"nobody"})"},
      {"approvals.decide", R"({"id":"a1","approval":"0","decision":"deny"})"},
      {"approvals.decide", R"({"id":"a1","approval":"0","decision":"maybe"})"},
      {"elicitations.answer", R"({"id":"a1","elicitation":"0","action":"decline"})"},
      {"agents.models", R"({"id":"a1"})"},
      {"files.put", R"({"id":"a1","name":"key","content":"2"})"},
      {"files.put", R"({"id":"nobody","name":"key","content":"2"})"},
      {"files.delete", R"({"id":"a1","name":"key"})"},
      {"files.delete", R"({"id":"a1","name":"key"})"},
      {"tickets.issue", R"({"id":"a1","mode":"operate","after":"0"})"},
      {"tickets.issue", R"({"id":"a1","ttl_ms":0})"},
      {"tickets.issue_several", R"({"agents":"*"})"},
      {"tickets.issue_several", R"({"agents":["nobody"]})"},
      {"agents.interrupt", R"({"id":"nobody"})"},
      {"agents.interrupt", R"({"id":"a1"})"},
      {"agents.wait", R"({"id":"a1","until":"exited"})"},
      {"agents.start", R"({"id":"a1"})"},
      {"agents.wait", R"({"id":"a1","until":"ready"})"},
      {"agents.stop", R"({"id":"a1","grace_ms":5000})"},
      {"agents.wait", R"({"id":"a1","until":"exited"})"},
      {"agents.stop", R"({"id":"a1"})"},
      {"agents.interrupt", R"({"id":"a1"})"},
      {"agents.snapshot", R"({"id":"a1"})"},
      {"runs.list", R"({"id":"a1","limit":1})"},
      {"runs.list", R"({"id":"a1","limit":"x"})"},
      {"runs.get", R"({"id":"a1","run":"r999"})"},
      {"runs.get", R"({"id":"a1","run":"r2"})"},
      {"events.since", R"({"id":"a1","after":"0","types":["agent.starting","message.*"]})"},
      {"events.since", R"({"id":"a1","types":"no.type"})"},
      {"events.since", R"({"id":"a1","before":3,"limit":1,"max_bytes":4096})"},
      {"events.since", R"({"id":"a1","before":1000,"types":"message.*","text":"HELLO"})"},
      {"events.since", R"({"id":"a1","before":3,"tail":1})"},
      {"events.since", R"({"id":"a1","before":3,"max_bytes":1})"},
      {"agents.start", R"({"id":"a1"})"},
      {"agents.start", R"({"id":"nobody"})"},
      {"agents.wait", R"({"id":"a1","until":"ready"})"},
      {"agents.restart", R"({"id":"a1"})"},
      {"agents.restart", R"({"id":"a1","grace_ms":"soon"})"},
      {"agents.batch", R"({"action":"stop","ids":["a1","nobody"]})"},
      {"agents.batch", R"({"action":"dance","ids":["a1"]})"},
      {"agents.transcript", R"({"id":"nobody"})"},
      {"town.drain_status", "{}"},
      {"town.reload", "{}"},
      {"town.upgrade", R"({"binary":"/nowhere/reeve"})"},
      {"agents.wait", R"({"id":"a1","until":"exited"})"},
      {"agents.transcript", R"({"id":"a1"})"},
      {"agents.delete", R"({"id":"a1"})"},
      {"agents.delete", R"({"id":"a1"})"},
      {"agents.get", R"({"id":"a1"})"},
      {"events.since", R"({"id":"a1","tail":1})"},
      {"agents.delete", R"({"id":"a1","purge":true})"},
      {"town.drain", R"({"timeout_ms":1})"},
      {"town.drain", "{}"},
  };
  for (const auto& [name, params] : calls) Call(name, params);
  // These need an agent that asks, a pid, a message's id or a repository, or end the daemon.
  const std::set<std::string, std::less<>> only_fail = {
      "agents.changes", "approvals.decide", "elicitations.answer", "agents.models",
      "processes.kill", "queue.withdraw",   "town.upgrade"};
  for (const Operation& operation : Operations()) {
    EXPECT_EQ(worked_.contains(operation.name), !only_fail.contains(operation.name)) << operation.name;
    EXPECT_TRUE(worked_.contains(operation.name) || failed_.contains(operation.name)) << operation.name;
  }
  EXPECT_GT(failed_.size(), 25U);
}

TEST_F(Fronts, AskForTheSameScopes) {
  for (const std::string scope : {"view", "operate"}) {
    Connect(TokenOf(scope));
    for (const Operation& operation : Operations()) {
      JsonObject params;  // nobody is concerned, and nothing waits
      for (const Parameter& parameter : operation.parameters) {
        if (parameter.name == "id") params.Set("id", "nobody");
        if (parameter.name == "timeout_ms") params.Set("timeout_ms", 0);
      }
      const Outcome outcome = Call(operation.name, params.Take());
      const bool may = operation.access == Access::kOpen || operation.access == Access::kView ||
                       (operation.access == Access::kOperate && scope == "operate");
      EXPECT_EQ(outcome.code() == "forbidden", !may) << operation.name << ' ' << scope;
    }
  }
}

}  // namespace
}  // namespace reeve
