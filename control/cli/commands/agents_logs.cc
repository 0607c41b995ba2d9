// `reeve agents logs`: the events of agents, and with --follow also new ones.
#include <algorithm>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "control/cli/client/agent_log.h"
#include "control/cli/client/agent_names.h"
#include "control/cli/client/event_stream.h"
#include "control/cli/commands/agents_commands.h"
#include "control/cli/commands/input.h"
#include "control/cli/show/event_printer.h"
#include "control/cli/terminal/console.h"
#include "orchestrator/config/units.h"
#include "process/clock.h"
#include "process/loop.h"

namespace reeve {

namespace {

constexpr size_t kAgentsPerStream = 50;  // their cursors must fit into the request line

struct LogsOptions : CommonOptions {
  std::vector<std::string> agents;
  bool follow = false;
  std::string since;
  int tail = 0;
  std::string types;
  bool times = false;
  bool full = false;
};

// A duration before now, "10m", or a time.
Result<int64_t> ParseSince(const std::string& text) {
  const int64_t now_ms = SystemClock().WallMs();
  if (auto ago = ParseDuration(text)) return now_ms - *ago;
  auto time = ParseMoment(text, now_ms);
  if (!time)
    return Error{"invalid_request", "--since: " + time.error().message + ", and no duration such as 10m"};
  return time;
}

class Logs {
 public:
  Logs(const LogsOptions& options, Client client, Console& console, std::vector<std::string> agents)
      : options_(options),
        client_(std::move(client)),
        console_(console),
        agents_(std::move(agents)),
        printer_(Looks(), [](std::string_view text) { WriteOrExit(text, Flush::kNo); }) {}

  int Run(const AgentLog::Range& range) {
    cursors_ = PrintPast(client_, agents_, range, printer_, console_);
    if (options_.follow && !cursors_.empty()) return Follow();
    printer_.End();
    return console_.code();
  }

 private:
  [[nodiscard]] EventPrinter::Options Looks() const {
    EventPrinter::Options looks = PrinterOptions(console_, agents_, options_.follow);
    looks.times = options_.times;
    looks.full = options_.full;
    return looks;
  }

  int Follow() {
    Loop loop;
    HttpClient http(loop);
    int code = kOk;  // of a signal
    loop.OnSignal(SIGINT, [&code, &loop] {
      code = kCancelled;
      loop.Stop();
    });
    std::vector<std::string> agents;  // those whose past could be read
    for (const auto& [agent, cursor] : cursors_) agents.push_back(agent);
    Pause();
    std::vector<std::unique_ptr<EventStream>> streams;
    size_t open = 0;
    for (size_t first = 0; first < agents.size(); first += kAgentsPerStream) {
      EventStream::What what;
      const size_t end = std::min(agents.size(), first + kAgentsPerStream);
      what.agents.assign(agents.begin() + static_cast<ptrdiff_t>(first),
                         agents.begin() + static_cast<ptrdiff_t>(end));
      for (const std::string& agent : what.agents) what.cursors[agent] = cursors_[agent];
      what.types = options_.types;
      what.follow = true;
      EventStream::Handlers handlers;
      handlers.on_event = [this](const JsonValue& event) { printer_.Print(event); };
      handlers.on_gap = [this, one = what.agents.front()](const JsonValue& gap) {
        printer_.Gap(std::string(gap["agent"].StringOr(one)), gap);
      };
      handlers.on_pause = [this] { Pause(); };
      handlers.on_end = [this, &loop, &open](const Result<std::string>& reason) {
        Pause();
        if (!reason) console_.Fail(reason.error());
        if (--open == 0) loop.Stop();
      };
      handlers.on_away = [this](bool away) { console_.NoteAway(away); };
      streams.push_back(std::make_unique<EventStream>(loop, http, client_, std::move(what), handlers));
      ++open;
    }
    for (const auto& stream : streams) stream->Open();
    loop.Run();
    printer_.End();
    return code != kOk ? code : console_.code();
  }

  void Pause() {
    printer_.Pause();
    WriteOrExit("");
  }

  const LogsOptions& options_;
  const Client client_;
  Console& console_;
  const std::vector<std::string> agents_;
  EventPrinter printer_;
  std::map<std::string, std::string> cursors_;
};

int RunLogs(const LogsOptions& options) {
  Console console("agents logs", options);
  AgentLog::Range range;
  range.tail = static_cast<uint64_t>(options.tail);
  range.types = options.types;
  if (!options.json) range.counts = CountsForPeople;
  if (!options.since.empty()) {
    auto since = ParseSince(options.since);
    if (!since) return console.Fail(since.error());
    range.since_ms = *since;
  }
  auto client = Client::Find(options.client);
  if (!client) return console.Fail(client.error());
  std::vector<std::string> agents = FindAgents(*client, options.agents, console);
  if (agents.empty()) return console.code();
  return Logs(options, std::move(*client), console, std::move(agents)).Run(range);
}

}  // namespace

void AddAgentsLogs(Command agents) {
  auto options = std::make_shared<LogsOptions>();
  Command command = agents.Add("logs", "Print the event logs of agents in readable form.");
  command.Details(
      "Begins with the oldest event that is kept; the events of several agents are merged by time. The logs "
      "of deleted agents can be read until they are purged. With --follow the command continues across "
      "restarts of the daemon, until all agents are deleted or Ctrl-C ends it (exit code 130).");
  command.Argument("AGENT", options->agents, kAgentsHelp).Required();
  command.Flag("-f,--follow", options->follow, "Continue with new events");
  command
      .Option("--since", options->since, "TIME",
              "Only events since then: 10m, yesterday, '2026-01-31 08:00', @1769846400")
      .Default("all that is kept");
  command
      .Option("-n,--tail", options->tail, 1, static_cast<int>(AgentLog::kMaxTail),
              "Only the last NUMBER events of each agent")
      .Default("all");
  command.Option("--types", options->types, "TYPES", "Only these events: run.*,tool.failed").Default("all");
  command.Flag("-t,--times", options->times, "Begin each line with its time");
  command.Flag("--full", options->full, "Fold nothing: print whole outputs, edits and lines");
  AddCommonOptions(command, *options);
  command.Example("reeve logs a1", "the whole log");
  command.Example("reeve logs team=web -f -n 20", "the last events of each agent of the team, and new ones");
  command.Example("reeve logs a1 --since 10m --types 'tool.*,run.*' --json", "for a program");
  command.Action([options] { return RunLogs(*options); });
}

}  // namespace reeve
