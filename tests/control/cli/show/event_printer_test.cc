// EventPrinter: the lines that it prints for events.
#include "control/cli/show/event_printer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "control/cli/show/event_words.h"
#include "control/cli/terminal/console.h"
#include "orchestrator/json/json.h"
#include "tests/support/paths.h"

namespace reeve {
namespace {

class EventPrinterTest : public ::testing::Test {
 protected:
  void SetUp() override {
    setenv("TZ", "UTC", 1);
    tzset();
    PrepareOutput();
  }

  // Events of agent a1, each with a type and its data.
  static std::string Envelope(const std::string& type, const std::string& data,
                              const std::string& agent = "a1",
                              const std::string& time = "2026-01-31T09:14:05.000Z") {
    return R"({"agent":")" + agent + R"(","epoch":1,"seq":1,"time":")" + time + R"(","type":")" + type +
           R"(","run":"r3","data":)" + data + "}";
  }
  static void Print(EventPrinter& printer, const std::string& envelope) {
    auto json = JsonDocument::Parse(envelope);
    ASSERT_TRUE(json) << envelope;
    printer.Print(json->root());
  }
  // The output for these events, "type {data}".
  static std::string Printed(const std::vector<std::string>& events, EventPrinter::Options options = {}) {
    std::string out;
    EventPrinter printer(options, [&out](std::string_view text) { out += text; });
    for (const std::string& event : events) {
      const size_t space = event.find(' ');
      Print(printer, Envelope(event.substr(0, space), event.substr(space + 1)));
    }
    printer.End();
    return out;
  }
};

EventPrinter::Options Live() {
  EventPrinter::Options options;
  options.live = true;
  return options;
}

TEST_F(EventPrinterTest, JoinsDeltasIntoOneMessage) {
  const std::vector<std::string> events = {
      R"(assistant.delta {"message_id":"m","text":"an "})",
      R"(assistant.delta {"message_id":"m","text":"answer"})",
      R"(assistant.message {"message_id":"m","text":"an answer"})",
      R"(assistant.message {"message_id":"n","text":"whole\nin two lines\n"})"};
  EXPECT_EQ(Printed(events), "an answer\nwhole\nin two lines\n");
  EXPECT_EQ(Printed(events, Live()), "an answer\nwhole\nin two lines\n");
  EXPECT_EQ(Printed({R"(reasoning.delta {"text":"hm"})", R"(reasoning.message {"text":"hm, yes\nso"})"}),
            "~ hm, yes\n  so\n");
}

TEST_F(EventPrinterTest, ShowsWhatIsSaidAsItComesAndOnce) {
  std::string out;
  EventPrinter printer(Live(), [&out](std::string_view text) { out += text; });
  Print(printer, Envelope("assistant.delta", R"({"message_id":"m","text":"Tool "})"));
  EXPECT_EQ(out, "Tool ");
  Print(printer, Envelope("agent.output", R"({"stream":"stdout","text":"beside"})"));
  EXPECT_EQ(out, "Tool \nbeside\n");
  Print(printer, Envelope("assistant.delta", R"({"message_id":"m","text":"results"})"));
  EXPECT_EQ(out, "Tool \nbeside\n… results");
  Print(printer, Envelope("assistant.message", R"({"message_id":"m","text":"Tool results."})"));
  EXPECT_EQ(out, "Tool \nbeside\n… results.\n");
  Print(printer, Envelope("assistant.delta", R"({"message_id":"n","text":"first"})"));
  Print(printer, Envelope("assistant.message", R"({"message_id":"n","text":"something else"})"));
  EXPECT_EQ(out, "Tool \nbeside\n… results.\nfirst\nsomething else\n");
}

TEST_F(EventPrinterTest, ShowsAMessageOnceHoweverLongItIs) {
  const std::string piece(700'000, 'a');
  for (const EventPrinter::Options& options : {EventPrinter::Options(), Live()}) {
    std::string out;
    EventPrinter printer(options, [&out](std::string_view text) { out += text; });
    std::string whole;
    for (int i = 0; i < 4; ++i, whole += piece) {
      Print(printer, Envelope("assistant.delta", R"({"message_id":"m","text":")" + piece + "\"}"));
    }
    // A long message is printed before it ends; without `live` its parts are whole lines.
    EXPECT_GE(out.size(), 2'800'000U);
    Print(printer, Envelope("assistant.message", R"({"message_id":"m","text":")" + whole + ".\"}"));
    std::string said;
    std::copy_if(out.begin(), out.end(), std::back_inserter(said), [](char c) { return c != '\n'; });
    EXPECT_TRUE(said == whole + ".") << said.size();
    EXPECT_EQ(out.size() - said.size(), options.live ? 1U : 3U);
  }
}

