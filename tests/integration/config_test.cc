// `reeve serve --config`, --check-config, HUP, POST /reload and POST /drain: orchestrator/config/CONFIG.md.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/command.h"
#include "tests/support/daemon.h"

namespace reeve {
namespace {

using testing::HasSubstr;
using testing::Not;
using Strings = std::vector<std::string>;

class ConfigFileOfADaemon : public testing::Test {
 protected:
  void Write(const std::string& text) const { WriteFile(path_, text); }
  // A daemon that goes by the file.
  std::unique_ptr<Daemon> Start(std::vector<std::string> environment = {}) const {
    Daemon::Options options;
    options.arguments = {"--config", path_};
    options.environment = std::move(environment);
    return std::make_unique<Daemon>(options);
  }

  TempDir folder_;
  const std::string path_ = folder_.path() + "/config.toml";
};

using CheckConfig = ConfigFileOfADaemon;
using Reload = ConfigFileOfADaemon;

TEST_F(CheckConfig, TellsEachSettingAndWhereItCameFrom) {
  Write("town = \"harbour\"\nheartbeat = \"2s\"\n");
  Command check({"serve", "--config", path_, "--check-config", "--log-level", "debug"},
                {"REEVE_HEARTBEAT=3s", "REEVE_TOKEN=a-secret-of-many-characters"});
  EXPECT_EQ(check.Wait(), 0) << check.err();
  EXPECT_THAT(check.out(), HasSubstr("town = \"harbour\"  # " + path_ + ":1\n"));
  EXPECT_THAT(check.out(), HasSubstr("heartbeat = \"3s\"  # REEVE_HEARTBEAT\n"));
  EXPECT_THAT(check.out(), HasSubstr("log_level = \"debug\"  # --log-level\n"));
  EXPECT_THAT(check.out(), HasSubstr("drain_timeout = \"10s\"  # default\n"));
  EXPECT_THAT(check.out() + check.err(), Not(HasSubstr("a-secret")));
}

TEST_F(CheckConfig, ExitsByWhoseFaultItIs) {
  Write("hartbeat = \"2s\"\n");
  Command file({"serve", "--config", path_, "--check-config"});
  EXPECT_EQ(file.Wait(), 78);
  EXPECT_EQ(file.err(), "reeve: serve: " + path_ + ":1:1: hartbeat: unknown key; did you mean heartbeat?\n");
  EXPECT_EQ(file.out(), "");
  Write("");
  Command variable({"serve", "--config", path_, "--check-config"}, {"REEVE_FSYNC=often"});
  EXPECT_EQ(variable.Wait(), 78);
  EXPECT_THAT(variable.err(), HasSubstr("REEVE_FSYNC: fsync: must be one of"));
  Command flag({"serve", "--config", path_, "--check-config", "--heartbeat", "soon"});
  EXPECT_EQ(flag.Wait(), 64);
  EXPECT_THAT(flag.err(), HasSubstr("--heartbeat: "));
  Command exposed({"serve", "--check-config", "--config", path_, "--listen", "tcp://0.0.0.0:0"});
  EXPECT_EQ(exposed.Wait(), 78);
  EXPECT_THAT(exposed.err(), HasSubstr("reachable from other machines"));
  Write("token_file = \"" + folder_.path() + "/tokens\"\n");
  Command tokens({"serve", "--config", path_, "--check-config"});
  EXPECT_EQ(tokens.Wait(), 78);
  EXPECT_THAT(tokens.err(), HasSubstr("/tokens: No such file"));
  // The same for every other setting that names a file, and for a daemon that is not only asked.
  Write("");
  const std::string none = folder_.path() + "/none", file_path = folder_.path() + "/file";
  WriteFile(file_path, "x");
  const std::vector<std::pair<Strings, std::string>> wrong = {
      {{"--git-credentials", none}, "git_credentials: open " + none + ": No such file or directory"},
      {{"--git-credentials", folder_.path()},
       "git_credentials: " + folder_.path() + " is not a regular file"},
      {{"--token-file", none}, "token file " + none + ": No such file or directory"},
      {{"--token-file", folder_.path()}, "token file " + folder_.path() + ": not a regular file"},
      {{"--token-file", file_path}, file_path},
      {{"--data", file_path}, "data: data folder " + file_path + ": Not a directory"},
      {{"--data", file_path + "/data"}, "data: data folder " + file_path + "/data"},
      {{"--listen", "unix://" + none + "/s"}, "listen: unix://" + none + "/s: there is no folder " + none},
      {{"--listen", "tcp://0.0.0.0:0"}, "reachable from other machines"},
  };
  for (const auto& [words, reason] : wrong) {
    for (const bool check : {true, false}) {
      Strings all = {"serve", "--config", path_};
      if (words[0] != "--data") all.insert(all.end(), {"--data", folder_.path() + "/unused"});
      if (words[0] != "--listen") all.insert(all.end(), {"--listen", "tcp://127.0.0.1:0"});
      all.insert(all.end(), words.begin(), words.end());
      if (check) all.emplace_back("--check-config");
      Command command(all);
      EXPECT_EQ(command.Wait(), 78) << words[0] << ' ' << words[1];
      EXPECT_THAT(command.err(), HasSubstr(reason));
      EXPECT_EQ(command.out(), "");
    }
  }
  Command named({"serve", "--config", none, "--check-config"});
  EXPECT_EQ(named.Wait(), 78);
  EXPECT_THAT(named.err(), HasSubstr(none));
  // A daemon that is not only asked says the same and does not start.
  Write("hartbeat = \"2s\"\n");
  Command serve({"serve", "--config", path_, "--data", folder_.path() + "/data"});
  EXPECT_EQ(serve.Wait(), 78);
  EXPECT_FALSE(std::filesystem::exists(folder_.path() + "/data"));
}

TEST_F(CheckConfig, HelpTellsEverySetting) {
  Command help({"serve", "--help"});
  EXPECT_EQ(help.Wait(), 0);
  for (const char* flag : {"--config", "--check-config", "--listen", "--allowed-host", "--retain-age",
                           "--drain-timeout", "REEVE_DRAIN_TIMEOUT"}) {
    EXPECT_THAT(help.out(), HasSubstr(flag));
  }
}

TEST_F(ConfigFileOfADaemon, CommandsFindTheDaemonWhereItsEnvironmentPutIt) {
  Daemon daemon;
  Command run({"run", "--", "echo", "found"}, {"REEVE_DATA=" + daemon.data_dir()});
  EXPECT_EQ(run.Wait(), 0) << run.err();
  EXPECT_EQ(run.out(), "found\n");
}

// The environment of an agent that may use the API of the daemon it runs under.
TEST_F(ConfigFileOfADaemon, ADaemonWithinAnAgentIsNotConfusedByItsEnvironment) {
  WriteFile(folder_.path() + "/agents-token", "token-of-an-agent-0123456789\n");
  Write("");
  auto daemon = Start({"REEVE_TOKEN_FILE=" + folder_.path() + "/agents-token", "REEVE_AGENT_ID=a1",
                       "REEVE_SERVER=http://127.0.0.1:1"});
  ASSERT_TRUE(daemon->listening());
  EXPECT_EQ(daemon->Get("/agents").status, 200);  // by DATA/token
  EXPECT_EQ(HttpConnection(daemon->address())
                .Call("GET", "/agents", "", {{"Authorization", "Bearer token-of-an-agent-0123456789"}})
                .status,
            401);
}

TEST_F(Reload, TakesWhatCanChangeAndSaysWhatCannot) {
  Write("heartbeat = \"1h\"\n");
  auto daemon = Start();
  daemon->Create(R"({"id":"a1","kind":"process","command":["cat"]})");
  auto stream = daemon->Stream("/agents/a1/stream");
  ASSERT_TRUE(stream->UntilEvent("stream.synced"));
  const Headers named = {{"Origin", "https://harbour.example"}};
  EXPECT_EQ(HttpConnection(daemon->address()).Call("GET", "/", "", named).status, 403);

  Write(
      "heartbeat = \"50ms\"\nallowed_origins = [\"https://harbour.example\"]\ntown = \"other\"\nlog_level = "
      "\"debug\"\n");
  HttpAnswer answer = daemon->Post("/reload");
  EXPECT_EQ(answer.status, 200) << answer.wire;
  EXPECT_EQ(answer.Field("applied"), R"(["allowed_origins","log_level","heartbeat"])");
  EXPECT_EQ(answer.Field("needs_restart"), R"(["town"])");
  EXPECT_TRUE(stream->UntilEvent("stream.heartbeat"));  // one that was open before
  EXPECT_EQ(HttpConnection(daemon->address()).Call("GET", "/", "", named).status, 200);
  EXPECT_EQ(daemon->Get("/health").Field("town"), "town");
  EXPECT_THAT(daemon->log(), HasSubstr("town: needs a restart or reeve upgrade"));

  Write("heartbeat = \"50ms\"\n");
  daemon->Signal(SIGHUP);
  EXPECT_TRUE(Eventually(
      [&] { return HttpConnection(daemon->address()).Call("GET", "/", "", named).status == 403; }));
}

TEST_F(Reload, AFileThatIsWrongChangesNothing) {
  Write("allowed_origins = [\"https://harbour.example\"]\n");
  auto daemon = Start();
  const Headers named = {{"Origin", "https://harbour.example"}};
  Write("allowed_origins = []\nfsync = \"often\"\n");
  HttpAnswer answer = daemon->Post("/reload");
  EXPECT_EQ(answer.status, 422);
  EXPECT_EQ(answer.Field("code"), "invalid_config");
  EXPECT_EQ(answer.Field("detail"), path_ + ":2:9: fsync: must be one of always, interval, never");
  EXPECT_EQ(HttpConnection(daemon->address()).Call("GET", "/", "", named).status, 200);
  daemon->Signal(SIGHUP);
  EXPECT_TRUE(Eventually([&] {
    const std::string log = daemon->log();
    const size_t first = log.find("reload failed, nothing changed: " + path_ + ":2:9");
    return first != std::string::npos && log.find("nothing changed", first + 1) != std::string::npos;
  }));
  EXPECT_EQ(HttpConnection(daemon->address()).Call("GET", "/", "", named).status, 200);
}

// Not even the half that is right: tokens and file are one reload.
TEST_F(Reload, TokensThatAreWrongChangeNothing) {
  const std::string tokens = folder_.path() + "/tokens";
  const std::string admin = "admin-token-0123456789";
  WriteFile(tokens, admin + "\n");
  const std::string with_tokens = "token_file = \"" + tokens + "\"\n";
  Write(with_tokens);
  auto daemon = Start();
  const Headers bearer = {{"Authorization", "Bearer " + admin}};
  const Headers named = {{"Origin", "https://harbour.example"}};
  Write(with_tokens + "allowed_origins = [\"https://harbour.example\"]\n");
  WriteFile(tokens, "short\n");
  HttpAnswer answer = HttpConnection(daemon->address()).Call("POST", "/reload", "", bearer);
  EXPECT_EQ(answer.status, 422);
  EXPECT_THAT(answer.Field("detail"), HasSubstr("/tokens line 1"));
  EXPECT_EQ(HttpConnection(daemon->address()).Call("GET", "/", "", named).status, 403);
  WriteFile(tokens, admin + "\nview viewer-token-0123456789\n");
  EXPECT_EQ(HttpConnection(daemon->address()).Call("POST", "/reload", "", bearer).status, 200);
  EXPECT_EQ(HttpConnection(daemon->address()).Call("GET", "/", "", named).status, 200);
  const Headers viewer = {{"Authorization", "Bearer viewer-token-0123456789"}};
  EXPECT_EQ(HttpConnection(daemon->address()).Call("GET", "/agents", "", viewer).status, 200);
  EXPECT_EQ(HttpConnection(daemon->address()).Call("POST", "/reload", "", viewer).status, 403);
  EXPECT_EQ(HttpConnection(daemon->address()).Call("POST", "/drain", "", viewer).status, 403);
}

// Logs that are open, and logs that are not, keep to the new limits.
TEST_F(Reload, RetentionHoldsForLogsThatAreThere) {
  Write("segment_bytes = \"1MiB\"\n");
  auto daemon = Start();
  daemon->Create(R"({"id":"a1","kind":"process","command":["/bin/sh","-c",
                    "while read n; do seq $n; done"]})");
  Write("segment_bytes = \"4KiB\"\nretain_bytes = \"64KiB\"\n");
  ASSERT_EQ(daemon->Post("/reload").status, 200);
  EXPECT_EQ(daemon->Post("/agents/a1/message", R"({"text":"5000"})").status, 202);
  ASSERT_TRUE(
      Eventually([&] { return daemon->LogFiles("a1").find("\"text\":\"5000\"") != std::string::npos; }));
  // Output of one turn of the loop is in one segment, which is deleted when the next segments exist.
  EXPECT_TRUE(Eventually([&] {
    EXPECT_EQ(daemon->Post("/agents/a1/message", R"({"text":"100"})").status, 202);
    return daemon->LogFiles("a1").size() < 200'000;
  }));
}

