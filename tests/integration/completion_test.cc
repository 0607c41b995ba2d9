// Completion with TAB in the real shells, with a daemon whose agents are completed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/command.h"
#include "tests/support/daemon.h"
#include "tests/support/paths.h"
#include "tests/support/scripted_agent.h"
#include "tests/support/tmux.h"

namespace reeve {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class Completion : public testing::Test {
 protected:
  Completion() {
    daemon_.Create(
        R"({"id":"a1","kind":"process","command":["cat"],"title":"it's the \"first\" one","labels":{"team":"web"}})");
    daemon_.Create(
        R"({"id":"b2","kind":"process","command":["cat"],"title":"plain","labels":{"team":"web"}})");
    // The shells find this reeve as any other program.
    for (const char* folder : {"/bin", "/files", "/files/sub"}) {
      std::filesystem::create_directory(folder_.path() + folder);
    }
    std::filesystem::create_symlink(kReeveBinary, folder_.path() + "/bin/reeve");
    WriteFile(folder_.path() + "/files/some file", "");
    variables_ = {"PATH=" + folder_.path() + "/bin:" + std::getenv("PATH"),
                  "REEVE_DATA=" + daemon_.data_dir(), "ZDOTDIR=" + folder_.path()};
  }

  Tmux Shell(std::vector<std::string> words) {
    // tmux runs its program by env, which knows of these.
    std::vector<std::string> program = variables_;
    program.insert(program.end(), words.begin(), words.end());
    return Tmux(program, {.environment = {}, .columns = 120, .rows = 24});
  }

  // Checks the text after the prompt once TAB was pressed.
  static void Becomes(Tmux& shell, const std::string& typed, const std::string& line) {
    shell.Type(typed);
    shell.Press("Tab");
    EXPECT_TRUE(shell.Shows("% " + line)) << typed << "\n" << shell.Screen();
    Clear(shell, typed);
  }
  // TAB, and once more, shows these.
  static void Lists(Tmux& shell, const std::string& typed, const std::vector<std::string>& texts) {
    shell.Type(typed);
    shell.Press("Tab");
    shell.Press("Tab");
    for (const std::string& text : texts) EXPECT_TRUE(shell.Shows(text)) << typed << "\n" << shell.Screen();
    Clear(shell, typed);
  }
  static void Clear(Tmux& shell, const std::string& typed) {
    shell.Press("C-u");
    shell.Press("C-l");
    EXPECT_TRUE(shell.Hides(typed.substr(0, 8))) << shell.Screen();
  }

  Daemon daemon_;
  TempDir folder_;
  std::vector<std::string> variables_;
};

TEST_F(Completion, OffersWhatTheDaemonKnows) {
  auto offered = [this](std::vector<std::string> words, const std::vector<std::string>& more = {}) {
    words.insert(words.begin(), {"complete", "--"});
    Command command(words,
                    more.empty() ? std::vector<std::string>{"REEVE_DATA=" + daemon_.data_dir()} : more);
    EXPECT_EQ(command.Wait(), 0);
    EXPECT_EQ(command.err(), "");
    return command.out();
  };
  EXPECT_EQ(offered({"agents", "stop", ""}),
            "a1\trunning, it's the \"first\" one\nb2\trunning, plain\nit's the \"first\" one\trunning, a1\n"
            "plain\trunning, b2\n");
  EXPECT_EQ(offered({"agents", "stop", "a1", ""}), "b2\trunning, plain\nplain\trunning, b2\n");
  EXPECT_EQ(offered({"agents", "stop", "plain", ""}),
            "a1\trunning, it's the \"first\" one\nit's the \"first\" one\trunning, a1\n");
  EXPECT_EQ(offered({"agents", "stop", "it"}), "it's the \"first\" one\trunning, a1\n");
  EXPECT_EQ(offered({"agents", "stop", "team="}), "team=web\t2 agents\n");
  EXPECT_EQ(offered({"agents", "stop", "--", "b"}), "b2\trunning, plain\n");
  // Which daemon, the line itself may say; without a token there is nothing, in silence.
  const std::vector<std::string> nothing = {"X=y"};
  const std::string token = daemon_.data_dir() + "/token";
  EXPECT_EQ(offered({"agents", "stop", "b"}, nothing), "");
  EXPECT_EQ(offered({"agents", "stop", "--data", daemon_.data_dir(), "b"}, nothing), "b2\trunning, plain\n");
  EXPECT_EQ(offered({"--server=" + daemon_.address(), "agents", "stop", "--token-file", token, "b"}, nothing),
            "b2\trunning, plain\n");
  EXPECT_EQ(offered({"agents", "stop", "--server", daemon_.address(), "b"}, nothing), "");
  daemon_.Kill();
  EXPECT_EQ(offered({"agents", "stop", ""}), "");
}

TEST_F(Completion, OffersWhatWaitsForAnAnswer) {
  auto asking = [this](const std::string& agent, const std::vector<std::string>& requests) {
    std::vector<std::string> script = {
        "> initialize",
        R"(< {"type":"control_response","response":{"subtype":"success","request_id":"initialize-1","response":{}}})",
        "> go", R"(< {"type":"system","subtype":"init","session_id":"s-1"})"};
    for (const std::string& request : requests) {
      script.push_back(R"(< {"type":"control_request","request_id":")" + request +
                       R"(","request":{"subtype":"can_use_tool","tool_name":"Bash","tool_use_id":"call-)" +
                       request + R"(","input":{"command":"make"}}})");
    }
    script.emplace_back("> answer");
    CreateScripted(daemon_, agent, "claude", script, R"(,"prompt":"go")");
    EXPECT_TRUE(Eventually([&] {
      return daemon_.Get("/agents/" + agent).Field("pending_approvals") == std::to_string(requests.size());
    }));
  };
  asking("one", {"p1"});
  asking("two", {"p2", "p3"});
  Command command({"complete", "--", "approvals", "allow", ""}, {"REEVE_DATA=" + daemon_.data_dir()});
  EXPECT_EQ(command.Wait(), 0);
  EXPECT_EQ(command.out(), "p1\tone: bash\np2\ttwo: bash\np3\ttwo: bash\none\twaits for bash\n");
}

