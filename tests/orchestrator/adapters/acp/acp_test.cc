// The recordings of a real agent that speaks ACP, kilo (fixtures/acp-*.jsonl), replayed: what becomes of
// them, whole, cut anywhere, and broken off after any line. After a wanted change: UPDATE_GOLDEN=1
// orchestrator_test, and read the difference.
#include "orchestrator/adapters/acp/acp.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
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
using ::testing::IsEmpty;
using ::testing::StartsWith;

constexpr const char* kRecordings[] = {"turn", "edit", "plan", "output", "fail500",
                                       "hang", "cut",  "load", "model"};

std::string Golden(const std::string& name) { return std::string(kFixtures) + "/acp-" + name + ".expected"; }

class Acp {
 public:
  explicit Acp(const std::string& resume = "", const std::string& cwd = "/somewhere")
      : adapter(host, MakeAcpAdapter(host, resume, "text"),
                [this] { return MakeAcpAdapter(host, "a session of another day"); }) {
    host.on_approval = [this](const ApprovalRequest& request) { waiting.push_back(request.id); };
    Start(cwd);
  }
  void Start(const std::string& cwd) {
    host.Clear();
    SpawnSpec spawn;
    spawn.argv = {"agent"};
    spawn.cwd = cwd;
    EXPECT_TRUE(adapter->Prepare(spawn).ok());
    EXPECT_TRUE(spawn.stdin_pipe);
    adapter->OnSpawned();
    adapter.Begin();
  }
  void Say(std::string_view bytes) { adapter->OnOutput(Child::Output::kStdout, bytes); }
  // Actions of a person, or of an agent for that person.
  void Act(const JsonValue& message) {
    const std::string_view method = message["method"].StringOr("");
    const JsonValue params = message["params"];
    if (method == "session/set_config_option" && params["value"].StringOr("") == "mock/mock-2") {
      host.spec().model = params["value"].StringOr("");
      EXPECT_TRUE(adapter->Prompt("hello").ok());
      modelled = true;
    } else if (method == "session/prompt" && params["sessionId"].StringOr("") != "nope") {
      if (std::exchange(modelled, false)) return;
      EXPECT_TRUE(adapter->Prompt(std::string(params["prompt"].At(0)["text"].StringOr(""))).ok());
    } else if (method == "session/cancel") {
      adapter->Interrupt();
    } else if (method.empty() && !waiting.empty()) {
      const std::string_view option = message["result"]["outcome"]["optionId"].StringOr("");
      if (!option.empty()) adapter->Decide(waiting.front(), {option == "once", "", ""});
      waiting.erase(waiting.begin());
    }
  }

  Loop loop;
  RpcHost host{loop};
  HandedAdapter adapter;
  std::vector<std::string> waiting;
  bool modelled = false;
};

class AcpRecordings : public ::testing::TestWithParam<const char*> {
 protected:
  AcpRecordings() {
    // The session that was loaded, if one was.
    recording.Play([](std::string_view) {},
                   [this](const JsonValue& message) {
                     if (message["method"].StringOr("") == "session/load") {
                       resume = message["params"]["sessionId"].StringOr("");
                     }
                   },
                   true);
  }
  const RpcRecording recording{std::string("acp-") + GetParam()};
  std::string resume;
};

TEST_P(AcpRecordings, BecomeExactlyTheExpectedEvents) {
  Acp acp(resume);
  recording.Play([&acp](std::string_view bytes) { acp.Say(bytes); },
                 [&acp](const JsonValue& message) { acp.Act(message); }, true);
  acp.adapter->OnExited();
  if (std::getenv("UPDATE_GOLDEN")) WriteFile(Golden(GetParam()), acp.host.Text());
  EXPECT_EQ(acp.host.Text(), ReadFile(Golden(GetParam())));
  EXPECT_EQ(BrokenRule(acp.host.lines()), "");
}

