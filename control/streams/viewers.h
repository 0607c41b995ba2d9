// Room streams/: answers that last: live viewers and exports.
//
// Viewers: the open live streams (control/api/API.md). A viewer is a socket and, for each agent it shows, a
// position in that agent's log. It holds no events. At the end of a turn, when the logs are committed, each
// viewer that has new events writes them with one sendmsg, straight from the log's shared memory, or from the
// segment if it is far behind. Bytes that its socket does not take stay in the log.
//
// Owned by the Daemon, used on the loop's thread; the town, the tickets and the loop outlive it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "orchestrator/log/event.h"
#include "process/result.h"
#include "process/timer.h"
#include "tickets/ticket_store.h"

namespace reeve {

class Agent;
class Loop;
class Reply;
class Town;

// A request for a stream. A value.
struct StreamRequest {
  bool several = false;     // GET /stream: control frames name their agent, and there are no event ids
  bool all_agents = false;  // later agents included
  struct From {
    std::string agent;
    std::optional<Cursor> after;  // nothing: live only
  };
  std::vector<From> agents;
  // Agents that cannot be shown. A stream of several says goodbye to each of these, and shows the others.
  std::vector<std::string> missing;
  TypeFilter types;
  bool follow = false;      // stay open when the agent has ended
  Grant grant;              // for the resume ticket
  std::string url_ticket;   // empty: a bearer token opened it
  std::string cookie_path;  // the path to which the browser sends the resume cookie
  bool cross_site = false;  // a page of an allowed foreign origin opened it over TLS
  std::vector<std::pair<std::string, std::string>> headers;  // CORS
  std::string request_id;
};

class Viewers {
 public:
  struct Limits {
    size_t viewers = 20'000;         // each costs a descriptor and up to about 300 kB of kernel memory
    int64_t heartbeat_ms = 15'000;   // after so long without traffic
    int64_t stall_ms = 600'000;      // closed as too_slow after so long without progress
    size_t share_bytes = 256 << 10;  // for one viewer in one turn; then it is the turn of the others
    int64_t slice_ms = 3;            // for all viewers in one turn; then other work follows
  };

  Viewers(Loop& loop, Town& town, TicketStore& tickets, Limits limits);
  ~Viewers();
  Viewers(const Viewers&) = delete;
  Viewers& operator=(const Viewers&) = delete;

  [[nodiscard]] bool full() const { return all_.size() >= limits_.viewers; }

  // Answers `reply` with a stream; its head and first frames are sent at the end of this turn. Errors, with
  // `reply` unused: "agent_not_found" and a log that cannot be read, unless there are others; "stream_ended"
  // (204) when everything after the cursor has been delivered and nothing can follow. `replaces` is a stream
  // to close, because its resume ticket was used.
  Status Open(Reply& reply, StreamRequest request, uint64_t replaces);

  // Serves the viewers that have something to send, for at most one time slice. Returns true if some are
  // still waiting; the loop must not sleep then. Called at the end of each turn, after the town has committed
  // its logs.
  bool Serve();

  // Says goodbye to all viewers. Calls `closed` when all have gone or `timeout_ms` has passed.
  void Shutdown(int64_t timeout_ms, std::function<void()> closed);
  // New time-outs, for the present viewers too.
  void SetTimeouts(int64_t heartbeat_ms, int64_t stall_ms) {
    limits_.heartbeat_ms = heartbeat_ms;
    limits_.stall_ms = stall_ms;
  }
  // Closes the streams that a bearer token opened which is no longer valid.
  void CloseByToken(uint64_t token);

  // The town reports changes of its agents.
  void AgentMade(Agent& agent);
  void AgentDeleted(Agent& agent);  // its streams end after its process
  void AgentPurged(Agent& agent);   // its log is about to be destroyed

  struct Stats {
    size_t viewers = 0;
    size_t blocked = 0;  // viewers whose sockets are full
    uint64_t opened = 0;
    uint64_t writes = 0;
    uint64_t bytes = 0;
    uint64_t too_slow = 0;
    // The events of a log, once for each viewer that shows it, are delivered, filtered (its filter excludes
    // them) or in a gap. They are counted when a viewer reaches the head of the log, and when it ends.
    uint64_t delivered = 0;
    uint64_t filtered = 0;
    uint64_t gaps = 0;
    uint64_t gap_events = 0;
    uint64_t gap_bytes = 0;   // of the gaps that opened while the viewer was connected
    uint64_t disk_reads = 0;  // reads from segments instead of the shared tail
  };
  [[nodiscard]] Stats stats() const;

 private:
  class Viewer;
  friend class Viewer;

  void Enqueue(Viewer& viewer);
  void Remove(Viewer& viewer);
  [[nodiscard]] Viewer* FindStream(uint64_t stream) const;
  void CheckTimeouts();  // sends heartbeats; closes stalled and ending viewers

  Loop& loop_;
  Town& town_;
  TicketStore& tickets_;
  Limits limits_;
  std::vector<std::unique_ptr<Viewer>> all_;
  std::vector<std::unique_ptr<Viewer>> gone_;  // closed; may still be in ready_
  std::vector<Viewer*> ready_;                 // first in, first out, from index next_
  size_t next_ = 0;
  std::string scratch_;  // buffer for reads from segments
  uint64_t next_stream_ = 1;
  size_t checked_ = 0;
  Timer scan_;
  Stats stats_;
  std::function<void()> closed_;
  int64_t close_deadline_ms_ = 0;
};

}  // namespace reeve
