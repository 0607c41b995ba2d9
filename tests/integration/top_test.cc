// `reeve top` (control/api/API.md, "Command line") on a real terminal, with a real daemon and real children.
#include <gtest/gtest.h>

#include <algorithm>
#include <clocale>
#include <csignal>
#include <string>
#include <utility>
#include <vector>

#include "control/cli/show/text.h"
#include "tests/support/command.h"
#include "tests/support/paths.h"
#include "tests/support/scripted_agent.h"
#include "tests/support/tmux.h"

namespace reeve {
namespace {

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
std::string Says(const std::string& text) {
  return R"(< {"type":"assistant","message":{"id":"m1","role":"assistant","content":[{"type":"text","text":")" +
         text + R"("}]},"session_id":"s-1"})";
}

void CreateClaude(const Daemon& daemon, const std::string& id, const Strings& turns) {
  Strings script = {"> initialize", kReady};
  script.insert(script.end(), turns.begin(), turns.end());
  CreateScripted(daemon, id, "claude", script, R"(,"prompt":"go")");
}

// A program that echoes each line of its input.
void CreateEcho(const Daemon& daemon, const std::string& id, const std::string& more = "") {
  daemon.Create(
      R"({"id":")" + id +
      R"(","kind":"process","command":["sh","-c","echo I am up; while read line; do echo got $line; done"])" +
      more + "}");
}

std::string State(const Daemon& daemon, const std::string& id) {
  return daemon.Get("/agents/" + id).Field("state");
}

bool UntilState(const Daemon& daemon, const std::string& id, const std::string& state) {
  return Eventually([&] { return State(daemon, id) == state; });
}

// Options for a terminal that runs `reeve top` against this daemon.
Tmux::Options On(const Daemon& daemon, int columns = 110, int rows = 24) {
  return {.environment = {"REEVE_DATA=" + daemon.data_dir()}, .columns = columns, .rows = rows};
}
const Strings kTop = {kReeveBinary, "top"};

// Runs the program in a shell that prints lines before and after it.
Strings Between(const std::string& program) {
  return {"sh", "-c",
          "trap : INT QUIT; echo before; " + program +
              "; echo ended $?; stty -a | grep -o '.icanon' ; read line"};
}

// One line contains all texts in this order, eventually.
bool HasLine(const Tmux& terminal, const Strings& texts) {
  return Eventually([&] {
    const std::string screen = terminal.Screen();
    for (size_t at = 0; at < screen.size();) {
      const size_t end = std::min(screen.find('\n', at), screen.size());
      const std::string line = screen.substr(at, end - at);
      at = end + 1;
      size_t from = 0;
      for (const std::string& text : texts) {
        from = from == std::string::npos ? from : line.find(text, from);
      }
      if (from != std::string::npos) return true;
    }
    return false;
  });
}

TEST(Top, ShowsAgentsAsTheyAreAndAsTheyChange) {
  Daemon daemon({.arguments = {"--town", "hamlet"}, .environment = {}, .data_dir = {}});
  CreateEcho(daemon, "a1", R"(,"title":"会議の準備 🎉","labels":{"team":"web"})");
  Tmux terminal(kTop, On(daemon));
  ASSERT_TRUE(terminal.Shows("1 running")) << terminal.Screen();
  EXPECT_TRUE(terminal.Shows("reeve hamlet  ok"));
  EXPECT_TRUE(HasLine(terminal, {"会議の準備 🎉", "I am up"})) << terminal.Screen();
  // A new agent appears, with the details that only the list has.
  CreateEcho(daemon, "a2", R"(,"title":"Second")");
  ASSERT_TRUE(HasLine(terminal, {"running", "Second"})) << terminal.Screen();
  EXPECT_TRUE(HasLine(terminal, {"Second", "I am up"})) << terminal.Screen();
  EXPECT_TRUE(HasLine(terminal, {"Second", "M  "})) << "memory: " << terminal.Screen();
  daemon.Post("/agents/a2/message", R"({"text":"こんにちは"})");
  EXPECT_TRUE(HasLine(terminal, {"Second", "got こんにちは"})) << terminal.Screen();
  // Wide and narrow titles take the same columns.
  std::setlocale(LC_CTYPE, "C.UTF-8");
  const auto column = [&terminal](const std::string& name, const std::string& text) {
    const std::string line = terminal.LineWith(name);
    return Columns(std::string_view(line).substr(0, line.find(text)));
  };
  EXPECT_EQ(column("会議の準備", "I am up"), column("Second", "got")) << terminal.Screen();

  ASSERT_EQ(daemon.Post("/agents/a2/stop").status, 202);
  EXPECT_TRUE(HasLine(terminal, {"exited", "Second"})) << terminal.Screen();
  ASSERT_EQ(daemon.Call("DELETE", "/agents/a2").status, 204);
  EXPECT_TRUE(terminal.Hides("Second")) << terminal.Screen();
  EXPECT_TRUE(terminal.Shows("1 agent"));
}

