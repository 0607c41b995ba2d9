// TopScreen: the whole terminal, drawn on by ncurses. Owned by a command; there is one in a process. The
// terminal is as it was when it is destroyed, and also when the process dies of its own fault.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include "control/cli/show/styled.h"
#include "process/fd.h"
#include "process/result.h"

namespace reeve {

class TopScreen {
 public:
  // Error "no_terminal": stdin and stdout are none, or one of an unknown type. The process's
  // handlers of SIGWINCH, SIGINT, SIGTERM and SIGTSTP are ncurses' then: set others afterwards.
  static Result<std::unique_ptr<TopScreen>> Open(bool colours);
  ~TopScreen();
  TopScreen(const TopScreen&) = delete;
  TopScreen& operator=(const TopScreen&) = delete;

  [[nodiscard]] size_t columns() const;
  [[nodiscard]] size_t rows() const;
  // After SIGWINCH: takes the terminal's present size. What is on the screen has to be shown again.
  void Resize();
  // Around a stop of the process.
  void Leave();
  void Return();

  struct Place {
    size_t row = 0, column = 0;
  };
  // From the top; `cursor`: where it stands, or it is hidden.
  void Show(const std::vector<StyledLine>& lines, std::optional<Place> cursor);
  // Whatever else has written to the terminal, the next Show draws all of it.
  void Spoil();

  // The terminal's keys, to be watched: a descriptor of its own.
  [[nodiscard]] static Result<Fd> OpenInput();

 private:
  explicit TopScreen(bool colours) : colours_(colours) {}
  const bool colours_;
};

}  // namespace reeve
