// Every example in the help, and the README's, does what it says: typed as it stands, in a town in which
// there is what it speaks of.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/command.h"
#include "tests/support/daemon.h"
#include "tests/support/declared.h"
#include "tests/support/paths.h"
#include "tests/support/scripted_agent.h"

namespace reeve {
namespace {

// A claude that answers its prompt.
constexpr const char* kReady =
    R"(< {"type":"control_response","response":{"subtype":"success","request_id":"initialize-1","response":{}}})";
constexpr const char* kTurn = R"(< {"type":"system","subtype":"init","session_id":"s-1"})";
constexpr const char* kSays =
    R"(< {"type":"assistant","message":{"id":"m1","role":"assistant","content":[{"type":"text","text":"hello"}]},"session_id":"s-1"})";
constexpr const char* kEnd =
    R"(< {"type":"result","subtype":"success","is_error":false,"terminal_reason":"completed","session_id":"s-1"})";

constexpr const char* kGoesOn = R"(["cat"])";
// Takes a line, if there is one: a message to a program that does not wait for it is brought again.
constexpr const char* kEnds = R"(["bash","-c","read -t 0.3 line; echo hello $line"])";

// The activity of a1, a2 (both team=web) and reviewer.
enum class Stage {
  kWorking,  // until they are told to end
  kEnded,    // they have, well
  kAsking    // a1 waits for an approval, "0", reviewer for the answer to a question, "q1"
};

// The stage for every command with examples. A command that is missing here is new: add the stage that its
// examples need.
const std::map<std::string, Stage>& Stages() {
  static const std::map<std::string, Stage> stages = {
      {"reeve agents attach", Stage::kEnded},
      {"reeve agents export", Stage::kEnded},
      {"reeve agents interrupt", Stage::kWorking},
      {"reeve agents list", Stage::kAsking},
      {"reeve agents logs", Stage::kEnded},
      {"reeve agents restart", Stage::kWorking},
      {"reeve agents rm", Stage::kWorking},
      {"reeve agents files list", Stage::kWorking},
      {"reeve agents files put", Stage::kWorking},
      {"reeve agents files rm", Stage::kWorking},
      {"reeve agents models", Stage::kWorking},
      {"reeve agents prune", Stage::kEnded},
      {"reeve agents processes", Stage::kWorking},
      {"reeve agents queue cancel", Stage::kWorking},
      {"reeve agents queue list", Stage::kWorking},
      {"reeve agents runs", Stage::kEnded},
      {"reeve agents set", Stage::kWorking},
      {"reeve agents transcript", Stage::kEnded},
      {"reeve reload", Stage::kEnded},
      {"reeve agents start", Stage::kEnded},
      {"reeve agents status", Stage::kWorking},
      {"reeve agents stop", Stage::kWorking},
      {"reeve agents wake", Stage::kWorking},
      {"reeve agents watch", Stage::kEnded},
      {"reeve approvals allow", Stage::kAsking},
      {"reeve approvals deny", Stage::kAsking},
      {"reeve approvals list", Stage::kAsking},
      {"reeve completion", Stage::kEnded},
      {"reeve doctor", Stage::kEnded},
      {"reeve drain", Stage::kWorking},
      {"reeve replay", Stage::kEnded},
      {"reeve rpc", Stage::kWorking},
      {"reeve mcp", Stage::kWorking},
      {"reeve run", Stage::kEnded},
      {"reeve serve", Stage::kEnded},
      {"reeve open", Stage::kEnded},
      {"reeve ticket", Stage::kEnded},
      {"reeve top", Stage::kAsking},
      {"reeve upgrade", Stage::kWorking},
      {"reeve version", Stage::kEnded},
  };
  return stages;
}

// Other codes than 0, where the example is about them or its surroundings are.
const std::map<std::string, std::vector<int>>& Codes() {
  static const std::map<std::string, std::vector<int>> codes = {
      {"reeve doctor", {0, 1}},  // this machine may lack something
      {"reeve doctor --quiet", {0, 1}},
      {"reeve models reviewer", {64}},           // the kind has none
      {"reeve transcript a1 > a1.jsonl", {66}},  // nothing was recorded
      {"./build/release/reeve run -- sh -c 'echo hello; exit 3'", {3}},
  };
  return codes;
}

// Goes on until somebody ends it.
bool IsEndless(const std::string& typed) {
  return typed.find(" -f") != std::string::npos || typed.find("--follow") != std::string::npos ||
         typed.find("--watch") != std::string::npos;
}

// A shell's folder with what the examples find there, and a daemon.
class Sandbox {
 public:
  Sandbox() {
    const std::string home = folder_.path();
    for (const char* folder :
         {"/bin", "/build/release", "/.zfunc", "/.config/fish/completions", "/.local/state"}) {
      std::filesystem::create_directories(home + folder);
    }
    // Examples that need a port of the machine or a whole terminal are only parsed.
    const std::string reeve = kReeveBinary;
    const std::string script = "#!/bin/sh\n[ $# != 1 ] || [ \"$1\" != top ] || exec " + reeve +
                               " man --check -- \"$@\"\n[ \"$1\" != serve ] || exec " + reeve +
                               " man --check -- \"$@\"\nexec " + reeve + " \"$@\"\n";
    for (const std::string& file : {home + "/bin/reeve", home + "/build/release/reeve"})
      MakeProgram(file, script);
    MakeProgram(home + "/bin/claude", "#!/bin/sh\nexec " + reeve + " replay " + home + "/turn.jsonl\n");
    MakeProgram(home + "/bin/ssh", "#!/bin/sh\nshift\nexec \"$@\"\n");  // every host is this machine
    MakeProgram(home + "/server", "#!/bin/sh\nexec sleep 600\n");
    WriteFile(home + "/turn.jsonl",
              ScriptAsRecording({"> initialize", kReady, "> hello", kTurn, kSays, kEnd}));
    WriteFile(home + "/Makefile", "all:\n\t@echo built\ntest:\n\t@echo tested\n");
    EXPECT_EQ(
        Command({{"bash", "-c", "git init -q . && echo one >file && git add file && echo two >file"}, home},
                {"HOME=" + home})
            .Wait(),
        0);
    // Agents find this reeve as the shell does.
    (void)setenv("PATH", (home + "/bin:" + path_).c_str(), 1);
    Daemon::Options options;
    options.data_dir = home + "/.local/state/reeve";
    daemon_ = std::make_unique<Daemon>(options);
  }
  ~Sandbox() { (void)setenv("PATH", path_.c_str(), 1); }
  Sandbox(const Sandbox&) = delete;
  Sandbox& operator=(const Sandbox&) = delete;

