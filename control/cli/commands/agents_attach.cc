// `reeve agents attach`: follow an agent and type to it.
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "control/cli/client/agent_log.h"
#include "control/cli/client/agent_names.h"
#include "control/cli/client/event_stream.h"
#include "control/cli/client/message_sender.h"
#include "control/cli/commands/agents_commands.h"
#include "control/cli/commands/attach_prompt.h"
#include "control/cli/show/event_printer.h"
#include "control/cli/terminal/console.h"
#include "control/cli/terminal/input_reader.h"
#include "orchestrator/log/event.h"
#include "process/loop.h"

namespace reeve {

namespace {

constexpr int64_t kRetryMs = 500;
constexpr size_t kMaxLine = size_t{512} << 10;  // of stdin, off a terminal

struct AttachOptions : CommonOptions {
  std::string agent;
  int tail = 100;
};

class Attachment {
 public:
  Attachment(const AttachOptions& options, Client client, Console& console, std::string agent)
      : options_(options),
        client_(std::move(client)),
        console_(console),
        agent_(std::move(agent)),
        interactive_(!options.json && console.columns() != 0 && isatty(STDIN_FILENO) == 1),
        http_(loop_),
        printer_(Looks(), [this](std::string_view text) { out_ += text; }),
        sender_(loop_, http_, client_, agent_,
                [this](const std::string& text, const Result<JsonDocument>& answer) { Sent(text, answer); }),
        input_(loop_, [this](const std::string& bytes) { TakeInput(bytes); }),
        again_(loop_, [this] { AwaitIdle(); }) {}

  int Run() {
    auto snapshot = client_.AskJson(client_.Request("GET", AgentPath(agent_) + "/snapshot"));
    if (!snapshot) return console_.Fail(snapshot.error(), agent_);
    const std::string cursor((*snapshot)["cursor"].StringOr("0"));
    std::set<std::string> told;
    if (Status past = PrintPast(cursor, told); !past) return console_.Fail(past.error(), agent_);
    if (interactive_) PrintUntold((*snapshot)["pending"], told);
    printer_.Begin(agent_, (*snapshot)["partial_text"].StringOr(""));
    if (interactive_) TakeTerminal();
    Pause();
    if (prompt_) prompt_->Begin(snapshot->root());

    for (int signum : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) {
      loop_.OnSignal(signum, [this, signum] { Finish(128 + signum); });
    }
    EventStream::Handlers handlers;
    handlers.on_event = [this](const JsonValue& event) { Take(event); };
    handlers.on_gap = [this](const JsonValue& gap) { printer_.Gap(agent_, gap); };
    handlers.on_pause = [this] { Pause(); };
    handlers.on_end = [this](const Result<std::string>& reason) { Ended(reason); };
    EventStream stream(loop_, http_, client_, {{agent_}, {{agent_, cursor}}, "", true}, handlers);
    stream_ = &stream;
    stream.Open();
    input_.Read();
    loop_.Run();
    stream.Close();
    printer_.End();
    Flush();
    if (prompt_) prompt_->End();
    if (interactive_ && !sender_.idle()) console_.Note("not sent: what was said last");
    if (lost_) return console_.Fail(*lost_, agent_);
    if (interactive_)
      console_.Note(deleted_ ? "agent " + agent_ + " was deleted" : "left " + agent_ + ": it goes on");
    return code_;
  }

 private:
  [[nodiscard]] EventPrinter::Options Looks() const {
    EventPrinter::Options looks;
    looks.json = options_.json;
    looks.colours = console_.colours();
    looks.live = console_.columns() != 0;
    looks.columns = console_.columns();
    return looks;
  }

  // Up to where the live events begin. What is being said at that time the snapshot has, whole.
  // Puts into `told` what it says is asked, by id.
  Status PrintPast(const std::string& cursor, std::set<std::string>& told) {
    AgentLog::Range range;
    range.tail = static_cast<uint64_t>(options_.tail);
    range.counts = [](std::string_view type) {
      return type != "assistant.delta" && type != "reasoning.delta";
    };
    AgentLog log(client_, agent_, range, AgentLog::kMaxTail);
    const auto end = Cursor::Parse(cursor).value_or(Cursor{});
    Status read = log.Open();
    for (; read && log.event(); read = log.Next()) {
      const JsonValue event = log.event();
      if (event["seq"].AsInt().value_or(0) > static_cast<int64_t>(end.seq)) break;
      const std::string_view type = event["type"].StringOr("");
      const std::string asked(event["data"]["id"].StringOr(""));
      if (type == "approval.requested" || type == "elicitation.requested") told.insert(asked);
      if (type == "approval.resolved" || type == "elicitation.resolved") told.erase(asked);
      if (options_.json || range.counts(event["type"].StringOr(""))) printer_.Print(event);
      Flush();
    }
    return read;
  }

