// AgentEvents: what an adapter reports of its agent. The agent's process passes it on to the agent.
#pragma once

#include <string>
#include <string_view>

#include "orchestrator/agent/approval_request.h"
#include "orchestrator/agent/turn_end.h"
#include "process/result.h"

namespace reeve {

class AgentEvents {
 public:
  // A content event (assistant.*, reasoning.*, tool.*, file.*, plan.*, usage.*, title.*, subagent.*,
  // agent.output, agent.error). `data` is a JSON object on one line. The agent adds the run.
  virtual void Emit(std::string_view type, std::string_view data) = 0;

  // The process can take prompts now. Once.
  virtual void OnReady() = 0;
  // The agent began, ended a turn. A turn that no Prompt of ours began gets a run of its own; an end without
  // a turn is ignored, so reporting it twice is harmless.
  virtual void OnTurnStarted() = 0;
  virtual void OnTurnEnded(const TurnEnd& end) = 0;

  // May call Decide or Answer before it returns.
  virtual void OnApproval(ApprovalRequest request) = 0;
  // The agent answered it itself, or took it back. An unknown or answered id changes nothing.
  virtual void OnApprovalGone(const std::string& id) = 0;
  // Whether the agent took the words that Steer gave by this id. Once; an Error: it refused them (its turn
  // was over).
  virtual void OnSteered(const std::string& id, const Status& taken) = 0;

  // The upstream session's id, kept so that a later process can resume it. Empty: it is gone; if the process
  // ends because of that before it is ready, another is started without it.
  virtual void OnSession(std::string id) = 0;
  // The process is of no more use (it never became ready, its stream is gone for good): it is to be stopped,
  // and the run fails with this error.
  virtual void OnBroken(Error error) = 0;

 protected:
  ~AgentEvents() = default;
};

}  // namespace reeve