// Nobody waits longer than a second for an answer that does not come.
TEST_F(Completion, GivesUpSoon) {
  daemon_.Signal(SIGSTOP);
  const auto began = std::chrono::steady_clock::now();
  Command command({"complete", "--", "agents", "stop", ""}, {"REEVE_DATA=" + daemon_.data_dir()});
  EXPECT_EQ(command.Wait(), 0);
  EXPECT_EQ(command.out() + command.err(), "");
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(10));
  daemon_.Signal(SIGCONT);
}

TEST_F(Completion, NeverCommandsTheTerminal) {
  daemon_.Create(R"({"id":"c3","kind":"process","command":["cat"],"title":"\u001b[31mred\tand\nmore"})");
  Command command({"complete", "--", "agents", "stop", "c"}, {"REEVE_DATA=" + daemon_.data_dir()});
  EXPECT_EQ(command.Wait(), 0);
  EXPECT_EQ(command.out(), "c3\trunning,  [31mred and more\n");
}

// An agent that calls itself as an option is called does not come to be one.
TEST_F(Completion, OffersNoOptionsThatAgentsChose) {
  daemon_.Create(
      R"({"id":"c3","kind":"process","command":["cat"],"title":"--server=http://elsewhere","labels":{"team":"web"}})");
  for (const char* word : {"", "c"}) {
    Command command({"complete", "--", "agents", "stop", word}, {"REEVE_DATA=" + daemon_.data_dir()});
    EXPECT_EQ(command.Wait(), 0);
    EXPECT_THAT(command.out(), Not(HasSubstr("--server=http://elsewhere\t"))) << word;
  }
}

TEST_F(Completion, Bash) {
  WriteFile(folder_.path() + "/rc",
            "PS1='% '\neval \"$(reeve completion bash)\"\ncd " + folder_.path() + "/files\n");
  Tmux shell = Shell({"bash", "--rcfile", folder_.path() + "/rc", "-i"});
  ASSERT_TRUE(shell.Shows("%")) << shell.Screen();
  Becomes(shell, "reeve ag", "reeve agents");
  Becomes(shell, "reeve agents stop p", "reeve agents stop plain");
  Becomes(shell, "reeve agents stop it", R"(reeve agents stop it\'s\ the\ \"first\"\ one)");
  Becomes(shell, R"(reeve agents stop "it's the \"f)", R"(reeve agents stop "it's the \"first\" one")");
  Becomes(shell, R"(reeve agents stop it\'s)", R"(reeve agents stop it\'s\ the\ \"first\"\ one)");
  Becomes(shell, "reeve agents stop team=", "reeve agents stop team=web");
  Becomes(shell, "reeve agents stop --tok", "reeve agents stop --token-file");
  Becomes(shell, "reeve run --kind=cl", "reeve run --kind=claude");
  Becomes(shell, "reeve --data=/nonexistent agents stop b", "reeve --data=/nonexistent agents stop b");
  Becomes(shell, "reeve replay so", R"(reeve replay some\ file)");
  Becomes(shell, "reeve run --cwd s", "reeve run --cwd sub/");
  Becomes(shell, "reeve run --cwd=s", "reeve run --cwd=sub/");
  Becomes(shell, "reeve run -- mktem", "reeve run -- mktemp");
  Becomes(shell, "../bin/reeve sess", "../bin/reeve sessions");
  Lists(shell, "reeve agents stop ",
        {"a1  (running, it's the", "b2  (running, plain)", "plain  (running, b2)"});
  Lists(shell, "reeve run --kind=c", {"claude  (", "codex  ("});
}

TEST_F(Completion, Zsh) {
  WriteFile(folder_.path() + "/.zshrc",
            "PS1='%% '\nautoload -Uz compinit; compinit -u -D\n"
            "eval \"$(reeve completion zsh)\"\ncd " +
                folder_.path() + "/files\n");
  Tmux shell = Shell({"zsh", "-i"});
  ASSERT_TRUE(shell.Shows("%")) << shell.Screen();
  Becomes(shell, "reeve ag", "reeve agents");
  Becomes(shell, "reeve agents stop p", "reeve agents stop plain");
  Becomes(shell, "reeve agents stop it", R"(reeve agents stop it\'s\ the\ \"first\"\ one)");
  Becomes(shell, "reeve agents stop team=", "reeve agents stop team=web");
  Becomes(shell, "reeve agents stop --tok", "reeve agents stop --token-file");
  Becomes(shell, "reeve run --kind=cl", "reeve run --kind=claude");
  Becomes(shell, "reeve replay so", R"(reeve replay some\ file)");
  Becomes(shell, "reeve run --cwd s", "reeve run --cwd sub/");
  Becomes(shell, "reeve run --cwd=s", "reeve run --cwd=sub/");
  Becomes(shell, "reeve run -- mktem", "reeve run -- mktemp");
  Lists(shell, "reeve agents stop ", {"-- running, it's the \"first\" one", "b2 ", "-- running, plain"});
  Lists(shell, "reeve run --kind=c", {"--kind=codex ", "-- takes turns"});
}

TEST_F(Completion, Fish) {
  auto offered = [this](const std::string& line) {
    WriteFile(folder_.path() + "/ask.fish",
              "reeve completion fish | source\ncd " + folder_.path() + "/files\ncomplete -C " + line + "\n");
    Command fish({{"fish", "--no-config", folder_.path() + "/ask.fish"}, folder_.path()}, variables_);
    EXPECT_EQ(fish.Wait(), 0) << fish.err();
    EXPECT_EQ(fish.err(), "");
    return fish.out();
  };
  EXPECT_THAT(offered("'reeve ag'"), testing::StartsWith("agents\tList, "));
  EXPECT_EQ(offered("'reeve agents stop '"),
            "a1\trunning, it's the \"first\" one\nb2\trunning, plain\nit's the \"first\" one\trunning, a1\n"
            "plain\trunning, b2\n");
  EXPECT_EQ(offered(R"("reeve agents stop it\\'s\\ the")"), "it's the \"first\" one\trunning, a1\n");
  EXPECT_EQ(offered(R"("reeve agents stop \"it's th")"), "it's the \"first\" one\trunning, a1\n");
  EXPECT_EQ(offered("'reeve agents stop team='"), "team=web\t2 agents\n");
  EXPECT_THAT(offered("'reeve agents stop --tok'"), testing::StartsWith("--token-file\t"));
  EXPECT_EQ(offered("'reeve run --kind=cl'"), "--kind=claude\ttakes turns\n");
  EXPECT_EQ(offered("'reeve --data=/nonexistent agents stop b'"), "");
  EXPECT_EQ(offered("'reeve replay so'"), "some file\n");
  EXPECT_THAT(offered("'reeve run --cwd s'"), AllOf(HasSubstr("sub/\n"), Not(HasSubstr("some file"))));
  EXPECT_EQ(offered("'reeve run --cwd=s'"), "--cwd=sub/\n");
  EXPECT_THAT(offered("'reeve run -- mktem'"), HasSubstr("mktemp"));
}

}  // namespace
}  // namespace reeve
