// Room terminal/: reading keys from a terminal and drawing on it.
//
// TerminalMode: the terminal on stdin and stdout in raw mode. Keys arrive one by one and without an echo, and
// the terminal marks a paste (xterm, "Bracketed Paste Mode"). At most one per process. The destructor
// restores the terminal; a handler of fatal signals restores it when the process crashes.
#pragma once

#include <cstddef>
#include <string_view>

namespace reeve {

class TerminalMode {
 public:
  // kAlternate: a screen of its own without line wrap; leaving it brings the main screen back.
  enum class Screen { kMain, kAlternate };

  explicit TerminalMode(Screen screen) : screen_(screen) { Enter(); }
  ~TerminalMode() { Leave(); }
  TerminalMode(const TerminalMode&) = delete;
  TerminalMode& operator=(const TerminalMode&) = delete;

  void Enter();
  void Leave();
  // Stops the job, as Ctrl-Z does; the terminal is restored meanwhile. Returns when the job continues.
  void Suspend();

 private:
  const Screen screen_;
  bool entered_ = false;
};

struct TerminalSize {
  size_t columns = 0;
  size_t rows = 0;
};
// Zeros if `fd` is not a terminal.
TerminalSize TerminalSizeOf(int fd);

// Writes to stdout at once.
void WriteToTerminal(std::string_view bytes);

}  // namespace reeve
