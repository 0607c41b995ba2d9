// `reeve agents list` (control/api/API.md, "Command line"): its table, in what order, and how it keeps up.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <memory>
#include <string>
#include <vector>

#include "orchestrator/store/store.h"
#include "tests/support/command.h"
#include "tests/support/scripted_agent.h"

namespace reeve {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;
using Strings = std::vector<std::string>;

std::string Shell(const std::string& id, const std::string& script, const std::string& more = "") {
  return R"({"id":")" + id + R"(","kind":"process","command":["/bin/sh","-c",")" + script + "\"]" + more +
         "}";
}

std::unique_ptr<Command> List(const Daemon& daemon, Strings words = {}) {
  words.insert(words.begin(), {"agents", "list"});
  return std::make_unique<Command>(words, Strings{"REEVE_DATA=" + daemon.data_dir()});
}

std::string Listed(const Daemon& daemon, const Strings& words = {}) {
  auto list = List(daemon, words);
  EXPECT_EQ(list->Wait(), 0) << list->err();
  return list->out();
}

// The first word of each line of the last table.
Strings Ids(const std::string& out) {
  Strings ids;
  for (size_t at = out.rfind("ID "); at < out.size(); at = out.find('\n', at) + 1)
    ids.push_back(out.substr(at, out.find_first_of(" \n", at) - at));
  while (!ids.empty() && ids.back().empty()) ids.pop_back();
  return ids;
}

// Asks whether it may run a command.
void MakeAsker(const Daemon& daemon, const std::string& id) {
  const std::string asks =
      R"(< {"type":"control_request","request_id":"p1","request":{"subtype":"can_use_tool","tool_name":"Bash",)"
      R"("tool_use_id":"call-p1","input":{"command":"rm -rf build"}}})";
  CreateScripted(
      daemon, id, "claude",
      {"> initialize",
       R"(< {"type":"control_response","response":{"subtype":"success","request_id":"initialize-1","response":{}}})",
       "> prompt", R"(< {"type":"system","subtype":"init","session_id":"s-1"})", asks, "> answer"},
      R"(,"prompt":"go")");
  ASSERT_TRUE(Eventually([&] { return daemon.Get("/agents/" + id).Field("state") == "needs_input"; }));
}

