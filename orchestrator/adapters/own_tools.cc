#include "orchestrator/adapters/own_tools.h"

#include <string_view>

#include "orchestrator/json/json.h"
#include "process/spawn.h"

namespace reeve {

OwnTools OwnTools::For(const SpawnSpec& spawn) {
  OwnTools tools;
  std::string path;
  for (const std::string_view entry : spawn.env) {
    const std::string_view name = entry.substr(0, entry.find('='));
    if (name == entry) continue;
    const std::string_view value = entry.substr(name.size() + 1);
    if (name == "PATH") path = value;
    if (name == "REEVE_SERVER" || name == "REEVE_TOKEN_FILE") tools.env.emplace_back(name, value);
  }
  const std::string found = FindProgram("reeve", path);
  tools.command = found.empty() ? "reeve" : found;
  return tools;
}

std::string OwnTools::EnvJson() const {
  JsonObject json;
  for (const auto& [name, value] : env) json.Set(name, value);
  return json.Take();
}

}  // namespace reeve
