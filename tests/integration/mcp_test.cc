// POST /mcp: the operations as tools of the Model Context Protocol.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/daemon.h"

namespace reeve {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr const char* kSleeper = R"({"id":"a1","kind":"process","command":["sleep","600"]})";

std::string RequestText(const std::string& id, const std::string& method, const std::string& params = "{}") {
  return R"({"jsonrpc":"2.0","id":)" + id + R"(,"method":")" + method + R"(","params":)" + params + "}";
}

std::string ToolParams(const std::string& tool, const std::string& arguments, const std::string& more = "") {
  return R"({"name":")" + tool + R"(","arguments":)" + arguments + more + "}";
}

// The messages of a body of server-sent events.
std::vector<std::string> EventsIn(const std::string& body) {
  constexpr std::string_view kData = "data: ";
  std::vector<std::string> messages;
  for (size_t at = body.find(kData); at != std::string::npos; at = body.find(kData, at + 1)) {
    const size_t begin = at + kData.size();
    messages.push_back(body.substr(begin, body.find('\n', begin) - begin));
  }
  return messages;
}

class Mcp : public testing::Test {
 protected:
  static Headers JsonHeaders(Headers more = {}) {
    more.emplace_back("Content-Type", "application/json");
    return more;
  }
  HttpAnswer Post(const std::string& body, const Headers& more = {}) {
    return daemon_.Call("POST", "/mcp", body, JsonHeaders(more));
  }
  HttpAnswer Tool(const std::string& tool, const std::string& arguments, const Headers& more = {}) {
    return Post(RequestText("1", "tools/call", ToolParams(tool, arguments)), more);
  }
  // A request of the stateless revision.
  HttpAnswer Stateless(const std::string& method, const std::string& members, const std::string& name = "",
                       bool tasks = false) {
    const std::string extensions = tasks ? R"("extensions":{"io.modelcontextprotocol/tasks":{}})" : "";
    const std::string params = "{" + members + (members.empty() ? "" : ",") +
                               R"("_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",)"
                               R"("io.modelcontextprotocol/clientCapabilities":{)" +
                               extensions + "}}}";
    Headers headers = {{"MCP-Protocol-Version", "2026-07-28"}, {"Mcp-Method", method}};
    if (!name.empty()) headers.emplace_back("Mcp-Name", name);
    return Post(RequestText("1", method, params), headers);
  }
  // With a token of another scope.
  HttpAnswer PostAs(const std::string& token, const std::string& body, Headers headers = {}) {
    headers.emplace_back("Authorization", "Bearer " + token);
    return HttpConnection(daemon_.address()).Call("POST", "/mcp", body, JsonHeaders(std::move(headers)));
  }

  // The open waits; -1 if the daemon does not say it.
  [[nodiscard]] int Waits() const {
    const std::string metrics = "\n" + daemon_.Get("/metrics").body;
    const std::string name = "\nreeve_waits ";
    const size_t at = metrics.find(name);
    return at == std::string::npos ? -1 : std::atoi(metrics.c_str() + at + name.size());
  }

  Daemon daemon_;
};

TEST_F(Mcp, AHandshakeAgreesOnARevision) {
  for (const char* revision : {"2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"}) {
    const auto answer = Post(RequestText(
        "1", "initialize",
        R"({"protocolVersion":")" + std::string(revision) + R"(","capabilities":{},"clientInfo":{}})"));
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.Field("result.protocolVersion"), revision);
    EXPECT_EQ(answer.Field("result.serverInfo.name"), "reeve");
    EXPECT_EQ(answer.Field("result.capabilities.tools"), "{}");
    EXPECT_NE(answer.Header("mcp-session-id"), "");
  }
  const auto other = Post(RequestText("1", "initialize", R"({"protocolVersion":"2099-01-01"})"));
  EXPECT_EQ(other.Field("result.protocolVersion"), "2025-11-25");
  EXPECT_EQ(Post(R"({"jsonrpc":"2.0","method":"notifications/initialized"})").status, 202);
  EXPECT_EQ(Post(RequestText("2", "ping")).Field("result"), "{}");
  EXPECT_EQ(daemon_.Call("GET", "/mcp").status, 405);
  EXPECT_EQ(daemon_.Call("DELETE", "/mcp").status, 405);
}

