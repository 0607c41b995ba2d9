// A member that somebody adds to an agent or an adapter is carried over a handover, or named here with the
// reason why it need not be. The compiler cannot tell, and a test of behaviour only by luck: so this reads
// the sources.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "tests/support/loop_fixture.h"

namespace reeve {
namespace {

const std::string kSources = std::string(TESTS_DIR) + "/../orchestrator/";

// Members that follow from others or from the store, and why. References and constants are not among them:
// they are given to each that is made.
const std::map<std::string, std::string> kNotCarried = {
    {"Agent::spec_", "read by ReadSpec"},
    {"Agent::draining_", "while a drain is under way there is no handover"},
    {"Agent::shutdown_", "likewise"},
    {"Agent::spawn_wanted_", "asked for again"},
    {"Agent::arriving_", "settled() says that there are none"},
    {"Agent::arriving_later_", "likewise"},
    {"Agent::arriving_bytes_", "likewise"},
    {"Agent::taken_", "likewise"},
    {"Agent::unwritten_", "likewise"},
    {"Agent::state_", "derived"},
    {"Agent::folder_", "is on disk"},
    {"Agent::workspace_", "by the spec; one that is being made is begun anew"},
    {"Agent::files_due_", "work on the pool that matters has ended"},
    {"Agent::log_", "is on disk"},
    {"Agent::approval_deadline_", "from the pending approvals"},
    {"Agent::save_again_", "saved_state_ differs"},
    {"Agent::due_", "from the inbox"},
    {"Agent::advancing_", "nothing is in the middle of Advance"},
    {"Agent::again_", "likewise"},
    {"Agent::listeners_", "requests end"},
    {"Agent::next_listener_", "likewise"},
    {"Agent::alive_", "of each"},
    {"AgentClocks::handlers_", "given to each"},
    {"AgentClocks::timer_", "looks at once"},
    {"Transcript::added_", "read by AddSecret"},
    {"Transcript::secrets_", "made of what is given and added"},
    {"Transcript::file_", "opened again"},
    {"Transcript::size_", "the file's"},
    {"Transcript::failed_", "may be told again"},
    {"AcpAdapter::terminals_", "by Save and Restore"},
    {"Terminal::child", "likewise"},
    {"Terminal::left", "likewise"},
    {"CodexAdapter::models_wanted_", "requests end"},
    {"JsonRpc::handlers_", "given to each"},
    {"JsonlAdapter::data_", "room for a line"},
    {"OutputLines::on_line_", "given to each"},
    {"OpencodeAdapter::failures_", "connections end: counted anew"},
    {"OpencodeAdapter::opened_ms_", "likewise"},
    {"OpencodeAdapter::parser_", "likewise"},
    {"OpencodeAdapter::held_", "what the stream said meanwhile is asked for again"},
    {"OpencodeAdapter::held_bytes_", "likewise"},
    {"OpencodeAdapter::catch_up_", "begun anew by Resume"},
    {"OpencodeAdapter::unheard_", "likewise"},
    {"OpencodeAdapter::looks_", "likewise"},
    {"OpencodeAdapter::models_wanted_", "requests end"},
    {"OpencodeAdapter::waiting_for_", "of a timer"},
    {"OpencodeAdapter::again_", "timers follow from the rest"},
    {"OpencodeAdapter::silence_", "likewise"},
    {"OpencodeAdapter::settle_", "likewise"},
    {"OpencodeAdapter::next_call_", "connections end"},
    {"OpencodeAdapter::commands_", "likewise"},
    {"OpencodeAdapter::fetches_", "likewise"},
    {"OpencodeAdapter::stream_", "likewise"},
};

// --- reading C++, as far as it is written here

// Without comments and preprocessor lines.
std::string Code(const std::string& path) {
  static const std::regex comment("//[^\n]*|\n#[^\n]*");
  return std::regex_replace(ReadFile(path), comment, "");
}

// The end of the block whose '{' is at `at`.
size_t BlockEnd(const std::string& code, size_t at) {
  int depth = 0;
  for (; at < code.size(); ++at) {
    depth += code[at] == '{' ? 1 : code[at] == '}' ? -1 : 0;
    if (depth == 0) return at;
  }
  return at;
}

struct Class {
  std::string file;
  std::string name;
  std::string head;  // "class X final : public Y"
  std::string body;
};

std::vector<Class> ClassesOf(const std::string& file, const std::string& code) {
  static const std::regex head(R"((?:class|struct)\s+([A-Za-z:]+)(?:\s+final)?(?:\s*:\s*[^;{}()]+)?\s*\{)");
  std::vector<Class> classes;
  for (std::sregex_iterator at(code.begin(), code.end(), head), end; at != end; ++at) {
    const auto open = static_cast<size_t>(at->position() + at->length()) - 1;
    classes.push_back({file, (*at)[1], at->str(), code.substr(open + 1, BlockEnd(code, open) - open - 1)});
  }
  return classes;
}

// What is between the brackets of `text` goes, the brackets too.
std::string Without(std::string text, char open, char close) {
  for (size_t at = text.find(open); at != std::string::npos; at = text.find(open, at)) {
    size_t end = at;
    for (int depth = 0; end < text.size(); ++end) {
      depth += text[end] == open ? 1 : text[end] == close ? -1 : 0;
      if (depth == 0) break;
    }
    text.erase(at, end - at + 1);
    if (open == '{') text.insert(at, ";");  // the end of a function's body, or of an initializer
  }
  return text;
}

std::vector<std::string> MembersOf(const Class& of) {
  static const std::regex access(R"((public|private|protected)\s*:)");
  static const std::regex no_member(R"(^\s*(using|static|friend|typedef|template|enum|class|struct)\b)");
  static const std::regex name(R"(([A-Za-z_]\w*)\s*$)");
  static const std::regex constant(R"(^\s*const\b[^*]*$|\bconst\s+\w+\s*$)");
  const std::string body = std::regex_replace(Without(of.body, '{', '}'), access, "");
  std::vector<std::string> members;
  for (size_t at = 0; at < body.size();) {
    const size_t end = std::min(body.find(';', at), body.size());
    std::string statement = body.substr(at, end - at);
    at = end + 1;
    if (std::regex_search(statement, no_member)) continue;
    statement = Without(statement, '<', '>');
    statement = statement.substr(0, statement.find("= std::"));  // made by a call
    if (statement.find_first_of("(&") != std::string::npos || std::regex_search(statement, constant))
      continue;
    for (size_t from = 0; from < statement.size();) {  // "int a_ = 0, b_ = 0"
      const size_t comma = std::min(statement.find(',', from), statement.size());
      std::string one = statement.substr(from, comma - from);
      one = one.substr(0, one.find('='));
      std::smatch found;
      const bool typed =
          from > 0 || one.find_first_of(" \n", one.find_first_not_of(" \n")) != std::string::npos;
      if (typed && std::regex_search(one, found, name)) members.push_back(found[1]);
      from = comma + 1;
    }
  }
  return members;
}

// The body of the first function whose head holds `head`.
std::string FunctionIn(const std::string& code, const std::string& head) {
  for (size_t at = code.find(head); at != std::string::npos; at = code.find(head, at + 1)) {
    const size_t open = code.find_first_of("{;", at);
    if (open == std::string::npos) break;
    if (code[open] == '{') return code.substr(open, BlockEnd(code, open) - open);
  }
  return {};
}

// The body of a class's own Members, not of a nested class's; empty: it has none.
std::string OwnMembers(const std::string& body) {
  const std::string head = "static void Members(";
  for (size_t at = body.find(head); at != std::string::npos; at = body.find(head, at + 1)) {
    const auto begin = body.begin();
    const auto here = begin + static_cast<std::ptrdiff_t>(at);
    if (std::count(begin, here, '{') == std::count(begin, here, '}'))
      return FunctionIn(body.substr(at), head);
  }
  return {};
}

bool Mentions(const std::string& text, const std::string& member) {
  return std::regex_search(text, std::regex("\\b" + member + "\\b"));
}

// --- what is demanded

class Carried : public testing::Test {
 protected:
  void SetUp() override {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(kSources)) {
      const std::string path = entry.path();
      if (!path.ends_with(".h") && !path.ends_with(".cc")) continue;
      const std::string file = entry.path().filename();
      code_[file] = Code(path);
      for (Class& found : ClassesOf(file, code_[file])) classes_.push_back(std::move(found));
    }
  }
  [[nodiscard]] const Class& Find(const std::string& file, const std::string& name) const {
    auto found = std::find_if(classes_.begin(), classes_.end(),
                              [&](const Class& one) { return one.file == file && one.name == name; });
    EXPECT_NE(found, classes_.end()) << file << ": " << name;
    return found == classes_.end() ? classes_.front() : *found;
  }
  // Each member is in all of `texts`.
  void Demand(const Class& of, const std::vector<std::string>& texts) {
    const std::vector<std::string> members = MembersOf(of);
    EXPECT_FALSE(members.empty()) << of.name << " is not understood";
    for (const std::string& member : members) {
      const std::string full = of.name + "::" + member;
      const bool carried = std::all_of(texts.begin(), texts.end(),
                                       [&](const std::string& text) { return Mentions(text, member); });
      const bool excused = kNotCarried.count(full) != 0;
      if (excused) excuses_.insert(full);
      EXPECT_NE(carried, excused) << of.file << ": " << full
                                  << (carried ? " is carried after all" : " is lost by a handover");
    }
  }

