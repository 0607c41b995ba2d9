#include "control/gateway/rpc.h"

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "control/access/idempotency.h"
#include "control/api/waits.h"
#include "control/gateway/rpc_codes.h"
#include "control/http/problem.h"
#include "orchestrator/agent/agent.h"
#include "process/log.h"
#include "tests/support/town_api.h"

namespace reeve {
namespace {

using Type = Parameter::Type;

class RpcTest : public ::testing::Test {
 protected:
  RpcTest() {
    log::CopyTo([this](std::string_view line) { log_ += line; });
    Connect(Scope::kAdmin);
  }
  ~RpcTest() override { log::CopyTo({}); }

  void Connect(Scope scope, std::optional<std::vector<std::string>> agents = {},
               const std::string& connection = "") {
    RpcCaller caller;
    caller.caller = {scope, 7, "", "deploy", connection};
    caller.agents = std::move(agents);
    rpc_ = std::make_unique<Rpc>(
        town_.api(), idempotency_, std::move(caller), extras_,
        [this](const Operation& method, const Call& call, Reply reply) {
          run_.at(std::string(method.name))(call, std::move(reply));
        },
        [this](std::string message) { sent_.push_back(std::move(message)); });
  }
  void MakeAgent() { town_.MakeAgent(R"({"id":"a1","kind":"process","command":["sleep","600"]})"); }

  // A call of `method`, with id 1 and these params.
  void Call1(const std::string& method, const std::string& params) {
    rpc_->Receive(R"({"jsonrpc":"2.0","id":1,"method":")" + method + R"(","params":)" + params + "}");
  }
  // The one message that has been sent since the last time; waits for it.
  JsonDocument Answer() {
    EXPECT_TRUE(RunUntil(town_.loop(), [this] { return !sent_.empty(); }));
    EXPECT_EQ(sent_.size(), 1u);
    if (sent_.empty()) return *JsonDocument::Parse("{}");
    EXPECT_EQ(sent_.front().find_first_of("\r\n"), std::string::npos) << sent_.front();
    auto json = JsonDocument::Parse(sent_.front());
    EXPECT_TRUE(json.ok()) << sent_.front();
    sent_.clear();
    EXPECT_EQ((*json)["jsonrpc"].StringOr(""), "2.0");
    EXPECT_NE((*json)["result"].present(), (*json)["error"].present());
    return std::move(*json);
  }
  JsonDocument AnswerTo(const std::string& message) {
    rpc_->Receive(message);
    return Answer();
  }
  JsonDocument AnswerTo(const std::string& method, const std::string& params) {
    Call1(method, params);
    return Answer();
  }
  // Checks an error, and returns its message.
  static std::string Error(const JsonDocument& answer, int64_t code, std::string_view problem) {
    const JsonValue error = answer["error"];
    EXPECT_EQ(error["code"].AsInt(), code);
    EXPECT_EQ(error["data"]["code"].StringOr(""), problem);
    EXPECT_EQ(error["data"]["status"].AsInt(), FindProblem(problem).status);
    EXPECT_EQ(error["data"]["detail"].StringOr("-"), error["message"].StringOr(""));
    EXPECT_TRUE(error["data"]["request_id"].StringOr("").starts_with("rpc-"));
    return std::string(error["message"].StringOr(""));
  }

