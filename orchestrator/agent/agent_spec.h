// AgentSpec: an agent as its creator requested it (control/api/API.md). A value; every instance is
// well-formed.
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

// Limits of a run and of idleness. 0: no limit.
struct Limits {
  int64_t wall_ms = 0;      // for a run, from its start
  int64_t max_tokens = 0;   // for a run, input and output together
  double max_cost_usd = 0;  // for a run
  int64_t stall_ms = 0;     // silence in a run that waits for nobody; then the agent is "stalled"
  enum class OnStall { kTell, kInterrupt, kRestart };
  OnStall on_stall = OnStall::kTell;
  int64_t idle_ms = 0;  // without a run; then the process is stopped until a message wakes the agent
};

struct AgentSpec {
  std::string id;  // [a-z0-9][a-z0-9_-]{0,63}
  std::string kind;
  std::vector<std::string> command;
  std::string cwd;          // absolute; or below the workspace, if there is one
  WorkspaceSpec workspace;  // a clone of a repository, made for the agent
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
  // name → content. Contents go to the agent's private folder (private_folder.h) and are kept nowhere else.
  // After the agent is made, only the names remain here.
  std::map<std::string, std::string> files;
  enum class Api { kNone, kView, kOperate, kAdmin };
  Api api = Api::kNone;  // scope of the process's own API token
  bool mcp = false;      // it gets reeve's own tools by `reeve mcp`, with that token
  // Its processes may gain privileges: sudo and other set-user-ID programs work (PR_SET_NO_NEW_PRIVS is not
  // set).
  bool allow_setuid = false;
  // It belongs to the gateway connection that made it, and is stopped when that has gone
  // (control/gateway/owners.h).
  bool close_on_disconnect = false;
  bool record = false;  // keep a transcript of the traffic with the agent (transcript.h)
  int64_t readiness_timeout_ms = 60'000;
  bool turns = false;  // kind_options.turns: a jsonl program that reports run.* itself
  std::map<std::string, std::string> kind_options;  // options of the kind, as JSON text

  // Error "invalid_request" names the field and the reason, and also unknown fields. Makes an id if there is
  // none.
  static Result<AgentSpec> FromJson(const JsonValue& json);
  // For the store: with the values of `env` and without `files`. For the API: with only the names of both.
  enum class Secrets { kKeep, kNamesOnly };
  [[nodiscard]] std::string ToJson(Secrets secrets) const;
};

bool IsAgentId(std::string_view id);
// Whether a program may get this name of a model: it is not empty, not an option, and has no control
// characters.
bool IsModelName(std::string_view name);

}  // namespace reeve
