// `reeve agents attach` (api.md §8) on a real terminal, and with pipes.
#include <gtest/gtest.h>

#include <csignal>
#include <string>
#include <vector>

#include "tests/support/command.h"
#include "tests/support/daemon.h"
#include "tests/support/paths.h"
#include "tests/support/talking_agent.h"
#include "tests/support/tmux.h"

namespace reeve {
namespace {

using Strings = std::vector<std::string>;

size_t Count(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) ++count;
  return count;
}

class AttachOnATerminal : public ::testing::Test {
 protected:
  AttachOnATerminal() : talker_(daemon_) {}

  void Open(const std::string& agent = "a1", Strings more = {}, int columns = 80) {
    Strings words = {kReeveBinary, "agents", "attach", "--data", daemon_.data_dir(), agent};
    words.insert(words.end(), more.begin(), more.end());
    Tmux::Options options;
    options.columns = columns;
    options.rows = 30;
    terminal_ = std::make_unique<Tmux>(words, options);
  }
  void Attach(const std::string& more = "") {
    talker_.Create("a1", more);
    daemon_.WaitFor("a1", "until=ready");
    Open();
    ASSERT_TRUE(Shows("a1 idle>"));
  }
  bool Shows(const std::string& text) {
    const bool shows = terminal_->Shows(text);
    EXPECT_TRUE(shows) << "'" << text << "' is not on\n" << terminal_->Screen();
    return shows;
  }
  std::vector<std::string> Said() const {
    Strings said;
    for (const std::string& event : daemon_.Events("a1", "after=0&types=user.message"))
      said.push_back(JsonField(event, "data.text"));
    return said;
  }

