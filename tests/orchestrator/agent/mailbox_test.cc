// The stages of messages, their order and their limits. mailbox_pause_test.cc has the pause.
#include "orchestrator/agent/mailbox.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <random>
#include <string>
#include <vector>

#include "orchestrator/handover/saved_state.h"
#include "orchestrator/json/json.h"
#include "tests/orchestrator/agent/mailbox_words.h"

namespace reeve {
namespace {

using Mode = Message::Mode;
using Stage = Mailbox::Stage;

class MailboxTest : public MailboxWords, public ::testing::Test {
 public:
  MailboxTest() : MailboxWords(true) {}
};

// ------------------------------------------------------------------------------------------------- stages

TEST_F(MailboxTest, AMessageArrivesWaitsIsClaimedAndLeaves) {
  ASSERT_TRUE(box.Accept(Make("m1")).ok());
  EXPECT_EQ(Stages(), "");  // the API's queue does not have it yet
  EXPECT_TRUE(box.Has("m1", Stage::kArriving));
  EXPECT_TRUE(box.ArrivingNow());
  EXPECT_FALSE(box.HasNext());
  EXPECT_EQ(box.depth(), 0U);

  box.Queue("m1");
  EXPECT_EQ(Stages(), "m1:waiting");
  EXPECT_FALSE(box.ArrivingNow());
  EXPECT_TRUE(box.HasNext());
  EXPECT_EQ(box.claimed(), nullptr);
  EXPECT_EQ(box.depth(), 1U);

  const Message* claimed = box.Claim(17);
  ASSERT_NE(claimed, nullptr);
  EXPECT_EQ(claimed, box.claimed());
  EXPECT_EQ(claimed->taken_seq, 17U);
  EXPECT_EQ(Stages(), "m1:claimed");
  EXPECT_EQ(box.depth(), 1U);
  EXPECT_FALSE(box.HasNext());

  EXPECT_TRUE(box.Remove("m1"));
  EXPECT_FALSE(box.Remove("m1"));
  EXPECT_EQ(box.Find("m1"), nullptr);
  EXPECT_EQ(box.claimed(), nullptr);
  EXPECT_EQ(box.depth(), 0U);
}

TEST_F(MailboxTest, OnlyOneIsClaimed) {
  EXPECT_EQ(box.Claim(1), nullptr) << "nothing is here";
  Put("m1");
  Put("m2");
  EXPECT_EQ(box.Claim(1)->id, "m1");
  EXPECT_TRUE(box.HasNext());
  EXPECT_EQ(box.Claim(1), nullptr);
  box.Remove("m1");
  EXPECT_EQ(box.Claim(2)->id, "m2");
}

// A message starts a process at most once.
TEST_F(MailboxTest, AMessageThatStartedAProcessWantsNoOther) {
  EXPECT_FALSE(box.WantsProcess());
  box.OnProcessStart();
  Put("m1");
  Put("m2");
  EXPECT_TRUE(box.WantsProcess());
  EXPECT_EQ(box.NotTaken(), std::vector<std::string>());
  box.OnProcessStart();
  EXPECT_FALSE(box.WantsProcess());
  EXPECT_EQ(box.NotTaken(), std::vector<std::string>{"m1"});
  ASSERT_EQ(box.Claim(1)->id, "m1");
  EXPECT_TRUE(box.WantsProcess()) << "m2 has started none";
  EXPECT_EQ(box.NotTaken(), std::vector<std::string>()) << "it is being taken";
  box.GiveBack();
  EXPECT_EQ(box.NotTaken(), std::vector<std::string>{"m1"});
  box.Remove("m1");
  EXPECT_TRUE(box.WantsProcess());
  box.OnProcessStart();
  box.OnStop(false);
  EXPECT_EQ(box.NotTaken(), std::vector<std::string>()) << "a person's stop holds it";
}

TEST_F(MailboxTest, AClaimedMessageThatCouldNotBeginIsTheNextAgain) {
  Put("m1");
  Put("m2");
  (void)box.Claim(9);
  Put("m3");
  box.GiveBack();
  EXPECT_EQ(Stages(), "m1:waiting m2:waiting m3:waiting");
  EXPECT_EQ(box.Find("m1")->message.taken_seq, 0U);
  EXPECT_EQ(box.claimed(), nullptr);
}

TEST_F(MailboxTest, AClaimedMessageThatIsGivenBackIsTheNextOfItsPrecedence) {
  Put("m1");
  (void)box.Claim(9);
  Put("s1", Mode::kSteer);
  box.GiveBack();
  EXPECT_EQ(Stages(), "s1:waiting m1:waiting");
  (void)box.Claim(9);
  Put("s2", Mode::kSteer);
  box.GiveBack();
  EXPECT_EQ(Stages(), "s1:waiting s2:waiting m1:waiting");
}

TEST_F(MailboxTest, ASteeringMessageEndsOrWaitsBeforeTheFollowUps) {
  Put("m1");
  ASSERT_TRUE(box.Accept(Make("s1", Mode::kSteer)).ok());
  ASSERT_TRUE(box.Accept(Make("s2", Mode::kSteer)).ok());
  box.Steer("s1");
  box.Steer("s2");
  EXPECT_EQ(Stages(), "s1:steering s2:steering m1:waiting");
  EXPECT_EQ(box.depth(), 3U);
  EXPECT_EQ(box.Claim(1)->id, "m1") << "it belongs to the present turn, and begins none";
  box.GiveBack();
  box.Queue("s1");   // refused
  box.Remove("s2");  // taken
  EXPECT_EQ(Stages(), "s1:waiting m1:waiting");
}

TEST_F(MailboxTest, AScheduledMessageArrivesAgainWhenItIsDue) {
  ASSERT_TRUE(box.Accept(Make("m1", Mode::kFollowUp, 500)).ok());
  EXPECT_FALSE(box.ArrivingNow()) << "it is not due";
  box.Schedule("m1");
  EXPECT_EQ(Stages(), "m1:scheduled");
  EXPECT_EQ(box.depth(), 0U);
  EXPECT_EQ(box.next_due_ms(), 500);
  EXPECT_FALSE(box.HasNext());
  EXPECT_EQ(box.TakeDue(499), nullptr);

  const Message* due = box.TakeDue(500);
  ASSERT_NE(due, nullptr);
  EXPECT_EQ(due->id, "m1");
  EXPECT_EQ(due->run_at_ms, 0);
  EXPECT_EQ(due->queued_ms, 500) << "since when it waits";
  EXPECT_TRUE(box.Has("m1", Stage::kArriving));
  EXPECT_TRUE(box.ArrivingNow());
  EXPECT_EQ(box.next_due_ms(), 0);
  EXPECT_EQ(box.TakeDue(10'000), nullptr);
  box.Queue("m1");
  EXPECT_EQ(box.Claim(1)->id, "m1");
}

TEST_F(MailboxTest, ScheduledMessagesAreInTheOrderOfTheirTimes) {
  for (auto [id, at] : {std::pair{"m3", 300}, {"m1", 100}, {"m4", 300}, {"m2", 200}}) {
    ASSERT_TRUE(box.Accept(Make(id, Mode::kFollowUp, at)).ok());
    box.Schedule(id);
  }
  EXPECT_EQ(Stages(), "m1:scheduled m2:scheduled m3:scheduled m4:scheduled");
  std::string due;
  while (const Message* message = box.TakeDue(300)) due += message->id + " ";
  EXPECT_EQ(due, "m1 m2 m3 m4 ");
}

TEST_F(MailboxTest, AMessageLeavesFromAnyStage) {
  FillEveryStage();
  EXPECT_EQ(Stages(), "c:claimed s:steering w:waiting l:scheduled");
  EXPECT_TRUE(box.Has("a", Stage::kArriving));
  for (const char* id : {"w", "a", "c", "l", "s"}) {
    EXPECT_TRUE(box.Remove(id)) << id;
    EXPECT_EQ(box.Find(id), nullptr) << id;
  }
  EXPECT_EQ(Stages(), "");
  EXPECT_EQ(box.bytes(), 0U);
}

TEST_F(MailboxTest, CountsAndBytesAreThoseOfItsMessages) {
  FillEveryStage();  // each has a text of two bytes
  for (Stage stage :
       {Stage::kClaimed, Stage::kSteering, Stage::kWaiting, Stage::kScheduled, Stage::kArriving}) {
    EXPECT_EQ(box.count(stage), 1U) << Mailbox::kStages[static_cast<size_t>(stage)];
  }
  EXPECT_EQ(box.depth(), 3U);
  EXPECT_EQ(box.bytes(), 10U);
  box.Queue("s");
  EXPECT_EQ(box.count(Stage::kSteering), 0U);
  EXPECT_EQ(box.count(Stage::kWaiting), 2U);
  (void)box.TakeDue(1'000'000);
  EXPECT_EQ(box.count(Stage::kScheduled), 0U);
  EXPECT_EQ(box.count(Stage::kArriving), 2U);
  EXPECT_EQ(box.bytes(), 10U);
  box.Remove("w");
  EXPECT_EQ(box.bytes(), 8U);
}

// -------------------------------------------------------------------------------------------------- order

TEST_F(MailboxTest, InterruptingAndSteeringMessagesGoBeforeTheOthersInTheirOwnOrder) {
  Put("m1");
  Put("s1", Mode::kSteer);
  Put("m2");
  Put("i1", Mode::kInterrupt);
  Put("s2", Mode::kSteer);
  EXPECT_EQ(Waiting(), "s1 i1 s2 m1 m2");
}

TEST_F(MailboxTest, AnInterruptingMessageBeginsBeforeAllOthers) {
  Put("s1", Mode::kSteer);
  Put("i1", Mode::kInterrupt);
  Put("m1");
  Put("i2", Mode::kInterrupt);
  EXPECT_EQ(ClaimAll(), "i1 i2 s1 m1");
}

TEST_F(MailboxTest, AnInterruptingMessageOvertakesAClaimedOneOfAnotherMode) {
  Put("m1");
  EXPECT_FALSE(box.Overtaken()) << "none is claimed";
  (void)box.Claim(1);
  EXPECT_FALSE(box.Overtaken());
  Put("m2");
  Put("s1", Mode::kSteer);
  EXPECT_FALSE(box.Overtaken());
  Put("i1", Mode::kInterrupt);
  EXPECT_TRUE(box.Overtaken());
  box.GiveBack();
  EXPECT_EQ(box.Claim(2)->id, "i1");
  Put("i2", Mode::kInterrupt);
  EXPECT_FALSE(box.Overtaken()) << "the first of two that interrupt goes first";
}

TEST_F(MailboxTest, OneThatIsQueuedAgainGoesBehindItsEquals) {
  Put("m1");
  Put("m2");
  box.Queue("m1");
  EXPECT_EQ(Waiting(), "m2 m1");
}

// ------------------------------------------------------------------------------------------------- limits

TEST_F(MailboxTest, SoManyWait) {
  for (size_t i = 0; i < Mailbox::kMaxWaiting; ++i) {
    ASSERT_TRUE(box.Accept(Make("m" + std::to_string(i))).ok());
    if (i % 2 == 0) box.Queue("m" + std::to_string(i));  // those on their way to disk count
  }
  auto refused = box.Accept(Make("x"));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, "queue_full");
  EXPECT_EQ(refused.error().message, "100 messages already wait");
  EXPECT_EQ(box.Find("x"), nullptr);
  EXPECT_TRUE(box.Accept(Make("later", Mode::kFollowUp, 1)).ok()) << "scheduled ones do not wait";
  (void)box.Claim(1);
  EXPECT_TRUE(box.Accept(Make("y")).ok()) << "one that is claimed does not";
}

TEST_F(MailboxTest, SoManyAreScheduled) {
  for (size_t i = 0; i < Mailbox::kMaxScheduled; ++i) {
    ASSERT_TRUE(box.Accept(Make("m" + std::to_string(i), Mode::kFollowUp, 100)).ok());
    if (i % 2 == 0) box.Schedule("m" + std::to_string(i));
  }
  auto refused = box.Accept(Make("x", Mode::kFollowUp, 100));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, "queue_full");
  EXPECT_EQ(refused.error().message, "10000 messages are already scheduled");
  EXPECT_TRUE(box.Accept(Make("now")).ok());
}

TEST_F(MailboxTest, SoManyWaitToSteerBy) {
  const char* const ids[] = {"s0", "s1", "s2", "s3", "s4"};
  static_assert(std::size(ids) == Mailbox::kMaxSteers);
  for (const char* id : ids) ASSERT_TRUE(box.Accept(Make(id, Mode::kSteer)).ok());
  box.Steer("s0");
  box.Queue("s1");  // the others are on their way to disk
  auto refused = box.Accept(Make("x", Mode::kSteer));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, "queue_full");
  EXPECT_EQ(refused.error().message, "5 steering messages already wait");
  EXPECT_TRUE(box.Accept(Make("m")).ok());
  box.Remove("s0");
  EXPECT_TRUE(box.Accept(Make("y", Mode::kSteer)).ok());
}

TEST_F(MailboxTest, TheirTextsAreInMemoryAndLimited) {
  Message half = Make("m1", Mode::kFollowUp, 100);
  half.text.assign(Mailbox::kMaxBytes / 2, 'x');
  ASSERT_TRUE(box.Accept(half).ok());
  box.Schedule("m1");  // it counts, whatever its stage
  half.id = "m2";
  half.run_at_ms = 0;
  ASSERT_TRUE(box.Accept(half).ok()) << "exactly as much as may be";
  auto refused = box.Accept(Make("x"));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, "queue_full");
  EXPECT_EQ(refused.error().message, "with this message, more than 64MiB would wait");
  box.Remove("m1");
  EXPECT_TRUE(box.Accept(Make("x")).ok());
}

