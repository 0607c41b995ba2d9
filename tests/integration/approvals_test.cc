// Approvals and elicitations (control/api/API.md), on a real daemon. The agent is `reeve replay` of a
// recording in Claude Code's words, so that it asks when the test says so; what it is told back is in its
// transcript.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/support/scripted_agent.h"

namespace reeve {
namespace {

using Strings = std::vector<std::string>;

constexpr const char* kReady =
    R"(< {"type":"control_response","response":{"subtype":"success","request_id":"initialize-1","response":{}}})";
constexpr const char* kTurn = R"(< {"type":"system","subtype":"init","session_id":"s-1"})";
constexpr const char* kEnd =
    R"(< {"type":"result","subtype":"success","is_error":false,"terminal_reason":"completed","session_id":"s-1"})";

std::string Asks(const std::string& id, const std::string& command) {
  return R"(< {"type":"control_request","request_id":")" + id +
         R"(","request":{"subtype":"can_use_tool","tool_name":"Bash","tool_use_id":"call-)" + id +
         R"(","input":{"command":")" + command + R"("}}})";
}
constexpr const char* kQuestion =
    R"(< {"type":"control_request","request_id":"q1","request":{"subtype":"can_use_tool","tool_name":"AskUserQuestion",)"
    R"("tool_use_id":"call-q1","input":{"questions":[{"question":"Which colour?","header":"Colour","multiSelect":false,)"
    R"("options":[{"label":"red","description":"r"},{"label":"blue","description":"b"}]}]}}})";

void Create(const Daemon& daemon, const std::string& id, const Strings& turns, const std::string& more = "") {
  Strings script = {"> initialize", kReady};
  script.insert(script.end(), turns.begin(), turns.end());
  CreateScripted(daemon, id, "claude", script, R"(,"prompt":"go")" + more);
}

Strings Fields(const Daemon& daemon, const std::string& types, const std::string& field) {
  Strings fields;
  for (const std::string& event : daemon.Events("a1", "after=0&types=" + types)) {
    fields.push_back(JsonField(event, field));
  }
  return fields;
}

bool UntilState(const Daemon& daemon, const std::string& state) {
  return Eventually([&] { return daemon.Get("/agents/a1").Field("state") == state; });
}

bool UntilEvent(const Daemon& daemon, const std::string& type, size_t count = 1) {
  return Eventually([&] { return Fields(daemon, type, "type").size() >= count; });
}

// The line to the agent that contains this text.
bool UntilTold(const Daemon& daemon, const std::string& text) {
  return Eventually([&] {
    const std::string transcript = daemon.Get("/agents/a1/transcript").body;
    for (size_t at = 0; at < transcript.size();) {
      const size_t end = transcript.find('\n', at);
      const std::string line = transcript.substr(at, end - at);
      if (JsonField(line, "dir") == "out" && JsonField(line, "text").find(text) != std::string::npos)
        return true;
      at = end + 1;
    }
    return false;
  });
}

const Strings kOneQuestion = {"> prompt", kTurn, Asks("p1", "mkdir x"), "> answer", kEnd};

