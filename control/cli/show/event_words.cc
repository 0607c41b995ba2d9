#include "control/cli/show/event_words.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "control/cli/show/text.h"

namespace reeve {

namespace {

constexpr size_t kMaxCompact = 300;  // columns of JSON

// With commas between thousands.
std::string Grouped(int64_t number) {
  const std::string digits = std::to_string(number);
  std::string text;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && digits[i - 1] != '-' && (digits.size() - i) % 3 == 0) text += ',';
    text += digits[i];
  }
  return text;
}

std::string Compact(const JsonValue& value) { return Fit(Plain(value.Raw()), kMaxCompact); }

std::string Labelled(const char* label, const JsonValue& value) {
  const std::string text = PlainTextOf(value);
  return text.empty() ? text : label + text;
}

std::string Lasting(const char* label, const JsonValue& ms) {
  return ms.AsInt().value_or(0) > 0 ? label + DurationWords(*ms.AsInt()) : std::string();
}

std::string ExitWords(const JsonValue& data) {
  if (data["oom"].AsBool().value_or(false)) return "was killed: out of memory";
  if (!TextOf(data["signal"]).empty()) return "was killed by signal " + PlainTextOf(data["signal"]);
  const std::string code = PlainTextOf(data["code"]);
  return code.empty() ? "exited" : "exited with code " + code;
}

// Lines of a diff that begin with `sign`, except its header.
int64_t CountLines(std::string_view diff, char sign) {
  int64_t count = 0;
  for (const std::string_view line : SplitLines(diff)) {
    if (line.starts_with(sign) && !line.starts_with(std::string(3, sign))) ++count;
  }
  return count;
}

std::string Edited(const JsonValue& data) {
  std::string counts;
  const std::string_view diff = data["diff"].StringOr("");
  if (data["additions"] || !diff.empty()) {
    const int64_t added = data["additions"].AsInt().value_or(CountLines(diff, '+'));
    const int64_t removed = data["deletions"].AsInt().value_or(CountLines(diff, '-'));
    counts = " (+" + std::to_string(added) + " -" + std::to_string(removed) + ")";
  }
  return "edited " + PlainTextOf(data["path"]) + counts;
}

std::string Updated(const JsonValue& data) {
  std::string names;
  for (const auto& [name, value] : data.Members()) AddTo(names, ", ", Plain(name));
  return "agent updated: " + names;
}

std::string Queued(const JsonValue& data) {
  const std::string_view mode = data["mode"].StringOr("followup");
  return JoinWords({"message queued", mode == "followup" ? "" : Plain(mode), Labelled("for ", data["run_at"]),
                    PlainTextOf(data["reason"])});
}

std::string Failed(const JsonValue& data) {
  const JsonValue reason = data["message"] ? data["message"] : data["reason"];
  return JoinWords({"agent failed", PlainTextOf(reason)});
}

using Say = std::string (*)(const JsonValue& data);

const std::map<std::string_view, Say>& Sayings() {
  static const std::map<std::string_view, Say> kSayings = {
      {"agent.starting",
       [](const JsonValue& data) {
         const bool again = data["restarts"].AsInt().value_or(0) > 0;
         return JoinWords({"agent is starting", again ? Labelled("restart ", data["restarts"]) : "",
                           Labelled("pid ", data["pid"])});
       }},
      {"agent.ready", [](const JsonValue&) { return std::string("agent is ready"); }},
      {"agent.stopping", [](const JsonValue&) { return std::string("agent is being stopped"); }},
      {"agent.exited",
       [](const JsonValue& data) {
         return JoinWords({"agent " + ExitWords(data), PlainTextOf(data["reason"])});
       }},
      {"agent.failed", Failed},
      {"agent.deleted", [](const JsonValue&) { return std::string("agent was deleted"); }},
      {"agent.restarting",
       [](const JsonValue& data) {
         return JoinWords({"agent restarts" + Lasting(" in ", data["delay_ms"]),
                           Labelled("attempt ", data["attempt"]), PlainTextOf(data["reason"])});
       }},
      {"agent.stalled",
       [](const JsonValue& data) { return "agent is silent" + Lasting(" for ", data["silent_ms"]); }},
      {"agent.resumed", [](const JsonValue&) { return std::string("agent produces output again"); }},
      {"agent.updated", Updated},
      {"agent.error",
       [](const JsonValue& data) {
         return JoinWords({data["fatal"].AsBool().value_or(false) ? "fatal error" : "error",
                           PlainTextOf(data["code"]), PlainTextOf(data["message"])});
       }},
      {"workspace.progress",
       [](const JsonValue& data) {
         return "workspace: " + PlainTextOf(data["phase"]) + " " + PlainTextOf(data["percent"]) + "%";
       }},
      {"workspace.ready",
       [](const JsonValue& data) {
         return JoinWords({"workspace is ready", Labelled("branch ", data["branch"]),
                           PlainTextOf(data["commit"]).substr(0, 12)});
       }},
      {"workspace.saved",
       [](const JsonValue& data) {
         const bool pushed = data["pushed"].AsBool().value_or(false);
         return JoinWords(
             {pushed ? "work was saved and pushed" : "work was saved", Labelled("branch ", data["branch"])});
       }},
      {"message.queued", Queued},
      {"message.cancelled", [](const JsonValue&) { return std::string("message withdrawn"); }},
      {"file.edited", Edited},
      {"title.updated", [](const JsonValue& data) { return Labelled("title: ", data["title"]); }},
      {"usage.updated", [](const JsonValue& data) { return "usage: " + UsageWords(data); }},
      {"subagent.started",
       [](const JsonValue& data) {
         return JoinWords({"sub-agent started", PlainTextOf(data["title"])});
       }},
      {"subagent.completed",
       [](const JsonValue& data) {
         return JoinWords({"sub-agent completed", PlainTextOf(data["title"])});
       }},
  };
  return kSayings;
}

}  // namespace

