// Messages that wait for their time, are taken back, sent twice with one key; and what is remembered of them
// (control/api/API.md, "Messages").
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "process/clock.h"
#include "tests/support/daemon.h"
#include "tests/support/old_store.h"

namespace reeve {
namespace {

using Strings = std::vector<std::string>;

// A jsonl program with turns: each line is one, over at once, or when `gate` is there if it says "gated".
std::string Worker(const Daemon& daemon, const std::string& id, const std::string& more = "") {
  WriteFile(daemon.data_dir() + "/worker.sh", R"(
trap 'exit 1' INT
while read -r line; do
  echo '{"type":"run.started"}'
  case "$line" in *gated*) until [ -e )" + daemon.data_dir() +
                                                  R"(/gate ]; do sleep 0.02; done ;; esac
  case "$line" in
    *fails*) echo '{"type":"run.failed","error":{"code":"told_to","message":"as told"}}' ;;
    *) echo '{"type":"run.completed"}' ;;
  esac
done
)");
  return R"({"id":")" + id + R"(","kind":"jsonl","kind_options":{"turns":true},"command":["/bin/bash",")" +
         daemon.data_dir() + R"(/worker.sh"])" + more + "}";
}

Strings Texts(const Daemon& daemon, const std::string& agent = "a1") {
  Strings texts;
  for (const std::string& event : daemon.Events(agent, "after=0&types=user.message"))
    texts.push_back(JsonField(event, "data.text"));
  return texts;
}

bool UntilTexts(const Daemon& daemon, const Strings& texts) {
  return Eventually([&] { return Texts(daemon) == texts; });
}

bool UntilState(const Daemon& daemon, const std::string& state) {
  return Eventually([&] { return daemon.Get("/agents/a1").Field("state") == state; });
}

HttpAnswer Say(const Daemon& daemon, const std::string& text, const std::string& more = "") {
  return daemon.Post("/agents/a1/message", R"({"text":")" + text + "\"" + more + "}");
}

// --- scheduled

TEST(Messages, AScheduledOneFiresInItsTimeAndNeverBlocksWhatIsDue) {
  Daemon daemon;
  daemon.Create(Worker(daemon, "a1"));
  const int64_t sent = SystemClock().WallMs();
  HttpAnswer later = Say(daemon, "later", R"(,"delay_ms":700)");
  EXPECT_EQ(later.status, 202);
  EXPECT_EQ(later.Field("disposition"), "scheduled");
  EXPECT_EQ(Say(daemon, "now").status, 202);
  HttpAnswer agent = daemon.Get("/agents/a1");
  EXPECT_EQ(agent.Field("scheduled"), "1");
  ASSERT_TRUE(UntilTexts(daemon, {"now", "later"}));
  EXPECT_GE(SystemClock().WallMs() - sent, 700);
  const Strings queued = daemon.Events("a1", "after=0&types=message.queued");
  ASSERT_EQ(queued.size(), 2U);
  EXPECT_GE(ParseTime(JsonField(queued[0], "data.run_at")).value_or(0), sent + 700);
}

TEST(Messages, WhatFallsDueWhileBusyWaitsForItsTurnInOrder) {
  Daemon daemon;
  daemon.Create(Worker(daemon, "a1", R"(,"prompt":"gated")"));
  ASSERT_TRUE(UntilState(daemon, "running"));
  Say(daemon, "third", R"(,"delay_ms":200)");
  Say(daemon, "second", R"(,"delay_ms":100)");
  ASSERT_TRUE(Eventually([&] { return daemon.Get("/agents/a1").Field("queue_depth") == "2"; }));
  EXPECT_EQ(daemon.Get("/agents/a1").Field("scheduled"), "");
  WriteFile(daemon.data_dir() + "/gate", "");
  EXPECT_TRUE(UntilTexts(daemon, {"gated", "second", "third"}));
}

