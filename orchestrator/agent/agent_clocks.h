// AgentClocks: how long an agent has been in a run, silent, or idle. The agent reports what it does; the
// clocks call back when a limit of the spec has passed, and the agent decides what follows.
//
// Silence is the time since the agent's last output of any kind. In a run it counts from the start of the run
// and from the end of every wait for a person. Progress is output that became an event of content: a program
// that only repeats "trying again" is not silent, but makes no progress.
//
// Owned by its Agent; times are the loop's, monotonic.
#pragma once

#include <cstdint>
#include <functional>

#include "orchestrator/agent/agent_spec.h"
#include "process/timer.h"

namespace reeve {

class Loop;

class AgentClocks {
 public:
  enum class Doing {
    kNothing,  // no process, or one that starts or stops
    kIdle,     // ready, no run
    kRunning,
    kWaiting,  // in a run that waits for a person
  };
  struct Handlers {
    std::function<void(int64_t silent_ms)> stalled;
    std::function<void(int64_t silent_ms)> resumed;
    std::function<void()> run_too_long;  // limits.wall_ms
    std::function<void()> idle_too_long;
  };

  AgentClocks(Loop& loop, const Limits& limits, Handlers handlers);

  void BeginRun();
  // Cheap when nothing changes. A stall ends when the run ends or waits for a person.
  void Set(Doing doing);
  void Received();
  void Progressed();
  // The limits have changed.
  void LookAgain() { Look(); }

  // For the next daemon (orchestrator/handover/saved_state.h). Monotonic times stay what they are.
  static void Members(auto& self, auto& state) {
    state.Enum("doing", self.doing_, kDoing);
    state("stalled", self.stalled_);
    state("run_over", self.run_over_);
    state("run_began_ms", self.run_began_ms_);
    state("quiet_since_ms", self.quiet_since_ms_);
    state("idle_since_ms", self.idle_since_ms_);
    state("last_output_ms", self.last_output_ms_);
    state("last_progress_ms", self.last_progress_ms_);
    state("timer", self.timer_);
  }

  [[nodiscard]] bool stalled() const { return stalled_; }
  // Milliseconds since the last output or progress; -1: there was none.
  [[nodiscard]] int64_t since_output_ms() const { return Since(last_output_ms_); }
  [[nodiscard]] int64_t since_progress_ms() const { return Since(last_progress_ms_); }

 private:
  static constexpr const char* kDoing[] = {"nothing", "idle", "running", "waiting"};  // by Doing
  [[nodiscard]] int64_t Since(int64_t then_ms) const;
  [[nodiscard]] int64_t silent_ms() const;
  void Look();

  Loop& loop_;
  const Limits& limits_;
  Handlers handlers_;
  Timer timer_;
  Doing doing_ = Doing::kNothing;
  bool stalled_ = false;
  bool run_over_ = false;  // run_too_long was called for this run
  int64_t run_began_ms_ = 0;
  int64_t quiet_since_ms_ = 0;  // silence counts from here at the earliest
  int64_t idle_since_ms_ = 0;
  int64_t last_output_ms_ = -1;
  int64_t last_progress_ms_ = -1;
};

}  // namespace reeve
