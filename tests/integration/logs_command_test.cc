// `reeve agents logs` (api.md §8): what agents did, and what they do.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <csignal>
#include <cstdlib>
#include <regex>
#include <string>
#include <vector>

#include "process/clock.h"
#include "tests/support/command.h"
#include "tests/support/daemon.h"
#include "tests/support/paths.h"

namespace reeve {
namespace {

using Strings = std::vector<std::string>;

Strings WordsFor(const Daemon& daemon, Strings words) {
  words.insert(words.begin(), {"agents", "logs", "--data", daemon.data_dir()});
  return words;
}

Strings LinesOf(const std::string& text) {
  Strings lines;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

// Without what differs from run to run.
std::string Settled(const std::string& text) {
  std::string out = std::regex_replace(text, std::regex("([0-9-]{10} )?[0-9]{2}:[0-9]{2}:[0-9]{2}"), "TIME");
  out = std::regex_replace(out, std::regex("pid [0-9]+"), "pid N");
  return std::regex_replace(out, std::regex("· [0-9.]+ m?s\\b"), "· LONG");
}

void CreateEcho(const Daemon& daemon, const std::string& id) {
  daemon.Create(R"({"id":")" + id + R"(","kind":"process","command":["cat"]})");
}

void Say(const Daemon& daemon, const std::string& id, const std::string& text) {
  ASSERT_EQ(daemon.Post("/agents/" + id + "/message", JsonObject().Set("text", text).Take()).status, 202);
  ASSERT_TRUE(Eventually([&] {
    for (const std::string& event : daemon.Events(id, "after=0&types=agent.output&limit=10000")) {
      if (JsonField(event, "data.text") == text) return true;
    }
    return false;
  }));
}

void Delete(const Daemon& daemon, const std::string& agent) {
  EXPECT_EQ(daemon.Call("DELETE", "/agents/" + agent).status / 100, 2);
}

TEST(LogsCommand, ShowsWhatAnAgentDid) {
  Daemon daemon;
  const std::string script = daemon.data_dir() + "/says.sh";
  WriteFile(script, R"(cat <<'END'
{"type":"reasoning.message","text":"well"}
{"type":"assistant.delta","text":"an "}
{"type":"assistant.delta","text":"answer"}
{"type":"assistant.message","text":"an answer"}
{"type":"tool.started","call_id":"c1","name":"bash","input":{"command":"ls"}}
{"type":"tool.completed","call_id":"c1","name":"bash","output":"a\nb\n","duration_ms":1200}
{"something":"else"}
END
echo problem >&2
exit 3
)");
  daemon.Create(R"({"id":"a1","kind":"jsonl","command":["sh",")" + script + R"("]})");
  daemon.WaitFor("a1");
  Command logs(WordsFor(daemon, {"a1"}));
  EXPECT_EQ(logs.Wait(), 0) << logs.err();
  std::string shown = Settled(logs.out());
  const std::string problem = "stderr: problem\n";
  const size_t stderr_line = shown.find(problem);
  ASSERT_NE(stderr_line, std::string::npos) << shown;
  shown.erase(stderr_line, problem.size());  // another pipe: it comes when it comes
  EXPECT_EQ(shown,
            "-- agent is starting · pid N · TIME\n"
            "-- run r2 started · TIME\n"
            "-- agent is ready · TIME\n"
            "~ well\n"
            "an answer\n"
            "* bash ls\n"
            "  done · LONG\n"
            "    a\n"
            "    b\n"
            "{\"something\":\"else\"}\n"
            "-- run r2 failed · LONG · TIME\n"
            "   the process ended with code 3\n"
            "-- agent exited with code 3 · TIME\n");
}

// Those in front of what is shown, and those at the end of the log. The daemon ends in order, so all events
// have sums.
TEST(LogsCommand, NamesDamagedEvents) {
  Daemon daemon;
  daemon.Create(R"({"id":"a1","kind":"process","command":["seq","1","300"]})");
  daemon.WaitFor("a1");
  daemon.Signal(SIGTERM);
  ASSERT_EQ(daemon.Wait(), 0);
  const std::string segment = daemon.data_dir() + "/events/a1/0000000000000001.sse";
  std::string bytes = ReadFile(segment);
  ASSERT_GT(bytes.size(), 30'000U);
  bytes[bytes.find("\"text\":\"100\"") + 9] = '7';
  bytes[bytes.size() - 20] = '~';
  WriteFile(segment, bytes);
  daemon.Start();
  const std::regex gap("! events are missing: 1-[0-9]+ to 1-[0-9]+ \\(damaged\\)");
  Command logs(WordsFor(daemon, {"a1"}));
  EXPECT_EQ(logs.Wait(), 0) << logs.err();
  const std::string shown = logs.out();
  EXPECT_EQ(std::distance(std::sregex_iterator(shown.begin(), shown.end(), gap), std::sregex_iterator()), 2)
      << shown;
  EXPECT_TRUE(std::regex_match(LinesOf(shown).back(), gap)) << shown;
  Command tail(WordsFor(daemon, {"a1", "--tail", "5"}));
  EXPECT_EQ(tail.Wait(), 0) << tail.err();
  const Strings lines = LinesOf(tail.out());
  ASSERT_EQ(lines.size(), 6U) << tail.out();
  EXPECT_TRUE(std::regex_match(lines.back(), gap)) << tail.out();
}

TEST(LogsCommand, PrintsTheEnvelopesWithJsonAlsoOfADeletedAgent) {
  Daemon daemon;
  daemon.Create(R"({"id":"a1","kind":"process","command":["sh","-c","echo out; echo err >&2"]})");
  daemon.WaitFor("a1");
  Delete(daemon, "a1");
  ASSERT_TRUE(Eventually([&] { return daemon.Get("/agents/a1").status == 410; }));
  Command logs(WordsFor(daemon, {"a1", "--json"}));
  EXPECT_EQ(logs.Wait(), 0) << logs.err();
  EXPECT_EQ(LinesOf(logs.out()), daemon.Events("a1"));
  EXPECT_GT(LinesOf(logs.out()).size(), 4U);
  // There is nothing to come: following it ends.
  Command follow(WordsFor(daemon, {"a1", "--json", "-f"}));
  EXPECT_EQ(follow.Wait(), 0) << follow.err();
  EXPECT_EQ(follow.out(), logs.out());
}

TEST(LogsCommand, ReadsLongLogsPageByPage) {
  Daemon daemon;
  daemon.Create(R"({"id":"a1","kind":"process","command":["seq","25000"]})");
  daemon.WaitFor("a1");
  Command logs(WordsFor(daemon, {"a1", "--types", "agent.output"}));
  EXPECT_EQ(logs.Wait(), 0) << logs.err();
  std::string expected;
  for (int i = 1; i <= 25'000; ++i) expected += std::to_string(i) + "\n";
  EXPECT_TRUE(logs.out() == expected);

  Command last(WordsFor(daemon, {"a1", "--types", "agent.output", "--tail", "2"}));
  EXPECT_EQ(last.Wait(), 0);
  EXPECT_EQ(last.out(), "24999\n25000\n");
  Command most(WordsFor(daemon, {"a1", "--types", "agent.output", "--tail", "10000"}));
  EXPECT_EQ(most.Wait(), 0);
  EXPECT_TRUE(most.out() == expected.substr(expected.find("15001\n")));
  // Further back than one page can hold.
  Command first(WordsFor(daemon, {"a1", "--types", "agent.ready", "--tail", "5", "--json"}));
  EXPECT_EQ(first.Wait(), 0);
  EXPECT_EQ(LinesOf(first.out()).size(), 1U);
}

TEST(LogsCommand, CountsWhatAPersonSees) {
  Daemon daemon;
  const std::string script = daemon.data_dir() + "/says.sh";
  WriteFile(script, R"(echo '{"type":"assistant.message","text":"first"}'
for i in 1 2 3 4 5 6 7 8 9; do echo '{"type":"assistant.delta","message_id":"m","text":"s"}'; done
echo '{"type":"assistant.message","message_id":"m","text":"sssssssss"}'
)");
  daemon.Create(R"({"id":"a1","kind":"jsonl","command":["sh",")" + script + R"("]})");
  daemon.WaitFor("a1");
  // The run's end and the agent's, and two messages, whatever parts those had.
  Command logs(WordsFor(daemon, {"a1", "--tail", "4"}));
  EXPECT_EQ(logs.Wait(), 0);
  EXPECT_EQ(logs.out().substr(0, 16), "first\nsssssssss\n");
  EXPECT_EQ(LinesOf(logs.out()).size(), 4U) << logs.out();
  Command json(WordsFor(daemon, {"a1", "--tail", "4", "--json"}));
  EXPECT_EQ(json.Wait(), 0);
  EXPECT_EQ(LinesOf(json.out()).size(), 4U) << json.out();
}

TEST(LogsCommand, BeginsWhereItIsTold) {
  Daemon daemon;
  CreateEcho(daemon, "a1");
  Say(daemon, "a1", "before");
  const std::string said = FormatTime(SystemClock().WallMs());
  ASSERT_TRUE(Eventually([&] { return FormatTime(SystemClock().WallMs()) > said; }));
  Say(daemon, "a1", "after");
  std::string time;
  for (const std::string& event : daemon.Events("a1")) {
    if (JsonField(event, "data.text") == "after" && time.empty()) time = JsonField(event, "time");
  }
  Command since(WordsFor(daemon, {"a1", "--since", time, "--types", "agent.output"}));
  EXPECT_EQ(since.Wait(), 0) << since.err();
  EXPECT_EQ(since.out(), "after\n");
  Command recent(WordsFor(daemon, {"a1", "--since", "1h", "--types", "agent.output"}));
  EXPECT_EQ(recent.Wait(), 0);
  EXPECT_EQ(recent.out(), "before\nafter\n");
  const std::string local = "@" + std::to_string(*ParseTime(time) / 1000);
  for (const std::string& begin :
       {std::string("yesterday"), local, time.substr(0, 10) + " " + time.substr(11)}) {
    Command from(WordsFor(daemon, {"a1", "--since", begin, "--types", "agent.output"}));
    EXPECT_EQ(from.Wait(), 0) << from.err();
    EXPECT_NE(from.out().find("after\n"), std::string::npos) << begin;
  }
  Command future(WordsFor(daemon, {"a1", "--since", "2999-01-01T00:00:00Z"}));
  EXPECT_EQ(future.Wait(), 0);
  EXPECT_EQ(future.out(), "");
}

TEST(LogsCommand, FollowsAcrossRestartsUntilTheAgentIsDeleted) {
  Daemon daemon;
  daemon.Create(R"({"id":"a1","kind":"process","command":["cat"],"restart":{"policy":"always"}})");
  Say(daemon, "a1", "one");
  Command follow(WordsFor(daemon, {"a1", "-f", "--types", "agent.output"}));
  ASSERT_TRUE(follow.Says("one\n"));
  Say(daemon, "a1", "two");
  ASSERT_TRUE(follow.Says("two\n"));
  daemon.Kill();
  daemon.Start();
  daemon.WaitFor("a1", "until=ready");
  Say(daemon, "a1", "three");
  ASSERT_TRUE(follow.Says("three\n"));
  ASSERT_EQ(daemon.Post("/agents/a1/stop").status, 202);
  daemon.WaitFor("a1");
  ASSERT_EQ(daemon.Post("/agents/a1/start").status, 202);  // its end is not that of what is followed
  Say(daemon, "a1", "four");
  ASSERT_TRUE(follow.Says("four\n"));
  Delete(daemon, "a1");
  EXPECT_EQ(follow.Wait(), 0) << follow.err();
  EXPECT_EQ(follow.out(), "one\ntwo\nthree\nfour\n");
}

TEST(LogsCommand, MergesSeveralAndGoesOnWithoutOneThatIsPurged) {
  Daemon daemon;
  for (const char* id : {"a1", "long-name"}) {
    daemon.Create(R"({"id":")" + std::string(id) +
                  R"(","kind":"process","command":["cat"],"labels":{"team":"web"}})");
  }
  // They are merged by their times, which have milliseconds.
  auto say_later = [&daemon](const char* id, const char* text) {
    const int64_t said_ms = SystemClock().WallMs();
    EXPECT_TRUE(Eventually([said_ms] { return SystemClock().WallMs() > said_ms; }));
    Say(daemon, id, text);
  };
  say_later("a1", "one");
  say_later("long-name", "two");
  say_later("a1", "three");
  Command past(WordsFor(daemon, {"team=web", "a1", "--types", "agent.output"}));
  EXPECT_EQ(past.Wait(), 0) << past.err();
  EXPECT_EQ(past.out(), "a1        | one\nlong-name | two\na1        | three\n");

  Command follow(WordsFor(daemon, {"team=web", "-f", "--types", "agent.output,agent.exited"}));
  ASSERT_TRUE(follow.Says("three\n"));
  Delete(daemon, "long-name?purge=true");
  ASSERT_TRUE(Eventually([&] { return daemon.Get("/agents/long-name").status == 404; }));
  Say(daemon, "a1", "four");
  ASSERT_TRUE(follow.Says("a1        | four\n"));
  daemon.Kill();
  daemon.Start();
  ASSERT_EQ(daemon.Post("/agents/a1/start").status, 202);
  Say(daemon, "a1", "five");
  ASSERT_TRUE(follow.Says("a1        | five\n"));
  Delete(daemon, "a1?purge=true");
  EXPECT_EQ(follow.Wait(), 0) << follow.err();
}

TEST(LogsCommand, SaysThatTheDaemonIsAwayAndBack) {
  Daemon daemon;
  CreateEcho(daemon, "a1");
  const Strings environment = {"REEVE_DATA=" + daemon.data_dir()};
  Command logs({"logs", "a1", "-f"}, environment);
  Command watch({"watch", "a1", "--until", "exited"}, environment);
  ASSERT_TRUE(logs.Says("agent is ready"));
  ASSERT_TRUE(
      Eventually([&] { return daemon.Get("/metrics").body.find("reeve_waits 1\n") != std::string::npos; }));
  daemon.Kill();
  auto told = [](const Command& command, const char* text) {
    return Eventually([&] { return command.err().find(text) != std::string::npos; });
  };
  for (const Command* command : {&logs, &watch})
    EXPECT_TRUE(told(*command, "the daemon does not answer; waiting for it to come back\n"));
  daemon.Start();
  for (const Command* command : {&logs, &watch}) EXPECT_TRUE(told(*command, "the daemon answers again\n"));
}

TEST(LogsCommand, EndsByCtrlC) {
  Daemon daemon;
  CreateEcho(daemon, "a1");
  Command follow(WordsFor(daemon, {"a1", "-f"}));
  ASSERT_TRUE(follow.Says("agent is ready"));
  follow.Signal(SIGINT);
  EXPECT_EQ(follow.Wait(), 130);
  EXPECT_EQ(daemon.Get("/agents/a1").Field("state"), "running");
}

TEST(LogsCommand, SaysWhatIsWrongAndIsSilentWhenNobodyReadsOn) {
  Daemon daemon;
  Command none(WordsFor(daemon, {"none"}));
  EXPECT_EQ(none.Wait(), 66);
  Command since(WordsFor(daemon, {"none", "--since", "some day"}));
  EXPECT_EQ(since.Wait(), 64);
  EXPECT_NE(since.err().find("--since: 'some day' is not a time"), std::string::npos) << since.err();
  Command tail(WordsFor(daemon, {"none", "--tail", "0"}));
  EXPECT_EQ(tail.Wait(), 64);
  daemon.Create(R"({"id":"a1","kind":"process","command":["seq","25000"]})");
  daemon.WaitFor("a1");
  Command types(WordsFor(daemon, {"a1", "--types", "run.*,run.complete"}));
  EXPECT_EQ(types.Wait(), 64);
  EXPECT_NE(types.err().find("no event type 'run.complete'; did you mean 'run.completed'?"),
            std::string::npos)
      << types.err();
  // One that cannot be read keeps nobody from the others.
  Command some(WordsFor(daemon, {"none", "a1", "-n", "1"}));
  EXPECT_EQ(some.Wait(), 66);
  EXPECT_NE(some.out().find("agent exited with code 0"), std::string::npos) << some.out();
  TempDir folder;
  const std::string piped = "sh -c '" + std::string(kReeveBinary) + " agents logs --data " +
                            daemon.data_dir() + " a1 2>" + folder.path() + "/err' | head -n 1 >" +
                            folder.path() + "/out";
  EXPECT_EQ(WEXITSTATUS(std::system(piped.c_str())), 0);
  EXPECT_EQ(ReadFile(folder.path() + "/err"), "");
  EXPECT_EQ(LinesOf(ReadFile(folder.path() + "/out")).size(), 1U);
  daemon.Kill();
  Command down({"agents", "logs", "--server", daemon.address(), "a1"}, {"REEVE_TOKEN=" + daemon.token()});
  EXPECT_EQ(down.Wait(), 69);
}

}  // namespace
}  // namespace reeve