  // What has been asked for so long that it is not among the last events: a key answers it all the same, and
  // what it answers has to be on the screen, whole.
  void PrintUntold(const JsonValue& pending, const std::set<std::string>& told) {
    for (const JsonValue& request : pending.Elements()) {
      if (told.count(std::string(request["id"].StringOr(""))) != 0) continue;
      const bool answer = request["kind"].StringOr("") == "elicitation";
      const std::string event = JsonObject()
                                    .Set("agent", agent_)
                                    .Set("time", request["requested_at"].StringOr(""))
                                    .Set("type", answer ? "elicitation.requested" : "approval.requested")
                                    .SetRaw("data", request.Raw())
                                    .Take();
      if (auto json = JsonDocument::Parse(event)) printer_.Print(json->root());
    }
    printer_.Pause();
  }

  void TakeTerminal() {
    AttachPrompt::Actions actions;
    actions.send = [this](std::string text) { sender_.Send(std::move(text)); };
    actions.interrupt = [this] { Interrupt(); };
    actions.decide = [this](const std::string& approval, const char* decision) {
      Decide(approval, decision);
    };
    actions.note = [this](std::string_view text) { Note(text); };
    actions.leave = [this](bool interrupted) { Leave(interrupted ? kCancelled : kOk); };
    actions.quit = [this] { Finish(kOk); };
    prompt_ = std::make_unique<AttachPrompt>(loop_, agent_, console_.columns(), console_.colours(), actions);
    loop_.OnSignal(SIGWINCH, [this] {
      printer_.Resize(console_.columns());
      prompt_->Resize(console_.columns());
    });
    loop_.OnSignal(SIGTSTP, [this] { prompt_->Suspend(); });
    loop_.OnSignal(SIGCONT, [this] { prompt_->Retake(); });
  }

  void Take(const JsonValue& event) {
    printer_.Print(event);
    if (prompt_) {
      Flush();  // first what was said, then what is to be said to it
      prompt_->Take(event);
    }
  }

  void Pause() {
    printer_.Pause();
    Flush();
    CheckIdle();
  }

  void Flush() {
    if (out_.empty()) return;
    if (prompt_) {
      prompt_->Print(out_);
    } else {
      std::fwrite(out_.data(), 1, out_.size(), stdout);
      std::fflush(stdout);
    }
    out_.clear();
  }

  void Note(std::string_view text) {
    if (!prompt_) return console_.Note(text);
    printer_.Note(text);
    Flush();
  }

  // --- what is typed

  void TakeInput(const std::string& bytes) {
    if (prompt_) {
      if (bytes.empty()) return Finish(kOk);
      prompt_->Type(bytes);
      return input_.Read();
    }
    at_end_ = bytes.empty();
    typed_ += bytes;
    for (size_t end = typed_.find('\n'); end != std::string::npos; end = typed_.find('\n')) {
      SendLine(typed_.substr(0, end));
      typed_.erase(0, end + 1);
    }
    if (at_end_ || typed_.size() > kMaxLine) SendLine(std::exchange(typed_, {}));
    if (sender_.idle()) ReadOn();
  }

  void SendLine(std::string line) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (!line.empty()) sender_.Send(std::move(line));
  }

  // What was read has been sent.
  void ReadOn() {
    if (at_end_) return AwaitIdle();
    input_.Read();
  }

  void Sent(const std::string& text, const Result<JsonDocument>& answer) {
    if (!answer) {
      Note("not sent: " + answer.error().message);
      leaving_.reset();
      if (prompt_) return prompt_->GiveBack(text);
      lost_ = answer.error();
      return loop_.Stop();
    }
    const std::string_view disposition = (*answer)["disposition"].StringOr("");
    if (prompt_ && disposition == "queued") Note("message queued");
    if (!prompt_ && sender_.idle()) ReadOn();
    Settled();
  }

  // --- nothing more will be typed: what was said is done when the agent has come to rest

  void AwaitIdle() {
    HttpRequest request = client_.Request("GET", AgentPath(agent_) + "/wait?until=idle&timeout_ms=50000");
    request.timeout_ms = 60'000;
    wait_ = http_.Send(std::move(request), [this](const Result<HttpResponse>& answer) {
      auto idle = answer && answer->status == 200 ? JsonDocument::Parse(answer->body)
                                                  : Result<JsonDocument>(Error{"unreachable", ""});
      if (!idle) return again_.Start(kRetryMs);  // how long, the stream decides
      idle_at_ = Cursor::Parse((*idle)["cursor"].StringOr(""));
      CheckIdle();
    });
  }

