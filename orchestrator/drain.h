// Drain: ends all agents of a town before the daemon ends. First, open turns get some time; then every
// process is stopped. Beside that, uncommitted work in workspaces is saved, where that is configured.
//
// Owned by the Town; on the loop's thread. The map of agents and the committer outlive it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "process/timer.h"

namespace reeve {

class Agent;
class Clock;
class LogCommitter;
class Loop;

class Drain {
 public:
  using Agents = std::map<std::string, std::unique_ptr<Agent>>;  // by id
  using Done = std::function<void(std::vector<std::string> unfinished)>;

  Drain(Loop& loop, const Clock& clock, const Agents& agents, LogCommitter& logs);
  Drain(const Drain&) = delete;
  Drain& operator=(const Drain&) = delete;

  // Once. From now on no agent starts and no message begins. Open turns get `timeout_ms` to end; an agent
  // without one is stopped at once, and after that time all are. `done` when no agent has a process and no
  // work is being saved, or when the last stop has had its time: with a sentence for each thing that did not
  // finish. By then the logs are committed.
  void Begin(int64_t timeout_ms, Done done);

  [[nodiscard]] bool begun() const { return step_ != Step::kNotBegun; }
  [[nodiscard]] bool finished() const { return step_ == Step::kFinished; }
  // The ids of the agents that it waits for.
  [[nodiscard]] const std::vector<std::string>& waits_for() const { return waits_for_; }

 private:
  enum class Step {
    kNotBegun,
    kTurns,      // open turns get their time
    kProcesses,  // every process is being stopped
    kFinished,
  };
  void Look();
  void StopProcesses();
  void SaveWork(int64_t left_ms);
  void NameUnfinished();
  void Finish();

  const Clock& clock_;
  const Agents& agents_;
  LogCommitter& logs_;
  Step step_ = Step::kNotBegun;
  int64_t deadline_ms_ = 0;  // of the present step; monotonic
  std::vector<std::string> waits_for_;
  std::vector<std::string> unfinished_;
  Done done_;
  Timer watch_;
};

}  // namespace reeve