TEST_P(AcpRecordings, AreTheSameHoweverTheStreamIsCut) {
  std::mt19937 random(1);
  for (size_t most : {1U, 7U, 100U, 5000U}) {
    Acp acp(resume);
    recording.Play(
        [&](std::string_view bytes) {
          while (!bytes.empty()) {
            const size_t size = std::min(bytes.size(), 1 + random() % most);
            acp.Say(bytes.substr(0, size));
            bytes.remove_prefix(size);
          }
        },
        [&acp](const JsonValue& message) { acp.Act(message); }, true);
    acp.adapter->OnExited();
    EXPECT_EQ(acp.host.Text(), ReadFile(Golden(GetParam()))) << "pieces of up to " << most;
  }
}

TEST_P(AcpRecordings, AreTheSameAcrossHandoversAnywhere) {
  for (size_t most : {100U, 5000U, 1U << 30U}) {  // the last: after each line
    Acp acp(resume);
    recording.Play([&](std::string_view bytes) { acp.adapter.SayInPieces(bytes, most); },
                   [&](const JsonValue& message) {
                     acp.Act(message);
                     acp.adapter.HandOver();
                   },
                   true);
    acp.adapter->OnExited();
    EXPECT_EQ(acp.host.Text(), ReadFile(Golden(GetParam()))) << "pieces of up to " << most;
  }
}

TEST_P(AcpRecordings, KeepTheRulesWhereverTheyBreakOff) {
  for (size_t most = 0; most < recording.lines().size(); ++most) {
    Acp acp(resume);
    size_t said = 0;
    recording.Play(
        [&](std::string_view bytes) {
          if (said++ < most) acp.Say(bytes);
          if (said == most + 1) acp.Say(bytes.substr(0, bytes.size() / 2));
        },
        [&](const JsonValue& message) {
          if (said <= most) acp.Act(message);
        },
        true);
    acp.adapter->OnExited();
    ASSERT_EQ(BrokenRule(acp.host.lines()), "") << "after line " << most;
  }
}

INSTANTIATE_TEST_SUITE_P(Kilo, AcpRecordings, ::testing::ValuesIn(kRecordings));

// How turns end, apart from the golden files, which a careless update could spoil.
TEST(AcpTurns, EndOnceAsTheyDid) {
  const std::string completed = "> turn completed", cancelled = "> turn cancelled";
  const std::map<std::string, std::vector<std::string>> expected = {
      {"turn",
       {completed, completed, cancelled, cancelled,
        "> turn failed APIError: Internal error: mock failure 400"}},
      {"edit", {completed, completed, completed}},
      {"fail500", {cancelled}},
      {"hang", {cancelled}},
      {"model", {completed}},
  };
  for (const auto& [name, ends] : expected) {
    Acp acp;
    RpcRecording("acp-" + name)
        .Play([&acp](std::string_view bytes) { acp.Say(bytes); },
              [&acp](const JsonValue& message) { acp.Act(message); }, true);
    std::vector<std::string> seen;
    for (const std::string& line : acp.host.lines()) {
      if (line.substr(0, 7) == "> turn ") seen.push_back(line);
    }
    EXPECT_EQ(seen, ends) << name;
  }
}

// --- what recordings do not have

class AcpTest : public ::testing::Test {
 protected:
  void Say(const std::string& line) { acp.Say(line + "\n"); }
  void Adopt(const std::string& more = "") {
    Say(R"({"jsonrpc":"2.0","id":1,"result":{"protocolVersion":1,"agentCapabilities":{"loadSession":true}}})");
    Say(R"({"jsonrpc":"2.0","id":2,"result":{"sessionId":"s")" + more + "}}");
  }
  void BeginTurn() {
    Adopt();
    ASSERT_TRUE(acp.adapter->Prompt("go").ok());
    acp.host.Clear();
  }
  void Update(const std::string& update) {
    Say(R"({"jsonrpc":"2.0","method":"session/update","params":{"sessionId":"s","update":)" + update + "}}");
  }
  void Ask(const std::string& id, const std::string& options,
           const std::string& call = R"({"toolCallId":"c"})") {
    Say(R"({"jsonrpc":"2.0","id":)" + id +
        R"(,"method":"session/request_permission","params":{"sessionId":"s","toolCall":)" + call +
        R"(,"options":)" + options + "}}");
  }
  void EndTurn(const std::string& result = R"({"stopReason":"end_turn"})") {
    Say(R"({"jsonrpc":"2.0","id":3,"result":)" + result + "}");
  }
  const std::vector<std::string>& Lines() { return acp.host.lines(); }

