// The kinds `process` and `jsonl` (control/api/API.md): what a program says becomes events, and nothing that
// only the daemon knows can be forged.
#include <gtest/gtest.h>

#include <sys/stat.h>

#include <vector>

#include "tests/support/daemon.h"

namespace reeve {
namespace {

// An agent that runs `script`, written to a file: no quoting.
std::string Script(const Daemon& daemon, const std::string& id, const std::string& kind,
                   const std::string& script, const std::string& more = "") {
  const std::string path = daemon.data_dir() + "/" + id + ".sh";
  WriteFile(path, script);
  return R"({"id":")" + id + R"(","kind":")" + kind + R"(","command":["/bin/sh",")" + path + "\"]" + more +
         "}";
}

// Runs it to its end.
std::vector<std::string> EventsOf(Daemon& daemon, const std::string& kind, const std::string& script,
                                  const std::string& more = "") {
  daemon.Create(Script(daemon, "a1", kind, script, more));
  daemon.WaitFor("a1");
  return daemon.Events("a1");
}

std::vector<std::string> Of(const std::vector<std::string>& events, const std::string& type,
                            const std::string& field) {
  std::vector<std::string> found;
  for (const std::string& event : events) {
    if (JsonField(event, "type") == type) found.push_back(JsonField(event, field));
  }
  return found;
}

std::vector<std::string> Types(const std::vector<std::string>& events, const std::string& prefix) {
  std::vector<std::string> types;
  for (const std::string& event : events) {
    const std::string type = JsonField(event, "type");
    if (type.rfind(prefix, 0) == 0) types.push_back(type);
  }
  return types;
}

using Strings = std::vector<std::string>;

// ------------------------------------------------------------------------------------------------ process

TEST(ProcessKind, LinesOfBothStreamsAreOutputAndTheLastNeedsNoNewline) {
  Daemon daemon;
  auto events = EventsOf(daemon, "process", "echo one\necho oops >&2\nsleep 0.1\nprintf 'two\\r\\n\\nlast'");
  Strings out;
  for (const std::string& event : events) {
    if (JsonField(event, "data.stream") == "stdout") out.push_back(JsonField(event, "data.text"));
  }
  EXPECT_EQ(out, (Strings{"one", "two\r", "", "last"}));
  EXPECT_EQ(Of(events, "run.completed", "data.exit_code"), Strings{"0"});
  EXPECT_EQ(JsonField(events.back(), "type"), "agent.exited");
  EXPECT_EQ(JsonField(events.back(), "data.code"), "0");
}

TEST(ProcessKind, AnExitCodeFailsTheRun) {
  Daemon daemon;
  auto events = EventsOf(daemon, "process", "exit 7");
  EXPECT_EQ(Of(events, "run.failed", "data.exit_code"), Strings{"7"});
  EXPECT_EQ(Of(events, "run.failed", "data.error.code"), Strings{"exit"});
  EXPECT_EQ(Of(events, "agent.exited", "data.code"), Strings{"7"});
  EXPECT_EQ(daemon.Get("/agents/a1").Field("exit.code"), "7");
}

TEST(ProcessKind, ASignalIsNoExitCode) {
  Daemon daemon;
  auto events = EventsOf(daemon, "process", "echo dying\nkill -9 $$");
  EXPECT_EQ(Of(events, "agent.output", "data.text"), Strings{"dying"});
  EXPECT_EQ(Of(events, "run.failed", "data.exit_code"), Strings{""});
  EXPECT_EQ(Of(events, "agent.exited", "data.signal"), Strings{"9"});
  EXPECT_EQ(Of(events, "agent.exited", "data.code"), Strings{""});
  EXPECT_EQ(daemon.Get("/agents/a1").Field("exit.signal"), "9");
}

TEST(ProcessKind, ALineOfMoreThanAMebibyteComesInParts) {
  Daemon daemon;
  auto events = EventsOf(daemon, "process",
                         "head -c 1048576 /dev/zero | tr '\\0' a; echo\n"
                         "head -c 1048577 /dev/zero | tr '\\0' b; echo\necho after");
  Strings texts = Of(events, "agent.output", "data.text");
  // A slow machine may cut it into more parts.
  std::string joined;
  const Strings partial = Of(events, "agent.output", "data.partial");
  for (size_t i = 0; i < texts.size(); ++i) joined += texts[i] + (partial[i] == "true" ? "" : "\n");
  EXPECT_TRUE(joined == std::string(1 << 20, 'a') + "\n" + std::string((1 << 20) + 1, 'b') + "\nafter\n");
  EXPECT_GE(texts.size(), 4U);
}

TEST(ProcessKind, BytesThatAreNotUtf8ComeInBase64) {
  Daemon daemon;
  auto events = EventsOf(daemon, "process", "printf '\\377\\376x\\n\\303\\251\\nnul\\000nul\\n'");
  EXPECT_EQ(Of(events, "agent.output", "data.text"), (Strings{"//54", "é", std::string("nul\0nul", 7)}));
  EXPECT_EQ(Of(events, "agent.output", "data.encoding"), (Strings{"base64", "", ""}));
}

TEST(ProcessKind, WithoutStdinReadsItsEndAtOnceAndTakesNoMessage) {
  Daemon daemon;
  daemon.Create(Script(daemon, "a1", "process", "read line || echo nothing to read\nsleep 600",
                       R"(,"kind_options":{"stdin":false})"));
  ASSERT_TRUE(Eventually([&] { return daemon.LogFiles("a1").find("nothing to read") != std::string::npos; }));
  HttpAnswer refused = daemon.Post("/agents/a1/message", R"({"text":"anybody there?"})");
  EXPECT_EQ(refused.status, 409) << refused.wire;
}

TEST(ProcessKind, OutputOfAGrandchildIsReadToItsEndAndTheTreeIsEmptyAfterwards) {
  Daemon daemon;
  // It leaves the session and its parent, and holds the pipes.
  auto events = EventsOf(daemon, "process", "setsid sh -c 'echo child; sleep 600' &\nsleep 0.3\necho parent");
  Strings texts = Of(events, "agent.output", "data.text");
  EXPECT_EQ(texts, (Strings{"child", "parent"}));
  EXPECT_EQ(JsonField(events.back(), "type"), "agent.exited");
  EXPECT_EQ(ProcessesWith("REEVE_TREE=" + daemon.town_id() + "/a1"), std::vector<pid_t>{});
}

TEST(ProcessKind, StopReachesWhatTheProgramPutIntoSessionsOfTheirOwn) {
  Daemon daemon;
  daemon.Create(
      Script(daemon, "a1", "process",
             "setsid sh -c \"trap '' TERM; echo inner; sleep 600\" &\nsetsid sleep 600 &\necho outer\nwait"));
  ASSERT_TRUE(Eventually([&] {
    const std::string log = daemon.LogFiles("a1");
    return log.find("inner") != std::string::npos && log.find("outer") != std::string::npos;
  }));
  EXPECT_EQ(daemon.Post("/agents/a1/stop", R"({"grace_ms":300})").status, 202);
  EXPECT_EQ(daemon.WaitFor("a1").Field("state"), "exited");
  EXPECT_EQ(ProcessesWith("REEVE_TREE=" + daemon.town_id() + "/a1"), std::vector<pid_t>{});
}

TEST(ProcessKind, AProgramThatIsNoneFailsTheAgentAndSaysWhy) {
  Daemon daemon;
  const std::string path = daemon.data_dir() + "/not-a-program";
  WriteFile(path, "\177ELF but no more");
  chmod(path.c_str(), 0700);
  daemon.Create(R"({"id":"a1","kind":"process","command":[")" + path + "\"]}");
  HttpAnswer ended = daemon.WaitFor("a1");
  EXPECT_EQ(ended.Field("state"), "failed");
  EXPECT_NE(ended.Field("reason").find(path), std::string::npos) << ended.body;
  EXPECT_EQ(Types(daemon.Events("a1"), ""), Strings{"agent.failed"});
}

