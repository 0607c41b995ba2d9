#include "control/cli/terminal/terminal_care.h"

#include <termios.h>
#include <unistd.h>

#include <csignal>
#include <cstddef>
#include <cstring>

namespace reeve {

namespace {

termios before{};
char leave[256];
constexpr int kFatal[] = {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGQUIT, SIGSEGV};

void DieTidily(int signum) {
  const char* text = leave;
  size_t size = 0;
  while (text[size] != '\0') ++size;
  (void)!write(STDOUT_FILENO, text, size);
  (void)tcsetattr(STDIN_FILENO, TCSANOW, &before);
  (void)std::signal(signum, SIG_DFL);
  (void)std::raise(signum);
}

}  // namespace

void KeepForTheWorst() {
  (void)tcgetattr(STDIN_FILENO, &before);
  for (const int signum : kFatal) {
    struct sigaction present {};
    if (sigaction(signum, nullptr, &present) == 0 && present.sa_handler == SIG_DFL)
      (void)std::signal(signum, DieTidily);
  }
}

void LeaveWith(std::string_view sequences) {
  if (sequences.size() >= sizeof leave) return;
  std::memcpy(leave, sequences.data(), sequences.size());
  leave[sequences.size()] = '\0';
}

void ForgetTheWorst() {
  for (const int signum : kFatal) {
    struct sigaction present {};
    if (sigaction(signum, nullptr, &present) == 0 && present.sa_handler == DieTidily)
      (void)std::signal(signum, SIG_DFL);
  }
}

}  // namespace reeve