TEST(Messages, OneThatFallsDueWakesAnExitedAgentThoughItsQueueIsPaused) {
  Daemon daemon;
  daemon.Create(Worker(daemon, "a1", R"(,"prompt":"gated fails")"));
  ASSERT_TRUE(UntilState(daemon, "running"));
  Say(daemon, "waits");
  Say(daemon, "due", R"(,"delay_ms":900)");
  WriteFile(daemon.data_dir() + "/gate", "");
  ASSERT_TRUE(Eventually([&] { return daemon.Get("/agents/a1").Field("queue_paused") == "true"; }));
  EXPECT_EQ(daemon.Post("/agents/a1/stop").status, 202);
  ASSERT_TRUE(UntilState(daemon, "exited"));
  // It runs first, and when it has completed the rest follows.
  EXPECT_TRUE(UntilTexts(daemon, {"gated fails", "due", "waits"}));
}

TEST(Messages, OverdueOnesFireOnceAndInOrderAfterARestart) {
  Daemon daemon;
  daemon.Create(Worker(daemon, "a1"));
  ASSERT_TRUE(UntilState(daemon, "idle"));
  const int64_t first = SystemClock().WallMs() + 1'500;  // time enough to send them all
  for (int i = 9; i >= 1; --i) {
    Say(daemon, std::to_string(i), R"(,"run_at":")" + FormatTime(first + i * 10) + "\"");
  }
  Say(daemon, "tomorrow", R"(,"delay_ms":86400000)");
  daemon.Kill();
  ASSERT_TRUE(Eventually([&] { return SystemClock().WallMs() > first + 100; }));
  daemon.Start();
  const Strings all = {"1", "2", "3", "4", "5", "6", "7", "8", "9"};
  EXPECT_TRUE(UntilTexts(daemon, all));
  daemon.Kill();
  daemon.Start();
  ASSERT_EQ(daemon.WaitFor("a1", "until=idle").status, 200);
  EXPECT_EQ(Texts(daemon), all);
  EXPECT_EQ(daemon.Get("/agents/a1").Field("scheduled"), "1");
}

TEST(Messages, WhatWasDueKeepsItsOrderThroughARestart) {
  Daemon daemon;
  daemon.Create(Worker(daemon, "a1", R"(,"prompt":"gated")"));
  ASSERT_TRUE(UntilState(daemon, "running"));
  const int64_t now = SystemClock().WallMs();
  for (const char* late : {"third", "second", "first"}) {
    const int64_t at = now + 300 + (late[0] == 't' ? 200 : late[0] == 's' ? 100 : 0);
    Say(daemon, late, R"(,"run_at":")" + FormatTime(at) + "\"");
  }
  ASSERT_TRUE(Eventually([&] { return daemon.Get("/agents/a1").Field("queue_depth") == "3"; }));
  daemon.Kill();
  WriteFile(daemon.data_dir() + "/gate", "");
  daemon.Start();
  EXPECT_TRUE(UntilTexts(daemon, {"gated", "first", "second", "third"}));
}

TEST(Messages, AKeyIsFreeAgainWhenItsDayIsOver) {
  Daemon daemon;
  daemon.Create(Worker(daemon, "a1"));
  const Headers key = {{"Idempotency-Key", "nightly"}};
  auto say = [&] { return daemon.Call("POST", "/agents/a1/message", R"({"text":"night"})", key); };
  const std::string first = say().Field("message_id");
  ASSERT_TRUE(UntilTexts(daemon, {"night"}));
  ASSERT_EQ(daemon.WaitFor("a1", "until=idle").status, 200);
  daemon.Kill();
  MakeOlder(daemon.data_dir() + "/reeve.db", 25 * 3'600'000);
  daemon.Start();
  HttpAnswer second = say();
  EXPECT_EQ(second.status, 202);
  EXPECT_NE(second.Field("message_id"), first);
  EXPECT_TRUE(UntilTexts(daemon, {"night", "night"}));
}

TEST(Messages, WhatAStopHoldsNoRestartSetsFree) {
  Daemon daemon;
  daemon.Create(Worker(daemon, "a1", R"(,"prompt":"gated")"));
  ASSERT_TRUE(UntilState(daemon, "running"));
  Say(daemon, "due", R"(,"delay_ms":1)");
  ASSERT_TRUE(Eventually([&] { return daemon.Get("/agents/a1").Field("queue_depth") == "1"; }));
  EXPECT_EQ(daemon.Post("/agents/a1/stop", R"({"grace_ms":0})").status, 202);
  ASSERT_TRUE(UntilState(daemon, "exited"));
  daemon.Kill();
  daemon.Start();
  EXPECT_EQ(daemon.Get("/agents/a1").Field("state"), "exited");
  EXPECT_EQ(daemon.Get("/agents/a1").Field("queue_depth"), "1");
  EXPECT_EQ(Texts(daemon), Strings({"gated"}));
}

