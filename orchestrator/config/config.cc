#include "orchestrator/config/config.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <limits>
#include <optional>
#include <utility>

#include "orchestrator/config/closest_match.h"
#include "orchestrator/config/config_file.h"
#include "orchestrator/config/units.h"
#include "orchestrator/json/json.h"

namespace reeve {

namespace {

using Words = std::vector<std::string>;
using SettingType = Setting::Type;

constexpr std::string_view kPrefix = "REEVE_";

bool IsNumber(const Setting& setting) {
  return setting.type == SettingType::kDuration || setting.type == SettingType::kSize;
}

std::string ShowNumber(const Setting& setting, int64_t number) {
  return setting.type == SettingType::kDuration ? FormatDuration(number) : FormatSize(number);
}

std::string Quoted(std::string_view text) {
  std::string out;
  AppendJsonString(out, text);  // TOML's basic strings know the same escapes
  return out;
}

std::string WhyNotNumber(const Setting& setting, const std::string& word, int64_t& number) {
  auto parsed = setting.type == SettingType::kDuration ? ParseDuration(word) : ParseSize(word);
  if (!parsed) return parsed.error().message;
  number = *parsed;
  if (number >= setting.least && number <= setting.most) return {};
  const std::string least = ShowNumber(setting, setting.least);
  if (setting.most == std::numeric_limits<int64_t>::max()) return "must be at least " + least;
  return "must be from " + least + " to " + ShowNumber(setting, setting.most);
}

std::string WhyNotWord(const Setting& setting, const std::string& word) {
  if (std::any_of(word.begin(), word.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; })) {
    return "contains a control character";
  }
  const char* wrong = setting.check ? setting.check(word) : nullptr;
  return wrong ? Quoted(word) + " " + wrong : "";
}

// Puts `words` into the setting's field. Returns what is wrong with them, or an empty text.
std::string Assign(const Setting& setting, const Words& words, Config& config) {
  if (IsNumber(setting)) {
    int64_t number = 0;
    std::string wrong = WhyNotNumber(setting, words.at(0), number);
    if (wrong.empty()) config.*std::get<int64_t Config::*>(setting.field) = number;
    return wrong;
  }
  for (const std::string& word : words) {
    if (std::string wrong = WhyNotWord(setting, word); !wrong.empty()) return wrong;
  }
  if (setting.type == SettingType::kList) {
    if (words.size() < static_cast<size_t>(setting.least)) return "must name at least one";
    if (words.size() > static_cast<size_t>(setting.most))
      return "may name " + std::to_string(setting.most) + " at most";
    config.*std::get<Words Config::*>(setting.field) = words;
    return {};
  }
  const std::string& word = words.at(0);
  if (word.size() < static_cast<size_t>(setting.least)) return "must not be empty";
  if (word.size() > static_cast<size_t>(setting.most)) {
    return "longer than " + std::to_string(setting.most) + " characters";
  }
  auto same = [&word](const char* choice) { return word == choice; };
  if (setting.type == SettingType::kChoice &&
      std::none_of(setting.choices.begin(), setting.choices.end(), same)) {
    std::string choices;
    for (const char* choice : setting.choices) choices += (choices.empty() ? "" : ", ") + std::string(choice);
    return "must be one of " + choices;
  }
  config.*std::get<std::string Config::*>(setting.field) = word;
  return {};
}

std::string Expected(const Setting& setting) {
  switch (setting.type) {
    case SettingType::kText:
    case SettingType::kChoice:
      return "a string";
    case SettingType::kList:
      return "an array of strings";
    case SettingType::kDuration:
      return "a duration as a string, \"30s\"";
    case SettingType::kSize:
      return "a size, 4096 or \"16MiB\"";
  }
  return {};
}

bool Takes(const Setting& setting, ConfigFile::Entry::Type type) {
  using Found = ConfigFile::Entry::Type;
  return type == Found::kString || (type == Found::kStrings && setting.type == SettingType::kList) ||
         (type == Found::kInteger && setting.type == SettingType::kSize);
}

Status TakeFile(const ConfigFile& file, LoadedConfig& loaded) {
  Words known;
  for (const Setting& setting : Settings()) known.emplace_back(setting.key);
  for (const ConfigFile::Entry& entry : file.entries) {
    auto setting = std::find_if(Settings().begin(), Settings().end(),
                                [&entry](const Setting& one) { return entry.key == one.key; });
    if (setting == Settings().end()) {
      const std::string meant = ClosestMatch(entry.key, known, std::max<size_t>(2, entry.key.size() / 3));
      return Error{"invalid_config", file.At(entry.key_place) + ": " + entry.key + ": unknown key" +
                                         (meant.empty() ? "" : "; did you mean " + meant + "?")};
    }
    const std::string wrong = Takes(*setting, entry.type)
                                  ? Assign(*setting, entry.words, loaded.config)
                                  : "expected " + Expected(*setting) + ", but this is " + entry.type_name;
    if (!wrong.empty()) {
      return Error{"invalid_config", file.At(entry.value_place) + ": " + entry.key + ": " + wrong};
    }
    loaded.origins[entry.key] = file.path + ":" + std::to_string(entry.key_place.line);
  }
  return {};
}

// The words of a setting; those of a list are separated by commas.
Words Split(const Setting& setting, const std::string& text) {
  if (setting.type != SettingType::kList) return {text};
  Words words;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(',', at), text.size());
    std::string word = text.substr(at, end - at);
    word.erase(0, word.find_first_not_of(' '));
    word.erase(word.find_last_not_of(' ') + 1);
    if (!word.empty()) words.push_back(std::move(word));
    at = end + 1;
  }
  return words;
}

