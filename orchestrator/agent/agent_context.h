// AgentContext: everything that the agents of a town share. All that it refers to outlives them.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "orchestrator/adapters/kind.h"
#include "orchestrator/agent/agent_spec.h"
#include "orchestrator/agent/approvals.h"
#include "orchestrator/log/event_log.h"
#include "orchestrator/workspace/workspace.h"

namespace reeve {

class Agent;
class CgroupRoot;
class Clock;
class CrashPage;
class HttpClient;
class Loop;
class ProcessParent;
class Store;

// Grants agents access to the API. The API is a layer above, so the daemon supplies these functions.
struct ApiAccess {
  // This token of the agent is now valid; its earlier token is void.
  std::function<void(const std::string& agent, const std::string& token, AgentSpec::Api scope)> grant;
  std::function<void(const std::string& agent)> revoke;
};

struct AgentContext {
  Loop& loop;
  const Clock& clock;
  HttpClient& http;
  Store& store;
  ProcessParent& parent;          // of the agents' processes
  CgroupRoot* cgroups = nullptr;  // null: process_tree.h works without cgroups
  std::string events_dir;         // holds one folder for each agent
  std::string transcripts_dir;    // holds the transcripts of recorded agents
  std::string private_dir;        // holds the agents' private folders
  ApiAccess api;
  std::string server;  // where a child reaches this daemon; empty: it does not listen yet
  Workspace::WorkspaceContext* workspace_context = nullptr;  // where workspaces are made
  std::string town_id;  // random, of this data folder: marks the environments of all children
  EventLog::Limits log_limits;
  std::function<uint64_t()> next_epoch;
  std::function<void(Agent&)> want_spawn;  // the town calls Spawn() when it is this agent's turn
  std::function<void(Agent&)> dirty;       // it has changed and must be committed at the end of this turn
  std::function<void(const std::string& path)> discard;        // delete this folder
  const Kind* (*find_kind)(std::string_view name) = FindKind;  // tests substitute a kind
  std::string programs_dir = {};  // holds the program `reeve`, for agents that may use the API; empty: none
  QuestionBytes question_bytes = {};  // of all agents
  CrashPage* crash_page = nullptr;    // null: nothing outlives this daemon
};

}  // namespace reeve
