#include "control/cli/terminal/line_editor.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "control/cli/show/text.h"
#include "orchestrator/json/json.h"

namespace reeve {

namespace {

constexpr size_t kMaxHistory = 200;

bool IsContinuation(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }
bool IsSpace(char byte) { return byte == ' ' || byte == '\n' || byte == '\t'; }

// A character as Draw shows it.
std::string Shown(std::string_view character) { return character == "\n" ? "⏎" : Plain(character); }

}  // namespace

bool LineEditor::Take(const Key& key) {
  using Kind = Key::Kind;
  switch (key.kind) {
    case Kind::kText:
    case Kind::kPaste:
      Insert(key.text);
      return true;
    case Kind::kNewLine:
      Insert("\n");
      return true;
    case Kind::kBackspace:
      Erase(Before(cursor_), cursor_);
      return true;
    case Kind::kDelete:
      Erase(cursor_, After(cursor_));
      return true;
    case Kind::kLeft:
      cursor_ = Before(cursor_);
      return true;
    case Kind::kRight:
      cursor_ = After(cursor_);
      return true;
    case Kind::kWordLeft:
      cursor_ = WordBefore(cursor_);
      return true;
    case Kind::kWordRight:
      cursor_ = WordAfter(cursor_);
      return true;
    case Kind::kHome:
      cursor_ = 0;
      return true;
    case Kind::kEnd:
      cursor_ = text_.size();
      return true;
    case Kind::kKillLine:
      Erase(0, cursor_);
      return true;
    case Kind::kKillRest:
      Erase(cursor_, text_.size());
      return true;
    case Kind::kKillWord:
      Erase(WordBefore(cursor_), cursor_);
      return true;
    case Kind::kUp:
      Recall(1);
      return true;
    case Kind::kDown:
      Recall(-1);
      return true;
    default:
      return false;
  }
}

std::string LineEditor::Submit() {
  std::string text = std::exchange(text_, {});
  cursor_ = 0;
  back_ = 0;
  draft_.clear();
  if (history_.empty() || history_.back() != text) history_.push_back(text);
  if (history_.size() > kMaxHistory) history_.pop_front();
  return text;
}

void LineEditor::Restore(const std::string& text) {
  const std::string before = text + (text_.empty() ? "" : "\n");
  text_.insert(0, before);
  cursor_ += before.size();
}

void LineEditor::Insert(std::string_view text) {
  // The daemon rejects text that is not UTF-8.
  if (!IsUtf8(text) || text_.size() + text.size() > kMaxText) return;
  text_.insert(cursor_, text);
  cursor_ += text.size();
}

void LineEditor::Erase(size_t from, size_t to) {
  text_.erase(from, to - from);
  cursor_ = from;
}

size_t LineEditor::Before(size_t at) const {
  if (at > 0) --at;
  while (at > 0 && IsContinuation(text_[at])) --at;
  return at;
}

size_t LineEditor::After(size_t at) const {
  if (at < text_.size()) ++at;
  while (at < text_.size() && IsContinuation(text_[at])) ++at;
  return at;
}

size_t LineEditor::WordBefore(size_t at) const {
  while (at > 0 && IsSpace(text_[at - 1])) --at;
  while (at > 0 && !IsSpace(text_[at - 1])) --at;
  return at;
}

size_t LineEditor::WordAfter(size_t at) const {
  while (at < text_.size() && IsSpace(text_[at])) ++at;
  while (at < text_.size() && !IsSpace(text_[at])) ++at;
  return at;
}

void LineEditor::Recall(int step) {
  if ((step > 0 && back_ == history_.size()) || (step < 0 && back_ == 0)) return;
  if (back_ == 0) draft_ = text_;
  back_ = step > 0 ? back_ + 1 : back_ - 1;
  text_ = back_ == 0 ? draft_ : history_[history_.size() - back_];
  cursor_ = text_.size();
}

LineEditor::Row LineEditor::Draw(size_t columns) const {
  if (columns == 0) return {};
  // Takes characters to the left of the cursor as long as they fit beside the cursor's column, then to the
  // right.
  size_t first = cursor_;
  size_t used = 1;
  while (first > 0) {
    const size_t before = Before(first);
    const size_t width = Columns(Shown(std::string_view(text_).substr(before, first - before)));
    if (used + width > columns) break;
    used += width;
    first = before;
  }
  Row row;
  row.cursor = used - 1;
  size_t at = first;
  for (size_t width = 0; at < text_.size();) {
    const size_t next = After(at);
    const std::string shown = Shown(std::string_view(text_).substr(at, next - at));
    width += Columns(shown);
    if (width > columns) break;
    row.text += shown;
    at = next;
  }
  return row;
}

}  // namespace reeve
