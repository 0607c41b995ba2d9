// The recordings of real kilo servers (fixtures/kilo-*.sse), replayed: what becomes of them, whole, cut
// anywhere, and with any part of the stream missed. After a wanted change: UPDATE_GOLDEN=1 orchestrator_test,
// and read the difference.
#include "orchestrator/adapters/opencode/opencode_events.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <random>

#include "process/sse_parser.h"
#include "tests/support/handover.h"
#include "tests/support/loop_fixture.h"
#include "tests/support/odd_json.h"
#include "tests/support/opencode_server.h"
#include "tests/support/paths.h"
#include "tests/support/recording_host.h"
#include "tests/support/sanitized.h"
#include "tests/support/vocabulary.h"

namespace reeve {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string Fixture(const std::string& name) { return std::string(kFixtures) + "/kilo-" + name; }

// The events of a recording.
std::vector<std::string> Recorded(const std::string& name) {
  std::vector<std::string> events;
  SseParser parser;
  parser.Feed(ReadFile(Fixture(name + ".sse")),
              [&events](const SseEvent& event) { events.push_back(event.data); });
  EXPECT_FALSE(events.empty()) << name;
  return events;
}

class Replay {
 public:
  explicit Replay(bool closes = true)
      : closes_turns(closes), events(std::make_unique<OpencodeEvents>(host, closes)) {}

  // Adopts the session that the recording begins with.
  void Adopt(const std::vector<std::string>& recorded) {
    for (const std::string& text : recorded) {
      auto event = JsonDocument::Parse(text);
      if (!event || (*event)["type"].StringOr("") != "session.created") continue;
      return events->SetSession((*event)["properties"]["info"], 0);
    }
    FAIL() << "no session in it";
  }
  void Take(const std::string& text) {
    auto event = JsonDocument::Parse(text);
    ASSERT_TRUE(event.ok()) << text;
    events->Take(event->root());
    if (HandingOver()) HandOver();
  }
  void HandOver() {
    const std::string state = SaveState(*events);
    auto json = JsonDocument::Parse(state);
    ASSERT_TRUE(json.ok());
    events = std::make_unique<OpencodeEvents>(host, closes_turns);
    const Status restored = RestoreState(json->root(), *events);
    ASSERT_TRUE(restored.ok()) << restored.error().message << " in " << state;
    EXPECT_EQ(SaveState(*events), state);
  }
  void TakeAll(const std::vector<std::string>& recorded) {
    Adopt(recorded);
    for (const std::string& text : recorded) Take(text);
  }

