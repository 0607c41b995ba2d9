// `reeve ticket`: a URL that opens a live stream once, for a browser or a colleague without a token.
#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "control/cli/client/agent_names.h"
#include "control/cli/commands/commands.h"
#include "control/cli/commands/input.h"
#include "control/cli/terminal/console.h"
#include "orchestrator/json/json.h"

namespace reeve {

namespace {

struct TicketOptions : CommonOptions {
  std::vector<std::string> agents;
  bool all = false;
  std::string mode;
  std::string ttl;
  std::string after;
};

Error UsageError(const char* message) { return {"invalid_request", message}; }

Result<std::string> BodyOf(const TicketOptions& options, const std::vector<std::string>& ids) {
  JsonObject body;
  if (!options.mode.empty()) body.Set("mode", options.mode);
  if (!options.ttl.empty()) {
    auto ttl = ReadDuration("--ttl", options.ttl);
    if (!ttl) return ttl.error();
    constexpr int64_t kMaxTtlMs = 60'000;
    if (*ttl < 1 || *ttl > kMaxTtlMs)
      return Error{"invalid_request", "--ttl: a ticket is valid for at most 1m, not for " + options.ttl};
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

int Issue(const TicketOptions& options) {
  Console console("ticket", options);
  if (options.all == !options.agents.empty()) return console.Fail(UsageError("name agents, or give --all"));
  auto client = Client::Find(options.client);
  if (!client) return console.Fail(client.error());
  std::string about;
  auto ids = FindAgents(*client, options.agents, about);
  if (!ids) return console.Fail(ids.error(), about);
  // A cursor is a position in the log of one agent.
  if (ids->size() != 1 && !options.after.empty() && (options.all || options.after != "0"))
    return console.Fail(
        UsageError("--after: a cursor belongs to one agent; several agents only accept 0, the oldest event"));
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
    console.Note("the daemon listens on a Unix socket only: open this path at the address of its proxy");
  } else {
    // The URL begins with the daemon's base_path, which only its proxy serves: use the address of the client.
    console.Line(client->web_address() + path + url.substr(std::min(url.find('?'), url.size())));
  }
  return kOk;
}

}  // namespace

void AddTicket(Command root) {
  auto options = std::make_shared<TicketOptions>();
  Command command = root.Add("ticket", "Print a URL that opens the live stream of agents once.");
  command.Details(
      "For a browser or a program that must not get a token. The URL must be opened within a minute; the "
      "stream then stays open. It shows only these agents, and ends when the token of this command does.");
  command.Argument("AGENT", options->agents, kAgentsHelp);
  command.Flag("--all", options->all, "All agents of the daemon, later ones included");
  command.Option("--mode", options->mode, "view|operate", "What the holder may do").Default("view");
  command.Option("--ttl", options->ttl, "DURATION", "Time within which it must be opened; at most 1m")
      .Default("1m");
  command.Option("--after", options->after, "CURSOR", "Begin after this cursor; 0: with the oldest event")
      .Default("now");
  AddCommonOptions(command, *options);
  command.Example("curl -N $(reeve ticket a1 --after 0)", "its past events, and new ones");
  command.Example("reeve ticket --all --ttl 10s --json", "for a program");
  command.Action([options] { return Issue(*options); });
}

}  // namespace reeve