TEST_F(EventPrinterTest, GoesOnWithWhatWasHalfSaid) {
  std::string out;
  EventPrinter printer(Live(), [&out](std::string_view text) { out += text; });
  const auto snapshot = JsonDocument::Parse(
      R"({"run":{"run_id":"r3"},"open":{"texts":[{"message_id":"m","kind":"assistant","text":"It is "}],)"
      R"("calls":[{"call_id":"c","name":"bash","input":{"command":"ls"}}]}})");
  ASSERT_TRUE(snapshot.ok());
  printer.Begin("a1", snapshot->root());
  EXPECT_EQ(out, "It is ");
  Print(printer, Envelope("assistant.delta", R"({"message_id":"m","text":"so"})"));
  Print(printer, Envelope("assistant.message", R"({"message_id":"m","text":"It is so."})"));
  EXPECT_EQ(out, "It is so.\n");
}

TEST_F(EventPrinterTest, EndsWhatARunLeavesHalfSaid) {
  const std::vector<std::string> events = {
      R"(assistant.delta {"message_id":"m","text":"an "})",
      R"(run.failed {"error":{"code":"x","message":"no\nmore"},"duration_ms":90})"};
  const std::string expected = "an \n-- run r3 failed · 90 ms · 2026-01-31 09:14:05\n   no\n   more\n";
  EXPECT_EQ(Printed(events), expected);
  EXPECT_EQ(Printed(events, Live()), expected);
}

TEST_F(EventPrinterTest, FoldsToolCalls) {
  EXPECT_EQ(
      Printed(
          {R"(tool.started {"call_id":"c","name":"bash","input":{"command":"make\n-j4"}})",
           R"(tool.output {"call_id":"c","output":"1\n"})",
           R"(tool.completed {"call_id":"c","name":"bash","output":"1\n2\n3\n4\n5\n","duration_ms":1250})"}),
      "* bash make -j4\n  done · 1.2 s\n    1\n    2\n    3\n    … 2 more lines\n");
  EXPECT_EQ(Printed({R"(tool.started {"call_id":"c","name":"read","input":{"file_path":"/a"}})",
                     R"(tool.started {"call_id":"d","name":"grep","input":{"pattern":"x","path":"/b"}})",
                     R"(tool.failed {"call_id":"c","name":"read","output":"no such file"})",
                     R"(tool.completed {"call_id":"d","name":"grep","output":""})"}),
            "* read /a\n* grep /b\n* read /a · failed · 0 ms\n    no such file\n* grep /b · done · 0 ms\n");
  EXPECT_EQ(
      Printed(
          {R"(tool.started {"call_id":"c","name":"bash","input":{"command":"make"}})",
           R"(tool.failed {"call_id":"c","name":"bash","output":"no rule","exit_code":2,"duration_ms":9})"}),
      "* bash make\n  failed · exit code 2 · 9 ms\n    no rule\n");
}

TEST_F(EventPrinterTest, FoldsNothingWithFull) {
  EventPrinter::Options full;
  full.full = true;
  const std::string line(300, 'x');
  EXPECT_EQ(
      Printed({R"(tool.started {"call_id":"c","name":"bash","input":{"command":")" + line + "\"}}",
               R"(tool.completed {"call_id":"c","name":"bash","output":"1\n2\n3\n4\n5\n6","duration_ms":9})"},
              full),
      "* bash " + line + "\n  done · 9 ms\n    1\n    2\n    3\n    4\n    5\n    6\n");
}

TEST_F(EventPrinterTest, ShowsEditsAsDiffs) {
  EventPrinter::Options options;
  options.colours = true;
  EXPECT_EQ(
      Printed({R"(file.edited {"path":"/a","diff":"--- /a\n+++ /a\n@@ -1,2 +1,2 @@\n one\n-2\n+zwei\n"})"},
              options),
      "\x1b[2m-- edited /a (+1 -1)\x1b[0m\n\x1b[2m    @@ -1,2 +1,2 @@\x1b[0m\n\x1b[2m     one\x1b[0m\n"
      "\x1b[31m    -2\x1b[0m\n\x1b[32m    +zwei\x1b[0m\n");
}

