#include "orchestrator/store/data_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <thread>

#include "orchestrator/json/json.h"

namespace reeve {

namespace {

constexpr int kLockTries = 50;
constexpr std::chrono::milliseconds kLockPause(20);

bool StartsWith(const std::string& text, const char* prefix) { return text.rfind(prefix, 0) == 0; }

// An address that covers all interfaces also covers loopback.
std::string AsLoopback(const std::string& url) {
  for (const char* any : {"http://0.0.0.0:", "http://[::]:"}) {
    if (StartsWith(url, any)) return "http://127.0.0.1:" + url.substr(std::strlen(any));
  }
  return url;
}

}  // namespace

std::string DefaultDataDir() {
  if (geteuid() == 0) return "/var/lib/reeve";
  if (const char* state = std::getenv("XDG_STATE_HOME"); state && *state == '/')
    return std::string(state) + "/reeve";
  const char* home = std::getenv("HOME");
  return std::string(home ? home : "") + "/.local/state/reeve";
}

Result<Fd> LockDataDir(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return OsError("make data folder " + path, errno);
  if (chmod(path.c_str(), 0700) != 0) return OsError("data folder " + path, errno);
  const std::string file = path + "/lock";
  Fd lock(open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock.valid()) return OsError("open " + file, errno);
  // A command that asks for the lock, or a child of a killed daemon before its exec, has it for a moment.
  for (int tries = 0; flock(lock.get(), LOCK_EX | LOCK_NB) != 0; ++tries) {
    if (errno != EWOULDBLOCK) return OsError("lock " + file, errno);
    if (tries == kLockTries) return Error{"busy", "another reeve uses the data folder " + path};
    std::this_thread::sleep_for(kLockPause);
  }
  return lock;
}

bool DataDirLocked(const std::string& path) {
  const Fd lock(open((path + "/lock").c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW));
  return lock.valid() && flock(lock.get(), LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

Status RuntimeFile::Write(const std::string& dir) const {
  JsonArray urls;
  for (const std::string& url : listen) urls.Add(url);
  const std::string text =
      JsonObject().Set("pid", pid).SetRaw("listen", urls.Take()).Set("version", version).Take() + "\n";
  const std::string path = PathIn(dir);
  const std::string made = path + ".new";
  Fd fd(open(made.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fd.valid() || write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
      rename(made.c_str(), path.c_str()) != 0) {
    return OsError("write " + path, errno);
  }
  return {};
}

Result<RuntimeFile> RuntimeFile::Read(const std::string& dir) {
  const std::string path = PathIn(dir);
  auto text = ReadConfigFile(path);
  if (!text) return text.error();
  auto json = JsonDocument::Parse(*text);
  if (!json) return Error{"invalid_json", path + ": " + json.error().message};
  RuntimeFile file;
  file.pid = static_cast<int>((*json)["pid"].AsInt().value_or(0));
  file.version = (*json)["version"].StringOr("");
  file.data_dir = dir;
  for (const JsonValue& url : (*json)["listen"].Elements()) file.listen.emplace_back(url.StringOr(""));
  return file;
}

std::string LocalAddress(const std::vector<std::string>& listening) {
  for (const std::string& url : listening) {
    if (StartsWith(url, "unix://")) return url;
  }
  return LocalWebAddress(listening);
}

std::string LocalWebAddress(const std::vector<std::string>& listening) {
  std::string first;
  for (const std::string& url : listening) {
    if (StartsWith(url, "unix://")) continue;
    std::string local = AsLoopback(url);
    if (StartsWith(local, "http://127.") || StartsWith(local, "http://[::1]:")) return local;
    if (first.empty()) first = local;
  }
  return first;
}

Result<std::string> ReadConfigFile(const std::string& path) {
  Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return OsError("read " + path, errno);
  constexpr size_t kMaxBytes = size_t{64} << 10;
  std::string text(kMaxBytes + 1, '\0');
  ssize_t size = read(fd.get(), text.data(), text.size());
  if (size < 0) return OsError("read " + path, errno);
  if (static_cast<size_t>(size) > kMaxBytes) {
    return Error{"invalid_request", "read " + path + ": larger than " + std::to_string(kMaxBytes) + " bytes"};
  }
  text.resize(static_cast<size_t>(size));
  return text;
}

}  // namespace reeve
