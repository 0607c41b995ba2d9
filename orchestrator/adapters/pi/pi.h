// The kind `pi`: the agent of npm's @mariozechner/pi-coding-agent, driven by its RPC mode (KINDS.md, section
// "pi").
#pragma once

#include <memory>
#include <string>

#include "orchestrator/adapters/adapter.h"
#include "orchestrator/adapters/agent_host.h"

namespace reeve {

std::unique_ptr<Adapter> MakePiAdapter(AgentHost& host, const std::string& session);

}  // namespace reeve
