// The members of a process in answers: of an agent's processes, and of strays.
#pragma once

#include "orchestrator/json/json.h"
#include "process/clock.h"
#include "process/process_details.h"

namespace reeve {

inline void SetProcess(JsonObject& json, const ProcessDetails& process) {
  json.Set("pid", int64_t{process.pid})
      .Set("ppid", int64_t{process.ppid})
      .Set("command", process.command)
      .Set("started_at", FormatTime(process.started_ms))
      .Set("cpu_ms", process.cpu_ms)
      .Set("rss_bytes", process.rss_bytes)
      .Set("state", process.state);
}

}  // namespace reeve
