#include "orchestrator/adapters/json_rpc.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

namespace reeve {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Everything that came of it, in order.
class JsonRpcTest : public ::testing::Test {
 protected:
  std::vector<std::string> sent;
  std::vector<std::string> seen;
  Status writable;
  std::function<void()> on_answer;
  JsonRpc rpc{{[this](std::string_view line) {
                 if (writable) sent.emplace_back(line);
                 return writable;
               },
               [this](std::string_view method, const JsonValue& params) {
                 seen.push_back("tells " + std::string(method) + " " + params.Raw());
               },
               [this](const std::string& id, std::string_view method, const JsonValue& params) {
                 seen.push_back("asks " + id + " " + std::string(method) + " " + params.Raw());
               },
               [this](const JsonRpc::Request& request, const JsonRpcAnswer& answer) {
                 const std::string call = request.method + request.about;
                 if (answer.ok()) {
                   seen.push_back(call + " = " + answer.result.Raw());
                 } else {
                   seen.push_back(call + " ! " + answer.error->code + " " + answer.error->message + " " +
                                  answer.data.Raw());
                 }
                 if (on_answer) on_answer();
               },
               [this](std::string_view line) { seen.push_back("stray " + std::string(line)); }}};
};

TEST_F(JsonRpcTest, CallsWithIdsOfItsOwnAndTellsWithout) {
  EXPECT_TRUE(rpc.Call("a", R"({"x":1})").ok());
  EXPECT_TRUE(rpc.Call("b", "{}").ok());
  EXPECT_TRUE(rpc.Notify("c", "{}").ok());
  EXPECT_THAT(sent, ElementsAre("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\",\"params\":{\"x\":1}}\n",
                                "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"b\",\"params\":{}}\n",
                                "{\"jsonrpc\":\"2.0\",\"method\":\"c\",\"params\":{}}\n"));
}

TEST_F(JsonRpcTest, TakesAnswersInAnyOrderWithAndWithoutJsonrpc) {
  (void)rpc.Call("a", "{}");
  (void)rpc.Call("b", "{}");
  (void)rpc.Call("c", "{}");
  rpc.Take(R"({"id":2,"result":{"y":2}})");
  rpc.Take(R"({"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"no","data":{"z":3}}})");
  rpc.Take(R"({"jsonrpc":"2.0","id":3,"result":null,"error":null})");
  EXPECT_THAT(seen, ElementsAre(R"(b = {"y":2})", R"(a ! -32603 no {"z":3})", "c = null"));
}

TEST_F(JsonRpcTest, TellsOfAnAnswerOnceAndHandsOverWhatIsNone) {
  (void)rpc.Call("a", "{}");
  rpc.Take(R"({"id":1,"result":1})");
  const std::vector<std::string> strays = {
      R"({"id":1,"result":1})",       // said twice
      R"({"id":7,"result":1})",       // never asked
      R"({"id":"1","result":1})",     // not ours
      R"({"id":null,"error":{}})",    // about a line of ours that it could not read
      R"({"id":null,"method":"x"})",  // neither a call nor a notification
      R"({"result":1})",              //
      R"({})",                        //
      R"([{"id":1,"result":1}])",     // batches are nothing that agents do
      R"("x")",                       //
      "",                             //
      R"({"id":1,"result")",          // cut
      "{\"method\":\"\xff\"}",        // no UTF-8
      "{\"method\":1" + std::string(5, '}'),
      std::string(2'000, '[') + std::string(2'000, ']'),
  };
  seen.clear();
  std::vector<std::string> expected;
  for (const std::string& line : strays) {
    rpc.Take(line);
    expected.push_back("stray " + line);
  }
  EXPECT_EQ(seen, expected);
}

TEST_F(JsonRpcTest, AnAnswerWithNeitherResultNorErrorIsAwaitedStill) {
  (void)rpc.Call("a", "{}");
  rpc.Take(R"({"id":1})");
  rpc.Take(R"({"id":1,"result":{}})");
  EXPECT_THAT(seen, ElementsAre(R"(stray {"id":1})", "a = {}"));
}

TEST_F(JsonRpcTest, HandsTheirIdsBackAsTheyCame) {
  for (const char* id : {"0", R"("a\"b")", "-1.50", "99999999999999999999"}) {
    rpc.Take(std::string(R"({"id":)") + id + R"(,"method":"ask","params":{"q":1}})");
    rpc.Answer(id, R"({"ok":true})");
    rpc.Refuse(id, JsonRpc::kMethodNotFound, "no \"ask\"");
  }
  EXPECT_THAT(seen, ElementsAre(R"(asks 0 ask {"q":1})", R"(asks "a\"b" ask {"q":1})",
                                R"(asks -1.50 ask {"q":1})", R"(asks 99999999999999999999 ask {"q":1})"));
  ASSERT_EQ(sent.size(), 8U);
  EXPECT_EQ(sent[2], "{\"jsonrpc\":\"2.0\",\"id\":\"a\\\"b\",\"result\":{\"ok\":true}}\n");
  EXPECT_EQ(
      sent[3],
      "{\"jsonrpc\":\"2.0\",\"id\":\"a\\\"b\",\"error\":{\"code\":-32601,\"message\":\"no \\\"ask\\\"\"}}\n");
}

TEST_F(JsonRpcTest, TheirIdsAreNotOurs) {
  (void)rpc.Call("a", "{}");
  rpc.Take(R"({"id":1,"method":"ask"})");
  rpc.Take(R"({"method":"tell"})");
  rpc.Take(R"({"id":1,"result":{}})");
  EXPECT_THAT(seen, ElementsAre("asks 1 ask null", "tells tell null", "a = {}"));
}

TEST_F(JsonRpcTest, ACallThatIsNotSentIsNotAnswered) {
  writable = Error{"queue_full", "full"};
  EXPECT_EQ(rpc.Call("a", "{}").error().code, "queue_full");
  rpc.Take(R"({"id":1,"result":{}})");
  rpc.Close();
  EXPECT_THAT(seen, ElementsAre(R"(stray {"id":1,"result":{}})"));
}

TEST_F(JsonRpcTest, TheEndAnswersWhatIsOpenOnce) {
  (void)rpc.Call("a", "{}");
  (void)rpc.Call("b", "{}", "x");
  on_answer = [this] {
    (void)rpc.Call("c", "{}");
  };  // too late: nobody promises an answer before another Close
  rpc.Close();
  EXPECT_THAT(seen,
              ElementsAre("a ! closed the process has ended null", "bx ! closed the process has ended null"));
}

TEST_F(JsonRpcTest, AnAgentThatAnswersNothingIsNotAskedForEver) {
  for (size_t i = 0; i < JsonRpc::kMaxOpen; ++i) ASSERT_TRUE(rpc.Call("a", "{}").ok());
  EXPECT_EQ(rpc.Call("a", "{}").error().code, "queue_full");
  rpc.Take(R"({"id":1,"result":{}})");
  EXPECT_TRUE(rpc.Call("a", "{}").ok());
}

}  // namespace
}  // namespace reeve