TEST_F(Mcp, TheStatelessRevisionNeedsNoHandshake) {
  const auto found = Stateless("server/discover", "");
  EXPECT_EQ(found.Field("result.supportedVersions"), R"(["2026-07-28"])");
  EXPECT_EQ(found.Field("result.resultType"), "complete");
  EXPECT_EQ(found.Header("mcp-session-id"), "");
  const auto listed = Stateless("tools/list", "");
  EXPECT_EQ(listed.Field("result.cacheScope"), "private");
  EXPECT_THAT(listed.body, HasSubstr(R"("name":"list_agents")"));
  const auto called = Stateless("tools/call", R"("name":"list_agents","arguments":{})", "list_agents");
  EXPECT_EQ(called.Field("result.structuredContent.agents"), "[]");
  EXPECT_EQ(called.Field("result.resultType"), "complete");
  // It does not have the methods of the others, and they do not have its methods.
  for (const char* method : {"initialize", "ping", "no/such"}) {
    const auto none = Stateless(method, R"("protocolVersion":"2025-11-25")");
    EXPECT_EQ(none.status, 404) << method;
    EXPECT_EQ(none.Field("error.code"), "-32601");
  }
  EXPECT_EQ(Post(RequestText("1", "server/discover")).Field("error.code"), "-32601");
}

TEST_F(Mcp, ASubscriptionIsAcknowledgedAndEnds) {
  const auto answer = Stateless("subscriptions/listen", R"("notifications":{"toolsListChanged":true})");
  EXPECT_EQ(answer.Header("content-type"), "text/event-stream");
  const auto messages = EventsIn(answer.body);
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_EQ(JsonField(messages[0], "method"), "notifications/subscriptions/acknowledged");
  EXPECT_EQ(JsonField(messages[1], "result.resultType"), "complete");
  EXPECT_EQ(Stateless("subscriptions/listen", "").Field("error.code"), "-32602");
}

TEST_F(Mcp, GarbageGetsTheErrorsOfTheProtocol) {
  struct Case {
    std::string body;
    std::string code;
    int status;
  };
  for (const Case& one :
       std::vector<Case>{{"", "-32700", 400},
                         {"not json", "-32700", 400},
                         {"{\"a\":", "-32700", 400},
                         {"{}", "-32600", 400},
                         {"7", "-32600", 400},
                         {"[]", "-32600", 400},
                         {RequestText("null", "ping"), "-32600", 400},
                         {RequestText("1", "ping", "[]"), "-32602", 400},
                         {RequestText("1", "no/such"), "-32601", 200},
                         {RequestText("1", "initialize"), "-32602", 200},
                         {RequestText("1", "tools/list", R"({"cursor":"x"})"), "-32602", 200},
                         {RequestText("1", "tools/call"), "-32602", 200},
                         {RequestText("1", "tools/call", ToolParams("no_such", "{}")), "-32602", 200},
                         {RequestText("1", "tools/call", ToolParams("list_agents", "[]")), "-32602", 200}}) {
    const auto answer = Post(one.body);
    EXPECT_EQ(answer.status, one.status) << one.body;
    EXPECT_EQ(answer.Field("error.code"), one.code) << one.body;
    EXPECT_EQ(answer.Header("content-type"), "application/json");
  }
  EXPECT_EQ(Post(R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":[]})").status, 202);
  EXPECT_EQ(daemon_.Call("POST", "/mcp", RequestText("1", "ping"), {{"Content-Type", "text/plain"}}).status,
            415);
  EXPECT_EQ(Post(RequestText("1", "ping"), {{"MCP-Protocol-Version", "1900-01-01"}}).status, 400);
}

