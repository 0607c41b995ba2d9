// Any state of any kind, as an adapter might be given it in a handover: an error, or an adapter that works,
// whatever it then tells. The first byte is the kind, the first line the state, the others are said.
#include <cstdint>
#include <string>
#include <string_view>

#include "orchestrator/adapters/adapter.h"
#include "orchestrator/adapters/kind.h"
#include "orchestrator/adapters/opencode/opencode_events.h"
#include "orchestrator/handover/saved_state.h"
#include "process/loop.h"
#include "tests/support/recording_host.h"

namespace {

// The kinds that talk to their process. "opencode" is the events of its server alone.
constexpr const char* kKinds[] = {"claude", "codex", "acp", "jsonl", "opencode", "pi"};
constexpr uint8_t kFirst = '2';  // the byte that stands for the first kind

// The server's events need no server.
void FuzzEvents(reeve::RecordingHost& host, const reeve::JsonValue& state, std::string_view said) {
  reeve::OpencodeEvents events(host, true);
  if (!reeve::RestoreState(state, events)) return;
  while (!said.empty()) {
    const std::string_view line = said.substr(0, said.find('\n'));
    said.remove_prefix(std::min(said.size(), line.size() + 1));
    if (auto event = reeve::JsonDocument::Parse(line)) events.Take(event->root());
  }
  events.Settle();
  events.StreamBroke();
  events.TakeSnapshot({});
  events.Reconcile({});
  events.ServerGone();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  static reeve::Loop loop;
  static reeve::RecordingHost host(loop);
  host.Clear();
  std::string_view said(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string_view line = said.substr(0, said.find('\n'));
  said.remove_prefix(std::min(said.size(), line.size() + 1));
  const auto state = reeve::JsonDocument::Parse(line);
  if (!state) return 0;
  const std::string_view name = kKinds[static_cast<uint8_t>(data[0] - kFirst) % std::size(kKinds)];
  if (name == "opencode") {
    FuzzEvents(host, state->root(), said);
    return 0;
  }
  const reeve::Kind* kind = reeve::FindKind(name);
  auto adapter = kind->make(host, "");
  if (!adapter->Restore(state->root())) return 0;
  adapter->Resume();
  adapter->OnOutput(reeve::Child::Output::kStdout, said);
  (void)adapter->Prompt("go");
  if (kind->can.steer) adapter->Steer("m", "on");
  if (kind->can.interrupt) adapter->Interrupt();
  (void)adapter->PrepareStop();
  (void)adapter->Save();
  adapter->OnExited();
  return 0;
}
