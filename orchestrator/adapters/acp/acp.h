// The kind acp: any program that speaks the Agent Client Protocol on its stdio (agentclientprotocol.com,
// version 1). One process is one agent with one session (KINDS.md, "acp").
#pragma once

#include <memory>
#include <string>

#include "orchestrator/adapters/kind.h"

namespace reeve {

std::unique_ptr<Adapter> MakeAcpAdapter(AgentHost& host, const std::string& session);
// The same, with what begins the ids of texts that the agent gives none: otherwise it is random, so that the
// texts of two processes of one agent are not taken for one.
std::unique_ptr<Adapter> MakeAcpAdapter(AgentHost& host, const std::string& session,
                                        const std::string& text_prefix);

}  // namespace reeve
