// The names of agents on the command line: an id, a title, or "key=value" for all agents with that label.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "control/cli/client/client.h"

namespace reeve {

class Console;

// The ids that `name` stands for, at least one. An id (of a deleted agent, too) or a title stands for exactly
// one; a title may look like a label that no agent has.
// Errors: "agent_not_found", "ambiguous" for a title of several agents, and those of Client::Ask. Blocks.
Result<std::vector<std::string>> FindAgents(const Client& client, const std::string& name);
// The ids of several names in the order given, without repetitions. On an error, `about` is the name that
// caused it.
Result<std::vector<std::string>> FindAgents(const Client& client, const std::vector<std::string>& names,
                                            std::string& about);
// As before, but continues after a failure, which `console` reports. Empty: every name failed.
std::vector<std::string> FindAgents(const Client& client, const std::vector<std::string>& names,
                                    Console& console);
// Exactly one id; "ambiguous" also for a label of several agents.
Result<std::string> FindAgent(const Client& client, const std::string& name);

// Calls `take` for each agent that `query` ("state=idle", or empty) selects. `timeout_ms` limits the wait for
// each page of the list.
Status ForEachAgent(const Client& client, const std::string& query,
                    const std::function<void(const JsonValue& agent)>& take,
                    std::optional<int64_t> timeout_ms = {});
// GET /approvals with this query ("?agent=a1", or empty), and a size limit for the largest towns.
HttpRequest ApprovalsRequest(const Client& client, const std::string& query);
// The query "label=…" for "key=value". Error: "invalid_request".
Result<std::string> LabelQuery(const std::string& label);
// "/agents/ID".
std::string AgentPath(const std::string& id);
// "a, b, c, d, e, …": the first few, for an error.
std::string FirstFew(const std::vector<std::string>& words);

}  // namespace reeve
