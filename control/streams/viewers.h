// Room streams/: answers that go on: live viewers and exports.
//
// Viewers: the open live streams (control/api/API.md). A viewer is a socket and, for each agent it sees, a
// position in that agent's log; it holds no event. At the end of a turn, when the logs are committed, each
// viewer that has something new writes it with one sendmsg straight from the log's shared memory, or from the
// segment when it is far behind. What its socket does not take stays where it is, in the log.
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

// What a stream is to show. A value.
struct StreamRequest {
  bool several = false;     // GET /stream: control frames name their agent, no event ids to resume by
  bool all_agents = false;  // those to come, too
  struct From {
    std::string agent;
    std::optional<Cursor> after;  // nothing: live only
  };
  std::vector<From> agents;
  TypeFilter types;
  bool follow = false;                                       // stay when the agent has ended
  Grant grant;                                               // for the resume ticket
  std::string url_ticket;                                    // empty: a bearer token opened it
  std::string cookie_path;                                   // where the resume cookie is sent back to
  std::vector<std::pair<std::string, std::string>> headers;  // CORS
  std::string request_id;
};

class Viewers {
 public:
  struct Limits {
    size_t viewers = 20'000;         // each costs a descriptor and up to about 300 kB of the kernel's memory
    int64_t heartbeat_ms = 15'000;   // without traffic
    int64_t stall_ms = 600'000;      // takes nothing for so long: too_slow
    size_t share_bytes = 256 << 10;  // of one viewer in one turn; then the others get theirs
    int64_t slice_ms = 3;            // of one turn; then the loop looks after everything else
  };

  Viewers(Loop& loop, Town& town, TicketStore& tickets, Limits limits);
  ~Viewers();
  Viewers(const Viewers&) = delete;
  Viewers& operator=(const Viewers&) = delete;

  [[nodiscard]] bool full() const { return all_.size() >= limits_.viewers; }

  // Answers `reply` with a stream; head and first frames go out at the end of this turn. Errors, when nothing
  // was taken: "agent_not_found"; a log that cannot be read; "stream_ended" where all that a cursor asks for
  // has been delivered and nothing can follow (204). `replaces` is a stream to close, as its resume ticket
  // was used.
  Status Open(Reply& reply, const StreamRequest& request, uint64_t replaces);

  // Serves whoever has something to get, for at most a slice. True when some are still waiting: the loop must
  // not sleep. Run at the end of each turn, after the town has committed its logs.
  bool Serve();

  // Says goodbye to everyone and calls `closed` when all have gone or `timeout_ms` has passed.
  void Shutdown(int64_t timeout_ms, std::function<void()> closed);
  // From now on, for those that are here too.
  void SetTimeouts(int64_t heartbeat_ms, int64_t stall_ms) {
    limits_.heartbeat_ms = heartbeat_ms;
    limits_.stall_ms = stall_ms;
  }
  // Closes what a bearer token that is no longer valid had opened.
  void CloseByToken(uint64_t token);

  // The town's news.
  void AgentMade(Agent& agent);
  void AgentDeleted(Agent& agent);  // its streams end once its process has
  void AgentPurged(Agent& agent);   // its log goes now

  struct Stats {
    size_t viewers = 0;
    size_t blocked = 0;  // their sockets take nothing at present
    uint64_t opened = 0;
    uint64_t writes = 0;
    uint64_t bytes = 0;
    uint64_t too_slow = 0;
    uint64_t gaps = 0;
    uint64_t disk_reads = 0;  // from segments, not from the shared tail
  };
  [[nodiscard]] Stats stats() const;

 private:
  class Viewer;
  friend class Viewer;

  void Enqueue(Viewer& viewer);
  void Remove(Viewer& viewer);
  [[nodiscard]] Viewer* FindStream(uint64_t stream) const;
  void CheckTimeouts();  // heartbeats, stalled ones, closing ones

  Loop& loop_;
  Town& town_;
  TicketStore& tickets_;
  Limits limits_;
  std::vector<std::unique_ptr<Viewer>> all_;
  std::vector<std::unique_ptr<Viewer>> gone_;  // closed, perhaps still in ready_
  std::vector<Viewer*> ready_;                 // first in, first out from next_ on
  size_t next_ = 0;
  std::string scratch_;  // of reads from segments
  uint64_t next_stream_ = 1;
  size_t looked_at_ = 0;
  Timer scan_;
  Stats stats_;
  std::function<void()> closed_;
  int64_t close_deadline_ms_ = 0;
};

}  // namespace reeve
