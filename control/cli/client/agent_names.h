// How people name agents on the command line: by id, by title, or "key=value" for all with that label.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "control/cli/client/client.h"

namespace reeve {

// The ids that `name` stands for: at least one, and of an id (also a deleted agent's) or a title exactly one.
// A title that looks like a label is meant where no agent has that label.
// Errors "agent_not_found", "ambiguous" for a title that several have, and what Client::Ask has. Blocks.
Result<std::vector<std::string>> FindAgents(const Client& client, const std::string& name);
// Those of several names, each once, in the order given. At the first name that nobody has, its error, with
// `about` that name.
Result<std::vector<std::string>> FindAgents(const Client& client, const std::vector<std::string>& names,
                                            std::string& about);
// Exactly one; "ambiguous" also for a label that several have.
Result<std::string> FindAgent(const Client& client, const std::string& name);

// Calls `take` with each agent of the list that `query` ("state=idle", or empty) selects, page by page; each
// of them is waited for as long as for any answer, or `timeout_ms`.
Status ForEachAgent(const Client& client, const std::string& query,
                    const std::function<void(const JsonValue& agent)>& take,
                    std::optional<int64_t> timeout_ms = {});
// GET /approvals, with this query ("?agent=a1", or empty), however much there is.
HttpRequest ApprovalsRequest(const Client& client, const std::string& query);
// "label=…" of that query, for "key=value". Error "invalid_request".
Result<std::string> LabelQuery(const std::string& label);
// "/agents/ID".
std::string AgentPath(const std::string& id);

}  // namespace reeve
