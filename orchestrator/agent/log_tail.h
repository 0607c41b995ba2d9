// LogTail: what the end of an agent's log shows to have been under way when an earlier daemon died, and what
// may be newer there than in the agent's record. A value, read once.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "orchestrator/agent/run.h"
#include "process/result.h"

namespace reeve {

class EventLog;

struct LogTail {
  bool alive = false;                        // a process whose end the log does not show
  Run open;                                  // without an id: none is open
  std::map<std::string, bool> pending;       // approvals; true: an elicitation
  std::set<std::string> resolved;            // of late
  std::set<std::string> cancelled;           // messages that were withdrawn
  std::map<std::string, std::string> begun;  // messages that reached the process, and their runs
  std::vector<Run> ended;                    // runs, oldest first
  // Envelopes, or empty: the last agent.exited; agent.failed, where that was the last event.
  std::string exited;
  std::string failed;

  // `was_alive`: the record says that a process lived. `taken_seq`: of the messages that were claimed, the
  // lowest taken_seq; 0: none was. Errors of EventLog::Scan.
  static Result<LogTail> Read(const EventLog& log, bool was_alive, uint64_t taken_seq);
};

}  // namespace reeve
