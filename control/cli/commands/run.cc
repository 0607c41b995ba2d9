// `reeve run`: starts an agent in a running daemon, follows its stream, and exits with its exit code.
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <utility>

#include "control/cli/client/agent_names.h"
#include "control/cli/client/agent_wait.h"
#include "control/cli/client/event_stream.h"
#include "control/cli/commands/commands.h"
#include "control/cli/commands/run_input.h"
#include "control/cli/commands/run_spec.h"
#include "control/cli/show/agent_words.h"
#include "control/cli/show/run_output.h"
#include "orchestrator/json/json.h"
#include "orchestrator/log/event_types.h"
#include "process/loop.h"
#include "process/spawn.h"
#include "process/timer.h"

namespace reeve {

namespace {

constexpr int64_t kGoneLookMs = 50;     // between two checks that a deleted agent is gone
constexpr int64_t kRemovedMs = 10'000;  // the longest that may take
constexpr int64_t kHangUpMs = 2'000;    // from the interrupt after a hang-up to the stop

class Follower {
 public:
  Follower(Loop& loop, Client client, const RunOptions& options, Console& console)
      : loop_(loop),
        http_(loop),
        client_(std::move(client)),
        options_(options),
        console_(console),
        output_(console, [this](const Error& reason) { HangUp(reason); }),
        look_(loop, [this] { LookWhetherGone(); }),
        give_up_(loop, [this] { Stop(); }) {}

