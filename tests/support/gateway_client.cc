#include "tests/support/gateway_client.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <ctime>

namespace reeve {

namespace {

constexpr int kText = 1;
constexpr int kCloseFrame = 8;
constexpr int kPing = 9;
constexpr int kPong = 10;

int64_t MonotonicMs() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1'000'000;
}

bool Wait(int fd, int64_t deadline_ms) {
  pollfd waiting{fd, POLLIN, 0};
  return poll(&waiting, 1, static_cast<int>(std::max<int64_t>(deadline_ms - MonotonicMs(), 0))) > 0;
}

}  // namespace

GatewayClient::Options GatewayClient::WithToken(const std::string& token) {
  return {.headers = {{"Authorization", "Bearer " + token}}};
}

GatewayClient::GatewayClient(const support::Daemon& daemon)
    : GatewayClient(daemon.address(), WithToken(daemon.token())) {}

GatewayClient::GatewayClient(const std::string& address, Options options)
    : fd_(ConnectTo(address, options.receive_buffer)), keep_events_(options.keep_events) {
  ended_ = !fd_.valid();
  std::string request = "GET " + options.target +
                        " HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
  for (const auto& [name, value] : options.headers) request += name + ": " + value + "\r\n";
  Send(request + "\r\n");
}

int GatewayClient::Status() {
  size_t end = std::string::npos;
  const int64_t deadline = MonotonicMs() + kPatienceMs;
  while (handshake_.status == 0 && !ended_ && end == std::string::npos && Wait(fd_.get(), deadline)) {
    char byte = 0;  // byte by byte, because frames may follow
    if (recv(fd_.get(), &byte, 1, 0) != 1) {
      ended_ = true;
      break;
    }
    handshake_.wire += byte;
    end = handshake_.wire.find("\r\n\r\n");
  }
  if (end == std::string::npos) return handshake_.status;
  handshake_.status = ParseHead(std::string_view(handshake_.wire).substr(0, end + 2), handshake_.headers);
  if (handshake_.status == 101) return 101;
  const auto size = static_cast<size_t>(std::atoll(handshake_.Header("content-length").c_str()));
  handshake_.body.resize(size);
  if (recv(fd_.get(), handshake_.body.data(), size, MSG_WAITALL) != static_cast<ssize_t>(size)) {
    handshake_.body.clear();
  }
  return handshake_.status;
}

void GatewayClient::Send(std::string_view bytes) {
  while (!bytes.empty() && !ended_) {
    const ssize_t sent = send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0) return;  // Poll finds out
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
}

namespace {

std::string FrameOf(int opcode, std::string_view payload) {
  std::string frame(1, static_cast<char>(0x80 | opcode));
  if (payload.size() < 126) {
    frame += static_cast<char>(0x80 | payload.size());
  } else if (payload.size() < 65'536) {
    frame += static_cast<char>(0x80 | 126);
    for (int shift = 8; shift >= 0; shift -= 8) frame += static_cast<char>(payload.size() >> shift);
  } else {
    frame += static_cast<char>(0x80 | 127);
    for (int shift = 56; shift >= 0; shift -= 8) frame += static_cast<char>(payload.size() >> shift);
  }
  constexpr std::string_view kMask = "mask";
  frame += kMask;
  for (size_t i = 0; i < payload.size(); ++i) frame += static_cast<char>(payload[i] ^ kMask[i % 4]);
  return frame;
}

}  // namespace

void GatewayClient::SendFrame(int opcode, std::string_view payload) { Send(FrameOf(opcode, payload)); }

void GatewayClient::Texts(std::string_view message, int times) {
  std::string frames;
  for (int i = 0; i < times; ++i) frames += FrameOf(kText, message);
  Send(frames);
}

void GatewayClient::Text(std::string_view message) {
  if (handshake_.status == 0 && Status() != 101) return;
  SendFrame(kText, message);
}

void GatewayClient::Close(int code, std::string_view reason) {
  SendFrame(kCloseFrame, std::string{static_cast<char>(code >> 8), static_cast<char>(code)}.append(reason));
}

uint64_t GatewayClient::Begin(std::string_view method, std::string_view params) {
  const uint64_t number = ++last_call_;
  Text(std::string(R"({"jsonrpc":"2.0","id":)")
           .append(std::to_string(number))
           .append(R"(,"method":")")
           .append(method)
           .append(R"(","params":)")
           .append(params)
           .append("}"));
  return number;
}

