// The recordings of real codex app-servers (fixtures/codex-*.jsonl), replayed: what becomes of them, whole,
// cut anywhere, and broken off after any line. After a wanted change: UPDATE_GOLDEN=1 orchestrator_test, and
// read the difference.
#include "orchestrator/adapters/codex/codex.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <random>

#include "tests/support/handover.h"
#include "tests/support/loop_fixture.h"
#include "tests/support/paths.h"
#include "tests/support/rpc_recording.h"
#include "tests/support/vocabulary.h"

namespace reeve {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* kRecordings[] = {"turn",     "abort", "reason",   "edit",   "plan",
                                       "question", "mcp",   "subagent", "output", "steer",
                                       "fail500",  "cut",   "hang",     "early",  "resume"};

std::string Golden(const std::string& name) {
  return std::string(kFixtures) + "/codex-" + name + ".expected";
}

class Codex {
 public:
  explicit Codex(const std::string& resume = "")
      : adapter(host, MakeCodexAdapter(host, resume),
                [this] { return MakeCodexAdapter(host, "a session of another day"); }) {
    host.spec().kind = "codex";
    host.on_approval = [this](const ApprovalRequest& request) {
      waiting.emplace_back(request.id, request.elicitation);
    };
    SpawnSpec spawn;
    spawn.cwd = "@ROOT@/work";
    EXPECT_TRUE(adapter->Prepare(spawn).ok());
    adapter->OnSpawned();
    adapter.Begin();
  }
  void Say(std::string_view bytes) { adapter->OnOutput(Child::Output::kStdout, bytes); }
  // Actions of a person, or of an agent for that person.
  void Act(const JsonValue& message) {
    const std::string_view method = message["method"].StringOr("");
    const std::string text(message["params"]["input"].At(0)["text"].StringOr(""));
    if (method == "turn/start" && message["params"]["threadId"].StringOr("").size() > 1) {
      EXPECT_TRUE(adapter->Prompt(text).ok());
    } else if (method == "turn/interrupt") {
      adapter->Interrupt();
    } else if (method == "turn/steer") {
      adapter->Steer("m" + std::to_string(++steers), text);
    } else if (method.empty()) {
      ASSERT_FALSE(waiting.empty());
      const auto [id, elicitation] = waiting.front();
      waiting.erase(waiting.begin());
      const JsonValue result = message["result"];
      if (!elicitation) {
        const bool allow =
            result["decision"].StringOr("") == "accept" || result["action"].StringOr("") == "accept";
        adapter->Decide(id, {allow, "", ""});
      } else if (result["answers"]) {
        adapter->Answer(id, {ElicitationAnswer::Action::kAccept, R"({"Which one?":"A"})"});
      } else {
        adapter->Answer(id, {ElicitationAnswer::Action::kAccept, result["content"].Raw()});
      }
    }
  }

