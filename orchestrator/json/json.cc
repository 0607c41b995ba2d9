#include "orchestrator/json/json.h"

#include <rapidjson/error/en.h>
#include <rapidjson/memorystream.h>
#include <rapidjson/reader.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstring>
#include <type_traits>
#include <utility>

namespace reeve {

// The nodes of a document in the order of the text: a container is followed by everything in it.
struct JsonTree {
  // A string of the document: bytes of `text` or, if `at` is beyond its end, of `decoded`.
  struct Slice {
    uint32_t at = 0;
    uint32_t size = 0;
  };
  struct Node {
    JsonType type;
    uint32_t begin;  // its text is [begin, end)
    uint32_t end;
    uint32_t next = 0;  // sibling; 0: the last
    uint32_t size = 0;  // members or elements; the first is the node after this one
    Slice key;          // the key, for a member
    Slice string;       // the value of a kString
  };

  [[nodiscard]] std::string_view View(Slice slice) const {
    const bool own = slice.at >= text.size();
    const std::string& bytes = own ? decoded : text;
    return std::string_view(bytes).substr(own ? slice.at - text.size() : slice.at, slice.size);
  }

  std::string text;
  std::string decoded;  // strings that have escapes in the text
  std::vector<Node> nodes;
};

namespace {

// Offsets are 32 bits here, and string lengths are 32 bits in RapidJSON. Real input is far smaller.
constexpr size_t kMaxJsonBytes = size_t{1} << 30;

bool IsPlain(char c) {
  auto byte = static_cast<unsigned char>(c);
  return byte >= 0x20 && byte < 0x80 && c != '"' && c != '\\';
}

// The end of the plain bytes from `at`: those that a JSON string contains unescaped, which are printable
// ASCII except " and \.
const char* SkipPlain(const char* at, const char* end) {
  constexpr uint64_t kOnes = 0x0101010101010101;
  // Checks eight bytes at a time: a byte that is not plain sets its high bit in one of the terms. (A borrow
  // may also mark the bytes above it, but never those below, so "none" is exact.)
  for (; end - at >= 8; at += 8) {
    uint64_t word;
    std::memcpy(&word, at, sizeof word);
    uint64_t quote = word ^ (kOnes * '"');
    uint64_t backslash = word ^ (kOnes * '\\');
    uint64_t marks = word | (word - kOnes * 0x20) | (quote - kOnes) | (backslash - kOnes);
    if (marks & (kOnes * 0x80)) break;
  }
  while (at != end && IsPlain(*at)) ++at;
  return at;
}

// The non-ASCII character at `at`. It is either complete and valid, or the longest part that could have
// become a valid one (Unicode 15, table 3-7 and "maximal subpart"); one U+FFFD replaces that part.
struct Utf8Character {
  bool valid;
  int size;
};

Utf8Character ReadUtf8(const char* at, const char* end) {
  auto lead = static_cast<unsigned char>(*at);
  if (lead < 0xC2 || lead > 0xF4) return {false, 1};
  const int size = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  // The range of the second byte excludes overlong forms, surrogates and characters beyond U+10FFFF.
  unsigned char low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  unsigned char high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  for (int i = 1; i < size; ++i) {
    if (at + i == end) return {false, i};
    auto byte = static_cast<unsigned char>(at[i]);
    if (byte < low || byte > high) return {false, i};
    low = 0x80;
    high = 0xBF;
  }
  return {true, size};
}

// RapidJSON passes each character of a string to its encoding; this encoding takes a whole run of them at
// once.
struct Utf8Runs : rapidjson::UTF8<> {
  template <typename Output>
  static bool Validate(rapidjson::MemoryStream& in, Output& out) {
    const char* begin = in.src_;
    const char* at = begin;
    while ((at = SkipPlain(at, in.end_)) != in.end_ && static_cast<unsigned char>(*at) >= 0x80) {
      Utf8Character character = ReadUtf8(at, in.end_);
      if (!character.valid && at == begin) return false;
      if (!character.valid) break;  // the next call refuses it, with its offset
      at += character.size;
    }
    const auto size = static_cast<rapidjson::SizeType>(at - begin);
    // RapidJSON also instantiates the in-place parser, which has no Push, but never calls it.
    if constexpr (!std::is_same_v<Output, rapidjson::MemoryStream>) std::memcpy(out.Push(size), begin, size);
    in.src_ = at;
    return true;
  }
};

using Stream = rapidjson::MemoryStream;
using Allocator = rapidjson::MemoryPoolAllocator<>;
using Reader = rapidjson::GenericReader<Utf8Runs, Utf8Runs, Allocator>;
constexpr unsigned kFlags = rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag |
                            rapidjson::kParseNumbersAsStringsFlag;

Error InvalidJson(std::string_view reason, size_t offset) {
  return Error{"invalid_json", std::string(reason) + " at offset " + std::to_string(offset)};
}

// Parses: `handler` sees the tokens of `in`, which must contain nothing else.
template <typename Handler>
rapidjson::ParseResult Read(Stream& in, Handler& handler) {
  char memory[4096];  // memory for the reader's stack, so that most texts cost no allocation
  Allocator allocator(memory, sizeof memory);
  Reader reader(&allocator, 1024);
  return reader.Parse<kFlags>(in, handler);
}

Status Explain(const rapidjson::ParseResult& result, const Stream& in, int max_depth) {
  if (result.Code() == rapidjson::kParseErrorTermination) {
    return InvalidJson("nested deeper than " + std::to_string(max_depth), result.Offset());
  }
  if (result.IsError()) {
    std::string_view reason = rapidjson::GetParseError_En(result.Code());
    if (reason.ends_with('.')) reason.remove_suffix(1);
    return InvalidJson(reason, result.Offset());
  }
  if (in.Tell() != in.size_) return InvalidJson("a NUL byte", in.Tell());  // RapidJSON takes NUL for the end
  return {};
}

// Replaces each half of a UTF-16 pair that is written as an escape by \ufffd, in place. Programs that cut
// strings at UTF-16 units write such halves (JavaScript's JSON.stringify does); UTF-8 cannot represent them.
void ReplaceLoneSurrogates(std::string& text) {
  auto unit = [&text](size_t at) -> int {  // of the escape "\uXXXX" at `at`; -1: none
    unsigned value = 0;
    if (at + 6 > text.size() || text[at] != '\\' || text[at + 1] != 'u') return -1;
    const char* end = text.data() + at + 6;
    auto read = std::from_chars(text.data() + at + 2, end, value, 16);
    return read.ec == std::errc() && read.ptr == end ? static_cast<int>(value) : -1;
  };
  auto is_high = [](int code) { return code >= 0xD800 && code <= 0xDBFF; };
  auto is_low = [](int code) { return code >= 0xDC00 && code <= 0xDFFF; };
  for (size_t at = text.find('\\'); at != std::string::npos; at = text.find('\\', at)) {
    int code = unit(at);
    if (is_high(code) && is_low(unit(at + 6))) {
      at += 12;
      continue;
    }
    if (is_high(code) || is_low(code)) text.replace(at, 6, "\\ufffd");
    at += code < 0 ? 2 : 6;
  }
}

// Functions that RapidJSON demands of a handler. They are never called here, because numbers arrive as text.
struct NoNumbers {
  static bool Int(int) { return false; }
  static bool Uint(unsigned) { return false; }
  static bool Int64(int64_t) { return false; }
  static bool Uint64(uint64_t) { return false; }
  static bool Double(double) { return false; }
};

class TreeBuilder : public NoNumbers {
 public:
  TreeBuilder(JsonTree& tree, const Stream& in) : tree_(tree), in_(in) {}

