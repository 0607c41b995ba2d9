#include "control/access/auth.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "control/access/idempotency.h"
#include "control/access/tokens.h"
#include "control/http/server.h"
#include "orchestrator/store/store.h"
#include "process/clock.h"
#include "tests/support/loop_fixture.h"
#include "tests/support/raw_client.h"

namespace reeve {
namespace {

const std::string kAdmin = "admin-token-0123456789";
const std::string kOperate = "operate-token-0123456789";
const std::string kView = "view-token-0123456789";

// --- tokens

class TokensTest : public ::testing::Test {
 protected:
  std::string File(const std::string& text) {
    WriteFile(dir.path() + "/tokens", text);
    chmod((dir.path() + "/tokens").c_str(), 0600);
    return dir.path() + "/tokens";
  }
  std::string ErrorOf(const std::string& text) {
    auto tokens = Tokens::Load({File(text), {}, {}});
    return tokens.ok() ? "" : tokens.error().message;
  }
  TempDir dir;
};

TEST_F(TokensTest, AFileHoldsTokensWithTheirScopes) {
  auto tokens = Tokens::Load(
      {File("# people\n\n" + kAdmin + "\r\n  view " + kView + "\noperate\t" + kOperate), {}, {}});
  ASSERT_TRUE(tokens.ok()) << tokens.error().message;
  EXPECT_EQ(tokens->Find(kAdmin)->scope, Scope::kAdmin);
  EXPECT_EQ(tokens->Find(kView)->scope, Scope::kView);
  EXPECT_EQ(tokens->Find(kOperate)->scope, Scope::kOperate);
  EXPECT_TRUE(tokens->configured());
  for (const auto& wrong :
       {std::string(), kAdmin + " ", kAdmin.substr(1), std::string("# people"), "view " + kView}) {
    EXPECT_FALSE(tokens->Find(wrong)) << wrong;
  }
}

// One file serves the daemon and its callers, also one from an editor that writes a byte order mark.
TEST_F(TokensTest, ACallerTakesTheStrongestTokenOfAFile) {
  const std::string text =
      "\xEF\xBB\xBF"
      "view " +
      kView + "\n# people\n" + kAdmin + "\noperate " + kOperate + "\n";
  auto tokens = Tokens::Load({File(text), {}, {}});
  ASSERT_TRUE(tokens.ok()) << tokens.error().message;
  EXPECT_EQ(tokens->Find(kView)->scope, Scope::kView);
  EXPECT_EQ(*Tokens::Strongest(text, "file"), kAdmin);
  EXPECT_EQ(*Tokens::Strongest("view " + kView + "\noperate " + kOperate, "file"), kOperate);
  EXPECT_EQ(*Tokens::Strongest(kAdmin + "\r\n", "file"), kAdmin);
  EXPECT_EQ(Tokens::Strongest("# none\n", "x").error().message, "token file x: it holds no token");
}

TEST_F(TokensTest, ATokenMayHaveAName) {
  const std::string file =
      File(kAdmin + " alice\nview " + kView + "  bob@laptop \r\noperate " + kOperate + "\n");
  auto tokens = Tokens::Load({file, {}, {}});
  ASSERT_TRUE(tokens.ok()) << tokens.error().message;
  EXPECT_EQ(tokens->Find(kAdmin)->by, "alice");
  EXPECT_EQ(tokens->Find(kAdmin)->scope, Scope::kAdmin);
  EXPECT_EQ(tokens->Find(kView)->by, "bob@laptop");
  EXPECT_EQ(tokens->Find(kView)->scope, Scope::kView);
  EXPECT_EQ(tokens->Find(kOperate)->by, "person");
  const std::string own(64, 'a');
  tokens->Grant("a1", own, Scope::kOperate);
  EXPECT_EQ(tokens->Find(own)->by, "agent:a1");
  File(kAdmin + " carol");
  EXPECT_EQ(tokens->Reload()->size(), 2U) << "a new name leaves the token valid";
  EXPECT_EQ(tokens->Find(kAdmin)->by, "carol");
}

// Events show names, so a name must neither pass for somebody else nor contain a secret.
TEST_F(TokensTest, ANameIsRefusedThatMisleads) {
  const std::pair<std::string, std::string> lines[] = {
      {"view " + kView + " a b", "line 1: expected a token, or"},
      {"view " + kView + " " + std::string(65, 'x'), "line 1: a name must have at most 64 printable"},
      {"view " + kView + " caf\xC3\xA9", "line 1: a name must have at most 64 printable"},
      {"view " + kView + " agent:a1", "line 1: the name agent:a1 is reserved"},
      {"# people\n" + kView + " policy", "line 2: the name policy is reserved"},
      {"view " + kView + "\nview " + kAdmin + " me-" + kView, "the name of a token contains a token"},
  };
  for (const auto& [text, reason] : lines) {
    auto tokens = Tokens::Load({File(text), {}, {}});
    ASSERT_FALSE(tokens.ok()) << text;
    EXPECT_NE(tokens.error().message.find(reason), std::string::npos) << tokens.error().message;
    EXPECT_EQ(tokens.error().message.find(kView), std::string::npos) << tokens.error().message;
  }
  EXPECT_TRUE(Tokens::Load({File("view " + kView + " " + std::string(64, 'x')), {}, {}}).ok());
}

TEST_F(TokensTest, ATokenHasOneIdForEver) {
  auto tokens = Tokens::Load({File(kAdmin + "\nview " + kView), {}, {}});
  auto again = Tokens::Load({{}, kAdmin, {}});
  ASSERT_TRUE(tokens.ok() && again.ok());
  EXPECT_NE(tokens->Find(kAdmin)->token, 0U);
  EXPECT_NE(tokens->Find(kAdmin)->token, tokens->Find(kView)->token);
  EXPECT_EQ(tokens->Find(kAdmin)->token, again->Find(kAdmin)->token);
}

TEST_F(TokensTest, AnAgentHasATokenOfItsOwnUntilItIsRevoked) {
  auto loaded = Tokens::Load({File(kAdmin), {}, {}});
  ASSERT_TRUE(loaded.ok());
  Tokens& tokens = *loaded;
  const std::string own(64, 'a');
  tokens.Grant("a1", own, Scope::kOperate);
  ASSERT_TRUE(tokens.Find(own));
  EXPECT_EQ(tokens.Find(own)->scope, Scope::kOperate);
  EXPECT_EQ(tokens.Find(kAdmin)->scope, Scope::kAdmin);
  const uint64_t id = tokens.Find(own)->token;
  ASSERT_TRUE(tokens.Reload().ok());
  EXPECT_TRUE(tokens.Find(own)) << "the file has no say about it";
  tokens.Grant("a1", std::string(64, 'b'), Scope::kView);
  EXPECT_FALSE(tokens.Find(own)) << "one at a time";
  tokens.Grant("a1", own, Scope::kView);
  EXPECT_EQ(tokens.Revoke("a1"), id);
  EXPECT_EQ(tokens.Revoke("a1"), std::nullopt);
  EXPECT_FALSE(tokens.Find(own));
}

// It can write its own token file: what is configured is not weakened by that.
TEST_F(TokensTest, AnAgentsTokenDoesNotTakeTheConfiguredOnesPlace) {
  auto loaded = Tokens::Load({File(kAdmin), {}, {}});
  ASSERT_TRUE(loaded.ok());
  Tokens& tokens = *loaded;
  tokens.Grant("a1", kAdmin, Scope::kView);
  EXPECT_EQ(tokens.Find(kAdmin)->scope, Scope::kAdmin);
  (void)tokens.Revoke("a1");
  EXPECT_TRUE(tokens.Find(kAdmin));
}

TEST_F(TokensTest, ErrorsNameFileAndLineButNeverAToken) {
  const std::pair<std::string, std::string> table[] = {
      {kAdmin + "\nsekrit-short", "line 2: a token must have at least 16"},
      {"view sekrit-short", "line 1: a token must have at least 16"},
      {"\n#\nroot sekrit-0123456789abcdef", "line 3: expected a token, or view"},
      {"sekrit-0123456789abcdef view", "line 1: expected a token, or view"},
      {"view sekrit-0123456789abcdef x y", "line 1: expected a token, or view"},
      {"view sekrit-0123456789abcdef admin", "line 1: expected a token, or view"},
      {"sekrit-0123456789\xc3\xa9"
       "abcdef",
       "line 1: a token must consist of printable"},
      {kAdmin + "\nview " + kAdmin, "line 2: repeats the token of an earlier line"},
      {"# nothing\n", "it holds no token"},
      {"", "it holds no token"},
      {std::string(100'000, 'x'), "larger than"},
  };
  for (const auto& [text, reason] : table) {
    std::string error = ErrorOf(text);
    EXPECT_NE(error.find(reason), std::string::npos) << error;
    EXPECT_NE(error.find(dir.path() + "/tokens"), std::string::npos) << error;
    EXPECT_EQ(error.find("sekrit"), std::string::npos) << error;
    EXPECT_EQ(error.find(kAdmin), std::string::npos) << error;
  }
  EXPECT_NE(Tokens::Load({dir.path() + "/missing", {}, {}}).error().message.find("No such file"),
            std::string::npos);
  EXPECT_NE(Tokens::Load({dir.path(), {}, {}}).error().message.find("not a regular file"), std::string::npos);
  EXPECT_NE(Tokens::Load({{}, "short", {}}).error().message.find("REEVE_TOKEN"), std::string::npos);
}

TEST_F(TokensTest, WarnsOfAFileThatOthersCanRead) {
  std::string path = File(kAdmin);
  testing::internal::CaptureStderr();
  ASSERT_TRUE(Tokens::Load({path, {}, {}}).ok());
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  chmod(path.c_str(), 0644);
  testing::internal::CaptureStderr();
  ASSERT_TRUE(Tokens::Load({path, {}, {}}).ok());
  std::string warning = testing::internal::GetCapturedStderr();
  EXPECT_NE(warning.find(path), std::string::npos);
  EXPECT_EQ(warning.find(kAdmin), std::string::npos);
}

TEST_F(TokensTest, WithoutAnyOneIsMadeAndKept) {
  auto made = Tokens::Load({{}, {}, dir.path()});
  ASSERT_TRUE(made.ok()) << made.error().message;
  EXPECT_FALSE(made->configured());
  struct stat status {};
  ASSERT_EQ(stat((dir.path() + "/token").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
  std::string text = ReadFile(dir.path() + "/token");
  ASSERT_EQ(text.size(), 65U);
  text.pop_back();
  EXPECT_EQ(made->Find(text)->scope, Scope::kAdmin);

  auto later = Tokens::Load({{}, {}, dir.path()});
  ASSERT_TRUE(later.ok());
  EXPECT_TRUE(later->Find(text));
  TempDir elsewhere;
  auto other = Tokens::Load({{}, {}, elsewhere.path()});
  EXPECT_FALSE(other->Find(text));
  size_t files = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(dir.path())) ++files;
  EXPECT_EQ(files, 1U);  // no draft left behind
  EXPECT_FALSE(Tokens::Load({{}, {}, dir.path() + "/missing"}).ok());
}

TEST_F(TokensTest, ReloadingTellsWhichAreNoMore) {
  std::string path = File(kAdmin + "\noperate " + kOperate + "\nview " + kView);
  auto tokens = Tokens::Load({path, {}, {}});
  ASSERT_TRUE(tokens.ok());
  uint64_t operate = tokens->Find(kOperate)->token;
  uint64_t admin = tokens->Find(kAdmin)->token;
  File("admin " + kView + "\nview " + kAdmin);
  auto gone = tokens->Reload();
  ASSERT_TRUE(gone.ok());
  EXPECT_EQ(*gone, (std::vector<uint64_t>{admin, operate}));  // one may do less now, one is no more
  EXPECT_FALSE(tokens->Find(kOperate));
  EXPECT_EQ(tokens->Find(kView)->scope, Scope::kAdmin);
}

TEST_F(TokensTest, AnUnreadableFileAtReloadKeepsTheOldOnes) {
  std::string path = File(kAdmin);
  auto tokens = Tokens::Load({path, {}, {}});
  ASSERT_TRUE(tokens.ok());
  for (const char* broken : {"", "view x"}) {
    File(broken);
    EXPECT_FALSE(tokens->Reload().ok());
    EXPECT_TRUE(tokens->Find(kAdmin));
  }
  unlink(path.c_str());
  EXPECT_FALSE(tokens->Reload().ok());
  EXPECT_TRUE(tokens->Find(kAdmin));
  auto from_environment = Tokens::Load({{}, kAdmin, {}});
  EXPECT_TRUE(from_environment->Reload().ok());
  EXPECT_TRUE(from_environment->Find(kAdmin));
}

// --- the gate, as a client sees it

class GateTest : public ::testing::Test {
 protected:
  void SetUp() override {
    WriteFile(dir.path() + "/tokens", kAdmin + "\noperate " + kOperate + "\nview " + kView);
    chmod((dir.path() + "/tokens").c_str(), 0600);
    auto loaded = Tokens::Load({dir.path() + "/tokens", {}, {}});
    ASSERT_TRUE(loaded.ok());
    tokens = std::make_unique<Tokens>(std::move(*loaded));
    gate = std::make_unique<Gate>(*tokens, Gate::Names{{"reeve.example"}, {"https://app.example/"}});
    auto handler = [this](const Request& request, Reply reply) {
      caller = request.caller;
      reply.Send(Response::Json(200, request.params.empty() ? "none" : request.params[0]));
    };
    router.Add("GET", "/", Access::kOpen, handler);
    router.Add("GET", "/health", Access::kOpen, handler, {Router::kAnyQuery});
    router.Add("GET", "/ready", Access::kOpen, handler);
    router.Add("GET", "/open", Access::kOpen, handler);
    router.Add("GET", "/view/{x}", Access::kView, handler, {"limit", "after"});
    router.Add("POST", "/operate", Access::kOperate, handler);
    router.Add("DELETE", "/admin", Access::kAdmin, handler);
    router.Add("GET", "/drop", Access::kView, [](const Request&, const Reply&) {});
    auto opened = Store::Open(loop, dir.path() + "/store");
    ASSERT_TRUE(opened.ok());
    store = std::move(*opened);
    idempotency = std::make_unique<Idempotency>(clock, *store);
    server = std::make_unique<Server>(loop, Server::Limits{}, Dispatching(*gate, *idempotency),
                                      Admission(*gate, router, "/base/path"));
    auto tcp = server->Listen("tcp://127.0.0.1:0");
    auto local = server->Listen("unix://" + dir.path() + "/s");
    ASSERT_TRUE(tcp.ok() && local.ok());
    tcp_address = *tcp;
    unix_address = *local;
  }

  // Asks with Host 127.0.0.1 unless `headers` hold one.
  RawAnswer Ask(const std::string& line, const std::vector<std::string>& headers,
                bool over_unix_socket = false) {
    std::string bytes = line + " HTTP/1.1\r\nConnection: close\r\n";
    bool host = false;
    for (const auto& header : headers) {
      bytes += header + "\r\n";
      host = host || header.substr(0, 5) == "Host:";
    }
    if (!host) bytes += "Host: 127.0.0.1:8080\r\n";
    caller.reset();
    RawClient client(over_unix_socket ? unix_address : tcp_address);
    client.Send(bytes + "\r\n");
    EXPECT_TRUE(RunUntil(loop, [&client] {
      client.Poll();
      return client.ended();
    }));
    auto answers = client.Answers(line.substr(0, 4) == "HEAD");
    return answers.empty() ? RawAnswer() : answers[0];
  }
  int StatusOf(const std::string& line, const std::vector<std::string>& headers) {
    return Ask(line, headers).status;
  }
  static std::string Bearer(const std::string& token) { return "Authorization: Bearer " + token; }

  Loop loop;
  TempDir dir;
  std::unique_ptr<Tokens> tokens;
  std::unique_ptr<Gate> gate;
  Router router;
  SystemClock clock;
  std::unique_ptr<Store> store;
  std::unique_ptr<Idempotency> idempotency;
  std::unique_ptr<Server> server;
  std::string tcp_address;
  std::string unix_address;
  std::optional<Request::Caller> caller;
};

TEST_F(GateTest, EachScopeMayDoWhatThoseBeforeItMay) {
  const std::string routes[] = {"GET /view/1", "POST /operate", "DELETE /admin"};
  const std::string holders[] = {kView, kOperate, kAdmin};
  for (size_t holder = 0; holder < 3; ++holder) {
    for (size_t route = 0; route < 3; ++route) {
      EXPECT_EQ(StatusOf(routes[route], {Bearer(holders[holder])}), route <= holder ? 200 : 403)
          << routes[route] << " as " << holders[holder];
    }
  }
  Ask("GET /view/1", {Bearer(kOperate)});
  ASSERT_TRUE(caller);
  EXPECT_EQ(caller->scope, Scope::kOperate);
  EXPECT_EQ(caller->token, tokens->Find(kOperate)->token);
}

TEST_F(GateTest, EveryWayToHaveNoValidTokenIsTheSame401) {
  const std::vector<std::vector<std::string>> table = {
      {},
      {"Authorization:"},
      {"Authorization: Bearer"},
      {"Authorization: Bearer "},
      {"Authorization: Basic " + kAdmin},
      {"Authorization: " + kAdmin},
      {"Authorization: Bearer" + kAdmin},
      {"Authorization: Bearer " + kAdmin + "x"},
      {"Authorization: Bearer " + kAdmin + " " + kAdmin},
      {"Authorization: Bearer \"" + kAdmin + "\""},
      {"Authorization: Bearer unknown-token-0123456789"},
      {"Authorization: Bearer " + std::string(10'000, 'x')},
      {Bearer(kAdmin), Bearer(kAdmin)},
      {"X-Authorization: Bearer " + kAdmin},
  };
  std::string first;
  for (const auto& headers : table) {
    RawAnswer answer = Ask("GET /view/1", headers);
    std::string body = answer.body.substr(0, answer.body.find("\"request_id\""));
    if (first.empty()) first = body;
    std::string shown = headers.empty() ? "nothing" : headers[0];
    EXPECT_EQ(answer.status, 401) << shown;
    EXPECT_EQ(answer.Header("www-authenticate"), "Bearer") << shown;
    EXPECT_EQ(body, first) << shown;
    EXPECT_FALSE(caller);
  }
  EXPECT_EQ(StatusOf("GET /view/1", {"Authorization: bEaReR  " + kView}), 200);
}

TEST_F(GateTest, OpenRoutesTakeATokenButNotAWrongOne) {
  EXPECT_EQ(StatusOf("GET /open", {}), 200);
  EXPECT_FALSE(caller);
  EXPECT_EQ(StatusOf("GET /open", {Bearer(kView)}), 200);
  ASSERT_TRUE(caller);
  EXPECT_EQ(caller->scope, Scope::kView);
  EXPECT_EQ(StatusOf("GET /open", {Bearer("unknown-token-0123456789")}), 401);
  EXPECT_EQ(StatusOf("GET /open", {"Authorization: Basic dXNlcjpwYXNz"}), 200);  // a proxy's, not ours
}

TEST_F(GateTest, UnknownPathsAndMethodsAreGuardedToo) {
  EXPECT_EQ(StatusOf("GET /nothing", {}), 404);
  EXPECT_EQ(StatusOf("GET /nothing", {"Host: evil.example"}), 403);
  EXPECT_EQ(StatusOf("GET /nothing", {Bearer("unknown-token-0123456789")}), 401);
  RawAnswer wrong_method = Ask("PUT /admin", {});
  EXPECT_EQ(wrong_method.status, 405);
  EXPECT_EQ(wrong_method.Header("allow"), "DELETE, OPTIONS");
}

TEST_F(GateTest, HostMustBeOneOfOurs) {
  for (const char* host : {"127.0.0.1", "127.0.0.1:8080", "10.1.2.3", "[::1]", "[::1]:8080", "localhost",
                           "LocalHost:1", "localhost.", "reeve.example", "Reeve.Example:8080"}) {
    EXPECT_EQ(StatusOf("GET /open", {"Host: " + std::string(host)}), 200) << host;
  }
  for (const char* host :
       {"evil.example", "reeve.example.evil", "localhost.evil", "127.0.0.1.evil", "1", "0x7f.1", "::1",
        "[::1", "[evil]", "[::1]x", "localhost:80:80", "localhost:x", ".", ":80"}) {
    EXPECT_EQ(StatusOf("GET /open", {"Host: " + std::string(host)}), 403) << host;
  }
}

TEST_F(GateTest, ProbesNeedNoToken) {
  for (const char* line : {"GET /health", "GET /ready", "HEAD /health"}) {
    EXPECT_EQ(StatusOf(line, {}), 200) << line;
    EXPECT_EQ(StatusOf(line, {"Host: anything.example"}), 403) << line;
    EXPECT_EQ(StatusOf(line, {"Origin: https://evil.example"}), 403) << line;
    EXPECT_EQ(StatusOf(line, {Bearer("an-old-token-0123456789")}), 401) << line;
  }
  RawClient old_balancer(tcp_address);
  old_balancer.Send("GET /health HTTP/1.0\r\n\r\n");
  ASSERT_TRUE(RunUntil(loop, [&] { return old_balancer.Poll(), old_balancer.ended(); }));
  EXPECT_EQ(old_balancer.Answers().at(0).status, 200);
}

TEST_F(GateTest, AUnixSocketNeedsATokenButNoName) {
  EXPECT_EQ(Ask("GET /view/1", {"Host: whatever", Bearer(kView)}, true).status, 200);
  EXPECT_EQ(Ask("GET /view/1", {"Host: whatever"}, true).status, 401);
  EXPECT_EQ(Ask("GET /view/1", {"Host: a", "Origin: https://evil.example", Bearer(kView)}, true).status, 403);
}

TEST_F(GateTest, OriginMustBeOurOwnOrAllowed) {
  struct Row {
    const char* host;
    const char* origin;
    int status;
  };
  const Row table[] = {
      {"127.0.0.1:8080", "http://127.0.0.1:8080", 200},
      {"127.0.0.1:8080", "https://127.0.0.1:8080", 200},  // a TLS proxy before us
      {"reeve.example", "https://reeve.example", 200},
      {"reeve.example", "http://Reeve.Example", 200},
      {"reeve.example:443", "https://reeve.example", 200},
      {"reeve.example:80", "http://reeve.example", 200},
      {"127.0.0.1:8080", "https://app.example", 200},
      {"127.0.0.1:8080", "http://127.0.0.1:9090", 403},
      {"127.0.0.1:8080", "http://127.0.0.1", 403},
      {"127.0.0.1:8080", "http://localhost:8080", 403},
      {"reeve.example:80", "https://reeve.example", 403},
      {"127.0.0.1:8080", "http://app.example", 403},
      {"127.0.0.1:8080", "https://app.example:444", 403},
      {"127.0.0.1:8080", "https://app.example.evil", 403},
      {"127.0.0.1:8080", "https://evil.example", 403},
      {"127.0.0.1:8080", "null", 403},
      {"127.0.0.1:8080", "", 403},
      {"127.0.0.1:8080", "http://", 403},
      {"127.0.0.1:8080", "file://127.0.0.1:8080", 403},
      {"127.0.0.1:8080", "http://127.0.0.1:8080/", 403},
  };
  for (const Row& row : table) {
    std::vector<std::string> headers = {"Host: " + std::string(row.host),
                                        "Origin: " + std::string(row.origin)};
    EXPECT_EQ(StatusOf("GET /open", headers), row.status) << row.origin << " to " << row.host;
    headers.push_back(Bearer(kAdmin));
    EXPECT_EQ(StatusOf("DELETE /admin", headers), row.status) << row.origin << " to " << row.host;
  }
  EXPECT_EQ(StatusOf("GET /open", {"Origin: https://app.example", "Origin: https://app.example"}), 403);
}

TEST_F(GateTest, AnAllowedOriginMayReadEveryAnswer) {
  const std::string origin = "Origin: https://app.example";
  const std::pair<std::string, std::vector<std::string>> table[] = {
      {"GET /view/1", {origin, Bearer(kView)}},    // 200
      {"GET /view/1", {origin}},                   // 401
      {"DELETE /admin", {origin, Bearer(kView)}},  // 403
      {"GET /nothing", {origin}},                  // 404
      {"PUT /admin", {origin}},                    // 405
      {"GET /drop", {origin, Bearer(kView)}},      // 500
      {"GET /health", {origin}},
  };
  for (const auto& [line, headers] : table) {
    RawAnswer answer = Ask(line, headers);
    EXPECT_EQ(answer.Header("access-control-allow-origin"), "https://app.example") << line << answer.status;
    EXPECT_EQ(answer.Header("access-control-allow-credentials"), "true") << line;
    EXPECT_EQ(answer.Header("access-control-expose-headers"), "X-Request-Id, Retry-After, Mcp-Session-Id")
        << line;
    EXPECT_EQ(answer.Header("vary"), "Origin") << line;
  }
  for (const char* other : {"Origin: http://127.0.0.1:8080", "Origin: https://evil.example", "X: y"}) {
    EXPECT_EQ(Ask("GET /open", {other}).Header("access-control-allow-origin"), "") << other;
  }
}

TEST_F(GateTest, AnswersPreflightsOfAllowedOrigins) {
  RawAnswer preflight =
      Ask("OPTIONS /admin", {"Origin: https://app.example", "Access-Control-Request-Method: DELETE",
                             "Access-Control-Request-Headers: authorization"});
  EXPECT_EQ(preflight.status, 204);
  EXPECT_EQ(preflight.Header("access-control-allow-origin"), "https://app.example");
  EXPECT_EQ(preflight.Header("access-control-allow-credentials"), "true");
  EXPECT_NE(preflight.Header("access-control-allow-methods").find("DELETE"), std::string::npos);
  EXPECT_EQ(preflight.Header("access-control-allow-headers"),
            "authorization, content-type, idempotency-key, last-event-id, mcp-method, mcp-name, "
            "mcp-protocol-version, mcp-session-id");
  EXPECT_EQ(preflight.Header("access-control-max-age"), "600");

  EXPECT_EQ(preflight.Header("access-control-allow-private-network"), "");

  const std::string network = "Access-Control-Request-Private-Network: true";
  EXPECT_EQ(Ask("OPTIONS /admin", {"Origin: https://app.example", network})
                .Header("access-control-allow-private-network"),
            "true");
  EXPECT_EQ(Ask("OPTIONS /admin", {"Origin: https://evil.example", network})
                .Header("access-control-allow-private-network"),
            "");
  EXPECT_EQ(Ask("OPTIONS /admin", {network}).Header("access-control-allow-private-network"), "");

  RawAnswer refused =
      Ask("OPTIONS /admin", {"Origin: https://evil.example", "Access-Control-Request-Method: DELETE"});
  EXPECT_EQ(refused.status, 403);
  EXPECT_EQ(refused.Header("access-control-allow-origin"), "");
  EXPECT_EQ(StatusOf("OPTIONS *", {}), 204);
}

TEST_F(GateTest, AnAbsoluteTargetDecidesTheHost) {
  EXPECT_EQ(StatusOf("GET http://127.0.0.1:8080/open", {"Host: evil.example"}), 200);
  EXPECT_EQ(StatusOf("GET http://evil.example/open", {"Host: 127.0.0.1"}), 403);
  EXPECT_EQ(StatusOf("GET HTTPS://localhost/view/1?limit=2", {"Host: localhost", Bearer(kView)}), 200);
  EXPECT_EQ(StatusOf("GET http://localhost", {"Host: localhost"}), 200);
}

TEST_F(GateTest, ThePathMayBeginWithTheBasePath) {
  EXPECT_EQ(StatusOf("GET /base/path/open", {}), 200);
  EXPECT_EQ(StatusOf("GET /base/path/health", {}), 200);
  EXPECT_EQ(StatusOf("GET /base/%70ath/health", {}), 200);
  EXPECT_EQ(StatusOf("GET /base/path/", {}), 200);
  EXPECT_EQ(Ask("GET /base/path/view/x", {Bearer(kView)}).body, "x");
  EXPECT_EQ(StatusOf("POST /base/path/open", {}), 405);
  for (const char* other :
       {"GET /base/pathopen", "GET /base/open", "GET /base", "GET /base/path/base/path/open"})
    EXPECT_EQ(StatusOf(other, {}), 404) << other;
  RawAnswer folder = Ask("GET /base/path", {});
  EXPECT_EQ(folder.status, 308);
  EXPECT_EQ(folder.Header("location"), "/base/path/");
}

TEST_F(GateTest, AnUnknownQueryParameterIsNamed) {
  EXPECT_EQ(StatusOf("GET /view/1?limit=1&after=2", {Bearer(kView)}), 200);
  RawAnswer refused = Ask("GET /view/1?limit=1&limt=2", {Bearer(kView)});
  EXPECT_EQ(refused.status, 400);
  EXPECT_NE(refused.body.find("unknown query parameter limt: this path takes limit, after"),
            std::string::npos)
      << refused.body;
  EXPECT_NE(Ask("GET /open?x", {}).body.find("unknown query parameter x: this path takes none"),
            std::string::npos);
  EXPECT_EQ(StatusOf("GET /view/1?limt=2", {}), 401) << "nobody learns the parameters without a token";
  EXPECT_EQ(StatusOf("GET /health?cache=1", {}), 200);
}

TEST_F(GateTest, NoAnswerRepeatsAToken) {
  for (const char* line : {"GET /view/1", "DELETE /admin", "GET /nothing"}) {
    EXPECT_EQ(Ask(line, {Bearer(kView)}).body.find(kView), std::string::npos);
    EXPECT_EQ(Ask(line, {Bearer("guessed-0123456789")}).body.find("guessed"), std::string::npos);
  }
}

}  // namespace
}  // namespace reeve