// A person who was at lunch did not make the command slow.
TEST_F(EventPrinterTest, DurationsLeaveOutTheTimeAPersonTook) {
  std::string out;
  EventPrinter printer({}, [&out](std::string_view text) { out += text; });
  auto print = [&printer](const char* type, const char* data, const char* time) {
    Print(printer, Envelope(type, data, "a1", std::string("2026-01-31T09:") + time + ".000Z"));
  };
  print("run.started", "{}", "00:00");
  print("tool.started", R"({"call_id":"c","name":"bash","input":{"command":"make"}})", "00:01");
  print("approval.requested", R"({"id":"p","tool":"bash","call_id":"c","input":{"command":"make"}})",
        "00:01");
  print("approval.resolved", R"({"id":"p","decision":"allow_once","by":"person"})", "10:01");
  print("tool.completed", R"({"call_id":"c","name":"bash","output":""})", "10:03");
  print("run.completed", R"({"duration_ms":604000})", "10:04");
  EXPECT_EQ(out,
            "-- run r3 started · 2026-01-31 09:00:00\n"
            "* bash make\n"
            "? asks to use bash · approval p · 09:00:01\n"
            "    make\n"
            "  allowed once · by person\n"
            "* bash make · done · 2.0 s\n"
            "-- run r3 completed · 4.0 s · 10 min 0 s more for a person's answers · 09:10:04\n");
}

TEST_F(EventPrinterTest, ShowsAQuestionOnce) {
  EXPECT_EQ(
      Printed(
          {R"(tool.started {"call_id":"c","name":"question","input":{"questions":[{"question":"Which?"}]}})",
           R"(elicitation.requested {"id":"e","message":"Which?","schema":{"properties":{"colour":{"enum":["Red","Blue"]}}}})",
           R"(elicitation.resolved {"id":"e","action":"accept","by":"person"})",
           R"(tool.completed {"call_id":"c","name":"question","output":"Red"})"}),
      "? asks for an answer · elicitation e · 2026-01-31 09:14:05\n    Which?\n    colour: Red | Blue\n"
      "  answered · by person\n");
}

TEST_F(EventPrinterTest, BreaksLinesBetweenWords) {
  EventPrinter::Options narrow;
  narrow.columns = 24;
  const std::vector<std::string> events = {
      R"(assistant.delta {"message_id":"m","text":"one word"})",
      R"(assistant.delta {"message_id":"m","text":" after another, until"})",
      R"(assistant.message {"message_id":"m","text":"one word after another, until the end"})",
      R"(agent.output {"stream":"stdout","text":"a line of a program stays as it is, however long"})"};
  const std::string expected =
      "one word after another,\nuntil the end\na line of a program stays as it is, however long\n";
  EXPECT_EQ(Printed(events, narrow), expected);
  narrow.live = true;
  EXPECT_EQ(Printed(events, narrow), expected);
  EXPECT_EQ(
      Printed({R"(user.message {"text":"a word that is aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa long"})"}, narrow),
      "> a word that is aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\nlong\n");
}

TEST_F(EventPrinterTest, ShowsAllOfWhatWaitsForAnAnswer) {
  const std::string asks =
      R"(approval.requested {"id":"p1","kind":"approval","tool":"write","input":{"file_path":"/a","content":"1\n2\n"}})";
  const std::string shown =
      "? asks to use write · approval p1 · 2026-01-31 09:14:05\n    file_path: /a\n    content:\n    1\n    "
      "2\n";
  EXPECT_EQ(Printed({asks}), shown);
  EXPECT_EQ(
      Printed({asks, R"(approval.resolved {"id":"p1","decision":"deny","by":"person","reason":"not this"})"}),
      shown + "  denied · by person · not this\n");
  // A rule of the policy answers at once, so the request is not printed.
  EXPECT_EQ(Printed({asks, R"(approval.resolved {"id":"p1","decision":"allow_once","by":"policy"})"}), "");
  EXPECT_EQ(
      Printed({asks, R"(approval.resolved {"id":"p1","decision":"deny","by":"policy","reason":"rule"})"}),
      "  denied · by policy · rule\n");
  EXPECT_EQ(
      Printed(
          {R"(elicitation.requested {"id":"e","message":"Which?","schema":{"properties":{"Colour":{"type":"string","enum":["Red","Blue"]},"n":{"type":"integer"}}}})",
           R"(elicitation.resolved {"id":"e","action":"accept","by":"person"})"}),
      "? asks for an answer · elicitation e · 2026-01-31 09:14:05\n    Which?\n    Colour: Red | Blue\n    "
      "n: integer\n"
      "  answered · by person\n");
}

