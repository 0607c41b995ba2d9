#include "tests/bench/measure.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
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

struct Pages {  // in bytes
  int64_t resident = 0;
  int64_t of_files = 0;
};

Pages ReadPages(pid_t pid) {
  std::ifstream statm("/proc/" + std::to_string(pid) + "/statm");
  int64_t total = 0;
  Pages pages;
  statm >> total >> pages.resident >> pages.of_files;
  pages.resident *= sysconf(_SC_PAGESIZE);
  pages.of_files *= sysconf(_SC_PAGESIZE);
  return pages;
}

// The sum of the numbers in the lines of a file of /proc that begin so.
int64_t SumOf(const std::string& path, std::string_view start) {
  std::ifstream file(path);
  int64_t sum = 0;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(start)) sum += std::strtoll(line.c_str() + line.find(':') + 1, nullptr, 10);
  }
  return sum;
}

// The kernel memory of the socket that `message` describes (sock_diag(7), INET_DIAG_SKMEMINFO).
int64_t ChargedBytes(const nlmsghdr* message, const inet_diag_msg* socket) {
  const auto* attribute = reinterpret_cast<const rtattr*>(socket + 1);
  auto left = static_cast<int>(message->nlmsg_len - NLMSG_LENGTH(sizeof *socket));
  for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
    if (attribute->rta_type != INET_DIAG_SKMEMINFO) continue;
    const auto* memory = static_cast<const uint32_t*>(RTA_DATA(attribute));
    return int64_t{memory[SK_MEMINFO_RMEM_ALLOC]} + memory[SK_MEMINFO_WMEM_QUEUED] +
           memory[SK_MEMINFO_FWD_ALLOC];
  }
  return 0;
}

}  // namespace

int64_t NowNs() { return ReadNs(CLOCK_MONOTONIC); }

int64_t CpuNs(pid_t pid) {
  clockid_t id{};
  return clock_getcpuclockid(pid, &id) == 0 ? ReadNs(id) : 0;
}

int64_t RssBytes(pid_t pid) { return ReadPages(pid).resident; }

int64_t OwnBytes(pid_t pid) {
  Pages pages = ReadPages(pid);
  return pages.resident - pages.of_files;
}

int64_t PrivateBytes(pid_t pid) {
  return 1024 * SumOf("/proc/" + std::to_string(pid) + "/smaps_rollup", "Private_");
}

int64_t Wakeups(pid_t pid) {
  return SumOf("/proc/" + std::to_string(pid) + "/status", "voluntary_ctxt_switches:");
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

SocketEnds SocketBytesOf(uint16_t port) {
  struct {
    nlmsghdr header;
    inet_diag_req_v2 body;
  } request{};
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request.body.sdiag_family = AF_INET;
  request.body.sdiag_protocol = IPPROTO_TCP;
  request.body.idiag_ext = 1U << (INET_DIAG_SKMEMINFO - 1);
  request.body.idiag_states = ~0U;
  Fd netlink(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
  send(netlink.get(), &request, sizeof request, 0);

  SocketEnds ends;
  alignas(nlmsghdr) char answer[size_t{64} << 10];
  while (true) {
    ssize_t left = recv(netlink.get(), answer, sizeof answer, 0);
    if (left <= 0) return ends;
    for (const auto* message = reinterpret_cast<const nlmsghdr*>(answer); NLMSG_OK(message, left);
         message = NLMSG_NEXT(message, left)) {
      if (message->nlmsg_type != SOCK_DIAG_BY_FAMILY) return ends;  // done, or an error
      const auto* socket = static_cast<const inet_diag_msg*>(NLMSG_DATA(message));
      if (socket->id.idiag_sport == htons(port)) ends.server += ChargedBytes(message, socket);
      if (socket->id.idiag_dport == htons(port)) ends.clients += ChargedBytes(message, socket);
    }
  }
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
