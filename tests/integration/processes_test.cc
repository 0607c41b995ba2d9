// The processes of agents (control/api/API.md, "Routes of processes"): the list, the kill, and strays.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "process/spawn.h"
#include "tests/support/command.h"
#include "tests/support/daemon.h"
#include "tests/support/scripted_agent.h"
#include "tests/support/shell_agent.h"

namespace reeve {
namespace {

using Strings = std::vector<std::string>;

// A child, one in a session of its own, and one whose parents have ended; then the agent waits for input.
constexpr const char* kForks =
    "sleep 1001 & setsid sleep 1002 & (setsid sh -c 'sleep 1003 & exit' &); read line";

class Processes : public testing::Test {
 protected:
  // The member of the process with this command; empty: the agent has none.
  [[nodiscard]] std::string Of(const std::string& command, const std::string& member,
                               const std::string& agent = "a1") const {
    auto json = JsonDocument::Parse(daemon_.Get("/agents/" + agent + "/processes").body);
    for (const JsonValue& one : (*json)["processes"].Elements()) {
      if (one["command"].StringOr("") == command) return JsonField(one.Raw(), member);
    }
    return "";
  }
  void CreateForks() const {
    daemon_.Create(Shell("a1", kForks));
    ASSERT_TRUE(Eventually([&] { return HasAll(); }));
  }
  // They are there, and nothing else of the agent is still on its way.
  [[nodiscard]] bool HasAll() const {
    auto json = JsonDocument::Parse(daemon_.Get("/agents/a1/processes").body);
    const std::vector<JsonValue> all = (*json)["processes"].Elements();
    const auto sleeps = [](const JsonValue& one) { return one["state"].StringOr("") == "sleeping"; };
    return all.size() == 4 && std::all_of(all.begin(), all.end(), sleeps) &&
           !Of("sleep 1001", "pid").empty() && !Of("sleep 1002", "pid").empty() &&
           !Of("sleep 1003", "pid").empty();
  }
  [[nodiscard]] HttpAnswer Kill(const std::string& pid, const std::string& body = "{}") const {
    return daemon_.Post("/agents/a1/processes/" + pid + "/kill", body);
  }
  [[nodiscard]] std::string Main() const { return daemon_.Get("/agents/a1").Field("pid"); }