TEST(Messages, TenThousandAreScheduledAndNoMore) {
  Daemon daemon;
  daemon.Create(Worker(daemon, "a1"));
  HttpConnection connection(daemon.address());
  const Headers token = {{"Authorization", "Bearer " + daemon.token()}};
  const int64_t begin = SystemClock().WallMs();
  constexpr int64_t kHourMs = 3'600'000;
  const std::string at = FormatTime(begin + kHourMs);  // one moment for all
  const std::string body = R"(,"run_at":")" + at + "\"}";
  constexpr int kMany = 10'000;
  constexpr int kAtOnce = 100;
  for (int i = 0; i < kMany; i += kAtOnce) {
    std::vector<std::unique_ptr<HttpConnection>> connections;
    for (int k = 0; k < kAtOnce; ++k) {
      connections.push_back(std::make_unique<HttpConnection>(daemon.address()));
      connections.back()->Send("POST", "/agents/a1/message",
                               R"({"text":")" + std::to_string(i + k) + "\"" + body, token);
    }
    for (auto& one : connections) ASSERT_EQ(one->Receive().status, 202);
  }
  EXPECT_EQ(connection.Call("POST", "/agents/a1/message", R"({"text":"more")" + body, token).status, 429);
  EXPECT_EQ(Say(daemon, "due").status, 202);
  EXPECT_EQ(daemon.Get("/agents/a1").Field("scheduled"), std::to_string(kMany));
  daemon.Kill();
  MakeOlder(daemon.data_dir() + "/reeve.db", kHourMs);
  daemon.Start();
  ASSERT_TRUE(Eventually([&] { return daemon.Get("/agents/a1").Field("scheduled").empty(); }, 120'000));
  ASSERT_TRUE(Eventually([&] { return daemon.WaitFor("a1", "until=idle").status == 200; }, 200'000));
  std::vector<int> order;
  std::string cursor = "0";
  for (;;) {
    HttpAnswer page = daemon.Get("/agents/a1/events?types=user.message&limit=10000&after=" + cursor);
    auto json = JsonDocument::Parse(page.body);
    ASSERT_TRUE(json);
    const auto events = (*json)["events"].Elements();
    for (const JsonValue& event : events) {
      const std::string text((event)["data"]["text"].StringOr(""));
      if (text != "due") order.push_back(std::stoi(text));
    }
    if (page.Field("cursor") == cursor) break;
    cursor = page.Field("cursor");
  }
  ASSERT_EQ(order.size(), static_cast<size_t>(kMany));
  // Batches of one connection each may arrive in any order; each message once.
  std::vector<int> sorted = order;
  std::sort(sorted.begin(), sorted.end());
  for (int i = 0; i < kMany; ++i) ASSERT_EQ(sorted[static_cast<size_t>(i)], i);
}

TEST(Messages, ATimeThatMakesNoSenseIsRefused) {
  Daemon daemon;
  daemon.Create(Worker(daemon, "a1"));
  for (const char* wrong : {R"(,"delay_ms":-1)", R"(,"delay_ms":"5s")", R"(,"delay_ms":1e30)",
                            R"(,"run_at":"soon")", R"(,"run_at":5)", R"(,"run_at":"9999-01-01T00:00:00Z")",
                            R"(,"delay_ms":5,"run_at":"2026-01-01T00:00:00Z")"}) {
    HttpAnswer answer = Say(daemon, "x", wrong);
    EXPECT_EQ(answer.status, 400) << wrong;
    EXPECT_NE(answer.Field("detail").find(std::string(wrong).substr(2, 5)), std::string::npos) << answer.body;
  }
  // A time in the past is due.
  EXPECT_EQ(Say(daemon, "x", R"(,"run_at":"2020-01-01T00:00:00Z")").status, 202);
  EXPECT_TRUE(UntilTexts(daemon, {"x"}));
}

// --- the queue

TEST(Messages, WhatHasNotBegunCanBeTakenBack) {
  Daemon daemon;
  daemon.Create(Worker(daemon, "a1", R"(,"prompt":"gated")"));
  ASSERT_TRUE(UntilState(daemon, "running"));
  const std::string running = daemon.Get("/agents/a1").Field("run.message_id");
  const std::string waits = Say(daemon, "waits").Field("message_id");
  const std::string later = Say(daemon, "later", R"(,"delay_ms":600000)").Field("message_id");
  Say(daemon, "stays");
  HttpAnswer queue = daemon.Get("/agents/a1/queue");
  auto json = JsonDocument::Parse(queue.body);
  ASSERT_TRUE(json);
  ASSERT_EQ((*json)["messages"].size(), 3U) << queue.body;
  EXPECT_EQ((*json)["messages"].At(0)["text"].StringOr(""), "waits");
  EXPECT_EQ((*json)["messages"].At(2)["message_id"].StringOr(""), later);
  EXPECT_NE((*json)["messages"].At(2)["run_at"].StringOr(""), "");

  for (const std::string& id : {waits, later})
    EXPECT_EQ(daemon.Call("DELETE", "/agents/a1/queue/" + id).status, 204);
  EXPECT_EQ(daemon.Call("DELETE", "/agents/a1/queue/" + running).Field("code"), "already_started");
  EXPECT_EQ(daemon.Call("DELETE", "/agents/a1/queue/" + waits).Field("code"), "message_not_found");
  EXPECT_EQ(daemon.Events("a1", "after=0&types=message.cancelled").size(), 2U);
  EXPECT_EQ(daemon.Get("/agents/a1/wait?message_id=" + waits).Field("status"), "cancelled");
  daemon.Kill();
  WriteFile(daemon.data_dir() + "/gate", "");
  daemon.Start();
  EXPECT_TRUE(UntilTexts(daemon, {"gated", "stays"}));
  EXPECT_EQ(daemon.Get("/agents/a1/wait?message_id=" + later).Field("status"), "cancelled");
}

TEST(Messages, ADeletedAgentsMessagesAreCancelled) {
  Daemon daemon;
  daemon.Create(Worker(daemon, "a1", R"(,"prompt":"gated")"));
  ASSERT_TRUE(UntilState(daemon, "running"));
  Say(daemon, "waits");
  Say(daemon, "later", R"(,"delay_ms":1)");
  EXPECT_EQ(daemon.Call("DELETE", "/agents/a1").status, 202);
  ASSERT_TRUE(Eventually([&] { return !daemon.Events("a1", "after=0&types=agent.exited").empty(); }));
  EXPECT_EQ(daemon.Events("a1", "after=0&types=message.cancelled").size(), 2U);
  daemon.Kill();
  daemon.Start();
  EXPECT_EQ(Texts(daemon), Strings({"gated"}));
}

// --- once

TEST(Messages, TheSameKeyAndBodyActOnce) {
  Daemon daemon;
  daemon.Create(Worker(daemon, "a1"));
  auto say = [&](const std::string& text, const std::string& key) {
    return daemon.Call("POST", "/agents/a1/message", R"({"text":")" + text + "\"}",
                       {{"Idempotency-Key", key}});
  };
  HttpAnswer first = say("once", "k1");
  EXPECT_EQ(first.status, 202);
  HttpAnswer again = say("once", "k1");
  EXPECT_EQ(again.status, 202);
  EXPECT_EQ(again.body, first.body);
  EXPECT_EQ(again.Header("idempotent-replayed"), "true");
  EXPECT_EQ(say("twice", "k1").Field("code"), "key_reused");
  EXPECT_EQ(say("twice", "k2").status, 202);
  EXPECT_EQ(say("bad key", "k 3").status, 400);
  daemon.Kill();
  daemon.Start();
  EXPECT_EQ(say("once", "k1").body, first.body);
  EXPECT_EQ(say("twice", "k1").status, 422);
  ASSERT_EQ(daemon.WaitFor("a1", "until=idle").status, 200);
  EXPECT_EQ(Texts(daemon), Strings({"once", "twice"}));
}

TEST(Messages, ARequestThatFailedLeavesNoKey) {
  Daemon daemon;
  const Headers key = {{"Idempotency-Key", "k1"}};
  EXPECT_EQ(daemon.Call("POST", "/agents/a1/message", R"({"text":"x"})", key).status, 404);
  daemon.Create(Worker(daemon, "a1"));
  EXPECT_EQ(daemon.Call("POST", "/agents/a1/message", R"({"text":"x"})", key).status, 202);
  EXPECT_EQ(daemon.Call("POST", "/agents/a1/message", R"({"text":"x"})", key).status, 202);
  EXPECT_TRUE(UntilTexts(daemon, {"x"}));
}

TEST(Messages, OfTwoWithOneKeyAtOnceOneActs) {
  Daemon daemon;
  daemon.Create(Worker(daemon, "a1"));
  for (int round = 0; round < 20; ++round) {
    const Headers headers = {{"Authorization", "Bearer " + daemon.token()},
                             {"Idempotency-Key", "k" + std::to_string(round)}};
    HttpConnection one(daemon.address());
    HttpConnection two(daemon.address());
    one.Send("POST", "/agents/a1/message", R"({"text":"x"})", headers);
    two.Send("POST", "/agents/a1/message", R"({"text":"x"})", headers);
    HttpAnswer a = one.Receive();
    HttpAnswer b = two.Receive();
    EXPECT_TRUE(a.status == 202 || b.status == 202);
    for (const HttpAnswer& answer : {a, b}) {
      EXPECT_TRUE(answer.status == 202 || answer.Field("code") == "request_under_way") << answer.body;
    }
  }
  ASSERT_EQ(daemon.WaitFor("a1", "until=idle").status, 200);
  EXPECT_EQ(Texts(daemon).size(), 20U);
}

TEST(Messages, AnAgentIsMadeOnceByOneKey) {
  Daemon daemon;
  const Headers key = {{"Idempotency-Key", "make"}};
  const std::string spec = R"({"kind":"process","command":["/bin/true"]})";
  HttpAnswer first = daemon.Call("POST", "/agents", spec, key);
  EXPECT_EQ(first.status, 201);
  HttpAnswer again = daemon.Call("POST", "/agents", spec, key);
  EXPECT_EQ(again.status, 201);
  EXPECT_EQ(again.Field("id"), first.Field("id"));
  EXPECT_EQ(again.Header("location"), first.Header("location"));
  auto list = JsonDocument::Parse(daemon.Get("/agents").body);
  EXPECT_EQ((*list)["agents"].size(), 1U);
}

// --- runs

TEST(Messages, RunsAreRemembered) {
  Daemon daemon;
  daemon.Create(Worker(daemon, "a1"));
  Strings messages;
  for (const char* text : {"one", "two fails", "three"}) {
    messages.push_back(Say(daemon, text).Field("message_id"));
    ASSERT_EQ(daemon.Get("/agents/a1/wait?message_id=" + messages.back()).status, 200);
  }
  daemon.Kill();
  daemon.Start();
  auto page = JsonDocument::Parse(daemon.Get("/agents/a1/runs").body);
  ASSERT_EQ((*page)["runs"].size(), 3U);
  for (size_t i = 0; i < 3; ++i) {
    const JsonValue run = (*page)["runs"].At(i);
    EXPECT_EQ(run["message_id"].StringOr(""), messages[2 - i]);
    EXPECT_EQ(run["status"].StringOr(""), i == 1 ? "failed" : "completed");
    EXPECT_EQ(daemon.Get("/agents/a1/runs/" + std::string(run["run_id"].StringOr(""))).body, run.Raw());
    EXPECT_EQ(daemon.Get("/agents/a1/wait?message_id=" + messages[2 - i]).body, run.Raw());
  }
  EXPECT_EQ((*page)["runs"].At(1)["error"]["code"].StringOr(""), "told_to");

  auto first = JsonDocument::Parse(daemon.Get("/agents/a1/runs?limit=2").body);
  EXPECT_EQ((*first)["runs"].size(), 2U);
  const std::string token((*first)["next_page_token"].StringOr(""));
  auto rest = JsonDocument::Parse(daemon.Get("/agents/a1/runs?limit=2&page_token=" + token).body);
  EXPECT_EQ((*rest)["runs"].size(), 1U);
  EXPECT_FALSE((*rest)["next_page_token"]);
  EXPECT_EQ(daemon.Get("/agents/a1/runs/r1").Field("code"), "run_not_found");
  EXPECT_EQ(daemon.Get("/agents/a1/runs/x").status, 404);
  EXPECT_EQ(daemon.Get("/agents/a1/wait?message_id=mnone").Field("code"), "message_not_found");
}

TEST(Messages, ARunThatTheDaemonDidNotSurviveIsRemembered) {
  Daemon daemon;
  daemon.Create(Worker(daemon, "a1", R"(,"prompt":"gated")"));
  ASSERT_TRUE(UntilState(daemon, "running"));
  const std::string message = daemon.Get("/agents/a1").Field("run.message_id");
  daemon.Kill();
  daemon.Start();
  HttpAnswer run = daemon.Get("/agents/a1/wait?message_id=" + message);
  EXPECT_EQ(run.Field("status"), "failed");
  EXPECT_EQ(run.Field("error.code"), "daemon_restarted");
  EXPECT_EQ(JsonDocument::Parse(daemon.Get("/agents/a1/runs").body)->root()["runs"].size(), 1U);
  EXPECT_EQ(Texts(daemon), Strings({"gated"}));
}

// --- PATCH

TEST(Messages, TheSpecCanBeChanged) {
  Daemon daemon;
  daemon.Create(
      Worker(daemon, "a1", R"(,"labels":{"team":"a","tier":"1"},"env":{"KEPT":"1","GONE":"s3cr3t-value"})"));
  HttpAnswer patched = daemon.Call("PATCH", "/agents/a1",
                                   R"({"title":"New","starred":true,"labels":{"tier":null,"zone":"z"},
      "env":{"GONE":null,"ADDED":"an0ther-secret"},"limits":{"wall_ms":5000},"restart":{"policy":"always"}})");
  EXPECT_EQ(patched.status, 200) << patched.body;
  EXPECT_EQ(patched.Field("title"), "New");
  EXPECT_EQ(patched.Field("starred"), "true");
  EXPECT_EQ(patched.Field("labels"), R"({"team":"a","zone":"z"})");
  EXPECT_EQ(patched.Field("env"), R"(["ADDED","KEPT"])");
  EXPECT_EQ(patched.Field("limits.wall_ms"), "5000");
  EXPECT_EQ(patched.Field("applies"), "next_start");
  const Strings events = daemon.Events("a1", "after=0&types=agent.updated");
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(JsonField(events[0], "data.title"), "New");
  EXPECT_EQ(events[0].find("secret"), std::string::npos);
  EXPECT_EQ(daemon.Call("PATCH", "/agents/a1", R"({"title":"Other"})").Field("applies"), "");

  for (const char* wrong :
       {R"({"id":"b"})", R"({"limits":{"wall_ms":-1}})", R"([])", R"({"command":["/no/such"]})",
        R"({"labels":{"a:b":"c"}})", R"({"permissions":{"default":"maybe"}})"}) {
    EXPECT_EQ(daemon.Call("PATCH", "/agents/a1", wrong).status, 400) << wrong;
  }
  for (const char* impossible :
       {R"({"model":"x"})", R"({"system_prompt":"x"})", R"({"kind_options":{"turns":false}})"})
    EXPECT_EQ(daemon.Call("PATCH", "/agents/a1", impossible).Field("code"), "not_supported") << impossible;
  EXPECT_EQ(daemon.Post("/agents/a1/message", R"({"text":"x","model":"m"})").Field("code"), "not_supported");
  daemon.Kill();
  daemon.Start();
  HttpAnswer after = daemon.Get("/agents/a1");
  EXPECT_EQ(after.Field("title"), "Other");
  EXPECT_EQ(after.Field("labels"), R"({"team":"a","zone":"z"})");
  EXPECT_EQ(after.Field("restart.policy"), "always");
}

TEST(Messages, AnAgentWhoseFolderIsGoneStartsInAnother) {
  Daemon daemon;
  const TempDir dir;
  const std::string gone = dir.path() + "/gone";
  ASSERT_EQ(mkdir(gone.c_str(), 0700), 0);
  daemon.Create(R"({"id":"a1","kind":"process","command":["/bin/pwd"],"cwd":")" + gone + "\"}");
  EXPECT_EQ(daemon.WaitFor("a1", "until=exited").status, 200);
  ASSERT_EQ(rmdir(gone.c_str()), 0);
  EXPECT_EQ(daemon.Post("/agents/a1/start").status, 202);
  ASSERT_TRUE(Eventually([&] { return daemon.Get("/agents/a1").Field("state") == "failed"; }));
  const HttpAnswer patched = daemon.Call("PATCH", "/agents/a1", R"({"cwd":")" + dir.path() + "\"}");
  EXPECT_EQ(patched.status, 200) << patched.body;
  EXPECT_EQ(patched.Field("cwd"), dir.path());
  EXPECT_EQ(daemon.Post("/agents/a1/start").status, 202);
  EXPECT_TRUE(Eventually([&] {
    const Strings said = daemon.Events("a1", "after=0&types=agent.output");
    return !said.empty() && JsonField(said.back(), "data.text").find(dir.path()) == 0 &&
           JsonField(said.back(), "data.text").find("gone") == std::string::npos;
  }));
}

