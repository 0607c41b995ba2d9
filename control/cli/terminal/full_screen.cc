#include "control/cli/terminal/full_screen.h"

#include <unistd.h>

#include <cstdlib>
#include <string_view>

namespace reeve {

namespace {

// ECMA-48: CUP, EL, ED; rows and columns count from 0 here. DECTCEM shows and hides the cursor.
std::string MoveTo(size_t row, size_t column) {
  return "\x1b[" + std::to_string(row + 1) + ";" + std::to_string(column + 1) + "H";
}
constexpr char kClearRow[] = "\x1b[K";
constexpr char kClearScreen[] = "\x1b[2J";
constexpr char kHideCursor[] = "\x1b[?25l";
constexpr char kShowCursor[] = "\x1b[?25h";

// Terminals differ in the width of joined emoji, so their parts are shown side by side: without U+200D (zero
// width joiner) and U+FE0F (emoji style).
std::string WithoutJoiners(std::string text) {
  for (const std::string_view mark : {"\xE2\x80\x8D", "\xEF\xB8\x8F"}) {
    for (size_t at = text.find(mark); at != std::string::npos; at = text.find(mark, at))
      text.erase(at, mark.size());
  }
  return text;
}

}  // namespace

Result<std::unique_ptr<FullScreen>> FullScreen::Open(bool colours) {
  if (isatty(STDIN_FILENO) != 1 || isatty(STDOUT_FILENO) != 1)
    return Error{"no_terminal", "stdin and stdout have to be a terminal"};
  const char* type = std::getenv("TERM");
  const std::string name = type ? type : "";
  if (name.empty() || name == "dumb" || name == "unknown")
    return Error{"no_terminal", "TERM='" + name + "': not a terminal that can be drawn on"};
  std::unique_ptr<FullScreen> screen(new FullScreen(colours));
  screen->Resize();
  return screen;
}

void FullScreen::Resize() {
  const TerminalSize size = TerminalSizeOf(STDOUT_FILENO);
  if (size.columns == 0 || size.rows == 0) return;
  size_ = size;
  Invalidate();
}

void FullScreen::Suspend() {
  mode_.Suspend();
  Resize();
  Invalidate();
}

void FullScreen::Show(const std::vector<StyledLine>& lines, std::optional<Place> cursor) {
  std::string out = kHideCursor;
  if (shown_.empty()) {
    out += kClearScreen;
    shown_.resize(size_.rows);
  }
  for (size_t row = 0; row < shown_.size(); ++row) {
    std::string text = row < lines.size() ? WithoutJoiners(Paint(colours_, lines[row])) : "";
    if (text == shown_[row]) continue;
    // Cleared first: after a full row the cursor still stands on its last column, which EL would clear.
    out += MoveTo(row, 0) + kClearRow + text;
    shown_[row] = std::move(text);
  }
  if (cursor) out += MoveTo(cursor->row, cursor->column) + kShowCursor;
  WriteToTerminal(out);
}

}  // namespace reeve
