#include "process/lines.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace reeve {
namespace {

using Got = std::vector<std::pair<std::string, bool>>;

Got Cut(const std::string& bytes, size_t step, size_t max_bytes) {
  Lines lines(max_bytes);
  Got got;
  auto take = [&got](std::string_view line, bool truncated) { got.emplace_back(line, truncated); };
  for (size_t at = 0; at < bytes.size(); at += step)
    lines.Feed(std::string_view(bytes).substr(at, step), take);
  lines.Finish(take);
  return got;
}

TEST(Lines, SameLinesHoweverTheStreamIsCut) {
  const std::string bytes = "one\r\n\n\xc3\xa4 two\nthree\r\rx\r\nlast";
  const Got expected = {
      {"one", false}, {"", false}, {"\xc3\xa4 two", false}, {"three\r\rx", false}, {"last", false}};
  for (size_t step = 1; step <= bytes.size(); ++step) EXPECT_EQ(Cut(bytes, step, 100), expected) << step;
}

TEST(Lines, ALineTooLongIsDeliveredOnceCutAndTheNextIsWhole) {
  const std::string bytes = "abcdefgh\nok\nabcdefgh";
  const Got expected = {{"abcd", true}, {"ok", false}, {"abcd", true}};
  for (size_t step = 1; step <= bytes.size(); ++step) EXPECT_EQ(Cut(bytes, step, 4), expected) << step;
}

TEST(Lines, ALineOfExactlyTheLimitIsWhole) {
  const Got expected = {{"abcd", false}, {"efgh", false}};
  for (size_t step = 1; step <= 10; ++step) EXPECT_EQ(Cut("abcd\nefgh\n", step, 4), expected) << step;
}

}  // namespace
}  // namespace reeve
