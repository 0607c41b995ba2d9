// Room streams/: answers that last: live viewers and exports.
//
// Viewers: the schedule of all live viewers (viewer.h). A viewer is a socket and, for each agent it shows, a
// position in that agent's log. It holds no events. At the end of a turn, when the logs are committed, each
// viewer that has something to send writes it with one system call, straight from the log's shared memory, or
// from the segment if it is far behind. Bytes that its socket does not take stay in the log.
//
// Owned by the Daemon, used on the loop's thread; the town, the tickets and the loop outlive it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "control/streams/log_cursor.h"
#include "control/streams/viewer.h"
#include "process/result.h"
#include "process/timer.h"

namespace reeve {

class Agent;
class Loop;
class TicketStore;
class Town;

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

  // Takes a new viewer. `replaces` is the viewer to close, because its resume ticket was used; 0: none.
  void Add(std::unique_ptr<Viewer> viewer, uint64_t replaces);
  // The open viewer with that number, or null.
  [[nodiscard]] Viewer* Find(uint64_t stream) const;

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
  // Ends and destroys all viewers, without a goodbye. Not during Serve.
  void Clear();
  // Another daemon is about to follow.
  void Restart();
  // Closes the streams that a bearer token opened which is no longer valid.
  void CloseByToken(uint64_t token);

  // The town reports changes of its agents.
  void AgentMade(Agent& agent);
  void AgentDeleted(Agent& agent);  // its streams end after its process
  void AgentPurged(Agent& agent);   // its log is about to be destroyed

  struct Stats : Deliveries {
    size_t viewers = 0;
    size_t blocked = 0;  // viewers whose sockets are full
    uint64_t opened = 0;
    uint64_t writes = 0;
    uint64_t bytes = 0;
    uint64_t too_slow = 0;
  };
  [[nodiscard]] Stats stats() const;

  // --- for viewers
  uint64_t NextStream() { return next_stream_++; }
  void Enqueue(Viewer& viewer);
  void Remove(Viewer& viewer);
  [[nodiscard]] Loop& loop() const { return loop_; }
  [[nodiscard]] Town& town() const { return town_; }
  [[nodiscard]] TicketStore& tickets() const { return tickets_; }
  [[nodiscard]] const Limits& limits() const { return limits_; }
  // A clock that stands still while the loop is busy, so that a busy loop counts against no viewer.
  [[nodiscard]] int64_t responsive_ms() const { return responsive_ms_; }
  [[nodiscard]] Stats& counts() { return stats_; }
  [[nodiscard]] std::string& scratch() { return scratch_; }  // for one read from a segment

 private:
  void CheckTimeouts();

  Loop& loop_;
  Town& town_;
  TicketStore& tickets_;
  Limits limits_;
  std::vector<std::unique_ptr<Viewer>> all_;
  std::vector<std::unique_ptr<Viewer>> gone_;  // closed; may still be in ready_
  std::vector<Viewer*> ready_;                 // first in, first out, from index next_
  size_t next_ = 0;
  std::string scratch_;
  uint64_t next_stream_ = 1;
  size_t checked_ = 0;
  Timer scan_;
  int64_t scanned_ms_ = 0;  // when CheckTimeouts ran last
  int64_t responsive_ms_ = 0;
  Stats stats_;
  std::function<void()> closed_;
  int64_t close_deadline_ms_ = 0;
};

}  // namespace reeve