  bool Null() { return Add(JsonType::kNull); }
  bool Bool(bool) { return Add(JsonType::kBool); }
  bool RawNumber(const char*, rapidjson::SizeType, bool) { return Add(JsonType::kNumber); }
  bool String(const char* text, rapidjson::SizeType size, bool) {
    Add(JsonType::kString);
    JsonTree::Node& node = tree_.nodes.back();
    node.string = Keep(node.begin, {text, size});
    return true;
  }
  bool Key(const char* text, rapidjson::SizeType size, bool) {
    key_ = Keep(TokenBegin(), {text, size});
    last_end_ = Here();
    return true;
  }
  bool StartObject() { return Open(JsonType::kObject); }
  bool StartArray() { return Open(JsonType::kArray); }
  bool EndObject(rapidjson::SizeType size) { return Close(size); }
  bool EndArray(rapidjson::SizeType size) { return Close(size); }

 private:
  struct Level {
    uint32_t node = 0;
    uint32_t last_child = 0;
  };

  [[nodiscard]] uint32_t Here() const { return static_cast<uint32_t>(in_.Tell()); }
  // RapidJSON reports where a token ends. The token begins after the characters that may separate it from the
  // one before.
  [[nodiscard]] uint32_t TokenBegin() const {
    return static_cast<uint32_t>(tree_.text.find_first_not_of(" \t\r\n,:", last_end_));
  }

