// The events of a child's output, joined, are its bytes: for every kind, and for bytes of every kind.
#include "orchestrator/adapters/output_lines.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "orchestrator/adapters/kind.h"
#include "orchestrator/json/json.h"
#include "tests/support/handover.h"
#include "tests/support/loop_fixture.h"
#include "tests/support/recording_host.h"

namespace reeve {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr auto kOut = Child::Output::kStdout;
constexpr auto kErr = Child::Output::kStderr;

// The bytes of each stream, joined from the events of agent.output.
std::map<std::string, std::string> Joined(const std::vector<std::string>& events) {
  std::map<std::string, std::string> joined;
  for (const std::string& event : events) {
    constexpr std::string_view kType = "agent.output ";
    if (!event.starts_with(kType)) continue;
    auto data = JsonDocument::Parse(std::string_view(event).substr(kType.size()));
    EXPECT_TRUE(data.ok()) << event.substr(0, 200);
    if (!data) continue;
    EXPECT_LE(event.size(), 6 * Lines::kMaxLineBytes + 100);
    std::string bytes((*data)["text"].StringOr(""));
    if ((*data)["json"]) bytes = (*data)["json"].Raw();
    if ((*data)["encoding"].StringOr("") == "base64") bytes = FromBase64(bytes).value_or("not base64");
    if (!(*data)["partial"].AsBool().value_or(false)) bytes += '\n';
    joined[std::string((*data)["stream"].StringOr(""))] += bytes;
  }
  return joined;
}

class OutputLinesTest : public ::testing::Test {
 protected:
  OutputLinesTest() { host.spec().command = {"agent"}; }
  std::unique_ptr<Adapter> Make(const Kind& kind) {
    host.Clear();
    auto adapter = kind.make(host, "");
    SpawnSpec spawn;
    spawn.argv = {"agent"};
    EXPECT_TRUE(adapter->Prepare(spawn).ok()) << kind.name;
    host.Clear();
    return adapter;
  }
  bool Until(size_t events) {
    return RunUntil(loop, [&] { return host.lines().size() >= events; });
  }

  Loop loop;
  RecordingHost host{loop};
};

TEST_F(OutputLinesTest, JoinedTheEventsOfAnyKindAreItsBytes) {
  std::string noise;
  for (int i = 0; i < 5'000; ++i) noise += static_cast<char>((i * 7919 + i / 13) % 256);
  const std::vector<std::string> outputs = {
      "a line\r\nanother\r\r\n\n\nprogress 10%\r 20%\rthe last has no end",
      "{\"a\":1}\n {\"a\":1}\n{\"a\":1} \n{\"a\":1}\r\n{\"a\" : [ 1 ] }\n{\"a\":1}",
      "caf\xe9\ncaf\xc3\xa9\ncaf\xc3",
      noise,
      std::string(2'500'000, 'x') + "\nafter it\n",
      std::string((size_t{1} << 20) - 1, 'x') + "\xc3\xa4\n",
      R"({"stray":")" + std::string(size_t{5} << 20, 'x') + "\"}\n",
      std::string((size_t{17} << 20), 'y') + "\n" + "{}\n",
  };
  for (const Kind& kind : Kinds()) {
    for (const std::string& output : outputs) {
      for (const auto from : {kOut, kErr}) {
        auto adapter = Make(kind);
        const size_t step = output.size() > 100'000 ? 60'000 : 7;
        for (size_t at = 0; at < output.size(); at += step)
          adapter->OnOutput(from, std::string_view(output).substr(at, step));
        adapter->OnExited();
        EXPECT_TRUE(Joined(host.lines())[NameOf(from)] == output)
            << kind.name << " " << NameOf(from) << " " << output.substr(0, 50);
      }
    }
  }
}

TEST_F(OutputLinesTest, APromptWithoutALineEndIsTold) {
  for (const Kind& kind : Kinds()) {
    auto adapter = Make(kind);
    // A server's standard output is its protocol until it has said its port.
    const bool launches = kind.name == std::string("opencode") || kind.name == std::string("kilo");
    if (launches) continue;
    adapter->OnOutput(kOut, "Overwrite? [y/N] ");
    EXPECT_THAT(host.lines(), IsEmpty()) << kind.name;
    ASSERT_TRUE(Until(1)) << kind.name;
    adapter->OnOutput(kOut, "no\n");
    EXPECT_THAT(host.lines(),
                ElementsAre(R"(agent.output {"stream":"stdout","text":"Overwrite? [y/N] ","partial":true})",
                            R"(agent.output {"stream":"stdout","text":"no"})"))
        << kind.name;
  }
}

TEST_F(OutputLinesTest, PartsOfAStreamAreApart) {
  OutputLines lines(host, {});
  const int64_t begin = loop.NowMs();
  size_t fed = 0;
  // A progress bar. It moves once a millisecond at most, so that no part becomes long enough to end for its
  // length.
  for (int64_t fed_at = begin - 1; host.lines().size() < 3; loop.RunOnce(false)) {
    if (loop.NowMs() == fed_at) continue;
    fed_at = loop.NowMs();
    lines.Take(kErr, "\r" + std::to_string(++fed) + "%");
  }
  EXPECT_GE(loop.NowMs() - begin, 3 * OutputLines::kPartMs);
  EXPECT_GT(fed, 3U);
  const std::string joined = Joined(host.lines())["stderr"];
  EXPECT_TRUE(joined.starts_with("\r1%\r2%\r3%")) << joined;
}

TEST_F(OutputLinesTest, AMessageOfTheProtocolIsAwaited) {
  std::vector<std::string> got;
  OutputLines lines(host, {.on_line = [&](Child::Output, std::string_view line) { got.emplace_back(line); }});
  lines.Take(kOut, " {\"a\":");
  lines.Take(kErr, "beside");
  ASSERT_TRUE(Until(1));
  lines.Take(kOut, "1}\r\n");
  EXPECT_THAT(got, ElementsAre(" {\"a\":1}"));
  EXPECT_THAT(host.lines(),
              ElementsAre(R"(agent.output {"stream":"stderr","text":"beside","partial":true})"));
}

TEST_F(OutputLinesTest, HalfACharacterWaitsAndIsNotHeldForEver) {
  OutputLines lines(host, {});
  lines.Take(kOut, "caf\xc3");
  ASSERT_TRUE(Until(1));
  lines.Take(kOut, "\xa9");
  ASSERT_TRUE(Until(2));
  lines.Take(kOut, "\xe9");
  ASSERT_TRUE(Until(3));
  EXPECT_THAT(
      host.lines(),
      ElementsAre(R"(agent.output {"stream":"stdout","text":"caf","partial":true})",
                  "agent.output {\"stream\":\"stdout\",\"text\":\"\xc3\xa9\",\"partial\":true}",
                  R"(agent.output {"stream":"stdout","text":"6Q==","encoding":"base64","partial":true})"));
}

TEST_F(OutputLinesTest, AHandoverTakesThePartAlong) {
  const Kind& kind = *FindKind("process");
  HandedAdapter adapter(host, Make(kind), [&] { return kind.make(host, ""); });
  adapter->OnOutput(kOut, "Name: ");
  adapter.HandOver();
  ASSERT_TRUE(Until(1)) << "the next daemon tells it, though no more comes";
  adapter.HandOver();
  adapter->OnOutput(kOut, "x\n");
  EXPECT_EQ(Joined(host.lines())["stdout"], "Name: x\n");
}

}  // namespace
}  // namespace reeve
