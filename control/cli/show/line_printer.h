// LinePrinter: coloured lines for a terminal or a file, each with the time and the agent's id in front if
// wanted, and a line that is written in parts. Owned by an EventPrinter.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "control/cli/show/text.h"
#include "orchestrator/json/json.h"

namespace reeve {

struct PrintOptions {
  bool json = false;  // envelopes as they are; the other options do not apply
  bool colours = false;
  bool names = false;     // each line begins with its agent's id
  size_t name_width = 0;  // columns of the longest id, if known beforehand
  bool times = false;     // each line begins with its time; otherwise lines about agents and runs end with it
  bool live = false;      // shows a message while it arrives; not with `names`
  bool full = false;      // nothing is folded: neither long lines nor long outputs
  size_t columns = 0;     // of the terminal: folded lines are cut there, others are broken between words; 0:
                          // folded lines are cut at 200, others are not broken
};

class LinePrinter {
 public:
  using Write = std::function<void(std::string_view text)>;
  // The agent that a line is about, and the time of its event.
  struct Origin {
    std::string agent;
    std::string time;
  };

  LinePrinter(PrintOptions options, Write write);

  // One line or several; those after the first begin with `indent`. On a terminal, lines that are too long
  // are broken between words if `breaks`. `text` is Plain.
  void Line(const Origin& origin, Colour colour, std::string_view text, std::string_view indent = {},
            bool breaks = true);
  // At most `count` dimmed and indented lines, each cut at the width; all of it with `full`. `text` may be
  // anything.
  void Lines(const Origin& origin, std::string_view text, size_t count, std::string_view indent);
  // The same for a unified diff, whose lines have colours.
  void Diff(const Origin& origin, std::string_view diff, size_t count, std::string_view indent);
  // A part of a line; the next Part continues it.
  void Part(const Origin& origin, Colour colour, std::string_view text);
  // Ends an unfinished line.
  void Break();

  // Changes with every call above: equal positions mean that nothing was written in between.
  [[nodiscard]] uint64_t position() const { return position_; }
  // "… · 09:14:05", unless lines begin with their time.
  [[nodiscard]] std::string Stamped(const std::string& words, const Origin& origin);
  [[nodiscard]] size_t width() const;
  // Cuts a line that is too long, unless nothing is folded.
  [[nodiscard]] std::string Folded(std::string_view line, size_t less = 0) const;
  void Resize(size_t columns) { options_.columns = columns; }

 private:
  [[nodiscard]] std::string Prefix(const Origin& origin);
  [[nodiscard]] std::string Clock(const std::string& time);

  PrintOptions options_;
  const Write write_;
  void Folding(const Origin& origin, std::string_view text, size_t count, std::string_view indent,
               Colour (*colour)(std::string_view line));

  bool mid_line_ = false;
  size_t prefix_columns_ = 0;  // of the last Prefix
  size_t column_ = 0;          // on the terminal, of an unfinished line
  uint64_t position_ = 1;
  std::string day_;  // of the last time that Clock returned
};

}  // namespace reeve
