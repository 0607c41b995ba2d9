#include "process/spawn.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

#include <csignal>
#include <cstddef>

#include "process/cgroup.h"
#include "tests/process/processes.h"
#include "tests/support/loop_fixture.h"

namespace reeve {
namespace {

using ::testing::HasSubstr;

// The output of the child; asserts that it ended well.
std::string OutputOf(const SpawnSpec& spec) {
  auto child = Spawn(spec);
  EXPECT_TRUE(child.ok()) << child.error().message;
  if (!child.ok()) return {};
  std::string text = ReadToEnd(child->stdout_fd.get());
  std::string errors = ReadToEnd(child->stderr_fd.get());
  EXPECT_EQ(Wait(child->pid), 0) << errors;
  return text;
}

std::string ErrorOf(const SpawnSpec& spec) {
  size_t descriptors = OpenDescriptors();
  auto child = Spawn(spec);
  EXPECT_FALSE(child.ok());
  EXPECT_EQ(OpenDescriptors(), descriptors);
  EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1) << "a zombie is left";
  if (child.ok()) return {};
  EXPECT_EQ(child.error().code, "spawn_failed");
  return child.error().message;
}

void MakeProgram(const std::string& path, const std::string& text, mode_t mode = 0755) {
  WriteFile(path, text);
  ASSERT_EQ(chmod(path.c_str(), mode), 0);
}

TEST(Spawn, TheEnvironmentIsExactlyWhatWasGiven) {
  SpawnSpec spec;
  spec.argv = {"/usr/bin/env"};
  spec.env = {"B=2", "A=one word", "EMPTY="};
  EXPECT_EQ(OutputOf(spec), "B=2\nA=one word\nEMPTY=\n");
}

TEST(Spawn, ArgumentsArriveAsTheyAre) {
  SpawnSpec spec;
  spec.argv = {"/usr/bin/printf", "<%s>", "", "a b", "--x=\"y\"", "\xff"};
  EXPECT_EQ(OutputOf(spec), "<><a b><--x=\"y\"><\xff>");
}

TEST(Spawn, TheFolderIsWhatWasGiven) {
  TempDir folder;
  SpawnSpec spec = Shell("pwd -P");
  spec.cwd = folder.path();
  EXPECT_EQ(OutputOf(spec), folder.path() + "\n");
}

TEST(Spawn, GivesOneMoreDescriptor) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const Fd read_end(ends[0]);
  const Fd write_end(ends[1]);
  ASSERT_EQ(write(write_end.get(), "given\n", 6), 6);
  SpawnSpec spec = Shell("head -n 1 <&3; cd /proc/self/fd && echo [0-9]*");
  spec.descriptor_3 = read_end.get();
  EXPECT_EQ(OutputOf(spec), "given\n0 1 2 3 4\n");  // 4 is what the shell reads
}

TEST(Spawn, TakesAnyDescriptorsOfTheCaller) {
  auto stdio = MakeStdio(Shell(""));
  ASSERT_TRUE(stdio.ok());
  auto child = SpawnWith(Shell("echo out; echo error >&2"),
                         {STDIN_FILENO, stdio->child[1].get(), stdio->child[2].get()});
  ASSERT_TRUE(child.ok()) << child.error().message;
  EXPECT_EQ(Wait(child->pid), 0);
  EXPECT_EQ(fcntl(stdio->child[1].get(), F_GETFD), FD_CLOEXEC) << "it stays the caller's";
  for (Fd& fd : stdio->child) fd.Close();
  EXPECT_EQ(ReadToEnd(stdio->stdout_fd.get()), "out\n");
  EXPECT_EQ(ReadToEnd(stdio->stderr_fd.get()), "error\n");
}

TEST(Spawn, LeadsAGroupOfItsOwn) {
  auto child = Spawn(Shell("exec sleep 1000"));
  ASSERT_TRUE(child.ok());
  EXPECT_EQ(getpgid(child->pid), child->pid);
  kill(child->pid, SIGKILL);
  EXPECT_EQ(Wait(child->pid), -SIGKILL);
}

TEST(Spawn, NoDescriptorOfOursReachesTheChild) {
  Fd leaky(fcntl(STDERR_FILENO, F_DUPFD, 50));  // not close-on-exec, as a careless library opens it
  ASSERT_GE(leaky.get(), 50);
  SpawnSpec spec = Shell("cd /proc/self/fd && exec /bin/ls");
  EXPECT_EQ(OutputOf(spec), "0\n1\n2\n3\n");  // 3 is what ls reads
}

