// How the questions of an agent are asked, and how a person or the policy decides them.
// approvals_end_test.cc has how they end otherwise.
#include "orchestrator/agent/approvals.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "orchestrator/agent/approval_excerpt.h"
#include "tests/orchestrator/agent/approvals_fixture.h"

namespace reeve {
namespace {

using Action = ElicitationAnswer::Action;

class ApprovalsTest : public ApprovalsFixture {};

// ------------------------------------------------------------------------------------------------- asking

TEST_F(ApprovalsTest, AQuestionWaitsForAPerson) {
  Ask(Bash("p1"));
  EXPECT_EQ(Take(), "approval.requested p1\n");
  EXPECT_EQ(last_data, R"({"id":"p1","kind":"approval","tool":"bash","input":{"command":"ls"},)"
                       R"("options":["allow_once","allow_tool","allow_session","allow_always","deny"],)"
                       R"("requested_at":"2026-11-20T10:26:54.684Z"})");
  ASSERT_NE(approvals.Find("p1"), nullptr);
  EXPECT_EQ(approvals.Find("p1")->run, "r1");
  EXPECT_EQ(approvals.Find("p2"), nullptr);
  Ask(Question("e1"));
  EXPECT_EQ(Take(), "elicitation.requested e1\n");
  EXPECT_EQ(last_data,
            R"({"id":"e1","kind":"elicitation","message":"Which one?",)"
            R"("schema":{"type":"object","properties":{}},"options":["accept","decline","cancel"],)"
            R"("requested_at":"2026-11-20T10:26:54.684Z"})");
  EXPECT_EQ(Pending(), "p1 e1 ");
}

TEST_F(ApprovalsTest, AQuestionThatIsRepeatedChangesNothing) {
  Ask(Bash("p1"));
  Take();
  Ask(Bash("p1", R"({"command":"rm"})"));
  EXPECT_EQ(Take(), "");
  EXPECT_EQ(approvals.Find("p1")->request.input, R"({"command":"ls"})");
}

// One that does not fit is refused, and neither it nor its event is kept whole.
TEST_F(ApprovalsTest, BytesThatWaitForAPersonAreBounded) {
  const auto large = [](size_t bytes) { return R"({"command":")" + std::string(bytes, 'x') + "\"}"; };
  Ask(Bash("p1", large(size_t{3} << 20)));
  Take();
  Ask(Bash("p2", large(size_t{2} << 20)));
  const std::string refused = Take();
  EXPECT_NE(refused.find("approval.resolved p2 deny by daemon: the questions of this agent"),
            std::string::npos)
      << refused;
  EXPECT_NE(refused.find("told p2 deny: the questions of this agent"), std::string::npos) << refused;
  ApprovalRequest question = Question("e1");
  question.message = std::string(size_t{2} << 20, 'x');
  Ask(question);
  EXPECT_NE(Take().find("told e1 cancel"), std::string::npos);
  Ask(Bash("p3"));
  EXPECT_EQ(Pending(), "p1 p3 ");
  ASSERT_TRUE(approvals.Decide("p1", Decision::kAllowOnce, "", "").ok());
  Ask(Bash("p2", large(size_t{2} << 20)));
  EXPECT_EQ(Pending(), "p3 p2 ");
  const ApprovalExcerpt excerpt = ExcerptOf(*approvals.Find("p2"));
  EXPECT_TRUE(excerpt.cut);
  EXPECT_LT(excerpt.approval.ToJson().size(), 2000U);
  EXPECT_NE(excerpt.approval.request.input.find("xxx…"), std::string::npos);
  EXPECT_FALSE(ExcerptOf(*approvals.Find("p3")).cut);
}

// The bytes of all agents are bounded, too, and are free again when a question or an agent has ended.
TEST_F(ApprovalsTest, BytesOfAllAgentsThatWaitForAPersonAreBounded) {
  const std::string large = R"({"command":")" + std::string((size_t{4} << 20) - 4096, 'x') + "\"}";
  std::vector<std::unique_ptr<Approvals>> others;
  const auto ask_one_more = [&] {
    others.push_back(std::make_unique<Approvals>(loop, clock, "b" + std::to_string(others.size()),
                                                 permissions, bytes_of_all, Handlers()));
    others.back()->Ask(Bash("p1", large), "r1", "/work");
  };
  for (int i = 0; i < 16; ++i) ask_one_more();
  for (const auto& other : others) ASSERT_EQ(other->pending().size(), 1U);
  Take();
  const std::string half = R"({"command":")" + std::string(size_t{2} << 20, 'x') + "\"}";
  Ask(Bash("p1", half));
  const std::string refused = Take();
  EXPECT_NE(refused.find("told p1 deny: the questions of all agents"), std::string::npos) << refused;
  EXPECT_EQ(Pending(), "");
  // A question that the policy decides needs no person, and no room.
  Rule(permissions.allow, "bash");
  Ask(Bash("p2", half));
  EXPECT_NE(Take().find("told p2 allow"), std::string::npos);
  permissions.allow.clear();

  ASSERT_TRUE(others.back()->Decide("p1", Decision::kAllowOnce, "", "").ok());
  Ask(Bash("p3", half));
  EXPECT_EQ(Pending(), "p3 ");
  Take();
  Ask(Bash("p4", half.substr(0, 1000) + "\"}"));
  EXPECT_EQ(Pending(), "p3 p4 ");
  ask_one_more();
  EXPECT_TRUE(others.back()->pending().empty());
  others.erase(others.begin());
  ask_one_more();
  EXPECT_EQ(others.back()->pending().size(), 1U);
}