  Acp acp;
};

TEST_F(AcpTest, SaysWhyThereIsNoSession) {
  Say(R"({"id":1,"result":{"protocolVersion":2}})");
  EXPECT_THAT(Lines().back(), StartsWith("> broken protocol_version: "));
  Acp login;
  login.Say(
      "{\"id\":1,\"result\":{\"protocolVersion\":1,\"authMethods\":[{\"id\":\"a\",\"name\":\"Log "
      "in\",\"description\":\"agent login\"}]}}\n");
  login.Say("{\"id\":2,\"error\":{\"code\":-32000,\"message\":\"Authentication required\"}}\n");
  EXPECT_EQ(login.host.lines().back(),
            "> broken auth_required: session/new: Authentication required; it offers: Log in (agent login)");
  Acp broken;
  broken.Say("{\"id\":1,\"error\":{\"code\":-32603,\"message\":\"no\"}}\n");
  EXPECT_EQ(broken.host.lines().back(), "> broken handshake_failed: initialize: no");
  Acp nameless;
  nameless.Say("{\"id\":1,\"result\":{\"protocolVersion\":1}}\n{\"id\":2,\"result\":{}}\n");
  EXPECT_THAT(nameless.host.lines().back(), StartsWith("> broken handshake_failed"));
}

TEST_F(AcpTest, BeginsAnewWhereASessionCannotBeLoaded) {
  Acp cannot("old");
  cannot.Say("{\"id\":1,\"result\":{\"protocolVersion\":1}}\n");
  EXPECT_TRUE(cannot.host.Has(R"(agent.error {"code":"session_lost")"));
  EXPECT_THAT(cannot.host.lines().back(), HasSubstr("session/new"));
  Acp lost("old");
  lost.Say("{\"id\":1,\"result\":{\"protocolVersion\":1,\"agentCapabilities\":{\"loadSession\":true}}}\n");
  EXPECT_THAT(lost.host.lines().back(), HasSubstr(R"("method":"session/load","params":{"sessionId":"old")"));
  lost.Say("{\"id\":2,\"error\":{\"code\":-32602,\"message\":\"gone\"}}\n");
  EXPECT_TRUE(lost.host.Has(R"(agent.error {"code":"session_lost")"));
  lost.Say("{\"id\":3,\"result\":{\"sessionId\":\"new\"}}\n");
  EXPECT_EQ(lost.host.lines().back(), "> ready");
}

TEST_F(AcpTest, EndsATurnAsTheAgentStopped) {
  const std::map<std::string, std::string> expected = {
      {R"({"stopReason":"end_turn"})", "> turn completed"},
      {R"({"stopReason":"cancelled"})", "> turn cancelled"},
      {R"({"stopReason":"max_tokens"})", "> turn failed max_tokens: the agent stopped: max_tokens"},
      {R"({"stopReason":"refusal"})", "> turn failed refusal: the agent stopped: refusal"},
      {R"({})", "> turn completed"},
      {"null", "> turn completed"},
  };
  for (const auto& [result, end] : expected) {
    Acp one;
    one.Say("{\"id\":1,\"result\":{\"protocolVersion\":1}}\n{\"id\":2,\"result\":{\"sessionId\":\"s\"}}\n");
    ASSERT_TRUE(one.adapter->Prompt("go").ok());
    one.Say(R"({"id":3,"result":)" + result + "}\n");
    EXPECT_EQ(one.host.lines().back(), end);
  }
}

TEST_F(AcpTest, WhateverComesAfterACancelIsACancelledTurn) {
  BeginTurn();
  acp.adapter->Interrupt();
  Say(R"({"id":3,"error":{"code":-32603,"message":"aborted"}})");
  EXPECT_EQ(Lines().back(), "> turn cancelled");
  ASSERT_TRUE(acp.adapter->Prompt("go on").ok());
  Say(R"({"id":4,"result":{"stopReason":"end_turn"}})");
  EXPECT_EQ(Lines().back(), "> turn completed");
}

