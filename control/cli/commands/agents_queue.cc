// `reeve agents queue …` and `reeve agents runs`: the messages that wait for an agent, and the runs that it
// had.
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "control/cli/client/agent_names.h"
#include "control/cli/commands/agents_commands.h"
#include "control/cli/commands/each_agent.h"
#include "control/cli/show/agent_state.h"
#include "control/cli/show/agent_words.h"
#include "control/cli/show/event_words.h"
#include "process/clock.h"

namespace reeve {

namespace {

constexpr size_t kMaxText = 200;  // columns of a message
constexpr int kMaxRuns = 1'000;   // as many as are kept

std::string FirstLine(const JsonValue& text) {
  const auto lines = SplitLines(text.StringOr(""));
  return lines.empty() ? "" : Fit(Plain(lines.front()) + (lines.size() > 1 ? " …" : ""), kMaxText);
}

// --- queue

int ListQueue(const EachAgentOptions& options) {
  const Console console(options.command, options);
  return ForEachAgentOf(options, [&](const Client& client, const std::string& id) -> Result<std::string> {
    auto queue = client.AskJson(client.Request("GET", AgentPath(id) + "/queue"));
    if (!queue) return queue.error();
    const std::vector<JsonValue> messages = (*queue)["messages"].Elements();
    if (messages.empty()) console.Note(id + ": no message waits");
    if (!messages.empty() && (*queue)["paused"].AsBool().value_or(false))
      console.Note(id + ": the queue is paused; `reeve start " + id + "` ends the pause");
    const int64_t now_ms = SystemClock().WallMs();
    console.Rows(
        messages, {"MESSAGE", "STATE", "MODE", "DUE", "TEXT"},
        [now_ms](const JsonValue& message) -> std::vector<Table::Cell> {
          const int64_t due_ms = WallMsOf(message["run_at"]);
          const bool later = due_ms > now_ms;
          return {{PlainTextOf(message["message_id"])},
                  {later ? "scheduled" : PlainTextOf(message["state"])},
                  {PlainTextOf(message["mode"])},
                  {later ? "in " + DurationWords(due_ms - now_ms) : "now"},
                  {FirstLine(message["text"])}};
        },
        id);
    return std::string();
  });
}

struct CancelOptions : CommonOptions {
  std::string agent;
  std::vector<std::string> messages;
};

int Cancel(const CancelOptions& options) {
  Console console("agents queue cancel", options);
  auto client = Client::Find(options.client);
  if (!client) return console.Fail(client.error());
  auto id = FindAgent(*client, options.agent);
  if (!id) return console.Fail(id.error(), options.agent);
  for (const std::string& message : options.messages) {
    auto answer = client->Ask(client->Request("DELETE", AgentPath(*id) + "/queue/" + PercentEncode(message)));
    if (!answer) {
      console.Fail(answer.error(), message);
    } else {
      console.Line(options.json ? JsonObject().Set("message_id", message).Take() : Plain(message));
    }
  }
  return console.code();
}

void AddQueue(Command agents) {
  Command queue = agents.Add("queue", "List or cancel the messages that wait for agents.");
  auto [list, options] = AddForAgents<EachAgentOptions>(
      queue, "list",
      "List the waiting messages: first the due ones, in their order, then the scheduled ones.");
  AddCommonOptions(list, *options);
  list.Example("reeve queue list a1", "with the id of each message");
  list.Action([options = options] { return ListQueue(*options); });

  auto cancelled = std::make_shared<CancelOptions>();
  Command cancel = queue.Add("cancel", "Withdraw messages that have not begun.");
  cancel.Destroys();
  cancel.Argument("AGENT", cancelled->agent, "An id, a title, or key=value for a label").Required();
  cancel.Argument("MESSAGE", cancelled->messages, "Its id, which `wake` and `queue list` print").Required();
  AddCommonOptions(cancel, *cancelled);
  cancel.Example("reeve queue cancel a1 $(reeve wake a1 -m 'never mind' --delay 1d)", "a scheduled one");
  cancel.Action([cancelled] { return Cancel(*cancelled); });
}

// --- runs

struct RunsOptions : EachAgentOptions {
  int tail = 20;
};

int ListRuns(const RunsOptions& options) {
  const Console console(options.command, options);
  return ForEachAgentOf(options, [&](const Client& client, const std::string& id) -> Result<std::string> {
    auto page =
        client.AskJson(client.Request("GET", AgentPath(id) + "/runs?limit=" + std::to_string(options.tail)));
    if (!page) return page.error();
    std::vector<JsonValue> runs = (*page)["runs"].Elements();
    std::reverse(runs.begin(), runs.end());  // the newest last, where a terminal's prompt is
    if (runs.empty()) console.Note(id + ": no run has ended yet");
    console.Rows(
        runs, {"RUN", "STATUS", "STARTED", "TOOK", "USED", "REASON"},
        [](const JsonValue& run) -> std::vector<Table::Cell> {
          const std::string status = PlainTextOf(run["status"]);
          const auto lasted = run["duration_ms"].AsInt();
          const Outcome outcome = OutcomeOfRun(run);
          const std::string why = PlainTextOf(run["error"]["message"]);
          return {{PlainTextOf(run["run_id"])},
                  {status, ColourOf(status)},
                  {PlainTextOf(run["started_at"])},
                  {lasted ? DurationWords(*lasted) : ""},
                  {UsageWords(run["usage"])},
                  {status == "failed" ? JoinWords({why, "exit code " + std::to_string(outcome.code)}) : ""}};
        },
        id);
    return std::string();
  });
}

void AddRuns(Command agents) {
  auto [command, options] =
      AddForAgents<RunsOptions>(agents, "runs", "List the ended runs of agents, the newest last.");
  command.Option("-n,--tail", options->tail, 1, kMaxRuns, "The last NUMBER runs").Default("20");
  AddCommonOptions(command, *options);
  command.Example("reeve runs a1", "how each ended, and why");
  command.Example("reeve runs a1 -n 1 --json", "the last one, for a program");
  command.Action([options = options] { return ListRuns(*options); });
}

}  // namespace

void AddAgentsQueue(Command agents) {
  AddQueue(agents);
  AddRuns(agents);
}

}  // namespace reeve