// -------------------------------------------------------------------------------------------------- jsonl

TEST(JsonlKind, ObjectsOfContentBecomeEventsOfTheirType) {
  Daemon daemon;
  auto events = EventsOf(daemon, "jsonl", R"(cat <<'END'
{"type":"assistant.delta","text":"hi"}
{"text":"late","type":"assistant.message","n":1.50}
  { "type" : "tool.started", "call_id":"c1","input":{"a":[1,2]} }
{"type":"usage.updated","input_tokens":3}
{"type":"reasoning.delta"}
{"type":"plan.updated","entries":[]}
{"type":"title.updated","title":"T"}
{"type":"file.edited","path":"x"}
END
)");
  EXPECT_EQ(Of(events, "assistant.delta", "data"), Strings{R"({"text":"hi"})"});
  EXPECT_EQ(Of(events, "assistant.message", "data.text"), Strings{"late"});
  EXPECT_EQ(Of(events, "assistant.message", "data.n"), Strings{"1.50"});
  EXPECT_EQ(Of(events, "tool.started", "data.input"), Strings{R"({"a":[1,2]})"});
  EXPECT_EQ(Of(events, "reasoning.delta", "data"), Strings{"{}"});
  EXPECT_EQ(Types(events, "agent.output"), Strings{});
  for (const char* type : {"usage.updated", "plan.updated", "title.updated", "file.edited"}) {
    EXPECT_EQ(Of(events, type, "type").size(), 1U) << type;
  }
  EXPECT_EQ(daemon.Get("/agents/a1").Field("last_run.usage.input_tokens"), "3");
}

