#include "control/cli/top/top_screen.h"

// Wide characters, whatever the compiler's flags say (curses(3X), "FEATURE-TEST MACROS").
#define NCURSES_WIDECHAR 1
#include <curses.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cwchar>
#include <string>
#include <string_view>
#include <utility>

#include "control/cli/terminal/terminal_care.h"

namespace reeve {

namespace {

// What is pasted comes between two keys, so that it is not taken for commands (xterm's "bracketed paste").
constexpr char kPasteOn[] = "\x1b[?2004h";
constexpr char kPasteOff[] = "\x1b[?2004l";

void Write(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(STDOUT_FILENO, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;
    text.remove_prefix(static_cast<size_t>(written));
  }
}

// Of the terminal's description, as it is after newterm.
void LearnToLeave() {
  std::string text = kPasteOff;
  for (const char* name : {"sgr0", "cnorm", "rmcup"}) {
    const char* sequence = tigetstr(name);
    if (sequence) text += sequence;
  }
  LeaveWith(text);
}

// As a terminal shows it: what has no width of its own is not left to chance. Joined emoji are as wide as
// their parts on some terminals and not on others: here, they are their parts.
std::wstring Wide(std::string_view text) {
  constexpr wchar_t kJoiner = 0x200D;
  constexpr wchar_t kEmojiStyle = 0xFE0F;
  constexpr wchar_t kReplacement = 0xFFFD;
  std::wstring wide;
  std::mbstate_t state{};
  while (!text.empty()) {
    wchar_t character = 0;
    const size_t size = std::mbrtowc(&character, text.data(), text.size(), &state);
    if (size == 0 || size > text.size()) {
      state = {};
      wide += kReplacement;
      text.remove_prefix(1);
      continue;
    }
    text.remove_prefix(size);
    if (character == kJoiner || character == kEmojiStyle) continue;
    wide += wcwidth(character) < 0 ? kReplacement : character;
  }
  return wide;
}

short PairOf(Colour colour) {
  switch (colour) {
    case Colour::kNone:
    case Colour::kBold:
    case Colour::kDim:
      return 0;
    case Colour::kRed:
      return COLOR_RED;
    case Colour::kGreen:
      return COLOR_GREEN;
    case Colour::kYellow:
      return COLOR_YELLOW;
    case Colour::kBlue:
      return COLOR_BLUE;
    case Colour::kMagenta:
      return COLOR_MAGENTA;
    case Colour::kCyan:
      return COLOR_CYAN;
  }
  return 0;
}

}  // namespace

Result<std::unique_ptr<TopScreen>> TopScreen::Open(bool colours) {
  if (isatty(STDIN_FILENO) != 1 || isatty(STDOUT_FILENO) != 1)
    return Error{"no_terminal", "stdin and stdout have to be a terminal"};
  const char* type = std::getenv("TERM");
  const std::string name = type ? type : "";
  const Error unknown{"no_terminal", "TERM='" + name + "': not a terminal that can be drawn on"};
  KeepForTheWorst();
  if (name.empty() || newterm(nullptr, stdout, stdin) == nullptr) {
    ForgetTheWorst();
    return unknown;
  }
  if (tigetstr("cup") == nullptr) {  // what draws has to get about
    endwin();
    ForgetTheWorst();
    return unknown;
  }
  LearnToLeave();
  std::unique_ptr<TopScreen> screen(new TopScreen(colours && has_colors()));
  cbreak();
  noecho();
  nonl();
  typeahead(-1);  // keys that wait are no reason not to draw
  if (screen->colours_) {
    start_color();
    use_default_colors();
    for (short colour = COLOR_RED; colour <= COLOR_CYAN; ++colour) (void)init_pair(colour, colour, -1);
  }
  Write(kPasteOn);
  return screen;
}

TopScreen::~TopScreen() {
  Leave();
  ForgetTheWorst();
}

size_t TopScreen::columns() const { return static_cast<size_t>(getmaxx(stdscr)); }
size_t TopScreen::rows() const { return static_cast<size_t>(getmaxy(stdscr)); }

void TopScreen::Resize() {
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0 || size.ws_col == 0) return;
  (void)resizeterm(size.ws_row, size.ws_col);
}

void TopScreen::Leave() {
  endwin();
  Write(kPasteOff);
}

void TopScreen::Return() {
  Resize();
  Spoil();
  Write(kPasteOn);
}

void TopScreen::Show(const std::vector<StyledLine>& lines, std::optional<Place> cursor) {
  erase();
  for (size_t row = 0; row < lines.size() && row < rows(); ++row) {
    if (wmove(stdscr, static_cast<int>(row), 0) != OK) break;
    for (const Span& span : lines[row]) {
      const bool bold = span.bold || span.colour == Colour::kBold;
      const attr_t attributes = (bold ? A_BOLD : A_NORMAL) | (span.reverse ? A_REVERSE : A_NORMAL) |
                                (span.colour == Colour::kDim ? A_DIM : A_NORMAL);
      (void)wattr_set(stdscr, attributes, colours_ ? PairOf(span.colour) : 0, nullptr);
      (void)waddwstr(stdscr, Wide(span.text).c_str());
    }
  }
  (void)wattr_set(stdscr, A_NORMAL, 0, nullptr);
  curs_set(cursor ? 1 : 0);
  if (cursor) (void)wmove(stdscr, static_cast<int>(cursor->row), static_cast<int>(cursor->column));
  wrefresh(stdscr);
}

void TopScreen::Spoil() { clearok(curscr, TRUE); }

Result<Fd> TopScreen::OpenInput() {
  // Not a duplicate: whether reads wait is a matter of the open file, and this one is shared with the shell.
  Fd fd(open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC));
  if (!fd.valid()) return OsError("/dev/tty", errno);
  return fd;
}

}  // namespace reeve
