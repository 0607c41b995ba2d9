// GET /agents/{id}/export and the batch's export: control/api/API.md, "Export".
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/daemon.h"
#include "tests/support/download.h"
#include "tests/support/sanitized.h"

namespace reeve {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string Shell(const std::string& id, const std::string& script) {
  return JsonObject()
      .Set("id", id)
      .Set("kind", "process")
      .SetRaw("command", JsonArray().Add("/bin/sh").Add("-c").Add(script).Take())
      .Take();
}

// The envelopes of the agent's log as its files have them, a line each.
std::string EventsOnDisk(const Daemon& daemon, const std::string& agent) {
  std::string lines;
  const std::string log = daemon.LogFiles(agent);
  for (size_t at = log.find("\ndata: "); at != std::string::npos; at = log.find("\ndata: ", at + 1)) {
    lines.append(log, at + 7, log.find('\n', at + 1) + 1 - (at + 7));
  }
  return lines;
}

std::string Type(const std::string& line) { return JsonField(line, "type"); }

// An agent that said `lines` numbers and waits for a word.
void MakeTalker(const Daemon& daemon, const std::string& id, int lines) {
  daemon.Create(Shell(
      id, "seq 1 " + std::to_string(lines) + "; echo done; while read n; do seq 1 $n; echo said; done"));
  ASSERT_TRUE(Eventually([&] { return daemon.LogFiles(id).find("\"text\":\"done\"") != std::string::npos; }));
}

// With that of the log that it has read open.
size_t DescriptorsAfterAnExport(const Daemon& daemon) {
  const size_t before = daemon.OpenDescriptors();
  EXPECT_TRUE(Download(daemon, "GET", "/agents/a1/export").UntilEnd());
  EXPECT_TRUE(Eventually([&] { return daemon.OpenDescriptors() <= before + 1; }));
  return daemon.OpenDescriptors();
}

TEST(Export, IsTheAgentAndItsLogAndSaysThatItIsWhole) {
  Daemon daemon;
  daemon.Create(R"({"id":"a1","kind":"process","command":["/bin/sh","-c","seq 1 5000"],"title":"counts",
                    "env":{"SECRET":"value-that-nobody-sees"}})");
  daemon.WaitFor("a1");
  Download download(daemon, "GET", "/agents/a1/export");
  ASSERT_TRUE(download.UntilEnd());
  EXPECT_EQ(download.status(), 200);
  EXPECT_THAT(download.head(), HasSubstr("Content-Type: application/x-ndjson\r\n"));
  EXPECT_TRUE(download.whole());
  const std::vector<std::string> lines = download.Lines();
  ASSERT_GT(lines.size(), 5'000U);
  EXPECT_EQ(Type(lines.front()), "export.agent");
  EXPECT_EQ(JsonField(lines.front(), "agent"), "a1");
  EXPECT_EQ(JsonField(lines.front(), "data.title"), "counts");
  EXPECT_EQ(JsonField(lines.front(), "data.state"), "exited");
  EXPECT_EQ(Type(lines.back()), "export.end");
  EXPECT_EQ(JsonField(lines.back(), "data.cursor"), daemon.Get("/agents/a1").Field("cursor"));
  const std::string events = EventsOnDisk(daemon, "a1");
  EXPECT_THAT(download.body(), HasSubstr(events));
  EXPECT_EQ(JsonField(lines.back(), "data.events"),
            std::to_string(std::count(events.begin(), events.end(), '\n')));
  EXPECT_THAT(download.body(), Not(HasSubstr("value-that-nobody-sees")));
}

TEST(Export, EndsWhereTheLogEndedWhenItBegan) {
  Daemon daemon;
  daemon.Create(Shell("a1", "while :; do echo x; done"));
  daemon.WaitFor("a1", "until=ready");
  Download download(daemon, "GET", "/agents/a1/export");
  ASSERT_TRUE(download.UntilEnd());
  EXPECT_TRUE(download.whole());
  EXPECT_EQ(Type(download.Lines().back()), "export.end");
}

TEST(Export, HasRunsAndMessages) {
  Daemon daemon;
  daemon.Create(
      R"({"id":"a1","kind":"jsonl","command":["/bin/sh","-c","while read n; do echo '{\"type\":\"run.completed\"}'; done"],
          "kind_options":{"turns":true}})");
  for (int i = 0; i < 40; ++i) {
    const std::string id =
        daemon.Post("/agents/a1/message", R"({"text":"number )" + std::to_string(i) + "\"}")
            .Field("message_id");
    ASSERT_EQ(daemon.WaitFor("a1", "until=terminal&message_id=" + id).Field("status"), "completed");
  }
  const std::string later =
      daemon.Post("/agents/a1/message", R"({"text":"tomorrow","delay_ms":86400000})").Field("message_id");
  Download download(daemon, "GET", "/agents/a1/export");
  ASSERT_TRUE(download.UntilEnd());
  int messages = 0;
  std::vector<std::string> runs;
  std::string before;
  for (const std::string& line : download.Lines()) {
    const std::string type = Type(line);
    if (type == "export.run") runs.push_back(JsonField(line, "data.status"));
    if (type == "export.message") {
      const std::string text = JsonField(line, "data.text");
      EXPECT_EQ(text, messages == 40 ? "tomorrow" : "number " + std::to_string(messages));
      EXPECT_EQ(JsonField(line, "data.state"), messages == 40 ? "queued" : "done");
      ++messages;
    }
    if (type.rfind("export.", 0) == 0 && type != before) before += type + " ";
  }
  EXPECT_EQ(messages, 41);
  EXPECT_EQ(runs, std::vector<std::string>(40, "completed"));
  EXPECT_EQ(JsonField(download.Lines()[41 + 40], "data.message_id"), later);
}

