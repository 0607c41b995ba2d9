// Where the daemon can be reached (api.md §1, "Listeners"), and the routes of the town (§7).
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>

#include "tests/support/daemon.h"

namespace reeve {
namespace {

TEST(Listeners, AUnixSocketIsForItsOwnerAndGoesWithTheDaemon) {
  TempDir folder;
  Daemon::Options options;
  options.listen = "unix://" + folder.path() + "/reeve.sock";
  Daemon daemon(options);
  EXPECT_EQ(daemon.address(), folder.path() + "/reeve.sock");
  struct stat status {};
  ASSERT_EQ(stat(daemon.address().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
  daemon.Create(R"({"id":"a1","kind":"process","command":["echo","hi"]})");
  auto stream = daemon.Stream("/agents/a1/stream?after=0");
  EXPECT_TRUE(stream->UntilEnd());
  EXPECT_EQ(stream->All("agent.output").size(), 1U);
  EXPECT_EQ(HttpConnection(daemon.address()).Call("GET", "/agents").status,
            401);  // the token is asked for here too
  EXPECT_NE(ReadFile(daemon.data_dir() + "/runtime.json").find("unix://" + daemon.address()),
            std::string::npos);
  daemon.Kill();
  daemon.Start();  // a dead socket in the way is replaced
  EXPECT_EQ(daemon.Get("/agents/a1").status, 200);
  daemon.Signal(SIGTERM);
  EXPECT_EQ(daemon.Wait(), 0);
  EXPECT_NE(access(daemon.address().c_str(), F_OK), 0);
}

TEST(Listeners, ASocketThatWasHandedOverIsServed) {
  Fd listener(socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(bind(listener.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(listen(listener.get(), 16), 0);
  ASSERT_EQ(getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  Daemon::Options options;
  options.listen = "fd://3";
  options.inherit_fd = listener.get();
  Daemon daemon(options);
  EXPECT_EQ(daemon.address(), "http://127.0.0.1:" + std::to_string(ntohs(address.sin_port)));
  EXPECT_EQ(daemon.Get("/agents").status, 200);
  // It is not a child's.
  daemon.Create(R"({"id":"a1","kind":"process","command":["ls","-l","/proc/self/fd"]})");
  daemon.WaitFor("a1");
  const std::string said = daemon.Get("/agents/a1/events?types=agent.output").body;
  EXPECT_NE(said.find("pipe:"), std::string::npos);
  EXPECT_EQ(said.find("socket:"), std::string::npos) << said;
}

TEST(Listeners, SeveralAtOnce) {
  TempDir folder;
  Daemon::Options options;
  options.arguments = {"--listen", "unix://" + folder.path() + "/too.sock"};
  Daemon daemon(options);
  EXPECT_EQ(daemon.Get("/health").status, 200);
  EXPECT_EQ(HttpConnection(folder.path() + "/too.sock").Call("GET", "/health").status, 200);
}

TEST(Listeners, BeyondLoopbackWantATokenThatWasConfiguredOnPurpose) {
  Daemon::Options options;
  options.listen = "tcp://0.0.0.0:0";
  options.fails = true;
  Daemon refused(options);
  EXPECT_EQ(refused.Wait(), 78);
  EXPECT_NE(refused.log().find("--token-file or REEVE_TOKEN"), std::string::npos) << refused.log();

  options.fails = false;
  options.environment = {"REEVE_TOKEN=a-token-configured-on-purpose-4711"};
  Daemon daemon(options);
  EXPECT_NE(daemon.log().find("TLS"), std::string::npos);
  EXPECT_EQ(HttpConnection(daemon.address())
                .Call("GET", "/agents", "", {{"Authorization", "Bearer a-token-configured-on-purpose-4711"}})
                .status,
            200);
  EXPECT_NE(access((daemon.data_dir() + "/token").c_str(), F_OK), 0);  // none is made then
}

TEST(Listeners, WhatCannotBeListenedOnIsNamed) {
  Daemon daemon;
  for (const std::string& url :
       {std::string("tcp://127.0.0.1:") + daemon.address().substr(daemon.address().rfind(':') + 1),
        std::string("tcp://nonsense"), std::string("ftp://127.0.0.1:1"),
        std::string("unix:///no/such/folder/reeve.sock"), std::string("fd://999")}) {
    Daemon::Options options;
    options.listen = url;
    options.fails = true;
    Daemon refused(options);
    EXPECT_NE(refused.Wait(), 0) << url;
    EXPECT_NE(refused.log().find(url.substr(url.find("//") + 2)), std::string::npos)
        << url << ": " << refused.log();
  }
}

TEST(Town, HealthSaysHowItIs) {
  Daemon::Options options;
  options.arguments = {"--town", "springfield"};
  Daemon daemon(options);
  daemon.Create(R"({"id":"a1","kind":"process","command":["cat"]})");
  auto stream = daemon.Stream("/agents/a1/stream");
  ASSERT_TRUE(stream->UntilEvent("stream.synced"));
  HttpConnection stranger(daemon.address());
  EXPECT_EQ(stranger.Call("GET", "/health").body, R"({"status":"ok"})");
  EXPECT_EQ(stranger.Call("GET", "/health", "", {{"Origin", "https://evil.example"}}).status, 403);
  EXPECT_EQ(stranger.Call("GET", "/health", "", {{"Authorization", "Bearer wrong-token-0123456789"}}).status,
            401);
  HttpAnswer health = daemon.Get("/health");
  EXPECT_EQ(health.status, 200);
  EXPECT_EQ(health.Field("status"), "ok");
  EXPECT_EQ(health.Field("town"), "springfield");
  EXPECT_EQ(health.Field("version"), REEVE_VERSION);
  EXPECT_EQ(health.Field("agents"), "1");
  EXPECT_EQ(health.Field("viewers"), "1");
  EXPECT_EQ(health.Field("reasons"), "[]");
  EXPECT_NE(health.Field("uptime_ms"), "");
  EXPECT_EQ(HttpConnection(daemon.address()).Call("GET", "/ready").status, 200);
  EXPECT_EQ(HttpConnection(daemon.address()).Call("GET", "/metrics").status, 401);
}

TEST(Town, MetricsCountWhatHappened) {
  Daemon daemon;
  daemon.Create(R"({"id":"a1","kind":"process","command":["seq","1","10"]})");
  daemon.WaitFor("a1");
  auto stream = daemon.Stream("/agents/a1/stream?after=0");
  EXPECT_TRUE(stream->UntilEnd());
  daemon.Post("/agents/a1/stream-ticket");
  HttpAnswer metrics = daemon.Get("/metrics");
  EXPECT_EQ(metrics.Header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  auto has = [&metrics](const std::string& line) {
    return metrics.body.find("\n" + line + "\n") != std::string::npos;
  };
  EXPECT_TRUE(has("reeve_agents{state=\"exited\"} 1"));
  EXPECT_TRUE(has("reeve_events_total 15"));
  EXPECT_TRUE(has("reeve_viewers_opened_total 1"));
  EXPECT_TRUE(has("reeve_tickets_unredeemed 1"));
  EXPECT_TRUE(has("reeve_log_blocked 0"));
  EXPECT_TRUE(has("reeve_messages_waiting 0"));
  EXPECT_TRUE(has("reeve_git_waiting 0"));
  // Every sample has its help and its type.
  std::string last_type;
  for (size_t at = 0; at < metrics.body.size();) {
    const size_t end = metrics.body.find('\n', at);
    const std::string line = metrics.body.substr(at, end - at);
    at = end + 1;
    if (line.rfind("# TYPE ", 0) == 0) last_type = line.substr(7, line.find(' ', 7) - 7);
    if (line[0] != '#') {
      EXPECT_EQ(line.substr(0, line.find_first_of(" {")), last_type);
    }
  }
}

TEST(Town, ThePlainPageAndItsPartsComeWithTheirTypesAndWithoutAToken) {
  Daemon daemon;
  HttpConnection client(daemon.address());
  HttpAnswer page = client.Call("GET", "/plain");
  EXPECT_EQ(page.status, 200);
  EXPECT_EQ(page.Header("content-type"), "text/html; charset=utf-8");
  EXPECT_NE(page.Header("content-security-policy"), "");
  for (const auto& [name, type] : {std::pair{"page.js", "text/javascript; charset=utf-8"},
                                   {"agent-stream.js", "text/javascript; charset=utf-8"},
                                   {"style.css", "text/css; charset=utf-8"},
                                   {"icon.svg", "image/svg+xml"}}) {
    HttpAnswer part = client.Call("GET", std::string("/assets/") + name);
    EXPECT_EQ(part.status, 200) << name;
    EXPECT_EQ(part.Header("content-type"), type) << name;
  }
  EXPECT_EQ(client.Call("GET", "/assets/nothing.js").status, 404);
  EXPECT_EQ(client.Call("GET", "/assets/..%2f..%2fetc%2fpasswd").status, 404);
}

// The page at / is the dashboard, or in a build without npm the plain page. Both name their parts.
TEST(Town, ThePartsOfThePageAreValidatedAndKept) {
  Daemon daemon;
  HttpConnection client(daemon.address());
  const HttpAnswer page = client.Call("GET", "/");
  EXPECT_EQ(page.status, 200);
  EXPECT_EQ(page.Header("cache-control"), "no-cache");
  const HttpAnswer same = client.Call("GET", "/", "", {{"If-None-Match", page.Header("etag")}});
  EXPECT_EQ(same.status, 304);
  EXPECT_EQ(same.body, "");
  EXPECT_EQ(same.Header("content-length"), "");
  EXPECT_EQ(client.Call("GET", "/", "", {{"If-None-Match", "\"another\""}}).status, 200);

  if (page.body.find("assets/app-") == std::string::npos) GTEST_SKIP() << "this build has no dashboard";
  EXPECT_EQ(page.Header("content-security-policy").find("unsafe"), std::string::npos);
  size_t compressed_bytes = 0;
  for (size_t at = page.body.find("assets/app-"); at != std::string::npos;
       at = page.body.find("assets/app-", at + 1)) {
    const std::string part = "/" + page.body.substr(at, page.body.find('"', at) - at);
    const HttpAnswer whole = client.Call("GET", part);
    EXPECT_EQ(whole.status, 200) << part;
    EXPECT_EQ(whole.Header("content-encoding"), "") << part;
    EXPECT_EQ(whole.Header("vary"), "Accept-Encoding") << part;
    EXPECT_EQ(whole.Header("cache-control"), "public, max-age=31536000, immutable") << part;
    const HttpAnswer compressed = client.Call("GET", part, "", {{"Accept-Encoding", "gzip, br"}});
    EXPECT_EQ(compressed.Header("content-encoding"), "gzip") << part;
    EXPECT_NE(compressed.Header("etag"), whole.Header("etag")) << part;
    EXPECT_LT(compressed.body.size(), whole.body.size()) << part;
    EXPECT_EQ(client.Call("GET", part, "", {{"Accept-Encoding", "br, gzip;q=0"}}).body, whole.body) << part;
    compressed_bytes += compressed.body.size();
  }
  EXPECT_GT(compressed_bytes, 0U);
  EXPECT_LT(compressed_bytes, 400U * 1024);
}

TEST(Town, APrefixIsPutBeforeWhatIsHandedOut) {
  Daemon::Options options;
  options.arguments = {"--base-path", "/reeve"};
  Daemon daemon(options);
  HttpAnswer made = daemon.Post("/agents", R"({"id":"a1","kind":"process","command":["cat"]})");
  EXPECT_EQ(made.Header("location"), "/reeve/agents/a1");
  const std::string url = daemon.TicketUrl("a1");
  EXPECT_EQ(url.rfind("/reeve/agents/a1/stream?ticket=", 0), 0U);
  StreamClient stream(daemon.address(), url.substr(6), {});  // the proxy takes the prefix away
  ASSERT_TRUE(stream.UntilEvent("stream.hello"));
  EXPECT_NE(stream.Header("set-cookie").find("Path=/reeve/agents/a1/stream"), std::string::npos);
}

}  // namespace
}  // namespace reeve