  Loop loop;
  RpcHost host{loop};
  HandedAdapter adapter;
  std::vector<std::pair<std::string, bool>> waiting;
  int steers = 0;
};

std::string ThreadOf(const std::string& name) {
  return name == "resume" ? "a-thread-of-an-earlier-process" : "";
}

class CodexRecordings : public ::testing::TestWithParam<const char*> {};

TEST_P(CodexRecordings, BecomeExactlyTheExpectedEvents) {
  Codex codex(ThreadOf(GetParam()));
  RpcRecording(std::string("codex-") + GetParam())
      .Play([&codex](std::string_view bytes) { codex.Say(bytes); },
            [&codex](const JsonValue& message) { codex.Act(message); }, false);
  codex.adapter->OnExited();
  if (std::getenv("UPDATE_GOLDEN")) WriteFile(Golden(GetParam()), codex.host.Text());
  EXPECT_EQ(codex.host.Text(), ReadFile(Golden(GetParam())));
  EXPECT_EQ(BrokenRule(codex.host.lines()), "");
}

TEST_P(CodexRecordings, AreTheSameHoweverTheStreamIsCut) {
  std::mt19937 random(1);
  for (size_t most : {1U, 7U, 100U, 5000U}) {
    Codex codex(ThreadOf(GetParam()));
    RpcRecording(std::string("codex-") + GetParam())
        .Play(
            [&](std::string_view bytes) {
              while (!bytes.empty()) {
                const size_t size = std::min(bytes.size(), 1 + random() % most);
                codex.Say(bytes.substr(0, size));
                bytes.remove_prefix(size);
              }
            },
            [&codex](const JsonValue& message) { codex.Act(message); }, false);
    codex.adapter->OnExited();
    EXPECT_EQ(codex.host.Text(), ReadFile(Golden(GetParam()))) << "pieces of up to " << most;
  }
}

TEST_P(CodexRecordings, AreTheSameAcrossHandoversAnywhere) {
  const RpcRecording recording(std::string("codex-") + GetParam());
  for (size_t most : {100U, 5000U, 1U << 30U}) {  // the last: after each line
    Codex codex(ThreadOf(GetParam()));
    recording.Play([&](std::string_view bytes) { codex.adapter.SayInPieces(bytes, most); },
                   [&](const JsonValue& message) {
                     codex.Act(message);
                     codex.adapter.HandOver();
                   },
                   false);
    codex.adapter->OnExited();
    EXPECT_EQ(codex.host.Text(), ReadFile(Golden(GetParam()))) << "pieces of up to " << most;
  }
}

TEST_P(CodexRecordings, KeepTheRulesWhereverTheyBreakOff) {
  const RpcRecording recording(std::string("codex-") + GetParam());
  for (size_t most = 0; most < recording.lines().size(); ++most) {
    Codex codex(ThreadOf(GetParam()));
    size_t said = 0;
    recording.Play(
        [&](std::string_view bytes) {
          if (said++ < most) codex.Say(bytes);
          if (said == most + 1) codex.Say(bytes.substr(0, bytes.size() / 2));
        },
        [&](const JsonValue& message) {
          if (said <= most && (message["method"] || !codex.waiting.empty())) codex.Act(message);
        },
        false);
    codex.adapter->OnExited();
    ASSERT_EQ(BrokenRule(codex.host.lines()), "") << "after line " << most;
  }
}

INSTANTIATE_TEST_SUITE_P(Codex, CodexRecordings, ::testing::ValuesIn(kRecordings));

// How turns end, apart from the golden files, which a careless update could spoil.
TEST(CodexTurns, BeginOnceAndEndOnceAsTheyDid) {
  const std::string completed = "> turn completed", cancelled = "> turn cancelled";
  const std::map<std::string, std::vector<std::string>> expected = {
      {"turn",
       {completed, completed, completed, cancelled, cancelled, cancelled,
        "> turn failed other: mock failure 400"}},
      {"abort", {cancelled}},
      {"hang", {cancelled}},
      {"subagent", {completed}},
      {"steer", {completed}},
      {"fail500",
       {"> turn failed internalServerError: We’re currently experiencing high demand, which may cause "
        "temporary errors."}},
  };
  for (const auto& [name, ends] : expected) {
    Codex codex;
    RpcRecording("codex-" + name)
        .Play([&codex](std::string_view bytes) { codex.Say(bytes); },
              [&codex](const JsonValue& message) { codex.Act(message); }, false);
    std::vector<std::string> seen;
    for (const std::string& line : codex.host.lines()) {
      if (line.substr(0, 7) == "> turn " && line != "> turn started") seen.push_back(line);
    }
    EXPECT_EQ(seen, ends) << name;
    EXPECT_EQ(codex.host.Count("> turn started"), ends.size()) << name;
  }
}

// --- what recordings do not have

constexpr const char* kAdopted[] = {R"({"id":1,"result":{}})", R"({"id":2,"result":{"thread":{"id":"t"}}})"};

class CodexTest : public ::testing::Test {
 protected:
  CodexTest() {
    for (const char* line : kAdopted) Say(line);
  }
  void Say(const std::string& line) { codex.Say(line + "\n"); }
  void Tell(const std::string& method, const std::string& params) {
    Say(R"({"method":")" + method + R"(","params":{"threadId":"t",)" + params + "}}");
  }
  void BeginTurn() {
    ASSERT_TRUE(codex.adapter->Prompt("go").ok());
    Say(R"({"id":3,"result":{"turn":{"id":"u"}}})");
    Tell("turn/started", R"("turn":{"id":"u"})");
    codex.host.Clear();
  }
  void EndTurn() { Tell("turn/completed", R"("turn":{"id":"u","status":"completed"})"); }
  std::vector<std::string> Lines() { return codex.host.lines(); }

