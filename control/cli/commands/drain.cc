// `reeve drain`: stops the daemon and its agents in good order, as SIGTERM does, and waits for the end.
#include <memory>
#include <utility>

#include "control/cli/commands/commands.h"
#include "control/cli/commands/input.h"
#include "control/cli/terminal/console.h"
#include "orchestrator/json/json.h"
#include "process/http_client.h"
#include "process/loop.h"
#include "process/timer.h"

namespace reeve {

namespace {

constexpr int64_t kDrainLookMs = 100;

struct DrainOptions : CommonOptions {
  std::string timeout;
  bool detach = false;
};

// Starts the drain and follows it until the daemon does not answer: it closes its listeners last.
class Drainer {
 public:
  Drainer(Loop& loop, Client client, Console& console)
      : loop_(loop), http_(loop), client_(std::move(client)), console_(console), again_(loop, [this] {
          Look();
        }) {}

  int Run(std::string body) {
    HttpRequest request = client_.Request("POST", "/drain", std::move(body));
    request.timeout_ms = 0;
    drain_ = http_.Send(std::move(request), [this](const Result<HttpResponse>& answer) { Drained(answer); });
    again_.Start(kDrainLookMs);
    loop_.Run();
    return code_;
  }

 private:
  void Look() {
    look_ = http_.Send(client_.Request("GET", "/drain"), [this](const Result<HttpResponse>& answer) {
      auto json = JsonDocument::Parse(answer ? answer->body : "");
      const bool draining = json && (*json)["draining"].AsBool().value_or(false);
      draining_ |= draining;
      // The daemon is gone, or this is already the next one.
      if (!draining && !drain_) return End(kOk);
      if (draining) console_.Progress(Progress((*json)["waiting"]));
      again_.Start(kDrainLookMs);
    });
  }

  static std::string Progress(const JsonValue& waiting) {
    std::string names;
    for (const JsonValue& agent : waiting.Elements()) {
      names += (names.empty() ? "" : ", ") + std::string(agent["id"].StringOr(""));
      if (const auto run = agent["run"].AsString()) names += " (run " + std::string(*run) + ")";
    }
    if (names.empty()) return "draining";
    return "draining: waiting for " + std::to_string(waiting.size()) +
           (waiting.size() == 1 ? " agent: " : " agents: ") + names;
  }

  void Drained(const Result<HttpResponse>& answer) {
    drain_.reset();
    if (!answer && draining_) {
      return End(
          console_.Fail({"drain_cut", "the daemon exited before its agents: " + answer.error().message}));
    }
    if (!answer) return End(console_.Fail(answer.error()));
    if (answer->status != 200) return End(console_.Fail(Client::ErrorOf(*answer)));
    auto json = JsonDocument::Parse(answer->body);
    console_.Progress("");
    if (console_.json()) return console_.Line(answer->body);
    if (!json) return;
    for (const JsonValue& one : (*json)["unfinished"].Elements()) console_.Line(Plain(one.StringOr("")));
  }

  void End(int code) {
    console_.Progress("");
    code_ = code;
    drain_.reset();
    look_.reset();
    again_.Stop();
    loop_.Stop();
  }

  Loop& loop_;
  HttpClient http_;
  const Client client_;
  Console& console_;
  std::unique_ptr<HttpCall> drain_;  // null once it was answered
  std::unique_ptr<HttpCall> look_;
  bool draining_ = false;  // the daemon has said so
  int code_ = kOk;
  Timer again_;
};

int RunDrain(const DrainOptions& options) {
  Console console("drain", options);
  auto client = Client::Find(options.client);
  if (!client) return console.Fail(client.error());
  JsonObject body;
  if (!options.timeout.empty()) {
    auto timeout = ReadDuration("--timeout", options.timeout);
    if (!timeout) return console.Fail(timeout.error());
    body.Set("timeout_ms", *timeout);
  }
  if (!options.detach) {
    Loop loop;
    return Drainer(loop, std::move(*client), console).Run(body.Set("wait", true).Take());
  }
  auto accepted = client->AskJson(client->Request("POST", "/drain", body.Take()));
  if (!accepted) return console.Fail(accepted.error());
  if (console.json()) console.Line(accepted->root().Raw());
  return kOk;
}

}  // namespace

void AddDrain(Command root) {
  auto options = std::make_shared<DrainOptions>();
  Command command = root.Add("drain", "Stop all agents, then the daemon (like SIGTERM).");
  command.Details(
      "The daemon refuses new agents, messages and starts, gives open turns time to end, and then stops all "
      "agents. The command returns when the daemon has exited, and prints the work that was cut off.");
  command.Option("--timeout", options->timeout, "DURATION", "Time for open turns to end")
      .Default("the setting drain_timeout");
  command.Flag("-d,--detach", options->detach, "Do not wait for the end");
  AddCommonOptions(command, *options);
  command.Example("reeve drain --timeout 2m", "before the machine shuts down");
  command.Example("reeve drain --json", "{\"unfinished\":[]} means that no turn was cut off");
  command.Action([options] { return RunDrain(*options); });
}

}  // namespace reeve
