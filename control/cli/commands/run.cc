// `reeve run`: starts an agent in a running daemon, follows its stream, exits as its run did.
#include <csignal>
#include <cstdio>
#include <memory>
#include <utility>

#include "control/cli/client/agent_names.h"
#include "control/cli/client/event_stream.h"
#include "control/cli/commands/commands.h"
#include "control/cli/commands/run_spec.h"
#include "control/cli/show/run_output.h"
#include "orchestrator/json/json.h"
#include "process/loop.h"
#include "process/timer.h"

namespace reeve {

namespace {

constexpr int64_t kLookMs = 50;         // whether an agent that is removed has gone
constexpr int64_t kRemovedMs = 10'000;  // how long that may take

class Follower {
 public:
  Follower(Loop& loop, Client client, const RunOptions& options, Console& console)
      : loop_(loop),
        http_(loop),
        client_(std::move(client)),
        options_(options),
        console_(console),
        output_(console),
        look_(loop, [this] { LookWhetherGone(); }) {}

  int Run(std::string spec) {
    loop_.OnSignal(SIGINT, [this] { Interrupted(); });
    for (int signum : {SIGTERM, SIGHUP}) {
      loop_.OnSignal(signum, [this] { Stop(); });
    }
    auto json = JsonDocument::Parse(spec);
    prompted_ = json && !(*json)["prompt"].StringOr("").empty();
    create_ =
        http_.Send(client_.Request("POST", "/agents", std::move(spec)), [this](Result<HttpResponse> answer) {
          if (!answer) return Fail(answer.error());
          if (answer->status != 201) return Fail(Client::ErrorOf(*answer));
          auto agent = JsonDocument::Parse(answer->body);
          if (agent) agent_ = (*agent)["id"].StringOr("");
          if (agent_.empty()) return Fail({"no_json", "the server's answer names no agent"});
          Created(*agent);
        });
    loop_.Run();
    return code_;
  }

 private:
  void Created(const JsonDocument& agent) {
    if (options_.detach) {
      console_.Line(console_.json() ? agent.root().Raw() : agent_);
      code_ = kOk;
      return loop_.Stop();
    }
    output_.Note("agent " + agent_);
    EventStream::Handlers handlers;
    handlers.on_event = [this](const JsonValue& event) { Take(event); };
    handlers.on_gap = [this](const JsonValue& gap) { output_.Gap(agent_, gap); };
    handlers.on_pause = [this] { output_.Pause(); };
    handlers.on_end = [this](const Result<std::string>& reason) {
      if (reason) return Finish(code_);
      Fail(reason.error());
    };
    stream_ = std::make_unique<EventStream>(loop_, http_, client_,
                                            EventStream::What{{agent_}, {{agent_, "0"}}, "", false, false},
                                            std::move(handlers));
    stream_->Open();
    if (asked_ == Asked::kStop) Order("stop");
  }

  void Take(const JsonValue& event) {
    output_.Take(event);
    const std::string_view type = event["type"].StringOr("");
    const JsonValue data = event["data"];
    if (type == "agent.failed" && code_ == kOk) code_ = kFailed;
    if (type != "run.completed" && type != "run.failed" && type != "run.cancelled") return;
    const auto exit_code = static_cast<int>(data["exit_code"].AsInt().value_or(0));
    code_ = type == "run.completed"   ? kOk
            : type == "run.cancelled" ? kCancelled
            : exit_code != 0          ? exit_code
                                      : kFailed;
    // An agent with turns lives on; what was asked of it is done.
    if (prompted_ && data["message_id"]) Finish(code_);
  }

  // --- signals

  // First the run is to end, then the agent, and then only this command does.
  void Interrupted() {
    if (asked_ != Asked::kNothing || agent_.empty() || removing_) return Stop();
    asked_ = Asked::kInterrupt;
    output_.Note("interrupting the run (once more: stop the agent)");
    Order("interrupt");
  }

  void Stop() {
    if (asked_ == Asked::kStop || removing_) return Leave();
    asked_ = Asked::kStop;
    if (agent_.empty()) return;  // once it is made
    output_.Note("stopping agent " + agent_ + " (once more: leave it)");
    Order("stop");
  }

  // Nothing to wait for any more. What was to be removed is, though nobody looks.
  void Leave() {
    code_ = kCancelled;
    if (agent_.empty() || removing_) return End();
    if (options_.remove) return Remove();
    output_.Note("agent " + agent_ + " goes on");
    End();
  }

  void Order(const std::string& what) {
    order_ = http_.Send(client_.Request("POST", AgentPath(agent_) + "/" + what, "{}"),
                        [this, what](const Result<HttpResponse>& answer) {
                          if (answer && answer->status / 100 == 2) return;
                          const Error error = answer ? Client::ErrorOf(*answer) : answer.error();
                          // Between its turns there is nothing to interrupt.
                          if (error.code == "not_running" && asked_ == Asked::kInterrupt) return Stop();
                          output_.Note("agent " + agent_ + ": " + what + ": " + error.message);
                        });
  }

  // --- the end