// Viewers rely on the types of the members of an event's data.
TEST(JsonlKind, AnItemWhoseMembersHaveOtherTypesIsOutput) {
  Daemon daemon;
  const Strings bad = {
      R"({"type":"plan.updated","entries":[null]})",
      R"({"type":"plan.updated","entries":[{"content":"a"},"b"]})",
      R"({"type":"plan.updated","entries":{"content":"a"}})",
      R"({"type":"assistant.delta","text":7})",
      R"({"te\u0078t":null,"type":"assistant.message"})",
      R"({"type":"reasoning.message","text":"a","text":[]})",
      R"({"type":"tool.started","call_id":1,"name":"bash","input":{}})",
      R"({"type":"tool.started","call_id":"c","name":"bash","input":"ls"})",
      R"({"type":"tool.completed","call_id":"c","output":{}})",
      R"({"type":"file.edited","path":["x"]})",
      R"({"type":"title.updated","title":{}})",
      R"({"type":"usage.updated","input_tokens":"3"})",
  };
  std::string script = "cat <<'END'\n";
  for (const std::string& line : bad) script += line + "\n";
  script += R"({"type":"plan.updated","entries":[{"content":"a","status":"pending"}],"note":null})"
            "\n"
            R"({"type":"tool.mine","input":7,"text":null})"
            "\nEND\n";
  auto events = EventsOf(daemon, "jsonl", script);
  EXPECT_EQ(Of(events, "agent.output", "data.json"), bad);
  EXPECT_EQ(Of(events, "plan.updated", "data.entries"), Strings{R"([{"content":"a","status":"pending"}])"});
  EXPECT_EQ(Of(events, "tool.mine", "data.input"), Strings{"7"});
}

TEST(JsonlKind, WhatOnlyTheDaemonKnowsCannotBeForged) {
  Daemon daemon;
  const Strings forged = {"agent.exited",
                          "run.completed",
                          "run.failed",
                          "approval.requested",
                          "approval.resolved",
                          "message.queued",
                          "user.message",
                          "stream.bye",
                          "agent.failed",
                          "nonsense",
                          "tool.started\\nid: 9-9",
                          "elicitation.requested"};
  std::string script = "cat <<'END'\n";
  for (const std::string& type : forged) script += R"({"type":")" + type + "\",\"code\":0}\n";
  script += R"({"type":"assistant.delta","type":"agent.exited"})"
            "\n";
  script += R"({"\u0074ype":"agent.exited"})"
            "\n"
            R"({"no":"type"})"
            "\n"
            R"({"type":7})"
            "\nEND\nexit 4";
  auto events = EventsOf(daemon, "jsonl", script);
  EXPECT_EQ(Types(events, "agent.output").size(), forged.size() + 4);
  EXPECT_EQ(Of(events, "agent.output", "data.json.type")[0], "agent.exited");
  EXPECT_EQ(Of(events, "agent.output", "data.stream")[0], "stdout");
  EXPECT_EQ(Types(events, "run."), (Strings{"run.started", "run.failed"}));
  EXPECT_EQ(Types(events, "agent.exited").size(), 1U);
  EXPECT_EQ(Types(events, "approval."), Strings{});
  // Nor by a line that looks like the log's own.
  auto stream = daemon.Stream("/agents/a1/stream?after=0");
  EXPECT_TRUE(stream->UntilEnd());
  EXPECT_EQ(stream->malformed(), "");
  EXPECT_EQ(stream->count(), events.size());
}