  Codex codex;
};

TEST_F(CodexTest, SaysWhyThereIsNoThread) {
  Codex refused;
  refused.Say("{\"id\":1,\"error\":{\"code\":-32000,\"message\":\"log in first\"}}\n");
  EXPECT_TRUE(refused.host.Has("> broken handshake_failed: codex: initialize: log in first"));
  Codex nameless;
  nameless.Say("{\"id\":1,\"result\":{}}\n{\"id\":2,\"result\":{}}\n");
  EXPECT_TRUE(nameless.host.Has("> broken handshake_failed: codex: the thread has no id"));
  EXPECT_FALSE(nameless.host.Has("> ready"));
}

TEST_F(CodexTest, BeginsAnewWhenTheThreadIsLost) {
  Codex resumed("lost");
  resumed.Say("{\"id\":1,\"result\":{}}\n");
  EXPECT_TRUE(resumed.host.Has(R"(> stdin {"jsonrpc":"2.0","id":2,"method":"thread/resume")"));
  resumed.Say("{\"id\":2,\"error\":{\"code\":-32600,\"message\":\"no rollout found\"}}\n");
  EXPECT_TRUE(resumed.host.Has(R"(agent.error {"code":"session_lost")"));
  EXPECT_FALSE(resumed.host.Has("> ready"));
  resumed.Say("{\"id\":3,\"result\":{\"thread\":{\"id\":\"t\"}}}\n");
  EXPECT_TRUE(resumed.host.Has("> ready"));
}

TEST_F(CodexTest, AppendsItsSubcommandAndLeavesAConfiguredPolicyAlone) {
  Codex configured;
  SpawnSpec spawn;
  spawn.argv = {"codex", "-c", "approval_policy=\"never\""};
  ASSERT_TRUE(configured.adapter->Prepare(spawn).ok());
  EXPECT_THAT(spawn.argv, ElementsAre("codex", "-c", "approval_policy=\"never\"", "app-server"));
  EXPECT_TRUE(spawn.stdin_pipe);
  ASSERT_TRUE(configured.adapter->Prepare(spawn).ok());
  EXPECT_EQ(spawn.argv.size(), 4U);
  configured.Say("{\"id\":1,\"result\":{}}\n");
  EXPECT_THAT(configured.host.lines().back(), HasSubstr("thread/start"));
  EXPECT_THAT(configured.host.lines().back(), ::testing::Not(HasSubstr("approvalPolicy")));
}

TEST_F(CodexTest, GoesBackToItsOwnModel) {
  Codex one;
  one.Say("{\"id\":1,\"result\":{}}\n");
  one.Say("{\"id\":2,\"result\":{\"thread\":{\"id\":\"h\"},\"model\":\"own\"}}\n");
  EXPECT_EQ(one.adapter->OwnModel(), "own");
  ASSERT_TRUE(one.adapter->Prompt("first").ok());
  EXPECT_EQ(one.host.lines().back().find("\"model\""), std::string::npos);
  auto end = [&one](const std::string& call) {
    one.Say("{\"id\":" + call + ",\"result\":{\"turn\":{\"id\":\"t\"}}}\n");
    one.Say("{\"method\":\"turn/started\",\"params\":{\"threadId\":\"h\",\"turn\":{\"id\":\"t\"}}}\n");
    one.Say(
        "{\"method\":\"turn/completed\",\"params\":{\"threadId\":\"h\",\"turn\":{\"id\":\"t\","
        "\"status\":\"completed\"}}}\n");
  };
  end("3");
  one.host.spec().model = "other";
  ASSERT_TRUE(one.adapter->Prompt("second").ok());
  EXPECT_THAT(one.host.lines().back(), HasSubstr(R"("model":"other")"));
  end("4");
  one.host.spec().model.clear();
  ASSERT_TRUE(one.adapter->Prompt("third").ok());
  EXPECT_THAT(one.host.lines().back(), HasSubstr(R"("model":"own")"));
}

TEST_F(CodexTest, APromptThatIsRefusedIsATurnThatFailed) {
  ASSERT_TRUE(codex.adapter->Prompt("go").ok());
  Say(R"({"id":3,"error":{"code":-32600,"message":"no such model"}})");
  EXPECT_EQ(Lines().back(), "> turn failed prompt_refused: codex: no such model");
}

TEST_F(CodexTest, ATurnThatFailsBeforeItBeginsHasABeginning) {
  ASSERT_TRUE(codex.adapter->Prompt("go").ok());
  codex.host.Clear();
  Say(R"({"id":3,"result":{"turn":{"id":"u"}}})");
  Tell("turn/completed", R"("turn":{"id":"u","status":"failed","error":{"message":"no"}})");
  EXPECT_THAT(Lines(), ElementsAre("> turn started", "> session t", "> turn failed other: no"));
}

TEST_F(CodexTest, AnInterruptBeforeTheTurnWaitsForIt) {
  ASSERT_TRUE(codex.adapter->Prompt("go").ok());
  codex.host.Clear();
  codex.adapter->Interrupt();
  Say(R"({"id":3,"result":{"turn":{"id":"u"}}})");
  EXPECT_THAT(Lines(), ::testing::IsEmpty());
  Tell("turn/started", R"("turn":{"id":"u"})");
  EXPECT_EQ(
      Lines().back(),
      R"(> stdin {"jsonrpc":"2.0","id":4,"method":"turn/interrupt","params":{"threadId":"t","turnId":"u"}})");
}

TEST_F(CodexTest, AnInterruptReachesSubAgents) {
  BeginTurn();
  Say(R"({"method":"turn/started","params":{"threadId":"c","turn":{"id":"v"}}})");
  EndTurn();
  EXPECT_FALSE(codex.host.Has("> turn completed"));
  codex.adapter->Interrupt();
  EXPECT_THAT(Lines().back(), HasSubstr(R"("threadId":"c","turnId":"v")"));
  Say(R"({"method":"turn/completed","params":{"threadId":"c","turn":{"id":"v","status":"interrupted"}}})");
  EXPECT_EQ(Lines().back(), "> turn completed");  // ours was
}

TEST_F(CodexTest, LeavesAtTheEndOfItsInputOnceItsTurnIsOver) {
  BeginTurn();
  EXPECT_FALSE(codex.adapter->PrepareStop());
  EXPECT_TRUE(codex.host.Has(R"(> stdin {"jsonrpc":"2.0","id":4,"method":"turn/interrupt")"));
  EXPECT_FALSE(codex.host.Has("> stdin closed"));
  Tell("turn/completed", R"("turn":{"id":"u","status":"interrupted"})");
  EXPECT_THAT(Lines().back(), "> stdin closed");
  codex.adapter->OnExited();
  EXPECT_FALSE(codex.host.Has("> stop prepared"));  // it goes by itself
  EXPECT_EQ(codex.host.Count("> stdin closed"), 1U);
}

TEST_F(CodexTest, WhatWaitsWhenATurnEndsIsNoLongerAnswered) {
  BeginTurn();
  Say(R"({"id":"q","method":"item/commandExecution/requestApproval","params":{"threadId":"t","itemId":"i","command":"/bin/sh -c 'a'"}})");
  EXPECT_THAT(Lines(), ElementsAre(R"(tool.started {"call_id":"i","name":"bash","input":{"command":"a"}})",
                                   R"(> approval i-q bash {"command":"a"} i)"));
  EndTurn();
  EXPECT_EQ(Lines().back(), "> turn completed");
  codex.host.Clear();
  codex.adapter->Decide("i-q", {true, "", ""});
  EXPECT_THAT(Lines(), ::testing::IsEmpty());
}

// Rules are held against what is asked, not against what the call once said.
TEST_F(CodexTest, AnApprovalIsForWhatItSaysItself) {
  BeginTurn();
  auto ask = [this](int id, const std::string& what, const std::string& params) {
    Say(R"({"id":)" + std::to_string(id) + R"(,"method":"item/)" + what +
        R"(/requestApproval","params":{"threadId":"t",)" + params + "}}");
    return Lines().back();
  };
  Tell(
      "item/started",
      R"("item":{"type":"commandExecution","id":"c","command":"/bin/bash -lc 'git log'","cwd":"/w","status":"inProgress"})");
  EXPECT_EQ(ask(1, "commandExecution", R"("itemId":"c","command":"/bin/bash -lc 'git log'")"),
            R"(> approval c-1 bash {"command":"git log","cwd":"/w"} c)");
  EXPECT_EQ(ask(2, "commandExecution", R"("itemId":"c","command":"/bin/bash -lc 'rm -rf x'")"),
            R"(> approval c-2 bash {"command":"rm -rf x"} c)");
  // Its item's id may have been another's.
  EXPECT_EQ(ask(3, "fileChange", R"("itemId":"c")"), "> approval c-3 edit {} c");
  EXPECT_EQ(ask(4, "commandExecution", R"("itemId":"d")"), "> approval d-4 bash {} d");
  // A permission beyond the one call is neither a shell call nor an edit.
  EXPECT_THAT(ask(5, "fileChange", R"("itemId":"c","grantRoot":"/etc")"),
              HasSubstr("> approval c-5 request_permissions {"));
  EXPECT_THAT(ask(6, "commandExecution", R"("itemId":"c","kind":"network","command":"curl")"),
              HasSubstr("> approval c-6 request_permissions {"));
}

