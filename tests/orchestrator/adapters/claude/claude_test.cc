// The recordings of the real Claude Code (fixtures/claude-*.jsonl), replayed through its adapter: what
// becomes of them, whole and cut anywhere; then what the adapter answers. After a wanted change:
// UPDATE_GOLDEN=1 orchestrator_test, and read the difference.
#include "orchestrator/adapters/claude/claude.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <random>
#include <set>

#include "orchestrator/json/json.h"
#include "tests/support/handover.h"
#include "tests/support/loop_fixture.h"
#include "tests/support/paths.h"
#include "tests/support/recording_host.h"

namespace reeve {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

std::string Fixture(const std::string& name) { return std::string(kFixtures) + "/claude-" + name; }

class Claude {
 public:
  explicit Claude(const std::string& session = "", const std::string& model = "")
      : adapter(host, MakeClaudeAdapter(host, session),
                [this] { return MakeClaudeAdapter(host, "a session of another day"); }) {
    host.spec().model = model;
    EXPECT_TRUE(adapter->Prepare(spawn).ok());
    adapter->OnSpawned();
    adapter.Begin();
    host.Clear();
  }
  void Say(std::string_view line) {
    adapter->OnOutput(Child::Output::kStdout, line);
    adapter->OnOutput(Child::Output::kStdout, "\n");
  }
  void BeReady() {
    Say(R"({"type":"control_response","response":{"subtype":"success","request_id":"initialize-1","response":)"
        R"({"models":[{"value":"default","displayName":"Default"},{"value":"opus"},{"displayName":"?"}]}}})");
    host.Clear();
  }
  void Begin() { Say(R"({"type":"system","subtype":"init","session_id":"s1"})"); }
  void End(const std::string& more = R"("is_error":false,"terminal_reason":"completed")") {
    Say(R"({"type":"result",)" + more + "}");
  }
  void AskFor(const std::string& id, const std::string& tool, const std::string& input,
              const std::string& more = "") {
    Say(R"({"type":"control_request","request_id":")" + id + R"(","request":{"subtype":"can_use_tool",)" +
        R"("tool_name":")" + tool + R"(","input":)" + input + R"(,"tool_use_id":"t_)" + id + "\"" + more +
        "}}");
  }
  const std::vector<std::string>& lines() { return host.lines(); }
  // The last line written to its stdin.
  JsonDocument Told() {
    for (auto line = host.lines().rbegin(); line != host.lines().rend(); ++line) {
      if (line->compare(0, 8, "> stdin ") == 0) return std::move(*JsonDocument::Parse(line->substr(8)));
    }
    ADD_FAILURE() << "nothing was told";
    return std::move(*JsonDocument::Parse("{}"));
  }
  std::string Uuid() { return std::string(Told()["uuid"].StringOr("")); }
  void Lifecycle(const std::string& uuid, const std::string& state) {
    Say(R"({"type":"command_lifecycle","command_uuid":")" + uuid + R"(","state":")" + state + "\"}");
  }

  Loop loop;
  RecordingHost host{loop};
  SpawnSpec spawn;
  HandedAdapter adapter;
};

// ------------------------------------------------------------------------------------------------ recordings

class ClaudeRecordings : public ::testing::TestWithParam<const char*> {
 protected:
  static std::string Resumed(const std::string& name) {
    if (name == "resume") return "resumed";
    return name == "gone" ? "11111111-2222-3333-4444-555555555555" : "";
  }
};

TEST_P(ClaudeRecordings, BecomeExactlyTheExpectedEvents) {
  Claude claude(Resumed(GetParam()));
  claude.adapter->OnOutput(Child::Output::kStdout, ReadFile(Fixture(std::string(GetParam()) + ".jsonl")));
  claude.adapter->OnExited();
  const std::string golden = Fixture(std::string(GetParam()) + ".expected");
  if (std::getenv("UPDATE_GOLDEN")) WriteFile(golden, claude.host.Text());
  EXPECT_EQ(claude.host.Text(), ReadFile(golden));
}

TEST_P(ClaudeRecordings, AreTheSameHoweverTheyAreCut) {
  const std::string bytes = ReadFile(Fixture(std::string(GetParam()) + ".jsonl"));
  const std::string expected = ReadFile(Fixture(std::string(GetParam()) + ".expected"));
  std::mt19937 random(1);
  for (size_t most : {1U, 7U, 100U, 5000U}) {
    Claude claude(Resumed(GetParam()));
    for (size_t at = 0; at < bytes.size();) {
      const size_t size = 1 + random() % most;
      claude.adapter->OnOutput(Child::Output::kStdout, std::string_view(bytes).substr(at, size));
      at += size;
    }
    claude.adapter->OnExited();
    EXPECT_EQ(claude.host.Text(), expected) << "pieces of up to " << most;
  }
}

TEST_P(ClaudeRecordings, AreTheSameAcrossHandoversAnywhere) {
  const std::string bytes = ReadFile(Fixture(std::string(GetParam()) + ".jsonl"));
  const std::string expected = ReadFile(Fixture(std::string(GetParam()) + ".expected"));
  for (size_t most : {100U, 5000U}) {
    Claude claude(Resumed(GetParam()));
    claude.adapter.SayInPieces(bytes, most);
    claude.adapter->OnExited();
    EXPECT_EQ(claude.host.Text(), expected) << "pieces of up to " << most;
  }
}

TEST_P(ClaudeRecordings, AreTheSameAcrossAHandoverAfterEachLine) {
  Claude claude(Resumed(GetParam()));
  std::string bytes = ReadFile(Fixture(std::string(GetParam()) + ".jsonl"));
  for (size_t end = bytes.find('\n'); !bytes.empty(); end = bytes.find('\n')) {
    claude.adapter->OnOutput(Child::Output::kStdout, bytes.substr(0, end + 1));
    bytes.erase(0, end + 1);
    ASSERT_NO_FATAL_FAILURE(claude.adapter.HandOver());
  }
  claude.adapter->OnExited();
  EXPECT_EQ(claude.host.Text(), ReadFile(Fixture(std::string(GetParam()) + ".expected")));
}

