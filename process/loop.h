// Loop: the one event loop of the process. Every function except Post() is called on its thread. It outlives
// everything that is built on it, and its destructor runs until the last handle has closed.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "process/result.h"

struct uv_loop_s;

namespace reeve {

class Loop {
 public:
  Loop();
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Runs until Stop(). May be called again afterwards.
  void Run();
  void Stop();
  // Runs one turn: waits for events if `wait`, runs the callbacks that are due, returns. For tests.
  void RunOnce(bool wait);

  // CLOCK_MONOTONIC in milliseconds, read once a turn.
  [[nodiscard]] int64_t NowMs() const;

  // Runs `task` on the loop's thread in a later turn, in order. May be called from any thread.
  void Post(std::function<void()> task);
  // Runs the tasks that were posted so far, now; false if there were none. For a caller that needs their
  // effect before the turn ends. Must not be called from within such a task.
  bool RunPosted();

  // Makes the threads of Offload now. libuv makes them at their first use, and aborts where the machine
  // allows no more threads. An error tells of that limit.
  Status StartThreads();

  // Runs `work` on libuv's pool, then `done` on the loop. Both run, even while the loop is being destroyed.
  // Never spawn a process in `work`: a child's pdeathsig is bound to the thread that made it.
  // `loss` says whether something would be lost if the process became another binary while the work runs
  // (orchestrator/handover/KEEPER.md).
  enum class Loss { kMatters, kHarmless };
  void Offload(std::function<void()> work, std::function<void()> done, Loss loss = Loss::kMatters);
  // The number of offloaded tasks whose loss matters and whose `done` has not run.
  [[nodiscard]] size_t offloaded() const;

  // Runs `step` at the end of every turn, after timers and before the loop may sleep. A step that returns
  // true has left work undone: the loop polls without sleeping and comes back. This is the explicit ready
  // list that a capped flush needs. Steps run in the order in which they were added, and are never removed
  // while the loop runs. Returns true.
  bool BeforeSleep(std::function<bool()> step);

  // Calls `handler` on the loop when `signum` arrives, until the loop is destroyed. Several arrivals may
  // cause one call.
  void OnSignal(int signum, std::function<void()> handler);

  // Only for the classes of process/.
  [[nodiscard]] uv_loop_s* uv() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace reeve
