// `reeve agents …` and `reeve drain` (control/api/API.md): what they print, and how they exit.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/command.h"
#include "tests/support/daemon.h"

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
  EXPECT_EQ(Agents({"list"}).out, "");
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
  EXPECT_EQ(Agents({"list", "--label", "team"}).code, 64);
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
  EXPECT_THAT(status.out, testing::ContainsRegex("state +running\n"));
  EXPECT_THAT(status.out, testing::ContainsRegex("title +first\n"));
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
  const std::string reeve = REEVE_BINARY;
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
