// Connection: one HTTP/1.1 connection. Reads requests, hands them over strictly one after another, writes
// their answers. Owned by the Server, in whose list it stands; it ends by telling the Server, which destroys
// it in a later turn: it may still be on the stack.
//
// It keeps the socket itself and writes with plain send(): a handler may take the socket away
// (Reply::TakeSocket) at a moment when everything said before has left.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "control/http/http.h"
#include "control/http/http_parser.h"
#include "control/http/server.h"
#include "process/watch.h"

namespace reeve {

class Connection {
 public:
  static constexpr size_t kMaxInput = size_t{64} << 10;  // read ahead of the request that is being answered
  // After the last answer the peer's bytes are read and dropped: closing on unread bytes sends a RST, which
  // can destroy the answer before the peer has read it.
  static constexpr int64_t kLingerMs = 2'000;
  static constexpr size_t kLingerBytes = size_t{4} << 20;

  // What all connections of a server share; outlives them.
  struct Shared {
    Loop& loop;
    Server::Limits limits;
    HttpParser::Limits parser;
    Server::Dispatch dispatch;
    std::function<void(Connection&)> closed;  // it closed its socket, or gave it away
    std::vector<char> buffer;                 // for one read
    std::string id_prefix;                    // of request ids
    uint64_t last_id = 0;
    bool draining = false;
    Server::Stats stats;  // connections are the server's to count
  };

  Connection(Shared& shared, bool from_unix_socket);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Called once: takes the accepted socket. False if it cannot be watched; `closed` is not called then.
  bool Open(Fd socket);
  // Answers with a problem and closes, whatever the peer was saying. Nothing in flight, please.
  void Refuse(const Error& error);
  // Closes what stands idle, unless the next request is already here.
  void Drain();
  // Closes or refuses what has taken too long. Called for each connection now and then.
  void CheckTime(int64_t now_ms);

  // Where the server keeps it.
  std::list<std::unique_ptr<Connection>>::iterator place;

 private:
  enum class State {
    kIdle,       // between requests
    kReceiving,  // a request has begun to arrive
    kHandling,   // it was handed over; its answer is awaited
    kClosing,    // the last answer is on its way out
    kLingering,  // it is out, and our half closed; the peer's bytes are dropped until its end
    kClosed,     // the socket is closed, or somebody else's
  };
  class Exchange;

  void OnReady(int events);
  void Receive();
  void Pump();
  bool TakeInput();
  void HandOver();
  void Answer(Response response);
  void Send(std::string bytes);
  void Flush();
  void Linger();
  void Close();
  void Enter(State state);
  void UpdateWatch();

  Shared& shared_;
  std::unique_ptr<Watch> watch_;
  State state_ = State::kIdle;
  bool from_unix_socket_;
  bool pumping_ = false;     // Pump is on the stack
  bool peer_ended_ = false;  // its half is closed; it may still read
  bool keep_alive_ = false;  // after the present request
  bool head_only_ = false;   // the present request is a HEAD
  int64_t entered_ms_ = 0;   // state_
  int64_t progress_ms_ = 0;  // when a byte of out_ last left
  size_t lingered_bytes_ = 0;
  HttpParser parser_;
  std::string input_;  // read, not yet parsed
  std::string out_;    // at most one answer: the next request waits until it has left
  size_t out_sent_ = 0;
  std::string request_id_;
  std::shared_ptr<Exchange> exchange_;  // in kHandling: what the Reply talks to
};

}  // namespace reeve
