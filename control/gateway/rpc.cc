#include "control/gateway/rpc.h"

#include <algorithm>
#include <exception>
#include <utility>

#include "control/access/auth.h"
#include "control/access/idempotency.h"
#include "control/api/api.h"
#include "control/gateway/rpc_codes.h"
#include "control/gateway/rpc_message.h"
#include "control/http/answer_stream.h"
#include "orchestrator/config/closest_match.h"
#include "orchestrator/json/json.h"
#include "process/log.h"
#include "process/random.h"

namespace reeve {

namespace {

constexpr std::string_view kProblem = "application/problem+json";
constexpr std::string_view kKey = "idempotency_key";
constexpr size_t kMostEdits = 3;  // between an unknown method and the one that is probably meant

// Moves the idempotency_key from the params, whose other members become the body, to its header.
Status TakeKey(const JsonValue& params, Request& request) {
  if (CountMembers(params, kKey) > 1)
    return Error{"invalid_request", "the member idempotency_key is there twice"};
  const auto key = params[kKey].AsString();
  if (!key) return Error{"invalid_request", "idempotency_key: must be a string"};
  request.headers.emplace_back("idempotency-key", *key);
  JsonObject rest;
  for (const auto& [name, value] : params.Members()) {
    if (name != kKey) rest.SetRaw(name, value.Raw());
  }
  request.body = rest.Take();
  return {};
}

// An agent's id may also be called `agent`, as in events and subscriptions. Returns the params with the name
// of the operation, or nothing if they have that already.
std::optional<JsonDocument> WithId(const Operation& method, const JsonValue& params) {
  const auto& parameters = method.parameters;
  if (parameters.empty() || parameters.front().in != Parameter::In::kPath ||
      parameters.front().name != "id" || params["id"] || !params["agent"])
    return std::nullopt;
  JsonObject renamed;
  for (const auto& [name, value] : params.Members())
    renamed.SetRaw(name == "agent" ? "id" : name, value.Raw());
  auto json = JsonDocument::Parse(renamed.Take());
  return json ? std::optional(std::move(*json)) : std::nullopt;
}

// Takes the place of an HTTP path: a key for idempotency belongs to the method and to the things that it
// names.
std::string PathOf(const Operation& method, const JsonValue& params) {
  std::string path(method.name);
  for (const Parameter& parameter : method.parameters) {
    if (parameter.in == Parameter::In::kPath) path += "/" + params[parameter.name].Raw();
  }
  return path;
}

std::string_view MediaType(const Response& response) {
  for (const auto& [name, value] : response.headers) {
    if (EqualsIgnoringCase(name, "content-type")) return std::string_view(value).substr(0, value.find(';'));
  }
  return {};
}

// A line that was read while it was being written is left out.
std::string ArrayOf(std::string_view json_lines) {
  JsonArray array;
  while (!json_lines.empty()) {
    const std::string_view line = json_lines.substr(0, json_lines.find('\n'));
    json_lines.remove_prefix(std::min(line.size() + 1, json_lines.size()));
    if (ScanJsonObject(line)) array.AddRaw(line);
  }
  return array.Take();
}

// The result of a call is the body of its answer, on one line.
std::string ResultOf(Response& response, std::string_view media) {
  if (response.body.empty()) return "null";
  if (media == "application/x-ndjson") return ArrayOf(response.body);
  if (media != "application/json") {
    std::string text;
    AppendJsonString(text, response.body);
    return text;
  }
  // Line ends stand between tokens: a string has none.
  std::replace_if(
      response.body.begin(), response.body.end(), [](char c) { return c == '\n' || c == '\r'; }, ' ');
  return std::move(response.body);
}

}  // namespace

// The sink of one call's Reply, which holds it weakly: it is destroyed as soon as the call is answered or the
// connection ends.
class Rpc::Exchange final : public Reply::Sink {
 public:
  Exchange(Rpc& rpc, const Operation& of_method, std::optional<std::string> of_call, std::string of_request)
      : method(of_method), id(std::move(of_call)), request_id(std::move(of_request)), rpc_(rpc) {}
  void Answer(Response response) override { rpc_.Finish(*this, std::move(response)); }
  std::unique_ptr<AnswerStream> OpenStream() override {
    Answer(Response::Problem({"not_supported", std::string(method.name) +
                                                   " answers this with a stream, which only HTTP carries: " +
                                                   std::string(method.method) + " " +
                                                   std::string(method.path)}));
    return nullptr;
  }
  void OnGone(const std::function<void()>& gone) override { gone_ = gone; }
  // The function for a connection that ends now.
  std::function<void()> TakeGone() { return std::exchange(gone_, {}); }

  const Operation& method;
  const std::optional<std::string> id;  // JSON text; nothing: a notification
  const std::string request_id;