  Loop loop;
  RecordingHost host{loop};
  const bool closes_turns;
  std::unique_ptr<OpencodeEvents> events;
};

class Recordings : public ::testing::TestWithParam<const char*> {};

TEST_P(Recordings, BecomeExactlyTheExpectedEvents) {
  Replay replay;
  replay.TakeAll(Recorded(GetParam()));
  const std::string golden = Fixture(std::string(GetParam()) + ".expected");
  if (std::getenv("UPDATE_GOLDEN")) WriteFile(golden, replay.host.Text());
  EXPECT_EQ(replay.host.Text(), ReadFile(golden));
  EXPECT_FALSE(replay.events->in_turn());
}

TEST_P(Recordings, AreTheSameHoweverTheStreamIsCut) {
  const std::vector<std::string> recorded = Recorded(GetParam());
  const std::string bytes = ReadFile(Fixture(std::string(GetParam()) + ".sse"));
  const std::string expected = ReadFile(Fixture(std::string(GetParam()) + ".expected"));
  std::mt19937 random(1);
  for (size_t most : {1U, 7U, 100U, 5000U}) {
    Replay replay;
    replay.Adopt(recorded);
    SseParser parser;
    for (size_t at = 0; at < bytes.size();) {
      const size_t size = 1 + random() % most;
      parser.Feed(std::string_view(bytes).substr(at, size),
                  [&replay](const SseEvent& event) { replay.Take(event.data); });
      at += size;
    }
    EXPECT_EQ(replay.host.Text(), expected) << "pieces of up to " << most;
  }
}

TEST_P(Recordings, AreTheSameAcrossAHandoverAfterEachEvent) {
  Replay replay;
  const std::vector<std::string> recorded = Recorded(GetParam());
  replay.Adopt(recorded);
  for (const std::string& text : recorded) {
    replay.Take(text);
    replay.HandOver();
  }
  EXPECT_EQ(replay.host.Text(), ReadFile(Fixture(std::string(GetParam()) + ".expected")));
}

// A viewer may rely on the types of the vocabulary, whatever the server says.
TEST_P(Recordings, WithOddValuesStillHaveTheShapeOfTheirTypes) {
  const std::vector<std::string> recorded = Recorded(GetParam());
  std::mt19937 random(7);
  for (int round = 0; round < 50; ++round) {
    Replay replay;
    replay.Adopt(recorded);
    for (const std::string& text : recorded)
      replay.Take(random() % 4 == 0 ? WithAnOddValue(text, random) : text);
    replay.events->ServerGone();
    ASSERT_EQ(BrokenRule(replay.host.lines()), "") << "round " << round;
  }
}

TEST_P(Recordings, AreSilentForAnotherSession) {
  Replay replay;
  auto other = JsonDocument::Parse(R"({"id":"ses_other","title":"x"})");
  replay.events->SetSession(other->root(), 0);
  for (const std::string& text : Recorded(GetParam())) {
    if (text.find("\"file.edited\"") == std::string::npos) replay.Take(text);  // which names no session
  }
  EXPECT_EQ(replay.host.Text(), "");
}

TEST_P(Recordings, SaidTwiceAreToldOnce) {
  Replay replay;
  const std::vector<std::string> recorded = Recorded(GetParam());
  replay.Adopt(recorded);
  for (const std::string& text : recorded) {
    replay.Take(text);
    const bool state = text.find("\"message.updated\"") != std::string::npos ||
                       text.find("\"message.part.updated\"") != std::string::npos ||
                       text.find("\"permission.") != std::string::npos ||
                       text.find("\"question.") != std::string::npos ||
                       text.find("\"todo.updated\"") != std::string::npos ||
                       text.find("\"session.updated\"") != std::string::npos ||
                       text.find("\"session.created\"") != std::string::npos ||
                       text.find("\"session.idle\"") != std::string::npos ||
                       text.find("\"session.turn.close\"") != std::string::npos;
    if (state) replay.Take(text);
  }
  EXPECT_EQ(replay.host.Text(), ReadFile(Fixture(std::string(GetParam()) + ".expected")));
}

INSTANTIATE_TEST_SUITE_P(Kilo, Recordings,
                         ::testing::Values("turn", "sync", "abort", "abortperm", "reject", "rejectmsg",
                                           "fail400", "fail401", "fail500", "badmodel", "two", "write",
                                           "edit", "todo", "output", "subagent", "question"));

// How turns end, apart from the golden files, which a careless update could spoil.
TEST(OpencodeTurns, BeginOnceAndEndOnceAsTheyDid) {
  const std::map<std::string, std::vector<std::string>> expected = {
      {"turn", {"> turn started", "> turn completed"}},
      {"abort", {"> turn started", "> turn cancelled"}},
      {"abortperm", {"> turn started", "> turn cancelled"}},
      {"reject", {"> turn started", "> turn completed"}},
      {"rejectmsg", {"> turn started", "> turn completed"}},
      {"fail400", {"> turn started", "> turn failed APIError: mock failure 400"}},
      {"fail401", {"> turn started", "> turn failed APIError: mock failure 401"}},
      {"fail500", {"> turn started", "> turn cancelled"}},
      {"badmodel", {"> turn started", "> turn failed UnknownError: Model not found: mock/nope."}},
      {"question",
       {"> turn started", "> turn completed", "> turn started", "> turn completed", "> turn started",
        "> turn cancelled"}},
      {"two", {"> turn started", "> turn completed", "> turn started", "> turn completed"}},
  };
  for (const auto& [name, turns] : expected) {
    Replay replay;
    replay.TakeAll(Recorded(name));
    std::vector<std::string> got;
    for (const std::string& line : replay.host.lines()) {
      if (line.compare(0, 6, "> turn") == 0) got.push_back(line);
    }
    EXPECT_EQ(got, turns) << name;
  }
}

TEST(OpencodeTurns, EndAfterTheLastOfTheirOutput) {
  for (const char* name : {"turn", "abort", "abortperm", "reject", "two", "subagent"}) {
    Replay replay;
    replay.TakeAll(Recorded(name));
    bool open = false;
    ASSERT_FALSE(replay.host.lines().empty()) << name;
    for (const std::string& line : replay.host.lines()) {
      if (line.compare(0, 6, "> turn") == 0) {
        open = line == "> turn started";
      } else {
        EXPECT_TRUE(open) << name << ": " << line;
      }
    }
  }
}

// An opencode server closes no turns: the same recordings without what only kilo says.
std::vector<std::string> AsOpencode(const std::string& name) {
  std::vector<std::string> events = Recorded(name);
  std::erase_if(events, [](const std::string& text) {
    return text.find("\"session.turn.") != std::string::npos || text.find("\"sync\"") != std::string::npos;
  });
  return events;
}

TEST(OpencodeTurns, EndByIdleWhereTheServerClosesNone) {
  for (const char* name : {"turn", "reject", "rejectmsg"}) {
    Replay replay(false);
    replay.TakeAll(AsOpencode(name));
    EXPECT_EQ(replay.host.Count("> turn started"), 1u) << name;
    EXPECT_EQ(replay.host.Count("> turn "), 2u) << name;
    EXPECT_EQ(replay.host.Count("> turn completed"), 1u) << name;
  }
}

TEST(OpencodeTurns, EndByTheSecondIdleAfterAnAbortOrAnError) {
  for (const char* name : {"abort", "abortperm", "fail400"}) {
    Replay replay(false);
    replay.TakeAll(AsOpencode(name));
    EXPECT_EQ(replay.host.Count("> turn "), 2u) << name;
    EXPECT_EQ(replay.host.lines().back().compare(0, 6, "> turn"), 0) << name << ": " << replay.host.Text();
  }
  Replay replay(false);
  replay.TakeAll(AsOpencode("abort"));
  EXPECT_TRUE(replay.host.Has("> turn cancelled"));
  EXPECT_TRUE(replay.host.Has("assistant.message"));
}

TEST(OpencodeTurns, WaitABitForTheRestAfterAnErrorWithOneIdle) {
  Replay replay(false);
  replay.TakeAll(AsOpencode("badmodel"));
  EXPECT_EQ(replay.host.Count("> turn "), 1u);
  EXPECT_EQ(replay.events->wait(), OpencodeEvents::Wait::kForRest);
  replay.events->Settle();
  EXPECT_EQ(replay.host.lines().back(), "> turn failed UnknownError: Model not found: mock/nope.");
  EXPECT_EQ(replay.events->wait(), OpencodeEvents::Wait::kNone);
}

TEST(OpencodeTurns, AnAbortDuringTheWaitForARetryCancels) {
  Replay replay(false);
  const std::vector<std::string> recorded = AsOpencode("fail500");
  replay.Adopt(recorded);
  for (const std::string& text : recorded) {
    if (text.find("\"attempt\":3") != std::string::npos) replay.events->Interrupted();
    replay.Take(text);
  }
  EXPECT_EQ(replay.host.lines().back(), "> turn cancelled");
}

TEST(OpencodeTurns, TheErrorOfOneIsNotThatOfTheNext) {
  Replay replay;
  const std::vector<std::string> failed = Recorded("badmodel");  // with an error after its end
  replay.TakeAll(failed);
  const std::string session = replay.events->session();
  replay.Take(R"({"type":"session.turn.open","properties":{"sessionID":")" + session + "\"}}");
  replay.Take(R"({"type":"session.turn.close","properties":{"sessionID":")" + session +
              "\",\"reason\":\"\"}}");
  EXPECT_EQ(replay.host.lines().back(), "> turn completed");
}

