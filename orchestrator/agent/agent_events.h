// AgentEvents: the reports of an adapter about its agent. The agent's process forwards them to the agent.
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

  // The process can take prompts now. Reported once.
  virtual void OnReady() = 0;
  // The agent began or ended a turn. A turn that began without a prompt of ours gets a run of its own. An end
  // without a turn is ignored, so reporting it twice is harmless.
  virtual void OnTurnStarted() = 0;
  virtual void OnTurnEnded(const TurnEnd& end) = 0;

  // May call Decide or Answer before it returns.
  virtual void OnApproval(ApprovalRequest request) = 0;
  // The agent answered the question itself or withdrew it. An unknown or answered id has no effect.
  virtual void OnApprovalGone(const std::string& id) = 0;
  // Whether the agent took the words that Steer gave with this id. Reported once. An Error: it refused them
  // because its turn was over.
  virtual void OnSteered(const std::string& id, const Status& taken) = 0;

  // The id of the upstream session, kept so that a later process can resume it. Empty: the session is lost.
  // If the process ends for that reason before it is ready, another one is started without a session.
  virtual void OnSession(std::string id) = 0;
  // The process is of no more use (it never became ready, or its stream is lost for good). It must be
  // stopped, and the run fails with this error.
  virtual void OnBroken(Error error) = 0;

 protected:
  ~AgentEvents() = default;
};

}  // namespace reeve
