// `reeve agents watch`: waits for agents, shows their events meanwhile on request, prints the outcome and
// exits accordingly. For scripts, and for agents that supervise others: waiting costs no polling.
#include <cstdio>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "control/cli/client/agent_log.h"
#include "control/cli/client/agent_names.h"
#include "control/cli/client/agent_wait.h"
#include "control/cli/client/event_stream.h"
#include "control/cli/commands/agents_commands.h"
#include "control/cli/commands/input.h"
#include "control/cli/show/agent_words.h"
#include "control/cli/show/event_printer.h"
#include "control/cli/terminal/console.h"
#include "orchestrator/config/units.h"
#include "orchestrator/json/json.h"
#include "orchestrator/log/event.h"
#include "process/fd.h"
#include "process/http_client.h"
#include "process/loop.h"

namespace reeve {

namespace {

constexpr int64_t kStateTimeoutMs = 2'000;  // for the request of an agent's state after a timeout
constexpr size_t kMaxFollowed = 50;         // their cursors must fit into the request line

struct WatchOptions : CommonOptions {
  std::vector<std::string> agents;
  std::string until = "terminal";
  std::string message;
  std::string timeout;
  bool follow = false;
  int tail = 0;  // 0: not given
  bool any = false;
  bool all = false;
};

class Watcher {
 public:
  Watcher(Loop& loop, Client client, const WatchOptions& options, int64_t timeout_ms, Console& console)
      : loop_(loop),
        http_(loop),
        client_(std::move(client)),
        options_(options),
        timeout_ms_(timeout_ms),
        console_(console) {}

  // Shows the events after the cursors; without a cursor, those from now on. Must be called before Run.
  void Follow(EventPrinter& printer, const std::vector<std::string>& ids,
              const std::map<std::string, std::string>& cursors) {
    printer_ = &printer;
    EventStream::What what;
    what.agents = ids;
    what.cursors = cursors;
    what.follow = true;
    EventStream::Handlers handlers;
    handlers.on_event = [&printer](const JsonValue& event) { printer.Print(event); };
    handlers.on_gap = [&printer, first = ids.front()](const JsonValue& gap) {
      printer.Gap(std::string(gap["agent"].StringOr(first)), gap);
    };
    handlers.on_pause = [this, &printer] {
      printer.Pause();
      WriteOrExit("");
      for (Watched& one : watched_) Settle(one);
    };
    handlers.on_end = [this](const Result<std::string>& reason) {
      if (!reason) console_.Note("no more events are shown: " + reason.error().message);
      follows_ = false;
      for (Watched& one : watched_) Settle(one);
    };
    stream_ = std::make_unique<EventStream>(loop_, http_, client_, std::move(what), std::move(handlers));
    stream_->Open();
    follows_ = true;
  }

  int Run(const std::vector<std::string>& ids) {
    watched_.reserve(ids.size());
    for (const std::string& id : ids) {
      Watched& one = watched_.emplace_back();
      one.wait = std::make_unique<AgentWait>(
          loop_, http_, client_, AgentWait::Condition{id, options_.until, options_.message, timeout_ms_},
          [this, &one](Result<JsonDocument> answer) { Take(one, std::move(answer)); },
          [this](bool away) { console_.NoteAway(away); });
      one.wait->Begin();
    }
    loop_.Run();
    return code_.value_or(kOk);
  }

 private:
  struct Watched {
    std::unique_ptr<AgentWait> wait;
    std::optional<Result<JsonDocument>> answer;
    uint64_t shown_first = 0;  // the event that must be shown before the outcome
    std::optional<int> code;
  };

  void Take(Watched& one, Result<JsonDocument> answer) {
    if (follows_ && answer) {
      auto agent = Look(one.wait->agent());
      const auto cursor = Cursor::Parse(agent ? (*agent)["cursor"].StringOr("") : "");
      one.shown_first = cursor.value_or(Cursor{}).seq;
    }
    one.answer = std::move(answer);
    Settle(one);
  }

  void Settle(Watched& one) {
    if (code_ || one.code || !one.answer) return;
    const std::string& id = one.wait->agent();
    if (follows_ && Cursor::Parse(stream_->cursor(id)).value_or(Cursor{}).seq < one.shown_first) return;
    if (printer_) printer_->End();
    const Result<JsonDocument>& answer = *one.answer;
    if (answer) {
      one.code = PrintOutcome(id, answer->root());
    } else {
      one.code = answer.error().code == "timed_out" ? PrintTimeout(id) : console_.Fail(answer.error(), id);
    }
    if (options_.any) return Decide(*one.code);
    // The first failure in the order of the arguments.
    int code = kOk;
    for (const Watched& each : watched_) {
      if (!each.code) return;
      if (code == kOk) code = *each.code;
    }
    Decide(code);
  }

  void Decide(int code) {
    code_ = code;
    loop_.Stop();
  }

  int PrintOutcome(const std::string& id, const JsonValue& answer) {
    const bool of_run = options_.until == "terminal";
    const Outcome outcome = of_run ? OutcomeOfRun(answer) : OutcomeOfAgent(answer, options_.until);
    if (!console_.json()) {
      Say(id, outcome.state, outcome.rest);
    } else {
      console_.Line(of_run ? WithAgent(id, answer.Raw()) : answer.Raw());
    }
    return outcome.code;
  }

  int PrintTimeout(const std::string& id) {
    const Error error{"timed_out", "timed out after " + FormatDuration(timeout_ms_)};
    if (console_.json()) return console_.Fail(error, id);
    std::string state = "and the daemon does not answer";
    if (answers_) {
      auto agent = Look(id);
      answers_ = agent.ok();  // do not wait once more for each further agent
      if (agent) state = "still " + Plain((*agent)["state"].StringOr(""));
    }
    Say(id, "timed out", " after " + FormatDuration(timeout_ms_) + ", " + state);
    return kTimedOut;
  }

