// Command: one call of the command line, or of another program, in an environment of its own. Ends with its
// object.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

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
    std::string folder;  // where it runs
  };
  explicit Command(const Program& program, std::vector<std::string> environment = {},
                   const std::string& input = {});
  ~Command();
  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;

  int Wait();  // the exit code, minus the signal, or -1000 if it goes on
  void Signal(int signum) const;
  [[nodiscard]] std::string out() const;
  [[nodiscard]] std::string err() const;
  [[nodiscard]] bool Says(const std::string& text) const;  // on stdout, soon

 private:
  TempDir folder_;
  pid_t pid_ = -1;
};

}  // namespace reeve