TEST_F(MailboxTest, ThoseOfAnEarlierDaemonComeBackWhateverTheLimits) {
  const size_t many = Mailbox::kMaxWaiting + 50;
  for (size_t i = 0; i < many; ++i) box.Restore(Make("m" + std::to_string(i)));
  for (size_t i = 0; i <= Mailbox::kMaxSteers; ++i) box.Restore(Make("s" + std::to_string(i), Mode::kSteer));
  box.Restore(Make("l2", Mode::kFollowUp, 2));
  box.Restore(Make("l1", Mode::kFollowUp, 1));
  EXPECT_EQ(box.count(Stage::kWaiting), many + Mailbox::kMaxSteers + 1);
  EXPECT_EQ(box.count(Stage::kScheduled), 2U);
  EXPECT_EQ(box.count(Stage::kArriving), 0U);
  EXPECT_EQ(box.next_due_ms(), 1);
  EXPECT_EQ(box.Claim(1)->id, "s0");
  EXPECT_FALSE(box.Accept(Make("x")).ok()) << "new ones wait until there is room";
}

// A daemon that starts takes them one by one from the store, in the order of their arrival.
TEST_F(MailboxTest, ThousandsThatAreScheduledInNoOrderCostLittle) {
  std::vector<int64_t> times(Mailbox::kMaxScheduled);
  std::mt19937 random(7);
  std::generate(times.begin(), times.end(), [&random] { return 1 + random() % 1'000'000; });
  for (size_t i = 0; i < Mailbox::kMaxWaiting; ++i) box.Restore(Make("w" + std::to_string(i)));
  const auto began = std::chrono::steady_clock::now();
  for (size_t i = 0; i < times.size(); ++i) {
    box.Restore(Make("m" + std::to_string(i), Mode::kFollowUp, times[i]));
  }
  std::vector<int64_t> due;
  while (const Message* message = box.TakeDue(1'000'000)) due.push_back(message->queued_ms);
  const auto took = std::chrono::steady_clock::now() - began;
  EXPECT_LT(took, std::chrono::seconds(5)) << "a second where nothing else runs";
  std::sort(times.begin(), times.end());
  EXPECT_EQ(due, times);
}

