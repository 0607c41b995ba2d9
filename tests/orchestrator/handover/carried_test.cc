// Each data member of a class with `Members` (orchestrator/handover/saved_state.h) is named in it, or excused
// here with the reason. The next daemon lacks a member that is forgotten; neither the compiler nor, but by
// luck, a test of behaviour notices. So this test reads the sources, in the style in which they are written.
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/loop_fixture.h"
#include "tests/support/paths.h"

namespace reeve {
namespace {

// References and constants need no excuse: each object is given its own.
struct Excuse {
  const char* reason;
  std::vector<std::string> members;
};
const std::vector<Excuse> kExcuses = {
    {"the owner gives them to each object", {"AgentClocks::handlers_", "JsonRpc::handlers_"}},
    {"a buffer that is empty between calls",
     {"JsonlAdapter::data_", "OutputLines::from_", "OutputLines::line_", "OutputLines::ends_"}},
    {"a line of its own for each", {"HandoverState::agents"}},
    {"the log is opened again", {"Journal::log_", "Journal::turn_begin_"}},
    {"saved as cursor()", {"Journal::cursor_"}},
    {"saved as last()", {"Journal::last_"}},
    {"saved as NotInStore()", {"Mailbox::entries_"}},
    {"the living process is saved and adopted beside Members",
     {"AgentProcess::adapter_", "AgentProcess::child_"}},
    {"follows from the spec", {"AgentWorkspace::clone_"}},
    {"saved only while nothing waits for the disk, and not during a drain",
     {"AgentWorkspace::saving_", "AgentWorkspace::tried_", "Agent::drain_grace_ms_", "Agent::writer_",
      "Agent::updates_"}},
    {"counted anew", {"Approvals::bytes_", "Mailbox::counts_", "Mailbox::bytes_", "Mailbox::by_id_"}},
    {"begins again", {"Stream::since_ms", "Stream::held"}},
    {"timers that follow from the rest",
     {"OutputLines::parts_", "Approvals::deadline_", "Agent::messages_", "Agent::facts_"}},
    {"a damaged agent has no checkpoint, and is loaded again", {"Agent::damage_"}},
    {"derived from the rest", {"Agent::state_", "Agent::spawn_wanted_"}},
    {"written beside Members", {"Agent::spec_"}},
    {"read from the private folder", {"Agent::secrets_"}},
    {"belong to the earlier daemon", {"Agent::listeners_", "Agent::alive_"}},
    {"saved beside Members", {"AgentProcess::last_words_"}},
    {"taken from the log again", {"OpenContent::texts_", "OpenContent::calls_"}},
    {"saved as since()", {"OpenContent::since_"}},
    {"is about this turn",
     {"AgentProcess::queue_", "AgentProcess::handled_output_", "AgentProcess::adapter_changed_",
      "Agent::rests_"}},
    {"about the checkpoint itself",
     {"Agent::touched_", "Agent::touched_all_", "Agent::checkpoint_", "Agent::settled_text_"}},
    {"follows from hidden_", {"Transcript::secrets_"}},
    {"the file is opened again", {"Transcript::file_", "Transcript::size_", "Transcript::failed_"}},
    {"requests for models end and are made again",
     {"CodexAdapter::models_wanted_", "OpencodeAdapter::models_wanted_", "PiAdapter::models_wanted_"}},
    {"connections end with the daemon",
     {"OpencodeAdapter::failures_", "OpencodeAdapter::opened_ms_", "OpencodeAdapter::parser_",
      "OpencodeAdapter::next_call_", "OpencodeAdapter::commands_", "OpencodeAdapter::fetches_",
      "OpencodeAdapter::stream_"}},
    {"Resume asks the server for its state again",
     {"OpencodeAdapter::due_", "OpencodeAdapter::held_", "OpencodeAdapter::paused_",
      "OpencodeAdapter::catch_up_", "OpencodeAdapter::unheard_", "OpencodeAdapter::looks_",
      "OpencodeAdapter::waiting_for_", "OpencodeAdapter::again_", "OpencodeAdapter::silence_",
      "OpencodeAdapter::settle_"}},
};

struct Class {
  std::string name;
  bool adapter = false;
  std::string declarations;  // without the bodies of functions and of nested classes
  std::string named;         // the bodies of its own Members and Record; empty: it has none
};

// The index of the '}' that closes the '{' at `open`.
size_t BlockEnd(const std::string& code, size_t open) {
  int depth = 0;
  for (size_t at = open; at < code.size(); ++at) {
    depth += code[at] == '{' ? 1 : code[at] == '}' ? -1 : 0;
    if (depth == 0) return at;
  }
  return code.size();
}

Class ReadClass(const std::string& head, const std::string& name, const std::string& body) {
  Class read{name, head.find("public Adapter") != std::string::npos, "", ""};
  for (size_t at = 0; at < body.size(); ++at) {
    if (body[at] != '{') {
      read.declarations += body[at];
      continue;
    }
    const size_t end = BlockEnd(body, at);
    const std::string before = read.declarations.substr(read.declarations.rfind(';') + 1);
    const bool names = before.find("static void Members(") != std::string::npos ||
                       before.find("static void Record(") != std::string::npos;
    if (names) read.named += body.substr(at, end - at);
    read.declarations += ';';
    at = end;
  }
  return read;
}

std::vector<Class> ReadClasses() {
  static const std::regex no_code("//[^\n]*|\n#[^\n]*");
  static const std::regex head(R"((?:class|struct)\s+([A-Za-z:]+)(?:\s+final)?(?:\s*:\s*[^;{}()]+)?\s*\{)");
  static const std::regex out_of_class(
      R"(void (\w+)::(?:Members|Record|Settled|Flowing)\(auto& self, auto& state\) \{)");
  std::vector<Class> classes;
  std::map<std::string, std::string> bodies;  // of Members that are defined in a source file
  for (const char* layer : {"process", "tickets", "orchestrator"}) {
    const std::string folder = std::string(kTests) + "/../" + layer;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
      if (entry.path().extension() != ".h" && entry.path().extension() != ".cc") continue;
      const std::string code = std::regex_replace(ReadFile(entry.path()), no_code, "");
      for (std::sregex_iterator at(code.begin(), code.end(), head), end; at != end; ++at) {
        const auto open = static_cast<size_t>(at->position() + at->length()) - 1;
        const std::string body = code.substr(open + 1, BlockEnd(code, open) - open - 1);
        classes.push_back(ReadClass(at->str(), (*at)[1], body));
      }
      for (std::sregex_iterator at(code.begin(), code.end(), out_of_class), end; at != end; ++at) {
        const auto open = static_cast<size_t>(at->position() + at->length()) - 1;
        bodies[(*at)[1]] += code.substr(open, BlockEnd(code, open) - open);
      }
    }
  }
  for (Class& one : classes) one.named += bodies[one.name];
  return classes;
}

// The names in one declaration, if it is one of data members: "int a_ = 0, b_ = 0".
std::vector<std::string> NamesIn(std::string declaration) {
  static const std::regex access(R"((public|private|protected)\s*:)");
  static const std::regex arguments("<[^<>]*>");
  static const std::regex other(
      R"(^\s*(using|static|friend|typedef|template|enum|class|struct)\b|\boperator\b)");
  static const std::regex constant(R"(^\s*const\b[^*]*$|\bconst\s+\w+\s*$)");
  static const std::regex initializer("=[^,]*");
  static const std::regex names(R"(\S\s+[A-Za-z_]\w*(\s*,\s*[A-Za-z_]\w*)*\s*$)");
  declaration = std::regex_replace(declaration, access, "");
  if (std::regex_search(declaration, other)) return {};
  while (std::regex_search(declaration, arguments)) {
    declaration = std::regex_replace(declaration, arguments, "");
  }
  if (declaration.find_first_of("(&") < declaration.find('=')) return {};  // a function or a reference
  declaration = std::regex_replace(declaration, initializer, "");
  std::smatch found;
  if (std::regex_search(declaration, constant) || !std::regex_search(declaration, found, names)) return {};
  static const std::regex name(R"(\w+(?=\s*(,|$)))");
  const std::string list = found.str();
  std::vector<std::string> all;
  for (std::sregex_iterator at(list.begin(), list.end(), name), end; at != end; ++at)
    all.push_back(at->str());
  return all;
}

std::vector<std::string> DataMembersOf(const Class& of) {
  std::vector<std::string> members;
  std::stringstream declarations(of.declarations);
  for (std::string one; std::getline(declarations, one, ';');) {
    for (std::string& name : NamesIn(one)) members.push_back(std::move(name));
  }
  return members;
}

TEST(Carried, EveryDataMemberIsNamedInMembersOrExcused) {
  int checked = 0;
  std::set<std::string> excused;
  for (const Excuse& excuse : kExcuses) excused.insert(excuse.members.begin(), excuse.members.end());
  std::set<std::string> unused = excused;
  for (const Class& one : ReadClasses()) {
    EXPECT_TRUE(!one.adapter || !one.named.empty()) << "the adapter " << one.name << " has no Members";
    if (one.named.empty()) continue;
    ++checked;
    const std::vector<std::string> members = DataMembersOf(one);
    EXPECT_FALSE(members.empty()) << one.name << " has no data members that this test can read";
    for (const std::string& member : members) {
      const std::string full = one.name + "::" + member;
      const bool named = std::regex_search(one.named, std::regex("self\\." + member + "\\b"));
      unused.erase(full);
      EXPECT_NE(named, excused.count(full) != 0)
          << full << (named ? " needs no excuse: it is in Members" : " is lost when the daemon ends");
    }
  }
  EXPECT_GT(checked, 40);
  for (const std::string& gone : unused) ADD_FAILURE() << gone << " is not a data member any more";
}

}  // namespace
}  // namespace reeve
