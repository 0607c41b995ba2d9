#include "control/http/web_socket.h"

#include <gtest/gtest.h>
#include <linux/filter.h>
#include <sys/socket.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "control/http/server.h"
#include "process/tcp_state.h"
#include "tests/support/loop_fixture.h"
#include "tests/support/raw_client.h"

namespace reeve {
namespace {

constexpr char kHandshake[] =
    "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

// First bytes of frames.
constexpr int kFin = 0x80;
constexpr int kText = 0x81;
constexpr int kClose = 0x88;
constexpr int kPing = 0x89;
constexpr int kPong = 0x8a;

enum class Length { kMinimal, k16, k64 };

// The head of a client's frame, with a mask of four zeros unless the frame is not masked.
std::string Head(int first, uint64_t size, Length form = Length::kMinimal, bool masked = true) {
  std::string head(1, static_cast<char>(first));
  if (form == Length::kMinimal) form = size > 0xffff ? Length::k64 : size > 125 ? Length::k16 : form;
  const int extended = form == Length::k64 ? 8 : form == Length::k16 ? 2 : 0;
  const int length = extended == 8 ? 127 : extended == 2 ? 126 : static_cast<int>(size);
  head += static_cast<char>(length | (masked ? 0x80 : 0));
  for (int i = extended - 1; i >= 0; --i) head += static_cast<char>(size >> (8 * i) & 0xff);
  if (masked) head.append(4, '\0');
  return head;
}

std::string Frame(int first, std::string_view payload) {
  std::string frame = Head(first, payload.size());
  constexpr std::string_view kMask = "\x12\xf4\x56\x9a";
  frame.replace(frame.size() - 4, 4, kMask);
  for (size_t i = 0; i < payload.size(); ++i) frame += static_cast<char>(payload[i] ^ kMask[i % 4]);
  return frame;
}

std::string CloseFrame(uint16_t code, std::string_view reason = "") {
  const std::string number{static_cast<char>(code >> 8), static_cast<char>(code & 0xff)};
  return Frame(kClose, number + std::string(reason));
}

struct ServerFrame {
  int first;
  std::string payload;
  bool operator==(const ServerFrame&) const = default;
};

uint16_t CodeOf(const ServerFrame& close) {
  if (close.payload.size() < 2) return close_code::kNone;
  return static_cast<uint16_t>(static_cast<uint8_t>(close.payload[0]) << 8 |
                               static_cast<uint8_t>(close.payload[1]));
}

// The server's side of one connection.
struct Talk final : WebSocket::Listener {
  void OnText(std::string_view message) override {
    texts.emplace_back(message);
    if (on_text) on_text(message);
  }
  void OnWritable() override {
    ++writable;
    if (on_writable) on_writable();
  }
  void OnLast() override {
    last = true;
    if (answers_at_once) socket->Answered();
  }
  void OnEnd(const WebSocket::End& how) override {
    EXPECT_FALSE(end);
    end = how;
    socket.reset();
  }

  std::unique_ptr<WebSocket> socket;
  int fd = -1;
  std::vector<std::string> texts;
  int writable = 0;
  bool last = false;
  bool answers_at_once = true;
  std::optional<WebSocket::End> end;
  std::function<void(std::string_view)> on_text;
  std::function<void()> on_writable;
};

class WebSocketTest : public ::testing::Test {
 protected:
  void SetUp() override {
    server = std::make_unique<Server>(loop, Server::Limits{}, [this](const Request& request, Reply reply) {
      WebSocketHandshake handshake;
      if (auto refusal = ReadHandshake(request, handshake)) return reply.Send(std::move(*refusal));
      TakenSocket taken = reply.TakeSocket();
      if (!taken.socket) return;
      talks.push_back(std::make_unique<Talk>());
      Talk& made = *talks.back();
      made.fd = taken.socket->fd();
      made.socket = std::make_unique<WebSocket>(
          std::move(taken), FormatUpgrade(handshake, "", {}, request.id), limits, made, loop);
      if (prepare) prepare(made);
    });
    auto listening = server->Listen("tcp://127.0.0.1:0");
    ASSERT_TRUE(listening.ok()) << listening.error().message;
    address = *listening;
  }
  void TearDown() override {
    client.reset();
    for (const auto& one : talks) EXPECT_TRUE(Until([&] { return one->end.has_value(); }));
  }

