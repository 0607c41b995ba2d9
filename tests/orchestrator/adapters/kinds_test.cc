// The promises of KINDS.md that hold for every kind, checked for each line of the table in kinds.cc: a new
// kind is tested here without being named. Its recordings, fixtures/<kind>-*.jsonl, are its input, if it has
// any.
#include "orchestrator/adapters/kind.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "orchestrator/adapters/adapter.h"
#include "orchestrator/log/event_data.h"
#include "orchestrator/log/event_types.h"
#include "tests/support/handover.h"
#include "tests/support/loop_fixture.h"
#include "tests/support/odd_json.h"
#include "tests/support/paths.h"
#include "tests/support/rpc_recording.h"
#include "tests/support/vocabulary.h"

namespace reeve {
namespace {

// A process of the kind that was spawned, and whose tests say what it prints.
class Spawned {
 public:
  explicit Spawned(const Kind& kind)
      : adapter(host, kind.make(host, ""), [this, &kind] { return kind.make(host, ""); }) {
    SpawnSpec spawn;
    spawn.argv = {kind.program ? kind.program : "/bin/agent"};
    spawn.cwd = "/somewhere";
    EXPECT_TRUE(adapter->Prepare(spawn).ok());
    adapter->OnSpawned();
  }
  void Say(std::string_view bytes) { adapter->OnOutput(Child::Output::kStdout, bytes); }

  Loop loop;
  RpcHost host{loop};
  HandedAdapter adapter;
};

// Everything that was ever recorded of this kind's stdout.
std::vector<std::string> LinesOf(const std::string& kind) {
  std::vector<std::string> lines;
  for (const auto& entry : std::filesystem::directory_iterator(kFixtures)) {
    const std::string name = entry.path().filename();
    if (!name.starts_with(kind + "-") || !name.ends_with(".jsonl") || name.ends_with("-stdin.jsonl"))
      continue;
    std::istringstream file(ReadFile(entry.path()));
    for (std::string line; std::getline(file, line);) {
      if (!line.starts_with("<< ")) lines.push_back(line);
    }
  }
  std::sort(lines.begin(), lines.end(), [](const auto& a, const auto& b) { return a.size() < b.size(); });
  if (lines.empty())
    lines = {R"({"type":"assistant.message","message_id":"m","text":"t"})", "words", "{}", "[1]"};
  return lines;
}

// The same, recording by recording and in their order. A kind that was not recorded says a little of
// everything.
std::vector<std::vector<std::string>> RecordingsOf(const std::string& kind) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(kFixtures)) {
    const std::string name = entry.path().filename();
    if (name.starts_with(kind + "-") && name.ends_with(".jsonl") && !name.ends_with("-stdin.jsonl"))
      names.push_back(entry.path());
  }
  std::sort(names.begin(), names.end());
  std::vector<std::vector<std::string>> recordings;
  for (const std::string& name : names) {
    std::istringstream file(ReadFile(name));
    recordings.emplace_back();
    for (std::string line; std::getline(file, line);) {
      if (!line.starts_with("<< ")) recordings.back().push_back(line);
    }
  }
  if (recordings.empty()) {
    recordings = {{R"({"type":"assistant.message","message_id":"m","text":"t"})",
                   R"({"type":"tool.started","call_id":"c","name":"bash","input":{"command":"ls"}})",
                   R"({"type":"tool.completed","call_id":"c","name":"bash","output":"a","exit_code":0})",
                   R"({"type":"plan.updated","entries":[{"content":"a","status":"pending"}]})",
                   R"({"type":"usage.updated","input_tokens":1,"output_tokens":2,"cost_usd":0.5})",
                   R"({"type":"file.edited","path":"a","diff":"d"})", "words"}};
  }
  return recordings;
}

// Some adapters make ids at random; each run of 8 hexadecimal digits or more becomes one '#'.
std::string WithoutRandomIds(const std::string& text) {
  constexpr std::string_view kHex = "0123456789abcdef-";
  std::string plain;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find_first_not_of(kHex, at), text.size());
    end - at >= 8 ? plain += '#' : plain.append(text, at, end - at);
    if (end < text.size()) plain += text[end];
    at = end + 1;
  }
  return plain;
}

class EveryKind : public ::testing::TestWithParam<std::string> {
 protected:
  // A program of a kind without turns names its own events, so the rules are its own affair.
  [[nodiscard]] std::string BrokenRuleOf(const Spawned& one) const {
    return kind.can.turns ? BrokenRule(one.host.lines()) : "";
  }
  const Kind& kind = *FindKind(GetParam());
};

