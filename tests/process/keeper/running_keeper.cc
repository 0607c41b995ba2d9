#include "tests/process/keeper/running_keeper.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>

#include "process/proc.h"
#include "tests/support/daemon.h"
#include "tests/support/paths.h"

namespace reeve {

namespace {

constexpr int kLineTimeoutMs = 20'000;

// As fork(), in new namespaces. -1: the kernel refuses.
pid_t ForkInNamespaces(uint64_t flags) {
  clone_args args{};
  args.flags = flags;
  args.exit_signal = SIGCHLD;
  return static_cast<pid_t>(syscall(SYS_clone3, &args, sizeof args));
}

std::vector<char*> Words(std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

RunningKeeper::RunningKeeper(const Options& options) {
  std::vector<std::string> words = {options.binary.empty() ? kKeeperBinary : options.binary};
  words.insert(words.end(), options.arguments.begin(), options.arguments.end());
  words.emplace_back("--");
  if (options.program.empty()) words.emplace_back(kPuppetDaemon);
  words.insert(words.end(), options.program.begin(), options.program.end());
  std::vector<std::string> environment = options.environment;
  for (const char* name : {"PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"}) {
    if (const char* value = std::getenv(name)) environment.push_back(std::string(name) + "=" + value);
  }
  const std::vector<char*> argv = Words(words);
  const std::vector<char*> envp = Words(environment);
  const std::string log = folder_.path() + "/log";
  int in[2];
  int out[2];
  if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0) return;
  input_ = Fd(in[1]);
  output_ = Fd(out[0]);
  const Fd stdin_end(in[0]);
  const Fd stdout_end(out[1]);
  const Fd stderr_end(open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  const uint64_t flags = options.pid_namespace ? CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS : 0;
  pid_ = ForkInNamespaces(flags);
  if (pid_ != 0) return;
  if (options.pid_namespace) {
    // /proc must be that of the namespace, as every container has it.
    if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount("proc", "/proc", "proc", 0, nullptr) != 0)
      _exit(99);
  }
  setpgid(0, 0);  // as a shell does
  dup2(stdin_end.get(), 0);
  dup2(stdout_end.get(), 1);
  dup2(stderr_end.get(), 2);
  execve(argv[0], argv.data(), envp.data());
  _exit(98);
}

RunningKeeper::~RunningKeeper() {
  if (pid_ <= 0) return;
  const std::vector<ProcessId> all = Descendants(pid_);
  kill(pid_, SIGKILL);
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) continue;
  for (const ProcessId& process : all) SignalProcess(process, SIGKILL);
}

void RunningKeeper::Say(const std::string& line) const {
  const std::string whole = line + "\n";
  ASSERT_EQ(write(input_.get(), whole.data(), whole.size()), static_cast<ssize_t>(whole.size()));
}

std::string RunningKeeper::Line() {
  for (;;) {
    if (const size_t end = read_.find('\n'); end != std::string::npos) {
      std::string line = read_.substr(0, end);
      read_.erase(0, end + 1);
      return line;
    }
    pollfd waiting{output_.get(), POLLIN, 0};
    if (poll(&waiting, 1, kLineTimeoutMs) != 1) return "<timed out>";
    char buffer[4096];
    const ssize_t got = read(output_.get(), buffer, sizeof buffer);
    if (got <= 0) return "<closed>";
    read_.append(buffer, static_cast<size_t>(got));
  }
}

std::string RunningKeeper::Ask(const std::string& line) {
  Say(line);
  return Line();
}

pid_t RunningKeeper::Begun(std::string* line) {
  const std::string begun = Line();
  EXPECT_EQ(begun.rfind("begun ", 0), 0U) << begun << "\n" << log();
  if (line) *line = begun;
  return begun.rfind("begun ", 0) == 0 ? std::atoi(begun.c_str() + 6) : -1;
}

pid_t RunningKeeper::BegunAndReady() {
  const pid_t daemon = Begun();
  EXPECT_EQ(Ask("ready"), "ok");
  return daemon;
}

pid_t RunningKeeper::Spawn(const std::string& script) {
  const std::string spawned = Ask("spawn " + script);
  EXPECT_EQ(spawned.rfind("spawned ", 0), 0U) << spawned;
  return spawned.rfind("spawned ", 0) == 0 ? std::atoi(spawned.c_str() + 8) : -1;
}

pid_t RunningKeeper::Run(const std::string& script) {
  Say("run " + script);
  pid_t printed = -1;
  for (int i = 0; i < 2; ++i) {  // in any order
    const std::string line = Line();
    if (line.rfind("spawned ", 0) != 0) printed = std::atoi(line.c_str());
  }
  return printed;
}

void RunningKeeper::Signal(int signum) const { kill(pid_, signum); }

int RunningKeeper::Wait() {
  int status = 0;
  if (!Eventually([&] { return waitpid(pid_, &status, WNOHANG) == pid_; })) return -1000;
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

std::string RunningKeeper::log() const { return ReadFile(folder_.path() + "/log"); }

}  // namespace reeve
