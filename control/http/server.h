// Room http/: HTTP/1.1 connections, requests and answers, without knowledge of agents.
//
// Server: listens (TCP, Unix socket, inherited descriptor), keeps the HTTP/1.1 connections and hands whole
// requests to one handler. Owned by the Daemon; outlived by the loop. Knows nothing of routes or tokens.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "control/http/http.h"
#include "orchestrator/handover/handover_state.h"
#include "process/result.h"

namespace reeve {

class Loop;

// What a client would use to reach a listening socket: "http://127.0.0.1:PORT", a Unix socket's path; empty:
// it is neither, or no socket.
std::string AddressOf(int socket);

class Server {
 public:
  struct Limits {
    size_t body_bytes = size_t{1} << 20;
    size_t header_bytes = size_t{16} << 10;
    size_t target_bytes = size_t{8} << 10;
    int64_t request_ms = 10'000;  // from the first byte of a request to its last
    int64_t idle_ms = 60'000;     // keep-alive without a request
    int64_t write_ms = 30'000;    // a peer that takes nothing of its answer for so long is gone
    size_t connections = 10'000;  // counted without streams that took their socket
  };

  // Gets the request as its own. A Handler will do too. Never ends the Server from within.
  using Dispatch = std::function<void(Request, Reply)>;

  Server(Loop& loop, Limits limits, Dispatch dispatch);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // "tcp://127.0.0.1:8080" (port 0 is allowed; [::1] too), "unix:///run/reeve.sock" (0600; a dead one in the
  // way is replaced, a live one is an error), "fd://3". Returns what a client would use:
  // "http://127.0.0.1:PORT", the socket's path, ….
  Result<std::string> Listen(const std::string& url);

  // Takes no new connections; answers what is in flight, with Connection: close; `drained` once no connection
  // is left (streams that took their socket do not count).
  void Drain(std::function<void()> drained);

  // --- handover to a new binary
  // The listening sockets; their descriptors are added to `keep`.
  [[nodiscard]] std::vector<ListenerState> HandOver(std::vector<int>& keep) const;
  // Goes on with those that are still wanted, and closes the others. Returns the addresses by their URLs, for
  // which no Listen is needed. A socket that cannot be taken over is logged.
  std::map<std::string, std::string> Inherit(const std::vector<ListenerState>& earlier,
                                             const std::vector<std::string>& wanted);
  // As Drain, but who comes now waits in the backlog: for the next image, or until Release.
  void Hold(std::function<void()> quiet);
  void Release();

  struct Stats {
    size_t connections = 0;
    uint64_t requests = 0;
    uint64_t refused = 0;  // malformed, too large, too slow, over the limit
  };
  [[nodiscard]] Stats stats() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace reeve
