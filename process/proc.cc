#include "process/proc.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <memory>
#include <string_view>

#include "process/fd.h"

namespace reeve {

namespace {

// Calls on_number(pid_t) for each entry of `folder` that is a number: a process, or a thread.
template <typename OnNumber>
void EachNumber(const std::string& folder, OnNumber on_number) {
  std::unique_ptr<DIR, int (*)(DIR*)> dir(opendir(folder.c_str()), closedir);
  if (!dir) return;
  while (const dirent* entry = readdir(dir.get())) {
    std::string_view name(entry->d_name);
    pid_t number = 0;
    if (std::from_chars(name.data(), name.data() + name.size(), number).ec == std::errc()) on_number(number);
  }
}

// During an exec a process has neither arguments nor environment for some microseconds, so we look again at a
// process without arguments. A process that has arguments now either wiped its environment, or has just got
// both.
std::string Environment(pid_t pid) {
  std::string path = fmt::format("/proc/{}/environ", pid);
  for (int look = 0; look < 10; ++look) {
    std::string environment = ReadSmallFile(path);
    if (!environment.empty()) return environment;
    if (!ReadSmallFile(fmt::format("/proc/{}/cmdline", pid)).empty()) break;
    usleep(50);
  }
  std::string environment;  // if the main thread has ended, its other threads still show it
  EachNumber(fmt::format("/proc/{}/task", pid), [&environment, pid](pid_t thread) {
    if (environment.empty())
      environment = ReadSmallFile(fmt::format("/proc/{}/task/{}/environ", pid, thread));
  });
  return environment;
}

// Whether `environment`, whose entries end in NUL, holds `marker`.
bool Holds(std::string_view environment, std::string_view marker) {
  while (!environment.empty() && !marker.empty()) {
    size_t end = environment.find('\0');
    if (environment.substr(0, end) == marker) return true;
    if (end == std::string_view::npos) return false;
    environment.remove_prefix(end + 1);
  }
  return false;
}

}  // namespace

std::string ReadSmallFile(const std::string& path) {
  std::string text;
  Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return text;
  char buffer[4096];  // the kernel fills these files a page at a time
  for (;;) {
    ssize_t got = read(file.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return text;
    text.append(buffer, static_cast<size_t>(got));
  }
}

std::optional<ProcessStat> StatProcess(pid_t pid) {
  std::string text = ReadSmallFile(fmt::format("/proc/{}/stat", pid));
  size_t open_paren = text.find('(');
  size_t close_paren = text.rfind(')');  // a name may contain parentheses
  if (open_paren == std::string::npos || close_paren == std::string::npos) return {};
  ProcessStat stat;
  char state = 0;
  long threads = 0;
  unsigned long long start_time = 0;
  unsigned long memory = 0;
  int fields =
      std::sscanf(text.c_str() + close_paren + 1,
                  " %c %d %d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %ld %*d %llu %lu",
                  &state, &stat.ppid, &stat.group, &threads, &start_time, &memory);
  if (fields != 6) return {};
  stat.id = {pid, start_time};
  stat.zombie = state == 'X' || (state == 'Z' && threads <= 1);  // a main thread may end before the others
  stat.ending = stat.zombie || (memory == 0 && threads <= 1);
  stat.name = text.substr(open_paren + 1, close_paren - open_paren - 1);
  return stat;
}

uint64_t StartTime(pid_t pid) {
  auto stat = StatProcess(pid);
  return stat ? stat->id.start_time : 0;
}

std::vector<pid_t> ParsePids(const std::string& text) {
  std::vector<pid_t> pids;
  const char* at = text.data();
  const char* end = at + text.size();
  pid_t pid = 0;
  while (at < end) {
    auto [next, error] = std::from_chars(at, end, pid);
    if (error != std::errc()) break;
    pids.push_back(pid);
    at = next < end ? next + 1 : end;
  }
  return pids;
}

std::vector<pid_t> ChildrenOf(pid_t pid) {
  std::vector<pid_t> children;
  EachNumber(fmt::format("/proc/{}/task", pid), [&children, pid](pid_t thread) {
    for (pid_t child : ParsePids(ReadSmallFile(fmt::format("/proc/{}/task/{}/children", pid, thread)))) {
      children.push_back(child);
    }
  });
  return children;
}

std::vector<ProcessId> Descendants(pid_t root) {
  std::vector<ProcessId> found;
  std::vector<pid_t> open{root};
  while (!open.empty()) {
    pid_t pid = open.back();
    open.pop_back();
    auto stat = StatProcess(pid);
    if (!stat || stat->zombie) continue;
    found.push_back(stat->id);
    for (pid_t child : ChildrenOf(pid)) open.push_back(child);
  }
  return found;
}

bool HasMarker(pid_t pid, const std::string& marker) {
  return !marker.empty() && Holds(Environment(pid), marker);
}

std::vector<ProcessId> AllWithMarker(const std::string& marker) {
  std::vector<ProcessId> found;
  EachNumber("/proc", [&found, &marker](pid_t pid) {
    if (pid == getpid() || !Holds(ReadSmallFile(fmt::format("/proc/{}/environ", pid)), marker)) return;
    auto stat = StatProcess(pid);
    if (stat && !stat->zombie) found.push_back(stat->id);
  });
  return found;
}

bool SignalProcess(const ProcessId& process, int signum) {
  Fd pidfd(static_cast<int>(syscall(SYS_pidfd_open, process.pid, 0)));
  // The order matters: the pidfd was taken first, so if the pid has our start time now, the pidfd names that
  // process too.
  if (!pidfd.valid() || StartTime(process.pid) != process.start_time) return false;
  return syscall(SYS_pidfd_send_signal, pidfd.get(), signum, nullptr, 0) == 0;
}

}  // namespace reeve
