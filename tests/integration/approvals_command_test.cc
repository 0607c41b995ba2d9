// `reeve approvals …` (control/api/API.md): what it lists, what it decides, and what it refuses to guess.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/support/command.h"
#include "tests/support/scripted_agent.h"

namespace reeve {
namespace {

using testing::HasSubstr;
using Strings = std::vector<std::string>;

constexpr const char* kReady =
    R"(< {"type":"control_response","response":{"subtype":"success","request_id":"initialize-1","response":{}}})";
constexpr const char* kTurn = R"(< {"type":"system","subtype":"init","session_id":"s-1"})";
constexpr const char* kEnd =
    R"(< {"type":"result","subtype":"success","is_error":false,"terminal_reason":"completed","session_id":"s-1"})";
constexpr const char* kQuestion =
    R"(< {"type":"control_request","request_id":"q1","request":{"subtype":"can_use_tool","tool_name":"AskUserQuestion",)"
    R"("tool_use_id":"call-q1","input":{"questions":[{"question":"Which colour?","header":"Colour","multiSelect":false,)"
    R"("options":[{"label":"red","description":"r"},{"label":"blue","description":"b"}]}]}}})";

std::string Asks(const std::string& id, const std::string& command) {
  return R"(< {"type":"control_request","request_id":")" + id +
         R"(","request":{"subtype":"can_use_tool","tool_name":"Bash","tool_use_id":"call-)" + id +
         R"(","input":{"command":")" + command + R"("}}})";
}

class ApprovalsCommand : public testing::Test {
 protected:
  struct Outcome {
    int code;
    std::string out;
    std::string err;
  };
  Outcome Approvals(Strings words, const std::string& token = {}) const {
    words.insert(words.begin(), "approvals");
    Strings environment = {"REEVE_DATA=" + daemon_.data_dir()};
    if (!token.empty()) environment.push_back("REEVE_TOKEN=" + token);
    Command command(words, environment);
    const int code = command.Wait();
    return {code, command.out(), command.err()};
  }
  // An agent that says all of this and waits for the answers to `asked` of it.
  void MakeAsking(const std::string& id, const Strings& asked, const std::string& more = {}) const {
    Strings script = {"> initialize", kReady, "> prompt", kTurn};
    script.insert(script.end(), asked.begin(), asked.end());
    script.insert(script.end(), asked.size(), "> answer");
    script.emplace_back(kEnd);
    CreateScripted(daemon_, id, "claude", script, R"(,"prompt":"go")" + more);
    ASSERT_TRUE(Eventually([&] { return Pending(id) == std::to_string(asked.size()); }))
        << daemon_.Get("/agents/" + id).body;
  }
  [[nodiscard]] std::string Pending(const std::string& id) const {
    return daemon_.Get("/agents/" + id).Field("pending_approvals");
  }
  // The agent was told something with this in it.
  [[nodiscard]] bool Told(const std::string& id, const std::string& text) const {
    return Eventually(
        [&] { return daemon_.Get("/agents/" + id + "/transcript").body.find(text) != std::string::npos; });
  }

  Daemon daemon_;
};

TEST_F(ApprovalsCommand, ListsWhatWaitsTheOldestFirst) {
  EXPECT_EQ(Approvals({"list"}).out, "");
  MakeAsking("b2", {Asks("p1", "mkdir x\\u001b[31m")});
  MakeAsking("a1", {kQuestion}, R"(,"permissions":{"timeout_ms":7200000})");
  Outcome list = Approvals({"list"});
  EXPECT_EQ(list.code, 0) << list.err;
  EXPECT_THAT(list.out,
              testing::MatchesRegex("AGENT +ID +TOOL +AGE +LEFT +ABOUT\n"
                                    "b2 +p1 +bash +(0|[0-9]+s) +(59m|1h) +mkdir x \\[31m\n"
                                    "a1 +q1 +question +(0|[0-9]+s) +(1h59m|2h) +Which colour\\?[^\n]*\n"));
  Outcome json = Approvals({"list", "--json"});
  ASSERT_EQ(std::count(json.out.begin(), json.out.end(), '\n'), 2) << json.out;
  EXPECT_EQ(JsonField(json.out.substr(0, json.out.find('\n')), "agent"), "b2");
  EXPECT_EQ(JsonField(json.out.substr(0, json.out.find('\n')), "input.command"), "mkdir x\x1b[31m");
  EXPECT_EQ(JsonField(Approvals({"list", "--json", "--agent", "a1"}).out, "id"), "q1");
  EXPECT_EQ(Approvals({"list", "--agent", "none"}).code, 66);
  EXPECT_EQ(daemon_.Get("/approvals?agent=none").status, 404);
  EXPECT_EQ(Approvals({"list", "extra"}).code, 64);
}

