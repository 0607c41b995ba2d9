// Agent::Messages: the rules of an agent's messages that concern several parts: how a message arrives,
// begins, steers a turn and ends. The Mailbox owns the order of messages and the pause.
//
// Owned by its Agent.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "orchestrator/agent/agent.h"

namespace reeve {

class Agent::Messages {
 public:
  explicit Messages(Agent& agent);

  // Commands: see Agent.
  void Send(Message message, std::function<void(Result<Accepted>)> done);
  void SendAll(std::vector<Message> messages, bool only_if_idle,
               std::function<void(Result<std::vector<Accepted>>)> done);
  void Withdraw(const std::string& message_id, const Done& done);
  // Ends all messages that wait, for a deleted agent.
  void CancelAll();

  // Lets scheduled messages that are due arrive, and sets a timer for the next one.
  void TakeDue();
  // Claims the next message once the process can take it. The claim is first written to disk, so that the
  // message does not begin a second time after a crash.
  void ClaimNext();
  // The agent took the words of a message into its current turn, or refused them.
  void OnSteered(const std::string& message_id, const Status& taken);
  // A message that should have steered a turn becomes a turn of its own, the next one.
  void Requeue(const std::string& message_id, const std::string& reason);
  // Its run has ended, or it will never have one.
  void Finish(const std::string& message_id, Run::Status how, const std::string& run_id);
  // No process follows the one that has ended, or that could not be started: the messages that it was started
  // for have failed.
  void FailNotTaken();
  // A message waits for an agent whose process has ended and would not start again by itself: tries to start
  // it.
  void Wake();
  // A message that arrived is on disk now and takes its place. Returns the number of the event that reports
  // it.
  uint64_t Place(const Message& message);
  // The message was claimed too early and waits for the next opportunity.
  void GiveBackClaimed();

 private:
  void DeliverLine(const Message& message, std::function<void(Result<Accepted>)> done);
  void OnStored(const std::string& message_id, const Result<std::optional<MessageRecord>>& there,
                const std::function<void(Result<Accepted>)>& done);
  void SentBefore(const MessageRecord& there, Message message, std::function<void(Result<Accepted>)> done);
  using AllDone = std::function<void(Result<std::vector<Accepted>>)>;
  void AcceptAll(std::vector<Message> messages, AllDone done);
  void OnAllStored(std::vector<Message> messages, const Result<std::optional<MessageRecord>>& there,
                   const AllDone& done);
  void AllSentBefore(const MessageRecord& there, std::vector<Message> messages, const AllDone& done);
  [[nodiscard]] Status Prepare(Message& message) const;
  [[nodiscard]] const char* DispositionOf(const Message& message) const;
  void Arrive(const std::string& message_id);
  void EndInStore(const std::string& message_id, Run::Status how, const std::string& run_id);
  // It failed without a run.
  void Fail(const std::string& message_id, const std::string& reason);
  void WatchDue();
  void BeginClaimed();

  Agent& agent_;
  Timer due_;  // fires when the next scheduled message is due
};

}  // namespace reeve
