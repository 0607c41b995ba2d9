// Room api/: what callers can ask of the daemon.
//
// The operations (operation.h) are grouped by subject, one file for each group. A handler gets checked
// arguments, calls the domain and answers; a refusal names its reason. API.md in this folder describes them
// to callers.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "control/api/operation.h"
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

// Adds a route for each operation, and those that are no operations: streams, exports, the dashboard. Only
// the handlers use `api`, so a list of the routes can be made without one.
void AddRoutes(Router& router, ApiContext& api);

// The operations, by subject.
std::vector<Operation> AgentOperations();     // agents, their commands and files, kinds
Operation BatchOperation();                   // one command for several agents
std::vector<Operation> MessageOperations();   // messages, the queue, runs
std::vector<Operation> ApprovalOperations();  // approvals and elicitations
std::vector<Operation> EventOperations();     // events, snapshots, waits
std::vector<Operation> TicketOperations();    // stream tickets
std::vector<Operation> ProcessOperations();   // the processes of agents, and strays
Operation ChangesOperation();                 // the changed files of agents
std::vector<Operation> TownOperations();      // health, metrics, drain, reload, upgrade

// Methods that only a connection of GET /ws has: operations without a path, which the connection runs. Made
// at the first call.
const std::vector<Operation>& GatewayMethods();

void AddExportRoutes(Router& router, ApiContext& api);
void AddStreamRoutes(Router& router, ApiContext& api);
void AddDashboardRoutes(Router& router, ApiContext& api);

// --- shared by the subjects

// The agent with that id, also if it is deleted. Error "agent_not_found".
Result<Agent*> FindAgent(const ApiContext& api, const std::string& id);
// A cursor in the parameter `name`; nothing if there is none.
Result<std::optional<Cursor>> ReadCursor(std::string_view name, std::optional<std::string_view> text);

// Sends `response` now if `status` is good, otherwise the problem.
void Answer(Reply& reply, const Status& status, const std::function<Response()>& response);
// Wraps a Reply so that std::function can copy a callback that holds it.
std::shared_ptr<Reply> Shared(Reply reply);
// Answers 204 once a change is on disk.
std::function<void(const Status&)> AnswerWhenDone(Reply reply);

}  // namespace reeve
