// AgentHost: the functions that an adapter calls to report to its agent and to ask it for things. Implemented
// by AgentProcess, and by a recorder in tests.
#pragma once

#include <cstdint>
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
  // The model for the next turn: the spec's, or the one that a later message asked for. Empty: the program's
  // default.
  [[nodiscard]] virtual const std::string& model() const = 0;

  // Report messages that passed between daemon and agent other than through the child's pipes, one line's
  // worth each. They go to the transcript; a received one also counts as a sign of life. Not for heartbeats.
  virtual void OnReceived(std::string_view text) = 0;
  virtual void OnSent(std::string_view text) = 0;

  // The adapter's state (Save) has changed. Every other report here says that too. OnCommitted follows once
  // the state is on disk.
  virtual void OnChanged() = 0;

  // The end of the work that PrepareStop announced.
  virtual void OnStopPrepared() = 0;

  // Whether this agent's own processes, and no others, listen on this port of 127.0.0.1. Error
  // "foreign_listener". Asked before a secret is sent there: a process that has gone leaves its port to
  // whoever takes it.
  virtual Status CheckListener(uint16_t port) = 0;

  // Starts another process in this agent's tree, with the agent's environment and `spawn.env` over it. The
  // caller owns it.
  virtual Result<std::unique_ptr<Child>> SpawnHelper(SpawnSpec spawn, Child::Handlers handlers) = 0;
  // Takes over such a process of an earlier daemon, in Resume.
  virtual Result<std::unique_ptr<Child>> AdoptHelper(ChildState state, Child::Handlers handlers) = 0;

  // Writes to the child's stdin. Error "not_running", "queue_full": nothing was written.
  virtual Status WriteStdin(std::string_view bytes) = 0;
  virtual void CloseStdin() = 0;
  // Sends a signal to the child alone.
  virtual void Signal(int signum) = 0;

 protected:
  ~AgentHost() = default;
};

}  // namespace reeve
