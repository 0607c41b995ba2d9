// ChildState: a Child as plain values, for a handover (orchestrator/handover/saved_state.h): its process, its
// pipes and the bytes that wait for them. Child::Save makes it. Child::Adopt makes a Child of it again, in
// this process or in the image that this process becomes by exec. It names descriptors by number, because
// exec keeps the numbers.
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
    int fd = -1;             // -1: the pipe has ended
    uint64_t left = kNoEnd;  // bytes that still count, once every writer is gone

    static void Members(auto& self, auto& state) {
      state("fd", self.fd);
      state.Number("left", self.left);
    }
  };

  pid_t pid = 0;
  uint64_t start_time = 0;            // 0: not read yet
  std::string marker;                 // see Child::Start
  std::string cgroup;                 // path of its folder, or empty
  std::vector<ProcessId> terminated;  // processes of the tree that TERM was sent to
  int pidfd = -1;                     // -1 once the child is reaped
  int stdin_fd = -1;                  // -1: closed, or there never was one
  std::array<Output, 2> outputs;      // stdout, stderr
  std::string input;                  // bytes that stdin has not taken yet
  bool close_input = false;           // close stdin once `input` is written
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