TEST_F(CodexTest, WhatCodexAnswersItselfIsGone) {
  BeginTurn();
  Say(R"({"id":5,"method":"item/permissions/requestApproval","params":{"threadId":"t","itemId":"i","cwd":"/d","permissions":{"network":{"enabled":true}},"reason":"to look"}})");
  EXPECT_EQ(Lines().back(),
            R"(> approval i-5 request_permissions {"permissions":{"network":{"enabled":true}},"cwd":"/d"} )");
  Tell("serverRequest/resolved", R"("requestId":5)");
  EXPECT_EQ(Lines().back(), "> approval gone i-5");
  Tell("serverRequest/resolved", R"("requestId":5)");
  EXPECT_EQ(codex.host.Count("> approval gone"), 1U);
}

TEST_F(CodexTest, GrantsThePermissionsThatWereAskedForOrNone) {
  BeginTurn();
  for (const char* id : {"5", "6"}) {
    Say(std::string(R"({"id":)") + id +
        R"(,"method":"item/permissions/requestApproval","params":{"threadId":"t","itemId":"i","permissions":{"network":{"enabled":true}}}})");
  }
  codex.adapter->Decide("i-5", {true, "", ""});
  EXPECT_EQ(
      Lines().back(),
      R"(> stdin {"jsonrpc":"2.0","id":5,"result":{"permissions":{"network":{"enabled":true}},"scope":"turn"}})");
  codex.adapter->Decide("i-6", {false, "", ""});
  EXPECT_EQ(Lines().back(), R"(> stdin {"jsonrpc":"2.0","id":6,"result":{"permissions":{},"scope":"turn"}})");
}

