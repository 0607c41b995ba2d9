#include "orchestrator/store/data_folder.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <thread>

#include "tests/support/loop_fixture.h"

namespace reeve {
namespace {

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
