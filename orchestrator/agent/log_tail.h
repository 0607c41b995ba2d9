// LogTail: the work that was in progress when an earlier daemon died, as the end of the agent's log shows it,
// and facts that may be newer there than in the agent's record. A value, read once.
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
  bool alive = false;                                // a process lived, and the log does not show its end
  Run open;                                          // the open run; no run is open if its id is empty
  std::map<std::string, bool> pending;               // open questions; true: an elicitation
  std::map<std::string, ResolvedApproval> resolved;  // recently resolved questions, by id
  std::set<std::string> cancelled;                   // messages that were withdrawn
  std::map<std::string, std::string> begun;          // messages that reached the process, and their runs
  std::vector<Run> ended;                            // runs, oldest first
  // Envelopes, or empty: the last agent.exited; agent.failed, if it was the last event.
  std::string exited;
  std::string failed;

  // `was_alive`: the record says that a process lived. `taken_seq`: the lowest taken_seq of the claimed
  // messages; 0: none was claimed. Errors of EventLog::Scan.
  static Result<LogTail> Read(const EventLog& log, bool was_alive, uint64_t taken_seq);
};

}  // namespace reeve
