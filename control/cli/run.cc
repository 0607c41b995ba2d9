// `reeve run`: starts an agent in a running daemon, follows its stream, exits as its run did.
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <utility>

#include "control/cli/agent_names.h"
#include "control/cli/commands.h"
#include "control/cli/console.h"
#include "control/cli/event_stream.h"
#include "orchestrator/json.h"
#include "process/loop.h"

namespace reeve {

namespace {

struct RunOptions : CommonOptions {
  std::string kind = "process";
  std::string id;
  std::string cwd;
  std::string prompt;
  std::string model;
  std::vector<std::string> env;  // NAME=value
  std::vector<std::string> command;
};

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
  Follower(Loop& loop, Client client, const RunOptions& options, Console& console)
      : loop_(loop), http_(loop), client_(std::move(client)), options_(options), console_(console) {}

  int Run(std::string spec) {
    for (int signum : {SIGINT, SIGTERM, SIGHUP}) {
      loop_.OnSignal(signum, [this] { Interrupted(); });
    }
    call_ =
        http_.Send(client_.Request("POST", "/agents", std::move(spec)), [this](Result<HttpResponse> answer) {
          if (!answer) return Finish(console_.Fail(answer.error()));
          if (answer->status != 201) return Finish(console_.Fail(Client::ErrorOf(*answer)));
          auto json = JsonDocument::Parse(answer->body);
          if (json) agent_ = (*json)["id"].StringOr("");
          if (agent_.empty()) return Finish(console_.Fail({"no_json", "the server's answer names no agent"}));
          console_.Note("agent " + agent_);
          Follow();
        });
    loop_.Run();
    return code_;
  }

 private:
  void Follow() {
    stream_ = std::make_unique<EventStream>(
        loop_, http_, client_, EventStream::What{{agent_}, {{agent_, "0"}}, "", false},
        EventStream::Handlers{
            [this](const JsonValue& event) { Take(event); },
            {},
            [this](const Result<std::string>& reason) {
              Finish(reason ? code_ : console_.Fail(reason.error(), agent_));
            },
            [this](const JsonValue& gap) { console_.Note("events were lost: " + gap.Raw()); }});
    stream_->Open();
  }

  void Take(const JsonValue& event) {
    const std::string_view type = event["type"].StringOr("");
    const JsonValue data = event["data"];
    if (type == "agent.output") {
      std::string line(data["json"] ? data["json"].Raw() : std::string(data["text"].StringOr("")));
      Print(data["stream"].StringOr("") == "stderr" ? stderr : stdout, line + "\n");
    } else if (type == "assistant.delta") {
      Print(stdout, data["text"].StringOr(""));
      deltas_ = true;
    } else if (type == "assistant.message") {
      Print(stdout, std::exchange(deltas_, false) ? "\n" : std::string(data["text"].StringOr("")) + "\n");
    } else if (type == "tool.started") {
      console_.Note("tool " + std::string(data["name"].StringOr("")) + " " + data["input"].Raw());
    } else if (type == "approval.requested") {
      console_.Note("agent " + agent_ + " waits for an approval: " + std::string(data["tool"].StringOr("")) +
                    " " + data["input"].Raw());
    } else if (type == "agent.failed" || type == "agent.error") {
      console_.Note(data["message"].StringOr(""));
      if (type == "agent.failed") code_ = kFailed;
    } else if (type.rfind("run.", 0) == 0 && type != "run.started") {
      const int64_t exit_code = data["exit_code"].AsInt().value_or(0);
      code_ = type == "run.completed"   ? kOk
              : type == "run.cancelled" ? kCancelled
              : exit_code != 0          ? static_cast<int>(exit_code)
                                        : kFailed;
      if (code_ == kFailed) console_.Note(data["error"]["message"].StringOr(""));
      // An agent with turns lives on; what was asked of it is done.
      if (!options_.prompt.empty() && data["message_id"]) Finish(code_);
    }
  }

  void Interrupted() {
    if (std::exchange(stopping_, true) || agent_.empty()) return Finish(kCancelled);
    console_.Note("stopping agent " + agent_ + " (once more: leave it)");
    stop_ = http_.Send(client_.Request("POST", AgentPath(agent_) + "/stop", "{}"),
                       [](const Result<HttpResponse>&) {});
  }

  void Finish(int code) {
    code_ = code;
    if (stream_) stream_->Close();
    loop_.Stop();
  }

  Loop& loop_;
  HttpClient http_;
  const Client client_;
  const RunOptions& options_;
  Console& console_;
  std::string agent_;
  int code_ = kFailed;
  bool deltas_ = false, stopping_ = false;
  std::unique_ptr<HttpCall> call_;
  std::unique_ptr<HttpCall> stop_;
  std::unique_ptr<EventStream> stream_;
};

int RunAgent(const RunOptions& options) {
  Console console("run", options);
  auto client = Client::Find(options.client);
  if (!client) return console.Fail(client.error());
  auto spec = SpecJson(options);
  if (!spec) return console.Fail(spec.error());
  Loop loop;
  return Follower(loop, std::move(*client), options, console).Run(std::move(*spec));
}

}  // namespace

void AddRun(Command root) {
  auto options = std::make_shared<RunOptions>();
  Command command = root.Add("run", "Start an agent in a running daemon, follow it, exit as it did.");
  command.Option("--kind", options->kind, "KIND", "process, jsonl, claude, codex, acp, opencode, kilo, …")
      .Default("process");
  command.Option("--id", options->id, "ID", "The agent's id").Default("made up");
  command.Option("--cwd", options->cwd, "DIR", "Where it works").Default("here");
  command.Option("--prompt", options->prompt, "TEXT",
                 "Its first message; for an agent with turns, run exits when it is done");
  command.Option("--model", options->model, "MODEL", "provider/model, for kinds that know models");
  command.Option("--env", options->env, "NAME=VALUE", "A variable of its environment");
  command.Argument("COMMAND", options->command, "The program and its arguments, after --");
  AddCommonOptions(command, *options);
  command.Example("reeve run -- make -j4", "as if it were called here, but it outlives this shell");
  command.Action([options] { return RunAgent(*options); });
}

}  // namespace reeve