TEST(Messages, ALimitThatIsChangedHoldsForTheRunThatIsOpen) {
  Daemon daemon;
  daemon.Create(Worker(daemon, "a1", R"(,"prompt":"gated","limits":{"wall_ms":600000})"));
  ASSERT_TRUE(UntilState(daemon, "running"));
  EXPECT_EQ(daemon.Call("PATCH", "/agents/a1", R"({"limits":{"wall_ms":1}})").status, 200);
  EXPECT_TRUE(Eventually([&] { return !daemon.Events("a1", "after=0&types=run.failed").empty(); }));
}

// --- lines for a program, whose life is the run

// Ends by a line "end".
constexpr const char* kProgram =
    R"({"id":"a1","kind":"process","command":["/bin/sh","-c","while read line; do [ $line = end ] && exit; done"]})";

TEST(Messages, ALinesRunIsTheOneItWasDeliveredIn) {
  Daemon daemon;
  daemon.Create(kProgram);
  ASSERT_TRUE(UntilState(daemon, "running"));
  const std::string run = daemon.Get("/agents/a1").Field("run.run_id");
  const HttpAnswer sent = Say(daemon, "hello");
  EXPECT_EQ(sent.Field("disposition"), "delivered");
  const std::string wait = "/agents/a1/wait?message_id=" + sent.Field("message_id");
  EXPECT_EQ(daemon.Get(wait + "&timeout_ms=0").status, 204);
  HttpConnection waits(daemon.address());
  waits.Send("GET", wait, "", {{"Authorization", "Bearer " + daemon.token()}});
  const HttpAnswer end = Say(daemon, "end");
  HttpAnswer ended = waits.Receive();
  EXPECT_EQ(ended.status, 200) << ended.wire;
  EXPECT_EQ(ended.Field("run_id"), run);
  EXPECT_EQ(ended.Field("status"), "completed");
  // Long after, in another run and another daemon.
  EXPECT_EQ(daemon.Post("/agents/a1/start").status, 202);
  ASSERT_TRUE(UntilState(daemon, "running"));
  daemon.Kill();
  daemon.Start();
  EXPECT_EQ(daemon.Get(wait).Field("run_id"), run);
  EXPECT_EQ(daemon.Get("/agents/a1/wait?message_id=" + end.Field("message_id")).Field("run_id"), run);
}