TEST(JsonlKind, WhatIsNoObjectIsText) {
  Daemon daemon;
  auto events = EventsOf(daemon, "jsonl",
                         R"(cat <<'END'
plain words
[1,2]
{"type":"assistant.delta",}
{"type":"assistant.delta"} and more
{"a":1}{"b":2}
"assistant.delta"

{"deep":)" + std::string(100, '[') +
                             std::string(100, ']') + R"(}
END
echo '{"type":"tool.started"}' >&2
)");
  Strings texts = Of(events, "agent.output", "data.text");
  ASSERT_EQ(texts.size(), 9U);
  EXPECT_EQ(Of(events, "assistant.delta", "seq"), Strings{});
  EXPECT_EQ(Of(events, "tool.started", "seq"), Strings{});  // stderr is never structured
  EXPECT_EQ(Of(events, "agent.output", "data.json"), Strings(9, ""));
}

TEST(JsonlKind, WithTurnsTheProgramReportsItsRuns) {
  Daemon daemon;
  daemon.Create(Script(daemon, "a1", "jsonl", R"(
while read line; do
  echo '{"type":"run.started"}'
  echo "{\"type\":\"assistant.message\",\"text\":\"$line\"}"
  case $line in
    bad) echo '{"type":"run.failed","error":{"code":"overloaded","message":"try later"}}';;
    *) echo '{"type":"run.completed","usage":{"input_tokens":5,"output_tokens":2}}'; echo '{"type":"run.completed"}';;
  esac
done
)",
                       R"(,"kind_options":{"turns":true})"));
  daemon.WaitFor("a1", "until=idle");
  Strings ids;
  for (const char* text : {"one", "two", "bad"}) {
    HttpAnswer sent = daemon.Post("/agents/a1/message", R"({"text":")" + std::string(text) + "\"}");
    EXPECT_EQ(sent.status, 202);
    ids.push_back(sent.Field("message_id"));
  }
  EXPECT_EQ(daemon.WaitFor("a1", "until=terminal&message_id=" + ids[0]).Field("status"), "completed");
  HttpAnswer bad = daemon.WaitFor("a1", "until=terminal&message_id=" + ids[2]);
  EXPECT_EQ(bad.Field("status"), "failed");
  EXPECT_EQ(bad.Field("error.code"), "overloaded");
  EXPECT_EQ(bad.Field("error.message"), "try later");
  auto events = daemon.Events("a1");
  EXPECT_EQ(Types(events, "run."), (Strings{"run.started", "run.completed", "run.started", "run.completed",
                                            "run.started", "run.failed"}));
  EXPECT_EQ(Of(events, "run.started", "data.message_id"), ids);
  // Everything between belongs to its run.
  const Strings runs = Of(events, "run.started", "run");
  EXPECT_EQ(Of(events, "assistant.message", "run"), runs);
  EXPECT_EQ(Of(events, "assistant.message", "data.text"), (Strings{"one", "two", "bad"}));
  EXPECT_EQ(daemon.Get("/agents/a1").Field("state"), "idle");
  EXPECT_EQ(Of(events, "run.completed", "data.usage.input_tokens"), (Strings{"5", "5"}));
  EXPECT_EQ(daemon.Get("/agents/a1").Field("usage.input_tokens"), "10");
}

