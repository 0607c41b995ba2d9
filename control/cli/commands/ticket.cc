// `reeve ticket`: a URL that opens a live stream once, for whoever has no token: a browser, a colleague.
#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "control/cli/client/agent_names.h"
#include "control/cli/commands/commands.h"
#include "control/cli/terminal/console.h"
#include "orchestrator/config/units.h"
#include "orchestrator/json/json.h"

namespace reeve {

namespace {

struct Options : CommonOptions {
  std::vector<std::string> agents;
  bool all = false;
  std::string mode;
  std::string ttl;
  std::string after;
};

Error Usage(const char* what) { return {"invalid_request", what}; }

Result<std::string> BodyOf(const Options& options, const std::vector<std::string>& ids) {
  JsonObject body;
  if (!options.mode.empty()) body.Set("mode", options.mode);
  if (!options.ttl.empty()) {
    auto ttl = ParseDuration(options.ttl);
    if (!ttl) return Error{"invalid_request", "--ttl: " + ttl.error().message};
    body.Set("ttl_ms", *ttl);
  }
  if (ids.size() == 1) {
    if (!options.after.empty()) body.Set("after", options.after);
    return body.Take();
  }
  if (options.all) {
    body.Set("agents", "*");
    return body.Take();
  }
  JsonArray agents;
  JsonObject after;
  for (const std::string& id : ids) {
    agents.Add(id);
    if (!options.after.empty()) after.Set(id, options.after);
  }
  body.SetRaw("agents", agents.Take());
  if (!after.empty()) body.SetRaw("after", after.Take());
  return body.Take();
}

int Issue(const Options& options) {
  Console console("ticket", options);
  if (options.all == !options.agents.empty()) return console.Fail(Usage("name agents, or --all of them"));
  auto client = Client::Find(options.client);
  if (!client) return console.Fail(client.error());
  std::string about;
  auto ids = FindAgents(*client, options.agents, about);
  if (!ids) return console.Fail(ids.error(), about);
  // A cursor is a place in one agent's log.
  if (ids->size() != 1 && !options.after.empty() && (options.all || options.after != "0"))
    return console.Fail(Usage("--after: a cursor is of one agent; for several, only 0: from the oldest"));
  auto body = BodyOf(options, *ids);
  if (!body) return console.Fail(body.error());
  const std::string path = ids->size() == 1 ? AgentPath(ids->front()) + "/stream" : "/stream";
  auto answer = client->AskJson(
      client->Request("POST", ids->size() == 1 ? path + "-ticket" : "/stream-ticket", std::move(*body)));
  if (!answer) return console.Fail(answer.error());
  const std::string url((*answer)["url"].StringOr(""));
  if (console.json()) {
    console.Line(answer->root().Raw());
  } else if (client->web_address().empty()) {
    console.Line(url);
    console.Note("the daemon listens on a Unix socket: open this at the address of what serves it");
  } else {
    // As we reach the API: url begins with the daemon's base_path, which only its proxy knows.
    console.Line(client->web_address() + path + url.substr(std::min(url.find('?'), url.size())));
  }
  return kOk;
}

}  // namespace

void AddTicket(Command root) {
  auto options = std::make_shared<Options>();
  Command command = root.Add("ticket", "Print a URL that opens agents' live stream, once.");
  command.Details(
      "For a browser or a program that is to have no token. Good for a minute at most; once opened, the "
      "stream stays. It is bound to these agents and ends with the token that it was asked for with.");
  command.Argument("AGENT", options->agents, "An id, a title, or key=value: all with that label");
  command.Flag("--all", options->all, "The whole town, agents that come later too");
  command.Option("--mode", options->mode, "view|operate", "What may be done with it").Default("view");
  command.Option("--ttl", options->ttl, "DURATION", "Until when it must be opened; a minute at most")
      .Default("1m");
  command.Option("--after", options->after, "CURSOR", "Where the stream begins; 0: with the oldest event")
      .Default("now");
  AddCommonOptions(command, *options);
  command.Example("curl -N $(reeve ticket a1 --after 0)", "all that it did, and what it does");
  command.Example("reeve ticket --all --ttl 10s --json", "for a program that opens it at once");
  command.Action([options] { return Issue(*options); });
}

}  // namespace reeve
