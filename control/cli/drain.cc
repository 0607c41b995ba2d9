// `reeve drain`: has the daemon stop its agents and end, as TERM does, and waits until it has.
#include <memory>
#include <utility>

#include "control/cli/commands.h"
#include "control/cli/console.h"
#include "orchestrator/json.h"
#include "orchestrator/units.h"
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

// Looks until nobody answers: a daemon that drains closes its listeners last of all.
class Drainer {
 public:
  Drainer(Loop& loop, Client client, Console& console)
      : loop_(loop), http_(loop), client_(std::move(client)), console_(console), again_(loop, [this] {
          Look();
        }) {}

  int Run() {
    Look();
    loop_.Run();
    return kOk;
  }

 private:
  void Look() {
    call_ = http_.Send(client_.Request("GET", "/health"), [this](const Result<HttpResponse>& answer) {
      auto health = JsonDocument::Parse(answer ? answer->body : "");
      // Nobody, or already the next daemon.
      if (!health || (*health)["status"].StringOr("") != "draining") {
        console_.Progress("");
        return loop_.Stop();
      }
      console_.Progress("draining: " + (*health)["agents"].Raw() + " agents");
      again_.Start(kLookMs);
    });
  }

  Loop& loop_;
  HttpClient http_;
  const Client client_;
  Console& console_;
  std::unique_ptr<HttpCall> call_;
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
  auto accepted = client->Ask(client->Request("POST", "/drain", body.Take()));
  if (!accepted) return console.Fail(accepted.error());
  if (options.detach) return kOk;
  Loop loop;
  return Drainer(loop, std::move(*client), console).Run();
}

}  // namespace

void AddDrain(Command root) {
  auto options = std::make_shared<Options>();
  Command command = root.Add("drain", "Have the daemon stop its agents and end, as TERM does.");
  command.Details(
      "No start, message or agent is taken any more; open turns get the time to end; then everything is "
      "stopped. Returns when the daemon has ended.");
  command.Option("--timeout", options->timeout, "DURATION", "What agents get to end")
      .Default("drain_timeout, as configured");
  command.Flag("-d,--detach", options->detach, "Do not wait until it has ended");
  AddCommonOptions(command, *options);
  command.Example("reeve drain --timeout 2m", "before the machine goes down");
  command.Action([options] { return Drain(*options); });
}

}  // namespace reeve
