#include "orchestrator/handover/child_json.h"

#include <utility>

namespace reeve {

namespace {

int IntOr(const JsonValue& json, int otherwise) { return static_cast<int>(json.AsInt().value_or(otherwise)); }

std::string OutputJson(const ChildState::Output& output) {
  JsonObject json;
  json.Set("fd", output.fd);
  if (output.left != ChildState::kNoEnd) json.Set("left", output.left);
  return json.Take();
}

ChildState::Output OutputFromJson(const JsonValue& json) {
  ChildState::Output output;
  output.fd = IntOr(json["fd"], -1);
  if (auto left = json["left"].AsInt()) output.left = static_cast<uint64_t>(*left);
  return output;
}

}  // namespace

std::string ToJson(const ChildState& state) {
  JsonArray told;
  for (const ProcessId& process : state.told) {
    told.AddRaw(JsonObject().Set("pid", process.pid).Set("start_time", process.start_time).Take());
  }
  const ExitStatus& exit = state.status;
  return JsonObject()
      .Set("pid", state.pid)
      .Set("start_time", state.start_time)
      .Set("marker", state.marker)
      .Set("cgroup", state.cgroup)
      .SetRaw("told", told.Take())
      .Set("pidfd", state.pidfd)
      .Set("stdin", state.stdin_fd)
      .SetRaw("stdout", OutputJson(state.outputs[0]))
      .SetRaw("stderr", OutputJson(state.outputs[1]))
      .Set("input", Base64(state.input))
      .Set("close_input", state.close_input)
      .Set("paused", state.paused)
      .Set("exited", state.exited)
      .Set("stage", static_cast<int>(state.stage))
      .Set("kill_at", state.kill_at)
      .Set("give_up_at", state.give_up_at)
      .SetRaw("exit", JsonObject()
                          .Set("code", exit.code)
                          .Set("signal", exit.signal)
                          .Set("oom", exit.oom)
                          .Set("tree_empty", exit.tree_empty)
                          .Take())
      .Take();
}

Result<ChildState> ChildStateFromJson(const JsonValue& json) {
  ChildState state;
  state.pid = IntOr(json["pid"], 0);
  state.start_time = static_cast<uint64_t>(json["start_time"].AsInt().value_or(0));
  state.marker = json["marker"].StringOr("");
  state.cgroup = json["cgroup"].StringOr("");
  for (const JsonValue& process : json["told"].Elements()) {
    state.told.push_back(
        {IntOr(process["pid"], 0), static_cast<uint64_t>(process["start_time"].AsInt().value_or(0))});
  }
  state.pidfd = IntOr(json["pidfd"], -1);
  state.stdin_fd = IntOr(json["stdin"], -1);
  state.outputs = {OutputFromJson(json["stdout"]), OutputFromJson(json["stderr"])};
  auto input = FromBase64(json["input"].StringOr(""));
  if (!input) return Error{"handover_state", "child.input: not Base64"};
  state.input = std::move(*input);
  state.close_input = json["close_input"].AsBool().value_or(false);
  state.paused = json["paused"].AsBool().value_or(false);
  state.exited = json["exited"].AsBool().value_or(false);
  const int stage = IntOr(json["stage"], 0);
  if (stage < 0 || stage > static_cast<int>(ChildState::Stage::kDone))
    return Error{"handover_state", "child.stage: " + std::to_string(stage)};
  state.stage = static_cast<ChildState::Stage>(stage);
  state.kill_at = json["kill_at"].AsInt().value_or(0);
  state.give_up_at = json["give_up_at"].AsInt().value_or(0);
  state.status.code = IntOr(json["exit"]["code"], -1);
  state.status.signal = IntOr(json["exit"]["signal"], 0);
  state.status.oom = json["exit"]["oom"].AsBool().value_or(false);
  state.status.tree_empty = json["exit"]["tree_empty"].AsBool().value_or(true);
  if (state.pid <= 0) return Error{"handover_state", "child.pid: " + std::to_string(state.pid)};
  return state;
}

}  // namespace reeve
