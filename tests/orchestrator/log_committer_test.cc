#include "orchestrator/log_committer.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>

#include "orchestrator/agent/agent.h"
#include "orchestrator/log/block_sums.h"
#include "process/log.h"
#include "tests/support/puppets.h"
#include "tests/support/small_disk.h"

namespace reeve {
namespace {

class LogCommitterTest : public testing::Test {
 protected:
  LogCommitterTest() { log::SetLevel(log::Level::kOff); }
  ~LogCommitterTest() override { log::SetLevel(log::Level::kInfo); }

  MockClock clock_;
};

TEST_F(LogCommitterTest, WhatATurnAppendedIsCommittedAtItsEnd) {
  Puppets puppets(clock_);
  Agent& agent = puppets.Make("a1");
  puppets.loop().RunOnce(false);
  const auto before = puppets.logs().stats();
  puppets.Emit("a1", R"({"text":"one"})");
  puppets.Emit("a1", R"({"text":"two"})");
  EXPECT_FALSE(puppets.logs().settled());
  EXPECT_TRUE(agent.open_log()->dirty());
  puppets.loop().RunOnce(false);
  EXPECT_TRUE(puppets.logs().settled());
  EXPECT_EQ(agent.open_log()->committed(), agent.open_log()->head());
  const auto after = puppets.logs().stats();
  EXPECT_EQ(after.commits, before.commits + 1);
  EXPECT_EQ(after.events, before.events + 2);
  EXPECT_GT(after.bytes_on_disk, before.bytes_on_disk);
}

// The loop returns at once, but without the output of that agent.
TEST_F(LogCommitterTest, AfterAShareThatIsUsedUpTheOthersHaveATurn) {
  Puppets puppets(clock_);
  puppets.Make("a1");
  puppets.loop().RunOnce(false);
  puppets.Emit("a1", R"({"text":"few"})");
  puppets.loop().RunOnce(false);
  EXPECT_FALSE(puppets.logs().dirty());
  puppets.Emit("a1", R"({"text":")" + std::string(Journal::kTurnBytes, 'x') + "\"}");
  puppets.loop().RunOnce(false);
  EXPECT_TRUE(puppets.logs().dirty());
  const auto commits = puppets.logs().stats().commits;
  puppets.loop().RunOnce(false);
  EXPECT_FALSE(puppets.logs().dirty());
  EXPECT_EQ(puppets.logs().stats().commits, commits) << "there is nothing to write";
}

TEST_F(LogCommitterTest, AnAgentIsForgottenBeforeItGoes) {
  Puppets puppets(clock_);
  const Agent& agent = puppets.Make("a1");
  puppets.Emit("a1", R"({"text":"never committed"})");
  puppets.logs().Forget(agent);
  puppets.agents().erase("a1");
  EXPECT_TRUE(puppets.logs().settled());
  puppets.loop().RunOnce(false);
  EXPECT_EQ(puppets.logs().stats().events, 0u);
}

TEST_F(LogCommitterTest, BeforeAHandoverEverythingIsBroughtToTheDisk) {
  Puppets puppets(clock_);
  const Agent& agent = puppets.Make("a1");
  ASSERT_TRUE(RunUntil(puppets.loop(), [&agent] { return agent.settled(); }));
  puppets.Emit("a1", R"({"text":"late"})");
  const Status settled = puppets.logs().Settle();
  EXPECT_TRUE(settled.ok());
  EXPECT_TRUE(puppets.logs().settled());
  EXPECT_TRUE(agent.open_log()->TakeForSync().empty());
}

// The daemon that an upgrade replaces ends without destructors.
TEST_F(LogCommitterTest, BeforeAHandoverTheSumsAreInTheirFile) {
  TempDir dir;
  Puppets puppets(clock_, dir.path() + "/events");
  const Agent& agent = puppets.Make("a1");
  ASSERT_TRUE(RunUntil(puppets.loop(), [&agent] { return agent.settled(); }));
  puppets.Emit("a1", R"({"text":"late"})");
  ASSERT_TRUE(puppets.logs().Settle().ok());
  std::string segment;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(dir.path())) {
    if (entry.path().extension() == ".sse") segment = entry.path();
  }
  const BlockSums sums = BlockSums::Load(segment, 1);
  EXPECT_TRUE(sums.complete());
  EXPECT_EQ(sums.last(), agent.open_log()->committed().seq);
}

TEST_F(LogCommitterTest, TheLogOfAnAgentThatEndedGivesItsMemoryBack) {
  Puppets puppets(clock_);
  Agent& agent = puppets.Make("a1");
  agent.Stop(0, [](const Status& stopped) { EXPECT_TRUE(stopped.ok()); });
  ASSERT_TRUE(RunUntil(puppets.loop(), [&agent] { return agent.ended(); }));
  EXPECT_GT(puppets.logs().stats().tail_bytes, 0u);
  clock_.Advance(1'001);
  EXPECT_TRUE(RunUntil(puppets.loop(), [&] { return puppets.logs().stats().tail_bytes == 0; }));
}

class LogCommitterOnAFullDisk : public LogCommitterTest {
 protected:
  void SetUp() override {
    if (!disk_.why_not().empty()) GTEST_SKIP() << "NOT TESTED: only root can mount: " << disk_.why_not();
    puppets_ = std::make_unique<Puppets>(clock_, disk_.path() + "/events");
    puppets_->Make("a1");
    disk_.Fill();
    // The rest of the last page still takes some bytes.
    ASSERT_TRUE(RunUntil(puppets_->loop(), [this] {
      if (puppets_->logs().stats().blocked != 0) return true;
      puppets_->Emit("a1", R"({"text":")" + std::string(4'096, 'x') + "\"}");
      return false;
    }));
  }

  SmallDisk disk_{"size=2m"};
  std::unique_ptr<Puppets> puppets_;
};

TEST_F(LogCommitterOnAFullDisk, AFailedCommitIsTriedAgainUntilThereIsRoom) {
  LogCommitter& logs = puppets_->logs();
  EXPECT_NE(logs.stats().blocked_reason, "");
  EXPECT_FALSE(logs.settled());
  EXPECT_EQ(logs.Settle().error().code, "disk_full");
  disk_.MakeRoom();
  EXPECT_TRUE(RunUntil(puppets_->loop(), [&logs] { return logs.settled(); }));
  EXPECT_EQ(logs.stats().blocked, 0u);
  EXPECT_EQ(logs.stats().blocked_reason, "");
  const EventLog& log = *puppets_->agents().at("a1")->open_log();
  EXPECT_EQ(log.committed(), log.head());
}

TEST_F(LogCommitterOnAFullDisk, ABlockedLogIsForgottenWithItsAgent) {
  puppets_->logs().Forget(*puppets_->agents().at("a1"));
  puppets_->agents().erase("a1");
  EXPECT_EQ(puppets_->logs().stats().blocked, 0u);
  EXPECT_TRUE(puppets_->logs().settled());
}

}  // namespace
}  // namespace reeve
