#include "orchestrator/agent/open_calls.h"

#include <algorithm>

#include "orchestrator/json/json.h"
#include "orchestrator/log/event_types.h"

namespace reeve {

void OpenCalls::OnEvent(std::string_view type, std::string_view data, int64_t now_ms) {
  const bool begins = type == event_type::kToolStarted;
  const bool ends = type == event_type::kToolCompleted || type == event_type::kToolFailed;
  if (!begins && (!ends || calls_.empty())) return;
  auto json = JsonDocument::Parse(data);
  if (!json) return;
  const std::string_view id = (*json)["call_id"].StringOr("");
  calls_.erase(std::remove_if(calls_.begin(), calls_.end(), [id](const Call& call) { return call.id == id; }),
               calls_.end());
  if (!begins) return;
  if (calls_.size() == kMost) calls_.erase(calls_.begin());
  calls_.push_back({std::string(id), std::string((*json)["name"].StringOr("")), now_ms});
}

}  // namespace reeve
