#include "control/http/web_socket_handshake.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace reeve {
namespace {

Request AskForUpgrade() {
  Request request;
  request.method = "GET";
  request.path = "/ws";
  request.headers = {{"host", "a"},
                     {"upgrade", "websocket"},
                     {"connection", "Upgrade"},
                     {"sec-websocket-version", "13"},
                     {"sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="}};
  return request;
}

Request With(std::string_view name, std::string_view value) {
  Request request = AskForUpgrade();
  for (auto& header : request.headers) {
    if (header.first == name) header.second = value;
  }
  return request;
}

TEST(WebSocketHandshakeTest, AcceptsTheExampleOfTheRfc) {
  WebSocketHandshake handshake;
  ASSERT_FALSE(ReadHandshake(AskForUpgrade(), handshake));
  EXPECT_EQ(handshake.accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  EXPECT_TRUE(handshake.protocols.empty());
  const std::string head = FormatUpgrade(handshake, "", {}, "req-1");
  EXPECT_TRUE(head.starts_with("HTTP/1.1 101 Switching Protocols\r\n")) << head;
  EXPECT_NE(head.find("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), std::string::npos);
  EXPECT_EQ(head.find("Sec-WebSocket-Protocol"), std::string::npos);
  EXPECT_NE(FormatUpgrade(handshake, "reeve.v1", {}, "").find("\r\nSec-WebSocket-Protocol: reeve.v1\r\n"),
            std::string::npos);
}

TEST(WebSocketHandshakeTest, RefusesARequestThatLacksAHeaderOrHasItTwice) {
  WebSocketHandshake handshake;
  for (size_t i = 1; i < AskForUpgrade().headers.size(); ++i) {
    Request without = AskForUpgrade();
    const std::string name = without.headers[i].first;
    without.headers.erase(without.headers.begin() + static_cast<std::ptrdiff_t>(i));
    const auto refusal = ReadHandshake(without, handshake);
    ASSERT_TRUE(refusal) << name;
    EXPECT_EQ(refusal->status, 400) << name;
    if (!name.starts_with("sec-")) continue;
    Request twice = AskForUpgrade();
    twice.headers.push_back(twice.headers[i]);
    EXPECT_TRUE(ReadHandshake(twice, handshake)) << name;
  }
}

TEST(WebSocketHandshakeTest, RefusesWrongValues) {
  const std::pair<std::string_view, std::string_view> wrong[] = {
      {"upgrade", "h2c"},
      {"upgrade", "websockets"},
      {"upgrade", "web socket"},
      {"upgrade", ""},
      {"connection", "keep-alive"},
      {"connection", "upgraded"},
      {"connection", ""},
      {"sec-websocket-key", ""},
      {"sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ="},
      {"sec-websocket-key", "dGhlIHNhbXBsZSBub25j"},      // 15 bytes
      {"sec-websocket-key", "dGhlIHNhbXBsZSBub25jZWU="},  // 17 bytes
      {"sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==AAAA"},
      {"sec-websocket-key", "!!!!IHNhbXBsZSBub25jZQ=="},
  };
  for (const auto& [name, value] : wrong) {
    WebSocketHandshake handshake;
    const auto refusal = ReadHandshake(With(name, value), handshake);
    ASSERT_TRUE(refusal) << name << ": " << value;
    EXPECT_EQ(refusal->status, 400) << name << ": " << value;
  }
  Request head = AskForUpgrade();
  head.method = "HEAD";
  WebSocketHandshake handshake;
  EXPECT_TRUE(ReadHandshake(head, handshake));
  Request old = AskForUpgrade();
  old.http_1_0 = true;
  EXPECT_TRUE(ReadHandshake(old, handshake));
}

TEST(WebSocketHandshakeTest, NamesItsVersionToClientsOfAnother) {
  for (const char* version : {"", "0", "8", "12", "14", "013", "13, 8", "1 3", "thirteen", "255"}) {
    WebSocketHandshake handshake;
    const auto refusal = ReadHandshake(With("sec-websocket-version", version), handshake);
    ASSERT_TRUE(refusal) << version;
    EXPECT_EQ(refusal->status, 426) << version;
    const std::pair<std::string, std::string> named("Sec-WebSocket-Version", "13");
    EXPECT_EQ(std::count(refusal->headers.begin(), refusal->headers.end(), named), 1) << version;
  }
}

TEST(WebSocketHandshakeTest, ReadsListsInAnyCaseAndInSeveralHeaders) {
  WebSocketHandshake handshake;
  EXPECT_FALSE(ReadHandshake(With("connection", "keep-alive, UPGRADE"), handshake));
  EXPECT_FALSE(ReadHandshake(With("connection", ",,upgrade\t,close"), handshake));
  EXPECT_FALSE(ReadHandshake(With("upgrade", "WebSocket"), handshake));
  EXPECT_FALSE(ReadHandshake(With("upgrade", "h2c, websocket"), handshake));
  Request twice = With("connection", "keep-alive");
  twice.headers.emplace_back("connection", "Upgrade");
  EXPECT_FALSE(ReadHandshake(twice, handshake));
}

TEST(WebSocketHandshakeTest, ReadsTheOfferedProtocolsInOrder) {
  Request request = AskForUpgrade();
  request.headers.emplace_back("sec-websocket-protocol", "reeve.v1 ,\treeve.ticket.AbC-_1,");
  request.headers.emplace_back("sec-websocket-protocol", "other");
  WebSocketHandshake handshake;
  ASSERT_FALSE(ReadHandshake(request, handshake));
  EXPECT_EQ(handshake.protocols, (std::vector<std::string>{"reeve.v1", "reeve.ticket.AbC-_1", "other"}));
  for (const char* wrong : {"a b", "a/b", "a@b", "\"a\"", "a;b", "\xc3\xa4"}) {
    Request bad = AskForUpgrade();
    bad.headers.emplace_back("sec-websocket-protocol", std::string("reeve.v1, ") + wrong);
    const auto refusal = ReadHandshake(bad, handshake);
    ASSERT_TRUE(refusal) << wrong;
    EXPECT_EQ(refusal->status, 400);
    EXPECT_EQ(refusal->body.find(wrong), std::string::npos) << "it may contain a ticket";
  }
}

}  // namespace
}  // namespace reeve
