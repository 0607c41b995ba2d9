#include "process/spawn.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <grp.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <string_view>

namespace reeve {

namespace {

// The path that execvp uses when there is no PATH, without the current folder.
constexpr std::string_view kDefaultPath = "/usr/local/bin:/usr/bin:/bin";
constexpr uint64_t kDefaultOpenFiles = 1024;  // programs that use select() break with more

enum class Step : int {
  kNone,
  kGroup,
  kCgroup,
  kOpenFiles,
  kUser,
  kPrivileges,
  kParentDeath,
  kFolder,
  kPipes,
  kDescriptor3,
  kExec
};

// The fault of the program, where errno does not say it.
enum class ExecFailure : int { kErrno, kDirectory, kNotExecutable, kNoInterpreter, kNoProgram };

// Everything that the child needs, prepared before the child exists. The child shares our memory, so it must
// not allocate, lock or change anything but `failed` and `error`.
struct Plan {
  char* const* argv;
  char* const* env;
  char** shell_argv;            // "/bin/sh", a script, and argv from its second word
  const char* const* programs;  // the paths to try to execute, in order; ends in null
  const char* folder;           // null: our own folder
  int fds[3];                   // all above 2
  int descriptor_3;             // -1: none
  int cgroup;                   // folder to enter, or -1
  rlim_t open_files;
  rlim_t open_files_hard;
  const SpawnSpec::User* user;
  const gid_t* groups;
  size_t group_count;
  bool no_new_privs;
  bool die_with_parent;
  pid_t parent;
  volatile Step failed;
  volatile int error;
  volatile ExecFailure why;  // of kExec
};

// The child's frames lie on our stack and never return, so AddressSanitizer would keep them marked.
#define IN_CHILD __attribute__((noinline, no_sanitize("address")))

[[noreturn]] IN_CHILD void Fail(Plan& plan, Step step, int error) {
  plan.failed = step;
  plan.error = error;
  _exit(127);
}

// Our signal handlers must be removed before signals are let in, because they would run on our memory.
IN_CHILD void ResetSignals() {
  struct sigaction old;
  struct sigaction fresh;
  memset(&fresh, 0, sizeof fresh);
  fresh.sa_handler = SIG_DFL;
  for (int signum = 1; signum < _NSIG; ++signum) {
    if (sigaction(signum, nullptr, &old) == 0 && old.sa_handler != SIG_DFL)
      sigaction(signum, &fresh, nullptr);
  }
}

// Uses raw system calls, because glibc's functions would change the user of the daemon's threads too.
IN_CHILD void BecomeUser(Plan& plan) {
  const SpawnSpec::User& user = *plan.user;
  if (syscall(SYS_setgroups, plan.group_count, plan.groups) != 0 ||
      syscall(SYS_setresgid, user.gid, user.gid, user.gid) != 0 ||
      syscall(SYS_setresuid, user.uid, user.uid, user.uid) != 0) {
    Fail(plan, Step::kUser, errno);
  }
}

// Whether the file is text for a shell: no machine code (ELF, or with NUL bytes at its beginning).
IN_CHILD bool IsText(const char* path) {
  char begin[128];
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  const ssize_t size = read(file, begin, sizeof begin);
  close(file);
  for (ssize_t i = 0; i < size; ++i) {
    if (begin[i] == '\0') return false;
  }
  return size >= 0 &&
         !(size >= 4 && begin[0] == 0x7f && begin[1] == 'E' && begin[2] == 'L' && begin[3] == 'F');
}

// Why the kernel refused this file. The child looks, because it may be another user, in another folder.
IN_CHILD ExecFailure WhyRefused(const char* path, int error) {
  struct stat file;
  if (stat(path, &file) != 0) return ExecFailure::kErrno;
  if (S_ISDIR(file.st_mode)) return ExecFailure::kDirectory;
  if (error == ENOENT || error == ENOTDIR) return ExecFailure::kNoInterpreter;
  if (error == ENOEXEC) return ExecFailure::kNoProgram;
  // faccessat2 takes the effective user; before Linux 5.8 it fails with ENOSYS.
  const bool no_right = syscall(SYS_faccessat2, AT_FDCWD, path, X_OK, AT_EACCESS) != 0 && errno == EACCES;
  return error == EACCES && no_right ? ExecFailure::kNotExecutable : ExecFailure::kErrno;
}

// Works as execvp does: skips a candidate that does not exist, remembers one that we may not execute, and
// gives a file that the kernel cannot execute to the shell.
[[noreturn]] IN_CHILD void Execute(Plan& plan) {
  int error = ENOENT;
  for (const char* const* program = plan.programs; *program; ++program) {
    execve(*program, plan.argv, plan.env);
    int refused = errno;
    if (refused == ENOEXEC && IsText(*program)) {
      plan.shell_argv[1] = const_cast<char*>(*program);
      execve(plan.shell_argv[0], plan.shell_argv, plan.env);
      refused = errno;
    }
    const ExecFailure why = WhyRefused(*program, refused);
    const bool missing = (refused == ENOENT || refused == ENOTDIR) && why == ExecFailure::kErrno;
    if (missing) continue;
    if (error == ENOENT || refused != EACCES) {
      error = refused;
      plan.why = why;
    }
    if (refused != EACCES) break;
  }
  Fail(plan, Step::kExec, error);
}

// The order matters. The cgroup and the limits come before the user, who may lose the right to set them.
// pdeathsig comes after the user, because changing the user clears pdeathsig. Signals come last.
[[noreturn]] IN_CHILD void RunChild(Plan& plan) {
  ResetSignals();
  if (setpgid(0, 0) != 0) Fail(plan, Step::kGroup, errno);
  if (plan.cgroup >= 0) {
    int procs = openat(plan.cgroup, "cgroup.procs", O_WRONLY | O_CLOEXEC);
    if (procs < 0 || write(procs, "0", 1) != 1) Fail(plan, Step::kCgroup, errno);
  }
  rlimit open_files;
  open_files.rlim_cur = plan.open_files;
  open_files.rlim_max = plan.open_files_hard;
  if (setrlimit(RLIMIT_NOFILE, &open_files) != 0) Fail(plan, Step::kOpenFiles, errno);
  if (plan.user) BecomeUser(plan);
  if (plan.no_new_privs && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) Fail(plan, Step::kPrivileges, errno);
  if (plan.die_with_parent) {
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) Fail(plan, Step::kParentDeath, errno);
    if (getppid() != plan.parent) _exit(127);  // the parent died first, so pdeathsig will never come
  }
  if (plan.folder && chdir(plan.folder) != 0) Fail(plan, Step::kFolder, errno);
  for (int target = 0; target < 3; ++target) {
    if (dup2(plan.fds[target], target) < 0) Fail(plan, Step::kPipes, errno);
  }
  // All our descriptors are close-on-exec; a library's might not be. Before Linux 5.11 this call fails, which
  // is harmless.
  syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC);
  // Now that nothing else is needed, so that it may replace a descriptor of ours.
  if (plan.descriptor_3 == 3) {
    if (fcntl(3, F_SETFD, 0) != 0) Fail(plan, Step::kDescriptor3, errno);
  } else if (plan.descriptor_3 >= 0) {
    if (dup2(plan.descriptor_3, 3) < 0) Fail(plan, Step::kDescriptor3, errno);
  }
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  Execute(plan);
}