std::string GatewayClient::Answer(uint64_t number) {
  std::string found;
  size_t seen = 0;
  // To parse all answers for each call would take long.
  const std::string head = R"({"jsonrpc":"2.0","id":)" + std::to_string(number) + ",";
  Until([&] {
    for (; seen < answers_.size(); ++seen) {
      if (answers_[seen].starts_with(head)) found = answers_[seen];
    }
    return !found.empty();
  });
  return found;
}

std::string GatewayClient::Subscribe(std::string_view params) {
  return JsonField(Call("events.subscribe", params), "result.subscription");
}

bool GatewayClient::Poll(size_t max_bytes) {
  if (ended_ || (handshake_.status == 0 && Status() != 101)) return false;
  std::string bytes(max_bytes, '\0');
  const ssize_t got = recv(fd_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
  if (got < 0) {
    if (errno != EAGAIN && errno != EINTR) ended_ = true;
    return !ended_;
  }
  if (got == 0) ended_ = true;
  received_.append(bytes, 0, static_cast<size_t>(got));
  while (TakeFrame()) {
  }
  received_.erase(0, taken_);
  taken_ = 0;
  return !ended_;
}

// The daemon sends neither fragments nor masks.
bool GatewayClient::TakeFrame() {
  const auto byte = [this](size_t at) { return static_cast<unsigned char>(received_[taken_ + at]); };
  const size_t have = received_.size() - taken_;
  if (have < 2) return false;
  size_t head = 2;
  size_t size = byte(1) & 0x7f;
  if (size == 126) head = 4;
  if (size == 127) head = 10;
  if (have < head) return false;
  if (head > 2) {
    size = 0;
    for (size_t i = 2; i < head; ++i) size = size << 8 | byte(i);
  }
  if (have < head + size) return false;
  EXPECT_EQ(byte(0) & 0xf0, 0x80) << "a fragment, or a reserved bit";
  EXPECT_EQ(byte(1) & 0x80, 0) << "a mask";
  const int opcode = byte(0) & 0x0f;
  std::string payload = received_.substr(taken_ + head, size);
  taken_ += head + size;
  if (opcode == kPing) SendFrame(kPong, payload);
  if (opcode == kCloseFrame && size >= 2) {
    close_code_ = static_cast<unsigned char>(payload[0]) << 8 | static_cast<unsigned char>(payload[1]);
    SendFrame(kCloseFrame, payload.substr(0, 2));
  }
  if (opcode != kText) return true;
  constexpr std::string_view kEvent = R"({"jsonrpc":"2.0","method":"event","params":)";
  if (payload.compare(0, kEvent.size(), kEvent) != 0) {
    answers_.push_back(std::move(payload));
    return true;
  }
  ++count_;
  if (keep_events_) events_.push_back(payload.substr(kEvent.size(), payload.size() - kEvent.size() - 1));
  return true;
}

bool GatewayClient::Until(const std::function<bool()>& condition, int64_t deadline_ms) {
  const int64_t deadline = MonotonicMs() + deadline_ms;
  for (;;) {
    if (condition()) return true;
    if (handshake_.status == 0 && Status() != 101) return false;
    if (ended_ || !Wait(fd_.get(), deadline)) return false;
    Poll(4096);
  }
}

bool GatewayClient::UntilEnd() {
  Until([this] { return ended_; });
  return ended_;
}

bool GatewayClient::UntilEvent(std::string_view type, std::string_view agent) {
  size_t seen = 0;
  return Until([&] {
    for (; seen < events_.size(); ++seen) {
      const std::string& event = events_[seen];
      // The search comes first because parsing takes longer than a flood allows.
      if (event.find(agent) == std::string::npos || event.find(type) == std::string::npos) continue;
      if (JsonField(event, "type") == type && (agent.empty() || JsonField(event, "agent") == agent))
        return true;
    }
    return false;
  });
}

std::vector<std::string> GatewayClient::All(std::string_view type) const {
  std::vector<std::string> all;
  for (const std::string& event : events_) {
    if (JsonField(event, "type") == type) all.push_back(event);
  }
  return all;
}

std::vector<std::string> GatewayClient::Cursors(std::string_view agent) const {
  std::vector<std::string> cursors;
  for (const std::string& event : events_) {
    if (JsonField(event, "agent") != agent || JsonField(event, "seq").empty()) continue;
    cursors.push_back(JsonField(event, "epoch") + "-" + JsonField(event, "seq"));
  }
  return cursors;
}

std::string GatewayClient::resume() const {
  const auto ready = All("gateway.ready");
  return ready.empty() ? "" : JsonField(ready.front(), "data.resume");
}

}  // namespace reeve
