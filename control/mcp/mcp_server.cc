#include "control/mcp/mcp_server.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>
#include <vector>

#include "control/api/api.h"
#include "control/http/answer_stream.h"
#include "control/http/router.h"
#include "control/mcp/mcp_call.h"
#include "control/mcp/mcp_message.h"
#include "control/mcp/mcp_stream.h"
#include "control/mcp/mcp_task.h"
#include "control/mcp/mcp_tools.h"
#include "orchestrator/json/json.h"
#include "process/clock.h"
#include "process/loop.h"
#include "process/random.h"

namespace reeve {

namespace {

constexpr std::string_view kJsonType = "application/json";
constexpr std::string_view kEventsType = "text/event-stream";
constexpr size_t kSessionBytes = 16;
constexpr int64_t kDiscoverTtlMs = 3'600'000;
constexpr int64_t kToolsTtlMs = 60'000;
constexpr std::string_view kSubscription = "io.modelcontextprotocol/subscriptionId";

constexpr const char* kInstructions =
    "reeve runs coding agents in the background, each with a process, a log and a queue of messages of its "
    "own. To give work to another agent: list_kinds, start_agent with the whole task as `prompt`, "
    "wait_for_agent, then read_events with types \"assistant.message\" for its answer. Use send_message for "
    "a further task. If a wait takes long, list_approvals shows whether an agent waits for a decision. Start "
    "several agents at once for independent tasks, each with a `workspace` of its own.";

std::string ServerInfo() { return JsonObject().Set("name", "reeve").Set("version", REEVE_VERSION).Take(); }

bool IsMediaType(std::string_view value, std::string_view type) {
  std::string_view found = value.substr(0, value.find(';'));
  while (!found.empty() && found.back() == ' ') found.remove_suffix(1);
  return EqualsIgnoringCase(found, type);
}

bool Accepts(const Request& request, std::string_view type) {
  std::string_view rest = request.Header("accept");
  while (!rest.empty()) {
    const std::string_view one = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(one.size() + 1, rest.size()));
    if (IsMediaType(one.substr(std::min(one.find_first_not_of(' '), one.size())), type)) return true;
  }
  return false;
}

Response JsonResponse(int status, std::string body) {
  return {status, {{"Content-Type", std::string(kJsonType)}}, std::move(body)};
}

// Adds the members that each result of the stateless revision has.
std::string Stateless(std::string result, std::string_view type = "complete") {
  JsonObject meta;
  meta.SetRaw("io.modelcontextprotocol/serverInfo", ServerInfo());
  JsonObject more;
  more.Set("resultType", type).SetRaw("_meta", meta.Take());
  result.back() = result.size() > 2 ? ',' : ' ';
  return result + more.Take().substr(1);
}

}  // namespace

// One POST: one message, or several in an array.
class McpServer::Exchange {
 public:
  Exchange(McpServer& server, const Request& request, Reply reply)
      : server_(server), request_(request), reply_(std::move(reply)) {}
  ~Exchange() {
    if (stream_) --server_.streams_;
  }
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  void Begin();
  // The client wants no answer to this call any more.
  bool Cancel(std::string_view id);
  void Drop();    // ends it without an answer, because its client has gone
  void Revoke();  // its token is no longer valid
  void Tick();

  [[nodiscard]] uint64_t token() const { return request_.caller ? request_.caller->token : 0; }
  [[nodiscard]] std::string_view session() const { return request_.Header("mcp-session-id"); }
  std::list<std::unique_ptr<Exchange>>::iterator place;  // in the list of the server
  bool retired = false;

 private:
  // The answer to one message; empty: none (yet).
  struct Slot {
    McpMessage message;
    std::string answer = {};
    int status = 200;
    bool open = true;
    std::unique_ptr<McpCall> call = {};
    // A call with progress has these.
    std::string progress_token = {};  // JSON text
    int64_t began_ms = 0;
    int64_t progress = -1;  // the last that was sent
    int64_t wait_ms = 0;
  };
  using Run = void (Exchange::*)(Slot& slot);
  struct Method {
    std::string_view name;
    bool handshake;  // the revisions with a handshake have it
    bool stateless;
    Run run;
  };
  static const std::array<Method, 10> kMethods;

