// Room api/: the routes, which translate between HTTP and the domain.
//
// The routes of the API, by subject, each group in its own file. A handler reads the request, calls the
// domain and answers; what it refuses it names. API.md beside this file tells callers the same.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

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
class Gate;
class Waits;

// The parts of the daemon that handlers work with, and the daemon for what concerns all of it. Owned by the
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
  const Gate& gate;  // for streams, which write their own head
  Daemon& daemon;
  std::string base_path;  // "" or "/prefix": prefixes the paths we hand out
};

void AddAgentRoutes(Router& router, ApiContext& api);    // agents, their commands, approvals, kinds
void AddBatchRoutes(Router& router, ApiContext& api);    // several agents at once, exports
void AddMessageRoutes(Router& router, ApiContext& api);  // messages, the queue, runs
void AddEventRoutes(Router& router, ApiContext& api);    // events, snapshot, wait
void AddFileRoutes(Router& router, ApiContext& api);     // an agent's files
void AddStreamRoutes(Router& router, ApiContext& api);   // stream tickets, streams
void AddTownRoutes(Router& router, ApiContext& api);     // health, ready, metrics, dashboard, drain, reload

// --- shared by the groups

// The agent of the route's first parameter, deleted ones included, or the problem to answer with.
Result<Agent*> FindAgent(const ApiContext& api, const Request& request);
// As FindAgent, but a deleted one is an error (410).
Result<Agent*> FindLiveAgent(const ApiContext& api, const Request& request);

// The body as an object with no members but `allowed`; an empty body is {}. The error names what is wrong.
Result<JsonDocument> ReadBody(const Request& request, const std::vector<std::string_view>& allowed);
// A whole number of the query, within bounds; `otherwise` where it is not given.
Result<int64_t> ReadNumber(const Request& request, std::string_view name, int64_t otherwise, int64_t least,
                           int64_t most);
// `after`, or another parameter that holds a cursor.
Result<std::optional<Cursor>> ReadCursor(std::string_view name, std::optional<std::string_view> text);

// Sends `response` now if `status` is good, else the problem.
void Answer(Reply& reply, const Status& status, const std::function<Response()>& response);

}  // namespace reeve