TEST_F(ApprovalsTest, AnIdThatWasDecidedMayBeAskedAgain) {
  Ask(Bash("p1"));
  ASSERT_TRUE(approvals.Decide("p1", Decision::kDeny, "", "").ok());
  Ask(Bash("p1"));
  EXPECT_EQ(Pending(), "p1 ");
  ASSERT_TRUE(approvals.Decide("p1", Decision::kAllowOnce, "", "").ok());
  EXPECT_EQ(approvals.FindResolved("p1")->decision, "allow_once") << "the newest";
}

// ----------------------------------------------------------------------------------------------- a person

TEST_F(ApprovalsTest, APersonsDecisionIsRecordedAndThenTold) {
  Ask(Bash("p1"));
  Ask(Bash("p2"));
  Take();
  ASSERT_TRUE(approvals.Decide("p1", Decision::kAllowOnce, "", R"({"command":"ls -l"})").ok());
  EXPECT_EQ(Take(),
            "approval.resolved p1 allow_once by person on disk\n"
            "told p1 allow{\"command\":\"ls -l\"}\n");
  ASSERT_TRUE(approvals.Decide("p2", Decision::kDeny, "not today", "").ok());
  EXPECT_EQ(Take(),
            "approval.resolved p2 deny by person: not today on disk\n"
            "told p2 deny: not today\n");
  EXPECT_EQ(Pending(), "");
}

TEST_F(ApprovalsTest, APersonsAnswerIsRecordedAndThenTold) {
  Ask(Question("e1"));
  Take();
  ASSERT_TRUE(approvals.Answer("e1", {Action::kAccept, R"({"which":1})"}).ok());
  EXPECT_EQ(Take(),
            "elicitation.resolved e1 accept by person on disk\n"
            "told e1 accept{\"which\":1}\n");
}

TEST_F(ApprovalsTest, TheSecondPersonLearnsHowItEnded) {
  Ask(Bash("p1"));
  ASSERT_TRUE(approvals.Decide("p1", Decision::kDeny, "", "").ok());
  Take();
  const Status second = approvals.Decide("p1", Decision::kAllowOnce, "", "");
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, "already_resolved");
  EXPECT_EQ(second.error().message, "approval p1: deny by person");
  EXPECT_EQ(Take(), "");
}

