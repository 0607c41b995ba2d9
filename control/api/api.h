// Room api/: the routes, which translate between HTTP and the domain.
//
// The routes are grouped by subject, one file for each group. A handler reads the request, calls the domain
// and answers; a refusal names its reason. API.md in this folder describes the routes to callers.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "control/http/http.h"
#include "control/http/router.h"
#include "control/streams/exports.h"
#include "control/streams/viewers.h"
#include "orchestrator/adapters/kind_catalog.h"
#include "orchestrator/json/json.h"
#include "orchestrator/town.h"
#include "process/clock.h"
#include "tickets/ticket_store.h"

namespace reeve {

class Daemon;
class EventPages;
class Gate;
class Waits;

// The parts of the daemon that handlers use, and the daemon itself for operations on the whole. Owned by the
// Daemon; outlives the router.
struct ApiContext {
  Loop& loop;
  const Clock& clock;
  Town& town;
  KindCatalog& kinds;
  TicketStore& tickets;
  Viewers& viewers;
  Exports& exports;
  Waits& waits;
  EventPages& pages;
  const Gate& gate;  // streams write their own head and need its CORS headers
  Daemon& daemon;
  std::string base_path;  // "" or "/prefix": put before each path in an answer
};

// Adds every route of the daemon. Only the handlers use `api`, so a list of the routes can be made without
// one.
void AddRoutes(Router& router, ApiContext& api);

void AddAgentRoutes(Router& router, ApiContext& api);    // agents, their commands, approvals, kinds
void AddBatchRoutes(Router& router, ApiContext& api);    // several agents at once, exports
void AddMessageRoutes(Router& router, ApiContext& api);  // messages, the queue, runs
void AddEventRoutes(Router& router, ApiContext& api);    // events, snapshot, wait
void AddFileRoutes(Router& router, ApiContext& api);     // an agent's files
void AddStreamRoutes(Router& router, ApiContext& api);   // stream tickets, streams
void AddTownRoutes(Router& router, ApiContext& api);     // health, ready, metrics, dashboard, drain, reload

// --- shared by the groups

// The agent that the first parameter of the route names, deleted ones included. Otherwise the problem to
// answer with.
Result<Agent*> FindAgent(const ApiContext& api, const Request& request);
// As FindAgent, but a deleted agent is an error (410).
Result<Agent*> FindLiveAgent(const ApiContext& api, const Request& request);

// Parses the body; an empty one is {}. Error "invalid_request" for an object with two members of one name.
Result<JsonDocument> ParseBody(const Request& request);
// Reads the body as an object whose members are all in `allowed`. An empty body is {}. The error names the
// member and the reason.
Result<JsonDocument> ReadBody(const Request& request, const std::vector<std::string_view>& allowed);
// A whole number in the query, between `least` and `most`; `otherwise` if the query has none.
Result<int64_t> ReadNumber(const Request& request, std::string_view name, int64_t otherwise, int64_t least,
                           int64_t most);
// true or false in the query; nothing if it is absent.
Result<std::optional<bool>> ReadFlag(const Request& request, std::string_view name);
// The labels in the query, each "key:value".
Result<std::vector<std::pair<std::string, std::string>>> ReadLabels(const Request& request);
// `after`, or another parameter that holds a cursor.
Result<std::optional<Cursor>> ReadCursor(std::string_view name, std::optional<std::string_view> text);

// Sends `response` now if `status` is good, otherwise the problem.
void Answer(Reply& reply, const Status& status, const std::function<Response()>& response);

}  // namespace reeve