// Properties of every turn, apart from the golden files, which a careless update could spoil.
TEST_P(ClaudeRecordings, KeepTheOrderOfTheVocabulary) {
  Claude claude(Resumed(GetParam()));
  claude.adapter->OnOutput(Child::Output::kStdout, ReadFile(Fixture(std::string(GetParam()) + ".jsonl")));
  bool in_turn = false;
  std::set<std::string> calls;              // that run
  std::map<std::string, std::string> said;  // as deltas
  ASSERT_FALSE(claude.lines().empty());
  for (const std::string& line : claude.lines()) {
    const std::string type = line.substr(0, line.find(' '));
    auto data = JsonDocument::Parse(line.substr(type.size() + 1));
    if (line == "> turn started") {
      EXPECT_FALSE(in_turn) << line;
      in_turn = true;
    } else if (line.compare(0, 7, "> turn ") == 0) {
      EXPECT_TRUE(in_turn) << line;
      in_turn = false;
      EXPECT_TRUE(calls.empty()) << "a call without its end at the end of a turn";
      EXPECT_TRUE(said.empty()) << "a text without its whole at the end of a turn";
    }
    if (!data) continue;
    const std::string call((*data)["call_id"].StringOr(""));
    const std::string message((*data)["message_id"].StringOr(""));
    if (type == "tool.started") {
      EXPECT_TRUE(calls.insert(call).second) << line;
    } else if (type == "tool.completed" || type == "tool.failed") {
      EXPECT_EQ(calls.erase(call), 1u) << line;
    } else if (type == "assistant.delta" || type == "reasoning.delta") {
      EXPECT_NE((*data)["text"].StringOr(""), "") << line;
      said[message] += (*data)["text"].StringOr("");
    } else if (type == "assistant.message" || type == "reasoning.message") {
      EXPECT_EQ(said[message], (*data)["text"].StringOr("")) << line;
      said.erase(message);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Claude, ClaudeRecordings,
                         ::testing::Values("turn", "fail", "fail500", "queue", "echo", "sig", "think", "edit",
                                           "question", "resume", "gone", "subagent", "subagent-waited",
                                           "subagent-asks", "cut", "slash", "midtool", "hang", "model"));

TEST(ClaudeTurns, BeginOnceAndEndOnceAsTheyDid) {
  const std::string done = "> turn completed";
  const std::string begun = "> turn started";
  const std::string cancelled = "> turn cancelled";
  const std::map<std::string, std::vector<std::string>> expected = {
      {"turn",
       {begun, done, begun, done, begun, done, begun, cancelled, begun, done, begun, cancelled, begun, done}},
      {"queue", {begun, done, begun, done}},
      {"fail500",
       {begun,
        "> turn failed api_error: API Error: 500 mock failure 500. This is a server-side issue, usually "
        "temporary \u2014 try again in a moment. If it persists, check your inference gateway "
        "(127.0.0.1:4100)."}},
      {"hang", {begun, cancelled}},
      {"midtool", {begun, cancelled}},
      {"cut", {begun, done}},
      {"slash", {begun, done}},
      {"subagent", {begun, done}},
      {"subagent-waited", {begun, done}},
      {"gone", {}},
  };
  for (const auto& [name, turns] : expected) {
    Claude claude(name == "gone" ? "s0" : "");
    claude.adapter->OnOutput(Child::Output::kStdout, ReadFile(Fixture(name + ".jsonl")));
    std::vector<std::string> got;
    for (const std::string& line : claude.lines()) {
      if (line.compare(0, 6, "> turn") == 0) got.push_back(line);
    }
    EXPECT_EQ(got, turns) << name;
  }
}

// ------------------------------------------------------------------------------------------------ the start

TEST(ClaudeStart, GivesTheFlagsOfTheProtocol) {
  Claude claude("s1", "-odd");
  EXPECT_THAT(
      claude.spawn.argv,
      ElementsAre("claude", "--print", "--input-format", "stream-json", "--output-format", "stream-json",
                  "--verbose", "--include-partial-messages", "--permission-prompt-tool", "stdio",
                  "--permission-mode", "default", "--model=-odd", "--resume=s1"));
  EXPECT_TRUE(claude.spawn.stdin_pipe);
  EXPECT_THAT(claude.spawn.env, Contains("DISABLE_AUTOUPDATER=1"));
  EXPECT_THAT(claude.spawn.env, Contains("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1"));
}

TEST(ClaudeStart, AddsToTheSystemPrompt) {
  Loop loop;
  RecordingHost host(loop);
  host.spec().system_prompt = "--be brief";
  SpawnSpec spawn;
  ASSERT_TRUE(MakeClaudeAdapter(host, "")->Prepare(spawn).ok());
  EXPECT_EQ(spawn.argv.back(), "--append-system-prompt=--be brief");
}

TEST(ClaudeStart, LeavesTheFlagsThatTheCommandHas) {
  Loop loop;
  RecordingHost host(loop);
  host.spec().model = "opus";
  SpawnSpec spawn;
  spawn.argv = {"npx",   "claude",   "--permission-mode=plan", "--output-format", "stream-json", "--model",
                "haiku", "--verbose"};
  spawn.env = {"DISABLE_AUTOUPDATER=0"};
  auto adapter = MakeClaudeAdapter(host, "");
  ASSERT_TRUE(adapter->Prepare(spawn).ok());
  EXPECT_THAT(spawn.argv,
              ElementsAre("npx", "claude", "--permission-mode=plan", "--output-format", "stream-json",
                          "--model", "haiku", "--verbose", "--print", "--input-format", "stream-json",
                          "--include-partial-messages", "--permission-prompt-tool", "stdio"));
  EXPECT_THAT(spawn.env, Contains("DISABLE_AUTOUPDATER=0"));
  EXPECT_THAT(spawn.env, Not(Contains("DISABLE_AUTOUPDATER=1")));
}

TEST(ClaudeStart, RefusesFlagsThatBreakTheProtocol) {
  const std::vector<std::vector<std::string>> commands = {{"claude", "--output-format", "text"},
                                                          {"claude", "--output-format=json"},
                                                          {"claude", "--input-format"},
                                                          {"claude", "--resume", "s1"},
                                                          {"claude", "--continue"},
                                                          {"claude", "--session-id=s1"},
                                                          {"claude", "--bg"}};
  for (const auto& command : commands) {
    Loop loop;
    RecordingHost host(loop);
    SpawnSpec spawn;
    spawn.argv = command;
    Status prepared = MakeClaudeAdapter(host, "")->Prepare(spawn);
    ASSERT_FALSE(prepared.ok()) << command[1];
    EXPECT_EQ(prepared.error().code, "invalid_request");
    EXPECT_THAT(prepared.error().message, StartsWith("command: " + command[1] + ": "));
  }
}

TEST(ClaudeStart, IsReadyByTheAnswerToTheHandshake) {
  Claude claude;
  claude.adapter->OnSpawned();
  EXPECT_EQ(claude.Told()["request"]["subtype"].StringOr(""), "initialize");
  claude.host.Clear();
  claude.Say(R"({"type":"system","subtype":"status","status":null})");
  EXPECT_THAT(claude.lines(), ElementsAre());
  claude.Say(R"({"type":"control_response","response":{"subtype":"success","request_id":"initialize-1"}})");
  claude.Say(R"({"type":"control_response","response":{"subtype":"success","request_id":"initialize-1"}})");
  EXPECT_THAT(claude.lines(), ElementsAre("> ready"));
}

TEST(ClaudeStart, ThatIsRefusedBreaksIt) {
  Claude claude;
  claude.Say(
      R"({"type":"control_response","response":{"subtype":"error","request_id":"initialize-1","error":"no"}})");
  EXPECT_THAT(claude.lines(), ElementsAre("> broken handshake_failed: claude: initialize: no"));
}

TEST(ClaudeStart, ThatFailsSaysWhyAndKeepsTheSession) {
  Claude claude("s1");
  claude.End(R"("is_error":true,"subtype":"error_during_execution","errors":["Failed to resume session"])");
  EXPECT_THAT(claude.lines(), ElementsAre("> broken start_failed: claude: Failed to resume session"));
}

TEST(ClaudeStart, TellsTheModelsToChooseFrom) {
  Claude claude;
  std::vector<std::string> got;
  auto take = [&got](const Result<std::string>& models) {
    got.push_back(models ? *models : models.error().code);
  };
  claude.adapter->ListModels(take);
  claude.BeReady();
  claude.adapter->ListModels(take);
  EXPECT_THAT(got,
              ElementsAre("not_ready", R"([{"id":"default","name":"Default"},{"id":"opus","name":"opus"}])"));
}

// --------------------------------------------------------------------------------------------------- prompts

TEST(ClaudePrompts, BeginATurnThatIsNotToldTwice) {
  Claude claude;
  claude.BeReady();
  ASSERT_TRUE(claude.adapter->Prompt("say \"hi\"\n").ok());
  EXPECT_EQ(claude.Told()["message"]["content"].At(0)["text"].StringOr(""), "say \"hi\"\n");
  const std::string uuid = claude.Uuid();
  EXPECT_EQ(uuid.size(), 36u);
  claude.host.Clear();
  for (const char* state : {"queued", "started"}) claude.Lifecycle(uuid, state);
  claude.Begin();
  claude.End();
  claude.Lifecycle(uuid, "completed");
  EXPECT_THAT(claude.lines(),
              ElementsAre("> session s1", R"(usage.updated {"input_tokens":0,"output_tokens":0})",
                          "> turn completed"));
}

TEST(ClaudePrompts, AreNotEndedByATurnThatBeganByItselfBefore) {
  Claude claude;
  claude.BeReady();
  ASSERT_TRUE(claude.adapter->Prompt("hi").ok());
  const std::string uuid = claude.Uuid();
  claude.Begin();  // of a sub-agent's report, on its way when the prompt was sent
  claude.Lifecycle(uuid, "queued");
  claude.End(R"("is_error":false,"origin":{"kind":"task-notification"})");
  EXPECT_EQ(claude.host.Count("> turn"), 0u);
  claude.Lifecycle(uuid, "started");
  claude.Begin();
  claude.End();
  EXPECT_EQ(claude.host.Count("> turn"), 1u);
  EXPECT_EQ(claude.lines().back(), "> turn completed");
}

TEST(ClaudePrompts, EndWithTheTurnThatTookThemUp) {
  Claude claude;
  claude.BeReady();
  ASSERT_TRUE(claude.adapter->Prompt("hi").ok());
  const std::string uuid = claude.Uuid();
  claude.Begin();
  claude.Lifecycle(uuid, "queued");
  claude.Lifecycle(uuid, "started");  // into the turn that began by itself
  claude.End(R"("is_error":false,"origin":{"kind":"task-notification"})");
  EXPECT_EQ(claude.lines().back(), "> turn completed");
}

TEST(ClaudePrompts, ThatAreInterruptedBeforeTheyBeginAreCancelled) {
  Claude claude;
  claude.BeReady();
  ASSERT_TRUE(claude.adapter->Prompt("hi").ok());
  const std::string uuid = claude.Uuid();
  claude.adapter->Interrupt();
  claude.adapter->Interrupt();  // one is enough
  EXPECT_EQ(claude.host.Count("> stdin"), 2u);
  EXPECT_EQ(claude.Told()["request"]["cancel_queued"].AsBool(), true);
  claude.Lifecycle(uuid, "queued");
  claude.Lifecycle(uuid, "cancelled");
  claude.Say(R"({"type":"control_response","response":{"subtype":"success","request_id":"interrupt-2"}})");
  EXPECT_EQ(claude.host.Count("> turn"), 1u);
  EXPECT_EQ(claude.lines().back(), "> turn cancelled");
}

TEST(ClaudePrompts, WaitForTheModelTheyWant) {
  Claude claude("", "haiku");
  claude.BeReady();
  ASSERT_TRUE(claude.adapter->Prompt("one").ok());
  EXPECT_EQ(claude.Told()["type"].StringOr(""), "user");  // by the command line
  claude.Begin();
  claude.End();
  claude.host.spec().model = "opus";
  ASSERT_TRUE(claude.adapter->Prompt("two").ok());
  EXPECT_EQ(claude.Told()["request"]["model"].StringOr(""), "opus");
  claude.Say(R"({"type":"control_response","response":{"subtype":"success","request_id":"set_model-2"}})");
  EXPECT_EQ(claude.Told()["message"]["content"].At(0)["text"].StringOr(""), "two");
  claude.Begin();
  claude.End();
  claude.host.spec().model = "";
  ASSERT_TRUE(claude.adapter->Prompt("three").ok());
  EXPECT_TRUE(claude.Told()["request"]["model"].Is(JsonType::kNull));
}

TEST(ClaudePrompts, FailWithTheModelThatWasRefused) {
  Claude claude;
  claude.BeReady();
  claude.host.spec().model = "nope";
  ASSERT_TRUE(claude.adapter->Prompt("one").ok());
  claude.Say(
      R"({"type":"control_response","response":{"subtype":"error","request_id":"set_model-2","error":"unknown"}})");
  EXPECT_EQ(claude.lines().back(), "> turn failed model_refused: model nope: unknown");
  ASSERT_TRUE(claude.adapter->Prompt("two").ok());  // asked again, and interrupted
  claude.adapter->Interrupt();
  EXPECT_EQ(claude.lines().back(), "> turn cancelled");
  claude.Say(R"({"type":"control_response","response":{"subtype":"success","request_id":"set_model-3"}})");
  EXPECT_EQ(claude.lines().back(), "> turn cancelled");
}

TEST(ClaudePrompts, EndOnceWhateverIsSaidAfterwards) {
  Claude claude;
  claude.BeReady();
  ASSERT_TRUE(claude.adapter->Prompt("one").ok());
  claude.End();
  claude.End();
  EXPECT_EQ(claude.host.Count("> turn completed"), 1u);
}

// ---------------------------------------------------------------------------------------------------
// approvals

std::string Response(const std::string& id, const std::string& response) {
  return R"(> stdin {"type":"control_response","response":{"subtype":"success","request_id":")" + id +
         R"(","response":)" + response + "}}\n";
}

