#include <memory>
#include <utility>

#include "control/api/api.h"
#include "orchestrator/agent/agent.h"

namespace reeve {

namespace {

// Both handlers answer 204 once the change is on disk. No route returns a file's content.
Agent::Done AnswerWhenDone(Reply reply) {
  return [shared = std::make_shared<Reply>(std::move(reply))](const Status& status) {
    Answer(*shared, status, [] { return Response{204, {}, ""}; });
  };
}

void Put(ApiContext& api, const Request& request, Reply reply) {
  auto agent = FindLiveAgent(api, request);
  if (!agent) return reply.Send(Response::Problem(agent.error()));
  (*agent)->PutFile(request.params[1], request.body, AnswerWhenDone(std::move(reply)));
}

void Remove(ApiContext& api, const Request& request, Reply reply) {
  auto agent = FindLiveAgent(api, request);
  if (!agent) return reply.Send(Response::Problem(agent.error()));
  (*agent)->RemoveFile(request.params[1], AnswerWhenDone(std::move(reply)));
}

}  // namespace

void AddFileRoutes(Router& router, ApiContext& api) {
  auto with = [&api](void (*handler)(ApiContext&, const Request&, Reply)) {
    return [&api, handler](const Request& request, Reply reply) { handler(api, request, std::move(reply)); };
  };
  router.Add("PUT", "/agents/{id}/files/{name}", Access::kAdmin, with(Put));
  router.Add("DELETE", "/agents/{id}/files/{name}", Access::kAdmin, with(Remove));
}

}  // namespace reeve