TEST(OpencodeTurns, APromptThatWasRefusedEndsWithoutATurn) {
  Replay replay;
  replay.Adopt(Recorded("turn"));
  replay.events->PromptSent();
  replay.events->PromptEnded({TurnEnd::Outcome::kFailed, {"prompt_refused", "no"}});
  replay.events->PromptEnded({TurnEnd::Outcome::kFailed, {"prompt_refused", "no"}});
  EXPECT_THAT(replay.host.lines(), ElementsAre("> turn failed prompt_refused: no"));
}

// --------------------------------------------------------------------------------------------------- content

class OpencodeContent : public ::testing::Test {
 protected:
  OpencodeContent() {
    auto info = JsonDocument::Parse(R"({"id":"ses_1","title":"t"})");
    replay.events->SetSession(info->root(), 0);
    Say("session.turn.open", "");
    Say("message.updated",
        R"("info":{"id":"msg_1","sessionID":"ses_1","role":"assistant","time":{"created":5}})");
    replay.host.Clear();
  }
  void Say(const std::string& type, const std::string& more, const std::string& session = "ses_1") {
    replay.Take(R"({"type":")" + type + R"(","properties":{"sessionID":")" + session + '"' +
                (more.empty() ? "" : "," + more) + "}}");
  }
  void Part(const std::string& part) {
    Say("message.part.updated", R"("part":{"messageID":"msg_1","sessionID":"ses_1",)" + part + "}");
  }
  const std::vector<std::string>& lines() { return replay.host.lines(); }

  Replay replay;
};

TEST_F(OpencodeContent, ThoughtsAreToldAsSuch) {
  Part(R"("id":"prt_1","type":"reasoning","text":"","time":{"start":1})");
  Say("message.part.delta", R"("messageID":"msg_1","partID":"prt_1","field":"text","delta":"hm")");
  Part(R"("id":"prt_1","type":"reasoning","text":"hm","time":{"start":1,"end":2})");
  EXPECT_THAT(lines(), ElementsAre(R"(reasoning.delta {"message_id":"prt_1","text":"hm"})",
                                   R"(reasoning.message {"message_id":"prt_1","text":"hm"})"));
}

TEST_F(OpencodeContent, ATextThatWasNotStreamedIsToldWhole) {
  Part(R"("id":"prt_1","type":"text","text":"all at once","time":{"start":1,"end":2})");
  EXPECT_THAT(lines(), ElementsAre(R"(assistant.delta {"message_id":"prt_1","text":"all at once"})",
                                   R"(assistant.message {"message_id":"prt_1","text":"all at once"})"));
}

TEST_F(OpencodeContent, AnEmptyTextIsNotTold) {
  Part(R"("id":"prt_1","type":"text","text":"","time":{"start":1,"end":2})");
  EXPECT_THAT(lines(), ElementsAre());
}

// A spinner: {"text":"⠋ Initializing snapshot…","synthetic":true}, updated eight times a second, then
// removed.
TEST_F(OpencodeContent, TheProgramsOwnProgressIsNotTold) {
  Part(R"("id":"prt_1","type":"text","text":"| working","synthetic":true)");
  Part(R"("id":"prt_1","type":"text","text":"/ working","synthetic":true)");
  Say("message.part.removed", R"("messageID":"msg_1","partID":"prt_1")");
  EXPECT_THAT(lines(), ElementsAre());
}

TEST_F(OpencodeContent, TheServersOwnWordOnATextWinsOverItsDeltas) {
  Part(R"("id":"prt_1","type":"text","text":"","time":{"start":1})");
  Say("message.part.delta", R"("messageID":"msg_1","partID":"prt_1","field":"text","delta":"word \n")");
  Part(R"("id":"prt_1","type":"text","text":"word","time":{"start":1,"end":2})");  // it trims
  EXPECT_EQ(lines().back(), R"(assistant.message {"message_id":"prt_1","text":"word"})");
  EXPECT_EQ(lines().size(), 2u);
}

