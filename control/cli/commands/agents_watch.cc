// `reeve agents watch`: waits for agents, shows what they do meanwhile if that is wanted, says what came of
// them and exits as they did. For a script's `if`, and for agents that supervise others: it sleeps until the
// daemon answers.
#include <algorithm>
#include <charconv>
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

constexpr int64_t kLookMs = 2'000;  // at what an agent does when the waiting is over
// What one follows at a time: with their cursors they fit into a request's first line.
constexpr size_t kMaxFollowed = 50;

struct Options : CommonOptions {
  std::vector<std::string> agents;
  std::string until = "terminal";
  std::string message;
  std::string timeout;
  bool follow = false;
  std::string tail;  // a number; empty: it was not given
  bool any = false;
  bool all = false;
};

EventPrinter::Options Looks(const Console& console, const std::vector<std::string>& ids, bool follow) {
  EventPrinter::Options looks;
  looks.json = console.json();
  looks.colours = console.colours();
  looks.names = ids.size() > 1;
  for (const std::string& id : ids) looks.name_width = std::max(looks.name_width, id.size());
  looks.live = follow && console.columns() != 0;
  looks.columns = console.columns();
  return looks;
}

class Watcher {
 public:
  Watcher(Loop& loop, Client client, const Options& options, int64_t timeout_ms, Console& console)
      : loop_(loop),
        http_(loop),
        client_(std::move(client)),
        options_(options),
        timeout_ms_(timeout_ms),
        console_(console) {}

  // Before Run: from where what they do is shown; of an agent that is not among the cursors from now on.
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
      std::fflush(stdout);
      for (Watched& one : watched_) Settle(one);
    };
    handlers.on_end = [this](const Result<std::string>& reason) {
      if (!reason) console_.Note("nothing more is shown: " + reason.error().message);
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
          [this, &one](Result<JsonDocument> answer) { Take(one, std::move(answer)); });
      one.wait->Begin();
    }
    loop_.Run();
    return code_.value_or(kOk);
  }

 private:
  struct Watched {
    std::unique_ptr<AgentWait> wait;
    std::optional<Result<JsonDocument>> answer;
    uint64_t shown_first = 0;  // the number of the event that is to be shown before that is told
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
    if (code_ || one.code || !one.answer) return;  // or another one has decided
    const std::string& id = one.wait->agent();
    if (follows_ && Cursor::Parse(stream_->cursor(id)).value_or(Cursor{}).seq < one.shown_first) return;
    if (printer_) printer_->End();
    const Result<JsonDocument>& answer = *one.answer;
    if (answer) {
      one.code = Tell(id, answer->root());
    } else {
      one.code = answer.error().code == "timed_out" ? TellTimeout(id) : console_.Fail(answer.error(), id);
    }
    if (options_.any) return Decide(*one.code);
    // The first in the order given that did not go well.
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

  int Tell(const std::string& id, const JsonValue& answer) {
    const bool of_run = options_.until == "terminal";
    const Outcome outcome = of_run ? OutcomeOfRun(answer) : OutcomeOfAgent(answer, options_.until);
    if (!console_.json()) {
      Say(id, outcome.state, outcome.rest);
    } else if (of_run) {  // which does not tell whose it is
      std::string json = JsonObject().Set("agent", id).Take();
      json.back() = ',';
      console_.Line(json + answer.Raw().substr(1));
    } else {
      console_.Line(answer.Raw());
    }
    return outcome.code;
  }

  int TellTimeout(const std::string& id) {
    const Error error{"timed_out", "timed out after " + FormatDuration(timeout_ms_)};
    if (console_.json()) return console_.Fail(error, id);
    std::string state = "and the daemon does not answer";
    if (there_) {
      auto agent = Look(id);
      there_ = agent.ok();  // asked once, where there are many
      if (agent) state = "still " + Plain((*agent)["state"].StringOr(""));
    }
    Say(id, "timed out", " after " + FormatDuration(timeout_ms_) + ", " + state);
    return kTimedOut;
  }

  [[nodiscard]] Result<JsonDocument> Look(const std::string& id) const {
    HttpRequest look = client_.Request("GET", AgentPath(id));
    look.timeout_ms = kLookMs;
    return client_.AskJson(std::move(look));
  }

  void Say(const std::string& id, const std::string& state, const std::string& rest) {
    console_.Line(id + ": " + Paint(console_.colours(), ColourOf(state), state) + rest);
  }

  Loop& loop_;
  HttpClient http_;
  const Client client_;
  const Options& options_;
  const int64_t timeout_ms_;
  Console& console_;
  std::vector<Watched> watched_;  // in the order given; does not move
  bool there_ = true;             // the daemon
  EventPrinter* printer_ = nullptr;
  std::unique_ptr<EventStream> stream_;
  bool follows_ = false;  // the stream goes on
  std::optional<int> code_;
};

