// `reeve agents processes`: the processes of agents, as ps(1) would list them.
#include <string>
#include <vector>

#include "control/cli/client/agent_names.h"
#include "control/cli/commands/agents_commands.h"
#include "control/cli/commands/each_agent.h"
#include "control/cli/show/agent_state.h"
#include "control/cli/show/event_words.h"
#include "control/cli/top/top_columns.h"
#include "process/clock.h"

namespace reeve {

namespace {

int ListProcesses(const EachAgentOptions& options) {
  const Console console(options.command, options);
  return ForEachAgentOf(options, [&](const Client& client, const std::string& id) -> Result<std::string> {
    auto answer = client.AskJson(client.Request("GET", AgentPath(id) + "/processes"));
    if (!answer) return answer.error();
    const std::vector<JsonValue> processes = (*answer)["processes"].Elements();
    if (processes.empty()) console.Note(id + ": no process runs");
    const int64_t now_ms = SystemClock().WallMs();
    console.Rows(
        processes, {"PID", "PPID", "ROLE", "STATE", "CPU", "MEMORY", "AGE", "COMMAND"},
        [now_ms](const JsonValue& process) -> std::vector<Table::Cell> {
          return {{PlainTextOf(process["pid"])},
                  {PlainTextOf(process["ppid"])},
                  {PlainTextOf(process["role"])},
                  {PlainTextOf(process["state"])},
                  {DurationWords(process["cpu_ms"].AsInt().value_or(0))},
                  {ShortBytes(process["rss_bytes"].AsInt().value_or(0))},
                  {Age(now_ms - WallMsOf(process["started_at"]))},
                  {PlainTextOf(process["command"])}};
        },
        id);
    return std::string();
  });
}

}  // namespace

void AddAgentsProcesses(Command agents) {
  auto [command, options] =
      AddForAgents<EachAgentOptions>(agents, "processes", "List the processes of agents, their own first.");
  AddCommonOptions(command, *options);
  command.Example("reeve agents processes a1", "what it runs, with processor time and memory");
  command.Example("reeve agents processes a1 --json", "one object for each process, for a program");
  command.Action([options = options] { return ListProcesses(*options); });
}

}  // namespace reeve
