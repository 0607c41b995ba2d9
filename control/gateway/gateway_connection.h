// GatewayConnection: one connection of GET /ws (control/api/API.md, "The gateway"). Its calls go to the table
// of operations (Rpc), and its subscriptions are places in logs, as those of every viewer.
//
// Answers are sent before events. Only the rest of a write that the socket took in part, at most some 64 KiB,
// is before them. Calls wait in the order of their arrival: some are run in each turn of the loop, and none
// while the client does not read its answers.
//
// Owned by Viewers. The Gateway outlives it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "control/api/operation.h"
#include "control/gateway/rpc.h"
#include "control/http/web_socket.h"
#include "control/streams/viewer.h"
#include "orchestrator/log/event.h"
#include "process/result.h"
#include "process/timer.h"

namespace reeve {

class Gateway;

class GatewayConnection final : public Viewer, private WebSocket::Listener {
 public:
  static constexpr size_t kMaxSubscriptions = 1'000;
  // Places in logs of all its subscriptions.
  static constexpr size_t kMaxPlaces = 20'000;
  // With more answers than this waiting for the socket, no further call is run, and nothing is read.
  static constexpr size_t kMaxUnsent = size_t{256} << 10;
  // Answers to earlier calls may still come. Beyond this the connection ends.
  static constexpr size_t kMaxAnswers = size_t{16} << 20;
  // In one turn of the loop.
  static constexpr int kCallsPerTurn = 32;
  static constexpr int64_t kCallSliceUs = 2'000;
  // A write has about this many bytes of events, so that answers and other agents need not wait for long.
  static constexpr size_t kWriteBytes = size_t{64} << 10;
  // Close codes for the client (RFC 6455 section 7.4.2: 4000 to 4999 are for applications).
  static constexpr uint16_t kReplaced = 4000;

  struct Opening {
    TakenSocket socket;
    std::string head;  // the 101 answer
    RpcCaller caller;
    std::string peer;   // for the log
    std::string ready;  // the data of gateway.ready without `resume`, an object
  };
  GatewayConnection(Gateway& gateway, Opening opening);
  ~GatewayConnection() override;
  // Sends gateway.ready with the resume ticket, which is known once the connection is among the viewers. If
  // it continues another one, the pong to a ping behind that message tells that the client has the new
  // ticket.
  void Begin(const std::string& resume, bool resumes);

  void Bye(const char* reason) override;
  // Closes it politely, because its token is no longer valid.
  void Drop() override;
  void Restart() override;
  bool Pump() override;
  void CheckTimeouts(int64_t now_ms) override;
  void Close() override;
  void AgentMade(Agent& agent, EventLog& log) override;
  void AgentDeleted(Agent& agent) override;
  void AgentPurged(Agent& agent) override;

 private:
  struct Subscription;

  void OnText(std::string_view message) override;
  void OnPong(std::string_view payload) override;
  void OnWritable() override;
  void OnLast() override;
  void OnEnd(const WebSocket::End& end) override;
  void OnCommit(LogCursor& cursor) override;
  void OnTrim(LogCursor& cursor) override;
  void OnGap(LogCursor& cursor) override;
  void OnLost(LogCursor& cursor, const Error& error) override;

  void RunCalls();
  void TakeMore();
  void SendAnswer(const std::string& message);
  void CountUnsent();
  void Run(const Operation& method, const Call& call, Reply reply);
  void Subscribe(const Call& call, Reply reply);
  void Unsubscribe(const Call& call, Reply reply);
  void Show(Subscription& subscription, const LogCursor::Place& place);
  void TakeTurn(LogCursor& cursor);
  void Fill(std::string& frames, int64_t& share);
  void AppendSome(std::string& frames, int64_t& share);
  bool AppendEvents(LogCursor& cursor, std::string& frames, int64_t& share);
  void AppendPending(std::string& frames, const Subscription& subscription, const Agent& agent);
  void Remove(LogCursor& cursor, const char* reason);
  void CloseWith(uint16_t code, std::string_view reason);
  void Finish();
  void TellEnd(const WebSocket::End& end);
  [[nodiscard]] size_t CountPlaces() const;
  [[nodiscard]] bool MayShow(const std::string& agent) const;

  Gateway& gateway_;
  const std::string peer_;
  const RpcCaller caller_;
  std::string ready_;
  WebSocket socket_;
  std::map<uint64_t, std::unique_ptr<Subscription>> subscriptions_;
  uint64_t last_subscription_ = 0;
  std::deque<LogCursor*> active_;  // those with unsent events; the first one is next
  std::string byes_;               // frames with goodbyes, which follow the events
  uint64_t events_ = 0;            // messages with events that were sent
  int64_t last_text_ms_;
  bool told_ = false;                  // its line is in the log
  std::optional<WebSocket::End> end_;  // the socket has ended; the calls that came before still run
  size_t counted_unsent_ = 0;          // its part of Gateway::unsent
  std::deque<std::string> calls_;      // that have arrived and wait
  std::unique_ptr<Timer> next_calls_;  // runs them; made with the first one
  std::unique_ptr<Rpc> rpc_;           // declared last: its end calls OnGone of the calls in progress
};

}  // namespace reeve
