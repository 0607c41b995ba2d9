#include <optional>
#include <utility>

#include "control/api/api.h"
#include "control/api/waits.h"
#include "orchestrator/agent/agent.h"

namespace reeve {

namespace {

constexpr int64_t kMaxEvents = 10'000;
// A page ends with the event that takes it past this size, which bounds the memory of one answer.
constexpr size_t kMaxPageBytes = size_t{8} << 20;
constexpr int64_t kMaxWaitMs = 50'000;

Response EventsPage(EventLog& log, const Request& request) {
  auto limit = ReadNumber(request, "limit", 1'000, 1, kMaxEvents);
  if (!limit) return Response::Problem(limit.error());
  auto tail = ReadNumber(request, "tail", 0, 1, kMaxEvents);
  if (!tail) return Response::Problem(tail.error());
  auto after = ReadCursor("after", request.Query("after"));
  if (!after) return Response::Problem(after.error());
  if (*after && *tail != 0)
    return Response::Problem({"invalid_request", "tail: cannot be combined with after"});
  const auto types = TypeFilter::Parse(request.Query("types").value_or(""));
  if (!types) return Response::Problem(types.error());

  auto start = log.Find(after->value_or(Cursor{}));
  if (!start) return Response::Problem(start.error());
  if (*tail != 0) {
    const uint64_t head = log.committed().seq;
    const auto back = static_cast<uint64_t>(*tail);
    auto position = log.PositionAfter(head > back ? head - back : 0);
    if (!position) return Response::Problem(position.error());
    start->position = *position;
  }
  std::string events = "[";
  int64_t count = 0;
  const int64_t most = *tail != 0 ? *tail : *limit;
  auto end = log.Scan(start->position, [&](const FrameView& frame, std::string_view) {
    if (types->Matches(frame.type)) {
      if (events.size() > 1) events += ',';
      events += frame.envelope;
      ++count;
    }
    return count < most && events.size() < kMaxPageBytes;
  });
  if (!end) return Response::Problem(end.error());
  auto cursor = log.CursorAt(*end);
  if (!cursor) return Response::Problem(cursor.error());
  JsonObject page;
  page.SetRaw("events", events + "]").Set("cursor", cursor->ToString());
  if (const auto& gap = start->gap) {
    page.SetRaw("gap", JsonObject()
                           .Set("from", gap->from.ToString())
                           .Set("to", gap->to.ToString())
                           .Set("reason", gap->reason)
                           .Take());
  } else {
    page.SetRaw("gap", "null");
  }
  return Response::Json(200, page.Take());
}

void Events(ApiContext& api, const Request& request, Reply reply) {
  auto agent = FindAgent(api, request);  // a deleted agent's log stays readable
  if (!agent) return reply.Send(Response::Problem(agent.error()));
  auto log = (*agent)->log();
  reply.Send(log ? EventsPage(**log, request) : Response::Problem(log.error()));
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
  return std::nullopt;
}

void BeginWait(ApiContext& api, const Request& request, Reply reply) {
  Waits::Condition condition;
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
        Response::Problem({"invalid_request", "until: must be ready, terminal, idle or exited"}));
  }
  condition.until = *until;
  // A deleted agent still ends, and so do its runs.
  const bool of_deleted =
      *until == Waits::Condition::Until::kExited || !condition.run.empty() || !condition.message.empty();
  auto agent = of_deleted ? FindAgent(api, request) : FindLiveAgent(api, request);
  if (!agent) return reply.Send(Response::Problem(agent.error()));
  if (named > 1 || (named == 1 && condition.until != Waits::Condition::Until::kTerminal)) {
    return reply.Send(
        Response::Problem({"invalid_request",
                           "run_id, message_id, after_run: only one of them, and only with until=terminal"}));
  }
  api.waits.Begin(**agent, std::move(condition), *timeout, std::move(reply));
}

}  // namespace

void AddEventRoutes(Router& router, ApiContext& api) {
  auto with = [&api](void (*handler)(ApiContext&, const Request&, Reply)) {
    return [&api, handler](const Request& request, Reply reply) { handler(api, request, std::move(reply)); };
  };
  router.Add("GET", "/agents/{id}/events", Access::kView, with(Events));
  router.Add("GET", "/agents/{id}/snapshot", Access::kView, with(Snapshot));
  router.Add("GET", "/agents/{id}/wait", Access::kView, with(BeginWait));
}

}  // namespace reeve
