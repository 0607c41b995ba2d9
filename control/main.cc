// reeve: the daemon and its command line. Declares the commands and runs the requested one.
#include <algorithm>
#include <string>
#include <vector>

#include "control/cli/commands/commands.h"
#include "control/cli/line/command_line.h"
#include "control/cli/line/manual.h"
#include "control/cli/terminal/console.h"
#include "orchestrator/handover/handover.h"

namespace reeve {
namespace {

int Main(int argc, char** argv) {
  PrepareOutput();
  const std::string version = "reeve " REEVE_VERSION;
  CommandLine line("Run a fleet of coding agents: supervise them, keep their event logs, stream them live.",
                   version);
  line.root().Details(
      "`reeve serve` runs the daemon, which starts agents and outlives the shell. All other commands talk "
      "to it. An agent is a coding agent such as Claude Code, or any other program. A message makes it "
      "work, and a piece of work is a run.");
  Invocation invocation{ProgramPath(argc > 0 ? argv[0] : ""), {}};
  AddServe(line.root(), invocation);
  AddRun(line.root());
  AddAgents(line.root());
  AddApprovals(line.root());
  AddOpen(line.root());
  AddTicket(line.root());
  AddRpc(line.root());
  AddMcp(line.root());
  AddTop(line.root());
  AddReplay(line.root());
  AddDoctor(line.root());
  AddUpgrade(line.root());
  AddDrain(line.root());
  AddReload(line.root());
  AddCompletion(line.root());
  AddVersion(line.root());
  AddManual(line, version);
  const std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
  invocation.words = Resolve(line.doc(), words).words;
  return FinishOutput(line.Run(words));
}

}  // namespace
}  // namespace reeve

int main(int argc, char** argv) { return reeve::Main(argc, argv); }
