// The manual pages of every command there is: groff takes them without a warning, and they tell everything.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/command.h"
#include "tests/support/daemon.h"
#include "tests/support/declared.h"

namespace reeve {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

// As it looks, without the bold and the underlined, and on lines as long as need be.
std::string Shown(const std::string& file) {
  Command groff({{"groff", "-man", "-Tutf8", "-ww", "-P-c", "-P-bou", "-rLL=900n", file}, "/"});
  EXPECT_EQ(groff.Wait(), 0);
  EXPECT_EQ(groff.err(), "") << file;
  return groff.out();
}

TEST(Manual, TellsEverythingOfEachCommandInGoodRoff) {
  TempDir folder;
  Command man({"man", "--output", folder.path() + "/man1"});
  ASSERT_EQ(man.Wait(), 0) << man.err();
  size_t pages = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path() + "/man1")) {
    pages += entry.path().extension() == ".1" ? 1 : 0;
  }
  const std::vector<DeclaredCommand> commands = DeclaredCommands();
  EXPECT_EQ(pages, commands.size());
  for (const DeclaredCommand& command : commands) {
    SCOPED_TRACE(command.command);
    const std::string page = folder.path() + "/man1/" + command.page + ".1";
    Command narrow({{"groff", "-man", "-Tutf8", "-ww", page}, "/"});  // as wide as a terminal
    EXPECT_EQ(narrow.Wait(), 0);
    EXPECT_EQ(narrow.err(), "");
    const std::string text = Shown(page);
    for (const char* section : {"NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS", "SEE ALSO"}) {
      EXPECT_THAT(text, HasSubstr("\n" + std::string(section) + "\n"));
    }
    EXPECT_THAT(text, HasSubstr("\n       " + command.page + " - "));
    EXPECT_THAT(text, HasSubstr("\n       " + command.command));
    for (const std::string& option : command.options) {
      std::istringstream names(option);
      for (std::string name; std::getline(names, name, ',');) EXPECT_THAT(text, HasSubstr(name));
    }
    EXPECT_EQ(text.find("\nEXAMPLES\n") != std::string::npos, !command.examples.empty());
    for (const std::string& example : command.examples)
      EXPECT_THAT(text, HasSubstr("\n       " + example + "\n"));
  }
}

// A reader of reeve(1) finds each command, also those that are commands of another one.
TEST(Manual, OfReeveItselfListsEveryCommand) {
  TempDir folder;
  Command man({"man", "--output", folder.path() + "/man1"});
  ASSERT_EQ(man.Wait(), 0) << man.err();
  const std::string text = Shown(folder.path() + "/man1/reeve.1");
  for (const char* page : {"reeve-run", "reeve-agents-list", "reeve-agents-logs", "reeve-agents-stop"})
    EXPECT_THAT(text, HasSubstr("\n       " + std::string(page) + "(1)")) << text;
}

// The pages are the same for every builder and in every place.
TEST(Manual, IsTheSameForEverybody) {
  for (const DeclaredCommand& command : DeclaredCommands()) {
    std::vector<std::string> words = {"man"};
    for (const std::string& word : command.Words()) words.push_back(word);
    Command here(words);
    Command there(words, {"HOME=/home/other", "XDG_CONFIG_HOME=/home/other/config", "REEVE_DATA=/elsewhere"});
    EXPECT_EQ(here.Wait(), 0) << here.err();
    EXPECT_EQ(there.Wait(), 0);
    EXPECT_EQ(here.out(), there.out());
  }
}

TEST(Manual, SaysWhatKeepsItFromWriting) {
  Command command({"man", "--output", "/dev/null/man1"});
  EXPECT_EQ(command.Wait(), 74);
  EXPECT_THAT(command.err(), HasSubstr("reeve.1: Not a directory"));
  EXPECT_EQ(Command({"man", "agents", "dance"}).Wait(), 64);
}

}  // namespace
}  // namespace reeve