  bool Add(JsonType type) {
    const auto index = static_cast<uint32_t>(tree_.nodes.size());
    if (depth_ > 0) {
      Level& level = levels_[depth_ - 1];
      if (level.last_child != 0) tree_.nodes[level.last_child].next = index;
      level.last_child = index;
    }
    tree_.nodes.push_back({type, TokenBegin(), Here(), 0, 0, key_, {}});
    last_end_ = Here();
    return true;
  }
  bool Open(JsonType type) {
    if (depth_ == kMaxJsonDepth) return false;
    const auto index = static_cast<uint32_t>(tree_.nodes.size());
    Add(type);
    levels_[depth_++] = {index, 0};
    last_end_ = Here() + 1;  // RapidJSON has not consumed the bracket yet
    return true;
  }
  bool Close(uint32_t size) {
    JsonTree::Node& node = tree_.nodes[levels_[--depth_].node];
    node.size = size;
    node.end = last_end_ = Here() + 1;
    return true;
  }

  // Returns the content of the string whose opening quote is at `begin`; a string without escapes stays in
  // the text.
  JsonTree::Slice Keep(uint32_t begin, std::string_view content) {
    const auto size = static_cast<uint32_t>(content.size());
    if (Here() - begin == size + 2) return {begin + 1, size};
    const auto at = static_cast<uint32_t>(tree_.text.size() + tree_.decoded.size());
    tree_.decoded.append(content);
    return {at, size};
  }

  JsonTree& tree_;
  const Stream& in_;
  uint32_t last_end_ = 0;  // end of the token before
  JsonTree::Slice key_;
  std::array<Level, kMaxJsonDepth> levels_;
  size_t depth_ = 0;
};

// Checks the line, and finds the top-level member "type".
class Scanner : public NoNumbers {
 public:
  Scanner(std::string_view line, const Stream& in, std::span<const MemberType> declared)
      : line_(line), in_(in), declared_(declared) {}

  bool Null() { return TakeValue(JsonType::kNull); }
  bool Bool(bool) { return TakeValue(JsonType::kBool); }
  bool RawNumber(const char*, rapidjson::SizeType, bool) { return TakeValue(JsonType::kNumber); }
  bool String(const char*, rapidjson::SizeType size, bool) {
    if (depth_ == 1 && at_type_) TakeType(size);
    return TakeValue(JsonType::kString);
  }
  bool Key(const char* text, rapidjson::SizeType size, bool) {
    if (depth_ != 1) return true;
    const std::string_view key(text, size);
    at_type_ = key == "type";
    const auto known = std::find_if(declared_.begin(), declared_.end(),
                                    [key](const MemberType& one) { return one.name == key; });
    member_ = known == declared_.end() ? nullptr : &*known;
    types_ += at_type_ ? 1 : 0;
    key_end_ = in_.Tell();
    return true;
  }
  bool StartObject() { return TakeValue(JsonType::kObject) && ++depth_ <= kMaxLineDepth; }
  bool StartArray() { return TakeValue(JsonType::kArray) && ++depth_ <= kMaxLineDepth; }
  bool EndObject(rapidjson::SizeType) { return --depth_, true; }
  bool EndArray(rapidjson::SizeType) { return --depth_, true; }

  [[nodiscard]] JsonLine Found() const {
    JsonLine found;
    found.as_declared = as_declared_;
    if (types_ != 1 || type_.empty()) return found;
    found.type = type_;
    found.type_begin = key_end_of_type_ - kKey.size();
    found.type_end = static_cast<size_t>(type_.data() - line_.data()) + type_.size() + 1;
    const size_t after = line_.find_first_not_of(kSpace, found.type_end);
    if (line_[after] == ',') {
      found.type_end = after + 1;
    } else if (size_t before = line_.find_last_not_of(kSpace, found.type_begin - 1); line_[before] == ',') {
      found.type_begin = before;
    }
    return found;
  }

