// Room http/: HTTP/1.1 connections, requests and answers, without knowledge of agents.
//
// Server: listens (TCP, Unix socket, inherited descriptor), owns the HTTP/1.1 connections and dispatches
// whole requests to one handler. It knows nothing of routes or tokens.
//
// Answers leave at the end of the loop's turn (Loop::BeforeSleep), so a step that was added before the Server
// was made can first put the turn on disk: nobody outside learns of what a crash could undo.
//
// Owned by the Daemon; the loop outlives it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "control/http/http.h"
#include "orchestrator/handover/handover_state.h"
#include "process/fd.h"
#include "process/result.h"

namespace reeve {

class Loop;

// The address under which a client reaches a listening socket: "http://127.0.0.1:PORT" or a Unix socket's
// path. Empty if it is neither, or not a socket.
std::string AddressOf(int socket);

class Server {
 public:
  struct Limits {
    size_t body_bytes = size_t{1} << 20;
    size_t header_bytes = size_t{16} << 10;
    size_t target_bytes = size_t{8} << 10;
    int64_t request_ms = 10'000;  // from the first byte of a request to the last
    int64_t idle_ms = 60'000;     // a kept-alive connection without a request
    int64_t write_ms = 30'000;    // a peer that reads nothing for so long is closed
    size_t connections = 10'000;  // without streams that took their socket
    // All connections hold at most so much: bodies of requests in progress, and what clients without a token
    // make the server keep. Callers below scope `operate` get half of it.
    size_t held_bytes = size_t{64} << 20;
  };

  // Receives the request by value; a Handler fits too. It never destroys the Server during the call.
  using Dispatch = std::function<void(Request, Reply)>;
  // Called at the end of a head, before a byte of the body is kept. Fills in the request, or refuses it.
  using Admit = std::function<std::optional<Response>(Request& head)>;

  // An empty `admit` admits every request.
  Server(Loop& loop, Limits limits, Dispatch dispatch, Admit admit = {});
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Accepts "tcp://127.0.0.1:8080" (port 0 and [::1] are allowed), "unix:///run/reeve.sock" (mode 0600; a
  // dead socket at the path is replaced, a live one is an error) and "fd://3". Returns the address for
  // clients: "http://127.0.0.1:PORT" or the socket's path.
  Result<std::string> Listen(const std::string& url);

  // Accepts no new connections and answers the requests in progress, with Connection: close. Calls `drained`
  // when no connection is left; streams that took their socket do not count.
  void Drain(std::function<void()> drained);

  // --- the listening sockets outlive the daemon (KEEPER.md)
  // Sets the keys of those that have none.
  void KeepListeners(const std::function<uint64_t(int socket)>& keep);
  [[nodiscard]] std::vector<ListenerState> Listeners() const;
  // Adopts the sockets whose URLs are still wanted and closes the others; `take` returns the socket of a key.
  // Returns the addresses by URL; these URLs need no Listen. A socket that cannot be adopted is logged.
  std::map<std::string, std::string> Inherit(const std::vector<ListenerState>& earlier,
                                             const std::vector<std::string>& wanted,
                                             const std::function<Fd(uint64_t key)>& take);
  // As Drain, but new clients wait in the backlog: for the next daemon, or until Resume.
  void Pause(std::function<void()> quiet);
  void Resume();

  struct Stats {
    size_t connections = 0;
    uint64_t requests = 0;
    uint64_t refused = 0;  // malformed, too large, too slow, or over the limit
    size_t held_bytes = 0;
    bool accepting = true;  // false: new clients wait, because no descriptor or memory is free
  };
  [[nodiscard]] Stats stats() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace reeve