TEST(Spawn, OurEndsAreNonBlockingAndCloseOnExec) {
  SpawnSpec spec = Shell("exec cat");
  spec.stdin_pipe = true;
  auto child = Spawn(spec);
  ASSERT_TRUE(child.ok());
  for (const Fd* fd : {&child->stdin_fd, &child->stdout_fd, &child->stderr_fd}) {
    EXPECT_TRUE(fcntl(fd->get(), F_GETFL) & O_NONBLOCK);
    EXPECT_TRUE(fcntl(fd->get(), F_GETFD) & FD_CLOEXEC);
  }
  EXPECT_TRUE(fcntl(child->pidfd.get(), F_GETFD) & FD_CLOEXEC);
  child->stdin_fd.Close();
  EXPECT_EQ(Wait(child->pid), 0);
}

TEST(Spawn, InputIsEmptyUnlessAskedFor) {
  auto child = Spawn(Shell("cat; echo end"));
  ASSERT_TRUE(child.ok());
  EXPECT_FALSE(child->stdin_fd.valid());
  EXPECT_EQ(ReadToEnd(child->stdout_fd.get()), "end\n");
  EXPECT_EQ(Wait(child->pid), 0);
}

TEST(Spawn, SignalsStartFresh) {
  signal(SIGPIPE, SIG_IGN);
  signal(SIGUSR1, SIG_IGN);
  signal(SIGUSR2, [](int) {});
  sigset_t blocked;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  sigprocmask(SIG_BLOCK, &blocked, nullptr);
  SpawnSpec spec;
  spec.argv = {"/bin/cat", "/proc/self/status"};
  EXPECT_THAT(OutputOf(spec), HasSubstr("SigBlk:\t0000000000000000\n"
                                        "SigIgn:\t0000000000000000\n"
                                        "SigCgt:\t0000000000000000\n"));
  sigprocmask(SIG_UNBLOCK, &blocked, nullptr);
  signal(SIGUSR1, SIG_DFL);
  signal(SIGUSR2, SIG_DFL);
}

volatile sig_atomic_t handled = 0;
volatile sig_atomic_t handled_in_child = 0;
pid_t handler_home = 0;

TEST(Spawn, AStormOfSignalsNeverRunsOurHandlersInTheChild) {
  handler_home = getpid();
  signal(SIGALRM, [](int) {
    handled = 1;
    if (getpid() != handler_home) handled_in_child = 1;  // on our memory, were it to happen
  });
  itimerval often{{0, 50}, {0, 50}};
  setitimer(ITIMER_REAL, &often, nullptr);
  for (int i = 0; i < 200; ++i) {
    auto child = Spawn(Shell("exit 9"));
    ASSERT_TRUE(child.ok()) << child.error().message;
    ASSERT_EQ(Wait(child->pid), 9);
  }
  itimerval off{};
  setitimer(ITIMER_REAL, &off, nullptr);
  signal(SIGALRM, SIG_DFL);
  EXPECT_TRUE(handled);
  EXPECT_FALSE(handled_in_child);
}

TEST(Spawn, AMissingProgramIsNamed) {
  SpawnSpec spec;
  spec.argv = {"no-such-program"};
  EXPECT_EQ(ErrorOf(spec), "no-such-program: no such file or directory");
  spec.argv = {"/nowhere/program"};
  EXPECT_EQ(ErrorOf(spec), "/nowhere/program: no such file or directory");
}

TEST(Spawn, AMissingFolderIsNamed) {
  SpawnSpec spec = Shell("true");
  spec.cwd = "/no/such/folder";
  EXPECT_EQ(ErrorOf(spec), "/no/such/folder: no such file or directory");
}

TEST(Spawn, WhatMayNotBeExecutedIsNamed) {
  TempDir folder;
  MakeProgram(folder.path() + "/plain", "#!/bin/sh\n", 0644);
  SpawnSpec spec;
  spec.argv = {folder.path() + "/plain"};
  EXPECT_EQ(ErrorOf(spec), folder.path() + "/plain: is not executable; chmod +x makes it so");
  spec.argv = {folder.path()};
  EXPECT_EQ(ErrorOf(spec), folder.path() + ": is a directory");
}

// A relative path is looked at from the child's folder, not from ours.
TEST(Spawn, TheReasonIsThatOfTheChild) {
  TempDir folder;
  MakeProgram(folder.path() + "/script", "#!/no/such/interpreter\n");
  MakeProgram(folder.path() + "/plain", "#!/bin/sh\n", 0644);
  MakeProgram(folder.path() + "/machine", std::string("\x7f"
                                                      "ELF\0\0\0\0",
                                                      8));
  SpawnSpec spec;
  spec.cwd = folder.path();
  const std::string interpreter =
      "script: its interpreter is missing (the program after #!, or the dynamic loader)";
  spec.argv = {folder.path() + "/script"};
  EXPECT_EQ(ErrorOf(spec), folder.path() + "/" + interpreter);
  spec.argv = {"./script"};
  EXPECT_EQ(ErrorOf(spec), "./" + interpreter);
  spec.argv = {"./plain"};
  EXPECT_EQ(ErrorOf(spec), "./plain: is not executable; chmod +x makes it so");
  spec.argv = {"./machine"};
  EXPECT_EQ(ErrorOf(spec), "./machine: is neither a script nor a program for this machine");
  spec.argv = {"./none"};
  EXPECT_EQ(ErrorOf(spec), "./none: no such file or directory");
  spec.argv = {"script"};
  spec.env = {"PATH=/nowhere:" + folder.path()};
  EXPECT_EQ(ErrorOf(spec), interpreter);
}