TEST_F(AcpTest, ACancelAnswersWhatWaits) {
  BeginTurn();
  Ask("\"q\"", R"([{"optionId":"y","kind":"allow_once"}])",
      R"({"toolCallId":"c","title":"Run it","kind":"execute","rawInput":{"command":"ls"}})");
  EXPECT_THAT(Lines(), ElementsAre(R"(tool.started {"call_id":"c","name":"bash","input":{"command":"ls"}})",
                                   R"(> approval c-q bash {"command":"ls"} c)"));
  acp.host.Clear();
  acp.adapter->Interrupt();
  EXPECT_THAT(
      Lines(),
      ElementsAre(R"(> stdin {"jsonrpc":"2.0","method":"session/cancel","params":{"sessionId":"s"}})",
                  "> approval gone c-q",
                  R"(> stdin {"jsonrpc":"2.0","id":"q","result":{"outcome":{"outcome":"cancelled"}}})"));
  acp.host.Clear();
  acp.adapter->Decide("c-q", {true, "", ""});
  EXPECT_THAT(Lines(), IsEmpty());
  EndTurn(R"({"stopReason":"cancelled"})");
  EXPECT_THAT(
      Lines(),
      ElementsAre(
          R"(tool.failed {"call_id":"c","name":"bash","input":{"command":"ls"},"output":"the turn ended before the tool did"})",
          "> turn cancelled"));
}

constexpr const char* kOnce =
    R"([{"optionId":"once","kind":"allow_once"},{"optionId":"no","kind":"reject_once"}])";

// A title is anybody's words; what a call is for its kind says.
TEST_F(AcpTest, ATitleDoesNotMakeACommandATool) {
  BeginTurn();
  Ask("5", kOnce, R"({"toolCallId":"c","kind":"execute","title":"read","rawInput":{"command":"rm -rf x"}})");
  EXPECT_EQ(Lines().back(), R"(> approval c-5 bash {"command":"rm -rf x"} c)");
  Ask("6", kOnce, R"({"toolCallId":"d","kind":"edit","title":"bash","rawInput":{"path":"x"}})");
  EXPECT_EQ(Lines().back(), R"(> approval d-6 edit {"path":"x"} d)");
  Ask("7", kOnce, R"({"toolCallId":"e","kind":"edit","title":"write","rawInput":{"path":"x"}})");
  EXPECT_EQ(Lines().back(), R"(> approval e-7 write {"path":"x"} e)");
}

TEST_F(AcpTest, APermissionIsForWhatItSaysItself) {
  BeginTurn();
  Say(R"({"jsonrpc":"2.0","method":"session/update","params":{"sessionId":"s","update":{"sessionUpdate":"tool_call",)"
      R"("toolCallId":"c","title":"run","kind":"execute","status":"in_progress","rawInput":{"command":"git log","cwd":"/w"}}}})");
  Ask("5", kOnce, R"({"toolCallId":"c","kind":"execute","rawInput":{"command":"git log"}})");
  EXPECT_EQ(Lines().back(), R"(> approval c-5 bash {"command":"git log","cwd":"/w"} c)");
  Ask("6", kOnce, R"({"toolCallId":"c","kind":"execute","rawInput":{"command":"rm -rf ."}})");
  EXPECT_EQ(Lines().back(), R"(> approval c-6 bash {"command":"rm -rf ."} c)");
}

TEST_F(AcpTest, APermissionThatCrossesACancelIsCancelled) {
  BeginTurn();
  acp.adapter->Interrupt();
  acp.host.Clear();
  Ask("5", kOnce);
  EXPECT_THAT(Lines(), ElementsAre(HasSubstr(R"("id":5,"result":{"outcome":{"outcome":"cancelled"}})")));
}

