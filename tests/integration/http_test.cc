// The daemon's answers as bytes on a connection: chunks, connections that go on, targets, CORS.
#include <gtest/gtest.h>

#include <string>

#include "tests/support/daemon.h"

namespace reeve {
namespace {

const std::string kEnded = R"({"id":"a1","kind":"process","command":["echo","hello"]})";

Headers Bearer(const Daemon& daemon) { return {{"Authorization", "Bearer " + daemon.token()}}; }

TEST(Http, AStreamAndAnExportLeaveTheConnectionOpen) {
  Daemon daemon;
  daemon.Create(kEnded);
  daemon.WaitFor("a1");
  HttpConnection connection(daemon.address());
  const Headers token = Bearer(daemon);
  HttpAnswer stream = connection.Call("GET", "/agents/a1/stream?after=0", "", token);
  EXPECT_EQ(stream.status, 200) << stream.wire;
  EXPECT_EQ(stream.Header("transfer-encoding"), "chunked");
  EXPECT_EQ(stream.Header("connection"), "");
  EXPECT_NE(stream.body.find("event: stream.bye\ndata: {\"reason\":\"agent_exited\"}\n\n"),
            std::string::npos);
  EXPECT_NE(stream.body.find(daemon.LogFiles("a1").substr(0, 40)), std::string::npos);
  EXPECT_EQ(connection.Call("GET", "/agents/a1", "", token).Field("id"), "a1");
  HttpAnswer exported = connection.Call("GET", "/agents/a1/export", "", token);
  EXPECT_EQ(exported.Header("transfer-encoding"), "chunked");
  EXPECT_NE(exported.body.find("export.end"), std::string::npos);
  HttpAnswer batch = connection.Call("POST", "/agents/batch", R"({"action":"export","ids":["a1"]})", token);
  EXPECT_NE(batch.body.find("export.end"), std::string::npos) << batch.wire;
  EXPECT_EQ(connection.Call("GET", "/agents/a1/stream?after=0&types=agent.output", "", token).status, 200);
  EXPECT_EQ(connection.Call("GET", "/health").status, 200);
}

TEST(Http, AClientOfHttp10GetsNoChunks) {
  Daemon daemon;
  daemon.Create(kEnded);
  daemon.WaitFor("a1");
  for (const char* target : {"/agents/a1/stream?after=0", "/agents/a1/export"}) {
    HttpConnection connection(daemon.address());
    const std::string wire =
        connection.UntilClosed("GET " + std::string(target) + " HTTP/1.0\r\nAuthorization: Bearer " +
                               daemon.token() + "\r\nHost: localhost\r\n\r\n");
    EXPECT_EQ(wire.find("chunked"), std::string::npos) << wire;
    EXPECT_NE(wire.find("\r\nConnection: close\r\n"), std::string::npos) << wire;
    const std::string body = wire.substr(wire.find("\r\n\r\n") + 4);
    EXPECT_TRUE(body.starts_with("retry: ") || body.starts_with("{\"agent\":\"a1\"")) << body;
  }
}

TEST(Http, ATargetMayBeInAbsoluteForm) {
  Daemon daemon;
  HttpConnection connection(daemon.address());
  const HttpAnswer there = connection.Call("GET", daemon.address() + "/agents?limit=5", "", Bearer(daemon));
  EXPECT_EQ(there.status, 200) << there.wire;
  EXPECT_EQ(connection.Call("GET", "http://evil.example/agents", "", Bearer(daemon)).status, 403);
}

TEST(Http, A202HasTheAgent) {
  Daemon daemon;
  daemon.Create(R"({"id":"a1","kind":"process","command":["sleep","600"]})");
  daemon.WaitFor("a1", "until=ready");
  HttpAnswer deleted = daemon.Call("DELETE", "/agents/a1");
  EXPECT_EQ(deleted.status, 202);
  EXPECT_EQ(deleted.Field("id"), "a1");
  EXPECT_EQ(deleted.Field("deleted"), "true");
  daemon.WaitFor("a1");
  EXPECT_EQ(daemon.Call("DELETE", "/agents/a1?purge=true").status, 204);
}

TEST(Http, ARepeatedMemberOfABodyIsRefused) {
  Daemon daemon;
  daemon.Create(R"({"id":"a1","kind":"process","command":["sleep","600"]})");
  struct Case {
    const char* method;
    const char* target;
    const char* body;
  };
  for (const Case& wrong :
       {Case{"POST", "/agents", R"({"kind":"process","twice":1,"command":["true"],"twice":2})"},
        {"POST", "/agents", R"({"kind":"process","command":["true"],"env":{"twice":"1","twice":"2"}})"},
        {"PATCH", "/agents/a1", R"({"title":"a","labels":{"twice":"1","\u0074wice":"2"}})"},
        {"POST", "/agents/a1/message", R"({"messages":[{"text":"a","twice":1,"twice":1}]})"},
        {"POST", "/stream-ticket", R"({"agents":["a1"],"after":{"twice":"0","twice":"0"}})"}}) {
    const HttpAnswer answer = daemon.Call(wrong.method, wrong.target, wrong.body);
    EXPECT_EQ(answer.status, 400) << wrong.body << answer.wire;
    EXPECT_NE(answer.Field("detail").find("the member twice"), std::string::npos) << answer.body;
  }
}

TEST(Http, AnUnknownQueryParameterIsRefusedEverywhere) {
  Daemon daemon;
  daemon.Create(kEnded);
  for (const char* target : {"/agents?stat=idle", "/agents/a1?x", "/agents/a1/events?type=a",
                             "/stream?agent=a1", "/agents/a1/stream?from=0", "/agents/a1/wait?untl=idle",
                             "/approvals?agents=a1", "/agents/a1/runs?page=2", "/metrics?x=1"}) {
    HttpAnswer refused = daemon.Get(target);
    EXPECT_EQ(refused.status, 400) << target;
    EXPECT_NE(refused.Field("detail").find("unknown query parameter"), std::string::npos) << refused.body;
  }
  EXPECT_EQ(daemon.Call("DELETE", "/agents/a1?purged=true").status, 400);
}

TEST(Http, AgentsAreFilteredByKindStarAndDeletion) {
  Daemon daemon;
  daemon.Create(R"({"id":"p","kind":"process","command":["true"],"starred":true})");
  daemon.Create(R"({"id":"j","kind":"jsonl","command":["true"]})");
  daemon.WaitFor("p");
  daemon.WaitFor("j");
  auto ids = [&daemon](const std::string& query) {
    std::string found;
    auto json = JsonDocument::Parse(daemon.Get("/agents?" + query).body);
    for (const JsonValue& agent : (*json)["agents"].Elements()) found += agent["id"].StringOr("");
    return found;
  };
  EXPECT_EQ(ids(""), "jp");
  EXPECT_EQ(ids("kind=jsonl"), "j");
  EXPECT_EQ(ids("starred=true"), "p");
  EXPECT_EQ(ids("starred=false"), "j");
  EXPECT_EQ(daemon.Call("DELETE", "/agents/j").status, 204);
  EXPECT_EQ(ids(""), "p");
  EXPECT_EQ(ids("deleted=true"), "j");
  EXPECT_EQ(daemon.Get("/agents?kind=nonesuch").status, 400);
  EXPECT_EQ(daemon.Get("/agents?starred=yes").status, 400);
}

TEST(Http, TheResumeCookieWorksForAPageOfAnotherSiteOverTls) {
  Daemon daemon(Daemon::Options{
      {"--allowed-origin", "https://app.example", "--allowed-origin", "http://plain.example"}, {}, {}});
  daemon.Create(R"({"id":"a1","kind":"process","command":["sleep","600"]})");
  auto cookie = [&daemon](const std::string& origin) {
    Headers headers;
    if (!origin.empty()) headers.emplace_back("Origin", origin);
    const std::string url = daemon.Call("POST", "/agents/a1/stream-ticket", "{}", headers).Field("url");
    StreamClient::Options options;
    if (!origin.empty()) options.headers.emplace_back("Origin", origin);
    StreamClient stream(daemon.address(), url, options);
    EXPECT_TRUE(stream.UntilHead());
    EXPECT_EQ(stream.status(), 200) << origin;
    return stream.Header("set-cookie");
  };
  EXPECT_NE(cookie("https://app.example").find("; SameSite=None; Secure; "), std::string::npos);
  for (const char* strict : {"", "http://plain.example", "http://localhost"}) {
    EXPECT_NE(cookie(strict).find("; SameSite=Strict; "), std::string::npos) << strict;
    EXPECT_EQ(cookie(strict).find("Secure"), std::string::npos) << strict;
  }
}

}  // namespace
}  // namespace reeve
