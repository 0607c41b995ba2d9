// The resources of processes in the list of agents (control/api/API.md, "Agents").
#include <gtest/gtest.h>

#include <string>

#include "orchestrator/json/json.h"
#include "tests/support/daemon.h"

namespace reeve {
namespace {

TEST(AgentList, HasResourcesWhereTheyAreAskedFor) {
  Daemon daemon;
  daemon.Create(R"({"id":"a1","kind":"process","command":["sh","-c","read line"]})");
  daemon.Create(R"({"id":"over","kind":"process","command":["true"]})");
  ASSERT_TRUE(Eventually([&] { return daemon.Get("/agents/over").Field("state") == "exited"; }));
  ASSERT_TRUE(Eventually([&] { return daemon.Get("/agents/a1").Field("state") == "running"; }));
  const HttpAnswer with = daemon.Get("/agents?resources=true");
  auto json = JsonDocument::Parse(with.body);
  EXPECT_GT((*json)["agents"].At(0)["resources"]["rss_bytes"].AsInt().value_or(0), 0) << with.body;
  EXPECT_TRUE((*json)["agents"].At(0)["resources"]["cpu_ms"]);
  EXPECT_FALSE((*json)["agents"].At(1)["resources"]) << "no process, no resources";
  EXPECT_EQ(daemon.Get("/agents").body.find("resources"), std::string::npos);
  EXPECT_EQ(daemon.Get("/agents?resources=false").body.find("resources"), std::string::npos);
  const HttpAnswer wrong = daemon.Get("/agents?resources=yes");
  EXPECT_EQ(wrong.status, 400);
  EXPECT_NE(wrong.Field("detail").find("resources"), std::string::npos);
}

}  // namespace
}  // namespace reeve