TEST_F(AcpTest, ChoosesOptionsByTheirKindAndNoMoreThanWasAsked) {
  struct Case {
    std::string options;
    bool allow;
    std::string outcome;
  };
  const std::string all =
      R"([{"optionId":"1","kind":"reject_always"},{"optionId":"2","kind":"allow_always"},)"
      R"({"optionId":"3","kind":"allow_once"},{"optionId":"4","kind":"reject_once"}])";
  const std::vector<Case> cases = {
      {all, true, R"({"outcome":"selected","optionId":"3"})"},
      {all, false, R"({"outcome":"selected","optionId":"4"})"},
      {R"([{"optionId":"2","kind":"allow_always"}])", true, R"({"outcome":"selected","optionId":"2"})"},
      {R"([{"optionId":"2","kind":"allow_always"}])", false, R"({"outcome":"cancelled"})"},
      {R"("x")", true, R"({"outcome":"cancelled"})"},
  };
  BeginTurn();
  int id = 0;
  for (const Case& one : cases) {
    Ask(std::to_string(++id), one.options);
    acp.adapter->Decide("c-" + std::to_string(id), {one.allow, "", ""});
    EXPECT_THAT(Lines().back(), HasSubstr(R"("result":{"outcome":)" + one.outcome + "}"));
  }
}

TEST_F(AcpTest, EndsATextWhereSomethingElseBegins) {
  BeginTurn();
  Update(R"({"sessionUpdate":"agent_thought_chunk","messageId":"m","content":{"type":"text","text":"hm"}})");
  Update(R"({"sessionUpdate":"agent_message_chunk","messageId":"m","content":{"type":"text","text":"a"}})");
  Update(R"({"sessionUpdate":"agent_message_chunk","messageId":"m","content":{"type":"text","text":"b"}})");
  Update(
      R"({"sessionUpdate":"tool_call","toolCallId":"c","title":"t","kind":"read","status":"in_progress"})");
  Update(R"({"sessionUpdate":"agent_message_chunk","messageId":"m","content":{"type":"text","text":"c"}})");
  Update(R"({"sessionUpdate":"agent_message_chunk","messageId":"n","content":{"type":"text","text":"d"}})");
  EndTurn();
  EXPECT_THAT(
      Lines(),
      ElementsAre(
          R"(reasoning.delta {"message_id":"m-1","text":"hm"})",
          R"(reasoning.message {"message_id":"m-1","text":"hm"})",
          R"(assistant.delta {"message_id":"m","text":"a"})",
          R"(assistant.delta {"message_id":"m","text":"b"})",
          R"(assistant.message {"message_id":"m","text":"ab"})",
          R"(tool.started {"call_id":"c","name":"read","input":{"title":"t"}})",
          R"(assistant.delta {"message_id":"m-3","text":"c"})",
          R"(assistant.message {"message_id":"m-3","text":"c"})",
          R"(assistant.delta {"message_id":"n","text":"d"})",
          R"(assistant.message {"message_id":"n","text":"d"})",
          R"(tool.failed {"call_id":"c","name":"read","input":{"title":"t"},"output":"the turn ended before the tool did"})",
          "> turn completed"));
}

TEST_F(AcpTest, TextsWithoutIdsGetSomeAndImagesAreOutput) {
  BeginTurn();
  Update(R"({"sessionUpdate":"agent_message_chunk","content":{"type":"text","text":"a"}})");
  Update(R"({"sessionUpdate":"agent_message_chunk","content":{"type":"image","data":"x"}})");
  Update(R"({"sessionUpdate":"agent_message_chunk","content":{"type":"text","text":"b"}})");
  Update(R"({"sessionUpdate":"current_mode_update","currentModeId":"plan"})");
  EndTurn();
  ASSERT_EQ(Lines().size(), 6U);
  EXPECT_EQ(Lines()[0], R"(assistant.delta {"message_id":"text-1","text":"a"})");
  EXPECT_THAT(Lines()[1], HasSubstr(R"("type":"image")"));
  EXPECT_THAT(Lines()[3],
              StartsWith(R"(agent.output {"stream":"stdout","json":{"sessionUpdate":"current_mode_update")"));
  EXPECT_THAT(Lines()[4], HasSubstr(R"("text":"ab"})"));
}

TEST_F(AcpTest, TellsATitleAndWhatATurnCost) {
  BeginTurn();
  Update(R"({"sessionUpdate":"session_info_update","title":"T"})");
  Update(R"({"sessionUpdate":"session_info_update","title":"T"})");
  Update(R"({"sessionUpdate":"session_info_update","title":null})");
  Update(R"({"sessionUpdate":"usage_update","used":1,"size":2,"cost":{"amount":0.5,"currency":"USD"}})");
  EndTurn(
      R"({"stopReason":"end_turn","usage":{"inputTokens":10,"cachedReadTokens":5,"outputTokens":2,"thoughtTokens":1}})");
  EXPECT_THAT(Lines(), ElementsAre(R"(title.updated {"title":"T"})",
                                   R"(usage.updated {"input_tokens":15,"output_tokens":3,"cost_usd":0.5})",
                                   "> turn completed"));
}