// A person may use an ability as soon as the process is ready.
TEST_P(EveryKind, HasAFunctionForEachOfItsAbilities) {
  Spawned one(kind);
  if (kind.can.steer) one.adapter->Steer("s1", "text");
  if (kind.can.approve) one.adapter->Decide("p1", {true, "", ""});
  if (kind.can.elicit) one.adapter->Answer("e1", {ElicitationAnswer::Action::kDecline, ""});
  int answers = 0;
  if (kind.can.model) one.adapter->ListModels([&answers](const Result<std::string>&) { ++answers; });
  if (kind.can.interrupt) one.adapter->Interrupt();
  one.adapter->OnExited();
  EXPECT_EQ(answers, kind.can.model ? 1 : 0)
      << "each request for models is answered, at the latest by the end";
  EXPECT_TRUE(kind.can.approve || !kind.can.change_input);
  EXPECT_TRUE(kind.can.model || !kind.can.list_models);
}

TEST_P(EveryKind, SurvivesGarbage) {
  Spawned one(kind);
  SayGarbled(LinesOf(GetParam()), [&one](const std::string& line) { one.Say(line + "\n"); });
  one.adapter->OnExited();
  EXPECT_EQ(BrokenRuleOf(one), "");
}

// A viewer may rely on the types of the vocabulary, whatever the agent says in its own protocol.
TEST_P(EveryKind, WhatItSaysHasItsShapeEvenIfTheAgentsMembersHaveWrongTypes) {
  const std::vector<std::vector<std::string>> recordings = RecordingsOf(GetParam());
  std::mt19937 random(7);
  size_t content = 0;
  for (int round = 0; round < 300; ++round) {
    Spawned one(kind);
    (void)one.adapter->Prompt("hello");
    const std::vector<std::string>& lines = recordings[random() % recordings.size()];
    for (const std::string& line : lines)
      one.Say((random() % 4 == 0 ? WithAnOddValue(line, random) : line) + "\n");
    one.adapter->OnExited();
    ASSERT_EQ(BrokenRuleOf(one), "") << "round " << round;
    for (const std::string& line : one.host.lines()) {
      const size_t space = line.find(' ');
      const std::string type = line.substr(0, space);
      if (!event_type::IsContent(type)) continue;
      ++content;
      EXPECT_TRUE(HasItsShape(type, line.substr(space + 1))) << line.substr(0, 500);
    }
  }
  const bool on_stdout = GetParam() != "process" && GetParam() != "opencode" && GetParam() != "kilo";
  EXPECT_EQ(content > 0, on_stdout);  // opencode_events_test.cc has the same for what comes by HTTP
}

// Wherever the output breaks off, everything that began has an end.
TEST_P(EveryKind, EndsWhatIsOpenWhereverItsOutputBreaksOff) {
  const std::vector<std::string> lines = LinesOf(GetParam());
  std::mt19937 random(1);
  for (int round = 0; round < 50; ++round) {
    Spawned one(kind);
    (void)one.adapter->Prompt("hello");
    const size_t from = random() % lines.size();
    for (size_t at = from; at < std::min(lines.size(), from + 1 + random() % 20); ++at)
      one.Say(lines[at] + "\n");
    one.Say(std::string_view(lines[from]).substr(0, lines[from].size() / 2));
    one.adapter->OnExited();
    ASSERT_EQ(BrokenRuleOf(one), "") << "round " << round;
  }
}

// A handover after any byte changes nothing.
TEST_P(EveryKind, IsTheSameAcrossAHandoverAfterEveryByte) {
  constexpr size_t kLines = 12;
  constexpr size_t kMaxBytes = 4'000;
  auto play = [this](const std::function<void(Spawned&, const std::string&)>& say) {
    Spawned one(kind);
    (void)one.adapter->Prompt("hello");
    size_t said = 0;
    for (const std::string& line : LinesOf(GetParam())) {
      if (line.size() > kMaxBytes || ++said > kLines) break;
      say(one, line + "\n");
    }
    one.adapter->OnExited();
    return WithoutRandomIds(one.host.Text());
  };
  const std::string whole = play([](Spawned& one, const std::string& line) { one.Say(line); });
  const std::string handed =
      play([](Spawned& one, const std::string& line) { one.adapter.SayInPieces(line, 1); });
  EXPECT_EQ(handed, whole);
}

std::vector<std::string> Names() {
  std::vector<std::string> names;
  for (const Kind& kind : Kinds()) names.emplace_back(kind.name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(Kinds, EveryKind, ::testing::ValuesIn(Names()),
                         [](const auto& one) { return one.param; });

}  // namespace
}  // namespace reeve