class ClaudeApprovals : public ::testing::Test {
 protected:
  ClaudeApprovals() {
    claude.BeReady();
    claude.Begin();
    claude.host.Clear();
  }
  Claude claude;
};

TEST_F(ClaudeApprovals, AreAnsweredInItsTerms) {
  claude.AskFor("r1", "Bash", R"({"command":"ls"})");
  EXPECT_THAT(claude.lines(),
              ElementsAre(R"(tool.started {"call_id":"t_r1","name":"bash","input":{"command":"ls"}})",
                          R"(> approval r1 bash {"command":"ls"} t_r1)"));
  claude.adapter->Decide("r1", {.allow = true, .reason = "", .input = ""});
  EXPECT_EQ(claude.lines().back(), Response("r1", R"({"behavior":"allow","updatedInput":{"command":"ls"}})"));
  claude.AskFor("r2", "Bash", "{}");
  claude.adapter->Decide("r2", {.allow = false, .reason = "not \"now\"", .input = ""});
  EXPECT_EQ(claude.lines().back(), Response("r2", R"({"behavior":"deny","message":"not \"now\""})"));
}

TEST_F(ClaudeApprovals, MayChangeWhatTheToolDoes) {
  claude.AskFor("r1", "Bash", R"({"command":"ls"})");
  claude.adapter->Decide("r1", {.allow = true, .reason = "", .input = R"({"command":"pwd"})"});
  EXPECT_EQ(claude.lines().back(),
            Response("r1", R"({"behavior":"allow","updatedInput":{"command":"pwd"}})"));
  claude.Say(
      R"({"type":"user","message":{"content":[{"type":"tool_result","tool_use_id":"t_r1","content":"/"}]}})");
  EXPECT_EQ(claude.lines().back(),
            R"(tool.completed {"call_id":"t_r1","name":"bash","input":{"command":"pwd"},"output":"/"})");
}

