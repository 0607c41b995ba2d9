// Any events, in any order, with breaks of the stream and snapshots anywhere: what is told of a turn is told
// to its end, and nothing is told of a call or a text that has ended. A line is an event, or what else
// happens:
//   p a prompt was sent    i a person interrupts    w the wait is over    a all that is pending is answered
//   b the stream broke     s{…} a snapshot          r{…} the states, which ends the break
#include <cstdint>
#include <cstdlib>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "orchestrator/adapters/opencode/opencode_events.h"
#include "process/loop.h"
#include "tests/support/recording_host.h"

namespace {

void Demand(bool condition) {
  if (!condition) std::abort();
}

// Judges what is told as it comes.
class Judge : public reeve::RecordingHost {
 public:
  using RecordingHost::RecordingHost;

  void Emit(std::string_view type, std::string_view data) override {
    Demand(data.find('\n') == std::string_view::npos);
    auto json = reeve::JsonDocument::Parse(data);
    Demand(json.ok() && json->root().Is(reeve::JsonType::kObject));
    const std::string call((*json)["call_id"].StringOr(""));
    if (type == "tool.started") Demand(calls_.insert(call).second);
    if (type == "tool.output") Demand(calls_.count(call) != 0);
    if (type == "tool.completed" || type == "tool.failed") Demand(calls_.erase(call) != 0);
    const size_t dot = type.find('.');
    const std::string text = std::string(type.substr(0, dot)).append((*json)["message_id"].StringOr(""));
    if (type == "assistant.delta" || type == "reasoning.delta") texts_.insert(text);
    if (type == "assistant.message" || type == "reasoning.message") Demand(texts_.erase(text) != 0);
  }
  void OnTurnStarted() override {
    Demand(!in_turn_);
    in_turn_ = true;
  }
  void OnTurnEnded(const reeve::TurnEnd&) override {
    if (in_turn_) Demand(calls_.empty() && texts_.empty() && pending.empty());
    in_turn_ = false;
  }
  void OnApproval(reeve::ApprovalRequest request) override {
    auto input = reeve::JsonDocument::Parse(request.input);
    Demand(input.ok() && input->root().Is(reeve::JsonType::kObject));
    if (request.elicitation) Demand(reeve::JsonDocument::Parse(request.schema).ok());
    Demand(pending.insert(request.id).second);
  }
  void OnApprovalGone(const std::string& id) override { Demand(pending.erase(id) != 0); }

  std::set<std::string> pending;

 private:
  bool in_turn_ = false;
  std::set<std::string> calls_, texts_;
};

reeve::OpencodeEvents::Snapshot SnapshotOf(const reeve::JsonValue& json) {
  reeve::OpencodeEvents::Snapshot snapshot;
  snapshot.session = json["session"];
  snapshot.permissions = json["permissions"];
  snapshot.questions = json["questions"];
  snapshot.todos = json["todos"];
  snapshot.children = json["children"].Elements();
  for (const auto& member : json["messages"].Members()) {
    snapshot.messages.emplace_back(member.key, member.value);
  }
  return snapshot;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  static reeve::Loop loop;
  Judge host(loop);
  reeve::OpencodeEvents events(host, (data[0] & 1U) != 0);
  const auto session = reeve::JsonDocument::Parse(R"({"id":"ses_1","title":"t"})");
  events.SetSession(session->root(), 0);
  std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  bool broken = false;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (line.empty()) continue;
    const char what = line[0];
    if (what == 'p' && !events.in_turn()) events.PromptSent();
    if (what == 'i') events.Interrupted();
    if (what == 'w' && events.wait() != reeve::OpencodeEvents::Wait::kNone) events.Settle();
    if (what == 'a') {
      for (const std::string& id : std::exchange(host.pending, {})) {
        Demand(reeve::JsonDocument::Parse("[" + events.ReplyTo(id, "{}") + "]").ok());
        Demand(events.Answer(id));
      }
    }
    if (what == 'b') {
      events.StreamBroke();
      broken = true;
    }
    auto json = reeve::JsonDocument::Parse(line.substr(what == 's' || what == 'r' ? 1 : 0));
    if (!json) continue;
    if (what == 's' && broken) {
      events.TakeSnapshot(SnapshotOf(json->root()));
    } else if (what == 'r' && broken) {
      events.Reconcile(json->root());
      broken = false;
    } else if (what == '{') {
      events.Take(json->root());
    }
  }
  return 0;
}