// The parent process has read only the line that reports the address.
TEST(Signals, AreTakenAsSoonAsItListens) {
  for (int round = 0; round < 20; ++round) {
    Daemon daemon;
    daemon.Signal(SIGHUP);
    daemon.Signal(SIGTERM);
    ASSERT_EQ(daemon.Wait(), 0) << "round " << round;
  }
}

TEST(Drain, DoesWhatTermDoes) {
  Daemon daemon;
  daemon.Create(R"({"id":"a1","kind":"process","command":["cat"]})");
  auto stream = daemon.Stream("/agents/a1/stream");
  ASSERT_TRUE(stream->UntilEvent("stream.synced"));
  EXPECT_EQ(daemon.Post("/drain", R"({"timeout_ms":0})").status, 400);
  EXPECT_EQ(daemon.Post("/drain", R"({"timeout":9})").status, 400);
  HttpAnswer answer = daemon.Post("/drain", R"({"timeout_ms":20000})");
  EXPECT_EQ(answer.status, 202) << answer.wire;
  EXPECT_EQ(answer.Field("status"), "draining");
  EXPECT_TRUE(stream->UntilEvent("stream.bye"));
  EXPECT_EQ(daemon.Wait(), 0);
}

// An agent that does not end: only the time that was given ends the wait.
TEST(Drain, TakesTheTimeItWasGiven) {
  Daemon daemon;
  daemon.Create(
      R"({"id":"a1","kind":"process","command":["/bin/sh","-c","trap '' TERM; echo on; while :; do sleep 1; done"]})");
  auto stream = daemon.Stream("/agents/a1/stream?after=0");
  ASSERT_TRUE(stream->UntilEvent("agent.output"));
  EXPECT_EQ(daemon.Post("/drain", R"({"timeout_ms":600000})").status, 202);
  EXPECT_EQ(daemon.Post("/drain").status, 202);  // asked twice: as before
  EXPECT_EQ(daemon.Wait(500), -1000);
  daemon.Signal(SIGTERM);  // the first signal asks for what is under way
  EXPECT_EQ(daemon.Wait(500), -1000);
  daemon.Signal(SIGTERM);  // the second: at once
  EXPECT_EQ(daemon.Wait(), 130);
}

}  // namespace
}  // namespace reeve