  Daemon daemon_{[] {
    Daemon::Options options;
    options.arguments = {"--restart-delay", "0"};
    return options;
  }()};
};

TEST_F(Processes, AreListedWhereverTheyWent) {
  CreateForks();
  const std::string list = daemon_.Get("/agents/a1/processes").body;
  auto json = JsonDocument::Parse(list);
  const std::vector<JsonValue> all = (*json)["processes"].Elements();
  ASSERT_EQ(all.size(), 4U) << list;
  EXPECT_EQ(JsonField(all[0].Raw(), "pid"), Main());
  EXPECT_EQ(all[0]["role"].StringOr(""), "main");
  for (size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(all[i]["role"].StringOr(""), i == 0 ? "main" : "tool") << list;
    EXPECT_EQ(all[i]["state"].StringOr(""), "sleeping") << list;
    EXPECT_GT(all[i]["rss_bytes"].AsInt().value_or(0), 0) << list;
    EXPECT_TRUE(all[i]["cpu_ms"].AsInt()) << list;
    EXPECT_EQ(all[i]["started_at"].StringOr("").size(), 24U) << list;
  }
  EXPECT_EQ(Of("sleep 1001", "ppid"), Main());
  EXPECT_NE(Of("sleep 1003", "ppid"), Main()) << "its parents have ended";
  ASSERT_TRUE(daemon_.Crash());
  EXPECT_TRUE(Eventually([&] { return HasAll(); })) << "they outlive the daemon";
  EXPECT_EQ(daemon_.Post("/agents/a1/stop").status, 202);
  daemon_.WaitFor("a1");
  EXPECT_EQ(daemon_.Get("/agents/a1/processes").body, R"({"processes":[]})");
  EXPECT_EQ(daemon_.Get("/agents/nobody/processes").Field("code"), "agent_not_found");
}

TEST_F(Processes, AreKilledOneByOne) {
  CreateForks();
  const std::string pid = Of("sleep 1003", "pid");
  const HttpAnswer killed = Kill(pid, "");
  EXPECT_EQ(killed.status, 202) << killed.wire;
  EXPECT_EQ(killed.body, R"({"pid":)" + pid + R"(,"command":"sleep 1003","signal":"TERM","by":"person"})");
  ASSERT_TRUE(Eventually([&] { return Of("sleep 1003", "pid").empty(); }));
  EXPECT_EQ(Kill(pid).Field("code"), "process_not_found") << "it is gone";
  EXPECT_EQ(Kill(Of("sleep 1001", "pid"), R"({"signal":"SIGSTOP"})").status, 202);
  ASSERT_TRUE(Eventually([&] { return Of("sleep 1001", "state") == "stopped"; }));
  EXPECT_EQ(Kill(Of("sleep 1001", "pid"), R"({"signal":9})").status, 202);
  ASSERT_TRUE(Eventually([&] { return Of("sleep 1001", "pid").empty(); }));
  EXPECT_EQ(daemon_.Get("/agents/a1").Field("state"), "running") << "the rest goes on";
  for (const char* wrong : {R"("NONE")", R"("")", "0", "65", "-9", "1.5", "true", "[]", "99999999999"}) {
    EXPECT_EQ(Kill(Of("sleep 1002", "pid"), std::string(R"({"signal":)") + wrong + "}").status, 400) << wrong;
  }
  EXPECT_EQ(Kill(Of("sleep 1002", "pid"), R"({"signl":9})").status, 400);
  EXPECT_EQ(Kill(Main(), R"({"signal":"KILL"})").status, 202);
  daemon_.WaitFor("a1");
  EXPECT_EQ(daemon_.Get("/agents/a1").Field("exit.signal"), "9");
  EXPECT_EQ(Fields(daemon_, "a1", "process.killed", "data.signal"),
            (Strings{"TERM", "STOP", "KILL", "KILL"}));
  EXPECT_EQ(Fields(daemon_, "a1", "process.killed", "data.by"),
            (Strings{"person", "person", "person", "person"}));
  EXPECT_EQ(Fields(daemon_, "a1", "process.killed", "data.command")[0], "sleep 1003");
}

TEST_F(Processes, OneThatStaysCanBeKilledTwice) {
  daemon_.Create(Shell("a1", "trap '' TERM; echo up; read line"));
  ASSERT_TRUE(Says(daemon_, "a1", "up"));
  EXPECT_EQ(Kill(Main()).status, 202);
  EXPECT_EQ(Kill(Main()).status, 202);
  EXPECT_EQ(Fields(daemon_, "a1", "process.killed", "data.pid"), (Strings{Main(), Main()}));
}

TEST_F(Processes, OfOthersAreUnknown) {
  CreateForks();
  daemon_.Create(Shell("a2", "sleep 2001 & read line"));
  ASSERT_TRUE(Eventually([&] { return !Of("sleep 2001", "pid", "a2").empty(); }));
  const std::string other = daemon_.Get("/agents/a2").Field("pid");
  const std::string tool = Of("sleep 2001", "pid", "a2");
  const std::string nobody = "4194304";  // beyond the largest pid_max
  const std::string unknown = Kill(nobody).Field("detail");
  EXPECT_EQ(unknown, "agent a1 has no process " + nobody);
  const Strings pids = {"1",
                        std::to_string(daemon_.pid()),
                        std::to_string(daemon_.keeper()),
                        std::to_string(getpid()),
                        other,
                        tool,
                        nobody};
  for (const std::string& pid : pids) {
    const HttpAnswer answer = Kill(pid, R"({"signal":"KILL"})");
    EXPECT_EQ(answer.status, 404) << pid;
    EXPECT_EQ(answer.Field("code"), "process_not_found") << pid;
    EXPECT_EQ(answer.Field("detail"), "agent a1 has no process " + pid);
  }
  for (const char* word : {"0", "-1", "self", "1x", "99999999999"})
    EXPECT_EQ(Kill(word).Field("code"), "process_not_found") << word;
  EXPECT_EQ(daemon_.Get("/agents/a2").Field("pid"), other);
  EXPECT_EQ(Of("sleep 2001", "pid", "a2"), tool);
  EXPECT_TRUE(Fields(daemon_, "a1", "process.killed", "type").empty());
}

TEST_F(Processes, AreNotKilledByAnAgentThatMayOnlyView) {
  CreateForks();
  daemon_.Create(Shell("viewer", "read line", R"("api":"view",)"));
  daemon_.Create(Shell("boss", "read line", R"("api":"operate",)"));
  const auto as = [&](const std::string& agent, const std::string& method, const std::string& target) {
    std::string token = ReadFile(daemon_.data_dir() + "/agents/" + agent + "/token");
    token.erase(token.find_last_not_of('\n') + 1);
    return HttpConnection(daemon_.address()).Call(method, target, "", {{"Authorization", "Bearer " + token}});
  };
  const std::string kill = "/agents/a1/processes/" + Of("sleep 1001", "pid") + "/kill";
  EXPECT_EQ(as("viewer", "GET", "/agents/a1/processes").status, 200);
  EXPECT_EQ(as("viewer", "POST", kill).Field("code"), "forbidden");
  EXPECT_EQ(as("boss", "POST", kill).Field("by"), "agent:boss");
}

// A terminal of ACP is a child of the daemon, beside the agent's own process.
TEST_F(Processes, OfTerminalsAreTheAgentsToo) {
  CreateScripted(
      daemon_, "a1", "acp",
      {"> initialize", R"(< {"jsonrpc":"2.0","id":1,"result":{"protocolVersion":1,"agentCapabilities":{}}})",
       "> session/new", R"(< {"jsonrpc":"2.0","id":2,"result":{"sessionId":"s"}})", "> session/prompt",
       R"(< {"jsonrpc":"2.0","id":100,"method":"terminal/create","params":{"sessionId":"s",)"
       R"("command":"sleep","args":["3001"]}})",
       "> answer", "> never"},
      R"(,"prompt":"go","kind_options":{"terminal":true})");
  ASSERT_TRUE(Eventually([&] { return !Of("sleep 3001", "pid").empty(); }));
  EXPECT_EQ(Of("sleep 3001", "role"), "tool");
  EXPECT_EQ(daemon_.Get("/processes/strays").body, R"({"processes":[]})");
  EXPECT_EQ(Kill(Of("sleep 3001", "pid")).status, 202);
  EXPECT_TRUE(Eventually([&] { return Of("sleep 3001", "pid").empty(); }));
}

TEST_F(Processes, ThatBelongToNoAgentAreStrays) {
  CreateForks();
  EXPECT_EQ(daemon_.Get("/processes/strays").body, R"({"processes":[]})");
  SpawnSpec spec;
  spec.argv = {"/bin/sleep", "4001"};
  spec.env = {"REEVE_TOWN_ID=" + daemon_.town_id(), "REEVE_AGENT_ID=a1"};
  auto stray = Spawn(spec);
  ASSERT_TRUE(stray.ok());
  EXPECT_TRUE(Eventually([&] {
    auto json = JsonDocument::Parse(daemon_.Get("/processes/strays").body);
    const std::vector<JsonValue> all = (*json)["processes"].Elements();
    return all.size() == 1 && all[0]["pid"].AsInt() == stray->pid &&
           all[0]["command"].StringOr("") == "/bin/sleep 4001";
  }));
  EXPECT_EQ(Kill(std::to_string(stray->pid)).Field("code"), "process_not_found");
  EXPECT_EQ(kill(stray->pid, SIGKILL), 0);
  EXPECT_EQ(waitpid(stray->pid, nullptr, 0), stray->pid);
  EXPECT_EQ(daemon_.Get("/processes/strays").body, R"({"processes":[]})");
}

TEST_F(Processes, AreATableOfTheCommandLine) {
  CreateForks();
  const auto run = [&](Strings words) {
    words.insert(words.begin(), {"agents", "processes"});
    Command command(words, {"REEVE_DATA=" + daemon_.data_dir()});
    const int code = command.Wait();
    return std::pair(code, command.out() + command.err());
  };
  const auto [code, table] = run({"a1"});
  EXPECT_EQ(code, 0);
  const std::string head = table.substr(0, table.find('\n'));
  for (const char* column : {"PID", "PPID", "ROLE", "STATE", "CPU", "MEMORY", "AGE", "COMMAND"})
    EXPECT_NE(head.find(column), std::string::npos) << table;
  EXPECT_NE(table.find("sleep 1003\n"), std::string::npos) << table;
  EXPECT_NE(table.find(" main "), std::string::npos) << table;
  const auto [json_code, lines] = run({"a1", "--json"});
  EXPECT_EQ(json_code, 0);
  EXPECT_EQ(JsonField(lines.substr(0, lines.find('\n')), "agent"), "a1");
  EXPECT_EQ(JsonField(lines.substr(0, lines.find('\n')), "pid"), Main());
  EXPECT_EQ(daemon_.Post("/agents/a1/stop").status, 202);
  daemon_.WaitFor("a1");
  EXPECT_EQ(run({"a1"}), std::pair(0, std::string("reeve: a1: no process runs\n")));
  EXPECT_EQ(run({"nobody"}).first, 66);
}

}  // namespace
}  // namespace reeve
