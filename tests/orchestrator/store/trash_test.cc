#include "orchestrator/store/trash.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <future>
#include <memory>
#include <string>

#include "process/loop.h"
#include "tests/support/loop_fixture.h"

namespace reeve {
namespace {

constexpr size_t kFiles = 2'000;
constexpr int kTrees = 5;  // one more than the pool has threads

class TrashTest : public ::testing::Test {
 protected:
  // Folders that take a while to remove.
  void Fill() {
    for (int i = 0; i < kTrees; ++i) {
      ASSERT_EQ(mkdir(Tree(i).c_str(), 0700), 0);
      for (size_t file = 0; file < kFiles; ++file) WriteFile(Tree(i) + "/" + std::to_string(file), "");
    }
  }
  [[nodiscard]] std::string Tree(int i) const { return dir.path() + "/tree" + std::to_string(i); }
  // Those in the bin that have lost nothing.
  [[nodiscard]] int Whole() const {
    int whole = 0;
    for (const auto& tree : std::filesystem::directory_iterator(bin)) {
      std::error_code gone;  // removed meanwhile
      const std::filesystem::directory_iterator files(tree.path(), gone);
      whole += std::distance(begin(files), end(files)) == static_cast<std::ptrdiff_t>(kFiles) ? 1 : 0;
    }
    return whole;
  }

  TempDir dir;
  const std::string bin = dir.path() + "/trash";
};

TEST_F(TrashTest, RemovesTreesButNotWhatTheirLinksPointTo) {
  const std::string tree = dir.path() + "/tree";
  ASSERT_EQ(mkdir((dir.path() + "/kept").c_str(), 0700), 0);
  WriteFile(dir.path() + "/kept/file", "x");
  for (const char* folder : {"", "/a", "/a/b"}) ASSERT_EQ(mkdir((tree + folder).c_str(), 0700), 0);
  WriteFile(tree + "/a/b/file", "x");
  ASSERT_EQ(symlink("../kept", (tree + "/link").c_str()), 0);
  ASSERT_EQ(chmod((tree + "/a/b").c_str(), 0500), 0);
  Loop loop;
  Trash trash(loop, bin);
  ASSERT_TRUE(trash.Open().ok());
  trash.Take(tree);
  EXPECT_NE(access(tree.c_str(), F_OK), 0) << "its name is free at once";
  trash.Take(tree);  // not there: no matter
  ASSERT_TRUE(RunUntil(loop, [&] { return rmdir(bin.c_str()) == 0; }));
  EXPECT_EQ(ReadFile(dir.path() + "/kept/file"), "x");
}

TEST_F(TrashTest, LeavesThePoolToOthers) {
  Fill();
  Loop loop;
  Trash trash(loop, bin);
  ASSERT_TRUE(trash.Open().ok());
  for (int i = 0; i < kTrees; ++i) trash.Take(Tree(i));
  std::promise<void> worked;
  loop.Offload([&worked] { worked.set_value(); }, [] {});
  worked.get_future().wait();
  EXPECT_GE(Whole(), kTrees - 1) << "the loop has not turned: only the first can have been begun";
  EXPECT_TRUE(RunUntil(loop, [&] { return std::filesystem::is_empty(bin); }));
}

TEST_F(TrashTest, HoldsNobodyUpInTheEndAndTheNextOneGoesOn) {
  Fill();
  {
    Loop loop;
    Trash trash(loop, bin);
    ASSERT_TRUE(trash.Open().ok());
    for (int i = 0; i < kTrees; ++i) trash.Take(Tree(i));
  }
  EXPECT_GE(Whole(), kTrees - 1);
  Loop loop;
  Trash trash(loop, bin);
  ASSERT_TRUE(trash.Open().ok());
  EXPECT_TRUE(RunUntil(loop, [&] { return std::filesystem::is_empty(bin); }));
}

TEST_F(TrashTest, ARemovalStopsWhenItIsToldTo) {
  Fill();
  const std::atomic<bool> stop = true;
  EXPECT_TRUE(RemoveTree(Tree(0), stop).ok());
  EXPECT_TRUE(std::filesystem::exists(Tree(0) + "/0"));
}

}  // namespace
}  // namespace reeve
