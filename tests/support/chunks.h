// Chunks: takes the chunks of an HTTP/1.1 body apart (RFC 9112 section 7.1), however they are split.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace reeve {

class Chunks {
 public:
  // Appends the content of `bytes` to `content`. Returns the number of bytes that belong to the body; the
  // others follow its end.
  size_t Take(std::string_view bytes, std::string& content);
  [[nodiscard]] bool whole() const { return state_ == State::kWhole; }  // the last chunk has come
  [[nodiscard]] bool broken() const { return state_ == State::kBroken; }

 private:
  enum class State { kSize, kContent, kEnd, kLastEnd, kWhole, kBroken };
  void TakeLine();

  State state_ = State::kSize;
  std::string line_;  // the current line of framing
  size_t left_ = 0;   // of the current chunk
};

}  // namespace reeve
