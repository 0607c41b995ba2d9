#include "orchestrator/workspace/saved_work.h"

#include <gtest/gtest.h>

namespace reeve {
namespace {

const std::string kCommit(40, 'a'), kTree(40, 'b'), kHead(40, 'c'), kBefore(40, 'd');

std::string Listed(const std::string& parents, const std::string& message) {
  return kCommit + "\n" + kTree + "\n" + parents + "\n" + message + "\n";
}

TEST(SavedWork, ItsMessageIsReadBack) {
  SavedWork work;
  work.head = kHead;
  work.branch = "topic/x";
  auto read = SavedWork::Parse(Listed(kHead + " " + kBefore, work.Message("a1")));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->commit, kCommit);
  EXPECT_EQ(read->tree, kTree);
  EXPECT_EQ(read->head, kHead);
  EXPECT_EQ(read->branch, "topic/x");
  EXPECT_FALSE(read->detached);
}

TEST(SavedWork, AHeadWithoutACommitOrABranchIsTold) {
  SavedWork work;
  work.branch = "main";
  auto unborn = SavedWork::Parse(Listed(kBefore, work.Message("a1")));
  ASSERT_TRUE(unborn);
  EXPECT_EQ(unborn->head, "");
  EXPECT_EQ(unborn->branch, "main");
  work.head = kHead;
  work.branch.clear();
  work.detached = true;
  auto detached = SavedWork::Parse(Listed(kHead, work.Message("a1")));
  ASSERT_TRUE(detached);
  EXPECT_TRUE(detached->detached);
  EXPECT_EQ(detached->branch, "");
}

TEST(SavedWork, ACommitOfSomebodyElseIsReadToo) {
  auto read = SavedWork::Parse(Listed(kHead, "a subject"));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->head, kHead);
  EXPECT_EQ(read->branch, "");
  // Only a parent can be the HEAD, and only a ref's name a branch.
  auto forged = SavedWork::Parse(Listed(kHead, "x\n\nHead: " + kBefore + "\nBranch: --upload-pack=x"));
  ASSERT_TRUE(forged);
  EXPECT_EQ(forged->head, kHead);
  EXPECT_EQ(forged->branch, "");
  EXPECT_FALSE(SavedWork::Parse(""));
  EXPECT_FALSE(SavedWork::Parse("garbage\n"));
}

}  // namespace
}  // namespace reeve
