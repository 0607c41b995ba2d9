// The adapter against a server of the test's own (support/opencode_server.h): how it is started, made ready,
// prompted, interrupted, stopped; and what happens when its event stream breaks.
#include "orchestrator/adapters/opencode/opencode.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "process/sse_parser.h"
#include "process/timer.h"
#include "tests/support/loop_fixture.h"
#include "tests/support/opencode_server.h"
#include "tests/support/paths.h"
#include "tests/support/recording_host.h"
#include "tests/support/sanitized.h"

namespace reeve {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr OpencodeTiming kQuick = {.probe_ms = 100,
                                   .probe_again_ms = 5,
                                   .open_ms = 200,
                                   .silence_ms = 300,
                                   .backoff_min_ms = 1,
                                   .backoff_max_ms = 4,
                                   .sound_ms = 60'000,
                                   .close_ms = 50,
                                   .rest_ms = 20};

class OpencodeTest : public ::testing::Test {
 protected:
  OpencodeTest() {
    server.user = "kilo";
    server.directory = "%2Fhome%2Fann%2Fa%20b";
    host.on_committed = [this] {
      if (adapter) adapter->OnCommitted();
    };
  }
  ~OpencodeTest() override { EXPECT_THAT(server.wrong, ElementsAre()); }

  void Launch(const std::string& session = {}, const OpencodeFlavour& flavour = kKilo) {
    adapter = MakeServerAdapter(host, session, flavour, timing);
    spawn = {};
    spawn.cwd = "/home/ann/a b";
    spawn.env = {"PATH=/bin"};
    ASSERT_TRUE(adapter->Prepare(spawn).ok());
    for (const std::string& entry : spawn.env) {
      const size_t at = entry.find("_SERVER_PASSWORD=");
      if (at != std::string::npos) server.password = entry.substr(at + 17);
    }
    adapter->OnSpawned();
    adapter->OnOutput(Child::Output::kStdout,
                      "kilo server listening on http://127.0.0.1:" + std::to_string(server.port()) + "\n");
  }
  // To another adapter, as of a new binary: all connections end.
  void HandOver() {
    const size_t told = host.lines().size();
    const std::string state = adapter->Save();
    auto json = JsonDocument::Parse(state);
    ASSERT_TRUE(json.ok());
    auto next = MakeServerAdapter(host, "a session of another day", kKilo, timing);
    const Status restored = next->Restore(json->root());
    ASSERT_TRUE(restored.ok()) << restored.error().message;
    EXPECT_EQ(next->Save(), state);
    adapter = std::move(next);
    EXPECT_EQ(host.lines().size(), told);
    adapter->Resume();
  }
  void Turn() {
    for (int turn = 0; turn < 20; ++turn) loop.RunOnce(false);
  }
  bool Until(const std::function<bool()>& condition) { return RunUntil(loop, condition); }
  bool UntilTold(const std::string& beginning, size_t times = 1) {
    return Until([this, &beginning, times] { return host.Count(beginning) >= times; });
  }
  bool UntilAsked(const std::string& beginning, size_t times = 1) {
    return Until([this, &beginning, times] { return server.Asked(beginning) >= times; });
  }
  void LaunchReady() {
    Launch();
    ASSERT_TRUE(UntilTold("> ready"));
  }
  // Says an event of our session.
  void Say(const std::string& type, const std::string& more = {}) {
    server.Say(R"({"type":")" + type + R"(","properties":{"sessionID":"ses_1")" +
               (more.empty() ? "" : "," + more) + "}}");
  }
  void SayBusy() { Say("session.status", R"("status":{"type":"busy"})"); }
  void SayIdle() { Say("session.status", R"("status":{"type":"idle"})"); }
  void SayTurn() {
    Say("session.turn.open");
    SayBusy();
  }
  void SayEnd(const std::string& reason = "completed") {
    SayIdle();
    Say("session.turn.close", R"("reason":")" + reason + '"');
  }
  void SayMessage(const std::string& id, int64_t created_ms) {
    Say("message.updated", R"("info":{"id":")" + id +
                               R"(","sessionID":"ses_1","role":"assistant","time":{"created":)" +
                               std::to_string(created_ms) + "}}");
  }
  void SayText(const std::string& message, const std::string& part, const std::string& text, bool whole) {
    Say("message.part.updated", R"("part":{"id":")" + part + R"(","messageID":")" + message +
                                    R"(","sessionID":"ses_1","type":"text","text":")" + text +
                                    R"(","time":{"start":1)" + (whole ? ",\"end\":2}}" : "}}"));
  }
  void SayDelta(const std::string& message, const std::string& part, const std::string& delta) {
    Say("message.part.delta", R"("messageID":")" + message + R"(","partID":")" + part +
                                  R"(","field":"text","delta":")" + delta + '"');
  }

  Loop loop;
  OpencodeTiming timing = kQuick;
  OpencodeServer server{loop};
  RecordingHost host{loop};
  SpawnSpec spawn;
  std::unique_ptr<Adapter> adapter;
};

// --- how it is started

TEST_F(OpencodeTest, TheCommandGetsItsSubcommandAndFlags) {
  adapter = MakeKiloAdapter(host, "");
  SpawnSpec bare;
  ASSERT_TRUE(adapter->Prepare(bare).ok());
  EXPECT_THAT(bare.argv, ElementsAre("kilo", "serve", "--hostname", "127.0.0.1", "--port", "0"));
  EXPECT_FALSE(bare.stdin_pipe);
  SpawnSpec given;
  given.argv = {"/opt/opencode", "serve", "--print-logs"};
  ASSERT_TRUE(MakeOpencodeAdapter(host, "")->Prepare(given).ok());
  EXPECT_THAT(given.argv, ElementsAre("/opt/opencode", "serve", "--print-logs", "--hostname", "127.0.0.1",
                                      "--port", "0"));
  for (const char* flag : {"--port", "--port=80", "--hostname=0.0.0.0"}) {
    SpawnSpec wrong;
    wrong.argv = {"kilo", "serve", flag};
    auto refused = adapter->Prepare(wrong);
    ASSERT_FALSE(refused.ok()) << flag;
    EXPECT_THAT(refused.error().message, HasSubstr(flag));
  }
}

TEST_F(OpencodeTest, AModelWithoutAProviderIsRefused) {
  for (const char* model : {"gpt", "/gpt", "openai/"}) {
    host.spec().model = model;
    SpawnSpec any;
    auto refused = MakeKiloAdapter(host, "")->Prepare(any);
    ASSERT_FALSE(refused.ok()) << model;
    EXPECT_THAT(refused.error().message, HasSubstr(model));
  }
}

