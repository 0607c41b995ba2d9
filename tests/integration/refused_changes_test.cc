// A change that is answered with an error leaves no trace, one that is accepted is on disk: where requests
// overlap, where the disk is full, and where the daemon is killed right after its answer.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/support/paths.h"
#include "tests/support/sanitized.h"
#include "tests/support/scripted_agent.h"

namespace reeve {
namespace {

using Strings = std::vector<std::string>;

// A daemon whose disk fails, by this plan of tests/faults/faults.cc, from Arm to Disarm.
class FailingDisk : public testing::Test {
 protected:
  void SetUp() override {
    if (kSanitized) GTEST_SKIP() << "a sanitizer's runtime must come before anything that is preloaded";
  }
  void StartWith(const std::string& plan) {
    Daemon::Options options;
    options.arguments = {"--fsync", "never"};  // nothing is written but what a test asks for
    options.environment = {std::string("LD_PRELOAD=") + kFaults, "REEVE_FAULT=" + plan,
                           "REEVE_FAULT_ARMED=" + armed_};
    daemon_ = std::make_unique<Daemon>(options);
  }
  void Arm() const { WriteFile(armed_, ""); }
  void Disarm() const { unlink(armed_.c_str()); }

  void Patch(HttpConnection& connection, const std::string& body) const {
    connection.Send("PATCH", "/agents/a1", body, {{"Authorization", "Bearer " + daemon_->token()}});
  }
  [[nodiscard]] std::string Field(const std::string& name) const {
    return daemon_->Get("/agents/a1").Field(name);
  }

