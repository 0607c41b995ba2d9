// Ends and new beginnings: an agent's process under its restart policy, and the daemon's own, asked for or by
// kill -9.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <vector>

#include "orchestrator/agent/mailbox.h"
#include "orchestrator/store/store.h"
#include "process/loop.h"
#include "tests/support/daemon.h"

namespace reeve {
namespace {

using Strings = std::vector<std::string>;

std::string Shell(const std::string& id, const std::string& script, const std::string& more = "") {
  return R"({"id":")" + id + R"(","kind":"process","command":["/bin/sh","-c",")" + script + "\"]" + more +
         "}";
}

std::string Policy(const std::string& policy, int max_restarts) {
  return R"(,"restart":{"policy":")" + policy + R"(","max_restarts":)" + std::to_string(max_restarts) +
         R"(,"window_ms":60000})";
}

Strings Types(const Strings& events, const std::string& only = "") {
  Strings types;
  for (const std::string& event : events) {
    const std::string type = JsonField(event, "type");
    if (only.empty() || type == only) types.push_back(type);
  }
  return types;
}

size_t Count(const Daemon& daemon, const std::string& agent, const std::string& type) {
  return Types(daemon.Events(agent), type).size();
}

bool Says(const Daemon& daemon, const std::string& agent, const std::string& text) {
  return Eventually([&] { return daemon.LogFiles(agent).find(text) != std::string::npos; });
}

// `seq` without a hole over all lives.
void ExpectContiguous(const Strings& events) {
  for (size_t i = 0; i < events.size(); ++i) {
    ASSERT_EQ(JsonField(events[i], "seq"), std::to_string(i + 1)) << events[i];
  }
}

// ------------------------------------------------------------------------------------------------- policy

TEST(RestartPolicy, NeverLetsItEnd) {
  Daemon daemon;
  daemon.Create(Shell("a1", "exit 1"));
  EXPECT_EQ(daemon.WaitFor("a1").Field("state"), "exited");
  EXPECT_EQ(Count(daemon, "a1", "agent.restarting"), 0U);
}

TEST(RestartPolicy, OnFailureRestartsAfterFailuresOnly) {
  Daemon daemon;
  // Fails at first, and is content the second time.
  const std::string mark = daemon.data_dir() + "/mark";
  daemon.Create(
      Shell("a1", "test -e " + mark + " && exit 0; touch " + mark + "; exit 5", Policy("on_failure", 3)));
  HttpAnswer ended = daemon.WaitFor("a1");
  EXPECT_EQ(ended.Field("state"), "exited");
  EXPECT_EQ(ended.Field("restarts"), "1");
  EXPECT_EQ(Types(daemon.Events("a1")),
            (Strings{"agent.starting", "run.started", "agent.ready", "run.failed", "agent.exited",
                     "agent.restarting", "agent.starting", "run.started", "agent.ready", "run.completed",
                     "agent.exited"}));
}

TEST(RestartPolicy, AlwaysRestartsUntilItIsACrashLoop) {
  Daemon daemon;
  daemon.Create(Shell("a1", "echo again", Policy("always", 2)));
  auto stream = daemon.Stream("/agents/a1/stream?after=0");
  HttpAnswer ended = daemon.WaitFor("a1");
  EXPECT_EQ(ended.Field("state"), "failed");
  EXPECT_EQ(ended.Field("reason"), "gave up: ended 3 times in 1 minute, last with code 0");
  const Strings events = daemon.Events("a1");
  EXPECT_EQ(Types(events, "agent.starting").size(), 3U);
  EXPECT_EQ(JsonField(events.back(), "type"), "agent.failed");
  EXPECT_EQ(JsonField(events.back(), "data.code"), "crash_loop");
  // One stream showed all three lives, and ended with the last.
  EXPECT_TRUE(stream->UntilEnd());
  EXPECT_EQ(stream->count(), events.size());
  EXPECT_EQ(stream->Find("stream.bye")->Field("reason"), "agent_exited");
  // A person may try again.
  EXPECT_EQ(daemon.Post("/agents/a1/start").status, 202);
  EXPECT_TRUE(Eventually([&] { return Count(daemon, "a1", "agent.starting") >= 4; }));
}

TEST(RestartPolicy, ACrashLoopEndsWithTheLastLinesItSaid) {
  Daemon daemon;
  daemon.Create(Shell("a1", "seq 1 50; echo 'no such module: left-pad' >&2; exit 1", Policy("always", 1)));
  ASSERT_TRUE(Eventually([&] { return daemon.Get("/agents/a1").Field("state") == "failed"; }));
  const std::string failed = daemon.Events("a1", "after=0&types=agent.failed").at(0);
  const std::string output = JsonField(failed, "data.output");
  EXPECT_NE(output.find("no such module: left-pad"), std::string::npos) << output;
  EXPECT_NE(output.find("50\n"), std::string::npos) << output;
  EXPECT_EQ(output.find("40\n"), std::string::npos) << output;
  EXPECT_EQ(daemon.Get("/agents/a1").Field("last_output"), output);
  daemon.Kill();
  daemon.Start();
  EXPECT_EQ(daemon.Get("/agents/a1").Field("last_output"), output);
  EXPECT_EQ(daemon.Get("/agents/a1").Field("state"), "failed");
}

TEST(RestartPolicy, AStopEndsTheWaitForTheNextStart) {
  Daemon daemon;
  daemon.Create(Shell("a1", "exit 1", Policy("always", 1000)));
  ASSERT_TRUE(Eventually([&] { return daemon.Get("/agents/a1").Field("state") == "backoff"; }));
  auto stream = daemon.Stream("/agents/a1/stream?after=0");
  EXPECT_EQ(daemon.Post("/agents/a1/stop").status, 202);
  EXPECT_EQ(daemon.WaitFor("a1").Field("state"), "exited");
  EXPECT_TRUE(stream->UntilEnd());
  EXPECT_EQ(stream->Find("stream.bye")->Field("reason"), "agent_exited");
}

// ---------------------------------------------------------------------------------------- kill -9 the daemon

TEST(DaemonRestart, SpecStateAndEventsSurvive) {
  Daemon daemon;
  daemon.Create(
      Shell("a1", "echo $KEY; exit 3", R"(,"title":"T","labels":{"k":"v"},"env":{"KEY":"kept-4711"})"));
  const std::string before = daemon.WaitFor("a1").body;
  const Strings events = daemon.Events("a1");
  daemon.Kill();
  daemon.Start();
  HttpAnswer after = daemon.Get("/agents/a1");
  for (const char* field : {"title", "labels", "env", "command", "state", "exit", "last_run.run_id",
                            "last_run.status", "last_run.error", "created_at", "restarts"}) {
    EXPECT_EQ(after.Field(field), JsonField(before, field)) << field;
  }
  EXPECT_EQ(daemon.Events("a1"), events);
  // The environment too, though it is never told.
  EXPECT_EQ(daemon.Post("/agents/a1/start").status, 202);
  daemon.WaitFor("a1");
  const Strings again = daemon.Events("a1");
  ASSERT_EQ(again.size(), 2 * events.size());
  EXPECT_EQ(JsonField(again[events.size() + 3], "data.text"), "kept-4711");
  EXPECT_GT(std::stoi(JsonField(again.back(), "epoch")), std::stoi(JsonField(events.back(), "epoch")));
  ExpectContiguous(again);
}

// Killed in the very turn in which the process ended, or soon after: the log has it, the record may not.
TEST(DaemonRestart, AnEndThatWasToldIsNotForgotten) {
  Daemon daemon;
  for (int i = 0; i < 10; ++i) {
    const std::string id = "a" + std::to_string(i);
    daemon.Create(Shell(id, "read line; exit 0", Policy("on_failure", 3)));
    daemon.WaitFor(id, "until=ready");
    daemon.Post("/agents/" + id + "/message", R"({"text":"end"})");
    daemon.WaitFor(id, "until=terminal");
    ASSERT_TRUE(Says(daemon, id, "agent.exited"));
    daemon.Kill();
    daemon.Start();
    HttpAnswer agent = daemon.Get("/agents/" + id);
    EXPECT_EQ(agent.Field("state"), "exited");  // content: not to be started again
    EXPECT_EQ(agent.Field("exit.code"), "0");
    EXPECT_EQ(agent.Field("last_run.status"), "completed");
    EXPECT_EQ(agent.Field("last_run.run_id"), "r2");
    EXPECT_EQ(Count(daemon, id, "agent.starting"), 1U);
  }
}

TEST(DaemonRestart, ALiveAgentsRunFailsOnceAndNoProcessIsLeft) {
  Daemon daemon;
  daemon.Create(Shell("a1", "setsid sleep 600 & setsid sh -c 'sleep 600; sleep 1' & echo up; wait"));
  ASSERT_TRUE(Says(daemon, "a1", "\"up\""));
  const std::string tree = "REEVE_TREE=" + daemon.town_id() + "/a1";
  ASSERT_TRUE(Eventually([&] { return ProcessesWith(tree).size() >= 4; }));
  daemon.Kill();
  daemon.Start();
  EXPECT_TRUE(Eventually([&] { return ProcessesWith(tree).empty(); }));
  HttpAnswer agent = daemon.Get("/agents/a1");
  EXPECT_EQ(agent.Field("state"), "exited");
  EXPECT_EQ(agent.Field("last_run.error.code"), "daemon_restarted");
  const Strings told = {"agent.starting", "run.started", "agent.ready",
                        "agent.output",   "run.failed",  "agent.exited"};
  EXPECT_EQ(Types(daemon.Events("a1")), told);
  EXPECT_EQ(JsonField(daemon.Events("a1")[4], "data.error.code"), "daemon_restarted");
  daemon.Kill();  // and not once more
  daemon.Start();
  EXPECT_EQ(Types(daemon.Events("a1")), told);
  ExpectContiguous(daemon.Events("a1"));
}

TEST(DaemonRestart, AStoppingAgentIsClosedInItsLogToo) {
  Daemon daemon;
  daemon.Create(Shell("a1", "trap '' TERM; echo up; sleep 600"));
  ASSERT_TRUE(Says(daemon, "a1", "\"up\""));
  EXPECT_EQ(daemon.Post("/agents/a1/stop", R"({"grace_ms":60000})").status, 202);
  daemon.Kill();
  daemon.Start();
  EXPECT_EQ(daemon.Get("/agents/a1").Field("state"), "exited");
  EXPECT_EQ(Types(daemon.Events("a1")),
            (Strings{"agent.starting", "run.started", "agent.ready", "agent.output", "agent.stopping",
                     "run.failed", "agent.exited"}));
}

TEST(DaemonRestart, ThePolicyBringsAnAgentBack) {
  Daemon daemon;
  daemon.Create(Shell("a1", "echo up; sleep 600", Policy("on_failure", 3)));
  daemon.Create(Shell("a2", "echo up; sleep 600"));
  ASSERT_TRUE(Says(daemon, "a1", "\"up\""));
  ASSERT_TRUE(Says(daemon, "a2", "\"up\""));
  daemon.Kill();
  daemon.Start();
  EXPECT_EQ(daemon.WaitFor("a1", "until=ready").Field("state"), "running");
  EXPECT_TRUE(Eventually([&] { return Count(daemon, "a1", "agent.output") == 2; }));
  EXPECT_EQ(daemon.Get("/agents/a2").Field("state"), "exited");
  ExpectContiguous(daemon.Events("a1"));
}

TEST(DaemonRestart, QueuedMessagesRunAfterwardsInOrderAndOnce) {
  Daemon daemon;
  const std::string script = daemon.data_dir() + "/turns.sh";
  const std::string go = daemon.data_dir() + "/go";
  WriteFile(
      script,
      "while read line; do\n  echo \"{\\\"type\\\":\\\"assistant.message\\\",\\\"text\\\":\\\"$line\\\"}\"\n"
      "  while ! test -e " +
          go + "; do sleep 0.02; done\n  echo '{\"type\":\"run.completed\"}'\ndone\n");
  daemon.Create(R"({"id":"a1","kind":"jsonl","command":["/bin/sh",")" + script +
                R"("],"kind_options":{"turns":true}})");
  daemon.WaitFor("a1", "until=ready");
  Strings ids;
  for (const char* text : {"one", "two", "three"}) {
    ids.push_back(
        daemon.Post("/agents/a1/message", R"({"text":")" + std::string(text) + "\"}").Field("message_id"));
  }
  ASSERT_TRUE(Says(daemon, "a1", "\"one\"}}"));
  daemon.Kill();
  WriteFile(go, "");
  daemon.Start();
  EXPECT_EQ(daemon.WaitFor("a1", "until=terminal&message_id=" + ids[2]).Field("status"), "completed");
  EXPECT_EQ(daemon.WaitFor("a1", "until=terminal&message_id=" + ids[0]).Field("error.code"),
            "daemon_restarted");
  Strings said;
  for (const std::string& event : daemon.Events("a1")) {
    if (JsonField(event, "type") == "assistant.message") said.push_back(JsonField(event, "data.text"));
  }
  EXPECT_EQ(said, (Strings{"one", "two", "three"}));
  EXPECT_EQ(Count(daemon, "a1", "run.failed"), 1U);
  EXPECT_EQ(Count(daemon, "a1", "message.done"), 3U);
}

