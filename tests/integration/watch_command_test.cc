// `reeve agents watch` (control/api/API.md, "Command line"): how it exits, what it says, and what it
// outlives.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/command.h"
#include "tests/support/daemon.h"
#include "tests/support/paths.h"
#include "tests/support/sanitized.h"

namespace reeve {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;
using Strings = std::vector<std::string>;

std::string Shell(const std::string& id, const std::string& script, const std::string& more = "") {
  return R"({"id":")" + id + R"(","kind":"process","command":["/bin/sh","-c",")" + script + "\"]" + more +
         "}";
}

class WatchCommand : public testing::Test {
 protected:
  // One that goes on until `name` is opened, then does as `then` says.
  std::string Gated(const std::string& id, const std::string& then, const std::string& more = "") {
    return Shell(id, "until [ -e " + Gate(id) + " ]; do sleep 0.02; done; " + then, more);
  }
  // A jsonl program whose turns last until a file of the turn's text is there. A turn that says "fail" fails.
  std::string Worker(const std::string& id, const std::string& more = "") {
    WriteFile(daemon_.data_dir() + "/worker.sh", R"(
while read -r line; do
  echo '{"type":"run.started"}'
  until [ -e )" + daemon_.data_dir() +
                                                     R"(/"$line" ]; do sleep 0.02; done
  case "$line" in
    *fail*) echo '{"type":"run.failed","error":{"code":"told_to","message":"as told"}}' ;;
    *) echo '{"type":"run.completed"}' ;;
  esac
done
)");
    return R"({"id":")" + id + R"(","kind":"jsonl","kind_options":{"turns":true},"command":["/bin/bash",")" +
           daemon_.data_dir() + R"(/worker.sh"])" + more + "}";
  }
  [[nodiscard]] std::string Gate(const std::string& id) const { return daemon_.data_dir() + "/" + id; }
  void Open(const std::string& id) const { WriteFile(Gate(id), ""); }

  [[nodiscard]] std::unique_ptr<Command> Reeve(const Strings& words) const {
    return std::make_unique<Command>(words, Strings{"REEVE_DATA=" + daemon_.data_dir()});
  }
  [[nodiscard]] std::unique_ptr<Command> Watch(Strings words) const {
    words.insert(words.begin(), {"agents", "watch"});
    return Reeve(words);
  }
  // Once the daemon has been asked `requests` more: then it waits. An agent's id costs one, what it does at
  // present another, the wait a third; a message needs no second.
  [[nodiscard]] std::unique_ptr<Command> Waiting(const Strings& words, int requests = 3) const {
    const int before = Requests();
    auto command = Watch(words);
    int asked = 0;
    EXPECT_TRUE(Eventually([&] { return Requests() >= before + requests + ++asked; }));
    return command;
  }
  [[nodiscard]] int Requests() const {
    const std::string metrics = daemon_.Get("/metrics").body;
    const size_t at = metrics.find("\nreeve_requests_total ");
    return at == std::string::npos ? -1 : std::atoi(metrics.c_str() + at + 22);
  }
  std::string Say(const std::string& agent, const std::string& text) const {
    return daemon_.Post("/agents/" + agent + "/message", R"({"text":")" + text + "\"}").Field("message_id");
  }

  Daemon daemon_;
};

// ------------------------------------------------------------------------------------------------ outcomes

TEST_F(WatchCommand, ExitsAsTheRunDid) {
  daemon_.Create(Gated("a1", "exit 0"));
  daemon_.Create(Gated("a2", "exit 3"));
  daemon_.Create(Gated("a3", "kill -9 $$"));
  daemon_.Create(Gated("a4", ""));
  auto completed = Waiting({"a1"});
  auto failed = Waiting({"a2"});
  auto killed = Waiting({"a3"});
  auto cancelled = Waiting({"a4"});
  for (const char* id : {"a1", "a2", "a3"}) Open(id);
  daemon_.Post("/agents/a4/stop");
  EXPECT_EQ(completed->Wait(), 0);
  EXPECT_THAT(completed->out(), MatchesRegex("a1: completed after [0-9.]+ m?s\n"));
  EXPECT_EQ(failed->Wait(), 3);
  EXPECT_THAT(failed->out(),
              MatchesRegex("a2: failed with 3 after [0-9.]+ m?s: the process ended with code 3\n"));
  EXPECT_EQ(killed->Wait(), 128 + SIGKILL);
  EXPECT_THAT(killed->out(),
              MatchesRegex("a3: failed with 137 after [0-9.]+ m?s: the process ended with signal 9\n"));
  EXPECT_EQ(cancelled->Wait(), 130);
  EXPECT_THAT(cancelled->out(), MatchesRegex("a4: cancelled after [0-9.]+ m?s\n"));
  for (const auto& command : {completed.get(), failed.get(), killed.get(), cancelled.get()})
    EXPECT_EQ(command->err(), "");

  // And of what was over before it was called.
  auto again = Watch({"a2"});
  EXPECT_EQ(again->Wait(), 3);
  EXPECT_EQ(again->out(), failed->out());
  auto json = Watch({"a2", "--json"});
  EXPECT_EQ(json->Wait(), 3);
  EXPECT_EQ(JsonField(json->out(), "agent"), "a2") << json->out();
  EXPECT_EQ(JsonField(json->out(), "status"), "failed");
  EXPECT_EQ(JsonField(json->out(), "exit_code"), "3");
  auto quiet = Watch({"a2", "--quiet"});
  EXPECT_EQ(quiet->Wait(), 3);
  EXPECT_EQ(quiet->out() + quiet->err(), "");
}