TEST_F(AcpTest, SetsTheModelBeforeThePromptInEitherWay) {
  Adopt(R"(,"models":{"currentModelId":"a","availableModels":[{"modelId":"a","name":"A"},{"modelId":"b"}]})");
  std::string models;
  acp.adapter->ListModels([&models](const Result<std::string>& list) { models = list.ok() ? *list : "?"; });
  EXPECT_EQ(models, R"([{"id":"a","name":"A"},{"id":"b"}])");
  acp.host.spec().model = "b";
  acp.host.Clear();
  ASSERT_TRUE(acp.adapter->Prompt("go").ok());
  EXPECT_THAT(
      Lines(),
      ElementsAre(
          R"(> stdin {"jsonrpc":"2.0","id":3,"method":"session/set_model","params":{"sessionId":"s","modelId":"b"}})"));
  Say(R"({"id":3,"result":{}})");
  EXPECT_THAT(Lines().back(), HasSubstr(R"("id":4,"method":"session/prompt")"));
  Say(R"({"id":4,"result":{"stopReason":"end_turn"}})");
  ASSERT_TRUE(acp.adapter->Prompt("again").ok());  // it is set
  EXPECT_THAT(Lines().back(), HasSubstr(R"("id":5,"method":"session/prompt")"));

  Acp grouped;
  grouped.Say("{\"id\":1,\"result\":{\"protocolVersion\":1}}\n");
  grouped.Say(
      R"({"id":2,"result":{"sessionId":"s","configOptions":[{"id":"m","category":"model","currentValue":"a",)"
      R"("options":[{"group":"g","name":"G","options":[{"value":"a","name":"A"}]},{"value":"b","name":"B"}]}]}})"
      "\n");
  grouped.adapter->ListModels(
      [&models](const Result<std::string>& list) { models = list.ok() ? *list : "?"; });
  EXPECT_EQ(models, R"([{"id":"a","name":"A"},{"id":"b","name":"B"}])");
  grouped.host.spec().model = "no";
  ASSERT_TRUE(grouped.adapter->Prompt("go").ok());
  EXPECT_THAT(grouped.host.lines().back(),
              HasSubstr(R"("params":{"sessionId":"s","configId":"m","value":"no"})"));
  grouped.Say("{\"id\":3,\"error\":{\"code\":-32602,\"message\":\"unknown\"}}\n");
  EXPECT_EQ(grouped.host.lines().back(), "> turn failed model_refused: no: unknown");
}

TEST_F(AcpTest, GoesBackToItsOwnModel) {
  Adopt(R"(,"models":{"currentModelId":"a","availableModels":[{"modelId":"a"},{"modelId":"b"}]})");
  EXPECT_EQ(acp.adapter->OwnModel(), "a");
  acp.host.spec().model = "b";
  ASSERT_TRUE(acp.adapter->Prompt("go").ok());
  Say(R"({"id":3,"result":{}})");
  Say(R"({"id":4,"result":{"stopReason":"end_turn"}})");
  acp.host.spec().model.clear();
  ASSERT_TRUE(acp.adapter->Prompt("again").ok());
  EXPECT_THAT(Lines().back(), HasSubstr(R"("params":{"sessionId":"s","modelId":"a"})"));
  EXPECT_EQ(acp.adapter->OwnModel(), "a");
}

TEST_F(AcpTest, WithoutAChoiceOfModelsNoneCanBeAskedFor) {
  Adopt();
  acp.host.spec().model = "b";
  EXPECT_EQ(acp.adapter->Prompt("go").error().code, "not_supported");
  std::string why;
  acp.adapter->ListModels([&why](const Result<std::string>& list) { why = list.error().code; });
  EXPECT_EQ(why, "not_supported");
}

