// Agent::Facts: the rules that follow from what an agent's process and clocks report. Each says which parts
// learn of the fact, and in which order.
//
// Owned by its Agent.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "orchestrator/agent/agent.h"

namespace reeve {

class Agent::Facts final : public AgentProcess::Owner {
 public:
  explicit Facts(Agent& agent) : agent_(agent) {}

  // AgentProcess::Owner
  void Emit(std::string_view type, std::string_view data) override;
  void OnReady() override;
  void OnTurnStarted() override;
  void OnTurnEnded(const TurnEnd& end) override;
  void OnApproval(ApprovalRequest request) override;
  void OnApprovalGone(const std::string& id) override;
  void OnSteered(const std::string& message_id, const Status& taken) override;
  void OnSession(std::string id) override;
  void OnBroken(Error error) override;
  void OnReceived() override { agent_.clocks_.Received(); }
  void OnInterruptIgnored() override;
  void OnExited(const AgentProcess::End& end) override;
  void OnChanged() override { agent_.Touch(); }
  [[nodiscard]] SpawnSpec BaseSpawn() const override;
  [[nodiscard]] const std::string& model() const override { return agent_.model(); }

  // AgentClocks::Handlers
  void OnStalled(int64_t silent_ms);
  void OnResumed(int64_t silent_ms);
  void OnWallTimeOver();
  void OnIdleTooLong();

 private:
  void EndRunWithProcess(const AgentProcess::End& end);
  void FollowExit(const AgentProcess::End& end);
  void OnUsage(std::string_view data);
  void OnOverLimit(const char* limit, Error error);

  Agent& agent_;
};

}  // namespace reeve
