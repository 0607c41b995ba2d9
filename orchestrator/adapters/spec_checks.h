// Checks an agent's spec against its kind and this machine: whether the kind can do what the spec asks for,
// and whether the agent can be started here. A request that the kind would have to ignore is refused.
//
// Errors are "not_supported" if the kind cannot do it, else "invalid_request". They begin with the field of
// the spec.
#pragma once

#include "process/result.h"

namespace reeve {

class Git;
struct AgentSpec;
struct Kind;

// Checks model, system prompt, permissions and resumed session.
Status CheckKindCan(const Kind& kind, const AgentSpec& spec);

// Checks the changed spec of an existing agent: CheckKindCan, the kind's options, and a new command.
Status CheckChangedAgent(const Kind& kind, const AgentSpec& before, const AgentSpec& after);

// Checks everything that a new agent needs: a kind with these abilities and options, a program that exists,
// and for a workspace an installed git and a protocol that `git` allows. Looks for programs on the disk.
Status CheckNewAgent(const AgentSpec& spec, const Git& git);

}  // namespace reeve
