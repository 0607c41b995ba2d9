// The agent as the API shows it.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <utility>

#include "orchestrator/agent/agent.h"
#include "orchestrator/agent/process_json.h"
#include "orchestrator/json/json.h"
#include "orchestrator/log/event_types.h"
#include "orchestrator/log/transcript.h"
#include "process/clock.h"
#include "process/loop.h"
#include "process/proc.h"
#include "process/process_details.h"

namespace reeve {

namespace {

constexpr const char* kStates[] = {"starting", "idle",    "running", "needs_input", "stalled",
                                   "stopping", "backoff", "exited",  "failed"};

std::string ExitJson(const ExitStatus& exit) {
  JsonObject json;
  if (exit.signal != 0) {
    json.Set("signal", exit.signal);
  } else {
    json.Set("code", exit.code);
  }
  return json.Set("oom", exit.oom).Take();
}

}  // namespace

const char* NameOf(Agent::State state) { return kStates[static_cast<size_t>(state)]; }

std::optional<Agent::State> ParseAgentState(std::string_view name) {
  for (size_t i = 0; i < std::size(kStates); ++i) {
    if (name == kStates[i]) return static_cast<Agent::State>(i);
  }
  return std::nullopt;
}

std::vector<std::string_view> AgentStateNames() { return {std::begin(kStates), std::end(kStates)}; }

// A program without turns may work by itself, so it waits for nothing that is known.
void Agent::SetWaitingFor(JsonObject& json) const {
  if (!runs_.open() || !process_.ready() || !approvals_.pending().empty()) return;
  if (const OpenContent::Call* call = open_content_.newest_call()) {
    json.Set("waiting_for", "tool").Set("waiting_since", FormatTime(call->started_ms));
    json.SetRaw("open_call", JsonObject().Set("call_id", call->id).Set("name", call->name).Take());
  } else if (has_turns_) {
    const int64_t progress_ms = clocks_.since_progress_ms();
    const int64_t progressed_ms = progress_ms < 0 ? 0 : context_.clock.WallMs() - progress_ms;
    json.Set("waiting_for", "model");
    json.Set("waiting_since", FormatTime(std::max(progressed_ms, runs_.open()->started_ms)));
  }
}

// With the model of the next turn.
std::string Agent::SpecJson() const {
  if (model() == spec_.model) return spec_.ToJson(AgentSpec::Secrets::kNamesOnly);
  AgentSpec shown = spec_;
  shown.model = model();
  return shown.ToJson(AgentSpec::Secrets::kNamesOnly);
}

std::string Agent::ToJson() const {
  JsonObject state;
  JsonArray files;
  for (const std::string& name : secrets_.names()) files.Add(name);
  state.SetRaw("files", files.Take());
  state.Set("state", NameOf(state_));
  if (process_.alive()) state.Set("pid", int64_t{process_.pid()});
  state.Set("created_at", FormatTime(created_ms_));
  for (auto [name, ms] : {std::pair{"started_at", process_.started_ms()},
                          {"ready_at", process_.ready_ms()},
                          {"exited_at", process_.exited_ms()},
                          {"last_event_at", last_event_ms()}}) {
    if (ms != 0) state.Set(name, FormatTime(ms));
  }
  const int64_t now_ms = context_.clock.WallMs();
  for (auto [name, since_ms] : {std::pair{"last_output_at", clocks_.since_output_ms()},
                                {"last_progress_at", clocks_.since_progress_ms()}}) {
    if (since_ms >= 0) state.Set(name, FormatTime(now_ms - since_ms));
  }
  if (process_.exit()) state.SetRaw("exit", ExitJson(*process_.exit()));
  state.Set("restarts", restarts_.total());
  if (const std::optional<int64_t> due_ms = backoff_.due_ms(); due_ms && state_ == State::kBackoff) {
    // To the second, so that one start is the same time in each answer.
    const int64_t at_ms = now_ms + *due_ms - context_.loop.NowMs();
    state.Set("restart_at", FormatTime((at_ms + 500) / 1000 * 1000));
  }
  if (runs_.open()) state.SetRaw("run", runs_.open()->ToJson());
  SetWaitingFor(state);
  if (runs_.last()) state.SetRaw("last_run", runs_.last()->ToJson());
  state.SetRaw("usage", runs_.usage().ToJson());
  state.Set("queue_depth", static_cast<uint64_t>(mailbox_.depth()));
  state.Set("queue_paused", mailbox_.paused());
  if (const size_t scheduled = mailbox_.count(Mailbox::Stage::kScheduled); scheduled != 0) {
    state.Set("scheduled", static_cast<uint64_t>(scheduled));
    state.Set("next_due_at", FormatTime(mailbox_.next_due_ms()));
  }
  state.Set("pending_approvals", static_cast<uint64_t>(approvals_.pending().size()));
  const EventLog* log = journal_.log();
  state.Set("viewers", static_cast<uint64_t>(log ? log->readers().size() : 0));
  if (log || journal_.cursor().seq != 0) state.Set("cursor", journal_.cursor().ToString());
  if (!process_.session().empty()) state.Set("session", process_.session());
  if (const auto& failure = process_.failure()) {
    state.Set("reason", failure->error.message);
    if (!failure->output.empty()) state.Set("last_output", failure->output);
  }
  if (deleted()) state.Set("deleted", true);

  std::string json = SpecJson();
  json.back() = ',';
  json += state.Take().substr(1);
  return json;
}

// proc(5), /proc/<pid>/stat: fields 14, 15 and 24. The name, field 2, may contain any characters.
std::string Agent::ResourcesJson() const {
  if (!process_.alive()) return {};
  const std::string stat = ReadSmallFile("/proc/" + std::to_string(process_.pid()) + "/stat");
  const size_t after_name = stat.rfind(')');
  if (after_name == std::string::npos) return {};
  uint64_t user = 0;
  uint64_t system = 0;
  int64_t pages = 0;
  if (std::sscanf(stat.c_str() + after_name + 1,
                  " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d %*d %*d %*d %*u %*u %ld",
                  &user, &system, &pages) != 3) {
    return {};
  }
  const auto ticks = static_cast<uint64_t>(sysconf(_SC_CLK_TCK));
  return JsonObject()
      .Set("rss_bytes", pages * sysconf(_SC_PAGESIZE))
      .Set("cpu_ms", (user + system) * 1000 / ticks)
      .Take();
}

std::string Agent::ProcessesJson() const {
  JsonArray processes;
  for (const ProcessId& process : Processes()) {
    const auto details = DescribeProcess(process);
    if (!details) continue;
    JsonObject json;
    SetProcess(json, *details);
    processes.AddRaw(json.Set("role", process.pid == process_.pid() ? "main" : "tool").Take());
  }
  return JsonObject().SetRaw("processes", processes.Take()).Take();
}

std::vector<std::string> Agent::TranscriptFiles() const {
  return Transcript::Files(context_.transcripts_dir + "/" + id());
}

std::string Agent::QueueJson() const {
  JsonArray messages;
  for (const Mailbox::Entry* entry : mailbox_.All()) {
    const bool steering = entry->stage == Mailbox::Stage::kSteering;
    const bool begins = steering || entry->stage == Mailbox::Stage::kClaimed;
    messages.AddRaw(entry->message.Describe(begins ? "starting" : "queued",
                                            steering && runs_.open() ? runs_.open()->id : ""));
  }
  return JsonObject().Set("paused", mailbox_.paused()).SetRaw("messages", messages.Take()).Take();
}

Result<std::string> Agent::Snapshot() {
  if (auto opened = journal_.Open(); !opened) return opened.error();
  if (Status committed = journal_.CommitNow(); !committed) return committed.error();
  const EventLog& log = *journal_.log();
  JsonArray pending;
  for (const PendingApproval& approval : approvals_.pending()) pending.AddRaw(approval.ToJson());
  return JsonObject()
      .SetRaw("agent", ToJson())
      .SetRaw("run", runs_.open() ? runs_.open()->ToJson() : "null")
      .SetRaw("pending", pending.Take())
      .SetRaw("open", open_content_.ToJson())
      .Set("cursor", log.committed().ToString())
      .Take();
}

}  // namespace reeve