TEST_F(AcpTest, AnInterruptWhileTheModelIsSetSendsNoPrompt) {
  Adopt(R"(,"models":{"currentModelId":"a","availableModels":[]})");
  acp.host.spec().model = "b";
  ASSERT_TRUE(acp.adapter->Prompt("go").ok());
  acp.adapter->Interrupt();
  Say(R"({"id":3,"result":{}})");
  EXPECT_EQ(Lines().back(), "> turn cancelled");
  EXPECT_FALSE(acp.host.Has(R"(> stdin {"jsonrpc":"2.0","id":4)"));
}

TEST_F(AcpTest, LeavesAtTheEndOfItsInputOnceItsTurnIsOver) {
  BeginTurn();
  EXPECT_FALSE(acp.adapter->PrepareStop());
  EXPECT_THAT(Lines().back(), HasSubstr("session/cancel"));
  EndTurn(R"({"stopReason":"cancelled"})");
  EXPECT_EQ(Lines().back(), "> stdin closed");
  acp.adapter->OnExited();
  EXPECT_FALSE(acp.host.Has("> stop prepared"));  // it goes by itself
  EXPECT_EQ(acp.host.Count("> stdin closed"), 1U);
}

// Its cost is a running sum: of a turn that goes on with an old session nobody knows but what comes after the
// first.
TEST_F(AcpTest, WhatALoadedSessionHasCostIsNotItsNextTurns) {
  Acp loaded("s");
  loaded.Say("{\"id\":1,\"result\":{\"protocolVersion\":1,\"agentCapabilities\":{\"loadSession\":true}}}\n");
  loaded.Say("{\"id\":2,\"result\":null}\n");
  ASSERT_TRUE(loaded.adapter->Prompt("go").ok());
  loaded.host.Clear();
  for (const char* amount : {"20", "20.5"}) {
    loaded.Say(
        std::string(
            R"({"method":"session/update","params":{"sessionId":"s","update":{"sessionUpdate":"usage_update","cost":{"currency":"USD","amount":)") +
        amount + "}}}}\n");
  }
  loaded.Say(R"({"id":3,"result":{"stopReason":"end_turn","usage":{"inputTokens":10,"outputTokens":2}}})"
             "\n");
  EXPECT_EQ(loaded.host.lines().front(),
            R"(usage.updated {"input_tokens":10,"output_tokens":2,"cost_usd":0.5})");
}

TEST_F(AcpTest, WhatIsSaidWhileASessionIsLoadedIsItsPast) {
  Acp loaded("s");
  loaded.Say("{\"id\":1,\"result\":{\"protocolVersion\":1,\"agentCapabilities\":{\"loadSession\":true}}}\n");
  loaded.host.Clear();
  loaded.Say(
      R"({"method":"session/update","params":{"sessionId":"s","update":{"sessionUpdate":"agent_message_chunk","content":{"type":"text","text":"old"}}}})"
      "\n");
  EXPECT_THAT(loaded.host.lines(), IsEmpty());
  loaded.Say("{\"id\":2,\"result\":null}\n");
  EXPECT_THAT(loaded.host.lines(), ElementsAre("> ready"));
}

TEST_F(AcpTest, DoesWithFilesOnlyWhatItWasGranted) {
  BeginTurn();
  Say(R"({"id":9,"method":"fs/read_text_file","params":{"sessionId":"s","path":"/etc/passwd"}})");
  EXPECT_THAT(
      Lines(),
      ElementsAre(
          R"(> stdin {"jsonrpc":"2.0","id":9,"error":{"code":-32601,"message":"reeve does not support this method"}})"));
  Say(R"({"id":9,"method":"terminal/create","params":{"sessionId":"s","command":"ls"}})");
  EXPECT_THAT(Lines().back(), HasSubstr("-32601"));
  EXPECT_TRUE(acp.host.Has(R"(agent.output {"stream":"stdout","json":{"method":"terminal/create")"));
}

