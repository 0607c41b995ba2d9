// The arguments of one JSON object are read and checked as those of a request are.
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "control/api/api.h"
#include "orchestrator/agent/agent.h"
#include "tests/support/town_api.h"

namespace reeve {
namespace {

using Type = Parameter::Type;

class CallFromParams : public ::testing::Test {
 protected:
  CallFromParams() { town_.MakeAgent(R"({"id":"a1","kind":"process","command":["sleep","600"]})"); }

  Result<Call> Read(const Operation& operation, const std::string& params) {
    request_.body = params;
    return Call::ReadParams(town_.api(), operation, request_);
  }
  Result<Call> Read(std::string_view operation, const std::string& params) {
    return Read(*FindOperation(operation), params);
  }
  // The message of the error "invalid_request"; empty: there is none.
  template <typename Of>
  std::string Refusal(const Of& operation, const std::string& params) {
    const auto call = Read(operation, params);
    if (call) return "";
    EXPECT_EQ(call.error().code, "invalid_request");
    return call.error().message;
  }

  // One parameter of each type, of a method that only a gateway has.
  const Operation every_{
      .name = "test.every",
      .text = "A test.",
      .parameters = {Member("text", Type::kString, "T."),
                     Member("word", Type::kString, "T.").OneOf({"a", "b"}),
                     Member("number", Type::kInteger, "T.").Between(1, 9),
                     Member("flag", Type::kBoolean, "T."), Member("cursor", Type::kCursor, "T."),
                     Member("types", Type::kTypes, "T."), Member("labels", Type::kLabels, "T."),
                     JsonMember("any", "Object", "T."), Member("bytes", Type::kBytes, "T.")}};
  TownApi town_;
  Request request_;
};

TEST_F(CallFromParams, TakesAllKindsOfArgumentsByName) {
  auto call = Read("agents.stdin", R"({"id":"a1","offset":5,"close":true,"bytes":"x"})");
  ASSERT_TRUE(call.ok()) << call.error().message;
  EXPECT_EQ(call->agent().id(), "a1");
  EXPECT_EQ(call->Integer("offset"), 5);
  EXPECT_EQ(call->Flag("close"), true);
  EXPECT_EQ(call->Text("bytes"), "x");
  call = Read("approvals.decide", R"({"id":"a1","approval":"7","decision":"deny","input":{"a":[1]}})");
  ASSERT_TRUE(call.ok()) << call.error().message;
  EXPECT_EQ(call->Text("approval"), "7");
  EXPECT_EQ(call->Json("input").Raw(), R"({"a":[1]})");
  EXPECT_FALSE(call->Text("reason"));
}

TEST_F(CallFromParams, MissingParamsAreEmpty) {
  EXPECT_TRUE(Read("agents.list", "").ok());
  EXPECT_TRUE(Read("agents.list", "{}").ok());
  EXPECT_EQ(Refusal("agents.get", ""), "id: must be a string");
}

TEST_F(CallFromParams, ArgumentsHaveNames) {
  for (const char* params : {"[]", R"(["a1"])", "null", "5", R"("a1")"}) {
    EXPECT_EQ(Refusal("agents.get", params), "params: must be an object, because each argument has a name");
    EXPECT_EQ(Refusal("agents.create", params),
              "params: must be an object, because each argument has a name");
  }
}

// Otherwise it is a member.
TEST_F(CallFromParams, AWholeBodyThatIsAloneIsTheObject) {
  auto call = Read("agents.create", R"({"kind":"process","unknown":1})");
  ASSERT_TRUE(call.ok());
  EXPECT_EQ(call->Json("spec")["unknown"].AsInt(), 1);
  call = Read("agents.update", R"({"id":"a1","patch":{"title":"t"}})");
  ASSERT_TRUE(call.ok());
  EXPECT_EQ(call->Json("patch").Raw(), R"({"title":"t"})");
  EXPECT_EQ(Refusal("agents.update", R"({"id":"a1","title":"t"})"), "unknown field title");
  EXPECT_EQ(Refusal("agents.update", R"({"id":"a1"})"), "patch: is missing");
}

TEST_F(CallFromParams, BytesAreAStringOrBase64) {
  const auto bytes = [this](const std::string& json) {
    auto call = Read("files.put", R"({"id":"a1","name":"f","content":)" + json + "}");
    EXPECT_TRUE(call.ok()) << json;
    Call moved = std::move(*call);  // the text moves with it
    return moved.String("content");
  };
  EXPECT_EQ(bytes(R"("päge\n")"), "päge\n");
  EXPECT_EQ(bytes(R"("")"), "");
  EXPECT_EQ(bytes(R"({"base64":"/wA="})"), std::string("\xff\0", 2));
  EXPECT_EQ(bytes(R"({"base64":""})"), "");
  const std::string must = R"(content: must be a string, or {"base64": "…"} for bytes that are not UTF-8)";
  for (const char* wrong : {"5", "null", "[]", "{}", R"({"base64":"!"})", R"({"base64":5})",
                            R"({"base64":"","x":1})", R"({"base":""})"}) {
    EXPECT_EQ(Refusal("files.put", std::string(R"({"id":"a1","name":"f","content":)") + wrong + "}"), must);
  }
  EXPECT_EQ(Refusal("files.put", R"({"id":"a1","name":"f"})"), must);
}

TEST_F(CallFromParams, LabelsAreOneOrSeveral) {
  const auto labels = [this](const std::string& json) {
    return Read("agents.list", R"({"label":)" + json + "}")->LabelsOf("label");
  };
  using Labels = Call::Labels;
  EXPECT_EQ(labels(R"("a:b:c")"), (Labels{{"a", "b:c"}}));
  EXPECT_EQ(labels(R"(["a:b","c:"])"), (Labels{{"a", "b"}, {"c", ""}}));
  EXPECT_EQ(labels("[]"), Labels());
  for (const char* wrong : {R"("a")", R"(["a:b","c"])", R"([5])", "5", "null", R"({"a":"b"})"}) {
    EXPECT_EQ(Refusal("agents.list", std::string(R"({"label":)") + wrong + "}"), "label: must be key:value");
  }
}

TEST_F(CallFromParams, TypesAreOneOrSeveral) {
  for (const char* types : {R"("run.*,tool.started")", R"(["run.*","tool.started"])"}) {
    const auto call = Read("events.since", std::string(R"({"id":"a1","types":)") + types + "}");
    ASSERT_TRUE(call.ok());
    const TypeFilter filter = call->Types("types");
    EXPECT_TRUE(filter.Matches("run.ended"));
    EXPECT_TRUE(filter.Matches("tool.started"));
    EXPECT_FALSE(filter.Matches("tool.ended"));
  }
  EXPECT_EQ(Refusal("events.since", R"({"id":"a1","types":5})"),
            "types: must be types of events, such as run.*");
  EXPECT_EQ(Refusal("events.since", R"({"id":"a1","types":[5]})"),
            "types: must be types of events, such as run.*");
  EXPECT_NE(Refusal("events.since", R"({"id":"a1","types":["run.endet"]})").find("run.endet"),
            std::string::npos);
}

// The pid of processes.list is a number.
TEST_F(CallFromParams, APartOfAPathMayBeANumber) {
  EXPECT_EQ(Read("processes.kill", R"({"id":"a1","pid":4302})")->Text("pid"), "4302");
  EXPECT_EQ(Read("processes.kill", R"({"id":"a1","pid":"4302"})")->Text("pid"), "4302");
  EXPECT_EQ(Refusal("processes.kill", R"({"id":"a1","pid":1.5})"), "pid: must be a string");
  EXPECT_EQ(Refusal("processes.kill", R"({"id":"a1"})"), "pid: must be a string");
}

TEST_F(CallFromParams, AnArgumentOfAnotherTypeIsRefused) {
  const std::vector<std::pair<const char*, const char*>> cases = {
      {R"({"text":5})", "text: must be a string"},
      {R"({"text":null})", "text: must be a string"},
      {R"({"word":"c"})", "word: must be a or b"},
      {R"({"word":["a"]})", "word: must be a or b"},
      {R"({"number":"5"})", "number: must be a whole number from 1 to 9"},
      {R"({"number":5.5})", "number: must be a whole number from 1 to 9"},
      {R"({"number":10})", "number: must be a whole number from 1 to 9"},
      {R"({"number":1e99})", "number: must be a whole number from 1 to 9"},
      {R"({"flag":"true"})", "flag: must be true or false"},
      {R"({"flag":1})", "flag: must be true or false"},
      {R"({"types":{}})", "types: must be types of events, such as run.*"},
      {R"({"labels":7})", "labels: must be key:value"},
      {R"({"bytes":7})", R"(bytes: must be a string, or {"base64": "…"} for bytes that are not UTF-8)"}};
  for (const auto& [params, refusal] : cases) EXPECT_EQ(Refusal(every_, params), refusal) << params;
  EXPECT_EQ(Refusal(every_, R"({"cursor":3})"), "cursor: " + std::string(kCursorMust));
  EXPECT_EQ(Refusal(every_, R"({"cursor":"x"})"), "cursor: " + std::string(kCursorMust));
  EXPECT_TRUE(Read(every_, R"({"text":"","word":"a","number":9,"flag":false,"cursor":"3-7","types":"run.*",)"
                           R"("labels":"a:b","any":[],"bytes":""})")
                  .ok());
}

TEST_F(CallFromParams, UnknownAndRepeatedMembersAreRefused) {
  EXPECT_EQ(Refusal("agents.list", R"({"limit":5,"limits":5})"), "unknown field limits");
  EXPECT_EQ(Refusal("agents.list", R"({"limit":5,"limit":6})"), "the member limit is there twice");
  EXPECT_EQ(Refusal("agents.create", R"({"kind":"process","env":{"A":"1","A":"2"}})"),
            "the member A is there twice");
}

TEST_F(CallFromParams, TheAgentComesFirst) {
  auto call = Read("agents.stop", R"({"id":"nobody","grace":1,"grace":2})");
  ASSERT_FALSE(call.ok());
  EXPECT_EQ(call.error().code, "agent_not_found");
  EXPECT_EQ(call.error().message, "there is no agent nobody");
  EXPECT_EQ(Refusal("agents.stop", R"({"id":["a1"]})"), "id: must be a string");
}

TEST_F(CallFromParams, AnAgentDoesNotAnswerItself) {
  request_.caller = Request::Caller{Scope::kOperate, 1, "a1", "agent:a1"};
  const auto call = Read("approvals.decide", R"({"id":"a1","approval":"1","decision":"deny"})");
  ASSERT_FALSE(call.ok());
  EXPECT_EQ(call.error().code, "forbidden");
}

// An HTTP request whose parts have the same names and values gets the same refusal.
TEST_F(CallFromParams, RefusesAsARequestIsRefused) {
  struct Case {
    const char* operation;
    std::vector<std::string> path;
    std::vector<std::pair<std::string, std::string>> query;
    const char* body;
    const char* params;
  };
  const Case cases[] = {
      {"agents.get", {"nobody"}, {}, "", R"({"id":"nobody"})"},
      {"agents.get", {"Not an id"}, {}, "", R"({"id":"Not an id"})"},
      {"agents.list", {}, {{"limit", "0"}}, "", R"({"limit":0})"},
      {"agents.list", {}, {{"state", "asleep"}}, "", R"({"state":"asleep"})"},
      {"events.since", {"a1"}, {{"after", "x"}}, "", R"({"id":"a1","after":"x"})"},
      {"events.since", {"a1"}, {{"types", "run.endet"}}, "", R"({"id":"a1","types":"run.endet"})"},
      {"agents.stop", {"a1"}, {}, R"({"grace_ms":-1})", R"({"id":"a1","grace_ms":-1})"},
      {"agents.stop", {"a1"}, {}, R"({"grace":1})", R"({"id":"a1","grace":1})"},
      {"agents.batch", {}, {}, R"({"action":"stop"})", R"({"action":"stop"})"},
      {"approvals.decide",
       {"a1", "1"},
       {},
       R"({"decision":"yes"})",
       R"({"id":"a1","approval":"1","decision":"yes"})"},
  };
  for (const Case& one : cases) {
    SCOPED_TRACE(one.params);
    Request request;
    request.params = one.path;
    request.query = one.query;
    request.body = one.body;
    const auto over_http = Call::Read(town_.api(), *FindOperation(one.operation), request);
    const auto from_params = Read(one.operation, one.params);
    ASSERT_FALSE(over_http.ok());
    ASSERT_FALSE(from_params.ok());
    EXPECT_EQ(from_params.error().code, over_http.error().code);
    EXPECT_EQ(from_params.error().message, over_http.error().message);
  }
}

}  // namespace
}  // namespace reeve
