// When the queue of an agent pauses, which messages the pause holds, and when it ends.
#include <gtest/gtest.h>

#include <string>

#include "orchestrator/agent/mailbox.h"
#include "tests/orchestrator/agent/mailbox_words.h"

namespace reeve {
namespace {

using Mode = Message::Mode;

Run Ended(Run::Status status, const std::string& code = "") {
  Run run;
  run.id = "r1";
  run.status = status;
  run.error.code = code;
  return run;
}
const Run kCompleted = Ended(Run::Status::kCompleted);
const Run kFailed = Ended(Run::Status::kFailed, "agent_error");
const Run kCancelled = Ended(Run::Status::kCancelled);
const Run kCutOff = Ended(Run::Status::kFailed, kDaemonRestarted);

class MailboxPause : public MailboxWords, public ::testing::Test {
 public:
  MailboxPause() : MailboxWords(true) {}
};

// Kinds whose messages are lines of input to one long run.
class MailboxOfLines : public MailboxWords, public ::testing::Test {
 public:
  MailboxOfLines() : MailboxWords(false) {}
};

TEST_F(MailboxPause, ARunThatFailedPausesTheQueue) {
  Put("m1");
  box.OnRunEnded(kFailed, false);
  EXPECT_TRUE(box.paused());
  EXPECT_FALSE(box.HasNext());
  EXPECT_EQ(box.Claim(1), nullptr);
  EXPECT_EQ(box.depth(), 1U) << "it goes on waiting";
}

TEST_F(MailboxPause, ARunThatCompletedEndsThePause) {
  Put("m1");
  box.OnRunEnded(kFailed, false);
  box.OnRunEnded(kCompleted, false);
  EXPECT_FALSE(box.paused());
  EXPECT_EQ(ClaimAll(), "m1");
}

TEST_F(MailboxPause, ARunThatAStopEndedLeavesTheQueueAsTheStopDid) {
  Put("m1");
  box.OnStop(true);
  ASSERT_TRUE(box.paused());
  box.OnRunEnded(kCompleted, true);
  EXPECT_TRUE(box.paused());
}

TEST_F(MailboxPause, ACancelledRunChangesNothing) {
  box.OnRunEnded(kCancelled, false);
  EXPECT_FALSE(box.paused()) << "a message that interrupts, for instance, runs next";
  box.OnInterrupt();
  box.OnRunEnded(kCancelled, false);
  EXPECT_TRUE(box.paused()) << "it paused when a person ended the turn";
}

TEST_F(MailboxPause, ARunThatTheDaemonsEndCutOffChangesNothing) {
  box.OnRunEnded(kCutOff, false);
  EXPECT_FALSE(box.paused());
  box.OnInterrupt();
  box.OnRunEnded(kCutOff, false);
  EXPECT_TRUE(box.paused());
}

TEST_F(MailboxPause, AnInterruptPausesAtOnce) {
  Put("m1");
  box.OnInterrupt();
  EXPECT_TRUE(box.paused());
  Put("m2");  // it is meant to be done instead
  EXPECT_EQ(ClaimAll(), "m2");
  EXPECT_EQ(Waiting(), "m1");
}

TEST_F(MailboxPause, AStopPausesWhereThereIsSomethingToHold) {
  box.OnStop(false);
  EXPECT_FALSE(box.paused());
  box.OnStop(true);
  EXPECT_TRUE(box.paused()) << "a run";
  box.OnStart();
  Put("m1");
  box.OnStop(false);
  EXPECT_TRUE(box.paused()) << "a message";
}

TEST_F(MailboxPause, AStartEndsIt) {
  Put("m1");
  box.OnInterrupt();
  box.OnStart();
  EXPECT_FALSE(box.paused());
  EXPECT_EQ(ClaimAll(), "m1");
}

TEST_F(MailboxPause, MessagesThatArriveDuringItRunBeforeTheOthers) {
  Put("m1");
  Put("s1", Mode::kSteer);
  box.OnRunEnded(kFailed, false);
  Put("m2");
  Put("m3");
  EXPECT_EQ(box.Claim(1)->id, "m2");
  box.Remove("m2");
  EXPECT_EQ(box.Claim(1)->id, "m3");
  box.Remove("m3");
  EXPECT_FALSE(box.HasNext());
  box.OnRunEnded(kCompleted, false);
  EXPECT_EQ(ClaimAll(), "s1 m1");
}

TEST_F(MailboxPause, MessagesThatBecomeDueDuringItRunBeforeTheOthers) {
  Put("m1");
  ASSERT_TRUE(box.Accept(Make("l1", Mode::kFollowUp, 100)).ok());
  box.Schedule("l1");
  box.OnInterrupt();
  const Message* due = box.TakeDue(100);
  ASSERT_NE(due, nullptr);
  EXPECT_NE(due->through_pause, 0U) << "so it is on disk, and a restart does not hold it";
  box.Queue("l1");
  EXPECT_EQ(ClaimAll(), "l1");
}

// The pause may begin while the disk is being waited for.
TEST_F(MailboxPause, AMessageArrivesWhenItIsOnDisk) {
  ASSERT_TRUE(box.Accept(Make("m1")).ok());
  box.OnInterrupt();
  box.Queue("m1");
  EXPECT_EQ(ClaimAll(), "m1");
  ASSERT_TRUE(box.Accept(Make("m2")).ok());
  box.OnStart();
  box.Queue("m2");
  box.OnInterrupt();
  EXPECT_EQ(ClaimAll(), "") << "that pause began after it";
}

TEST_F(MailboxPause, AnotherPauseHoldsThoseThatWentThroughTheOneBefore) {
  box.OnInterrupt();
  Put("m1");
  ASSERT_TRUE(box.HasNext());
  box.OnInterrupt();
  EXPECT_FALSE(box.HasNext());
  Put("m2");
  EXPECT_EQ(ClaimAll(), "m2");
}

TEST_F(MailboxPause, ARefusedSteeringMessageIsHeldLikeThoseBeforeThePause) {
  ASSERT_TRUE(box.Accept(Make("s1", Mode::kSteer)).ok());
  box.Steer("s1");
  box.OnInterrupt();
  box.Queue("s1");  // refused: the turn was over
  EXPECT_FALSE(box.HasNext());
}

TEST_F(MailboxPause, ItHoldsAnInterruptingMessageToo) {
  Put("i1", Mode::kInterrupt);
  box.OnInterrupt();
  EXPECT_FALSE(box.HasNext());
  Put("m1");
  (void)box.Claim(1);
  EXPECT_FALSE(box.Overtaken());
  EXPECT_EQ(box.claimed()->id, "m1");
  Put("i2", Mode::kInterrupt);
  EXPECT_TRUE(box.Overtaken());
}

TEST_F(MailboxPause, AClaimedMessageThatIsGivenBackInAPauseGoesToTheFrontOfItsKind) {
  Put("m1");
  Put("m2");
  (void)box.Claim(1);
  box.OnInterrupt();  // holds m1 as well
  Put("m3");
  box.GiveBack();
  EXPECT_EQ(Waiting(), "m3 m1 m2");
  (void)box.Claim(1);  // m3
  Put("m4");
  box.GiveBack();
  EXPECT_EQ(Waiting(), "m3 m4 m1 m2");
  EXPECT_EQ(ClaimAll(), "m3 m4");
}

TEST_F(MailboxPause, ThoseThatWentThroughComeBackFromTheStoreSo) {
  box.OnInterrupt();
  Put("m2");
  const Message went_through = box.Find("m2")->message;
  box.Remove("m2");
  box.Restore(Make("m1"));
  box.Restore(went_through);
  EXPECT_EQ(Waiting(), "m2 m1");
  EXPECT_EQ(ClaimAll(), "m2");
}

// ------------------------------------------------------------------------------------- lines of input

TEST_F(MailboxOfLines, TheEndOfARunDoesNotPauseThem) {
  Put("m1");
  box.OnRunEnded(kFailed, false);
  EXPECT_FALSE(box.paused());
  box.OnInterrupt();
  EXPECT_FALSE(box.paused()) << "a signal, of which the process makes what it likes";
  EXPECT_EQ(ClaimAll(), "m1");
}

TEST_F(MailboxOfLines, AStopPausesOnlyWhereSomeWait) {
  box.OnStop(true);
  EXPECT_FALSE(box.paused());
  Put("m1");
  box.OnStop(true);
  EXPECT_TRUE(box.paused());
  box.OnRunEnded(kCompleted, false);
  EXPECT_TRUE(box.paused()) << "the run that ends is not what a line brought about";
}

TEST_F(MailboxOfLines, ALineThatIsDeliveredEndsThePause) {
  Put("m1");
  box.OnStop(true);
  Put("m2");
  EXPECT_EQ(ClaimAll(), "m2");
  box.OnLineDelivered();
  EXPECT_FALSE(box.paused());
  EXPECT_EQ(ClaimAll(), "m1");
}

}  // namespace
}  // namespace reeve
