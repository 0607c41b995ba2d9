// `reeve reload`: makes the daemon read its configuration and its tokens again.
#include <memory>
#include <string>

#include "control/cli/commands/commands.h"
#include "control/cli/show/event_words.h"
#include "control/cli/terminal/console.h"
#include "orchestrator/json/json.h"

namespace reeve {

namespace {

std::string Names(const JsonValue& keys) {
  std::string names;
  for (const JsonValue& key : keys.Elements()) AddTo(names, ", ", PlainTextOf(key));
  return names;
}

int Reload(const CommonOptions& options) {
  Console console("reload", options);
  auto client = Client::Find(options.client);
  if (!client) return console.Fail(client.error());
  auto answer = client->AskJson(client->Request("POST", "/reload", "{}"));
  if (!answer) return console.Fail(answer.error());
  if (console.json()) {
    console.Line(answer->root().Raw());
    return kOk;
  }
  const std::string applied = Names((*answer)["applied"]);
  const std::string later = Names((*answer)["needs_restart"]);
  console.Line(applied.empty() ? "no setting has changed" : "changed: " + applied);
  if (!later.empty()) console.Line("changes only with a restart of the daemon: " + later);
  return kOk;
}

}  // namespace

void AddReload(Command root) {
  auto options = std::make_shared<CommonOptions>();
  Command command =
      root.Add("reload", "Let the daemon read its configuration and tokens again (like SIGHUP).");
  AddCommonOptions(command, *options);
  command.Example("reeve reload", "prints which settings have changed");
  command.Action([options] { return Reload(*options); });
}

}  // namespace reeve
