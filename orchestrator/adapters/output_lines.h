// OutputLines: cuts a child's output into lines. The adapter gets the lines of stdout; the lines of stderr
// become agent.output events here, because no kind uses stderr for its protocol. A value of its adapter.
#pragma once

#include <functional>
#include <string_view>
#include <utility>

#include "orchestrator/adapters/agent_host.h"
#include "orchestrator/adapters/process.h"
#include "orchestrator/json/json.h"
#include "orchestrator/log/event_types.h"
#include "process/lines.h"

namespace reeve {

// The longest protocol message that is accepted: more than any agent was seen to send. A longer one becomes
// agent.output, cut to the size that an event may hold.
inline constexpr size_t kMaxProtocolLine = size_t{16} << 20;

// Writes a protocol message to the child's stdin. If the child does not take it, the agent is broken: an
// agent that waits for a lost message would wait for ever.
inline Status WriteOrBreak(AgentHost& host, std::string_view line) {
  Status written = host.WriteStdin(line);
  if (!written && written.error().code == "queue_full") host.OnBroken(written.error());
  return written;
}

class OutputLines {
 public:
  // `on_line` gets each complete line of stdout. A line longer than `max_bytes` becomes truncated output
  // instead.
  OutputLines(AgentHost& host, size_t max_bytes, std::function<void(std::string_view)> on_line)
      : host_(host), out_(max_bytes), on_line_(std::move(on_line)) {}

  void Take(Child::Output from, std::string_view bytes) {
    if (from == Child::Output::kStdout) {
      out_.Feed(bytes, [this](std::string_view line, bool truncated) { TakeLine(line, truncated); });
    } else {
      err_.Feed(bytes, [this](std::string_view line, bool truncated) { Emit("stderr", line, truncated); });
    }
  }
  // The child has exited: the rest of each stream is its last line.
  void Finish() {
    out_.Finish([this](std::string_view line, bool truncated) { TakeLine(line, truncated); });
    err_.Finish([this](std::string_view line, bool truncated) { Emit("stderr", line, truncated); });
  }
  // Emits a line of stdout that does not belong to the protocol.
  void EmitOutput(std::string_view line) { Emit("stdout", line, false); }
  // The same for a line that may still be JSON.
  void EmitStray(std::string_view line) {
    if (!ScanJsonObject(line)) return EmitOutput(line);
    host_.Emit(event_type::kAgentOutput, JsonObject().Set("stream", "stdout").SetRaw("json", line).Take());
  }

  static void Members(auto& self, auto& state) {
    state("out", self.out_);
    state("err", self.err_);
  }

 private:
  void TakeLine(std::string_view line, bool truncated) {
    if (truncated) return Emit("stdout", line, true);
    on_line_(line);
  }
  void Emit(const char* stream, std::string_view line, bool truncated) {
    if (line.size() > Lines::kMaxLineBytes) {
      line = line.substr(0, Lines::kMaxLineBytes);
      truncated = true;
    }
    host_.Emit(event_type::kAgentOutput, OutputJson(stream, line, truncated));
  }

  AgentHost& host_;
  Lines out_;
  Lines err_;
  std::function<void(std::string_view)> on_line_;
};

}  // namespace reeve
