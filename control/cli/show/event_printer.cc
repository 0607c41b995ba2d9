#include "control/cli/show/event_printer.h"

#include <algorithm>
#include <utility>

#include "control/cli/show/event_words.h"
#include "orchestrator/log/event_types.h"
#include "process/clock.h"

namespace reeve {

namespace {

constexpr size_t kMaxMessage = size_t{1} << 20;  // bytes kept of an unfinished message
constexpr size_t kMaxMessages = 1'000;           // unfinished
constexpr size_t kMaxCalls = 1'000;              // unfinished
constexpr size_t kOutputLines = 4;               // of a tool call
constexpr size_t kErrorLines = 12;               // of a failed tool call or agent
constexpr size_t kQuestionLines = 40;
constexpr size_t kPlanLines = 30;
constexpr size_t kDiffLines = 24;
constexpr char kIndent[] = "    ";

std::string KeyOf(const std::string& agent, std::string_view kind, std::string_view id) {
  return std::string(agent).append(" ").append(kind).append(" ").append(id);
}

std::string Key(const JsonValue& event, std::string_view kind, std::string_view name) {
  return KeyOf(std::string(event["agent"].StringOr("")), kind,
               event["data"][name].StringOr(event["run"].StringOr("")));
}

std::string DecisionWords(std::string_view decision) {
  static const std::map<std::string_view, const char*> kWords = {
      {"allow_once", "allowed once"},
      {"allow_always", "allowed, from now on"},
      {"allow_tool", "allowed, and this tool until the session ends"},
      {"allow_session", "allowed, and every tool until the session ends"},
      {"deny", "denied"},
      {"expired", "nobody answered in time"},
      {"withdrawn", "withdrawn"},
      {"accept", "answered"},
      {"decline", "answer declined"},
      {"cancel", "cancelled"}};
  const auto words = kWords.find(decision);
  return words == kWords.end() ? Plain(decision) : words->second;
}

bool IsQuestion(const JsonValue& call) { return call["name"].StringOr("") == "question"; }

// The fields of an elicitation: one line each, with the choices.
std::string FieldsOf(const JsonValue& schema) {
  std::string text;
  for (const auto& [name, field] : schema["properties"].Members()) {
    const JsonValue choices = field["enum"] ? field["enum"] : field["items"]["enum"];
    std::string words;
    for (const JsonValue& choice : choices.Elements()) AddTo(words, " | ", PlainTextOf(choice));
    if (words.empty()) words = Plain(field["type"].StringOr(""));
    AddTo(text, "\n", Plain(name) + ": " + words);
  }
  return text;
}

}  // namespace

EventPrinter::EventPrinter(Options options, Write write)
    : json_(options.json),
      live_(options.live && !options.names),
      marks_stderr_(!options.colours),
      write_(write),
      lines_(options, std::move(write)) {}

// ------------------------------------------------------------------------------------------------- events

void EventPrinter::Print(const JsonValue& event) {
  if (json_) return write_(SafeJson(event.Raw()) + "\n");
  if (held_) {
    const bool answered = event["data"]["by"].StringOr("") == "policy" &&
                          event["data"]["id"].StringOr("") == held_->id &&
                          event["agent"].StringOr("") == held_->agent;
    if (answered) {
      held_.reset();
      NoteWaiting(event);
      const bool denied = event["data"]["decision"].StringOr("") == "deny";
      if (denied) TakeResolution(event);  // a call that is allowed goes on anyway
      return;
    }
    Pause();
  }
  if (event["type"].StringOr("") != "agent.output") ShowOutput(false);
  Take(event);
}

void EventPrinter::Take(const JsonValue& event) {
  const std::string_view type = event["type"].StringOr("");
  NoteWaiting(event);
  const Origin origin = OriginOf(event);
  const JsonValue data = event["data"];
  if (type == event_type::kAssistantDelta || type == event_type::kReasoningDelta) {
    TakeDelta(event, type[0] == 'r');
  } else if (type == event_type::kAssistantMessage || type == event_type::kReasoningMessage) {
    TakeWhole(event, type[0] == 'r');
  } else if (type == event_type::kToolStarted) {
    TakeToolStart(event);
  } else if (type == event_type::kToolCompleted || type == event_type::kToolFailed) {
    TakeToolEnd(event, type == event_type::kToolFailed);
  } else if (type == event_type::kAgentOutput) {
    TakeOutput(event);
  } else if (IsRequest(type)) {
    held_ = Held{origin.agent, std::string(data["id"].StringOr("")), event.Raw()};
  } else if (IsAnswer(type)) {
    TakeResolution(event);
  } else if (type == event_type::kUserMessage) {
    TakeUser(event);
  } else if (type == event_type::kFileEdited) {
    TakeEdit(event);
  } else if (type == event_type::kPlanUpdated) {
    TakePlan(event);
  } else if (type == event_type::kWorkspaceProgress) {
    TakeProgress(event);
  } else if (type == event_type::kAgentError || type == event_type::kAgentFailed) {
    if (type == event_type::kAgentFailed) Close(origin.agent);
    const bool fatal = type == event_type::kAgentFailed || data["fatal"].AsBool().value_or(false);
    Report(event, fatal ? Colour::kRed : Colour::kYellow, "! ");
    lines_.Lines(origin, data["output"].StringOr(""), kErrorLines, kIndent);
  } else if (type.starts_with("run.")) {
    TakeRun(event);
  } else if (type.starts_with("agent.") || type.starts_with("workspace.")) {
    if (type == event_type::kAgentExited) Close(origin.agent);
    Report(event, Colour::kDim);
  } else if (type == event_type::kMessageQueued || type == event_type::kMessageCancelled) {
    // A message that is delivered at once shows up as user.message.
    const bool at_once = data["mode"].StringOr("") == "followup" && !data["run_at"] && !data["reason"];
    if (!at_once) Report(event, Colour::kDim);
  } else if (type == event_type::kMessageDone && data["reason"]) {
    Report(event, Colour::kRed);
  } else if (type.starts_with("message.") || type == event_type::kUsageUpdated ||
             type == event_type::kToolOutput) {
    // The ends of the run and of the call say the same.
  } else {
    lines_.Line(origin, Colour::kDim, "-- " + EventWords(event));
  }
}

void EventPrinter::Report(const JsonValue& event, Colour colour, const char* mark) {
  const Origin origin = OriginOf(event);
  lines_.Line(origin, colour, lines_.Stamped(mark + EventWords(event), origin));
}

void EventPrinter::Gap(const std::string& agent, const JsonValue& gap) {
  if (json_) {
    JsonObject object;
    object.Set("agent", agent).Set("type", "stream.gap").SetRaw("data", gap.Raw());
    return write_(SafeJson(object.Take()) + "\n");
  }
  Pause();
  lines_.Line({agent, ""}, Colour::kRed,
              "! events are missing: " + PlainTextOf(gap["from"]) + " to " + PlainTextOf(gap["to"]) + " (" +
                  PlainTextOf(gap["reason"]) + ")");
}

void EventPrinter::Note(std::string_view text) {
  if (!json_) lines_.Line({}, Colour::kCyan, "-- " + Plain(text));
}

void EventPrinter::Pause() {
  ShowOutput(false);
  if (!held_) return;
  const Held held = *std::exchange(held_, std::nullopt);
  if (auto event = JsonDocument::Parse(held.text)) TakeRequest(event->root());
}

void EventPrinter::End() {
  Pause();
  Close("");
  lines_.Break();
}

void EventPrinter::Begin(const std::string& agent, const JsonValue& snapshot) {
  if (json_) return;
  const JsonValue open = snapshot["open"];
  const std::string_view run = snapshot["run"]["run_id"].StringOr("");
  for (const JsonValue& text : open["texts"].Elements()) {
    const bool reasoning = text["kind"].StringOr("") == "reasoning";
    const std::string key =
        KeyOf(agent, reasoning ? "reasoning" : "assistant", text["message_id"].StringOr(run));
    messages_[key].text = text["text"].StringOr("");
    if (live_) Show({agent, ""}, key, reasoning, false);
  }
  for (const JsonValue& call : open["calls"].Elements()) {
    const std::string key = KeyOf(agent, "tool", call["call_id"].StringOr(""));
    if (calls_.count(key) != 0) continue;  // the past shows its start
    calls_[key] = {agent, PlainTextOf(call["name"]), PrincipalInput(call["input"]),
                   ParseTime(std::string(call["started_at"].StringOr("")))};
    call_order_.push_back(key);
  }
}

// ----------------------------------------------------------------------------------------------- messages

void EventPrinter::TakeDelta(const JsonValue& event, bool reasoning) {
  const std::string key = Key(event, reasoning ? "reasoning" : "assistant", "message_id");
  if (messages_.size() >= kMaxMessages && messages_.count(key) == 0) return;  // the whole message follows
  Message& message = messages_[key];
  message.text += event["data"]["text"].StringOr("");
  const bool too_long = message.text.size() > kMaxMessage;
  if (live_ || too_long) Show(OriginOf(event), key, reasoning, false);
  if (!too_long) return;
  message.dropped += message.text.size();
  message.text.clear();
  message.shown = 0;
}

void EventPrinter::TakeWhole(const JsonValue& event, bool reasoning) {
  const std::string key = Key(event, reasoning ? "reasoning" : "assistant", "message_id");
  Message& message = messages_[key];
  const std::string whole(event["data"]["text"].StringOr(""));
  // If the text shown so far is not its beginning, the message is shown again.
  const size_t begins = std::min(message.dropped, whole.size());
  const bool part = std::string_view(whole).substr(begins).starts_with(
      std::string_view(message.text).substr(0, message.shown));
  if (!part || begins < message.dropped) {
    lines_.Break();
    message = {};
  }
  message.text = whole.substr(message.dropped);
  Show(OriginOf(event), key, reasoning, true);
  messages_.erase(key);
}

void EventPrinter::Show(const Origin& origin, const std::string& key, bool reasoning, bool ends) {
  Message& message = messages_[key];
  std::string_view rest = std::string_view(message.text).substr(message.shown);
  if (ends) rest = WithoutLineEnds(rest);
  const Colour colour = reasoning ? Colour::kDim : Colour::kNone;
  const std::string mark = reasoning ? "~ " : "";
  if (!rest.empty() && !live_) {
    lines_.Line(origin, colour, mark + PlainLines(rest), reasoning ? "  " : "");
  } else if (!rest.empty()) {
    const bool continues = message.position == lines_.position();
    if (!continues) lines_.Break();
    const std::string lead = continues ? "" : message.shown + message.dropped > 0 ? "… " : mark;
    lines_.Part(origin, colour, lead + PlainLines(rest));
    message.position = lines_.position();
  }
  if (!rest.empty()) message.shown = message.text.size();
  if (ends && message.position == lines_.position()) lines_.Break();
}

// ------------------------------------------------------------------------------------------------- output

void EventPrinter::TakeOutput(const JsonValue& event) {
  const Origin origin = OriginOf(event);
  const JsonValue data = event["data"];
  const std::string stream(data["stream"].StringOr(""));
  if (output_ && (output_->origin.agent != origin.agent || output_->stream != stream)) {
    ShowOutput(false);
    output_.reset();
  }
  if (!output_) output_ = Output{origin, stream, "", 0, false};
  output_->text += OutputBytes(data);
  const bool ends = !IsPartial(data);
  if (ends || output_->text.size() > kMaxMessage) ShowOutput(ends);
  if (ends) output_.reset();
}

// Parts that are at hand together are shown as one. A part that overwrites the shown ones (a progress bar)
// gets a line of its own.
void EventPrinter::ShowOutput(bool ends) {
  if (!output_ || (output_->text.empty() && !ends)) return;
  Output& output = *output_;
  const bool error = output.stream == "stderr";
  const Colour colour = error ? Colour::kYellow : Colour::kNone;
  const std::string mark = error && marks_stderr_ ? "stderr: " : "";
  const std::string text = std::exchange(output.text, {});
  const std::string line = OutputLine(text);
  if (ends && output.position == 0) return lines_.Line(output.origin, colour, mark + line, "", false);
  const size_t last = text.find_last_not_of('\r');
  const bool overwrites = std::exchange(output.returned, text.ends_with('\r')) ||
                          (last != std::string::npos && text.rfind('\r', last) != std::string::npos);
  const bool begins = output.position != lines_.position() || (overwrites && !line.empty());
  if (begins) lines_.Break();
  if (!line.empty()) lines_.Part(output.origin, colour, (begins ? mark : "") + line);
  output.position = lines_.position();
  if (ends) lines_.Break();
}

void EventPrinter::Close(const std::string& agent) {
  for (auto at = messages_.begin(); at != messages_.end();) {
    const std::string key = at->first;
    if (!agent.empty() && !key.starts_with(agent + " ")) {
      ++at;
      continue;
    }
    Show({key.substr(0, key.find(' ')), ""}, key, key.find(" reasoning ") != std::string::npos, true);
    at = messages_.erase(at);
  }
}

void EventPrinter::TakeUser(const JsonValue& event) {
  const bool steers = event["data"]["steer"].AsBool().value_or(false);
  lines_.Line(OriginOf(event), Colour::kBold,
              (steers ? "> (into the turn) " : "> ") +
                  PlainLines(WithoutLineEnds(event["data"]["text"].StringOr(""))),
              "  ");
}

// -------------------------------------------------------------------------------------------------- tools

void EventPrinter::TakeToolStart(const JsonValue& event) {
  const JsonValue data = event["data"];
  const std::string key = Key(event, "tool", "call_id");
  if (IsQuestion(data)) return;  // the request for an answer shows it
  if (calls_.size() >= kMaxCalls) {
    calls_.erase(call_order_.front());
    call_order_.pop_front();
  }
  const Origin origin = OriginOf(event);
  Call call{origin.agent, PlainTextOf(data["name"]), PrincipalInput(data["input"]),
            ParseTime(std::string(event["time"].StringOr("")))};
  lines_.Line(origin, Colour::kCyan, lines_.Folded("* " + call.name + " " + call.gist));
  call.position = lines_.position();
  if (calls_.insert_or_assign(key, std::move(call)).second) call_order_.push_back(key);
}

void EventPrinter::TakeToolEnd(const JsonValue& event, bool failed) {
  const JsonValue data = event["data"];
  const Origin origin = OriginOf(event);
  const std::string key = Key(event, "tool", "call_id");
  if (IsQuestion(data) && !failed) return;
  Call call{origin.agent, PlainTextOf(data["name"]), PrincipalInput(data["input"])};
  if (const auto known = calls_.find(key); known != calls_.end()) {
    call = known->second;
    calls_.erase(known);
    call_order_.erase(std::find(call_order_.begin(), call_order_.end(), key));
  }
  auto lasted = data["duration_ms"].AsInt();
  if (const auto ended = ParseTime(origin.time); !lasted && ended && call.started_ms)
    lasted = *ended - *call.started_ms;
  if (lasted) lasted = std::max<int64_t>(0, *lasted - call.waited_ms);
  // A line right below the start of its call does not repeat the name.
  const bool named = call.position != lines_.position();
  constexpr size_t kResult = 30;  // columns
  const std::string what = named ? lines_.Folded(call.name + " " + call.gist, kResult) : "";
  const int64_t code = data["exit_code"].AsInt().value_or(0);
  const std::string words =
      JoinWords({what, failed ? "failed" : "done", code == 0 ? "" : "exit code " + std::to_string(code),
                 lasted ? DurationWords(*lasted) : ""});
  lines_.Line(origin, failed ? Colour::kRed : Colour::kDim, (named ? "* " : "  ") + words);
  std::string output = TextOf(data["output"]);
  if (failed && data["error"]) {
    const JsonValue error = data["error"]["message"] ? data["error"]["message"] : data["error"];
    output = TextOf(error) + (output.empty() ? "" : "\n" + output);
  }
  lines_.Lines(origin, output, failed ? kErrorLines : kOutputLines, kIndent);
}

// ---------------------------------------------------------------------------------------------------
// requests

void EventPrinter::TakeRequest(const JsonValue& event) {
  const JsonValue data = event["data"];
  const Origin origin = OriginOf(event);
  const std::string id = PlainTextOf(data["id"]);
  if (event["type"].StringOr("") == event_type::kElicitationRequested) {
    lines_.Line(origin, Colour::kMagenta, lines_.Stamped("? asks for an answer · elicitation " + id, origin));
    lines_.Lines(origin, data["message"].StringOr(""), kQuestionLines, kIndent);
    lines_.Lines(origin, FieldsOf(data["schema"]), kQuestionLines, kIndent);
    return;
  }
  lines_.Line(origin, Colour::kMagenta,
              lines_.Stamped("? asks to use " + PlainTextOf(data["tool"]) + " · approval " + id, origin));
  lines_.Lines(origin, data["message"].StringOr(""), kQuestionLines, kIndent);
  // The whole input, because a person must see everything that they allow.
  lines_.Line(origin, Colour::kNone, kIndent + InputText(data["input"]), kIndent);
}

void EventPrinter::NoteWaiting(const JsonValue& event) {
  const std::string_view type = event["type"].StringOr("");
  const bool asks = IsRequest(type);
  const bool answered = IsAnswer(type);
  const std::string agent(event["agent"].StringOr(""));
  if (type == event_type::kRunStarted) waited_ms_.erase(agent);
  if (!asks && !answered) return;
  const std::string key = Key(event, "request", "id");
  const auto now_ms = ParseTime(std::string(event["time"].StringOr("")));
  if (asks && now_ms && asked_ms_.size() < kMaxCalls) asked_ms_[key] = *now_ms;
  const auto asked = asked_ms_.find(key);
  if (!answered || asked == asked_ms_.end()) return;
  const int64_t waited_ms = now_ms ? *now_ms - asked->second : 0;
  asked_ms_.erase(asked);
  waited_ms_[agent] += waited_ms;
  for (auto& [id, call] : calls_) {
    if (call.agent == agent) call.waited_ms += waited_ms;
  }
}

void EventPrinter::TakeEdit(const JsonValue& event) {
  const Origin origin = OriginOf(event);
  lines_.Line(origin, Colour::kDim, "-- " + EventWords(event));
  // The line above names the file.
  std::string changes;
  for (const std::string_view line : SplitLines(event["data"]["diff"].StringOr(""))) {
    const bool head = line.starts_with("--- ") || line.starts_with("+++ ") || line.starts_with("Index: ") ||
                      line.starts_with("====");
    if (!head) AddTo(changes, "\n", line);
  }
  lines_.Diff(origin, changes, kDiffLines, kIndent);
}

void EventPrinter::TakeResolution(const JsonValue& event) {
  const JsonValue data = event["data"];
  const std::string_view decision = data["decision"].StringOr(data["action"].StringOr(""));
  const std::string by = PlainTextOf(data["by"]);
  const bool no = decision == "deny" || decision == "expired";
  lines_.Line(
      OriginOf(event), no ? Colour::kRed : Colour::kMagenta,
      "  " + JoinWords({DecisionWords(decision), by.empty() ? "" : "by " + by, PlainTextOf(data["reason"])}));
}

// --------------------------------------------------------------------------------------------------- rest

void EventPrinter::TakePlan(const JsonValue& event) {
  const Origin origin = OriginOf(event);
  lines_.Line(origin, Colour::kBlue, "plan:");
  std::string text;
  for (const JsonValue& entry : event["data"]["entries"].Elements()) {
    const std::string_view status = entry["status"].StringOr("");
    const char* mark = status == "completed" ? "[x] " : status == "in_progress" ? "[>] " : "[ ] ";
    JsonValue said = entry["content"];
    for (const char* name : {"text", "title", "step"}) said = said ? said : entry[name];
    text += mark + PlainTextOf(said ? said : entry) + "\n";
  }
  lines_.Lines(origin, text, kPlanLines, "  ");
}

// Prints only the beginning of a phase, not its hundred steps.
void EventPrinter::TakeProgress(const JsonValue& event) {
  const Origin origin = OriginOf(event);
  const std::string phase(event["data"]["phase"].StringOr(""));
  if (std::exchange(phases_[origin.agent], phase) == phase) return;
  lines_.Line(origin, Colour::kDim, lines_.Stamped("-- workspace: " + Plain(phase), origin));
}

void EventPrinter::TakeRun(const JsonValue& event) {
  const Origin origin = OriginOf(event);
  const std::string_view how = event["type"].StringOr("").substr(4);
  if (how != "started") Close(origin.agent);
  const auto waited = waited_ms_.find(origin.agent);
  const std::string words = EventWords(event, waited == waited_ms_.end() ? 0 : waited->second);
  lines_.Line(origin, how == "started" ? Colour::kDim : ColourOf(how), lines_.Stamped("-- " + words, origin));
  const JsonValue error = event["data"]["error"];
  const std::string why = TextOf(error["message"] ? error["message"] : error["code"]);
  if (!why.empty()) lines_.Line(origin, Colour::kRed, "   " + PlainLines(WithoutLineEnds(why)), "   ");
}

EventPrinter::Origin EventPrinter::OriginOf(const JsonValue& event) {
  return {std::string(event["agent"].StringOr("")), std::string(event["time"].StringOr(""))};
}

}  // namespace reeve