TEST(JsonlKind, AfterAFailureTheQueueWaitsForTheNextMessageOrAStart) {
  Daemon daemon;
  // Its first turn fails once the file is there, all others complete.
  const std::string go = daemon.data_dir() + "/go";
  daemon.Create(Script(daemon, "a1", "jsonl", R"(
read first
while ! test -e )" + go + R"(; do sleep 0.02; done
echo '{"type":"run.failed","error":{"code":"x","message":"y"}}'
while read line; do echo "{\"type\":\"assistant.message\",\"text\":\"$line\"}"; echo '{"type":"run.completed"}'; done
)",
                       R"(,"kind_options":{"turns":true})"));
  daemon.WaitFor("a1", "until=ready");
  daemon.Post("/agents/a1/message", R"({"text":"fails"})");
  const std::string waiting = daemon.Post("/agents/a1/message", R"({"text":"waiting"})").Field("message_id");
  WriteFile(go, "");
  ASSERT_TRUE(Eventually([&] { return daemon.Get("/agents/a1").Field("queue_paused") == "true"; }));
  EXPECT_EQ(daemon.Get("/agents/a1").Field("queue_depth"), "1");
  EXPECT_EQ(daemon.WaitFor("a1", "until=idle").Field("state"), "idle");  // paused counts as idle
  daemon.Post("/agents/a1/message", R"({"text":"new"})");
  EXPECT_EQ(daemon.WaitFor("a1", "until=terminal&message_id=" + waiting).Field("status"), "completed");
  EXPECT_EQ(Of(daemon.Events("a1"), "assistant.message", "data.text"), (Strings{"new", "waiting"}));
  EXPECT_EQ(daemon.Get("/agents/a1").Field("queue_paused"), "false");
}

TEST(JsonlKind, AnExitInMidTurnFailsTheRunAndAMessageStartsTheNextProcess) {
  Daemon daemon;
  daemon.Create(Script(daemon, "a1", "jsonl", R"(
read line
test "$line" = die && exit 0
echo '{"type":"run.completed"}'
read line
)",
                       R"(,"kind_options":{"turns":true})"));
  const std::string one = daemon.Post("/agents/a1/message", R"({"text":"die"})").Field("message_id");
  HttpAnswer run = daemon.WaitFor("a1", "until=terminal&message_id=" + one);
  EXPECT_EQ(run.Field("status"), "failed");
  EXPECT_EQ(run.Field("error.code"), "agent_exited");
  daemon.WaitFor("a1");
  EXPECT_EQ(Types(daemon.Events("a1"), "run."), (Strings{"run.started", "run.failed"}));
  const std::string two = daemon.Post("/agents/a1/message", R"({"text":"live"})").Field("message_id");
  EXPECT_EQ(daemon.WaitFor("a1", "until=terminal&message_id=" + two).Field("status"), "completed");
}

TEST(JsonlKind, AnInterruptingMessageEndsTheRunAndGoesFirst) {
  Daemon daemon;
  daemon.Create(Script(daemon, "a1", "jsonl", R"(
trap 'echo "{\"type\":\"run.cancelled\"}"; stopped=1' INT
while read line; do
  stopped=
  echo "{\"type\":\"assistant.message\",\"text\":\"$line\"}"
  if test "$line" = long; then
    i=0; while test -z "$stopped" -a $i -lt 3000; do sleep 0.02; i=$((i+1)); done
  fi
  test -z "$stopped" && echo '{"type":"run.completed"}'
done
)",
                       R"(,"kind_options":{"turns":true})"));
  daemon.WaitFor("a1", "until=ready");
  const std::string cancelled = daemon.Post("/agents/a1/message", R"({"text":"long"})").Field("message_id");
  const std::string last = daemon.Post("/agents/a1/message", R"({"text":"later"})").Field("message_id");
  // The script has read it: before that an interrupt would find no turn.
  ASSERT_TRUE(Eventually([&] { return !Of(daemon.Events("a1"), "assistant.message", "data.text").empty(); }));
  daemon.Post("/agents/a1/message", R"({"text":"now","mode":"interrupt"})");
  EXPECT_EQ(daemon.WaitFor("a1", "until=terminal&message_id=" + last).Field("status"), "completed");
  EXPECT_EQ(daemon.WaitFor("a1", "until=terminal&message_id=" + cancelled).Field("status"), "cancelled");
  EXPECT_EQ(Of(daemon.Events("a1"), "assistant.message", "data.text"), (Strings{"long", "now", "later"}));
}

}  // namespace
}  // namespace reeve