  bool Until(const std::function<bool()>& condition) {
    return RunUntil(loop, [this, &condition] {
      if (client && polling) client->Poll();
      return condition();
    });
  }
  // Connects `client`, and waits for the server's side.
  Talk& Connect(std::string_view more = "") {
    const size_t before = talks.size();
    client = std::make_unique<RawClient>(address, receive_bytes);
    client->Send(kHandshake + std::string(more));
    EXPECT_TRUE(Until([&] { return talks.size() > before && HeadEnd() != std::string::npos; }));
    return *talks.back();
  }
  [[nodiscard]] size_t HeadEnd() const {
    const size_t end = client->received().find("\r\n\r\n");
    return end == std::string::npos ? end : end + 4;
  }
  // The whole frames of the server.
  [[nodiscard]] std::vector<ServerFrame> Frames() const {
    std::vector<ServerFrame> frames;
    std::string_view rest = std::string_view(client->received()).substr(HeadEnd());
    while (rest.size() >= 2) {
      const auto at = [&rest](size_t i) { return static_cast<uint8_t>(rest[i]); };
      EXPECT_EQ(at(1) & 0x80, 0) << "a server must not mask";
      const size_t extended = at(1) == 127 ? 8 : at(1) == 126 ? 2 : 0;
      if (rest.size() < 2 + extended) break;
      uint64_t size = extended == 0 ? at(1) : 0;
      for (size_t i = 0; i < extended; ++i) size = size << 8 | at(2 + i);
      if (rest.size() < 2 + extended + size) break;
      frames.push_back({at(0), std::string(rest.substr(2 + extended, size))});
      rest.remove_prefix(2 + extended + size);
    }
    return frames;
  }
  // The server must answer `bytes` with a close frame of this code, and then close its half.
  void ExpectClose(std::string_view bytes, uint16_t code, bool by_peer = false) {
    Talk& talk = Connect();
    client->Send(bytes);
    ASSERT_TRUE(Until([&] { return client->ended(); }));
    const auto frames = Frames();
    ASSERT_FALSE(frames.empty());
    EXPECT_EQ(frames.back().first, kClose);
    EXPECT_EQ(CodeOf(frames.back()), code) << frames.back().payload;
    client->Close();
    ASSERT_TRUE(Until([&] { return talk.end.has_value(); }));
    EXPECT_EQ(talk.end->by_peer, by_peer);
    EXPECT_EQ(talk.end->code, code);
  }
  // The server must take `bytes` as these messages, and go on.
  void ExpectTexts(std::string_view bytes, const std::vector<std::string>& texts) {
    Talk& talk = Connect();
    client->Send(bytes);
    ASSERT_TRUE(Until([&] { return talk.texts.size() >= texts.size() || talk.end; }));
    EXPECT_EQ(talk.texts, texts);
    client->Send(Frame(kPing, "alive"));
    EXPECT_TRUE(Until([&] { return !Frames().empty() && Frames().back() == ServerFrame{kPong, "alive"}; }));
    client.reset();
  }
  // Connects a client whose kernel takes few bytes that it does not read, and which reads nothing.
  Talk& ConnectSlow() {
    receive_bytes = 4096;
    Talk& talk = Connect();
    receive_bytes = 0;
    polling = false;
    return talk;
  }
  void Reset() {
    const linger now{1, 0};
    ASSERT_EQ(setsockopt(client->fd(), SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
    client->Close();
  }
  // Sends frames until the socket takes no more. Returns their number.
  static size_t Fill(Talk& talk, size_t size = 10'000) {
    size_t count = 0;
    do {
      std::string frame;
      AppendTextFrameHead(frame, size);
      frame.append(size, static_cast<char>('a' + count++ % 26));
      if (talk.socket->Send(frame) != WebSocket::Sent::kAll) break;
    } while (count < 100'000);
    return count;
  }

  // Whether the client's kernel has confirmed everything for which it has room.
  static bool Confirmed(const Talk& talk) { return TcpState::Read(talk.fd)->in_flight == 0; }
  static uint64_t Taken(const Talk& talk) { return TcpState::Read(talk.fd)->confirmed_bytes; }

  Loop loop;
  WebSocket::Limits limits;
  std::unique_ptr<Server> server;
  std::string address;
  std::vector<std::unique_ptr<Talk>> talks;
  std::function<void(Talk&)> prepare;
  std::unique_ptr<RawClient> client;
  int receive_bytes = 0;
  bool polling = true;  // Until reads what the client gets
};

TEST_F(WebSocketTest, AnswersTheHandshakeAndLeavesTheServer) {
  Connect();
  const auto answers = client->Answers(true);
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0].status, 101);
  EXPECT_EQ(answers[0].Header("sec-websocket-accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  EXPECT_EQ(answers[0].Header("upgrade"), "websocket");
  EXPECT_NE(answers[0].Header("x-request-id"), "");
  EXPECT_EQ(server->stats().connections, 0u);
}

TEST_F(WebSocketTest, ARefusedHandshakeKeepsTheConnectionOfHttp) {
  client = std::make_unique<RawClient>(address);
  client->Send("GET /ws HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(Until([&] { return client->Answers().size() == 1; }));
  EXPECT_EQ(client->Answers()[0].status, 400);
  EXPECT_NE(client->Answers()[0].Header("content-type").find("problem+json"), std::string::npos);
  client->Send(kHandshake);
  ASSERT_TRUE(Until([&] { return client->received().find("HTTP/1.1 101 ") != std::string::npos; }));
}

TEST_F(WebSocketTest, AMessageMayComeWithTheHandshake) {
  Talk& talk = Connect(Frame(kText, "early") + Frame(kText, "bird"));
  ASSERT_TRUE(Until([&] { return talk.texts.size() == 2; }));
  EXPECT_EQ(talk.texts, (std::vector<std::string>{"early", "bird"}));
}

// ------------------------------------------------------------------------------------------------ messages

TEST_F(WebSocketTest, TakesMessagesOfEveryLength) {
  limits.message_bytes = 100'000;
  for (const int number :
       {0, 1, 2, 124, 125, 126, 127, 128, 4095, 4096, 4097, 65534, 65535, 65536, 65537, 99'999, 100'000}) {
    SCOPED_TRACE(number);
    const auto size = static_cast<size_t>(number);
    std::string text;
    for (size_t i = 0; i < size; ++i) text += static_cast<char>('!' + i % 90);
    ExpectTexts(Frame(kText, text), {text});
  }
}

TEST_F(WebSocketTest, SendsMessagesOfEveryLength) {
  Talk& talk = Connect();
  std::vector<ServerFrame> expected;
  for (const int number : {0, 1, 125, 126, 127, 65535, 65536, 200'000}) {
    const auto size = static_cast<size_t>(number);
    const std::string text(size, 'x');
    talk.socket->Queue(text);
    std::string frame;
    AppendTextFrameHead(frame, size);
    EXPECT_LE(frame.size(), 10u);
    (void)talk.socket->Send(frame + text);
    expected.insert(expected.end(), 2, {kText, text});
    talk.on_writable = [&] { (void)talk.socket->Send(); };
  }
  ASSERT_TRUE(Until([&] { return Frames().size() >= expected.size(); }));
  EXPECT_EQ(Frames(), expected);
  EXPECT_EQ(talk.socket->counts().queued, 8u);
}

TEST_F(WebSocketTest, RefusesATooLongMessageByItsHead) {
  limits.message_bytes = 100'000;
  ExpectClose(Head(kText, 100'001), close_code::kTooLong);
  ExpectClose(Head(kText, uint64_t{1} << 31), close_code::kTooLong);
  ExpectClose(Head(kText, (uint64_t{1} << 63) - 1), close_code::kTooLong);
  // Fragments count together.
  ExpectClose(Frame(0x01, std::string(60'000, 'a')) + Head(0x00, 40'001), close_code::kTooLong);
  const std::string half(50'000, 'a');
  ExpectTexts(Frame(0x01, half) + Frame(0x80, half), {half + half});
}

TEST_F(WebSocketTest, ConnectionsTogetherHoldNoMoreThanTheirBudget) {
  WebSocket::Budget budget;
  limits.budget = &budget;
  limits.budget_bytes = 100'000;
  const std::string half(80'000, 'a');
  Connect(Frame(0x01, half));
  ASSERT_TRUE(Until([&] { return budget.used == half.size(); }));
  const auto first = std::move(client);
  ExpectClose(Frame(0x01, half), close_code::kTryAgainLater);
  EXPECT_EQ(budget.used, half.size());
  first->Send(Frame(0x80, "b"));
  ASSERT_TRUE(Until([&] {
    first->Poll();
    return talks.front()->texts.size() == 1;
  }));
  EXPECT_EQ(talks.front()->texts.front(), half + "b");
  EXPECT_EQ(budget.used, 0u);
  talks.clear();  // before the budget ends
}

TEST_F(WebSocketTest, RefusesLengthsThatAreNotWrittenAsTheyMust) {
  ExpectClose(Head(kText, 125, Length::k16), close_code::kProtocolError);
  ExpectClose(Head(kText, 0, Length::k16), close_code::kProtocolError);
  ExpectClose(Head(kText, 65535, Length::k64), close_code::kProtocolError);
  ExpectClose(Head(kText, 5, Length::k64), close_code::kProtocolError);
  ExpectClose(Head(kText, uint64_t{1} << 63), close_code::kProtocolError);
  ExpectClose(Head(kText, UINT64_MAX), close_code::kProtocolError);
}

TEST_F(WebSocketTest, JoinsFragmentsAndAnswersPingsBetweenThem) {
  Talk& talk = Connect();
  client->Send(Frame(0x01, "") + Frame(0x00, "one ") + Frame(kPing, "p1") + Frame(0x00, "") +
               Frame(kPong, "unasked") + Frame(0x00, "two ") + Frame(kPing, "") + Frame(kFin, "three") +
               Frame(0x01, "") + Frame(kFin, "") + Frame(kText, "four"));
  ASSERT_TRUE(Until([&] { return talk.texts.size() == 3 && Frames().size() == 2; }));
  EXPECT_EQ(talk.texts, (std::vector<std::string>{"one two three", "", "four"}));
  EXPECT_EQ(Frames(), (std::vector<ServerFrame>{{kPong, "p1"}, {kPong, ""}}));
  EXPECT_EQ(talk.socket->counts().received, 3u);
}

TEST_F(WebSocketTest, RefusesFragmentsOutOfOrder) {
  ExpectClose(Frame(0x80, "no message"), close_code::kProtocolError);
  ExpectClose(Frame(0x00, "no message"), close_code::kProtocolError);
  ExpectClose(Frame(kText, "whole") + Frame(0x80, "rest"), close_code::kProtocolError);
  ExpectClose(Frame(0x01, "begin") + Frame(kText, "another"), close_code::kProtocolError);
  ExpectClose(Frame(0x01, "begin") + Frame(0x01, "another"), close_code::kProtocolError);
  ExpectClose(Frame(0x01, "begin") + Frame(0x82, "another"), close_code::kProtocolError);
}

TEST_F(WebSocketTest, RefusesReservedBitsAndOpcodes) {
  for (int bits = 1; bits < 8; ++bits) {
    for (const int frame : {kText, kClose, kPing, kPong}) {
      SCOPED_TRACE(frame | bits << 4);
      ExpectClose(Frame(frame | bits << 4, ""), close_code::kProtocolError);
    }
  }
  for (const int opcode : {3, 4, 5, 6, 7, 11, 12, 13, 14, 15}) {
    SCOPED_TRACE(opcode);
    ExpectClose(Frame(0x80 | opcode, ""), close_code::kProtocolError);
    ExpectClose(Frame(0x80 | opcode, "payload"), close_code::kProtocolError);
    ExpectClose(Frame(opcode, ""), close_code::kProtocolError);
  }
  ExpectClose(Frame(0x82, "binary"), close_code::kUnsupportedData);
  ExpectClose(Frame(0x82, ""), close_code::kUnsupportedData);
  ExpectClose(Frame(0x02, "binary"), close_code::kUnsupportedData);
}

TEST_F(WebSocketTest, RefusesFramesWithoutAMask) {
  for (const int frame : {kText, 0x01, kClose, kPing, kPong}) {
    ExpectClose(Head(frame, 0, Length::kMinimal, false), close_code::kProtocolError);
    ExpectClose(Head(frame, 5, Length::kMinimal, false) + "hello", close_code::kProtocolError);
  }
}

TEST_F(WebSocketTest, RefusesControlFramesThatAreFragmentedOrTooLong) {
  for (const int frame : {kClose, kPing, kPong}) {
    ExpectClose(Frame(frame & 0x7f, ""), close_code::kProtocolError);
    ExpectClose(Head(frame, 126), close_code::kProtocolError);
    ExpectClose(Head(frame, 70'000), close_code::kProtocolError);
    ExpectClose(Head(frame, 5, Length::k16), close_code::kProtocolError);
  }
  const std::string most(125, 'p');
  Connect();
  client->Send(Frame(kPong, most) + Frame(kPing, most));
  ASSERT_TRUE(Until([&] { return !Frames().empty(); }));
  EXPECT_EQ(Frames(), (std::vector<ServerFrame>{{kPong, most}}));
}

TEST_F(WebSocketTest, TenPingsGetTenPongsInOrder) {
  Connect();
  std::string pings;
  std::vector<ServerFrame> pongs;
  for (int i = 0; i < 10; ++i) {
    pings += Frame(kPing, "payload " + std::to_string(i));
    pongs.push_back({kPong, "payload " + std::to_string(i)});
  }
  client->Send(pings);
  ASSERT_TRUE(Until([&] { return Frames().size() == 10; }));
  EXPECT_EQ(Frames(), pongs);
}

// ------------------------------------------------------------------------------------------------ UTF-8

// One character of each row of the table in RFC 3629 section 4, at both ends of its range.
const std::string kCharacters =
    "\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xe0\xbf\xbf\xe1\x80\x80\xec\xbf\xbf\xed\x80\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf"
    "\xf0\x90\x80\x80\xf0\xbf\xbf\xbf\xf1\x80\x80\x80\xf3\xbf\xbf\xbf\xf4\x80\x80\x80\xf4\x8f\xbf\xbf plain text, long";

const std::string kNotUtf8[] = {"\x80",
                                "\xbf",
                                "\xc0\x80",
                                "\xc1\xbf",
                                "\xc2",
                                "\xc2\x41",
                                "\xc2\xc2",
                                "\xe0\x80\x80",
                                "\xe0\x9f\xbf",
                                "\xe1\x80",
                                "\xed\xa0\x80",
                                "\xed\xbf\xbf",
                                "\xf0\x80\x80\x80",
                                "\xf0\x8f\xbf\xbf",
                                "\xf1\x80\x80",
                                "\xf4\x90\x80\x80",
                                "\xf5\x80\x80\x80",
                                "\xf8\x88\x80\x80\x80",
                                "\xfe",
                                "\xff"};

TEST(Utf8CheckTest, KnowsUtf8HoweverItIsCut) {
  for (size_t i = 0; i <= kCharacters.size(); ++i) {
    for (size_t k = i; k <= kCharacters.size(); ++k) {
      Utf8Check check;
      EXPECT_TRUE(check.Take(kCharacters.substr(0, i)));
      EXPECT_TRUE(check.Take(kCharacters.substr(i, k - i)));
      EXPECT_TRUE(check.Take(kCharacters.substr(k)));
      EXPECT_TRUE(check.whole());
    }
  }
  for (const std::string& wrong : kNotUtf8) {
    for (size_t i = 0; i <= wrong.size(); ++i) {
      Utf8Check check;
      const std::string text = "plain " + wrong;
      EXPECT_FALSE(check.Take(text.substr(0, 6 + i)) && check.Take(text.substr(6 + i)) && check.whole());
    }
  }
}

// The standard's own definition, in the plainest words, for each text of two, three and four bytes of
// interest.
TEST(Utf8CheckTest, AgreesWithTheDefinition) {
  auto valid = [](const std::string& text) {
    size_t at = 0;
    while (at < text.size()) {
      const auto byte = static_cast<uint8_t>(text[at]);
      const size_t size = byte < 0x80       ? 1
                          : byte >> 5 == 6  ? 2
                          : byte >> 4 == 14 ? 3
                          : byte >> 3 == 30 ? 4
                                            : 0;
      if (size == 0 || at + size > text.size()) return false;
      uint32_t point = size == 1 ? byte : byte & (0x7fU >> size);
      for (size_t i = 1; i < size; ++i) {
        const auto next = static_cast<uint8_t>(text[at + i]);
        if (next >> 6 != 2) return false;
        point = point << 6 | (next & 0x3f);
      }
      constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
      if (point < kLeast[size] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) return false;
      at += size;
    }
    return true;
  };
  const std::string edges(
      "\x00\x41\x7f\x80\x8f\x90\x9f\xa0\xbf\xc0\xc1\xc2\xdf\xe0\xe1\xec\xed\xee\xef\xf0\xf1\xf3\xf4\xf5\xff",
      25);
  for (const char a : edges) {
    for (const char b : edges) {
      for (const char c : edges) {
        for (const char d : edges) {
          const std::string text{a, b, c, d};
          Utf8Check check;
          ASSERT_EQ(check.Take(text) && check.whole(), valid(text));
        }
      }
    }
  }
}

TEST_F(WebSocketTest, TakesTextThatIsCutWithinACharacter) {
  std::string bytes;
  std::vector<std::string> texts;
  for (size_t i = 0; i <= kCharacters.size(); ++i) {
    bytes += Frame(0x01, kCharacters.substr(0, i)) + Frame(kPing, "") + Frame(0x80, kCharacters.substr(i));
    texts.push_back(kCharacters);
  }
  ExpectTexts(bytes, texts);
}

TEST_F(WebSocketTest, RefusesTextThatIsNotUtf8) {
  for (const std::string& wrong : kNotUtf8) {
    ExpectClose(Frame(kText, "plain " + wrong), close_code::kInvalidText);
    for (size_t i = 1; i < wrong.size(); ++i) {
      ExpectClose(Frame(0x01, "plain " + wrong.substr(0, i)) + Frame(0x80, wrong.substr(i)),
                  close_code::kInvalidText);
    }
  }
  ExpectClose(Frame(0x01, "\xe2\x82") + Frame(0x80, ""), close_code::kInvalidText);
}

TEST_F(WebSocketTest, RefusesTextAtTheFirstWrongByte) {
  ExpectClose(Frame(0x01, "wrong \xed\xa0"), close_code::kInvalidText);     // no last fragment
  ExpectClose(Head(kText, 1000) + "wrong \xff", close_code::kInvalidText);  // no rest of the frame
  ExpectClose(Frame(0x01, "\xf4") + Head(0x80, 1000) + "\x90", close_code::kInvalidText);  // beyond U+10FFFF
}

// ------------------------------------------------------------------------------------------------ cuts

std::string OneOfEverything(std::vector<std::string>& texts, std::vector<ServerFrame>& answers) {
  texts = {"hello", "", kCharacters, std::string(300, 'x'), std::string(70'000, 'y')};
  answers = {{kPong, "ping"}, {kPong, ""}, {kClose, ClosePayload(1000, "")}};
  return Frame(kText, texts[0]) + Frame(kPing, "ping") + Frame(kText, "") +
         Frame(0x01, kCharacters.substr(0, 5)) + Frame(kPing, "") + Frame(0x00, kCharacters.substr(5, 9)) +
         Frame(kPong, "pong") + Frame(0x80, kCharacters.substr(14)) + Frame(kText, texts[3]) +
         Frame(kText, texts[4]) + CloseFrame(1000, "bye");
}

TEST_F(WebSocketTest, TakesItsInputHoweverItIsCut) {
  std::vector<std::string> texts;
  std::vector<ServerFrame> answers;
  const std::string bytes = OneOfEverything(texts, answers);
  const auto seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int round = 0; round < 20; ++round) {
    Talk& talk = Connect();
    uint64_t sent = 0;
    while (sent < bytes.size()) {
      const size_t most = round == 0 && sent < 800 ? 1 : 1 + random() % (round % 2 == 0 ? 20'000 : 500);
      const size_t piece = std::min(most, bytes.size() - sent);
      client->Send(std::string_view(bytes).substr(sent, piece));
      sent += piece;
      ASSERT_TRUE(Until([&] { return !talk.socket || talk.socket->counts().received_bytes == sent; }));
    }
    ASSERT_TRUE(Until([&] { return client->ended(); }));
    EXPECT_EQ(talk.texts, texts);
    EXPECT_EQ(Frames(), answers);
    client->Close();
    ASSERT_TRUE(Until([&] { return talk.end.has_value(); }));
    EXPECT_EQ(talk.end->code, 1000);
    EXPECT_EQ(talk.end->reason, "bye");
    EXPECT_TRUE(talk.end->by_peer);
  }
}

// ------------------------------------------------------------------------------------------------ the close

TEST_F(WebSocketTest, AnswersACloseWithItsCode) {
  for (const int number :
       {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999}) {
    SCOPED_TRACE(number);
    const auto code = static_cast<uint16_t>(number);
    ExpectClose(CloseFrame(code, "reason"), code, true);
    EXPECT_EQ(talks.back()->end->code, code);
    EXPECT_EQ(talks.back()->end->reason, "reason");
  }
  ExpectClose(Frame(kClose, ""), close_code::kNone, true);
  EXPECT_EQ(talks.back()->end->code, close_code::kNone);
  ExpectClose(CloseFrame(1000, std::string(123, 'r')), 1000, true);
}

TEST_F(WebSocketTest, AnswersWhatCameBeforeTheEnd) {
  for (const auto& [last, code] : {std::pair(CloseFrame(1001), close_code::kGoingAway),
                                   std::pair(Head(0xc1, 0), close_code::kProtocolError)}) {
    Talk& talk = Connect();
    talk.answers_at_once = false;
    client->Send(Frame(kText, "call") + last + Frame(kPing, "too late"));
    ASSERT_TRUE(Until([&] { return talk.last; }));
    EXPECT_EQ(talk.texts, std::vector<std::string>{"call"});
    EXPECT_FALSE(talk.socket->open());
    talk.socket->Queue("answer");
    EXPECT_EQ(talk.socket->Send(), WebSocket::Sent::kAll);
    talk.socket->Queue("another");
    talk.socket->Answered();
    talk.socket->Queue("dropped");
    (void)talk.socket->Send();
    ASSERT_TRUE(Until([&] { return client->ended(); }));
    const auto frames = Frames();
    ASSERT_EQ(frames.size(), 3U);
    EXPECT_EQ(frames[0], (ServerFrame{kText, "answer"}));
    EXPECT_EQ(frames[1], (ServerFrame{kText, "another"}));
    EXPECT_EQ(CodeOf(frames[2]), code);
    client.reset();
    ASSERT_TRUE(Until([&] { return talk.end.has_value(); }));
    EXPECT_EQ(talk.end->code, code);
  }
}

TEST_F(WebSocketTest, AnOwnerThatClosesNeedNotAnswer) {
  Talk& talk = Connect();
  talk.answers_at_once = false;
  client->Send(CloseFrame(1000));
  ASSERT_TRUE(Until([&] { return talk.last; }));
  talk.socket->Close(close_code::kGoingAway, "shutdown");
  ASSERT_TRUE(Until([&] { return client->ended(); }));
  ASSERT_EQ(Frames().size(), 1U);
  EXPECT_EQ(CodeOf(Frames()[0]), close_code::kNormal);
}

TEST_F(WebSocketTest, RefusesInvalidCloseFrames) {
  for (const int number : {0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535}) {
    SCOPED_TRACE(number);
    ExpectClose(CloseFrame(static_cast<uint16_t>(number)), close_code::kProtocolError);
  }
  ExpectClose(Frame(kClose, "\x03"), close_code::kProtocolError);
  ExpectClose(CloseFrame(1000, "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80"),
              close_code::kInvalidText);
  ExpectClose(CloseFrame(1000, "cut \xe2\x82"), close_code::kInvalidText);
}

TEST_F(WebSocketTest, DropsEverythingAfterACloseFrame) {
  Talk& talk = Connect();
  client->Send(CloseFrame(1000) + Frame(kText, "late") + Frame(kPing, "late") + "no frame at all");
  ASSERT_TRUE(Until([&] { return client->ended(); }));
  client->Send(std::string(100'000, 'x'));  // it still sends, and must get the close frame all the same
  EXPECT_EQ(Frames(), (std::vector<ServerFrame>{{kClose, ClosePayload(1000, "")}}));
  client->Close();
  ASSERT_TRUE(Until([&] { return talk.end.has_value(); }));
  EXPECT_TRUE(talk.texts.empty());
}

TEST_F(WebSocketTest, ClosesAndWaitsForThePeer) {
  Talk& talk = Connect();
  talk.socket->Queue("last words");
  talk.socket->Close(4000, "enough");
  talk.socket->Close(4001, "only the first counts");
  talk.socket->Queue("too late");
  EXPECT_EQ(talk.socket->Send("nor this"), WebSocket::Sent::kGone);
  ASSERT_TRUE(Until([&] { return Frames().size() == 2; }));
  client->Send(Frame(kPing, "no answer") + Frame(kText, "dropped"));
  ASSERT_TRUE(Until([&] { return talk.socket->counts().received_bytes > 20; }));
  EXPECT_FALSE(client->ended());
  client->Send(CloseFrame(4000));
  ASSERT_TRUE(Until([&] { return client->ended(); }));
  EXPECT_EQ(Frames(),
            (std::vector<ServerFrame>{{kText, "last words"}, {kClose, ClosePayload(4000, "enough")}}));
  client->Close();
  ASSERT_TRUE(Until([&] { return talk.end.has_value(); }));
  EXPECT_EQ(talk.end->code, 4000);
  EXPECT_EQ(talk.end->reason, "enough");
  EXPECT_FALSE(talk.end->by_peer);
  EXPECT_TRUE(talk.texts.empty());
}

TEST_F(WebSocketTest, ACloseWithoutASendLeavesByItself) {
  Talk& talk = Connect();
  talk.socket->Queue("queued");
  talk.socket->Close(1001, std::string(200, 'r') + "\xc3\xa4");
  ASSERT_TRUE(Until([&] { return Frames().size() == 2; }));
  EXPECT_EQ(Frames()[1].payload, ClosePayload(1001, std::string(123, 'r')));
}

TEST(ClosePayloadTest, CutsAReasonBetweenCharacters) {
  EXPECT_EQ(ClosePayload(1000, std::string(122, 'r') + "\xc3\xa4"),
            ClosePayload(1000, std::string(122, 'r')));
  EXPECT_EQ(ClosePayload(1000, std::string(121, 'r') + "\xc3\xa4").size(), 125u);
  EXPECT_EQ(ClosePayload(close_code::kNone, "ignored"), "");
}

TEST_F(WebSocketTest, ClosesBehindBytesThatThePeerDoesNotRead) {
  Talk& talk = ConnectSlow();
  const size_t count = Fill(talk);
  EXPECT_GT(talk.socket->unsent(), 0u);
  talk.socket->Queue("answer");
  talk.socket->Close(1000, "");
  polling = true;
  ASSERT_TRUE(Until([&] { return Frames().size() == count + 2; }));
  EXPECT_EQ(Frames()[count], (ServerFrame{kText, "answer"}));
  EXPECT_EQ(CodeOf(Frames().back()), 1000);
  client->Send(CloseFrame(1000));
  ASSERT_TRUE(Until([&] { return client->ended(); }));
}

TEST_F(WebSocketTest, ACloseOfThePeerWaitsForNothingButTheBytesBeforeIt) {
  Talk& talk = ConnectSlow();
  const size_t count = Fill(talk);
  client->Send(CloseFrame(1001));
  ASSERT_TRUE(Until([&] { return talk.socket->Send() == WebSocket::Sent::kGone; }));
  polling = true;
  ASSERT_TRUE(Until([&] { return client->ended(); }));
  EXPECT_EQ(Frames().size(), count + 1);
  EXPECT_EQ(CodeOf(Frames().back()), 1001);
}

TEST_F(WebSocketTest, ACloseThatNobodyAnswersEnds) {
  Talk& talk = Connect();
  talk.socket->Close(1001, "");
  ASSERT_TRUE(Until([&] { return Frames().size() == 1; }));
  int64_t now = 1000;
  talk.socket->CheckTime(now);
  talk.socket->CheckTime(now += WebSocket::kCloseMs - 1);
  for (int i = 0; i < 20; ++i) loop.RunOnce(false);
  EXPECT_FALSE(talk.end);
  talk.socket->CheckTime(now += 1);
  ASSERT_TRUE(Until([&] { return talk.end.has_value(); }));
  EXPECT_EQ(talk.end->code, 1001);
  EXPECT_TRUE(Until([&] { return client->ended(); }));
}

TEST_F(WebSocketTest, APeerThatNeverClosesIsDroppedInTheEnd) {
  Talk& talk = Connect();
  client->Send(CloseFrame(1000));
  ASSERT_TRUE(Until([&] { return client->ended(); }));  // our half
  talk.socket->CheckTime(0);
  EXPECT_FALSE(talk.end);
  talk.socket->CheckTime(WebSocket::kLingerMs);
  ASSERT_TRUE(Until([&] { return talk.end.has_value(); }));
}

TEST_F(WebSocketTest, APeerThatSendsOnAfterTheEndIsDropped) {
  Talk& talk = Connect();
  client->Send(CloseFrame(1000));
  // Some of these may be dropped before the end is sent, and do not count.
  ASSERT_TRUE(Until([&] {
    if (!talk.end && client->unsent() == 0) client->Send(std::string(100'000, 'x'));
    return talk.end.has_value();
  }));
  EXPECT_EQ(talk.end->code, 1000);
}

TEST_F(WebSocketTest, DropEndsAtOnceAndOnlyOnce) {
  Talk& talk = Connect();
  talk.socket->Queue("never sent");
  talk.socket->Drop();
  talk.socket->Drop();
  talk.socket->Close(1000, "");
  EXPECT_EQ(talk.socket->Send(), WebSocket::Sent::kGone);
  EXPECT_FALSE(talk.end);  // the owner is on the stack
  ASSERT_TRUE(Until([&] { return talk.end.has_value(); }));
  EXPECT_EQ(talk.end->code, close_code::kAbnormal);
  EXPECT_FALSE(talk.end->by_peer);
  ASSERT_TRUE(Until([&] { return client->ended() || client->reset(); }));
  EXPECT_TRUE(Frames().empty());
}

TEST_F(WebSocketTest, TheOwnerMayEndItWithinItsFunctions) {
  for (const bool drop : {false, true}) {
    Talk& talk = Connect();
    talk.on_text = [&](std::string_view) {
      talk.socket->Queue("answer");
      drop ? talk.socket->Drop() : talk.socket->Close(1008, "policy");
    };
    client->Send(Frame(kText, "one") + Frame(kText, "two") + Frame(kPing, "") + Frame(0x83, "wrong"));
    ASSERT_TRUE(Until([&] { return client->ended() || client->reset(); }));
    client->Close();
    ASSERT_TRUE(Until([&] { return talk.end.has_value(); }));
    EXPECT_EQ(talk.texts.size(), 1u);
    EXPECT_EQ(talk.end->code, drop ? close_code::kAbnormal : 1008);
  }
}

// ------------------------------------------------------------------------------------------------ sending

TEST_F(WebSocketTest, SendsNothingOfTheOwnerBeforeItsSend) {
  Talk& talk = Connect();
  talk.on_text = [&](std::string_view) { talk.socket->Queue("answer"); };
  client->Send(Frame(kText, "question") + Frame(kPing, "1"));
  ASSERT_TRUE(Until([&] { return talk.texts.size() == 1; }));
  talk.socket->CheckTime(0);
  talk.socket->CheckTime(limits.ping_ms);  // nor with a ping of its own
  client->Send(Frame(kPing, "2"));
  const uint64_t sent = talk.socket->counts().sent_bytes;
  ASSERT_TRUE(Until([&] { return talk.socket->counts().received_bytes > 20; }));
  EXPECT_EQ(talk.socket->counts().sent_bytes, sent);
  EXPECT_EQ(talk.socket->Send(), WebSocket::Sent::kAll);
  ASSERT_TRUE(Until([&] { return Frames().size() >= 3; }));
  EXPECT_EQ(Frames(), (std::vector<ServerFrame>{{kText, "answer"}, {kPong, "1"}, {kPong, "2"}}));
}

TEST_F(WebSocketTest, ASlowReaderGetsEverything) {
  Talk& talk = ConnectSlow();
  size_t count = Fill(talk);
  EXPECT_GT(talk.socket->unsent(), 0u);
  talk.on_writable = [&] {
    if (count < 500) count += Fill(talk);
    (void)talk.socket->Send();
  };
  polling = true;
  ASSERT_TRUE(Until([&] { return count >= 500 && talk.socket->unsent() == 0; }));
  ASSERT_TRUE(Until([&] { return client->received().size() >= HeadEnd() + count * 10'004; }));
  const auto frames = Frames();
  ASSERT_EQ(frames.size(), count);
  EXPECT_GT(talk.writable, 0);
  EXPECT_TRUE(std::all_of(frames.begin(), frames.end(), [](const auto& frame) {
    return frame.first == kText && frame.payload == std::string(10'000, frame.payload[0]);
  }));
}

TEST_F(WebSocketTest, PingsAtIntervals) {
  Talk& talk = Connect();
  for (const int64_t now : {100, 1000, 20'099}) talk.socket->CheckTime(now);
  EXPECT_EQ(talk.socket->unsent(), 0u);
  talk.socket->CheckTime(20'100);
  ASSERT_TRUE(Until([&] { return Frames().size() == 1; }));
  client->Send(Frame(kPong, ""));
  talk.socket->CheckTime(40'099);
  talk.socket->CheckTime(40'100);
  ASSERT_TRUE(Until([&] { return Frames().size() == 2; }));
  EXPECT_EQ(Frames(), (std::vector<ServerFrame>{{kPing, ""}, {kPing, ""}}));
}

TEST_F(WebSocketTest, APeerThatReadsNothingIsDead) {
  Talk& talk = ConnectSlow();
  (void)Fill(talk);
  int64_t now = 0;
  talk.socket->CheckTime(now);
  ASSERT_TRUE(Until([&] {
    const uint64_t before = Taken(talk);
    (void)talk.socket->Send();
    return Taken(talk) == before && Confirmed(talk);
  }));
  talk.socket->CheckTime(now);
  talk.socket->CheckTime(now += limits.write_ms - 1);
  for (int i = 0; i < 20; ++i) loop.RunOnce(false);
  EXPECT_FALSE(talk.end);
  talk.socket->CheckTime(now += 1);
  ASSERT_TRUE(Until([&] { return talk.end.has_value(); }));
  EXPECT_EQ(talk.end->code, close_code::kInternalError);
  EXPECT_FALSE(talk.end->by_peer);
}

TEST_F(WebSocketTest, APeerThatReadsSlowlyIsAlive) {
  Talk& talk = ConnectSlow();
  (void)Fill(talk);
  (void)Fill(talk);
  char some[8192];
  for (int64_t now = 0; now < 300'000; now += 10'000) {
    ASSERT_TRUE(talk.socket);
    talk.socket->CheckTime(now);
    const uint64_t before = Taken(talk);
    ASSERT_TRUE(Until([&] {
      (void)!recv(client->fd(), some, sizeof some, 0);
      return Taken(talk) > before;
    }));
    (void)talk.socket->Send();
    if (talk.socket->unsent() == 0) (void)Fill(talk);
  }
  EXPECT_FALSE(talk.end);
  Reset();
}

// The kernel has all bytes, and the peer's machine is there.
TEST_F(WebSocketTest, APeerThatPausesIsAliveWhileNothingWaits) {
  Talk& talk = ConnectSlow();
  std::string frame;
  AppendTextFrameHead(frame, 100'000);
  frame.append(100'000, 'x');
  ASSERT_EQ(talk.socket->Send(frame), WebSocket::Sent::kAll);
  ASSERT_TRUE(Until([&] { return Confirmed(talk); }));
  for (int64_t now = 0; now < 200'000; now += 10'000) talk.socket->CheckTime(now);
  for (int i = 0; i < 20; ++i) loop.RunOnce(false);
  EXPECT_FALSE(talk.end);
}

// A filter that drops every packet takes the part of a machine that lost its network.
TEST_F(WebSocketTest, AMessageMustNotTakeForEver) {
  limits.message_ms = 1'000;
  Talk& talk = Connect(Frame(0x01, "half"));
  client->Send(Frame(0x00, "more"));
  ASSERT_TRUE(Until([&] { return talk.socket->counts().received_bytes >= Frame(0x00, "more").size(); }));
  for (int64_t now_ms = 0; now_ms < 1'000; now_ms += 100) talk.socket->CheckTime(now_ms);
  EXPECT_FALSE(client->ended());
  talk.socket->CheckTime(1'000);
  ASSERT_TRUE(Until([&] { return !Frames().empty() && Frames().back().first == kClose; }));
  EXPECT_EQ(CodeOf(Frames().back()), close_code::kPolicy);
}

TEST_F(WebSocketTest, AMachineThatHasVanishedIsDead) {
  Talk& talk = Connect();
  sock_filter drop_all[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
  const sock_fprog program{1, drop_all};
  ASSERT_EQ(setsockopt(client->fd(), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program), 0);
  talk.socket->CheckTime(0);
  for (const int64_t now : {20'000, 21'000, 50'999})
    talk.socket->CheckTime(now);  // a ping, which nobody confirms
  for (int i = 0; i < 20; ++i) loop.RunOnce(false);
  EXPECT_FALSE(talk.end);
  talk.socket->CheckTime(51'000);
  ASSERT_TRUE(Until([&] { return talk.end.has_value(); }));
  EXPECT_EQ(talk.end->code, close_code::kInternalError);
}

TEST_F(WebSocketTest, AFloodOfPingsFillsNoMemory) {
  Talk& talk = ConnectSlow();
  std::string pings;
  for (int i = 0; i < 500; ++i) pings += Frame(kPing, std::string(125, 'p'));
  const size_t most = (WebSocket::kMaxPongs + 1) * 127;
  bool blocked = false;
  for (int round = 0; round < 1000 && !(blocked && round % 50 == 0); ++round) {
    client->Send(pings);
    const uint64_t before = talk.socket->counts().received_bytes;
    ASSERT_TRUE(RunUntil(loop, [&] {
      client->Send("");
      return client->unsent() == 0 && talk.socket->counts().received_bytes > before;
    }));
    EXPECT_LE(talk.socket->unsent(), most);
    blocked = blocked || talk.socket->unsent() > 0;
  }
  ASSERT_TRUE(blocked);
  client->Send(Frame(kPing, "last"));
  polling = true;
  ASSERT_TRUE(Until([&] { return client->received().ends_with(std::string("\x8a\x04last", 6)); }));
}

// ------------------------------------------------------------------------------------------------ reading

TEST_F(WebSocketTest, ReadsNothingWhileItMustNot) {
  Talk& talk = Connect();
  talk.socket->SetReading(false);
  const std::string frame = Frame(kText, std::string(1000, 'x'));
  for (int i = 0; i < 1000; ++i) client->Send(frame);
  for (int i = 0; i < 50; ++i) loop.RunOnce(false);
  EXPECT_TRUE(talk.texts.empty());
  EXPECT_EQ(talk.socket->counts().received_bytes, 0u);
  talk.socket->SetReading(true);
  ASSERT_TRUE(Until([&] { return !talk.texts.empty(); }));
  EXPECT_LE(talk.socket->counts().received_bytes, WebSocket::kReadBytes);
  ASSERT_TRUE(Until([&] { return talk.texts.size() == 1000; }));
}

TEST_F(WebSocketTest, NoticesABrokenPeerWhileItReadsNothing) {
  Talk& talk = Connect();
  talk.socket->SetReading(false);
  Reset();
  ASSERT_TRUE(Until([&] { return talk.end.has_value(); }));
  EXPECT_EQ(talk.end->code, close_code::kAbnormal);
}

TEST_F(WebSocketTest, ReadsWhatAPeerSentBeforeItLeft) {
  Talk& talk = Connect();
  talk.socket->SetReading(false);
  client->Send(Frame(kText, "the last") + CloseFrame(1001));
  client->Close();
  for (int i = 0; i < 50; ++i) loop.RunOnce(false);
  EXPECT_FALSE(talk.end);
  talk.socket->SetReading(true);
  ASSERT_TRUE(Until([&] { return talk.end.has_value(); }));
  EXPECT_EQ(talk.texts, std::vector<std::string>{"the last"});
  EXPECT_EQ(talk.end->code, 1001);
}

// ------------------------------------------------------------------------------------------------ ends

TEST_F(WebSocketTest, APeerMayGoAtAnyStep) {
  const std::string whole = kHandshake + Frame(kText, "one") + Frame(0x01, "tw") + Frame(kPing, "p") +
                            Frame(0x80, "o") + CloseFrame(1000, "bye");
  const size_t descriptors = OpenDescriptors();
  for (const bool reset : {false, true}) {
    for (size_t size = sizeof kHandshake - 3; size <= whole.size(); ++size) {
      const size_t before = talks.size();
      client = std::make_unique<RawClient>(address);
      client->Send(whole.substr(0, size));
      const bool upgraded = size >= sizeof kHandshake - 1;
      if (size % 2 == 0 && upgraded) {
        ASSERT_TRUE(Until([&] { return !client->received().empty(); }));
      }
      reset ? Reset() : client->Close();
      if (upgraded) {
        ASSERT_TRUE(Until([&] { return talks.size() > before || reset; }));
      }
      client.reset();
      ASSERT_TRUE(Until([&] {
        return OpenDescriptors() == descriptors &&
               std::all_of(talks.begin(), talks.end(),
                           [](const auto& talk) { return talk->end.has_value(); });
      })) << size;
    }
  }
}

TEST_F(WebSocketTest, APeerMayGoWhileBytesWait) {
  for (const bool reset : {false, true}) {
    for (const bool closing : {false, true}) {
      Talk& talk = ConnectSlow();
      (void)Fill(talk);
      if (closing) talk.socket->Close(1001, "");
      reset ? Reset() : client->Close();
      ASSERT_TRUE(Until([&] { return talk.end.has_value(); }));
      EXPECT_EQ(talk.end->code, closing ? 1001 : close_code::kAbnormal);
      polling = true;
    }
  }
}

TEST_F(WebSocketTest, ASendToAPeerThatHasGoneEnds) {
  Talk& talk = Connect();
  Reset();
  WebSocket::Sent sent{};
  ASSERT_TRUE(RunUntil(loop, [&] {
    sent = talk.socket ? talk.socket->Send("\x81\x01x") : WebSocket::Sent::kGone;
    return sent == WebSocket::Sent::kGone;
  }));
  ASSERT_TRUE(Until([&] { return talk.end.has_value(); }));
}

TEST_F(WebSocketTest, GivesNoSocketOfAClientThatHasGone) {
  std::optional<Reply> kept;
  Server later(loop, {}, [&](const Request&, Reply reply) { kept.emplace(std::move(reply)); });
  auto listening = later.Listen("tcp://127.0.0.1:0");
  ASSERT_TRUE(listening.ok());
  RawClient gone(*listening);
  gone.Send(kHandshake);
  ASSERT_TRUE(Until([&] { return kept.has_value(); }));
  kept->OnGone([] {});
  gone.Close();
  ASSERT_TRUE(Until([&] { return kept->gone(); }));
  EXPECT_EQ(kept->TakeSocket().socket, nullptr);
}

TEST_F(WebSocketTest, WorksOverAUnixSocket) {
  TempDir dir;
  auto listening = server->Listen("unix://" + dir.path() + "/socket");
  ASSERT_TRUE(listening.ok());
  address = *listening;
  Talk& talk = Connect();
  client->Send(Frame(kText, "hello"));
  ASSERT_TRUE(Until([&] { return talk.texts.size() == 1; }));
  talk.socket->Queue("world");
  EXPECT_EQ(talk.socket->Send(), WebSocket::Sent::kAll);
  ASSERT_TRUE(Until([&] { return Frames() == std::vector<ServerFrame>{{kText, "world"}}; }));
  for (int64_t now = 0; now < 100'000; now += 1000) talk.socket->CheckTime(now);
  EXPECT_FALSE(talk.end);
}

}  // namespace
}  // namespace reeve
