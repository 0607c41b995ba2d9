// Many upgrades and crashes in a row leave nothing behind: no descriptor, no process, no memory, in the
// daemon and in the keeper, which becomes a new one at each upgrade (orchestrator/handover/KEEPER.md).
// REEVE_UPGRADES is their number. handover_test.cc tries each thing that an agent may be doing meanwhile.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "process/proc.h"
#include "tests/support/sanitized.h"
#include "tests/support/scripted_agent.h"
#include "tests/support/shell_agent.h"

namespace reeve {
namespace {

using Strings = std::vector<std::string>;

constexpr int kTurns = 3;  // agents in mid-turn

// Measures of one process.
struct Footprint {
  size_t descriptors = 0;
  size_t mappings = 0;
  // Memory that is no file's: pages of programs count as private or not as other processes come and go. 0:
  // needs root, because both processes hide their memory.
  int64_t anonymous_kib = 0;
};

Footprint FootprintOf(pid_t pid) {
  const std::string folder = "/proc/" + std::to_string(pid);
  Footprint found;
  std::error_code gone;
  for (const auto& entry : std::filesystem::directory_iterator(folder + "/fd", gone)) {
    (void)entry;
    ++found.descriptors;
  }
  const std::string maps = ReadFile(folder + "/maps");
  found.mappings = static_cast<size_t>(std::count(maps.begin(), maps.end(), '\n'));
  std::istringstream lines(ReadFile(folder + "/smaps_rollup"));
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind("Anonymous:", 0) == 0)
      found.anonymous_kib += std::atoll(line.c_str() + line.find(':') + 1);
  }
  return found;
}

std::ostream& operator<<(std::ostream& out, const Footprint& found) {
  return out << found.descriptors << " descriptors, " << found.mappings << " mappings, "
             << found.anonymous_kib << " KiB";
}

// The least of several looks: a request that is under way needs a descriptor and memory.
Footprint AtRest(const std::function<pid_t()>& pid) {
  Footprint least = FootprintOf(pid());
  for (int look = 0; look < 100; ++look) {
    const Footprint now = FootprintOf(pid());
    least.descriptors = std::min(least.descriptors, now.descriptors);
    least.mappings = std::min(least.mappings, now.mappings);
    least.anonymous_kib = std::min(least.anonymous_kib, now.anonymous_kib);
  }
  return least;
}

// The parameter: whether the daemon dies, in place of an upgrade of both.
class ManyUpgrades : public testing::TestWithParam<bool> {
 protected:
  static bool Follows(const Daemon& daemon) { return GetParam() ? daemon.Crash() : daemon.HandOver(); }
  static void MakeAgents(const Daemon& daemon) {
    for (int i = 0; i < kTurns; ++i) {
      CreateScripted(
          daemon, "turn" + std::to_string(i), "claude",
          {"> initialize",
           R"(< {"type":"control_response","response":{"subtype":"success","request_id":"initialize-1","response":{}}})",
           "> prompt", R"(< {"type":"system","subtype":"init","session_id":"s-1"})",
           R"(< {"type":"control_request","request_id":"p1","request":{"subtype":"can_use_tool","tool_name":"Bash",)"
           R"("tool_use_id":"call-1","input":{"command":"ls"}}})",
           "> answer",
           R"(< {"type":"result","subtype":"success","is_error":false,"terminal_reason":"completed","session_id":"s-1"})",
           "> never"},
          R"(,"prompt":"go")");
    }
    daemon.Create(Shell("counter", "i=0; while :; do i=$((i+1)); echo $i; sleep 0.01; done"));
    daemon.Create(Shell("echo", "while read line; do echo $line; done"));
    for (int i = 0; i < kTurns; ++i) {
      const std::string agent = "/agents/turn" + std::to_string(i);
      EXPECT_TRUE(Eventually([&] { return daemon.Get(agent).Field("state") == "needs_input"; }));
    }
    EXPECT_TRUE(Says(daemon, "counter", "1"));
  }
  static Strings Pids(const Daemon& daemon) {
    Strings pids;
    for (const char* agent : {"turn0", "turn1", "turn2", "counter", "echo"})
      pids.push_back(daemon.Get(std::string("/agents/") + agent).Field("pid"));
    return pids;
  }
  static void ExpectNumbers(const Strings& said) {
    for (size_t i = 0; i < said.size(); ++i) ASSERT_EQ(said[i], std::to_string(i + 1));
  }
};

