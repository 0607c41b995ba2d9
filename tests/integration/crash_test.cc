// The daemon dies and its agents live (orchestrator/handover/KEEPER.md): cases that only a crash has, and the
// end of the keeper. handover_test.cc tests what a crash and an upgrade have in common, day_test.cc a day
// with many crashes.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>

#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "process/keeper/wire.h"
#include "process/proc.h"
#include "tests/support/daemon.h"
#include "tests/support/paths.h"
#include "tests/support/sanitized.h"
#include "tests/support/shell_agent.h"

namespace reeve {
namespace {

Daemon::Options AtOnce() {
  Daemon::Options options;
  options.arguments = {"--restart-delay", "0"};
  return options;
}

TEST(Crash, AnExitThatNoDaemonSawIsTold) {
  Daemon daemon(AtOnce());
  TempDir folder;
  daemon.Create(Shell("a1", "echo up; while [ ! -e " + folder.path() +
                                "/go ]; do sleep 0.01; done; "
                                "seq 1000; exit 7"));
  ASSERT_TRUE(Says(daemon, "a1", "up"));
  const pid_t pid = std::atoi(daemon.Get("/agents/a1").Field("pid").c_str());
  daemon.Signal(SIGSTOP);
  WriteFile(folder.path() + "/go", "");
  ASSERT_TRUE(Eventually([pid] {
    auto stat = StatProcess(pid);
    return stat && stat->zombie;
  }));
  ASSERT_TRUE(daemon.Crash());
  daemon.WaitFor("a1");
  EXPECT_EQ(Fields(daemon, "a1", "agent.exited", "data.code"), std::vector<std::string>{"7"});
  const std::vector<std::string> output = Fields(daemon, "a1", "agent.output", "data.text");
  ASSERT_EQ(output.size(), 1'001U);
  EXPECT_EQ(output.back(), "1000");
  EXPECT_EQ(Fields(daemon, "a1", "run.failed", "data.error.code"), std::vector<std::string>{"exit"});
}

TEST(Crash, ClientsWaitForTheNextDaemon) {
  Daemon daemon(AtOnce());
  daemon.Signal(SIGSTOP);
  HttpConnection connection(daemon.address());
  connection.Send("GET", "/health", "", {{"Authorization", "Bearer " + daemon.token()}});
  const pid_t before = daemon.pid();
  ASSERT_EQ(kill(before, SIGKILL), 0);
  const HttpAnswer answer = connection.Receive();
  EXPECT_EQ(answer.status, 200) << answer.wire;
  EXPECT_EQ(answer.Field("restarts"), "1");
  EXPECT_NE(daemon.pid(), before);
}

TEST(Crash, ATicketIsGoodOnce) {
  Daemon daemon(AtOnce());
  daemon.Create(Shell("a1", "echo one; sleep 1000"));
  ASSERT_TRUE(Says(daemon, "a1", "one"));
  const std::string used = daemon.TicketUrl("a1");
  const std::string unused = daemon.TicketUrl("a1");
  {
    StreamClient viewer(daemon.address(), used, {});
    ASSERT_TRUE(viewer.UntilEvent("stream.hello"));
  }
  ASSERT_TRUE(daemon.Crash());
  StreamClient late(daemon.address(), unused, {});
  EXPECT_TRUE(late.UntilEvent("stream.hello"));
  StreamClient again(daemon.address(), used, {});
  EXPECT_TRUE(again.UntilHead());
  EXPECT_EQ(again.status(), 401);
  StreamClient twice(daemon.address(), unused, {});
  EXPECT_TRUE(twice.UntilHead());
  EXPECT_EQ(twice.status(), 401);
}

TEST(Crash, IsToldByHealthMetricsAndTheLog) {
  Daemon daemon(AtOnce());
  EXPECT_EQ(daemon.Get("/health").Field("restarts"), "0");
  EXPECT_EQ(daemon.Get("/health").Field("last_death"), "null");
  ASSERT_EQ(daemon.Post("/reload").status, 200);  // leaves a line in the log
  ASSERT_TRUE(daemon.Crash());
  const HttpAnswer health = daemon.Get("/health");
  EXPECT_EQ(health.Field("restarts"), "1");
  EXPECT_EQ(health.Field("last_death.signal"), "9");
  EXPECT_NE(health.Field("last_death.log").find(" info "), std::string::npos) << health.body;
  EXPECT_NE(daemon.Get("/metrics").body.find("\nreeve_daemon_restarts_total 1\n"), std::string::npos);
  EXPECT_NE(daemon.log().find("the daemon has died and is started again: signal=9"), std::string::npos);
  EXPECT_EQ(daemon.Get("/health").Field("status"), "ok");
}

TEST(Crash, OnlyOperatorsSeeTheLogOfTheDead) {
  TempDir dir;
  WriteFile(dir.path() + "/tokens", "view view-token-0123456789\noperate operate-token-0123456789\n");
  Daemon::Options options = AtOnce();
  options.arguments.insert(options.arguments.end(), {"--token-file", dir.path() + "/tokens"});
  Daemon daemon(options);
  const auto health = [&daemon](const std::string& scope) {
    HttpConnection connection(daemon.address());
    return connection.Call("GET", "/health", "",
                           {{"Authorization", "Bearer " + scope + "-token-0123456789"}});
  };
  ASSERT_EQ(health("view").Field("restarts"), "0");
  ASSERT_EQ(kill(daemon.pid(), SIGKILL), 0);
  ASSERT_TRUE(Eventually([&health] { return health("view").Field("restarts") == "1"; }));
  EXPECT_EQ(health("view").Field("last_death.signal"), "9");
  EXPECT_EQ(health("view").body.find("\"log\""), std::string::npos);
  EXPECT_NE(health("operate").body.find("\"log\""), std::string::npos);
}

// Open content is not in the checkpoint: it is taken from the log again.
TEST(Crash, ASnapshotHasWhatWasOpen) {
  Daemon daemon(AtOnce());
  daemon.Create(
      R"({"id":"a1","kind":"jsonl","command":["/bin/sh","-c",")"
      R"(echo '{\"type\":\"assistant.message\",\"message_id\":\"m0\",\"text\":\"old\"}';)"
      R"(echo '{\"type\":\"assistant.delta\",\"message_id\":\"m1\",\"text\":\"one \"}';)"
      R"(echo '{\"type\":\"tool.started\",\"call_id\":\"c1\",\"name\":\"bash\",\"input\":{\"a\":1}}';)"
      R"(echo '{\"type\":\"assistant.delta\",\"message_id\":\"m1\",\"text\":\"two\"}';)"
      R"(echo '{\"type\":\"plan.updated\",\"entries\":[{\"content\":\"x\",\"status\":\"pending\"}]}'; sleep 1000"]})");
  ASSERT_TRUE(Eventually([&] { return !Fields(daemon, "a1", "plan.updated", "seq").empty(); }));
  const std::string before = daemon.Get("/agents/a1/snapshot").Field("open");
  EXPECT_NE(before.find("one two"), std::string::npos) << before;
  ASSERT_TRUE(daemon.Crash());
  EXPECT_EQ(daemon.Get("/agents/a1/snapshot").Field("open"), before);
}

