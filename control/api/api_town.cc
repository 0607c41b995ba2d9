#include <fmt/core.h>
#include "control/api/api.h"
#include "control/api/openapi.h"
#include "control/api/waits.h"
#include "control/daemon.h"
#include "orchestrator/agent/agent.h"
#include "process/fd.h"
#include "process/heap_trim.h"
#include "process/log.h"

namespace reeve {

namespace {

using Type = Parameter::Type;

constexpr int64_t kMinDrainMs = 1'000;
constexpr size_t kFewDescriptors = 16;  // the start of an agent takes about ten, most of them for a moment
constexpr int64_t kMaxDrainMs = 86'400'000;

// How the daemon before this one died; null: it did not. The lines of its log may concern any agent and
// setting.
std::string LastDeathJson(const Daemon& daemon, bool with_log) {
  const auto death = daemon.last_death();
  if (!death) return "null";
  JsonObject json;
  if (death->signal != 0) {
    json.Set("signal", death->signal);
  } else {
    json.Set("code", death->code);
  }
  if (with_log) json.Set("log", daemon.last_log());
  return json.Take();
}

// The health report for people, load balancers and systemd; `reasons` says in words what is wrong. A caller
// without a token learns the status alone.
std::string HealthJson(const ApiContext& api, const Call& call) {
  const Town::Stats town = api.town.stats();
  JsonArray reasons;
  if (town.logs.blocked != 0) {
    reasons.Add(std::to_string(town.logs.blocked) +
                " event logs cannot be written: " + town.logs.blocked_reason);
  }
  const bool few_descriptors =
      FreeDescriptors(kFewDescriptors) < kFewDescriptors || !api.daemon.server_stats().accepting;
  if (few_descriptors)
    reasons.Add("all file descriptors are in use: raise the limit of open files (ulimit -n)");
  const std::string& runtime_failure = api.daemon.runtime_failure();
  if (!runtime_failure.empty()) reasons.Add(runtime_failure);
  const bool degraded = town.logs.blocked != 0 || few_descriptors || !runtime_failure.empty();
  const char* status = api.town.draining() ? "draining" : degraded ? "degraded" : "ok";
  if (!call.caller()) return JsonObject().Set("status", status).Take();
  const std::string failure = api.daemon.upgrade_failure();
  return JsonObject()
      .Set("status", status)
      .Set("version", REEVE_VERSION)
      .Set("town", api.town.name())
      .Set("agents", static_cast<uint64_t>(town.agents))
      .Set("viewers", static_cast<uint64_t>(api.viewers.stats().viewers))
      .Set("uptime_ms", api.clock.MonotonicMs() - api.daemon.started_ms())
      .Set("handovers", api.daemon.handovers())
      .Set("restarts", api.daemon.restarts())
      .SetRaw("last_death", LastDeathJson(api.daemon, call.HasScope(Scope::kOperate)))
      .Set("upgrade_failure", failure.empty() ? std::nullopt : std::optional(failure))
      .SetRaw("reasons", reasons.Take())
      .Take();
}

// Prometheus text exposition format 0.0.4.
class Metrics {
 public:
  void Add(const char* name, const char* type, const char* help, uint64_t value) {
    Head(name, type, help);
    text_ += std::string(name) + " " + std::to_string(value) + "\n";
  }
  void Head(const char* name, const char* type, const char* help) {
    text_ += std::string("# HELP ") + name + " " + help + "\n# TYPE " + name + " " + type + "\n";
  }
  void Labelled(const char* name, const char* label, const std::string& value, uint64_t number) {
    text_ += fmt::format("{}{{{}=\"{}\"}} {}\n", name, label, value, number);
  }
  std::string Take() { return std::move(text_); }

