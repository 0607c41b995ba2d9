#include "orchestrator/workspace/clone_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/loop_fixture.h"

namespace reeve {
namespace {

namespace fs = std::filesystem;

TEST(CloneCheck, RefusesWhatLeadsElsewhere) {
  TempDir dir;
  const std::string clone = dir.path() + "/clone";
  const std::string git = clone + "/.git";
  const std::string elsewhere = dir.path() + "/elsewhere";
  auto fresh = [&] {
    fs::remove_all(clone);
    for (const char* folder : {"/objects/ab", "/objects/info", "/refs/heads/reeve/a1", "/logs/refs/heads"})
      fs::create_directories(git + folder);
    WriteFile(git + "/HEAD", "ref: refs/heads/main\n");
    WriteFile(git + "/objects/ab/cd", "an object");
    fs::create_hard_link(git + "/objects/ab/cd", git + "/objects/ab/ef");
    WriteFile(git + "/logs/refs/heads/main", "a line\n");
  };
  fs::create_directories(elsewhere);
  WriteFile(elsewhere + "/file", "theirs");
  fresh();
  const Status good = CheckConfined(clone);
  EXPECT_TRUE(good.ok()) << good.error().message;
  for (const char* folder :
       {"", "/objects", "/objects/ab", "/refs", "/refs/heads/reeve", "/logs", "/logs/refs"}) {
    fresh();
    fs::remove_all(git + folder);
    fs::create_directory_symlink(elsewhere, git + folder);
    const Status refused = CheckConfined(clone);
    ASSERT_FALSE(refused.ok()) << folder;
    EXPECT_EQ(refused.error().code, "workspace_failed");
    EXPECT_THAT(refused.error().message, testing::HasSubstr(git + folder + " leads out of the clone"));
  }
  fresh();
  fs::remove_all(git);
  WriteFile(git, "gitdir: " + elsewhere + "\n");
  EXPECT_FALSE(CheckConfined(clone).ok());
  fresh();
  WriteFile(git + "/commondir", elsewhere + "\n");
  EXPECT_FALSE(CheckConfined(clone).ok());
  fresh();
  fs::remove(git + "/logs/refs/heads/main");
  fs::create_hard_link(elsewhere + "/file", git + "/logs/refs/heads/main");
  EXPECT_FALSE(CheckConfined(clone).ok());
  fresh();
  fs::create_symlink(elsewhere + "/file", git + "/refs/heads/reeve/a1/wip");
  EXPECT_FALSE(CheckConfined(clone).ok());
}

}  // namespace
}  // namespace reeve
