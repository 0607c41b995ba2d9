#include "control/cli/show/agent_words.h"

#include <algorithm>
#include <csignal>
#include <string_view>
#include <utility>
#include <vector>

#include "control/cli/line/exit_code.h"
#include "control/cli/show/agent_state.h"
#include "control/cli/show/event_words.h"
#include "control/cli/show/text.h"
#include "orchestrator/adapters/kind.h"
#include "orchestrator/agent/run.h"

namespace reeve {

namespace {

constexpr int kSignalBase = 128;  // as shells report a program that a signal ended

bool TakesTurns(const JsonValue& agent) {
  const std::string_view name = agent["kind"].StringOr("");
  return std::any_of(Kinds().begin(), Kinds().end(),
                     [name](const Kind& kind) { return kind.name == name && kind.can.turns; });
}

std::string Count(int64_t count, const char* one, const char* many) {
  return std::to_string(count) + (count == 1 ? one : many);
}

// Why a run failed: "ended by signal 9", "code 3", or the error.
std::string WhyFailed(const JsonValue& run) {
  if (const auto signal = run["signal"].AsInt()) return "ended by signal " + std::to_string(*signal);
  if (const auto code = run["exit_code"].AsInt(); code && *code != 0) return "code " + std::to_string(*code);
  return PlainTextOf(run["error"]["message"]);
}

bool WasCutOff(const JsonValue& run) { return run["error"]["code"].StringOr("") == kDaemonRestarted; }

// The end of its last run, if it was no success.
std::string LastRunNote(const JsonValue& agent) {
  const JsonValue run = agent["last_run"];
  const std::string_view status = run["status"].StringOr("");
  if (WasCutOff(run)) return "cut off: the daemon was killed";
  if (status == "cancelled") return agent["state"].StringOr("") == "exited" ? "stopped" : "";
  if (status != "failed") return {};
  const std::string why = WhyFailed(run);
  return why.empty() ? "failed" : why.starts_with("code ") ? "failed with " + why : "failed: " + why;
}

// The end of its process, if it was neither a success nor, as it seems, a stop.
std::string ExitNote(const JsonValue& agent) {
  const JsonValue exit = agent["exit"];
  const int64_t signal = exit["signal"].AsInt().value_or(0);
  const int64_t code = exit["code"].AsInt().value_or(0);
  if (exit["oom"].AsBool().value_or(false)) return "killed: out of memory";
  if (signal == SIGTERM || code == kSignalBase + SIGTERM) return {};
  if (signal != 0) return "ended by signal " + std::to_string(signal);
  return code == 0 ? "" : "ended with code " + std::to_string(code);
}

// "starts again in 5s (code 1)".
std::string StartsAgain(const JsonValue& agent, int64_t now_ms) {
  const std::string at(agent["restart_at"].StringOr(""));
  if (at.empty()) return "starts again";
  const std::string why = WhyFailed(agent["last_run"]);
  return "starts again in " + DurationWords(std::max<int64_t>(WallMsOf(agent["restart_at"]) - now_ms, 0)) +
         (why.empty() ? "" : " (" + why + ")");
}

std::string StateNote(const JsonValue& agent, int64_t now_ms) {
  const std::string_view state = agent["state"].StringOr("");
  if (agent["deleted"].AsBool().value_or(false)) return "deleted";
  if (const auto reason = agent["reason"].AsString()) return Plain(*reason);
  if (state == "backoff") return StartsAgain(agent, now_ms);
  if (state != "exited" && state != "idle") return {};
  std::string note = LastRunNote(agent);
  if (state != "exited" || !note.empty()) return note;
  note = ExitNote(agent);
  if (!note.empty()) return note;
  return TakesTurns(agent) ? "asleep" : agent["exited_at"] ? "done" : "";
}

std::string QueueNote(const JsonValue& agent, int64_t now_ms) {
  const int64_t waiting = agent["queue_depth"].AsInt().value_or(0);
  const bool paused = agent["queue_paused"].AsBool().value_or(false);
  std::string note;
  if (waiting != 0)
    note = Count(waiting, " message waits", " messages wait") + (paused ? ", the queue is paused" : "");
  const int64_t scheduled = agent["scheduled"].AsInt().value_or(0);
  if (scheduled == 0) return note;
  const int64_t left_ms = std::max<int64_t>(WallMsOf(agent["next_due_at"]) - now_ms, 0);
  return JoinWords(
      {note, Count(scheduled, " scheduled message, due in ", " scheduled messages, the next in ") +
                 DurationWords(left_ms)});
}

std::string AgoWords(const JsonValue& time, int64_t now_ms) {
  const int64_t ms = WallMsOf(time);
  if (ms == 0) return {};
  return now_ms - ms < 1000 ? " just now" : " " + DurationWords(now_ms - ms) + " ago";
}

// "a1 is running (process 4711)."
std::string StateSentence(const JsonValue& agent, int64_t now_ms) {
  const std::string state = PlainTextOf(agent["state"]);
  std::string text = PlainTextOf(agent["id"]);
  if (const std::string title = PlainTextOf(agent["title"]); !title.empty()) text += " \"" + title + "\"";
  if (state == "exited" || state == "failed") {
    text += state == "failed" ? " has failed" : agent["exited_at"] ? " exited" : " has not been started";
    if (const JsonValue at = agent["exited_at"]; at) text += AgoWords(at, now_ms);
    const std::string note = StateNote(agent, now_ms);
    if (!note.empty() && note != "done") text += ": " + note;
    return text + ".";
  }
  const std::string words = state == "needs_input" ? "waiting for a person"
                            : state == "backoff"   ? "waiting: it " + StartsAgain(agent, now_ms)
                                                   : state;
  text += " is " + words;
  if (agent["pid"]) text += " (process " + Plain(agent["pid"].Raw()) + ")";
  return text + ".";
}

}  // namespace

int CodeOfFailedRun(const JsonValue& run) {
  if (const auto signal = run["signal"].AsInt()) return kSignalBase + static_cast<int>(*signal);
  const auto code = static_cast<int>(run["exit_code"].AsInt().value_or(0));
  return code == 0 ? kFailed : code;
}

Outcome OutcomeOfRun(const JsonValue& run) {
  const std::string_view status = run["status"].StringOr("");
  const auto lasted = run["duration_ms"].AsInt();
  const std::string after = lasted ? " after " + DurationWords(*lasted) : "";
  if (status == "cancelled") return {kCancelled, "cancelled", lasted ? after : " before it began"};
  if (status != "failed") return {kOk, "completed", after};
  const int code = CodeOfFailedRun(run);
  const std::string why = Plain(run["error"]["message"].StringOr(""));
  return {code, "failed",
          (code == kFailed && !run["exit_code"] ? "" : " with " + std::to_string(code)) + after +
              (why.empty() ? "" : ": " + why)};
}

Outcome OutcomeOfAgent(const JsonValue& agent, const std::string& until) {
  const std::string state(agent["state"].StringOr(""));
  const std::string reason = Plain(agent["reason"].StringOr(""));
  if (state == "failed") return {kFailed, state, reason.empty() ? "" : ": " + reason};
  if (until == "ready") {
    if (state == "exited") return {kFailed, state, ""};
    return {kOk, "ready", ""};
  }
  std::string rest;
  const int64_t waiting = agent["queue_depth"].AsInt().value_or(0);
  if (waiting != 0) rest = ", " + Count(waiting, " message waits", " messages wait");
  if (!agent["last_run"]) return {kOk, state, rest};
  const Outcome last = OutcomeOfRun(agent["last_run"]);
  return {last.code, state, rest + ", its last run " + last.state + last.rest};
}

std::string AgentNote(const JsonValue& agent, int64_t now_ms) {
  return JoinWords({StateNote(agent, now_ms), QueueNote(agent, now_ms)});
}

std::string CommandOf(const JsonValue& agent) {
  std::string command;
  for (const JsonValue& word : agent["command"].Elements()) AddTo(command, " ", PlainTextOf(word));
  return command;
}

std::string AgentSentences(const JsonValue& agent, int64_t now_ms) {
  std::vector<std::string> lines = {StateSentence(agent, now_ms)};
  auto add = [&lines](const std::string& line) {
    if (!line.empty()) lines.push_back("  " + line);
  };
  const std::string command = CommandOf(agent);
  add("It is of kind " + PlainTextOf(agent["kind"]) + (command.empty() ? "" : " and runs: " + command));
  if (const std::string folder = PlainTextOf(agent["cwd"]); !folder.empty()) add("It works in " + folder);
  if (const std::string git = PlainTextOf(agent["workspace"]["git"]); !git.empty())
    add("Its workspace is a clone of " + git);
  if (const std::string model = PlainTextOf(agent["model"]); !model.empty()) add("Its model is " + model);
  if (const JsonValue run = agent["run"]; run["run_id"])
    add("Run " + PlainTextOf(run["run_id"]) + " began" + AgoWords(run["started_at"], now_ms));
  if (const JsonValue run = agent["last_run"]; run["run_id"]) {
    const Outcome last = OutcomeOfRun(run);
    add("The last run, " + PlainTextOf(run["run_id"]) + ", " +
        (WasCutOff(run) ? "was cut off: the daemon was killed"
                        : (last.state == "cancelled" ? "was " : "") + last.state + last.rest) +
        (run["ended_at"] ? "," + AgoWords(run["ended_at"], now_ms) : ""));
  }
  const int64_t requests = agent["pending_approvals"].AsInt().value_or(0);
  const std::string id = PlainTextOf(agent["id"]);
  if (requests != 0)
    add(Count(requests, " request waits", " requests wait") +
        " for an answer: `reeve approvals list --agent " + id + "`");
  if (const std::string queue = QueueNote(agent, now_ms); !queue.empty())
    add("In its queue: " + queue + " (`reeve queue list " + id + "`)");
  if (const int64_t restarts = agent["restarts"].AsInt().value_or(0); restarts != 0)
    add("It was restarted " + Count(restarts, " time", " times"));
  if (const std::string usage = UsageWords(agent["usage"]); !usage.empty()) add("It has used " + usage);
  std::string labels;
  for (const auto& [key, value] : agent["labels"].Members())
    AddTo(labels, ", ", Plain(key) + "=" + PlainTextOf(value));
  if (!labels.empty()) add("Labels: " + labels);
  const JsonValue made = agent["created_at"];
  if (made)
    add("It was made" + AgoWords(made, now_ms) + "; the last event was" +
        AgoWords(agent["last_event_at"], now_ms));
  const std::string_view state = agent["state"].StringOr("");
  if (state == "exited" || state == "failed")
    add("`reeve start " + id + "` starts it again; so does a message: `reeve wake " + id + " -m TEXT`");
  std::string text;
  for (const std::string& line : lines) AddTo(text, "\n", line);
  return text;
}

}  // namespace reeve
