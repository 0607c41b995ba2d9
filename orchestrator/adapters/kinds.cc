// The table of all kinds. To add one, add a file beside this one and a line here.
#include <algorithm>

#include "orchestrator/adapters/acp/acp.h"
#include "orchestrator/adapters/claude/claude.h"
#include "orchestrator/adapters/codex/codex.h"
#include "orchestrator/adapters/jsonl.h"
#include "orchestrator/adapters/kind.h"
#include "orchestrator/adapters/opencode/opencode.h"
#include "orchestrator/adapters/pi/pi.h"
#include "orchestrator/adapters/process.h"

namespace reeve {

const std::vector<Kind>& Kinds() {
  static const std::vector<Kind> kinds = {
      {.name = "process", .can = {.interrupt = true}, .make = MakeProcessAdapter, .options = {"stdin"}},
      {.name = "jsonl", .can = {.interrupt = true}, .make = MakeJsonlAdapter, .options = {"turns"}},
      {.name = "opencode",
       .can = kOpencodeCan,
       .program = "opencode",
       .install = "npm install -g opencode-ai",
       .make = MakeOpencodeAdapter},
      {.name = "kilo",
       .can = kOpencodeCan,
       .program = "kilo",
       .install = "npm install -g @kilocode/cli",
       .make = MakeKiloAdapter},
      {.name = "claude",
       .can = kClaudeCan,
       .program = "claude",
       .install = "npm install -g @anthropic-ai/claude-code",
       .make = MakeClaudeAdapter},
      {.name = "codex",
       .can = {.turns = true,
               .interrupt = true,
               .steer = true,
               .approve = true,
               .elicit = true,
               .resume = true,
               .model = true,
               .system_prompt = true,
               .mcp = true},
       .program = "codex",
       .install = "npm install -g @openai/codex",
       .make = MakeCodexAdapter},
      {.name = "acp",
       .can = {.turns = true,
               .interrupt = true,
               .approve = true,
               .resume = true,
               .model = true,
               .list_models = true,
               .mcp = true},
       .make = MakeAcpAdapter,
       .options = {"fs", "terminal"}},
      {.name = "pi",
       .can = {.turns = true,
               .interrupt = true,
               .steer = true,
               .elicit = true,
               .resume = true,
               .model = true,
               .list_models = true,
               .system_prompt = true},
       .program = "pi",
       .install = "npm install -g @mariozechner/pi-coding-agent",
       .make = MakePiAdapter},
  };
  return kinds;
}

const Kind* FindKind(std::string_view name) {
  auto found =
      std::find_if(Kinds().begin(), Kinds().end(), [name](const Kind& kind) { return kind.name == name; });
  return found == Kinds().end() ? nullptr : &*found;
}

}  // namespace reeve
