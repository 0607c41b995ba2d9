// `reeve agents status`: the state of agents in sentences.
#include "control/cli/client/agent_names.h"
#include "control/cli/commands/agents_commands.h"
#include "control/cli/commands/each_agent.h"
#include "control/cli/show/agent_words.h"
#include "process/clock.h"

namespace reeve {

void AddAgentsStatus(Command agents) {
  auto [command, options] = AddForAgents<EachAgentOptions>(
      agents, "status", "Describe the state of agents, with their last run and what waits.");
  command.HiddenAlias("inspect");
  AddCommonOptions(command, *options);
  command.Example("reeve status a1", "in sentences");
  command.Example("reeve status a1 --json", "the whole object of the API");
  command.Action([options = options] {
    return ForEachAgentOf(*options, [&](const Client& client, const std::string& id) -> Result<std::string> {
      auto agent = client.AskJson(client.Request("GET", AgentPath(id)));
      if (!agent) return agent.error();
      return options->json ? agent->root().Raw() : AgentSentences(agent->root(), SystemClock().WallMs());
    });
  });
}

}  // namespace reeve