TEST(Messages, AScheduledLinesRunIsTheOneItComesTo) {
  Daemon daemon;
  daemon.Create(kProgram);
  ASSERT_TRUE(UntilState(daemon, "running"));
  const std::string first = daemon.Get("/agents/a1").Field("run.run_id");
  const std::string later = Say(daemon, "end", R"(,"delay_ms":1200)").Field("message_id");
  HttpConnection waits(daemon.address());
  waits.Send("GET", "/agents/a1/wait?message_id=" + later, "",
             {{"Authorization", "Bearer " + daemon.token()}});
  Say(daemon, "end");  // the end of another run than that line's
  ASSERT_TRUE(UntilState(daemon, "exited"));
  HttpAnswer ended = waits.Receive();
  EXPECT_EQ(ended.Field("status"), "completed") << ended.wire;
  EXPECT_NE(ended.Field("run_id"), first);
  EXPECT_EQ(ended.body, daemon.Get("/agents/a1/runs/" + ended.Field("run_id")).body);
  // One that was taken back never had any.
  const std::string never = Say(daemon, "end", R"(,"delay_ms":86400000)").Field("message_id");
  EXPECT_EQ(daemon.Call("DELETE", "/agents/a1/queue/" + never).status, 204);
  EXPECT_EQ(daemon.Get("/agents/a1/wait?message_id=" + never).Field("status"), "cancelled");
}

