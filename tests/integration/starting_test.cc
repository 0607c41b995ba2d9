// The surroundings that an agent's process is started with, and starts that the machine does not allow.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <string>

#include "tests/support/daemon.h"

namespace reeve {
namespace {

std::string Output(const Daemon& daemon, const std::string& id) {
  EXPECT_EQ(daemon.WaitFor(id, "until=terminal").status, 200);
  std::string output;
  for (const std::string& event : daemon.Events(id, "after=0&types=agent.output")) {
    output += JsonField(event, "data.text");
    if (JsonField(event, "data.partial") != "true") output += '\n';
  }
  return output;
}

// Lowers a soft limit of the daemon; the old one is back at its end.
class Lowered {
 public:
  Lowered(const Daemon& daemon, __rlimit_resource resource, rlim_t limit)
      : pid_(daemon.pid()), resource_(resource) {
    EXPECT_EQ(prlimit(pid_, resource_, nullptr, &old_), 0);
    const rlimit low{limit, old_.rlim_max};
    EXPECT_EQ(prlimit(pid_, resource_, &low, nullptr), 0);
  }
  ~Lowered() { EXPECT_EQ(prlimit(pid_, resource_, &old_, nullptr), 0); }
  Lowered(const Lowered&) = delete;
  Lowered& operator=(const Lowered&) = delete;

 private:
  const pid_t pid_;
  const __rlimit_resource resource_;
  rlimit old_{};
};

TEST(Starting, WithoutAFolderItIsTheHomeOfTheDaemonsUser) {
  TempDir home;
  Daemon::Options options;
  options.environment = {"HOME=" + home.path()};
  Daemon daemon(options);
  daemon.Create(R"({"id":"a1","kind":"process","command":["pwd"]})");
  EXPECT_EQ(Output(daemon, "a1"), home.path() + "\n");
  WriteFile(home.path() + "/script", "echo from home\n");
  ASSERT_EQ(chmod((home.path() + "/script").c_str(), 0755), 0);
  daemon.Create(R"({"id":"a2","kind":"process","command":["./script"]})");
  EXPECT_EQ(Output(daemon, "a2"), "from home\n");
}

TEST(Starting, GainsPrivilegesOnlyIfTheSpecSaysSo) {
  Daemon daemon;
  const std::string command = R"("kind":"process","command":["grep","NoNewPrivs","/proc/self/status"])";
  daemon.Create(R"({"id":"a1",)" + command + "}");
  EXPECT_EQ(Output(daemon, "a1"), "NoNewPrivs:\t1\n");
  daemon.Create(R"({"id":"a2","allow_setuid":true,)" + command + "}");
  EXPECT_EQ(Output(daemon, "a2"), "NoNewPrivs:\t0\n");
  EXPECT_EQ(daemon.Get("/agents/a2").Field("allow_setuid"), "true");
}

TEST(Starting, OutOfDescriptorsIsSaidAndPasses) {
  Daemon daemon;
  EXPECT_EQ(daemon.Get("/health").Field("status"), "ok");
  HttpAnswer refused;
  {
    const Lowered few(daemon, RLIMIT_NOFILE, daemon.OpenDescriptors() + 10);
    const HttpAnswer health = daemon.Get("/health");
    EXPECT_EQ(health.Field("status"), "degraded");
    EXPECT_NE(health.body.find("file descriptors"), std::string::npos) << health.body;
    for (int i = 0; i < 15 && refused.status != 503; ++i) {
      refused = daemon.Post(
          "/agents", R"({"id":"a)" + std::to_string(i) + R"(","kind":"process","command":["sleep","600"]})");
    }
    EXPECT_EQ(refused.status, 503) << refused.body;
    EXPECT_EQ(refused.Field("code"), "no_descriptors");
  }
  EXPECT_TRUE(Eventually([&] { return daemon.Get("/health").Field("status") == "ok"; }))
      << daemon.Get("/health").body;
  daemon.Create(R"({"id":"later","kind":"process","command":["echo","hi"]})");
  EXPECT_EQ(Output(daemon, "later"), "hi\n");
}

// `ulimit -f`: the daemon gets SIGXFSZ, which would end it with all agents.
TEST(Starting, AFileSizeLimitIsAFullDisk) {
  Daemon daemon;
  daemon.Create(R"({"id":"a1","kind":"process","command":["sh","-c","read x; seq 30000"]})");
  daemon.WaitFor("a1", "until=ready");
  {
    const Lowered small(daemon, RLIMIT_FSIZE, 1 << 20);
    ASSERT_EQ(daemon.Post("/agents/a1/message", R"({"text":"go"})").status, 202);
    ASSERT_TRUE(Eventually([&] { return daemon.Get("/health").Field("status") == "degraded"; }));
    const HttpAnswer health = daemon.Get("/health");
    EXPECT_NE(health.Field("reasons").find("File too large"), std::string::npos) << health.body;
  }
  ASSERT_TRUE(Eventually([&] { return daemon.Get("/agents/a1").Field("state") == "exited"; }));
  EXPECT_EQ(daemon.Get("/health").Field("status"), "ok");
  const std::string output = Output(daemon, "a1");
  EXPECT_EQ(std::count(output.begin(), output.end(), '\n'), 30'000);
  EXPECT_TRUE(output.ends_with("29999\n30000\n"));
}

}  // namespace
}  // namespace reeve
