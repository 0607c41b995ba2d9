// AgentWalk: agents beside their models, and how a test steps and compares them. A step goes through Try,
// which changes both; Settle waits until an agent has caught up with its model.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "orchestrator/agent/agent.h"
#include "process/log.h"
#include "tests/orchestrator/agent/agent_fixture.h"
#include "tests/orchestrator/agent/agent_model.h"

namespace reeve {

class AgentWalk : public AgentFixture {
 protected:
  static constexpr uint64_t kSeed = 20'261'121;

  struct Pair {
    std::unique_ptr<MockClock> clock;
    std::unique_ptr<AgentContext> context;
    std::unique_ptr<Agent> agent;
    AgentModel model;
    std::string story;
    int made = 0;  // messages and approvals
  };

  AgentWalk() { log::SetLevel(log::Level::kError); }

  Agent* Find(const std::string& id) override {
    for (Pair& pair : pairs_) {
      if (pair.agent && pair.agent->id() == id) return pair.agent.get();
    }
    return nullptr;
  }

  void Make(const std::string& id) {
    Pair& pair = pairs_.emplace_back();
    AgentModel& model = pair.model;
    model.always = random_() % 2 == 0;
    model.can_steer = random_() % 4 != 0;
    model.has_max_tokens = random_() % 2 == 0;
    pair.clock = std::make_unique<MockClock>();
    pair.context = MakeContext(*pair.clock);
    auto json = JsonDocument::Parse(
        R"({"id":")" + id + R"(","kind":")" + (model.can_steer ? "puppet" : "deaf-puppet") +
        R"(","restart":{"policy":")" + (model.always ? "always" : "never") +
        R"(","max_restarts":1000},"limits":{"max_tokens":)" + (model.has_max_tokens ? "1000" : "0") + "}}");
    auto spec = AgentSpec::FromJson(json->root());
    ASSERT_TRUE(spec.ok()) << spec.error().message;
    auto agent = Agent::Create(*pair.context, std::move(*spec), "", [](const Status&) {});
    ASSERT_TRUE(agent.ok()) << agent.error().message;
    pair.agent = std::move(*agent);
    pair.story = id + (model.always ? " always" : " never") + (model.can_steer ? " steers:" : ":");
  }

  // Until nothing moves any more: the store has answered, no process and no due message is on its way.
  void Settle() {
    for (int round = 0; round < 3; ++round) {
      bool answered = false;
      store_->FindMessage("none",
                          [&answered](const Result<std::optional<MessageRecord>>&) { answered = true; });
      ASSERT_TRUE(RunUntil(loop_, [&] {
        return answered && std::none_of(pairs_.begin(), pairs_.end(), [](const Pair& pair) {
                 const Agent& agent = *pair.agent;
                 const int64_t due = agent.mailbox().next_due_ms();
                 return agent.state() == Agent::State::kStopping ||
                        (agent.state() == Agent::State::kStarting && !agent.has_process()) ||
                        (due != 0 && due <= pair.clock->wall_ms && !pair.model.draining);
               });
      }));
    }
  }

  // Real time passes beside the steps: a backoff may be over.
  void CatchUp(Pair& pair) {
    if (!pair.model.backoff || pair.agent->state() != Agent::State::kStarting) return;
    pair.story += " (backoff-over)";
    pair.model.Wake();
    EXPECT_TRUE(RunUntil(loop_, [&pair] { return pair.agent->has_process() && pair.agent->settled(); }))
        << pair.story;
  }

  // A new binary of the daemon takes it over.
  void HandOver(Pair& pair) {
    pair.story += " handover";
    ASSERT_TRUE(RunUntil(loop_, [&pair] { return pair.agent->settled(); })) << pair.story;
    auto saved = JsonDocument::Parse(pair.agent->HandOver());
    ASSERT_TRUE(saved);
    pair.agent->Abandon();
    pair.agent.reset();
    auto adopted = Agent::Adopt(*pair.context, saved->root(), {});
    ASSERT_TRUE(adopted.ok()) << pair.story << ": " << adopted.error().message;
    pair.agent = std::move(*adopted);
    auto messages = store_->LoadMessages();
    ASSERT_TRUE(messages.ok());
    std::erase_if(*messages,
                  [&pair](const MessageRecord& message) { return message.agent != pair.agent->id(); });
    pair.agent->Activate(*messages);
  }

  // Applies `change` to the model and then `act` to the agent.
  template <typename Change, typename Act>
  void Try(Pair& pair, const std::string& name, Change change, Act act) {
    change(pair.model);
    pair.story += " " + name;
    act();
  }

  void Compare(Pair& pair) {
    CatchUp(pair);
    auto json = JsonDocument::Parse(pair.agent->ToJson());
    auto queue = JsonDocument::Parse(pair.agent->QueueJson());
    ASSERT_TRUE(json && queue);
    const AgentModel& model = pair.model;
    const JsonValue agent = json->root();
    EXPECT_EQ(agent["state"].StringOr(""), std::string(model.State())) << pair.story;
    EXPECT_EQ(pair.agent->ended(), !model.wanted()) << pair.story;
    EXPECT_EQ(agent["queue_depth"].AsInt(), model.waiting.size() + model.steering.size()) << pair.story;
    EXPECT_EQ(agent["queue_paused"].AsBool(), model.paused) << pair.story;
    EXPECT_EQ(agent["scheduled"].AsInt().value_or(0), model.scheduled.size()) << pair.story;
    EXPECT_EQ(agent["pending_approvals"].AsInt(), model.approvals.size()) << pair.story;
    EXPECT_EQ(static_cast<bool>(agent["run"]), model.run.has_value()) << pair.story;
    EXPECT_EQ(agent["run"]["message_id"].StringOr(""), model.run.value_or("")) << pair.story;
    EXPECT_EQ(agent["last_run"]["status"].StringOr(""), model.last_run) << pair.story;
    EXPECT_EQ(agent["last_run"]["limit"].StringOr(""), model.last_limit) << pair.story;
    std::vector<std::string> steered;
    for (const JsonValue& id : agent["run"]["steered"].Elements()) steered.emplace_back(id.StringOr(""));
    EXPECT_EQ(steered, model.steered) << pair.story;
    std::vector<std::string> waits;
    for (const JsonValue& message : (*queue)["messages"].Elements()) {
      waits.emplace_back(message["message_id"].StringOr(""));
    }
    std::vector<std::string> should_wait;
    for (const auto& entry : model.steering) should_wait.push_back(entry.id);
    for (const auto& entry : model.waiting) should_wait.push_back(entry.id);
    for (const auto& [at, entry] : model.scheduled) should_wait.push_back(entry.id);
    EXPECT_EQ(waits, should_wait) << pair.story;
  }

  // Whether a command is accepted: it is refused at once, or has to wait for the store.
  static bool Accepts(const std::function<void(Agent::Done)>& command) {
    auto refused = std::make_shared<bool>(false);
    command([refused](const Status& status) { *refused = !status.ok(); });
    return !*refused;
  }

  std::vector<Pair> pairs_;
  std::mt19937_64 random_{kSeed};
};

}  // namespace reeve
