// Waiting messages, messages that a stop holds, and messages that wake an agent (control/api/API.md,
// "Messages"), in combination.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <string>
#include <vector>

#include "tests/support/command.h"
#include "tests/support/scripted_agent.h"

namespace reeve {
namespace {

using Strings = std::vector<std::string>;

Strings Fields(const Daemon& daemon, const std::string& types, const std::string& field) {
  Strings fields;
  for (const std::string& event : daemon.Events("a1", "after=0&types=" + types))
    fields.push_back(JsonField(event, field));
  return fields;
}

size_t Count(const Daemon& daemon, const std::string& types) { return Fields(daemon, types, "type").size(); }

bool UntilState(const Daemon& daemon, const std::string& state) {
  return Eventually([&] { return daemon.Get("/agents/a1").Field("state") == state; });
}

bool UntilCount(const Daemon& daemon, const std::string& types, size_t count) {
  return Eventually([&] { return Count(daemon, types) >= count; });
}

HttpAnswer Say(const Daemon& daemon, const std::string& text, const std::string& mode = "followup") {
  return daemon.Post("/agents/a1/message", R"({"text":")" + text + R"(","mode":")" + mode + "\"}");
}

// A jsonl program with turns: a line is a turn, which lasts until `gate` exists or it is interrupted.
std::string Gated(const Daemon& daemon, const std::string& more = "") {
  WriteFile(daemon.data_dir() + "/a1.sh", R"(
trap 'stop=1' INT
while read -r line; do
  echo '{"type":"run.started"}'
  until [ -e )" + daemon.data_dir() + R"(/gate ] || [ "$stop" ]; do sleep 0.02; done
  if [ "$stop" ]; then echo '{"type":"run.cancelled"}'; else echo '{"type":"run.completed"}'; fi
  stop=
done
)");
  return R"({"id":"a1","kind":"jsonl","kind_options":{"turns":true},"command":["/bin/bash",")" +
         daemon.data_dir() + R"(/a1.sh"])" + more + "}";
}

// --- early exits

TEST(Wake, AProgramThatEndsAtOnceIsNotStartedForItsMessageForEver) {
  Daemon daemon;
  daemon.Create(R"({"id":"a1","kind":"claude","prompt":"go","command":["/bin/false"]})");
  ASSERT_TRUE(UntilState(daemon, "failed"));
  EXPECT_EQ(Count(daemon, "agent.starting"), 1U);
  EXPECT_EQ(Count(daemon, "agent.failed"), 1U);
  EXPECT_EQ(daemon.Get("/agents/a1").Field("queue_depth"), "0");
  EXPECT_EQ(Fields(daemon, "message.done", "data.status"), Strings{"failed"});
  EXPECT_EQ(Fields(daemon, "message.done", "data.reason"),
            Strings{"the process ended with code 1 before it was ready"});
  // A new message is a new try.
  EXPECT_EQ(Say(daemon, "again").status, 202);
  ASSERT_TRUE(UntilCount(daemon, "agent.failed", 2));
  EXPECT_EQ(Count(daemon, "agent.starting"), 2U);
}

// Its policy is `never`: the message is no reason to run it again and again.
TEST(Wake, AMessageStartsAProcessAtMostOnce) {
  Daemon daemon;
  const std::string file = daemon.data_dir() + "/runs";
  daemon.Create(R"({"id":"a1","kind":"process","command":["sh","-c","echo x >> )" + file + R"(; exit 2"]})");
  ASSERT_TRUE(UntilState(daemon, "exited"));
  const std::string message = Say(daemon, "go").Field("message_id");
  const HttpAnswer how = daemon.WaitFor("a1", "until=terminal&message_id=" + message);
  ASSERT_EQ(how.status, 200) << how.body;
  ASSERT_TRUE(UntilCount(daemon, "agent.exited", 2));
  ASSERT_TRUE(UntilState(daemon, "exited"));
  // The line may have reached the pipe just before the program ended.
  EXPECT_EQ(how.Field("status"), "failed");
  EXPECT_EQ(ReadFile(file), "x\nx\n");
  const HttpAnswer agent = daemon.Get("/agents/a1");
  EXPECT_EQ(agent.Field("exit.code"), "2");
  EXPECT_EQ(agent.Field("queue_depth"), "0");
  EXPECT_EQ(Count(daemon, "agent.restarting"), 0U);
}

