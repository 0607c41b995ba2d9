#include "control/cli/show/event_words.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <utility>
#include <vector>

#include "control/cli/show/text.h"
#include "orchestrator/log/event_types.h"

namespace reeve {

namespace {

constexpr size_t kMaxCompact = 300;        // columns of JSON
constexpr int64_t kLeastWaitedMs = 1'000;  // worth telling

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

// Lines of a diff that begin with `sign`, except its header.
int64_t CountLines(std::string_view diff, char sign) {
  int64_t count = 0;
  for (const std::string_view line : SplitLines(diff)) {
    if (line.starts_with(sign) && !line.starts_with(std::string(3, sign))) ++count;
  }
  return count;
}

std::string EditWords(const JsonValue& data) {
  std::string counts;
  const std::string_view diff = data["diff"].StringOr("");
  if (data["additions"] || !diff.empty()) {
    const int64_t added = data["additions"].AsInt().value_or(CountLines(diff, '+'));
    const int64_t removed = data["deletions"].AsInt().value_or(CountLines(diff, '-'));
    counts = " (+" + std::to_string(added) + " -" + std::to_string(removed) + ")";
  }
  return "edited " + PlainTextOf(data["path"]) + counts;
}

std::string UpdateWords(const JsonValue& data) {
  std::string names;
  for (const auto& [name, value] : data.Members()) {
    if (name != "by") AddTo(names, ", ", Plain(name));
  }
  const std::string by = PlainTextOf(data["by"]);
  return "agent updated: " + names + (by.empty() ? "" : " · by " + by);
}

// A form for Fill; empty for an unknown type.
std::string_view FormOf(std::string_view type, const JsonValue& data) {
  static const std::map<std::string_view, const char*> kForms = {
      {event_type::kAgentReady, "agent is ready"},
      {event_type::kAgentStopping, "agent is being stopped{ · by :by}"},
      {"agent.deleted", "agent was deleted"},
      {event_type::kAgentRestarting, "agent restarts{ in :delay_ms}{ · attempt :attempt}{ · :reason}"},
      {event_type::kAgentStalled, "agent is silent{ for :silent_ms}"},
      {event_type::kAgentResumed, "agent produces output again"},
      {event_type::kProcessKilled, "process :pid was sent :signal{ · by :by}{ · :command}"},
      {event_type::kWorkspaceProgress, "workspace: {:phase} {:percent}%"},
      {event_type::kWorkspaceReady, "workspace is ready{ · branch :branch}{ · :commit}"},
      {event_type::kMessageCancelled, "message withdrawn"},
      {event_type::kMessageDone, "message not delivered{: :reason}"},
      {event_type::kTitleUpdated, "{title: :title}"},
      {event_type::kSubagentStarted, "sub-agent started{ · :title}"},
      {event_type::kSubagentCompleted, "sub-agent completed{ · :title}"},
  };
  const auto flag = [&data](const char* name) { return data[name].AsBool().value_or(false); };
  if (type == event_type::kAgentStarting) {
    const bool again = data["restarts"].AsInt().value_or(0) > 0;
    return again ? "agent is starting{ · restart :restarts}{ · pid :pid}" : "agent is starting{ · pid :pid}";
  }
  if (type == event_type::kAgentExited) {
    if (flag("oom")) return "agent was killed: out of memory{ · :reason}";
    const bool killed = !TextOf(data["signal"]).empty();
    return killed ? "agent was killed by signal {:signal}{ · :reason}"
                  : "agent exited{ with code :code}{ · :reason}";
  }
  if (type == event_type::kAgentFailed)
    return data["message"] ? "agent failed{ · :message}" : "agent failed{ · :reason}";
  if (type == event_type::kAgentError)
    return flag("fatal") ? "fatal error{ · :code}{ · :message}" : "error{ · :code}{ · :message}";
  if (type == event_type::kWorkspaceContinued) return "continues from saved work{ · branch :branch}";
  if (type == event_type::kWorkspaceSaved)
    return flag("pushed") ? "work was saved and pushed{ · branch :branch}{ · kept another's work on :kept}"
                          : "work was saved{ · branch :branch}";
  if (type == event_type::kMessageQueued) {
    const bool followup = data["mode"].StringOr("followup") == "followup";
    return followup ? "message queued{ · for :run_at}{ · :reason}"
                    : "message queued{ · :mode}{ · for :run_at}{ · :reason}";
  }
  const auto form = kForms.find(type);
  return form == kForms.end() ? "" : form->second;
}

std::string FieldWords(const JsonValue& data, std::string_view name) {
  if (name.ends_with("_ms")) {
    const int64_t ms = data[name].AsInt().value_or(0);
    return ms > 0 ? DurationWords(ms) : "";
  }
  constexpr size_t kCommit = 12;  // digits
  return name == "commit" ? PlainTextOf(data[name]).substr(0, kCommit) : PlainTextOf(data[name]);
}

// Replaces each "{label:field}" by the label and the field's value, or by nothing if the field is empty.
std::string Fill(std::string_view form, const JsonValue& data) {
  std::string text;
  while (!form.empty()) {
    const size_t open = std::min(form.find('{'), form.size());
    text += form.substr(0, open);
    form.remove_prefix(open);
    if (form.empty()) break;
    const size_t close = form.find('}');
    const std::string_view part = form.substr(1, close - 1);
    const size_t colon = part.rfind(':');
    const std::string words = FieldWords(data, part.substr(colon + 1));
    if (!words.empty()) text.append(part.substr(0, colon)).append(words);
    form.remove_prefix(close + 1);
  }
  return text;
}

}  // namespace

bool IsRequest(std::string_view type) {
  return type == event_type::kApprovalRequested || type == event_type::kElicitationRequested;
}

bool IsAnswer(std::string_view type) {
  return type == event_type::kApprovalResolved || type == event_type::kElicitationResolved;
}

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

std::string OutputBytes(const JsonValue& data) {
  if (data["json"]) return data["json"].Raw();
  std::string text(data["text"].StringOr(""));
  return data["encoding"].StringOr("") == "base64" ? FromBase64(text).value_or(text) : text;
}

bool IsPartial(const JsonValue& data) { return data["partial"].AsBool().value_or(false); }

std::string OutputLine(std::string_view bytes) {
  while (bytes.ends_with('\r')) bytes.remove_suffix(1);
  bytes.remove_prefix(bytes.rfind('\r') + 1);  // npos + 1 is 0
  std::string line = PlainLines(WithoutSequences(bytes));
  std::replace(line.begin(), line.end(), '\n', ' ');
  return line;
}

std::string EventWords(const JsonValue& event, int64_t waited_ms) {
  const std::string_view type = event["type"].StringOr("");
  const JsonValue data = event["data"];
  if (const std::string_view form = FormOf(type, data); !form.empty()) return Fill(form, data);
  if (type == event_type::kAgentUpdated) return UpdateWords(data);
  if (type == event_type::kFileEdited) return EditWords(data);
  if (type == event_type::kUsageUpdated) return "usage: " + UsageWords(data);
  if (!type.starts_with("run.")) return Plain(type) + " " + Compact(data);
  const std::string limit = PlainTextOf(data["limit"]);
  const auto lasted = data["duration_ms"].AsInt();
  return JoinWords(
      {"run " + PlainTextOf(event["run"]) + " " + Plain(type.substr(4)),
       limit.empty() ? "" : "limit " + limit,
       lasted ? DurationWords(std::max<int64_t>(*lasted - waited_ms, 0)) : "",
       waited_ms < kLeastWaitedMs ? "" : DurationWords(waited_ms) + " more for a person's answers",
       UsageWords(data["usage"])});
}

}  // namespace reeve
