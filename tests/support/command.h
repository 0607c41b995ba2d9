// Command: one call of the command line, or of another program, in an environment of its own. Ends with its
// object.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "process/fd.h"
#include "tests/support/loop_fixture.h"

namespace reeve {

class Command {
 public:
  // `environment`: NAME=value, beside PATH, HOME, XDG_STATE_HOME and the sanitizers', which it wins over.
  explicit Command(const std::vector<std::string>& arguments, std::vector<std::string> environment = {},
                   const std::string& input = {});
  // Another program, found on PATH.
  struct Program {
    std::vector<std::string> words;
    std::string folder = {};   // where it runs
    bool keeps_input = false;  // its stdin is open until EndInput
  };
  explicit Command(const Program& program, std::vector<std::string> environment = {},
                   const std::string& input = {});
  ~Command();
  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;

  void Write(std::string_view bytes) const;  // to its stdin, with keeps_input; blocks while it reads nothing
  void EndInput() { input_.Close(); }
  // The next line of stdout, without its end; "" if none comes.
  std::string ReadLine();

  int Wait();  // the exit code, minus the signal, or -1000 if it goes on
  void Signal(int signum) const;
  [[nodiscard]] std::string out() const;
  [[nodiscard]] std::string err() const;
  [[nodiscard]] bool Says(const std::string& text) const;  // on stdout, soon

 private:
  TempDir folder_;
  Fd input_;
  size_t read_ = 0;  // bytes of stdout, by ReadLine
  pid_t pid_ = -1;
};

}  // namespace reeve
