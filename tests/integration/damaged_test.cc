// Damage to the files of one agent is that agent's alone.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>

#include "orchestrator/json/json.h"
#include "process/fd.h"
#include "tests/support/command.h"
#include "tests/support/daemon.h"

namespace reeve {
namespace {

using testing::HasSubstr;

constexpr const char* kCat = R"(,"kind":"process","command":["cat"],"restart":{"policy":"always"}})";

std::string SegmentOf(const Daemon& daemon, const std::string& agent) {
  for (const auto& entry : std::filesystem::directory_iterator(daemon.data_dir() + "/events/" + agent)) {
    if (entry.path().extension() == ".sse") return entry.path().string();
  }
  return {};
}

// Kills a daemon with two agents, damages the files of one, and looks at both.
void TryDamage(const std::function<void(const Daemon&)>& damage, const std::string& reason) {
  Daemon daemon;
  daemon.Create(std::string(R"({"id":"bad")") + kCat);
  daemon.Create(std::string(R"({"id":"good")") + kCat);
  daemon.WaitFor("bad", "until=ready");
  daemon.WaitFor("good", "until=ready");
  daemon.Kill();
  damage(daemon);
  daemon.Start();
  EXPECT_EQ(daemon.WaitFor("good", "until=ready").status, 200);
  const HttpAnswer bad = daemon.Get("/agents/bad");
  EXPECT_EQ(bad.Field("state"), "failed") << bad.body;
  EXPECT_THAT(bad.Field("reason"), HasSubstr(reason));
  EXPECT_THAT(daemon.log(), HasSubstr("agent bad cannot be loaded: "));
  const HttpAnswer start = daemon.Post("/agents/bad/start");
  EXPECT_GE(start.status, 400);
  EXPECT_THAT(start.Field("detail"), HasSubstr(reason));
  EXPECT_GE(daemon.Post("/agents/bad/message", R"({"text":"x"})").status, 400);
  EXPECT_GE(daemon.Call("PATCH", "/agents/bad", R"({"title":"x"})").status, 400);
  EXPECT_TRUE(daemon.HandOver()) << "which tries to load it again";
  EXPECT_EQ(daemon.Get("/agents/bad").Field("state"), "failed");
  EXPECT_EQ(daemon.Get("/agents/good").Field("state"), "running");
  EXPECT_EQ(daemon.Call("DELETE", "/agents/bad?purge=true").status, 204);
  EXPECT_TRUE(Eventually([&] { return daemon.Get("/agents/bad").status == 404; }));
  daemon.Create(std::string(R"({"id":"bad")") + kCat);
  EXPECT_EQ(daemon.WaitFor("bad", "until=ready").status, 200);
}

TEST(Damaged, AFifoInPlaceOfASegment) {
  TryDamage(
      [](const Daemon& daemon) {
        const std::string segment = SegmentOf(daemon, "bad");
        ASSERT_EQ(unlink(segment.c_str()), 0);
        ASSERT_EQ(mkfifo(segment.c_str(), 0600), 0);
      },
      "is not a regular file");
}

TEST(Damaged, AFolderInPlaceOfASegment) {
  TryDamage(
      [](const Daemon& daemon) {
        const std::string segment = SegmentOf(daemon, "bad");
        ASSERT_EQ(unlink(segment.c_str()), 0);
        ASSERT_EQ(mkdir(segment.c_str(), 0700), 0);
      },
      "is not a regular file");
}

TEST(Damaged, AFileInPlaceOfItsFolder) {
  TryDamage(
      [](const Daemon& daemon) {
        const std::string folder = daemon.data_dir() + "/events/bad";
        std::filesystem::remove_all(folder);
        WriteFile(folder, "no folder");
      },
      "events/bad");
}

// The frames of a stream or the events of pages, as numbers: "1-900 damaged 901-912 913-2000".
class Numbers {
 public:
  void Event(const std::string& id) {
    const uint64_t seq = Seq(id);
    if (seq != last_ + 1 || first_ == 0) End(), first_ = seq;
    last_ = seq;
  }
  void Gap(const std::string& from, const std::string& to, const std::string& reason) {
    End();
    text_ += reason + " " + std::to_string(Seq(from) + 1) + "-" + std::to_string(Seq(to)) + " ";
    last_ = Seq(to);
  }
  std::string Take() {
    End();
    return std::exchange(text_, {});
  }

