#include "process/http_client.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>

#include "tests/support/loop_fixture.h"
#include "tests/support/test_server.h"

namespace reeve {
namespace {

using Connection = TestServer::Connection;
using Request = TestServer::Request;

class HttpClientTest : public ::testing::Test {
 protected:
  // Sends and waits for the outcome.
  Result<HttpResponse> Fetch(HttpRequest request) {
    std::optional<Result<HttpResponse>> got;
    auto call =
        client.Send(std::move(request), [&got](Result<HttpResponse> result) { got = std::move(result); });
    EXPECT_FALSE(got) << "called from within Send";
    EXPECT_TRUE(RunUntil(loop, [&got] { return got.has_value(); }));
    if (!got) return Error{"test", "no outcome"};
    return std::move(*got);
  }
  HttpRequest Get(const std::string& target) {
    HttpRequest request;
    request.url = server.Url(target);
    return request;
  }

  Loop loop;
  std::function<void(Connection&, const Request&)> serve = [](Connection& connection, const Request&) {
    connection.Answer(200, "");
  };
  TestServer server{loop,
                    [this](Connection& connection, const Request& request) { serve(connection, request); }};
  HttpClient client{loop};
};

TEST_F(HttpClientTest, SendsMethodHeadersCredentialsAndBody) {
  Request seen;
  serve = [&seen](Connection& connection, const Request& request) {
    seen = request;
    connection.Answer(201, "{}", "X-Thing:  a b \r\nx-other: 1\r\n");
  };
  HttpRequest request = Get("/session?directory=%2Ftmp");
  request.method = "POST";
  request.headers = {{"Content-Type", "application/json"}, {"X-A", "1"}};
  request.user = "kilo";
  request.password = "s3cret";
  request.body = std::string("{\"a\":\"\0\"}", 9);
  auto response = Fetch(request);
  ASSERT_TRUE(response.ok()) << response.error().message;
  EXPECT_EQ(response->status, 201);
  EXPECT_EQ(response->body, "{}");
  EXPECT_EQ(response->Header("x-thing"), "a b");
  EXPECT_EQ(response->Header("x-other"), "1");
  EXPECT_EQ(response->Header("absent"), "");
  EXPECT_EQ(seen.method, "POST");
  EXPECT_EQ(seen.target, "/session?directory=%2Ftmp");
  EXPECT_EQ(seen.body, request.body);
  EXPECT_EQ(seen.headers["content-type"], "application/json");
  EXPECT_EQ(seen.headers["x-a"], "1");
  EXPECT_EQ(seen.headers["authorization"], "Basic a2lsbzpzM2NyZXQ=");
  EXPECT_EQ(seen.headers.count("expect"), 0u);
}

TEST_F(HttpClientTest, SendsEveryMethodWithAndWithoutABody) {
  Request seen;
  serve = [&seen](Connection& connection, const Request& request) {
    seen = request;
    connection.Answer(200, "");
  };
  for (std::string method : {"GET", "POST", "PUT", "PATCH", "DELETE"}) {
    for (std::string body : {"", "x"}) {
      HttpRequest request = Get("/");
      request.method = method;
      request.body = body;
      auto response = Fetch(request);
      ASSERT_TRUE(response.ok()) << method << " " << response.error().message;
      EXPECT_EQ(seen.method, method);
      EXPECT_EQ(seen.body, body) << method;
    }
  }
  serve = [&seen](Connection& connection, const Request& request) {
    seen = request;
    connection.Send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
  };
  HttpRequest request = Get("/");
  request.method = "HEAD";
  EXPECT_EQ(Fetch(request)->status, 200);
  EXPECT_EQ(seen.method, "HEAD");
}

TEST_F(HttpClientTest, ALargeBodyGoesOutAndComesBackWhole) {
  serve = [](Connection& connection, const Request& request) { connection.Answer(200, request.body); };
  HttpRequest request = Get("/");
  request.method = "POST";
  for (int i = 0; i < 500'000; ++i) request.body += std::to_string(i);
  auto response = Fetch(request);
  ASSERT_TRUE(response.ok()) << response.error().message;
  EXPECT_TRUE(response->body == request.body);
}

TEST_F(HttpClientTest, AnyStatusIsAResponseAndNoRedirectIsFollowed) {
  serve = [](Connection& connection, const Request& request) {
    if (request.target == "/moved") {
      connection.Answer(302, "", "Location: /elsewhere\r\n");
    } else {
      connection.Answer(request.target == "/e404" ? 404 : 500, "no");
    }
  };
  EXPECT_EQ(Fetch(Get("/e404"))->status, 404);
  EXPECT_EQ(Fetch(Get("/e500"))->body, "no");
  EXPECT_EQ(Fetch(Get("/moved"))->status, 302);
}

TEST_F(HttpClientTest, InformationalHeadsAreNotTheAnswer) {
  serve = [](Connection& connection, const Request&) {
    connection.Send("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n");
    connection.Answer(200, "ok", "X-Real: yes\r\n");
  };
  auto response = Fetch(Get("/"));
  ASSERT_TRUE(response.ok());
  EXPECT_EQ(response->status, 200);
  EXPECT_EQ(response->Header("link"), "");
  EXPECT_EQ(response->Header("x-real"), "yes");
}

TEST_F(HttpClientTest, ErrorsNameTheHostAndTheReasonButNoCredentials) {
  HttpRequest request;
  {
    TestServer gone(loop, [](Connection&, const Request&) {});
    request.url = "http://ann:s3cret@127.0.0.1:" + std::to_string(gone.port()) + "/path?key=s3cret";
  }
  auto refused = Fetch(request);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, "unreachable");
  EXPECT_EQ(refused.error().message,
            request.url.substr(18, request.url.find("/path") - 18) + ": Connection refused");

  request.url = "ftp://127.0.0.1/";
  EXPECT_EQ(Fetch(request).error().code, "unreachable");
  request.url = "file:///etc/passwd";
  EXPECT_EQ(Fetch(request).error().code, "unreachable");
  request.url = "not a url";
  EXPECT_EQ(Fetch(request).error().code, "unreachable");
}

TEST_F(HttpClientTest, AServerThatHangsUpIsUnreachable) {
  serve = [](Connection& connection, const Request& request) {
    if (request.target == "/half") connection.Send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    connection.Close();
  };
  EXPECT_EQ(Fetch(Get("/none")).error().code, "unreachable");
  EXPECT_EQ(Fetch(Get("/half")).error().code, "unreachable");
}

TEST_F(HttpClientTest, AServerThatNeverAnswersTimesOut) {
  serve = [](Connection&, const Request&) {};
  HttpRequest request = Get("/");
  request.timeout_ms = 50;
  auto response = Fetch(request);
  ASSERT_FALSE(response.ok());
  EXPECT_EQ(response.error().code, "timeout");
}

TEST_F(HttpClientTest, AnAnswerBeyondItsLimitIsRefused) {
  serve = [](Connection& connection, const Request& request) {
    if (request.target == "/body") return connection.Answer(200, "0123456789");
    connection.Send("HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < 2000; ++i) connection.Send("X-Header: " + std::string(100, 'x') + "\r\n");
    connection.Send("\r\n");
  };
  HttpRequest request = Get("/body");
  request.max_body_bytes = 10;
  EXPECT_EQ(Fetch(request)->body, "0123456789");
  request.max_body_bytes = 9;
  EXPECT_EQ(Fetch(request).error().code, "too_large");
  EXPECT_EQ(Fetch(Get("/head")).error().code, "too_large");
}

TEST_F(HttpClientTest, AHeaderWithALineEndIsRefused) {
  HttpRequest request = Get("/");
  request.headers = {{"Authorization", "Bearer s3cret\r\nX-Evil: 1"}};
  auto response = Fetch(request);
  ASSERT_FALSE(response.ok());
  EXPECT_EQ(response.error().code, "invalid_request");
  EXPECT_EQ(response.error().message.find("s3cret"), std::string::npos);
  EXPECT_EQ(server.accepted(), 0u);
}

TEST_F(HttpClientTest, ConnectsToAUnixSocket) {
  TempDir dir;
  TestServer local(
      loop, [](Connection& connection, const Request& request) { connection.Answer(200, request.target); },
      dir.path() + "/s");
  HttpRequest request;
  request.url = "http://localhost/health";
  request.unix_socket = dir.path() + "/s";
  auto response = Fetch(request);
  ASSERT_TRUE(response.ok()) << response.error().message;
  EXPECT_EQ(response->body, "/health");
  request.unix_socket = dir.path() + "/missing";
  auto missing = Fetch(request);
  EXPECT_EQ(missing.error().code, "unreachable");
  EXPECT_NE(missing.error().message.find(dir.path() + "/missing"), std::string::npos);
}

TEST_F(HttpClientTest, NoProxyIsTakenFromTheEnvironment) {
  setenv("http_proxy", "http://127.0.0.1:1", 1);
  setenv("all_proxy", "http://127.0.0.1:1", 1);
  EXPECT_TRUE(Fetch(Get("/")).ok());
  unsetenv("http_proxy");
  unsetenv("all_proxy");
}

TEST_F(HttpClientTest, ManyCallsAtOnceEachGetTheirOwnAnswer) {
  serve = [](Connection& connection, const Request& request) { connection.Answer(200, request.target); };
  std::vector<std::unique_ptr<HttpCall>> calls;
  int right = 0;
  for (int i = 0; i < 50; ++i) {
    std::string target = "/" + std::to_string(i);
    calls.push_back(client.Send(Get(target), [target, &right](Result<HttpResponse> response) {
      if (response.ok() && response->body == target) ++right;
    }));
  }
  EXPECT_TRUE(RunUntil(loop, [&right] { return right == 50; }));
}

TEST_F(HttpClientTest, ADestroyedCallIsCancelledAndSilent) {
  int asked = 0;
  serve = [&asked](Connection&, const Request&) { ++asked; };
  auto call = client.Send(Get("/"), [](Result<HttpResponse>) { ADD_FAILURE() << "told after its end"; });
  ASSERT_TRUE(RunUntil(loop, [&asked] { return asked == 1; }));
  call.reset();
  EXPECT_TRUE(RunUntil(loop, [this] { return server.open() == 0; }));
}

TEST_F(HttpClientTest, ACallMayBeDestroyedByItsOwnFunctionOrByAnothers) {
  serve = [](Connection& connection, const Request&) { connection.Answer(200, "x"); };
  std::unique_ptr<HttpCall> one;
  std::unique_ptr<HttpCall> two;
  std::string alive = "still here";
  int told = 0;
  auto done = [&one, &two, &told, alive](const Result<HttpResponse>&) {
    one.reset();
    two.reset();
    EXPECT_EQ(alive, "still here");  // the function outlives its call
    ++told;
  };
  one = client.Send(Get("/"), done);
  two = client.Send(Get("/"), done);
  ASSERT_TRUE(RunUntil(loop, [&told] { return told > 0; }));
  for (int turn = 0; turn < 10; ++turn) loop.RunOnce(false);
  EXPECT_EQ(told, 1);
}

TEST_F(HttpClientTest, ANewCallMayBeStartedFromAFunction) {
  serve = [](Connection& connection, const Request& request) { connection.Answer(200, request.target); };
  std::unique_ptr<HttpCall> second;
  std::string got;
  auto first = client.Send(Get("/1"), [this, &second, &got](const Result<HttpResponse>&) {
    second = client.Send(Get("/2"), [&got](Result<HttpResponse> response) { got = response->body; });
  });
  EXPECT_TRUE(RunUntil(loop, [&got] { return got == "/2"; }));
}

// A prompt that is sent again on another connection would run twice.
TEST_F(HttpClientTest, APostIsNeverSentTwice) {
  int posts = 0;
  serve = [&posts](Connection& connection, const Request& request) {
    if (request.method == "GET") return connection.Answer(200, "");
    ++posts;
    connection.Close();
  };
  ASSERT_TRUE(Fetch(Get("/")).ok());  // leaves a connection to reuse
  HttpRequest request = Get("/prompt");
  request.method = "POST";
  EXPECT_FALSE(Fetch(request).ok());
  EXPECT_EQ(posts, 1);
}

// A caller may look at the other side of a connection before it is sent a secret.
TEST_F(HttpClientTest, NothingIsSentUnlessTheCallerAgrees) {
  int requests = 0, asked = 0;
  serve = [&requests](Connection& connection, const Request&) {
    ++requests;
    connection.Answer(200, "");
  };
  Status may;
  HttpRequest request = Get("/");
  request.may_send = [&] {
    ++asked;
    return may;
  };
  ASSERT_TRUE(Fetch(request).ok());
  EXPECT_EQ(asked, 1);
  may = Error{"foreign_listener", "somebody else listens there"};
  for (const char* method : {"GET", "POST"}) {  // on the connection that stayed, and on another one
    request.method = method;
    auto refused = Fetch(request);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, "foreign_listener");
    EXPECT_NE(refused.error().message.find("somebody else listens there"), std::string::npos);
  }
  EXPECT_EQ(asked, 3);
  EXPECT_EQ(requests, 1);
  may = {};
  EXPECT_TRUE(Fetch(request).ok());
}

struct Streamed {
  int head = 0;
  std::string body;
  std::optional<Status> end;
  HttpClient::Stream Handlers() {
    HttpClient::Stream stream;
    stream.on_head = [this](const HttpResponse& response) { head = response.status; };
    stream.on_body = [this](std::string_view bytes) { body += bytes; };
    stream.on_end = [this](const Status& how) { end = how; };
    return stream;
  }
};

TEST_F(HttpClientTest, AStreamGivesHeadThenBytesAsTheyComeThenItsEnd) {
  int id = -1;
  serve = [&id](Connection& connection, const Request&) {
    id = connection.id();
    connection.Send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
  };
  Streamed got;
  auto call = client.Open(Get("/event"), got.Handlers());
  ASSERT_TRUE(RunUntil(loop, [&got] { return got.head == 200; }));
  server.Find(id)->Send("3\r\none\r\n");
  ASSERT_TRUE(RunUntil(loop, [&got] { return got.body == "one"; }));
  server.Find(id)->Send("3\r\ntwo\r\n");
  ASSERT_TRUE(RunUntil(loop, [&got] { return got.body == "onetwo"; }));
  EXPECT_FALSE(got.end);
  server.Find(id)->Send("0\r\n\r\n");
  ASSERT_TRUE(RunUntil(loop, [&got] { return got.end.has_value(); }));
  EXPECT_TRUE(got.end->ok());
}

TEST_F(HttpClientTest, AStreamThatBreaksSaysSo) {
  serve = [](Connection& connection, const Request&) {
    connection.Send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n");
    connection.Close();
  };
  Streamed got;
  auto call = client.Open(Get("/event"), got.Handlers());
  ASSERT_TRUE(RunUntil(loop, [&got] { return got.end.has_value(); }));
  EXPECT_EQ(got.body, "one");
  EXPECT_FALSE(got.end->ok());
}

// Back-pressure: nothing more is delivered, and the server has to wait.
TEST_F(HttpClientTest, APausedStreamDeliversNothingUntilItIsResumed) {
  const std::string sent(size_t{32} << 20, 'x');  // more than the buffers of sockets
  serve = [&sent](Connection& connection, const Request&) {
    connection.Answer(200, sent);
    connection.Close();
  };
  std::unique_ptr<HttpCall> call;
  size_t got = 0, largest = 0;
  bool pause = true;
  std::optional<Status> end;
  HttpClient::Stream stream;
  stream.on_body = [&](std::string_view bytes) {
    got += bytes.size();
    largest = std::max(largest, bytes.size());
    if (pause) call->PauseReading(true);
  };
  stream.on_end = [&end](const Status& how) { end = how; };
  call = client.Open(Get("/event"), std::move(stream));
  ASSERT_TRUE(RunUntil(loop, [&got] { return got > 0; }));
  for (int time = 0; time < 3; ++time) {
    const size_t before = got;
    for (int turn = 0; turn < 200; ++turn) loop.RunOnce(false);
    EXPECT_EQ(got, before);
    EXPECT_EQ(server.open(), 1U) << "the server did not have to wait";
    call->PauseReading(false);
    ASSERT_TRUE(RunUntil(loop, [&] { return got > before; }));
  }
  pause = false;
  call->PauseReading(false);
  ASSERT_TRUE(RunUntil(loop, [&end] { return end.has_value(); }));
  EXPECT_TRUE(end->ok());
  EXPECT_EQ(got, sent.size());
  EXPECT_LE(largest, 4096U);
}

// A server that sends without end does not keep others from the loop.
TEST_F(HttpClientTest, AStreamDeliversSomeOfItsBytesInATurnOfTheLoop) {
  const std::string sent(size_t{8} << 20, 'x');
  serve = [&sent](Connection& connection, const Request&) { connection.Answer(200, sent); };
  size_t in_turn = 0, got = 0;
  HttpClient::Stream stream;
  stream.on_body = [&](std::string_view bytes) { in_turn += bytes.size(); };
  auto call = client.Open(Get("/event"), std::move(stream));
  ASSERT_TRUE(RunUntil(loop, [&] {
    EXPECT_LE(in_turn, size_t{128} << 10);
    got += std::exchange(in_turn, 0);
    return got == sent.size();
  }));
}

TEST_F(HttpClientTest, AStreamMayBeDestroyedByEachOfItsFunctions) {
  serve = [](Connection& connection, const Request&) { connection.Answer(200, "bytes"); };
  for (int where = 0; where < 3; ++where) {
    std::unique_ptr<HttpCall> call;
    int told = 0;
    HttpClient::Stream stream;
    auto step = [&call, &told, where](int here) {
      EXPECT_LE(here, where) << "told after its end";
      ++told;
      if (here == where) call.reset();
    };
    stream.on_head = [step](const HttpResponse&) { step(0); };
    stream.on_body = [step](std::string_view) { step(1); };
    stream.on_end = [step](const Status&) { step(2); };
    call = client.Open(Get("/"), std::move(stream));
    ASSERT_TRUE(RunUntil(loop, [&call] { return !call; }));
    for (int turn = 0; turn < 10; ++turn) loop.RunOnce(false);
    EXPECT_EQ(told, where + 1);
  }
}

TEST(HttpClientEnd, LeavesNoDescriptorAndALoopThatCloses) {
  { Loop first; }  // libuv keeps a pipe for the life of the process
  size_t before = OpenDescriptors();
  {
    Loop loop;
    TestServer server(loop, [](Connection& connection, const Request&) { connection.Answer(200, ""); });
    HttpClient client(loop);
    HttpRequest request;
    request.url = server.Url("/");
    bool done = false;
    auto first = client.Send(request, [&done](const Result<HttpResponse>&) { done = true; });
    ASSERT_TRUE(RunUntil(loop, [&done] { return done; }));
    auto second = client.Send(request, [](const Result<HttpResponse>&) {});
    loop.RunOnce(false);
  }
  EXPECT_EQ(OpenDescriptors(), before);
}

}  // namespace
}  // namespace reeve
