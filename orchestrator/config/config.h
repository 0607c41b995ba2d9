// Room config/: the settings of the daemon, where they come from, and the units they are written in.
//
// Config: what `reeve serve` is told. A setting comes from the strongest place that names it: its flag, else
// the environment (REEVE_<KEY>), else the file, else its default. Settings() is the one table of them: flags,
// variables, keys, --help, --check-config and CONFIG.md come of it.
//
// All values.
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
  std::vector<std::string> workspace_protocols = {"https", "ssh"};
  int64_t workspace_timeout_ms = 300'000;
  std::string workspace_wip = "off";
  std::string git_credentials;
};

struct Setting {
  enum class Type { kText, kList, kChoice, kDuration, kSize };
  using Field = std::variant<std::string Config::*, std::vector<std::string> Config::*, int64_t Config::*>;

  const char* key;   // in the file
  const char* flag;  // of a list: once for each element
  Type type;
  Field field;
  int64_t least, most;  // milliseconds, bytes, elements or characters
  bool reloads;         // else it takes a new start
  const char* help;
  std::string variable = {};                         // empty: not from the environment
  std::vector<const char*> choices = {};             // of kChoice
  const char* (*check)(std::string_view) = nullptr;  // what is wrong with a word, or null
  const char* default_words = nullptr;               // where the default depends
  const char* value_name = nullptr;                  // what --help calls a value; null: as the type says
};
const std::vector<Setting>& Settings();

// The value as it stands in a file: "15s" in quotes, ["a", "b"].
std::string ShowSetting(const Setting& setting, const Config& config);

// /etc/reeve/config.toml for root, else $XDG_CONFIG_HOME/reeve/config.toml, else ~/.config/reeve/config.toml.
std::string DefaultConfigFile();
// Which that is, for whoever reads it.
inline constexpr const char* kDefaultConfigWords =
    "/etc/reeve/config.toml for root, else ~/.config/reeve/config.toml, if it is there";

struct ConfigSources {
  std::string file;                                       // must be there; empty: the default one, if it is
  std::map<std::string, std::string> environment;         // those that begin with REEVE_
  std::map<std::string, std::vector<std::string>> flags;  // by key
  std::string default_file = DefaultConfigFile();
};

struct LoadedConfig {
  Config config;
  std::string file;                            // that was read; empty: none was there
  std::map<std::string, std::string> origins;  // by key: "default", "FILE:3", "REEVE_TOWN", "--town"
  std::vector<std::string> warnings;           // variables that are nearly ours
};
// Errors name the place (file, line and column), the key and the reason: "invalid_config", of a flag
// "invalid_request".
Result<LoadedConfig> LoadConfig(const ConfigSources& sources);

// As a file that says the same, each line with where it came from.
std::string DescribeConfig(const LoadedConfig& loaded);

// Takes over into `running` what may change while it runs. Names the keys that differed.
struct ConfigChange {
  std::vector<std::string> applied;
  std::vector<std::string> needs_restart;
};
ConfigChange TakeReloadable(const Config& loaded, Config& running);

// Where the daemon of this machine and user keeps its data, as REEVE_DATA or the default file say: for the
// commands that look for it.
std::string ConfiguredDataDir();

// All variables of this process that begin with REEVE_.
std::map<std::string, std::string> ReeveEnvironment();

}  // namespace reeve