  TownApi town_;
  Idempotency idempotency_{clock_, town_.store()};
  MockClock clock_;
  const std::vector<Operation> extras_ = {
      {.name = "test.now",
       .text = "A test.",
       .parameters = {Member("number", Type::kInteger, "N.").Between(1, 9)}},
      {.name = "test.admin", .access = Access::kAdmin, .text = "A test."}};
  std::map<std::string, std::function<void(const Call&, Reply)>> run_ = {
      {"test.now", [](const Call& call, Reply reply) {
         reply.Send(Response::Json(200, std::to_string(call.Integer("number").value_or(0))));
       }}};
  std::vector<std::string> sent_;
  std::string log_;
  std::unique_ptr<Rpc> rpc_;
};

// ------------------------------------------------------------------------------------------------- messages

TEST_F(RpcTest, AnIdComesBackAsItCame) {
  for (const char* id :
       {"1", "-0", "1.50", "1e2", "123456789012345678901234567890", R"("")", R"("\u0041b")", "null"}) {
    rpc_->Receive(std::string(R"({"jsonrpc":"2.0","method":"test.now","id":)") + id + "}");
    ASSERT_EQ(sent_.size(), 1u);
    EXPECT_EQ(sent_.front(), std::string(R"({"jsonrpc":"2.0","id":)") + id + R"(,"result":0})");
    sent_.clear();
  }
}

TEST_F(RpcTest, ANotificationIsRunAndNeverAnswered) {
  int runs = 0;
  run_["test.now"] = [&runs](const Call&, Reply reply) {
    ++runs;
    reply.Send(Response::Json(200, "1"));
  };
  rpc_->Receive(R"({"jsonrpc":"2.0","method":"test.now"})");
  EXPECT_EQ(runs, 1);
  for (const char* method : {"test.now", "unknown", "agents.get", "test.admin"}) {
    rpc_->Receive(std::string(R"({"jsonrpc":"2.0","method":")") + method + R"(","params":[]})");
  }
  EXPECT_EQ(runs, 1);
  EXPECT_TRUE(sent_.empty());
  EXPECT_EQ(rpc_->in_flight(), 0u);
}

TEST_F(RpcTest, AMessageThatIsNoJsonIsAnsweredAndTheConnectionContinues) {
  for (const char* message : {"", " ", "{", "{]", "nul", "{} {}", "\xff", "\"\xc3\""}) {
    const JsonDocument answer = AnswerTo(message);
    Error(answer, kRpcParseError, "invalid_json");
    EXPECT_TRUE(answer["id"].Is(JsonType::kNull));
  }
  Error(AnswerTo(std::string(1'000, '[')), kRpcParseError, "invalid_json");
  EXPECT_EQ(rpc_->counts().parse_errors, 9u);
  EXPECT_EQ(AnswerTo("test.now", R"({"number":3})")["result"].AsInt(), 3);
  EXPECT_EQ(rpc_->counts().messages, 10u);
}

TEST_F(RpcTest, AMessageThatIsNoCallIsAnswered) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"[]", "batches are not supported: send one object in each message"},
      {R"([{"jsonrpc":"2.0","id":1,"method":"test.now"}])",
       "batches are not supported: send one object in each message"},
      {"5", "a message must be a JSON object"},
      {"null", "a message must be a JSON object"},
      {"{}", R"(jsonrpc: must be "2.0")"},
      {R"({"method":"test.now"})", R"(jsonrpc: must be "2.0")"},
      {R"({"jsonrpc":2.0,"method":"test.now"})", R"(jsonrpc: must be "2.0")"},
      {R"({"jsonrpc":"1.0","method":"test.now"})", R"(jsonrpc: must be "2.0")"},
      {R"({"jsonrpc":"2.0"})", "method: must be a string"},
      {R"({"jsonrpc":"2.0","method":1,"params":"bar"})", "method: must be a string"},
      {R"({"jsonrpc":"2.0","method":"test.now","method":"test.now"})", "the member method is there twice"},
      {R"({"jsonrpc":"2.0","method":"test.now","id":true})",
       "id: must be a string, a number or null, of at most 256 bytes"},
      {R"({"jsonrpc":"2.0","method":"test.now","id":{}})",
       "id: must be a string, a number or null, of at most 256 bytes"},
      {R"({"jsonrpc":"2.0","method":"test.now","id":")" + std::string(255, 'x') + R"("})",
       "id: must be a string, a number or null, of at most 256 bytes"}};
  for (const auto& [message, refusal] : cases) {
    SCOPED_TRACE(message);
    const JsonDocument answer = AnswerTo(message);
    EXPECT_EQ(Error(answer, kRpcInvalidRequest, "invalid_request"), refusal);
    EXPECT_TRUE(answer["id"].Is(JsonType::kNull));
  }
  EXPECT_EQ(AnswerTo(R"({"jsonrpc":"1.0","id":"x","method":"test.now"})")["id"].StringOr(""), "x");
  EXPECT_EQ(AnswerTo(R"({"id":"x","result":5})")["id"].StringOr(""), "x");
  const std::string longest(254, 'x');
  EXPECT_EQ(AnswerTo(R"({"jsonrpc":"2.0","method":"test.now","id":")" + longest + R"("})")["id"].StringOr(""),
            longest);
}

TEST_F(RpcTest, AnUnknownMethodNamesTheNearestOne) {
  const JsonDocument answer = AnswerTo("agents.lits", "{}");
  EXPECT_EQ(Error(answer, kRpcMethodNotFound, "not_found"),
            "there is no method agents.lits; did you mean agents.list?");
  EXPECT_EQ(answer["id"].AsInt(), 1);
  EXPECT_EQ(Error(AnswerTo("test.nov", "{}"), kRpcMethodNotFound, "not_found"),
            "there is no method test.nov; did you mean test.now?");
  EXPECT_EQ(Error(AnswerTo("completely different", "{}"), kRpcMethodNotFound, "not_found"),
            "there is no method completely different");
  EXPECT_LT(Error(AnswerTo(std::string(100'000, 'x'), "{}"), kRpcMethodNotFound, "not_found").size(), 100u);
}

// --------------------------------------------------------------------------------------------------- errors

TEST_F(RpcTest, ErrorsHaveNumbers) {
  const std::map<std::string_view, int> numbers = {
      {"invalid_request", -32602},  {"invalid_json", -32602},    {"internal", -32603},
      {"store_failed", -32603},     {"os_error", -32603},        {"spawn_failed", -32603},
      {"agent_not_found", 4001},    {"forbidden", 4003},         {"run_not_found", 4004},
      {"approval_not_found", 4004}, {"process_not_found", 4044}, {"busy", 4009},
      {"agent_exists", 4009},       {"request_under_way", 4009}, {"agent_deleted", 4010},
      {"too_large", 4013},          {"not_supported", 4022},     {"key_reused", 4022},
      {"queue_full", 4029},         {"too_many_requests", 4029}, {"models_unavailable", 5002},
      {"draining", 5003},           {"disk_full", 5003}};
  for (const auto& [code, number] : numbers) EXPECT_EQ(RpcCodeOf(FindProblem(code)), number) << code;
}

TEST_F(RpcTest, AnErrorHasTheProblemOfHttp) {
  MakeAgent();
  EXPECT_EQ(Error(AnswerTo("agents.get", R"({"id":"nobody"})"), 4001, "agent_not_found"),
            "there is no agent nobody");
  EXPECT_EQ(Error(AnswerTo("agents.get", R"({"id":5})"), -32602, "invalid_request"), "id: must be a string");
  EXPECT_EQ(Error(AnswerTo("agents.get", R"(["a1"])"), -32602, "invalid_request"),
            "params: must be an object, because each argument has a name");
  EXPECT_EQ(Error(AnswerTo("agents.stop", R"({"id":"a1","grace":1})"), -32602, "invalid_request"),
            "unknown field grace");
  Error(AnswerTo("runs.get", R"({"id":"a1","run":"r9"})"), 4004, "run_not_found");
  Error(AnswerTo("processes.kill", R"({"id":"a1","pid":1})"), 4044, "process_not_found");
  Error(AnswerTo("agents.create", R"({"id":"a1","kind":"process","command":["true"]})"), 4009,
        "agent_exists");
}

TEST_F(RpcTest, AScopeIsDemandedAsOverHttp) {
  MakeAgent();
  Connect(Scope::kView);
  EXPECT_EQ(Error(AnswerTo("agents.stop", R"({"id":"nobody"})"), 4003, "forbidden"),
            "this needs a token of scope operate; yours has scope view");
  Error(AnswerTo("test.admin", "{}"), 4003, "forbidden");
  EXPECT_EQ(AnswerTo("agents.get", R"({"id":"a1"})")["result"]["id"].StringOr(""), "a1");
  Connect(Scope::kOperate);
  EXPECT_EQ(Error(AnswerTo("agents.create", "{}"), 4003, "forbidden"),
            "this needs a token of scope admin; yours has scope operate");
}

TEST_F(RpcTest, ATicketForSomeAgentsIsForThese) {
  MakeAgent();
  town_.MakeAgent(R"({"id":"b2","kind":"process","command":["sleep","600"]})");
  Connect(Scope::kOperate, std::vector<std::string>{"a1", "gone"});
  EXPECT_EQ(AnswerTo("agents.get", R"({"id":"a1"})")["result"]["id"].StringOr(""), "a1");
  EXPECT_TRUE(AnswerTo("agents.wait", R"({"id":"a1","until":"ready"})")["result"]["id"]);
  for (const char* other : {R"({"id":"b2"})", R"({"id":"nobody"})", R"({"id":["a1"]})", "{}", "[]"}) {
    EXPECT_EQ(Error(AnswerTo("agents.get", other), 4003, "forbidden"),
              "the ticket of this connection is for other agents");
  }
  EXPECT_EQ(Error(AnswerTo("agents.list", "{}"), 4003, "forbidden"),
            "the ticket of this connection does not allow agents.list");
  Error(AnswerTo("agents.batch", R"({"ids":["b2"],"action":"stop"})"), 4003, "forbidden");
  Error(AnswerTo("approvals.list", R"({"id":"a1"})"), 4003, "forbidden");
  EXPECT_EQ(AnswerTo("test.now", "{}")["result"].AsInt(), 0);
}

TEST_F(RpcTest, AHandlerThatCrashesIsAnsweredAndTheConnectionContinues) {
  run_["test.now"] = [](const Call&, Reply) { throw std::runtime_error("no such luck"); };
  std::string message = Error(AnswerTo("test.now", "{}"), kRpcInternalError, "internal");
  EXPECT_EQ(message, "the request was dropped without an answer");
  EXPECT_NE(log_.find("no such luck"), std::string::npos);
  log_.clear();
  run_["test.now"] = [](const Call&, Reply) {};
  const JsonDocument answer = AnswerTo("test.now", "{}");
  Error(answer, kRpcInternalError, "internal");
  const std::string request_id(answer["error"]["data"]["request_id"].StringOr("-"));
  EXPECT_NE(log_.find("request_id=" + request_id), std::string::npos) << log_;
  EXPECT_EQ(rpc_->counts().crashes, 2u);
  EXPECT_EQ(rpc_->in_flight(), 0u);
  EXPECT_EQ(AnswerTo("agents.list", "{}")["result"]["agents"].size(), 0u);
}

// -------------------------------------------------------------------------------------------------- results

TEST_F(RpcTest, AResultIsTheBodyOfTheAnswer) {
  MakeAgent();
  EXPECT_EQ(AnswerTo("agents.list", R"({"limit":5})")["result"]["agents"].At(0)["id"].StringOr(""), "a1");
  EXPECT_EQ(AnswerTo("agents.stop", R"({"id":"a1","grace_ms":0})")["result"]["id"].StringOr(""), "a1");
  EXPECT_TRUE(AnswerTo("files.put", R"({"id":"a1","name":"f","content":{"base64":"/w=="}})")["result"].Is(
      JsonType::kNull));
  EXPECT_EQ(AnswerTo("town.openapi", "{}")["result"]["openapi"].StringOr(""), "3.1.0");
}

TEST_F(RpcTest, JsonLinesAreAnArrayAndOtherTextIsAString) {
  const auto of = [this](const char* media, const std::string& body) {
    run_["test.now"] = [media, body](const Call&, Reply reply) {
      reply.Send(Response{200, {{"Content-Type", media}}, body});
    };
    return AnswerTo("test.now", "{}")["result"].Raw();
  };
  EXPECT_EQ(of("application/x-ndjson", "{\"a\":1}\n{\"b\":2}\n"), R"([{"a":1},{"b":2}])");
  EXPECT_EQ(of("application/x-ndjson", "{\"a\":1}\n{\"b\":"), R"([{"a":1}])")
      << "a line that is being written";
  EXPECT_EQ(of("text/plain; charset=utf-8", "a \"b\"\n"), R"("a \"b\"\n")");
  EXPECT_EQ(of("text/plain", "\xff"), "\"\xef\xbf\xbd\"");
  EXPECT_EQ(of("application/json", "{\r\n \"a\": 1\n}"), "{   \"a\": 1 }");
  EXPECT_EQ(of("application/json", ""), "null");
}

// Health answers 503 while the daemon drains, and the body is its report.
TEST_F(RpcTest, TheStatusIsNotInTheResult) {
  run_["test.now"] = [](const Call&, Reply reply) {
    reply.Send(Response::Json(503, R"({"status":"draining"})"));
  };
  EXPECT_EQ(AnswerTo("test.now", "{}")["result"]["status"].StringOr(""), "draining");
}

TEST_F(RpcTest, AStreamIsRefusedWithTheWayToGetIt) {
  MakeAgent();
  const JsonDocument answer = AnswerTo("agents.batch", R"({"action":"export","ids":["a1"]})");
  EXPECT_EQ(Error(answer, 4022, "not_supported"),
            "agents.batch answers this with a stream, which only HTTP carries: POST /agents/batch");
}

TEST_F(RpcTest, SeveralMessagesAreSentAtOnce) {
  MakeAgent();
  const JsonDocument both =
      AnswerTo("agents.message", R"({"id":"a1","messages":[{"text":"a"},{"text":"b"}]})");
  EXPECT_EQ(both["result"]["messages"].size(), 2u);
  EXPECT_TRUE(AnswerTo("agents.message", R"({"id":"a1","text":"a"})")["result"]["message_id"]);
  EXPECT_EQ(Error(AnswerTo("agents.message", R"({"id":"a1","text":"a","messages":[{"text":"a"}]})"), -32602,
                  "invalid_request"),
            "unknown field text");
}

TEST_F(RpcTest, EventsSayWhoCalled) {
  MakeAgent();
  AnswerTo("agents.stop", R"({"id":"a1","grace_ms":0})");
  const JsonDocument answer = AnswerTo("events.since", R"({"id":"a1","types":["agent.stopping"]})");
  EXPECT_EQ(answer["result"]["events"].At(0)["data"]["by"].StringOr(""), "deploy") << answer.root().Raw();
}

TEST_F(RpcTest, TheIdOfAnAgentMayBeCalledAgent) {
  town_.MakeAgent(R"({"id":"a1","kind":"process","command":["true"]})");
  EXPECT_EQ(AnswerTo("agents.get", R"({"agent":"a1"})")["result"]["id"].StringOr(""), "a1");
  EXPECT_TRUE(
      AnswerTo("events.since", R"({"agent":"a1","limit":1})")["result"]["events"].Is(JsonType::kArray));
  EXPECT_EQ(Error(AnswerTo("agents.get", R"({"id":"a1","agent":"a1"})"), -32602, "invalid_request"),
            "unknown field agent");
  EXPECT_EQ(
      Error(AnswerTo("approvals.decide", R"({"agent":"a1","agent":"a1","approval":"0","decision":"deny"})"),
            -32602, "invalid_request"),
      "the member id is there twice");
  Connect(Scope::kAdmin, std::vector<std::string>{"b2"});
  EXPECT_EQ(Error(AnswerTo("agents.get", R"({"agent":"a1"})"), 4003, "forbidden"),
            "the ticket of this connection is for other agents");
}

TEST_F(RpcTest, AnAgentMayBelongToItsConnection) {
  const std::string params = R"({"id":"a1","kind":"process","command":["true"],"close_on_disconnect":true})";
  EXPECT_EQ(Error(AnswerTo("agents.create", params), -32602, "invalid_request"),
            "close_on_disconnect: needs a connection to which the agent belongs (GET /ws)");
  Connect(Scope::kAdmin, {}, "c1");
  const JsonDocument answer = AnswerTo("agents.create", params);
  EXPECT_EQ(answer["result"]["close_on_disconnect"].AsBool(), true);
  EXPECT_EQ(answer.root().Raw().find("c1"), std::string::npos);
  EXPECT_EQ(town_.town().Find("a1")->connection(), "c1");
  AnswerTo("agents.create", R"({"id":"b2","kind":"process","command":["true"]})");
  EXPECT_EQ(town_.town().Find("b2")->connection(), "c1");
  EXPECT_FALSE(town_.town().Find("b2")->spec().close_on_disconnect);
  EXPECT_EQ(Error(AnswerTo("agents.update", R"({"id":"a1","patch":{"close_on_disconnect":false}})"), -32602,
                  "invalid_request"),
            "close_on_disconnect: cannot be changed by PATCH; create another agent with it");
}

// ------------------------------------------------------------------------------------------- calls in
// progress

TEST_F(RpcTest, ASlowCallHoldsUpNoOther) {
  MakeAgent();
  rpc_->Receive(
      R"({"jsonrpc":"2.0","id":"slow","method":"agents.wait","params":{"id":"a1","until":"exited"}})");
  EXPECT_TRUE(sent_.empty());
  EXPECT_EQ(rpc_->in_flight(), 1u);
  EXPECT_EQ(AnswerTo("agents.get", R"({"id":"a1"})")["id"].AsInt(), 1);
  rpc_->Receive(R"({"jsonrpc":"2.0","method":"agents.stop","params":{"id":"a1","grace_ms":0}})");
  EXPECT_EQ(Answer()["id"].StringOr(""), "slow");
}

TEST_F(RpcTest, TheEndOfTheConnectionEndsItsCalls) {
  MakeAgent();
  std::optional<Reply> held;
  bool gone = false;
  run_["test.now"] = [&held, &gone](const Call&, Reply reply) {
    reply.OnGone([&gone] { gone = true; });
    held = std::move(reply);
  };
  Call1("test.now", "{}");
  Call1("agents.wait", R"({"id":"a1","until":"exited"})");
  Call1("agents.wait_any", R"({"until":"terminal"})");
  EXPECT_EQ(rpc_->in_flight(), 3u);
  EXPECT_EQ(town_.waits().open(), 2u);
  rpc_.reset();
  EXPECT_TRUE(gone);
  EXPECT_TRUE(held->gone());
  EXPECT_TRUE(RunUntil(town_.loop(), [this] { return town_.waits().open() == 0; }));
  held->Send(Response::Json(200, "1"));
  EXPECT_TRUE(sent_.empty());
}

TEST_F(RpcTest, CallsInProgressAreBounded) {
  std::vector<Reply> held;
  run_["test.now"] = [&held](const Call&, Reply reply) { held.push_back(std::move(reply)); };
  for (size_t i = 0; i < Rpc::kMaxInFlight; ++i) Call1("test.now", "{}");
  EXPECT_TRUE(sent_.empty());
  EXPECT_EQ(Error(AnswerTo("test.now", "{}"), 4029, "too_many_requests"),
            "1000 calls of this connection are in progress, which is the limit");
  EXPECT_EQ(held.size(), Rpc::kMaxInFlight);
  held.pop_back();  // without an answer: a 500
  sent_.clear();
  Call1("test.now", "{}");
  EXPECT_EQ(held.size(), Rpc::kMaxInFlight);
  EXPECT_EQ(rpc_->in_flight(), Rpc::kMaxInFlight);
  rpc_.reset();
}

// ----------------------------------------------------------------------------------------------- idempotency

TEST_F(RpcTest, ARepeatedCallWithAKeyGetsTheFirstAnswer) {
  MakeAgent();
  const std::string params = R"({"id":"a1","text":"go","idempotency_key":"k1"})";
  const std::string first(AnswerTo("agents.message", params)["result"]["message_id"].StringOr("-"));
  Connect(Scope::kAdmin);
  EXPECT_EQ(AnswerTo("agents.message", params)["result"]["message_id"].StringOr(""), first);
  Error(AnswerTo("agents.message", R"({"id":"a1","text":"stop","idempotency_key":"k1"})"), 4022,
        "key_reused");
  EXPECT_NE(
      AnswerTo("agents.message", R"({"id":"a1","text":"go","idempotency_key":"k2"})")["result"]["message_id"]
          .StringOr(""),
      first);
}

TEST_F(RpcTest, AKeyBelongsToTheMethodAndTheThingsThatItNames) {
  MakeAgent();
  town_.MakeAgent(R"({"id":"b2","kind":"process","command":["sleep","600"]})");
  const auto id = [this](const char* agent) {
    return std::string(
        AnswerTo("agents.message", std::string(R"({"id":")") + agent +
                                       R"(","text":"go","idempotency_key":"k"})")["result"]["message_id"]
            .StringOr(""));
  };
  const std::string first = id("a1");
  EXPECT_NE(first, "");
  EXPECT_NE(id("b2"), first);
  EXPECT_TRUE(AnswerTo("agents.interrupt", R"({"id":"b2","idempotency_key":"k"})")["result"]);
}

TEST_F(RpcTest, AKeyIsNoPartOfTheSpec) {
  const std::string params = R"({"kind":"process","command":["true"],"idempotency_key":"k1"})";
  const std::string first(AnswerTo("agents.create", params)["result"]["id"].StringOr("-"));
  EXPECT_EQ(AnswerTo("agents.create", params)["result"]["id"].StringOr(""), first);
  EXPECT_EQ(town_.town().agents().size(), 1u);
}

TEST_F(RpcTest, AKeyIsChecked) {
  MakeAgent();
  const auto refusal = [this](const std::string& members) {
    return Error(AnswerTo("agents.message", R"({"id":"a1","text":"go",)" + members + "}"), -32602,
                 "invalid_request");
  };
  EXPECT_EQ(refusal(R"("idempotency_key":5)"), "idempotency_key: must be a string");
  EXPECT_EQ(refusal(R"("idempotency_key":null)"), "idempotency_key: must be a string");
  EXPECT_EQ(refusal(R"("idempotency_key":"a","idempotency_key":"a")"),
            "the member idempotency_key is there twice");
  EXPECT_EQ(refusal(R"("idempotency_key":"a b")"),
            "Idempotency-Key: must be 1 to 255 visible ASCII characters without spaces");
  EXPECT_EQ(Error(AnswerTo("agents.get", R"({"id":"a1","idempotency_key":"k"})"), -32602, "invalid_request"),
            "unknown field idempotency_key");
  EXPECT_EQ(
      Error(AnswerTo("tickets.issue", R"({"id":"a1","idempotency_key":"k"})"), -32602, "invalid_request"),
      "unknown field idempotency_key");
}

// The call takes effect, as a request does whose client goes.
TEST_F(RpcTest, AKeyedCallOutlivesItsConnection) {
  MakeAgent();
  const std::string params = R"({"id":"a1","text":"go","idempotency_key":"k1"})";
  Call1("agents.message", params);
  rpc_.reset();
  Connect(Scope::kAdmin);
  EXPECT_EQ(Error(AnswerTo("agents.message", params), 4009, "request_under_way"),
            "a request with this Idempotency-Key is still in progress");
  ASSERT_TRUE(RunUntil(town_.loop(), [this, &params] {
    if (rpc_->in_flight() > 0) return false;
    if (!sent_.empty() && sent_.back().find("request_under_way") == std::string::npos) return true;
    sent_.clear();
    Call1("agents.message", params);
    return false;
  }));
  EXPECT_TRUE(Answer()["result"]["message_id"]);
  const JsonDocument log = AnswerTo("events.since", R"({"id":"a1","types":["message.queued"]})");
  EXPECT_EQ(log["result"]["events"].size(), 1u) << log.root().Raw();
}

}  // namespace
}  // namespace reeve
