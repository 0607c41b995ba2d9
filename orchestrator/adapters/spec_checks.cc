#include "orchestrator/adapters/spec_checks.h"

#include <algorithm>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "orchestrator/adapters/adapter.h"
#include "orchestrator/adapters/kind.h"
#include "orchestrator/agent/agent_spec.h"
#include "orchestrator/config/closest_match.h"
#include "orchestrator/store/data_folder.h"
#include "orchestrator/workspace/git.h"
#include "orchestrator/workspace/repository.h"
#include "process/spawn.h"

namespace reeve {

namespace {

Error Refusal(const std::string& field, const std::string& reason) {
  return {"invalid_request", field + ": " + reason};
}

std::string UnknownKind(const std::string& name) {
  std::vector<std::string> known;
  for (const Kind& kind : Kinds()) known.emplace_back(kind.name);
  const std::string meant = ClosestMatch(name, known, 2);
  std::string all;
  for (const std::string& one : known) all += (all.empty() ? "" : ", ") + one;
  return "there is no kind " + name +
         (meant.empty() ? "; there are " + all : ": did you mean " + meant + "?");
}

Status CheckKindOptions(const Kind& kind, const AgentSpec& spec) {
  auto knows = [&kind](const std::string& name) {
    return std::find(kind.options.begin(), kind.options.end(), name) != kind.options.end();
  };
  auto wrong = [](const std::string& name, const std::string& reason) {
    return Refusal("kind_options." + name.substr(0, 64), reason);
  };
  const std::string unknown = std::string("kind ") + kind.name + " has no such option";
  if (spec.turns && !knows("turns")) return wrong("turns", unknown);
  for (const auto& [name, value] : spec.kind_options) {
    if (!knows(name)) return wrong(name, unknown);
    if (value != "true" && value != "false") return wrong(name, "must be true or false");
  }
  return {};
}

Status CheckWorkspace(const AgentSpec& spec, const Git& git) {
  if (!spec.workspace) return {};
  const std::string protocol(ProtocolOf(spec.workspace.git));
  if (!git.Allows(protocol)) {
    return Refusal("workspace.git", "the daemon does not allow the protocol " + protocol +
                                        "; `reeve serve --workspace-protocol " + protocol + "` does");
  }
  if (Git::Program().empty()) {
    return Refusal("workspace", "git is not installed where the daemon runs; to install: apt install git");
  }
  return {};
}

Status CheckProgram(const Kind& kind, const AgentSpec& spec) {
  const std::string program = spec.command.empty() ? kind.program : spec.command[0];
  std::string file = program;
  // A relative path starts at the agent's folder. A workspace does not exist yet, so its start will report a
  // missing program.
  if (program.find('/') != std::string::npos && program.front() != '/') {
    if (spec.workspace) return {};
    file.insert(0, (spec.cwd.empty() ? HomeFolder() : spec.cwd) + "/");
  }
  auto path = spec.env.find("PATH");
  const char* inherited = std::getenv("PATH");
  const std::string folders = path != spec.env.end() ? path->second : inherited ? inherited : "";
  if (!FindProgram(file, folders).empty()) return {};
  const std::string why = WhyNotFound(file, folders);
  const bool missing = why == "was not found";
  const std::string hint = missing && kind.install ? std::string("; to install: ") + kind.install : "";
  return Refusal("command", "program " + program + " " + why + hint);
}

}  // namespace

Status CheckKindCan(const Kind& kind, const AgentSpec& spec) {
  auto cannot = [&kind](const char* field, const char* why) {
    return Error{"not_supported", std::string(field) + ": kind " + kind.name + " " + why};
  };
  if (!spec.model.empty() && !kind.can.model) return cannot("model", "does not offer a choice of models");
  if (!spec.system_prompt.empty() && !kind.can.system_prompt) {
    return cannot("system_prompt", "takes no system prompt");
  }
  if (spec.permissions.any() && !kind.can.approve) return cannot("permissions", "asks for no approvals");
  if (!spec.resume.empty() && !kind.can.resume) return cannot("resume", "has no sessions to resume");
  if (spec.mcp && !kind.can.mcp) return cannot("mcp", "starts no MCP servers");
  return {};
}

Status CheckChangedAgent(const Kind& kind, const AgentSpec& before, const AgentSpec& after) {
  if (Status checked = CheckKindCan(kind, after); !checked) return checked;
  if (after.turns != before.turns)
    return Error{"not_supported", "kind_options.turns: cannot be changed after the agent was made"};
  if (Status checked = CheckKindOptions(kind, after); !checked) return checked;
  if (after.command == before.command) return {};
  if (after.command.empty() && !kind.program)
    return Refusal("command", std::string("kind ") + kind.name + " needs a command");
  return CheckProgram(kind, after);
}

Status CheckNewAgent(const AgentSpec& spec, const Git& git) {
  const Kind* kind = FindKind(spec.kind);
  if (!kind) return Refusal("kind", UnknownKind(spec.kind));
  if (spec.command.empty() && !kind->program)
    return Refusal("command", "kind " + spec.kind + " needs a command");
  if (Status checked = CheckKindCan(*kind, spec); !checked) return checked;
  if (Status checked = CheckKindOptions(*kind, spec); !checked) return checked;
  if (Status checked = CheckWorkspace(spec, git); !checked) return checked;
  return CheckProgram(*kind, spec);
}

}  // namespace reeve
