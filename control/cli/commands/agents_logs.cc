// `reeve agents logs`: what agents did, and with --follow what they do.
#include <algorithm>
#include <csignal>
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
#include "control/cli/show/event_printer.h"
#include "control/cli/terminal/console.h"
#include "orchestrator/config/units.h"
#include "process/clock.h"
#include "process/loop.h"

namespace reeve {

namespace {

constexpr size_t kAgentsOfAStream = 50;  // with their cursors they fit into a request's first line

struct LogsOptions : CommonOptions {
  std::vector<std::string> agents;
  bool follow = false;
  std::string since;
  int tail = 0;
  std::string types;
  bool times = false;
};

// "10m": so long ago; or a time.
Result<int64_t> ParseSince(const std::string& text) {
  if (auto ago = ParseDuration(text)) return SystemClock().WallMs() - *ago;
  if (auto time = ParseTime(text)) return *time;
  return Error{"invalid_request", "--since " + text + ": 10m, 2h, or a time as 2026-01-31T08:00:00Z"};
}

class Logs {
 public:
  Logs(const LogsOptions& options, Client client, Console& console, std::vector<std::string> agents)
      : options_(options),
        client_(std::move(client)),
        console_(console),
        agents_(std::move(agents)),
        printer_(Looks(), [](std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }) {}

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
    EventPrinter::Options looks;
    looks.json = options_.json;
    looks.colours = console_.colours();
    looks.names = agents_.size() > 1;
    for (const std::string& agent : agents_) looks.name_width = std::max(looks.name_width, agent.size());
    looks.times = options_.times;
    looks.live = options_.follow && console_.columns() != 0;
    looks.columns = console_.columns();
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
    for (size_t first = 0; first < agents_.size(); first += kAgentsOfAStream) {
      EventStream::What what;
      const size_t end = std::min(agents_.size(), first + kAgentsOfAStream);
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
    std::fflush(stdout);
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
  Command command = agents.Add("logs", "What agents did, and do: their event logs, as a person reads them.");
  command.Details(
      "From the oldest event that is kept; those of several agents in the order of their times. Also of "
      "agents that were deleted, until they are purged. With --follow it goes on until all of them are "
      "deleted, across restarts of the daemon, or until Ctrl-C: 130.");
  command.Argument("AGENT", options->agents, "An id, a title, or key=value: all with that label").Required();
  command.Flag("-f,--follow", options->follow, "Go on with what happens from now on");
  command.Option("--since", options->since, "TIME", "Nothing older: 10m, 2h, 2026-01-31T08:00:00Z")
      .Default("all that is kept");
  command
      .Option("--tail", options->tail, 1, static_cast<int>(AgentLog::kMaxTail),
              "Of what there is, the last so many events of each agent only")
      .Default("all");
  command.Option("--types", options->types, "TYPES", "Only these events: run.*,tool.failed").Default("all");
  command.Flag("-t,--times", options->times, "Begin each line with its time");
  AddCommonOptions(command, *options);
  command.Example("reeve agents logs a1", "all it did");
  command.Example("reeve agents logs team=web -f --tail 20",
                  "the last of each agent of the team, and what comes");
  command.Example("reeve agents logs a1 --since 10m --types 'tool.*,run.*' --json", "for a program to read");
  command.Action([options] { return RunLogs(*options); });
}

}  // namespace reeve
