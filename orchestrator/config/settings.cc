// The table of all settings of `reeve serve`: config.h.
#include <algorithm>
#include <limits>

#include "orchestrator/config/config.h"

namespace reeve {

namespace {

constexpr int64_t kNoLimit = std::numeric_limits<int64_t>::max();
constexpr int64_t kDay = 86'400'000;
constexpr int64_t kMaxPath = 4'095;  // PATH_MAX without the final NUL

bool StartsWith(std::string_view word, std::string_view prefix) {
  return word.substr(0, prefix.size()) == prefix;
}

bool IsDecimal(std::string_view word) {
  return !word.empty() && word.find_first_not_of("0123456789") == std::string_view::npos;
}

const char* CheckListen(std::string_view url) {
  if (StartsWith(url, "unix:///")) return nullptr;
  if (StartsWith(url, "fd://"))
    return IsDecimal(url.substr(5)) ? nullptr : "is not fd:// followed by a number";
  const size_t colon = url.rfind(':');
  if (StartsWith(url, "tcp://") && colon > 6 && IsDecimal(url.substr(colon + 1))) return nullptr;
  return "is not tcp://HOST:PORT, unix:///PATH or fd://N";
}

const char* CheckBasePath(std::string_view path) {
  const bool good = path.empty() || (path.size() > 1 && path.front() == '/' && path.back() != '/');
  return good ? nullptr : "is not like /reeve: it must begin with a slash and not end with one";
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
  return good ? nullptr : "is not a host name without scheme and port";
}

const char* CheckOrigin(std::string_view origin) {
  const size_t slashes = origin.find("://");
  const bool good = (StartsWith(origin, "http://") || StartsWith(origin, "https://")) &&
                    origin.size() > slashes + 3 &&
                    origin.find_first_of("/* ", slashes + 3) >=
                        origin.find_last_not_of('/');  // may be copied with its final slash
  return good ? nullptr : "is not an origin such as https://app.example.com";
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
           "Addresses to listen on: tcp://HOST:PORT (port 0 picks one), unix:///PATH, fd://N"),
      Make("data", "--data", Type::kText, &Config::data, 1, kMaxPath, kRestart,
           "Folder for all data of the daemon"),
      Make("token_file", "--token-file", Type::kText, &Config::token_file, 0, kMaxPath, kRestart,
           "File with lines `[view|operate|admin] TOKEN [NAME]`; a reload reads it again"),
      Make("town", "--town", Type::kText, &Config::town, 1, 128, kRestart,
           "Name of this daemon, shown by /health"),
      Make("base_path", "--base-path", Type::kText, &Config::base_path, 0, 1'024, kRestart,
           "Path prefix under which a proxy serves this daemon, such as /reeve"),
      Make("allowed_hosts", "--allowed-host", Type::kList, &Config::allowed_hosts, 0, 1'000, kReloads,
           "Name allowed in the Host header, besides IP addresses and localhost"),
      Make("allowed_origins", "--allowed-origin", Type::kList, &Config::allowed_origins, 0, 1'000, kReloads,
           "Origin whose pages may use the API, such as https://app.example.com"),
      Make("log_level", "--log-level", Type::kChoice, &Config::log_level, 1, 16, kReloads,
           "Minimum level of the daemon's log"),
      Make(
          "fsync", "--fsync", Type::kChoice, &Config::fsync, 1, 16, kReloads,
          "When event logs are synced to the disk: at each commit, every second, or when the system chooses"),
      Make("segment_bytes", "--segment-bytes", Type::kSize, &Config::segment_bytes, 4'096, int64_t{1} << 40,
           kReloads, "Size at which a segment of an event log is closed"),
      Make("retain_bytes", "--retain-bytes", Type::kSize, &Config::retain_bytes, 0, kNoLimit, kReloads,
           "Bytes of event log kept per agent; 0: all"),
      Make("retain_age", "--retain-age", Type::kDuration, &Config::retain_age_ms, 0, 36'500 * kDay, kReloads,
           "Age at which segments of event logs are deleted; 0: never"),
      Make("heartbeat", "--heartbeat", Type::kDuration, &Config::heartbeat_ms, 50, kDay / 24, kReloads,
           "A live stream gets a heartbeat after this long without an event"),
      Make(
          "stall_timeout", "--stall-timeout", Type::kDuration, &Config::stall_timeout_ms, 100, kDay, kReloads,
          "An event stream or download that reads nothing for this long is closed; gateways have a rule of their own"),
      Make("drain_timeout", "--drain-timeout", Type::kDuration, &Config::drain_timeout_ms, 1'000, kDay,
           kReloads, "Time that agents get to end after TERM"),
      Make("orphan_timeout", "--orphan-timeout", Type::kDuration, &Config::orphan_timeout_ms, 1'000, kDay,
           kRestart, "Agents are stopped when no daemon could run for this long after a crash"),
      Make("restart_delay", "--restart-delay", Type::kDuration, &Config::restart_delay_ms, 0, kDay, kRestart,
           "A daemon that crashes again and again waits at most this long before its next start"),
      Make("workspace_protocols", "--workspace-protocol", Type::kList, &Config::workspace_protocols, 0, 4,
           kRestart, "Protocol allowed for repositories: https, ssh, http, file"),
      Make("workspace_timeout", "--workspace-timeout", Type::kDuration, &Config::workspace_timeout_ms, 100,
           kDay, kRestart, "Time limit of a git command: a clone, a fetch, a push"),
      Make("workspace_wip", "--workspace-wip", Type::kChoice, &Config::workspace_wip, 1, 16, kRestart,
           "How a drain treats uncommitted work in workspaces: leave it, commit it to a branch, or also push "
           "that"),
      Make("git_credentials", "--git-credentials", Type::kText, &Config::git_credentials, 0, kMaxPath,
           kRestart, "File in git-credential-store format, for repositories that need credentials"),
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
  // REEVE_TOKEN_FILE belongs to the commands that talk to a daemon, and is in an agent's environment. A
  // daemon that an agent starts must not use that agent's token as an admin token.
  named("token_file").variable.clear();
  return settings;
}

}  // namespace

const std::vector<Setting>& Settings() {
  static const std::vector<Setting> settings = MakeSettings();
  return settings;
}

}  // namespace reeve
