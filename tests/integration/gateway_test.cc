// GET /ws: calls, subscriptions, tickets, and the ends of connections.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/gateway_client.h"
#include "tests/support/paths.h"
#include "tests/support/sanitized.h"
#include "tests/support/scripted_agent.h"
#include "tests/support/shell_agent.h"

namespace reeve {
namespace {

using Strings = std::vector<std::string>;

int FromEnvironment(const char* name, int otherwise) {
  const char* value = std::getenv(name);
  return value ? std::atoi(value) : otherwise;
}

GatewayClient::Options With(const std::string& header, const std::string& value) {
  return {.headers = {{header, value}}};
}

std::string TicketFor(const Daemon& daemon, const std::string& body) {
  return daemon.Post("/stream-ticket", body).Field("ticket");
}

// The number of open live connections.
int Viewers(const Daemon& daemon) { return std::atoi(daemon.Get("/health").Field("viewers").c_str()); }

// The envelope without the number of the subscription.
std::string Envelope(const std::string& event) {
  const size_t comma = event.find(',');
  return "{" + event.substr(comma + 1);
}

// The events of an agent's log, as this client got them.
Strings Envelopes(const GatewayClient& client, std::string_view agent) {
  Strings envelopes;
  for (const std::string& event : client.events()) {
    if (JsonField(event, "agent") == agent && !JsonField(event, "seq").empty())
      envelopes.push_back(Envelope(event));
  }
  return envelopes;
}

// --------------------------------------------------------------------------------------------------- calls

TEST(Gateway, GreetsAndAnswersCalls) {
  Daemon daemon;
  GatewayClient client(daemon);
  ASSERT_EQ(client.Status(), 101);
  ASSERT_TRUE(client.UntilEvent("gateway.ready"));
  const std::string ready = client.events().front();
  EXPECT_EQ(JsonField(ready, "data.version"), daemon.Get("/health").Field("version"));
  EXPECT_EQ(JsonField(ready, "data.town"), daemon.Get("/health").Field("town"));
  EXPECT_EQ(JsonField(ready, "data.heartbeat_ms"), "15000");
  EXPECT_NE(client.resume(), "");
  EXPECT_NE(JsonField(client.Call("gateway.ping"), "result.time"), "");
  const std::string made =
      client.Call("agents.create", R"({"id":"a1","kind":"process","command":["sh","-c","echo hi"]})");
  EXPECT_EQ(JsonField(made, "result.id"), "a1");
  EXPECT_EQ(JsonField(client.Call("agents.wait", R"({"id":"a1","until":"exited"})"), "result.id"), "a1");
  EXPECT_EQ(JsonField(client.Call("agents.delete", R"({"id":"a1"})"), "result"), "null");
}

TEST(Gateway, GoesOnAfterAMessageThatIsNoCall) {
  Daemon daemon;
  GatewayClient client(daemon);
  const std::vector<std::pair<std::string, std::string>> bad = {
      {"{", "-32700"},
      {"", "-32700"},
      {"[]", "-32600"},
      {R"([{"jsonrpc":"2.0","id":1,"method":"gateway.ping"}])", "-32600"},
      {R"({"id":1,"method":"gateway.ping"})", "-32600"},
      {R"({"jsonrpc":"2.0","id":1,"method":7})", "-32600"},
      {R"({"jsonrpc":"2.0","id":1,"method":"nothing"})", "-32601"},
      {R"({"jsonrpc":"2.0","id":1,"method":"events.subscribe","params":{"agent":7}})", "-32602"},
      {R"({"jsonrpc":"2.0","id":1,"method":"events.subscribe","params":{"agent":"*","x":1}})", "-32602"},
      {R"({"jsonrpc":"2.0","id":1,"method":"events.subscribe","params":{"agent":"*","after":"x"}})",
       "-32602"},
      {R"({"jsonrpc":"2.0","id":1,"method":"events.subscribe","params":{"agent":"nobody"}})", "4001"},
      {R"({"jsonrpc":"2.0","id":1,"method":"agents.get","params":{"id":"nobody"}})", "4001"},
      {R"({"jsonrpc":"2.0","id":1,"method":"events.unsubscribe","params":{"subscription":9}})", "4004"},
  };
  for (const auto& [message, code] : bad) {
    const size_t before = client.answers().size();
    client.Text(message);
    ASSERT_TRUE(client.Until([&] { return client.answers().size() > before; })) << message;
    EXPECT_EQ(JsonField(client.answers().back(), "error.code"), code) << client.answers().back();
  }
  EXPECT_NE(client.Call("gateway.ping"), "");
}

// A client that reads no answers cannot make the daemon keep many of them.
TEST(Gateway, AnswersThatNobodyReadsHoldLittle) {
  Daemon daemon;
  daemon.Create(Shell("a1", "seq 1 100000"));
  daemon.WaitFor("a1");
  const size_t before = daemon.ResidentBytes();
  GatewayClient client(daemon.address(),
                       {.headers = {{"Authorization", "Bearer " + daemon.token()}}, .receive_buffer = 4096});
  std::vector<uint64_t> calls;
  for (int i = 0; i < 400; ++i) calls.push_back(client.Begin("events.since", R"({"id":"a1","limit":1000})"));
  ASSERT_TRUE(Eventually(
      [&] { return daemon.Get("/metrics").body.find("\nreeve_viewers_blocked 1\n") != std::string::npos; }));
  EXPECT_EQ(daemon.Get("/health").status, 200);
  if (!kSanitized) {
    EXPECT_LT(daemon.ResidentBytes(), before + (size_t{64} << 20));
  }
  // Either it gets all answers when it reads on, or the connection ended because of those under way.
  client.UntilEnd();
}

// A heartbeat would set it going again.
TEST(Gateway, ReadsOnAfterALongAnswer) {
  Daemon::Options options;
  options.arguments = {"--heartbeat", "1h"};
  Daemon daemon(options);
  GatewayClient client(daemon);
  for (int i = 0; i < 10; ++i) {
    EXPECT_NE(client.Call("town.openapi"), "");
    EXPECT_NE(client.Call("gateway.ping"), "");
  }
}

TEST(Gateway, AFilterThatMatchesNothingDelaysNobody) {
  Daemon daemon;
  daemon.Create(Shell("a1", "seq 1 300000"));
  daemon.WaitFor("a1");
  GatewayClient client(daemon);
  client.Subscribe(R"({"agent":"a1","after":"0","types":"approval.requested"})");
  EXPECT_NE(client.Call("gateway.ping"), "");
  EXPECT_TRUE(client.All("stream.synced").empty());  // other work goes on meanwhile
  ASSERT_TRUE(client.UntilEvent("stream.synced"));
  const std::string all = client.Call("events.subscribe", R"({"agent":"a1","types":[]})");
  EXPECT_EQ(JsonField(all, "error.code"), "-32602") << all;
}

TEST(Gateway, WhatAPeerSaysAtItsEndMakesNoLineOfItsOwn) {
  Daemon daemon;
  GatewayClient client(daemon);
  ASSERT_NE(client.Call("gateway.ping"), "");
  client.Close(1000, "x\" messages=9\n2026 error \x1b[31m");
  ASSERT_TRUE(client.UntilEnd());
  ASSERT_TRUE(Eventually([&] { return daemon.log().find("gateway connection of") != std::string::npos; }));
  EXPECT_NE(daemon.log().find(R"(reason="x\" messages=9\n2026 error \u001b[31m")"), std::string::npos)
      << daemon.log();
}

TEST(Gateway, TheEndOfADeletedAgentCanStillBeRead) {
  Daemon daemon;
  daemon.Create(Shell("a1", "echo x"));
  daemon.WaitFor("a1");
  ASSERT_EQ(daemon.Call("DELETE", "/agents/a1").status, 204);
  GatewayClient client(daemon);
  client.Subscribe(R"({"agent":"*","after":{"a1":"0"}})");
  ASSERT_TRUE(client.UntilEvent("stream.synced"));
  EXPECT_EQ(Envelopes(client, "a1"), daemon.Events("a1"));
  EXPECT_EQ(JsonField(client.Call("events.subscribe", R"({"agent":"*","after":"3-5"})"), "error.code"),
            "-32602");
}

TEST(Gateway, AnUpgradeClosesWithACode) {
  Daemon daemon;
  GatewayClient client(daemon);
  ASSERT_NE(client.Call("gateway.ping"), "");
  ASSERT_TRUE(daemon.HandOver());
  ASSERT_TRUE(client.UntilEnd());
  EXPECT_EQ(client.close_code(), 1012);
  GatewayClient next(daemon.address(), {.target = "/ws?ticket=" + client.resume()});
  EXPECT_EQ(next.Status(), 101);
}

// A call that was run is answered before the close, so what has an answer is what took effect.
TEST(Gateway, AnUpgradeAnswersTheCallsThatItRan) {
  Daemon daemon;
  daemon.Create(Shell("a1", "cat"));
  daemon.WaitFor("a1", "until=ready");
  GatewayClient client(daemon);
  ASSERT_NE(client.Call("gateway.ping"), "");
  std::thread caller([&client] {
    constexpr size_t kUnderWay = 50;
    for (size_t begun = 1; !client.ended(); ++begun) {
      client.Begin("agents.message", R"({"id":"a1","text":"x"})");
      client.Until([&] { return client.answers().size() + kUnderWay > begun; });
    }
  });
  EXPECT_TRUE(daemon.HandOver());
  caller.join();
  EXPECT_EQ(client.close_code(), 1012);
  const auto answered =
      std::count_if(client.answers().begin(), client.answers().end(),
                    [](const auto& answer) { return answer.find(R"("message_id")") != std::string::npos; });
  EXPECT_GT(answered, 0);
  ASSERT_EQ(daemon.Post("/agents/a1/message", R"({"text":"end"})").status, 202);
  ASSERT_TRUE(Eventually([&] {
    const auto texts = Fields(daemon, "a1", "user.message", "data.text");
    return !texts.empty() && texts.back() == "end";
  }));
  EXPECT_EQ(static_cast<std::ptrdiff_t>(Fields(daemon, "a1", "user.message", "data.text").size()),
            answered + 1);
}

TEST(Gateway, ASlowCallHoldsUpNoOther) {
  Daemon daemon;
  daemon.Create(Shell("a1", "cat"));
  GatewayClient client(daemon);
  const uint64_t slow = client.Begin("agents.wait", R"({"id":"a1","until":"exited"})");
  EXPECT_NE(client.Call("gateway.ping"), "");
  EXPECT_NE(client.Call("agents.stop", R"({"id":"a1"})"), "");
  EXPECT_EQ(JsonField(client.Answer(slow), "result.state"), "exited");
}

TEST(Gateway, EndsTheCallsOfAClientThatGoes) {
  Daemon daemon;
  daemon.Create(Shell("a1", "cat"));
  const auto waits = [&daemon] {
    const std::string text = daemon.Get("/metrics").body;
    return std::atoi(text.c_str() + text.find("\nreeve_waits ") + 13);
  };
  auto client = std::make_unique<GatewayClient>(daemon);
  client->Begin("agents.wait", R"({"id":"a1","until":"exited"})");
  ASSERT_NE(client->Call("gateway.ping"), "");
  ASSERT_EQ(waits(), 1);
  client->Cut();
  EXPECT_TRUE(Eventually([&] { return waits() == 0 && Viewers(daemon) == 0; }));
}

// ------------------------------------------------------------------------------------------- subscriptions

TEST(Gateway, SendsHistoryThenLiveEventsAsTheyAreInTheLog) {
  Daemon daemon;
  daemon.Create(Shell("a1", "echo one; cat"));
  ASSERT_TRUE(Says(daemon, "a1", "one"));
  GatewayClient client(daemon);
  EXPECT_EQ(client.Subscribe(R"({"agent":"a1","after":"0"})"), "1");
  ASSERT_TRUE(client.UntilEvent("stream.synced"));
  const std::string synced = client.All("stream.synced").front();
  EXPECT_EQ(JsonField(synced, "subscription"), "1");
  EXPECT_EQ(JsonField(synced, "agent"), "a1");
  EXPECT_EQ(JsonField(synced, "data.cursor"), daemon.Get("/agents/a1").Field("cursor"));
  EXPECT_EQ(client.events().back(), synced);
  EXPECT_EQ(client.Subscribe(R"({"agent":"a1"})"), "2");
  client.Call("agents.stdin", R"({"id":"a1","bytes":"two\n","close":true})");
  ASSERT_TRUE(client.Until([&] { return client.All("agent.exited").size() == 2; }));
  Strings first;
  size_t second = 0;
  for (const std::string& event : client.events()) {
    if (JsonField(event, "seq").empty()) continue;
    if (JsonField(event, "subscription") == "1") first.push_back(Envelope(event));
    if (JsonField(event, "subscription") == "2") ++second;
  }
  EXPECT_EQ(first, daemon.Events("a1"));
  EXPECT_LT(second, first.size());  // live events alone
}

TEST(Gateway, ASubscriptionToAllIncludesAgentsToCome) {
  Daemon daemon;
  daemon.Create(Shell("a1", "echo 1; cat"));
  ASSERT_TRUE(Says(daemon, "a1", "1"));
  GatewayClient client(daemon);
  EXPECT_EQ(client.Subscribe(R"({"agent":"*","after":{"a1":"0"}})"), "1");
  daemon.Create(Shell("a2", "echo 2"));
  ASSERT_TRUE(client.UntilEvent("agent.exited"));
  EXPECT_EQ(Envelopes(client, "a2"), daemon.Events("a2"));
  EXPECT_EQ(Envelopes(client, "a1"), daemon.Events("a1"));
  EXPECT_EQ(
      JsonField(client.Call("events.subscribe", R"({"agent":"*","after":{"nobody":"0"}})"), "error.code"),
      "4001");
}

TEST(Gateway, AFilterLetsItsTypesThrough) {
  Daemon daemon;
  daemon.Create(Shell("a1", "seq 1000"));
  daemon.WaitFor("a1");
  GatewayClient client(daemon);
  client.Subscribe(R"({"agent":"a1","after":"0","types":["run.*","agent.exited"]})");
  ASSERT_TRUE(client.UntilEvent("stream.synced"));
  EXPECT_EQ(Envelopes(client, "a1"), daemon.Events("a1", "after=0&types=run.*,agent.exited"));
}

TEST(Gateway, JoinsDeltasForAViewerThatIsBehind) {
  Daemon daemon;
  const std::string deltas =
      R"(for i in 1 2 3 4 5; do echo '{"type":"assistant.delta","message_id":"m1","text":"a'$i'"}'; done;)"
      R"(echo '{"type":"assistant.delta","message_id":"m2","text":"b"}'; echo '{"type":"assistant.message","message_id":"m1","text":"x"}')";
  daemon.Create(JsonObject()
                    .Set("id", "a1")
                    .Set("kind", "jsonl")
                    .SetRaw("command", JsonArray().Add("sh").Add("-c").Add(deltas).Take())
                    .Take());
  daemon.WaitFor("a1");
  GatewayClient client(daemon);
  client.Subscribe(R"({"agent":"a1","after":"0","types":"assistant.*","coalesce":true})");
  ASSERT_TRUE(client.UntilEvent("stream.synced"));
  const auto joined = client.All("assistant.delta");
  ASSERT_EQ(joined.size(), 2U);
  EXPECT_EQ(JsonField(joined[0], "data.text"), "a1a2a3a4a5");
  EXPECT_EQ(JsonField(joined[0], "joined"), "5");
  EXPECT_EQ(JsonField(joined[1], "joined"), "");
  const Strings log = daemon.Events("a1", "after=0&types=assistant.delta");
  EXPECT_EQ(JsonField(joined[0], "seq"), JsonField(log[4], "seq"));
  EXPECT_EQ(JsonField(joined[0], "run"), JsonField(log[4], "run"));
  EXPECT_EQ(Envelope(joined[1]), log[5]);
  EXPECT_EQ(client.All("assistant.message").size(), 1U);
}

TEST(Gateway, TellsTheOpenQuestionsAgain) {
  Daemon daemon;
  CreateScripted(
      daemon, "a1", "claude",
      {"> initialize",
       R"(< {"type":"control_response","response":{"subtype":"success","request_id":"initialize-1","response":{}}})",
       "> prompt", R"(< {"type":"system","subtype":"init","session_id":"s-1"})",
       R"(< {"type":"control_request","request_id":"p1","request":{"subtype":"can_use_tool","tool_name":"Bash",)"
       R"("tool_use_id":"call-p1","input":{"command":"mkdir x"}}})",
       "> answer",
       R"(< {"type":"result","subtype":"success","is_error":false,"terminal_reason":"completed","session_id":"s-1"})"},
      R"(,"prompt":"go")");
  ASSERT_TRUE(Eventually([&] { return daemon.Get("/agents/a1").Field("state") == "needs_input"; }));
  GatewayClient client(daemon);
  client.Subscribe(R"({"agent":"*"})");
  ASSERT_TRUE(client.UntilEvent("approval.requested"));
  const std::string told = client.All("approval.requested").front();
  EXPECT_EQ(JsonField(told, "pending"), "true");
  EXPECT_EQ(JsonField(told, "seq"), "");
  EXPECT_EQ(JsonField(told, "agent"), "a1");
  EXPECT_EQ(JsonField(told, "data.id"), "p1");
  EXPECT_EQ(JsonField(told, "data.tool"), "bash");
  const std::string answer =
      client.Call("approvals.decide", R"({"id":"a1","approval":"p1","decision":"allow_once"})");
  EXPECT_EQ(JsonField(answer, "result.decision"), "allow_once");
  ASSERT_TRUE(client.UntilEvent("approval.resolved"));
  EXPECT_EQ(client.All("approval.requested").size(), 1U);
}

TEST(Gateway, NothingOfASubscriptionFollowsItsEnd) {
  Daemon daemon;
  daemon.Create(Shell("a1", "while :; do echo x; done"));
  GatewayClient client(daemon);
  client.Subscribe(R"({"agent":"a1"})");
  ASSERT_TRUE(client.Until([&] { return client.count() > 100; }));
  EXPECT_EQ(JsonField(client.Call("events.unsubscribe", R"({"subscription":1})"), "result"), "null");
  const uint64_t count = client.count();
  EXPECT_NE(client.Call("gateway.ping"), "");
  EXPECT_EQ(client.count(), count);
  EXPECT_EQ(client.Subscribe(R"({"agent":"a1"})"), "2");
  EXPECT_TRUE(client.Until([&] { return client.count() > count; }));
}

TEST(Gateway, AnswersOvertakeEvents) {
  Daemon daemon;
  daemon.Create(Shell("a1", "seq 1 400000"));
  daemon.WaitFor("a1");
  GatewayClient client(daemon.address(),
                       {.headers = {{"Authorization", "Bearer " + daemon.token()}}, .receive_buffer = 4096});
  client.Subscribe(R"({"agent":"a1","after":"0"})");
  // It reads nothing until the daemon's sockets are full.
  ASSERT_TRUE(Eventually(
      [&] { return daemon.Get("/metrics").body.find("\nreeve_viewers_blocked 1\n") != std::string::npos; }));
  EXPECT_NE(client.Call("gateway.ping"), "");
  EXPECT_LT(client.count(), 100'000U);
  ASSERT_TRUE(client.UntilEvent("stream.synced"));
  EXPECT_EQ(Envelopes(client, "a1"), daemon.Events("a1"));
}

TEST(Gateway, ALogOnASlowDiskHoldsUpNoOther) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer's runtime must come before anything that is preloaded";
  TempDir folder;
  const std::string armed = folder.path() + "/armed";
  Daemon::Options options;
  options.environment = {std::string("LD_PRELOAD=") + kFaults, "REEVE_FAULT=cold",
                         "REEVE_FAULT_ARMED=" + armed};
  Daemon daemon(options);
  daemon.Create(Shell("a1", "seq 1 30000"));  // more than the daemon keeps in memory
  daemon.Create(Shell("a2", "seq 1 100"));
  daemon.WaitFor("a1");
  daemon.WaitFor("a2");
  GatewayClient client(daemon);
  ASSERT_TRUE(client.UntilEvent("gateway.ready"));
  WriteFile(armed, "");
  client.Subscribe(R"({"agent":"a1","after":"0"})");
  client.Subscribe(R"({"agent":"a2","after":"0"})");
  client.Subscribe(R"({"agent":"a1","after":"0","types":"run.*"})");
  EXPECT_TRUE(client.UntilEvent("stream.synced", "a2"));
  EXPECT_EQ(client.Subscribe(R"({"agent":"a1"})"), "4");
  EXPECT_TRUE(client.UntilEvent("stream.synced", "a1"));
  EXPECT_TRUE(Envelopes(client, "a1").empty());
  EXPECT_EQ(Envelopes(client, "a2"), daemon.Events("a2"));
  unlink(armed.c_str());
  const auto synced = [&client](std::string_view subscription) {
    const std::string head =
        R"({"subscription":)" + std::string(subscription) + R"(,"agent":"a1","type":"stream.synced")";
    return std::any_of(client.events().begin(), client.events().end(),
                       [&head](const std::string& event) { return event.starts_with(head); });
  };
  EXPECT_TRUE(client.Until([&] { return synced("1") && synced("3"); }));
  const auto of_first = [](const std::string& event) {
    return event.starts_with(R"({"subscription":1,)") && event.find(R"("seq":)") != std::string::npos;
  };
  EXPECT_EQ(std::count_if(client.events().begin(), client.events().end(), of_first),
            static_cast<std::ptrdiff_t>(daemon.Events("a1").size()));
}

TEST(Gateway, ASlowViewerIsToldWhatItMissed) {
  Daemon::Options options;
  options.arguments = {"--segment-bytes", "64KiB", "--retain-bytes", "256KiB"};
  Daemon daemon(options);
  daemon.Create(Shell("a1", "read x; seq 1 200000; cat"));
  GatewayClient client(daemon.address(),
                       {.headers = {{"Authorization", "Bearer " + daemon.token()}}, .receive_buffer = 4096});
  client.Subscribe(R"({"agent":"a1","after":"0"})");
  ASSERT_TRUE(client.UntilEvent("stream.synced"));
  daemon.Post("/agents/a1/stdin", "go\n");
  ASSERT_TRUE(Says(daemon, "a1", "200000"));
  daemon.Post("/agents/a1/stop");
  ASSERT_TRUE(client.UntilEvent("agent.exited"));
  uint64_t seq = 0;
  size_t gaps = 0;
  const auto number = [](const std::string& cursor) {
    return std::stoull(cursor.substr(cursor.find('-') + 1));
  };
  for (const std::string& event : client.events()) {
    if (JsonField(event, "type") == "stream.gap") {
      EXPECT_EQ(JsonField(event, "data.reason"), "expired");
      EXPECT_EQ(number(JsonField(event, "data.from")), seq);
      seq = number(JsonField(event, "data.to"));
      ++gaps;
    } else if (!JsonField(event, "seq").empty()) {
      ASSERT_EQ(std::stoull(JsonField(event, "seq")), ++seq);
    }
  }
  EXPECT_GE(gaps, 1U);
  EXPECT_EQ(seq, number(daemon.Get("/agents/a1").Field("cursor")));
}

TEST(Gateway, SaysGoodbyeToAPurgedAgent) {
  Daemon daemon;
  daemon.Create(Shell("a1", "cat"));
  daemon.Create(Shell("a2", "cat"));
  GatewayClient client(daemon);
  client.Subscribe(R"({"agent":"a1"})");
  client.Subscribe(R"({"agent":"*"})");
  client.Call("agents.delete", R"({"id":"a1","purge":true})");
  ASSERT_TRUE(client.Until([&] { return client.All("stream.bye").size() == 2; }));
  for (const std::string& bye : client.All("stream.bye")) {
    EXPECT_EQ(JsonField(bye, "agent"), "a1");
    EXPECT_EQ(JsonField(bye, "data.reason"), "agent_deleted");
  }
  EXPECT_EQ(JsonField(client.Call("events.unsubscribe", R"({"subscription":1})"), "error.code"), "4004");
  EXPECT_EQ(JsonField(client.Call("events.unsubscribe", R"({"subscription":2})"), "result"), "null");
}

// One agent floods. The others' events and the answers to calls still come.
TEST(Gateway, AFloodStarvesNobody) {
  Daemon daemon;
  daemon.Create(Shell("flood", "while :; do seq 1 1000; done"));
  constexpr int kOthers = 199;
  GatewayClient client(daemon);
  client.Subscribe(R"({"agent":"flood"})");
  for (int i = 0; i < kOthers; ++i) {
    const std::string id = "q" + std::to_string(i);
    daemon.Create(Shell(id, "cat"));
    client.Subscribe(R"({"agent":")" + id + R"(","types":"agent.output"})");
  }
  ASSERT_TRUE(client.Until([&] { return client.count() > 10'000; }));
  for (int i = 0; i < kOthers; i += 20) {
    const std::string id = "q" + std::to_string(i);
    client.Call("agents.stdin", R"({"id":")" + id + R"(","bytes":"hello\n"})");
    ASSERT_TRUE(client.UntilEvent("agent.output", id)) << id;
  }
  EXPECT_EQ(JsonField(client.Call("agents.stop", R"({"id":"flood"})"), "result.id"), "flood");
}

// ---------------------------------------------------------------------------------------- who may come in

TEST(Gateway, ATicketOpensItOnce) {
  Daemon daemon;
  const std::string ticket = TicketFor(daemon, R"({"agents":"*","mode":"operate"})");
  GatewayClient client(daemon.address(), {.target = "/ws?ticket=" + ticket});
  ASSERT_EQ(client.Status(), 101);
  ASSERT_TRUE(client.UntilEvent("gateway.ready"));
  GatewayClient again(daemon.address(), {.target = "/ws?ticket=" + ticket});
  EXPECT_EQ(again.Status(), 401);
  EXPECT_EQ(again.handshake().Field("code"), "ticket_invalid");
  EXPECT_EQ(GatewayClient(daemon.address(), {}).Status(), 401);
  EXPECT_EQ(GatewayClient(daemon.address(), GatewayClient::WithToken("wrong-token-0123456789")).Status(),
            401);
  // Its mode is the scope.
  EXPECT_EQ(JsonField(client.Call("agents.create", R"({"id":"a1","kind":"process","command":["cat"]})"),
                      "error.code"),
            "4003");
  EXPECT_EQ(JsonField(client.Call("agents.list"), "result.agents"), "[]");
}

TEST(Gateway, ATicketMayBeASubprotocol) {
  Daemon daemon;
  const std::string ticket = TicketFor(daemon, R"({"agents":"*"})");
  GatewayClient client(daemon.address(), With("Sec-WebSocket-Protocol", "reeve.v1, reeve.ticket." + ticket));
  ASSERT_EQ(client.Status(), 101);
  EXPECT_EQ(client.handshake().Header("sec-websocket-protocol"), "reeve.v1");
  EXPECT_EQ(client.handshake().wire.find(ticket), std::string::npos);
  EXPECT_EQ(daemon.log().find(ticket), std::string::npos);
}

TEST(Gateway, ATicketForSomeAgentsOpensNoOther) {
  Daemon daemon;
  daemon.Create(Shell("a1", "cat"));
  daemon.Create(Shell("a2", "cat"));
  const std::string ticket = TicketFor(daemon, R"({"agents":["a1"],"mode":"operate"})");
  GatewayClient client(daemon.address(), {.target = "/ws?ticket=" + ticket});
  EXPECT_EQ(client.Subscribe(R"({"agent":"a1"})"), "1");
  EXPECT_EQ(JsonField(client.Call("events.subscribe", R"({"agent":"a2"})"), "error.code"), "4001");
  EXPECT_EQ(JsonField(client.Call("agents.get", R"({"id":"a1"})"), "result.id"), "a1");
  EXPECT_EQ(JsonField(client.Call("agents.get", R"({"id":"a2"})"), "error.code"), "4003");
  EXPECT_EQ(JsonField(client.Call("agents.list"), "error.code"), "4003");
  client.Subscribe(R"({"agent":"*","after":"0"})");
  ASSERT_TRUE(client.UntilEvent("stream.synced"));
  daemon.Create(Shell("a3", "echo x"));
  daemon.WaitFor("a3");
  EXPECT_NE(client.Call("gateway.ping"), "");
  for (const std::string& event : client.events()) {
    const std::string agent = JsonField(event, "agent");
    EXPECT_TRUE(agent.empty() || agent == "a1") << event;
  }
}

TEST(Gateway, AForeignPageIsRefusedBeforeTheUpgrade) {
  Daemon daemon;
  const std::string ticket = TicketFor(daemon, R"({"agents":"*"})");
  GatewayClient foreign(daemon.address(),
                        {.target = "/ws?ticket=" + ticket, .headers = {{"Origin", "https://evil.example"}}});
  EXPECT_EQ(foreign.Status(), 403);
  GatewayClient own(daemon.address(), {.target = "/ws?ticket=" + ticket, .headers = {}});
  EXPECT_EQ(own.Status(), 101);
}

TEST(Gateway, AResumeTicketReplacesItsConnection) {
  Daemon daemon;
  GatewayClient first(daemon);
  ASSERT_TRUE(first.UntilEvent("gateway.ready"));
  GatewayClient second(daemon.address(), {.target = "/ws?ticket=" + first.resume()});
  ASSERT_EQ(second.Status(), 101);
  ASSERT_TRUE(first.UntilEnd());
  EXPECT_EQ(first.close_code(), 4000);
  ASSERT_TRUE(second.UntilEvent("gateway.ready"));
  second.Cut();
  // Its scope is that of the first one, here admin.
  GatewayClient third(daemon.address(), {.target = "/ws?ticket=" + second.resume()});
  ASSERT_EQ(third.Status(), 101);
  EXPECT_EQ(JsonField(third.Call("agents.create", R"({"id":"a1","kind":"process","command":["cat"]})"),
                      "result.id"),
            "a1");
}

TEST(Gateway, AResumeTicketStaysGoodUntilTheNextHasArrived) {
  Daemon::Options options;
  options.arguments = {"--restart-delay", "0"};
  Daemon daemon(options);
  GatewayClient first(daemon);
  ASSERT_TRUE(first.UntilEvent("gateway.ready"));
  const GatewayClient::Options again{.target = "/ws?ticket=" + first.resume()};
  {
    GatewayClient cut(daemon.address(), again);
    ASSERT_EQ(cut.Status(), 101);  // it reads no more than the head
  }
  GatewayClient unread(daemon.address(), again);
  ASSERT_EQ(unread.Status(), 101);
  ASSERT_TRUE(daemon.Crash());
  GatewayClient early(daemon.address(), again);
  ASSERT_EQ(early.Status(), 101);
  // The connection that it opened earlier ends, so there is never more than one.
  GatewayClient next(daemon.address(), again);
  ASSERT_EQ(next.Status(), 101);
  ASSERT_TRUE(early.UntilEnd());
  EXPECT_EQ(early.close_code(), 4000);
  ASSERT_TRUE(next.UntilEvent("gateway.ready"));
  EXPECT_NE(next.Call("gateway.ping"), "");
  EXPECT_NE(next.Call("gateway.ping"), "");  // the pong was before it
  EXPECT_EQ(GatewayClient(daemon.address(), again).Status(), 401);
  EXPECT_EQ(GatewayClient(daemon.address(), {.target = "/ws?ticket=" + early.resume()}).Status(), 401);
  EXPECT_NE(next.Call("gateway.ping"), "");
}

TEST(Gateway, AfterASignOutNothingContinuesTheConnection) {
  Daemon daemon;
  std::string earlier;
  {
    GatewayClient first(daemon);
    ASSERT_TRUE(first.UntilEvent("gateway.ready"));
    earlier = first.resume();
  }
  GatewayClient second(daemon.address(), {.target = "/ws?ticket=" + earlier});
  ASSERT_TRUE(second.UntilEvent("gateway.ready"));
  const std::string answer = second.Call("gateway.sign_out");
  EXPECT_EQ(JsonField(answer, "error.code"), "") << answer;
  EXPECT_NE(second.Call("gateway.ping"), "");
  second.Cut();
  for (const std::string& ticket : {earlier, second.resume()})
    EXPECT_EQ(GatewayClient(daemon.address(), {.target = "/ws?ticket=" + ticket}).Status(), 401);
}

TEST(Gateway, AQuestionOfAnAgentIsNotAnsweredByItself) {
  Daemon daemon;
  daemon.Create(Shell("a1", "cat \"$REEVE_TOKEN_FILE\"; cat", R"("api":"operate",)"));
  ASSERT_TRUE(Eventually([&] { return !Fields(daemon, "a1", "agent.output", "data.text").empty(); }));
  const std::string token = Fields(daemon, "a1", "agent.output", "data.text").front();
  const std::string ticket =
      JsonField(HttpConnection(daemon.address())
                    .Call("POST", "/stream-ticket", R"({"agents":"*","mode":"operate"})",
                          {{"Authorization", "Bearer " + token}})
                    .body,
                "ticket");
  for (const auto& options :
       {GatewayClient::WithToken(token), GatewayClient::Options{"/ws?ticket=" + ticket}}) {
    GatewayClient client(daemon.address(), options);
    const std::string refused =
        client.Call("approvals.decide", R"({"id":"a1","approval":"0","decision":"allow_once"})");
    EXPECT_EQ(JsonField(refused, "error.code"), "4003") << refused;
  }
}

TEST(Gateway, AGatewayEndsWithItsToken) {
  TempDir folder;
  const std::string path = folder.path() + "/tokens";
  const std::string token = "some-token-0123456789";
  WriteFile(path, token + "\n");
  Daemon::Options options;
  options.arguments = {"--token-file", path};
  Daemon daemon(options);
  GatewayClient client(daemon.address(), GatewayClient::WithToken(token));
  ASSERT_NE(client.Call("gateway.ping"), "");
  WriteFile(path, "other-token-0123456789\n");
  // It asks for that itself, so the connection closes within its own call.
  client.Begin("town.reload");
  ASSERT_TRUE(client.UntilEnd());
  EXPECT_EQ(client.close_code(), 1008);
  EXPECT_EQ(GatewayClient(daemon.address(), {.target = "/ws?ticket=" + client.resume()}).Status(), 401);
}

// ------------------------------------------------------------------------------------------------ its end

TEST(Gateway, CallsTakeEffectThoughTheirClientHasGone) {
  Daemon daemon;
  daemon.Create(Shell("a1", "cat"));
  ASSERT_TRUE(Eventually([&] { return daemon.Get("/agents/a1").Field("state") == "running"; }));
  GatewayClient client(daemon);
  ASSERT_NE(client.Call("gateway.ping"), "");
  constexpr int kCalls = 200;  // more than one turn of the loop runs
  client.Texts(R"({"jsonrpc":"2.0","method":"agents.stdin","params":{"id":"a1","bytes":"x\n"}})", kCalls);
  client.Cut();
  EXPECT_TRUE(Eventually([&] { return Fields(daemon, "a1", "agent.output", "data.text").size() == kCalls; }));
}

TEST(Gateway, ADrainSaysGoodbye) {
  Daemon daemon;
  GatewayClient client(daemon);
  ASSERT_TRUE(client.UntilEvent("gateway.ready"));
  daemon.Signal(SIGTERM);
  ASSERT_TRUE(client.UntilEnd());
  EXPECT_EQ(client.close_code(), 1001);
  EXPECT_EQ(daemon.Wait(), 0);
}

TEST(Gateway, TheLogTellsWhatAConnectionDid) {
  Daemon daemon;
  GatewayClient client(daemon);
  client.Text("{");
  client.Call("agents.create", R"({"id":"a1","kind":"process","command":["cat"]})");
  client.Call("agents.create",
              R"({"id":"a2","kind":"process","command":["cat"],"close_on_disconnect":true})");
  client.Close();
  ASSERT_TRUE(client.UntilEnd());
  ASSERT_TRUE(
      Eventually([&] { return daemon.log().find("gateway connection of 127.0.0.1:") != std::string::npos; }));
  const std::string log = daemon.log();
  for (const char* part : {"code=1000", "by=peer", "messages=3", "parse_errors=1", "handler_crashes=0",
                           "send_failures=0", "agents_ending=1", "agents_detached=1"}) {
    EXPECT_NE(log.find(part), std::string::npos) << part << "\n" << log;
  }
}

// The twenty seconds are real. Within them the daemon dies, and the client comes back.
TEST(Gateway, AnAgentEndsWithItsConnectionAndNotWithItsDaemon) {
  Daemon::Options options;
  options.arguments = {"--restart-delay", "0"};
  Daemon daemon(options);
  const std::string spec =
      R"("kind":"jsonl","kind_options":{"turns":true},"command":["cat"],"close_on_disconnect":true})";
  GatewayClient first(daemon);
  ASSERT_TRUE(first.UntilEvent("gateway.ready"));
  EXPECT_EQ(JsonField(first.Call("agents.create", R"({"id":"a1",)" + spec), "result.close_on_disconnect"),
            "true");
  EXPECT_EQ(daemon.Post("/agents", R"({"id":"a2",)" + spec).status, 400);
  daemon.Create(Shell("a3", "cat"));
  ASSERT_TRUE(daemon.Crash());
  GatewayClient second(daemon.address(), {.target = "/ws?ticket=" + first.resume()});
  ASSERT_TRUE(second.UntilEvent("gateway.ready"));
  const std::string pid = daemon.Get("/agents/a1").Field("pid");
  EXPECT_NE(pid, "");
  second.Cut();
  ASSERT_TRUE(daemon.Crash());
  EXPECT_EQ(daemon.Get("/agents/a1").Field("pid"), pid);
  EXPECT_EQ(daemon.WaitFor("a1").Field("state"), "exited");
  EXPECT_EQ(Fields(daemon, "a1", "agent.stopping", "data.by"), Strings{"daemon"});
  EXPECT_EQ(daemon.Get("/agents/a3").Field("state"), "running");
}

// REEVE_CUTS: how many times the connection is cut. Beside it the daemon dies now and then.
TEST(Gateway, NothingIsMissedOrDoubledOverCuts) {
  const int cuts = FromEnvironment("REEVE_CUTS", 60);
  const auto seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  Daemon::Options options;
  options.arguments = {"--restart-delay", "0"};
  Daemon daemon(options);
  const std::string bytes = std::to_string(cuts * 10'000);
  daemon.Create(Shell("a1", "i=0; while :; do i=$((i+1)); echo line $i; done | head -c " + bytes + "; cat"));
  Strings got;
  std::string after = "0";
  std::string ticket = TicketFor(daemon, R"({"agents":"*","mode":"operate"})");
  for (int cut = 0; cut <= cuts; ++cut) {
    GatewayClient client(daemon.address(), {.target = "/ws?ticket=" + ticket});
    ASSERT_EQ(client.Status(), 101) << "cut " << cut;
    if (cut > 0 && cut < cuts && random() % 4 == 0) continue;  // cut before the next ticket came
    ASSERT_TRUE(client.UntilEvent("gateway.ready"));
    ASSERT_NE(client.Subscribe(R"({"agent":"a1","after":")" + after + R"("})"), "");
    const uint64_t most = client.count() + random() % 1000;
    if (cut == cuts) {
      daemon.Post("/agents/a1/stop");
      ASSERT_TRUE(client.UntilEvent("agent.exited"));
    } else {
      client.Until([&] { return client.count() > most || client.All("stream.synced").size() == 1; });
      if (random() % 8 == 0) client.Call("gateway.ping");
    }
    const Strings cursors = client.Cursors("a1");
    got.insert(got.end(), cursors.begin(), cursors.end());
    if (!got.empty()) after = got.back();
    ticket = client.resume();
    const bool crash = cut % 20 == 19;
    if (crash && cut % 40 == 19) {
      ASSERT_TRUE(daemon.Crash());
    }
    if (random() % 3 == 0) client.Close();
    client.Cut();
    if (crash && cut % 40 != 19) {
      ASSERT_TRUE(daemon.Crash());
    }
  }
  Strings expected;
  for (const std::string& event : daemon.Events("a1"))
    expected.push_back(JsonField(event, "epoch") + "-" + JsonField(event, "seq"));
  EXPECT_EQ(got.size(), expected.size());
  EXPECT_TRUE(got == expected);
}

// REEVE_CONNECTIONS: how many connections end, each in one of the phases of its life.
TEST(Gateway, NothingIsLeftOfConnections) {
  const int count = FromEnvironment("REEVE_CONNECTIONS", 600);
  Daemon daemon;
  daemon.Create(Shell("a1", "while :; do echo x; done"));
  const auto seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const auto round = [&](int connections) {
    for (int i = 0; i < connections; ++i) {
      const auto phase = random() % 9;
      if (phase == 0) {
        ConnectTo(daemon.address());
        continue;
      }
      GatewayClient client(daemon);
      if (phase == 1) continue;  // the handshake is sent
      if (phase == 2) client.Status();
      if (phase == 3) client.Text(R"({"jsonrpc":"2.0","id":1,"meth)");
      if (phase == 4) client.Begin("agents.wait", R"({"id":"a1","until":"exited"})");
      if (phase == 5) client.Subscribe(R"({"agent":"*","after":"0"})");
      if (phase == 6) {
        client.Begin("events.subscribe", R"({"agent":"a1","after":"0"})");
        client.Begin("agents.list");
      }
      if (phase == 7) {
        client.Status();
        client.Close();
      }
      if (phase == 8) {
        client.Subscribe(R"({"agent":"a1"})");
        client.Close();
        client.UntilEnd();
      }
    }
    return Eventually([&] { return Viewers(daemon) == 0; });
  };
  ASSERT_TRUE(round(count / 4));
  const size_t sockets = daemon.OpenSockets();  // the log of the flood opens and closes files meanwhile
  const size_t bytes = daemon.ResidentBytes();
  ASSERT_TRUE(round(count));
  EXPECT_TRUE(Eventually([&] { return daemon.OpenSockets() <= sockets; }))
      << daemon.OpenSockets() << " sockets, before " << sockets;
  // The flood's log and its tail grow to their limits meanwhile; 4 KiB for each connection would be a leak.
  if (!kSanitized) {
    EXPECT_LT(daemon.ResidentBytes(), bytes + (size_t{16} << 20) + static_cast<size_t>(count) * 4096);
  }
}

}  // namespace
}  // namespace reeve
