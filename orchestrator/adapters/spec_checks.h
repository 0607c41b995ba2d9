// Checks of an agent's spec against its kind and this machine: whether the kind can do what the spec asks,
// and whether the agent can be started here. A request that the kind would have to ignore is refused.
//
// All errors are "invalid_request", and begin with the spec's field.
#pragma once

#include "process/result.h"

namespace reeve {

class Git;
struct AgentSpec;
struct Kind;

// Model, system prompt, permissions and resumed session: an agent's spec is checked when it is made and when
// it is changed.
Status CheckKindCan(const Kind& kind, const AgentSpec& spec);

// Everything that a new agent needs: a kind with these abilities and options, a program that exists, and for
// a workspace an installed git and a protocol that `git` allows. Looks for programs on the disk.
Status CheckNewAgent(const AgentSpec& spec, const Git& git);

}  // namespace reeve
