#include "process/line_writer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <string>

#include "process/fd.h"
#include "tests/support/loop_fixture.h"

namespace reeve {
namespace {

std::string Note(uint64_t dropped) { return std::to_string(dropped) + " dropped\n"; }

// A pipe or a pair of sockets, and all that can be read from it now.
struct Ends {
  explicit Ends(bool socket = false) {
    int ends[2];
    if (socket) {
      EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    } else {
      EXPECT_EQ(pipe(ends), 0);
    }
    reads = Fd(ends[0]);
    writes = Fd(ends[1]);
    EXPECT_EQ(fcntl(reads.get(), F_SETFL, O_NONBLOCK), 0);
  }
  [[nodiscard]] std::string Read() const {
    std::string all;
    char piece[4096];
    for (ssize_t got = 0; (got = read(reads.get(), piece, sizeof piece)) > 0;)
      all.append(piece, static_cast<size_t>(got));
    return all;
  }
  Fd reads;
  Fd writes;
};

class LineWriterTest : public testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Each, LineWriterTest, testing::Bool(),
                         [](const auto& end) { return end.param ? "Socket" : "Pipe"; });

TEST_P(LineWriterTest, NeverWaitsAndTellsHowManyLinesItDropped) {
  const Ends ends(GetParam());
  LineWriter writer(ends.writes.get(), Note);
  uint64_t lines = 0;
  std::string written;
  while (writer.dropped() < 3) {
    const std::string line = "line " + std::to_string(++lines) + std::string(100, '.') + "\n";
    if (writer.dropped() == 0) written += line;
    writer.Write(line);
  }
  // The descriptor did not become non-blocking for other processes.
  EXPECT_EQ(fcntl(ends.writes.get(), F_GETFL) & O_NONBLOCK, 0);
  std::string read = ends.Read();
  writer.Write("again\n");
  read += ends.Read();
  const size_t note = read.find("3 dropped\nagain\n");
  ASSERT_NE(note, std::string::npos) << read.substr(read.size() - 300);
  // Whole lines came before, from the first without a hole.
  EXPECT_EQ(written.compare(0, note, read, 0, note), 0);
  EXPECT_EQ(read[note - 1], '\n');
  writer.Write("more\n");
  EXPECT_EQ(ends.Read(), "more\n");
  EXPECT_EQ(writer.dropped(), 3U);
}

TEST_P(LineWriterTest, CountsLinesWhoseReaderIsGone) {
  Ends ends(GetParam());
  ends.reads.Close();
  (void)signal(SIGPIPE, SIG_IGN);
  LineWriter writer(ends.writes.get(), Note);
  for (int i = 0; i < 3; ++i) writer.Write("line\n");
  EXPECT_EQ(writer.dropped(), 2U);  // the first one is pending
}

TEST(LineWriter, AppendsToAFile) {
  const TempDir folder;
  const Fd file(open((folder.path() + "/log").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  LineWriter writer(file.get(), Note);
  writer.Write("one\n");
  writer.Write("two\n");
  char bytes[16];
  EXPECT_EQ(pread(file.get(), bytes, sizeof bytes, 0), 8);
  EXPECT_EQ(std::string(bytes, 8), "one\ntwo\n");
  EXPECT_EQ(writer.dropped(), 0U);
}

}  // namespace
}  // namespace reeve