TEST(DaemonRestart, APausedQueueIsStillPaused) {
  Daemon daemon;
  const std::string script = daemon.data_dir() + "/turns.sh";
  const std::string go = daemon.data_dir() + "/go";
  WriteFile(script,
            "read line\nwhile ! test -e " + go +
                "; do sleep 0.02; done\n"
                "echo '{\"type\":\"run.failed\",\"error\":{\"code\":\"x\",\"message\":\"y\"}}'\nread line\n");
  daemon.Create(R"({"id":"a1","kind":"jsonl","command":["/bin/sh",")" + script +
                R"("],"kind_options":{"turns":true}})");
  daemon.WaitFor("a1", "until=ready");
  daemon.Post("/agents/a1/message", R"({"text":"fails"})");
  daemon.Post("/agents/a1/message", R"({"text":"waits"})");
  WriteFile(go, "");
  ASSERT_TRUE(Eventually([&] { return daemon.Get("/agents/a1").Field("queue_paused") == "true"; }));
  daemon.Kill();
  daemon.Start();
  HttpAnswer agent = daemon.Get("/agents/a1");
  EXPECT_EQ(agent.Field("queue_paused"), "true");
  EXPECT_EQ(agent.Field("queue_depth"), "1");
  EXPECT_EQ(agent.Field("state"), "exited");  // nothing may run: nothing is started for it
  EXPECT_EQ(Count(daemon, "a1", "run.started"), 1U);
}

