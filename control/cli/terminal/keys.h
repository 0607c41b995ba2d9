// KeyReader: what a terminal in raw mode sends, as keys: characters, whole pastes, what moves and what
// commands. A value; knows nothing of lines.
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
    kNewLine,  // Ctrl-J, Alt-Enter: into the text
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
    kEscape,      // by itself: see Lapse
    kKillLine,    // Ctrl-U: what is before the cursor
    kKillRest,    // Ctrl-K
    kKillWord,    // Ctrl-W
    kRedraw,      // Ctrl-L
    kInterrupt,   // Ctrl-C
    kEndOfInput,  // Ctrl-D
    kQuit,        // Ctrl-backslash
    kSuspend,     // Ctrl-Z
    kOther        // of which nobody knows what it should do
  };
  Kind kind = Kind::kOther;
  std::string text;
};

class KeyReader {
 public:
  // More of a paste is dropped.
  static constexpr size_t kMaxPaste = size_t{512} << 10;

  // The keys that `bytes` complete; the rest of one waits for more.
  std::vector<Key> Feed(std::string_view bytes);
  // Nothing has followed for a while (a sequence's bytes come together): an Escape that waits is one.
  std::vector<Key> Lapse();
  [[nodiscard]] bool waits() const { return !pending_.empty(); }

 private:
  // Takes one key from the front of pending_; false while it is not whole.
  bool Take(std::vector<Key>& keys);
  bool TakeSequence(std::vector<Key>& keys);
  bool TakePaste(std::vector<Key>& keys);

  std::string pending_;
  bool pasting_ = false;
  std::string paste_;
};

}  // namespace reeve
