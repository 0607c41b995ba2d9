// Another daemon follows the present one, after an upgrade and after kill -9 (KEEPER.md): agents notice
// nothing, whatever they do meanwhile. upgrade_test.cc tests failures of upgrades, crash_test.cc what only a
// crash can do.
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "process/proc.h"
#include "tests/support/scripted_agent.h"
#include "tests/support/shell_agent.h"

namespace reeve {
namespace {

using Strings = std::vector<std::string>;

std::string StateOf(const Daemon& daemon, const std::string& agent) {
  return daemon.Get("/agents/" + agent).Field("state");
}

bool UntilState(const Daemon& daemon, const std::string& agent, const std::string& state) {
  return Eventually([&] { return StateOf(daemon, agent) == state; });
}

bool UntilEvent(const Daemon& daemon, const std::string& agent, const std::string& type, size_t count = 1) {
  return Eventually([&] { return Fields(daemon, agent, type, "type").size() >= count; });
}

Strings Numbers(int from, int to) {
  Strings numbers;
  for (int i = from; i <= to; ++i) numbers.push_back(std::to_string(i));
  return numbers;
}

// `seq` without a hole or a double; and no event tells of the handover.
void ExpectWhole(const Daemon& daemon, const std::string& agent) {
  const Strings events = daemon.Events(agent);
  for (size_t i = 0; i < events.size(); ++i) {
    ASSERT_EQ(JsonField(events[i], "seq"), std::to_string(i + 1)) << events[i];
  }
}

size_t Zombies(pid_t parent) {
  size_t zombies = 0;
  for (pid_t child : ChildrenOf(parent)) {
    auto stat = StatProcess(child);
    if (stat && stat->zombie) ++zombies;
  }
  return zombies;
}

// Lines 1 to `last`, slowly at first, then a burst, then the end.
std::string Counts(int last) {
  return "i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo $i; [ $((i % 10)) -eq 0 ] && sleep 0.05; done; "
         "seq 301 " +
         std::to_string(last);
}

// The parameter: whether the daemon dies, in place of an upgrade.
class Handover : public testing::TestWithParam<bool> {
 protected:
  static bool Follows(const Daemon& daemon) { return GetParam() ? daemon.Crash() : daemon.HandOver(); }
  // Each daemon starts at once, however many have died.
  static Daemon::Options AtOnce() {
    Daemon::Options options;
    options.arguments = {"--restart-delay", "0"};
    return options;
  }
};

INSTANTIATE_TEST_SUITE_P(, Handover, testing::Bool(),
                         [](const auto& test) { return test.param ? "Crash" : "Upgrade"; });

TEST_P(Handover, TwentyInARowUnderLoadLoseNothingAndLeakNothing) {
  Daemon daemon(AtOnce());
  Strings agents;
  for (int i = 0; i < 5; ++i) agents.push_back(daemon.Create(Shell("a" + std::to_string(i), Counts(3'000))));
  daemon.Create(Shell("quiet", "sleep 1000; sleep 1000"));
  ASSERT_TRUE(UntilState(daemon, "quiet", "running"));
  ASSERT_TRUE(Follows(daemon));
  const std::string pid = daemon.Get("/agents/quiet").Field("pid");
  std::string followed;
  std::string cursor = "0";
  size_t rounds = 0;
  for (; rounds < 20; ++rounds) {
    auto viewer = daemon.Stream("/agents/a0/stream?follow=1&after=" + cursor);
    ASSERT_TRUE(viewer->UntilEvent("stream.hello"));
    ASSERT_TRUE(Follows(daemon));
    ASSERT_TRUE(viewer->UntilEnd());
    EXPECT_EQ(viewer->Find("stream.gap"), nullptr);
    EXPECT_EQ(viewer->malformed(), "");
    followed += viewer->events();
    if (!viewer->last_id().empty()) cursor = viewer->last_id();
  }
  for (const std::string& agent : agents) {
    daemon.WaitFor(agent);
    EXPECT_TRUE(Fields(daemon, agent, "agent.output", "data.text") == Numbers(1, 3'000)) << agent;
    EXPECT_EQ(
        Fields(daemon, agent, "agent.starting,agent.ready,agent.exited,run.started,run.completed", "type"),
        (Strings{"agent.starting", "run.started", "agent.ready", "run.completed", "agent.exited"}));
    ExpectWhole(daemon, agent);
  }
  auto rest = daemon.Stream("/agents/a0/stream?follow=1&after=" + cursor);
  const std::string whole = daemon.LogFiles("a0");
  EXPECT_TRUE(rest->Until([&] { return followed.size() + rest->events().size() >= whole.size(); }));
  EXPECT_TRUE(followed + rest->events() == whole) << "the viewer lost or doubled something";
  EXPECT_EQ(daemon.Get("/agents/quiet").Field("pid"), pid);
  EXPECT_EQ(StateOf(daemon, "quiet"), "running");

  rest.reset();
  EXPECT_TRUE(Eventually([&] { return Zombies(daemon.keeper()) == 0; }));
  auto at_rest = [&daemon] {
    return Eventually([&daemon] { return daemon.OpenDescriptors() <= 40; }) ? daemon.OpenDescriptors() : 1000;
  };
  ASSERT_TRUE(Follows(daemon));
  const size_t descriptors = at_rest();
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(Follows(daemon));
  // Fewer are no fault: the connection that asked whether the handover is over may have been counted before.
  EXPECT_TRUE(Eventually([&] { return daemon.OpenDescriptors() <= descriptors; }))
      << descriptors << " descriptors became " << daemon.OpenDescriptors();
  EXPECT_EQ(ChildrenOf(daemon.keeper()).size(), 2U) << "the daemon and one agent";
}

TEST_P(Handover, InputThatTheProgramHasNotTakenReachesIt) {
  Daemon daemon(AtOnce());
  const std::string go = daemon.data_dir() + "/go";
  const std::string piece(200'000, 'x');
  const size_t bytes = (piece.size() + 1) * 5;
  daemon.Create(Shell("a1", "echo ready; while ! test -e " + go + "; do sleep 0.01; done; head -c " +
                                std::to_string(bytes) + " | sha256sum"));
  ASSERT_TRUE(Says(daemon, "a1", "ready"));
  for (int i = 0; i < 5; ++i) {
    const std::string text = piece.substr(1) + std::to_string(i);
    ASSERT_EQ(daemon.Post("/agents/a1/message", JsonObject().Set("text", text).Take()).status, 202);
    if (i % 2 != 0) continue;
    ASSERT_TRUE(Follows(daemon));
  }
  WriteFile(go, "");
  ASSERT_TRUE(Follows(daemon));
  daemon.WaitFor("a1");
  const std::string own = daemon.data_dir() + "/expected";
  std::string all;
  for (int i = 0; i < 5; ++i) all += piece.substr(1) + std::to_string(i) + "\n";
  WriteFile(own, all);
  daemon.Create(Shell("a2", "sha256sum < " + own));
  daemon.WaitFor("a2");
  const Strings got = Fields(daemon, "a1", "agent.output", "data.text");
  ASSERT_EQ(got.size(), 2U);
  EXPECT_EQ(got[1], Fields(daemon, "a2", "agent.output", "data.text").at(0));
}

TEST_P(Handover, ABackoffGoesOn) {
  Daemon daemon(AtOnce());
  daemon.Create(Shell("a1", "exit 1", R"("restart":{"policy":"on_failure","max_restarts":2},)"));
  ASSERT_TRUE(UntilState(daemon, "a1", "backoff"));
  ASSERT_TRUE(Follows(daemon));
  ASSERT_TRUE(UntilState(daemon, "a1", "failed"));
  // Asked anew, it would have begun at its first attempt again.
  EXPECT_EQ(Fields(daemon, "a1", "agent.restarting", "data.attempt"), (Strings{"1", "2"}));
  EXPECT_EQ(Fields(daemon, "a1", "agent.failed", "data.code"), Strings{"crash_loop"});
  EXPECT_EQ(Fields(daemon, "a1", "agent.exited", "data.code"), (Strings{"1", "1", "1"}));
  ExpectWhole(daemon, "a1");
}

TEST_P(Handover, AStopKeepsItsGrace) {
  Daemon daemon(AtOnce());
  const std::string stubborn = "trap 'echo told' TERM; echo ready; while :; do sleep 0.02; done";
  for (const char* id : {"long", "short"}) {
    daemon.Create(Shell(id, stubborn));
    ASSERT_TRUE(Says(daemon, id, "ready"));
  }
  ASSERT_EQ(daemon.Post("/agents/long/stop", R"({"grace_ms":100000})").status, 202);
  ASSERT_EQ(daemon.Post("/agents/short/stop", R"({"grace_ms":2000})").status, 202);
  ASSERT_TRUE(Says(daemon, "short", "told"));
  ASSERT_TRUE(Follows(daemon));
  EXPECT_EQ(daemon.WaitFor("short").Field("state"), "exited");
  EXPECT_EQ(Fields(daemon, "short", "agent.exited", "data.signal"), Strings{"9"});
  EXPECT_EQ(StateOf(daemon, "long"), "stopping");
  daemon.Post("/agents/long/stop", R"({"grace_ms":0})");
  EXPECT_EQ(daemon.WaitFor("long").Field("state"), "exited");
  const Strings said = Fields(daemon, "long", "agent.output", "data.text");
  EXPECT_EQ(std::count(said.begin(), said.end(), "told"), 1) << "asked to end a second time";
}

// --------------------------------------------------------------------------------------------- kinds, turns

constexpr const char* kClaudeReady =
    R"(< {"type":"control_response","response":{"subtype":"success","request_id":"initialize-1","response":{}}})";
constexpr const char* kTurn = R"(< {"type":"system","subtype":"init","session_id":"s-1"})";
constexpr const char* kEnd =
    R"(< {"type":"result","subtype":"success","is_error":false,"terminal_reason":"completed","session_id":"s-1"})";

std::string Asks(const std::string& id, const std::string& command) {
  return R"(< {"type":"control_request","request_id":")" + id +
         R"(","request":{"subtype":"can_use_tool","tool_name":"Bash","tool_use_id":"call-)" + id +
         R"(","input":{"command":")" + command + R"("}}})";
}

TEST_P(Handover, WhatWaitsForAPersonIsAnsweredAfterwards) {
  Daemon daemon(AtOnce());
  CreateScripted(daemon, "a1", "claude",
                 {"> initialize", kClaudeReady, "> prompt", kTurn, Asks("p1", "mkdir x"),
                  Asks("p2", "mkdir y"), "> answer", "> answer", kEnd, "> never"},
                 R"(,"prompt":"go")");
  ASSERT_TRUE(UntilEvent(daemon, "a1", "approval.requested", 2));
  ASSERT_EQ(daemon.Post("/agents/a1/approvals/p1", R"({"decision":"allow_once"})").status, 200);
  ASSERT_TRUE(Follows(daemon));
  EXPECT_EQ(StateOf(daemon, "a1"), "needs_input");
  EXPECT_EQ(daemon.Post("/agents/a1/approvals/p1", R"({"decision":"deny"})").status, 409);
  ASSERT_EQ(daemon.Post("/agents/a1/approvals/p2", R"({"decision":"deny"})").status, 200);
  ASSERT_TRUE(UntilEvent(daemon, "a1", "run.completed"));
  EXPECT_EQ(Fields(daemon, "a1", "approval.requested", "data.id"), (Strings{"p1", "p2"}));
  EXPECT_EQ(Fields(daemon, "a1", "approval.resolved", "data.decision"), (Strings{"allow_once", "deny"}));
  EXPECT_EQ(Fields(daemon, "a1", "run.started", "type").size(), 1U);
  ExpectWhole(daemon, "a1");
}

TEST_P(Handover, MessagesThatWaitKeepTheirOrder) {
  Daemon daemon(AtOnce());
  CreateScripted(daemon, "a1", "claude",
                 {"> initialize", kClaudeReady, "> prompt", kTurn, Asks("p1", "ls"), "> answer", kEnd,
                  "> prompt", kTurn, kEnd, "> prompt", kTurn, kEnd, "> never"},
                 R"(,"prompt":"one")");
  ASSERT_TRUE(UntilState(daemon, "a1", "needs_input"));
  for (const char* text : {"two", "three"}) {
    ASSERT_EQ(daemon.Post("/agents/a1/message", JsonObject().Set("text", text).Take()).status, 202);
  }
  ASSERT_TRUE(Follows(daemon));
  EXPECT_EQ(daemon.Get("/agents/a1").Field("queue_depth"), "2");
  ASSERT_EQ(daemon.Post("/agents/a1/approvals/p1", R"({"decision":"allow_once"})").status, 200);
  ASSERT_TRUE(UntilEvent(daemon, "a1", "run.completed", 3));
  EXPECT_EQ(Fields(daemon, "a1", "user.message", "data.text"), (Strings{"one", "two", "three"}));
  EXPECT_EQ(Fields(daemon, "a1", "message.done", "type").size(), 3U);
  ExpectWhole(daemon, "a1");
}

TEST_P(Handover, AScheduledMessageComesInItsTimeAndOnce) {
  Daemon daemon(AtOnce());
  daemon.Create(Shell("a1", "while read line; do echo \"got $line\"; done"));
  ASSERT_TRUE(UntilState(daemon, "a1", "running"));
  const std::string soon = R"({"text":"soon","delay_ms":1500})";
  ASSERT_EQ(daemon.Post("/agents/a1/message", soon).status, 202);
  ASSERT_EQ(daemon.Post("/agents/a1/message", R"({"text":"late","delay_ms":3600000})").status, 202);
  ASSERT_TRUE(Follows(daemon));
  ASSERT_TRUE(Says(daemon, "a1", "got soon"));
  ASSERT_TRUE(Follows(daemon));
  EXPECT_EQ(Fields(daemon, "a1", "agent.output", "data.text"), Strings{"got soon"});
  EXPECT_NE(daemon.Get("/agents/a1/queue").body.find("\"late\""), std::string::npos);
  ExpectWhole(daemon, "a1");
}

TEST_P(Handover, AJsonRpcAgentIsSteeredAfterwards) {
  Daemon daemon(AtOnce());
  const std::string turn = R"("params":{"threadId":"h","turn":{"id":"t","items":[],"status":")";
  CreateScripted(daemon, "a1", "codex",
                 {"> initialize", R"(< {"id":1,"result":{}})", "> initialized", "> thread/start",
                  R"(< {"id":2,"result":{"thread":{"id":"h"}}})", "> turn/start",
                  R"(< {"id":3,"result":{"turn":{"id":"t","items":[],"status":"inProgress"}}})",
                  R"(< {"method":"turn/started",)" + turn + R"(inProgress"}}})", "> turn/steer",
                  R"(< {"id":4,"result":{"turnId":"t"}})",
                  R"(< {"method":"turn/completed",)" + turn + R"(completed"}}})", "> never"},
                 R"(,"prompt":"work")");
  ASSERT_TRUE(UntilState(daemon, "a1", "running"));
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(Follows(daemon));
  HttpAnswer sent = daemon.Post("/agents/a1/message", R"({"text":"left a bit","mode":"steer"})");
  EXPECT_EQ(sent.Field("disposition"), "steered") << sent.wire;
  ASSERT_TRUE(UntilEvent(daemon, "a1", "run.completed"));
  EXPECT_EQ(Fields(daemon, "a1", "user.message", "data.text"), (Strings{"work", "left a bit"}));
  ExpectWhole(daemon, "a1");
}

