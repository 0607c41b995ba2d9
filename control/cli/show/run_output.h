// RunOutput: what `reeve run` shows of a run, as if its program had been called here: its output byte for
// byte where it belongs, an assistant's words on stdout, and what else is worth knowing on stderr.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "control/cli/show/event_printer.h"
#include "control/cli/terminal/console.h"

namespace reeve {

class RunOutput {
 public:
  explicit RunOutput(Console& console);

  void Take(const JsonValue& event);
  void Gap(const std::string& agent, const JsonValue& gap);
  void Pause();  // there is no more for now
  void End();    // at all
  // Of `run` itself, on stderr.
  void Note(const std::string& text);

 private:
  void TakeOutput(const JsonValue& data);
  // Off a terminal: whole messages, as they are.
  void TakeWords(const JsonValue& event);
  void EndWords();

  Console& console_;
  const bool on_terminal_;  // stdout
  const bool one_;          // stdout and stderr are both terminals: the same, mostly
  EventPrinter notes_;      // on stderr; of one terminal all of it
  EventPrinter words_;      // on stdout's terminal, where stderr is none
  // By message: what is not whole. Of a very long one its beginning is written already.
  struct Said {
    std::string text;
    size_t written = 0;
  };
  std::map<std::string, Said> said_;
};

}  // namespace reeve
