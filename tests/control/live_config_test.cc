#include "control/live_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <filesystem>
#include <memory>
#include <string>

#include "control/access/tokens.h"
#include "control/streams/exports.h"
#include "orchestrator/store/store.h"
#include "orchestrator/town.h"
#include "process/fd.h"
#include "process/http_client.h"
#include "process/loop.h"
#include "process/reaper.h"
#include "tests/support/loop_fixture.h"
#include "tickets/ticket_store.h"

namespace reeve {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// Where nobody names a file, the default one, if it is there. These tests have one of their own.
class LiveConfigTest : public ::testing::Test {
 protected:
  void SetUp() override {
    log::SetLevel(log::Level::kError);
    auto opened = Store::Open(loop_, dir_.path() + "/reeve.db");
    ASSERT_TRUE(opened.ok());
    store_ = std::move(*opened);
    town_ = std::make_unique<Town>(loop_, clock_, http_, *store_, reaper_, reaper_, nullptr,
                                   Town::Options{dir_.path(), "town", 10, {}, false});
    tokens_ = std::make_unique<Tokens>(std::move(*Tokens::Load({{}, {}, dir_.path()})));
    viewers_ = std::make_unique<Viewers>(loop_, *town_, tickets_, Viewers::Limits{});
    exports_ = std::make_unique<Exports>(loop_, *town_, *store_, Exports::Limits{});
    gate_ = std::make_unique<Gate>(*tokens_, Gate::Names{});
    sources_.default_file = dir_.path() + "/config.toml";
  }
  void Write(const std::string& text) const { WriteFile(sources_.default_file, text); }
  // As main does it.
  std::unique_ptr<LiveConfig> Start() {
    auto loaded = LoadConfig(sources_);
    EXPECT_TRUE(loaded.ok());
    ConfigSources sources = sources_;
    sources.file = loaded->file;
    return std::make_unique<LiveConfig>(
        sources, loaded->config,
        LiveConfig::Parts{*town_, *viewers_, *exports_, *gate_, *tokens_, [](uint64_t) {}});
  }

  TempDir dir_;
  SystemClock clock_;
  Loop loop_;
  Reaper reaper_{loop_};
  HttpClient http_{loop_};
  TicketStore tickets_{clock_};
  std::unique_ptr<Store> store_;
  std::unique_ptr<Town> town_;
  std::unique_ptr<Tokens> tokens_;
  std::unique_ptr<Viewers> viewers_;
  std::unique_ptr<Exports> exports_;
  std::unique_ptr<Gate> gate_;
  ConfigSources sources_;
};

TEST_F(LiveConfigTest, AFileThatWasThereAtTheStartIsMissedAtAReload) {
  Write("heartbeat = \"1s\"\n");
  auto live = Start();
  std::filesystem::remove(sources_.default_file);
  auto change = live->Reload();
  ASSERT_FALSE(change.ok());
  EXPECT_EQ(change.error().code, "invalid_config");
  EXPECT_THAT(change.error().message, HasSubstr("config.toml: No such file"));
  EXPECT_EQ(live->config().heartbeat_ms, 1'000);
}

TEST_F(LiveConfigTest, OneThatCameLaterIsTakenAndThenMissed) {
  auto live = Start();
  auto change = live->Reload();
  ASSERT_TRUE(change.ok()) << change.error().message;
  EXPECT_THAT(change->applied, IsEmpty());
  Write("heartbeat = \"1s\"\n");
  change = live->Reload();
  ASSERT_TRUE(change.ok()) << change.error().message;
  EXPECT_THAT(change->applied, ElementsAre("heartbeat"));
  std::filesystem::remove(sources_.default_file);
  EXPECT_FALSE(live->Reload().ok());
  EXPECT_EQ(live->config().heartbeat_ms, 1'000);
}

TEST_F(LiveConfigTest, APipeIsRefusedAsItCouldNotBeReadAgain) {
  ASSERT_EQ(mkfifo((dir_.path() + "/pipe").c_str(), 0600), 0);
  sources_.file = dir_.path() + "/pipe";
  auto loaded = LoadConfig(sources_);
  ASSERT_FALSE(loaded.ok());
  EXPECT_THAT(loaded.error().message, HasSubstr("/pipe: a pipe can be read only once"));
}

// A socket by systemd's activation is what its owner bound it to, whatever our URL looks like.
class InheritedSocket {
 public:
  explicit InheritedSocket(in_addr_t host) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(host);
    EXPECT_EQ(bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(listen(fd_.get(), 1), 0);
  }
  [[nodiscard]] std::string url() const { return "fd://" + std::to_string(fd_.get()); }

 private:
  Fd fd_;
};

TEST(CheckExposureTest, AnInheritedSocketIsAsFarReachableAsItIsBound) {
  log::SetLevel(log::Level::kError);
  const InheritedSocket local(INADDR_LOOPBACK);
  const InheritedSocket open(INADDR_ANY);
  Config config;
  config.listen = {local.url()};
  EXPECT_TRUE(CheckExposure(config, false).ok());
  config.listen = {local.url(), open.url()};
  const Status refused = CheckExposure(config, false);
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message, HasSubstr(open.url() + " is reachable from other machines"));
  EXPECT_TRUE(CheckExposure(config, true).ok());
}

TEST(CheckExposureTest, AUnixSocketOrNoneIsNotReachable) {
  const Fd local(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  Config config;
  for (const std::string& url : {"fd://" + std::to_string(local.get()), std::string("fd://999999"),
                                 std::string("unix:///run/reeve.sock"), std::string("tcp://[::1]:0")}) {
    config.listen = {url};
    EXPECT_TRUE(CheckExposure(config, false).ok()) << url;
  }
}

}  // namespace
}  // namespace reeve
