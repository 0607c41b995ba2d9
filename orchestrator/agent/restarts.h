// Restarts: decides when an agent's process is started again after it ended by itself or could not start. It
// knows only the restarts within the policy's window. A value of its Agent.
#pragma once

#include <cstdint>
#include <deque>

#include "orchestrator/agent/agent_spec.h"

namespace reeve {

class Restarts {
 public:
  struct Decision {
    enum class What { kNone, kAfter, kGiveUp };
    What what = What::kNone;
    int64_t delay_ms = 0;  // of kAfter
  };
  // `now_ms` is monotonic. `lived_ms`: how long the ended process had lived. `failed`: it ended with a
  // failure. `messages_wait`: there is work for another process, so the policy does not matter.
  Decision Next(const RestartPolicy& policy, int64_t now_ms, int64_t lived_ms, bool failed,
                bool messages_wait);
  // A person or a message requests a new start: earlier restarts no longer count.
  void Forgive();

  [[nodiscard]] int total() const { return total_; }  // since the agent was made
  // The restarts in the policy's window.
  [[nodiscard]] size_t recent() const { return times_.size(); }

  static void Record(auto& self, auto& state) { state("restarts", self.total_); }
  static void Members(auto& self, auto& state) {
    state("total", self.total_);
    state("times", self.times_);
    state("step", self.step_);
    state.Check("step", self.step_ >= 0);
  }

 private:
  int total_ = 0;
  std::deque<int64_t> times_;  // monotonic, the oldest first
  int step_ = 0;               // of the backoff
};

}  // namespace reeve