// -------------------------------------------------------------------------------------------------- drain

TEST(Drain, StopsTheAgentsSaysGoodbyeAndEndsWithZero) {
  Daemon daemon;
  daemon.Create(Shell("a1", "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.02; done"));
  daemon.Create(Shell("a2", "setsid sleep 600 & echo up; wait", Policy("always", 5)));
  ASSERT_TRUE(Says(daemon, "a1", "\"up\""));
  ASSERT_TRUE(Says(daemon, "a2", "\"up\""));
  auto stream = daemon.Stream("/agents/a2/stream?after=0");  // one whose agent comes back
  auto ended = daemon.Stream("/stream?agents=*");
  HttpConnection waits(daemon.address());
  waits.Send("GET", "/agents/a2/wait?until=idle", "", {{"Authorization", "Bearer " + daemon.token()}});
  ASSERT_TRUE(stream->UntilEvent("stream.synced"));
  ASSERT_TRUE(ended->UntilEvent("stream.synced"));
  const std::string town = daemon.town_id();
  daemon.Signal(SIGTERM);
  EXPECT_TRUE(stream->UntilEnd());
  ASSERT_NE(stream->Find("stream.bye"), nullptr);
  EXPECT_EQ(stream->Find("stream.bye")->Field("reason"), "shutdown");
  EXPECT_TRUE(ended->UntilEnd());
  ASSERT_NE(ended->Find("stream.bye"), nullptr);
  EXPECT_EQ(ended->Find("stream.bye")->Field("reason"), "shutdown");
  EXPECT_EQ(waits.Receive().Field("code"), "draining");
  EXPECT_EQ(daemon.Wait(), 0);
  EXPECT_EQ(ProcessesWith("REEVE_TOWN_ID=" + town), std::vector<pid_t>{});
  EXPECT_NE(access((daemon.data_dir() + "/runtime.json").c_str(), F_OK), 0);

  daemon.Start();
  EXPECT_NE(daemon.LogFiles("a1").find("\"bye\""), std::string::npos);
  EXPECT_EQ(Types(daemon.Events("a1", "after=0&types=run.*,agent.stopping,agent.exited")),
            (Strings{"run.started", "agent.stopping", "run.cancelled", "agent.exited"}));
  EXPECT_EQ(daemon.Get("/agents/a1").Field("state"), "exited");
  EXPECT_EQ(daemon.WaitFor("a2", "until=ready").Field("state"), "running");  // its policy brings it back
  EXPECT_EQ(Count(daemon, "a2", "run.failed"), 0U);
}

