// Connection: one HTTP/1.1 connection. It reads requests, dispatches them strictly one after another, and
// writes their answers. Owned by the Server, in whose list it stands. When it has ended it tells the Server,
// which destroys it in a later loop turn, because its functions may still be on the stack.
//
// It owns the socket and writes with plain send(). So a handler can take the socket away (Reply::OpenStream)
// at a moment when all earlier output has been sent. When that answer has ended, another Connection continues
// with the socket. A socket that another protocol took (Reply::TakeSocket) does not come back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "control/http/http.h"
#include "control/http/http_parser.h"
#include "control/http/server.h"
#include "control/http/taken_socket.h"
#include "process/watch.h"

namespace reeve {

class Connection {
 public:
  static constexpr size_t kMaxInput = size_t{64} << 10;  // most bytes read beyond the request in progress
  // After the last answer the peer's bytes are read and dropped: closing on unread bytes sends a RST, which
  // can destroy the answer before the peer has read it.
  static constexpr int64_t kLingerMs = 2'000;
  static constexpr size_t kLingerBytes = size_t{4} << 20;
  static constexpr size_t kFreeBytes = 4096;  // each connection may hold so many uncounted: an ordinary head
  static constexpr int64_t kStalledMs = 1'000;  // a client that takes nothing for so long may be evicted

  // State that all connections of a server share. It outlives them.
  struct Shared {
    Loop& loop;
    Server::Limits limits;
    HttpParser::Limits parser;
    Server::Dispatch dispatch;
    Server::Admit admit;                      // may be empty
    std::function<void(Connection&)> closed;  // the connection closed its socket or gave it away
    std::function<void(Connection&)> moved;   // its load() may have changed, and the peer has done something
    // A socket that a stream took comes back, with the bytes that arrived meanwhile. May be called when the
    // server has gone.
    std::function<void(std::unique_ptr<Watch>, std::string input, bool from_unix_socket)> rejoin;
    std::vector<Connection*> unsent;  // have an answer of this turn
    std::vector<char> buffer;         // one read goes here first
    std::string id_prefix;            // each request id begins with it
    uint64_t last_id = 0;
    bool draining = false;
    Server::Stats stats;  // the server itself counts `connections`
  };

  Connection(Shared& shared, bool from_unix_socket);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Takes the accepted socket; called once. Returns false, and does not call `closed`, if it cannot be
  // watched. `in_reserve`: the server is full, and only one urgent request is served.
  bool Open(Fd socket, bool in_reserve);
  // In place of Open: continues on a socket that a stream took from another Connection.
  void Rejoin(std::unique_ptr<Watch> socket, std::string input);
  // Tells whether the connection may be closed to make room for another.
  enum class Load {
    kResting,  // no request is in progress: it may
    kBusy,     // a request is in progress, or its answer is on the way
    kWaiting,  // a request waits, perhaps for long (Reply::OnGone)
  };
  static constexpr size_t kLoads = 3;
  [[nodiscard]] Load load() const;

  // Closes at once if it is resting, or if its client takes nothing of an answer. With `urgent` a client that
  // may not have read its last answer yet is closed, too. Returns whether it closed.
  bool Evict(bool urgent);
  [[nodiscard]] bool open() const { return state_ != State::kClosed; }
  // Answers with a problem and closes, whatever the peer has sent. No request may be in progress.
  void Refuse(const Error& error);
  // At the end of a turn: sends the answer that the turn gave.
  void SendAnswer();
  // Closes the connection if it is idle, unless the next request has already arrived.
  void Drain();
  // Closes or refuses a connection that has exceeded a time limit. The server calls it periodically.
  void CheckTime(int64_t now_ms);

  // The position in the server's lists.
  std::list<std::unique_ptr<Connection>>::iterator place;
  Load listed = Load::kResting;

 private:
  enum class State {
    kIdle,       // between requests
    kReceiving,  // a request has begun to arrive
    kHandling,   // a handler has the request; its answer is awaited
    kClosing,    // the last answer is being sent
    kLingering,  // the last answer is sent and our half is closed; input is dropped until the peer closes
    kClosed,     // the socket is closed or was given away
  };
  class Exchange;

  void OnReady(int events);
  void OnHangUp();
  void Receive();
  void Pump();
  bool TakeInput();
  [[nodiscard]] std::optional<Response> Admit(Request& head);
  void Decline(Response refusal);
  void Dispatch();
  [[nodiscard]] bool Hold();
  void Answer(Response response);
  void Send(std::string bytes);
  void Flush();
  [[nodiscard]] bool WaitsForLong() const;
  void Linger();
  void Close();
  void Enter(State state);
  void UpdateWatch();
  std::unique_ptr<AnswerStream> GiveToStream();
  TakenSocket GiveSocket();

  Shared& shared_;
  std::unique_ptr<Watch> watch_;
  State state_ = State::kIdle;
  bool from_unix_socket_;
  bool pumping_ = false;     // Pump is on the stack
  bool peer_ended_ = false;  // the peer closed its half, and all it sent is read; it may still read
  bool hung_up_ = false;     // the peer closed its half; unread bytes may be left
  bool keep_alive_ = false;  // keep the connection after the current request
  bool http_1_0_ = false;    // the current request is of HTTP/1.0
  bool head_only_ = false;   // the current request is a HEAD
  bool unsent_ = false;      // out_ waits for the end of the turn
  bool in_reserve_ = false;  // the server was full when this connection came
  bool admitted_ = false;    // the request that is arriving may be served
  bool known_ = false;       // the last request that was admitted had a token
  bool operator_ = false;    // and that has scope operate
  int64_t entered_ms_ = 0;   // when state_ was entered
  int64_t progress_ms_ = 0;  // when a byte of out_ was last sent
  size_t lingered_bytes_ = 0;
  size_t held_bytes_ = 0;  // its part of Stats::held_bytes
  HttpParser parser_;
  std::string input_;  // bytes read and not yet parsed
  std::string out_;    // at most one answer; the next request waits until it is sent
  size_t out_sent_ = 0;
  std::string request_id_;
  std::shared_ptr<Exchange> exchange_;  // in kHandling: the sink of the Reply
};

}  // namespace reeve