TEST_F(WatchCommand, StaysWithTheRunThatItBeganToWaitFor) {
  daemon_.Create(Gated("a1", "test -e " + Gate("again") + " && exit 4; touch " + Gate("again") + "; exit 3",
                       R"(,"restart":{"policy":"on_failure","max_restarts":5,"window_ms":60000})"));
  auto first = Waiting({"a1"});
  Open("a1");
  EXPECT_EQ(first->Wait(), 3);
  ASSERT_TRUE(Eventually([&] { return daemon_.Get("/agents/a1").Field("last_run.exit_code") == "4"; }));
  // The server's part: exactly that one, long after.
  const std::string target = "/agents/a1/wait?run_id=r2";
  EXPECT_EQ(daemon_.Get(target).Field("exit_code"), "3");
  daemon_.Kill();
  daemon_.Start();
  EXPECT_EQ(daemon_.Get(target).Field("exit_code"), "3");
  EXPECT_EQ(daemon_.Get("/agents/a1/wait?run_id=r1").Field("code"), "run_not_found");
  EXPECT_EQ(daemon_.Get("/agents/a1/wait?run_id=r02").Field("code"), "run_not_found");
  EXPECT_EQ(daemon_.Get("/agents/a1/wait?run_id=x").status, 404);
  EXPECT_EQ(daemon_.Get(target + "&until=idle").status, 400);
  EXPECT_EQ(daemon_.Get(target + "&message_id=m1").status, 400);
  EXPECT_EQ(daemon_.Call("DELETE", "/agents/a1").status / 100, 2);
  EXPECT_EQ(daemon_.Get(target).Field("exit_code"), "3");
  EXPECT_EQ(daemon_.Get("/agents/a1/wait").status, 410);
}

TEST_F(WatchCommand, WaitsForTheFirstRunOfAnAgentThatHasNone) {
  daemon_.Create(Worker("a1"));
  daemon_.WaitFor("a1", "until=ready");
  auto watch = Waiting({"a1"});
  Open("first fail");
  Say("a1", "first fail");
  EXPECT_EQ(watch->Wait(), 1);
  EXPECT_THAT(watch->out(), MatchesRegex("a1: failed after [0-9.]+ m?s: as told\n"));
}

TEST_F(WatchCommand, WaitsForAMessage) {
  daemon_.Create(Worker("a1", R"(,"prompt":"one")"));
  const std::string queued = Say("a1", "two fail");
  const std::string taken_back = Say("a1", "three");
  auto fails = Waiting({"a1", "--message-id", queued}, 2);
  auto cancelled = Waiting({"a1", "--message-id", taken_back}, 2);
  EXPECT_EQ(daemon_.Call("DELETE", "/agents/a1/queue/" + taken_back).status, 204);
  EXPECT_EQ(cancelled->Wait(), 130);
  EXPECT_EQ(cancelled->out(), "a1: cancelled before it began\n");
  Open("one");
  EXPECT_EQ(daemon_.WaitFor("a1", "after_run=r0").Field("status"), "completed");
  EXPECT_EQ(fails->out(), "");
  Open("two fail");
  EXPECT_EQ(fails->Wait(), 1);
  EXPECT_EQ(Watch({"a1", "--message-id", queued})->Wait(), 1);
  auto unknown = Watch({"a1", "--message-id", "m0"});
  EXPECT_EQ(unknown->Wait(), 66);
  EXPECT_EQ(unknown->err(), "reeve: agents watch: a1: agent a1 has no message m0\n");
  EXPECT_EQ(Watch({"a1", "--message-id", queued, "--until", "idle"})->Wait(), 64);
}