  int Run(RunRequest request) {
    std::string spec = std::move(request.spec);
    sends_input_ = request.sends_input;
    keeps_open_ = request.keeps_open;
    loop_.OnSignal(SIGINT, [this] { Interrupted(); });
    for (int signum : {SIGTERM, SIGHUP}) {
      loop_.OnSignal(signum, [this] { Stop(); });
    }
    auto json = JsonDocument::Parse(spec);
    prompted_ = json && !(*json)["prompt"].StringOr("").empty();
    if (json) wanted_id_ = (*json)["id"].StringOr("");
    create_ =
        http_.Send(client_.Request("POST", "/agents", std::move(spec)), [this](Result<HttpResponse> answer) {
          if (!answer) return Fail(answer.error());
          if (answer->status != 201) return Fail(Refusal(Client::ErrorOf(*answer)));
          auto agent = JsonDocument::Parse(answer->body);
          if (agent) agent_ = (*agent)["id"].StringOr("");
          if (agent_.empty()) return Fail({"no_json", "the daemon's answer names no agent"});
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
    if (sends_input_) input_ = std::make_unique<RunInput>(loop_, http_, client_, agent_, keeps_open_);
    EventStream::Handlers handlers;
    handlers.on_event = [this](const JsonValue& event) { Take(event); };
    handlers.on_gap = [this](const JsonValue& gap) { output_.Gap(agent_, gap); };
    handlers.on_pause = [this] { output_.Pause(); };
    handlers.on_end = [this](const Result<std::string>& reason) {
      if (reason) return Finish(code_);
      Fail(reason.error());
    };
    handlers.on_away = [this](bool away) { output_.Note(Console::AwayWords(away)); };
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
    if (input_ && type == event_type::kAgentReady) input_->OnReady();
    if (input_ && type == event_type::kAgentExited) input_->OnExited();
    if (hung_up_) return;
    if (type == event_type::kAgentFailed && code_ == kOk) code_ = kFailed;
    if (!event_type::EndsRun(type)) return;
    code_ = type == event_type::kRunCompleted   ? kOk
            : type == event_type::kRunCancelled ? kCancelled
                                                : CodeOfFailedRun(data);
    // An agent with turns stays alive after it has answered the prompt.
    if (prompted_ && data["message_id"]) Finish(code_);
  }

  // --- signals

  // Nobody reads the output any more, or it cannot be written. The run is interrupted as by a hang-up of the
  // terminal; a program that goes on is stopped. Its further output, which may be much, is not received.
  void HangUp(const Error& reason) {
    code_ = reason.code == "hung_up" ? kHungUp : console_.Fail(reason, agent_);
    hung_up_ = true;
    if (removing_) return;
    if (stream_) stream_->Close();
    asked_ = Asked::kInterrupt;
    order_ = http_.Send(
        client_.Request("POST", AgentPath(agent_) + "/interrupt", "{}"), [this](const Result<HttpResponse>&) {
          if (options_.remove) return Remove();
          give_up_.Start(kHangUpMs);
          end_ =
              std::make_unique<AgentWait>(loop_, http_, client_, AgentWait::Condition{agent_, "idle", "", -1},
                                          [this](const Result<JsonDocument>&) { Finish(code_); });
          end_->Begin();
        });
  }

  // The first signal interrupts the run, the second stops the agent, the third ends only this command.
  void Interrupted() {
    if (asked_ != Asked::kNothing || agent_.empty() || removing_) return Stop();
    asked_ = Asked::kInterrupt;
    output_.Note("interrupting the run; a second Ctrl-C stops the agent");
    Order("interrupt");
  }

  void Stop() {
    if (asked_ == Asked::kStop || removing_) return Leave();
    asked_ = Asked::kStop;
    if (agent_.empty()) return;  // Created stops it
    output_.Note("stopping agent " + agent_ + "; another signal leaves it running");
    Order("stop");
  }

  // Stops waiting. With --rm the agent is still removed.
  void Leave() {
    if (!hung_up_) code_ = kCancelled;
    if (agent_.empty() || removing_) return End();
    if (options_.remove) return Remove();
    output_.Note("agent " + agent_ + " keeps running");
    End();
  }

  void Order(const std::string& what) {
    order_ = http_.Send(client_.Request("POST", AgentPath(agent_) + "/" + what, "{}"),
                        [this, what](const Result<HttpResponse>& answer) {
                          if (answer && answer->status / 100 == 2) return;
                          const Error error = answer ? Client::ErrorOf(*answer) : answer.error();
                          // Between turns there is no run to interrupt.
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
    input_.reset();
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

  // The process may need time to exit, and its id is in use until then.
  void LookWhetherGone() {
    remove_ =
        http_.Send(client_.Request("GET", AgentPath(agent_)), [this](const Result<HttpResponse>& answer) {
          if (!answer || answer->status == 404 || loop_.NowMs() > give_up_at_ms_) return End();
          look_.Start(kGoneLookMs);
        });
  }

  // Says how to go on.
  [[nodiscard]] Error Refusal(Error error) const {
    if (error.code == "agent_exists")
      error.message += "; choose another --id. `reeve start " + wanted_id_ +
                       "` starts it again, `reeve rm --purge " + wanted_id_ + "` deletes it and its log";
    const char* path = std::getenv("PATH");  // the daemon's PATH is not ours
    if (options_.command.empty() || !path || !error.message.ends_with("was not found")) return error;
    if (options_.command[0].find('/') != std::string::npos) return error;
    const std::string here = FindProgram(options_.command[0], path);
    if (!here.empty())
      error.message += " on the daemon's PATH; here it is " + here + ": give that path, or -e PATH";
    return error;
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
  Timer give_up_;          // after a hang-up
  std::string wanted_id_;  // empty: the daemon chooses one
  std::string agent_;
  int code_ = kFailed;
  bool prompted_ = false;  // the command ends when the prompt is answered
  enum class Asked { kNothing, kInterrupt, kStop };
  Asked asked_ = Asked::kNothing;  // of the agent, by signals
  bool removing_ = false;
  bool hung_up_ = false;  // the output cannot be written
  bool sends_input_ = false;
  bool keeps_open_ = false;
  std::unique_ptr<RunInput> input_;
  int64_t give_up_at_ms_ = 0;
  std::unique_ptr<HttpCall> create_, order_, remove_;
  std::unique_ptr<AgentWait> end_;  // after a hang-up
  std::unique_ptr<EventStream> stream_;
};

int RunAgent(const RunOptions& options) {
  Console console("run", options);
  auto client = Client::Find(options.client);
  if (!client) return console.Fail(client.error());
  auto request = MakeRunRequest(options, isatty(STDIN_FILENO) == 1);
  if (!request) return console.Fail(request.error());
  struct stat input {};
  if (request->sends_input && fstat(STDIN_FILENO, &input) == 0 && S_ISDIR(input.st_mode))
    return console.Fail({"invalid_request", "stdin is a directory"});
  (void)std::signal(SIGPIPE, SIG_IGN);  // a reader that goes away ends the run, not only this command
  Loop loop;
  return Follower(loop, std::move(*client), options, console).Run(std::move(*request));
}

}  // namespace

void AddRun(Command root) {
  auto options = std::make_shared<RunOptions>();
  Command command = root.Add("run", "Start an agent, follow it, and exit with its exit code.");
  command.Details(
      "The daemon starts the agent. The output of a program is printed byte for byte, on stdout and stderr "
      "as it was; the messages of an agent are printed on stdout, its tool calls and questions on stderr. "
      "With --prompt, the end of a coding agent's run ends the command, and the agent stays.\n\n"
      "A program reads our stdin, to its end, if that is a pipe or a file; if it is a terminal, the program's "
      "stdin is empty. With -i, -d or --prompt the program's stdin stays open for messages (`reeve "
      "wake`), and with -d or --prompt ours is not read. Other kinds of agents never read our stdin.\n\n"
      "Ctrl-C interrupts the run, a second one stops the agent, a third leaves it running (exit code 130). "
      "SIGTERM and SIGHUP stop the agent. If the reader of the output goes away (`| head`), the run is "
      "interrupted (141); if the output cannot be written, it is too (74).");
  command
      .Option("--kind", options->kind, "KIND",
              "How the agent is driven: as any program (process, jsonl), or as a coding agent (claude, "
              "codex, opencode, kilo, acp, pi)")
      .Default("process");
  command.Option("--id,--name", options->id, "ID", "The agent's id").Default("generated");
  command.Option("--title", options->title, "TEXT", "A name for people");
  command.Option("--cwd", options->cwd, "DIR", "Its working directory; with --workspace, a path in the clone")
      .Default("the current directory");
  command.Option("--prompt", options->prompt, "TEXT",
                 "Its first message; -: read it from stdin. With a coding agent, run exits after the answer");
  command.Option("--model", options->model, "MODEL", "provider/model, for kinds that have models");
  command.Option("-e,--env", options->env, "NAME[=VALUE]",
                 "A variable for its environment; without a value, the one of this environment");
  command.Option("--env-file", options->env_files, "FILE",
                 "A file with lines of NAME[=VALUE]; # begins a comment");
  command.Option("-l,--label", options->labels, "KEY=VALUE", "A label");
  command.Option("--workspace", options->workspace, "GIT[#BRANCH]",
                 "Address of a repository: the agent works in a clone of its own");
  command.Option("--restart", options->restart, "never|on_failure|always", "Start it again when it exits")
      .Default("never");
  command
      .Option("--permission", options->permission, "ask|allow|deny",
              "The answer when a coding agent asks to use a tool, if no rule of its spec decides")
      .Default("ask");
  command.Option("--spec", options->spec_file, "FILE",
                 "A JSON file with a spec as in the API; options take precedence");
  OptionRef interactive =
      command.Flag("-i,--interactive", options->interactive, "Keep the program's stdin open for messages");
  command.Flag("--no-stdin", options->no_stdin, "Give the program an empty stdin").Excludes(interactive);
  OptionRef detach = command.Flag("-d,--detach", options->detach, "Print its id, and do not follow it");
  command
      .Flag("--rm", options->remove,
            "Delete it and its log when it has exited, or a signal ends this command")
      .Excludes(detach);
  command.Argument("COMMAND", options->command,
                   "The program and its arguments. All words after the program belong to it");
  AddCommonOptions(command, *options);
  command.Example("reeve run make -j4", "like the program itself: its output, its exit code");
  command.Example("reeve run --rm -e CI=1 -- sh -c 'make && make test'",
                  "leaves nothing but the output and the exit code");
  command.Example("git diff | reeve run -- wc -l", "the program reads our stdin, to its end");
  command.Example("reeve run -d --name web --restart always -- ./server",
                  "a server that the daemon keeps running");
  command.Example("git diff | reeve run --kind claude --prompt - --permission deny",
                  "prints the answer on stdout");
  command.Action([options] { return RunAgent(*options); });
}

}  // namespace reeve