// Stops the daemon. Meanwhile its agent prints 40,000 lines, more than a pipe takes, and a request comes,
// whose answer is still to be received.
HttpConnection StopWhileAnAgentPrints(const Daemon& daemon, const std::string& folder) {
  daemon.Create(Shell("a1", "echo up; while [ ! -e " + folder + "/go ]; do sleep 0.01; done; seq 5000; : > " +
                                folder + "/printed; seq 5001 40000; read x; echo got $x"));
  EXPECT_TRUE(Says(daemon, "a1", "up"));
  daemon.Signal(SIGSTOP);
  WriteFile(folder + "/go", "");
  EXPECT_TRUE(Eventually([&] { return std::filesystem::exists(folder + "/printed"); }));
  HttpConnection connection(daemon.address());
  connection.Send("POST", "/agents/a1/message", R"({"text":"go on"})",
                  {{"Authorization", "Bearer " + daemon.token()}});
  return connection;
}

// The request was answered once, and all lines are there.
void ExpectThatNothingIsLost(const Daemon& daemon, HttpConnection& connection) {
  EXPECT_EQ(connection.Receive().status, 202);
  daemon.WaitFor("a1");
  std::string expected = "up\n";
  for (int i = 1; i <= 40'000; ++i) expected += std::to_string(i) + "\n";
  expected += "got go on\n";
  std::string said;  // a line of which only a part was there for 200 ms is two events
  for (const std::string& event : daemon.Events("a1", "after=0&types=agent.output"))
    said += JsonField(event, "data.text") + (JsonField(event, "data.partial") == "true" ? "" : "\n");
  EXPECT_TRUE(said == expected);
}

TEST(Crash, OneThatIsStoppedForAWhileLosesNothing) {
  Daemon daemon(AtOnce());
  TempDir folder;
  const pid_t before = daemon.pid();
  HttpConnection connection = StopWhileAnAgentPrints(daemon, folder.path());
  daemon.Signal(SIGCONT);
  ExpectThatNothingIsLost(daemon, connection);
  EXPECT_EQ(daemon.pid(), before) << "it is not replaced, because it may continue";
  EXPECT_EQ(daemon.Get("/health").Field("restarts"), "0");
}

TEST(KeeperWatchdog, ReplacesADaemonThatIsStoppedAndNothingIsLost) {
  Daemon::Options options = AtOnce();
  options.environment = {"WATCHDOG_USEC=4000000"};
  Daemon daemon(options);
  TempDir folder;
  const pid_t before = daemon.pid();
  HttpConnection connection = StopWhileAnAgentPrints(daemon, folder.path());
  ASSERT_TRUE(Eventually([&] { return daemon.pid() != before; })) << daemon.log();
  ExpectThatNothingIsLost(daemon, connection);
  const HttpAnswer health = daemon.Get("/health");
  EXPECT_EQ(health.Field("restarts"), "1");
  EXPECT_EQ(health.Field("last_death.signal"), "9");
  EXPECT_NE(daemon.log().find("the daemon does not answer and is killed"), std::string::npos);
}

TEST(Crash, TheEndOfTheKeeperEndsEverything) {
  Daemon daemon(AtOnce());
  daemon.Create(Shell("a1", "echo up; sleep 1000; sleep 1000", R"("restart":{"policy":"always"},)"));
  ASSERT_TRUE(Says(daemon, "a1", "up"));
  const pid_t agent = std::atoi(daemon.Get("/agents/a1").Field("pid").c_str());
  const pid_t itself = daemon.pid();
  daemon.Kill();
  EXPECT_TRUE(Eventually([&] { return StartTime(agent) == 0 && StartTime(itself) == 0; }));
  daemon.Start();
  ASSERT_TRUE(Eventually([&] { return Fields(daemon, "a1", "agent.starting", "seq").size() == 2; }));
  EXPECT_EQ(Fields(daemon, "a1", "run.failed", "data.error.code"),
            std::vector<std::string>{"daemon_restarted"});
}

TEST(Crash, NoOrphanIsLeftWhereNoDaemonCanStart) {
  TempDir folder;
  std::filesystem::copy_file(kReeveBinary, folder.path() + "/reeve");
  Daemon::Options options = AtOnce();
  options.arguments.insert(options.arguments.end(), {"--orphan-timeout", "1s"});
  Daemon daemon(options);
  daemon.Create(Shell("a1", "setsid sleep 1000 & echo up; sleep 1000; sleep 1000"));
  ASSERT_TRUE(Says(daemon, "a1", "up"));
  ASSERT_TRUE(daemon.HandOver(folder.path() + "/reeve"));
  const std::string town = daemon.town_id();
  std::filesystem::remove(folder.path() + "/reeve");
  ASSERT_EQ(kill(daemon.pid(), SIGKILL), 0);
  EXPECT_EQ(daemon.Wait(), 1) << daemon.log();
  EXPECT_TRUE(ProcessesWith("REEVE_TOWN_ID=" + town).empty());
}

// The daemon is killed at each write while an agent is made and started. The client asks again.
TEST(Crash, AnAgentThatIsBeingMadeStartsAndItsRunDoesNotFail) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer's runtime must come before anything that is preloaded";
  int deaths = 0;
  for (int at = 1; at < 300 && !HasFailure(); ++at) {
    TempDir folder;
    const std::string armed = folder.path() + "/armed";
    Daemon::Options options = AtOnce();
    options.environment = {std::string("LD_PRELOAD=") + kFaults, "REEVE_FAULT=kill:" + std::to_string(at),
                           "REEVE_FAULT_ARMED=" + armed};
    Daemon daemon(options);
    ASSERT_EQ(daemon.Get("/health").status, 200);
    WriteFile(armed, "");
    const std::string spec = Shell("a1", "echo up; sleep 1000; sleep 1000");
    HttpAnswer made = daemon.Call("POST", "/agents", spec, {{"Idempotency-Key", "k"}});
    if (made.status == 0) made = daemon.Call("POST", "/agents", spec, {{"Idempotency-Key", "k"}});
    EXPECT_EQ(made.status, 201) << at << ": " << made.wire;
    EXPECT_TRUE(Says(daemon, "a1", "up")) << at << ": " << daemon.Get("/agents/a1").body << daemon.log();
    const bool died = !std::filesystem::remove(armed);
    deaths += died ? 1 : 0;
    EXPECT_TRUE(Eventually([&] { return daemon.Get("/health").Field("restarts") == (died ? "1" : "0"); }));
    EXPECT_EQ(Fields(daemon, "a1", "agent.starting,run.started,agent.exited,run.failed", "type"),
              (std::vector<std::string>{"agent.starting", "run.started"}))
        << at;
    if (!died) break;  // there is no such write any more
  }
  EXPECT_GT(deaths, 10);
}

