// Drain: ends all agents of a town before the daemon ends. First, open turns get some time to end; then every
// process is stopped. Meanwhile uncommitted work in workspaces is saved, if that is configured.
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

  // Called once. From now on no agent starts and no message begins. An agent with an open turn gets
  // `timeout_ms` to end it; an agent without one is stopped at once. After that time all agents are stopped.
  // Calls `done` when no agent has a process and no work is being saved, or when the last stop has used up
  // its time, with one sentence for each thing that did not finish. By then the logs are committed.
  void Begin(int64_t timeout_ms, Done done);

  [[nodiscard]] bool begun() const { return step_ != Step::kNotBegun; }
  [[nodiscard]] bool finished() const { return step_ == Step::kFinished; }
  // The ids of the agents that the drain still waits for.
  [[nodiscard]] const std::vector<std::string>& waits_for() const { return waits_for_; }

 private:
  enum class Step {
    kNotBegun,
    kTurns,      // open turns get time to end
    kProcesses,  // every process is being stopped
    kFinished,
  };
  void Look();
  void StopProcesses();
  void SaveWip(int64_t left_ms);
  void NameUnfinished();
  void Finish();

  const Clock& clock_;
  const Agents& agents_;
  LogCommitter& logs_;
  Step step_ = Step::kNotBegun;
  int64_t deadline_ms_ = 0;  // of the current step; monotonic
  std::vector<std::string> waits_for_;
  std::vector<std::string> unfinished_;
  // The open runs of the programs, which are asked to end by TERM at once; by agent.
  std::map<std::string, std::string> programs_;
  Done done_;
  Timer watch_;
};

}  // namespace reeve
