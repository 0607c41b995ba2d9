#include "control/cli/terminal/input_reader.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

#include "process/fd.h"
#include "process/loop.h"

namespace reeve {
namespace {

// Puts a pipe in the place of stdin.
class InputReaderTest : public testing::Test {
 protected:
  InputReaderTest() : stdin_(dup(STDIN_FILENO)) {
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    EXPECT_EQ(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
    close(ends[0]);
    typist_ = Fd(ends[1]);
  }
  ~InputReaderTest() override { dup2(stdin_.get(), STDIN_FILENO); }

  void Type(const std::string& text) {
    EXPECT_EQ(write(typist_.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }

  Loop loop_;
  std::string taken_;
  Fd stdin_;
  Fd typist_;
};

TEST_F(InputReaderTest, GivesWhatIsTypedOncePerRead) {
  InputReader reader(loop_, [this](const std::string& bytes) {
    taken_ += bytes;
    loop_.Stop();
  });
  reader.Read();
  Type("one");
  loop_.Run();
  EXPECT_EQ(taken_, "one");
  Type(" two");
  reader.Read();
  loop_.Run();
  EXPECT_EQ(taken_, "one two");
  typist_.Close();
  taken_ = "not the end";
  InputReader other(loop_, [this](const std::string& bytes) {
    taken_ = bytes;
    loop_.Stop();
  });
  other.Read();
  loop_.Run();
  EXPECT_EQ(taken_, "");
}

TEST_F(InputReaderTest, LeavesWhatIsTypedAfterItHasStopped) {
  {
    InputReader reader(loop_, [this](const std::string& bytes) { taken_ += bytes; });
    reader.Read();
    reader.Stop();
    Type("for the shell");
  }
  char bytes[64];
  const ssize_t got = read(STDIN_FILENO, bytes, sizeof bytes);
  ASSERT_GT(got, 0);
  EXPECT_EQ(std::string(bytes, static_cast<size_t>(got)), "for the shell");
  EXPECT_EQ(taken_, "");
}

}  // namespace
}  // namespace reeve
