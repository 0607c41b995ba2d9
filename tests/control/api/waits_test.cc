#include "control/api/waits.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "control/http/answer_stream.h"
#include "orchestrator/agent/agent.h"
#include "tests/support/town_api.h"

namespace reeve {
namespace {

using Until = Waits::Condition::Until;

// A client that keeps the answer.
class Client : public Reply::Sink {
 public:
  void Answer(Response response) override { answer = std::move(response); }
  std::unique_ptr<AnswerStream> OpenStream() override { return nullptr; }
  [[nodiscard]] int status() const { return answer ? answer->status : 0; }
  std::optional<Response> answer;
};

class WaitsTest : public testing::Test {
 protected:
  void SetUp() override {
    waits_ = std::make_unique<Waits>(town_.loop(), town_.town(), 3);
    agent_ = &town_.MakeAgent(R"({"id":"a1","kind":"process","command":["sleep","600"]})");
    ASSERT_TRUE(RunUntil(town_.loop(), [this] { return agent_->runs().open().has_value(); }));
  }

  // A wait of this token that takes so many bytes.
  std::shared_ptr<Client> BeginOf(uint64_t token, size_t bytes) {
    auto client = std::make_shared<Client>();
    Waits::Condition condition;
    condition.labels = {{"team", std::string(bytes, 'x')}};
    condition.token = token;
    waits_->BeginAny(condition, 20'000, Reply(client));
    return client;
  }

  std::shared_ptr<Client> Begin(Until until, int64_t timeout_ms = 20'000) {
    auto client = std::make_shared<Client>();
    Waits::Condition condition;
    condition.until = until;
    waits_->Begin("a1", condition, timeout_ms, Reply(client));
    return client;
  }
  bool Answered(const std::shared_ptr<Client>& client) {
    return RunUntil(town_.loop(), [&client] { return client->answer.has_value(); });
  }

  TownApi town_;
  std::unique_ptr<Waits> waits_;
  Agent* agent_ = nullptr;
};

TEST_F(WaitsTest, ATokenHasABoundedNumberOfBytes) {
  const size_t half = Waits::kMaxTokenBytes / 2;
  auto first = BeginOf(1, half);
  auto second = BeginOf(1, half);
  auto other = BeginOf(2, half);
  EXPECT_EQ(first->status(), 0);
  EXPECT_EQ(second->status(), 429);
  EXPECT_EQ(other->status(), 0);
  waits_->EndAll();
  EXPECT_EQ(first->status(), 503);
}

TEST_F(WaitsTest, AConditionThatHoldsIsAnsweredAtOnce) {
  EXPECT_EQ(Begin(Until::kReady)->status(), 200);
  EXPECT_EQ(waits_->open(), 0u);
}

TEST_F(WaitsTest, AConditionIsAnsweredWhenItComesTrue) {
  auto exited = Begin(Until::kExited);
  auto terminal = Begin(Until::kTerminal);
  EXPECT_EQ(waits_->open(), 2u);
  bool stored = false;
  agent_->Stop(0, [&stored](const Status& stopped) { stored = stopped.ok(); });
  ASSERT_TRUE(RunUntil(town_.loop(), [&stored] { return stored; }));
  ASSERT_TRUE(Answered(exited));
  ASSERT_TRUE(Answered(terminal));
  EXPECT_EQ(exited->status(), 200);
  auto run = JsonDocument::Parse(terminal->answer->body);
  ASSERT_TRUE(run.ok());
  EXPECT_EQ((*run)["status"].StringOr(""), "cancelled");
  EXPECT_EQ(waits_->open(), 0u);
}

TEST_F(WaitsTest, TimeRunsOut) {
  auto client = Begin(Until::kExited, 1);
  ASSERT_TRUE(Answered(client));
  EXPECT_EQ(client->status(), 204);
  EXPECT_EQ(waits_->open(), 0u);
}

TEST_F(WaitsTest, AClientThatHasGoneIsForgottenAtTheNextChange) {
  auto client = Begin(Until::kExited);
  client.reset();
  EXPECT_EQ(waits_->open(), 1u);
  bool stored = false;
  agent_->Interrupt([&stored](const Status& interrupted) { stored = interrupted.ok(); });
  EXPECT_TRUE(RunUntil(town_.loop(), [this, &stored] { return stored && waits_->open() == 0; }));
}

TEST_F(WaitsTest, APurgedAgentIsNotWaitedFor) {
  Waits::Condition condition;
  condition.after_run = "r9";
  auto client = std::make_shared<Client>();
  waits_->Begin("a1", condition, 20'000, Reply(client));
  town_.town().Delete("a1", true, [](const Status& status) { EXPECT_TRUE(status.ok()); });
  ASSERT_TRUE(Answered(client));
  EXPECT_EQ(client->status(), 404);
}

TEST_F(WaitsTest, ARunThatNobodyKnowsIsAnErrorNotATimeOut) {
  Waits::Condition condition;
  condition.run = "r9";
  auto client = std::make_shared<Client>();
  waits_->Begin("a1", condition, 0, Reply(client));
  EXPECT_EQ(waits_->open(), 1u);
  ASSERT_TRUE(Answered(client));
  EXPECT_EQ(client->status(), 404);
}

TEST_F(WaitsTest, TheirNumberIsLimited) {
  auto first = Begin(Until::kExited, 50);
  Begin(Until::kExited);
  auto third = Begin(Until::kExited);
  EXPECT_EQ(Begin(Until::kExited)->status(), 429);
  EXPECT_EQ(third->status(), 0);
  ASSERT_TRUE(Answered(first));
  EXPECT_EQ(Begin(Until::kExited, 1)->status(), 0);
}

TEST_F(WaitsTest, TheEndOfTheDaemonEndsThemAll) {
  auto exited = Begin(Until::kExited);
  auto terminal = Begin(Until::kTerminal);
  waits_->EndAll();
  EXPECT_EQ(exited->status(), 503);
  EXPECT_EQ(terminal->status(), 503);
  EXPECT_EQ(waits_->open(), 0u);
  EXPECT_EQ(Begin(Until::kIdle)->status(), 503);
  EXPECT_EQ(Begin(Until::kReady)->status(), 200);
}

// Also one that the store has not answered yet.
TEST_F(WaitsTest, NoneOutlivesTheirOwner) {
  auto exited = Begin(Until::kExited);
  Waits::Condition condition;
  condition.message = "mnone";
  auto asking = std::make_shared<Client>();
  waits_->Begin("a1", condition, 20'000, Reply(asking));
  waits_.reset();
  EXPECT_EQ(exited->status(), 503);
  EXPECT_EQ(asking->status(), 503);
}

}  // namespace
}  // namespace reeve
