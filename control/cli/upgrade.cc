#include "control/cli/upgrade.h"

#include <cstdio>
#include <filesystem>
#include <memory>
#include <utility>

#include "orchestrator/json.h"
#include "process/http_client.h"
#include "process/loop.h"
#include "process/timer.h"

namespace reeve {

namespace {

// The trial takes 10 s at most, the rest seconds.
constexpr int64_t kTrialMs = 20'000;
constexpr int64_t kGiveUpMs = 30'000;
constexpr int64_t kLookMs = 100;

class Upgrader {
 public:
  Upgrader(Loop& loop, Client client)
      : loop_(loop), http_(loop), client_(std::move(client)), again_(loop, [this] { Look(); }) {}

  int Run(const std::string& binary) {
    const std::string body = binary.empty() ? "{}" : JsonObject().Set("binary", binary).Take();
    HttpRequest request = client_.Request("POST", "/upgrade", body);
    request.timeout_ms = kTrialMs;
    call_ = http_.Send(std::move(request), [this](const Result<HttpResponse>& answer) {
      if (!answer) return Fail(kUnreachable, answer.error().message);
      if (answer->status != 202) return Fail(Client::CodeFor(*answer), Client::Detail(*answer));
      auto json = JsonDocument::Parse(answer->body);
      if (!json) return Fail(kFailed, "the server's answer is not JSON");
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
        std::printf("reeve: upgraded from %s to %s\n", from_.c_str(),
                    std::string((*json)["version"].StringOr("")).c_str());
        return Finish(kOk);
      }
      if (json && (*json)["upgrade_failure"].AsString()) {
        return Fail(kFailed, std::string((*json)["upgrade_failure"].StringOr("")));
      }
      if (loop_.NowMs() > give_up_at_ms_) {
        return answer ? Fail(kTimedOut, "the daemon did not hand over")
                      : Fail(kUnreachable, answer.error().message);
      }
      again_.Start(kLookMs);
    });
  }

  void Fail(int code, const std::string& message) {
    std::fprintf(stderr, "reeve: upgrade: %s\n", message.c_str());
    Finish(code);
  }

  void Finish(int code) {
    code_ = code;
    loop_.Stop();
  }

  Loop& loop_;
  HttpClient http_;
  const Client client_;
  std::unique_ptr<HttpCall> call_;
  Timer again_;
  int64_t before_ = 0;
  int64_t give_up_at_ms_ = 0;
  std::string from_;
  int code_ = kOk;
};

}  // namespace

int Upgrade(const UpgradeOptions& options) {
  auto client = Client::Find(options.client);
  if (!client) {
    std::fprintf(stderr, "reeve: upgrade: %s\n", client.error().message.c_str());
    return client.error().code == "unauthorized" ? kRefused : kUsage;
  }
  std::error_code error;
  const std::string binary =
      options.binary.empty() ? ""
                             : std::filesystem::absolute(options.binary, error).lexically_normal().string();
  Loop loop;
  return Upgrader(loop, std::move(*client)).Run(binary);
}

}  // namespace reeve
