// Room json/: reading and writing JSON.
//
// JSON: the only door to RapidJSON, and safe for what comes from outside: NUL bytes refused, iterative
// parsing (deep input cannot overflow the stack), valid UTF-8 demanded, numbers kept as their text, depth
// limited. Half a UTF-16 pair written as an escape, which programs that cut strings in JavaScript produce,
// reads as U+FFFD. A number beyond the range of a double is refused, as RFC 8259 section 6 allows.
//
//   JsonDocument::Parse  →  reads: JsonValue, a cheap view into the document
//   JsonObject, JsonArray →  writes: text, appended to as you go
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "process/result.h"

namespace reeve {

// Deeper than any agent's output seen; the limit exists so that nobody downstream recurses for ever.
inline constexpr int kMaxJsonDepth = 64;
// Of a line that becomes an event: the envelope around it is to be readable too.
inline constexpr int kMaxLineDepth = kMaxJsonDepth - 4;

enum class JsonType : uint8_t { kNull, kBool, kNumber, kString, kArray, kObject };

class JsonDocument;
struct JsonTree;  // what a document holds; its address stays when the document moves

// A value of a document, or "absent", which every read of a missing member gives: chains need no checks. Good
// as long as the document (and the text it was parsed from, for Raw).
class JsonValue {
 public:
  JsonValue() = default;

  [[nodiscard]] bool present() const { return tree_ != nullptr; }
  explicit operator bool() const { return present(); }
  [[nodiscard]] bool Is(JsonType type) const;

  // Member `key` of an object, element `index` of an array; absent when it is not there or not one. Of
  // repeated members the last.
  [[nodiscard]] JsonValue operator[](std::string_view key) const;
  [[nodiscard]] JsonValue operator[](const char* key) const { return (*this)[std::string_view(key)]; }
  [[nodiscard]] JsonValue At(size_t index) const;
  [[nodiscard]] size_t size() const;  // members or elements; 0 for the rest

  // The value where it has that type and fits, else nothing / the default.
  [[nodiscard]] std::optional<std::string_view> AsString() const;
  [[nodiscard]] std::optional<int64_t> AsInt() const;  // whole numbers only; 2.0 is one
  [[nodiscard]] std::optional<double> AsDouble() const;
  [[nodiscard]] std::optional<bool> AsBool() const;
  [[nodiscard]] std::string_view StringOr(std::string_view otherwise) const;

  // The value's own text, as it stood in the input, "null" when absent. Whitespace between tokens is kept,
  // but for line ends, which become spaces: the text always fits one line.
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
  // Error "invalid_json": the reason and the offset. `text` is copied.
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

// One JSON object of a line, looked at without building a document: the fast way for a `jsonl` child.
struct JsonLine {
  std::string_view type;  // its top-level string member "type", if that has no escapes; else empty
  size_t type_begin = 0;  // the bytes of the member `"type":"…"` with one comma: cut them and the rest is
  size_t type_end = 0;    // still an object. Both 0 without a type.
};
// Error "invalid_json" unless `line` is one valid JSON object without line ends, no deeper than
// kMaxLineDepth: what passes can go into a frame as it is. A "type" that is there twice, in whatever
// spelling, is none.
Result<JsonLine> ScanJsonObject(std::string_view line);

// Appends `text` quoted and escaped (RFC 8259 section 7). Bytes that are not UTF-8 become U+FFFD.
void AppendJsonString(std::string& out, std::string_view text);
bool IsUtf8(std::string_view text);
// RFC 4648 section 4, for bytes that are not UTF-8.
std::string Base64(std::string_view bytes);
std::optional<std::string> FromBase64(std::string_view text);

// What `patch` makes of `target` by RFC 7396 (JSON Merge Patch).
std::string MergePatch(const JsonValue& target, const JsonValue& patch);

// Writes an object: JsonObject().Set("a", 1).Set("b", "x").Take(). Set with an optional that is empty, and
// SetRaw with an empty text, write nothing.
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
  // The text, closed. The object is spent.
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