TEST_F(ClaudeApprovals, ShowTheInputThatWasToldUnlessItWasChanged) {
  auto call = [this](const std::string& id) {
    claude.Say(R"({"type":"assistant","message":{"content":[{"type":"tool_use","id":"t_)" + id +
               R"(","name":"Edit","input":{"a":1,"b":[2]}}]}})");
  };
  call("r1");
  claude.AskFor("r1", "Edit", R"({"b":[2],"a":1})");
  EXPECT_EQ(claude.lines().back(), R"(> approval r1 edit {"a":1,"b":[2]} t_r1)");
  call("r2");
  claude.AskFor("r2", "Edit", R"({"b":[3],"a":1})");
  EXPECT_EQ(claude.lines().back(), R"(> approval r2 edit {"b":[3],"a":1} t_r2)");
}

TEST_F(ClaudeApprovals, AreOfferedOnceAndAnsweredOnce) {
  claude.host.on_approval = [this](const ApprovalRequest& request) {  // by policy, at once
    claude.adapter->Decide(request.id, {.allow = true, .reason = "", .input = ""});
    claude.adapter->Decide(request.id, {.allow = false, .reason = "", .input = ""});
  };
  claude.AskFor("r1", "Bash", "{}");
  EXPECT_EQ(claude.host.Count("> stdin"), 1u);
  claude.host.on_approval = nullptr;
  claude.AskFor("r2", "Bash", "{}");
  claude.AskFor("r2", "Bash", "{}");
  EXPECT_EQ(claude.host.Count("> approval r2"), 1u);
}

TEST_F(ClaudeApprovals, ThatItTakesBackAreGone) {
  claude.AskFor("r1", "Bash", "{}");
  claude.Say(R"({"type":"control_cancel_request","request_id":"r1"})");
  claude.Say(R"({"type":"control_cancel_request","request_id":"r1"})");
  EXPECT_EQ(claude.host.Count("> approval gone r1"), 1u);
  claude.adapter->Decide("r1", {.allow = true, .reason = "", .input = ""});
  EXPECT_EQ(claude.host.Count("> stdin"), 0u);
}

TEST_F(ClaudeApprovals, OfATurnThatHasEndedAreForgotten) {
  claude.AskFor("r1", "Bash", "{}");
  claude.End();
  EXPECT_THAT(
      claude.lines(),
      Contains(R"(tool.failed {"call_id":"t_r1","name":"bash","input":{},"output":"the turn has ended"})"));
  claude.adapter->Decide("r1", {.allow = true, .reason = "", .input = ""});
  EXPECT_EQ(claude.host.Count("> stdin"), 0u);
}