TEST_F(WatchCommand, WaitsUntilReadyIdleOrExited) {
  daemon_.Create(Worker("a1"));
  auto ready = Watch({"a1", "--until", "ready"});
  EXPECT_EQ(ready->Wait(), 0);
  EXPECT_EQ(ready->out(), "a1: ready\n");
  auto never = Watch({"a1", "--until", "idle"});
  EXPECT_EQ(never->Wait(), 0);
  EXPECT_EQ(never->out(), "a1: idle\n");
  Say("a1", "one");
  Say("a1", "two fail");
  Say("a1", "three");
  auto idle = Waiting({"a1", "--until", "idle"}, 2);
  auto exited = Waiting({"a1", "--until", "exited"}, 2);
  Open("one");
  Open("two fail");
  EXPECT_EQ(idle->Wait(), 1);
  EXPECT_THAT(idle->out(),
              MatchesRegex("a1: idle, 1 message waits, its last run failed after [0-9.]+ m?s: as told\n"));
  EXPECT_EQ(JsonField(daemon_.Get("/agents/a1/queue").body, "paused"), "true");
  daemon_.Post("/agents/a1/stop");
  EXPECT_EQ(exited->Wait(), 1);
  EXPECT_THAT(exited->out(), HasSubstr("a1: exited, 1 message waits, its last run failed after "));

  daemon_.Create(Shell("a2", "exit 0"));
  daemon_.WaitFor("a2");
  EXPECT_EQ(Watch({"a2", "--until", "exited"})->Wait(), 0);
  auto ended = Watch({"a2", "--until", "ready"});
  EXPECT_EQ(ended->Wait(), 1);
  EXPECT_EQ(ended->out(), "a2: exited\n");
  daemon_.Create(R"({"id":"a3","kind":"claude","command":["/bin/false"]})");
  for (const char* until : {"ready", "idle", "exited"}) {
    auto failed = Watch({"a3", "--until", until});
    EXPECT_EQ(failed->Wait(), 1) << until;
    EXPECT_THAT(failed->out(), HasSubstr("a3: failed: the process ended with code 1 before it was ready"));
  }
}

TEST_F(WatchCommand, GivesUpWhenTheTimeIsOver) {
  daemon_.Create(Gated("a1", "exit 0"));
  daemon_.WaitFor("a1", "until=ready");
  auto over = Watch({"a1", "--timeout", "200ms"});
  EXPECT_EQ(over->Wait(), 124);
  EXPECT_EQ(over->out(), "a1: timed out after 200ms, still running\n");
  auto json = Watch({"a1", "--timeout", "0", "--json"});
  EXPECT_EQ(json->Wait(), 124);
  EXPECT_EQ(JsonField(json->err(), "error.code"), "timed_out") << json->err();
  EXPECT_EQ(Watch({"a1", "--timeout", "soon"})->Wait(), 64);
  Open("a1");
  daemon_.WaitFor("a1");
  EXPECT_EQ(Watch({"a1", "--timeout", "0"})->Wait(), 0);  // only looks

  daemon_.Create(Gated("a2", "exit 0"));
  auto alone = Waiting({"a2", "--timeout", "3s"});
  daemon_.Kill();
  EXPECT_EQ(alone->Wait(), 124);
  EXPECT_EQ(alone->out(), "a2: timed out after 3s, and the daemon does not answer\n");
}

TEST_F(WatchCommand, SaysWhatKeepsItFromWaiting) {
  daemon_.Create(Shell("a1", "exit 0"));
  auto unknown = Watch({"a1", "none"});
  EXPECT_EQ(unknown->Wait(), 66);
  EXPECT_EQ(unknown->out(), "");
  EXPECT_EQ(unknown->err(),
            "reeve: agents watch: none: there is no agent none; `reeve agents list` lists all agents\n");
  EXPECT_EQ(Watch({"a1", "--server", "http://127.0.0.1:1"})->Wait(), 69);
  EXPECT_EQ(Watch({"a1", "--until", "noon"})->Wait(), 64);
  EXPECT_EQ(Watch({"a1", "--any", "--all"})->Wait(), 64);
  EXPECT_EQ(Watch({})->Wait(), 64);
  WriteFile(daemon_.data_dir() + "/wrong", "wrong-token-0123456789");
  EXPECT_EQ(Watch({"a1", "--token-file", daemon_.data_dir() + "/wrong"})->Wait(), 77);
  EXPECT_EQ(daemon_.Call("DELETE", "/agents/a1").status / 100, 2);
  auto deleted = Watch({"a1"});
  EXPECT_EQ(deleted->Wait(), 66);
  EXPECT_EQ(
      deleted->err(),
      "reeve: agents watch: a1: agent a1 has been deleted; `reeve logs` still shows its log, `reeve rm --purge` deletes that, too\n");
}

