#include "control/api/api.h"

#include <algorithm>
#include <utility>

#include "orchestrator/agent/agent.h"

namespace reeve {

const std::vector<Operation>& Operations() {
  static const std::vector<Operation> all = [] {
    std::vector<Operation> operations;
    for (auto make : {AgentOperations, MessageOperations, ApprovalOperations, EventOperations,
                      TicketOperations, ProcessOperations, TownOperations}) {
      for (Operation& operation : make()) operations.push_back(std::move(operation));
    }
    return operations;
  }();
  return all;
}

const Operation* FindOperation(std::string_view name) {
  const auto& all = Operations();
  const auto found =
      std::find_if(all.begin(), all.end(), [name](const Operation& one) { return one.name == name; });
  return found == all.end() ? nullptr : &*found;
}

namespace {

void AddOperation(Router& router, ApiContext& api, const Operation& operation) {
  std::vector<std::string_view> query;
  for (const Parameter& parameter : operation.parameters) {
    if (parameter.in == Parameter::In::kQuery) query.push_back(parameter.name);
  }
  if (operation.any_query) query = {Router::kAnyQuery};
  auto handler = [&api, &operation](const Request& request, Reply reply) {
    const auto call = Call::Read(api, operation, request);
    if (!call) return reply.Refuse(call.error());
    operation.run(api, *call, std::move(reply));
  };
  Route& route = router.Add(std::string(operation.method), std::string(operation.path), operation.access,
                            std::move(handler), std::move(query));
  route.probe = operation.probe;
  route.secret = operation.secret;
}

}  // namespace

void AddRoutes(Router& router, ApiContext& api) {
  for (const Operation& operation : Operations()) AddOperation(router, api, operation);
  AddExportRoutes(router, api);
  AddStreamRoutes(router, api);
  AddDashboardRoutes(router, api);
}

Result<Agent*> FindAgent(const ApiContext& api, const std::string& id) {
  if (Agent* agent = api.town.Find(id)) return agent;
  if (!IsAgentId(id)) return Error{"agent_not_found", "there is no agent with that id"};
  return Error{"agent_not_found", "there is no agent " + id};
}

Result<std::optional<Cursor>> ReadCursor(std::string_view name, std::optional<std::string_view> text) {
  if (!text || text->empty()) return std::optional<Cursor>();
  auto cursor = Cursor::Parse(*text);
  if (!cursor) return Error{"invalid_request", std::string(name).append(": ").append(kCursorMust)};
  return cursor;
}

void Answer(Reply& reply, const Status& status, const std::function<Response()>& response) {
  reply.Send(status ? response() : Response::Problem(status.error()));
}

std::shared_ptr<Reply> Shared(Reply reply) { return std::make_shared<Reply>(std::move(reply)); }

std::function<void(const Status&)> AnswerWhenDone(Reply reply) {
  return [shared = Shared(std::move(reply))](const Status& status) {
    Answer(*shared, status, [] { return Response{204, {}, ""}; });
  };
}

}  // namespace reeve