 private:
  static constexpr std::string_view kKey = "\"type\"";
  static constexpr std::string_view kSpace = " \t";

  bool TakeValue(JsonType type) {
    if (depth_ == 1 && member_ && member_->type != type) as_declared_ = false;
    return true;
  }

  // Only a type that is written without escapes can be a view; its decoded size shows that.
  void TakeType(size_t size) {
    const size_t begin = line_.find_first_not_of(" \t\r\n:", key_end_);
    if (in_.Tell() - begin != size + 2 || !line_.substr(0, key_end_).ends_with(kKey)) return;
    type_ = line_.substr(begin + 1, size);
    key_end_of_type_ = key_end_;
  }

  std::string_view line_;
  const Stream& in_;
  const std::span<const MemberType> declared_;
  const MemberType* member_ = nullptr;  // the declaration of the present top-level member
  bool as_declared_ = true;
  int depth_ = 0;
  bool at_type_ = false;  // the present top-level member is "type"
  int types_ = 0;
  size_t key_end_ = 0;  // end of the key of the present top-level member
  std::string_view type_;
  size_t key_end_of_type_ = 0;
};

}  // namespace

// --- reading

JsonDocument::JsonDocument() : tree_(std::make_unique<JsonTree>()) {}
JsonDocument::JsonDocument(JsonDocument&&) noexcept = default;
JsonDocument& JsonDocument::operator=(JsonDocument&&) noexcept = default;
JsonDocument::~JsonDocument() = default;

Result<JsonDocument> JsonDocument::Parse(std::string_view text) {
  if (text.size() > kMaxJsonBytes) return InvalidJson("too large", kMaxJsonBytes);
  JsonDocument document;
  JsonTree& tree = *document.tree_;
  tree.text = WithoutByteOrderMark(text);
  ReplaceLoneSurrogates(tree.text);
  Stream in(tree.text.data(), tree.text.size());
  TreeBuilder builder(tree, in);
  Status status = Explain(Read(in, builder), in, kMaxJsonDepth);
  if (!status.ok()) return status.error();
  return document;
}

bool JsonValue::Is(JsonType type) const { return present() && tree_->nodes[node_].type == type; }

size_t JsonValue::size() const { return present() ? tree_->nodes[node_].size : 0; }

JsonValue JsonValue::operator[](std::string_view key) const {
  JsonValue found;
  if (!tree_ || !Is(JsonType::kObject) || size() == 0) return found;
  for (uint32_t at = node_ + 1; at != 0; at = tree_->nodes[at].next) {
    if (tree_->View(tree_->nodes[at].key) == key) found = {tree_, at};
  }
  return found;
}

JsonValue JsonValue::At(size_t index) const {
  if (!Is(JsonType::kArray) || index >= size()) return {};
  uint32_t at = node_ + 1;
  for (; index > 0; --index) at = tree_->nodes[at].next;
  return {tree_, at};
}

std::vector<JsonValue::Member> JsonValue::Members() const {
  std::vector<Member> members;
  if (!tree_ || !Is(JsonType::kObject) || size() == 0) return members;
  members.reserve(size());
  for (uint32_t at = node_ + 1; at != 0; at = tree_->nodes[at].next) {
    members.push_back({tree_->View(tree_->nodes[at].key), {tree_, at}});
  }
  return members;
}

std::vector<JsonValue> JsonValue::Elements() const {
  std::vector<JsonValue> elements;
  if (!Is(JsonType::kArray) || size() == 0) return elements;
  elements.reserve(size());
  for (uint32_t at = node_ + 1; at != 0; at = tree_->nodes[at].next) elements.push_back({tree_, at});
  return elements;
}

std::optional<std::string_view> JsonValue::AsString() const {
  if (!Is(JsonType::kString)) return std::nullopt;
  return tree_->View(tree_->nodes[node_].string);
}

std::string_view JsonValue::StringOr(std::string_view otherwise) const {
  return AsString().value_or(otherwise);
}

std::optional<double> JsonValue::AsDouble() const {
  if (!Is(JsonType::kNumber)) return std::nullopt;
  const JsonTree::Node& node = tree_->nodes[node_];
  double number = 0;
  auto read = std::from_chars(tree_->text.data() + node.begin, tree_->text.data() + node.end, number);
  if (read.ec != std::errc()) return std::nullopt;
  return number;
}

std::optional<int64_t> JsonValue::AsInt() const {
  if (!Is(JsonType::kNumber)) return std::nullopt;
  const JsonTree::Node& node = tree_->nodes[node_];
  const char* end = tree_->text.data() + node.end;
  int64_t whole = 0;
  auto read = std::from_chars(tree_->text.data() + node.begin, end, whole);
  if (read.ec != std::errc()) return std::nullopt;
  if (read.ptr == end) return whole;
  // "2.0" and "1e3" are whole numbers too. A double is exact up to 2^53.
  std::optional<double> number = AsDouble();
  if (!number || std::abs(*number) > 9007199254740992.0 || std::trunc(*number) != *number)
    return std::nullopt;
  return static_cast<int64_t>(*number);
}

std::optional<bool> JsonValue::AsBool() const {
  if (!Is(JsonType::kBool)) return std::nullopt;
  return tree_->text[tree_->nodes[node_].begin] == 't';
}

std::string JsonValue::Raw() const {
  if (!present()) return "null";
  const JsonTree::Node& node = tree_->nodes[node_];
  std::string text = tree_->text.substr(node.begin, node.end - node.begin);
  // Line ends within strings are escaped, so these are between tokens.
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c == '\r' || c == '\n'; }, ' ');
  return text;
}