TEST_F(Mcp, BatchesAreThoseOfOneRevision) {
  const std::string batch = "[" + RequestText("1", "ping") +
                            R"(,{"jsonrpc":"2.0","method":"notifications/x"},7,)" +
                            RequestText("1", "tools/call", ToolParams("list_agents", "{}")) + "]";
  const auto answer = Post(batch, {{"MCP-Protocol-Version", "2025-03-26"}});
  EXPECT_EQ(answer.status, 200);
  const auto json = JsonDocument::Parse(answer.body);
  ASSERT_TRUE(json.ok());
  ASSERT_EQ(json->root().size(), 3u);
  EXPECT_EQ(json->root().At(0)["result"].Raw(), "{}");
  EXPECT_EQ(json->root().At(1)["error"]["code"].AsInt(), -32600);
  EXPECT_EQ(json->root().At(2)["id"].AsInt(), 1);  // the same id twice: each has its answer
  EXPECT_TRUE(json->root().At(2)["result"]["structuredContent"]);
  EXPECT_EQ(Post("[" + std::string(R"({"jsonrpc":"2.0","method":"notifications/x"})") + "]").status, 202);
  EXPECT_EQ(Post(batch, {{"MCP-Protocol-Version", "2025-06-18"}}).status, 400);
}

TEST_F(Mcp, AToolRunsItsOperation) {
  const auto started = Tool("start_agent", kSleeper);
  EXPECT_EQ(started.Field("result.structuredContent.id"), "a1");
  EXPECT_EQ(started.Field("result.isError"), "false");
  daemon_.WaitFor("a1", "until=ready");
  EXPECT_EQ(Tool("agent_status", R"({"id":"a1"})").Field("result.structuredContent.id"), "a1");
  const auto listed = Tool("list_agents", "{}");
  EXPECT_THAT(listed.Field("result.structuredContent"), HasSubstr(R"("id":"a1")"));
  const auto page = Tool("read_events", R"({"id":"a1","types":"agent.ready"})");
  EXPECT_THAT(page.body, HasSubstr("agent.ready"));
  EXPECT_EQ(Tool("stop_agent", R"({"id":"a1"})").Field("result.structuredContent.id"), "a1");
  EXPECT_EQ(daemon_.WaitFor("a1").status, 200);
}

TEST_F(Mcp, AnErrorOfAnOperationIsForTheModelToRead) {
  const auto none = Tool("agent_status", R"({"id":"nobody"})");
  EXPECT_EQ(none.status, 200);
  EXPECT_EQ(none.Field("result.isError"), "true");
  EXPECT_THAT(none.body, HasSubstr("agent_not_found: there is no agent nobody"));
  EXPECT_THAT(none.body, Not(HasSubstr("structuredContent")));
  EXPECT_THAT(Tool("agent_status", R"({"id":"a","x":1})").body, HasSubstr("unknown field x"));
  EXPECT_THAT(Tool("agent_status", R"({"id":"a","id":"b"})").body, HasSubstr("\"isError\":true"));
  // The operation has this parameter, and the tool does not.
  EXPECT_THAT(Tool("list_agents", R"({"deleted":true})").body, HasSubstr("unknown field deleted"));
  EXPECT_THAT(Tool("wait_for_agent", R"({"id":"a","timeout_ms":-1})").body, HasSubstr("timeout_ms: must be"));
}

TEST_F(Mcp, AKeyMakesACallSafeToRepeat) {
  daemon_.Create(kSleeper);
  const std::string spec = R"({"kind":"process","command":["sleep","600"]})";
  const auto first = Tool("start_agent", spec, {{"Idempotency-Key", "k1"}});
  const auto again = Tool("start_agent", spec, {{"Idempotency-Key", "k1"}});
  EXPECT_EQ(first.Field("result.isError"), "false") << first.body;
  EXPECT_EQ(first.Field("result.structuredContent.id"), again.Field("result.structuredContent.id"));
  const auto other = Tool("start_agent", spec, {{"Idempotency-Key", "k2"}});
  EXPECT_NE(first.Field("result.structuredContent.id"), other.Field("result.structuredContent.id"));
}