TEST(Export, DeletedAgentsAreExportedUntilTheyArePurged) {
  Daemon daemon;
  daemon.Create(Shell("a1", "echo last words"));
  daemon.WaitFor("a1");
  EXPECT_EQ(daemon.Call("DELETE", "/agents/a1").status, 204);
  Download download(daemon, "GET", "/agents/a1/export");
  ASSERT_TRUE(download.UntilEnd());
  EXPECT_THAT(download.body(), HasSubstr("last words"));
  EXPECT_EQ(Type(download.Lines().back()), "export.end");
  EXPECT_EQ(daemon.Call("DELETE", "/agents/a1?purge=true").status, 204);
  EXPECT_EQ(daemon.Get("/agents/a1/export").status, 404);
  EXPECT_EQ(daemon.Get("/agents/none/export").Field("code"), "agent_not_found");
}

TEST(Export, NeedsATokenThatMayOperate) {
  TempDir folder;
  WriteFile(folder.path() + "/tokens", "admin-token-0123456789\nview viewer-token-0123456789\n");
  Daemon::Options options;
  options.arguments = {"--token-file", folder.path() + "/tokens"};
  Daemon daemon(options);
  const Headers viewer = {{"Authorization", "Bearer viewer-token-0123456789"}};
  EXPECT_EQ(HttpConnection(daemon.address()).Call("GET", "/agents/a1/export", "", viewer).status, 403);
  EXPECT_EQ(HttpConnection(daemon.address()).Call("GET", "/agents/a1/export").status, 401);
}

