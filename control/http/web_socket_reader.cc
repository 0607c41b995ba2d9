#include "control/http/web_socket_reader.h"

#include <wslay/wslay.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "orchestrator/json/json.h"

namespace reeve {

namespace {

constexpr size_t kMaxControlPayload = 125;  // RFC 6455 section 5.5
constexpr uint8_t kFinal = 0x80;
constexpr uint8_t kReserved = 0x70;
constexpr uint8_t kMasked = 0x80;
constexpr uint8_t kLengthBits = 0x7f;

uint64_t BigEndian(const uint8_t* bytes, size_t size) {
  uint64_t number = 0;
  for (size_t i = 0; i < size; ++i) number = number << 8 | bytes[i];
  return number;
}

void AppendFrameHead(std::string& out, uint8_t first, size_t size, uint8_t masked) {
  out += static_cast<char>(first);
  const int extended = size <= 125 ? 0 : size <= 0xffff ? 2 : 8;
  out += static_cast<char>(masked | (extended == 0 ? size : extended == 2 ? 126 : 127));
  for (int i = extended - 1; i >= 0; --i) out += static_cast<char>(uint64_t{size} >> (8 * i) & 0xff);
}

// Codes that a close frame may have (section 7.4). 1012 to 1014 are registered with IANA.
bool IsCloseCode(uint16_t code) {
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

// Leading bytes that are ASCII.
size_t CountAscii(std::string_view text) {
  size_t at = 0;
  for (uint64_t word = 0; at + sizeof word <= text.size(); at += sizeof word) {
    std::memcpy(&word, text.data() + at, sizeof word);
    if ((word & 0x8080808080808080U) != 0) break;
  }
  while (at < text.size() && static_cast<unsigned char>(text[at]) < 0x80) ++at;
  return at;
}

}  // namespace

// ------------------------------------------------------------------------------------------------ UTF-8

bool Utf8Check::Take(std::string_view piece) {
  for (size_t at = 0; at < piece.size(); ++at) {
    if (missing_ == 0) at += CountAscii(piece.substr(at));
    if (at == piece.size()) break;
    const auto byte = static_cast<unsigned char>(piece[at]);
    if (missing_ > 0) {
      if (byte < low_ || byte > high_) return false;
      --missing_;
      low_ = 0x80;
      high_ = 0xbf;
    } else if (byte < 0xc2 || byte > 0xf4) {  // the rows of the table in RFC 3629 section 4
      return false;
    } else {
      missing_ = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
      if (byte == 0xe0) low_ = 0xa0;
      if (byte == 0xed) high_ = 0x9f;
      if (byte == 0xf0) low_ = 0x90;
      if (byte == 0xf4) high_ = 0x8f;
    }
  }
  return true;
}

// ------------------------------------------------------------------------------------------------ reader

void WebSocketReader::FreeContext::operator()(wslay_frame_context* context) const {
  wslay_frame_context_free(context);
}

WebSocketReader::WebSocketReader(Peer peer, size_t message_bytes, Sink& sink)
    : message_bytes_(message_bytes), sink_(sink), peer_(peer) {}

WebSocketReader::~WebSocketReader() = default;

std::optional<WebSocketReader::Failure> WebSocketReader::Feed(std::string_view bytes) {
  if (over_ || bytes.empty()) return std::nullopt;
  if (!context_) {
    wslay_frame_callbacks callbacks{};
    callbacks.recv_callback = [](uint8_t* to, size_t room, int, void* reader) -> ssize_t {
      const size_t given = static_cast<WebSocketReader*>(reader)->Supply(to, room);
      return given > 0 ? static_cast<ssize_t>(given) : -1;
    };
    wslay_frame_context* made = nullptr;
    if (wslay_frame_context_init(&made, &callbacks, this) != 0) throw std::bad_alloc();
    context_.reset(made);
  }
  input_ = bytes;
  auto failure = Read();
  input_ = {};
  over_ = over_ || failure.has_value();
  if (over_) message_ = {};
  if (over_ || head_size_ == 0) context_.reset();
  return failure;
}

WebSocketReader::MaybeFailure WebSocketReader::Read() {
  while (!over_) {
    wslay_frame_iocb frame{};
    const ssize_t got = wslay_frame_recv(context_.get(), &frame);
    if (got < 0 && got != WSLAY_ERR_WANT_READ) {
      return Failure{close_code::kProtocolError,
                     "a malformed length, or a control frame that is fragmented or too long"};
    }
    const bool head_complete = head_size_ >= 2 && head_size_ == HeadSize();
    if (head_complete && !head_checked_) {
      if (auto failure = CheckHead()) return failure;
    }
    if (got >= 0) {
      if (auto failure = TakePayload({reinterpret_cast<const char*>(frame.data), frame.data_length}))
        return failure;
    } else if (input_.empty()) {
      break;
    }
  }
  return std::nullopt;
}

// Copies the next bytes of the input to wslay: up to the end of a head that is not checked yet, and otherwise
// up to the end of the frame, so that wslay is empty between two frames.
size_t WebSocketReader::Supply(uint8_t* to, size_t room) {
  const size_t head_left = HeadSize() - head_size_;
  if (head_left == 0) room = head_checked_ ? static_cast<size_t>(std::min<uint64_t>(room, payload_left_)) : 0;
  const size_t given = std::min({room, input_.size(), head_left > 0 ? head_left : SIZE_MAX});
  std::memcpy(to, input_.data(), given);
  if (head_left > 0) {
    std::memcpy(head_.data() + head_size_, input_.data(), given);
    head_size_ = static_cast<uint8_t>(head_size_ + given);
  } else {
    payload_left_ -= given;
  }
  input_.remove_prefix(given);
  return given;
}

// The size of the frame's head, as far as is known.
size_t WebSocketReader::HeadSize() const {
  if (head_size_ < 2) return 2;
  const int length = head_[1] & kLengthBits;
  return 2U + (length == 126 ? 2U : length == 127 ? 8U : 0U) + ((head_[1] & kMasked) != 0 ? 4U : 0U);
}

uint64_t WebSocketReader::PayloadSize() const {
  const uint8_t length = head_[1] & kLengthBits;
  if (length == 126) return BigEndian(head_.data() + 2, 2);
  if (length == 127) return BigEndian(head_.data() + 2, 8);
  return length;
}

WebSocketReader::MaybeFailure WebSocketReader::CheckHead() {
  head_checked_ = true;
  payload_left_ = PayloadSize();
  if ((head_[0] & kReserved) != 0) return Failure{close_code::kProtocolError, "a reserved bit is set"};
  if (((head_[1] & kMasked) != 0) != (peer_ == Peer::kClient)) {
    return Failure{close_code::kProtocolError, peer_ == Peer::kClient
                                                   ? "a frame of a client must be masked"
                                                   : "a frame of a server must not be masked"};
  }
  switch (head_[0] & 0xf) {
    case kClose:
    case kPing:
    case kPong:
      return std::nullopt;
    case kContinuation:
      if (!in_message_) return Failure{close_code::kProtocolError, "a continuation without a message"};
      break;
    case kText:
    case kBinary:
      if (in_message_) return Failure{close_code::kProtocolError, "a new message within a message"};
      if ((head_[0] & 0xf) == kBinary)
        return Failure{close_code::kUnsupportedData, "only text messages are supported"};
      in_message_ = true;
      utf8_ = {};
      break;
    default:
      return Failure{close_code::kProtocolError, "an unknown opcode"};
  }
  if (payload_left_ > message_bytes_ - message_.size()) {
    return Failure{close_code::kTooLong, "a message may have " + std::to_string(message_bytes_) + " bytes"};
  }
  return std::nullopt;
}

// A piece of the payload of the frame in progress; the whole of it if it is empty.
WebSocketReader::MaybeFailure WebSocketReader::TakePayload(std::string_view piece) {
  const bool frame_ends = payload_left_ == 0;
  const bool is_control = control();
  const bool message_ends = frame_ends && !is_control && final_frame();
  if (frame_ends) head_size_ = 0, head_checked_ = false;
  if (is_control) {
    control_ += piece;
    return frame_ends ? TakeControl() : std::nullopt;
  }
  if (!utf8_.Take(piece) || (message_ends && !utf8_.whole()))
    return Failure{close_code::kInvalidText, "a text message is not UTF-8"};
  if (message_ends) return EndMessage(piece), std::nullopt;
  message_ += piece;
  return std::nullopt;
}

void WebSocketReader::EndMessage(std::string_view last_piece) {
  in_message_ = false;
  if (message_.empty()) return sink_.OnText(last_piece);
  const std::string message = std::exchange(message_, {}).append(last_piece);
  sink_.OnText(message);
}

WebSocketReader::MaybeFailure WebSocketReader::TakeControl() {
  const std::string payload = std::exchange(control_, {});
  switch (head_[0] & 0xf) {
    case kClose:
      return TakeClose(payload);
    case kPing:
      sink_.OnPing(payload);
      break;
    default:
      sink_.OnPong(payload);
      break;
  }
  return std::nullopt;
}

WebSocketReader::MaybeFailure WebSocketReader::TakeClose(std::string_view payload) {
  uint16_t code = close_code::kNone;
  if (!payload.empty()) {
    if (payload.size() == 1) return Failure{close_code::kProtocolError, "half a close code"};
    code = static_cast<uint16_t>(BigEndian(reinterpret_cast<const uint8_t*>(payload.data()), 2));
    payload.remove_prefix(2);
    if (!IsCloseCode(code)) return Failure{close_code::kProtocolError, "an invalid close code"};
    if (!IsUtf8(payload))
      return Failure{close_code::kInvalidText, "the reason of a close frame is not UTF-8"};
  }
  over_ = true;
  sink_.OnClose(code, payload);
  return std::nullopt;
}

// ------------------------------------------------------------------------------------------------ frames

void AppendTextFrameHead(std::string& out, size_t size) {
  AppendFrameHead(out, kFinal | static_cast<uint8_t>(FrameType::kText), size, 0);
}

void AppendFrame(std::string& out, FrameType type, std::string_view payload) {
  AppendFrameHead(out, static_cast<uint8_t>(kFinal | static_cast<uint8_t>(type)), payload.size(), 0);
  out += payload;
}

std::string ClosePayload(uint16_t code, std::string_view reason) {
  if (code == close_code::kNone) return {};
  std::string payload = {static_cast<char>(code >> 8), static_cast<char>(code & 0xff)};
  size_t size = std::min(reason.size(), kMaxControlPayload - payload.size());
  while (size < reason.size() && (static_cast<unsigned char>(reason[size]) & 0xc0) == 0x80) --size;
  return payload.append(reason.substr(0, size));
}

void AppendMaskedFrame(std::string& out, FrameType type, std::string_view payload,
                       std::array<uint8_t, 4> mask, bool last) {
  AppendFrameHead(out, static_cast<uint8_t>(static_cast<uint8_t>(type) | (last ? kFinal : 0)), payload.size(),
                  kMasked);
  for (const uint8_t byte : mask) out += static_cast<char>(byte);
  for (size_t i = 0; i < payload.size(); ++i) {
    out += static_cast<char>(static_cast<uint8_t>(payload[i]) ^ mask[i % 4]);
  }
}

}  // namespace reeve