  std::map<std::string, std::string> code_;  // by file
  std::vector<Class> classes_;
  std::set<std::string> excuses_;  // that were needed
};

TEST_F(Carried, WhatAnAgentAndItsAdapterHave) {
  // By hand: what writes, and what reads.
  auto text = [this](const std::string& file, const std::vector<std::string>& functions) {
    std::string all;
    for (const std::string& function : functions) {
      const std::string body = FunctionIn(code_[file], function);
      EXPECT_NE(body, "") << file << ": " << function;
      all += body;
    }
    return all;
  };
  const std::string agent = "agent_handover.cc";
  Demand(Find("agent.h", "Agent"),
         {text(agent,
               {"Agent::HandOver(", "Agent::SaveRuns(", "Agent::SaveMessages(", "Agent::SaveApprovals("}) +
              text("agent_record.cc", {"Agent::StateJson("}),
          text(agent, {"Agent::Adopt(", "Agent::AdoptState(", "Agent::AdoptProcess("}) +
              text("agent_record.cc", {"Agent::LoadState("})});
  Demand(Find("agent_clocks.h", "AgentClocks"), {text("agent_clocks.cc", {"AgentClocks::ToJson("}),
                                                 text("agent_clocks.cc", {"AgentClocks::Restore("})});
  Demand(Find("transcript.h", "Transcript"),
         {text("transcript.cc", {"Transcript::ToJson("}), text("transcript.cc", {"Transcript::Restore("})});
  const std::string terminals = "acp_terminals.cc";
  Demand(Find("acp_terminals.h", "AcpTerminals"),
         {text(terminals, {"AcpTerminals::Save("}), text(terminals, {"AcpTerminals::Restore("})});
  for (const char* name : {"Run", "Usage"}) {
    const std::string own = name;
    Demand(Find("run.h", own),
           {text("agent_record.cc", {own + "::ToJson("}), text("agent_record.cc", {own + "::FromJson("})});
  }
  Demand(Find("inbox.h", "Message"), {text("inbox.cc", {"Message::ToJson("}) + text(agent, {"MessageJson("}),
                                      text("inbox.cc", {"Message::FromJson("})});
  Demand(Find("approvals.h", "PendingApproval"),
         {text(agent, {"PendingJson("}), text(agent, {"PendingFromJson("}) + "request"});
  Demand(Find("adapter.h", "ApprovalRequest"),
         {text(agent, {"PendingJson("}), text(agent, {"PendingFromJson("})});
  Demand(Find("approvals.h", "ResolvedApproval"),
         {text(agent, {"Agent::SaveApprovals("}), text(agent, {"Agent::AdoptState("})});

  // By their own list, which serves both ways.
  int listed = 0;
  for (const Class& one : classes_) {
    const bool adapter = one.head.find("public Adapter") != std::string::npos;
    const std::string list = OwnMembers(one.body);
    EXPECT_TRUE(!list.empty() || !adapter) << one.file << ": " << one.name << " has no Members";
    if (list.empty()) continue;
    ++listed;
    Demand(one, {list});
  }
  EXPECT_GT(listed, 30);
  for (const auto& [excused, why] : kNotCarried) {
    EXPECT_EQ(excuses_.count(excused), 1U) << excused << " is no member any more";
  }
}

}  // namespace
}  // namespace reeve
