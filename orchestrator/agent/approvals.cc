#include "orchestrator/agent/approvals.h"

#include <algorithm>
#include <utility>

#include "orchestrator/agent/approval_excerpt.h"
#include "orchestrator/agent/content_schema.h"
#include "orchestrator/agent/tool_names.h"
#include "orchestrator/json/json.h"
#include "orchestrator/log/event_types.h"
#include "process/clock.h"
#include "tickets/digest.h"

namespace reeve {

namespace {

constexpr size_t kMaxAlways = 256;
// A second answer comes within seconds, not after hundreds of other approvals. The runs have the older ones.
constexpr size_t kRemembered = 256;
constexpr char kNobody[] = "nobody answered in time";
// A person reads less, and each question is copied and shown in answers.
constexpr size_t kMaxPendingBytes = size_t{4} << 20;
constexpr char kTooLarge[] = "the questions of this agent that wait for a person would hold more than 4 MiB";
// Many agents together must not fill the memory either. 16 of them can, so a few cannot lock out the others.
constexpr size_t kMaxPendingBytesOfAll = size_t{64} << 20;
constexpr char kAllTooLarge[] =
    "the questions of all agents that wait for a person would hold more than 64 MiB";

}  // namespace

// -------------------------------------------------------------------------------------------------- words

const char* NameOf(Decision decision) {
  switch (decision) {
    case Decision::kAllowOnce:
      return "allow_once";
    case Decision::kAllowTool:
      return "allow_tool";
    case Decision::kAllowSession:
      return "allow_session";
    case Decision::kAllowAlways:
      return "allow_always";
    case Decision::kDeny:
      return "deny";
  }
  return "";
}

std::optional<Decision> ParseDecision(std::string_view name) {
  for (Decision decision : kDecisions) {
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
  members.erase("description");
  if (members.empty()) return std::nullopt;
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
  JsonArray decisions;
  for (Decision decision : kDecisions) decisions.Add(NameOf(decision));
  json.SetRaw("options", request.elicitation ? R"(["accept","decline","cancel"])" : decisions.Take());
  json.Set("requested_at", FormatTime(requested_at_ms));
  if (deadline_ms != 0) json.Set("deadline", FormatTime(deadline_ms));
  return json.Take();
}

// ------------------------------------------------------------------------------------------------- asking

Approvals::Approvals(Loop& loop, const Clock& clock, std::string agent, const Permissions& permissions,
                     QuestionBytes& all, Handlers handlers)
    : clock_(clock),
      agent_(std::move(agent)),
      permissions_(permissions),
      handlers_(std::move(handlers)),
      bytes_(all),
      deadline_(loop, [this] {
        if (CheckDeadlines()) handlers_.changed();
      }) {}

void Approvals::Ask(ApprovalRequest request, const std::string& run, const std::string& cwd,
                    const std::string& session) {
  if (Find(request.id)) return;
  // It may come outside a turn, from a server or a sub-agent in the background. Then it waits without a run.
  PendingApproval pending{std::move(request), run, cwd, session, clock_.WallMs(), 0};
  if (permissions_.timeout_ms != 0) pending.deadline_ms = pending.requested_at_ms + permissions_.timeout_ms;
  const char* too_large = WhyTooLarge(pending);
  if (too_large) pending = ExcerptOf(pending).approval;
  (void)handlers_.record(
      pending.request.elicitation ? event_type::kElicitationRequested : event_type::kApprovalRequested,
      pending.ToJson(), false);
  pending_.push_back(pending);
  CountBytes();
  const std::string& id = pending.request.id;
  if (!too_large) {
    Apply(pending);
  } else if (pending.request.elicitation) {
    if (Resolve(id, NameOf(ElicitationAnswer::Action::kCancel), "daemon", too_large, false))
      handlers_.answered(id, {ElicitationAnswer::Action::kCancel, ""});
  } else if (Resolve(id, NameOf(Decision::kDeny), "daemon", too_large, false)) {
    handlers_.decided(id, {false, too_large, ""});
  }
  CheckDeadlines();
}

const char* Approvals::WhyTooLarge(const PendingApproval& pending) const {
  const size_t bytes = BytesOf(pending.request);
  const char* why = nullptr;
  if (bytes_.bytes() + bytes > kMaxPendingBytes) {
    why = kTooLarge;
  } else if (bytes_.all() + bytes > kMaxPendingBytesOfAll) {
    why = kAllTooLarge;
  }
  return why && Judge(pending).verdict == Permissions::Verdict::kAsk ? why : nullptr;
}

void Approvals::CountBytes() {
  size_t bytes = 0;
  for (const PendingApproval& one : pending_) bytes += BytesOf(one.request);
  bytes_.Set(bytes);
}

void Approvals::JudgeAgain() {
  const std::vector<PendingApproval> pending = pending_;
  for (const PendingApproval& one : pending) Apply(one);
}

void Approvals::Apply(const PendingApproval& pending) {
  const Permissions::Judgement judged = Judge(pending);
  if (judged.verdict == Permissions::Verdict::kAsk) return;
  const bool allow = judged.verdict == Permissions::Verdict::kAllow;
  const std::string& id = pending.request.id;
  if (!Resolve(id, NameOf(allow ? Decision::kAllowOnce : Decision::kDeny), "policy", judged.why, false))
    return;
  handlers_.decided(id, {allow, allow ? "" : "not permitted: " + judged.why, ""});
}

// Deny rules beat a person's earlier decision, which beats ask rules, because it was the answer to one.
Permissions::Judgement Approvals::Judge(const PendingApproval& pending) const {
  const ApprovalRequest& request = pending.request;
  if (request.elicitation) return {Permissions::Verdict::kAsk, ""};  // no rule can know the answer
  auto input = JsonDocument::Parse(request.input);
  auto judged =
      permissions_.Judge(request.tool, input ? ToolArguments(request.tool, input->root(), pending.cwd)
                                             : std::vector<std::string>());
  if (judged.verdict == Permissions::Verdict::kDeny) return judged;
  const std::optional<AllowedCall> call = AllowedCall::Of(request);
  if (call && std::find(always_.begin(), always_.end(), *call) != always_.end())
    return {Permissions::Verdict::kAllow, NameOf(Decision::kAllowAlways)};
  if (!judged.unsure && grants_.Allow(pending.session, request.tool)) {
    const Decision by = grants_.everything ? Decision::kAllowSession : Decision::kAllowTool;
    return {Permissions::Verdict::kAllow, NameOf(by)};
  }
  return judged;
}

// ----------------------------------------------------------------------------------------------- deciding

Status Approvals::CheckPending(const std::string& id, bool elicitation) const {
  const std::string what = elicitation ? "elicitation" : "approval";
  const PendingApproval* pending = Find(id);
  if (pending && pending->request.elicitation == elicitation) return {};
  if (const ResolvedApproval* before = FindResolved(id)) return AlreadyResolved(what, *before);
  return Error{"approval_not_found", "agent " + agent_ + " has no " + what + " " + id};
}

Error Approvals::AlreadyResolved(const std::string& what, const ResolvedApproval& resolved) {
  return {"already_resolved", what + " " + resolved.id + ": " + resolved.decision + " by " + resolved.by};
}

Status Approvals::Decide(const std::string& id, Decision decision, const std::string& reason,
                         const std::string& input, std::string_view by) {
  if (Status known = CheckPending(id, false); !known) return known;
  const PendingApproval decided = *Find(id);
  if (Status status = Resolve(id, NameOf(decision), by, reason, true); !status) return status;
  Grant(decision, decided);
  handlers_.decided(id, {decision != Decision::kDeny, reason, input});
  if (decision != Decision::kAllowOnce && decision != Decision::kDeny) JudgeAgain();
  return {};
}

void Approvals::Grant(Decision decision, const PendingApproval& pending) {
  if (decision == Decision::kAllowAlways) {
    if (std::optional<AllowedCall> call = AllowedCall::Of(pending.request)) Allow(std::move(*call));
  }
  if (decision != Decision::kAllowTool && decision != Decision::kAllowSession) return;
  if (grants_.session != pending.session) grants_ = {pending.session, false, {}};
  if (decision == Decision::kAllowSession) {
    grants_.everything = true;
  } else if (grants_.tools.size() < kMaxAlways) {
    grants_.tools.insert(pending.request.tool);
  }
}

Status Approvals::Answer(const std::string& id, const ElicitationAnswer& answer, std::string_view by) {
  if (Status known = CheckPending(id, true); !known) return known;
  if (answer.action == ElicitationAnswer::Action::kAccept) {
    const ApprovalRequest& request = Find(id)->request;
    auto schema = JsonDocument::Parse(request.schema.empty() ? "{}" : request.schema);
    auto content = JsonDocument::Parse(answer.content);
    if (!content) return Error{"invalid_request", "content: " + content.error().message};
    const Choices choices = request.suggestions ? Choices::kSuggestions : Choices::kBinding;
    if (schema) {
      if (Status fits = CheckContent(schema->root(), content->root(), choices); !fits) return fits;
    }
  }
  if (Status status = Resolve(id, NameOf(answer.action), by, "", true); !status) return status;
  handlers_.answered(id, answer);
  return {};
}

void Approvals::Retract(const std::string& id) { (void)Resolve(id, "withdrawn", "agent", "", false); }

void Approvals::WithdrawRun(const std::string& run) {
  Withdraw([&run](const PendingApproval& pending) { return pending.run == run; });
}

void Approvals::WithdrawAll() {
  Withdraw([](const PendingApproval&) { return true; });
  if (grants_.session.empty()) grants_ = {};  // the next process has another session, as far as we know
}

void Approvals::Withdraw(const std::function<bool(const PendingApproval&)>& which) {
  const std::vector<PendingApproval> pending = pending_;
  for (const PendingApproval& one : pending) {
    if (which(one)) (void)Resolve(one.request.id, "withdrawn", "daemon", "the run has ended", false);
  }
}

bool Approvals::CheckDeadlines() {
  const int64_t now = clock_.WallMs();
  bool decided = false;
  const std::vector<PendingApproval> pending = pending_;
  for (const PendingApproval& one : pending) {
    const std::string& id = one.request.id;
    if (one.deadline_ms == 0 || one.deadline_ms > now) continue;
    decided = true;
    if (one.request.elicitation) {
      if (Resolve(id, "expired", "deadline", kNobody, false)) {
        handlers_.answered(id, {ElicitationAnswer::Action::kCancel, ""});
      }
    } else {
      const bool allow = permissions_.allow_on_timeout;
      if (Resolve(id, allow ? "allow_once" : "expired", "deadline", kNobody, false)) {
        handlers_.decided(id, {allow, kNobody, ""});
      }
    }
  }
  // Looks at the approvals that are pending now: the agent may have asked again while it was answered.
  int64_t next = 0;
  for (const PendingApproval& one : pending_) {
    if (one.deadline_ms != 0) next = next == 0 ? one.deadline_ms : std::min(next, one.deadline_ms);
  }
  if (next == 0) {
    deadline_.Stop();
  } else {
    deadline_.Start(std::clamp<int64_t>(next - now, 0, kWallClockLookMs));
  }
  return decided;
}

// The one place where a pending question ends. An error: it is not pending (its end may have followed from
// that of another one), or the decision could not be recorded.
Status Approvals::Resolve(const std::string& id, const char* decision, std::string_view by,
                          const std::string& reason, bool now) {
  const auto pending = std::find_if(pending_.begin(), pending_.end(),
                                    [&id](const PendingApproval& one) { return one.request.id == id; });
  if (pending == pending_.end()) return CheckPending(id, false);
  const bool elicitation = pending->request.elicitation;
  JsonObject data;
  data.Set("id", id).Set(elicitation ? "action" : "decision", decision).Set("by", by);
  if (!reason.empty()) data.Set("reason", reason);
  if (Status recorded = handlers_.record(
          elicitation ? event_type::kElicitationResolved : event_type::kApprovalResolved, data.Take(), now);
      !recorded) {
    return recorded;
  }
  const ResolvedApproval resolved{id, decision, std::string(by)};
  if (handlers_.resolved) handlers_.resolved(pending->run, resolved);
  pending_.erase(pending);
  CountBytes();
  Remember(resolved);
  return {};
}

void Approvals::Remember(ResolvedApproval resolved) {
  resolved_.push_back(std::move(resolved));
  if (resolved_.size() > kRemembered) resolved_.pop_front();
}

void Approvals::Allow(AllowedCall call) {
  if (std::find(always_.begin(), always_.end(), call) != always_.end()) return;
  always_.push_back(std::move(call));
  if (always_.size() > kMaxAlways) always_.pop_front();
}

// ------------------------------------------------------------------------------------------------ finding

const PendingApproval* Approvals::Find(const std::string& id) const {
  auto found = std::find_if(pending_.begin(), pending_.end(),
                            [&id](const PendingApproval& one) { return one.request.id == id; });
  return found == pending_.end() ? nullptr : &*found;
}

const ResolvedApproval* Approvals::FindResolved(const std::string& id) const {
  auto found = std::find_if(resolved_.rbegin(), resolved_.rend(),
                            [&id](const ResolvedApproval& one) { return one.id == id; });
  return found == resolved_.rend() ? nullptr : &*found;
}

std::map<std::string, bool> Approvals::OpenIds() const {
  std::map<std::string, bool> ids;
  for (const PendingApproval& one : pending_) ids.emplace(one.request.id, one.request.elicitation);
  return ids;
}

}  // namespace reeve
