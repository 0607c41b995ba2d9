// The transcript of an agent, and `reeve replay`, which plays it back as an agent.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "tests/support/daemon.h"
#include "tests/support/paths.h"

namespace reeve {
namespace {

using Strings = std::vector<std::string>;

std::string RecordedLine(const char* dir, const std::string& text) {
  return JsonObject().Set("time", "2026-11-20T10:00:00.000Z").Set("dir", dir).Set("text", text).Take() + "\n";
}

TEST(TranscriptRoute, GivesWhatWasSaidBothWaysAndReplayPlaysIt) {
  Daemon daemon;
  daemon.Create(R"({"id":"a1","kind":"jsonl","record":true,"env":{"KEY":"sk-0123456789"},"command":["sh","-c",
      "echo key $KEY; read l; printf '{\"type\":\"assistant.message\",\"text\":\"%s\"}\\n' \"$l\"; echo warn >&2"]})");
  ASSERT_EQ(daemon.Post("/agents/a1/message", R"({"text":"hello"})").status, 202);
  daemon.WaitFor("a1");
  HttpAnswer transcript = daemon.Get("/agents/a1/transcript");
  ASSERT_EQ(transcript.status, 200);
  EXPECT_EQ(transcript.Header("content-type"), "application/x-ndjson");
  EXPECT_EQ(transcript.body.find("sk-0123456789"), std::string::npos);
  EXPECT_NE(transcript.body.find(R"("dir":"out","text":"hello")"), std::string::npos) << transcript.body;
  WriteFile(daemon.data_dir() + "/recording", transcript.body);

  daemon.Create(R"({"id":"a2","kind":"jsonl","command":[")" + std::string(kReeveBinary) +
                R"(","replay","--fast",")" + daemon.data_dir() +
                R"(/recording","--flags","of the kind's"]})");
  ASSERT_EQ(daemon.Post("/agents/a2/message", R"({"text":"anything"})").status, 202);
  ASSERT_TRUE(
      Eventually([&] { return daemon.Events("a2", "after=0&types=agent.output,assistant.*").size() == 3; }));
  Strings said;
  for (const std::string& event : daemon.Events("a2", "after=0&types=agent.output,assistant.*")) {
    said.push_back(JsonField(event, "data.text"));
  }
  EXPECT_EQ(said, (Strings{"key ***", "hello", "warn"}));

  EXPECT_EQ(daemon.Get("/agents/a2/transcript").Field("code"), "transcript_not_found");
  EXPECT_EQ(daemon.Get("/agents/none/transcript").status, 404);
}

TEST(Replay, SaysWhatIsWrongWithAFile) {
  TempDir dir;
  auto replay = [&dir](const std::string& file) {
    const std::string command =
        std::string(kReeveBinary) + " replay " + file + " </dev/null >" + dir.path() + "/out 2>&1";
    const int status = std::system(command.c_str());
    return std::to_string(WEXITSTATUS(status)) + " " + ReadFile(dir.path() + "/out");
  };
  EXPECT_EQ(replay(dir.path() + "/none").substr(0, 3), "66 ");
  WriteFile(dir.path() + "/empty", "\n");
  EXPECT_EQ(replay(dir.path() + "/empty").substr(0, 3), "65 ");
  WriteFile(dir.path() + "/bad", RecordedLine("in", "x") + "{\"dir\":\"sideways\",\"text\":\"y\"}\n");
  const std::string said = replay(dir.path() + "/bad");
  EXPECT_EQ(said.substr(0, 3), "65 ");
  EXPECT_NE(said.find("bad:2: not a line of a transcript"), std::string::npos) << said;
  WriteFile(dir.path() + "/server", RecordedLine("in", "kilo server listening on http://127.0.0.1:4096") +
                                        RecordedLine("in", R"({"type":"session.idle","properties":{}})"));
  EXPECT_EQ(replay(dir.path() + "/server").substr(0, 3), "65 ");
  WriteFile(dir.path() + "/good", RecordedLine("in", "one") + RecordedLine("err", "two") +
                                      RecordedLine("out", "three") +
                                      RecordedLine("in", "never: stdin has ended"));
  EXPECT_EQ(replay(dir.path() + "/good --unknown flag"), "0 one\ntwo\n");
}

}  // namespace
}  // namespace reeve
