// Kind `claude`: Claude Code, by its stream-json on stdin and stdout; one process and one session an agent.
// KINDS.md in this folder tells how it is driven and what is reliable.
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
                                         .system_prompt = true};

}  // namespace reeve
