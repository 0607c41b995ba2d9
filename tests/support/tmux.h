// Tmux: a program in a real terminal: a tmux server of its own with one pane of a given size. The test types
// into the program's terminal and sees the drawn screen, as a person does. Needs a tmux with UTF-8, such as
// Debian's. Everything ends with the object.
//
//   Tmux terminal({kReeveBinary, "top"}, {.environment = {"REEVE_DATA=" + daemon.data_dir()}});
//   ASSERT_TRUE(terminal.Shows("a1")) << terminal.Screen();
//   terminal.Press("Down");
//   EXPECT_EQ(terminal.Wait(), 0);
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "tests/support/loop_fixture.h"

namespace reeve {

class Tmux {
 public:
  struct Options {
    std::vector<std::string>
        environment;  // NAME=value, beside PATH, HOME, XDG_STATE_HOME, a UTF-8 locale, TERM
    int columns = 80;
    int rows = 24;
  };
  // Starts `program` (no shell between: give one, {"sh", "-c", …}, to see what a terminal is left like).
  explicit Tmux(const std::vector<std::string>& program) : Tmux(program, Options()) {}
  Tmux(const std::vector<std::string>& program, const Options& options);
  ~Tmux();
  Tmux(const Tmux&) = delete;
  Tmux& operator=(const Tmux&) = delete;

  void Type(const std::string& text);   // as it is
  void Paste(const std::string& text);  // as from a clipboard: bracketed, for who has asked for that
  void Press(const std::string& key);   // as tmux names them: "Enter", "Escape", "Down", "PgUp", "C-c"
  void Resize(int columns, int rows);   // the program gets SIGWINCH

  // The content of the screen: one line per row, without trailing blanks.
  [[nodiscard]] std::string Screen() const;
  // Likewise, with the escape sequences of colours and attributes.
  [[nodiscard]] std::string Coloured() const;
  // The screen's first line that has `text` in it; empty: none.
  [[nodiscard]] std::string LineWith(const std::string& text) const;
  // Wait until the screen has this on it, or no longer; false once that takes too long.
  [[nodiscard]] bool Shows(const std::string& text) const;
  [[nodiscard]] bool Hides(const std::string& text) const;

  // One of tmux's variables of the pane: "alternate_on", "cursor_flag", "mouse_any_flag", "pane_dead", …
  [[nodiscard]] std::string Variable(const std::string& name) const;
  [[nodiscard]] pid_t pid() const { return pid_; }  // the program's
  // Waits for the program's end. Returns its exit code, minus the signal, or -1000 if it continues. The
  // screen stays as the program left it.
  [[nodiscard]] int Wait() const;

 private:
  struct Answer {
    int code = -1;
    std::string out;
  };
  Answer Call(const std::vector<std::string>& words) const;

  TempDir folder_;
  std::vector<std::string> environment_;
  pid_t pid_ = -1;
};

}  // namespace reeve
