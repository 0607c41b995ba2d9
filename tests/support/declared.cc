#include "tests/support/declared.h"

#include <gtest/gtest.h>

#include <sstream>

#include "orchestrator/json/json.h"
#include "tests/support/command.h"

namespace reeve {

std::vector<std::string> DeclaredCommand::Words() const {
  std::istringstream all(command);
  std::vector<std::string> words;
  std::string word;
  all >> word;
  while (all >> word) words.push_back(word);
  return words;
}

std::vector<DeclaredCommand> DeclaredCommands() {
  Command man({"man", "--json"});
  EXPECT_EQ(man.Wait(), 0) << man.err();
  std::vector<DeclaredCommand> commands;
  std::istringstream lines(man.out());
  for (std::string line; std::getline(lines, line);) {
    const auto json = JsonDocument::Parse(line);
    EXPECT_TRUE(json.ok()) << line;
    if (!json) continue;
    DeclaredCommand command;
    command.command = (*json)["command"].StringOr("");
    command.page = (*json)["page"].StringOr("");
    command.runs = (*json)["runs"].AsBool().value_or(false);
    for (const JsonValue& option : (*json)["options"].Elements()) {
      command.options.emplace_back(option["names"].StringOr(""));
    }
    for (const JsonValue& example : (*json)["examples"].Elements()) {
      command.examples.emplace_back(example["typed"].StringOr(""));
    }
    commands.push_back(std::move(command));
  }
  EXPECT_GT(commands.size(), 10U);
  return commands;
}

}  // namespace reeve
