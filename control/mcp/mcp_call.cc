#include "control/mcp/mcp_call.h"

#include <algorithm>
#include <exception>
#include <utility>
#include <vector>

#include "control/access/auth.h"
#include "control/access/idempotency.h"
#include "control/api/api.h"
#include "control/http/answer_stream.h"
#include "control/http/problem.h"
#include "process/log.h"
#include "process/loop.h"

namespace reeve {

namespace {

constexpr std::string_view kIdempotencyKey = "idempotency-key";

std::vector<std::string_view> KnownArguments(const McpTool& tool) {
  std::vector<std::string_view> known = tool.tool().parameters;
  if (!known.empty() || tool.operation->params_are_whole()) return known;
  for (const Parameter& parameter : tool.operation->parameters) known.push_back(parameter.name);
  return known;
}

Error ErrorIn(const Response& problem) {
  const auto json = JsonDocument::Parse(problem.body);
  if (!json) return {"internal", "the daemon failed"};
  return {std::string((*json)["code"].StringOr("internal")), std::string((*json)["detail"].StringOr(""))};
}

}  // namespace

// The sink of the operation's Reply, which holds it weakly.
class McpCall::Sink final : public Reply::Sink {
 public:
  explicit Sink(McpCall& call) : call_(call) {}
  void Answer(Response response) override { call_.Take(std::move(response)); }
  std::unique_ptr<AnswerStream> OpenStream() override {
    call_.Fail({"not_supported", "this answer is a stream, which only HTTP carries"});
    return nullptr;
  }
  void OnGone(const std::function<void()>& gone) override { gone_ = gone; }
  std::function<void()> TakeGone() { return std::exchange(gone_, {}); }

 private:
  McpCall& call_;
  std::function<void()> gone_;
};

McpCall::McpCall(ApiContext& api, Idempotency& idempotency, const McpTool& tool, const Request& from,
                 const std::string& key, Done done)
    : api_(api), idempotency_(idempotency), tool_(tool), done_(std::move(done)), again_(api.loop, [this] {
        Run();
      }) {
  request_.path = "tools/" + std::string(tool.tool().name);
  request_.id = from.id;
  request_.from_unix_socket = from.from_unix_socket;
  request_.caller = from.caller;
  if (from.HasHeader("origin")) request_.headers.emplace_back("origin", from.Header("origin"));
  if (!key.empty()) request_.headers.emplace_back(kIdempotencyKey, key);
}

McpCall::~McpCall() {
  if (!sink_) return;
  const std::function<void()> gone = sink_->TakeGone();
  sink_.reset();
  if (gone) gone();
}

Result<int64_t> McpCall::WaitMs(const McpTool& tool, const JsonValue& arguments) {
  const std::string_view name = tool.tool().wait;
  if (name.empty()) return int64_t{0};
  const JsonValue given = arguments[name];
  if (!given) return tool.operation->Find(name)->most;
  const auto wait_ms = given.AsInt();
  if (wait_ms && *wait_ms >= 0 && *wait_ms <= kMaxToolWaitMs) return *wait_ms;
  return Error{"invalid_request",
               std::string(name) + ": must be a whole number from 0 to " + std::to_string(kMaxToolWaitMs)};
}

std::string McpCall::WithTarget(const ApiContext& api, const McpTool& tool, const JsonValue& arguments) {
  std::string all = arguments ? arguments.Raw() : "{}";
  const std::string target = tool.tool().target ? tool.tool().target(api, arguments) : "";
  if (target.empty()) return all;
  all.back() = arguments.Members().empty() ? ' ' : ',';
  return all + target + "}";
}

void McpCall::Begin(const JsonValue& arguments, int64_t wait_ms) {
  if (Status allowed = CheckScope(tool_.operation->access, request_.caller->scope); !allowed)
    return Fail(allowed.error());
  if (const auto known = KnownArguments(tool_); !known.empty()) {
    if (Status good = CheckMembers(arguments, known); !good) return Fail(good.error());
  }
  JsonObject members;
  for (const auto& [name, value] : arguments.Members()) {
    if (name != tool_.tool().wait) members.SetRaw(name, value.Raw());
  }
  const auto defaults = JsonDocument::Parse("{" + std::string(tool_.tool().defaults) + "}");
  for (const auto& [name, value] : defaults->root().Members()) {
    if (!arguments[name]) members.SetRaw(name, value.Raw());
  }
  arguments_ = members.Take();
  until_ms_ = api_.loop.NowMs() + wait_ms;
  Run();
}

std::string McpCall::ArgumentsNow(int64_t left_ms) const {
  const std::string_view name = tool_.tool().wait;
  if (name.empty()) return arguments_;
  const int64_t slice_ms = std::clamp(left_ms, int64_t{0}, tool_.operation->Find(name)->most);
  std::string all = arguments_;
  all.back() = all.size() > 2 ? ',' : ' ';
  return all + "\"" + std::string(name) + "\":" + std::to_string(slice_ms) + "}";
}

void McpCall::Run() {
  sink_ = std::make_shared<Sink>(*this);
  Reply reply(sink_);
  Request request = request_;
  arguments_ = WithTarget(api_, tool_, JsonDocument::Parse(arguments_)->root());
  request.body = ArgumentsNow(until_ms_ - api_.loop.NowMs());
  Handler handler = [&api = api_, operation = tool_.operation](const Request& given, Reply to) {
    try {
      const auto call = Call::ReadParams(api, *operation, given);
      if (!call) return to.Refuse(call.error());
      operation->run(api, *call, std::move(to));
    } catch (const std::exception& failure) {  // the reply, which is destroyed, has answered
      log::Failure("mcp: {} threw an exception: {} request_id={}", operation->name, failure.what(), given.id);
    }
  };
  if (tool_.operation->takes_key() && request.HasHeader(kIdempotencyKey))
    return idempotency_.Handle(std::move(request), std::move(reply), std::move(handler));
  handler(request, std::move(reply));
}

void McpCall::Take(Response response) {
  const auto answered = std::move(sink_);
  if (response.status >= 400) return Fail(ErrorIn(response));
  if (!response.body.empty()) {
    // Line ends stand between tokens: a string has none.
    std::replace_if(
        response.body.begin(), response.body.end(), [](char c) { return c == '\n' || c == '\r'; }, ' ');
    return Finish(response.body, response.body, {});
  }
  if (!tool_.tool().wait.empty() && api_.loop.NowMs() < until_ms_) return again_.Start(0);
  Finish(tool_.tool().nothing.empty() ? "done" : tool_.tool().nothing, "{}",
         {.result = {}, .over_time = true});
}

void McpCall::Fail(const Error& error) {
  const auto answered = std::move(sink_);
  Finish(error.code + ": " + error.message, "", {.result = {}, .error = error});
}

bool McpCall::Outcome::temporary() const { return error && FindProblem(error->code).retry_after_s > 0; }

void McpCall::Finish(std::string_view text, std::string_view structured, Outcome outcome) {
  JsonObject result;
  JsonArray content;
  content.AddRaw(JsonObject().Set("type", "text").Set("text", text).Take());
  result.SetRaw("content", content.Take())
      .SetRaw("structuredContent", structured)
      .Set("isError", outcome.error.has_value());
  outcome.result = result.Take();
  const Done done = done_;
  done(std::move(outcome));
}

}  // namespace reeve
