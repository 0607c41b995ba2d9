#include <algorithm>
#include <set>
#include <utility>

#include "control/access/auth.h"
#include "control/api/api.h"
#include "control/streams/sse_viewer.h"
#include "orchestrator/agent/agent.h"

namespace reeve {

namespace {

const Error kTicketInvalid = {"ticket_invalid", "the ticket is missing, unknown, expired or used"};

std::string_view Cookie(const Request& request, const std::string& name) {
  for (const auto& [header, value] : request.headers) {
    if (header != "cookie") continue;
    std::string_view rest = value;
    while (!rest.empty()) {
      const size_t end = rest.find(';');
      std::string_view pair = rest.substr(0, end);
      rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
      while (!pair.empty() && pair.front() == ' ') pair.remove_prefix(1);
      if (pair.size() > name.size() && pair.substr(0, name.size()) == name && pair[name.size()] == '=') {
        return pair.substr(name.size() + 1);
      }
    }
  }
  return {};
}

// Decides who opens the stream and what it may show: by a ticket, by a used ticket together with its resume
// cookie, or by a bearer token.
Result<TicketStore::Redeemed> Authorize(ApiContext& api, const Request& request, const std::string& agent) {
  const auto ticket = request.Query("ticket");
  if (!ticket) {
    if (!request.caller) return kTicketInvalid;
    TicketStore::Redeemed redeemed;
    redeemed.grant.token = request.caller->token;
    return redeemed;
  }
  const Redemption claim{agent, std::string(request.Header("origin"))};
  auto redeemed = api.tickets.Redeem(*ticket, claim);
  if (!redeemed) {
    const std::string_view resume = Cookie(request, TicketStore::CookieName(*ticket));
    redeemed = api.tickets.RedeemWithCookie(*ticket, resume, claim);
  }
  // The tokens may have changed while no daemon was there to end the tickets.
  if (!redeemed || !api.gate.CallerOf(redeemed->grant.token)) return kTicketInvalid;
  return *redeemed;
}

// A stream has no head apart from its body, so a HEAD would use up the ticket for nothing.
Result<bool> ReadFollow(const Request& request) {
  if (request.method == "HEAD") return Error{"method_not_allowed", "a stream supports GET only"};
  const auto follow = request.Query("follow").value_or("0");
  if (follow != "0" && follow != "1") return Error{"invalid_request", "follow: must be 0 or 1"};
  return follow == "1";
}

void Open(ApiContext& api, Reply& reply, StreamRequest stream, uint64_t replaces) {
  Status opened = SseViewer::Open(api.viewers, reply, std::move(stream), replaces);
  if (opened) return;
  reply.Send(opened.error().code == "stream_ended" ? Response{204, {}, ""}
                                                   : Response::Problem(opened.error()));
}

void StreamOne(ApiContext& api, const Request& request, Reply reply) {
  const std::string& id = request.params[0];
  // First check everything that can be refused without using up the ticket.
  auto after = ReadCursor("Last-Event-ID", request.Header("last-event-id"));
  if (after && !*after) after = ReadCursor("after", request.Query("after"));
  if (!after) return reply.Refuse(after.error());
  auto follow = ReadFollow(request);
  if (!follow) return reply.Refuse(follow.error());
  auto types = TypeFilter::Parse(request.Query("types").value_or(""));
  if (!types) return reply.Refuse(types.error());
  if (api.viewers.full())
    return reply.Send(
        Response::Problem({"too_many_viewers", "the largest number of viewers is open; try again later"}));

  auto redeemed = Authorize(api, request, id);
  if (!redeemed) return reply.Refuse(redeemed.error());
  StreamRequest stream;
  stream.grant = std::move(redeemed->grant);
  stream.grant.agents = {id};
  if (auto start = stream.grant.after.find(id); !*after && start != stream.grant.after.end()) {
    after = ReadCursor("after", start->second);
  }
  stream.agents = {{id, *after}};
  stream.follow = *follow;
  stream.types = std::move(*types);
  stream.url_ticket = request.Query("ticket").value_or("");
  stream.cookie_path = api.base_path + "/agents/" + id + "/stream";
  stream.headers = api.gate.CorsHeaders(request);
  // A page that was loaded over TLS can reach us only over TLS, or on its own machine.
  stream.cross_site = !stream.headers.empty() && request.Header("origin").substr(0, 8) == "https://";
  stream.request_id = request.id;
  Open(api, reply, std::move(stream), redeemed->replaces);
}

// "a1:3-10,b2:1-7"
Result<std::map<std::string, Cursor>> ReadPositions(std::string_view text) {
  std::map<std::string, Cursor> positions;
  while (!text.empty()) {
    const size_t comma = text.find(',');
    std::string_view pair = text.substr(0, comma);
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
    const size_t colon = pair.find(':');
    auto cursor = colon == std::string_view::npos ? std::nullopt : Cursor::Parse(pair.substr(colon + 1));
    if (!cursor) return Error{"invalid_request", "after: must be a comma-separated list of agent:cursor"};
    positions[std::string(pair.substr(0, colon))] = *cursor;
  }
  return positions;
}

void StreamSeveral(ApiContext& api, const Request& request, Reply reply) {
  auto positions = ReadPositions(request.Query("after").value_or(""));
  if (!positions) return reply.Refuse(positions.error());
  auto follow = ReadFollow(request);
  if (!follow) return reply.Refuse(follow.error());
  auto types = TypeFilter::Parse(request.Query("types").value_or(""));
  if (!types) return reply.Refuse(types.error());
  if (api.viewers.full())
    return reply.Send(
        Response::Problem({"too_many_viewers", "the largest number of viewers is open; try again later"}));

  auto redeemed = Authorize(api, request, "");
  if (!redeemed) return reply.Refuse(redeemed.error());
  Grant& grant = redeemed->grant;
  if (!request.Query("ticket")) {
    const auto agents = request.Query("agents");
    if (!agents)
      return reply.Send(
          Response::Problem({"invalid_request", "agents: must be a comma-separated list of ids, or *"}));
    grant.several = true;
    grant.all_agents = *agents == "*";
    for (std::string_view rest = grant.all_agents ? "" : *agents; !rest.empty();) {
      const size_t comma = rest.find(',');
      grant.agents.emplace_back(rest.substr(0, comma));
      if (!api.town.Find(grant.agents.back())) {
        return reply.Send(Response::Problem(
            {"agent_not_found", "agents: there is no agent " + grant.agents.back().substr(0, 64)}));
      }
      rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 1);
    }
  }
  StreamRequest stream;
  std::vector<std::string> ids = grant.agents;
  if (grant.all_agents) {
    for (const auto& [id, agent] : api.town.agents()) {
      if (!agent->deleted()) ids.push_back(id);
    }
  }
  for (const std::string& id : ids) {
    StreamRequest::From from{id, {}};
    if (auto position = positions->find(id); position != positions->end()) {
      from.after = position->second;
    } else if (auto start = grant.after.find(id); start != grant.after.end()) {
      from.after = Cursor::Parse(start->second);
    }
    stream.agents.push_back(std::move(from));
  }
  stream.several = true;
  stream.all_agents = grant.all_agents;
  stream.follow = *follow;
  stream.types = std::move(*types);
  stream.grant = std::move(grant);
  stream.headers = api.gate.CorsHeaders(request);
  stream.request_id = request.id;
  Open(api, reply, std::move(stream), redeemed->replaces);
}

}  // namespace

void AddStreamRoutes(Router& router, ApiContext& api) {
  router.Add("GET", "/agents/{id}/stream", Access::kOpen,
             [&api](const Request& request, Reply reply) { StreamOne(api, request, std::move(reply)); },
             {"ticket", "after", "types", "follow"});
  router.Add("GET", "/stream", Access::kOpen,
             [&api](const Request& request, Reply reply) { StreamSeveral(api, request, std::move(reply)); },
             {"ticket", "agents", "after", "types", "follow"});
}

}  // namespace reeve