  void Start(Slot& slot);
  void Initialize(Slot& slot);
  void Discover(Slot& slot);
  void Ping(Slot& slot) { Succeed(slot, "{}"); }
  void ListTools(Slot& slot);
  void CallTool(Slot& slot);
  void Listen(Slot& slot);
  void GetTask(Slot& slot);
  void UpdateTask(Slot& slot);
  void CancelTask(Slot& slot);
  void CancelCall(Slot& slot);

  // The task that the params name; nothing: the slot has been answered with an error.
  std::optional<McpTask> FindTask(Slot& slot);
  void MakeTask(Slot& slot, const McpTool& tool, const JsonValue& arguments, int64_t wait_ms);
  void AnswerTask(Slot& slot, const McpTask& task, std::string_view status, std::string_view result);
  // The Idempotency-Key of a call; empty: none.
  [[nodiscard]] std::string KeyOf(const Slot& slot) const;
  // Whether the client repeats the request, and gets no result of this call.
  [[nodiscard]] bool LeaveToRepeat(const McpCall::Outcome& outcome) const;
  // Returns false if the client has gone. Only a request for one answer gets a stream.
  [[nodiscard]] bool OpenStream(Slot& slot);
  void SendProgress(Slot& slot);
  void Succeed(Slot& slot, std::string result, std::string_view type = "complete");
  void Fail(Slot& slot, const McpError& error);
  void Close(Slot& slot, std::string answer, int status = 200);
  void Advance();
  [[nodiscard]] bool waits() const {
    return std::any_of(slots_.begin(), slots_.end(), [](const Slot& slot) { return slot.open; });
  }

  McpServer& server_;
  const Request request_;
  Reply reply_;
  std::optional<JsonDocument> body_;
  std::deque<Slot> slots_;
  bool batch_ = false;
  bool beginning_ = true;
  bool over_ = false;
  Headers headers_;
  std::optional<Error> not_now_;  // a call was left to be repeated: the answer is this problem
  std::string events_;            // an answer that is a whole stream of events
  std::unique_ptr<McpStream> stream_;
};

const std::array<McpServer::Exchange::Method, 10> McpServer::Exchange::kMethods = {{
    {"initialize", true, false, &Exchange::Initialize},
    {"ping", true, false, &Exchange::Ping},
    {"server/discover", false, true, &Exchange::Discover},
    {"tools/list", true, true, &Exchange::ListTools},
    {"tools/call", true, true, &Exchange::CallTool},
    {"subscriptions/listen", false, true, &Exchange::Listen},
    {"tasks/get", false, true, &Exchange::GetTask},
    {"tasks/update", false, true, &Exchange::UpdateTask},
    {"tasks/cancel", false, true, &Exchange::CancelTask},
    {"notifications/cancelled", true, false, &Exchange::CancelCall},
}};

void McpServer::Exchange::Begin() {
  auto body = JsonDocument::Parse(request_.body);
  if (!body) {
    const McpError error = {McpError::kParse, "Parse error: " + body.error().message};
    reply_.Send(JsonResponse(400, FormatMcpError("", error)));
    over_ = true;
    return server_.Retire(*this);
  }
  body_ = std::move(*body);
  batch_ = body_->root().Is(JsonType::kArray);
  if (batch_) {
    const size_t count = body_->root().size();
    if (!MayBatch(request_) || count == 0 || count > kMaxBatch) {
      const McpError error = {McpError::kInvalidRequest,
                              "a batch must have 1 to " + std::to_string(kMaxBatch) +
                                  " messages, and only revision 2025-03-26 has batches"};
      reply_.Send(JsonResponse(400, FormatMcpError("", error)));
      over_ = true;
      return server_.Retire(*this);
    }
    for (const JsonValue& one : body_->root().Elements()) slots_.push_back({McpMessage::Read(one, request_)});
  } else {
    slots_.push_back({McpMessage::Read(body_->root(), request_)});
  }
  for (Slot& slot : slots_) Start(slot);
  beginning_ = false;
  // Nobody is left who could take the answer, and a wait that goes on would keep its room.
  if (waits() && !stream_) {
    reply_.OnGone([this] { Drop(); });
  }
  Advance();
}

