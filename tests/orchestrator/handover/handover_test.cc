// Adapters that continue from the state that another one saved: cases that the recordings and the scripted
// tests of the kinds, which are run so too, do not have in them; and states that are not as they should be.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "orchestrator/adapters/acp/acp.h"
#include "orchestrator/adapters/claude/claude.h"
#include "orchestrator/adapters/codex/codex.h"
#include "orchestrator/adapters/jsonl.h"
#include "orchestrator/adapters/opencode/opencode.h"
#include "orchestrator/adapters/process.h"
#include "process/lines.h"
#include "tests/support/handover.h"
#include "tests/support/loop_fixture.h"
#include "tests/support/recording_host.h"

namespace reeve {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Handed {
 public:
  using Make = std::unique_ptr<Adapter> (*)(AgentHost& host, const std::string& session);
  explicit Handed(Make make, const std::string& session = "")
      : adapter(host, make(host, session), [this, make] { return make(host, "a session of another day"); }) {
    host.spec().turns = true;
    SpawnSpec spawn;
    spawn.argv = {"agent"};
    spawn.cwd = "/somewhere";
    EXPECT_TRUE(adapter->Prepare(spawn).ok());
    adapter->OnSpawned();
    host.Clear();
  }
  void Say(std::string_view line) { adapter->OnOutput(Child::Output::kStdout, std::string(line) + "\n"); }
  // Says each, and hands over after it.
  void SayAll(const std::vector<std::string>& lines) {
    for (const std::string& line : lines) {
      Say(line);
      adapter.HandOver();
    }
  }
  const std::vector<std::string>& lines() { return host.lines(); }

  Loop loop;
  RecordingHost host{loop};
  HandedAdapter adapter;
};

struct Named {
  const char* name;
  Handed::Make make;
};
constexpr Named kKinds[] = {{"process", MakeProcessAdapter}, {"jsonl", MakeJsonlAdapter},
                            {"claude", MakeClaudeAdapter},   {"codex", MakeCodexAdapter},
                            {"acp", MakeAcpAdapter},         {"opencode", MakeOpencodeAdapter},
                            {"kilo", MakeKiloAdapter}};

TEST(Handover, TakesHalfALineAlongWhateverItsBytes) {
  for (const Named& kind : kKinds) {
    for (auto from : {Child::Output::kStderr, Child::Output::kStdout}) {
      Handed handed(kind.make);
      for (const std::string piece : {"\xff half", " a l", "ine \xc3", "\xbc\r", "\n"}) {
        handed.adapter->OnOutput(from, piece);
        handed.adapter.HandOver();
      }
      EXPECT_THAT(handed.lines(), ElementsAre(HasSubstr("\"text\":\"/yBoYWxmIGEgbGluZSDDvA0=\"")))
          << kind.name;
    }
  }
}

TEST(Handover, TakesTheRestOfALineThatIsTooLongAlong) {
  for (const Named& kind : kKinds) {
    Handed handed(kind.make);
    handed.adapter->OnOutput(Child::Output::kStderr, std::string(Lines::kMaxLineBytes + 5, 'x'));
    handed.adapter.HandOver();
    handed.adapter->OnOutput(Child::Output::kStderr, "and on\nnext");
    handed.adapter.HandOver();
    handed.adapter->OnExited();
    ASSERT_EQ(handed.lines().size(), 3U) << kind.name;
    EXPECT_THAT(handed.lines()[0], HasSubstr("x\",\"partial\":true")) << kind.name;
    EXPECT_THAT(handed.lines()[1], HasSubstr("\"xxxxxand on\"}")) << kind.name;
    EXPECT_THAT(handed.lines()[2], HasSubstr("\"next\",\"partial\":true")) << kind.name;
  }
  Handed claude(MakeClaudeAdapter);  // a message of a protocol may be longer
  claude.adapter->OnOutput(Child::Output::kStdout, std::string((size_t{16} << 20U) + 5, 'x'));
  claude.adapter.HandOver();
  claude.Say("and on");
  ASSERT_EQ(claude.lines().size(), 17U);
  EXPECT_THAT(claude.lines()[15], HasSubstr("x\",\"partial\":true"));
  EXPECT_THAT(claude.lines()[16], HasSubstr("\"xxxxxand on\"}"));
}

// ---------------------------------------------------------------------------------------------------- claude

constexpr const char* kClaudeReady =
    R"({"type":"control_response","response":{"subtype":"success","request_id":"initialize-1","response":)"
    R"({"models":[{"value":"opus"}]}}})";

std::string Uuid(const RecordingHost& host) {
  const std::string& told = host.lines().back();
  return std::string((*JsonDocument::Parse(told.substr(8)))["uuid"].StringOr(""));
}
std::string Lifecycle(const std::string& uuid, const char* state) {
  return R"({"type":"command_lifecycle","command_uuid":")" + uuid + R"(","state":")" + state + "\"}";
}