TEST_F(CodexTest, AQuestionMayBeDeclinedOrItsFormCancelled) {
  BeginTurn();
  Say(R"({"id":5,"method":"item/tool/requestUserInput","params":{"threadId":"t","itemId":"i","questions":[{"id":"a","header":"h","question":"q?","options":[{"label":"x"}]}]}})");
  EXPECT_EQ(
      Lines().back(),
      R"(> elicitation i-5 q? {"type":"object","properties":{"q?":{"title":"h","type":"string","enum":["x"],"enumNames":["x"]}},"required":["q?"]})");
  codex.adapter->Answer("i-5", {ElicitationAnswer::Action::kDecline, ""});
  EXPECT_EQ(Lines().back(), R"(> stdin {"jsonrpc":"2.0","id":5,"result":{"answers":{}}})");
  Say(R"({"id":6,"method":"mcpServer/elicitation/request","params":{"threadId":"t","turnId":"u","serverName":"s","mode":"url","message":"go to","url":"http://a/","elicitationId":"e"}})");
  EXPECT_EQ(Lines().back(), "> elicitation u-6 go to\nhttp://a/ {\"type\":\"object\",\"properties\":{}}");
  codex.adapter->Answer("u-6", {ElicitationAnswer::Action::kCancel, ""});
  EXPECT_EQ(Lines().back(), R"(> stdin {"jsonrpc":"2.0","id":6,"result":{"action":"cancel"}})");
}

TEST_F(CodexTest, RefusesWhatNobodyCanAnswerAndTellsOfIt) {
  BeginTurn();
  Say(R"({"id":5,"method":"item/tool/call","params":{"threadId":"t"}})");
  EXPECT_THAT(
      Lines(),
      ElementsAre(
          R"(agent.output {"stream":"stdout","json":{"method":"item/tool/call","params":{"threadId":"t"}}})",
          R"(> stdin {"jsonrpc":"2.0","id":5,"error":{"code":-32601,"message":"reeve does not support this method"}})"));
}

TEST_F(CodexTest, ShowsTheCommandThatTheShellIsGiven) {
  const std::map<std::string, std::string> expected = {
      {R"(./bash -lc 'git log')", R"(./bash -lc 'git log')"},
      {R"(/tmp/bin/bash -c ls)", R"(/tmp/bin/bash -c ls)"},
      {R"(/bin/bash -lc 'mkdir a')", "mkdir a"},
      {R"(/bin/bash -lc ls)", "ls"},
      {R"(bash -lc "echo 'a' \"b\"")", R"(echo 'a' "b")"},
      {R"(/usr/bin/zsh -lc 'it'\''s')", "it's"},
      {R"(/bin/bash -lc 'a' b)", R"(/bin/bash -lc 'a' b)"},
      {R"(/bin/bash -lc 'a)", R"(/bin/bash -lc 'a)"},
      {R"(python3 -c 'print(1)')", R"(python3 -c 'print(1)')"},
      {"bash", "bash"},
  };
  BeginTurn();
  int next = 0;
  for (const auto& [wrapped, plain] : expected) {
    JsonObject item;
    item.Set("type", "commandExecution").Set("id", std::to_string(next++)).Set("command", wrapped);
    Tell("item/started", "\"item\":" + item.Take());
    EXPECT_THAT(Lines().back(), HasSubstr(JsonObject().Set("command", plain).Take()));
  }
}

TEST_F(CodexTest, CountsTheUsageOfAResumedThreadFromThisTurnOn) {
  BeginTurn();
  Tell(
      "thread/tokenUsage/updated",
      R"("tokenUsage":{"total":{"inputTokens":1000,"outputTokens":100},"last":{"inputTokens":10,"outputTokens":1}})");
  EXPECT_EQ(Lines().back(), R"(usage.updated {"input_tokens":10,"output_tokens":1})");
}

TEST_F(CodexTest, TellsItsNameItsModelsAndAWarningOnce) {
  Tell("thread/name/updated", R"("threadName":"Name")");
  EXPECT_EQ(Lines().back(), R"(title.updated {"title":"Name"})");
  Tell("warning", R"("message":"careful")");
  Tell("warning", R"("message":"careful")");
  EXPECT_EQ(codex.host.Count("agent.error"), 1U);
  std::string models;
  codex.adapter->ListModels([&models](const Result<std::string>& list) { models = list.ok() ? *list : "?"; });
  Say(R"({"id":3,"result":{"data":[{"id":"x","model":"m-x","displayName":"X"}],"nextCursor":"c"}})");
  EXPECT_THAT(Lines().back(), HasSubstr(R"("method":"model/list","params":{"cursor":"c"})"));
  Say(R"({"id":4,"result":{"data":[{"id":"m-y"}],"nextCursor":null}})");
  if (HandingOver()) return;  // which ends the request that asked
  EXPECT_EQ(models, R"([{"id":"m-x","name":"X"},{"id":"m-y"}])");
}

TEST_F(CodexTest, WhoAsksForModelsHearsOfTheEnd) {
  std::string models;
  codex.adapter->ListModels(
      [&models](const Result<std::string>& list) { models = list.ok() ? *list : list.error().code; });
  codex.adapter->OnExited();
  if (HandingOver()) return;
  EXPECT_EQ(models, "models_unknown");
}

TEST_F(CodexTest, TakesAnyGarbage) {
  const std::string item = R"("item":{"type":"commandExecution","id":"i","command":"c"})";
  const std::vector<std::string> garbage = {
      "not json",
      R"({"method":"turn/started"})",
      R"({"method":"turn/started","params":[]})",
      R"({"method":"turn/started","params":{"threadId":7,"turn":"x"}})",
      R"({"method":"turn/completed","params":{"threadId":"nobody","turn":{"id":"x"}}})",
      R"({"method":"turn/completed","params":{"threadId":"t","turn":{"id":"another","status":"completed"}}})",
      R"({"method":"item/started","params":{}})",
      R"({"method":"item/started","params":{"threadId":"t",)" + item + "}}",
      R"({"method":"item/started","params":{"threadId":"t",)" + item + "}}",
      R"({"method":"item/completed","params":{"threadId":"t",)" + item + "}}",
      R"({"method":"item/completed","params":{"threadId":"t",)" + item + "}}",
      R"({"method":"item/commandExecution/outputDelta","params":{"itemId":"i","delta":"late"}})",
      R"({"method":"item/agentMessage/delta","params":{"itemId":"m","delta":""}})",
      R"({"method":"item/agentMessage/delta","params":{"itemId":"m","delta":{"a":1}}})",
      R"({"method":"item/agentMessage/delta","params":{"delta":"of nothing"}})",
      R"({"method":"item/completed","params":{"item":{"type":"reasoning","id":"r","summary":"x","content":[1,null]}}})",
      R"({"method":"item/completed","params":{"item":{"type":"fileChange","id":"f","changes":{"a":1},"status":"completed"}}})",
      R"({"method":"item/completed","params":{"item":{"type":"mcpToolCall","id":"c","arguments":"x","result":7}}})",
      R"({"method":"thread/tokenUsage/updated","params":{"tokenUsage":[]}})",
      R"({"method":"turn/plan/updated","params":{"plan":"x"}})",
      R"({"method":"error","params":{"willRetry":1,"error":"x"}})",
      R"({"method":"error","params":{"willRetry":true,"error":"x"}})",
      R"({"id":1,"method":"item/tool/requestUserInput","params":{"questions":[{"id":1},{}]}})",
      R"({"id":1,"method":"item/tool/requestUserInput","params":{"questions":[{"id":1},{}]}})",
      R"({"id":1,"method":"mcpServer/elicitation/request"})",
      R"({"id":3,"result":"x"})",
      R"({"id":3,"result":"x"})",
      R"({"id":4,"result":"x"})",
  };
  BeginTurn();
  SayGarbled(garbage, [this](const std::string& line) { Say(line); });
  EndTurn();
  codex.adapter->OnExited();
  EXPECT_EQ(BrokenRule(Lines()), "");
  EXPECT_TRUE(codex.host.Has("> turn completed"));
}

}  // namespace
}  // namespace reeve
