#include "orchestrator/adapters/jsonl.h"

#include <algorithm>
#include <csignal>

#include "orchestrator/adapters/adapter.h"
#include "orchestrator/adapters/output_lines.h"
#include "orchestrator/agent/agent_spec.h"
#include "orchestrator/handover/saved_state.h"
#include "orchestrator/log/event_data.h"
#include "orchestrator/log/event_types.h"

namespace reeve {

namespace {

// The type goes into the frame unescaped.
bool IsPlain(std::string_view type) {
  return type.size() <= 64 && std::all_of(type.begin(), type.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_';
         });
}

// The line was scanned once already, with ContentMembers(); only a plan needs a closer look.
bool FitsItsType(std::string_view type, const JsonLine& scanned, std::string_view line) {
  return (scanned.as_declared && type != event_type::kPlanUpdated) || HasItsShape(type, line);
}

class JsonlAdapter : public Adapter {
 public:
  explicit JsonlAdapter(AgentHost& host)
      : host_(host),
        turns_(host.spec().turns),
        lines_(host, {.on_line = [this](Child::Output, std::string_view line) { TakeLine(line); },
                      .max_bytes = Lines::kMaxLineBytes}) {}

  Status Prepare(SpawnSpec& spawn) override {
    spawn.stdin_pipe = true;
    return {};
  }
  void OnSpawned() override { host_.OnReady(); }

  void OnOutput(Child::Output from, std::string_view bytes) override { lines_.Take(from, bytes); }
  void OnExited() override { lines_.Finish(); }

  Status Prompt(const std::string& text) override { return host_.WriteStdin(text + "\n"); }
  void Interrupt() override { host_.Signal(SIGINT); }

  [[nodiscard]] std::string Save() const override { return SaveState(*this); }
  Status Restore(const JsonValue& state) override { return RestoreState(state, *this); }
  static void Members(auto& self, auto& state) { state("lines", self.lines_); }

 private:
  void TakeLine(std::string_view line) {
    auto object = ScanJsonObject(line, ContentMembers());
    if (!object) return lines_.EmitLine();
    const std::string_view type = object->type;
    if (turns_ && type.substr(0, 4) == "run.") return TakeRun(type, line);
    if (!event_type::IsContent(type) || !IsPlain(type) || !FitsItsType(type, *object, line))
      return lines_.EmitJsonLine(true);
    data_.assign(line.substr(0, object->type_begin));
    data_ += line.substr(object->type_end);
    host_.Emit(type, data_);
  }

  void TakeRun(std::string_view type, std::string_view line) {
    if (type == event_type::kRunStarted) return host_.OnTurnStarted();
    TurnEnd end;
    auto json = JsonDocument::Parse(line);
    if (type == event_type::kRunCompleted) {
      end.outcome = TurnEnd::Outcome::kCompleted;
    } else if (type == event_type::kRunCancelled) {
      end.outcome = TurnEnd::Outcome::kCancelled;
    } else if (type == event_type::kRunFailed) {
      end.outcome = TurnEnd::Outcome::kFailed;
      if (json) {
        end.error.code = (*json)["error"]["code"].StringOr("failed");
        end.error.message = (*json)["error"]["message"].StringOr("");
      }
    } else {
      return lines_.EmitJsonLine(true);
    }
    const std::string usage = json ? (*json)["usage"].Raw() : "";
    auto scanned = ScanJsonObject(usage, ContentMembers());
    if (scanned && scanned->as_declared) host_.Emit(event_type::kUsageUpdated, usage);
    host_.OnTurnEnded(end);
  }

  AgentHost& host_;
  const bool turns_;
  OutputLines lines_;
  std::string data_;  // scratch space for one event's data
};

}  // namespace

std::unique_ptr<Adapter> MakeJsonlAdapter(AgentHost& host, const std::string&) {
  return std::make_unique<JsonlAdapter>(host);
}

}  // namespace reeve