Result<JsonLine> ScanJsonObject(std::string_view line, std::span<const MemberType> declared) {
  if (line.size() > kMaxJsonBytes) return InvalidJson("too large", kMaxJsonBytes);
  for (char end : {'\n', '\r'}) {
    if (size_t at = line.find(end); at != std::string_view::npos) return InvalidJson("a line end", at);
  }
  const size_t first = line.find_first_not_of(" \t");
  if (first == std::string_view::npos || line[first] != '{') return InvalidJson("not an object", 0);

  Stream in(line.data(), line.size());
  Scanner scanner(line, in, declared);
  rapidjson::ParseResult result = Read(in, scanner);
  if (result.Code() == rapidjson::kParseErrorStringUnicodeSurrogateInvalid) {
    std::string repaired(line);
    ReplaceLoneSurrogates(repaired);  // keeps all offsets
    Result<JsonLine> found = ScanJsonObject(repaired, declared);
    if (!found.ok() || found->type.empty()) return found;
    found->type = line.substr(static_cast<size_t>(found->type.data() - repaired.data()), found->type.size());
    return found;
  }
  Status status = Explain(result, in, kMaxLineDepth);
  if (!status.ok()) return status.error();
  return scanner.Found();
}

// --- writing

std::string_view WithoutByteOrderMark(std::string_view text) {
  constexpr std::string_view kMark = "\xEF\xBB\xBF";
  if (text.starts_with(kMark)) text.remove_prefix(kMark.size());
  return text;
}

std::string Base64(std::string_view bytes) {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t at = 0; at < bytes.size(); at += 3) {
    uint32_t group = 0;
    for (size_t i = 0; i < 3; ++i) {
      group = group << 8 | (at + i < bytes.size() ? static_cast<unsigned char>(bytes[at + i]) : 0U);
    }
    for (size_t i = 0; i < 4; ++i) text += at + i > bytes.size() ? '=' : kDigits[group >> (18 - 6 * i) & 63];
  }
  return text;
}

std::optional<std::string> FromBase64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  std::string bytes;
  for (size_t at = 0; at < text.size(); at += 4) {
    uint32_t group = 0;
    int padding = 0;
    for (size_t i = 0; i < 4; ++i) {
      const char c = text[at + i];
      uint32_t digit = 0;
      if (c >= 'A' && c <= 'Z') {
        digit = static_cast<uint32_t>(c - 'A');
      } else if (c >= 'a' && c <= 'z') {
        digit = static_cast<uint32_t>(c - 'a') + 26;
      } else if (c >= '0' && c <= '9') {
        digit = static_cast<uint32_t>(c - '0') + 52;
      } else if (c == '+' || c == '/') {
        digit = c == '+' ? 62 : 63;
      } else if (c == '=' && at + 4 == text.size() && i >= 2) {
        ++padding;
      } else {
        return std::nullopt;
      }
      if (padding > 0 && c != '=') return std::nullopt;
      group = group << 6 | digit;
    }
    for (int i = 0; i < 3 - padding; ++i) bytes += static_cast<char>(group >> (16 - 8 * i) & 255U);
  }
  return bytes;
}

