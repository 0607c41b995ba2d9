// `reeve drain` (control/api/API.md): whom it waits for, and what could not finish. GET /drain, too.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <string>
#include <vector>

#include "tests/support/command.h"
#include "tests/support/daemon.h"
#include "tests/support/paths.h"
#include "tests/support/tmux.h"

namespace reeve {
namespace {

using testing::HasSubstr;

// A jsonl program with turns whose one turn lasts until `gate` is there.
void MakeGated(const Daemon& daemon, const std::string& id) {
  daemon.Create(R"({"id":")" + id +
                R"(","kind":"jsonl","kind_options":{"turns":true},"prompt":"go","command":["/bin/sh","-c",
    "read -r line; echo '{\"type\":\"run.started\"}'; until [ -e )" +
                daemon.data_dir() +
                R"(/gate ]; do sleep 0.02; done; echo '{\"type\":\"run.completed\"}'; read -r line"]})");
  ASSERT_TRUE(Eventually([&] { return daemon.Get("/agents/" + id).Field("state") == "running"; }));
}

TEST(DrainCommand, SaysOnATerminalWhomItWaitsFor) {
  Daemon daemon;
  MakeGated(daemon, "builder");
  MakeGated(daemon, "tester");
  daemon.Create(R"({"id":"idle","kind":"process","command":["cat"]})");
  EXPECT_EQ(daemon.Get("/drain").body, R"({"draining":false,"waiting":[]})");
  const std::string run = daemon.Get("/agents/builder").Field("run.run_id");
  Tmux terminal({kReeveBinary, "drain", "--timeout", "10m", "--data", daemon.data_dir()});
  EXPECT_TRUE(terminal.Shows("draining: waiting for 2 agents: builder (run " + run + "), tester (run "))
      << terminal.Screen();
  const std::string said = daemon.Get("/drain").body;
  EXPECT_THAT(said, HasSubstr(R"({"draining":true,"waiting":[{"id":"builder","run":")" + run + "\"}"));
  WriteFile(daemon.data_dir() + "/gate", "");
  EXPECT_EQ(terminal.Wait(), 0);
  EXPECT_THAT(terminal.Screen(), testing::Not(HasSubstr("draining")));  // nothing of it is left
  EXPECT_EQ(daemon.Wait(), 0);
}

TEST(DrainCommand, PrintsWhatCouldNotFinish) {
  for (const bool json : {false, true}) {
    Daemon daemon;
    MakeGated(daemon, "a1");
    const std::string run = daemon.Get("/agents/a1").Field("run.run_id");
    Command drain(json ? std::vector<std::string>{"drain", "--timeout", "1s", "--json"}
                       : std::vector<std::string>{"drain", "--timeout", "1s"},
                  {"REEVE_DATA=" + daemon.data_dir()});
    EXPECT_EQ(drain.Wait(), 0) << drain.err();
    const std::string what = "agent a1: its run " + run + " did not end in time";
    EXPECT_EQ(drain.out(), json ? "{\"unfinished\":[\"" + what + "\"]}\n" : what + "\n");
    EXPECT_EQ(drain.err(), "");
    EXPECT_EQ(daemon.Wait(), 0);
  }
}

// A program is asked to end by TERM. One that does not know that signal is cut off by it, and one that
// ignores it by KILL.
TEST(DrainCommand, PrintsProgramsThatItCutOff) {
  Daemon daemon;
  daemon.Create(R"({"id":"a1","kind":"process","command":["sleep","600"]})");
  daemon.Create(R"({"id":"a2","kind":"process","command":["/bin/sh","-c",)"
                R"("trap '' TERM; echo ready; while :; do sleep 0.01; done"]})");
  daemon.WaitFor("a1", "until=ready");
  ASSERT_TRUE(Eventually([&] { return daemon.LogFiles("a2").find("ready") != std::string::npos; }));
  const std::string first = daemon.Get("/agents/a1").Field("run.run_id");
  const std::string second = daemon.Get("/agents/a2").Field("run.run_id");
  Command drain({"drain", "--timeout", "1s"}, {"REEVE_DATA=" + daemon.data_dir()});
  EXPECT_EQ(drain.Wait(), 0) << drain.err();
  EXPECT_THAT(drain.out(), HasSubstr("agent a1: its run " + first + " was cut off by signal 15\n"));
  // Which of the two comes first, the end of the time or that of the program, is a matter of milliseconds.
  const std::string about = "agent a2: its run " + second;
  EXPECT_THAT(drain.out(), testing::AnyOf(HasSubstr(about + " was cut off by signal 9\n"),
                                          HasSubstr(about + " did not end in time\n")));
  EXPECT_EQ(daemon.Wait(), 0);
}