TEST_F(Mcp, EachCallOfABatchHasItsOwnKey) {
  daemon_.Create(R"({"id":"a1","kind":"process","command":["cat"]})");
  daemon_.WaitFor("a1", "until=ready");
  const auto send = [](const std::string& id) {
    return RequestText(id, "tools/call", ToolParams("send_message", R"({"id":"a1","text":"same"})"));
  };
  const std::string batch = "[" + send("1") + "," + send("2") + "]";
  const auto ids = [&] {
    const auto answer = Post(batch, {{"MCP-Protocol-Version", "2025-03-26"}, {"Idempotency-Key", "k1"}});
    const auto json = JsonDocument::Parse(answer.body);
    std::vector<std::string> found;
    for (const JsonValue& one : json->root().Elements())
      found.emplace_back(one["result"]["structuredContent"]["message_id"].StringOr(""));
    return found;
  };
  const auto first = ids();
  ASSERT_EQ(first.size(), 2u);
  EXPECT_NE(first[0], "");
  EXPECT_NE(first[1], "");
  EXPECT_NE(first[0], first[1]);
  EXPECT_EQ(ids(), first);
}

TEST_F(Mcp, AWaitTellsItsProgressAndThenItsEnd) {
  daemon_.Create(kSleeper);
  HttpConnection connection(daemon_.address());
  const std::string wait = RequestText(
      "7", "tools/call",
      ToolParams("wait_for_agent", R"({"id":"a1","until":"exited"})", R"(,"_meta":{"progressToken":"p"})"));
  connection.Send("POST", "/mcp", wait,
                  JsonHeaders({{"Authorization", "Bearer " + daemon_.token()},
                               {"Accept", "application/json, text/event-stream"}}));
  EXPECT_EQ(Tool("stop_agent", R"({"id":"a1"})").status, 200);
  const auto answer = connection.Receive();
  EXPECT_EQ(answer.Header("content-type"), "text/event-stream");
  const auto messages = EventsIn(answer.body);
  ASSERT_GE(messages.size(), 2u);
  EXPECT_EQ(JsonField(messages.front(), "method"), "notifications/progress");
  EXPECT_EQ(JsonField(messages.front(), "params.progressToken"), "p");
  EXPECT_EQ(JsonField(messages.back(), "id"), "7");
  EXPECT_EQ(JsonField(messages.back(), "result.structuredContent.state"), "exited");
  // The connection goes on after the stream.
  EXPECT_EQ(connection.Call("GET", "/health").status, 200);
}

// All streams get progress at the same ticks, also one that began a moment before.
TEST_F(Mcp, ProgressIncreasesWithEachNotification) {
  daemon_.Create(kSleeper);
  const Headers headers = JsonHeaders(
      {{"Authorization", "Bearer " + daemon_.token()}, {"Accept", "application/json, text/event-stream"}});
  const auto wait = [&](const std::string& more) {
    auto connection = std::make_unique<HttpConnection>(daemon_.address());
    connection->Send("POST", "/mcp",
                     RequestText("1", "tools/call",
                                 ToolParams("wait_for_agent", R"({"id":"a1","until":"exited")" + more + "}",
                                            R"(,"_meta":{"progressToken":"p"})")),
                     headers);
    return connection;
  };
  const auto over_a_tick = wait(R"(,"timeout_ms":6000)");
  std::vector<std::unique_ptr<HttpConnection>> others;
  ASSERT_TRUE(Eventually([&] {
    others.push_back(wait(""));
    return over_a_tick->Receive(100).status != 0;
  }));
  EXPECT_EQ(Tool("stop_agent", R"({"id":"a1"})").status, 200);
  for (const auto& one : others) {
    int last = -1;
    for (const std::string& message : EventsIn(one->Receive().body)) {
      if (JsonField(message, "method").empty()) continue;
      const int progress = std::stoi(JsonField(message, "params.progress"));
      EXPECT_GT(progress, last);
      last = progress;
    }
    EXPECT_GE(last, 0);
  }
}

