// Stream tickets.
#include <algorithm>
#include <set>
#include <utility>

#include "control/access/auth.h"
#include "control/api/api.h"
#include "orchestrator/agent/agent.h"

namespace reeve {

namespace {

using Type = Parameter::Type;

const char* NameOf(TicketMode mode) {
  switch (mode) {
    case TicketMode::kView:
      return "view";
    case TicketMode::kOperate:
      return "operate";
    case TicketMode::kTerminal:
      return "terminal";
  }
  return "";
}

// The grant that the caller asks for, without the agents.
Result<Grant> ReadGrant(const Call& call) {
  Grant grant;
  for (TicketMode one : {TicketMode::kView, TicketMode::kOperate, TicketMode::kTerminal}) {
    if (call.Text("mode").value_or(NameOf(TicketMode::kView)) == NameOf(one)) grant.mode = one;
  }
  if (!call.HasScope(ScopeOf(grant.mode))) {
    return Error{"forbidden", std::string("a ticket of mode ") + NameOf(grant.mode) +
                                  " needs a token of scope " +
                                  (ScopeOf(grant.mode) == Scope::kAdmin ? "admin" : "operate")};
  }
  grant.origin = call.request().Header("origin");
  grant.token = call.token();
  return grant;
}

void SendTicket(ApiContext& api, Reply& reply, const Call& call, Grant grant, const std::string& path) {
  const int64_t ttl_ms = call.Integer("ttl_ms").value_or(TicketStore::kMaxTtlMs);
  const std::string ticket = api.tickets.Issue(std::move(grant), ttl_ms);
  reply.Send(Response::Json(200, JsonObject()
                                     .Set("ticket", ticket)
                                     .Set("expires_at", FormatTime(api.clock.WallMs() + ttl_ms))
                                     .Set("url", api.base_path + path + "?ticket=" + ticket)
                                     .Take()));
}

// A cursor from a body, kept as text: it is applied when the stream opens.
Status ReadAfter(const std::string& agent, const JsonValue& value, Grant& grant) {
  if (!value) return {};
  auto text = value.AsString();
  auto cursor = ReadCursor("after", text.value_or("?"));
  if (!cursor) return cursor.error();
  if (*cursor) grant.after[agent] = (*cursor)->ToString();
  return {};
}

void IssueForAgent(ApiContext& api, const Call& call, Reply reply) {
  auto grant = ReadGrant(call);
  if (!grant) return reply.Refuse(grant.error());
  const std::string& id = call.agent().id();
  if (const auto after = call.Position("after")) grant->after[id] = after->ToString();
  grant->agents = {id};
  SendTicket(api, reply, call, std::move(*grant), "/agents/" + id + "/stream");
}

Status ReadAgents(const ApiContext& api, const JsonValue& agents, Grant& grant) {
  if (agents.StringOr("") == "*") {
    grant.all_agents = true;
    return {};
  }
  if (!agents.Is(JsonType::kArray) || agents.size() == 0)
    return Error{"invalid_request", R"(agents: must be a list of ids, or "*")"};
  std::set<std::string> named;
  for (const JsonValue& value : agents.Elements()) {
    const std::string id(value.StringOr(""));
    if (!api.town.Find(id)) return Error{"agent_not_found", "agents: there is no agent " + id.substr(0, 64)};
    if (named.insert(id).second) grant.agents.push_back(id);
  }
  return {};
}

Status ReadPositions(const ApiContext& api, const JsonValue& after, Grant& grant) {
  if (after && !after.Is(JsonType::kObject))
    return Error{"invalid_request", "after: must be an object that maps agent ids to cursors"};
  for (const auto& [id, cursor] : after.Members()) {
    const bool shown = grant.all_agents
                           ? api.town.Find(std::string(id)) != nullptr
                           : std::find(grant.agents.begin(), grant.agents.end(), id) != grant.agents.end();
    if (!shown)
      return Error{"agent_not_found", "after: the ticket shows no agent " + std::string(id.substr(0, 64))};
    if (Status read = ReadAfter(std::string(id), cursor, grant); !read) return read;
  }
  return {};
}

void IssueForSeveral(ApiContext& api, const Call& call, Reply reply) {
  auto grant = ReadGrant(call);
  if (!grant) return reply.Refuse(grant.error());
  grant->several = true;
  grant->resume_ms = call.Integer("resume_ms").value_or(TicketStore::kResumeMs);
  if (Status read = ReadAgents(api, call.Json("agents"), *grant); !read) return reply.Refuse(read.error());
  if (Status read = ReadPositions(api, call.Json("after"), *grant); !read) return reply.Refuse(read.error());
  SendTicket(api, reply, call, std::move(*grant), "/stream");
}

Parameter Mode() {
  return Member("mode", Type::kString, "The caller's part in the stream; view if absent.")
      .OneOf({"view", "operate", "terminal"});
}

Parameter TimeToLive() {
  return Member("ttl_ms", Type::kInteger, "The time in which the ticket can be used; 60 s if absent.")
      .Between(1, TicketStore::kMaxTtlMs);
}

}  // namespace

std::vector<Operation> TicketOperations() {
  return {
      {.name = "tickets.issue",
       .access = Access::kView,
       .method = "POST",
       .path = "/agents/{id}/stream-ticket",
       .text = "Issues a ticket that opens the stream of an agent once.",
       .parameters = {PathAgent(), Mode(), TimeToLive(),
                      Member("after", Type::kCursor, "Where the stream begins.")},
       .answers = {{200, "Ticket"}},
       .errors = {"forbidden", "too_many_requests"},
       .run = IssueForAgent,
       .secret = true},
      {.name = "tickets.issue_several",
       .access = Access::kView,
       .method = "POST",
       .path = "/stream-ticket",
       .text = "Issues a ticket that opens one stream of several agents once.",
       .parameters = {Mode(), TimeToLive(),
                      Member("resume_ms", Type::kInteger,
                             "The validity of a resume ticket after the end of its stream; 60 s if absent.")
                          .Between(1, TicketStore::kMaxResumeMs),
                      JsonMember("agents", "AgentIdsOrAll", "The agents, or * for all.")
                          .Must(R"(must be a list of ids, or "*")")
                          .Required(),
                      JsonMember("after", "Cursors", "Where the stream of each agent begins.")},
       .answers = {{200, "Ticket"}},
       .errors = {"forbidden", "agent_not_found", "too_many_requests"},
       .run = IssueForSeveral,
       .secret = true},
  };
}

}  // namespace reeve
