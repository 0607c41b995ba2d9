// A real nginx in front of the daemon, with the configuration that CONFIG.md recommends. Skipped where nginx
// is not installed.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "tests/support/command.h"
#include "tests/support/daemon.h"
#include "tests/support/paths.h"

namespace reeve {
namespace {

std::string FindNginx() {
  for (const char* path : {"/usr/sbin/nginx", "/usr/bin/nginx", "/usr/local/sbin/nginx"}) {
    if (std::filesystem::exists(path)) return path;
  }
  return {};
}

// The `location` block of CONFIG.md, for the daemon at `upstream`.
std::string Snippet(const std::string& upstream) {
  std::ifstream page(std::string(kTests) + "/../orchestrator/config/CONFIG.md");
  std::string found;
  for (std::string line; std::getline(page, line);) {
    if (line.rfind("    location ", 0) != 0 && found.empty()) continue;
    if (line.rfind("    ", 0) != 0) break;
    found += line + '\n';
  }
  const std::string example = "http://127.0.0.1:8080";
  const size_t at = found.find(example);
  return at == std::string::npos ? "" : found.replace(at, example.size(), upstream);
}

class ProxyTest : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    if (FindNginx().empty()) GTEST_SKIP() << "nginx is not installed";
    daemon_ = std::make_unique<Daemon>(Daemon::Options{{"--base-path", "/reeve"}, {}, {}});
    const bool strips = GetParam();  // with a path in proxy_pass, nginx removes the prefix
    const std::string snippet = Snippet(daemon_->address() + (strips ? "/" : ""));
    ASSERT_NE(snippet, "") << "CONFIG.md has no location block";
    std::string text =
        "daemon off; master_process off; worker_processes 1;\nerror_log stderr;\npid DIR/pid;\n";
    text += "events {}\nhttp {\naccess_log off;\n";
    for (const char* kind : {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"})
      text += std::string(kind) + "_temp_path DIR/" + kind + ";\n";
    text += "server {\nlisten unix:DIR/s;\n" + snippet + "}\n}\n";
    for (size_t at = 0; (at = text.find("DIR", at)) != std::string::npos;)
      text.replace(at, 3, folder_.path());
    WriteFile(folder_.path() + "/conf", text);
    nginx_ = std::make_unique<Command>(Command::Program{
        {FindNginx(), "-p", folder_.path(), "-c", folder_.path() + "/conf", "-e", "stderr"}, folder_.path()});
    ASSERT_TRUE(Eventually([&] { return Call("GET", "/reeve/health").status == 200; })) << nginx_->err();
  }

  [[nodiscard]] std::string Socket() const { return folder_.path() + "/s"; }
  HttpAnswer Call(std::string_view method, std::string_view target, std::string_view body = {}) const {
    return HttpConnection(Socket()).Call(
        method, target, body,
        {{"Authorization", "Bearer " + daemon_->token()}, {"Origin", "https://localhost"}});
  }

  TempDir folder_;
  std::unique_ptr<Daemon> daemon_;
  std::unique_ptr<Command> nginx_;
};

TEST_P(ProxyTest, ThePageAndTheApiWorkUnderThePrefix) {
  EXPECT_EQ(Call("GET", "/reeve/").Header("content-type"), "text/html; charset=utf-8");
  EXPECT_EQ(Call("GET", "/reeve/assets/page.js").status, 200);
  const HttpAnswer made = Call("POST", "/reeve/agents", R"({"id":"a1","kind":"process","command":["cat"]})");
  EXPECT_EQ(made.status, 201) << made.body;
  EXPECT_EQ(made.Header("location"), "/reeve/agents/a1");
  EXPECT_EQ(Call("GET", made.Header("location")).Field("id"), "a1");
  EXPECT_EQ(Call("GET", "/agents/a1").status, 404) << "nginx serves only the prefix";
}

TEST_P(ProxyTest, EventsArriveAtOnce) {
  daemon_->Create(R"({"id":"a1","kind":"process","command":["cat"]})");
  const std::string url = Call("POST", "/reeve/agents/a1/stream-ticket", "{}").Field("url");
  EXPECT_EQ(url.rfind("/reeve/agents/a1/stream?ticket=", 0), 0U) << url;
  StreamClient stream(Socket(), url, {{{"Origin", "https://localhost"}}});
  ASSERT_TRUE(stream.UntilEvent("stream.synced"));
  EXPECT_EQ(Call("POST", "/reeve/agents/a1/message", R"({"text":"through"})").status, 202);
  EXPECT_TRUE(stream.UntilEvent("agent.output"));
  EXPECT_EQ(stream.malformed(), "");
  EXPECT_FALSE(stream.ended());
}

INSTANTIATE_TEST_SUITE_P(Prefix, ProxyTest, ::testing::Bool(),
                         [](const auto& test) { return test.param ? "Removed" : "Kept"; });

}  // namespace
}  // namespace reeve
