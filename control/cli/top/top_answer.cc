#include "control/cli/top/top_answer.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "control/cli/show/text.h"

namespace reeve {

namespace {

std::string Trimmed(const std::string& text) {
  const size_t begin = text.find_first_not_of(" \t\n");
  if (begin == std::string::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\n") + 1 - begin);
}

Error Wrong(const std::string& why) { return {"invalid_request", why}; }

std::string Quoted(const std::string& text) {
  std::string json;
  AppendJsonString(json, text);
  return json;
}

}  // namespace

TopAnswer::TopAnswer(const std::string& schema) {
  auto json = JsonDocument::Parse(schema);
  if (!json) return;
  const auto required = (*json)["required"].Elements();
  for (const auto& [key, property] : (*json)["properties"].Members()) {
    Field field;
    field.key = key;
    field.label = Plain(property["title"].StringOr(key));
    field.many = property["type"].StringOr("") == "array";
    const JsonValue one = field.many ? property["items"] : property;
    field.type = one["type"].StringOr("string");
    for (const JsonValue& choice : one["enum"].Elements()) field.choices.emplace_back(choice.StringOr(""));
    for (const JsonValue& name : one["enumNames"].Elements()) field.names.push_back(Plain(name.StringOr("")));
    field.required = std::any_of(required.begin(), required.end(),
                                 [&field](const JsonValue& name) { return name.StringOr("") == field.key; });
    fields_.push_back(std::move(field));
  }
}

std::string TopAnswer::prompt() const {
  const Field& field = fields_[next_];
  std::string words;
  for (size_t i = 0; i < field.choices.size(); ++i)
    AddTo(words, ", ", std::to_string(i + 1) + " " + Plain(field.choices[i]));
  if (field.choices.empty() && field.type != "string")
    words = field.type == "boolean" ? "y or n" : field.type;
  if (field.many) AddTo(words, "; ", "separate several with commas");
  return field.label + (words.empty() ? "" : " (" + words + ")");
}

std::string TopAnswer::Describe() const {
  std::string text;
  for (const Field& field : fields_) {
    AddTo(text, "\n", field.label + (field.required ? "" : " (optional)"));
    for (size_t i = 0; i < field.choices.size(); ++i)
      text += "\n  " + std::to_string(i + 1) + "  " +
              (i < field.names.size() ? field.names[i] : Plain(field.choices[i]));
  }
  return text;
}

Result<std::string> TopAnswer::Read(const Field& field, const std::string& typed) {
  if (!field.choices.empty()) {
    size_t number = 0;
    const auto [end, error] = std::from_chars(typed.data(), typed.data() + typed.size(), number);
    const bool whole = error == std::errc() && end == typed.data() + typed.size();
    if (std::find(field.choices.begin(), field.choices.end(), typed) != field.choices.end())
      return Quoted(typed);
    if (whole && number >= 1 && number <= field.choices.size()) return Quoted(field.choices[number - 1]);
    const std::string* found = nullptr;
    for (const std::string& choice : field.choices) {
      if (choice.rfind(typed, 0) != 0) continue;
      if (found) return Wrong("'" + typed + "' matches several choices");
      found = &choice;
    }
    if (!found) return Wrong("'" + typed + "' is none of the choices");
    return Quoted(*found);
  }
  if (field.type == "boolean") {
    if (typed == "y" || typed == "yes" || typed == "true") return std::string("true");
    if (typed == "n" || typed == "no" || typed == "false") return std::string("false");
    return Wrong("answer y or n");
  }
  if (field.type == "number" || field.type == "integer") {
    auto number = JsonDocument::Parse(typed);
    const bool fits = number && (field.type == "number" ? number->root().AsDouble().has_value()
                                                        : number->root().AsInt().has_value());
    if (!fits)
      return Wrong("'" + typed + "' is not " + (field.type == "number" ? "a number" : "a whole number"));
    return typed;
  }
  return Quoted(typed);
}

Status TopAnswer::Give(const std::string& typed) {
  const Field& field = fields_[next_];
  const std::string text = Trimmed(typed);
  if (text.empty()) {
    if (field.required) return Wrong(field.label + " is required");
    ++next_;
    return {};
  }
  if (!field.many) {
    auto value = Read(field, text);
    if (!value) return value.error();
    content_.SetRaw(field.key, *value);
  } else {
    JsonArray values;
    for (size_t at = 0; at <= text.size();) {
      const size_t comma = std::min(text.find(',', at), text.size());
      auto value = Read(field, Trimmed(text.substr(at, comma - at)));
      if (!value) return value.error();
      values.AddRaw(*value);
      at = comma + 1;
    }
    content_.SetRaw(field.key, values.Take());
  }
  ++next_;
  return {};
}

}  // namespace reeve