// As execvp(3) and every shell do.
TEST(Spawn, AScriptWithoutAnInterpreterIsRunByTheShell) {
  TempDir folder;
  MakeProgram(folder.path() + "/script", "echo \"$0 $# $1\"\n");
  MakeProgram(folder.path() + "/empty", "");
  SpawnSpec spec;
  spec.argv = {folder.path() + "/script", "a b", "c"};
  EXPECT_EQ(OutputOf(spec), folder.path() + "/script 2 a b\n");
  spec.argv = {"script", "x"};
  spec.env = {"PATH=" + folder.path()};
  EXPECT_EQ(OutputOf(spec), folder.path() + "/script 1 x\n");
  spec.argv = {folder.path() + "/empty"};
  EXPECT_EQ(OutputOf(spec), "");
}

TEST(Spawn, TakesAsManyArgumentsAsTheKernel) {
  SpawnSpec spec = Shell("echo $#");
  spec.argv.emplace_back("sh");
  for (int i = 0; i < 5'000; ++i) spec.argv.emplace_back("x");
  EXPECT_EQ(OutputOf(spec), "5000\n");
  spec.argv.emplace_back(size_t{128} << 10, 'x');
  EXPECT_EQ(ErrorOf(spec), "/bin/sh: its arguments and environment are larger than the kernel takes");
}

TEST(Spawn, RefusesWhatCannotBePassedOn) {
  EXPECT_EQ(ErrorOf({}), "no program given");
  SpawnSpec spec = Shell("true");
  spec.argv.emplace_back("a\0b", 3);
  EXPECT_EQ(ErrorOf(spec), "an argument holds a NUL byte");
  spec = Shell("true", {std::string("A=\0", 3)});
  EXPECT_EQ(ErrorOf(spec), "an environment entry holds a NUL byte");
}

TEST(Spawn, LooksOnThePathOfTheChildInItsOrder) {
  TempDir first;
  TempDir second;
  MakeProgram(first.path() + "/both", "#!/bin/sh\necho first\n");
  MakeProgram(second.path() + "/both", "#!/bin/sh\necho second\n");
  MakeProgram(second.path() + "/one", "#!/bin/sh\necho one\n");
  MakeProgram(first.path() + "/one", "not executable", 0644);
  std::string path = "/nowhere:" + first.path() + ":" + second.path();
  SpawnSpec spec;
  spec.env = {"PATH=" + path};
  spec.argv = {"both"};
  EXPECT_EQ(OutputOf(spec), "first\n");
  spec.argv = {"one"};
  EXPECT_EQ(OutputOf(spec), "one\n");

  EXPECT_EQ(FindProgram("both", path), first.path() + "/both");
  EXPECT_EQ(FindProgram("one", path), second.path() + "/one");
  EXPECT_EQ(FindProgram("none", path), "");
  EXPECT_EQ(FindProgram(first.path() + "/both", ""), first.path() + "/both");
  EXPECT_EQ(FindProgram(first.path(), ""), "") << "a folder";
}

TEST(Spawn, LimitsOpenFiles) {
  EXPECT_EQ(OutputOf(Shell("ulimit -Sn")), "1024\n");
  SpawnSpec spec = Shell("ulimit -Sn");
  spec.max_open_files = 77;
  EXPECT_EQ(OutputOf(spec), "77\n");
}

TEST(Spawn, GainsNoPrivileges) {
  SpawnSpec spec;
  spec.argv = {"/bin/grep", "NoNewPrivs", "/proc/self/status"};
  EXPECT_EQ(OutputOf(spec), "NoNewPrivs:\t1\n");
  spec.no_new_privs = false;
  EXPECT_EQ(OutputOf(spec), "NoNewPrivs:\t0\n");
}

TEST(Spawn, RunsAsAnotherUser) {
  if (getuid() != 0) GTEST_SKIP() << "needs root";
  SpawnSpec spec = Shell("id -u; id -g; id -G");
  spec.user = SpawnSpec::User{65534, 65533, {65533, 65532}};
  EXPECT_EQ(OutputOf(spec), "65534\n65533\n65533 65532\n");
  EXPECT_EQ(getuid(), 0U);
  spec = Shell("true");
  spec.user = SpawnSpec::User{65534, 65534, {}};
  TempDir closed;  // 0700
  spec.cwd = closed.path();
  EXPECT_EQ(ErrorOf(spec), closed.path() + ": permission denied");
}

// Spawns from a process of its own, whose descriptors or death are the matter. `report` gets a line.
template <typename Act>
pid_t InAnotherProcess(Act act, Fd& report) {
  int ends[2];
  EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
  pid_t pid = fork();
  if (pid == 0) {
    close(ends[0]);
    act(ends[1]);
    _exit(0);
  }
  close(ends[1]);
  report = Fd(ends[0]);
  return pid;
}

TEST(Spawn, DiesWithTheDaemon) {
  for (bool with_parent : {true, false}) {
    Fd report;
    pid_t daemon = InAnotherProcess(
        [with_parent](int fd) {
          SpawnSpec spec = Shell("exec sleep 1000");
          spec.die_with_parent = with_parent;
          auto child = Spawn(spec);
          pid_t pid = child.ok() ? child->pid : -1;
          if (write(fd, &pid, sizeof pid) != sizeof pid) _exit(1);
          for (;;) pause();
        },
        report);
    pid_t pid = 0;
    ASSERT_EQ(read(report.get(), &pid, sizeof pid), static_cast<ssize_t>(sizeof pid));
    ASSERT_GT(pid, 0);
    ProcessId child{pid, StartTime(pid)};
    ASSERT_TRUE(Lives(child));
    kill(daemon, SIGKILL);
    EXPECT_EQ(Wait(daemon), -SIGKILL);
    Loop loop;
    if (with_parent) {
      EXPECT_TRUE(RunUntil(loop, [&child] { return !Lives(child); }));
    } else {
      EXPECT_TRUE(Lives(child));
      SignalProcess(child, SIGKILL);
    }
  }
}

TEST(Spawn, WorksWithoutStandardDescriptors) {
  Fd report;
  pid_t daemon = InAnotherProcess(
      [](int fd) {
        for (int standard = 0; standard < 3; ++standard) close(standard);
        auto child = Spawn(Shell("echo to stdout; echo to stderr >&2; cat"));
        if (!child.ok()) _exit(1);
        std::string text = ReadToEnd(child->stdout_fd.get()) + ReadToEnd(child->stderr_fd.get());
        if (write(fd, text.data(), text.size()) < 0) _exit(2);
        _exit(Wait(child->pid));
      },
      report);
  EXPECT_EQ(ReadToEnd(report.get()), "to stdout\nto stderr\n");
  EXPECT_EQ(Wait(daemon), 0);
}

// As old container runtimes do it.
void ForbidClone3() {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  sock_fprog filter{sizeof program / sizeof program[0], program};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) _exit(99);
}

