#include "control/cli/show/run_output.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "control/cli/show/event_words.h"
#include "orchestrator/log/event_types.h"

namespace reeve {

namespace {

constexpr size_t kMaxKept = size_t{1} << 20;  // bytes of an unfinished message

// Events without a counterpart when a program runs in the foreground, or that its exit code reports.
bool IsSilent(std::string_view type, const JsonValue& data) {
  for (const std::string_view silent :
       {event_type::kAgentStarting, event_type::kAgentReady, event_type::kAgentStopping,
        event_type::kAgentExited, event_type::kAgentUpdated, event_type::kRunStarted,
        event_type::kRunCompleted, event_type::kWorkspaceReady, event_type::kTitleUpdated,
        event_type::kUserMessage, event_type::kUsageUpdated}) {
    if (type == silent) return true;
  }
  if (type == event_type::kRunFailed) return data["exit_code"].AsInt().value_or(0) != 0;
  return type.starts_with("message.");
}

EventPrinter::Options Looks(const Console& console, bool colours) {
  EventPrinter::Options looks;
  looks.json = console.json();
  looks.colours = colours;
  looks.live = true;
  looks.columns = console.columns();
  return looks;
}

}  // namespace

RunOutput::RunOutput(Console& console, std::function<void(const Error& reason)> on_lost)
    : console_(console),
      on_lost_(std::move(on_lost)),
      on_terminal_(isatty(STDOUT_FILENO) == 1),
      one_(on_terminal_ && isatty(STDERR_FILENO) == 1),
      notes_(Looks(console, one_ && console.colours()),
             [this](std::string_view text) { Write(console_.json() ? stdout : stderr, text); }),
      words_(Looks(console, console.colours()), [this](std::string_view text) { Write(stdout, text); }) {}

void RunOutput::Write(FILE* where, std::string_view text, Writer writer) {
  if (lost_) return;
  const Status written = writer(where, text, Flush::kYes);
  if (written) return;
  lost_ = true;
  on_lost_(written.error());
}

// On a terminal, what follows an unfinished line begins on the next.
void RunOutput::BreakLine() {
  if (one_ && std::exchange(mid_line_, false)) Write(stderr, "\n");
}

void RunOutput::Take(const JsonValue& event) {
  if (console_.json()) return notes_.Print(event);
  const std::string_view type = event["type"].StringOr("");
  const JsonValue data = event["data"];
  if (type == event_type::kWorkspaceProgress) return console_.Progress(EventWords(event));
  console_.Progress("");
  if (type == event_type::kAgentOutput) {
    TakeOutput(data);
  } else if (type.starts_with("assistant.")) {
    BreakLine();
    if (on_terminal_) return (one_ ? notes_ : words_).Print(event);
    TakeWords(event);
  } else {
    if (type.starts_with("run.")) EndWords();
    const bool failed = type == event_type::kRunFailed || type == event_type::kAgentFailed;
    if (IsSilent(type, data) || (console_.quiet() && !failed)) return;
    BreakLine();
    notes_.Print(event);
  }
}

void RunOutput::Gap(const std::string& agent, const JsonValue& gap) { notes_.Gap(agent, gap); }

void RunOutput::Pause() { notes_.Pause(); }

void RunOutput::End() {
  console_.Progress("");
  BreakLine();
  EndWords();
  notes_.End();
  words_.End();
}

void RunOutput::Note(const std::string& text) {
  console_.Progress("");
  BreakLine();
  notes_.Break();
  console_.Note(text);
}

void RunOutput::TakeOutput(const JsonValue& data) {
  std::string bytes = OutputBytes(data);
  if (!IsPartial(data)) bytes += '\n';
  if (one_) notes_.Break();
  mid_line_ = !bytes.ends_with('\n');
  Write(data["stream"].StringOr("") == "stderr" ? stderr : stdout, bytes, WriteBytes);
}

void RunOutput::TakeWords(const JsonValue& event) {
  const JsonValue data = event["data"];
  const std::string key(data["message_id"].StringOr(""));
  if (event["type"].StringOr("") == event_type::kAssistantDelta) {
    Message& message = unfinished_[key];
    message.text += data["text"].StringOr("");
    if (message.text.size() <= kMaxKept) return;
    Write(stdout, message.text);
    message.written += message.text.size();
    message.text.clear();
    return;
  }
  std::string text(data["text"].StringOr(""));
  if (text.empty() || text.back() != '\n') text += '\n';
  if (const auto begun = unfinished_.extract(key))
    text.erase(0, std::min(begun.mapped().written, text.size() - 1));
  Write(stdout, text);
}

// Ends messages that no event will complete.
void RunOutput::EndWords() {
  for (const auto& [key, message] : std::exchange(unfinished_, {})) Write(stdout, message.text + "\n");
}

}  // namespace reeve