void McpServer::Exchange::Start(Slot& slot) {
  const McpMessage& message = slot.message;
  if (message.error) return Fail(slot, *message.error);
  if (message.is_answer) return Close(slot, "");
  const auto method = std::find_if(kMethods.begin(), kMethods.end(), [&message](const Method& one) {
    return one.name == message.method && (message.stateless ? one.stateless : one.handshake);
  });
  const bool notifies = message.method.starts_with("notifications/");
  if (method != kMethods.end() && notifies == message.id.empty()) return (this->*method->run)(slot);
  if (message.id.empty()) return Close(slot, "");  // notifications that are not known are ignored
  Fail(slot, {McpError::kNoMethod, "there is no method " + std::string(message.method.substr(0, 64)), "",
              message.stateless ? 404 : 200});
}

void McpServer::Exchange::Initialize(Slot& slot) {
  const auto wanted = slot.message.params["protocolVersion"].AsString();
  if (!wanted) return Fail(slot, {McpError::kInvalidParams, "protocolVersion: must be a string", "", 200});
  const bool known = std::find(kMcpHandshakes.begin(), kMcpHandshakes.end(), *wanted) != kMcpHandshakes.end();
  headers_.emplace_back("Mcp-Session-Id", RandomHex(kSessionBytes));
  Succeed(slot, JsonObject()
                    .Set("protocolVersion", known ? *wanted : kMcpHandshakes.front())
                    .SetRaw("capabilities", R"({"tools":{}})")
                    .SetRaw("serverInfo", ServerInfo())
                    .Set("instructions", kInstructions)
                    .Take());
}

void McpServer::Exchange::Discover(Slot& slot) {
  JsonObject extensions;
  extensions.SetRaw(kMcpTasks, "{}");
  JsonObject capabilities;
  capabilities.SetRaw("tools", "{}").SetRaw("extensions", extensions.Take());
  JsonArray versions;
  versions.Add(kMcpStateless);
  Succeed(slot, JsonObject()
                    .SetRaw("supportedVersions", versions.Take())
                    .SetRaw("capabilities", capabilities.Take())
                    .Set("instructions", kInstructions)
                    .Set("ttlMs", kDiscoverTtlMs)
                    .Set("cacheScope", "public")
                    .Take());
}

void McpServer::Exchange::ListTools(Slot& slot) {
  if (slot.message.params["cursor"])  // all tools are on one page
    return Fail(slot, {McpError::kInvalidParams, "cursor: there is no such page", "", 200});
  JsonObject result;
  result.SetRaw("tools", ListMcpTools(request_.caller->scope));
  if (slot.message.stateless) result.Set("ttlMs", kToolsTtlMs).Set("cacheScope", "private");
  Succeed(slot, result.Take());
}

void McpServer::Exchange::CallTool(Slot& slot) {
  const JsonValue params = slot.message.params;
  const auto name = params["name"].AsString();
  const JsonValue given = params["arguments"];
  if (!name) return Fail(slot, {McpError::kInvalidParams, "name: must be a string", "", 200});
  if (given && !given.Is(JsonType::kObject))
    return Fail(slot, {McpError::kInvalidParams, "arguments: must be an object", "", 200});
  const McpTool* tool = FindMcpTool(*name);
  if (!tool)
    return Fail(slot,
                {McpError::kInvalidParams, "there is no tool " + std::string(name->substr(0, 64)), "", 200});
  const auto wait_ms = McpCall::WaitMs(*tool, given);
  if (wait_ms && *wait_ms > 0 && slot.message.knows_tasks && given.Raw().size() <= McpTask::kMaxArgumentBytes)
    return MakeTask(slot, *tool, given, *wait_ms);
  slot.wait_ms = wait_ms ? *wait_ms : 0;
  slot.call = std::make_unique<McpCall>(server_.api_, server_.idempotency_, *tool, request_, KeyOf(slot),
                                        [this, &slot](McpCall::Outcome outcome) {
                                          if (!LeaveToRepeat(outcome)) return Succeed(slot, outcome.result);
                                          not_now_ = std::move(outcome.error);
                                          Close(slot, "");
                                        });
  wait_ms ? slot.call->Begin(given, *wait_ms) : slot.call->Refuse(wait_ms.error());
  if (!slot.open || slot.wait_ms == 0 || OpenStream(slot)) return;
  slot.call.reset();
  Close(slot, "");
}