// 40 MB of log and readers that take nothing: neither memory nor anybody's time.
TEST(Export, SlowReadersCostNobodyAnything) {
  Daemon daemon;
  MakeTalker(daemon, "a1", 300'000);
  const std::string events = EventsOnDisk(daemon, "a1");
  ASSERT_GT(events.size(), size_t{30} << 20);
  {
    Download warm_up(daemon, "GET", "/agents/a1/export");
    ASSERT_TRUE(warm_up.UntilEnd());
  }
  const size_t before = daemon.ResidentBytes();
  std::vector<std::unique_ptr<Download>> slow;
  for (int i = 0; i < 20; ++i) {
    slow.push_back(std::make_unique<Download>(daemon, "GET", "/agents/a1/export", "", 4096));
    ASSERT_TRUE(slow.back()->Until([&] { return slow.back()->status() == 200; }));
  }
  Download quick(daemon, "GET", "/agents/a1/export");
  auto stream = daemon.Stream("/agents/a1/stream");
  ASSERT_TRUE(stream->UntilEvent("stream.synced"));
  ASSERT_TRUE(quick.UntilEnd());
  EXPECT_THAT(quick.body().find(events), Not(std::string::npos));
  EXPECT_EQ(daemon.Post("/agents/a1/message", R"({"text":"1"})").status, 202);
  EXPECT_TRUE(stream->UntilEvent("agent.output"));
  if (!kSanitized) {
    EXPECT_LT(daemon.ResidentBytes(), before + (size_t{12} << 20));
  }
  // And when one reads on, it gets everything that was there when it began.
  ASSERT_TRUE(slow[0]->UntilEnd());
  EXPECT_TRUE(slow[0]->whole());
  EXPECT_THAT(slow[0]->body().find(events), Not(std::string::npos));
}

TEST(Export, AReaderThatLeavesLeavesNothingBehind) {
  Daemon daemon;
  MakeTalker(daemon, "a1", 100'000);
  const size_t before = DescriptorsAfterAnExport(daemon);
  for (int i = 0; i < 10; ++i) {
    Download download(daemon, "GET", "/agents/a1/export", "", 4096);
    ASSERT_TRUE(download.Until([&] { return download.body().size() > 1'000; }));
    download.Leave();
  }
  EXPECT_TRUE(Eventually([&] { return daemon.OpenDescriptors() <= before; }));
}

TEST(Export, AReaderThatTakesNothingIsClosed) {
  Daemon::Options options;
  options.arguments = {"--stall-timeout", "300ms"};
  Daemon daemon(options);
  MakeTalker(daemon, "a1", 100'000);
  Download download(daemon, "GET", "/agents/a1/export", "", 4096);
  ASSERT_TRUE(download.Until([&] { return download.status() == 200; }));
  EXPECT_TRUE(Eventually([&] { return !download.Held(); }));
  EXPECT_TRUE(download.UntilEnd());
  EXPECT_FALSE(download.whole());  // and it can tell
}

TEST(Export, RetentionDoesNotWaitForAReaderWhichIsToldWhatItMissed) {
  Daemon::Options options;
  options.arguments = {"--segment-bytes", "64KiB", "--retain-bytes", "4MiB"};
  Daemon daemon(options);
  MakeTalker(daemon, "a1", 20'000);
  Download slow(daemon, "GET", "/agents/a1/export", "", 4096);
  ASSERT_TRUE(slow.Until([&] { return slow.body().size() > 1'000; }));
  daemon.Post("/agents/a1/message", R"({"text":"60000"})");
  ASSERT_TRUE(
      Eventually([&] { return daemon.LogFiles("a1").find("\"text\":\"said\"") != std::string::npos; }));
  ASSERT_TRUE(slow.UntilEnd());
  EXPECT_TRUE(slow.whole());
  uint64_t seq = 0;
  int gaps = 0;
  for (const std::string& line : slow.Lines()) {
    if (Type(line) == "export.gap") {
      ++gaps;
      const std::string from = JsonField(line, "data.from");
      const std::string to = JsonField(line, "data.to");
      EXPECT_EQ(std::stoull(from.substr(from.find('-') + 1)), seq);
      seq = std::stoull(to.substr(to.find('-') + 1));
    } else if (const std::string number = JsonField(line, "seq"); !number.empty()) {
      ASSERT_EQ(std::stoull(number), ++seq);
    }
  }
  EXPECT_EQ(gaps, 1);
  EXPECT_EQ(Type(slow.Lines().back()), "export.end");
}

TEST(Export, SeveralComeOneAfterAnotherWhateverBecomesOfOne) {
  Daemon daemon;
  MakeTalker(daemon, "a1", 100'000);
  MakeTalker(daemon, "a2", 10);
  Download batch(daemon, "POST", "/agents/batch", R"({"action":"export","ids":["none","a1","a2","a1"]})",
                 4096);
  ASSERT_TRUE(batch.Until([&] { return batch.body().size() > 1'000; }));
  EXPECT_EQ(daemon.Call("DELETE", "/agents/a1?purge=true").status, 202);
  ASSERT_TRUE(Eventually([&] { return daemon.Get("/agents/a1").status == 404; }));
  ASSERT_TRUE(batch.UntilEnd());
  EXPECT_TRUE(batch.whole());
  std::vector<std::string> told;
  for (const std::string& line : batch.Lines()) {
    if (Type(line).rfind("export.", 0) != 0) continue;
    told.push_back(JsonField(line, "agent") + " " + Type(line) + " " + JsonField(line, "data.code"));
  }
  EXPECT_THAT(told,
              testing::ElementsAre("none export.error agent_not_found", "a1 export.agent ",
                                   "a1 export.error agent_not_found", "a2 export.agent ", "a2 export.end "));
}

}  // namespace
}  // namespace reeve
