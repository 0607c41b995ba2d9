#include "orchestrator/store/private_folder.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "orchestrator/store/trash.h"
#include "process/confined_files.h"
#include "tests/support/loop_fixture.h"

namespace reeve {
namespace {

class PrivateFolderTest : public ::testing::Test {
 protected:
  Status Write(PrivateFolder& folder, std::map<std::string, std::string> files,
               const std::string& token = "") {
    Status status;
    bool done = false;
    folder.Write(std::move(files), token, [&](const Status& written) {
      status = written;
      done = true;
    });
    EXPECT_TRUE(RunUntil(loop, [&] { return done; }));
    return status;
  }
  [[nodiscard]] unsigned Mode(const std::string& path) const {
    struct stat about {};
    EXPECT_EQ(lstat((dir.path() + path).c_str(), &about), 0) << path;
    return about.st_mode & 0777U;
  }

  TempDir dir;
  Loop loop;
};

TEST_F(PrivateFolderTest, IsForItsOwnerAlone) {
  PrivateFolder folder(loop, dir.path(), "a1");
  ASSERT_TRUE(Write(folder, {{"key", "secret"}}, PrivateFolder::NewToken()).ok());
  EXPECT_EQ(Mode("/a1"), 0700U);
  EXPECT_EQ(Mode("/a1/files"), 0700U);
  EXPECT_EQ(Mode("/a1/files/key"), 0600U);
  EXPECT_EQ(Mode("/a1/token"), 0600U);
  EXPECT_EQ(ReadFile(folder.files_path() + "/key"), "secret");
  EXPECT_EQ(ReadFile(folder.token_path()), folder.Token() + "\n");
}

TEST_F(PrivateFolderTest, IsTheRecordOfItsFiles) {
  std::string token;
  {
    PrivateFolder folder(loop, dir.path(), "a1");
    ASSERT_TRUE(Write(folder, {{"a", "first"}, {"b", ""}, {"c", std::string(100, 'x')}}).ok());
    ASSERT_TRUE(Write(folder, {{"a", "second"}}, token = PrivateFolder::NewToken()).ok());
    bool removed = false;
    folder.Remove("b", [&](const Status& status) { removed = status.ok(); });
    ASSERT_TRUE(RunUntil(loop, [&] { return removed; }));
  }
  // Half-written files of a killed daemon, and files that the agent put there.
  WriteFile(dir.path() + "/a1/files/.new-0011", "half a secr");
  ASSERT_EQ(symlink("/etc/passwd", (dir.path() + "/a1/files/link").c_str()), 0);
  PrivateFolder folder(loop, dir.path(), "a1");
  folder.Sweep();
  folder.Load();
  EXPECT_EQ(folder.names(), (std::set<std::string>{"a", "c"}));
  EXPECT_EQ(folder.Contents(50), std::vector<std::string>{"second"});
  EXPECT_EQ(folder.Token(), token);
  EXPECT_NE(access((dir.path() + "/a1/files/.new-0011").c_str(), F_OK), 0);
  std::string code;
  folder.Remove("b", [&](const Status& status) { code = status.error().code; });
  EXPECT_EQ(code, "file_not_found");
}

TEST_F(PrivateFolderTest, ATokenThatTheAgentSpoiledIsNone) {
  PrivateFolder folder(loop, dir.path(), "a1");
  ASSERT_TRUE(Write(folder, {}, PrivateFolder::NewToken()).ok());
  for (const std::string& text : {std::string("short"), std::string(64, 'G'), std::string(70, 'a')}) {
    WriteFile(folder.token_path(), text);
    EXPECT_EQ(folder.Token(), "") << text;
  }
}

TEST_F(PrivateFolderTest, HoldsSoManyFiles) {
  PrivateFolder folder(loop, dir.path(), "a1");
  std::map<std::string, std::string> files;
  for (size_t i = 0; i < PrivateFolder::kMaxFiles; ++i) files["f" + std::to_string(i)] = "x";
  ASSERT_TRUE(Write(folder, files).ok());
  EXPECT_EQ(Write(folder, {{"more", "x"}}).error().code, "invalid_request");
  EXPECT_TRUE(Write(folder, {{"f0", "y"}}).ok());
}

TEST_F(PrivateFolderTest, AFolderThatIsALinkIsRefused) {
  ASSERT_EQ(mkdir((dir.path() + "/elsewhere").c_str(), 0700), 0);
  ASSERT_EQ(mkdir((dir.path() + "/a1").c_str(), 0700), 0);
  ASSERT_EQ(symlink("../elsewhere", (dir.path() + "/a1/files").c_str()), 0);
  PrivateFolder folder(loop, dir.path(), "a1");
  EXPECT_EQ(Write(folder, {{"key", "secret"}}).error().code, "os_error");
  EXPECT_NE(access((dir.path() + "/elsewhere/key").c_str(), F_OK), 0);
}

TEST_F(PrivateFolderTest, WhatIsUnderWayForOneThatGoesDoesNotReachItsSuccessor) {
  Trash trash(loop, dir.path() + "/trash");
  ASSERT_TRUE(trash.Open().ok());
  PrivateFolder old(loop, dir.path(), "a1");
  int done = 0;
  for (int i = 0; i < 20; ++i)
    old.Write({{"f" + std::to_string(i), "x"}}, "", [&](const Status&) { ++done; });
  trash.Take(dir.path() + "/a1");
  PrivateFolder next(loop, dir.path(), "a1");
  ASSERT_TRUE(next.Make().ok());
  ASSERT_TRUE(RunUntil(loop, [&] { return done == 20; }));
  next.Load();
  EXPECT_TRUE(next.names().empty());
}

TEST_F(PrivateFolderTest, NamesAreNoPaths) {
  for (const char* good : {"a", "key.pem", "_x", "-x", "A.B-c_9"}) EXPECT_TRUE(IsFileName(good)) << good;
  for (const std::string& bad : {std::string(), std::string("."), std::string(".."), std::string(".a"),
                                 std::string("a/b"), std::string("a b"), std::string("a\n"),
                                 std::string("a\0", 2), std::string(65, 'a'), std::string("ä")})
    EXPECT_FALSE(IsFileName(bad)) << bad;
}

}  // namespace
}  // namespace reeve
