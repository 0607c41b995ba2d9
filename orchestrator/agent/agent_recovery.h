// Agent::Recovery: the steps that bring an agent of an earlier daemon up to date with its log and the store.
// A part of Agent that lives for one call.
#pragma once

#include <optional>
#include <vector>

#include "orchestrator/agent/agent.h"
#include "orchestrator/agent/message.h"

namespace reeve {

struct Cursor;
struct LogTail;
struct MessageRecord;

class Agent::Recovery {
 public:
  explicit Recovery(Agent& agent) : agent_(agent) {}

  // --- after the death of the daemon and the process
  // The log is written before the record, so it is right about a run or process that ended in between.
  // `recorded` is the log's end when the record was written.
  void ApplyLogTail(LogTail& tail, const Cursor& recorded);
  void CloseOpenEnds(const LogTail& tail);
  // A message that had not ended keeps waiting, unless the log shows that the process had it.
  void RestoreMessage(const MessageRecord& record, std::optional<Message> message, const LogTail& tail);

  // --- after the death of the daemon alone: the agent was restored from its checkpoint
  void FollowStore(const std::vector<MessageRecord>& messages);

 private:
  Agent& agent_;
};

}  // namespace reeve