 private:
  std::string text_;
};

std::string MetricsText(const ApiContext& api) {
  const Town::Stats town = api.town.stats();
  const Viewers::Stats viewers = api.viewers.stats();
  const Server::Stats server = api.daemon.server_stats();
  Metrics metrics;
  metrics.Add("reeve_daemon_restarts_total", "counter", "Daemons of this keeper that died.",
              api.daemon.restarts());
  metrics.Head("reeve_agents", "gauge", "Agents by state.");
  for (const auto& [state, count] : town.by_state) metrics.Labelled("reeve_agents", "state", state, count);
  metrics.Add("reeve_messages_waiting", "gauge", "Messages that are due and wait for their agents.",
              town.messages_waiting);
  metrics.Add("reeve_messages_scheduled", "gauge", "Scheduled messages that are not due yet.",
              town.messages_scheduled);
  metrics.Add("reeve_message_bytes", "gauge", "Bytes of the messages that wait or are scheduled.",
              town.message_bytes);
  metrics.Add("reeve_approvals_pending", "gauge", "Approvals and elicitations that wait for a person.",
              town.approvals);
  metrics.Add("reeve_git_running", "gauge", "git commands that run for workspaces.", town.git.running);
  metrics.Add("reeve_git_waiting", "gauge", "git commands that are queued.", town.git.waiting);
  metrics.Add("reeve_events_total", "counter", "Events appended to event logs.", town.logs.events);
  metrics.Add("reeve_log_commits_total", "counter", "Writes of event logs.", town.logs.commits);
  metrics.Add("reeve_log_commit_max_microseconds", "gauge",
              "The slowest write of an event log since it was opened.",
              static_cast<uint64_t>(town.logs.max_commit_us));
  metrics.Add("reeve_log_bytes", "gauge", "Bytes on disk of the open event logs.", town.logs.bytes_on_disk);
  metrics.Add("reeve_log_damaged_blocks", "gauge",
              "Blocks of the open event logs that do not match their sums, as far as they were read.",
              town.logs.damaged_blocks);
  metrics.Add("reeve_log_tail_bytes", "gauge", "Bytes of event logs kept in memory.", town.logs.tail_bytes);
  metrics.Add("reeve_log_blocked", "gauge", "Event logs that could not be written at the last try.",
              town.logs.blocked);
  metrics.Add("reeve_viewers", "gauge", "Open live streams.", viewers.viewers);
  metrics.Add("reeve_viewers_blocked", "gauge", "Open live streams whose client reads nothing at present.",
              viewers.blocked);
  metrics.Add("reeve_viewers_opened_total", "counter", "Live streams opened.", viewers.opened);
  metrics.Add("reeve_viewer_writes_total", "counter", "Writes to live streams.", viewers.writes);
  metrics.Add("reeve_viewer_bytes_total", "counter", "Bytes written to live streams.", viewers.bytes);
  metrics.Add("reeve_viewer_disk_reads_total", "counter", "Reads of segments for viewers far behind.",
              viewers.disk_reads);
  metrics.Add("reeve_viewers_too_slow_total", "counter",
              "Live streams closed because the client read nothing.", viewers.too_slow);
  metrics.Add("reeve_events_delivered_total", "counter",
              "Events sent to live streams, once for each of them. Counted when a stream reaches the head of "
              "the log, and when it ends.",
              viewers.delivered);
  metrics.Add("reeve_events_filtered_total", "counter", "Events that the filters of live streams excluded.",
              viewers.filtered);
  metrics.Add("reeve_viewer_gaps_total", "counter", "Gaps reported to viewers.", viewers.gaps);
  metrics.Add("reeve_viewer_gap_events_total", "counter", "Events in these gaps.", viewers.gap_events);
  metrics.Add("reeve_viewer_gap_bytes_total", "counter",
              "Bytes in these gaps, as far as the viewer was connected when the gap opened.",
              viewers.gap_bytes);
  metrics.Add("reeve_waits", "gauge", "Open requests to /wait.", api.waits.open());
  metrics.Add("reeve_tickets_unredeemed", "gauge", "Stream tickets issued and not yet used.",
              api.tickets.unredeemed());
  metrics.Add("reeve_connections", "gauge", "Open HTTP connections without live streams.",
              server.connections);
  metrics.Add("reeve_request_bytes", "gauge",
              "Bytes of the bodies of requests in progress, and of clients without a token.",
              server.held_bytes);
  metrics.Add("reeve_requests_total", "counter", "HTTP requests.", server.requests);
  metrics.Add("reeve_requests_refused_total", "counter",
              "Requests that were malformed, too large, too slow or too many.", server.refused);
  metrics.Add("reeve_log_lines_dropped_total", "counter",
              "Lines of the daemon's log that stderr did not take.", log::Dropped());
  metrics.Add("process_resident_memory_bytes", "gauge", "Resident memory size in bytes.", ResidentBytes());
  return metrics.Take();
}

std::string NamesJson(const std::vector<std::string>& names) {
  JsonArray array;
  for (const std::string& name : names) array.Add(name);
  return array.Take();
}

void Reload(ApiContext& api, const Call&, Reply reply) {
  auto change = api.daemon.Reload();
  if (!change) return reply.Refuse(change.error());
  reply.Send(Response::Json(200, JsonObject()
                                     .SetRaw("applied", NamesJson(change->applied))
                                     .SetRaw("needs_restart", NamesJson(change->needs_restart))
                                     .Take()));
}

// A repeated request changes nothing. Only a second signal ends the daemon at once.
void BeginDrain(ApiContext& api, const Call& call, Reply reply) {
  const auto timeout_ms = call.Integer("timeout_ms");
  if (call.Flag("wait").value_or(false)) {
    return api.daemon.Drain(
        timeout_ms, [shared = Shared(std::move(reply))](const std::vector<std::string>& unfinished) {
          shared->Send(Response::Json(200, JsonObject().SetRaw("unfinished", NamesJson(unfinished)).Take()));
        });
  }
  api.daemon.Drain(timeout_ms, {});
  reply.Send(Response::Json(202, HealthJson(api, call)));
}

void DescribeDrain(ApiContext& api, const Call&, Reply reply) {
  JsonArray waiting;
  for (const std::string& id : api.town.drain().waits_for()) {
    const Agent* agent = api.town.Find(id);
    JsonObject json;
    json.Set("id", id);
    if (agent && agent->runs().open()) json.Set("run", agent->runs().open()->id);
    waiting.AddRaw(json.Take());
  }
  reply.Send(Response::Json(
      200, JsonObject().Set("draining", api.town.draining()).SetRaw("waiting", waiting.Take()).Take()));
}

void Upgrade(ApiContext& api, const Call& call, Reply reply) {
  const auto binary = call.Text("binary");
  if (binary && !binary->starts_with('/'))
    return reply.Refuse({"invalid_request", "binary: must be the absolute path of a reeve binary"});
  auto answer = [&api, shared = Shared(std::move(reply))](const Result<std::string>& version) {
    Answer(*shared, version ? Status() : version.error(), [&] {
      return Response::Json(202, JsonObject()
                                     .Set("version_from", REEVE_VERSION)
                                     .Set("version_to", *version)
                                     .Set("handovers", api.daemon.handovers())
                                     .Take());
    });
  };
  api.daemon.Upgrade(call.String("binary"), std::move(answer));
}

void Health(ApiContext& api, const Call& call, Reply reply) {
  reply.Send(Response::Json(api.town.draining() ? 503 : 200, HealthJson(api, call)));
}

void Ready(ApiContext& api, const Call&, Reply reply) {
  if (api.town.draining()) return reply.Refuse({"draining", "the daemon is shutting down"});
  reply.Send(Response::Json(200, R"({"ready":true})"));
}

void GetOpenApi(ApiContext& api, const Call&, Reply reply) {
  reply.Send(Response::Json(200, OpenApiDocument(api.base_path)));
}

void GetMetrics(ApiContext& api, const Call&, Reply reply) {
  reply.Send({200, {{"Content-Type", "text/plain; version=0.0.4; charset=utf-8"}}, MetricsText(api)});
}

}  // namespace

std::vector<Operation> TownOperations() {
  return {
      {.name = "town.health",
       .access = Access::kOpen,
       .method = "GET",
       .path = "/health",
       .text = "Returns the state of the daemon. Without a token the answer has the status alone.",
       .answers = {{200, "Health"}, {503, "Health"}},
       .run = Health,
       .probe = true,
       .any_query = true},
      {.name = "town.ready",
       .access = Access::kOpen,
       .method = "GET",
       .path = "/ready",
       .text = "Says whether the daemon accepts work.",
       .answers = {{200, "Ready"}},
       .errors = {"draining"},
       .run = Ready,
       .probe = true,
       .any_query = true},
      {.name = "town.metrics",
       .access = Access::kView,
       .method = "GET",
       .path = "/metrics",
       .text = "Returns metrics in Prometheus's text format.",
       .answers = {{200, "Text", "text/plain"}},
       .run = GetMetrics},
      {.name = "town.openapi",
       .access = Access::kView,
       .method = "GET",
       .path = "/openapi.json",
       .text = "Returns the description of this API (OpenAPI 3.1).",
       .answers = {{200, "Object"}},
       .run = GetOpenApi},
      {.name = "town.reload",
       .access = Access::kAdmin,
       .method = "POST",
       .path = "/reload",
       .text = "Reads the configuration and the tokens again.",
       .answers = {{200, "Reloaded"}},
       .errors = {"invalid_config"},
       .run = Reload},
      {.name = "town.drain_status",
       .access = Access::kView,
       .method = "GET",
       .path = "/drain",
       .text = "Says whether the daemon drains, and which agents it still waits for.",
       .answers = {{200, "DrainStatus"}},
       .run = DescribeDrain},
      {.name = "town.drain",
       .access = Access::kAdmin,
       .method = "POST",
       .path = "/drain",
       .text = "Ends open runs and the daemon, as TERM does.",
       .parameters = {Member("timeout_ms", Type::kInteger,
                             "The time that open runs get; the setting drain_timeout if absent.")
                          .Between(kMinDrainMs, kMaxDrainMs),
                      Member("wait", Type::kBoolean, "Answers after the drain.")},
       .answers = {{202, "Health"}, {200, "Drained"}},
       .run = BeginDrain},
      {.name = "town.upgrade",
       .access = Access::kAdmin,
       .method = "POST",
       .path = "/upgrade",
       .text = "Replaces the daemon by another binary. No agent notices.",
       .parameters = {Member("binary", Type::kString,
                             "The absolute path of the binary; the file that was started if absent.")
                          .Must("must be the absolute path of a reeve binary")},
       .answers = {{202, "Upgraded"}},
       .errors = {"upgrade_failed", "conflict", "not_supported", "draining"},
       .run = Upgrade},
  };
}

}  // namespace reeve
