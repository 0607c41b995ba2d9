#include "orchestrator/log/transcript.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <string>
#include <vector>

#include "orchestrator/handover/saved_state.h"
#include "orchestrator/json/json.h"
#include "process/clock.h"
#include "tests/support/loop_fixture.h"

namespace reeve {
namespace {

class TranscriptTest : public ::testing::Test {
 protected:
  // dir and text of every line, "…" marking a partial one; every line must be JSON.
  [[nodiscard]] std::vector<std::string> Lines() const {
    std::vector<std::string> lines;
    for (const std::string& file : Transcript::Files(base)) {
      const std::string bytes = ReadFile(file);
      for (size_t at = 0; at < bytes.size();) {
        const size_t end = bytes.find('\n', at);
        auto json = JsonDocument::Parse(bytes.substr(at, end - at));
        EXPECT_TRUE(json.ok());
        at = end + 1;
        if (!json) continue;
        std::string line((*json)["dir"].StringOr("?"));
        line += (*json)["encoding"] ? " base64 " : " ";
        line += (*json)["text"].StringOr("?");
        if ((*json)["partial"]) line += "…";
        lines.push_back(line);
      }
    }
    return lines;
  }

  SystemClock clock;
  TempDir dir;
  std::string base = dir.path() + "/a1";
};

using Expected = std::vector<std::string>;

TEST_F(TranscriptTest, KeepsBothWaysLineByLine) {
  Transcript transcript(clock, base, {});
  transcript.Sent("{\"prompt\":1}\n{\"b\":2}\n");
  transcript.Received(Child::Output::kStdout, "one\r\ntw");
  transcript.Received(Child::Output::kStderr, "warn\n");
  transcript.Received(Child::Output::kStdout, "o\n\xff\xfe\nrest");
  transcript.ReceivedMessage("{\"type\":\"x\"}");
  transcript.EndProcess();
  EXPECT_EQ(Lines(), (Expected{"out {\"prompt\":1}", "out {\"b\":2}", "in one\r", "err warn", "in two",
                               "in base64 //4=", "in {\"type\":\"x\"}", "in rest…"}));
  struct stat file {};
  ASSERT_EQ(stat((base + ".jsonl").c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 0777U, 0600U);
}

TEST_F(TranscriptTest, HidesSecretsAlsoInsideJsonAndAcrossReads) {
  Transcript transcript(clock, base, {"sk-12345678", "with\"quote-and-more", "short", "sk-12345678-longer"});
  transcript.Sent("key sk-12345678 and sk-12345678-longer and short\n");
  transcript.Received(Child::Output::kStdout, "{\"k\":\"with\\\"quote-and-more\"} sk-1234");
  transcript.Received(Child::Output::kStdout, "5678\n");
  EXPECT_EQ(Lines(), (Expected{"out key *** and *** and short", "in {\"k\":\"***\"} ***"}));
}

TEST_F(TranscriptTest, HidesTheLinesOfASecretOfSeveral) {
  Transcript transcript(clock, base, {"-----BEGIN KEY-----\nMIIEvQIBADAN\n-----END KEY-----\n"});
  transcript.Received(Child::Output::kStdout, "-----BEGIN KEY-----\nMIIEvQIBADAN\n-----END KEY-----\n");
  EXPECT_EQ(Lines(), (Expected{"in ***", "in ***", "in ***"}));
}

TEST_F(TranscriptTest, ALongLineGoesOnAndCutsNoSecret) {
  const std::string secret = "a-secret-of-some-length";
  for (size_t before :
       {Transcript::kMaxLineBytes - 30, Transcript::kMaxLineBytes - 10, Transcript::kMaxLineBytes - 1}) {
    Transcript::Remove(base);
    Transcript transcript(clock, base, {secret});
    const std::string line = std::string(before, 'x') + secret + std::string(100, 'y');
    for (size_t at = 0; at < line.size(); at += 65'536) {
      transcript.Received(Child::Output::kStdout, std::string_view(line).substr(at, 65'536));
    }
    transcript.Received(Child::Output::kStdout, "\n");
    std::string joined;
    for (const std::string& part : Lines())
      joined += part.substr(3, part.ends_with("…") ? part.size() - 6 : part.size());
    EXPECT_EQ(joined, std::string(before, 'x') + "***" + std::string(100, 'y')) << before;
  }
}

// A replay must not wait for the answer before it shows the question.
TEST_F(TranscriptTest, APromptComesBeforeItsAnswer) {
  Transcript transcript(clock, base, {"a-secret-of-some-length"});
  transcript.Received(Child::Output::kStdout, "Name: ");
  transcript.Sent("x\n");
  transcript.Received(Child::Output::kStdout, "hello x, key a-secret");
  transcript.Sent("y\n");
  transcript.Received(Child::Output::kStdout, "-of-some-length\n");
  EXPECT_EQ(Lines(), (Expected{"in Name: …", "out x", "in hello x, key …", "out y", "in ***"}));
}

TEST_F(TranscriptTest, IsBounded) {
  Transcript transcript(clock, base, {});
  const std::string line(Transcript::kMaxLineBytes / 2, 'x');
  for (int i = 0; i < 80; ++i) transcript.ReceivedMessage(line);
  uint64_t bytes = 0;
  for (const std::string& file : Transcript::Files(base)) {
    struct stat there {};
    ASSERT_EQ(stat(file.c_str(), &there), 0);
    EXPECT_LE(static_cast<uint64_t>(there.st_size), Transcript::kMaxFileBytes);
    bytes += static_cast<uint64_t>(there.st_size);
  }
  EXPECT_EQ(Transcript::Files(base).size(), 2U);
  EXPECT_GT(bytes, Transcript::kMaxFileBytes);
}

TEST_F(TranscriptTest, GoesOnInTheFileOfAnEarlierDaemon) {
  { Transcript(clock, base, {}).ReceivedMessage("first"); }
  { Transcript(clock, base, {}).ReceivedMessage("second"); }
  EXPECT_EQ(Lines(), (Expected{"in first", "in second"}));
}

TEST_F(TranscriptTest, AFolderThatIsGoneCostsTheRecordOnly) {
  Transcript transcript(clock, dir.path() + "/none/a1", {});
  transcript.ReceivedMessage("lost");
  EXPECT_TRUE(Transcript::Files(dir.path() + "/none/a1").empty());
}

TEST_F(TranscriptTest, LearnsSecretsOnTheWay) {
  Transcript transcript(clock, base, {"first-secret"});
  transcript.Sent("second-secret\n");
  transcript.AddSecret("second-secret\n");
  transcript.Sent("first-secret second-secret\n");
  for (size_t i = 0; i < Transcript::kMaxAdded; ++i) transcript.AddSecret("another " + std::to_string(i));
  transcript.Sent("first-secret second-secret another 0\n");
  EXPECT_EQ(Lines(), (Expected{"out second-secret", "out *** ***", "out *** second-secret ***"}));
}

// The process that it is given still has the old key, whatever the spec says by now.
TEST_F(TranscriptTest, WhatItHidesIsHiddenAfterAHandoverToo) {
  Transcript first(clock, base, {"key-of-yesterday"});
  first.AddSecret("file-of-yesterday");
  auto saved = JsonDocument::Parse(SaveState(first));
  ASSERT_TRUE(saved);
  Transcript next(clock, base, {"key-of-today"});
  ASSERT_TRUE(RestoreState(saved->root(), next).ok());
  next.ReceivedMessage("key-of-yesterday file-of-yesterday key-of-today");
  EXPECT_EQ(Lines(), Expected{"in *** *** ***"});
}

TEST_F(TranscriptTest, HidesASecretHoweverItIsEncoded) {
  const std::string secret = "p\xC3\xA4ss/w<o>rd \"+&\\?~!\xF0\x9F\x94\x91";
  Transcript transcript(clock, base, {secret});
  std::vector<std::string> encoded = {
      R"(p\u00e4ss/w<o>rd \"+&\\?~!\ud83d\udd11)",
      R"(p\u00e4ss/w<o>rd \"+&\\?~!\ud83d\udd11)",
      "p\xC3\xA4ss\\/w<o>rd \\\"+&\\\\?~!\xF0\x9F\x94\x91",
      "p\xC3\xA4ss/w\\u003co\\u003erd \\\"+\\u0026\\\\?~!\xF0\x9F\x94\x91",
      "p%C3%A4ss%2Fw%3Co%3Erd%20%22%2B%26%5C%3F~%21%F0%9F%94%91",
      "p%c3%a4ss%2fw%3co%3erd%20%22%2b%26%5c%3f~%21%f0%9f%94%91",
      "p%C3%A4ss%2Fw%3Co%3Erd+%22%2B%26%5C%3F~%21%F0%9F%94%91",
      "p%C3%A4ss%2Fw%3Co%3Erd%20%22%2B%26%5C%3F~!%F0%9F%94%91",
      "p%C3%A4ss/w%3Co%3Erd%20%22%2B%26%5C%3F~%21%F0%9F%94%91",
  };
  for (const std::string& one : encoded) transcript.Received(Child::Output::kStdout, "<" + one + ">\n");
  EXPECT_EQ(Lines(), Expected(encoded.size(), "in <***>"));
}

TEST_F(TranscriptTest, HidesASecretAtEveryPlaceOfABase64Text) {
  const std::string secret = "sk-ant-0123456789\xFB\xEF\xBE";
  Transcript transcript(clock, base, {secret});
  for (size_t before = 0; before < 6; ++before) {
    for (size_t after = 0; after < 3; ++after) {
      const std::string text = Base64(std::string(before, 'u') + secret + std::string(after, ':'));
      transcript.Received(Child::Output::kStdout, text + "\n");
      std::string url = text;
      std::replace(url.begin(), url.end(), '+', '-');
      std::replace(url.begin(), url.end(), '/', '_');
      transcript.Received(Child::Output::kStdout, url + "\n");
    }
  }
  for (const std::string& line : Lines()) {
    EXPECT_NE(line.find("***"), std::string::npos) << line;
    EXPECT_LT(line.size(), 3 + 8 + 3 + 8U) << line;
  }
}

}  // namespace
}  // namespace reeve
