// The model and the view of `reeve top` for objects and events, without a terminal.
#include <gtest/gtest.h>

#include <algorithm>
#include <clocale>
#include <string>
#include <vector>

#include "control/cli/show/styled.h"
#include "control/cli/top/top_answer.h"
#include "control/cli/top/top_model.h"
#include "control/cli/top/top_view.h"
#include "process/clock.h"

namespace reeve {
namespace {

using Strings = std::vector<std::string>;

// For the widths of characters.
const bool kUtf8 = std::setlocale(LC_CTYPE, "C.UTF-8") != nullptr;
constexpr int64_t kNow = 1'795'170'414'000;

class Town {
 public:
  // An agent as the API has it: `members` as in R"("state":"idle")".
  void Agent(const std::string& id, const std::string& members, int64_t now_ms = 0) {
    auto json = JsonDocument::Parse(R"({"id":")" + id + R"(","kind":"claude")" +
                                    (members.empty() ? "" : ",") + members + "}");
    ASSERT_TRUE(json) << json.error().message;
    model.TakeAgent(json->root(), now_ms);
  }
  bool Event(const std::string& agent, int seq, const std::string& type, const std::string& data = "{}",
             const std::string& run = "r1") {
    auto json = JsonDocument::Parse(R"({"agent":")" + agent + R"(","epoch":1,"seq":)" + std::to_string(seq) +
                                    R"(,"time":")" + FormatTime(kNow) + R"(","type":")" + type +
                                    R"(","run":")" + run + R"(","data":)" + data + "}");
    EXPECT_TRUE(json) << data;
    return json && model.TakeEvent(json->root());
  }
  [[nodiscard]] std::string State(const std::string& id) {
    const TopAgent* agent = model.Find(id);
    return agent ? std::string(agent->state()) : "none";
  }
  [[nodiscard]] Strings Rows() const {
    Strings ids;
    for (const TopAgent* agent : model.Rows()) ids.push_back(agent->id);
    return ids;
  }
  Strings Draw(size_t columns, size_t rows) {
    TopView view(model, town);
    Strings lines;
    for (const StyledLine& line : view.Draw(columns, rows, kNow)) lines.push_back(TextOf(line));
    return lines;
  }

  TopModel model;
  TopTown town{.name = "test",
               .status = "ok",
               .reason = "",
               .viewers = 1,
               .uptime_ms = 65'000,
               .known = true,
               .connected = true};
};

// ------------------------------------------------------------------------------------------------- states

TEST(TopModel, FollowsAnAgentThroughItsEvents) {
  Town town;
  EXPECT_TRUE(town.Event("a1", 1, "agent.starting"));
  EXPECT_EQ(town.State("a1"), "starting");
  town.Event("a1", 2, "agent.ready");
  EXPECT_EQ(town.State("a1"), "idle");
  town.Event("a1", 3, "run.started");
  EXPECT_EQ(town.State("a1"), "running");
  EXPECT_EQ(town.model.Find("a1")->run_started_ms, kNow);
  town.Event("a1", 4, "agent.stalled", R"({"silent_ms":60000})");
  EXPECT_EQ(town.State("a1"), "stalled");
  town.Event("a1", 5, "agent.resumed");
  town.Event("a1", 6, "approval.requested",
             R"({"id":"p1","kind":"approval","tool":"bash","input":{"command":"ls"}})");
  EXPECT_EQ(town.State("a1"), "needs_input");
  EXPECT_EQ(town.model.Find("a1")->asks.front().gist, "asks: bash ls");
  town.Event("a1", 7, "approval.resolved", R"({"id":"p1","decision":"allow_once"})");
  EXPECT_EQ(town.State("a1"), "running");
  EXPECT_TRUE(town.model.Find("a1")->asks.empty());
  town.Event("a1", 8, "run.completed");
  EXPECT_EQ(town.State("a1"), "idle");
  town.Event("a1", 9, "agent.stopping");
  EXPECT_EQ(town.State("a1"), "stopping");
  town.Event("a1", 10, "agent.exited", R"({"code":0})");
  EXPECT_EQ(town.State("a1"), "exited");
  town.Event("a1", 11, "agent.restarting", R"({"attempt":1,"delay_ms":1000})");
  EXPECT_EQ(town.State("a1"), "backoff");
  town.Event("a1", 12, "agent.failed", R"({"message":"gave up"})");
  EXPECT_EQ(town.State("a1"), "failed");
}