TEST(Wake, AMessageThatNobodyTookSaysWhy) {
  Daemon daemon;
  // A program without stdin takes none.
  daemon.Create(R"({"id":"a1","kind":"process","command":["true"],"kind_options":{"stdin":false}})");
  ASSERT_TRUE(UntilState(daemon, "exited"));
  const std::string message = Say(daemon, "go").Field("message_id");
  const HttpAnswer how = daemon.WaitFor("a1", "until=terminal&message_id=" + message);
  EXPECT_EQ(how.Field("status"), "failed") << how.body;
  EXPECT_NE(how.Field("error.message"), "") << how.body;
  EXPECT_EQ(Fields(daemon, "message.done", "data.reason"), Strings{how.Field("error.message")});
}

// Every wait ends when its condition cannot come true any more.
TEST(Wake, AWaitForAnAgentThatFailedEnds) {
  Daemon daemon;
  TempDir folder;
  const std::string program = folder.path() + "/program";
  WriteFile(program, "#!/bin/sh\nexit 0\n");
  ASSERT_EQ(chmod(program.c_str(), 0755), 0);
  daemon.Create(R"({"id":"a1","kind":"process","command":[")" + program + R"("],"cwd":")" + folder.path() +
                "/gone\"}");
  ASSERT_TRUE(UntilState(daemon, "failed"));
  for (const char* wait : {"until=terminal", "until=terminal&after_run=r1"}) {
    const HttpAnswer answer = daemon.WaitFor("a1", wait);
    EXPECT_EQ(answer.status, 409) << wait << answer.body;
    EXPECT_NE(answer.body.find("/gone: no such file or directory"), std::string::npos) << answer.body;
  }
  for (const char* wait : {"until=ready", "until=idle", "until=exited"})
    EXPECT_EQ(daemon.WaitFor("a1", wait).Field("state"), "failed") << wait;
  daemon.Create(R"({"id":"good","kind":"process","command":["true"]})");
  Command watch({"agents", "watch", "good", "a1", "--data", daemon.data_dir()});
  EXPECT_EQ(watch.Wait(), 1);
  EXPECT_NE((watch.out() + watch.err()).find("/gone: no such file or directory"), std::string::npos)
      << watch.err();
}

TEST(Wake, AProgramThatDiesOfItsMessagesBacksOff) {
  Daemon daemon;
  daemon.Create(
      R"({"id":"a1","kind":"jsonl","kind_options":{"turns":true},"command":["/bin/sh","-c","exit 0"],
      "prompt":"one","restart":{"policy":"never","max_restarts":1}})");
  ASSERT_TRUE(UntilState(daemon, "exited"));
  EXPECT_LE(Count(daemon, "agent.starting"), 2U);
}

// --- stops

TEST(Wake, AStopIsNotUndoneByWhatWaits) {
  Daemon daemon;
  // While it starts, with a prompt that nobody has taken.
  CreateScripted(daemon, "a1", "claude", {"> initialize", "> never"}, R"(,"prompt":"go")");
  ASSERT_TRUE(UntilCount(daemon, "agent.starting", 1));
  EXPECT_EQ(daemon.Post("/agents/a1/stop").status, 202);
  ASSERT_TRUE(UntilState(daemon, "exited"));
  HttpAnswer agent = daemon.Get("/agents/a1");
  EXPECT_EQ(agent.Field("queue_depth"), "1");
  EXPECT_EQ(agent.Field("queue_paused"), "true");
  daemon.Kill();
  daemon.Start();
  EXPECT_EQ(daemon.Get("/agents/a1").Field("state"), "exited");
  EXPECT_EQ(Count(daemon, "agent.starting"), 1U);
}