// A batch has one key for several calls, which may be of the same tool.
std::string McpServer::Exchange::KeyOf(const Slot& slot) const {
  std::string key(request_.Header("idempotency-key"));
  if (!batch_ || key.empty()) return key;
  const auto found =
      std::find_if(slots_.begin(), slots_.end(), [&](const Slot& one) { return &one == &slot; });
  return key + "-" + std::to_string(found - slots_.begin());
}

// A client with an Idempotency-Key repeats its request until the daemon is there again, or the first request
// with that key has ended. Others show the result to their model.
bool McpServer::Exchange::LeaveToRepeat(const McpCall::Outcome& outcome) const {
  if (!outcome.error || !request_.HasHeader("idempotency-key")) return false;
  return outcome.error->code == "draining" || outcome.error->code == "request_under_way";
}

// The list of tools never changes, so a subscription ends as soon as it is acknowledged.
void McpServer::Exchange::Listen(Slot& slot) {
  if (!slot.message.params["notifications"].Is(JsonType::kObject))
    return Fail(slot, {McpError::kInvalidParams, "notifications: must be an object", "", 200});
  const std::string meta = JsonObject().SetRaw(kSubscription, slot.message.id).Take();
  const std::string params = JsonObject().SetRaw("notifications", "{}").SetRaw("_meta", meta).Take();
  events_ = "event: message\ndata: " +
            JsonObject()
                .Set("jsonrpc", "2.0")
                .Set("method", "notifications/subscriptions/acknowledged")
                .SetRaw("params", params)
                .Take() +
            "\n\n";
  JsonObject more;
  more.SetRaw(kSubscription, slot.message.id).SetRaw("io.modelcontextprotocol/serverInfo", ServerInfo());
  const std::string result = JsonObject().Set("resultType", "complete").SetRaw("_meta", more.Take()).Take();
  Close(slot, FormatMcpResult(slot.message.id, result));
}

// --- tasks

void McpServer::Exchange::MakeTask(Slot& slot, const McpTool& tool, const JsonValue& arguments,
                                   int64_t wait_ms) {
  const int64_t now_ms = server_.api_.clock.WallMs();
  const McpTask task = {std::string(tool.tool().name), McpCall::WithTarget(server_.api_, tool, arguments),
                        now_ms, now_ms + wait_ms};
  JsonObject json;
  json.Set("taskId", task.Id()).Set("status", "working");
  json.Set("createdAt", FormatTime(now_ms)).Set("lastUpdatedAt", FormatTime(now_ms));
  json.SetRaw("ttlMs", "null").Set("pollIntervalMs", kTaskPollMs);
  Succeed(slot, json.Take(), "task");
}

std::optional<McpTask> McpServer::Exchange::FindTask(Slot& slot) {
  if (!slot.message.knows_tasks) {
    JsonObject extension;
    extension.SetRaw(kMcpTasks, "{}");
    JsonObject required;
    required.SetRaw("requiredCapabilities", JsonObject().SetRaw("extensions", extension.Take()).Take());
    Fail(slot, {McpError::kMissingCapability, "Missing required client capability", required.Take()});
    return std::nullopt;
  }
  auto task = McpTask::FromId(slot.message.params["taskId"].StringOr(""));
  const McpTool* tool = task ? FindMcpTool(task->tool) : nullptr;
  if (tool && !tool->tool().wait.empty()) return task;
  Fail(slot, {McpError::kInvalidParams, "taskId: there is no such task", "", 200});
  return std::nullopt;
}

void McpServer::Exchange::GetTask(Slot& slot) {
  const auto task = FindTask(slot);
  if (!task) return;
  if (server_.cancelled_.contains(slot.message.params["taskId"].StringOr("")))
    return AnswerTask(slot, *task, "cancelled", "");
  slot.call = std::make_unique<McpCall>(
      server_.api_, server_.idempotency_, *FindMcpTool(task->tool), request_, "",
      [this, &slot, task = *task](const McpCall::Outcome& outcome) {
        const bool goes_on =
            outcome.temporary() || (outcome.over_time && server_.api_.clock.WallMs() < task.until_ms);
        AnswerTask(slot, task, goes_on ? "working" : "completed", goes_on ? "" : outcome.result);
      });
  slot.call->Begin(JsonDocument::Parse(task->arguments)->root(), 0);
}