 private:
  Rpc& rpc_;
  std::function<void()> gone_;
};

Rpc::Rpc(ApiContext& api, Idempotency& idempotency, RpcCaller caller, std::span<const Operation> extras,
         RunExtra run_extra, Send send)
    : api_(api),
      idempotency_(idempotency),
      caller_(std::move(caller)),
      extras_(extras),
      run_extra_(std::move(run_extra)),
      send_(std::move(send)),
      id_prefix_("rpc-" + RandomHex(6) + '-') {}

Rpc::~Rpc() {
  std::vector<std::function<void()>> gone;
  for (const auto& [request_id, exchange] : in_flight_) gone.push_back(exchange->TakeGone());
  in_flight_.clear();
  for (const auto& one : gone) {
    if (one) one();
  }
}

void Rpc::Receive(std::string_view message) {
  ++counts_.messages;
  const auto json = JsonDocument::Parse(message);
  if (!json) {
    ++counts_.parse_errors;
    return SendError(kRpcNoId, kRpcParseError, Response::Problem(json.error()), NextRequestId());
  }
  const JsonValue call = json->root();
  const std::optional<std::string> id = IdOfAnswer(call);
  if (Status good = CheckCall(call); !good)
    return SendError(*id, kRpcInvalidRequest, Response::Problem(good.error()), NextRequestId());
  const std::string_view name = *call["method"].AsString();
  if (const Operation* method = FindMethod(name)) {
    const std::optional<JsonDocument> renamed = WithId(*method, call["params"]);
    Begin(*method, renamed ? renamed->root() : call["params"], id);
  } else if (id) {
    SendError(*id, kRpcMethodNotFound, Response::Problem(UnknownMethod(name)), NextRequestId());
  }
}

const Operation* Rpc::FindMethod(std::string_view name) const {
  const auto extra =
      std::find_if(extras_.begin(), extras_.end(), [name](const Operation& one) { return one.name == name; });
  return extra == extras_.end() ? FindOperation(name) : &*extra;
}

Error Rpc::UnknownMethod(std::string_view name) const {
  std::vector<std::string> known;
  for (const Operation& one : Operations()) known.emplace_back(one.name);
  for (const Operation& one : extras_) known.emplace_back(one.name);
  const std::string nearest = ClosestMatch(name, known, kMostEdits);
  return {"not_found", "there is no method " + std::string(name.substr(0, 64)) +
                           (nearest.empty() ? "" : "; did you mean " + nearest + "?")};
}

std::string Rpc::NextRequestId() { return id_prefix_ + std::to_string(++last_id_); }

void Rpc::Begin(const Operation& method, const JsonValue& params, std::optional<std::string> id) {
  Request request;
  request.path = PathOf(method, params);
  request.id = NextRequestId();
  request.from_unix_socket = caller_.from_unix_socket;
  request.caller = caller_.caller;
  // A reload may have given the token another name. One that took it away, or its scope, ends the connection.
  if (const auto now = api_.gate.CallerOf(caller_.caller.token)) request.caller->by = now->by;
  if (!caller_.origin.empty()) request.headers.emplace_back("origin", caller_.origin);
  if (params) request.body = params.Raw();

  const bool room = in_flight_.size() < kMaxInFlight;
  const auto exchange = std::make_shared<Exchange>(*this, method, std::move(id), request.id);
  in_flight_.emplace(request.id, exchange);
  Reply reply(exchange);
  if (!room) {
    return reply.Refuse(
        {"too_many_requests",
         std::to_string(kMaxInFlight) + " calls of this connection are in progress, which is the limit"});
  }
  if (Status allowed = CheckCaller(method, params); !allowed) return reply.Refuse(allowed.error());
  if (!method.takes_key() || !params[kKey]) return HandlerOf(method)(request, std::move(reply));
  if (Status taken = TakeKey(params, request); !taken) return reply.Refuse(taken.error());
  idempotency_.Handle(std::move(request), std::move(reply), HandlerOf(method));
}

Status Rpc::CheckCaller(const Operation& method, const JsonValue& params) const {
  if (Status allowed = CheckScope(method.access, caller_.caller.scope); !allowed) return allowed;
  if (!caller_.agents || !method.run) return {};
  const auto& parameters = method.parameters;
  if (parameters.empty() || parameters.front().in != Parameter::In::kPath || parameters.front().name != "id")
    return Error{"forbidden", "the ticket of this connection does not allow " + std::string(method.name)};
  const std::string_view agent = params["id"].StringOr("");
  if (std::find(caller_.agents->begin(), caller_.agents->end(), agent) != caller_.agents->end()) return {};
  return Error{"forbidden", "the ticket of this connection is for other agents"};
}

// The handler of an operation may run after this object has gone (idempotency.h). That of an extra runs at
// once, because no key applies to it.
Handler Rpc::HandlerOf(const Operation& method) {
  return [&api = api_, &method, this](const Request& request, Reply reply) {
    try {
      const auto call = Call::ReadParams(api, method, request);
      if (!call) return reply.Refuse(call.error());
      if (method.run) return method.run(api, *call, std::move(reply));
      run_extra_(method, *call, std::move(reply));
    } catch (const std::exception& failure) {  // the reply, which is destroyed, has answered
      log::Failure("rpc: {} threw an exception: {} request_id={}", method.name, failure.what(), request.id);
    }
  };
}

void Rpc::Finish(const Exchange& exchange, Response response) {
  const auto kept = in_flight_.extract(exchange.request_id);
  const std::string_view media = MediaType(response);
  if (media == kProblem) {
    const auto problem = JsonDocument::Parse(response.body);
    const ProblemKind& kind = FindProblem((*problem)["code"].StringOr(""));
    if (&kind == &Problems().front()) {
      ++counts_.crashes;
      log::Failure("rpc: {}: {} request_id={}", exchange.method.name, (*problem)["detail"].StringOr(""),
                   exchange.request_id);
    }
    if (exchange.id) SendError(*exchange.id, RpcCodeOf(kind), std::move(response), exchange.request_id);
  } else if (exchange.id) {
    send_(R"({"jsonrpc":"2.0","id":)" + *exchange.id + R"(,"result":)" + ResultOf(response, media) + "}");
  }
}

void Rpc::SendError(std::string_view id, int code, Response problem, const std::string& request_id) {
  SetRequestId(problem, request_id);
  const auto json = JsonDocument::Parse(problem.body);
  JsonObject error;
  error.Set("code", code).Set("message", (*json)["detail"].StringOr("")).SetRaw("data", problem.body);
  send_(JsonObject().Set("jsonrpc", "2.0").SetRaw("id", id).SetRaw("error", error.Take()).Take());
}

}  // namespace reeve