// ------------------------------------------------------------------------------------------------- several

TEST_F(WatchCommand, WaitsForAllOfThem) {
  daemon_.Create(Gated("a1", "exit 0"));
  daemon_.Create(Gated("a2", "exit 5", R"(,"labels":{"team":"web"})"));
  daemon_.Create(Gated("a3", "exit 7", R"(,"labels":{"team":"web"},"title":"the third")"));
  auto all = Waiting({"a1", "team=web", "the third"}, 1 + 1 + 1 + 3 * 2);
  Open("a3");
  EXPECT_TRUE(all->Says("a3: failed with 7"));
  Open("a1");
  EXPECT_TRUE(all->Says("a1: completed"));
  Open("a2");
  EXPECT_EQ(all->Wait(), 5);  // the first in the order given
  EXPECT_THAT(all->out(), MatchesRegex("a3: [^\n]*\na1: [^\n]*\na2: [^\n]*\n"));
  EXPECT_EQ(Watch({"the third", "a1", "a2", "--all", "--quiet"})->Wait(), 7);
  EXPECT_EQ(Watch({"team=web", "--message-id", "m1"})->Wait(), 64);
}

TEST_F(WatchCommand, TheFirstOfThemDecidesWhereThatIsWanted) {
  daemon_.Create(Gated("a1", "exit 0"));
  daemon_.Create(Gated("a2", "exit 5"));
  auto any = Waiting({"a1", "a2", "--any"}, 2 + 2 * 2);
  Open("a2");
  EXPECT_EQ(any->Wait(), 5);
  EXPECT_THAT(any->out(), MatchesRegex("a2: failed with 5 [^\n]*\n"));
  Open("a1");
  EXPECT_EQ(Watch({"a1", "--any"})->Wait(), 0);
}

// ------------------------------------------------------------------------------------------------ showing

TEST_F(WatchCommand, ShowsTheLastEventsAlone) {
  daemon_.Create(Shell("a1", "seq 1 50; sleep 600"));
  ASSERT_TRUE(Eventually([&] { return daemon_.LogFiles("a1").find("\"50\"") != std::string::npos; }));
  auto three = Watch({"a1", "--tail=3"});
  EXPECT_EQ(three->Wait(), 0);
  EXPECT_EQ(three->out(), "48\n49\n50\n");
  auto twenty = Watch({"a1", "--tail"});
  EXPECT_EQ(twenty->Wait(), 0);
  EXPECT_EQ(twenty->out().rfind("31\n32\n", 0), 0U) << twenty->out();
  for (const char* wrong : {"--tail=0", "--tail=x", "--tail=-1", "--tail=10001"})
    EXPECT_EQ(Watch({"a1", wrong})->Wait(), 64) << wrong;
}

TEST_F(WatchCommand, ShowsWhatTheyDoUntilThen) {
  daemon_.Create(
      Shell("a1", "echo early; until [ -e " + Gate("a1") + " ]; do sleep 0.02; done; seq 1 500; exit 3"));
  ASSERT_TRUE(Eventually([&] { return daemon_.LogFiles("a1").find("early") != std::string::npos; }));
  auto from_now = Watch({"a1", "--follow"});
  auto with_past = Watch({"a1", "--follow", "--tail=1"});
  auto json = Watch({"a1", "--follow", "--json"});
  ASSERT_TRUE(Eventually([&] { return daemon_.Get("/health").Field("viewers") == "3"; }));
  EXPECT_TRUE(with_past->Says("early\n"));
  Open("a1");
  EXPECT_EQ(from_now->Wait(), 3);
  EXPECT_EQ(with_past->Wait(), 3);
  EXPECT_EQ(json->Wait(), 3);
  EXPECT_THAT(from_now->out(), MatchesRegex("1\n2\n3\n.*\n500\n.*\na1: failed with 3 after [^\n]*\n"));
  EXPECT_EQ(with_past->out(), "early\n" + from_now->out());
  const std::string last = json->out().substr(json->out().rfind('\n', json->out().size() - 2) + 1);
  EXPECT_EQ(JsonField(last, "status"), "failed") << last;
  EXPECT_THAT(json->out(), HasSubstr("\"type\":\"run.failed\""));
  // For an agent that has ended there is nothing to wait for.
  auto ended = Watch({"a1", "--follow", "--tail=500"});
  EXPECT_EQ(ended->Wait(), 3);
  EXPECT_THAT(ended->out(), MatchesRegex(".*\n500\n.*\na1: failed with 3 after [^\n]*\n"));
}