  TempDir folder_;
  const std::string armed_ = folder_.path() + "/armed";
  std::unique_ptr<Daemon> daemon_;
};

constexpr const char* kSleeper =
    R"({"id":"a1","kind":"process","command":["sleep","600"],"title":"before","restart":{"policy":"always"}})";

// Both are read in one turn of the loop, before either has its answer.
TEST_F(FailingDisk, TwoChangesThatOverlapAndFailLeaveNoTrace) {
  StartWith("full");
  daemon_->Create(kSleeper);
  daemon_->WaitFor("a1", "until=ready");
  HttpConnection one(daemon_->address());
  HttpConnection other(daemon_->address());
  Arm();
  daemon_->Signal(SIGSTOP);
  Patch(one, R"({"title":"one"})");
  Patch(other, R"({"starred":true})");
  daemon_->Signal(SIGCONT);
  for (HttpConnection* connection : {&one, &other}) {
    const HttpAnswer refused = connection->Receive();
    EXPECT_EQ(refused.status, 503) << refused.wire;
    EXPECT_EQ(refused.Field("code"), "disk_full");
  }
  EXPECT_EQ(Field("title"), "before");
  EXPECT_NE(Field("starred"), "true");
  Disarm();
  // The next one takes nothing of them to the disk.
  EXPECT_EQ(daemon_->Call("PATCH", "/agents/a1", R"({"labels":{"x":"y"}})").status, 200);
  daemon_->Kill();
  daemon_->Start();
  EXPECT_EQ(Field("title"), "before");
  EXPECT_NE(Field("starred"), "true");
  EXPECT_EQ(Field("labels"), R"({"x":"y"})");
}

// The first one's write is held until the second has been read, and fails then.
TEST_F(FailingDisk, AChangeThatFailsTakesNothingFromTheOneThatFollowedIt) {
  StartWith("hold:1");
  daemon_->Create(kSleeper);
  daemon_->WaitFor("a1", "until=ready");
  HttpConnection one(daemon_->address());
  HttpConnection other(daemon_->address());
  // The record may change while it is written, and is then written once more behind the answer. The second
  // answer comes after that.
  for (const char* labels : {R"({"labels":{"x":"y"}})", R"({"labels":{"x":"z"}})"})
    ASSERT_EQ(daemon_->Call("PATCH", "/agents/a1", labels).status, 200);
  ASSERT_EQ(daemon_->Get("/health").status, 200);
  Arm();
  Patch(one, R"({"title":"one"})");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(daemon_->Get("/health").status, 200);
  Patch(other, R"({"starred":true})");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(daemon_->Get("/health").status, 200);
  Disarm();
  const HttpAnswer refused = one.Receive();
  EXPECT_EQ(refused.status, 503) << refused.wire;
  const HttpAnswer accepted = other.Receive();
  EXPECT_EQ(accepted.status, 200) << accepted.wire;
  EXPECT_EQ(Field("title"), "before");
  EXPECT_EQ(Field("starred"), "true");
  daemon_->Kill();
  daemon_->Start();
  EXPECT_EQ(Field("title"), "before");
  EXPECT_EQ(Field("starred"), "true");
}

constexpr const char* kReady =
    R"(< {"type":"control_response","response":{"subtype":"success","request_id":"initialize-1","response":{}}})";
constexpr const char* kTurn = R"(< {"type":"system","subtype":"init","session_id":"s-1"})";
constexpr const char* kAsks =
    R"(< {"type":"control_request","request_id":"p1","request":{"subtype":"can_use_tool","tool_name":"Bash",)"
    R"("tool_use_id":"call-1","input":{"command":"mkdir x"}}})";
constexpr const char* kEnd =
    R"(< {"type":"result","subtype":"success","is_error":false,"terminal_reason":"completed","session_id":"s-1"})";

TEST_F(FailingDisk, ADecisionThatCannotBeKeptIsNotTaken) {
  StartWith("full");
  CreateScripted(*daemon_, "a1", "claude",
                 {"> initialize", kReady, "> prompt", kTurn, kAsks, "> answer", kEnd}, R"(,"prompt":"go")");
  ASSERT_TRUE(Eventually([&] { return Field("state") == "needs_input"; }));
  for (const char* decision : {"allow_once", "allow_always"}) {
    Arm();
    const std::string body = R"({"decision":")" + std::string(decision) + "\"}";
    const HttpAnswer refused = daemon_->Post("/agents/a1/approvals/p1", body);
    Disarm();
    EXPECT_EQ(refused.status, 503) << refused.wire;
    EXPECT_EQ(refused.Field("code"), "disk_full");
    const HttpAnswer pending = daemon_->Get("/approvals?agent=a1");
    EXPECT_NE(pending.Field("approvals").find("\"p1\""), std::string::npos) << decision << pending.body;
    EXPECT_EQ(Field("state"), "needs_input") << decision;
  }
  // There is room again. The agent has waited for its answer to this moment.
  const HttpAnswer decided = daemon_->Post("/agents/a1/approvals/p1", R"({"decision":"deny"})");
  EXPECT_EQ(decided.status, 200) << decided.wire;
  ASSERT_TRUE(Eventually([&] { return Field("state") == "idle"; }));
  Strings decisions;
  for (const std::string& event : daemon_->Events("a1", "after=0&types=approval.resolved")) {
    decisions.push_back(JsonField(event, "data.decision"));
  }
  EXPECT_EQ(decisions, Strings{"deny"});
  const std::string transcript = daemon_->Get("/agents/a1/transcript").body;
  EXPECT_NE(transcript.find(R"(\"behavior\":\"deny\")"), std::string::npos) << transcript;
  EXPECT_EQ(transcript.find(R"(\"behavior\":\"allow\")"), std::string::npos) << transcript;
}

// After a write that failed the agent begins nothing for a second. A slow machine may need longer than that
// for the message to come; then it is begun, and called so.
TEST_F(FailingDisk, ADispositionIsNotStartedWhileTheMessageWaitsForTheDisk) {
  StartWith("full");
  CreateScripted(*daemon_, "a1", "claude", {"> initialize", kReady, "> prompt", kTurn, kEnd});
  ASSERT_TRUE(Eventually([&] { return Field("state") == "idle"; }));
  Arm();
  EXPECT_EQ(daemon_->Call("PATCH", "/agents/a1", R"({"title":"one"})").status, 503);
  Disarm();
  const HttpAnswer sent = daemon_->Post("/agents/a1/message", R"({"text":"work"})");
  const std::string queue = daemon_->Get("/agents/a1/queue").body;
  ASSERT_EQ(sent.status, 202) << sent.wire;
  const bool waits = queue.find(R"("state":"queued")") != std::string::npos;
  EXPECT_FALSE(waits && sent.Field("disposition") == "started") << queue;
  EXPECT_TRUE(Eventually([&] { return Field("last_run.status") == "completed"; }));
}

// A turn that does not listen to the interrupt, so that nothing but the answer follows.
TEST(Interrupt, IsOnDiskWhenItIsAnswered) {
  Daemon daemon;
  const std::string script = daemon.data_dir() + "/a1.sh";
  WriteFile(script, R"(trap '' INT
while read -r line; do echo '{"type":"run.started"}'; while :; do sleep 0.05; done; done
)");
  daemon.Create(R"({"id":"a1","kind":"jsonl","kind_options":{"turns":true},"restart":{"policy":"always"},)"
                R"("command":["/bin/bash",")" +
                script + "\"]}");
  ASSERT_EQ(daemon.Post("/agents/a1/message", R"({"text":"work"})").status, 202);
  ASSERT_TRUE(Eventually([&] { return daemon.Get("/agents/a1").Field("state") == "running"; }));
  ASSERT_EQ(daemon.Post("/agents/a1/message", R"({"text":"later"})").status, 202);
  ASSERT_EQ(daemon.Get("/agents/a1").Field("queue_paused"), "false");
  ASSERT_EQ(daemon.Post("/agents/a1/interrupt").status, 202);
  daemon.Kill();
  daemon.Start();
  const HttpAnswer agent = daemon.Get("/agents/a1");
  EXPECT_EQ(agent.Field("queue_paused"), "true");
  EXPECT_EQ(agent.Field("queue_depth"), "1") << agent.body;
}

}  // namespace
}  // namespace reeve
