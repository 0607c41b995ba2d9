#include "orchestrator/store/data_folder.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "tests/support/loop_fixture.h"

namespace reeve {
namespace {

using testing::HasSubstr;

TEST(DataFolder, IsMadePrivateAndLockedOnce) {
  const TempDir temp;
  const std::string path = temp.path() + "/some/data";
  auto first = LockDataDir(path);
  ASSERT_TRUE(first) << first.error().message;
  struct stat status {};
  ASSERT_EQ(stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0700U);
  // There is no file whose removal would let a second daemon in.
  EXPECT_TRUE(std::filesystem::is_empty(path));
  auto second = LockDataDir(path);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, "busy");
  EXPECT_THAT(second.error().message, HasSubstr("another reeve uses the data folder " + path));
  first->Close();
  EXPECT_TRUE(LockDataDir(path));
}

bool HasOpen(pid_t pid, const std::string& path) {
  std::error_code ignored;
  for (const auto& fd :
       std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fd", ignored)) {
    if (std::filesystem::read_symlink(fd, ignored) == path) return true;
  }
  return false;
}

// A child that has not reached execve yet when its daemon is killed.
TEST(DataFolder, WaitsForALockThatIsAboutToGo) {
  const TempDir temp;
  auto lock = LockDataDir(temp.path());
  ASSERT_TRUE(lock) << lock.error().message;
  const pid_t child = fork();
  if (child == 0) {  // ends when its parent has the folder open, to lock it
    while (!HasOpen(getppid(), temp.path())) usleep(1'000);
    _exit(0);
  }
  lock->Close();
  auto next = LockDataDir(temp.path());
  EXPECT_TRUE(next) << next.error().message;
  EXPECT_EQ(waitpid(child, nullptr, 0), child);
}

TEST(DataFolder, RefusesALink) {
  const TempDir temp;
  std::filesystem::create_directory(temp.path() + "/real");
  std::filesystem::create_directory_symlink("real", temp.path() + "/link");
  for (const char* name : {"/link", "/link/"}) {
    auto lock = LockDataDir(temp.path() + name);
    ASSERT_FALSE(lock) << name;
    EXPECT_EQ(lock.error().code, "unsafe_folder");
    EXPECT_THAT(lock.error().message, HasSubstr("/link is a link: name the folder that it leads to"));
  }
}

TEST(DataFolder, RefusesTheFolderOfAnotherUser) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can give a folder away";
  const TempDir temp;
  const std::string path = temp.path() + "/theirs";
  std::filesystem::create_directory(path);
  ASSERT_EQ(chown(path.c_str(), 12345, 12345), 0);
  struct stat before {
  }, after{};
  ASSERT_EQ(stat(path.c_str(), &before), 0);
  auto lock = LockDataDir(path);
  ASSERT_FALSE(lock);
  EXPECT_EQ(lock.error().code, "unsafe_folder");
  EXPECT_THAT(lock.error().message, HasSubstr("/theirs belongs to user (12345), but reeve runs as root (0)"));
  ASSERT_EQ(stat(path.c_str(), &after), 0);
  EXPECT_EQ(after.st_mode, before.st_mode);
}

TEST(DataFolder, NamesWhatIsInItsPlace) {
  const TempDir temp;
  const std::string path = temp.path() + "/file";
  Fd file(creat(path.c_str(), 0600));
  auto lock = LockDataDir(path);
  ASSERT_FALSE(lock);
  EXPECT_THAT(lock.error().message, HasSubstr(path + ": Not a directory"));
}

TEST(ReadConfigFile, ReadsAllOrRefuses) {
  TempDir folder;
  const std::string path = folder.path() + "/file";
  WriteFile(path, std::string(1'000, 'x'));
  EXPECT_EQ(*ReadConfigFile(path), std::string(1'000, 'x'));
  EXPECT_EQ(*ReadConfigFile(path, 1'000), std::string(1'000, 'x'));
  EXPECT_EQ(ReadConfigFile(path, 999).error().message, "read " + path + ": larger than 999");
  EXPECT_EQ(ReadConfigFile(folder.path()).error().message, "read " + folder.path() + ": Is a directory");
  EXPECT_EQ(ReadConfigFile(path + "x").error().message, "read " + path + "x: No such file or directory");
}

// A pipe gives its bytes piece by piece.
TEST(ReadConfigFile, ReadsAPipeToItsEnd) {
  TempDir folder;
  const std::string path = folder.path() + "/pipe";
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  std::thread writer([&path] {
    std::ofstream pipe(path);
    for (int i = 0; i < 20; ++i) pipe << std::string(10'000, 'x') << std::flush;
  });
  const auto text = ReadConfigFile(path, kMaxSpecBytes);
  writer.join();
  ASSERT_TRUE(text.ok());
  EXPECT_EQ(text->size(), 200'000U);
}

TEST(ReadConfigFile, SkipsAByteOrderMark) {
  TempDir folder;
  const std::string path = folder.path() + "/file";
  WriteFile(path,
            "\xEF\xBB\xBF"
            "A=1\n");
  EXPECT_EQ(*ReadConfigFile(path), "A=1\n");
  WriteFile(path, "\xEF\xBB");
  EXPECT_EQ(*ReadConfigFile(path), "\xEF\xBB");
}

TEST(HomeFolder, IsAbsolute) {
  const char* home = std::getenv("HOME");
  if (home && *home == '/') {
    EXPECT_EQ(HomeFolder(), home);
  } else {
    EXPECT_EQ(HomeFolder().front(), '/');
  }
}

}  // namespace
}  // namespace reeve
