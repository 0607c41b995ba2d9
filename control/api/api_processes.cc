// The processes of agents, and those that belong to none.
#include <charconv>
#include <csignal>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "control/api/api.h"
#include "orchestrator/agent/agent.h"
#include "orchestrator/agent/process_json.h"

namespace reeve {

namespace {

void ListProcesses(ApiContext&, const Call& call, Reply reply) {
  reply.Send(Response::Json(200, call.agent().ProcessesJson()));
}

// A word that is no pid is a pid that no process has: 0.
pid_t PidIn(std::string_view word) {
  pid_t pid = 0;
  const char* end = word.data() + word.size();
  const auto [at, error] = std::from_chars(word.data(), end, pid);
  return error == std::errc() && at == end ? pid : 0;
}

void KillProcess(ApiContext&, const Call& call, Reply reply) {
  const JsonValue given = call.Json("signal");
  const auto number = given.AsInt();
  const std::string word(given.StringOr(""));
  const auto signum = given ? ParseSignal(number ? std::to_string(*number) : word) : std::optional(SIGTERM);
  if (!signum) return reply.Refuse({"invalid_request", "signal: must be the name or number of a signal"});
  auto killed = call.agent().SignalProcess(PidIn(call.String("pid")), *signum, call.by());
  if (!killed) return reply.Refuse(killed.error());
  reply.Send(Response::Json(202, std::move(*killed)));
}

void ListStrays(ApiContext& api, const Call&, Reply reply) {
  JsonArray processes;
  for (const ProcessId& process : api.town.Strays()) {
    const auto details = DescribeProcess(process);
    if (!details) continue;
    JsonObject json;
    SetProcess(json, *details);
    processes.AddRaw(json.Take());
  }
  reply.Send(Response::Json(200, JsonObject().SetRaw("processes", processes.Take()).Take()));
}

}  // namespace

std::vector<Operation> ProcessOperations() {
  return {
      {.name = "processes.list",
       .access = Access::kView,
       .method = "GET",
       .path = "/agents/{id}/processes",
       .text = "Lists the live processes of an agent, its own first.",
       .parameters = {PathAgent(Parameter::Type::kAnyAgent)},
       .answers = {{200, "Processes"}},
       .run = ListProcesses},
      {.name = "processes.kill",
       .access = Access::kOperate,
       .method = "POST",
       .path = "/agents/{id}/processes/{pid}/kill",
       .text = "Sends a signal to a process of an agent.",
       .parameters = {PathAgent(Parameter::Type::kAnyAgent), Path("pid", "The process."),
                      JsonMember("signal", "Signal", "The name or number of the signal; TERM if absent.")},
       .answers = {{202, "Killed"}},
       .errors = {"process_not_found"},
       .run = KillProcess},
      {.name = "processes.strays",
       .access = Access::kView,
       .method = "GET",
       .path = "/processes/strays",
       .text = "Lists the processes that carry this town's marker and belong to no agent.",
       .answers = {{200, "Strays"}},
       .run = ListStrays},
  };
}

}  // namespace reeve
