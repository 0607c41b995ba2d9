// WebSocketReader: makes whole text messages and control frames of the bytes of one peer (RFC 6455 section
// 5), on the library wslay, and fails at the first byte that breaks a rule. It knows no socket, and accepts
// neither binary messages nor extensions. Between two frames it holds no memory but its own 150 bytes;
// within a frame the context of wslay (4.3 KiB) and the part of the message that has arrived.
//
// The functions at the end write frames.
//
// Owned by a WebSocket, or by a client of one. The sink outlives it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

struct wslay_frame_context;

namespace reeve {

// Codes of section 7.4.1 that we use. An application may send others.
namespace close_code {
constexpr uint16_t kNormal = 1000;
constexpr uint16_t kGoingAway = 1001;
constexpr uint16_t kProtocolError = 1002;
constexpr uint16_t kUnsupportedData = 1003;
constexpr uint16_t kNone = 1005;      // never sent: the close frame has no code
constexpr uint16_t kAbnormal = 1006;  // never sent: the connection ended without a close frame
constexpr uint16_t kInvalidText = 1007;
constexpr uint16_t kPolicy = 1008;
constexpr uint16_t kTooLong = 1009;
constexpr uint16_t kInternalError = 1011;
// IANA's registry of WebSocket close codes.
constexpr uint16_t kServiceRestart = 1012;
constexpr uint16_t kTryAgainLater = 1013;
}  // namespace close_code

enum class FrameType : uint8_t { kContinuation = 0, kText = 1, kClose = 8, kPing = 9, kPong = 10 };

// Checks that a text that comes in pieces is UTF-8 (RFC 3629), and fails at the first byte that cannot be.
class Utf8Check {
 public:
  // False if the text is not UTF-8; then call it no more.
  bool Take(std::string_view piece);
  // Whether the text so far ends with a whole character.
  [[nodiscard]] bool whole() const { return missing_ == 0; }

 private:
  uint8_t missing_ = 0;  // bytes of the last character that are to come
  uint8_t low_ = 0x80;   // the next of them is in this range
  uint8_t high_ = 0xbf;
};

class WebSocketReader {
 public:
  // The frames of a client are masked, and those of a server are not (section 5.1).
  enum class Peer : uint8_t { kClient, kServer };

  // The receiver. Its functions must not destroy the reader, nor call Feed.
  class Sink {
   public:
    virtual void OnText(std::string_view message) = 0;
    virtual void OnPing(std::string_view payload) = 0;
    virtual void OnPong(std::string_view /*payload*/) {}
    // The last call. kNone if the frame has no code.
    virtual void OnClose(uint16_t code, std::string_view reason) = 0;

   protected:
    ~Sink() = default;
  };
  struct Failure {
    uint16_t code;  // for our close frame
    std::string reason;
  };

  // A message that is longer than `message_bytes` is a failure, which the head of its frame already causes.
  WebSocketReader(Peer peer, size_t message_bytes, Sink& sink);
  ~WebSocketReader();
  WebSocketReader(const WebSocketReader&) = delete;
  WebSocketReader& operator=(const WebSocketReader&) = delete;

  // Takes the next bytes of the peer. After a failure or a close frame nothing more is read.
  std::optional<Failure> Feed(std::string_view bytes);
  // Bytes of a message that has not arrived whole.
  [[nodiscard]] size_t partial() const { return message_.size(); }

 private:
  enum Opcode : uint8_t { kContinuation = 0, kText = 1, kBinary = 2, kClose = 8, kPing = 9, kPong = 10 };

  struct FreeContext {
    void operator()(wslay_frame_context* context) const;
  };
  using MaybeFailure = std::optional<Failure>;

  MaybeFailure Read();
  size_t Supply(uint8_t* to, size_t room);
  [[nodiscard]] size_t HeadSize() const;
  [[nodiscard]] uint64_t PayloadSize() const;
  [[nodiscard]] bool control() const { return (head_[0] & 8) != 0; }
  [[nodiscard]] bool final_frame() const { return (head_[0] & 0x80) != 0; }
  MaybeFailure CheckHead();
  MaybeFailure TakePayload(std::string_view piece);
  void EndMessage(std::string_view last_piece);
  MaybeFailure TakeControl();
  MaybeFailure TakeClose(std::string_view payload);

  const size_t message_bytes_;
  Sink& sink_;
  const Peer peer_;
  std::unique_ptr<wslay_frame_context, FreeContext> context_;  // null between two frames
  std::string_view input_;                                     // during Feed: not yet given to wslay
  // The head of the frame in progress. wslay would tell it only with the first byte of the payload.
  std::array<uint8_t, 14> head_{};
  uint8_t head_size_ = 0;  // as far as it has arrived
  bool head_checked_ = false;
  bool in_message_ = false;  // a text message has begun, and its last frame has not
  bool over_ = false;        // a failure, or the close frame
  uint64_t payload_left_ = 0;
  Utf8Check utf8_;
  std::string message_;  // the earlier pieces of the message
  std::string control_;  // the payload of a control frame, at most 125 bytes
};

// Append frames of a server: whole, and not masked. The first one appends only the head of a text message, at
// most 10 bytes, which `size` bytes of text must follow.
void AppendTextFrameHead(std::string& out, size_t size);
void AppendFrame(std::string& out, FrameType type, std::string_view payload);
// The payload of a close frame: empty for kNone. A reason that is too long for a control frame is cut.
std::string ClosePayload(uint16_t code, std::string_view reason);
// A frame of a client, masked by `mask`, which must be unpredictable (section 5.3). Without `last` a
// continuation follows.
void AppendMaskedFrame(std::string& out, FrameType type, std::string_view payload,
                       std::array<uint8_t, 4> mask, bool last = true);

}  // namespace reeve
