// `reeve agents …` (alias `sessions`): what commands a daemon's agents. Also for agents that look after
// agents: server and token come by the environment.
#include <cstdio>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "control/cli/client/agent_names.h"
#include "control/cli/commands/agents_commands.h"
#include "control/cli/commands/commands.h"
#include "control/cli/terminal/console.h"
#include "orchestrator/config/units.h"
#include "orchestrator/json/json.h"
#include "process/clock.h"

namespace reeve {

namespace {

// The body of a message; the daemon's limit is about that too.
constexpr size_t kMaxMessageBytes = size_t{1} << 20;

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

// What a command does to one agent. Returns what it prints.
using ToOne = std::function<Result<std::string>(const Client& client, const std::string& id)>;

// To all that are named, going on after a failure; the first one's code is the exit code.
int ForEach(const Options& options, const ToOne& act) {
  Console console("agents " + options.command, options);
  auto client = Client::Find(options.client);
  if (!client) return console.Fail(client.error());
  int code = kOk;
  auto failed = [&](const Error& error, const std::string& about) {
    const int its = console.Fail(error, about);
    if (code == kOk) code = its;
  };
  std::set<std::string> done;  // one that is named twice is told once
  for (const std::string& name : options.agents) {
    auto ids = FindAgents(*client, name);
    if (!ids) {
      failed(ids.error(), name);
      continue;
    }
    for (const std::string& id : *ids) {
      if (!done.insert(id).second) continue;
      auto said = act(*client, id);
      if (said) {
        console.Line(*said);
      } else {
        failed(said.error(), id);
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

// All of stdin; nothing when it is more than a message may hold.
std::optional<std::string> ReadInput() {
  std::string text;
  char piece[65536];
  while (const size_t got = std::fread(piece, 1, sizeof piece, stdin)) {
    text.append(piece, got);
    if (text.size() > kMaxMessageBytes) return std::nullopt;
  }
  return text;
}

Result<std::string> MessageBody(const Options& options) {
  std::string text = options.message;
  if (text == "-") {
    auto input = ReadInput();
    if (!input) return Error{"invalid_request", "the message: more than 1 MiB on stdin"};
    text = std::move(*input);
  }
  if (text.empty()) return Error{"invalid_request", "the message is empty"};
  JsonObject body;
  body.Set("text", text);
  if (options.steer) body.Set("mode", "steer");
  if (options.interrupt) body.Set("mode", "interrupt");
  if (!options.delay.empty()) {
    auto delay = ParseDuration(options.delay);
    if (!delay) return Error{"invalid_request", "--delay: " + delay.error().message};
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
    auto grace = ParseDuration(options.grace);
    if (!grace) {
      return Console("agents " + options.command, options)
          .Fail({"invalid_request", "--grace: " + grace.error().message});
    }
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

constexpr const char* kAgentHelp = "An id, a title, or key=value: all with that label";

// A command of its own options.
std::pair<Command, std::shared_ptr<Options>> Add(Command& to, const char* name, const char* summary) {
  auto options = std::make_shared<Options>();
  options->command = name;
  return {to.Add(name, summary), options};
}

void AddMessageOptions(Command& command, Options& options) {
  OptionRef delay =
      command.Option("--delay", options.delay, "DURATION", "Not before so long has passed: 30s, 5m, 1h30m");
  command.Option("--at", options.at, "TIME", "Not before then: 2026-01-31T08:00:00+01:00 (RFC 3339)")
      .Excludes(delay);
  OptionRef steer =
      command.Flag("--steer", options.steer, "Into the present turn, where the kind can; else it comes next");
  command.Flag("--interrupt", options.interrupt, "End the present run, then start this one").Excludes(steer);
  command.Option("--dedupe-key", options.dedupe_key, "KEY",
                 "The same key and message again, within a day, are one message");
  AddCommonOptions(command, options);
}

void AddOrder(Command& agents, const char* name, const char* summary, const char* example,
              const char* effect) {
  auto [command, options] = Add(agents, name, summary);
  command.Argument("AGENT", options->agents, kAgentHelp).Required();
  if (std::string_view(name) == "stop" || std::string_view(name) == "restart") {
    command.Option("--grace", options->grace, "DURATION", "What they get to end by themselves").Default("5s");
  }
  if (std::string_view(name) == "rm") {
    command.Flag("--purge", options->purge, "Their logs and ids go, too");
  }
  AddCommonOptions(command, *options);
  command.Example(example, effect);
  command.Action([options = options] { return Order(*options); });
}

}  // namespace

void AddAgents(Command root) {
  Command agents = root.Add("agents", "List, wake, watch and otherwise command a daemon's agents.");
  agents.Alias("sessions");
  AddAgentsList(agents);
  {
    auto [command, options] = Add(agents, "status", "What an agent is and does.");
    command.Argument("AGENT", options->agents, kAgentHelp).Required();
    AddCommonOptions(command, *options);
    command.Example("reeve agents status a1 --json", "all of it, as the API has it");
    command.Action([options = options] {
      return ForEach(*options, [&options](const Client& client, const std::string& id) {
        return Describe(*options, client, id);
      });
    });
  }
  AddAgentsWatch(agents);
  {
    auto [command, options] =
        Add(agents, "wake", "Send a message, which wakes an agent that has ended. Prints its id.");
    command.Argument("AGENT", options->agents, kAgentHelp).Required();
    command.Option("--message", options->message, "TEXT", "What to say; -: what stdin says").Required();
    AddMessageOptions(command, *options);
    command.Example("reeve agents wake a1 --message 'and now the tests'",
                    "after what it does at present; at once if it sleeps");
    command.Example("reeve agents wake team=web --message 'daily report' --dedupe-key $(date +%F)",
                    "from cron: every agent of the team, once a day");
    command.Action([options = options] { return SendMessage(*options); });
  }
  {
    auto [command, options] = Add(agents, "send", "Send one agent a message. Prints its id.");
    options->agents.resize(1);
    command.Argument("AGENT", options->agents.front(), kAgentHelp).Required();
    command.Argument("TEXT", options->message, "What to say; -: what stdin says").Required();
    AddMessageOptions(command, *options);
    command.Example("git diff | reeve agents send reviewer -", "what another program prints");
    command.Action([options = options] { return SendMessage(*options); });
  }
  AddAgentsLogs(agents);
  AddAgentsAttach(agents);
  AddOrder(agents, "start", "Start agents, or let a paused queue go on.", "reeve agents start a1 a2",
           "both, if they have ended");
  AddOrder(agents, "stop", "Stop agents. They stay, and can be started.", "reeve agents stop team=web",
           "all of the team");
  AddOrder(agents, "restart", "Stop agents and start them again.", "reeve agents restart a1 --grace 30s",
           "it gets half a minute to end");
  AddOrder(agents, "interrupt", "End agents' present runs, not the agents.", "reeve agents interrupt a1",
           "what waits in its queue is paused");
  AddOrder(agents, "rm", "Stop agents and forget them; their logs stay readable.",
           "reeve agents rm a1 --purge", "nothing is left of it");
  AddAgentsExport(agents);
}

}  // namespace reeve