TEST(Handover, APromptOfClaudesWaitsOnForItsModel) {
  Handed claude(MakeClaudeAdapter);
  claude.SayAll({kClaudeReady});
  claude.host.spec().model = "opus";
  ASSERT_TRUE(claude.adapter->Prompt("hello").ok());
  claude.adapter.HandOver();
  claude.SayAll(
      {R"({"type":"control_response","response":{"subtype":"success","request_id":"set_model-2"}})"});
  EXPECT_THAT(claude.lines().back(), HasSubstr("hello"));
  const std::string uuid = Uuid(claude.host);
  claude.SayAll({Lifecycle(uuid, "queued"), R"({"type":"result","is_error":false})"});
  EXPECT_FALSE(claude.host.Has("> turn"));  // of a turn that began by itself
  claude.SayAll({Lifecycle(uuid, "started"), R"({"type":"result","is_error":false})"});
  EXPECT_EQ(claude.lines().back(), "> turn completed");
  ASSERT_TRUE(claude.adapter->Prompt("again").ok());
  EXPECT_THAT(claude.lines().back(), HasSubstr("again"));  // the model is set
}

TEST(Handover, WhatWaitsForAPersonWaitsOnInALaterTurnToo) {
  Handed claude(MakeClaudeAdapter);
  claude.SayAll({kClaudeReady, R"({"type":"system","subtype":"init","session_id":"s"})",
                 R"({"type":"result","is_error":false})",
                 R"({"type":"system","subtype":"init","session_id":"s"})",
                 R"({"type":"control_request","request_id":"r1","request":{"subtype":"can_use_tool",)"
                 R"("tool_name":"Bash","input":{"command":"ls"},"tool_use_id":"t1"}})",
                 R"({"type":"keep_alive"})"});
  claude.adapter->Decide("r1", {true, "", ""});
  EXPECT_THAT(claude.lines().back(), HasSubstr(R"("updatedInput":{"command":"ls"})"));
  EXPECT_EQ(claude.host.Count("> session"), 1U);
}

TEST(Handover, AnErrorThatMayYetEndTheTurnIsToldOnce) {
  const std::string error =
      R"({"type":"assistant","is_api_error_message":true,"api_error_type":"overloaded",)"
      R"("message":{"id":"m","content":[{"type":"text","text":"too busy"}]}})";
  for (const bool ends : {true, false}) {
    Handed claude(MakeClaudeAdapter);
    claude.SayAll({kClaudeReady, R"({"type":"system","subtype":"init","session_id":"s"})", error});
    EXPECT_FALSE(claude.host.Has("agent.error"));
    claude.SayAll({ends ? R"({"type":"result","is_error":true,"result":"too busy"})"
                        : R"({"type":"result","is_error":false})"});
    EXPECT_EQ(claude.host.Count("agent.error"), ends ? 0U : 1U);
  }
}

