#include "orchestrator/adapters/process.h"

#include <csignal>

#include "orchestrator/adapters/adapter.h"
#include "orchestrator/adapters/output_lines.h"
#include "orchestrator/agent/agent_spec.h"
#include "orchestrator/handover/saved_state.h"

namespace reeve {

namespace {

class ProcessAdapter : public Adapter {
 public:
  explicit ProcessAdapter(AgentHost& host) : host_(host), lines_(host, {}) {}

  Status Prepare(SpawnSpec& spawn) override {
    auto option = host_.spec().kind_options.find("stdin");
    spawn.stdin_pipe = option == host_.spec().kind_options.end() || option->second == "true";
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
  AgentHost& host_;
  OutputLines lines_;
};

}  // namespace

std::unique_ptr<Adapter> MakeProcessAdapter(AgentHost& host, const std::string&) {
  return std::make_unique<ProcessAdapter>(host);
}

}  // namespace reeve
