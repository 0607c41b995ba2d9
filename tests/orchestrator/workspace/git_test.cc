#include "orchestrator/workspace/git.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "process/reaper.h"
#include "tests/support/loop_fixture.h"

namespace reeve {
namespace {

using testing::HasSubstr;

// Shell scripts as commands of the real git, which an alias makes of them.
class GitTest : public ::testing::Test {
 protected:
  static Git::Command Script(const std::string& script) {
    Git::Command command;
    command.arguments = {"-c", "alias.script=!" + script, "script"};
    return command;
  }
  // The result; for a failure "code: message".
  std::string Outcome(Git& git, Git::Command command) {
    std::optional<Result<std::string>> outcome;
    command.folder = dir.path();
    command.done = [&outcome](Result<std::string> result) { outcome = std::move(result); };
    git.Run(std::move(command));
    EXPECT_FALSE(outcome) << "never within the call";
    EXPECT_TRUE(RunUntil(loop, [&] { return outcome.has_value(); }));
    return *outcome ? **outcome : outcome->error().code + ": " + outcome->error().message;
  }

  TempDir dir;
  Loop loop;
  Reaper reaper{loop};
};

TEST_F(GitTest, ReadsNoConfigurationAndSpeaksTheProtocolsOfItsReach) {
  Git git({loop, reaper}, {});
  Git::Command config;
  config.arguments = {"config", "--list", "--show-origin"};
  EXPECT_EQ(Outcome(git, std::move(config)).find("file:"), std::string::npos);
  EXPECT_EQ(Outcome(git, Script("echo $GIT_ALLOW_PROTOCOL")), "none\n");
  Git::Command local = Script("echo $GIT_ALLOW_PROTOCOL");
  local.reach = Git::Reach::kLocal;
  EXPECT_EQ(Outcome(git, std::move(local)), "file\n");
  Git::Command remote = Script("echo $GIT_ALLOW_PROTOCOL");
  remote.reach = Git::Reach::kRemote;
  EXPECT_EQ(Outcome(git, std::move(remote)), "https:ssh\n");
}

TEST_F(GitTest, TellsProgressAndTheLastWords) {
  Git git({loop, reaper}, {});
  Git::Command command = Script(
      "printf 'remote: Counting objects:  42%% (1/2)\\rremote: Counting objects: 100%% (2/2), done.\\n' "
      ">&2; sleep 0.2; printf 'Receiving objects: 7%%\\nnot: a 5 percent\\nwhy it failed\\n' >&2; exit 3");
  std::vector<std::pair<std::string, int>> told;
  command.on_progress = [&told](const std::string& phase, int percent) { told.emplace_back(phase, percent); };
  EXPECT_THAT(Outcome(git, std::move(command)), HasSubstr("not: a 5 percent\nwhy it failed"));
  // Once a second while the phase stays the same.
  EXPECT_EQ(told,
            (std::vector<std::pair<std::string, int>>{{"Counting objects", 42}, {"Receiving objects", 7}}));
}

TEST_F(GitTest, PhasesThatAServerInventsAreNotAllTold) {
  Git git({loop, reaper}, {});
  Git::Command command =
      Script("for i in 1 2 3 4 5 6 7 8 9; do for word in a b c d e; do echo \"$word: $i%\"; done; done >&2");
  int64_t told = 0;
  command.on_progress = [&told](const std::string&, int) { ++told; };
  const int64_t began_ms = loop.NowMs();
  EXPECT_EQ(Outcome(git, std::move(command)), "");
  EXPECT_GE(told, 1);
  EXPECT_LE(told, 2 + (loop.NowMs() - began_ms) / 100);
}

TEST_F(GitTest, AnErrorHoldsNoSecretOfTheCredentials) {
  const std::string file = dir.path() + "/credentials";
  WriteFile(file, "https://someone:hunter2secret@host\nhttps://token4711@other\n");
  Git::Options options;
  options.credentials = file;
  Git git({loop, reaper}, options);
  const std::string error =
      Outcome(git, Script("echo 'remote: you are hunter2secret, or token4711' >&2; exit 1"));
  EXPECT_THAT(error, HasSubstr("you are ***, or ***"));
}

TEST_F(GitTest, EndsWhatTakesTooLongWithAllItStarted) {
  Git git({loop, reaper}, {});
  Git::Command command = Script("echo $$ > pid; sleep 600 & wait");
  command.timeout_ms = 300;
  EXPECT_THAT(Outcome(git, std::move(command)), HasSubstr("workspace_timeout: "));
  const std::string pid = ReadFile(dir.path() + "/pid");
  EXPECT_EQ(ReadFile("/proc/" + pid.substr(0, pid.find('\n')) + "/stat"), "");
}

TEST_F(GitTest, OneThatIsCancelledSaysSoOnceItHasGone) {
  Git git({loop, reaper}, {});
  std::vector<std::string> codes;
  Git::Command command = Script("sleep 600");
  command.folder = dir.path();
  command.done = [&codes](const Result<std::string>& result) { codes.push_back(result.error().code); };
  const uint64_t run = git.Run(std::move(command));
  git.Cancel(run);
  git.Cancel(run);
  ASSERT_TRUE(RunUntil(loop, [&] { return !codes.empty(); }));
  git.Cancel(run);
  EXPECT_EQ(codes, std::vector<std::string>{"cancelled"});
}

// Commands that go on until there is a file "go".
class GitsAtOnce : public GitTest {
 protected:
  void Ask(Git::Command command) {
    command.folder = dir.path();
    command.done = [this](const Result<std::string>& result) {
      ended.push_back(result ? *result : result.error().code + ": " + result.error().message);
    };
    runs.push_back(git.Run(std::move(command)));
  }
  static Git::Command UntilGo(const std::string& name) {
    return Script("touch began-" + name + "; while ! test -e go; do sleep 0.05; done; echo " + name + " #");
  }
  [[nodiscard]] bool Began(const std::string& name) const {
    return access((dir.path() + "/began-" + name).c_str(), F_OK) == 0;
  }

