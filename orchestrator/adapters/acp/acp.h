// The kind acp: any program that speaks the Agent Client Protocol on its stdio (agentclientprotocol.com,
// version 1). One process is one agent with one session (KINDS.md, "acp").
#pragma once

#include <memory>
#include <string>

#include "orchestrator/adapters/kind.h"

namespace reeve {

std::unique_ptr<Adapter> MakeAcpAdapter(AgentHost& host, const std::string& session);
// The same, with the prefix of the ids that texts get when the agent gives none. Otherwise the prefix is
// random, so that texts of two processes of one agent cannot be confused.
std::unique_ptr<Adapter> MakeAcpAdapter(AgentHost& host, const std::string& session,
                                        const std::string& text_prefix);

}  // namespace reeve
