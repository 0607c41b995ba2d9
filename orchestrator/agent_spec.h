// AgentSpec: what a caller asked for (control/API.md). A value, checked: one that exists is well-formed.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "orchestrator/json.h"
#include "process/result.h"

namespace reeve {

struct RestartPolicy {
  enum class When { kNever, kOnFailure, kAlways };
  When when = When::kNever;
  int max_restarts = 5;  // within window_ms; one more ends in state "failed"
  int64_t window_ms = 600'000;
};

struct AgentSpec {
  std::string id;  // [a-z0-9][a-z0-9_-]{0,63}
  std::string kind;
  std::vector<std::string> command;
  std::string cwd;
  std::map<std::string, std::string> env;
  std::string title;
  std::map<std::string, std::string> labels;
  std::string model;
  std::string prompt;
  std::string resume;
  RestartPolicy restart;
  struct Permissions {
    enum class Default { kAsk, kAllow, kDeny };
    Default fallback = Default::kAsk;
    int64_t timeout_ms = 0;  // 0: waits for a person as long as the run lasts
    bool allow_on_timeout = false;
  } permissions;
  int64_t readiness_timeout_ms = 60'000;
  bool turns = false;  // kind_options.turns: a jsonl program that reports run.* itself
  std::map<std::string, std::string> kind_options;  // the kind's own, as JSON text

  // Error "invalid_request": names the field and the reason; unknown fields are named too. Makes an id where
  // none is given.
  static Result<AgentSpec> FromJson(const JsonValue& json);
  // With the values of `env` for the store, with the names only for the API.
  enum class Secrets { kKeep, kNamesOnly };
  [[nodiscard]] std::string ToJson(Secrets secrets) const;
};

bool IsAgentId(std::string_view id);

}  // namespace reeve