  void Finish(int code) {
    if (removing_) return;
    code_ = code;
    if (stream_) stream_->Close();
    if (!options_.remove) return End();
    Remove();
  }

  void Remove() {
    removing_ = true;
    if (stream_) stream_->Close();
    remove_ = http_.Send(client_.Request("DELETE", AgentPath(agent_) + "?purge=true"),
                         [this](const Result<HttpResponse>& answer) {
                           if (!answer || answer->status / 100 != 2) {
                             const Error error = answer ? Client::ErrorOf(*answer) : answer.error();
                             console_.Fail(error, "remove " + agent_);
                             return End();
                           }
                           give_up_at_ms_ = loop_.NowMs() + kRemovedMs;
                           LookWhetherGone();
                         });
  }

  // Its process may take its time to end, and its id is taken until then.
  void LookWhetherGone() {
    remove_ =
        http_.Send(client_.Request("GET", AgentPath(agent_)), [this](const Result<HttpResponse>& answer) {
          if (!answer || answer->status == 404 || loop_.NowMs() > give_up_at_ms_) return End();
          look_.Start(kLookMs);
        });
  }

  void Fail(const Error& error) {
    output_.End();
    code_ = console_.Fail(error, agent_);
    loop_.Stop();
  }

  void End() {
    output_.End();
    if (stream_) stream_->Close();
    loop_.Stop();
  }

  Loop& loop_;
  HttpClient http_;
  const Client client_;
  const RunOptions& options_;
  Console& console_;
  RunOutput output_;
  Timer look_;
  std::string agent_;
  int code_ = kFailed;
  bool prompted_ = false;  // it ends with the answer to that
  enum class Asked { kNothing, kInterrupt, kStop };
  Asked asked_ = Asked::kNothing;  // by signals
  bool removing_ = false;
  int64_t give_up_at_ms_ = 0;
  std::unique_ptr<HttpCall> create_, order_, remove_;
  std::unique_ptr<EventStream> stream_;
};

int RunAgent(const RunOptions& options) {
  Console console("run", options);
  auto client = Client::Find(options.client);
  if (!client) return console.Fail(client.error());
  auto spec = RunSpec(options);
  if (!spec) return console.Fail(spec.error());
  Loop loop;
  return Follower(loop, std::move(*client), options, console).Run(std::move(*spec));
}

}  // namespace

void AddRun(Command root) {
  auto options = std::make_shared<RunOptions>();
  Command command = root.Add("run", "Start an agent in a running daemon, follow it, exit as it did.");
  command.Details(
      "What the program prints comes out here byte for byte, stdout and stderr apart; an agent's words come "
      "on "
      "stdout, its tool calls and what it asks on stderr. With --prompt it ends when that is answered, and "
      "the "
      "agent stays. Ctrl-C interrupts the run, a second one stops the agent, a third leaves it running: 130. "
      "TERM and HUP stop the agent.");
  command.Option("--kind", options->kind, "KIND", "process, jsonl, claude, codex, acp, opencode, kilo, …")
      .Default("process");
  command.Option("--id,--name", options->id, "ID", "The agent's id").Default("made up");
  command.Option("--title", options->title, "TEXT", "What people call it");
  command.Option("--cwd", options->cwd, "DIR", "Where it works; with --workspace a path within that")
      .Default("here");
  command.Option("--prompt", options->prompt, "TEXT",
                 "Its first message; -: what stdin says. For an agent with turns, run exits when it is done");
  command.Option("--model", options->model, "MODEL", "provider/model, for kinds that know models");
  command.Option("-e,--env", options->env, "NAME[=VALUE]",
                 "A variable of its environment; without a value: as it is here");
  command.Option("--env-file", options->env_files, "FILE", "Lines of NAME=VALUE, # for comments");
  command.Option("-l,--label", options->labels, "KEY=VALUE", "A label");
  command.Option("--workspace", options->workspace, "GIT[#BRANCH]",
                 "It works in a clone of its own of this repository");
  command.Option("--restart", options->restart, "never|on_failure|always", "Start it again when it ends")
      .Default("never");
  command
      .Option("--permission", options->permission, "ask|allow|deny", "What becomes of what no rule decides")
      .Default("ask");
  command.Option("--spec", options->spec_file, "FILE",
                 "A spec in JSON, as the API has it; the options win over it");
  OptionRef detach = command.Flag("-d,--detach", options->detach, "Print its id, and leave it to the daemon");
  command.Flag("--rm", options->remove, "Remove it and its log when it has ended, also by a signal")
      .Excludes(detach);
  command.Argument("COMMAND", options->command, "The program and its arguments, after --");
  AddCommonOptions(command, *options);
  command.Example("reeve run -- make -j4", "as if it were called here: its output, its exit code");
  command.Example("reeve run --rm -e CI=1 -- sh -c 'make && make test'",
                  "nothing is left of it but the exit code");
  command.Example("reeve run -d --name web --restart always -- ./server",
                  "one that the daemon keeps running");
  command.Example("git diff | reeve run --kind claude --prompt - --permission deny", "an answer on stdout");
  command.Action([options] { return RunAgent(*options); });
}

}  // namespace reeve
