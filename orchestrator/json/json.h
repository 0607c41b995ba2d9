// Room json/: reading and writing JSON.
//
// JSON: the only code that includes RapidJSON. It is safe for input from outside: it refuses NUL bytes,
// parses iteratively (deep input cannot overflow the stack), demands valid UTF-8, keeps numbers as text, and
// limits the depth. Half a UTF-16 pair written as an escape reads as U+FFFD; programs that cut strings in
// JavaScript produce such halves. A number beyond the range of a double is refused, as RFC 8259 section 6
// allows.
//
//   JsonDocument::Parse  →  reads: JsonValue, a cheap view into the document
//   JsonObject, JsonArray →  writes: text, appended to as you go
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "process/result.h"

namespace reeve {

// Deeper than any agent's output that was seen. The limit exists so that no later code recurses too deeply.
inline constexpr int kMaxJsonDepth = 64;
// The depth limit of a line that becomes an event; the envelope around it must be readable too.
inline constexpr int kMaxLineDepth = kMaxJsonDepth - 4;

enum class JsonType : uint8_t { kNull, kBool, kNumber, kString, kArray, kObject };

class JsonDocument;
struct JsonTree;  // the content of a document; its address stays the same when the document moves

// A value of a document, or "absent". Reading a missing member returns "absent", so chains of reads need no
// checks. Valid as long as the document (and, for Raw, the text it was parsed from).
class JsonValue {
 public:
  JsonValue() = default;

  [[nodiscard]] bool present() const { return tree_ != nullptr; }
  explicit operator bool() const { return present(); }
  [[nodiscard]] bool Is(JsonType type) const;

  // Member `key` of an object, or element `index` of an array; absent if there is none, or if this is no
  // object or array. If a member is repeated, the last one counts.
  [[nodiscard]] JsonValue operator[](std::string_view key) const;
  [[nodiscard]] JsonValue operator[](const char* key) const { return (*this)[std::string_view(key)]; }
  [[nodiscard]] JsonValue At(size_t index) const;
  [[nodiscard]] size_t size() const;  // members or elements; 0 for other types

  // The value if it has that type and fits; otherwise nothing, or the default.
  [[nodiscard]] std::optional<std::string_view> AsString() const;
  [[nodiscard]] std::optional<int64_t> AsInt() const;  // whole numbers only; 2.0 is one
  [[nodiscard]] std::optional<double> AsDouble() const;
  [[nodiscard]] std::optional<bool> AsBool() const;
  [[nodiscard]] std::string_view StringOr(std::string_view otherwise) const;

  // The value's own text as in the input; "null" when absent. Whitespace between tokens is kept, except that
  // line ends become spaces: the text always fits one line.
  [[nodiscard]] std::string Raw() const;

  // Object members in order.
  struct Member;
  [[nodiscard]] std::vector<Member> Members() const;
  [[nodiscard]] std::vector<JsonValue> Elements() const;

 private:
  friend class JsonDocument;
  JsonValue(const JsonTree* tree, uint32_t node) : tree_(tree), node_(node) {}
  const JsonTree* tree_ = nullptr;
  uint32_t node_ = 0;
};

struct JsonValue::Member {
  std::string_view key;
  JsonValue value;
};

class JsonDocument {
 public:
  // Error "invalid_json" gives the reason and the offset. `text` is copied. A byte order mark is skipped, as
  // RFC 8259 section 8.1 allows.
  static Result<JsonDocument> Parse(std::string_view text);
  JsonDocument(JsonDocument&&) noexcept;
  JsonDocument& operator=(JsonDocument&&) noexcept;
  ~JsonDocument();

  [[nodiscard]] JsonValue root() const { return {tree_.get(), 0}; }
  [[nodiscard]] JsonValue operator[](std::string_view key) const { return root()[key]; }

 private:
  JsonDocument();
  std::unique_ptr<JsonTree> tree_;
};

// The result of scanning a line without building a document: the fast path for a `jsonl` child.
struct JsonLine {
  std::string_view type;  // the top-level string member "type" if it has no escapes; else empty
  size_t type_begin = 0;  // the bytes of the member `"type":"…"` with one comma: without them, the rest is
  size_t type_end = 0;    // still an object. Both 0 without a type.
  bool as_declared = true;  // each top-level member that is declared has its type
};
// The type that a member of this name has wherever it is there.
struct MemberType {
  std::string_view name;
  JsonType type;
};
// Succeeds if `line` is one valid JSON object without line ends, no deeper than kMaxLineDepth; otherwise
// Error "invalid_json". An accepted line can go into a frame unchanged. A "type" that occurs twice, in any
// spelling, counts as none.
Result<JsonLine> ScanJsonObject(std::string_view line, std::span<const MemberType> declared = {});

// Appends `text` quoted and escaped (RFC 8259 section 7). Bytes that are not UTF-8 become U+FFFD.
void AppendJsonString(std::string& out, std::string_view text);
bool IsUtf8(std::string_view text);
// `text` without the byte order mark (U+FEFF) that editors write at the beginning of a file.
std::string_view WithoutByteOrderMark(std::string_view text);
// RFC 4648 section 4, for bytes that are not UTF-8.
std::string Base64(std::string_view bytes);
std::optional<std::string> FromBase64(std::string_view text);

// Applies `patch` to `target` by RFC 7396 (JSON Merge Patch) and returns the result.
std::string MergePatch(const JsonValue& target, const JsonValue& patch);

// Writes an object: JsonObject().Set("a", 1).Set("b", "x").Take(). Set with an empty optional writes nothing,
// and neither does SetRaw with an empty text.
class JsonObject {
 public:
  JsonObject& Set(std::string_view key, std::string_view value);
  JsonObject& Set(std::string_view key, const std::string& value) {
    return Set(key, std::string_view(value));
  }
  JsonObject& Set(std::string_view key, const char* value) { return Set(key, std::string_view(value)); }
  JsonObject& Set(std::string_view key, bool value) { return SetRaw(key, value ? "true" : "false"); }
  JsonObject& Set(std::string_view key, int value) { return Set(key, static_cast<int64_t>(value)); }
  JsonObject& Set(std::string_view key, int64_t value) { return SetRaw(key, std::to_string(value)); }
  JsonObject& Set(std::string_view key, uint64_t value) { return SetRaw(key, std::to_string(value)); }
  JsonObject& Set(std::string_view key, double value);
  template <typename T>
  JsonObject& Set(std::string_view key, const std::optional<T>& value) {
    return value ? Set(key, *value) : *this;
  }
  JsonObject& SetRaw(std::string_view key, std::string_view json);
  [[nodiscard]] bool empty() const { return text_.size() == 1; }
  // Returns the complete text. The object must not be used afterwards.
  [[nodiscard]] std::string Take();

 private:
  std::string text_ = "{";
};

class JsonArray {
 public:
  JsonArray& Add(std::string_view value);
  JsonArray& AddRaw(std::string_view json);
  [[nodiscard]] std::string Take();

 private:
  std::string text_ = "[";
};

}  // namespace reeve