TEST_F(OpencodeTest, TheEnvironmentHasAPasswordOfItsOwnAndNoSurprises) {
  auto environment = [this](const char* prefix, auto make) {
    SpawnSpec given;
    given.env = {std::string(prefix) + "_SERVER_PASSWORD=guess",
                 std::string(prefix) + "_DISABLE_AUTOUPDATE=0"};
    EXPECT_TRUE(make(host, "")->Prepare(given).ok());
    std::sort(given.env.begin(), given.env.end());
    return given.env;
  };
  const auto first = environment("KILO", MakeKiloAdapter);
  ASSERT_EQ(first.size(), 6u);
  EXPECT_EQ(first[0], "KILO_DISABLE_AUTOUPDATE=0");  // the spec's own wins
  EXPECT_EQ(first[1], "KILO_DISABLE_DEFAULT_PLUGINS=1");
  EXPECT_EQ(first[2], "KILO_DISABLE_LSP_DOWNLOAD=1");
  EXPECT_EQ(first[3], "KILO_DISABLE_MODELS_FETCH=1");
  EXPECT_EQ(first[4].size(), std::string("KILO_SERVER_PASSWORD=").size() + 64);
  EXPECT_EQ(first[5], "KILO_SERVER_USERNAME=kilo");
  EXPECT_NE(first[4], environment("KILO", MakeKiloAdapter)[4]);
  EXPECT_EQ(environment("OPENCODE", MakeOpencodeAdapter)[5], "OPENCODE_SERVER_USERNAME=opencode");
}

TEST_F(OpencodeTest, IsReadyOnceItsEventsAreHeardAndItsSessionExists) {
  host.spec().title = "my task";
  LaunchReady();
  EXPECT_THAT(server.requests(), ElementsAre("GET /global/health", "GET /event",
                                             ::testing::StartsWith(R"(POST /session {"title":"my task",)")));
  EXPECT_THAT(server.requests().back(),
              HasSubstr(R"({"permission":"plan_exit","pattern":"*","action":"deny"})"));
  EXPECT_THAT(host.lines(), ElementsAre("> session ses_1", "> ready"));
}

TEST_F(OpencodeTest, OnlyThePortIsTakenFromWhatItPrints) {
  adapter = MakeServerAdapter(host, "", kKilo, timing);
  ASSERT_TRUE(adapter->Prepare(spawn).ok());
  for (const std::string& entry : spawn.env) {
    if (entry.find("KILO_SERVER_PASSWORD=") == 0) server.password = entry.substr(21);
  }
  server.directory.clear();
  const std::string port = std::to_string(server.port());
  adapter->OnOutput(Child::Output::kStderr,
                    "Warning: listening\nkilo server listening on http://x:0\nkilo serv");
  adapter->OnOutput(Child::Output::kStdout,
                    "kilo server listening on http://evil.example:" + port + "\nmore\n");
  adapter->OnOutput(Child::Output::kStdout, "kilo server listening on http://127.0.0.1:1\nlast");
  ASSERT_TRUE(UntilTold("> ready"));
  adapter->OnExited();
  EXPECT_EQ(host.Count("agent.output"), 6u) << host.Text();
  EXPECT_TRUE(host.Has(R"(agent.output {"stream":"stderr","text":"Warning: listening"})"));
  EXPECT_TRUE(host.Has(R"(agent.output {"stream":"stdout","text":"more"})"));
  EXPECT_TRUE(host.Has(R"(agent.output {"stream":"stdout","text":"last","partial":true})"));
  EXPECT_EQ(host.Text().find(server.password), std::string::npos);
}

TEST_F(OpencodeTest, AServerThatAcceptsAndNeverAnswersIsProbedAgain) {
  server.mute = true;
  Launch();
  ASSERT_TRUE(UntilAsked("GET /global/health", 2));
  server.mute = false;
  EXPECT_TRUE(UntilTold("> ready"));
}

TEST_F(OpencodeTest, TheSessionIsNotMadeBeforeTheStreamSpeaks) {
  server.silent = true;
  Launch();
  ASSERT_TRUE(UntilAsked("GET /event", 2));  // the first said nothing in time
  EXPECT_EQ(server.Asked("POST /session"), 0u);
  EXPECT_FALSE(host.Has("> ready"));
  server.silent = false;
  EXPECT_TRUE(UntilTold("> ready"));
}

TEST_F(OpencodeTest, AKnownSessionIsResumedWithoutItsPast) {
  server.state().AddSession("ses_1", R"({"id":"ses_1","title":"old"})");
  SayMessage("msg_1", 1'000);
  SayText("msg_1", "prt_1", "long ago", true);
  Launch("ses_1");
  ASSERT_TRUE(UntilTold("> ready"));
  EXPECT_EQ(server.Asked("POST /session"), 0u);
  server.BreakStreams();
  ASSERT_TRUE(UntilAsked("GET /session/status"));
  ASSERT_TRUE(Until([this] { return server.listeners() == 1; }));
  SayTurn();
  SayMessage("msg_2", 2'000);
  SayText("msg_2", "prt_2", "now", true);
  SayEnd();
  ASSERT_TRUE(UntilTold("> turn completed"));
  EXPECT_EQ(host.Text().find("long ago"), std::string::npos);
  EXPECT_TRUE(host.Has("assistant.message"));
}

TEST_F(OpencodeTest, ASessionThatIsGoneIsReplacedAndSaidToBe) {
  Launch("ses_gone/../x");
  ASSERT_TRUE(UntilTold("> ready"));
  EXPECT_EQ(server.Asked("GET /session/ses_gone%2F..%2Fx"), 1u);
  EXPECT_TRUE(host.Has(R"(agent.error {"code":"session_lost")"));
  EXPECT_TRUE(host.Has("> session ses_1"));
}

TEST_F(OpencodeTest, AServerThatMakesNoSessionIsBroken) {
  server.refuse["/session"] = 500;
  Launch();
  ASSERT_TRUE(UntilTold("> broken"));
  EXPECT_THAT(host.lines().back(), HasSubstr("make a session: HTTP 500: not today"));
  EXPECT_FALSE(host.Has("> ready"));
}

// --- turns

TEST_F(OpencodeTest, APromptBecomesATurn) {
  host.spec().model = "mock/some/model";
  LaunchReady();
  ASSERT_TRUE(adapter->Prompt("say \"hi\"\n").ok());
  ASSERT_TRUE(UntilAsked("POST /session/ses_1/prompt_async"));
  EXPECT_EQ(server.requests().back(),
            R"(POST /session/ses_1/prompt_async {"parts":[{"type":"text","text":"say \"hi\"\n"}],)"
            R"("model":{"providerID":"mock","modelID":"some/model"},"snapshotInitialization":"wait"})");
  SayTurn();
  SayMessage("msg_1", 10);
  SayText("msg_1", "prt_1", "", false);
  SayDelta("msg_1", "prt_1", "hi");
  SayText("msg_1", "prt_1", "hi", true);
  SayEnd();
  ASSERT_TRUE(UntilTold("> turn completed"));
  EXPECT_THAT(host.lines(),
              ElementsAre("> session ses_1", "> ready", "> turn started",
                          R"(assistant.delta {"message_id":"prt_1","text":"hi"})",
                          R"(assistant.message {"message_id":"prt_1","text":"hi"})", "> turn completed"));
}