std::string DurationWords(int64_t ms) {
  if (ms < 1000) return std::to_string(ms) + " ms";
  const int64_t seconds = ms / 1000;
  if (seconds < 60) return std::to_string(seconds) + "." + std::to_string(ms / 100 % 10) + " s";
  if (seconds < 3600) return std::to_string(seconds / 60) + " min " + std::to_string(seconds % 60) + " s";
  return std::to_string(seconds / 3600) + " h " + std::to_string(seconds / 60 % 60) + " min";
}

std::string JoinWords(std::initializer_list<std::string> parts) {
  std::string words;
  for (const std::string& part : parts) {
    if (!part.empty()) words += (words.empty() ? "" : " · ") + part;
  }
  return words;
}

std::string UsageWords(const JsonValue& usage) {
  std::string words;
  if (usage["input_tokens"].AsInt().value_or(0) == 0 && usage["output_tokens"].AsInt().value_or(0) == 0)
    return words;
  if (auto in = usage["input_tokens"].AsInt()) words = Grouped(*in) + " tokens in";
  if (auto out = usage["output_tokens"].AsInt())
    AddTo(words, ", ", Grouped(*out) + (words.empty() ? " tokens out" : " out"));
  if (const double cost = usage["cost_usd"].AsDouble().value_or(0); cost > 0) {
    std::array<char, 32> text{};
    (void)std::snprintf(text.data(), text.size(), "$%.4f", cost);
    AddTo(words, ", ", text.data());
  }
  return words;
}

std::string TextOf(const JsonValue& value) {
  if (!value || value.Is(JsonType::kNull)) return {};
  return value.AsString() ? std::string(*value.AsString()) : value.Raw();
}

std::string PlainTextOf(const JsonValue& value) { return Plain(TextOf(value)); }

std::string PrincipalInput(const JsonValue& input) {
  for (const char* name :
       {"command", "file_path", "filePath", "path", "pattern", "query", "url", "description"}) {
    if (const auto text = input[name].AsString()) return Plain(*text);
  }
  if (input.size() == 0) return input.AsString() ? Plain(*input.AsString()) : std::string();
  return Compact(input);
}

std::string InputText(const JsonValue& input) {
  const auto members = input.Members();
  if (members.empty()) return PlainLines(TextOf(input));
  if (members.size() == 1 && members.front().value.AsString())
    return PlainLines(*members.front().value.AsString());
  std::string text;
  for (const auto& [name, value] : members) {
    const std::string said = PlainLines(TextOf(value));
    const bool several = said.find('\n') != std::string::npos;
    AddTo(text, "\n", Plain(name) + ":" + (several ? "\n" : " ") + said);
    if (several && text.back() == '\n') text.pop_back();
  }
  return text;
}

// CSI: ECMA-48 section 5.4. OSC and other strings: section 5.6; xterm also ends them with BEL.
std::string WithoutSequences(std::string_view text) {
  constexpr char kEscape = '\x1b';
  std::string out;
  while (!text.empty()) {
    const size_t escape = std::min(text.find(kEscape), text.size());
    out += text.substr(0, escape);
    text.remove_prefix(escape);
    if (text.size() < 2) break;
    size_t end = std::string_view::npos;  // of the sequence
    if (text[1] == '[') {
      end = text.find_first_not_of("0123456789:;<=>? !\"#$%&'()*+,-./", 2);
    } else if (text[1] == ']' || text[1] == 'P' || text[1] == '^' || text[1] == '_' || text[1] == 'X') {
      end = text.find_first_of("\a\x1b", 2);
      if (end != std::string_view::npos && text[end] == kEscape) ++end;
    } else {
      end = text.find_first_not_of(" !\"#$%&'()*+,-./", 1);
    }
    if (end == std::string_view::npos || end >= text.size()) break;
    text.remove_prefix(end + 1);
  }
  return out + std::string(text);
}

std::string OutputLine(const JsonValue& data) {
  if (data["json"]) return Plain(data["json"].Raw());
  std::string text(data["text"].StringOr(""));
  if (data["encoding"].StringOr("") == "base64") text = FromBase64(text).value_or(text);
  while (!text.empty() && text.back() == '\r') text.pop_back();
  if (const size_t over = text.rfind('\r'); over != std::string::npos) text.erase(0, over + 1);
  std::string line = PlainLines(WithoutSequences(text));
  std::replace(line.begin(), line.end(), '\n', ' ');
  return data["truncated"].AsBool().value_or(false) ? line + " … (cut off)" : line;
}

std::string EventWords(const JsonValue& event) {
  const std::string_view type = event["type"].StringOr("");
  const auto saying = Sayings().find(type);
  if (saying != Sayings().end()) return saying->second(event["data"]);
  if (type.substr(0, 4) == "run.") {
    const JsonValue data = event["data"];
    const auto lasted = data["duration_ms"].AsInt();
    return JoinWords({"run " + PlainTextOf(event["run"]) + " " + Plain(type.substr(4)),
                      Labelled("limit ", data["limit"]), lasted ? DurationWords(*lasted) : "",
                      UsageWords(data["usage"])});
  }
  return Plain(type) + " " + Compact(event["data"]);
}

}  // namespace reeve
