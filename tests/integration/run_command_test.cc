// `reeve run` (api.md §8): starts an agent in a running daemon, shows what it says, exits as it did.
#include <gtest/gtest.h>

#include <csignal>
#include <string>
#include <vector>

#include "tests/support/command.h"
#include "tests/support/daemon.h"

namespace reeve {
namespace {

std::vector<std::string> WordsFor(const Daemon& daemon, std::vector<std::string> words) {
  words.insert(words.begin(), {"run", "--data", daemon.data_dir()});
  return words;
}

TEST(RunCommand, ShowsTheOutputAndExitsAsTheProgramDid) {
  Daemon daemon;
  Command fine(WordsFor(daemon, {"--", "sh", "-c", "echo out; echo err >&2"}));
  EXPECT_EQ(fine.Wait(), 0);
  EXPECT_EQ(fine.out(), "out\n");
  EXPECT_NE(fine.err().find("err\n"), std::string::npos);
  Command failed(WordsFor(daemon, {"--id", "a3", "--", "sh", "-c", "printf last; exit 3"}));
  EXPECT_EQ(failed.Wait(), 3);
  EXPECT_EQ(failed.out(), "last\n");
  EXPECT_EQ(daemon.Get("/agents/a3").Field("exit.code"), "3");
  Command killed(WordsFor(daemon, {"--", "sh", "-c", "kill -9 $$"}));
  EXPECT_EQ(killed.Wait(), 1);
}

TEST(RunCommand, RunsWhereItIsCalledWithWhatItIsGiven) {
  Daemon daemon;
  TempDir folder;
  Command here(
      WordsFor(daemon, {"--cwd", folder.path(), "--env", "KEY=a=b", "--", "sh", "-c", "pwd; echo $KEY"}));
  EXPECT_EQ(here.Wait(), 0);
  EXPECT_EQ(here.out(), folder.path() + "\na=b\n");
  Command prompted(
      WordsFor(daemon, {"--prompt", "hello there", "--", "sh", "-c", "read line; echo got $line"}));
  EXPECT_EQ(prompted.Wait(), 0);
  EXPECT_EQ(prompted.out(), "got hello there\n");
}

TEST(RunCommand, ShowsWhatAnAssistantSaysOnce) {
  Daemon daemon;
  const std::string script = daemon.data_dir() + "/says.sh";
  WriteFile(script, R"(cat <<'END'
{"type":"assistant.delta","text":"an "}
{"type":"assistant.delta","text":"answer"}
{"type":"assistant.message","text":"an answer"}
{"type":"tool.started","call_id":"c1","name":"bash","input":{"command":"ls"}}
{"type":"assistant.message","text":"whole"}
{"something":"else"}
END
)");
  Command command(WordsFor(daemon, {"--kind", "jsonl", "--", "sh", script}));
  EXPECT_EQ(command.Wait(), 0);
  EXPECT_EQ(command.out(), "an answer\nwhole\n{\"something\":\"else\"}\n");
  EXPECT_NE(command.err().find(R"(tool bash {"command":"ls"})"), std::string::npos) << command.err();
}

TEST(RunCommand, InterruptedStopsTheAgent) {
  Daemon daemon;
  Command command(WordsFor(daemon, {"--id", "a1", "--", "sh", "-c", "echo up; sleep 600"}));
  ASSERT_TRUE(command.Says("up\n"));
  command.Signal(SIGINT);
  EXPECT_EQ(command.Wait(), 130);
  EXPECT_EQ(daemon.WaitFor("a1").Field("state"), "exited");
}

TEST(RunCommand, GoesOnAfterARestartOfTheDaemon) {
  Daemon daemon;
  Command stopped(WordsFor(daemon, {"--", "sh", "-c", "echo up; sleep 600"}));
  ASSERT_TRUE(stopped.Says("up\n"));
  daemon.Kill();
  daemon.Start();
  EXPECT_EQ(stopped.Wait(), 1);
  EXPECT_NE(stopped.err().find("the daemon ended"), std::string::npos) << stopped.err();
  EXPECT_EQ(stopped.out(), "up\n");  // not once more
}

TEST(RunCommand, SaysWhatIsWrong) {
  Daemon daemon;
  const std::string data = daemon.data_dir();
  Command kind(WordsFor(daemon, {"--kind", "nonsense", "--", "true"}));
  EXPECT_EQ(kind.Wait(), 64);
  EXPECT_NE(kind.err().find("nonsense"), std::string::npos);
  Command nothing(WordsFor(daemon, {}));
  EXPECT_EQ(nothing.Wait(), 64);
  Command option({"run", "--no-such-option"});
  EXPECT_EQ(option.Wait(), 64);
  Command token({"run", "--server", daemon.address(), "--", "true"},
                {"REEVE_TOKEN=not-the-token-of-this-daemon-at-all"});
  EXPECT_EQ(token.Wait(), 77);
  Command no_token({"run", "--server", daemon.address(), "--", "true"});
  EXPECT_EQ(no_token.Wait(), 77);
  daemon.Kill();
  Command down({"run", "--server", daemon.address(), "--", "true"},
               {"REEVE_TOKEN=whatever-it-is-nobody-will-hear-it"});
  EXPECT_EQ(down.Wait(), 69);
}

TEST(RunCommand, FindsServerAndTokenInTheEnvironment) {
  Daemon daemon;
  Command command({"run", "--", "echo", "hi"},
                  {"REEVE_SERVER=" + daemon.address(), "REEVE_TOKEN=" + daemon.token()});
  EXPECT_EQ(command.Wait(), 0) << command.err();
  EXPECT_EQ(command.out(), "hi\n");
  TempDir folder;
  Daemon::Options options;
  options.listen = "unix://" + folder.path() + "/reeve.sock";
  Daemon local(options);
  Command by_socket(
      {"run", "--server", options.listen, "--token-file", local.data_dir() + "/token", "--", "echo", "hi"});
  EXPECT_EQ(by_socket.Wait(), 0) << by_socket.err();
}

TEST(VersionCommand, SaysTheVersion) {
  Command command({"version"});
  EXPECT_EQ(command.Wait(), 0);
  EXPECT_EQ(command.out(), "reeve " REEVE_VERSION "\n");
}

}  // namespace
}  // namespace reeve
