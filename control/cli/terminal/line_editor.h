// LineEditor: a line of input with its cursor and its history. A value; draws itself as one row of a
// terminal.
#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <string_view>

#include "control/cli/terminal/keys.h"

namespace reeve {

class LineEditor {
 public:
  static constexpr size_t kMaxText = KeyReader::kMaxPaste;  // bytes; rejects more

  // False if the key does not edit.
  bool Take(const Key& key);

  [[nodiscard]] bool empty() const { return text_.empty(); }
  [[nodiscard]] const std::string& text() const { return text_; }
  // Empties the line, adds the text to the history, and returns it.
  std::string Submit();
  // Inserts a text that could not be sent, before the present text.
  void Restore(const std::string& text);

  struct Row {
    std::string text;   // Plain, at most `columns` wide
    size_t cursor = 0;  // column
  };
  // The part of the text around the cursor. A line end in it shows as "⏎".
  [[nodiscard]] Row Draw(size_t columns) const;

 private:
  void Insert(std::string_view text);
  void Erase(size_t from, size_t to);
  [[nodiscard]] size_t Before(size_t at) const;  // where the previous character begins
  [[nodiscard]] size_t After(size_t at) const;
  [[nodiscard]] size_t WordBefore(size_t at) const;
  [[nodiscard]] size_t WordAfter(size_t at) const;
  void Recall(int step);

  std::string text_;                 // valid UTF-8
  size_t cursor_ = 0;                // bytes
  std::deque<std::string> history_;  // oldest first
  size_t back_ = 0;                  // entries back in history_; 0: the draft
  std::string draft_;                // the text before Up was pressed
};

}  // namespace reeve
