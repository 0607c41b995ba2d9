// PromptScreen: a terminal where output scrolls by above a few rows that stay at its bottom: the prompt.
// Nothing of what is on it is ever cleared: what was said stays in the terminal's own history.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace reeve {

class PromptScreen {
 public:
  using Write = std::function<void(std::string_view bytes)>;

  PromptScreen(size_t columns, Write write) : columns_(columns), write_(std::move(write)) {}

  // Above the prompt. Lines, or the parts of one; Plain but for Paint's colours.
  void Print(std::string_view text);
  // The rows, each no wider than the terminal, and the cursor's column in the last of them.
  void SetPrompt(std::vector<std::string> rows, size_t cursor);
  void Resize(size_t columns);
  // The terminal was another's, or is garbled.
  void Redraw();
  // Takes the prompt away, for good or until the next Print or SetPrompt. What is unfinished above it ends.
  void Clear();

 private:
  void Erase(std::string& out);
  void Draw(std::string& out);
  void Append(std::string& out, std::string_view text);

  size_t columns_;
  const Write write_;
  std::vector<std::string> rows_;
  size_t cursor_ = 0;
  bool drawn_ = false;  // the cursor is in the last row of the prompt
  size_t column_ = 0;   // where the unfinished line above the prompt ends; 0: there is none
};

}  // namespace reeve
