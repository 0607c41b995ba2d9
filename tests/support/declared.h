// The commands that people are told of, as the built reeve declares them: what tests walk instead of lists.
#pragma once

#include <string>
#include <vector>

namespace reeve {

struct DeclaredCommand {
  std::string command;               // "reeve agents wake"
  std::string page;                  // "reeve-agents-wake"
  bool runs = false;                 // it is none that only has others
  std::vector<std::string> options;  // "-q,--quiet", "AGENT"
  std::vector<std::string> examples;

  // The words after "reeve".
  [[nodiscard]] std::vector<std::string> Words() const;
};
std::vector<DeclaredCommand> DeclaredCommands();

}  // namespace reeve
