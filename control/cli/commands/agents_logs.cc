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
};

// A duration before now, "10m", or a time.
Result<int64_t> ParseSince(const std::string& text) {
  if (auto ago = ParseDuration(text)) return SystemClock().WallMs() - *ago;
  if (auto time = ParseTime(text)) return *time;
  return Error{"invalid_request",
               "--since " + text + ": expected 10m, 2h, or a time such as 2026-01-31T08:00:00Z"};
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
    auto past = PrintPast(client_, agents_, range, printer_);
    if (!past) return console_.Fail(past.error());
    cursors_ = std::move(*past);
    if (options_.follow) return Follow();
    printer_.End();
    return kOk;
  }

 private:
  [[nodiscard]] EventPrinter::Options Looks() const {
    EventPrinter::Options looks = PrinterOptions(console_, agents_, options_.follow);
    looks.times = options_.times;
    return looks;
  }

  int Follow() {
    Loop loop;
    HttpClient http(loop);
    loop.OnSignal(SIGINT, [this, &loop] {
      code_ = kCancelled;
      loop.Stop();
    });
    Pause();
    std::vector<std::unique_ptr<EventStream>> streams;
    size_t open = 0;
    for (size_t first = 0; first < agents_.size(); first += kAgentsPerStream) {
      EventStream::What what;
      const size_t end = std::min(agents_.size(), first + kAgentsPerStream);
      what.agents.assign(agents_.begin() + static_cast<ptrdiff_t>(first),
                         agents_.begin() + static_cast<ptrdiff_t>(end));
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
        if (!reason) code_ = console_.Fail(reason.error());
        if (--open == 0) loop.Stop();
      };
      streams.push_back(std::make_unique<EventStream>(loop, http, client_, std::move(what), handlers));
      ++open;
    }
    for (const auto& stream : streams) stream->Open();
    loop.Run();
    printer_.End();
    return code_;
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
  int code_ = kOk;
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
  std::string about;
  auto agents = FindAgents(*client, options.agents, about);
  if (!agents) return console.Fail(agents.error(), about);
  return Logs(options, std::move(*client), console, std::move(*agents)).Run(range);
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
  command.Option("--since", options->since, "TIME", "Only events since then: 10m, 2h, 2026-01-31T08:00:00Z")
      .Default("all that is kept");
  command
      .Option("--tail", options->tail, 1, static_cast<int>(AgentLog::kMaxTail),
              "Only the last NUMBER events of each agent")
      .Default("all");
  command.Option("--types", options->types, "TYPES", "Only these events: run.*,tool.failed").Default("all");
  command.Flag("-t,--times", options->times, "Begin each line with its time");
  AddCommonOptions(command, *options);
  command.Example("reeve agents logs a1", "the whole log");
  command.Example("reeve agents logs team=web -f --tail 20",
                  "the last events of each agent of the team, and new ones");
  command.Example("reeve agents logs a1 --since 10m --types 'tool.*,run.*' --json", "for a program");
  command.Action([options] { return RunLogs(*options); });
}

}  // namespace reeve