TEST_P(Handover, HalfALineIsHandedOver) {
  Daemon daemon(AtOnce());
  const std::string go = daemon.data_dir() + "/go";
  daemon.Create(R"({"id":"a1","kind":"jsonl","command":["/bin/sh","-c",)" + [&go] {
    std::string script;
    AppendJsonString(script, "echo '{\"ready\":1}'; printf '{\"whole\":'; while ! test -e " + go +
                                 "; do sleep 0.01; done; echo 'true}'");
    return script;
  }() + "]}");
  ASSERT_TRUE(Eventually([&] { return daemon.LogFiles("a1").find("ready") != std::string::npos; }));
  ASSERT_TRUE(Follows(daemon));
  WriteFile(go, "");
  daemon.WaitFor("a1");
  EXPECT_EQ(Fields(daemon, "a1", "agent.output", "data.json.whole").back(), "true");
  EXPECT_EQ(Fields(daemon, "a1", "agent.output", "type").size(), 2U);
}

// ------------------------------------------------------------------------------------------ those who watch

TEST_P(Handover, TicketsAndCookiesResumeWithoutAGap) {
  Daemon daemon(AtOnce());
  daemon.Create(Shell("a1", Counts(1'000)));
  const std::string by_cookie = daemon.TicketUrl("a1", R"({"after":"0"})");
  const std::string unused = daemon.TicketUrl("a1");
  StreamClient first(daemon.address(), by_cookie, {});
  ASSERT_TRUE(first.UntilEvent("stream.hello"));
  StreamClient by_ticket(daemon.address(), daemon.TicketUrl("a1", R"({"after":"0"})"), {});
  ASSERT_TRUE(by_ticket.UntilEvent("stream.hello"));
  ASSERT_TRUE(Follows(daemon));
  ASSERT_TRUE(first.UntilEnd());
  ASSERT_TRUE(by_ticket.UntilEnd());

  std::string cookie = first.Header("set-cookie");
  cookie.resize(cookie.find(';'));
  StreamClient second(daemon.address(), by_cookie,
                      {{{"Cookie", cookie}, {"Last-Event-ID", first.last_id()}}, 0, true});
  StreamClient resumed(daemon.address(),
                       "/agents/a1/stream?ticket=" + by_ticket.Find("stream.hello")->Field("resume") +
                           "&after=" + by_ticket.last_id(),
                       {});
  ASSERT_TRUE(second.UntilEnd());
  ASSERT_TRUE(resumed.UntilEnd());
  EXPECT_EQ(second.status(), 200);
  EXPECT_EQ(resumed.status(), 200);
  EXPECT_EQ(second.Find("stream.gap"), nullptr);
  EXPECT_TRUE(first.events() + second.events() == daemon.LogFiles("a1"));
  EXPECT_TRUE(by_ticket.events() + resumed.events() == daemon.LogFiles("a1"));
  StreamClient late(daemon.address(), unused, {});
  late.UntilHead();
  EXPECT_EQ(late.status(), 200) << "a ticket that nobody had used yet";
}

TEST_P(Handover, ALongWaitIsAskedAgain) {
  Daemon daemon(AtOnce());
  daemon.Create(Shell("a1", "read line; exit 5"));
  ASSERT_TRUE(UntilState(daemon, "a1", "running"));
  HttpConnection waiting(daemon.address());
  waiting.Send("GET", "/agents/a1/wait?until=exited&timeout_ms=20000", "",
               {{"Authorization", "Bearer " + daemon.token()}});
  EXPECT_EQ(daemon.Get("/health").status, 200);  // the request before it was taken, too
  ASSERT_TRUE(Follows(daemon));
  EXPECT_EQ(waiting.Receive().status, 0) << "its connection was to end";
  ASSERT_EQ(daemon.Post("/agents/a1/message", R"({"text":"go"})").status, 202);
  EXPECT_EQ(daemon.WaitFor("a1").Field("exit.code"), "5");
}

TEST_P(Handover, AUnixSocketStaysWhereItIs) {
  TempDir folder;
  const std::string path = folder.path() + "/reeve.sock";
  Daemon::Options options;
  options.listen = "unix://" + path;
  Daemon daemon(options);
  daemon.Create(Shell("a1", "sleep 1000; sleep 1000"));
  ASSERT_TRUE(Follows(daemon));
  EXPECT_EQ(StateOf(daemon, "a1"), "running");
  EXPECT_EQ(JsonField(ReadFile(daemon.data_dir() + "/runtime.json"), "listen"), "[\"unix://" + path + "\"]");
  daemon.Signal(SIGTERM);
  EXPECT_EQ(daemon.Wait(), 0);
  EXPECT_FALSE(std::filesystem::exists(path));
}

// --------------------------------------------------------------------------------------- and the daemon's
// end

TEST_P(Handover, KilledRightAfterwardsItComesBackAsAfterAnyCrash) {
  Daemon daemon(AtOnce());
  daemon.Create(Shell("a1", "echo alive; sleep 1000; sleep 1000", R"("restart":{"policy":"always"},)"));
  ASSERT_TRUE(Says(daemon, "a1", "alive"));
  const pid_t pid = std::atoi(daemon.Get("/agents/a1").Field("pid").c_str());
  ASSERT_TRUE(Follows(daemon));
  daemon.Kill();
  EXPECT_TRUE(Eventually([pid] { return StartTime(pid) == 0; })) << "its parent's death is not told to it";
  daemon.Start();
  ASSERT_TRUE(UntilEvent(daemon, "a1", "agent.starting", 2));
  EXPECT_EQ(Fields(daemon, "a1", "run.failed", "data.error.code"), Strings{"daemon_restarted"});
  ExpectWhole(daemon, "a1");
}

TEST_P(Handover, AfterItADrainEndsEverything) {
  Daemon daemon(AtOnce());
  daemon.Create(Shell("a1", "setsid sleep 1000 & echo up; sleep 1000; sleep 1000"));
  ASSERT_TRUE(Says(daemon, "a1", "up"));
  const std::string town = daemon.town_id();
  ASSERT_TRUE(Follows(daemon));
  daemon.Signal(SIGTERM);
  EXPECT_EQ(daemon.Wait(), 0);
  EXPECT_TRUE(ProcessesWith("REEVE_TOWN_ID=" + town).empty());
}

std::string CgroupOf(pid_t pid) {
  const std::string all = ReadFile("/proc/" + std::to_string(pid) + "/cgroup");
  const size_t at = all.find("0::");
  return at == std::string::npos ? "" : all.substr(at, all.find('\n', at) - at);
}

TEST_P(Handover, ItsCgroupGoesOnAndGoesInTheEnd) {
  Daemon daemon(AtOnce());
  daemon.Create(Shell("a1", "setsid env -i sleep 1000 >/dev/null 2>&1 & echo up; sleep 1000; sleep 1000"));
  ASSERT_TRUE(Says(daemon, "a1", "up"));
  const pid_t pid = std::atoi(daemon.Get("/agents/a1").Field("pid").c_str());
  const std::string cgroup = CgroupOf(pid);
  if (cgroup.empty() || cgroup == CgroupOf(daemon.pid())) GTEST_SKIP() << "no cgroups here";
  ASSERT_TRUE(Follows(daemon));
  EXPECT_EQ(CgroupOf(pid), cgroup);
  daemon.Post("/agents/a1/stop", R"({"grace_ms":0})");
  EXPECT_EQ(daemon.WaitFor("a1").Field("state"), "exited");
  EXPECT_TRUE(Eventually([&] { return ChildrenOf(daemon.keeper()).size() == 1; }))
      << "what left its session lives on";
  daemon.Create(Shell("a2", "sleep 1000; sleep 1000"));
  ASSERT_TRUE(UntilState(daemon, "a2", "running"));
  EXPECT_NE(CgroupOf(std::atoi(daemon.Get("/agents/a2").Field("pid").c_str())), cgroup);
}

}  // namespace
}  // namespace reeve
