#include "orchestrator/handover/checkpoint.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "process/loop.h"
#include "tests/support/keeping_parent.h"

namespace reeve {
namespace {

class CheckpointTest : public testing::Test {
 protected:
  Checkpoint Make() {
    auto made = Checkpoint::Make(parent_, ProcessParent::Purpose::kAgentCheckpoint);
    EXPECT_TRUE(made.ok());
    return std::move(*made);
  }
  // As the next daemon finds it.
  Checkpoint Reopen(const Checkpoint& checkpoint) {
    auto opened = Checkpoint::Open(parent_.Take(checkpoint.key()), checkpoint.key());
    EXPECT_TRUE(opened.ok());
    return std::move(*opened);
  }
  std::string Both(const Checkpoint& checkpoint) {
    std::string more;
    return *checkpoint.Read(0) + "|" + *checkpoint.Read(1, &more) + "|" + more;
  }
  off_t Size(const Checkpoint& checkpoint) {
    struct stat info {};
    EXPECT_EQ(fstat(parent_.Take(checkpoint.key()).get(), &info), 0);
    return info.st_size;
  }

  Loop loop_;
  KeepingParent parent_{loop_};
};

TEST_F(CheckpointTest, OnlyTheCommittedStateIsValid) {
  Checkpoint one = Make();
  EXPECT_FALSE(Reopen(one).valid());
  ASSERT_TRUE(one.Write(0, "settled").ok());
  ASSERT_TRUE(one.Write(1, "flowing", "words").ok());
  EXPECT_FALSE(Reopen(one).valid());
  ASSERT_TRUE(one.Commit().ok());
  EXPECT_EQ(Both(Reopen(one)), "settled|flowing|words");
  ASSERT_TRUE(one.Write(1, "next").ok());
  EXPECT_EQ(Both(Reopen(one)), "settled|flowing|words");
  ASSERT_TRUE(one.Commit().ok());
  EXPECT_EQ(Both(Reopen(one)), "settled|next|");
  ASSERT_TRUE(one.Write(0, "again").ok());
  ASSERT_TRUE(one.Write(0, "and again").ok());
  ASSERT_TRUE(one.Commit().ok());
  EXPECT_EQ(Both(Reopen(one)), "and again|next|");
}

TEST_F(CheckpointTest, PartsGrowAndDaemonsFollowWithoutMoreMemory) {
  Checkpoint now = Make();
  for (size_t size : {10U, 100'000U, 20U, 300'000U}) {
    ASSERT_TRUE(now.Write(0, std::string(size, 's')).ok());
    ASSERT_TRUE(now.Write(1, std::string(size, 'f'), "w").ok());
    ASSERT_TRUE(now.Commit().ok());
    EXPECT_EQ(Both(Reopen(now)), std::string(size, 's') + "|" + std::string(size, 'f') + "|w");
  }
  ASSERT_TRUE(now.Write(0, std::string(300'000, 't')).ok());
  ASSERT_TRUE(now.Write(1, std::string(300'000, 'g')).ok());
  ASSERT_TRUE(now.Commit().ok());
  const off_t size = Size(now);
  for (int daemon = 0; daemon < 20; ++daemon) {
    Checkpoint next = Reopen(now);
    ASSERT_TRUE(next.Write(0, std::string(300'000, 'u')).ok());
    ASSERT_TRUE(next.Write(1, std::string(300'000, 'h')).ok());
    ASSERT_TRUE(next.Commit().ok());
    now = std::move(next);
  }
  EXPECT_EQ(Both(Reopen(now)), std::string(300'000, 'u') + "|" + std::string(300'000, 'h') + "|");
  EXPECT_EQ(Size(now), size);
}

TEST_F(CheckpointTest, AnotherFileIsNone) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const Fd other(ends[1]);
  EXPECT_EQ(Checkpoint::Open(Fd(ends[0]), 1).error().code, "handover_state");
}

}  // namespace
}  // namespace reeve