TEST(Drain, NothingNewIsTakenMeanwhile) {
  Daemon daemon;
  daemon.Create(Shell("a1", "trap '' TERM; echo up; while :; do sleep 0.1; done"));
  ASSERT_TRUE(Says(daemon, "a1", "\"up\""));
  HttpConnection client(daemon.address());
  const Headers bearer = {{"Authorization", "Bearer " + daemon.token()}};
  ASSERT_EQ(client.Call("GET", "/ready", "").status, 200);
  daemon.Signal(SIGTERM);
  ASSERT_TRUE(
      Eventually([&] { return HttpConnection(daemon.address()).Call("GET", "/ready").status == 503; }));
  HttpAnswer health = HttpConnection(daemon.address()).Call("GET", "/health");
  EXPECT_EQ(health.Field("status"), "draining");
  for (const auto& [target, body] : {std::pair{"/agents", R"({"kind":"process","command":["true"]})"},
                                     {"/agents/a1/message", R"({"text":"x"})"},
                                     {"/agents/a1/start", ""},
                                     {"/agents/a1/restart", ""}}) {
    HttpAnswer refused = daemon.Post(target, body);
    EXPECT_EQ(refused.status, 503) << target;
    EXPECT_EQ(refused.Field("code"), "draining") << target;
    EXPECT_NE(refused.Header("retry-after"), "") << target;
  }
  const std::string town = daemon.town_id();
  daemon.Signal(SIGTERM);  // a second one: at once
  EXPECT_EQ(daemon.Wait(), 130);
  EXPECT_TRUE(Eventually([&] { return ProcessesWith("REEVE_TOWN_ID=" + town).empty(); }));
}