Status TakeEnvironment(const std::map<std::string, std::string>& environment, LoadedConfig& loaded) {
  // The variables of other commands, and those that mark an agent's processes.
  const Words others = {"REEVE_TOKEN",   "REEVE_TOKEN_FILE", "REEVE_SERVER", "REEVE_AGENT_ID",
                        "REEVE_TOWN_ID", "REEVE_TREE",       "REEVE_BESIDE", "REEVE_FILES"};
  Words known;
  for (const Setting& setting : Settings()) {
    if (setting.variable.empty()) continue;
    known.push_back(setting.variable);
    auto value = environment.find(setting.variable);
    if (value == environment.end() || value->second.empty()) continue;
    const std::string wrong = Assign(setting, Split(setting, value->second), loaded.config);
    if (!wrong.empty()) {
      return Error{"invalid_config", setting.variable + ": " + setting.key + ": " + wrong};
    }
    loaded.origins[setting.key] = setting.variable;
  }
  for (const auto& [name, value] : environment) {
    if (std::find(others.begin(), others.end(), name) != others.end()) continue;
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    const std::string meant = ClosestMatch(name, known, 2);
    if (meant.empty()) continue;
    loaded.warnings.push_back(
        std::string(name).append(" is not the variable of a setting; ").append(meant).append(" is"));
  }
  return {};
}

Status TakeFlags(const std::map<std::string, Words>& flags, LoadedConfig& loaded) {
  for (const Setting& setting : Settings()) {
    auto words = flags.find(setting.key);
    if (words == flags.end() || words->second.empty()) continue;
    const std::string wrong = Assign(setting, words->second, loaded.config);
    if (!wrong.empty()) return Error{"invalid_request", std::string(setting.flag) + ": " + wrong};
    loaded.origins[setting.key] = setting.flag;
  }
  return {};
}

}  // namespace

std::string ShowSetting(const Setting& setting, const Config& config) {
  if (IsNumber(setting)) {
    return Quoted(ShowNumber(setting, config.*std::get<int64_t Config::*>(setting.field)));
  }
  if (setting.type != SettingType::kList)
    return Quoted(config.*std::get<std::string Config::*>(setting.field));
  std::string list;
  for (const std::string& word : config.*std::get<Words Config::*>(setting.field)) {
    list += (list.empty() ? "" : ", ") + Quoted(word);
  }
  return "[" + list + "]";
}

std::string DefaultConfigFile() {
  if (geteuid() == 0) return "/etc/reeve/config.toml";
  if (const char* folder = std::getenv("XDG_CONFIG_HOME"); folder && *folder == '/') {
    return std::string(folder) + "/reeve/config.toml";
  }
  const char* home = std::getenv("HOME");
  return std::string(home ? home : "") + "/.config/reeve/config.toml";
}

Result<LoadedConfig> LoadConfig(const ConfigSources& sources) {
  LoadedConfig loaded;
  for (const Setting& setting : Settings()) loaded.origins[setting.key] = "default";
  const std::string path = sources.file.empty() ? sources.default_file : sources.file;
  if (!sources.file.empty() || access(path.c_str(), F_OK) == 0) {
    auto file = ConfigFile::Read(path);
    if (!file) return file.error();
    loaded.file = path;
    if (Status taken = TakeFile(*file, loaded); !taken) return taken.error();
  }
  if (Status taken = TakeEnvironment(sources.environment, loaded); !taken) return taken.error();
  if (Status taken = TakeFlags(sources.flags, loaded); !taken) return taken.error();
  return loaded;
}

std::string DescribeConfig(const LoadedConfig& loaded) {
  std::string text;
  for (const Setting& setting : Settings()) {
    text += std::string(setting.key) + " = " + ShowSetting(setting, loaded.config) + "  # " +
            loaded.origins.at(setting.key) + "\n";
  }
  return text;
}

ConfigChange TakeReloadable(const Config& loaded, Config& running) {
  ConfigChange change;
  for (const Setting& setting : Settings()) {
    if (ShowSetting(setting, loaded) == ShowSetting(setting, running)) continue;
    (setting.reloads ? change.applied : change.needs_restart).emplace_back(setting.key);
    if (!setting.reloads) continue;
    std::visit([&loaded, &running](auto field) { running.*field = loaded.*field; }, setting.field);
  }
  return change;
}

std::string ConfiguredDataDir() {
  // If the file is wrong, the daemon reports it, not this function.
  auto loaded = LoadConfig({"", ReeveEnvironment(), {}});
  return loaded ? loaded->config.data : DefaultDataDir();
}

std::map<std::string, std::string> ReeveEnvironment() {
  std::map<std::string, std::string> found;
  for (char** entry = environ; entry && *entry; ++entry) {
    const std::string_view variable = *entry;
    const size_t equals = variable.find('=');
    if (variable.substr(0, kPrefix.size()) != kPrefix || equals == std::string_view::npos) continue;
    found.emplace(variable.substr(0, equals), variable.substr(equals + 1));
  }
  return found;
}

}  // namespace reeve
