// LineEditor: one line of input being written: its text, where the cursor is, and the lines before it. A
// value; draws itself as one row of a terminal, however long it is.
#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <string_view>

#include "control/cli/terminal/keys.h"

namespace reeve {

class LineEditor {
 public:
  static constexpr size_t kMaxText = KeyReader::kMaxPaste;  // bytes; more is not taken

  // False: the key is none of an editor's.
  bool Take(const Key& key);

  [[nodiscard]] bool empty() const { return text_.empty(); }
  [[nodiscard]] const std::string& text() const { return text_; }
  // Takes the text out, as one that Up brings back.
  std::string Submit();
  // Back to the front of what is there: it could not be sent.
  void Restore(const std::string& text);

  struct Row {
    std::string text;   // Plain, at most `columns` wide
    size_t cursor = 0;  // column
  };
  // The part around the cursor. A line end within shows as "⏎".
  [[nodiscard]] Row Draw(size_t columns) const;

 private:
  void Insert(std::string_view text);
  void Erase(size_t from, size_t to);
  [[nodiscard]] size_t Before(size_t at) const;  // where the character before it begins
  [[nodiscard]] size_t After(size_t at) const;
  [[nodiscard]] size_t WordBefore(size_t at) const;
  [[nodiscard]] size_t WordAfter(size_t at) const;
  void Recall(int step);

  std::string text_;                 // valid UTF-8
  size_t cursor_ = 0;                // bytes
  std::deque<std::string> history_;  // the last one at the end
  size_t back_ = 0;                  // how far into it; 0: not
  std::string draft_;                // what was being written when it was looked into
};

}  // namespace reeve
