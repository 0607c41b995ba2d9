// SpecFields: reads the members of a spec's JSON object into variables, and collects the mistakes. Only
// agent_spec.cc uses it.
#pragma once

#include <algorithm>
#include <array>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "orchestrator/agent/permissions.h"
#include "orchestrator/json/json.h"
#include "process/result.h"

namespace reeve {

// The mistakes of a spec. Reports the first wrong value and all unknown fields.
struct SpecProblems {
  std::vector<std::string> unknown;
  std::string first;

  void Add(const std::string& field, std::string_view reason) {
    if (first.empty()) first = field + ": " + std::string(reason);
  }
  [[nodiscard]] bool any() const { return !unknown.empty() || !first.empty(); }
  [[nodiscard]] Error ToError() const {
    if (unknown.empty()) return {"invalid_request", first};
    constexpr size_t kNamed = 20;
    std::string names;
    for (size_t i = 0; i < std::min(unknown.size(), kNamed); ++i) names += (i == 0 ? "" : ", ") + unknown[i];
    if (unknown.size() > kNamed) names += " and " + std::to_string(unknown.size() - kNamed) + " more";
    return {"invalid_request", "unknown field " + names};
  }
};

// Reads the members of one object into variables. A variable keeps its value if its member is absent or null.
class SpecFields {
 public:
  // Linux takes no argument or variable beyond 128 KiB with its NUL (execve(2), "Limits on size of arguments
  // and environment"). Their sum is limited by the request's size, and the kernel refuses what it does not
  // take.
  static constexpr size_t kMaxArgumentBytes = (size_t{128} << 10) - 1;
  static constexpr size_t kMaxRules = 256;  // every rule is compared with every call
  static constexpr size_t kMaxRuleBytes = 4096;

  SpecFields(JsonValue json, std::string path, SpecProblems& problems)
      : json_(json), path_(std::move(path)), problems_(problems) {}

  // Every member must be one of `known`. `later` are fields of the API that this version does not support
  // yet.
  void Only(std::initializer_list<std::string_view> known,
            std::initializer_list<std::string_view> later = {}) {
    for (const JsonValue::Member& member : json_.Members()) {
      auto is_it = [&member](std::string_view name) { return name == member.key; };
      if (std::any_of(known.begin(), known.end(), is_it)) continue;
      if (std::none_of(later.begin(), later.end(), is_it)) {
        problems_.unknown.push_back(Path(member.key));
      } else if (!member.value.Is(JsonType::kNull)) {
        problems_.Add(Path(member.key), "not supported in this version");
      }
    }
  }

  // The member is absent if it is null.
  [[nodiscard]] JsonValue Get(std::string_view name) const {
    JsonValue value = json_[name];
    return value.Is(JsonType::kNull) ? JsonValue() : value;
  }
  void Fail(std::string_view name, std::string_view reason) { problems_.Add(Path(name), reason); }

  void String(std::string_view name, size_t max_bytes, std::string& out) {
    if (JsonValue value = Get(name)) Text(Path(name), value, max_bytes, out);
  }
  void Int(std::string_view name, int64_t min, int64_t max, int64_t& out) {
    JsonValue value = Get(name);
    if (!value) return;
    std::optional<int64_t> number = value.AsInt();
    if (number && *number >= min && *number <= max) {
      out = *number;
    } else {
      Fail(name, "must be a whole number from " + std::to_string(min) + " to " + std::to_string(max));
    }
  }
  void Number(std::string_view name, double min, double max, double& out) {
    JsonValue value = Get(name);
    if (!value) return;
    std::optional<double> number = value.AsDouble();
    if (!number || !(*number >= min && *number <= max))
      return Fail(name, "must be a number that is not negative");
    out = *number;
  }
  void Bool(std::string_view name, bool& out) {
    JsonValue value = Get(name);
    if (!value) return;
    if (!value.AsBool()) return Fail(name, "must be true or false");
    out = *value.AsBool();
  }
  template <typename Enum, size_t N>
  void Choice(std::string_view name, const std::array<const char*, N>& words, Enum& out) {
    JsonValue value = Get(name);
    if (!value) return;
    auto word = std::find(words.begin(), words.end(), value.StringOr(""));
    if (word != words.end()) {
      out = static_cast<Enum>(word - words.begin());
    } else {
      std::string list;
      for (const char* choice : words) list += (list.empty() ? "" : ", ") + std::string(choice);
      Fail(name, "must be one of " + list);
    }
  }
  void List(std::string_view name, std::vector<std::string>& out) {
    JsonValue value = Get(name);
    if (!value) return;
    if (!value.Is(JsonType::kArray)) return Fail(name, "must be an array of strings");
    if (value.size() == 0) return Fail(name, "must not be empty");
    for (JsonValue element : value.Elements()) {
      out.emplace_back();
      Text(Path(name) + "[" + std::to_string(out.size() - 1) + "]", element, kMaxArgumentBytes, out.back());
    }
    if (out.front().empty()) Fail(name, "its program must not be empty");
  }
  void Rules(std::string_view name, std::vector<PermissionRule>& out) {
    JsonValue value = Get(name);
    if (!value) return;
    if (!value.Is(JsonType::kArray)) return Fail(name, "must be an array of rules");
    if (value.size() > kMaxRules) return Fail(name, "has more than " + std::to_string(kMaxRules) + " rules");
    for (JsonValue element : value.Elements()) {
      const std::string path = Path(name) + "[" + std::to_string(out.size()) + "]";
      std::string text;
      Text(path, element, kMaxRuleBytes, text);
      auto rule = PermissionRule::Parse(text);
      if (!rule) problems_.Add(path, rule.error().message);
      out.push_back(rule ? std::move(*rule) : PermissionRule{});
    }
  }
  // Reads an object of strings. `check` returns the mistake in a name, or nullptr.
  void Map(std::string_view name, size_t max_members, size_t max_bytes,
           const char* (*check)(std::string_view), std::map<std::string, std::string>& out) {
    SpecFields members = Object(name);
    if (members.json_.size() > max_members) return Fail(name, "has more than " + std::to_string(max_members));
    for (const JsonValue::Member& member : members.json_.Members()) {
      if (const char* wrong = check(member.key)) members.Fail(member.key, wrong);
      members.Text(members.Path(member.key), member.value, max_bytes, out[std::string(member.key)]);
    }
  }
  [[nodiscard]] SpecFields Object(std::string_view name) {
    JsonValue value = Get(name);
    if (value && !value.Is(JsonType::kObject)) Fail(name, "must be an object");
    return {value, Path(name) + ".", problems_};
  }

 private:
  // For messages: a name from outside, cut to a readable length.
  [[nodiscard]] std::string Path(std::string_view name) const {
    return path_ + std::string(name.substr(0, 64));
  }

  void Text(const std::string& path, JsonValue value, size_t max_bytes, std::string& out) {
    std::optional<std::string_view> text = value.AsString();
    if (!text) return problems_.Add(path, "must be a string");
    if (text->size() > max_bytes)
      return problems_.Add(path, "is longer than " + std::to_string(max_bytes) + " bytes");
    if (text->find('\0') != std::string_view::npos) return problems_.Add(path, "contains a NUL character");
    out = *text;
  }

  JsonValue json_;
  std::string path_;
  SpecProblems& problems_;
};

}  // namespace reeve