TEST_F(ClaudeApprovals, MayBeAskedForOutsideOfATurn) {
  claude.End();
  claude.AskFor("r1", "Bash", "{}");
  EXPECT_EQ(claude.host.Count("> turn started"), 1u);
  claude.adapter->Decide("r1", {.allow = true, .reason = "", .input = ""});
  EXPECT_EQ(claude.lines().back(), Response("r1", R"({"behavior":"allow","updatedInput":{}})"));
  claude.Say(R"({"type":"system","subtype":"session_state_changed","state":"idle"})");
  EXPECT_EQ(claude.lines().back(), "> turn completed");
}

TEST_F(ClaudeApprovals, OutliveTheEndOfATurnBeforeThem) {
  claude.End();
  claude.host.spec().model = "other";
  ASSERT_TRUE(claude.adapter->Prompt("x").ok());
  claude.adapter->Interrupt();  // while the model is being set
  EXPECT_EQ(claude.lines().back(), "> turn cancelled");
  claude.AskFor("r1", "Bash", "{}");
  claude.adapter->Decide("r1", {.allow = true, .reason = "", .input = ""});
  EXPECT_EQ(claude.lines().back(), Response("r1", R"({"behavior":"allow","updatedInput":{}})"));
}

// --------------------------------------------------------------------------------------------- sub-agents

class ClaudeSubAgents : public ClaudeApprovals {
 protected:
  ClaudeSubAgents() {
    Task("task_started", R"("description":"d","is_backgrounded":true)");
    claude.AskFor("r1", "Bash", "{}", R"(,"agent_id":"a1")");
  }
  void Task(const std::string& subtype, const std::string& more) {
    claude.Say(R"({"type":"system","subtype":")" + subtype + R"(","task_id":"a1",)" + more + "}");
  }
  void Idle() { claude.Say(R"({"type":"system","subtype":"session_state_changed","state":"idle"})"); }
};

TEST_F(ClaudeSubAgents, InTheBackgroundKeepTheirTurnOpen) {
  claude.End(R"("is_error":false,"model_usage_since_last_result":{"m":{"inputTokens":1,"outputTokens":2}})");
  EXPECT_EQ(claude.host.Count("> turn"), 0u);
  claude.adapter->Decide("r1", {.allow = true, .reason = "", .input = ""});
  EXPECT_EQ(claude.lines().back(), Response("r1", R"({"behavior":"allow","updatedInput":{}})"));
  Task("task_notification", R"("status":"completed")");
  claude.Begin();
  claude.End(
      R"("is_error":false,"model_usage_since_last_result":{"m":{"inputTokens":10,"outputTokens":20}})");
  Idle();
  EXPECT_EQ(claude.host.Count("> turn"), 1u);
  EXPECT_TRUE(claude.host.Has(R"(usage.updated {"input_tokens":11,"output_tokens":22)"));
  EXPECT_EQ(claude.lines().back(), "> turn completed");
}

TEST_F(ClaudeSubAgents, ThatReportNothingEndTheTurnAllTheSame) {
  claude.End();
  Task("task_updated", R"("patch":{"status":"failed"})");
  EXPECT_EQ(claude.host.Count("> turn"), 0u);
  Idle();
  EXPECT_EQ(claude.lines().back(), "> turn completed");
}

TEST_F(ClaudeSubAgents, DoNotMakeAFailedTurnGood) {
  claude.End(R"("is_error":true,"terminal_reason":"api_error","result":"no")");
  Task("task_notification", R"("status":"completed")");
  claude.Begin();
  claude.End();
  EXPECT_EQ(claude.lines().back(), "> turn failed api_error: no");
}

TEST_F(ClaudeSubAgents, AreInterruptedWithoutAResult) {
  claude.End();
  claude.adapter->Interrupt();
  claude.Say(R"({"type":"control_cancel_request","request_id":"r1"})");
  Task("task_updated", R"("patch":{"status":"killed"})");
  claude.Say(R"({"type":"control_response","response":{"subtype":"success","request_id":"interrupt-2"}})");
  EXPECT_EQ(claude.lines().back(), "> turn cancelled");
  // It was told as failed before.
  claude.Say(
      R"({"type":"user","message":{"content":[{"type":"tool_result","tool_use_id":"t_r1","content":"stopped"}]}})");
  EXPECT_EQ(claude.lines().back(), "> turn cancelled");
}

TEST_F(ClaudeSubAgents, OfAnInterruptedTurnAreOverWithIt) {
  claude.End(R"("is_error":true,"terminal_reason":"aborted_tools")");
  EXPECT_EQ(claude.lines().back(), "> turn cancelled");
  EXPECT_EQ(claude.host.Count("subagent.completed"), 1u);
  EXPECT_EQ(claude.host.Count("tool.failed"), 1u);
}

TEST_F(ClaudeApprovals, RequestsThatAreUnknownAreRefused) {
  claude.Say(R"({"type":"control_request","request_id":"r1","request":{"subtype":"dance"}})");
  EXPECT_THAT(
      claude.lines(),
      ElementsAre(R"(agent.output {"stream":"stdout","json":{"type":"control_request","request_id":"r1",)"
                  R"("request":{"subtype":"dance"}}})",
                  R"(> stdin {"type":"control_response","response":{"subtype":"error","request_id":"r1",)"
                  "\"error\":\"not supported: dance\"}}\n"));
}

// ---------------------------------------------------------------------------------------------------
// questions

constexpr const char* kQuestions =
    R"({"questions":[{"question":"Which?","header":"H","options":[{"label":"A","description":"a"},{"label":"B"}]},)"
    R"({"question":"Any?","options":[{"label":"C"},{"label":"D"}],"multiSelect":true}],"answers":{"old":"x"}})";