TEST_F(ApprovalsTest, AnUnknownOneIsNotFound) {
  const Status approval = approvals.Decide("p9", Decision::kDeny, "", "");
  ASSERT_FALSE(approval.ok());
  EXPECT_EQ(approval.error().code, "approval_not_found");
  EXPECT_EQ(approval.error().message, "agent a1 has no approval p9");
  const Status elicitation = approvals.Answer("e9", {});
  ASSERT_FALSE(elicitation.ok());
  EXPECT_EQ(elicitation.error().message, "agent a1 has no elicitation e9");
}

TEST_F(ApprovalsTest, AnElicitationIsNotDecidedNorAnApprovalAnswered) {
  Ask(Question("e1"));
  Ask(Bash("p1"));
  Take();
  EXPECT_EQ(approvals.Decide("e1", Decision::kAllowOnce, "", "").error().code, "approval_not_found");
  EXPECT_EQ(approvals.Answer("p1", {}).error().code, "approval_not_found");
  EXPECT_EQ(Take(), "");
  EXPECT_EQ(Pending(), "e1 p1 ");
}

TEST_F(ApprovalsTest, ADecisionThatCannotBeRecordedIsRefusedAndItIsStillPending) {
  Ask(Bash("p1"));
  Ask(Question("e1"));
  Take();
  disk_full = true;
  EXPECT_EQ(approvals.Decide("p1", Decision::kAllowAlways, "", "").error().code, "disk_full");
  EXPECT_EQ(approvals.Answer("e1", {Action::kAccept, "{}"}).error().code, "disk_full");
  EXPECT_EQ(Take(), "") << "the agent was told nothing";
  EXPECT_EQ(Pending(), "p1 e1 ");
  EXPECT_EQ(approvals.FindResolved("p1"), nullptr);
  Ask(Bash("p2"));
  EXPECT_EQ(Pending(), "p1 e1 p2 ") << "nothing was allowed for good";
  disk_full = false;
  EXPECT_TRUE(approvals.Decide("p1", Decision::kAllowOnce, "", "").ok());
  EXPECT_TRUE(approvals.Answer("e1", {}).ok());
}

TEST_F(ApprovalsTest, ADecisionFromWithinTheFirstComesTooLate) {
  Ask(Bash("p1"));
  Ask(Bash("p2"));
  Take();
  std::string second;
  on_told = [&](const std::string& id) {
    on_told = nullptr;
    second = approvals.Decide(id, Decision::kDeny, "", "").error().code;
    EXPECT_TRUE(approvals.Decide("p2", Decision::kDeny, "", "").ok());  // another one is free
    approvals.Retract(id);
    approvals.WithdrawAll();
    Ask(Bash("p3"));  // the agent goes on and asks the next
  };
  ASSERT_TRUE(approvals.Decide("p1", Decision::kAllowOnce, "", "").ok());
  EXPECT_EQ(second, "already_resolved");
  EXPECT_EQ(Take(),
            "approval.resolved p1 allow_once by person on disk\n"
            "told p1 allow\n"
            "approval.resolved p2 deny by person on disk\n"
            "told p2 deny\n"
            "approval.requested p3\n");
}

// --------------------------------------------------------------------------------------------- the policy

TEST_F(ApprovalsTest, ThePolicyDecidesAtOnce) {
  Rule(permissions.allow, "bash(ls)");
  Rule(permissions.deny, "bash(rm *)");
  Ask(Bash("p1"));
  EXPECT_EQ(Take(),
            "approval.requested p1\n"
            "approval.resolved p1 allow_once by policy: bash(ls)\n"
            "told p1 allow\n");
  Ask(Bash("p2", R"({"command":"rm x"})"));
  EXPECT_EQ(Take(),
            "approval.requested p2\n"
            "approval.resolved p2 deny by policy: bash(rm *)\n"
            "told p2 deny: not permitted: bash(rm *)\n");
  EXPECT_EQ(Pending(), "");
  EXPECT_EQ(approvals.Decide("p2", Decision::kAllowOnce, "", "").error().message,
            "approval p2: deny by policy");
}