// They come on two connections.
TEST(TopModel, TakesNothingBackThatIsOlderThanWhatItKnows) {
  Town town;
  town.Agent("a1", R"("state":"running","run":{"run_id":"r1"},"cursor":"1-5")");
  EXPECT_FALSE(town.Event("a1", 5, "run.completed"));
  EXPECT_EQ(town.State("a1"), "running") << "the object was newer";
  town.Event("a1", 6, "run.completed");
  EXPECT_EQ(town.State("a1"), "idle");
  town.Agent("a1", R"("state":"running","run":{"run_id":"r1"},"cursor":"1-5","queue_depth":3)");
  EXPECT_EQ(town.State("a1"), "idle") << "the event was newer";
  EXPECT_EQ(town.model.Find("a1")->queue_depth, 3) << "which no event tells";
  town.Agent("a1", R"("state":"starting","cursor":"2-7")");
  EXPECT_EQ(town.State("a1"), "starting");
}

TEST(TopModel, ForgetsWhoIsNoLongerListedAndDoesNotMourn) {
  Town town;
  town.model.BeginList();
  town.Agent("a1", R"("state":"idle")");
  town.Agent("a2", R"("state":"idle")");
  town.model.EndList();
  town.model.BeginList();
  town.Agent("a2", R"("state":"idle")");
  town.Event("a3", 1, "agent.starting");  // in between, so it is on no page
  town.model.EndList();
  EXPECT_EQ(town.Rows(), (Strings{"a3", "a2"}));
  EXPECT_FALSE(town.Event("a1", 9, "agent.exited")) << "news of the deleted";
  EXPECT_EQ(town.State("a1"), "none");
}

TEST(TopModel, KnowsThatItLacksQuestions) {
  Town town;
  town.Agent("a1", R"("state":"needs_input","run":{"run_id":"r1"},"pending_approvals":1,"cursor":"1-5")");
  EXPECT_EQ(town.State("a1"), "needs_input");
  EXPECT_TRUE(town.model.lacks_approvals());
  auto list =
      JsonDocument::Parse(R"([{"id":"q1","agent":"a1","kind":"elicitation","message":"Which?","schema":{}},
                                      {"id":"p9","agent":"unknown","kind":"approval","tool":"bash"}])");
  town.model.TakeApprovals(list->root());
  EXPECT_FALSE(town.model.lacks_approvals());
  EXPECT_TRUE(town.model.Find("a1")->asks.front().elicitation);
  // Told again, it is the same.
  town.Event("a1", 5, "elicitation.requested", R"({"id":"q1","kind":"elicitation","message":"Which?"})");
  EXPECT_EQ(town.model.Find("a1")->asks.size(), 1U);
}

// A person answers the request that they have read, not a later one with the same id.
TEST(TopModel, TellsApartWhatIsAskedUnderOneId) {
  Town town;
  auto ask = [&town](int seq, const char* command) {
    town.Event("a1", seq, "approval.requested",
               R"({"id":"p1","kind":"approval","tool":"bash","input":{"command":")" + std::string(command) +
                   R"("}})");
  };
  auto list = [&town](const char* command) {
    auto json = JsonDocument::Parse(
        R"([{"agent":"a1","id":"p1","kind":"approval","tool":"bash","input":{"command":")" +
        std::string(command) + R"("}}])");
    ASSERT_TRUE(json);
    town.model.TakeApprovals(json->root());
  };
  auto front = [&town] { return town.model.Find("a1")->asks.front(); };
  town.Event("a1", 1, "agent.starting");
  ask(2, "ls");
  const uint64_t first = front().serial;
  list("ls");
  EXPECT_EQ(front().serial, first) << "the same, told once more";
  town.Event("a1", 3, "approval.resolved", R"({"id":"p1","decision":"cancelled"})");
  ask(4, "rm -rf .");
  const uint64_t second = front().serial;
  EXPECT_NE(second, first);
  list("dd");
  EXPECT_NE(front().serial, second) << "the connection was lost when it changed";
  const uint64_t third = front().serial;
  ask(5, "make");
  EXPECT_NE(front().serial, third);
  EXPECT_EQ(front().gist, "asks: bash make") << "what is asked now";
  EXPECT_EQ(town.model.Find("a1")->asks.size(), 1U);
}