// vfork with two things that glibc's does not do: a pidfd from the start, and birth in a cgroup (moving a
// process there later waits for all CPUs: 20 ms at worst). Returns the pid, or a negative errno. The child
// has no stack of its own, so it must start within this very frame, and only by a call that does not return.
__attribute__((noinline)) long CloneChild(Plan& plan, clone_args& args) {
  long pid = -ENOSYS;
#if defined(__x86_64__)
  __asm__ volatile("syscall"
                   : "=a"(pid)
                   : "a"(SYS_clone3), "D"(&args), "S"(sizeof args)
                   : "rcx", "r11", "memory");
#elif defined(__aarch64__)
  register long number __asm__("x8") = SYS_clone3;
  register long first __asm__("x0") = reinterpret_cast<long>(&args);
  register long second __asm__("x1") = sizeof args;
  __asm__ volatile("svc 0" : "+r"(first) : "r"(number), "r"(second) : "memory");
  pid = first;
#endif
  if (pid == 0) RunChild(plan);
  return pid;
}

// For systems without clone3: other processors, seccomp filters of old container runtimes, valgrind.
__attribute__((noinline)) long VforkChild(Plan& plan) {
  pid_t pid = vfork();           // NOLINT: that is the point of this file
  if (pid == 0) RunChild(plan);  // NOLINT
  return pid < 0 ? -errno : pid;
}

