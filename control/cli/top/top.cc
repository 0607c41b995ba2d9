// `reeve top`: the town, live, on a whole terminal; or once, as a table.
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
  Status how;
  feed.Look([&how, &loop](const Status& looked) {
    how = looked;
    loop.Stop();
  });
  loop.Run();
  if (!how) return console.Fail(how.error());
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
  auto how = TopApp(loop, *client, console.colours()).Run();
  if (how) return *how;
  if (how.error().code != "no_terminal") return console.Fail(how.error());
  return console.Fail({"invalid_request", how.error().message + "; `reeve top --once` prints a table"});
}

}  // namespace

void AddTop(Command root) {
  auto options = std::make_shared<Options>();
  Command command = root.Add("top", "Watch the town live: what its agents do, and what waits for you.");
  command.Details(
      "A table of all agents on the whole terminal, what waits for a person first. Keys open an agent's "
      "log, allow or deny what it asks, answer its questions, send it a message, interrupt, stop or restart "
      "it; ? lists them. It goes on when the daemon is started again.");
  command.Flag("--once", options->once,
               "Print the table once, and exit; with --json, which implies it, an object a line");
  AddCommonOptions(command, *options);
  command.Example("reeve top", "live; q quits");
  command.Example("reeve top --once", "for a script, or a terminal that cannot be drawn on");
  command.Example("reeve top --json", "an object a line, those that wait for a person first");
  command.Action([options] { return Top(*options); });
}

}  // namespace reeve
