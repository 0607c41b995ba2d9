// `reeve open`: a link that signs a browser in to the dashboard, once.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "orchestrator/json/json.h"
#include "tests/support/canned_server.h"
#include "tests/support/command.h"
#include "tests/support/daemon.h"
#include "tests/support/gateway_client.h"
#include "tests/support/paths.h"
#include "tests/support/tmux.h"

namespace reeve {
namespace {

using testing::HasSubstr;
using testing::Not;
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

class OpenCommand : public testing::Test {
 protected:
  void SetUp() override {
    if (daemon_.Get("/").body == daemon_.Get("/plain").body) GTEST_SKIP() << "this build has no dashboard";
  }

  support::Daemon daemon_;
};

TEST_F(OpenCommand, PrintsALinkThatSignsInOnce) {
  const Opened opened = Open(daemon_, {"--print"});
  ASSERT_EQ(opened.code, 0) << opened.err;
  EXPECT_EQ(opened.err, "");
  EXPECT_THAT(opened.out, StartsWith(daemon_.address() + "/#/?ticket="));
  EXPECT_EQ(ScopeWith(daemon_, TicketIn(opened.out)), "admin");
  EXPECT_EQ(ScopeWith(daemon_, TicketIn(opened.out)), "");
}

TEST_F(OpenCommand, TheLinkNamesTheAgentTheAddressAndTheScope) {
  daemon_.Create(R"({"id":"a1","title":"the parser","kind":"process","command":["cat"]})");
  const Opened opened =
      Open(daemon_, {"the parser", "--print", "--scope", "view", "--address", "https://reeve.example/town/"});
  ASSERT_EQ(opened.code, 0) << opened.err;
  EXPECT_THAT(opened.out, StartsWith("https://reeve.example/town/#/agents/a1?ticket="));
  EXPECT_EQ(ScopeWith(daemon_, TicketIn(opened.out)), "view");
  EXPECT_THAT(Open(daemon_, {"--json"}).out, HasSubstr(R"({"link":")" + daemon_.address() + "/#/?ticket="));
}

TEST_F(OpenCommand, RefusesWhatCannotBe) {
  EXPECT_EQ(Open(daemon_, {"nobody"}).code, 66);
  EXPECT_EQ(Open(daemon_, {"--scope", "all"}).code, 64);
  const Opened too_long = Open(daemon_, {"--stay", "2d"});
  EXPECT_EQ(too_long.code, 64);
  EXPECT_THAT(too_long.err, HasSubstr("--stay: must be"));
  EXPECT_EQ(Open(daemon_, {"a", "b"}).code, 64);
}

TEST_F(OpenCommand, ShowsAQrCodeToAPhone) {
  const Opened opened = Open(daemon_, {"--qr"});
  ASSERT_EQ(opened.code, 0) << opened.err;
  EXPECT_THAT(opened.out, HasSubstr("\n█████"));
  EXPECT_THAT(opened.err, HasSubstr("works once"));
}

TEST_F(OpenCommand, SaysThatABuildHasNoDashboard) {
  const std::string page = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nplain";
  CannedServer server({{"GET /", page}, {"GET /plain", page}});
  Command command({"open", "--print", "--server", server.address()}, {"REEVE_TOKEN=token-0123456789abcdef"});
  EXPECT_EQ(command.Wait(), 64);
  EXPECT_EQ(command.out(), "");
  EXPECT_THAT(command.err(), HasSubstr("without the dashboard"));
}

// A desktop whose program to open files notes its arguments and environment, and copies the file.
class Desktop {
 public:
  Desktop() {
    const std::string& here = folder_.path();
    std::filesystem::create_directory(here + "/run");
    WriteFile(here + "/xdg-open",
              "#!/bin/sh\ncd " + here +
                  " && env > env && printf %s \"$#$1\" > words && stat -c %a \"$1\" > mode && " +
                  "cp \"$1\" page.new && mv page.new page\n");
    std::filesystem::permissions(here + "/xdg-open", std::filesystem::perms::owner_all);
  }
  [[nodiscard]] std::string path() const { return "PATH=" + folder_.path() + ":/usr/bin:/bin"; }
  [[nodiscard]] std::string runtime() const { return "XDG_RUNTIME_DIR=" + folder_.path() + "/run"; }
  [[nodiscard]] bool HasOpened() const {
    return Eventually([this] { return std::filesystem::exists(folder_.path() + "/page"); });
  }
  [[nodiscard]] std::string Read(const std::string& name) const {
    return ReadFile(folder_.path() + "/" + name);
  }
  [[nodiscard]] bool IsClean() const { return std::filesystem::is_empty(folder_.path() + "/run"); }

 private:
  const TempDir folder_;
};

TEST_F(OpenCommand, LetsTheDesktopOpenTheLinkWhichNobodyElseSees) {
  const Desktop desktop;
  Tmux terminal({"env", desktop.path(), desktop.runtime(), "DISPLAY=:0", "REEVE_TOKEN=" + daemon_.token(),
                 "REEVE_DATA=/x", kReeveBinary, "open", "--server", daemon_.address()});
  ASSERT_TRUE(desktop.HasOpened()) << terminal.Screen();
  const std::string page = desktop.Read("page");
  EXPECT_THAT(page, HasSubstr("url=" + daemon_.address() + "/#/?ticket="));
  EXPECT_EQ(desktop.Read("mode"), "600\n");
  EXPECT_THAT(desktop.Read("words"), StartsWith("1/"));
  EXPECT_THAT(desktop.Read("words"), Not(HasSubstr("ticket")));
  EXPECT_THAT(desktop.Read("env"), HasSubstr("DISPLAY=:0"));
  EXPECT_THAT(desktop.Read("env"), Not(HasSubstr("REEVE_")));
  const size_t at = page.find("?ticket=") + 8;
  EXPECT_EQ(ScopeWith(daemon_, page.substr(at, page.find('"', at) - at)), "admin");
  EXPECT_EQ(terminal.Wait(), 0) << terminal.Screen();
  EXPECT_TRUE(desktop.IsClean());
  EXPECT_EQ(terminal.Screen().find("█"), std::string::npos);
}

TEST_F(OpenCommand, LeavesNoPageWhenItIsInterrupted) {
  const Desktop desktop;
  Tmux terminal({"env", desktop.path(), desktop.runtime(), "DISPLAY=:0", kReeveBinary, "open", "--data",
                 daemon_.data_dir()});
  ASSERT_TRUE(desktop.HasOpened()) << terminal.Screen();
  terminal.Press("C-c");
  EXPECT_NE(terminal.Wait(), 0);
  EXPECT_TRUE(desktop.IsClean());
}

TEST_F(OpenCommand, ShowsAQrCodeInATerminalWithoutADesktop) {
  const Desktop desktop;
  Tmux terminal({"env", desktop.path(), kReeveBinary, "open", "--data", daemon_.data_dir()},
                {.environment = {}, .columns = 120, .rows = 50});
  EXPECT_EQ(terminal.Wait(), 0) << terminal.Screen();
  EXPECT_THAT(terminal.Screen(), HasSubstr("█████"));
}

}  // namespace
}  // namespace reeve
