#include <optional>
#include <utility>

#include "control/api/api.h"
#include "control/api/event_pages.h"
#include "control/api/waits.h"
#include "orchestrator/agent/agent.h"

namespace reeve {

namespace {

constexpr int64_t kMaxEvents = 10'000;
constexpr int64_t kMaxWaitMs = 50'000;

void Events(ApiContext& api, const Request& request, Reply reply) {
  auto agent = FindAgent(api, request);  // a deleted agent's log stays readable
  if (!agent) return reply.Send(Response::Problem(agent.error()));
  auto limit = ReadNumber(request, "limit", 1'000, 1, kMaxEvents);
  auto tail = ReadNumber(request, "tail", 0, 1, kMaxEvents);
  auto after = ReadCursor("after", request.Query("after"));
  auto types = TypeFilter::Parse(request.Query("types").value_or(""));
  for (const Status& read : {limit ? Status() : limit.error(), tail ? Status() : tail.error(),
                             after ? Status() : after.error(), types ? Status() : types.error()}) {
    if (!read) return reply.Send(Response::Problem(read.error()));
  }
  if (*after && *tail != 0) {
    return reply.Send(Response::Problem({"invalid_request", "tail: cannot be combined with after"}));
  }
  api.pages.Read((*agent)->id(),
                 {*after, static_cast<uint64_t>(*tail), static_cast<uint64_t>(*limit), std::move(*types)},
                 std::move(reply));
}

void Snapshot(ApiContext& api, const Request& request, Reply reply) {
  auto agent = FindLiveAgent(api, request);
  if (!agent) return reply.Send(Response::Problem(agent.error()));
  auto snapshot = (*agent)->Snapshot();
  reply.Send(snapshot ? Response::Json(200, *snapshot) : Response::Problem(snapshot.error()));
}

std::optional<Waits::Condition::Until> ParseUntil(std::string_view name) {
  using Until = Waits::Condition::Until;
  if (name == "ready") return Until::kReady;
  if (name == "terminal") return Until::kTerminal;
  if (name == "idle") return Until::kIdle;
  if (name == "exited") return Until::kExited;
  if (name == "made") return Until::kMade;
  return std::nullopt;
}

// The agent of a wait. An agent that is being deleted can still be awaited to its end, and so can a named run
// of a deleted one. With until=made there need not be one yet.
Result<std::string> FindAwaited(const ApiContext& api, const Request& request,
                                const Waits::Condition& condition) {
  using Until = Waits::Condition::Until;
  const std::string& id = request.params[0];
  if (condition.until == Until::kMade) {
    if (!IsAgentId(id)) return Error{"invalid_request", "the id is not one that an agent can have"};
    return id;
  }
  const bool deleted_too =
      condition.until == Until::kExited || !condition.run.empty() || !condition.message.empty();
  auto agent = deleted_too ? FindAgent(api, request) : FindLiveAgent(api, request);
  if (!agent) return agent.error();
  return id;
}

void BeginWait(ApiContext& api, const Request& request, Reply reply) {
  Waits::Condition condition;
  condition.token = request.caller->token;
  condition.message = request.Query("message_id").value_or("");
  condition.run = request.Query("run_id").value_or("");
  condition.after_run = request.Query("after_run").value_or("");
  const int named = (condition.run.empty() ? 0 : 1) + (condition.message.empty() ? 0 : 1) +
                    (condition.after_run.empty() ? 0 : 1);
  auto timeout = ReadNumber(request, "timeout_ms", kMaxWaitMs, 0, kMaxWaitMs);
  if (!timeout) return reply.Send(Response::Problem(timeout.error()));
  const auto until = ParseUntil(request.Query("until").value_or("terminal"));
  if (!until) {
    return reply.Send(
        Response::Problem({"invalid_request", "until: must be ready, terminal, idle, exited or made"}));
  }
  condition.until = *until;
  auto agent = FindAwaited(api, request, condition);
  if (!agent) return reply.Send(Response::Problem(agent.error()));
  if (named > 1 || (named == 1 && condition.until != Waits::Condition::Until::kTerminal)) {
    return reply.Send(
        Response::Problem({"invalid_request",
                           "run_id, message_id, after_run: only one of them, and only with until=terminal"}));
  }
  api.waits.Begin(*agent, std::move(condition), *timeout, std::move(reply));
}

void BeginAnyWait(ApiContext& api, const Request& request, Reply reply) {
  using Until = Waits::Condition::Until;
  Waits::Condition condition;
  condition.token = request.caller->token;
  auto timeout = ReadNumber(request, "timeout_ms", kMaxWaitMs, 0, kMaxWaitMs);
  if (!timeout) return reply.Send(Response::Problem(timeout.error()));
  const auto until = ParseUntil(request.Query("until").value_or("terminal"));
  if (!until || (*until != Until::kReady && *until != Until::kIdle && *until != Until::kTerminal)) {
    return reply.Send(Response::Problem({"invalid_request", "until: must be ready, idle or terminal"}));
  }
  condition.until = *until;
  const auto since = request.Query("since");
  if (since && condition.until != Until::kTerminal)
    return reply.Send(Response::Problem({"invalid_request", "since: only with until=terminal"}));
  const auto since_ms = since ? ParseTime(std::string(*since)) : 0;
  if (!since_ms) {
    return reply.Send(Response::Problem(
        {"invalid_request", "since: must be a time such as 2026-01-31T07:00:00Z (RFC 3339)"}));
  }
  condition.since_ms = *since_ms;
  auto labels = ReadLabels(request);
  if (!labels) return reply.Send(Response::Problem(labels.error()));
  condition.labels = std::move(*labels);
  api.waits.BeginAny(std::move(condition), *timeout, std::move(reply));
}

}  // namespace

void AddEventRoutes(Router& router, ApiContext& api) {
  auto with = [&api](void (*handler)(ApiContext&, const Request&, Reply)) {
    return [&api, handler](const Request& request, Reply reply) { handler(api, request, std::move(reply)); };
  };
  router.Add("GET", "/agents/{id}/events", Access::kView, with(Events), {"after", "tail", "limit", "types"});
  router.Add("GET", "/agents/{id}/snapshot", Access::kView, with(Snapshot));
  router.Add("GET", "/agents/{id}/wait", Access::kView, with(BeginWait),
             {"until", "run_id", "message_id", "after_run", "timeout_ms"});
  router.Add("GET", "/wait", Access::kView, with(BeginAnyWait), {"until", "label", "since", "timeout_ms"});
}

}  // namespace reeve
