#include "tests/bench/measure.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <utility>

#include "process/fd.h"

namespace reeve::bench {

namespace {

int64_t ReadNs(clockid_t id) {
  timespec now{};
  if (clock_gettime(id, &now) != 0) return 0;
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

}  // namespace

int64_t NowNs() { return ReadNs(CLOCK_MONOTONIC); }

int64_t CpuNs(pid_t pid) {
  clockid_t id{};
  return clock_getcpuclockid(pid, &id) == 0 ? ReadNs(id) : 0;
}

int64_t RssBytes(pid_t pid) {
  std::ifstream statm("/proc/" + std::to_string(pid) + "/statm");
  int64_t total = 0;
  int64_t resident = 0;
  statm >> total >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

int64_t SocketBytes() {
  std::ifstream sockstat("/proc/net/sockstat");
  std::string word;
  while (sockstat >> word && word != "TCP:") {
  }
  while (sockstat >> word && word != "mem") {
  }
  int64_t pages = 0;
  sockstat >> pages;
  return pages * sysconf(_SC_PAGESIZE);
}

std::string SelfPath() { return std::filesystem::read_symlink("/proc/self/exe").string(); }

uint64_t RaiseDescriptorLimit() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

Result<Process> Process::Fork(const std::function<void()>& body) {
  pid_t parent = getpid();
  pid_t pid = fork();
  if (pid < 0) return OsError("fork", errno);
  if (pid > 0) return Process(pid);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);  // it died before that took effect
  body();
  _exit(0);
}

Result<Process> Process::Run(const std::vector<std::string>& argv, int stdin_fd, int stdout_fd,
                             int stderr_fd) {
  std::vector<char*> arguments;
  arguments.reserve(argv.size() + 1);
  for (const std::string& argument : argv) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  return Fork([&] {
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    dup2(stdin_fd < 0 ? null : stdin_fd, STDIN_FILENO);
    dup2(stdout_fd < 0 ? null : stdout_fd, STDOUT_FILENO);
    if (stderr_fd >= 0) dup2(stderr_fd, STDERR_FILENO);
    execv(arguments[0], arguments.data());
    _exit(127);
  });
}

Process& Process::operator=(Process&& other) noexcept {
  if (this != &other) {
    End(0);
    pid_ = std::exchange(other.pid_, -1);
  }
  return *this;
}

bool Process::End(int64_t grace_ms) {
  if (pid_ < 0) return true;
  bool ended = false;
  if (grace_ms > 0) {
    Fd pidfd(static_cast<int>(syscall(SYS_pidfd_open, pid_, 0)));
    kill(pid_, SIGTERM);
    pollfd exited{pidfd.get(), POLLIN, 0};
    ended = poll(&exited, 1, static_cast<int>(grace_ms)) == 1;
  }
  if (!ended) kill(pid_, SIGKILL);
  waitpid(std::exchange(pid_, -1), nullptr, 0);
  return ended || grace_ms == 0;
}

}  // namespace reeve::bench