TEST(Top, SelectsFiltersAndSorts) {
  Daemon daemon;
  for (const char* id : {"a1", "a2", "a3"}) CreateEcho(daemon, id);
  ASSERT_EQ(daemon.Post("/agents/a3/stop").status, 202);
  ASSERT_TRUE(UntilState(daemon, "a3", "exited"));
  Tmux terminal(kTop, On(daemon));
  ASSERT_TRUE(terminal.Shows("1 exited")) << terminal.Screen();
  // The hints show which agent is selected.
  EXPECT_TRUE(terminal.Shows("s stop"));
  terminal.Press("End");
  EXPECT_TRUE(terminal.Shows("r start")) << terminal.Screen();
  terminal.Press("k");
  EXPECT_TRUE(terminal.Shows("r restart")) << terminal.Screen();
  terminal.Press("Down");
  EXPECT_TRUE(terminal.Shows("r start")) << terminal.Screen();
  terminal.Press("g");
  EXPECT_TRUE(terminal.Shows("r restart")) << terminal.Screen();
  terminal.Press("PageDown");
  EXPECT_TRUE(terminal.Shows("r start")) << terminal.Screen();

  terminal.Press("/");
  terminal.Type("A2");
  EXPECT_TRUE(terminal.Shows("1 of 3 agents")) << terminal.Screen();
  EXPECT_TRUE(terminal.Hides("a3")) << terminal.Screen();
  terminal.Press("Enter");
  terminal.Press("Escape");
  EXPECT_TRUE(terminal.Shows("a3")) << terminal.Screen();

  terminal.Press(">");
  EXPECT_TRUE(terminal.Shows("AGENT▾")) << terminal.Screen();
  terminal.Press("R");
  EXPECT_TRUE(terminal.Shows("by name, reversed")) << terminal.Screen();
  EXPECT_TRUE(Eventually([&] {
    const std::string screen = terminal.Screen();
    return screen.find("a3") < screen.find("a2") && screen.find("a2") < screen.find("a1");
  })) << terminal.Screen();
  terminal.Press("?");
  EXPECT_TRUE(terminal.Shows("interrupt its present run")) << terminal.Screen();
}

TEST(Top, StopsStartsInterruptsAndSends) {
  Daemon daemon;
  CreateEcho(daemon, "a1");
  CreateEcho(daemon, "a2");
  Tmux terminal(kTop, On(daemon));
  ASSERT_TRUE(terminal.Shows("2 running")) << terminal.Screen();
  terminal.Press("Down");
  terminal.Press("s");
  ASSERT_TRUE(terminal.Shows("Stop a2, in the middle of its run?")) << terminal.Screen();
  terminal.Press("n");
  ASSERT_TRUE(terminal.Hides("Stop a2"));
  terminal.Press("s");
  ASSERT_TRUE(terminal.Shows("Stop a2"));
  terminal.Press("y");
  EXPECT_TRUE(HasLine(terminal, {"exited", "a2 "})) << terminal.Screen();
  EXPECT_TRUE(UntilState(daemon, "a2", "exited"));
  EXPECT_EQ(State(daemon, "a1"), "running") << "only the selected agent is stopped, and only after y";
  terminal.Press("r");
  EXPECT_TRUE(UntilState(daemon, "a2", "running")) << terminal.Screen();
  ASSERT_TRUE(HasLine(terminal, {"running", "a2 "})) << terminal.Screen();

  terminal.Press("Home");
  ASSERT_TRUE(terminal.Shows("m message"));
  terminal.Press("m");
  ASSERT_TRUE(terminal.Shows("to a1:")) << terminal.Screen();
  terminal.Type("quit? 会議q");
  terminal.Press("BSpace");
  terminal.Press("Enter");
  EXPECT_TRUE(HasLine(terminal, {"running      a1", "got quit? 会議"})) << terminal.Screen();
  terminal.Press("i");
  ASSERT_TRUE(terminal.Shows("a1 is being interrupted")) << "the answer to this key replaces a later notice";
  EXPECT_TRUE(UntilState(daemon, "a1", "exited")) << terminal.Screen();
  terminal.Press("i");
  EXPECT_TRUE(terminal.Shows("interrupt: ")) << "a refusal is shown: " << terminal.Screen();
}

