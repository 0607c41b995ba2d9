// Room config/: the settings of the daemon, where they come from, and the units they are written in.
//
// Config: the settings of `reeve serve`. A setting comes from the strongest source that names it: its flag,
// else the environment (REEVE_<KEY>), else the file, else its default. Settings() is the one table of them;
// flags, variables, keys, --help, --check-config and CONFIG.md are made from it.
//
// All types here are values.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "orchestrator/store/data_folder.h"
#include "process/result.h"

namespace reeve {

struct Config {
  std::vector<std::string> listen = {"tcp://127.0.0.1:8080"};
  std::string data = DefaultDataDir();
  std::string token_file;
  std::string town = "town";
  std::string base_path;
  std::vector<std::string> allowed_hosts;
  std::vector<std::string> allowed_origins;
  std::string log_level = "info";
  std::string fsync = "interval";
  int64_t segment_bytes = int64_t{16} << 20;
  int64_t retain_bytes = int64_t{1} << 30;
  int64_t retain_age_ms = 0;
  int64_t heartbeat_ms = 15'000;
  int64_t stall_timeout_ms = 600'000;
  int64_t drain_timeout_ms = 10'000;
  int64_t orphan_timeout_ms = 60'000;
  int64_t restart_delay_ms = 5'000;
  std::vector<std::string> workspace_protocols = {"https", "ssh"};
  int64_t workspace_timeout_ms = 300'000;
  std::string workspace_wip = "off";
  std::string git_credentials;
};

struct Setting {
  enum class Type { kText, kList, kChoice, kDuration, kSize };
  using Field = std::variant<std::string Config::*, std::vector<std::string> Config::*, int64_t Config::*>;

  const char* key;   // in the file
  const char* flag;  // of a list: given once for each element
  Type type;
  Field field;
  int64_t least, most;  // milliseconds, bytes, elements or characters
  bool reloads;         // false: a change needs a restart
  const char* help;
  std::string variable = {};                         // empty: there is no variable
  std::vector<const char*> choices = {};             // of kChoice
  const char* (*check)(std::string_view) = nullptr;  // returns the error in a word, or null
  const char* default_words = nullptr;               // describes a default that depends on the machine
  const char* value_name = nullptr;  // name of the value in --help; null: named after the type
};
const std::vector<Setting>& Settings();

// The value as it is written in a file: "15s" in quotes, ["a", "b"].
std::string ShowSetting(const Setting& setting, const Config& config);

// /etc/reeve/config.toml for root, else $XDG_CONFIG_HOME/reeve/config.toml, else ~/.config/reeve/config.toml.
std::string DefaultConfigFile();
// Describes that path to a person.
inline constexpr const char* kDefaultConfigWords =
    "/etc/reeve/config.toml for root, else ~/.config/reeve/config.toml, if it is there";

struct ConfigSources {
  std::string file;                                       // must exist; empty: the default file, if it exists
  std::map<std::string, std::string> environment;         // the variables that begin with REEVE_
  std::map<std::string, std::vector<std::string>> flags;  // by key
  std::string default_file = DefaultConfigFile();
};

struct LoadedConfig {
  Config config;
  std::string file;                            // the file that was read; empty: there was none
  std::map<std::string, std::string> origins;  // by key: "default", "FILE:3", "REEVE_TOWN", "--town"
  std::vector<std::string> warnings;           // about variables with nearly the name of one of ours
};
// Errors name the place (file, line and column), the key and the reason. Their code is "invalid_config", or
// "invalid_request" for a flag.
Result<LoadedConfig> LoadConfig(const ConfigSources& sources);

// The settings as a file that sets the same, each line with the source of the setting.
std::string DescribeConfig(const LoadedConfig& loaded);

// Copies into `running` the settings that may change in a running daemon. Returns the keys that differed.
struct ConfigChange {
  std::vector<std::string> applied;
  std::vector<std::string> needs_restart;
};
ConfigChange TakeReloadable(const Config& loaded, Config& running);

// The folder where the daemon of this machine and user keeps its data, according to REEVE_DATA or the default
// file. For the commands that look for it.
std::string ConfiguredDataDir();

// All variables of this process that begin with REEVE_.
std::map<std::string, std::string> ReeveEnvironment();

}  // namespace reeve
