// Kind: what a kind of agent is called and what it can do (GET /kinds; KINDS.md). A value in the table of
// kinds.cc.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace reeve {

class Adapter;
class AgentHost;

struct Kind {
  const char* name;
  struct Can {
    bool turns = false;          // false: the process's life is the run
    bool interrupt = false;      // a run can be ended without ending the process
    bool steer = false;          // Steer
    bool approve = false;        // it asks before it acts: Decide
    bool change_input = false;   // an approval may change the tool's input
    bool elicit = false;         // it asks what it wants to know: Answer
    bool resume = false;         // a later process goes on with an earlier one's session
    bool model = false;          // the model can be chosen, and another from turn to turn
    bool system_prompt = false;  // takes the spec's
    bool terminal = false;       // a screen to look at and to type into
  } can;
  const char* program =
      nullptr;  // looked up on PATH when the spec has no command; null: a command is demanded
  const char* install = nullptr;  // what to install when it is not there
  std::unique_ptr<Adapter> (*make)(AgentHost& host, const std::string& session) = nullptr;
  std::vector<std::string_view> options = {};  // kind_options that it knows: true or false, each
};
// All kinds; nullptr for an unknown name.
const std::vector<Kind>& Kinds();
const Kind* FindKind(std::string_view name);

}  // namespace reeve
