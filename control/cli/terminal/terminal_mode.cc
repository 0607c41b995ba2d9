#include "control/cli/terminal/terminal_mode.h"

#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstring>
#include <string>
#include <utility>

#include "control/cli/show/text.h"

namespace reeve {

namespace {

constexpr int kFatal[] = {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGQUIT, SIGSEGV};

// xterm's private modes: 2004 bracketed paste, 1049 alternate screen, 7 line wrap, 25 visible cursor.
// Terminals without an alternate screen (the Linux console) are cleared instead.
struct Sequences {
  const char* enter;
  const char* leave;
  const char* crash;  // as `leave`, but the shell's next line must not continue the prompt
};
constexpr Sequences kMain = {"\x1b[?2004h", "\x1b[?2004l", "\x1b[?2004l\r\n"};
constexpr char kLeaveAlternate[] = "\x1b[?2004l\x1b[0m\x1b[?7h\x1b[?25h\x1b[H\x1b[2J\x1b[?1049l";
constexpr Sequences kAlternate = {"\x1b[?1049h\x1b[?7l\x1b[?2004h", kLeaveAlternate, kLeaveAlternate};

const Sequences& SequencesOf(TerminalMode::Screen screen) {
  return screen == TerminalMode::Screen::kMain ? kMain : kAlternate;
}

// Static, because a signal handler reads them.
termios modes_before{};
const char* crash_sequences = "";

void RestoreAndDie(int signum) {
  (void)!write(STDOUT_FILENO, crash_sequences, std::strlen(crash_sequences));
  (void)tcsetattr(STDIN_FILENO, TCSANOW, &modes_before);
  (void)std::signal(signum, SIG_DFL);
  (void)std::raise(signum);
}

// Replaces one handler of the fatal signals by another; leaves the handlers of a sanitizer alone.
void ReplaceHandlers(void (*from)(int), void (*to)(int)) {
  for (const int signum : kFatal) {
    struct sigaction present {};
    if (sigaction(signum, nullptr, &present) == 0 && present.sa_handler == from)
      (void)std::signal(signum, to);
  }
}

void ArmTerminalRestore(const char* sequences) {
  crash_sequences = sequences;
  ReplaceHandlers(SIG_DFL, RestoreAndDie);
}
void DisarmTerminalRestore() { ReplaceHandlers(RestoreAndDie, SIG_DFL); }

}  // namespace

void TerminalMode::Enter() {
  if (entered_ || tcgetattr(STDIN_FILENO, &modes_before) != 0) return;
  ArmTerminalRestore(SequencesOf(screen_).crash);
  termios raw = modes_before;
  raw.c_iflag &= static_cast<tcflag_t>(~(BRKINT | ICRNL | INLCR | IGNCR | ISTRIP | IXON));
  raw.c_lflag &= static_cast<tcflag_t>(~(ECHO | ICANON | IEXTEN | ISIG));
  raw.c_cc[VMIN] = 1;
  raw.c_cc[VTIME] = 0;
  entered_ = true;
  (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
  WriteToTerminal(SequencesOf(screen_).enter);
}

void TerminalMode::Leave() {
  if (!std::exchange(entered_, false)) return;
  WriteToTerminal(SequencesOf(screen_).leave);
  (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &modes_before);
  DisarmTerminalRestore();
}

void TerminalMode::Suspend() {
  Leave();
  // The caller handles SIGTSTP, to get here; only the default action stops the process. It does not stop a
  // job that no shell could continue.
  struct sigaction stop {
  }, handler{};
  stop.sa_handler = SIG_DFL;
  (void)sigaction(SIGTSTP, &stop, &handler);
  (void)kill(0, SIGTSTP);
  (void)sigaction(SIGTSTP, &handler, nullptr);
  Enter();
}

TerminalSize TerminalSizeOf(int fd) {
  winsize size{};
  if (ioctl(fd, TIOCGWINSZ, &size) != 0) return {};
  return {size.ws_col, size.ws_row};
}

void WriteToTerminal(std::string_view bytes) {
  const std::string safe = SafeJson(bytes);
  std::fwrite(safe.data(), 1, safe.size(), stdout);
  std::fflush(stdout);
}

}  // namespace reeve
