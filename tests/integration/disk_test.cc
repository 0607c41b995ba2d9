// A full disk: nothing is dropped, nobody is sent away, and it goes on by itself when there is room again.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <unistd.h>

#include <iostream>

#include "tests/support/daemon.h"

namespace reeve {
namespace {

// A file system of its own, so small that it can be filled. Needs root, as mounting does.
class SmallDisk {
 public:
  explicit SmallDisk(const char* size) {
    mounted_ = mount("tmpfs", folder_.path().c_str(), "tmpfs", 0, (std::string("size=") + size).c_str()) == 0;
  }
  ~SmallDisk() {
    if (mounted_) umount2(folder_.path().c_str(), MNT_DETACH);
  }
  [[nodiscard]] bool mounted() const { return mounted_; }
  [[nodiscard]] const std::string& path() const { return folder_.path(); }
  // Takes all room but so much.
  void FillUpTo(size_t left) const {
    Fd file(open(Filler().c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    const std::string block(4096, 'x');
    while (write(file.get(), block.data(), block.size()) == static_cast<ssize_t>(block.size())) continue;
    const off_t size = lseek(file.get(), 0, SEEK_END);
    EXPECT_EQ(ftruncate(file.get(), size - static_cast<off_t>(left)), 0);
  }
  void MakeRoom() const { unlink(Filler().c_str()); }

 private:
  [[nodiscard]] std::string Filler() const { return path() + "/filler"; }
  TempDir folder_;
  bool mounted_ = false;
};

#define NEEDS(disk)                                                                   \
  if (!(disk).mounted()) {                                                            \
    std::cerr << "SKIPPED: a full disk was not tried: mounting a tmpfs needs root\n"; \
    GTEST_SKIP();                                                                     \
  }

std::string Writer(const SmallDisk& disk, const std::string& id, int events) {
  const std::string path = disk.path() + "/" + id + ".sh";
  WriteFile(path, "read go\nawk 'BEGIN { for (i = 0; i < " + std::to_string(events) + R"(; ++i)
    printf "{\"type\":\"assistant.delta\",\"n\":%d,\"text\":\"the quick brown fox jumps over the lazy dog\"}\n", i }'
echo done
read end
)");
  return R"({"id":")" + id + R"(","kind":"jsonl","command":["/bin/sh",")" + path + "\"]}";
}

Daemon::Options On(const SmallDisk& disk) {
  Daemon::Options options;
  options.data_dir = disk.path() + "/data";
  options.arguments = {"--heartbeat", "100ms"};
  return options;
}

TEST(FullDisk, HoldsTheAgentBackAndGoesOnWhenThereIsRoom) {
  SmallDisk disk("32m");
  NEEDS(disk);
  constexpr int kEvents = 60'000;
  Daemon daemon(On(disk));
  daemon.Create(Writer(disk, "a1", kEvents));
  daemon.WaitFor("a1", "until=ready");
  auto stream = daemon.Stream("/agents/a1/stream?after=0");
  ASSERT_TRUE(stream->UntilEvent("stream.synced"));
  EXPECT_EQ(daemon.Get("/health").Field("status"), "ok");

  disk.FillUpTo(1 << 20);
  ASSERT_EQ(daemon.Post("/agents/a1/message", R"({"text":"go"})").status, 202);
  ASSERT_TRUE(Eventually([&] { return daemon.Get("/health").Field("status") == "degraded"; }));
  HttpAnswer health = daemon.Get("/health");
  EXPECT_EQ(health.status, 200);
  EXPECT_NE(health.Field("reasons").find("a1: No space left on device"), std::string::npos) << health.body;
  EXPECT_EQ(daemon.Get("/ready").status, 200);
  EXPECT_EQ(daemon.Get("/agents/a1").Field("state"), "running");
  // New viewers are served. Present viewers have everything that is on disk, stay connected, and get
  // heartbeats.
  auto newcomer = daemon.Stream("/agents/a1/stream?after=0");
  ASSERT_TRUE(newcomer->UntilEvent("stream.synced"));
  const uint64_t so_far = newcomer->count();
  EXPECT_LT(so_far, uint64_t{kEvents});
  ASSERT_TRUE(stream->Until([&] { return stream->count() == so_far; }));
  const size_t beats = stream->All("stream.heartbeat").size();
  ASSERT_TRUE(stream->Until([&] { return stream->All("stream.heartbeat").size() >= beats + 2; }));
  const size_t resident = daemon.ResidentBytes();
  EXPECT_FALSE(stream->Until([&] { return stream->count() > so_far; }, 700));  // some retries later
  EXPECT_LT(daemon.ResidentBytes(), resident + (size_t{4} << 20));

  disk.MakeRoom();
  for (auto* one : {stream.get(), newcomer.get()}) {
    ASSERT_TRUE(one->Until([&] { return one->count() >= uint64_t{kEvents} + 5; }));
    EXPECT_EQ(one->malformed(), "");
    EXPECT_TRUE(one->events() == daemon.LogFiles("a1"));
  }
  EXPECT_TRUE(Eventually([&] { return daemon.Get("/health").Field("status") == "ok"; }));
  int n = 0;
  for (const StreamFrame& frame : stream->All("assistant.delta")) {
    ASSERT_EQ(frame.Field("data.n"), std::to_string(n++));
  }
  EXPECT_EQ(n, kEvents);
  EXPECT_EQ(daemon.Post("/agents/a1/message", R"({"text":"end"})").status, 202);
  EXPECT_TRUE(stream->UntilEnd());
}

TEST(FullDisk, RefusesWhatItCannotKeepAndForgetsIt) {
  SmallDisk disk("16m");
  NEEDS(disk);
  Daemon daemon(On(disk));
  daemon.Create(R"({"id":"a1","kind":"process","command":["cat"]})");
  daemon.WaitFor("a1", "until=ready");
  disk.FillUpTo(0);
  // SQLite's journal may have some room left of its own: not for ever.
  int made = 0;
  HttpAnswer refused;
  for (; made < 1000 && (refused.status == 0 || refused.status == 201); ++made) {
    refused = daemon.Post("/agents", R"({"id":"b)" + std::to_string(made) +
                                         R"(","kind":"process","command":["true"],"title":")" +
                                         std::string(500, 't') + "\"}");
  }
  EXPECT_EQ(refused.status, 503) << refused.wire;
  EXPECT_EQ(refused.Field("code"), "disk_full");
  EXPECT_NE(refused.Header("retry-after"), "");
  const std::string last = "b" + std::to_string(made - 1);
  EXPECT_TRUE(Eventually([&] { return daemon.Get("/agents/" + last).status == 404; }));
  disk.MakeRoom();
  EXPECT_TRUE(Eventually([&] {
    return daemon.Post("/agents", R"({"id":")" + last + R"(","kind":"process","command":["true"]})").status ==
           201;
  }));
  EXPECT_EQ(daemon.WaitFor(last).Field("exit.code"), "0");
}

TEST(FullDisk, LosesNothingThatWasSeenWhenTheDaemonIsKilledThen) {
  SmallDisk disk("32m");
  NEEDS(disk);
  Daemon daemon(On(disk));
  daemon.Create(Writer(disk, "a1", 60'000));
  daemon.WaitFor("a1", "until=ready");
  auto stream = daemon.Stream("/agents/a1/stream?after=0");
  ASSERT_TRUE(stream->UntilEvent("stream.synced"));
  disk.FillUpTo(1 << 20);
  daemon.Post("/agents/a1/message", R"({"text":"go"})");
  ASSERT_TRUE(Eventually([&] { return daemon.Get("/health").Field("status") == "degraded"; }));
  ASSERT_TRUE(stream->Until([&] { return stream->count() > 100; }));
  daemon.Kill();
  stream->UntilEnd();
  disk.MakeRoom();
  daemon.Start();
  EXPECT_EQ(daemon.Get("/agents/a1").Field("state"), "exited");
  const std::string log = daemon.LogFiles("a1");
  EXPECT_TRUE(log.compare(0, stream->events().size(), stream->events()) == 0);
  auto again = daemon.Stream("/agents/a1/stream?after=" + stream->last_id());
  ASSERT_TRUE(again->UntilEnd());
  EXPECT_EQ(again->Find("stream.gap"), nullptr);
  EXPECT_TRUE(stream->events() + again->events() == log);
}

// A full disk must not keep its own remedy, the deletion of an agent, from happening.
TEST(FullDisk, TheDaemonStartsOnItAndEndsAgents) {
  SmallDisk disk("24m");
  NEEDS(disk);
  Daemon daemon(On(disk));
  for (const char* id : {"a1", "a2", "a3"}) {
    daemon.Create(std::string(R"({"id":")") + id +
                  R"(","kind":"process","command":["cat"],"restart":{"policy":"always"}})");
    daemon.WaitFor(id, "until=ready");
  }
  daemon.Kill();
  // The daemon removes this file of a daemon that was killed, which would make room for its own.
  unlink((daemon.data_dir() + "/runtime.json").c_str());
  disk.FillUpTo(0);
  daemon.Start();
  const HttpAnswer health = daemon.Get("/health");
  EXPECT_EQ(health.Field("status"), "degraded");
  EXPECT_NE(health.Field("reasons").find("runtime.json: No space left on device"), std::string::npos)
      << health.body;

  const HttpAnswer file = daemon.Call("PUT", "/agents/a1/files/key", "secret");
  EXPECT_EQ(file.status, 503) << file.wire;
  EXPECT_EQ(file.Field("code"), "disk_full");
  EXPECT_EQ(daemon.Post("/agents/a1/stop").status, 202);
  EXPECT_LT(daemon.Call("DELETE", "/agents/a2").status, 300);
  EXPECT_LT(daemon.Call("DELETE", "/agents/a3?purge=true").status, 300);
  EXPECT_TRUE(Eventually([&] { return daemon.Get("/agents/a3").status == 404; }));
  daemon.Kill();
  disk.MakeRoom();
  daemon.Start();
  EXPECT_EQ(daemon.Get("/agents/a1").Field("state"), "exited");
  EXPECT_EQ(daemon.Get("/agents/a2").status, 410);
  EXPECT_EQ(daemon.Get("/agents/a3").status, 404);
  EXPECT_TRUE(Eventually([&] { return daemon.Get("/health").Field("status") == "ok"; }));
}

}  // namespace
}  // namespace reeve
