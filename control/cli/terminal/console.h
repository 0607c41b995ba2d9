// Console: what one command prints. On stdout what was asked for, on stderr everything else; --json has one
// object a line on both, --quiet keeps to what went wrong. Colours and progress only on a terminal.
#pragma once

#include <string>

#include "control/cli/client/client.h"
#include "control/cli/line/command_line.h"
#include "control/cli/line/exit_code.h"
#include "control/cli/show/text.h"

namespace reeve {

// What every command has that asks a daemon.
struct CommonOptions {
  Client::Options client;
  bool json = false;
  bool quiet = false;
};
// --server, --token-file, --data, and --json, --quiet.
void AddCommonOptions(Command& command, CommonOptions& options);

class Console {
 public:
  // `command`: as errors name it, "agents wake".
  Console(std::string command, const CommonOptions& options);

  [[nodiscard]] bool json() const { return json_; }
  [[nodiscard]] bool quiet() const { return quiet_; }
  // Of stdout: NO_COLOR (no-color.org) and TERM=dumb are honoured.
  [[nodiscard]] bool colours() const { return colours_; }
  // Columns of stdout's terminal; 0 where it is none.
  [[nodiscard]] size_t columns() const;
  // Likewise its rows.
  [[nodiscard]] size_t rows() const;

  void Line(std::string_view text) const;  // on stdout, not with --quiet
  // Takes the place of what stands on stdout's terminal; as much of it as there is room for.
  void Screen(std::string_view text) const;
  void Note(std::string_view text) const;  // on stderr, "reeve: …", neither with --quiet nor with --json
  // Of something that takes long: the last line of a terminal, each time anew; empty: no more.
  void Progress(std::string_view text);

  // Says why, about what, and what to do; returns the exit code.
  int Fail(const Error& error, const std::string& about = {});

 private:
  const std::string command_;
  const bool json_;
  const bool quiet_;
  const bool colours_;
  const bool shows_progress_;
  bool in_progress_ = false;
};

// Before anything is printed: UTF-8 whatever the locale; who reads no more ends us, silently.
void PrepareOutput();
// At the very end: kIoError if something could not be written, else `code`.
int FinishOutput(int code);

}  // namespace reeve
