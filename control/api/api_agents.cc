#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <utility>

#include "control/api/api.h"
#include "orchestrator/adapters/kind.h"
#include "orchestrator/agent/agent.h"
#include "orchestrator/agent/approval_excerpt.h"
#include "process/loop.h"
#include "process/regular_file.h"

namespace reeve {

namespace {

constexpr int64_t kMaxPage = 1'000;
constexpr int64_t kMaxGraceMs = 600'000;

// Wraps a Reply so that std::function can copy a callback that holds it.
std::shared_ptr<Reply> Shared(Reply reply) { return std::make_shared<Reply>(std::move(reply)); }

// The agent's JSON with the resources of its process, if it has one.
std::string JsonWithResources(const Agent& agent) {
  std::string json = agent.ToJson();
  if (const std::string resources = agent.ResourcesJson(); !resources.empty()) {
    json.back() = ',';
    json += "\"resources\":" + resources + "}";
  }
  return json;
}

void List(ApiContext& api, const Request& request, Reply reply) {
  auto limit = ReadNumber(request, "limit", 100, 1, kMaxPage);
  if (!limit) return reply.Send(Response::Problem(limit.error()));
  const auto state_name = request.Query("state");
  const auto state = ParseAgentState(state_name.value_or(""));
  if (state_name && !state) {
    return reply.Send(Response::Problem({"invalid_request", "state: must be the name of an agent's state"}));
  }
  const auto labels = ReadLabels(request);
  if (!labels) return reply.Send(Response::Problem(labels.error()));
  const auto title = request.Query("title");
  const auto kind = request.Query("kind");
  if (kind && !FindKind(*kind)) {
    return reply.Send(
        Response::Problem({"invalid_request", "kind: there is no kind " + std::string(kind->substr(0, 64))}));
  }
  const auto starred = ReadFlag(request, "starred");
  const auto deleted = ReadFlag(request, "deleted");
  const auto resources = ReadFlag(request, "resources");
  for (const auto& flag : {starred, deleted, resources}) {
    if (!flag) return reply.Send(Response::Problem(flag.error()));
  }
  const std::string after(request.Query("page_token").value_or(""));
  JsonArray found;
  std::string next;
  int64_t count = 0;
  std::string last;
  for (auto at = api.town.agents().upper_bound(after); at != api.town.agents().end(); ++at) {
    const Agent& agent = *at->second;
    if (agent.deleted() != deleted->value_or(false)) continue;
    if (state && *state != agent.state()) continue;
    if (title && agent.spec().title != *title) continue;
    if (kind && agent.spec().kind != *kind) continue;
    if (*starred && agent.spec().starred != **starred) continue;
    const auto has = [&agent](const auto& label) {
      const auto its = agent.spec().labels.find(label.first);
      return its != agent.spec().labels.end() && its->second == label.second;
    };
    if (!std::all_of(labels->begin(), labels->end(), has)) continue;
    if (count++ == *limit) {
      next = last;
      break;
    }
    last = agent.id();
    found.AddRaw(resources->value_or(false) ? JsonWithResources(agent) : agent.ToJson());
  }
  JsonObject page;
  page.SetRaw("agents", found.Take());
  if (!next.empty()) page.Set("next_page_token", next);
  reply.Send(Response::Json(200, page.Take()));
}

void Create(ApiContext& api, const Request& request, Reply reply) {
  auto json = ParseBody(request);
  if (!json) return reply.Send(Response::Problem(json.error()));
  auto spec = AgentSpec::FromJson(json->root());
  if (!spec) return reply.Send(Response::Problem(spec.error()));
  if (!request.key.empty() && !(*json)["id"]) spec->id = spec->kind + "-" + request.key.substr(0, 10);
  const std::string id = spec->id;
  auto shared = Shared(std::move(reply));
  auto created = api.town.Create(std::move(*spec), request.key, [&api, shared, id](const Status& status) {
    Answer(*shared, status, [&api, &id] {
      const Agent* agent = api.town.Find(id);
      Response response = Response::Json(201, agent ? agent->ToJson() : "{}");
      response.headers.emplace_back("Location", api.base_path + "/agents/" + id);
      return response;
    });
  });
  if (!created) shared->Send(Response::Problem(created.error()));
}

void Get(ApiContext& api, const Request& request, Reply reply) {
  auto agent = FindLiveAgent(api, request);
  if (!agent) return reply.Send(Response::Problem(agent.error()));
  reply.Send(Response::Json(200, JsonWithResources(**agent)));
}

void Delete(ApiContext& api, const Request& request, Reply reply) {
  auto agent = FindAgent(api, request);
  if (!agent) return reply.Send(Response::Problem(agent.error()));
  const auto purge = ReadFlag(request, "purge");
  if (!purge) return reply.Send(Response::Problem(purge.error()));
  const bool had_process = (*agent)->has_process();
  auto answer = [&api, shared = Shared(std::move(reply)), id = request.params[0],
                 had_process](const Status& status) {
    Answer(*shared, status, [&api, &id, had_process] {
      const Agent* there = api.town.Find(id);
      return had_process && there ? Response::Json(202, there->ToJson()) : Response{204, {}, ""};
    });
  };
  api.town.Delete(request.params[0], purge->value_or(false), std::move(answer));
}

// The fields that scope operate may change. All others decide what an agent may do and what runs in it.
bool IsForOperators(std::string_view field) {
  return field == "title" || field == "starred" || field == "labels" || field == "model";
}

// The fields of a spec that PATCH does not take.
constexpr std::string_view kFixed[] = {"id",     "kind",  "workspace",   "prompt",
                                       "resume", "files", "allow_setuid"};

Error CannotChange(std::string_view field) {
  const bool files = field == "files";
  return {"invalid_request",
          std::string(field) + ": cannot be changed by PATCH; " +
              (files ? "PUT /agents/{id}/files/{name} replaces a file" : "create another agent with it")};
}

void Patch(ApiContext& api, const Request& request, Reply reply) {
  auto agent = FindLiveAgent(api, request);
  if (!agent) return reply.Send(Response::Problem(agent.error()));
  std::vector<std::string_view> known = Town::kChangeable;
  known.insert(known.end(), std::begin(kFixed), std::end(kFixed));
  auto body = ReadBody(request, known);
  if (!body) return reply.Send(Response::Problem(body.error()));
  for (const std::string_view field : kFixed) {
    if (body->root()[field]) return reply.Send(Response::Problem(CannotChange(field)));
  }
  for (const JsonValue::Member& member : body->root().Members()) {
    if (IsForOperators(member.key) || (request.caller && request.caller->scope == Scope::kAdmin)) continue;
    return reply.Send(Response::Problem(
        {"forbidden", std::string(member.key) + ": changing it needs a token of scope admin"}));
  }
  auto answer = [&api, shared = Shared(std::move(reply)),
                 id = (*agent)->id()](const Result<bool>& next_start) {
    if (!next_start) return shared->Send(Response::Problem(next_start.error()));
    const Agent* there = api.town.Find(id);
    std::string json = there ? there->ToJson() : "{}";
    if (*next_start) json.replace(json.size() - 1, 1, R"(,"applies":"next_start"})");
    shared->Send(Response::Json(200, std::move(json)));
  };
  api.town.Update(**agent, body->root(), std::move(answer));
}

// Answers 202 with the agent once the command is on disk.
Agent::Done AnswerWithAgent(ApiContext& api, const Agent& agent, Reply reply) {
  return [&api, shared = Shared(std::move(reply)), id = agent.id()](const Status& status) {
    Answer(*shared, status, [&api, &id] {
      const Agent* there = api.town.Find(id);
      return Response::Json(202, there ? there->ToJson() : "{}");
    });
  };
}

// The handler of start, stop and restart.
using Command = std::function<void(Agent&, int64_t grace_ms, Agent::Done done)>;

Handler CommandHandler(ApiContext& api, Command command) {
  return [&api, command = std::move(command)](const Request& request, Reply reply) {
    auto agent = FindLiveAgent(api, request);
    if (!agent) return reply.Send(Response::Problem(agent.error()));
    auto body = ReadBody(request, {"grace_ms"});
    if (!body) return reply.Send(Response::Problem(body.error()));
    const JsonValue grace = (*body)["grace_ms"];
    const int64_t grace_ms = grace.AsInt().value_or(grace ? -1 : Agent::kDefaultGraceMs);
    if (grace_ms < 0 || grace_ms > kMaxGraceMs) {
      return reply.Send(Response::Problem(
          {"invalid_request", "grace_ms: must be a whole number from 0 to " + std::to_string(kMaxGraceMs)}));
    }
    command(**agent, grace_ms, AnswerWithAgent(api, **agent, std::move(reply)));
  };
}

void Interrupt(ApiContext& api, const Request& request, Reply reply) {
  auto agent = FindLiveAgent(api, request);
  if (!agent) return reply.Send(Response::Problem(agent.error()));
  (*agent)->Interrupt(AnswerWithAgent(api, **agent, std::move(reply)));
}

void ListApprovals(ApiContext& api, const Request& request, Reply reply) {
  if (request.Query("state").value_or("pending") != "pending") {
    return reply.Send(Response::Problem({"invalid_request", "state: only pending is supported"}));
  }
  const auto of_agent = request.Query("agent");
  if (of_agent && !api.town.Find(std::string(*of_agent))) {
    return reply.Send(
        Response::Problem({"agent_not_found", "there is no agent " + std::string(of_agent->substr(0, 64))}));
  }
  const auto of_id = request.Query("id");
  std::multimap<int64_t, std::string> oldest_first;
  JsonArray resolved;
  for (const auto& [id, agent] : api.town.agents()) {
    if (of_agent && id != *of_agent) continue;
    const ResolvedApproval* before = of_id ? agent->approvals().FindResolved(std::string(*of_id)) : nullptr;
    if (before) {
      resolved.AddRaw(JsonObject()
                          .Set("id", before->id)
                          .Set("agent", id)
                          .Set("decision", before->decision)
                          .Set("by", before->by)
                          .Take());
    }
    for (const PendingApproval& approval : agent->approvals().pending()) {
      if (of_id && approval.request.id != *of_id) continue;
      const ApprovalExcerpt shown = of_id ? ApprovalExcerpt{approval, false} : ExcerptOf(approval);
      std::string json = shown.approval.ToJson();
      json.back() = ',';
      JsonObject more;
      more.Set("agent", id).Set("run", approval.run);
      if (shown.cut) more.Set("excerpt", true);
      json += more.Take().substr(1);
      oldest_first.emplace(approval.requested_at_ms, std::move(json));
    }
  }
  JsonArray approvals;
  for (const auto& [at, json] : oldest_first) approvals.AddRaw(json);
  JsonObject answer;
  answer.SetRaw("approvals", approvals.Take());
  if (of_id) answer.SetRaw("resolved", resolved.Take());
  reply.Send(Response::Json(200, answer.Take()));
}

// An agent must not answer its own approvals and elicitations.
Result<Agent*> FindAskingAgent(const ApiContext& api, const Request& request) {
  auto agent = FindLiveAgent(api, request);
  if (agent && request.caller && request.caller->agent == (*agent)->id())
    return Error{"forbidden", "agent " + (*agent)->id() + " may not answer its own requests"};
  return agent;
}

void Decide(ApiContext& api, const Request& request, Reply reply) {
  auto agent = FindAskingAgent(api, request);
  if (!agent) return reply.Send(Response::Problem(agent.error()));
  auto body = ReadBody(request, {"decision", "reason", "input"});
  if (!body) return reply.Send(Response::Problem(body.error()));
  auto decision = ParseDecision((*body)["decision"].StringOr(""));
  if (!decision) {
    return reply.Send(
        Response::Problem({"invalid_request",
                           "decision: must be allow_once, allow_tool, allow_session, allow_always or deny"}));
  }
  const JsonValue reason = (*body)["reason"];
  if (reason && !reason.AsString())
    return reply.Send(Response::Problem({"invalid_request", "reason: must be a string"}));
  const JsonValue input = (*body)["input"];
  if (input && (!input.Is(JsonType::kObject) || *decision == Decision::kDeny)) {
    return reply.Send(Response::Problem(
        {"invalid_request", "input: must be an object, and only an allow decision can have it"}));
  }
  auto answer = [shared = Shared(std::move(reply)), id = request.params[1],
                 decision = *decision](const Status& on_disk) {
    Answer(*shared, on_disk, [&id, decision] {
      return Response::Json(
          200, JsonObject().Set("id", id).Set("decision", NameOf(decision)).Set("by", "person").Take());
    });
  };
  (*agent)->Decide(request.params[1], *decision, std::string(reason.StringOr("")),
                   input ? input.Raw() : std::string(), std::move(answer));
}

void AnswerElicitation(ApiContext& api, const Request& request, Reply reply) {
  auto agent = FindAskingAgent(api, request);
  if (!agent) return reply.Send(Response::Problem(agent.error()));
  auto body = ReadBody(request, {"action", "content"});
  if (!body) return reply.Send(Response::Problem(body.error()));
  using Action = ElicitationAnswer::Action;
  auto action = ParseAction((*body)["action"].StringOr(""));
  if (!action) {
    return reply.Send(Response::Problem({"invalid_request", "action: must be accept, decline or cancel"}));
  }
  const JsonValue content = (*body)["content"];
  if (content.Is(JsonType::kObject) != (*action == Action::kAccept)) {
    return reply.Send(
        Response::Problem({"invalid_request", "content: must be an object, and only accept can have it"}));
  }
  auto answer = [shared = Shared(std::move(reply)), id = request.params[1],
                 action = *action](const Status& on_disk) {
    Answer(*shared, on_disk, [&id, action] {
      return Response::Json(
          200, JsonObject().Set("id", id).Set("action", NameOf(action)).Set("by", "person").Take());
    });
  };
  (*agent)->Answer(request.params[1], {*action, *action == Action::kAccept ? content.Raw() : ""}, answer);
}

void ListModels(ApiContext& api, const Request& request, Reply reply) {
  auto agent = FindLiveAgent(api, request);
  if (!agent) return reply.Send(Response::Problem(agent.error()));
  auto shared = Shared(std::move(reply));
  (*agent)->ListModels([shared](const Result<std::string>& models) {
    shared->Send(models ? Response::Json(200, *models) : Response::Problem(models.error()));
  });
}

// Reads at most two files of Transcript::kMaxFileBytes, on the pool.
void GetTranscript(ApiContext& api, const Request& request, Reply reply) {
  auto agent = FindAgent(api, request);
  if (!agent) return reply.Send(Response::Problem(agent.error()));
  const std::vector<std::string> files = (*agent)->TranscriptFiles();
  if (files.empty()) {
    return reply.Send(Response::Problem(
        {"transcript_not_found",
         "agent " + (*agent)->id() + ": nothing was recorded; create it with \"record\": true"}));
  }
  auto response = std::make_shared<Response>(Response{200, {{"Content-Type", "application/x-ndjson"}}, ""});
  auto read = [files, response] {
    for (const std::string& file : files) {
      auto in = OpenRegularFile(file, O_RDONLY);
      if (!in) {
        *response = Response::Problem({"os_error", "transcript " + in.error().message});
        return;
      }
      char bytes[65'536];
      for (ssize_t got = 0; (got = ::read(in->get(), bytes, sizeof bytes)) > 0;)
        response->body.append(bytes, static_cast<size_t>(got));
    }
  };
  auto answer = [response, shared = Shared(std::move(reply))] { shared->Send(std::move(*response)); };
  api.loop.Offload(std::move(read), std::move(answer), Loop::Loss::kHarmless);
}

void ListKinds(ApiContext& api, const Request&, Reply reply) {
  auto shared = Shared(std::move(reply));
  api.kinds.Describe([shared](std::string json) { shared->Send(Response::Json(200, std::move(json))); });
}

}  // namespace

void AddAgentRoutes(Router& router, ApiContext& api) {
  auto with = [&api](void (*handler)(ApiContext&, const Request&, Reply)) {
    return [&api, handler](const Request& request, Reply reply) { handler(api, request, std::move(reply)); };
  };
  router.Add("GET", "/agents", Access::kView, with(List),
             {"state", "label", "title", "kind", "starred", "deleted", "resources", "limit", "page_token"});
  router.Add("POST", "/agents", Access::kAdmin, with(Create));
  router.Add("GET", "/agents/{id}", Access::kView, with(Get));
  router.Add("GET", "/agents/{id}/status", Access::kView, with(Get));
  router.Add("PATCH", "/agents/{id}", Access::kOperate, with(Patch));
  router.Add("DELETE", "/agents/{id}", Access::kAdmin, with(Delete), {"purge"});
  router.Add(
      "POST", "/agents/{id}/start", Access::kOperate,
      CommandHandler(api, [](Agent& agent, int64_t, Agent::Done done) { agent.Start(std::move(done)); }));
  router.Add("POST", "/agents/{id}/stop", Access::kOperate,
             CommandHandler(api, [](Agent& agent, int64_t grace_ms, Agent::Done done) {
               agent.Stop(grace_ms, std::move(done));
             }));
  router.Add("POST", "/agents/{id}/restart", Access::kOperate,
             CommandHandler(api, [](Agent& agent, int64_t grace_ms, Agent::Done done) {
               agent.Restart(grace_ms, std::move(done));
             }));
  router.Add("POST", "/agents/{id}/interrupt", Access::kOperate, with(Interrupt));
  router.Add("GET", "/agents/{id}/transcript", Access::kOperate, with(GetTranscript));
  router.Add("GET", "/kinds", Access::kView, with(ListKinds));
  router.Add("GET", "/approvals", Access::kView, with(ListApprovals), {"state", "agent", "id"});
  router.Add("POST", "/agents/{id}/approvals/{approval}", Access::kOperate, with(Decide));
  router.Add("POST", "/agents/{id}/elicitations/{elicitation}", Access::kOperate, with(AnswerElicitation));
  router.Add("GET", "/agents/{id}/models", Access::kView, with(ListModels));
}

}  // namespace reeve