TEST(TopModel, MeasuresProcessorTimeBetweenSamplesOfOneProcess) {
  Town town;
  const auto sample = [&town](int pid, int cpu_ms, int64_t now_ms) {
    town.Agent("a1",
               R"("state":"idle","pid":)" + std::to_string(pid) +
                   R"(,"resources":{"rss_bytes":1048576,"cpu_ms":)" + std::to_string(cpu_ms) + "}",
               now_ms);
    return town.model.Find("a1")->cpu_percent;
  };
  EXPECT_EQ(sample(7, 100, 1'000), std::nullopt);
  EXPECT_EQ(sample(7, 1'100, 3'000), 50.0);
  EXPECT_EQ(sample(7, 1'100, 3'100), 50.0) << "too short to tell";
  EXPECT_EQ(sample(7, 5'100, 5'000), 200.0);
  EXPECT_EQ(sample(8, 10, 7'000), std::nullopt) << "another process";
  town.Agent("a1", R"("state":"exited")", 9'000);
  EXPECT_EQ(town.model.Find("a1")->rss_bytes, std::nullopt);
}

TEST(TopModel, KeepsWhatWasSaidLast) {
  Town town;
  town.Agent("a1", R"("state":"running","run":{"run_id":"r1"},"cursor":"1-1")");
  const auto last = [&town] { return town.model.Find("a1")->last; };
  town.Event("a1", 2, "agent.output", R"({"stream":"stdout","text":"building\u001b[2J 会議"})");
  EXPECT_EQ(last(), "building 会議");
  EXPECT_FALSE(town.Event("a1", 3, "agent.output", R"({"stream":"stdout","text":"  "})"));
  EXPECT_EQ(last(), "building 会議") << "a blank line says nothing";
  town.Event("a1", 4, "assistant.delta", R"({"text":"First I look.\nThen "})");
  town.Event("a1", 5, "assistant.delta", R"({"text":"I leap."})");
  EXPECT_EQ(last(), "Then I leap.");
  town.Event("a1", 6, "tool.started", R"({"name":"bash","input":{"command":"make"}})");
  EXPECT_EQ(last(), "bash make");
  town.Event("a1", 7, "assistant.message", R"({"text":"All is well.\n"})");
  town.Event("a1", 8, "tool.failed", R"({"name":"bash"})");
  EXPECT_EQ(last(), "bash failed");
  town.Event("a1", 9, "run.completed");
  EXPECT_EQ(last(), "All is well.") << "what came of it";
  auto past = JsonDocument::Parse(R"([{"agent":"a1","type":"agent.output","data":{"text":"old"}}])");
  town.model.TakePast("a1", past->root());
  EXPECT_EQ(last(), "All is well.");
  std::string flood = R"({"text":")" + std::string(100'000, 'x') + R"("})";
  for (int i = 10; i < 40; ++i) town.Event("a1", i, "assistant.delta", flood);
  EXPECT_LT(town.model.Find("a1")->saying.size(), 200'000U);
  EXPECT_LT(last().size(), 2'000U);
}

// --------------------------------------------------------------------------------------- rows, selection

void Fill(Town& town) {
  town.Agent(
      "idle",
      R"("state":"idle","title":"Zebra","usage":{"input_tokens":50,"output_tokens":1,"cost_usd":2.5})");
  town.Agent("runs",
             R"("state":"running","run":{"run_id":"r1"},"labels":{"team":"web"},"usage":{"input_tokens":7})");
  town.Agent("asks", R"("state":"needs_input","run":{"run_id":"r1"},"pending_approvals":1,"title":"Ask me")");
  town.Agent("over", R"("state":"exited","title":"answers","labels":{"team":"web"})");
}

TEST(TopModel, PutsFirstWhatWaitsForAPersonOrAsIsWished) {
  Town town;
  Fill(town);
  EXPECT_EQ(town.Rows(), (Strings{"asks", "runs", "idle", "over"}));
  town.model.SetOrder(TopOrder::kName);
  EXPECT_EQ(town.Rows(), (Strings{"asks", "idle", "over", "runs"}));
  town.model.SetReversed(true);
  EXPECT_EQ(town.Rows(), (Strings{"runs", "over", "idle", "asks"}));
  town.model.SetReversed(false);
  town.model.SetOrder(TopOrder::kTokens);
  EXPECT_EQ(town.Rows().front(), "idle");
  EXPECT_EQ(town.Rows()[1], "runs");
}

TEST(TopModel, ShowsOnlyWhatTheFilterNames) {
  Town town;
  Fill(town);
  town.model.SetFilter("TEAM=web");
  EXPECT_EQ(town.Rows(), (Strings{"runs", "over"}));
  town.model.SetFilter("team=web exited");
  EXPECT_EQ(town.Rows(), (Strings{"over"}));
  town.model.SetFilter("needs in");
  EXPECT_EQ(town.Rows(), (Strings{"asks"}));
  town.model.SetFilter("nothing of that kind");
  EXPECT_TRUE(town.Rows().empty());
  EXPECT_EQ(town.model.Selected(), nullptr);
}

TEST(TopModel, SelectsAnAgentNotARow) {
  Town town;
  Fill(town);
  EXPECT_EQ(town.model.Selected()->id, "asks");
  town.model.Move(1);
  EXPECT_EQ(town.model.Selected()->id, "runs");
  town.Event("over", 1, "agent.failed");  // comes before it now
  EXPECT_EQ(town.Rows(), (Strings{"asks", "over", "runs", "idle"}));
  EXPECT_EQ(town.model.Selected()->id, "runs");
  town.model.Move(1);
  EXPECT_EQ(town.model.Selected()->id, "idle");
  town.model.Move(10);
  EXPECT_EQ(town.model.Selected()->id, "idle");
  // Gone: who stands there now is selected.
  town.model.BeginList();
  for (const char* id : {"asks", "runs"}) town.Agent(id, R"("state":"idle")");
  town.model.EndList();
  EXPECT_EQ(town.model.Selected()->id, "runs");
  town.model.Move(-10);
  EXPECT_EQ(town.model.Selected()->id, "asks");
}

// -------------------------------------------------------------------------------------------------- looks

TEST(TopView, FitsWhateverTheSizeAndKeepsTheSelectedInSight) {
  Town town;
  for (int i = 0; i < 50; ++i)
    town.Agent("agent-" + std::to_string(100 + i),
               R"("state":"idle","title":"会議の準備をする 🎉 )" + std::to_string(i) + "\"");
  town.Agent("asks", R"("state":"needs_input","run":{"run_id":"r1"},"pending_approvals":1)");
  TopView view(town.model, town.town);
  for (const int64_t row : {0, 50, 25}) {
    town.model.Select(row);
    const std::string name = town.model.Selected()->id;
    for (size_t columns = 0; columns < 130; columns += 1 + columns / 10) {
      for (const size_t rows : std::vector<size_t>{0, 1, 2, 3, 4, 5, 6, 7, 10, 24, 60}) {
        const auto lines = view.Draw(columns, rows, kNow);
        EXPECT_LE(lines.size(), rows);
        for (const StyledLine& line : lines) EXPECT_LE(Columns(line), columns) << TextOf(line);
        const auto& seen = view.visible();
        if (rows == 0) continue;
        EXPECT_NE(std::find(seen.begin(), seen.end(), name), seen.end()) << columns << "x" << rows;
      }
    }
  }
}

TEST(TopView, SaysWhatThereIs) {
  Town town;
  Fill(town);
  town.Event("runs", 1, "agent.output", R"({"text":"half way there"})");
  const Strings lines = town.Draw(120, 10);
  ASSERT_EQ(lines.size(), 7U);
  EXPECT_EQ(lines[0].substr(0, 16), "reeve test  ok  ");
  EXPECT_NE(lines[0].find("1 viewer · up 1m05s · 4 agents"), std::string::npos) << lines[0];
  EXPECT_EQ(lines[1].substr(0, lines[1].find("  ")), "1 needs input · 1 running · 1 idle · 1 exited");
  EXPECT_NE(lines[2].find("STATE▾"), std::string::npos) << lines[2];
  EXPECT_NE(lines[4].find("half way there"), std::string::npos) << lines[4];
  EXPECT_NE(lines[5].find("$2.50"), std::string::npos) << lines[5];
  // All columns stand below their heads.
  const auto column = [](const std::string& line, const std::string& text) {
    return Columns(std::string_view(line).substr(0, line.find(text)));
  };
  EXPECT_EQ(column(lines[2], "LAST"), column(lines[4], "half way"));
  EXPECT_EQ(column(lines[2], "AGENT"), column(lines[3], "Ask me"));
  town.model.SetFilter("zzz");
  EXPECT_NE(town.Draw(120, 10)[4].find("No agent matches 'zzz'"), std::string::npos);
  town.town.connected = false;
  EXPECT_NE(town.Draw(120, 10)[0].find("reconnecting…"), std::string::npos);
}

TEST(TopView, ShowsAQuestionPartByPart) {
  Town town;
  std::string lines;
  for (int i = 1; i <= 30; ++i) lines += "line " + std::to_string(i) + "\\n";
  town.Event("a1", 1, "agent.starting");
  town.Event("a1", 2, "approval.requested",
             R"({"id":"p1","kind":"approval","tool":"bash","input":{"command":")" + lines + R"("}})");
  const TopAgent& agent = *town.model.Find("a1");
  size_t skip = 0;
  auto drawn = DrawAsk(agent, agent.asks.front(), agent.asks.front().text, 60, 10, skip);
  ASSERT_EQ(drawn.size(), 10U);
  EXPECT_NE(TextOf(drawn[0]).find("a1 asks to use bash"), std::string::npos);
  EXPECT_NE(TextOf(drawn[0]).find("lines 1-9 of 30"), std::string::npos) << TextOf(drawn[0]);
  EXPECT_EQ(TextOf(drawn[1]), "  line 1");
  skip = 1'000;
  drawn = DrawAsk(agent, agent.asks.front(), agent.asks.front().text, 60, 10, skip);
  EXPECT_EQ(skip, 21U);
  EXPECT_EQ(TextOf(drawn.back()), "  line 30");
}

TEST(TopView, WordsNumbersShortly) {
  EXPECT_EQ(ShortDuration(-5), "0s");
  EXPECT_EQ(ShortDuration(59'999), "59s");
  EXPECT_EQ(ShortDuration(72'000), "1m12s");
  EXPECT_EQ(ShortDuration(11'100'000), "3h05m");
  EXPECT_EQ(ShortDuration(187'200'000), "2d4h");
  EXPECT_EQ(ShortCount(999), "999");
  EXPECT_EQ(ShortCount(12'345), "12.3k");
  EXPECT_EQ(ShortCount(999'960), "1.0M");
  EXPECT_EQ(ShortBytes(120 << 20), "120M");
  EXPECT_EQ(ShortBytes(0), "0");
}

TEST(Styled, WrapsAtSpacesAndNeverLosesAnything) {
  ASSERT_TRUE(kUtf8);
  const StyledLine line = {{"one two ", Colour::kRed}, {"three会議four"}};
  Strings lines;
  for (const StyledLine& part : Wrap(line, 8)) lines.push_back(TextOf(part));
  EXPECT_EQ(lines, (Strings{"one two ", "three会", "議four"}));
  for (size_t columns = 0; columns < 20; ++columns) {
    std::string all;
    for (const StyledLine& part : Wrap(line, columns)) all += TextOf(part);
    std::erase(all, ' ');
    EXPECT_EQ(all, "onetwothree会議four") << columns;
  }
  EXPECT_EQ(TextOf(Fit({{"abc"}, {"def"}}, 4)), "abc…");
  EXPECT_EQ(TextOf(Fit({{"abc"}, {"def"}}, 3)), "ab…");
  EXPECT_EQ(TextOf(Fit({{"abc"}, {"def"}}, 6)), "abcdef");
}

TEST(Styled, CarriesAColourOverLines) {
  Colour colour = Colour::kNone;
  StyledLine first, second;
  AppendPainted(first, colour, "plain \x1b[31mred");
  AppendPainted(second, colour, "still red\x1b[0m and not");
  EXPECT_EQ(first, (StyledLine{{"plain "}, {"red", Colour::kRed}}));
  EXPECT_EQ(second, (StyledLine{{"still red", Colour::kRed}, {" and not"}}));
}

// ----------------------------------------------------------------------------------------------- what is
// typed

TEST(TopAnswer, TakesWhatTheSchemaWants) {
  TopAnswer answer(R"({"type":"object","required":["Which colour?","n"],"properties":{
      "Which colour?":{"title":"Colour","type":"string","enum":["red","blue","black"],"enumNames":["red: r","blue: b","black: k"]},
      "sizes":{"type":"array","items":{"type":"string","enum":["S","M","L"]}},
      "n":{"type":"integer"},"ok":{"type":"boolean"},"why":{"type":"string"}}})");
  EXPECT_NE(answer.Describe().find("2  blue: b"), std::string::npos) << answer.Describe();
  EXPECT_EQ(answer.prompt(), "Colour (1 red, 2 blue, 3 black)");
  EXPECT_FALSE(answer.Give(""));
  EXPECT_FALSE(answer.Give("green"));
  EXPECT_FALSE(answer.Give("bl")) << "blue, or black?";
  EXPECT_FALSE(answer.Give("4"));
  EXPECT_TRUE(answer.Give("blu"));
  EXPECT_FALSE(answer.Give("S, X"));
  EXPECT_TRUE(answer.Give("S, 3"));
  EXPECT_FALSE(answer.Give("1.5"));
  EXPECT_TRUE(answer.Give("42"));
  EXPECT_TRUE(answer.Give("y"));
  EXPECT_FALSE(answer.complete());
  EXPECT_TRUE(answer.Give(""));  // need not be answered
  EXPECT_TRUE(answer.complete());
  EXPECT_EQ(answer.content(), R"({"Which colour?":"blue","sizes":["S","L"],"n":42,"ok":true})");
  EXPECT_TRUE(TopAnswer("{}").complete());
}

}  // namespace
}  // namespace reeve
