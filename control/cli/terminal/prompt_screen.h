// PromptScreen: a terminal where output scrolls by above a prompt of a few rows. It never clears output, so
// that all of it stays in the terminal's scrollback.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "control/cli/show/styled.h"

namespace reeve {

class PromptScreen {
 public:
  using Write = std::function<void(std::string_view bytes)>;

  PromptScreen(size_t columns, bool colours, Write write)
      : columns_(columns), colours_(colours), write_(std::move(write)) {}

  // Prints lines or a part of one above the prompt. `text` is Plain, except for the colours of Paint.
  void Print(std::string_view text);
  // Each row is narrower than the terminal. `cursor`: its column in the last row.
  void SetPrompt(std::vector<StyledLine> rows, size_t cursor);
  void Resize(size_t columns);
  // Draws the prompt again, because another program may have written to the terminal.
  void Redraw();
  // Removes the prompt until the next Print or SetPrompt, and ends an unfinished line above it.
  void Clear();

 private:
  void Erase(std::string& out);
  void Draw(std::string& out);
  void Append(std::string& out, std::string_view text);

  size_t columns_;
  const bool colours_;
  const Write write_;
  std::vector<StyledLine> rows_;
  size_t cursor_ = 0;
  bool drawn_ = false;  // the prompt is on the screen, with the cursor in its last row
  size_t column_ = 0;   // where an unfinished line above the prompt ends; 0: no such line
};

}  // namespace reeve
