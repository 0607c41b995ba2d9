// Run: one turn of work, from a prompt to its end (control/api/API.md). A value: the present one of an agent,
// and the record of an ended one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "orchestrator/json/json.h"
#include "process/result.h"

namespace reeve {

// Tokens and money, as usage.updated has them.
struct Usage {
  int64_t input_tokens = 0;
  int64_t output_tokens = 0;
  double cost_usd = 0;
  void Add(const Usage& other);
  [[nodiscard]] std::string ToJson() const;
  static Usage FromJson(const JsonValue& json);
};

struct Run {
  enum class Status { kRunning, kCompleted, kFailed, kCancelled };
  std::string id;  // "r<seq of its run.started>"
  std::string message_id;
  Status status = Status::kRunning;
  std::optional<int> exit_code;  // of a process whose life was the run
  Error error{};                 // of a failed one
  std::string limit;             // of the spec, that ended it; or empty
  int64_t started_ms = 0;        // wall clock
  int64_t ended_ms = 0;
  std::string usage;                 // JSON of its last usage.updated, or empty
  std::vector<std::string> steered;  // messages that went into it

  [[nodiscard]] bool Has(const std::string& message) const;
  // That of its run.started.
  [[nodiscard]] uint64_t number() const { return NumberOf(id); }
  static uint64_t NumberOf(std::string_view run_id);  // 0: it is no run's

  [[nodiscard]] std::string ToJson() const;
  static std::optional<Run> FromJson(const JsonValue& json);
};

const char* NameOf(Run::Status status);
std::optional<Run::Status> ParseRunStatus(std::string_view name);
// The state of a message whose run ended so: done, failed or cancelled.
const char* MessageState(Run::Status status);

}  // namespace reeve