TEST_F(ApprovalsTest, ThePolicyMayChange) {
  Ask(Bash("p1"));
  permissions.fallback = Permissions::Verdict::kAllow;
  Take();
  Ask(Bash("p2"));
  EXPECT_EQ(Pending(), "p1 ");
  EXPECT_NE(Take().find("told p2 allow"), std::string::npos);
}

TEST_F(ApprovalsTest, ThePolicyAnswersNoElicitation) {
  permissions.fallback = Permissions::Verdict::kAllow;
  Ask(Question("e1"));
  EXPECT_EQ(Pending(), "e1 ");
}

TEST_F(ApprovalsTest, RelativePathsAreTheProcesssOwn) {
  Rule(permissions.allow, "edit(/work/*)");
  ApprovalRequest edit = Bash("p1", R"({"file_path":"a.txt"})");
  edit.tool = "edit";
  approvals.Ask(edit, "r1", "/work");
  EXPECT_EQ(Pending(), "");
  edit.id = "p2";
  approvals.Ask(edit, "r1", "/home");
  EXPECT_EQ(Pending(), "p2 ");
}

// ------------------------------------------------------------------------------------------------- always

TEST_F(ApprovalsTest, AlwaysAllowsTheExactSameCall) {
  Rule(permissions.ask, "bash");  // "always" was the answer to it
  Ask(Bash("p1", R"({"command":"ls","timeout":5,"description":"Look"})"));
  ASSERT_TRUE(approvals.Decide("p1", Decision::kAllowAlways, "", "").ok());
  Take();
  Ask(Bash("p2", R"({"timeout":5,"description":"Look again","command":"ls"})"));
  EXPECT_EQ(Take(),
            "approval.requested p2\n"
            "approval.resolved p2 allow_once by policy: allow_always\n"
            "told p2 allow\n");
  Ask(Bash("p3", R"({"command":"ls","timeout":6})"));
  Ask(Bash("p4", R"({"command":"ls"})"));
  ApprovalRequest other = Bash("p5", R"({"command":"ls","timeout":5})");
  other.tool = "edit";
  Ask(other);
  EXPECT_EQ(Pending(), "p3 p4 p5 ");
}

TEST_F(ApprovalsTest, DenyRulesBeatAlways) {
  Ask(Bash("p1"));
  ASSERT_TRUE(approvals.Decide("p1", Decision::kAllowAlways, "", "").ok());
  Rule(permissions.deny, "bash(ls)");
  Take();
  Ask(Bash("p2"));
  EXPECT_NE(Take().find("told p2 deny: not permitted: bash(ls)"), std::string::npos);
}

TEST_F(ApprovalsTest, ACallWithoutInputIsNeverAllowedForGood) {
  for (const char* input : {"", "{}", R"({"description":"Look"})"}) {
    Ask(Bash("p1", input));
    ASSERT_TRUE(approvals.Decide("p1", Decision::kAllowAlways, "", "").ok()) << input;
    Ask(Bash("p1", input));
    EXPECT_EQ(Pending(), "p1 ") << input;
    approvals.WithdrawAll();
  }
}

TEST_F(ApprovalsTest, TheNewestCallsAreAllowedForGood) {
  auto call = [](int i) { return R"({"command":")" + std::to_string(i) + "\"}"; };
  for (int i = 0; i <= 256; ++i) {
    Ask(Bash("p" + std::to_string(i), call(i)));
    ASSERT_TRUE(approvals.Decide("p" + std::to_string(i), Decision::kAllowAlways, "", "").ok());
  }
  Ask(Bash("oldest", call(0)));
  Ask(Bash("next", call(1)));
  EXPECT_EQ(Pending(), "oldest ");
  EXPECT_EQ(approvals.FindResolved("p0"), nullptr) << "of the answered ones the newest are remembered, too";
  EXPECT_NE(approvals.FindResolved("p256"), nullptr);
}

// ---------------------------------------------------------------------------------- for the rest of a
// session