// The preloaded library kills the daemon whenever it reads this agent's word.
TEST(Crash, AnAgentThatKillsThreeDaemonsIsSetAside) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer's runtime must come before anything that is preloaded";
  Daemon::Options options = AtOnce();
  options.environment = {std::string("LD_PRELOAD=") + kFaults, "REEVE_FAULT=poison:arsenic"};
  Daemon daemon(options);
  daemon.Create(Shell("good", "i=0; while :; do i=$((i+1)); echo $i; read x && echo got $x; done"));
  daemon.Create(Shell("bad", "echo fine; read x; echo some arse''nic; sleep 1000",
                      R"("restart":{"policy":"always"},)"));
  ASSERT_TRUE(Says(daemon, "bad", "fine"));
  const std::string pid = daemon.Get("/agents/good").Field("pid");
  daemon.Post("/agents/bad/message", R"({"text":"go"})");
  ASSERT_TRUE(Eventually([&] { return daemon.Get("/agents/bad").Field("state") == "failed"; }))
      << daemon.log();
  EXPECT_EQ(daemon.Get("/health").Field("restarts"), "3");
  EXPECT_NE(daemon.Get("/agents/bad").Field("reason").find("three times in a row"), std::string::npos);
  EXPECT_EQ(ReadFile(daemon.data_dir() + "/poisoned/bad.stdout"), "some arsenic\n");
  EXPECT_EQ(Fields(daemon, "bad", "agent.failed", "data.code"), std::vector<std::string>{"poisoned"});
  EXPECT_EQ(daemon.Get("/agents/good").Field("pid"), pid);
  EXPECT_EQ(daemon.Post("/agents/good/message", R"({"text":"there"})").status, 202);
  EXPECT_TRUE(Says(daemon, "good", "got there"));
}

