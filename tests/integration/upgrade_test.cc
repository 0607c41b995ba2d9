// How an upgrade is asked for, and what comes of one that cannot be (orchestrator/handover/KEEPER.md): the
// daemon goes on and says why.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <csignal>
#include <string>

#include "tests/support/command.h"
#include "tests/support/daemon.h"
#include "tests/support/paths.h"

namespace reeve {
namespace {

class Upgrades : public ::testing::Test {
 protected:
  void SetUp() override {
    daemon_.Create(R"({"id":"a1","kind":"process","command":["/bin/sh","-c",)"
                   R"("echo up; while read line; do echo $line; done"]})");
    ASSERT_TRUE(Eventually([this] { return daemon_.Get("/agents/a1").Field("state") == "running"; }));
    pid_ = daemon_.Get("/agents/a1").Field("pid");
  }
  // After any failed attempt the same daemon continues, and so does its agent.
  void TearDown() override {
    EXPECT_EQ(daemon_.Get("/agents/a1").Field("pid"), pid_);
    EXPECT_EQ(daemon_.Post("/agents/a1/message", R"({"text":"still there"})").status, 202);
    EXPECT_TRUE(
        Eventually([this] { return daemon_.LogFiles("a1").find("\"still there\"") != std::string::npos; }));
    EXPECT_EQ(daemon_.Get("/agents/a1").Field("state"), "running");
  }

  std::string Program(const std::string& script) {
    const std::string path = folder_.path() + "/program";
    WriteFile(path, "#!/bin/sh\n" + script + "\n");
    chmod(path.c_str(), 0755);
    return path;
  }
  [[nodiscard]] HttpAnswer Ask(const std::string& binary) const {
    return daemon_.Post("/upgrade", JsonObject().Set("binary", binary).Take());
  }
  void ExpectRefused(const std::string& binary, const std::string& reason) {
    const HttpAnswer answer = Ask(binary);
    EXPECT_EQ(answer.status, 422) << answer.wire;
    EXPECT_EQ(answer.Field("code"), "upgrade_failed");
    EXPECT_NE(answer.Field("detail").find(reason), std::string::npos) << answer.Field("detail");
    EXPECT_NE(daemon_.log().find(reason), std::string::npos) << "not in its log";
    EXPECT_EQ(daemon_.Get("/health").Field("handovers"), "0");
    EXPECT_NE(daemon_.Get("/health").Field("upgrade_failure"), "");
  }

