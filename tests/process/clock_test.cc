#include "process/clock.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>

namespace reeve {
namespace {

TEST(Time, PrintsAndReadsWhatItPrinted) {
  for (int64_t ms : {int64_t{0}, int64_t{1'700'000'000'123}, int64_t{4'102'444'799'999}}) {
    EXPECT_EQ(ParseTime(FormatTime(ms)), ms);
  }
}

// A program may report any number as a time.
TEST(Time, PrintsEveryNumberAsATime) {
  EXPECT_EQ(FormatTime(-1), "1969-12-31T23:59:59.999Z");
  EXPECT_EQ(FormatTime(std::numeric_limits<int64_t>::max()), "9999-12-31T23:59:59.999Z");
  EXPECT_EQ(FormatTime(std::numeric_limits<int64_t>::min()), "0000-01-01T00:00:00.000Z");
}

TEST(Time, ReadsWhatRfc3339Allows) {
  const int64_t seven = ParseTime("2026-01-31T07:00:00.000Z").value_or(0);
  EXPECT_NE(seven, 0);
  for (const char* same : {"2026-01-31T07:00:00Z", "2026-01-31T07:00:00.0Z", "2026-01-31T09:00:00+02:00",
                           "2026-01-31T01:30:00-05:30", "2026-01-31T07:00:00.000000Z"}) {
    EXPECT_EQ(ParseTime(same), seven) << same;
  }
  EXPECT_EQ(ParseTime("2026-01-31T07:00:00.25Z"), seven + 250);
  EXPECT_EQ(ParseTime("2026-01-31T07:00:00.1239Z"), seven + 123);
}

TEST(Time, RefusesTheRest) {
  for (const char* wrong :
       {"", "soon", "2026-01-31", "2026-01-31T07:00:00", "2026-13-31T07:00:00Z", "2026-02-30T07:00:00Z",
        "2026-1-31T07:00:00Z", "2026-01-31T07:00:00.Z", "2026-01-31T07:00:00ZZ", "2026-01-31T07:00:00+2:00",
        "2026-01-31T07:00:00+25:00", "2026-01-31T07:00:00*02:00", "2026-01-31T07:00:00.5",
        "2026-01-31T24:00:00Z", "2026-01-31T07:00:00+02:00x", "2026-01-31T07:00:00+ 2:00",
        "2026-01-31T07:00:00+-2:00"}) {
    EXPECT_FALSE(ParseTime(wrong)) << wrong;
  }
}

}  // namespace
}  // namespace reeve
