#include "control/cli/client/agent_log.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "control/cli/client/client.h"
#include "tests/support/canned_server.h"

namespace reeve {
namespace {

std::string Page(const std::string& events, const std::string& gap, const std::string& cursor, bool more) {
  return CannedServer::Json(R"({"events":[)" + events + R"(],"gap":)" + gap + R"(,"cursor":")" + cursor +
                            R"(","more":)" + (more ? "true}" : "false}"));
}

// With a filter, a page may have a gap, no event, and a page behind it.
TEST(AgentLog, GapsOfPagesWithoutEventsAreOne) {
  const CannedServer server({
      {"GET /agents/a1/events?after=0&limit=10&types=run.done",
       Page("", R"({"from":"1-2","to":"1-5","reason":"damaged"})", "1-9", true)},
      {"GET /agents/a1/events?after=1-9&limit=10&types=run.done",
       Page(R"({"type":"run.done","seq":21})", R"({"from":"1-12","to":"1-20","reason":"damaged"})", "1-21",
            false)},
  });
  const auto client = Client::FindServer({server.address(), "", ""});
  ASSERT_TRUE(client.ok());
  AgentLog::Range range;
  range.types = "run.done";
  AgentLog log(*client, "a1", range, 10);
  const Status opened = log.Open();
  ASSERT_TRUE(opened.ok()) << opened.error().message;
  const auto gap = log.TakeGap();
  ASSERT_TRUE(gap.has_value());
  EXPECT_EQ((*gap)["from"].StringOr(""), "1-2");
  EXPECT_EQ((*gap)["to"].StringOr(""), "1-20");
}

TEST(AgentLog, AGapInFrontOfEventsThatAreTooOldIsNotShown) {
  const std::string events =
      R"({"type":"run.done","time":"2020-01-01T00:00:00.000Z"},{"type":"run.done","time":"2030-01-01T00:00:00.000Z"})";
  const CannedServer server(
      {{"GET /agents/a1/events?tail=10",
        Page(events, R"({"from":"1-2","to":"1-5","reason":"damaged"})", "1-7", false)}});
  const auto client = Client::FindServer({server.address(), "", ""});
  ASSERT_TRUE(client.ok());
  AgentLog::Range range;
  range.since_ms = int64_t{1'700'000'000'000};
  AgentLog log(*client, "a1", range, 10);
  const Status opened = log.Open();
  ASSERT_TRUE(opened.ok()) << opened.error().message;
  EXPECT_EQ(log.event()["time"].StringOr(""), "2030-01-01T00:00:00.000Z");
  EXPECT_FALSE(log.TakeGap().has_value());
}

}  // namespace
}  // namespace reeve