TEST_F(ClaudeApprovals, QuestionsAreElicitations) {
  claude.AskFor("r1", "AskUserQuestion", kQuestions);
  EXPECT_EQ(claude.lines().back(),
            "> elicitation r1 Which?\nAny? "
            R"({"type":"object","properties":{"Which?":{"title":"H","type":"string","enum":["A","B"],)"
            R"("enumNames":["A: a","B"]},"Any?":{"type":"array","items":{"type":"string","enum":["C","D"],)"
            R"("enumNames":["C","D"]}}},"required":["Which?","Any?"]})");
  claude.adapter->Answer("r1", {ElicitationAnswer::Action::kAccept, R"({"Which?":"B","Any?":["C","D"]})"});
  auto told = claude.Told();
  const JsonValue input = told["response"]["response"]["updatedInput"];
  EXPECT_EQ(input["answers"].Raw(), R"({"Which?":"B","Any?":"C, D"})");
  EXPECT_EQ(input["questions"].size(), 2u);
  EXPECT_EQ(input.size(), 2u);
}

TEST_F(ClaudeApprovals, QuestionsMayBeLeftUnanswered) {
  for (auto action : {ElicitationAnswer::Action::kDecline, ElicitationAnswer::Action::kCancel}) {
    claude.AskFor("r1", "AskUserQuestion", kQuestions);
    claude.adapter->Answer("r1", {action, ""});
    EXPECT_EQ(claude.Told()["response"]["response"]["behavior"].StringOr(""), "deny");
  }
}

TEST_F(ClaudeApprovals, QuestionsWithoutAQuestionAreToBeApproved) {
  claude.AskFor("r1", "AskUserQuestion", R"({"questions":"x"})");
  EXPECT_EQ(claude.lines().back(), R"(> approval r1 question {"questions":"x"} t_r1)");
}

TEST_F(ClaudeApprovals, ElicitationsOfMcpServersArePassedOn) {
  auto ask = [this](const std::string& id) {
    claude.Say(R"({"type":"control_request","request_id":")" + id +
               R"(","request":{"subtype":"elicitation",)" +
               R"("mcp_server_name":"db","message":"Which one?","mode":"form",)" +
               R"("requested_schema":{"type":"object","properties":{"n":{"type":"integer"}}}}})");
  };
  ask("r1");
  EXPECT_EQ(claude.lines().back(),
            R"(> elicitation r1 Which one? {"type":"object","properties":{"n":{"type":"integer"}}})");
  claude.adapter->Answer("r1", {ElicitationAnswer::Action::kAccept, R"({"n":1})"});
  EXPECT_EQ(claude.lines().back(), Response("r1", R"({"action":"accept","content":{"n":1}})"));
  claude.Say(R"({"type":"control_request","request_id":"r0","request":{"subtype":"elicitation",)"
             R"("message":"Sign in:","mode":"url","url":"http://x/"}})");
  EXPECT_EQ(claude.lines().back(),
            R"(> elicitation r0 Sign in: http://x/ {"type":"object","properties":{}})");
  ask("r2");
  claude.adapter->Answer("r2", {ElicitationAnswer::Action::kDecline, ""});
  EXPECT_EQ(claude.lines().back(), Response("r2", R"({"action":"decline"})"));
  ask("r3");
  claude.adapter->Answer("r3", {ElicitationAnswer::Action::kCancel, ""});
  EXPECT_EQ(claude.lines().back(), Response("r3", R"({"action":"cancel"})"));
}

// ----------------------------------------------------------------------------------------------------
// stopping

class ClaudeStop : public ClaudeApprovals {};

TEST_F(ClaudeStop, EndsTheTurnThenClosesStdin) {
  EXPECT_FALSE(claude.adapter->PrepareStop());
  EXPECT_EQ(claude.Told()["request"]["subtype"].StringOr(""), "interrupt");
  EXPECT_EQ(claude.host.Count("> stdin closed"), 0u);
  claude.End(R"("is_error":true,"terminal_reason":"aborted_tools")");
  EXPECT_EQ(claude.lines().back(), "> stdin closed");
  claude.adapter->OnExited();
  EXPECT_FALSE(claude.host.Has("> stop prepared"));  // it exits by itself
}

TEST_F(ClaudeStop, ClosesStdinAtOnceWhereNothingRuns) {
  claude.End();
  claude.host.Clear();
  EXPECT_FALSE(claude.adapter->PrepareStop());
  EXPECT_THAT(claude.lines(), ElementsAre("> stdin closed"));
}

TEST_F(ClaudeStop, DoesNotWaitForWhatWorksInTheBackground) {
  for (const char* task : {R"("is_backgrounded":true)", R"("task_type":"local_bash")"}) {
    Claude busy;
    busy.BeReady();
    busy.Say(R"({"type":"system","subtype":"task_started","task_id":"a1",)" + std::string(task) + "}");
    EXPECT_FALSE(busy.adapter->PrepareStop());
    EXPECT_TRUE(busy.host.Has("> stop prepared")) << task;
  }
}

TEST(ClaudeStart, ThatIsStoppedDoesNotWait) {
  Claude claude;
  EXPECT_TRUE(claude.adapter->PrepareStop());
  EXPECT_EQ(claude.lines().back(), "> stdin closed");
}

// -----------------------------------------------------------------------------------------------------
// content

class ClaudeContent : public ClaudeApprovals {
 protected:
  void Stream(const std::string& event) { claude.Say(R"({"type":"stream_event","event":)" + event + "}"); }
  void Finish(const std::string& id, const std::string& more) {
    claude.Say(R"({"type":"user","message":{"content":[{"type":"tool_result","tool_use_id":")" + id + "\"," +
               more);
  }
  void Call(const std::string& id, const std::string& tool, const std::string& input) {
    claude.Say(R"({"type":"assistant","message":{"id":"m9","content":[{"type":"tool_use","id":")" + id +
               R"(","name":")" + tool + R"(","input":)" + input + "}]}}");
  }
};

TEST_F(ClaudeContent, ATextThatWasNotStreamedIsToldWhole) {
  const std::string line =
      R"({"type":"assistant","message":{"id":"m1","content":[{"type":"thinking","thinking":"hm"},{"type":"text","text":"a"},)"
      R"({"type":"text","text":""},{"type":"text","text":"b"},{"type":"redacted_thinking","data":"x"}]}})";
  claude.Say(line);
  EXPECT_THAT(claude.lines(), ElementsAre(R"(reasoning.delta {"message_id":"m1","text":"hm"})",
                                          R"(reasoning.message {"message_id":"m1","text":"hm"})",
                                          R"(assistant.delta {"message_id":"m1-2","text":"a"})",
                                          R"(assistant.message {"message_id":"m1-2","text":"a"})",
                                          R"(assistant.delta {"message_id":"m1-3","text":"b"})",
                                          R"(assistant.message {"message_id":"m1-3","text":"b"})"));
}

