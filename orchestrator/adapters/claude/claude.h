// Kind `claude`: Claude Code, driven by its stream-json on stdin and stdout, with one process and one session
// per agent. KINDS.md in the folder above describes how, and what can be relied on.
#pragma once

#include <memory>
#include <string>

#include "orchestrator/adapters/kind.h"

namespace reeve {

// `session`: the upstream session to resume, or empty.
std::unique_ptr<Adapter> MakeClaudeAdapter(AgentHost& host, const std::string& session);

inline constexpr Kind::Can kClaudeCan = {.turns = true,
                                         .interrupt = true,
                                         .approve = true,
                                         .change_input = true,
                                         .elicit = true,
                                         .resume = true,
                                         .model = true,
                                         .system_prompt = true,
                                         .mcp = true};

}  // namespace reeve
