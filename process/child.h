// Child: one child process on the loop, with its pipes. Owned by an agent (or a test); must be destroyed on
// the loop's thread. Destroying a Child that still runs kills its tree at once.
//
// A child is done when it has exited *and* its output is read: on_done comes once, after the last output. A
// grandchild that holds the pipes open cannot delay on_done for ever: once the child has exited, the Child
// reads its pipes to the end, kills the rest of the tree (TERM, grace, KILL), and on_done reports whether the
// tree is empty.
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
class ProcessParent;
class PublishQueue;

// The objects that children share. They outlive the children.
struct ChildContext {
  Loop& loop;
  ProcessParent& parent;
  CgroupRoot* cgroups = nullptr;  // where cgroups can be made; each child then gets one
  // Input for the child and the like waits here for the end of its owner's turn. Null: it waits for nothing.
  PublishQueue* queue = nullptr;
};

class Child {
 public:
  enum class Output { kStdout, kStderr };
  // on_done waits at most this long after a KILL for the tree to be empty. A process that lives longer cannot
  // be killed.
  static constexpr int64_t kKillForMs = 5'000;

  struct Handlers {
    // Bytes as they were read, in a turn of the loop first a few and then twice as many each time, so that a
    // handler that calls PauseReading gets few more than it wants. The view is valid during the call only.
    // Must not destroy the Child.
    std::function<void(Output, std::string_view)> on_output;
    // The last call. The Child may be destroyed in it.
    std::function<void(const ExitStatus&)> on_done;
  };

  // `marker` is an entry of spec.env ("REEVE_AGENT_ID=…" and friends) that only this child has. It identifies
  // a process that left the tree (one with its own session that was reparented to us).
  static Result<std::unique_ptr<Child>> Start(const ChildContext& context, SpawnSpec spec, std::string marker,
                                              Handlers handlers);
  // Makes a Child again from the state that Save() returned to an earlier daemon. It reads the output that
  // was not handled since, and notices when the child has exited since. Error "handover_state" when there is
  // no such child or descriptor; then Adopt kills the child if it is ours.
  static Result<std::unique_ptr<Child>> Adopt(const ChildContext& context, ChildState state,
                                              Handlers handlers);
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  [[nodiscard]] pid_t pid() const;
  // Field 22 of /proc/<pid>/stat: together with the pid it identifies the process for good. Read at the first
  // call, because reading it costs a fifth of a start; 0 when the first call comes after on_done.
  [[nodiscard]] uint64_t start_time() const;
  [[nodiscard]] bool exited() const;

  // Writes to the child's stdin, in order, and buffers the bytes that the pipe does not take. Error
  // "queue_full" when more than 32 MiB would wait (it takes nothing then), "not_running" when stdin is
  // closed.
  Status WriteStdin(std::string_view bytes);
  // Closes stdin after the buffered bytes have been written.
  void CloseStdin();

  // Pauses or resumes reading the child's output: back-pressure. A paused reader stays paused when the child
  // exits, so on_done waits until reading resumes.
  void PauseReading(bool paused);

  // Sends a signal to the child alone, through its pidfd.
  void Signal(int signum);

  // Sends TERM to the whole tree, after `grace_ms` KILL, and repeats KILL until the tree is empty. May be
  // called again with a shorter grace. on_done follows.
  void Stop(int64_t grace_ms);

  // The live processes of its tree, the child first. Reads /proc.
  [[nodiscard]] std::vector<ProcessId> Tree() const;

  // Everything that Adopt() needs, as of now. Only where the parent keeps descriptors.
  [[nodiscard]] ChildState Save() const;
  // Gives up the process without touching it, because a Child that Adopt() makes from Save()'s state follows.
  // No handler is called any more. For tests, in which no daemon dies.
  void Abandon();

 private:
  struct State;
  explicit Child(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace reeve
