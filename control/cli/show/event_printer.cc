#include "control/cli/show/event_printer.h"

#include <algorithm>
#include <array>
#include <ctime>
#include <utility>

#include "control/cli/show/event_words.h"
#include "process/clock.h"

namespace reeve {

namespace {

constexpr size_t kMaxMessage = size_t{1} << 20;  // bytes kept of one that nobody ends
constexpr size_t kMaxMessages = 1'000;           // that are being said
constexpr size_t kMaxCalls = 1'000;              // that are under way
constexpr size_t kOutputLines = 4;               // of a tool's
constexpr size_t kErrorLines = 12;               // of what a failed one printed, or a failed agent
constexpr size_t kQuestionLines = 40;            // of what an answer is wanted for
constexpr size_t kPlanLines = 30;
constexpr size_t kDefaultWidth = 200;
constexpr char kIndent[] = "    ";
constexpr char kUnnamed[] = " assistant ?";

std::string Key(const JsonValue& event, std::string_view kind, std::string_view name) {
  return std::string(event["agent"].StringOr("")) + " " + std::string(kind) + " " +
         std::string(event["data"][name].StringOr(event["run"].StringOr("")));
}

// The same agent always has the same one.
Colour ColourOfName(std::string_view agent) {
  constexpr std::array kPalette = {Colour::kCyan, Colour::kGreen, Colour::kYellow, Colour::kBlue,
                                   Colour::kMagenta};
  size_t sum = 0;
  for (const char c : agent) sum = sum * 31 + static_cast<unsigned char>(c);
  return kPalette[sum % kPalette.size()];
}

std::string_view WithoutLineEnds(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.remove_suffix(1);
  return text;
}

bool StartsWith(std::string_view text, std::string_view beginning) {
  return text.substr(0, beginning.size()) == beginning;
}

std::string DecisionWords(std::string_view decision) {
  static const std::map<std::string_view, const char*> kWords = {{"allow_once", "allowed once"},
                                                                 {"allow_always", "allowed, from now on"},
                                                                 {"deny", "denied"},
                                                                 {"expired", "nobody answered in time"},
                                                                 {"withdrawn", "withdrawn"},
                                                                 {"accept", "answered"},
                                                                 {"decline", "answer declined"},
                                                                 {"cancel", "cancelled"}};
  const auto words = kWords.find(decision);
  return words == kWords.end() ? Plain(decision) : words->second;
}

// What an elicitation wants to know: a line for each field, with its choices.
std::string FieldsOf(const JsonValue& schema) {
  std::string text;
  for (const auto& [name, field] : schema["properties"].Members()) {
    const JsonValue choices = field["enum"] ? field["enum"] : field["items"]["enum"];
    std::string words;
    for (const JsonValue& choice : choices.Elements())
      words += (words.empty() ? "" : " | ") + Plain(TextOf(choice));
    if (words.empty()) words = Plain(field["type"].StringOr(""));
    text += (text.empty() ? "" : "\n") + Plain(name) + ": " + words;
  }
  return text;
}

}  // namespace

EventPrinter::EventPrinter(Options options, Write write) : options_(options), write_(std::move(write)) {
  if (options_.names) options_.live = false;
  if (auto today = std::time(nullptr); !options_.json) (void)Clock(FormatTime(int64_t{today} * 1000));
}

// ------------------------------------------------------------------------------------------------- events

void EventPrinter::Print(const JsonValue& event) {
  if (options_.json) return write_(SafeJson(event.Raw()) + "\n");
  if (held_) {
    const bool answered = event["data"]["by"].StringOr("") == "policy" &&
                          event["data"]["id"].StringOr("") == held_->id &&
                          event["agent"].StringOr("") == held_->agent;
    if (answered) {
      held_.reset();
      const bool denied = event["data"]["decision"].StringOr("") == "deny";
      // What is allowed anyway is no news: the call goes on.
      if (!denied) return;
      return TakeResolution(event);
    }
    Pause();
  }
  Take(event);
}

void EventPrinter::Take(const JsonValue& event) {
  const std::string_view type = event["type"].StringOr("");
  const Origin origin = OriginOf(event);
  const JsonValue data = event["data"];
  if (type == "assistant.delta" || type == "reasoning.delta") {
    TakeDelta(event, type[0] == 'r');
  } else if (type == "assistant.message" || type == "reasoning.message") {
    TakeWhole(event, type[0] == 'r');
  } else if (type == "tool.started") {
    TakeToolStart(event);
  } else if (type == "tool.completed" || type == "tool.failed") {
    TakeToolEnd(event, type == "tool.failed");
  } else if (type == "agent.output") {
    Line(origin, data["stream"].StringOr("") == "stderr" ? Colour::kYellow : Colour::kNone, OutputLine(data));
  } else if (type == "approval.requested" || type == "elicitation.requested") {
    held_ = Held{origin.agent, std::string(data["id"].StringOr("")), event.Raw()};
  } else if (type == "approval.resolved" || type == "elicitation.resolved") {
    TakeResolution(event);
  } else if (type == "user.message") {
    TakeUser(event);
  } else if (type == "plan.updated") {
    TakePlan(event);
  } else if (type == "workspace.progress") {
    TakeProgress(event);
  } else if (type == "agent.error" || type == "agent.failed") {
    if (type == "agent.failed") Close(origin.agent);
    const bool grave = type == "agent.failed" || data["fatal"].AsBool().value_or(false);
    Line(origin, grave ? Colour::kRed : Colour::kYellow, Stamped("! " + EventWords(event), origin));
    Lines(origin, data["output"].StringOr(""), kErrorLines, kIndent);
  } else if (StartsWith(type, "run.")) {
    RunEnded(event);
  } else if (StartsWith(type, "agent.") || StartsWith(type, "workspace.")) {
    if (type == "agent.exited") Close(origin.agent);
    Line(origin, Colour::kDim, Stamped("-- " + EventWords(event), origin));
  } else if (StartsWith(type, "message.queued") || type == "message.cancelled") {
    // That a message came is told by the words themselves, once they have been given to the agent.
    const bool at_once = data["mode"].StringOr("") == "followup" && !data["run_at"] && !data["reason"];
    if (!at_once) Line(origin, Colour::kDim, Stamped("-- " + EventWords(event), origin));
  } else if (StartsWith(type, "message.") || type == "usage.updated" || type == "tool.output") {
    // The run says the same, and the call's end.
  } else {
    Line(origin, Colour::kDim, "-- " + EventWords(event));
  }
}

void EventPrinter::Gap(const std::string& agent, const JsonValue& gap) {
  if (options_.json) {
    JsonObject object;
    object.Set("agent", agent).Set("type", "stream.gap").SetRaw("data", gap.Raw());
    return write_(SafeJson(object.Take()) + "\n");
  }
  Pause();
  Line({agent, ""}, Colour::kRed,
       "! events are missing: " + Plain(TextOf(gap["from"])) + " to " + Plain(TextOf(gap["to"])) + " (" +
           Plain(TextOf(gap["reason"])) + ")");
}

void EventPrinter::Note(std::string_view text) {
  if (!options_.json) Line({}, Colour::kCyan, "-- " + Plain(text));
}

void EventPrinter::Pause() {
  if (!held_) return;
  const Held held = *std::exchange(held_, std::nullopt);
  if (auto event = JsonDocument::Parse(held.text)) TakeRequest(event->root());
}

void EventPrinter::End() {
  Pause();
  Close("");
  Break();
}

void EventPrinter::Begin(const std::string& agent, std::string_view partial_text) {
  if (options_.json || partial_text.empty()) return;
  const std::string key = agent + kUnnamed;
  messages_[key].text = partial_text;
  if (options_.live) Show({agent, ""}, key, false, false);
}

// Of a message that Begin told of, the id comes with its next word.
EventPrinter::Message& EventPrinter::Find(const JsonValue& event, const std::string& key) {
  auto begun = messages_.extract(std::string(event["agent"].StringOr("")) + kUnnamed);
  if (begun.empty()) return messages_[key];
  if (saying_ == begun.key()) saying_ = key;
  begun.key() = key;
  return messages_.insert(std::move(begun)).position->second;
}

// ----------------------------------------------------------------------------------------------- messages

void EventPrinter::TakeDelta(const JsonValue& event, bool reasoning) {
  const std::string key = Key(event, reasoning ? "reasoning" : "assistant", "message_id");
  if (messages_.size() >= kMaxMessages && messages_.count(key) == 0) return;  // its whole text will come
  Message& message = reasoning ? messages_[key] : Find(event, key);
  message.text += event["data"]["text"].StringOr("");
  const bool too_long = message.text.size() > kMaxMessage;
  if (options_.live || too_long) Show(OriginOf(event), key, reasoning, false);
  if (!too_long) return;
  message.dropped += message.text.size();
  message.text.clear();
  message.shown = 0;
}

void EventPrinter::TakeWhole(const JsonValue& event, bool reasoning) {
  const std::string key = Key(event, reasoning ? "reasoning" : "assistant", "message_id");
  Message& message = reasoning ? messages_[key] : Find(event, key);
  const std::string whole(event["data"]["text"].StringOr(""));
  // What was shown of it need not be a part: then it is said again, whole.
  const size_t begins = std::min(message.dropped, whole.size());
  const bool part = StartsWith(std::string_view(whole).substr(begins),
                               std::string_view(message.text).substr(0, message.shown));
  if (!part || begins < message.dropped) {
    Break();
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
  const bool goes_on = saying_ == key;
  if (!rest.empty()) {
    const Colour colour = reasoning ? Colour::kDim : Colour::kNone;
    if (!options_.live) {
      Line(origin, colour, (reasoning ? "~ " : "") + PlainLines(rest), reasoning ? "  " : "");
    } else {
      if (!goes_on) Break();
      const char* lead = goes_on ? "" : message.shown + message.dropped > 0 ? "… " : reasoning ? "~ " : "";
      const std::string before = mid_line_ ? "" : Prefix(origin);
      write_(before + Paint(options_.colours, colour, lead + PlainLines(rest)));
      mid_line_ = rest.back() != '\n';
      last_call_.clear();
      saying_ = key;
    }
    message.shown = message.text.size();
  }
  if (ends && saying_ == key) Break();
}

void EventPrinter::Close(const std::string& agent) {
  for (auto at = messages_.begin(); at != messages_.end();) {
    const std::string key = at->first;
    if (!agent.empty() && !StartsWith(key, agent + " ")) {
      ++at;
      continue;
    }
    Show({key.substr(0, key.find(' ')), ""}, key, key.find(" reasoning ") != std::string::npos, true);
    at = messages_.erase(at);
  }
}

void EventPrinter::TakeUser(const JsonValue& event) {
  const bool steers = event["data"]["steer"].AsBool().value_or(false);
  Line(OriginOf(event), Colour::kBold,
       (steers ? "> (into the turn) " : "> ") +
           PlainLines(WithoutLineEnds(event["data"]["text"].StringOr(""))),
       "  ");
}

// -------------------------------------------------------------------------------------------------- tools

void EventPrinter::TakeToolStart(const JsonValue& event) {
  const JsonValue data = event["data"];
  const std::string key = Key(event, "tool", "call_id");
  if (calls_.size() >= kMaxCalls) {
    calls_.erase(call_order_.front());
    call_order_.pop_front();
  }
  const Call call{Plain(TextOf(data["name"])), PrincipalInput(data["input"]),
                  ParseTime(std::string(event["time"].StringOr("")))};
  if (calls_.insert_or_assign(key, call).second) call_order_.push_back(key);
  Line(OriginOf(event), Colour::kCyan, Fit("* " + call.name + " " + call.gist, Width()));
  last_call_ = key;
}

void EventPrinter::TakeToolEnd(const JsonValue& event, bool failed) {
  const JsonValue data = event["data"];
  const Origin origin = OriginOf(event);
  const std::string key = Key(event, "tool", "call_id");
  Call call{Plain(TextOf(data["name"])), PrincipalInput(data["input"]), {}};
  if (const auto known = calls_.find(key); known != calls_.end()) {
    call = known->second;
    calls_.erase(known);
    call_order_.erase(std::find(call_order_.begin(), call_order_.end(), key));
  }
  auto lasted = data["duration_ms"].AsInt();
  if (const auto ended = ParseTime(origin.time); !lasted && ended && call.started_ms)
    lasted = std::max<int64_t>(0, *ended - *call.started_ms);
  // Right below its beginning it need not be named again.
  const bool named = last_call_ != key;
  const std::string what = named ? Fit(call.name + " " + call.gist, Width() - 30) : "";
  const std::string words =
      JoinWords({what, failed ? "failed" : "done", lasted ? DurationWords(*lasted) : ""});
  Line(origin, failed ? Colour::kRed : Colour::kDim, (named ? "* " : "  ") + words);
  std::string output = TextOf(data["output"]);
  if (failed && data["error"]) {
    const JsonValue error = data["error"]["message"] ? data["error"]["message"] : data["error"];
    output = TextOf(error) + (output.empty() ? "" : "\n" + output);
  }
  Lines(origin, output, failed ? kErrorLines : kOutputLines, kIndent);
}

// ---------------------------------------------------------------------------------- what waits for a person

void EventPrinter::TakeRequest(const JsonValue& event) {
  const JsonValue data = event["data"];
  const Origin origin = OriginOf(event);
  const std::string id = Plain(TextOf(data["id"]));
  if (event["type"].StringOr("") == "elicitation.requested") {
    Line(origin, Colour::kMagenta, Stamped("? asks for an answer · elicitation " + id, origin));
    Lines(origin, data["message"].StringOr(""), kQuestionLines, kIndent);
    Lines(origin, FieldsOf(data["schema"]), kQuestionLines, kIndent);
    return;
  }
  Line(origin, Colour::kMagenta,
       Stamped("? asks to use " + Plain(TextOf(data["tool"])) + " · approval " + id, origin));
  Lines(origin, data["message"].StringOr(""), kQuestionLines, kIndent);
  // All of it: nobody should allow what they cannot see.
  Line(origin, Colour::kNone, kIndent + InputText(data["input"]), kIndent);
}

void EventPrinter::TakeResolution(const JsonValue& event) {
  const JsonValue data = event["data"];
  const std::string_view decision = data["decision"].StringOr(data["action"].StringOr(""));
  const std::string by = Plain(TextOf(data["by"]));
  const bool no = decision == "deny" || decision == "expired";
  Line(OriginOf(event), no ? Colour::kRed : Colour::kMagenta,
       "  " +
           JoinWords({DecisionWords(decision), by.empty() ? "" : "by " + by, Plain(TextOf(data["reason"]))}));
}

// --------------------------------------------------------------------------------------------------- rest

void EventPrinter::TakePlan(const JsonValue& event) {
  const Origin origin = OriginOf(event);
  Line(origin, Colour::kBlue, "plan:");
  std::string text;
  for (const JsonValue& entry : event["data"]["entries"].Elements()) {
    const std::string_view status = entry["status"].StringOr("");
    const char* mark = status == "completed" ? "[x] " : status == "in_progress" ? "[>] " : "[ ] ";
    JsonValue said = entry["content"];
    for (const char* name : {"text", "title", "step"}) said = said ? said : entry[name];
    text += mark + Plain(TextOf(said ? said : entry)) + "\n";
  }
  Lines(origin, text, kPlanLines, "  ");
}

// Only where a new phase begins: its hundred steps are for a line that is drawn anew.
void EventPrinter::TakeProgress(const JsonValue& event) {
  const Origin origin = OriginOf(event);
  const std::string phase(event["data"]["phase"].StringOr(""));
  if (std::exchange(phases_[origin.agent], phase) == phase) return;
  Line(origin, Colour::kDim, Stamped("-- workspace: " + Plain(phase), origin));
}

void EventPrinter::RunEnded(const JsonValue& event) {
  const Origin origin = OriginOf(event);
  const std::string_view how = event["type"].StringOr("").substr(4);
  if (how != "started") Close(origin.agent);
  Line(origin, how == "started" ? Colour::kDim : ColourOf(how), Stamped("-- " + EventWords(event), origin));
  const JsonValue error = event["data"]["error"];
  const std::string why = TextOf(error["message"] ? error["message"] : error["code"]);
  if (!why.empty()) Line(origin, Colour::kRed, "   " + PlainLines(WithoutLineEnds(why)), "   ");
}

// -------------------------------------------------------------------------------------------------- lines

EventPrinter::Origin EventPrinter::OriginOf(const JsonValue& event) {
  return {std::string(event["agent"].StringOr("")), std::string(event["time"].StringOr(""))};
}

void EventPrinter::Line(const Origin& origin, Colour colour, std::string_view text, std::string_view indent) {
  Break();
  last_call_.clear();
  std::string out;
  for (bool first = true; first || !text.empty(); first = false) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string line = (first ? "" : std::string(indent)) + std::string(text.substr(0, end));
    out += Prefix(origin) + Paint(options_.colours, colour, line) + "\n";
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  write_(out);
}

void EventPrinter::Lines(const Origin& origin, std::string_view text, size_t lines, std::string_view indent) {
  const std::string clean = WithoutSequences(WithoutLineEnds(text));
  std::string_view rest = clean;
  for (size_t i = 0; !rest.empty(); ++i) {
    const auto left = static_cast<size_t>(std::count(rest.begin(), rest.end(), '\n')) + 1;
    if (i == lines - 1 && left > 1) {
      Line(origin, Colour::kDim, std::string(indent) + "… " + std::to_string(left) + " more lines");
      return;
    }
    const size_t end = std::min(rest.find('\n'), rest.size());
    const std::string line = std::string(indent) + PlainLines(rest.substr(0, end));
    Line(origin, Colour::kDim, Fit(line, Width()));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
}

void EventPrinter::Break() {
  if (std::exchange(mid_line_, false)) write_("\n");
  saying_.clear();
}

std::string EventPrinter::Prefix(const Origin& origin) {
  std::string prefix;
  if (options_.times) prefix = Paint(options_.colours, Colour::kDim, Clock(origin.time)) + " ";
  if (!options_.names) return prefix;
  const std::string name = Plain(origin.agent);
  options_.name_width = std::max(options_.name_width, Columns(name));
  return prefix + Paint(options_.colours, ColourOfName(name), name) +
         std::string(options_.name_width - Columns(name), ' ') + " | ";
}

std::string EventPrinter::Stamped(const std::string& words, const Origin& origin) {
  return options_.times || origin.time.empty() ? words : JoinWords({words, Clock(origin.time)});
}

// As the reader's clock has it, with the day where it is another than that of the time before.
std::string EventPrinter::Clock(const std::string& time) {
  const auto wall_ms = ParseTime(time);
  if (!wall_ms) return "--:--:--";
  const std::time_t seconds = *wall_ms / 1000;
  std::tm local{};
  localtime_r(&seconds, &local);
  std::array<char, 32> text{};
  const size_t size = std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S", &local);
  std::string full(text.data(), size);
  constexpr size_t kDay = 10;
  if (options_.times) return full;  // below one another
  return std::exchange(day_, full.substr(0, kDay)) == day_ ? full.substr(kDay + 1) : full;
}

size_t EventPrinter::Width() const {
  return std::max<size_t>(options_.columns == 0 ? kDefaultWidth : options_.columns, 40);
}

}  // namespace reeve
