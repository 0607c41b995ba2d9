// Gateway: GET /ws. It decides who may open a connection, and owns what all connections share.
//
// Owned by the Daemon, on the loop's thread; what the constructor refers to outlives it.
#pragma once

#include <string>

#include "control/gateway/event_batches.h"
#include "control/gateway/owners.h"
#include "control/http/http.h"
#include "control/http/web_socket.h"

namespace reeve {

class Idempotency;
class Router;
struct ApiContext;

class Gateway {
 public:
  // The subprotocols that clients offer (RFC 6455 section 1.9): the gateway's, and one that carries a ticket.
  static constexpr std::string_view kProtocol = "reeve.v1";
  static constexpr std::string_view kTicketProtocol = "reeve.ticket.";

  // All connections together hold at most so much of calls that have not arrived whole; those below scope
  // operate half of it. As Server::Limits::held_bytes for requests.
  static constexpr size_t kMaxPartialBytes = size_t{64} << 20;

  Gateway(ApiContext& api, Idempotency& idempotency);
  ~Gateway();  // ends all viewers: connections refer to it
  Gateway(const Gateway&) = delete;
  Gateway& operator=(const Gateway&) = delete;

  // Answers a request for a WebSocket.
  void Open(const Request& request, Reply reply);
  // Says whether Open would accept the ticket of the header X-Reeve-Ticket, which is not used up. A browser
  // does not learn why a WebSocket failed.
  void CheckTicket(const Request& request, Reply reply) const;
  // To be called at the end of each turn, after the viewers are served.
  void EndTurn() { batches_.Forget(); }

  // --- for connections
  // Bytes that wait for sockets. Beyond this, connections that have much of them end.
  static constexpr size_t kMaxUnsentBytes = size_t{64} << 20;
  void CountUnsent(size_t before, size_t now) { unsent_ = unsent_ - before + now; }
  [[nodiscard]] size_t unsent() const { return unsent_; }
  [[nodiscard]] ApiContext& api() const { return api_; }
  [[nodiscard]] Idempotency& idempotency() const { return idempotency_; }
  [[nodiscard]] EventBatches& batches() { return batches_; }
  [[nodiscard]] Owners& owners() { return owners_; }
  [[nodiscard]] std::string& frames() { return frames_; }  // for one write
  [[nodiscard]] WebSocket::Budget& budget() { return budget_; }

 private:
  ApiContext& api_;
  Idempotency& idempotency_;
  EventBatches batches_;
  Owners owners_;
  std::string frames_;
  size_t unsent_ = 0;
  WebSocket::Budget budget_;
};

void AddGatewayRoute(Router& router, Gateway& gateway);

}  // namespace reeve
