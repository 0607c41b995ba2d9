#include "orchestrator/agent/approvals.h"

#include <algorithm>
#include <map>
#include <utility>

#include "orchestrator/json/json.h"
#include "process/clock.h"
#include "tickets/digest.h"

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

const char* NameOf(ElicitationAnswer::Action action) {
  switch (action) {
    case ElicitationAnswer::Action::kAccept:
      return "accept";
    case ElicitationAnswer::Action::kDecline:
      return "decline";
    case ElicitationAnswer::Action::kCancel:
      return "cancel";
  }
  return "";
}

std::optional<ElicitationAnswer::Action> ParseAction(std::string_view name) {
  using Action = ElicitationAnswer::Action;
  for (Action action : {Action::kAccept, Action::kDecline, Action::kCancel}) {
    if (name == NameOf(action)) return action;
  }
  return std::nullopt;
}

std::optional<AllowedCall> AllowedCall::Of(const ApprovalRequest& request) {
  std::map<std::string_view, std::string> members;  // in one order
  auto input = JsonDocument::Parse(request.input);
  if (input) {
    for (const auto& [name, value] : input->root().Members()) members[name] = value.Raw();
  }
  if (members.empty()) return std::nullopt;
  members.erase("description");
  JsonObject canonical;
  for (const auto& [name, value] : members) canonical.SetRaw(name, value);
  return AllowedCall{request.tool, ToHex(Sha256(canonical.Take()))};
}

std::string PendingApproval::ToJson() const {
  JsonObject json;
  json.Set("id", request.id).Set("kind", request.elicitation ? "elicitation" : "approval");
  if (!request.tool.empty()) json.Set("tool", request.tool);
  if (request.elicitation) {
    json.Set("message", request.message);
    json.SetRaw("schema", request.schema.empty() ? R"({"type":"object","properties":{}})" : request.schema);
  } else {
    json.SetRaw("input", request.input.empty() ? "{}" : request.input);
    if (!request.message.empty()) json.Set("message", request.message);
  }
  if (!request.call_id.empty()) json.Set("call_id", request.call_id);
  json.SetRaw("options", request.elicitation ? R"(["accept","decline","cancel"])"
                                             : R"(["allow_once","allow_always","deny"])");
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
  Remember(std::move(how));
  return true;
}

void Approvals::Remember(ResolvedApproval how) {
  resolved_.push_back(std::move(how));
  if (resolved_.size() > kRemembered) resolved_.pop_front();
}

const ResolvedApproval* Approvals::FindResolved(const std::string& id) const {
  auto found = std::find_if(resolved_.rbegin(), resolved_.rend(),
                            [&id](const ResolvedApproval& approval) { return approval.id == id; });
  return found == resolved_.rend() ? nullptr : &*found;
}

bool Approvals::IsAlwaysAllowed(const AllowedCall& call) const {
  return std::find(always_.begin(), always_.end(), call) != always_.end();
}

void Approvals::AllowAlways(AllowedCall call) {
  if (IsAlwaysAllowed(call)) return;
  always_.push_back(std::move(call));
  if (always_.size() > kMaxAlways) always_.pop_front();
}

}  // namespace reeve
