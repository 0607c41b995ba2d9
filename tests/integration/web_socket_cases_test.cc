// RFC 6455 against GET /ws, in cases that are ordered as those of the Autobahn test suite. Where its server
// echoes a message, the daemon answers it: here with a parse error, and the connection continues.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <initializer_list>
#include <string>
#include <vector>

#include "process/fd.h"
#include "tests/support/daemon.h"

namespace reeve {
namespace {

using Strings = std::vector<std::string>;

// First bytes of frames.
constexpr int kFin = 0x80;
constexpr int kContinuation = 0x00;
constexpr int kText = 0x01;
constexpr int kBinary = 0x02;
constexpr int kClose = 0x08;
constexpr int kPing = 0x09;
constexpr int kPong = 0x0a;

std::string Frame(int first, std::string_view payload = "") {
  std::string frame(1, static_cast<char>(first));
  if (payload.size() < 126) {
    frame += static_cast<char>(0x80 | payload.size());
  } else {
    const int bytes = payload.size() <= 0xffff ? 2 : 8;
    frame += static_cast<char>(0x80 | (bytes == 2 ? 126 : 127));
    for (int i = bytes - 1; i >= 0; --i) frame += static_cast<char>(payload.size() >> (8 * i));
  }
  constexpr std::string_view kMask = "\x37\xfa\x21\x3d";
  frame += kMask;
  for (size_t i = 0; i < payload.size(); ++i) frame += static_cast<char>(payload[i] ^ kMask[i % 4]);
  return frame;
}

std::string Text(std::string_view payload) { return Frame(kFin | kText, payload); }
std::string Close(int code, std::string_view reason = "") {
  return Frame(kFin | kClose,
               std::string{static_cast<char>(code >> 8), static_cast<char>(code)}.append(reason));
}

// The text in frames of `size` bytes.
Strings Fragments(std::string_view text, size_t size, int opcode = kText) {
  Strings frames;
  for (size_t at = 0; at < text.size(); at += size) {
    const bool last = at + size >= text.size();
    frames.push_back(Frame((last ? kFin : 0) | (at == 0 ? opcode : kContinuation), text.substr(at, size)));
  }
  return frames;
}

std::string Join(const Strings& frames) {
  std::string all;
  for (const std::string& frame : frames) all += frame;
  return all;
}

// The bytes in pieces of `size` bytes.
Strings Chop(std::string_view bytes, size_t size) {
  Strings pieces;
  for (; !bytes.empty(); bytes.remove_prefix(std::min(size, bytes.size())))
    pieces.emplace_back(bytes.substr(0, size));
  return pieces;
}

constexpr int kGoesOn = 0;   // the daemon does not close
constexpr int kNoCode = -1;  // its close frame has no code

struct Case {
  std::string name;
  Strings pieces;      // written one after the other
  size_t answers = 0;  // to text messages
  Strings pongs = {};
  int close = kGoesOn;  // the code of the daemon's close frame
};

// A client that only reads whole frames of the daemon.
class Peer {
 public:
  explicit Peer(const Daemon& daemon) : socket_(ConnectTo(daemon.address())) {
    const int on = 1;
    setsockopt(socket_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    Send(
        "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer " +
        daemon.token() + "\r\n\r\n");
    Until([this] { return ready_; });
  }

  void Send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent < 0) return;  // the daemon has closed, as the frames before say
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
  }
  template <typename Condition>
  bool Until(Condition condition) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(kPatienceMs);
    while (!condition()) {
      if (ended || std::chrono::steady_clock::now() > deadline) return false;
      pollfd readable{socket_.get(), POLLIN, 0};
      if (poll(&readable, 1, 100) > 0) Read();
    }
    return true;
  }

  size_t answers = 0;
  Strings pongs;
  int close = kGoesOn;
  size_t after_close = 0;  // frames
  bool ended = false;      // the daemon has closed the connection

