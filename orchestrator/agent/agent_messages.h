// Agent::Messages: the rules of an agent's messages that cross its parts: how a message arrives, begins,
// steers a turn and ends. The order of messages and the pause are the Mailbox's.
//
// Owned by its Agent.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "orchestrator/agent/agent.h"

namespace reeve {

class Agent::Messages {
 public:
  explicit Messages(Agent& agent);

  // Commands: see Agent.
  void Send(Message message, std::function<void(Result<Accepted>)> done);
  void Withdraw(const std::string& message_id, const Done& done);
  // Of a deleted agent nothing waits any more.
  void CancelAll();

  // Scheduled messages that are due arrive; a timer is set for the next one.
  void TakeDue();
  // Claims the next message once the process can have it. That it is claimed is on disk first: after a crash
  // it is not begun a second time.
  void ClaimNext();
  // The agent took the words of a message into its present turn, or refused them.
  void OnSteered(const std::string& message_id, const Status& taken);
  // A message that was to steer a turn is a turn of its own, the next.
  void Requeue(const std::string& message_id, const std::string& reason);
  // Its run has ended, or it will never have one.
  void Finish(const std::string& message_id, Run::Status how, const std::string& run_id);
  // There is a message for an agent whose process has gone and is not to come back by itself: a new try.
  void Wake();

 private:
  void DeliverLine(Message message, std::function<void(Result<Accepted>)> done);
  void OnStored(const std::string& message_id, const Result<std::optional<MessageRecord>>& there,
                const std::function<void(Result<Accepted>)>& done);
  void SentBefore(const MessageRecord& there, Message message, std::function<void(Result<Accepted>)> done);
  [[nodiscard]] const char* DispositionOf(const Message& message) const;
  void Arrive(const std::string& message_id);
  void EndInStore(const std::string& message_id, Run::Status how, const std::string& run_id);
  void WatchDue();
  void BeginClaimed();
  void GiveBackClaimed();

  Agent& agent_;
  Timer due_;  // of the next scheduled message
};

}  // namespace reeve