TEST(Wake, AStopEndsAWaitForTheNextStartForGood) {
  Daemon daemon;
  daemon.Create(
      R"({"id":"a1","kind":"claude","prompt":"go","command":["/bin/false"],"restart":{"policy":"always"}})");
  ASSERT_TRUE(UntilState(daemon, "backoff"));
  EXPECT_EQ(daemon.Post("/agents/a1/stop").status, 202);
  const size_t starts = Count(daemon, "agent.starting");
  HttpAnswer agent = daemon.Get("/agents/a1");
  EXPECT_TRUE(agent.Field("state") == "exited" || agent.Field("state") == "failed") << agent.body;
  EXPECT_EQ(daemon.Get("/agents/a1/wait?until=exited&timeout_ms=1000").status, 200);
  EXPECT_EQ(Count(daemon, "agent.starting"), starts);
}

TEST(Wake, AStopHoldsAnInterruptThatWaits) {
  Daemon daemon;
  daemon.Create(Gated(daemon, R"(,"prompt":"first")"));
  ASSERT_TRUE(UntilState(daemon, "running"));
  HttpConnection connection(daemon.address());
  const Headers token = {{"Authorization", "Bearer " + daemon.token()}};
  connection.Send("POST", "/agents/a1/message", R"({"text":"second","mode":"interrupt"})", token);
  connection.Send("POST", "/agents/a1/stop", "", token);
  EXPECT_EQ(connection.Receive().status, 202);
  EXPECT_EQ(connection.Receive().status, 202);
  ASSERT_TRUE(UntilCount(daemon, "agent.exited", 1));
  EXPECT_TRUE(UntilState(daemon, "exited"));
  EXPECT_EQ(daemon.Get("/agents/a1/wait?until=exited&timeout_ms=300").status, 200);
  EXPECT_EQ(Count(daemon, "agent.starting"), 1U);
  // Started by hand, what waited goes on.
  WriteFile(daemon.data_dir() + "/gate", "");
  EXPECT_EQ(daemon.Post("/agents/a1/start").status, 202);
  ASSERT_TRUE(Eventually([&] {
    return Fields(daemon, "user.message", "data.text") == Strings({"first", "second"});
  }));
}

TEST(Wake, AStopDuringTheHandshakeIsNoFailure) {
  Daemon daemon;
  const std::string gate = daemon.data_dir() + "/gate";
  WriteFile(daemon.data_dir() + "/codex.sh",
            "read -r line; echo asked >&2; until [ -e " + gate +
                " ]; do sleep 0.02; done; echo '{\"id\":1,\"result\":{}}'; sleep 0.2\n");
  daemon.Create(R"({"id":"a1","kind":"codex","command":["/bin/bash",")" + daemon.data_dir() +
                R"(/codex.sh"]})");
  ASSERT_TRUE(UntilCount(daemon, "agent.output", 1));
  EXPECT_EQ(daemon.Post("/agents/a1/stop").status, 202);
  WriteFile(gate, "");
  ASSERT_TRUE(UntilCount(daemon, "agent.exited", 1));
  EXPECT_TRUE(UntilState(daemon, "exited"));
  EXPECT_EQ(Count(daemon, "agent.error"), 0U);
  EXPECT_EQ(Count(daemon, "agent.ready"), 0U);
}

// --- interrupts

TEST(Wake, AnInterruptOvertakesWhatIsAboutToBegin) {
  Daemon daemon;
  daemon.Create(Gated(daemon));
  ASSERT_TRUE(UntilState(daemon, "idle"));
  HttpConnection connection(daemon.address());
  const Headers token = {{"Authorization", "Bearer " + daemon.token()}};
  connection.Send("POST", "/agents/a1/message", R"({"text":"slow"})", token);
  connection.Send("POST", "/agents/a1/message", R"({"text":"urgent","mode":"interrupt"})", token);
  EXPECT_EQ(connection.Receive().status, 202);
  EXPECT_EQ(connection.Receive().status, 202);
  // Whether the first had begun or not, the second runs now, and the first has not ended by itself.
  ASSERT_TRUE(Eventually([&] {
    const Strings texts = Fields(daemon, "user.message", "data.text");
    return !texts.empty() && texts.back() == "urgent";
  }));
  EXPECT_EQ(Count(daemon, "run.completed"), 0U);
}

