// The names of callers in events (control/api/API.md, "Access"): that of a token, or that of an agent.
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/gateway_client.h"
#include "tests/support/paths.h"
#include "tests/support/scripted_agent.h"
#include "tests/support/shell_agent.h"

namespace reeve {
namespace {

using Strings = std::vector<std::string>;

const std::string kAlice = "alice-token-0123456789";
const std::string kBob = "bob-token-0123456789";

constexpr const char* kReady =
    R"(< {"type":"control_response","response":{"subtype":"success","request_id":"initialize-1","response":{}}})";
constexpr const char* kTurn = R"(< {"type":"system","subtype":"init","session_id":"s-1"})";
constexpr const char* kAsks =
    R"(< {"type":"control_request","request_id":"p1","request":{"subtype":"can_use_tool","tool_name":"Bash",)"
    R"("tool_use_id":"call-p1","input":{"command":"mkdir x"}}})";
constexpr const char* kQuestion =
    R"(< {"type":"control_request","request_id":"q1","request":{"subtype":"can_use_tool","tool_name":"AskUserQuestion",)"
    R"("tool_use_id":"call-q1","input":{"questions":[{"question":"Which colour?","header":"Colour","multiSelect":false,)"
    R"("options":[{"label":"red","description":"r"},{"label":"blue","description":"b"}]}]}}})";
constexpr const char* kEnd =
    R"(< {"type":"result","subtype":"success","is_error":false,"terminal_reason":"completed","session_id":"s-1"})";

// The helpers' token, that in DATA/token, has no name.
class Callers : public testing::Test {
 protected:
  Callers() {
    Daemon::Options options;
    options.data_dir = folder_.path() + "/data";
    std::filesystem::create_directory(options.data_dir);
    std::filesystem::permissions(options.data_dir, std::filesystem::perms::owner_all);
    const std::string plain = "plain-token-0123456789\n";
    WriteFile(options.data_dir + "/token", plain);
    WriteFile(folder_.path() + "/tokens", plain + kAlice + " alice\noperate " + kBob + " bob@laptop\n");
    options.arguments = {"--token-file", folder_.path() + "/tokens", "--restart-delay", "0"};
    daemon_ = std::make_unique<Daemon>(options);
  }

  HttpAnswer As(const std::string& token, const std::string& method, const std::string& target,
                const std::string& body = "") const {
    return HttpConnection(daemon_->address())
        .Call(method, target, body, {{"Authorization", "Bearer " + token}});
  }
  [[nodiscard]] Strings By(const std::string& type) const { return Fields(*daemon_, "a1", type, "data.by"); }
  [[nodiscard]] bool UntilState(const std::string& state) const {
    return Eventually([&] { return daemon_->Get("/agents/a1").Field("state") == state; });
  }
  // One run asks, and a message of Bob waits for its end.
  void AskWithAMessageBehind() const {
    CreateScripted(
        *daemon_, "a1", "claude",
        {"> initialize", kReady, "> prompt", kTurn, kAsks, "> answer", kEnd, "> prompt", kTurn, kEnd},
        R"(,"prompt":"go")");
    ASSERT_TRUE(UntilState("needs_input"));
    ASSERT_EQ(As(kBob, "POST", "/agents/a1/message", R"({"text":"and then"})").status, 202);
  }
  [[nodiscard]] bool UntilMessages(size_t count) const {
    return Eventually([&] { return By("user.message").size() >= count; });
  }

