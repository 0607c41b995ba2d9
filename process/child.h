// Child: one child process on the loop, with its pipes. Owned by an agent (or a test); must be destroyed on
// the loop's thread. Destroying one that lives kills its tree at once.
//
// Done means exited *and* drained: on_done comes once, after the last output. A grandchild that holds the
// pipes open cannot delay it for ever: once the child has exited, what is in the pipes is read to the end,
// the rest of the tree is killed (TERM, grace, KILL), and on_done reports whether the tree is empty.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "process/child_state.h"
#include "process/proc.h"
#include "process/result.h"
#include "process/spawn.h"

namespace reeve {

class CgroupRoot;
class Loop;
class Reaper;

// What every child of a daemon shares. All of it outlives the children.
struct ChildContext {
  Loop& loop;
  Reaper& reaper;
  CgroupRoot* cgroups = nullptr;  // where cgroups can be made: each child gets one
};

class Child {
 public:
  enum class Output { kStdout, kStderr };
  // After a KILL, how long on_done waits at most for the tree to be empty: what still lives cannot be killed.
  static constexpr int64_t kKillForMs = 5'000;

  struct Handlers {
    // Bytes as they were read; the view is good during the call only. Must not destroy the Child.
    std::function<void(Output, std::string_view)> on_output;
    // The last call. The Child may be destroyed in it.
    std::function<void(const ExitStatus&)> on_done;
  };

  // `marker` is an environment entry ("REEVE_AGENT_ID=…" and friends) of spec.env that is this child's alone:
  // a process that left the tree (its own session, reparented to us) is recognised by it.
  static Result<std::unique_ptr<Child>> Start(const ChildContext& context, SpawnSpec spec, std::string marker,
                                              Handlers handlers);
  // Takes up again a child of ours that Save() told of: reads what it said since, notices if it has exited
  // since. Error "handover_state" when there is no such child or descriptor; what could be opened is closed
  // then, and the child killed if it is ours.
  static Result<std::unique_ptr<Child>> Adopt(const ChildContext& context, ChildState state,
                                              Handlers handlers);
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  [[nodiscard]] pid_t pid() const;
  // Field 22 of /proc/<pid>/stat: with the pid it names the process for good. Read when first asked for, as
  // that costs a fifth of a start; 0 if that is after on_done.
  [[nodiscard]] uint64_t start_time() const;
  [[nodiscard]] bool exited() const;

  // Writes to the child's stdin, in order, buffering what the pipe does not take. Error "queue_full" (nothing
  // taken) when more than 32 MiB would wait, "not_running" when stdin is closed.
  Status WriteStdin(std::string_view bytes);
  // Closes stdin after what is buffered has been written.
  void CloseStdin();

  // Stops or goes on reading its output: back-pressure. Reading goes on all the same once the child has
  // exited only when not paused: on_done waits for a paused reader.
  void PauseReading(bool paused);

  // Sends a signal to the child alone, through its pidfd.
  void Signal(int signum);

  // TERM to the whole tree, after `grace_ms` KILL, again until it is empty. May be called again with a
  // shorter grace. on_done follows.
  void Stop(int64_t grace_ms);

  // The live processes of its tree, the child first. Reads /proc.
  [[nodiscard]] std::vector<ProcessId> Tree() const;

  // For a handover: all that Adopt() needs, as of now. The descriptors that must stay open until then are
  // added to `keep`. Changes nothing: the child goes on here if the handover is given up.
  [[nodiscard]] ChildState Save(std::vector<int>& keep) const;
  // Lets go of it, touching neither process nor descriptors, which belong to whoever adopted what Save()
  // told. Nothing comes any more. Only for an adopter in this very process: exec needs no such call.
  void Release();

 private:
  struct State;
  explicit Child(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace reeve
