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

// The daemon does not start, and says why at once.
TEST(Damaged, AFifoInPlaceOfATownsFileIsNamed) {
  for (const char* name : {"/town-id", "/reeve.db", "/reeve.db-wal"}) {
    TempDir dir;
    Daemon::Options options;
    options.data_dir = dir.path() + "/data";
    {
      Daemon daemon(options);
      daemon.Kill();
    }
    const std::string path = options.data_dir + name;
    (void)unlink(path.c_str());
    ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
    options.fails = true;
    Daemon daemon(options);
    EXPECT_EQ(daemon.Wait(), 1) << name;
    (void)unlink(path.c_str());  // the end of `daemon` reads the town's id
    EXPECT_THAT(daemon.log(), HasSubstr(path + " is not a regular file"));
  }
}

}  // namespace
}  // namespace reeve
