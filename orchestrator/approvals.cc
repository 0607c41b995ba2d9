#include "orchestrator/approvals.h"

#include <algorithm>

#include "orchestrator/json.h"
#include "process/clock.h"

namespace reeve {

const char* NameOf(Decision decision) {
  switch (decision) {
    case Decision::kAllowOnce:
      return "allow_once";
    case Decision::kAllowAlways:
      return "allow_always";
    case Decision::kDeny:
      return "deny";
  }
  return "";
}

std::optional<Decision> ParseDecision(std::string_view name) {
  for (Decision decision : {Decision::kAllowOnce, Decision::kAllowAlways, Decision::kDeny}) {
    if (name == NameOf(decision)) return decision;
  }
  return std::nullopt;
}

std::string PendingApproval::ToJson() const {
  JsonObject json;
  json.Set("id", request.id).Set("kind", "approval").Set("tool", request.tool);
  json.SetRaw("input", request.input.empty() ? "{}" : request.input);
  if (!request.call_id.empty()) json.Set("call_id", request.call_id);
  json.SetRaw("options", R"(["allow_once","allow_always","deny"])");
  json.Set("requested_at", FormatTime(requested_at_ms));
  if (deadline_ms != 0) json.Set("deadline", FormatTime(deadline_ms));
  return json.Take();
}

const PendingApproval* Approvals::Find(const std::string& id) const {
  auto found = std::find_if(pending_.begin(), pending_.end(),
                            [&id](const PendingApproval& approval) { return approval.request.id == id; });
  return found == pending_.end() ? nullptr : &*found;
}

bool Approvals::Resolve(ResolvedApproval how) {
  const PendingApproval* found = Find(how.id);
  if (!found) return false;
  pending_.erase(pending_.begin() + (found - pending_.data()));
  resolved_.push_back(std::move(how));
  if (resolved_.size() > kRemembered) resolved_.pop_front();
  return true;
}

const ResolvedApproval* Approvals::FindResolved(const std::string& id) const {
  auto found = std::find_if(resolved_.rbegin(), resolved_.rend(),
                            [&id](const ResolvedApproval& approval) { return approval.id == id; });
  return found == resolved_.rend() ? nullptr : &*found;
}

}  // namespace reeve