TEST_F(OpencodeContent, AToolThatEndsAtOnceStillBeginsFirst) {
  Part(R"("id":"prt_1","type":"tool","callID":"c1","tool":"bash","state":{"status":"error","input":{"a":1},)"
       R"("error":"no","time":{"start":10,"end":25}})");
  EXPECT_THAT(lines(),
              ElementsAre(R"(tool.started {"call_id":"c1","name":"bash","input":{"a":1}})",
                          R"(tool.failed {"call_id":"c1","name":"bash","input":{"a":1},"output":"no",)"
                          R"("duration_ms":15})"));
}

TEST_F(OpencodeContent, AToolsOutputIsToldAsItGrows) {
  for (const char* output :
       {"", "1\\n", "1\\n", "1\\n2\\n", "else"}) {  // the last: a window that has moved on
    Part(R"("id":"prt_1","type":"tool","callID":"c1","tool":"bash","state":{"status":"running","input":{},)"
         R"("metadata":{"output":")" +
         std::string(output) + "\"}}");
  }
  EXPECT_THAT(lines(), ElementsAre(R"(tool.started {"call_id":"c1","name":"bash","input":{}})",
                                   R"(tool.output {"call_id":"c1","output":"1\n"})",
                                   R"(tool.output {"call_id":"c1","output":"2\n"})"));
}

TEST_F(OpencodeContent, FilesThatNoToolAccountsForAreToldAtTheEndOfTheStep) {
  replay.Take(R"({"type":"file.edited","properties":{"file":"/a"}})");
  replay.Take(R"({"type":"file.edited","properties":{"file":"/b"}})");
  Part(R"("id":"prt_1","type":"tool","callID":"c1","tool":"edit","state":{"status":"completed","input":{},)"
       R"("output":"","metadata":{"diff":"D","filediff":{"file":"/a","additions":1,"deletions":2}}})");
  Part(R"("id":"prt_2","type":"patch","hash":"h","files":["/a","/b","/c"])");
  Part(R"("id":"prt_3","type":"step-finish","tokens":{"input":1,"output":2},"cost":0.5)");
  EXPECT_EQ(replay.host.Count("file.edited"), 3u);
  EXPECT_TRUE(replay.host.Has(R"(file.edited {"path":"/a","additions":1,"deletions":2,"diff":"D"})"));
  EXPECT_TRUE(replay.host.Has(R"(file.edited {"path":"/b"})"));
  EXPECT_TRUE(replay.host.Has(R"(file.edited {"path":"/c"})"));
}

TEST_F(OpencodeContent, UsageIsTheTurnsSoFar) {
  Part(R"("id":"prt_1","type":"step-finish","cost":0.25,"tokens":{"input":10,"output":2,"reasoning":3,)"
       R"("cache":{"read":100,"write":1000}})");
  Part(R"("id":"prt_2","type":"step-finish","cost":0.5,"tokens":{"input":1,"output":1})");
  EXPECT_THAT(lines(),
              ElementsAre(R"(usage.updated {"input_tokens":1110,"output_tokens":5,"cost_usd":0.25})",
                          R"(usage.updated {"input_tokens":1111,"output_tokens":6,"cost_usd":0.75})"));
}

TEST_F(OpencodeContent, TitlesArePassedOnWhenTheyChange) {
  Say("session.updated", R"("info":{"id":"ses_1","title":"t"})");
  Say("session.updated", R"("info":{"id":"ses_1","title":"new"})");
  Say("session.updated", R"("info":{"id":"ses_1","title":"new"})");
  EXPECT_THAT(lines(), ElementsAre(R"(title.updated {"title":"new"})"));
}

TEST_F(OpencodeContent, WhatHasNoTypeOfItsOwnIsOutput) {
  Say("session.compacted", "");
  EXPECT_THAT(lines(), ElementsAre(R"(agent.output {"stream":"events","json":{"type":"session.compacted",)"
                                   R"("properties":{"sessionID":"ses_1"}}})"));
}

TEST_F(OpencodeContent, OtherSessionsAreNotHeardWhereverTheirIdStands) {
  for (const char* properties : {
           R"("sessionID":"ses_2","status":{"type":"idle"})",
           R"("info":{"id":"ses_2","title":"x"})",
           R"("info":{"id":"msg_9","sessionID":"ses_2","role":"assistant","time":{"created":9}})",
           R"("part":{"id":"prt_9","messageID":"msg_1","sessionID":"ses_2","type":"text","text":"x"})",
           R"("session":{"id":"ses_2"})",
           R"("sessionID":"ses_2","id":"per_9","permission":"bash")",
           R"("sessionID":"ses_2","error":{"name":"X"})",
           R"("sessionID":"ses_2","reason":"completed")",
           R"("sessionID":"ses_2","messageID":"msg_1","partID":"prt_1","field":"text","delta":"x")",
       }) {
    for (const char* type :
         {"session.status", "session.updated", "session.created", "message.updated", "message.part.updated",
          "session.compacted", "permission.asked", "session.error", "session.turn.close", "session.turn.open",
          "session.idle", "message.part.delta", "question.asked", "todo.updated"}) {
      replay.Take(R"({"type":")" + std::string(type) + R"(","properties":{)" + properties + "}}");
    }
  }
  EXPECT_THAT(lines(), ElementsAre());
  EXPECT_TRUE(replay.events->in_turn());
}

