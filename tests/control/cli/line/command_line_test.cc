// The command line (control/cli/line/command_line.h): the words that are accepted, and the errors for the
// rest.
#include "control/cli/line/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace reeve {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

class CommandLineTest : public testing::Test {
 protected:
  CommandLineTest() {
    Command animals = line_.root().Add("animals", "All of them.");
    animals.Alias("beasts");
    animals.Alias("creatures");
    animals.Open();
    Command forget = animals.Add("forget", "Delete one of them.");
    forget.Destroys();
    forget.Flag("--keep", quiet_, "Keep its name");
    forget.Flag("--kill", hot_, "At once").Destroys();
    forget.Action([this] { return ran_ = 6; });
    Command feed = animals.Add("feed", "Give them what they eat.");
    feed.Argument("ANIMAL", animals_, "Who").Required();
    feed.Option("--food,--meal", food_, "TEXT", "What").Required();
    feed.Option("-n,--count", count_, 1, 9, "How many").Default("1");
    feed.Option("--weight", weight_, 0.5, 2000, "In kilograms");
    feed.Option("-t,--tag", tags_, "KEY=VALUE", "A mark");
    feed.Option("--size", size_, "small|large", "Of a helping");
    OptionRef hot = feed.Flag("--hot", hot_, "Warm it");
    feed.Flag("-q,--quiet", quiet_, "Say nothing").Excludes(hot);
    feed.OptionalValue("--tail", tail_, 20, 1, 99, "The last ones");
    feed.Flag("--json", json_, "Objects");
    feed.Action([this] { return ran_ = 3; });
    Command one = animals.Add("one", "Give one of them a treat.");
    one.Argument("ANIMAL", food_, "Who").Required();
    one.Action([this] { return ran_ = 4; });
    Command run = line_.root().Add("run", "A program.");
    run.Argument("COMMAND", animals_, "Its words");
    run.Action([this] { return ran_ = 5; });
  }

  int Run(const std::vector<std::string>& words) {
    ran_ = 0;
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    const int code = line_.Run(words);
    out_ = testing::internal::GetCapturedStdout();
    err_ = testing::internal::GetCapturedStderr();
    return code;
  }
  // The error of the command line.
  std::string Why(const std::vector<std::string>& words) {
    EXPECT_EQ(Run(words), 64) << out_;
    EXPECT_EQ(ran_, 0);
    EXPECT_EQ(out_, "");
    return err_;
  }

  CommandLine line_{"For tests.", "reeve 9.9"};
  std::vector<std::string> animals_, tags_;
  std::string food_, size_;
  int count_ = 1, tail_ = 0;
  double weight_ = 1;
  bool hot_ = false, quiet_ = false, json_ = false;
  int ran_ = 0;
  std::string out_, err_;
};

TEST_F(CommandLineTest, TakesOptionsAndArgumentsAsTheyCome) {
  EXPECT_EQ(Run({"animals", "feed", "cat", "--food=hay", "-n3", "dog", "--weight", "1.5", "--tag=a=b", "-t",
                 "c=d", "--size", "large", "--tail=5", "--", "--hot"}),
            3);
  EXPECT_EQ(err_, "");
  EXPECT_THAT(animals_, ElementsAre("cat", "dog", "--hot"));
  EXPECT_EQ(food_, "hay");
  EXPECT_EQ(count_, 3);
  EXPECT_EQ(weight_, 1.5);
  EXPECT_THAT(tags_, ElementsAre("a=b", "c=d"));
  EXPECT_EQ(size_, "large");
  EXPECT_EQ(tail_, 5);
  EXPECT_FALSE(hot_);
}