bool IsUtf8(std::string_view text) {
  const char* at = text.data();
  const char* end = at + text.size();
  while (at != end) {
    if (static_cast<unsigned char>(*at) < 0x80) {
      ++at;
      continue;
    }
    Utf8Character character = ReadUtf8(at, end);
    if (!character.valid) return false;
    at += character.size;
  }
  return true;
}

void AppendJsonString(std::string& out, std::string_view text) {
  const char* at = text.data();
  const char* end = at + text.size();
  const char* copied = at;  // `out` has everything up to here
  // Appends the text up to `at` unchanged, and then `instead` in place of the `size` bytes at `at`.
  auto replace = [&](std::string_view instead, int size) {
    out.append(copied, at);
    out.append(instead);
    at += size;
    copied = at;
  };

  out += '"';
  while ((at = SkipPlain(at, end)) != end) {
    const auto byte = static_cast<unsigned char>(*at);
    if (byte >= 0x80) {
      Utf8Character character = ReadUtf8(at, end);
      if (character.valid) {
        at += character.size;
      } else {
        replace("\xEF\xBF\xBD", character.size);
      }
      continue;
    }
    switch (byte) {
      case '"':
        replace("\\\"", 1);
        break;
      case '\\':
        replace("\\\\", 1);
        break;
      case '\b':
        replace("\\b", 1);
        break;
      case '\f':
        replace("\\f", 1);
        break;
      case '\n':
        replace("\\n", 1);
        break;
      case '\r':
        replace("\\r", 1);
        break;
      case '\t':
        replace("\\t", 1);
        break;
      default: {
        constexpr char kHex[] = "0123456789abcdef";
        const char escape[] = {'\\', 'u', '0', '0', kHex[byte >> 4], kHex[byte & 15]};
        replace({escape, sizeof escape}, 1);
      }
    }
  }
  out.append(copied, at);
  out += '"';
}

JsonObject& JsonObject::Set(std::string_view key, std::string_view value) {
  if (!empty()) text_ += ',';
  AppendJsonString(text_, key);
  text_ += ':';
  AppendJsonString(text_, value);
  return *this;
}

JsonObject& JsonObject::Set(std::string_view key, double value) {
  if (!std::isfinite(value)) return SetRaw(key, "null");  // JSON has no infinity and no NaN
  char digits[32];
  auto written = std::to_chars(digits, digits + sizeof digits, value);
  return SetRaw(key, {digits, static_cast<size_t>(written.ptr - digits)});
}

JsonObject& JsonObject::SetRaw(std::string_view key, std::string_view json) {
  if (json.empty()) return *this;
  if (!empty()) text_ += ',';
  AppendJsonString(text_, key);
  text_ += ':';
  text_ += json;
  return *this;
}

std::string JsonObject::Take() {
  text_ += '}';
  return std::move(text_);
}

JsonArray& JsonArray::Add(std::string_view value) {
  if (text_.size() > 1) text_ += ',';
  AppendJsonString(text_, value);
  return *this;
}

JsonArray& JsonArray::AddRaw(std::string_view json) {
  if (text_.size() > 1) text_ += ',';
  text_ += json;
  return *this;
}

std::string JsonArray::Take() {
  text_ += ']';
  return std::move(text_);
}

// Recurses as deep as the patch, which is no deeper than kMaxJsonDepth.
std::string MergePatch(const JsonValue& target, const JsonValue& patch) {
  if (!patch.Is(JsonType::kObject)) return patch.Raw();
  JsonObject merged;
  for (const auto& [key, value] : target.Members()) {
    if (!patch[key]) merged.SetRaw(key, value.Raw());
  }
  for (const auto& [key, value] : patch.Members()) {
    if (!value.Is(JsonType::kNull)) merged.SetRaw(key, MergePatch(target[key], value));
  }
  return merged.Take();
}

}  // namespace reeve
