// `reeve agents wake` and `send`, and how agents are named (control/api/API.md, "Command line"): by id, title
// or label, from cron and from within an agent.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "process/clock.h"
#include "tests/support/command.h"
#include "tests/support/daemon.h"
#include "tests/support/paths.h"

namespace reeve {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;
using Strings = std::vector<std::string>;

class WakeCommand : public testing::Test {
 protected:
  struct Outcome {
    int code;
    std::string out;
    std::string err;
  };
  [[nodiscard]] Outcome Agents(Strings words, const std::string& input = {}) const {
    words.insert(words.begin(), "agents");
    Command command(words, {"REEVE_DATA=" + daemon_.data_dir()}, input);
    const int code = command.Wait();
    return {code, command.out(), command.err()};
  }
  void MakeCat(const std::string& id, const std::string& more = "") const {
    daemon_.Create(R"({"id":")" + id + R"(","kind":"process","command":["cat"])" + more + "}");
    daemon_.WaitFor(id, "until=ready");
  }
  [[nodiscard]] bool Heard(const std::string& id, const std::string& text) const {
    return Eventually([&] {
      return daemon_.LogFiles(id).find(R"("stream":"stdout","text":")" + text + "\"") != std::string::npos;
    });
  }
  // By a shell with nothing but this environment; the code.
  [[nodiscard]] int Bare(const std::string& environment, const std::string& words) const {
    const int status =
        std::system(("env -i " + environment + " " + std::string(kReeveBinary) + " " + words).c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  Daemon daemon_;
};

TEST_F(WakeCommand, TakesIdsTitlesAndLabels) {
  MakeCat("a1", R"(,"title":"Fix the build / now: 50% üß")");
  MakeCat("a2", R"(,"labels":{"team":"blue & green"})");
  MakeCat("a3", R"(,"labels":{"team":"blue & green"})");
  const Outcome all = Agents({"wake", "Fix the build / now: 50% üß", "team=blue & green", "--message", "hi"});
  EXPECT_EQ(all.code, 0) << all.err;
  EXPECT_THAT(all.out, MatchesRegex("m[0-9a-f]+\nm[0-9a-f]+\nm[0-9a-f]+\n"));
  for (const char* id : {"a1", "a2", "a3"}) EXPECT_TRUE(Heard(id, "hi")) << id;
  const Outcome sent = Agents({"send", "team=blue & green", "-m", "-"}, "said to both");
  EXPECT_EQ(std::count(sent.out.begin(), sent.out.end(), '\n'), 2) << sent.err;
  EXPECT_TRUE(Heard("a3", "said to both"));
}

TEST_F(WakeCommand, WhoIsNamedTwiceIsToldOnce) {
  MakeCat("a1", R"(,"title":"first","labels":{"team":"web"})");
  MakeCat("a2", R"(,"labels":{"team":"web"})");
  const Outcome woken = Agents({"wake", "a1", "team=web", "first", "--message", "hi"});
  EXPECT_EQ(woken.code, 0) << woken.err;
  EXPECT_EQ(std::count(woken.out.begin(), woken.out.end(), '\n'), 2) << woken.out;
  Command exported({"export", "a1", "team=web", "first"}, {"REEVE_DATA=" + daemon_.data_dir()});
  EXPECT_EQ(exported.Wait(), 0) << exported.err();
  const std::string end = R"("type":"export.end")";
  const size_t first = exported.out().find(end);
  ASSERT_NE(first, std::string::npos);
  EXPECT_EQ(exported.out().find(end, first + 1), exported.out().rfind(end)) << exported.out();
}

TEST_F(WakeCommand, ATitleThatSeveralHaveIsNobodys) {
  MakeCat("a1", R"(,"title":"same")");
  MakeCat("a2", R"(,"title":"same")");
  const Outcome ambiguous = Agents({"wake", "same", "--message", "hi"});
  EXPECT_EQ(ambiguous.code, 64);
  EXPECT_EQ(ambiguous.err, "reeve: agents wake: same: 'same' means 2 agents: a1, a2; name one by its id\n");
  MakeCat("same");  // an id comes first
  EXPECT_EQ(Agents({"wake", "same", "--message", "mine"}).code, 0);
  EXPECT_TRUE(Heard("same", "mine"));
  MakeCat("a4", R"(,"title":"size=large")");  // as a label looks, and is none
  EXPECT_EQ(Agents({"wake", "size=large", "--message", "yours"}).code, 0);
  EXPECT_TRUE(Heard("a4", "yours"));
}

TEST_F(WakeCommand, NamesThatNobodyHasDoNothing) {
  MakeCat("a1");
  for (const char* name : {"none", ".", "..", "../health", "a1/", "a1?x", "a1%00", "A1", "*"}) {
    const Outcome outcome = Agents({"stop", name});
    EXPECT_EQ(outcome.code, 66) << name << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr("there is no agent ")) << name;
  }
  const Outcome bytes = Agents({"stop", "\xff"});
  EXPECT_EQ(bytes.code, 64);
  EXPECT_THAT(bytes.err, HasSubstr("'\\xff' is not UTF-8"));
  const Outcome label = Agents({"stop", "team=web"});
  EXPECT_EQ(label.code, 66);
  EXPECT_THAT(label.err, HasSubstr("no agent has the label team=web"));
  const Outcome empty = Agents({"stop", ""});  // of a variable that was not set: not all without a title
  EXPECT_EQ(empty.code, 64);
  EXPECT_EQ(empty.err, "reeve: agents stop: the name of an agent is empty\n");
  EXPECT_EQ(Agents({"stop", "="}).code, 66);
  EXPECT_EQ(daemon_.Get("/agents/a1").Field("state"), "running");
}

TEST_F(WakeCommand, ADeletedAgentIsNotWoken) {
  MakeCat("a1", R"(,"title":"first","labels":{"team":"web"})");
  EXPECT_EQ(Agents({"rm", "first"}).code, 0);
  const Outcome by_id = Agents({"wake", "a1", "--message", "hi"});
  EXPECT_EQ(by_id.code, 66);
  EXPECT_THAT(by_id.err, HasSubstr("a1: agent a1 has been deleted"));
  EXPECT_EQ(Agents({"wake", "first", "--message", "hi"}).code, 66);
  EXPECT_EQ(Agents({"wake", "team=web", "--message", "hi"}).code, 66);
}

TEST_F(WakeCommand, TakesATimeAsPeopleWriteIt) {
  MakeCat("a1");
  // Two hours ahead of UTC, so an hour from now.
  std::string time = FormatTime(SystemClock().WallMs() + 10'800'000);
  time = time.substr(0, 19) + "+02:00";
  EXPECT_EQ(Agents({"wake", "a1", "--message", "later", "--at", time}).code, 0);
  const auto due = ParseTime(time);
  ASSERT_TRUE(due);
  EXPECT_THAT(daemon_.Get("/agents/a1/queue").body, HasSubstr(FormatTime(*due)));
  time[10] = ' ';
  EXPECT_EQ(Agents({"send", "a1", "-m", "later", "--at", time, "--dedupe-key", "k"}).code, 0);
  EXPECT_EQ(Agents({"wake", "a1", "-m", "tomorrow", "--at", "tomorrow"}).code, 0);
  EXPECT_EQ(daemon_.Get("/agents/a1").Field("scheduled"), "3");
  for (const char* wrong : {"8:00", "soon", "2026-02-30", "2026-13-01T00:00:00Z"}) {
    const Outcome outcome = Agents({"wake", "a1", "--message", "x", "--at", wrong});
    EXPECT_EQ(outcome.code, 64) << wrong;
    EXPECT_THAT(outcome.err,
                HasSubstr("--at: '" + std::string(wrong) + "' is not a time such as 2026-01-31T"));
  }
  const HttpAnswer refused = daemon_.Post("/agents/a1/message", R"({"text":"x","run_at":"soon"})");
  EXPECT_EQ(refused.status, 400);
  EXPECT_THAT(refused.body, HasSubstr("run_at: 'soon' is not a time"));
  EXPECT_EQ(daemon_.Post("/agents/a1/message", R"({"text":"x","run_at":"2026-01-31 08:00:00z"})").status,
            202);
}

// cron's environment is next to nothing, and some close what they do not need: then a socket must not come to
// be stdin or stdout.
TEST_F(WakeCommand, WorksFromCron) {
  MakeCat("a1");
  const std::string data = "REEVE_DATA=" + daemon_.data_dir();
  const std::string out = daemon_.data_dir() + "/out";
  EXPECT_EQ(Bare(data, "agents wake a1 --message plain </dev/null >" + out), 0);
  EXPECT_THAT(ReadFile(out), MatchesRegex("m[0-9a-f]+\n"));
  EXPECT_EQ(Bare(data, "agents wake a1 --message closed <&- >&- 2>&-"), 0);
  EXPECT_EQ(Bare(data, "agents wake a1 --message - <&- >&- 2>&-"), 64);  // nothing was said
  EXPECT_EQ(Bare("", "agents wake a1 --message flags --data " + daemon_.data_dir() + " <&- >" + out), 0);
  EXPECT_EQ(Bare("REEVE_SERVER=" + daemon_.address() + " REEVE_TOKEN=" + daemon_.token(),
                 "agents wake a1 --message variables <&- >&- 2>" + out),
            0)
      << ReadFile(out);
  for (const char* text : {"plain", "closed", "flags", "variables"}) EXPECT_TRUE(Heard("a1", text)) << text;
}

// The same command in two cron jobs that overlap: once.
TEST_F(WakeCommand, AKeyIsOneMessageToEachOfThem) {
  MakeCat("a1", R"(,"labels":{"team":"web"})");
  MakeCat("a2", R"(,"labels":{"team":"web"})");
  const Strings words = {"wake", "team=web", "--message", "report", "--delay", "1d", "--dedupe-key", "today"};
  const Outcome once = Agents(words);
  EXPECT_EQ(Agents(words).out, once.out);
  EXPECT_EQ(std::count(once.out.begin(), once.out.end(), '\n'), 2);
  for (const char* id : {"a1", "a2"})
    EXPECT_EQ(daemon_.Get("/agents/" + std::string(id)).Field("scheduled"), "1");
}

// The first of them sends the message. The others wait for its answer.
TEST_F(WakeCommand, TwentyShellsWithOneKeySendOneMessage) {
  MakeCat("a1");
  std::vector<std::unique_ptr<Command>> shells;
  for (int i = 0; i < 20; ++i) {
    shells.push_back(std::make_unique<Command>(
        Strings{"wake", "a1", "-m", "report", "--delay", "1d", "--dedupe-key", "today"},
        Strings{"REEVE_DATA=" + daemon_.data_dir()}));
  }
  for (const auto& shell : shells) {
    EXPECT_EQ(shell->Wait(), 0) << shell->err();
    EXPECT_EQ(shell->out(), shells.front()->out());
  }
  EXPECT_EQ(daemon_.Get("/agents/a1").Field("scheduled"), "1");
}

TEST_F(WakeCommand, OneAgentWakesAnotherByItsTitle) {
  MakeCat("a1", R"(,"title":"the worker")");
  const std::string reeve = kReeveBinary;
  daemon_.Create(R"({"id":"boss","kind":"process","api":"operate","command":["/bin/sh","-c","m=$()" + reeve +
                 R"( agents wake 'the worker' --message 'from the boss') && echo sent $m"]})");
  EXPECT_EQ(daemon_.WaitFor("boss").Field("exit.code"), "0");
  EXPECT_THAT(daemon_.LogFiles("boss"), HasSubstr("\"text\":\"sent m"));
  EXPECT_TRUE(Heard("a1", "from the boss"));
}

}  // namespace
}  // namespace reeve
