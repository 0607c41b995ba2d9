// `reeve agents attach`: follow an agent and type to it.
#include <unistd.h>

#include <csignal>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "control/cli/client/agent_log.h"
#include "control/cli/client/agent_names.h"
#include "control/cli/client/event_stream.h"
#include "control/cli/client/message_sender.h"
#include "control/cli/client/pending_calls.h"
#include "control/cli/commands/agents_commands.h"
#include "control/cli/commands/attach_prompt.h"
#include "control/cli/show/event_printer.h"
#include "control/cli/show/event_words.h"
#include "control/cli/terminal/console.h"
#include "control/cli/terminal/input_reader.h"
#include "control/cli/terminal/terminal_mode.h"
#include "orchestrator/log/event.h"
#include "orchestrator/log/event_types.h"
#include "process/loop.h"

namespace reeve {

namespace {

constexpr int64_t kRetryMs = 500;
constexpr size_t kMaxLine = size_t{512} << 10;  // bytes of a line of stdin, if it is not a terminal

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
        printer_({.json = options.json,
                  .colours = console.colours(),
                  .live = console.columns() != 0,
                  .columns = console.columns()},
                 [this](std::string_view text) { out_ += text; }),
        sender_(loop_, http_, client_, agent_,
                [this](const std::string& text, const Result<JsonDocument>& answer) { Sent(text, answer); }),
        input_(loop_, [this](const std::string& bytes) { TakeInput(bytes); }),
        retry_wait_(loop_, [this] { AwaitIdle(); }),
        wait_(http_),
        orders_(http_) {}

  int Run() {
    auto snapshot = client_.AskJson(client_.Request("GET", AgentPath(agent_) + "/snapshot"));
    if (!snapshot) return console_.Fail(snapshot.error(), agent_);
    const std::string cursor((*snapshot)["cursor"].StringOr("0"));
    std::set<std::string> printed;
    if (Status past = PrintPast(cursor, printed); !past) return console_.Fail(past.error(), agent_);
    if (interactive_) PrintOlderRequests((*snapshot)["pending"], printed);
    printer_.Begin(agent_, snapshot->root());
    if (interactive_) TakeTerminal();
    Pause();
    if (prompt_) prompt_->Begin(snapshot->root());

    for (int signum : {SIGINT, SIGTERM, SIGHUP, SIGQUIT})
      loop_.OnSignal(signum, [this, signum] { Finish(128 + signum); });
    EventStream::Handlers handlers;
    handlers.on_event = [this](const JsonValue& event) { Take(event); };
    handlers.on_gap = [this](const JsonValue& gap) { printer_.Gap(agent_, gap); };
    handlers.on_pause = [this] { Pause(); };
    handlers.on_end = [this](const Result<std::string>& reason) { Ended(reason); };
    handlers.on_away = [this](bool away) { Note(Console::AwayWords(away)); };
    EventStream stream(loop_, http_, client_, {{agent_}, {{agent_, cursor}}, "", true}, handlers);
    stream_ = &stream;
    stream.Open();
    input_.Read();
    loop_.Run();
    input_.Stop();
    stream.Close();
    printer_.End();
    Flush();
    if (prompt_) prompt_->End();
    if (interactive_ && !sender_.idle()) console_.Note("the last message was not sent");
    if (lost_) return console_.Fail(*lost_, agent_);
    if (interactive_)
      console_.Note(deleted_ ? "agent " + agent_ + " was deleted"
                             : "left " + agent_ + "; the agent keeps running");
    return code_;
  }

 private:
  // Prints the log up to `cursor`. The snapshot holds the message that was arriving at that time. Leaves in
  // `printed` the ids of the requests that are still open.
  Status PrintPast(const std::string& cursor, std::set<std::string>& printed) {
    AgentLog::Range range;
    range.tail = static_cast<uint64_t>(options_.tail);
    range.counts = [](std::string_view type) {
      return type != event_type::kAssistantDelta && type != event_type::kReasoningDelta;
    };
    AgentLog log(client_, agent_, range, AgentLog::kMaxTail);
    const auto end = Cursor::Parse(cursor).value_or(Cursor{});
    Status read = log.Open();
    for (; read && log.event(); read = log.Next()) {
      const JsonValue event = log.event();
      if (event["seq"].AsInt().value_or(0) > static_cast<int64_t>(end.seq)) break;
      const std::string_view type = event["type"].StringOr("");
      const std::string id(event["data"]["id"].StringOr(""));
      if (IsRequest(type)) printed.insert(id);
      if (IsAnswer(type)) printed.erase(id);
      if (options_.json || range.counts(type)) printer_.Print(event);
      Flush();
    }
    return read;
  }

