#include "process/lines.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace reeve {
namespace {

// Pieces as text: "[a" begins with a, "a]" ends a line, "a" is between them, "[a]" is a line.
struct Cutter {
  explicit Cutter(size_t max_bytes) : lines(max_bytes) {}
  void Feed(std::string_view more) {
    lines.Feed(more, [this](const Lines::Piece& piece) { Take(piece); });
  }
  void Flush(bool all) {
    lines.Flush(all, [this](const Lines::Piece& piece) { Take(piece); });
  }
  void Take(const Lines::Piece& piece) {
    got.push_back((piece.begins ? "[" : "") + std::string(piece.text) + (piece.ends ? "]" : ""));
    bytes += piece.text;
    if (piece.ends) bytes += '\n';
  }
  Lines lines;
  std::vector<std::string> got;
  std::string bytes;
};

using Got = std::vector<std::string>;

Cutter Cut(const std::string& bytes, size_t step, size_t max_bytes) {
  Cutter cutter(max_bytes);
  for (size_t at = 0; at < bytes.size(); at += step) cutter.Feed(std::string_view(bytes).substr(at, step));
  cutter.Flush(true);
  return cutter;
}

TEST(Lines, SameLinesHoweverTheStreamIsCut) {
  const std::string bytes = "one\r\n\n\xc3\xa4 two\nthree\r\rx\r\nlast";
  const Got expected = {"[one\r]", "[]", "[\xc3\xa4 two]", "[three\r\rx\r]", "[last"};
  for (size_t step = 1; step <= bytes.size(); ++step) {
    const Cutter cutter = Cut(bytes, step, 100);
    EXPECT_EQ(cutter.got, expected) << step;
    EXPECT_EQ(cutter.bytes, bytes) << step;
  }
}

TEST(Lines, ALineTooLongComesInPartsAndLosesNothing) {
  const std::string bytes = "abcdefghij\nok\nabcdefgh";
  const Got expected = {"[abcd", "efgh", "ij]", "[ok]", "[abcd", "efgh"};
  for (size_t step = 1; step <= bytes.size(); ++step) {
    const Cutter cutter = Cut(bytes, step, 4);
    EXPECT_EQ(cutter.got, expected) << step;
    EXPECT_EQ(cutter.bytes, bytes) << step;
  }
}

TEST(Lines, ALineOfExactlyTheLimitIsWhole) {
  const Got expected = {"[abcd]", "[efgh]"};
  for (size_t step = 1; step <= 10; ++step) EXPECT_EQ(Cut("abcd\nefgh\n", step, 4).got, expected) << step;
}

TEST(Lines, APartLeavesAnUnfinishedCharacterToTheNext) {
  EXPECT_EQ(Cut("abc\xc3\xa4"
                "d\n",
                1, 4)
                .got,
            (Got{"[abc",
                 "\xc3\xa4"
                 "d]"}));
  Cutter cutter(100);
  cutter.Feed("a\xe2\x82");
  cutter.Flush(false);
  EXPECT_EQ(cutter.got, Got{"[a"});
  cutter.Flush(false);
  EXPECT_EQ(cutter.got, Got{"[a"}) << "nothing but the unfinished character is left";
  cutter.Feed("\xac\n");
  EXPECT_EQ(cutter.got, (Got{"[a", "\xe2\x82\xac]"}));
  cutter.Feed("\xe9");
  cutter.Flush(true);
  EXPECT_EQ(cutter.got.back(), "[\xe9") << "it may be no character at all";
}

// The pieces joined are the bytes, for any bytes and any limit.
TEST(Lines, BytesThatAreNoTextAreKept) {
  std::string bytes;
  for (int i = 0; i < 2'000; ++i) bytes += static_cast<char>((i * 7919 + i / 13) % 256);
  for (size_t max = 1; max <= 9; ++max) {
    for (const size_t step : std::initializer_list<size_t>{1, 2, 3, 5, 64, 2000})
      EXPECT_EQ(Cut(bytes, step, max).bytes, bytes) << max;
  }
}

TEST(Lines, FindsTheUnfinishedCharacter) {
  EXPECT_EQ(Lines::UnfinishedCharacter(""), 0U);
  EXPECT_EQ(Lines::UnfinishedCharacter("a"), 0U);
  EXPECT_EQ(Lines::UnfinishedCharacter("\xc3\xa4"), 0U);
  EXPECT_EQ(Lines::UnfinishedCharacter("a\xc3"), 1U);
  EXPECT_EQ(Lines::UnfinishedCharacter("a\xf0\x9f\x98"), 3U);
  EXPECT_EQ(Lines::UnfinishedCharacter("\xf0\x9f\x98\x80"), 0U);
  EXPECT_EQ(Lines::UnfinishedCharacter("\x80\x80\x80\x80"), 0U);
  EXPECT_EQ(Lines::UnfinishedCharacter("\xff"), 0U);
}

}  // namespace
}  // namespace reeve