TEST_F(ClaudeContent, ATextWhoseWholeNeverComesIsClosedWithTheTurn) {
  Stream(R"({"type":"message_start","message":{"id":"m1"}})");
  Stream(R"({"type":"content_block_start","content_block":{"type":"text","text":""}})");
  Stream(R"({"type":"content_block_delta","delta":{"type":"text_delta","text":"half"}})");
  Stream(R"({"type":"content_block_delta","delta":{"type":"text_delta","text":""}})");
  Stream(R"({"type":"content_block_delta","delta":{"type":"thinking_delta","thinking":"not here"}})");
  claude.End();
  EXPECT_EQ(claude.host.Count("assistant.delta"), 1u);
  EXPECT_THAT(claude.lines(), Contains(R"(assistant.message {"message_id":"m1","text":"half"})"));
  EXPECT_EQ(claude.lines().back(), "> turn completed");
}

TEST_F(ClaudeContent, WhatADeadProcessLeftOpenIsClosed) {
  claude.Say(
      R"({"type":"system","subtype":"task_started","task_id":"a-long-name-of-an-agent","description":"d","is_backgrounded":true})");
  claude.AskFor("r1", "Bash", "{}", R"(,"agent_id":"a-long-name-of-an-agent")");
  Stream(R"({"type":"message_start","message":{"id":"m1"}})");
  Stream(R"({"type":"content_block_start","content_block":{"type":"text","text":""}})");
  Stream(R"({"type":"content_block_delta","delta":{"type":"text_delta","text":"half"}})");
  claude.adapter->OnExited();
  EXPECT_TRUE(claude.host.Has(R"(assistant.message {"message_id":"m1","text":"half"})"));
  EXPECT_TRUE(claude.host.Has(R"(tool.failed {"call_id":"t_r1","session":"a-long-name-of-an-agent")"));
  EXPECT_EQ(claude.lines().back(), R"(subagent.completed {"session":"a-long-name-of-an-agent","title":"d"})");
}

TEST_F(ClaudeContent, SubAgentsWordsAreNotOurs) {
  const std::string of = R"("parent_tool_use_id":"t1","agent_id":"a1")";
  claude.Say(R"({"type":"stream_event",)" + of +
             R"(,"event":{"type":"content_block_delta","delta":{"type":"text_delta","text":"x"}}})");
  claude.Say(R"({"type":"assistant",)" + of +
             R"(,"message":{"id":"m","content":[{"type":"text","text":"x"}]}})");
  claude.Say(R"({"type":"user",)" + of + R"(,"message":{"content":[{"type":"text","text":"do"}]}})");
  EXPECT_THAT(claude.lines(), ElementsAre());
  claude.Say(
      R"({"type":"assistant","parent_tool_use_id":"t1","message":{"content":[{"type":"tool_use","id":"c",)"
      R"("name":"Read","input":{}}]}})");  // where it names no agent
  EXPECT_EQ(claude.lines().back(), R"(tool.started {"call_id":"c","session":"t1","name":"read","input":{}})");
}

TEST_F(ClaudeContent, ResultsMayBeBlocks) {
  Call("c1", "mcp__x__y", "{}");
  Finish(
      "c1",
      R"("content":[{"type":"text","text":"a"},{"type":"image","source":{}},{"type":"text","text":"b"}]}]}})");
  EXPECT_EQ(claude.lines().back(),
            R"(tool.completed {"call_id":"c1","name":"mcp__x__y","input":{},"output":"a\n[image]\nb"})");
}

TEST_F(ClaudeContent, TodosAreThePlan) {
  Call("c1", "TodoWrite", R"({"todos":[{"content":"a","status":"completed","activeForm":"doing a"}]})");
  Finish("c1", R"("content":"ok"}]}})");
  EXPECT_EQ(claude.lines().back(), R"(plan.updated {"entries":[{"content":"a","status":"completed"}]})");
}

TEST_F(ClaudeContent, EditsWithoutCountsAreToldByTheirPath) {
  Call("c1", "NotebookEdit", R"({"notebook_path":"/n.ipynb"})");
  Finish("c1", R"("content":"ok"}]},"tool_use_result":"text"})");
  EXPECT_EQ(claude.lines().back(), R"(file.edited {"path":"/n.ipynb"})");
  Call("c2", "Edit", R"({"file_path":"/a"})");
  Finish("c2", R"("content":"no","is_error":true}]}})");
  EXPECT_EQ(claude.host.Count("file.edited"), 1u);
}

