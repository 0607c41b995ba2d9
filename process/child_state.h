// ChildState: a Child as plain values, for a handover (orchestrator/handover/saved_state.h): its process, its
// pipes and the bytes that wait for them. Child::Save makes it; Child::Adopt makes a Child of it again, in
// this process or in another image that the same process has become by exec. Descriptors are named by number,
// as exec keeps the numbers.
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

  static void Members(auto& self, auto& state) {
    state("code", self.code);
    state("signal", self.signal);
    state("oom", self.oom);
    state("tree_empty", self.tree_empty);
  }
};

struct ChildState {
  // Stages only go forward.
  enum class Stage {
    kRunning,   // nobody asked it to end
    kStopping,  // TERM was sent to it and its tree
    kOrphans,   // it has exited; TERM was sent to the processes that it left
    kKilling,   // KILL is sent, repeatedly
    kDraining,  // the tree is gone (or was given up); the rest of the pipes is read
    kDone,      // on_done was called
  };
  // A binary may read the state that an older one wrote, so these names never change.
  static constexpr const char* kStages[] = {"running", "stopping", "orphans", "killing", "draining", "done"};
  static constexpr uint64_t kNoEnd = UINT64_MAX;

  struct Output {
    int fd = -1;             // -1: it has ended
    uint64_t left = kNoEnd;  // bytes that still count, once all who could write are gone

    static void Members(auto& self, auto& state) {
      state("fd", self.fd);
      state.Number("left", self.left);
    }
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

  static void Members(auto& self, auto& state) {
    state("pid", self.pid);
    state("start_time", self.start_time);
    state("marker", self.marker);
    state("cgroup", self.cgroup);
    state("told", self.told);
    state("pidfd", self.pidfd);
    state("stdin", self.stdin_fd);
    state("outputs", self.outputs);
    state.Bytes("input", self.input);
    state("close_input", self.close_input);
    state("paused", self.paused);
    state("exited", self.exited);
    state.Enum("stage", self.stage, kStages);
    state("kill_at", self.kill_at);
    state("give_up_at", self.give_up_at);
    state("exit", self.status);
    state.Check("pid", self.pid > 0);
  }
};

}  // namespace reeve
