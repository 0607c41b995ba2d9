#include "control/cli/client/web_socket_client.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "control/http/web_socket_handshake.h"
#include "process/fd.h"
#include "tests/support/loop_fixture.h"

namespace reeve {
namespace {

using namespace std::string_literals;

// A server for one connection, on a thread of its own, because Open blocks. It reads the request, sends an
// answer, keeps what comes, and ends when the client does, or at once with `hang_up`.
class OneAnswerServer {
 public:
  using Answer = std::function<std::string(const std::string& accept)>;

  explicit OneAnswerServer(Answer answer, bool hang_up = false)
      : listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(listen(listener_.get(), 1), 0);
    socklen_t size = sizeof address;
    EXPECT_EQ(getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    url_ = "http://127.0.0.1:" + std::to_string(ntohs(address.sin_port)) + "/ws";
    thread_ = std::thread([this, answer = std::move(answer), hang_up] { Serve(answer, hang_up); });
  }
  ~OneAnswerServer() { Join(); }
  OneAnswerServer(const OneAnswerServer&) = delete;
  OneAnswerServer& operator=(const OneAnswerServer&) = delete;

  [[nodiscard]] const std::string& url() const { return url_; }
  // The request, and the bytes that followed it. Waits for the end of the connection.
  const std::string& request() { return Join(), request_; }
  const std::string& rest() { return Join(), rest_; }

 private:
  void Join() {
    if (thread_.joinable()) thread_.join();
  }
  void Serve(const Answer& answer, bool hang_up) {
    const Fd client(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    char bytes[4096];
    while (request_.find("\r\n\r\n") == std::string::npos) {
      const ssize_t got = recv(client.get(), bytes, sizeof bytes, 0);
      if (got <= 0) return;
      request_.append(bytes, static_cast<size_t>(got));
    }
    const size_t key = request_.find("Sec-WebSocket-Key: ") + 19;
    const std::string text = answer(WebSocketAccept(request_.substr(key, request_.find('\r', key) - key)));
    (void)send(client.get(), text.data(), text.size(), MSG_NOSIGNAL);
    if (hang_up) return;
    for (ssize_t got = 1; got > 0;) {
      got = recv(client.get(), bytes, sizeof bytes, 0);
      if (got > 0) rest_.append(bytes, static_cast<size_t>(got));
    }
  }

  const Fd listener_;
  std::string url_, request_, rest_;
  std::thread thread_;
};

std::string Upgraded(const std::string& accept) {
  return "HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept:" +
         accept + "\r\n\r\n";
}

std::string Unmasked(FrameType type, std::string_view payload) {
  std::string frame;
  AppendFrame(frame, type, payload);
  return frame;
}

class WebSocketClientTest : public ::testing::Test {
 protected:
  Status Open(const OneAnswerServer& server, WebSocketPatience patience = {}) {
    HttpRequest request;
    request.url = server.url();
    request.headers = {{"Authorization", "Bearer secret"}};
    WebSocketClient::Handlers handlers;
    handlers.on_text = [this](std::string_view text) { texts.emplace_back(text); };
    handlers.on_read = [] {};
    handlers.on_sent = [] {};
    handlers.on_end = [this](const Status& how) { end = how; };
    auto opened = WebSocketClient::Open(loop, request, std::move(handlers), patience);
    if (!opened) return opened.error();
    client = std::move(*opened);
    return {};
  }
  bool Until(const std::function<bool()>& condition) { return RunUntil(loop, condition); }

