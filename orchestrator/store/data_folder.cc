#include "orchestrator/store/data_folder.h"

#include <fcntl.h>
#include <pwd.h>
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

#include "orchestrator/config/units.h"
#include "orchestrator/json/json.h"
#include "process/regular_file.h"

namespace reeve {

namespace {

constexpr int kLockMs = 1'000;
constexpr int kLockStepMs = 10;

bool StartsWith(const std::string& text, const char* prefix) { return text.rfind(prefix, 0) == 0; }

constexpr size_t kMaxRuntimeBytes = size_t{64} << 10;

// An address that covers all interfaces also covers loopback.
std::string AsLoopback(const std::string& url) {
  for (const char* any : {"http://0.0.0.0:", "http://[::]:"}) {
    if (StartsWith(url, any)) return "http://127.0.0.1:" + url.substr(std::strlen(any));
  }
  return url;
}

std::string UserName(uid_t user) {
  const passwd* entry = getpwuid(user);
  return (entry ? std::string(entry->pw_name) : "user") + " (" + std::to_string(user) + ")";
}

// Somebody else who owns the folder, or a link to it, could give the daemon a token, or take its secrets.
Result<Fd> OpenOwnFolder(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();  // else open() would follow a link
  Fd folder(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat status {};
  if (!folder.valid() && lstat(path.c_str(), &status) == 0 && S_ISLNK(status.st_mode))
    return Error{"unsafe_folder", "data folder " + path + " is a link: name the folder that it leads to"};
  if (!folder.valid() || fstat(folder.get(), &status) != 0) return OsError("data folder " + path, errno);
  if (status.st_uid != geteuid()) {
    return Error{"unsafe_folder", "data folder " + path + " belongs to " + UserName(status.st_uid) +
                                      ", but reeve runs as " + UserName(geteuid())};
  }
  return folder;
}

Result<std::string> ReadAllOf(const Fd& fd, const std::string& path, size_t max_bytes) {
  std::string text(max_bytes + 1, '\0');
  size_t size = 0;
  while (size < text.size()) {  // a pipe gives its bytes piece by piece
    const ssize_t got = read(fd.get(), text.data() + size, text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return OsError("read " + path, errno);
    if (got == 0) break;
    size += static_cast<size_t>(got);
  }
  if (size > max_bytes)
    return Error{"invalid_request",
                 "read " + path + ": larger than " + FormatSize(static_cast<int64_t>(max_bytes))};
  return std::string(WithoutByteOrderMark(std::string_view(text).substr(0, size)));
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
  auto folder = OpenOwnFolder(path);
  if (!folder) return folder.error();
  if (fchmod(folder->get(), 0700) != 0) return OsError("data folder " + path, errno);
  // Children that have not reached execve yet hold the lock of a daemon that was killed.
  for (int waited_ms = 0; flock(folder->get(), LOCK_EX | LOCK_NB) != 0; waited_ms += kLockStepMs) {
    if (errno == EINTR) continue;
    if (errno != EWOULDBLOCK) return OsError("lock " + path, errno);
    if (waited_ms >= kLockMs) return Error{"busy", "another reeve uses the data folder " + path};
    std::this_thread::sleep_for(std::chrono::milliseconds(kLockStepMs));
  }
  return folder;
}

Status CheckDataDir(const std::string& path) {
  struct stat there {};
  if (lstat(path.c_str(), &there) == 0) {
    auto folder = OpenOwnFolder(path);
    return folder ? Status() : folder.error();
  }
  if (errno != ENOENT) return OsError("data folder " + path, errno);
  std::filesystem::path above = std::filesystem::absolute(path).parent_path();
  std::error_code error;
  while (!std::filesystem::exists(above, error) && above != above.root_path()) above = above.parent_path();
  if (!std::filesystem::is_directory(above, error))
    return OsError("data folder " + path + ": " + above.string(), ENOTDIR);
  if (access(above.c_str(), W_OK | X_OK) != 0)
    return OsError("data folder " + path + ": write to " + above.string(), errno);
  return {};
}

bool DataDirLocked(const std::string& path) {
  const Fd lock(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  return lock.valid() && flock(lock.get(), LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

Status RuntimeFile::Write(const std::string& dir) const {
  JsonArray urls;
  for (const std::string& url : listen) urls.Add(url);
  const std::string text =
      JsonObject()
          .Set("pid", pid)
          .Set("keeper_pid", keeper_pid == 0 ? std::nullopt : std::optional(int64_t{keeper_pid}))
          .SetRaw("listen", urls.Take())
          .Set("version", version)
          .Take() +
      "\n";
  const std::string path = PathIn(dir);
  const std::string made = path + ".new";
  (void)unlink(made.c_str());
  Fd fd(open(made.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd.valid() || write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
      rename(made.c_str(), path.c_str()) != 0) {
    return OsError("write " + path, errno);
  }
  return {};
}

Result<RuntimeFile> RuntimeFile::Read(const std::string& dir) {
  const std::string path = PathIn(dir);
  auto opened = OpenRegularFile(path, O_RDONLY);
  if (!opened) return opened.error();
  auto text = ReadAllOf(*opened, path, kMaxRuntimeBytes);
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

std::string ProgramFolderIn(const std::string& data_dir) { return data_dir + "/bin"; }

Status LinkProgram(const std::string& data_dir, const std::string& binary) {
  const std::string folder = ProgramFolderIn(data_dir);
  const std::string link = folder + "/reeve";
  const std::string made = folder + "/.reeve.new";
  if (mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) return OsError("make " + folder, errno);
  std::error_code error;  // a link that is right needs no room on a full disk
  if (std::filesystem::read_symlink(link, error) == binary) return {};
  (void)unlink(made.c_str());
  if (symlink(binary.c_str(), made.c_str()) != 0 || rename(made.c_str(), link.c_str()) != 0)
    return OsError("make " + link, errno);
  return {};
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

std::string HomeFolder() {
  const char* home = std::getenv("HOME");
  if (home && *home == '/') return home;
  const passwd* user = getpwuid(getuid());
  return user && user->pw_dir && *user->pw_dir == '/' ? user->pw_dir : "/";
}

Result<std::string> ReadConfigFile(const std::string& path, size_t max_bytes) {
  const Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return OsError("read " + path, errno);
  return ReadAllOf(fd, path, max_bytes);
}

}  // namespace reeve