TEST_F(ApprovalsTest, AToolIsAllowedUntilTheSessionEnds) {
  AskIn("s1", Bash("p1"));
  AskIn("s1", Bash("p2", R"({"command":"make"})"));
  AskIn("s1", Other("p3"));
  Take();
  ASSERT_TRUE(approvals.Decide("p1", Decision::kAllowTool, "", "").ok());
  EXPECT_EQ(Take(),
            "approval.resolved p1 allow_tool by person on disk\ntold p1 allow\n"
            "approval.resolved p2 allow_once by policy: allow_tool\ntold p2 allow\n")
      << "another call of the tool that waits is allowed with it";
  EXPECT_EQ(Pending(), "p3 ");
  AskIn("s1", Bash("p4", R"({"command":"cat x"})"));
  EXPECT_EQ(approvals.FindResolved("p4")->decision, "allow_once");
  AskIn("s2", Bash("p5"));
  EXPECT_EQ(Pending(), "p3 p5 ") << "another session asks again";
}

TEST_F(ApprovalsTest, EverythingIsAllowedUntilTheSessionEndsExceptWhatIsDenied) {
  Rule(permissions.deny, "bash(rm *)");
  Rule(permissions.ask, "fetch");
  AskIn("s1", Bash("p1"));
  ASSERT_TRUE(approvals.Decide("p1", Decision::kAllowSession, "", "").ok());
  AskIn("s1", Other("p2"));
  EXPECT_EQ(approvals.FindResolved("p2")->decision, "allow_once");
  AskIn("s1", Bash("p3", R"({"command":"rm x"})"));
  EXPECT_EQ(approvals.FindResolved("p3")->decision, "deny");
  AskIn("s1", Bash("p4", "{}"));
  EXPECT_EQ(Pending(), "p4 ") << "the deny rule might match";
}

TEST_F(ApprovalsTest, WithoutASessionAGrantEndsWithTheProcess) {
  Ask(Bash("p1"));
  ASSERT_TRUE(approvals.Decide("p1", Decision::kAllowSession, "", "").ok());
  Ask(Other("p2"));
  EXPECT_EQ(Pending(), "");
  approvals.WithdrawAll();
  Ask(Other("p3"));
  EXPECT_EQ(Pending(), "p3 ");
}

TEST_F(ApprovalsTest, ChangedPermissionsDecideWhatIsPending) {
  Ask(Bash("p1"));
  Ask(Other("p2"));
  Ask(Question("e1"));
  Take();
  Rule(permissions.deny, "bash");
  approvals.JudgeAgain();
  EXPECT_EQ(Take(), "approval.resolved p1 deny by policy: bash\ntold p1 deny: not permitted: bash\n");
  permissions.fallback = Permissions::Verdict::kAllow;
  approvals.JudgeAgain();
  EXPECT_EQ(Take(), "approval.resolved p2 allow_once by policy: permissions.default\ntold p2 allow\n");
  EXPECT_EQ(Pending(), "e1 ") << "no policy knows the answer to a question";
}

TEST_F(ApprovalsTest, AnAnswerThatDoesNotFitTheSchemaLeavesTheQuestionOpen) {
  ApprovalRequest question = Question("e1");
  question.schema = R"({"type":"object","properties":{"n":{"type":"integer"}},"required":["n"]})";
  Ask(question);
  Take();
  const Status wrong = approvals.Answer("e1", {Action::kAccept, R"({"zzz":1})"});
  ASSERT_FALSE(wrong.ok());
  EXPECT_EQ(wrong.error().code, "invalid_request");
  EXPECT_EQ(wrong.error().message, "content.n: is required");
  EXPECT_EQ(Take(), "");
  EXPECT_EQ(Pending(), "e1 ");
  ASSERT_TRUE(approvals.Answer("e1", {Action::kAccept, R"({"n":1})"}).ok());
  EXPECT_EQ(Pending(), "");
}

}  // namespace
}  // namespace reeve
