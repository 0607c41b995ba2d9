// `reeve top`: the town, live on the whole terminal or once as a table.
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "control/cli/client/agent_names.h"
#include "control/cli/commands/commands.h"
#include "control/cli/terminal/console.h"
#include "control/cli/top/top_app.h"
#include "process/loop.h"

namespace reeve {

namespace {

struct Options : CommonOptions {
  bool once = false;
};

int Once(const Options& options, const Client& client, Console& console) {
  Loop loop;
  HttpClient http(loop);
  TopModel model;
  TopTown town;
  TopFeed feed(loop, http, client, model, town, {[] {}, [](const Error&) {}, [](const Error&) {}});
  Status looked;
  feed.Look([&looked, &loop](const Status& status) {
    looked = status;
    loop.Stop();
  });
  loop.Run();
  if (!looked) return console.Fail(looked.error());
  if (!options.json) {
    std::string text =
        TopView::Table(model, town, console.colours(), console.columns(), SystemClock().WallMs());
    text.pop_back();
    console.Line(text);
    return kOk;
  }
  for (const TopAgent* agent : model.Rows()) console.Line(TopView::Json(*agent));
  return kOk;
}

int Top(const Options& options) {
  Console console("top", options);
  auto client = Client::Find(options.client);
  if (!client) return console.Fail(client.error());
  if (options.once || options.json) return Once(options, *client, console);
  Loop loop;
  auto code = TopApp(loop, *client, console.colours()).Run();
  if (code) return *code;
  if (code.error().code != "no_terminal") return console.Fail(code.error());
  return console.Fail({"invalid_request", code.error().message + "; `reeve top --once` prints a table"});
}

}  // namespace

void AddTop(Command root) {
  auto options = std::make_shared<Options>();
  Command command = root.Add("top", "Watch all agents live, and answer their requests.");
  command.Details(
      "A table of all agents fills the terminal. Agents that wait for a person come first. Keys open an "
      "agent's log, allow or deny its request, answer its question, send it a message, and interrupt, stop "
      "or restart it; ? lists the keys. The command reconnects when the daemon restarts.");
  command.Flag("--once", options->once, "Print the table once and exit; --json implies it");
  AddCommonOptions(command, *options);
  command.Example("reeve top", "live; q quits");
  command.Example("reeve top --once", "for a script, or a terminal without cursor movement");
  command.Example("reeve top --json", "one JSON object per agent");
  command.Action([options] { return Top(*options); });
}

}  // namespace reeve