TEST_F(Mcp, AWaitWhoseTimeIsOverSaysSo) {
  daemon_.Create(kSleeper);
  const auto answer = Tool("wait_for_agent", R"({"id":"a1","until":"exited","timeout_ms":10})");
  EXPECT_EQ(answer.Field("result.isError"), "false");
  EXPECT_EQ(answer.Field("result.structuredContent"), "{}");
  EXPECT_THAT(answer.body, HasSubstr("Call the tool again"));
}

TEST_F(Mcp, ACancelledCallEndsWithoutAnAnswer) {
  daemon_.Create(kSleeper);
  const Headers session = {{"Mcp-Session-Id", "s1"}};
  const std::string wait =
      RequestText("\"w\"", "tools/call", ToolParams("wait_for_agent", R"({"id":"a1","until":"exited"})"));
  const std::string cancel =
      R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"w"}})";
  HttpConnection connection(daemon_.address());
  Headers headers = JsonHeaders({{"Authorization", "Bearer " + daemon_.token()},
                                 {"Accept", "text/event-stream"},
                                 {"Mcp-Session-Id", "s1"}});
  connection.Send("POST", "/mcp", wait, headers);
  ASSERT_TRUE(Eventually([&] { return Waits() == 1; }));
  EXPECT_EQ(Post(cancel, {{"Mcp-Session-Id", "s2"}}).status, 202);
  EXPECT_EQ(Waits(), 1);  // that of another session has no effect
  EXPECT_EQ(Post(cancel, session).status, 202);
  const auto answer = connection.Receive();
  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(EventsIn(answer.body), testing::IsEmpty());
  EXPECT_EQ(Waits(), 0);
}

TEST_F(Mcp, ATaskSurvivesTheDaemon) {
  daemon_.Create(kSleeper);
  const std::string call =
      R"("name":"wait_for_agent","arguments":{"id":"a1","until":"exited","timeout_ms":3600000})";
  const auto made = Stateless("tools/call", call, "wait_for_agent", true);
  EXPECT_EQ(made.Field("result.resultType"), "task");
  EXPECT_EQ(made.Field("result.status"), "working");
  const std::string id = made.Field("result.taskId");
  const auto get = [&] { return Stateless("tasks/get", R"("taskId":")" + id + "\"", id, true); };
  EXPECT_EQ(get().Field("result.status"), "working");
  ASSERT_TRUE(daemon_.Crash());
  EXPECT_EQ(get().Field("result.status"), "working");
  EXPECT_EQ(Tool("stop_agent", R"({"id":"a1"})").status, 200);
  daemon_.WaitFor("a1");
  const auto done = get();
  EXPECT_EQ(done.Field("result.status"), "completed");
  EXPECT_EQ(done.Field("result.result.structuredContent.state"), "exited");
}

TEST_F(Mcp, ATaskKeepsToTheRunThatItBeganWith) {
  daemon_.Create(kSleeper);
  daemon_.WaitFor("a1", "until=ready");
  const auto made =
      Stateless("tools/call", R"("name":"wait_for_agent","arguments":{"id":"a1"})", "wait_for_agent", true);
  const std::string id = made.Field("result.taskId");
  const auto get = [&] { return Stateless("tasks/get", R"("taskId":")" + id + "\"", id, true); };
  EXPECT_EQ(get().Field("result.status"), "working");
  EXPECT_EQ(Tool("stop_agent", R"({"id":"a1"})").status, 200);
  const std::string run = daemon_.WaitFor("a1", "until=terminal").Field("run_id");
  daemon_.WaitFor("a1");
  EXPECT_EQ(daemon_.Post("/agents/a1/start").status, 202);
  daemon_.WaitFor("a1", "until=ready");
  ASSERT_TRUE(Eventually([&] { return daemon_.Events("a1", "types=run.started").size() == 2; }));
  const auto done = get();
  EXPECT_EQ(done.Field("result.status"), "completed");
  EXPECT_NE(run, "");
  EXPECT_EQ(done.Field("result.result.structuredContent.run_id"), run);
}

