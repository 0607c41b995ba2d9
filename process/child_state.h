// ChildState: a Child as plain values, for a handover: its process, pipes and what waits for them.
// Child::Save makes it, Child::Adopt makes a Child of it again, in this process or in another image that the
// same process has become by exec. Descriptors are named by number, as exec keeps the numbers.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "process/proc.h"

namespace reeve {

struct ExitStatus {
  int code = -1;           // exit code, or -1 when a signal ended it
  int signal = 0;          // that signal, or 0
  bool oom = false;        // the kernel's out-of-memory killer took it (where a cgroup can tell)
  bool tree_empty = true;  // false: some process of the tree could not be killed; it is in the log. If that
                           // is the child itself, code is -1 and signal what it was sent: KILL
};

struct ChildState {
  // Stages only go forward. kRunning: nobody asked it to end. kStopping: it and its tree were told TERM.
  // kOrphans: it has exited, what it left was told TERM. kKilling: KILL, again and again. kDraining: the tree
  // is gone (or was given up), what is left in the pipes is read. kDone: on_done was called. A binary may
  // read the state that an older one wrote: these numbers never change.
  enum class Stage { kRunning = 0, kStopping = 1, kOrphans = 2, kKilling = 3, kDraining = 4, kDone = 5 };
  static constexpr uint64_t kNoEnd = UINT64_MAX;

  struct Output {
    int fd = -1;             // -1: it has ended
    uint64_t left = kNoEnd;  // bytes that still count, once all who could write are gone
  };

  pid_t pid = 0;
  uint64_t start_time = 0;        // 0: nobody asked for it yet
  std::string marker;             // see Child::Start
  std::string cgroup;             // its folder, or empty
  std::vector<ProcessId> told;    // of the tree, those that were told TERM
  int pidfd = -1;                 // -1 once reaped
  int stdin_fd = -1;              // -1: closed, or never there
  std::array<Output, 2> outputs;  // stdout, stderr
  std::string input;              // what stdin has not taken yet; any bytes
  bool close_input = false;       // once it has
  bool paused = false;
  bool exited = false;
  Stage stage = Stage::kRunning;
  int64_t kill_at = 0;     // CLOCK_MONOTONIC
  int64_t give_up_at = 0;  // the same
  ExitStatus status;
};

}  // namespace reeve
