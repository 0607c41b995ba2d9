// Restarts: when an agent's process is started again after it ended by itself, or could not start. Knows the
// restarts of the policy's window, nothing else. A value of its Agent.
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
  // `now_ms` is monotonic. `lived_ms`: how long the process that ended had lived. `failed`: it did not end
  // well. `messages_wait`: there is work for another one, whatever the policy says.
  Decision Next(const RestartPolicy& policy, int64_t now_ms, int64_t lived_ms, bool failed,
                bool messages_wait);
  // A person, or a message, wants a new try: what was before does not count.
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
