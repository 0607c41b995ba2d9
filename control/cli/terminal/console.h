// Console: the output of one command. Results go to stdout, everything else to stderr. With --json both have
// one object per line; --quiet leaves only errors. Only a terminal gets colours and progress.
#pragma once

#include <cstdio>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "control/cli/client/client.h"
#include "control/cli/line/command_line.h"
#include "control/cli/line/exit_code.h"
#include "control/cli/show/text.h"
#include "orchestrator/json/json.h"

namespace reeve {

// The options of every command that calls a daemon.
struct CommonOptions {
  Client::Options client;
  bool json = false;
  bool quiet = false;
};
// --server, --token-file, --data, and --json, --quiet.
void AddCommonOptions(Command& command, CommonOptions& options, const char* quiet = "Print errors only");

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
  // Prints objects: with --json as they are, one on each line, else as the rows of a table below `head`.
  // Prints nothing if there are none. If they do not name their agent, `agent` does, in a column and a
  // member.
  void Rows(const std::vector<JsonValue>& values, const std::vector<std::string>& head,
            const std::function<std::vector<Table::Cell>(const JsonValue& value)>& row,
            const std::string& agent = {}) const;
  // Replaces the content of stdout's terminal by as many of the lines as fit.
  void Screen(std::string_view text) const;
  void Note(std::string_view text) const;  // on stderr, "reeve: …", unless --quiet or --json
  // For commands that wait for a daemon: notes that it is away, or back. Several waits note it once.
  void NoteAway(bool away);
  static const char* AwayWords(bool away);
  // Replaces the last line of stderr's terminal; empty: removes it.
  void Progress(std::string_view text);

  // Prints the error, its subject `about` and a hint. Returns the exit code.
  int Fail(const Error& error, const std::string& about = {});
  // For a command that continues after a failure: the exit code of its first one, else kOk.
  [[nodiscard]] int code() const { return code_; }

 private:
  const std::string command_;
  const bool json_;
  const bool quiet_;
  const bool colours_;
  const bool shows_progress_;
  bool in_progress_ = false;
  int code_ = kOk;
  bool away_ = false;
};

// Many lines are faster without a flush each; the last one needs it.
enum class Flush { kYes, kNo };
// On failure returns "hung_up" if the reader is gone, else "write_failed", and keeps nothing of `text`.
Status WriteOutput(FILE* file, std::string_view text, Flush flush = Flush::kYes);
// The same without the last filter, for the output of a program that the user runs in the foreground.
Status WriteBytes(FILE* file, std::string_view bytes, Flush flush = Flush::kYes);
// For stdout. If it cannot take the text, says so on stderr and ends the process with kIoError.
void WriteOrExit(std::string_view text, Flush flush = Flush::kYes);
// An object with the member "agent" in front, for one that does not name its agent.
std::string WithAgent(const std::string& agent, const std::string& json);

// Call before any output. Sets a UTF-8 locale, and ends the process without a message when stdout is closed.
void PrepareOutput();
// Call at the end. Returns kIoError if writing output failed and `code` is kOk, else `code`.
int FinishOutput(int code);

}  // namespace reeve
