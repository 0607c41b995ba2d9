#include "control/live_config.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <utility>

#include "control/http/server.h"
#include "control/streams/exports.h"
#include "orchestrator/store/data_folder.h"
#include "orchestrator/town.h"
#include "process/regular_file.h"

namespace reeve {

namespace {

// The host of a TCP listener: "tcp://127.0.0.1:8080" → "127.0.0.1". Empty for other listeners. For an
// inherited socket it is the host of its address.
std::string HostOf(const std::string& listen) {
  constexpr std::string_view kFd = "fd://";
  const bool inherited = listen.rfind(kFd, 0) == 0;
  const std::string url = inherited ? AddressOf(std::atoi(listen.c_str() + kFd.size())) : listen;
  const std::string_view scheme = inherited ? "http://" : "tcp://";
  if (url.rfind(scheme, 0) != 0) return {};
  return url.substr(scheme.size(), url.rfind(':') - scheme.size());
}

bool IsLoopback(const std::string& host) {
  return host.empty() || host == "localhost" || host == "[::1]" || host.rfind("127.", 0) == 0;
}

std::string Join(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

}  // namespace

Git::Options GitOptionsOf(const Config& config) {
  Git::Options options;
  options.protocols.clear();
  for (const std::string& protocol : config.workspace_protocols)
    options.protocols += (options.protocols.empty() ? "" : ":") + protocol;
  options.credentials = config.git_credentials;
  options.timeout_ms = config.workspace_timeout_ms;
  if (config.workspace_wip == "commit") options.wip = Git::Options::Wip::kCommit;
  if (config.workspace_wip == "push") options.wip = Git::Options::Wip::kPush;
  return options;
}

Tokens::Source TokenSourceOf(const Config& config) {
  const char* variable = std::getenv("REEVE_TOKEN");
  return {config.token_file, variable ? variable : "", config.data};
}

log::Level LogLevelOf(const Config& config) {
  if (config.log_level == "debug") return log::Level::kDebug;
  if (config.log_level == "warning") return log::Level::kWarning;
  return config.log_level == "error" ? log::Level::kError : log::Level::kInfo;
}

EventLog::Limits LogLimitsOf(const Config& config) {
  EventLog::Limits limits;
  limits.segment_bytes = static_cast<uint64_t>(config.segment_bytes);
  limits.retain_bytes = static_cast<uint64_t>(config.retain_bytes);
  limits.retain_ms = config.retain_age_ms;
  limits.sync_always = config.fsync == "always";
  return limits;
}

Viewers::Limits ViewerLimitsOf(const Config& config) {
  Viewers::Limits limits;
  limits.heartbeat_ms = config.heartbeat_ms;
  limits.stall_ms = config.stall_timeout_ms;
  return limits;
}

Gate::Names NamesOf(const Config& config) {
  Gate::Names names{config.allowed_hosts, config.allowed_origins};
  for (const std::string& url : config.listen) names.hosts.push_back(HostOf(url));
  return names;
}

Status CheckFiles(const Config& config) {
  const auto wrong = [](const std::string& setting, const std::string& why) {
    return Error{"invalid_config", setting + ": " + why};
  };
  const Tokens::Source source = TokenSourceOf(config);
  if (!source.file.empty() || !source.variable.empty()) {
    if (auto tokens = Tokens::Load(source); !tokens) return Error{"invalid_config", tokens.error().message};
  }
  if (Status data = CheckDataDir(config.data); !data) return wrong("data", data.error().message);
  if (!config.git_credentials.empty()) {
    if (auto file = OpenRegularFile(config.git_credentials, O_RDONLY); !file)
      return wrong("git_credentials", file.error().message);
  }
  for (const std::string& url : config.listen) {
    constexpr std::string_view kUnix = "unix://";
    if (!url.starts_with(kUnix)) continue;
    const std::filesystem::path folder = std::filesystem::absolute(url.substr(kUnix.size())).parent_path();
    std::error_code error;
    if (!std::filesystem::is_directory(folder, error))
      return wrong("listen", url + ": there is no folder " + folder.string());
    if (access(folder.c_str(), W_OK | X_OK) != 0)
      return wrong("listen", url + ": " + OsError("write to " + folder.string(), errno).message);
  }
  return {};
}

Status CheckExposure(const Config& config, bool token_chosen) {
  for (const std::string& url : config.listen) {
    if (IsLoopback(HostOf(url))) continue;
    if (!token_chosen) {
      return Error{"invalid_config",
                   url + " is reachable from other machines: set --token-file or REEVE_TOKEN"};
    }
    log::Warning("{} is reachable from other machines and speaks plain HTTP: put TLS in front of it", url);
  }
  return {};
}

LiveConfig::LiveConfig(ConfigSources sources, Config running, Parts parts)
    : sources_(std::move(sources)), running_(std::move(running)), parts_(std::move(parts)) {}

Result<ConfigChange> LiveConfig::Reload() {
  auto change = Take();
  if (!change) {
    log::Failure("reload failed, nothing changed: {}", change.error().message);
    return change;
  }
  log::Info("reloaded; changed: {}", change->applied.empty() ? "nothing" : Join(change->applied));
  for (const std::string& key : change->needs_restart) {
    log::Warning("reload: {}: needs a restart or reeve upgrade", key);
  }
  return change;
}

Result<ConfigChange> LiveConfig::Take() {
  auto loaded = LoadConfig(sources_);
  if (!loaded) return Error{"invalid_config", loaded.error().message};
  auto gone = parts_.tokens.Reload();  // the last step that can fail; it changes all or nothing
  if (!gone) return Error{"invalid_config", gone.error().message};
  sources_.file = loaded->file;
  for (uint64_t token : *gone) parts_.forget(token);
  if (!gone->empty()) log::Info("reload: {} tokens are no longer valid", gone->size());

  ConfigChange change = TakeReloadable(loaded->config, running_);
  log::SetLevel(LogLevelOf(running_));
  parts_.town.SetLogging(LogLimitsOf(running_), running_.fsync == "interval");
  parts_.viewers.SetTimeouts(running_.heartbeat_ms, running_.stall_timeout_ms);
  parts_.exports.SetTimeouts(running_.stall_timeout_ms);
  parts_.gate.SetNames(NamesOf(running_));
  return change;
}

}  // namespace reeve
