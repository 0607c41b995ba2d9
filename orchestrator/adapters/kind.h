// Kind: the name of a kind of agent and what it can do (GET /kinds; KINDS.md). A value in the table of
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
    bool turns = false;          // false: one run lasts as long as the process
    bool interrupt = false;      // a run can be ended without ending the process
    bool steer = false;          // has Steer
    bool approve = false;        // asks before it acts: has Decide
    bool change_input = false;   // an approval may change the tool's input
    bool elicit = false;         // asks a person questions: has Answer
    bool resume = false;         // a later process can continue the session of an earlier one
    bool model = false;          // the model can be chosen, and changed from turn to turn
    bool list_models = false;    // ListModels names every model that can be chosen
    bool system_prompt = false;  // takes the spec's system prompt
    bool mcp = false;            // starts MCP servers that the spec names: has reeve's own tools
  } can;
  const char* program =
      nullptr;  // looked up on PATH when the spec has no command; null: a command is demanded
  const char* install = nullptr;  // the package to install when the program is missing
  std::unique_ptr<Adapter> (*make)(AgentHost& host, const std::string& session) = nullptr;
  std::vector<std::string_view> options = {};  // kind_options that it accepts; each is true or false
};
// All kinds. FindKind returns nullptr for an unknown name.
const std::vector<Kind>& Kinds();
const Kind* FindKind(std::string_view name);

}  // namespace reeve