TEST_F(EventPrinterTest, HasALineForTheRest) {
  EXPECT_EQ(
      Printed(
          {R"(agent.starting {"pid":7,"restarts":2})",
           R"(workspace.progress {"phase":"fetching","percent":1})",
           R"(workspace.progress {"phase":"fetching","percent":2})", R"(agent.ready {"pid":7})",
           R"(message.queued {"message_id":"m","mode":"followup"})", R"(message.started {"message_id":"m"})",
           R"(user.message {"text":"do\nthis"})", R"(file.edited {"path":"/a","additions":2,"deletions":1})",
           R"(plan.updated {"entries":[{"content":"look","status":"completed"},{"content":"act","status":"in_progress"},{"content":"rest"}]})",
           R"(usage.updated {"input_tokens":1})",
           R"(agent.error {"code":"warning","message":"odd","fatal":false})",
           R"(run.completed {"duration_ms":61000,"usage":{"input_tokens":26719,"output_tokens":32,"cost_usd":0.1075}})",
           R"(agent.exited {"code":null,"signal":"KILL"})", R"(agent.deleted {})", R"(new.thing {"a":1})"}),
      "-- agent is starting · restart 2 · pid 7 · 2026-01-31 09:14:05\n"
      "-- workspace: fetching · 09:14:05\n"
      "-- agent is ready · 09:14:05\n"
      "> do\n"
      "  this\n"
      "-- edited /a (+2 -1)\n"
      "plan:\n"
      "  [x] look\n"
      "  [>] act\n"
      "  [ ] rest\n"
      "! error · warning · odd · 09:14:05\n"
      "-- run r3 completed · 1 min 1 s · 26,719 tokens in, 32 out, $0.1075 · 09:14:05\n"
      "-- agent was killed by signal KILL · 09:14:05\n"
      "-- agent was deleted · 09:14:05\n"
      "-- new.thing {\"a\":1}\n");
}

TEST_F(EventPrinterTest, LetsNothingCommandTheTerminal) {
  const std::string evil = R"(\u001b[2J\u001b]0;title\u0007\u001b[31mred\u001b[0m \u009b1m \u202e\u0008!)";
  std::vector<std::string> events;
  for (const std::string type :
       {"agent.output",      "assistant.message", "reasoning.message",  "user.message",
        "agent.error",       "agent.failed",      "title.updated",      "new.type",
        "tool.started",      "tool.failed",       "approval.requested", "elicitation.requested",
        "approval.resolved", "file.edited",       "plan.updated",       "run.failed",
        "workspace.ready",   "subagent.started",  "message.queued",     "agent.restarting",
        "assistant.delta"}) {
    std::string data = "{";
    for (const char* field :
         {"text", "message", "code", "title", "name", "tool", "output", "id", "reason", "path", "branch",
          "decision", "by", "call_id", "phase", "stream", "mode", "limit", "error"}) {
      data += (data.size() == 1 ? "\"" : ",\"") + std::string(field) + "\":\"" + evil + "\"";
    }
    data += R"(,"input":{"command":")" + evil + R"("},"entries":[{"content":")" + evil + R"("}],)" +
            R"("schema":{"properties":{")" + evil + R"(":{"enum":[")" + evil + R"("]}}}})";
    events.push_back(type + " " + data);
  }
  for (const bool live : {false, true}) {
    EventPrinter::Options options;
    options.live = live;
    const std::string out = Printed(events, options);
    EXPECT_NE(out.find("red"), std::string::npos);
    for (const char c : out) EXPECT_TRUE(c == '\n' || static_cast<unsigned char>(c) >= 0x20) << int(c);
    EXPECT_EQ(out.find("\xC2\x9B"), std::string::npos);      // CSI of one byte
    EXPECT_EQ(out.find("\xE2\x80\xAE"), std::string::npos);  // right-to-left override
  }
}

