// Messages and runs: sending, the queue, and results.
#include <memory>
#include <utility>

#include "control/api/api.h"
#include "orchestrator/agent/agent.h"
#include "orchestrator/config/units.h"

namespace reeve {

namespace {

constexpr int64_t kMaxDelayMs = int64_t{366} * 86'400'000;
constexpr int64_t kMaxRuns = 1'000;

// The due time: `delay_ms` from now, or `run_at`. 0 means at once.
Result<int64_t> ReadDue(const ApiContext& api, const JsonValue& body) {
  const JsonValue delay = body["delay_ms"];
  const JsonValue at = body["run_at"];
  if (delay && at) return Error{"invalid_request", "run_at: cannot be combined with delay_ms"};
  const int64_t now = api.clock.WallMs();
  if (delay) {
    const int64_t delay_ms = delay.AsInt().value_or(-1);
    if (delay_ms < 0 || delay_ms > kMaxDelayMs) {
      return Error{"invalid_request",
                   "delay_ms: must be a whole number from 0 to " + std::to_string(kMaxDelayMs)};
    }
    return delay_ms == 0 ? 0 : now + delay_ms;
  }
  if (!at) return int64_t{0};
  auto time = ParseMoment(at.StringOr(""), now);
  if (!time) return Error{"invalid_request", "run_at: " + time.error().message};
  if (*time > now + kMaxDelayMs) return Error{"invalid_request", "run_at: must be at most a year from now"};
  return *time;
}

Result<Message> ReadMessage(const ApiContext& api, const Request& request) {
  auto body = ReadBody(request, {"text", "mode", "model", "delay_ms", "run_at"});
  if (!body) return body.error();
  Message message;
  message.text = (*body)["text"].StringOr("");
  if (message.text.empty()) return Error{"invalid_request", "text: must be a string that is not empty"};
  const JsonValue mode = (*body)["mode"];
  auto named = ParseMode(mode ? mode.StringOr("") : NameOf(Message::Mode::kFollowUp));
  if (!named) return Error{"invalid_request", "mode: must be followup, steer or interrupt"};
  message.mode = *named;
  const JsonValue model = (*body)["model"];
  message.model = model.StringOr("");
  if (model && !IsModelName(message.model)) {
    return Error{"invalid_request",
                 "model: must be a name that does not begin with '-' and has no control characters"};
  }
  auto due = ReadDue(api, body->root());
  if (!due) return due.error();
  message.run_at_ms = *due;
  return message;
}

void Send(ApiContext& api, const Request& request, Reply reply) {
  auto agent = FindLiveAgent(api, request);
  if (!agent) return reply.Send(Response::Problem(agent.error()));
  auto message = ReadMessage(api, request);
  if (!message) return reply.Send(Response::Problem(message.error()));
  if (!request.key.empty()) message->id = "m" + request.key.substr(0, 16);
  auto shared = std::make_shared<Reply>(std::move(reply));
  (*agent)->Send(std::move(*message), [shared](Result<Agent::Accepted> accepted) {
    if (!accepted) return shared->Send(Response::Problem(accepted.error()));
    JsonObject json;
    json.Set("message_id", accepted->message_id).Set("disposition", accepted->disposition);
    if (accepted->seq != 0) json.Set("seq", accepted->seq);
    shared->Send(Response::Json(202, json.Take()));
  });
}

void GetQueue(ApiContext& api, const Request& request, Reply reply) {
  auto agent = FindLiveAgent(api, request);
  reply.Send(agent ? Response::Json(200, (*agent)->QueueJson()) : Response::Problem(agent.error()));
}

void Cancel(ApiContext& api, const Request& request, Reply reply) {
  auto agent = FindLiveAgent(api, request);
  if (!agent) return reply.Send(Response::Problem(agent.error()));
  auto shared = std::make_shared<Reply>(std::move(reply));
  (*agent)->Withdraw(request.params[1], [shared](const Status& status) {
    Answer(*shared, status, [] { return Response{204, {}, ""}; });
  });
}

void ListRuns(ApiContext& api, const Request& request, Reply reply) {
  auto agent = FindAgent(api, request);  // deleted agents included
  if (!agent) return reply.Send(Response::Problem(agent.error()));
  auto limit = ReadNumber(request, "limit", 100, 1, kMaxRuns);
  if (!limit) return reply.Send(Response::Problem(limit.error()));
  const auto token = request.Query("page_token");
  const uint64_t before = token ? Run::NumberOf(*token) : UINT64_MAX;
  if (before == 0)
    return reply.Send(Response::Problem({"invalid_request", "page_token: must come from an earlier answer"}));
  auto shared = std::make_shared<Reply>(std::move(reply));
  const auto most = static_cast<size_t>(*limit);
  (*agent)->history().List(before, most + 1, [shared, most](Result<std::vector<std::string>> found) {
    if (!found) return shared->Send(Response::Problem(found.error()));
    JsonArray runs;
    for (size_t i = 0; i < std::min(most, found->size()); ++i) runs.AddRaw((*found)[i]);
    JsonObject page;
    page.SetRaw("runs", runs.Take());
    if (found->size() > most) {
      auto last = JsonDocument::Parse((*found)[most - 1]);
      if (last) page.Set("next_page_token", (*last)["run_id"].StringOr(""));
    }
    shared->Send(Response::Json(200, page.Take()));
  });
}

void GetRun(ApiContext& api, const Request& request, Reply reply) {
  auto agent = FindAgent(api, request);
  if (!agent) return reply.Send(Response::Problem(agent.error()));
  auto shared = std::make_shared<Reply>(std::move(reply));
  (*agent)->history().Find(
      request.params[1], [shared, id = (*agent)->id()](const Result<std::string>& found) {
        if (!found) return shared->Send(Response::Problem(found.error()));
        if (!found->empty()) return shared->Send(Response::Json(200, *found));
        shared->Send(Response::Problem({"run_not_found", "agent " + id + " has no such run"}));
      });
}

}  // namespace

void AddMessageRoutes(Router& router, ApiContext& api) {
  auto with = [&api](void (*handler)(ApiContext&, const Request&, Reply)) {
    return [&api, handler](const Request& request, Reply reply) { handler(api, request, std::move(reply)); };
  };
  router.Add("POST", "/agents/{id}/message", Access::kOperate, with(Send));
  router.Add("GET", "/agents/{id}/queue", Access::kView, with(GetQueue));
  router.Add("DELETE", "/agents/{id}/queue/{message}", Access::kOperate, with(Cancel));
  router.Add("GET", "/agents/{id}/runs", Access::kView, with(ListRuns));
  router.Add("GET", "/agents/{id}/runs/{run}", Access::kView, with(GetRun));
}

}  // namespace reeve