TEST(Top, QuitsWhenItsOrdersHaveBeenAnswered) {
  Daemon daemon;
  CreateEcho(daemon, "a1");
  Tmux terminal(kTop, On(daemon));
  ASSERT_TRUE(terminal.Shows("m message")) << terminal.Screen();
  terminal.Type("mbye\rq");
  EXPECT_EQ(terminal.Wait(), 0);
  const auto said = daemon.Events("a1", "after=0&types=user.message");
  ASSERT_EQ(said.size(), 1U);
  EXPECT_EQ(JsonField(said.front(), "data.text"), "bye");
}

// Pasted lines must not become commands.
TEST(Top, TakesNoCommandsFromWhatIsPasted) {
  Daemon daemon;
  CreateEcho(daemon, "a1");
  Tmux terminal(kTop, On(daemon));
  ASSERT_TRUE(terminal.Shows("1 running")) << terminal.Screen();
  terminal.Paste("sy\nq\n");
  terminal.Press("m");
  ASSERT_TRUE(terminal.Shows("to a1:")) << terminal.Screen();
  terminal.Paste("one\ntwo");
  EXPECT_TRUE(terminal.Shows("one⏎two")) << terminal.Screen();
  terminal.Press("Enter");
  EXPECT_TRUE(HasLine(terminal, {"running", "got two"})) << terminal.Screen();
}

TEST(Top, AllowsAndDeniesExactlyWhatItShows) {
  Daemon daemon;
  CreateClaude(
      daemon, "a1",
      {"> prompt", kTurn, Asks("p1", "mkdir x"), Asks("p2", "rm -rf y"), "> 1", "> 2", kEnd, "> more"});
  ASSERT_TRUE(Eventually([&] { return daemon.Get("/agents/a1").Field("pending_approvals") == "2"; }));
  Tmux terminal(kTop, On(daemon));
  ASSERT_TRUE(HasLine(terminal, {"needs input  a1", "(2) asks: bash mkdir x"})) << terminal.Screen();
  terminal.Press("a");
  ASSERT_TRUE(terminal.Shows("Allow?")) << terminal.Screen();
  EXPECT_TRUE(terminal.Shows("a1 asks to use bash"));
  // Another client answers it while it is on the screen: Enter must not answer the next request.
  ASSERT_EQ(daemon.Post("/agents/a1/approvals/p1", R"({"decision":"allow_once"})").status, 200);
  EXPECT_TRUE(terminal.Hides("Allow?")) << terminal.Screen();
  terminal.Press("Enter");
  ASSERT_TRUE(terminal.Shows("? asks to use bash")) << "the log: " << terminal.Screen();
  terminal.Press("d");
  ASSERT_TRUE(terminal.Shows("Deny?")) << terminal.Screen();
  EXPECT_TRUE(terminal.Shows("rm -rf y"));
  terminal.Press("r");
  ASSERT_TRUE(terminal.Shows("reason:")) << terminal.Screen();
  terminal.Type("too dangerous");
  terminal.Press("Enter");
  EXPECT_TRUE(terminal.Shows("too dangerous")) << terminal.Screen();
  ASSERT_TRUE(UntilState(daemon, "a1", "idle"));
  Strings decisions;
  for (const std::string& event : daemon.Events("a1", "after=0&types=approval.resolved")) {
    decisions.push_back(JsonField(event, "data.id") + " " + JsonField(event, "data.decision") + " " +
                        JsonField(event, "data.reason"));
  }
  EXPECT_EQ(decisions, (Strings{"p1 allow_once ", "p2 deny too dangerous"}));
  terminal.Press("a");
  EXPECT_TRUE(terminal.Shows("a1 has no open request")) << terminal.Screen();
}

