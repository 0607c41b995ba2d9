// Lines: cuts a byte stream into lines of bounded length. A value; owned by the reader of the stream.
//
// A line ends at '\n'; one '\r' before it is dropped. Bytes stay bytes until the line is complete, so a read
// never cuts a UTF-8 character. A line longer than `max_bytes` is delivered once, cut to max_bytes, with
// truncated=true; the rest of it is skipped.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace reeve {

class Lines {
 public:
  // The default comes from control/api/API.md: agent.output carries at most 1 MiB of a line.
  static constexpr size_t kMaxLineBytes = size_t{1} << 20;

  explicit Lines(size_t max_bytes = kMaxLineBytes) : max_bytes_(max_bytes) {}

  // Calls on_line(std::string_view line, bool truncated) for every line that `bytes` completes. The view is
  // valid during the call only. A line that lies entirely within `bytes` is not copied.
  template <typename OnLine>
  void Feed(std::string_view bytes, OnLine&& on_line) {
    while (!bytes.empty()) {
      size_t newline = bytes.find('\n');
      if (newline == std::string_view::npos) {
        Keep(bytes);
        return;
      }
      std::string_view piece = bytes.substr(0, newline);
      bytes.remove_prefix(newline + 1);
      if (partial_.empty() && !skipping_ && piece.size() <= max_bytes_) {
        on_line(WithoutReturn(piece), false);
        continue;
      }
      Keep(piece);
      Deliver(on_line);
    }
  }

  // The stream has ended: delivers the rest as a last line, if there is a rest.
  template <typename OnLine>
  void Finish(OnLine&& on_line) {
    if (!partial_.empty() || skipping_) Deliver(on_line);
  }

  // For a handover (orchestrator/handover/saved_state.h): the line that is not complete yet.
  static void Members(auto& self, auto& state) {
    state.Bytes("partial", self.partial_);
    state("skipping", self.skipping_);
    state.Check("partial", self.partial_.size() <= self.max_bytes_);
  }

 private:
  static std::string_view WithoutReturn(std::string_view line) {
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    return line;
  }
  void Keep(std::string_view piece) {
    size_t room = max_bytes_ - partial_.size();
    if (piece.size() > room) {
      skipping_ = true;
      piece = piece.substr(0, room);
    }
    partial_.append(piece);
  }
  template <typename OnLine>
  void Deliver(OnLine& on_line) {
    std::string line;
    line.swap(partial_);  // on_line may destroy or feed us again
    bool truncated = skipping_;
    skipping_ = false;
    on_line(truncated ? std::string_view(line) : WithoutReturn(line), truncated);
  }

  size_t max_bytes_;
  std::string partial_;
  bool skipping_ = false;  // partial_ is full: the rest of this line is dropped
};

}  // namespace reeve
