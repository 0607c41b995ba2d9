// ChildState: a Child as plain values, for a checkpoint (orchestrator/handover/saved_state.h): its process
// and how far its pipes were handled. Child::Save makes it. Child::Adopt makes a Child of it again, in the
// next daemon. It names descriptors by the keys under which the parent keeps them (ProcessParent::Keep); 0:
// none.
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
  bool oom = false;        // the kernel's out-of-memory killer ended it (known only with a cgroup)
  bool tree_empty = true;  // false: some process of the tree could not be killed, and the log names it. If
                           // that is the child itself, code is -1 and signal is the one it was sent: KILL

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
    kOrphans,   // it has exited; TERM was sent to the processes it left behind
    kKilling,   // KILL is sent again and again
    kDraining,  // the tree is gone (or we gave up); the rest of the pipes is read
    kDone,      // on_done was called
  };
  // A newer binary may read the state that an older one wrote, so these names never change.
  static constexpr const char* kStages[] = {"running", "stopping", "orphans", "killing", "draining", "done"};
  static constexpr uint64_t kNoEnd = UINT64_MAX;

  struct Output {
    uint64_t pipe = 0;       // 0: the pipe has ended
    uint64_t capture = 0;    // its Capture's file
    uint64_t consumed = 0;   // bytes that were handled
    uint64_t left = kNoEnd;  // bytes that still count, once every writer is gone

    static void Members(auto& self, auto& state) {
      state("pipe", self.pipe);
      state("capture", self.capture);
      state("consumed", self.consumed);
      state.Number("left", self.left);
    }
  };

  pid_t pid = 0;
  uint64_t start_time = 0;            // 0: not read yet
  std::string marker;                 // see Child::Start
  std::string cgroup;                 // path of its folder, or empty
  std::vector<ProcessId> terminated;  // processes of the tree that TERM was sent to
  uint64_t pidfd = 0;                 // 0 once the child is reaped
  uint64_t input = 0;                 // stdin; 0: closed, or there never was one
  uint64_t outbox = 0;                // its Outbox's file
  uint64_t staged = 0;                // bytes that were staged for it
  bool close_input = false;           // close stdin once they are written
  std::array<Output, 2> outputs;      // stdout, stderr
  bool paused = false;
  bool exited = false;
  Stage stage = Stage::kRunning;
  int64_t kill_at = 0;     // CLOCK_MONOTONIC
  int64_t give_up_at = 0;  // CLOCK_MONOTONIC
  ExitStatus status;

  static void Members(auto& self, auto& state) {
    state("pid", self.pid);
    state("start_time", self.start_time);
    state("marker", self.marker);
    state("cgroup", self.cgroup);
    state("told", self.terminated);
    state("pidfd", self.pidfd);
    state("input", self.input);
    state("outbox", self.outbox);
    state("staged", self.staged);
    state("close_input", self.close_input);
    state("outputs", self.outputs);
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