TEST(DrainCommand, SaysNothingWhereEverythingEnded) {
  Daemon daemon;
  daemon.Create(R"({"id":"a1","kind":"process","command":["/bin/sh","-c",)"
                R"("trap 'exit 0' TERM; echo ready; while :; do sleep 0.01; done"]})");
  daemon.Create(R"({"id":"a2","kind":"process","command":["true"]})");
  EXPECT_EQ(daemon.WaitFor("a2").Field("exit.code"), "0");
  ASSERT_TRUE(Eventually([&] { return daemon.LogFiles("a1").find("ready") != std::string::npos; }));
  EXPECT_EQ(daemon.Post("/drain", R"({"wait":"yes"})").status, 400);
  Command drain({"drain", "--json"}, {"REEVE_DATA=" + daemon.data_dir()});
  EXPECT_EQ(drain.Wait(), 0);
  EXPECT_EQ(drain.out(), "{\"unfinished\":[]}\n");
  EXPECT_EQ(daemon.Wait(), 0);
  Command again({"drain"}, {"REEVE_TOKEN=x", "REEVE_SERVER=" + daemon.address()});
  EXPECT_EQ(again.Wait(), 69);
}

TEST(DrainCommand, TwoMayWaitAndOneMayLeave) {
  Daemon daemon;
  MakeGated(daemon, "a1");
  Command detached({"drain", "--detach", "--timeout", "10m", "--json"}, {"REEVE_DATA=" + daemon.data_dir()});
  EXPECT_EQ(detached.Wait(), 0);
  EXPECT_EQ(JsonField(detached.out(), "status"), "draining");
  const Headers token = {{"Authorization", "Bearer " + daemon.token()}};
  HttpConnection one(daemon.address());
  HttpConnection two(daemon.address());
  one.Send("POST", "/drain", R"({"wait":true})", token);
  two.Send("POST", "/drain", R"({"wait":true})", token);
  WriteFile(daemon.data_dir() + "/gate", "");
  EXPECT_EQ(one.Receive().body, R"({"unfinished":[]})");
  EXPECT_EQ(two.Receive().body, R"({"unfinished":[]})");
  EXPECT_EQ(daemon.Wait(), 0);
}

TEST(DrainCommand, ADaemonThatIsKilledMeanwhileHasNotDrained) {
  Daemon daemon;
  MakeGated(daemon, "a1");
  Tmux terminal({"sh", "-c",
                 std::string(kReeveBinary) + " drain --timeout 10m --data " + daemon.data_dir() +
                     "; echo exit code $?; read line"});
  ASSERT_TRUE(terminal.Shows("draining: waiting for 1 agent: a1")) << terminal.Screen();
  daemon.Kill();
  EXPECT_TRUE(terminal.Shows("exit code 1")) << terminal.Screen();
  EXPECT_TRUE(terminal.Shows("reeve: drain: the daemon exited before its agents: ")) << terminal.Screen();
}

TEST(DrainCommand, IsForAdminsOnly) {
  Daemon daemon;
  daemon.Create(R"({"id":"boss","kind":"process","api":"operate","command":["/bin/sh","-c",")" +
                std::string(kReeveBinary) + R"( drain"]})");
  EXPECT_EQ(daemon.WaitFor("boss").Field("exit.code"), "77");
  EXPECT_EQ(daemon.Get("/health").Field("status"), "ok");
}

}  // namespace
}  // namespace reeve
