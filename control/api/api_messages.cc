// Messages and runs: sending, the queue, and results.
#include <algorithm>
#include <memory>
#include <utility>

#include "control/api/api.h"
#include "orchestrator/agent/agent.h"
#include "orchestrator/config/units.h"

namespace reeve {

namespace {

constexpr int64_t kMaxDelayMs = int64_t{366} * 86'400'000;
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

Result<Delivery> ReadDelivery(const ApiContext& api, const Request& request) {
  const std::vector<std::string_view> members = {"text", "mode", "model", "delay_ms", "run_at"};
  Delivery delivery;
  auto json = ParseBody(request);
  delivery.several = json && (*json)["messages"];
  auto body = ReadBody(request, delivery.several ? std::vector<std::string_view>{"messages"} : members);
  if (!body) return body.error();
  if (!delivery.several) {
    auto message = ReadMessage(api, body->root(), delivery.only_if_idle);
    if (!message) return message.error();
    delivery.messages.push_back(std::move(*message));
    return delivery;
  }
  const JsonValue list = (*body)["messages"];
  if (!list.Is(JsonType::kArray) || list.size() == 0 || list.size() > kMaxMessages) {
    return Error{"invalid_request",
                 "messages: must be an array of 1 to " + std::to_string(kMaxMessages) + " messages"};
  }
  for (const JsonValue& element : list.Elements()) {
    const std::string at = "messages[" + std::to_string(delivery.messages.size()) + "]";
    if (!element.Is(JsonType::kObject)) return Error{"invalid_request", at + ": must be an object"};
    for (const auto& [key, value] : element.Members()) {
      if (std::find(members.begin(), members.end(), key) != members.end()) continue;
      return Error{"invalid_request", at + ": unknown field " + std::string(key.substr(0, 64))};
    }
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

void Send(ApiContext& api, const Request& request, Reply reply) {
  auto agent = FindLiveAgent(api, request);
  if (!agent) return reply.Send(Response::Problem(agent.error()));
  auto delivery = ReadDelivery(api, request);
  if (!delivery) return reply.Send(Response::Problem(delivery.error()));
  for (size_t i = 0; i < delivery->messages.size() && !request.key.empty(); ++i) {
    delivery->messages[i].id =
        "m" + request.key.substr(0, 16) + (delivery->several ? "-" + std::to_string(i + 1) : "");
  }
  auto answer = [shared = std::make_shared<Reply>(std::move(reply)),
                 several = delivery->several](const Result<std::vector<Agent::Accepted>>& accepted) {
    if (!accepted) return shared->Send(Response::Problem(accepted.error()));
    if (!several) return shared->Send(Response::Json(202, ToJson(accepted->front())));
    JsonArray all;
    for (const Agent::Accepted& one : *accepted) all.AddRaw(ToJson(one));
    shared->Send(Response::Json(202, JsonObject().SetRaw("messages", all.Take()).Take()));
  };
  (*agent)->Send(std::move(delivery->messages), delivery->only_if_idle, std::move(answer));
}

// The body is bytes, of any type.
void WriteInput(ApiContext& api, const Request& request, Reply reply) {
  auto agent = FindLiveAgent(api, request);
  if (!agent) return reply.Send(Response::Problem(agent.error()));
  auto offset = ReadNumber(request, "offset", -1, 0, INT64_MAX);
  if (!offset) return reply.Send(Response::Problem(offset.error()));
  const std::string_view close = request.Query("close").value_or("false");
  if (close != "true" && close != "false")
    return reply.Send(Response::Problem({"invalid_request", "close: must be true or false"}));
  const auto at = *offset < 0 ? std::nullopt : std::optional(static_cast<uint64_t>(*offset));
  auto taken = (*agent)->WriteInput(at, request.body, close == "true");
  if (!taken) return reply.Send(Response::Problem(taken.error()));
  reply.Send(Response::Json(202, JsonObject().Set("offset", *taken).Take()));
}

void GetQueue(ApiContext& api, const Request& request, Reply reply) {
  auto agent = FindLiveAgent(api, request);
  reply.Send(agent ? Response::Json(200, (*agent)->QueueJson()) : Response::Problem(agent.error()));
}

void Cancel(ApiContext& api, const Request& request, Reply reply) {
  auto agent = FindLiveAgent(api, request);
  if (!agent) return reply.Send(Response::Problem(agent.error()));
  auto shared = std::make_shared<Reply>(std::move(reply));
  (*agent)->Withdraw(request.params[1], [shared](const Status& status) {
    Answer(*shared, status, [] { return Response{204, {}, ""}; });
  });
}

void ListRuns(ApiContext& api, const Request& request, Reply reply) {
  auto agent = FindAgent(api, request);  // deleted agents included
  if (!agent) return reply.Send(Response::Problem(agent.error()));
  auto limit = ReadNumber(request, "limit", 100, 1, kMaxRuns);
  if (!limit) return reply.Send(Response::Problem(limit.error()));
  const auto token = request.Query("page_token");
  const uint64_t before = token ? Run::NumberOf(*token) : UINT64_MAX;
  if (before == 0)
    return reply.Send(Response::Problem({"invalid_request", "page_token: must come from an earlier answer"}));
  auto shared = std::make_shared<Reply>(std::move(reply));
  const auto most = static_cast<size_t>(*limit);
  (*agent)->history().List(before, most + 1, [shared, most](Result<std::vector<std::string>> found) {
    if (!found) return shared->Send(Response::Problem(found.error()));
    JsonArray runs;
    for (size_t i = 0; i < std::min(most, found->size()); ++i) runs.AddRaw((*found)[i]);
    JsonObject page;
    page.SetRaw("runs", runs.Take());
    if (found->size() > most) {
      auto last = JsonDocument::Parse((*found)[most - 1]);
      if (last) page.Set("next_page_token", (*last)["run_id"].StringOr(""));
    }
    shared->Send(Response::Json(200, page.Take()));
  });
}

void GetRun(ApiContext& api, const Request& request, Reply reply) {
  auto agent = FindAgent(api, request);
  if (!agent) return reply.Send(Response::Problem(agent.error()));
  auto shared = std::make_shared<Reply>(std::move(reply));
  (*agent)->history().Find(
      request.params[1], [shared, id = (*agent)->id()](const Result<std::string>& found) {
        if (!found) return shared->Send(Response::Problem(found.error()));
        if (!found->empty()) return shared->Send(Response::Json(200, *found));
        shared->Send(Response::Problem({"run_not_found", "agent " + id + " has no such run"}));
      });
}

}  // namespace

void AddMessageRoutes(Router& router, ApiContext& api) {
  auto with = [&api](void (*handler)(ApiContext&, const Request&, Reply)) {
    return [&api, handler](const Request& request, Reply reply) { handler(api, request, std::move(reply)); };
  };
  router.Add("POST", "/agents/{id}/message", Access::kOperate, with(Send));
  router.Add("POST", "/agents/{id}/stdin", Access::kOperate, with(WriteInput), {"offset", "close"});
  router.Add("GET", "/agents/{id}/queue", Access::kView, with(GetQueue));
  router.Add("DELETE", "/agents/{id}/queue/{message}", Access::kOperate, with(Cancel));
  router.Add("GET", "/agents/{id}/runs", Access::kView, with(ListRuns), {"limit", "page_token"});
  router.Add("GET", "/agents/{id}/runs/{run}", Access::kView, with(GetRun));
}

}  // namespace reeve
