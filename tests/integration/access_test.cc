// Every route of the router's table, by every kind of credentials.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "control/http/router.h"
#include "tests/support/daemon.h"
#include "tests/support/routes.h"

namespace reeve {
namespace {

// The pattern with "nobody" in place of each parameter; a wait that does not wait.
std::string TargetOf(const Route& route) {
  std::string target;
  for (size_t at = 0; at < route.pattern.size(); ++at) {
    if (route.pattern[at] != '{') {
      target += route.pattern[at];
      continue;
    }
    target += "nobody";
    at = route.pattern.find('}', at);
  }
  return route.pattern == "/wait" ? target + "?timeout_ms=0" : target;
}

class AccessMatrix : public testing::Test {
 protected:
  AccessMatrix() {
    WriteFile(folder_.path() + "/tokens", Token("view") + Token("operate") + Token("admin"));
    support::Daemon::Options options;
    options.arguments = {"--token-file", folder_.path() + "/tokens"};
    daemon_ = std::make_unique<support::Daemon>(options);
  }
  static std::string Token(const std::string& scope) { return scope + " " + scope + "-token-0123456789\n"; }
  static std::string Bearer(const std::string& scope) { return "Bearer " + scope + "-token-0123456789"; }

  // The code of the problem, or the status. The body is one that no route accepts.
  std::string Ask(const Route& route, const std::string& target, const Headers& headers) {
    const bool reads = route.method == "GET" || route.method == "DELETE";
    HttpConnection connection(daemon_->address());
    const HttpAnswer answer =
        connection.Call(route.method, target, reads ? "" : R"({"no such member":1})", headers);
    EXPECT_NE(answer.status, 0) << route.method << ' ' << target;
    const std::string code = answer.Field("code");
    return code.empty() ? std::to_string(answer.status) : code;
  }

  TempDir folder_;
  std::unique_ptr<support::Daemon> daemon_;
};

TEST_F(AccessMatrix, EachRouteAsksForItsScope) {
  const auto& routes = AllRoutes();
  ASSERT_GT(routes.size(), 40U);
  const std::string ticket =
      JsonField(HttpConnection(daemon_->address())
                    .Call("POST", "/stream-ticket", R"({"agents":"*"})", {{"Authorization", Bearer("view")}})
                    .body,
                "ticket");
  ASSERT_NE(ticket, "");
  for (const Route& route : routes) {
    const std::string target = TargetOf(route);
    const std::string what = route.method + ' ' + target;
    const bool open = route.access == Access::kOpen;
    if (open) {
      EXPECT_NE(Ask(route, target, {}), "unauthorized") << what;
    } else {
      EXPECT_EQ(Ask(route, target, {}), "unauthorized") << what;
      EXPECT_EQ(Ask(route, target + (route.pattern == "/wait" ? "&" : "?") + "ticket=" + ticket, {}),
                "unauthorized")
          << what;
    }
    for (const std::string& wrong : {Bearer("unknown"), "Bearer " + ticket, std::string("Bearer")})
      EXPECT_EQ(Ask(route, target, {{"Authorization", wrong}}), "unauthorized") << what << ' ' << wrong;
    const std::pair<const char*, Access> holders[] = {
        {"view", Access::kView}, {"operate", Access::kOperate}, {"admin", Access::kAdmin}};
    for (const auto& [scope, access] : holders) {
      const std::string code = Ask(route, target, {{"Authorization", Bearer(scope)}});
      if (open || access >= route.access) {
        EXPECT_TRUE(code != "unauthorized" && code != "forbidden" && code != "internal")
            << what << ' ' << scope << code;
      } else {
        EXPECT_EQ(code, "forbidden") << what << ' ' << scope;
      }
    }
    // Pages of other sites and foreign names reach nothing, whatever token they have.
    EXPECT_EQ(Ask(route, target, {{"Authorization", Bearer("admin")}, {"Origin", "https://evil.example"}}),
              "forbidden")
        << what;
  }
  EXPECT_EQ(daemon_->Wait(0), -1000) << "no request has ended the daemon";
}

TEST_F(AccessMatrix, ScopeOperateChangesOnlyWhatDescribesAnAgent) {
  HttpConnection connection(daemon_->address());
  const Headers admin = {{"Authorization", Bearer("admin")}};
  const Headers operating = {{"Authorization", Bearer("operate")}};
  ASSERT_EQ(
      connection.Call("POST", "/agents", R"({"id":"a1","kind":"process","command":["sleep","600"]})", admin)
          .status,
      201);
  EXPECT_EQ(
      connection.Call("PATCH", "/agents/a1", R"({"title":"t","labels":{"a":"b"},"starred":true})", operating)
          .status,
      200);
  const std::string always = R"({"restart":{"policy":"always"}})";
  EXPECT_EQ(connection.Call("PATCH", "/agents/a1", always, operating).status, 403);
  for (const char* field : {"env", "command", "cwd", "api", "record", "kind_options", "permissions", "limits",
                            "readiness", "system_prompt"}) {
    EXPECT_EQ(
        connection.Call("PATCH", "/agents/a1", std::string("{\"") + field + "\":null}", operating).status,
        403)
        << field;
  }
}

}  // namespace
}  // namespace reeve