// Blocks all signals while the child runs on our memory.
class BlockSignals {
 public:
  BlockSignals() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old_);
  }
  ~BlockSignals() { pthread_sigmask(SIG_SETMASK, &old_, nullptr); }
  BlockSignals(const BlockSignals&) = delete;
  BlockSignals& operator=(const BlockSignals&) = delete;

 private:
  sigset_t old_;
};

// Returns the pid, or a negative errno. Sets `pidfd` together with the pid.
long Launch(Plan& plan, Fd& pidfd) {
  BlockSignals blocked;
  int raw_pidfd = -1;
  clone_args args{};
  args.flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD;
  args.pidfd = reinterpret_cast<uint64_t>(&raw_pidfd);
  args.exit_signal = SIGCHLD;
  int cgroup = plan.cgroup;
  if (cgroup >= 0) {
    args.flags |= CLONE_INTO_CGROUP;
    args.cgroup = static_cast<uint64_t>(cgroup);
    plan.cgroup = -1;
  }
  long pid = CloneChild(plan, args);
  if (pid == -ENOSYS || pid == -EPERM) {
    plan.cgroup = cgroup;
    pid = VforkChild(plan);
    if (pid > 0) raw_pidfd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  }
  pidfd = Fd(raw_pidfd);
  return pid;
}

// Waits for a process that has ended or is about to.
void Reap(pid_t pid) {
  siginfo_t info{};
  while (waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED) != 0 && errno == EINTR) continue;
}

Error Failed(const std::string& what, int error) {
  Error failure = OsError("", error);
  std::string reason = failure.message.substr(2);
  if (!reason.empty() && reason[0] >= 'A' && reason[0] <= 'Z')
    reason[0] = static_cast<char>(reason[0] - 'A' + 'a');
  return Error{failure.code == "no_descriptors" ? failure.code : "spawn_failed", what + ": " + reason};
}

// Names the step that failed, and its subject.
Error FailedStep(const SpawnSpec& spec, const Plan& plan) {
  switch (plan.failed) {
    case Step::kNone:
      break;
    case Step::kGroup:
      return Failed("setpgid", plan.error);
    case Step::kCgroup:
      return Failed("enter cgroup " + spec.cgroup, plan.error);
    case Step::kOpenFiles:
      return Failed(fmt::format("limit open files to {}", plan.open_files), plan.error);
    case Step::kUser:
      return Failed(fmt::format("become user {}", spec.user->uid), plan.error);
    case Step::kPrivileges:
      return Failed("PR_SET_NO_NEW_PRIVS", plan.error);
    case Step::kParentDeath:
      return Failed("PR_SET_PDEATHSIG", plan.error);
    case Step::kFolder:
      return Failed(spec.cwd, plan.error);
    case Step::kPipes:
      return Failed("dup2", plan.error);
    case Step::kDescriptor3:
      return Failed("descriptor 3", plan.error);
    case Step::kExec:
      break;
  }
  auto program = [&spec](const char* is) { return Error{"spawn_failed", spec.argv[0] + ": " + is}; };
  switch (plan.why) {
    case ExecFailure::kErrno:
      break;
    case ExecFailure::kDirectory:
      return program("is a directory");
    case ExecFailure::kNotExecutable:
      return program("is not executable; chmod +x makes it so");
    case ExecFailure::kNoInterpreter:
      return program("its interpreter is missing (the program after #!, or the dynamic loader)");
    case ExecFailure::kNoProgram:
      return program("is neither a script nor a program for this machine");
  }
  if (plan.error == E2BIG) return program("its arguments and environment are larger than the kernel takes");
  return Failed(spec.argv[0], plan.error);
}

// A pipe whose ends are above 2, so that the child's dup2 cannot overwrite a descriptor that it needs later.
struct Pipe {
  Fd read_end;
  Fd write_end;
};