  [[nodiscard]] Result<JsonDocument> Look(const std::string& id) const {
    HttpRequest look = client_.Request("GET", AgentPath(id));
    look.timeout_ms = kStateTimeoutMs;
    return client_.AskJson(std::move(look));
  }

  void Say(const std::string& id, const std::string& state, const std::string& rest) {
    console_.Line(id + ": " + Paint(console_.colours(), ColourOf(state), state) + rest);
  }

  Loop& loop_;
  HttpClient http_;
  const Client client_;
  const WatchOptions& options_;
  const int64_t timeout_ms_;
  Console& console_;
  std::vector<Watched> watched_;  // in the order of the arguments; never reallocated
  bool answers_ = true;           // the daemon does
  EventPrinter* printer_ = nullptr;
  std::unique_ptr<EventStream> stream_;
  bool follows_ = false;  // the stream is open
  std::optional<int> code_;
};

int WatchAgents(const WatchOptions& options) {
  Console console("agents watch", options);
  int64_t timeout_ms = -1;
  if (!options.timeout.empty()) {
    auto timeout = ReadDuration("--timeout", options.timeout);
    if (!timeout) return console.Fail(timeout.error());
    timeout_ms = *timeout;
  }
  if (!options.message.empty() && options.until != "terminal")
    return console.Fail({"invalid_request", "--message-id needs --until terminal"});
  auto client = Client::Find(options.client);
  if (!client) return console.Fail(client.error());
  std::string about;
  // If one agent does not exist, wait for none.
  auto ids = FindAgents(*client, options.agents, about);
  if (!ids) return console.Fail(ids.error(), about);
  if (!options.message.empty() && ids->size() > 1) {
    return console.Fail(
        {"invalid_request", "--message-id: a message belongs to one agent, and these are several"},
        options.agents.back());
  }
  if (options.follow && ids->size() > kMaxFollowed) {
    return console.Fail({"invalid_request", "--follow: at most " + std::to_string(kMaxFollowed) +
                                                " agents can be followed, and these are " +
                                                std::to_string(ids->size())});
  }
  EventPrinter printer(PrinterOptions(console, *ids, options.follow), [&console](std::string_view text) {
    if (!console.quiet()) WriteOrExit(text, Flush::kNo);
  });
  std::map<std::string, std::string> cursors;
  if (options.tail != 0) {
    AgentLog::Range range;
    range.tail = static_cast<uint64_t>(options.tail);
    if (!console.json()) range.counts = CountsForPeople;
    cursors = PrintPast(*client, *ids, range, printer, console);
    if (!options.follow || console.code() != kOk) {
      printer.End();
      return console.code();
    }
  }
  RaiseDescriptorLimit();  // waiting for an agent takes a connection
  Loop loop;
  Watcher watcher(loop, std::move(*client), options, timeout_ms, console);
  if (options.follow) watcher.Follow(printer, *ids, cursors);
  return watcher.Run(*ids);
}

}  // namespace

void AddAgentsWatch(Command agents) {
  auto options = std::make_shared<WatchOptions>();
  Command command = agents.Add("watch", "Wait for agents, and exit with the code of their runs.");
  command.Details(
      "Prints the outcome of each agent in one line. Exits with 0 if the run completed, with the program's "
      "exit code if it failed (1 if it had none), with 130 if it was cancelled, and with 124 after "
      "--timeout. The command survives a restart of the daemon; if the daemon is away for a minute, it exits "
      "with 69.\n\n"
      "By default the command waits for the run that is open when it starts. If none is open, it prints the "
      "outcome of the last run at once; if there was none, it waits for the first. A message starts another "
      "run: --message-id waits for that run, --until idle for all queued messages.");
  command.Argument("AGENT", options->agents, kAgentsHelp).Required();
  command
      .Option(
          "--until", options->until, "ready|terminal|idle|exited",
          "terminal: the run has ended; idle: so has every queued message; exited: the process has ended "
          "and will not be restarted; ready: the agent accepts messages. With idle and exited, the last run "
          "gives the exit code; with ready, it is 1 if the agent has exited instead")
      .Default("terminal");
  command.Option("--message-id", options->message, "ID",
                 "Wait for the run of this message; wake prints the id");
  command.Option("--timeout", options->timeout, "DURATION", "Give up after this time: 30s, 5m, 1h30m");
  command.Flag("-f,--follow", options->follow, "Show their events meanwhile");
  command.OptionalValue("-n,--tail", options->tail, 20, 1, static_cast<int>(AgentLog::kMaxTail),
                        "Show their last NUMBER events (20), and exit unless --follow continues from there");
  OptionRef any = command.Flag("--any", options->any, "End as soon as one of several agents is done");
  command.Flag("--all", options->all, "Wait for all, and exit with the code of the first failure")
      .Excludes(any);
  AddCommonOptions(command, *options);
  command.Example("if ! reeve watch a1; then reeve logs a1 -n 20; fi", "a script that supervises a job");
  command.Example("reeve watch a1 --message-id $(reeve wake a1 -m 'run the tests')",
                  "sends a message and waits for its run");
  command.Example("reeve watch a1 --tail 5 --follow", "its last events, and new ones until the run ends");
  command.Example("reeve watch team=web --until idle --timeout 1h", "until the whole team is done");
  command.Action([options] { return WatchAgents(*options); });
}

}  // namespace reeve
