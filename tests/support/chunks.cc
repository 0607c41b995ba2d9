#include "tests/support/chunks.h"

#include <algorithm>
#include <charconv>

namespace reeve {

size_t Chunks::Take(std::string_view bytes, std::string& content) {
  size_t at = 0;
  while (at < bytes.size() && !whole() && !broken()) {
    if (state_ == State::kContent) {
      const size_t part = std::min(left_, bytes.size() - at);
      content.append(bytes.substr(at, part));
      at += part;
      left_ -= part;
      if (left_ == 0) state_ = State::kEnd;
      continue;
    }
    line_ += bytes[at++];
    if (line_.back() == '\n') TakeLine();
  }
  return at;
}

void Chunks::TakeLine() {
  const std::string line = std::move(line_);
  line_.clear();
  const char* end = line.data() + line.size() - 2;
  if (line.size() < 2 || *end != '\r' || (state_ != State::kSize && line.size() != 2)) {
    state_ = State::kBroken;
  } else if (state_ == State::kEnd) {
    state_ = State::kSize;
  } else if (state_ == State::kLastEnd) {
    state_ = State::kWhole;
  } else if (auto [stop, error] = std::from_chars(line.data(), end, left_, 16);
             error != std::errc() || stop != end) {
    state_ = State::kBroken;
  } else {
    state_ = left_ == 0 ? State::kLastEnd : State::kContent;
  }
}

}  // namespace reeve