// A value of its own is found also without "=", where another word could be an argument.
TEST_F(CommandLineTest, AnOptionalNumberMayBeTheNextWord) {
  EXPECT_EQ(Run({"animals", "feed", "cat", "--food=x", "--tail", "5"}), 3);
  EXPECT_EQ(tail_, 5);
  EXPECT_THAT(animals_, ElementsAre("cat"));
  EXPECT_EQ(Run({"animals", "feed", "--food=x", "--tail", "cat"}), 3);
  EXPECT_EQ(tail_, 20);
  EXPECT_THAT(animals_, ElementsAre("cat"));
  EXPECT_EQ(Run({"animals", "feed", "--food=x", "--tail", "-n", "5", "cat"}), 3);
  EXPECT_EQ(tail_, 20);
  EXPECT_EQ(count_, 5);
  EXPECT_THAT(Why({"animals", "feed", "cat", "--food=x", "--tail", "100"}),
              HasSubstr("'100' is not a whole"));
}

TEST_F(CommandLineTest, OptionsAfterTheProgramBelongToIt) {
  EXPECT_EQ(Run({"run", "echo", "-n", "--help", "--", "hi"}), 5);
  EXPECT_THAT(animals_, ElementsAre("echo", "-n", "--help", "--", "hi"));
  EXPECT_EQ(Run({"run", "--", "echo", "--", "--version"}), 5);
  EXPECT_THAT(animals_, ElementsAre("echo", "--", "--version"));
}

TEST_F(CommandLineTest, TheNameOfAnOpenGroupMayBeOmitted) {
  EXPECT_EQ(Run({"feed", "cat", "--food=hay"}), 3);
  EXPECT_EQ(Run({"creatures", "feed", "cat", "--food=hay"}), 3);
  EXPECT_EQ(Run({"help", "feed"}), 0);
  EXPECT_THAT(out_, StartsWith("Usage: reeve animals feed "));
  EXPECT_THAT(Why({"feed"}), HasSubstr("animals feed: ANIMAL is missing"));
  EXPECT_THAT(Why({}), HasSubstr("\nCommands of animals, whose name may be omitted:\n"));
  EXPECT_THAT(Why({"fead"}), HasSubstr("did you mean 'feed'?"));
}

// A person who follows a suggestion unread must not lose anything by it; nor by the second nearest name.
TEST_F(CommandLineTest, SuggestsNothingThatDestroys) {
  EXPECT_EQ(Why({"animals", "forgt"}),
            "reeve: animals: unknown command 'forgt'; see `reeve animals --help`\n");
  EXPECT_EQ(Why({"forgt"}), "reeve: unknown command 'forgt'; see `reeve --help`\n");
  EXPECT_THAT(Why({"forget", "--kil"}), HasSubstr("unknown option --kil; see"));
  EXPECT_THAT(Why({"forget", "--kep"}), HasSubstr("did you mean '--keep'?"));
  EXPECT_THAT(Why({"xy"}), HasSubstr("unknown command 'xy'; see"));  // two edits would be any other name
}

TEST_F(CommandLineTest, TakesWordsAsTheyAre) {
  EXPECT_EQ(Run({"run", "--", "[a,b]", "{}", "", "--", "--help", "%x"}), 5);
  EXPECT_THAT(animals_, ElementsAre("[a,b]", "{}", "", "--", "--help", "%x"));
  EXPECT_EQ(Run({"run", "{}"}), 5);
  EXPECT_THAT(animals_, ElementsAre("{}"));
  EXPECT_EQ(Run({"animals", "feed", "--food", "--tag=", "-t", "[x]", "one"}), 3);
  EXPECT_EQ(food_, "--tag=");
  EXPECT_THAT(tags_, ElementsAre("[x]"));
  EXPECT_THAT(animals_, ElementsAre("one"));  // also the name of a command
  EXPECT_EQ(Run({"run", "-", "-1"}), 5);
  EXPECT_THAT(animals_, ElementsAre("-", "-1"));
  EXPECT_EQ(Run({"animals", "one", "run"}), 4);
  EXPECT_EQ(food_, "run");
}

// An empty value does not take the next word.
TEST_F(CommandLineTest, AnEmptyValueIsAValue) {
  EXPECT_EQ(Run({"animals", "feed", "--food=x", "--tail", "--hot=", "5"}), 3);
  EXPECT_EQ(tail_, 20);
  EXPECT_TRUE(hot_);
  EXPECT_THAT(animals_, ElementsAre("5"));
  EXPECT_EQ(Run({"animals", "feed", "--food=", "cat"}), 3);
  EXPECT_EQ(food_, "");
  EXPECT_THAT(animals_, ElementsAre("cat"));
  EXPECT_THAT(Why({"animals", "feed", "--food=x", "--size=", "cat"}), HasSubstr("'' is not one of"));
}