  [[nodiscard]] const Daemon& daemon() const { return *daemon_; }

  void Prepare(Stage stage) {
    if (kill(daemon_->keeper(), 0) != 0 || !Answers()) {  // the last example ended it
      EXPECT_EQ(daemon_->Wait(), 0);
      daemon_->Start();
    }
    for (const char* id : {"a1", "a2", "reviewer"}) {
      (void)daemon_->Post("/agents/" + std::string(id) + "/stop", R"({"grace_ms":50})");
      (void)daemon_->Call("DELETE", "/agents/" + std::string(id) + "?purge=true");
      EXPECT_TRUE(Eventually([&] { return daemon_->Get("/agents/" + std::string(id)).status == 404; })) << id;
    }
    if (stage == Stage::kAsking) {
      Ask("a1", R"("tool_name":"Bash","tool_use_id":"call-0","input":{"command":"make"})", "0");
      Ask("reviewer",
          R"("tool_name":"AskUserQuestion","tool_use_id":"call-q1","input":{"questions":[{"question":"colour",)"
          R"("header":"colour","multiSelect":false,"options":[{"label":"red","description":"r"}]}]})",
          "q1");
    } else {
      for (const char* id : {"a1", "reviewer"}) Create(id, stage == Stage::kEnded ? kEnds : kGoesOn);
    }
    Create("a2", stage == Stage::kEnded ? kEnds : kGoesOn);
    for (const char* id : {"a1", "a2", "reviewer"}) {
      daemon_->WaitFor(id, stage == Stage::kEnded ? "until=exited" : "until=ready");
    }
  }

  void Type(const std::string& typed) {
    Command command({{"bash", "-o", "pipefail", "-c", typed}, folder_.path()}, Environment());
    if (IsEndless(typed)) {
      EXPECT_TRUE(Eventually([&] { return !command.out().empty(); })) << typed << ": " << command.err();
      command.Signal(SIGINT);
      EXPECT_THAT(command.Wait(), testing::AnyOf(0, 130, -SIGINT)) << typed << ": " << command.err();
      return;
    }
    const int code = command.Wait();
    EXPECT_THAT(CodesOf(typed), testing::Contains(code)) << typed << "\n" << command.out() << command.err();
  }

  // Several commands in one shell, each of which is to succeed.
  void TypeAll(const std::vector<std::string>& typed) {
    std::string script;
    for (size_t i = 0; i < typed.size(); ++i) {
      script += typed[i] + "\necho \"" + std::to_string(i) + ":$?\" >&3\n";
    }
    const std::string codes = folder_.path() + "/codes";
    WriteFile(codes, "");
    Command command({{"bash", "-c", "exec 3>'" + codes + "'\n" + script}, folder_.path()}, Environment());
    EXPECT_EQ(command.Wait(), 0) << command.err();
    std::istringstream lines(ReadFile(codes));
    size_t count = 0;
    for (std::string line; std::getline(lines, line); ++count) {
      const std::string& what = typed.at(std::stoul(line));
      EXPECT_THAT(CodesOf(what), testing::Contains(std::stoi(line.substr(line.find(':') + 1))))
          << what << "\n"
          << command.out() << command.err();
    }
    EXPECT_EQ(count, typed.size());
  }