TEST(Wake, AnInterruptMessageIsNotStrandedByALimit) {
  Daemon daemon;
  WriteFile(daemon.data_dir() + "/a1.sh", R"(
trap '' INT
while read -r line; do
  echo '{"type":"run.started"}'
  [ "$line" = second ] || sleep 1.5
  echo '{"type":"run.completed"}'
done
)");
  daemon.Create(
      R"({"id":"a1","kind":"jsonl","kind_options":{"turns":true},"prompt":"first","command":["/bin/bash",")" +
      daemon.data_dir() + R"(/a1.sh"],"limits":{"wall_ms":700}})");
  ASSERT_TRUE(UntilState(daemon, "running"));
  EXPECT_EQ(Say(daemon, "second", "interrupt").status, 202);
  ASSERT_TRUE(Eventually([&] {
    return Fields(daemon, "user.message", "data.text") == Strings({"first", "second"});
  }));
  ASSERT_TRUE(UntilState(daemon, "idle"));
  EXPECT_EQ(daemon.Get("/agents/a1").Field("queue_depth"), "0");
}

TEST(Wake, APauseHoldsWhatCameThroughAnEarlierOne) {
  Daemon daemon;
  daemon.Create(Gated(daemon, R"(,"prompt":"zero")"));
  ASSERT_TRUE(UntilState(daemon, "running"));
  EXPECT_EQ(daemon.Post("/agents/a1/interrupt").status, 202);
  ASSERT_TRUE(UntilState(daemon, "idle"));
  EXPECT_EQ(daemon.Get("/agents/a1").Field("queue_paused"), "true");
  EXPECT_EQ(Say(daemon, "A").status, 202);
  EXPECT_EQ(Say(daemon, "B").status, 202);
  ASSERT_TRUE(UntilCount(daemon, "run.started", 2));
  EXPECT_EQ(daemon.Post("/agents/a1/interrupt").status, 202);
  ASSERT_TRUE(UntilCount(daemon, "run.cancelled", 2));
  ASSERT_TRUE(UntilState(daemon, "idle"));
  EXPECT_EQ(daemon.Get("/agents/a1").Field("queue_depth"), "1");
}

// --- steering

TEST(Wake, TheRunOfASteeredMessageIsTheOneItWentInto) {
  Daemon daemon;
  const std::string turn = R"("params":{"threadId":"h","turn":{"id":"t","items":[],"status":")";
  CreateScripted(
      daemon, "a1", "codex",
      {"> initialize", R"(< {"id":1,"result":{}})", "> initialized", "> thread/start",
       R"(< {"id":2,"result":{"thread":{"id":"h"}}})", "> turn/start",
       R"(< {"id":3,"result":{"turn":{"id":"t","items":[],"status":"inProgress"}}})",
       R"(< {"method":"turn/started",)" + turn + "inProgress\"}}}", "> turn/steer",
       R"(< {"id":4,"result":{"turnId":"t"}})", R"(< {"method":"turn/completed",)" + turn + "completed\"}}}"},
      R"(,"prompt":"go")");
  // Before that codex would not be steered.
  ASSERT_TRUE(Eventually(
      [&] { return daemon.Get("/agents/a1/transcript").body.find("turn/started") != std::string::npos; }));
  const std::string message = Say(daemon, "left a bit", "steer").Field("message_id");
  HttpAnswer run = daemon.WaitFor("a1", "until=terminal&message_id=" + message);
  EXPECT_EQ(run.status, 200) << run.body;
  EXPECT_EQ(run.Field("run_id"), Fields(daemon, "run.started", "run").at(0));
  EXPECT_EQ(run.Field("status"), "completed");
}

// --- what is asked outside a turn