Result<Fd> AboveStandard(Fd fd) {
  if (fd.get() > 2) return fd;
  Fd higher(fcntl(fd.get(), F_DUPFD_CLOEXEC, 3));
  if (!higher.valid()) return Failed("descriptor", errno);
  return higher;
}

Result<Pipe> MakePipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return Failed("pipe", errno);
  auto read_end = AboveStandard(Fd(ends[0]));
  auto write_end = AboveStandard(Fd(ends[1]));
  if (!read_end) return read_end.error();
  if (!write_end) return write_end.error();
  return Pipe{std::move(*read_end), std::move(*write_end)};
}

// Stands in for the pipe when the child gets no input.
Result<Pipe> NullInput() {
  Fd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (!null.valid()) return Failed("/dev/null", errno);
  auto read_end = AboveStandard(std::move(null));
  if (!read_end) return read_end.error();
  return Pipe{std::move(*read_end), Fd()};
}

Result<Pipe> GivenInput(int fd) {
  Fd given(fcntl(fd, F_DUPFD_CLOEXEC, 3));
  if (!given.valid()) return Failed("stdin", errno);
  return Pipe{std::move(given), Fd()};
}

std::string_view Value(const std::vector<std::string>& env, std::string_view name) {
  for (std::string_view entry : env) {
    if (entry.substr(0, name.size()) == name && entry.substr(name.size(), 1) == "=")
      return entry.substr(name.size() + 1);
  }
  return {};
}

