#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <utility>

#include "control/api/api.h"
#include "orchestrator/adapters/kind.h"
#include "orchestrator/agent/agent.h"
#include "process/loop.h"
#include "process/regular_file.h"

namespace reeve {

namespace {

using Type = Parameter::Type;

constexpr int64_t kDefaultPage = 100;
constexpr int64_t kMaxPage = 1'000;
constexpr int64_t kMaxGraceMs = 600'000;

// The agent's JSON with the resources of its process, if it has one.
std::string JsonWithResources(const Agent& agent) {
  std::string json = agent.ToJson();
  if (const std::string resources = agent.ResourcesJson(); !resources.empty()) {
    json.back() = ',';
    json += "\"resources\":" + resources + "}";
  }
  return json;
}

void List(ApiContext& api, const Call& call, Reply reply) {
  const int64_t limit = call.Integer("limit").value_or(kDefaultPage);
  const auto state = ParseAgentState(call.Text("state").value_or(""));
  const auto labels = call.LabelsOf("label");
  const auto title = call.Text("title");
  const auto kind = call.Text("kind");
  if (kind && !FindKind(*kind))
    return reply.Refuse({"invalid_request", "kind: there is no kind " + std::string(kind->substr(0, 64))});
  const auto starred = call.Flag("starred");
  const bool deleted = call.Flag("deleted").value_or(false);
  const bool resources = call.Flag("resources").value_or(false);
  const std::string after = call.String("page_token");
  JsonArray found;
  std::string next;
  int64_t count = 0;
  std::string last;
  for (auto at = api.town.agents().upper_bound(after); at != api.town.agents().end(); ++at) {
    const Agent& agent = *at->second;
    if (agent.deleted() != deleted) continue;
    if (state && *state != agent.state()) continue;
    if (title && agent.spec().title != *title) continue;
    if (kind && agent.spec().kind != *kind) continue;
    if (starred && agent.spec().starred != *starred) continue;
    const auto has = [&agent](const auto& label) {
      const auto its = agent.spec().labels.find(label.first);
      return its != agent.spec().labels.end() && its->second == label.second;
    };
    if (!std::all_of(labels.begin(), labels.end(), has)) continue;
    if (count++ == limit) {
      next = last;
      break;
    }
    last = agent.id();
    found.AddRaw(resources ? JsonWithResources(agent) : agent.ToJson());
  }
  JsonObject page;
  page.SetRaw("agents", found.Take());
  if (!next.empty()) page.Set("next_page_token", next);
  reply.Send(Response::Json(200, page.Take()));
}

void Create(ApiContext& api, const Call& call, Reply reply) {
  const JsonValue json = call.Json("spec");
  const std::string& key = call.request().key;
  auto spec = AgentSpec::FromJson(json);
  if (!spec) return reply.Refuse(spec.error());
  const std::string connection = call.caller() ? call.caller()->connection : std::string();
  if (spec->close_on_disconnect && connection.empty()) {
    return reply.Refuse(
        {"invalid_request", "close_on_disconnect: needs a connection to which the agent belongs (GET /ws)"});
  }
  if (!key.empty() && !json["id"]) spec->id = spec->kind + "-" + key.substr(0, 10);
  const std::string id = spec->id;
  auto shared = Shared(std::move(reply));
  auto answer = [&api, shared, id](const Status& status) {
    Answer(*shared, status, [&api, &id] {
      const Agent* agent = api.town.Find(id);
      Response response = Response::Json(201, agent ? agent->ToJson() : "{}");
      response.headers.emplace_back("Location", api.base_path + "/agents/" + id);
      return response;
    });
  };
  auto created = api.town.Create(std::move(*spec), key, std::move(answer), connection);
  if (!created) shared->Refuse(created.error());
}

void Get(ApiContext&, const Call& call, Reply reply) {
  reply.Send(Response::Json(200, JsonWithResources(call.agent())));
}

void Delete(ApiContext& api, const Call& call, Reply reply) {
  const std::string id = call.agent().id();
  const bool had_process = call.agent().has_process();
  auto answer = [&api, shared = Shared(std::move(reply)), id, had_process](const Status& status) {
    Answer(*shared, status, [&api, &id, had_process] {
      const Agent* there = api.town.Find(id);
      return had_process && there ? Response::Json(202, there->ToJson()) : Response{204, {}, ""};
    });
  };
  api.town.Delete(id, call.Flag("purge").value_or(false), std::move(answer), call.by());
}

// The fields that scope operate may change. All others decide what an agent may do and what runs in it.
bool IsForOperators(std::string_view field) {
  return field == "title" || field == "starred" || field == "labels" || field == "model";
}

// The fields of a spec that PATCH does not take.
constexpr std::string_view kFixed[] = {"id",     "kind",  "workspace",    "prompt",
                                       "resume", "files", "allow_setuid", "close_on_disconnect"};

Error CannotChange(std::string_view field) {
  const bool files = field == "files";
  return {"invalid_request",
          std::string(field) + ": cannot be changed by PATCH; " +
              (files ? "PUT /agents/{id}/files/{name} replaces a file" : "create another agent with it")};
}

void Patch(ApiContext& api, const Call& call, Reply reply) {
  const JsonValue patch = call.Json("patch");
  if (!patch.Is(JsonType::kObject)) return reply.Refuse({"invalid_request", "the body is not a JSON object"});
  std::vector<std::string_view> known = Town::kChangeable;
  known.insert(known.end(), std::begin(kFixed), std::end(kFixed));
  if (Status checked = CheckMembers(patch, known); !checked) return reply.Refuse(checked.error());
  for (const std::string_view field : kFixed) {
    if (patch[field]) return reply.Refuse(CannotChange(field));
  }
  const bool of_itself = call.caller() && call.caller()->agent == call.agent().id();
  for (const JsonValue::Member& member : patch.Members()) {
    if (IsForOperators(member.key)) continue;
    if (of_itself)  // with other permissions it would answer its own requests
      return reply.Refuse({"forbidden", std::string(member.key) + ": an agent cannot change this of itself"});
    if (call.HasScope(Scope::kAdmin)) continue;
    return reply.Refuse(
        {"forbidden", std::string(member.key) + ": changing it needs a token of scope admin"});
  }
  auto answer = [&api, shared = Shared(std::move(reply)),
                 id = call.agent().id()](const Result<bool>& next_start) {
    if (!next_start) return shared->Refuse(next_start.error());
    const Agent* there = api.town.Find(id);
    std::string json = there ? there->ToJson() : "{}";
    if (*next_start) json.replace(json.size() - 1, 1, R"(,"applies":"next_start"})");
    shared->Send(Response::Json(200, std::move(json)));
  };
  api.town.Update(call.agent(), patch, std::move(answer), call.by());
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

int64_t GraceMs(const Call& call) { return call.Integer("grace_ms").value_or(Agent::kDefaultGraceMs); }

void Start(ApiContext& api, const Call& call, Reply reply) {
  call.agent().Start(AnswerWithAgent(api, call.agent(), std::move(reply)));
}

void Stop(ApiContext& api, const Call& call, Reply reply) {
  call.agent().Stop(GraceMs(call), AnswerWithAgent(api, call.agent(), std::move(reply)), call.by());
}

void Restart(ApiContext& api, const Call& call, Reply reply) {
  call.agent().Restart(GraceMs(call), AnswerWithAgent(api, call.agent(), std::move(reply)), call.by());
}

void Interrupt(ApiContext& api, const Call& call, Reply reply) {
  call.agent().Interrupt(AnswerWithAgent(api, call.agent(), std::move(reply)));
}

void ListModels(ApiContext&, const Call& call, Reply reply) {
  call.agent().ListModels([shared = Shared(std::move(reply))](const Result<std::string>& models) {
    shared->Send(models ? Response::Json(200, *models) : Response::Problem(models.error()));
  });
}

// Reads at most two files of Transcript::kMaxFileBytes, on the pool.
void GetTranscript(ApiContext& api, const Call& call, Reply reply) {
  const std::vector<std::string> files = call.agent().TranscriptFiles();
  if (files.empty()) {
    return reply.Refuse(
        {"transcript_not_found",
         "agent " + call.agent().id() + ": nothing was recorded; create it with \"record\": true"});
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

void ListKinds(ApiContext& api, const Call&, Reply reply) {
  auto shared = Shared(std::move(reply));
  api.kinds.Describe([shared](std::string json) { shared->Send(Response::Json(200, std::move(json))); });
}

// No operation returns a file's content.
void PutFile(ApiContext&, const Call& call, Reply reply) {
  call.agent().PutFile(call.String("name"), call.String("content"), AnswerWhenDone(std::move(reply)));
}

void RemoveFile(ApiContext&, const Call& call, Reply reply) {
  call.agent().RemoveFile(call.String("name"), AnswerWhenDone(std::move(reply)));
}

Parameter Grace() {
  return Member("grace_ms", Type::kInteger, "The time between TERM and KILL; 10 s if absent.")
      .Between(0, kMaxGraceMs);
}

}  // namespace

std::vector<Operation> AgentOperations() {
  return {
      {.name = "agents.list",
       .access = Access::kView,
       .method = "GET",
       .path = "/agents",
       .text = "Lists agents by id, a page at a time.",
       .parameters =
           {Query("state", Type::kString, "Only agents in this state.")
                .OneOf(AgentStateNames())
                .Must("must be the name of an agent's state"),
            Query("label", Type::kLabels, "Only agents with this label, as key:value; may be repeated."),
            Query("title", Type::kString, "Only agents with this title."),
            Query("kind", Type::kString, "Only agents of this kind."),
            Query("starred", Type::kBoolean, "Only starred agents, or only the others."),
            Query("deleted", Type::kBoolean, "Lists deleted agents, and only those."),
            Query("resources", Type::kBoolean, "Adds the memory and processor time of each process."),
            Query("limit", Type::kInteger, "The size of a page; 100 if absent.").Between(1, kMaxPage),
            Query("page_token", Type::kString, "`next_page_token` of the page before.")},
       .answers = {{200, "AgentPage"}},
       .run = List,
       .tool = {.name = "list_agents",
                .text = "Lists the coding agents that run here, with their kind, title, state and last run. "
                        "Use it to find out which agents there are and what they are doing.",
                .parameters = {"state", "label", "title", "kind", "limit", "page_token"}}},
      {.name = "agents.create",
       .access = Access::kAdmin,
       .method = "POST",
       .path = "/agents",
       .text = "Makes an agent and starts it.",
       .parameters = {WholeBody("spec", "AgentSpec", "The new agent.")},
       .answers = {{201, "Agent"}},
       .errors = {"agent_exists", "not_supported", "too_many_agents", "draining", "disk_full"},
       .run = Create,
       .tool = {.name = "start_agent",
                .text =
                    "Starts another agent, which works by itself in the background. Give `kind` "
                    "(list_kinds names them) and, in `prompt`, its whole task: it knows nothing of your "
                    "conversation. `workspace` {git, branch} gives it a clone of a repository of its own; "
                    "otherwise `cwd` is the folder where it works. Returns at once; then use "
                    "wait_for_agent with the returned `id`, and read_events for its answer."}},
      {.name = "agents.get",
       .access = Access::kView,
       .method = "GET",
       .path = "/agents/{id}",
       .text = "Returns an agent.",
       .parameters = {PathAgent()},
       .answers = {{200, "Agent"}},
       .run = Get},
      {.name = "agents.status",
       .access = Access::kView,
       .method = "GET",
       .path = "/agents/{id}/status",
       .text = "Returns an agent, as agents.get does.",
       .parameters = {PathAgent()},
       .answers = {{200, "Agent"}},
       .run = Get,
       .tool = {.name = "agent_status",
                .text = "Returns one agent: its state, its present and last run, how many messages wait for "
                        "it, and how many of its requests wait for approval."}},
      {.name = "agents.update",
       .access = Access::kOperate,
       .method = "PATCH",
       .path = "/agents/{id}",
       .text = "Changes an agent's spec by a JSON Merge Patch (RFC 7396).",
       .parameters = {PathAgent(), WholeBody("patch", "AgentPatch", "The change.")},
       .answers = {{200, "Agent"}},
       .errors = {"forbidden", "not_supported"},
       .run = Patch},
      {.name = "agents.delete",
       .access = Access::kAdmin,
       .method = "DELETE",
       .path = "/agents/{id}",
       .text = "Stops and deletes an agent. Its log stays readable until it is purged.",
       .parameters = {PathAgent(Type::kAnyAgent),
                      Query("purge", Type::kBoolean, "Also deletes the log, and frees the id.")},
       .answers = {{204}, {202, "Agent"}},
       .errors = {"agent_deleted"},
       .run = Delete},
      {.name = "agents.start",
       .access = Access::kOperate,
       .method = "POST",
       .path = "/agents/{id}/start",
       .text = "Starts an agent without a process, and ends the pause of its queue.",
       .parameters = {PathAgent(), Grace()},
       .answers = {{202, "Agent"}},
       .errors = {"draining"},
       .run = Start},
      {.name = "agents.stop",
       .access = Access::kOperate,
       .method = "POST",
       .path = "/agents/{id}/stop",
       .text = "Ends an agent's process.",
       .parameters = {PathAgent(), Grace()},
       .answers = {{202, "Agent"}},
       .errors = {"not_running"},
       .run = Stop,
       .tool = {.name = "stop_agent",
                .text = "Ends the process of an agent, and the run that it is in. The agent and its log "
                        "stay, and a later message starts it again. Use interrupt_agent to end only the run.",
                .destructive = true,
                .idempotent = true,
                .parameters = {"id"}}},
      {.name = "agents.restart",
       .access = Access::kOperate,
       .method = "POST",
       .path = "/agents/{id}/restart",
       .text = "Ends an agent's process and starts another.",
       .parameters = {PathAgent(), Grace()},
       .answers = {{202, "Agent"}},
       .errors = {"draining"},
       .run = Restart},
      {.name = "agents.interrupt",
       .access = Access::kOperate,
       .method = "POST",
       .path = "/agents/{id}/interrupt",
       .text = "Ends an agent's run. The process stays if the kind supports that.",
       .parameters = {PathAgent()},
       .answers = {{202, "Agent"}},
       .errors = {"not_running"},
       .run = Interrupt,
       .tool = {.name = "interrupt_agent",
                .text = "Ends the run that an agent is in, without ending the agent. What the run has not "
                        "finished is lost. Use it before you send an agent in another direction.",
                .destructive = true}},
      ChangesOperation(),
      BatchOperation(),
      {.name = "agents.models",
       .access = Access::kView,
       .method = "GET",
       .path = "/agents/{id}/models",
       .text = "Lists the models that an agent can use.",
       .parameters = {PathAgent()},
       .answers = {{200, "Models"}},
       .errors = {"not_running", "not_supported", "models_unavailable"},
       .run = ListModels},
      {.name = "agents.transcript",
       .access = Access::kOperate,
       .method = "GET",
       .path = "/agents/{id}/transcript",
       .text = "Returns the recorded lines of an agent's stdin, stdout and stderr, as JSON Lines.",
       .parameters = {PathAgent(Type::kAnyAgent)},
       .answers = {{200, "TranscriptLine", "application/x-ndjson"}},
       .errors = {"transcript_not_found"},
       .run = GetTranscript},
      {.name = "files.put",
       .access = Access::kAdmin,
       .method = "PUT",
       .path = "/agents/{id}/files/{name}",
       .text = "Replaces a file of an agent.",
       .parameters = {PathAgent(), Path("name", "The file's name."), WholeBytes("content", "The content.")},
       .answers = {{204}},
       .errors = {"too_large"},
       .run = PutFile},
      {.name = "files.delete",
       .access = Access::kAdmin,
       .method = "DELETE",
       .path = "/agents/{id}/files/{name}",
       .text = "Deletes a file of an agent.",
       .parameters = {PathAgent(), Path("name", "The file's name.")},
       .answers = {{204}},
       .errors = {"file_not_found"},
       .run = RemoveFile},
      {.name = "kinds.list",
       .access = Access::kView,
       .method = "GET",
       .path = "/kinds",
       .text = "Lists the kinds of agents, and the programs that were found for them.",
       .answers = {{200, "Kinds"}},
       .run = ListKinds,
       .tool = {.name = "list_kinds",
                .text = "Lists the kinds of agents that start_agent can start, which of them are installed "
                        "here, and what each can do."}},
  };
}

}  // namespace reeve