TEST(Spawn, WorksWhereClone3IsForbidden) {
  auto root = CgroupRoot::Open();
  std::string cgroup = root ? (*root)->path() : "";
  Fd report;
  pid_t daemon = InAnotherProcess(
      [&cgroup](int fd) {
        ForbidClone3();
        SpawnSpec spec = Shell("cat /proc/self/cgroup; exec sleep 1000 >&-");
        spec.cgroup = cgroup;
        auto child = Spawn(spec);
        if (!child.ok()) _exit(1);
        std::string text = ReadToEnd(child->stdout_fd.get());
        if (syscall(SYS_pidfd_send_signal, child->pidfd.get(), SIGTERM, nullptr, 0) != 0) _exit(2);
        if (Wait(child->pid) != -SIGTERM) _exit(3);
        spec.cwd = "/no/such/folder";
        text += Spawn(spec).error().message;
        if (write(fd, text.data(), text.size()) < 0) _exit(4);
      },
      report);
  std::string text = ReadToEnd(report.get());
  EXPECT_EQ(Wait(daemon), 0);
  EXPECT_THAT(text, HasSubstr("/no/such/folder: no such file or directory"));
  if (root) {
    EXPECT_THAT(text, HasSubstr(cgroup.substr(cgroup.rfind('/')) + "\n"));
  }
}

TEST(Spawn, ALackOfDescriptorsIsAnErrorAndLeavesNone) {
  std::vector<Fd> taken;
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  rlimit few{OpenDescriptors() + 3, before.rlim_max};
  setrlimit(RLIMIT_NOFILE, &few);
  auto child = Spawn(Shell("true"));
  setrlimit(RLIMIT_NOFILE, &before);
  ASSERT_FALSE(child.ok());
  EXPECT_THAT(child.error().message, HasSubstr("too many open files"));
}

}  // namespace
}  // namespace reeve
