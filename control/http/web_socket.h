// WebSocket: one WebSocket connection of the server (RFC 6455), for text messages. It owns the socket that a
// handler took from the HTTP connection, answers pings, and does the closing handshake. There are no
// extensions.
//
// Messages of the owner leave only within Send(), which the owner calls at the end of a turn, when the turn
// is on disk. Pongs, pings and close frames leave at once, unless messages wait before them.
//
// Owned by a connection of the gateway, which is its listener; on the loop's thread. The listener and the
// loop outlive it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "control/http/taken_socket.h"
#include "control/http/web_socket_handshake.h"
#include "control/http/web_socket_reader.h"
#include "process/timer.h"

namespace reeve {

class Loop;

class WebSocket final : private WebSocketReader::Sink {
 public:
  static constexpr size_t kReadBytes = size_t{64} << 10;  // most bytes read in one turn
  // Pongs that wait for the socket. If more pings come, the last of them gets the next pong (section 5.5.3).
  static constexpr size_t kMaxPongs = 64;
  static constexpr int64_t kCloseMs = 5'000;   // from our close frame to the peer's
  static constexpr int64_t kLingerMs = 2'000;  // as Connection::kLingerMs, for the same reason
  static constexpr size_t kLingerBytes = size_t{4} << 20;

  // The bytes that several connections hold of messages that have not arrived whole.
  struct Budget {
    size_t used = 0;
  };
  struct Limits {
    Budget* budget = nullptr;                // outlives the connection; null: there is none
    size_t budget_bytes = SIZE_MAX;          // a connection that takes it beyond this closes with 1013
    int64_t message_ms = 30'000;             // from the first byte of a message to its last; then 1008
    size_t message_bytes = size_t{1} << 20;  // of a message from the peer; a longer one closes with 1009
    int64_t ping_ms = 20'000;                // from one ping to the next
    int64_t write_ms = 30'000;               // see CheckTime
  };
  struct End {
    uint16_t code = close_code::kAbnormal;  // of the close frame that came or went first
    std::string reason;
    bool by_peer = false;
  };
  class Listener {
   public:
    // One whole text message, at most Limits::message_bytes. Must not destroy the WebSocket.
    virtual void OnText(std::string_view message) = 0;
    // A pong with a payload, which is that of a QueuePing unless the peer made it up.
    virtual void OnPong(std::string_view /*payload*/) {}
    // The socket takes bytes again after a Send returned kSome: call Send, now or at the end of the turn.
    // Must not destroy the WebSocket.
    virtual void OnWritable() = 0;
    // Nothing more comes from the peer, which has closed the connection or broken a rule. Call Answered once
    // what came before is answered, now or later. Must not destroy the WebSocket.
    virtual void OnLast() = 0;
    // The connection has ended and its socket is closed. Called once, as the last function, and from the loop
    // alone, never within a call of the owner. May destroy the WebSocket.
    virtual void OnEnd(const End& end) = 0;

   protected:
    ~Listener() = default;
  };

  // `head` is the 101 answer (FormatUpgrade), which is sent before everything else. `socket` must have one.
  WebSocket(TakenSocket socket, std::string head, Limits limits, Listener& listener, Loop& loop);
  ~WebSocket();  // without OnEnd
  WebSocket(const WebSocket&) = delete;
  WebSocket& operator=(const WebSocket&) = delete;

  // Neither side has closed it.
  [[nodiscard]] bool open() const { return state_ == State::kOpen; }
  // Appends a text message to the bytes that the next Send writes. Does nothing when the connection is
  // closing.
  void Queue(std::string_view text);
  // The same with a ping. Its pong, which has the same payload, says that the peer has got what was queued
  // before (section 5.5.3).
  void QueuePing(std::string_view payload);
  enum class Sent {
    kAll,
    kSome,  // OnWritable follows
    kGone,  // the connection is closing or has ended, and takes nothing more. OnEnd follows
  };
  // Writes what is queued or left, then `frames`, which are whole frames, with at most one system call. Keeps
  // the bytes that the socket does not take, so call it with more frames only when unsent() is small.
  Sent Send(std::string_view frames = {});
  [[nodiscard]] size_t unsent() const { return out_.size() - out_sent_; }