TEST_F(WatchCommand, ShowsWhatSeveralDoAcrossARestartOfTheDaemon) {
  daemon_.Create(Worker("a1", R"(,"prompt":"one")"));
  daemon_.Create(Worker("b2", R"(,"prompt":"two")"));
  for (const char* id : {"a1", "b2"})
    ASSERT_TRUE(
        Eventually([&] { return daemon_.Get("/agents/" + std::string(id)).Field("state") == "running"; }));
  auto watch = Watch({"a1", "b2", "--until", "idle", "--follow"});
  ASSERT_TRUE(Eventually([&] { return daemon_.Get("/health").Field("viewers") == "1"; }));
  ASSERT_TRUE(daemon_.HandOver());
  Open("one");
  EXPECT_TRUE(watch->Says("a1: idle, its last run completed"));
  Open("two");
  EXPECT_EQ(watch->Wait(), 0);
  EXPECT_THAT(watch->out(), MatchesRegex("(.*\n)?a1 [^\n]*run [^\n]*completed.*\na1: idle.*\nb2 [^\n]*run "
                                         "[^\n]*completed.*\nb2: idle[^\n]*\n"));
  EXPECT_EQ(watch->err(), "");
}

// ------------------------------------------------------------------------------------- the daemon goes away

TEST_F(WatchCommand, OutlivesADaemonThatIsKilledAndStartedAgain) {
  daemon_.Create(Worker("a1", R"(,"prompt":"one")"));
  ASSERT_TRUE(Eventually([&] { return daemon_.Get("/agents/a1").Field("state") == "running"; }));
  const std::string queued = Say("a1", "two");
  auto run = Waiting({"a1"});
  auto message = Waiting({"a1", "--message-id", queued}, 2);
  auto idle = Waiting({"a1", "--until", "idle"}, 2);
  daemon_.Kill();
  daemon_.Start();
  EXPECT_EQ(run->Wait(), 1);
  EXPECT_THAT(run->out(), HasSubstr("a1: failed after ")) << run->err();
  EXPECT_THAT(run->out(), HasSubstr("cut off: the daemon was killed"));
  // The waiting message begins by itself.
  ASSERT_TRUE(Eventually([&] { return daemon_.Get("/agents/a1").Field("run.message_id") == queued; }));
  daemon_.Kill();  // and again: that run ends by it, the message with it
  daemon_.Start();
  EXPECT_EQ(message->Wait(), 1);
  EXPECT_THAT(message->out(), HasSubstr("cut off: the daemon was killed"));
  EXPECT_EQ(idle->Wait(), 1);
  EXPECT_THAT(idle->out(), HasSubstr("a1: exited, its last run failed"));
  EXPECT_EQ(message->err() + idle->err() + run->err(), "");
}

TEST_F(WatchCommand, OutlivesAHandover) {
  daemon_.Create(Gated("a1", "exit 3"));
  auto watch = Waiting({"a1"});
  ASSERT_TRUE(daemon_.HandOver());
  Open("a1");
  EXPECT_EQ(watch->Wait(), 3);
  EXPECT_EQ(watch->err(), "");
}

TEST_F(WatchCommand, LearnsInADrainHowItEnds) {
  daemon_.Create(Worker("a1", R"(,"prompt":"one","restart":{"policy":"always"})"));
  daemon_.Create(Shell("a2", "sleep 600"));
  ASSERT_TRUE(Eventually([&] { return daemon_.Get("/agents/a1").Field("state") == "running"; }));
  auto turn = Waiting({"a1"});
  auto idle = Waiting({"a1", "--until", "idle"}, 2);
  auto life = Waiting({"a2"});
  daemon_.Signal(SIGTERM);
  EXPECT_EQ(life->Wait(), 130);
  Open("one");
  EXPECT_EQ(turn->Wait(), 0);
  EXPECT_EQ(daemon_.Wait(), 0);
  daemon_.Start();
  EXPECT_EQ(idle->Wait(), 0);
  EXPECT_EQ(turn->err() + life->err() + idle->err(), "");
}