TEST(Handover, AnInterruptIsSentOnce) {
  Handed claude(MakeClaudeAdapter);
  claude.SayAll({kClaudeReady, R"({"type":"system","subtype":"init","session_id":"s"})"});
  claude.adapter->Interrupt();
  claude.adapter.HandOver();
  claude.adapter->Interrupt();
  EXPECT_EQ(
      std::count_if(claude.lines().begin(), claude.lines().end(),
                    [](const std::string& line) { return line.find("cancel_queued") != std::string::npos; }),
      1);
  claude.SayAll({R"({"type":"control_response","response":{"subtype":"success","request_id":"interrupt-2"}})",
                 R"({"type":"result","is_error":true,"terminal_reason":"aborted_streaming"})"});
  EXPECT_EQ(claude.lines().back(), "> turn cancelled");
}

// ----------------------------------------------------------------------------------------------------- codex

TEST(Handover, WordsToSteerByAreTakenByTheirId) {
  Handed codex(MakeCodexAdapter);
  codex.SayAll({R"({"id":1,"result":{}})", R"({"id":2,"result":{"thread":{"id":"t"}}})"});
  ASSERT_TRUE(codex.adapter->Prompt("go").ok());
  codex.SayAll({R"({"id":3,"result":{}})",
                R"({"method":"turn/started","params":{"threadId":"t","turn":{"id":"u"}}})"});
  codex.adapter->Steer("m7", "left");
  codex.adapter->Steer("m8", "right");
  codex.adapter.HandOver();
  codex.SayAll({R"({"id":5,"error":{"code":-1,"message":"no"}})", R"({"id":4,"result":{}})"});
  EXPECT_EQ(codex.lines()[codex.lines().size() - 2], "> not steered m8: codex: no");
  EXPECT_EQ(codex.lines().back(), "> steered m7");
}

TEST(Handover, WhoAsksForModelsAfterwardsGetsThemAll) {
  Handed codex(MakeCodexAdapter);
  codex.SayAll({R"({"id":1,"result":{}})", R"({"id":2,"result":{"thread":{"id":"t"}}})"});
  std::string before, after;
  codex.adapter->ListModels(
      [&before](const Result<std::string>& models) { before = models ? *models : "?"; });
  codex.SayAll({R"({"id":3,"result":{"data":[{"id":"x"}],"nextCursor":"c"}})"});
  codex.adapter->ListModels([&after](const Result<std::string>& models) { after = models ? *models : "?"; });
  codex.Say(R"({"id":4,"result":{"data":[{"id":"y"}]}})");
  EXPECT_EQ(before, "");
  EXPECT_EQ(after, R"([{"id":"x"},{"id":"y"}])");
}

TEST(Handover, ATurnOfCodexsEndsAsItsOwnThreadDid) {
  Handed codex(MakeCodexAdapter);
  codex.SayAll(
      {R"({"id":1,"result":{}})", R"({"id":2,"result":{"thread":{"id":"t"}}})",
       R"({"method":"turn/started","params":{"threadId":"t","turn":{"id":"u"}}})",
       R"({"method":"item/completed","params":{"threadId":"t","item":{"id":"i","type":"collabAgentToolCall",)"
       R"("tool":"spawnAgent","prompt":"look","receiverThreadIds":["Sub"],"status":"completed"}}})",
       R"({"method":"turn/started","params":{"threadId":"Sub","turn":{"id":"v"}}})"});
  EXPECT_EQ(codex.lines().back(), R"(subagent.started {"session":"Sub","title":"look"})");
  codex.SayAll(
      {R"({"method":"thread/tokenUsage/updated","params":{"threadId":"Sub","tokenUsage":)"
       R"({"total":{"inputTokens":100,"outputTokens":10},"last":{"inputTokens":4,"outputTokens":1}}}})",
       R"({"method":"thread/tokenUsage/updated","params":{"threadId":"Sub","tokenUsage":)"
       R"({"total":{"inputTokens":105,"outputTokens":12},"last":{"inputTokens":5,"outputTokens":2}}}})"});
  EXPECT_EQ(codex.lines().back(), R"(usage.updated {"input_tokens":9,"output_tokens":3})");
  codex.SayAll({R"({"method":"turn/completed","params":{"threadId":"t","turn":{"id":"u","status":"failed",)"
                R"("error":{"message":"no more","codexErrorInfo":"limit"}}}})"});
  EXPECT_FALSE(codex.host.Has("> turn failed"));
  codex.SayAll(
      {R"({"method":"turn/completed","params":{"threadId":"Sub","turn":{"id":"v","status":"completed"}}})"});
  EXPECT_EQ(codex.lines()[codex.lines().size() - 2],
            R"(subagent.completed {"session":"Sub","title":"look"})");
  EXPECT_EQ(codex.lines().back(), "> turn failed limit: no more");
}