// The places where `program` may be, in the order of `path`. An empty entry is the current folder (POSIX).
std::vector<std::string> Candidates(const std::string& program, std::string_view path) {
  if (program.find('/') != std::string::npos) return {program};
  std::vector<std::string> candidates;
  if (path.empty()) path = kDefaultPath;
  for (;;) {
    size_t colon = path.find(':');
    std::string_view folder = path.substr(0, colon);
    candidates.push_back(fmt::format("{}/{}", folder.empty() ? "." : folder, program));
    if (colon == std::string_view::npos) return candidates;
    path.remove_prefix(colon + 1);
  }
}

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
  for (const std::string& string : strings) pointers.push_back(const_cast<char*>(string.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

Status CheckStrings(const SpawnSpec& spec) {
  auto has_nul = [](const std::string& text) { return text.find('\0') != std::string::npos; };
  if (spec.argv.empty() || spec.argv[0].empty()) return Error{"spawn_failed", "no program given"};
  if (std::any_of(spec.argv.begin(), spec.argv.end(), has_nul)) {
    return Error{"spawn_failed", "an argument holds a NUL byte"};
  }
  if (std::any_of(spec.env.begin(), spec.env.end(), has_nul)) {
    return Error{"spawn_failed", "an environment entry holds a NUL byte"};
  }
  return {};
}

}  // namespace

void SpawnSpec::SetEnv(const std::string& name, const std::string& value, IfSet if_set) {
  const auto is_it = [start = name + "="](const std::string& entry) { return entry.starts_with(start); };
  if (if_set == IfSet::kKeep && std::any_of(env.begin(), env.end(), is_it)) return;
  std::erase_if(env, is_it);
  std::string entry = name;
  env.push_back(entry.append("=").append(value));
}

std::string FindProgram(const std::string& program, const std::string& path) {
  if (program.empty()) return {};
  for (std::string& candidate : Candidates(program, path)) {
    struct stat file {};
    bool regular = stat(candidate.c_str(), &file) == 0 && S_ISREG(file.st_mode);
    if (regular && access(candidate.c_str(), X_OK) == 0) return std::move(candidate);
  }
  return {};
}

std::string WhyNotFound(const std::string& program, const std::string& path) {
  std::string why = "was not found";
  for (const std::string& candidate : Candidates(program, path)) {
    struct stat file {};
    const bool there = stat(candidate.c_str(), &file) == 0;
    // A folder on PATH that is named like the program is not meant.
    if (there && S_ISREG(file.st_mode)) return "is not executable; chmod +x " + candidate + " makes it so";
    if (there && candidate == program && S_ISDIR(file.st_mode)) return "is a directory";
    if (!there && errno != ENOENT && errno != ENOTDIR)
      why = "cannot be reached: " + Failed("", errno).message.substr(2);
  }
  return why;
}

Result<ChildStdio> MakeStdio(const SpawnSpec& spec) {
  auto input = spec.stdin_from >= 0 ? GivenInput(spec.stdin_from)
               : spec.stdin_pipe    ? MakePipe()
                                    : NullInput();
  auto output = MakePipe();
  auto errors = MakePipe();
  if (!input) return input.error();
  if (!output) return output.error();
  if (!errors) return errors.error();
  ChildStdio stdio;
  stdio.child = {std::move(input->read_end), std::move(output->write_end), std::move(errors->write_end)};
  stdio.stdin_fd = std::move(input->write_end);
  stdio.stdout_fd = std::move(output->read_end);
  stdio.stderr_fd = std::move(errors->read_end);
  for (const Fd* fd : {&stdio.stdin_fd, &stdio.stdout_fd, &stdio.stderr_fd}) {
    if (fd->valid()) fcntl(fd->get(), F_SETFL, O_NONBLOCK);
  }
  return stdio;
}

Result<Started> SpawnWith(const SpawnSpec& spec, const std::array<int, 3>& stdio) {
  if (auto checked = CheckStrings(spec); !checked) return checked.error();

  Plan plan{};
  std::array<Fd, 3> higher;
  for (size_t i = 0; i < stdio.size(); ++i) {
    plan.fds[i] = stdio[i];
    if (stdio[i] > 2) continue;
    higher[i] = Fd(fcntl(stdio[i], F_DUPFD_CLOEXEC, 3));
    if (!higher[i].valid()) return Failed("descriptor", errno);
    plan.fds[i] = higher[i].get();
  }
  plan.descriptor_3 = spec.descriptor_3;
  Fd cgroup;
  if (!spec.cgroup.empty()) {
    cgroup = Fd(open(spec.cgroup.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!cgroup.valid()) return Failed("cgroup " + spec.cgroup, errno);
  }

  std::vector<char*> argv = Pointers(spec.argv);
  std::vector<char*> env = Pointers(spec.env);
  std::string shell = "/bin/sh";
  std::vector<char*> shell_argv = argv;
  shell_argv.insert(shell_argv.begin(), shell.data());
  std::vector<std::string> candidates = Candidates(spec.argv[0], Value(spec.env, "PATH"));
  std::vector<char*> programs = Pointers(candidates);
  rlimit open_files{};
  getrlimit(RLIMIT_NOFILE, &open_files);

  plan.argv = argv.data();
  plan.env = env.data();
  plan.shell_argv = shell_argv.data();
  plan.programs = programs.data();
  plan.folder = spec.cwd.empty() ? nullptr : spec.cwd.c_str();
  plan.cgroup = cgroup.get();
  plan.open_files = std::min<rlim_t>(spec.max_open_files.value_or(kDefaultOpenFiles), open_files.rlim_max);
  plan.open_files_hard = open_files.rlim_max;
  if (spec.user) {
    plan.user = &*spec.user;
    plan.groups = spec.user->groups.data();
    plan.group_count = spec.user->groups.size();
  }
  plan.no_new_privs = spec.no_new_privs;
  plan.die_with_parent = spec.die_with_parent;
  plan.parent = getpid();

  Started child;
  long pid = Launch(plan, child.pidfd);
  if (pid < 0)
    return Failed(spec.cgroup.empty() ? "clone" : "clone into cgroup " + spec.cgroup, static_cast<int>(-pid));
  child.pid = static_cast<pid_t>(pid);
  if (plan.failed != Step::kNone) {
    Reap(child.pid);
    return FailedStep(spec, plan);
  }
  if (!child.pidfd.valid()) {
    int error = errno;
    kill(child.pid, SIGKILL);
    Reap(child.pid);
    return Failed("pidfd_open", error);
  }
  return child;
}

Result<Spawned> Spawn(const SpawnSpec& spec) {
  auto stdio = MakeStdio(spec);
  if (!stdio) return stdio.error();
  auto started = SpawnWith(spec, {stdio->child[0].get(), stdio->child[1].get(), stdio->child[2].get()});
  if (!started) return started.error();
  return Spawned{started->pid, std::move(started->pidfd), std::move(stdio->stdin_fd),
                 std::move(stdio->stdout_fd), std::move(stdio->stderr_fd)};
}

}  // namespace reeve
