// Any bytes as what Claude Code prints: however they are cut and handed over, the same is told; turns begin
// and end in turn, each call that began ends once, and every event's data is an object that fits its frame.
#include <cstdint>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "orchestrator/adapters/claude/claude.h"
#include "orchestrator/json/json.h"
#include "process/loop.h"
#include "tests/support/recording_host.h"

namespace {

void Demand(bool condition) {
  if (!condition) std::abort();
}

// The first byte says what a person does, and when; the rest is said.
std::vector<std::string> Told(std::string_view bytes, uint8_t person, size_t piece,
                              bool handed_over = false) {
  static reeve::Loop loop;
  static reeve::RecordingHost host(loop);
  host.Clear();
  auto adapter = reeve::MakeClaudeAdapter(host, (person & 1U) != 0 ? "s0" : "");
  reeve::SpawnSpec spawn;
  Demand(adapter->Prepare(spawn).ok());
  adapter->OnSpawned();
  host.on_approval = [&adapter, person](const reeve::ApprovalRequest& request) {
    if ((person & 2U) == 0) return;
    if (request.elicitation) {
      adapter->Answer(request.id, {reeve::ElicitationAnswer::Action::kAccept, R"({"a":"b"})"});
    } else {
      adapter->Decide(request.id, {(person & 4U) != 0, "no", R"({"x":1})"});
    }
  };
  host.on_turn_ended = [&adapter, person] {
    if ((person & 8U) != 0) adapter->Interrupt();
  };
  while (!bytes.empty()) {
    adapter->OnOutput(reeve::Child::Output::kStdout, bytes.substr(0, piece));
    bytes.remove_prefix(piece < bytes.size() ? piece : bytes.size());
    if (!handed_over) continue;
    auto state = reeve::JsonDocument::Parse(adapter->Save());
    Demand(state.ok());
    adapter = reeve::MakeClaudeAdapter(host, "another");
    Demand(adapter->Restore(state->root()).ok());
    adapter->Resume();
  }
  if ((person & 16U) != 0) (void)adapter->PrepareStop();
  adapter->OnExited();
  return host.lines();
}

void Check(const std::vector<std::string>& lines) {
  bool in_turn = false;
  std::map<std::string, int> calls;
  for (const std::string& line : lines) {
    if (line == "> turn started") {
      Demand(!in_turn);
      in_turn = true;
    } else if (line.compare(0, 7, "> turn ") == 0) {
      Demand(in_turn);
      in_turn = false;
    }
    if (line.compare(0, 2, "> ") == 0) continue;
    const size_t space = line.find(' ');
    Demand(line.find('\n') == std::string::npos);
    auto data = reeve::JsonDocument::Parse(std::string_view(line).substr(space + 1));
    Demand(data.ok() && data->root().Is(reeve::JsonType::kObject));
    const std::string type = line.substr(0, space);
    const std::string call((*data)["call_id"].StringOr(""));
    if (type == "tool.started") Demand(++calls[call] == 1);
    if (type == "tool.completed" || type == "tool.failed") Demand(--calls[call] == 0);
  }
  for (const auto& [call, open] : calls) Demand(open == 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::vector<std::string> whole = Told(bytes, data[0], bytes.size() + 1);
  Check(whole);
  Demand(Told(bytes, data[0], 1) == whole);
  Demand(Told(bytes, data[0], 7) == whole);
  Demand(Told(bytes, data[0], 11, true) == whole);
  return 0;
}