 private:
  void Read() {
    char bytes[65'536];
    const ssize_t got = recv(socket_.get(), bytes, sizeof bytes, 0);
    if (got <= 0) ended = true;
    received_.append(bytes, static_cast<size_t>(std::max<ssize_t>(got, 0)));
    const size_t head = received_.find("\r\n\r\n");
    if (!upgraded_ && head != std::string::npos) {
      EXPECT_EQ(received_.substr(0, 12), "HTTP/1.1 101");
      received_.erase(0, head + 4);
      upgraded_ = true;
    }
    while (upgraded_ && TakeFrame()) {
    }
  }
  bool TakeFrame() {
    const auto byte = [this](size_t at) { return static_cast<unsigned char>(received_[at]); };
    if (received_.size() < 4 && !(received_.size() >= 2 && byte(1) < 126)) return false;
    const size_t head = byte(1) < 126 ? 2 : 4;
    const size_t size = head == 2 ? byte(1) : static_cast<size_t>(byte(2) << 8 | byte(3));
    if (received_.size() < head + size) return false;
    const int first = byte(0);
    const std::string payload = received_.substr(head, size);
    received_.erase(0, head + size);
    if (close != kGoesOn) ++after_close;
    switch (first) {
      case kFin | kText:
        ready_ = ready_ || payload.find("\"gateway.ready\"") != std::string::npos;
        answers += payload.find("-32700") != std::string::npos ? 1 : 0;
        break;
      case kFin | kPong:
        pongs.push_back(payload);
        break;
      case kFin | kClose:
        close = payload.size() < 2
                    ? kNoCode
                    : static_cast<unsigned char>(payload[0]) << 8 | static_cast<unsigned char>(payload[1]);
        break;
      default:
        ADD_FAILURE() << "a frame of the daemon begins with " << first;
    }
    return true;
  }

  Fd socket_;
  std::string received_;
  bool upgraded_ = false;
  bool ready_ = false;
};

void Run(const Daemon& daemon, const Case& one) {
  SCOPED_TRACE(one.name);
  Peer peer(daemon);
  for (const std::string& piece : one.pieces) peer.Send(piece);
  if (one.close == kGoesOn) {
    EXPECT_TRUE(
        peer.Until([&] { return peer.answers >= one.answers && peer.pongs.size() >= one.pongs.size(); }));
    peer.Send(Close(1000));
  }
  EXPECT_TRUE(peer.Until([&] { return peer.ended; }));
  EXPECT_EQ(peer.close, one.close == kGoesOn ? 1000 : one.close);
  EXPECT_EQ(peer.answers, one.answers);
  EXPECT_EQ(peer.pongs, one.pongs);
  EXPECT_EQ(peer.after_close, 0U);
}

void RunAll(const std::vector<Case>& cases) {
  Daemon daemon;
  for (const Case& one : cases) Run(daemon, one);
}

// The same frames in one write, in a write for each, and byte by byte.
std::vector<Case> Chopped(const Case& one) {
  std::vector<Case> cases = {one, one, one};
  cases[0].name += ", at once";
  cases[0].pieces = {Join(one.pieces)};
  cases[1].name += ", frame by frame";
  cases[2].name += ", byte by byte";
  cases[2].pieces = Chop(Join(one.pieces), 1);
  return cases;
}

void AddChopped(std::vector<Case>& cases, const Case& one) {
  for (Case& chopped : Chopped(one)) cases.push_back(std::move(chopped));
}

std::string Bytes(size_t size) {
  std::string bytes;
  while (bytes.size() < size) bytes += "BAsd7&jh23";
  bytes.resize(size);
  return bytes;
}

TEST(WebSocketCases, Framing) {
  std::vector<Case> cases;
  for (const size_t size : std::initializer_list<size_t>{0, 125, 126, 127, 128, 65'535, 65'536}) {
    cases.push_back({"1.1: a text of " + std::to_string(size), {Text(Bytes(size))}, 1});
    cases.push_back({"1.1: in pieces, " + std::to_string(size), Chop(Text(Bytes(size)), 997), 1});
    cases.push_back(
        {"1.2: binary, " + std::to_string(size), {Frame(kFin | kBinary, Bytes(size))}, 0, {}, 1003});
  }
  RunAll(cases);
}

TEST(WebSocketCases, PingsAndPongs) {
  std::vector<Case> cases;
  const std::string binary("\x00\xff\xfe\xfd\xfc\xfb\x00\xff", 8);
  for (const std::string& payload : {std::string(), std::string("Hello, world!"), binary, Bytes(125)})
    AddChopped(cases, {"2.1 to 2.4, 2.6: a ping", {Frame(kFin | kPing, payload)}, 0, {payload}});
  AddChopped(cases, {"2.5: a ping of 126", {Frame(kFin | kPing, Bytes(126))}, 0, {}, 1002});
  AddChopped(cases, {"2.7: a pong", {Frame(kFin | kPong)}});
  AddChopped(cases, {"2.8: a pong with a payload", {Frame(kFin | kPong, "unsolicited")}});
  AddChopped(cases, {"2.9: a pong, then a ping",
                     {Frame(kFin | kPong, "unsolicited"), Frame(kFin | kPing, "ping")},
                     0,
                     {"ping"}});
  Case ten{"2.10, 2.11: ten pings", {}};
  for (int i = 0; i < 10; ++i) {
    ten.pongs.push_back("payload-" + std::to_string(i));
    ten.pieces.push_back(Frame(kFin | kPing, ten.pongs.back()));
  }
  AddChopped(cases, ten);
  RunAll(cases);
}

// Each after a message, whose answer still comes, and before a ping, which has no pong.
TEST(WebSocketCases, ReservedBitsAndOpcodes) {
  std::vector<Case> cases;
  const auto refused = [&cases](const std::string& name, const std::string& frame) {
    AddChopped(cases, {name + " alone", {frame}, 0, {}, 1002});
    AddChopped(cases, {name + " after a message", {Text("small"), frame, Frame(kFin | kPing)}, 1, {}, 1002});
  };
  for (int bits = 1; bits <= 7; ++bits) {
    for (const int opcode : {kText, kBinary, kClose, kPing, kPong})
      refused("3: reserved bits", Frame(kFin | bits << 4 | opcode, opcode == kClose ? "\x03\xe8" : "x"));
  }
  for (const int opcode : {3, 4, 5, 6, 7, 11, 12, 13, 14, 15}) {
    refused("4: opcode " + std::to_string(opcode), Frame(kFin | opcode));
    refused("4: opcode with a payload " + std::to_string(opcode), Frame(kFin | opcode, "reserved"));
  }
  RunAll(cases);
}

TEST(WebSocketCases, Fragmentation) {
  std::vector<Case> cases;
  const std::string first = Frame(kText, "fragment1");
  const std::string last = Frame(kFin | kContinuation, "fragment2");
  const std::string ping = Frame(kFin | kPing, "ping");
  AddChopped(cases, {"5.1", {Frame(kPing, "x"), Frame(kFin | kContinuation, "y")}, 0, {}, 1002});
  AddChopped(cases, {"5.2", {Frame(kPong, "x"), Frame(kFin | kContinuation, "y")}, 0, {}, 1002});
  AddChopped(cases, {"5.3 to 5.5", {first, last}, 1});
  AddChopped(cases, {"5.6 to 5.8", {first, ping, last}, 1, {"ping"}});
  for (const int head : {kFin | kContinuation, kContinuation}) {
    AddChopped(cases, {"5.9 to 5.14", {Frame(head, "nothing to continue"), Text("x")}, 0, {}, 1002});
    AddChopped(cases, {"5.15", {first, last, Frame(head, "nothing to continue"), Text("x")}, 1, {}, 1002});
  }
  AddChopped(cases, {"5.16",
                     {Frame(kContinuation, "a"), Frame(kText, "b"), Frame(kFin | kContinuation, "c")},
                     0,
                     {},
                     1002});
  AddChopped(cases, {"5.18", {first, Text("a second message")}, 0, {}, 1002});
  AddChopped(cases, {"5.19, 5.20",
                     {first, Frame(kContinuation, "2"), Frame(kFin | kPing, "p1"), Frame(kContinuation, "3"),
                      Frame(kContinuation, "4"), Frame(kFin | kPing, "p2"), Frame(kFin | kContinuation, "5")},
                     1,
                     {"p1", "p2"}});
  AddChopped(cases, {"a fragment of a binary message", {Frame(kBinary, "x")}, 0, {}, 1003});
  RunAll(cases);
}

// Valid texts are taken however they are cut. The others fail at their first wrong byte, of which `wrong` is
// the place, without waiting for another one.
TEST(WebSocketCases, Utf8) {
  std::vector<Case> cases;
  cases.push_back({"6.1.1", {Text("")}, 1});
  AddChopped(cases, {"6.1.2", {Frame(kText), Frame(kContinuation), Frame(kFin | kContinuation)}, 1});
  AddChopped(cases, {"6.1.3", {Frame(kText), Frame(kContinuation, "x"), Frame(kFin | kContinuation)}, 1});
  const Strings valid = {
      "Hello-\xc2\xb5@\xc3\x9f\xc3\xb6\xc3\xa4\xc3\xbc\xc3\xa0\xc3\xa1-UTF-8!!",
      "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5",
      "\xf0\x9f\x98\x80",
      std::string(1, '\0'),
      "\x7f",
      "\xc2\x80",
      "\xdf\xbf",
      "\xe0\xa0\x80",
      "\xed\x9f\xbf",
      "\xee\x80\x80",
      "\xef\xbf\xbd",
      "\xef\xbf\xbe",
      "\xef\xbf\xbf",
      "\xf0\x90\x80\x80",
      "\xf0\x9f\xbf\xbe",
      "\xf4\x8f\xbf\xbe",
      "\xf4\x8f\xbf\xbf",
  };
  for (const std::string& text : valid) {
    cases.push_back({"6.2: " + text, {Text(text)}, 1});
    cases.push_back({"6.2: bytes, " + text, Chop(Text(text), 1), 1});
    cases.push_back({"6.2: fragments of 1, " + text, {Join(Fragments(text, 1))}, 1});
  }
  struct Wrong {
    std::string text;
    size_t wrong;  // bytes up to and with the first that cannot be
  };
  const std::vector<Wrong> invalid = {
      {"\x80", 1},
      {"\xbf", 1},
      {"\x80\xbf\x80", 1},
      {"\xfe", 1},
      {"\xff", 1},
      {"\xc0\xaf", 1},
      {"\xc1\xbf", 1},
      {"\xc3\x28", 2},
      {"\xe0\x80\xaf", 2},
      {"\xe0\x9f\xbf", 2},
      {"\xed\xa0\x80", 2},
      {"\xed\xad\xbf\xed\xb0\x80", 2},
      {"\xed\xbf\xbf", 2},
      {"\xf0\x80\x80\xaf", 2},
      {"\xf0\x8f\xbf\xbf", 2},
      {"\xf4\x90\x80\x80", 2},
      {"\xf5\x80\x80\x80", 1},
      {"\xf7\xbf\xbf\xbf", 1},
      {"\xf8\x88\x80\x80\x80", 1},
      {"\xfb\xbf\xbf\xbf\xbf", 1},
      {"\xfc\x84\x80\x80\x80\x80", 1},
      {"\xfd\xbf\xbf\xbf\xbf\xbf", 1},
      {"\xe2\x82\x20", 3},
      {"\xf0\x9f\x98\x20", 4},
      {"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80\x65\x64\x69\x74\x65\x64", 13},
      {"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90\x80\x80\x65\x64\x69\x74\x65\x64", 13},
  };
  for (const auto& [text, wrong] : invalid) {
    AddChopped(cases, {"6.3: " + text, {Text(text)}, 0, {}, 1007});
    AddChopped(cases, {"6.3: fragments of 1, " + text, Fragments(text, 1), 0, {}, 1007});
    // The rest of the frame, or of the message, does not come.
    const std::string frame = Text(text + "edited");
    const std::string part = frame.substr(0, 6 + wrong);
    cases.push_back({"6.4.3: " + text, {part}, 0, {}, 1007});
    cases.push_back({"6.4.4: " + text, Chop(part, 1), 0, {}, 1007});
    cases.push_back({"6.4.1: " + text, {Frame(kText, text.substr(0, wrong))}, 0, {}, 1007});
    cases.push_back(
        {"6.4.2: " + text,
         {Frame(kText, text.substr(0, wrong - 1)), Frame(kContinuation, text.substr(wrong - 1, 1))},
         0,
         {},
         1007});
  }
  for (const char* cut : {"\xc2", "\xe1\x80", "\xf0\x9f\x98", "\xf0", "\xe0"})
    AddChopped(cases, {std::string("6.6: ends early, ") + cut, {Text(std::string("x") + cut)}, 0, {}, 1007});
  RunAll(cases);
}

TEST(WebSocketCases, CloseHandshakes) {
  std::vector<Case> cases;
  AddChopped(cases, {"7.1.1", {Text("Hello World!"), Close(1000)}, 1, {}, 1000});
  AddChopped(cases, {"7.1.2", {Close(1000), Close(1000)}, 0, {}, 1000});
  AddChopped(cases, {"7.1.3", {Close(1000), Frame(kFin | kPing)}, 0, {}, 1000});
  AddChopped(cases, {"7.1.4", {Close(1000), Text("Hello World!")}, 0, {}, 1000});
  AddChopped(cases,
             {"7.1.5", {Frame(kText, "a"), Close(1000), Frame(kFin | kContinuation, "b")}, 0, {}, 1000});
  cases.push_back({"7.1.6",
                   {Text(Bytes(size_t{256} << 10)), Text("Hello World!"), Close(1000), Frame(kFin | kPing)},
                   2,
                   {},
                   1000});
  AddChopped(cases, {"a ping before", {Frame(kFin | kPing, "p"), Close(1000)}, 0, {"p"}, 1000});
  AddChopped(cases, {"7.3.1", {Frame(kFin | kClose)}, 0, {}, kNoCode});
  AddChopped(cases, {"7.3.2", {Frame(kFin | kClose, "a")}, 0, {}, 1002});
  AddChopped(cases, {"7.3.3", {Close(1000)}, 0, {}, 1000});
  AddChopped(cases, {"7.3.4", {Close(1000, "Hello World!")}, 0, {}, 1000});
  AddChopped(cases, {"7.3.5", {Close(1000, Bytes(123))}, 0, {}, 1000});
  AddChopped(cases, {"7.3.6", {Close(1000, Bytes(124))}, 0, {}, 1002});
  AddChopped(cases, {"7.5.1", {Close(1000, "\xce\xba\xed\xa0\x80")}, 0, {}, 1007});
  for (const int code :
       {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999})
    cases.push_back({"7.7: " + std::to_string(code), {Close(code)}, 0, {}, code});
  for (const int code : {0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65'535})
    cases.push_back({"7.9, 7.13: " + std::to_string(code), {Close(code)}, 0, {}, 1002});
  AddChopped(cases, {"a fragmented close", {Frame(kClose, "\x03\xe8")}, 0, {}, 1002});
  RunAll(cases);
}

TEST(WebSocketCases, Limits) {
  const size_t most = size_t{1} << 20;
  const std::string text = Bytes(most);
  std::vector<Case> cases;
  for (const size_t size : {size_t{64} << 10, size_t{256} << 10, most}) {
    cases.push_back({"9.1: " + std::to_string(size), {Text(text.substr(0, size))}, 1});
    for (const size_t part : std::initializer_list<size_t>{64, 256, 1024, 4096, 65'536})
      cases.push_back({"9.3: fragments of " + std::to_string(part),
                       {Join(Fragments(std::string_view(text).substr(0, size), part))},
                       1});
    for (const size_t part : std::initializer_list<size_t>{64, 1024})
      cases.push_back({"9.5: pieces of " + std::to_string(part), Chop(Text(text.substr(0, size)), part), 1});
  }
  cases.push_back({"10.1.1", Fragments(std::string_view(text).substr(0, 65'536), 1300), 1});
  cases.push_back({"too long", {Text(text + "x")}, 0, {}, 1009});
  cases.push_back({"too long in fragments", {Join(Fragments(text + "x", 4096))}, 0, {}, 1009});
  cases.push_back({"too long by its head", {Text(Bytes(most + 1)).substr(0, 14)}, 0, {}, 1009});
  RunAll(cases);
}

TEST(WebSocketCases, MasksAndLengths) {
  std::vector<Case> cases;
  cases.push_back({"no mask", {std::string("\x81\x02hi", 4)}, 0, {}, 1002});
  cases.push_back({"no mask on a ping", {std::string("\x89\x00", 2)}, 0, {}, 1002});
  cases.push_back(
      {"16 bits for 125", {std::string("\x81\xfe\x00\x7d", 4) + "mask" + Bytes(125)}, 0, {}, 1002});
  cases.push_back(
      {"64 bits for 65,535", {std::string("\x81\xff\0\0\0\0\0\0\xff\xff", 10) + "mask"}, 0, {}, 1002});
  cases.push_back(
      {"the highest bit of 64", {std::string("\x81\xff\x80\0\0\0\0\0\0\1", 10) + "mask"}, 0, {}, 1002});
  RunAll(cases);
}

}  // namespace
}  // namespace reeve
