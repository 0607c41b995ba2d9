// `reeve mcp`: the Model Context Protocol over stdin and stdout.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/canned_server.h"
#include "tests/support/command.h"
#include "tests/support/daemon.h"
#include "tests/support/paths.h"

namespace reeve {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using Strings = std::vector<std::string>;

constexpr const char* kWork = R"({"id":"a1","kind":"process","command":["sleep","600"]})";
constexpr const char* kStatelessMeta = R"("_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",)"
                                       R"("io.modelcontextprotocol/clientCapabilities":{}})";

std::string ToolLine(const std::string& id, const std::string& tool, const std::string& arguments,
                     const std::string& more = "") {
  return R"({"jsonrpc":"2.0","id":)" + id + R"(,"method":"tools/call","params":{"name":")" + tool +
         R"(","arguments":)" + arguments + more + "}}\n";
}

// A wait for an agent that there is not yet, and that agent.
const std::string kLateWait =
    ToolLine("1", "wait_for_any_agent", R"({"label":"job:late","timeout_ms":3600000})",
             R"(,"_meta":{"progressToken":"p"})");
constexpr const char* kLate = R"({"id":"late","kind":"process","labels":{"job":"late"},"command":["true"]})";

class McpCommand : public testing::Test {
 protected:
  // The whole session: these lines, then the end of stdin.
  Strings Lines(const std::string& input, int code = 0) {
    Command command({"mcp"}, Environment(), input);
    EXPECT_EQ(command.Wait(), code);
    EXPECT_EQ(command.err(), "");
    Strings lines;
    std::istringstream out(command.out());
    for (std::string line; std::getline(out, line);) lines.push_back(line);
    return lines;
  }
  // The next line that is no notification; "" if none comes.
  static std::string Answer(Command& command) {
    std::string line = command.ReadLine();
    while (!JsonField(line, "method").empty()) line = command.ReadLine();
    return line;
  }
  [[nodiscard]] Strings Environment() const { return {"REEVE_DATA=" + daemon_.data_dir()}; }
  [[nodiscard]] Command::Program Open() const {
    return {.words = {kReeveBinary, "mcp"}, .keeps_input = true};
  }

  Daemon daemon_;
};

TEST_F(McpCommand, AnswersEachRequest) {
  const Strings lines =
      Lines(R"({"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18"}})"
            "\n"
            R"({"jsonrpc":"2.0","method":"notifications/initialized"})"
            "\n\n" +
            ToolLine("\"2\"", "list_agents", "{}") + "not json\n" +
            R"({"jsonrpc":"2.0","id":3,"method":"no/such"})");  // without a line end
  ASSERT_EQ(lines.size(), 4u);
  Strings found;
  for (const std::string& line : lines)
    found.push_back(JsonField(line, "id") + " " + JsonField(line, "error.code"));
  EXPECT_THAT(found, testing::UnorderedElementsAre("1 ", "2 ", "null -32700", "3 -32601"));
}

TEST_F(McpCommand, SpeaksTheStatelessRevision) {
  const Strings lines =
      Lines(std::string(R"({"jsonrpc":"2.0","id":1,"method":"server/discover","params":{)") + kStatelessMeta +
            "}}\n" + ToolLine("2", "list_agents", "{}", std::string(",") + kStatelessMeta) +
            R"({"jsonrpc":"2.0","id":3,"method":"subscriptions/listen","params":{"notifications":{},)" +
            kStatelessMeta + "}}\n");
  ASSERT_EQ(lines.size(), 4u);
  for (const std::string& line : lines) EXPECT_EQ(JsonField(line, "error"), "") << line;
  EXPECT_THAT(lines, testing::Contains(HasSubstr("notifications/subscriptions/acknowledged")));
}

TEST_F(McpCommand, ACancelledWaitHasNoAnswer) {
  daemon_.Create(kWork);
  Command command(Open(), Environment());
  command.Write(ToolLine("7", "wait_for_agent", R"({"id":"a1","until":"exited"})",
                         R"(,"_meta":{"progressToken":"p"})"));
  EXPECT_THAT(command.ReadLine(), HasSubstr("notifications/progress"));
  command.Write(R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}})"
                "\n");
  command.Write(ToolLine("8", "agent_status", R"({"id":"a1"})"));
  EXPECT_EQ(JsonField(command.ReadLine(), "id"), "8");
  command.EndInput();
  EXPECT_EQ(command.Wait(), 0);
}

