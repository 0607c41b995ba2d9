// How an agent's program starts `reeve mcp`, so that it has reeve's own tools (`mcp` of the spec).
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace reeve {

struct SpawnSpec;

struct OwnTools {
  static constexpr const char* kName = "reeve";  // of the server, in the program's configuration
  static constexpr int64_t kTimeoutS = 90'000;   // longer than the longest wait of a tool, a day

  std::string command;
  std::vector<std::pair<std::string, std::string>> env;  // no secret: the token is in a file

  // From the environment that the agent gets.
  static OwnTools For(const SpawnSpec& spawn);
  [[nodiscard]] std::string EnvJson() const;  // an object
};

}  // namespace reeve
