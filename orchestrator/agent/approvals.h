// Approvals: the open questions of one agent to a person, both approvals and elicitations. Each gets exactly
// one decision: by a person, the policy or the deadline. Or it is withdrawn when its run ends or the agent
// withdraws it. The decision is first recorded and then sent to the agent, once.
//
// Owned by its Agent; on the loop's thread.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "orchestrator/agent/approval_request.h"
#include "orchestrator/agent/permissions.h"
#include "orchestrator/agent/resolved_approval.h"
#include "orchestrator/log/event_data.h"
#include "process/result.h"
#include "process/timer.h"

namespace reeve {

class Clock;
class Loop;

struct PendingApproval {
  ApprovalRequest request;
  std::string run;
  std::string cwd;              // the agent's folder, to which relative paths of its tools refer
  std::string session;          // the agent's upstream session
  int64_t requested_at_ms = 0;  // wall clock
  int64_t deadline_ms = 0;      // wall clock; 0: none

  // The data of the event, which a snapshot also shows.
  [[nodiscard]] std::string ToJson() const;

  static void Members(auto& self, auto& state) {
    state("request", self.request);
    state("run", self.run);
    state("cwd", self.cwd);
    state("session", self.session);
    state("requested_at_ms", self.requested_at_ms);
    state("deadline_ms", self.deadline_ms);
  }
};

// A call that a person has allowed for good: this tool with exactly this input, except for its description.
struct AllowedCall {
  std::string tool;
  std::string digest;  // SHA-256 of the input, in hex
  bool operator==(const AllowedCall&) const = default;
  // Returns nothing for a call without input, because it is unknown what would be allowed.
  static std::optional<AllowedCall> Of(const ApprovalRequest& request);

  static void Members(auto& self, auto& state) {
    state("tool", self.tool);
    state("digest", self.digest);
  }
};

// The calls that a person has allowed until the agent's session ends.
struct SessionGrants {
  std::string session;
  bool everything = false;
  std::set<std::string> tools;

  [[nodiscard]] bool Allow(const std::string& in_session, const std::string& tool) const {
    return in_session == session && (everything || tools.count(tool) != 0);
  }
  static void Members(auto& self, auto& state) {
    state("session", self.session);
    state("everything", self.everything);
    state("tools", self.tools);
  }
};

// The bytes that the open questions of several agents hold in all. Each agent has a share of its own in it.
class QuestionBytes {
 public:
  class Share {
   public:
    explicit Share(QuestionBytes& all) : all_(all) {}
    ~Share() { Set(0); }
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;

    void Set(size_t bytes) {
      all_.total_ += bytes - bytes_;
      bytes_ = bytes;
    }
    [[nodiscard]] size_t bytes() const { return bytes_; }
    [[nodiscard]] size_t all() const { return all_.total_; }

   private:
    QuestionBytes& all_;
    size_t bytes_ = 0;
  };

 private:
  size_t total_ = 0;
};

class Approvals {
 public:
  struct Handlers {
    // Appends an event to the agent's log. With `now` it is on disk on return; after an Error it is not in
    // the log at all. Without `now` it cannot fail.
    std::function<Status(std::string_view type, const std::string& data, bool now)> record;
    // Sends the decision to the agent.
    std::function<void(const std::string& id, const ApprovalAnswer&)> decided;
    std::function<void(const std::string& id, const ElicitationAnswer&)> answered;
    // A deadline has decided a question.
    std::function<void()> changed;
    // A question of this run has ended, whoever ended it. The run may be empty.
    std::function<void(const std::string& run, const ResolvedApproval&)> resolved = {};
  };

  // `permissions` belong to the spec and may change. `all`: the bytes of all agents of the town.
  Approvals(Loop& loop, const Clock& clock, std::string agent, const Permissions& permissions,
            QuestionBytes& all, Handlers handlers);

