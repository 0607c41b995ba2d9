#include "control/cli/terminal/prompt_screen.h"

#include <algorithm>
#include <utility>

namespace reeve {

namespace {

// ECMA-48: CUU, CHA, ED. Rows and columns count from 0 here.
std::string Up(size_t rows) { return rows == 0 ? "" : "\x1b[" + std::to_string(rows) + "A"; }
std::string ToColumn(size_t column) { return "\x1b[" + std::to_string(column + 1) + "G"; }
constexpr char kClearBelow[] = "\x1b[J";

// Bytes of the SGR sequence at the front; 0: none.
size_t SequenceSize(std::string_view text) {
  if (text.size() < 2 || text[0] != '\x1b' || text[1] != '[') return 0;
  const size_t end = text.find('m');
  return end == std::string_view::npos ? 0 : end + 1;
}

}  // namespace

void PromptScreen::Print(std::string_view text) {
  if (text.empty()) return;
  std::string out;
  Erase(out);
  Append(out, text);
  Draw(out);
  write_(out);
}

void PromptScreen::SetPrompt(std::vector<StyledLine> rows, size_t cursor) {
  if (drawn_ && rows == rows_ && cursor == cursor_) return;
  std::string out;
  Erase(out);
  rows_ = std::move(rows);
  cursor_ = cursor;
  Draw(out);
  write_(out);
}

void PromptScreen::Resize(size_t columns) {
  // Most terminals rewrap: our rows may have become more. Where an unfinished line ends now is not known.
  size_t rows = 0;
  if (drawn_) {
    for (size_t i = 0; i + 1 < rows_.size(); ++i)
      rows += (std::max<size_t>(Columns(rows_[i]), 1) - 1) / columns;
    rows += rows_.size() - 1 + cursor_ / columns;
  }
  columns_ = columns;
  column_ = 0;
  drawn_ = false;
  write_("\r" + Up(rows) + kClearBelow);
}

void PromptScreen::Redraw() {
  std::string out = "\r";
  out += kClearBelow;
  column_ = 0;
  Draw(out);
  write_(out);
}

void PromptScreen::Clear() {
  std::string out;
  const bool unfinished = column_ != 0;
  Erase(out);
  if (unfinished && std::exchange(column_, 0) != 0) out += "\r\n";
  write_(out);
}

// Moves the cursor to the place where output continues.
void PromptScreen::Erase(std::string& out) {
  if (!std::exchange(drawn_, false)) return;
  out += "\r" + Up(rows_.size() - 1) + kClearBelow;
  if (column_ == columns_) column_ = 0;  // after a full row, output continues in the row below
  if (column_ != 0) out += Up(1) + ToColumn(column_);
}

void PromptScreen::Draw(std::string& out) {
  if (rows_.empty()) return;
  if (column_ != 0) out += "\r\n";
  for (size_t i = 0; i < rows_.size(); ++i) out += (i == 0 ? "" : "\r\n") + Paint(colours_, rows_[i]);
  out += ToColumn(cursor_);
  drawn_ = true;
}

// Follows the cursor as the terminal wraps lines.
void PromptScreen::Append(std::string& out, std::string_view text) {
  while (!text.empty()) {
    size_t size = SequenceSize(text);
    if (size == 0 && text[0] == '\n') {
      out += "\r\n";
      column_ = 0;
      text.remove_prefix(1);
      continue;
    }
    if (size == 0) {
      size = CharacterSize(text);
      const size_t width = Columns(text.substr(0, size));
      column_ = column_ + width > columns_ ? width : column_ + width;
    }
    out += text.substr(0, size);
    text.remove_prefix(size);
  }
}

}  // namespace reeve