  TempDir folder_;
  std::unique_ptr<Daemon> daemon_;
};

TEST_F(Callers, AnAnswerHasTheNameOfItsToken) {
  CreateScripted(*daemon_, "a1", "claude",
                 {"> initialize", kReady, "> prompt", kTurn, kAsks, "> answer", kQuestion, "> answer", kEnd},
                 R"(,"prompt":"go")");
  ASSERT_TRUE(UntilState("needs_input"));
  EXPECT_EQ(As(kAlice, "POST", "/agents/a1/approvals/p1", R"({"decision":"allow_once"})").Field("by"),
            "alice");
  ASSERT_TRUE(Eventually([&] { return !By("elicitation.requested").empty(); }));
  EXPECT_EQ(As(kBob, "POST", "/agents/a1/elicitations/q1", R"({"action":"cancel"})").Field("by"),
            "bob@laptop");
  daemon_->WaitFor("a1", "until=idle");
  EXPECT_EQ(By("approval.resolved"), Strings{"alice"});
  EXPECT_EQ(By("elicitation.resolved"), Strings{"bob@laptop"});
  const HttpAnswer late = daemon_->Post("/agents/a1/approvals/p1", R"({"decision":"deny"})");
  EXPECT_EQ(late.status, 409);
  EXPECT_NE(late.Field("detail").find("allow_once by alice"), std::string::npos) << late.body;
  EXPECT_NE(daemon_->Get("/approvals?id=p1").Field("resolved").find(R"("by":"alice")"), std::string::npos);
  ASSERT_TRUE(daemon_->Crash());
  const HttpAnswer runs = daemon_->Get("/agents/a1/runs");
  EXPECT_NE(runs.body.find(R"({"id":"p1","decision":"allow_once","by":"alice"})"), std::string::npos)
      << runs.body;
}

TEST_F(Callers, ChangesAndStopsHaveIt) {
  daemon_->Create(Shell("a1", "exec sleep 1000", R"("restart":{"policy":"never"},)"));
  ASSERT_TRUE(UntilState("running"));
  EXPECT_EQ(As(kBob, "PATCH", "/agents/a1", R"({"title":"one"})").status, 200);
  EXPECT_EQ(daemon_->Call("PATCH", "/agents/a1", R"({"title":"two"})").status, 200);
  EXPECT_EQ(As(kBob, "POST", "/agents/a1/restart").status, 202);
  ASSERT_TRUE(Eventually([&] { return By("agent.starting").size() == 2; }));
  EXPECT_EQ(As(kAlice, "POST", "/agents/batch", R"({"action":"stop","ids":["a1"]})").status, 200);
  daemon_->WaitFor("a1");
  EXPECT_EQ(daemon_->Post("/agents/a1/start").status, 202);
  ASSERT_TRUE(UntilState("running"));
  EXPECT_EQ(daemon_->Post("/agents/a1/stop").status, 202);
  daemon_->WaitFor("a1");
  EXPECT_EQ(As(kAlice, "DELETE", "/agents/a1").status, 204);
  EXPECT_EQ(By("agent.updated"), (Strings{"bob@laptop", "", "alice"}));
  EXPECT_EQ(By("agent.stopping"), (Strings{"bob@laptop", "alice", ""}));
}

TEST_F(Callers, AMessageKeepsItThroughACrashAndAnUpgrade) {
  AskWithAMessageBehind();
  EXPECT_EQ(By("message.queued").back(), "bob@laptop");
  ASSERT_TRUE(daemon_->Crash());
  ASSERT_TRUE(daemon_->HandOver());
  EXPECT_EQ(As(kAlice, "POST", "/agents/a1/approvals/p1", R"({"decision":"deny"})").status, 200);
  ASSERT_TRUE(UntilMessages(2));
  EXPECT_EQ(By("user.message"), (Strings{"", "bob@laptop"}));
}

TEST_F(Callers, AMessageKeepsItInTheStore) {
  AskWithAMessageBehind();
  daemon_->Kill();
  daemon_->Start();
  EXPECT_EQ(daemon_->Post("/agents/a1/start").status, 202);
  ASSERT_TRUE(UntilMessages(2));
  EXPECT_EQ(By("user.message"), (Strings{"", "bob@laptop"}));
}

TEST_F(Callers, AnAgentIsNamedByItsId) {
  daemon_->Create(Shell("a1", "exec cat"));
  ASSERT_TRUE(UntilState("running"));
  EXPECT_EQ(daemon_->Post("/agents/a1/message", R"({"text":"mine"})").status, 202);
  daemon_->Create(Shell("boss", "exec reeve wake a1 -m hello", R"("api":"operate",)"));
  ASSERT_TRUE(UntilMessages(2));
  EXPECT_EQ(By("user.message"), (Strings{"", "agent:boss"}));
}

TEST_F(Callers, ANewNameAppliesToAnOpenGateway) {
  daemon_->Create(Shell("a1", "cat"));
  GatewayClient gateway(daemon_->address(), GatewayClient::WithToken(kAlice));
  ASSERT_NE(gateway.Call("agents.restart", R"({"id":"a1"})"), "");
  daemon_->WaitFor("a1", "until=ready");
  WriteFile(folder_.path() + "/tokens", "plain-token-0123456789\n" + kAlice + " carol\n");
  ASSERT_EQ(daemon_->Post("/reload").status, 200);
  ASSERT_NE(gateway.Call("agents.stop", R"({"id":"a1"})"), "");
  daemon_->WaitFor("a1");
  EXPECT_EQ(By("agent.stopping"), (Strings{"alice", "carol"}));
}

}  // namespace
}  // namespace reeve