TEST(Messages, WhoWaitsForALineThatNeverWasIsToldSo) {
  Daemon daemon;
  daemon.Create(kProgram);
  ASSERT_TRUE(UntilState(daemon, "running"));
  HttpAnswer unknown = daemon.Get("/agents/a1/wait?message_id=mnone");
  EXPECT_EQ(unknown.status, 404);
  EXPECT_EQ(unknown.Field("code"), "message_not_found");
}

// --- how much

TEST(Messages, WhatWaitsIsBoundedInBytesToo) {
  Daemon daemon;
  daemon.Create(Worker(daemon, "a1", R"(,"prompt":"gated")"));
  ASSERT_TRUE(UntilState(daemon, "running"));
  const std::string large(size_t{1'000'000}, 'x');
  std::string one;
  for (int i = 0; i < 67; ++i) {
    HttpAnswer answer = Say(daemon, large, R"(,"delay_ms":86400000)");
    ASSERT_EQ(answer.status, 202) << i << answer.body;
    one = answer.Field("message_id");
  }
  auto refused = [&daemon, &large] {
    HttpAnswer answer = Say(daemon, large);
    EXPECT_EQ(answer.status, 429);
    EXPECT_NE(answer.Header("retry-after"), "");
    EXPECT_NE(answer.Field("detail").find("64MiB"), std::string::npos) << answer.body;
    return answer.Field("code") == "queue_full";
  };
  EXPECT_TRUE(refused());
  EXPECT_EQ(Say(daemon, "small").status, 202);
  const std::string metrics = daemon.Get("/metrics").body;
  EXPECT_NE(metrics.find("\nreeve_messages_waiting 1\n"), std::string::npos);
  EXPECT_NE(metrics.find("\nreeve_messages_scheduled 67\n"), std::string::npos);
  EXPECT_NE(metrics.find("\nreeve_message_bytes 67000005\n"), std::string::npos);
  // Messages on disk count too, and withdrawn messages no longer count.
  ASSERT_TRUE(daemon.HandOver());
  EXPECT_TRUE(refused());
  daemon.Kill();
  daemon.Start();
  EXPECT_TRUE(refused());
  EXPECT_EQ(daemon.Call("DELETE", "/agents/a1/queue/" + one).status, 204);
  EXPECT_EQ(Say(daemon, large).status, 202);
}

