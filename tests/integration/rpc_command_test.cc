// `reeve rpc`: the gateway over stdin and stdout.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/command.h"
#include "tests/support/daemon.h"
#include "tests/support/paths.h"

namespace reeve {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using Strings = std::vector<std::string>;

std::string CallLine(int id, const std::string& method, const std::string& params = "{}") {
  return R"({"jsonrpc":"2.0","id":)" + std::to_string(id) + R"(,"method":")" + method + R"(","params":)" +
         params + "}\n";
}

class RpcCommand : public testing::Test {
 protected:
  struct Outcome {
    int code;
    Strings lines;  // without gateway.ready
    std::string err;
  };

  // Starts the command, whose stdin stays open: Write writes to it, and nothing ends it.
  std::unique_ptr<Command> Open(const std::string& command = "exec \"$0\" rpc") {
    const std::string fifo = folder_.path() + "/fifo";
    EXPECT_EQ(mkfifo(fifo.c_str(), 0600), 0);
    auto opened = std::make_unique<Command>(
        Command::Program{{"sh", "-c", command + " 0<>\"$1\"", kReeveBinary, fifo}, folder_.path()},
        Environment());
    input_.open(fifo);
    return opened;
  }
  void Write(const std::string& text) { input_ << text << std::flush; }

  Outcome Rpc(const std::string& input, Strings words = {}) {
    words.insert(words.begin(), "rpc");
    Command command(words, Environment(), input);
    const int code = command.Wait();
    EXPECT_THAT(command.out() + command.err(), Not(HasSubstr(daemon_.token())));
    Strings lines;
    std::istringstream out(command.out());
    for (std::string line; std::getline(out, line);) lines.push_back(line);
    if (!lines.empty()) {
      EXPECT_EQ(JsonField(lines.front(), "params.type"), "gateway.ready");
      lines.erase(lines.begin());
    }
    return {code, lines, command.err()};
  }
  [[nodiscard]] Strings Environment() const { return {"REEVE_DATA=" + daemon_.data_dir()}; }

  Daemon daemon_;
  TempDir folder_;
  std::ofstream input_;
};

TEST_F(RpcCommand, AnswersEachLine) {
  const Outcome outcome =
      Rpc(CallLine(1, "agents.list") + CallLine(2, "gateway.ping") + CallLine(3, "no.such") + "not json\n" +
          R"({"jsonrpc":"2.0","method":"gateway.ping"})" + "\n" +
          R"({"jsonrpc":"2.0","id":"last","method":"agents.list"})");  // without a line end
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(outcome.err, "");
  ASSERT_EQ(outcome.lines.size(), 5u);
  Strings answers;
  for (const std::string& line : outcome.lines)
    answers.push_back(JsonField(line, "id") + JsonField(line, "error.code"));
  EXPECT_THAT(answers, testing::UnorderedElementsAre("1", "2", "3-32601", "null-32700", "last"));
  EXPECT_EQ(outcome.lines.front(), R"({"jsonrpc":"2.0","id":1,"result":{"agents":[]}})");
}

TEST_F(RpcCommand, EndsAtOnceWithoutInput) {
  const Outcome outcome = Rpc("");
  EXPECT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.lines, IsEmpty());
}

TEST_F(RpcCommand, WaitsForAnswersThatTakeLong) {
  daemon_.Create(R"({"id":"a1","kind":"process","command":["cat"]})");
  daemon_.WaitFor("a1", "until=ready");
  Command waits({"rpc"}, Environment(),
                CallLine(1, "agents.wait", R"({"id":"a1","until":"exited"})") + CallLine(2, "gateway.ping"));
  ASSERT_TRUE(waits.Says(R"("id":2)"));  // which overtakes the other one
  EXPECT_THAT(waits.out(), Not(HasSubstr(R"("id":1)")));
  EXPECT_EQ(daemon_.Post("/agents/a1/stop", "{}").status, 202);
  EXPECT_EQ(waits.Wait(), 0);
  EXPECT_THAT(waits.out(), HasSubstr(R"("id":1,"result")"));
}

// An answer whose id is null is none to a call that has an id.
TEST_F(RpcCommand, WaitsForTheAnswersOfAllIds) {
  daemon_.Create(R"({"id":"a1","kind":"process","command":["cat"]})");
  daemon_.WaitFor("a1", "until=ready");
  const std::string wait_call = CallLine(1, "agents.wait", R"({"id":"a1","until":"exited"})");
  for (const std::string line : {R"({"jsonrpc":"2.0","method":"a","method":"b"})",
                                 R"({"jsonrpc":"2.0","id":[],"method":"a"})", "no json"}) {
    Command waits({"rpc"}, Environment(), wait_call + line + "\n" + CallLine(1, "gateway.ping"));
    ASSERT_TRUE(waits.Says(R"("id":null)")) << line;
    ASSERT_TRUE(waits.Says(R"("time")"));  // of the other call with this id
    EXPECT_EQ(daemon_.Post("/agents/a1/stop", "{}").status, 202);
    EXPECT_EQ(waits.Wait(), 0);
    EXPECT_THAT(waits.out(), HasSubstr(R"("id":1,"result":{"id":"a1")")) << line;
    EXPECT_EQ(daemon_.Post("/agents/a1/start", "{}").status, 202);
    daemon_.WaitFor("a1", "until=ready");
  }
}

TEST_F(RpcCommand, ShowsEventsUntilItIsInterrupted) {
  auto command = Open();
  Write(CallLine(1, "events.subscribe", R"({"agent":"*"})"));
  ASSERT_TRUE(command->Says(R"("result":{"subscription")"));
  daemon_.Create(R"({"id":"a1","kind":"process","command":["sh","-c","echo from the agent; exec cat"]})");
  EXPECT_TRUE(command->Says("from the agent"));
  command->Signal(SIGINT);
  EXPECT_EQ(command->Wait(), -SIGINT);
  EXPECT_EQ(command->err(), "");
}