 private:
  static void MakeProgram(const std::string& file, const std::string& script) {
    WriteFile(file, script);
    EXPECT_EQ(chmod(file.c_str(), 0755), 0);
  }

  static std::vector<int> CodesOf(const std::string& typed) {
    const auto found = Codes().find(typed);
    return found == Codes().end() ? std::vector<int>{0} : found->second;
  }

  [[nodiscard]] std::vector<std::string> Environment() const {
    return {"HOME=" + folder_.path(), "XDG_STATE_HOME=" + folder_.path() + "/.local/state",
            "REEVE_DATA=" + daemon_->data_dir()};
  }

  // It may be on its way out.
  [[nodiscard]] bool Answers() const {
    return !std::filesystem::exists(daemon_->data_dir() + "/runtime.json")
               ? false
               : daemon_->Get("/health").status == 200;
  }

  void Create(const std::string& id, const std::string& command) const {
    const std::string label = id == "reviewer" ? "" : R"(,"labels":{"team":"web"})";
    daemon_->Create(R"({"id":")" + id + R"(","kind":"process","cwd":")" + folder_.path() + R"(","command":)" +
                    command + label + "}");
  }

  void Ask(const std::string& id, const std::string& what, const std::string& request) const {
    CreateScripted(*daemon_, id, "claude",
                   {"> initialize", kReady, "> go", kTurn,
                    R"(< {"type":"control_request","request_id":")" + request +
                        R"(","request":{"subtype":"can_use_tool",)" + what + "}}",
                    "> answer"},
                   R"(,"prompt":"go","labels":{"team":"web"})");
    EXPECT_TRUE(Eventually([&] { return daemon_->Get("/agents/" + id).Field("state") == "needs_input"; }))
        << id;
  }

  const std::string path_ = std::getenv("PATH");
  TempDir folder_;
  std::unique_ptr<Daemon> daemon_;
};

TEST(Examples, WorkAsTheyStandInTheHelp) {
  Sandbox sandbox;
  for (const DeclaredCommand& command : DeclaredCommands()) {
    if (command.examples.empty()) continue;
    const auto stage = Stages().find(command.command);
    if (stage == Stages().end()) {
      ADD_FAILURE() << command.command
                    << " is new to this test: see what its examples need, and add it to Stages()";
      continue;
    }
    for (const std::string& typed : command.examples) {
      SCOPED_TRACE(typed);
      sandbox.Prepare(stage->second);
      sandbox.Type(typed);
    }
  }
}

// The commands of a section's code blocks, without their comments; a line that goes on is one.
std::vector<std::string> CommandsOf(const std::string& section) {
  std::istringstream lines(ReadFile(std::string(kTests) + "/../README.md"));
  std::vector<std::string> commands;
  bool within = false;
  bool goes_on = false;
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind("## ", 0) == 0) within = line == "## " + section;
    if (!within || line.rfind("    ", 0) != 0) continue;
    line = line.substr(line.find_first_not_of(' '));
    if (const size_t comment = line.find("  # "); comment != std::string::npos) line.resize(comment);
    while (!line.empty() && line.back() == ' ') line.pop_back();
    const bool more = !line.empty() && line.back() == '\\';
    if (more) line.pop_back();
    if (goes_on) {
      commands.back() += line;
    } else {
      commands.push_back(line);
    }
    goes_on = more;
  }
  return commands;
}

TEST(Examples, OfTheReadmeWorkAsTheyStand) {
  std::vector<std::string> commands = CommandsOf("Use it");
  // Before that it is built, and serves.
  const auto first = std::find_if(commands.begin(), commands.end(), [](const std::string& line) {
    return line.find("reeve run ") != std::string::npos;
  });
  ASSERT_NE(first, commands.end());
  commands.erase(commands.begin(), first);
  EXPECT_GT(commands.size(), 5U);
  Sandbox sandbox;
  // Its port is the machine's: here the daemon has another.
  const std::string address = "http://127.0.0.1:8080";
  for (std::string& command : commands) {
    for (size_t at = command.find(address); at != std::string::npos; at = command.find(address)) {
      command.replace(at, address.size(), sandbox.daemon().address());
    }
  }
  sandbox.TypeAll(commands);
}

}  // namespace
}  // namespace reeve
