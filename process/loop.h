// Loop: the one event loop of the process. Everything but Post() is called on its thread; it outlives all
// that is built on it, and its destructor runs until the last handle has closed.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

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
  // One turn: waits for events if `wait`, runs what is due, returns. For tests.
  void RunOnce(bool wait);

  // CLOCK_MONOTONIC in milliseconds, read once a turn.
  [[nodiscard]] int64_t NowMs() const;

  // Runs `task` on the loop's thread, in order, in a later turn. From any thread.
  void Post(std::function<void()> task);
  // Runs now what was posted so far; false if there was nothing. For one who must see it done before the turn
  // ends; not from within such a task.
  bool RunPosted();

  // Runs `work` on libuv's pool, then `done` on the loop. Both run, even when the loop is being destroyed.
  // Never spawn from here: a child's pdeathsig is bound to the thread that made it.
  // `loss` says whether something would be missing if the process became another binary in the middle of it
  // (orchestrator/handover/HANDOVER.md).
  enum class Loss { kMatters, kHarmless };
  void Offload(std::function<void()> work, std::function<void()> done, Loss loss = Loss::kMatters);
  // Offloaded work whose loss matters and whose `done` has not run.
  [[nodiscard]] size_t offloaded() const;

  // `step` runs at the end of every turn, after timers and before the loop may sleep. Returning true says
  // that it left work undone, and the loop polls without sleeping and comes back: the explicit ready list
  // that a capped flush needs. Steps run in the order of their adding and are never removed while the loop
  // runs.
  void BeforeSleep(std::function<bool()> step);

  // Calls `handler` on the loop for each arrival (coalesced) of `signum`, until the loop is destroyed.
  void OnSignal(int signum, std::function<void()> handler);

  // For the classes of process/ only.
  [[nodiscard]] uv_loop_s* uv() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace reeve
