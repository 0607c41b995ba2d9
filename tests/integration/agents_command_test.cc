// `reeve agents …` and `reeve drain` (control/api/API.md): what they print, and how they exit.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <string>
#include <vector>

#include "process/clock.h"
#include "tests/support/command.h"
#include "tests/support/daemon.h"
#include "tests/support/paths.h"

namespace reeve {
namespace {

using testing::HasSubstr;
using testing::Not;

class AgentsCommand : public testing::Test {
 protected:
  struct Outcome {
    int code;
    std::string out;
    std::string err;
  };
  static Outcome Run(const std::vector<std::string>& words, const std::vector<std::string>& environment = {},
                     const std::string& input = {}) {
    Command command(words, environment, input);
    const int code = command.Wait();
    return {code, command.out(), command.err()};
  }
  Outcome Agents(std::vector<std::string> words, const std::string& input = {}) const {
    words.insert(words.begin(), "agents");
    return Run(words, {"REEVE_DATA=" + daemon_.data_dir()}, input);
  }
  void MakeCat(const std::string& id, const std::string& more = {}) const {
    daemon_.Create(R"({"id":")" + id + R"(","kind":"process","command":["cat"])" + more + "}");
    daemon_.WaitFor(id, "until=ready");
  }

  Daemon daemon_;
};

TEST_F(AgentsCommand, ListsAgents) {
  const Outcome empty = Agents({"list"});
  EXPECT_EQ(empty.out, "");
  EXPECT_EQ(empty.err, "reeve: there are no agents; `reeve run` starts one\n");
  MakeCat("a1", R"(,"title":"first \u001b[31mred","labels":{"team":"blue green"})");
  MakeCat("b2");
  Outcome all = Agents({"list"});
  EXPECT_EQ(all.code, 0) << all.err;
  EXPECT_EQ(all.out.rfind("ID  STATE", 0), 0U) << all.out;
  EXPECT_THAT(all.out, HasSubstr("a1  running  process"));
  EXPECT_THAT(all.out, HasSubstr("\nb2  running"));
  EXPECT_THAT(all.out, Not(HasSubstr("\x1b")));
  EXPECT_THAT(Agents({"list", "--state", "exited"}).out, "");
  EXPECT_EQ(Agents({"list", "--state", "asleep"}).code, 64);
  EXPECT_EQ(Agents({"list", "--label", "team"}).err,
            "reeve: agents list: --label: 'team' is not KEY=VALUE\n");
  EXPECT_EQ(Agents({"list", "-q"}).out, "a1\nb2\n");
  Outcome json = Agents({"list", "--json", "--label", "team=blue green"});
  EXPECT_EQ(JsonField(json.out, "id"), "a1") << json.out << json.err;
  EXPECT_EQ(std::count(json.out.begin(), json.out.end(), '\n'), 1);
  Command sessions({"sessions", "list", "--data", daemon_.data_dir()});
  EXPECT_EQ(sessions.Wait(), 0);
  EXPECT_EQ(sessions.out().rfind("ID  STATE", 0), 0U);
}

TEST_F(AgentsCommand, ListsAllPages) {
  for (int i = 0; i < 25; ++i) {
    daemon_.Create(R"({"id":"a)" + std::to_string(i) + R"(","kind":"process","command":["true"]})");
  }
  Outcome json = Agents({"list", "--json"});
  EXPECT_EQ(std::count(json.out.begin(), json.out.end(), '\n'), 25);
}

TEST_F(AgentsCommand, TellsAnAgentsStatus) {
  MakeCat("a1", R"(,"title":"first")");
  Outcome status = Agents({"status", "a1"});
  EXPECT_EQ(status.code, 0) << status.err;
  EXPECT_THAT(status.out, testing::StartsWith("a1 \"first\" is running (process "));
  EXPECT_THAT(status.out, HasSubstr("\n  It is of kind process and runs: cat\n"));
  EXPECT_EQ(JsonField(Agents({"status", "a1", "--json"}).out, "state"), "running");
  Outcome none = Agents({"status", "none"});
  EXPECT_EQ(none.code, 66);
  EXPECT_EQ(none.err,
            "reeve: agents status: none: there is no agent none; `reeve agents list` lists all agents\n");
  EXPECT_EQ(none.out, "");
}

TEST_F(AgentsCommand, WakesWithAMessage) {
  MakeCat("a1");
  Outcome argument = Agents({"wake", "a1", "--message", "- from an argument"});
  EXPECT_EQ(argument.code, 0) << argument.err;
  EXPECT_THAT(argument.out, testing::MatchesRegex("[^ \n]+\n"));
  Outcome input = Agents({"wake", "a1", "--message", "-", "--json"}, "from\nstdin");
  EXPECT_EQ(input.code, 0) << input.err;
  EXPECT_NE(JsonField(input.out, "message_id"), "");
  EXPECT_EQ(JsonField(input.out, "disposition"), "delivered");
  auto said = [this](const std::string& text) {
    return Eventually([this, &text] { return daemon_.LogFiles("a1").find(text) != std::string::npos; });
  };
  EXPECT_TRUE(said("\"stream\":\"stdout\",\"text\":\"- from an argument\""));
  EXPECT_TRUE(said("\"stream\":\"stdout\",\"text\":\"stdin\""));

  const std::vector<std::string> once = {"wake",    "a1", "--message",    "tomorrow",
                                         "--delay", "1d", "--dedupe-key", "k1"};
  Outcome later = Agents(once);
  EXPECT_EQ(later.code, 0) << later.err;
  EXPECT_EQ(Agents(once).out, later.out);
  const std::string queue = daemon_.Get("/agents/a1/queue").body;
  EXPECT_THAT(queue, HasSubstr("\"" + later.out.substr(0, later.out.size() - 1) + "\""));
  EXPECT_EQ(queue.find("message_id"), queue.rfind("message_id")) << queue;
  EXPECT_EQ(Agents({"wake", "a1", "--message", "x", "--at", "2026-13-01T00:00:00Z"}).code, 64);

  EXPECT_EQ(Agents({"wake", "none", "--message", "x"}).code, 66);
  EXPECT_EQ(Agents({"wake", "../health", "--message", "x"}).code, 66);
  EXPECT_EQ(Agents({"wake", "a1"}).code, 64);
  EXPECT_EQ(Agents({"wake", "a1", "--message", "-"}).code, 64);  // nothing on stdin
  EXPECT_EQ(Agents({"wake", "a1", "--message", "x", "--delay", "soon"}).code, 64);
  EXPECT_EQ(Agents({"wake", "a1", "--message", "x", "--delay", "1s", "--at", "2030-01-01T00:00:00Z"}).code,
            64);
}

TEST_F(AgentsCommand, StopsStartsAndForgets) {
  MakeCat("a1");
  MakeCat("a2");
  Outcome stop = Agents({"stop", "a1", "none", "a2", "--grace", "10s"});
  EXPECT_EQ(stop.code, 66);  // what went wrong is told, the others are stopped
  EXPECT_EQ(stop.err,
            "reeve: agents stop: none: there is no agent none; `reeve agents list` lists all agents\n");
  EXPECT_EQ(stop.out, "a1\na2\n");
  daemon_.WaitFor("a1");
  daemon_.WaitFor("a2");
  EXPECT_EQ(Agents({"start", "a1"}).code, 0);
  daemon_.WaitFor("a1", "until=ready");
  const std::string pid = daemon_.Get("/agents/a1").Field("pid");
  EXPECT_EQ(Agents({"restart", "a1"}).code, 0);
  EXPECT_TRUE(Eventually([&] {
    HttpAnswer now = daemon_.Get("/agents/a1");
    return now.Field("state") == "running" && now.Field("pid") != pid;
  }));
  EXPECT_EQ(Agents({"interrupt", "a1"}).code, 0);
  daemon_.WaitFor("a1");
  EXPECT_EQ(Agents({"interrupt", "a1"}).code, 1);
  Outcome rm = Agents({"rm", "a1", "a2", "--json"});
  EXPECT_EQ(rm.code, 0) << rm.err;
  EXPECT_EQ(rm.out, "{\"id\":\"a1\"}\n{\"id\":\"a2\"}\n");
  EXPECT_EQ(daemon_.Get("/agents/a1").status, 410);
  EXPECT_EQ(Agents({"status", "a1"}).code, 66);
  EXPECT_EQ(Agents({"rm", "a1", "--purge"}).code, 0);
  EXPECT_EQ(daemon_.Get("/agents/a1").status, 404);
}

// All of them work without the word agents, by one declaration.
TEST_F(AgentsCommand, WorkWithoutTheWordAgents) {
  MakeCat("a1");
  const std::vector<std::string> data = {"REEVE_DATA=" + daemon_.data_dir()};
  for (const char* list : {"ps", "ls", "list"})
    EXPECT_THAT(Run({list}, data).out, HasSubstr("\na1  running"));
  EXPECT_EQ(Run({"send", "a1", "-m", "hi"}, data).code, 0);
  EXPECT_EQ(Run({"logs", "a1", "-n", "1"}, data).code, 0);
  EXPECT_EQ(Run({"watch", "a1", "--tail", "5"}, data).code, 0);
  EXPECT_EQ(Run({"stop", "a1"}, data).code, 0);
  EXPECT_EQ(Run({"rm", "a1"}, data).out, "a1\n");
}

// A process that takes its time to end, and does not want to.
// People know these words from comparable tools.
TEST_F(AgentsCommand, KnowTheWordsOfOtherTools) {
  const auto reeve = [this](const std::vector<std::string>& words) {
    return Run(words, {"REEVE_DATA=" + daemon_.data_dir()});
  };
  for (const char* word : {"delete", "remove"}) {
    MakeCat("a1");
    EXPECT_EQ(reeve({"inspect", "a1"}).out, reeve({"status", "a1"}).out);
    EXPECT_EQ(reeve({"kill", "a1"}).code, 0);
    EXPECT_TRUE(Eventually([&] { return daemon_.Get("/agents/a1").Field("state") == "exited"; }));
    EXPECT_EQ(reeve({word, "a1", "--purge"}).code, 0);
    EXPECT_TRUE(Eventually([&] { return daemon_.Get("/agents/a1").status == 404; }));
  }
  // Nobody is led to them by a slip of the finger, and no help mentions them.
  for (const char* word : {"kil", "delet", "remov", "removee"}) {
    const Outcome wrong = reeve({word, "a1"});
    EXPECT_EQ(wrong.code, 64);
    EXPECT_THAT(wrong.err, Not(HasSubstr("did you mean"))) << word;
  }
  const std::string help =
      reeve({"--help"}).out + reeve({"agents", "--help"}).out + reeve({"stop", "--help"}).out;
  for (const char* word : {"kill,", ", kill", ", delete", ", remove", "inspect"})
    EXPECT_THAT(help, Not(HasSubstr(word)));
}

// A person who waits for it wants to know how long.
TEST_F(AgentsCommand, SaysWhenAnAgentStartsAgain) {
  daemon_.Create(R"({"id":"a1","kind":"process","command":["/bin/sh","-c","exit 3"],)"
                 R"("restart":{"policy":"always","max_restarts":1000}})");
  std::string at;
  ASSERT_TRUE(Eventually([&] {
    at = daemon_.Get("/agents/a1").Field("restart_at");
    return !at.empty();
  }));
  EXPECT_TRUE(ParseTime(at)) << at;
  EXPECT_GE(*ParseTime(at) + 1'500, SystemClock().WallMs());
  std::string list, status;
  EXPECT_TRUE(Eventually([&] {
    list = Agents({"list"}).out;
    return list.find("starts again in ") != std::string::npos;
  })) << list;
  EXPECT_THAT(list, HasSubstr("(code 3)"));
  EXPECT_TRUE(Eventually([&] {
    status = Agents({"status", "a1"}).out;
    return status.find("a1 is waiting: it starts again in ") != std::string::npos;
  })) << status;
  ASSERT_EQ(daemon_.Post("/agents/a1/stop").status, 202);
  EXPECT_TRUE(Eventually([&] { return daemon_.Get("/agents/a1").Field("restart_at").empty(); }));
}

TEST_F(AgentsCommand, RemovesWhenTheProcessIsGone) {
  daemon_.Create(
      R"({"id":"a1","kind":"process","command":["sh","-c","trap : TERM; echo set; while :; do sleep 0.1; done"]})");
  ASSERT_TRUE(
      Eventually([this] { return daemon_.LogFiles("a1").find("\"text\":\"set\"") != std::string::npos; }));
  const pid_t pid = std::stoi(daemon_.Get("/agents/a1").Field("pid"));
  Outcome rm = Agents({"rm", "a1"});
  EXPECT_EQ(rm.code, 0) << rm.err;
  EXPECT_NE(kill(pid, 0), 0);
  EXPECT_EQ(Agents({"list"}).out, "");
  EXPECT_THAT(Agents({"list", "--deleted"}).out, HasSubstr("a1  exited"));
  EXPECT_EQ(Agents({"prune"}).out, "a1\n");
  EXPECT_EQ(Agents({"list", "--deleted"}).out, "");
  EXPECT_EQ(daemon_.Get("/agents/a1").status, 404);
  EXPECT_EQ(Agents({"prune"}).err, "reeve: there are no deleted agents\n");
}

TEST_F(AgentsCommand, ChangesSettings) {
  MakeCat("a1", R"(,"labels":{"team":"web","old":"yes"})");
  const Outcome set = Agents({"set", "a1", "--title", "first", "-l", "tier=1", "-l", "old", "--limit",
                              "wall=5m", "--limit", "cost=2.5", "--star"});
  EXPECT_EQ(set.code, 0) << set.err;
  const HttpAnswer agent = daemon_.Get("/agents/a1");
  EXPECT_EQ(agent.Field("title"), "first");
  EXPECT_EQ(agent.Field("starred"), "true");
  EXPECT_EQ(agent.Field("labels"), R"({"team":"web","tier":"1"})");
  EXPECT_EQ(agent.Field("limits.wall_ms"), "300000");
  EXPECT_EQ(agent.Field("limits.max_cost_usd"), "2.5");
  EXPECT_EQ(Agents({"set", "a1"}).code, 64);
  EXPECT_EQ(Agents({"set", "a1", "--patch", "[]"}).code, 64);
  EXPECT_EQ(Agents({"set", "a1", "--patch", "{}", "--title", "x"}).code, 64);
  EXPECT_EQ(Agents({"set", "a1", "--patch", R"({"labels":{"tier":null}})"}).code, 0);
  EXPECT_EQ(daemon_.Get("/agents/a1").Field("labels"), R"({"team":"web"})");
  EXPECT_EQ(Agents({"set", "a1", "--limit", "wall=soon"}).code, 64);
  const Outcome limit = Agents({"set", "a1", "--limit", "memory=5"});
  EXPECT_EQ(limit.code, 64);
  EXPECT_THAT(limit.err, HasSubstr("'memory=5' is not wall=5m"));
  EXPECT_EQ(Agents({"models", "a1"}).code, 64);  // the kind has none
}

TEST_F(AgentsCommand, ListsAndCancelsWhatWaits) {
  MakeCat("a1");
  EXPECT_EQ(Agents({"queue", "list", "a1"}).err, "reeve: a1: no message waits\n");
  const std::string id = Agents({"wake", "a1", "-m", "later\nand more", "--delay", "1d"}).out;
  const Outcome queue = Agents({"queue", "list", "a1"});
  EXPECT_THAT(queue.out, testing::ContainsRegex("a1 +" + id.substr(0, id.size() - 1) +
                                                " +scheduled +followup +in 2[34] h .* later …\n"));
  EXPECT_THAT(Agents({"list"}).out, HasSubstr("1 scheduled message, due in 2"));
  EXPECT_THAT(Agents({"status", "a1"}).out, HasSubstr("1 scheduled message, due in 2"));
  EXPECT_EQ(JsonField(Agents({"queue", "list", "a1", "--json"}).out, "text"), "later\nand more");
  const Outcome cancelled = Agents({"queue", "cancel", "a1", "m0000", id.substr(0, id.size() - 1)});
  EXPECT_EQ(cancelled.code, 66);
  EXPECT_EQ(cancelled.out, id);
  EXPECT_EQ(daemon_.Get("/agents/a1").Field("scheduled"), "");
}

TEST_F(AgentsCommand, ListsRunsAndWhyTheyFailed) {
  daemon_.Create(R"({"id":"a1","kind":"process","command":["sh","-c","exit 3"]})");
  daemon_.WaitFor("a1");
  EXPECT_THAT(Agents({"runs", "a1"}).out,
              testing::ContainsRegex("\na1 +r2 +failed .* the process ended with code 3 · exit code 3\n"));
  const std::string run = Agents({"runs", "a1", "-n", "1", "--json"}).out;
  EXPECT_EQ(JsonField(run, "run_id"), "r2");
  EXPECT_EQ(JsonField(run, "agent"), "a1");
  daemon_.Create(R"({"id":"b2","kind":"process","command":["sh","-c","kill -9 $$"]})");
  EXPECT_EQ(daemon_.WaitFor("b2").Field("last_run.signal"), "9");
  EXPECT_EQ(Agents({"watch", "b2"}).code, 137);
  EXPECT_THAT(Agents({"list"}).out, HasSubstr("ended by signal 9"));
  EXPECT_THAT(Agents({"status", "b2"}).out,
              HasSubstr("`reeve start b2` starts it again; so does a message: `reeve wake b2 -m TEXT`"));
}

TEST_F(AgentsCommand, PutsAndRemovesFiles) {
  MakeCat("a1");
  EXPECT_EQ(Agents({"files", "list", "a1"}).out, "");
  EXPECT_EQ(Agents({"files", "put", "-", "a1", "--name", "key"}, "secret").code, 0);
  EXPECT_EQ(Agents({"files", "list", "a1"}).out, "key\n");
  EXPECT_EQ(Agents({"files", "put", "-", "a1"}).code, 64);
  EXPECT_EQ(Agents({"files", "put", "/nonexistent", "a1"}).code, 66);
  EXPECT_EQ(Agents({"files", "put", "/", "a1"}).code, 64);
  EXPECT_EQ(Agents({"files", "rm", "other", "a1"}).code, 66);
  EXPECT_EQ(Agents({"files", "rm", "key", "a1"}).code, 0);
  EXPECT_EQ(daemon_.Get("/agents/a1").Field("files"), "[]");
}

TEST_F(AgentsCommand, PrintsTranscriptsAndReloads) {
  MakeCat("a1");
  MakeCat("b2", R"(,"record":true)");
  EXPECT_EQ(Agents({"wake", "b2", "-m", "hi"}).code, 0);
  EXPECT_TRUE(Eventually([this] {
    return Agents({"transcript", "b2"}).out.find("\"text\":\"hi\"") != std::string::npos;
  }));
  EXPECT_EQ(Agents({"transcript", "a1"}).code, 66);
  const Outcome reload = Run({"reload", "--data", daemon_.data_dir()});
  EXPECT_EQ(reload.code, 0) << reload.err;
  EXPECT_EQ(reload.out, "no setting has changed\n");
}

// RFC 6761, section 6.4: no host has a name below .invalid.
TEST_F(AgentsCommand, HintsAtTheHostAndAtTls) {
  const Outcome host = Run({"list", "--server", "http://reeve.invalid:1", "--json"}, {"REEVE_TOKEN=x"});
  EXPECT_EQ(host.code, 69);
  EXPECT_EQ(JsonField(host.err, "error.code"), "unknown_host");
  EXPECT_THAT(
      Run({"list", "--server", "http://reeve.invalid:1"}, {"REEVE_TOKEN=x"}).err,
      HasSubstr("reeve.invalid:1: there is no such host; check the host in --server or REEVE_SERVER"));
  const std::string address = "https" + daemon_.address().substr(4);
  const Outcome tls = Run({"list", "--server", address}, {"REEVE_TOKEN=x"});
  EXPECT_EQ(tls.code, 69);
  EXPECT_THAT(tls.err, HasSubstr("reeve itself speaks http://"));
}

TEST_F(AgentsCommand, SaysWhatKeepsItFromTheDaemon) {
  EXPECT_EQ(Run({"agents", "list", "--server", "http://127.0.0.1:1", "--data", daemon_.data_dir()}).code, 69);
  EXPECT_EQ(Run({"agents", "list", "--server", "gopher://x"}).code, 64);
  EXPECT_EQ(Run({"agents"}).code, 64);
  EXPECT_EQ(Run({"agents", "dance"}).code, 64);
  EXPECT_EQ(Run({"agents", "list", "--server", daemon_.address()}).code, 77);  // and no token
  EXPECT_EQ(
      Run({"agents", "list", "--server", daemon_.address()}, {"REEVE_TOKEN=wrong-token-0123456789"}).code,
      77);
}

// The very command, called by an agent's process: server and token come by its environment.
TEST_F(AgentsCommand, WorksWithinAnAgent) {
  MakeCat("a1");
  const std::string reeve = kReeveBinary;
  daemon_.Create(R"({"id":"boss","kind":"process","api":"operate","command":["/bin/sh","-c",")" + reeve +
                 " agents wake a1 --message 'from the boss'; " + reeve + " agents rm a1\"]}");
  EXPECT_EQ(daemon_.WaitFor("boss").Field("exit.code"), "77");  // it may operate, not delete
  EXPECT_TRUE(Eventually(
      [this] { return daemon_.LogFiles("a1").find("\"text\":\"from the boss\"") != std::string::npos; }));
  EXPECT_EQ(daemon_.Get("/agents/a1").status, 200);
}

TEST_F(AgentsCommand, Drains) {
  MakeCat("a1");
  EXPECT_EQ(Run({"drain", "--data", daemon_.data_dir(), "--timeout", "1"}).code, 64);
  Outcome drain = Run({"drain", "--data", daemon_.data_dir(), "--timeout", "20s"});
  EXPECT_EQ(drain.code, 0) << drain.err;
  EXPECT_EQ(daemon_.Wait(), 0);
  EXPECT_EQ(Run({"drain", "--data", daemon_.data_dir()}).code, 69);
}

}  // namespace
}  // namespace reeve
