// `reeve drain`: has the daemon stop its agents and end, as TERM does, and waits until it has.
#include <memory>
#include <utility>

#include "control/cli/commands/commands.h"
#include "control/cli/terminal/console.h"
#include "orchestrator/config/units.h"
#include "orchestrator/json/json.h"
#include "process/http_client.h"
#include "process/loop.h"
#include "process/timer.h"

namespace reeve {

namespace {

constexpr int64_t kLookMs = 100;

struct Options : CommonOptions {
  std::string timeout;
  bool detach = false;
};

// Has it drain and looks on, until nobody answers: a daemon that drains closes its listeners last of all.
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
    again_.Start(kLookMs);
    loop_.Run();
    return code_;
  }

 private:
  void Look() {
    look_ = http_.Send(client_.Request("GET", "/drain"), [this](const Result<HttpResponse>& answer) {
      auto json = JsonDocument::Parse(answer ? answer->body : "");
      const bool draining = json && (*json)["draining"].AsBool().value_or(false);
      draining_ |= draining;
      // Nobody, or already the next daemon.
      if (!draining && !drain_) return End(kOk);
      if (draining) console_.Progress(Progress((*json)["waiting"]));
      again_.Start(kLookMs);
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
          console_.Fail({"drain_cut", "the daemon ended before its agents had: " + answer.error().message}));
    }
    if (!answer) return End(console_.Fail(answer.error()));
    if (answer->status != 200) return End(console_.Fail(Client::ErrorOf(*answer)));
    auto json = JsonDocument::Parse(answer->body);
    console_.Progress("");
    if (console_.json()) return console_.Line(answer->body);
    if (!json) return;
    for (const JsonValue& what : (*json)["unfinished"].Elements()) console_.Line(Plain(what.StringOr("")));
  }

  void End(int code) {
    console_.Progress("");
    code_ = code;
    drain_.reset();  // what it has to say comes too late, as what was asked last
    look_.reset();
    again_.Stop();
    loop_.Stop();
  }

  Loop& loop_;
  HttpClient http_;
  const Client client_;
  Console& console_;
  std::unique_ptr<HttpCall> drain_;  // until it has answered
  std::unique_ptr<HttpCall> look_;
  bool draining_ = false;  // it said so
  int code_ = kOk;
  Timer again_;
};

int Drain(const Options& options) {
  Console console("drain", options);
  auto client = Client::Find(options.client);
  if (!client) return console.Fail(client.error());
  JsonObject body;
  if (!options.timeout.empty()) {
    auto timeout = ParseDuration(options.timeout);
    if (!timeout) return console.Fail({"invalid_request", timeout.error().message}, "--timeout");
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
  auto options = std::make_shared<Options>();
  Command command = root.Add("drain", "Have the daemon stop its agents and end, as TERM does.");
  command.Details(
      "No start, message or agent is taken any more; open turns get the time to end; then everything is "
      "stopped. Returns when the daemon has ended, and prints what could not finish.");
  command.Option("--timeout", options->timeout, "DURATION", "What agents get to end")
      .Default("drain_timeout, as configured");
  command.Flag("-d,--detach", options->detach, "Do not wait until it has ended");
  AddCommonOptions(command, *options);
  command.Example("reeve drain --timeout 2m", "before the machine goes down");
  command.Example("reeve drain --json", "{\"unfinished\":[]}: every agent ended by itself");
  command.Action([options] { return Drain(*options); });
}

}  // namespace reeve
