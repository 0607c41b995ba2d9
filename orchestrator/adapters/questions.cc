#include "orchestrator/adapters/questions.h"

namespace reeve {

namespace {

void SetChoice(JsonObject& schema, const JsonValue& options) {
  schema.Set("type", "string");
  if (options.size() == 0) return;
  JsonArray labels, names;
  for (const JsonValue& option : options.Elements()) {
    const std::string_view label = option["label"].StringOr("");
    const std::string_view description = option["description"].StringOr("");
    labels.Add(label);
    names.Add(description.empty() ? std::string(label) : std::string(label).append(": ").append(description));
  }
  schema.SetRaw("enum", labels.Take()).SetRaw("enumNames", names.Take());
}

}  // namespace

std::string QuestionMessage(const JsonValue& questions) {
  std::string message;
  for (const JsonValue& question : questions.Elements()) {
    if (!message.empty()) message += '\n';
    message += question["question"].StringOr("");
  }
  return message;
}

std::string QuestionSchema(const JsonValue& questions, std::string_view multiple) {
  JsonObject properties;
  JsonArray required;
  for (const JsonValue& question : questions.Elements()) {
    const std::string_view name = question["question"].StringOr("");
    JsonObject property;
    if (const std::string_view header = question["header"].StringOr(""); !header.empty()) {
      property.Set("title", header);
    }
    if (question[multiple].AsBool().value_or(false)) {
      JsonObject items;
      SetChoice(items, question["options"]);
      property.Set("type", "array").SetRaw("items", items.Take());
    } else {
      SetChoice(property, question["options"]);
    }
    properties.SetRaw(name, property.Take());
    required.Add(name);
  }
  return JsonObject()
      .Set("type", "object")
      .SetRaw("properties", properties.Take())
      .SetRaw("required", required.Take())
      .Take();
}

std::vector<std::string> QuestionAnswers(const JsonValue& question, const JsonValue& content) {
  const JsonValue answer = content[question["question"].StringOr("")];
  if (auto one = answer.AsString()) return {std::string(*one)};
  std::vector<std::string> all;
  for (const JsonValue& one : answer.Elements()) {
    if (auto text = one.AsString()) all.emplace_back(*text);
  }
  return all;
}

}  // namespace reeve