// ------------------------------------------------------------------------------------------------- stories

TEST_F(WatchCommand, IsAScriptsCondition) {
  daemon_.Create(Shell("a1", "exit 3"));
  daemon_.Create(Shell("a2", "exit 0"));
  daemon_.Create(Shell("script",
                       "if ! $REEVE agents watch a1; then echo it failed; fi; $REEVE agents watch a2 && "
                       "echo the other did not",
                       R"(,"api":"view","env":{"REEVE":")" + std::string(kReeveBinary) + "\"}"));
  EXPECT_EQ(daemon_.WaitFor("script").Field("exit.code"), "0");
  const std::string said = daemon_.LogFiles("script");
  EXPECT_THAT(said, HasSubstr("a1: failed with 3 after"));
  EXPECT_THAT(said, HasSubstr("\"it failed\""));
  EXPECT_THAT(said, HasSubstr("\"the other did not\""));
}

// The first users' own story: a long job is begun, its shell closed; another shell hands over the next step
// while it is busy, and waits; nobody looks on.
TEST_F(WatchCommand, ANextStepRunsByItselfAfterTheFirst) {
  daemon_.Create(Worker("job"));
  EXPECT_EQ(Reeve({"agents", "wake", "job", "--message", "build"})->Wait(), 0);  // and that shell is gone
  ASSERT_TRUE(Eventually([&] { return daemon_.Get("/agents/job").Field("state") == "running"; }));
  auto wake = Reeve({"agents", "wake", "job", "--message", "test"});
  EXPECT_EQ(wake->Wait(), 0);
  const std::string message = wake->out().substr(0, wake->out().size() - 1);
  auto watch = Waiting({"job", "--until", "idle"}, 2);
  Open("test");  // the second could be done at once: it waits for the first
  EXPECT_EQ(daemon_.Get("/agents/job").Field("queue_depth"), "1");
  EXPECT_EQ(daemon_.Get("/health").Field("viewers"), "0");
  Open("build");
  EXPECT_EQ(watch->Wait(), 0);
  EXPECT_THAT(watch->out(), HasSubstr("job: idle, its last run completed after "));
  Strings story;
  for (const std::string& event : daemon_.Events("job", "after=0&types=run.*,user.message"))
    story.push_back(JsonField(event, "type") + " " + JsonField(event, "data.text"));
  EXPECT_EQ(story, (Strings{"run.started ", "user.message build", "run.completed ", "run.started ",
                            "user.message test", "run.completed "}));
  EXPECT_EQ(Watch({"job", "--message-id", message})->Wait(), 0);
}

TEST_F(WatchCommand, MoreThanTheLimitOfDescriptorsIsMeantFor) {
  constexpr int kAgents = 40;
  std::string script = "ulimit -S -n 30; exec " + std::string(kReeveBinary) + " agents watch --timeout 1s";
  for (int i = 0; i < kAgents; ++i) {
    const std::string id = "a" + std::to_string(i);
    daemon_.Create(R"({"id":")" + id + R"(","kind":"process","command":["cat"]})");
    script += " " + id;
  }
  Command command(Command::Program{{"sh", "-c", script}, daemon_.data_dir()},
                  {"REEVE_DATA=" + daemon_.data_dir()});
  EXPECT_EQ(command.Wait(), 124) << command.err();
  EXPECT_EQ(command.err(), "");
}

constexpr int kMany = kSanitized ? 100 : 1'000;  // each takes far more memory

TEST_F(WatchCommand, AThousandAreEachAnswered) {
  for (const char* id : {"a0", "a1", "a2", "a3"}) daemon_.Create(Gated(id, "exit " + std::string(id + 1)));
  const int before = Requests();
  std::vector<std::unique_ptr<Command>> commands;
  commands.reserve(kMany);
  for (int i = 0; i < kMany; ++i) commands.push_back(Watch({"a" + std::to_string(i % 4)}));
  int asked = 0;
  ASSERT_TRUE(Eventually([&] { return Requests() >= before + 3 * kMany + ++asked; }, 5 * kPatienceMs));
  for (const char* id : {"a0", "a1", "a2", "a3"}) Open(id);
  for (int i = 0; i < kMany; ++i) {
    ASSERT_EQ(commands[static_cast<size_t>(i)]->Wait(), i % 4) << commands[static_cast<size_t>(i)]->err();
    EXPECT_NE(commands[static_cast<size_t>(i)]->out(), "");
  }
}

}  // namespace
}  // namespace reeve