TEST_F(RpcCommand, SpeaksOverAUnixSocket) {
  Daemon::Options options;
  options.listen = "unix://" + folder_.path() + "/socket";
  const Daemon other(options);
  Command command({"rpc", "--server", options.listen}, {"REEVE_DATA=" + other.data_dir()},
                  CallLine(1, "agents.list"));
  EXPECT_EQ(command.Wait(), 0);
  EXPECT_THAT(command.out(), HasSubstr(R"("id":1,"result")"));
}

TEST_F(RpcCommand, SaysThatTheDaemonWent) {
  auto command = Open();
  ASSERT_TRUE(command->Says("gateway.ready"));
  daemon_.Kill();
  EXPECT_EQ(command->Wait(), 69);
  EXPECT_THAT(command->err(), HasSubstr("reeve: rpc: "));
  EXPECT_THAT(command->err(), HasSubstr("closed the connection"));
}

TEST_F(RpcCommand, SaysWhyTheDaemonClosed) {
  auto command = Open();
  ASSERT_TRUE(command->Says("gateway.ready"));
  daemon_.Signal(SIGTERM);
  EXPECT_EQ(command->Wait(), 69);
  EXPECT_THAT(command->err(), HasSubstr("(1001)"));
}

TEST_F(RpcCommand, ShowsTheDaemonsErrorForALineThatItDoesNotTake) {
  const std::string most =
      CallLine(1, "gateway.ping", R"({"unknown":")" + std::string((1 << 20) - 72, 'x') + "\"}");
  ASSERT_EQ(most.size(), (size_t{1} << 20) + 1);  // with its line end
  const Outcome longest = Rpc(most);
  EXPECT_EQ(longest.code, 0) << longest.err;
  ASSERT_EQ(longest.lines.size(), 1u);
  EXPECT_EQ(JsonField(longest.lines[0], "error.code"), "-32602");

  const Outcome too_long = Rpc(std::string(3 << 20, 'x') + "\n");
  EXPECT_EQ(too_long.code, 1);
  EXPECT_THAT(too_long.err, HasSubstr("a message may have 1048576 bytes (1009)"));
  EXPECT_THAT(too_long.lines, IsEmpty());

  const Outcome not_text = Rpc("{\"a\":\"\xff\"}\n");
  EXPECT_EQ(not_text.code, 64);
  EXPECT_THAT(not_text.err, HasSubstr("not UTF-8 (1007)"));
}

TEST_F(RpcCommand, RefusesAServerAsOtherCommandsDo) {
  const Outcome no_daemon = Rpc("", {"--server", "http://127.0.0.1:1"});
  EXPECT_EQ(no_daemon.code, 69);
  EXPECT_THAT(no_daemon.err, HasSubstr("Connection refused"));
  WriteFile(folder_.path() + "/token", "another-token-0123456789abcdef\n");
  const Outcome no_token = Rpc("", {"--token-file", folder_.path() + "/token"});
  EXPECT_EQ(no_token.code, 77);
  EXPECT_THAT(no_token.err, Not(HasSubstr("another-token")));
  EXPECT_EQ(Rpc("", {"--server", daemon_.address() + "/elsewhere"}).code, 66);
}

TEST_F(RpcCommand, RefusesATokenWithALineEndAsOtherCommandsDo) {
  Strings environment = Environment();
  environment.emplace_back("REEVE_TOKEN=" + daemon_.token() + "\r\nX-Other: header");
  for (const std::string command : {"rpc", "list"}) {
    Command refused({command}, environment, "");
    EXPECT_EQ(refused.Wait(), 64);
    const std::string err = refused.err();
    EXPECT_THAT(err, HasSubstr("header Authorization contains a line end"));
    EXPECT_THAT(err, Not(HasSubstr(daemon_.token())));
  }
}

TEST_F(RpcCommand, EndsWithoutAMessageWhenNobodyReads) {
  Command command(
      {{"sh", "-c", R"({ "$0" rpc <"$1"; echo $? >code; } | :; cat code)", kReeveBinary, "/dev/zero"},
       folder_.path()},
      Environment());
  EXPECT_EQ(command.Wait(), 0);
  EXPECT_EQ(command.err(), "");
}

// More than the pipes, the sockets and the limits of the gateway hold: nothing is lost, and nothing waits for
// ever.
TEST_F(RpcCommand, TakesAsManyLinesAsComeAndALateReader) {
  std::string input;
  constexpr int kCalls = 5000;
  const std::string id(200, 'i');
  for (int i = 0; i < kCalls; ++i) {
    input += R"({"jsonrpc":"2.0","id":")" + id + std::to_string(i) + R"(","method":"gateway.ping"})" + "\n";
  }
  WriteFile(folder_.path() + "/in", input);
  // The reader begins when the writer has come to its end or waits for it.
  Command command({{"sh", "-c", R"("$0" rpc <in | { dd bs=1 count=1 2>/dev/null; exec cat; })", kReeveBinary},
                   folder_.path()},
                  Environment());
  EXPECT_EQ(command.Wait(), 0);
  EXPECT_EQ(command.err(), "");
  const std::string out = command.out();
  size_t answers = 0;
  for (size_t at = out.find("\"result\""); at != std::string::npos; at = out.find("\"result\"", at + 1))
    ++answers;
  EXPECT_EQ(answers, static_cast<size_t>(kCalls));
}

}  // namespace
}  // namespace reeve