TEST_F(CommandLineTest, OptionsMayStandBeforeTheCommand) {
  EXPECT_EQ(Run({"--food", "animals", "animals", "-q", "feed", "cat"}), 3);
  EXPECT_EQ(food_, "animals");
  EXPECT_TRUE(quiet_);
  EXPECT_THAT(animals_, ElementsAre("cat"));
  const ResolvedCommand resolved =
      Resolve(line_.doc(), {"--food", "hay", "beasts", "--count=2", "feed", "cat", "--", "feed"});
  EXPECT_EQ(resolved.command->Path(), "reeve animals feed");
  EXPECT_THAT(resolved.words, ElementsAre("--food", "hay", "--count=2", "cat", "--", "feed"));
  EXPECT_THAT(Why({"--cold", "animals", "feed", "cat"}), HasSubstr("animals feed: unknown option --cold"));
  EXPECT_THAT(Why({"--cold", "animals"}), HasSubstr("animals: unknown option --cold"));
}

TEST_F(CommandLineTest, HelpsWhereItIsAsked) {
  const std::string feed = "Usage: reeve animals feed --food TEXT [OPTION]... ANIMAL...\n\nGive them";
  for (const auto& words : std::vector<std::vector<std::string>>{{"animals", "feed", "--help"},
                                                                 {"help", "animals", "feed"},
                                                                 {"help", "beasts", "feed"},
                                                                 {"--help", "animals", "feed"},
                                                                 {"animals", "feed", "cat", "-h"},
                                                                 {"help", "animals", "feed", "--cold"}}) {
    EXPECT_EQ(Run(words), 0) << testing::PrintToString(words);
    EXPECT_THAT(out_, StartsWith(feed)) << testing::PrintToString(words);
    EXPECT_EQ(err_, "");
  }
  EXPECT_EQ(Run({"help"}), 0);
  EXPECT_THAT(out_, StartsWith("Usage: reeve COMMAND"));
  EXPECT_EQ(Run({"animals", "-h"}), 0);
  EXPECT_THAT(out_, StartsWith("Usage: reeve animals COMMAND"));
  EXPECT_THAT(Why({"help", "plants"}), HasSubstr("unknown command 'plants'"));
  EXPECT_EQ(Run({"--version"}), 0);
  EXPECT_EQ(out_, "reeve 9.9\n");
}

// A person who runs it without arguments wants an overview; a program does not want an exit code of 0.
TEST_F(CommandLineTest, WithoutACommandTellsWhichThereAre) {
  EXPECT_THAT(Why({}), StartsWith("Usage: reeve COMMAND"));
  EXPECT_THAT(Why({"animals"}), StartsWith("Usage: reeve animals COMMAND"));
  EXPECT_EQ(Why({"animals", "--json"}),
            "{\"error\":{\"code\":\"usage\",\"command\":\"animals\",\"message\":\"a command is "
            "missing\",\"exit_code\":64}}\n");
}

