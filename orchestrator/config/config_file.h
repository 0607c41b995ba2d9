// ConfigFile: the keys of a TOML file, each with its place, for messages that name it. The only code that
// includes toml++.
#pragma once

#include <string>
#include <vector>

#include "process/result.h"

namespace reeve {

struct ConfigFile {
  struct Place {
    int line = 0;
    int column = 0;
  };
  struct Entry {
    enum class Type { kString, kStrings, kInteger, kOther };
    std::string key;  // at the top level
    Type type = Type::kOther;
    std::string type_name;  // "a boolean", for messages
    std::vector<std::string>
        words;  // for kString one word, for kInteger its digits, for kStrings its elements
    Place key_place;
    Place value_place;
  };
  std::string path;
  std::vector<Entry> entries;  // in the order of the file

  // Error "invalid_config" names the file, and the line and column of a syntax error or a repeated key.
  static Result<ConfigFile> Read(const std::string& path);
  static Result<ConfigFile> Parse(const std::string& text, const std::string& path);

  [[nodiscard]] std::string At(const Place& place) const {
    return path + ":" + std::to_string(place.line) + ":" + std::to_string(place.column);
  }
};

}  // namespace reeve
