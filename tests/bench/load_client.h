// LoadClient: many viewers in a process of their own, on one epoll. It counts events, checks that no viewer
// misses one, and times some. Made and owned by a benchmark; destroying it closes all connections.
//
// It must never limit a server, so it only checks where the last frame ended. But it shares the machine with
// the server, so it reports how many events each read brought. If a server writes each event by itself, more
// than one event per read means that this client came late, and late readers make writes cheaper.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "process/fd.h"
#include "process/result.h"
#include "tests/bench/measure.h"

namespace reeve::bench {

struct Load {
  uint16_t port = 0;
  std::string request;      // the whole GET; of a WebSocket, with the frame that subscribes
  bool web_socket = false;  // the stream comes as WebSocket messages of the gateway
  int viewers = 0;
  int stalled = 0;     // of these, so many stop reading once they are live
  int64_t events = 0;  // each must see so many of the source's
};

// The results of the viewers until now.
struct Seen {
  int64_t events = 0;  // of the source, all viewers together
  int64_t bytes = 0;
  int64_t reads = 0;
  int64_t breaks = 0;      // holes, doubles and disorder in the numbers of a viewer
  int64_t lost = 0;        // connections that ended
  int64_t unfinished = 0;  // viewers that should have everything and do not
  int64_t heartbeats = 0;
  int64_t last_ns = 0;  // when the last event was read
  int64_t p50_us = 0;   // from the making of the line to its reading, of some viewers
  int64_t p99_us = 0;
};

class LoadClient {
 public:
  // Returns when all viewers are live.
  static Result<std::unique_ptr<LoadClient>> Start(const Load& load);

  // Waits until all that read have everything, or for `timeout_ms`; `tick` runs several times a second.
  Seen Await(int64_t timeout_ms, const std::function<void()>& tick = {});
  // The results until now.
  Seen Ask();
  // The stalled read again; Await waits for them too.
  void Resume();

  [[nodiscard]] pid_t pid() const { return process_.pid(); }

 private:
  LoadClient(Fd control, Process process) : control_(std::move(control)), process_(std::move(process)) {}
  Fd control_;  // SOCK_SEQPACKET: orders down, Seen up
  Process process_;
};

}  // namespace reeve::bench
