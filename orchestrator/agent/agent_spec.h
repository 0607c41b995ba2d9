// AgentSpec: what a caller asked for (control/api/API.md). A value, checked: one that exists is well-formed.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "orchestrator/agent/permissions.h"
#include "orchestrator/json/json.h"
#include "orchestrator/workspace/repository.h"
#include "process/result.h"

namespace reeve {

struct RestartPolicy {
  enum class When { kNever, kOnFailure, kAlways };
  When when = When::kNever;
  int max_restarts = 5;  // within window_ms; one more ends in state "failed"
  int64_t window_ms = 600'000;
};

// What a run may take, and an agent may sit. 0: no limit.
struct Limits {
  int64_t wall_ms = 0;      // a run, from its start
  int64_t max_tokens = 0;   // a run, input and output
  double max_cost_usd = 0;  // a run
  int64_t stall_ms = 0;     // silence in a run, while nobody is waited for: the agent is "stalled"
  enum class OnStall { kTell, kInterrupt, kRestart };
  OnStall on_stall = OnStall::kTell;
  int64_t idle_ms = 0;  // without a run: the process is stopped, until a message wakes it
};

struct AgentSpec {
  std::string id;  // [a-z0-9][a-z0-9_-]{0,63}
  std::string kind;
  std::vector<std::string> command;
  std::string cwd;          // absolute; below the workspace, where there is one
  WorkspaceSpec workspace;  // a clone of a repository, made for it
  std::map<std::string, std::string> env;
  std::string title;
  bool starred = false;
  std::map<std::string, std::string> labels;
  std::string model;
  std::string system_prompt;
  std::string prompt;
  std::string resume;
  RestartPolicy restart;
  Permissions permissions;
  Limits limits;
  // name → content. Contents go to the agent's private folder (private_folder.h) and are kept nowhere else:
  // of an agent that was made only the names are here.
  std::map<std::string, std::string> files;
  enum class Api { kNone, kView, kOperate };
  Api api = Api::kNone;  // what its process may do by the API, with a token of its own
  bool record = false;   // keep the agent's own words (transcript.h)
  int64_t readiness_timeout_ms = 60'000;
  bool turns = false;  // kind_options.turns: a jsonl program that reports run.* itself
  std::map<std::string, std::string> kind_options;  // the kind's own, as JSON text

  // Error "invalid_request": names the field and the reason; unknown fields are named too. Makes an id where
  // none is given.
  static Result<AgentSpec> FromJson(const JsonValue& json);
  // With the values of `env` and without `files` for the store, with the names of both for the API.
  enum class Secrets { kKeep, kNamesOnly };
  [[nodiscard]] std::string ToJson(Secrets secrets) const;
};

bool IsAgentId(std::string_view id);
// What may be given to a program as a model's name: not empty, no option, no control characters.
bool IsModelName(std::string_view name);

}  // namespace reeve