TEST(Top, ShowsRequestsInTheOpenLog) {
  Daemon daemon;
  const Strings script = {"> initialize",        kReady,     "> prompt", kTurn,
                          Asks("p1", "mkdir x"), "> answer", kEnd,       "> more"};
  CreateScripted(daemon, "a1", "claude", script);
  Tmux terminal(kTop, On(daemon));
  ASSERT_TRUE(HasLine(terminal, {"idle", "a1"})) << terminal.Screen();
  terminal.Press("Enter");
  ASSERT_TRUE(terminal.Shows("agent is ready")) << terminal.Screen();
  ASSERT_EQ(daemon.Post("/agents/a1/message", R"({"text":"go"})").status, 202);
  ASSERT_TRUE(terminal.Shows("? asks to use bash")) << terminal.Screen();
  ASSERT_TRUE(terminal.Shows("a allow")) << terminal.Screen();
  terminal.Press("y");
  ASSERT_TRUE(terminal.Shows("Allow?")) << terminal.Screen();
  terminal.Press("A");
  EXPECT_TRUE(terminal.Shows("allowed, from now on")) << terminal.Screen();
  EXPECT_TRUE(terminal.Shows("completed")) << terminal.Screen();
}

TEST(Top, AnswersQuestions) {
  Daemon daemon;
  CreateClaude(daemon, "a1", {"> prompt", kTurn, kQuestion, "> answer", Says("Blue it is."), kEnd, "> more"});
  Tmux terminal(kTop, On(daemon));
  ASSERT_TRUE(HasLine(terminal, {"a1", "asks: Which colour?"})) << terminal.Screen();
  terminal.Press("a");
  ASSERT_TRUE(terminal.Shows("2  blue: b")) << terminal.Screen();
  terminal.Press("Enter");
  ASSERT_TRUE(terminal.Shows("Colour (1 red, 2 blue):")) << terminal.Screen();
  terminal.Type("green");
  terminal.Press("Enter");
  ASSERT_TRUE(terminal.Shows("'green' is none of the choices")) << terminal.Screen();
  terminal.Type("2");
  terminal.Press("Enter");
  EXPECT_TRUE(HasLine(terminal, {"a1 ", "Blue it is."})) << terminal.Screen();
  EXPECT_NE(daemon.Get("/agents/a1/transcript").body.find("blue"), std::string::npos);
}

TEST(Top, OpensAnAgentAndFollowsIt) {
  Daemon daemon;
  CreateEcho(daemon, "a1");
  for (int i = 0; i < 60; ++i)
    daemon.Post("/agents/a1/message", R"({"text":")" + std::to_string(i) + R"("})");
  Tmux terminal(kTop, On(daemon, 80, 20));
  ASSERT_TRUE(HasLine(terminal, {"running", "got 59"})) << terminal.Screen();
  terminal.Press("Enter");
  ASSERT_TRUE(terminal.Shows("\ngot 59\n")) << terminal.Screen();
  daemon.Post("/agents/a1/message", R"({"text":"news"})");
  ASSERT_TRUE(terminal.Shows("\ngot news\n")) << terminal.Screen();
  terminal.Press("Home");
  ASSERT_TRUE(terminal.Shows("agent is starting")) << terminal.Screen();
  EXPECT_TRUE(terminal.Shows("lines below"));
  // News do not move a log that is scrolled back.
  daemon.Post("/agents/a1/message", R"({"text":"more news"})");
  ASSERT_TRUE(Eventually([&] { return daemon.LogFiles("a1").find("got more news") != std::string::npos; }));
  EXPECT_TRUE(terminal.Shows("agent is starting")) << terminal.Screen();
  terminal.Press("G");
  ASSERT_TRUE(terminal.Shows("got more news")) << terminal.Screen();
  terminal.Press("q");
  ASSERT_TRUE(terminal.Shows("STATE")) << terminal.Screen();
}

TEST(Top, FitsAnyTerminalThroughResizes) {
  Daemon daemon;
  for (int i = 0; i < 30; ++i)
    daemon.Create(R"({"id":"a)" + std::to_string(100 + i) + R"(","kind":"process","command":["true"]})");
  Tmux terminal(kTop, On(daemon, 80, 24));
  ASSERT_TRUE(terminal.Shows("30 exited")) << terminal.Screen();
  EXPECT_TRUE(terminal.Shows("a119"));
  terminal.Resize(130, 40);
  ASSERT_TRUE(terminal.Shows("a129")) << terminal.Screen();
  terminal.Press("End");
  for (const auto& [columns, rows] : {std::pair{40, 12}, {20, 4}, {9, 2}, {2, 1}, {1, 1}, {30, 3}}) {
    terminal.Resize(columns, rows);
    if (columns < 20) continue;
    EXPECT_TRUE(terminal.Shows("a129")) << columns << "x" << rows << ":\n" << terminal.Screen();
  }
  terminal.Resize(80, 24);
  ASSERT_TRUE(terminal.Shows("30 agents")) << terminal.Screen();
  terminal.Press("q");
  EXPECT_EQ(terminal.Wait(), 0);
}

