#include "process/process_details.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <ctime>

#include "process/fd.h"

namespace reeve {

namespace {

int64_t NowMs(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return int64_t{now.tv_sec} * 1'000 + now.tv_nsec / 1'000'000;
}

// proc(5), /proc/<pid>/stat, field 3.
const char* StateWord(char state) {
  switch (state) {
    case 'R':
      return "running";
    case 'S':
    case 'I':
      return "sleeping";
    case 'D':
      return "waiting";
    case 'T':
    case 't':
      return "stopped";
    case 'Z':
    case 'X':
      return "zombie";
    default:
      return "unknown";
  }
}

std::string CommandOf(pid_t pid, const std::string& name) {
  std::string command(ProcessDetails::kMaxCommandBytes, '\0');
  const Fd file(open(fmt::format("/proc/{}/cmdline", pid).c_str(), O_RDONLY | O_CLOEXEC));
  const ssize_t got = file.valid() ? read(file.get(), command.data(), command.size()) : 0;
  command.resize(got > 0 ? static_cast<size_t>(got) : 0);
  while (!command.empty() && command.back() == '\0') command.pop_back();
  std::replace(command.begin(), command.end(), '\0', ' ');
  return command.empty() ? "[" + name + "]" : command;
}

}  // namespace

// proc(5), /proc/<pid>/stat: fields 3, 4, 14, 15, 22 and 24. The name, field 2, may contain any characters.
std::optional<ProcessDetails> DescribeProcess(const ProcessId& process) {
  const std::string stat = ReadSmallFile(fmt::format("/proc/{}/stat", process.pid));
  const size_t name = stat.find('(');
  const size_t after_name = stat.rfind(')');
  if (name == std::string::npos || after_name == std::string::npos) return std::nullopt;
  ProcessDetails details;
  char state = 0;
  unsigned long user = 0;
  unsigned long system = 0;
  unsigned long long start_time = 0;
  long pages = 0;
  if (std::sscanf(stat.c_str() + after_name + 1,
                  " %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d %*d %*d %*d %llu %*u %ld",
                  &state, &details.ppid, &user, &system, &start_time, &pages) != 6) {
    return std::nullopt;
  }
  if (start_time != process.start_time) return std::nullopt;
  const long ticks = sysconf(_SC_CLK_TCK);
  details.pid = process.pid;
  details.command = CommandOf(process.pid, stat.substr(name + 1, after_name - name - 1));
  const int64_t boot_ms = NowMs(CLOCK_REALTIME) - NowMs(CLOCK_BOOTTIME);
  details.started_ms = boot_ms + static_cast<int64_t>(start_time) * 1'000 / ticks;
  details.cpu_ms = (user + system) * 1'000 / static_cast<unsigned long>(ticks);
  details.rss_bytes = pages * sysconf(_SC_PAGESIZE);
  details.state = StateWord(state);
  // The arguments are those of that process only if it is still there.
  return StartTime(process.pid) == process.start_time ? std::optional(details) : std::nullopt;
}

std::optional<int> ParseSignal(std::string_view text) {
  int number = 0;
  const char* end = text.data() + text.size();
  if (auto [at, error] = std::from_chars(text.data(), end, number); error == std::errc() && at == end)
    return number >= 1 && number <= SIGRTMAX ? std::optional(number) : std::nullopt;
  if (text.starts_with("SIG")) text.remove_prefix(3);
  for (int signum = 1; signum < SIGRTMIN; ++signum) {
    const char* name = sigabbrev_np(signum);
    if (name && text == name) return signum;
  }
  return std::nullopt;
}

std::string NameOfSignal(int signum) {
  const char* name = sigabbrev_np(signum);
  return name ? name : std::to_string(signum);
}

}  // namespace reeve