  [[nodiscard]] const std::vector<PendingApproval>& pending() const { return pending_; }
  // Null: the question is not pending.
  [[nodiscard]] const PendingApproval* Find(const std::string& id) const;
  // One of the last kRemembered questions.
  [[nodiscard]] const ResolvedApproval* FindResolved(const std::string& id) const;

  // The error of a decision that comes too late. `what` is "approval" or "elicitation".
  static Error AlreadyResolved(const std::string& what, const ResolvedApproval& resolved);
  // A question that an earlier daemon ended, or whose end it could not record.
  void Remember(ResolvedApproval resolved);

  // The agent asks. A request that is already pending has no effect, because agents repeat requests after a
  // reconnect. The policy may decide at once. Relative paths of the agent's tools are relative to `cwd`.
  // `session`: the agent's upstream session.
  void Ask(ApprovalRequest request, const std::string& run, const std::string& cwd,
           const std::string& session = {});
  // The permissions have changed. They decide what is pending if they no longer ask.
  void JudgeAgain();
  // A person decides. Pending calls that this decision allows are allowed with it. Errors
  // "approval_not_found", "already_resolved", and those of Handlers::record, after
  // which the question is still pending. `input`: a JSON object that replaces the tool's input, or empty.
  // `by`: the person's name in events.
  Status Decide(const std::string& id, Decision decision, const std::string& reason, const std::string& input,
                std::string_view by = kUnnamedCaller);
  // Also Error "invalid_request": the content does not fit the schema of the question, which stays open.
  Status Answer(const std::string& id, const ElicitationAnswer& answer, std::string_view by = kUnnamedCaller);
  // The agent answered the question itself, or withdrew it.
  void Retract(const std::string& id);
  // The run has ended.
  void WithdrawRun(const std::string& run);
  // The process has ended.
  void WithdrawAll();
  // Decides the questions whose deadline has passed, and sets the timer for the next one. Returns whether
  // there was one. Used after a restore.
  bool CheckDeadlines();
  // When it will be called next, on the clock of Loop::NowMs(); nothing: no question has a deadline.
  [[nodiscard]] std::optional<int64_t> next_look_ms() const { return deadline_.due_ms(); }

  // The members that the record in the store contains. A restarted daemon withdraws pending questions
  // (Agent::Load).
  static void Record(auto& self, auto& state) {
    state("always", self.always_);
    state("grants", self.grants_);
    std::map<std::string, bool> open = self.OpenIds();
    state("pending", open);
  }
  static void Members(auto& self, auto& state) {
    state("pending", self.pending_);
    self.CountBytes();
    state("resolved", self.resolved_);
    state("always", self.always_);
    state("grants", self.grants_);
  }

 private:
  void CountBytes();
  void CountBytes() const {}  // for Members, which only reads
  // Why the question may not wait for a person; null: it may.
  [[nodiscard]] const char* WhyTooLarge(const PendingApproval& pending) const;
  // By id; true: an elicitation.
  [[nodiscard]] std::map<std::string, bool> OpenIds() const;
  [[nodiscard]] Permissions::Judgement Judge(const PendingApproval& pending) const;
  // Decides it by the policy unless that asks a person.
  void Apply(const PendingApproval& pending);
  void Grant(Decision decision, const PendingApproval& pending);
  [[nodiscard]] Status CheckPending(const std::string& id, bool elicitation) const;
  Status Resolve(const std::string& id, const char* decision, std::string_view by, const std::string& reason,
                 bool now);
  void Withdraw(const std::function<bool(const PendingApproval&)>& which);
  void Allow(AllowedCall call);

  const Clock& clock_;
  const std::string agent_;
  const Permissions& permissions_;
  const Handlers handlers_;
  std::vector<PendingApproval> pending_;
  QuestionBytes::Share bytes_;             // of pending_
  std::deque<ResolvedApproval> resolved_;  // the newest last
  SessionGrants grants_;
  std::deque<AllowedCall> always_;  // calls allowed by "allow_always", the newest last
  Timer deadline_;
};

}  // namespace reeve