TEST_F(ClaudeContent, LongDiffsAreLeftOut) {
  Call("c1", "Write", R"({"file_path":"/a"})");
  Finish(
      "c1",
      R"("content":"ok"}]},"tool_use_result":{"type":"create","filePath":"/a","structuredPatch":[],"content":")" +
          std::string(100'000, 'x') + R"(\ny"}})");
  EXPECT_EQ(claude.lines().back(), R"(file.edited {"path":"/a","additions":2,"deletions":0})");
}

TEST_F(ClaudeContent, CostsAreTheTurnsOwnWhereOnlyTheSumIsTold) {
  claude.End(
      R"("total_cost_usd":0.5,"usage":{"input_tokens":1,"cache_read_input_tokens":2,"output_tokens":3})");
  EXPECT_EQ(claude.lines()[0], R"(usage.updated {"input_tokens":3,"output_tokens":3,"cost_usd":0.5})");
  claude.Begin();
  claude.host.Clear();
  claude.End(R"("total_cost_usd":0.75,"usage":{})");
  EXPECT_EQ(claude.lines()[0], R"(usage.updated {"input_tokens":0,"output_tokens":0,"cost_usd":0.25})");
  // The earlier cost of a resumed session is not known.
  Claude resumed("s1");
  resumed.Begin();
  resumed.host.Clear();
  resumed.End(R"("total_cost_usd":0.75,"usage":{"output_tokens":3})");
  EXPECT_EQ(resumed.lines()[0], R"(usage.updated {"input_tokens":0,"output_tokens":3})");
}

TEST_F(ClaudeContent, ThatAShellInTheBackgroundHasEndedIsTold) {
  claude.Say(R"({"type":"system","subtype":"task_started","task_id":"b1","task_type":"local_bash"})");
  claude.Say(R"({"type":"system","subtype":"task_updated","task_id":"b1","patch":{"status":"completed"}})");
  EXPECT_THAT(claude.lines(), ElementsAre());
  claude.Say(R"({"type":"system","subtype":"task_notification","task_id":"b1","summary":"s"})");
  EXPECT_THAT(claude.lines(), ElementsAre(StartsWith("agent.output")));
}

TEST_F(ClaudeContent, NoticesAreErrorsThatAreNotFatal) {
  for (
      const char* line :
      {R"({"type":"rate_limit_event","rate_limit_info":{"status":"allowed"}})",
       R"({"type":"rate_limit_event","rate_limit_info":{"status":"rejected","rateLimitType":"five_hour","resetsAt":1800000000}})",
       R"({"type":"system","subtype":"informational","level":"warning","content":"w"})",
       R"({"type":"system","subtype":"model_fallback","content":"f"})",
       R"({"type":"system","subtype":"session_title_changed","title":"t"})"}) {
    claude.Say(line);
  }
  EXPECT_THAT(claude.lines(),
              ElementsAre(R"(agent.error {"code":"rate_limit","message":"five_hour: rejected","fatal":false,)"
                          R"("retry_at":"2027-01-15T08:00:00.000Z"})",
                          R"(agent.error {"code":"warning","message":"w","fatal":false})",
                          R"(agent.error {"code":"model_fallback","message":"f","fatal":false})",
                          R"(title.updated {"title":"t"})"));
}

TEST_F(ClaudeContent, WhatHasNoTypeOfItsOwnIsOutput) {
  claude.Say(R"({"type":"system","subtype":"compact_boundary","compact_metadata":{}})");
  claude.Say("not JSON");
  claude.Say("[]");
  claude.adapter->OnOutput(Child::Output::kStderr, "warning\n");
  EXPECT_THAT(
      claude.lines(),
      ElementsAre(R"(agent.output {"stream":"stdout","json":{"type":"system","subtype":"compact_boundary",)"
                  R"("compact_metadata":{}}})",
                  R"(agent.output {"stream":"stdout","text":"not JSON"})",
                  R"(agent.output {"stream":"stdout","text":"[]"})",
                  R"(agent.output {"stream":"stderr","text":"warning"})"));
}

// -----------------------------------------------------------------------------------------------------
// garbage

TEST_F(ClaudeContent, StrangeShapesDoNoHarm) {
  const std::string deep = std::string(70, '[') + std::string(70, ']');
  for (
      const std::string& line : std::vector<std::string>{
          "null",
          "1",
          "\"x\"",
          "{}",
          "",
          "{",
          R"({"type":7})",
          R"({"type":"assistant"})",
          R"({"type":"assistant","message":{"content":"x"}})",
          R"({"type":"assistant","message":{"content":[1,{}]}})",
          R"({"type":"assistant","message":{"content":[{"type":"tool_use"},{"type":"tool_use","id":"x","input":[]}]}})",
          R"({"type":"user"})",
          R"({"type":"user","message":{"content":[{"type":"tool_result"}]}})",
          R"({"type":"user","message":{"content":[{"type":"tool_result","tool_use_id":"unknown"}]}})",
          R"({"type":"stream_event"})",
          R"({"type":"stream_event","event":[]})",
          R"({"type":"stream_event","event":{"type":"content_block_delta","delta":{"type":"text_delta","text":"x"}}})",
          R"({"type":"stream_event","event":{"type":"message_delta","usage":{"output_tokens":-1e300}}})",
          R"({"type":"control_response"})",
          R"({"type":"control_response","response":{"request_id":"nobody","subtype":"error"}})",
          R"({"type":"control_request"})",
          R"({"type":"control_request","request_id":"q","request":[]})",
          R"({"type":"control_request","request_id":"q2","request":{"subtype":"can_use_tool"}})",
          R"({"type":"control_cancel_request"})",
          R"({"type":"control_cancel_request","request_id":"nobody"})",
          R"({"type":"system"})",
          R"({"type":"system","subtype":"task_started"})",
          R"({"type":"system","subtype":"task_updated","task_id":"a1"})",
          R"({"type":"system","subtype":"api_retry","attempt":1e400})",
          R"({"type":"system","subtype":"init","session_id":7})",
          R"({"type":"rate_limit_event"})",
          R"({"type":"command_lifecycle","command_uuid":""})",
          R"({"type":"x","deep":)" + deep + "}",
          "{\"type\":\"x\",\"text\":\"\xff\xfe\"}"}) {
    claude.Say(line);
  }
  claude.adapter->Decide("nobody", {});
  claude.adapter->Answer("nobody", {});
  EXPECT_EQ(claude.host.Count("> turn"), 0u);
  claude.End();
  EXPECT_EQ(claude.lines().back(), "> turn completed");
}

TEST_F(ClaudeContent, ALineOfManyMegabytesComesInParts) {
  for (size_t megabytes : {2U, 10U, 20U}) {
    claude.host.Clear();
    claude.Say(R"({"type":"x","text":")" + std::string(megabytes << 20, 'x') + "\"}");
    ASSERT_EQ(claude.lines().size(), megabytes + 1);
    for (size_t i = 0; i <= megabytes; ++i) {
      EXPECT_LT(claude.lines()[i].size(), (size_t{1} << 20) * 11 / 10);
      EXPECT_EQ(claude.lines()[i].ends_with(R"(,"partial":true})"), i != megabytes);
    }
  }
}

TEST_F(ClaudeContent, WhatIsLeftOfALineIsToldAtTheEnd) {
  claude.adapter->OnOutput(Child::Output::kStdout, R"({"type":"resu)");
  claude.adapter->OnExited();
  EXPECT_THAT(claude.lines(),
              ElementsAre(R"(agent.output {"stream":"stdout","text":"{\"type\":\"resu","partial":true})"));
}

}  // namespace
}  // namespace reeve
