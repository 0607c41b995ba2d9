// Run: one turn of work, from a prompt to its end (control/api/API.md). A value: the open run of an agent, or
// the record of an ended one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "orchestrator/agent/resolved_approval.h"
#include "process/result.h"

namespace reeve {

class JsonValue;

// The error code of a run that the end of the daemon cut off. The agent is not to blame.
inline constexpr char kDaemonRestarted[] = "daemon_restarted";

// Tokens and cost, as in usage.updated.
struct Usage {
  int64_t input_tokens = 0;
  int64_t output_tokens = 0;
  double cost_usd = 0;
  void Add(const Usage& other);
  // `json`: the data of a usage.updated, or empty.
  static Usage Parse(const std::string& json);
  [[nodiscard]] std::string ToJson() const;

  static void Members(auto& self, auto& state) {
    state("input_tokens", self.input_tokens);
    state("output_tokens", self.output_tokens);
    state("cost_usd", self.cost_usd);
  }
};

struct Run {
  enum class Status { kRunning, kCompleted, kFailed, kCancelled };
  static constexpr const char* kStatuses[] = {"running", "completed", "failed", "cancelled"};

  std::string id;  // "r<seq of its run.started>"
  std::string message_id;
  Status status = Status::kRunning;
  std::optional<int> exit_code;  // the exit code, if the process's life was the run
  std::optional<int> signal;     // the signal that ended the process, in place of exit_code
  Error error{};                 // of a failed run
  std::string limit;             // the spec's limit that ended it, or empty
  int64_t started_ms = 0;        // wall clock
  int64_t ended_ms = 0;
  std::string usage;                        // the JSON of its last usage.updated, or empty
  std::vector<std::string> steered;         // messages that joined it
  std::vector<ResolvedApproval> approvals;  // its approvals and elicitations that have ended

  [[nodiscard]] bool Has(const std::string& message) const;
  // The number of its run.started.
  [[nodiscard]] uint64_t number() const { return NumberOf(id); }
  static uint64_t NumberOf(std::string_view run_id);  // 0: not the id of a run
  static std::string IdOf(uint64_t number) { return "r" + std::to_string(number); }

  // The run as the API shows it. This is also the body of its record in the store.
  [[nodiscard]] std::string ToJson() const;
  static std::optional<Run> FromJson(const JsonValue& json);
  // The data of the event that ends it.
  [[nodiscard]] std::string EndJson() const;
  // The run that such an event, given as an envelope, describes.
  static Run FromEnd(const JsonValue& envelope);

  static void Members(auto& self, auto& state) {
    state("id", self.id);
    state("message_id", self.message_id);
    state.Enum("status", self.status, kStatuses);
    state("exit_code", self.exit_code);
    state("signal", self.signal);
    state("error", self.error);
    state("limit", self.limit);
    state("started_ms", self.started_ms);
    state("ended_ms", self.ended_ms);
    state.Json("usage", self.usage);
    state("steered", self.steered);
    state("approvals", self.approvals);
  }
};

const char* NameOf(Run::Status status);
std::optional<Run::Status> ParseRunStatus(std::string_view name);
// The state of a message whose run ended with this status: done, failed or cancelled.
const char* MessageState(Run::Status status);

}  // namespace reeve