TEST_F(Mcp, ATaskGoesOnWhileTheDaemonHasNoRoomForWaits) {
  const auto made = Stateless("tools/call", R"("name":"wait_for_any_agent","arguments":{"label":"a:b"})",
                              "wait_for_any_agent", true);
  const std::string id = made.Field("result.taskId");
  std::vector<std::unique_ptr<HttpConnection>> waits;
  ASSERT_TRUE(Eventually([&] {
    waits.push_back(std::make_unique<HttpConnection>(daemon_.address()));
    waits.back()->Send("GET", "/wait?label=a:b", "", {{"Authorization", "Bearer " + daemon_.token()}});
    return daemon_.Get("/wait?label=a:b&timeout_ms=0").status == 429;
  }));
  EXPECT_EQ(Stateless("tasks/get", R"("taskId":")" + id + "\"", id, true).Field("result.status"), "working");
}

TEST_F(Mcp, OnlyAClientThatRepeatsGetsARefusalOfTheShutdownAsAProblem) {
  daemon_.Create(
      R"({"id":"a1","kind":"process","command":["sh","-c","trap '' TERM; echo up; while :; do sleep 0.1; done"]})");
  ASSERT_TRUE(Eventually([&] { return !daemon_.Events("a1", "types=agent.output").empty(); }));
  daemon_.Signal(SIGTERM);
  ASSERT_TRUE(Eventually([&] { return daemon_.Get("/health").Field("status") == "draining"; }));
  const std::string spec = R"({"kind":"process","command":["true"]})";
  const auto repeats = Tool("start_agent", spec, {{"Idempotency-Key", "k1"}});
  EXPECT_EQ(repeats.status, 503);
  EXPECT_EQ(repeats.Field("code"), "draining");
  EXPECT_NE(repeats.Header("retry-after"), "");
  const auto shows = Tool("start_agent", spec);
  EXPECT_EQ(shows.status, 200);
  EXPECT_EQ(shows.Field("result.isError"), "true");
  EXPECT_THAT(shows.body, HasSubstr("draining: "));
  daemon_.Signal(SIGTERM);  // a second one: at once
  daemon_.Wait();
}

TEST_F(Mcp, ATaskCanBeCancelledAndNeedsAClientThatKnowsTasks) {
  daemon_.Create(kSleeper);
  const auto made =
      Stateless("tools/call", R"("name":"wait_for_agent","arguments":{"id":"a1","until":"exited"})",
                "wait_for_agent", true);
  const std::string id = made.Field("result.taskId");
  const std::string member = R"("taskId":")" + id + "\"";
  const auto unknown = Stateless("tasks/get", member, id, false);
  EXPECT_EQ(unknown.status, 400);
  EXPECT_EQ(unknown.Field("error.code"), "-32021");
  EXPECT_EQ(Stateless("tasks/get", R"("taskId":"x")", "x", true).Field("error.code"), "-32602");
  EXPECT_EQ(Stateless("tasks/update", member, id, true).Field("result.resultType"), "complete");
  EXPECT_EQ(Stateless("tasks/cancel", member, id, true).Field("result.resultType"), "complete");
  EXPECT_EQ(Stateless("tasks/get", member, id, true).Field("result.status"), "cancelled");
}

TEST_F(Mcp, AHundredCallsAtOnceAreAllAnswered) {
  daemon_.Create(kSleeper);
  std::vector<std::unique_ptr<HttpConnection>> connections;
  for (int i = 0; i < 100; ++i) {
    connections.push_back(std::make_unique<HttpConnection>(daemon_.address()));
    connections.back()->Send(
        "POST", "/mcp",
        RequestText(std::to_string(i), "tools/call",
                    ToolParams(i % 2 == 0 ? "agent_status" : "wait_for_agent",
                               i % 2 == 0 ? R"({"id":"a1"})" : R"({"id":"a1","until":"ready"})")),
        JsonHeaders({{"Authorization", "Bearer " + daemon_.token()}}));
  }
  for (int i = 0; i < 100; ++i) {
    const auto answer = connections[static_cast<size_t>(i)]->Receive();
    EXPECT_EQ(answer.Field("id"), std::to_string(i));
    EXPECT_EQ(answer.Field("result.structuredContent.id"), "a1");
  }
}

