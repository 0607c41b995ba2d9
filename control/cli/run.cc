#include "control/cli/run.h"

#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "orchestrator/event.h"
#include "orchestrator/json.h"
#include "process/loop.h"
#include "process/sse_parser.h"
#include "process/timer.h"

namespace reeve {

namespace {

// A daemon that restarts is back within this; then the command gives up.
constexpr int64_t kGiveUpMs = 60'000;
constexpr int64_t kRetryMs = 500;

void Print(FILE* where, std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), where);
  std::fflush(where);
}

Result<std::string> SpecJson(const RunOptions& options) {
  JsonArray command;
  for (const std::string& word : options.command) command.Add(word);
  JsonObject env;
  for (const std::string& entry : options.env) {
    const size_t equals = entry.find('=');
    if (equals == std::string::npos) return Error{"invalid_request", "--env " + entry + ": NAME=value"};
    env.Set(entry.substr(0, equals), entry.substr(equals + 1));
  }
  std::error_code error;
  JsonObject spec;
  spec.Set("kind", options.kind);
  if (!options.id.empty()) spec.Set("id", options.id);
  if (!options.command.empty()) spec.SetRaw("command", command.Take());
  spec.Set(
      "cwd",
      std::filesystem::absolute(options.cwd.empty() ? "." : options.cwd, error).lexically_normal().string());
  if (!env.empty()) spec.SetRaw("env", env.Take());
  if (!options.model.empty()) spec.Set("model", options.model);
  if (!options.prompt.empty()) spec.Set("prompt", options.prompt);
  return spec.Take();
}

class Follower {
 public:
  Follower(Loop& loop, Client client, const RunOptions& options)
      : loop_(loop), http_(loop), client_(std::move(client)), options_(options), retry_(loop, [this] {
          Follow();
        }) {}

  int Run() {
    auto spec = SpecJson(options_);
    if (!spec) return Fail(kUsage, spec.error().message);
    for (int signum : {SIGINT, SIGTERM, SIGHUP}) {
      loop_.OnSignal(signum, [this] { Interrupted(); });
    }
    call_ = http_.Send(client_.Request("POST", "/agents", *spec), [this](Result<HttpResponse> answer) {
      if (!answer) return Finish(Fail(kUnreachable, answer.error().message));
      if (answer->status != 201) return Finish(Fail(Client::CodeFor(*answer), Client::Detail(*answer)));
      auto json = JsonDocument::Parse(answer->body);
      if (json) agent_ = (*json)["id"].StringOr("");
      if (agent_.empty()) return Finish(Fail(kFailed, "the server's answer names no agent"));
      std::fprintf(stderr, "reeve: agent %s\n", agent_.c_str());
      Follow();
    });
    loop_.Run();
    return code_;
  }

 private:
  void Follow() {
    HttpRequest request = client_.Request("GET", "/agents/" + agent_ + "/stream?after=" + cursor_);
    request.timeout_ms = 0;
    parser_ = SseParser();
    refused_.reset();
    call_ =
        http_.Open(std::move(request), {[this](const HttpResponse& head) {
                                          if (head.status == 204) return Finish(code_);
                                          if (head.status != 200) refused_ = head;
                                        },
                                        [this](std::string_view bytes) {
                                          if (refused_) {
                                            refused_->body.append(bytes.substr(0, 4096));
                                            return;
                                          }
                                          down_since_ms_ = 0;
                                          parser_.Feed(bytes, [this](const SseEvent& event) { Take(event); });
                                        },
                                        [this](const Status& how) { Ended(how); }});
  }