TEST(Handover, WhatWasAskedOutsideATurnOutlivesTheNext) {
  const std::string ask =
      R"({"id":"q","method":"mcpServer/elicitation/request","params":{"serverName":"m","message":"?"}})";
  Handed codex(MakeCodexAdapter);
  codex.SayAll(
      {R"({"id":1,"result":{}})", R"({"id":2,"result":{"thread":{"id":"t"}}})", ask,
       R"({"method":"turn/started","params":{"threadId":"t","turn":{"id":"u"}}})",
       R"({"method":"turn/completed","params":{"threadId":"t","turn":{"id":"u","status":"completed"}}})"});
  codex.adapter->Answer("m-q", {ElicitationAnswer::Action::kAccept, "{}"});
  EXPECT_THAT(codex.lines().back(), HasSubstr(R"("id":"q","result":{"action":"accept","content":{}})"));

  Handed acp(MakeAcpAdapter);
  acp.SayAll(
      {R"({"id":1,"result":{"protocolVersion":1}})", R"({"id":2,"result":{"sessionId":"s"}})",
       R"({"id":"q","method":"session/request_permission","params":{"toolCall":{"toolCallId":"c"},)"
       R"("options":[{"kind":"allow_once","optionId":"yes"},{"kind":"reject_once","optionId":"no"}]}})"});
  ASSERT_TRUE(acp.adapter->Prompt("go").ok());
  acp.SayAll({R"({"id":3,"result":{"stopReason":"end_turn"}})"});
  acp.adapter->Decide("c-q", {false, "", ""});
  EXPECT_THAT(acp.lines().back(), HasSubstr(R"("optionId":"no")"));
}

TEST(Handover, WhatACallHasPrintedIsItsOutput) {
  Handed codex(MakeCodexAdapter);
  codex.SayAll(
      {R"({"id":1,"result":{}})", R"({"id":2,"result":{"thread":{"id":"t"}}})",
       R"({"method":"turn/started","params":{"threadId":"t","turn":{"id":"u"}}})",
       R"({"method":"item/started","params":{"threadId":"t","item":{"id":"i","type":"fileChange","changes":[]}}})",
       R"({"method":"item/fileChange/outputDelta","params":{"threadId":"t","itemId":"i","delta":"done"}})",
       R"({"method":"item/completed","params":{"threadId":"t","item":{"id":"i","type":"fileChange","changes":[]}}})"});
  EXPECT_THAT(codex.lines().back(), HasSubstr(R"("output":"done")"));
}

// ------------------------------------------------------------------------------- states that should not be

// An older reeve, which carried less.
TEST(Handover, TakesAStateWithNothingInIt) {
  for (const Named& kind : kKinds) {
    Handed handed(kind.make);
    auto empty = JsonDocument::Parse("{}");
    auto adapter = kind.make(handed.host, "s");
    EXPECT_TRUE(adapter->Restore(empty->root()).ok()) << kind.name;
    adapter->Resume();
    adapter->OnOutput(Child::Output::kStderr, "x\n");
    EXPECT_EQ(handed.host.Count("agent.output"), 1U) << kind.name;
    adapter->OnExited();
  }
}

TEST(Handover, SaysWhatIsWrongWithAState) {
  for (const Named& kind : kKinds) {
    Handed handed(kind.make);
    auto none = JsonDocument::Parse("[]");
    EXPECT_EQ(kind.make(handed.host, "")->Restore(none->root()).error().code, "handover_state") << kind.name;
  }
  Loop loop;
  RecordingHost host(loop);
  auto wrong = JsonDocument::Parse(R"({"rpc":{"open":[[1,{"method":7}]]}})");
  EXPECT_EQ(MakeCodexAdapter(host, "")->Restore(wrong->root()).error().message,
            "rpc.open.0.1.method: not a string");
}