TEST(Wake, AQuestionOutsideATurnBeginsNoRun) {
  Daemon daemon;
  CreateScripted(
      daemon, "a1", "codex",
      {"> initialize", R"(< {"id":1,"result":{}})", "> initialized", "> thread/start",
       R"(< {"id":2,"result":{"thread":{"id":"h"}}})",
       R"(< {"id":0,"method":"mcpServer/elicitation/request","params":{"threadId":"h","turnId":null,"serverName":"s","mode":"form",)"
       R"("message":"Who are you?","requestedSchema":{"type":"object","properties":{"name":{"type":"string"}}}}})",
       "> answer", "> turn/start",
       R"(< {"id":3,"result":{"turn":{"id":"t","items":[],"status":"inProgress"}}})",
       R"(< {"method":"turn/started","params":{"threadId":"h","turn":{"id":"t","items":[],"status":"inProgress"}}})",
       R"(< {"method":"turn/completed","params":{"threadId":"h","turn":{"id":"t","items":[],"status":"completed"}}})"});
  ASSERT_TRUE(UntilState(daemon, "needs_input"));
  EXPECT_EQ(Count(daemon, "run.started"), 0U);
  const std::string id = Fields(daemon, "elicitation.requested", "data.id").at(0);
  EXPECT_EQ(daemon.Post("/agents/a1/elicitations/" + id, R"({"action":"decline"})").status, 200);
  ASSERT_TRUE(UntilState(daemon, "idle"));
  EXPECT_EQ(Say(daemon, "work").status, 202);
  ASSERT_TRUE(UntilCount(daemon, "run.completed", 1));
}

// --- between two words

TEST(Wake, WhatComesWhileTheProcessEndsStartsTheNext) {
  Daemon daemon;
  WriteFile(daemon.data_dir() + "/a1.sh", R"(
trap 'until [ -e )" + daemon.data_dir() + R"(/gate ]; do sleep 0.02; done; exit 0' TERM
while :; do read -r -t 0.05 line && { echo '{"type":"run.started"}'; echo '{"type":"run.completed"}'; }; done
)");
  daemon.Create(R"({"id":"a1","kind":"jsonl","kind_options":{"turns":true},"command":["/bin/bash",")" +
                daemon.data_dir() + R"(/a1.sh"],"limits":{"idle_ms":50}})");
  ASSERT_TRUE(UntilState(daemon, "stopping"));
  EXPECT_EQ(Say(daemon, "come back").status, 202);
  WriteFile(daemon.data_dir() + "/gate", "");
  EXPECT_TRUE(UntilCount(daemon, "run.completed", 1));
}

TEST(Wake, WhatComesAfterAPersonsInterruptIsWhatIsDoneInstead) {
  Daemon daemon;
  WriteFile(daemon.data_dir() + "/a1.sh", R"(
trap 'stop=1' INT
while read -r line; do
  echo '{"type":"run.started"}'
  stop=
  case "$line" in
    first) echo '{"type":"assistant.message","text":"begun"}'
           until [ "$stop" ] && [ -e )" + daemon.data_dir() +
                                              R"(/gate ]; do sleep 0.02; done
           echo '{"type":"run.cancelled"}' ;;
    *) echo '{"type":"run.completed"}' ;;
  esac
done
)");
  daemon.Create(
      R"({"id":"a1","kind":"jsonl","kind_options":{"turns":true},"prompt":"first","command":["/bin/bash",")" +
      daemon.data_dir() + R"(/a1.sh"]})");
  ASSERT_TRUE(UntilCount(daemon, "assistant.message", 1));  // it has its trap
  EXPECT_EQ(Say(daemon, "waits").status, 202);
  EXPECT_EQ(daemon.Post("/agents/a1/interrupt").status, 202);
  EXPECT_EQ(Say(daemon, "instead").status, 202);
  EXPECT_EQ(Count(daemon, "run.cancelled"), 0U);
  WriteFile(daemon.data_dir() + "/gate", "");
  // And when it has completed the rest follows.
  EXPECT_TRUE(Eventually([&] {
    return Fields(daemon, "user.message", "data.text") == Strings({"first", "instead", "waits"});
  }));
}

TEST(Wake, AStartAfterAStopUndoesItsPause) {
  Daemon daemon;
  daemon.Create(Gated(daemon, R"(,"prompt":"first")"));
  ASSERT_TRUE(UntilState(daemon, "running"));
  EXPECT_EQ(Say(daemon, "second").status, 202);
  EXPECT_EQ(daemon.Post("/agents/a1/stop").status, 202);
  EXPECT_EQ(daemon.Post("/agents/a1/start").status, 202);
  WriteFile(daemon.data_dir() + "/gate", "");
  EXPECT_TRUE(Eventually([&] {
    return Fields(daemon, "user.message", "data.text") == Strings({"first", "second"});
  }));
}

}  // namespace
}  // namespace reeve
