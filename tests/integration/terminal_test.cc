// The foundation of terminal tests (support/tmux.h), tested with a shell.
#include <gtest/gtest.h>

#include <csignal>
#include <string>

#include "tests/support/daemon.h"
#include "tests/support/tmux.h"

namespace reeve {
namespace {

TEST(Terminal, TakesKeysAndShowsWhatIsDrawn) {
  Tmux terminal(
      {"sh", "-c",
       "printf 'wer da? '; read name; printf '\\033[31m%s\\033[0m 会議\\n' \"$name\"; read end; exit 3"});
  ASSERT_TRUE(terminal.Shows("wer da?")) << terminal.Screen();
  terminal.Type("a $HOME; 'b'");
  terminal.Press("Enter");
  ASSERT_TRUE(terminal.Shows("\na $HOME; 'b' 会議\n")) << terminal.Screen();
  EXPECT_EQ(terminal.LineWith("会議"), "a $HOME; 'b' 会議");
  EXPECT_NE(terminal.Coloured().find("\x1b[31ma $HOME"), std::string::npos) << terminal.Coloured();
  EXPECT_EQ(terminal.Variable("pane_dead"), "0");
  terminal.Press("Enter");
  EXPECT_EQ(terminal.Wait(), 3);
  EXPECT_NE(terminal.Screen().find("会議"), std::string::npos) << "gone with the program";
}

TEST(Terminal, IsOfTheSizeThatIsAskedFor) {
  Tmux terminal({"sh", "-c", "trap 'clear; stty size' WINCH; stty size; while :; do read line; done"},
                {.environment = {}, .columns = 33, .rows = 7});
  ASSERT_TRUE(terminal.Shows("7 33")) << terminal.Screen();
  terminal.Resize(100, 40);
  terminal.Press("Enter");  // a shell looks at its traps between commands
  ASSERT_TRUE(terminal.Shows("40 100")) << terminal.Screen();
  EXPECT_TRUE(terminal.Hides("7 33")) << terminal.Screen();
}

TEST(Terminal, EndsWithItsObjectAndTellsOfSignals) {
  pid_t pid = 0;
  {
    Tmux terminal({"sh", "-c", "trap '' HUP; echo up; read line"}, {.environment = {"MARK=terminal-test"}});
    ASSERT_TRUE(terminal.Shows("up"));
    pid = terminal.pid();
    EXPECT_EQ(ProcessesWith("MARK=terminal-test").size(), 2U);  // the server, too
  }
  EXPECT_TRUE(Eventually([] { return ProcessesWith("MARK=terminal-test").empty(); })) << pid;
  Tmux killed({"sh", "-c", "kill -TERM $$; read line"});
  EXPECT_EQ(killed.Wait(), -SIGTERM);
}

}  // namespace
}  // namespace reeve
