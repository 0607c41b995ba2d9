// Spawn: makes one child process by vfork and exec, as glibc's posix_spawn and Go's runtime do, so that its
// cost does not grow with the daemon's memory. Main thread only, because PR_SET_PDEATHSIG is bound to the
// thread.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "process/fd.h"
#include "process/result.h"

namespace reeve {

struct SpawnSpec {
  std::vector<std::string> argv;           // argv[0] is looked up on the PATH of `env` unless it has a slash
  std::vector<std::string> env;            // "NAME=value", complete: nothing is inherited
  std::string cwd;                         // empty: the daemon's own; a relative argv[0] starts there
  bool stdin_pipe = false;                 // otherwise stdin is /dev/null
  int stdin_from = -1;                     // a descriptor of ours that becomes stdin instead of a pipe
  bool die_with_parent = true;             // PR_SET_PDEATHSIG: KILL when the daemon dies
  bool no_new_privs = true;                // prctl(PR_SET_NO_NEW_PRIVS)
  std::string cgroup;                      // a cgroup v2 folder the child enters before exec; empty for none
  std::optional<uint64_t> max_open_files;  // RLIMIT_NOFILE soft limit; default 1024, hard limit kept
  struct User {
    uid_t uid;
    gid_t gid;
    std::vector<gid_t> groups;
  };
  std::optional<User> user;  // run as another user (needs root)
  int descriptor_3 = -1;     // a descriptor of ours that becomes the child's descriptor 3; -1: it has none

  // Sets NAME=value in `env`. `if_set` says whether an existing entry is kept or replaced.
  enum class IfSet { kKeep, kReplace };
  void SetEnv(const std::string& name, const std::string& value, IfSet if_set);
};

// A child that runs. It leads a process group of its own (pgid == pid). The pidfd is close-on-exec.
struct Started {
  pid_t pid = -1;
  Fd pidfd;
};

// The three standard descriptors of a child, and our ends of its pipes. All are close-on-exec and above 2.
// Ours are non-blocking; stdin_fd is empty unless the spec asked for a pipe.
struct ChildStdio {
  std::array<Fd, 3> child;  // stdin, stdout, stderr: to be closed once the child is started
  Fd stdin_fd;
  Fd stdout_fd;
  Fd stderr_fd;
};

// The result of Spawn. The child leads a process group of its own (pgid == pid). All descriptors are ours,
// close-on-exec and non-blocking; stdin_fd is empty unless the spec asked for a pipe.
struct Spawned {
  pid_t pid = -1;
  Fd pidfd;
  Fd stdin_fd;
  Fd stdout_fd;
  Fd stderr_fd;
};

// As execvp(3) does, it runs a script without "#!" by /bin/sh.
//
// Errors: "spawn_failed", or "no_descriptors", with a message that names the failed step, its subject and the
// reason as the child met it: "<argv[0]>: no such file or directory", "<argv[0]>: is a directory", "<cwd>: …"
// and so on. A failed Spawn leaves nothing behind.
Result<Spawned> Spawn(const SpawnSpec& spec);

// The two halves of Spawn, for a caller that lets another process start the child (process/keeper/). Their
// errors are Spawn's.
//
// MakeStdio makes the pipes that the spec asks for (stdin_pipe, stdin_from). SpawnWith starts the child with
// the descriptors `stdio` (stdin, stdout, stderr: any open ones of ours, which stay ours), and ignores
// stdin_pipe and stdin_from.
Result<ChildStdio> MakeStdio(const SpawnSpec& spec);
Result<Started> SpawnWith(const SpawnSpec& spec, const std::array<int, 3>& stdio);

// The path of `program` on `path` (a PATH value), or empty. A program with a slash is checked as it is.
std::string FindProgram(const std::string& program, const std::string& path);
// Why FindProgram finds nothing: "was not found", "is a directory", "is not executable".
std::string WhyNotFound(const std::string& program, const std::string& path);

}  // namespace reeve
