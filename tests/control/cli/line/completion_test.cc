// The candidates for the shells (control/cli/line/completion.h), without a daemon.
// integration/completion_test.cc tests them with a daemon and in the shells.
#include "control/cli/line/completion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "control/cli/commands/commands.h"
#include "control/cli/terminal/console.h"

namespace reeve {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;

class CompletionTest : public testing::Test {
 protected:
  CompletionTest() {
    common_.client.server = "http://127.0.0.1:1";
    Command agents = line_.root().Add("agents", "Agents.");
    agents.Alias("sessions");
    Command stop = agents.Add("stop", "Stop them.");
    stop.Argument("AGENT", list_, "Who").Required();
    stop.Flag("--now", flag_, "At once");
    stop.Option("-l,--label", list_, "KEY=VALUE", "Labelled");
    stop.Option("--state", text_, "idle|running|failed", "Only those");
    stop.Option("--secret", text_, "TEXT", "").Hidden();
    AddCommonOptions(stop, common_);
    Command run = line_.root().Add("run", "Run it.");
    run.Option("--kind", text_, "KIND", "Which");
    run.Option("--cwd", text_, "DIR", "Where");
    run.Argument("COMMAND", list_, "What");
    Command replay = line_.root().Add("replay", "Again.");
    replay.Argument("FILE", text_, "Of what");
    line_.root().Add("hidden", "Not shown.").Hide();
    AddCompletion(line_.root());
  }

  std::vector<std::string> Values(const std::vector<std::string>& words) const {
    std::vector<std::string> values;
    for (const Candidate& candidate : Complete(line_.doc(), words)) {
      values.push_back(candidate.value.empty() ? "<" + candidate.about + ">" : candidate.value);
    }
    return values;
  }

  CommandLine line_{"For tests.", "reeve 9.9"};
  CommonOptions common_;
  std::vector<std::string> list_;
  std::string text_;
  bool flag_ = false;
};

TEST_F(CompletionTest, Commands) {
  EXPECT_THAT(Values({""}), ElementsAre("agents", "sessions", "run", "replay", "completion", "help"));
  EXPECT_THAT(Values({}), Contains("agents"));
  EXPECT_THAT(Values({"r"}), ElementsAre("run", "replay"));
  EXPECT_THAT(Values({"sessions", ""}), ElementsAre("stop"));
  EXPECT_THAT(Values({"help", "agents", "s"}), ElementsAre("stop"));
  EXPECT_THAT(Values({"nonsense", ""}), IsEmpty());
  EXPECT_THAT(Values({"hidden", ""}), IsEmpty());
  EXPECT_EQ(Complete(line_.doc(), {"age"}).at(0).about, "Agents.");
}

TEST_F(CompletionTest, OptionsThatMayStillBeGiven) {
  EXPECT_THAT(Values({"agents", "stop", "-"}),
              ElementsAre("--now", "-l", "--label", "--state", "--json", "-q", "--quiet", "-h", "--help",
                          "--server", "--token-file", "--data"));
  EXPECT_THAT(Values({"agents", "stop", "--s"}), ElementsAre("--state", "--server"));
  EXPECT_THAT(Values({"agents", "stop", "--state", "idle", "--s"}), ElementsAre("--server"));
  EXPECT_THAT(Values({"agents", "stop", "--state=idle", "-q", "--"}), Not(Contains("--quiet")));
  EXPECT_THAT(Values({"agents", "stop", "-ql", "a=b", "--"}), Contains("--label"));  // may be repeated
  EXPECT_THAT(Values({"--server", "x", "agents", "stop", "--s"}), ElementsAre("--state"));
  EXPECT_THAT(Values({"agents", "stop", "--", "--"}), IsEmpty());
  EXPECT_THAT(Values({"-"}), ElementsAre("-h", "--help", "--version"));
  EXPECT_EQ(Complete(line_.doc(), {"agents", "stop", "--now"}).at(0).about, "At once");
}

TEST_F(CompletionTest, Values) {
  EXPECT_THAT(Values({"agents", "stop", "--state", ""}), ElementsAre("idle", "running", "failed"));
  EXPECT_THAT(Values({"agents", "stop", "--state", "r"}), ElementsAre("running"));
  EXPECT_THAT(Values({"agents", "stop", "--state=f"}), ElementsAre("--state=failed"));
  EXPECT_THAT(Values({"agents", "stop", "--label", ""}), IsEmpty());
  EXPECT_THAT(Values({"agents", "stop", "-l"}), ElementsAre("-l"));
  EXPECT_THAT(Values({"agents", "stop", "-ql", ""}), IsEmpty());
  EXPECT_THAT(Values({"run", "--kind", "c"}), ElementsAre("claude", "codex"));
  EXPECT_THAT(Values({"run", "--kind=ac"}), ElementsAre("--kind=acp"));
  EXPECT_THAT(Values({"--kind", ""}), Contains("claude"));  // before the command
  EXPECT_THAT(Values({"completion", ""}), ElementsAre("bash", "zsh", "fish"));
  EXPECT_THAT(Values({"completion", "bash", ""}), IsEmpty());
}

TEST_F(CompletionTest, LeavesFilesAndProgramsToTheShell) {
  EXPECT_THAT(Values({"run", "--cwd", ""}), ElementsAre("<DIR>"));
  EXPECT_THAT(Values({"run", "--cwd=/u"}), ElementsAre("<DIR>"));
  EXPECT_THAT(Values({"replay", "x"}), ElementsAre("<FILE>"));
  EXPECT_THAT(Values({"replay", "x", ""}), IsEmpty());
  EXPECT_THAT(Values({"run", "--", "ma"}), ElementsAre("<COMMAND>"));
  EXPECT_THAT(Values({"run", "--", "make", ""}), ElementsAre("<FILE>"));
}

TEST_F(CompletionTest, IsContentWithoutADaemon) {
  EXPECT_THAT(Values({"agents", "stop", "--server", "http://127.0.0.1:1", "--token-file", "/dev/null", ""}),
              IsEmpty());
  EXPECT_THAT(Values({"agents", "stop", "--server", "no address", ""}), IsEmpty());
}

}  // namespace
}  // namespace reeve
