// Stream tickets (control/api/API.md) over HTTP: each opens one stream, once, and nothing is learnt from a
// refusal.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <csignal>
#include <set>

#include "tests/support/daemon.h"
#include "tests/support/gateway_client.h"

namespace reeve {
namespace {

constexpr const char* kSleeper = R"({"id":"a1","kind":"process","command":["sleep","600"]})";
constexpr const char* kOther = R"({"id":"a2","kind":"process","command":["sleep","600"]})";

// A daemon with agents a1 and a2.
class Tickets : public testing::Test {
 protected:
  void SetUp() override {
    daemon_.Create(kSleeper);
    daemon_.Create(kOther);
    for (const char* id : {"a1", "a2"}) daemon_.WaitFor(id, "until=ready");
  }
  std::string Ticket(const std::string& body = "{}") {
    return daemon_.Post("/agents/a1/stream-ticket", body).Field("ticket");
  }
  // Opens without a bearer token, as a browser does.
  std::unique_ptr<StreamClient> Open(const std::string& target, Headers headers = {}) {
    return std::make_unique<StreamClient>(daemon_.address(), target,
                                          StreamClient::Options{std::move(headers)});
  }
  int Status(const std::string& target, Headers headers = {}) {
    auto stream = Open(target, std::move(headers));
    stream->UntilHead();
    return stream->status();
  }
  static std::string Url(const std::string& ticket) { return "/agents/a1/stream?ticket=" + ticket; }

