// RunOutput: the output of `reeve run`, as if its program ran in the foreground. The program's output goes
// byte for byte to the stream it was written to, an assistant's messages go to stdout, and notes go to
// stderr.
#pragma once

#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "control/cli/show/event_printer.h"
#include "control/cli/terminal/console.h"

namespace reeve {

class RunOutput {
 public:
  // `on_lost` is called once, when stdout or stderr cannot be written any more: "hung_up" if its reader is
  // gone, else "write_failed". From then on nothing is written.
  RunOutput(Console& console, std::function<void(const Error& reason)> on_lost);

  void Take(const JsonValue& event);
  void Gap(const std::string& agent, const JsonValue& gap);
  void Pause();  // no more events are at hand
  void End();    // no more events will come
  // A note of the command itself, on stderr.
  void Note(const std::string& text);

 private:
  using Writer = Status (*)(FILE* file, std::string_view text, Flush flush);
  void Write(FILE* where, std::string_view text, Writer writer = WriteOutput);
  void BreakLine();
  void TakeOutput(const JsonValue& data);
  // Writes complete messages, if stdout is not a terminal.
  void TakeWords(const JsonValue& event);
  void EndWords();

  Console& console_;
  const std::function<void(const Error& reason)> on_lost_;
  bool lost_ = false;
  bool mid_line_ = false;   // a terminal's cursor stands behind an unfinished line of the program
  const bool on_terminal_;  // stdout
  const bool one_;          // stdout and stderr are terminals, usually the same
  EventPrinter notes_;      // to stderr; to one terminal, everything
  EventPrinter words_;      // messages, if only stdout is a terminal
  struct Message {
    std::string text;
    size_t written = 0;  // bytes before `text` that were written because the message is very long
  };
  std::map<std::string, Message> unfinished_;  // by message id
};

}  // namespace reeve
