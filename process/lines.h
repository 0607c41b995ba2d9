// Lines: cuts a byte stream into lines, and a long or unfinished line into parts. A value; owned by the
// reader of the stream. It loses and adds no byte: only '\n' ends a line, and '\r' is a byte like any other.
//
// A read does not cut a UTF-8 character: a part that would end within one leaves its bytes to the next part.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace reeve {

class Lines {
 public:
  // The default comes from control/api/API.md: agent.output carries at most 1 MiB.
  static constexpr size_t kMaxLineBytes = size_t{1} << 20;

  // A line without its '\n', or a part of one.
  struct Piece {
    std::string_view text;  // valid during the call only
    bool begins = true;     // it is the beginning of its line
    bool ends = true;       // it is the end of its line; otherwise the next piece continues it
  };

  explicit Lines(size_t max_bytes = kMaxLineBytes) : max_bytes_(max_bytes) {}

  // Calls on_piece(const Piece&) for every line that `bytes` completes, and for every max_bytes of a longer
  // line. A line that lies entirely within `bytes` is not copied.
  template <typename OnPiece>
  void Feed(std::string_view bytes, OnPiece&& on_piece) {
    while (!bytes.empty()) {
      const size_t newline = bytes.find('\n');
      const bool ends = newline != std::string_view::npos;
      const std::string_view rest = bytes.substr(0, newline);
      if (ends && waiting_.empty() && rest.size() <= max_bytes_) {
        bytes.remove_prefix(newline + 1);
        Deliver(rest, true, on_piece);
        continue;
      }
      const size_t room = max_bytes_ - waiting_.size();
      waiting_.append(rest.substr(0, room));
      if (rest.size() > room) {
        bytes.remove_prefix(room);
        Flush(false, on_piece);
        continue;
      }
      if (!ends) return;
      bytes.remove_prefix(newline + 1);
      DeliverWaiting(0, true, on_piece);
    }
  }

  // Delivers the bytes of an unfinished line as a part. Unless `all`, an unfinished character waits on.
  template <typename OnPiece>
  void Flush(bool all, OnPiece&& on_piece) {
    const size_t tail = all ? 0 : UnfinishedCharacter(waiting_);
    const size_t kept = tail == waiting_.size() && tail == max_bytes_ ? 0 : tail;
    if (waiting_.size() > kept) DeliverWaiting(kept, false, on_piece);
  }

  // The bytes that were not delivered yet.
  [[nodiscard]] std::string_view waiting() const { return waiting_; }
  // Those bytes continue a line that has been delivered in part.
  [[nodiscard]] bool begun() const { return begun_; }

  // The size of a UTF-8 character at the end of `text` that is not complete; 0 if there is none.
  static size_t UnfinishedCharacter(std::string_view text) {
    for (size_t back = 1; back <= 3 && back <= text.size(); ++back) {
      const auto byte = static_cast<unsigned char>(text[text.size() - back]);
      if ((byte & 0xC0U) == 0x80U) continue;
      const size_t size = byte >= 0xF0U ? 4 : byte >= 0xE0U ? 3 : byte >= 0xC0U ? 2 : 1;
      return back < size && byte < 0xF8U ? back : 0;
    }
    return 0;
  }

  // For the next daemon (orchestrator/handover/saved_state.h): the line that is not complete yet.
  static void Members(auto& self, auto& state) {
    state.Bytes("partial", self.waiting_);
    state("begun", self.begun_);
    state.Check("partial", self.waiting_.size() <= self.max_bytes_);
  }

 private:
  template <typename OnPiece>
  void Deliver(std::string_view text, bool ends, OnPiece& on_piece) {
    const bool begins = !begun_;
    begun_ = !ends;
    on_piece(Piece{text, begins, ends});
  }
  template <typename OnPiece>
  void DeliverWaiting(size_t kept, bool ends, OnPiece& on_piece) {
    std::string text = waiting_.substr(waiting_.size() - kept);
    text.swap(waiting_);  // on_piece may feed us again
    Deliver(std::string_view(text).substr(0, text.size() - kept), ends, on_piece);
  }

  size_t max_bytes_;
  std::string waiting_;
  bool begun_ = false;
};

}  // namespace reeve
