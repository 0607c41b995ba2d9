#include "control/cli/terminal/keys.h"

#include <algorithm>
#include <map>
#include <utility>

namespace reeve {

namespace {

using KeyKind = Key::Kind;

constexpr char kEscape = '\x1b';
constexpr std::string_view kPasteBegin = "\x1b[200~";
constexpr std::string_view kPasteEnd = "\x1b[201~";
constexpr size_t kMaxSequence = 32;

// Control characters; CSI and SS3 sequences (xterm, "PC-Style Function Keys"); keys with Alt.
Key::Kind KindOf(std::string_view bytes) {
  static const std::map<std::string_view, Key::Kind> kKinds = {{"\x01", KeyKind::kHome},
                                                               {"\x02", KeyKind::kLeft},
                                                               {"\x03", KeyKind::kInterrupt},
                                                               {"\x04", KeyKind::kEndOfInput},
                                                               {"\x05", KeyKind::kEnd},
                                                               {"\x06", KeyKind::kRight},
                                                               {"\b", KeyKind::kBackspace},
                                                               {"\x7f", KeyKind::kBackspace},
                                                               {"\n", KeyKind::kNewLine},
                                                               {"\r", KeyKind::kEnter},
                                                               {"\x0b", KeyKind::kKillRest},
                                                               {"\x0c", KeyKind::kRedraw},
                                                               {"\x0e", KeyKind::kDown},
                                                               {"\x10", KeyKind::kUp},
                                                               {"\x15", KeyKind::kKillLine},
                                                               {"\x17", KeyKind::kKillWord},
                                                               {"\x1a", KeyKind::kSuspend},
                                                               {"\x1c", KeyKind::kQuit},
                                                               {"\x1b[A", KeyKind::kUp},
                                                               {"\x1bOA", KeyKind::kUp},
                                                               {"\x1b[B", KeyKind::kDown},
                                                               {"\x1bOB", KeyKind::kDown},
                                                               {"\x1b[C", KeyKind::kRight},
                                                               {"\x1bOC", KeyKind::kRight},
                                                               {"\x1b[D", KeyKind::kLeft},
                                                               {"\x1bOD", KeyKind::kLeft},
                                                               {"\x1b[H", KeyKind::kHome},
                                                               {"\x1bOH", KeyKind::kHome},
                                                               {"\x1b[1~", KeyKind::kHome},
                                                               {"\x1b[7~", KeyKind::kHome},
                                                               {"\x1b[F", KeyKind::kEnd},
                                                               {"\x1bOF", KeyKind::kEnd},
                                                               {"\x1b[4~", KeyKind::kEnd},
                                                               {"\x1b[8~", KeyKind::kEnd},
                                                               {"\x1b[5~", KeyKind::kPageUp},
                                                               {"\x1b[6~", KeyKind::kPageDown},
                                                               {"\x1b[3~", KeyKind::kDelete},
                                                               {"\x1b[1;5C", KeyKind::kWordRight},
                                                               {"\x1b[1;3C", KeyKind::kWordRight},
                                                               {"\x1b[1;5D", KeyKind::kWordLeft},
                                                               {"\x1b[1;3D", KeyKind::kWordLeft},
                                                               {"\x1b"
                                                                "b",
                                                                KeyKind::kWordLeft},
                                                               {"\x1b"
                                                                "f",
                                                                KeyKind::kWordRight},
                                                               {"\x1b\r", KeyKind::kNewLine},
                                                               {"\x1b\n", KeyKind::kNewLine},
                                                               {"\x1b\x7f", KeyKind::kKillWord}};
  const auto found = kKinds.find(bytes);
  return found == kKinds.end() ? KeyKind::kOther : found->second;
}

// Bytes of the UTF-8 character at the front; 0 if it is incomplete; 1 for a byte that begins no character.
size_t SizeOfFirst(std::string_view bytes) {
  const auto lead = static_cast<unsigned char>(bytes[0]);
  const size_t size = lead >= 0xF5 ? 1 : lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC2 ? 2 : 1;
  for (size_t i = 1; i < std::min(size, bytes.size()); ++i) {
    if ((static_cast<unsigned char>(bytes[i]) & 0xC0) != 0x80) return 1;
  }
  return bytes.size() < size ? 0 : size;
}

}  // namespace

std::vector<Key> KeyReader::Feed(std::string_view bytes) {
  pending_ += bytes;
  std::vector<Key> keys;
  while (!pending_.empty() && Take(keys)) continue;
  return keys;
}

std::vector<Key> KeyReader::Lapse() {
  if (pending_.size() != 1 || pending_[0] != kEscape || pasting_) return {};
  pending_.clear();
  return {{KeyKind::kEscape, ""}};
}

bool KeyReader::Take(std::vector<Key>& keys) {
  if (pasting_) return TakePaste(keys);
  const char first = pending_[0];
  if (first == kEscape) return TakeSequence(keys);
  if (static_cast<unsigned char>(first) < 0x20 || first == '\x7f') {
    keys.push_back({KindOf(pending_.substr(0, 1)), ""});
    pending_.erase(0, 1);
    return true;
  }
  const size_t size = SizeOfFirst(pending_);
  if (size == 0) return false;
  keys.push_back({KeyKind::kText, pending_.substr(0, size)});
  pending_.erase(0, size);
  return true;
}

bool KeyReader::TakeSequence(std::vector<Key>& keys) {
  if (pending_.size() < 2) return false;  // of a sequence, or a key: see Lapse
  size_t size = 2;
  if (pending_[1] == '[' || pending_[1] == 'O') {
    const size_t final_byte = pending_.find_first_not_of("0123456789;:<=>?", 2);
    if (final_byte == std::string::npos) {
      if (pending_.size() > kMaxSequence) pending_.clear();
      return false;
    }
    size = final_byte + 1;
  } else if (pending_[1] == kEscape) {
    size = 1;
  }
  const std::string sequence = pending_.substr(0, size);
  pending_.erase(0, size);
  if (sequence == kPasteBegin) {
    pasting_ = true;
    paste_.clear();
  } else if (size > 1) {
    keys.push_back({KindOf(sequence), ""});
  }
  return true;
}

bool KeyReader::TakePaste(std::vector<Key>& keys) {
  const size_t end = pending_.find(kPasteEnd);
  // If the end has not arrived, the last bytes may be the beginning of it.
  const size_t size =
      end != std::string::npos ? end : pending_.size() - std::min(pending_.size(), kPasteEnd.size() - 1);
  paste_.append(pending_, 0, std::min(size, kMaxPaste - std::min(kMaxPaste, paste_.size())));
  pending_.erase(0, size);
  if (end == std::string::npos) return false;
  pending_.erase(0, kPasteEnd.size());
  pasting_ = false;
  // Terminals send a line end in a paste as '\r'.
  std::string text;
  for (size_t i = 0; i < paste_.size(); ++i) {
    if (paste_[i] == '\r') {
      text += '\n';
      if (i + 1 < paste_.size() && paste_[i + 1] == '\n') ++i;
    } else {
      text += paste_[i];
    }
  }
  paste_.clear();
  keys.push_back({KeyKind::kPaste, std::move(text)});
  return true;
}

}  // namespace reeve
