// The choice of a model through the API, at an agent that lists all of its models (control/api/API.md,
// "Changing an agent"): a model that does not exist is refused before anything is recorded.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/scripted_agent.h"

namespace reeve {
namespace {

class Models : public ::testing::Test {
 protected:
  Models() {
    CreateScripted(
        daemon, "a1", "acp",
        {"> initialize",
         R"(< {"jsonrpc":"2.0","id":1,"result":{"protocolVersion":1,"agentCapabilities":{}}})",
         "> session/new",
         R"(< {"jsonrpc":"2.0","id":2,"result":{"sessionId":"s","models":{"currentModelId":"small",)"
         R"("availableModels":[{"modelId":"small"},{"modelId":"large"}]}}})",
         "> session/set_model", R"(< {"jsonrpc":"2.0","id":3,"result":{}})", "> session/prompt",
         R"(< {"jsonrpc":"2.0","id":4,"result":{"stopReason":"end_turn"}})", "> never"});
    EXPECT_EQ(daemon.WaitFor("a1", "until=ready").status, 200);
  }
  void Refuses(const HttpAnswer& answer, const std::string& model) const {
    EXPECT_EQ(answer.status, 400) << answer.body;
    EXPECT_EQ(answer.Field("code"), "invalid_request");
    EXPECT_NE(answer.Field("detail").find("has no model " + model), std::string::npos) << answer.body;
    EXPECT_TRUE(daemon.Events("a1", "after=0&types=message.queued,run.started").empty());
  }

  Daemon daemon;
};

TEST_F(Models, AMessageNamesOneThatExists) {
  Refuses(daemon.Post("/agents/a1/message", R"({"text":"go","model":"tiny"})"), "tiny");
  ASSERT_EQ(daemon.Post("/agents/a1/message", R"({"text":"go","model":"large"})").status, 202);
  EXPECT_EQ(daemon.WaitFor("a1", "until=terminal").Field("status"), "completed");
}

TEST_F(Models, OneBadMessageOfSeveralRefusesThemAll) {
  Refuses(daemon.Post("/agents/a1/message",
                      R"({"messages":[{"text":"one","model":"large"},{"text":"two","model":"tiny"}]})"),
          "tiny");
  EXPECT_EQ(daemon.Get("/agents/a1/queue").Field("messages"), "[]");
}

TEST_F(Models, AChangeNamesOneThatExists) {
  Refuses(daemon.Call("PATCH", "/agents/a1", R"({"model":"tiny","title":"changed"})"), "tiny");
  EXPECT_EQ(daemon.Get("/agents/a1").Field("title"), "");
  HttpAnswer changed = daemon.Call("PATCH", "/agents/a1", R"({"model":"large"})");
  EXPECT_EQ(changed.status, 200) << changed.body;
  EXPECT_EQ(changed.Field("model"), "large");
}

TEST(Record, IsTurnedOnForAProcessThatRuns) {
  Daemon daemon;
  daemon.Create(R"({"id":"a1","kind":"process","command":["cat"]})");
  EXPECT_EQ(daemon.Get("/agents/a1/transcript").status, 404);
  HttpAnswer changed = daemon.Call("PATCH", "/agents/a1", R"({"record":true})");
  EXPECT_EQ(changed.status, 200) << changed.body;
  EXPECT_EQ(changed.Field("applies"), "");
  ASSERT_EQ(daemon.Post("/agents/a1/message", R"({"text":"hello"})").status, 202);
  EXPECT_TRUE(Eventually([&] {
    return daemon.Get("/agents/a1/transcript").body.find(R"("dir":"out","text":"hello")") !=
           std::string::npos;
  }));
}

}  // namespace
}  // namespace reeve
