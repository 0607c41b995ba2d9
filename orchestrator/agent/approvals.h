// Approvals: what one agent waits for a person to say, approvals and elicitations alike. A value of its
// Agent. Each gets exactly one decision: a person's, the policy's, the deadline's; or it is withdrawn when
// its run ends or the agent takes it back.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "orchestrator/adapters/adapter.h"

namespace reeve {

// What a person may say of an approval. "Always" allows the exact same call from then on.
enum class Decision { kAllowOnce, kAllowAlways, kDeny };
const char* NameOf(Decision decision);
std::optional<Decision> ParseDecision(std::string_view name);

struct PendingApproval {
  ApprovalRequest request;
  std::string run;
  int64_t requested_at_ms = 0;  // wall clock
  int64_t deadline_ms = 0;      // wall clock; 0: none

  // The event's data, and the snapshot's.
  [[nodiscard]] std::string ToJson() const;
};

const char* NameOf(ElicitationAnswer::Action action);
std::optional<ElicitationAnswer::Action> ParseAction(std::string_view name);

// A call that a person has allowed for good: this tool with exactly this input, but for how it is described.
struct AllowedCall {
  std::string tool;
  std::string digest;  // SHA-256 of the input, in hex
  bool operator==(const AllowedCall&) const = default;
  // Nothing of a call without input: nobody knows what is allowed then.
  static std::optional<AllowedCall> Of(const ApprovalRequest& request);
};

// How one ended: for the second who answers.
struct ResolvedApproval {
  std::string id;
  std::string decision;  // allow_once, allow_always, deny; accept, decline, cancel; expired, withdrawn
  std::string by;        // person, policy, deadline, agent, daemon
};

class Approvals {
 public:
  void Add(PendingApproval approval) { pending_.push_back(std::move(approval)); }
  [[nodiscard]] const std::vector<PendingApproval>& pending() const { return pending_; }
  [[nodiscard]] const PendingApproval* Find(const std::string& id) const;
  // Takes it out of the pending ones and remembers how it ended. False if it is not pending.
  bool Resolve(ResolvedApproval how);
  [[nodiscard]] const std::deque<ResolvedApproval>& resolved() const { return resolved_; }
  void Remember(ResolvedApproval how);
  // Of the last kRemembered.
  [[nodiscard]] const ResolvedApproval* FindResolved(const std::string& id) const;

  // What "allow_always" has allowed, the newest kMaxAlways of it.
  [[nodiscard]] const std::deque<AllowedCall>& always() const { return always_; }
  [[nodiscard]] bool IsAlwaysAllowed(const AllowedCall& call) const;
  void AllowAlways(AllowedCall call);

 private:
  static constexpr size_t kMaxAlways = 256;
  static constexpr size_t kRemembered =
      256;  // a second answer comes within seconds, not hundreds of approvals
  std::vector<PendingApproval> pending_;
  std::deque<ResolvedApproval> resolved_;
  std::deque<AllowedCall> always_;
};

}  // namespace reeve
