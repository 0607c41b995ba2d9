// The table of operations, the router, the OpenAPI document and API.md say the same.
#include "control/api/openapi.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "control/api/api.h"
#include "control/http/problem.h"
#include "orchestrator/json/json.h"
#include "orchestrator/log/event_types.h"
#include "tests/support/paths.h"
#include "tests/support/routes.h"

namespace reeve {
namespace {

std::string Lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

// "get /agents/{id}"
std::set<std::string> RoutesOfRouter() {
  std::set<std::string> routes;
  for (const Route& route : AllRoutes()) routes.insert(Lower(route.method) + " " + route.pattern);
  return routes;
}

// The names in the braces of a pattern, in order.
std::vector<std::string> NamesIn(std::string_view pattern) {
  std::vector<std::string> names;
  for (size_t at = pattern.find('{'); at != std::string_view::npos; at = pattern.find('{', at + 1)) {
    names.emplace_back(pattern.substr(at + 1, pattern.find('}', at) - at - 1));
  }
  return names;
}

std::set<std::string> MembersOf(const JsonValue& object) {
  std::set<std::string> names;
  for (const auto& [name, value] : object.Members()) names.emplace(name);
  return names;
}

void CollectReferences(const JsonValue& value, std::set<std::string>& references) {
  for (const JsonValue& element : value.Elements()) CollectReferences(element, references);
  for (const auto& [name, member] : value.Members()) {
    if (name == "$ref") references.emplace(member.StringOr(""));
    CollectReferences(member, references);
  }
}

class OpenApi : public ::testing::Test {
 protected:
  OpenApi() : document_(*JsonDocument::Parse(OpenApiDocument("/town"))) {}
  JsonDocument document_;
};

TEST_F(OpenApi, DescribesEveryRouteAndNoOther) {
  std::set<std::string> described;
  for (const auto& [path, methods] : document_["paths"].Members()) {
    for (const auto& [method, one] : methods.Members())
      described.insert(std::string(method) + " " + std::string(path));
  }
  EXPECT_EQ(described, RoutesOfRouter());
  EXPECT_EQ(document_["servers"].At(0)["url"].StringOr(""), "/town");
}

TEST_F(OpenApi, MarksTheOperationsThatAreNoMethodsOfJsonRpc) {
  std::set<std::string> marked;
  for (const auto& [path, methods] : document_["paths"].Members()) {
    for (const auto& [method, one] : methods.Members()) {
      const std::string name(one["operationId"].StringOr(""));
      const bool http_only = one["x-reeve-http-only"].AsBool().value_or(false);
      if (http_only) marked.insert(name);
      EXPECT_EQ(FindOperation(name) == nullptr, http_only) << name;
      EXPECT_FALSE(document_["x-reeve-gateway-methods"][name]) << name;
    }
  }
  EXPECT_EQ(marked, (std::set<std::string>{"agents.export", "agents.stream", "dashboard.asset",
                                           "dashboard.page", "dashboard.plain", "tickets.check",
                                           "town.gateway", "town.mcp", "town.stream"}));
}

TEST_F(OpenApi, DescribesTheMethodsOfAGateway) {
  const JsonValue methods = document_["x-reeve-gateway-methods"];
  EXPECT_EQ(MembersOf(methods).size(), GatewayMethods().size());
  for (const Operation& method : GatewayMethods()) {
    SCOPED_TRACE(method.name);
    const JsonValue one = methods[method.name];
    EXPECT_EQ(method.access, Access::kView);
    EXPECT_EQ(one["x-reeve-scope"].StringOr(""), "view");
    EXPECT_EQ(one["params"]["additionalProperties"].AsBool(), false);
    std::set<std::string> codes;
    for (const JsonValue& code : one["x-reeve-errors"].Elements()) {
      codes.emplace(code.StringOr(""));
      EXPECT_EQ(FindProblem(code.StringOr("")).code, code.StringOr(""));
    }
    EXPECT_EQ(codes.size(), one["x-reeve-errors"].Elements().size());
    for (const std::string_view code : method.errors) EXPECT_TRUE(codes.contains(std::string(code))) << code;
    for (const char* code : {"internal", "invalid_request", "too_many_requests"})
      EXPECT_TRUE(codes.contains(code)) << code;
  }
}

TEST_F(OpenApi, DescribesEveryEventAndNoOther) {
  std::set<std::string> types;
  for (const auto& [type, schema] :
       document_["components"]["schemas"]["KnownEvent"]["discriminator"]["mapping"].Members())
    types.emplace(type);
  EXPECT_EQ(types, std::set<std::string>(std::begin(event_type::kAll), std::end(event_type::kAll)));
}

void ExpectNoMemberTwice(const JsonValue& value, const std::string& where) {
  std::set<std::string_view> names;
  for (const auto& [name, member] : value.Members()) {
    EXPECT_TRUE(names.insert(name).second) << where << "/" << name;
    ExpectNoMemberTwice(member, where + "/" + std::string(name));
  }
  for (const JsonValue& element : value.Elements()) ExpectNoMemberTwice(element, where + "[]");
}

TEST_F(OpenApi, HasNoMemberTwice) { ExpectNoMemberTwice(document_.root(), ""); }

// Streams are described in schemas.json, because they are no operations.
TEST_F(OpenApi, DescribesTheQueriesOfRoutes) {
  for (const Route& route : AllRoutes()) {
    if (route.query == std::vector<std::string_view>{Router::kAnyQuery}) continue;
    std::set<std::string> described;
    const JsonValue one = document_["paths"][route.pattern][Lower(route.method)];
    for (const JsonValue& parameter : one["parameters"].Elements()) {
      if (parameter["in"].StringOr("") == "query") described.emplace(parameter["name"].StringOr(""));
    }
    EXPECT_EQ(described, std::set<std::string>(route.query.begin(), route.query.end())) << route.pattern;
  }
}

TEST_F(OpenApi, RefersOnlyToSchemasThatItHas) {
  std::set<std::string> references;
  CollectReferences(document_.root(), references);
  EXPECT_GT(references.size(), 40u);
  for (const std::string& reference : references) {
    const std::string name = reference.substr(reference.rfind('/') + 1);
    EXPECT_TRUE(document_["components"]["schemas"][name]) << reference;
  }
}

TEST_F(OpenApi, HasAnExampleOfEachBodyAndError) {
  std::set<std::string> codes;
  for (const auto& [path, methods] : document_["paths"].Members()) {
    for (const auto& [method, operation] : methods.Members()) {
      for (const auto& [status, response] : operation["responses"].Members()) {
        for (const auto& [media, content] : response["content"].Members()) {
          for (const auto& [code, example] : content["examples"].Members()) codes.emplace(code);
          if (media != "application/json") continue;
          EXPECT_TRUE(content["example"]) << method << " " << path << " " << status;
        }
      }
    }
  }
  // These are answers to requests that reach no operation.
  const std::set<std::string> of_no_operation = {
      "method_not_allowed", "request_timeout",   "target_too_long", "expectation_failed",
      "unsupported",        "headers_too_large", "not_implemented", "too_many_connections",
      "http_version",       "upgrade_required"};
  for (const ProblemKind& kind : Problems()) {
    EXPECT_NE(codes.count(std::string(kind.code)), of_no_operation.count(std::string(kind.code)))
        << kind.code;
  }
}

TEST(Operations, AreDeclaredCompletely) {
  std::set<std::string> names;
  for (const Operation& operation : Operations()) {
    SCOPED_TRACE(operation.name);
    EXPECT_TRUE(names.emplace(operation.name).second);
    EXPECT_TRUE(operation.text.ends_with('.'));
    EXPECT_FALSE(operation.answers.empty());
    EXPECT_NE(operation.run, nullptr);
    std::vector<std::string> in_path;
    std::set<std::string_view> parameters = {"idempotency_key"};  // all are members of one object, too
    for (const Parameter& parameter : operation.parameters) {
      EXPECT_TRUE(parameters.insert(parameter.name).second) << parameter.name;
      EXPECT_TRUE(parameter.text.ends_with('.')) << parameter.name;
      if (parameter.in == Parameter::In::kPath) in_path.emplace_back(parameter.name);
      // Call reads a whole body as the last parameter.
      EXPECT_TRUE(parameter.in != Parameter::In::kWhole || &parameter == &operation.parameters.back());
    }
    EXPECT_EQ(in_path, NamesIn(operation.path));
    for (const std::string_view code : operation.errors) EXPECT_EQ(FindProblem(code).code, code);
  }
}

// API.md has each operation's method, path and query, as "`GET /agents/{id}/runs?limit=&page_token=`", and
// the names of the members of its body.
TEST(Operations, StandInThePageAsTheyAre) {
  std::ifstream file(std::string(kTests) + "/../control/api/API.md");
  std::stringstream read;
  read << file.rdbuf();
  const std::string page = read.str();
  ASSERT_GT(page.size(), 10'000u);
  for (const Operation& operation : Operations()) {
    SCOPED_TRACE(operation.name);
    const std::string path(operation.path);
    const std::string last = path.substr(path.rfind('/'));
    bool found = page.find("`" + std::string(operation.method) + " " + path) != std::string::npos;
    for (const std::string& short_form : {path, last}) {
      found = found || page.find("`" + short_form + "`") != std::string::npos;
    }
    EXPECT_TRUE(found);
    for (const Parameter& parameter : operation.parameters) {
      if (parameter.in != Parameter::In::kQuery && parameter.in != Parameter::In::kBody) continue;
      EXPECT_NE(page.find(std::string(parameter.name)), std::string::npos) << parameter.name;
    }
  }
}

// The reader of specs and the schema know the same members.
TEST(Operations, KnowTheMembersOfASpec) {
  const auto document = JsonDocument::Parse(OpenApiDocument(""));
  const JsonValue properties = (*document)["components"]["schemas"]["AgentSpec"]["properties"];
  for (const std::string& name : MembersOf(properties)) {
    if (name == "kind") continue;
    const auto spec = JsonDocument::Parse(R"({"kind":"process",")" + name + "\":5}");
    const auto parsed = AgentSpec::FromJson(spec->root());
    ASSERT_FALSE(parsed.ok()) << name;
    EXPECT_EQ(parsed.error().message.find("unknown"), std::string::npos) << parsed.error().message;
  }
  const auto spec = JsonDocument::Parse(R"({"kind":"process"})");
  const auto made = AgentSpec::FromJson(spec->root());
  ASSERT_TRUE(made.ok());
  const auto written = JsonDocument::Parse(made->ToJson(AgentSpec::Secrets::kKeep));
  for (const std::string& name : MembersOf(written->root())) EXPECT_TRUE(properties[name]) << name;
  for (const std::string_view name : Town::kChangeable) EXPECT_TRUE(properties[name]) << name;
}

}  // namespace
}  // namespace reeve