// A jsonl program with turns whose one turn lasts until `gate` is there.
std::string Gated(const Daemon& daemon) {
  return R"({"id":"a1","kind":"jsonl","kind_options":{"turns":true},"prompt":"go","command":["/bin/sh","-c",
    "read -r line; echo '{\"type\":\"run.started\"}'; until [ -e )" +
         daemon.data_dir() +
         R"(/gate ]; do sleep 0.02; done; echo '{\"type\":\"run.completed\"}'; read -r line"]})";
}

TEST(Drain, ATurnGetsItsTimeAndWhatWaitsIsThereLater) {
  Daemon daemon;
  daemon.Create(Gated(daemon));
  ASSERT_TRUE(Eventually([&] { return Count(daemon, "a1", "run.started") == 1; }));
  const std::string waits = daemon.Post("/agents/a1/message", R"({"text":"next"})").Field("message_id");
  EXPECT_EQ(daemon.Post("/drain").status, 202);
  daemon.Signal(SIGTERM);  // the supervisor's, after a hook that drains: the first word of that kind
  ASSERT_TRUE(Eventually([&] { return daemon.Get("/health").Field("status") == "draining"; }));
  EXPECT_EQ(Count(daemon, "a1", "agent.stopping"), 0U);
  WriteFile(daemon.data_dir() + "/gate", "");
  EXPECT_EQ(daemon.Wait(), 0);
  EXPECT_EQ(daemon.output().find("in time"), std::string::npos) << daemon.output();
  daemon.Start();
  const Strings events = Types(daemon.Events("a1", "after=0&types=run.completed,agent.stopping"));
  ASSERT_GE(events.size(), 2U);
  EXPECT_EQ(events[0], "run.completed");
  EXPECT_EQ(events[1], "agent.stopping");
  // The next daemon begins with the message that waited.
  EXPECT_EQ(daemon.Get("/agents/a1/wait?message_id=" + waits).Field("status"), "completed");
}

TEST(Drain, ATurnThatDoesNotEndIsNamed) {
  Daemon::Options options;
  options.arguments = {"--drain-timeout", "1s"};
  Daemon daemon(options);
  daemon.Create(Gated(daemon));
  ASSERT_TRUE(Eventually([&] { return Count(daemon, "a1", "run.started") == 1; }));
  daemon.Signal(SIGTERM);
  EXPECT_EQ(daemon.Wait(), 0);
  EXPECT_NE(daemon.output().find("reeve: agent a1: its run r"), std::string::npos) << daemon.output();
  EXPECT_NE(daemon.log().find("did not end in time"), std::string::npos);
  daemon.Start();
  EXPECT_EQ(Count(daemon, "a1", "run.cancelled"), 1U);
  EXPECT_EQ(daemon.Get("/agents/a1").Field("queue_paused"), "false");
}

