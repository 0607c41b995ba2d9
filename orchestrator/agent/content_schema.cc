#include "orchestrator/agent/content_schema.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "process/clock.h"

namespace reeve {

namespace {

constexpr size_t kShownBytes = 64;  // of a name or a choice in an error

std::string Shown(std::string_view text) {
  return std::string(text.substr(0, kShownBytes)) + (text.size() > kShownBytes ? "…" : "");
}

bool HasType(const JsonValue& value, std::string_view type) {
  if (type == "string") return value.Is(JsonType::kString);
  if (type == "boolean") return value.Is(JsonType::kBool);
  if (type == "number") return value.Is(JsonType::kNumber);
  if (type == "integer") {
    const auto number = value.AsDouble();
    return value.Is(JsonType::kNumber) && number && std::floor(*number) == *number;
  }
  if (type == "array") return value.Is(JsonType::kArray);
  if (type == "object") return value.Is(JsonType::kObject);
  if (type == "null") return value.Is(JsonType::kNull);
  return true;
}

std::string WhyNotType(const JsonValue& type, const JsonValue& value) {
  std::vector<std::string> names;
  if (auto one = type.AsString()) names.emplace_back(*one);
  for (const JsonValue& one : type.Elements()) names.emplace_back(one.StringOr(""));
  auto fits = [&value](const std::string& name) { return HasType(value, name); };
  if (names.empty() || std::any_of(names.begin(), names.end(), fits)) return {};
  std::string list;
  for (const std::string& name : names) list.append(list.empty() ? "" : " or ").append(Shown(name));
  return std::string("must be of type ").append(list);
}

// Texts are compared as texts, because they may be escaped in several ways.
bool Same(const JsonValue& left, const JsonValue& right) {
  if (left.AsString() || right.AsString()) return left.AsString() == right.AsString();
  if (left.AsDouble() && right.AsDouble()) return *left.AsDouble() == *right.AsDouble();
  return left.Raw() == right.Raw();
}

// The choices are in `enum`, or each is the `const` of an element of `oneOf` or `anyOf`.
std::string WhyNotChoice(const JsonValue& schema, const JsonValue& value) {
  std::vector<JsonValue> choices = schema["enum"].Elements();
  for (const char* list : {"oneOf", "anyOf"}) {
    for (const JsonValue& one : schema[list].Elements()) {
      if (one["const"]) choices.push_back(one["const"]);
    }
  }
  if (schema["const"]) choices.push_back(schema["const"]);
  auto is_it = [&value](const JsonValue& choice) { return Same(choice, value); };
  if (choices.empty() || std::any_of(choices.begin(), choices.end(), is_it)) return {};
  constexpr size_t kNamed = 8;
  std::string names;
  for (size_t i = 0; i < std::min(choices.size(), kNamed); ++i) {
    names += (i == 0 ? "" : ", ") +
             Shown(choices[i].AsString() ? std::string(*choices[i].AsString()) : choices[i].Raw());
  }
  return "must be one of " + names + (choices.size() > kNamed ? ", …" : "");
}

int64_t Characters(std::string_view text) {
  return std::count_if(text.begin(), text.end(),
                       [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; });
}

bool IsDate(std::string_view text) {
  std::string midnight(text);
  midnight.append("T00:00:00Z");  // ParseTime takes whole times only
  return ParseTime(midnight).has_value();
}

std::string WhyNotFormat(std::string_view format, std::string_view text) {
  if (format == "date" && !IsDate(text)) return "must be a date such as 2026-01-31";
  if (format == "date-time" && (text.size() < 11 || !ParseTime(std::string(text))))
    return "must be a time such as 2026-01-31T07:00:00Z (RFC 3339)";
  if (format == "email") {
    const size_t at = text.rfind('@');
    if (at == std::string_view::npos || at == 0 || at + 1 == text.size() ||
        text.find(' ') != std::string_view::npos)
      return "must be an email address";
  }
  if (format == "uri") {  // RFC 3986, section 3: a scheme comes first
    const size_t colon = text.find(':');
    auto of_scheme = [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+' ||
             c == '-' || c == '.';
    };
    if (colon == std::string_view::npos || colon == 0 || text.find(' ') != std::string_view::npos ||
        !std::all_of(text.begin(), text.begin() + static_cast<long>(colon), of_scheme))
      return "must be a URI";
  }
  return {};
}

// "must have at least 2 characters"
std::string Amount(const char* bound, int64_t amount, const char* what) {
  std::string text = "must have ";
  return text.append(bound).append(" ").append(std::to_string(amount)).append(" ").append(what);
}

std::string WhyNotText(const JsonValue& schema, std::string_view text) {
  const int64_t length = Characters(text);
  if (auto least = schema["minLength"].AsInt(); least && length < *least)
    return Amount("at least", *least, "characters");
  if (auto most = schema["maxLength"].AsInt(); most && length > *most)
    return Amount("at most", *most, "characters");
  return WhyNotFormat(schema["format"].StringOr(""), text);
}

std::string WhyNotNumber(const JsonValue& schema, double number) {
  auto bound = [&schema](const char* name) { return schema[name].AsDouble(); };
  if (auto least = bound("minimum"); least && number < *least)
    return "must be at least " + schema["minimum"].Raw();
  if (auto most = bound("maximum"); most && number > *most)
    return "must be at most " + schema["maximum"].Raw();
  if (auto below = bound("exclusiveMinimum"); below && number <= *below)
    return "must be more than " + schema["exclusiveMinimum"].Raw();
  if (auto above = bound("exclusiveMaximum"); above && number >= *above)
    return "must be less than " + schema["exclusiveMaximum"].Raw();
  return {};
}

// An empty text: the value fits.
std::string WhyNotValue(const JsonValue& schema, const JsonValue& value, Choices choices) {
  if (std::string wrong = WhyNotType(schema["type"], value); !wrong.empty()) return wrong;
  if (choices == Choices::kBinding) {
    if (std::string wrong = WhyNotChoice(schema, value); !wrong.empty()) return wrong;
  }
  if (auto text = value.AsString()) return WhyNotText(schema, *text);
  if (value.Is(JsonType::kNumber) && value.AsDouble()) return WhyNotNumber(schema, *value.AsDouble());
  if (!value.Is(JsonType::kArray)) return {};
  const auto size = static_cast<int64_t>(value.size());
  if (auto least = schema["minItems"].AsInt(); least && size < *least)
    return Amount("at least", *least, "elements");
  if (auto most = schema["maxItems"].AsInt(); most && size > *most)
    return Amount("at most", *most, "elements");
  size_t index = 0;
  for (const JsonValue& element : value.Elements()) {
    if (std::string wrong = WhyNotValue(schema["items"], element, choices); !wrong.empty())
      return std::string("its element ").append(std::to_string(index)).append(" ").append(wrong);
    ++index;
  }
  return {};
}

}  // namespace

Status CheckContent(const JsonValue& schema, const JsonValue& content, Choices choices) {
  auto wrong = [](std::string_view field, const std::string& reason) {
    return Error{"invalid_request", "content." + Shown(field) + ": " + reason};
  };
  if (!content.Is(JsonType::kObject)) return Error{"invalid_request", "content: must be an object"};
  const JsonValue properties = schema["properties"];
  if (properties.size() == 0 && schema["required"].size() == 0) return {};
  for (const JsonValue& name : schema["required"].Elements()) {
    const std::string_view field = name.StringOr("");
    if (!content[field]) return wrong(field, "is required");
  }
  for (const JsonValue::Member& member : content.Members()) {
    const JsonValue property = properties[member.key];
    if (!property) {
      if (schema["additionalProperties"].AsBool().value_or(false)) continue;
      return wrong(member.key, "is not in the question's schema");
    }
    if (std::string reason = WhyNotValue(property, member.value, choices); !reason.empty())
      return wrong(member.key, reason);
  }
  return {};
}

}  // namespace reeve
