// The agents' routes (control/api/API.md), against the real daemon.
#include <gtest/gtest.h>

#include <unistd.h>

#include "tests/support/daemon.h"

namespace reeve {
namespace {

// Programs that wait for a line and then end; that never end; that end at once.
constexpr const char* kReads = R"("kind":"process","command":["/bin/sh","-c","read line; echo got $line"])";
constexpr const char* kSleeps = R"("kind":"process","command":["sleep","600"])";
constexpr const char* kEnds = R"("kind":"process","command":["true"])";

std::string Spec(const std::string& id, const std::string& rest) {
  return R"({"id":")" + id + "\"," + rest + "}";
}

std::vector<std::string> Types(const std::vector<std::string>& events) {
  std::vector<std::string> types;
  for (const std::string& event : events) types.push_back(JsonField(event, "type"));
  return types;
}

TEST(Agents, AreMadeStartingAndShowTheirSpec) {
  Daemon daemon;
  HttpAnswer made = daemon.Post(
      "/agents", Spec("a1", std::string(kSleeps) + R"(,"title":"First","labels":{"team":"x"},"cwd":"/tmp",
                 "restart":{"policy":"on_failure","max_restarts":2,"window_ms":5000})"));
  ASSERT_EQ(made.status, 201) << made.wire;
  EXPECT_EQ(made.Header("location"), "/agents/a1");
  EXPECT_EQ(made.Field("state"), "starting");
  EXPECT_EQ(made.Field("command"), R"(["sleep","600"])");
  EXPECT_EQ(made.Field("title"), "First");
  EXPECT_EQ(made.Field("labels.team"), "x");
  EXPECT_EQ(made.Field("cwd"), "/tmp");
  EXPECT_EQ(made.Field("restart"), R"({"policy":"on_failure","max_restarts":2,"window_ms":5000})");

  HttpAnswer ready = daemon.WaitFor("a1", "until=ready");
  EXPECT_EQ(ready.Field("state"), "running");
  EXPECT_EQ(ready.Field("run.status"), "running");
  HttpAnswer got = daemon.Get("/agents/a1");
  EXPECT_EQ(got.Field("pid"), ready.Field("pid"));
  EXPECT_EQ(ReadFile("/proc/" + got.Field("pid") + "/comm"), "sleep\n");
  EXPECT_EQ(daemon.Get("/agents/a1/status").Field("pid"), got.Field("pid"));
  EXPECT_NE(got.Field("resources.rss_bytes"), "");
}

TEST(Agents, GetAnIdIfTheCallerNamesNone) {
  Daemon daemon;
  const std::string one = daemon.Create(R"({"kind":"process","command":["true"]})");
  const std::string other = daemon.Create(R"({"kind":"process","command":["true"]})");
  EXPECT_NE(one, other);
  EXPECT_EQ(daemon.Get("/agents/" + one).Field("id"), one);
}

TEST(Agents, KeepTheValuesOfTheirEnvironmentToThemselves) {
  Daemon daemon;
  HttpAnswer made =
      daemon.Post("/agents",
                  R"({"id":"a1","kind":"process","command":["/bin/sh","-c","test ${#KEY} = 9 && echo $OTHER"],
                     "env":{"KEY":"hush-4711","OTHER":"told"}})");
  EXPECT_EQ(made.Field("env"), R"(["KEY","OTHER"])");
  EXPECT_EQ(daemon.WaitFor("a1").Field("exit.code"), "0");
  EXPECT_EQ(made.body.find("hush"), std::string::npos);
  for (const char* target :
       {"/agents", "/agents/a1", "/agents/a1/snapshot", "/agents/a1/events", "/metrics"}) {
    EXPECT_EQ(daemon.Get(target).body.find("hush"), std::string::npos) << target;
  }
  EXPECT_EQ(daemon.log().find("hush"), std::string::npos);
}

TEST(Agents, InheritAFewVariablesAndNoTokenOfTheDaemon) {
  Daemon::Options options;
  options.environment = {"REEVE_TOKEN=an-admin-token-of-32-characters!", "SECRET_OF_THE_DAEMON=1",
                         "LANG=C.UTF-8"};
  Daemon daemon(options);
  HttpConnection client(daemon.address());
  const Headers bearer = {{"Authorization", "Bearer an-admin-token-of-32-characters!"}};
  ASSERT_EQ(
      client.Call("POST", "/agents", R"({"id":"a1","kind":"process","command":["env"]})", bearer).status,
      201);
  client.Call("GET", "/agents/a1/wait?until=exited", "", bearer);
  std::string said = client.Call("GET", "/agents/a1/events", "", bearer).body;
  EXPECT_NE(said.find("LANG=C.UTF-8"), std::string::npos);
  EXPECT_NE(said.find("REEVE_AGENT_ID=a1"), std::string::npos);
  EXPECT_EQ(said.find("an-admin-token"), std::string::npos);
  EXPECT_EQ(said.find("SECRET_OF_THE_DAEMON"), std::string::npos);
}

TEST(Agents, AreListedInPagesAndByStateAndLabel) {
  Daemon daemon;
  for (int i = 0; i < 7; ++i) {
    daemon.Create(Spec("a" + std::to_string(i), std::string(i % 2 ? kSleeps : kEnds) +
                                                    R"(,"labels":{"odd":")" + std::to_string(i % 2) + "\"}"));
  }
  for (int i = 0; i < 7; ++i) {
    daemon.WaitFor("a" + std::to_string(i), i % 2 ? "until=ready" : "until=exited");
  }
  std::vector<std::string> seen;
  std::string page_token;
  for (int pages = 0; pages < 10; ++pages) {
    HttpAnswer page = daemon.Get("/agents?limit=3" + page_token);
    auto json = JsonDocument::Parse(page.body);
    ASSERT_TRUE(json);
    EXPECT_LE((*json)["agents"].size(), 3U);
    for (const JsonValue& agent : (*json)["agents"].Elements()) seen.emplace_back(agent["id"].StringOr(""));
    if (page.Field("next_page_token").empty()) break;
    page_token = "&page_token=" + page.Field("next_page_token");
  }
  EXPECT_EQ(seen, (std::vector<std::string>{"a0", "a1", "a2", "a3", "a4", "a5", "a6"}));
  auto ids = [&daemon](const std::string& query) {
    std::string text;
    auto json = JsonDocument::Parse(daemon.Get("/agents?" + query).body);
    for (const JsonValue& agent : (*json)["agents"].Elements())
      text += std::string(agent["id"].StringOr("")) + " ";
    return text;
  };
  EXPECT_EQ(ids("state=running"), "a1 a3 a5 ");
  EXPECT_EQ(ids("state=exited&limit=2"), "a0 a2 ");
  EXPECT_EQ(ids("label=odd:0"), "a0 a2 a4 a6 ");
  EXPECT_EQ(ids("label=odd:1&state=exited"), "");
}

struct Refusal {
  const char* method;
  const char* target;
  const char* body;
  int status;
  const char* code;
  const char* names;  // stands in the detail
};

TEST(Agents, RefuseWithTheReasonInWords) {
  Daemon daemon;
  daemon.Create(Spec("here", kSleeps));
  daemon.Create(Spec("done", kEnds));
  daemon.WaitFor("done");
  const Refusal refusals[] = {
      {"POST", "/agents", "", 400, "invalid_request", "kind"},
      {"POST", "/agents", "{", 400, "invalid_json", ""},
      {"POST", "/agents", "[]", 400, "invalid_request", "object"},
      {"POST", "/agents", R"({"command":["true"]})", 400, "invalid_request", "kind"},
      {"POST", "/agents", R"({"kind":"nonsense","command":["true"]})", 400, "invalid_request", "nonsense"},
      {"POST", "/agents", R"({"kind":"process"})", 400, "invalid_request", "command"},
      {"POST", "/agents", R"({"kind":"process","command":["no-such-program-4711"]})", 400, "invalid_request",
       "no-such-program-4711"},
      {"POST", "/agents", R"({"kind":"process","command":["true"],"comand":[]})", 400, "invalid_request",
       "comand"},
      {"POST", "/agents", R"({"kind":"process","command":["true"],"restart":{"polcy":1}})", 400,
       "invalid_request", "restart.polcy"},
      {"POST", "/agents", R"({"kind":"process","command":["true"],"id":"Not An Id"})", 400, "invalid_request",
       "id"},
      {"POST", "/agents", R"({"kind":"process","command":["true"],"kind_options":{"stdin":3}})", 400,
       "invalid_request", "stdin"},
      {"POST", "/agents", R"({"kind":"process","command":["true"],"kind_options":{"stdn":false}})", 400,
       "invalid_request", "stdn"},
      {"POST", "/agents", R"({"kind":"process","command":["true"],"kind_options":{"turns":true}})", 400,
       "invalid_request", "turns"},
      {"POST", "/agents", R"({"kind":"process","command":["true"],"id":"here"})", 409, "agent_exists",
       "here"},
      {"GET", "/agents/nobody", "", 404, "agent_not_found", "nobody"},
      {"GET", "/agents/No%20Id", "", 404, "agent_not_found", ""},
      {"DELETE", "/agents/nobody", "", 404, "agent_not_found", "nobody"},
      {"DELETE", "/agents/here?purge=perhaps", "", 400, "invalid_request", "purge"},
      {"POST", "/agents/nobody/start", "", 404, "agent_not_found", "nobody"},
      {"POST", "/agents/nobody/message", R"({"text":"x"})", 404, "agent_not_found", "nobody"},
      {"GET", "/agents/nobody/events", "", 404, "agent_not_found", "nobody"},
      {"GET", "/agents/nobody/snapshot", "", 404, "agent_not_found", "nobody"},
      {"GET", "/agents/nobody/wait", "", 404, "agent_not_found", "nobody"},
      {"POST", "/agents/done/stop", "", 409, "not_running", "done"},
      {"POST", "/agents/done/interrupt", "", 409, "not_running", "done"},
      {"POST", "/agents/here/stop", R"({"grace_ms":-1})", 400, "invalid_request", "grace_ms"},
      {"POST", "/agents/here/stop", R"({"grace_ms":"soon"})", 400, "invalid_request", "grace_ms"},
      {"POST", "/agents/here/stop", R"({"grace":1})", 400, "invalid_request", "grace"},
      {"POST", "/agents/here/message", R"({})", 400, "invalid_request", "text"},
      {"POST", "/agents/here/message", R"({"text":""})", 400, "invalid_request", "text"},
      {"POST", "/agents/here/message", R"({"text":"x","mode":"loud"})", 400, "invalid_request", "mode"},
      {"POST", "/agents/here/message", R"({"txt":"x"})", 400, "invalid_request", "txt"},
      {"GET", "/agents?limit=0", "", 400, "invalid_request", "limit"},
      {"GET", "/agents?label=nocolon", "", 400, "invalid_request", "label"},
      {"GET", "/agents?state=asleep", "", 400, "invalid_request", "state"},
      {"GET", "/agents/here/events?limit=many", "", 400, "invalid_request", "limit"},
      {"GET", "/agents/here/events?after=yesterday", "", 400, "invalid_request", "after"},
      {"GET", "/agents/here/events?after=1-1&tail=3", "", 400, "invalid_request", "tail"},
      {"GET", "/agents/here/events?after=1-1&before=3", "", 400, "invalid_request", "before"},
      {"GET", "/agents/here/events?before=0", "", 400, "invalid_request", "before"},
      {"GET", "/agents/here/events?max_bytes=1023", "", 400, "invalid_request", "max_bytes"},
      {"GET", "/agents/here/wait?until=doomsday", "", 400, "invalid_request", "until"},
      {"GET", "/agents/here/wait?timeout_ms=50001", "", 400, "invalid_request", "timeout_ms"},
      {"GET", "/approvals?state=resolved", "", 400, "invalid_request", "state"},
      {"POST", "/agents/here/approvals/p1", R"({"decision":"allow_once"})", 404, "approval_not_found", "p1"},
      {"POST", "/agents/here/approvals/p1", R"({"decision":"perhaps"})", 400, "invalid_request", "decision"},
      {"POST", "/agents/here/approvals/p1", R"({"allow":true})", 400, "invalid_request", "allow"},
      {"PATCH", "/agents/here", R"({"resume":"s1"})", 400, "invalid_request", "resume: cannot be changed"},
      {"PATCH", "/agents/here", R"({"workspace":null})", 400, "invalid_request",
       "workspace: cannot be changed"},
      {"PATCH", "/agents/here", R"({"files":{"a":"b"}})", 400, "invalid_request", "files: cannot be changed"},
      {"PATCH", "/agents/here", R"({"titel":"x"})", 400, "invalid_request", "titel"},
      {"GET", "/nowhere", "", 404, "not_found", ""},
      {"PUT", "/agents/here", "{}", 405, "method_not_allowed", "GET"},
  };
  for (const Refusal& refusal : refusals) {
    SCOPED_TRACE(std::string(refusal.method) + " " + refusal.target + " " + refusal.body);
    HttpAnswer answer = daemon.Call(refusal.method, refusal.target, refusal.body);
    EXPECT_EQ(answer.status, refusal.status) << answer.body;
    EXPECT_EQ(answer.Header("content-type"), "application/problem+json");
    EXPECT_EQ(answer.Field("code"), refusal.code);
    EXPECT_NE(answer.Field("detail").find(refusal.names), std::string::npos) << answer.Field("detail");
    EXPECT_EQ(answer.Field("request_id"), answer.Header("x-request-id"));
  }
  EXPECT_EQ(daemon.Get("/agents/here").Field("state"), "running");
}

TEST(Agents, ThatAreDeletedLeaveTheirLogAndTheirIdUntilPurged) {
  Daemon daemon;
  daemon.Create(Spec("a1", kSleeps));
  const std::string pid = daemon.WaitFor("a1", "until=ready").Field("pid");
  EXPECT_EQ(daemon.Call("DELETE", "/agents/a1").status, 202);
  ASSERT_TRUE(Eventually([&] { return Types(daemon.Events("a1")).back() == "agent.exited"; }));
  EXPECT_NE(access(("/proc/" + pid).c_str(), F_OK), 0);
  for (const char* target : {"/agents/a1", "/agents/a1/status", "/agents/a1/snapshot", "/agents/a1/wait"}) {
    HttpAnswer gone = daemon.Get(target);
    EXPECT_EQ(gone.status, 410) << target;
    EXPECT_EQ(gone.Field("code"), "agent_deleted");
  }
  for (const char* command : {"start", "stop", "restart", "interrupt", "message", "stream-ticket"}) {
    EXPECT_EQ(daemon.Post(std::string("/agents/a1/") + command, R"({"text":"x"})").status, 410) << command;
  }
  EXPECT_EQ(daemon.Get("/agents").Field("agents"), "[]");
  EXPECT_EQ(daemon.Post("/agents", Spec("a1", kEnds)).Field("code"), "agent_exists");
  EXPECT_EQ(daemon.Call("DELETE", "/agents/a1").status, 410);

  daemon.Kill();
  daemon.Start();
  EXPECT_EQ(daemon.Get("/agents/a1").status, 410);
  EXPECT_EQ(Types(daemon.Events("a1")).back(), "agent.exited");

  EXPECT_EQ(daemon.Call("DELETE", "/agents/a1?purge=true").status, 204);
  EXPECT_EQ(daemon.Get("/agents/a1/events").status, 404);
  daemon.Create(Spec("a1", kEnds));
  daemon.WaitFor("a1");
  EXPECT_EQ(JsonField(daemon.Events("a1").front(), "seq"), "1");
}

TEST(Agents, AreDeletedAndPurgedInOneWhileTheyLive) {
  Daemon daemon;
  daemon.Create(Spec("a1", kSleeps));
  daemon.WaitFor("a1", "until=ready");
  EXPECT_EQ(daemon.Call("DELETE", "/agents/a1?purge=true").status, 202);
  EXPECT_TRUE(Eventually([&] { return daemon.Get("/agents/a1/events").status == 404; }));
  EXPECT_EQ(daemon.LogFiles("a1"), "");
}

TEST(Agents, PurgeIsRememberedByTheNextDaemon) {
  Daemon daemon;
  daemon.Create(
      Spec("a1", R"("kind":"process","command":["/bin/sh","-c","trap '' TERM; echo up; sleep 600"])"));
  ASSERT_TRUE(Eventually([&] { return daemon.LogFiles("a1").find("\"up\"") != std::string::npos; }));
  EXPECT_EQ(daemon.Call("DELETE", "/agents/a1?purge=true").status, 202);  // and it does not end by itself
  daemon.Kill();
  daemon.Start();
  EXPECT_TRUE(Eventually([&] { return daemon.Get("/agents/a1/events").status == 404; }));
}

TEST(Agents, StopStartAndRestart) {
  Daemon daemon;
  daemon.Create(Spec("a1", kSleeps));
  const std::string first = daemon.WaitFor("a1", "until=ready").Field("pid");

  EXPECT_EQ(daemon.Post("/agents/a1/stop", R"({"grace_ms":1000})").status, 202);
  HttpAnswer ended = daemon.WaitFor("a1");
  EXPECT_EQ(ended.Field("state"), "exited");
  EXPECT_EQ(ended.Field("exit.signal"), "15");
  EXPECT_EQ(ended.Field("last_run.status"), "cancelled");

  EXPECT_EQ(daemon.Post("/agents/a1/start").status, 202);
  const std::string second = daemon.WaitFor("a1", "until=ready").Field("pid");
  EXPECT_NE(second, first);
  EXPECT_EQ(daemon.Post("/agents/a1/start").status, 202);  // lives already

  EXPECT_EQ(daemon.Post("/agents/a1/restart").status, 202);
  ASSERT_TRUE(Eventually([&] {
    HttpAnswer now = daemon.Get("/agents/a1");
    return now.Field("state") == "running" && now.Field("pid") != second;
  }));
  EXPECT_EQ(daemon.Post("/agents/a1/stop", R"({"grace_ms":0})").status, 202);
  daemon.WaitFor("a1");

  const std::vector<std::string> life = {"agent.starting", "run.started",   "agent.ready",
                                         "agent.stopping", "run.cancelled", "agent.exited"};
  std::vector<std::string> three_lives;
  for (int i = 0; i < 3; ++i) three_lives.insert(three_lives.end(), life.begin(), life.end());
  EXPECT_EQ(Types(daemon.Events("a1")), three_lives);
}

TEST(Agents, StartAgainWhenToldWhileTheyStop) {
  Daemon daemon;
  daemon.Create(
      Spec("a1", R"("kind":"process","command":["/bin/sh","-c","trap '' TERM; echo up; sleep 600"])"));
  ASSERT_TRUE(Eventually([&] { return daemon.LogFiles("a1").find("\"up\"") != std::string::npos; }));
  const std::string first = daemon.Get("/agents/a1").Field("pid");
  EXPECT_EQ(daemon.Post("/agents/a1/stop", R"({"grace_ms":600})").status, 202);
  EXPECT_EQ(daemon.Post("/agents/a1/start").status, 202);
  ASSERT_TRUE(Eventually([&] {
    HttpAnswer now = daemon.Get("/agents/a1");
    return now.Field("state") == "running" && now.Field("pid") != first;
  }));
}

TEST(Agents, AMessageIsALineOnTheProgramsStdin) {
  Daemon daemon;
  daemon.Create(Spec("a1", kReads));
  daemon.WaitFor("a1", "until=ready");
  HttpAnswer sent = daemon.Post("/agents/a1/message", R"({"text":"héllo"})");
  EXPECT_EQ(sent.status, 202);
  EXPECT_EQ(sent.Field("disposition"), "delivered");
  EXPECT_NE(sent.Field("message_id"), "");
  daemon.WaitFor("a1");
  std::vector<std::string> events = daemon.Events("a1");
  const size_t seq = std::stoul(sent.Field("seq"));
  ASSERT_LE(seq, events.size());
  EXPECT_EQ(JsonField(events[seq - 1], "type"), "user.message");
  EXPECT_EQ(JsonField(events[seq - 1], "data.text"), "héllo");
  EXPECT_EQ(JsonField(events[events.size() - 3], "data.text"), "got héllo");
}

TEST(Agents, AMessageStartsAnExitedProgramAndReachesIt) {
  Daemon daemon;
  daemon.Create(Spec("a1", kReads));
  daemon.Post("/agents/a1/message", R"({"text":"one"})");
  daemon.WaitFor("a1");
  HttpAnswer sent = daemon.Post("/agents/a1/message", R"({"text":"two"})");
  EXPECT_EQ(sent.status, 202);
  EXPECT_EQ(sent.Field("disposition"), "queued");
  ASSERT_TRUE(Eventually([&] { return daemon.LogFiles("a1").find("got two") != std::string::npos; }));
  EXPECT_EQ(daemon.WaitFor("a1").Field("queue_depth"), "0");
}

TEST(Agents, ThePromptIsTheFirstMessage) {
  Daemon daemon;
  daemon.Create(Spec("a1", std::string(kReads) + R"(,"prompt":"begin")"));
  daemon.WaitFor("a1");
  EXPECT_NE(daemon.LogFiles("a1").find("got begin"), std::string::npos) << daemon.LogFiles("a1");
}

TEST(Agents, AnInterruptIsASignalAndTheRunIsCancelled) {
  Daemon daemon;
  daemon.Create(Spec(
      "a1",
      R"("kind":"process","command":["/bin/sh","-c","trap 'echo int; exit 0' INT; echo up; while :; do sleep 0.02; done"])"));
  ASSERT_TRUE(Eventually([&] { return daemon.LogFiles("a1").find("\"up\"") != std::string::npos; }));
  EXPECT_EQ(daemon.Post("/agents/a1/interrupt").status, 202);
  EXPECT_EQ(daemon.WaitFor("a1").Field("last_run.status"), "cancelled");
  EXPECT_NE(daemon.LogFiles("a1").find("\"int\""), std::string::npos);
}

TEST(Agents, TakeAHundredWaitingMessagesAndNoMore) {
  Daemon daemon;
  daemon.Create(R"({"id":"a1","kind":"jsonl","command":["sleep","600"],"kind_options":{"turns":true}})");
  daemon.WaitFor("a1", "until=ready");
  EXPECT_EQ(daemon.Post("/agents/a1/message", R"({"text":"run"})").Field("disposition"), "started");
  // All at once: what is on its way to the disk counts too.
  const Headers bearer = {{"Authorization", "Bearer " + daemon.token()}};
  std::vector<HttpConnection> clients;
  for (int i = 0; i < 110; ++i) clients.emplace_back(daemon.address());
  for (HttpConnection& client : clients)
    client.Send("POST", "/agents/a1/message", R"({"text":"wait"})", bearer);
  int accepted = 0;
  for (HttpConnection& client : clients) {
    HttpAnswer answer = client.Receive();
    if (answer.status == 202) {
      ++accepted;
      EXPECT_EQ(answer.Field("disposition"), "queued");
    } else {
      EXPECT_EQ(answer.status, 429);
      EXPECT_EQ(answer.Field("code"), "queue_full");
      EXPECT_NE(answer.Header("retry-after"), "");
    }
  }
  EXPECT_EQ(accepted, 100);
  EXPECT_EQ(daemon.Get("/agents/a1").Field("queue_depth"), "100");
}

TEST(Agents, EventsComeInPagesByCursorTailAndType) {
  Daemon daemon;
  daemon.Create(Spec("a1", R"("kind":"process","command":["seq","1","50"])"));
  daemon.WaitFor("a1");
  const std::vector<std::string> all = daemon.Events("a1");
  ASSERT_EQ(all.size(), 55U);
  for (size_t i = 0; i < all.size(); ++i) EXPECT_EQ(JsonField(all[i], "seq"), std::to_string(i + 1));

  std::vector<std::string> by_seven;
  std::string cursor = "0";
  for (int pages = 0; pages < 20; ++pages) {
    HttpAnswer page = daemon.Get("/agents/a1/events?limit=7&after=" + cursor);
    EXPECT_EQ(page.Field("gap"), "null");
    auto json = JsonDocument::Parse(page.body);
    for (const JsonValue& event : (*json)["events"].Elements()) by_seven.push_back(event.Raw());
    if ((*json)["events"].size() == 0) break;
    cursor = page.Field("cursor");
  }
  EXPECT_EQ(by_seven, all);
  EXPECT_EQ(daemon.Get("/agents/a1/events?after=" + cursor).Field("cursor"), cursor);

  EXPECT_EQ(daemon.Events("a1", "tail=3"), (std::vector<std::string>(all.end() - 3, all.end())));
  EXPECT_EQ(daemon.Events("a1", "tail=1000"), all);
  EXPECT_EQ(Types(daemon.Events("a1", "after=0&types=agent.exited,run.*")),
            (std::vector<std::string>{"run.started", "run.completed", "agent.exited"}));
  EXPECT_EQ(daemon.Events("a1", "after=0&types=agent.output").size(), 50U);

  HttpAnswer future = daemon.Get("/agents/a1/events?after=99999-1");
  EXPECT_EQ(future.status, 200);
  EXPECT_EQ(future.Field("gap.reason"), "lost");
  EXPECT_EQ(future.Field("gap.from"), "99999-1");
}

TEST(Agents, ASnapshotIsOfOneLogPosition) {
  Daemon daemon;
  daemon.Create(Spec(
      "a1",
      R"("kind":"jsonl","command":["/bin/sh","-c","echo '{\"type\":\"assistant.message\",\"text\":\"over\"}'; for w in so far; do echo '{\"type\":\"assistant.delta\",\"text\":\"'$w'\"}'; done; read line"])"));
  ASSERT_TRUE(Eventually([&] { return daemon.LogFiles("a1").find("far") != std::string::npos; }));
  HttpAnswer snapshot = daemon.Get("/agents/a1/snapshot");
  EXPECT_EQ(snapshot.Field("agent.state"), "running");
  EXPECT_EQ(snapshot.Field("run.status"), "running");
  EXPECT_EQ(snapshot.Field("open"),
            R"({"texts":[{"kind":"assistant","text":"sofar"}],"calls":[],"plan":null})");
  EXPECT_EQ(snapshot.Field("pending"), "[]");
  EXPECT_EQ(snapshot.Field("agent.cursor"), snapshot.Field("cursor"));
  // The cursor leaves out exactly the later events.
  daemon.Post("/agents/a1/message", R"({"text":"go"})");
  daemon.WaitFor("a1");
  EXPECT_EQ(Types(daemon.Events("a1", "after=" + snapshot.Field("cursor"))),
            (std::vector<std::string>{"user.message", "run.completed", "agent.exited"}));
  HttpAnswer later = daemon.Get("/agents/a1/snapshot");
  EXPECT_EQ(later.Field("run"), "null");
  EXPECT_EQ(later.Field("open.texts"), "[]");
}

// ---------------------------------------------------------------------------------------------------- wait

TEST(Wait, AnswersAtOnceWhatIsSoAlready) {
  Daemon daemon;
  daemon.Create(Spec("a1", kEnds));
  daemon.WaitFor("a1");
  HttpAnswer run = daemon.Get("/agents/a1/wait?until=terminal&timeout_ms=0");
  EXPECT_EQ(run.status, 200);
  EXPECT_EQ(run.Field("status"), "completed");
  EXPECT_EQ(run.Field("exit_code"), "0");
  for (const char* until : {"exited", "idle", "ready"}) {
    HttpAnswer agent = daemon.Get(std::string("/agents/a1/wait?timeout_ms=0&until=") + until);
    EXPECT_EQ(agent.status, 200) << until;
    EXPECT_EQ(agent.Field("state"), "exited") << until;
  }
}

TEST(Wait, EndsByItsTimeOut) {
  Daemon daemon;
  daemon.Create(Spec("a1", kSleeps));
  daemon.WaitFor("a1", "until=ready");
  for (const char* until : {"exited", "idle", "terminal"}) {
    EXPECT_EQ(daemon.Get(std::string("/agents/a1/wait?timeout_ms=30&until=") + until).status, 204) << until;
  }
}

TEST(Wait, HearsOfTheEndThatComesLater) {
  Daemon daemon;
  daemon.Create(Spec("a1", kReads));
  const std::string run = daemon.WaitFor("a1", "until=ready").Field("run.run_id");
  HttpConnection terminal(daemon.address());
  HttpConnection exited(daemon.address());
  HttpConnection next(daemon.address());
  const Headers bearer = {{"Authorization", "Bearer " + daemon.token()}};
  terminal.Send("GET", "/agents/a1/wait?until=terminal", "", bearer);
  exited.Send("GET", "/agents/a1/wait?until=exited", "", bearer);
  next.Send("GET", "/agents/a1/wait?until=terminal&after_run=" + run, "", bearer);
  daemon.Post("/agents/a1/message", R"({"text":"x"})");
  EXPECT_EQ(terminal.Receive().Field("run_id"), run);
  EXPECT_EQ(exited.Receive().Field("exit.code"), "0");
  daemon.Post("/agents/a1/message", R"({"text":"again"})");
  HttpAnswer second = next.Receive();
  EXPECT_EQ(second.Field("status"), "completed");
  EXPECT_NE(second.Field("run_id"), run);
}

TEST(Wait, KnowsTheRunOfEachMessageAlsoLater) {
  Daemon daemon;
  // Says for each line how its turn ended: the line itself.
  daemon.Create(
      R"({"id":"a1","kind":"jsonl","command":["/bin/sh","-c","while read how; do echo '{\"type\":\"run.'$how'\"}'; done"],
          "kind_options":{"turns":true}})");
  const std::string one = daemon.Post("/agents/a1/message", R"({"text":"completed"})").Field("message_id");
  EXPECT_EQ(daemon.WaitFor("a1", "until=terminal&message_id=" + one).Field("status"), "completed");
  const std::string two = daemon.Post("/agents/a1/message", R"({"text":"failed"})").Field("message_id");
  EXPECT_EQ(daemon.WaitFor("a1", "until=terminal&message_id=" + two).Field("status"), "failed");
  HttpAnswer late = daemon.Get("/agents/a1/wait?timeout_ms=0&until=terminal&message_id=" + one);
  EXPECT_EQ(late.Field("status"), "completed");
  EXPECT_EQ(late.Field("message_id"), one);
  EXPECT_EQ(daemon.Get("/agents/a1/wait?until=terminal&message_id=m00").status, 404);
  EXPECT_EQ(daemon.WaitFor("a1", "until=idle").Field("state"), "idle");
}

TEST(Wait, IsToldWhenTheAgentIsPurged) {
  Daemon daemon;
  daemon.Create(Spec("a1", kSleeps));
  daemon.WaitFor("a1", "until=ready");
  HttpConnection waits(daemon.address());
  waits.Send("GET", "/agents/a1/wait?until=idle", "", {{"Authorization", "Bearer " + daemon.token()}});
  EXPECT_EQ(daemon.Call("DELETE", "/agents/a1?purge=true").status, 202);
  EXPECT_NE(waits.Receive().status, 0);
}

TEST(Approvals, AreNoneWhereNoneAreAskedFor) {
  Daemon daemon;
  EXPECT_EQ(daemon.Get("/approvals").body, R"({"approvals":[]})");
  EXPECT_EQ(daemon.Get("/approvals?state=pending").status, 200);
}

}  // namespace
}  // namespace reeve