TEST_F(OpencodeTest, WithoutAModelTheServerChooses) {
  LaunchReady();
  ASSERT_TRUE(adapter->Prompt("x").ok());
  ASSERT_TRUE(UntilAsked("POST /session/ses_1/prompt_async"));
  EXPECT_EQ(server.requests().back().find("model"), std::string::npos);
}

TEST_F(OpencodeTest, ARefusedPromptIsAFailedTurnWithTheServersReason) {
  LaunchReady();
  server.refuse["/prompt_async"] = 400;
  ASSERT_TRUE(adapter->Prompt("x").ok());
  ASSERT_TRUE(UntilTold("> turn failed"));
  EXPECT_EQ(host.lines().back(), "> turn failed prompt_refused: kilo: HTTP 400: not today");
  server.refuse.clear();
  EXPECT_TRUE(adapter->Prompt("y").ok());
  EXPECT_TRUE(UntilAsked("POST /session/ses_1/prompt_async", 2));
}

TEST_F(OpencodeTest, OnePromptAtATime) {
  LaunchReady();
  server.mute = true;
  ASSERT_TRUE(adapter->Prompt("x").ok());
  EXPECT_EQ(adapter->Prompt("y").error().code, "busy");
}

TEST_F(OpencodeTest, APromptMayFollowFromWithinTheEndOfATurn) {
  LaunchReady();
  int more = 2;
  host.on_turn_ended = [this, &more] {
    if (more-- > 0) {
      EXPECT_TRUE(adapter->Prompt("again").ok());
    }
  };
  ASSERT_TRUE(adapter->Prompt("first").ok());
  for (size_t turn = 1; turn <= 3; ++turn) {
    ASSERT_TRUE(UntilAsked("POST /session/ses_1/prompt_async", turn));
    SayTurn();
    SayEnd();
    ASSERT_TRUE(UntilTold("> turn completed", turn));
  }
}

TEST_F(OpencodeTest, AnIdleServerThatNeverClosesItsTurnHasEndedIt) {
  LaunchReady();
  SayTurn();
  SayIdle();
  EXPECT_TRUE(UntilTold("> turn completed"));
}

TEST_F(OpencodeTest, ApprovalsAreAnsweredInTheServersWords) {
  LaunchReady();
  SayTurn();
  for (const char* id : {"per_1", "per_2", "per_3", "per_4"}) {
    Say("permission.asked",
        R"("id":")" + std::string(id) + R"(","permission":"bash","metadata":{"command":"ls"})");
  }
  ASSERT_TRUE(UntilTold("> approval per_4"));
  adapter->Decide("per_1", {true, "", ""});
  adapter->Decide("per_2", {true, "fine", ""});
  adapter->Decide("per_3", {false, "use \"ls\"", ""});
  adapter->Decide("per_4", {false, "", ""});
  adapter->Decide("per_4", {true, "", ""});
  adapter->Decide("per_9", {true, "", ""});
  ASSERT_TRUE(UntilAsked("POST /permission/", 4));
  for (const char* sent : {R"(POST /permission/per_1/reply {"reply":"once"})",
                           R"(POST /permission/per_2/reply {"reply":"once"})",
                           R"(POST /permission/per_3/reply {"reply":"reject","message":"use \"ls\""})",
                           R"(POST /permission/per_4/reply {"reply":"reject"})"}) {
    EXPECT_EQ(server.Asked(sent), 1u) << sent;
  }
}

TEST_F(OpencodeTest, AnApprovalIsNotHeldForLongWhenItsCallDoesNotCome) {
  LaunchReady();
  SayTurn();
  Say("permission.asked", R"("id":"per_1","permission":"bash","metadata":{"command":"ls"},)"
                          R"("tool":{"messageID":"msg_1","callID":"c1"})");
  EXPECT_TRUE(UntilTold("> approval per_1"));
}

TEST_F(OpencodeTest, QuestionsAreAnsweredInTheServersWords) {
  LaunchReady();
  SayTurn();
  for (const char* id : {"que_1", "que_2", "que_3"}) {
    Say("question.asked", R"("id":")" + std::string(id) + R"(","questions":[{"question":"Which?"}])");
  }
  EXPECT_TRUE(UntilTold("> elicitation", 3));
  using Action = ElicitationAnswer::Action;
  adapter->Answer("que_1", {Action::kAccept, R"({"Which?":"this"})"});
  adapter->Answer("que_1", {Action::kAccept, R"({"Which?":"that"})"});
  adapter->Answer("que_2", {Action::kDecline, ""});
  adapter->Answer("que_3", {Action::kCancel, ""});
  EXPECT_TRUE(UntilAsked("POST /question/", 3));
  EXPECT_THAT(std::vector<std::string>(server.requests().end() - 3, server.requests().end()),
              ::testing::UnorderedElementsAre(R"(POST /question/que_1/reply {"answers":[["this"]]})",
                                              "POST /question/que_2/reject", "POST /question/que_3/reject"));
}

TEST_F(OpencodeTest, WhatPassesIsThereForTheTranscript) {
  LaunchReady();
  EXPECT_TRUE(adapter->Prompt("hello").ok());
  SayTurn();
  Say("permission.asked", R"("id":"per_1","permission":"bash")");
  EXPECT_TRUE(UntilTold("> approval per_1"));
  adapter->Decide("per_1", {true, "", ""});
  server.Say(R"({"type":"server.heartbeat","properties":{}})");
  SayEnd();
  EXPECT_TRUE(UntilTold("> turn completed"));
  EXPECT_THAT(
      host.told,
      ElementsAre(HasSubstr(R"(POST /session/ses_1/prompt_async {"parts":[{"type":"text","text":"hello"}])"),
                  R"(POST /permission/per_1/reply {"reply":"once"})"));
  EXPECT_THAT(host.heard, ::testing::Contains(HasSubstr("permission.asked")));
  EXPECT_THAT(host.heard, ::testing::Not(::testing::Contains(HasSubstr("heartbeat"))));
}

TEST_F(OpencodeTest, TheModelMayChangeFromTurnToTurn) {
  LaunchReady();
  host.spec().model = "mock/two";
  EXPECT_TRUE(adapter->Prompt("x").ok());
  EXPECT_TRUE(UntilAsked("POST /session/ses_1/prompt_async"));
  EXPECT_THAT(server.requests().back(), HasSubstr(R"("model":{"providerID":"mock","modelID":"two"})"));
  SayTurn();
  SayEnd();
  EXPECT_TRUE(UntilTold("> turn completed"));
  host.spec().model = "two";
  EXPECT_FALSE(adapter->Prompt("x").ok());
}

