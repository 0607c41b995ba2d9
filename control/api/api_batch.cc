#include <algorithm>
#include <memory>
#include <utility>

#include "control/access/auth.h"
#include "control/api/api.h"
#include "orchestrator/agent/agent.h"

namespace reeve {

namespace {

constexpr size_t kMaxIds = 1'000;

// One command for several agents. Collects the result of each, in the order of the request. The callbacks
// keep it alive; it answers when the last result has arrived.
class Batch {
 public:
  Batch(ApiContext& api, std::vector<std::string> ids, Reply reply)
      : api_(api), ids_(std::move(ids)), ends_(ids_.size()), waits_(ids_.size()), reply_(std::move(reply)) {}

  using Command = std::function<void(Agent&, Agent::Done done)>;
  static void Run(const std::shared_ptr<Batch>& batch, const Command& command) {
    for (size_t i = 0; i < batch->ids_.size(); ++i) {
      auto done = [batch, i](Status status) { batch->End(i, std::move(status)); };
      Agent* agent = batch->api_.town.Find(batch->ids_[i]);
      if (!agent) {
        done(Error{"agent_not_found", "there is no agent " + batch->ids_[i].substr(0, 64)});
      } else if (agent->deleted()) {
        done(Error{"agent_deleted", "agent " + batch->ids_[i] + " has been deleted"});
      } else {
        command(*agent, done);
      }
    }
  }

 private:
  void End(size_t i, Status status) {
    ends_[i] = std::move(status);
    if (--waits_ == 0) SendAnswer();
  }

  void SendAnswer() {
    JsonArray done;
    JsonArray failed;
    for (size_t i = 0; i < ids_.size(); ++i) {
      JsonObject one;
      one.Set("id", ids_[i]);
      if (!ends_[i]) {
        failed.AddRaw(one.Set("code", ends_[i].error().code).Set("detail", ends_[i].error().message).Take());
        continue;
      }
      done.AddRaw(one.Take());
    }
    reply_.Send(
        Response::Json(200, JsonObject().SetRaw("done", done.Take()).SetRaw("failed", failed.Take()).Take()));
  }

  ApiContext& api_;
  const std::vector<std::string> ids_;
  std::vector<Status> ends_;
  size_t waits_;
  Reply reply_;
};

// Each id once, in order. One that no agent can have fails alone, as an agent that does not exist. Returns an
// error if they are too many or not strings.
Result<std::vector<std::string>> ReadIds(const JsonValue& list) {
  const Error wrong{"invalid_request",
                    "ids: must be an array of 1 to " + std::to_string(kMaxIds) + " agent ids"};
  if (!list.Is(JsonType::kArray) || list.size() == 0 || list.size() > kMaxIds) return wrong;
  std::vector<std::string> ids;
  for (const JsonValue& element : list.Elements()) {
    const auto id = element.AsString();
    if (!id) return wrong;
    if (std::find(ids.begin(), ids.end(), *id) == ids.end()) ids.emplace_back(*id);
  }
  return ids;
}

void Download(ApiContext& api, const Request& request, Reply reply, std::vector<std::string> ids) {
  const Status opened = api.exports.Open(reply, std::move(ids), api.gate.CorsHeaders(request), request.id,
                                         request.caller ? request.caller->token : 0);
  if (!opened) reply.Refuse(opened.error());
}

void Export(ApiContext& api, const Request& request, Reply reply) {
  auto agent = FindAgent(api, request.params[0]);  // a deleted agent can be exported too
  if (!agent) return reply.Refuse(agent.error());
  if (request.method == "HEAD") {
    return reply.Send({200, {{"Content-Type", "application/x-ndjson"}}, ""});
  }
  Download(api, request, std::move(reply), {(*agent)->id()});
}

void RunBatch(ApiContext& api, const Call& call, Reply reply) {
  auto ids = ReadIds(call.Json("ids"));
  if (!ids) return reply.Refuse(ids.error());
  const std::string_view action = *call.Text("action");
  if (action == "export") return Download(api, call.request(), std::move(reply), std::move(*ids));

  Batch::Command command;
  if (action == "stop") {
    command = [by = call.by()](Agent& agent, Agent::Done done) {
      agent.Stop(Agent::kDefaultGraceMs, std::move(done), by);
    };
  } else if (action == "start") {
    command = [](Agent& agent, Agent::Done done) { agent.Start(std::move(done)); };
  } else {
    if (!call.HasScope(Scope::kAdmin))
      return reply.Refuse({"forbidden", "delete needs a token with scope admin"});
    command = [&api, by = call.by()](const Agent& agent, Agent::Done done) {
      api.town.Delete(agent.id(), false, std::move(done), by);
    };
  }
  Batch::Run(std::make_shared<Batch>(api, std::move(*ids), std::move(reply)), command);
}

}  // namespace

Operation BatchOperation() {
  return {.name = "agents.batch",
          .access = Access::kOperate,
          .method = "POST",
          .path = "/agents/batch",
          .text = "Does the same to several agents. One that fails does not affect the others.",
          .parameters = {JsonMember("ids", "AgentIds", "The agents.")
                             .Must("must be an array of 1 to 1000 agent ids")
                             .Required(),
                         Member("action", Parameter::Type::kString,
                                "The action. delete needs scope admin; export answers with the exports.")
                             .OneOf({"stop", "start", "delete", "export"})
                             .Required()},
          .answers = {{200, "BatchResult"}, {200, "ExportLine", "application/x-ndjson"}},
          .errors = {"forbidden", "too_many_exports"},
          .run = RunBatch};
}

void AddExportRoutes(Router& router, ApiContext& api) {
  router.Add("GET", "/agents/{id}/export", Access::kOperate,
             [&api](const Request& request, Reply reply) { Export(api, request, std::move(reply)); });
}

}  // namespace reeve
