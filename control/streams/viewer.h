// Viewer: one open live connection, and its place in the schedule of Viewers. Its subclass decides on the
// form in which it sends events: SseViewer is one of GET /stream and GET /agents/{id}/stream,
// GatewayConnection (control/gateway/) one of GET /ws.
//
// Owned by Viewers, which calls it at the end of a turn if it is queued.
#pragma once

#include <cstddef>
#include <cstdint>
#include <set>

#include "control/streams/log_cursor.h"

namespace reeve {

class Agent;
class Viewers;

class Viewer : public LogCursor::Owner {
 public:
  virtual ~Viewer() = default;
  Viewer(const Viewer&) = delete;
  Viewer& operator=(const Viewer&) = delete;

  // A number that no other viewer ever has; the tickets know the stream by it.
  [[nodiscard]] uint64_t stream() const { return stream_; }
  [[nodiscard]] uint64_t token() const { return token_; }  // the bearer token that opened it
  [[nodiscard]] bool blocked() const { return blocked_; }
  [[nodiscard]] bool gone() const { return gone_; }

  // Ends the connection, with the reason, after what is on its way.
  virtual void Bye(const char* reason) = 0;
  // Ends the connection, at once unless the subclass says otherwise: its token is no longer valid, or nothing
  // more can be sent.
  virtual void Drop();

  // Another daemon is about to follow this one, and the socket ends with it.
  virtual void Restart() {}

  // --- called by Viewers
  // Writes what there is to send, at most its share. Returns true if there is more and the socket takes it.
  virtual bool Pump() = 0;
  // Called about once a second: heartbeats, and the end of a connection that is stalled or has said goodbye.
  virtual void CheckTimeouts(int64_t now_ms) = 0;
  // Frees what it holds. It is destroyed later, because its functions may be on the stack.
  virtual void Close() = 0;
  // The town has a new agent, the agent has been deleted, or its log is about to be destroyed.
  virtual void AgentMade(Agent& agent, EventLog& log) = 0;
  virtual void AgentDeleted(Agent& agent) = 0;
  virtual void AgentPurged(Agent& agent) = 0;

 protected:
  Viewer(Viewers& hub, uint64_t token);

  // There is something to send.
  void Enqueue();
  // The socket is full; or it takes bytes again.
  void Block();
  void Unblock();
  [[nodiscard]] int64_t blocked_since_ms() const { return blocked_since_ms_; }
  // Reading failed. Moves over damaged events and fetches what is not in the page cache, off the loop. For
  // any other error the connection ends; the client may return with its cursor.
  void ReadFailed(LogCursor& cursor, const Error& error);
  // A part of a log is being fetched; that of this cursor.
  [[nodiscard]] bool warming() const { return !warming_.empty(); }
  [[nodiscard]] bool warming(const LogCursor& cursor) const { return warming_.count(&cursor) != 0; }
  [[nodiscard]] bool queued() const { return queued_; }

  void OnLost(LogCursor& cursor, const Error& error) override;

  Viewers& hub_;

 private:
  friend class Viewers;

  const uint64_t stream_;
  const uint64_t token_;
  bool queued_ = false;  // is in the list of Viewers
  bool blocked_ = false;
  // Cursors whose part of a log is being fetched. They may have gone, and are never followed.
  std::set<const LogCursor*> warming_;
  bool gone_ = false;
  int64_t blocked_since_ms_ = 0;
};

}  // namespace reeve