TEST(Drain, AnAgentThatWillNotEndIsKilledInTime) {
  Daemon::Options options;
  options.arguments = {"--drain-timeout", "1s"};
  Daemon daemon(options);
  daemon.Create(Shell("a1", "trap '' TERM; echo up; while :; do sleep 0.1; done"));
  ASSERT_TRUE(Says(daemon, "a1", "\"up\""));
  daemon.Signal(SIGTERM);
  EXPECT_EQ(daemon.Wait(), 0);
  daemon.Start();
  EXPECT_EQ(Types(daemon.Events("a1")).back(), "agent.exited");
  EXPECT_EQ(daemon.Get("/agents/a1").Field("exit.signal"), "9");
}

// -------------------------------------------------------------------------------------------- data folder

TEST(DataFolder, ASecondDaemonOnItIsRefused) {
  Daemon daemon;
  Daemon::Options options;
  options.data_dir = daemon.data_dir();
  options.fails = true;
  Daemon second(options);
  EXPECT_FALSE(second.listening());
  EXPECT_NE(second.log().find("another reeve uses the data folder " + daemon.data_dir()), std::string::npos)
      << second.log();
  EXPECT_EQ(daemon.Get("/agents").status, 200);
}

TEST(DataFolder, IsPrivateAndSaysHowToReachTheDaemon) {
  Daemon daemon;
  struct stat status {};
  ASSERT_EQ(stat(daemon.data_dir().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700U);
  for (const char* name : {"/token", "/runtime.json", "/reeve.db"}) {
    ASSERT_EQ(stat((daemon.data_dir() + name).c_str(), &status), 0) << name;
    EXPECT_EQ(status.st_mode & 0777, 0600U) << name;
  }
  const std::string runtime = ReadFile(daemon.data_dir() + "/runtime.json");
  EXPECT_EQ(JsonField(runtime, "pid"), std::to_string(daemon.pid()));
  EXPECT_NE(runtime.find(daemon.address()), std::string::npos);
}

// Killed after the program had the line and before the store knew, while the program said thousands of
// things.
TEST(KilledDaemon, DeliversALineOnceHoweverMuchWasSaidSince) {
  Daemon daemon;
  daemon.Create(Shell("a1", "while read line; do echo got $line; seq 5000; done", Policy("always", 9)));
  daemon.WaitFor("a1", "until=ready");
  const std::string message =
      daemon.Call("POST", "/agents/a1/message", R"({"text":"first"})", {{"Idempotency-Key", "k1"}})
          .Field("message_id");
  ASSERT_TRUE(Says(daemon, "a1", R"("text":"5000")"));
  const Strings told = daemon.Events("a1", "after=0&types=user.message");
  ASSERT_EQ(told.size(), 1U);
  const uint64_t seq = std::strtoull(JsonField(told[0], "seq").c_str(), nullptr, 10);
  daemon.Kill();
  {
    Loop loop;
    auto store = Store::Open(loop, daemon.data_dir() + "/reeve.db");
    ASSERT_TRUE(store) << store.error().message;
    Message taken{message, "first"};
    taken.taken_seq = seq - 1;
    bool stored = false;
    (*store)->PutMessage({message, "a1", taken.ToJson(), "running"},
                         [&stored](const Status& status) { stored = status.ok(); });
    ASSERT_TRUE(RunUntil(loop, [&stored] { return stored; }));
  }
  daemon.Start();
  daemon.WaitFor("a1", "until=ready");
  ASSERT_EQ(daemon.Post("/agents/a1/message", R"({"text":"second"})").status, 202);
  ASSERT_TRUE(Says(daemon, "a1", R"("text":"got second")"));
  const std::string log = daemon.LogFiles("a1");
  const std::string first = R"("text":"got first")";
  EXPECT_NE(log.find(first), std::string::npos);
  EXPECT_EQ(log.find(first), log.rfind(first));
}

}  // namespace
}  // namespace reeve
