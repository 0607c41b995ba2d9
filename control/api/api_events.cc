#include <optional>
#include <utility>

#include "control/api/api.h"
#include "control/api/event_pages.h"
#include "control/api/waits.h"
#include "orchestrator/agent/agent.h"

namespace reeve {

namespace {

using Type = Parameter::Type;

constexpr int64_t kDefaultEvents = 1'000;
constexpr int64_t kMaxEvents = 10'000;
constexpr int64_t kLeastPageBytes = 1'024;
constexpr size_t kMaxTextBytes = 256;
constexpr int64_t kMaxWaitMs = 50'000;

void Events(ApiContext& api, const Call& call, Reply reply) {
  const auto after = call.Position("after");
  const auto tail = call.Integer("tail");
  const auto before = call.Integer("before");
  if (after && tail) return reply.Refuse({"invalid_request", "tail: cannot be combined with after"});
  if (before && (after || tail))
    return reply.Refuse({"invalid_request", "before: cannot be combined with after or tail"});
  if (call.String("text").size() > kMaxTextBytes)
    return reply.Refuse({"invalid_request", "text: must have at most 256 bytes"});
  EventPages::Range range;
  range.after = after;
  range.tail = static_cast<uint64_t>(tail.value_or(0));
  range.before = static_cast<uint64_t>(before.value_or(0));
  range.limit = static_cast<uint64_t>(call.Integer("limit").value_or(kDefaultEvents));
  range.max_bytes = static_cast<size_t>(call.Integer("max_bytes").value_or(EventPages::kMaxPageBytes));
  range.types = call.Types("types");
  range.text = call.String("text");
  api.pages.Read(call.agent().id(), std::move(range), std::move(reply));
}

void Snapshot(ApiContext&, const Call& call, Reply reply) {
  auto snapshot = call.agent().Snapshot();
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
Result<std::string> FindAwaited(const ApiContext& api, const std::string& id,
                                const Waits::Condition& condition) {
  using Until = Waits::Condition::Until;
  if (condition.until == Until::kMade) {
    if (!IsAgentId(id)) return Error{"invalid_request", "the id is not one that an agent can have"};
    return id;
  }
  const bool deleted_too =
      condition.until == Until::kExited || !condition.run.empty() || !condition.message.empty();
  auto agent = FindAgent(api, id);
  if (!agent) return agent.error();
  if ((*agent)->deleted() && !deleted_too) return Error{"agent_deleted", "agent " + id + " has been deleted"};
  return id;
}

void BeginWait(ApiContext& api, const Call& call, Reply reply) {
  Waits::Condition condition;
  condition.token = call.token();
  condition.message = call.String("message_id");
  condition.run = call.String("run_id");
  condition.after_run = call.String("after_run");
  const int named = (condition.run.empty() ? 0 : 1) + (condition.message.empty() ? 0 : 1) +
                    (condition.after_run.empty() ? 0 : 1);
  condition.until = *ParseUntil(call.Text("until").value_or("terminal"));
  auto agent = FindAwaited(api, call.String("id"), condition);
  if (!agent) return reply.Refuse(agent.error());
  if (named > 1 || (named == 1 && condition.until != Waits::Condition::Until::kTerminal)) {
    return reply.Refuse(
        {"invalid_request", "run_id, message_id, after_run: only one of them, and only with until=terminal"});
  }
  api.waits.Begin(*agent, std::move(condition), call.Integer("timeout_ms").value_or(kMaxWaitMs),
                  std::move(reply));
}

void BeginAnyWait(ApiContext& api, const Call& call, Reply reply) {
  using Until = Waits::Condition::Until;
  Waits::Condition condition;
  condition.token = call.token();
  condition.until = *ParseUntil(call.Text("until").value_or("terminal"));
  const auto since = call.Text("since");
  if (since && condition.until != Until::kTerminal)
    return reply.Refuse({"invalid_request", "since: only with until=terminal"});
  const auto since_ms = since ? ParseTime(std::string(*since)) : 0;
  if (!since_ms)
    return reply.Refuse({"invalid_request", "since: must be a time such as 2026-01-31T07:00:00Z (RFC 3339)"});
  condition.since_ms = *since_ms;
  condition.labels = call.LabelsOf("label");
  api.waits.BeginAny(std::move(condition), call.Integer("timeout_ms").value_or(kMaxWaitMs), std::move(reply));
}

// The run that a wait for no named run means.
std::string NameRun(const ApiContext& api, const JsonValue& arguments) {
  const bool named = arguments["run_id"] || arguments["message_id"] || arguments["after_run"];
  if (named || arguments["until"].StringOr("terminal") != "terminal") return {};
  const auto agent = FindAgent(api, std::string(arguments["id"].StringOr("")));
  if (!agent || (*agent)->deleted()) return {};
  const Runs& runs = (*agent)->runs();
  const Run* run = runs.open() ? &*runs.open() : runs.last();
  return run ? R"("run_id":")" + run->id + '"' : std::string();
}

Parameter Timeout() {
  return Query("timeout_ms", Type::kInteger, "The longest wait; 50 s if absent.").Between(0, kMaxWaitMs);
}

}  // namespace

std::vector<Operation> EventOperations() {
  return {
      {.name = "events.since",
       .access = Access::kView,
       .method = "GET",
       .path = "/agents/{id}/events",
       .text = "Returns a page of an agent's event log.",
       .parameters =
           {PathAgent(Type::kAnyAgent),
            Query("after", Type::kCursor, "The events after this cursor; from the oldest if absent."),
            Query("tail", Type::kInteger, "The number of last events.").Between(1, kMaxEvents),
            Query("before", Type::kInteger, "The last events with a smaller number (`seq`).")
                .Between(1, INT64_MAX),
            Query("limit", Type::kInteger, "The size of a page; 1000 if absent.").Between(1, kMaxEvents),
            Query("max_bytes", Type::kInteger, "The size of a page in bytes; 8 MiB if absent.")
                .Between(kLeastPageBytes, int64_t{EventPages::kMaxPageBytes}),
            Query("types", Type::kTypes, "Only these types."),
            Query("text", Type::kString, "Only events whose data contains this, at most 256 bytes.")},
       .answers = {{200, "EventPage"}},
       .run = Events,
       .tool = {.name = "read_events",
                .text =
                    "Reads the log of an agent. For its answers in words use types "
                    "\"assistant.message\" and tail 1; for the end of its runs \"run.*\"; for its tools "
                    "\"tool.*\"; for the output of a plain program \"agent.output\". `tail` N returns the "
                    "last N events; `after` with the `cursor` of an earlier answer returns what is new.",
                .defaults = R"("limit":100)"}},
      {.name = "agents.snapshot",
       .access = Access::kView,
       .method = "GET",
       .path = "/agents/{id}/snapshot",
       .text = "Returns an agent's present state, all at one position of its log.",
       .parameters = {PathAgent()},
       .answers = {{200, "Snapshot"}},
       .run = Snapshot},
      {.name = "agents.wait",
       .access = Access::kView,
       .method = "GET",
       .path = "/agents/{id}/wait",
       .text = "Waits until a run has ended, or until the agent is in a state.",
       .parameters = {Path("id", "The agent's id."),
                      Query("until", Type::kString, "The condition; terminal if absent.")
                          .OneOf({"ready", "terminal", "idle", "exited", "made"}),
                      Query("run_id", Type::kString, "The end of this run."),
                      Query("message_id", Type::kString, "The end of this message's run."),
                      Query("after_run", Type::kString, "The end of the first run after this one."),
                      Timeout()},
       .answers = {{200, "WaitResult"}, {204}},
       .errors = {"agent_not_found", "agent_deleted", "run_not_found", "message_not_found", "not_running",
                  "too_many_requests", "draining"},
       .run = BeginWait,
       .tool = {.name = "wait_for_agent",
                .text = "Waits for an agent. Without `until` it waits for the end of the present run, or of "
                        "the last one, and returns that run with its `status`; with `message_id` for the run "
                        "of that message. until=idle waits until the agent has nothing more to do. Read what "
                        "it said with read_events. Call it again if the time was too short.",
                .wait = "timeout_ms",
                .nothing = "The time is over and the agent is still at work. Call the tool again to go on "
                           "waiting; list_approvals shows whether it waits for a decision.",
                .target = NameRun}},
      {.name = "agents.wait_any",
       .access = Access::kView,
       .method = "GET",
       .path = "/wait",
       .text = "Waits until the condition holds for one of the agents, later ones included.",
       .parameters = {Query("until", Type::kString, "The condition; terminal if absent.")
                          .OneOf({"ready", "idle", "terminal"}),
                      Query("label", Type::kLabels,
                            "Only agents with this label, as key:value; may be repeated."),
                      Query("since", Type::kString, "Only runs that ended after this time (RFC 3339)."),
                      Timeout()},
       .answers = {{200, "WaitResult"}, {204}},
       .errors = {"too_many_requests", "draining"},
       .run = BeginAnyWait,
       .tool = {.name = "wait_for_any_agent",
                .text = "Waits for the first of several agents, chosen by `label`, whose run ends, and "
                        "returns that run with `agent`. Pass the `ended_at` of each answer as `since` of the "
                        "next call to get the runs one after another.",
                .wait = "timeout_ms",
                .nothing = "The time is over and no run has ended. Call the tool again to go on waiting."}},
  };
}

}  // namespace reeve