TEST_F(ApprovalsCommand, AllowsAndDeniesByIdOrByAgent) {
  MakeAsking("a1", {Asks("p1", "mkdir x")}, R"(,"title":"the builder")");
  Outcome allowed = Approvals({"allow", "p1"});
  EXPECT_EQ(allowed.code, 0) << allowed.err;
  EXPECT_EQ(allowed.out, "a1 p1: allow_once\n");
  EXPECT_TRUE(Told("a1", R"(\"behavior\":\"allow\")"));

  MakeAsking("a2", {Asks("p2", "rm x")}, R"(,"title":"the cleaner")");
  Outcome denied = Approvals({"deny", "the cleaner", "--reason", "not on a friday", "--json"});
  EXPECT_EQ(denied.code, 0) << denied.err;
  EXPECT_EQ(denied.out, "{\"agent\":\"a2\",\"id\":\"p2\",\"decision\":\"deny\",\"by\":\"person\"}\n");
  EXPECT_TRUE(Told("a2", "not on a friday"));

  MakeAsking("a3", {Asks("p3", "ls"), Asks("p4", "pwd")});
  EXPECT_EQ(Approvals({"allow", "p3", "--always"}).out, "a3 p3: allow_always\n");
  EXPECT_EQ(Approvals({"allow", "a3", "--input", R"({"command":"pwd -P"})"}).code, 0);
  EXPECT_TRUE(Told("a3", "pwd -P"));
  MakeAsking("a4", {Asks("p5", "ls"), Asks("p6", "pwd")});
  EXPECT_EQ(Approvals({"allow", "p5", "--tool"}).out, "a4 p5: allow_tool\n");
  EXPECT_EQ(Approvals({"list", "--agent", "a4"}).out, "");  // both were calls of that tool
  MakeAsking("a5", {Asks("p7", "ls"), Asks("p8", "pwd")});
  EXPECT_EQ(Approvals({"allow", "p7", "--session"}).out, "a5 p7: allow_session\n");
  EXPECT_EQ(Approvals({"list", "--agent", "a5"}).out, "");
  // One flag says how far a decision goes.
  EXPECT_EQ(Approvals({"allow", "a3", "--tool", "--session"}).code, 64);
  EXPECT_EQ(Approvals({"allow", "a3", "--quiet"}).code, 66);  // nothing waits any more
}

TEST_F(ApprovalsCommand, NeverGuesses) {
  MakeAsking("a1", {Asks("p1", "mkdir x")});
  MakeAsking("b2", {Asks("p1", "rm -rf /")});
  Outcome both = Approvals({"allow", "p1"});
  EXPECT_EQ(both.code, 64);
  EXPECT_EQ(both.err,
            "reeve: approvals allow: p1: 'p1' may be p1 of agent a1, p1 of agent b2; name one by its id and "
            "--agent\n");
  EXPECT_EQ(Approvals({"deny", "p1", "--agent", "a1"}).out, "a1 p1: deny\n");
  // A person who saw the id at a1 may not mean the request of b2.
  Outcome one = Approvals({"allow", "p1"});
  EXPECT_EQ(one.code, 64);
  EXPECT_THAT(one.err, HasSubstr("p1 of agent b2, p1 of agent a1 (deny by person)"));
  EXPECT_EQ(Pending("b2"), "1");
  EXPECT_EQ(Approvals({"allow", "b2"}).out, "b2 p1: allow_once\n");

  MakeAsking("c3", {Asks("x1", "ls"), Asks("x2", "pwd")});
  Outcome several = Approvals({"allow", "c3"});
  EXPECT_EQ(several.code, 64);
  EXPECT_THAT(several.err, HasSubstr("'c3' may be x1 of agent c3, x2 of agent c3; name one"));
  // An agent by the name of another's approval.
  MakeAsking("x1", {Asks("y1", "ls")});
  EXPECT_EQ(Approvals({"allow", "x1"}).code, 64);
  EXPECT_EQ(Pending("x1"), "1");
  EXPECT_EQ(Pending("c3"), "2");
  EXPECT_EQ(Approvals({"allow", "x1", "--agent", "c3"}).code, 0);
}

