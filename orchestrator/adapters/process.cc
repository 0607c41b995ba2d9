#include "orchestrator/adapters/process.h"

#include <csignal>

#include "orchestrator/adapters/adapter.h"
#include "orchestrator/adapters/output_lines.h"
#include "orchestrator/agent/agent_spec.h"
#include "orchestrator/handover/saved_state.h"

namespace reeve {

namespace {

// A cut at 1 MiB may split a character; this removes the rest of it.
std::string_view WithoutCutCharacter(std::string_view text) {
  size_t at = text.size();
  for (int back = 0; back < 3 && at > 0; ++back) {
    const auto byte = static_cast<unsigned char>(text[--at]);
    if ((byte & 0xC0U) == 0x80U) continue;
    return byte >= 0xC0U && !IsUtf8(text.substr(at)) ? text.substr(0, at) : text;
  }
  return text;
}

class ProcessAdapter : public Adapter {
 public:
  explicit ProcessAdapter(AgentHost& host)
      : host_(host),
        lines_(host, Lines::kMaxLineBytes, [this](std::string_view line) { lines_.EmitOutput(line); }) {}

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

  [[nodiscard]] std::string Save(std::vector<int>&) const override { return SaveState(*this); }
  Status Restore(const JsonValue& state) override { return RestoreState(state, *this); }
  static void Members(auto& self, auto& state) { state("lines", self.lines_); }

 private:
  AgentHost& host_;
  OutputLines lines_;
};

}  // namespace

const char* NameOf(Child::Output from) { return from == Child::Output::kStdout ? "stdout" : "stderr"; }

std::string OutputJson(const char* stream, std::string_view line, bool truncated) {
  if (truncated) line = WithoutCutCharacter(line);
  JsonObject data;
  data.Set("stream", stream);
  if (IsUtf8(line)) {
    data.Set("text", line);
  } else {
    data.Set("text", Base64(line)).Set("encoding", "base64");
  }
  if (truncated) data.Set("truncated", true);
  return data.Take();
}

std::unique_ptr<Adapter> MakeProcessAdapter(AgentHost& host, const std::string&) {
  return std::make_unique<ProcessAdapter>(host);
}

}  // namespace reeve