  Loop loop;
  std::vector<std::string> texts;
  std::optional<Status> end;
  std::unique_ptr<WebSocketClient> client;
};

TEST_F(WebSocketClientTest, ShakesHandsAndTakesWhatComesWithTheAnswer) {
  OneAnswerServer server([](const std::string& accept) {
    return Upgraded(accept) + Unmasked(FrameType::kText, "one") + Unmasked(FrameType::kPing, "ping") +
           Unmasked(FrameType::kText, std::string(100'000, 'x'));
  });
  ASSERT_TRUE(Open(server));
  client->Send("a", true, false);
  client->Send("b", false, true);
  ASSERT_TRUE(Until([&] { return texts.size() == 2 && client->unsent() == 0; }));
  EXPECT_EQ(texts[0], "one");
  EXPECT_EQ(texts[1].size(), 100'000u);
  client->Close();
  ASSERT_TRUE(Until([&] { return client->unsent() == 0; }));
  client.reset();
  EXPECT_TRUE(server.request().starts_with("GET /ws HTTP/1.1\r\nHost: 127.0.0.1:")) << server.request();
  EXPECT_NE(server.request().find("\r\nAuthorization: Bearer secret\r\n"), std::string::npos);
  // A server of ours reads the frames: both pieces are one message.
  struct Got final : WebSocketReader::Sink {
    void OnText(std::string_view message) override { text += message; }
    void OnPing(std::string_view) override {}
    void OnClose(uint16_t closed, std::string_view) override { code = closed; }
    std::string text;
    uint16_t code = 0;
  } got;
  WebSocketReader reader(WebSocketReader::Peer::kClient, 1000, got);
  EXPECT_FALSE(reader.Feed(server.rest()));
  EXPECT_EQ(got.text, "ab");
  EXPECT_EQ(got.code, close_code::kNormal);
  EXPECT_NE(server.rest().find("\x8a\x84"), std::string::npos) << "a masked pong of four bytes";
}

TEST_F(WebSocketClientTest, RefusesAnswersThatAreNotThoseOfAWebSocket) {
  const std::pair<OneAnswerServer::Answer, std::string> answers[] = {
      {[](const std::string&) { return "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"; }, "http_error"},
      {[](const std::string&) {
         const std::string problem = R"({"code":"unauthorized","detail":"no"})";
         return "HTTP/1.1 401 X\r\nContent-Length: " + std::to_string(problem.size()) + "\r\n\r\n" + problem;
       },
       "unauthorized"},
      {[](const std::string&) { return Upgraded("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="); }, "unreachable"},
      {[](const std::string&) { return "HTTP/1.1 101 X\r\n\r\n"; }, "unreachable"},
      {[](const std::string&) { return "HTTP/1.1 503 X\r\nContent-Length: 99999999\r\n\r\n"; }, "too_large"},
      {[](const std::string&) { return "HTTP/1.1 101 X\r\nx: " + std::string(100'000, 'x'); }, "too_large"},
      {[](const std::string&) { return "SSH-2.0-x\r\n\r\n"; }, "http_error"},
  };
  for (const auto& [answer, code] : answers) {
    OneAnswerServer server(answer);
    const Status opened = Open(server);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, code) << opened.error().message;
    EXPECT_EQ(opened.error().message.find("secret"), std::string::npos);
  }
  OneAnswerServer gone([](const std::string&) { return "HTTP/1.1 101 X\r\n"; }, true);
  EXPECT_EQ(Open(gone).error().code, "unreachable");
}

TEST_F(WebSocketClientTest, RefusesHeadersWithALineEnd) {
  HttpRequest request;
  request.url = "http://127.0.0.1:1/ws";  // where nobody listens
  for (const std::string& token : {"secret\r\nX: y"s, "secret\n"s, "secret\0"s}) {
    request.headers = {{"Authorization", "Bearer " + token}};
    const auto opened = WebSocketClient::Open(loop, request, {});
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, "invalid_request");
    EXPECT_EQ(opened.error().message, "header Authorization contains a line end");
  }
}

TEST_F(WebSocketClientTest, SaysHowTheServerEndedIt) {
  const std::pair<std::string, std::string> ends[] = {
      {Unmasked(FrameType::kClose, ClosePayload(close_code::kTooLong, "too long")), "too_large"},
      {Unmasked(FrameType::kClose, ClosePayload(close_code::kInvalidText, "")), "invalid_request"},
      {Unmasked(FrameType::kClose, ClosePayload(close_code::kGoingAway, "")), "unreachable"},
      {"\x81\x85mask.....", "unreachable"},
      {"", "unreachable"},
  };
  for (const auto& [bytes, code] : ends) {
    end.reset();
    OneAnswerServer server([text = bytes](const std::string& accept) { return Upgraded(accept) + text; },
                           true);
    ASSERT_TRUE(Open(server));
    ASSERT_TRUE(Until([&] { return end.has_value(); }));
    ASSERT_FALSE(*end);
    EXPECT_EQ(end->error().code, code) << end->error().message;
    client.reset();
  }
}

TEST_F(WebSocketClientTest, NoticesAServerThatSaysNothing) {
  OneAnswerServer server(Upgraded);
  ASSERT_TRUE(Open(server, {.silence_ms = 20}));
  ASSERT_TRUE(Until([&] { return end.has_value(); }));
  ASSERT_FALSE(*end);
  EXPECT_EQ(end->error().code, "unreachable");
  EXPECT_TRUE(end->error().message.ends_with(" says nothing")) << end->error().message;
  client.reset();
}

TEST_F(WebSocketClientTest, EndsWhenNobodyAnswersItsClose) {
  OneAnswerServer server(Upgraded);
  ASSERT_TRUE(Open(server, {.goodbye_ms = 20}));
  client->Send("one");
  client->Close();
  ASSERT_TRUE(Until([&] { return end.has_value(); }));
  EXPECT_TRUE(*end) << end->error().message;
  client.reset();
  EXPECT_TRUE(server.rest().starts_with("\x81\x83"));
}

// Bytes may wait because the loop was busy.
TEST_F(WebSocketClientTest, ReadsTheBytesThatWaitWhenItsTimeIsOver) {
  OneAnswerServer server(
      [](const std::string& accept) { return Upgraded(accept) + Unmasked(FrameType::kText, "one"); });
  ASSERT_TRUE(Open(server, {.silence_ms = 0}));
  ASSERT_TRUE(Until([&] { return end.has_value(); }));
  EXPECT_EQ(texts, std::vector<std::string>{"one"});
  client.reset();
}

}  // namespace
}  // namespace reeve