TEST(ListCommand, ShowsWhatWaitsForAPersonFirstAndWhy) {
  Daemon daemon;
  daemon.Create(Shell("a-done", "exit 0"));
  daemon.Create(Shell("b-code", "exit 3"));
  daemon.Create(Shell("c-works", "sleep 600", R"(,"title":"the third \u001b[31mone")"));
  daemon.Create(Shell("d-signal", "kill -9 $$"));
  daemon.Create(R"({"id":"e-failed","kind":"claude","command":["/bin/false"],"prompt":"go"})");
  MakeAsker(daemon, "z-asks");
  for (const char* id : {"a-done", "b-code", "d-signal", "e-failed"}) daemon.WaitFor(id);
  daemon.WaitFor("c-works", "until=ready");
  const std::string out = Listed(daemon);
  EXPECT_EQ(Ids(out), (Strings{"ID", "z-asks", "c-works", "a-done", "b-code", "d-signal", "e-failed"}))
      << out;
  EXPECT_THAT(out,
              ContainsRegex("z-asks +needs_input +claude +0 +[^ ]+ +[^ ]+( ago)? +bash · rm -rf build "));
  EXPECT_THAT(
      out, ContainsRegex(
               "c-works +running +process +0 +[^ ]+ +[^ ]+( ago)? +the third  .31mone +sh -c sleep 600\n"));
  EXPECT_THAT(out, ContainsRegex("a-done +exited .* done +sh -c exit 0\n"));
  EXPECT_THAT(out, ContainsRegex("b-code +exited .* failed with code 3 "));
  EXPECT_THAT(out, ContainsRegex("d-signal +exited .* failed: ended by signal 9 "));
  EXPECT_THAT(
      out, ContainsRegex("e-failed +failed +claude +0 .* the process ended with code 1 before it was ready"));
  EXPECT_THAT(out, Not(HasSubstr("\x1b")));
}

TEST(ListCommand, ShowsOnlyWhatHasAllTheLabels) {
  Daemon daemon;
  daemon.Create(Shell("a1", "exit 0", R"(,"labels":{"team":"web","tier":"1: front=back"})"));
  daemon.Create(Shell("a2", "exit 0", R"(,"labels":{"team":"web"})"));
  daemon.Create(Shell("a3", "exit 0", R"(,"labels":{"tier":"1: front=back"})"));
  EXPECT_EQ(Ids(Listed(daemon, {"-l", "team=web"})), (Strings{"ID", "a1", "a2"}));
  EXPECT_EQ(Ids(Listed(daemon, {"-l", "team=web", "--label", "tier=1: front=back"})), (Strings{"ID", "a1"}));
  EXPECT_EQ(Listed(daemon, {"-l", "team=web", "-l", "team=db"}), "");
  EXPECT_EQ(List(daemon, {"-l", "team=web", "-l", "tier"})->Wait(), 64);
  EXPECT_EQ(daemon.Get("/agents?label=team:web&label=tier").status, 400);
}

TEST(ListCommand, KeepsUpWithWhatChanges) {
  Daemon daemon;
  daemon.Create(Shell("a1", "read line; exit 3"));
  daemon.WaitFor("a1", "until=ready");
  auto list = List(daemon, {"--watch"});
  auto json = List(daemon, {"--watch", "--json", "-l", "team=web"});
  auto shows = [&list](const Strings& ids) { return Eventually([&] { return Ids(list->out()) == ids; }); };
  EXPECT_TRUE(shows({"ID", "a1"}));
  daemon.Create(Shell("a2", "read line", R"(,"labels":{"team":"web"})"));
  EXPECT_TRUE(shows({"ID", "a1", "a2"}));
  EXPECT_TRUE(json->Says(R"("id":"a2")"));
  daemon.Post("/agents/a1/message", R"({"text":"go"})");
  EXPECT_TRUE(shows({"ID", "a2", "a1"}));  // that one works, this one has ended
  EXPECT_TRUE(list->Says("code 3"));
  daemon.Kill();
  daemon.Start();
  EXPECT_TRUE(shows({"ID", "a1", "a2"}));
  daemon.Create(Shell("a3", "read line"));
  EXPECT_TRUE(shows({"ID", "a3", "a1", "a2"}));
  EXPECT_EQ(daemon.Call("DELETE", "/agents/a2?purge=true").status / 100, 2);
  EXPECT_TRUE(shows({"ID", "a3", "a1"}));
  EXPECT_EQ(daemon.Call("DELETE", "/agents/a1").status / 100, 2);  // which has ended long ago
  EXPECT_TRUE(shows({"ID", "a3"}));
  EXPECT_EQ(json->out().find("\"a1\""), std::string::npos);
  list->Signal(SIGINT);
  EXPECT_EQ(list->Wait(), -SIGINT);
  EXPECT_EQ(list->err(), "");
  EXPECT_EQ(List(daemon, {"--watch", "--server", "http://127.0.0.1:1"})->Wait(), 69);
}

// A daemon that has so many agents, of which none runs or ever did here.
std::unique_ptr<Daemon> MakeTown(int agents) {
  auto daemon = std::make_unique<Daemon>();
  daemon->Signal(SIGTERM);
  EXPECT_EQ(daemon->Wait(), 0);
  Loop loop;
  auto store = Store::Open(loop, daemon->data_dir() + "/reeve.db");
  EXPECT_TRUE(store.ok());
  int written = 0;
  for (int i = 0; i < agents; ++i) {
    const std::string id = "a" + std::to_string(i);
    (*store)->PutAgent(
        {id, R"({"id":")" + id + R"(","kind":"process","command":["true"],"labels":{"team":"web"}})",
         R"({"wanted":false,"alive":false,"exit":{"code":0},"cursor":"1-6","last_event_ms":1795820569984,)"
         R"("last_run":{"run_id":"r2","status":"completed","exit_code":0,"duration_ms":2}})"},
        [&written](const Status& status) { written += status ? 1 : 0; });
  }
  EXPECT_TRUE(RunUntil(loop, [&] { return written == agents; }));
  store->reset();
  daemon->Start();
  return daemon;
}

// The time is told, not judged: what else the machine does is not ours.
TEST(ListCommand, ListsAFullTown) {
  constexpr int kAgents = 10'000;
  auto daemon = MakeTown(kAgents);
  for (const Strings& words : {Strings{}, Strings{"--json"}}) {
    const auto begun = std::chrono::steady_clock::now();
    const std::string out = Listed(*daemon, words);
    const auto took = std::chrono::steady_clock::now() - begun;
    EXPECT_EQ(std::count(out.begin(), out.end(), '\n'), kAgents + (words.empty() ? 1 : 0));
    std::printf("[          ] list %s of %d agents: %lld ms\n", words.empty() ? "" : "--json", kAgents,
                static_cast<long long>(std::chrono::duration_cast<std::chrono::milliseconds>(took).count()));
  }
}

// That opens all their logs in one turn of the daemon's.
TEST(ListCommand, KeepsUpWithALargeTown) {
  auto daemon = MakeTown(5'000);
  auto list = List(*daemon, {"--watch", "-l", "team=db"});
  ASSERT_TRUE(Eventually([&] { return daemon->Get("/health").Field("viewers") == "1"; }));
  daemon->Create(Shell("new", "exit 0", R"(,"labels":{"team":"db"})"));
  EXPECT_TRUE(list->Says("new"));
  EXPECT_THAT(daemon->log(), Not(HasSubstr("epochs run ahead")));
}

}  // namespace
}  // namespace reeve