TEST_F(ApprovalsCommand, TellsTheDecisionThatStands) {
  MakeAsking("a1", {Asks("p1", "mkdir x")});
  EXPECT_EQ(daemon_.Post("/agents/a1/approvals/p1", R"({"decision":"deny"})").status, 200);
  for (const Strings& words : {Strings{"allow", "p1"}, Strings{"allow", "p1", "--agent", "a1"}}) {
    Outcome late = Approvals(words);
    EXPECT_EQ(late.code, 1);
    EXPECT_EQ(late.err, "reeve: approvals allow: p1: p1 of agent a1: deny by person; that decision stands\n");
    EXPECT_EQ(late.out, "");
  }
  Outcome json = Approvals({"allow", "p1", "--json"});
  EXPECT_EQ(JsonField(json.err, "error.code"), "already_resolved") << json.err;
  EXPECT_EQ(JsonField(json.err, "error.exit_code"), "1");
}

TEST_F(ApprovalsCommand, AnswersQuestions) {
  MakeAsking("a1", {kQuestion});
  EXPECT_EQ(Approvals({"allow", "q1"}).code, 64);
  EXPECT_THAT(Approvals({"allow", "q1"}).err, HasSubstr("answer it with --content JSON"));
  EXPECT_EQ(Approvals({"allow", "q1", "--content", "red"}).code, 64);
  EXPECT_EQ(Approvals({"allow", "q1", "--content", "{}", "--always"}).code, 64);
  EXPECT_EQ(Approvals({"deny", "q1", "--reason", "none"}).code, 64);
  EXPECT_EQ(Pending("a1"), "1");
  auto schema = JsonDocument::Parse(daemon_.Get("/approvals").body);
  const std::string field((*schema)["approvals"].At(0)["schema"]["properties"].Members().front().key);
  Outcome answered = Approvals({"allow", "q1", "--content", "{\"" + field + "\":\"blue\"}"});
  EXPECT_EQ(answered.out, "a1 q1: accept\n") << answered.err;
  EXPECT_TRUE(Told("a1", "blue"));
  MakeAsking("a2", {kQuestion});
  EXPECT_EQ(Approvals({"deny", "q1", "--agent", "a2", "--json"}).out,
            "{\"agent\":\"a2\",\"id\":\"q1\",\"action\":\"decline\",\"by\":\"person\"}\n");
  MakeAsking("a3", {Asks("p1", "ls")});
  EXPECT_EQ(Approvals({"allow", "p1", "--content", "{}"}).code, 64);
  EXPECT_EQ(Approvals({"allow", "p1", "--input", "[]"}).code, 64);
  EXPECT_EQ(Pending("a3"), "1");
}

TEST_F(ApprovalsCommand, GoesOnAfterAFailureAndExitsWithTheFirst) {
  MakeAsking("a1", {Asks("p1", "mkdir x")});
  daemon_.Create(R"({"id":"idle","kind":"process","command":["cat"]})");
  Outcome some = Approvals({"deny", "nothing", "idle", "p1"});
  EXPECT_EQ(some.code, 66);
  EXPECT_EQ(some.out, "a1 p1: deny\n");
  EXPECT_THAT(some.err, HasSubstr("there is no approval and no agent 'nothing'"));
  EXPECT_THAT(some.err, HasSubstr("agent idle has no pending approval"));
  EXPECT_EQ(Approvals({"allow"}).code, 64);
  EXPECT_EQ(Approvals({"allow", "p1", "--agent", "none"}).code, 66);
  EXPECT_EQ(Approvals({"allow", "p9", "--agent", "a1"}).code, 66);
}

TEST_F(ApprovalsCommand, IsNotForEveryone) {
  MakeAsking("a1", {Asks("p1", "mkdir x")}, R"(,"api":"operate")");
  std::string own = ReadFile(daemon_.data_dir() + "/agents/a1/token");
  own.resize(std::min(own.find('\n'), own.size()));
  Outcome refused = Approvals({"allow", "p1"}, own);
  EXPECT_EQ(refused.code, 77) << refused.err;
  EXPECT_EQ(Pending("a1"), "1");
  EXPECT_EQ(Approvals({"list"}, own).code, 0);
  daemon_.Kill();
  Command down({"approvals", "list"}, {"REEVE_TOKEN=x", "REEVE_SERVER=" + daemon_.address()});
  EXPECT_EQ(down.Wait(), 69);
}

}  // namespace
}  // namespace reeve
