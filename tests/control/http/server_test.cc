#include "control/http/server.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "control/http/answer_stream.h"
#include "control/http/connection.h"
#include "process/timer.h"
#include "tests/support/chunks.h"
#include "tests/support/loop_fixture.h"
#include "tests/support/raw_client.h"

namespace reeve {
namespace {

std::string Get(std::string_view target, std::string_view headers = "") {
  return "GET " + std::string(target) + " HTTP/1.1\r\nHost: a\r\n" + std::string(headers) + "\r\n";
}
std::string Post(std::string_view target, std::string_view body) {
  return "POST " + std::string(target) +
         " HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
         std::string(body);
}

// A server that answers each request with "METHOD path body", but keeps the Reply of /later and the stream of
// /stream.
class ServerTest : public ::testing::Test {
 protected:
  void Start(Server::Limits limits = {}, const std::string& url = "tcp://127.0.0.1:0",
             const Server::Admit& admit = {}) {
    auto answer = [this](const Request& request, Reply reply) {
      requests.push_back(request);
      if (request.path == "/later") {
        later.push_back(std::move(reply));
      } else if (request.path == "/stream") {
        taken.push_back(reply.OpenStream());
      } else if (request.path == "/large") {
        reply.Send(Response::Json(200, std::string(size_t{32} << 20, 'x')));
      } else if (request.path == "/empty") {
        reply.Send({204, {}, "this must not go out"});
      } else if (request.path == "/drop") {
        return;
      } else {
        reply.Send(Response::Json(200, request.method + ' ' + request.path + ' ' + request.body));
      }
    };
    server = std::make_unique<Server>(loop, limits, answer, admit);
    auto listening = server->Listen(url);
    ASSERT_TRUE(listening.ok()) << listening.error().message;
    address = *listening;
  }

  bool Until(const std::function<bool()>& condition) { return RunUntil(loop, condition); }
  bool Until(RawClient& client, const std::function<bool()>& condition) {
    return RunUntil(loop, [&client, &condition] {
      client.Poll();
      return condition();
    });
  }
  // The answers to `bytes` on a connection of their own, once `count` have come.
  std::vector<RawAnswer> Ask(std::string_view bytes, size_t count = 1) {
    RawClient client(address);
    client.Send(bytes);
    EXPECT_TRUE(Until(client, [&] { return client.Answers().size() >= count; })) << client.received();
    return client.Answers();
  }