  Daemon daemon_;
  TalkingAgent talker_;
  std::unique_ptr<Tmux> terminal_;
};

TEST_F(AttachOnATerminal, SendsWhatIsTypedAndShowsWhatComesOfIt) {
  Attach();
  terminal_->Type("hello thére");
  ASSERT_TRUE(Shows("a1 idle> hello thére"));
  terminal_->Press("Enter");
  ASSERT_TRUE(Shows("you said: hello thére"));
  ASSERT_TRUE(Shows("> hello thére"));
  ASSERT_TRUE(terminal_->Hides("idle> hello"));
  terminal_->Type("work");
  terminal_->Press("Enter");
  ASSERT_TRUE(Shows("it failed"));
  const std::string screen = terminal_->Screen();
  EXPECT_NE(screen.find("* bash make -j4 && echo done\n  failed · "), std::string::npos) << screen;
  EXPECT_NE(screen.find("    no rule\n"), std::string::npos) << screen;
  EXPECT_NE(screen.find("completed · "), std::string::npos) << screen;
  terminal_->Press("C-d");
  EXPECT_EQ(terminal_->Wait(), 0);
  ASSERT_TRUE(Shows("keeps running"));
  EXPECT_EQ(daemon_.Get("/agents/a1").Field("state"), "idle");
}

TEST_F(AttachOnATerminal, KeepsWhatIsTypedWhileEventsArrive) {
  Attach();
  terminal_->Type("slow");
  terminal_->Press("Enter");
  ASSERT_TRUE(Shows("half a"));
  ASSERT_TRUE(Shows("a1 running>"));
  terminal_->Type("next thing");
  ASSERT_TRUE(Shows("running> next thing"));
  talker_.Finish();
  ASSERT_TRUE(Shows("half a sentence\n"));
  ASSERT_TRUE(Shows("a1 idle> next thing"));
  EXPECT_EQ(Count(terminal_->Screen(), "half a"), 1U) << terminal_->Screen();
  terminal_->Press("Enter");
  ASSERT_TRUE(Shows("you said: next thing"));
  EXPECT_EQ(Said(), (Strings{"slow", "next thing"}));
}

TEST_F(AttachOnATerminal, ShowsTheLastPartAndWhatIsHalfSaid) {
  talker_.Create("a1", R"(,"prompt":"before")");
  daemon_.WaitFor("a1", "until=terminal");
  ASSERT_EQ(daemon_.Post("/agents/a1/message", R"({"text":"slow"})").status, 202);
  ASSERT_TRUE(Eventually([&] {
    return daemon_.Get("/agents/a1/snapshot").Field("open.texts").find("\"half a \"") != std::string::npos;
  }));
  Open();
  ASSERT_TRUE(Shows("you said: before"));
  ASSERT_TRUE(Shows("half a"));
  talker_.Finish();
  ASSERT_TRUE(Shows("half a sentence"));
  ASSERT_TRUE(Shows("a1 idle>"));
  EXPECT_EQ(Count(terminal_->Screen(), "half a"), 1U) << terminal_->Screen();
}

TEST_F(AttachOnATerminal, AnswersWhatIsAskedWithAKey) {
  Attach();
  for (const auto& [key, decision] : std::vector<std::pair<std::string, std::string>>{
           {"n", "deny"}, {"y", "allow_once"}, {"a", "allow_always"}}) {
    terminal_->Type("ask");
    terminal_->Press("Enter");
    ASSERT_TRUE(Shows("? bash make -j4 && echo done  y once, a always, t tool, s session, n deny"));
    ASSERT_TRUE(Shows("a1 needs_input>"));
    terminal_->Type(key);
    ASSERT_TRUE(Eventually([&, decision = decision] {
      for (const std::string& event : daemon_.Events("a1", "after=0&types=approval.resolved"))
        if (JsonField(event, "data.decision") == decision) return true;
      return false;
    })) << terminal_->Screen();
    ASSERT_TRUE(Shows(decision == "deny" ? "denied" : "allowed"));
    ASSERT_TRUE(Shows("a1 idle>"));
    EXPECT_EQ(terminal_->LineWith("idle>"), "a1 idle>") << terminal_->Screen();  // the key typed nothing
  }
  // Allowed always: the next call asks nobody.
  terminal_->Type("ask");
  terminal_->Press("Enter");
  ASSERT_TRUE(Eventually([&] { return daemon_.Events("a1", "after=0&types=run.completed").size() == 4; }));
  EXPECT_EQ(Count(terminal_->Screen(), "y once"), 0U) << terminal_->Screen();
}

TEST_F(AttachOnATerminal, TakesNoWordForAnAnswer) {
  Attach();
  terminal_->Type("ask");
  terminal_->Press("Enter");
  ASSERT_TRUE(Shows("y once"));
  terminal_->Type("n");
  ASSERT_TRUE(Shows("denied"));
  ASSERT_TRUE(Shows("a1 idle>"));
  // A request that arrives while a person types takes no key.
  terminal_->Type("ask");
  terminal_->Press("Enter");
  terminal_->Type("yes, but");
  ASSERT_TRUE(Shows("needs_input> yes, but"));
  ASSERT_TRUE(Shows("clear the line to answer"));
  EXPECT_EQ(daemon_.Get("/agents/a1").Field("pending_approvals"), "1");
  terminal_->Press("C-u");
  ASSERT_TRUE(Shows("y once"));
  // Neither a paste nor keys that arrive together are an answer.
  terminal_->Type("\x1b[200~y\x1b[201~");
  ASSERT_TRUE(Shows("needs_input> y"));
  terminal_->Press("C-u");
  ASSERT_TRUE(Shows("y once"));
  EXPECT_EQ(daemon_.Get("/agents/a1").Field("pending_approvals"), "1");
  // Any other key is text.
  terminal_->Type("x");
  ASSERT_TRUE(Shows("needs_input> x"));
  EXPECT_EQ(daemon_.Get("/agents/a1").Field("pending_approvals"), "1");
}

TEST_F(AttachOnATerminal, AnApprovalOfBeforeItCameIsAnsweredToo) {
  talker_.Create("a1", R"(,"prompt":"ask")");
  ASSERT_TRUE(Eventually([&] { return daemon_.Get("/agents/a1").Field("state") == "needs_input"; }));
  Open();
  ASSERT_TRUE(Shows("y once"));
  // Another client answers it.
  const std::string id = JsonField(daemon_.Get("/approvals").body, "approvals");
  const std::string name = id.substr(id.find("asks-"), id.find('"', id.find("asks-")) - id.find("asks-"));
  ASSERT_EQ(daemon_.Post("/agents/a1/approvals/" + name, R"({"decision":"deny"})").status, 200);
  ASSERT_TRUE(Shows("denied"));
  ASSERT_TRUE(terminal_->Hides("y once"));
}

TEST_F(AttachOnATerminal, ShowsWhatIsAskedWholeHoweverLongAgoThatWas) {
  talker_.Create("a1", R"(,"prompt":"ask")");
  ASSERT_TRUE(Eventually([&] { return daemon_.Get("/agents/a1").Field("state") == "needs_input"; }));
  Open("a1", {"--tail", "1"});
  ASSERT_TRUE(Shows("y once"));
  EXPECT_EQ(Count(terminal_->Screen(), "? asks to use bash"), 1U) << terminal_->Screen();
  terminal_->Press("C-d");
  EXPECT_EQ(terminal_->Wait(), 0);

  for (int i = 0; i < 3; ++i) ASSERT_EQ(daemon_.Post("/agents/a1/message", R"({"text":"then"})").status, 202);
  Open("a1", {"--tail", "1"});
  ASSERT_TRUE(Shows("y once"));
  EXPECT_EQ(Count(terminal_->Screen(), "? asks to use bash"), 1U) << terminal_->Screen();
}

TEST_F(AttachOnATerminal, EditsTheLine) {
  Attach();
  terminal_->Type("one two thrée");
  terminal_->Press("BSpace");
  terminal_->Press("BSpace");
  ASSERT_TRUE(Shows("> one two thr"));
  terminal_->Press("C-w");
  ASSERT_TRUE(terminal_->Hides("thr"));
  terminal_->Press("Left");
  terminal_->Press("Left");
  terminal_->Press("Left");
  terminal_->Press("Left");
  terminal_->Press("Left");
  terminal_->Type("!");
  ASSERT_TRUE(Shows("> one! two"));
  terminal_->Press("Home");
  terminal_->Press("DC");
  terminal_->Type("O");
  ASSERT_TRUE(Shows("> One! two"));
  terminal_->Press("C-k");
  ASSERT_TRUE(terminal_->Hides("two"));
  terminal_->Press("C-u");
  ASSERT_TRUE(terminal_->Hides("> O"));
  terminal_->Type("again");
  terminal_->Press("Enter");
  ASSERT_TRUE(Shows("you said: again"));
  ASSERT_TRUE(Shows("a1 idle>"));
  terminal_->Press("Up");
  ASSERT_TRUE(Shows("idle> again"));
  // A text longer than the row shows the part around the cursor.
  terminal_->Press("C-u");
  terminal_->Type(std::string(100, 'a') + std::string(60, 'b') + "END");
  ASSERT_TRUE(Shows("bbbEND"));
  terminal_->Press("Home");
  ASSERT_TRUE(Shows("idle> aaa"));
  ASSERT_TRUE(terminal_->Hides("END"));
  terminal_->Press("Enter");
  ASSERT_TRUE(Shows("you said: aaa"));
  EXPECT_EQ(Said().back(), std::string(100, 'a') + std::string(60, 'b') + "END");
}

TEST_F(AttachOnATerminal, APasteIsOneMessage) {
  Attach();
  terminal_->Type("\x1b[200~first line\rsecond line\x1b[201~");
  ASSERT_TRUE(Shows("idle> first line⏎second line"));
  EXPECT_TRUE(Said().empty());
  terminal_->Press("Enter");
  ASSERT_TRUE(Eventually([&] { return Said() == Strings{"first line\nsecond line"}; }))
      << terminal_->Screen();
  ASSERT_TRUE(Shows("> first line\n  second line"));
}

TEST_F(AttachOnATerminal, CtrlCInterruptsTheRunAndASecondLeaves) {
  Attach();
  terminal_->Type("slow");
  terminal_->Press("Enter");
  ASSERT_TRUE(Shows("half a"));
  terminal_->Type("kept");
  ASSERT_TRUE(Shows("running> kept"));
  terminal_->Press("C-c");
  ASSERT_TRUE(Shows("cancelled"));
  ASSERT_TRUE(Shows("a1 idle> kept"));
  EXPECT_EQ(daemon_.Get("/agents/a1").Field("last_run.status"), "cancelled");
  terminal_->Type("!");
  ASSERT_TRUE(Shows("idle> kept!"));
  terminal_->Press("C-c");
  ASSERT_TRUE(Shows("no run is active"));
  terminal_->Press("C-c");
  EXPECT_EQ(terminal_->Wait(), 130);
  EXPECT_EQ(daemon_.Get("/agents/a1").Field("state"), "idle");
}

TEST_F(AttachOnATerminal, SurvivesARestartOfTheDaemonWithWhatIsTyped) {
  Attach();
  terminal_->Type("hello");
  terminal_->Press("Enter");
  ASSERT_TRUE(Shows("you said: hello"));
  daemon_.Kill();
  terminal_->Type("are you there");
  terminal_->Press("Enter");
  terminal_->Type("and");
  ASSERT_TRUE(Shows("> and"));
  daemon_.Start();
  ASSERT_TRUE(Shows("you said: are you there"));
  ASSERT_TRUE(Shows("> and"));
  EXPECT_EQ(Said(), (Strings{"hello", "are you there"}));
  EXPECT_EQ(Count(terminal_->Screen(), "you said: hello"), 1U) << terminal_->Screen();
}

TEST_F(AttachOnATerminal, LeavesWhenWhatWasTypedHasBeenSent) {
  Attach();
  terminal_->Type("at once\r\x04");
  EXPECT_EQ(terminal_->Wait(), 0);
  EXPECT_EQ(Said(), Strings{"at once"});
  Open();
  ASSERT_TRUE(Shows("a1 idle>"));
  daemon_.Kill();
  terminal_->Type("later");
  terminal_->Press("Enter");
  ASSERT_TRUE(terminal_->Hides("> later"));
  terminal_->Press("C-d");
  ASSERT_TRUE(Shows("again to leave anyway"));
  daemon_.Start();
  EXPECT_EQ(terminal_->Wait(), 0);
  // The agent, which has ended with the daemon, starts for it.
  EXPECT_TRUE(Eventually([&] { return Said() == Strings{"at once", "later"}; }));
}

TEST_F(AttachOnATerminal, LeavesAtOnceWhenToldAgainAndSaysWhatWasNotSent) {
  Attach();
  daemon_.Kill();
  terminal_->Type("never");
  terminal_->Press("Enter");
  terminal_->Press("C-d");
  ASSERT_TRUE(Shows("again to leave anyway"));
  terminal_->Press("C-d");
  EXPECT_EQ(terminal_->Wait(), 0);
  ASSERT_TRUE(Shows("the last message was not sent"));
}

TEST_F(AttachOnATerminal, FollowsTheSizeOfItsWindow) {
  Attach();
  terminal_->Type("a line that is somewhat long, so that it must be cut in a narrow window");
  ASSERT_TRUE(Shows("narrow window"));
  terminal_->Resize(40, 20);
  ASSERT_TRUE(Shows("n a narrow window")) << terminal_->Screen();
  EXPECT_EQ(Count(terminal_->Screen(), "narrow window"), 1U) << terminal_->Screen();
  terminal_->Resize(100, 20);
  ASSERT_TRUE(Shows("idle> a line that is somewhat long, so that it must be cut in a narrow window"));
  terminal_->Press("Enter");
  ASSERT_TRUE(Shows("you said: a line"));
}

TEST_F(AttachOnATerminal, LeavesTheTerminalAsItWas) {
  talker_.Create("a1");
  daemon_.WaitFor("a1", "until=ready");
  for (const char* way : {"C-d", "TERM", "ABRT", "deleted"}) {  // sanitizers do not handle ABRT
    const std::string attach =
        std::string(kReeveBinary) + " agents attach --data " + daemon_.data_dir() + " a1";
    Tmux shell({"sh", "-c",
                "before=$(stty -g); " + attach +
                    "; echo code $?; [ \"$(stty -g)\" = \"$before\" ] && echo same; read -r x; exit 7"});
    ASSERT_TRUE(shell.Shows("a1 idle>")) << shell.Screen();
    if (std::string(way) == "C-d") {
      shell.Press("C-d");
    } else if (std::string(way) != "deleted") {
      for (const pid_t pid : ProcessesWith("TMUX_PANE=%0")) {
        const std::string name = ReadFile("/proc/" + std::to_string(pid) + "/comm");
        if (name == "reeve\n" &&
            ReadFile("/proc/" + std::to_string(pid) + "/cmdline").find(daemon_.data_dir()) !=
                std::string::npos)
          kill(pid, way == std::string("TERM") ? SIGTERM : SIGABRT);
      }
    } else {
      ASSERT_EQ(daemon_.Call("DELETE", "/agents/a1").status / 100, 2);
    }
    ASSERT_TRUE(shell.Shows("same")) << way << "\n" << shell.Screen();
    const char* code = std::string(way) == "TERM"   ? "code 143"
                       : std::string(way) == "ABRT" ? "code 134"
                                                    : "code 0";
    ASSERT_TRUE(shell.Shows(code)) << way << "\n" << shell.Screen();
    if (std::string(way) != "ABRT") {
      EXPECT_EQ(shell.LineWith("idle>"), "") << shell.Screen();
    }
    shell.Press("Enter");
    EXPECT_EQ(shell.Wait(), 7);
  }
}

TEST_F(AttachOnATerminal, GivesTheShellItsTurnAndComesBack) {
  talker_.Create("a1");
  daemon_.WaitFor("a1", "until=ready");
  Tmux shell({"bash", "--norc", "-i"});
  shell.Type(std::string(kReeveBinary) + " agents attach --data " + daemon_.data_dir() + " a1");
  shell.Press("Enter");
  ASSERT_TRUE(shell.Shows("a1 idle>")) << shell.Screen();
  shell.Type("draft");
  ASSERT_TRUE(shell.Shows("idle> draft"));
  shell.Press("C-z");
  ASSERT_TRUE(shell.Shows("Stopped")) << shell.Screen();
  shell.Type("echo seen by $((40 + 2)); fg");
  shell.Press("Enter");
  ASSERT_TRUE(shell.Shows("seen by 42")) << shell.Screen();
  ASSERT_TRUE(shell.Shows("idle> draft")) << shell.Screen();
  shell.Type("!");
  shell.Press("Enter");
  ASSERT_TRUE(shell.Shows("you said: draft!")) << shell.Screen();
  shell.Press("C-d");
  ASSERT_TRUE(shell.Shows("keeps running")) << shell.Screen();
  shell.Type("exit 5");
  shell.Press("Enter");
  EXPECT_EQ(shell.Wait(), 5);
}

TEST(AttachOffATerminal, SendsTheLinesOfStdinAndEndsWhenAllIsDone) {
  Daemon daemon;
  TalkingAgent talker(daemon);
  talker.Create("a1");
  Command attach({"agents", "attach", "--data", daemon.data_dir(), "a1"}, {}, "one\n\ntwo\nwork");
  EXPECT_EQ(attach.Wait(), 0) << attach.err();
  for (const char* said : {"> one\n", "you said: one\n", "> two\n", "you said: two\n", "it failed\n"})
    EXPECT_EQ(Count(attach.out(), said), 1U) << said << attach.out();
  EXPECT_EQ(attach.out().find('\x1b'), std::string::npos);
  // Without input the command ends at once.
  Command json({"agents", "attach", "--data", daemon.data_dir(), "a1", "--json", "--tail", "3"});
  EXPECT_EQ(json.Wait(), 0) << json.err();
  EXPECT_TRUE(JsonDocument::Parse(json.out().substr(0, json.out().find('\n')))) << json.out();
}

TEST(AttachOffATerminal, WakesAnAgentThatHasEnded) {
  Daemon daemon;
  daemon.Create(R"({"id":"a1","kind":"process","command":["sh","-c","read l; echo got $l"]})");
  ASSERT_EQ(daemon.Post("/agents/a1/stop").status, 202);
  daemon.WaitFor("a1");
  Command attach({"agents", "attach", "--data", daemon.data_dir(), "a1"}, {}, "hello\n");
  EXPECT_EQ(attach.Wait(), 0) << attach.err();
  EXPECT_EQ(Count(attach.out(), "got hello\n"), 1U) << attach.out();
}

TEST(AttachOffATerminal, SaysWhatIsWrong) {
  Daemon daemon;
  Command none({"agents", "attach", "--data", daemon.data_dir(), "none"});
  EXPECT_EQ(none.Wait(), 66);
  daemon.Create(R"({"id":"a1","kind":"process","command":["true"]})");
  ASSERT_EQ(daemon.Call("DELETE", "/agents/a1").status / 100, 2);
  ASSERT_TRUE(Eventually([&] { return daemon.Get("/agents/a1").status == 410; }));
  Command deleted({"agents", "attach", "--data", daemon.data_dir(), "a1"});
  EXPECT_EQ(deleted.Wait(), 66);
  daemon.Kill();
  Command down({"agents", "attach", "--server", daemon.address(), "a1"}, {"REEVE_TOKEN=" + daemon.token()});
  EXPECT_EQ(down.Wait(), 69);
}

}  // namespace
}  // namespace reeve
