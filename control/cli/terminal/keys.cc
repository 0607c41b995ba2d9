#include "control/cli/terminal/keys.h"

#include <algorithm>
#include <map>
#include <utility>

namespace reeve {

namespace {

using Kind = Key::Kind;

constexpr char kEscape = '\x1b';
constexpr std::string_view kPasteBegin = "\x1b[200~";
constexpr std::string_view kPasteEnd = "\x1b[201~";
constexpr size_t kMaxSequence = 32;

// Control characters; CSI and SS3 sequences (xterm, "PC-Style Function Keys"); keys with Alt.
Kind KindOf(std::string_view bytes) {
  static const std::map<std::string_view, Kind> kKinds = {{"\x01", Kind::kHome},
                                                          {"\x02", Kind::kLeft},
                                                          {"\x03", Kind::kInterrupt},
                                                          {"\x04", Kind::kEndOfInput},
                                                          {"\x05", Kind::kEnd},
                                                          {"\x06", Kind::kRight},
                                                          {"\b", Kind::kBackspace},
                                                          {"\x7f", Kind::kBackspace},
                                                          {"\n", Kind::kNewLine},
                                                          {"\r", Kind::kEnter},
                                                          {"\x0b", Kind::kKillRest},
                                                          {"\x0c", Kind::kRedraw},
                                                          {"\x0e", Kind::kDown},
                                                          {"\x10", Kind::kUp},
                                                          {"\x15", Kind::kKillLine},
                                                          {"\x17", Kind::kKillWord},
                                                          {"\x1a", Kind::kSuspend},
                                                          {"\x1c", Kind::kQuit},
                                                          {"\x1b[A", Kind::kUp},
                                                          {"\x1bOA", Kind::kUp},
                                                          {"\x1b[B", Kind::kDown},
                                                          {"\x1bOB", Kind::kDown},
                                                          {"\x1b[C", Kind::kRight},
                                                          {"\x1bOC", Kind::kRight},
                                                          {"\x1b[D", Kind::kLeft},
                                                          {"\x1bOD", Kind::kLeft},
                                                          {"\x1b[H", Kind::kHome},
                                                          {"\x1bOH", Kind::kHome},
                                                          {"\x1b[1~", Kind::kHome},
                                                          {"\x1b[7~", Kind::kHome},
                                                          {"\x1b[F", Kind::kEnd},
                                                          {"\x1bOF", Kind::kEnd},
                                                          {"\x1b[4~", Kind::kEnd},
                                                          {"\x1b[8~", Kind::kEnd},
                                                          {"\x1b[5~", Kind::kPageUp},
                                                          {"\x1b[6~", Kind::kPageDown},
                                                          {"\x1b[3~", Kind::kDelete},
                                                          {"\x1b[1;5C", Kind::kWordRight},
                                                          {"\x1b[1;3C", Kind::kWordRight},
                                                          {"\x1b[1;5D", Kind::kWordLeft},
                                                          {"\x1b[1;3D", Kind::kWordLeft},
                                                          {"\x1b"
                                                           "b",
                                                           Kind::kWordLeft},
                                                          {"\x1b"
                                                           "f",
                                                           Kind::kWordRight},
                                                          {"\x1b\r", Kind::kNewLine},
                                                          {"\x1b\n", Kind::kNewLine},
                                                          {"\x1b\x7f", Kind::kKillWord}};
  const auto found = kKinds.find(bytes);
  return found == kKinds.end() ? Kind::kOther : found->second;
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
  return {{Kind::kEscape, ""}};
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
  keys.push_back({Kind::kText, pending_.substr(0, size)});
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
  keys.push_back({Kind::kPaste, std::move(text)});
  return true;
}

}  // namespace reeve