void McpServer::Exchange::AnswerTask(Slot& slot, const McpTask& task, std::string_view status,
                                     std::string_view result) {
  JsonObject json;
  json.Set("taskId", slot.message.params["taskId"].StringOr("")).Set("status", status);
  json.Set("createdAt", FormatTime(task.made_ms));
  json.Set("lastUpdatedAt", FormatTime(server_.api_.clock.WallMs()));
  json.SetRaw("ttlMs", "null").Set("pollIntervalMs", kTaskPollMs).SetRaw("result", result);
  Succeed(slot, json.Take());
}

void McpServer::Exchange::UpdateTask(Slot& slot) {
  if (FindTask(slot)) Succeed(slot, "{}");
}

void McpServer::Exchange::CancelTask(Slot& slot) {
  if (!FindTask(slot)) return;
  server_.CancelTask(std::string(slot.message.params["taskId"].StringOr("")));
  Succeed(slot, "{}");
}

// --- progress and cancellation

void McpServer::Exchange::CancelCall(Slot& slot) {
  server_.Cancel(request_, slot.message.params["requestId"].Raw());
  Close(slot, "");
}

bool McpServer::Exchange::Cancel(std::string_view id) {
  for (Slot& slot : slots_) {
    if (!slot.open || slot.message.id != id) continue;
    slot.call.reset();
    if (stream_) {
      Close(slot, "");
    } else {
      Fail(slot, {McpError::kInvalidRequest, "the request was cancelled", "", 200});
    }
    return true;
  }
  return false;
}

bool McpServer::Exchange::OpenStream(Slot& slot) {
  if (batch_ || !Accepts(request_, kEventsType) || server_.streams_ >= kMaxStreams) return true;
  Headers headers = {{"Content-Type", std::string(kEventsType)}, {"X-Accel-Buffering", "no"}};
  headers.insert(headers.end(), reply_.headers().begin(), reply_.headers().end());
  auto answer = reply_.OpenStream();
  if (!answer) return false;
  answer->Begin(200, std::move(headers), request_.id);
  stream_ = std::make_unique<McpStream>(server_.api_.loop, std::move(answer), [this](bool) { Drop(); });
  ++server_.streams_;
  if (!server_.tick_.active()) server_.tick_.Start(kProgressMs, kProgressMs);
  const JsonValue token = slot.message.params["_meta"]["progressToken"];
  if (token.Is(JsonType::kString) || token.AsInt()) slot.progress_token = token.Raw();
  slot.began_ms = server_.api_.loop.NowMs();
  SendProgress(slot);
  return true;
}

