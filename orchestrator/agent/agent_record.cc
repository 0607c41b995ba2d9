// What an agent shows of itself, to the API and to the store.
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <utility>

#include <unistd.h>

#include "orchestrator/agent/agent.h"
#include "process/clock.h"
#include "process/proc.h"

namespace reeve {

const char* NameOf(Agent::State state) {
  switch (state) {
    case Agent::State::kStarting:
      return "starting";
    case Agent::State::kIdle:
      return "idle";
    case Agent::State::kRunning:
      return "running";
    case Agent::State::kNeedsInput:
      return "needs_input";
    case Agent::State::kStalled:
      return "stalled";
    case Agent::State::kStopping:
      return "stopping";
    case Agent::State::kBackoff:
      return "backoff";
    case Agent::State::kExited:
      return "exited";
    case Agent::State::kFailed:
      return "failed";
  }
  return "";
}

std::optional<Agent::State> ParseAgentState(std::string_view name) {
  for (int i = 0; i <= static_cast<int>(Agent::State::kFailed); ++i) {
    if (name == NameOf(static_cast<Agent::State>(i))) return static_cast<Agent::State>(i);
  }
  return std::nullopt;
}

const char* NameOf(Run::Status status) {
  switch (status) {
    case Run::Status::kRunning:
      return "running";
    case Run::Status::kCompleted:
      return "completed";
    case Run::Status::kFailed:
      return "failed";
    case Run::Status::kCancelled:
      return "cancelled";
  }
  return "";
}

std::optional<Run::Status> ParseRunStatus(std::string_view name) {
  for (Run::Status status :
       {Run::Status::kRunning, Run::Status::kCompleted, Run::Status::kFailed, Run::Status::kCancelled}) {
    if (name == NameOf(status)) return status;
  }
  return std::nullopt;
}

void Usage::Add(const Usage& other) {
  input_tokens += other.input_tokens;
  output_tokens += other.output_tokens;
  cost_usd += other.cost_usd;
}

std::string Usage::ToJson() const {
  return JsonObject()
      .Set("input_tokens", input_tokens)
      .Set("output_tokens", output_tokens)
      .Set("cost_usd", cost_usd)
      .Take();
}

Usage Usage::FromJson(const JsonValue& json) {
  return {json["input_tokens"].AsInt().value_or(0), json["output_tokens"].AsInt().value_or(0),
          json["cost_usd"].AsDouble().value_or(0)};
}

namespace {
constexpr int64_t kSaveAgainMs = 1'000;
}  // namespace

bool Run::Has(const std::string& message) const {
  return message_id == message || std::find(steered.begin(), steered.end(), message) != steered.end();
}

uint64_t Run::NumberOf(std::string_view run_id) {
  uint64_t number = 0;
  if (run_id.size() < 2 || run_id[0] != 'r') return 0;
  auto [end, error] = std::from_chars(run_id.data() + 1, run_id.data() + run_id.size(), number);
  return error == std::errc() && end == run_id.data() + run_id.size() ? number : 0;
}

std::string Run::ToJson() const {
  JsonObject json;
  json.Set("run_id", id).Set("status", NameOf(status));
  if (!message_id.empty()) json.Set("message_id", message_id);
  json.Set("exit_code", exit_code);
  if (!error.code.empty()) {
    json.SetRaw("error", JsonObject().Set("code", error.code).Set("message", error.message).Take());
  }
  if (!limit.empty()) json.Set("limit", limit);
  JsonArray ids;
  for (const std::string& message : steered) ids.Add(message);
  if (!steered.empty()) json.SetRaw("steered", ids.Take());
  json.SetRaw("usage", usage).Set("started_at", FormatTime(started_ms));
  if (ended_ms != 0) json.Set("ended_at", FormatTime(ended_ms)).Set("duration_ms", ended_ms - started_ms);
  return json.Take();
}

std::optional<Run> Run::FromJson(const JsonValue& json) {
  auto time = [](const JsonValue& value) { return ParseTime(std::string(value.StringOr(""))).value_or(0); };
  Run run;
  run.id = json["run_id"].StringOr("");
  run.message_id = json["message_id"].StringOr("");
  if (auto code = json["exit_code"].AsInt()) run.exit_code = static_cast<int>(*code);
  run.error = {std::string(json["error"]["code"].StringOr("")),
               std::string(json["error"]["message"].StringOr(""))};
  run.limit = json["limit"].StringOr("");
  for (const JsonValue& message : json["steered"].Elements()) run.steered.emplace_back(message.StringOr(""));
  if (json["usage"]) run.usage = json["usage"].Raw();
  run.started_ms = time(json["started_at"]);
  run.ended_ms = time(json["ended_at"]);
  run.status = ParseRunStatus(json["status"].StringOr("")).value_or(Status::kRunning);
  if (run.id.empty()) return std::nullopt;
  return run;
}

namespace {

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

std::string Agent::ToJson() const {
  JsonObject state;
  state.Set("state", NameOf(state_));
  if (child_) state.Set("pid", int64_t{child_->pid()});
  state.Set("created_at", FormatTime(created_ms_));
  for (auto [name, ms] : {std::pair{"started_at", started_ms_},
                          {"ready_at", ready_ms_},
                          {"exited_at", exited_ms_},
                          {"last_event_at", last_event_ms_}}) {
    if (ms != 0) state.Set(name, FormatTime(ms));
  }
  const int64_t now_ms = context_.clock.WallMs();
  for (auto [name, since_ms] : {std::pair{"last_output_at", clocks_.since_output_ms()},
                                {"last_progress_at", clocks_.since_progress_ms()}}) {
    if (since_ms >= 0) state.Set(name, FormatTime(now_ms - since_ms));
  }
  if (exit_) state.SetRaw("exit", ExitJson(*exit_));
  state.Set("restarts", restarts_);
  if (run_) state.SetRaw("run", run_->ToJson());
  if (!runs_.empty()) state.SetRaw("last_run", runs_.back().ToJson());
  Usage usage = usage_;
  if (run_) {
    if (auto present = JsonDocument::Parse(run_->usage)) usage.Add(Usage::FromJson(present->root()));
  }
  state.SetRaw("usage", usage.ToJson());
  state.Set("queue_depth", static_cast<uint64_t>(inbox_.size() + steering_.size() + (taken_ ? 1 : 0)));
  state.Set("queue_paused", inbox_.paused());
  if (inbox_.scheduled() != 0) {
    state.Set("scheduled", static_cast<uint64_t>(inbox_.scheduled()));
    state.Set("next_due_at", FormatTime(inbox_.next_due_ms()));
  }
  state.Set("pending_approvals", static_cast<uint64_t>(approvals_.pending().size()));
  state.Set("viewers", static_cast<uint64_t>(log_ ? log_->readers().size() : 0));
  if (log_ || last_cursor_.seq != 0)
    state.Set("cursor", (log_ ? log_->committed() : last_cursor_).ToString());
  if (!session_.empty()) state.Set("session", session_);
  if (broken_) state.Set("reason", broken_->message);
  if (broken_ && !failure_output_.empty()) state.Set("last_output", failure_output_);
  if (deleted_) state.Set("deleted", true);

  std::string json = spec_.ToJson(AgentSpec::Secrets::kNamesOnly);
  json.back() = ',';
  json += state.Take().substr(1);
  return json;
}

// proc(5), /proc/<pid>/stat: fields 14, 15 and 24; the name, field 2, may hold anything.
std::string Agent::ResourcesJson() const {
  if (!child_) return {};
  const std::string stat = ReadSmallFile("/proc/" + std::to_string(child_->pid()) + "/stat");
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

std::vector<std::string> Agent::TranscriptFiles() const {
  return Transcript::Files(context_.transcripts_dir + "/" + id());
}

Result<std::string> Agent::Snapshot() {
  if (auto opened = OpenLog(); !opened) return opened.error();
  if (Status committed = log_->Commit(); !committed) return committed.error();
  std::string partial;
  if (run_ && log_->head().seq > partial_after_) {
    auto from = log_->PositionAfter(partial_after_);
    if (!from) return from.error();
    auto read = log_->Scan(*from, [&partial](const FrameView& frame, std::string_view) {
      if (frame.type == "assistant.delta") {
        if (auto json = JsonDocument::Parse(frame.envelope)) partial += (*json)["data"]["text"].StringOr("");
      }
      return true;
    });
    if (!read) return read.error();
  }
  JsonArray pending;
  for (const PendingApproval& approval : approvals_.pending()) pending.AddRaw(approval.ToJson());
  return JsonObject()
      .SetRaw("agent", ToJson())
      .SetRaw("run", run_ ? run_->ToJson() : "null")
      .SetRaw("pending", pending.Take())
      .Set("partial_text", partial)
      .Set("cursor", log_->committed().ToString())
      .Take();
}

Result<bool> Agent::Update(AgentSpec spec, const std::vector<std::string>& changed, Done done) {
  if (deleted_) return Error{"agent_deleted", "agent " + id() + " has been deleted"};
  if (auto opened = OpenLog(); !opened) return opened.error();
  spec.files = spec_.files;  // which only the folder knows
  AgentSpec before = std::exchange(spec_, std::move(spec));
  for (const auto& [name, value] : spec_.env) HideInTranscript(value);
  auto json = JsonDocument::Parse(spec_.ToJson(AgentSpec::Secrets::kNamesOnly));
  JsonObject data;
  bool for_next_start = false;
  for (const std::string& field : changed) {
    data.SetRaw(field, (*json)[field].Raw());
    for_next_start = for_next_start || field == "env" || field == "system_prompt";
  }
  clocks_.LookAgain();
  Save([this, alive = std::weak_ptr<bool>(alive_), before = std::move(before), data = data.Take(),
        done = std::move(done)](const Status& status) {
    if (!alive.expired() && status) {
      Append("agent.updated", data);
    } else if (!alive.expired()) {
      spec_ = before;  // who is told that it failed must not find it done
      clocks_.LookAgain();
    }
    done(status);
  });
  Advance();
  return for_next_start && child_ != nullptr;
}

// -------------------------------------------------------------------------------------------------- store

std::string Agent::StateJson() const {
  JsonObject json;
  json.Set("wanted", wanted_)
      .Set("alive", child_ != nullptr || (log_ && log_->dirty()))
      .Set("purge", purge_)
      .Set("session", session_)
      .Set("restarts", restarts_)
      .Set("paused", inbox_.paused())
      .Set("pauses", inbox_.pauses());
  json.Set("created_ms", created_ms_).Set("started_ms", started_ms_).Set("exited_ms", exited_ms_);
  if (!child_) {  // while it lives the log tells
    json.Set("cursor", (log_ ? log_->committed() : last_cursor_).ToString());
    json.Set("last_event_ms", last_event_ms_);
  }
  if (!made_by_.empty()) json.Set("made_by", made_by_);
  if (exit_) json.SetRaw("exit", ExitJson(*exit_));
  if (!runs_.empty()) json.SetRaw("last_run", runs_.back().ToJson());
  json.SetRaw("usage", usage_.ToJson());
  if (!approvals_.always().empty()) {
    JsonArray always;
    for (const AllowedCall& call : approvals_.always()) {
      always.AddRaw(JsonObject().Set("tool", call.tool).Set("digest", call.digest).Take());
    }
    json.SetRaw("always", always.Take());
  }
  // Asked longer ago than a restarted daemon looks back in the log, they are withdrawn all the same.
  JsonObject pending;
  for (const PendingApproval& approval : approvals_.pending()) {
    pending.Set(approval.request.id, approval.request.elicitation);
  }
  if (!pending.empty()) json.SetRaw("pending", pending.Take());
  if (broken_)
    json.SetRaw("failure", JsonObject()
                               .Set("code", broken_->code)
                               .Set("message", broken_->message)
                               .Set("output", failure_output_)
                               .Take());
  return json.Take();
}

void Agent::LoadState(const JsonValue& state) {
  wanted_ = state["wanted"].AsBool().value_or(false) && !deleted_;
  purge_ = state["purge"].AsBool().value_or(false);
  session_ = state["session"].StringOr(session_);
  made_by_ = state["made_by"].StringOr("");
  restarts_ = static_cast<int>(state["restarts"].AsInt().value_or(0));
  created_ms_ = state["created_ms"].AsInt().value_or(0);
  started_ms_ = state["started_ms"].AsInt().value_or(0);
  exited_ms_ = state["exited_ms"].AsInt().value_or(0);
  last_event_ms_ = state["last_event_ms"].AsInt().value_or(0);
  last_cursor_ = Cursor::Parse(state["cursor"].StringOr("0")).value_or(Cursor{});
  inbox_.RestorePause(state["paused"].AsBool().value_or(false),
                      static_cast<uint64_t>(state["pauses"].AsInt().value_or(0)));
  if (JsonValue exit = state["exit"]) exit_ = ExitFromJson(exit);
  if (auto run = Run::FromJson(state["last_run"])) runs_.push_back(std::move(*run));
  usage_ = Usage::FromJson(state["usage"]);
  for (const JsonValue& call : state["always"].Elements()) {
    approvals_.AllowAlways(
        {std::string(call["tool"].StringOr("")), std::string(call["digest"].StringOr(""))});
  }
  if (JsonValue failure = state["failure"]) {
    broken_ = Error{std::string(failure["code"].StringOr("")), std::string(failure["message"].StringOr(""))};
    failure_output_ = failure["output"].StringOr("");
  }
}

ExitStatus Agent::ExitFromJson(const JsonValue& json) {
  ExitStatus exit;
  exit.code = static_cast<int>(json["code"].AsInt().value_or(-1));
  exit.signal = static_cast<int>(json["signal"].AsInt().value_or(0));
  exit.oom = json["oom"].AsBool().value_or(false);
  return exit;
}

// Every save carries the whole record; the store keeps their order. The process is spawned only once the wish
// for it is on disk: after a crash the next daemon knows that it may have been there.
void Agent::Save(Done done, const Message* first) {
  // The store's worker may be quicker than the end of this turn; but what the record takes to be over must be
  // over in the log, or nobody would look there. Where that cannot be written "alive" stays (StateJson).
  if (log_) (void)log_->Commit();
  saved_state_ = StateJson();
  AgentRecord record{id(), spec_.ToJson(AgentSpec::Secrets::kKeep), saved_state_, deleted_};
  auto on_disk = [this, alive = std::weak_ptr<bool>(alive_), wish = wanted_,
                  done = std::move(done)](const Status& status) {
    if (!alive.expired() && status && wanted_ == wish) saved_ = wish;
    if (!alive.expired() && !status) {  // a full disk may have room again
      saved_state_.clear();
      save_again_.Start(kSaveAgainMs);
    }
    done(status);  // also when the agent was purged meanwhile: the asker is told
    if (!alive.expired()) Advance();
  };
  if (first) {
    context_.store.PutAgent(std::move(record), {first->id, id(), first->ToJson(), "queued"},
                            std::move(on_disk));
  } else {
    context_.store.PutAgent(std::move(record), std::move(on_disk));
  }
}

void Agent::SaveIfChanged() {
  if (!save_again_.active() && StateJson() != saved_state_) Save([](const Status&) {});
}

}  // namespace reeve
