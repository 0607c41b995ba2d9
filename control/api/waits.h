// Waits: the requests that wait until something is true of an agent (GET /agents/{id}/wait). Each is answered
// once: when its condition holds, when its time is over, when its agent is purged, or when the daemon ends.
//
// Owned by the Daemon; on the loop's thread. The loop and the town outlive it, but no turn of the loop
// follows its end: what an agent was asked for would be answered to nobody.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "control/http/http.h"
#include "process/timer.h"

namespace reeve {

class Agent;
class Loop;
class Town;

class Waits {
 public:
  // As many as connections. A wait whose client has gone stays until its agent changes or its time is over.
  static constexpr size_t kMaxWaits = 10'000;

  struct Condition {
    enum class Until {
      kReady,     // or ended
      kTerminal,  // a run has ended
      kIdle,      // no run and nothing due, or ended
      kExited,    // no process, and none to come
    };
    Until until = Until::kTerminal;
    // With kTerminal, at most one of these names the run. All empty: the present one, else the last, else the
    // first to come.
    std::string message;    // the run that this message began, or went into
    std::string run;        // this one
    std::string after_run;  // the first with a higher number
  };

  Waits(Loop& loop, Town& town, size_t max_waits = kMaxWaits);
  ~Waits();  // ends those that remain, as EndAll
  Waits(const Waits&) = delete;
  Waits& operator=(const Waits&) = delete;

  // Answers `reply` now or later: with the run or the agent (200), after `timeout_ms` with 204. Errors
  // "run_not_found", "message_not_found", "agent_not_found" (purged meanwhile), "draining",
  // "too_many_requests".
  void Begin(const Agent& agent, Condition condition, int64_t timeout_ms, Reply reply);

  // The daemon ends, and nothing more will become true: all that wait are answered, and those that still come
  // are answered at once.
  void EndAll();

  [[nodiscard]] size_t open() const { return all_.size(); }

 private:
  class Wait;
  void Remove(uint64_t wait);

  Loop& loop_;
  Town& town_;
  const size_t max_waits_;
  bool ended_ = false;
  uint64_t last_ = 0;
  std::map<uint64_t, std::unique_ptr<Wait>> all_;
  std::vector<std::unique_ptr<Wait>> gone_;  // answered, perhaps still on the stack
  Timer sweep_;                              // of gone_
};

}  // namespace reeve