// A daemon that is built with sanitizers aborts when its checkpoint lacks a change.
TEST(Messages, ThatArriveBesideOutputAreInTheCheckpoint) {
  Daemon daemon;
  WriteFile(daemon.data_dir() + "/talker.sh",
            R"(read -r line; while :; do echo '{"type":"assistant.message","text":"on and on"}'; done)");
  daemon.Create(R"({"id":"a1","kind":"jsonl","kind_options":{"turns":true},"command":["/bin/sh",")" +
                daemon.data_dir() + R"(/talker.sh"]})");
  ASSERT_EQ(Say(daemon, "begin").status, 202);
  ASSERT_TRUE(Eventually([&] { return daemon.LogFiles("a1").find("on and on") != std::string::npos; }));
  for (int i = 0; i < 30; ++i) {
    const std::string text = R"({"text":")" + std::to_string(i) + "\"}";
    for (int times = 0; times < 2; ++times) {
      const Headers headers = {{"Idempotency-Key", std::to_string(i)}};
      EXPECT_EQ(daemon.Call("POST", "/agents/a1/message", text, headers).status, 202) << i;
    }
    EXPECT_EQ(daemon.Post("/agents/a1/message", R"({"messages":[{"text":"a"},{"text":"b"}]})").status, 202);
  }
  EXPECT_EQ(daemon.Get("/health").Field("restarts"), "0") << daemon.log();
}

}  // namespace
}  // namespace reeve