// Any state that is not refused must give a working adapter, whatever it then reports.
TEST(Handover, BearsAnySpoiltState) {
  const std::vector<std::vector<std::string>> said = {
      {kClaudeReady, R"({"type":"system","subtype":"init","session_id":"s"})",
       R"({"type":"stream_event","event":{"type":"message_start","message":{"id":"m"}}})",
       R"({"type":"stream_event","event":{"type":"content_block_start","content_block":{"type":"text","text":"a"}}})",
       R"({"type":"control_request","request_id":"r1","request":{"subtype":"can_use_tool",)"
       R"("tool_name":"Bash","input":{"command":"ls"},"tool_use_id":"t1"}})",
       R"({"type":"result","is_error":false})"},
      {R"({"id":1,"result":{}})", R"({"id":2,"result":{"thread":{"id":"t"}}})",
       R"({"method":"turn/started","params":{"threadId":"t","turn":{"id":"u"}}})",
       R"({"method":"item/agentMessage/delta","params":{"threadId":"t","itemId":"i","delta":"a"}})",
       R"({"id":0,"method":"item/commandExecution/requestApproval","params":{"threadId":"t","itemId":"j","command":"ls"}})",
       R"({"method":"thread/tokenUsage/updated","params":{"threadId":"t","tokenUsage":{"total":{"inputTokens":9},"last":{}}}})",
       R"({"method":"turn/completed","params":{"threadId":"t","turn":{"id":"u"}}})"},
      {R"({"id":1,"result":{"protocolVersion":1}})", R"({"id":2,"result":{"sessionId":"s"}})",
       R"({"method":"session/update","params":{"update":{"sessionUpdate":"agent_message_chunk","content":{"type":"text","text":"a"}}}})",
       R"({"method":"session/update","params":{"update":{"sessionUpdate":"tool_call","toolCallId":"c","status":"in_progress","rawInput":{"a":1}}}})",
       R"({"id":0,"method":"session/request_permission","params":{"toolCall":{"toolCallId":"c"},"options":[{"kind":"allow_once","optionId":"o"}]}})",
       R"({"id":3,"result":{"stopReason":"end_turn"}})"},
  };
  size_t refused = 0, taken = 0;
  for (uint32_t seed = 0; seed < 6'000; ++seed) {
    const size_t which = seed % said.size();
    const Handed::Make make = kKinds[which + 2].make;
    static Loop loop;
    RecordingHost host(loop);
    auto first = make(host, "");
    SpawnSpec spawn;
    spawn.argv = {"agent"};
    spawn.cwd = "/somewhere";
    ASSERT_TRUE(first->Prepare(spawn).ok());
    first->OnSpawned();
    const size_t until = seed / said.size() % said[which].size();
    for (size_t i = 0; i <= until; ++i) {
      first->OnOutput(Child::Output::kStdout, said[which][i] + "\n");
      if (host.Has("> ready") && !host.Has("> turn")) (void)first->Prompt("go");
    }
    auto state = JsonDocument::Parse(Spoil(first->Save(), seed));
    auto adapter = make(host, "");
    if (!state || !adapter->Restore(state->root())) {
      ++refused;
      continue;
    }
    ++taken;
    adapter->Resume();
    for (const std::string& line : said[which]) adapter->OnOutput(Child::Output::kStdout, line + "\n");
    (void)adapter->Prompt("more");
    if (which == 1) adapter->Steer("m", "on");  // only codex can
    adapter->Interrupt();
    for (const char* id : {"r1", "j-0", "c-0"}) adapter->Decide(id, {true, "", ""});
    (void)adapter->PrepareStop();
    adapter->OnExited();
  }
  EXPECT_GT(refused, 500U);
  EXPECT_GT(taken, 500U);
}

}  // namespace
}  // namespace reeve
