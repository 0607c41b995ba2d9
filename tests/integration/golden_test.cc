// The output of the command line, byte for byte (fixtures/cli/): the help of every command, tables and
// errors. After an intended change, REEVE_TEST_RECORD=1 writes the files again.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/command.h"
#include "tests/support/daemon.h"
#include "tests/support/declared.h"
#include "tests/support/paths.h"
#include "tests/support/scripted_agent.h"

namespace reeve {
namespace {

bool Recording() {
  const char* record = std::getenv("REEVE_TEST_RECORD");
  return record && *record;
}

std::string FileOf(const std::string& name) { return std::string(kFixtures) + "/cli/" + name + ".txt"; }

void ExpectGolden(const std::string& name, const std::string& text) {
  if (Recording()) {
    std::filesystem::create_directories(std::string(kFixtures) + "/cli");
    WriteFile(FileOf(name), text);
  }
  EXPECT_EQ(text, ReadFile(FileOf(name)))
      << "If that is what " << name
      << " is to say: REEVE_TEST_RECORD=1 build/dev/tests/integration_test --gtest_filter='Golden*' writes "
         "it down; look at the difference before it is committed.";
}

// The width of a line of UTF-8 without wide characters.
size_t Width(const std::string& line) {
  return static_cast<size_t>(
      std::count_if(line.begin(), line.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

TEST(Golden, HelpOfEveryCommand) {
  std::set<std::string> pages;
  for (const DeclaredCommand& command : DeclaredCommands()) {
    std::vector<std::string> words = command.Words();
    words.emplace_back("--help");
    Command help(words);
    EXPECT_EQ(help.Wait(), 0) << command.command;
    EXPECT_EQ(help.err(), "");
    ExpectGolden(command.page, help.out());
    pages.insert(command.page);
    std::istringstream lines(help.out());
    for (std::string line; std::getline(lines, line);) {
      const bool typed = std::any_of(command.examples.begin(), command.examples.end(),
                                     [&line](const std::string& example) { return line == "  " + example; });
      EXPECT_TRUE(typed || Width(line) <= 80) << command.command << ": " << line;
    }
    EXPECT_TRUE(!command.runs || !command.examples.empty()) << command.command << " has no example";
  }
  // Pages of commands that no longer exist.
  for (const auto& entry : std::filesystem::directory_iterator(std::string(kFixtures) + "/cli")) {
    const std::string name = entry.path().stem();
    if (name.rfind("reeve", 0) != 0 || pages.count(name) != 0) continue;
    if (Recording()) std::filesystem::remove(entry.path());
    EXPECT_TRUE(Recording()) << name << " is no command";
  }
}

// Commands as they are typed, and what they answer; written down as a session.
class Session {
 public:
  explicit Session(std::string data_dir) : data_dir_(std::move(data_dir)) {}

  void Type(const std::string& line) {
    const std::string reeve = kReeveBinary;
    Command command({{"bash", "-c", "reeve() { " + reeve + " \"$@\"; }; " + line}, data_dir_},
                    {"REEVE_DATA=" + data_dir_});
    const int code = command.Wait();
    text_ += "$ " + line + "\n" + WithoutAges(Normal(command.out()));
    std::istringstream errors(Normal(command.err()));
    for (std::string said; std::getline(errors, said);) text_ += "stderr: " + said + "\n";
    if (code != 0) text_ += "exit " + std::to_string(code) + "\n";
  }

  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  // How long ago, as wide as it is.
  static std::string WithoutAges(std::string text) {
    std::smatch age;
    const std::regex ages(R"((\s)(now|\d+[smh](?: ago)?|0(?= +\d+m))(?=[ \n])( *))");
    for (size_t from = 0;
         std::regex_search(text.cbegin() + static_cast<std::ptrdiff_t>(from), text.cend(), age, ages);) {
      const size_t at = from + static_cast<size_t>(age.position(2));
      const size_t width = static_cast<size_t>(age.length(2) + age.length(3));
      const std::string ago = "AGO" + std::string(width - std::min<size_t>(width, 3), ' ');
      text.replace(at, width, ago);
      from = at + ago.size() - (ago.ends_with(' ') ? 1 : 0);  // the space before the next one
    }
    return text;
  }

  // Replaces values that differ from run to run by others of the same width, because they stand in tables.
  std::string Normal(std::string text) const {
    const std::vector<std::pair<const char*, const char*>> varying = {
        {R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)", "YYYY-MM-DDThh:mm:ss.mmmZ"},
        {R"((pid *)\d+)", "$1PID"},
        {R"(\(process \d+\))", "(process PID)"},
        {R"((, | )(just now|\d+(\.\d)? m?s ago))", "$1AGO"},
        {R"(after \d+(\.\d)? m?s)", "after TIME"},
        {R"(reeve replay .*)", "reeve replay FILE"},
        {R"(m[0-9a-f]{16})", "mXXXXXXXXXXXXXXXX"}};
    for (const auto& [what, with] : varying) text = std::regex_replace(text, std::regex(what), with);
    for (size_t at = text.find(data_dir_); at != std::string::npos; at = text.find(data_dir_)) {
      text.replace(at, data_dir_.size(), "DATA");
    }
    return text;
  }

  const std::string data_dir_;
  std::string text_;
};

bool Exists(const std::string& wanted) {
  const auto commands = DeclaredCommands();
  return std::any_of(commands.begin(), commands.end(),
                     [&wanted](const DeclaredCommand& command) { return command.command == wanted; });
}

// A town in which something of everything is going on.
void MakeTown(const Daemon& daemon) {
  daemon.Create(R"({"id":"a1","kind":"process","command":["cat"],"cwd":"/","title":"build the thing",)"
                R"("labels":{"team":"web"}})");
  daemon.WaitFor("a1", "until=ready");
  daemon.Create(R"({"id":"done","kind":"process","command":["sh","-c","echo fine"],"cwd":"/"})");
  daemon.Create(R"({"id":"failed","kind":"process","command":["sh","-c","echo no such thing >&2; exit 3"],)"
                R"("cwd":"/","title":"会議 and \u001b[31mred"})");
  daemon.WaitFor("done");
  daemon.WaitFor("failed");
  CreateScripted(
      daemon, "reviewer", "claude",
      {"> initialize",
       R"(< {"type":"control_response","response":{"subtype":"success","request_id":"initialize-1","response":{}}})",
       "> go", R"(< {"type":"system","subtype":"init","session_id":"s-1"})",
       R"(< {"type":"control_request","request_id":"0","request":{"subtype":"can_use_tool","tool_name":"Bash",)"
       R"("tool_use_id":"call-0","input":{"command":"rm -r build"}}})",
       "> answer"},
      R"(,"cwd":"/","prompt":"go")");
  EXPECT_TRUE(Eventually([&] { return daemon.Get("/agents/reviewer").Field("state") == "needs_input"; }));
}

TEST(Golden, Tables) {
  Daemon daemon;
  Session session(daemon.data_dir());
  session.Type("reeve agents list");
  MakeTown(daemon);
  session.Type("reeve agents list");
  session.Type("reeve agents list --state needs_input");
  session.Type("reeve agents list -l team=web");
  session.Type("reeve agents list --quiet");
  session.Type("reeve agents status a1");
  session.Type("reeve agents status failed");
  session.Type("reeve agents wake a1 --message hello");
  session.Type("reeve agents stop a1 done");
  if (Exists("reeve approvals list")) session.Type("reeve approvals list");
  ExpectGolden("tables", session.text());
}

TEST(Golden, Errors) {
  Daemon daemon;
  MakeTown(daemon);
  Session session(daemon.data_dir());
  for (const char* line : {
           "reeve agents",  // and what there is
           "reeve dance",
           "reeve agents lst",
           "reeve agents --json",
           "reeve agents status",
           "reeve agents stop a1 --grce 5s",
           "reeve agents list --state happy",
           "reeve agents wake a1 --message",
           "reeve agents wake a1 --message x --delay soon",
           "reeve agents wake a1 --message x --delay 5s --at 2026-01-31T08:00:00Z",
           "reeve agents send a1 two words",
           "reeve stp a1",
           "reeve rn a1",
           "reeve logs a1 --types run.complet",
           "reeve logs a1 --since noon",
           "reeve run --kind cluade --prompt hi",
           "reeve run --label foo true",
           "reeve set a1 --limit forever",
           "reeve agents stop nobody",
           "reeve agents stop nobody done --json",
           "reeve agents stop team=nobody",
           "reeve agents interrupt done",
           "reeve agents list --server http://127.0.0.1:1",
           "reeve agents list --server http://127.0.0.1:1 --json",
           "reeve agents list --server unix:///nonexistent/reeve.sock",
           "reeve agents list --server gopher://example",
           "reeve agents list --token-file /nonexistent/token",
           "REEVE_TOKEN=wrong-token-0123456789 reeve agents list",
           "REEVE_TOKEN=wrong-token-0123456789 reeve agents list --json",
           "reeve run --kind nonsense -- true",
           "reeve run --id a1 --cwd / -- true",
           "reeve run",
           "reeve drain --timeout 1",
           "reeve serve --listen nowhere",
           "reeve serve --fsync sometimes",
           "reeve replay /nonexistent",
           "reeve completion tcsh",
           "reeve agents list > /dev/full",
       }) {
    session.Type(line);
  }
  ExpectGolden("errors", session.text());
}

}  // namespace
}  // namespace reeve
