// Approvals and elicitations: the questions that wait for a person.
#include <map>
#include <utility>

#include "control/api/api.h"
#include "orchestrator/agent/agent.h"
#include "orchestrator/agent/approval_excerpt.h"

namespace reeve {

namespace {

using Type = Parameter::Type;

void ListApprovals(ApiContext& api, const Call& call, Reply reply) {
  const auto of_agent = call.Text("agent");
  if (of_agent && !api.town.Find(std::string(*of_agent)))
    return reply.Refuse({"agent_not_found", "there is no agent " + std::string(of_agent->substr(0, 64))});
  const auto of_id = call.Text("id");
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

void Decide(ApiContext&, const Call& call, Reply reply) {
  const Decision decision = *ParseDecision(call.String("decision"));
  const JsonValue input = call.Json("input");
  if (input && (!input.Is(JsonType::kObject) || decision == Decision::kDeny)) {
    return reply.Refuse(
        {"invalid_request", "input: must be an object, and only an allow decision can have it"});
  }
  const std::string id = call.String("approval");
  auto answer = [shared = Shared(std::move(reply)), id, decision, by = call.by()](const Status& on_disk) {
    Answer(*shared, on_disk, [&id, decision, &by] {
      return Response::Json(
          200, JsonObject().Set("id", id).Set("decision", NameOf(decision)).Set("by", by).Take());
    });
  };
  call.agent().Decide(id, decision, call.String("reason"), input ? input.Raw() : std::string(),
                      std::move(answer), call.by());
}

void AnswerElicitation(ApiContext&, const Call& call, Reply reply) {
  using Action = ElicitationAnswer::Action;
  const Action action = *ParseAction(call.String("action"));
  const JsonValue content = call.Json("content");
  if (content.Is(JsonType::kObject) != (action == Action::kAccept))
    return reply.Refuse({"invalid_request", "content: must be an object, and only accept can have it"});
  const std::string id = call.String("elicitation");
  auto answer = [shared = Shared(std::move(reply)), id, action, by = call.by()](const Status& on_disk) {
    Answer(*shared, on_disk, [&id, action, &by] {
      return Response::Json(200,
                            JsonObject().Set("id", id).Set("action", NameOf(action)).Set("by", by).Take());
    });
  };
  call.agent().Answer(id, {action, action == Action::kAccept ? content.Raw() : ""}, std::move(answer),
                      call.by());
}

}  // namespace

std::vector<Operation> ApprovalOperations() {
  return {
      {.name = "approvals.list",
       .access = Access::kView,
       .method = "GET",
       .path = "/approvals",
       .text = "Lists the open approvals and elicitations, the oldest first.",
       .parameters = {Query("state", Type::kString, "Only those in this state.")
                          .OneOf({"pending"})
                          .Must("only pending is supported"),
                      Query("agent", Type::kString, "Only those of this agent."),
                      Query("id", Type::kString,
                            "Only those with this id, in full and with earlier results.")},
       .answers = {{200, "Approvals"}},
       .errors = {"agent_not_found"},
       .run = ListApprovals,
       .tool = {.name = "list_approvals",
                .text = "Lists the requests of agents that wait for a decision: which tool an agent wants to "
                        "use, and with which input. An agent does not go on before its request is decided.",
                .parameters = {"agent", "id"}}},
      {.name = "approvals.decide",
       .access = Access::kOperate,
       .method = "POST",
       .path = "/agents/{id}/approvals/{approval}",
       .text = "Decides an approval.",
       .parameters = {PathAgent(), Path("approval", "The approval's id."),
                      Member("decision", Type::kString, "The decision.")
                          .OneOf({"allow_once", "allow_tool", "allow_session", "allow_always", "deny"})
                          .Required(),
                      Member("reason", Type::kString, "The reason that a denied agent reads."),
                      JsonMember("input", "Object", "Replaces the input of the tool call.")},
       .answers = {{200, "Decided"}},
       .errors = {"forbidden", "approval_not_found", "already_resolved"},
       .not_of_itself = true,
       .run = Decide,
       .tool = {.name = "decide_approval",
                .text = "Allows or denies a request of another agent to use a tool. Look at its input with "
                        "list_approvals first. A denied agent reads `reason`, so say what it should do "
                        "instead. You cannot decide your own requests.",
                .destructive = true,
                .idempotent = true}},
      {.name = "elicitations.answer",
       .access = Access::kOperate,
       .method = "POST",
       .path = "/agents/{id}/elicitations/{elicitation}",
       .text = "Answers an elicitation.",
       .parameters =
           {PathAgent(), Path("elicitation", "The elicitation's id."),
            Member("action", Type::kString, "The answer.").OneOf({"accept", "decline", "cancel"}).Required(),
            JsonMember("content", "Object", "The values, if the action is accept.")},
       .answers = {{200, "Answered"}},
       .errors = {"forbidden", "approval_not_found", "already_resolved"},
       .not_of_itself = true,
       .run = AnswerElicitation},
  };
}

}  // namespace reeve