  Daemon daemon_;
};

TEST_F(Tickets, OpenOneStreamOnce) {
  HttpAnswer issued = daemon_.Post("/agents/a1/stream-ticket", "{}");
  ASSERT_EQ(issued.status, 200);
  EXPECT_EQ(issued.Field("url"), Url(issued.Field("ticket")));
  EXPECT_EQ(issued.Header("cache-control"), "no-store");
  EXPECT_EQ(issued.Header("referrer-policy"), "no-referrer");
  EXPECT_GE(issued.Field("ticket").size(), 43U);  // 256 bits
  auto stream = Open(issued.Field("url"));
  EXPECT_TRUE(stream->UntilEvent("stream.synced"));
  EXPECT_EQ(stream->Header("content-type"), "text/event-stream; charset=utf-8");
  EXPECT_EQ(stream->Header("cache-control"), "no-store, no-transform");
  EXPECT_EQ(stream->Header("x-accel-buffering"), "no");
  EXPECT_EQ(stream->Header("referrer-policy"), "no-referrer");
  EXPECT_EQ(Status(issued.Field("url")), 401);
}

TEST_F(Tickets, ForAnotherAgentAreRefusedAndNotUsedUp) {
  const std::string ticket = Ticket();
  EXPECT_EQ(Status("/agents/a2/stream?ticket=" + ticket), 401);
  EXPECT_EQ(Status("/agents/nobody/stream?ticket=" + ticket), 401);
  EXPECT_EQ(Status("/stream?ticket=" + ticket), 401);
  EXPECT_EQ(Status(Url(ticket)), 200);
}

TEST_F(Tickets, OfTwoThatComeTogetherOneOpens) {
  for (int i = 0; i < 50; ++i) {
    const std::string ticket = Ticket();
    StreamClient one(daemon_.address(), Url(ticket), {});
    StreamClient two(daemon_.address(), Url(ticket), {});
    EXPECT_TRUE(one.UntilHead());
    EXPECT_TRUE(two.UntilHead());
    EXPECT_EQ((std::multiset<int>{one.status(), two.status()}), (std::multiset<int>{200, 401}));
  }
}

TEST_F(Tickets, ACheckUsesNoneUp) {
  const auto check = [this](const std::string& ticket) {
    return HttpConnection(daemon_.address()).Call("GET", "/ws/ticket", "", {{"X-Reeve-Ticket", ticket}});
  };
  const std::string several = daemon_.Post("/stream-ticket", R"({"agents":"*"})").Field("ticket");
  EXPECT_EQ(check(several).status, 204);
  EXPECT_EQ(check(several).status, 204);
  GatewayClient gateway(daemon_.address(), {.target = "/ws?ticket=" + several});
  ASSERT_TRUE(gateway.UntilEvent("gateway.ready"));
  EXPECT_EQ(check(gateway.resume()).status, 204);
  const HttpAnswer used = check(several);
  EXPECT_EQ(used.status, 401);
  EXPECT_EQ(used.Field("code"), "ticket_invalid");
  EXPECT_EQ(check(Ticket()).status, 401) << "a ticket for the stream of one agent opens no gateway";
  EXPECT_EQ(daemon_.log().find(several), std::string::npos);
}

TEST_F(Tickets, AThousandWaitAndTheOldestGoesFirst) {
  HttpConnection client(daemon_.address());
  const Headers bearer = {{"Authorization", "Bearer " + daemon_.token()}};
  std::vector<std::string> tickets;
  for (int i = 0; i < 1001; ++i) {
    tickets.push_back(client.Call("POST", "/agents/a1/stream-ticket", "{}", bearer).Field("ticket"));
  }
  EXPECT_NE(daemon_.Get("/metrics").body.find("\nreeve_tickets_unredeemed 1000\n"), std::string::npos);
  EXPECT_EQ(Status(Url(tickets[0])), 401);
  EXPECT_EQ(Status(Url(tickets[1])), 200);
  EXPECT_EQ(Status(Url(tickets[1000])), 200);
}

TEST_F(Tickets, AreVoidAfterARestart) {
  const std::string ticket = Ticket();
  auto stream = Open(Url(Ticket()));
  ASSERT_TRUE(stream->UntilEvent("stream.hello"));
  const std::string resume = stream->Find("stream.hello")->Field("resume");
  daemon_.Kill();
  daemon_.Start();
  EXPECT_EQ(Status(Url(ticket)), 401);
  EXPECT_EQ(Status(Url(resume)), 401);
}

// The answer with its request id, and what follows from its length, taken out.
std::string WithoutRequestId(const HttpAnswer& answer) {
  std::string text = answer.wire;
  const std::string id = answer.Header("x-request-id");
  for (size_t at = text.find(id); at != std::string::npos; at = text.find(id))
    text.replace(at, id.size(), "*");
  const std::string length = "Content-Length: " + std::to_string(answer.body.size());
  EXPECT_NE(text.find(length), std::string::npos);
  return text.replace(text.find(length), length.size(), std::to_string(answer.body.size() - id.size()));
}

TEST_F(Tickets, EveryRefusalIsTheSameToTheByte) {
  const std::string used = Ticket();
  ASSERT_EQ(Status(Url(used)), 200);
  const std::string expired = Ticket(R"({"ttl_ms":1})");
  std::string unknown = Ticket();
  unknown.back() = unknown.back() == 'A' ? 'E' : 'A';
  auto stream = Open(Url(Ticket()));
  ASSERT_TRUE(stream->UntilEvent("stream.hello"));
  const std::string resume = stream->Find("stream.hello")->Field("resume");
  auto next = Open(Url(resume));
  ASSERT_TRUE(next->UntilEvent("stream.hello"));
  ASSERT_TRUE(Eventually([&] { return JsonField(daemon_.Get("/agents/a1").body, "id") == "a1"; }));
  const std::vector<std::string> targets = {
      "/agents/a1/stream",                         // none at all
      "/agents/a1/stream?ticket=",                 // an empty one
      Url("x"),                                    // malformed
      Url(std::string(5000, 'A')),                 // of a wrong length
      Url("%ff%fe%0a"),                            // no text
      Url(unknown),                                // never issued
      Url(used),                                   // used
      Url(expired),                                // expired
      "/agents/a2/stream?ticket=" + Ticket(),      // another agent's
      "/agents/nobody/stream?ticket=" + Ticket(),  // of an agent that is none
      "/stream?ticket=" + Ticket(),                // of another kind
      Url(resume),                                 // a resume ticket that was used
  };
  HttpAnswer first = HttpConnection(daemon_.address()).Call("GET", targets[0]);
  EXPECT_EQ(first.status, 401);
  EXPECT_EQ(first.Field("code"), "ticket_invalid");
  for (const std::string& target : targets) {
    HttpAnswer answer = HttpConnection(daemon_.address()).Call("GET", target);
    EXPECT_EQ(WithoutRequestId(answer), WithoutRequestId(first)) << target.substr(0, 80);
  }
}

TEST_F(Tickets, AreNotUsedUpByARequestThatIsRefusedForAnotherReason) {
  const std::string ticket = Ticket();
  EXPECT_EQ(Status(Url(ticket) + "&after=yesterday"), 400);
  EXPECT_EQ(Status(Url(ticket), {{"Last-Event-ID", "1-2-3"}}), 400);
  EXPECT_EQ(Status(Url(ticket) + "&follow=maybe"), 400);
  EXPECT_EQ(HttpConnection(daemon_.address()).Call("HEAD", Url(ticket)).status, 405);
  EXPECT_EQ(Status(Url(ticket)), 200);
}

TEST_F(Tickets, RequestsForThemAreChecked) {
  struct Case {
    const char* target;
    const char* body;
    int status;
  };
  // A key does not repeat a ticket, however its path is spelt.
  for (const char* target :
       {"/stream-ticket", "/stream%2dticket", "/%73tream-ticket", "/agents/a1/stream-ticke%74"}) {
    const std::string body = target[1] == 'a' ? "{}" : R"({"agents":["a1"]})";
    const HttpAnswer first = daemon_.Call("POST", target, body, {{"Idempotency-Key", "k1"}});
    const HttpAnswer second = daemon_.Call("POST", target, body, {{"Idempotency-Key", "k1"}});
    EXPECT_EQ(second.status, 200) << second.wire;
    EXPECT_NE(first.Field("ticket"), second.Field("ticket")) << target;
  }
  for (const Case& wrong : {Case{"/agents/nobody/stream-ticket", "{}", 404},
                            {"/agents/a1/stream-ticket", R"({"ttl_ms":60001})", 400},
                            {"/agents/a1/stream-ticket", R"({"ttl_ms":0})", 400},
                            {"/agents/a1/stream-ticket", R"({"ttl_ms":"1"})", 400},
                            {"/agents/a1/stream-ticket", R"({"mode":"all"})", 400},
                            {"/agents/a1/stream-ticket", R"({"mode":7})", 400},
                            {"/agents/a1/stream-ticket", R"({"after":"yesterday"})", 400},
                            {"/agents/a1/stream-ticket", R"({"afters":"0"})", 400},
                            {"/stream-ticket", "{}", 400},
                            {"/stream-ticket", R"({"agents":[]})", 400},
                            {"/stream-ticket", R"({"agents":"a1"})", 400},
                            {"/stream-ticket", R"({"agents":[1]})", 404},
                            {"/stream-ticket", R"({"agents":["a1","nobody"]})", 404},
                            {"/stream-ticket", R"({"agents":["a1"],"after":"0"})", 400},
                            {"/stream-ticket", R"({"agents":["a1"],"after":{"a2":"0"}})", 404},
                            {"/stream-ticket", R"({"agents":"*","after":{"nobody":"0"}})", 404},
                            {"/stream-ticket", R"({"agents":["nobody"]})", 404},
                            {"/stream-ticket", R"({"agents":["a1"],"after":{"a1":"x"}})", 400}}) {
    EXPECT_EQ(daemon_.Post(wrong.target, wrong.body).status, wrong.status) << wrong.target << wrong.body;
  }
}

TEST_F(Tickets, SayWhereTheStreamBegins) {
  auto one = Open(Url(Ticket(R"({"after":"0"})")));
  EXPECT_TRUE(one->UntilEvent("stream.synced"));
  EXPECT_EQ(one->events(), daemon_.LogFiles("a1"));
  auto live = Open(Url(Ticket()));
  EXPECT_TRUE(live->UntilEvent("stream.synced"));
  EXPECT_EQ(live->count(), 0U);
  HttpAnswer several = daemon_.Post("/stream-ticket", R"({"agents":["a1","a2"],"after":{"a2":"0"}})");
  auto both = Open(several.Field("url"));
  EXPECT_TRUE(both->Until([&] { return both->All("stream.synced").size() == 2; }));
  EXPECT_EQ(both->events(), daemon_.LogFiles("a2"));
}

// ------------------------------------------------------------------------------------------------- resuming

TEST_F(Tickets, TheHelloCarriesOneThatResumesTheStreamOnce) {
  auto first = Open(Url(Ticket(R"({"after":"0"})")));
  ASSERT_TRUE(first->UntilEvent("stream.synced"));
  const std::string resume = first->Find("stream.hello")->Field("resume");
  auto second = Open(Url(resume) + "&after=" + first->last_id());
  ASSERT_TRUE(second->UntilEvent("stream.synced"));
  EXPECT_EQ(second->count(), 0U);
  EXPECT_TRUE(first->UntilEnd());
  ASSERT_NE(first->Find("stream.bye"), nullptr);
  EXPECT_EQ(first->Find("stream.bye")->Field("reason"), "replaced");
  EXPECT_EQ(Status(Url(resume)), 401);
  // And so on: each stream has one.
  const std::string third = second->Find("stream.hello")->Field("resume");
  EXPECT_NE(third, resume);
  second.reset();  // its client left
  EXPECT_EQ(Status(Url(third)), 200);
}

TEST_F(Tickets, TheCookieOpensOnlyTogetherWithTheSpentUrlAndRotates) {
  const std::string url = Url(Ticket());
  auto stream = Open(url);
  ASSERT_TRUE(stream->UntilEvent("stream.hello"));
  std::string cookie = stream->Header("set-cookie");
  EXPECT_NE(cookie.find("; HttpOnly; SameSite=Strict; Path=/agents/a1/stream"), std::string::npos) << cookie;
  EXPECT_EQ(cookie.rfind("reeve_resume_", 0), 0U) << cookie;
  cookie.resize(cookie.find(';'));
  stream.reset();

  EXPECT_EQ(Status("/agents/a1/stream", {{"Cookie", cookie}}), 401);  // alone
  const std::string other = Url(Ticket());
  ASSERT_EQ(Status(other), 200);
  EXPECT_EQ(Status(other, {{"Cookie", cookie}}), 401);  // with the URL of another stream
  EXPECT_EQ(Status(url), 401);                          // the URL alone

  auto again = Open(url, {{"Cookie", "theme=dark; " + cookie + "; a=b"}});
  ASSERT_TRUE(again->UntilEvent("stream.hello"));
  std::string rotated = again->Header("set-cookie");
  rotated.resize(std::min(rotated.size(), rotated.find(';')));
  EXPECT_EQ(rotated.substr(0, rotated.find('=')), cookie.substr(0, cookie.find('=')));
  EXPECT_NE(rotated, cookie);
  EXPECT_EQ(Status(url, {{"Cookie", cookie}}), 401);  // replayed
  EXPECT_EQ(Status(url, {{"Cookie", rotated}}), 200);
}

TEST_F(Tickets, TabsResumeWithoutDisturbingEachOther) {
  const std::string url[] = {Url(Ticket()), Url(Ticket())};
  std::string cookies;
  for (const std::string& one : url) {
    auto stream = Open(one);
    ASSERT_TRUE(stream->UntilEvent("stream.hello"));
    std::string cookie = stream->Header("set-cookie");
    cookies += cookie.substr(0, cookie.find(';')) + "; ";
  }
  auto one = Open(url[0], {{"Cookie", cookies}});
  auto two = Open(url[1], {{"Cookie", cookies}});
  EXPECT_TRUE(one->UntilEvent("stream.synced"));
  EXPECT_TRUE(two->UntilEvent("stream.synced"));
  EXPECT_FALSE(one->ended());
}

// ------------------------------------------------------------------------------------------ who may do what

constexpr const char* kAdmin = "admin-token-of-at-least-32-characters";
constexpr const char* kView = "view-token-of-at-least-32-characters";
constexpr const char* kOperate = "operate-token-of-at-least-32-characters";

class Scopes : public testing::Test {
 protected:
  Scopes() {
    WriteFile(file_, std::string(kAdmin) + "\nview " + kView + "\noperate " + kOperate + "\n");
    chmod(file_.c_str(), 0600);
    Daemon::Options options;
    options.arguments = {"--token-file",     file_,
                         "--log-level",      "debug",
                         "--allowed-origin", "https://app.example",
                         "--allowed-origin", "https://other.example"};
    daemon_ = std::make_unique<Daemon>(options);
    EXPECT_EQ(Call(kAdmin, "POST", "/agents", kSleeper).status, 201);
    Call(kAdmin, "GET", "/agents/a1/wait?until=ready");
  }
  HttpAnswer Call(const std::string& token, const char* method, const std::string& target,
                  const std::string& body = "", Headers headers = {}) {
    headers.emplace_back("Authorization", "Bearer " + token);
    return HttpConnection(daemon_->address()).Call(method, target, body, headers);
  }
  std::unique_ptr<StreamClient> Open(const std::string& target, Headers headers = {}) {
    auto stream =
        std::make_unique<StreamClient>(daemon_->address(), target, StreamClient::Options{std::move(headers)});
    stream->UntilHead();
    return stream;
  }