void McpServer::Exchange::SendProgress(Slot& slot) {
  const int64_t waited_s = (server_.api_.loop.NowMs() - slot.began_ms) / 1'000;
  // The tick of the server may follow at once, and progress must increase.
  if (slot.progress_token.empty() || waited_s <= slot.progress) return stream_->KeepAlive();
  slot.progress = waited_s;
  JsonObject params;
  params.SetRaw("progressToken", slot.progress_token);
  params.Set("progress", waited_s).Set("total", slot.wait_ms / 1'000);
  params.Set("message", "waiting for " + std::to_string(waited_s) + " s");
  stream_->Send(JsonObject()
                    .Set("jsonrpc", "2.0")
                    .Set("method", "notifications/progress")
                    .SetRaw("params", params.Take())
                    .Take());
}

void McpServer::Exchange::Tick() {
  if (!stream_) return;
  if (slots_.front().open) SendProgress(slots_.front());
  stream_->CheckTime();
}

// --- answers

void McpServer::Exchange::Succeed(Slot& slot, std::string result, std::string_view type) {
  if (slot.message.stateless) result = Stateless(std::move(result), type);
  Close(slot, FormatMcpResult(slot.message.id, result));
}

void McpServer::Exchange::Fail(Slot& slot, const McpError& error) {
  Close(slot, FormatMcpError(slot.message.id, error), error.status);
}

void McpServer::Exchange::Close(Slot& slot, std::string answer, int status) {
  slot.answer = std::move(answer);
  slot.status = status;
  slot.open = false;
  if (!beginning_) Advance();
}

void McpServer::Exchange::Advance() {
  if (over_ || waits()) return;
  over_ = true;
  if (stream_) {  // the exchange ends with the stream
    if (!slots_.front().answer.empty()) stream_->Send(slots_.front().answer);
    return stream_->End();
  }
  if (not_now_) {
    reply_.Send(Response::Problem(*not_now_));
    return server_.Retire(*this);
  }
  std::string body;
  for (const Slot& slot : slots_) {
    if (!slot.answer.empty()) body.append(body.empty() ? "" : ",").append(slot.answer);
  }
  Response response = JsonResponse(batch_ ? 200 : slots_.front().status, std::move(body));
  if (response.body.empty()) {
    response = {202, {}, ""};
  } else if (batch_) {
    response.body = "[" + response.body + "]";
  } else if (!events_.empty()) {
    response.body = events_ + "event: message\ndata: " + response.body + "\n\n";
    response.headers = {{"Content-Type", std::string(kEventsType)}};
  }
  response.headers.insert(response.headers.end(), headers_.begin(), headers_.end());
  reply_.Send(std::move(response));
  server_.Retire(*this);
}

void McpServer::Exchange::Revoke() {
  if (!stream_) reply_.Refuse({"unauthorized", "the token is no longer valid"});
  Drop();
}

void McpServer::Exchange::Drop() {
  for (Slot& slot : slots_) slot.call.reset();
  over_ = true;
  server_.Retire(*this);
}

// -------------------------------------------------------------------------------------------------- server

McpServer::McpServer(ApiContext& api, Idempotency& idempotency)
    : api_(api),
      idempotency_(idempotency),
      sweep_(api.loop, [this] { retired_.clear(); }),
      tick_(api.loop, [this] { Tick(); }) {}

McpServer::~McpServer() = default;

void McpServer::Serve(const Request& request, Reply reply) {
  if (!IsMediaType(request.Header("content-type"), kJsonType)) {
    const McpError error = {McpError::kInvalidRequest, "Content-Type: must be application/json"};
    return reply.Send(JsonResponse(415, FormatMcpError("", error)));
  }
  exchanges_.push_back(std::make_unique<Exchange>(*this, request, std::move(reply)));
  exchanges_.back()->place = std::prev(exchanges_.end());
  exchanges_.back()->Begin();
}

void McpServer::Retire(Exchange& exchange) {
  if (std::exchange(exchange.retired, true)) return;
  retired_.splice(retired_.end(), exchanges_, exchange.place);
  sweep_.Start(0);
}

void McpServer::Cancel(const Request& request, std::string_view id) {
  const std::string_view session = request.Header("mcp-session-id");
  if (session.empty()) return;
  for (const auto& exchange : exchanges_) {
    const bool theirs = exchange->session() == session && exchange->token() == request.caller->token;
    if (theirs && exchange->Cancel(id)) return;
  }
}

void McpServer::CancelTask(const std::string& task) {
  if (!cancelled_.insert(task).second) return;
  cancelled_order_.push_back(task);
  if (cancelled_order_.size() <= kMaxCancelled) return;
  cancelled_.erase(cancelled_order_.front());
  cancelled_order_.pop_front();
}

void McpServer::CloseByToken(uint64_t token) {
  std::vector<Exchange*> theirs;
  for (const auto& exchange : exchanges_) {
    if (exchange->token() == token) theirs.push_back(exchange.get());
  }
  for (Exchange* exchange : theirs) exchange->Revoke();
}

void McpServer::Tick() {
  std::vector<Exchange*> all;
  for (const auto& exchange : exchanges_) all.push_back(exchange.get());
  for (Exchange* exchange : all) exchange->Tick();
  if (streams_ == 0) tick_.Stop();
}

void AddMcpRoute(Router& router, McpServer& server) {
  Route& route = router.Add("POST", "/mcp", Access::kView, [&server](const Request& request, Reply reply) {
    server.Serve(request, std::move(reply));
  });
  route.secret = true;  // an Idempotency-Key belongs to the operation that a tool runs
}

}  // namespace reeve
