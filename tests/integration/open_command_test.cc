// `reeve open`: a link that signs a browser in to the dashboard, once.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "orchestrator/json/json.h"
#include "tests/support/command.h"
#include "tests/support/daemon.h"
#include "tests/support/gateway_client.h"
#include "tests/support/paths.h"
#include "tests/support/tmux.h"

namespace reeve {
namespace {

using testing::HasSubstr;
using testing::StartsWith;
using Strings = std::vector<std::string>;

struct Opened {
  int code;
  std::string out;
  std::string err;
};

Opened Open(const support::Daemon& daemon, Strings words, Strings environment = {}) {
  words.insert(words.begin(), "open");
  environment.push_back("REEVE_DATA=" + daemon.data_dir());
  Command command(words, environment);
  const int code = command.Wait();
  return {code, command.out(), command.err()};
}

std::string TicketIn(const std::string& link) {
  const size_t at = link.find("?ticket=");
  return at == std::string::npos ? "" : link.substr(at + 8, link.find('\n', at) - at - 8);
}

// The scope that a browser with this ticket gets; empty: the ticket is refused.
std::string ScopeWith(const support::Daemon& daemon, const std::string& ticket) {
  GatewayClient browser(daemon.address(), {.target = "/ws?ticket=" + ticket});
  if (browser.Status() != 101 || !browser.UntilEvent("gateway.ready")) return "";
  return JsonField(browser.All("gateway.ready").front(), "data.scope");
}

TEST(OpenCommand, PrintsALinkThatSignsInOnce) {
  support::Daemon daemon;
  const Opened opened = Open(daemon, {"--print"});
  ASSERT_EQ(opened.code, 0) << opened.err;
  EXPECT_EQ(opened.err, "");
  EXPECT_THAT(opened.out, StartsWith(daemon.address() + "/#/?ticket="));
  EXPECT_EQ(ScopeWith(daemon, TicketIn(opened.out)), "admin");
  EXPECT_EQ(ScopeWith(daemon, TicketIn(opened.out)), "");
}

TEST(OpenCommand, TheLinkNamesTheAgentTheAddressAndTheScope) {
  support::Daemon daemon;
  daemon.Create(R"({"id":"a1","title":"the parser","kind":"process","command":["cat"]})");
  const Opened opened =
      Open(daemon, {"the parser", "--print", "--scope", "view", "--address", "https://reeve.example/town/"});
  ASSERT_EQ(opened.code, 0) << opened.err;
  EXPECT_THAT(opened.out, StartsWith("https://reeve.example/town/#/agents/a1?ticket="));
  EXPECT_EQ(ScopeWith(daemon, TicketIn(opened.out)), "view");
  EXPECT_THAT(Open(daemon, {"--json"}).out, HasSubstr(R"({"link":")" + daemon.address() + "/#/?ticket="));
}

TEST(OpenCommand, RefusesWhatCannotBe) {
  support::Daemon daemon;
  EXPECT_EQ(Open(daemon, {"nobody"}).code, 66);
  EXPECT_EQ(Open(daemon, {"--scope", "all"}).code, 64);
  EXPECT_EQ(Open(daemon, {"--stay", "2d"}).code, 64);
  EXPECT_EQ(Open(daemon, {"a", "b"}).code, 64);
}

TEST(OpenCommand, ShowsAQrCodeToAPhone) {
  support::Daemon daemon;
  const Opened opened = Open(daemon, {"--qr"});
  ASSERT_EQ(opened.code, 0) << opened.err;
  EXPECT_THAT(opened.out, HasSubstr("\n█████"));
  EXPECT_THAT(opened.err, HasSubstr("works once"));
}

TEST(OpenCommand, LetsTheDesktopOpenTheLink) {
  support::Daemon daemon;
  const TempDir folder;
  WriteFile(folder.path() + "/xdg-open", "#!/bin/sh\nprintf %s \"$1\" > " + folder.path() + "/link.new\nmv " +
                                             folder.path() + "/link.new " + folder.path() + "/link\n");
  std::filesystem::permissions(folder.path() + "/xdg-open", std::filesystem::perms::owner_all);
  const std::string path = "PATH=" + folder.path() + ":/usr/bin:/bin";
  Tmux desktop({"env", path, "DISPLAY=:0", kReeveBinary, "open", "--data", daemon.data_dir()});
  EXPECT_EQ(desktop.Wait(), 0) << desktop.Screen();
  ASSERT_TRUE(Eventually([&] { return std::filesystem::exists(folder.path() + "/link"); }));
  EXPECT_THAT(ReadFile(folder.path() + "/link"), StartsWith(daemon.address() + "/#/?ticket="));
  EXPECT_EQ(desktop.Screen().find("█"), std::string::npos);

  Tmux terminal({"env", path, kReeveBinary, "open", "--data", daemon.data_dir()},
                {.environment = {}, .columns = 120, .rows = 50});
  EXPECT_EQ(terminal.Wait(), 0) << terminal.Screen();
  EXPECT_THAT(terminal.Screen(), HasSubstr("█████"));
}

}  // namespace
}  // namespace reeve
