// `reeve agents watch`: waits for agents, says what came of them and exits as they did. For a script's `if`,
// and for agents that supervise others: it sleeps until the daemon answers.
#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "control/cli/agent_names.h"
#include "control/cli/agent_wait.h"
#include "control/cli/agents_commands.h"
#include "control/cli/console.h"
#include "orchestrator/json.h"
#include "orchestrator/units.h"
#include "process/http_client.h"
#include "process/loop.h"

namespace reeve {

namespace {

constexpr int64_t kLookMs = 2'000;  // at what an agent does when the time is over

struct Options : CommonOptions {
  std::vector<std::string> agents;
  std::string until = "terminal";
  std::string message;
  std::string timeout;
  bool any = false;
  bool all = false;
};

class Watcher {
 public:
  Watcher(Loop& loop, Client client, const Options& options, int64_t timeout_ms, Console& console)
      : loop_(loop),
        http_(loop),
        client_(std::move(client)),
        options_(options),
        timeout_ms_(timeout_ms),
        console_(console) {}

  int Run(const std::vector<std::string>& ids) {
    watched_.reserve(ids.size());
    for (const std::string& id : ids) {
      Watched& one = watched_.emplace_back();
      one.wait = std::make_unique<AgentWait>(
          loop_, http_, client_, AgentWait::What{id, options_.until, options_.message, timeout_ms_},
          [this, &one](const Result<JsonDocument>& answer) { Take(one, answer); });
      one.wait->Begin();
    }
    loop_.Run();
    return code_.value_or(kOk);
  }

 private:
  struct Watched {
    std::unique_ptr<AgentWait> wait;
    std::optional<int> code;
  };

  void Take(Watched& one, const Result<JsonDocument>& answer) {
    if (code_) return;  // another one has decided
    const std::string& id = one.wait->agent();
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
      HttpRequest look = client_.Request("GET", AgentPath(id));
      look.timeout_ms = kLookMs;
      auto agent = client_.AskJson(std::move(look));
      there_ = agent.ok();  // asked once, where there are many
      if (agent) state = "still " + Plain((*agent)["state"].StringOr(""));
    }
    Say(id, "timed out", " after " + FormatDuration(timeout_ms_) + ", " + state);
    return kTimedOut;
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
  std::optional<int> code_;
};

// The agents that are meant, each once. One that is not there is not waited for, nor are the others.
Result<std::vector<std::string>> Find(const Client& client, const Options& options, std::string& about) {
  std::vector<std::string> ids;
  for (const std::string& name : options.agents) {
    about = name;
    auto found = FindAgents(client, name);
    if (!found) return found.error();
    for (std::string& id : *found) {
      if (std::find(ids.begin(), ids.end(), id) == ids.end()) ids.push_back(std::move(id));
    }
  }
  if (!options.message.empty() && ids.size() > 1)
    return Error{"invalid_request", "--message-id: a message is one agent's, these are several"};
  return ids;
}

int Watch(const Options& options) {
  Console console("agents watch", options);
  int64_t timeout_ms = -1;
  if (!options.timeout.empty()) {
    auto timeout = ParseDuration(options.timeout);
    if (!timeout) return console.Fail({"invalid_request", "--timeout: " + timeout.error().message});
    timeout_ms = *timeout;
  }
  if (!options.message.empty() && options.until != "terminal")
    return console.Fail({"invalid_request", "--message-id: waits for the end of its run: --until terminal"});
  auto client = Client::Find(options.client);
  if (!client) return console.Fail(client.error());
  std::string about;
  auto ids = Find(*client, options, about);
  if (!ids) return console.Fail(ids.error(), about);
  Loop loop;
  return Watcher(loop, std::move(*client), options, timeout_ms, console).Run(*ids);
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
  OptionRef any = command.Flag("--any", options->any, "Of several agents, the first to get there decides");
  command
      .Flag("--all", options->all, "All are waited for; the first that did not go well gives the exit code")
      .Excludes(any)
      .Default("so it is");
  AddCommonOptions(command, *options);
  command.Example("if ! reeve agents watch a1; then reeve agents logs a1 --tail=20; fi",
                  "a script that looks after a job");
  command.Example("reeve agents watch a1 --message-id $(reeve agents wake a1 --message 'run the tests')",
                  "hands over a step and waits for that step");
  command.Example("reeve agents watch team=web --until idle --timeout 1h",
                  "until the whole team has nothing left to do");
  command.Action([options] { return Watch(*options); });
}

}  // namespace reeve