TEST(Top, LeavesTheTerminalAsItWas) {
  Daemon daemon;
  CreateEcho(daemon, "a1");
  const std::string top = std::string(kReeveBinary) + " top";
  for (const auto& [key, says] : {std::pair{"q", "ended 0"}, {"C-c", "ended 130"}, {"C-\\", "ended 131"}}) {
    Tmux terminal(Between(top), On(daemon));
    ASSERT_TRUE(terminal.Shows("1 running")) << terminal.Screen();
    EXPECT_EQ(terminal.Variable("alternate_on"), "1");
    terminal.Press(key);
    ASSERT_TRUE(terminal.Shows(says)) << key << ": " << terminal.Screen();
    EXPECT_TRUE(terminal.Shows("before\n")) << terminal.Screen();
    EXPECT_TRUE(terminal.Hides("STATE")) << terminal.Screen();
    EXPECT_TRUE(terminal.Shows("\n icanon")) << "not raw: " << terminal.Screen();
    EXPECT_EQ(terminal.Variable("alternate_on"), "0");
    EXPECT_EQ(terminal.Variable("cursor_flag"), "1");
  }
  for (const auto& [signum, code] : {std::pair{SIGTERM, 128 + SIGTERM}, {SIGABRT, -SIGABRT}}) {
    Tmux terminal(kTop, On(daemon));
    ASSERT_TRUE(terminal.Shows("1 running")) << terminal.Screen();
    kill(terminal.pid(), signum);
    EXPECT_EQ(terminal.Wait(), code);
    EXPECT_EQ(terminal.Variable("alternate_on"), "0");
  }
}

TEST(Top, IsBackAfterASuspend) {
  Daemon daemon;
  CreateEcho(daemon, "a1");
  Tmux terminal({"bash", "--norc", "-i"}, On(daemon));
  terminal.Type("PS1='$ '; " + std::string(kReeveBinary) + " top\n");
  ASSERT_TRUE(terminal.Shows("1 running")) << terminal.Screen();
  terminal.Press("C-z");
  ASSERT_TRUE(terminal.Shows("Stopped")) << terminal.Screen();
  EXPECT_TRUE(terminal.Hides("STATE"));
  terminal.Type("fg\n");
  ASSERT_TRUE(terminal.Shows("1 running")) << terminal.Screen();
  terminal.Press("q");
  EXPECT_TRUE(terminal.Hides("STATE")) << terminal.Screen();
}

TEST(Top, GoesOnWhenTheDaemonIsBack) {
  Daemon daemon;
  CreateEcho(daemon, "a1");
  CreateEcho(daemon, "gone");
  Tmux terminal(kTop, On(daemon));
  ASSERT_TRUE(terminal.Shows("2 running")) << terminal.Screen();
  // One agent's stream ends; the others continue.
  ASSERT_EQ(daemon.Post("/agents/gone/stop").status, 202);
  ASSERT_TRUE(UntilState(daemon, "gone", "exited"));
  ASSERT_EQ(daemon.Call("DELETE", "/agents/gone").status, 204);
  ASSERT_TRUE(terminal.Shows("1 agent")) << terminal.Screen();
  daemon.Kill();
  ASSERT_TRUE(terminal.Shows("reconnecting…")) << terminal.Screen();
  EXPECT_TRUE(terminal.Shows("a1")) << "agents stay on the screen: " << terminal.Screen();
  daemon.Start();
  ASSERT_TRUE(terminal.Hides("reconnecting…")) << terminal.Screen();
  ASSERT_EQ(daemon.Post("/agents/a1/message", R"({"text":"hello again"})").status, 202);
  EXPECT_TRUE(HasLine(terminal, {"a1 ", "got hello again"})) << terminal.Screen();
}

TEST(Top, HasColoursUnlessNobodyWantsThem) {
  Daemon daemon;
  CreateEcho(daemon, "a1");
  CreateEcho(daemon, "a2");
  Tmux coloured(kTop, On(daemon));
  ASSERT_TRUE(coloured.Shows("2 running"));
  constexpr const char* kGreen = "\x1b[32m";
  EXPECT_NE(coloured.Coloured().find(kGreen), std::string::npos) << coloured.Coloured();
  Tmux::Options plain = On(daemon);
  plain.environment.emplace_back("NO_COLOR=1");
  Tmux uncoloured(kTop, plain);
  ASSERT_TRUE(uncoloured.Shows("2 running"));
  for (const char* digit : {"31", "32", "33", "34", "35", "36"})
    EXPECT_EQ(uncoloured.Coloured().find("\x1b[" + std::string(digit)), std::string::npos)
        << uncoloured.Coloured();
  EXPECT_NE(uncoloured.Coloured().find("\x1b[7m"), std::string::npos) << "the selection is still visible";
}

