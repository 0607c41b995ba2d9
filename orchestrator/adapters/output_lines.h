// OutputLines: what a child prints, as lines. Its adapter gets those of stdout; those of stderr become
// agent.output events here, as no kind speaks its protocol there. A value of its adapter.
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

// The longest message of a protocol that is taken: more than any agent was seen to send. What is longer is
// told as agent.output, cut to what an event may hold.
inline constexpr size_t kMaxProtocolLine = size_t{16} << 20;

// A message of a protocol to the child's stdin. One that it does not take is not forgotten: an agent that
// waits for it would wait for ever.
inline Status WriteOrBreak(AgentHost& host, std::string_view line) {
  Status written = host.WriteStdin(line);
  if (!written && written.error().code == "queue_full") host.OnBroken(written.error());
  return written;
}

class OutputLines {
 public:
  // `on_line` gets each whole line of stdout; one beyond `max_bytes` is told as truncated output instead.
  OutputLines(AgentHost& host, size_t max_bytes, std::function<void(std::string_view)> on_line)
      : host_(host), out_(max_bytes), on_line_(std::move(on_line)) {}

  void Take(Child::Output from, std::string_view bytes) {
    if (from == Child::Output::kStdout) {
      out_.Feed(bytes, [this](std::string_view line, bool truncated) { TakeLine(line, truncated); });
    } else {
      err_.Feed(bytes, [this](std::string_view line, bool truncated) { Tell("stderr", line, truncated); });
    }
  }
  // The child has exited: what is left is the last line of each.
  void Finish() {
    out_.Finish([this](std::string_view line, bool truncated) { TakeLine(line, truncated); });
    err_.Finish([this](std::string_view line, bool truncated) { Tell("stderr", line, truncated); });
  }
  // A line of stdout that is none of the protocol.
  void TellOutput(std::string_view line) { Tell("stdout", line, false); }
  // The same of one that may be JSON all the same.
  void TellStray(std::string_view line) {
    if (!ScanJsonObject(line)) return TellOutput(line);
    host_.Emit(event_type::kAgentOutput, JsonObject().Set("stream", "stdout").SetRaw("json", line).Take());
  }

  static void Members(auto& self, auto& state) {
    state("out", self.out_);
    state("err", self.err_);
  }

 private:
  void TakeLine(std::string_view line, bool truncated) {
    if (truncated) return Tell("stdout", line, true);
    on_line_(line);
  }
  void Tell(const char* stream, std::string_view line, bool truncated) {
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