 private:
  static uint64_t Seq(const std::string& id) { return std::stoull(id.substr(id.find('-') + 1)); }
  void End() {
    if (first_ != 0) text_ += std::to_string(first_) + "-" + std::to_string(last_) + " ";
    first_ = 0;
  }
  std::string text_;
  uint64_t first_ = 0;
  uint64_t last_ = 0;
};

std::string NumbersOf(StreamClient& stream, bool filtered) {
  EXPECT_TRUE(stream.UntilEvent("stream.synced"));
  Numbers numbers;
  for (const StreamFrame& frame : stream.frames()) {
    if (frame.event == "stream.gap")
      numbers.Gap(frame.Field("from"), frame.Field("to"), frame.Field("reason"));
    if (frame.event == "agent.output" || (!filtered && !frame.id.empty() && !frame.event.empty()))
      numbers.Event(frame.id);
  }
  EXPECT_EQ(stream.malformed(), "");
  return numbers.Take();
}

std::string NumbersOfPages(const Daemon& daemon, size_t limit) {
  Numbers numbers;
  std::string after = "0";
  for (;;) {
    const HttpAnswer page =
        daemon.Get("/agents/bad/events?after=" + after + "&limit=" + std::to_string(limit));
    auto json = JsonDocument::Parse(page.body);
    if (page.status != 200 || !json) return page.wire;
    if (const JsonValue gap = (*json)["gap"]; gap.Is(JsonType::kObject)) {
      numbers.Gap(page.Field("gap.from"), page.Field("gap.to"), page.Field("gap.reason"));
    }
    for (const JsonValue& event : (*json)["events"].Elements())
      numbers.Event("-" + std::to_string(event["seq"].AsInt().value_or(0)));
    after = page.Field("cursor");
    if (page.Field("more") != "true") return numbers.Take();
  }
}

// Viewers, pages and exports get all events but those in the damaged block, and are told so.
TEST(Damaged, AFlippedBitOfASegmentIsAGapForEachReader) {
  Daemon daemon;
  daemon.Create(R"({"id":"bad","kind":"process","command":["sh","-c","seq 1 2000; exec cat"]})");
  ASSERT_TRUE(Eventually([&] { return daemon.LogFiles("bad").find("\"2000\"") != std::string::npos; }));
  daemon.Signal(SIGTERM);  // then all events have sums
  ASSERT_EQ(daemon.Wait(), 0);
  const std::string segment = SegmentOf(daemon, "bad");
  std::string bytes = ReadFile(segment);
  ASSERT_GT(bytes.size(), 200'000U);
  const size_t flipped = bytes.find("\"text\":\"500\"");
  bytes[flipped + 10] = '7';
  WriteFile(segment, bytes);
  // The events with a byte in the block of 4096 bytes.
  const auto number_at = [&bytes](size_t at) {
    const size_t line = at == 0 ? 0 : bytes.rfind("\nid: ", at - 1) + 1;
    return std::stoull(bytes.substr(bytes.find('-', line) + 1, 20));
  };
  const size_t block = flipped / 4096 * 4096;
  const uint64_t first = number_at(block);
  const uint64_t last = number_at(block + 4095);
  ASSERT_TRUE(first > 1 && last > first && last < 600) << first << " " << last;
  daemon.Start();
  ASSERT_EQ(daemon.Get("/agents/bad").status, 200);

  auto alone = daemon.Stream("/agents/bad/stream?after=0");
  const std::string whole = NumbersOf(*alone, false);
  const std::string head = whole.substr(whole.rfind('-') + 1, whole.size() - whole.rfind('-') - 2);
  const std::string gap = "damaged " + std::to_string(first) + "-" + std::to_string(last) + " ";
  const std::string rest = gap + std::to_string(last + 1) + "-" + head + " ";
  EXPECT_EQ(whole, "1-" + std::to_string(first - 1) + " " + rest);
  EXPECT_EQ(NumbersOfPages(daemon, 100), whole);
  EXPECT_EQ(NumbersOfPages(daemon, 10'000), whole);
  for (const uint64_t seen : {first - 1, first, last}) {
    auto stream = daemon.Stream("/agents/bad/stream?after=1-" + std::to_string(seen));
    const std::string missing =
        seen == last ? "" : "damaged " + std::to_string(seen + 1) + "-" + std::to_string(last) + " ";
    EXPECT_EQ(NumbersOf(*stream, false), missing + std::to_string(last + 1) + "-" + head + " ");
  }
  const std::string filtered =
      NumbersOf(*daemon.Stream("/agents/bad/stream?after=0&types=agent.output"), true);
  EXPECT_THAT(filtered, HasSubstr(std::to_string(first - 1) + " " + gap + std::to_string(last + 1) + "-"));
  auto several = daemon.Stream("/stream?agents=bad&after=bad:0");
  ASSERT_TRUE(several->UntilEvent("stream.synced"));
  EXPECT_EQ(several->All("stream.gap").size(), 1U);
  EXPECT_TRUE(several->events() == alone->events());
  const HttpAnswer exported = daemon.Get("/agents/bad/export");
  EXPECT_THAT(exported.body,
              HasSubstr(R"("type":"export.gap","data":{"from":"1-)" + std::to_string(first - 1) +
                        R"(","to":"1-)" + std::to_string(last) + R"(","reason":"damaged"})"));
  EXPECT_THAT(exported.body, HasSubstr(R"("type":"export.end")"));

  // The daemon's log names it once, and the agent goes on.
  const std::string name = segment + ": the block at byte " + std::to_string(block) + " is damaged";
  const std::string log = daemon.log();
  ASSERT_NE(log.find(name), std::string::npos);
  EXPECT_EQ(log.find(name), log.rfind(name));
  EXPECT_THAT(daemon.Get("/metrics").body, HasSubstr("\nreeve_log_damaged_blocks 1\n"));
}

// Each is something that a daemon that opened it would wait for, or read for ever.
void PutInPlaceOf(const std::string& path, const std::string& what) {
  std::filesystem::remove_all(path);
  const int made = what == "a FIFO"     ? mkfifo(path.c_str(), 0600)
                   : what == "a folder" ? mkdir(path.c_str(), 0700)
                                        : symlink("/dev/zero", path.c_str());
  ASSERT_EQ(made, 0) << path;
  if (what == "a folder") WriteFile(path + "/file", "");  // an empty one could be removed
}

class NoRegularFile : public ::testing::TestWithParam<const char*> {};

// The daemon does not start, and says why at once.
TEST_P(NoRegularFile, InPlaceOfATownsFileIsNamed) {
  for (const char* name : {"/town-id", "/reeve.db", "/reeve.db-wal", "/token"}) {
    TempDir dir;
    Daemon::Options options;
    options.data_dir = dir.path() + "/data";
    {
      Daemon daemon(options);
      daemon.Kill();
    }
    const std::string path = options.data_dir + name;
    PutInPlaceOf(path, GetParam());
    options.fails = true;
    Daemon daemon(options);
    EXPECT_GT(daemon.Wait(), 0) << name;
    std::filesystem::remove_all(path);  // the end of `daemon` reads the town's id
    EXPECT_THAT(daemon.log(), HasSubstr(path));
    EXPECT_THAT(daemon.log(), HasSubstr("not a regular file"));
  }
}

TEST_P(NoRegularFile, InPlaceOfTheAddressFileIsReplacedOrTold) {
  TempDir dir;
  Daemon::Options options;
  options.data_dir = dir.path() + "/data";
  {
    Daemon daemon(options);
    daemon.Kill();
  }
  const std::string path = options.data_dir + "/runtime.json";
  PutInPlaceOf(path, GetParam());
  Daemon daemon(options);
  const HttpAnswer health = daemon.Get("/health");
  if (std::string_view(GetParam()) == "a folder") {
    EXPECT_EQ(health.Field("status"), "degraded");
    EXPECT_THAT(health.body, HasSubstr("runtime.json"));
  } else {
    EXPECT_EQ(health.Field("status"), "ok");
    EXPECT_TRUE(std::filesystem::is_regular_file(std::filesystem::symlink_status(path)));
  }
  // A command that finds it there later does not wait either, and names it.
  PutInPlaceOf(path, GetParam());
  Command list({"list"}, {"REEVE_DATA=" + options.data_dir});
  EXPECT_EQ(list.Wait(), 69);
  EXPECT_THAT(list.err(), HasSubstr(path + " is not a regular file"));
  Command with_address({"list", "--server", daemon.address()}, {"REEVE_DATA=" + options.data_dir});
  EXPECT_EQ(with_address.Wait(), 0) << with_address.err();
  const std::string token = options.data_dir + "/token";
  const std::string text = ReadFile(token);
  PutInPlaceOf(token, GetParam());
  Command without_token({"list", "--server", daemon.address()}, {"REEVE_DATA=" + options.data_dir});
  EXPECT_EQ(without_token.Wait(), 77);
  EXPECT_THAT(without_token.err(), HasSubstr(token + " is not a regular file"));
  std::filesystem::remove_all(token);
  WriteFile(token, text);
}

// The agent goes on, and its transcript is refused.
TEST_P(NoRegularFile, InPlaceOfATranscript) {
  Daemon daemon;
  daemon.Create(R"({"id":"a1","kind":"process","command":["cat"],"record":true})");
  daemon.WaitFor("a1", "until=ready");
  ASSERT_EQ(daemon.Post("/agents/a1/message", R"({"text":"hello"})").status, 202);
  ASSERT_TRUE(Eventually(
      [&] { return daemon.Get("/agents/a1/transcript").body.find("hello") != std::string::npos; }));
  ASSERT_EQ(daemon.Post("/agents/a1/stop").status, 202);
  ASSERT_EQ(daemon.WaitFor("a1", "until=exited").status, 200);
  std::string path;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(daemon.data_dir() + "/transcripts")) {
    if (entry.is_regular_file()) path = entry.path();
  }
  ASSERT_NE(path, "");
  PutInPlaceOf(path, GetParam());
  ASSERT_EQ(daemon.Post("/agents/a1/start").status, 202);
  daemon.WaitFor("a1", "until=ready");
  ASSERT_EQ(daemon.Post("/agents/a1/message", R"({"text":"again"})").status, 202);
  ASSERT_TRUE(
      Eventually([&] { return daemon.Get("/agents/a1/events").body.find("again") != std::string::npos; }));
  const HttpAnswer refused = daemon.Get("/agents/a1/transcript");
  EXPECT_EQ(refused.status, 500);
  EXPECT_THAT(refused.body, HasSubstr(path + " is not a regular file"));
}

INSTANTIATE_TEST_SUITE_P(Damaged, NoRegularFile, ::testing::Values("a FIFO", "a folder", "a device"),
                         [](const auto& one) { return std::string(one.param).substr(2); });

}  // namespace
}  // namespace reeve
