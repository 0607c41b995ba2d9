// An adapter of an agent that speaks JSON-RPC, with any bytes as what the agent prints: for codex_fuzz and
// acp_fuzz.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "orchestrator/adapters/adapter.h"
#include "orchestrator/adapters/agent_host.h"
#include "process/loop.h"
#include "tests/support/recording_host.h"
#include "tests/support/vocabulary.h"

namespace reeve {

class RpcAgent {
 public:
  using Make = std::unique_ptr<Adapter> (*)(AgentHost& host, const std::string& session);

  // The first byte says what a person does, and when; the rest is said, however it is cut and handed over the
  // same is told, and the rules of the vocabulary hold.
  static void Fuzz(Make make, const uint8_t* data, size_t size) {
    if (size == 0) return;
    const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
    const std::vector<std::string> whole = Told(make, bytes, data[0], bytes.size() + 1);
    const std::string broken = BrokenRule(whole);
    if (!broken.empty()) {
      for (const std::string& line : whole) std::fprintf(stderr, "%s\n", line.c_str());
      std::fprintf(stderr, "%s\n", broken.c_str());
      std::abort();
    }
    if (Told(make, bytes, data[0], 1) != whole || Told(make, bytes, data[0], 7) != whole) std::abort();
    if (Told(make, bytes, data[0], 11, true) != whole) std::abort();
  }

 private:
  // `handed_over`: to another adapter, after each piece.
  static std::vector<std::string> Told(Make make, std::string_view bytes, uint8_t person, size_t piece,
                                       bool handed_over = false) {
    static Loop loop;
    static RecordingHost host(loop);
    host.Clear();
    auto adapter = make(host, (person & 1U) != 0 ? "s0" : "");
    SpawnSpec spawn;
    spawn.argv = {"agent"};
    spawn.cwd = "/nowhere";
    if (!adapter->Prepare(spawn).ok()) std::abort();
    int prompts = 0;
    auto prompt = [&adapter, &prompts] {
      if (prompts++ < 5) (void)adapter->Prompt("go");
    };
    host.on_ready = prompt;
    host.on_turn_ended = prompt;
    host.on_approval = [&adapter, person](const ApprovalRequest& request) {
      if ((person & 2U) != 0) adapter->Interrupt();
      if ((person & 4U) == 0) return;
      if (request.elicitation) {
        adapter->Answer(request.id, {ElicitationAnswer::Action::kAccept, R"({"a":"b"})"});
      } else {
        adapter->Decide(request.id, {(person & 8U) != 0, "no", ""});
      }
    };
    adapter->OnSpawned();
    while (!bytes.empty()) {
      adapter->OnOutput(Child::Output::kStdout, bytes.substr(0, piece));
      bytes.remove_prefix(piece < bytes.size() ? piece : bytes.size());
      if (!handed_over) continue;
      auto state = JsonDocument::Parse(adapter->Save());
      adapter = make(host, "another");
      if (!state || !adapter->Restore(state->root())) std::abort();
      adapter->Resume();
    }
    if ((person & 16U) != 0) adapter->Steer("m1", "on");
    adapter->ListModels([](const Result<std::string>&) {});
    if ((person & 32U) != 0) (void)adapter->PrepareStop();
    adapter->OnExited();
    return host.lines();
  }
};

}  // namespace reeve
