// How the questions of an agent end without a person, and how they survive a daemon.
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "orchestrator/agent/approvals.h"
#include "orchestrator/handover/saved_state.h"
#include "orchestrator/json/json.h"
#include "process/clock.h"
#include "tests/orchestrator/agent/approvals_fixture.h"

namespace reeve {
namespace {

using Action = ElicitationAnswer::Action;

class ApprovalsEnd : public ApprovalsFixture {};

// --------------------------------------------------------------------------------------------- withdrawal

TEST_F(ApprovalsEnd, TheEndOfARunWithdrawsItsQuestions) {
  Ask(Bash("p1"));
  approvals.Ask(Bash("p2"), "r2", "/work");
  approvals.Ask(Question("e1"), "r1", "/work");
  approvals.Ask(Bash("p3"), "", "/work");  // of no run
  Take();
  approvals.WithdrawRun("r1");
  EXPECT_EQ(Take(),
            "approval.resolved p1 withdrawn by daemon: the run has ended\n"
            "elicitation.resolved e1 withdrawn by daemon: the run has ended\n");
  EXPECT_EQ(Pending(), "p2 p3 ");
  approvals.WithdrawAll();
  EXPECT_EQ(Pending(), "");
  EXPECT_EQ(approvals.Decide("p3", Decision::kAllowOnce, "", "").error().message,
            "approval p3: withdrawn by daemon");
}

TEST_F(ApprovalsEnd, TheAgentMayTakeAQuestionBack) {
  Ask(Bash("p1"));
  Ask(Question("e1"));
  Take();
  approvals.Retract("p1");
  approvals.Retract("e1");
  EXPECT_EQ(Take(),
            "approval.resolved p1 withdrawn by agent\n"
            "elicitation.resolved e1 withdrawn by agent\n");
  approvals.Retract("p1");
  approvals.Retract("p9");
  EXPECT_EQ(Take(), "");
}

// ---------------------------------------------------------------------------------------------- deadlines

TEST_F(ApprovalsEnd, ADeadlineDeniesOrCancels) {
  permissions.timeout_ms = 60'000;
  Ask(Bash("p1"));
  EXPECT_NE(last_data.find(R"("deadline":"2026-11-20T10:27:54.684Z")"), std::string::npos) << last_data;
  Ask(Question("e1"));
  clock.Advance(59'999);
  approvals.CheckDeadlines();
  EXPECT_EQ(Pending(), "p1 e1 ");
  Take();
  clock.Advance(1);
  approvals.CheckDeadlines();
  EXPECT_EQ(Take(),
            "approval.resolved p1 expired by deadline: nobody answered in time\n"
            "told p1 deny: nobody answered in time\n"
            "elicitation.resolved e1 expired by deadline: nobody answered in time\n"
            "told e1 cancel\n");
  EXPECT_EQ(approvals.Decide("p1", Decision::kAllowOnce, "", "").error().message,
            "approval p1: expired by deadline");
}

// The wall clock may be set, or the machine may sleep.
TEST_F(ApprovalsEnd, ADeadlineIsLookedAtAgainBeforeItIsDue) {
  EXPECT_EQ(approvals.next_look_ms(), std::nullopt);
  permissions.timeout_ms = 3'600'000;
  Ask(Bash("p1"));
  ASSERT_TRUE(approvals.next_look_ms());
  EXPECT_LE(*approvals.next_look_ms(), loop.NowMs() + 30'000);
  clock.Advance(1'000);
  EXPECT_FALSE(approvals.CheckDeadlines());
  clock.Advance(3'600'000);
  EXPECT_TRUE(approvals.CheckDeadlines());
  EXPECT_EQ(approvals.next_look_ms(), std::nullopt);
}

TEST_F(ApprovalsEnd, ADeadlineMayAllow) {
  permissions.timeout_ms = 60'000;
  permissions.allow_on_timeout = true;
  Ask(Bash("p1"));
  Ask(Question("e1"));
  Take();
  clock.Advance(60'000);
  approvals.CheckDeadlines();
  EXPECT_EQ(Take(),
            "approval.resolved p1 allow_once by deadline: nobody answered in time\n"
            "told p1 allow: nobody answered in time\n"
            "elicitation.resolved e1 expired by deadline: nobody answered in time\n"
            "told e1 cancel\n");
}

TEST_F(ApprovalsEnd, WithoutADeadlineAQuestionWaits) {
  Ask(Bash("p1"));
  clock.Advance(1'000'000'000);
  approvals.CheckDeadlines();
  EXPECT_EQ(Pending(), "p1 ");
}

TEST_F(ApprovalsEnd, AQuestionThatAnothersDeadlineTakesBackIsNotDecidedAsWell) {
  permissions.timeout_ms = 60'000;
  for (const char* id : {"p1", "p2"}) Ask(Bash(id));
  Take();
  on_told = [this](const std::string&) { approvals.WithdrawRun("r1"); };  // the agent ends its turn
  clock.Advance(60'000);
  approvals.CheckDeadlines();
  EXPECT_EQ(Take(),
            "approval.resolved p1 expired by deadline: nobody answered in time\n"
            "told p1 deny: nobody answered in time\n"
            "approval.resolved p2 withdrawn by daemon: the run has ended\n");
}

TEST_F(ApprovalsEnd, TheTimerDecidesAndTells) {
  SystemClock system;
  Approvals timed(loop, system, "a1", permissions, bytes_of_all, Handlers());
  permissions.timeout_ms = 20;
  timed.Ask(Bash("p1"), "r1", "/work");
  timed.Ask(Bash("p2"), "r1", "/work");
  ASSERT_TRUE(timed.Decide("p1", Decision::kAllowOnce, "", "").ok());
  ASSERT_TRUE(RunUntil(loop, [&] { return timed.pending().empty(); }));
  EXPECT_EQ(timed.FindResolved("p2")->by, "deadline");
  EXPECT_GE(changed, 1);
}

// The spec's timeout was changed in between: what is asked while a deadline passes has an earlier one than
// what was asked before.
TEST_F(ApprovalsEnd, TheTimerIsSetForTheNextDeadlineWheneverItWasAsked) {
  SystemClock system;
  Approvals timed(loop, system, "a1", permissions, bytes_of_all, Handlers());
  permissions.timeout_ms = 20;
  timed.Ask(Bash("first"), "r1", "/work");
  permissions.timeout_ms = 3'600'000;
  timed.Ask(Bash("long"), "r1", "/work");
  permissions.timeout_ms = 20;
  on_told = [&](const std::string& id) {
    if (id == "first") timed.Ask(Bash("second"), "r1", "/work");
  };
  ASSERT_TRUE(RunUntil(
      loop, [&] { return timed.FindResolved("second") != nullptr; }, 5'000));
  EXPECT_EQ(timed.pending().size(), 1U);
}

// ----------------------------------------------------------------------------------------------- handover

TEST_F(ApprovalsEnd, AHandoverKeepsAllOfThem) {
  permissions.timeout_ms = 60'000;
  Ask(Bash("p1"));
  ASSERT_TRUE(approvals.Decide("p1", Decision::kAllowAlways, "", "").ok());
  Ask(Question("e1"));
  Ask(Bash("p2", R"({"command":"deep","a":[[{}]]})"));
  const std::string text = SaveState(approvals);
  auto json = JsonDocument::Parse(text);
  ASSERT_TRUE(json.ok()) << text;

  Approvals next(loop, clock, "a1", permissions, bytes_of_all, Handlers());
  ASSERT_TRUE(RestoreState(json->root(), next).ok());
  EXPECT_EQ(SaveState(next), text);
  EXPECT_EQ(next.Decide("p1", Decision::kDeny, "", "").error().code, "already_resolved");
  Take();
  next.Ask(Bash("p3"), "r1", "/work");
  EXPECT_NE(Take().find("told p3 allow"), std::string::npos) << "always";
  clock.Advance(60'000);
  next.CheckDeadlines();
  EXPECT_TRUE(next.pending().empty());
  EXPECT_EQ(next.FindResolved("e1")->by, "deadline");
}

TEST_F(ApprovalsEnd, TheRecordKeepsWhatIsAllowedAndWhichOnesWait) {
  Ask(Bash("p1"));
  ASSERT_TRUE(approvals.Decide("p1", Decision::kAllowAlways, "", "").ok());
  Ask(Question("e1"));
  Ask(Bash("p2", R"({"command":"x"})"));
  StateWriter writer;
  Approvals::Record(approvals, writer);
  auto json = JsonDocument::Parse(writer.Take());
  EXPECT_EQ((*json)["pending"].Raw(), R"({"e1":true,"p2":false})");

  Approvals next(loop, clock, "a1", permissions, bytes_of_all, Handlers());
  StateReader reader(json->root());
  Approvals::Record(next, reader);
  ASSERT_TRUE(reader.status().ok());
  EXPECT_TRUE(next.pending().empty()) << "a restarted daemon withdraws them";
  Take();
  next.Ask(Bash("p3"), "r1", "/work");
  EXPECT_NE(Take().find("told p3 allow"), std::string::npos);
}

TEST(ApprovalWords, DecisionsAndActionsHaveTheNamesOfTheApi) {
  for (auto [decision, name] : {std::pair{Decision::kAllowOnce, "allow_once"},
                                {Decision::kAllowAlways, "allow_always"},
                                {Decision::kDeny, "deny"}}) {
    EXPECT_STREQ(NameOf(decision), name);
    EXPECT_EQ(ParseDecision(name), decision);
  }
  for (auto [action, name] :
       {std::pair{Action::kAccept, "accept"}, {Action::kDecline, "decline"}, {Action::kCancel, "cancel"}}) {
    EXPECT_STREQ(NameOf(action), name);
    EXPECT_EQ(ParseAction(name), action);
  }
  EXPECT_FALSE(ParseDecision("allow"));
  EXPECT_FALSE(ParseAction("deny"));
}

// As 0.1.0 wrote it into records: the digest of {"command":"ls"}.
TEST(ApprovalWords, TheDigestOfACallStaysTheSame) {
  auto call = AllowedCall::Of(Bash("p1", R"({ "description":"x", "command":"ls" })"));
  ASSERT_TRUE(call);
  EXPECT_EQ(call->tool, "bash");
  EXPECT_EQ(call->digest, "4cf29611a66934862f29acfcc817e30b905c1ab73d5e65831413eb6b454d49db");
}

}  // namespace
}  // namespace reeve
