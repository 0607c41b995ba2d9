#include "control/cli/show/text.h"

#include <gtest/gtest.h>

#include <string>

namespace reeve {
namespace {

TEST(Text, SaysHowLongAgoSomethingWasInItsLargestUnit) {
  EXPECT_EQ(Ago(-5'000), "now");  // of a clock that is ahead of ours
  EXPECT_EQ(Ago(999), "now");
  EXPECT_EQ(Ago(1'000), "1s ago");
  EXPECT_EQ(Ago(59'999), "59s ago");
  EXPECT_EQ(Ago(3'599'999), "59m ago");
  EXPECT_EQ(Ago(86'399'999), "23h ago");
  EXPECT_EQ(Ago(400 * int64_t{86'400'000}), "400d ago");
}

TEST(Text, JsonThatIsSafeToPrintSaysTheSame) {
  EXPECT_EQ(SafeJson("{\"text\":\"\xC2\x9B 31m \xC2\x9D \x7F \xE2\x80\xAE \xE2\x81\xA6\"}"),
            R"({"text":"\u009b 31m \u009d \u007f \u202e \u2066"})");
  const std::string plain = R"({"text":"\u001b é 😀 ∑ \n"})";
  EXPECT_EQ(SafeJson(plain), plain);
  EXPECT_EQ(Plain("a\u061Cb\u200Ec\u200Fd\u2028e\u202Ef\u2069g"), "a b c d e f g");
}

}  // namespace
}  // namespace reeve