TEST_F(OpencodeContent, StrangeShapesDoNoHarm) {
  for (
      const char* event :
      {"null", "[]", "1", "\"x\"", "{}", R"({"type":7})", R"({"type":"message.part.updated"})",
       R"({"type":"message.part.updated","properties":{"part":[]}})",
       R"({"type":"message.part.updated","properties":{"part":{"messageID":"msg_1"}}})",
       R"({"type":"session.status","properties":{"sessionID":"ses_1"}})",
       R"({"type":"session.status","properties":{"sessionID":"ses_1","status":{"type":"retry","next":1e300}}})",
       R"({"type":"permission.asked","properties":{"sessionID":"ses_1"}})",
       R"({"type":"session.error","properties":{"error":null}})",
       R"({"type":"session.created","properties":{"info":{"id":"","parentID":""}}})",
       R"({"type":"todo.updated","properties":{"sessionID":"ses_1","todos":"x"}})"}) {
    replay.Take(event);
  }
  Part(R"("id":"prt_7","type":"tool","state":"x")");
  Part(R"("id":"prt_8","type":"step-finish","tokens":{"input":-1e300,"output":"x"},"cost":"x")");
  EXPECT_TRUE(replay.events->in_turn());
}

// ------------------------------------------------------------------------------------------------- approvals

TEST_F(OpencodeContent, AnApprovalIsOfferedOnceAndTakenBackWhenAnsweredElsewhere) {
  const char* asked = R"("id":"per_1","permission":"bash","patterns":["ls"],"metadata":{"command":"ls"})";
  Say("permission.asked", asked);
  Say("permission.asked", asked);
  Say("permission.replied", R"("requestID":"per_1","reply":"once")");
  EXPECT_THAT(lines(), ElementsAre(R"(> approval per_1 bash {"command":"ls"} )", "> approval gone per_1"));
}