  TempDir folder_;
  Daemon daemon_;
  std::string pid_;
};

TEST_F(Upgrades, ABinaryThatCannotBeRunIsRefused) {
  ExpectRefused(folder_.path() + "/missing", "missing: no such file or directory");
  WriteFile(folder_.path() + "/text", "no program");
  ExpectRefused(folder_.path() + "/text", "is not executable");
  chmod((folder_.path() + "/text").c_str(), 0755);
  ExpectRefused(folder_.path() + "/text", "without reporting that it is ready");
  ExpectRefused(folder_.path(), "is a directory");
}

TEST_F(Upgrades, OneThatEndsWithoutSayingThatItIsReadyIsRefused) {
  ExpectRefused(Program("exit 0"), "ended with code 0 without reporting that it is ready");
  ExpectRefused(Program("kill -SEGV $$"), "ended by signal 11");
  ExpectRefused(Program("echo no such option: --handover-trial >&2; exit 64"),
                "ended with code 64 without reporting that it is ready: no such option: --handover-trial");
  ExpectRefused(Program("cat /dev/urandom | head -c 300000"), "without reporting that it is ready");
  ExpectRefused(Program("echo '{\"ready\":true}'"), "without reporting that it is ready");
  ExpectRefused(Program("echo '{\"ready\":true,\"version\":\"9\"}'; exit 1"),
                "without reporting that it is ready");
}

TEST_F(Upgrades, OneThatHangsIsEnded) {
  const std::string pid = folder_.path() + "/pid";
  ExpectRefused(Program("echo $$ > " + pid + "; sleep 1000; sleep 1000"),
                "did not report that it is ready within 10 s");
  EXPECT_NE(kill(std::atoi(ReadFile(pid).c_str()), 0), 0);
}

// A trial of the real binary that is given another state than ours.
TEST_F(Upgrades, AStateThatIsNotUnderstoodIsRefused) {
  const std::string real = std::string("exec ") + kReeveBinary + " \"$@\"";
  for (const char* other : {"2", "4"}) {
    ExpectRefused(Program("sed '1s/\"format\":3/\"format\":" + std::string(other) + "/' | " + real),
                  std::string("the state has format ") + other + "; this reeve reads format 3 only");
  }
  ExpectRefused(Program("head -c 20 | " + real), "the state's first line");
  ExpectRefused(Program("head -n 1 | " + real), "names 1 agents and contains 0");
  ExpectRefused(Program("sed '2s/\\\\\"kind\\\\\":\\\\\"process/\\\\\"kind\\\\\":\\\\\"later/' | " + real),
                "there is no kind later");
  EXPECT_EQ(Ask(Program(real)).status, 202);  // and with ours it is understood
  EXPECT_TRUE(Eventually([this] { return daemon_.Get("/health").Field("handovers") == "1"; }));
}

TEST_F(Upgrades, WhatFailsAfterTheTrialIsSaidToo) {
  const std::string path = Program("rm -- \"$0\"; exec " + std::string(kReeveBinary) + " \"$@\"");
  EXPECT_EQ(Ask(path).status, 202);
  EXPECT_TRUE(Eventually([this] { return !daemon_.Get("/health").Field("upgrade_failure").empty(); }));
  EXPECT_NE(daemon_.Get("/health").Field("upgrade_failure").find("No such file"), std::string::npos);
  EXPECT_EQ(daemon_.Get("/health").Field("handovers"), "0");
  EXPECT_TRUE(daemon_.HandOver()) << "another try is possible";
}

TEST_F(Upgrades, OneAtATime) {
  HttpConnection first(daemon_.address());
  const Headers token = {{"Authorization", "Bearer " + daemon_.token()}};
  const std::string started = folder_.path() + "/started";
  first.Send("POST", "/upgrade",
             JsonObject().Set("binary", Program("touch " + started + "; sleep 2; exit 3")).Take(), token);
  ASSERT_TRUE(Eventually([&started] { return access(started.c_str(), F_OK) == 0; }));
  EXPECT_EQ(daemon_.Post("/upgrade", "{}").status, 409);
  EXPECT_EQ(first.Receive().status, 422);
}

TEST_F(Upgrades, ARelativePathIsRefused) {
  EXPECT_EQ(Ask("reeve").status, 400);
  EXPECT_EQ(daemon_.Post("/upgrade", R"({"path":"/x"})").status, 400);
}

TEST_F(Upgrades, ASignalHandsOverToTheFileItWasStartedFrom) {
  daemon_.Signal(SIGUSR2);
  EXPECT_TRUE(Eventually([this] { return daemon_.Get("/health").Field("handovers") == "1"; }));
}

TEST_F(Upgrades, ByTheCommandLine) {
  const std::vector<std::string> upgrade = {"upgrade", "--data", daemon_.data_dir()};
  Command command(upgrade);
  EXPECT_EQ(command.Wait(), 0) << command.err();
  EXPECT_EQ(command.out(), "reeve: upgraded from " REEVE_VERSION " to " REEVE_VERSION "\n");
  EXPECT_EQ(daemon_.Get("/health").Field("handovers"), "1");

  std::vector<std::string> missing = upgrade;
  missing.emplace_back("no-such-binary");
  Command failing(missing);
  EXPECT_EQ(failing.Wait(), 1);
  EXPECT_NE(failing.err().find("no-such-binary: no such file or directory"), std::string::npos)
      << failing.err();

  WriteFile(folder_.path() + "/token", "another-token-of-32-characters-at-least");
  Command refused({"upgrade", "--data", daemon_.data_dir(), "--token-file", folder_.path() + "/token"});
  EXPECT_EQ(refused.Wait(), 77);
  Command nobody({"upgrade", "--data", daemon_.data_dir(), "--server", "http://127.0.0.1:1"});
  EXPECT_EQ(nobody.Wait(), 69);
}

TEST(UpgradeAtTheEnd, IsRefusedWhileItDrains) {
  Daemon daemon;
  daemon.Create(
      R"({"id":"a1","kind":"process","command":["/bin/sh","-c","trap '' TERM; echo up; sleep 5"]})");
  ASSERT_TRUE(Eventually([&daemon] { return daemon.LogFiles("a1").find("\"up\"") != std::string::npos; }));
  daemon.Signal(SIGTERM);
  ASSERT_TRUE(Eventually([&daemon] { return daemon.Get("/health").Field("status") == "draining"; }));
  EXPECT_EQ(daemon.Post("/upgrade", "{}").status, 503);
}

}  // namespace
}  // namespace reeve