TEST(McpTokens, AWaitEndsWithItsToken) {
  const TempDir folder;
  const std::string file = folder.path() + "/tokens";
  const std::string stays = "first-token-0123456789";
  const std::string goes = "other-token-0123456789";
  WriteFile(file, stays + "\n" + goes + "\n");
  Daemon::Options options;
  options.arguments = {"--token-file", file};
  Daemon daemon(options);
  const auto as = [](const std::string& token) {
    return Headers{{"Authorization", "Bearer " + token}, {"Content-Type", "application/json"}};
  };
  HttpConnection waits(daemon.address());
  waits.Send("POST", "/mcp",
             RequestText("1", "tools/call", ToolParams("wait_for_any_agent", R"({"label":"a:b"})")),
             as(goes));
  const auto call = [&](const std::string& method, const std::string& path) {
    return HttpConnection(daemon.address()).Call(method, path, "", as(stays));
  };
  ASSERT_TRUE(
      Eventually([&] { return call("GET", "/metrics").body.find("reeve_waits 1\n") != std::string::npos; }));
  WriteFile(file, stays + "\n");
  ASSERT_EQ(call("POST", "/reload").status, 200);
  const auto answer = waits.Receive();
  EXPECT_EQ(answer.status, 401);
  EXPECT_EQ(answer.Field("code"), "unauthorized");
}

TEST_F(Mcp, ScopesAndOriginsHoldAsEverywhere) {
  const std::string list = RequestText("1", "tools/list");
  EXPECT_EQ(HttpConnection(daemon_.address()).Call("POST", "/mcp", list, JsonHeaders()).status, 401);
  EXPECT_EQ(PostAs("wrong", list).status, 401);
  EXPECT_EQ(Post(list, {{"Origin", "https://evil.example"}}).status, 403);
}

// The agent's own token, by the file that its environment names.
TEST_F(Mcp, AnAgentHasTheToolsOfItsScopeAndDecidesNothingOfItsOwn) {
  for (const auto& [scope, starts] : {std::pair{"view", false}, {"operate", false}, {"admin", true}}) {
    const std::string id = std::string("of-") + scope;
    daemon_.Create(R"({"id":")" + id + R"(","kind":"process","api":")" + scope +
                   R"(","command":["sh","-c","cat $REEVE_TOKEN_FILE; exec sleep 600"]})");
    std::string token;
    ASSERT_TRUE(Eventually([&] {
      for (const std::string& event : daemon_.Events(id, "types=agent.output"))
        token = JsonField(event, "data.text");
      return !token.empty();
    }));
    const std::string listed = PostAs(token, RequestText("1", "tools/list")).body;
    EXPECT_EQ(listed.find("start_agent\",") != std::string::npos, starts) << scope;
    const auto started =
        PostAs(token, RequestText("1", "tools/call",
                                  ToolParams("start_agent", R"({"kind":"process","command":["true"]})")));
    EXPECT_EQ(started.Field("result.isError"), starts ? "false" : "true") << scope;
    const auto decided = PostAs(
        token, RequestText("1", "tools/call",
                           ToolParams("decide_approval",
                                      R"({"id":")" + id + R"(","approval":"0","decision":"allow_once"})")));
    EXPECT_THAT(decided.body, HasSubstr("forbidden: ")) << scope;
    const Headers bearer = {{"Authorization", "Bearer " + token}};
    const auto changed =
        HttpConnection(daemon_.address())
            .Call("PATCH", "/agents/" + id, R"({"permissions":{"default":"allow"}})", bearer);
    EXPECT_EQ(changed.status, 403) << scope;
    EXPECT_EQ(changed.body.find("of itself") != std::string::npos, std::string(scope) != "view") << scope;
  }
}

}  // namespace
}  // namespace reeve
