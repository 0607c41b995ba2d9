#include "orchestrator/agent/run.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <iterator>

#include "orchestrator/json/json.h"
#include "orchestrator/log/event_data.h"
#include "process/clock.h"

namespace reeve {

namespace {

Error ErrorFrom(const JsonValue& json) {
  return {std::string(json["code"].StringOr("")), std::string(json["message"].StringOr(""))};
}

std::string ErrorJson(const Error& error) {
  return JsonObject().Set("code", error.code).Set("message", error.message).Take();
}

int64_t TimeOf(const JsonValue& time) { return ParseTime(std::string(time.StringOr(""))).value_or(0); }

}  // namespace

const char* NameOf(Run::Status status) { return Run::kStatuses[static_cast<size_t>(status)]; }

std::optional<Run::Status> ParseRunStatus(std::string_view name) {
  for (size_t i = 0; i < std::size(Run::kStatuses); ++i) {
    if (name == Run::kStatuses[i]) return static_cast<Run::Status>(i);
  }
  return std::nullopt;
}

const char* MessageState(Run::Status status) {
  switch (status) {
    case Run::Status::kFailed:
      return "failed";
    case Run::Status::kCancelled:
      return "cancelled";
    default:
      return "done";
  }
}

void Usage::Add(const Usage& other) {
  AddCount(input_tokens, other.input_tokens);
  AddCount(output_tokens, other.output_tokens);
  AddCost(cost_usd, other.cost_usd);
}

std::string Usage::ToJson() const {
  return JsonObject()
      .Set("input_tokens", input_tokens)
      .Set("output_tokens", output_tokens)
      .Set("cost_usd", cost_usd)
      .Take();
}

Usage Usage::Parse(const std::string& json) {
  auto parsed = JsonDocument::Parse(json);
  if (!parsed) return {};
  return {CountIn((*parsed)["input_tokens"]), CountIn((*parsed)["output_tokens"]),
          CostIn((*parsed)["cost_usd"])};
}

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
  json.Set("exit_code", exit_code).Set("signal", signal);
  if (!error.code.empty()) json.SetRaw("error", ErrorJson(error));
  if (!limit.empty()) json.Set("limit", limit);
  JsonArray ids;
  for (const std::string& message : steered) ids.Add(message);
  if (!steered.empty()) json.SetRaw("steered", ids.Take());
  JsonArray resolved;
  for (const ResolvedApproval& one : approvals) {
    resolved.AddRaw(JsonObject().Set("id", one.id).Set("decision", one.decision).Set("by", one.by).Take());
  }
  if (!approvals.empty()) json.SetRaw("approvals", resolved.Take());
  json.SetRaw("usage", usage).Set("started_at", FormatTime(started_ms));
  if (ended_ms != 0) json.Set("ended_at", FormatTime(ended_ms)).Set("duration_ms", ended_ms - started_ms);
  return json.Take();
}

std::optional<Run> Run::FromJson(const JsonValue& json) {
  Run run;
  run.id = json["run_id"].StringOr("");
  run.message_id = json["message_id"].StringOr("");
  if (auto code = json["exit_code"].AsInt()) run.exit_code = static_cast<int>(*code);
  if (auto signal = json["signal"].AsInt()) run.signal = static_cast<int>(*signal);
  run.error = ErrorFrom(json["error"]);
  run.limit = json["limit"].StringOr("");
  for (const JsonValue& message : json["steered"].Elements()) run.steered.emplace_back(message.StringOr(""));
  for (const JsonValue& one : json["approvals"].Elements()) {
    run.approvals.push_back({std::string(one["id"].StringOr("")), std::string(one["decision"].StringOr("")),
                             std::string(one["by"].StringOr(""))});
  }
  if (json["usage"]) run.usage = json["usage"].Raw();
  run.started_ms = TimeOf(json["started_at"]);
  run.ended_ms = TimeOf(json["ended_at"]);
  run.status = ParseRunStatus(json["status"].StringOr("")).value_or(Status::kRunning);
  if (run.id.empty()) return std::nullopt;
  return run;
}

std::string Run::EndJson() const {
  JsonObject data;
  if (!message_id.empty()) data.Set("message_id", message_id);
  data.Set("exit_code", exit_code).Set("signal", signal);
  if (status == Status::kFailed) data.SetRaw("error", ErrorJson(error));
  if (!limit.empty()) data.Set("limit", limit);
  return data.Set("duration_ms", ended_ms - started_ms).SetRaw("usage", usage).Take();
}

Run Run::FromEnd(const JsonValue& envelope) {
  const JsonValue data = envelope["data"];
  Run run;
  run.id = envelope["run"].StringOr("");
  run.message_id = data["message_id"].StringOr("");
  run.status =
      ParseRunStatus(envelope["type"].StringOr("").substr(std::strlen("run."))).value_or(Status::kFailed);
  if (auto code = data["exit_code"].AsInt()) run.exit_code = static_cast<int>(*code);
  if (auto signal = data["signal"].AsInt()) run.signal = static_cast<int>(*signal);
  run.error = ErrorFrom(data["error"]);
  run.limit = data["limit"].StringOr("");
  if (data["usage"]) run.usage = data["usage"].Raw();
  run.ended_ms = TimeOf(envelope["time"]);
  run.started_ms = run.ended_ms - data["duration_ms"].AsInt().value_or(0);
  return run;
}

}  // namespace reeve
