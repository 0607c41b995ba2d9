#include "orchestrator/config/config_file.h"

#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "orchestrator/store/data_folder.h"

namespace reeve {

namespace {

ConfigFile::Place PlaceOf(const toml::source_region& region) {
  return {static_cast<int>(region.begin.line), static_cast<int>(region.begin.column)};
}

const char* NameOfType(toml::node_type type) {
  switch (type) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "an array";
    case toml::node_type::string:
      return "a string";
    case toml::node_type::integer:
      return "an integer";
    case toml::node_type::floating_point:
      return "a float";
    case toml::node_type::boolean:
      return "a boolean";
    case toml::node_type::date:
    case toml::node_type::time:
    case toml::node_type::date_time:
      return "a date or time";
    case toml::node_type::none:
      break;
  }
  return "nothing";
}

ConfigFile::Entry Read(const toml::key& key, const toml::node& value) {
  using Type = ConfigFile::Entry::Type;
  ConfigFile::Entry entry;
  entry.key = key.str();
  entry.key_place = PlaceOf(key.source());
  entry.value_place = PlaceOf(value.source());
  entry.type_name = NameOfType(value.type());
  if (const auto* text = value.as_string()) {
    entry.type = Type::kString;
    entry.words = {text->get()};
  } else if (const auto* number = value.as_integer()) {
    entry.type = Type::kInteger;
    entry.words = {std::to_string(number->get())};
  } else if (const auto* array = value.as_array()) {
    entry.type = Type::kStrings;
    for (const toml::node& element : *array) {
      if (!element.is_string()) {
        entry.type = Type::kOther;
        entry.type_name = std::string("an array with ") + NameOfType(element.type()) + " in it";
        entry.value_place = PlaceOf(element.source());
        break;
      }
      entry.words.push_back(element.as_string()->get());
    }
  }
  return entry;
}

}  // namespace

Result<ConfigFile> ConfigFile::Parse(const std::string& text, const std::string& path) {
  ConfigFile file;
  file.path = path;
  const toml::parse_result parsed = toml::parse(text);
  if (!parsed) {
    const toml::parse_error& error = parsed.error();
    return Error{"invalid_config",
                 file.At(PlaceOf(error.source())) + ": " + std::string(error.description())};
  }
  for (auto&& [key, value] : parsed.table()) file.entries.push_back(reeve::Read(key, value));
  std::sort(file.entries.begin(), file.entries.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.key_place.line, a.key_place.column) < std::pair(b.key_place.line, b.key_place.column);
  });
  return file;
}

Result<ConfigFile> ConfigFile::Read(const std::string& path) {
  std::error_code none;
  // A reload would find the pipe empty, or block on it.
  if (std::filesystem::is_fifo(path, none))
    return Error{"invalid_config",
                 "read " + path + ": a pipe can be read only once, but a reload reads it again"};
  auto text = ReadConfigFile(path);
  if (!text) return Error{"invalid_config", text.error().message};
  return Parse(*text, path);
}

}  // namespace reeve