TEST_F(EventPrinterTest, ShowsOutputAsATerminalWould) {
  EXPECT_EQ(Printed({R"(agent.output {"stream":"stdout","text":"\u001b[1;32mok\u001b[0m\tdone"})",
                     R"(agent.output {"stream":"stdout","text":" 10%\r 50%\r100%\r"})",
                     R"(agent.output {"stream":"stdout","text":"b25lIP8=","encoding":"base64"})",
                     R"(agent.output {"stream":"stdout","json":{"a":1}})"}),
            "ok    done\n100%\none \xEF\xBF\xBD\n{\"a\":1}\n");
}

TEST_F(EventPrinterTest, JoinsThePartsOfALine) {
  EXPECT_EQ(Printed({R"(agent.output {"stream":"stdout","text":"Overwrite? ","partial":true})",
                     R"(agent.output {"stream":"stdout","text":"[y/N] ","partial":true})",
                     R"(agent.output {"stream":"stdout","text":"no"})",
                     R"(agent.output {"stream":"stdout","text":"10%\r","partial":true})",
                     R"(agent.output {"stream":"stdout","text":"20%\r","partial":true})",
                     R"(agent.output {"stream":"stdout","text":"30%"})",
                     R"(agent.output {"stream":"stdout","text":"the end","partial":true})"}),
            "Overwrite? [y/N] no\n30%\nthe end\n");
}

TEST_F(EventPrinterTest, ShowsAPartWhenNoMoreEventsAreAtHand) {
  std::string out;
  EventPrinter printer(EventPrinter::Options(), [&out](std::string_view text) { out += text; });
  auto print = [&printer](const std::string& text, const char* more = "") {
    Print(printer, Envelope("agent.output", R"({"stream":"stdout","text":")" + text + "\"" + more + "}"));
    printer.Pause();
  };
  constexpr const char* kPart = R"(,"partial":true)";
  print("Name: ", kPart);
  EXPECT_EQ(out, "Name: ");
  print("x");
  EXPECT_EQ(out, "Name: x\n");
  print("10%\\r", kPart);
  print("20%\\r", kPart);
  print("");
  EXPECT_EQ(out, "Name: x\n10%\n20%\n");
  print("half", kPart);
  Print(printer, Envelope("agent.output", R"({"stream":"stderr","text":"oops"})"));
  print(" a line");
  printer.End();
  EXPECT_EQ(out, "Name: x\n10%\n20%\nhalf\nstderr: oops\n a line\n");
}

TEST_F(EventPrinterTest, SetsStderrApart) {
  EXPECT_EQ(Printed({R"(agent.output {"stream":"stdout","text":"out"})",
                     R"(agent.output {"stream":"stderr","text":"err"})"}),
            "out\nstderr: err\n");
  EventPrinter::Options options;
  options.colours = true;
  EXPECT_EQ(Printed({R"(agent.output {"stream":"stdout","text":"out"})",
                     R"(agent.output {"stream":"stderr","text":"err"})"},
                    options),
            "out\n\x1b[33merr\x1b[0m\n");
}

TEST_F(EventPrinterTest, NamesTheAgentsWhereThereAreSeveral) {
  EventPrinter::Options options;
  options.names = true;
  options.live = true;  // has no effect beside names
  std::string out;
  EventPrinter printer(options, [&out](std::string_view text) { out += text; });
  Print(printer, Envelope("assistant.delta", R"({"message_id":"m","text":"one "})", "builder"));
  Print(printer, Envelope("agent.output", R"({"stream":"stdout","text":"two"})", "a"));
  Print(printer, Envelope("assistant.message", R"({"message_id":"m","text":"one\nthree"})", "builder"));
  Print(printer, Envelope("agent.output", R"({"stream":"stdout","text":"four"})", "a"));
  EXPECT_EQ(out, "a | two\nbuilder | one\nbuilder | three\na       | four\n");
}

TEST_F(EventPrinterTest, BeginsLinesWithTheirTimes) {
  EventPrinter::Options options;
  options.times = true;
  EXPECT_EQ(Printed({R"(agent.output {"stream":"stdout","text":"out"})", R"(agent.ready {})"}, options),
            "2026-01-31 09:14:05 out\n2026-01-31 09:14:05 -- agent is ready\n");
}

TEST_F(EventPrinterTest, PrintsEnvelopesAsTheyAre) {
  EventPrinter::Options options;
  options.json = true;
  std::string out;
  EventPrinter printer(options, [&out](std::string_view text) { out += text; });
  const std::string envelope = Envelope("assistant.delta", R"({"text":"\u001b"})");
  Print(printer, envelope);
  auto gap = JsonDocument::Parse(R"({"from":"1-3","to":"2-9","reason":"lost"})");
  printer.Gap("a1", gap->root());
  EXPECT_EQ(out,
            envelope + "\n" +
                R"({"agent":"a1","type":"stream.gap","data":{"from":"1-3","to":"2-9","reason":"lost"}})" +
                "\n");
}

TEST_F(EventPrinterTest, EnvelopesCommandNoTerminal) {
  EventPrinter::Options options;
  options.json = true;
  const std::string out = Printed({R"(agent.output {"text":"\u009b31m \u009d \u007f \u202e"})"}, options);
  EXPECT_NE(out.find(R"("\u009b31m \u009d \u007f \u202e")"), std::string::npos) << out;
  const std::string raw =
      Printed({"agent.output {\"text\":\"\xC2\x9B \xC2\x9D \x7F \xE2\x80\xAE\"}"}, options);
  EXPECT_NE(raw.find(R"("\u009b \u009d \u007f \u202e")"), std::string::npos) << raw;
}

TEST_F(EventPrinterTest, TellsOfGaps) {
  std::string out;
  EventPrinter printer({}, [&out](std::string_view text) { out += text; });
  auto gap = JsonDocument::Parse(R"({"from":"1-3","to":"2-9","reason":"lost"})");
  printer.Gap("a1", gap->root());
  EXPECT_EQ(out, "! events are missing: 1-3 to 2-9 (lost)\n");
}

// Every message of the recordings is printed once, live or not, and so is the end of every call.
TEST_F(EventPrinterTest, ShowsEveryMessageOfRealRecordingsOnce) {
  size_t recordings = 0;
  size_t messages = 0;
  for (const auto& file : std::filesystem::directory_iterator(kFixtures)) {
    if (file.path().extension() != ".expected") continue;
    ++recordings;
    std::ifstream lines(file.path());
    std::vector<std::string> events;
    std::vector<std::string> said;
    size_t ends = 0;
    for (std::string line; std::getline(lines, line);) {
      const size_t space = line.find(" {");
      if (line.rfind("> ", 0) == 0 || space == std::string::npos || line.find('.') > space) continue;
      auto data = JsonDocument::Parse(line.substr(space + 1));
      if (!data) continue;
      events.push_back(line);
      if (line.rfind("assistant.message", 0) == 0) said.emplace_back((*data)["text"].StringOr(""));
      const bool question = (*data)["name"].StringOr("") == "question";
      ends +=
          (line.rfind("tool.completed", 0) == 0 && !question) || line.rfind("tool.failed", 0) == 0 ? 1 : 0;
    }
    messages += said.size();
    const std::string joined = Printed(events);
    size_t at = 0;
    for (const std::string& text : said) {
      std::string shown = PlainLines(text);
      while (!shown.empty() && shown.back() == '\n') shown.pop_back();
      at = joined.find(shown, at);
      ASSERT_NE(at, std::string::npos) << file.path() << "\n" << shown << "\n" << joined;
      at += shown.size();
    }
    // Live output is the same, except for line ends where another event came in between.
    size_t live_ends = 0;
    const std::string live = Printed(events, Live());
    for (size_t found = 0; (found = live.find("done", found)) != std::string::npos; ++found) ++live_ends;
    for (size_t found = 0; (found = live.find("failed", found)) != std::string::npos; ++found) ++live_ends;
    EXPECT_GE(live_ends, ends) << file.path() << "\n" << live;
    EXPECT_LE(live.size(), joined.size() + 16 * said.size()) << file.path() << "\n" << live;
  }
  EXPECT_GT(recordings, 50U);
  EXPECT_GT(messages, 50U);
}

}  // namespace
}  // namespace reeve