TEST_F(McpCommand, TheDeathOfTheDaemonChangesNothing) {
  Command command(Open(), Environment());
  command.Write(ToolLine("1", "start_agent", kWork));
  EXPECT_EQ(JsonField(command.ReadLine(), "result.structuredContent.id"), "a1");
  command.Write(ToolLine("2", "wait_for_agent", R"({"id":"a1","until":"exited"})",
                         R"(,"_meta":{"progressToken":"p"})"));
  EXPECT_THAT(command.ReadLine(), HasSubstr("notifications/progress"));
  ASSERT_TRUE(daemon_.Crash());
  command.Write(ToolLine("3", "stop_agent", R"({"id":"a1"})"));
  Strings answers;
  while (answers.size() < 2) {
    const std::string line = command.ReadLine();
    ASSERT_NE(line, "");
    if (JsonField(line, "method").empty()) answers.push_back(line);
  }
  for (const std::string& answer : answers) EXPECT_EQ(JsonField(answer, "result.isError"), "false") << answer;
  command.EndInput();
  EXPECT_EQ(command.Wait(), 0);
}

// Each absence has its own minute.
TEST_F(McpCommand, AWaitOutlivesTwoAbsencesOfTheDaemon) {
  Command command(Open(), Environment());
  command.Write(kLateWait);
  EXPECT_THAT(command.ReadLine(), HasSubstr("notifications/progress"));
  const auto notes = [&command](const std::string& words) {
    size_t count = 0;
    const std::string said = command.err();
    for (size_t at = said.find(words); at != std::string::npos; at = said.find(words, at + 1)) ++count;
    return count;
  };
  for (size_t i = 1; i <= 2; ++i) {
    daemon_.Kill();
    ASSERT_TRUE(Eventually([&] { return notes("does not answer") == i; })) << command.err();
    daemon_.Start();
    ASSERT_TRUE(Eventually([&] { return notes("answers again") == i; })) << command.err();
  }
  daemon_.Create(kLate);
  EXPECT_EQ(JsonField(Answer(command), "result.structuredContent.agent"), "late");
  command.EndInput();
  EXPECT_EQ(command.Wait(), 0);
}

TEST_F(McpCommand, AWaitOutlivesAShutdownAndARestart) {
  Command command(Open(), Environment());
  command.Write(kLateWait);
  EXPECT_THAT(command.ReadLine(), HasSubstr("notifications/progress"));
  daemon_.Signal(SIGTERM);
  EXPECT_EQ(daemon_.Wait(), 0);
  daemon_.Start();
  daemon_.Create(kLate);
  EXPECT_EQ(JsonField(Answer(command), "result.structuredContent.agent"), "late");
  command.EndInput();
  EXPECT_EQ(command.Wait(), 0);
}

TEST_F(McpCommand, ACallDuringAShutdownIsDoneAfterTheRestart) {
  daemon_.Create(
      R"({"id":"a1","kind":"process","command":["sh","-c","trap '' TERM; echo up; while :; do sleep 0.1; done"]})");
  ASSERT_TRUE(Eventually([&] { return !daemon_.Events("a1", "types=agent.output").empty(); }));
  daemon_.Signal(SIGTERM);
  ASSERT_TRUE(Eventually([&] { return daemon_.Get("/health").Field("status") == "draining"; }));
  Command command(Open(), Environment());
  command.Write(ToolLine("1", "start_agent", kLate));
  command.Write(ToolLine("2", "list_agents", "{}"));
  EXPECT_EQ(JsonField(command.ReadLine(), "id"), "2");  // the refusal of the other is not printed
  daemon_.Signal(SIGTERM);                              // a second one: at once
  daemon_.Wait();
  daemon_.Start();
  EXPECT_EQ(JsonField(command.ReadLine(), "result.structuredContent.id"), "late");
  command.EndInput();
  EXPECT_EQ(command.Wait(), 0);
}