TEST_F(OpencodeContent, OurOwnAnswerIsNotTakenBack) {
  replay.host.on_approval = [this](const ApprovalRequest& request) {  // by policy, at once
    EXPECT_TRUE(replay.events->Answer(request.id));
    EXPECT_FALSE(replay.events->Answer(request.id));
  };
  Say("permission.asked", R"("id":"per_1","permission":"webfetch","patterns":["http://x"],"metadata":{})");
  Say("permission.replied", R"("requestID":"per_1","reply":"once")");
  EXPECT_THAT(lines(), ElementsAre(R"(> approval per_1 fetch {"patterns":["http://x"]} )"));
}

TEST_F(OpencodeContent, ASubAgentsApprovalIsOfferedToo) {
  Say("session.created", R"("info":{"id":"ses_2","parentID":"ses_1","title":"sub"})", "ses_2");
  Say("session.created", R"("info":{"id":"ses_3","parentID":"ses_2","title":"subsub"})", "ses_3");
  Say("permission.asked", R"("id":"per_3","permission":"bash","metadata":{"command":"ls"})", "ses_3");
  Say("session.status", R"("status":{"type":"idle"})", "ses_3");
  Say("session.idle", "", "ses_3");
  EXPECT_THAT(lines(), ElementsAre(R"(subagent.started {"session":"ses_2","title":"sub"})",
                                   R"(subagent.started {"session":"ses_3","title":"subsub"})",
                                   R"(> approval per_3 bash {"command":"ls"} )",
                                   R"(subagent.completed {"session":"ses_3","title":"subsub"})"));
  EXPECT_TRUE(replay.events->in_turn());
}

TEST_F(OpencodeContent, AnApprovalFollowsItsCallWhicheverComesFirst) {
  const char* asked = R"("id":"per_1","permission":"edit","metadata":{"filepath":"/a"},)"
                      R"("tool":{"messageID":"msg_1","callID":"c1"})";
  Say("permission.asked", asked);
  EXPECT_THAT(lines(), ElementsAre());
  EXPECT_EQ(replay.events->wait(), OpencodeEvents::Wait::kForCall);
  Part(
      R"("id":"prt_1","type":"tool","callID":"c1","tool":"write","state":{"status":"running","input":{"f":1}})");
  EXPECT_EQ(replay.events->wait(), OpencodeEvents::Wait::kNone);
  Say("permission.asked", R"("id":"per_2","permission":"external_directory","metadata":{"folder":"/"},)"
                          R"("tool":{"messageID":"msg_1","callID":"c1"})");
  EXPECT_THAT(lines(), ElementsAre(R"(tool.started {"call_id":"c1","name":"write","input":{"f":1}})",
                                   R"(> approval per_1 write {"f":1} c1)",
                                   R"(> approval per_2 external_directory {"folder":"/"} c1)"));
}

TEST_F(OpencodeContent, AnApprovalWhoseCallIsNotToldIsToldByWhatItKnows) {
  Say("permission.asked", R"("id":"per_1","permission":"bash","metadata":{"command":"ls"},)"
                          R"("tool":{"messageID":"msg_1","callID":"c1"})");
  replay.events->Settle();
  Part(R"("id":"prt_1","type":"tool","callID":"c1","tool":"bash","state":{"status":"completed",)"
       R"("input":{"command":"ls","why":"x"},"output":"a"})");
  EXPECT_THAT(
      lines(),
      ElementsAre(R"(tool.started {"call_id":"c1","name":"bash","input":{"command":"ls"}})",
                  R"(> approval per_1 bash {"command":"ls"} c1)",
                  R"(tool.completed {"call_id":"c1","name":"bash","input":{"command":"ls","why":"x"},)"
                  R"("output":"a"})"));
}

TEST_F(OpencodeContent, AHeldApprovalThatIsAnsweredElsewhereWasNeverThere) {
  Say("permission.asked",
      R"("id":"per_1","permission":"bash","metadata":{},"tool":{"messageID":"msg_1","callID":"c1"})");
  Say("permission.replied", R"("requestID":"per_1","reply":"once")");
  replay.events->Settle();
  EXPECT_THAT(lines(), ElementsAre());
}

TEST_F(OpencodeContent, ModelsThatCountTheirCallsFromZeroDoNotConfuse) {
  Say("message.updated",
      R"("info":{"id":"msg_2","sessionID":"ses_1","role":"assistant","time":{"created":6}})");
  for (const char* message : {"msg_1", "msg_2"}) {
    Say("message.part.updated", R"("part":{"sessionID":"ses_1","messageID":")" + std::string(message) +
                                    R"(","id":"prt_1","type":"tool","callID":"c0","tool":"read",)"
                                    R"("state":{"status":"running","input":{}}})");
  }
  EXPECT_EQ(replay.host.Count(R"(tool.started {"call_id":"c0")"), 1u);
  EXPECT_EQ(replay.host.Count(R"(tool.started {"call_id":"msg_2/c0")"), 1u);
}

// The server ends a text when the model's step ends, after its calls.
TEST_F(OpencodeContent, ATextEndsWhereACallBegins) {
  Part(R"("id":"prt_1","type":"text","text":"","time":{"start":1})");
  Say("message.part.delta", R"("messageID":"msg_1","partID":"prt_1","field":"text","delta":"Let me. ")");
  Part(R"("id":"prt_2","type":"tool","callID":"c1","tool":"bash","state":{"status":"running","input":{}})");
  Say("message.part.delta", R"("messageID":"msg_1","partID":"prt_1","field":"text","delta":"More")");
  Part(R"("id":"prt_3","type":"tool","callID":"c2","tool":"bash","state":{"status":"running","input":{}})");
  Part(R"("id":"prt_1","type":"text","text":"Let me. More","time":{"start":1,"end":2})");
  EXPECT_THAT(lines(), ElementsAre(R"(assistant.delta {"message_id":"prt_1","text":"Let me. "})",
                                   R"(assistant.message {"message_id":"prt_1","text":"Let me. "})",
                                   R"(tool.started {"call_id":"c1","name":"bash","input":{}})",
                                   R"(assistant.delta {"message_id":"prt_1.1","text":"More"})",
                                   R"(assistant.message {"message_id":"prt_1.1","text":"More"})",
                                   R"(tool.started {"call_id":"c2","name":"bash","input":{}})"));
}

TEST_F(OpencodeContent, ATextThatWasHalfHeardDoesNotEndThere) {
  Part(R"("id":"prt_1","type":"text","text":"","time":{"start":1})");
  Say("message.part.delta", R"("messageID":"msg_1","partID":"prt_1","field":"text","delta":"Let ")");
  replay.events->StreamBroke();
  Part(R"("id":"prt_2","type":"tool","callID":"c1","tool":"bash","state":{"status":"running","input":{}})");
  Part(R"("id":"prt_1","type":"text","text":"Let me","time":{"start":1,"end":2})");
  EXPECT_THAT(lines(), ElementsAre(R"(assistant.delta {"message_id":"prt_1","text":"Let "})",
                                   R"(tool.started {"call_id":"c1","name":"bash","input":{}})",
                                   R"(assistant.delta {"message_id":"prt_1","text":"me"})",
                                   R"(assistant.message {"message_id":"prt_1","text":"Let me"})"));
}

TEST_F(OpencodeContent, ACommandThatFailedOrWasAbortedHasNotCompleted) {
  const std::map<std::string, std::string> ends = {{R"({"exit":0})", "tool.completed"},
                                                   {R"({"exit":3})", "tool.failed"},
                                                   {R"({"exit":null})", "tool.failed"},
                                                   {R"({"dismissed":true})", "tool.failed"}};
  int part = 0;
  for (const auto& [metadata, end] : ends) {
    Part(R"("id":"prt_)" + std::to_string(++part) + R"(","type":"tool","tool":"bash","state":{)" +
         R"("status":"completed","input":{},"output":"x","metadata":)" + metadata + "}");
    EXPECT_EQ(lines().back().find(end), 0u) << metadata;
  }
}

TEST_F(OpencodeContent, AnErrorIsToldOnce) {
  const std::string error = R"("error":{"name":"E","data":{"message":"m"}})";
  Say("session.error", error);
  Say("session.error", R"("error":{"name":"F","data":{"message":"n"}})");
  Say("session.turn.close", R"("reason":"error")");
  EXPECT_THAT(lines(),
              ElementsAre(R"(agent.error {"code":"F","message":"n","fatal":false})", "> turn failed E: m"));
  Say("session.turn.open", "");
  replay.host.Clear();
  Say("session.error", error);
  Say("session.turn.close", R"("reason":"completed")");
  EXPECT_THAT(lines(),
              ElementsAre(R"(agent.error {"code":"E","message":"m","fatal":false})", "> turn completed"));
}

TEST_F(OpencodeContent, CallsOfOneAnswerWithTheSameIdAreToldApart) {
  for (const char* part : {"prt_1", "prt_2"}) {
    for (const char* status : {"running", "completed"}) {
      Part(R"("id":")" + std::string(part) +
           R"(","type":"tool","callID":"c0","tool":"read","state":{"status":")" + status +
           R"(","input":{},"output":"x"})");
    }
  }
  EXPECT_THAT(lines(),
              ElementsAre(R"(tool.started {"call_id":"c0","name":"read","input":{}})",
                          R"(tool.completed {"call_id":"c0","name":"read","input":{},"output":"x"})",
                          R"(tool.started {"call_id":"prt_2","name":"read","input":{}})",
                          R"(tool.completed {"call_id":"prt_2","name":"read","input":{},"output":"x"})"));
}

