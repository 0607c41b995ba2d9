#include "control/cli/top/top_agent.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "control/cli/show/event_words.h"
#include "orchestrator/log/event_types.h"

namespace reeve {

namespace {

constexpr size_t kMaxSaying = 512;     // bytes kept of an arriving message: its end
constexpr size_t kMaxLast = 1'000;     // columns of a last line
constexpr int64_t kMinSampleMs = 400;  // CPU time is counted in ticks of 10 ms

// The last line that is not blank.
std::string LastLine(std::string_view text) {
  const size_t end = text.find_last_not_of(" \t\r\n");
  if (end == std::string_view::npos) return {};
  text = text.substr(0, end + 1);
  return Plain(text.substr(text.rfind('\n') + 1));  // npos + 1 is 0
}

int64_t IntOf(const JsonValue& value) { return value.AsInt().value_or(0); }

bool IsBefore(const Cursor& one, const Cursor& other) {
  return std::tie(one.epoch, one.seq) < std::tie(other.epoch, other.seq);
}

}  // namespace

bool IsSame(const TopAsk& one, const TopAsk& other) {
  return std::tie(one.id, one.elicitation, one.tool, one.text, one.schema) ==
         std::tie(other.id, other.elicitation, other.tool, other.text, other.schema);
}

void TopAgent::TakeAgent(const JsonValue& object, int64_t now_ms) {
  title = Plain(object["title"].StringOr(""));
  kind = Plain(object["kind"].StringOr(""));
  labels.clear();
  for (const auto& [key, value] : object["labels"].Members())
    AddTo(labels, " ", Plain(key) + "=" + Plain(value.StringOr("")));
  const JsonValue usage = object["usage"];
  tokens = IntOf(usage["input_tokens"]) + IntOf(usage["output_tokens"]);
  cost_usd = usage["cost_usd"].AsDouble().value_or(0);
  queue_depth = IntOf(object["queue_depth"]);
  queue_paused = object["queue_paused"].AsBool().value_or(false);
  viewers = IntOf(object["viewers"]);
  last_event_ms = std::max(last_event_ms, WallMsOf(object["last_event_at"]));
  TakeSample(object, now_ms);

  const Cursor at = Cursor::Parse(object["cursor"].StringOr("0")).value_or(Cursor());
  if (IsBefore(at, known_)) return;
  known_ = at;
  lifecycle.TakeAgent(object);
  pending = static_cast<size_t>(IntOf(object["pending_approvals"]));
  if (pending == 0) asks.clear();
  if (state() == "failed" && last.empty()) SetLast(Plain(object["reason"].StringOr("")), Colour::kRed);
}

void TopAgent::TakeSample(const JsonValue& object, int64_t now_ms) {
  const JsonValue resources = object["resources"];
  const int64_t pid = IntOf(object["pid"]);
  const auto cpu_ms = resources["cpu_ms"].AsInt();
  rss_bytes = resources["rss_bytes"].AsInt();
  if (!cpu_ms || pid != sampled_pid_) {
    cpu_percent.reset();
  } else if (now_ms - sampled_at_ms_ < kMinSampleMs) {
    return;
  } else {
    cpu_percent = 100.0 * static_cast<double>(std::max<int64_t>(0, *cpu_ms - sampled_cpu_ms_)) /
                  static_cast<double>(now_ms - sampled_at_ms_);
  }
  sampled_pid_ = pid;
  sampled_cpu_ms_ = cpu_ms.value_or(0);
  sampled_at_ms_ = now_ms;
}

bool TopAgent::TakeEvent(const JsonValue& event, uint64_t serial) {
  const std::string_view type = event["type"].StringOr("");
  const JsonValue data = event["data"];
  last_event_ms = std::max(last_event_ms, WallMsOf(event["time"]));
  const bool said = TakeLast(event);

  const Cursor at{static_cast<uint64_t>(IntOf(event["epoch"])), static_cast<uint64_t>(IntOf(event["seq"]))};
  if (!IsBefore(known_, at)) return said;
  known_ = at;
  if (IsRequest(type)) {
    if (TakeAsk(data, serial)) ++pending;
    return true;
  }
  if (IsAnswer(type)) {
    const std::string_view resolved = data["id"].StringOr("");
    std::erase_if(asks, [resolved](const TopAsk& ask) { return ask.id == resolved; });
    if (pending != 0) --pending;
    return true;
  }
  if (type == event_type::kAgentExited) {
    cpu_percent.reset();
    rss_bytes.reset();
  }
  return lifecycle.TakeEvent(event) || said;
}

bool TopAgent::TakeAsk(const JsonValue& request, uint64_t serial) {
  TopAsk ask;
  ask.id = request["id"].StringOr("");
  ask.serial = serial;
  ask.elicitation = request["kind"].StringOr("") == "elicitation";
  const std::string message = PlainLines(request["message"].StringOr(""));
  if (ask.elicitation) {
    ask.gist = "asks: " + Plain(message);
    ask.text = message;
    ask.schema = request["schema"].Raw();
  } else {
    ask.tool = Plain(request["tool"].StringOr(""));
    ask.gist = "asks: " + ask.tool + " " + PrincipalInput(request["input"]);
    ask.text = (message.empty() ? "" : message + "\n") + InputText(request["input"]);
  }
  ask.gist = Fit(ask.gist, kMaxLast);
  for (TopAsk& other : asks) {
    if (other.id != ask.id) continue;
    if (!IsSame(ask, other)) other = std::move(ask);
    return false;
  }
  asks.push_back(std::move(ask));
  return true;
}

bool TopAgent::SetLast(const std::string& line, Colour colour) {
  std::string fitted = Fit(line, kMaxLast);
  if (fitted.empty() || (fitted == last && colour == last_colour)) return false;
  last = std::move(fitted);
  last_colour = colour;
  return true;
}

bool TopAgent::TakeLast(const JsonValue& event) {
  const std::string_view type = event["type"].StringOr("");
  const JsonValue data = event["data"];
  auto append = [](std::string& text, std::string_view more) {
    text += more;
    if (text.size() > 2 * kMaxSaying) text.erase(0, text.size() - kMaxSaying);
  };
  if (type == event_type::kAgentOutput) {
    append(printing_, OutputBytes(data));
    const std::string line = OutputLine(printing_);
    if (!IsPartial(data)) printing_.clear();
    return SetLast(LastLine(line));
  }
  if (type == event_type::kAssistantDelta) {
    append(saying, data["text"].StringOr(""));
    return SetLast(LastLine(saying));
  }
  if (type == event_type::kAssistantMessage || type == event_type::kToolStarted ||
      type == event_type::kToolFailed || type.starts_with("run."))
    saying.clear();
  if (type == event_type::kAssistantMessage) {
    answer_ = LastLine(data["text"].StringOr(""));
    return SetLast(answer_);
  }
  if (type == event_type::kRunStarted) answer_.clear();
  // The result of a run matters more than its last tool call.
  if (type == event_type::kRunCompleted) return SetLast(answer_);
  if (type == event_type::kUserMessage)
    return SetLast("> " + LastLine(data["text"].StringOr("")), Colour::kBold);
  const std::string name = Plain(data["name"].StringOr("a tool"));
  if (type == event_type::kToolStarted)
    return SetLast(name + " " + PrincipalInput(data["input"]), Colour::kCyan);
  if (type == event_type::kToolFailed) return SetLast(name + " failed", Colour::kRed);
  if (type == event_type::kRunFailed || type == event_type::kRunCancelled) {
    const std::string why = PlainTextOf(data["error"]["message"]);
    const std::string line = type == event_type::kRunFailed ? "the run failed" : "the run was cancelled";
    return SetLast(why.empty() ? line : line + ": " + why,
                   type == event_type::kRunFailed ? Colour::kRed : Colour::kYellow);
  }
  if (type == event_type::kAgentFailed || type == event_type::kAgentError)
    return SetLast(EventWords(event), Colour::kRed);
  if (type == event_type::kAgentRestarting || type == event_type::kAgentStalled)
    return SetLast(EventWords(event), Colour::kYellow);
  if (type == event_type::kWorkspaceProgress) return SetLast(EventWords(event), Colour::kDim);
  return false;
}

}  // namespace reeve