TEST_F(McpCommand, ARefusalOfTheDaemonIsAnError) {
  Command command({"mcp"}, {"REEVE_SERVER=" + daemon_.address(), "REEVE_TOKEN=wrong-token-0123456789"},
                  ToolLine("1", "list_agents", "{}"));
  EXPECT_EQ(command.Wait(), 0);
  EXPECT_EQ(JsonField(command.out(), "error.code"), "-32603");
  EXPECT_THAT(JsonField(command.out(), "error.message"), HasSubstr("unauthorized"));
}

TEST_F(McpCommand, EveryRequestThatCannotBeSentGetsAnError) {
  const std::string too_long(size_t{5} << 20, 'x');
  std::string batch = "[" + ToolLine("1", "list_agents", "{}") + "," + ToolLine("2", "list_agents", "{}") +
                      R"(,{"jsonrpc":"2.0","method":"notifications/x"}])";
  std::erase(batch, '\n');
  Command command({"mcp"}, {"REEVE_SERVER=" + daemon_.address(), "REEVE_TOKEN=wrong-token-0123456789"},
                  too_long + "\n" + batch + "\n" +
                      R"({"jsonrpc":"2.0","method":"notifications/initialized"})" + "\nnot json\n");
  EXPECT_EQ(command.Wait(), 0);
  Strings ids;
  std::istringstream out(command.out());
  for (std::string one; std::getline(out, one);) {
    EXPECT_EQ(JsonField(one, "error.code"), "-32603") << one;
    ids.push_back(JsonField(one, "id"));
  }
  EXPECT_THAT(ids, testing::UnorderedElementsAre("null", "1", "2", "null"));
}

TEST_F(McpCommand, AWaitEndsWithTheClient) {
  daemon_.Create(kWork);
  // The pipe ends after the first answer, and the second never comes.
  Command command(
      Command::Program{.words = {"sh", "-c", R"("$0" mcp | head -n 1)", kReeveBinary}}, Environment(),
      ToolLine("1", "agent_status", R"({"id":"a1"})") +
          ToolLine("2", "wait_for_agent", R"({"id":"a1","until":"exited","timeout_ms":3600000})"));
  EXPECT_EQ(command.Wait(), 0);
  EXPECT_EQ(JsonField(command.out(), "id"), "1");
}

TEST(McpRelay, AnAnswerThatIsTooLargeIsAnError) {
  const std::string answer = "data: " + std::string(size_t{17} << 20, 'x') + "\n\n";
  const std::map<std::string, std::string> answers = {
      {"POST /mcp", "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: " +
                        std::to_string(answer.size()) + "\r\n\r\n" + answer}};
  CannedServer server(answers);
  Command command({"mcp"}, {"REEVE_SERVER=" + server.address(), "REEVE_TOKEN=t"},
                  ToolLine("1", "list_agents", "{}"));
  EXPECT_EQ(command.Wait(), 0);
  EXPECT_EQ(JsonField(command.out(), "id"), "1");
  EXPECT_THAT(JsonField(command.out(), "error.message"), HasSubstr("too_large"));
}

TEST(McpRelay, AnAnswerWithoutABodyIsAnError) {
  const std::map<std::string, std::string> answers = {
      {"POST /mcp", "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"}};
  CannedServer server(answers);
  Command command({"mcp"}, {"REEVE_SERVER=" + server.address(), "REEVE_TOKEN=t"},
                  ToolLine("1", "list_agents", "{}"));
  EXPECT_EQ(command.Wait(), 0);
  EXPECT_EQ(JsonField(command.out(), "id"), "1");
  EXPECT_EQ(JsonField(command.out(), "error.code"), "-32603");
}

TEST_F(McpCommand, WithoutADaemonItFailsAndSaysWhy) {
  TempDir empty;
  Command command({"mcp"}, {"REEVE_DATA=" + empty.path()}, ToolLine("1", "list_agents", "{}"));
  EXPECT_NE(command.Wait(), 0);
  EXPECT_THAT(command.out(), IsEmpty());
  EXPECT_THAT(command.err(), HasSubstr("no daemon runs here"));
}

}  // namespace
}  // namespace reeve