// Empty: 0.
Result<uint64_t> ParseTail(const std::string& text) {
  uint64_t tail = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), tail);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  if (text.empty() || (whole && tail > 0 && tail <= AgentLog::kMaxTail)) return tail;
  return Error{"invalid_request",
               "--tail: '" + text + "' is not a number from 1 to " + std::to_string(AgentLog::kMaxTail)};
}

int Watch(const Options& options) {
  Console console("agents watch", options);
  int64_t timeout_ms = -1;
  if (!options.timeout.empty()) {
    auto timeout = ParseDuration(options.timeout);
    if (!timeout) return console.Fail({"invalid_request", "--timeout: " + timeout.error().message});
    timeout_ms = *timeout;
  }
  auto tail = ParseTail(options.tail);
  if (!tail) return console.Fail(tail.error());
  if (!options.message.empty() && options.until != "terminal")
    return console.Fail({"invalid_request", "--message-id: waits for the end of its run: --until terminal"});
  auto client = Client::Find(options.client);
  if (!client) return console.Fail(client.error());
  std::string about;
  // One that is not there is not waited for, nor are the others.
  auto ids = FindAgents(*client, options.agents, about);
  if (!ids) return console.Fail(ids.error(), about);
  if (!options.message.empty() && ids->size() > 1) {
    return console.Fail({"invalid_request", "--message-id: a message is one agent's, these are several"},
                        options.agents.back());
  }
  if (options.follow && ids->size() > kMaxFollowed) {
    return console.Fail({"invalid_request", "--follow: of " + std::to_string(ids->size()) +
                                                " agents; at most " + std::to_string(kMaxFollowed) +
                                                " can be followed"});
  }
  EventPrinter printer(Looks(console, *ids, options.follow), [&console](std::string_view text) {
    if (!console.quiet()) std::fwrite(text.data(), 1, text.size(), stdout);
  });
  std::map<std::string, std::string> cursors;
  if (!options.tail.empty()) {
    AgentLog::Range range;
    range.tail = *tail;
    if (!console.json()) range.counts = CountsForPeople;
    auto past = PrintPast(*client, *ids, range, printer);
    if (!past) return console.Fail(past.error());
    cursors = std::move(*past);
    if (!options.follow) {
      printer.End();
      return kOk;
    }
  }
  RaiseDescriptorLimit();  // each that is waited for takes one
  Loop loop;
  Watcher watcher(loop, std::move(*client), options, timeout_ms, console);
  if (options.follow) watcher.Follow(printer, *ids, cursors);
  return watcher.Run(*ids);
}

}  // namespace

void AddAgentsWatch(Command agents) {
  auto options = std::make_shared<Options>();
  Command command = agents.Add("watch", "Wait for agents; exit as their runs did.");
  command.Details(
      "Says in one line what came of each, and exits with 0 if the run completed, with the program's own "
      "exit code if it failed (1 if it had none), with 130 if it was cancelled, with 124 when the time is "
      "over. Outlives a restart of the daemon; waits a minute for one that is away, then exits with 69.\n\n"
      "Waits for the run that is open when it is called; without one the last one's outcome is told at once, "
      "and an agent that never had one is waited for. What a message brings is another run: --message-id "
      "waits for that one, --until idle for all that is queued.");
  command.Argument("AGENT", options->agents, "An id, a title, or key=value: all with that label").Required();
  command
      .Option(
          "--until", options->until, "ready|terminal|idle|exited",
          "terminal: its run has ended; idle: and nothing waits in its queue; exited: its process has ended, "
          "for good; ready: it can take messages. With idle and exited as its last run ended, with ready 1 "
          "if "
          "it has ended instead")
      .Default("terminal");
  command.Option("--message-id", options->message, "ID",
                 "Wait for the run of this message, which wake printed");
  command.Option("--timeout", options->timeout, "DURATION", "Not longer than this: 30s, 5m, 1h30m");
  command.Flag("-f,--follow", options->follow, "Show what they do until then");
  command.OptionalValue("--tail", options->tail, "20", "N",
                        "Show their last N events (20), and no more unless --follow goes on from there");
  OptionRef any = command.Flag("--any", options->any, "Of several agents, the first to get there decides");
  command
      .Flag("--all", options->all, "All are waited for; the first that did not go well gives the exit code")
      .Excludes(any);
  AddCommonOptions(command, *options);
  command.Example("if ! reeve agents watch a1; then reeve agents logs a1 --tail=20; fi",
                  "a script that looks after a job");
  command.Example("reeve agents watch a1 --message-id $(reeve agents wake a1 --message 'run the tests')",
                  "hands over a step and waits for that step");
  command.Example("reeve agents watch a1 --tail --follow",
                  "the last it did, and what it does until its run ends");
  command.Example("reeve agents watch team=web --until idle --timeout 1h",
                  "until the whole team has nothing left to do");
  command.Action([options] { return Watch(*options); });
}

}  // namespace reeve
