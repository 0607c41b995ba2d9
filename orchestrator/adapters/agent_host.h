// AgentHost: what an adapter reports to the agent that it serves, and asks of it. Implemented by
// AgentProcess, and by a recorder in tests.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "orchestrator/agent/agent_events.h"
#include "process/child.h"
#include "process/result.h"

namespace reeve {

class HttpClient;
class Loop;
struct AgentSpec;

class AgentHost : public AgentEvents {
 public:
  virtual Loop& loop() = 0;
  virtual HttpClient& http() = 0;
  [[nodiscard]] virtual const AgentSpec& spec() const = 0;
  // What the next turn shall use: the spec's, or what a later message asked for. Empty: the program's own.
  [[nodiscard]] virtual const std::string& model() const = 0;

  // What passed between daemon and agent other than by the child's pipes (one line's worth each): for the
  // transcript, and what was heard also as a sign of life. Not for heartbeats.
  virtual void OnHeard(std::string_view text) = 0;
  virtual void OnTold(std::string_view text) = 0;

  // What PrepareStop waited for is done.
  virtual void OnStopPrepared() = 0;

  // Starts another process of this agent's tree, in its environment with `spawn.env` over it; the caller owns
  // it.
  virtual Result<std::unique_ptr<Child>> SpawnBeside(SpawnSpec spawn, Child::Handlers handlers) = 0;
  // After a handover, in Resume: takes up one of them again.
  virtual Result<std::unique_ptr<Child>> AdoptBeside(ChildState state, Child::Handlers handlers) = 0;

  // To the child's stdin. Error "not_running", "queue_full": nothing of it was taken.
  virtual Status WriteStdin(std::string_view bytes) = 0;
  virtual void CloseStdin() = 0;
  virtual void Signal(int signum) = 0;

 protected:
  ~AgentHost() = default;
};

}  // namespace reeve
