// Times as people and programs write them (orchestrator/config/units.h).
#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>
#include <string>

#include "orchestrator/config/units.h"
#include "process/clock.h"

namespace reeve {
namespace {

class Moment : public testing::Test {
 protected:
  // Two hours ahead of UTC, without summer time; POSIX counts westwards.
  void SetUp() override { SetZone("TST-2"); }
  void TearDown() override { SetZone("UTC"); }
  static void SetZone(const char* zone) {
    setenv("TZ", zone, 1);
    tzset();
  }
  // As FormatTime shows it, or "" for an error.
  static std::string Read(const std::string& text) {
    auto time = ParseMoment(text, ParseTime("2026-01-31T20:30:00Z").value_or(0));
    return time ? FormatTime(*time) : "";
  }
};

TEST_F(Moment, ReadsWhatRfc3339Permits) {
  const std::string seven = "2026-01-31T07:00:00.000Z";
  for (const char* same :
       {"2026-01-31T07:00:00Z", "2026-01-31t07:00:00z", "2026-01-31 07:00:00Z", "2026-01-31 07:00:00.000z",
        "2026-01-31T08:00:00+01:00", "2026-01-31 08:00:00+0100", "2026-01-31 08:00:00 +01",
        "2026-01-31T07:00Z", "2026-01-30T23:00:00-08:00", "2026-01-31 09:00", "2026-01-31 9:00:00",
        "2026-01-31 07:00:00 UTC"}) {
    EXPECT_EQ(Read(same), seven) << same;
  }
  EXPECT_EQ(Read("2026-01-31"), "2026-01-30T22:00:00.000Z");  // the local midnight
  EXPECT_EQ(Read("2026-01-31T07:00:00.25Z"), "2026-01-31T07:00:00.250Z");
  EXPECT_EQ(Read("2026-01-31T07:00:00,123456789+00:00"), "2026-01-31T07:00:00.123Z");  // date -Ins
  EXPECT_EQ(Read("2024-02-29"), "2024-02-28T22:00:00.000Z");
}

TEST_F(Moment, ReadsWhatDatePrints) {
  const std::string seven = "2026-01-31T07:00:00.000Z";
  for (const char* same :
       {"Sat Jan 31 07:00:00 UTC 2026", "Sat Jan 31 09:00:00 TST 2026", "Sat Jan 31 07:00:00 AM UTC 2026",
        "Sat, 31 Jan 2026 09:00:00 +0200", "@1769842800"}) {
    EXPECT_EQ(Read(same), seven) << same;
  }
  EXPECT_EQ(Read("Thu Jan  1 10:00:00 PM UTC 2026"), "2026-01-01T22:00:00.000Z");
  EXPECT_EQ(Read("@1769842800.5"), "2026-01-31T07:00:00.500Z");
  EXPECT_EQ(Read("@0"), "1970-01-01T00:00:00.000Z");
}

TEST_F(Moment, ReadsWords) {
  EXPECT_EQ(Read("now"), "2026-01-31T20:30:00.000Z");
  EXPECT_EQ(Read("today"), "2026-01-30T22:00:00.000Z");
  EXPECT_EQ(Read("Yesterday"), "2026-01-29T22:00:00.000Z");
  EXPECT_EQ(Read("tomorrow 8:00"), "2026-02-01T06:00:00.000Z");  // also over the end of a month
  EXPECT_EQ(Read("tomorrow 8:00Z"), "2026-02-01T08:00:00.000Z");
}

TEST_F(Moment, RefusesTheRest) {
  for (const char* wrong : {"",
                            " ",
                            "8:00",
                            "soon",
                            "2026",
                            "2026-01",
                            "2026-13-01",
                            "2026-02-29",
                            "2026-01-32",
                            "2026-01-311",
                            "2026-01-31T25:00:00Z",
                            "2026-01-31T07:00:00X",
                            "2026-01-31T07:00:00+24:00",
                            "2026-01-31T07:00:00+1",
                            "2026-01-31 07:00:00 CET",
                            "2026-01-31T07:00:00ZZ",
                            "2026-01-31x",
                            "2026-01-31 ",
                            "nowhere",
                            "todayish",
                            "tomorrow 25:00",
                            "@",
                            "@x",
                            "@1e9",
                            "@99999999999999999999",
                            "Sat Jan 31 07:00:00 UTC",
                            "10m"}) {
    EXPECT_EQ(Read(wrong), "") << wrong;
  }
  EXPECT_EQ(Read(std::string("2026-01-31\0x", 12)), "");
  EXPECT_EQ(ParseMoment("soon", 0).error().message.substr(0, 36), "'soon' is not a time such as 2026-01");
}

}  // namespace
}  // namespace reeve