TEST_F(AcpTest, ReadsAndWritesTheFilesOfItsFolder) {
  const TempDir folder;
  acp.host.spec().kind_options["fs"] = "true";
  acp.Start(folder.path());
  EXPECT_THAT(Lines().back(),
              HasSubstr(R"("fs":{"readTextFile":true,"writeTextFile":true},"terminal":false)"));
  BeginTurn();
  const std::string file = folder.path() + "/a.txt";
  auto ask = [this](const std::string& method, const std::string& path, const std::string& more) {
    Say(R"({"id":9,"method":"fs/)" + method + R"(","params":{"sessionId":"s","path":")" + path + "\"" + more +
        "}}");
    return Lines().back();
  };
  EXPECT_EQ(ask("write_text_file", file, R"(,"content":"one\ntwo\nthree\nfour")"),
            R"(> stdin {"jsonrpc":"2.0","id":9,"result":{}})");
  EXPECT_EQ(ReadFile(file), "one\ntwo\nthree\nfour");
  EXPECT_THAT(ask("read_text_file", file, ""), HasSubstr(R"({"content":"one\ntwo\nthree\nfour"})"));
  EXPECT_THAT(ask("read_text_file", file, R"(,"line":2,"limit":2)"),
              HasSubstr(R"({"content":"two\nthree\n"})"));
  EXPECT_THAT(ask("read_text_file", file, R"(,"line":4)"), HasSubstr(R"({"content":"four"})"));
  EXPECT_THAT(ask("read_text_file", file, R"(,"line":9)"), HasSubstr(R"({"content":""})"));
  EXPECT_THAT(ask("read_text_file", "/etc/passwd", ""), HasSubstr("not below"));
  EXPECT_THAT(ask("write_text_file", folder.path() + "/../b", R"(,"content":"")"), HasSubstr("leads out of"));
  EXPECT_THAT(ask("write_text_file", file, ""), HasSubstr("no content"));
}

TEST_F(AcpTest, TakesAnyGarbage) {
  const std::string call = R"({"sessionUpdate":"tool_call_update","toolCallId":"c",)";
  const std::vector<std::string> garbage = {
      "not json",
      R"({"method":"session/update"})",
      R"({"method":"session/update","params":[]})",
      R"({"method":"session/update","params":{"sessionId":7,"update":"x"}})",
      R"({"method":"session/update","params":{"sessionId":"another","update":{}}})",
      R"({"method":"session/update","params":{"sessionId":"s","update":)" + call +
          R"("status":"in_progress"}}})",
      R"({"method":"session/update","params":{"sessionId":"s","update":)" + call +
          R"("status":"completed"}}})",
      R"({"method":"session/update","params":{"sessionId":"s","update":)" + call +
          R"("status":7,"content":"x"}}})",
      R"({"method":"session/update","params":{"sessionId":"s","update":)" + call +
          R"("status":"completed","content":[{"type":"diff","path":"p","oldText":null,"newText":"a\n"},{"type":"diff"},7]}}})",
      R"({"method":"session/update","params":{"sessionId":"s","update":{"sessionUpdate":"tool_call"}}})",
      R"({"method":"session/update","params":{"sessionId":"s","update":{"sessionUpdate":"plan","entries":"x"}}})",
      R"({"method":"session/update","params":{"sessionId":"s","update":{"sessionUpdate":"agent_message_chunk","content":[]}}})",
      R"({"method":"session/update","params":{"sessionId":"s","update":{"sessionUpdate":"agent_message_chunk","content":{"type":"text","text":"t"}}}})",
      R"({"method":"session/update","params":{"sessionId":"s","update":{"sessionUpdate":"agent_thought_chunk","messageId":"m","content":{"type":"text","text":"t"}}}})",
      R"({"id":5,"method":"session/request_permission"})",
      R"({"id":5,"method":"session/request_permission","params":{"toolCall":{"toolCallId":"c"},"options":{"a":1}}})",
      R"({"id":6,"method":"session/request_permission","params":{"toolCall":{"toolCallId":"d"},"options":[{"kind":"allow_once"}]}})",
      R"({"id":7,"method":"terminal/create"})",
      R"({"id":1,"result":{}})",
      R"({"id":77,"result":{}})",
  };
  BeginTurn();
  SayGarbled(garbage, [this](const std::string& line) { Say(line); });
  EndTurn();
  acp.adapter->OnExited();
  EXPECT_EQ(BrokenRule(Lines()), "");
  EXPECT_TRUE(acp.host.Has("> turn completed"));
}

}  // namespace
}  // namespace reeve
