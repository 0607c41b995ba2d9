// Waits: the requests that wait until a condition holds for an agent (GET /agents/{id}/wait), or for any
// agent (GET /wait). Each is answered once: when its condition holds, when its time is over, when its agent
// is purged, or when the daemon ends.
//
// Owned by the Daemon; on the loop's thread. The loop and the town outlive it. No loop turn may follow its
// destruction, because callbacks of agents that it has requested would then reach a destroyed object.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "control/http/http.h"
#include "process/timer.h"

namespace reeve {

class Agent;
class Loop;
class Town;

class Waits {
 public:
  // Fewer than the most connections, so that waits cannot take them all.
  static constexpr size_t kMaxWaits = 9'000;
  // Memory for the waits of one bearer token, connections included. A token cannot take all waits.
  static constexpr size_t kMaxTokenBytes = size_t{16} << 20;
  // Each of these listens to every agent of the town.
  static constexpr size_t kMaxAnyWaits = 100;

  struct Condition {
    enum class Until {
      kReady,     // the agent is ready, or has ended
      kTerminal,  // a run has ended
      kIdle,      // the agent has no run and no due message, or has ended or failed
      kExited,    // the agent has no process, and none will start; deleted agents too
      kMade,      // the agent exists
    };
    Until until = Until::kTerminal;
    // With kTerminal, at most one of these names the run. If all are empty, the run is the current one, else
    // the last one, else the first one to begin.
    std::string message;    // the run that this message began or joined
    std::string run;        // this run
    std::string after_run;  // the first run with a higher number
    // For any agent: the agents that have all these labels, later ones included.
    std::vector<std::pair<std::string, std::string>> labels;
    // For any agent, with kTerminal: only runs that ended after this wall-clock time. 0: all.
    int64_t since_ms = 0;
    uint64_t token = 0;  // of the caller
  };

  Waits(Loop& loop, Town& town, size_t max_waits = kMaxWaits);
  ~Waits();  // ends all remaining waits, as EndAll does
  Waits(const Waits&) = delete;
  Waits& operator=(const Waits&) = delete;

  // Answers `reply` now or later: 200 with the run or the agent, or 204 after `timeout_ms`. Errors:
  // "run_not_found", "message_not_found", "agent_not_found" (purged meanwhile), "agent_deleted" and
  // "not_running" (the agent has failed: no run will come), "draining", "too_many_requests".
  void Begin(const std::string& agent, Condition condition, int64_t timeout_ms, Reply reply);
  // Likewise, for the first agent for which the condition holds: kReady, kTerminal or kIdle.
  void BeginAny(Condition condition, int64_t timeout_ms, Reply reply);
  // The town has a new agent.
  void AgentMade(Agent& agent);

  // The daemon ends, and no further condition can become true: answers all waits. A later Begin is answered
  // at once.
  void EndAll();

  [[nodiscard]] size_t open() const { return all_.size(); }

 private:
  class Wait;
  class AgentWait;
  class AnyWait;
  // Answers `reply` if there is no room for a wait that listens to so many agents.
  [[nodiscard]] bool TakeRoom(const Condition& condition, size_t agents, Reply& reply);
  void Add(std::unique_ptr<Wait> wait, int64_t timeout_ms);
  void Remove(uint64_t wait);

  Loop& loop_;
  Town& town_;
  const size_t max_waits_;
  bool ended_ = false;
  uint64_t last_ = 0;
  size_t any_ = 0;  // open waits for any agent
  std::map<uint64_t, std::unique_ptr<Wait>> all_;
  std::map<uint64_t, size_t> bytes_;         // of open waits, by token
  std::vector<std::unique_ptr<Wait>> gone_;  // answered; may still be on the stack
  Timer sweep_;                              // empties gone_
};

}  // namespace reeve
