// TopAnswer: the answer to what an agent wants to know, typed field by field. What it wants is the schema of
// an elicitation (the Model Context Protocol's: an object of strings, numbers, booleans, choices, and lists
// of those).
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
  // What is asked for next: "Colour (1 red, 2 blue)".
  [[nodiscard]] std::string prompt() const;
  // All that is asked for, a line each, for a person who reads first.
  [[nodiscard]] std::string Describe() const;
  // Takes what was typed for it; of choices the word, its beginning or its number. Error "invalid_request":
  // why that is no answer.
  Status Give(const std::string& typed);
  // JSON, once it is complete.
  [[nodiscard]] std::string content() const { return JsonObject(content_).Take(); }

 private:
  struct Field {
    std::string key, label, type;
    std::vector<std::string> choices;
    std::vector<std::string> names;  // of the choices, for people
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
