// FullScreen: lines of text on the whole terminal, drawn on its alternate screen. Owned by a command. Its
// TerminalMode restores the terminal.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "control/cli/show/styled.h"
#include "control/cli/terminal/terminal_mode.h"
#include "process/result.h"

namespace reeve {

class FullScreen {
 public:
  // Error "no_terminal": stdin or stdout is not a terminal, or it cannot move its cursor.
  static Result<std::unique_ptr<FullScreen>> Open(bool colours);

  // At least 1.
  [[nodiscard]] size_t columns() const { return size_.columns; }
  [[nodiscard]] size_t rows() const { return size_.rows; }
  // Takes the terminal's present size, after SIGWINCH. Call Show afterwards.
  void Resize();
  // See TerminalMode::Suspend. Call Show afterwards.
  void Suspend();
  // The next Show writes every row, because another program may have written to the terminal.
  void Invalidate() { shown_.clear(); }

  struct Place {
    size_t row = 0, column = 0;
  };
  // Shows the lines from the top and writes only rows that have changed. No `cursor`: it is hidden.
  void Show(const std::vector<StyledLine>& lines, std::optional<Place> cursor);

 private:
  explicit FullScreen(bool colours) : colours_(colours) {}

  const bool colours_;
  TerminalMode mode_{TerminalMode::Screen::kAlternate};
  TerminalSize size_{1, 1};
  std::vector<std::string> shown_;  // by row, as written; empty: unknown
};

}  // namespace reeve
