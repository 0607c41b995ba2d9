// The checks of the machine: disk, addresses, cgroups, limits, clock, terminal.
#include <fcntl.h>
#include <langinfo.h>
#include <netdb.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <clocale>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "control/cli/doctor/doctor.h"
#include "orchestrator/workspace/git.h"
#include "process/cgroup.h"
#include "process/clock.h"
#include "process/fd.h"
#include "process/proc.h"
#include "process/result.h"

namespace reeve {

namespace fs = std::filesystem;

namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr uint64_t kGiB = uint64_t{1} << 30;

// --- disk

struct Room {
  uint64_t bytes = 0;
  uint64_t files = 0;
  bool counts_files = false;  // some file systems create inodes on demand
};

Room RoomAt(const std::string& path) {
  struct statvfs system {};
  if (statvfs(path.c_str(), &system) != 0) return {};
  return {system.f_bavail * system.f_frsize, system.f_favail, system.f_files != 0};
}

std::string Size(uint64_t bytes) {
  return bytes >= kGiB ? std::to_string(bytes / kGiB) + " GiB" : std::to_string(bytes / kMiB) + " MiB";
}

void CheckRoom(const std::string& about, const std::string& path, uint64_t enough, Findings& findings) {
  constexpr uint64_t kEnoughFiles = 10'000;
  const Room room = RoomAt(path);
  const std::string free = Size(room.bytes) + " free in " + path;
  if (room.bytes < enough / 16) {
    findings.Fail(about, "only " + free, "free some space");
  } else if (room.bytes < enough) {
    findings.Warn(about, "only " + free,
                  "free some space; retain_bytes and retain_age limit the logs of agents");
  } else if (room.counts_files && room.files < kEnoughFiles) {
    findings.Warn(about, "only " + std::to_string(room.files) + " inodes are free in " + path,
                  "delete files");
  } else {
    findings.Ok(about, free);
  }
}

// Writes and syncs a file without a name.
Status TryDisk(const std::string& folder) {
  Fd file(open(folder.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600));
  if (!file.valid()) {  // not every file system supports these
    std::string name = folder + "/doctor.XXXXXX";
    file = Fd(mkostemp(name.data(), O_CLOEXEC));
    if (file.valid()) unlink(name.c_str());
  }
  if (!file.valid() || write(file.get(), "reeve\n", 6) != 6) return OsError("write in " + folder, errno);
  if (fsync(file.get()) != 0) return OsError("fsync in " + folder, errno);
  return {};
}

// The closest parent folder that exists.
std::string ExistingParent(const std::string& path) {
  fs::path at = fs::path(path).parent_path();
  std::error_code ignored;
  while (!fs::exists(at, ignored) && at.has_relative_path()) at = at.parent_path();
  return at.string();
}

// --- addresses

// Tries to bind the address: 0, or the errno.
int TryTcp(const std::string& host_and_port) {
  const size_t colon = host_and_port.rfind(':');
  std::string host = host_and_port.substr(0, colon);
  const std::string port = host_and_port.substr(colon + 1);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* raw = nullptr;
  if (getaddrinfo(host.c_str(), port.c_str(), &hints, &raw) != 0) return EADDRNOTAVAIL;
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> found(raw, &freeaddrinfo);
  int reason = EADDRNOTAVAIL;
  for (const addrinfo* one = found.get(); one; one = one->ai_next) {
    const Fd probe(socket(one->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int on = 1;
    if (probe.valid() && setsockopt(probe.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        bind(probe.get(), one->ai_addr, one->ai_addrlen) == 0) {
      return 0;
    }
    reason = errno;
  }
  return reason;
}

int TryUnix(const std::string& path) {
  struct stat there {};
  if (lstat(path.c_str(), &there) != 0) {
    return access(fs::path(path).parent_path().c_str(), W_OK) == 0 ? 0 : errno;
  }
  if (!S_ISSOCK(there.st_mode)) return EEXIST;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return ENAMETOOLONG;
  path.copy(address.sun_path, path.size());
  const Fd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0)
    return EADDRINUSE;
  return errno == ECONNREFUSED ? 0 : errno;  // left over; `reeve serve` removes it
}

// --- limits

// The smallest limit in the files `name` of `folder` and its parents; nothing if none is set.
std::optional<uint64_t> LeastAbove(std::string folder, const std::string& name) {
  std::optional<uint64_t> least;
  for (; folder.size() > 1; folder = fs::path(folder).parent_path().string()) {
    const std::string text = ReadSmallFile(fs::path(folder) / name);
    if (text.empty() || text[0] < '0' || text[0] > '9') continue;
    const uint64_t value = std::strtoull(text.c_str(), nullptr, 10);
    least = std::min(least.value_or(value), value);
  }
  return least;
}

Result<std::unique_ptr<CgroupRoot>> OpenCgroups(const Target& target) {
  const std::string whose = target.daemon ? std::to_string(target.daemon->pid) : "self";
  return CgroupRoot::OpenAt(ReadSmallFile("/proc/self/mountinfo"),
                            ReadSmallFile("/proc/" + whose + "/cgroup"));
}

}  // namespace

void CheckDataFolder(const Target& target, Findings& findings) {
  const std::string& path = target.config.data;
  struct stat there {};
  if (stat(path.c_str(), &there) != 0) {
    const int reason = errno;
    const std::string parent = ExistingParent(path);
    if (reason != ENOENT || access(parent.c_str(), W_OK | X_OK) != 0) {
      return findings.Fail("data folder",
                           OsError(path, reason).message + ", and it cannot be created in " + parent,
                           "create it, owned by the daemon's user, or set --data");
    }
    findings.Ok("data folder", path + " does not exist yet: `reeve serve` creates it");
    return CheckRoom("disk", parent, kGiB, findings);
  }
  if (!S_ISDIR(there.st_mode))
    return findings.Fail("data folder", path + " is not a folder", "move it away, or set --data");
  if (there.st_uid != geteuid()) {
    findings.Fail("data folder",
                  path + " belongs to user " + std::to_string(there.st_uid) + ", not to this one",
                  "run doctor as the daemon's user, or chown it");
  }
  if ((there.st_mode & 077) != 0) {
    findings.Fail("data folder", path + " is open to others, and holds logs and tokens", "chmod 700 " + path);
  }
  const auto begin = std::chrono::steady_clock::now();
  const Status written = TryDisk(path);
  const auto took =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begin);
  constexpr std::chrono::milliseconds kSlow{500};
  if (!written) {
    findings.Fail("data folder", written.error().message, "check its owner, its mode and the disk");
  } else if (took > kSlow) {
    findings.Warn("data folder", "an fsync in " + path + " took " + std::to_string(took.count()) + " ms",
                  "put it on a faster disk");
  } else {
    findings.Ok("data folder", path + ": writable, and fsync works");
  }
  CheckRoom("disk", path, kGiB, findings);
}

void CheckListeners(const Target& target, Findings& findings) {
  if (target.daemon) {  // its own settings count, not those of a file that may have changed
    for (const std::string& url : target.daemon->listen)
      findings.Ok("address", url + " is the running daemon's");
    return;
  }
  for (const std::string& url : target.config.listen) {
    const std::string rest = url.substr(url.find("://") + 3);
    if (url.rfind("fd://", 0) == 0) {
      findings.Ok("address", url + " is passed in when the daemon is started");
      continue;
    }
    const int reason = url.rfind("tcp://", 0) == 0 ? TryTcp(rest) : TryUnix(rest);
    if (reason == 0) {
      findings.Ok("address", url + " is free");
    } else if (reason == EADDRINUSE) {
      findings.Fail("address", url + " is in use by another program",
                    "`ss -lntxp` shows which; --listen sets another address");
    } else {
      findings.Fail("address", OsError(url, reason).message, "--listen sets another address");
    }
  }
}

void CheckCgroups(const Target& target, Findings& findings) {
  auto cgroups = OpenCgroups(target);
  if (!cgroups) {
    return findings.Warn(
        "cgroups",
        cgroups.error().message + "; the processes of agents are found by their environment instead",
        "run the daemon as a systemd service with Delegate=yes");
  }
  const std::string& path = (*cgroups)->path();
  findings.Ok("cgroups", "the whole process tree of an agent can be found and killed, below " +
                             fs::path(path).parent_path().string());
  if (access((path + "/memory.events").c_str(), F_OK) != 0) {
    findings.Ok("cgroups", "no memory controller: a kill for lack of memory looks like any other");
  }
}

void CheckLimits(const Target& target, Findings& findings) {
  // An agent needs pipes and log files; a viewer needs a connection.
  constexpr uint64_t kFilesAnAgent = 6;
  constexpr uint64_t kEnoughFiles = 8'192;
  constexpr uint64_t kFewFiles = 512;
  constexpr uint64_t kEnoughProcesses = 1'024;  // an agent has several, threads included
  rlimit files{};
  rlimit processes{};
  const pid_t pid = target.daemon ? target.daemon->pid : 0;
  if (prlimit(pid, RLIMIT_NOFILE, nullptr, &files) != 0 && getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  const std::string room = std::to_string(files.rlim_max) + " open files: room for about " +
                           std::to_string(files.rlim_max / (kFilesAnAgent + 2)) +
                           " agents with two viewers each";
  const char* raise = "LimitNOFILE=65536 in the service, or `ulimit -n` in the shell that starts it";
  if (files.rlim_max < kFewFiles) {
    findings.Fail("limits", room, raise);
  } else if (files.rlim_max < kEnoughFiles) {
    findings.Warn("limits", room, raise);
  } else {
    findings.Ok("limits", room);
  }
  std::optional<uint64_t> most;
  if (geteuid() != 0 && prlimit(pid, RLIMIT_NPROC, nullptr, &processes) == 0 &&
      processes.rlim_cur != RLIM_INFINITY) {
    most = processes.rlim_cur;
  }
  if (auto cgroups = OpenCgroups(target)) {
    if (const auto pids = LeastAbove((*cgroups)->path(), "pids.max"))
      most = std::min(most.value_or(*pids), *pids);
  }
  if (!most) {
    findings.Ok("limits", "processes: no limit but the machine's");
  } else if (*most < kEnoughProcesses) {
    findings.Warn("limits", "at most " + std::to_string(*most) + " processes and threads",
                  "TasksMax=infinity in the service, or `ulimit -u` in the shell that starts it");
  } else {
    findings.Ok("limits", "at most " + std::to_string(*most) + " processes and threads");
  }
}

void CheckGit(Findings& findings) {
  const std::string git = Git::Program();
  if (git.empty()) {
    findings.Warn("git", "not installed: agents cannot have workspaces", "apt install git");
  } else {
    findings.Ok("git", git);
  }
}

void CheckClock(const Target& target, Findings& findings) {
  constexpr int64_t kJumpMs = 500;
  const SystemClock clock;
  const int64_t now = clock.WallMs();
  const std::string time = FormatTime(now);
  const int64_t jump = (now - target.began_wall_ms) - (clock.MonotonicMs() - target.began_ms);
  if (time < "2025" || time > "2100") {
    return findings.Fail("clock", "the time is " + time,
                         "set it: events and scheduled messages depend on it");
  }
  if (std::abs(jump) > kJumpMs) {
    findings.Warn("clock", "it jumped by " + std::to_string(jump) + " ms just now",
                  "find out which program sets it");
  }
  timex state{};  // modes 0: query only
  const int synchronised = adjtimex(&state);
  if (synchronised < 0) {
    findings.Ok("clock", time + "; its synchronisation cannot be checked here");
  } else if (synchronised == TIME_ERROR) {
    findings.Warn("clock", time + ", not synchronised", "`timedatectl set-ntp true`, or chrony");
  } else {
    findings.Ok("clock", time + ", synchronised");
  }
}

void CheckTerminal(Findings& findings) {
  // The locale of the environment; the process itself always prints UTF-8.
  locale_t wanted = newlocale(LC_CTYPE_MASK, "", nullptr);
  const std::string codeset = wanted ? nl_langinfo_l(CODESET, wanted) : "unknown";
  if (wanted) freelocale(wanted);
  const char* terminal = std::getenv("TERM");
  if (codeset != "UTF-8") {
    findings.Warn("terminal", "the character set of its locale is " + codeset + "; reeve prints UTF-8",
                  "export LANG=C.UTF-8");
  } else if (isatty(STDOUT_FILENO) == 1 && (!terminal || !*terminal)) {
    findings.Warn("terminal", "TERM is not set, so its abilities are unknown", "export TERM=xterm-256color");
  } else {
    findings.Ok("terminal", "UTF-8");
  }
}

void CheckTemporary(Findings& findings) {
  const char* variable = std::getenv("TMPDIR");
  const std::string folder = variable && *variable ? variable : "/tmp";
  if (Status written = TryDisk(folder); !written) {
    return findings.Fail("temporary files", written.error().message, "fix the folder, or set TMPDIR");
  }
  CheckRoom("temporary files", folder, kGiB / 4, findings);
}

}  // namespace reeve