TEST_F(OpencodeContent, WhatATurnCutsShortIsToldToItsEnd) {
  Part(
      R"("id":"prt_2","type":"tool","callID":"c1","tool":"bash","state":{"status":"running","input":{"a":1}})");
  Say("question.asked", R"("id":"que_1","questions":[],"tool":{"messageID":"msg_1","callID":"c2"})");
  Part(R"("id":"prt_3","type":"text","text":"","time":{"start":1})");
  Say("message.part.delta", R"("messageID":"msg_1","partID":"prt_3","field":"text","delta":"half a")");
  replay.host.Clear();
  Say("session.turn.close", R"("reason":"interrupted")");
  Part(
      R"("id":"prt_2","type":"tool","callID":"c1","tool":"bash","state":{"status":"error","input":{"a":1}})");
  EXPECT_THAT(lines(),
              ElementsAre(R"(tool.failed {"call_id":"c1","name":"bash","input":{"a":1},)"
                          R"("output":"the turn ended before the tool did"})",
                          R"(assistant.message {"message_id":"prt_3","text":"half a"})",
                          R"(tool.failed {"call_id":"c2","name":"question","input":{"questions":[]},)"
                          R"("output":"the turn ended before the tool did"})",
                          "> approval gone que_1", "> turn cancelled"));
}

// ------------------------------------------------------------------------------------------------- questions

TEST_F(OpencodeContent, AnAnswerGoesBackInTheOrderOfTheQuestions) {
  Say("question.asked", R"("id":"que_1","questions":[{"question":"Which?","header":"W","options":[]},)"
                        R"({"question":"How many?","multiple":true,"options":[]},{"question":"Why?"}])");
  EXPECT_EQ(lines().back().find("> elicitation que_1 Which?\nHow many?\nWhy? "), 0) << lines().back();
  EXPECT_EQ(replay.events->ReplyTo("que_1", R"({"How many?":["1","2"],"Which?":"that","x":1})"),
            R"({"answers":[["that"],["1","2"],[]]})");
  EXPECT_EQ(replay.events->ReplyTo("que_2", "{}"), "");
  EXPECT_TRUE(replay.events->Answer("que_1"));
  Say("question.replied", R"("requestID":"que_1","answers":[])");
  EXPECT_EQ(replay.host.Count("> approval gone"), 0u);
}

TEST_F(OpencodeContent, AQuestionWhoseCallHasEndedIsNotAsked) {
  Part(
      R"("id":"prt_1","type":"tool","callID":"c1","tool":"question","state":{"status":"completed","input":{}})");
  replay.host.Clear();
  Say("question.asked", R"("id":"que_1","questions":[],"tool":{"messageID":"msg_1","callID":"c1"})");
  EXPECT_THAT(lines(), ElementsAre());
  EXPECT_EQ(replay.events->wait(), OpencodeEvents::Wait::kNone);
}

// --------------------------------------------------------------------------------------- a break of the
// stream

// The state that a viewer has at the end: joined deltas, texts and ends in order. Approvals, retries and
// running output belong to the moment: those that passed while nobody listened are not reported.
std::string InTheEnd(const RecordingHost& host) {
  std::string text, usage;
  std::map<std::string, std::string> joined;
  for (const std::string& line : host.lines()) {
    const std::string type = line.substr(0, line.find(' '));
    if (type == "usage.updated") usage = line + "\n";  // the parts of a sum come in any order
    if (type == "usage.updated" || type == "agent.error" || type == "tool.output" ||
        line.compare(0, 10, "> approval") == 0 || line.compare(0, 13, "> elicitation") == 0)
      continue;
    auto data = JsonDocument::Parse(line.substr(line.find(' ') + 1));
    const std::string id = data ? std::string((*data)["message_id"].StringOr("")) : "";
    if (type == "assistant.delta" || type == "reasoning.delta") {
      joined[id] += (*data)["text"].StringOr("");
      continue;
    }
    if (type == "assistant.message") {
      text += "joined: " + joined[id] + "\n";
    }
    text += line + "\n";
  }
  return text + usage;
}

