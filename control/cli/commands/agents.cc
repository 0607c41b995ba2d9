// `reeve agents …` (alias `sessions`): the commands for a daemon's agents. Agents that supervise other agents
// use them, too; they get server and token from the environment.
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "control/cli/client/agent_names.h"
#include "control/cli/commands/agents_commands.h"
#include "control/cli/commands/commands.h"
#include "control/cli/commands/input.h"
#include "control/cli/terminal/console.h"
#include "orchestrator/json/json.h"
#include "process/clock.h"

namespace reeve {

namespace {

struct Options : CommonOptions {
  std::string command;  // "stop"
  std::vector<std::string> agents;
  // wake, send
  std::string message;
  std::string delay;
  std::string at;
  bool steer = false;
  bool interrupt = false;
  std::string dedupe_key;
  // stop, restart
  std::string grace;
  // rm
  bool purge = false;
};

std::string Words(const JsonValue& value) {
  return Plain(value.AsString() ? *value.AsString() : value.Raw());
}

// Acts on one agent; returns the line to print.
using ToOne = std::function<Result<std::string>(const Client& client, const std::string& id)>;

// Acts on all agents that the options name. A failure does not end the command; the first one gives its code.
int ForEach(const Options& options, const ToOne& act) {
  Console console("agents " + options.command, options);
  auto client = Client::Find(options.client);
  if (!client) return console.Fail(client.error());
  int code = kOk;
  auto failed = [&](const Error& error, const std::string& about) {
    const int its = console.Fail(error, about);
    if (code == kOk) code = its;
  };
  std::set<std::string> done;  // two names may mean the same agent
  for (const std::string& name : options.agents) {
    auto ids = FindAgents(*client, name);
    if (!ids) {
      failed(ids.error(), name);
      continue;
    }
    for (const std::string& id : *ids) {
      if (!done.insert(id).second) continue;
      auto line = act(*client, id);
      if (line) {
        console.Line(*line);
      } else {
        failed(line.error(), id);
      }
    }
  }
  return code;
}

// --- status

Result<std::string> Describe(const Options& options, const Client& client, const std::string& id) {
  auto agent = client.AskJson(client.Request("GET", AgentPath(id)));
  if (!agent) return agent.error();
  if (options.json) return agent->root().Raw();
  Table table;
  for (const char* field : {"id",       "title", "kind",        "state",        "reason",
                            "pid",      "run",   "queue_depth", "queue_paused", "pending_approvals",
                            "restarts", "exit",  "started_at",  "exited_at",    "last_event_at",
                            "cursor",   "usage", "cwd",         "model",        "labels"}) {
    const JsonValue value = (*agent)[field];
    if (!value || value.Is(JsonType::kNull) || Words(value).empty() || Words(value) == "{}") continue;
    table.Add({{field}, {Words(value)}});
  }
  std::string text = table.Show(false, 0);
  text.pop_back();
  return text;
}

// --- wake, send

Result<std::string> MessageBody(const Options& options) {
  auto text = ReadText("the message", options.message);
  if (!text) return text.error();
  if (text->empty()) return Error{"invalid_request", "the message is empty"};
  JsonObject body;
  body.Set("text", *text);
  if (options.steer) body.Set("mode", "steer");
  if (options.interrupt) body.Set("mode", "interrupt");
  if (!options.delay.empty()) {
    auto delay = ReadDuration("--delay", options.delay);
    if (!delay) return delay.error();
    body.Set("delay_ms", *delay);
  }
  if (!options.at.empty() && !ParseTime(options.at)) {
    return Error{"invalid_request", "--at: '" + options.at +
                                        "' is not a time such as 2026-01-31T08:00:00+01:00 (RFC 3339); `date "
                                        "-Iseconds -d 'tomorrow 8:00'` prints one"};
  }
  if (!options.at.empty()) body.Set("run_at", options.at);
  return body.Take();
}

int SendMessage(const Options& options) {
  auto body = MessageBody(options);
  if (!body) return Console("agents " + options.command, options).Fail(body.error());
  return ForEach(options, [&](const Client& client, const std::string& id) -> Result<std::string> {
    HttpRequest request = client.Request("POST", AgentPath(id) + "/message", *body);
    if (!options.dedupe_key.empty()) request.headers.emplace_back("Idempotency-Key", options.dedupe_key);
    auto accepted = client.AskJson(std::move(request));
    if (!accepted) return accepted.error();
    return options.json ? accepted->root().Raw() : Words((*accepted)["message_id"]);
  });
}

// --- start, stop, restart, interrupt, rm

int Order(const Options& options) {
  JsonObject body;
  if (!options.grace.empty()) {
    auto grace = ReadDuration("--grace", options.grace);
    if (!grace) return Console("agents " + options.command, options).Fail(grace.error());
    body.Set("grace_ms", *grace);
  }
  const std::string text = body.Take();
  return ForEach(options, [&](const Client& client, const std::string& id) -> Result<std::string> {
    auto answer =
        client.Ask(options.command == "rm"
                       ? client.Request("DELETE", AgentPath(id) + (options.purge ? "?purge=true" : ""))
                       : client.Request("POST", AgentPath(id) + "/" + options.command, text));
    if (!answer) return answer.error();
    if (!options.json) return id;
    return answer->body.empty() ? JsonObject().Set("id", id).Take() : answer->body;
  });
}

// The command, and the options that its action will get.
std::pair<Command, std::shared_ptr<Options>> Add(Command& to, const char* name, const char* summary) {
  auto options = std::make_shared<Options>();
  options->command = name;
  return {to.Add(name, summary), options};
}

void AddMessageOptions(Command& command, Options& options) {
  OptionRef delay =
      command.Option("--delay", options.delay, "DURATION", "Deliver it after this time: 30s, 5m, 1h30m");
  command.Option("--at", options.at, "TIME", "Deliver it at this time: 2026-01-31T08:00:00+01:00 (RFC 3339)")
      .Excludes(delay);
  OptionRef steer = command.Flag("--steer", options.steer,
                                 "Insert it into the present turn if the kind can; else it is next");
  command.Flag("--interrupt", options.interrupt, "Interrupt the present run, then deliver it")
      .Excludes(steer);
  command.Option("--dedupe-key", options.dedupe_key, "KEY",
                 "Accept a message with this key and text once a day; repetitions are ignored");
  AddCommonOptions(command, options);
}

void AddOrder(Command& agents, const char* name, const char* summary, const char* example,
              const char* effect) {
  auto [command, options] = Add(agents, name, summary);
  command.Argument("AGENT", options->agents, kAgentsHelp).Required();
  if (std::string_view(name) == "stop" || std::string_view(name) == "restart") {
    command.Option("--grace", options->grace, "DURATION", "Time to exit before their processes are killed")
        .Default("5s");
  }
  if (std::string_view(name) == "rm") {
    command.Flag("--purge", options->purge, "Also delete their logs, and free their ids");
  }
  AddCommonOptions(command, *options);
  command.Example(example, effect);
  command.Action([options = options] { return Order(*options); });
}

}  // namespace

void AddAgents(Command root) {
  Command agents = root.Add("agents", "List, wake, watch and control the agents of a daemon.");
  agents.Alias("sessions");
  AddAgentsList(agents);
  {
    auto [command, options] = Add(agents, "status", "Show the state of agents in detail.");
    command.Argument("AGENT", options->agents, kAgentsHelp).Required();
    AddCommonOptions(command, *options);
    command.Example("reeve agents status a1 --json", "the whole object of the API");
    command.Action([options = options] {
      return ForEach(*options, [&options](const Client& client, const std::string& id) {
        return Describe(*options, client, id);
      });
    });
  }
  AddAgentsWatch(agents);
  {
    auto [command, options] =
        Add(agents, "wake", "Send a message, and start agents that have exited. Prints its id.");
    command.Argument("AGENT", options->agents, kAgentsHelp).Required();
    command.Option("--message", options->message, "TEXT", "The text; -: read it from stdin").Required();
    AddMessageOptions(command, *options);
    command.Example("reeve agents wake a1 --message 'and now the tests'",
                    "after the present run, or at once if there is none");
    command.Example("reeve agents wake team=web --message 'daily report' --dedupe-key $(date +%F)",
                    "from cron: every agent of the team, once a day");
    command.Action([options = options] { return SendMessage(*options); });
  }
  {
    auto [command, options] = Add(agents, "send", "Send one agent a message. Prints its id.");
    options->agents.resize(1);
    command.Argument("AGENT", options->agents.front(), kAgentsHelp).Required();
    command.Argument("TEXT", options->message, "The text; -: read it from stdin").Required();
    AddMessageOptions(command, *options);
    command.Example("git diff | reeve agents send reviewer -", "the output of another program");
    command.Action([options = options] { return SendMessage(*options); });
  }
  AddAgentsLogs(agents);
  AddAgentsAttach(agents);
  AddOrder(agents, "start", "Start agents, or resume their paused queues.", "reeve agents start a1 a2",
           "both, if they have exited");
  AddOrder(agents, "stop", "Stop agents; `start` starts them again.", "reeve agents stop team=web",
           "every agent of the team");
  AddOrder(agents, "restart", "Stop agents and start them again.", "reeve agents restart a1 --grace 30s",
           "it has half a minute to exit");
  AddOrder(agents, "interrupt", "Interrupt the present runs of agents, and pause their queues.",
           "reeve agents interrupt a1", "its process keeps running");
  AddOrder(agents, "rm", "Stop and delete agents; their logs stay readable.", "reeve agents rm a1 --purge",
           "also deletes its log");
  AddAgentsExport(agents);
}

}  // namespace reeve
