// The table of all settings of `reeve serve`: config.h.
#include <algorithm>
#include <limits>

#include "orchestrator/config/config.h"

namespace reeve {

namespace {

constexpr int64_t kNoLimit = std::numeric_limits<int64_t>::max();
constexpr int64_t kDay = 86'400'000;
constexpr int64_t kMaxPath = 4'095;  // PATH_MAX, less its end

bool StartsWith(std::string_view word, std::string_view prefix) {
  return word.substr(0, prefix.size()) == prefix;
}

bool IsDecimal(std::string_view word) {
  return !word.empty() && word.find_first_not_of("0123456789") == std::string_view::npos;
}

const char* CheckListen(std::string_view url) {
  if (StartsWith(url, "unix:///")) return nullptr;
  if (StartsWith(url, "fd://")) return IsDecimal(url.substr(5)) ? nullptr : "is not fd:// and a number";
  const size_t colon = url.rfind(':');
  if (StartsWith(url, "tcp://") && colon > 6 && IsDecimal(url.substr(colon + 1))) return nullptr;
  return "is not tcp://HOST:PORT, unix:///PATH or fd://N";
}

const char* CheckBasePath(std::string_view path) {
  const bool good = path.empty() || (path.size() > 1 && path.front() == '/' && path.back() != '/');
  return good ? nullptr : "is not like /reeve: a slash before it, none after it";
}

const char* CheckProtocol(std::string_view name) {
  const bool good = name == "https" || name == "ssh" || name == "http" || name == "file";
  return good ? nullptr : "is not one of https, ssh, http, file";
}

const char* CheckAbsolute(std::string_view path) {
  return path.empty() || path.front() == '/' ? nullptr : "is not an absolute path";
}

const char* CheckHost(std::string_view host) {
  const bool good = !host.empty() && host.find_first_of("/:@ ") == std::string_view::npos;
  return good ? nullptr : "is not a host's name, without scheme and port";
}

const char* CheckOrigin(std::string_view origin) {
  const size_t slashes = origin.find("://");
  const bool good =
      (StartsWith(origin, "http://") || StartsWith(origin, "https://")) && origin.size() > slashes + 3 &&
      origin.find_first_of("/* ", slashes + 3) >= origin.find_last_not_of('/');  // copied with its slash
  return good ? nullptr : "is not an origin, as https://app.example.com";
}

Setting Make(const char* key, const char* flag, Setting::Type type, Setting::Field field, int64_t least,
             int64_t most, bool reloads, const char* help) {
  Setting setting{key, flag, type, field, least, most, reloads, help};
  setting.variable = "REEVE_";
  for (const char* c = key; *c; ++c) setting.variable += *c == '_' ? '_' : static_cast<char>(*c - 'a' + 'A');
  return setting;
}

std::vector<Setting> MakeSettings() {
  using Type = Setting::Type;
  constexpr bool kReloads = true;
  constexpr bool kRestart = false;
  std::vector<Setting> settings = {
      Make("listen", "--listen", Type::kList, &Config::listen, 1, 64, kRestart,
           "Where to listen: tcp://HOST:PORT (port 0 picks one), unix:///PATH, fd://N"),
      Make("data", "--data", Type::kText, &Config::data, 1, kMaxPath, kRestart,
           "The folder that holds everything it keeps"),
      Make("token_file", "--token-file", Type::kText, &Config::token_file, 0, kMaxPath, kRestart,
           "Lines `[view|operate|admin] TOKEN`; a reload reads them again"),
      Make("town", "--town", Type::kText, &Config::town, 1, 128, kRestart,
           "This daemon's name, as /health shows it"),
      Make("base_path", "--base-path", Type::kText, &Config::base_path, 0, 1'024, kRestart,
           "The prefix under which a proxy serves this daemon, as /reeve"),
      Make("allowed_hosts", "--allowed-host", Type::kList, &Config::allowed_hosts, 0, 1'000, kReloads,
           "A name that Host may carry besides IP addresses and localhost"),
      Make("allowed_origins", "--allowed-origin", Type::kList, &Config::allowed_origins, 0, 1'000, kReloads,
           "An origin whose pages may use the API, as https://app.example.com"),
      Make("log_level", "--log-level", Type::kChoice, &Config::log_level, 1, 16, kReloads,
           "The least that the daemon's own log tells"),
      Make("fsync", "--fsync", Type::kChoice, &Config::fsync, 1, 16, kReloads,
           "When event logs are synced to the disk: each commit, every second, or as the system likes"),
      Make("segment_bytes", "--segment-bytes", Type::kSize, &Config::segment_bytes, 4'096, int64_t{1} << 40,
           kReloads, "Size at which a segment of an event log is closed"),
      Make("retain_bytes", "--retain-bytes", Type::kSize, &Config::retain_bytes, 0, kNoLimit, kReloads,
           "Bytes of event log kept per agent; 0: all"),
      Make("retain_age", "--retain-age", Type::kDuration, &Config::retain_age_ms, 0, 36'500 * kDay, kReloads,
           "Age at which segments of event logs are deleted; 0: never"),
      Make("heartbeat", "--heartbeat", Type::kDuration, &Config::heartbeat_ms, 50, kDay / 24, kReloads,
           "Silence after which a live stream gets a heartbeat"),
      Make("stall_timeout", "--stall-timeout", Type::kDuration, &Config::stall_timeout_ms, 100, kDay,
           kReloads, "A viewer, or a download, that takes nothing for so long is closed"),
      Make("drain_timeout", "--drain-timeout", Type::kDuration, &Config::drain_timeout_ms, 1'000, kDay,
           kReloads, "On TERM, agents get this long to end"),
      Make("workspace_protocols", "--workspace-protocol", Type::kList, &Config::workspace_protocols, 0, 4,
           kRestart, "How repositories may be reached: https, ssh, http, file"),
      Make("workspace_timeout", "--workspace-timeout", Type::kDuration, &Config::workspace_timeout_ms, 100,
           kDay, kRestart, "A git command that takes longer is ended: a clone, a fetch, a push"),
      Make(
          "workspace_wip", "--workspace-wip", Type::kChoice, &Config::workspace_wip, 1, 16, kRestart,
          "What a drain does with uncommitted work in workspaces: nothing, commit it to a branch, push that"),
      Make("git_credentials", "--git-credentials", Type::kText, &Config::git_credentials, 0, kMaxPath,
           kRestart, "A file as git-credential-store has it, for repositories that want credentials"),
  };
  auto named = [&settings](std::string_view key) -> Setting& {
    return *std::find_if(settings.begin(), settings.end(),
                         [key](const Setting& setting) { return key == setting.key; });
  };
  named("listen").check = CheckListen;
  named("base_path").check = CheckBasePath;
  named("workspace_protocols").check = CheckProtocol;
  named("git_credentials").check = CheckAbsolute;
  named("workspace_wip").choices = {"off", "commit", "push"};
  named("allowed_hosts").check = CheckHost;
  named("allowed_origins").check = CheckOrigin;
  named("log_level").choices = {"debug", "info", "warning", "error"};
  named("fsync").choices = {"always", "interval", "never"};
  named("data").default_words = "/var/lib/reeve for root, else $XDG_STATE_HOME/reeve or ~/.local/state/reeve";
  named("token_file").default_words = "REEVE_TOKEN, else DATA/token, made at the first start";
  named("listen").value_name = "URL";
  named("data").value_name = "DIR";
  named("token_file").value_name = "FILE";
  named("town").value_name = "NAME";
  named("base_path").value_name = "PREFIX";
  named("allowed_hosts").value_name = "HOST";
  named("allowed_origins").value_name = "ORIGIN";
  named("workspace_protocols").value_name = "PROTOCOL";
  named("git_credentials").value_name = "FILE";
  // REEVE_TOKEN_FILE is what the commands that talk to a daemon go by, and stands in an agent's environment:
  // a daemon that an agent starts must not take that agent's token for an admin's.
  named("token_file").variable.clear();
  return settings;
}

}  // namespace

const std::vector<Setting>& Settings() {
  static const std::vector<Setting> settings = MakeSettings();
  return settings;
}

}  // namespace reeve
