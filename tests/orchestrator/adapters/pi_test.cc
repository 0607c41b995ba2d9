// Recordings of the real pi (fixtures/pi-*.jsonl), replayed. A line that begins with "<< " was sent to pi.
// After a wanted change: UPDATE_GOLDEN=1 orchestrator_test, and read the difference.
#include "orchestrator/adapters/pi/pi.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/handover.h"
#include "tests/support/loop_fixture.h"
#include "tests/support/paths.h"
#include "tests/support/rpc_recording.h"
#include "tests/support/vocabulary.h"

namespace reeve {
namespace {

using ::testing::HasSubstr;

std::string Fixture(const std::string& name) { return std::string(kFixtures) + "/pi-" + name; }

std::vector<std::string> Recording(const std::string& name) {
  std::vector<std::string> lines;
  std::istringstream file(ReadFile(Fixture(name + ".jsonl")));
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

class Pi {
 public:
  explicit Pi(const std::string& resume = "")
      : adapter(host, MakePiAdapter(host, resume),
                [this] { return MakePiAdapter(host, "another session"); }) {
    SpawnSpec spawn;
    spawn.argv = {"pi"};
    EXPECT_TRUE(adapter->Prepare(spawn).ok());
    argv = spawn.argv;
    adapter->OnSpawned();
    adapter.Begin();
  }
  void Say(const std::string& line) { adapter->OnOutput(Child::Output::kStdout, line + "\n"); }
  // Repeats the actions of a person; the adapter makes the other calls by itself.
  void Act(const std::string& call) {
    auto json = JsonDocument::Parse(call);
    ASSERT_TRUE(json.ok()) << call;
    const std::string_view type = (*json)["type"].StringOr("");
    if (type == "prompt") {
      if (std::exchange(modelled_, false)) return;
      EXPECT_TRUE(adapter->Prompt(std::string((*json)["message"].StringOr(""))).ok());
    } else if (type == "set_model") {
      host.spec().model =
          std::string((*json)["provider"].StringOr("")).append("/").append((*json)["modelId"].StringOr(""));
      modelled_ = host.spec().model != "mock/nope";
      EXPECT_TRUE(adapter->Prompt("LONG=2 y").ok());
    } else if (type == "abort") {
      adapter->Interrupt();
    } else if (type == "steer") {
      adapter->Steer("s1", std::string((*json)["message"].StringOr("")));
    } else if (type == "get_available_models") {
      adapter->ListModels([](const Result<std::string>&) {});
    }
  }
  void Ready() {
    Say(R"({"id":"1","type":"response","command":"get_state","success":true,"data":{"sessionId":"s"}})");
  }

  Loop loop;
  RpcHost host{loop};
  HandedAdapter adapter;
  std::vector<std::string> argv;

 private:
  bool modelled_ = false;
};

class PiRecordings : public ::testing::TestWithParam<const char*> {};

void Play(Pi& pi, const std::vector<std::string>& lines, size_t pieces) {
  for (const std::string& line : lines) {
    if (line.starts_with("<< ")) {
      pi.Act(line.substr(3));
    } else if (pieces == 0) {
      pi.Say(line);
    } else {
      pi.adapter.SayInPieces(line + "\n", pieces);
    }
  }
  pi.adapter->OnExited();
}

TEST_P(PiRecordings, BecomeExactlyTheExpectedEvents) {
  Pi pi;
  Play(pi, Recording(GetParam()), 0);
  const std::string golden = Fixture(std::string(GetParam()) + ".expected");
  if (std::getenv("UPDATE_GOLDEN")) WriteFile(golden, pi.host.Text());
  EXPECT_EQ(pi.host.Text(), ReadFile(golden));
  EXPECT_EQ(BrokenRule(pi.host.lines()), "");
}

TEST_P(PiRecordings, AreTheSameAcrossHandoversAnywhere) {
  for (size_t most : {100U, 5000U}) {
    Pi pi;
    Play(pi, Recording(GetParam()), most);
    EXPECT_EQ(pi.host.Text(), ReadFile(Fixture(std::string(GetParam()) + ".expected")))
        << "pieces of up to " << most;
  }
}

TEST_P(PiRecordings, KeepTheRulesWhereverTheyBreakOff) {
  const std::vector<std::string> lines = Recording(GetParam());
  for (size_t most = 0; most < lines.size(); ++most) {
    Pi pi;
    Play(pi, {lines.begin(), lines.begin() + static_cast<long>(most)}, 0);
    ASSERT_EQ(BrokenRule(pi.host.lines()), "") << "after " << most << " lines";
  }
}

INSTANTIATE_TEST_SUITE_P(Pi, PiRecordings, ::testing::Values("turn", "retry"),
                         [](const auto& one) { return std::string(one.param); });

TEST(PiTest, ItIsStartedForReeveAndRefusesOptionsThatReeveDecides) {
  Pi fresh;
  EXPECT_EQ(fresh.argv, (std::vector<std::string>{"pi", "--mode", "rpc"}));
  Pi resumed("abc");
  EXPECT_EQ(resumed.argv, (std::vector<std::string>{"pi", "--mode", "rpc", "--session", "abc"}));
  for (const std::string option : {"--continue", "--session", "-p"}) {
    SpawnSpec spawn;
    spawn.argv = {"pi", option};
    const Status prepared = fresh.adapter->Prepare(spawn);
    ASSERT_FALSE(prepared.ok());
    EXPECT_THAT(prepared.error().message, HasSubstr(option));
  }
}

TEST(PiTest, ASessionThatIsGoneBeginsAnew) {
  Pi pi("abc");
  pi.adapter->OnOutput(Child::Output::kStderr, "No session found mat");
  pi.adapter->OnOutput(Child::Output::kStderr, "ching 'abc'\n");
  pi.adapter->OnExited();
  EXPECT_THAT(pi.host.Text(), HasSubstr("session_lost"));
}

TEST(PiTest, ADialogOfAnExtensionIsAQuestion) {
  Pi pi;
  pi.Ready();
  pi.Say(
      R"({"type":"extension_ui_request","id":"d1","method":"select","title":"Which?","options":["a","b"]})");
  EXPECT_THAT(pi.host.Text(), HasSubstr("Which?"));
  EXPECT_THAT(pi.host.Text(), HasSubstr(R"("enum":["a","b"])"));
  pi.host.Clear();
  pi.adapter->Answer("d1", {ElicitationAnswer::Action::kAccept, R"({"answer":"b"})"});
  EXPECT_THAT(pi.host.Text(), HasSubstr(R"("value":"b")"));
  pi.Say(R"({"type":"extension_ui_request","id":"d2","method":"confirm","title":"Sure?"})");
  pi.host.Clear();
  pi.adapter->Answer("d2", {ElicitationAnswer::Action::kDecline, ""});
  EXPECT_THAT(pi.host.Text(), HasSubstr(R"("cancelled":true)"));
}

// An extension's command is done when pi has accepted it.
TEST(PiTest, APromptThatBeginsNoWorkEndsItsTurn) {
  Pi pi;
  pi.Ready();
  EXPECT_TRUE(pi.adapter->Prompt("/hello").ok());
  pi.Say(R"({"id":"2","type":"response","command":"prompt","success":true})");
  pi.Say(R"({"id":"3","type":"response","command":"get_state","success":true,"data":{"isStreaming":false}})");
  EXPECT_EQ(pi.host.Count("> turn completed"), 1U) << pi.host.Text();
}

TEST(PiTest, AStopEndsTheTurnAndThenTheInput) {
  Pi pi;
  pi.Ready();
  EXPECT_TRUE(pi.adapter->Prompt("hello").ok());
  pi.Say(R"({"type":"agent_start"})");
  EXPECT_FALSE(pi.adapter->PrepareStop());
  EXPECT_EQ(pi.host.Count("> turn cancelled"), 0U);
  pi.Say(R"({"type":"agent_end","messages":[]})");
  pi.Say(R"({"id":"3","type":"response","command":"abort","success":true})");
  pi.Say(R"({"id":"4","type":"response","command":"get_state","success":true,"data":{"isStreaming":false}})");
  pi.Say(R"({"id":"5","type":"response","command":"get_state","success":true,"data":{"isStreaming":false}})");
  EXPECT_EQ(pi.host.Count("> turn cancelled"), 1U) << pi.host.Text();
  EXPECT_THAT(pi.host.Text(), HasSubstr("> stdin closed"));
}

}  // namespace
}  // namespace reeve