  Git git{{loop, reaper}, {}};
  std::vector<uint64_t> runs;
  std::vector<std::string> ended;
};

TEST_F(GitsAtOnce, AreSoManyAndTheOthersWaitInTheirOrder) {
  for (size_t i = 0; i < Git::kMostLocal; ++i) Ask(UntilGo(std::to_string(i)));
  Ask(UntilGo("next"));
  Ask(UntilGo("last"));
  ASSERT_TRUE(RunUntil(loop, [&] { return Began(std::to_string(Git::kMostLocal - 1)); }));
  EXPECT_EQ(git.stats().running, Git::kMostLocal);
  EXPECT_EQ(git.stats().waiting, 2U);
  // The network is another matter.
  Git::Command remote = Script("echo far away");
  remote.reach = Git::Reach::kRemote;
  EXPECT_EQ(Outcome(git, std::move(remote)), "far away\n");
  git.Cancel(runs[0]);  // makes room for one
  ASSERT_TRUE(RunUntil(loop, [&] { return Began("next"); }));
  EXPECT_FALSE(Began("last"));
  EXPECT_THAT(ended, testing::ElementsAre("cancelled: git script: cancelled"));
  WriteFile(dir.path() + "/go", "");
  ASSERT_TRUE(RunUntil(loop, [&] { return ended.size() == runs.size(); }));
  EXPECT_THAT(ended, testing::Contains("last\n"));
  EXPECT_EQ(git.stats().running + git.stats().waiting, 0U);
}

TEST_F(GitsAtOnce, OneThatWaitsCanBeCancelledAndCanBeTooLate) {
  for (size_t i = 0; i < Git::kMostLocal; ++i) Ask(UntilGo(std::to_string(i)));
  Git::Command late = UntilGo("late");
  late.until_ms = loop.NowMs() + 100;
  Ask(std::move(late));
  Ask(UntilGo("cancelled"));
  git.Cancel(runs.back());
  EXPECT_TRUE(ended.empty()) << "not within the call";
  ASSERT_TRUE(RunUntil(loop, [&] { return ended.size() == 2; }));
  EXPECT_THAT(ended,
              testing::ElementsAre("cancelled: git script: cancelled",
                                   "workspace_timeout: git script: too many other commands ran before it"));
  WriteFile(dir.path() + "/go", "");
  ASSERT_TRUE(RunUntil(loop, [&] { return ended.size() == runs.size(); }));
  EXPECT_FALSE(Began("late"));
  EXPECT_FALSE(Began("cancelled"));
}

TEST_F(GitsAtOnce, ALastMomentHoldsForOneThatRunsToo) {
  Git::Command command = UntilGo("x");
  command.timeout_ms = 60'000;
  command.until_ms = loop.NowMs() + 300;
  Ask(std::move(command));
  ASSERT_TRUE(RunUntil(loop, [&] { return !ended.empty(); }));
  EXPECT_THAT(ended[0], HasSubstr("workspace_timeout: git script: did not finish within "));
}

TEST_F(GitTest, WhatItSaysIsBounded) {
  Git git({loop, reaper}, {});
  Git::Command fits = Script("printf 12345");
  fits.max_output = 5;
  EXPECT_EQ(Outcome(git, std::move(fits)), "12345");
  Git::Command much = Script("head -c 10000000 /dev/zero");
  much.max_output = 5;
  EXPECT_THAT(Outcome(git, std::move(much)), HasSubstr("printed more than 5 bytes"));
}

}  // namespace
}  // namespace reeve
