// What an agent waits for a person to say.
#include <algorithm>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include "orchestrator/adapters/tool_names.h"
#include "orchestrator/agent/agent.h"
#include "process/clock.h"

namespace reeve {

void Agent::OnApproval(ApprovalRequest request) {
  if (approvals_.Find(request.id)) return;  // told again, after a reconnect
  // It may come outside a turn, from a server or a sub-agent in the background: it waits without a run.
  PendingApproval pending{std::move(request), run_ ? run_->id : "", context_.clock.WallMs(), 0};
  if (spec_.permissions.timeout_ms != 0) {
    pending.deadline_ms = pending.requested_at_ms + spec_.permissions.timeout_ms;
  }
  const std::string approval = pending.request.id;
  const Permissions::Judgement judged = Judge(pending.request);
  Append(pending.request.elicitation ? "elicitation.requested" : "approval.requested", pending.ToJson());
  approvals_.Add(std::move(pending));
  if (judged.verdict != Permissions::Verdict::kAsk) {
    const bool allow = judged.verdict == Permissions::Verdict::kAllow;
    Resolve(approval, NameOf(allow ? Decision::kAllowOnce : Decision::kDeny), "policy", judged.why);
    adapter_->Decide(approval, {allow, allow ? "" : "not permitted: " + judged.why, ""});
  }
  WatchDeadlines();
  Advance();
}

// Deny rules beat a person's earlier "always", which beats ask rules: it was the answer to one.
Permissions::Judgement Agent::Judge(const ApprovalRequest& request) const {
  if (request.elicitation) return {Permissions::Verdict::kAsk, ""};  // nobody can guess an answer
  auto input = JsonDocument::Parse(request.input);
  std::error_code error;
  const std::string folder = WorkingFolder();
  const std::string cwd = folder.empty() ? std::filesystem::current_path(error).string() : folder;
  auto judged = spec_.permissions.Judge(
      request.tool, input ? ToolArguments(request.tool, input->root(), cwd) : std::vector<std::string>());
  const std::optional<AllowedCall> call = AllowedCall::Of(request);
  if (judged.verdict != Permissions::Verdict::kDeny && call && approvals_.IsAlwaysAllowed(*call)) {
    return {Permissions::Verdict::kAllow, "allow_always"};
  }
  return judged;
}

void Agent::OnApprovalGone(const std::string& approval_id) {
  Resolve(approval_id, "withdrawn", "agent", "");
  Advance();
}

Status Agent::WhyNotPending(const std::string& approval_id, bool elicitation) const {
  const char* what = elicitation ? "elicitation " : "approval ";
  const PendingApproval* pending = approvals_.Find(approval_id);
  if (pending && pending->request.elicitation == elicitation) return {};
  if (const ResolvedApproval* before = approvals_.FindResolved(approval_id)) {
    return Error{"already_resolved", what + approval_id + ": " + before->decision + " by " + before->by};
  }
  return Error{"approval_not_found", "agent " + id() + " has no " + what + approval_id};
}

Status Agent::Decide(const std::string& approval_id, Decision decision, const std::string& reason,
                     const std::string& input, Done done) {
  if (Status known = WhyNotPending(approval_id, false); !known) return known;
  if (!input.empty() && !kind_->can.change_input) {
    return Error{"invalid_request", "input: kind " + spec_.kind + " cannot change what a tool gets"};
  }
  const std::optional<AllowedCall> call = AllowedCall::Of(approvals_.Find(approval_id)->request);
  Resolve(approval_id, NameOf(decision), "person", reason);
  Status committed = log_->Commit();  // decided means on disk, also when the agent dies of the news
  const bool always = decision == Decision::kAllowAlways && call;
  if (always) approvals_.AllowAlways(*call);
  adapter_->Decide(approval_id, {decision != Decision::kDeny, reason, input});
  if (always && committed) {
    Save(std::move(done));
  } else {
    done(committed);
  }
  Advance();
  return {};
}

Status Agent::Answer(const std::string& elicitation_id, const ElicitationAnswer& answer) {
  if (Status known = WhyNotPending(elicitation_id, true); !known) return known;
  Resolve(elicitation_id, NameOf(answer.action), "person", "");
  Status committed = log_->Commit();
  adapter_->Answer(elicitation_id, answer);
  Advance();
  return committed;
}

bool Agent::Resolve(const std::string& approval_id, const std::string& decision, const char* by,
                    const std::string& reason) {
  const PendingApproval* pending = approvals_.Find(approval_id);
  if (!pending) return false;
  const bool elicitation = pending->request.elicitation;
  JsonObject data;
  data.Set("id", approval_id).Set(elicitation ? "action" : "decision", decision).Set("by", by);
  if (!reason.empty()) data.Set("reason", reason);
  approvals_.Resolve({approval_id, decision, by});  // last: approval_id may be the pending one's own
  Append(elicitation ? "elicitation.resolved" : "approval.resolved", data.Take());
  return true;
}

void Agent::WithdrawApprovals(const std::function<bool(const PendingApproval&)>& which) {
  const std::vector<PendingApproval> pending = approvals_.pending();
  for (const PendingApproval& approval : pending) {
    if (which(approval)) Resolve(approval.request.id, "withdrawn", "daemon", "the run has ended");
  }
}

// Decides what nobody decided in time, and sets the timer for the next one.
void Agent::WatchDeadlines() {
  static constexpr char kNobody[] = "nobody answered in time";
  const int64_t now = context_.clock.WallMs();
  int64_t next = 0;
  const std::vector<PendingApproval> pending = approvals_.pending();
  for (const PendingApproval& approval : pending) {
    const std::string& approval_id = approval.request.id;
    if (approval.deadline_ms == 0) continue;
    if (approval.deadline_ms > now) {
      next = next == 0 ? approval.deadline_ms : std::min(next, approval.deadline_ms);
    } else if (approval.request.elicitation) {
      if (!Resolve(approval_id, "expired", "deadline", kNobody)) continue;
      adapter_->Answer(approval_id, {ElicitationAnswer::Action::kCancel, ""});
    } else {
      const bool allow = spec_.permissions.allow_on_timeout;
      if (!Resolve(approval_id, allow ? "allow_once" : "expired", "deadline", kNobody)) continue;
      adapter_->Decide(approval_id, {allow, kNobody, ""});
    }
  }
  if (next != 0) approval_deadline_.Start(next - now);
  Advance();
}

}  // namespace reeve
