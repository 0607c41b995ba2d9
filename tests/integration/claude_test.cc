// The kind `claude` in a real daemon, with a script in the place of Claude Code that says what it would.
#include <gtest/gtest.h>

#include <vector>

#include "tests/support/daemon.h"

namespace reeve {
namespace {

constexpr const char* kScript = R"(
case "$*" in *--resume=gone*)
  echo '{"type":"result","is_error":true,"errors":["No conversation found with session ID: gone"]}'
  exit 1
esac
while read -r line; do
  case "$line" in
  *'"initialize"'*)
    echo '{"type":"control_response","response":{"subtype":"success","request_id":"initialize-1"}}' ;;
  *'"text":"ask"'*)
    echo '{"type":"system","subtype":"init","session_id":"a-session-of-its-own"}'
    echo '{"type":"control_request","request_id":"a-request-with-a-long-name","request":{"subtype":"can_use_tool","tool_name":"Bash","input":{"command":"ls"},"tool_use_id":"t1"}}' ;;
  *'"interrupt"'*)
    echo '{"type":"result","is_error":true,"terminal_reason":"aborted_tools"}' ;;
  *'"user"'*)
    echo '{"type":"system","subtype":"init","session_id":"a-session-of-its-own"}'
    echo '{"type":"result","is_error":false}' ;;
  esac
done
exit 3
)";

// An agent of this kind, made by `more` members of its spec.
void Create(Daemon& daemon, const std::string& more) {
  const std::string path = daemon.data_dir() + "/claude.sh";
  WriteFile(path, kScript);
  daemon.Create(R"({"id":"a1","kind":"claude","command":["/bin/sh",")" + path + "\"]" + more + "}");
}

// The values of a field of all events of a type.
std::vector<std::string> Of(Daemon& daemon, const std::string& type, const std::string& field) {
  std::vector<std::string> found;
  for (const std::string& event : daemon.Events("a1")) {
    if (JsonField(event, "type") == type) found.push_back(JsonField(event, field));
  }
  return found;
}

using Strings = std::vector<std::string>;

TEST(ClaudeKind, AnApprovalThatWaitsWhenTheRunEndsIsWithdrawnByItsOwnName) {
  Daemon daemon;
  Create(daemon, R"(,"prompt":"ask")");
  ASSERT_TRUE(Eventually([&] { return daemon.Get("/agents/a1").Field("state") == "needs_input"; }));
  EXPECT_EQ(daemon.Post("/agents/a1/interrupt").status, 202);
  EXPECT_EQ(daemon.WaitFor("a1", "until=terminal").Field("status"), "cancelled");
  EXPECT_EQ(Of(daemon, "approval.resolved", "data.id"), Strings{"a-request-with-a-long-name"});
  EXPECT_EQ(Of(daemon, "approval.resolved", "data.decision"), Strings{"withdrawn"});
  EXPECT_EQ(Of(daemon, "tool.failed", "data.call_id"), Strings{"t1"});
}

TEST(ClaudeKind, EndsByItselfWhenItIsStoppedInMidTurn) {
  Daemon daemon;
  Create(daemon, R"(,"prompt":"ask")");
  ASSERT_TRUE(Eventually([&] { return daemon.Get("/agents/a1").Field("state") == "needs_input"; }));
  EXPECT_EQ(daemon.Post("/agents/a1/stop").status, 202);
  daemon.WaitFor("a1");
  EXPECT_EQ(Of(daemon, "run.cancelled", "type"), Strings{"run.cancelled"});
  EXPECT_EQ(Of(daemon, "agent.exited", "data.code"), Strings{"3"});  // not by a signal
}

TEST(ClaudeKind, ASessionThatIsGoneIsToldAndTheMessageGoesToANewOne) {
  Daemon daemon;
  Create(daemon, R"(,"prompt":"hello","resume":"gone")");
  ASSERT_TRUE(Eventually([&] { return daemon.Get("/agents/a1").Field("last_run.status") == "completed"; }));
  EXPECT_EQ(Of(daemon, "agent.error", "data.code"), Strings{"session_lost"});
  EXPECT_EQ(Of(daemon, "agent.starting", "type").size(), 2U);
  EXPECT_EQ(daemon.Get("/agents/a1").Field("session"), "a-session-of-its-own");
}

TEST(ClaudeKind, ASessionThatIsGoneIsBegunAnewWithoutBeingAsked) {
  Daemon daemon;
  Create(daemon, R"(,"resume":"gone")");
  ASSERT_TRUE(Eventually([&] { return daemon.Get("/agents/a1").Field("state") == "idle"; }));
  EXPECT_EQ(Of(daemon, "agent.error", "data.code"), Strings{"session_lost"});
  EXPECT_EQ(Of(daemon, "agent.starting", "type").size(), 2U);
}

TEST(ClaudeKind, AProcessThatEndsBeforeItIsReadyHasFailed) {
  Daemon daemon;
  daemon.Create(R"({"id":"a1","kind":"claude","command":["/bin/sh","-c","echo no such flag >&2; exit 2"]})");
  ASSERT_TRUE(Eventually([&] { return daemon.Get("/agents/a1").Field("state") == "failed"; }));
  EXPECT_EQ(daemon.Get("/agents/a1").Field("reason"), "the process ended with code 2 before it was ready");
  EXPECT_EQ(Of(daemon, "agent.failed", "data.code"), Strings{"not_ready"});
}

}  // namespace
}  // namespace reeve
