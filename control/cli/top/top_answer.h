// TopAnswer: the answer to an elicitation, typed field by field. The elicitation's schema (Model Context
// Protocol) is an object of strings, numbers, booleans, choices and lists of these.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "orchestrator/json/json.h"
#include "process/result.h"

namespace reeve {

class TopAnswer {
 public:
  explicit TopAnswer(const std::string& schema);

  [[nodiscard]] bool complete() const { return next_ == fields_.size(); }
  // For the next field: "Colour (1 red, 2 blue)".
  [[nodiscard]] std::string prompt() const;
  // All fields and their choices, a line each.
  [[nodiscard]] std::string Describe() const;
  // Takes the typed value of the next field; for a choice its word, a unique beginning or its number. Error
  // "invalid_request": the value does not fit the field.
  Status Give(const std::string& typed);
  // The answer as JSON, once it is complete.
  [[nodiscard]] std::string content() const { return JsonObject(content_).Take(); }

 private:
  struct Field {
    std::string key, label, type;
    std::vector<std::string> choices;
    std::vector<std::string> names;  // of the choices, for display
    bool many = false;
    bool required = false;
  };
  // The JSON of one value.
  static Result<std::string> Read(const Field& field, const std::string& typed);

  std::vector<Field> fields_;
  size_t next_ = 0;
  JsonObject content_;
};

}  // namespace reeve
