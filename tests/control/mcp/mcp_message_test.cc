#include "control/mcp/mcp_message.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "control/mcp/mcp_task.h"

namespace reeve {
namespace {

constexpr const char* kMeta = R"("_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",)"
                              R"("io.modelcontextprotocol/clientCapabilities":{}})";

std::string StatelessCall(const std::string& method, const std::string& params = "") {
  return R"({"jsonrpc":"2.0","id":1,"method":")" + method + R"(","params":{)" + params + kMeta + "}}";
}

class McpMessageTest : public ::testing::Test {
 protected:
  static Headers ToolHeaders() {
    return {{"mcp-protocol-version", "2026-07-28"}, {"mcp-method", "tools/call"}, {"mcp-name", "t"}};
  }
  const McpMessage& Read(const std::string& text, Headers headers = {}) {
    request_.headers = std::move(headers);
    document_ = JsonDocument::Parse(text).value();
    message_ = McpMessage::Read(document_->root(), request_);
    return message_;
  }
  // 0: it is accepted.
  int Code(const std::string& text, Headers headers = {}) {
    const McpMessage& message = Read(text, std::move(headers));
    return message.error ? message.error->code : 0;
  }

  Request request_;
  std::optional<JsonDocument> document_;
  McpMessage message_;
};

TEST_F(McpMessageTest, AMessageWithoutMetaBelongsToARevisionWithAHandshake) {
  const McpMessage& message = Read(R"({"jsonrpc":"2.0","id":"a","method":"ping"})");
  EXPECT_FALSE(message.error);
  EXPECT_FALSE(message.stateless);
  EXPECT_EQ(message.id, R"("a")");
  EXPECT_EQ(message.method, "ping");
  for (const std::string_view revision : kMcpHandshakes) {
    EXPECT_EQ(Code(R"({"jsonrpc":"2.0","id":1,"method":"ping"})",
                   {{"mcp-protocol-version", std::string(revision)}}),
              0);
  }
  EXPECT_EQ(Code(R"({"jsonrpc":"2.0","id":1,"method":"ping"})", {{"mcp-protocol-version", "1900-01-01"}}),
            McpError::kUnsupportedRevision);
}

TEST_F(McpMessageTest, MalformedMessagesAreInvalidRequests) {
  for (const char* text :
       {"1", "null", R"("a")", "{}", R"({"jsonrpc":"1.0","id":1,"method":"ping"})",
        R"({"jsonrpc":"2.0","id":1})", R"({"jsonrpc":"2.0","id":1,"method":7})",
        R"({"jsonrpc":"2.0","id":null,"method":"ping"})", R"({"jsonrpc":"2.0","id":1.5,"method":"ping"})",
        R"({"jsonrpc":"2.0","id":{},"method":"ping"})", R"({"jsonrpc":"2.0","id":1,"id":2,"method":"ping"})",
        R"({"jsonrpc":"2.0","id":1,"method":"ping","method":"initialize"})"}) {
    EXPECT_EQ(Code(text), McpError::kInvalidRequest) << text;
  }
  const std::string long_id(McpMessage::kMaxIdBytes, 'i');
  EXPECT_EQ(Code(R"({"jsonrpc":"2.0","method":"ping","id":")" + long_id + "\"}"), McpError::kInvalidRequest);
  EXPECT_EQ(Code(R"({"jsonrpc":"2.0","id":1,"method":"ping","params":[]})"), McpError::kInvalidParams);
}

TEST_F(McpMessageTest, AnAnswerOfAClientIsNoRequest) {
  EXPECT_TRUE(Read(R"({"jsonrpc":"2.0","id":1,"result":{}})").is_answer);
  EXPECT_TRUE(Read(R"({"jsonrpc":"2.0","id":1,"error":{"code":1,"message":""}})").is_answer);
}

TEST_F(McpMessageTest, TheStatelessRevisionNeedsItsMeta) {
  EXPECT_EQ(
      Code(R"({"jsonrpc":"2.0","id":1,"method":"tools/list"})", {{"mcp-protocol-version", "2026-07-28"}}),
      McpError::kInvalidParams);
  EXPECT_EQ(Code(R"({"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":)"
                 R"({"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}})"),
            McpError::kInvalidParams);
  EXPECT_EQ(Code(R"({"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":)"
                 R"({"io.modelcontextprotocol/protocolVersion":7}}})"),
            McpError::kInvalidParams);
}

TEST_F(McpMessageTest, TheHeadersOfTheStatelessRevisionRepeatTheBody) {
  const std::string call = StatelessCall("tools/call", R"("name":"t",)");
  EXPECT_EQ(Code(call, ToolHeaders()), 0);
  EXPECT_TRUE(message_.stateless);
  for (size_t missing = 0; missing < 3; ++missing) {
    Headers headers = ToolHeaders();
    headers.erase(headers.begin() + static_cast<std::ptrdiff_t>(missing));
    EXPECT_EQ(Code(call, headers), McpError::kHeaderMismatch) << missing;
    headers = ToolHeaders();
    headers[missing].second = missing == 0 ? "2025-11-25" : "other";
    EXPECT_EQ(Code(call, headers), McpError::kHeaderMismatch) << missing;
  }
  Headers encoded = ToolHeaders();
  encoded[2].second = "=?base64?dA==?=";
  EXPECT_EQ(Code(call, encoded), 0);
  encoded[2].second = "=?base64?!?=";
  EXPECT_EQ(Code(call, encoded), McpError::kHeaderMismatch);
}

TEST_F(McpMessageTest, AnUnknownRevisionIsToldWhichThereAre) {
  std::string text = StatelessCall("tools/list");
  text.replace(text.find("2026-07-28"), 10, "2099-01-01");
  EXPECT_EQ(Code(text, {{"mcp-protocol-version", "2099-01-01"}}), McpError::kUnsupportedRevision);
  EXPECT_EQ(message_.error->data, R"({"supported":["2026-07-28"],"requested":"2099-01-01"})");
}

TEST_F(McpMessageTest, TasksAreForClientsThatKnowThem) {
  std::string text = StatelessCall("tools/list");
  const Headers headers = {{"mcp-protocol-version", "2026-07-28"}, {"mcp-method", "tools/list"}};
  EXPECT_FALSE(Read(text, headers).knows_tasks);
  const std::string none = R"(clientCapabilities":{})";
  text.replace(text.find(none), none.size(),
               R"(clientCapabilities":{"extensions":{"io.modelcontextprotocol/tasks":{}}})");
  EXPECT_TRUE(Read(text, headers).knows_tasks);
}

TEST(McpTaskTest, AnIdHoldsTheWholeCall) {
  const McpTask task = {"wait_for_agent", R"({"id":"a1"})", 1'000, 51'000};
  EXPECT_NE(task.Id(), task.Id());
  const auto read = McpTask::FromId(task.Id());
  ASSERT_TRUE(read);
  EXPECT_EQ(read->tool, task.tool);
  EXPECT_EQ(read->arguments, task.arguments);
  EXPECT_EQ(read->made_ms, 1'000);
  EXPECT_EQ(read->until_ms, 51'000);
  for (const char* id : {"", "x", "e30=", "eyJ0b29sIjoxfQ==", "task-1"})
    EXPECT_FALSE(McpTask::FromId(id)) << id;
}

}  // namespace
}  // namespace reeve
