// `reeve agents …` (alias `sessions`): the commands for a daemon's agents, and here the small ones. Agents
// that supervise other agents use them, too; they get server and token from the environment.
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "control/cli/client/agent_names.h"
#include "control/cli/commands/agents_commands.h"
#include "control/cli/commands/commands.h"
#include "control/cli/commands/each_agent.h"
#include "control/cli/show/event_words.h"
#include "orchestrator/config/units.h"
#include "orchestrator/json/json.h"
#include "process/clock.h"

namespace reeve {

namespace {

constexpr std::chrono::milliseconds kPause{100};  // between two requests for something that takes a moment
constexpr int64_t kGiveUpMs = 60'000;

struct OrderOptions : EachAgentOptions {
  // wake
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

// --- wake

Result<std::string> MessageBody(const OrderOptions& options) {
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
  if (!options.at.empty()) {
    auto at = ParseMoment(options.at, SystemClock().WallMs());
    if (!at) return Error{"invalid_request", "--at: " + at.error().message};
    body.Set("run_at", FormatTime(*at));
  }
  return body.Take();
}

// If several commands use the same key, one sends the message, and the others wait for its answer.
Result<JsonDocument> Post(const Client& client, const HttpRequest& request) {
  const SystemClock clock;
  const int64_t give_up_at_ms = clock.MonotonicMs() + kGiveUpMs;
  for (;; std::this_thread::sleep_for(kPause)) {
    auto accepted = client.AskJson(request);
    if (accepted || accepted.error().code != "request_under_way" || clock.MonotonicMs() > give_up_at_ms)
      return accepted;
  }
}

int Wake(const OrderOptions& options) {
  auto body = MessageBody(options);
  if (!body) return Console(options.command, options).Fail(body.error());
  return ForEachAgentOf(options, [&](const Client& client, const std::string& id) -> Result<std::string> {
    HttpRequest request = client.Request("POST", AgentPath(id) + "/message", *body);
    if (!options.dedupe_key.empty()) request.headers.emplace_back("Idempotency-Key", options.dedupe_key);
    auto accepted = Post(client, request);
    if (!accepted) return accepted.error();
    return options.json ? accepted->root().Raw() : PlainTextOf((*accepted)["message_id"]);
  });
}

// --- start, stop, restart, interrupt

int Order(const OrderOptions& options, const std::string& order) {
  JsonObject body;
  if (!options.grace.empty()) {
    auto grace = ReadDuration("--grace", options.grace);
    if (!grace) return Console(options.command, options).Fail(grace.error());
    body.Set("grace_ms", *grace);
  }
  const std::string text = body.Take();
  return ForEachAgentOf(options, [&](const Client& client, const std::string& id) -> Result<std::string> {
    auto answer = client.Ask(client.Request("POST", AgentPath(id) + "/" + order, text));
    if (!answer) return answer.error();
    return options.json ? answer->body : id;
  });
}

// --- rm, prune

// Waits until a deleted agent has no process, and with `purge` until its id is free.
Status AwaitGone(const Client& client, const std::string& id, bool purge) {
  const SystemClock clock;
  const int64_t give_up_at_ms = clock.MonotonicMs() + kGiveUpMs;
  for (;; std::this_thread::sleep_for(kPause)) {
    HttpRequest wait = client.Request("GET", AgentPath(id) + "/wait?until=exited");
    wait.timeout_ms = kGiveUpMs;
    auto answer = client.Call(std::move(wait));
    if (!answer) return answer.error();
    if (answer->status == 404 || (answer->status == 200 && !purge)) return {};
    if (answer->status / 100 != 2) return Client::ErrorOf(*answer);
    if (clock.MonotonicMs() > give_up_at_ms)
      return Error{"timed_out", "it is deleted, but its process has not ended within a minute"};
  }
}

Result<std::string> Remove(const Client& client, const std::string& id, bool purge, bool json) {
  auto answer = client.Ask(client.Request("DELETE", AgentPath(id) + (purge ? "?purge=true" : "")));
  if (!answer) return answer.error();
  if (Status gone = AwaitGone(client, id, purge); !gone) return gone.error();
  return json ? JsonObject().Set("id", id).Take() : id;
}

int Prune(const CommonOptions& options) {
  Console console("agents prune", options);
  auto client = Client::Find(options.client);
  if (!client) return console.Fail(client.error());
  std::vector<std::string> ids;
  Status listed = ForEachAgent(*client, "deleted=true", [&ids](const JsonValue& agent) {
    ids.emplace_back(agent["id"].StringOr(""));
  });
  if (!listed) return console.Fail(listed.error());
  for (const std::string& id : ids) {
    auto line = Remove(*client, id, true, options.json);
    line ? console.Line(*line) : (void)console.Fail(line.error(), id);
  }
  if (ids.empty()) console.Note("there are no deleted agents");
  return console.code();
}

// --- declarations

void AddWake(Command agents) {
  auto [command, options] =
      AddForAgents<OrderOptions>(agents, "wake", "Send a message to agents. Prints its id.");
  command.Alias("send");
  command.Details(
      "An agent whose process has ended is started for it. The message is queued behind the present run, if "
      "there is one.");
  command.Option("-m,--message", options->message, "TEXT", "The text; -: read it from stdin").Required();
  OptionRef delay =
      command.Option("--delay", options->delay, "DURATION", "Deliver it after this time: 30s, 5m, 1h30m");
  command
      .Option(
          "--at", options->at, "TIME",
          "Deliver it then: '2026-01-31 08:00', '2026-01-31T08:00:00+01:00', 'tomorrow 8:00'; a past time: now")
      .Excludes(delay);
  OptionRef steer =
      command.Flag("--steer", options->steer,
                   "Insert it into the present turn if agents of this kind can; else it is next");
  command.Flag("--interrupt", options->interrupt, "Interrupt the present run, then deliver it")
      .Excludes(steer);
  command.Option("--dedupe-key", options->dedupe_key, "KEY",
                 "Accept a message with this key and text once a day; repetitions are ignored");
  AddCommonOptions(command, *options);
  command.Example("reeve wake a1 -m 'and now the tests'",
                  "after the present run, or at once if there is none");
  command.Example("git diff | reeve send reviewer -m -", "the output of another program");
  command.Example("reeve wake team=web -m 'daily report' --dedupe-key $(date +%F)",
                  "from cron: every agent of the team, once a day");
  command.Action([options = options] { return Wake(*options); });
}

Command AddOrder(Command agents, const char* name, const char* summary, const char* example,
                 const char* effect) {
  auto [command, options] = AddForAgents<OrderOptions>(agents, name, summary);
  const std::string order = name;
  if (order == "stop" || order == "restart") {
    command.Option("--grace", options->grace, "DURATION", "Time to exit before their processes are killed")
        .Default("5s");
  }
  AddCommonOptions(command, *options);
  command.Example(example, effect);
  command.Action([options = options, order] { return Order(*options, order); });
  return command;
}

void AddRemoval(Command agents) {
  auto [command, options] =
      AddForAgents<OrderOptions>(agents, "rm", "Stop and delete agents; their logs stay readable.");
  for (const char* alias : {"delete", "remove"}) command.HiddenAlias(alias);
  command.Destroys();
  command.Details(
      "Returns when their processes have ended. A deleted agent keeps its id and its log until it is purged: "
      "by --purge, or with all others by `reeve agents prune`.");
  command.Flag("--purge", options->purge, "Also delete their logs, and free their ids").Destroys();
  AddCommonOptions(command, *options);
  command.Example("reeve rm a1 --purge", "also deletes its log");
  command.Action([options = options] {
    return ForEachAgentOf(*options, [&options](const Client& client, const std::string& id) {
      return Remove(client, id, options->purge, options->json);
    });
  });

  auto common = std::make_shared<CommonOptions>();
  Command prune = agents.Add("prune", "Purge all deleted agents: delete their logs, and free their ids.");
  prune.Destroys();
  AddCommonOptions(prune, *common);
  prune.Example("reeve agents prune", "after a look at `reeve list --deleted`");
  prune.Action([common] { return Prune(*common); });
}

}  // namespace

void AddAgents(Command root) {
  Command agents = root.Add("agents", "List, wake, watch and control the agents of a daemon.");
  agents.Alias("sessions");
  agents.Open();
  agents.Details("The word agents may be omitted: `reeve list` is the same as `reeve agents list`.");
  AddAgentsList(agents);
  AddAgentsStatus(agents);
  AddAgentsWatch(agents);
  AddWake(agents);
  AddAgentsLogs(agents);
  AddAgentsAttach(agents);
  AddOrder(agents, "start", "Start agents, or resume their paused queues.", "reeve start a1 a2",
           "both, if they have exited");
  Command stop = AddOrder(agents, "stop", "Stop agents; `start` starts them again.", "reeve stop team=web",
                          "every agent of the team");
  stop.HiddenAlias("kill");
  stop.Destroys();
  AddOrder(agents, "restart", "Stop agents and start them again.", "reeve restart a1 --grace 30s",
           "it has half a minute to exit")
      .Destroys();
  AddOrder(agents, "interrupt", "Interrupt the present runs of agents, and pause their queues.",
           "reeve interrupt a1", "a coding agent keeps its process; a program gets the signal INT")
      .Destroys();
  AddRemoval(agents);
  AddAgentsSet(agents);
  AddAgentsProcesses(agents);
  AddAgentsQueue(agents);
  AddAgentsFiles(agents);
  AddAgentsExport(agents);
}

}  // namespace reeve