// ----------------------------------------------------------------------------------------------- handover

TEST_F(MailboxTest, AHandoverKeepsAllThatIsOnDisk) {
  ASSERT_TRUE(box.Accept(Make("s", Mode::kSteer)).ok());
  box.Steer("s");
  box.OnInterrupt();
  Put("m1");
  Put("m2");
  box.Restore(Make("l", Mode::kFollowUp, 100));
  const std::string text = SaveState(box);
  auto json = JsonDocument::Parse(text);
  ASSERT_TRUE(json.ok()) << text;

  Mailbox next(true);
  ASSERT_TRUE(RestoreState(json->root(), next).ok());
  EXPECT_EQ(SaveState(next), text);
  EXPECT_TRUE(next.paused());
  EXPECT_EQ(next.count(Stage::kSteering), 1U);
  EXPECT_EQ(next.count(Stage::kWaiting), 2U);
  EXPECT_EQ(next.count(Stage::kScheduled), 0U) << "the store has it";
  EXPECT_EQ(next.depth(), 3U);
  EXPECT_EQ(next.Claim(1)->id, "m1") << "it arrived in the pause, and goes through it";
}

TEST_F(MailboxTest, TheRecordKeepsThePauseAlone) {
  Put("m1");
  box.OnInterrupt();
  StateWriter writer;
  Mailbox::Record(box, writer);
  const std::string text = writer.Take();
  EXPECT_EQ(text, R"({"paused":true,"pauses":1})");
  auto json = JsonDocument::Parse(text);
  Mailbox next(true);
  StateReader reader(json->root());
  Mailbox::Record(next, reader);
  EXPECT_TRUE(next.paused());
  next.Restore(Make("m1"));
  EXPECT_FALSE(next.HasNext()) << "it was there before the pause";
}

}  // namespace
}  // namespace reeve
