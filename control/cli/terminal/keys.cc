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

// C0 characters, as a terminal sends them for keys.
Kind OfControl(char byte) {
  switch (byte) {
    case 1:
      return Kind::kHome;
    case 2:
      return Kind::kLeft;
    case 3:
      return Kind::kInterrupt;
    case 4:
      return Kind::kEndOfInput;
    case 5:
      return Kind::kEnd;
    case 6:
      return Kind::kRight;
    case 8:
    case 127:
      return Kind::kBackspace;
    case '\n':
      return Kind::kNewLine;
    case '\r':
      return Kind::kEnter;
    case 11:
      return Kind::kKillRest;
    case 12:
      return Kind::kRedraw;
    case 14:
      return Kind::kDown;
    case 16:
      return Kind::kUp;
    case 21:
      return Kind::kKillLine;
    case 23:
      return Kind::kKillWord;
    case 26:
      return Kind::kSuspend;
    case 28:
      return Kind::kQuit;
    default:
      return Kind::kOther;
  }
}

// CSI and SS3 sequences (xterm, "PC-Style Function Keys") and keys with Alt, without the escape.
Kind OfSequence(std::string_view sequence) {
  static const std::map<std::string_view, Kind> kKinds = {
      {"[A", Kind::kUp},          {"OA", Kind::kUp},           {"[B", Kind::kDown},
      {"OB", Kind::kDown},        {"[C", Kind::kRight},        {"OC", Kind::kRight},
      {"[D", Kind::kLeft},        {"OD", Kind::kLeft},         {"[H", Kind::kHome},
      {"OH", Kind::kHome},        {"[1~", Kind::kHome},        {"[7~", Kind::kHome},
      {"[F", Kind::kEnd},         {"OF", Kind::kEnd},          {"[4~", Kind::kEnd},
      {"[8~", Kind::kEnd},        {"[5~", Kind::kPageUp},      {"[6~", Kind::kPageDown},
      {"[3~", Kind::kDelete},     {"[1;5C", Kind::kWordRight}, {"[1;3C", Kind::kWordRight},
      {"[1;5D", Kind::kWordLeft}, {"[1;3D", Kind::kWordLeft},  {"b", Kind::kWordLeft},
      {"f", Kind::kWordRight},    {"\r", Kind::kNewLine},      {"\n", Kind::kNewLine},
      {"\x7f", Kind::kKillWord}};
  const auto found = kKinds.find(sequence);
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
    keys.push_back({OfControl(first), ""});
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
    keys.push_back({OfSequence(std::string_view(sequence).substr(1)), ""});
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
