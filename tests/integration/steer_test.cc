// Messages into a turn that runs (control/api/API.md, "Messages"). The agent is `reeve replay` of a recording
// in Codex's words, so that it takes or refuses them when the test says so.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/scripted_agent.h"

namespace reeve {
namespace {

using Strings = std::vector<std::string>;

std::string Turn(const std::string& status) {
  return R"("params":{"threadId":"h","turn":{"id":"t","items":[],"status":")" + status + R"("}}})";
}

void CreateCodex(const Daemon& daemon, const Strings& turns) {
  Strings script = {"> initialize", R"(< {"id":1,"result":{}})", "> initialized", "> thread/start",
                    R"(< {"id":2,"result":{"thread":{"id":"h"}}})"};
  script.insert(script.end(), turns.begin(), turns.end());
  CreateScripted(daemon, "a1", "codex", script, R"(,"prompt":"work")");
}

Strings Begun(int id) {
  return {"> turn/start",
          R"(< {"id":)" + std::to_string(id) +
              R"(,"result":{"turn":{"id":"t","items":[],"status":"inProgress"}}})",
          R"(< {"method":"turn/started",)" + Turn("inProgress")};
}
const std::string kEnded = R"(< {"method":"turn/completed",)" + Turn("completed");

Strings Join(std::vector<Strings> parts) {
  Strings all;
  for (const Strings& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

bool UntilState(const Daemon& daemon, const std::string& state) {
  return Eventually([&] { return daemon.Get("/agents/a1").Field("state") == state; });
}

Strings Fields(const Daemon& daemon, const std::string& types, const std::string& field) {
  Strings fields;
  for (const std::string& event : daemon.Events("a1", "after=0&types=" + types))
    fields.push_back(JsonField(event, field));
  return fields;
}

// From then on the agent knows the turn, and can steer it. It is `running` some moments before.
bool UntilTurnStarted(const Daemon& daemon) {
  return Eventually(
      [&] { return daemon.Get("/agents/a1/transcript").body.find("turn/started") != std::string::npos; });
}

HttpAnswer Say(const Daemon& daemon, const std::string& text, const std::string& mode) {
  return daemon.Post("/agents/a1/message", R"({"text":")" + text + R"(","mode":")" + mode + "\"}");
}

TEST(Steering, ReachesTheTurnThatRuns) {
  Daemon daemon;
  CreateCodex(daemon, Join({Begun(3), {"> turn/steer", R"(< {"id":4,"result":{"turnId":"t"}})", kEnded}}));
  ASSERT_TRUE(UntilTurnStarted(daemon));
  HttpAnswer sent = Say(daemon, "left a bit", "steer");
  EXPECT_EQ(sent.status, 202);
  EXPECT_EQ(sent.Field("disposition"), "steered");
  ASSERT_TRUE(UntilState(daemon, "idle"));
  const std::string run = Fields(daemon, "run.started", "run").at(0);
  EXPECT_EQ(Fields(daemon, "user.message", "data.text"), (Strings{"work", "left a bit"}));
  EXPECT_EQ(Fields(daemon, "user.message", "run"), (Strings{run, run}));
  EXPECT_EQ(Fields(daemon, "user.message", "data.steer"), (Strings{"", "true"}));
  EXPECT_EQ(Fields(daemon, "run.*", "type"), (Strings{"run.started", "run.completed"}));
  EXPECT_EQ(Fields(daemon, "message.done", "data.message_id").size(), 2U);
  EXPECT_NE(daemon.Get("/agents/a1/transcript").body.find("left a bit"), std::string::npos);
}

// Its turn was over: neither lost nor said twice.
TEST(Steering, ThatIsRefusedIsTheNextTurn) {
  Daemon daemon;
  CreateCodex(daemon,
              Join({Begun(3),
                    {"> turn/steer",
                     R"(< {"id":4,"error":{"code":-32600,"message":"no active turn to steer"}})", kEnded},
                    Begun(5),
                    {kEnded}}));
  ASSERT_TRUE(UntilTurnStarted(daemon));
  EXPECT_EQ(Say(daemon, "left a bit", "steer").Field("disposition"), "steered");
  ASSERT_TRUE(Eventually([&] { return Fields(daemon, "run.completed", "type").size() == 2; }));
  EXPECT_EQ(Fields(daemon, "user.message", "data.text"), (Strings{"work", "left a bit"}));
  EXPECT_NE(Fields(daemon, "message.queued", "data.reason").at(1).find("no active turn"), std::string::npos);
}

TEST(Steering, ThatWasNotAnsweredOutlivesTheProcess) {
  Daemon daemon;
  CreateCodex(daemon, Join({Begun(3), {"> turn/steer", "> never"}}));
  ASSERT_TRUE(UntilTurnStarted(daemon));
  Say(daemon, "left a bit", "steer");
  ASSERT_TRUE(Eventually(
      [&] { return daemon.Get("/agents/a1/transcript").body.find("left a bit") != std::string::npos; }));
  EXPECT_EQ(daemon.Post("/agents/a1/stop").status, 202);
  ASSERT_TRUE(UntilState(daemon, "exited"));
  EXPECT_EQ(daemon.Get("/agents/a1").Field("queue_depth"), "1");
  EXPECT_EQ(Fields(daemon, "user.message", "data.text"), Strings{"work"});
}

TEST(Steering, WaitsInFrontOfTheFollowUpsWhereTheKindCannot) {
  Daemon daemon;
  WriteFile(daemon.data_dir() + "/a1.sh",
            "while read -r line; do echo '{\"type\":\"run.started\"}'; read -r go; echo "
            "'{\"type\":\"run.completed\"}'; done\n");
  daemon.Create(
      R"({"id":"a1","kind":"jsonl","kind_options":{"turns":true},"prompt":"work","command":["/bin/bash",")" +
      daemon.data_dir() + R"(/a1.sh"]})");
  ASSERT_TRUE(UntilState(daemon, "running"));
  EXPECT_EQ(Say(daemon, "later", "followup").Field("disposition"), "queued");
  for (int i = 0; i < 5; ++i)
    EXPECT_EQ(Say(daemon, "now " + std::to_string(i), "steer").Field("disposition"), "queued");
  HttpAnswer sixth = Say(daemon, "too much", "steer");
  EXPECT_EQ(sixth.status, 429);
  EXPECT_EQ(sixth.Field("code"), "queue_full");
  EXPECT_EQ(Say(daemon, "even later", "followup").status, 202);
}

}  // namespace
}  // namespace reeve
