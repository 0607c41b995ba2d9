// Console: the output of one command. Results go to stdout, everything else to stderr. With --json both have
// one object per line; --quiet leaves only errors. Only a terminal gets colours and progress.
#pragma once

#include <cstdio>
#include <string>
#include <string_view>

#include "control/cli/client/client.h"
#include "control/cli/line/command_line.h"
#include "control/cli/line/exit_code.h"
#include "control/cli/show/text.h"

namespace reeve {

// The options of every command that calls a daemon.
struct CommonOptions {
  Client::Options client;
  bool json = false;
  bool quiet = false;
};
// --server, --token-file, --data, and --json, --quiet.
void AddCommonOptions(Command& command, CommonOptions& options);

class Console {
 public:
  // `command`: its name in error messages, "agents wake".
  Console(std::string command, const CommonOptions& options);

  [[nodiscard]] bool json() const { return json_; }
  [[nodiscard]] bool quiet() const { return quiet_; }
  // Stdout takes colours. Honours NO_COLOR (no-color.org) and TERM=dumb.
  [[nodiscard]] bool colours() const { return colours_; }
  // Size of stdout's terminal; 0 if stdout is not a terminal.
  [[nodiscard]] size_t columns() const;
  [[nodiscard]] size_t rows() const;

  void Line(std::string_view text) const;  // on stdout, not with --quiet
  // Replaces the content of stdout's terminal by as many of the lines as fit.
  void Screen(std::string_view text) const;
  void Note(std::string_view text) const;  // on stderr, "reeve: …", unless --quiet or --json
  // Replaces the last line of stderr's terminal; empty: removes it.
  void Progress(std::string_view text);

  // Prints the error, its subject `about` and a hint. Returns the exit code.
  int Fail(const Error& error, const std::string& about = {});

 private:
  const std::string command_;
  const bool json_;
  const bool quiet_;
  const bool colours_;
  const bool shows_progress_;
  bool in_progress_ = false;
};

// Many lines are faster without a flush each; the last one needs it.
enum class Flush { kYes, kNo };
// On failure returns "hung_up" if the reader is gone, else "write_failed", and keeps nothing of `text`.
Status WriteOutput(FILE* file, std::string_view text, Flush flush = Flush::kYes);
// For stdout. If it cannot take the text, says so on stderr and ends the process with kIoError.
void WriteOrExit(std::string_view text, Flush flush = Flush::kYes);

// Call before any output. Sets a UTF-8 locale, and ends the process without a message when stdout is closed.
void PrepareOutput();
// Call at the end. Returns kIoError if writing output failed and `code` is kOk, else `code`.
int FinishOutput(int code);

}  // namespace reeve
