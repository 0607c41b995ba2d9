#include "process/cgroup.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <sstream>
#include <thread>

#include "process/fd.h"
#include "process/log.h"
#include "process/proc.h"

namespace reeve {

namespace fs = std::filesystem;

namespace {

// A killed process leaves its cgroup when the kernel gets to it, which takes a few milliseconds. We wait for
// it in steps of 1 ms. If it takes longer, the root's destructor or the next daemon's sweep removes the
// folder.
constexpr int kRemoveAttempts = 50;

// The folders below `path`, deepest first, then `path` itself.
std::vector<std::string> FoldersOf(const std::string& path) {
  std::vector<std::string> folders;
  std::error_code error;
  for (fs::directory_iterator entry(path, error), end; !error && entry != end; entry.increment(error)) {
    std::error_code ignored;
    if (!entry->is_directory(ignored) || entry->is_symlink(ignored)) continue;
    for (std::string& folder : FoldersOf(entry->path())) folders.push_back(std::move(folder));
  }
  folders.push_back(path);
  return folders;
}

std::vector<pid_t> PidsIn(const std::string& path) {
  std::vector<pid_t> pids;
  for (const std::string& folder : FoldersOf(path)) {
    for (pid_t pid : ParsePids(ReadSmallFile(folder + "/cgroup.procs"))) {
      if (pid > 0) pids.push_back(pid);  // 0: a process of another PID namespace
    }
  }
  return pids;
}

// The number after `key` in a file of "key number" lines, or -1.
int64_t Field(const std::string& file, std::string_view key) {
  std::istringstream text(ReadSmallFile(file));
  std::string name;
  for (int64_t value = 0; text >> name >> value;) {
    if (name == key) return value;
  }
  return -1;
}

void KillAll(const std::string& path) {
  Fd kill_file(open((path + "/cgroup.kill").c_str(), O_WRONLY | O_CLOEXEC));  // since Linux 5.14
  if (kill_file.valid() && write(kill_file.get(), "1", 1) == 1) return;
  for (pid_t pid : PidsIn(path)) {
    if (auto stat = StatProcess(pid)) SignalProcess(stat->id, SIGKILL);
  }
}

// Kills the processes in `path` and removes it. Logs a failure.
void KillAndRemove(const std::string& path) {
  if (rmdir(path.c_str()) == 0) return;  // nearly always
  for (int attempt = 0; attempt < kRemoveAttempts; ++attempt) {
    KillAll(path);
    if (attempt > 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    int error = 0;
    for (const std::string& folder : FoldersOf(path)) error = rmdir(folder.c_str()) == 0 ? 0 : errno;
    if (error == 0 || error == ENOENT) return;
    if (error != EBUSY) return log::Warning("cannot remove cgroup {}: {}", path, std::strerror(error));
  }
  log::Warning("cannot remove cgroup {}: a process in it does not die", path);
}

// mountinfo writes space, tab, newline and backslash as \ooo (proc(5)).
std::string Unescape(std::string_view text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      plain += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

// The place where the cgroup2 hierarchy is mounted, and the part of it that is mounted: "/" or a subtree.
struct Mount {
  std::string root;
  std::string point;
};

Result<Mount> FindMount(const std::string& mounts) {
  std::istringstream lines(mounts);
  for (std::string line; std::getline(lines, line);) {
    size_t dash = line.find(" - ");
    if (dash == std::string::npos || line.compare(dash + 3, 8, "cgroup2 ") != 0) continue;
    std::istringstream fields(line);
    std::string id, parent, device, root, point;
    if (fields >> id >> parent >> device >> root >> point) return Mount{Unescape(root), Unescape(point)};
  }
  return Error{"not_supported", "no cgroup v2 is mounted"};
}

// The folder of our own cgroup.
Result<std::string> OwnFolder(const std::string& mounts, const std::string& self) {
  auto mount = FindMount(mounts);
  if (!mount) return mount.error();
  std::istringstream lines(self);
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind("0::", 0) != 0) continue;
    std::string path = line.substr(3);
    if (path.find("/..") != std::string::npos) {
      return Error{"not_supported", "the daemon's cgroup is outside its cgroup namespace"};
    }
    if (mount->root != "/") {
      if (path.rfind(mount->root, 0) != 0) {
        return Error{"not_supported", "the daemon's cgroup " + path + " is not below " + mount->point};
      }
      path.erase(0, mount->root.size());
    }
    return path == "/" ? mount->point : mount->point + path;
  }
  return Error{"not_supported", "the daemon is not in a cgroup v2"};
}

unsigned long long PidNamespace() {
  struct stat space {};
  return stat("/proc/self/ns/pid", &space) == 0 ? space.st_ino : 0;
}

}  // namespace

Cgroup::~Cgroup() {
  if (!path_.empty()) KillAndRemove(path_);
}

std::vector<pid_t> Cgroup::Pids() const { return PidsIn(path_); }

bool Cgroup::Populated() const { return Field(path_ + "/cgroup.events", "populated") != 0; }

void Cgroup::Kill() { KillAll(path_); }

bool Cgroup::OomKilled() const { return Field(path_ + "/memory.events", "oom_kill") > 0; }

Result<std::unique_ptr<CgroupRoot>> CgroupRoot::Open(pid_t owner) {
  return OpenAt(ReadSmallFile("/proc/self/mountinfo"), ReadSmallFile("/proc/self/cgroup"), owner);
}

Result<std::unique_ptr<CgroupRoot>> CgroupRoot::OpenAt(const std::string& mounts, const std::string& self,
                                                       pid_t owner) {
  auto own = OwnFolder(mounts, self);
  if (!own) return own.error();
  if (owner == 0) owner = getpid();
  std::string path = fmt::format("{}/reeve-{}-{}-{}", *own, PidNamespace(), owner, StartTime(owner));
  // An existing folder is ours: an earlier daemon of this keeper made it.
  if (mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) {
    return Error{"not_supported", OsError("cannot make cgroup " + path, errno).message};
  }
  return std::unique_ptr<CgroupRoot>(new CgroupRoot(std::move(path)));
}

CgroupRoot::~CgroupRoot() { KillAndRemove(path_); }

Result<std::unique_ptr<Cgroup>> CgroupRoot::Make(std::string_view label) {
  std::string name(label);
  for (char& c : name) {
    bool plain =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    if (!plain) c = '_';
  }
  name.resize(std::min(name.size(), size_t{128}));  // a file name has at most 255 bytes
  for (;;) {
    std::string path = fmt::format("{}/{}-{}", path_, name, ++made_);
    if (mkdir(path.c_str(), 0755) == 0) return std::make_unique<Cgroup>(std::move(path));
    if (errno != EEXIST)
      return OsError("cannot make cgroup " + path, errno);  // EEXIST: made by an earlier daemon
  }
}

void CgroupRoot::SweepDead() {
  unsigned long long space = PidNamespace();
  std::error_code error;
  for (fs::directory_iterator entry(fs::path(path_).parent_path(), error), end; !error && entry != end;
       entry.increment(error)) {
    unsigned long long of_space = 0;
    unsigned long long start_time = 0;
    pid_t pid = 0;
    std::string name = entry->path().filename();
    if (std::sscanf(name.c_str(), "reeve-%llu-%d-%llu", &of_space, &pid, &start_time) != 3) continue;
    if (of_space != space || StartTime(pid) == start_time) continue;
    log::Info("removing the cgroup of a dead daemon: {}", entry->path().string());
    KillAndRemove(entry->path());
  }
}

}  // namespace reeve
