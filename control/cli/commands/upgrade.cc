// `reeve upgrade [BINARY]`: has a running daemon go on as another binary, and waits until that answers.
#include <filesystem>
#include <memory>
#include <utility>

#include "control/cli/commands/commands.h"
#include "control/cli/terminal/console.h"
#include "orchestrator/json/json.h"
#include "process/http_client.h"
#include "process/loop.h"
#include "process/timer.h"

namespace reeve {

namespace {

// The trial takes 10 s at most, the rest seconds.
constexpr int64_t kTrialMs = 20'000;
constexpr int64_t kGiveUpMs = 30'000;
constexpr int64_t kLookMs = 100;

struct Options : CommonOptions {
  std::string binary;  // empty: the file the daemon was started from
};

class Upgrader {
 public:
  Upgrader(Loop& loop, Client client, Console& console)
      : loop_(loop), http_(loop), client_(std::move(client)), console_(console), again_(loop, [this] {
          Look();
        }) {}

  int Run(const std::string& binary) {
    const std::string body = binary.empty() ? "{}" : JsonObject().Set("binary", binary).Take();
    HttpRequest request = client_.Request("POST", "/upgrade", body);
    request.timeout_ms = kTrialMs;
    call_ = http_.Send(std::move(request), [this](const Result<HttpResponse>& answer) {
      if (!answer) return Fail(answer.error());
      if (answer->status != 202) return Fail(Client::ErrorOf(*answer));
      auto json = JsonDocument::Parse(answer->body);
      if (!json) return Fail(json.error());
      before_ = (*json)["handovers"].AsInt().value_or(0);
      from_ = (*json)["version_from"].StringOr("");
      give_up_at_ms_ = loop_.NowMs() + kGiveUpMs;
      Look();
    });
    loop_.Run();
    return code_;
  }

 private:
  // Whoever answers says how often it was handed over.
  void Look() {
    call_ = http_.Send(client_.Request("GET", "/health"), [this](const Result<HttpResponse>& answer) {
      auto json = JsonDocument::Parse(answer ? answer->body : "");
      if (json && (*json)["handovers"].AsInt().value_or(0) > before_) {
        const std::string to((*json)["version"].StringOr(""));
        console_.Line(console_.json() ? JsonObject().Set("version_from", from_).Set("version_to", to).Take()
                                      : "reeve: upgraded from " + from_ + " to " + to);
        return Finish(kOk);
      }
      if (json && (*json)["upgrade_failure"].AsString()) {
        return Fail({"upgrade_failed", std::string((*json)["upgrade_failure"].StringOr(""))});
      }
      if (loop_.NowMs() > give_up_at_ms_) {
        return Fail(answer ? Error{"timed_out", "the daemon did not hand over"} : answer.error());
      }
      again_.Start(kLookMs);
    });
  }

  void Fail(const Error& error) { Finish(console_.Fail(error)); }

  void Finish(int code) {
    code_ = code;
    loop_.Stop();
  }

  Loop& loop_;
  HttpClient http_;
  const Client client_;
  Console& console_;
  std::unique_ptr<HttpCall> call_;
  Timer again_;
  int64_t before_ = 0;
  int64_t give_up_at_ms_ = 0;
  std::string from_;
  int code_ = kOk;
};

int Upgrade(const Options& options) {
  Console console("upgrade", options);
  auto client = Client::Find(options.client);
  if (!client) return console.Fail(client.error());
  std::error_code error;
  const std::string binary =
      options.binary.empty() ? ""
                             : std::filesystem::absolute(options.binary, error).lexically_normal().string();
  Loop loop;
  return Upgrader(loop, std::move(*client), console).Run(binary);
}

}  // namespace

void AddUpgrade(Command root) {
  auto options = std::make_shared<Options>();
  Command command =
      root.Add("upgrade", "Let a running daemon go on as another binary; its agents notice nothing.");
  command.Argument("BINARY", options->binary, "The new reeve")
      .Default("the file that the daemon was started from");
  AddCommonOptions(command, *options);
  command.Example("reeve upgrade", "after the installed reeve was replaced");
  command.Action([options] { return Upgrade(*options); });
}

}  // namespace reeve