  Loop loop;
  std::unique_ptr<Server> server;
  std::string address;
  std::vector<Request> requests;
  std::vector<Reply> later;
  bool Say(std::string content) {
    const iovec piece{content.data(), content.size()};
    return taken[0]->Send(&piece, 1).all;
  }
  std::vector<std::unique_ptr<AnswerStream>> taken;
};

TEST_F(ServerTest, AnswersWithTheHeadersOfEveryAnswer) {
  Start();
  auto answers = Ask(Get("/hello"));
  ASSERT_EQ(answers.size(), 1U);
  EXPECT_EQ(answers[0].status, 200);
  EXPECT_EQ(answers[0].body, "GET /hello ");
  EXPECT_EQ(answers[0].Header("content-length"), "11");
  EXPECT_EQ(answers[0].Header("content-type"), "application/json");
  EXPECT_EQ(answers[0].Header("cache-control"), "no-store");
  EXPECT_EQ(answers[0].Header("x-content-type-options"), "nosniff");
  EXPECT_EQ(answers[0].Header("referrer-policy"), "no-referrer");
  EXPECT_EQ(answers[0].Header("x-request-id"), requests.at(0).id);
  EXPECT_EQ(answers[0].Header("connection"), "");
  EXPECT_FALSE(requests.at(0).from_unix_socket);
  EXPECT_EQ(server->stats().requests, 1U);
}

TEST_F(ServerTest, KeepsAConnectionForManyRequests) {
  Start();
  RawClient client(address);
  for (size_t i = 1; i <= 5; ++i) {
    client.Send(Post("/n", std::to_string(i)));
    ASSERT_TRUE(Until(client, [&] { return client.Answers().size() == i; }));
    EXPECT_EQ(client.Answers().back().body, "POST /n " + std::to_string(i));
  }
  EXPECT_EQ(server->stats().connections, 1U);
}

TEST_F(ServerTest, AHundredPipelinedRequestsAreAnsweredInOrder) {
  Start();
  std::string bytes;
  for (int i = 0; i < 100; ++i)
    bytes += i % 2 == 0 ? Get("/" + std::to_string(i)) : Post("/p", std::to_string(i));
  auto answers = Ask(bytes, 100);
  ASSERT_EQ(answers.size(), 100U);
  for (size_t i = 0; i < 100; ++i) {
    std::string number = std::to_string(i);
    EXPECT_EQ(answers[i].body, i % 2 == 0 ? "GET /" + number + ' ' : "POST /p " + number);
  }
}

TEST_F(ServerTest, TheNextRequestWaitsForTheAnswerOfTheOneBefore) {
  Start();
  RawClient client(address);
  client.Send(Get("/later") + Get("/next"));
  ASSERT_TRUE(Until([&] { return later.size() == 1; }));
  for (int turn = 0; turn < 20; ++turn) loop.RunOnce(false);
  EXPECT_EQ(requests.size(), 1U);
  later[0].Send(Response::Json(200, "late"));
  EXPECT_TRUE(later[0].gone());
  ASSERT_TRUE(Until(client, [&] { return client.Answers().size() == 2; }));
  EXPECT_EQ(client.Answers()[0].body, "late");
  EXPECT_EQ(client.Answers()[1].body, "GET /next ");
}

TEST_F(ServerTest, ReadsAheadOnlyABoundedAmount) {
  Start();
  RawClient client(address);
  client.Send(Get("/later"));
  ASSERT_TRUE(Until([&] { return later.size() == 1; }));
  std::string flood;
  while (flood.size() < size_t{12} << 20) flood += Post("/f", std::string(100'000, 'f'));
  client.Send(flood);
  // The buffers on the way fill up, and then nothing moves any more.
  size_t unsent = 0;
  int still = 0;
  ASSERT_TRUE(Until(client, [&] {
    still = client.unsent() == unsent ? still + 1 : 0;
    unsent = client.unsent();
    return still > 20;
  }));
  EXPECT_GT(unsent, size_t{1} << 20);
  EXPECT_EQ(requests.size(), 1U);
  later[0].Send({});
  size_t all = 1 + flood.size() / Post("/f", std::string(100'000, 'f')).size();
  EXPECT_TRUE(Until(client, [&] { return requests.size() == all; }));
}

TEST_F(ServerTest, SplitsDoNotMatter) {
  Start();
  const std::string bytes =
      Get("/a?b=c") + Post("/d", "hello") +
      "POST /e HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
  for (size_t cut = 1; cut < bytes.size(); ++cut) {
    RawClient client(address);
    client.Send(bytes.substr(0, cut));
    for (int turn = 0; turn < 3; ++turn) loop.RunOnce(false);
    client.Send(bytes.substr(cut));
    ASSERT_TRUE(Until(client, [&] { return client.Answers().size() == 3; })) << cut;
    EXPECT_EQ(client.Answers()[0].body, "GET /a ");
    EXPECT_EQ(client.Answers()[1].body, "POST /d hello");
    EXPECT_EQ(client.Answers()[2].body, "POST /e abc");
  }
}

TEST_F(ServerTest, AHeadIsAnsweredWithoutABodyAndA204WithoutALength) {
  Start();
  RawClient head(address);
  head.Send("HEAD /hello HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(Until(head, [&] { return head.Answers(true).size() == 1; }));
  EXPECT_EQ(head.Answers(true)[0].Header("content-length"), "12");
  EXPECT_EQ(head.received().substr(head.received().size() - 4), "\r\n\r\n");

  auto answers = Ask(Get("/empty") + Get("/next"), 2);
  EXPECT_EQ(answers.at(0).status, 204);
  EXPECT_EQ(answers.at(0).Header("content-length"), "");
  EXPECT_EQ(answers.at(1).body, "GET /next ");
}

TEST_F(ServerTest, SaysContinueToAClientThatWaitsForIt) {
  Start();
  RawClient client(address);
  client.Send("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
  ASSERT_TRUE(Until(client, [&] { return client.received() == "HTTP/1.1 100 Continue\r\n\r\n"; }));
  client.Send("ab");
  ASSERT_TRUE(Until(client, [&] { return client.Answers().size() == 2; }));
  EXPECT_EQ(client.Answers()[1].body, "POST /x ab");
}

TEST_F(ServerTest, DoesNotSayContinueToABodyItWillRefuse) {
  Start();
  auto answers =
      Ask("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(answers.at(0).status, 413);
}

TEST_F(ServerTest, ClosesWhenTheClientAsksForIt) {
  Start();
  RawClient client(address);
  client.Send(Get("/a", "Connection: close\r\n") + Get("/b"));
  ASSERT_TRUE(Until(client, [&] { return client.ended(); }));
  ASSERT_EQ(client.Answers().size(), 1U);
  EXPECT_EQ(client.Answers()[0].Header("connection"), "close");
  EXPECT_EQ(requests.size(), 1U);
}

// --- refusals: the answer is seen, what follows is not executed, and the connection ends

struct Refusal {
  const char* what;
  std::string bytes;
  int status = 400;
};

TEST_F(ServerTest, ARefusalIsSeenAndNothingAfterItIsExecuted) {
  Start();
  const std::string post = "POST / HTTP/1.1\r\nHost: a\r\n";
  const Refusal table[] = {
      {"no Host", "GET / HTTP/1.1\r\n\r\n"},
      {"CL and TE", post + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
      {"two CLs", post + "Content-Length: 4\r\nContent-Length: 40\r\n\r\nabcd"},
      {"TE twice", post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n"},
      {"TE on 1.0", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
      {"unterminated chunk", post + "Transfer-Encoding: chunked\r\n\r\n2\r\nabX0\r\n\r\n"},
      {"CR only", "GET / HTTP/1.1\r\nHost: a\r\r"},
      {"CR CR X", "GET / HTTP/1.1\r\nHost: a\r\n\rX"},
      {"obs-fold", "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n"},
      {"absolute form", "GET ftp://b/ HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"TLS", std::string("\x16\x03\x01\x02\x00", 5)},
      {"method", "BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 501},
      {"version", "GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505},
      {"body", Post("/", std::string((size_t{1} << 20) + 1, 'x')), 413},
      {"headers", "GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(20'000, 'x') + "\r\n\r\n", 431},
      {"target", Get("/" + std::string(9'000, 'x')), 414},
  };
  uint64_t refused = 0;
  for (const auto& row : table) {
    RawClient client(address);
    client.Send(row.bytes + Get("/smuggled") + Get("/smuggled"));
    ASSERT_TRUE(Until(client, [&] { return client.ended() || client.reset(); })) << row.what;
    EXPECT_FALSE(client.reset()) << row.what;
    auto answers = client.Answers();
    ASSERT_EQ(answers.size(), 1U) << row.what << client.received();
    EXPECT_EQ(answers[0].status, row.status) << row.what;
    EXPECT_EQ(answers[0].Header("connection"), "close") << row.what;
    EXPECT_EQ(answers[0].Header("content-type"), "application/problem+json") << row.what;
    EXPECT_NE(answers[0].body.find("\"request_id\":\"" + answers[0].Header("x-request-id")),
              std::string::npos)
        << row.what;
    EXPECT_EQ(server->stats().refused, ++refused);
  }
  EXPECT_TRUE(requests.empty());
}

TEST_F(ServerTest, RequestsBeforeAMalformedOneAreAnswered) {
  Start();
  auto answers = Ask(Get("/a") + Get("/b") + "nonsense\r\n\r\n", 3);
  EXPECT_EQ(answers.at(0).body, "GET /a ");
  EXPECT_EQ(answers.at(1).body, "GET /b ");
  EXPECT_EQ(answers.at(2).status, 400);
}

TEST_F(ServerTest, ASlowRequestIsRefusedAndAnIdleConnectionClosedSilently) {
  Server::Limits limits;
  limits.request_ms = 60;
  limits.idle_ms = 80;
  Start(limits);
  RawClient slow(address);
  RawClient slow_body(address);
  RawClient idle(address);
  RawClient used(address);
  slow.Send("GET / HT");
  slow_body.Send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nx");
  used.Send(Get("/"));
  ASSERT_TRUE(Until([&] {
    for (auto* client : {&slow, &slow_body, &idle, &used}) client->Poll();
    return slow.ended() && slow_body.ended() && idle.ended() && used.ended();
  }));
  ASSERT_EQ(slow.Answers().size(), 1U);
  EXPECT_EQ(slow.Answers()[0].status, 408);
  ASSERT_EQ(slow_body.Answers().size(), 1U);
  EXPECT_EQ(slow_body.Answers()[0].status, 408);
  EXPECT_EQ(idle.received(), "");
  ASSERT_EQ(used.Answers().size(), 1U);
  EXPECT_EQ(used.Answers()[0].status, 200);
  EXPECT_EQ(server->stats().refused, 2U);
}

TEST_F(ServerTest, AHandlerMayTakeAsLongAsItLikes) {
  Server::Limits limits;
  limits.request_ms = 20;
  limits.idle_ms = 20;
  Start(limits);
  RawClient client(address);
  RawClient idle(address);
  client.Send(Get("/later"));
  ASSERT_TRUE(Until([&] {  // until another was closed for idling, and so the time-outs have been looked at
    idle.Poll();
    return later.size() == 1 && idle.ended();
  }));
  later[0].Send(Response::Json(200, "late"));
  ASSERT_TRUE(Until(client, [&] { return client.Answers().size() == 1; }));
  EXPECT_EQ(client.Answers()[0].body, "late");
}

TEST_F(ServerTest, AClientThatTakesNothingOfItsAnswerIsClosed) {
  Server::Limits limits;
  limits.write_ms = 50;
  Start(limits);
  RawClient client(address);
  client.Send(Get("/large"));
  ASSERT_TRUE(Until([&] { return requests.size() == 1; }));
  EXPECT_TRUE(Until([&] { return server->stats().connections == 0; }));
}

TEST_F(ServerTest, FarTooManyConnectionsAreJustClosed) {
  Server::Limits limits;
  limits.connections = 1;
  Start(limits);
  RawClient busy(address);
  busy.Send(Get("/later"));
  ASSERT_TRUE(Until([&] { return later.size() == 1; }));
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 100; ++i) {
    clients.push_back(std::make_unique<RawClient>(address));
    clients.back()->Send(Get("/later"));
  }
  size_t told = 0;
  ASSERT_TRUE(Until([&] {
    size_t closed = 0;
    told = 0;
    for (auto& client : clients) {
      client->Poll();
      closed += client->ended() || client->reset();
      told += client->Answers().size();
    }
    return closed == 100;
  }));
  EXPECT_GE(told, 1U);
  EXPECT_LE(server->stats().connections, 1U + 64U);
  EXPECT_EQ(later.size(), 1U);
  EXPECT_FALSE(later[0].gone());
}

TEST_F(ServerTest, AClientInTheMiddleOfALargeUploadSeesWhyItIsRefused) {
  Start();
  RawClient client(address);
  const std::string body(size_t{3} << 20, 'x');
  client.Send(Post("/upload", body));
  ASSERT_TRUE(Until(client, [&] { return client.ended() || client.reset(); }));
  EXPECT_FALSE(client.reset());
  ASSERT_EQ(client.Answers().size(), 1U);
  EXPECT_EQ(client.Answers()[0].status, 413);
}

TEST_F(ServerTest, ANewcomerTakesThePlaceOfTheConnectionThatWasIdleLongest) {
  Server::Limits limits;
  limits.connections = 3;
  Start(limits);
  RawClient busy(address);
  busy.Send(Get("/later"));
  ASSERT_TRUE(Until([&] { return later.size() == 1; }));
  RawClient active(address);
  ASSERT_TRUE(Until([&] { return server->stats().connections == 2; }));
  RawClient idle(address);
  ASSERT_TRUE(Until([&] { return server->stats().connections == 3; }));
  active.Send(Get("/"));
  ASSERT_TRUE(Until(active, [&] { return active.Answers().size() == 1; }));

  RawClient newcomer(address);
  newcomer.Send(Get("/"));
  ASSERT_TRUE(Until(newcomer, [&] { return newcomer.Answers().size() == 1; }));
  EXPECT_EQ(newcomer.Answers()[0].status, 200);
  EXPECT_TRUE(Until(idle, [&] { return idle.ended(); }));
  active.Send(Get("/"));
  EXPECT_TRUE(Until(active, [&] { return active.Answers().size() == 2; }));
  EXPECT_FALSE(later[0].gone());
}

TEST_F(ServerTest, ConnectionsBeyondTheLimitAreTurnedAway) {
  Server::Limits limits;
  limits.connections = 2;
  Start(limits);
  RawClient one(address);
  RawClient two(address);
  one.Send(Get("/later"));
  two.Send(Get("/later"));
  ASSERT_TRUE(Until([&] { return later.size() == 2; }));
  RawClient three(address);
  three.Send(Get("/"));
  ASSERT_TRUE(Until(three, [&] { return three.ended(); }));
  ASSERT_EQ(three.Answers().size(), 1U);
  EXPECT_EQ(three.Answers()[0].status, 503);
  EXPECT_NE(three.Answers()[0].Header("retry-after"), "");
  EXPECT_EQ(requests.size(), 2U);
  one.Close();
  later[0].Send(Response::Json(200, "done"));
  three.Close();
  ASSERT_TRUE(Until([&] { return server->stats().connections == 1; }));
  EXPECT_EQ(Ask(Get("/"))[0].status, 200);
}

// Refuses what is not for /open; a request for /open/operator is an operator's, one for /open/view a
// viewer's.
std::optional<Response> AdmitOpen(Request& head) {
  if (head.path.rfind("/open", 0) != 0) return Response::Problem({"unauthorized", {}});
  if (head.path == "/open/view") head.caller = Request::Caller{Scope::kView, 1};
  if (head.path == "/open/operator") head.caller = Request::Caller{Scope::kAdmin, 2};
  head.urgent = head.caller && head.caller->scope == Scope::kAdmin;
  return std::nullopt;
}

TEST_F(ServerTest, ARequestIsRefusedAtTheEndOfItsHead) {
  Start({}, "tcp://127.0.0.1:0", AdmitOpen);
  for (const char* expect : {"", "Expect: 100-continue\r\n"}) {
    RawClient client(address);
    client.Send("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n" + std::string(expect) + "\r\n");
    ASSERT_TRUE(Until(client, [&] { return client.ended(); })) << expect;
    ASSERT_EQ(client.Answers().size(), 1U) << client.received();
    EXPECT_EQ(client.Answers()[0].status, 401);
    EXPECT_EQ(client.Answers()[0].Header("connection"), "close");
  }
  // A HEAD gets no body with its refusal, whoever refuses it.
  for (const std::string& head : {std::string("HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n"),
                                  std::string("HEAD /x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
                                  std::string("HEAD bad HTTP/1.1\r\nHost: a\r\n\r\n")}) {
    RawClient client(address);
    client.Send(head);
    client.EndSending();
    ASSERT_TRUE(Until(client, [&] { return client.ended(); })) << head;
    EXPECT_EQ(client.received().find("\r\n\r\n") + 4, client.received().size()) << client.received();
  }
  // Without a body the connection goes on.
  EXPECT_EQ(Ask(Get("/x") + Get("/open"), 2)[1].status, 200);
  EXPECT_EQ(requests.size(), 1U);
}

TEST_F(ServerTest, BodiesInFlightAreBoundedAndTheOperatorHasAReserve) {
  Server::Limits limits;
  limits.held_bytes = 100'000;
  Start(limits, "tcp://127.0.0.1:0", AdmitOpen);
  const auto upload = [](const std::string& target, const std::string& framing) {
    return "POST " + target + " HTTP/1.1\r\nHost: a\r\n" + framing + "\r\n";
  };
  const std::string announced = "Content-Length: 50000\r\n";
  RawClient first(address);
  first.Send(upload("/open/view", announced));
  ASSERT_TRUE(Until([&] { return server->stats().held_bytes > 40'000; }));
  EXPECT_EQ(Ask(upload("/open/view", announced))[0].status, 429);
  const std::string chunks =
      "Transfer-Encoding: chunked\r\n\r\nc350\r\n" + std::string(50'000, 'x') + "\r\n0\r\n";
  const auto refused = Ask(upload("/open/view", chunks))[0];
  EXPECT_EQ(refused.status, 429);
  EXPECT_NE(refused.body.find("too_many_requests"), std::string::npos);
  EXPECT_EQ(Ask(upload("/open/operator", chunks))[0].status, 200);
  first.Send(std::string(50'000, 'x'));
  ASSERT_TRUE(Until(first, [&] { return first.Answers().size() == 1; }));
  EXPECT_EQ(first.Answers()[0].status, 200);
  EXPECT_EQ(Ask(upload("/open/view", chunks))[0].status, 200);
  EXPECT_EQ(server->stats().held_bytes, 0U);
}

TEST_F(ServerTest, AFullServerServesUrgentRequests) {
  Server::Limits limits;
  limits.connections = 1;
  Start(limits, "tcp://127.0.0.1:0", [](Request& head) {
    auto refusal = AdmitOpen(head);
    return head.path == "/later" ? std::nullopt : refusal;
  });
  RawClient busy(address);
  busy.Send(Get("/later"));
  ASSERT_TRUE(Until([&] { return later.size() == 1; }));
  EXPECT_EQ(Ask(Get("/open"))[0].status, 503);
  EXPECT_EQ(Ask(Get("/open/operator"))[0].status, 200);
  EXPECT_EQ(Ask(Get("/open/operator"))[0].Header("connection"), "close");
  EXPECT_FALSE(later[0].gone());
}

// --- clients that come and go

TEST_F(ServerTest, AClientThatClosedItsHalfStillGetsItsAnswers) {
  Start();
  RawClient client(address);
  client.Send(Get("/later") + Get("/next"));
  client.EndSending();
  ASSERT_TRUE(Until([&] { return later.size() == 1; }));
  for (int turn = 0; turn < 5; ++turn) loop.RunOnce(false);
  EXPECT_FALSE(later[0].gone());
  later[0].Send(Response::Json(200, "late"));
  ASSERT_TRUE(Until(client, [&] { return client.ended(); }));
  ASSERT_EQ(client.Answers().size(), 2U);
  EXPECT_EQ(client.Answers()[0].body, "late");
  EXPECT_EQ(client.Answers()[1].body, "GET /next ");
  EXPECT_TRUE(Until([&] { return server->stats().connections == 0; }));
}

TEST_F(ServerTest, AClientThatVanishesLeavesAReplyThatDoesNothing) {
  Start();
  RawClient client(address);
  client.Send(Get("/later"));
  ASSERT_TRUE(Until([&] { return later.size() == 1; }));
  linger abort{1, 0};
  setsockopt(client.fd(), SOL_SOCKET, SO_LINGER, &abort, sizeof abort);
  client.Close();
  ASSERT_TRUE(Until([&] { return later[0].gone(); }));
  EXPECT_EQ(server->stats().connections, 0U);
  later[0].Send(Response::Json(200, "too late"));
  EXPECT_EQ(later[0].OpenStream(), nullptr);
  EXPECT_EQ(Ask(Get("/"))[0].status, 200);
}

// The reset is behind more bytes than the server reads while a request is in progress.
TEST_F(ServerTest, AResetBehindUnreadBytesIsNoticedAtOnce) {
  Start();
  RawClient client(address);
  std::string bytes = Get("/later");
  while (bytes.size() < 4 * Connection::kMaxInput) bytes += Get("/next");
  client.Send(bytes);
  ASSERT_TRUE(Until(client, [&] { return later.size() == 1 && client.unsent() == 0; }));
  linger abort{1, 0};
  setsockopt(client.fd(), SOL_SOCKET, SO_LINGER, &abort, sizeof abort);
  client.Close();
  ASSERT_TRUE(RunUntil(loop, [&] { return later[0].gone(); }));
  EXPECT_EQ(server->stats().connections, 0U);
  EXPECT_EQ(requests.size(), 1U);
}

TEST_F(ServerTest, AHandlerThatTakesLongLearnsThatTheClientHasGone) {
  Start();
  for (bool behind_bytes : {false, true}) {
    for (bool early : {false, true}) {
      later.clear();
      bool gone = false;
      RawClient client(address);
      client.Send(Get("/later"));
      if (behind_bytes) {
        std::string more;
        while (2 * more.size() < 3 * Connection::kMaxInput) more += Get("/next");
        client.Send(more);
      }
      ASSERT_TRUE(Until(client, [&] { return later.size() == 1 && client.unsent() == 0; }));
      if (early) client.Close();
      for (int turn = 0; early && turn < 5; ++turn) loop.RunOnce(false);
      later[0].OnGone([&gone] { gone = true; });
      if (!early) client.Close();
      EXPECT_TRUE(Until([&] { return gone; })) << behind_bytes << early;
      EXPECT_TRUE(later[0].gone());
      EXPECT_EQ(server->stats().connections, 0U);
    }
  }
}

TEST_F(ServerTest, AReplyMayOutliveTheServer) {
  Start();
  RawClient client(address);
  client.Send(Get("/later"));
  ASSERT_TRUE(Until([&] { return later.size() == 1; }));
  server.reset();
  EXPECT_TRUE(later[0].gone());
  later[0].Send(Response::Json(200, "too late"));
  later.clear();
  ASSERT_TRUE(Until(client, [&] { return client.ended(); }));
  EXPECT_EQ(client.received(), "");
}

TEST_F(ServerTest, AReplyThatIsDroppedSays500) {
  Start();
  EXPECT_EQ(Ask(Get("/drop"))[0].status, 500);
  RawClient client(address);
  client.Send(Get("/later"));
  ASSERT_TRUE(Until([&] { return later.size() == 1; }));
  later[0].AddHeader("X-Added", "yes");
  later.clear();
  ASSERT_TRUE(Until(client, [&] { return client.Answers().size() == 1; }));
  EXPECT_EQ(client.Answers()[0].status, 500);
  EXPECT_EQ(client.Answers()[0].Header("x-added"), "yes");
}

TEST_F(ServerTest, AnAnswerCanBeGivenOnce) {
  Start();
  RawClient client(address);
  client.Send(Get("/later") + Get("/later"));
  ASSERT_TRUE(Until([&] { return later.size() == 1; }));
  Reply first = std::move(later[0]);
  first.Send(Response::Json(200, "one"));
  ASSERT_TRUE(Until([&] { return later.size() == 2; }));
  first.Send(Response::Json(200, "never"));  // must not answer the second request
  later[1].Send(Response::Json(200, "two"));
  ASSERT_TRUE(Until(client, [&] { return client.Answers().size() == 2; }));
  EXPECT_EQ(client.Answers()[1].body, "two");
}

TEST_F(ServerTest, AStreamOwnsItsSocketAlone) {
  Start();
  RawClient client(address);
  client.Send(Get("/before") + Get("/stream"));
  ASSERT_TRUE(Until([&] { return taken.size() == 1; }));
  ASSERT_NE(taken[0], nullptr);
  EXPECT_TRUE(Until([&] { return server->stats().connections == 0; }));
  taken[0]->Begin(200, {{"Content-Type", "text/event-stream"}, {"cache-control", "no-store, no-transform"}},
                  "id");
  EXPECT_TRUE(Say("one"));
  ASSERT_TRUE(Until(client, [&] { return client.received().find("3\r\none\r\n") != std::string::npos; }));
  EXPECT_EQ(client.Answers()[1].Header("cache-control"), "no-store, no-transform");
  EXPECT_EQ(client.Answers()[1].Header("transfer-encoding"), "chunked");
  EXPECT_EQ(client.Answers()[1].Header("connection"), "");
  server.reset();  // does not concern the stream
  EXPECT_TRUE(Say("two"));
  ASSERT_TRUE(Until(client, [&] { return client.received().find("3\r\ntwo\r\n") != std::string::npos; }));
  EXPECT_TRUE(taken[0]->End());
  taken.clear();
  ASSERT_TRUE(Until(client, [&] { return client.ended(); }));
}

TEST_F(ServerTest, TheConnectionGoesOnAfterAStream) {
  Start();
  RawClient client(address);
  client.Send(Get("/stream") + Get("/pipelined"));
  ASSERT_TRUE(Until([&] { return taken.size() == 1; }));
  taken[0]->Begin(200, {}, "id");
  taken[0]->socket().SetReady([&](int) { EXPECT_TRUE(taken[0]->Receive()); });
  taken[0]->socket().Want(Watch::kRead);
  client.Send(Get("/during"));
  EXPECT_TRUE(Say("content"));
  ASSERT_TRUE(Until(client, [&] { return client.received().find("content") != std::string::npos; }));
  EXPECT_EQ(requests.size(), 1U) << "requests of one connection are answered in turn";
  EXPECT_TRUE(taken[0]->End());
  EXPECT_FALSE(taken[0]->open());
  ASSERT_TRUE(Until(client, [&] { return requests.size() == 3; }));
  client.Send(Get("/after"));
  const std::string& got = client.received();
  ASSERT_TRUE(Until(client, [&] { return got.find("GET /after") != std::string::npos; }));
  EXPECT_NE(got.find("\r\n0\r\n\r\nHTTP/1.1 200"), std::string::npos) << got;
  EXPECT_LT(got.find("GET /pipelined"), got.find("GET /during"));
  EXPECT_LT(got.find("GET /during"), got.find("GET /after"));
}

TEST_F(ServerTest, AStreamEndsTheConnectionOfAClientThatWantsThat) {
  Start();
  for (const char* request :
       {"GET /stream HTTP/1.0\r\n\r\n", "GET /stream HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"}) {
    const bool chunked = std::string(request).find("1.1") != std::string::npos;
    RawClient client(address);
    client.Send(request);
    ASSERT_TRUE(Until([&] { return taken.size() == 1; }));
    taken[0]->Begin(200, {}, "id");
    EXPECT_TRUE(Say("content"));
    EXPECT_TRUE(taken[0]->End());
    EXPECT_TRUE(taken[0]->open());
    ASSERT_TRUE(Until(client, [&] { return client.ended(); }));
    const std::string& got = client.received();
    EXPECT_EQ(got.substr(got.find("\r\n\r\n") + 4), chunked ? "7\r\ncontent\r\n0\r\n\r\n" : "content");
    EXPECT_EQ(client.Answers()[0].Header("connection"), "close");
    taken.clear();
  }
}

TEST_F(ServerTest, AChunkThatTheSocketTakesInPartsIsCompleted) {
  Start();
  RawClient client(address);
  client.Send(Get("/stream"));
  ASSERT_TRUE(Until([&] { return taken.size() == 1; }));
  taken[0]->Begin(200, {}, "id");
  std::string content;
  for (size_t i = 0; content.size() < (size_t{16} << 20); ++i) content += std::to_string(i) + ' ';
  const iovec all{content.data(), content.size()};
  AnswerStream::Sent sent = taken[0]->Send(&all, 1);
  ASSERT_FALSE(sent.all) << "the socket took everything at once";
  size_t done = sent.content;
  ASSERT_TRUE(Until(client, [&] {
    EXPECT_EQ(taken[0]->owed(), content.size() - done);
    // Odd pieces: a part of the chunk need not be one of the first Send.
    const iovec rest{content.data() + done, std::min<size_t>(content.size() - done, 99'991)};
    sent = taken[0]->Send(&rest, rest.iov_len > 0 ? 1 : 0);
    done += sent.content;
    return done == content.size() && sent.all;
  }));
  ASSERT_TRUE(Until(client, [&] { return taken[0]->End(); }));
  std::string got;
  Chunks chunks;
  ASSERT_TRUE(Until(client, [&] {
    const size_t head = client.received().find("\r\n\r\n") + 4;
    chunks = {};
    got.clear();
    (void)chunks.Take(std::string_view(client.received()).substr(head), got);
    return chunks.whole();
  }));
  EXPECT_TRUE(got == content) << got.size() << " bytes of " << content.size();
}

TEST_F(ServerTest, ASlowReaderGetsAllOfALargeAnswer) {
  Start();
  RawClient client(address);
  client.Send(Get("/large") + Get("/after"));
  ASSERT_TRUE(Until([&] { return !requests.empty(); }));
  for (int turn = 0; turn < 20; ++turn) loop.RunOnce(false);
  EXPECT_EQ(requests.size(), 1U);  // the next waits until this has left
  ASSERT_TRUE(Until(client, [&] { return requests.size() == 2 && client.Answers().size() == 2; }));
  EXPECT_EQ(client.Answers()[0].body.size(), size_t{32} << 20);
}

TEST_F(ServerTest, TwoThousandConnectionsAreServedAndCostLittle) {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  ASSERT_GT(limit.rlim_cur, 4100U) << "this test needs 4,100 descriptors";
  Start();
  size_t descriptors = OpenDescriptors();
  {
    std::vector<std::unique_ptr<RawClient>> clients;
    for (int i = 0; i < 2000; ++i) {
      clients.push_back(std::make_unique<RawClient>(address));
      clients.back()->Send(Post("/c", std::to_string(i)));
      if (i % 50 == 0) loop.RunOnce(false);
    }
    ASSERT_TRUE(Until([&] {
      size_t answered = 0;
      for (auto& client : clients) client->Poll(), answered += client->Answers().size();
      return answered == clients.size();
    }));
    for (size_t i = 0; i < clients.size(); ++i) {
      EXPECT_EQ(clients[i]->Answers()[0].body, "POST /c " + std::to_string(i));
    }
    EXPECT_EQ(server->stats().connections, 2000U);
  }
  ASSERT_TRUE(Until([&] { return server->stats().connections == 0; }));
  EXPECT_EQ(OpenDescriptors(), descriptors);
}

TEST_F(ServerTest, AnIdleConnectionIsSmall) { EXPECT_LE(sizeof(Connection), 512U); }

TEST_F(ServerTest, LeaksNoDescriptorWhenItEnds) {
  size_t before = OpenDescriptors();
  Start();
  std::vector<std::unique_ptr<RawClient>> clients;
  clients.reserve(5);
  for (int i = 0; i < 5; ++i) clients.push_back(std::make_unique<RawClient>(address));
  clients[0]->Send(Get("/later"));
  clients[1]->Send("GET / HTTP");
  clients[2]->Send(Get("/large"));
  clients[3]->Send(Get("/a", "Connection: close\r\n"));
  ASSERT_TRUE(Until([&] { return requests.size() == 3; }));
  server.reset();
  clients.clear();
  EXPECT_EQ(OpenDescriptors(), before);
}

// The process has no descriptor left while this lives.
class NoDescriptors {
 public:
  NoDescriptors() {
    getrlimit(RLIMIT_NOFILE, &before_);
    rlimit tight = before_;
    tight.rlim_cur = OpenDescriptors() + 20;
    setrlimit(RLIMIT_NOFILE, &tight);
    for (Fd hog(dup(0)); hog.valid(); hog = Fd(dup(0))) hogs_.push_back(std::move(hog));
  }
  ~NoDescriptors() { setrlimit(RLIMIT_NOFILE, &before_); }
  NoDescriptors(const NoDescriptors&) = delete;
  NoDescriptors& operator=(const NoDescriptors&) = delete;
  void FreeOne() { hogs_.pop_back(); }

 private:
  rlimit before_{};
  std::vector<Fd> hogs_;
};

TEST_F(ServerTest, OutOfDescriptorsItWaitsAndGoesOnAsSoonAsOneIsFree) {
  Start();
  RawClient first(address);
  first.Send(Get("/later"));
  ASSERT_TRUE(Until([&] { return later.size() == 1; }));
  RawClient second(address);  // in the backlog
  second.Send(Get("/"));
  NoDescriptors none;
  // It must not spin on the newcomer: the turns of 200 ms are those of RunUntil's own 5 ms tick.
  bool over = false;
  int turns = 0;
  Timer timer(loop, [&over] { over = true; });
  timer.Start(200);
  EXPECT_TRUE(Until([&] { return ++turns, over; }));
  EXPECT_LT(turns, 100);
  EXPECT_EQ(server->stats().connections, 1U);
  EXPECT_FALSE(server->stats().accepting);
  later[0].Send(Response::Json(200, "still served"));
  EXPECT_TRUE(Until(first, [&] { return first.Answers().size() == 1; }));
  int until_served = 0;
  none.FreeOne();
  EXPECT_TRUE(Until(second, [&] { return ++until_served, second.Answers().size() == 1; }));
  EXPECT_LT(until_served, 20) << "turns; a scan comes once a second";
  EXPECT_TRUE(server->stats().accepting);
}

TEST_F(ServerTest, OutOfDescriptorsAnIdleConnectionMakesRoom) {
  Start();
  RawClient idle(address);
  ASSERT_TRUE(Until([&] { return server->stats().connections == 1; }));
  RawClient second(address);
  second.Send(Get("/"));
  const NoDescriptors none;
  EXPECT_TRUE(Until(second, [&] { return second.Answers().size() == 1; }));
  EXPECT_TRUE(Until(idle, [&] { return idle.ended(); }));
}

// --- draining

TEST_F(ServerTest, DrainingAnswersWhatIsInFlightAndThenSaysSo) {
  Start();
  RawClient busy(address);
  RawClient idle(address);
  RawClient partial(address);
  busy.Send(Get("/later"));
  partial.Send("GET /partial HTTP/1.1\r\nHo");
  ASSERT_TRUE(Until([&] { return later.size() == 1 && server->stats().connections == 3; }));
  for (int turn = 0; turn < 5; ++turn) loop.RunOnce(false);
  bool drained = false;
  server->Drain([&drained] { drained = true; });
  ASSERT_TRUE(Until(idle, [&] { return idle.ended(); }));
  EXPECT_FALSE(RawClient(address).connected());
  EXPECT_FALSE(drained);
  partial.Send("st: a\r\n\r\n");
  later[0].Send(Response::Json(200, "late"));
  ASSERT_TRUE(Until([&] {
    busy.Poll();
    partial.Poll();
    return busy.ended() && partial.ended();
  }));
  EXPECT_EQ(busy.Answers().at(0).body, "late");
  EXPECT_EQ(busy.Answers().at(0).Header("connection"), "close");
  EXPECT_EQ(partial.Answers().at(0).body, "GET /partial ");
  busy.Close();
  partial.Close();
  EXPECT_TRUE(Until([&] { return drained; }));
  EXPECT_EQ(server->stats().connections, 0U);
}

TEST_F(ServerTest, DrainingAnswersARequestThatWasAlreadyHere) {
  Start();
  RawClient known(address);
  ASSERT_TRUE(Until([&] { return server->stats().connections == 1; }));
  RawClient fresh(address);
  known.Send(Get("/known"));
  fresh.Send(Get("/fresh"));
  bool drained = false;
  server->Drain([&drained] { drained = true; });
  ASSERT_TRUE(Until([&] {
    known.Poll();
    fresh.Poll();
    return known.ended() && fresh.ended();
  }));
  EXPECT_EQ(known.Answers().size(), 1U);
  EXPECT_EQ(fresh.Answers().size(), 1U);
  known.Close();
  fresh.Close();
  EXPECT_TRUE(Until([&] { return drained; }));
}

TEST_F(ServerTest, DrainingAnIdleServerIsDoneAtOnceAndDoesNotWaitForStreams) {
  Start();
  RawClient client(address);
  client.Send(Get("/stream"));
  ASSERT_TRUE(Until([&] { return taken.size() == 1; }));
  bool drained = false;
  server->Drain([&drained] { drained = true; });
  EXPECT_FALSE(drained);  // never from within
  EXPECT_TRUE(Until([&] { return drained; }));
  EXPECT_EQ(send(taken[0]->socket().fd(), "x", 1, MSG_NOSIGNAL), 1);
}

// --- listening

TEST_F(ServerTest, ListensOnIpv6) {
  Start({}, "tcp://[::1]:0");
  EXPECT_EQ(address.substr(0, 13), "http://[::1]:");
  EXPECT_EQ(Ask(Get("/"))[0].status, 200);
}

TEST_F(ServerTest, ListensInSeveralPlacesAtOnce) {
  TempDir dir;
  Start();
  auto second = server->Listen("unix://" + dir.path() + "/s");
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(Ask(Get("/"))[0].status, 200);
  address = *second;
  EXPECT_EQ(Ask(Get("/"))[0].status, 200);
  EXPECT_FALSE(requests.at(0).from_unix_socket);
  EXPECT_TRUE(requests.at(1).from_unix_socket);
}

TEST_F(ServerTest, AUnixSocketIsForItsOwnerOnlyAndGoesAway) {
  TempDir dir;
  std::string path = dir.path() + "/reeve.sock";
  Start({}, "unix://" + path);
  EXPECT_EQ(address, path);
  struct stat made {};
  ASSERT_EQ(lstat(path.c_str(), &made), 0);
  EXPECT_EQ(made.st_mode & 0777, 0600U);
  EXPECT_EQ(Ask(Get("/"))[0].status, 200);
  server.reset();
  EXPECT_NE(lstat(path.c_str(), &made), 0);
}

TEST_F(ServerTest, AStaleUnixSocketIsReplacedALiveOneIsNot) {
  TempDir dir;
  std::string path = dir.path() + "/reeve.sock";
  {
    Fd dead(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    path.copy(name.sun_path, sizeof name.sun_path - 1);
    ASSERT_EQ(bind(dead.get(), reinterpret_cast<sockaddr*>(&name), sizeof name), 0);
  }
  Start({}, "unix://" + path);
  EXPECT_EQ(Ask(Get("/"))[0].status, 200);

  Server other(loop, {}, [](const Request&, Reply) {});
  auto refused = other.Listen("unix://" + path);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find(path), std::string::npos) << refused.error().message;
  EXPECT_EQ(Ask(Get("/"))[0].status, 200);
}

TEST_F(ServerTest, NeverRemovesWhatIsNotItsOwnSocket) {
  TempDir dir;
  std::string path = dir.path() + "/precious";
  WriteFile(path, "data");
  Server other(loop, {}, [](const Request&, Reply) {});
  EXPECT_FALSE(other.Listen("unix://" + path).ok());
  EXPECT_EQ(ReadFile(path), "data");

  std::string socket_path = dir.path() + "/s";
  Start({}, "unix://" + socket_path);
  ASSERT_EQ(unlink(socket_path.c_str()), 0);
  auto successor = std::make_unique<Server>(loop, Server::Limits{}, [](const Request&, Reply) {});
  ASSERT_TRUE(successor->Listen("unix://" + socket_path).ok());
  server.reset();
  EXPECT_EQ(access(socket_path.c_str(), F_OK), 0);
}

TEST_F(ServerTest, TakesOverAnInheritedDescriptor) {
  Fd inherited(socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in any{};
  any.sin_family = AF_INET;
  any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(bind(inherited.get(), reinterpret_cast<sockaddr*>(&any), sizeof any), 0);
  std::string url = "fd://" + std::to_string(inherited.get());

  Server other(loop, {}, [](const Request&, Reply) {});
  auto early = other.Listen(url);
  ASSERT_FALSE(early.ok());
  EXPECT_NE(early.error().message.find("not a listening"), std::string::npos);
  EXPECT_NE(fcntl(inherited.get(), F_GETFD), -1);  // it is not ours to close then

  ASSERT_EQ(listen(inherited.get(), 10), 0);
  Start({}, url);
  EXPECT_NE(fcntl(inherited.Release(), F_GETFD) & FD_CLOEXEC, 0);
  EXPECT_EQ(address.substr(0, 17), "http://127.0.0.1:");
  EXPECT_EQ(Ask(Get("/"))[0].status, 200);
}

TEST_F(ServerTest, NamesWhatIsWrongWithAListenUrl) {
  Start();
  std::string port = address.substr(address.rfind(':') + 1);
  TempDir dir;
  const std::pair<std::string, std::string> table[] = {
      {"127.0.0.1:80", "tcp://, unix:// or fd://"},
      {"tcp://127.0.0.1", "tcp://HOST:PORT"},
      {"tcp://:80", "tcp://HOST:PORT"},
      {"tcp://127.0.0.1:http", "port"},
      {"tcp://127.0.0.1:65536", "port"},
      {"tcp://::1:80", "brackets"},
      {"tcp://127.0.0.1:" + port, "Address already in use"},
      {"tcp://192.0.2.1:0", "Cannot assign requested address"},
      {"unix://relative", "unix:///PATH"},
      {"unix://" + dir.path() + "/missing/s", "No such file"},
      {"unix:///" + std::string(200, 'x'), "longer"},
      {"fd://x", "fd://N"},
      {"fd://1", "fd://N"},
      {"fd://9999", "Bad file descriptor"},
  };
  for (const auto& [url, reason] : table) {
    auto listening = server->Listen(url);
    ASSERT_FALSE(listening.ok()) << url;
    EXPECT_NE(listening.error().message.find(url), std::string::npos) << listening.error().message;
    EXPECT_NE(listening.error().message.find(reason), std::string::npos) << listening.error().message;
  }
}

}  // namespace
}  // namespace reeve