TEST_F(CommandLineTest, SaysWhatIsWrongInOneLine) {
  const std::string see = "; see `reeve animals feed --help`\n";
  auto why = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {"animals", "feed"});
    const std::string said = Why(words);
    const std::string start = "reeve: animals feed: ";
    EXPECT_THAT(said, StartsWith(start));
    EXPECT_THAT(said, testing::EndsWith(see));
    return said.substr(start.size(), said.size() - start.size() - see.size());
  };
  EXPECT_EQ(why({}), "ANIMAL is missing");
  EXPECT_EQ(why({"cat"}), "--food TEXT is missing");
  EXPECT_EQ(why({"cat", "--fod", "hay"}), "unknown option --fod, did you mean '--food'?");
  EXPECT_EQ(why({"cat", "--food=hay", "--colour=red"}), "unknown option --colour");
  EXPECT_EQ(why({"cat", "--food=hay", "-xq"}), "unknown option -x");
  EXPECT_EQ(why({"cat", "--food"}), "--food: TEXT is missing");
  EXPECT_EQ(why({"cat", "--food", "a", "--food", "b"}), "--food is given more than once");
  EXPECT_EQ(why({"cat", "--meal"}), "--food: TEXT is missing");
  EXPECT_EQ(why({"cat", "--food", "a", "-n", "x"}), "--count: 'x' is not a whole number from 1 to 9");
  EXPECT_EQ(why({"cat", "--food", "a", "-n", "10"}), "--count: '10' is not a whole number from 1 to 9");
  EXPECT_EQ(why({"cat", "--food", "a", "-n", "1.5"}), "--count: '1.5' is not a whole number from 1 to 9");
  EXPECT_EQ(why({"cat", "--food", "a", "--weight="}), "--weight: '' is not a number from 0.5 to 2000");
  EXPECT_EQ(why({"cat", "--food", "a", "--tail=x"}), "--tail: 'x' is not a whole number from 1 to 99");
  EXPECT_EQ(why({"cat", "--food", "a", "--size", "huge"}), "--size: 'huge' is not one of small, large");
  EXPECT_EQ(why({"cat", "--food", "a", "--hot", "-q"}), "--hot and --quiet cannot be combined");
  EXPECT_EQ(why({"cat", "--food", "a", "--hot=very"}), "--hot takes no value");
  EXPECT_EQ(Why({"animals", "one", "cat", "dog"}),
            "reeve: animals one: unexpected argument 'dog'; see `reeve animals one --help`\n");
  EXPECT_EQ(Why({"animals", "one", "cat", "--", "--dog"}),
            "reeve: animals one: unexpected argument '--dog'; see `reeve animals one --help`\n");
  EXPECT_EQ(Why({"animals", "fed"}),
            "reeve: animals: unknown command 'fed', did you mean 'feed'?; see `reeve animals --help`\n");
  EXPECT_EQ(Why({"--", "animals"}), "reeve: unknown command '--'; see `reeve --help`\n");
}

TEST_F(CommandLineTest, ChecksWithoutRunning) {
  EXPECT_EQ(line_.Check({"animals", "feed", "cat", "--food=hay"}), 0);
  EXPECT_EQ(ran_, 0);
  testing::internal::CaptureStderr();
  EXPECT_EQ(line_.Check({"animals", "feed", "cat"}), 64);
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("--food TEXT is missing"));
}

TEST_F(CommandLineTest, HelpFitsAnOldTerminal) {
  Command wide =
      line_.root().Add("wide", "Says much: one word after another, … until the line is over, and then some.");
  wide.Details(
      "A paragraph that is longer than a line of eighty columns, so that it has to be broken somewhere.\n\n"
      "  kept   as it is\nAnd on.");
  std::string target;
  wide.Option("--an-option-of-a-long-name", target, "one|another|a-third|a-fourth", "What it is for")
      .Default("one");
  wide.Option("-s,--short", target, "TEXT",
              "An explanation with … that takes more than one line of the right column");
  wide.Option("--secret", target, "TEXT", "Nobody's").Hidden();
  EXPECT_EQ(HelpText(*line_.doc().Find("wide")),
            "Usage: reeve wide [OPTION]...\n"
            "\n"
            "Says much: one word after another, … until the line is over, and then some.\n"
            "\n"
            "A paragraph that is longer than a line of eighty columns, so that it has to be\n"
            "broken somewhere.\n"
            "\n"
            "  kept   as it is\n"
            "And on.\n"
            "\n"
            "Options:\n"
            "      --an-option-of-a-long-name one|another|a-third|a-fourth\n"
            "                    What it is for (default: one)\n"
            "  -s, --short TEXT  An explanation with … that takes more than one line of the\n"
            "                    right column\n"
            "  -h, --help        Print this help\n");
}

}  // namespace
}  // namespace reeve