// The kernel closes a keeper's sockets before it kills the keeper's children, so the daemon may live on for
// some moments in which it can start nothing. This keeper closes its socket, and nobody kills the daemon.
TEST(Crash, ADaemonWithoutItsKeeperDecidesNothingMore) {
  TempDir data;
  Daemon::Options options;
  options.data_dir = data.path();
  {
    Daemon daemon(options);
    daemon.Create(Shell("a1", "sleep 1000", R"("restart":{"policy":"always"},)"));
    daemon.WaitFor("a1", "until=ready");
    daemon.Kill();
  }
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
  bool asked = false;
  std::thread keeper([&asked, socket = Fd(ends[0])]() mutable {
    keeper::Packet packet;
    while (!asked && packet.result != keeper::Packet::Result::kClosed) {
      Receive(socket.get(), packet, 0);
      if (packet.type() == keeper::Type::kHello) Send(socket.get(), keeper::Welcome{}, {}, {});
      if (packet.type() == keeper::Type::kNextHeld) Send(socket.get(), keeper::Held{}, {}, {});
      if (packet.type() == keeper::Type::kNextChild) Send(socket.get(), keeper::Children{}, {}, {});
      asked = packet.type() == keeper::Type::kSpawn;
    }
    socket.Close();
  });
  {
    Fd socket(ends[1]);
    options.arguments = {"--keeper", "3"};
    options.inherit_fd = socket.get();
    options.may_fail = true;
    Daemon daemon(options);
    socket.Close();
    EXPECT_EQ(daemon.Wait(), 1) << daemon.log();
    EXPECT_NE(daemon.log().find("the keeper has ended"), std::string::npos) << daemon.log();
  }
  keeper.join();
  EXPECT_TRUE(asked);
  Daemon::Options again;
  again.data_dir = data.path();
  Daemon daemon(again);
  daemon.WaitFor("a1", "until=ready");
  EXPECT_EQ(Fields(daemon, "a1", "agent.failed", "data.code"), std::vector<std::string>{});
}

}  // namespace
}  // namespace reeve
