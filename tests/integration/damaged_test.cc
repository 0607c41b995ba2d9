// Damage to the files of one agent is that agent's alone.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <string>

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
