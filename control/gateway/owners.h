// Owners: the gateway connections that are there, and the end of agents whose connection has gone. An agent
// with close_on_disconnect belongs to the connection that made it (Agent::connection); a connection that
// continues another one by its resume ticket has the same id. When nobody with that id has been there for
// kGraceMs, its agents are stopped: one with turns once it has no run and no message that is due. They keep
// their queues, and stay theirs: a new absence stops those again that were started meanwhile.
//
// Owned by the Gateway; on the loop's thread. The loop and the town outlive it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "process/timer.h"

namespace reeve {

class Agent;
class Loop;
class Town;

class Owners {
 public:
  static constexpr int64_t kGraceMs = 20'000;
  static constexpr int64_t kTickMs = 500;

  // Absence is counted in ticks of its timer, each as kTickMs: a loop that was busy counts against nobody.
  // `tick_ms` is how long a tick takes; tests have shorter ones.
  Owners(Loop& loop, Town& town, int64_t tick_ms = kTickMs);
  Owners(const Owners&) = delete;
  Owners& operator=(const Owners&) = delete;

  // A connection opened that has this id. Several may have it at once, because the end of one is often
  // noticed after the next has come.
  void Came(const std::string& connection);
  // One of them ended. Returns how many agents it made that end with it, and how many that do not.
  struct Left {
    size_t ending = 0;
    size_t detached = 0;
  };
  Left Went(const std::string& connection);
  // At the daemon's start: all connections of earlier daemons have gone, and their absence begins now.
  void AfterStart();

  [[nodiscard]] bool counting() const { return timer_.active(); }  // somebody is absent

 private:
  struct Owner {
    size_t present = 0;
    int64_t absent_ms = 0;
    std::set<std::string> ending = {};  // agents that are to be stopped
  };

  void Tick();
  void CollectAgents(const std::set<std::string>& connections);
  // Stops the agent if it may be stopped now. Returns false if it must be looked at again.
  [[nodiscard]] bool End(const std::string& id);

  Town& town_;
  const int64_t tick_ms_;
  std::map<std::string, Owner> owners_;  // by connection
  Timer timer_;
};

}  // namespace reeve