INSTANTIATE_TEST_SUITE_P(, ManyUpgrades, testing::Bool(),
                         [](const auto& test) { return test.param ? "Crashes" : "Upgrades"; });

TEST_P(ManyUpgrades, LeaveNothingBehind) {
  const char* wanted = std::getenv("REEVE_UPGRADES");
  const int times = wanted ? std::atoi(wanted) : 20;
  Daemon::Options options;
  options.arguments = {"--restart-delay", "0"};
  Daemon daemon(options);
  MakeAgents(daemon);
  const Strings pids = Pids(daemon);
  ASSERT_TRUE(Follows(daemon));  // one that took agents over needs more than one that made them
  const pid_t keeper = daemon.keeper();
  const Footprint keeper_before = AtRest([&] { return keeper; });
  const Footprint daemon_before = AtRest([&] { return daemon.pid(); });
  const size_t children = ChildrenOf(keeper).size();
  for (int i = 1; i <= times && !HasFailure(); ++i) {
    ASSERT_EQ(daemon.Post("/agents/echo/message", R"({"text":")" + std::to_string(i) + "\"}").status, 202);
    ASSERT_TRUE(Follows(daemon));
  }
  ASSERT_TRUE(Says(daemon, "echo", std::to_string(times)));
  const Footprint keeper_after = AtRest([&] { return keeper; });
  const Footprint daemon_after = AtRest([&] { return daemon.pid(); });
  std::cout << "keeper: " << keeper_before << "; after " << times << ": " << keeper_after
            << "\ndaemon: " << daemon_before << "; after " << times << ": " << daemon_after << "\n";
  // A connection or a log may be open at one time and not at another. A leak would leave some at each time.
  EXPECT_LT(keeper_after.descriptors, keeper_before.descriptors + 5);
  EXPECT_LT(daemon_after.descriptors, daemon_before.descriptors + 5);
  EXPECT_EQ(ChildrenOf(keeper).size(), children);
  if (!kSanitized) {
    EXPECT_LE(keeper_after.mappings, keeper_before.mappings + 2);
    EXPECT_LE(keeper_after.anonymous_kib, keeper_before.anonymous_kib + 64);
    EXPECT_LE(daemon_after.mappings, daemon_before.mappings + 10);
    EXPECT_LE(daemon_after.anonymous_kib, daemon_before.anonymous_kib + 1024);
  }
  EXPECT_EQ(daemon.log().find("cannot become"), std::string::npos) << "the keeper was not replaced";
  EXPECT_EQ(Pids(daemon), pids);
  ExpectNumbers(Fields(daemon, "echo", "agent.output", "data.text"));
  ExpectNumbers(Fields(daemon, "counter", "agent.output", "data.text"));
  for (int i = 0; i < kTurns; ++i) {
    const std::string agent = "turn" + std::to_string(i);
    EXPECT_EQ(daemon.Post("/agents/" + agent + "/approvals/p1", R"({"decision":"allow_once"})").status, 200);
    ASSERT_TRUE(Eventually([&] { return !Fields(daemon, agent, "run.completed", "seq").empty(); }));
    EXPECT_EQ(Fields(daemon, agent, "run.started,run.failed,approval.requested,agent.starting", "type"),
              (Strings{"agent.starting", "run.started", "approval.requested"}));
  }
}

}  // namespace
}  // namespace reeve
