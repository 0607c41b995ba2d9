#include "control/cli/commands/each_agent.h"

#include <set>

#include "control/cli/client/agent_names.h"

namespace reeve {

int ForEachAgentOf(const EachAgentOptions& options, const ToAgent& act) {
  Console console(options.command, options);
  auto client = Client::Find(options.client);
  if (!client) return console.Fail(client.error());
  std::set<std::string> done;  // two names may mean the same agent
  for (const std::string& name : options.agents) {
    auto ids = FindAgents(*client, name);
    if (!ids) {
      console.Fail(ids.error(), name);
      continue;
    }
    for (const std::string& id : *ids) {
      if (!done.insert(id).second) continue;
      auto text = act(*client, id);
      if (!text) {
        console.Fail(text.error(), id);
      } else if (!text->empty()) {
        console.Line(*text);
      }
    }
  }
  return console.code();
}

}  // namespace reeve