  TempDir folder_;
  const std::string file_ = folder_.path() + "/tokens";
  std::unique_ptr<Daemon> daemon_;
};

TEST_F(Scopes, ATicketNeverExceedsItsIssuer) {
  const std::string target = "/agents/a1/stream-ticket";
  EXPECT_EQ(Call(kView, "POST", target, R"({"mode":"view"})").status, 200);
  EXPECT_EQ(Call(kView, "POST", target, R"({"mode":"operate"})").status, 403);
  EXPECT_EQ(Call(kView, "POST", "/stream-ticket", R"({"agents":"*","mode":"operate"})").status, 403);
  EXPECT_EQ(Call(kOperate, "POST", target, R"({"mode":"operate"})").status, 200);
  EXPECT_EQ(Call(kOperate, "POST", target, R"({"mode":"terminal"})").status, 403);
  EXPECT_EQ(Call(kAdmin, "POST", target, R"({"mode":"terminal"})").status, 200);
}

TEST_F(Scopes, EachRouteWantsItsOwn) {
  EXPECT_EQ(Call(kView, "GET", "/agents").status, 200);
  EXPECT_EQ(Call(kView, "GET", "/metrics").status, 200);
  EXPECT_EQ(Call(kView, "POST", "/agents", kOther).status, 403);
  EXPECT_EQ(Call(kOperate, "POST", "/agents", kOther).status, 403);
  EXPECT_EQ(Call(kOperate, "DELETE", "/agents/a1").status, 403);
  for (const char* command : {"message", "interrupt", "stop", "start", "restart", "approvals/p1"}) {
    HttpAnswer refused = Call(kView, "POST", std::string("/agents/a1/") + command, R"({"text":"x"})");
    EXPECT_EQ(refused.status, 403) << command;
    EXPECT_EQ(refused.Field("code"), "forbidden") << command;
  }
  EXPECT_EQ(Call(kOperate, "POST", "/agents/a1/message", R"({"text":"x"})").status, 202);
  EXPECT_EQ(Call("no-token-that-anybody-has-ever-issued", "GET", "/agents").status, 401);
  EXPECT_EQ(HttpConnection(daemon_->address()).Call("GET", "/agents").status, 401);
}

TEST_F(Scopes, ATokenThatIsTakenAwayTakesItsStreamsAndTicketsWithIt) {
  const std::string theirs = Call(kView, "POST", "/agents/a1/stream-ticket", "{}").Field("url");
  const std::string ours = Call(kOperate, "POST", "/agents/a1/stream-ticket", "{}").Field("url");
  auto by_ticket = Open(Call(kView, "POST", "/agents/a1/stream-ticket", "{}").Field("url"));
  auto by_token = Open("/agents/a1/stream", {{"Authorization", std::string("Bearer ") + kView}});
  auto stays = Open(Call(kOperate, "POST", "/agents/a1/stream-ticket", "{}").Field("url"));
  ASSERT_TRUE(by_ticket->UntilEvent("stream.synced"));
  const std::string resume = by_ticket->Find("stream.hello")->Field("resume");
  ASSERT_TRUE(by_token->UntilEvent("stream.synced"));
  ASSERT_TRUE(stays->UntilEvent("stream.synced"));

  WriteFile(file_, std::string(kAdmin) + "\noperate " + kOperate + "\n");
  daemon_->Signal(SIGHUP);
  EXPECT_TRUE(by_ticket->UntilEnd());
  EXPECT_TRUE(by_token->UntilEnd());
  EXPECT_EQ(Open(theirs)->status(), 401);
  EXPECT_EQ(Open("/agents/a1/stream?ticket=" + resume)->status(), 401);
  EXPECT_EQ(Call(kView, "GET", "/agents").status, 401);
  EXPECT_EQ(Open(ours)->status(), 200);
  EXPECT_EQ(Call(kOperate, "POST", "/agents/a1/message", R"({"text":"still there?"})").status, 202);
  EXPECT_TRUE(stays->UntilEvent("user.message"));

  WriteFile(file_, "one two three four\n");  // one that cannot be read changes nothing
  daemon_->Signal(SIGHUP);
  ASSERT_TRUE(Eventually([&] { return daemon_->log().find("line 1") != std::string::npos; }));
  EXPECT_EQ(Call(kOperate, "GET", "/agents").status, 200);
  EXPECT_EQ(daemon_->log().find("three"), std::string::npos);
}

TEST_F(Scopes, AReducedTokenLosesItsStreamsAndGateways) {
  auto stream = Open("/agents/a1/stream", {{"Authorization", std::string("Bearer ") + kOperate}});
  ASSERT_TRUE(stream->UntilEvent("stream.synced"));
  GatewayClient gateway(daemon_->address(), GatewayClient::WithToken(kOperate));
  ASSERT_TRUE(gateway.UntilEvent("gateway.ready"));
  GatewayClient stays(daemon_->address(), GatewayClient::WithToken(kAdmin));
  ASSERT_TRUE(stays.UntilEvent("gateway.ready"));
  WriteFile(file_, std::string(kAdmin) + "\nview " + kOperate + "\n");
  daemon_->Signal(SIGHUP);
  EXPECT_TRUE(stream->UntilEnd());
  EXPECT_TRUE(gateway.UntilEnd());
  EXPECT_EQ(gateway.close_code(), 1008);
  EXPECT_EQ(Open("/agents/a1/stream?ticket=" + stream->Find("stream.hello")->Field("resume"))->status(), 401);
  EXPECT_EQ(GatewayClient(daemon_->address(), {.target = "/ws?ticket=" + gateway.resume()}).Status(), 401);
  EXPECT_NE(stays.Call("gateway.ping"), "");
}

TEST_F(Scopes, ATokenThatIsTakenAwayWhileNoDaemonIsThereTakesItsTickets) {
  const std::string theirs = Call(kView, "POST", "/agents/a1/stream-ticket", "{}").Field("url");
  const std::string ours = Call(kOperate, "POST", "/agents/a1/stream-ticket", "{}").Field("url");
  auto stream = Open("/agents/a1/stream", {{"Authorization", std::string("Bearer ") + kView}});
  ASSERT_TRUE(stream->UntilEvent("stream.hello"));
  GatewayClient gateway(daemon_->address(), GatewayClient::WithToken(kView));
  ASSERT_TRUE(gateway.UntilEvent("gateway.ready"));
  WriteFile(file_, std::string(kAdmin) + "\noperate " + kOperate + "\n");
  ASSERT_EQ(kill(daemon_->pid(), SIGKILL), 0);
  ASSERT_TRUE(Eventually([&] { return Call(kAdmin, "GET", "/health").Field("restarts") == "1"; }));
  EXPECT_EQ(Open(theirs)->status(), 401);
  EXPECT_EQ(Open("/agents/a1/stream?ticket=" + stream->Find("stream.hello")->Field("resume"))->status(), 401);
  EXPECT_EQ(GatewayClient(daemon_->address(), {.target = "/ws?ticket=" + gateway.resume()}).Status(), 401);
  EXPECT_EQ(Open(ours)->status(), 200);
}

TEST_F(Scopes, ATicketStaysWithTheOriginThatAskedForIt) {
  const Headers app = {{"Origin", "https://app.example"}};
  HttpAnswer issued = Call(kView, "POST", "/agents/a1/stream-ticket", "{}", app);
  EXPECT_EQ(issued.Header("access-control-allow-origin"), "https://app.example");
  EXPECT_EQ(Open(issued.Field("url"), {{"Origin", "https://other.example"}})->status(), 401);
  auto stream = Open(issued.Field("url"), app);
  EXPECT_EQ(stream->status(), 200);
  EXPECT_EQ(stream->Header("access-control-allow-origin"), "https://app.example");
  const std::string second = Call(kView, "POST", "/agents/a1/stream-ticket", "{}", app).Field("url");
  EXPECT_EQ(Open(second)->status(), 200);  // no Origin: a same-origin EventSource sends none
  EXPECT_EQ(Call(kView, "GET", "/agents", "", {{"Origin", "https://evil.example"}}).status, 403);
}

TEST_F(Scopes, SecretsShowUpNowhere) {
  const std::string url = Call(kView, "POST", "/agents/a1/stream-ticket", "{}").Field("url");
  const std::string ticket = url.substr(url.find('=') + 1);
  auto stream = Open(url);
  ASSERT_TRUE(stream->UntilEvent("stream.hello"));
  const std::string resume = stream->Find("stream.hello")->Field("resume");
  std::string told;
  told += Open(url)->body();
  told += Open(url + "&after=nonsense")->body();
  told += HttpConnection(daemon_->address()).Call("GET", url).wire;
  told += HttpConnection(daemon_->address()).Call("GET", "/nowhere?ticket=" + ticket).wire;
  told += HttpConnection(daemon_->address()).Call("POST", url, "{}").wire;
  told +=
      HttpConnection(daemon_->address()).Call("GET", "/agents/" + ticket + "/stream?ticket=" + resume).wire;
  told += Call(kAdmin, "GET", "/metrics").body + Call(kAdmin, "GET", "/health").body;
  told += Call(kAdmin, "GET", "/agents/a1").body + Call(kAdmin, "GET", "/agents/a1/events").body;
  told += ReadFile("/proc/" + Call(kAdmin, "GET", "/agents/a1").Field("pid") + "/environ");
  stream.reset();
  Call("wrong-token-of-at-least-32-characters-4711", "GET", "/agents");
  daemon_->Signal(SIGHUP);
  ASSERT_TRUE(Eventually([&] { return daemon_->log().find("reloaded") != std::string::npos; }));
  told += daemon_->log() + daemon_->output();
  for (const std::string& secret : {ticket, resume, std::string(kAdmin), std::string(kView),
                                    std::string(kOperate), std::string("characters-4711")}) {
    EXPECT_EQ(told.find(secret), std::string::npos) << secret;
  }
}

}  // namespace
}  // namespace reeve