// Output of an agent must not control the terminal.
TEST(Top, RemovesControlSequences) {
  Daemon daemon;
  daemon.Create(
      R"({"id":"a1","kind":"process","title":"tit\u001b[2Jle","command":["sh","-c","printf 'x\\033]0;owned\\007\\033[31mred\\033[?1049l\\n'; read line"]})");
  Tmux terminal(kTop, On(daemon));
  ASSERT_TRUE(HasLine(terminal, {"running", "red"})) << terminal.Screen();
  EXPECT_TRUE(terminal.Shows("tit [2Jle")) << terminal.Screen();
  EXPECT_EQ(terminal.Variable("alternate_on"), "1");
  terminal.Press("Enter");
  ASSERT_TRUE(terminal.Shows("xred")) << terminal.Screen();
  EXPECT_EQ(terminal.Variable("alternate_on"), "1");
  EXPECT_NE(terminal.Variable("pane_title"), "owned");
}

TEST(TopCommand, WithoutATerminalPrintsOneTable) {
  Daemon daemon;
  CreateEcho(daemon, "a1", R"(,"title":"The \"first\"")");
  CreateClaude(daemon, "a2", {"> prompt", kTurn, Asks("p1", "mkdir x"), "> answer", kEnd});
  ASSERT_TRUE(UntilState(daemon, "a2", "needs_input"));
  ASSERT_TRUE(UntilState(daemon, "a1", "running"));
  const std::string data = "REEVE_DATA=" + daemon.data_dir();
  Command refused({"top"}, {data});
  EXPECT_EQ(refused.Wait(), 64);
  EXPECT_EQ(refused.out(), "");
  EXPECT_NE(refused.err().find("reeve: top: stdin and stdout have to be a terminal"), std::string::npos)
      << refused.err();

  Command table({"top", "--once"}, {data});
  EXPECT_EQ(table.Wait(), 0) << table.err();
  EXPECT_NE(table.out().find("needs input  a2"), std::string::npos) << table.out();
  EXPECT_NE(table.out().find("asks: bash mkdir x"), std::string::npos) << table.out();
  EXPECT_NE(table.out().find("I am up"), std::string::npos) << table.out();
  EXPECT_EQ(table.out().find('\x1b'), std::string::npos);

  Command json({"top", "--json"}, {data});
  EXPECT_EQ(json.Wait(), 0) << json.err();
  const std::string first = json.out().substr(0, json.out().find('\n'));
  const std::string second = json.out().substr(first.size() + 1);
  EXPECT_EQ(JsonField(first, "id"), "a2");
  EXPECT_EQ(JsonField(first, "state"), "needs_input");
  EXPECT_NE(JsonField(first, "asks").find(R"("id":"p1")"), std::string::npos) << first;
  EXPECT_EQ(JsonField(second, "title"), "The \"first\"");
  EXPECT_EQ(JsonField(second, "last"), "I am up");
  EXPECT_NE(JsonField(second, "cpu_percent"), "") << "needs two samples: " << second;
  EXPECT_NE(JsonField(second, "rss_bytes"), "") << second;

  Command nobody({"top", "--once", "--server", "http://127.0.0.1:1"}, {data});
  EXPECT_EQ(nobody.Wait(), 69);
}

TEST(TopCommand, SaysWhyATerminalWillNotDo) {
  Daemon daemon;
  Tmux::Options options = On(daemon, 150, 10);
  for (const char* type : {"dumb", "unknown"}) {
    Tmux terminal({"env", std::string("TERM=") + type, kReeveBinary, "top"}, options);
    EXPECT_EQ(terminal.Wait(), 64);
    EXPECT_TRUE(terminal.Shows("not a terminal that can be drawn on")) << terminal.Screen();
  }
  Tmux terminal({kReeveBinary, "top", "--server", "http://127.0.0.1:1"}, options);
  EXPECT_EQ(terminal.Wait(), 69);
  EXPECT_TRUE(terminal.Shows("is the daemon running?")) << terminal.Screen();
  EXPECT_EQ(terminal.Variable("alternate_on"), "0");
}

}  // namespace
}  // namespace reeve
