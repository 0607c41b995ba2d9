#include "orchestrator/agent/journal.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "orchestrator/handover/saved_state.h"
#include "orchestrator/json/json.h"
#include "tests/orchestrator/agent/part_fixture.h"
#include "tests/support/small_disk.h"

namespace reeve {
namespace {

class JournalTest : public PartFixture {
 protected:
  Journal& Open() {
    journal = std::make_unique<Journal>(*context, "a1", [this] { ++dirty; });
    EXPECT_TRUE(journal->Open().ok());
    return *journal;
  }
  // "type run" of each event that is on disk.
  [[nodiscard]] std::string Events() const {
    std::string all;
    auto scanned = journal->log()->Scan(0, [&all](const FrameView& frame, std::string_view) {
      auto json = JsonDocument::Parse(frame.envelope);
      all += std::string(frame.type) + " " + std::string((*json)["run"].StringOr("-")) + "\n";
      return true;
    });
    EXPECT_TRUE(scanned.ok());
    return all;
  }

  std::unique_ptr<Journal> journal;
  int dirty = 0;
};

TEST_F(JournalTest, EventsHaveTheIdOfTheOpenRun) {
  Open();
  journal->Append("agent.ready", "{}");
  EXPECT_EQ(journal->next_seq(), 2U);
  journal->SetRun("r2");
  journal->Append("run.started", "{}");
  journal->Append("agent.output", "{}");
  journal->SetRun("");
  journal->Append("agent.exited", "{}");
  ASSERT_TRUE(journal->CommitNow().ok());
  EXPECT_EQ(Events(), "agent.ready -\nrun.started r2\nagent.output r2\nagent.exited -\n");
}

TEST_F(JournalTest, EventsOfARunThatBeginsWithThemHaveItsId) {
  Open();
  auto at = journal->AppendNow({{"run.started", "{}"}, {"user.message", "{}"}}, "r1");
  ASSERT_TRUE(at.ok());
  EXPECT_EQ(*at, (Cursor{1, 2}));
  journal->SetRun("r9");
  ASSERT_TRUE(journal->AppendNow({{"user.message", "{}"}}).ok());
  EXPECT_EQ(Events(), "run.started r1\nuser.message r1\nuser.message r9\n");
}

TEST_F(JournalTest, BlocksOnceTheShareOfATurnIsUsedUp) {
  Open();
  const std::string line = R"({"text":")" + std::string(1000, 'x') + "\"}";
  uint64_t appended = 0;
  for (; !journal->blocked(); appended += line.size()) journal->Append("agent.output", line);
  EXPECT_LE(appended, Journal::kTurnBytes + line.size());
  ASSERT_TRUE(journal->AppendNow({{"run.started", "{}"}}, "r1").ok());
  EXPECT_TRUE(journal->blocked()) << "a commit within the turn gives no further share";
  journal->EndTurn();
  EXPECT_FALSE(journal->blocked());
}

TEST_F(JournalTest, TheShareIsLargerWithManyViewers) {
  struct Viewer final : EventLog::Reader {
    void OnCommit() override {}
    void OnTrim(uint64_t) override {}
  };
  Open();
  for (const auto& [viewers, share] :
       {std::pair(size_t{50}, Journal::kTurnBytes + 50 * Journal::kViewerBytes),
        std::pair(size_t{1000}, 2 * Journal::kTurnBytes)}) {
    std::vector<Viewer> all(viewers);
    for (Viewer& viewer : all) journal->log()->AddReader(&viewer);
    const uint64_t begin = journal->log()->appended_position();
    while (!journal->blocked()) journal->Append("agent.output", "{}");
    EXPECT_GT(journal->log()->appended_position() - begin, share);
    EXPECT_LT(journal->log()->appended_position() - begin, share + 1000);
    for (Viewer& viewer : all) journal->log()->RemoveReader(&viewer);
    journal->EndTurn();
  }
}

TEST_F(JournalTest, WhatIsAppendedNowIsOnDiskAndTheRestIsToBeCommitted) {
  Open();
  EXPECT_FALSE(journal->dirty());
  journal->Append("agent.output", "{}");
  EXPECT_EQ(dirty, 1);
  EXPECT_TRUE(journal->dirty());
  EXPECT_EQ(journal->cursor().seq, 0U) << "of the last committed event";
  ASSERT_TRUE(journal->AppendNow({{"user.message", "{}"}}).ok());
  EXPECT_FALSE(journal->dirty());
  EXPECT_EQ(journal->cursor(), (Cursor{1, 2})) << "with what came before";
}

TEST_F(JournalTest, ItIsOpenedOnFirstUseAndOnce) {
  journal = std::make_unique<Journal>(*context, "a1", [] {});
  EXPECT_EQ(journal->log(), nullptr);
  EXPECT_FALSE(journal->dirty());
  EXPECT_FALSE(journal->blocked());
  ASSERT_TRUE(journal->Open().ok());
  const EventLog* log = journal->log();
  ASSERT_NE(log, nullptr);
  ASSERT_TRUE(journal->Open().ok());
  EXPECT_EQ(journal->log(), log);
  EXPECT_EQ(log->epoch(), 1U) << "one epoch for both";
}

TEST_F(JournalTest, ALogThatCannotBeOpenedIsAnError) {
  WriteFile(context->events_dir + "/a1", "a file, no folder");
  journal = std::make_unique<Journal>(*context, "a1", [] {});
  EXPECT_FALSE(journal->Open().ok());
  EXPECT_EQ(journal->log(), nullptr);
}

TEST_F(JournalTest, TheRecordOfOneThatIsNotOpenTellsOfAnEarlierDaemon) {
  auto json = JsonDocument::Parse(R"({"cursor":"7-1042","last_event_ms":5})");
  journal = std::make_unique<Journal>(*context, "a1", [] {});
  StateReader reader(json->root());
  Journal::Record(*journal, reader);
  ASSERT_TRUE(reader.status().ok());
  EXPECT_EQ(journal->cursor(), (Cursor{7, 1042}));
  EXPECT_EQ(journal->last_event_ms(), 5);
  StateWriter writer;
  Journal::Record(*journal, writer);
  EXPECT_EQ(writer.Take(), R"({"cursor":"7-1042","last_event_ms":5})");
}

TEST_F(JournalTest, ARecordWithoutEventsIsReadAsItWasWritten) {
  journal = std::make_unique<Journal>(*context, "a1", [] {});
  StateWriter writer;
  Journal::Record(*journal, writer);
  auto json = JsonDocument::Parse(writer.Take());
  StateReader reader(json->root());
  Journal::Record(*journal, reader);
  EXPECT_TRUE(reader.status().ok());
  EXPECT_EQ(journal->cursor(), Cursor{});
}

TEST_F(JournalTest, AHandoverKeepsTheRunAndTheLogItself) {
  Open();
  journal->SetRun("r1");
  journal->Append("run.started", "{}");
  ASSERT_TRUE(journal->CommitNow().ok());
  EXPECT_EQ(journal->last_event_ms(), clock.WallMs());
  auto json = JsonDocument::Parse(SaveState(*journal));
  clock.Advance(60'000);
  Open();
  ASSERT_TRUE(RestoreState(json->root(), *journal).ok());
  EXPECT_EQ(journal->last_event_ms(), clock.WallMs() - 60'000);
  journal->Append("agent.output", "{}");
  ASSERT_TRUE(journal->CommitNow().ok());
  EXPECT_EQ(Events(), "run.started r1\nagent.output r1\n");
}

// -------------------------------------------------------------------------------------------- a full disk

class JournalOnAFullDisk : public JournalTest {
 protected:
  void SetUp() override {
    if (!disk.why_not().empty()) GTEST_SKIP() << "NOT TESTED: only root can mount: " << disk.why_not();
    context->events_dir = disk.path();
    Open();
    journal->Append("agent.ready", "{}");
    ASSERT_TRUE(journal->CommitNow().ok());
    disk.Fill();
  }
  const std::string big = R"({"text":")" + std::string(10'000, 'x') + R"("})";
  SmallDisk disk{"size=2m"};
};

TEST_F(JournalOnAFullDisk, AllOfThemAreOnDiskOrNoneIsInTheLog) {
  clock.Advance(5);
  auto refused = journal->AppendNow({{"run.started", "{}"}, {"user.message", big}}, "r2");
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, "disk_full");
  EXPECT_EQ(journal->next_seq(), 2U) << "their numbers are free";
  EXPECT_FALSE(journal->dirty());
  EXPECT_EQ(journal->last_event_ms(), clock.WallMs() - 5);
  EXPECT_EQ(Events(), "agent.ready -\n");
  disk.MakeRoom();
  ASSERT_TRUE(journal->AppendNow({{"run.started", "{}"}, {"user.message", big}}, "r2").ok());
  EXPECT_EQ(Events(), "agent.ready -\nrun.started r2\nuser.message r2\n");
}

TEST_F(JournalOnAFullDisk, ItBlocksOnceTooMuchWaits) {
  journal->Append("agent.output", big);
  EXPECT_EQ(journal->CommitNow().error().code, "disk_full");
  EXPECT_TRUE(journal->dirty());
  journal->EndTurn();
  EXPECT_FALSE(journal->blocked()) << "some may wait";
  for (size_t size = 0; size < EventLog::kMaxUncommitted; size += big.size()) {
    journal->Append("agent.output", big);
  }
  journal->EndTurn();
  EXPECT_TRUE(journal->blocked());
  EXPECT_EQ(journal->cursor().seq, 1U);
  // The room must be for all of it: 1 MiB and what is there.
  disk.MakeRoom();
  ASSERT_TRUE(journal->CommitNow().ok());
  EXPECT_FALSE(journal->blocked());
  EXPECT_FALSE(journal->dirty());
}

}  // namespace
}  // namespace reeve