  // Prints requests that are older than the events printed, because a key will answer them.
  void PrintOlderRequests(const JsonValue& pending, const std::set<std::string>& printed) {
    for (const JsonValue& request : pending.Elements()) {
      if (printed.count(std::string(request["id"].StringOr(""))) != 0) continue;
      const std::string kind(request["kind"].StringOr("approval"));
      const std::string event = JsonObject()
                                    .Set("agent", agent_)
                                    .Set("time", request["requested_at"].StringOr(""))
                                    .Set("type", kind + ".requested")
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

  // ---------------------------------------------------------------------------------------------- output

  void Take(const JsonValue& event) {
    printer_.Print(event);
    if (!prompt_) return;
    Flush();  // output first, then the prompt that it changes
    prompt_->Take(event);
  }

  void Pause() {
    printer_.Pause();
    Flush();
    CheckIdle();
  }

  void Flush() {
    if (!out_.empty()) prompt_ ? prompt_->Print(out_) : WriteToTerminal(out_);
    out_.clear();
  }

  void Note(std::string_view text) {
    if (!prompt_) return console_.Note(text);
    printer_.Note(text);
    Flush();
  }

  // ----------------------------------------------------------------------------------------------- input

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
    if (line.ends_with('\r')) line.pop_back();
    if (!line.empty()) sender_.Send(std::move(line));
  }

  // Called when all lines that were read have been sent.
  void ReadOn() { at_end_ ? AwaitIdle() : input_.Read(); }

  void Sent(const std::string& text, const Result<JsonDocument>& answer) {
    if (!answer) {
      Note("not sent: " + answer.error().message);
      leaving_.reset();
      if (prompt_) return prompt_->Restore(text);
      lost_ = answer.error();
      return loop_.Stop();
    }
    if (prompt_ && (*answer)["disposition"].StringOr("") == "queued") Note("message queued");
    if (!prompt_ && sender_.idle()) ReadOn();
    Settled();
  }

  // After the end of stdin, the command ends when the agent is idle and all events up to that time are
  // printed.
  void AwaitIdle() {
    HttpRequest request = client_.Request("GET", AgentPath(agent_) + "/wait?until=idle&timeout_ms=50000");
    request.timeout_ms = 60'000;
    wait_.Send(std::move(request), [this](const Result<JsonDocument>& idle) {
      if (!idle || !(*idle)["cursor"]) return retry_wait_.Start(kRetryMs);  // the stream decides for how long
      idle_at_ = Cursor::Parse((*idle)["cursor"].StringOr(""));
      CheckIdle();
    });
  }

  void CheckIdle() {
    if (!idle_at_ || !stream_) return;
    const auto at = Cursor::Parse(stream_->cursor(agent_));
    if (at && (at->epoch > idle_at_->epoch || at->seq >= idle_at_->seq)) Finish(kOk);
  }

  // ---------------------------------------------------------------------------------------------- orders

  void Interrupt() {
    orders_.Send(client_.Request("POST", AgentPath(agent_) + "/interrupt", "{}"),
                 [this](const Result<JsonDocument>& answer) {
                   if (!answer) Note("not interrupted: " + answer.error().message);
                   Settled();
                 });
  }

  void Decide(const std::string& approval, const char* decision) {
    orders_.Send(client_.Request("POST", AgentPath(agent_) + "/approvals/" + PercentEncode(approval),
                                 JsonObject().Set("decision", decision).Take()),
                 [this](const Result<JsonDocument>& answer) {
                   if (answer) return Settled();  // its event is printed
                   leaving_.reset();
                   Note("not answered: " + answer.error().message);
                   prompt_->AskAgain();
                 });
  }

  // ------------------------------------------------------------------------------------------------- end

  void Ended(const Result<std::string>& reason) {
    if (reason) {
      deleted_ = *reason == "agent_deleted";
    } else {
      lost_ = reason.error();
    }
    loop_.Stop();
  }

  [[nodiscard]] bool under_way() const { return !sender_.idle() || !orders_.empty(); }

  // Waits for the answers to messages and orders; the second call leaves at once.
  void Leave(int code) {
    if (leaving_ || !under_way()) return Finish(code);
    leaving_ = code;
    Note("the daemon has not answered yet; press the key again to leave anyway");
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
  std::string out_;  // printed, not yet written
  EventPrinter printer_;
  MessageSender sender_;
  InputReader input_;
  Timer retry_wait_;
  std::unique_ptr<AttachPrompt> prompt_;  // if interactive
  EventStream* stream_ = nullptr;
  std::string typed_;    // the unfinished line of stdin, if it is not a terminal
  bool at_end_ = false;  // of stdin
  std::optional<Cursor> idle_at_;
  PendingCalls wait_, orders_;
  std::optional<int> leaving_;  // the exit code for when nothing is under way
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
  Command command = agents.Add("attach", "Follow an agent, send it messages, and answer its requests.");
  command.Details(
      "Enter sends the line as a message. Ctrl-J starts a new line in it, and a paste is one message. While "
      "the daemon is away, a message waits; it is sent once. While the line is empty, y allows the request "
      "that is shown, a allows the same call always, t every call of that tool and s every call until the "
      "session ends, and n denies it. Ctrl-C interrupts the run; a second Ctrl-C leaves, as does Ctrl-D on an empty line. Both wait until typed messages have been sent; pressed again, they "
      "leave at once. Ctrl-\\ always leaves at once. If stdin is not a terminal, each of its lines is a "
      "message, and the command ends when the agent is idle after the last one.");
  command.Argument("AGENT", options->agent, "An id, a title, or key=value for a label").Required();
  command
      .Option("-n,--tail", options->tail, 1, static_cast<int>(AgentLog::kMaxTail),
              "Number of past events to print first")
      .Default("100");
  AddCommonOptions(command, *options);
  command.Example("reeve attach a1", "watch an agent and talk to it");
  command.Example("echo 'and now the tests' | reeve attach a1", "send one message and wait until it is done");
  command.Action([options] { return Attach(*options); });
}

}  // namespace reeve