// Titles, plans and sub-agents' doings may be told a little earlier or later among the rest.
std::string Sorted(const std::string& text, bool sort) {
  if (!sort) return text;
  std::vector<std::string> lines;
  for (size_t at = 0; at < text.size();) {
    size_t end = text.find('\n', at);
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  std::sort(lines.begin(), lines.end());
  std::string sorted;
  for (const std::string& line : lines) sorted += line + "\n";
  return sorted;
}

// Hears events [0, broke); misses those until `opened`; what comes until `asked` is held back while the
// snapshot, which knows all until `asked`, is fetched; hears the rest.
std::string WithABreak(const std::vector<std::string>& recorded, size_t broke, size_t opened, size_t asked) {
  Replay replay;
  replay.Adopt(recorded);
  OpencodeState server;
  auto take = [&replay, &recorded](size_t from, size_t to) {
    for (size_t i = from; i < to; ++i) replay.Take(recorded[i]);
  };
  for (size_t i = 0; i < asked; ++i) server.Apply(JsonDocument::Parse(recorded[i])->root());
  take(0, broke);
  replay.HandOver();  // which is a break, too
  replay.events->StreamBroke();

  const std::string& root = replay.events->session();
  std::vector<JsonDocument> documents;
  auto keep = [&documents](const std::string& json) {
    documents.push_back(std::move(*JsonDocument::Parse(json)));
    return documents.back().root();
  };
  OpencodeEvents::Snapshot snapshot;
  snapshot.session = keep(server.Has(root) ? server.Session(root) : "{}");
  snapshot.permissions = keep(server.Permissions());
  snapshot.questions = keep(server.Questions());
  snapshot.todos = keep(server.Todos(root));
  snapshot.messages.emplace_back(root, keep(server.Messages(root)));
  for (const JsonValue& child : keep(server.Children(root)).Elements()) {
    if (!replay.events->Follows(child)) continue;
    const std::string id(child["id"].StringOr(""));
    snapshot.messages.emplace_back(id, keep(server.Messages(id)));
    snapshot.children.push_back(child);
  }
  replay.events->TakeSnapshot(snapshot);
  take(opened, asked);
  replay.events->Reconcile(keep(server.Status()));
  take(asked, recorded.size());
  if (replay.events->wait() != OpencodeEvents::Wait::kNone) replay.events->Settle();
  EXPECT_FALSE(replay.events->in_turn());
  return InTheEnd(replay.host);
}

class Breaks : public ::testing::TestWithParam<const char*> {};

TEST_P(Breaks, AnywhereLoseNothingAndTellNothingTwice) {
  const std::vector<std::string> recorded = Recorded(GetParam());
  Replay whole;
  whole.TakeAll(recorded);
  const std::string name = GetParam();
  const bool sort = name == "edit" || name == "todo" || name == "subagent";
  const std::string expected = Sorted(InTheEnd(whole.host), sort);
  // Nothing is asked for before the session exists.
  size_t first = 0;
  while (recorded[first].find("\"session.created\"") == std::string::npos) ++first;
  const std::vector<size_t> steps = {0, 1, 3, 12, 40, recorded.size()};
  for (size_t broke = first + 1; broke <= recorded.size(); broke += kSanitized ? 7 : 1) {
    for (size_t missed : steps) {
      for (size_t held : steps) {
        const size_t opened = std::min(recorded.size(), broke + missed);
        const size_t asked = std::min(recorded.size(), opened + held);
        const std::string got = Sorted(WithABreak(recorded, broke, opened, asked), sort);
        ASSERT_EQ(got, expected) << GetParam() << ": heard " << broke << ", missed until " << opened
                                 << ", held until " << asked;
        if (asked == recorded.size()) break;
      }
      if (broke + missed >= recorded.size()) break;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Kilo, Breaks,
                         ::testing::Values("turn", "sync", "reject", "rejectmsg", "abort", "abortperm",
                                           "fail400", "write", "edit", "todo", "subagent"));

TEST(OpencodeBreak, AnApprovalThatWaitsIsOfferedFromTheSnapshotAndADeadOneIsNot) {
  const std::vector<std::string> recorded = Recorded("abortperm");
  Replay replay;
  replay.TakeAll(recorded);
  EXPECT_EQ(replay.host.Count("> approval per_"), 1u);
  EXPECT_EQ(replay.host.Count("> approval gone per_"), 1u);
  replay.host.Clear();
  replay.events->StreamBroke();
  const std::string dead = R"({"id":"per_1f87fbf5d001a4pYiJKa8e8R0o","permission":"bash","sessionID":")";
  const std::string fresh = R"({"id":"per_2","permission":"bash","sessionID":")";
  const std::string end = replay.events->session() + "\"}";
  auto list = JsonDocument::Parse("[" + dead + end + "," + fresh + end + "]");
  OpencodeEvents::Snapshot snapshot;
  snapshot.permissions = list->root();
  replay.events->TakeSnapshot(snapshot);
  EXPECT_EQ(replay.host.Count("> approval per_"), 1u);
  EXPECT_TRUE(replay.host.Has("> approval per_2 "));
  // Answered by someone else while nobody listened.
  replay.events->StreamBroke();
  replay.events->TakeSnapshot({});
  EXPECT_EQ(replay.host.lines().back(), "> approval gone per_2");
}

TEST(OpencodeBreak, OurAnswerOnItsWayIsNotOfferedAgain) {
  Replay replay;
  replay.Adopt(Recorded("turn"));
  const std::string request =
      R"({"id":"per_1","permission":"bash","sessionID":")" + replay.events->session() + "\"}";
  replay.Take(R"({"type":"permission.asked","properties":)" + request + "}");
  EXPECT_TRUE(replay.events->Answer("per_1"));
  replay.events->StreamBroke();
  auto list = JsonDocument::Parse("[" + request + "]");
  OpencodeEvents::Snapshot snapshot;
  snapshot.permissions = list->root();
  replay.events->TakeSnapshot(snapshot);
  EXPECT_EQ(replay.host.Count("> approval per_1"), 1u);
}

}  // namespace
}  // namespace reeve
