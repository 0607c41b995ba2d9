// The kind codex: `codex app-server`, JSON-RPC on stdio. One process is one agent with one thread
// (KINDS.md, "codex").
#pragma once

#include <memory>
#include <string>

#include "orchestrator/adapters/kind.h"

namespace reeve {

std::unique_ptr<Adapter> MakeCodexAdapter(AgentHost& host, const std::string& session);

}  // namespace reeve
