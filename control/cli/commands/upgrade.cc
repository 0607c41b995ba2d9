// `reeve upgrade [BINARY]`: replaces the binary of a running daemon, and waits until the new one answers.
#include <chrono>
#include <filesystem>
#include <memory>
#include <thread>

#include "control/cli/commands/commands.h"
#include "control/cli/terminal/console.h"
#include "orchestrator/json/json.h"
#include "process/clock.h"

namespace reeve {

namespace {

constexpr int64_t kTrialMs = 20'000;   // the daemon's trial of the binary takes at most 10 s
constexpr int64_t kChangeMs = 30'000;  // the change of the daemon itself takes seconds
constexpr std::chrono::milliseconds kChangePause{100};

struct UpgradeOptions : CommonOptions {
  std::string binary;  // empty: the file that the daemon was started from
};

// Waits until a daemon answers that counts more than `handovers` upgrades; returns its version.
Result<std::string> WaitForUpgrade(const Client& client, int64_t handovers) {
  const SystemClock clock;
  const int64_t give_up_at_ms = clock.MonotonicMs() + kChangeMs;
  for (;; std::this_thread::sleep_for(kChangePause)) {
    auto answer = client.Call(client.Request("GET", "/health"));
    auto health = JsonDocument::Parse(answer ? answer->body : "");
    if (health && (*health)["handovers"].AsInt().value_or(0) > handovers)
      return std::string((*health)["version"].StringOr(""));
    if (health && (*health)["upgrade_failure"].AsString())
      return Error{"upgrade_failed", std::string((*health)["upgrade_failure"].StringOr(""))};
    if (clock.MonotonicMs() > give_up_at_ms)
      return answer ? Error{"timed_out", "the new daemon did not come in time"} : answer.error();
  }
}

int Upgrade(const UpgradeOptions& options) {
  Console console("upgrade", options);
  auto client = Client::Find(options.client);
  if (!client) return console.Fail(client.error());
  JsonObject body;
  std::error_code error;
  if (!options.binary.empty())
    body.Set("binary", std::filesystem::absolute(options.binary, error).lexically_normal().string());
  HttpRequest request = client->Request("POST", "/upgrade", body.Take());
  request.timeout_ms = kTrialMs;
  auto accepted = client->AskJson(std::move(request));
  if (!accepted) return console.Fail(accepted.error());
  const std::string from((*accepted)["version_from"].StringOr(""));
  auto to = WaitForUpgrade(*client, (*accepted)["handovers"].AsInt().value_or(0));
  if (!to) return console.Fail(to.error());
  console.Line(console.json() ? JsonObject().Set("version_from", from).Set("version_to", *to).Take()
                              : "reeve: upgraded from " + from + " to " + *to);
  return kOk;
}

}  // namespace

void AddUpgrade(Command root) {
  auto options = std::make_shared<UpgradeOptions>();
  Command command = root.Add("upgrade", "Replace the running daemon's binary without stopping agents.");
  command.Argument("BINARY", options->binary, "The new reeve")
      .Default("the file that the daemon was started from");
  AddCommonOptions(command, *options);
  command.Example("reeve upgrade", "after a new reeve was installed");
  command.Action([options] { return Upgrade(*options); });
}

}  // namespace reeve
