// The commands that are run for an ACP agent, across a handover.
#include "orchestrator/adapters/acp/acp_terminals.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "orchestrator/handover/saved_state.h"
#include "tests/support/keeping_parent.h"
#include "tests/support/loop_fixture.h"
#include "tests/support/recording_host.h"

namespace reeve {
namespace {

using ::testing::ElementsAre;

class Terminals : public ::testing::Test {
 protected:
  Terminals() {
    host.spawn_beside = [this](SpawnSpec spawn, Child::Handlers handlers) {
      auto child = Child::Start({loop, reaper}, std::move(spawn), "REEVE_BESIDE=test", std::move(handlers));
      if (child) running.push_back(child->get());
      return child;
    };
    host.adopt_beside = [this](ChildState state, Child::Handlers handlers) {
      return Child::Adopt({loop, reaper}, std::move(state), std::move(handlers));
    };
  }
  std::unique_ptr<AcpTerminals> Make() {
    return std::make_unique<AcpTerminals>(
        host, "/", [this](const std::string& id, const Result<std::string>& result) {
          answers.push_back(id + " " + (result ? *result : result.error().message));
        });
  }
  void Ask(const std::string& id, const std::string& method, const std::string& params) {
    auto json = JsonDocument::Parse(params);
    terminals->Take(id, "terminal/" + method, json->root());
  }
  void Run(const std::string& script) {
    Ask("c", "create", R"({"command":"sh","args":["-c",")" + script + R"("]})");
  }
  std::string Output(const std::string& name) {
    Ask("o", "output", R"({"terminalId":")" + name + "\"}");
    const std::string answer = answers.back().substr(2);
    answers.pop_back();
    return std::string((*JsonDocument::Parse(answer))["output"].StringOr(""));
  }
  Status HandOver() {
    auto state = JsonDocument::Parse(SaveState(*terminals));
    auto next = Make();
    if (Status restored = RestoreState(state->root(), *next); !restored) return restored;
    for (Child* child : std::exchange(running, {})) child->Abandon();
    terminals = std::move(next);
    terminals->Resume();
    return {};
  }

  Loop loop;
  KeepingParent reaper{loop};
  RecordingHost host{loop};
  std::vector<Child*> running;
  std::vector<std::string> answers;
  std::unique_ptr<AcpTerminals> terminals = Make();
};

TEST_F(Terminals, GoOnWithWhatTheyRunAndWithWhoWaitsForIt) {
  Run("printf 'a\\\\377'; sleep 0.3; printf b; exit 3");
  Ask("w", "wait_for_exit", R"({"terminalId":"term-1"})");
  ASSERT_TRUE(RunUntil(loop, [this] { return Output("term-1").size() > 1; }));
  ASSERT_TRUE(HandOver().ok());
  Run("exit 0");
  EXPECT_THAT(answers, ElementsAre(R"(c {"terminalId":"term-1"})", R"(c {"terminalId":"term-2"})"));
  answers.clear();
  ASSERT_TRUE(RunUntil(loop, [this] { return !answers.empty(); }));
  EXPECT_EQ(answers.back(), R"(w {"exitCode":3,"signal":null})");
  EXPECT_EQ(Output("term-1"),
            "a\xef\xbf\xbd"
            "b");
}

TEST_F(Terminals, ThatEndedKeepHowUntilTheyAreReleased) {
  Run("echo done; kill -9 $$");
  Ask("w", "wait_for_exit", R"({"terminalId":"term-1"})");
  ASSERT_TRUE(RunUntil(loop, [this] { return answers.size() == 2; }));
  running.clear();
  ASSERT_TRUE(HandOver().ok());
  Ask("w", "wait_for_exit", R"({"terminalId":"term-1"})");
  EXPECT_EQ(answers[2], answers[1]);
  EXPECT_EQ(Output("term-1"), "done\n");
  Ask("r", "release", R"({"terminalId":"term-1"})");
  Ask("o", "output", R"({"terminalId":"term-1"})");
  EXPECT_EQ(answers.back(), "o there is no terminal term-1");
}

TEST_F(Terminals, ThatCannotBeTakenUpAreOver) {
  Run("exec sleep 60");
  Ask("w", "wait_for_exit", R"({"terminalId":"term-1"})");
  host.adopt_beside = nullptr;
  auto state = JsonDocument::Parse(SaveState(*terminals));
  auto next = Make();
  ASSERT_TRUE(RestoreState(state->root(), *next).ok());
  EXPECT_EQ(answers.size(), 1U);  // nobody is told before Resume
  next->Resume();
  EXPECT_EQ(answers.back(), R"(w {"exitCode":null,"signal":"SIGKILL"})");
}

TEST_F(Terminals, SayWhatIsWrongWithTheirState) {
  auto wrong = JsonDocument::Parse(R"({"terminals":{"term-1":{"limit":"x"}}})");
  EXPECT_EQ(RestoreState(wrong->root(), *terminals).error().message,
            "terminals.term-1.limit: not a whole number");
  auto childless = JsonDocument::Parse(R"({"terminals":{"term-1":{"child":{"pid":0}}}})");
  EXPECT_EQ(RestoreState(childless->root(), *terminals).error().message,
            "terminals.term-1.child.pid: out of bounds");
}

}  // namespace
}  // namespace reeve
