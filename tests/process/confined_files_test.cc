#include "process/confined_files.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "tests/support/loop_fixture.h"

namespace reeve {
namespace {

class ConfinedFiles : public ::testing::Test {
 protected:
  ConfinedFiles() {
    mkdir(folder.c_str(), 0700);
    WriteFile(outside, "secret");
  }
  std::string Read(const std::string& name) {
    auto content = ReadFileWithin(folder, folder + name, 100);
    return content.ok() ? *content : "! " + content.error().code;
  }

  const TempDir dir;
  const std::string folder = dir.path() + "/in";
  const std::string outside = dir.path() + "/out";
};

TEST_F(ConfinedFiles, AreReadAndWrittenByTheirPaths) {
  ASSERT_TRUE(WriteFileWithin(folder, folder + "/a", "longer than what follows").ok());
  ASSERT_TRUE(WriteFileWithin(folder, folder + "/a", "text").ok());
  EXPECT_EQ(Read("/a"), "text");
  EXPECT_EQ(Read("/b"), "! os_error");
  EXPECT_EQ(WriteFileWithin(folder, folder + "/no/b", "").error().code, "os_error");
}

TEST_F(ConfinedFiles, AreNotReachedByNamesThatLeadOut) {
  for (const char* name : {"/../out", "/./../out", "/../../etc/passwd", "/../in/../out"}) {
    EXPECT_EQ(Read(name), "! outside") << name;
    EXPECT_EQ(WriteFileWithin(folder, folder + name, "x").error().code, "outside") << name;
  }
  for (const std::string& path :
       {outside, std::string("a"), std::string(), folder, folder + "side", std::string("/")}) {
    EXPECT_EQ(ReadFileWithin(folder, path, 100).error().code, "outside") << path;
  }
  EXPECT_EQ(ReadFile(outside), "secret");
}

TEST_F(ConfinedFiles, AreNotReachedByLinksThatLeadOut) {
  ASSERT_EQ(symlink("../out", (folder + "/relative").c_str()), 0);
  ASSERT_EQ(symlink(outside.c_str(), (folder + "/absolute").c_str()), 0);
  ASSERT_EQ(symlink("..", (folder + "/up").c_str()), 0);
  ASSERT_EQ(symlink("/proc/self/root", (folder + "/magic").c_str()), 0);
  for (const std::string& name :
       {std::string("/relative"), std::string("/absolute"), std::string("/up/out"), "/magic" + outside}) {
    EXPECT_EQ(Read(name), "! outside") << name;
    EXPECT_FALSE(WriteFileWithin(folder, folder + name, "x").ok()) << name;
  }
  EXPECT_EQ(ReadFile(outside), "secret");
  WriteFile(folder + "/a", "text");
  ASSERT_EQ(symlink("a", (folder + "/within").c_str()), 0);
  EXPECT_EQ(Read("/within"), "text");
}

TEST_F(ConfinedFiles, MayBeNamedByTheRealPathOfTheFolder) {
  WriteFile(folder + "/a", "text");
  const std::string link = dir.path() + "/link";
  ASSERT_EQ(symlink("in", link.c_str()), 0);
  auto content = ReadFileWithin(link, folder + "/a", 100);
  ASSERT_TRUE(content.ok());
  EXPECT_EQ(*content, "text");
}

TEST_F(ConfinedFiles, AreFilesOfALimitedSize) {
  WriteFile(folder + "/large", std::string(101, 'x'));
  EXPECT_EQ(Read("/large"), "! too_large");
  ASSERT_EQ(mkfifo((folder + "/pipe").c_str(), 0600), 0);  // which nobody writes to
  EXPECT_EQ(Read("/pipe"), "! os_error");
  ASSERT_EQ(mkdir((folder + "/folder").c_str(), 0700), 0);
  EXPECT_EQ(Read("/folder"), "! os_error");
}

TEST_F(ConfinedFiles, AreReplacedWhole) {
  auto own = OpenFolderAt(AT_FDCWD, folder);
  ASSERT_TRUE(own.ok());
  auto below = OpenFolderAt(own->get(), "below");
  ASSERT_TRUE(below.ok());
  ASSERT_TRUE(ReplaceFileAt(below->get(), "a", "one").ok());
  const Fd reader(open((folder + "/below/a").c_str(), O_RDONLY));
  ASSERT_TRUE(ReplaceFileAt(below->get(), "a", "two").ok());
  char old[8];
  EXPECT_EQ(std::string(old, static_cast<size_t>(read(reader.get(), old, sizeof old))), "one");
  EXPECT_EQ(*ReadFileAt(below->get(), "a", 3), "two");
  EXPECT_EQ(ReadFileAt(below->get(), "a", 2).error().code, "too_large");
  struct stat about {};
  ASSERT_EQ(stat((folder + "/below/a").c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777U, 0600U);
  EXPECT_EQ(*ListFilesAt(below->get()), std::vector<std::string>{"a"});  // no draft is left
}

TEST_F(ConfinedFiles, AreNotReplacedThroughLinks) {
  auto own = OpenFolderAt(AT_FDCWD, folder);
  ASSERT_TRUE(own.ok());
  ASSERT_EQ(symlink(outside.c_str(), (folder + "/a").c_str()), 0);
  EXPECT_FALSE(ReadFileAt(own->get(), "a", 100).ok());
  EXPECT_TRUE(ListFilesAt(own->get())->empty());
  ASSERT_TRUE(ReplaceFileAt(own->get(), "a", "mine").ok());
  EXPECT_EQ(ReadFile(outside), "secret");
  EXPECT_EQ(ReadFile(folder + "/a"), "mine");
  ASSERT_EQ(symlink(dir.path().c_str(), (folder + "/up").c_str()), 0);
  EXPECT_FALSE(OpenFolderAt(own->get(), "up").ok());
}

}  // namespace
}  // namespace reeve