TEST(Approval, AListShowsExcerptsAndASingleOneIsWhole) {
  Daemon daemon;
  const std::string command(size_t{300} << 10, 'x');
  Create(daemon, "a1", {"> prompt", kTurn, Asks("p1", command), "> answer", kEnd});
  ASSERT_TRUE(UntilState(daemon, "needs_input"));
  const HttpAnswer list = daemon.Get("/approvals");
  EXPECT_LT(list.body.size(), 3'000U);
  EXPECT_NE(list.body.find(R"("excerpt":true)"), std::string::npos) << list.body;
  EXPECT_NE(daemon.Get("/approvals?agent=a1&id=p1").body.find(command), std::string::npos);
}

TEST(Approval, IsShownListedAndAnsweredOnce) {
  Daemon daemon;
  Create(daemon, "a1", kOneQuestion);
  ASSERT_TRUE(UntilState(daemon, "needs_input"));
  EXPECT_EQ(daemon.Get("/agents/a1").Field("pending_approvals"), "1");
  HttpAnswer list = daemon.Get("/approvals");
  auto json = JsonDocument::Parse(list.body);
  const JsonValue pending = (*json)["approvals"].At(0);
  EXPECT_EQ(pending["agent"].StringOr(""), "a1");
  EXPECT_EQ(pending["kind"].StringOr(""), "approval");
  EXPECT_EQ(pending["tool"].StringOr(""), "bash");
  EXPECT_EQ(pending["input"]["command"].StringOr(""), "mkdir x");
  EXPECT_EQ(pending["run"].StringOr(""), daemon.Get("/agents/a1").Field("run.run_id"));
  // A viewer that comes late learns of it from the snapshot and from the stream.
  EXPECT_NE(daemon.Get("/agents/a1/snapshot").Field("pending").find("\"p1\""), std::string::npos);
  auto stream = daemon.Stream("/agents/a1/stream?after=0");
  EXPECT_TRUE(stream->UntilEvent("approval.requested"));

  EXPECT_EQ(daemon.Post("/agents/a1/approvals/p1", R"({"decision":"maybe"})").status, 400);
  EXPECT_EQ(daemon.Post("/agents/a1/approvals/p1", R"({"desicion":"deny"})").status, 400);
  EXPECT_EQ(daemon.Post("/agents/a1/approvals/p2", R"({"decision":"deny"})").status, 404);
  EXPECT_EQ(daemon.Post("/agents/a1/elicitations/p1", R"({"action":"cancel"})").status, 404);

  // Two at the same instant: both requests are there before either is read.
  HttpConnection one(daemon.address());
  HttpConnection two(daemon.address());
  const Headers token = {{"Authorization", "Bearer " + daemon.token()}};
  one.Send("POST", "/agents/a1/approvals/p1", R"({"decision":"allow_once"})", token);
  two.Send("POST", "/agents/a1/approvals/p1", R"({"decision":"deny"})", token);
  HttpAnswer first = one.Receive();
  HttpAnswer second = two.Receive();
  if (first.status != 200) std::swap(first, second);
  EXPECT_EQ(first.status, 200) << first.wire;
  EXPECT_EQ(second.status, 409) << second.wire;
  EXPECT_EQ(second.Field("code"), "already_resolved");
  EXPECT_NE(second.Field("detail").find(first.Field("decision") + " by person"), std::string::npos)
      << second.body;

  ASSERT_TRUE(UntilEvent(daemon, "run.completed"));
  EXPECT_EQ(Fields(daemon, "approval.resolved", "data.decision"), Strings{first.Field("decision")});
  EXPECT_EQ(
      Fields(daemon, "run.*,approval.*,tool.started", "type"),
      (Strings{"run.started", "tool.started", "approval.requested", "approval.resolved", "run.completed"}));
  EXPECT_EQ(daemon.Get("/approvals").body, R"({"approvals":[]})");
}

// A person answers what the daemon did not live to ask again.
TEST(Approval, ThatWasOpenAtAKillIsWithdrawnAndRemembered) {
  Daemon daemon;
  Create(daemon, "a1",
         {"> prompt", kTurn, Asks("p0", "ls"), "> answer", Asks("p1", "mkdir x"), "> answer", kEnd});
  ASSERT_TRUE(UntilState(daemon, "needs_input"));
  EXPECT_EQ(daemon.Post("/agents/a1/approvals/p0", R"({"decision":"allow_once"})").status, 200);
  ASSERT_TRUE(UntilEvent(daemon, "approval.requested", 2));
  const std::string run = daemon.Get("/agents/a1").Field("run.run_id");
  daemon.Kill();
  daemon.Start();
  auto expect = [&daemon](const std::string& id, const std::string& decision) {
    HttpAnswer late = daemon.Post("/agents/a1/approvals/" + id, R"({"decision":"deny"})");
    EXPECT_EQ(late.status, 409) << late.wire;
    EXPECT_EQ(late.Field("code"), "already_resolved");
    EXPECT_NE(late.Field("detail").find(decision), std::string::npos) << late.body;
  };
  expect("p0", "allow_once by person");
  expect("p1", "withdrawn by daemon");
  EXPECT_NE(daemon.Get("/approvals?id=p1").Field("resolved").find("withdrawn"), std::string::npos);
  // The run remembers it, also when no log tells it any more.
  EXPECT_NE(
      daemon.Get("/agents/a1/runs/" + run).Field("approvals").find(R"("id":"p1","decision":"withdrawn")"),
      std::string::npos);
  daemon.Signal(SIGTERM);
  ASSERT_EQ(daemon.Wait(), 0);
  daemon.Start();
  expect("p0", "allow_once by person");
  expect("p1", "withdrawn by daemon");
  EXPECT_EQ(daemon.Post("/agents/a1/approvals/p2", R"({"decision":"deny"})").status, 404);
}

// Its own token says who it is.
TEST(Approval, IsNotTheAgentsOwnToGive) {
  Daemon daemon;
  Create(daemon, "a1", kOneQuestion, R"(,"api":"operate")");
  Create(daemon, "boss", {"> prompt", kTurn, kEnd}, R"(,"api":"operate")");
  ASSERT_TRUE(UntilState(daemon, "needs_input"));
  auto decide = [&daemon](const std::string& caller) {
    std::string token = ReadFile(daemon.data_dir() + "/agents/" + caller + "/token");
    token.resize(std::min<size_t>(token.find('\n'), token.size()));
    HttpConnection connection(daemon.address());
    return connection.Call("POST", "/agents/a1/approvals/p1", R"({"decision":"allow_once"})",
                           {{"Authorization", "Bearer " + token}});
  };
  const HttpAnswer own = decide("a1");
  EXPECT_EQ(own.status, 403) << own.wire;
  EXPECT_EQ(own.Field("code"), "forbidden");
  EXPECT_EQ(daemon.Get("/agents/a1").Field("pending_approvals"), "1");
  EXPECT_EQ(decide("boss").status, 200);
  EXPECT_TRUE(UntilEvent(daemon, "run.completed"));
}

TEST(Approval, ThatNobodyAnswersIsDeniedAtItsDeadlineAndTheAgentGoesOn) {
  Daemon daemon;
  Create(daemon, "a1", kOneQuestion, R"(,"permissions":{"timeout_ms":150})");
  ASSERT_TRUE(UntilEvent(daemon, "run.completed"));
  EXPECT_EQ(Fields(daemon, "approval.resolved", "data.decision"), Strings{"expired"});
  EXPECT_EQ(Fields(daemon, "approval.resolved", "data.by"), Strings{"deadline"});
  EXPECT_TRUE(UntilTold(daemon, R"("behavior":"deny")"));
  HttpAnswer late = daemon.Post("/agents/a1/approvals/p1", R"({"decision":"allow_once"})");
  EXPECT_EQ(late.status, 409);
  EXPECT_NE(late.Field("detail").find("expired by deadline"), std::string::npos) << late.body;
}

TEST(Approval, MayBeAllowedAtItsDeadlineWhereTheSpecSaysSo) {
  Daemon daemon;
  Create(daemon, "a1", kOneQuestion, R"(,"permissions":{"timeout_ms":150,"on_timeout":"allow"})");
  ASSERT_TRUE(UntilEvent(daemon, "run.completed"));
  EXPECT_EQ(Fields(daemon, "approval.resolved", "data.decision"), Strings{"allow_once"});
  EXPECT_TRUE(UntilTold(daemon, R"("behavior":"allow")"));
}

TEST(Approval, RulesDecideWithoutAPerson) {
  Daemon daemon;
  Create(daemon, "a1",
         {"> prompt", kTurn, Asks("p1", "git log"), "> answer", Asks("p2", "git log; rm -rf x"), "> answer",
          Asks("p3", "make test"), "> answer", kEnd},
         R"JSON(,"permissions":{"allow":["bash(git *)"],"deny":["bash(rm *)"],"ask":["bash(make *)"]})JSON");
  ASSERT_TRUE(UntilState(daemon, "needs_input"));
  EXPECT_EQ(Fields(daemon, "approval.resolved", "data.decision"), (Strings{"allow_once", "deny"}));
  EXPECT_EQ(Fields(daemon, "approval.resolved", "data.by"), (Strings{"policy", "policy"}));
  EXPECT_EQ(Fields(daemon, "approval.resolved", "data.reason"), (Strings{"bash(git *)", "bash(rm *)"}));
  EXPECT_TRUE(UntilTold(daemon, "not permitted: bash(rm *)"));
  EXPECT_EQ(daemon.Post("/agents/a1/approvals/p3", R"({"decision":"deny","reason":"not now"})").status, 200);
  ASSERT_TRUE(UntilEvent(daemon, "run.completed"));
  EXPECT_TRUE(UntilTold(daemon, "not now"));
}

TEST(Approval, AlwaysIsTheExactCallAlsoAfterARestart) {
  Daemon daemon;
  Create(daemon, "a1",
         {"> prompt", kTurn, Asks("p1", "mkdir x"), "> answer", Asks("p2", "mkdir x"), "> answer",
          Asks("p3", "mkdir xy"), "> answer", kEnd},
         R"(,"restart":{"policy":"always"})");
  ASSERT_TRUE(UntilState(daemon, "needs_input"));
  EXPECT_EQ(daemon.Post("/agents/a1/approvals/p1", R"({"decision":"allow_always"})").status, 200);
  ASSERT_TRUE(UntilEvent(daemon, "approval.requested", 3));
  EXPECT_EQ(Fields(daemon, "approval.resolved", "data.by"), (Strings{"person", "policy"}));
  EXPECT_EQ(daemon.Get("/agents/a1").Field("pending_approvals"), "1");
  daemon.Kill();
  daemon.Start();
  // The crash took the agent, and with it what it waited for; it begins again, and asks again.
  ASSERT_TRUE(UntilEvent(daemon, "agent.ready", 2));
  EXPECT_EQ(Fields(daemon, "approval.resolved", "data.decision"),
            (Strings{"allow_always", "allow_once", "withdrawn"}));
  EXPECT_EQ(Fields(daemon, "approval.resolved", "data.by").back(), "daemon");
  EXPECT_EQ(daemon.Post("/agents/a1/message", R"({"text":"go on"})").status, 202);
  ASSERT_TRUE(UntilEvent(daemon, "approval.requested", 6));
  EXPECT_EQ(Fields(daemon, "approval.resolved", "data.by"),
            (Strings{"person", "policy", "daemon", "policy", "policy"}));
}

TEST(Approval, IsWithdrawnWhenTheAgentTakesItBackOrEnds) {
  Daemon daemon;
  const std::string longer = "p2-which-is-longer-than-a-string-holds-within";
  Create(daemon, "a1",
         {"> prompt", kTurn, Asks("p1", "one"), R"(< {"type":"control_cancel_request","request_id":"p1"})",
          Asks(longer, "two"), kEnd, "> next prompt", kTurn, Asks("p3", "three"), "> never"});
  ASSERT_TRUE(UntilEvent(daemon, "run.completed"));
  EXPECT_EQ(Fields(daemon, "approval.resolved", "data.decision"), (Strings{"withdrawn", "withdrawn"}));
  EXPECT_EQ(Fields(daemon, "approval.resolved", "data.by"), (Strings{"agent", "daemon"}));
  EXPECT_EQ(Fields(daemon, "approval.resolved", "data.id"), (Strings{"p1", longer}));
  EXPECT_EQ(daemon.Post("/agents/a1/message", R"({"text":"next"})").status, 202);
  ASSERT_TRUE(UntilState(daemon, "needs_input"));
  kill(std::stoi(daemon.Get("/agents/a1").Field("pid")), SIGKILL);
  ASSERT_TRUE(UntilEvent(daemon, "run.failed"));
  EXPECT_EQ(Fields(daemon, "approval.resolved,run.failed", "type").back(), "run.failed");
  EXPECT_EQ(daemon.Post("/agents/a1/approvals/p3", R"({"decision":"deny"})").status, 409);
}

TEST(Approval, TheInputMayBeChangedWhereTheKindCan) {
  Daemon daemon;
  Create(daemon, "a1", kOneQuestion);
  ASSERT_TRUE(UntilState(daemon, "needs_input"));
  for (const char* wrong :
       {R"({"decision":"allow_once","input":"ls"})", R"({"decision":"deny","input":{}})"}) {
    EXPECT_EQ(daemon.Post("/agents/a1/approvals/p1", wrong).status, 400) << wrong;
  }
  EXPECT_EQ(
      daemon.Post("/agents/a1/approvals/p1", R"({"decision":"allow_once","input":{"command":"mkdir y"}})")
          .status,
      200);
  EXPECT_TRUE(UntilTold(daemon, R"("updatedInput":{"command":"mkdir y"})"));
}

TEST(Approval, AWaitForAPersonIsNoStall) {
  Daemon daemon;
  Create(daemon, "a1", {"> prompt", kTurn, Asks("p1", "one"), "> answer", "> never"},
         R"(,"limits":{"stall_ms":200},"permissions":{"timeout_ms":700})");
  ASSERT_TRUE(UntilEvent(daemon, "agent.stalled"));
  // Not before the answer, and by the clock that began with it.
  EXPECT_EQ(Fields(daemon, "approval.*,agent.stalled", "type"),
            (Strings{"approval.requested", "approval.resolved", "agent.stalled"}));
}

TEST(Elicitation, IsAFormAndItsAnswerReachesTheAgent) {
  Daemon daemon;
  Create(daemon, "a1", {"> prompt", kTurn, kQuestion, "> answer", kEnd});
  ASSERT_TRUE(UntilState(daemon, "needs_input"));
  auto json = JsonDocument::Parse(daemon.Get("/approvals").body);
  const JsonValue pending = (*json)["approvals"].At(0);
  EXPECT_EQ(pending["kind"].StringOr(""), "elicitation");
  EXPECT_NE(pending["message"].StringOr("").find("Which colour?"), std::string_view::npos);
  ASSERT_EQ(pending["schema"]["properties"].size(), 1U) << pending.Raw();
  const std::string property(pending["schema"]["properties"].Members()[0].key);

  for (const char* wrong :
       {R"({"action":"accept"})", R"({"action":"decline","content":{}})", R"({"action":"yes"})",
        R"({"action":"accept","content":"red"})", R"({"aktion":"cancel"})"}) {
    EXPECT_EQ(daemon.Post("/agents/a1/elicitations/q1", wrong).status, 400) << wrong;
  }
  EXPECT_EQ(daemon.Post("/agents/a1/approvals/q1", R"({"decision":"allow_once"})").status, 404);
  const std::string content = JsonObject().Set(property, "blue").Take();
  EXPECT_EQ(
      daemon.Post("/agents/a1/elicitations/q1", R"({"action":"accept","content":)" + content + "}").status,
      200);
  HttpAnswer second = daemon.Post("/agents/a1/elicitations/q1", R"({"action":"cancel"})");
  EXPECT_EQ(second.status, 409);
  EXPECT_NE(second.Field("detail").find("accept by person"), std::string::npos) << second.body;
  ASSERT_TRUE(UntilEvent(daemon, "run.completed"));
  EXPECT_TRUE(UntilTold(daemon, R"("answers":{"Which colour?":"blue"})"));
  EXPECT_EQ(Fields(daemon, "elicitation.*", "type"),
            (Strings{"elicitation.requested", "elicitation.resolved"}));
}

TEST(Elicitation, NoPolicyGuessesAndTheDeadlineCancels) {
  Daemon daemon;
  Create(daemon, "a1", {"> prompt", kTurn, kQuestion, "> answer", kEnd},
         R"(,"permissions":{"default":"allow","timeout_ms":200,"on_timeout":"allow"})");
  ASSERT_TRUE(UntilEvent(daemon, "run.completed"));
  EXPECT_EQ(Fields(daemon, "elicitation.resolved", "data.action"), Strings{"expired"});
  EXPECT_EQ(Fields(daemon, "elicitation.resolved", "data.by"), Strings{"deadline"});
  EXPECT_TRUE(UntilTold(daemon, R"("behavior":"deny")"));
}

TEST(Approval, OfTheWholeTownComeOldestFirst) {
  Daemon daemon;
  for (const char* id : {"z", "m", "a"}) {
    Create(daemon, id, kOneQuestion);
    ASSERT_TRUE(
        Eventually([&] { return daemon.Get(std::string("/agents/") + id).Field("state") == "needs_input"; }));
  }
  auto json = JsonDocument::Parse(daemon.Get("/approvals?state=pending").body);
  std::string order;
  for (const JsonValue& one : (*json)["approvals"].Elements()) order += one["agent"].StringOr("");
  EXPECT_EQ(order, "zma");
}

}  // namespace
}  // namespace reeve