  void Take(const SseEvent& event) {
    if (finished_) return;
    if (event.has_id && Cursor::Parse(event.id)) cursor_ = event.id;
    if (event.event == "stream.bye") {
      auto bye = JsonDocument::Parse(event.data);
      const std::string reason(bye ? (*bye)["reason"].StringOr("") : "");
      if (reason == "agent_exited" || reason == "agent_deleted") return Finish(code_);
      bye_ = true;  // "shutdown" and its like end the stream, not the agent's story
    }
    if (event.event == "stream.gap")
      std::fprintf(stderr, "reeve: events were lost: %s\n", event.data.c_str());
    if (event.data.empty() || event.event.rfind("stream.", 0) == 0) return;
    auto envelope = JsonDocument::Parse(event.data);
    if (!envelope) return;
    const JsonValue data = (*envelope)["data"];
    if (event.event == "agent.output") {
      std::string line(data["json"] ? data["json"].Raw() : std::string(data["text"].StringOr("")));
      Print(data["stream"].StringOr("") == "stderr" ? stderr : stdout, line + "\n");
    } else if (event.event == "assistant.delta") {
      Print(stdout, data["text"].StringOr(""));
      deltas_ = true;
    } else if (event.event == "assistant.message") {
      Print(stdout, std::exchange(deltas_, false) ? "\n" : std::string(data["text"].StringOr("")) + "\n");
    } else if (event.event == "tool.started") {
      std::fprintf(stderr, "reeve: tool %s %s\n", std::string(data["name"].StringOr("")).c_str(),
                   data["input"].Raw().c_str());
    } else if (event.event == "approval.requested") {
      std::fprintf(stderr, "reeve: agent %s waits for an approval: %s %s\n", agent_.c_str(),
                   std::string(data["tool"].StringOr("")).c_str(), data["input"].Raw().c_str());
    } else if (event.event == "agent.failed" || event.event == "agent.error") {
      std::fprintf(stderr, "reeve: %s\n", std::string(data["message"].StringOr("")).c_str());
      if (event.event == "agent.failed") code_ = kFailed;
    } else if (event.event.rfind("run.", 0) == 0 && event.event != "run.started") {
      const int64_t exit_code = data["exit_code"].AsInt().value_or(0);
      code_ = event.event == "run.completed"   ? kOk
              : event.event == "run.cancelled" ? kCancelled
              : exit_code != 0                 ? static_cast<int>(exit_code)
                                               : kFailed;
      if (code_ == kFailed)
        std::fprintf(stderr, "reeve: %s\n", std::string(data["error"]["message"].StringOr("")).c_str());
      // An agent with turns lives on; what was asked of it is done.
      if (!options_.prompt.empty() && data["message_id"]) Finish(code_);
    }
  }

  void Ended(const Status& how) {
    if (finished_) return;
    if (refused_ && refused_->status < 500 && refused_->status != 503) {
      return Finish(Fail(Client::CodeFor(*refused_), Client::Detail(*refused_)));
    }
    if (how && std::exchange(bye_, false)) {
      down_since_ms_ = 0;
    } else if (down_since_ms_ == 0) {
      down_since_ms_ = loop_.NowMs();
    } else if (loop_.NowMs() - down_since_ms_ > kGiveUpMs) {
      return Finish(Fail(kUnreachable, how ? "the server does not answer" : how.error().message));
    }
    retry_.Start(kRetryMs);
  }

  void Interrupted() {
    if (std::exchange(stopping_, true) || agent_.empty()) return Finish(kCancelled);
    std::fprintf(stderr, "reeve: stopping agent %s (once more: leave it)\n", agent_.c_str());
    stop_ = http_.Send(client_.Request("POST", "/agents/" + agent_ + "/stop", "{}"),
                       [](const Result<HttpResponse>&) {});
  }

  int Fail(int code, const std::string& message) {
    std::fprintf(stderr, "reeve: run: %s\n", message.c_str());
    return code;
  }

  void Finish(int code) {
    code_ = code;
    finished_ = true;
    loop_.Stop();
  }

  Loop& loop_;
  HttpClient http_;
  const Client client_;
  const RunOptions& options_;
  std::string agent_;
  std::string cursor_ = "0";
  SseParser parser_;
  std::optional<HttpResponse> refused_;
  int code_ = kFailed;
  bool finished_ = false, bye_ = false, deltas_ = false, stopping_ = false;
  int64_t down_since_ms_ = 0;
  Timer retry_;
  std::unique_ptr<HttpCall> call_;
  std::unique_ptr<HttpCall> stop_;
};

}  // namespace

int RunAgent(const RunOptions& options) {
  auto client = Client::Find(options.client);
  if (!client) {
    std::fprintf(stderr, "reeve: run: %s\n", client.error().message.c_str());
    return client.error().code == "unauthorized" ? kRefused : kUsage;
  }
  Loop loop;
  return Follower(loop, std::move(*client), options).Run();
}

}  // namespace reeve