// Without a model the server would take that of the last prompt.
TEST_F(OpencodeTest, GoesBackToTheServersOwnModel) {
  server.providers = R"({"providers":[{"id":"own","models":{"m":{}}}],"default":{"own":"m"}})";
  LaunchReady();
  host.spec().model = "mock/two";
  EXPECT_TRUE(adapter->Prompt("x").ok());
  EXPECT_TRUE(UntilAsked("POST /session/ses_1/prompt_async"));
  SayTurn();
  SayEnd();
  EXPECT_TRUE(UntilTold("> turn completed"));
  host.spec().model.clear();
  EXPECT_TRUE(adapter->Prompt("again").ok());
  EXPECT_TRUE(RunUntil(loop, [this] {
    return server.requests().back().find(R"("model":{"providerID":"own","modelID":"m"})") !=
           std::string::npos;
  }));
  EXPECT_EQ(adapter->OwnModel(), "own/m");
}

TEST_F(OpencodeTest, TheSystemPromptGoesWithEveryPrompt) {
  host.spec().system_prompt = "be \"kind\"";
  LaunchReady();
  EXPECT_TRUE(adapter->Prompt("x").ok());
  EXPECT_TRUE(UntilAsked("POST /session/ses_1/prompt_async"));
  EXPECT_THAT(server.requests().back(), HasSubstr(R"("system":"be \"kind\"")"));
}

TEST_F(OpencodeTest, TheModelsAreThoseOfItsProviders) {
  server.providers = R"({"providers":[{"id":"a","models":{"m/1":{"name":"One"},"m2":{}}},{"id":"b"}]})";
  std::vector<std::string> answers;
  auto take = [&answers](const Result<std::string>& models) {
    answers.push_back(models.ok() ? *models : models.error().code);
  };
  Launch();
  adapter->ListModels(take);
  adapter->ListModels(take);
  EXPECT_TRUE(Until([&answers] { return answers.size() == 2; }));
  const char* both = R"([{"id":"a/m/1","name":"One"},{"id":"a/m2","name":"m2"}])";
  EXPECT_THAT(answers, ElementsAre(both, both));
  EXPECT_EQ(server.Asked("GET /config/providers"), 1u);
  adapter->ListModels(take);
  adapter->OnExited();
  adapter->ListModels(take);
  EXPECT_THAT(answers, ElementsAre(both, both, "not_running", "not_running"));
}

TEST_F(OpencodeTest, ADecisionMadeFromWithinTheQuestionIsSent) {
  LaunchReady();
  host.on_approval = [this](const ApprovalRequest& request) { adapter->Decide(request.id, {true, "", ""}); };
  Say("permission.asked", R"("id":"per_1","permission":"bash")");
  EXPECT_TRUE(UntilAsked("POST /permission/per_1/reply"));
}

// --- interrupting and stopping

TEST_F(OpencodeTest, AnInterruptAbortsTheTurn) {
  LaunchReady();
  adapter->Interrupt();  // nothing to interrupt
  SayTurn();
  ASSERT_TRUE(UntilTold("> turn started"));
  adapter->Interrupt();
  ASSERT_TRUE(UntilAsked("POST /session/ses_1/abort"));
  SayEnd("interrupted");
  ASSERT_TRUE(UntilTold("> turn cancelled"));
  EXPECT_EQ(server.Asked("POST /session/ses_1/abort"), 1u);
}

// An abort between a prompt's acceptance and its turn finds nothing to abort, and the turn would run.
TEST_F(OpencodeTest, AnInterruptBeforeTheTurnBeginsAbortsItWhenItDoes) {
  LaunchReady();
  ASSERT_TRUE(adapter->Prompt("x").ok());
  adapter->Interrupt();
  ASSERT_TRUE(UntilAsked("POST /session/ses_1/prompt_async"));
  for (int turn = 0; turn < 20; ++turn) loop.RunOnce(false);
  EXPECT_EQ(server.Asked("POST /session/ses_1/abort"), 0u);
  SayTurn();
  ASSERT_TRUE(UntilAsked("POST /session/ses_1/abort"));
  SayEnd("interrupted");
  EXPECT_TRUE(UntilTold("> turn cancelled"));
}

TEST_F(OpencodeTest, AnInterruptOfAPromptThatWasNotSentTakesItBack) {
  LaunchReady();
  server.silent = true;
  server.BreakStreams();
  ASSERT_TRUE(UntilAsked("GET /event", 2));
  ASSERT_TRUE(adapter->Prompt("x").ok());
  adapter->Interrupt();
  EXPECT_EQ(host.lines().back(), "> turn cancelled");
  server.silent = false;
  ASSERT_TRUE(UntilAsked("GET /session/status"));
  for (int turn = 0; turn < 20; ++turn) loop.RunOnce(false);
  EXPECT_EQ(server.Asked("POST /session/ses_1/prompt_async"), 0u);
}

TEST_F(OpencodeTest, StoppingWaitsForTheTurnsEnd) {
  LaunchReady();
  SayTurn();
  ASSERT_TRUE(UntilTold("> turn started"));
  EXPECT_FALSE(adapter->PrepareStop());
  ASSERT_TRUE(UntilAsked("POST /session/ses_1/abort"));
  EXPECT_FALSE(host.Has("> stop prepared"));
  SayEnd("interrupted");
  EXPECT_TRUE(UntilTold("> stop prepared"));
  EXPECT_TRUE(host.Has("> turn cancelled"));
}

TEST_F(OpencodeTest, StoppingAtRestIsDoneAtOnce) {
  LaunchReady();
  EXPECT_FALSE(adapter->PrepareStop());
  EXPECT_EQ(host.Count("> stop prepared"), 1u);
  server.BreakStreams();
  ASSERT_TRUE(Until([this] { return server.listeners() == 0; }));
  for (int turn = 0; turn < 20; ++turn) loop.RunOnce(false);
  EXPECT_EQ(server.Asked("GET /event"), 1u);  // nobody wants to hear of it any more
  EXPECT_EQ(host.Count("> stop prepared"), 1u);
}

TEST_F(OpencodeTest, StoppingBeforeItIsReadyIsDoneAtOnce) {
  adapter = MakeKiloAdapter(host, "");
  EXPECT_FALSE(adapter->PrepareStop());
  EXPECT_TRUE(host.Has("> stop prepared"));
}

TEST_F(OpencodeTest, WhatADeadServerSaidIsToldToItsEnd) {
  LaunchReady();
  SayTurn();
  SayMessage("msg_1", 5);
  SayText("msg_1", "prt_1", "", false);
  SayDelta("msg_1", "prt_1", "half a");
  EXPECT_TRUE(UntilTold("assistant.delta"));
  adapter->OnExited();
  EXPECT_EQ(host.lines().back(), R"(assistant.message {"message_id":"prt_1","text":"half a"})");
}

TEST_F(OpencodeTest, NothingReachesAnAdapterThatHasGone) {
  LaunchReady();
  ASSERT_TRUE(adapter->Prompt("x").ok());
  SayTurn();
  server.BreakStreams();
  loop.RunOnce(false);
  adapter->OnExited();
  adapter.reset();
  const size_t told = host.lines().size();
  SayEnd();
  for (int turn = 0; turn < 50; ++turn) loop.RunOnce(false);
  EXPECT_EQ(host.lines().size(), told);
}

// --- breaks of the event stream

TEST_F(OpencodeTest, ABreakInATurnLosesNothingAndDoublesNothing) {
  LaunchReady();
  SayTurn();
  SayMessage("msg_1", 10);
  SayText("msg_1", "prt_1", "", false);
  SayDelta("msg_1", "prt_1", "one ");
  ASSERT_TRUE(UntilTold("assistant.delta"));
  server.BreakStreams();
  SayDelta("msg_1", "prt_1", "two ");
  ASSERT_TRUE(UntilAsked("GET /session/status"));
  ASSERT_TRUE(Until([this] { return server.listeners() == 1; }));
  SayDelta("msg_1", "prt_1", "three");
  SayText("msg_1", "prt_1", "one two three", true);
  SayEnd();
  ASSERT_TRUE(UntilTold("> turn completed"));
  host.Clear();
  EXPECT_EQ(server.Asked("GET /event"), 2u);
}

TEST_F(OpencodeTest, ATurnThatEndedWhileNobodyListenedEnds) {
  LaunchReady();
  SayTurn();
  ASSERT_TRUE(UntilTold("> turn started"));
  server.BreakStreams();
  SayMessage("msg_1", 10);
  SayText("msg_1", "prt_1", "done", true);
  SayEnd();
  ASSERT_TRUE(UntilTold("> turn completed"));
  EXPECT_THAT(host.lines(),
              ElementsAre("> session ses_1", "> ready", "> turn started",
                          R"(assistant.delta {"message_id":"prt_1","text":"done"})",
                          R"(assistant.message {"message_id":"prt_1","text":"done"})", "> turn completed"));
}

TEST_F(OpencodeTest, ATurnThatPassedWhileNobodyListenedIsToldWhole) {
  LaunchReady();
  ASSERT_TRUE(adapter->Prompt("x").ok());
  ASSERT_TRUE(UntilAsked("POST /session/ses_1/prompt_async"));
  server.BreakStreams();
  SayTurn();
  SayMessage("msg_1", 10);
  SayText("msg_1", "prt_1", "done", true);
  SayEnd();
  ASSERT_TRUE(UntilTold("> turn completed"));
  EXPECT_TRUE(host.Has("> turn started"));
  EXPECT_TRUE(host.Has("assistant.message"));
}

TEST_F(OpencodeTest, ATurnThatLeftNoTraceFailsInTheEnd) {
  LaunchReady();
  ASSERT_TRUE(adapter->Prompt("x").ok());
  ASSERT_TRUE(UntilAsked("POST /session/ses_1/prompt_async"));
  server.BreakStreams();
  ASSERT_TRUE(UntilTold("> turn failed no_turn"));
  EXPECT_GE(server.Asked("GET /session/status"), 2u);  // it looked again before it gave up
}

TEST_F(OpencodeTest, APromptDuringABreakWaitsForTheStream) {
  LaunchReady();
  server.silent = true;
  server.BreakStreams();
  ASSERT_TRUE(UntilAsked("GET /event", 2));
  ASSERT_TRUE(adapter->Prompt("x").ok());
  for (int turn = 0; turn < 20; ++turn) loop.RunOnce(false);
  EXPECT_EQ(server.Asked("POST /session/ses_1/prompt_async"), 0u);
  server.silent = false;
  EXPECT_TRUE(UntilAsked("POST /session/ses_1/prompt_async"));
}

TEST_F(OpencodeTest, AStreamThatEndsCleanlyIsOpenedAgain) {
  LaunchReady();
  server.CloseStreams();
  ASSERT_TRUE(UntilAsked("GET /event", 2));
  SayTurn();
  SayEnd();
  EXPECT_TRUE(UntilTold("> turn completed"));
}

TEST_F(OpencodeTest, ASilentStreamIsOpenedAgain) {
  LaunchReady();
  server.silent = true;  // not even a heartbeat
  ASSERT_TRUE(UntilAsked("GET /event", 2));
  server.silent = false;
  EXPECT_TRUE(UntilAsked("GET /session/status"));
}

TEST_F(OpencodeTest, HeartbeatsKeepAStreamOpen) {
  timing.silence_ms = 150;
  LaunchReady();
  Timer heart(loop, [this] { server.Say(R"({"type":"server.heartbeat","properties":{}})"); });
  heart.Start(20, 20);
  int beats = 0;
  Timer count(loop, [&beats] { ++beats; });
  count.Start(20, 20);
  ASSERT_TRUE(Until([&beats] { return beats > 20; }));
  EXPECT_EQ(server.Asked("GET /event"), 1u);
}

TEST_F(OpencodeTest, AStreamThatCannotBeKeptOpenIsTheEndOfIt) {
  LaunchReady();
  server.refuse["/event"] = 503;
  server.BreakStreams();
  ASSERT_TRUE(UntilTold("> broken stream_lost"));
  EXPECT_EQ(server.Asked("GET /event"), 10u);
  EXPECT_EQ(adapter->Prompt("x").error().code, "not_running");
  EXPECT_FALSE(adapter->PrepareStop());
  EXPECT_TRUE(host.Has("> stop prepared"));
}

TEST_F(OpencodeTest, AStreamThatClosesAgainAndAgainIsTheEndOfIt) {
  LaunchReady();
  Timer hangs_up(loop, [this] { server.CloseStreams(); });
  hangs_up.Start(1, 1);
  EXPECT_TRUE(UntilTold("> broken stream_lost"));
}

TEST_F(OpencodeTest, AServerThatCannotSayWhatWasMissedIsTheEndOfIt) {
  LaunchReady();
  server.refuse["/message"] = 500;
  server.BreakStreams();
  ASSERT_TRUE(UntilTold("> broken stream_lost"));
  EXPECT_THAT(host.lines().back(), HasSubstr("/message"));
}

TEST_F(OpencodeTest, AsManyMessagesAreAskedForAsWereMissed) {
  LaunchReady();
  SayTurn();
  SayMessage("msg_000", 1);
  SayText("msg_000", "prt_000", "heard", true);
  ASSERT_TRUE(UntilTold("assistant.message"));
  server.BreakStreams();
  for (int i = 1; i <= 100; ++i) {
    const std::string number = std::to_string(1000 + i).substr(1);
    SayMessage("msg_" + number, 1 + i);
    SayText("msg_" + number, "prt_" + number, "text " + number, true);
  }
  ASSERT_TRUE(UntilTold("assistant.message", 101));
  EXPECT_EQ(server.Asked("GET /session/ses_1/message?limit=20"), 1u);
  EXPECT_EQ(server.Asked("GET /session/ses_1/message?limit=80"), 1u);
  EXPECT_EQ(server.Asked("GET /session/ses_1/message?limit=320"), 1u);
  EXPECT_EQ(host.Count("assistant.message"), 101u);
}

TEST_F(OpencodeTest, AnApprovalAskedForDuringABreakIsOffered) {
  LaunchReady();
  SayTurn();
  ASSERT_TRUE(UntilTold("> turn started"));
  server.BreakStreams();
  Say("permission.asked", R"("id":"per_1","permission":"bash","metadata":{"command":"ls"})");
  ASSERT_TRUE(UntilTold("> approval per_1"));
  EXPECT_EQ(host.Count("> approval"), 1u);
}

TEST_F(OpencodeTest, ASubAgentMadeDuringABreakIsFollowed) {
  LaunchReady();
  SayTurn();
  SayMessage("msg_1", 1'000);
  ASSERT_TRUE(UntilTold("> turn started"));
  server.BreakStreams();
  server.Say(
      R"({"type":"session.created","properties":{"sessionID":"ses_2","info":{"id":"ses_2","parentID":"ses_1",)"
      R"("title":"sub","time":{"created":2000}}}})");
  server.Say(R"({"type":"session.status","properties":{"sessionID":"ses_2","status":{"type":"busy"}}})");
  server.Say(
      R"({"type":"permission.asked","properties":{"sessionID":"ses_2","id":"per_2","permission":"bash"}})");
  ASSERT_TRUE(UntilTold("> approval per_2"));
  EXPECT_TRUE(host.Has(R"(subagent.started {"session":"ses_2")"));
  EXPECT_EQ(server.Asked("GET /session/ses_2/message"), 1u);
}

TEST_F(OpencodeTest, WhatIsNotJsonIsPassedOnAsItIs) {
  LaunchReady();
  server.Say("this is not JSON");
  EXPECT_TRUE(UntilTold(R"(agent.output {"stream":"events","text":"this is not JSON"})"));
}

TEST_F(OpencodeTest, OpencodeIsDrivenTheSameWayUnderItsOwnName) {
  server.user = "opencode";
  Launch("", kOpencode);
  ASSERT_TRUE(UntilTold("> ready"));
  ASSERT_TRUE(adapter->Prompt("x").ok());
  ASSERT_TRUE(UntilAsked("POST /session/ses_1/prompt_async"));
  EXPECT_EQ(server.requests().back(),
            R"(POST /session/ses_1/prompt_async {"parts":[{"type":"text","text":"x"}]})");
  SayBusy();
  SayIdle();
  EXPECT_TRUE(UntilTold("> turn completed"));
}

// A whole recorded turn through the adapter, its stream broken before each event in turn.
TEST_F(OpencodeTest, ABreakBeforeTheSessionIsMadeMissesNothing) {
  timing.silence_ms = 60'000;  // no second break helps
  server.silent = true;
  Launch();
  ASSERT_TRUE(UntilAsked("GET /event"));
  server.BreakStreams();
  server.silent = false;
  ASSERT_TRUE(UntilTold("> ready"));
  SayTurn();
  Say("todo.updated", R"("todos":[{"content":"a","status":"pending"}])");
  EXPECT_TRUE(UntilTold("plan.updated"));
}

// --- the other side of the port

TEST_F(OpencodeTest, NothingIsSentToAServerThatIsNotItsOwn) {
  host.listener = Error{"foreign_listener", "another process listens there"};
  Launch();
  ASSERT_TRUE(UntilTold("> broken foreign_listener"));
  EXPECT_THAT(host.Text(), HasSubstr("another process listens there"));
  EXPECT_THAT(server.requests(), ElementsAre());
}

// The server has died behind a program that lives on, and another one has its port.
TEST_F(OpencodeTest, AServerWhosePortSomebodyElseTookGetsNothingMore) {
  LaunchReady();
  const size_t asked = server.requests().size();
  host.listener = Error{"foreign_listener", "another process listens there"};
  server.BreakStreams();
  ASSERT_TRUE(UntilTold("> broken stream_lost"));
  EXPECT_THAT(host.Text(), HasSubstr("another process listens there"));
  EXPECT_EQ(server.requests().size(), asked);
}

// --- back-pressure

// The agent pauses it when it has had its share of a turn of the loop. Nothing is lost by that.
TEST_F(OpencodeTest, AStreamIsNotReadWhileTheAgentTakesNoMore) {
  timing.silence_ms = kSanitized ? 5'000 : 1'000;  // longer than it takes to say all that follows
  LaunchReady();
  SayTurn();
  ASSERT_TRUE(UntilTold("> turn started"));
  SayMessage("msg_1", 1);
  SayText("msg_1", "prt_1", "", false);
  constexpr size_t kDeltas = 10'000;
  for (size_t i = 0; i < kDeltas; ++i) SayDelta("msg_1", "prt_1", "x");
  host.on_emit = [this] { adapter->PauseReading(true); };
  for (int share = 0; share < 3; ++share) {
    const size_t before = host.Count("assistant.delta");
    adapter->PauseReading(false);
    ASSERT_TRUE(Until([&] { return host.Count("assistant.delta") > before; }));
    Turn();
    EXPECT_LT(host.Count("assistant.delta"), before + 100);
  }
  // A stream that is not read is not silent either: it does not break.
  const int64_t now = loop.NowMs();
  ASSERT_TRUE(Until([&] { return loop.NowMs() > now + 3 * timing.silence_ms / 2; }));
  host.on_emit = nullptr;
  adapter->PauseReading(false);
  EXPECT_TRUE(UntilTold("assistant.delta", kDeltas));
  EXPECT_EQ(server.Asked("GET /event"), 1U);
}

// An agent that says much at once gets a share of each turn of the loop, as an Agent pauses and resumes it.
TEST_F(OpencodeTest, AnotherAgentGetsItsTurnWhileOneSaysMuch) {
  timing.silence_ms = 60'000;  // the quiet one says nothing for a while
  LaunchReady();
  SayTurn();
  ASSERT_TRUE(UntilTold("> turn started"));
  SayMessage("msg_1", 1);
  SayText("msg_1", "prt_1", "", false);
  OpencodeServer quiet_server(loop);
  quiet_server.directory = server.directory;
  RecordingHost quiet(loop);
  auto other = MakeServerAdapter(quiet, {}, kKilo, timing);
  SpawnSpec any;
  any.cwd = "/home/ann/a b";
  ASSERT_TRUE(other->Prepare(any).ok());
  for (const std::string& entry : any.env) {
    if (entry.find("KILO_SERVER_PASSWORD=") == 0) quiet_server.password = entry.substr(21);
  }
  other->OnOutput(Child::Output::kStdout,
                  "kilo server listening on http://127.0.0.1:" + std::to_string(quiet_server.port()) + "\n");
  ASSERT_TRUE(Until([&quiet] { return quiet.Has("> ready"); }));

  constexpr size_t kDeltas = 20'000;
  size_t share = 0;
  host.on_emit = [&] {
    if (++share == 50) adapter->PauseReading(true);
  };
  for (size_t i = 0; i < kDeltas; ++i) SayDelta("msg_1", "prt_1", "x");
  quiet_server.Say(R"({"type":"session.turn.open","properties":{"sessionID":"ses_1"}})");
  ASSERT_TRUE(Until([&] {
    share = 0;
    adapter->PauseReading(false);
    return quiet.Has("> turn started");
  })) << quiet.Text();
  EXPECT_LT(host.Count("assistant.delta"), kDeltas / 4);
  ASSERT_TRUE(Until([&] {
    share = 0;
    adapter->PauseReading(false);
    return host.Count("assistant.delta") == kDeltas;
  }));
}

// --- a handover to a new binary

TEST_F(OpencodeTest, AHandoverBeforeItIsReadyGoesOnFromThere) {
  adapter = MakeServerAdapter(host, "", kKilo, timing);
  spawn.cwd = "/home/ann/a b";
  ASSERT_TRUE(adapter->Prepare(spawn).ok());
  for (const std::string& entry : spawn.env) {
    if (entry.find("KILO_SERVER_PASSWORD=") == 0) server.password = entry.substr(21);
  }
  adapter->OnSpawned();
  adapter->OnOutput(Child::Output::kStderr, "half a \xff");
  adapter->OnOutput(Child::Output::kStdout, "kilo server listening on http://127.");
  HandOver();
  server.mute = true;
  adapter->OnOutput(Child::Output::kStdout, "0.0.1:" + std::to_string(server.port()) + "\n");
  ASSERT_TRUE(UntilAsked("GET /global/health"));
  HandOver();
  server.mute = false;
  server.silent = true;  // a stream without its first word
  ASSERT_TRUE(UntilAsked("GET /event"));
  HandOver();
  server.silent = false;
  ASSERT_TRUE(UntilTold("> ready"));
  EXPECT_EQ(server.Asked("POST /session"), 1u);
  adapter->OnOutput(Child::Output::kStderr, " line\n");
  EXPECT_EQ(host.lines().back(),
            R"(agent.output {"stream":"stderr","text":"aGFsZiBhIP8gbGluZQ==","encoding":"base64"})");
  HandOver();
  ASSERT_TRUE(UntilAsked("GET /session/status"));
  Turn();
  EXPECT_EQ(host.Count("> ready"), 1u);
  EXPECT_EQ(host.Count("> session"), 1u);
}

class OpencodeHandover : public OpencodeTest {
 protected:
  OpencodeHandover() { timing.silence_ms = 60'000; }
  // A prompt on its way: nobody knows whether the server has it.
  void PromptAndHandOver() {
    LaunchReady();
    server.mute = true;
    ASSERT_TRUE(adapter->Prompt("do it").ok());
    ASSERT_TRUE(UntilAsked("POST /session/ses_1/prompt_async"));
    HandOver();
    server.mute = false;
  }
  [[nodiscard]] size_t Prompts() const { return server.Asked("POST /session/ses_1/prompt_async"); }
};

// Otherwise the next daemon would not know of it, and send it again.
TEST_F(OpencodeHandover, APromptLeavesOnlyWhenItsTurnIsOnDisk) {
  LaunchReady();
  host.commits = false;
  ASSERT_TRUE(adapter->Prompt("do it").ok());
  Turn();
  EXPECT_EQ(Prompts(), 0u);
  adapter->OnCommitted();
  ASSERT_TRUE(Until([this] { return Prompts() == 1; }));
}

// A prompt that waited for the stream goes to the server without an event: the host must save that.
TEST_F(OpencodeHandover, APromptThatWaitedForTheStreamChangesTheState) {
  LaunchReady();
  server.silent = true;
  server.BreakStreams();
  ASSERT_TRUE(UntilAsked("GET /event", 2));
  ASSERT_TRUE(adapter->Prompt("x").ok());
  server.silent = false;
  std::string saved = adapter->Save();
  host.on_committed = [&] {
    saved = adapter->Save();
    adapter->OnCommitted();
  };
  ASSERT_TRUE(Until([this] { return Prompts() == 1; }));
  EXPECT_EQ(saved, adapter->Save());
}

TEST_F(OpencodeHandover, APromptThatTheServerTookIsNotSentAgain) {
  PromptAndHandOver();
  Say("message.updated", R"("info":{"id":"msg_0","sessionID":"ses_1","role":"user","time":{"created":4}})");
  ASSERT_TRUE(UntilTold("> turn failed no_turn"));  // and it began no turn
  EXPECT_EQ(Prompts(), 1u);
}

TEST_F(OpencodeHandover, ATurnThatBeganMeanwhileIsTheOneThatWasPromptedFor) {
  PromptAndHandOver();
  SayTurn();
  SayMessage("msg_1", 5);
  SayText("msg_1", "prt_1", "done", true);
  SayEnd();
  ASSERT_TRUE(UntilTold("> turn completed"));
  EXPECT_EQ(host.Count("assistant.message"), 1u);
  EXPECT_EQ(host.Count("> turn"), 2u);
  ASSERT_TRUE(adapter->Prompt("the next").ok());
  ASSERT_TRUE(Until([this] { return Prompts() == 2; }));
}

TEST_F(OpencodeHandover, APromptThatTheServerNeverGotIsSentAgain) {
  PromptAndHandOver();
  ASSERT_TRUE(Until([this] { return Prompts() == 2; }));
  EXPECT_GE(server.Asked("GET /session/status"), 30u);  // it was looked for
  EXPECT_EQ(server.requests().back(),
            *std::find_if(server.requests().begin(), server.requests().end(), [](const std::string& request) {
              return request.find("prompt_async") != std::string::npos;
            }));
  SayTurn();
  SayEnd();
  ASSERT_TRUE(UntilTold("> turn completed"));
  EXPECT_EQ(host.Count("> turn"), 2u);
}

TEST_F(OpencodeHandover, APromptThatWasInterruptedMeanwhileIsNot) {
  PromptAndHandOver();
  adapter->Interrupt();
  HandOver();  // once more
  ASSERT_TRUE(UntilTold("> turn cancelled"));
  EXPECT_EQ(Prompts(), 1u);
}

TEST_F(OpencodeHandover, APromptThatWaitsForTheStreamWaitsOn) {
  LaunchReady();
  server.silent = true;
  server.BreakStreams();
  ASSERT_TRUE(UntilAsked("GET /event", 2));
  ASSERT_TRUE(adapter->Prompt("x").ok());
  HandOver();
  EXPECT_EQ(adapter->Prompt("y").error().code, "busy");
  server.silent = false;
  ASSERT_TRUE(Until([this] { return Prompts() == 1; }));
  SayTurn();
  SayEnd();
  ASSERT_TRUE(UntilTold("> turn completed"));
  EXPECT_EQ(Prompts(), 1u);
}

TEST_F(OpencodeHandover, WhatWasDecidedReachesTheServer) {
  LaunchReady();
  SayTurn();
  const std::string asked = R"("id":"per_1","permission":"bash","metadata":{"command":"ls"})";
  Say("permission.asked", asked);
  ASSERT_TRUE(UntilTold("> approval per_1"));
  HandOver();
  ASSERT_TRUE(UntilAsked("GET /session/status"));
  EXPECT_EQ(host.Count("> approval per_1"), 1u);
  server.mute = true;
  adapter->Decide("per_1", {false, "not this", ""});
  const std::string reply = R"(POST /permission/per_1/reply {"reply":"reject","message":"not this"})";
  ASSERT_TRUE(UntilAsked(reply));
  HandOver();
  server.mute = false;
  ASSERT_TRUE(UntilAsked(reply, 2));
  ASSERT_TRUE(UntilAsked("GET /session/status", 2));
  HandOver();
  ASSERT_TRUE(UntilAsked("GET /session/status", 3));
  EXPECT_EQ(server.Asked(reply), 2u);
  EXPECT_EQ(host.Count("> approval"), 1u);  // the server lists it still
}

TEST_F(OpencodeHandover, AnAbortOnItsWayIsSentAgain) {
  LaunchReady();
  SayTurn();
  ASSERT_TRUE(UntilTold("> turn started"));
  server.mute = true;
  adapter->Interrupt();
  ASSERT_TRUE(UntilAsked("POST /session/ses_1/abort"));
  HandOver();
  server.mute = false;
  ASSERT_TRUE(UntilAsked("POST /session/ses_1/abort", 2));
  ASSERT_TRUE(UntilAsked("GET /session/status"));
  SayEnd("interrupted");
  ASSERT_TRUE(UntilTold("> turn cancelled"));
  ASSERT_TRUE(adapter->Prompt("the next").ok());
  SayTurn();
  Turn();
  EXPECT_EQ(server.Asked("POST /session/ses_1/abort"), 2u);
}

TEST_F(OpencodeHandover, AStopGoesOnAndIsToldOnce) {
  LaunchReady();
  SayTurn();
  ASSERT_TRUE(UntilTold("> turn started"));
  server.mute = true;
  EXPECT_FALSE(adapter->PrepareStop());
  ASSERT_TRUE(UntilAsked("POST /session/ses_1/abort"));
  HandOver();
  server.mute = false;
  ASSERT_TRUE(UntilAsked("GET /session/status"));
  EXPECT_FALSE(host.Has("> stop prepared"));
  SayEnd("interrupted");
  ASSERT_TRUE(UntilTold("> stop prepared"));
  EXPECT_TRUE(host.Has("> turn cancelled"));
  HandOver();
  Turn();
  EXPECT_EQ(host.Count("> stop prepared"), 1u);
}

TEST_F(OpencodeHandover, AServerThatWasGivenUpStaysSo) {
  LaunchReady();
  server.refuse["/event"] = 503;
  server.BreakStreams();
  ASSERT_TRUE(UntilTold("> broken stream_lost"));
  HandOver();
  Turn();
  EXPECT_EQ(host.Count("> broken"), 1u);
  EXPECT_EQ(adapter->Prompt("x").error().code, "not_running");
}

TEST_F(OpencodeTest, ARecordedTurnSurvivesABreakAnywhere) {
  std::vector<std::string> recorded;
  SseParser parser;
  parser.Feed(ReadFile(std::string(kFixtures) + "/kilo-turn.sse"),
              [&recorded](const SseEvent& event) { recorded.push_back(event.data); });
  std::erase_if(recorded, [](const std::string& text) {
    return text.find("\"plugin.added\"") != std::string::npos || text.find("\"sync\"") != std::string::npos;
  });
  auto session =
      JsonDocument::Parse(*std::find_if(recorded.begin(), recorded.end(), [](const std::string& text) {
        return text.find("\"session.created\"") != std::string::npos;
      }));
  const JsonValue info = (*session)["properties"]["info"];
  const std::string id(info["id"].StringOr(""));
  const std::string message = R"(assistant.message {"message_id":"prt_1f87ebb400013uAdZ8IHC1CiIU","text":)"
                              R"("Tool results seen: 1. word4 word5 word6 word7 word8 word9 word10 word11"})";
  for (size_t at = 0; at < 2 * recorded.size(); ++at) {
    const size_t broke = at / 2;
    const bool hands_over = at % 2 == 1;
    OpencodeServer fresh(loop);
    fresh.directory = server.directory;
    fresh.state().AddSession(id, info.Raw());
    RecordingHost heard(loop);
    adapter = MakeServerAdapter(heard, id, kKilo, timing);
    SpawnSpec any;
    any.cwd = "/home/ann/a b";
    ASSERT_TRUE(adapter->Prepare(any).ok());
    for (const std::string& entry : any.env) {
      if (entry.find("KILO_SERVER_PASSWORD=") == 0) fresh.password = entry.substr(21);
    }
    adapter->OnOutput(Child::Output::kStdout,
                      "kilo server listening on http://127.0.0.1:" + std::to_string(fresh.port()) + "\n");
    ASSERT_TRUE(Until([&heard] { return heard.Has("> ready"); }));
    for (size_t i = 0; i < recorded.size(); ++i) {
      if (i == broke && !hands_over) fresh.BreakStreams();
      if (i == broke && hands_over) {
        auto state = JsonDocument::Parse(adapter->Save());
        adapter = MakeServerAdapter(heard, "", kKilo, timing);
        ASSERT_TRUE(adapter->Restore(state->root()).ok());
        adapter->Resume();
      }
      fresh.Say(recorded[i]);
      if (i > broke) loop.RunOnce(false);  // it finds its way back somewhere in what follows
    }
    ASSERT_TRUE(Until([&heard] { return heard.Has("> turn completed"); })) << broke << "\n" << heard.Text();
    EXPECT_EQ(heard.Count("> turn"), 2u) << broke << "\n" << heard.Text();
    EXPECT_EQ(heard.Count("tool.started"), 1u) << broke;
    EXPECT_EQ(heard.Count("tool.completed"), 1u) << broke;
    EXPECT_EQ(heard.Count("usage.updated"), 2u) << broke;
    EXPECT_EQ(heard.Count(message), 1u) << broke;
    std::string joined;
    for (const std::string& line : heard.lines()) {
      if (line.compare(0, 16, "assistant.delta ") != 0) continue;
      auto data = JsonDocument::Parse(line.substr(16));
      joined += (*data)["text"].StringOr("");
    }
    EXPECT_EQ(joined, "Tool results seen: 1. word4 word5 word6 word7 word8 word9 word10 word11") << broke;
    EXPECT_THAT(fresh.wrong, ElementsAre());
    adapter.reset();
  }
}

}  // namespace
}  // namespace reeve