  void CheckIdle() {
    if (!idle_at_ || !stream_) return;
    const auto at = Cursor::Parse(stream_->cursor(agent_));
    if (at && (at->epoch > idle_at_->epoch || at->seq >= idle_at_->seq)) Finish(kOk);
  }

  // --- what is done

  void Interrupt() {
    interrupt_ = http_.Send(client_.Request("POST", AgentPath(agent_) + "/interrupt", "{}"),
                            [this](const Result<HttpResponse>& answer) {
                              const auto ended = std::move(interrupt_);
                              if (!answer) {
                                Note("not interrupted: " + answer.error().message);
                              } else if (answer->status / 100 != 2) {
                                Note("not interrupted: " + Client::ErrorOf(*answer).message);
                              }
                              Settled();
                            });
  }

  void Decide(const std::string& approval, const char* decision) {
    decide_ = http_.Send(client_.Request("POST", AgentPath(agent_) + "/approvals/" + PercentEncode(approval),
                                         JsonObject().Set("decision", decision).Take()),
                         [this](const Result<HttpResponse>& answer) {
                           const auto ended = std::move(decide_);
                           if (answer && answer->status / 100 == 2) return Settled();  // the event tells
                           leaving_.reset();
                           const Error error = answer ? Client::ErrorOf(*answer) : answer.error();
                           Note("not answered: " + error.message);
                           prompt_->AskAgain();
                         });
  }

  void Ended(const Result<std::string>& reason) {
    if (reason) {
      deleted_ = *reason == "agent_deleted";
    } else {
      lost_ = reason.error();
    }
    loop_.Stop();
  }

  // --- the end

  [[nodiscard]] bool under_way() const { return !sender_.idle() || interrupt_ || decide_; }

  // What was typed before is done first, unless somebody insists.
  void Leave(int code) {
    if (leaving_ || !under_way()) return Finish(code);
    leaving_ = code;
    Note("the daemon has not answered yet; once more leaves, done or not");
  }

  void Settled() {
    if (leaving_ && !under_way()) Finish(*leaving_);
  }

  void Finish(int code) {
    code_ = code;
    loop_.Stop();
  }

  const AttachOptions& options_;
  const Client client_;
  Console& console_;
  const std::string agent_;
  const bool interactive_;
  Loop loop_;
  HttpClient http_;
  std::string out_;  // printed, and not yet shown
  EventPrinter printer_;
  MessageSender sender_;
  InputReader input_;
  Timer again_;
  std::unique_ptr<AttachPrompt> prompt_;  // on a terminal
  EventStream* stream_ = nullptr;
  std::string typed_;    // off a terminal: a line without its end
  bool at_end_ = false;  // of stdin
  std::optional<Cursor> idle_at_;
  std::unique_ptr<HttpCall> wait_, interrupt_, decide_;
  std::optional<int> leaving_;  // when nothing is under way any more: with this code
  std::optional<Error> lost_;
  bool deleted_ = false;
  int code_ = kOk;
};

int Attach(const AttachOptions& options) {
  Console console("agents attach", options);
  auto client = Client::Find(options.client);
  if (!client) return console.Fail(client.error());
  auto agent = FindAgent(*client, options.agent);
  if (!agent) return console.Fail(agent.error(), options.agent);
  return Attachment(options, std::move(*client), console, std::move(*agent)).Run();
}

}  // namespace

void AddAgentsAttach(Command agents) {
  auto options = std::make_shared<AttachOptions>();
  Command command = agents.Add("attach", "Follow an agent and type to it; answer what it asks with a key.");
  command.Details(
      "Enter sends the line as a message, Ctrl-J begins another line of it, and what is pasted is one "
      "message. One that finds no daemon is sent, once, when there is one again. While nothing is "
      "typed, y allows what the agent asks once, a always, n denies it; only what is shown is "
      "answered. Ctrl-C interrupts the run, a second one leaves; Ctrl-D leaves on an empty line: both when "
      "what was typed has been sent, or at once when pressed again. Ctrl-\\ always leaves at once. Off a "
      "terminal each line of stdin is a message; at its end the command ends "
      "when the agent has come to rest.");
  command.Argument("AGENT", options->agent, "An id, a title, or key=value for a label").Required();
  command
      .Option("--tail", options->tail, 1, static_cast<int>(AgentLog::kMaxTail),
              "How many past events come first")
      .Default("100");
  AddCommonOptions(command, *options);
  command.Example("reeve agents attach a1", "look over its shoulder, and talk to it");
  command.Example("echo 'and now the tests' | reeve agents attach a1", "one message; ends when all is done");
  command.Action([options] { return Attach(*options); });
}

}  // namespace reeve
