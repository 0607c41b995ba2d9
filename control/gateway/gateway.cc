#include "control/gateway/gateway.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "control/access/auth.h"
#include "control/api/api.h"
#include "control/gateway/gateway_connection.h"
#include "control/http/router.h"
#include "control/streams/viewers.h"
#include "orchestrator/json/json.h"
#include "process/random.h"

namespace reeve {

namespace {

constexpr size_t kConnectionIdBytes = 16;

// The other end of a connected socket, for the log: "127.0.0.1:4711", "[::1]:4711" or "unix socket".
std::string PeerOf(int socket) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  char text[INET6_ADDRSTRLEN] = "";
  if (getpeername(socket, reinterpret_cast<sockaddr*>(&address), &size) != 0) return "unknown";
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
    return std::string(text) + ":" + std::to_string(ntohs(v4.sin_port));
  }
  if (address.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
    inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
    return "[" + std::string(text) + "]:" + std::to_string(ntohs(v6.sin6_port));
  }
  return "unix socket";
}

// The ticket in the query or in a subprotocol, which keeps it out of the logs of proxies.
std::optional<std::string_view> TicketOf(const Request& request, const WebSocketHandshake& handshake) {
  if (const auto ticket = request.Query("ticket")) return ticket;
  for (const std::string_view protocol : handshake.protocols) {
    if (protocol.starts_with(Gateway::kTicketProtocol))
      return protocol.substr(Gateway::kTicketProtocol.size());
  }
  return std::nullopt;
}

constexpr const char* kInvalidTicket = "the ticket is missing, unknown, expired or used";

}  // namespace

Gateway::Gateway(ApiContext& api, Idempotency& idempotency)
    : api_(api), idempotency_(idempotency), owners_(api.loop, api.town) {}

Gateway::~Gateway() { api_.viewers.Clear(); }

void Gateway::Open(const Request& request, Reply reply) {
  // First check everything that can be refused without using up the ticket.
  WebSocketHandshake handshake;
  if (auto refusal = ReadHandshake(request, handshake)) return reply.Send(std::move(*refusal));
  if (api_.viewers.full())
    return reply.Refuse({"too_many_viewers", "the largest number of viewers is open; try again later"});

  TicketStore::Redeemed redeemed;
  std::optional<Request::Caller> caller = request.caller;
  const auto ticket = TicketOf(request, handshake);
  if (ticket) {
    auto found = api_.tickets.Redeem(*ticket, {"", std::string(request.Header("origin"))});
    caller = found ? api_.gate.CallerOf(found->grant.token) : std::nullopt;
    if (!caller) return reply.Refuse({"ticket_invalid", kInvalidTicket});
    redeemed = std::move(*found);
    caller->scope = std::min(caller->scope, ScopeOf(redeemed.grant.mode));
  } else if (caller) {
    redeemed.grant.several = true;
    redeemed.grant.all_agents = true;
    redeemed.grant.token = caller->token;
    redeemed.grant.mode = ModeOf(caller->scope);
    redeemed.grant.origin = request.Header("origin");
  } else {
    return reply.Refuse({"ticket_invalid", kInvalidTicket});
  }
  Grant& grant = redeemed.grant;
  grant.after.clear();  // each subscription says where it begins
  if (grant.connection.empty()) grant.connection = RandomHex(kConnectionIdBytes);
  caller->connection = grant.connection;

  const Scope scope = caller->scope;
  RpcCaller rpc{*caller, std::string(request.Header("origin")), request.from_unix_socket, {}};
  if (!grant.all_agents) rpc.agents = grant.agents;
  const auto& offered = handshake.protocols;
  const bool chosen = std::find(offered.begin(), offered.end(), kProtocol) != offered.end();
  std::string head =
      FormatUpgrade(handshake, chosen ? kProtocol : "", api_.gate.CorsHeaders(request), request.id);
  TakenSocket socket = reply.TakeSocket();
  if (!socket.socket) return;  // the client left meanwhile
  std::string peer = PeerOf(socket.socket->fd());
  auto connection = std::make_unique<GatewayConnection>(
      *this, GatewayConnection::Opening{std::move(socket), std::move(head), std::move(rpc), std::move(peer),
                                        JsonObject()
                                            .Set("version", REEVE_VERSION)
                                            .Set("town", api_.town.name())
                                            .Set("scope", ScopeName(scope))
                                            .Set("heartbeat_ms", api_.viewers.limits().heartbeat_ms)
                                            .Take()});
  GatewayConnection& added = *connection;
  api_.viewers.Add(std::move(connection), redeemed.replaces);
  const std::string resume = api_.tickets.OpenStream(added.stream(), std::move(grant), "");
  if (redeemed.resumes) api_.tickets.KeepEarlier(added.stream(), *ticket);
  added.Begin(resume, redeemed.resumes);
}

void Gateway::CheckTicket(const Request& request, Reply reply) const {
  const std::string origin(request.Header("origin"));
  const Grant* grant = api_.tickets.Find(request.Header("x-reeve-ticket"), {"", origin});
  if (!grant || !api_.gate.CallerOf(grant->token)) return reply.Refuse({"ticket_invalid", kInvalidTicket});
  reply.Send({204, {}, ""});
}

void AddGatewayRoute(Router& router, Gateway& gateway) {
  router.Add("GET", "/ws", Access::kOpen,
             [&gateway](const Request& request, Reply reply) { gateway.Open(request, std::move(reply)); },
             {"ticket"});
  router.Add("GET", "/ws/ticket", Access::kOpen, [&gateway](const Request& request, Reply reply) {
    gateway.CheckTicket(request, std::move(reply));
  });
}

}  // namespace reeve
