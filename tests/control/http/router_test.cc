#include "control/http/router.h"

#include <gtest/gtest.h>

#include <string>

namespace reeve {
namespace {

// The result of a router with a few routes: the pattern and its parameters, or the refusal.
std::string Route(const std::string& method, const std::string& path) {
  Router router;
  Handler none = [](const Request&, Reply) {};
  router.Add("GET", "/", Access::kOpen, none);
  router.Add("GET", "/agents/{id}", Access::kView, none);
  router.Add("DELETE", "/agents/{id}", Access::kAdmin, none);
  router.Add("POST", "/agents/{id}/approvals/{approval}", Access::kOperate, none);
  router.Add("POST", "/agents/{id}", Access::kAdmin, none);
  router.Add("POST", "/agents/batch", Access::kAdmin, none);
  router.Add("POST", "/stream-ticket", Access::kView, none);
  Request request;
  request.method = method;
  request.path = path;
  Response refusal;
  const Router::Route* route = router.Match(request, &refusal);
  if (!route) {
    std::string text = std::to_string(refusal.status);
    for (const auto& [name, value] : refusal.headers) text += name == "Allow" ? ' ' + value : "";
    return text;
  }
  std::string text = route->method + ' ' + route->pattern;
  for (const auto& param : request.params) text += " [" + param + ']';
  return text;
}

TEST(Router, FindsARouteByMethodAndSegments) {
  EXPECT_EQ(Route("GET", "/"), "GET /");
  EXPECT_EQ(Route("GET", "/agents/a1"), "GET /agents/{id} [a1]");
  EXPECT_EQ(Route("DELETE", "/agents/a1"), "DELETE /agents/{id} [a1]");
  EXPECT_EQ(Route("POST", "/agents/a1/approvals/p2"), "POST /agents/{id}/approvals/{approval} [a1] [p2]");
}

TEST(Router, DecodesEachSegmentByItself) {
  EXPECT_EQ(Route("GET", "/agents/a%2Fb%20c"), "GET /agents/{id} [a/b c]");
  EXPECT_EQ(Route("GET", "/%61gents/a"), "GET /agents/{id} [a]");
  EXPECT_EQ(Route("GET", "/agents%2Fa"), "404");
}

TEST(Router, ALiteralSegmentBeatsAParameter) {
  EXPECT_EQ(Route("POST", "/agents/batch"), "POST /agents/batch");
  EXPECT_EQ(Route("GET", "/agents/batch"), "GET /agents/{id} [batch]");
}

TEST(Router, AnswersHeadAsGet) { EXPECT_EQ(Route("HEAD", "/agents/a1"), "GET /agents/{id} [a1]"); }

TEST(Router, UnknownPathsAre404) {
  for (const char* path : {"/nothing", "/agents", "/agents/", "/agents/a1/", "//", "/agents/a1/approvals",
                           "*", "/agents//approvals/x"}) {
    EXPECT_EQ(Route("GET", path), "404") << path;
  }
}

TEST(Router, OtherMethodsOfAKnownPathAre405WithAllow) {
  EXPECT_EQ(Route("PUT", "/agents/a1"), "405 DELETE, GET, HEAD, OPTIONS, POST");
  EXPECT_EQ(Route("GET", "/stream-ticket"), "405 OPTIONS, POST");
}

}  // namespace
}  // namespace reeve
