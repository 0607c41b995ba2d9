// Messages and runs: sending, the queue, and results.
#include <algorithm>
#include <memory>
#include <utility>

#include "control/api/api.h"
#include "orchestrator/agent/agent.h"
#include "orchestrator/config/units.h"

namespace reeve {

namespace {

using Type = Parameter::Type;

constexpr int64_t kMaxDelayMs = int64_t{366} * 86'400'000;
constexpr int64_t kDefaultRuns = 100;
constexpr int64_t kMaxRuns = 1'000;

// The due time: `delay_ms` from now, or `run_at`. 0 means at once.
Result<int64_t> ReadDue(const ApiContext& api, const JsonValue& body) {
  const JsonValue delay = body["delay_ms"];
  const JsonValue at = body["run_at"];
  if (delay && at) return Error{"invalid_request", "run_at: cannot be combined with delay_ms"};
  const int64_t now = api.clock.WallMs();
  if (delay) {
    const int64_t delay_ms = delay.AsInt().value_or(-1);
    if (delay_ms < 0 || delay_ms > kMaxDelayMs) {
      return Error{"invalid_request",
                   "delay_ms: must be a whole number from 0 to " + std::to_string(kMaxDelayMs)};
    }
    return delay_ms == 0 ? 0 : now + delay_ms;
  }
  if (!at) return int64_t{0};
  auto time = ParseMoment(at.StringOr(""), now);
  if (!time) return Error{"invalid_request", "run_at: " + time.error().message};
  if (*time > now + kMaxDelayMs) return Error{"invalid_request", "run_at: must be at most a year from now"};
  return *time;
}

const std::vector<std::string_view> kMembers = {"text", "mode", "model", "delay_ms", "run_at"};
constexpr std::string_view kIfIdle = "if_idle";
constexpr size_t kMaxMessages = Mailbox::kMaxWaiting;

// The body of a request: one message, or several.
struct Delivery {
  std::vector<Message> messages;
  bool only_if_idle = false;
  bool several = false;
};

Result<Message> ReadMessage(const ApiContext& api, const JsonValue& json, bool& only_if_idle) {
  Message message;
  message.text = json["text"].StringOr("");
  if (message.text.empty()) return Error{"invalid_request", "text: must be a string that is not empty"};
  const JsonValue mode = json["mode"];
  const bool if_idle = mode.StringOr("") == kIfIdle;
  auto named = ParseMode(mode && !if_idle ? mode.StringOr("") : NameOf(Message::Mode::kFollowUp));
  if (!named) return Error{"invalid_request", "mode: must be followup, steer, interrupt or if_idle"};
  message.mode = *named;
  only_if_idle = only_if_idle || if_idle;
  const JsonValue model = json["model"];
  message.model = model.StringOr("");
  if (model && !IsModelName(message.model)) {
    return Error{"invalid_request",
                 "model: must be a name that does not begin with '-' and has no control characters"};
  }
  auto due = ReadDue(api, json);
  if (!due) return due.error();
  if (if_idle && *due != 0) {
    return Error{"invalid_request", "mode: if_idle cannot be combined with delay_ms or run_at"};
  }
  message.run_at_ms = *due;
  return message;
}

Result<Delivery> ReadDelivery(const ApiContext& api, const Call& call) {
  Delivery delivery;
  const JsonValue list = call.Json("messages");
  const JsonValue body = call.body();
  delivery.several = list.present();
  if (!delivery.several) {
    auto message = ReadMessage(api, body, delivery.only_if_idle);
    if (!message) return message.error();
    delivery.messages.push_back(std::move(*message));
    return delivery;
  }
  for (const std::string_view name : kMembers) {
    if (call.Json(name)) return Error{"invalid_request", "unknown field " + std::string(name)};
  }
  if (!list.Is(JsonType::kArray) || list.size() == 0 || list.size() > kMaxMessages) {
    return Error{"invalid_request",
                 "messages: must be an array of 1 to " + std::to_string(kMaxMessages) + " messages"};
  }
  for (const JsonValue& element : list.Elements()) {
    const std::string at = "messages[" + std::to_string(delivery.messages.size()) + "]";
    if (!element.Is(JsonType::kObject)) return Error{"invalid_request", at + ": must be an object"};
    if (Status known = CheckMembers(element, kMembers); !known)
      return Error{known.error().code, at + ": " + known.error().message};
    auto message = ReadMessage(api, element, delivery.only_if_idle);
    if (!message) return Error{message.error().code, at + "." + message.error().message};
    delivery.messages.push_back(std::move(*message));
  }
  return delivery;
}

std::string ToJson(const Agent::Accepted& accepted) {
  JsonObject json;
  json.Set("message_id", accepted.message_id).Set("disposition", accepted.disposition);
  if (accepted.seq != 0) json.Set("seq", accepted.seq);
  return json.Take();
}

void Send(ApiContext& api, const Call& call, Reply reply) {
  auto delivery = ReadDelivery(api, call);
  if (!delivery) return reply.Refuse(delivery.error());
  for (Message& message : delivery->messages) message.by = call.by();
  const std::string& key = call.request().key;
  for (size_t i = 0; i < delivery->messages.size() && !key.empty(); ++i) {
    delivery->messages[i].id =
        "m" + key.substr(0, 16) + (delivery->several ? "-" + std::to_string(i + 1) : "");
  }
  auto answer = [shared = Shared(std::move(reply)),
                 several = delivery->several](const Result<std::vector<Agent::Accepted>>& accepted) {
    if (!accepted) return shared->Refuse(accepted.error());
    if (!several) return shared->Send(Response::Json(202, ToJson(accepted->front())));
    JsonArray all;
    for (const Agent::Accepted& one : *accepted) all.AddRaw(ToJson(one));
    shared->Send(Response::Json(202, JsonObject().SetRaw("messages", all.Take()).Take()));
  };
  call.agent().Send(std::move(delivery->messages), delivery->only_if_idle, std::move(answer));
}

void WriteInput(ApiContext&, const Call& call, Reply reply) {
  const auto offset = call.Integer("offset");
  const auto at = offset ? std::optional(static_cast<uint64_t>(*offset)) : std::nullopt;
  auto taken = call.agent().WriteInput(at, *call.Text("bytes"), call.Flag("close").value_or(false));
  if (!taken) return reply.Refuse(taken.error());
  reply.Send(Response::Json(202, JsonObject().Set("offset", *taken).Take()));
}

void GetQueue(ApiContext&, const Call& call, Reply reply) {
  reply.Send(Response::Json(200, call.agent().QueueJson()));
}

void Cancel(ApiContext&, const Call& call, Reply reply) {
  call.agent().Withdraw(call.String("message"), AnswerWhenDone(std::move(reply)));
}

void ListRuns(ApiContext&, const Call& call, Reply reply) {
  const auto token = call.Text("page_token");
  const uint64_t before = token ? Run::NumberOf(*token) : UINT64_MAX;
  if (before == 0) return reply.Refuse({"invalid_request", "page_token: must come from an earlier answer"});
  const auto most = static_cast<size_t>(call.Integer("limit").value_or(kDefaultRuns));
  auto answer = [shared = Shared(std::move(reply)), most](Result<std::vector<std::string>> found) {
    if (!found) return shared->Refuse(found.error());
    JsonArray runs;
    for (size_t i = 0; i < std::min(most, found->size()); ++i) runs.AddRaw((*found)[i]);
    JsonObject page;
    page.SetRaw("runs", runs.Take());
    if (found->size() > most) {
      auto last = JsonDocument::Parse((*found)[most - 1]);
      if (last) page.Set("next_page_token", (*last)["run_id"].StringOr(""));
    }
    shared->Send(Response::Json(200, page.Take()));
  };
  call.agent().history().List(before, most + 1, std::move(answer));
}

void GetRun(ApiContext&, const Call& call, Reply reply) {
  auto answer = [shared = Shared(std::move(reply)),
                 id = call.agent().id()](const Result<std::string>& found) {
    if (!found) return shared->Refuse(found.error());
    if (!found->empty()) return shared->Send(Response::Json(200, *found));
    shared->Refuse({"run_not_found", "agent " + id + " has no such run"});
  };
  call.agent().history().Find(call.String("run"), std::move(answer));
}

}  // namespace

std::vector<Operation> MessageOperations() {
  return {
      {.name = "agents.message",
       .access = Access::kOperate,
       .method = "POST",
       .path = "/agents/{id}/message",
       .text = "Sends a message to an agent, or several at once. A message begins a run.",
       .parameters = {PathAgent(), JsonMember("text", "Text", "The text."),
                      JsonMember("mode", "MessageMode", "When the message begins; followup if absent."),
                      JsonMember("model", "Text", "The model of its turn and of later ones."),
                      JsonMember("delay_ms", "Duration", "Holds the message for this time."),
                      JsonMember("run_at", "Text", "Holds the message until this time."),
                      JsonMember("messages", "NewMessages", "Several messages, in place of one.")},
       .answers = {{202, "Accepted"}},
       .errors = {"busy", "queue_full", "draining", "not_supported"},
       .run = Send,
       .tool = {.name = "send_message",
                .text = "Sends a message to an agent: a further task, or the answer to its question. It "
                        "begins a run when the agent is free. mode `steer` puts it into the present run, "
                        "`interrupt` ends that run first, `if_idle` refuses if the agent is busy. Returns "
                        "a `message_id`; pass it to wait_for_agent to wait for the end of its run.",
                .parameters = {"id", "text", "mode", "model"}}},
      {.name = "agents.stdin",
       .access = Access::kOperate,
       .method = "POST",
       .path = "/agents/{id}/stdin",
       .text = "Writes bytes to the stdin of a program (kind process).",
       .parameters = {PathAgent(),
                      Query("offset", Type::kInteger,
                            "The place of the first byte among all that this process is given. Bytes that it "
                            "was given already are skipped."),
                      Query("close", Type::kBoolean, "Closes stdin afterwards."),
                      WholeBytes("bytes", "The bytes.")},
       .answers = {{202, "StdinOffset"}},
       .errors = {"not_running", "conflict", "not_supported", "queue_full"},
       .run = WriteInput},
      {.name = "queue.list",
       .access = Access::kView,
       .method = "GET",
       .path = "/agents/{id}/queue",
       .text = "Lists the messages that wait, then the scheduled ones.",
       .parameters = {PathAgent()},
       .answers = {{200, "Queue"}},
       .run = GetQueue},
      {.name = "queue.withdraw",
       .access = Access::kOperate,
       .method = "DELETE",
       .path = "/agents/{id}/queue/{message}",
       .text = "Withdraws a message that has not begun.",
       .parameters = {PathAgent(), Path("message", "The message's id.")},
       .answers = {{204}},
       .errors = {"message_not_found", "already_started"},
       .run = Cancel},
      {.name = "runs.list",
       .access = Access::kView,
       .method = "GET",
       .path = "/agents/{id}/runs",
       .text = "Lists an agent's runs, the newest first. The last 1,000 are kept.",
       .parameters =
           {PathAgent(Type::kAnyAgent),
            Query("limit", Type::kInteger, "The size of a page; 100 if absent.").Between(1, kMaxRuns),
            Query("page_token", Type::kString, "`next_page_token` of the page before.")},
       .answers = {{200, "RunPage"}},
       .run = ListRuns},
      {.name = "runs.get",
       .access = Access::kView,
       .method = "GET",
       .path = "/agents/{id}/runs/{run}",
       .text = "Returns a run.",
       .parameters = {PathAgent(Type::kAnyAgent), Path("run", "The run's id.")},
       .answers = {{200, "Run"}},
       .errors = {"run_not_found"},
       .run = GetRun},
  };
}

}  // namespace reeve
