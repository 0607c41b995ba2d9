// The kind `acp` in a real daemon, with a script in the place of the agent: what it may have us do for it.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/scripted_agent.h"

namespace reeve {
namespace {

using Strings = std::vector<std::string>;

// The handshake and a prompt, what is asked in its turn, each with an answer, and the turn's end.
void Create(const Daemon& daemon, const Strings& asked, const std::string& more, bool ends = true) {
  Strings script = {
      "> initialize", R"(< {"jsonrpc":"2.0","id":1,"result":{"protocolVersion":1,"agentCapabilities":{}}})",
      "> session/new", R"(< {"jsonrpc":"2.0","id":2,"result":{"sessionId":"s"}})", "> session/prompt"};
  int id = 100;
  for (const std::string& request : asked) {
    script.push_back(R"(< {"jsonrpc":"2.0","id":)" + std::to_string(id++) + "," + request + "}");
    script.push_back("> answer");
  }
  if (ends) script.push_back(R"(< {"jsonrpc":"2.0","id":3,"result":{"stopReason":"end_turn"}})");
  script.push_back("> never");
  CreateScripted(daemon, "a1", "acp", script, R"(,"prompt":"go")" + more);
}

// The answers to the agent's requests, in order: the result, or the error's message.
Strings Answers(const Daemon& daemon) {
  Strings answers;
  const std::string transcript = daemon.Get("/agents/a1/transcript").body;
  for (size_t at = 0; at < transcript.size(); at = transcript.find('\n', at) + 1) {
    const std::string line = transcript.substr(at, transcript.find('\n', at) - at);
    const std::string text = JsonField(line, "text");
    if (JsonField(line, "dir") != "out" || JsonField(text, "id").size() != 3) continue;
    const std::string result = JsonField(text, "result");
    answers.push_back(result.empty() ? "refused: " + JsonField(text, "error.message") : result);
  }
  return answers;
}

bool UntilEnded(const Daemon& daemon) {
  return Eventually([&] { return !daemon.Events("a1", "after=0&types=run.completed").empty(); });
}

std::string Terminal(const std::string& method, const std::string& params) {
  return R"("method":"terminal/)" + method + R"(","params":{"sessionId":"s",)" + params + "}";
}

TEST(AcpTerminals, RunCommandsInTheAgentsEnvironmentWhereItIsGranted) {
  Daemon daemon;
  const std::string work = daemon.data_dir();
  Create(
      daemon,
      {Terminal("create",
                R"("command":"sh","args":["-c","echo $KEY $EXTRA $REEVE_AGENT_ID; pwd; exit 3"],)"
                R"("env":[{"name":"EXTRA","value":"more"},{"name":"REEVE_AGENT_ID","value":"forged"}])"),
       Terminal("wait_for_exit", R"("terminalId":"term-1")"), Terminal("output", R"("terminalId":"term-1")"),
       Terminal(
           "create",
           R"("command":"sh","args":["-c","printf 'aaaa\\303\\251bbbb'; exec sleep 600"],"outputByteLimit":5)"),
       Terminal("kill", R"("terminalId":"term-2")"), Terminal("wait_for_exit", R"("terminalId":"term-2")"),
       Terminal("release", R"("terminalId":"term-2")"), Terminal("output", R"("terminalId":"term-2")"),
       Terminal("create", R"("command":"no-such-program")"), Terminal("create", R"("command":7)"),
       Terminal("dance", R"("terminalId":"term-1")")},
      R"(,"cwd":")" + work + R"(","env":{"KEY":"value"},"kind_options":{"terminal":true})");
  ASSERT_TRUE(UntilEnded(daemon));
  const Strings answers = Answers(daemon);
  ASSERT_EQ(answers.size(), 11U);
  EXPECT_EQ(answers[0], R"({"terminalId":"term-1"})");
  EXPECT_EQ(answers[1], R"({"exitCode":3,"signal":null})");
  EXPECT_EQ(JsonField(answers[2], "output"), "value more a1\n" + work + "\n");
  EXPECT_EQ(JsonField(answers[2], "truncated"), "false");
  EXPECT_EQ(JsonField(answers[2], "exitStatus.exitCode"), "3");
  EXPECT_EQ(answers[5], R"({"exitCode":null,"signal":"SIGKILL"})");
  EXPECT_EQ(answers[6], "{}");
  EXPECT_EQ(answers[7], "refused: there is no terminal term-2");
  EXPECT_NE(answers[8].find("no-such-program"), std::string::npos);
  EXPECT_EQ(answers[9], "refused: command: must be a string that is not empty");
  EXPECT_EQ(answers[10], "refused: reeve does not support this method");
}

TEST(AcpTerminals, KeepTheEndOfTheOutputFromAWholeCharacterOn) {
  Daemon daemon;
  Create(
      daemon,
      {Terminal("create", R"("command":"printf","args":["aaaa\\303\\251bbbb"],"outputByteLimit":5)"),
       Terminal("wait_for_exit", R"("terminalId":"term-1")"), Terminal("output", R"("terminalId":"term-1")")},
      R"(,"kind_options":{"terminal":true})");
  ASSERT_TRUE(UntilEnded(daemon));
  const Strings answers = Answers(daemon);
  ASSERT_EQ(answers.size(), 3U);
  EXPECT_EQ(JsonField(answers[2], "output"), "bbbb");
  EXPECT_EQ(JsonField(answers[2], "truncated"), "true");
}

TEST(AcpTerminals, EndWithTheAgent) {
  Daemon daemon;
  Create(daemon,
         {Terminal("create", R"("command":"sh","args":["-c","setsid sleep 71234 & exec sleep 71234"])")},
         R"(,"kind_options":{"terminal":true})", false);
  const std::string ours = "REEVE_AGENT_ID=a1";
  ASSERT_TRUE(Eventually([&] { return ProcessesWith(ours).size() >= 3; }));
  EXPECT_EQ(daemon.Post("/agents/a1/stop", R"({"grace_ms":1000})").status, 202);
  ASSERT_TRUE(Eventually([&] { return !daemon.Events("a1", "after=0&types=agent.exited").empty(); }));
  EXPECT_TRUE(Eventually([&] { return ProcessesWith("REEVE_TOWN_ID=" + daemon.town_id()).empty(); }));
}

TEST(AcpTerminals, AreRefusedWhereTheyAreNotGranted) {
  Daemon daemon;
  Create(daemon,
         {Terminal("create", R"("command":"true")"),
          R"("method":"fs/read_text_file","params":{"sessionId":"s","path":"/etc/passwd"})"},
         "");
  ASSERT_TRUE(UntilEnded(daemon));
  EXPECT_EQ(Answers(daemon), (Strings{"refused: reeve does not support this method",
                                      "refused: reeve does not support this method"}));
}

TEST(AcpFiles, AreThoseOfTheFolderWhereItIsGranted) {
  Daemon daemon;
  TempDir work;
  WriteFile(work.path() + "/in.txt", "one\ntwo\nthree\n");
  Create(daemon,
         {R"("method":"fs/read_text_file","params":{"sessionId":"s","path":")" + work.path() +
              R"(/in.txt","line":2,"limit":1})",
          R"("method":"fs/write_text_file","params":{"sessionId":"s","path":")" + work.path() +
              R"(/out.txt","content":"new"})",
          R"("method":"fs/read_text_file","params":{"sessionId":"s","path":"/etc/passwd"})",
          R"("method":"fs/read_text_file","params":{"sessionId":"s","path":")" + work.path() +
              R"(/../etc/passwd"})"},
         R"(,"cwd":")" + work.path() + R"(","kind_options":{"fs":true})");
  ASSERT_TRUE(UntilEnded(daemon));
  const Strings answers = Answers(daemon);
  ASSERT_EQ(answers.size(), 4U);
  EXPECT_EQ(answers[0], R"({"content":"two\n"})");
  EXPECT_EQ(answers[1], "{}");
  EXPECT_EQ(ReadFile(work.path() + "/out.txt"), "new");
  EXPECT_EQ(answers[2].substr(0, 9), "refused: ");
  EXPECT_EQ(answers[3].substr(0, 9), "refused: ");
}

}  // namespace
}  // namespace reeve