  // Sends a close frame after what is queued, and waits for the peer's. Messages that still come are dropped.
  // Does nothing when the connection is closing.
  void Close(uint16_t code, std::string_view reason);
  // After OnLast: sends the close frame, behind what is queued. Does nothing in every other state.
  void Answered();
  // Ends the connection at once, without a close frame: End{1006}, unless it was closing.
  void Drop();
  // Off: reads nothing more until it is on. OnText is still called for what was read already. On at first.
  void SetReading(bool on);

  // Called about once a second. `now_ms` is a clock that stands still while the loop is busy, so that a busy
  // loop counts against nobody. Sends pings. Ends the connection (End{1011}) if the peer took nothing of what
  // waits for the socket for `write_ms`, or its machine confirmed nothing of what was sent. Ends a close that
  // the peer does not answer. Times are exact to a call of this function, and never too short.
  void CheckTime(int64_t now_ms);

  struct Counts {
    uint64_t received = 0;        // text messages
    uint64_t received_bytes = 0;  // of the socket
    uint64_t queued = 0;          // text messages by Queue; the owner counts what it made itself
    uint64_t sent_bytes = 0;      // of the socket
    uint64_t send_failures = 0;   // system calls
  };
  [[nodiscard]] const Counts& counts() const { return counts_; }

 private:
  enum class State : uint8_t {
    kOpen,
    kAnswering,  // nothing more comes from the peer; the owner still answers what came before
    kClosing,    // our close frame is in out_ or sent; that of the peer is awaited
    kFlushing,   // nothing more is wanted of the peer; the rest of out_ is being sent
    kLingering,  // everything is sent and our half is closed; input is dropped until the peer closes
    kEnded,      // OnEnd is due, or was called
  };

  void OnText(std::string_view message) override;
  void OnPing(std::string_view payload) override;
  void OnPong(std::string_view payload) override;
  void OnClose(uint16_t code, std::string_view reason) override;

  [[nodiscard]] bool sends() const { return state_ == State::kOpen || state_ == State::kAnswering; }
  void EndInput(uint16_t code, std::string_view reason, bool by_peer);
  void OnReady(int events);
  void Read();
  void Feed(std::string_view bytes);
  [[nodiscard]] bool Hold(size_t partial);
  void OnHangUp();
  void SendOwn();
  Sent Write(std::string_view frames);
  void CheckPeer(int64_t now_ms);
  void CheckMessage(int64_t now_ms);
  [[nodiscard]] int64_t Waited(std::optional<int64_t>& since, int64_t now_ms) const;
  void Enter(State state);
  void Lost(int error);
  void Finish();
  void UpdateWatch();

  Listener& listener_;
  Loop& loop_;
  const Limits limits_;
  std::unique_ptr<Watch> socket_;
  WebSocketReader reader_;
  State state_ = State::kOpen;
  bool reading_ = true;
  bool held_ = false;      // out_ has messages of the owner that only a Send may write
  bool promised_ = false;  // a Send returned kSome: OnWritable is due
  bool blocked_ = true;    // the socket took a part of out_, or nothing was tried yet
  bool hung_up_ = false;   // the peer closed its half behind bytes that are not read
  std::string input_;      // came with the handshake; read in the first turn
  std::string out_;        // whole frames, but for a first one that was sent in part
  size_t out_sent_ = 0;
  size_t partial_ = 0;                    // its part of the budget
  size_t pongs_ = 0;                      // in out_
  std::optional<std::string> late_pong_;  // the payload of one that follows out_
  size_t lingered_bytes_ = 0;
  // Times of CheckTime. Nothing: from the next one on.
  std::optional<int64_t> pinged_ms_;
  uint64_t checked_messages_ = 0;      // counts_.received at the last CheckTime
  std::optional<int64_t> message_ms_;  // since when a message arrives
  std::optional<int64_t> stalled_ms_;  // since when the peer gives no sign of life, although it should
  std::optional<int64_t> entered_ms_;  // since when state_ lasts
  uint64_t last_sign_ = 0;             // of life, at the last CheckTime
  Counts counts_;
  std::optional<End> end_;         // from the first reason to end on
  std::unique_ptr<Timer> ending_;  // calls OnEnd; made at the end
};

}  // namespace reeve
