// KeyReader: turns the bytes of a terminal in raw mode into keys: characters, whole pastes, editing and
// command keys. A value.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace reeve {

struct Key {
  enum class Kind {
    kText,   // one character, UTF-8
    kPaste,  // many, with line ends as '\n'
    kEnter,
    kNewLine,  // Ctrl-J, Alt-Enter: a line end in the text
    kBackspace,
    kDelete,
    kLeft,
    kRight,
    kUp,
    kDown,
    kWordLeft,
    kWordRight,
    kHome,
    kEnd,
    kPageUp,
    kPageDown,
    kEscape,      // alone: see Lapse
    kKillLine,    // Ctrl-U: to the beginning
    kKillRest,    // Ctrl-K
    kKillWord,    // Ctrl-W
    kRedraw,      // Ctrl-L
    kInterrupt,   // Ctrl-C
    kEndOfInput,  // Ctrl-D
    kQuit,        // Ctrl-backslash
    kSuspend,     // Ctrl-Z
    kOther        // unknown
  };
  Kind kind = Kind::kOther;
  std::string text;
};

class KeyReader {
 public:
  // Bytes; the rest of a longer paste is dropped.
  static constexpr size_t kMaxPaste = size_t{512} << 10;

  // The keys that `bytes` complete. An incomplete key waits for the next call.
  std::vector<Key> Feed(std::string_view bytes);
  // Call when no byte has followed for a while. A waiting Escape then is a key, not the beginning of a
  // sequence.
  std::vector<Key> Lapse();
  [[nodiscard]] bool waits() const { return !pending_.empty(); }

 private:
  // Takes one key from the front of pending_; false if it is incomplete.
  bool Take(std::vector<Key>& keys);
  bool TakeSequence(std::vector<Key>& keys);
  bool TakePaste(std::vector<Key>& keys);

  std::string pending_;
  bool pasting_ = false;
  std::string paste_;
};

}  // namespace reeve
